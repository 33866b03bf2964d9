# SPDX-License-Identifier: MPL-2.0
"""Recordings in other processes, over restarts of the server, on a full disk, and after Ctrl-C; leaks."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import Server
from streams import Stream

import reduct_frames
from reduct_frames import Recording, ServerError, to_dir

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
    first = [frame for frame, _ in zip(frames, range(3))]
    parts = [range(start, start + 25) for start in range(0, 100, 25)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        results = [pool.submit(checksum, parent, part) for part in parts]
        sums = [result.result(timeout=60) for result in results]
    assert sums == [int(reordered.pictures[part].astype(np.int64).sum()) for part in map(list, parts)]
    if is_used_before:
        np.testing.assert_array_equal([*first, *frames], reordered.pictures[: len(first) + 97])


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


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A port that accepts connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


WAITS = {
    "open": "reduct_frames.open({silent!r}, 'b', 'robust', timeout=None)",
    "index": "reduct_frames.open({proxy!r}, 'b', 'robust', timeout=None)",
}


def interrupt(code: str) -> tuple[float, str]:
    """Run code that prints a line before it waits, interrupt it, and return the time that it takes and its errors."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 60)[0], "it does not begin"
        assert process.stdout.readline() == b"waiting\n"
        is_over = select.select([process.stdout], [], [], 0.3)[0]
        assert not is_over, process.communicate()
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        return time.monotonic() - start, errors.decode()
    finally:
        process.kill()
        process.wait()
