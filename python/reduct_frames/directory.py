# SPDX-License-Identifier: MPL-2.0
"""Writes the frames of a recording to a folder of pictures, in parallel."""

from __future__ import annotations

import asyncio
import numbers
import os
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np

from ._core import Canceller
from .arguments import Indices, Size, check_choice, frame_indices, real_number, whole_number, worker_count
from .concurrency import SIGNAL_SECONDS, in_thread, wait_for_end
from .folder_lock import locked
from .folder_settings import begin_export, digest
from .manifest import JSON_NAME, Row, sha256, write_manifest
from .picture_files import DEFAULT_QUALITY, PictureEncoder, absolute, write_whole
from .progress import Bars, Progress, Watched, check_progress
from .times import SECOND_US, to_us

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from pathlib import Path

    import av
    import numpy.typing as npt

    from .decoding import ColorSpace
    from .errors import MissingFrame
    from .recording import OnError, Recording
    from .times import Time

__all__ = ["WrittenFrames", "to_dir"]


Every = Union[int, float, "np.integer[Any]", "np.floating[Any]"]
"""Each n-th frame for a whole number, or frames that are this many seconds apart."""


class WrittenFrames(list[str]):
    """Absolute paths of the pictures, in the order of their frames.

    Attributes
    ----------
    missing : list of MissingFrame
        Frames that cannot be decoded, and have no file.
    manifest : str
        Absolute path of the manifest as JSON lines. That as Parquet is beside it.
    """

    def __init__(self, paths: Iterable[str], missing: list[MissingFrame], manifest: str) -> None:
        super().__init__(paths)
        self.missing = missing
        self.manifest = manifest


def to_dir(
    recording: Recording,
    folder: str | os.PathLike[str],
    *,
    frames: Indices | None = None,
    start: Time | None = None,
    stop: Time | None = None,
    every: Every | None = None,
    ext: Literal["png", "jpg", "jpeg"] = "png",
    quality: int = DEFAULT_QUALITY,
    names: Literal["index", "time"] = "index",
    colorspace: ColorSpace | None = None,
    resize: Size | None = None,
    workers: int | None = None,
    queue: int = 32,
    progress: Progress = None,
    checksums: bool = False,
    resume: bool = False,
    on_error: OnError = "report",
) -> WrittenFrames:
    """Write frames to a folder as pictures, with a manifest.

    Groups of pictures are decoded in parallel, each once. A file appears when it is complete. Wrong arguments leave the
    folder as it is. One call at a time writes to a folder.

    Parameters
    ----------
    recording : Recording
        The recording.
    folder : path
        The folder, which is created if it is missing.
    frames : iterable of int, optional
        Indices of the frames, in any order, or a mask as in :meth:`Recording.frames`; all by default.
    start, stop : Time, optional
        First capture time, and the first one that is left out.
    every : int or float, optional
        Of these frames, every n-th one for an ``int``, or those that are this many seconds apart for a ``float``.
    ext : {"png", "jpg", "jpeg"}, default "png"
        Type of the pictures.
    quality : int, default 90
        Quality of JPEG, from 1 to 100.
    names : {"index", "time"}, default "index"
        Names of the files: ``frame_{index:06d}``, or ``frame_{capture_us}``.
    colorspace : {"RGB", "G"}, optional
        Colour, or the luma alone. Colour by default, and for a :class:`LazyVideo` what it was opened with.
    resize : (int, int), optional
        Height and width in pixels. Those of the video by default, and for a :class:`LazyVideo` what it was opened with.
    workers : int, optional
        Threads that decode, and as many that encode and write; the number of processors by default.
    queue : int, default 32
        Largest number of decoded frames in memory that are not written yet.
    progress : bool, "separate" or callable, optional
        True shows a bar, and ``"separate"`` one each for decoding and for writing, if tqdm is installed. A
        callable is called with the path of each file when it is complete, by any thread, but by one at a time.
    checksums : bool, default False
        Have the manifest name the SHA-256 of each file.
    resume : bool, default False
        Continue what an earlier call with the same arguments began: complete files that are there are kept. The
        recording may have more frames at its end than then.
    on_error : {"report", "raise"}, default "report"
        List frames that cannot be decoded in the manifest and in the result, or raise :class:`DecodeError`.

    Returns
    -------
    WrittenFrames
        Absolute paths of the files, in the order of their frames.

    Raises
    ------
    FileExistsError
        If the folder has pictures of an earlier call, and `resume` is false; or if it has pictures, a manifest or
        settings that no call has written. Nothing is changed then.
    FolderInUseError
        If another call, also of another process, writes to the folder, which is left as it is then.
    TypeError
        If an argument has a wrong type.
    ValueError
        If an argument is wrong, or the earlier call had other arguments.
    OSError
        If a file cannot be written. Those that are complete stay.
    """
    check_choice("names", names, "index", "time")
    check_choice("on_error", on_error, "raise", "report")
    check_progress(progress)
    count = worker_count(workers)
    queue = whole_number("queue", queue, 1)
    form = recording._form.other(colorspace, None, resize)
    encoder = PictureEncoder(ext, quality, form.resize, gray=form.colorspace == "G")
    target = absolute(folder)
    selection = _Selection.of(recording, frames, start, stop, every)
    indices = selection.indices(recording)
    times = recording.timestamps_us
    files = {
        int(index): target / f"frame_{index:06d}.{ext}" if names == "index" else target / f"frame_{times[index]}.{ext}"
        for index in indices
    }
    options = {
        "ext": encoder.ext,
        "quality": encoder.quality,
        "names": names,
        "resize": list(encoder.resize) if encoder.resize else None,
        "gray": encoder.gray,
        **selection.settings(),
    }
    with locked(target):
        is_begun = begin_export(target, recording, options, resume)
        there = {index for index, path in files.items() if is_begun and encoder.is_whole(path)}
        wanted = np.array([index for index in indices if index not in there], np.int64)
        with Bars(progress, len(wanted)) as bars:
            missing = _Writer(recording, files, encoder, bars, count, queue, on_error).run(wanted)
        reasons = {frame.index: frame.reason for frame in missing}
        keyframes = set(recording.keyframes.tolist())
        rows = [
            Row(
                index,
                int(times[index]),
                None if index in reasons else path.name,
                index in keyframes,
                sha256(path) if checksums and index not in reasons else None,
                reasons.get(index),
            )
            for index, path in files.items()
        ]
        write_manifest(target, rows)
    paths = [str(path) for index, path in files.items() if index not in reasons]
    return WrittenFrames(paths, missing, str(target / JSON_NAME))


@dataclass(frozen=True)
class _Selection:
    """The frames that are asked: indices, or all, of a range of capture times, and which of these.

    Attributes
    ----------
    frames : ndarray of int64 or None
        Indices, rising.
    start_us, stop_us : int or None
        First capture time, and the first one that is left out.
    every : int, float or None
        Each n-th one for an ``int``, or those that are so many seconds apart for a ``float``.
    """

    frames: npt.NDArray[np.int64] | None
    start_us: int | None
    stop_us: int | None
    every: int | float | None

    @classmethod
    def of(
        cls,
        recording: Recording,
        frames: Indices | None,
        start: Time | None,
        stop: Time | None,
        every: Every | None,
    ) -> _Selection:
        """Return the selection of arguments, which are checked."""
        origin = recording.origin_us
        return cls(
            None if frames is None else np.unique(frame_indices(frames, len(recording))),
            None if start is None else to_us(start, origin),
            None if stop is None else to_us(stop, origin),
            None if every is None else _interval(every),
        )

    def indices(self, recording: Recording) -> npt.NDArray[np.int64]:
        """Return the rising indices of the frames."""
        first, last = recording.indices_between(self.start_us, self.stop_us)
        indices = np.arange(first, last)
        if self.frames is not None:
            indices = self.frames[(self.frames >= first) & (self.frames < last)]
        if self.every is None or not len(indices):
            return indices
        if isinstance(self.every, int):
            return indices[:: min(self.every, len(indices))]
        times = recording.timestamps_us[indices]
        # Capture times are rounded, so that a frame may be up to a microsecond before the step that it is for.
        steps = (times - times[0] + 1) // max(1.0, self.every * SECOND_US)
        _, first_of_step = np.unique(steps, return_index=True)
        return indices[first_of_step]

    def settings(self) -> dict[str, object]:
        """Return what a later call is compared by."""
        return {
            "frames": None if self.frames is None else digest(self.frames),
            "start_us": self.start_us,
            "stop_us": self.stop_us,
            "every": f"{self.every} s" if isinstance(self.every, float) else self.every,
        }


def _interval(every: object) -> int | float:
    """Return the argument `every`, an ``int`` or a ``float``."""
    if isinstance(every, numbers.Integral):
        return whole_number("every", every, 1)
    seconds = real_number("every", every)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"every is {seconds}, which is not positive and finite")
    return seconds


@dataclass
class _Writer:
    """Decodes and writes frames by two pools of threads."""

    recording: Recording
    files: dict[int, Path]
    encoder: PictureEncoder
    bars: Bars
    workers: int
    queue: int
    on_error: OnError
    stop: Canceller = field(default_factory=Canceller)
    missing: list[MissingFrame] = field(default_factory=list)
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        """Make room for the decoded frames."""
        self.room = threading.Semaphore(self.queue)
        self.source = self.recording.cancellable(self.stop)

    def run(self, indices: npt.NDArray[np.int64]) -> list[MissingFrame]:
        """Write frames, and return those that cannot be decoded, in order."""
        with ThreadPoolExecutor(self.workers) as decoders, ThreadPoolExecutor(self.workers) as encoders:
            try:
                groups = self.recording.groups(indices)
                decoded = [decoders.submit(self._decode, group, encoders) for group in groups]
                self._wait_for(decoded)
                # All is written when there is room for as many as there can be.
                for _ in range(self.queue):
                    self._take_room()
            finally:
                self.stop.cancel()
                decoders.shutdown(wait=False, cancel_futures=True)
                encoders.shutdown(wait=False, cancel_futures=True)
        return sorted(self.missing, key=lambda frame: frame.index)

    def _decode(self, group: npt.NDArray[np.int64], encoders: ThreadPoolExecutor) -> None:
        """Decode a group of pictures, and have its frames written."""
        for index, picture in self.source.decode(group, on_error=self.on_error, missing=self.missing):
            self.bars.decoded()
            self._take_room()
            write = encoders.submit(self._write, index, picture)
            write.add_done_callback(self._note)

    def _take_room(self) -> None:
        """Wait for room for a decoded frame."""
        while not self.room.acquire(timeout=SIGNAL_SECONDS):
            self._check()
        self._check()

    def _check(self) -> None:
        """Raise the first error of a thread, or CancelledError if the recording was cancelled."""
        self.recording.check_cancelled()
        if self.failure is not None:
            raise self.failure

    def _write(self, index: int, picture: av.VideoFrame) -> None:
        self.recording.check_cancelled()
        write_whole(self.files[index], self.encoder.encode(picture))
        self.bars.written(str(self.files[index]))

    def _note(self, write: Future[None]) -> None:
        """Note that a frame is written, or its error, which ends the others."""
        error = None if write.cancelled() else write.exception()
        if error is not None and self.failure is None:
            self.failure = error
            self.stop.cancel()
        self.room.release()

    def _wait_for(self, futures: list[Future[None]]) -> None:
        """Wait until all are done, or raise the first error."""
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=SIGNAL_SECONDS, return_when=FIRST_COMPLETED)
            self._check()
            for future in done:
                future.result()


async def to_dir_async(recording: Recording, folder: str | os.PathLike[str], **options: Any) -> WrittenFrames:
    """Write frames to a folder as :func:`to_dir`, in threads."""
    return await in_thread(recording, lambda part: to_dir(part, folder, **options))


async def iter_dir_async(
    recording: Recording, folder: str | os.PathLike[str], *, progress: Progress = None, **options: Any
) -> AsyncGenerator[str, None]:
    """Write frames to a folder as :func:`to_dir`, in threads, and yield the path of each file when it is complete.

    The files come in the order in which they are complete. Frames that cannot be decoded are in the manifest. When the
    iteration has ended, also by ``aclose()``, nothing more is written.
    """
    loop = asyncio.get_running_loop()
    complete: asyncio.Queue[str | None] = asyncio.Queue()

    def note(path: str) -> None:
        loop.call_soon_threadsafe(complete.put_nowait, path)

    options["progress"] = Watched(progress, note)
    task = asyncio.ensure_future(to_dir_async(recording, folder, **options))
    task.add_done_callback(lambda _: complete.put_nowait(None))
    try:
        while (path := await complete.get()) is not None:
            yield path
        await task
    finally:
        task.cancel()
        await wait_for_end(task)
