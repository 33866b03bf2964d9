# SPDX-License-Identifier: MPL-2.0
"""Wrong arguments: which error they raise, and that they leave no trace."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import Server
from episodes import mux
from streams import START_US, Stream

import reduct_frames
from reduct_frames import LazyVideo, Recorder, Recording, to_dir
from reduct_frames.__main__ import main
from reduct_frames.times import to_us


@pytest.fixture(scope="module")
def recording(server: Server, plain: Stream) -> Recording:
    server.record("arguments", plain)
    return reduct_frames.open(server.url, "b", "arguments")


WRONG_OF_TO_DIR = [
    ({"resize": (0, 5)}, ValueError),
    ({"resize": (5,)}, ValueError),
    ({"resize": (5, 5, 5)}, ValueError),
    ({"resize": (100_000, 100_000)}, ValueError),
    ({"resize": (2**40, 2)}, ValueError),
    ({"resize": (70_000, 2), "ext": "jpg"}, ValueError),
    ({"resize": 5}, TypeError),
    ({"resize": (1.5, 2)}, TypeError),
    ({"resize": "ab"}, TypeError),
    ({"quality": 0}, ValueError),
    ({"quality": 101}, ValueError),
    ({"quality": 50.5}, TypeError),
    ({"ext": "../x"}, ValueError),
    ({"names": "x"}, ValueError),
    ({"colorspace": "rgb"}, ValueError),
    ({"on_error": "x"}, ValueError),
    ({"progress": "x"}, ValueError),
    ({"progress": 5}, ValueError),
    ({"queue": 0}, ValueError),
    ({"queue": 1.5}, TypeError),
    ({"workers": 0}, ValueError),
    ({"workers": 1.5}, TypeError),
    ({"workers": True}, TypeError),
    ({"every": 0}, ValueError),
    ({"every": -0.5}, ValueError),
    ({"every": float("inf")}, ValueError),
    ({"every": float("nan")}, ValueError),
    ({"every": "2"}, TypeError),
    ({"every": True}, TypeError),
    ({"every": np.float32("nan")}, ValueError),
    ({"frames": [100]}, IndexError),
    ({"frames": [10**30]}, IndexError),
    ({"frames": [1.0]}, TypeError),
    ({"start": 2**64}, ValueError),
    ({"stop": "tomorrow"}, ValueError),
    ({"start": datetime(2026, 1, 1)}, ValueError),
]


@pytest.mark.parametrize(("wrong", "error"), WRONG_OF_TO_DIR, ids=[str(wrong) for wrong, _ in WRONG_OF_TO_DIR])
def test_wrong_arguments_leave_the_folder_as_it_is(
    recording: Recording, tmp_path: Path, wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        to_dir(recording, tmp_path / "new", **wrong)  # type: ignore[arg-type]
    assert type(raised.value) is error
    assert not (tmp_path / "new").exists()


def test_a_right_call_after_one_that_wrote_no_picture(recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "frame_000003.png.part").mkdir()
    with pytest.raises(IsADirectoryError):
        to_dir(recording, tmp_path, frames=[3])
    assert (tmp_path / "settings.json").exists()
    assert len(to_dir(recording, tmp_path, frames=[5, 6])) == 2


@pytest.mark.parametrize(
    ("tolerance", "error"),
    [
        (float("nan"), ValueError),
        (-1.0, ValueError),
        (np.float32(-0.5), ValueError),
        (10**400, ValueError),
        ("1", TypeError),
        (True, TypeError),
        (1j, TypeError),
    ],
)
def test_wrong_tolerances(recording: Recording, tolerance: float, error: type[Exception]) -> None:
    for call in (recording.indices_at, recording.frames_at):
        with pytest.raises(error, match="tolerance"):
            call([0.5], tolerance=tolerance)


def test_tolerances(recording: Recording) -> None:
    for tolerance in (0, 0.0, np.float32(1), np.int64(2), float("inf")):
        assert recording.indices_at([0.5], tolerance=tolerance).tolist() == [10]
    assert recording.indices_at([1e6], tolerance=float("inf")).tolist() == [99]
    with pytest.raises(LookupError):
        recording.indices_at([0.51], tolerance=0)


@pytest.mark.parametrize(
    "wrong", [{"on_error": "x"}, {"colorspace": "x"}, {"layout": "x"}, {"resize": (0, 5)}], ids=str
)
def test_iterations_check_arguments_at_the_call(recording: Recording, wrong: dict[str, object]) -> None:
    for call in (recording.iter_frames, recording.iter_frames_async):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            call(**wrong)  # type: ignore[arg-type]


def test_a_time_twice(recording: Recording, plain: Stream, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    address = recording._reader.source.url.replace("http", "reduct") + "/b/arguments"
    time_us = int(plain.times_us[5])
    for name in ("start", "stop"):
        uri = f"{address}?{name}={time_us}"
        with pytest.raises(ValueError, match=rf"URI has '{name}={time_us}'"):
            reduct_frames.open(uri, **{name: time_us})  # type: ignore[arg-type]
        assert main([uri, str(tmp_path / "new"), f"--{name}", str(time_us)]) == 1
        assert f"'{name}={time_us}'" in capsys.readouterr().err
        other = "stop" if name == "start" else "start"
        assert len(reduct_frames.open(uri, **{other: int(plain.times_us[50])})) in (45, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [24, 30, 60, 90])
def test_steps_of_a_frame(server: Server, plain: Stream, tmp_path: Path, fps: int) -> None:
    """Capture times are rounded to microseconds, and no frame is left out or taken twice for it."""
    times = START_US + 3 + np.round(np.arange(100) * 1e6 / fps).astype(int)
    with Recorder(server.url, "b", f"steps-{fps}", fps=str(fps)) as recorder:
        for unit, time_us in zip(plain.units, times.tolist()):
            recorder.log(unit, time_us)
    recording = reduct_frames.open(server.url, "b", f"steps-{fps}")
    np.testing.assert_array_equal(recording.timestamps_us, times)
    for step in (1, 2, 3):
        paths = to_dir(recording, tmp_path / str(step), every=step / fps, ext="jpg", resize=(8, 8))
        assert [int(Path(path).stem[6:]) for path in paths] == list(range(0, 100, step))


def test_large_steps(recording: Recording, tmp_path: Path) -> None:
    for number, every in enumerate([10**20, 1e300]):
        [path] = to_dir(recording, tmp_path / str(number), every=every)
        assert Path(path).name == "frame_000000.png"


TOO_FAR = [2**63, 2**64, -(2**63), 1e300, np.uint64(2**63), np.datetime64(2**62, "s"), np.datetime64(2**60, "Y")]


@pytest.mark.parametrize("time", TOO_FAR, ids=repr)
def test_times_that_are_too_far(recording: Recording, time: int) -> None:
    with pytest.raises(ValueError, match="too far"):
        to_us(time, 0)
    for call in (recording.slice, recording.lazy_slice, lambda time: recording.frames_at([time])):
        with pytest.raises(ValueError, match="too far"):
            call(time)


def test_the_last_time_is_behind_all_frames(recording: Recording) -> None:
    assert len(recording.slice(2**63 - 1)) == 0
    assert len(recording.lazy_slice(None, 2**63 - 1)) == 100
    with pytest.raises(LookupError):
        recording.frames_at([2**63 - 1])
    clip = recording.slice(-(2**62), 1.0)
    assert clip.timestamps[0] == (START_US + 2**62) / 1e6


def test_times_of_numpy() -> None:
    for text in ["2026-01-02", "2026-01-02T03:04:05.123456", "1960-05-06T07"]:
        assert to_us(np.datetime64(text)) == np.datetime64(text, "us").astype(int)
    assert to_us(np.datetime64(-1500, "ns")) == -2
    assert to_us(np.datetime64(3, "25s")) == 75_000_000


def test_times_that_are_too_far_to_log(server: Server, plain: Stream) -> None:
    recorder = Recorder(server.url, "b", "too-far", fps=plain.fps)
    with pytest.raises(ValueError, match="too far"):
        recorder.log(plain.units[0], 2**64)
    recorder.finish()


def test_capture_times_that_64_bits_do_not_count(plain: Stream, tmp_path: Path) -> None:
    path = mux(tmp_path / "file.mp4", plain)
    for opened in (LazyVideo.from_uri, LazyVideo.from_headers):
        with pytest.raises(ValueError, match="64 bits"):
            opened(path, start=2**63 - 1)
        assert len(opened(path, start=2**62)) == 100


@pytest.mark.parametrize(
    ("resize", "error"), [((0, 5), ValueError), ((5,), ValueError), ((1.5, 2), TypeError), (5, TypeError)]
)
def test_wrong_sizes_of_arrays(recording: Recording, resize: tuple[int, int], error: type[Exception]) -> None:
    with pytest.raises(error, match="resize"):
        recording.frames([0], resize=resize)
