# SPDX-License-Identifier: MPL-2.0
"""MP4 files by their index: opened without reading them, and decoded where frames are wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Union

import numpy as np

from .arguments import Size, picture_size
from .decoding import ColorSpace, Layout, PictureFormat
from .file_uri import absolute_path
from .frame_reader import FrameReader
from .index_files import find_index, read_index
from .index_table import index_of_table
from .mp4_frames import concatenate, from_ticks
from .mp4_source import Mp4Source, read_headers
from .recording import Recording
from .times import to_us

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from .frame_index import FrameIndex
    from .times import Time

__all__ = ["LazyVideo", "mp4_paths"]

Uri = Union[str, "os.PathLike[str]"]
Index = Union[Uri, "pa.Table"]


class LazyVideo(Recording):
    """Video of MP4 files, or a part of it. Made by :meth:`from_uri`.

    It is a :class:`Recording` whose frames have the form that it was opened with: RGB and NCHW by default. Each method
    takes another form as argument. Windows share the index by reference. Decoding seeks once in each file, to the
    keyframe before the first frame that is wanted, and runs in the calling thread. A pickle holds the index and the
    paths of the files.
    """

    @classmethod
    def from_uri(
        cls,
        uri: Uri | Iterable[Uri],
        index: Index | Sequence[Index] | None = None,
        *,
        start: Time | None = None,
        resize: Size | None = None,
        colorspace: ColorSpace = "RGB",
        layout: Layout = "NCHW",
    ) -> LazyVideo:
        """Open MP4 files by their index, without reading them.

        Parameters
        ----------
        uri : path or iterable of paths
            The files, in the order of their capture times, as paths or as URIs ``file:///folder/file.mp4``. Each is a
            segment. Relative paths are made absolute now.
        index : path, pyarrow.Table or sequence of these, optional
            The index: one for each file, or one with all of them as segments. By default that beside each file,
            ``<mp4>.parquet`` or ``<mp4>.lance``; of a file without one, the headers are read.
        start : Time, optional
            Capture time of the first frame of the first file, in the place of the one in the index.
        resize : (int, int), optional
            Height and width of frames in pixels.
        colorspace : {"RGB", "G"}, default "RGB"
            Three channels, or one with the luma.
        layout : {"NCHW", "NHWC"}, default "NCHW"
            Order of the axes.

        Returns
        -------
        LazyVideo
            The video.

        Notes
        -----
        An MP4 file holds the time between frames, and not when they were captured. The index that is written beside an
        episode holds that. Capture times of files that are opened by their headers, or whose index has none, count from
        0, and files that all begin at 0 follow each other without a gap.

        Raises
        ------
        ValueError
            If an index lacks columns or has other segments, or a URI is not that of a file on this machine.
        StreamError
            If a file has no video that can be read, or files overlap in time.
        OSError
            If a file that is needed now cannot be read.
        """
        form = PictureFormat(colorspace, layout, None if resize is None else picture_size("resize", resize))
        paths = [absolute_path(one) for one in ([uri] if isinstance(uri, (str, os.PathLike)) else uri)]
        indexes = _each(index)
        if indexes is not None and len(indexes) == 1 != len(paths):
            whole = index_of_table(_table(indexes[0]), [str(path) for path in paths])
        else:
            if indexes is not None and len(indexes) != len(paths):
                raise ValueError(f"There are {len(indexes)} indexes for {len(paths)} files")
            whole = _joined([_file(path, indexes and indexes[number]) for number, path in enumerate(paths)])
        if start is not None and len(whole):
            whole = _moved(whole, to_us(start) - int(whole.capture_us[0]))
        video = cls(FrameReader(Mp4Source(whole)))
        video._form = form
        return video

    @classmethod
    def from_headers(cls, uri: Uri, *, start: Time | None = None) -> LazyVideo:
        """Open an MP4 file by its headers, without an index beside it.

        Parameters
        ----------
        uri : path
            The file.
        start : Time, optional
            Capture time of its first frame. Without it capture times count from 0.
        """
        index = read_headers(absolute_path(uri))
        if start is not None:
            index = _moved(index, to_us(start))
        video = cls(FrameReader(Mp4Source(index)))
        video._form = PictureFormat(layout="NCHW")
        return video


def mp4_paths(recording: Recording) -> list[str]:
    """Return the paths of the MP4 files of a recording, of which other ones have none."""
    index, _ = recording.frame_index()
    if not isinstance(recording, LazyVideo) or index.track is None:
        return []
    return [segment.source for segment in index.track.segments]


def _each(index: Index | Sequence[Index] | None) -> list[Index] | None:
    """Return the indexes of an argument."""
    if index is None:
        return None
    return list(index) if isinstance(index, Sequence) and not isinstance(index, str) else [index]


def _table(index: Index) -> pa.Table:
    return read_index(absolute_path(index)) if isinstance(index, (str, os.PathLike)) else index


def _file(path: Path, index: Index | None) -> FrameIndex:
    """Return the index of a file."""
    found = find_index(path) if index is None else index
    return read_headers(path) if found is None else index_of_table(_table(found), [str(path)])


def _joined(parts: list[FrameIndex]) -> FrameIndex:
    """Return the index of all files. Those without capture times follow each other."""
    if all(len(part) == 0 or part.capture_us[0] == 0 for part in parts):
        end = 0
        for number, part in enumerate(parts):
            if len(part) and part.track is not None:
                parts[number] = _moved(part, end)
                last_us = int(from_ticks(part.track.duration[-1:], part.time_scale)[0])
                end += int(part.capture_us[-1]) + max(1, last_us)
    return concatenate(parts)


def _moved(index: FrameIndex, by_us: int) -> FrameIndex:
    """Return an index with later capture times.

    Raises
    ------
    ValueError
        If 64 bits do not count them.
    """
    if not by_us:
        return index
    if len(index) and int(index.capture_us[-1]) + by_us > np.iinfo(np.int64).max:
        raise ValueError(f"Frames cannot be captured {by_us} µs later: 64 bits do not count that")
    track = index.track
    if track is not None:
        segments = tuple(replace(segment, record_us=segment.record_us + by_us) for segment in track.segments)
        track = replace(track, segments=segments)
    gaps = [(before + by_us, after + by_us) for before, after in index.gaps]
    return replace(index, capture_us=index.capture_us + np.int64(by_us), gaps=gaps, track=track)
