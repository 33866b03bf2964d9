# SPDX-License-Identifier: MPL-2.0
"""Recording of encoded frames: live, in batches, with retries and a spool, in order; errors."""

from __future__ import annotations

import itertools
import random
import signal
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Server, run_in_fork
from streams import SIZE, START_US, Stream, decode_all

import reduct_frames
from reduct_frames import Recorder, RecorderWarning, Recording, ReductFramesError, ServerError

SECONDS = 60
"""Longest time for events that come at once on a machine without other load."""


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Server]:
    """A server that a test stops and starts."""
    server = Server(tmp_path / "data")
    yield server
    server.stop()


def read(server: Server, entry: str) -> Recording:
    return reduct_frames.open(server.url, "b", entry)


def log_all(recorder: Recorder, stream: Stream, part: slice = slice(None)) -> None:
    for unit, time_us in zip(stream.units[part], stream.log_times()[part]):
        recorder.log(unit, time_us)


@contextmanager
def silence(server: Server) -> Iterator[None]:
    """Take connections in the place of a stopped server, without an answer. They break at the end."""
    with closing(socket.create_server(("127.0.0.1", server.port))):
        yield


def wait_for_records(recorder: Recorder, count: int = 1) -> None:
    """Wait until the server has records."""
    deadline = time.monotonic() + SECONDS
    while recorder.stats["records"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_recorded(recording: Recording, stream: Stream) -> None:
    np.testing.assert_array_equal(recording.timestamps_us, stream.times_us)
    np.testing.assert_array_equal(recording[:], stream.pictures)
    assert [unit.data for unit in recording.access_units()] == stream.units


@pytest.mark.parametrize("b_frames", [0, 2])
def test_packets_of_a_live_encoder(server: Server, b_frames: int) -> None:
    """As in the README: each packet is logged with the capture time of its frame."""
    height, width = SIZE
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width, encoder.pix_fmt = height, width, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 1_000_000), Fraction(25)
    encoder.gop_size, encoder.max_b_frames = 10, b_frames
    random = np.random.default_rng(3)
    # A camera whose frames come irregularly.
    times_us = START_US + np.arange(30) * 40_000 + random.integers(-9_000, 9_000, 30)
    entry = f"live-{b_frames}"
    units = []
    with Recorder(server.url, "b", entry, fps="25") as recorder:
        for picture_us in [*times_us.tolist(), None]:
            frame = None
            if picture_us is not None:
                pixels = random.integers(0, 256, (height, width, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts = picture_us - START_US
            for packet in encoder.encode(frame):
                units.append(bytes(packet))
                recorder.log(packet, START_US + packet.pts)
    recording = read(server, entry)
    np.testing.assert_array_equal(recording.timestamps_us, times_us)
    np.testing.assert_array_equal(recording[:], decode_all(units))
    assert recorder.stats["frames"] == recorder.stats["records"] == 30


@pytest.mark.parametrize("record_unit", ["access-unit", "gop"])
def test_records_are_written_in_batches_and_in_order(server: Server, reordered: Stream, record_unit: str) -> None:
    entry = f"batches-{record_unit}"
    recorder = Recorder(server.url, "b", entry, record_unit=record_unit, fps="20", max_latency=5.0)  # type: ignore[arg-type]
    log_all(recorder, reordered)
    recorder.finish()
    assert_recorded(read(server, entry), reordered)
    stats = recorder.stats
    assert stats["records"] == (100 if record_unit == "access-unit" else sum(reordered.keyframes))
    assert stats["frames"] == 100
    assert 1 <= stats["batches"] <= 3
    assert stats["bytes"] == sum(map(len, reordered.units))
    assert stats["queue_records"] == stats["queue_bytes"] == stats["dropped_records"] == 0


def test_nothing_is_logged_after_the_end(server: Server, plain: Stream) -> None:
    for first in range(0, 100, 50):
        recorder = Recorder(server.url, "b", "parts", max_latency=0.0, fps="20")
        log_all(recorder, plain, slice(first, first + 50))
        for _ in range(2):
            recorder.finish()
            assert len(read(server, "parts")) == first + 50
            with pytest.raises(RuntimeError, match="finished"):
                recorder.log(plain.units[0], plain.log_times()[-1] + plain.step_us)
        assert recorder.stats["logged"] == recorder.stats["frames"] == 50
    assert_recorded(read(server, "parts"), plain)


def test_labels(server: Server, plain: Stream) -> None:
    with Recorder(server.url, "b", "labels", labels={"camera": "left"}, fps="20") as recorder:
        log_all(recorder, plain, slice(0, 20))
    recording = read(server, "labels")
    assert recording.fps == 20
    assert recording.keyframes.tolist() == [0, 10]


@pytest.mark.filterwarnings("ignore:Could not connect")
def test_retries_over_a_restart(restarted: Server, reordered: Stream) -> None:
    with Recorder(restarted.url, "b", "restart", max_latency=0.05, retries=100) as recorder:
        log_all(recorder, reordered, slice(0, 40))
        wait_for_records(recorder)
        restarted.stop()
        log_all(recorder, reordered, slice(40, 80))
        restarted.start()
        log_all(recorder, reordered, slice(80, 90))
        wait_for_records(recorder, 60)
        restarted.stop()
        log_all(recorder, reordered, slice(90, None))
        with pytest.raises(TimeoutError, match="records are not written yet"):
            recorder.finish(timeout=0.5)
        restarted.start()
    assert_recorded(read(restarted, "restart"), reordered)


def test_a_spool_keeps_records_of_an_earlier_recorder(restarted: Server, reordered: Stream, tmp_path: Path) -> None:
    options = {"spool": tmp_path / "spool"}
    restarted.stop()
    with silence(restarted):
        first = Recorder(restarted.url, "b", "spool", retries=0, **options)  # type: ignore[arg-type]
        log_all(first, reordered, slice(0, 60))
    with pytest.warns(RecorderWarning, match="stay in spool"), pytest.raises(ServerError, match="60 records"):
        first.finish()
    del first
    restarted.start()
    with (
        pytest.warns(RecorderWarning, match="60 records that were not written are found"),
        Recorder(restarted.url, "b", "spool", **options) as second,  # type: ignore[arg-type]
    ):
        log_all(second, reordered, slice(60, None))
    assert second.stats["records"] == 100
    assert_recorded(read(restarted, "spool"), reordered)


@pytest.mark.filterwarnings("ignore:100 records that were not written are found")
def test_a_recorder_writes_what_is_in_the_spool_alone(restarted: Server, plain: Stream, tmp_path: Path) -> None:
    options = {"spool": tmp_path / "spool"}
    restarted.stop()
    with silence(restarted):
        first = Recorder(restarted.url, "b", "spool", retries=0, **options)  # type: ignore[arg-type]
        log_all(first, plain)
    with pytest.warns(RecorderWarning), pytest.raises(ServerError):
        first.finish()
    del first
    restarted.start()
    with Recorder(restarted.url, "b", "spool", **options) as second:  # type: ignore[arg-type]
        pass
    assert second.stats["records"] == 100
    assert_recorded(read(restarted, "spool"), plain)


def test_a_full_queue(restarted: Server, plain: Stream) -> None:
    restarted.stop()
    refusing = Recorder(restarted.url, "b", "refused", queue_bytes=5000, overflow="raise", retries=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecorderWarning)
        with pytest.raises(ReductFramesError, match="queue is full"):
            log_all(refusing, plain)
        assert 0 < refusing.stats["queue_bytes"] <= 5000
        dropping = Recorder(restarted.url, "b", "dropped", queue_bytes=5000, overflow="drop-groups", retries=1000)
        log_all(dropping, plain)
    restarted.start()
    with pytest.warns(RecorderWarning, match="Dropped"):
        dropping.finish()
    # Whole groups of pictures are left, and each of their frames is right.
    recording = read(restarted, "dropped")
    assert len(recording) == 100 - dropping.stats["dropped_frames"]
    assert 0 < len(recording) < 100
    assert len(recording) % 10 == 0
    kept = np.isin(plain.times_us, recording.timestamps_us)
    np.testing.assert_array_equal(recording[:], plain.pictures[kept])


def test_existing_records(server: Server, plain: Stream) -> None:
    server.record("existing", plain)
    with pytest.warns(RecorderWarning), pytest.raises(ServerError, match="skip_existing=True"):
        server.record("existing", plain)
    with Recorder(server.url, "b", "existing", skip_existing=True) as recorder:
        log_all(recorder, plain)
    assert recorder.stats["existing"] == 100
    assert recorder.stats["records"] == 0
    assert_recorded(read(server, "existing"), plain)


def test_a_stream_that_continues_an_entry(server: Server, plain: Stream) -> None:
    for part in [slice(0, 50), slice(50, None)]:
        with Recorder(server.url, "b", "continued", fps="20") as recorder:
            log_all(recorder, plain, part)
    assert_recorded(read(server, "continued"), plain)


def test_a_clock_that_jumps_back(server: Server, plain: Stream) -> None:
    """No frame is lost or stored before others that came earlier."""
    warned = pytest.warns(RecorderWarning, match="jumped back|is recorded at")
    with warned, Recorder(server.url, "b", "back", fps="20") as recorder:
        log_all(recorder, plain)
        for unit, time_us in zip(plain.units, plain.log_times()):
            recorder.log(unit, time_us - 60_000_000)
    recording = read(server, "back")
    assert len(recording) == 200
    np.testing.assert_array_equal(recording.timestamps_us[:100], plain.times_us)
    np.testing.assert_array_equal(recording[:], np.concatenate([plain.pictures, plain.pictures]))


@pytest.mark.parametrize(
    ("name", "moved", "text"),
    [
        ("duplicate", 1, "record times have to grow"),
        ("equal", 99, "record times have to grow"),
        ("swapped", 1, "record times have to grow"),
        ("reversed", 99, "record times have to grow"),
        ("outlier", 79, "jumped back"),
    ],
)
def test_no_time_is_changed_without_a_word(server: Server, plain: Stream, name: str, moved: int, text: str) -> None:
    times = plain.log_times()
    if name == "duplicate":
        times[7] = times[6]
    elif name == "equal":
        times = times[:1] * 100
    elif name == "swapped":
        times[7], times[8] = times[8], times[7]
    elif name == "reversed":
        times.reverse()
    else:
        times[20] += 3_600_000_000
    entry = f"moved-{name}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Recorder(server.url, "b", entry, fps="20") as recorder:
            for unit, time_us in zip(plain.units, times):
                recorder.log(unit, time_us)
    assert all(warning.category is RecorderWarning for warning in caught)
    assert any(text in str(warning.message) for warning in caught)
    # One of each kind.
    assert sum('"moved" in stats' in str(warning.message) for warning in caught) == 1
    recording = read(server, entry)
    assert (recording.timestamps_us != times).sum() == recorder.stats["moved"] == moved
    # A time ahead is a pause, from which the clock goes back.
    assert recorder.stats["clock_jumps"] == (name == "outlier")
    np.testing.assert_array_equal(recording[:], plain.pictures)


def test_times_that_grow_are_kept(server: Server, reordered: Stream) -> None:
    """Jitter, a pause and B-frames."""
    draw = random.Random(4)
    times = [START_US + number * 50_000 + draw.randint(-20_000, 20_000) for number in range(100)]
    times[60:] = [time_us + 3_000_000 for time_us in times[60:]]
    with Recorder(server.url, "b", "kept", fps="20") as recorder:
        for unit, pts in zip(reordered.units, reordered.pts):
            recorder.log(unit, times[pts])
    recording = read(server, "kept")
    assert recording.timestamps_us.tolist() == times
    stats = recorder.stats
    assert stats["moved"] == stats["outliers"] == stats["clock_jumps"] == 0


@pytest.mark.parametrize("jitter_us", [5_000, 10_000, 20_000])
def test_groups_of_pictures_with_jitter(server: Server, plain: Stream, jitter_us: int) -> None:
    """The tolerance of the docstring."""
    draw = random.Random(jitter_us)
    times = [START_US]
    while len(times) < 100:
        times.append(times[-1] + 50_000 + draw.randint(-jitter_us, jitter_us))
    entry = f"gop-jitter-{jitter_us}"
    with Recorder(server.url, "b", entry, fps="20", record_unit="gop") as recorder:
        for unit, time_us in zip(plain.units, times):
            recorder.log(unit, time_us)
    recording = reduct_frames.open(server.url, "b", entry, index="contents")
    assert np.abs(recording.timestamps_us - times).max() < plain.step_us
    np.testing.assert_array_equal(recording[:], plain.pictures)


def test_several_threads_use_a_recorder(restarted: Server, plain: Stream) -> None:
    """Nothing is lost or refused: logs and stats go on while another thread waits for room."""
    # A queue that is full most of the time.
    recorder = Recorder(restarted.url, "b", "threads", max_latency=0.0, fps="20", queue_bytes=5_000)
    turns = [threading.Semaphore(int(number == 0)) for number in range(101)]
    done, failures = threading.Event(), []

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)

    def log(first: int) -> None:
        for number in range(first, 100, 4):
            turns[number].acquire()
            try:
                recorder.log(plain.units[number], plain.log_times()[number])
            finally:
                turns[number + 1].release()

    def watch() -> None:
        while not done.is_set():
            assert recorder.stats["dropped_records"] == 0

    loggers = [threading.Thread(target=guarded, args=(lambda first=first: log(first),)) for first in range(4)]
    watching = threading.Thread(target=guarded, args=(watch,))
    for thread in [*loggers, watching]:
        thread.start()
    for thread in loggers:
        thread.join()
    finishers = [threading.Thread(target=guarded, args=(recorder.finish,)) for _ in range(3)]
    for thread in finishers:
        thread.start()
    for thread in finishers:
        thread.join()
    done.set()
    watching.join()
    assert failures == []
    assert recorder.stats["frames"] == 100
    assert_recorded(read(restarted, "threads"), plain)


@pytest.mark.filterwarnings("ignore::reduct_frames.RecorderWarning")
def test_a_log_during_a_wait_for_the_end(restarted: Server, plain: Stream) -> None:
    """What was logged before the end is written, and the rest refused, at one point of the stream."""
    recorder = Recorder(restarted.url, "b", "during", max_latency=0.0, fps="20", retries=1000)
    restarted.stop()
    with silence(restarted):
        log_all(recorder, plain, slice(0, 50))
        waiting = threading.Thread(target=recorder.finish)
        waiting.start()
        with pytest.raises(RuntimeError, match="finished"):
            for unit, time_us in zip(plain.units[50:] * 1000, range(plain.log_times()[50], 2**62, plain.step_us)):
                recorder.log(unit, time_us)
        assert recorder.stats["records"] == 0
    restarted.start()
    waiting.join()
    stats = recorder.stats
    assert stats["records"] == stats["logged"] >= 50
    np.testing.assert_array_equal(read(restarted, "during")[:50], plain.pictures[:50])


def test_what_is_no_stream_is_reported(server: Server, plain: Stream) -> None:
    length_prefixed = [len(unit[4:]).to_bytes(4, "big") + unit[4:] for unit in plain.units[1:4]]
    for entry, samples, text in [
        ("garbage", [b"no video"] * 3, "does not begin with a start code"),
        ("length-prefixed", length_prefixed, "length-prefixed"),
        ("no-sets", plain.units[1:4], "slices before any SPS"),
    ]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with Recorder(server.url, "b", entry) as recorder:
                for number, sample in enumerate(samples):
                    recorder.log(sample, START_US + number * 50_000)
        assert any(text in str(warning.message) for warning in caught), entry
        assert all(warning.category is RecorderWarning for warning in caught)


def test_wrong_arguments(server: Server, plain: Stream) -> None:
    for wrong, text in [
        ({"record_unit": "frame"}, "access-unit or gop"),
        ({"overflow": "wait"}, "block, drop-groups or raise"),
        ({"fps": "fast"}, "no frame rate"),
        ({"labels": {"a name": "x"}}, "label"),
        ({"max_latency": -1.0}, "max_latency"),
        ({"timeout": float("nan")}, "timeout"),
        ({"retries": -1}, "retries is -1"),
        ({"retries": 2**32}, "retries is"),
        ({"queue_bytes": -1}, "queue_bytes is -1"),
        ({"quota_size": -1}, "quota_size is -1"),
        ({"labels": {"keyframe": "x"}}, "'keyframe' is set by the recorder"),
        ({"labels": {"fps": "9"}}, "'fps' is set by the recorder"),
        ({"ca_cert": "/nope"}, "CA certificate '/nope'"),
        ({"ca_cert": __file__}, "no certificate"),
        ({"token": "a\nb"}, "token"),
    ]:
        with pytest.raises(ValueError, match=text):
            Recorder(server.url, "b", "wrong", **wrong)  # type: ignore[arg-type]
    recorder = Recorder(server.url, "b", "wrong")
    for wrong_time, error in [
        (0.5, TypeError),
        (True, TypeError),
        ("noon", ValueError),
        (-1, ValueError),
        (10**30, ValueError),
    ]:
        with pytest.raises(error):
            recorder.log(plain.units[0], wrong_time)
    for sample in [5, 0, None, "x", [1, 2], 1.5]:
        with pytest.raises(TypeError, match="bytes-like"):
            recorder.log(sample, START_US)  # type: ignore[arg-type]
    recorder.finish()
    assert recorder.stats["records"] == 0


def test_samples_of_all_types(server: Server, plain: Stream) -> None:
    make = [bytes, bytearray, memoryview, av.Packet, lambda unit: np.frombuffer(unit, np.uint8)]
    with Recorder(server.url, "b", "types", fps="20") as recorder:
        for number, (unit, time_us) in enumerate(zip(plain.units, plain.log_times())):
            recorder.log(make[number % len(make)](unit), time_us)  # type: ignore[operator]
    assert_recorded(read(server, "types"), plain)


def test_nobody_answers(plain: Stream) -> None:
    recorder = Recorder("http://127.0.0.1:1", "b", "unreachable", retries=0)
    recorder.log(plain.units[0], START_US)
    with pytest.warns(RecorderWarning), pytest.raises(ServerError, match="1 records are lost"):
        recorder.finish()
    with pytest.raises(ServerError):
        recorder.finish()
    unfinished = Recorder("http://127.0.0.1:1", "b", "unreachable", retries=0)
    with pytest.warns(RecorderWarning), pytest.raises(ServerError):
        for time_us in itertools.count(START_US, 50_000):
            unfinished.log(plain.units[0], time_us)


@pytest.mark.parametrize("record_unit", ["access-unit", "gop"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_block_loses_no_frame(
    server: Server, plain: Stream, error: type[BaseException], record_unit: str
) -> None:
    entry = f"{error.__name__}-{record_unit}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error), Recorder(server.url, "b", entry, record_unit=record_unit, fps="20") as recorder:  # type: ignore[arg-type]
            log_all(recorder, plain, slice(0, 75))
            raise error
    assert recorder.stats["frames"] == 75
    np.testing.assert_array_equal(read(server, entry)[:], plain.pictures[:75])


@pytest.mark.parametrize("record_unit", ["access-unit", "gop"])
def test_frames_that_an_error_in_the_block_loses(
    restarted: Server, plain: Stream, monkeypatch: pytest.MonkeyPatch, record_unit: str
) -> None:
    monkeypatch.setattr("reduct_frames.recorder._EXIT_SECONDS", 0.5)
    restarted.stop()
    with silence(restarted):
        lost = pytest.warns(RecorderWarning, match=r"^75 frames were logged and are not stored: \d+ records")
        recorder = Recorder(restarted.url, "b", "lost", record_unit=record_unit, fps="20", retries=1000)  # type: ignore[arg-type]
        begin = time.monotonic()
        with lost, pytest.raises(ZeroDivisionError), recorder:
            log_all(recorder, plain, slice(0, 75))
            raise ZeroDivisionError
        assert time.monotonic() - begin < SECONDS
        # The server is away for good.
        lost = pytest.warns(RecorderWarning, match="^1 frames were logged and are not stored: .*1 records are lost")
        with lost, pytest.raises(ZeroDivisionError), Recorder("http://127.0.0.1:1", "b", "lost", retries=0) as recorder:
            recorder.log(plain.units[0], START_US)
            raise ZeroDivisionError
    restarted.start()


def test_frames_that_an_error_leaves_in_the_spool(
    restarted: Server, plain: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reduct_frames.recorder._EXIT_SECONDS", 0.5)
    restarted.stop()
    with silence(restarted):
        recorder = Recorder(restarted.url, "b", "left", spool=tmp_path / "spool", fps="20", retries=1000)
        left = pytest.warns(
            RecorderWarning, match="75 records were logged and are not stored: .*this spool writes them"
        )
        with left, pytest.raises(KeyboardInterrupt), recorder:
            log_all(recorder, plain, slice(0, 75))
            raise KeyboardInterrupt
    del recorder
    restarted.start()
    with (
        pytest.warns(RecorderWarning, match="75 records that were not written are found"),
        Recorder(restarted.url, "b", "left", spool=tmp_path / "spool", fps="20") as second,
    ):
        log_all(second, plain, slice(75, None))
    assert_recorded(read(restarted, "left"), plain)


def test_another_interrupt_ends_the_wait(restarted: Server, plain: Stream) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("another")

    restarted.stop()
    handler = signal.signal(signal.SIGALRM, interrupt)
    recorder = Recorder(restarted.url, "b", "interrupted", fps="20", retries=1000)
    lost = pytest.warns(RecorderWarning, match="^50 frames were logged and are not stored: .*interrupted")
    try:
        with silence(restarted), lost, pytest.raises(KeyboardInterrupt, match="another"), recorder:
            log_all(recorder, plain, slice(0, 50))
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            raise KeyboardInterrupt("first")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    restarted.start()


@pytest.mark.parametrize("call", ["log", "finish", "block", "error"])
def test_a_forked_process_does_not_use_the_recorder(server: Server, plain: Stream, call: str) -> None:
    def use() -> None:
        if call == "log":
            recorder.log(plain.units[50], plain.log_times()[50])
        elif call == "finish":
            recorder.finish()
        else:
            with recorder:
                if call == "error":
                    raise ZeroDivisionError

    recorder = Recorder(server.url, "b", f"forked-{call}", fps="20")
    log_all(recorder, plain, slice(0, 50))
    error = ZeroDivisionError if call == "error" else RuntimeError
    assert run_in_fork(use) == error.__name__
    log_all(recorder, plain, slice(50, None))
    recorder.finish()
    assert_recorded(read(server, f"forked-{call}"), plain)
