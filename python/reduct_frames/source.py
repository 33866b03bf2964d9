# SPDX-License-Identifier: MPL-2.0
"""An entry of a server as a source of access units, which can be pickled and used after a fork."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from ._core import Entry, StreamError
from .errors import RecordingWarning
from .frame_index import FrameIndex
from .picture_decoder import is_idr

if TYPE_CHECKING:
    from ._core import Canceller, Units

__all__ = ["EntrySource", "IndexFrom"]

IndexFrom = Literal["auto", "labels", "contents"]


@dataclass
class EntrySource:
    """An entry of a server.

    A pickle holds the settings, with the API token if it was an argument, and no connection. So does a copy in a forked
    process, which opens the entry again.
    """

    url: str
    bucket: str
    entry: str
    start_us: int | None = None
    stop_us: int | None = None
    token: str | None = field(default=None, repr=False)
    ca_cert: str | None = None
    verify_ssl: bool = True
    timeout: float | None = 30.0
    index_from: IndexFrom = "auto"
    _opened: tuple[int, Entry] | None = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}

    @property
    def native(self) -> Entry:
        """The entry, opened in this process."""
        process = os.getpid()
        if self._opened is None or self._opened[0] != process:
            entry = Entry(
                self.url,
                self.bucket,
                self.entry,
                token=self.token,
                ca_cert=self.ca_cert,
                verify_ssl=self.verify_ssl,
                timeout=self.timeout,
            )
            self._opened = process, entry
        return self._opened[1]

    def load_index(self) -> FrameIndex:
        """Return the index of the frames, from the headers of the records if they have it, else from their contents.

        Records that are left out are a :class:`RecordingWarning`.
        """
        if self.is_empty_range:
            return FrameIndex(np.empty(0, np.int64), np.empty(0, np.bool_))
        headers, fps, time_scale, left_out = self.native.headers(self.start_us, self.stop_us)
        index = None
        if self.index_from != "contents":
            index = FrameIndex.from_headers(headers, fps, time_scale)
            if index is not None and (self.index_from == "labels" or self._agrees_with_contents(index)):
                _warn(left_out)
                return index
            if self.index_from == "labels":
                raise ValueError(
                    f"The labels of '{self.bucket}/{self.entry}' do not show that each record has one frame: "
                    'index="contents" reads the records'
                )
        try:
            columns, units = self.native.scan(self.start_us, self.stop_us)
        except StreamError:
            if index is None or np.any(index.keyframe):
                raise
            _warn(left_out)
            return index  # Decoding fails in the same way, so that each frame is missing, with the reason.
        _warn([*units.take_warnings(), *_records_without_frames(headers, columns)])
        return FrameIndex.from_contents(columns, units.gaps, units.fps, units.time_scale)

    def _agrees_with_contents(self, index: FrameIndex) -> bool:
        """Return whether a few records have one frame each, and their keyframes are those of the index.

        Not if there is no keyframe that records can be read from.
        """
        keyframes = np.flatnonzero(index.keyframe)
        if not len(keyframes):
            return not len(index) and self._agrees_before(index, self.stop_us)
        parts = index.samples()
        readers = [self._record_units(index, first, last) for first, last in parts]
        first_us = int(index.capture_us[keyframes[0]])
        is_begin = self.start_us is None and keyframes[0] == 0
        return (is_begin or self._agrees_before(index, first_us + 1)) and all(
            self._agrees_from(index, first, last, reader) for (first, last), reader in zip(parts, readers)
        )

    def _agrees_before(self, index: FrameIndex, stop_us: int | None) -> bool:
        """Return whether the range has no other frames before a time than the index.

        The record before it, of which there is no header, may have some.
        """
        if self.start_us is None and not len(index):
            return True
        try:
            found = [unit[1] for unit in self.native.units(self.start_us, stop_us) if not unit[6]]
        except StreamError:
            return not len(index)
        return bool(np.all(np.isin(found, index.capture_us)))

    def _agrees_from(self, index: FrameIndex, first: int, last: int, reader: Units) -> bool:
        """Return whether the records of a part, from a keyframe on, have the frames and keyframes of the index."""
        try:
            units = list(reader)
            end = index.keyframe_after(first) - 1
            if units and last < end and not is_idr(units[0][0]):
                # Pictures after it may be shown before it, so that the time of its record is that of another one.
                last = end
                units = list(self._record_units(index, first, last))
        except StreamError:
            return True  # The records are no video, which is reported when they are decoded.
        captured = np.array([unit[1] for unit in units], np.int64)
        keyframes = captured[np.array([unit[5] for unit in units], np.bool_)]
        return len(units) <= last + 1 - first and bool(np.all(np.isin(keyframes, index.capture_us[index.keyframe])))

    def _record_units(self, index: FrameIndex, first: int, last: int) -> Units:
        """Return a reader of the records of frames from one to another, both included, from the first keyframe on."""
        times = index.capture_us
        return self.native.units(int(times[first]), int(times[last]) + 1, whole_records=True)

    @property
    def is_empty_range(self) -> bool:
        """No time is in the range."""
        return self.start_us is not None and self.stop_us is not None and self.start_us >= self.stop_us

    @property
    def address(self) -> str:
        """The URL of the server, the bucket and the entry, without a token."""
        return f"'{self.bucket}/{self.entry}' on {self.url}"

    @property
    def codec(self) -> str | None:
        """Codec of the first record: ``"h264"``; None for an empty entry."""
        return self.native.content

    def all_units(self, canceller: Canceller | None = None) -> Units:
        """Return a reader of all frames, of which there have to be some."""
        return self.native.units(self.start_us, self.stop_us, canceller=canceller)

    def units(
        self, first_us: int, last_us: int, canceller: Canceller | None = None, *, keyframe_us: int | None = None
    ) -> Units:
        """Return a reader of the frames from one capture time to another, both included.

        `keyframe_us` is the time of the record with the last keyframe at or before `first_us`: there is no search for
        it then, unless its content is another one.
        """
        return self.native.units(first_us, last_us + 1, canceller=canceller, keyframe=keyframe_us)


def _records_without_frames(headers: dict[str, bytes], columns: dict[str, bytes]) -> list[str]:
    """Return a warning about records that have a label ``keyframe``, as all with frames of its writer, and no frame."""
    times = np.frombuffer(headers["capture_us"], np.int64)
    labelled = times[np.frombuffer(headers["keyframe"], np.int8) >= 0]
    read = [np.frombuffer(columns[name], np.int64) for name in ("record_us", "hidden_record_us")]
    empty = np.setdiff1d(labelled, np.concatenate(read))
    if not len(empty):
        return []
    return [f"{len(empty)} of {len(times)} records have no frame that can be read, the first of them at {empty[0]} µs"]


def _warn(texts: list[str]) -> None:
    for text in texts:
        warnings.warn(text, RecordingWarning, stacklevel=2)
