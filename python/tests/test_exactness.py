# SPDX-License-Identifier: MPL-2.0
"""Frames of streams with gradual refresh, undeclared reordering, several sizes, and damage: right, or reported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from conftest import Server
from zoo import ENCODED, Recipe, Sample, encode_sample, lay_out, write_records

import reduct_frames
from reduct_frames import MissingFrame, Recording
from reduct_frames.picture_decoder import FedUnit, PictureDecoder

if TYPE_CHECKING:
    import numpy.typing as npt

_CLOSED = "keyint=20:min-keyint=20:scenecut=0"
_PYRAMID = "bframes=3:b-adapt=0:b-pyramid=normal:ref=3"

DAMAGEABLE = {
    "closed": Recipe(f"{_CLOSED}:{_PYRAMID}", frames=60),
    "open": Recipe(f"{_CLOSED}:{_PYRAMID}:open-gop=1", frames=60),
    "cavlc": Recipe(f"{_CLOSED}:{_PYRAMID}:cabac=0", frames=60),
    "slices": Recipe(f"{_CLOSED}:{_PYRAMID}:slices=4", frames=60),
    "refresh": Recipe("keyint=10:bframes=2:b-adapt=0:intra-refresh=1", frames=60),
}
"""Streams of which access units are damaged."""
DAMAGES = 60
"""Number of damaged copies of each stream, and of ten times as many with ``--heavy``."""


def record(server: Server, name: str, sample: Sample) -> Recording:
    write_records(server.url, name, lay_out(sample, "access-unit"), {"fps": "20"})
    return reduct_frames.open(server.url, "b", name)


def slices(unit: bytes) -> list[tuple[int, int]]:
    """Return the places of the slices in an access unit: of the NAL header, and of the end."""
    starts = [match.end() for match in re.finditer(rb"\x00\x00\x01", unit)]
    ends = [start - 3 for start in starts[1:]] + [len(unit)]
    return [(start, end) for start, end in zip(starts, ends) if unit[start] & 31 in (1, 5)]


def is_reference(unit: bytes) -> bool:
    return any(unit[start] & 0x60 for start, _ in slices(unit))


def test_a_refresh_with_b_frames_is_complete_where_it_is_shown(server: Server) -> None:
    # A refresh takes as many P-frames as there are columns of macroblocks, and B-frames refresh nothing.
    sample = encode_sample(Recipe("keyint=20:bframes=3:b-adapt=0:intra-refresh=1", frames=90, sizes=((48, 192),)))
    recording = record(server, "refresh", sample)
    keyframes = recording.keyframes
    assert len(keyframes) > 2
    for start in range(0, 90, 2):
        np.testing.assert_array_equal(recording[start], sample.pictures[start], err_msg=f"frame {start}")
    for start in keyframes.tolist():
        np.testing.assert_array_equal(recording[start : start + 4], np.stack(sample.pictures[start : start + 4]))


def test_no_frame_is_late_where_the_reordering_is_not_declared(server: Server) -> None:
    sample = encode_sample(ENCODED["undeclared-reordering"])
    assert len(sample.pictures) == len(sample.units)
    guessing = av.CodecContext.create("h264", "r")
    packets = [*map(av.Packet, sample.units), None]
    assert sum(len(guessing.decode(packet)) for packet in packets) < len(sample.units), "the depth can be guessed"
    recording = record(server, "undeclared", sample)
    np.testing.assert_array_equal(recording[:], np.stack(sample.pictures))


def test_frames_of_several_sizes_need_one_for_an_array(server: Server) -> None:
    sample = encode_sample(ENCODED["several-sizes"])
    recording = record(server, "sizes", sample)
    message = r"Frame 0 has 96x64 pixels and frame 20 64x48.*resize=\(height, width\)"
    times = [int(sample.times_us[index]) for index in (0, 20)]
    for layout in ("NHWC", "NCHW"):
        for call in (
            lambda form: recording.frames([0, 20], layout=form),
            lambda form: recording.frames_at(times, layout=form, colorspace="G"),
            lambda form: recording.slice(layout=form),
        ):
            with pytest.raises(ValueError, match=message):
                call(layout)
    with pytest.raises(ValueError, match=message):
        recording[:]
    assert recording.frames([0, 20], resize=(32, 32)).shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(recording[20:40], np.stack(sample.pictures[20:40]))
    frames = list(recording.iter_frames())
    assert [frame.shape for frame in frames] == [picture.shape for picture in sample.pictures]
    assert all(map(np.array_equal, frames, sample.pictures))


@pytest.fixture(scope="module", params=DAMAGEABLE)
def source(request: pytest.FixtureRequest) -> Sample:
    return encode_sample(DAMAGEABLE[request.param])


def in_decoding_order(units: list[bytes]) -> list[tuple[int, bool]]:
    """Return for each access unit the place of its picture in presentation order, and whether it is a keyframe."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.options = {"strict": "strict"}
    frames = []
    for number, unit in enumerate(units):
        packet = av.Packet(unit)
        packet.pts = number
        frames += decoder.decode(packet)
    frames += decoder.decode(None)
    places = {frame.pts: place for place, frame in enumerate(frames)}
    # x264 writes parameter sets before each keyframe, and nowhere else.
    return [(places[number], b"\x00\x00\x01\x67" in unit) for number, unit in enumerate(units)]


def decode(
    units: list[bytes], facts: list[tuple[int, bool]]
) -> tuple[dict[int, npt.NDArray[np.uint8]], dict[int, str]]:
    """Return the pictures that the decoder gives, and its reasons for the others, by places in presentation order."""
    faults: dict[int, str] = {}
    decoder = PictureDecoder(av, faults)
    shown = []
    for number, (unit, (place, is_keyframe)) in enumerate(zip(units, facts)):
        shown += decoder.feed(FedUnit(number, unit, place, is_keyframe, is_hidden=False, is_corrupted=False))
    shown += decoder.finish()
    places = [unit.capture_us for unit, _ in shown]
    assert places == sorted(set(places)), "each picture once, in presentation order"
    return {unit.capture_us: frame.to_ndarray(format="rgb24") for unit, frame in shown}, faults


def damaged(unit: bytes, random: np.random.Generator) -> bytes:
    """Return an access unit with one slice of changed bits, of other bytes, or without its end."""
    every = slices(unit)
    start, end = every[random.integers(len(every))]
    at = int(random.integers(min(start + 1, end - 1), end))
    piece = bytearray(unit[start:end])
    kind = random.integers(3)
    if kind == 0:
        piece[at - start] ^= 1 << int(random.integers(8))
    elif kind == 1:
        length = len(piece[at - start : at - start + 8])
        piece[at - start : at - start + 8] = random.integers(1, 256, length, np.uint8).tobytes()
    else:
        del piece[at - start :]
    return unit[:start] + bytes(piece) + unit[end:]


def test_damage_that_is_found_spoils_no_frame(request: pytest.FixtureRequest, source: Sample) -> None:
    """If the decoder finds the damage, each frame is right or has a reason.

    Changed bits that are a valid stream still are no case: nothing in H.264 shows them.
    """
    random = np.random.default_rng(11)
    facts = in_decoding_order(source.units)
    assert decode(source.units, facts)[0].keys() == set(range(len(source.units)))
    found = 0
    for _ in range(DAMAGES * (10 if request.config.getoption("heavy") else 1)):
        number = int(random.integers(1, len(source.units)))
        units = list(source.units)
        units[number] = damaged(units[number], random)
        pictures, faults = decode(units, facts)
        lost = set(range(len(units))) - pictures.keys()
        assert lost == faults.keys(), f"access unit {number}"
        if not lost:
            continue
        found += 1
        wrong = [place for place in pictures if not np.array_equal(pictures[place], source.pictures[place])]
        assert not wrong, f"access unit {number}, without {sorted(lost)}"
    assert found > DAMAGES / 4


def test_frames_after_damage_are_right_from_the_next_keyframe_on(source: Sample) -> None:
    """What is lost is in the damaged group of pictures, in a refresh until the next one is complete."""
    facts = in_decoding_order(source.units)
    keyframes = [place for place, is_keyframe in facts if is_keyframe]
    if not any(unit[start] & 31 == 5 for unit in source.units[1:] for start, _ in slices(unit)):
        keyframes = keyframes[:1] + keyframes[2:]  # leading pictures, or a refresh
    number = next(number for number in range(3, 20) if is_reference(source.units[number]) and not facts[number][1])
    units = list(source.units)
    [*_, (start, end)] = slices(units[number])
    units[number] = units[number][: (start + end) // 2]
    pictures, faults = decode(units, facts)
    place = facts[number][0]
    assert place in faults
    after = next(keyframe for keyframe in keyframes if keyframe > place)
    assert set(range(after, len(units))) <= pictures.keys()
    assert all(np.array_equal(pictures[place], source.pictures[place]) for place in pictures)


def test_damaged_references_are_reported(server: Server, request: pytest.FixtureRequest, source: Sample) -> None:
    """B-frames that are shown before a damaged frame and refer to it are reported, too."""
    kind = request.node.callspec.params["source"]
    facts = in_decoding_order(source.units)
    for case, least in enumerate([5, 9, 22]):
        number = next(at for at in range(least, len(source.units)) if is_reference(source.units[at]))
        units = list(source.units)
        [*_, (start, end)] = slices(units[number])
        units[number] = units[number][: start + (end - start) // 3]
        recording = record(server, f"damaged-{kind}-{case}", Sample(units, source.pictures))
        missing: list[MissingFrame] = []
        shown = dict(recording.decode(np.arange(len(recording)), on_error="report", missing=missing))
        assert facts[number][0] in {frame.index for frame in missing}
        assert all(frame.reason for frame in missing)
        assert sorted([*shown, *(frame.index for frame in missing)]) == list(range(len(units)))
        for index, frame in shown.items():
            np.testing.assert_array_equal(frame.to_ndarray(format="rgb24"), source.pictures[index])
        for index in [missing[0].index, missing[-1].index]:
            try:
                frame = recording[index]
            except reduct_frames.DecodeError as error:
                assert [lost.index for lost in error.missing] == [index]
            else:
                # With the next refresh alone.
                assert kind == "refresh"
                np.testing.assert_array_equal(frame, source.pictures[index])


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_what_refers_to_an_unreadable_frame_is_reported(server: Server, kept: int) -> None:
    """A frame without a slice that can be read is none. The others keep their times, as no frame is reordered."""
    sample = encode_sample(Recipe(f"{_CLOSED}:bframes=0", frames=60))
    units = list(sample.units)
    [(start, _)] = slices(units[27])
    units[27] = units[27][: start + kept]
    recording = record(server, f"unreadable-{kept}", Sample(units, sample.pictures))
    clip = recording.slice(on_error="report")
    places = np.searchsorted(sample.times_us, clip.capture_us)
    assert places.tolist() == [*range(27), *range(40, 60)]
    np.testing.assert_array_equal(clip.frames, np.stack(sample.pictures)[places])
    assert [frame.capture_us for frame in clip.missing] == [
        capture_us for capture_us in recording.timestamps_us if sample.times_us[27] <= capture_us < sample.times_us[40]
    ]
    assert all(frame.reason for frame in clip.missing)


def test_what_refers_to_a_frame_without_some_slices_is_reported(server: Server) -> None:
    sample = encode_sample(Recipe(f"{_CLOSED}:bframes=0:slices=4", frames=60))
    units = list(sample.units)
    broken = bytearray(units[27])
    start, _ = slices(units[27])[2]
    broken[start] |= 0x80  # forbidden_zero_bit
    units[27] = bytes(broken)
    clip = record(server, "slice", Sample(units, sample.pictures)).slice(on_error="report")
    places = np.searchsorted(sample.times_us, clip.capture_us)
    assert places.tolist() == [*range(27), *range(40, 60)]
    np.testing.assert_array_equal(clip.frames, np.stack(sample.pictures)[places])
    assert [frame.index for frame in clip.missing] == list(range(27, 40))
