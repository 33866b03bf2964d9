# SPDX-License-Identifier: MPL-2.0
"""Streams of one property each, and the ways to lay them out as records."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Callable
from urllib.parse import urlsplit

import av
import numpy as np
import numpy.typing as npt
from streams import START_US

__all__ = [
    "ENCODED",
    "LAYOUTS",
    "STEP_US",
    "Sample",
    "access_units",
    "decode_sample",
    "encode_sample",
    "lay_out",
    "stored_streams",
    "write_records",
]

FPS = 20
STEP_US = 1_000_000 // FPS
_START_CODE = re.compile(rb"\x00?\x00\x00\x01")


@dataclass(frozen=True)
class Sample:
    """A stream at 20 frames per second: its access units in decoding order, its pictures in presentation order."""

    units: list[bytes]
    pictures: list[npt.NDArray[np.uint8]]

    @property
    def times_us(self) -> npt.NDArray[np.int64]:
        """Capture times of the pictures."""
        return START_US + np.arange(len(self.pictures), dtype=np.int64) * STEP_US


@dataclass(frozen=True)
class Recipe:
    """Settings of x264 for a stream.

    Without VUI, the sequence parameter sets do not declare the depth of reordering.
    """

    params: str
    frames: int = 40
    sizes: tuple[tuple[int, int], ...] = ((64, 96),)
    pix_fmt: str = "yuv420p"
    profile: str | None = None
    without_vui: bool = False


_CLOSED = "keyint=10:min-keyint=10:scenecut=0"
_PYRAMID = "bframes=3:b-adapt=0:b-pyramid=normal"

ENCODED = {
    "baseline": Recipe(f"{_CLOSED}:bframes=0:ref=1", profile="baseline"),
    "references": Recipe(f"{_CLOSED}:bframes=0:ref=4"),
    "b-frames": Recipe(f"{_CLOSED}:bframes=2:b-adapt=0:b-pyramid=none"),
    "b-pyramid": Recipe(f"{_CLOSED}:{_PYRAMID}"),
    "adaptive-b-frames": Recipe("keyint=12:bframes=5:b-adapt=2:b-pyramid=strict"),
    "open-gop": Recipe(f"{_CLOSED}:{_PYRAMID}:open-gop=1"),
    "intra-refresh": Recipe("keyint=10:bframes=0:intra-refresh=1"),
    "intra-refresh-b-frames": Recipe("keyint=10:bframes=2:b-adapt=0:intra-refresh=1"),
    "one-keyframe": Recipe(f"keyint=infinite:scenecut=0:{_PYRAMID}"),
    "intra-only": Recipe("keyint=1"),
    "slices": Recipe(f"{_CLOSED}:bframes=2:b-adapt=0:slices=4:aud=1"),
    "weighted": Recipe(f"{_CLOSED}:{_PYRAMID}:weightp=2:weightb=1:ref=3"),
    "field-macroblocks": Recipe(f"{_CLOSED}:bframes=2:b-adapt=0:tff=1", sizes=((96, 96),)),
    "odd-size": Recipe(f"{_CLOSED}:{_PYRAMID}", sizes=((62, 94),)),
    "odd-size-4:4:4": Recipe(f"{_CLOSED}:{_PYRAMID}", sizes=((63, 95),), pix_fmt="yuv444p"),
    "4:2:2": Recipe(f"{_CLOSED}:{_PYRAMID}", pix_fmt="yuv422p"),
    "10-bit": Recipe(f"{_CLOSED}:{_PYRAMID}", pix_fmt="yuv420p10le"),
    "4:2:2-10-bit": Recipe(f"{_CLOSED}:{_PYRAMID}", pix_fmt="yuv422p10le"),
    "luma-only": Recipe(f"{_CLOSED}:{_PYRAMID}", pix_fmt="gray"),
    "lossless": Recipe(f"{_CLOSED}:{_PYRAMID}:qp=0"),
    "undeclared-reordering": Recipe(f"{_CLOSED}:{_PYRAMID}", without_vui=True),
    "several-sizes": Recipe(f"{_CLOSED}:{_PYRAMID}", frames=20, sizes=((64, 96), (48, 64), (64, 96))),
}
"""Recipes by the property of their streams."""


def encode_sample(recipe: Recipe) -> Sample:
    """Encode pictures that all differ."""
    units: list[bytes] = []
    for number, size in enumerate(recipe.sizes):
        units += _encode(recipe, size, number * recipe.frames)
    return decode_sample([_without_vui(unit) for unit in units] if recipe.without_vui else units)


def _encode(recipe: Recipe, size: tuple[int, int], first: int) -> list[bytes]:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = size
    encoder.pix_fmt = recipe.pix_fmt
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.options = {
        "preset": "veryfast",
        "x264-params": f"threads=1:{recipe.params}",
        **({"profile": recipe.profile} if recipe.profile else {}),
    }
    packets = []
    for number in range(first, first + recipe.frames):
        frame = av.VideoFrame.from_ndarray(_picture(number, size), format="rgb24").reformat(format=recipe.pix_fmt)
        frame.pts = number - first
        packets += encoder.encode(frame)
    return [bytes(packet) for packet in packets + encoder.encode(None)]


def _without_vui(unit: bytes) -> bytes:
    """Return an access unit whose sequence parameter sets, of High profile in 4:2:0, declare no VUI parameters."""
    nals = [_sps_without_vui(nal) if nal[0] & 31 == 7 else nal for nal in _nal_units(unit)]
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in nals)


def _sps_without_vui(nal: bytes) -> bytes:
    bits = _Bits(nal[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    bits.skip(24)  # profile, constraints, level
    bits.numbers(4)  # seq_parameter_set_id, chroma_format_idc, bit depths
    bits.skip(2)  # qpprime_y_zero_transform_bypass_flag, seq_scaling_matrix_present_flag
    bits.numbers(3)  # log2_max_frame_num, pic_order_cnt_type of 0, log2_max_pic_order_cnt_lsb
    bits.numbers(1)  # max_num_ref_frames
    bits.skip(1)  # gaps_in_frame_num_value_allowed_flag
    bits.numbers(2)  # width and height in macroblocks
    bits.skip(2)  # frame_mbs_only_flag, direct_8x8_inference_flag
    if bits.skip(1) == "1":  # frame_cropping_flag
        bits.numbers(4)
    kept = bits.text[: bits.place] + "01"  # vui_parameters_present_flag, stop bit
    kept += "0" * (-len(kept) % 8)
    payload = int(kept, 2).to_bytes(len(kept) // 8, "big")
    assert b"\x00\x00" not in payload, "a payload without emulation prevention"
    return nal[:1] + payload


class _Bits:
    """Reader of bits."""

    def __init__(self, payload: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in payload)
        self.place = 0

    def skip(self, count: int) -> str:
        """Skip bits, and return them."""
        self.place += count
        return self.text[self.place - count : self.place]

    def numbers(self, count: int) -> None:
        """Skip Exp-Golomb codes."""
        for _ in range(count):
            zeros = self.text.index("1", self.place) - self.place
            self.place += 2 * zeros + 1


def _picture(number: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return a gradient that moves, with noise, so that errors of prediction do not fade."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(number).integers(0, 24, size)
    channels = [x * 3 + number * 5, y * 4 + number * 7, x + y + number * 11]
    return np.stack([(channel + noise) % 256 for channel in channels], axis=-1).astype(np.uint8)


def decode_sample(units: list[bytes]) -> Sample:
    """Decode a whole stream with PyAV alone.

    By default FFmpeg guesses the depth of reordering where the stream does not declare it, and drops pictures that are
    later than it guessed. A strict decoder does not.
    """
    decoder = av.CodecContext.create("h264", "r")
    decoder.options = {"strict": "strict"}
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))] + decoder.decode(None)
    return Sample(units, [frame.to_ndarray(format="rgb24") for frame in frames])


def stored_streams() -> dict[str, Path]:
    """Return the files with streams of other encoders by their names: those of a Rust package, and those of a folder.

    The package is the one that ``tests/media/Cargo.toml`` names, if cargo has it. The folder is ``jvt`` in that of the
    environment variable ``REDUCT_TEST_MEDIA``.
    """
    folders = [folder for folder in (_package_folder(), _media_folder()) if folder is not None]
    paths = sorted(path for folder in folders for path in folder.iterdir())
    return {path.name: path for path in paths if path.suffix in (".264", ".h264", ".jsv")}


def _media_folder() -> Path | None:
    folder = os.environ.get("REDUCT_TEST_MEDIA")
    return Path(folder) / "jvt" if folder else None


def _package_folder() -> Path | None:
    manifest = Path(__file__).parents[2] / "tests" / "media" / "Cargo.toml"
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path", str(manifest)]
    try:
        output = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    [package] = [package for package in json.loads(output)["packages"] if package["name"] == "cros-codecs"]
    return Path(package["manifest_path"]).parent / "src" / "codec" / "h264" / "test_data"


def access_units(path: Path) -> list[bytes]:
    """Return the access units of a file."""
    parser = av.CodecContext.create("h264", "r")
    return [bytes(packet) for packet in parser.parse(path.read_bytes()) + parser.parse(b"")]


Record = tuple[int, bytes]
"""Time in µs, and contents."""


def _one_unit(sample: Sample) -> list[Record]:
    return [(START_US + number * STEP_US, unit) for number, unit in enumerate(sample.units)]


def _several_units(sample: Sample) -> list[Record]:
    each = _one_unit(sample)
    return [(each[at][0], b"".join(unit for _, unit in each[at : at + 3])) for at in range(0, len(each), 3)]


def _groups(sample: Sample) -> list[Record]:
    records: list[tuple[int, list[bytes]]] = []
    for time_us, unit in _one_unit(sample):
        if not records or any(nal[0] & 31 == 5 for nal in _nal_units(unit)):
            records.append((time_us, []))
        records[-1][1].append(unit)
    return [(time_us, b"".join(units)) for time_us, units in records]


def _pieces(sample: Sample) -> list[Record]:
    """NAL units of an access unit are 1 µs apart, of which the first slice has the capture time."""
    records = []
    for time_us, unit in _one_unit(sample):
        nals = _nal_units(unit)
        first_slice = next(place for place, nal in enumerate(nals) if nal[0] & 31 in (1, 5))
        records += [(time_us + place - first_slice, b"\x00\x00\x00\x01" + nal) for place, nal in enumerate(nals)]
    return records


def _halves(sample: Sample) -> list[Record]:
    """Cut each access unit within its first slice. The rest of it is 25 ms later."""
    records = []
    for time_us, unit in _one_unit(sample):
        first_slice = next(nal for nal in _nal_units(unit) if nal[0] & 31 in (1, 5))
        cut = unit.index(first_slice) + len(first_slice) // 2
        records += [(time_us, unit[:cut]), (time_us + STEP_US // 2, unit[cut:])]
    return records


LAYOUTS: dict[str, Callable[[Sample], list[Record]]] = {
    "access-unit": _one_unit,
    "gop": _groups,
    "three-access-units": _several_units,
    "nal-unit": _pieces,
    "half-access-unit": _halves,
}
"""Functions that lay a stream out as records, each with the capture time of its first frame."""


def lay_out(sample: Sample, layout: str) -> list[Record]:
    """Return the records of a stream. Its access units have rising times in decoding order, as cameras write them."""
    return LAYOUTS[layout](sample)


def _nal_units(unit: bytes) -> list[bytes]:
    return [nal for nal in _START_CODE.split(unit) if nal]


def write_records(url: str, entry: str, records: Iterable[Record], labels: dict[str, str] | None = None) -> None:
    """Write records to an entry of the bucket `b` by the HTTP API alone."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {
        "Content-Type": "video/h264",
        **{f"x-reduct-label-{name}": value for name, value in (labels or {}).items()},
    }
    with closing(connection):
        _post(connection, "/api/v1/b/b", b"", {}, exists=409)
        for time_us, contents in records:
            _post(connection, f"/api/v1/b/b/{entry}?ts={time_us}", contents, headers)


def _post(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str], exists: int = 200
) -> None:
    connection.request("POST", path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status in (200, exists), (answer.status, text)
