# SPDX-License-Identifier: MPL-2.0
"""Access units of a recording, with timestamps from its first frame on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["AccessUnit", "from_first_frame"]


class AccessUnit(NamedTuple):
    """An access unit, in decoding order.

    Attributes
    ----------
    data : bytes
        The frame as Annex B byte stream.
    capture_us : int
        Capture time, in microseconds since the Unix epoch.
    pts, dts : int
        Presentation and decoding timestamps in nanoseconds. The first frame that is shown has the presentation
        timestamp 0, and the distances are those of the capture times. Decoding timestamps grow, and none is after its
        presentation timestamp. Some are negative in a part that begins within a group of pictures.
    is_keyframe : bool
        Decoding can begin here.
    is_corrupted : bool
        Slices of it, or pictures that it refers to, are missing; or pictures that are shown before it, so that its
        times may be those of another one.
    """

    data: bytes
    capture_us: int
    pts: int
    dts: int
    is_keyframe: bool
    is_corrupted: bool = False


def from_first_frame(units: Iterable[AccessUnit]) -> Iterator[AccessUnit]:
    """Yield access units with timestamps from the first frame that is shown on.

    The first ones wait until no frame that is decoded later can be shown before them.
    """
    waiting: list[AccessUnit] = []
    origin: int | None = None
    for unit in units:
        if origin is None:
            waiting.append(unit)
            first = min(each.pts for each in waiting)
            if unit.dts < first:
                continue
            origin = first
            yield from (_moved(each, origin) for each in waiting)
        else:
            yield _moved(unit, origin)
    if origin is None and waiting:
        origin = min(each.pts for each in waiting)
        yield from (_moved(each, origin) for each in waiting)


def _moved(unit: AccessUnit, origin: int) -> AccessUnit:
    return unit._replace(pts=unit.pts - origin, dts=unit.dts - origin)
