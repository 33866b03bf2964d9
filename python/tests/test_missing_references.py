# SPDX-License-Identifier: MPL-2.0
"""Recordings that begin, or begin anew, where not all frames can be decoded: all calls give the same frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Server
from episodes import upload
from streams import SIZE, START_US, Stream, encode
from zoo import Recipe, encode_sample, lay_out, write_records

import reduct_frames
from reduct_frames import DecodeError, MissingFrame, Recording, to_dir

STEP_US = 50_000


@pytest.fixture(scope="module")
def open_groups() -> Stream:
    """60 frames, whose groups of pictures refer to the one before."""
    stream = encode(frames=60, fps=20, gop=20, b_frames=3, open_gop=True)
    assert sum(stream.keyframes) == 3
    return stream


@pytest.fixture(scope="module", autouse=True)
def _bucket(server: Server, plain: Stream) -> None:
    server.record("missing-references", plain)


def write(server: Server, entry: str, stream: Stream, first: int, start_us: int = START_US) -> None:
    """Write the access units from one on."""
    units = list(zip(stream.units, stream.keyframes))[first:]
    for number, (unit, is_keyframe) in enumerate(units):
        labels = {"keyframe": str(is_keyframe).lower(), "fps": "20"}
        upload(server, entry, unit, start_us + number * STEP_US, "video/h264", **labels)


def frames_of_all_calls(
    recording: Recording, folder: Path, size: tuple[int, int] = SIZE
) -> tuple[dict[int, np.ndarray], list[int]]:
    """Return the frames that each call gives, and the indices of those that it reports as missing."""
    count = len(recording)
    missing: list[MissingFrame] = []
    frames = {
        index: picture.to_ndarray(format="rgb24")
        for index, picture in recording.decode(np.arange(count), on_error="report", missing=missing)
    }
    lost = [frame.index for frame in missing]
    assert all(frame.reason for frame in missing)
    assert sorted([*frames, *lost]) == list(range(count))

    again: list[MissingFrame] = []
    iterated = list(recording.iter_frames(on_error="report", missing=again))
    assert ([frame.index for frame in again], len(iterated)) == (lost, len(frames))
    np.testing.assert_array_equal(iterated, list(frames.values()))
    clip = recording.slice(on_error="report")
    assert [frame.index for frame in clip.missing] == lost
    np.testing.assert_array_equal(clip.frames, list(frames.values()))
    for index in {*range(0, count, 9), *lost, *(min(place + 1, count - 1) for place in lost), count - 1}:
        if index in frames:
            np.testing.assert_array_equal(recording[index], frames[index], err_msg=str(index))
        else:
            with pytest.raises(DecodeError) as error:
                recording[index]
            assert [frame.index for frame in error.value.missing] == [index]
    times = recording.timestamps_us
    for first in range(0, count, 20):
        last = min(first + 13, count - 1)
        part = recording.slice(int(times[first]), int(times[last]), on_error="report")
        expected = [index for index in frames if first <= index < last]
        assert part.capture_us.tolist() == times[expected].tolist()
        np.testing.assert_array_equal(part.frames, [frames[index] for index in expected] or np.empty((0, *size, 3)))
    written = to_dir(recording, folder, ext="jpg")
    assert ([frame.index for frame in written.missing], len(written)) == (lost, len(frames))
    return frames, lost


@pytest.mark.parametrize("index", ["auto", "contents"])
def test_an_entry_that_begins_with_an_open_group(
    server: Server, open_groups: Stream, tmp_path: Path, index: str
) -> None:
    """The frames that lead the keyframe are lost, and no other ones."""
    first = open_groups.keyframes.index(True, 1)
    entry = f"open-{index}"
    write(server, entry, open_groups, first)
    recording = reduct_frames.open(server.url, "b", entry, index=index)  # type: ignore[arg-type]
    leading = sum(pts < open_groups.pts[first] for pts in open_groups.pts[first:])
    assert leading == 1
    frames, lost = frames_of_all_calls(recording, tmp_path)
    assert lost == list(range(leading))
    for number, frame in frames.items():
        np.testing.assert_array_equal(frame, open_groups.pictures[open_groups.pts[first] - leading + number])


@pytest.mark.parametrize("index", ["auto", "contents"])
@pytest.mark.parametrize("pause_us", [4 * STEP_US, 30_000_000])
def test_an_entry_that_begins_anew_with_an_open_group(
    server: Server, open_groups: Stream, tmp_path: Path, index: str, pause_us: int
) -> None:
    """The last frames before are shown, and those after it, whose order begins anew without an IDR picture."""
    first = open_groups.keyframes.index(True, 1)
    entry = f"anew-{index}-{pause_us}"
    write(server, entry, open_groups, 0)
    write(server, entry, open_groups, first, START_US + 59 * STEP_US + pause_us)
    recording = reduct_frames.open(server.url, "b", entry, index=index)  # type: ignore[arg-type]
    frames, lost = frames_of_all_calls(recording, tmp_path)
    assert lost == [60]
    for number, frame in frames.items():
        source = number if number < 60 else open_groups.pts[first] - 61 + number
        np.testing.assert_array_equal(frame, open_groups.pictures[source], err_msg=str(number))


def test_a_lost_frame_before_an_open_group_does_not_spoil_it(
    server: Server, open_groups: Stream, tmp_path: Path
) -> None:
    """Frames that lead a keyframe are decoded, if what they refer to is there."""
    first = open_groups.keyframes.index(True, 1)
    # The last but one before the keyframe in decoding order is a frame that no other refers to.
    units, pts, keyframes = (list(column) for column in (open_groups.units, open_groups.pts, open_groups.keyframes))
    for column in (units, pts, keyframes):
        del column[first - 2]  # type: ignore[attr-defined]
    lost = Stream(units, pts, open_groups.fps, open_groups.pictures, keyframes)
    for index in ("auto", "contents"):
        server.record(f"lost-{index}", lost)
        recording = reduct_frames.open(server.url, "b", f"lost-{index}", index=index)  # type: ignore[arg-type]
        frames, missing = frames_of_all_calls(recording, tmp_path / index)
        assert missing == []
        kept = sorted(pts)
        for number, frame in frames.items():
            np.testing.assert_array_equal(frame, open_groups.pictures[kept[number]])


@pytest.mark.parametrize("b_frames", [0, 2])
def test_an_entry_that_begins_anew_within_a_refresh(server: Server, tmp_path: Path, b_frames: int) -> None:
    """Frames are right again when the refresh is complete, and in all calls the same."""
    recipe = Recipe(f"keyint=10:bframes={b_frames}:b-adapt=0:intra-refresh=1", frames=60, sizes=((48, 192),))
    sample = encode_sample(recipe)
    records = lay_out(sample, "access-unit")
    write_records(server.url, f"refresh-{b_frames}", records, {"fps": "20"})
    whole = reduct_frames.open(server.url, "b", f"refresh-{b_frames}")
    keyframes = [unit.is_keyframe for unit in whole.access_units()]
    assert sum(keyframes) > 4
    first = [number for number, is_keyframe in enumerate(keyframes) if is_keyframe][2]
    pause_us = 30_200_000  # no whole groups of pictures

    paused = [(time_us + pause_us * (number >= first), unit) for number, (time_us, unit) in enumerate(records)]
    write_records(server.url, f"refresh-{b_frames}-paused", paused, {"fps": "20"})
    recording = reduct_frames.open(server.url, "b", f"refresh-{b_frames}-paused")
    np.testing.assert_array_equal(recording[:], sample.pictures)

    again = [(time_us + pause_us, unit) for time_us, unit in records[first:]]
    write_records(server.url, f"refresh-{b_frames}-anew", [*records, *again], {"fps": "20"})
    recording = reduct_frames.open(server.url, "b", f"refresh-{b_frames}-anew")
    frames, lost = frames_of_all_calls(recording, tmp_path, (48, 192))
    assert lost == list(range(60, 60 + len(lost)))
    assert len(lost) < 24, "two periods of the refresh"
    for number, frame in frames.items():
        source = number if number < 60 else number - 60 + first
        np.testing.assert_array_equal(frame, sample.pictures[source], err_msg=str(number))


def test_an_entry_that_begins_within_a_group(server: Server, plain: Stream, tmp_path: Path) -> None:
    """As in a bucket with a FIFO quota: frames without a keyframe are missing, and the others are there."""
    write(server, "within", plain, 3)
    recording = reduct_frames.open(server.url, "b", "within")
    frames, lost = frames_of_all_calls(recording, tmp_path)
    assert lost == list(range(7))
    for number, frame in frames.items():
        np.testing.assert_array_equal(frame, plain.pictures[3 + number])
    assert (recording.height, recording.width) == SIZE
    assert recording[5:5].shape == (0, *SIZE, 3)
    assert recording.slice(1.0, 1.0).frames.shape == (0, *SIZE, 3)
    clip = recording.slice(0.0, 0.1, on_error="report")
    assert clip.frames.shape == (0, *SIZE, 3)
    assert [frame.index for frame in clip.missing] == [0, 1]
    with pytest.raises(DecodeError, match="SPS"):
        recording[0]
    part = recording.lazy_slice(0.0, 0.2)
    assert (part.height, part.width) == SIZE


def test_an_entry_without_a_keyframe(server: Server, plain: Stream, tmp_path: Path) -> None:
    for number, unit in enumerate(plain.units[3:8]):
        upload(server, "none", unit, START_US + number * STEP_US, "video/h264", keyframe="false")
    recording = reduct_frames.open(server.url, "b", "none")
    assert len(recording) == 5
    assert recording[2:2].shape == (0, 0, 0, 3)
    assert len(recording.slice(on_error="report").missing) == 5
    assert [frame.index for frame in to_dir(recording, tmp_path).missing] == list(range(5))
    for call in (lambda: recording[2], lambda: recording.height, lambda: recording[:]):
        with pytest.raises(DecodeError):
            call()


@pytest.mark.parametrize("index", ["auto", "contents"])
def test_an_entry_that_ends_with_the_keyframe_of_an_open_group(
    server: Server, open_groups: Stream, tmp_path: Path, index: str
) -> None:
    """The frames before a pause and the keyframe after it are shown, although nothing follows."""
    first = open_groups.keyframes.index(True, 1)
    entry = f"ends-{index}"
    write(server, entry, open_groups, 0)
    keyframe_us = START_US + 59 * STEP_US + 30_000_000
    upload(server, entry, open_groups.units[first], keyframe_us, "video/h264", keyframe="true", fps="20")
    recording = reduct_frames.open(server.url, "b", entry, index=index)  # type: ignore[arg-type]
    frames, lost = frames_of_all_calls(recording, tmp_path)
    assert lost == []
    for number, frame in frames.items():
        source = number if number < 60 else open_groups.pts[first]
        np.testing.assert_array_equal(frame, open_groups.pictures[source], err_msg=str(number))


@pytest.mark.parametrize("index", ["auto", "contents"])
@pytest.mark.parametrize("places", [(3, 23), (6, 43)])
def test_swapped_records_of_open_groups_give_no_wrong_picture(
    server: Server, open_groups: Stream, tmp_path: Path, places: tuple[int, int], index: str
) -> None:
    """The count of a picture of another group takes it before pictures that were decoded before it."""
    first, second = places
    units = list(open_groups.units)
    units[first], units[second] = units[second], units[first]
    swapped = Stream(units, open_groups.pts, open_groups.fps, open_groups.pictures, open_groups.keyframes)
    entry = f"swapped-{first}-{index}"
    write(server, entry, swapped, 0)
    recording = reduct_frames.open(server.url, "b", entry, index=index)  # type: ignore[arg-type]
    frames, _ = frames_of_all_calls(recording, tmp_path)
    assert len(frames) >= 20, "the groups that are whole"
    for number, frame in frames.items():
        np.testing.assert_array_equal(frame, open_groups.pictures[number], err_msg=str(number))
