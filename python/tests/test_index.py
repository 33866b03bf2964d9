# SPDX-License-Identifier: MPL-2.0
"""Tables of frames, and their files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Server
from episodes import mux, reference
from streams import START_US, Stream

import reduct_frames
from reduct_frames import LazyVideo, frame_mappings, index, read_index, write_index

TYPES = {
    "segment_idx": pa.int64(),
    "local_frame_idx": pa.int64(),
    "pts": pa.int64(),
    "timestamp": pa.float64(),
    "capture_us": pa.int64(),
    "keyframe": pa.bool_(),
    "offset": pa.int64(),
    "size": pa.int64(),
    "duration": pa.int64(),
}
"""Ursa's four columns, and ours behind them."""


@pytest.fixture(scope="module", params=["plain", "reordered"])
def stream(request: pytest.FixtureRequest) -> Stream:
    return request.getfixturevalue(request.param)


@pytest.fixture
def file(stream: Stream, tmp_path: Path) -> Path:
    return mux(tmp_path / "file.mp4", stream)


@pytest.mark.parametrize("record_unit", ["access-unit", "gop"])
def test_index_of_an_entry(server: Server, stream: Stream, record_unit: str) -> None:
    entry = f"index-{record_unit}-{max(stream.pts) == stream.pts[-1]}"
    server.record(entry, stream, record_unit)
    recording = reduct_frames.open(server.url, "b", entry)
    table = index(recording)
    assert dict(zip(table.schema.names, table.schema.types)) == TYPES
    assert table["segment_idx"].unique().to_pylist() == [0]
    assert table["local_frame_idx"].to_pylist() == list(range(100))
    assert table["capture_us"].to_pylist() == stream.times_us.tolist()
    np.testing.assert_array_equal(table["timestamp"], recording.timestamps)
    # The time base of a file of 20 frames per second.
    assert table["pts"].to_pylist() == [number * 1000 for number in range(100)]
    assert table["duration"].to_pylist() == [1000] * 100
    assert np.flatnonzero(table["keyframe"]).tolist() == recording.keyframes.tolist()
    assert table["offset"].null_count == 100
    if record_unit == "gop":
        sizes = [len(unit) for _, unit in sorted(zip(stream.pts, stream.units))]
        assert table["size"].to_pylist() == sizes
    else:
        assert table["size"].null_count == 100
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata == {"source": f"'b/{entry}' on {server.url}", "codec": "h264", "time_base": "1/20000"}
    part = index(recording.lazy_slice(1.0, 2.0))
    assert part.to_pylist() == table.slice(20, 20).to_pylist()


def test_index_of_a_file(file: Path) -> None:
    table = index(LazyVideo.from_uri(file, start=START_US))
    assert dict(zip(table.schema.names, table.schema.types)) == TYPES
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    segments = json.loads(metadata.pop("segments"))
    assert [segment["source"] for segment in segments] == [str(file)]
    assert metadata == {
        "source": str(file),
        "codec": "h264",
        "time_base": "1/15360",
        "width": "96",
        "height": "64",
    }


def test_parquet(file: Path) -> None:
    path = write_index(file, start=START_US)
    assert path == f"{file}.parquet"
    assert sorted(file.parent.iterdir()) == [file, Path(path)]
    table = index(LazyVideo.from_headers(file, start=START_US))
    assert read_index(path).equals(table, check_metadata=True)
    assert pq.read_table(path).equals(table)
    frame = pl.read_parquet(path)
    assert frame.to_dicts() == table.to_pylist()
    assert frame.dtypes == [pl.Int64, pl.Int64, pl.Int64, pl.Float64, pl.Int64, pl.Boolean, *[pl.Int64] * 3]
    assert index(LazyVideo.from_uri(file)).equals(table, check_metadata=True)
    before = Path(path).read_bytes()
    write_index(file, start=START_US)
    assert Path(path).read_bytes() == before


def test_lance(file: Path) -> None:
    lance = pytest.importorskip("lance")
    table = index(LazyVideo.from_headers(file, start=START_US))
    for _ in range(2):  # the second one replaces the first one
        path = write_index(file, format="lance", start=START_US)
        assert path == f"{file}.lance"
        assert sorted(file.parent.iterdir()) == [file, Path(path)]
        assert lance.dataset(path).to_table().equals(table)
    assert read_index(path).equals(table, check_metadata=True)
    content = file.read_bytes()
    file.unlink()
    video = LazyVideo.from_uri(file)
    assert index(video).equals(table, check_metadata=True)
    file.write_bytes(content)
    np.testing.assert_array_equal(video[31].transpose(1, 2, 0), reference(file).pictures[31])


def test_lance_that_is_not_installed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lance", None)
    with pytest.raises(ImportError, match=r"pip install 'reduct-frames\[lance\]'"):
        write_index(file, format="lance")
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_an_index_that_cannot_be_written(file: Path) -> None:
    path = Path(write_index(file))
    before = path.read_bytes()
    path.with_name(f"{path.name}.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_index(file)
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == [file, path]


def test_several_files_in_one_index(file: Path, stream: Stream, tmp_path: Path) -> None:
    other = mux(tmp_path / "other.mp4", stream)
    both = LazyVideo.from_uri([file, other], start=START_US)
    path = write_index(both, tmp_path / "both.parquet")
    table = read_index(path)
    assert table["segment_idx"].to_pylist() == [0] * 100 + [1] * 100
    assert table["local_frame_idx"].to_pylist() == [*range(100), *range(100)]
    assert table["pts"].to_pylist() == [number * 768 for number in range(100)] * 2
    assert np.all(np.diff(table["timestamp"]) > 0)
    video = LazyVideo.from_uri([file, other], path)
    np.testing.assert_array_equal(video.frames([150], layout="NHWC"), stream.pictures[[50]])
    np.testing.assert_array_equal(
        video.slice(4.5, 5.5, layout="NHWC").frames, stream.pictures[[*range(90, 100), *range(10)]]
    )
    with pytest.raises(ValueError, match="segments"):
        LazyVideo.from_uri(file, table)
    with pytest.raises(ValueError, match="several segments"):
        frame_mappings(table)
    with pytest.raises(ValueError, match="path of the index"):
        write_index(both)


def test_frame_mappings(file: Path) -> None:
    expected = reference(file)
    mappings = json.loads(frame_mappings(index(LazyVideo.from_uri(file))))
    assert [frame["pts"] for frame in mappings["frames"]] == expected.pts
    for frame in mappings["frames"]:
        _, _, keyframe, duration = expected.packets[frame["pts"]]
        assert frame == {"pts": frame["pts"], "duration": duration, "key_frame": int(keyframe)}


def test_wrong_indexes(server: Server, file: Path, stream: Stream) -> None:
    table = index(LazyVideo.from_uri(file))
    with pytest.raises(ValueError, match="'capture_us'"):
        LazyVideo.from_uri(file, table.select(["segment_idx", "local_frame_idx", "pts", "timestamp"]))
    with pytest.raises(ValueError, match="'time_base'"):
        LazyVideo.from_uri(file, table.replace_schema_metadata({}))
    with pytest.raises(ValueError, match="2 indexes for 1"):
        LazyVideo.from_uri(file, [table, table])
    with pytest.raises(ValueError, match="format"):
        write_index(file, format="csv")  # type: ignore[arg-type]
    entry = f"no-file-{max(stream.pts) == stream.pts[-1]}"
    server.record(entry, stream)
    recording = reduct_frames.open(server.url, "b", entry)
    with pytest.raises(ValueError, match="path of the index"):
        write_index(recording)
    with pytest.raises(ValueError, match="has nulls"):
        LazyVideo.from_uri(file, index(recording))


@pytest.mark.parametrize("index_format", ["parquet", "lance"])
def test_the_index_beside_a_file_is_not_that_of_a_window(file: Path, index_format: str) -> None:
    beside = Path(write_index(file, start=START_US))
    before = beside.read_bytes()
    video = LazyVideo.from_uri(file)
    windows = [video.lazy_slice(*range_) for range_ in [(1.0, 2.0), (None, 2.0), (1.0, None), (9.0, None)]]
    windows += [LazyVideo.from_uri(file, index(window)) for window in windows if len(window)]
    for window in windows:
        for path in [None, beside, f"{file}.lance", os.path.relpath(beside)]:
            with pytest.raises(ValueError, match="window"):
                write_index(window, path, format=index_format)  # type: ignore[arg-type]
    assert sorted(file.parent.iterdir()) == [file, beside]
    assert beside.read_bytes() == before
    own = write_index(windows[0], file.with_name("window.parquet"))
    assert len(LazyVideo.from_uri(file, own)) == 20
    for whole in [video, video.lazy_slice(0.0, 9.0), LazyVideo.from_uri(file, index(video))]:
        assert write_index(whole) == str(beside)
    np.testing.assert_array_equal(LazyVideo.from_uri(file).timestamps_us, video.timestamps_us)


SEGMENT = {"source": "x", "record_us": 0, "time_scale": 15_360}
WRONG_METADATA = [
    {"time_base": "x"},
    {"time_base": "1/x"},
    {"time_base": "1/0"},
    {"time_base": "1/-5"},
    {"time_base": "2/30"},
    {"segments": "x"},
    {"segments": "{}"},
    {"segments": "5"},
    {"segments": "[1]"},
    {"segments": "[{}]"},
    {"segments": '[{"foo": 1}]'},
    {"segments": json.dumps([{**SEGMENT, "record_us": "a"}])},
    {"segments": json.dumps([{**SEGMENT, "record_us": 2**63}])},
    {"segments": json.dumps([{**SEGMENT, "time_scale": 0}])},
    {"segments": json.dumps([{**SEGMENT, "time_scale": 1.5}])},
    {"segments": json.dumps([{**SEGMENT, "height": "64"}])},
]


@pytest.mark.parametrize("metadata", WRONG_METADATA, ids=str)
def test_wrong_metadata(file: Path, metadata: dict[str, str]) -> None:
    table = index(LazyVideo.from_uri(file)).replace_schema_metadata(metadata)
    for start in (None, 5):
        with pytest.raises(ValueError, match=next(iter(metadata))):
            LazyVideo.from_uri(file, table, start=start)


def test_metadata_of_others(file: Path) -> None:
    table = index(LazyVideo.from_uri(file))
    segments = json.dumps([{**SEGMENT, "foo": 1}])
    for metadata in [{b"a": b"\xff\xfe", b"time_base": b"1/15360"}, {"segments": segments}]:
        video = LazyVideo.from_uri(file, table.replace_schema_metadata(metadata))
        np.testing.assert_array_equal(video[50], LazyVideo.from_uri(file)[50])


def test_an_index_of_another_writer(file: Path) -> None:
    """The writer in Rust has no list of segments, and nulls where it knows no capture time."""
    table = index(LazyVideo.from_uri(file))
    metadata = {"time_base": "1/15360", "codec": "h264", "width": "96", "height": "64", "source": "file"}
    video = LazyVideo.from_uri(file, table.replace_schema_metadata(metadata))
    assert index(video).equals(table, check_metadata=True)
    place = table.column_names.index("capture_us")
    unknown = table.set_column(place, "capture_us", pa.nulls(len(table), pa.int64()))
    assert index(LazyVideo.from_uri(file, unknown)).equals(table, check_metadata=True)


def test_pyarrow_and_pyav_are_imported_when_they_are_needed(file: Path) -> None:
    write_index(file)
    code = (
        "import sys, reduct_frames; "
        "assert 'pyarrow' not in sys.modules and 'av' not in sys.modules; "
        f"reduct_frames.LazyVideo.from_uri({str(file)!r}).lazy_slice(1.0, 2.0); assert 'av' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
