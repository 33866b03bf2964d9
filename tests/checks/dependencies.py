#!/usr/bin/env python3
# Copyright (C) 2026 the gst-plugin-reduct authors
# SPDX-License-Identifier: MPL-2.0
"""Fails if a crate of the workspace depends on what it must not know.

The edges between the crates of the repository are compared with the table below, those for tests and builds included.
What a crate is built with, in whatever way it gets there, is searched for the packages that it must do without.

Arguments: the folder of another workspace, as that of the server or of the Python package.
"""

import fnmatch
import json
import subprocess
import sys

# Crate -> the crates of this repository that it may depend on.
OWN = {
    "media": set(),
    "client": set(),
    "frame-index": {"media"},
    "recording": {"media", "client"},
    "gst-plugin-reduct": {"media", "frame-index", "client", "recording"},
    # Of the workspace server/, whose packages alone are seen from there.
    "episode-server": {"video-extension"},
    "video-extension": set(),
    "server-tests": set(),
    # Of python/, as well.
    "reduct-frames": set(),
}
GSTREAMER = ["gstreamer*", "glib*", "gio*", "gobject*"]
INPUT_AND_OUTPUT = ["tokio", "mio", "socket2", "hyper*", "reqwest", "http", "reduct-*", "tempfile", "iana-time-zone"]
# Crate -> patterns of the packages that no build of it contains. iana-time-zone is how chrono gets a clock.
WITHOUT = {
    "media": GSTREAMER + INPUT_AND_OUTPUT,
    # parquet has chrono with a clock, of which it uses the formats only.
    "frame-index": GSTREAMER + [name for name in INPUT_AND_OUTPUT if name != "iana-time-zone"],
    "client": GSTREAMER + ["h264-reader", "mp4*"],
    "recording": GSTREAMER,
    "gst-plugin-reduct": [],
    "episode-server": GSTREAMER + ["client", "recording"],
    "video-extension": GSTREAMER + ["client", "recording", "reductstore"],
    "server-tests": GSTREAMER,
    "reduct-frames": GSTREAMER,
}


def cargo(folder, *arguments):
    """Returns the output of a cargo command in a folder."""
    return subprocess.check_output(["cargo", *arguments, "--locked"], cwd=folder, text=True)


def workspace(folder):
    """Returns the packages of a workspace by name."""
    metadata = json.loads(cargo(folder, "metadata", "--format-version=1", "--no-deps"))
    return {package["name"]: package for package in metadata["packages"]}


def built_with(folder, crate):
    """Returns the names of the packages in a crate's build with all its features, its own left out."""
    tree = ["tree", "--package", crate, "--all-features", "--edges=normal,build", "--prefix=none", "--format={p}"]
    return {line.split()[0] for line in cargo(folder, *tree).splitlines() if line} - {crate}


def faults(folder):
    """Yields a line for each dependency that is not allowed."""
    packages = workspace(folder)
    for name, package in sorted(packages.items()):
        if name not in OWN:
            yield f"{name} is not in the table of {sys.argv[0]}"
            continue
        own = {dependency["name"] for dependency in package["dependencies"]} & set(packages)
        for other in sorted(own - OWN[name] - {name}):
            yield f"{name} depends on {other}"
        for other in sorted(built_with(folder, name)):
            if any(fnmatch.fnmatch(other, pattern) for pattern in WITHOUT[name]):
                yield f"{name} is built with {other}: cargo tree -p {name} -i {other}"
        print(f"{name}: {', '.join(sorted(own)) or 'no crate of this repository'}")


def main():
    found = list(faults(sys.argv[1] if len(sys.argv) > 1 else "."))
    for fault in found:
        print(f"not allowed: {fault}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
