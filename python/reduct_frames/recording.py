# SPDX-License-Identifier: MPL-2.0
"""Recordings: the video of an entry, by time and by index."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, cast

import numpy as np

from ._core import parse_uri
from .access_unit import AccessUnit, from_first_frame
from .arguments import Indices, Size, check_choice, frame_indices, real_number, worker_count
from .concurrency import call, in_order, in_thread, iterate
from .decoding import ColorSpace, Layout, PictureFormat
from .episode_source import EpisodeSource
from .errors import CancelledError, DecodeError, MissingFrame, RecordingWarning
from .frame_reader import FrameReader
from .source import EntrySource, IndexFrom
from .times import PAUSE_CADENCES, SECOND_US, Time, to_us

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    import av
    import numpy.typing as npt
    from typing_extensions import Self

    from ._core import Canceller
    from .frame_index import FrameIndex

__all__ = ["AccessUnit", "Clip", "OnError", "Recording", "open", "open_async"]

_Slice = slice  # the method of the same name hides it in annotations
OnError = Literal["raise", "report"]


@dataclass(frozen=True)
class Clip:
    """Decoded frames with their times.

    Attributes
    ----------
    frames : ndarray of uint8, shape (n, height, width, channels) or (n, channels, height, width)
        The frames in presentation order.
    capture_us : ndarray of int64, shape (n,)
        Capture times in microseconds since the Unix epoch.
    timestamps : ndarray of float64, shape (n,)
        Seconds since the origin.
    missing : tuple of MissingFrame
        Frames that cannot be decoded, and are not among the others.
    """

    frames: npt.NDArray[np.uint8]
    capture_us: npt.NDArray[np.int64]
    timestamps: npt.NDArray[np.float64]
    missing: tuple[MissingFrame, ...] = ()

    def __len__(self) -> int:
        return len(self.capture_us)


def open(  # noqa: A001 - as in wave, tarfile and av
    url: str,
    bucket: str | None = None,
    entry: str | None = None,
    start: Time | None = None,
    stop: Time | None = None,
    *,
    token: str | None = None,
    ca_cert: str | os.PathLike[str] | None = None,
    verify_ssl: bool = True,
    timeout: float | None = 30.0,
    index: IndexFrom = "auto",
    workers: int | None = None,
) -> Recording:
    """Open the video of an entry. Reads no media.

    Parameters
    ----------
    url : str
        URL of the server with `bucket` and `entry`, or a URI ``reduct://host:8383/bucket/entry``.
    bucket, entry : str, optional
        Names of the bucket and the entry, which a URI has itself.
    start, stop : Time, optional
        First capture time, and the first one that is left out. Without them all frames are in the recording.
    token : str, optional
        API token; that of the environment variable ``REDUCT_API_TOKEN`` by default. A pickle of the recording holds one
        that is given here.
    ca_cert : path, optional
        PEM file with certificates to trust besides those of the system.
    verify_ssl : bool, default True
        Refuse a server whose certificate is not valid.
    timeout : float or None, default 30
        Longest time without progress of a request, in seconds; None is for ever.
    index : {"auto", "labels", "contents"}, default "auto"
        Source of the index of frames, which is loaded when it is needed first. ``"labels"`` trusts the labels
        ``keyframe`` that each record is one frame, and reads no media: keyframes of open groups of pictures are listed
        at the earlier times of their records. ``"contents"`` reads all records once. ``"auto"`` takes the labels if
        they show that each record is one frame, and the contents of a few records agree, in their keyframes, too; else
        the contents. Records that are MP4 files are read. Where labels turn out to be wrong later,
        :class:`IndexMismatchError` is raised.
    workers : int, optional
        Threads that decode where several groups of pictures are asked at once, as by :meth:`Recording.frames` and
        :meth:`Recording.slice`; the number of processors by default. Frames of MP4 files are decoded by one.

    Returns
    -------
    Recording
        The recording.

    Raises
    ------
    NotFoundError
        If there is no such bucket or entry.
    AccessError
        If the server refuses the token.
    ServerError
        If the server cannot be reached.
    ValueError
        If an argument is wrong.
    """
    if bucket is None and entry is None and "://" in url and url.split("://", 1)[0] in ("reduct", "reducts"):
        url, bucket, entry, parameters = parse_uri(url)
        given = dict(parameters)
        start = _given_once("start", start, given.pop("start", None))
        stop = _given_once("stop", stop, given.pop("stop", None))
        if given:
            raise ValueError(f"The URI has the unknown parameter '{next(iter(given))}'")
    if bucket is None or entry is None:
        raise ValueError("A bucket and an entry belong to the URL of a server")
    check_choice("index", index, "auto", "labels", "contents")
    workers = worker_count(workers)
    source = EntrySource(
        url,
        bucket,
        entry,
        None if start is None else to_us(start),
        None if stop is None else to_us(stop),
        token=token,
        ca_cert=None if ca_cert is None else os.fspath(ca_cert),
        verify_ssl=verify_ssl,
        timeout=timeout,
        index_from=index,
    )
    is_mp4 = source.native.content == "mp4"  # errors of the address come now
    recording = Recording(FrameReader(EpisodeSource(source) if is_mp4 else source))
    return recording if is_mp4 else recording._with(_workers=workers)


def _given_once(name: str, argument: Time | None, of_uri: str | None) -> Time | None:
    """Return a time that is an argument or in a URI."""
    if argument is None:
        return of_uri
    if of_uri is not None:
        raise ValueError(f"The URI has '{name}={of_uri}', and {name} is given as {argument!r}, too: give one of them")
    return argument


class Recording:
    """Video of an entry, or a part of it. Made by :func:`open`.

    Frames are in presentation order, each with its capture time. They are those that the entry has when the index is
    needed first, and stay the same then: frames that are written later are in a recording that is opened later. A
    recording can be pickled, and used in a forked process. It holds no picture.

    If the entry has records of H.264 and of MP4 files, the type of the first one counts. Records of other types, and
    those that cannot be read, are left out with a :class:`RecordingWarning`.
    """

    def __init__(
        self,
        reader: FrameReader,
        window: tuple[int, int] | None = None,
        origin_us: int | None = None,
        canceller: Canceller | None = None,
    ) -> None:
        self._reader = reader
        self._window = window
        self._origin_us = origin_us
        self._canceller = canceller
        self._form = PictureFormat()
        self._workers = 1

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_canceller": None}

    def __len__(self) -> int:
        first, last = self._range
        return last - first

    def __repr__(self) -> str:
        return f"<Recording of {self.address}>"

    @property
    def address(self) -> str:
        """The URL of the server, the bucket and the entry, without a token, or the path of an MP4 file."""
        return self._reader.source.address

    @property
    def _range(self) -> tuple[int, int]:
        """Indices of the first frame and the one after the last, in the shared index."""
        return (0, len(self._reader.index)) if self._window is None else self._window

    @property
    def timestamps_us(self) -> npt.NDArray[np.int64]:
        """Capture times in microseconds since the Unix epoch: int64, shape (n,), rising."""
        first, last = self._range
        view = self._reader.index.capture_us[first:last]
        view.flags.writeable = False
        return view

    @property
    def timestamps(self) -> npt.NDArray[np.float64]:
        """Capture times in seconds since the origin: float64, shape (n,), rising."""
        return (self.timestamps_us - self.origin_us) / SECOND_US

    @property
    def origin_us(self) -> int:
        """Capture time that is 0 in seconds, in microseconds since the Unix epoch.

        That of the first frame of the opened recording, unless a slice has set it. 0 for an empty recording.
        """
        if self._origin_us is not None:
            return self._origin_us
        times = self._reader.index.capture_us
        return int(times[0]) if len(times) else 0

    @property
    def keyframes(self) -> npt.NDArray[np.int64]:
        """Indices of the keyframes: int64, rising."""
        first, last = self._range
        return np.flatnonzero(self._reader.index.keyframe[first:last])

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Capture times in microseconds of the last frame before missing ones and of the first one after them.

        By labels alone, pauses of more than 2.5 frame distances.
        """
        times = self.timestamps_us
        if not len(times):
            return []
        return [gap for gap in self._reader.index.gaps if times[0] <= gap[0] and gap[1] <= times[-1]]

    @property
    def fps(self) -> float | None:
        """Frames per second: the declared rate if the capture times agree within 20 %, else the rate by their median.

        None for fewer than two frames without a declared rate.
        """
        index = self._reader.index
        cadence = index.cadence_us
        measured = SECOND_US / cadence if cadence else None
        declared = index.declared_fps
        if declared is not None and (measured is None or abs(measured / declared - 1) <= 0.2):  # noqa: PLR2004
            return declared
        return measured

    @property
    def codec(self) -> str | None:
        """Codec: ``"h264"``; None for an entry without video."""
        return self._reader.source.codec

    @property
    def height(self) -> int:
        """Height in pixels of the first frame, or of the first one from it on that can be decoded, for which it is.

        0 for an empty entry.

        Raises
        ------
        DecodeError
            If no frame of the recording can be decoded.
        """
        return self._size[0]

    @property
    def width(self) -> int:
        """Width in pixels, as :attr:`height`."""
        return self._size[1]

    @property
    def _size(self) -> tuple[int, int]:
        first, _ = self._range
        times = self._reader.index.capture_us
        if not len(times):
            return 0, 0
        size = self._reader.size_at(first)
        if size is None:
            time_us = int(times[min(first, len(times) - 1)])
            raise DecodeError([MissingFrame(0, time_us, "no frame of the recording can be decoded")])
        return size

    def lazy_slice(self, start: Time | None = None, stop: Time | None = None) -> Self:
        """Return the frames from `start` on and before `stop` as a recording, without decoding.

        The index is shared, and the origin is kept.
        """
        first, _ = self._range
        begin, end = self.indices_between(start, stop)
        return self._with(_window=(first + begin, first + end))

    def _with(self, **changes: object) -> Self:
        """Return the recording with other attributes."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, **changes)
        return other

    def frame_index(self) -> tuple[FrameIndex, _Slice]:
        """Return the index of the whole recording, which its parts share, and the frames of this one in it."""
        return self._reader.index, slice(*self._range)

    def cancellable(self, canceller: Canceller) -> Self:
        """Return the recording with a switch that ends its waits from another thread, with :class:`CancelledError`."""
        return self._with(_canceller=canceller)

    def check_cancelled(self) -> None:
        """Raise :class:`CancelledError` if the switch of :meth:`cancellable` was used."""
        if self._canceller is not None and self._canceller.is_cancelled:
            raise CancelledError("the wait was cancelled")

    def indices_between(self, start: Time | None = None, stop: Time | None = None) -> tuple[int, int]:
        """Return the index of the first frame from `start` on, and the one after the last frame before `stop`."""
        times, origin = self.timestamps_us, self.origin_us
        begin = 0 if start is None else int(np.searchsorted(times, to_us(start, origin)))
        end = len(times) if stop is None else int(np.searchsorted(times, to_us(stop, origin)))
        return begin, max(begin, end)

    def slice(
        self,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        reset_origin: bool = True,
        colorspace: ColorSpace | None = None,
        layout: Layout | None = None,
        resize: Size | None = None,
        on_error: OnError = "raise",
    ) -> Clip:
        """Decode the frames from `start` on and before `stop`.

        Parameters
        ----------
        start, stop : Time, optional
            First capture time, and the first one that is left out.
        reset_origin : bool, default True
            Count the times of the clip in seconds from `start`, or from its first frame without one. Otherwise they
            count as those of the recording.
        colorspace, layout, resize
            Form of the frames, as of :meth:`iter_frames`.
        on_error : {"raise", "report"}, default "raise"
            Raise :class:`DecodeError` for frames that cannot be decoded, or list them in the clip.

        Returns
        -------
        Clip
            The frames, of which there may be none.

        Raises
        ------
        DecodeError
            If a frame cannot be decoded.
        ValueError
            If an argument is wrong, or frames differ in size and `resize` is None.
        """
        part = self.lazy_slice(start, stop)
        origin = self.origin_us
        if reset_origin:
            times = part.timestamps_us
            origin = to_us(start, origin) if start is not None else int(times[0]) if len(times) else origin
        form = self._form.other(colorspace, layout, resize)
        missing: list[MissingFrame] = []
        indices, frames = part._decode_all(np.arange(len(part)), form, on_error, missing)
        capture_us = part.timestamps_us[indices]
        return Clip(frames, capture_us, (capture_us - origin) / SECOND_US, tuple(missing))

    def __getitem__(
        self, key: SupportsIndex | _Slice | Sequence[SupportsIndex] | npt.NDArray[np.integer[Any] | np.bool_]
    ) -> npt.NDArray[np.uint8]:
        """Decode frames by an index, or by a slice, indices or a mask, as of :meth:`frames`.

        A frame has the shape (height, width, 3), and several have (n, height, width, 3). Those of a :class:`LazyVideo`
        have the form that it was opened with.
        """
        if isinstance(key, _Slice):
            return self.frames(range(*key.indices(len(self))))
        if isinstance(key, Sequence) or (isinstance(key, np.ndarray) and key.ndim):
            return self.frames(key)
        if isinstance(key, (bool, np.bool_)):
            raise TypeError(f"{key} is no index of a frame")
        [frame] = self.frames([key])
        return cast("npt.NDArray[np.uint8]", frame)

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode all frames, as :meth:`iter_frames`."""
        return self.iter_frames()

    def iter_frames(
        self,
        *,
        colorspace: ColorSpace | None = None,
        layout: Layout | None = None,
        resize: Size | None = None,
        on_error: OnError = "raise",
        missing: list[MissingFrame] | None = None,
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode all frames in presentation order.

        The call checks its arguments, and the iteration decodes.

        Parameters
        ----------
        colorspace : {"RGB", "G"}, optional
            Three channels, or one with the luma. RGB by default.
        layout : {"NHWC", "NCHW"}, optional
            Frames of shape (height, width, channels), or (channels, height, width). NHWC by default, and for a
            :class:`LazyVideo` what it was opened with, as the others.
        resize : (int, int), optional
            Height and width in pixels.
        on_error : {"raise", "report"}, default "raise"
            Raise :class:`DecodeError` for a frame that cannot be decoded, or leave it out and add it to `missing`.
        missing : list, optional
            Receives a :class:`MissingFrame` for each frame that is left out.

        Yields
        ------
        ndarray of uint8
            The frames.
        """
        check_choice("on_error", on_error, "raise", "report")
        return self._arrays(self._form.other(colorspace, layout, resize), on_error, missing)

    def _arrays(
        self, form: PictureFormat, on_error: OnError, missing: list[MissingFrame] | None
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode all frames to arrays of a form."""
        for _, frame in self.decode(np.arange(len(self)), on_error=on_error, missing=missing):
            yield form.array(frame)

    def frames(
        self,
        indices: Indices,
        *,
        colorspace: ColorSpace | None = None,
        layout: Layout | None = None,
        resize: Size | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Decode frames by their indices.

        Each group of pictures is decoded once, in whatever order and however often its frames are asked.

        Parameters
        ----------
        indices : iterable of int, or of bool
            Indices of frames in any order, from -n to n - 1, or a mask with a value for each of the n frames.
        colorspace, layout, resize
            Form of the frames, as of :meth:`iter_frames`.

        Returns
        -------
        ndarray of uint8, shape (m, height, width, channels) or (m, channels, height, width)
            The frames in the order of `indices`. Without indices it has the size of the first frame.

        Raises
        ------
        IndexError
            If there is no such frame, or a mask has another length than the recording.
        DecodeError
            If a frame cannot be decoded.
        ValueError
            If an argument is wrong, or frames differ in size and `resize` is None.
        """
        each, places = np.unique(frame_indices(indices, len(self)), return_inverse=True)
        _, frames = self._decode_all(each, self._form.other(colorspace, layout, resize), "raise", [])
        return frames[places]

    def frames_at(
        self,
        times: Iterable[Time],
        *,
        tolerance: float | None = None,
        colorspace: ColorSpace | None = None,
        layout: Layout | None = None,
        resize: Size | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Decode the frame that is shown at each time: the last one that was not captured later.

        The same as :meth:`frames` of :meth:`indices_at`, for the form of the frames and the other errors, too.

        Parameters
        ----------
        times : iterable of Time
            The times, in any order.
        tolerance : float, optional
            Longest time in seconds that a frame is shown, at least 0. By default 2.5 times the median distance of two
            frames, so that no frame is shown in a gap.
        colorspace, layout, resize
            Form of the frames.

        Returns
        -------
        ndarray of uint8, shape (m, height, width, channels) or (m, channels, height, width)
            A frame for each of the m times, in their order.

        Raises
        ------
        LookupError
            If no frame is shown at one of the times.
        TypeError, ValueError
            If `tolerance` is no number, NaN or negative.
        """
        return self.frames(
            self.indices_at(times, tolerance=tolerance), colorspace=colorspace, layout=layout, resize=resize
        )

    def indices_at(self, times: Iterable[Time], *, tolerance: float | None = None) -> npt.NDArray[np.int64]:
        """Return the indices of the frames that are shown at times, as :meth:`frames_at` finds them."""
        origin = self.origin_us
        asked = np.array([to_us(time, origin) for time in times], np.int64)
        captured = self.timestamps_us
        indices = np.searchsorted(captured, asked, side="right") - 1
        longest = self._longest_us(tolerance)
        for time, index in zip(asked, indices):
            if index < 0:
                raise LookupError(f"No frame is shown at {time} µs: the first one was captured later")
            if longest is not None and time - captured[index] > longest:
                raise LookupError(
                    f"No frame is shown at {time} µs: the last one before it was captured at {captured[index]} µs"
                )
        return indices

    def _longest_us(self, tolerance: float | None) -> float | None:
        if tolerance is not None:
            seconds = real_number("tolerance", tolerance)
            if seconds < 0:
                raise ValueError(f"tolerance is {seconds}, which is negative")
            return seconds * SECOND_US
        cadence = self._reader.index.cadence_us
        return None if cadence is None else PAUSE_CADENCES * cadence

    def access_units(self) -> Iterator[AccessUnit]:
        """Read the access units of all frames in decoding order, without decoding.

        They are those of the frames in the index, once that is loaded. Before, all that the entry has when they are
        read: the index is not needed, and not loaded.

        Yields
        ------
        AccessUnit
            The access units. Those before the first frame that only a decoder needs are left out, and so are those that
            no keyframe precedes, with a :class:`RecordingWarning`.

        Raises
        ------
        StreamError
            If there are frames, and none of their records can be used.
        IndexMismatchError
            If the records have other frames than the index.
        """
        return from_first_frame(self._read_units())

    def _read_units(self) -> Iterator[AccessUnit]:
        """Read the access units, with timestamps from some keyframe on."""
        reader = self._reader
        has_index = reader.has_index or self._window is not None
        if reader.source.is_empty_range or (has_index and not len(self)):
            return
        if has_index:
            times = self.timestamps_us
            units = reader.source.units(int(times[0]), int(times[-1]), self._canceller)
        else:
            units = reader.source.all_units(self._canceller)
        for data, capture_us, pts, dts, _, is_keyframe, is_hidden, is_corrupted in units:
            if is_hidden:
                continue
            after_loss = has_index and bool(reader.index.after_lost_groups[reader.index_of(capture_us)])
            yield AccessUnit(data, capture_us, pts, dts, is_keyframe, is_corrupted or after_loss)
        for text in units.take_warnings():
            warnings.warn(text, RecordingWarning, stacklevel=3)

    def groups(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Split rising indices of frames into those of each group of pictures, which can be decoded in parallel."""
        first, _ = self._range
        return [group - first for group in self._reader.index.groups(indices + first)]

    def _decode_all(
        self,
        indices: npt.NDArray[np.int64],
        form: PictureFormat,
        on_error: OnError,
        missing: list[MissingFrame],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Decode frames by rising indices. Return the indices of those that are decoded, and these as one array."""
        found: list[int] = []
        frames: list[npt.NDArray[np.uint8]] = []
        works = [partial(_decode_part, indices=part, form=form, on_error=on_error) for part in self._shares(indices)]
        for decoded, lost in in_order(self, works):
            missing.extend(lost)
            for index, frame in decoded:
                if frames and frame.shape != frames[0].shape:
                    earlier, later = (form.size(each) for each in (frames[0], frame))
                    raise ValueError(
                        f"Frame {found[0]} has {earlier[1]}x{earlier[0]} pixels and frame {index} "
                        f"{later[1]}x{later[0]}, which one array cannot hold: resize=(height, width) gives them one "
                        "size, and iter_frames gives each as it is"
                    )
                found.append(index)
                frames.append(frame)
        if not frames:
            first, _ = self._range
            first += int(indices[0]) if len(indices) else 0
            height, width = form.resize or self._reader.size_at(first) or (0, 0)
            return np.empty(0, np.int64), np.empty((0, *form.shape(height, width)), np.uint8)
        return np.array(found, np.int64), np.stack(frames)

    def _shares(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Divide rising indices of frames among the threads that decode, each with whole groups of pictures."""
        groups = self.groups(indices)
        count = min(self._workers, len(groups))
        ends = np.linspace(0, len(groups), count + 1).astype(int).tolist()
        return [np.concatenate(groups[begin:end]) for begin, end in zip(ends, ends[1:])]

    def decode(
        self,
        indices: npt.NDArray[np.int64],
        *,
        on_error: OnError = "raise",
        missing: list[MissingFrame] | None = None,
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode frames to pictures of PyAV, in the pixel format of the video.

        Parameters
        ----------
        indices : ndarray of int64
            Indices of the frames, rising.
        on_error : {"raise", "report"}, default "raise"
            Raise :class:`DecodeError` for a frame that cannot be decoded, or leave it out and add it to `missing`.
        missing : list, optional
            Receives a :class:`MissingFrame` for each frame that is left out.

        Yields
        ------
        (int, av.VideoFrame)
            The index and the picture of each frame.
        """
        check_choice("on_error", on_error, "raise", "report")
        first, _ = self._range
        for frame in self._reader.decode(indices + first, self._canceller):
            index = frame.index - first
            if frame.picture is not None:
                yield index, frame.picture
                continue
            lost = MissingFrame(index, int(self.timestamps_us[index]), frame.reason)
            if on_error == "raise":
                raise DecodeError([lost])
            if missing is not None:
                missing.append(lost)

    def iter_frames_async(
        self,
        *,
        colorspace: ColorSpace | None = None,
        layout: Layout | None = None,
        resize: Size | None = None,
        on_error: OnError = "raise",
        missing: list[MissingFrame] | None = None,
    ) -> AsyncGenerator[npt.NDArray[np.uint8], None]:
        """Decode all frames as :meth:`iter_frames`, in a thread of its own."""
        check_choice("on_error", on_error, "raise", "report")
        form = self._form.other(colorspace, layout, resize)
        return iterate(self, lambda part: part._arrays(form, on_error, missing))

    def access_units_async(self) -> AsyncGenerator[AccessUnit, None]:
        """Read the access units as :meth:`access_units`, in a thread of its own."""
        return iterate(self, Recording.access_units)

    async def slice_async(self, start: Time | None = None, stop: Time | None = None, **options: Any) -> Clip:
        """Decode the frames of a range as :meth:`slice`, in a thread."""
        return await in_thread(self, lambda part: part.slice(start, stop, **options))

    async def frames_async(self, indices: Indices, **options: Any) -> npt.NDArray[np.uint8]:
        """Decode frames by their indices as :meth:`frames`, in a thread."""
        return await in_thread(self, lambda part: part.frames(indices, **options))

    async def frames_at_async(self, times: Iterable[Time], **options: Any) -> npt.NDArray[np.uint8]:
        """Decode the frames that are shown at times as :meth:`frames_at`, in a thread."""
        return await in_thread(self, lambda part: part.frames_at(times, **options))


def _decode_part(
    part: Recording, indices: npt.NDArray[np.int64], form: PictureFormat, on_error: OnError
) -> tuple[list[tuple[int, npt.NDArray[np.uint8]]], list[MissingFrame]]:
    """Decode frames by rising indices. Return each with its index, and those that are missing."""
    missing: list[MissingFrame] = []
    pictures = part.decode(indices, on_error=on_error, missing=missing)
    return [(index, form.array(picture)) for index, picture in pictures], missing


async def open_async(*arguments: Any, **options: Any) -> Recording:
    """Open the video of an entry as :func:`open`, in a thread."""
    return await call(lambda _: open(*arguments, **options))
