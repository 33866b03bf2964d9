# SPDX-License-Identifier: MPL-2.0
"""Frames of video in ReductStore, by time and by index.

:func:`open` opens an entry, whose :class:`Recording` gives frames as arrays, as does :class:`LazyVideo` for MP4 files.
:func:`index` is a table of the frames. :class:`Recorder` writes access units.
"""

from ._core import Canceller
from .directory import WrittenFrames, iter_dir_async, to_dir, to_dir_async
from .errors import (
    AccessError,
    CancelledError,
    DecodeError,
    FolderInUseError,
    IndexMismatchError,
    MissingFrame,
    NotFoundError,
    RecordingWarning,
    ReductFramesError,
    ServerError,
    StreamError,
)
from .index_files import read_index
from .index_table import frame_mappings, index
from .index_writing import write_index
from .lazy_video import LazyVideo
from .recorder import Recorder, RecorderWarning
from .recording import AccessUnit, Clip, Recording, open, open_async  # noqa: A004 - as in wave, tarfile and av
from .times import Time

__all__ = [
    "AccessError",
    "AccessUnit",
    "CancelledError",
    "Canceller",
    "Clip",
    "DecodeError",
    "FolderInUseError",
    "IndexMismatchError",
    "LazyVideo",
    "MissingFrame",
    "NotFoundError",
    "Recorder",
    "RecorderWarning",
    "Recording",
    "RecordingWarning",
    "ReductFramesError",
    "ServerError",
    "StreamError",
    "Time",
    "WrittenFrames",
    "frame_mappings",
    "index",
    "iter_dir_async",
    "open",
    "open_async",
    "read_index",
    "to_dir",
    "to_dir_async",
    "write_index",
]
