# SPDX-License-Identifier: MPL-2.0
"""Entries whose records are not what their labels or the first of them say."""

from __future__ import annotations

import itertools
import random
import re
import warnings
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from conftest import Server
from episodes import Episode, export, upload
from streams import START_US, Stream

import reduct_frames
from reduct_frames import IndexMismatchError, Recording, RecordingWarning, StreamError, to_dir

H264_TYPE = "video/h264"
PAUSE_US = 3_200_000  # no whole groups of pictures


@pytest.fixture(scope="module", autouse=True)
def episodes(server: Server, plain: Stream) -> list[Episode]:
    """Five episodes of a second."""
    server.record("records-source", plain)
    return export(server, "records-source", duration="1s")


def write(server: Server, entry: str, records: list[tuple[int, bytes, str, bool]]) -> None:
    """Write records: times, contents, content types and labels `keyframe`."""
    for time_us, content, content_type, is_keyframe in records:
        upload(server, entry, content, time_us, content_type, keyframe=str(is_keyframe).lower(), fps="20")


def units_of(stream: Stream) -> list[tuple[int, bytes, str, bool]]:
    """Return a record for each access unit, as the recorder lays them out."""
    return [
        (START_US + number * stream.step_us, unit, H264_TYPE, is_keyframe)
        for number, (unit, is_keyframe) in enumerate(zip(stream.units, stream.keyframes))
    ]


def load(recording: Recording) -> list[str]:
    """Load the index, and return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        len(recording)
    assert all(warning.category is RecordingWarning for warning in caught)
    return [str(warning.message) for warning in caught]


def group_with_a_pause(server: Server, entry: str, stream: Stream) -> list[int]:
    """Record groups of pictures, one of which the recorder splits at a pause."""
    times = [START_US + number * stream.step_us + PAUSE_US * (number > 33) for number in range(len(stream.units))]
    log_groups(server, entry, stream, times)
    return times


def groups_with_jitter(server: Server, entry: str, stream: Stream) -> None:
    """Record groups of pictures, some of which the recorder splits, as the times do not keep to the frame rate."""
    jitter = random.Random(0)
    distances = [stream.step_us + jitter.randint(-20_000, 20_000) for _ in stream.units]
    log_groups(server, entry, stream, [START_US + sum(distances[:number]) for number in range(len(distances))])


def log_groups(server: Server, entry: str, stream: Stream, times: list[int]) -> None:
    with reduct_frames.Recorder(server.url, "b", entry, fps="20", record_unit="gop") as recorder:
        for unit, pts in zip(stream.units, stream.pts):
            recorder.log(unit, times[pts])


def pairs(server: Server, entry: str, stream: Stream) -> list[int]:
    """Write two access units a record, whose label says whether the first one is a keyframe."""
    records = units_of(stream)
    joined = [
        (time_us, content + later, content_type, is_keyframe)
        for (time_us, content, content_type, is_keyframe), (_, later, _, _) in zip(records[::2], records[1::2])
    ]
    write(server, entry, joined)
    return stream.times_us.tolist()


@pytest.mark.parametrize("lay_out", [group_with_a_pause, groups_with_jitter, pairs])
def test_labels_of_records_with_several_frames_are_no_index(
    server: Server, plain: Stream, lay_out: Callable[[Server, str, Stream], list[int] | None]
) -> None:
    times = lay_out(server, lay_out.__name__, plain)
    recording = reduct_frames.open(server.url, "b", lay_out.__name__)
    labels = recording._reader.source.native.headers()[0]["keyframe"]  # type: ignore[attr-defined]
    assert {0, 1} == set(labels), "as in an entry of single frames"
    assert len(recording) == 100
    assert recording.fps == 20
    if times is not None:
        assert recording.timestamps_us.tolist() == times
    np.testing.assert_array_equal(recording[:], plain.pictures)
    for index in (5, 41, 99):
        np.testing.assert_array_equal(recording[index], plain.pictures[index])
        np.testing.assert_array_equal(recording.frames_at(recording.timestamps_us[[index]])[0], plain.pictures[index])
    part = recording.slice(recording.timestamps_us[41], recording.timestamps_us[50])
    np.testing.assert_array_equal(part.frames, plain.pictures[41:50])


@pytest.mark.parametrize("stream", ["plain", "reordered"])
@pytest.mark.parametrize("pauses", [(), (0,), (7, 50, 98)])
def test_verified_labels_are_the_index(
    server: Server, request: pytest.FixtureRequest, stream: str, pauses: tuple[int, ...]
) -> None:
    encoded: Stream = request.getfixturevalue(stream)
    entry = f"verified-{stream}-{len(pauses)}"
    records = [
        (time_us + PAUSE_US * sum(number > pause for pause in pauses), *rest)
        for number, (time_us, *rest) in enumerate(units_of(encoded))
    ]
    write(server, entry, records)  # type: ignore[arg-type]
    recording = reduct_frames.open(server.url, "b", entry)
    assert load(recording) == []
    index, _ = recording.frame_index()
    assert index.by_labels
    np.testing.assert_array_equal(recording[:], encoded.pictures)


def test_a_second_frame_in_a_record_is_never_passed_over(server: Server, plain: Stream) -> None:
    """Labels that are not verified show one frame, wherever a record has two."""
    records = units_of(plain)
    first, second = records[44], records.pop(45)
    records[44] = (first[0], first[1] + second[1], H264_TYPE, False)
    write(server, "second", records)
    recording = reduct_frames.open(server.url, "b", "second", index="labels")
    assert len(recording) == 99
    np.testing.assert_array_equal(recording[:43], plain.pictures[:43])
    np.testing.assert_array_equal(recording[50:], plain.pictures[51:])
    for call in (
        lambda: recording[44],
        lambda: recording[45],
        lambda: recording[:],
        lambda: list(recording.iter_frames()),
        lambda: recording.frames_at([2.2]),
        lambda: recording.slice(2.2, 2.21, on_error="report"),
        lambda: list(recording.access_units()),
    ):
        with pytest.raises(IndexMismatchError, match=str(plain.times_us[45])):
            call()
    contents = reduct_frames.open(server.url, "b", "second")
    np.testing.assert_array_equal(contents[:], plain.pictures)


def test_the_first_record_of_video_counts(server: Server, plain: Stream, episodes: list[Episode]) -> None:
    text = (START_US - 10_000_000, b"hello", "text/plain", False)
    files = [(episode.time_us, episode.content, "video/mp4", True) for episode in episodes]
    write(server, "text-and-episodes", [text, *files])
    recording = reduct_frames.open(server.url, "b", "text-and-episodes")
    assert recording.codec == "h264"
    [warning] = load(recording)
    assert "'text/plain'" in warning
    np.testing.assert_array_equal(recording[:], plain.pictures)

    write(server, "text-and-frames", [text, *units_of(plain)])
    for index in ("auto", "labels", "contents"):
        recording = reduct_frames.open(server.url, "b", "text-and-frames", index=index)  # type: ignore[arg-type]
        [warning] = load(recording)
        assert "1 record is left out, as it is no video" in warning or "'text/plain'" in warning
        np.testing.assert_array_equal(recording[:], plain.pictures)


def test_records_of_another_type_are_counted(server: Server, plain: Stream, episodes: list[Episode]) -> None:
    later = [(episode.time_us + 60_000_000, episode.content, "video/mp4", False) for episode in episodes]
    write(server, "frames-and-episodes", [*units_of(plain), *later])
    for index in ("auto", "contents"):
        recording = reduct_frames.open(server.url, "b", "frames-and-episodes", index=index)  # type: ignore[arg-type]
        texts = load(recording)
        assert all("video/mp4" in text for text in texts)
        assert texts[0].startswith("5 records are left out") or "4 more records" in texts[1]
        np.testing.assert_array_equal(recording[:], plain.pictures)
    # A part without frames.
    part = reduct_frames.open(server.url, "b", "frames-and-episodes", START_US + 30_000_000, index="contents")
    with pytest.raises(StreamError, match="'video/mp4', not 'video/h264'"):
        len(part)

    episode = episodes[0]
    write(server, "episodes-and-frames", [(START_US - 60_000_000, episode.content, "video/mp4", True)])
    write(server, "episodes-and-frames", units_of(plain))
    recording = reduct_frames.open(server.url, "b", "episodes-and-frames")
    texts = load(recording)
    assert "'video/h264', not 'video/mp4'" in texts[0]
    assert "99 more records" in texts[1]
    assert len(recording) == 20
    part = reduct_frames.open(server.url, "b", "episodes-and-frames", START_US)
    [text] = load(part)
    assert text == "100 access units are left out, as they are 'video/h264', not 'video/mp4'"


@pytest.mark.parametrize("content", [b"", b"no video"])
@pytest.mark.parametrize("record_unit", ["access-unit", "gop"])
def test_unreadable_records_are_warned_of(server: Server, plain: Stream, content: bytes, record_unit: str) -> None:
    entry = f"unreadable-{record_unit}-{len(content)}"
    records = units_of(plain)
    if record_unit == "gop":
        groups = [records[at : at + 10] for at in range(0, 100, 10)]
        records = [(group[0][0], b"".join(unit for _, unit, _, _ in group), H264_TYPE, True) for group in groups]
    wrong = [3, 5]
    records = [
        (time_us, content if number in wrong else unit, *rest)  # type: ignore[misc]
        for number, (time_us, unit, *rest) in enumerate(records)
    ]
    write(server, entry, records)
    recording = reduct_frames.open(server.url, "b", entry, index="contents")
    first, rest, summary = load(recording)
    assert str(records[3][0]) in first
    assert ("Annex B" if content else "is empty") in first
    assert ("Annex B" if content else "1 more records have the same fault") in rest
    assert str(records[5][0]) in rest
    assert summary == (
        f"2 of {len(records)} records have no frame that can be read, the first of them at {records[3][0]} µs"
    )
    assert len(recording) == 100 - 2 * (100 // len(records))


@pytest.mark.parametrize("index", ["auto", "contents"])
def test_empty_records_without_labels_are_warned_of(server: Server, plain: Stream, index: str) -> None:
    """Also those among the frames, and of a reader without an index."""
    entry = f"empty-{index}"
    records = [(time_us, unit) for time_us, unit, _, _ in units_of(plain)]
    empty = [records[3][0] + 1, records[50][0] + 1, records[99][0] + 1]
    for time_us, content in [*records, *((time_us, b"") for time_us in empty)]:
        upload(server, entry, content, time_us, H264_TYPE)
    recording = reduct_frames.open(server.url, "b", entry, index=index)  # type: ignore[arg-type]
    texts = load(recording)
    assert len(texts) == 2
    assert re.fullmatch(rf"The record at .* \({empty[0]} µs\) is empty", texts[0])
    assert re.fullmatch(rf"2 more records have the same fault.* \({empty[2]} µs\) is empty", texts[1])
    assert recording.timestamps_us.tolist() == [time_us for time_us, _ in records]
    np.testing.assert_array_equal(recording[:], plain.pictures)
    with pytest.warns(RecordingWarning, match="is empty"):
        assert len(list(reduct_frames.open(server.url, "b", entry).access_units())) == 100


DAMAGE: list[Callable[[bytes], bytes]] = [lambda _: b"\0\0\0\1", lambda unit: unit[5:], lambda unit: unit[:6]]


@pytest.mark.parametrize("damage", DAMAGE, ids=["start code", "no start code", "cut"])
@pytest.mark.parametrize("places", [[33], [32, 33], [52, 53, 54]], ids=str)
@pytest.mark.parametrize("stream", ["plain", "reordered"])
def test_each_record_is_a_frame_or_reported(
    server: Server, request: pytest.FixtureRequest, stream: str, places: list[int], damage: Callable[[bytes], bytes]
) -> None:
    """Damaged records, some of which look like the end of the one before."""
    encoded: Stream = request.getfixturevalue(stream)
    entry = f"reported-{stream}-{len(places)}-{DAMAGE.index(damage)}"
    records = [
        (time_us, damage(unit) if number in places else unit, *rest)
        for number, (time_us, unit, *rest) in enumerate(units_of(encoded))
    ]
    write(server, entry, records)  # type: ignore[arg-type]
    recording = reduct_frames.open(server.url, "b", entry, index="contents")
    texts = load(recording)
    clip = recording.slice(on_error="report")
    shown = dict(zip(clip.capture_us.tolist(), clip.frames))
    for time_us, frame in shown.items():
        np.testing.assert_array_equal(frame, encoded.pictures[encoded.times_us.tolist().index(time_us)])
    missing = {frame.capture_us for frame in clip.missing}
    lost = {time_us for time_us, *_ in records} - {*shown, *missing}
    counts = [re.match(r"(\d+) of 100 records have no frame that can be read", text) for text in texts]
    assert sum(int(count[1]) for count in counts if count) == len(lost)
    assert lost or missing


def test_the_edges_of_a_range_have_no_unreadable_records(server: Server, reordered: Stream) -> None:
    """Records within a range have frames that are shown before it and after it."""
    server.record("edges", reordered)
    times = reordered.times_us
    for start, stop in itertools.product([0, 13, 19], range(41, 60, 2)):
        part = reduct_frames.open(server.url, "b", "edges", int(times[start]), int(times[stop]), index="contents")
        assert load(part) == []
        np.testing.assert_array_equal(part.timestamps_us, times[start:stop])


def test_records_before_the_first_keyframe_are_warned_of(server: Server, plain: Stream, tmp_path: Path) -> None:
    write(server, "begins-late", units_of(plain)[3:])
    recording = reduct_frames.open(server.url, "b", "begins-late", index="contents")
    [first, rest, count, summary] = load(recording)
    assert "left out" in first
    assert "6 more records" in rest
    assert count.startswith("7 access units of the range are left out")
    assert summary.startswith("7 of 97 records have no frame")
    written = to_dir(recording, tmp_path)
    assert (len(written), written.missing) == (90, [])
    with pytest.warns(RecordingWarning, match="left out"):
        assert len(list(reduct_frames.open(server.url, "b", "begins-late").access_units())) == 90
