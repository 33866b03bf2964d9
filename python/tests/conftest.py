# SPDX-License-Identifier: MPL-2.0
"""A ReductStore server for the tests, and streams in it."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest
from streams import Stream, encode

from reduct_frames import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 20
FORK_SECONDS = 30
"""Longest time that work in a forked process may take."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--heavy", action="store_true", help="run the long variants, too")


class Server:
    """A server on this machine with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        settings = {
            "RS_HOST": "127.0.0.1",
            "RS_PORT": str(self.port),
            "RS_DATA_PATH": str(self.folder),
            "RS_DISABLE_AUTH": "true",
        }
        with (self.folder.parent / "server.log").open("ab") as log:
            program = os.environ["REDUCTSTORE_BIN"]
            self.process = subprocess.Popen(
                [program], env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/alive", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(START_SECONDS)

    def record(self, entry: str, stream: Stream, record_unit: str = "access-unit") -> None:
        """Write a stream to an entry of the bucket `b`."""
        with Recorder(self.url, "b", entry, record_unit=record_unit, fps=stream.fps) as recorder:  # type: ignore[arg-type]
            for unit, time_us in zip(stream.units, stream.log_times()):
                recorder.log(unit, time_us)


def run_in_fork(work: Callable[[], object]) -> str:
    """Run work in a forked process. Return the name of the type of its error, or an empty text without one."""

    def run() -> None:
        try:
            work()
        except BaseException as error:
            sender.send(type(error).__name__)
        else:
            sender.send("")

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run)
    process.start()
    try:
        assert receiver.poll(FORK_SECONDS), "it does not end"
        return str(receiver.recv())
    finally:
        process.kill()
        process.join()


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.delenv("REDUCT_API_TOKEN", raising=False)
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server") / "data")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def plain() -> Stream:
    """5 s at 20 frames per second, groups of 10, no B-frames."""
    return encode(frames=100, fps=20, gop=10, b_frames=0)


@pytest.fixture(scope="session")
def reordered() -> Stream:
    """The same with B-frames, of which some refer to each other."""
    return encode(frames=100, fps=20, gop=20, b_frames=3)
