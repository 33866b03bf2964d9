# SPDX-License-Identifier: MPL-2.0
"""Reads samples of MP4 files as access units."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Callable

import numpy as np

from .decoding_times import DecodingTimes
from .errors import CancelledError, IndexMismatchError, StreamError
from .mp4_frames import Samples, from_ticks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from ._core import Canceller, Mp4Track, Unit
    from .frame_index import FrameIndex, Segment, TrackColumns

__all__ = ["Mp4File", "Mp4UnitSource", "Mp4Units", "OpenFile", "TrackSamples"]

_SECOND_NS = 1_000_000_000
_NS_IN_US = 1000


@dataclass(frozen=True)
class Places:
    """Places of samples in the order in which they are shown.

    Attributes
    ----------
    samples : Samples
        The samples, with the timestamps of their places.
    rank : ndarray of int64, shape (n,)
        Place of each sample.
    instead : ndarray of int64, shape (n,), or None
        Sample that is shown in the place of each by its own timestamp; None if all timestamps are right.
    """

    samples: Samples
    rank: npt.NDArray[np.int64]
    instead: npt.NDArray[np.int64] | None


class TrackSamples:
    """The video track of a file with its samples, without the file."""

    def __init__(self, track: Mp4Track) -> None:
        self.track = track
        self.samples = Samples.of(track)
        self._places: Places | None = None

    @cached_property
    def _by_offset(self) -> npt.NDArray[np.int64]:
        return np.argsort(self.samples.offset).astype(np.int64)

    def find(self, offset: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Return the numbers of samples by their places and sizes, or None if the file has other ones."""
        samples, order = self.samples, self._by_offset
        if not len(order):
            return None
        places = np.searchsorted(samples.offset, offset, sorter=order)
        numbers = order[np.minimum(places, len(order) - 1)]
        is_found = (samples.offset[numbers] == offset) & (samples.size[numbers] == size)
        return numbers if np.all(is_found) else None

    def places(self, read: Callable[[int], bytes]) -> Places:
        """Return where samples are shown.

        Where the ticks of a file are too coarse for its frames, some share one, and the muxer may have moved others.
        Only the stream knows their order then, for which all samples are read. Otherwise timestamps say it.

        Parameters
        ----------
        read : callable
            Returns a sample by its number.
        """
        if self._places is None:
            self._places = self._find_places(read)
        return self._places

    def _find_places(self, read: Callable[[int], bytes]) -> Places:
        samples = self.samples
        by_time = np.argsort(samples.pts, kind="stable")
        rank = np.empty_like(by_time)
        rank[by_time] = np.arange(len(by_time))
        if np.all(np.diff(samples.pts[by_time])):
            return Places(samples, rank, None)
        columns = self.track.output_order(read(number) for number in range(len(by_time)))
        if columns is None:
            return Places(samples, rank, None)
        sequence, count = (np.frombuffer(columns[name], np.int64) for name in ("sequence", "count"))
        by_order = np.lexsort((count, sequence))
        instead, pts = np.empty_like(by_order), np.empty_like(samples.pts)
        rank[by_order] = np.arange(len(by_order))
        instead[by_time] = by_order
        pts[by_order] = samples.pts[by_time]
        return Places(replace(samples, pts=pts), rank, instead)


class Mp4File:
    """An MP4 file that can be read.

    Parameters
    ----------
    source : str
        Path of the file, or address of its record.
    content : TrackSamples
        Its track.
    read : callable
        Returns bytes of the file from a place on, as many as a number says, or fewer at the end of the file.
    """

    def __init__(self, source: str, content: TrackSamples, read: Callable[[int, int], bytes]) -> None:
        self.source = source
        self.track = content.track
        self._content = content
        self._read = read
        self._places = content.places(self._sample)
        self.samples = self._places.samples

    def find(self, track: TrackColumns, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of the samples of frames of the index.

        Raises
        ------
        IndexMismatchError
            If the file has not the samples that the index names.
        """
        numbers = self._content.find(track.offset[frames], track.size[frames])
        if numbers is None:
            raise IndexMismatchError(f"The index of {self.source} is that of another file")
        if self._places.instead is None:
            return numbers
        # Rows of a file's headers have the order of its timestamps. Those of its writer may have the right one.
        rows = np.flatnonzero(track.segment == track.segment[frames[0]])
        of_rows = self._content.find(track.offset[rows], track.size[rows])
        is_right = of_rows is not None and np.all(np.diff(self._places.rank[of_rows]) > 0)
        return numbers if is_right else self._places.instead[numbers]

    def access_unit(self, number: int, with_sets: bool = False) -> tuple[bytes, bool, bool]:
        """Return a sample as Annex B byte stream, and the facts that decoding can begin with it and that it is whole.

        Raises
        ------
        StreamError
            If the file ends within the sample.
        """
        return self.track.access_unit(self._sample(number), with_sets)

    def _sample(self, number: int) -> bytes:
        samples = self._content.samples
        size = int(samples.size[number])
        sample = self._read(int(samples.offset[number]), size)
        if len(sample) != size:
            raise StreamError(f"{self.source} ends within a sample")
        return sample

    def entry(self, numbers: npt.NDArray[np.int64]) -> int:
        """Return the number of the sample with which decoding begins for other ones.

        Pictures that are shown before a keyframe and decoded after it may need what precedes it, and so may a keyframe
        that only begins a refresh.
        """
        samples = self.samples
        first, earliest = int(numbers.min()), int(samples.pts[numbers].min())
        for keyframe in np.flatnonzero(samples.keyframe[: first + 1])[::-1].tolist():
            if samples.pts[keyframe] <= earliest and self.access_unit(keyframe)[1]:
                return int(keyframe)
        return 0


OpenFile = Callable[["Segment"], "AbstractContextManager[Mp4File]"]


class Mp4Units:
    """Reader of frames of files, in decoding order, with those that only a decoder needs as hidden ones.

    Parameters
    ----------
    index : FrameIndex
        Index of the frames.
    first_us, last_us : int
        Capture times of the first frame and the last one, in microseconds since the Unix epoch.
    open_file : callable
        Opens a file as a context, which closes it.
    canceller : Canceller, optional
        Ends reading.
    """

    def __init__(
        self, index: FrameIndex, first_us: int, last_us: int, open_file: OpenFile, canceller: Canceller | None
    ) -> None:
        first = int(np.searchsorted(index.capture_us, first_us))
        last = int(np.searchsorted(index.capture_us, last_us, side="right"))
        self._index = index
        self._frames = np.arange(first, last)
        self._open_file = open_file
        self._canceller = canceller
        self._process = os.getpid()

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """An empty list: frames that a file lacks are not known."""
        return []

    def take_warnings(self) -> list[str]:
        """Return an empty list: whatever is wrong with a file is an error."""
        return []

    def __iter__(self) -> Iterator[Unit]:
        track = self._index.track
        if track is None or not len(self._frames):
            return
        numbers = track.segment[self._frames]
        decoding_times = DecodingTimes()
        for frames in np.split(self._frames, np.flatnonzero(np.diff(numbers)) + 1):
            segment = track.segments[int(track.segment[frames[0]])]
            with self._open_file(segment) as file:
                yield from self._read(file, file.find(track, frames), self._index.capture_us[frames], decoding_times)

    def _read(
        self,
        file: Mp4File,
        numbers: npt.NDArray[np.int64],
        capture_us: npt.NDArray[np.int64],
        decoding_times: DecodingTimes,
    ) -> Iterator[Unit]:
        """Read the samples of frames, and those before them and between them that are not wanted."""
        samples, scale = file.samples, file.track.time_scale
        shown = set(numbers.tolist())
        first, last = file.entry(numbers), int(numbers.max())
        times_us = _between(samples.pts[first : last + 1], samples.pts[numbers], capture_us, scale)
        times_us[numbers - first] = capture_us
        # Timestamp from which frames do not depend on a sample that is broken.
        right_from: float = -math.inf
        all_dts = decoding_times.of_file(times_us, int(capture_us[0]))
        for number, time_us, dts in zip(range(first, last + 1), times_us.tolist(), all_dts):
            self._check_process()
            if self._canceller is not None and self._canceller.is_cancelled:
                raise CancelledError("the read was cancelled")
            is_keyframe = bool(samples.keyframe[number])
            data, is_entry, is_whole = file.access_unit(number, with_sets=number == first or is_keyframe)
            if not is_whole:
                right_from = math.inf
            elif is_keyframe and is_entry and right_from == math.inf:
                right_from = float(samples.pts[number])
            yield (
                data,
                time_us,
                time_us * _NS_IN_US,
                dts,
                _to_ns(int(samples.duration[number]), scale),
                is_keyframe,
                number not in shown,
                bool(samples.pts[number] < right_from),
            )

    def _check_process(self) -> None:
        """Raise RuntimeError in a forked process, whose parent reads the same open file."""
        if self._process != os.getpid():
            raise RuntimeError("The iteration was begun in another process, before a fork: begin one in this process")


def _between(
    pts: npt.NDArray[np.int64], known: npt.NDArray[np.int64], capture_us: npt.NDArray[np.int64], scale: int
) -> npt.NDArray[np.int64]:
    """Return capture times for timestamps in ticks, of which some are known, in the order of presentation."""
    before = np.clip(np.searchsorted(known, pts, side="right") - 1, 0, len(known) - 1)
    times: npt.NDArray[np.int64] = capture_us[before] + from_ticks(pts - known[before], scale)
    # Pauses may be shorter in a file than they were, and ticks are rounded.
    after = np.searchsorted(known, pts)
    limits = np.append(capture_us, np.iinfo(np.int64).max)[after]
    np.minimum(times, limits, out=times)
    return times


def _to_ns(ticks: int, scale: int) -> int:
    """Return ticks in nanoseconds, to the nearest."""
    return (ticks * _SECOND_NS + scale // 2) // scale


class Mp4UnitSource(ABC):
    """A source of the frames of MP4 files, by the index of all of them."""

    @property
    def codec(self) -> str | None:
        """Codec: ``"h264"``."""
        return "h264"

    @abstractmethod
    def load_index(self) -> FrameIndex:
        """Return the index of the frames."""

    @abstractmethod
    def open_file(self, segment: Segment, canceller: Canceller | None) -> AbstractContextManager[Mp4File]:
        """Open a file as a context, which closes it."""

    def units(
        self,
        first_us: int,
        last_us: int,
        canceller: Canceller | None = None,
        *,
        keyframe_us: int | None = None,  # noqa: ARG002 - the table of samples has it
    ) -> Mp4Units:
        """Return a reader of the frames from one capture time to another, both included."""
        open_file = partial(self.open_file, canceller=canceller)
        return Mp4Units(self.load_index(), first_us, last_us, open_file, canceller)

    def all_units(self, canceller: Canceller | None = None) -> Mp4Units:
        """Return a reader of all frames."""
        times = self.load_index().capture_us
        return self.units(int(times[0]), int(times[-1]), canceller) if len(times) else self.units(1, 0, canceller)
