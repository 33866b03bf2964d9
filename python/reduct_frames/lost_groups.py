# SPDX-License-Identifier: MPL-2.0
"""Finds pauses in which frames may have been lost, by the times of frames and the lengths of groups of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .times import PAUSE_CADENCES

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["after_lost_groups"]

_NEAR = 0.2
"""Largest relative difference of distances that count as equal."""
_MIN_STEADY = 0.8
"""Part of the distances without pauses that are near the cadence if it is steady, and of the groups of one length."""
_MIN_GROUPS = 2
"""Number of groups at the beginning whose pauses are those of the camera, and of pauses that make others likely."""


def after_lost_groups(times_us: npt.NDArray[np.int64], keyframe: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the frames between such a pause and the next keyframe, which may refer to lost ones.

    After the loss of as many access units as groups have, ``frame_num`` and the picture order count continue as if
    nothing was missing: the rule of the elements (``docs/time.md``, Gaps), for readers of single groups. ``frame_num``
    of few bits may continue after any loss: a group with a pause has to have as many frames as the others.

    Parameters
    ----------
    times_us : ndarray of int64, shape (n,)
        Capture times in presentation order, in microseconds.
    keyframe : ndarray of bool, shape (n,)
        Frames with which decoding can begin.

    Returns
    -------
    ndarray of bool, shape (n,)
        The frames.
    """
    found = np.zeros(len(times_us), np.bool_)
    begins = np.flatnonzero(keyframe)
    if len(begins) <= _MIN_GROUPS:
        return found
    distances = np.diff(times_us)
    cadence = float(np.median(distances))
    is_pause = distances > PAUSE_CADENCES * cadence
    has_pause = np.add.reduceat(is_pause[: begins[-1]], begins[:-1]) > 0
    lengths, counts = np.unique(np.diff(begins)[~has_pause], return_counts=True)
    if not len(lengths):
        return found
    length = int(lengths[np.argmax(counts)])
    is_steady = np.abs(distances - cadence) <= _NEAR * cadence
    others = np.count_nonzero(~is_pause)
    is_constant = counts.max() >= max(_MIN_STEADY * counts.sum(), _MIN_GROUPS)
    if length < 2 or not is_constant or np.count_nonzero(is_steady) < _MIN_STEADY * others:  # noqa: PLR2004
        return found
    missing = np.maximum(np.rint(distances / cadence).astype(np.int64) - 1, 0)
    expected = distances[: begins[_MIN_GROUPS]][is_pause[: begins[_MIN_GROUPS]]]
    for before in np.flatnonzero(is_pause & ~keyframe[1:]).tolist():
        group = int(np.searchsorted(begins, before, side="right"))
        end = int(begins[group]) if group < len(begins) else len(found)
        like = np.abs(expected - distances[before]) <= _NEAR * distances[before]
        # With B-frames, frames that are lost and others alternate at the end of the pause.
        is_whole = missing[before:end].sum() % length == 0
        present = end - int(begins[group - 1]) if group else length
        is_other = present > length or (present < length and group < len(begins))
        if (is_whole or is_other) and np.count_nonzero(like) < _MIN_GROUPS:
            found[before + 1 : end] = True
    return found
