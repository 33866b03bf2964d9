# SPDX-License-Identifier: MPL-2.0
"""Checks of arguments."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, SupportsIndex, cast

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "Indices",
    "Size",
    "check_choice",
    "frame_indices",
    "picture_size",
    "real_number",
    "whole_number",
    "worker_count",
]

Indices = Iterable[SupportsIndex]
"""Indices of frames, or a mask: a value of bool for each frame."""
Size = Iterable[SupportsIndex]
"""Height and width in pixels."""

_MAX_PIXELS = 2**31 - 1
"""Largest height and width that FFmpeg can count."""


def check_choice(name: str, value: object, *choices: str) -> None:
    """Raise ValueError if an argument has none of the values that it may have."""
    if value not in choices:
        *others, last = (repr(choice) for choice in choices)
        raise ValueError(f"{name} is {value!r}, not {', '.join(others)} or {last}")


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return an argument that is a whole number.

    Raises
    ------
    TypeError
        If it is no ``int``.
    ValueError
        If it is less than `least` or more than `most`.
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, not a whole number")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {value!r}, not a whole number") from None
    if number < least or (most is not None and number > most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {value!r}, not {limits}")
    return number


def real_number(name: str, value: object) -> float:
    """Return an argument that is a number of seconds.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is NaN, or too large.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}, not a number")
    try:
        number = float(cast("float", value))
    except OverflowError:
        raise ValueError(f"{name} is {value!r}, which is too large") from None
    if math.isnan(number):
        raise ValueError(f"{name} is {number}, not a number of seconds")
    return number


def worker_count(workers: int | None) -> int:
    """Return the number of threads by the argument `workers`: that of the processors by default."""
    return (os.cpu_count() or 1) if workers is None else whole_number("workers", workers, 1)


def picture_size(name: str, size: object) -> tuple[int, int]:
    """Return an argument that is a height and a width in pixels.

    Raises
    ------
    TypeError
        If it is no sequence, or has other things than ``int``.
    ValueError
        If it has not two numbers of at least 1.
    """
    try:
        values: tuple[object, ...] = tuple(size)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {size!r}, not a height and a width") from None
    if len(values) != 2:  # noqa: PLR2004
        raise ValueError(f"{name} is {size!r}, not a height and a width")
    height, width = (whole_number(name, value, 1, _MAX_PIXELS) for value in values)
    return height, width


def frame_indices(indices: Indices, count: int) -> npt.NDArray[np.int64]:
    """Return indices of frames from 0 on, of indices from -n to n - 1, or of a mask.

    Raises
    ------
    IndexError
        If there is no such frame, or a mask has another length.
    TypeError
        If only some of the values are bool.
    """
    values = indices if isinstance(indices, np.ndarray) else list(indices)
    are_bool = [isinstance(value, (bool, np.bool_)) for value in values]
    if any(are_bool):
        if not all(are_bool):
            raise TypeError("Some of the indices are bool, and some are not")
        if len(values) != count:
            raise IndexError(f"The mask has {len(values)} values, and the recording {count} frames")
        return np.flatnonzero(np.asarray(values, np.bool_))
    asked = [operator.index(index) for index in values]
    for index in asked:
        if not -count <= index < count:
            raise IndexError(f"There is no frame {index}, as the recording has {count}")
    return np.array([index + count if index < 0 else index for index in asked], np.int64)
