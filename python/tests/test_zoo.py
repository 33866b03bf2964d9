# SPDX-License-Identifier: MPL-2.0
"""Every frame of streams of many kinds, in several layouts of records, against what PyAV decodes from the source."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from conftest import Server
from streams import START_US
from zoo import (
    ENCODED,
    LAYOUTS,
    STEP_US,
    Sample,
    access_units,
    decode_sample,
    encode_sample,
    lay_out,
    stored_streams,
    write_records,
)

import reduct_frames
from reduct_frames import Recording, to_dir

if TYPE_CHECKING:
    import numpy.typing as npt

_STORED = stored_streams()
_DAMAGED = {"BA_MW_D_IDR_LOST.264", "Error_I_P.264"}
"""Streams of which parts were lost before they were recorded."""
_WITHOUT_VIDEO = {"sps_subsetsps_bothVUI.264"}
_LONG = {"LS_SVA_D.264", "test-25fps.h264", "test-25fps-interlaced.h264"}

_NAMES = [*ENCODED, *(name for name in _STORED if name not in _DAMAGED | _WITHOUT_VIDEO)]
_IN_ALL_LAYOUTS = {"b-pyramid", "open-gop", "intra-refresh-b-frames", "slices", "several-sizes"}


def _is_heavy(test: str, name: str, layout: str) -> bool:
    return (
        name in _LONG
        or (name not in _IN_ALL_LAYOUTS and layout != "access-unit")
        or (name in _STORED and test == "test_random_times")
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "recording" not in metafunc.fixturenames:
        return
    cases = [
        (name, layout)
        for name in _NAMES
        for layout in LAYOUTS
        if metafunc.config.getoption("heavy") or not _is_heavy(metafunc.function.__name__, name, layout)
    ]
    metafunc.parametrize(("name", "layout"), cases, scope="module", ids=[f"{name}-{layout}" for name, layout in cases])


@functools.lru_cache(2)
def _sample_named(name: str) -> Sample:
    return encode_sample(ENCODED[name]) if name in ENCODED else decode_sample(access_units(_STORED[name]))


@pytest.fixture(scope="module")
def sample(name: str) -> Sample:
    return _sample_named(name)


@pytest.fixture(scope="module")
def recording(server: Server, name: str, layout: str, sample: Sample) -> Recording:
    entry = f"zoo-{name}-{layout}".replace(":", "").replace(".", "-")
    write_records(server.url, entry, lay_out(sample, layout), {"fps": "20"})
    return reduct_frames.open(server.url, "b", entry)


def equal(frames: object, pictures: list[npt.NDArray[np.uint8]]) -> None:
    """Compare frames with pictures, which may have several sizes."""
    shown = list(frames)  # type: ignore[call-overload]
    assert len(shown) == len(pictures)
    for index, (frame, picture) in enumerate(zip(shown, pictures)):
        np.testing.assert_array_equal(frame, picture, err_msg=f"frame {index}")


def has_several_sizes(sample: Sample) -> bool:
    return len({picture.shape for picture in sample.pictures}) > 1


def test_all_frames(recording: Recording, sample: Sample, tmp_path: Path) -> None:
    assert len(sample.pictures) == len(sample.units), "each access unit of the source is a picture"
    np.testing.assert_array_equal(recording.timestamps_us, sample.times_us)
    equal(recording.iter_frames(), sample.pictures)
    paths = to_dir(recording, tmp_path / "pictures")
    assert paths.missing == []
    equal((read_picture(path) for path in paths), sample.pictures)
    assert [unit.data for unit in recording.access_units()]


def read_picture(path: str) -> npt.NDArray[np.uint8]:
    with av.open(path) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def test_every_start(request: pytest.FixtureRequest, recording: Recording, sample: Sample) -> None:
    times, count = sample.times_us, len(sample.pictures)
    step = 1 if request.config.getoption("heavy") else max(1, count // 13) | 1
    for first in range(0, count, step):
        last = min(first + 3, count)
        part = recording.lazy_slice(int(times[first]), int(times[last - 1]) + 1)
        np.testing.assert_array_equal(part.timestamps_us, times[first:last])
        equal(part.iter_frames(), sample.pictures[first:last])


def test_random_times(request: pytest.FixtureRequest, recording: Recording, sample: Sample) -> None:
    if has_several_sizes(sample):
        pytest.skip("no array has frames of several sizes")
    random = np.random.default_rng(7)
    for _ in range(20 if request.config.getoption("heavy") else 3):
        indices = random.integers(0, len(sample.pictures), 10)
        times = sample.times_us[indices] + random.integers(0, 50_000, len(indices))
        equal(recording.frames_at(times), [sample.pictures[index] for index in indices])
        start, stop = np.sort(sample.times_us[indices[:2]])
        # Half-open to the microsecond.
        for begin, end in [(start, stop), (start + 1, stop + 1), (start - 1, stop - 1)]:
            inside = (begin <= sample.times_us) & (sample.times_us < end)
            clip = recording.slice(int(begin), int(end))
            np.testing.assert_array_equal(clip.capture_us, sample.times_us[inside])
            equal(clip.frames, [sample.pictures[index] for index in np.flatnonzero(inside)])


def test_a_keyframe_whose_rest_is_in_a_later_record_is_the_last_frame(server: Server) -> None:
    sample = _sample_named("b-pyramid")
    write_records(server.url, "zoo-last", lay_out(sample, "half-access-unit"), {"fps": "20"})
    recording = reduct_frames.open(server.url, "b", "zoo-last")
    equal([recording[10]], [sample.pictures[10]])


@pytest.mark.skipif(not _DAMAGED & set(_STORED), reason="REDUCT_TEST_MEDIA names no folder")
@pytest.mark.parametrize(
    ("name", "first", "missing"), [("BA_MW_D_IDR_LOST.264", 27, []), ("Error_I_P.264", 0, [0, 1, 3, 4, 5])]
)
def test_damaged_streams(server: Server, name: str, first: int, missing: list[int]) -> None:
    """Each frame from the first keyframe on is right, or is reported."""
    sample = decode_sample(access_units(_STORED[name]))
    entry = f"zoo-{name}".replace(".", "-")
    write_records(server.url, entry, lay_out(sample, "access-unit"))
    recording = reduct_frames.open(server.url, "b", entry)
    times = START_US + np.arange(first, len(sample.units)) * STEP_US
    np.testing.assert_array_equal(recording.timestamps_us, times)
    clip = recording.slice(on_error="report")
    assert [frame.index for frame in clip.missing] == missing
    shown = np.delete(np.arange(len(times)), missing)
    np.testing.assert_array_equal(clip.capture_us, times[shown])
    equal(clip.frames, [sample.pictures[index] for index in shown])


@pytest.mark.skipif(not _WITHOUT_VIDEO & set(_STORED), reason="REDUCT_TEST_MEDIA names no folder")
def test_parameter_sets_alone_are_an_empty_recording(server: Server) -> None:
    [name] = _WITHOUT_VIDEO
    units = access_units(_STORED[name])
    write_records(server.url, "zoo-no-video", [(START_US + number, unit) for number, unit in enumerate(units)])
    recording = reduct_frames.open(server.url, "b", "zoo-no-video")
    assert len(recording) == 0
    assert recording[:].shape == (0, 0, 0, 3)
