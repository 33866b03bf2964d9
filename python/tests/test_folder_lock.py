# SPDX-License-Identifier: MPL-2.0
"""Two exports into one folder at once, and what a killed one leaves."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from conftest import Server
from streams import Stream

import reduct_frames
from reduct_frames import FolderInUseError, Recording, to_dir
from reduct_frames.folder_lock import locked

ENTRY = "locked"
FRAMES = 100
LOCK = ".reduct_frames.lock"


@pytest.fixture(scope="module")
def recording(server: Server, plain: Stream) -> Recording:
    server.record(ENTRY, plain)
    return reduct_frames.open(server.url, "b", ENTRY)


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the files of a folder with their inodes and times of change."""
    stats = {path.name: path.stat() for path in folder.iterdir()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def assert_complete(folder: Path, paths: list[str]) -> None:
    names = {f"frame_{index:06d}.png" for index in range(FRAMES)}
    assert {Path(path).name for path in paths} == names
    assert set(listing(folder)) == {*names, "settings.json", "manifest.jsonl", "manifest.parquet"}


@pytest.mark.parametrize("options", [{"resume": True}, {}, {"ext": "jpg"}], ids=str)
def test_threads(recording: Recording, tmp_path: Path, options: dict[str, object]) -> None:
    refused: list[str] = []

    def try_again(_: str) -> None:
        if refused:
            return
        with pytest.raises(FolderInUseError, match=str(tmp_path)) as error:
            to_dir(recording, tmp_path, **options)  # type: ignore[arg-type]
        refused.append(str(error.value))

    assert_complete(tmp_path, to_dir(recording, tmp_path, progress=try_again))
    assert refused
    with pytest.raises(FileExistsError):
        to_dir(recording, tmp_path)
    assert LOCK not in listing(tmp_path)


_EXPORT = """
import os, sys
import reduct_frames

def wait(path):
    {action}
    print("ready", flush=True)
    sys.stdin.read()

recording = reduct_frames.open({url!r}, "b", {entry!r})
reduct_frames.to_dir(recording, {folder!r}, progress=wait, workers=1)
"""


@contextmanager
def exporting(server: Server, folder: Path, action: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run an export that waits after its first file, and kill it at the end."""
    code = _EXPORT.format(action=action, url=server.url, entry=ENTRY, folder=str(folder))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, env=environment) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def test_processes(server: Server, recording: Recording, tmp_path: Path) -> None:
    with exporting(server, tmp_path) as process:
        before = listing(tmp_path)
        with pytest.raises(FolderInUseError, match=str(tmp_path)):
            to_dir(recording, tmp_path, resume=True)
        uri = f"reduct://127.0.0.1:{server.port}/b/{ENTRY}"
        command = [sys.executable, "-m", "reduct_frames", uri, str(tmp_path), "--resume"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert second.stderr == f"reduct-frames: Another call writes to {tmp_path}\n"
        assert listing(tmp_path) == before
        process.send_signal(signal.SIGKILL)
        process.wait()
    # Left by a killed process.
    (tmp_path / "frame_000090.png.part").write_bytes(b"half")
    assert_complete(tmp_path, to_dir(recording, tmp_path, resume=True))


@pytest.mark.usefixtures("recording")
def test_a_forked_child_does_not_keep_the_lock(server: Server, recording: Recording, tmp_path: Path) -> None:
    """The child lives on when its parent is killed."""
    fork = "if os.fork() == 0: sys.stdin.read(); os._exit(0)"
    with exporting(server, tmp_path, fork) as process:
        with pytest.raises(FolderInUseError):
            to_dir(recording, tmp_path, resume=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert_complete(tmp_path, to_dir(recording, tmp_path, resume=True))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_file_systems_without_locks(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert_complete(tmp_path, to_dir(recording, tmp_path))


def test_the_file_of_a_call_that_ends_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call has opened the file when the first one removes it and a third one begins."""
    first, third = ExitStack(), ExitStack()
    first.enter_context(locked(tmp_path))
    flock = fcntl.flock

    def change_holders(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        first.close()
        third.enter_context(locked(tmp_path))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", change_holders)
    with third:
        with pytest.raises(FolderInUseError), locked(tmp_path):
            pass
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert list(tmp_path.iterdir()) == []
