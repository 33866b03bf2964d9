# SPDX-License-Identifier: MPL-2.0
"""Calls whose types mypy checks: what is accepted at run time type checks, too. They are not run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import reduct_frames
from reduct_frames import AccessUnit, LazyVideo, Recording, Time


def times(recording: Recording) -> None:
    of_numpy: list[Time] = [np.int64(5), np.uint32(5), np.float32(0.5), np.float64(0.5), np.datetime64(5, "us")]
    recording.frames_at(of_numpy, tolerance=0.5)
    recording.slice(np.float32(1.0), np.int64(2))
    recording.lazy_slice(np.int32(1))
    reduct_frames.open("http://127.0.0.1:8383", "b", "cam", start=np.int64(5))


def selections(recording: Recording) -> None:
    for every in (3, 0.5, np.int64(3), np.uint8(3), np.float32(0.5), np.float64(0.5)):
        reduct_frames.to_dir(recording, "pictures", every=every)


def sizes(recording: Recording, video: LazyVideo) -> None:
    size = np.array([10, 20])
    for resize in ((10, 20), [np.int64(10), np.int64(20)]):
        recording.slice(resize=resize)
        video.frames([0], resize=resize)
        reduct_frames.to_dir(recording, "pictures", resize=resize)
    LazyVideo.from_uri("a.mp4", resize=[10, 20])
    recording.frames_at([0.5], resize=size)


def files(paths: Iterator[Path]) -> None:
    LazyVideo.from_uri("file:///a.mp4")
    LazyVideo.from_uri(paths)
    LazyVideo.from_uri(f"{number}.mp4" for number in range(2))
    LazyVideo.from_uri(["a.mp4", Path("b.mp4")], index=(Path("a.parquet"), "b.parquet"))


async def iterations(recording: Recording) -> None:
    frames: AsyncGenerator[npt.NDArray[np.uint8], Any] = recording.iter_frames_async(resize=[10, 20])
    await frames.aclose()
    units: AsyncGenerator[AccessUnit, Any] = recording.access_units_async()
    await units.aclose()
    async with aclosing(reduct_frames.iter_dir_async(recording, "pictures")) as paths:
        async for path in paths:
            path.upper()
