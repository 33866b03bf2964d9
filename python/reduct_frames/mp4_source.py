# SPDX-License-Identifier: MPL-2.0
"""MP4 files on disk as a source of access units."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ._core import Mp4Track, StreamError
from .frame_index import FrameIndex
from .mp4_frames import file_index
from .mp4_units import Mp4File, Mp4UnitSource, TrackSamples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._core import Canceller
    from .frame_index import Segment

__all__ = ["Mp4Source", "read_headers"]

_MAX_TRACKS = 8
"""Files whose sample tables are kept in memory."""


@dataclass
class Mp4Source(Mp4UnitSource):
    """MP4 files with an index of their frames, whose segments have the paths of the files.

    A file is open while it is read. A pickle holds the index and no open file.
    """

    index: FrameIndex

    @property
    def address(self) -> str:
        """The path of the first file, and the number of further ones."""
        assert self.index.track is not None
        segments = self.index.track.segments
        if not segments:
            return "no file"
        more = f" and {len(segments) - 1} more" if len(segments) > 1 else ""
        return segments[0].source + more

    @property
    def is_empty_range(self) -> bool:
        """There is no frame."""
        return not len(self.index)

    def load_index(self) -> FrameIndex:
        """Return the index of the frames."""
        return self.index

    @contextmanager
    def open_file(self, segment: Segment, canceller: Canceller | None) -> Iterator[Mp4File]:  # noqa: ARG002 - no wait
        """Open a file of the index."""
        path = Path(segment.source)
        state = path.stat()
        content = _track(segment.source, state.st_mtime_ns, state.st_size)
        with path.open("rb") as file:

            def read(place: int, size: int) -> bytes:
                file.seek(place)
                return file.read(size)

            yield Mp4File(segment.source, content, read)


def read_headers(path: Path) -> FrameIndex:
    """Return the index of a file by its headers, without its media data. Capture times count from 0.

    Raises
    ------
    StreamError
        If the file has no video track that can be read.
    OSError
        If the file cannot be read.
    """
    track = _read_track(path)
    try:
        return file_index(track, str(path), 0)
    except StreamError as error:
        raise StreamError(f"{path}: {error}") from None


def _read_track(path: Path) -> Mp4Track:
    """Return the track of a file by its headers. Errors name the file."""
    path.open("rb").close()  # the error of Python has the path and the number
    try:
        return Mp4Track.open(path)
    except (StreamError, OSError) as error:
        raise type(error)(f"{path}: {error}") from None


@lru_cache(_MAX_TRACKS)
def _track(path: str, modified: int, size: int) -> TrackSamples:  # noqa: ARG001 - of another file they differ
    return TrackSamples(_read_track(Path(path)))
