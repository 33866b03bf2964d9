# SPDX-License-Identifier: MPL-2.0
"""Settings of an export in its folder: what its pictures depend on, by which a later call can continue it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .lazy_video import mp4_paths
from .manifest import JSON_NAME
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
        If there is an earlier export, and `resume` is false.
    ValueError
        If the earlier export had other settings, or its settings cannot be read.
    """
    times = recording.timestamps_us
    settings = {"source": _source(recording), **options, "length": len(times), "times": digest(times)}
    path = folder / _NAME
    is_begun = path.exists() and _has_pictures(folder)
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


def _has_pictures(folder: Path) -> bool:
    """Return whether a call has written something besides the settings."""
    pictures = (path for path in folder.glob("frame_*") if path.suffix != PART)
    return (folder / JSON_NAME).exists() or next(pictures, None) is not None


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
