# SPDX-License-Identifier: MPL-2.0
"""Recordings in other processes, over restarts of the server, on a full disk, and after Ctrl-C; leaks."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from conftest import Server, run_in_fork
from episodes import mux, upload
from streams import START_US, Stream

import reduct_frames
from reduct_frames import LazyVideo, Recording, ServerError, to_dir

INTERRUPT_SECONDS = 5
"""Longest time until a wait ends after Ctrl-C. Waits look for signals 20 times a second."""


@pytest.fixture(scope="module")
def recording(server: Server, reordered: Stream) -> Recording:
    server.record("robust", reordered)
    return reduct_frames.open(server.url, "b", "robust")


def checksum(recording: Recording, indices: range) -> int:
    return int(recording[list(indices)].astype(np.int64).sum())


def kill_this_process(recording: Recording) -> None:
    next(recording.iter_frames())
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("is_used_before", [True, False])
def test_processes(server: Server, recording: Recording, reordered: Stream, method: str, is_used_before: bool) -> None:
    """The parent has threads and connections in use, and its children read on their own."""
    parent = recording if is_used_before else reduct_frames.open(server.url, "b", "robust")
    frames = parent.iter_frames() if is_used_before else iter(())
    first = list(itertools.islice(frames, 3))
    parts = [range(start, start + 25) for start in range(0, 100, 25)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        results = [pool.submit(checksum, parent, part) for part in parts]
        sums = [result.result(timeout=60) for result in results]
    assert sums == [int(reordered.pictures[part].astype(np.int64).sum()) for part in map(list, parts)]
    if is_used_before:
        np.testing.assert_array_equal([*first, *frames], reordered.pictures)


@pytest.mark.parametrize("source", ["entry", "entry of files", "files"])
def test_a_forked_process_does_not_continue_an_iteration(
    server: Server, recording: Recording, reordered: Stream, tmp_path: Path, source: str
) -> None:
    if source != "entry":
        path = mux(tmp_path / "file.mp4", reordered)
        recording = LazyVideo.from_uri(path)
    if source == "entry of files":
        upload(server, "robust-files", path.read_bytes(), START_US)
        recording = reduct_frames.open(server.url, "b", "robust-files")
    for items in (recording.iter_frames(), recording.access_units()):
        count = sum(1 for _ in itertools.islice(items, 5))
        assert run_in_fork(lambda items=items: list(items)) == "RuntimeError"
        assert run_in_fork(items.close) == ""  # type: ignore[attr-defined]
        assert run_in_fork(lambda: recording[50]) == ""
        assert count + sum(1 for _ in items) == 100


def test_a_killed_worker_does_not_harm_the_others(recording: Recording, reordered: Stream) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        killed = pool.submit(kill_this_process, recording)
        with pytest.raises(BrokenProcessPool):
            killed.result(timeout=60)
    np.testing.assert_array_equal(recording[:], reordered.pictures)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        assert pool.submit(checksum, recording, range(5)).result(timeout=60) > 0


def test_pickles_have_no_connection_and_keep_the_index(recording: Recording, reordered: Stream) -> None:
    part = recording.lazy_slice(1.0, 2.0)
    assert len(part) == 20
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(part, protocol))
        assert copy._reader.source._opened is None
        assert copy._reader._index is not None
        np.testing.assert_array_equal(copy[:], reordered.pictures[20:40])
        assert copy.timestamps[0] == 1.0


def test_a_recording_outlives_a_restart(tmp_path: Path, reordered: Stream) -> None:
    server = Server(tmp_path / "data")
    server.record("restart", reordered)
    recording = reduct_frames.open(server.url, "b", "restart")
    np.testing.assert_array_equal(recording[:10], reordered.pictures[:10])
    frames = recording.iter_frames()
    begun = [next(frames) for _ in range(5)]
    server.stop()
    with pytest.raises(ServerError):
        reduct_frames.open(server.url, "b", "restart", timeout=1)
    server.start()
    np.testing.assert_array_equal(recording[90:], reordered.pictures[90:])
    np.testing.assert_array_equal([*begun, *frames], reordered.pictures)
    server.stop()
    # A reader waits for the server, which comes back in the meantime.
    results: list[object] = []
    reading = threading.Thread(target=lambda: results.append(recording[40:60]))
    reading.start()
    reading.join(0.5)
    assert reading.is_alive()
    server.start()
    reading.join(60)
    server.stop()
    np.testing.assert_array_equal(results[0], reordered.pictures[40:60])


def test_a_full_disk_ends_the_export(recording: Recording, tmp_path: Path) -> None:
    """The limit of a file's size is an error of writing as a full disk is, and needs no mount."""
    target = tmp_path / "pictures"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(OSError, match="File too large"):
            to_dir(recording, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert list(target.glob("*.png")) == []
    assert list(target.glob("*.part")) == []
    assert not (target / "manifest.jsonl").exists()
    assert len(to_dir(recording, target, resume=True)) == 100


_ASYNC = """
import asyncio
async def run(): {}
asyncio.run(run())
"""
_RECORDER = (
    "unit, time = {unit!r}, {time}\nrecorder = reduct_frames.Recorder({url!r}, 'b', 'interrupted', queue_bytes=5000)"
)
_OPEN = "recording = reduct_frames.open({url!r}, 'b', 'robust')"
_INDEXED = f"{_OPEN}\nlen(recording)"
WAITS = {
    "open": ("", "reduct_frames.open({url!r}, 'b', 'robust')"),
    "open-async": ("", _ASYNC.format("await reduct_frames.open_async({url!r}, 'b', 'robust')")),
    "index-of-labels": (_OPEN, "len(recording)"),
    "index-of-contents": ("recording = reduct_frames.open({url!r}, 'b', 'robust', index='contents')", "len(recording)"),
    "index-async": (_OPEN, _ASYNC.format("await recording.frames_async([50])")),
    "frames": (_INDEXED, "recording[:]"),
    "iteration": (_INDEXED, "list(recording.iter_frames())"),
    "iteration-async": (_INDEXED, _ASYNC.format("return [frame async for frame in recording.iter_frames_async()]")),
    "frames-async": (_INDEXED, _ASYNC.format("await recording.frames_async([50])")),
    "access-units": (_INDEXED, "list(recording.access_units())"),
    "folder": (_INDEXED, "reduct_frames.to_dir(recording, {folder!r})"),
    "folder-async": (_INDEXED, _ASYNC.format("await reduct_frames.to_dir_async(recording, {folder!r})")),
    "recorder-log": (_RECORDER, "while True: recorder.log(unit, time); time += 50_000"),
    "recorder-finish": (_RECORDER, "recorder.log(unit, time); recorder.finish()"),
}
"""What is done while the server answers, and the wait for a server that has stopped to answer."""


@pytest.mark.parametrize("wait", WAITS)
def test_an_interrupt_ends_the_wait(stalling: Server, reordered: Stream, tmp_path: Path, wait: str) -> None:
    values = {"url": stalling.url, "folder": str(tmp_path / "f"), "unit": reordered.units[0], "time": START_US}
    before, waiting = (code.format(**values) for code in WAITS[wait])
    code = f"import reduct_frames\n{before}\nprint('ready', flush=True)\ninput()\n{waiting}\nprint('over')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    assert stalling.process is not None
    try:
        assert process.stdout.readline() == b"ready\n", process.communicate()
        stalling.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, stalling.process.pid, os.WSTOPPED)
        process.stdin.write(b"\n")
        process.stdin.flush()
        # Nothing tells that a wait has begun. If it had not, the interrupt would only be the easier.
        assert not select.select([process.stdout], [], [], 0.3)[0], process.communicate()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=INTERRUPT_SECONDS)
        assert output == b""
        assert errors.decode().splitlines()[-1].startswith("KeyboardInterrupt")
        assert process.returncode != 0
    finally:
        stalling.process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def stalling(tmp_path_factory: pytest.TempPathFactory, reordered: Stream) -> Iterator[Server]:
    """A server that a test stops for a while."""
    server = Server(tmp_path_factory.mktemp("stalling") / "data")
    server.record("robust", reordered)
    yield server
    server.stop()


_OPENS = """
import gc, os, resource, time
import reduct_frames

def use(count):
    for number in range(count):
        recording = reduct_frames.open({url!r}, "b", "robust")
        assert len(recording) == 100
        if number % 10 == 0:
            next(recording.iter_frames())
            next(recording.access_units())

def held():
    gc.collect()
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")), pages * resource.getpagesize()

use(100)
threads, files, bytes_held = held()
use(1000)
# Threads for name look-ups and idle connections end after a while.
deadline = time.monotonic() + 30
while (held()[0] > threads or held()[1] > files) and time.monotonic() < deadline:
    time.sleep(0.1)
after = held()
print(after[0] - threads, after[1] - files, after[2] - bytes_held)
"""


@pytest.mark.usefixtures("recording")
def test_a_thousand_opens_leak_nothing(server: Server) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = _OPENS.format(url=server.url)
    output = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True).stdout
    threads, files, bytes_held = map(int, output.split())
    assert threads <= 0
    assert files <= 0
    assert bytes_held < 1000 * 4096, "less than a page for each"
