# SPDX-License-Identifier: MPL-2.0
"""Writes the index of a recording or of an MP4 file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .arguments import check_choice
from .index_files import FORMATS, IndexFormat, save_index
from .index_table import index
from .lazy_video import LazyVideo, mp4_paths
from .mp4_source import read_headers
from .picture_files import absolute

if TYPE_CHECKING:
    from .recording import Recording
    from .times import Time

__all__ = ["write_index"]


def write_index(
    recording: Recording | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    format: IndexFormat = "parquet",  # noqa: A002 - as in pyarrow and pandas
    *,
    start: Time | None = None,
) -> str:
    """Write the index of a recording or of an MP4 file, complete when it appears. An older one is replaced.

    Parameters
    ----------
    recording : Recording or path
        A recording, a :class:`LazyVideo`, or the path of an MP4 file, whose headers are read.
    path : path, optional
        Where the index is written: beside the MP4 file by default, as ``<mp4>.parquet`` or ``<mp4>.lance``.
    format : {"parquet", "lance"}, default "parquet"
        A file of Parquet, or a dataset of Lance, which needs pylance.
    start : Time, optional
        Capture time of the first frame of an MP4 file that is given by its path. Without it capture times count from 0.

    Returns
    -------
    str
        Absolute path of the index.

    Raises
    ------
    ValueError
        If there is no path, and the recording is not one MP4 file. Or if the index would be beside an MP4 file and lack
        frames of it, as that of a window does: :meth:`LazyVideo.from_uri` would not show them.
    ImportError
        If pylance is needed and not installed.
    StreamError
        If the MP4 file has no video that can be read.
    OSError
        If a file cannot be read or written. An older index stays.
    """
    check_choice("format", format, *FORMATS)
    if isinstance(recording, (str, os.PathLike)):
        recording = LazyVideo.from_headers(recording, start=start)
    elif start is not None:
        raise ValueError("start belongs to the path of an MP4 file: a recording has capture times")
    paths = mp4_paths(recording)
    if path is None:
        if len(paths) != 1:
            raise ValueError("The path of the index is missing, as the recording is not one MP4 file")
        path = f"{paths[0]}.{format}"
    target = absolute(path)
    beside = [absolute(f"{mp4}.{extension}") for mp4 in paths for extension in FORMATS]
    if target in beside and not _has_all_frames(recording):
        raise ValueError(f"The recording is a window, and {target} is for all frames of the file: give another path")
    save_index(index(recording), target, format)
    return str(target)


def _has_all_frames(recording: Recording) -> bool:
    """Return whether a recording of MP4 files has their first and last frames: it and its index are no window."""
    whole, frames = recording.frame_index()
    track = whole.track
    if (frames.start, frames.stop) != (0, len(whole)) or track is None:
        return False
    for number, segment in enumerate(track.segments):
        rows = np.flatnonzero(track.segment == number)
        of_file = read_headers(Path(segment.source)).track
        assert of_file is not None
        if len(of_file.offset) == 0:
            continue
        if len(rows) == 0 or track.local[rows[0]] != 0 or track.offset[rows[-1]] != of_file.offset[-1]:
            return False
    return True
