# SPDX-License-Identifier: MPL-2.0
"""Encodes pictures, and writes files that are complete when they appear."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import picture_size, whole_number
from .decoding import convert, import_av

if TYPE_CHECKING:
    import av

__all__ = ["DEFAULT_QUALITY", "EXTENSIONS", "PART", "PictureEncoder", "write_whole"]

EXTENSIONS = ("png", "jpg", "jpeg")
"""Types of pictures by the extensions of their files."""
DEFAULT_QUALITY = 90
"""Quality of JPEG."""
MAX_QUALITY = 100
_PNG_ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_JPEG_ENDS = b"\xff\xd8", b"\xff\xd9"
PART = ".part"
"""Ending of the names of files that are not complete."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, and rename it when it is complete.

    Raises
    ------
    OSError
        If it cannot be written. Nothing is left then.
    """
    part = path.with_name(path.name + PART)
    try:
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


@dataclass(frozen=True)
class PictureEncoder:
    """Encoder of pictures, which threads share.

    Gray JPEG has three components, as FFmpeg's encoder writes no other: the luma, and chroma without colour.

    Attributes
    ----------
    ext : {"png", "jpg", "jpeg"}
        Type of the pictures.
    quality : int
        Quality of JPEG from 1 to 100, on the scale of libjpeg. PNG has no loss.
    resize : (int, int) or None
        Height and width in pixels; those of the video if None.
    gray : bool
        Only the luma.
    """

    ext: str = "png"
    quality: int = DEFAULT_QUALITY
    resize: tuple[int, int] | None = None
    gray: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if self.ext not in EXTENSIONS:
            raise ValueError(f"ext is {self.ext!r}, not one of {', '.join(EXTENSIONS)}")
        object.__setattr__(self, "quality", whole_number("quality", self.quality, 1, MAX_QUALITY))
        if self.resize is not None:
            object.__setattr__(self, "resize", picture_size("resize", self.resize))
            self._open(*self.resize)

    @property
    def pixel_format(self) -> str:
        """Pixel format of the encoder."""
        if self.ext != "png":
            return "yuvj420p"
        return "gray" if self.gray else "rgb24"

    @property
    def quantizer(self) -> int:
        """Scale of the quantizer of FFmpeg's encoder, whose step is an eighth of libjpeg's at quality 50."""
        half = 50
        percent = 5000 / self.quality if self.quality < half else 200 - 2 * self.quality
        return min(31, max(1, round(percent * 8 / 100)))

    def encode(self, picture: av.VideoFrame) -> bytes:
        """Return the content of a file with a picture.

        Raises
        ------
        ValueError
            If FFmpeg does not encode pictures of its size.
        """
        height, width = self.resize or (picture.height, picture.width)
        pixels = convert(picture, height, width, "gray") if self.gray else picture
        pixels = convert(pixels, height, width, self.pixel_format)
        # Every picture is a file of its own, so that it has no time.
        pixels.pts = None
        packets = self._encoder(height, width).encode(pixels)
        return b"".join(bytes(packet) for packet in packets)

    def is_whole(self, path: Path) -> bool:
        """Return whether a path is a file that begins and ends as one with a picture."""
        if not path.is_file():
            return False
        begin, end = _PNG_ENDS if self.ext == "png" else _JPEG_ENDS
        with path.open("rb") as file:
            if file.read(len(begin)) != begin:
                return False
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(end)))
            return file.read() == end

    def _encoder(self, height: int, width: int) -> Any:
        """Return the encoder of this thread for a size."""
        encoders = _encoders.__dict__.setdefault("by_form", {})
        key = self, height, width
        if key not in encoders:
            encoders.clear()  # of other sizes
            encoders[key] = self._open(height, width)
        return encoders[key]

    def _open(self, height: int, width: int) -> Any:
        """Return a new encoder for a size."""
        av = import_av()
        encoder = av.CodecContext.create("png" if self.ext == "png" else "mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, self.pixel_format
        encoder.time_base = Fraction(1, 1000)
        encoder.thread_count = 1
        if self.ext != "png":
            encoder.options = {"qmin": str(self.quantizer), "qmax": str(self.quantizer)}
        try:
            encoder.open()
        except av.error.FFmpegError as error:
            raise ValueError(f"FFmpeg encodes no {self.ext} of {width}x{height} pixels") from error
        return encoder


_encoders = threading.local()


def absolute(folder: os.PathLike[str] | str) -> Path:
    """Return a folder with its whole path, without following links."""
    return Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() follows links
