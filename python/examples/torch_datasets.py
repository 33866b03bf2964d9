# SPDX-License-Identifier: MPL-2.0
"""Data sets for torch: frames at times with random access, and all frames of a recording as a stream.

python torch_datasets.py reduct://127.0.0.1:8383/b/cam --workers 4 --start-method spawn
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from grouping import GroupBatchSampler, groups_of_times, share, shuffled, shuffled_stream
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

import reduct_frames

if TYPE_CHECKING:
    import numpy.typing as npt

    from reduct_frames import Recording

__all__ = ["FramesAtTimes", "ShuffledFrames", "load_at_times", "load_stream"]


class FramesAtTimes(Dataset[tuple[torch.Tensor, int]]):
    """Frames that are shown at times, for instance those of labels.

    Parameters
    ----------
    recording : Recording
        The recording, of which each worker has a copy.
    times_us : ndarray of int64, shape (n,)
        The times, in microseconds since the Unix epoch.
    resize : (int, int), optional
        Height and width in pixels.
    """

    def __init__(
        self, recording: Recording, times_us: npt.NDArray[np.int64], resize: tuple[int, int] | None = None
    ) -> None:
        self.recording = recording
        self.times_us = times_us
        self.resize = resize

    def __len__(self) -> int:
        return len(self.times_us)

    def __getitem__(self, sample: int) -> tuple[torch.Tensor, int]:
        """Return a frame, uint8 of shape (3, height, width), and its sample."""
        return self.__getitems__([sample])[0]

    def __getitems__(self, samples: Sequence[int]) -> list[tuple[torch.Tensor, int]]:
        """Return the frames of a batch, of which each group of pictures is decoded once."""
        frames = self.recording.frames_at(self.times_us[list(samples)], layout="NCHW", resize=self.resize)
        return list(zip(torch.from_numpy(frames), samples))


class ShuffledFrames(IterableDataset[tuple[torch.Tensor, int]]):
    """All frames of a recording, shuffled: each worker decodes its share of the groups of pictures, each once.

    Parameters
    ----------
    recording : Recording
        The recording.
    resize : (int, int), optional
        Height and width in pixels.
    shuffle_frames : int, default 256
        Frames that each worker holds to draw from.
    seed : int, default 0
        Seed of the order.
    """

    def __init__(
        self,
        recording: Recording,
        resize: tuple[int, int] | None = None,
        shuffle_frames: int = 256,
        seed: int = 0,
    ) -> None:
        self.recording = recording
        self.resize = resize
        self.shuffle_frames = shuffle_frames
        self.seed = seed
        self.epoch = 0
        self.groups = recording.groups(np.arange(len(recording)))

    def __len__(self) -> int:
        return len(self.recording)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        """Yield frames, uint8 of shape (3, height, width), with their indices. Set `epoch` before each epoch."""
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        groups = share(shuffled(self.groups, self.seed, self.epoch), worker, workers)
        random = np.random.default_rng((self.seed, self.epoch, worker))
        return shuffled_stream(self._frames(groups), self.shuffle_frames, random)

    def _frames(self, groups: Sequence[npt.NDArray[np.int64]]) -> Iterator[tuple[torch.Tensor, int]]:
        for group in groups:
            frames = self.recording.frames(group, layout="NCHW", resize=self.resize)
            yield from zip(torch.from_numpy(frames), group.tolist())


def load_at_times(
    data: FramesAtTimes, groups_per_batch: int, workers: int, start_method: str
) -> DataLoader[tuple[torch.Tensor, int]]:
    """Return a loader of shuffled batches with all samples of `groups_per_batch` groups of pictures each."""
    sampler = GroupBatchSampler(groups_of_times(data.recording, data.times_us), groups_per_batch)
    return DataLoader(data, batch_sampler=sampler, num_workers=workers, multiprocessing_context=start_method)


def load_stream(
    data: ShuffledFrames, batch_size: int, workers: int, start_method: str
) -> DataLoader[tuple[torch.Tensor, int]]:
    """Return a loader of shuffled batches of `batch_size` frames."""
    return DataLoader(data, batch_size=batch_size, num_workers=workers, multiprocessing_context=start_method)


def main() -> None:
    """Read a recording once in each way, and print how long it took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("uri", help="reduct://host:8383/bucket/entry")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--start-method", choices=["fork", "spawn"], default="spawn")
    parser.add_argument("--every", type=int, default=5, help="take the time of every n-th frame as a sample")
    arguments = parser.parse_args()
    recording = reduct_frames.open(arguments.uri)
    at_times = FramesAtTimes(recording, recording.timestamps_us[:: arguments.every], (224, 224))
    stream = ShuffledFrames(recording, (224, 224))
    for name, loader in [
        ("frames at times", load_at_times(at_times, 4, arguments.workers, arguments.start_method)),
        ("stream of all frames", load_stream(stream, 32, arguments.workers, arguments.start_method)),
    ]:
        begin = time.monotonic()
        frames = sum(len(batch) for batch, _ in loader)
        seconds = time.monotonic() - begin
        print(f"{name}: {frames} frames in {seconds:.1f} s, {frames / seconds:.0f} per second")


if __name__ == "__main__":
    main()
