# SPDX-License-Identifier: MPL-2.0
"""Frames that an MP4 file shows, by its sample table and its edit list (ISO/IEC 14496-12, 8.6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import StreamError
from .frame_index import DEFAULT_TIME_SCALE, FrameIndex, Segment, TrackColumns, pauses
from .times import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ._core import Mp4Track

__all__ = ["Samples", "concatenate", "file_index", "from_ticks", "part_of"]


@dataclass(frozen=True)
class Samples:
    """Samples of a track in decoding order, as columns of shape (n,): places and sizes in bytes, times in ticks."""

    offset: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    dts: npt.NDArray[np.int64]
    pts: npt.NDArray[np.int64]
    duration: npt.NDArray[np.int64]
    keyframe: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, track: Mp4Track) -> Samples:
        """Return the samples of a track."""
        columns = track.columns()
        keyframe = np.frombuffer(columns.pop("keyframe"), np.bool_)
        return cls(**{name: np.frombuffer(column, np.int64) for name, column in columns.items()}, keyframe=keyframe)


def file_index(track: Mp4Track, source: str, start_us: int) -> FrameIndex:
    """Return the index of the frames that a file shows, in presentation order.

    A frame is shown if its time is in an edit, and timestamps are those that FFmpeg gives packets: from the begin of
    the presentation on. Capture times follow the samples, so that time passes where an edit list leaves samples out.

    Parameters
    ----------
    track : Mp4Track
        The track.
    source : str
        Path of the file, or address of its record.
    start_us : int
        Capture time of the first frame that is shown, in microseconds since the Unix epoch.

    Raises
    ------
    StreamError
        If the edit list shows parts of the file again, or in another order.
    """
    samples = Samples.of(track)
    shown = {name: np.frombuffer(column, np.int64) for name, column in track.presentation().items()}
    number, pts = shown["sample"], shown["pts"]
    times = samples.pts[number]
    if np.any(np.diff(times) < 0) or len(np.unique(number)) != len(number):
        raise StreamError("the edit list shows parts of the file again, or in another order")
    scale = track.time_scale
    capture_us = start_us + from_ticks(times - times[:1], scale)
    # Frames that share a tick stay apart by a microsecond.
    steps = np.arange(len(capture_us), dtype=np.int64)
    capture_us = np.maximum.accumulate(capture_us - steps) + steps
    height, width = track.size
    columns = TrackColumns(
        (Segment(source, start_us, scale, height, width),),
        np.zeros(len(number), np.int64),
        steps,
        pts,
        shown["duration"],
        samples.offset[number],
        samples.size[number],
    )
    durations = np.unique(np.diff(pts))
    fps = scale / int(durations[0]) if len(durations) == 1 and durations[0] > 0 else None
    return FrameIndex(
        capture_us, samples.keyframe[number], fps, gaps=pauses(capture_us), time_scale=scale, track=columns
    )


def from_ticks(ticks: npt.NDArray[np.int64], scale: int) -> npt.NDArray[np.int64]:
    """Return ticks in microseconds, to the nearest."""
    seconds = ticks // scale
    return seconds * SECOND_US + ((ticks - seconds * scale) * SECOND_US + scale // 2) // scale


def part_of(index: FrameIndex, start_us: int | None, stop_us: int | None) -> FrameIndex:
    """Return the frames of a file from a capture time on and before another one."""
    times = index.capture_us
    first = 0 if start_us is None else int(np.searchsorted(times, start_us))
    last = len(times) if stop_us is None else max(first, int(np.searchsorted(times, stop_us)))
    if (first, last) == (0, len(times)) or index.track is None:
        return index
    frames = slice(first, last)
    track = index.track
    columns = {name: getattr(track, name)[frames] for name in ("segment", "local", "pts", "duration", "offset", "size")}
    return replace(
        index,
        capture_us=times[frames],
        keyframe=index.keyframe[frames],
        track=replace(track, **columns),
        gaps=pauses(times[frames]),
    )


def concatenate(parts: Sequence[FrameIndex]) -> FrameIndex:
    """Return one index of files that follow each other in time.

    Raises
    ------
    StreamError
        If a file begins before the one before it ends.
    """
    tracks = [part.track for part in parts if part.track is not None and len(part)]
    parts = [part for part in parts if len(part)]
    for (before, after), (one, other) in zip(zip(parts, parts[1:]), zip(tracks, tracks[1:])):
        if after.capture_us[0] <= before.capture_us[-1]:
            raise StreamError(
                f"{other.segments[0].source} begins at {after.capture_us[0]} µs, "
                f"before the end of {one.segments[-1].source}"
            )
    first_segment = np.cumsum([0, *(len(track.segments) for track in tracks)])
    empty = np.empty(0, np.int64)

    def joined(columns: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
        return np.concatenate([empty, *columns])

    columns = TrackColumns(
        tuple(segment for track in tracks for segment in track.segments),
        joined([track.segment + first for track, first in zip(tracks, first_segment)]),
        joined([track.local for track in tracks]),
        joined([track.pts for track in tracks]),
        joined([track.duration for track in tracks]),
        joined([track.offset for track in tracks]),
        joined([track.size for track in tracks]),
    )
    capture_us = joined([part.capture_us for part in parts])
    keyframe = np.concatenate([np.empty(0, np.bool_), *(part.keyframe for part in parts)])
    rates = {part.declared_fps for part in parts if len(part) > 1}
    fps = rates.pop() if len(rates) == 1 else None
    scales = {segment.time_scale for segment in columns.segments}
    scale = scales.pop() if len(scales) == 1 else DEFAULT_TIME_SCALE
    return FrameIndex(capture_us, keyframe, fps, gaps=pauses(capture_us), time_scale=scale, track=columns)
