# SPDX-License-Identifier: MPL-2.0
"""Times as arguments, converted to microseconds since the Unix epoch."""

from __future__ import annotations

import numbers
from datetime import datetime, timezone
from typing import Any, Union

import numpy as np

from ._core import parse_time

__all__ = ["PAUSE_CADENCES", "SECOND_US", "Time", "to_us"]

SECOND_US = 1_000_000
PAUSE_CADENCES = 2.5
"""A pause is more than so many frame distances."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SHORT_UNITS = ("us", "ns", "ps", "fs", "as")
"""Units of NumPy whose counts do not grow in microseconds."""
_FIRST_US, _LAST_US = -(2**62), 2**63 - 1
"""Limits of times, whose distance to a capture time 64 bits can count."""
_TOO_FAR = "it is too far from the Unix epoch"

Time = Union[int, float, str, datetime, np.datetime64, "np.integer[Any]", "np.floating[Any]"]
"""A point in time.

An ``int`` counts microseconds since the Unix epoch, as ReductStore does. A ``float`` counts seconds since the origin of
a recording. A ``str`` is a time by RFC 3339, a ``datetime`` has a time zone, and a ``datetime64`` is in UTC.
"""


def to_us(time: Time, origin_us: int | None = None) -> int:
    """Return a time in microseconds since the Unix epoch.

    Parameters
    ----------
    time : Time
        The time.
    origin_us : int, optional
        Origin from which a ``float`` counts. Without one, a ``float`` is an error.

    Returns
    -------
    int
        Microseconds since the Unix epoch. Fractions are rounded to the nearest one.

    Raises
    ------
    TypeError
        If it is a ``float`` and there is no origin, or no time at all.
    ValueError
        If it is no time by RFC 3339, not finite, more than 64 bits count, or a ``datetime`` without a time zone.
    """
    time_us = _to_us(time, origin_us)
    if not _FIRST_US <= time_us <= _LAST_US:
        raise ValueError(f"{time!r} is no time: {_TOO_FAR}")
    return time_us


def _to_us(time: Time, origin_us: int | None) -> int:
    """Return a time as :func:`to_us`, however far it is."""
    if isinstance(time, (bool, np.bool_)):
        raise TypeError(f"{time!r} is no time")
    if isinstance(time, numbers.Integral):
        return int(time)
    if isinstance(time, str):
        return parse_time(time)
    if isinstance(time, np.datetime64):
        if np.isnat(time):
            raise ValueError("NaT is no time")
        return _datetime64_us(time)
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise ValueError(f"{time} has no time zone")
        since = time - _EPOCH
        return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds
    if isinstance(time, numbers.Real):
        if origin_us is None:
            raise TypeError(f"{time!r} counts seconds since the origin of a recording, which is not known here")
        if not np.isfinite(float(time)):
            raise ValueError(f"{time!r} is no time")
        return origin_us + round(float(time) * SECOND_US)
    raise TypeError(f"{time!r} is no time")


def _datetime64_us(time: np.datetime64) -> int:
    """Return a time of NumPy, which does not notice when 64 bits do not count it in a shorter unit."""
    converted = time.astype("datetime64[us]")
    unit, _ = np.datetime_data(time.dtype)
    if unit not in _SHORT_UNITS and converted.astype(time.dtype) != time:
        raise ValueError(f"{time!r} is no time: {_TOO_FAR}")
    return int(converted.astype(np.int64))
