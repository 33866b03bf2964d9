# SPDX-License-Identifier: MPL-2.0
"""MP4 files for the tests: episodes that the extension `video` of the server makes, and files of FFmpeg's muxer."""

from __future__ import annotations

import json
import struct
import urllib.request
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt
    from conftest import Server
    from streams import Stream

MP4_TYPE = "video/mp4"


@dataclass(frozen=True)
class Episode:
    """An MP4 file with the time of its record."""

    time_us: int
    labels: dict[str, str]
    content: bytes


def _request(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> object:
    request = urllib.request.Request(url, body, headers or {}, method=method)
    return urllib.request.urlopen(request, timeout=60)


def export(server: Server, entry: str, **parameters: object) -> list[Episode]:
    """Return the episodes of an entry of the bucket `b`, all of them with the end of the range."""
    steps = [{"video": {"export": parameters}}, {"video": {"remaining": {}}}]
    query = {"query_type": "QUERY", "when": {"#ext": steps}}
    url = f"{server.url}/api/v1/b/b/{entry}"
    body = json.dumps(query).encode()
    with _request("POST", f"{url}/q", body, {"content-type": "application/json"}) as answer:  # type: ignore[attr-defined]
        number = json.load(answer)["id"]
    episodes: list[Episode] = []
    while True:
        with _request("GET", f"{url}/batch?q={number}") as answer:  # type: ignore[attr-defined]
            if answer.status == 204:
                return episodes
            episodes += _records(answer)


def _records(answer: object) -> Iterator[Episode]:
    """Yield the records of a batch."""
    headers = {name.lower(): value for name, value in answer.headers.items()}  # type: ignore[attr-defined]
    times = sorted(int(name[14:]) for name in headers if name.startswith("x-reduct-time-"))
    for time_us in times:
        length, content_type, *labels = headers[f"x-reduct-time-{time_us}"].split(",")
        assert content_type == MP4_TYPE
        pairs = dict(label.split("=", 1) for label in labels)
        yield Episode(time_us, pairs, answer.read(int(length)))  # type: ignore[attr-defined]


def upload(
    server: Server, entry: str, content: bytes, time_us: int, content_type: str = MP4_TYPE, **labels: str
) -> None:
    """Write a record to an entry of the bucket `b`."""
    url = f"{server.url}/api/v1/b/b/{entry}?ts={time_us}"
    headers = {f"x-reduct-label-{name}": value for name, value in labels.items()}
    with _request("POST", url, content, {"content-type": content_type, **headers}):
        pass


def mux(path: Path, stream: Stream, *, scale: int = 15_360, options: dict[str, str] | None = None) -> Path:
    """Write a stream to an MP4 file with FFmpeg's muxer."""
    with av.open(str(path), "w", format="mp4", options=options or {}) as file:
        track = file.add_stream("libx264", rate=int(stream.fps))
        height, width = stream.pictures.shape[1:3]
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        track.time_base = Fraction(1, scale)
        track.codec_context.extradata = _sets(stream.units[0])
        ticks = scale / int(stream.fps)
        delay = max(number - pts for number, pts in enumerate(stream.pts))
        last_dts = -delay * scale - 1
        for number, (unit, pts) in enumerate(zip(stream.units, stream.pts)):
            packet = av.Packet(unit)
            packet.stream, packet.time_base = track, Fraction(1, scale)
            # FFmpeg's program makes decoding timestamps rise in this way where ticks are coarse.
            packet.dts = last_dts = max(last_dts + 1, round((number - delay) * ticks))
            packet.pts, packet.duration = max(packet.dts, round(pts * ticks)), round(ticks)
            packet.is_keyframe = stream.keyframes[number]
            file.mux_one(packet)
    return path


def _sets(unit: bytes) -> bytes:
    """Return the parameter sets of an access unit."""
    return b"".join(
        b"\0\0\0\1" + nal for nal in unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if nal[:1] in b"gh"
    )


def set_edits(content: bytes, edits: list[tuple[int, int]]) -> bytes:
    """Return a file, whose box moov is the last one, with another edit list: durations and begins in ticks."""
    entries = b"".join(struct.pack(">IiHH", duration, begin, 1, 0) for duration, begin in edits)
    new = _box(b"edts", _box(b"elst", struct.pack(">II", 0, len(edits)) + entries))

    def rewrite(data: bytes) -> bytes:
        parts = []
        while data:
            size, kind = struct.unpack(">I4s", data[:8])
            assert size > 1
            box, data = data[:size], data[size:]
            if kind in (b"moov", b"trak"):
                box = _box(kind, rewrite(box[8:]))
            if kind != b"edts":
                parts.append(box)
            if kind == b"tkhd":
                parts.append(new)
        return b"".join(parts)

    at = content.rindex(b"moov") - 4
    return content[:at] + rewrite(content[at:])


def _box(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I4s", len(contents) + 8, kind) + contents


@dataclass(frozen=True)
class Reference:
    """An MP4 file as PyAV has it."""

    pts: list[int]
    pictures: npt.NDArray[np.uint8]
    packets: dict[int, tuple[int | None, int, bool, int]]
    """Place, size, keyframe and duration of the packets that are shown, by PTS."""
    time_base: Fraction


def reference(path: Path) -> Reference:
    """Return what PyAV decodes from a file."""
    with av.open(str(path)) as file:
        time_base = file.streams.video[0].time_base
        packets = {
            int(packet.pts): (packet.pos, packet.size, bool(packet.is_keyframe), int(packet.duration or 0))
            for packet in file.demux(video=0)
            if packet.size and not packet.is_discard and packet.pts is not None
        }
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
    pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    assert time_base is not None
    return Reference([int(frame.pts or 0) for frame in frames], pictures, packets, time_base)
