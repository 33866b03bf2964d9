# SPDX-License-Identifier: MPL-2.0
"""Runs work on recordings in threads, and ends it when it is interrupted or its task is cancelled."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from ._core import Canceller

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from .recording import Recording

__all__ = ["SIGNAL_SECONDS", "call", "held", "in_order", "in_thread", "iterate", "wait_for_end"]

T = TypeVar("T")

SIGNAL_SECONDS = 0.1
"""Interval in which a thread looks for signals and cancellation while it waits for others."""


@contextmanager
def held(lock: threading.Lock | threading.RLock, check: Callable[[], None]) -> Iterator[None]:
    """Hold a lock. The wait for it calls `check` from time to time, which may raise an error."""
    while not lock.acquire(timeout=SIGNAL_SECONDS):
        check()
    try:
        yield
    finally:
        lock.release()


def in_order(recording: Recording, works: Sequence[Callable[[Recording], T]]) -> Iterator[T]:
    """Run works on a recording in a thread each, and yield their results in order.

    An error, an interrupt and the end of the iteration end all of them.
    """
    if len(works) < 2:  # noqa: PLR2004
        yield from (work(recording) for work in works)
        return
    stop = Canceller()
    part = recording.cancellable(stop)
    with ThreadPoolExecutor(len(works)) as threads:
        try:
            for future in [threads.submit(work, part) for work in works]:
                while not wait([future], timeout=SIGNAL_SECONDS).done:
                    recording.check_cancelled()
                yield future.result()
        finally:
            stop.cancel()


async def call(work: Callable[[Canceller], T]) -> T:
    """Run work in a thread. A cancelled task ends its waits, and the thread, before it returns."""
    canceller = Canceller()

    def run() -> T:
        with canceller:
            return work(canceller)

    return await _result(asyncio.get_running_loop().run_in_executor(None, run), canceller)


async def in_thread(recording: Recording, work: Callable[[Recording], T]) -> T:
    """Run work on a recording in a thread, as :func:`call`."""
    return await call(lambda canceller: work(recording.cancellable(canceller)))


async def iterate(recording: Recording, work: Callable[[Recording], Iterator[T]]) -> AsyncGenerator[T, None]:
    """Iterate over a recording in a thread of its own, which ends with the iteration."""
    canceller = Canceller()
    loop = asyncio.get_running_loop()
    iterator = work(recording.cancellable(canceller))
    end = object()

    def step() -> T | object:
        with canceller:
            return next(iterator, end)

    with ThreadPoolExecutor(1) as thread:
        try:
            while True:
                item = await _result(loop.run_in_executor(thread, step), canceller)
                if item is end:
                    return
                yield item  # type: ignore[misc]
        finally:
            canceller.cancel()


async def _result(future: asyncio.Future[T], canceller: Canceller) -> T:
    """Return the result of a thread. A cancelled task ends it first."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        canceller.cancel()
        await wait_for_end(future)
        raise


async def wait_for_end(future: asyncio.Future[Any]) -> None:
    """Wait until a thread or a task that was told to end has ended, also if the own task is cancelled meanwhile."""
    is_cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            is_cancelled = True
    if not future.cancelled():
        future.exception()  # it is expected, and asyncio would report it as lost
    if is_cancelled:
        raise asyncio.CancelledError
