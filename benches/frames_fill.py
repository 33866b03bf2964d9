#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0

"""Writes the frames of an MP4 file of H.264 to an entry, a record a frame, and with --file the file as one record, too.

The record of the file is in the entry with `-file` behind its name.
"""

import argparse
import asyncio
import os
from pathlib import Path

import av
import reduct_frames
from av.bitstream import BitStreamFilterContext
from reduct import Client

START_US = 1_749_803_453_000_000
PIECE = 1 << 20


def record(bucket: str, entry: str, path: Path):
    """Writes each frame as a record."""
    url = os.environ["REDUCT_URL"]
    with av.open(path) as container:
        stream = container.streams.video[0]
        to_byte_stream = BitStreamFilterContext("h264_mp4toannexb", stream)
        with reduct_frames.Recorder(url, bucket, entry, fps=str(stream.average_rate)) as recorder:
            for demuxed in container.demux(stream):
                for packet in to_byte_stream.filter(demuxed):
                    recorder.log(bytes(packet), START_US + round(packet.pts * packet.time_base * 1_000_000))


async def upload(bucket_name: str, entry: str, path: Path):
    """Writes the file as one record."""

    async def pieces():
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    async with Client(os.environ["REDUCT_URL"]) as client:
        bucket = await client.get_bucket(bucket_name)
        await bucket.write(
            entry, pieces(), timestamp=START_US, content_length=path.stat().st_size, content_type="video/mp4"
        )


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Writes an MP4 file to an entry, a record a frame.")
    parser.add_argument("--file", action="store_true", help="write the file as one record, too")
    parser.add_argument("bucket")
    parser.add_argument("entry")
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    record(arguments.bucket, arguments.entry, arguments.path)
    if arguments.file:
        asyncio.run(upload(arguments.bucket, f"{arguments.entry}-file", arguments.path))


if __name__ == "__main__":
    main()
