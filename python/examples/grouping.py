# SPDX-License-Identifier: MPL-2.0
"""Shuffled access to a recording, grouped so that each group of pictures is read and decoded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from reduct_frames import Recording, Time

__all__ = ["GroupBatchSampler", "groups_of_times", "share", "shuffled", "shuffled_stream"]

T = TypeVar("T")


def groups_of_times(recording: Recording, times: Iterable[Time]) -> list[npt.NDArray[np.int64]]:
    """Return the places of times whose frames are in one group of pictures, for each group.

    Parameters
    ----------
    recording : Recording
        The recording.
    times : iterable of Time
        The times, in any order, at which :meth:`Recording.frames_at` gives frames.

    Returns
    -------
    list of ndarray of int64
        Places from 0 to len(times) - 1. Each is in one of the groups.
    """
    indices = recording.indices_at(times)
    order = np.argsort(indices, kind="stable")
    lengths = [len(group) for group in recording.groups(indices[order])]
    return np.split(order, np.cumsum(lengths)[:-1]) if lengths else []


class GroupBatchSampler:
    """Batches of samples, shuffled, of which each has all its samples of a few groups of pictures.

    As a ``batch_sampler`` of torch's ``DataLoader``. In an epoch each group is in one batch, and so it is decoded once.

    Parameters
    ----------
    groups : sequence of ndarray of int64
        Samples of each group of pictures.
    groups_per_batch : int
        Groups of which a batch has samples. More groups mix the batches better.
    samples_per_group : int, optional
        Largest number of samples of a group, drawn anew in each epoch; all by default.
    seed : int, default 0
        Seed of the order, which differs from epoch to epoch.
    """

    def __init__(
        self,
        groups: Sequence[npt.NDArray[np.int64]],
        groups_per_batch: int,
        samples_per_group: int | None = None,
        seed: int = 0,
    ) -> None:
        if groups_per_batch < 1 or (samples_per_group is not None and samples_per_group < 1):
            raise ValueError("groups_per_batch and samples_per_group are at least 1")
        self.groups = groups
        self.groups_per_batch = groups_per_batch
        self.samples_per_group = samples_per_group
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(range(0, len(self.groups), self.groups_per_batch))

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the samples of each batch of an epoch."""
        random = np.random.default_rng((self.seed, self.epoch))
        self.epoch += 1
        order = random.permutation(len(self.groups))
        for first in range(0, len(order), self.groups_per_batch):
            drawn = [
                random.permutation(self.groups[group])[: self.samples_per_group]
                for group in order[first : first + self.groups_per_batch]
            ]
            yield random.permutation(np.concatenate(drawn)).tolist()


def shuffled(groups: Sequence[T], seed: int, epoch: int) -> list[T]:
    """Return groups in an order of their own for each epoch, which is the same in all processes."""
    return [groups[place] for place in np.random.default_rng((seed, epoch)).permutation(len(groups))]


def share(groups: Sequence[T], worker: int, workers: int) -> Sequence[T]:
    """Return the groups that one of several workers reads. No other has them."""
    return groups[worker::workers]


def shuffled_stream(items: Iterable[T], size: int, random: np.random.Generator) -> Iterator[T]:
    """Yield items in another order, each once, with no more than `size` of them in memory."""
    held: list[T] = []
    for item in items:
        if len(held) < size:
            held.append(item)
            continue
        place = int(random.integers(size))
        held[place], item = item, held[place]  # noqa: PLW2901
        yield item
    for place in random.permutation(len(held)):
        yield held[place]
