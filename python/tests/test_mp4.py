# SPDX-License-Identifier: MPL-2.0
"""MP4 files and entries of them against what PyAV decodes from the files."""

from __future__ import annotations

import errno
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Server
from episodes import Episode, export, mux, reference, set_edits, upload
from streams import SIZE, START_US, Stream, encode
from zoo import Recipe, encode_sample

import reduct_frames
from reduct_frames import DecodeError, IndexMismatchError, LazyVideo, Recording, RecordingWarning, StreamError, index
from reduct_frames.decoding import PictureFormat
from reduct_frames.picture_files import PictureEncoder

HEIGHT, WIDTH = SIZE
TICKS = 15_360
STEP = TICKS // 20
"""Ticks of a frame of the files of FFmpeg's muxer."""


@pytest.fixture(scope="module", params=["plain", "reordered"])
def stream(request: pytest.FixtureRequest) -> Stream:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=["plain", "faststart", "fragmented"])
def episodes(request: pytest.FixtureRequest, server: Server, stream: Stream) -> list[Episode]:
    entry = f"source-{max(stream.pts) == stream.pts[-1]}"
    if request.param == "plain":
        server.record(entry, stream)
    layout = {} if request.param == "plain" else {request.param: True}
    episodes = export(server, entry, duration="2s", **layout)
    assert [episode.labels["frames"] for episode in episodes] == ["40", "40", "20"]
    return episodes


@pytest.fixture
def files(episodes: list[Episode], tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{episode.time_us}.mp4" for episode in episodes]
    for file, episode in zip(files, episodes):
        file.write_bytes(episode.content)
    return files


@pytest.fixture
def video(files: list[Path], episodes: list[Episode]) -> LazyVideo:
    for file, episode in zip(files, episodes):
        reduct_frames.write_index(file, start=episode.time_us)
    return LazyVideo.from_uri(files)


@pytest.fixture(scope="module")
def recording(server: Server, episodes: list[Episode], request: pytest.FixtureRequest) -> Recording:
    entry = "episodes-" + "-".join(char for char in request.node.name if char.isalnum()) + str(len(episodes[0].content))
    for episode in episodes:
        upload(server, entry, episode.content, episode.time_us)
    return reduct_frames.open(server.url, "b", entry)


def test_rows_are_those_of_pyav(files: list[Path], episodes: list[Episode]) -> None:
    for file, episode in zip(files, episodes):
        expected = reference(file)
        video = LazyVideo.from_headers(file, start=episode.time_us)
        table = index(video)
        assert table["pts"].to_pylist() == expected.pts
        # Samples last until the next one in decoding order, and frames until the next one that is shown.
        assert set(table["duration"].to_pylist()) == {expected.time_base.denominator // 20}
        assert table.schema.metadata[b"time_base"].decode() == str(expected.time_base)
        for row in table.to_pylist():
            assert (row["offset"], row["size"], row["keyframe"]) == expected.packets[row["pts"]][:3]
            assert row["capture_us"] == episode.time_us + row["pts"] * 1_000_000 // expected.time_base.denominator
        np.testing.assert_array_equal(video[:].transpose(0, 2, 3, 1), expected.pictures)


def test_all_frames_of_an_entry(recording: Recording, stream: Stream) -> None:
    np.testing.assert_array_equal(recording.timestamps_us, stream.times_us)
    np.testing.assert_array_equal(recording[:], stream.pictures)
    assert (recording.fps, recording.codec, recording.gaps) == (20, "h264", [])
    assert (recording.height, recording.width) == (HEIGHT, WIDTH)
    keyframes = sorted(pts for pts, keyframe in zip(stream.pts, stream.keyframes) if keyframe)
    assert recording.keyframes.tolist() == keyframes
    np.testing.assert_array_equal(np.stack(list(recording.iter_frames())), stream.pictures)


def test_random_access_to_an_entry(recording: Recording, stream: Stream) -> None:
    random = np.random.default_rng(2)
    for indices in np.split(random.integers(0, 100, 100), 10):
        np.testing.assert_array_equal(recording.frames(indices), stream.pictures[indices])
        times = stream.times_us[indices] + random.integers(0, stream.step_us, len(indices))
        np.testing.assert_array_equal(recording.frames_at(times), stream.pictures[indices])


@pytest.mark.parametrize(("first", "last"), [(0, 13), (13, 47), (39, 41), (40, 80), (45, 100), (50, 50)])
def test_half_open_ranges_of_an_entry(recording: Recording, stream: Stream, first: int, last: int) -> None:
    source = recording._reader.source.entry  # type: ignore[attr-defined]
    times = [*stream.times_us.tolist(), int(stream.times_us[-1]) + stream.step_us]
    for begin, end, frames in [
        (times[first], times[last], range(first, last)),
        (times[first] - 1, times[last] - 1, range(first, last)),
        (times[first] + 1, times[last], range(first + 1, last)),
    ]:
        opened = reduct_frames.open(source.url, "b", source.entry, begin, end)
        np.testing.assert_array_equal(opened.timestamps_us, stream.times_us[list(frames)])
        np.testing.assert_array_equal(list(opened.iter_frames()), list(stream.pictures[list(frames)]))
        np.testing.assert_array_equal(recording.slice(begin, end).frames, stream.pictures[list(frames)])


def test_access_units(recording: Recording, video: LazyVideo, stream: Stream) -> None:
    for source in (recording, video):
        units = list(source.access_units())
        assert [unit.capture_us for unit in units] == stream.log_times()
        assert [unit.is_keyframe for unit in units] == stream.keyframes
        for unit, expected in zip(units, stream.units):
            assert _slices(unit.data) == _slices(expected)
        part = list(source.lazy_slice(0.5, 2.5).access_units())
        assert sorted(unit.capture_us for unit in part) == stream.times_us[10:50].tolist()


def test_timestamps_of_access_units(server: Server, recording: Recording, video: LazyVideo, stream: Stream) -> None:
    """Files and entries of them have the timestamps of the entry of access units, also in windows and over files."""
    entry = reduct_frames.open(server.url, "b", f"source-{max(stream.pts) == stream.pts[-1]}")
    for window in [(None, None), (0.5, 2.5), (1.95, None), (2.0, 4.05), (4.9, None)]:
        expected = list(entry.lazy_slice(*window).access_units())
        assert min(unit.pts for unit in expected) == 0
        for source in (recording, video):
            units = list(source.lazy_slice(*window).access_units())
            if window == (None, None):
                units = list(source.access_units())
            assert [unit.pts for unit in units] == [unit.pts for unit in expected]
            assert all(unit.dts <= unit.pts for unit in units)
            assert all(before.dts < after.dts for before, after in zip(units, units[1:]))
            if window in ((None, None), (0.5, 2.5)):
                assert [unit.dts for unit in units] == [unit.dts for unit in expected]
    first = entry.access_units()
    assert next(first).dts == 0


def test_timestamps_of_files_without_an_index(stream: Stream, tmp_path: Path) -> None:
    paths = [mux(tmp_path / name, stream) for name in ("a.mp4", "b.mp4")]
    units = list(LazyVideo.from_uri(paths).access_units())
    step = 50_000_000
    assert [unit.pts for unit in units] == [pts * step + 5_000_000_000 * part for part in (0, 1) for pts in stream.pts]
    assert all(unit.dts <= unit.pts for unit in units)
    assert all(before.dts < after.dts for before, after in zip(units, units[1:]))
    window = list(LazyVideo.from_uri(paths).lazy_slice(4.55).access_units())
    assert min(unit.pts for unit in window) == 0


@pytest.mark.parametrize("open_gop", [False, True])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_timestamps_beside_hidden_frames(tmp_path: Path, open_gop: bool, b_frames: int) -> None:
    """The files hide frames at the begin, in the middle and at the end."""
    stream = encode(60, 20, 20, b_frames, open_gop=open_gop)
    paths = [mux(tmp_path / f"{number}.mp4", stream) for number in range(3)]
    for path, edits in zip(paths[1:], [[(2000, 9 * STEP)], [(500, 3 * STEP), (500, 30 * STEP)]]):
        path.write_bytes(set_edits(path.read_bytes(), edits))
    video = LazyVideo.from_uri(paths)
    assert len(video) == 60 + 40 + 20
    for window in [(None, None), (0.35, None), (2.95, 3.6), (1.05, 1.2), (4.9, None)]:
        part = video.lazy_slice(*window)
        units = list(part.access_units())
        assert sorted(unit.pts for unit in units) == ((part.timestamps_us - part.timestamps_us[0]) * 1000).tolist()
        assert all(unit.dts <= unit.pts for unit in units)
        assert all(before.dts < after.dts for before, after in zip(units, units[1:]))


def _slices(unit: bytes) -> list[bytes]:
    nals = unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [nal for nal in nals if nal and nal[0] & 31 in (1, 5)]


def test_pickled_entry(recording: Recording, stream: Stream) -> None:
    recording[0]
    copy = pickle.loads(pickle.dumps(recording.lazy_slice(1.0, 2.5)))
    assert b"ftyp" not in pickle.dumps(recording)
    np.testing.assert_array_equal(copy[:], stream.pictures[20:50])


def test_export(recording: Recording, video: LazyVideo, stream: Stream, tmp_path: Path) -> None:
    for name, source in (("entry", recording), ("files", video)):
        written = reduct_frames.to_dir(source, tmp_path / name, every=7, workers=4)
        assert written.missing == []
        pictures = np.stack([reference(Path(path)).pictures[0] for path in written])
        np.testing.assert_array_equal(pictures, stream.pictures[::7])


@pytest.mark.usefixtures("video")
def test_open_reads_no_file(files: list[Path], stream: Stream) -> None:
    contents = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    opened = LazyVideo.from_uri(files)
    np.testing.assert_array_equal(opened.timestamps_us, stream.times_us)
    part = opened.lazy_slice(1.0, 3.0)
    assert len(part) == 40
    assert (opened.height, opened.width, opened.fps, opened.codec) == (HEIGHT, WIDTH, 20, "h264")
    assert part.lazy_slice(9.0).frames([]).shape == (0, 3, HEIGHT, WIDTH)
    with pytest.raises(FileNotFoundError):
        part[0]
    for file, content in zip(files, contents):
        file.write_bytes(content)
    np.testing.assert_array_equal(part[:].transpose(0, 2, 3, 1), stream.pictures[20:60])


def test_windows(video: LazyVideo, stream: Stream) -> None:
    window = video.lazy_slice(1.0, 3.5)
    assert isinstance(window, LazyVideo)
    assert window.frame_index()[0] is video.frame_index()[0]
    assert window.timestamps[0] == 1.0
    inner = window.lazy_slice(1.95, 2.05)
    np.testing.assert_allclose(inner.timestamps, [1.95, 2.0])
    np.testing.assert_array_equal(inner[:].transpose(0, 2, 3, 1), stream.pictures[39:41])
    clip = window.slice(1.5, 2.5)
    assert clip.timestamps[0] == 0
    assert clip.frames.shape == (20, 3, HEIGHT, WIDTH)
    assert window.slice(1.5, 2.5, reset_origin=False).timestamps[0] == 1.5
    for begin, end in [(9.0, 10.0), (2.0, 2.0), (3.0, 1.0)]:
        empty = video.lazy_slice(begin, end)
        assert len(empty) == 0
        assert empty[:].shape == (0, 3, HEIGHT, WIDTH)
        assert len(empty.slice()) == 0
        assert index(empty).num_rows == 0


def test_forms(files: list[Path], video: LazyVideo) -> None:
    small = LazyVideo.from_uri(files[0], resize=(10, 20), colorspace="G")
    assert small[0].shape == (1, 10, 20)
    assert small.lazy_slice(0.0, 0.5).slice().frames.shape == (10, 1, 10, 20)
    assert small.frames([0], colorspace="RGB", layout="NHWC").shape == (1, 10, 20, 3)
    assert next(video.iter_frames()).shape == (3, HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="colorspace"):
        LazyVideo.from_uri(files[0], colorspace="BGR")  # type: ignore[arg-type]


def test_pictures_have_the_form_of_the_video(files: list[Path], tmp_path: Path) -> None:
    video = LazyVideo.from_uri(files[0], resize=(10, 20), colorspace="G")
    for number, (options, size, pixel_format) in enumerate(
        [
            ({}, (10, 20), "gray"),
            ({"colorspace": "RGB"}, (10, 20), "rgb24"),
            ({"resize": (30, 40)}, (30, 40), "gray"),
        ]
    ):
        [path] = reduct_frames.to_dir(video, tmp_path / str(number), frames=[3], **options)  # type: ignore[arg-type]
        with av.open(path) as file:
            picture = next(file.decode(video=0))
        assert ((picture.height, picture.width), picture.format.name) == (size, pixel_format)
    np.testing.assert_array_equal(reference(tmp_path / "0" / "frame_000003.png").pictures[0][:, :, 0], video[3][0])


def test_sizes_of_several_files(reordered: Stream, tmp_path: Path) -> None:
    paths = [mux(tmp_path / "0.mp4", reordered)]
    large = tmp_path / "1.mp4"
    with av.open(str(large), "w") as file:
        track = file.add_stream("libx264", rate=20)
        track.width, track.height = 128, 80
        for _ in range(20):
            picture = av.VideoFrame.from_ndarray(np.zeros((80, 128, 3), np.uint8), format="rgb24")
            file.mux(track.encode(picture))
        file.mux(track.encode(None))
    video = LazyVideo.from_uri([*paths, large])
    foreign = index(video).replace_schema_metadata({"time_base": "1/10240"})
    for opened in (video, LazyVideo.from_uri([*paths, large], foreign)):
        assert (opened.height, opened.width) == (HEIGHT, WIDTH) == opened[0].shape[1:]
        window = opened.lazy_slice(5.0)
        assert len(window) == 20
        assert (window.height, window.width) == (80, 128) == window[0].shape[1:]
        assert (opened.lazy_slice(4.0).height, opened.lazy_slice(9.0).height) == (HEIGHT, 80)


def test_the_size_is_that_of_the_first_frame(tmp_path: Path, plain: Stream) -> None:
    larger = encode_sample(Recipe("keyint=infinite:scenecut=0:bframes=0", frames=20, sizes=((128, 160),)))
    keyframes = [number == 0 for number in range(20)]
    stream = Stream(larger.units, list(range(20)), "20", np.stack(larger.pictures), keyframes)
    files = [mux(tmp_path / "first.mp4", plain), mux(tmp_path / "second.mp4", stream)]
    video = LazyVideo.from_uri(files)
    assert (len(video), video.height, video.width) == (120, HEIGHT, WIDTH)
    second = video.lazy_slice(5.0)
    assert (len(second), second.height, second.width) == (20, 128, 160)
    assert second[:].shape == (20, 3, 128, 160)
    for empty in (second[:0], second.slice(5.5, 5.5).frames, video.lazy_slice(9.0)[:]):
        assert empty.shape == (0, 3, 128, 160)


def test_pickled_video(video: LazyVideo, stream: Stream) -> None:
    video[0]
    copy = pickle.loads(pickle.dumps(video.lazy_slice(1.0, 2.5)))
    np.testing.assert_array_equal(copy[:].transpose(0, 2, 3, 1), stream.pictures[20:50])


def _sum(part: Recording, frame: int, results: multiprocessing.Queue[int]) -> None:
    results.put(int(part[frame].sum(dtype=np.int64)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(recording: Recording, video: LazyVideo, stream: Stream, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("needs fork")
    context = multiprocessing.get_context(method)
    for part in (recording, video):
        part[0]
        results = context.Queue()
        process = context.Process(target=_sum, args=(part, 57, results))
        process.start()
        try:
            assert results.get(timeout=60) == int(stream.pictures[57].sum(dtype=np.int64))
            process.join(60)
            assert process.exitcode == 0
        finally:
            process.kill()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_picture_that_was_converted_before_a_fork(reordered: Stream, tmp_path: Path) -> None:
    video = LazyVideo.from_uri(mux(tmp_path / "file.mp4", reordered))
    [(_, picture)] = video.decode(np.array([31]))
    form, encoder = PictureFormat(), PictureEncoder()
    expected = [form.array(picture).tobytes(), encoder.encode(picture)]
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_convert, args=(form, encoder, picture, results))
    process.start()
    try:
        assert results.get(timeout=30) == expected
        process.join(30)
        assert process.exitcode == 0
    finally:
        process.kill()


def _convert(
    form: PictureFormat, encoder: PictureEncoder, picture: av.VideoFrame, results: multiprocessing.Queue[list[bytes]]
) -> None:
    results.put([form.array(picture).tobytes(), encoder.encode(picture)])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"movflags": "faststart"},
        {"movflags": "negative_cts_offsets"},
        {"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    ],
    ids=["plain", "faststart", "negative", "fragmented"],
)
def test_files_of_another_muxer(stream: Stream, tmp_path: Path, options: dict[str, str]) -> None:
    _compare(mux(tmp_path / "file.mp4", stream, options=options), stream, range(100))


MS = 50
"""Ticks of the movie, of a millisecond, in a frame."""


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(50 * MS, 12 * STEP)], range(10, 60)),
        ([(50 * MS, 12 * STEP + 100)], range(11, 61)),
        ([(7 * MS, -1), (30 * MS, 25 * STEP)], range(23, 53)),
        ([(20 * MS, 2 * STEP), (30 * MS, 45 * STEP)], [*range(20), *range(43, 73)]),
        ([(333, 33 * STEP + 5)], range(32, 38)),
        ([(50 * MS, 90 * STEP)], range(88, 100)),
    ],
    ids=["window", "between frames", "delay", "two parts", "odd length", "end"],
)
def test_edit_lists(reordered: Stream, tmp_path: Path, edits: list[tuple[int, int]], shown: range | list[int]) -> None:
    path = mux(tmp_path / "file.mp4", reordered)
    path.write_bytes(set_edits(path.read_bytes(), edits))
    _compare(path, reordered, shown)


def _compare(path: Path, stream: Stream, shown: range | list[int]) -> None:
    """Compare a file with PyAV's frames, and those with the frames that an edit list shows."""
    expected = reference(path)
    video = LazyVideo.from_uri(path)
    table = index(video)
    assert table["pts"].to_pylist() == expected.pts
    assert {row["pts"]: (row["offset"], row["size"], row["keyframe"]) for row in table.to_pylist()} == {
        pts: packet[:3] for pts, packet in expected.packets.items()
    }
    pictures = stream.pictures[list(shown)]
    np.testing.assert_array_equal(expected.pictures, pictures)
    np.testing.assert_array_equal(video[:].transpose(0, 2, 3, 1), pictures)
    times = (np.array(shown) - shown[0]) * stream.step_us
    np.testing.assert_array_equal(video.timestamps_us, times)
    middle = len(video) // 2
    np.testing.assert_array_equal(video[middle].transpose(1, 2, 0), pictures[middle])


def test_command_line(reordered: Stream, tmp_path: Path) -> None:
    path = mux(tmp_path / "file.mp4", reordered)
    command = [sys.executable, "-m", "reduct_frames", str(path), str(tmp_path / "pictures"), "--every", "0.5s"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith("10 frames, 0 missing")
    failed = subprocess.run([*command[:3], "absent.mp4", "f"], capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("reduct-frames: ")


@pytest.mark.parametrize("scale", [7, 10, 15, 19, 20, 30])
@pytest.mark.parametrize("open_gop", [False, True])
def test_ticks_that_are_too_coarse_for_the_frames(scale: int, open_gop: bool, tmp_path: Path) -> None:
    stream = encode(frames=100, fps=20, gop=20, b_frames=3, open_gop=open_gop)
    path = mux(tmp_path / "file.mp4", stream, scale=scale)
    np.testing.assert_array_equal(reference(path).pictures, stream.pictures)
    video = LazyVideo.from_uri(path, layout="NHWC")
    np.testing.assert_array_equal(np.stack(list(video.iter_frames())), stream.pictures)
    assert np.all(np.diff(video.timestamps_us) > 0)
    times = video.timestamps_us
    for first, last in [(0, 13), (13, 47), (39, 41), (60, 100)]:
        clip = video.slice(int(times[first]), int(times[last - 1]) + 1)
        np.testing.assert_array_equal(clip.frames, stream.pictures[first:last])
    for frame in range(0, 100, 3):
        np.testing.assert_array_equal(video[frame], stream.pictures[frame])
    units = {unit.capture_us: unit.data for unit in video.access_units()}
    for number, pts in enumerate(stream.pts):
        assert _slices(units[int(times[pts])]) == _slices(stream.units[number])
    # The writer of the file may know the order.
    table = index(video)
    samples = sorted(zip(table["offset"].to_pylist(), table["size"].to_pylist()))
    rows = [samples[stream.pts.index(frame)] for frame in range(100)]
    for name, column in zip(("offset", "size"), zip(*rows)):
        table = table.set_column(table.column_names.index(name), name, [column])
    written = LazyVideo.from_uri(path, table, layout="NHWC")
    np.testing.assert_array_equal(written[:], stream.pictures)
    for frame in range(0, 100, 7):
        np.testing.assert_array_equal(written[frame], stream.pictures[frame])


def test_open_groups(tmp_path: Path) -> None:
    stream = encode(frames=100, fps=20, gop=20, b_frames=3, open_gop=True)
    path = mux(tmp_path / "file.mp4", stream)
    video = LazyVideo.from_uri(path)
    assert len(video.keyframes) == 5
    for frame in range(100):
        np.testing.assert_array_equal(video[frame].transpose(1, 2, 0), stream.pictures[frame])


def test_capture_times_of_files(stream: Stream, tmp_path: Path) -> None:
    path = mux(tmp_path / "file.mp4", stream)
    assert LazyVideo.from_uri(path).timestamps_us[0] == 0
    video = LazyVideo.from_uri(path, start=START_US)
    np.testing.assert_array_equal(video.timestamps_us, stream.times_us)
    np.testing.assert_array_equal(video.frames_at([START_US + 500_000])[0], video[10])
    two = LazyVideo.from_uri([path, path], start=START_US)
    assert len(two) == 200
    np.testing.assert_array_equal(two.timestamps_us, START_US + np.arange(200) * stream.step_us)
    np.testing.assert_array_equal(two[150], video[50])
    reduct_frames.write_index(path, start=START_US)
    with pytest.raises(StreamError, match="before the end"):
        LazyVideo.from_uri([path, path])


def test_another_file_than_that_of_the_index(stream: Stream, tmp_path: Path) -> None:
    path = mux(tmp_path / "file.mp4", stream)
    reduct_frames.write_index(path)
    video = LazyVideo.from_uri(path)
    mux(path, encode(frames=100, fps=20, gop=7, b_frames=1))
    with pytest.raises(IndexMismatchError, match="another file"):
        video[3]
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StreamError, match=str(path)):
        video[3]


def test_a_broken_sample_is_reported(reordered: Stream, tmp_path: Path) -> None:
    path = mux(tmp_path / "file.mp4", reordered)
    table = index(LazyVideo.from_uri(path)).to_pylist()
    decoding = sorted(range(100), key=lambda frame: table[frame]["offset"])
    broken = decoding[25]
    content = bytearray(path.read_bytes())
    content[table[broken]["offset"]] = 0xFF  # the length of its first NAL unit
    path.write_bytes(content)
    video = LazyVideo.from_uri(path, layout="NHWC")
    clip = video.slice(on_error="report")
    assert {frame.index for frame in clip.missing} == set(decoding[25:40])
    reasons = {frame.index: frame.reason for frame in clip.missing}
    assert reasons.pop(broken) == "it has no content"
    assert all("missing" in reason for reason in reasons.values())
    right = [frame for frame in range(100) if frame not in decoding[25:40]]
    np.testing.assert_array_equal(clip.frames, reordered.pictures[right])
    with pytest.raises(DecodeError):
        video[broken]


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "file.mp4"
    for open_file in (LazyVideo.from_uri, LazyVideo.from_headers):
        with pytest.raises(FileNotFoundError) as raised:
            open_file(path)
        assert (raised.value.errno, raised.value.filename) == (errno.ENOENT, str(path))
        with pytest.raises(IsADirectoryError, match=str(tmp_path)):
            open_file(tmp_path)
    path.write_bytes(b"no MP4 at all")
    with pytest.raises(StreamError, match=str(path)):
        LazyVideo.from_uri(path)


def test_wrong_records(server: Server, stream: Stream, episodes: list[Episode]) -> None:
    entry = f"wrong-{len(episodes[0].content)}"
    for number, content in enumerate([episodes[0].content, b"no MP4 at all", episodes[1].content]):
        upload(server, entry, content, START_US + number * 2_000_000)
    recording = reduct_frames.open(server.url, "b", entry)
    with pytest.warns(RecordingWarning, match=str(START_US + 2_000_000)):
        assert len(recording) == 80
    np.testing.assert_array_equal(recording[:], stream.pictures[:80])
    overlapping = f"overlapping-{len(episodes[0].content)}"
    for number in range(2):
        upload(server, overlapping, episodes[0].content, START_US + number * 1_000_000)
    with pytest.raises(StreamError, match="before the end"):
        len(reduct_frames.open(server.url, "b", overlapping))
    with pytest.raises(ValueError, match="labels"):
        len(reduct_frames.open(server.url, "b", overlapping, index="labels"))
