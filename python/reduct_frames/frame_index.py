# SPDX-License-Identifier: MPL-2.0
"""Index of the frames of a recording: their capture times and keyframes, in presentation order."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .lost_groups import after_lost_groups
from .times import PAUSE_CADENCES, SECOND_US

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["DEFAULT_TIME_SCALE", "FrameIndex", "Segment", "TrackColumns", "pauses"]

DEFAULT_TIME_SCALE = 90_000
"""Ticks per second where no frame rate is known, as in files of `reductepisodesplit`."""
_LATE_CADENCES = 1.5
"""A frame is late after more than so many frame distances."""


@dataclass(frozen=True)
class Segment:
    """An MP4 file with frames of a recording.

    Attributes
    ----------
    source : str
        Path of the file, or address of the record.
    record_us : int
        Time of its record, or capture time of its first frame, in microseconds since the Unix epoch.
    time_scale : int
        Ticks per second.
    height, width : int or None
        Size of its pictures in pixels, if it is known.
    """

    source: str
    record_us: int
    time_scale: int
    height: int | None = None
    width: int | None = None


@dataclass(frozen=True)
class TrackColumns:
    """Places and times of frames in their files.

    Attributes
    ----------
    segments : tuple of Segment
        The files.
    segment, local : ndarray of int64, shape (n,)
        Index of the file, and index of the frame in it in presentation order.
    pts, duration : ndarray of int64, shape (n,)
        Presentation timestamps and durations in ticks of the file.
    offset, size : ndarray of int64, shape (n,)
        Place of the sample in the file, and its size, in bytes.
    """

    segments: tuple[Segment, ...]
    segment: npt.NDArray[np.int64]
    local: npt.NDArray[np.int64]
    pts: npt.NDArray[np.int64]
    duration: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]


@dataclass(frozen=True)
class FrameIndex:
    """Frames of a recording in presentation order.

    Attributes
    ----------
    capture_us : ndarray of int64, shape (n,)
        Capture times in microseconds since the Unix epoch, rising.
    keyframe : ndarray of bool, shape (n,)
        Frames with which decoding can begin.
    declared_fps : float or None
        Frame rate that the labels of the records declare.
    by_labels : bool
        The index was made of labels, and the contents were not read.
    gaps : list of (int, int)
        Capture times of the last frame before missing ones and of the first one after them, in microseconds.
    time_scale : int
        Ticks per second of a file with these frames.
    record_us : ndarray of int64, shape (n,), or None
        Times of the records in which the frames begin, in microseconds since the Unix epoch. None for MP4 files.
    size : ndarray of int64, shape (n,), or None
        Sizes of the access units in bytes, if the contents were read.
    track : TrackColumns or None
        Places and times in MP4 files, if the frames are in some.
    """

    capture_us: npt.NDArray[np.int64]
    keyframe: npt.NDArray[np.bool_]
    declared_fps: float | None = None
    by_labels: bool = False
    gaps: list[tuple[int, int]] = field(default_factory=list)
    time_scale: int = DEFAULT_TIME_SCALE
    record_us: npt.NDArray[np.int64] | None = None
    size: npt.NDArray[np.int64] | None = None
    track: TrackColumns | None = None

    @classmethod
    def from_headers(cls, columns: dict[str, bytes], declared_fps: float | None, time_scale: int) -> FrameIndex | None:
        """Return the index by the headers of records, or None if these do not show that each record has one frame.

        A writer of one access unit per record marks each with a label ``keyframe``, of which some are false. In records
        of groups of pictures all labels are true.
        """
        keyframe = np.frombuffer(columns["keyframe"], np.int8)
        if len(keyframe) and (np.any(keyframe < 0) or np.all(keyframe == 1)):
            return None
        times = np.frombuffer(columns["capture_us"], np.int64)
        return cls(
            times,
            keyframe == 1,
            declared_fps,
            by_labels=True,
            gaps=pauses(times),
            time_scale=time_scale,
            record_us=times,
        )

    @classmethod
    def from_contents(
        cls, columns: dict[str, bytes], gaps: list[tuple[int, int]], declared_fps: float | None, time_scale: int
    ) -> FrameIndex:
        """Return the index of frames that were read, in decoding order."""
        times = np.frombuffer(columns["capture_us"], np.int64)
        order = np.argsort(times, kind="stable")
        keyframe = np.frombuffer(columns["keyframe"], np.int8) == 1
        record_us, size = (np.frombuffer(columns[name], np.int64)[order] for name in ("record_us", "size"))
        return cls(
            times[order],
            keyframe[order],
            declared_fps,
            gaps=gaps,
            time_scale=time_scale,
            record_us=record_us,
            size=size,
        )

    def samples(self) -> list[tuple[int, int]]:
        """Return the indices of the first frame and the last one of a few parts by which labels are verified.

        They are the first keyframe, two in the middle, and the last one with all frames after it. Where the next frame
        is late, as it is after a record of several frames, one such frame is a part, with those before it from its
        keyframe on.
        """
        keyframes = np.flatnonzero(self.keyframe).tolist()
        if not keyframes:
            return []
        frame_us = SECOND_US / self.declared_fps if self.declared_fps else self.cadence_us or 0
        late = np.flatnonzero(np.diff(self.capture_us) > _LATE_CADENCES * frame_us)
        late = late[late >= keyframes[0]].tolist()
        middle = len(keyframes) // 2
        parts = {(keyframe, keyframe) for keyframe in (keyframes[0], *keyframes[middle : middle + 2])}
        parts |= {(self.keyframe_before(frame), frame) for frame in late[len(late) // 2 :][:1]}
        return sorted({*parts, (keyframes[-1], len(self) - 1)})

    def __len__(self) -> int:
        return len(self.capture_us)

    @cached_property
    def cadence_us(self) -> float | None:
        """Median distance of two frames in microseconds, or None for fewer than two."""
        return cadence_us(self.capture_us)

    @cached_property
    def after_lost_groups(self) -> npt.NDArray[np.bool_]:
        """Frames that may refer to groups of pictures that are lost; none of MP4 files, which have no such holes."""
        if self.track is not None:
            return np.zeros(len(self), np.bool_)
        return after_lost_groups(self.capture_us, self.keyframe)

    def groups(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Split rising indices of frames into those of each group of pictures."""
        return _split(indices, np.diff(self._group_of(indices)) != 0)

    def runs(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Split rising indices of frames into runs that one reader decodes each.

        Frames of one group of pictures are in one run, and so are those of the groups after it if no frame between them
        is left out. Each MP4 file has runs of its own.
        """
        is_split_after = (np.diff(self._group_of(indices)) != 0) & (np.diff(indices) != 1)
        if self.track is not None:
            is_split_after |= np.diff(self.track.segment[indices]) != 0
        return _split(indices, is_split_after)

    def keyframe_before(self, index: int) -> int:
        """Return the index of the first frame of the group of pictures of a frame."""
        return int(np.searchsorted(self._groups, self._groups[index]))

    def keyframe_after(self, index: int) -> int:
        """Return the index after the last frame of the group of pictures of a frame."""
        return int(np.searchsorted(self._groups, self._groups[index], side="right"))

    def _group_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._groups[indices]

    @cached_property
    def _groups(self) -> npt.NDArray[np.int64]:
        """Number of the group of pictures of each frame."""
        begins = self.keyframe.copy()
        if self.track is not None:
            begins[1:] |= np.diff(self.track.segment) != 0
        return np.cumsum(begins, dtype=np.int64)


def _split(indices: npt.NDArray[np.int64], is_split_after: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    return np.split(indices, np.flatnonzero(is_split_after) + 1) if len(indices) else []


def cadence_us(times: npt.NDArray[np.int64]) -> float | None:
    """Return the median distance of times in microseconds, or None for fewer than two."""
    return float(np.median(np.diff(times))) if len(times) > 1 else None


def pauses(times: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the capture times around each pause, in microseconds."""
    cadence = cadence_us(times)
    if cadence is None:
        return []
    before = np.flatnonzero(np.diff(times) > PAUSE_CADENCES * cadence)
    return [(int(times[index]), int(times[index + 1])) for index in before]
