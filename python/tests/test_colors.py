# SPDX-License-Identifier: MPL-2.0
"""Colours of arrays and pictures for streams of each matrix and range."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from reduct_frames.decoding import PictureFormat
from reduct_frames.picture_files import PictureEncoder

LUMA, BLUE, RED = 92, 110, 200
UNKNOWN, LIMITED, FULL = 0, 1, 2
"""Ranges as FFmpeg counts them."""
WEIGHTS = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Weights of red and blue, by FFmpeg's numbers of the matrices: BT.709, unknown, BT.601 twice, BT.2020."""
FORMS = pytest.mark.parametrize(
    ("matrix", "color_range"), [(1, LIMITED), (1, FULL), (2, UNKNOWN), (2, FULL), (5, FULL), (6, LIMITED), (9, LIMITED)]
)


def frame(matrix: int, color_range: int) -> av.VideoFrame:
    """Return a picture of one colour, as FFmpeg decodes H.264."""
    picture = av.VideoFrame(96, 64, "yuvj420p" if color_range == FULL else "yuv420p")
    for plane, value in zip(picture.planes, (LUMA, BLUE, RED)):
        plane.update(np.full(plane.buffer_size, value, np.uint8))
    picture.colorspace, picture.color_range = matrix, color_range
    return picture


def luma(color_range: int) -> float:
    """Return the luma in full range."""
    return LUMA if color_range == FULL else (LUMA - 16) * 255 / 219


def colors(matrix: int, color_range: int) -> list[float]:
    """Return red, green and blue (Rec. ITU-T H.273, 8.3)."""
    of_red, of_blue = WEIGHTS[matrix]
    scale = 1.0 if color_range == FULL else 255 / 224
    red = luma(color_range) + 2 * (1 - of_red) * (RED - 128) * scale
    blue = luma(color_range) + 2 * (1 - of_blue) * (BLUE - 128) * scale
    green = (luma(color_range) - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    return [red, green, blue]


def middle(content: bytes, path: Path) -> list[int]:
    """Return a pixel of a picture file, as a reader of JFIF and PNG has it."""
    path.write_bytes(content)
    with av.open(str(path)) as file:
        picture = next(file.decode(video=0))
    picture.colorspace = 2
    return picture.to_ndarray(format="rgb24")[32, 48].tolist()


@FORMS
def test_arrays(matrix: int, color_range: int) -> None:
    picture = frame(matrix, color_range)
    pixel = PictureFormat().array(picture)[32, 48]
    np.testing.assert_allclose(pixel, colors(matrix, color_range), atol=2)
    gray = PictureFormat(colorspace="G").array(picture)
    np.testing.assert_allclose(gray, np.full((64, 96, 1), luma(color_range)), atol=1)
    small = PictureFormat(colorspace="G", resize=(10, 20)).array(picture)
    np.testing.assert_allclose(small, np.full((10, 20, 1), luma(color_range)), atol=1)


@FORMS
@pytest.mark.parametrize("ext", ["png", "jpg"])
def test_pictures(matrix: int, color_range: int, ext: str, tmp_path: Path) -> None:
    picture = frame(matrix, color_range)
    for resize in (None, (33, 65)):
        content = PictureEncoder(ext, 100, resize).encode(picture)
        np.testing.assert_allclose(middle(content, tmp_path / f"color.{ext}"), colors(matrix, color_range), atol=4)
        content = PictureEncoder(ext, 100, resize, gray=True).encode(picture)
        np.testing.assert_allclose(middle(content, tmp_path / f"gray.{ext}"), [luma(color_range)] * 3, atol=2)


def test_gray_jpeg_is_the_luma(tmp_path: Path) -> None:
    picture = av.VideoFrame(96, 64, "yuv420p")
    gradient = np.tile(np.arange(96, dtype=np.uint8) * 2 + 20, (64, 1))
    for plane, values in zip(picture.planes, (gradient, np.full((32, 48), 60), np.full((32, 48), 210))):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = values
        plane.update(rows)
    path = tmp_path / "gray.jpg"
    path.write_bytes(PictureEncoder("jpg", 100, gray=True).encode(picture))
    with av.open(str(path)) as file:
        shown = next(file.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    expected = np.round((gradient.astype(float) - 16) * 255 / 219)
    assert np.ptp(shown, axis=2).max() == 0
    assert np.abs(shown[:, :, 0] - expected).max() <= 4
