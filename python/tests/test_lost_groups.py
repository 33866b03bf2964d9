# SPDX-License-Identifier: MPL-2.0
"""Losses of whole groups of pictures, which the stream does not show."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Server
from streams import START_US, Stream, encode

import reduct_frames
from reduct_frames import to_dir
from reduct_frames.lost_groups import after_lost_groups

GOP = 10
STEP_US = 50_000


def found(there: list[int], gop: int = GOP) -> list[int]:
    """Return the marked ones of the frames that are there, of an encoder with constant groups."""
    frames = np.array(there)
    return frames[after_lost_groups(frames * STEP_US + START_US, frames % gop == 0)].tolist()


@pytest.mark.parametrize("lost", [GOP, 3 * GOP])
@pytest.mark.parametrize("first", [21, 25, 29])
def test_whole_groups(first: int, lost: int) -> None:
    there = [frame for frame in range(100) if not first <= frame < first + lost]
    following = -(-(first + lost) // GOP) * GOP
    assert found(there) == list(range(first + lost, following))


@pytest.mark.parametrize("lost", [3, GOP - 1, GOP + 1, 25])
def test_groups_that_lack_frames(lost: int) -> None:
    there = [frame for frame in range(100) if not 26 <= frame < 26 + lost]
    following = -(-(26 + lost) // GOP) * GOP
    assert found(there) == list(range(26 + lost, following))
    # Nothing shows the length of the last group.
    assert found([frame for frame in range(100) if not 91 <= frame < 95]) == []


def test_a_group_that_is_too_long() -> None:
    # With a lost keyframe, at the end of the recording.
    assert found([frame for frame in range(100) if not 80 <= frame < 93]) == list(range(93, 100))


def test_other_pauses_mark_nothing() -> None:
    assert found(list(range(100))) == []
    assert found([]) == []
    assert found([5]) == []
    # Before a keyframe.
    for first in (20, 30):
        assert found([frame for frame in range(100) if not first <= frame < first + GOP]) == []
    # A camera that pauses: all frames of the group are there.
    for last in (0, 24, 28, 95):
        frames = np.arange(100)
        times = (frames + 7 * (frames > last)) * STEP_US
        assert not after_lost_groups(times, frames % GOP == 0).any()
    # Each frame is a keyframe.
    assert found([frame for frame in range(40) if not 15 <= frame < 25], gop=1) == []


def test_a_camera_that_records_in_bursts_marks_nothing() -> None:
    times = np.arange(100) * STEP_US + np.arange(100) // 5 * GOP * STEP_US
    assert not after_lost_groups(times, np.arange(100) % GOP == 0).any()


@pytest.mark.parametrize("index", ["auto", "contents"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_no_frame_is_wrong(server: Server, index: str, b_frames: int, groups: int, tmp_path: object) -> None:
    stream = encode(80, 20, GOP, b_frames)
    first = 25
    lost = range(first, first + groups * GOP)
    units = [unit for number, unit in enumerate(stream.units) if number not in lost]
    pts = [pts for number, pts in enumerate(stream.pts) if number not in lost]
    entry = f"groups-{index}-{b_frames}-{groups}"
    server.record(entry, Stream(units, pts, stream.fps, stream.pictures, stream.keyframes))
    recording = reduct_frames.open(server.url, "b", entry, index=index)  # type: ignore[arg-type]
    clip = recording.slice(on_error="report")
    assert len(clip) + len(clip.missing) == len(recording) == len(units)
    assert 0 < len(clip.missing) <= GOP
    assert all(lost.reason for lost in clip.missing)
    right = np.searchsorted(stream.times_us, clip.capture_us)
    np.testing.assert_array_equal(clip.frames, stream.pictures[right])
    for number, capture_us in zip(recording.indices_at(clip.capture_us), clip.capture_us):
        np.testing.assert_array_equal(recording[number], stream.pictures[np.searchsorted(stream.times_us, capture_us)])
    written = to_dir(recording, str(tmp_path))
    assert [frame.index for frame in written.missing] == [frame.index for frame in clip.missing]
