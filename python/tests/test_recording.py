# SPDX-License-Identifier: MPL-2.0
"""Recordings against what PyAV decodes from their sources."""

from __future__ import annotations

import pickle
import threading
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from conftest import Server
from streams import SIZE, START_US, Stream
from zoo import ENCODED, encode_sample, lay_out, write_records

import reduct_frames
from reduct_frames import DecodeError, MissingFrame, NotFoundError, Recorder, Recording, ServerError

HEIGHT, WIDTH = SIZE


@pytest.fixture(scope="module", params=["plain", "reordered"])
def stream(request: pytest.FixtureRequest) -> Stream:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=["access-unit", "gop"])
def recording(request: pytest.FixtureRequest, server: Server, stream: Stream) -> Recording:
    entry = f"{request.param}-{max(stream.pts) == stream.pts[-1]}"
    server.record(entry, stream, request.param)
    return reduct_frames.open(server.url, "b", entry)


def test_metadata(recording: Recording, stream: Stream) -> None:
    assert len(recording) == len(stream.units)
    assert recording.timestamps_us.dtype == np.int64
    np.testing.assert_array_equal(recording.timestamps_us, stream.times_us)
    assert recording.timestamps.dtype == np.float64
    np.testing.assert_allclose(recording.timestamps, np.arange(100) / 20, atol=1e-9)
    assert recording.fps == 20
    assert (recording.height, recording.width, recording.codec) == (HEIGHT, WIDTH, "h264")
    assert recording.gaps == []
    keyframes = sorted(pts for pts, keyframe in zip(stream.pts, stream.keyframes) if keyframe)
    assert recording.keyframes.tolist() == keyframes


def test_all_frames(recording: Recording, stream: Stream) -> None:
    frames = list(recording.iter_frames())
    np.testing.assert_array_equal(np.stack(frames), stream.pictures)
    np.testing.assert_array_equal(recording[:], stream.pictures)
    clip = recording.slice()
    np.testing.assert_array_equal(clip.frames, stream.pictures)
    np.testing.assert_array_equal(clip.capture_us, stream.times_us)
    assert clip.missing == ()


def test_random_access(recording: Recording, stream: Stream) -> None:
    random = np.random.default_rng(1)
    for indices in np.split(random.integers(0, 100, 200), 20):
        np.testing.assert_array_equal(recording.frames(indices), stream.pictures[indices])
        times = stream.times_us[indices] + random.integers(0, stream.step_us, len(indices))
        np.testing.assert_array_equal(recording.frames_at(times), stream.pictures[indices])
    np.testing.assert_array_equal(recording[-1], stream.pictures[-1])
    np.testing.assert_array_equal(recording[97:2:-7], stream.pictures[97:2:-7])
    np.testing.assert_array_equal(recording[[5, 5, -1]], stream.pictures[[5, 5, -1]])


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_workers(server: Server, reordered: Stream, workers: int) -> None:
    lost = Stream(
        reordered.units[:50] + reordered.units[51:], reordered.pts[:50] + reordered.pts[51:], *_rest(reordered)
    )
    server.record(f"workers-{workers}", lost)
    recording = reduct_frames.open(server.url, "b", f"workers-{workers}", workers=workers)
    threads = threading.active_count()
    clip = recording.slice(on_error="report")
    assert 0 < len(clip.missing) < 20
    found = np.searchsorted(reordered.times_us, clip.capture_us)
    np.testing.assert_array_equal(clip.frames, reordered.pictures[found])
    everything = sorted([*clip.capture_us.tolist(), *(frame.capture_us for frame in clip.missing)])
    assert everything == recording.timestamps_us.tolist()
    assert list(clip.missing) == sorted(clip.missing, key=lambda frame: frame.index)
    with pytest.raises(DecodeError) as error:
        recording[:]
    assert list(error.value.missing) == [clip.missing[0]]
    assert threading.active_count() == threads


def test_wrong_workers(server: Server) -> None:
    for workers, expected in [(0, ValueError), (1.5, TypeError), (True, TypeError)]:
        with pytest.raises(expected, match="workers"):
            reduct_frames.open(server.url, "b", "none", workers=workers)  # type: ignore[arg-type]


def test_half_open_ends(recording: Recording, stream: Stream) -> None:
    first, last = int(stream.times_us[13]), int(stream.times_us[47])
    for start, stop, expected in [
        (first, last, range(13, 47)),
        (first + 1, last, range(14, 47)),
        (first, last + 1, range(13, 48)),
        (first, first, range(0)),
        (last, first, range(0)),
        (None, first, range(13)),
        (last, None, range(47, 100)),
    ]:
        part = recording.lazy_slice(start, stop)
        np.testing.assert_array_equal(part.timestamps_us, stream.times_us[list(expected)])
        np.testing.assert_array_equal(part[:], stream.pictures[list(expected)])
        np.testing.assert_array_equal(recording.slice(start, stop).frames, stream.pictures[list(expected)])


def test_origin(recording: Recording, stream: Stream) -> None:
    part = recording.lazy_slice(1.0, 2.0)
    np.testing.assert_array_equal(part.timestamps_us, stream.times_us[20:40])
    assert part.timestamps[0] == pytest.approx(1.0)
    inner = part.lazy_slice(1.5, 1.75)
    np.testing.assert_array_equal(inner.timestamps_us, stream.times_us[30:35])
    assert part.slice(1.5, 1.75).timestamps[0] == 0
    assert part.slice(1.5, 1.75, reset_origin=False).timestamps[0] == pytest.approx(1.5)


def test_time_types(recording: Recording, stream: Stream) -> None:
    time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=START_US + 500_000)
    for same in [
        START_US + 500_000,
        np.int64(START_US + 500_000),
        0.5,
        time,
        time.isoformat(),
        np.datetime64(START_US + 500_000, "us"),
    ]:
        np.testing.assert_array_equal(recording.frames_at([same])[0], stream.pictures[10])
    for wrong, error in [
        (True, TypeError),
        (None, TypeError),
        ("noon", ValueError),
        (float("nan"), ValueError),
        (datetime(2025, 1, 1), ValueError),
        (np.datetime64("NaT"), ValueError),
    ]:
        with pytest.raises(error):
            recording.frames_at([wrong])  # type: ignore[list-item]


def test_forms(recording: Recording, stream: Stream) -> None:
    assert recording.frames([3], layout="NCHW").shape == (1, 3, HEIGHT, WIDTH)
    np.testing.assert_array_equal(recording.frames([3], layout="NCHW")[0], stream.pictures[3].transpose(2, 0, 1))
    gray = recording.frames([3], colorspace="G")
    assert gray.shape == (1, HEIGHT, WIDTH, 1)
    assert recording.frames([3], colorspace="G", layout="NCHW", resize=(10, 20)).shape == (1, 1, 10, 20)
    assert recording.slice(0.0, 0.5, resize=(10, 20)).frames.shape == (10, 10, 20, 3)
    assert next(recording.iter_frames(resize=(10, 20), layout="NCHW")).shape == (3, 10, 20)
    for wrong in [{"colorspace": "BGR"}, {"layout": "HWC"}, {"resize": (0, 3)}, {"resize": (3,)}]:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            recording.frames([3], **wrong)  # type: ignore[arg-type]


def test_empty_ranges(recording: Recording) -> None:
    empty = recording.lazy_slice(3.0, 3.0)
    assert len(empty) == 0
    assert empty[:].shape == (0, HEIGHT, WIDTH, 3)
    assert empty.frames([], layout="NCHW").shape == (0, 3, HEIGHT, WIDTH)
    assert list(empty.iter_frames()) == []
    assert list(empty.access_units()) == []
    assert empty.keyframes.tolist() == []
    assert empty.gaps == []
    assert len(empty.slice()) == 0
    assert len(empty.lazy_slice(0.0, 9.0)) == 0
    with pytest.raises(IndexError):
        empty[0]


def test_wrong_indices_and_times(recording: Recording) -> None:
    for index in [100, -101]:
        with pytest.raises(IndexError, match=str(index)):
            recording[index]
    with pytest.raises(LookupError, match="captured later"):
        recording.frames_at([-0.01])
    with pytest.raises(LookupError, match="last one before"):
        recording.frames_at([5.2])
    assert recording.frames_at([5.2], tolerance=1.0).shape == (1, HEIGHT, WIDTH, 3)


def test_access_units(recording: Recording, stream: Stream) -> None:
    units = list(recording.access_units())
    assert [unit.data for unit in units] == stream.units
    assert [unit.capture_us for unit in units] == stream.log_times()
    assert [unit.is_keyframe for unit in units] == stream.keyframes
    assert all(unit.dts <= unit.pts for unit in units)
    assert all(a.dts < b.dts for a, b in zip(units, units[1:]))
    step = 1_000_000_000 // 20
    assert [unit.pts for unit in units] == [pts * step for pts in stream.pts]


def test_access_units_of_windows(server: Server, recording: Recording, stream: Stream) -> None:
    """Timestamps count from the first frame, whatever is read before it, with and without an index."""
    step = 1_000_000_000 // 20
    for first in (0, 5, 13, 20, 37):
        begin_us = int(stream.times_us[first])
        opened = reduct_frames.open(server.url, "b", recording._reader.source.entry, begin_us)
        for part in (recording.lazy_slice(begin_us), opened):
            units = list(part.access_units())
            expected = [pts - first for pts in stream.pts if pts >= first]
            assert [unit.pts for unit in units] == [pts * step for pts in expected]
            assert all(unit.dts <= unit.pts for unit in units)
            assert all(before.dts < after.dts for before, after in zip(units, units[1:]))


def test_opened_range(recording: Recording, stream: Stream) -> None:
    source = recording._reader.source
    times = stream.times_us
    part = reduct_frames.open(source.url, "b", source.entry, int(times[15]), int(times[55]))
    np.testing.assert_array_equal(part.timestamps_us, times[15:55])
    np.testing.assert_array_equal(part[:], stream.pictures[15:55])
    assert part.origin_us == times[15]
    for index in ("auto", "contents"):
        empty = reduct_frames.open(source.url, "b", source.entry, int(times[15]), int(times[15]), index=index)  # type: ignore[arg-type]
        assert (len(empty), empty[:].shape, list(empty.access_units())) == (0, (0, 0, 0, 3), [])
    uri = f"reduct://127.0.0.1:{source.url.rsplit(':', 1)[1]}/b/{source.entry}?start={times[15]}&stop={times[55]}"
    np.testing.assert_array_equal(reduct_frames.open(uri).timestamps_us, times[15:55])


def test_masks(recording: Recording, stream: Stream) -> None:
    mask = np.arange(100) % 9 == 4
    np.testing.assert_array_equal(recording[mask], stream.pictures[mask])
    np.testing.assert_array_equal(recording[mask.tolist()], stream.pictures[mask])
    np.testing.assert_array_equal(recording.frames(value for value in mask), stream.pictures[mask])
    np.testing.assert_array_equal(recording.lazy_slice(1.0, 2.0)[mask[20:40]], stream.pictures[20:40][mask[20:40]])
    assert recording[np.zeros(100, np.bool_)].shape == (0, HEIGHT, WIDTH, 3)
    for wrong in ([True, False, True], mask[:99], [False]):
        with pytest.raises(IndexError, match="mask"):
            recording[wrong]
    for wrong in ([True, 5], [[3]], [1.5], ["3"]):  # type: ignore[assignment]
        with pytest.raises(TypeError):
            recording[wrong]
    for wrong in (True, np.True_, 2.0):  # type: ignore[assignment]
        with pytest.raises(TypeError):
            recording[wrong]


def test_types_of_indices(recording: Recording, stream: Stream) -> None:
    for one in (3, np.int64(3), np.uint8(3), np.array(3)):
        np.testing.assert_array_equal(recording[one], stream.pictures[3])
    for two in ([3, 5], (3, 5), np.array([3, 5], np.uint8), range(3, 6, 2), [np.int32(3), 5]):
        np.testing.assert_array_equal(recording[two], stream.pictures[[3, 5]])
    np.testing.assert_array_equal(list(recording), stream.pictures)
    np.testing.assert_array_equal(list(recording.lazy_slice(1.0, 1.5)), stream.pictures[20:30])


def test_pickle(recording: Recording, stream: Stream) -> None:
    for part, expected in [(recording, stream.pictures), (recording.lazy_slice(1.0, 2.0), stream.pictures[20:40])]:
        copy = pickle.loads(pickle.dumps(part))
        np.testing.assert_array_equal(copy.timestamps_us, part.timestamps_us)
        np.testing.assert_array_equal(copy[:], expected)


def test_a_lost_frame_is_reported(server: Server, plain: Stream) -> None:
    lost = Stream(plain.units[:34] + plain.units[35:], plain.pts[:34] + plain.pts[35:], *_rest(plain))
    server.record("lost", lost)
    recording = reduct_frames.open(server.url, "b", "lost")
    assert len(recording) == 99
    with pytest.raises(DecodeError) as error:
        recording[:]
    assert [frame.index for frame in error.value.missing] == [34]
    clip = recording.slice(on_error="report")
    assert [frame.index for frame in clip.missing] == list(range(34, 39))
    assert all(isinstance(frame, MissingFrame) and frame.reason for frame in clip.missing)
    right = [index for index in range(100) if not 34 <= index < 40]
    np.testing.assert_array_equal(clip.frames, plain.pictures[right])
    np.testing.assert_array_equal(clip.capture_us, plain.times_us[right])
    missing: list[MissingFrame] = []
    assert len(list(recording.iter_frames(on_error="report", missing=missing))) == 94
    assert missing == list(clip.missing)


@pytest.mark.parametrize("index", ["auto", "contents"])
@pytest.mark.parametrize("record_unit", ["access-unit", "gop"])
def test_a_recording_keeps_its_frames_while_the_entry_grows(
    server: Server, plain: Stream, index: str, record_unit: str
) -> None:
    """Before its index is loaded, the range is open."""
    entry = f"grows-{index}-{record_unit}"

    def log(first: int, last: int) -> None:
        with Recorder(server.url, "b", entry, record_unit=record_unit, fps="20") as recorder:  # type: ignore[arg-type]
            for unit, time_us in list(zip(plain.units, plain.log_times()))[first:last]:
                recorder.log(unit, time_us)

    log(0, 40)
    early, late = (reduct_frames.open(server.url, "b", entry, index=index) for _ in range(2))  # type: ignore[arg-type]
    assert len(early) == 40
    log(40, 100)
    assert [unit.data for unit in early.access_units()] == plain.units[:40]
    assert [unit.data for unit in pickle.loads(pickle.dumps(early)).access_units()] == plain.units[:40]
    np.testing.assert_array_equal(list(early), plain.pictures[:40])
    np.testing.assert_array_equal(early[39:], plain.pictures[39:40])
    assert [unit.data for unit in late.access_units()] == plain.units
    assert not late._reader.has_index
    assert len(late) == 100


def test_the_size_is_that_of_the_first_frame(server: Server) -> None:
    sample = encode_sample(ENCODED["several-sizes"])
    sizes = [picture.shape[:2] for picture in sample.pictures]
    second = next(index for index, size in enumerate(sizes) if size != sizes[0])
    write_records(server.url, "sizes-of-parts", lay_out(sample, "access-unit"), {"fps": "20"})
    recording = reduct_frames.open(server.url, "b", "sizes-of-parts")
    begin = int(sample.times_us[second])
    for part, size in [
        (recording, sizes[0]),
        (recording.lazy_slice(begin), sizes[second]),
        (recording.lazy_slice(None, begin), sizes[0]),
        (recording.lazy_slice(begin, begin), sizes[second]),
        (recording.lazy_slice(int(sample.times_us[-1]) + 1), sizes[-1]),
    ]:
        assert (part.height, part.width) == size
        assert part[:0].shape == (0, *size, 3)
    assert recording.slice(begin + 1, begin + 1).frames.shape == (0, *sizes[second], 3)


def _rest(stream: Stream) -> tuple[object, ...]:
    return stream.fps, stream.pictures, stream.keyframes


def test_wrong_addresses(server: Server) -> None:
    with pytest.raises(NotFoundError):
        reduct_frames.open(server.url, "b", "no-such-entry")
    with pytest.raises(NotFoundError):
        reduct_frames.open(server.url, "no-such-bucket", "entry")
    with pytest.raises(ServerError):
        reduct_frames.open("http://127.0.0.1:1", "b", "cam")
    for url, bucket, entry in [
        ("nonsense", "b", "cam"),
        (server.url, "b/c", "cam"),
        (server.url, None, None),
        ("reduct://127.0.0.1/b", None, None),
        ("reduct://127.0.0.1/b/cam?color=red", None, None),
        ("http://secret@127.0.0.1", "b", "cam"),
    ]:
        with pytest.raises(ValueError) as error:
            reduct_frames.open(url, bucket, entry)
        assert "secret" not in str(error.value)
