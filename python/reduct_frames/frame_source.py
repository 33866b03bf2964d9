# SPDX-License-Identifier: MPL-2.0
"""Interface of sources: entries of access units, entries of MP4 files, and MP4 files on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._core import Canceller, Unit
    from .frame_index import FrameIndex

__all__ = ["FrameSource", "UnitReader"]


class UnitReader(Protocol):
    """Access units of a range, in decoding order."""

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Capture times of the last frame before each gap and of the first one after it, in microseconds."""
        ...

    def take_warnings(self) -> list[str]:
        """Take the warnings about what was read so far."""
        ...

    def __iter__(self) -> Iterator[Unit]: ...


class FrameSource(Protocol):
    """A source of access units with an index, which can be pickled and used after a fork."""

    @property
    def address(self) -> str:
        """Address or path, for messages."""
        ...

    @property
    def codec(self) -> str | None:
        """Codec, ``"h264"``; None for an empty entry."""
        ...

    @property
    def is_empty_range(self) -> bool:
        """There are no frames, as no time is in the range."""
        ...

    def load_index(self) -> FrameIndex:
        """Return the index of the frames."""
        ...

    def units(
        self, first_us: int, last_us: int, canceller: Canceller | None = None, *, keyframe_us: int | None = None
    ) -> UnitReader:
        """Return a reader of the frames from one capture time to another, both included.

        `keyframe_us` is the time of the record with the last keyframe at or before `first_us`, if the index has it.
        """
        ...

    def all_units(self, canceller: Canceller | None = None) -> UnitReader:
        """Return a reader of all frames, unless the range is empty."""
        ...
