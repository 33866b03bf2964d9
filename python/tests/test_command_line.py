# SPDX-License-Identifier: MPL-2.0
"""The command line: exit status and one line for each error."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import pytest
from conftest import Server
from episodes import mux
from streams import Stream

from reduct_frames.__main__ import main

SECONDS = 60


@pytest.fixture(scope="module")
def uri(server: Server, plain: Stream) -> str:
    server.record("command", plain)
    return f"reduct://127.0.0.1:{server.port}/b/command"


Failure = Callable[..., str]


@pytest.fixture
def failure(capsys: pytest.CaptureFixture[str]) -> Failure:
    """Return a function that runs the command, and returns the line of its error."""

    def run(*arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) == 1
        output, errors = capsys.readouterr()
        assert output == ""
        [line] = errors.splitlines()
        assert line.startswith("reduct-frames: ")
        return line

    return run


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--every", "infs"),
        ("--every", "0"),
        ("--start", "99999999999999999999"),
        ("--stop", "18446744073709551616"),
        ("--resize", "0x5"),
        ("--resize", "100000x100000"),
        ("--workers", "0"),
    ],
)
def test_wrong_options(uri: str, failure: Failure, tmp_path: Path, option: str, value: str) -> None:
    failure(uri, tmp_path / "new", option, value)
    assert not (tmp_path / "new").exists()


def test_wrong_files(plain: Stream, failure: Failure, tmp_path: Path) -> None:
    absent = tmp_path / "absent.mp4"
    assert str(absent) in failure(absent, tmp_path / "new")
    assert str(tmp_path) in failure(tmp_path, tmp_path / "new")
    (tmp_path / "text.mp4").write_text("no MP4 at all")
    assert str(tmp_path / "text.mp4") in failure(tmp_path / "text.mp4", tmp_path / "new")
    path = mux(tmp_path / "file.mp4", plain)
    (tmp_path / "file.mp4.lance").mkdir()
    failure(path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--every", "0.5", "'0.5s'"),
        ("--every", "xs", "'xs'"),
        ("--resize", "640", "640x480"),
        ("--resize", "axb", "axb"),
    ],
)
def test_options_that_cannot_be_read(
    uri: str, capsys: pytest.CaptureFixture[str], option: str, value: str, text: str
) -> None:
    with pytest.raises(SystemExit):
        main([uri, "new", option, value])
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: " in line
    assert text in line
    assert "_value" not in line.replace(value, "")
    assert "invalid _" not in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_an_output_that_cannot_be_written(uri: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reduct_frames", uri, str(tmp_path / "full"), "--every", "50"]
    with open("/dev/full", "w") as full:  # noqa: PTH123 - as the shell opens it
        failed = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("reduct-frames: the standard output: ")
    assert len(failed.stderr.splitlines()) == 1
    assert len(list((tmp_path / "full").glob("frame_*.png"))) == 2


def test_a_closed_pipe(uri: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reduct_frames", uri, str(tmp_path / "closed"), "--every", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(SECONDS) == 1
    assert len(list((tmp_path / "closed").glob("frame_*.png"))) == 2


def test_gray_jpeg(uri: str, tmp_path: Path) -> None:
    assert main([uri, str(tmp_path), "--gray", "--ext", "jpg", "--every", "50", "--quiet"]) == 0
    assert len(list(tmp_path.glob("frame_*.jpg"))) == 2


def test_ctrl_c(uri: str, tmp_path: Path) -> None:
    options = [uri, str(tmp_path), "--resize", "1500x1000"]
    command = [sys.executable, "-m", "reduct_frames", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + SECONDS
        while not list(tmp_path.glob("frame_*.png")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output) == (130, "")
    assert errors == "reduct-frames: interrupted. --resume continues\n"
    assert 1 <= len(list(tmp_path.glob("frame_*.png"))) < 50
    assert not list(tmp_path.glob("*.part"))
