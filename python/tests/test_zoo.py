# SPDX-License-Identifier: MPL-2.0
"""Every frame of streams of many kinds, in several layouts of records, against what PyAV decodes from the source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from conftest import Server
from zoo import ENCODED, LAYOUTS, Sample, encode_sample, lay_out, stored_samples, write_records

import reduct_frames
from reduct_frames import Recording, to_dir

if TYPE_CHECKING:
    import numpy.typing as npt

_STORED = dict(stored_samples())
_DAMAGED = {"BA_MW_D_IDR_LOST.264", "Error_I_P.264"}
"""Streams of which parts were lost before they were recorded."""
_WITHOUT_VIDEO = {"sps_subsetsps_bothVUI.264"}
_LONG = {"LS_SVA_D.264", "test-25fps.h264", "test-25fps-interlaced.h264"}

_NAMES = [*ENCODED, *(name for name in _STORED if name not in _DAMAGED | _WITHOUT_VIDEO)]
_IN_ALL_LAYOUTS = {"b-pyramid", "open-gop", "intra-refresh-b-frames", "slices", "several-sizes"}


def _is_heavy(name: str, layout: str) -> bool:
    if name in _LONG:
        return True
    if name in _IN_ALL_LAYOUTS or layout == "access-unit":
        return False
    return name not in ENCODED or layout != "gop"


@pytest.fixture(scope="module", params=_NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sample(name: str) -> Sample:
    return encode_sample(ENCODED[name]) if name in ENCODED else _STORED[name]()


@pytest.fixture(scope="module", params=LAYOUTS)
def recording(request: pytest.FixtureRequest, server: Server, name: str, sample: Sample) -> Recording:
    if _is_heavy(name, request.param) and not request.config.getoption("heavy"):
        pytest.skip("only with --heavy")
    entry = f"zoo-{name}-{request.param}".replace(":", "").replace(".", "-")
    write_records(server.url, entry, lay_out(sample, request.param), {"fps": "20"})
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
