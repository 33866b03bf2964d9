# SPDX-License-Identifier: MPL-2.0
"""Writes access units to an entry, with batches, retries and a spool."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Literal

from . import _core
from .arguments import whole_number
from .errors import ReductFramesError
from .times import Time, to_us

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import av

__all__ = ["Recorder", "RecorderWarning"]

_MAX_UINT32, _MAX_UINT64 = 2**32 - 1, 2**64 - 1
_EXIT_SECONDS = 5.0
"""Longest wait for records to be written when an exception leaves a block."""


class RecorderWarning(UserWarning):
    """A retry, or a fault that recording survives."""


class Recorder:
    """A stream of encoded access units that is written to an entry, in the background.

    Several threads may use a recorder at once. Access units are in the order in which their calls of :meth:`log` begin.
    As a context manager it waits at the end until all records are written. If an exception leaves the block, also that
    of Ctrl-C, what was logged is written as well, for 5 s at most: a :class:`RecorderWarning` has the number of frames
    that are not stored then, and the exception stays the same. Another Ctrl-C ends that wait. An object that is dropped
    before :meth:`finish` gives up records that the server has not acknowledged, except for those in a spool.

    An entry has one writer, and the times of its records grow. Where the first record is not after the newest one of
    the entry, as when a file is recorded twice, none is written, and :meth:`log` or :meth:`finish` raises
    :class:`ServerError`. With `skip_existing`, records that the entry has are left out, and those after its newest one
    are written; older ones that it lacks are an error, too.

    A forked process needs a recorder of its own. That of its parent raises ``RuntimeError`` there.

    Parameters
    ----------
    url : str
        URL of the server.
    bucket, entry : str
        Names of the bucket, which is created if it is missing, and of the entry.
    token : str, optional
        API token; that of the environment variable ``REDUCT_API_TOKEN`` by default.
    ca_cert : path, optional
        PEM file with certificates to trust besides those of the system.
    verify_ssl : bool, default True
        Refuse a server whose certificate is not valid.
    timeout : float or None, default 30
        Longest time without progress of a request, in seconds; None is for ever.
    record_unit : {"access-unit", "gop"}, default "access-unit"
        Content of a record: one access unit, or a group of pictures from a keyframe on. Such a record has one time,
        that of its first frame, and readers place the others at the observed or the declared frame rate. So it ends
        where a frame is more than half a frame duration off, as after a pause. The times of a camera with jitter are
        read less than one frame duration off, and where pauses are frequent, the last frame before one is read with a
        time in it. ``"access-unit"`` keeps each time. Without a frame rate each frame is a record.
    labels : mapping of str to str, optional
        Labels of each record besides ``fps`` and ``keyframe``, which are set by the recorder.
    fps : str, optional
        Frame rate, as ``"30"`` or ``"30000/1001"``; that of the stream itself by default.
    quota_size : int, optional
        Quota in bytes of a bucket that is created, beyond which it drops its oldest records.
    max_latency : float, default 0.2
        Longest time in seconds that a record waits for others to be written with it.
    queue_bytes : int, optional
        Bytes that records may take while they wait for the server; 256 MiB by default.
    retries : int, optional
        Retries in a row before an error at a server that was never reached, and at the end; 10 by default.
    overflow : {"block", "drop-groups", "raise"}, default "block"
        Policy for a record without room in the queue: wait for room, drop the oldest groups of pictures and count them,
        or raise :class:`ReductFramesError`.
    skip_existing : bool, default False
        Skip records that the entry has already, which are an error otherwise.
    create_bucket : bool, default True
        Create a missing bucket, for which the token needs full access.
    spool : path, optional
        Folder of files that keep records until they are written, so that they survive the process. The next recorder
        of the entry writes those that are left.

    Raises
    ------
    ValueError
        If an argument is wrong, or ``ca_cert`` cannot be read. The server is not asked yet.
    """

    def __init__(
        self,
        url: str,
        bucket: str,
        entry: str,
        *,
        token: str | None = None,
        ca_cert: str | os.PathLike[str] | None = None,
        verify_ssl: bool = True,
        timeout: float | None = 30.0,
        record_unit: Literal["access-unit", "gop"] = "access-unit",
        labels: Mapping[str, str] | None = None,
        fps: str | None = None,
        quota_size: int | None = None,
        max_latency: float = 0.2,
        queue_bytes: int | None = None,
        retries: int | None = None,
        overflow: Literal["block", "drop-groups", "raise"] = "block",
        skip_existing: bool = False,
        create_bucket: bool = True,
        spool: str | os.PathLike[str] | None = None,
    ) -> None:
        for name, count, most in (
            ("quota_size", quota_size, _MAX_UINT64),
            ("queue_bytes", queue_bytes, _MAX_UINT64),
            ("retries", retries, _MAX_UINT32),
        ):
            if count is not None:
                whole_number(name, count, 0, most)
        self._skips_records = skip_existing and record_unit == "gop"
        self._has_spool = spool is not None
        self._process = os.getpid()
        self._native = _core.Recorder(
            url,
            bucket,
            entry,
            token=token,
            ca_cert=ca_cert,
            verify_ssl=verify_ssl,
            timeout=timeout,
            record_unit=record_unit,
            labels=list((labels or {}).items()),
            fps=fps,
            quota_size=quota_size,
            max_latency=max_latency,
            queue_bytes=queue_bytes,
            retries=retries,
            overflow=overflow,
            skip_existing=skip_existing,
            create_bucket=create_bucket,
            spool=spool,
        )

    def log(self, sample: bytes | bytearray | memoryview | av.Packet[Any], time: Time) -> None:
        """Take an access unit. Waits only for room in the queue.

        The access units are in decoding order, and so are the times of the records: the k-th one has the k-th capture
        time in output order.

        Record times grow. A capture time ahead is recorded as it is, since the camera may have paused. One that is not
        after that of the frame before is replaced: at half the frame distance if it is up to a second behind, else at
        the cadence, until the clock has caught up; one that is the same as that of the frame before, between its
        neighbours. The first frame with another time is reported by a :class:`RecorderWarning`, as is each jump of the
        clock by more than 0.1 s, and :attr:`stats` counts them.

        Parameters
        ----------
        sample : bytes-like or av.Packet
            The access unit as Annex B byte stream. The packets of an encoder have this form unless it writes global
            headers.
        time : Time
            Capture time: an ``int`` in microseconds since the Unix epoch, a ``datetime``, or a time by RFC 3339.

        Raises
        ------
        TypeError
            If the sample is not bytes-like, or the time has another type.
        ValueError
            If the time is before the Unix epoch, or cannot be read.
        RuntimeError
            After :meth:`finish`, and in a forked process.
        ReductFramesError
            If recording has ended with an error.
        """
        self._check_process()
        try:
            self._native.log(_content(sample), to_us(time))
        finally:
            self._warn()

    def finish(self, timeout: float | None = None) -> None:
        """End the stream, and wait until all records are written. :meth:`log` takes nothing from then on.

        Parameters
        ----------
        timeout : float, optional
            Longest wait, in seconds.

        Raises
        ------
        TimeoutError
            If records are still not written. The call can be repeated.
        RuntimeError
            In a forked process.
        ReductFramesError
            If recording has ended with an error.
        """
        self._check_process()
        try:
            self._native.finish(timeout)
        finally:
            self._warn()

    @property
    def stats(self) -> dict[str, int]:
        """Counters of this recorder.

        ``logged`` is the number of access units that were taken. ``records``, ``frames`` and ``bytes`` are those that
        the server has, ``batches`` the requests that wrote them. ``existing`` records were skipped, ``dropped_records``
        with ``dropped_frames`` lacked room, ``queue_records`` with ``queue_bytes`` wait. ``clock_jumps`` is how often
        the clock of the capture times was set. ``outliers`` are frames with wrong capture times, placed between their
        neighbours. ``moved`` are all frames whose record time is not their capture time, with the outliers and those
        after a clock that was set back.
        """
        return self._native.stats

    def _check_process(self) -> None:
        """Raise RuntimeError in a forked process, which has none of the threads that write."""
        if self._process != os.getpid():
            raise RuntimeError("The recorder was opened in another process, before a fork: open one in this process")

    def _warn(self) -> None:
        for message in self._native.take_messages():
            warnings.warn(message, RecorderWarning, stacklevel=3)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        elif self._process == os.getpid():
            self._finish_after_error()

    def _finish_after_error(self) -> None:
        """Write what was logged for a while. What is not written is a warning, as the error of the block is raised."""
        try:
            self.finish(_EXIT_SECONDS)
        except (TimeoutError, ValueError, ReductFramesError) as failure:
            self._warn_of_lost(str(failure))
        except BaseException:  # such as another Ctrl-C
            self._warn_of_lost("the wait for them was interrupted")
            raise

    def _warn_of_lost(self, reason: str) -> None:
        """Warn of the frames that were logged and are not stored, if there are some."""
        stats = self.stats
        if self._has_spool:
            # The frames that are written may be those of an earlier recorder.
            count, unit, note = stats["queue_records"], "records", ". The next recorder with this spool writes them"
        else:
            count, unit, note = stats["logged"] - stats["frames"] - stats["existing"], "frames", ""
        if count > 0:
            # A record that is skipped may have several frames.
            about = "up to " if self._skips_records and stats["existing"] else ""
            text = f"{about}{count} {unit} were logged and are not stored: {reason}{note}"
            warnings.warn(text, RecorderWarning, stacklevel=4)


def _content(sample: bytes | bytearray | memoryview | av.Packet[Any]) -> bytes:
    """Return the bytes of a sample."""
    try:
        return sample if isinstance(sample, bytes) else memoryview(sample).tobytes()
    except TypeError:
        raise TypeError(f"a sample is bytes-like or an av.Packet, not {type(sample).__name__}") from None
