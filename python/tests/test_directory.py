# SPDX-License-Identifier: MPL-2.0
"""Folders of pictures: files, manifests, resuming, faults."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Server
from streams import Stream

import reduct_frames
from reduct_frames import DecodeError, Recording, iter_dir_async, to_dir, to_dir_async


@pytest.fixture(scope="module")
def stream(reordered: Stream) -> Stream:
    return reordered


@pytest.fixture(scope="module")
def recording(server: Server, stream: Stream) -> Recording:
    server.record("folder", stream)
    return reduct_frames.open(server.url, "b", "folder")


def picture(path: str | Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def rows(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert pq.read_table(folder / "manifest.parquet").to_pylist() == lines
    return lines


def test_all_frames(recording: Recording, stream: Stream, tmp_path: Path) -> None:
    done: list[str] = []
    paths = to_dir(recording, tmp_path / "new" / "folder", checksums=True, progress=done.append)
    folder = tmp_path / "new" / "folder"
    assert paths == [str(folder / f"frame_{index:06d}.png") for index in range(100)]
    assert sorted(done) == paths
    assert paths.missing == []
    assert paths.manifest == str(folder / "manifest.jsonl")
    for index, row in enumerate(rows(folder)):
        content = Path(paths[index]).read_bytes()
        assert row == {
            "index": index,
            "capture_us": stream.times_us[index],
            "file": f"frame_{index:06d}.png",
            "keyframe": index % 20 == 0,
            "sha256": hashlib.sha256(content).hexdigest(),
            "reason": None,
        }
        np.testing.assert_array_equal(picture(paths[index]), stream.pictures[index])
    assert not list(folder.glob("*.part"))


def test_selections(recording: Recording, tmp_path: Path) -> None:
    for number, (options, expected) in enumerate(
        [
            ({"frames": [7, -1, 7, 3]}, [3, 7, 99]),
            ({"frames": np.arange(100) % 40 == 9}, [9, 49, 89]),
            ({"start": 1.0, "stop": 2.0}, list(range(20, 40))),
            ({"start": 1.0, "every": 30}, [20, 50, 80]),
            ({"every": 0.5}, list(range(0, 100, 10))),
            ({"every": 0.125}, sorted({-(-i * 5 // 2) for i in range(40)})),
            ({"start": 3.0, "stop": 3.0}, []),
        ]
    ):
        paths = to_dir(recording, tmp_path / str(number), **options)  # type: ignore[arg-type]
        assert [int(Path(path).stem[6:]) for path in paths] == expected
        assert [row["index"] for row in rows(tmp_path / str(number))] == expected
    with pytest.raises(IndexError, match="100"):
        to_dir(recording, tmp_path / "no", frames=[100])


def test_forms(recording: Recording, stream: Stream, tmp_path: Path) -> None:
    [path] = to_dir(recording, tmp_path / "time", frames=[5], names="time", ext="jpg", quality=95)
    assert Path(path).name == f"frame_{stream.times_us[5]}.jpg"
    difference = picture(path).astype(int) - stream.pictures[5]
    assert np.abs(difference).mean() < 3
    sizes = []
    for quality in [1, 30, 60, 100]:
        [path] = to_dir(recording, tmp_path / f"q{quality}", frames=[5], ext="jpeg", quality=quality)
        sizes.append(Path(path).stat().st_size)
    assert sizes == sorted(set(sizes))
    [path] = to_dir(recording, tmp_path / "small", frames=[5], resize=(10, 20), colorspace="G")
    assert picture(path).shape == (10, 20, 3)
    for wrong in [{"ext": "bmp"}, {"quality": 0}, {"names": "x"}, {"workers": 0}, {"every": 0}, {"colorspace": "x"}]:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            to_dir(recording, tmp_path / "wrong", **wrong)  # type: ignore[arg-type]


def test_resume(recording: Recording, tmp_path: Path) -> None:
    first = to_dir(recording, tmp_path, stop=2.0)
    kept = {path: Path(path).stat().st_mtime_ns for path in first[:-3]}
    for path in first[-3:]:
        Path(path).unlink()
    with pytest.raises(FileExistsError, match="resume"):
        to_dir(recording, tmp_path, stop=2.0)
    with pytest.raises(ValueError, match="ext"):
        to_dir(recording, tmp_path, stop=2.0, ext="jpg", resume=True)
    done: list[str] = []
    assert to_dir(recording, tmp_path, stop=2.0, resume=True, progress=done.append) == first
    assert sorted(done) == first[-3:]
    assert {path: Path(path).stat().st_mtime_ns for path in first[:-3]} == kept
    assert len(rows(tmp_path)) == 40


def test_missing_frames(server: Server, stream: Stream, tmp_path: Path) -> None:
    keep = [index for index in range(100) if stream.pts[index] != 40]  # a keyframe
    lost = Stream([stream.units[i] for i in keep], [stream.pts[i] for i in keep], stream.fps, stream.pictures, [])
    server.record("folder-lost", lost)
    recording = reduct_frames.open(server.url, "b", "folder-lost")
    paths = to_dir(recording, tmp_path / "a")
    assert {frame.capture_us for frame in paths.missing} == set(stream.times_us[41:60].tolist())
    by_row = rows(tmp_path / "a")
    assert len(by_row) == 99
    for row in by_row:
        is_missing = stream.times_us[41] <= row["capture_us"] < stream.times_us[60]
        assert (row["file"] is None) == is_missing
        assert (row["reason"] is not None) == is_missing
    assert len(paths) == 80
    with pytest.raises(DecodeError):
        to_dir(recording, tmp_path / "b", on_error="raise")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_an_error_of_writing_ends_the_export(recording: Recording, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "frame_000050.png.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        to_dir(recording, folder)
    assert not (folder / "frame_000050.png").exists()
    assert not list(folder.glob("*.part"))
    assert len(to_dir(recording, folder, resume=True)) == 100


def test_async_twins(recording: Recording, stream: Stream, tmp_path: Path) -> None:
    async def run() -> None:
        opened = await reduct_frames.open_async(recording._reader.source.url, "b", "folder")
        np.testing.assert_array_equal(await opened.frames_async([3, 1]), stream.pictures[[3, 1]])
        np.testing.assert_array_equal(await opened.frames_at_async([0.5]), stream.pictures[[10]])
        clip = await opened.slice_async(1.0, 2.0)
        np.testing.assert_array_equal(clip.frames, stream.pictures[20:40])
        np.testing.assert_array_equal([frame async for frame in opened.iter_frames_async()], stream.pictures)
        assert [unit.data async for unit in opened.access_units_async()] == stream.units
        paths = await to_dir_async(opened, tmp_path / "a", stop=1.0)
        assert len(paths) == 20
        each = [path async for path in iter_dir_async(opened, tmp_path / "b", stop=1.0)]
        assert sorted(each) == [path.replace("/a/", "/b/") for path in paths]
        with pytest.raises(IndexError):
            await opened.frames_async([100])

    asyncio.run(run())


@pytest.mark.usefixtures("recording")
def test_command_line(server: Server, tmp_path: Path) -> None:
    uri = f"reduct://127.0.0.1:{server.port}/b/folder"
    command = [sys.executable, "-m", "reduct_frames", uri, str(tmp_path), "--every", "0.5s", "--resize", "20x10"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == f"10 frames, 0 missing, {tmp_path / 'manifest.jsonl'}\n"
    assert picture(tmp_path / "frame_000090.png").shape == (10, 20, 3)
    for wrong in [["reduct://127.0.0.1:1/b/x", "f"], [uri, str(tmp_path)], [f"{uri}x", "f"]]:
        failed = subprocess.run([*command[:3], *wrong], capture_output=True, text=True, timeout=120, check=False)
        assert failed.returncode == 1
        assert failed.stderr.startswith("reduct-frames: ")
        assert "Traceback" not in failed.stderr
