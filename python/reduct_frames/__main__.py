# SPDX-License-Identifier: MPL-2.0
"""Command line: writes the frames of an entry or of an MP4 file to a folder of pictures."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from .directory import to_dir
from .errors import ReductFramesError
from .file_uri import is_file_uri
from .lazy_video import LazyVideo
from .picture_files import DEFAULT_QUALITY, EXTENSIONS
from .recording import open as open_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .recording import Recording
    from .times import Time

SOME_MISSING = 3
"""Exit status if frames are missing."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        Exit status: 0, 1 after an error, 3 if frames cannot be decoded, 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        written = to_dir(
            _open(options.uri, options.start, options.stop),
            options.folder,
            every=options.every,
            ext=options.ext,
            quality=options.quality,
            names=options.names,
            colorspace="G" if options.gray else "RGB",
            resize=options.resize,
            workers=options.workers,
            progress=sys.stderr.isatty() and not options.quiet,
            checksums=options.checksums,
            resume=options.resume,
        )
    except (ReductFramesError, OSError, ValueError, ImportError, MemoryError) as error:
        print(f"reduct-frames: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("reduct-frames: interrupted. --resume continues", file=sys.stderr)
        return INTERRUPTED
    for frame in written.missing:
        print(f"Frame {frame.index} at {frame.capture_us} µs is missing: {frame.reason}", file=sys.stderr)
    if not options.quiet and not _print(f"{len(written)} frames, {len(written.missing)} missing, {written.manifest}"):
        return 1
    return SOME_MISSING if written.missing else 0


def _print(text: str) -> bool:
    """Print a line to the standard output. Return whether it was written."""
    try:
        print(text, flush=True)
    except OSError as error:
        # The rest of the buffer would raise the same error at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"reduct-frames: the standard output: {error}", file=sys.stderr)
        return False
    return True


def _open(uri: str, start: Time | None, stop: Time | None) -> Recording:
    """Return the recording at a URI, or the MP4 file at a path."""
    if "://" in uri and not is_file_uri(uri):
        return open_recording(uri, start=start, stop=stop)
    return LazyVideo.from_uri(uri).lazy_slice(start, stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reduct-frames",
        description="Writes the frames of an entry of ReductStore, or of an MP4 file, to a folder of pictures, with a "
        "manifest. "
        "The environment variable REDUCT_API_TOKEN has the API token, if the server wants one.",
    )
    parser.add_argument("uri", help="entry: reduct://host:8383/bucket/entry, or reducts:// with TLS; or an MP4 file")
    parser.add_argument("folder", help="folder for the pictures")
    parser.add_argument("--start", type=_time, metavar="TIME", help="first capture time, by RFC 3339 or in µs")
    parser.add_argument("--stop", type=_time, metavar="TIME", help="first capture time that is left out")
    parser.add_argument(
        "--every", type=_every, metavar="N", help="each N-th frame, or with an s behind it frames N seconds apart"
    )
    parser.add_argument("--ext", choices=EXTENSIONS, default="png", help="type of the pictures (png)")
    parser.add_argument("--quality", type=int, default=DEFAULT_QUALITY, help="quality of JPEG, 1 to 100 (90)")
    parser.add_argument("--names", choices=("index", "time"), default="index", help="what files are named by (index)")
    parser.add_argument("--gray", action="store_true", help="only the luma")
    parser.add_argument("--resize", type=_size, metavar="WIDTHxHEIGHT", help="size in pixels")
    parser.add_argument("--workers", type=int, metavar="N", help="threads that decode, and as many that write")
    parser.add_argument("--checksums", action="store_true", help="SHA-256 of each file in the manifest")
    parser.add_argument("--resume", action="store_true", help="keep files of an earlier run with the same options")
    parser.add_argument("--quiet", action="store_true", help="print only errors and missing frames")
    return parser


def _time(text: str) -> Time:
    return int(text) if text.isdecimal() else text


def _every(text: str) -> int | float:
    try:
        return float(text[:-1]) if text.endswith("s") else int(text)
    except ValueError:
        message = f"{text!r} is no whole number of frames, and no seconds as '0.5s'"
        raise argparse.ArgumentTypeError(message) from None


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size as 640x480") from None
    return height, width


if __name__ == "__main__":
    sys.exit(main())
