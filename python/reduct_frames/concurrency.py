# SPDX-License-Identifier: MPL-2.0
"""Runs blocking work on recordings in threads for asyncio, and ends it when its task is cancelled."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Callable, TypeVar

from ._core import Canceller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .recording import Recording

__all__ = ["call", "in_thread", "iterate"]

T = TypeVar("T")


async def call(work: Callable[[Canceller], T]) -> T:
    """Run work in a thread. A cancelled task ends its waits, and the thread, before it returns."""
    canceller = Canceller()

    def run() -> T:
        with canceller:
            return work(canceller)

    future = asyncio.get_running_loop().run_in_executor(None, run)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        canceller.cancel()
        await asyncio.wait([future])
        future.exception()  # it is expected, and asyncio would report it as lost
        raise


async def in_thread(recording: Recording, work: Callable[[Recording], T]) -> T:
    """Run work on a recording in a thread, as :func:`call`."""
    return await call(lambda canceller: work(recording.cancellable(canceller)))


async def iterate(recording: Recording, work: Callable[[Recording], Iterator[T]]) -> AsyncIterator[T]:
    """Iterate over a recording in a thread of its own, which ends with the iteration."""
    canceller = Canceller()
    loop = asyncio.get_running_loop()
    iterator = work(recording.cancellable(canceller))
    end = object()

    def step() -> T | object:
        with canceller:
            return next(iterator, end)

    thread = ThreadPoolExecutor(1)
    try:
        while True:
            item = await loop.run_in_executor(thread, step)
            if item is end:
                return
            yield item  # type: ignore[misc]
    finally:
        canceller.cancel()
        thread.shutdown(wait=False)
