// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records that end anywhere in the byte stream, and pictures that are in another order than the
//! stream declares.

mod common;

use std::ops::Range;

use common::line::{self, Read, Reading};
use common::mp4;
use common::pcm::{Frame, Sequence, Slices, frame};
use common::pipeline::{capture_us, stat};
use common::recording::{Laid, Layout, Recording};
use common::stream::{Stream, StreamSpec, nal_ranges};
use common::{SERVER, await_that};
use gst::prelude::*;

/// Between the records of a frame, in µs.
const STEP_US: u64 = 20;

fn recording() -> Recording {
    Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    }
}

/// The stream in records that end at `cuts`, each written with its last byte: the records that end
/// in a frame are [`STEP_US`] apart from the time of the frame on.
fn cut_at(stream: &Stream, cuts: impl IntoIterator<Item = usize>) -> Vec<Laid> {
    let bytes = stream.bytes();
    let mut laid: Vec<Laid> = Vec::new();
    let (mut begin, mut frame, mut frame_end, mut nth) = (0, 0, stream.units[0].len(), 0);
    for end in cuts.into_iter().chain([bytes.len()]) {
        while end > frame_end {
            frame += 1;
            frame_end += stream.units[frame].len();
            nth = 0;
        }
        let mut record = recording().lay(&stream.slice(0..1)).remove(0).record;
        record.time_us = recording().frame_us(frame, stream.fps) + nth * STEP_US;
        record.bytes = bytes[begin..end].to_vec().into();
        laid.push(Laid {
            frames: frame..frame,
            record,
        });
        (begin, nth) = (end, nth + 1);
    }
    laid
}

/// The same with each access unit by itself: `cuts` gives places in it.
fn cut_units(stream: &Stream, cuts: impl Fn(&[u8]) -> Vec<usize>) -> Vec<Laid> {
    let mut begin = 0;
    let mut all = Vec::new();
    for unit in &stream.units {
        all.extend(cuts(unit).into_iter().map(|cut| begin + cut));
        begin += unit.len();
        all.push(begin);
    }
    all.pop();
    cut_at(stream, all)
}

fn times(laid: &[Laid]) -> impl Iterator<Item = u64> {
    laid.iter().map(|laid| laid.record.time_us)
}

/// The time of the record that has this byte of the stream.
fn time_of_byte(laid: &[Laid], at: usize) -> u64 {
    let mut end = 0;
    let owner = laid.iter().find(|laid| {
        end += laid.record.bytes.len();
        at < end
    });
    owner.expect("a record").record.time_us
}

/// Returns the record time of each access unit: that of the record with its three-byte start code.
/// A leading zero byte may be in the record before.
fn begins(stream: &Stream, laid: &[Laid]) -> Vec<u64> {
    let mut begin = 0;
    let of_unit = |unit: &Vec<u8>| {
        let code = unit.iter().position(|byte| *byte == 1).expect("a code") - 2;
        let time = time_of_byte(laid, begin + code);
        begin += unit.len();
        time
    };
    stream.units.iter().map(of_unit).collect()
}

fn captures(read: &Read) -> Vec<u64> {
    let capture = |buffer: &gst::Buffer| capture_us(buffer).expect("a capture time");
    let mut captures: Vec<_> = read.buffers.iter().map(capture).collect();
    captures.sort_unstable(); // In output order.
    captures
}

/// Checks that reading gives the stream: each access unit at the time of its first byte.
#[track_caller]
fn assert_is_stream(read: &Read, stream: &Stream, laid: &[Laid], what: &str) {
    assert_eq!(read.warnings(), [""; 0], "{what}");
    assert_eq!(read.stat("damaged"), 0, "{what}");
    assert_has_stream(read, stream, laid, what);
}

/// The same but for records that were left out.
#[track_caller]
fn assert_has_stream(read: &Read, stream: &Stream, laid: &[Laid], what: &str) {
    assert!(read.outcome.eos, "{what}: {}", read.outcome.text());
    let lengths = |units: &[Vec<u8>]| units.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&read.units()), lengths(&stream.units), "{what}");
    assert!(read.units() == stream.units, "{what}: other bytes");
    assert_eq!(captures(read), begins(stream, laid), "{what}");
    for name in ["dropped", "gaps"] {
        assert_eq!(read.stat(name), 0, "{what}: {name}");
    }
    assert_eq!(read.flagged(gst::BufferFlags::CORRUPTED), [0; 0], "{what}");
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0], "{what}");
}

fn streams() -> Vec<(&'static str, Stream)> {
    let make = |x264_params| {
        Stream::make(StreamSpec {
            frames: 24,
            gop: 8,
            size: (64, 64),
            x264_params,
            ..Default::default()
        })
    };
    let b_frames = make("bframes=3:b-pyramid=normal");
    vec![
        ("no B-frames", make("bframes=0")),
        ("B-frames", b_frames.clone()),
        ("delimiters", b_frames.with_auds()),
        ("short start codes", b_frames.start_codes::<3>()),
        ("slices", make("slices=3")),
        ("fields", make("interlaced=1:bframes=2")),
        (
            "user data",
            b_frames.with_nal_before_slices(b"\x06\x05\x14sixteen-byte-uuid: text\x80"),
        ),
    ]
}

/// Reads streams in records of a size in bytes.
fn assert_records_are_one_stream(size: usize) {
    for (what, stream) in streams() {
        let length = stream.bytes().len();
        let laid = cut_at(&stream, (size..length).step_by(size));
        let read = line::read(&line::write(&laid), "");
        assert_is_stream(&read, &stream, &laid, what);
    }
}

#[test]
fn records_of_7_bytes_are_one_stream() {
    assert_records_are_one_stream(7);
}

#[test]
fn records_of_19_bytes_are_one_stream() {
    assert_records_are_one_stream(19);
}

#[test]
fn records_of_32_bytes_are_one_stream() {
    assert_records_are_one_stream(32);
}

#[test]
fn records_may_be_single_bytes() {
    let (what, stream) = streams().remove(1);
    // The next one is shown after pictures that follow it.
    let stream = stream.slice(0..5);
    let laid = cut_at(&stream, 1..stream.bytes().len());
    let read = line::read(&line::write(&laid), "");
    assert_is_stream(&read, &stream, &laid, what);
}

/// Within and around the start code of each NAL unit, in its header, before its last byte, and
/// in emulation prevention.
#[test]
fn records_may_end_anywhere() {
    for (what, stream) in streams() {
        for offset in [1, 2, 3, 4, 5, 6, -1] {
            let cuts = |unit: &[u8]| {
                let nals = nal_ranges(unit).into_iter();
                let at = nals.map(|Range { start, end }| match offset {
                    1.. => start + offset as usize,
                    _ => end - 1,
                });
                at.filter(|at| *at < unit.len()).collect()
            };
            let laid = cut_units(&stream, cuts);
            let read = line::read(&line::write(&laid), "");
            assert_is_stream(&read, &stream, &laid, &format!("{what}, at {offset}"));
        }
        let escapes = |unit: &[u8]| {
            let places = unit.windows(3).enumerate();
            let places = places.filter(|(_, bytes)| *bytes == [0, 0, 3]);
            places.flat_map(|(at, _)| [at + 1, at + 2]).collect()
        };
        let laid = cut_units(&stream, escapes);
        let read = line::read(&line::write(&laid), "");
        assert_is_stream(
            &read,
            &stream,
            &laid,
            &format!("{what}, emulation prevention"),
        );
    }
}

#[test]
fn records_of_nothing_lie_between() {
    let (what, stream) = streams().remove(1);
    let length = stream.bytes().len();
    let cuts = (20..length).step_by(20).flat_map(|at| [at, at]);
    let laid = cut_at(&stream, cuts);
    let empty = laid.iter().filter(|laid| laid.record.bytes.is_empty());
    let read = line::read(&line::write(&laid), "");
    assert_has_stream(&read, &stream, &laid, what);
    assert_eq!(read.stat("damaged"), empty.count() as u64);
    let warnings = read.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].ends_with("is empty"), "{warnings:?}");
}

#[test]
fn episodes_of_cut_records_have_all_pictures() {
    let (_, stream) = streams().remove(1);
    let tenths = |unit: &[u8]| (1..10).map(|part| part * unit.len() / 10).collect();
    let bucket = line::write(&cut_units(&stream, tenths));
    let export = line::export(&bucket, "", "");
    assert_eq!(export.summary(), [(24, "eos")]);
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
    let files = export.checked_files(stream.fps);
    assert_eq!(files.len(), 1);
}

/// In groups of pictures a record, of which each ends within the next one.
#[test]
fn groups_may_end_anywhere() {
    let (_, stream) = streams().remove(1);
    let mut begin = 0;
    let mut cuts = Vec::new();
    for (index, unit) in stream.units.iter().enumerate() {
        if index % 8 == 0 && index > 0 {
            cuts.push(begin + unit.len() / 2);
        }
        begin += unit.len();
    }
    let mut laid = cut_at(&stream, cuts);
    // As the camera would write them: with the time of the first access unit.
    for (group, laid) in (0..).zip(&mut laid) {
        laid.record.time_us = recording().frame_us(group * 8, stream.fps);
    }
    let read = line::read(&line::write(&laid), "").clean();
    assert!(read.units() == stream.units);
    assert_eq!(read.warnings(), [""; 0]);
}

/// Ranges begin and end with the same access units as in records of whole ones.
#[test]
fn ranges_of_cut_records() {
    for (what, stream) in streams().drain(..3) {
        let whole = line::record(&recording(), &stream);
        let tenths = |unit: &[u8]| (1..10).map(|part| part * unit.len() / 10).collect();
        let cut = line::write(&cut_units(&stream, tenths));
        let at = |frame: usize, us: i64| {
            let time = recording().frame_us(frame, stream.fps);
            time.strict_add_signed(us)
        };
        let mut ranges = Vec::new();
        // Within the records of an access unit as well.
        for us in [-1, 0, 1, STEP_US as i64 * 5 + 1] {
            ranges.push(format!("start={}", at(11, us)));
            ranges.push(format!("start={} start-mode=keyframe-before", at(11, us)));
            ranges.push(format!("start={} start-mode=keyframe-before", at(16, us)));
            ranges.push(format!("start={} start-mode=exact", at(11, us)));
            ranges.push(format!("stop={}", at(13, us)));
            ranges.push(format!("start={} stop={}", at(8, 0), at(19, us)));
            ranges.push(format!("stop={} stop-mode=keyframe", at(13, us)));
        }
        for range in ranges {
            let expected = line::read(&whole, &range).clean();
            let found = line::read(&cut, &range).clean();
            let what = format!("{what}: {range}");
            assert_eq!(captures(&found), captures(&expected), "{what}");
            assert!(found.units() == expected.units(), "{what}");
            assert_eq!(found.stat("damaged"), 0, "{what}");
        }
    }
}

/// A piece without a start code is lost: the slice that it was in has other bytes, and no other.
#[test]
fn a_lost_piece_damages_what_it_was_in() {
    let (_, stream) = streams().remove(0);
    let thirds = |unit: &[u8]| vec![unit.len() / 3, 2 * unit.len() / 3];
    let mut laid = cut_units(&stream, thirds);
    let lost = laid.remove(3 * 10 + 1);
    let read = line::read(&line::write(&laid), "").clean();
    let units = read.units();
    assert_eq!(units.len(), 24);
    for (index, (found, unit)) in units.iter().zip(&stream.units).enumerate() {
        let missing = if index == 10 {
            lost.record.bytes.len()
        } else {
            0
        };
        assert_eq!(found.len() + missing, unit.len(), "{index}");
        assert!(index == 10 || found == unit, "{index}");
    }
}

/// A record that cannot continue a NAL unit ends it.
#[test]
fn a_record_of_something_else_cuts_the_access_unit() {
    let (_, stream) = streams().remove(0);
    let thirds = |unit: &[u8]| vec![unit.len() / 3, 2 * unit.len() / 3];
    let mut laid = cut_units(&stream, thirds);
    let mut other = laid[3 * 10].clone();
    other.record.time_us += STEP_US / 2;
    other.record.bytes = b"This is a text and no video at all."[..].into();
    let time_us = other.record.time_us;
    laid.insert(3 * 10 + 1, other);
    let read = line::read(&line::write(&laid), "").clean();
    let units = read.units();
    assert_eq!(units.len(), 24);
    for (index, (found, unit)) in units.iter().zip(&stream.units).enumerate() {
        assert!(index == 10 || found == unit, "{index}");
    }
    assert!(stream.units[10].starts_with(&units[10]));
    assert_eq!(read.flagged(gst::BufferFlags::CORRUPTED), [10]);
    assert_eq!(read.stat("damaged"), 1);
    let warnings = read.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(&time_us.to_string()), "{warnings:?}");
}

#[test]
fn a_range_may_begin_within_an_access_unit() {
    let (_, stream) = streams().remove(1);
    let length = stream.bytes().len();
    let laid = cut_at(&stream, (19..length).step_by(19));
    let bucket = line::write(&laid);
    let begins = begins(&stream, &laid);
    // Not within the keyframes: the rest of one would be another keyframe.
    let is_in_keyframe = |start: u64| {
        let unit = begins
            .partition_point(|begin| *begin < start)
            .saturating_sub(1);
        unit % 8 == 0 && begins[unit] < start
    };
    for start in times(&laid)
        .filter(|start| !is_in_keyframe(*start))
        .step_by(9)
    {
        let first = (0..24)
            .step_by(8)
            .find(|keyframe| begins[*keyframe] >= start);
        let read = line::read(&bucket, &format!("start={start}")).clean();
        let expected = first.map_or(&[][..], |first| &stream.units[first..]);
        assert_eq!(read.units().len(), expected.len(), "{start}");
        assert!(read.units() == expected, "{start}");
        assert_eq!(read.stat("damaged"), 0, "{start}");
    }
}

#[test]
fn cut_records_are_followed() {
    for (what, stream) in streams().drain(..2) {
        for size in [23, 400] {
            let length = stream.bytes().len();
            let laid = cut_at(&stream, (size..length).step_by(size));
            let bucket = SERVER.new_bucket();
            let write = |laid: &[Laid]| {
                SERVER.write_all(&bucket, "e", laid.iter().map(|laid| &laid.record));
            };
            let reading = Reading::new(&SERVER.url(), &bucket, "follow=true start=0");
            write(&laid[..laid.len() / 2]);
            reading.pipeline.play();
            let source = reading.pipeline.element("source");
            for laid in &laid[laid.len() / 2..] {
                write(std::slice::from_ref(laid));
            }
            await_that("not all records come", || {
                stat(&source, "records") >= laid.len() as u64
            });
            assert!(reading.pipeline.send_event(gst::event::Eos::new()));
            let read = reading.finish().clean();
            assert!(read.units() == stream.units, "{what}, {size}");
            assert_eq!(read.warnings(), [""; 0], "{what}, {size}");
            assert_eq!(read.stat("damaged"), 0, "{what}, {size}");
        }
    }
}

/// Records of whole access units, of which one is cut: it is told, and no other is damaged.
#[test]
fn a_cut_that_is_not_expected_while_following() {
    let (_, stream) = streams().remove(0);
    let bucket = SERVER.new_bucket();
    let mut laid = recording().lay(&stream);
    let mut rest = laid[12].clone();
    let cut = laid[12].record.bytes.len() / 2;
    rest.record.bytes = laid[12].record.bytes.slice(cut..);
    rest.record.time_us += STEP_US;
    laid[12].record.bytes = laid[12].record.bytes.slice(..cut);
    laid.insert(13, rest);
    SERVER.write_all(&bucket, "e", [&laid[0].record]);
    let reading = Reading::new(&SERVER.url(), &bucket, "follow=true start=0");
    reading.pipeline.play();
    let source = reading.pipeline.element("source");
    for (count, laid) in (2..).zip(&laid[1..]) {
        SERVER.write_all(&bucket, "e", [&laid.record]);
        await_that("a record does not come", || {
            stat(&source, "records") >= count
        });
    }
    assert!(reading.pipeline.send_event(gst::event::Eos::new()));
    let read = reading.finish().clean();
    let units = read.units();
    assert_eq!(units.len(), 24);
    for (index, (found, unit)) in units.iter().zip(&stream.units).enumerate() {
        assert!(index == 12 || found == unit, "{index}");
    }
    assert_eq!(read.stat("damaged"), 1);
    assert_eq!(read.warnings().len(), 1);
}

/// Groups of pictures in this order, by their places in output order.
fn ordered(order: &[i32], groups: usize, reorder: Option<u32>) -> Stream {
    let kind = |place: i32, at: usize| match at {
        0 => Slices::I,
        _ if order[..at].iter().all(|before| *before < place) => Slices::P,
        _ => Slices::B,
    };
    let frames = order.iter().enumerate();
    let group: Vec<Frame> = frames
        .map(|(at, place)| frame(kind(*place, at), *place))
        .collect();
    let sequence = Sequence {
        reorder,
        ..Default::default()
    };
    sequence.stream(&vec![group; groups], (10, 1)).0
}

/// The capture times of the buffers in frames, in decoding order.
fn places(read: &Read) -> Vec<u64> {
    let start = recording().start_us;
    let place = |buffer: &gst::Buffer| (capture_us(buffer).expect("a time") - start) / 100_000;
    read.buffers.iter().map(place).collect()
}

#[test]
fn a_declaration_that_is_wrong_moves_no_picture() {
    for (order, reorder) in [
        (&[0, 3, 1, 2, 6, 4, 5][..], 0),
        (&[0, 4, 2, 1, 3, 8, 6, 5, 7], 0),
        (&[0, 4, 2, 1, 3, 8, 6, 5, 7], 1),
        (&[0, 1, 2, 3, 4, 7, 5, 6, 8], 0),
    ] {
        let stream = ordered(order, 4, Some(reorder));
        let bucket = line::record(&recording(), &stream);
        let read = line::read(&bucket, "").clean();
        assert!(read.units() == stream.units);
        let count = order.len() as u64;
        let expected =
            (0..4).flat_map(|group| order.iter().map(move |place| group * count + *place as u64));
        assert_eq!(places(&read), expected.collect::<Vec<_>>(), "{order:?}");
        let dts: Vec<_> = read.buffers.iter().map(|buffer| buffer.dts()).collect();
        assert!(dts.is_sorted_by(|a, b| a < b), "{dts:?}");
        assert!(
            read.buffers
                .iter()
                .all(|buffer| buffer.dts() <= buffer.pts())
        );
        let warnings = read.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let declared = format!("max_num_reorder_frames is {reorder}");
        assert!(warnings[0].contains(&declared), "{warnings:?}");
    }
}

#[test]
fn in_order_pictures_wait_for_no_others_while_following() {
    let order: Vec<i32> = (0..10).collect();
    let stream = ordered(&order, 4, None);
    let laid = recording().lay(&stream);
    let bucket = SERVER.new_bucket();
    SERVER.write_all(&bucket, "e", laid[..20].iter().map(|laid| &laid.record));
    let reading = Reading::new(&SERVER.url(), &bucket, "follow=true start=0");
    reading.pipeline.play();
    let source = reading.pipeline.element("source");
    // Each comes before the next one is written.
    for (count, laid) in (21..).zip(&laid[20..]) {
        SERVER.write_all(&bucket, "e", [&laid.record]);
        await_that("a picture waits", || stat(&source, "access-units") >= count);
    }
    assert!(reading.pipeline.send_event(gst::event::Eos::new()));
    let read = reading.finish().clean();
    assert!(read.units() == stream.units);
    assert_eq!(read.warnings(), [""; 0]);
}
