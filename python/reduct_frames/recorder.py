# SPDX-License-Identifier: MPL-2.0
"""Writes access units to an entry, with batches, retries and a spool."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Literal

from . import _core
from .times import Time, to_us

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import av

__all__ = ["Recorder", "RecorderWarning"]


class RecorderWarning(UserWarning):
    """A retry, or a fault that recording survives."""


class Recorder:
    """A stream of encoded access units that is written to an entry, in the background.

    As a context manager it waits at the end until all records are written. An object that is dropped before
    :meth:`finish` gives up records that the server has not acknowledged, except for those in a spool.

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
        Content of a record: one access unit, or a group of pictures from a keyframe on.
    labels : mapping of str to str, optional
        Labels of each record besides ``fps`` and ``keyframe``.
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
        If an argument is wrong. The server is not asked yet.
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

        Parameters
        ----------
        sample : bytes-like or av.Packet
            The access unit as Annex B byte stream. The packets of an encoder have this form unless it writes global
            headers.
        time : Time
            Capture time: an ``int`` in microseconds since the Unix epoch, a ``datetime``, or a time by RFC 3339.

        Raises
        ------
        ReductFramesError
            If recording has ended with an error.
        """
        self._native.log(bytes(sample), to_us(time))
        self._warn()

    def finish(self, timeout: float | None = None) -> None:
        """End the stream, and wait until all records are written.

        Parameters
        ----------
        timeout : float, optional
            Longest wait, in seconds.

        Raises
        ------
        TimeoutError
            If records are still not written. The call can be repeated.
        ReductFramesError
            If recording has ended with an error.
        """
        try:
            self._native.finish(timeout)
        finally:
            self._warn()

    @property
    def stats(self) -> dict[str, int]:
        """Counters: records, frames, bytes, batches, existing, dropped and queued ones."""
        return self._native.stats

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
