# SPDX-License-Identifier: MPL-2.0
"""The training examples with torch, and frame mappings with torchcodec. `training.sh` installs both and runs this."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from episodes import export
from torchcodec.decoders import VideoDecoder

import reduct_frames
from reduct_frames import LazyVideo, Recording

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

from torch_datasets import FramesAtTimes, ShuffledFrames, load_at_times, load_stream

if TYPE_CHECKING:
    from conftest import Server
    from streams import Stream

WORKERS = 4


@pytest.fixture(scope="module")
def recording(server: Server, reordered: Stream) -> Recording:
    server.record("torch", reordered)
    return reduct_frames.open(server.url, "b", "torch")


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_frames_at_times(recording: Recording, reordered: Stream, start_method: str) -> None:
    random = np.random.default_rng(1)
    indices = random.integers(0, 100, 60)
    times = reordered.times_us[indices] + random.integers(0, reordered.step_us, 60)
    loader = load_at_times(FramesAtTimes(recording, times), 2, WORKERS, start_method)
    orders = []
    for _ in range(2):
        order = []
        for frames, samples in loader:
            assert frames.dtype == torch.uint8
            expected = np.asarray(reordered.pictures)[indices[samples.numpy()]].transpose(0, 3, 1, 2)
            np.testing.assert_array_equal(frames.numpy(), expected)
            order += samples.tolist()
        assert sorted(order) == list(range(60))
        orders.append(order)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_stream_of_all_frames(recording: Recording, reordered: Stream, start_method: str) -> None:
    data = ShuffledFrames(recording, shuffle_frames=8)
    loader = load_stream(data, 7, WORKERS, start_method)
    orders = []
    for epoch in range(2):
        data.epoch = epoch
        order = []
        for frames, indices in loader:
            expected = np.asarray(reordered.pictures)[indices.numpy()].transpose(0, 3, 1, 2)
            np.testing.assert_array_equal(frames.numpy(), expected)
            order += indices.tolist()
        assert sorted(order) == list(range(100))
        orders.append(order)
    assert orders[0] != orders[1]


def test_frame_mappings_with_torchcodec(server: Server, reordered: Stream, tmp_path: Path) -> None:
    server.record("torchcodec", reordered)
    [episode] = export(server, "torchcodec")
    path = tmp_path / "episode.mp4"
    path.write_bytes(episode.content)
    table = reduct_frames.index(LazyVideo.from_headers(path))
    plain = VideoDecoder(path)
    mapped = VideoDecoder(path, custom_frame_mappings=reduct_frames.frame_mappings(table))
    assert mapped.metadata.num_frames == len(plain) == len(mapped) == table.num_rows == 100
    lazy = LazyVideo.from_headers(path)
    for index in np.random.default_rng(2).integers(0, 100, 20).tolist():
        frame = mapped.get_frame_at(index)
        torch.testing.assert_close(frame.data, plain.get_frame_at(index).data, rtol=0, atol=0)
        assert frame.pts_seconds == pytest.approx(index / 20)
        # Each has its own conversion to RGB.
        difference = frame.data.numpy().astype(int) - lazy[index]
        assert np.abs(difference).mean() < 2
