# SPDX-License-Identifier: MPL-2.0
"""Native part: entries of ReductStore as access units with times, and the video tracks of MP4 files.

Times are in µs since the Unix epoch or in ns, and those of MP4 files in ticks.
"""

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Literal

class ReductFramesError(Exception):
    """Base of all errors of this package that are not errors of the caller."""

class ServerError(ReductFramesError):
    """The server cannot be reached, its answers are not those of ReductStore, or an entry cannot take records."""

class AccessError(ReductFramesError):
    """The server refuses the API token."""

class NotFoundError(ReductFramesError):
    """There is no such bucket or entry."""

class StreamError(ReductFramesError):
    """The records are not video that can be read."""

class CancelledError(ReductFramesError):
    """Another thread has ended the wait."""

Unit = tuple[bytes, int, int, int, int | None, bool, bool, bool]
"""Bytes, capture time, PTS, DTS, duration, and the facts is_keyframe, is_hidden and is_corrupted."""

def check_cancelled() -> None: ...
def parse_time(text: str) -> int: ...
def parse_uri(uri: str) -> tuple[str, str, str, list[tuple[str, str]]]: ...

class Canceller:
    """A switch that ends the waits of readers, and all waits of a thread that is in its block, from another thread."""

    def __new__(cls) -> Canceller: ...
    @property
    def is_cancelled(self) -> bool: ...
    def cancel(self) -> None: ...
    def __enter__(self) -> Canceller: ...
    def __exit__(self, *error: object) -> None: ...

class Units(Iterator[Unit]):
    """Reader of a range, in decoding order."""

    @property
    def fps(self) -> float | None: ...
    @property
    def time_scale(self) -> int: ...
    @property
    def gaps(self) -> list[tuple[int, int]]: ...
    def __iter__(self) -> Units: ...
    def __next__(self) -> Unit: ...
    def next_episode(self) -> tuple[bytes, int] | None: ...
    def take_warnings(self) -> list[str]: ...

class Entry:
    """An entry of a server."""

    def __new__(
        cls,
        url: str,
        bucket: str,
        entry: str,
        *,
        token: str | None = None,
        ca_cert: str | PathLike[str] | None = None,
        verify_ssl: bool = True,
        timeout: float | None = 30.0,
    ) -> Entry: ...
    @property
    def content(self) -> Literal["h264", "mp4"] | None: ...
    def headers(
        self, start: int | None = None, stop: int | None = None
    ) -> tuple[dict[str, bytes], float | None, int, list[str]]: ...
    def scan(self, start: int | None = None, stop: int | None = None) -> tuple[dict[str, bytes], Units]: ...
    def units(
        self,
        start: int | None = None,
        stop: int | None = None,
        canceller: Canceller | None = None,
        *,
        whole_records: bool = False,
        keyframe: int | None = None,
    ) -> Units: ...

class Mp4Track:
    """The first video track of an MP4 file, whose codec is H.264."""

    @staticmethod
    def open(path: str | PathLike[str]) -> Mp4Track: ...
    @staticmethod
    def parse(file: bytes) -> Mp4Track: ...
    def columns(self) -> dict[str, bytes]: ...
    def presentation(self) -> dict[str, bytes]: ...
    def output_order(self, samples: Iterable[bytes]) -> dict[str, bytes] | None: ...
    @property
    def time_scale(self) -> int: ...
    @property
    def size(self) -> tuple[int, int]: ...
    def access_unit(self, sample: bytes, with_sets: bool) -> tuple[bytes, bool, bool]: ...

class Recorder:
    """A stream of access units that is written to an entry."""

    def __new__(
        cls,
        url: str,
        bucket: str,
        entry: str,
        *,
        token: str | None = None,
        ca_cert: str | PathLike[str] | None = None,
        verify_ssl: bool = True,
        timeout: float | None = 30.0,
        record_unit: Literal["access-unit", "gop"] = "access-unit",
        labels: list[tuple[str, str]] = ...,
        fps: str | None = None,
        quota_size: int | None = None,
        max_latency: float = 0.2,
        queue_bytes: int | None = None,
        retries: int | None = None,
        overflow: Literal["block", "drop-groups", "raise"] = "block",
        skip_existing: bool = False,
        create_bucket: bool = True,
        spool: str | PathLike[str] | None = None,
    ) -> Recorder: ...
    @property
    def stats(self) -> dict[str, int]: ...
    def log(self, sample: bytes, time: int) -> None: ...
    def finish(self, timeout: float | None = None) -> None: ...
    def take_messages(self) -> list[str]: ...
