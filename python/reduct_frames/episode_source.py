# SPDX-License-Identifier: MPL-2.0
"""An entry of MP4 files as a source of access units."""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._core import Mp4Track, StreamError
from .concurrency import held
from .errors import CancelledError, RecordingWarning
from .frame_index import FrameIndex
from .mp4_frames import concatenate, file_index, part_of
from .mp4_units import Mp4File, Mp4UnitSource, TrackSamples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._core import Canceller
    from .frame_index import Segment
    from .source import EntrySource

__all__ = ["EpisodeSource"]

_MAX_FILES = 2
"""Records that are kept in memory."""


@dataclass
class EpisodeSource(Mp4UnitSource):
    """An entry whose records are MP4 files.

    All records are read once for the index. Frames are decoded from their record, the last two of which are kept in
    memory. A pickle holds the index and no record.
    """

    entry: EntrySource
    _index: FrameIndex | None = field(default=None, init=False, repr=False, compare=False)
    _fetched: _Fetched | None = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_fetched": None}

    @property
    def address(self) -> str:
        """The URL of the server, the bucket and the entry, without a token."""
        return self.entry.address

    @property
    def is_empty_range(self) -> bool:
        """No time is in the range."""
        return self.entry.is_empty_range

    def load_index(self) -> FrameIndex:
        """Return the index of the frames, for which the records are read.

        Raises
        ------
        StreamError
            If a record is no MP4 file with H.264, or begins before the end of the one before it.
        """
        if self._index is not None:
            return self._index
        if self.entry.index_from == "labels":
            raise ValueError(f"{self.address} has MP4 files, whose labels do not show their frames")
        if self.is_empty_range:
            return concatenate([])
        start, stop = self.entry.start_us, self.entry.stop_us
        units = self.entry.native.units(start, stop)
        parts = []
        while (episode := units.next_episode()) is not None:
            file, time_us = episode
            source = self._source(time_us)
            try:
                index = file_index(Mp4Track.parse(file), source, time_us)
            except StreamError as error:
                raise StreamError(f"The record {source}: {error}") from None
            parts.append(part_of(index, start, stop))
        for text in units.take_warnings():
            warnings.warn(text, RecordingWarning, stacklevel=2)
        self._index = concatenate(parts)
        return self._index

    def _source(self, time_us: int) -> str:
        return f"{self.entry.bucket}/{self.entry.entry} at {time_us} µs"

    @contextmanager
    def open_file(self, segment: Segment, canceller: Canceller | None) -> Iterator[Mp4File]:
        """Return the file of a record in memory."""
        yield self._file(segment, canceller)

    def _file(self, segment: Segment, canceller: Canceller | None) -> Mp4File:
        """Return the file of a record, which one thread reads for all."""
        fetched = self._fetched
        if fetched is None or fetched.process != os.getpid():
            fetched = self._fetched = _Fetched(os.getpid())

        def check() -> None:
            if canceller is not None and canceller.is_cancelled:
                raise CancelledError("the wait was cancelled")

        with held(fetched.lock, check):
            file = fetched.files.pop(segment.source, None)
            if file is None:
                # Threads that decode groups of pictures in order meet at the end of a record and at the next one.
                while len(fetched.files) >= _MAX_FILES:
                    fetched.files.pop(next(iter(fetched.files)))
                file = self._read(segment, canceller)
            fetched.files[segment.source] = file
            return file

    def _read(self, segment: Segment, canceller: Canceller | None) -> Mp4File:
        """Read the record of a file."""
        time_us = segment.record_us
        units = self.entry.native.units(time_us, time_us + 1, canceller=canceller)
        while (episode := units.next_episode()) is not None:
            content, found_us = episode
            if found_us == time_us:
                return _file_of(segment.source, content)
        raise StreamError(f"The record {segment.source} is not there any more")


def _file_of(source: str, content: bytes) -> Mp4File:
    """Return a file in memory."""
    samples = TrackSamples(Mp4Track.parse(content))
    return Mp4File(source, samples, lambda place, size: content[place : place + size])


@dataclass
class _Fetched:
    """The records that were read last in a process, the newest one at the end."""

    process: int
    files: dict[str, Mp4File] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
