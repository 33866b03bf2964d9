#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0

"""Reads an entry with reduct-py: its records, or episodes by the extension of the server.

Prints the number of frames and the time that this took as a line of JSON, once or again and again.
"""

import argparse
import asyncio
import json
import os
import time
from pathlib import Path

from reduct import Client
from reduct.bucket import Bucket

PIECE = 1 << 20


async def read(bucket: Bucket, entry: str, export: dict | None, folder: Path | None) -> int:
    """Reads all records, and writes them to a folder if there is one. Returns the number of frames."""
    when = {"#ext": {"video": {"export": export}}} if export is not None else None
    frames = 0
    async for record in bucket.query(entry, when=when):
        file = (folder / f"{record.timestamp}.mp4").open("wb") if folder else None
        async for piece in record.read(PIECE):
            if file:
                file.write(piece)
        if file:
            file.close()
        frames += int(record.labels["frames"]) if when else 1
    return frames


async def run(arguments: argparse.Namespace):
    """Reads as the arguments say."""
    async with Client(os.environ["REDUCT_URL"]) as client:
        while True:
            start = time.perf_counter()
            bucket = await client.get_bucket(arguments.bucket)
            frames = await read(bucket, arguments.entry, arguments.export, arguments.folder)
            seconds = time.perf_counter() - start
            print(json.dumps({"seconds": seconds, "records": frames}), flush=True)
            if not arguments.forever:
                break


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Reads an entry with reduct-py.")
    parser.add_argument("--export", type=json.loads, help="read episodes: parameters of the extension")
    parser.add_argument("--folder", type=Path, help="write episodes to this folder")
    parser.add_argument("--forever", action="store_true", help="begin again at the end")
    parser.add_argument("bucket")
    parser.add_argument("entry")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
