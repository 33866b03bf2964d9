# SPDX-License-Identifier: MPL-2.0
"""Decoding timestamps of access units whose capture times are known, as the reader of entries makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

__all__ = ["DecodingTimes"]

_NS_IN_US = 1000
_MAX_REORDERING = 16
"""Largest number of frames that H.264 decodes before one that is shown earlier."""


class DecodingTimes:
    """Decoding timestamps of access units of files that follow each other.

    That of an access unit is the capture time of the frame that is shown so many places before it as frames are late.
    Where there is none, as at the beginning, the timestamps share the time that is left.
    """

    def __init__(self) -> None:
        self._delay = 0
        self._last_ns: int | None = None
        self._shown_us = np.empty(0, np.int64)

    def of_file(self, capture_us: npt.NDArray[np.int64], first_us: int) -> Iterator[int]:
        """Yield the decoding timestamps of the access units of a file, in nanoseconds since the Unix epoch.

        Those of frames that the file shows grow, and none is after the capture time of its access unit.

        Parameters
        ----------
        capture_us : ndarray of int64
            Capture times in microseconds since the Unix epoch, in decoding order, also of frames that the file hides.
            The last one is shown.
        first_us : int
            The first capture time that is shown, which is after those of the file before.
        """
        order = np.argsort(capture_us, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        lateness = int(np.max(np.arange(len(order)) - place, initial=0))
        self._delay = min(_MAX_REORDERING, max(self._delay, lateness))
        # Frames that a file hides may be as late as the first ones of the next file, or as early as the last ones of
        # the file before.
        before = self._shown_us[self._shown_us < first_us][-_MAX_REORDERING:]
        self._shown_us = np.maximum.accumulate(np.concatenate([before, capture_us[order]]))
        first = len(before)
        if self._last_ns is None and len(order) > 1:
            step = int(self._shown_us[1] - self._shown_us[0]) * _NS_IN_US
            # It is decoded as many places after the first access unit.
            self._last_ns = int(self._shown_us[0]) * _NS_IN_US - step * int(order[0])
            yield self._last_ns
            first += 1
        for index, time_us in zip(range(first, len(self._shown_us)), capture_us[first - len(before) :].tolist()):
            self._last_ns = self._next(index)
            # A hidden frame may have the same time as the next one that is shown.
            yield min(self._last_ns, time_us * _NS_IN_US)

    def _next(self, index: int) -> int:
        """Return the timestamp of the access unit with a number in the capture times that are known."""
        shown, last = self._shown_us, self._last_ns
        if last is None:
            return int(shown[0]) * _NS_IN_US
        for ahead in range(self._delay + 1):
            slot = index + ahead - self._delay
            # The first slot that is later than the last timestamp is shared by the access units up to its own one.
            if 0 <= slot < len(shown) and (room := int(shown[slot]) * _NS_IN_US - last) > ahead:
                return last + room // (ahead + 1)
        return last + 1
