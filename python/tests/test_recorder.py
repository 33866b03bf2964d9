# SPDX-License-Identifier: MPL-2.0
"""Recording of encoded frames: live, in batches, with retries and a spool, in order; errors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Server
from streams import SIZE, START_US, Stream, decode_all

import reduct_frames
from reduct_frames import Recorder, RecorderWarning, Recording, ReductFramesError, ServerError


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


def test_finish_can_be_followed_by_more(server: Server, plain: Stream) -> None:
    recorder = Recorder(server.url, "b", "parts", max_latency=0.0, fps="20")
    for first in range(0, 100, 25):
        log_all(recorder, plain, slice(first, first + 25))
        recorder.finish()
        assert len(read(server, "parts")) == first + 25
    assert recorder.stats["batches"] >= 4
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
        recorder.finish()
        restarted.stop()
        log_all(recorder, reordered, slice(40, 80))
        with pytest.raises(TimeoutError, match="records are not written yet"):
            recorder.finish(timeout=0.5)
        restarted.start()
        log_all(recorder, reordered, slice(80, None))
    assert_recorded(read(restarted, "restart"), reordered)


def test_a_spool_keeps_records_of_an_earlier_recorder(restarted: Server, reordered: Stream, tmp_path: Path) -> None:
    options = {"spool": tmp_path / "spool"}
    restarted.stop()
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
    with pytest.warns(RecorderWarning, match="jumped back"), Recorder(server.url, "b", "back", fps="20") as recorder:
        log_all(recorder, plain)
        for unit, time_us in zip(plain.units, plain.log_times()):
            recorder.log(unit, time_us - 60_000_000)
    recording = read(server, "back")
    assert len(recording) == 200
    np.testing.assert_array_equal(recording.timestamps_us[:100], plain.times_us)
    np.testing.assert_array_equal(recording[:], np.concatenate([plain.pictures, plain.pictures]))


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
    ]:
        with pytest.raises(ValueError, match=text):
            Recorder(server.url, "b", "wrong", **wrong)  # type: ignore[arg-type]
    recorder = Recorder(server.url, "b", "wrong")
    for time, error in [(0.5, TypeError), (True, TypeError), ("noon", ValueError), (-1, ValueError)]:
        with pytest.raises(error):
            recorder.log(plain.units[0], time)
    recorder.finish()
    assert recorder.stats["records"] == 0


def test_nobody_answers(plain: Stream) -> None:
    recorder = Recorder("http://127.0.0.1:1", "b", "unreachable", retries=0)
    recorder.log(plain.units[0], START_US)
    with pytest.warns(RecorderWarning), pytest.raises(ServerError, match="1 records are lost"):
        recorder.finish()
    with pytest.raises(ServerError):
        log_all(recorder, plain)
        recorder.finish()


def test_an_error_in_the_block_is_not_hidden(server: Server, plain: Stream) -> None:
    with pytest.raises(ZeroDivisionError), Recorder(server.url, "b", "error") as recorder:
        recorder.log(plain.units[0], START_US)
        raise ZeroDivisionError
