# SPDX-License-Identifier: MPL-2.0
"""Settings of an export in its folder: what its pictures depend on, by which a later call can continue it."""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .lazy_video import mp4_paths
from .manifest import JSON_NAME, PARQUET_NAME
from .picture_files import PART, absolute, write_whole

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from .recording import Recording

__all__ = ["begin_export", "digest"]

_NAME = "settings.json"
_OF_TIMES = ("length", "times")
"""Settings that an earlier export may have for the first part of the recording."""
_OF_ALL = ("source", "ext", *_OF_TIMES)
"""Settings that each export has."""
_PORTS = {"http": 80, "https": 443}


def begin_export(folder: Path, recording: Recording, options: dict[str, object], resume: bool) -> bool:
    """Write the settings of an export into its folder, or compare them with those of an earlier one.

    A recording may have got more frames at its end since then.

    Parameters
    ----------
    folder : Path
        The folder.
    recording : Recording
        The recording.
    options : dict
        Values of JSON that the pictures and their selection depend on, by their names.
    resume : bool
        Continue an earlier export.

    Returns
    -------
    bool
        The folder has an earlier export with these settings.

    Raises
    ------
    FileExistsError
        If there is an earlier export, and `resume` is false; or if there are files of these names that no export has
        written.
    ValueError
        If the earlier export had other settings, or its settings cannot be read.
    """
    times = recording.timestamps_us
    settings = {"source": _source(recording), **options, "length": len(times), "times": digest(times)}
    path = folder / _NAME
    has_settings = _exists(path)
    written = _written_files(folder)
    if written and not has_settings:
        raise FileExistsError(f"{written[0]} is there already, and no export has written it")
    if has_settings and not (written and resume) and not _are_settings(path):
        raise FileExistsError(f"{path} is there already, and has no settings of an export")
    is_begun = has_settings and bool(written)
    if is_begun:
        if not resume:
            raise FileExistsError(f"{folder} has pictures of an earlier call: resume=True continues it")
        if _compare(path, settings, times):
            return True
    write_whole(path, (json.dumps(settings, indent=2) + "\n").encode())
    return is_begun


def _compare(path: Path, settings: dict[str, object], times: npt.NDArray[np.int64]) -> bool:
    """Raise ValueError if settings differ from those in a file. Return whether the frames are the same, too."""
    earlier = _read(path)
    for name, value in settings.items():
        other = earlier.get(name)
        if name not in _OF_TIMES and (name not in earlier or other != value):
            raise ValueError(f"The pictures in {path.parent} were made with {name} {other!r}, not {value!r}")
    length = earlier.get("length")
    is_known = type(length) is int and 0 <= length <= len(times)
    if not is_known or earlier.get("times") != digest(times[:length]):
        raise ValueError(f"The recording has not the frames any more that it had for the pictures in {path.parent}")
    return length == len(times)


def _read(path: Path) -> dict[str, Any]:
    """Return the settings in a file."""
    try:
        earlier = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} has no settings of an export: {error}") from None
    if type(earlier) is dict:
        return earlier
    raise ValueError(f"{path} has no settings of an export")


def _are_settings(path: Path) -> bool:
    """Return whether a file has settings of an export."""
    try:
        return all(name in _read(path) for name in _OF_ALL)
    except (ValueError, OSError):
        return False


def _written_files(folder: Path) -> list[Path]:
    """Return the manifests, and pictures of which one is enough: files that are written besides the settings."""
    manifests = [folder / name for name in (JSON_NAME, PARQUET_NAME) if _exists(folder / name)]
    pictures = (path for path in folder.glob("frame_*") if path.suffix != PART)
    return [*manifests, *islice(pictures, 1)]


def _exists(path: Path) -> bool:
    """Return whether there is a file, or a link to none."""
    return path.exists() or path.is_symlink()


def digest(numbers: npt.NDArray[np.int64]) -> str:
    """Return a checksum of capture times or indices."""
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()


def _source(recording: Recording) -> str | list[str]:
    """Return the address of a recording, or the paths of its MP4 files, in one spelling."""
    paths = mp4_paths(recording)
    if paths:
        return [str(absolute(path)) for path in paths]
    entry, on, url = recording.address.rpartition(" on ")
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or _PORTS.get(parts.scheme)
    return f"{entry}{on}{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"
