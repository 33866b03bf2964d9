# SPDX-License-Identifier: MPL-2.0
"""Frames of video in ReductStore, by time and by index.

:func:`open` opens an entry, whose :class:`Recording` gives frames as arrays. :class:`Recorder` writes access units.
"""

from ._core import Canceller
from .directory import WrittenFrames, iter_dir_async, to_dir, to_dir_async
from .errors import (
    AccessError,
    CancelledError,
    DecodeError,
    IndexMismatchError,
    MissingFrame,
    NotFoundError,
    RecordingWarning,
    ReductFramesError,
    ServerError,
    StreamError,
)
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
    "IndexMismatchError",
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
    "iter_dir_async",
    "open",
    "open_async",
    "to_dir",
    "to_dir_async",
]
