# SPDX-License-Identifier: MPL-2.0
"""Streams of H.264 with the pictures that PyAV decodes from them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

START_US = 1_749_803_453_273_752
"""Capture time of the first frame."""
SIZE = 64, 96
"""Height and width."""


@dataclass(frozen=True)
class Stream:
    """A stream: its access units in decoding order, and its pictures in presentation order."""

    units: list[bytes]
    pts: list[int]
    fps: str
    pictures: npt.NDArray[np.uint8]
    keyframes: list[bool]

    @property
    def step_us(self) -> int:
        return round(1_000_000 / Fraction(self.fps))

    @property
    def times_us(self) -> npt.NDArray[np.int64]:
        """Capture times in presentation order."""
        return START_US + np.arange(len(self.units), dtype=np.int64) * self.step_us

    def log_times(self) -> list[int]:
        """Return the capture time of each access unit."""
        return [START_US + pts * self.step_us for pts in self.pts]


def encode(frames: int, fps: int, gop: int, b_frames: int, *, open_gop: bool = False) -> Stream:
    """Encode pictures that all differ."""
    height, width = SIZE
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
    encoder.gop_size, encoder.max_b_frames = gop, b_frames
    encoder.options = {
        "preset": "veryfast",
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:b-pyramid=normal:open-gop={int(open_gop)}",
    }
    packets = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(_picture(number), format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    units = [bytes(packet) for packet in packets]
    pts = [int(packet.pts or 0) for packet in packets]
    keyframes = [bool(packet.is_keyframe) for packet in packets]
    return Stream(units, pts, str(fps), decode_all(units), keyframes)


def _picture(number: int) -> npt.NDArray[np.uint8]:
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    channels = [(x * 3 + number * 5) % 256, (y * 4 + number * 7) % 256, (x + y + number * 11) % 256]
    return np.stack(channels, axis=-1).astype(np.uint8)


def decode_all(units: list[bytes]) -> npt.NDArray[np.uint8]:
    """Decode a whole stream with PyAV alone."""
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))] + decoder.decode(None)
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
