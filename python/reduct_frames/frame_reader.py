# SPDX-License-Identifier: MPL-2.0
"""Decodes frames of a source by their indices."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from .decoding import decode
from .errors import DecodeError, IndexMismatchError, MissingFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    import av
    import numpy.typing as npt

    from ._core import Canceller
    from .frame_index import FrameIndex
    from .frame_source import FrameSource, UnitReader

__all__ = ["DecodedFrame", "FrameReader"]

_READ_AHEAD = 4
"""Runs of frames that are read at a time."""


@dataclass(frozen=True)
class DecodedFrame:
    """A frame of the index with its picture, or the reason why it has none.

    Attributes
    ----------
    index : int
        Index of the frame.
    picture : av.VideoFrame or None
        The picture.
    reason : str
        Reason why there is none; empty otherwise.
    """

    index: int
    picture: av.VideoFrame | None
    reason: str


class FrameReader:
    """A source with the index of its frames, which is loaded when it is needed first.

    A recording and its slices share one.
    """

    def __init__(self, source: FrameSource) -> None:
        self.source = source
        self._index: FrameIndex | None = None
        self._size: tuple[int, int] | None = None

    @property
    def index(self) -> FrameIndex:
        """Index of the frames."""
        if self._index is None:
            self._index = self.source.load_index()
        return self._index

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames: by the index, or else of the first one that can be decoded, once.

        Zeros without frames.
        """
        if self._size is None:
            self._size = self._find_size()
        return self._size

    def _find_size(self) -> tuple[int, int]:
        index = self.index
        if not len(index):
            return 0, 0
        if index.track is not None:
            segment = index.track.segments[int(index.track.segment[0])]
            if segment.height and segment.width:
                return segment.height, segment.width
        times = index.capture_us
        for group in index.groups(np.arange(len(times))):
            units = self.source.units(int(times[group[0]]), int(times[group[-1]]))
            picture = next(decode(units, {}), None)
            if picture is not None:
                return picture.frame.height, picture.frame.width
        raise DecodeError([MissingFrame(0, int(times[0]), "no frame of the recording can be decoded")])

    def decode(self, indices: npt.NDArray[np.int64], canceller: Canceller | None = None) -> Iterator[DecodedFrame]:
        """Decode frames by rising indices, each group of pictures once, and yield them in order.

        The next runs of frames are read while one is decoded.
        """
        runs = ((run, self._units(run, canceller)) for run in self.index.runs(indices))
        ahead = deque(islice(runs, _READ_AHEAD))
        while ahead:
            run, units = ahead.popleft()
            ahead.extend(islice(runs, 1))
            yield from self._decode_run(run, units)

    def _units(self, run: npt.NDArray[np.int64], canceller: Canceller | None) -> UnitReader:
        """Return a reader of a run, from its keyframe on: there is no search for it then."""
        first = self.index.keyframe_before(int(run[0]))
        times = self.index.capture_us
        return self.source.units(int(times[first]), int(times[run[-1]]), canceller)

    def _decode_run(self, run: npt.NDArray[np.int64], units: UnitReader) -> Iterator[DecodedFrame]:
        times = self.index.capture_us
        faults: dict[int, str] = {}
        remaining: deque[int] = deque(run.tolist())
        for capture_us, picture in decode(units, faults):
            index = int(np.searchsorted(times, capture_us))
            if index >= len(times) or times[index] != capture_us:
                raise IndexMismatchError(
                    f"There is a frame at {capture_us} µs that the labels of the records do not show. "
                    'index="contents" reads the records'
                )
            while remaining and remaining[0] < index:
                lost = remaining.popleft()
                yield DecodedFrame(lost, None, _reason(units, faults, int(times[lost])))
            if remaining and remaining[0] == index:
                yield DecodedFrame(remaining.popleft(), picture, "")
        for lost in remaining:
            yield DecodedFrame(lost, None, _reason(units, faults, int(times[lost])))


def _reason(units: UnitReader, faults: dict[int, str], capture_us: int) -> str:
    """Return why a frame has no picture: a fault of the decoder, frames that are missing before it, or warnings."""
    if capture_us in faults:
        return faults[capture_us]
    gaps = [gap for gap in units.gaps if gap[0] < capture_us]
    if gaps:
        before, after = gaps[-1]
        return f"it depends on frames between {before} and {after} µs, which are missing"
    return "; ".join(units.take_warnings()) or "the decoder gives no picture for it"
