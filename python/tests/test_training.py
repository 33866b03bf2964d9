# SPDX-License-Identifier: MPL-2.0
"""Logic of the training examples that does not need torch. `training.sh` runs the examples themselves."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import reduct_frames
from reduct_frames import Recording, frame_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Server
    from streams import Stream

EXAMPLES = Path(__file__).parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

from grouping import GroupBatchSampler, groups_of_times, share, shuffled, shuffled_stream  # noqa: E402


@pytest.fixture(scope="module")
def recording(server: Server, reordered: Stream) -> Recording:
    server.record("training", reordered)
    return reduct_frames.open(server.url, "b", "training")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Receives the capture time of each access unit that is decoded, the hidden ones too."""
    times: list[int] = []
    decode = frame_reader.decode

    def counting(units: Iterator[tuple[object, ...]], faults: dict[int, str]) -> Iterator[object]:
        def noted() -> Iterator[tuple[object, ...]]:
            for unit in units:
                times.append(unit[1])  # type: ignore[arg-type]
                yield unit

        return decode(noted(), faults)  # type: ignore[arg-type]

    monkeypatch.setattr(frame_reader, "decode", counting)
    return times


def test_an_epoch_of_frames_at_times_decodes_each_group_once(
    recording: Recording, reordered: Stream, decoded: list[int]
) -> None:
    random = np.random.default_rng(1)
    indices = random.integers(0, 100, 70)
    times = reordered.times_us[indices] + random.integers(0, reordered.step_us, 70)
    groups = groups_of_times(recording, times)
    assert sorted(np.concatenate(groups).tolist()) == list(range(70))
    assert [set((indices[group] // 20).tolist()) for group in groups] == [{0}, {1}, {2}, {3}, {4}]
    sampler = GroupBatchSampler(groups, groups_per_batch=2, seed=5)
    assert len(sampler) == 3
    epochs = []
    for _ in range(2):
        decoded.clear()
        batches = list(sampler)
        assert len(batches) == 3
        assert sorted(sample for batch in batches for sample in batch) == list(range(70))
        for batch in batches:
            np.testing.assert_array_equal(
                recording.frames_at(times[batch]), np.asarray(reordered.pictures)[indices[batch]]
            )
        assert len(decoded) == len(set(decoded))
        epochs.append(batches)
    assert epochs[0] != epochs[1]
    assert list(GroupBatchSampler(groups, 2, seed=5)) == epochs[0]


def test_some_samples_of_each_group() -> None:
    groups = [np.arange(first, first + 10) for first in range(0, 50, 10)]
    sampler = GroupBatchSampler(groups, groups_per_batch=3, samples_per_group=4)
    drawn = [list(sampler) for _ in range(20)]
    for batches in drawn:
        assert sorted(len(batch) for batch in batches) == [8, 12]
        per_group = np.bincount([sample // 10 for batch in batches for sample in batch])
        assert per_group.tolist() == [4] * 5
    assert len({sample for batches in drawn for batch in batches for sample in batch}) == 50
    for wrong in [{"groups_per_batch": 0}, {"groups_per_batch": 1, "samples_per_group": 0}]:
        with pytest.raises(ValueError, match="at least 1"):
            GroupBatchSampler(groups, **wrong)
    assert list(GroupBatchSampler([], 2)) == []


def test_workers_share_an_epoch(recording: Recording, reordered: Stream, decoded: list[int]) -> None:
    groups = recording.groups(np.arange(100))
    found: list[int] = []
    for worker in range(4):
        for group in share(shuffled(groups, seed=2, epoch=1), worker, 4):
            np.testing.assert_array_equal(recording.frames(group), np.asarray(reordered.pictures)[group])
            found += group.tolist()
    assert sorted(found) == list(range(100))
    assert len(decoded) == len(set(decoded)) == 100
    assert found != sorted(found)


def test_a_shuffled_stream_has_each_item_once() -> None:
    for count, size in [(0, 4), (3, 4), (4, 4), (100, 1), (100, 16)]:
        items = list(shuffled_stream(range(count), size, np.random.default_rng(3)))
        assert sorted(items) == list(range(count))
    held = list(shuffled_stream(range(100), 16, np.random.default_rng(3)))
    assert held != list(range(100))
    # No item is yielded more than `size` places early.
    assert all(item <= place + 16 for place, item in enumerate(held))


def test_the_examples_are_valid_and_use_public_names() -> None:
    for path in EXAMPLES.glob("*.py"):
        tree = ast.parse(path.read_text(), str(path))
        names = [
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "reduct_frames"
        ]
        assert all(name in reduct_frames.__all__ for name in names)
        assert path.name != "torch_datasets.py" or names
