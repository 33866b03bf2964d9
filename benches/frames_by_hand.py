#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0

"""Does what frames.py does in the straightforward way, with reduct-py, PyAV and Pillow.

Prints what it took as a line of JSON.
"""

import argparse
import asyncio
import os
import random
import time
from pathlib import Path

import av
import numpy as np
from measured import digest, print_measurement, print_seconds
from reduct import Client
from reduct.bucket import Bucket

COUNT = 100
QUALITY = 90
PIECE = 1 << 20


async def pictures(bucket: Bucket, entry: str, start: float, folder: Path):
    """Writes all frames as JPEG files, one after the other."""
    decoder = av.CodecContext.create("h264", "r")
    count = 0

    def write(frames: list[av.VideoFrame]):
        nonlocal count
        for frame in frames:
            frame.to_image().save(folder / f"frame_{count:06}.jpg", quality=QUALITY)
            count += 1

    async for record in bucket.query(entry):
        write(decoder.decode(av.Packet(await record.read_all())))
    write(decoder.decode(None))
    print_measurement(start, records=count)


async def random_frames(bucket: Bucket, entry: str, start: float, frames: int, folder: Path):
    """Downloads the MP4 file of the entry, and seeks to frames of random indices."""
    path = folder / "whole.mp4"
    async with bucket.read(f"{entry}-file") as record:
        with path.open("wb") as file:
            async for piece in record.read(PIECE):
                file.write(piece)
    decoded = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        step = int(1 / (stream.average_rate * stream.time_base))
        for index in random.Random(1).sample(range(frames), COUNT):
            container.seek(index * step, stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.pts >= index * step)
            decoded.append(frame.to_ndarray(format="rgb24"))
    array = np.stack(decoded)
    seconds = time.perf_counter() - start
    print_seconds(seconds, records=len(decoded), digest=digest(array))


async def access_units(bucket: Bucket, entry: str, start: float):
    """Reads all records."""
    records = size = 0
    async for record in bucket.query(entry):
        size += len(await record.read_all())
        records += 1
    print_measurement(start, records=records, bytes=size)


async def run(bucket: str, case: str, **arguments):
    """Runs a case."""
    cases = {"pictures": pictures, "random-frames": random_frames, "access-units": access_units}
    async with Client(os.environ["REDUCT_URL"]) as client:
        start = time.perf_counter()
        await cases[case](await client.get_bucket(bucket), start=start, **arguments)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Reads an entry with reduct-py and PyAV.")
    parser.add_argument("bucket")
    parser.add_argument("entry")
    cases = parser.add_subparsers(dest="case", required=True)
    cases.add_parser("pictures").add_argument("folder", type=Path)
    frames = cases.add_parser("random-frames")
    frames.add_argument("frames", type=int, help="number of frames in the entry")
    frames.add_argument("folder", type=Path, help="folder for the file")
    cases.add_parser("access-units")
    asyncio.run(run(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
