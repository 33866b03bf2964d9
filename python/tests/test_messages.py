# SPDX-License-Identifier: MPL-2.0
"""Warnings and errors of the core name what users of the package can set, and nothing else."""

from __future__ import annotations

import re
import warnings

import pytest
from conftest import Server
from episodes import upload
from streams import START_US, Stream, encode

import reduct_frames
from reduct_frames import RecordingWarning, StreamError

H264_TYPE = "video/h264"
FOREIGN = re.compile(
    r"\b(option|property|setting|condition|lookback|when)\b|::|-mode|on-error|_tolerance|Limits|Options"
)
"""Words for options of the elements and of the crates."""


def texts_of(server: Server, entry: str, records: list[tuple[int, bytes, str]], **labels: str) -> list[str]:
    """Write records, read them, and return the warnings, the error and the reasons of missing frames."""
    for time_us, content, content_type in records:
        upload(server, entry, content, time_us, content_type, **labels)
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recording = reduct_frames.open(server.url, "b", entry, index="contents")
        try:
            texts += [missing.reason for missing in recording.slice(on_error="report").missing]
            list(reduct_frames.open(server.url, "b", entry).access_units())
        except StreamError as error:
            texts.append(str(error))
    assert all(warning.category is RecordingWarning for warning in caught)
    return [*texts, *(str(warning.message) for warning in caught)]


def assert_one(texts: list[str], pattern: str) -> None:
    assert any(re.search(pattern, text) for text in texts), texts
    for text in texts:
        assert not FOREIGN.search(text), text


def units(stream: Stream, step_us: int | None = None) -> list[tuple[int, bytes, str]]:
    step_us = stream.step_us if step_us is None else step_us
    return [(START_US + number * step_us, unit, H264_TYPE) for number, unit in enumerate(stream.units)]


@pytest.fixture(scope="module", autouse=True)
def _bucket(server: Server, plain: Stream) -> None:
    server.record("messages", plain)


def test_other_records(server: Server, plain: Stream) -> None:
    text = (START_US - 10_000_000, b"hello", "text/plain")
    assert_one(texts_of(server, "message-text", [text, *units(plain)]), "'text/plain'")
    assert_one(texts_of(server, "message-texts", [text]), "'text/plain'|no video")


def test_a_range_without_parameter_sets(server: Server, plain: Stream) -> None:
    texts = texts_of(server, "message-sets", units(plain)[3:])
    assert_one(texts, r"before any SPS and PPS, and there are none in the time before it \(an earlier start ")
    texts = texts_of(server, "message-sets-only", units(plain)[3:8])
    assert_one(texts, "No record in the range can be used")


def test_a_range_without_a_keyframe(server: Server, plain: Stream) -> None:
    """The first record has parameter sets and no slice."""
    start = plain.units[0].index(b"\0\0\1\x65")
    records = [(START_US - plain.step_us, plain.units[0][:start], H264_TYPE), *units(plain)[1:10]]
    assert_one(texts_of(server, "message-keyframe", records), "in the range is a keyframe")


def test_missing_pictures(server: Server, reordered: Stream) -> None:
    """Pictures that no other refers to are missing."""
    times = reordered.log_times()
    records = [(START_US + number * reordered.step_us, unit, H264_TYPE) for number, unit in enumerate(reordered.units)]
    last_of_group = [number for number in range(1, 100) if times[number] > times[number - 1]]
    lost = last_of_group[2] - 1
    assert_one(texts_of(server, "message-lost", [*records[:lost], *records[lost + 1 :]]), "kept, with is_corrupted")


def test_frame_rates(server: Server, plain: Stream) -> None:
    assert_one(texts_of(server, "message-rate", units(plain, 100_000), fps="20"), "say 10 frames per second")
    assert_one(texts_of(server, "message-no-rate", units(plain), fps="x"), "The label fps")
    # The VUI has no frame rate that a camera can have.
    fast = encode(frames=4, fps=2000, gop=4, b_frames=0)
    assert_one(
        texts_of(server, "message-unknown", [(START_US, b"".join(fast.units), H264_TYPE)]), "no frame rate is known"
    )


def test_damage(server: Server, plain: Stream) -> None:
    for name, content in {
        "empty": b"",
        "junk": b"no video",
        "half": plain.units[13][:-9],
        "mp4": b"\0\0\0\5" + b"e" * 5,
    }.items():
        records = units(plain)
        records[13] = (records[13][0], content, H264_TYPE)
        assert texts_of(server, f"message-{name}", records)
        assert_one(texts_of(server, f"message-{name}-only", records[13:14]), ".")
