# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0

"""Results of runs in Python, as reduct-bench reads them."""

import hashlib
import json
import resource
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def print_measurement(start: float, **results: object):
    """Prints the time since `start`, by `time.perf_counter`, and other results as a line of JSON."""
    print_seconds(time.perf_counter() - start, **results)


def print_seconds(seconds: float, **results: object):
    """Prints a time and other results as a line of JSON."""
    print(json.dumps({"seconds": seconds, **results}))


def digest(frames: Iterable[np.ndarray]) -> str:
    """Returns a checksum of frames."""
    checksum = hashlib.sha256()
    for frame in frames:
        checksum.update(np.ascontiguousarray(frame))
    return checksum.hexdigest()


def resident_bytes() -> int:
    """Returns the memory that the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
