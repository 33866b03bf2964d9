#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0

"""Exports like `reductsrc ! reductepisodesplit duration=2000000000`, with reduct-py and PyAV.

Writes MP4 episodes of two seconds or a little more that begin with keyframes and end at gaps.
Prints the numbers of frames and bytes, and the time that this took, as a line of JSON.
"""

import argparse
import asyncio
import json
import os
import time
from fractions import Fraction
from pathlib import Path

import av
from reduct import Client

EPISODE = 2
MICROSECOND = Fraction(1, 1_000_000)


class Episodes:
    """The files, one after the other."""

    def __init__(self, folder: Path, fps: Fraction):
        self.folder = folder
        self.fps = fps
        self.parser = av.CodecContext.create("h264", "r")
        self.count = 0
        self.start = self.end = 0
        self.file = self.stream = None

    def add(self, timestamp: int, data: bytes):
        """Adds a record: whole access units, the first of them captured at `timestamp`."""
        packets = self.parser.parse(data) + self.parser.parse()
        if self.file and timestamp - self.end > self.microseconds(0.5):
            self.close()
        for index, packet in enumerate(packets):
            captured = timestamp + self.microseconds(index)
            if packet.is_keyframe and (not self.file or captured - self.start >= self.limit()):
                self.close()
                self.open(captured)
            if self.file:
                packet.stream = self.stream
                packet.time_base = MICROSECOND
                packet.pts = packet.dts = captured - self.start
                packet.duration = self.microseconds(1)
                self.file.mux(packet)
        self.end = timestamp + self.microseconds(len(packets))

    def open(self, start: int):
        """Begins the next file."""
        self.file = av.open(self.folder / f"{self.count:05}.mp4", "w")
        self.stream = self.file.add_mux_stream(
            "h264", rate=self.fps, width=self.parser.width, height=self.parser.height
        )
        self.start = start
        self.count += 1

    def close(self):
        """Completes the file."""
        if self.file:
            self.file.close()
        self.file = None

    def limit(self) -> int:
        """The duration of an episode, with half a frame for the jitter of clocks."""
        return EPISODE * 1_000_000 - self.microseconds(0.5)

    def microseconds(self, frames: float) -> int:
        """Returns the duration of a number of frames in µs."""
        return round(frames * 1_000_000 / self.fps)


async def export(url: str, bucket: str, entry: str, folder: Path) -> dict:
    """Exports an entry."""
    records = size = 0
    async with Client(url) as client:
        start = time.perf_counter()
        bucket = await client.get_bucket(bucket)
        attachments = await bucket.read_attachments(entry)
        episodes = Episodes(folder, Fraction(attachments["$video"]["fps"]))
        async for record in bucket.query(entry):
            data = await record.read_all()
            episodes.add(record.timestamp, data)
            records += 1
            size += len(data)
        episodes.close()
    return {"seconds": time.perf_counter() - start, "records": records, "bytes": size}


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Exports an entry as MP4 episodes.")
    parser.add_argument("bucket")
    parser.add_argument("entry")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(export(os.environ["REDUCT_URL"], **vars(arguments)))))


if __name__ == "__main__":
    main()
