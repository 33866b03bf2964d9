# SPDX-License-Identifier: MPL-2.0
"""Decodes access units, and withholds pictures that may refer to damaged ones."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import av

__all__ = ["FedUnit", "PictureDecoder"]

_OPTIONS = {
    # Without it FFmpeg guesses the reorder depth of streams that do not declare it, and drops pictures that are late.
    "strict": "strict",
    # Data behind the last macroblock of a slice are an error.
    "err_detect": "aggressive",
}


@dataclass(frozen=True)
class FedUnit:
    """An access unit with its facts.

    Attributes
    ----------
    number : int
        Place in decoding order.
    data : bytes
        The access unit as Annex B byte stream.
    capture_us : int
        Capture time, in microseconds since the Unix epoch.
    is_keyframe : bool
        Decoding can begin here.
    is_hidden : bool
        Only the decoder needs it.
    is_corrupted : bool
        Slices of it, or pictures that it refers to, are missing.
    """

    number: int
    data: bytes
    capture_us: int
    is_keyframe: bool
    is_hidden: bool
    is_corrupted: bool


class PictureDecoder:
    """A decoder of H.264 that gives only pictures without known damage.

    FFmpeg conceals damage that it finds, and marks the picture when it is shown. Pictures that refer to it are not
    marked, and some of them are shown before it. Therefore a picture waits until all that precede it in decoding order
    were shown, which takes as many pictures as the stream reorders. From a damaged picture on in decoding order all are
    withheld until the next keyframe, with which the decoder starts again. H.264 has no checksums: changed bits that
    still are a valid stream are not found.

    The decoder has one thread, so that it works after a fork.

    Parameters
    ----------
    av : module
        PyAV.
    faults : dict of int to str
        Receives the reasons for which frames have no picture, by their capture times.
    """

    def __init__(self, av: Any, faults: dict[int, str]) -> None:
        self._av = av
        self._faults = faults
        self._decoder = self._av.CodecContext.create("h264", "r")
        self._decoder.thread_count = 1
        self._decoder.thread_type = "NONE"
        self._decoder.options = _OPTIONS
        # Without a picture yet, by number.
        self._pending: dict[int, FedUnit] = {}
        # Pictures in presentation order that are not released.
        self._held: deque[tuple[FedUnit, av.VideoFrame]] = deque()
        # From a keyframe on, as long as one before it is pending: the decoder may have to start again there.
        self._replay: list[FedUnit] = []
        self._damaged_from: int | None = None
        self._has_restarted = False

    def feed(self, unit: FedUnit) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """Take the next access unit in decoding order, and yield the pictures that are ready, without hidden ones."""
        while unit.is_keyframe and self._damaged_from is not None:
            self._drain()
            yield from self._restart()
        if self._replay or (unit.is_keyframe and self._pending):
            self._replay.append(unit)
        self._pending[unit.number] = unit
        packet = self._av.Packet(unit.data)
        packet.pts = unit.number
        try:
            frames = self._decoder.decode(packet)
        except self._av.error.InvalidDataError as error:
            self._faults[unit.capture_us] = f"the decoder refuses it: {error}"
            del self._pending[unit.number]
            self._note_damage(unit.number)
            frames = []
        for frame in frames:
            self._take(frame)
        yield from self._release()
        self._trim_replay()
        if self._place_after_damage() is not None:
            self._drain()
            yield from self._restart()

    def finish(self) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """End the stream, and yield the remaining pictures."""
        self._drain()
        while self._place_after_damage() is not None:
            yield from self._restart()
            self._drain()
        self._pending.clear()
        yield from self._release()

    def _drain(self) -> None:
        """Take all pictures of the decoder, which takes no access unit then until it is flushed."""
        for frame in self._decoder.decode(None):
            self._take(frame)

    def _restart(self) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """Release what precedes the damage, and decode the access units again that follow it from a keyframe on."""
        place = self._place_after_damage()
        units = [] if place is None else self._replay[place:]
        if units:
            first = units[0].number
            self._held = deque(item for item in self._held if item[0].number < first)
            self._pending = {number: unit for number, unit in self._pending.items() if number < first}
        for unit in self._pending.values():
            self._note_fault(unit)
        self._pending.clear()
        yield from self._release()
        self._decoder.flush_buffers()
        self._replay = []
        self._damaged_from = None
        self._has_restarted = True
        for unit in units:
            yield from self.feed(unit)

    def _take(self, frame: av.VideoFrame) -> None:
        """Take a picture in presentation order."""
        unit = self._pending.pop(frame.pts, None) if frame.pts is not None else None
        if unit is None:
            return
        if frame.is_corrupt:
            self._faults.setdefault(unit.capture_us, "the decoder marks the picture as corrupt")
            self._note_damage(unit.number)
        # Pictures that should have been shown earlier never will be.
        for late in [other for other in self._pending.values() if other.capture_us < unit.capture_us]:
            del self._pending[late.number]
            if self._has_restarted:
                self._note_fault(late)
        self._held.append((unit, frame))

    def _note_damage(self, number: int) -> None:
        self._damaged_from = number if self._damaged_from is None else min(self._damaged_from, number)

    def _note_fault(self, unit: FedUnit) -> None:
        if unit.is_corrupted:
            self._faults.setdefault(unit.capture_us, "slices of it, or pictures that it refers to, are missing")
        else:
            self._faults.setdefault(unit.capture_us, "pictures that it may refer to are damaged")

    def _release(self) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """Yield the pictures behind which nothing that precedes them in decoding order can be shown."""
        oldest = min(self._pending, default=None)
        while self._held and (oldest is None or oldest > self._held[0][0].number):
            unit, frame = self._held.popleft()
            is_after_damage = self._damaged_from is not None and unit.number >= self._damaged_from
            if unit.is_corrupted or is_after_damage:
                self._note_fault(unit)
            elif not unit.is_hidden:
                yield unit, frame

    def _trim_replay(self) -> None:
        """Drop the access units with which the decoder need not start again, as all before them were shown."""
        oldest = min(self._pending, default=None)
        while self._replay and (oldest is None or oldest >= self._replay[0].number):
            places = (place for place, unit in enumerate(self._replay) if place and unit.is_keyframe)
            self._replay = self._replay[next(places, len(self._replay)) :]

    def _place_after_damage(self) -> int | None:
        """Return the place of the first keyframe after the damage among the access units that can be fed again."""
        if self._damaged_from is None:
            return None
        first = self._damaged_from + 1
        places = (place for place, unit in enumerate(self._replay) if unit.is_keyframe and unit.number >= first)
        return next(places, None)
