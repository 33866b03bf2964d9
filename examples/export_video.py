#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0

"""Exports an entry of ReductStore, or a range of it, as MP4 episodes that the server makes.

    python3 -m venv sdk && sdk/bin/pip install reduct-py==1.21.0
    sdk/bin/python examples/export_video.py b h264 episodes --duration 2s

The server needs the extension `video`, see docs/server.md; GStreamer is not used. The server is at
REDUCT_URL, the token in REDUCT_API_TOKEN. Without --duration the range is one episode, unless
frames are missing in it.

Each episode is a line on standard output as soon as its file is complete. An error is a line on
standard error, with exit status 1.

`export_video.rs` and `export_video.js` are the same in Rust and JavaScript.
"""

import argparse
import asyncio
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from aiohttp import ClientError
from reduct import Client, Record, ReductError

# The default of 60 s is not enough where the disk takes an episode more slowly than that.
TTL_SECONDS = 600
CHUNK_BYTES = 1 << 20
TIME = "2025-06-13T08:30:53Z or µs since the epoch"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def microseconds(text: str) -> int:
    """A time in µs since the epoch."""
    if text.isdecimal():
        return int(text)
    try:
        return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError):  # A time without its offset from UTC cannot be compared.
        raise argparse.ArgumentTypeError(f"'{text}' is not {TIME}") from None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Exports an entry of ReductStore, or a range of it, as MP4 episodes.",
    )
    add = parser.add_argument
    add("bucket", help="bucket to read")
    add("entry", help="entry to read")
    add("folder", type=Path, help="folder for the files, made if it is missing")
    add("--start", type=microseconds, help=f"begin of the range: {TIME}")
    add("--stop", type=microseconds, help="end of the range, which is not part of it")
    limit = "begin a new episode at the first keyframe after this time: 2s, 1m, 1h 30m"
    add("--duration", help=limit)
    return parser.parse_args()


def main() -> None:
    try:
        asyncio.run(export(arguments()))
    except ReductError as error:
        sys.exit(f"export_video: {error.message}")
    except (ClientError, OSError, OverflowError) as error:
        sys.exit(f"export_video: {error}")


async def export(args: argparse.Namespace) -> None:
    url = os.environ.get("REDUCT_URL", "http://127.0.0.1:8383")
    limits = {} if args.duration is None else {"duration": args.duration}
    args.folder.mkdir(parents=True, exist_ok=True)
    # asyncio would print that reduct-py 1.21.0 does not close a query after an error in its loop.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    async with Client(url, api_token=os.environ.get("REDUCT_API_TOKEN")) as client:
        bucket = await client.get_bucket(args.bucket)
        episodes = bucket.query(
            args.entry,
            start=args.start,
            stop=args.stop,
            ttl=TTL_SECONDS,
            when={"#ext": {"video": {"export": limits}}},
        )
        index = 0
        async for episode in episodes:
            file = args.folder / f"episode_{index:05}.mp4"
            await write(episode, file)
            print(line(index, file, episode), flush=True)
            index += 1
    if index == 0:
        # Of several entries, which this is a query of since API 1.18, a missing one is no error.
        sys.exit(f"export_video: '{args.bucket}/{args.entry}' has no records in the range")


async def write(episode: Record, file: Path) -> None:
    """Writes a file, which has the suffix `.part` until it is complete."""
    part = file.with_name(f"{file.name}.part")
    with part.open("wb") as output:
        async for chunk in episode.read(CHUNK_BYTES):
            output.write(chunk)
    part.replace(file)


def line(index: int, file: Path, episode: Record) -> str:
    """The line for a complete episode."""
    labels = episode.labels
    return (
        f"{index}: {file}, {utc(episode.timestamp)}, {int(labels['duration']) / 1e9:.3f} s, "
        f"{labels['frames']} frames, {episode.size} bytes, {labels['reason']}, "
        f"{labels.get('dropped', 0)} dropped"
    )


def utc(time: int) -> str:
    """µs since the epoch as RFC 3339."""
    return f"{EPOCH + timedelta(microseconds=time):%Y-%m-%dT%H:%M:%S.%fZ}"


if __name__ == "__main__":
    main()
