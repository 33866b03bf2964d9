# SPDX-License-Identifier: MPL-2.0
"""Exports that continue what an earlier call began, or refuse to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Server
from episodes import mux
from streams import Stream

import reduct_frames
from reduct_frames import LazyVideo, Recording, to_dir, write_index


@pytest.fixture(scope="module")
def recording(server: Server, plain: Stream) -> Recording:
    server.record("resume", plain)
    return reduct_frames.open(server.url, "b", "resume")


def pictures(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("frame_*"))


def test_spellings_of_the_address(server: Server, recording: Recording, tmp_path: Path) -> None:
    first = to_dir(recording, tmp_path, every=50)
    for url in [server.url + "/", server.url.replace("http", "HTTP")]:
        assert to_dir(reduct_frames.open(url, "b", "resume"), tmp_path, every=50, resume=True) == first
    uri = f"reduct://127.0.0.1:{server.port}/b/resume"
    assert to_dir(reduct_frames.open(uri), tmp_path, every=50, resume=True) == first
    command = [sys.executable, "-m", "reduct_frames", uri, str(tmp_path), "--every", "50", "--resume"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith("2 frames, 0 missing")


def test_files_by_uris(plain: Stream, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    path = mux(folder / "0.mp4", plain)
    uri = path.as_uri()
    assert "%20" in uri
    first = to_dir(LazyVideo.from_uri(path), tmp_path / "pictures", every=50)
    for spelling in (uri, uri.replace("file:///", "file://localhost/"), uri.replace("file", "FILE", 1)):
        video = LazyVideo.from_uri(spelling)
        assert video.address == str(path)
        assert to_dir(video, tmp_path / "pictures", every=50, resume=True) == first
    assert len(LazyVideo.from_headers(uri)) == 100
    write_index(path, start=5)
    assert LazyVideo.from_uri([uri], index=Path(f"{path}.parquet").as_uri()).origin_us == 5
    command = [sys.executable, "-m", "reduct_frames", uri, str(tmp_path / "command"), "--every", "50"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith("2 frames, 0 missing")
    for wrong in ("file://elsewhere/0.mp4", "file://", f"{uri}?start=5"):
        with pytest.raises(ValueError, match="URI of a file"):
            LazyVideo.from_uri(wrong)


def test_relative_paths_are_those_of_the_time_of_opening(
    plain: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mux(tmp_path / "0.mp4", plain)
    monkeypatch.chdir(tmp_path)
    videos = [
        LazyVideo.from_uri("0.mp4"),
        LazyVideo.from_uri(path for path in ["0.mp4"]),
        LazyVideo.from_headers("0.mp4"),
    ]
    monkeypatch.chdir("/")
    for video in videos:
        np.testing.assert_array_equal(video[3].transpose(1, 2, 0), plain.pictures[3])


def test_spellings_of_paths(plain: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [mux(tmp_path / f"{number}.mp4", plain) for number in range(3)]
    folder = tmp_path / "pictures"
    first = to_dir(LazyVideo.from_uri(paths[:2]), folder, every=50)
    monkeypatch.chdir(tmp_path)
    assert to_dir(LazyVideo.from_uri(["0.mp4", "./1.mp4"]), folder, every=50, resume=True) == first
    with pytest.raises(ValueError, match="source"):
        to_dir(LazyVideo.from_uri([paths[0], paths[2]]), folder, every=50, resume=True)


@pytest.mark.parametrize(
    "other",
    [
        {"every": 50},
        {"every": 10.0},
        {"every": None},
        {"start": 1.0},
        {"stop": 2.0},
        {"frames": range(0, 100, 2)},
        {"ext": "jpg"},
        {"quality": 80},
        {"names": "time"},
        {"resize": (10, 20)},
        {"colorspace": "G"},
    ],
    ids=str,
)
def test_other_arguments(recording: Recording, tmp_path: Path, other: dict[str, Any]) -> None:
    options: dict[str, Any] = {"every": 10}
    to_dir(recording, tmp_path, **options)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=rf"made with ({next(iter(other))}|start_us|stop_us|gray) "):
        to_dir(recording, tmp_path, **{**options, **other}, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_same_arguments_in_another_form(recording: Recording, plain: Stream, tmp_path: Path) -> None:
    first = to_dir(recording, tmp_path, start=1.0, every=np.int64(10), resize=[10, 20], frames=range(99))
    start_us = int(plain.times_us[20])
    again = to_dir(
        recording, tmp_path, start=start_us, every=10, resize=(10, 20), frames=np.arange(99)[::-1], resume=True
    )
    assert again == first


def test_a_recording_that_has_grown(server: Server, plain: Stream, tmp_path: Path) -> None:
    part = Stream(plain.units[:40], plain.pts[:40], plain.fps, plain.pictures[:40], plain.keyframes[:40])
    server.record("grown-export", part)
    first = to_dir(reduct_frames.open(server.url, "b", "grown-export"), tmp_path, every=10)
    with reduct_frames.Recorder(server.url, "b", "grown-export", fps=plain.fps) as recorder:
        for unit, time_us in list(zip(plain.units, plain.log_times()))[40:]:
            recorder.log(unit, time_us)
    done: list[str] = []
    grown = reduct_frames.open(server.url, "b", "grown-export")
    written = to_dir(grown, tmp_path, every=10, resume=True, progress=done.append)
    assert written[:4] == first
    assert sorted(done) == written[4:]
    assert len((tmp_path / "manifest.jsonl").read_text().splitlines()) == len(written) == len(pictures(tmp_path)) == 10
    for other in [grown.lazy_slice(None, 2.0), grown.lazy_slice(0.5)]:
        with pytest.raises(ValueError, match="has not the frames"):
            to_dir(other, tmp_path, every=10, resume=True)


@pytest.mark.parametrize("ext", ["png", "jpg"])
def test_files_that_are_not_whole(recording: Recording, tmp_path: Path, ext: str) -> None:
    paths = [Path(path) for path in to_dir(recording, tmp_path, frames=range(5), ext=ext)]  # type: ignore[arg-type]
    contents = [path.read_bytes() for path in paths]
    paths[0].write_bytes(b"")
    paths[1].write_bytes(contents[1][:-1])
    paths[2].write_bytes(bytes(len(contents[2])))
    paths[3].unlink()
    done: list[str] = []
    to_dir(recording, tmp_path, frames=range(5), ext=ext, resume=True, progress=done.append)  # type: ignore[arg-type]
    assert sorted(done) == [str(path) for path in paths[:4]]
    assert [path.read_bytes() for path in paths] == contents
    paths[1].unlink()
    paths[1].mkdir()
    with pytest.raises(IsADirectoryError):
        to_dir(recording, tmp_path, frames=range(5), ext=ext, resume=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ["frame_000003.png"],
        ["frame_000099.jpg"],
        ["manifest.jsonl"],
        ["manifest.parquet"],
        ["settings.json"],
        ["settings.json", "manifest.parquet"],
        ["settings.json", "frame_000003.png"],
    ],
    ids=" ".join,
)
def test_files_of_others(recording: Recording, tmp_path: Path, names: list[str], resume: bool) -> None:
    for name in names:
        (tmp_path / name).write_text('{"mine": 1}')
    error = ValueError if resume and len(names) > 1 else FileExistsError
    with pytest.raises(error, match=re.escape(str(tmp_path))):
        to_dir(recording, tmp_path, frames=[3], resume=resume)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, '{"mine": 1}')


def test_a_link_to_nothing(recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "settings.json").symlink_to(tmp_path / "absent")
    with pytest.raises(FileExistsError):
        to_dir(recording, tmp_path, frames=[3])
    assert (tmp_path / "settings.json").is_symlink()


def test_other_files_stay(recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert len(to_dir(recording, tmp_path, frames=[3])) == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


SETTINGS = [b"", b"null", b"5", b"[]", b'"x"', b"{}", b'{"length": "x"}', b"\xff\xfe"]


@pytest.mark.parametrize("content", SETTINGS, ids=repr)
def test_settings_of_others(recording: Recording, tmp_path: Path, content: bytes) -> None:
    to_dir(recording, tmp_path, every=50)
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"settings|source"):
        to_dir(recording, tmp_path, every=50, resume=True)
    assert (tmp_path / "settings.json").read_bytes() == content


@pytest.mark.parametrize("length", [None, -1, 101, "100", 99])
def test_settings_with_another_length(recording: Recording, tmp_path: Path, length: object) -> None:
    to_dir(recording, tmp_path, every=50)
    settings = json.loads((tmp_path / "settings.json").read_text())
    (tmp_path / "settings.json").write_text(json.dumps({**settings, "length": length}))
    with pytest.raises(ValueError, match="has not the frames"):
        to_dir(recording, tmp_path, every=50, resume=True)
