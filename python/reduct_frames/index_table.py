# SPDX-License-Identifier: MPL-2.0
"""Index of frames as Arrow table, one row for each frame in presentation order."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import StreamError
from .frame_index import DEFAULT_TIME_SCALE, FrameIndex, Segment, TrackColumns, pauses
from .times import SECOND_US

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from .recording import Recording

__all__ = ["frame_mappings", "index", "index_of_table"]

_REQUIRED = (
    "segment_idx",
    "local_frame_idx",
    "pts",
    "timestamp",
    "capture_us",
    "keyframe",
    "offset",
    "size",
    "duration",
)

_SEGMENT_LIMITS = (("record_us", -(2**63)), ("time_scale", 1), ("height", 0), ("width", 0))
"""Numbers of a segment in the metadata, with the least values."""


def index(recording: Recording) -> pa.Table:
    """Return the index of the frames of a recording.

    Parameters
    ----------
    recording : Recording
        The recording, a part of one, or a :class:`LazyVideo`.

    Returns
    -------
    pyarrow.Table
        A row for each frame, sorted by segment and index in it. The columns:

        ==================  =======  ==================================================================================
        ``segment_idx``     int64    Index of the MP4 file. 0 for an entry of access units
        ``local_frame_idx`` int64    Index of the frame in the file, in presentation order
        ``pts``             int64    Presentation timestamp as FFmpeg has it, in the time base of the file. For an entry
                                     of access units since the first frame of the opened recording, in the time base of
                                     a file that `reductepisodesplit` would write: a multiple of the declared frame
                                     rate, or 1/90000 without one
        ``timestamp``       float64  Seconds since the origin of the recording
        ``capture_us``      int64    Capture time in microseconds since the Unix epoch
        ``keyframe``        bool     Decoding can begin with the frame
        ``offset``          int64    Place of the sample in the MP4 file in bytes. Null for an entry of access units
        ``size``            int64    Size of the sample, or of the access unit, in bytes. Null where the index is that
                                     of labels, and the contents were not read
        ``duration``        int64    Duration in the time base of ``pts``
        ==================  =======  ==================================================================================

        The metadata of the schema are ``source``, ``time_base`` (``"1/20000"``; only if all files have the same),
        ``codec``, ``width`` and ``height`` where they are known, and ``segments``, a list of the MP4 files as JSON.
    """
    import pyarrow as pa  # noqa: PLC0415 - takes long to import

    whole, frames = recording.frame_index()
    count = len(whole.capture_us)
    capture_us = whole.capture_us
    columns: dict[str, npt.NDArray[Any]] = {}
    places: dict[str, npt.NDArray[np.int64] | None] = {}
    if whole.track is not None:
        track = whole.track
        columns = {"segment_idx": track.segment, "local_frame_idx": track.local, "pts": track.pts}
        places = {"offset": track.offset, "size": track.size, "duration": track.duration}
    else:
        pts = _ticks(capture_us - capture_us[:1], whole.time_scale)
        last = _ticks(np.array([round(whole.cadence_us or 0)]), whole.time_scale)
        numbers = np.arange(count, dtype=np.int64)
        columns = {"segment_idx": np.zeros(count, np.int64), "local_frame_idx": numbers, "pts": pts}
        places = {"offset": None, "size": whole.size, "duration": np.append(np.diff(pts), last)[:count]}
    columns["timestamp"] = (capture_us - recording.origin_us) / SECOND_US
    columns["capture_us"] = capture_us
    columns["keyframe"] = whole.keyframe
    arrays = {
        name: pa.nulls(count, pa.int64()) if column is None else pa.array(column)
        for name, column in {**columns, **places}.items()
    }
    table = pa.table(arrays).slice(frames.start, frames.stop - frames.start)
    return table.replace_schema_metadata(_metadata(recording, whole))


def _ticks(times_us: npt.NDArray[np.int64], scale: int) -> npt.NDArray[np.int64]:
    """Return microseconds in ticks, to the nearest."""
    seconds = times_us // SECOND_US
    return seconds * scale + ((times_us - seconds * SECOND_US) * scale + SECOND_US // 2) // SECOND_US


def _metadata(recording: Recording, whole: FrameIndex) -> dict[str, str]:
    segments = whole.track.segments if whole.track is not None else ()
    scales = {segment.time_scale for segment in segments} or {whole.time_scale}
    sizes = {(segment.height, segment.width) for segment in segments}
    metadata = {"source": recording.address}
    if recording.codec is not None:
        metadata["codec"] = recording.codec
    if len(scales) == 1:
        metadata["time_base"] = f"1/{scales.pop()}"
    if len(sizes) == 1:
        height, width = sizes.pop()
        if height and width:
            metadata |= {"width": str(width), "height": str(height)}
    if segments:
        metadata["segments"] = json.dumps([asdict(segment) for segment in segments])
    return metadata


def index_of_table(table: pa.Table, sources: list[str]) -> FrameIndex:
    """Return the index of MP4 files that a table has.

    Parameters
    ----------
    table : pyarrow.Table
        A table with the columns of :func:`index`.
    sources : list of str
        Paths of the files, by their segments.

    Raises
    ------
    ValueError
        If columns are missing, or the table has other segments.
    StreamError
        If its capture times do not rise.
    """
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise ValueError(f"The index lacks the column '{missing[0]}'. write_index() writes all of them")
    columns = {}
    for name in _REQUIRED:
        column = table.column(name)
        if name == "capture_us" and column.null_count:
            # The writer did not know them.
            seconds = np.asarray(table.column("timestamp").to_numpy())
            columns[name] = np.round(seconds * SECOND_US).astype(np.int64)
            continue
        if column.null_count:
            raise ValueError(f"The column '{name}' of the index has nulls: it is not that of MP4 files")
        columns[name] = np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False))
    segment = columns["segment_idx"].astype(np.int64)
    if len(segment) and not (segment.min() >= 0 and segment.max() < len(sources)):
        raise ValueError(f"The index has segments from {segment.min()} to {segment.max()} for {len(sources)} files")
    capture_us = columns["capture_us"].astype(np.int64)
    if np.any(np.diff(capture_us) <= 0) or np.any(np.diff(segment) < 0):
        raise StreamError("The capture times of the index do not rise with its segments")
    # Metadata of others may be no text.
    pairs = (table.schema.metadata or {}).items()
    metadata = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in pairs}
    segments = tuple(_segments(metadata, sources, segment, capture_us))
    pts = columns["pts"].astype(np.int64)
    track = TrackColumns(
        segments,
        segment,
        columns["local_frame_idx"].astype(np.int64),
        pts,
        columns["duration"].astype(np.int64),
        columns["offset"].astype(np.int64),
        columns["size"].astype(np.int64),
    )
    scales = {one.time_scale for one in segments}
    scale = scales.pop() if len(scales) == 1 else DEFAULT_TIME_SCALE
    durations = np.unique(np.diff(pts)[np.diff(segment) == 0])
    fps = scale / int(durations[0]) if len(durations) == 1 and durations[0] > 0 else None
    return FrameIndex(
        capture_us, columns["keyframe"].astype(np.bool_), fps, gaps=pauses(capture_us), time_scale=scale, track=track
    )


def _segments(
    metadata: dict[str, str],
    sources: list[str],
    segment: npt.NDArray[np.int64],
    capture_us: npt.NDArray[np.int64],
) -> list[Segment]:
    """Return the files of an index by its metadata."""
    text = metadata.get("segments", "[]")
    try:
        own = json.loads(text)
    except ValueError as error:
        raise ValueError(f"The metadata 'segments' of the index are no JSON: {error}") from None
    if not isinstance(own, list):
        raise ValueError(f"The metadata 'segments' of the index are {text!r}, which is no list")  # noqa: TRY004
    if len(own) == len(sources):
        return [_segment(one, source) for one, source in zip(own, sources)]
    time_base = metadata.get("time_base", "")
    if re.fullmatch("1/[1-9][0-9]{0,9}", time_base, re.ASCII) is None:
        raise ValueError(f"The metadata 'time_base' of the index are {time_base!r}, not '1/' and ticks per second")
    size = [int(metadata[name]) if metadata.get(name, "").isdigit() else None for name in ("height", "width")]
    firsts = np.searchsorted(segment, np.arange(len(sources))).clip(max=max(0, len(segment) - 1))
    times = capture_us[firsts].tolist() if len(segment) else [0] * len(sources)
    return [Segment(source, time, int(time_base[2:]), *size) for source, time in zip(sources, times)]


def _segment(values: object, source: str) -> Segment:
    """Return a file by the metadata of an index."""
    if not isinstance(values, dict):
        raise ValueError(f"The metadata 'segments' of the index have {values!r}, which is no object")  # noqa: TRY004
    numbers: dict[str, Any] = {name: values.get(name) for name, _ in _SEGMENT_LIMITS}
    for name, least in _SEGMENT_LIMITS:
        number = numbers[name]
        is_unknown = number is None and name in ("height", "width")
        if not is_unknown and not (type(number) is int and least <= number < 2**63):
            raise ValueError(f"The metadata 'segments' of the index have {number!r} as '{name}'")
    return Segment(source, **numbers)


def frame_mappings(table: pa.Table) -> str:
    """Return an index as ``custom_frame_mappings`` of torchcodec's ``VideoDecoder``.

    Parameters
    ----------
    table : pyarrow.Table
        Index of one MP4 file.

    Returns
    -------
    str
        JSON: ``{"frames": [{"pts": int, "duration": int, "key_frame": 0 or 1}, ...]}``, in the time base of the file.

    Raises
    ------
    ValueError
        If the index has several segments.
    """
    if len(table.column("segment_idx").unique()) > 1:
        raise ValueError("The index has several segments, and a decoder reads one file")
    rows = zip(*(table.column(name).to_pylist() for name in ("pts", "duration", "keyframe")))
    frames = [{"pts": pts, "duration": duration, "key_frame": int(keyframe)} for pts, duration, keyframe in rows]
    return json.dumps({"frames": frames})
