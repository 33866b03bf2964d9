# SPDX-License-Identifier: MPL-2.0
"""Decodes access units to pictures, each with its capture time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np

from .arguments import Size, check_choice, picture_size
from .picture_decoder import FedUnit, PictureDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import av
    import numpy.typing as npt

    from .frame_source import UnitReader

__all__ = ["ColorSpace", "Layout", "Picture", "PictureFormat", "convert", "decode", "import_av"]

ColorSpace = Literal["RGB", "G"]
Layout = Literal["NHWC", "NCHW"]

_BT601 = 5
"""BT.601 as FFmpeg's ``AVColorSpace``."""
_MATRICES = {0: _BT601, 1: 1, 2: _BT601, 3: _BT601, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9, 10: 9}
"""Matrices that FFmpeg converts, by ``AVColorSpace``: BT.601 is that of streams that name none."""
_LIMITED_RANGE, _FULL_RANGE = 1, 2
"""Ranges as FFmpeg's ``AVColorRange``."""
_FULL_FORMATS = ("yuvj", "gray")
"""Begins of the names of pixel formats in full range."""


@dataclass(frozen=True)
class PictureFormat:
    """Form of pictures as arrays of ``uint8``.

    Attributes
    ----------
    colorspace : {"RGB", "G"}
        Three channels, or one with the luma.
    layout : {"NHWC", "NCHW"}
        Order of the axes, of which pictures of their own lack the first one.
    resize : (int, int) or None
        Height and width in pixels; those of the video if None.
    """

    colorspace: ColorSpace = "RGB"
    layout: Layout = "NHWC"
    resize: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        check_choice("colorspace", self.colorspace, "RGB", "G")
        check_choice("layout", self.layout, "NHWC", "NCHW")
        if self.resize is not None:
            object.__setattr__(self, "resize", picture_size("resize", self.resize))

    def other(self, colorspace: ColorSpace | None, layout: Layout | None, resize: Size | None) -> PictureFormat:
        """Return the form with the values that are given."""
        return PictureFormat(
            self.colorspace if colorspace is None else colorspace,
            self.layout if layout is None else layout,
            self.resize if resize is None else picture_size("resize", resize),
        )

    @property
    def channels(self) -> int:
        """Number of channels."""
        return 3 if self.colorspace == "RGB" else 1

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Return the shape of a picture of the video's height and width."""
        if self.resize is not None:
            height, width = self.resize
        return (height, width, self.channels) if self.layout == "NHWC" else (self.channels, height, width)

    def size(self, array: npt.NDArray[np.uint8]) -> tuple[int, int]:
        """Return the height and width of a picture as array."""
        height, width = array.shape[:2] if self.layout == "NHWC" else array.shape[1:]
        return height, width

    def array(self, picture: av.VideoFrame) -> npt.NDArray[np.uint8]:
        """Return a decoded picture as array."""
        height, width = self.resize or (picture.height, picture.width)
        pixels = convert(picture, height, width, "rgb24" if self.colorspace == "RGB" else "gray")
        array = cast("npt.NDArray[np.uint8]", pixels.to_ndarray())
        if self.colorspace == "G":
            array = array[:, :, np.newaxis]
        return array if self.layout == "NHWC" else np.ascontiguousarray(array.transpose(2, 0, 1))


class Picture(NamedTuple):
    """A decoded frame.

    Attributes
    ----------
    capture_us : int
        Capture time, in microseconds since the Unix epoch.
    frame : av.VideoFrame
        The picture.
    """

    capture_us: int
    frame: av.VideoFrame


def decode(units: UnitReader, faults: dict[int, str]) -> Iterator[Picture]:
    """Decode a range, and yield its frames in presentation order, without those that only the decoder needs.

    Parameters
    ----------
    units : UnitReader
        Reader of the range.
    faults : dict of int to str
        Receives the reasons for which frames have no right picture, by their capture times.

    Yields
    ------
    Picture
        Each frame with a right picture.
    """
    for shown, frame in _decode(units, PictureDecoder(import_av(), faults)):
        yield Picture(shown.capture_us, frame)


def _decode(units: UnitReader, decoder: PictureDecoder) -> Iterator[tuple[FedUnit, av.VideoFrame]]:
    # A keyframe that is no IDR picture waits for the next access unit, which shows whether other pictures lead it.
    held: FedUnit | None = None
    latest_us: int | None = None
    for unit in chain(_fed_units(units), [None]):
        if held is not None:
            if _begins_anew(held, unit, latest_us, units):
                yield from decoder.begin_anew()
            yield from decoder.feed(held)
            latest_us, held = _later(latest_us, held), None
        if unit is None:
            yield from decoder.finish()
        elif unit.is_keyframe and latest_us is not None and not unit.is_idr:
            held = unit
        else:
            yield from decoder.feed(unit)
            latest_us = _later(latest_us, unit)


def _fed_units(units: UnitReader) -> Iterator[FedUnit]:
    """Yield the access units of a range with their places in decoding order."""
    for number, (data, capture_us, _, _, _, is_keyframe, is_hidden, is_corrupted) in enumerate(units):
        yield FedUnit(number, data, capture_us, is_keyframe, is_hidden, is_corrupted)


def _later(latest_us: int | None, unit: FedUnit) -> int:
    return unit.capture_us if latest_us is None else max(latest_us, unit.capture_us)


def _begins_anew(keyframe: FedUnit, following: FedUnit | None, latest_us: int | None, units: UnitReader) -> bool:
    """Return whether no picture from a keyframe on refers to one before it, as frames are missing between them.

    Parameters
    ----------
    keyframe : FedUnit
        The keyframe.
    following : FedUnit or None
        The access unit after it in decoding order, if there is one.
    latest_us : int or None
        Latest capture time before it in decoding order.
    units : UnitReader
        Their reader.
    """
    if following is not None and following.capture_us < keyframe.capture_us and not keyframe.begins_refresh:
        return following.is_corrupted
    follows_gap = latest_us is not None and any(
        latest_us <= before and after <= keyframe.capture_us for before, after in units.gaps
    )
    if keyframe.begins_refresh:
        # Frames may be there that are right without it.
        return follows_gap and (keyframe.is_corrupted or (following is not None and following.is_corrupted))
    return follows_gap


def convert(picture: av.VideoFrame, height: int, width: int, pixel_format: str) -> av.VideoFrame:
    """Return a picture in another size and pixel format.

    "gray" has the luma in full range, whatever the matrix of the stream, and "yuvj420p" the colours of JFIF.

    It is converted by the calling thread: a converter with threads of its own, which PyAV 17 and later keep for each
    picture, would hang in a forked child.
    """
    threads = {"threads": 1} if _has_conversion_threads() else {}
    colors = _colors(picture, pixel_format)
    return picture.reformat(width=width, height=height, format=pixel_format, **colors, **threads)


def _colors(picture: av.VideoFrame, pixel_format: str) -> dict[str, int]:
    """Return the matrices and ranges of a conversion. PyAV 14 takes every picture for BT.601 by itself."""
    # JFIF has no other matrix, and no other range.
    colors = {"dst_colorspace": _BT601, "dst_color_range": _FULL_RANGE}
    matrix = _MATRICES.get(int(picture.colorspace))
    if matrix is None or picture.format.is_rgb:
        return colors
    # With two matrices the luma would be computed anew.
    colors["src_colorspace"] = _BT601 if pixel_format == "gray" else matrix
    is_full = picture.color_range == _FULL_RANGE or picture.format.name.startswith(_FULL_FORMATS)
    colors["src_color_range"] = _FULL_RANGE if is_full else _LIMITED_RANGE
    return colors


@cache
def _has_conversion_threads() -> bool:
    """Return whether PyAV converts pictures with several threads."""
    return "threads" in (import_av().VideoFrame.reformat.__doc__ or "")


def import_av() -> Any:
    """Return PyAV, which recordings are read without.

    Raises
    ------
    ImportError
        If it is not installed, with the command that installs it.
    """
    try:
        import av  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("Decoding needs PyAV: pip install av") from error
    return av
