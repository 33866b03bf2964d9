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

__all__ = ["in_thread", "iterate"]

T = TypeVar("T")


async def in_thread(recording: Recording, work: Callable[[Recording], T]) -> T:
    """Run work on a recording in a thread. A cancelled task ends its waits, and the thread, before it returns."""
    canceller = Canceller()
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, work, recording.cancellable(canceller))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        canceller.cancel()
        await asyncio.wait([future])
        future.exception()  # it is expected, and asyncio would report it as lost
        raise


async def iterate(recording: Recording, work: Callable[[Recording], Iterator[T]]) -> AsyncIterator[T]:
    """Iterate over a recording in a thread of its own, which ends with the iteration."""
    canceller = Canceller()
    loop = asyncio.get_running_loop()
    iterator = work(recording.cancellable(canceller))
    end = object()
    thread = ThreadPoolExecutor(1)
    try:
        while True:
            item = await loop.run_in_executor(thread, next, iterator, end)
            if item is end:
                return
            yield item  # type: ignore[misc]
    finally:
        canceller.cancel()
        thread.shutdown(wait=False)
