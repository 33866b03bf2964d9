# SPDX-License-Identifier: MPL-2.0
"""B-frames beside pauses, after lost frames, and at the end of a growing entry: right, or reported."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Server
from streams import Stream
from zoo import Recipe, encode_sample, write_records

import reduct_frames
from reduct_frames import Recording

_CLOSED = "keyint=20:min-keyint=20:scenecut=0:bframes=3:b-adapt=0"


def check(recording: Recording, stream: Stream, times_us: list[int]) -> list[int]:
    """Check that each frame has the picture of its time or is reported, together and, around those, one by one.

    Return the places of the frames that are reported.
    """
    clip = recording.slice(on_error="report")
    places = [times_us.index(int(capture_us)) for capture_us in clip.capture_us]
    np.testing.assert_array_equal(clip.frames, stream.pictures[places])
    assert all(frame.reason for frame in clip.missing)
    missing = [frame.index for frame in clip.missing]
    assert len(clip) + len(missing) == len(recording)
    for index in range(max(missing[0] - 3, 0), min(missing[-1] + 4, len(recording))) if missing else ():
        capture_us = int(recording.timestamps_us[index])
        try:
            picture = recording[index]
        except reduct_frames.DecodeError as error:
            assert index in missing
            assert [lost.capture_us for lost in error.missing] == [capture_us]
        else:
            np.testing.assert_array_equal(picture, stream.pictures[times_us.index(capture_us)])
    return missing


@pytest.mark.parametrize("pause_s", [12, 3600])
def test_a_pause_is_longer_than_any_limit(server: Server, reordered: Stream, pause_s: int) -> None:
    for after in (4, 9):
        times_us = reordered.times_us
        times_us[after + 1 :] += pause_s * 1_000_000
        entry = f"pause-{pause_s}-{after}"
        write_records(server.url, entry, zip(times_us[:40].tolist(), reordered.units), {"fps": "20"})
        recording = reduct_frames.open(server.url, "b", entry)
        for index in range(after - 4, after + 5):
            start, stop = int(times_us[0]), int(times_us[index]) + 1
            np.testing.assert_array_equal(recording[index], reordered.pictures[index], err_msg=f"{after} {index}")
            np.testing.assert_array_equal(recording.slice(start, stop).frames, reordered.pictures[: index + 1])
            opened = reduct_frames.open(server.url, "b", entry, stop=stop)
            np.testing.assert_array_equal(opened[-1], reordered.pictures[index])


def test_the_last_frames_wait_for_those_before_them(server: Server, reordered: Stream) -> None:
    times_us = reordered.times_us.tolist()
    has_waited = False
    for length in range(1, 24):
        last = [(times_us[length - 1], reordered.units[length - 1])]
        write_records(server.url, "growing", last, {"fps": "20"})
        recording = reduct_frames.open(server.url, "b", "growing")
        missing = check(recording, reordered, times_us)
        shown = reordered.pts[:length]
        certain = next(at for at in range(length + 1) if at not in shown)
        assert missing == list(range(certain, length)), length
        has_waited |= bool(missing)
    assert has_waited


@pytest.mark.parametrize("without_vui", [False, True])
def test_the_frames_after_a_lost_one_are_certain_or_reported(server: Server, without_vui: bool) -> None:
    sample = encode_sample(Recipe(_CLOSED, frames=60, without_vui=without_vui))
    times_us = sample.times_us.tolist()
    stream = Stream(sample.units, [], "20", np.stack(sample.pictures), [])
    for lost in range(22, 29):
        records = [record for at, record in enumerate(zip(times_us, sample.units)) if at != lost]
        entry = f"lost-{without_vui}-{lost}"
        write_records(server.url, entry, records, {"fps": "20"})
        missing = check(reduct_frames.open(server.url, "b", entry), stream, times_us)
        # Nothing outside of the group of pictures.
        assert set(missing) <= set(range(20, 40))
