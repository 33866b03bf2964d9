# SPDX-License-Identifier: MPL-2.0
"""Decodes frames of a source by their indices."""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ._core import check_cancelled
from .concurrency import held
from .decoding import decode
from .errors import IndexMismatchError, StreamError

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
_LOST_GROUPS = "it may depend on frames that are missing: the pause before it is as long as whole groups of pictures"


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
    """A source with the index of its frames, which is loaded when it is needed first, by one thread for all.

    A recording and its slices share one.
    """

    def __init__(self, source: FrameSource) -> None:
        self.source = source
        self._index: FrameIndex | None = None
        self._sizes: dict[int, tuple[int, int] | None] = {}
        # Of each process: in a forked one, the lock of its parent may be held by a thread that it does not have.
        self._locks: dict[int, threading.RLock] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_locks": {}}

    @property
    def has_index(self) -> bool:
        """The index is loaded."""
        return self._index is not None

    @property
    def index(self) -> FrameIndex:
        """Index of the frames."""
        if self._index is not None:
            return self._index
        lock = self._locks.setdefault(os.getpid(), threading.RLock())
        with held(lock, check_cancelled):
            if self._index is None:
                self._index = self.source.load_index()
            return self._index

    def size_at(self, index: int) -> tuple[int, int] | None:
        """Return the height and width of a frame: by the index, or else of the next one that can be decoded.

        Without one, it is an earlier one. None if no frame can be decoded, or there is none. Frames are decoded once in
        a group of pictures.
        """
        frames = self.index
        if not len(frames):
            return None
        index = min(index, len(frames) - 1)
        if frames.track is not None:
            segment = frames.track.segments[int(frames.track.segment[index])]
            if segment.height and segment.width:
                return segment.height, segment.width
        first = frames.keyframe_before(index)
        if first not in self._sizes:
            after = frames.keyframe_after(index)
            parts = (range(first, after), range(after, len(frames)), range(first))
            decoded = (frame.picture for part in parts for frame in self.decode(np.array(part, np.int64)))
            picture = next(filter(None, decoded), None)
            self._sizes[first] = None if picture is None else (picture.height, picture.width)
        return self._sizes[first]

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
        """Return a reader of a run, from its keyframe on."""
        index, last = self.index, int(run[-1])
        times = index.capture_us
        first = index.keyframe_before(int(run[0]))
        first_us, last_us = int(times[first]), int(times[last])
        keyframe_us = None if index.record_us is None else int(index.record_us[first])
        if index.by_labels and last + 1 < len(index):
            # With all of the last record, to notice further frames in it.
            last_us = int(times[last + 1]) - 1
        return self.source.units(first_us, last_us, canceller, keyframe_us=keyframe_us)

    def _decode_run(self, run: npt.NDArray[np.int64], units: UnitReader) -> Iterator[DecodedFrame]:
        times = self.index.capture_us
        faults: dict[int, str] = {}
        failure = ""
        remaining: deque[int] = deque(run.tolist())
        try:
            for capture_us, picture in decode(units, faults):
                index = self.index_of(capture_us)
                while remaining and remaining[0] < index:
                    lost = remaining.popleft()
                    yield DecodedFrame(lost, None, _reason(units, faults, int(times[lost])))
                if remaining and remaining[0] == index:
                    remaining.popleft()
                    is_wrong = bool(self.index.after_lost_groups[index])
                    yield DecodedFrame(index, None, _LOST_GROUPS) if is_wrong else DecodedFrame(index, picture, "")
        except IndexMismatchError:
            raise
        except StreamError as error:
            # There is nothing in the records that can be decoded.
            failure = str(error)
        if self.index.by_labels:
            for capture_us in faults:
                # Those before the recording and behind it are decoded for others.
                if times[0] <= capture_us <= times[-1]:
                    self.index_of(capture_us)
        for lost in remaining:
            yield DecodedFrame(lost, None, failure or _reason(units, faults, int(times[lost])))

    def index_of(self, capture_us: int) -> int:
        """Return the index of a frame that was read.

        Raises
        ------
        IndexMismatchError
            If the index of the recording has no frame of this capture time.
        """
        times = self.index.capture_us
        index = int(np.searchsorted(times, capture_us))
        if index < len(times) and times[index] == capture_us:
            return index
        if self.index.by_labels:
            raise IndexMismatchError(
                f"There is a frame at {capture_us} µs that the labels of the records do not show. "
                'index="contents" reads the records'
            )
        raise IndexMismatchError(
            f"There is a frame at {capture_us} µs that was not there when the index was made. Open the recording again"
        )


def _reason(units: UnitReader, faults: dict[int, str], capture_us: int) -> str:
    """Return why a frame has no picture: a fault of the decoder, frames that are missing before it, or warnings."""
    if capture_us in faults:
        return faults[capture_us]
    gaps = [gap for gap in units.gaps if gap[0] < capture_us]
    if gaps:
        before, after = gaps[-1]
        return f"it depends on frames between {before} and {after} µs, which are missing"
    return "; ".join(units.take_warnings()) or "the decoder gives no picture for it"
