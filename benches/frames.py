#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0

"""Reads entries with reduct_frames, and prints what that took as a line of JSON.

frames_by_hand.py does the same without the package.
"""

import argparse
import os
import random
import time
from pathlib import Path

import av  # noqa: F401 - imported before the clock runs
import pyarrow.parquet  # noqa: F401 - as av
import reduct_frames
from measured import digest, print_measurement, print_seconds, resident_bytes

COUNT = 100


def open_entry(bucket: str, entry: str, **options) -> reduct_frames.Recording:
    """Opens an entry, without its index."""
    return reduct_frames.open(os.environ["REDUCT_URL"], bucket, entry, **options)


def pictures(bucket: str, entry: str, folder: Path):
    """Writes all frames as JPEG files."""
    start = time.perf_counter()
    written = reduct_frames.to_dir(open_entry(bucket, entry), folder, ext="jpg", on_error="raise")
    print_measurement(start, records=len(written))


def random_frames(bucket: str, entry: str, frames: int):
    """Decodes frames of random indices."""
    indices = random.Random(1).sample(range(frames), COUNT)
    start = time.perf_counter()
    decoded = open_entry(bucket, entry).frames(indices)
    seconds = time.perf_counter() - start
    print_seconds(seconds, records=len(decoded), digest=digest(decoded))


def index(bucket: str, entry: str, source: str):
    """Opens an entry, and loads the index of its frames by the labels of its records or by their contents.

    The memory is what the process has more than before.
    """
    before = resident_bytes()
    start = time.perf_counter()
    if source == "entry":
        open_entry(bucket, entry)
    else:
        len(open_entry(bucket, entry, index=source))
    print_measurement(start, peak_rss=resident_bytes() - before)


def access_units(bucket: str, entry: str):
    """Reads all access units."""
    records = size = 0
    start = time.perf_counter()
    for unit in open_entry(bucket, entry).access_units():
        records += 1
        size += len(unit.data)
    print_measurement(start, records=records, bytes=size)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Reads an entry with reduct_frames.")
    parser.add_argument("bucket")
    parser.add_argument("entry")
    cases = parser.add_subparsers(dest="case", required=True)
    cases.add_parser("pictures").add_argument("folder", type=Path)
    cases.add_parser("random-frames").add_argument("frames", type=int, help="number of frames in the entry")
    cases.add_parser("index").add_argument("source", choices=("entry", "labels", "contents"))
    cases.add_parser("access-units")
    arguments = vars(parser.parse_args())
    functions = {
        "pictures": pictures,
        "random-frames": random_frames,
        "index": index,
        "access-units": access_units,
    }
    functions[arguments.pop("case")](**arguments)


if __name__ == "__main__":
    main()
