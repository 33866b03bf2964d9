# SPDX-License-Identifier: MPL-2.0
"""Exceptions of the package, and the description of frames that cannot be decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._core import AccessError, CancelledError, NotFoundError, ReductFramesError, ServerError, StreamError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AccessError",
    "CancelledError",
    "DecodeError",
    "FolderInUseError",
    "IndexMismatchError",
    "MissingFrame",
    "NotFoundError",
    "RecordingWarning",
    "ReductFramesError",
    "ServerError",
    "StreamError",
]


@dataclass(frozen=True)
class MissingFrame:
    """A frame that is in the recording and cannot be decoded.

    Attributes
    ----------
    index : int
        Index in the recording that was asked.
    capture_us : int
        Capture time, in microseconds since the Unix epoch.
    reason : str
        Reason, as a sentence.
    """

    index: int
    capture_us: int
    reason: str


class DecodeError(StreamError):
    """Frames cannot be decoded.

    Attributes
    ----------
    missing : tuple of MissingFrame
        The frames, of which the text of the error names the first one.
    """

    def __init__(self, missing: Sequence[MissingFrame]) -> None:
        self.missing = tuple(missing)
        first = self.missing[0]
        others = f" (and {len(self.missing) - 1} more)" if len(self.missing) > 1 else ""
        super().__init__(f"Frame {first.index} at {first.capture_us} µs cannot be decoded: {first.reason}{others}")

    def __reduce__(self) -> tuple[type[DecodeError], tuple[tuple[MissingFrame, ...]]]:
        return type(self), (self.missing,)


class IndexMismatchError(StreamError):
    """The records have other frames than their labels say, or a file has others than its index.

    Open the entry with ``index="contents"``, which reads all records once, or open it again if records were written
    among those of the index. Of a file, write the index again.
    """


class FolderInUseError(ReductFramesError):
    """Another call, of this process or of another one, writes to the folder."""


class RecordingWarning(UserWarning):
    """Records are left out, as they cannot be read or are of another type, or have faults."""
