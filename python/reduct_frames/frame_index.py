# SPDX-License-Identifier: MPL-2.0
"""Index of the frames of a recording: their capture times and keyframes, in presentation order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FrameIndex"]

PAUSE_CADENCES = 2.5
"""A pause is more than so many frame distances."""


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
    """

    capture_us: npt.NDArray[np.int64]
    keyframe: npt.NDArray[np.bool_]
    declared_fps: float | None = None
    by_labels: bool = False
    gaps: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def from_headers(cls, columns: dict[str, bytes], declared_fps: float | None) -> FrameIndex | None:
        """Return the index by the headers of records, or None if these do not show that each record has one frame.

        A writer of one access unit per record marks each with a label ``keyframe``, of which some are false. In records
        of groups of pictures all labels are true.
        """
        keyframe = np.frombuffer(columns["keyframe"], np.int8)
        if len(keyframe) and (np.any(keyframe < 0) or np.all(keyframe == 1)):
            return None
        times = np.frombuffer(columns["capture_us"], np.int64)
        return cls(times, keyframe == 1, declared_fps, by_labels=True, gaps=pauses(times))

    @classmethod
    def from_contents(
        cls, columns: dict[str, bytes], gaps: list[tuple[int, int]], declared_fps: float | None
    ) -> FrameIndex:
        """Return the index of frames that were read, in decoding order."""
        times = np.frombuffer(columns["capture_us"], np.int64)
        order = np.argsort(times, kind="stable")
        keyframe = np.frombuffer(columns["keyframe"], np.int8) == 1
        return cls(times[order], keyframe[order], declared_fps, gaps=gaps)

    def __len__(self) -> int:
        return len(self.capture_us)

    @property
    def cadence_us(self) -> float | None:
        """Median distance of two frames in microseconds, or None for fewer than two."""
        return cadence_us(self.capture_us)

    def groups(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Split rising indices of frames into those of each group of pictures."""
        return _split(indices, np.diff(self._group_of(indices)) != 0)

    def runs(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Split rising indices of frames into runs that one reader decodes each.

        Frames of one group of pictures are in one run, and so are those of the groups after it if no frame between them
        is left out.
        """
        return _split(indices, (np.diff(self._group_of(indices)) != 0) & (np.diff(indices) != 1))

    def _group_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.cumsum(self.keyframe, dtype=np.int64)[indices]


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
