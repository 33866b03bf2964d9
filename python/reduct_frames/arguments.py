# SPDX-License-Identifier: MPL-2.0
"""Checks of arguments."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

__all__ = ["check_choice", "frame_indices"]


def check_choice(name: str, value: object, *choices: str) -> None:
    """Raise ValueError if an argument has none of the values that it may have."""
    if value not in choices:
        *others, last = (repr(choice) for choice in choices)
        raise ValueError(f"{name} is {value!r}, not {', '.join(others)} or {last}")


def frame_indices(indices: Iterable[int], count: int) -> npt.NDArray[np.int64]:
    """Return indices of frames, from -n to n - 1, as indices from 0 on.

    Raises
    ------
    IndexError
        If there is no such frame.
    """
    asked = np.fromiter((operator.index(index) for index in indices), np.int64)
    for index in asked[(asked < -count) | (asked >= count)][:1]:
        raise IndexError(f"There is no frame {index}, as the recording has {count}")
    return np.where(asked < 0, asked + count, asked)
