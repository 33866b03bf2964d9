#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0

"""Exports an entry of ReductStore, or a range of it, as MP4 episodes.

    export GST_PLUGIN_PATH=target/release
    examples/export.py b h264 episodes --start 2025-06-13T08:30:00Z --duration 2

GStreamer finds both elements by GST_PLUGIN_PATH. `reductsrc` takes the server from REDUCT_URL and
the token from REDUCT_API_TOKEN. Debian has the bindings in python3-gi and gir1.2-gstreamer-1.0.

Each episode is a line on standard output as soon as its file is complete. Progress and warnings
go to standard error. Ctrl-C ends the stream, which completes the last file; a second one ends
the application at once.

`export.rs` and `export.c` are the same in Rust and C.
"""

import argparse
import os
import signal
import sys
from datetime import timedelta
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

BAR_WIDTH = 30


class ExportError(Exception):
    """The reason for an early end of an export."""


def seconds(text: str) -> int:
    """A time in nanoseconds."""
    time = float(text) * Gst.SECOND
    if not 0 <= time < 1 << 63:
        raise ValueError
    return round(time)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Exports an entry of ReductStore, or a range of it, as MP4 episodes.",
    )
    add = parser.add_argument
    add("bucket", help="bucket to read")
    add("entry", help="entry to read")
    add("folder", help="folder for the files, made if it is missing")
    add("--start", help="begin of the range: 2025-06-13T08:30:53Z or µs since the epoch")
    add("--stop", help="end of the range, which is not part of it")
    limit = "begin a new episode at the first keyframe after this time"
    add("--duration", metavar="SECONDS", type=seconds, default=0, help=limit)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    try:
        Export(args).run()
    except (ExportError, OSError) as error:
        sys.exit(f"export: {error}")


def make(factory: str) -> Gst.Element:
    element = Gst.ElementFactory.make(factory)
    if element is None:
        raise ExportError(
            f"GStreamer has no {factory}: set GST_PLUGIN_PATH to the folder of libgstreduct.so",
        )
    return element


class Export:
    def __init__(self, args: argparse.Namespace) -> None:
        Gst.init(None)
        os.makedirs(args.folder, exist_ok=True)
        # The location is a printf pattern, in which the folder is to stay as it is.
        location = os.path.join(args.folder.replace("%", "%%"), "episode_%05d.mp4")

        self.source = make("reductsrc")
        for name in ("bucket", "entry", "start", "stop"):
            self.source.set_property(name, getattr(args, name))
        splitter = make("reductepisodesplit")
        splitter.set_property("location", location)
        splitter.set_property("duration", args.duration)
        self.pipeline = Gst.Pipeline()
        self.pipeline.add(self.source)
        self.pipeline.add(splitter)
        if not self.source.link(splitter):
            raise ExportError("the elements do not link")
        self.main_loop = GLib.MainLoop()
        self.failure: Exception | None = None
        # Whether there is a terminal for a progress bar.
        self.terminal = sys.stderr.isatty()

    def run(self) -> None:
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self.on_message)
        GLib.timeout_add(100 if self.terminal else 1000, self.show_progress)
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, self.on_interrupt)
        if self.pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            # The bus should know more, and is read before the loop is idle.
            GLib.idle_add(self.fail, ExportError("the pipeline does not start"))
        self.main_loop.run()
        self.clear_progress()
        self.pipeline.set_state(Gst.State.NULL)
        if self.failure:
            raise self.failure

    def on_interrupt(self) -> bool:
        # The event waits while files cannot be written as fast as they come.
        self.pipeline.call_async(end_stream)
        # Only once: a second Ctrl-C does what it does without a handler.
        return GLib.SOURCE_REMOVE

    def fail(self, error: Exception) -> None:
        """Ends the export. The first failure is the reason."""
        self.failure = self.failure or error
        self.main_loop.quit()

    def on_message(self, _bus: Gst.Bus, message: Gst.Message) -> None:
        try:
            self.handle(message)
        except (ExportError, OSError) as error:
            self.fail(error)

    def handle(self, message: Gst.Message) -> None:
        structure = message.get_structure()
        if structure is not None and structure.has_name("reduct-episode"):
            self.clear_progress()
            print(line(structure), flush=True)
        elif message.type == Gst.MessageType.WARNING:
            self.clear_progress()
            print(f"warning: {message.parse_warning()[0].message}", file=sys.stderr)
        elif message.type == Gst.MessageType.ERROR:
            raise ExportError(message.parse_error()[0].message)
        elif message.type == Gst.MessageType.EOS:
            self.main_loop.quit()

    def show_progress(self) -> bool:
        """Shows how far the source is: as a bar on a terminal, as lines elsewhere."""
        known, position = self.source.query_position(Gst.Format.TIME)
        known_too, duration = self.source.query_duration(Gst.Format.TIME)
        # Neither is known before the first record.
        if known and known_too:
            times = f"{clock(position)} of {clock(duration)}"
            if self.terminal:
                done = "#" * int(min(position / max(duration, 1), 1) * BAR_WIDTH)
                bar = f"\r[{done:-<{BAR_WIDTH}}] {times}\x1b[K"
                print(bar, end="", file=sys.stderr, flush=True)
            else:
                print(times, file=sys.stderr)
        return GLib.SOURCE_CONTINUE

    def clear_progress(self) -> None:
        """Makes room for other lines."""
        if self.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def end_stream(pipeline: Gst.Element) -> None:
    pipeline.send_event(Gst.Event.new_eos())


def line(episode: Gst.Structure) -> str:
    """The line for a complete episode."""
    names = ("index", "location", "start", "duration", "frames", "bytes", "reason", "dropped")
    values: list[Any] = [episode.get_value(name) for name in names]
    index, location, start, duration, frames, size, reason, dropped = values
    captured = "no capture time" if start is None else utc(start)
    return (
        f"{index}: {location}, {captured}, {duration / Gst.SECOND:.3f} s, {frames} frames, "
        f"{size} bytes, {reason}, {dropped} dropped"
    )


def utc(time: int) -> str:
    """µs since the Unix epoch as RFC 3339."""
    seconds = GLib.DateTime.new_from_unix_utc(time // 1_000_000)
    if seconds is None:
        raise ExportError(f"{time} µs since the epoch is no time")
    return f"{seconds.format('%Y-%m-%dT%H:%M:%S')}.{time % 1_000_000:06}Z"


def clock(time: int) -> str:
    return str(timedelta(seconds=time // Gst.SECOND))


if __name__ == "__main__":
    main()
