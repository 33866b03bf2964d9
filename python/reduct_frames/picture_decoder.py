# SPDX-License-Identifier: MPL-2.0
"""Decodes access units, and withholds pictures that may refer to damaged ones."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import av

__all__ = ["FedUnit", "PictureDecoder", "is_idr"]

_OPTIONS = {
    # Without it FFmpeg guesses the reorder depth of streams that do not declare it, and drops pictures that are late.
    "strict": "strict",
    # Data behind the last macroblock of a slice are an error.
    "err_detect": "aggressive",
}
_LACKS = (
    "slices of it, pictures that it refers to, or pictures that are shown before it are missing, or not recorded yet"
)
_START_CODE = b"\0\0\1"
_SLICE_TYPES = range(1, 6)
_IDR_SLICE_TYPE = 5
_I_SLICE_HEADERS = {bytes([header]) for header in (*range(0b1011_0000, 0b1100_0000), 0b1000_1000)}
"""First byte of the header of a first I slice: the codes of first_mb_in_slice 0, and of slice_type 2 or 7."""
_PARAMETER_SET_TYPES = (7, 8, 13, 15)
_MISSING_REFERENCES = "pictures that it may refer to are missing"
_DAMAGED_REFERENCES = "pictures that it may refer to are damaged"


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
        Slices of it, or pictures that it refers to, are missing; or pictures that are shown before it, so that its
        capture time may be that of another one.
    """

    number: int
    data: bytes
    capture_us: int
    is_keyframe: bool
    is_hidden: bool
    is_corrupted: bool

    @cached_property
    def is_idr(self) -> bool:
        """It is an IDR picture: none from it on refers to a picture before it."""
        return is_idr(self.data)

    @cached_property
    def begins_refresh(self) -> bool:
        """If it is a keyframe: it only begins a refresh, as its first slice is no I slice."""
        *_, nal = [b"", *_nals_to_first_slice(self.data)]
        return nal[len(_START_CODE) + 1 :] not in _I_SLICE_HEADERS


class PictureDecoder:
    """A decoder of H.264 that gives only pictures without known damage.

    FFmpeg conceals damage that it finds, and marks the picture when it is shown. Pictures that refer to it are not
    marked, and some of them are shown before it. Therefore a picture waits until all that precede it in decoding order
    were shown, which takes as many pictures as the stream reorders. From a damaged picture on in decoding order all are
    withheld until the next keyframe, with which the decoder starts again. A picture that the decoder does not show
    counts as damaged. H.264 has no checksums: changed bits that still are a valid stream are not found.

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
        self._decoder = self._create_decoder()
        # Those of the access units so far, the latest last.
        self._parameter_sets: dict[bytes, None] = {}
        # Not shown yet, by number, in decoding order.
        self._pending: dict[int, FedUnit] = {}
        # In decoding order from the first pending one on. The decoder may have to start again with one of them.
        self._fed: deque[FedUnit] = deque()
        # Shown, in presentation order.
        self._held: deque[tuple[FedUnit, av.VideoFrame]] = deque()
        self._damaged_from: int | None = None
        # Between damage and the next keyframe.
        self._is_skipping = False
        # The decoder has started, and no picture from then on is known to be right.
        self._is_recovering = False
        # Why pictures are withheld that may refer to some before the start, or to damaged ones.
        self._fault = _MISSING_REFERENCES
        self._has_begun = False
        # It has started again, and had no access unit yet: it needs the parameter sets.
        self._is_fresh = False

    def feed(self, unit: FedUnit) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """Take the next access unit in decoding order, and yield the pictures that are ready, without hidden ones."""
        if not self._has_begun:
            self._has_begun = True
            # Pictures that are shown before any other keyframe may refer to what precedes it.
            self._is_recovering = not unit.is_idr
        for nal in _parameter_sets(unit.data):
            self._parameter_sets.pop(nal, None)
            self._parameter_sets[nal] = None
        if self._is_skipping and not unit.is_keyframe:
            self._note_fault(unit)
            return
        self._is_skipping = False
        self._fed.append(unit)
        self._pending[unit.number] = unit
        if unit.data:
            self._decode(unit)
        else:
            # FFmpeg takes an empty packet for the end of the stream.
            self._note_damage(unit, "it has no content")
        if self._damaged_from is not None:
            self._drain()
        yield from self._proceed()

    def finish(self) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """End the stream, and yield the remaining pictures."""
        while self._fed:
            self._drain()
            yield from self._proceed()

    def begin_anew(self) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """Begin anew with the next keyframe, and yield the remaining pictures before it.

        The decoder would drop them if the order of pictures begins anew without an IDR picture.
        """
        yield from self.finish()
        self._start_again(_MISSING_REFERENCES)

    def _start_again(self, fault: str) -> None:
        # After an error FFmpeg has coefficients left that spoil the next pictures, even an IDR picture after a flush.
        self._decoder = self._create_decoder()
        self._fault = fault
        self._is_fresh = True
        self._damaged_from = None
        self._is_skipping = self._is_recovering = True

    def _proceed(self) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """Yield the pictures that are ready. Start again after damage, for which the decoder was drained."""
        return self._release() if self._damaged_from is None else self._restart(self._damaged_from)

    def _decode(self, unit: FedUnit) -> None:
        sets = self._parameter_sets if self._is_fresh else ()
        packet = self._av.Packet(b"".join([*sets, unit.data]))
        packet.pts = unit.number
        self._is_fresh = False
        try:
            self._take(self._decoder.decode(packet))
        except self._av.error.InvalidDataError as error:
            self._note_damage(unit, f"the decoder refuses it: {error}")

    def _create_decoder(self) -> Any:
        decoder = self._av.CodecContext.create("h264", "r")
        decoder.thread_count = 1
        decoder.thread_type = "NONE"
        decoder.options = _OPTIONS
        return decoder

    def _drain(self) -> None:
        """Take all pictures of the decoder, which takes no access unit afterwards."""
        self._take(self._decoder.decode(None))
        self._pass_over(list(self._pending.values()))

    def _take(self, frames: list[av.VideoFrame]) -> None:
        """Take pictures in presentation order."""
        for frame in frames:
            unit = self._pending.pop(frame.pts, None) if frame.pts is not None else None
            if unit is None:
                continue
            if frame.is_corrupt:
                self._note_damage(unit, "the decoder marks the picture as damaged")
            self._pass_over([other for other in self._pending.values() if other.capture_us < unit.capture_us])
            self._held.append((unit, frame))

    def _pass_over(self, units: list[FedUnit]) -> None:
        """Take access units whose pictures the decoder does not show: until it has recovered, or due to damage."""
        for unit in units:
            del self._pending[unit.number]
            if self._is_recovering or unit.is_corrupted:
                self._note_fault(unit)
            elif not unit.is_hidden:
                self._note_damage(unit, "the decoder gives no picture for it")

    def _note_damage(self, unit: FedUnit, reason: str) -> None:
        self._faults.setdefault(unit.capture_us, reason)
        if self._damaged_from is None or unit.number < self._damaged_from:
            self._damaged_from = unit.number

    def _note_fault(self, unit: FedUnit) -> None:
        """Note why the picture of an access unit that may be right itself is withheld."""
        if unit.is_corrupted:
            self._faults.setdefault(unit.capture_us, _LACKS)
        else:
            self._faults.setdefault(unit.capture_us, self._fault)

    def _release(self) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """Yield the pictures behind which nothing that precedes them in decoding order can be shown."""
        oldest = next(iter(self._pending), None)
        while self._fed and (oldest is None or self._fed[0].number < oldest):
            self._fed.popleft()
        if self._is_recovering and not self._recover(oldest):
            return
        while self._held and (oldest is None or self._held[0][0].number < oldest):
            unit, frame = self._held.popleft()
            if unit.is_corrupted:
                self._note_fault(unit)
            elif not unit.is_hidden:
                yield unit, frame

    def _recover(self, oldest: int | None) -> bool:
        """Withhold the pictures before the first right one after a new start. Return whether that one is known.

        FFmpeg shows no picture that precedes it in decoding order. Those that precede it in presentation order may
        refer to pictures before the start.
        """
        first = min((unit.number for unit, _ in self._held), default=None)
        if first is None or (oldest is not None and oldest < first):
            return False
        while self._held[0][0].number != first:
            unit, _ = self._held.popleft()
            self._note_fault(unit)
        self._is_recovering = False
        return True

    def _restart(self, damaged: int) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
        """Yield what precedes a damaged access unit, and decode again from the first keyframe after it on."""
        self._fault = _DAMAGED_REFERENCES
        units = list(self._fed)
        after = (place for place, unit in enumerate(units) if unit.number > damaged and unit.is_keyframe)
        place = next(after, len(units))
        for unit in units[:place]:
            if unit.number > damaged:
                self._note_fault(unit)
        self._held = deque(item for item in self._held if item[0].number < damaged)
        yield from self._release()
        for unit, _ in self._held:
            self._note_fault(unit)
        self._held.clear()
        self._fed.clear()
        self._start_again(_DAMAGED_REFERENCES)
        for unit in units[place:]:
            yield from self.feed(unit)


def is_idr(data: bytes) -> bool:
    """Return whether an access unit is an IDR picture."""
    return any(_type(nal) == _IDR_SLICE_TYPE for nal in _nals_to_first_slice(data))


def _parameter_sets(data: bytes) -> list[bytes]:
    """Return the parameter sets before the first slice of an access unit, with start codes."""
    return [nal for nal in _nals_to_first_slice(data) if _type(nal) in _PARAMETER_SET_TYPES]


def _nals_to_first_slice(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an access unit up to its first slice, of which only the beginning, with start codes."""
    start = data.find(_START_CODE)
    while start >= 0:
        first_bytes = data[start : start + len(_START_CODE) + 2]
        if _type(first_bytes) in _SLICE_TYPES:
            yield first_bytes
            return
        end = data.find(_START_CODE, start + len(_START_CODE))
        yield data[start : end if end >= 0 else None]
        start = end


def _type(nal: bytes) -> int:
    """Return the type of a NAL unit with start code, or 0 if it has no content."""
    return nal[len(_START_CODE)] & 0x1F if len(nal) > len(_START_CODE) else 0
