# SPDX-License-Identifier: MPL-2.0
"""Async twins that end early: by cancellation, by ``aclose()`` and by ``break``."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from conftest import Server
from streams import Stream

import reduct_frames
from reduct_frames import Recording, concurrency, iter_dir_async

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduct_frames import Canceller

END_SECONDS = 20
LARGE = (1000, 1500)
"""A size whose 100 pictures take seconds."""


@pytest.fixture(scope="module")
def recording(server: Server, plain: Stream) -> Recording:
    server.record("async", plain)
    return reduct_frames.open(server.url, "b", "async")


def pools() -> list[str]:
    """Return the names of the threads of exports and iterations."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def test_nothing_is_written_after_aclose(recording: Recording, tmp_path: Path) -> None:
    async def run() -> None:
        paths = iter_dir_async(recording, tmp_path, resize=LARGE)
        for _ in range(3):
            assert Path(await paths.__anext__()).exists()
        await paths.aclose()  # type: ignore[attr-defined]
        assert pools() == []

    asyncio.run(run())
    assert 3 <= len(list(tmp_path.glob("frame_*.png"))) < 50
    assert not list(tmp_path.glob("*.part"))


def test_an_export_ends_after_break(recording: Recording, tmp_path: Path) -> None:
    async def run() -> None:
        async for _ in iter_dir_async(recording, tmp_path, resize=LARGE):
            break
        deadline = time.monotonic() + END_SECONDS
        while pools():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    asyncio.run(run())
    assert 1 <= len(list(tmp_path.glob("frame_*.png"))) < 50
    assert not (tmp_path / "manifest.jsonl").exists()


def test_nothing_is_written_after_cancellation(recording: Recording, tmp_path: Path) -> None:
    async def run() -> None:
        first = asyncio.Event()
        loop = asyncio.get_running_loop()

        def note(_: str) -> None:
            loop.call_soon_threadsafe(first.set)

        task = asyncio.create_task(
            reduct_frames.to_dir_async(recording, tmp_path, resize=LARGE, progress=note)  # type: ignore[arg-type]
        )
        await first.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pools() == []

    asyncio.run(run())
    assert 1 <= len(list(tmp_path.glob("frame_*.png"))) < 50


def test_iter_dir_async_has_progress(recording: Recording, tmp_path: Path) -> None:
    done: list[str] = []

    async def run(**options: Any) -> list[str]:
        return [path async for path in iter_dir_async(recording, tmp_path, stop=1.0, **options)]

    assert asyncio.run(run(progress=done.append)) == done
    assert sorted(map(os.path.basename, done)) == [f"frame_{index:06d}.png" for index in range(20)]
    assert asyncio.run(run(progress=True, resume=True)) == []
    with pytest.raises(ValueError, match="progress"):
        asyncio.run(run(progress=5, resume=True))


def blocking(started: threading.Event, go: threading.Event, ended: list[bool], canceller: Canceller) -> None:
    """Wait, note whether the switch was used, and fail."""
    started.set()
    assert go.wait(END_SECONDS)
    ended.append(canceller.is_cancelled)
    raise OSError


def run_work(started: threading.Event, go: threading.Event, ended: list[bool]) -> Any:
    return concurrency.call(lambda canceller: blocking(started, go, ended, canceller))


def run_iteration(started: threading.Event, go: threading.Event, ended: list[bool]) -> Any:
    class Source:
        def cancellable(self, canceller: Canceller) -> Canceller:
            return canceller

    def work(canceller: Any) -> Iterator[int]:
        yield 1
        blocking(started, go, ended, canceller)

    async def run() -> None:
        async for _ in concurrency.iterate(Source(), work):  # type: ignore[arg-type]
            pass

    return run()


@pytest.mark.parametrize("twin", [run_work, run_iteration])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_task_that_is_cancelled_again_waits_for_its_thread(twin: Callable[..., Any], times: int) -> None:
    started, go = threading.Event(), threading.Event()
    ended: list[bool] = []
    reports: list[dict[str, Any]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, report: reports.append(report))
        task = asyncio.create_task(twin(started, go, ended))
        await loop.run_in_executor(None, started.wait, END_SECONDS)
        for _ in range(times):
            task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]
        assert pools() == []
        del task
        gc.collect()

    asyncio.run(run())
    assert reports == []


def test_a_cancellation_while_a_thread_ends_is_not_lost() -> None:
    async def run() -> None:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(concurrency.wait_for_end(future))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        future.set_exception(OSError())
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
