# SPDX-License-Identifier: MPL-2.0
"""The index by labels and the one by contents: the same frames and keyframes, and none left out without a reason."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from conftest import Server
from episodes import upload
from streams import START_US, Stream, encode
from zoo import ENCODED, Sample, encode_sample, write_records

import reduct_frames
from reduct_frames import CancelledError, Recorder, Recording, RecordingWarning, frame_reader, to_dir
from reduct_frames._core import Canceller

TIMEOUT = 30
KINDS = ["auto", "labels", "contents"]


@pytest.fixture(scope="module")
def open_groups(server: Server) -> Stream:
    """A stream that is recorded in an entry of that name."""
    stream = encode(frames=60, fps=20, gop=12, b_frames=3, open_gop=True)
    server.record("open-groups", stream)
    return stream


def texts_of(work: Callable[[], object]) -> list[str]:
    """Return the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    assert all(warning.category is RecordingWarning for warning in caught)
    return [str(warning.message) for warning in caught]


def in_groups(server: Server, entry: str, stream: Stream) -> None:
    server.record(entry, stream, "gop")


def in_groups_with_a_pause(server: Server, entry: str, stream: Stream) -> None:
    """The record after the pause has the label keyframe=false, and several frames."""
    with Recorder(server.url, "b", entry, record_unit="gop", fps=stream.fps) as recorder:
        for unit, pts in zip(stream.units, stream.pts):
            recorder.log(unit, START_US + pts * stream.step_us + 900_000 * (pts > 42))


def in_fours(server: Server, entry: str, stream: Stream) -> None:
    """Four access units a record, whose label says whether the first one is a keyframe."""
    for at in range(0, len(stream.units), 4):
        label = str(stream.keyframes[at]).lower()
        content = b"".join(stream.units[at : at + 4])
        upload(server, entry, content, int(stream.times_us[at]), "video/h264", keyframe=label, fps=stream.fps)


def singly(server: Server, entry: str, stream: Stream) -> None:
    server.record(entry, stream)


@pytest.mark.parametrize("lay_out", [in_groups, in_groups_with_a_pause, in_fours, singly])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_a_range_has_the_frames_of_records_before_it(
    server: Server, lay_out: Callable[[Server, str, Stream], None], b_frames: int
) -> None:
    entry = f"range-{lay_out.__name__}-{b_frames}"
    stream = encode(frames=100, fps=20, gop=20, b_frames=b_frames)
    lay_out(server, entry, stream)
    full = reduct_frames.open(server.url, "b", entry, index="contents")
    times = full.timestamps_us
    assert len(times) == 100
    rng = random.Random(b_frames)
    edges = [(5, 15), (20, 40), (25, 100), (43, 48), (42, 60), (43, 62), (44, 60), (85, 100)]
    for _ in range(12):
        first = rng.randrange(100)
        edges.append((first, min(100, first + rng.choice([0, 1, 2, 5, 30]))))
    for first, end in edges:
        start = int(times[first]) - rng.choice([0, 0, 1])
        stop = int(times[end]) if end < 100 else None
        recording = reduct_frames.open(server.url, "b", entry, start, stop)
        np.testing.assert_array_equal(recording.timestamps_us, times[first:end], err_msg=f"{first} {end}")
        assert len(list(recording.access_units())) == end - first
        if first < end:
            np.testing.assert_array_equal(recording[0], stream.pictures[first], err_msg=f"{first} {end}")
    assert reduct_frames.open(server.url, "b", entry)._reader.index.by_labels == (lay_out is singly)


def test_labels_are_the_index_of_ranges_of_single_frames(server: Server, reordered: Stream) -> None:
    """Also without a label of a keyframe at the begin."""
    server.record("single-frames", reordered)
    times = reordered.times_us
    for first, end in [(0, 100), (20, 60), (25, 45), (37, 100)]:
        stop = int(times[end]) if end < 100 else None
        recording = reduct_frames.open(server.url, "b", "single-frames", int(times[first]), stop)
        np.testing.assert_array_equal(recording.timestamps_us, times[first:end])
        assert recording._reader.index.by_labels
    for start, stop in [(times[33] + 1, times[34]), (times[99] + 1, None), (None, times[0]), (0, times[0])]:
        bounds = [None if bound is None else int(bound) for bound in (start, stop)]
        recording = reduct_frames.open(server.url, "b", "single-frames", *bounds)
        assert texts_of(lambda: len(recording)) == []  # noqa: B023
        assert len(recording) == 0
        assert recording._reader.index.by_labels


@pytest.mark.parametrize("frames_per_record", [1, 5])
@pytest.mark.parametrize("labels", ["none", "all true", "of frames"])
def test_frames_after_a_gap_are_missing_with_a_reason(
    server: Server, tmp_path: Path, frames_per_record: int, labels: str
) -> None:
    """Whatever the index is made of. The frames up to the next keyframe refer to missing ones."""
    stream = encode(frames=100, fps=20, gop=20, b_frames=0)
    entry = f"after-a-gap-{frames_per_record}-{labels}".replace(" ", "-")
    there = [number for number in range(100) if not 25 <= number < 50]
    for at in there[::frames_per_record]:
        content = b"".join(stream.units[at : at + frames_per_record])
        value = str(stream.keyframes[at] or labels == "all true").lower()
        given = {} if labels == "none" else {"keyframe": value}
        upload(server, entry, content, int(stream.times_us[at]), "video/h264", fps="20", **given)
    for kind in KINDS if labels == "of frames" and frames_per_record == 1 else ["auto", "contents"]:
        recording = reduct_frames.open(server.url, "b", entry, index=kind)  # type: ignore[arg-type]
        assert texts_of(lambda: len(recording)) == []  # noqa: B023
        np.testing.assert_array_equal(recording.timestamps_us, stream.times_us[there])
        clip = recording.slice(on_error="report")
        assert [there[frame.index] for frame in clip.missing] == list(range(50, 60))
        assert all("missing" in frame.reason for frame in clip.missing)
        shown = [number for number in there if not 50 <= number < 60]
        np.testing.assert_array_equal(clip.capture_us, stream.times_us[shown])
        np.testing.assert_array_equal(clip.frames, stream.pictures[shown])
        assert len(list(recording.access_units())) == 75
        written = to_dir(recording, tmp_path / kind, ext="jpg")
        assert (len(written), len(written.missing)) == (65, 10)


def reading_times(recording: Recording) -> list[int]:
    return [unit.capture_us for unit in recording.access_units()]


@pytest.mark.parametrize("start", [None, 0, 4])
@pytest.mark.parametrize("keeps_sets", [True, False])
def test_access_units_that_are_no_frames_are_counted(
    server: Server, plain: Stream, start: int | None, keeps_sets: bool
) -> None:
    """Those before the first keyframe, with parameter sets and without; also of a range that begins among them."""
    entry = f"left-out-{start}-{keeps_sets}"
    units = list(plain.units)
    if keeps_sets:
        idr = units[10].rindex(b"\0\0\1\x65")
        units[1] = units[10][:idr] + units[1]
    write_records(server.url, entry, list(zip(plain.times_us.tolist(), units))[1:])
    start_us = None if start is None else int(plain.times_us[start])
    lost = 9 if start is None else min(9, 10 - start)
    for read in (lambda recording: recording.timestamps_us, reading_times):
        recording = reduct_frames.open(server.url, "b", entry, start_us)
        times: list[int] = []
        texts = texts_of(lambda: times.extend(read(recording)))  # noqa: B023
        assert [text for text in texts if text.startswith(f"{lost} access units of the range are left out")], texts
        np.testing.assert_array_equal(times, plain.times_us[10:])


def test_an_entry_that_begins_within_an_open_group(server: Server, open_groups: Stream) -> None:
    """Access units before its first keyframe are counted, and the frames that are shown before that are missing."""
    records = list(zip(open_groups.times_us.tolist(), open_groups.units))[18:]
    write_records(server.url, "begins-with-an-open-group", records)
    assert (open_groups.keyframes[22], open_groups.pts[22]) == (True, 24)
    for start in (18, 20, 22, 23):
        recording = reduct_frames.open(server.url, "b", "begins-with-an-open-group", int(open_groups.times_us[start]))
        texts = texts_of(lambda: len(recording))  # noqa: B023
        count = [text for text in texts if text.startswith(f"{22 - start} access units of the range")]
        assert len(count) == (start < 22), texts
        first = max(start, 22)
        np.testing.assert_array_equal(recording.timestamps_us, open_groups.times_us[first:])
        clip = recording.slice(on_error="report")
        assert [first + frame.index for frame in clip.missing] == list(range(first, 24))
        np.testing.assert_array_equal(clip.frames, open_groups.pictures[24:])


def test_a_fault_of_a_frame_behind_a_range_is_none_of_its_labels(server: Server, reordered: Stream) -> None:
    """The decoder needs frames that are shown after the range, and are missing themselves."""
    records = [
        (time_us, unit[:6] if number == 60 else unit, is_keyframe)
        for number, (time_us, unit, is_keyframe) in enumerate(
            zip(reordered.times_us.tolist(), reordered.units, reordered.keyframes)
        )
        if not 63 <= number < 68
    ]
    for time_us, unit, is_keyframe in records:
        upload(server, "behind", unit, time_us, "video/h264", keyframe=str(is_keyframe).lower(), fps="20")
    for kind in KINDS:
        start, stop = int(reordered.times_us[23]), int(reordered.times_us[71])
        recording = reduct_frames.open(server.url, "b", "behind", start, stop, index=kind)  # type: ignore[arg-type]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clip = recording.slice(on_error="report")
        assert len(clip) + len(clip.missing) == len(recording)
        np.testing.assert_array_equal(clip.frames, reordered.pictures[23:60])


def test_a_damaged_access_unit_in_a_record_of_several_is_counted(server: Server, plain: Stream) -> None:
    units = list(plain.units)
    units[33] = units[33][:6]
    content = [(int(plain.times_us[at]), b"".join(units[at : at + 10])) for at in range(0, 100, 10)]
    write_records(server.url, "one-of-ten", content)
    recording = reduct_frames.open(server.url, "b", "one-of-ten")
    texts = texts_of(lambda: len(recording))
    clip = recording.slice(on_error="report")
    left_out = [re.match(r"(\d+) access units of the range are left out", text) for text in texts]
    assert len(clip) + len(clip.missing) + sum(int(count[1]) for count in left_out if count) == 100


@pytest.mark.parametrize("kind", ["auto", "contents"])
@pytest.mark.parametrize("part", [(0, 60), (5, 60), (15, 50)])
def test_keyframes_of_open_groups(
    server: Server, open_groups: Stream, tmp_path: Path, kind: str, part: tuple[int, int]
) -> None:
    """The record of a keyframe has the time of a picture that is shown before it."""
    first, end = part
    times = open_groups.times_us
    stop = int(times[end]) if end < 60 else None
    recording = reduct_frames.open(server.url, "b", "open-groups", int(times[first]), stop, index=kind)  # type: ignore[arg-type]
    keyframes = [pts for pts, is_keyframe in zip(open_groups.pts, open_groups.keyframes) if is_keyframe]
    expected = [pts - first for pts in sorted(keyframes) if first <= pts < end]
    np.testing.assert_array_equal(recording.timestamps_us, times[first:end])
    assert recording.keyframes.tolist() == expected
    assert np.flatnonzero(reduct_frames.index(recording)["keyframe"]).tolist() == expected
    captured = [unit.capture_us for unit in recording.access_units() if unit.is_keyframe]
    assert captured == [int(times[first + index]) for index in expected]
    written = to_dir(recording, tmp_path, ext="jpg")
    rows = map(json.loads, Path(written.manifest).read_text().splitlines())
    assert [row["index"] for row in rows if row["keyframe"]] == expected
    np.testing.assert_array_equal(recording[:], open_groups.pictures[first:end])


def test_labels_are_the_index_where_nothing_is_reordered(server: Server) -> None:
    """Keyframes that are no IDR pictures have the times of their records there."""
    sample: Sample = encode_sample(ENCODED["intra-refresh"])
    with Recorder(server.url, "b", "intra-refresh", fps="20") as recorder:
        for unit, time_us in zip(sample.units, sample.times_us.tolist()):
            recorder.log(unit, time_us)
    by_contents = reduct_frames.open(server.url, "b", "intra-refresh", index="contents")
    recording = reduct_frames.open(server.url, "b", "intra-refresh")
    assert recording.keyframes.tolist() == by_contents.keyframes.tolist()
    assert len(recording.keyframes) > 1
    assert recording._reader.index.by_labels


class Loading:
    """A recording whose index is being loaded by a thread, until it is released."""

    def __init__(self, recording: Recording, patch: pytest.MonkeyPatch) -> None:
        self.recording = recording
        self.calls = 0
        self.lengths: list[int] = []
        self._has_begun, self._may_end, self.is_waited_for = (threading.Event() for _ in range(3))
        source = recording._reader.source
        load_index, check_cancelled, process = source.load_index, frame_reader.check_cancelled, os.getpid()

        def load() -> object:
            index = load_index()
            self.calls += 1
            if os.getpid() == process:
                self._has_begun.set()
                assert self._may_end.wait(TIMEOUT)
            return index

        def check() -> None:
            self.is_waited_for.set()
            check_cancelled()

        patch.setattr(source, "load_index", load)
        patch.setattr(frame_reader, "check_cancelled", check)
        self.threads: list[threading.Thread] = []
        self.start(lambda: self.lengths.append(len(recording)))
        assert self._has_begun.wait(TIMEOUT)

    def start(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work)
        thread.start()
        self.threads.append(thread)
        return thread

    def release(self) -> None:
        self._may_end.set()
        for thread in self.threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()


@pytest.fixture
def loading(
    server: Server, plain: Stream, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loading]:
    entry = request.node.name
    write_records(server.url, entry, list(zip(plain.times_us.tolist(), plain.units))[:50])
    loading = Loading(reduct_frames.open(server.url, "b", entry, index="contents"), monkeypatch)
    yield loading
    loading.release()


def test_threads_load_one_index_of_a_growing_entry(server: Server, plain: Stream, loading: Loading) -> None:
    part = loading.recording.cancellable(Canceller())  # shares the index
    loading.start(lambda: loading.lengths.append(len(part)))
    assert loading.is_waited_for.wait(TIMEOUT)
    later = list(zip(plain.times_us.tolist(), plain.units))[50:]
    write_records(server.url, "test_threads_load_one_index_of_a_growing_entry", later)
    loading.release()
    assert (loading.calls, loading.lengths, len(loading.recording)) == (1, [50, 50], 50)


def test_a_wait_for_the_index_can_be_cancelled(loading: Loading) -> None:
    canceller = Canceller()
    errors: list[BaseException] = []

    def use() -> None:
        with canceller:
            try:
                len(loading.recording)
            except CancelledError as error:
                errors.append(error)

    thread = loading.start(use)
    assert loading.is_waited_for.wait(TIMEOUT)
    canceller.cancel()
    thread.join(TIMEOUT)
    assert len(errors) == 1
    assert loading.lengths == []


def test_an_index_that_a_thread_loads_does_not_hold_up_other_processes(loading: Loading) -> None:
    child = os.fork()
    if child == 0:
        try:
            os._exit(len(loading.recording) != 50)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert loading.lengths == []


def test_a_recording_can_be_pickled_while_its_index_is_loaded(server: Server, plain: Stream) -> None:
    server.record("pickled", plain)
    recording = reduct_frames.open(server.url, "b", "pickled")
    results: list[int] = []
    with recording._reader._locks.setdefault(os.getpid(), threading.RLock()):
        copy = pickle.loads(pickle.dumps(recording))
        thread = threading.Thread(target=lambda: results.append(len(copy)))
        thread.start()
        thread.join(TIMEOUT)
    assert results == [100]
