# SPDX-License-Identifier: MPL-2.0
"""Checks of arguments."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

__all__ = ["check_choice", "frame_indices", "picture_size", "whole_number"]

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


def frame_indices(indices: Iterable[int], count: int) -> npt.NDArray[np.int64]:
    """Return indices of frames, from -n to n - 1, as indices from 0 on.

    Raises
    ------
    IndexError
        If there is no such frame.
    """
    asked = [operator.index(index) for index in indices]
    for index in asked:
        if not -count <= index < count:
            raise IndexError(f"There is no frame {index}, as the recording has {count}")
    return np.array([index + count if index < 0 else index for index in asked], np.int64)
