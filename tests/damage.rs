// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records that are no pictures, and records that are broken.

mod common;

use common::SERVER;
use common::line::{self, Export, Read, Reading};
use common::mp4;
use common::pcm::{Sequence, Slices, frame, recovery_point};
use common::recording::{Laid, Layout, Recording};
use common::stream::{Stream, StreamSpec, nal_ranges, nal_type, nal_units, payload};
use gst::prelude::*;

/// Frames at 30 fps.
const FPS: &str = "fps=30/1";

/// The record that is broken: a P picture in the second of four GOPs.
const BROKEN: usize = 20;

/// Two seconds at 30 fps, in GOPs of half a second.
fn stream_of(x264_params: &'static str) -> Stream {
    Stream::make(StreamSpec {
        fps: (30, 1),
        gop: 15,
        x264_params,
        ..Default::default()
    })
}

/// Streams without and with reordered pictures.
fn streams() -> [Stream; 2] {
    [stream_of(""), reordered()]
}

/// A stream with reordered pictures.
fn reordered() -> Stream {
    stream_of("bframes=3:b-pyramid=normal")
}

/// A recording whose frame rate the property says.
fn laid_out_as(layout: Layout) -> Recording {
    Recording {
        layout,
        labels: &[],
        ..Default::default()
    }
}

/// A stream, an access unit a record.
fn records(stream: &Stream) -> Vec<Laid> {
    laid_out_as(Layout::AccessUnit).lay(stream)
}

/// NAL units with start codes.
fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    let nals = nals.iter();
    nals.flat_map(|nal| [&[0, 0, 0, 1], *nal].concat())
        .collect()
}

/// NAL units that are no part of a picture, or of none that a file could have.
fn other_nals() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("delimiter", vec![9, 0xf0]),
        ("user data", b"\x06\x05\x12gst-plugin-reduct\x21\x80".into()),
        ("filler", [&[12][..], &[0xff; 500], &[0x80]].concat()),
        ("prefix", vec![0x6e, 0x40, 0x80, 0x07, 0x10]),
        ("subset SPS", Sequence::default().sps_of_type(15)),
        (
            "slice extension",
            vec![0x74, 0x40, 0x80, 0x07, 0xb8, 0x40, 0x22],
        ),
        ("auxiliary picture", vec![0x13, 0xb8, 0x40, 0x22, 0x33]),
        ("SPS extension", vec![0x6d, 0xa8]),
        ("reserved", vec![0x16, 0x12, 0x34]),
        ("unspecified", vec![0x18, 0x12, 0x34]),
    ]
}

/// A stream and the checksums of its pictures.
struct Reference(Stream, Vec<String>);

impl Reference {
    fn new(stream: Stream) -> Self {
        let checksums = mp4::stream_checksums(&stream);
        Self(stream, checksums)
    }

    /// Checks that an export is that of the stream itself: no frame more or less, no cut, no
    /// complaint.
    #[track_caller]
    fn assert_is(&self, export: &Export, what: &str) {
        assert_eq!(export.warnings(), [""; 0], "{what}");
        self.assert_is_besides(0, export, what);
    }

    /// Besides so many records with a fault.
    #[track_caller]
    fn assert_is_besides(&self, damaged: u64, export: &Export, what: &str) {
        let Self(stream, checksums) = self;
        assert_eq!(export.summary(), [(60, "eos")], "{what}");
        let counts = [
            ("access-units", 60),
            ("gaps", 0),
            ("dropped", 0),
            ("damaged", damaged),
        ];
        for (name, count) in counts {
            assert_eq!(export.source_stat(name), count, "{what}: {name}");
        }
        export.checked_files(stream.fps);
        let episode = &export.episodes[0];
        let decoded = mp4::decode(&episode.location);
        line::check_pictures(episode, &decoded, stream.fps);
        assert_eq!(decoded.checksums, *checksums, "{what}");
    }
}

/// Adds records with this content: before the first picture, between two in the middle of a group,
/// between two groups, and behind the last one.
fn with_records(laid: &[Laid], bytes: &[u8]) -> Vec<Laid> {
    let mut laid = laid.to_vec();
    for (index, us) in [(60, 33_000), (30, -10_000), (20, -10_000), (0, -10_000)] {
        let mut other = laid[index.min(59)].clone();
        other.frames = index..index;
        other.record.time_us = other.record.time_us.strict_add_signed(us);
        other.record.bytes = bytes.to_vec().into();
        laid.insert(index, other);
    }
    laid
}

#[test]
fn nal_units_of_no_picture_are_no_frames() {
    for stream in streams() {
        let reference = Reference::new(stream.clone());
        for (what, nal) in other_nals() {
            // A delimiter is before the slices by any means, and each of the others may be.
            let before = stream.with_nal_before_slices(&nal);
            let within = match what {
                "delimiter" => stream.with_auds(),
                _ => before,
            };
            let bucket = line::record(&laid_out_as(Layout::AccessUnits(7)), &within);
            reference.assert_is(&line::export(&bucket, FPS, ""), what);
        }
    }
}

#[test]
fn nal_units_after_the_slices_are_no_frames() {
    let stream = reordered();
    let reference = Reference::new(stream.clone());
    for (what, nal) in other_nals() {
        // What begins the next access unit is no part of this one, but it does no harm.
        let bucket = line::record(&laid_out_as(Layout::Gop), &stream.with_nal_at_end(&nal));
        reference.assert_is(&line::export(&bucket, FPS, ""), what);
    }
}

#[test]
fn records_of_no_picture_are_no_frames() {
    let stream = stream_of("");
    let reference = Reference::new(stream.clone());
    for (what, nal) in other_nals() {
        let laid = with_records(&records(&stream), &annex_b(&[&nal]));
        let export = line::export(&line::write(&laid), FPS, "");
        reference.assert_is(&export, what);
    }
}

#[test]
fn records_of_nothing_are_no_frames() {
    let stream = reordered();
    let reference = Reference::new(stream.clone());
    for (what, bytes) in [
        ("a zero", &[0][..]),
        ("three zeros", &[0; 3]),
        ("many zeros", &[0; 1000]),
    ] {
        let laid = with_records(&records(&stream), bytes);
        let export = line::export(&line::write(&laid), FPS, "");
        reference.assert_is(&export, what);
    }
}

#[test]
fn empty_records_are_counted() {
    let stream = reordered();
    let laid = with_records(&records(&stream), &[]);
    let export = line::export(&line::write(&laid), FPS, "");
    Reference::new(stream).assert_is_besides(4, &export, "empty");
    let warnings = export.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].ends_with("is empty"), "{warnings:?}");
    assert!(warnings[1].starts_with("3 more records"), "{warnings:?}");
}

#[test]
fn ends_of_sequence_are_no_frames() {
    for stream in streams() {
        let reference = Reference::new(stream.clone());
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let bucket = line::record(&laid_out_as(layout), &stream.with_ends());
            reference.assert_is(&line::export(&bucket, FPS, ""), "in the unit");
        }
        // In a record of its own, between two groups.
        let mut laid = records(&stream);
        let mut end = laid[30].clone();
        end.frames = 30..30;
        end.record.time_us -= 10_000;
        end.record.bytes = annex_b(&[&[10]]).into();
        laid.insert(30, end);
        let export = line::export(&line::write(&laid), FPS, "");
        reference.assert_is(&export, "in a record");
    }
}

#[test]
fn zeros_around_nal_units_are_no_frames() {
    for stream in streams() {
        let reference = Reference::new(stream.clone());
        let trailing = stream.map_units(|_, unit| [unit, &[0; 40]].concat());
        let leading = stream.map_units(|_, unit| [&[0; 40], unit].concat());
        for stream_with_zeros in [trailing, leading] {
            for layout in [Layout::AccessUnit, Layout::AccessUnits(7)] {
                let bucket = line::record(&laid_out_as(layout), &stream_with_zeros);
                reference.assert_is(&line::export(&bucket, FPS, ""), "zeros");
            }
        }
    }
}

#[test]
fn other_messages_are_no_recovery_points() {
    // One in each unit, of which none is an IDR picture: with recovery points it would be cut.
    let stream = stream_of("keyint=60:min-keyint=60");
    let stream = stream.with_nal_before_slices(b"\x06\x05\x12gst-plugin-reduct\x21\x80");
    let bucket = line::record(&laid_out_as(Layout::AccessUnit), &stream);
    let splitter = "keyframe-mode=recovery-point duration=500000000";
    let export = line::export(&bucket, FPS, splitter);
    assert_eq!(export.summary(), [(60, "eos")]);
    let stream = stream.with_nal_before_slices(&recovery_point(0));
    let bucket = line::record(&laid_out_as(Layout::AccessUnit), &stream);
    let export = line::export(&bucket, FPS, splitter);
    assert!(export.episodes.len() > 1, "this test shows something");
}

/// A way to break an access unit.
type Break = fn(&[u8]) -> Vec<u8>;

/// Lengths instead of start codes.
fn length_prefixed(unit: &[u8]) -> Vec<u8> {
    let nals = nal_units(unit).into_iter();
    nals.flat_map(|nal| [&(nal.len() as u32).to_be_bytes(), nal].concat())
        .collect()
}

/// The last NAL unit, which is a slice, with other bytes behind its start code.
fn with_slice(unit: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let last = nal_ranges(unit).pop().expect("a slice");
    let slice = payload(&unit[last.clone()]);
    assert!(matches!(nal_type(slice), 1 | 5));
    [&unit[..last.start], &[0, 0, 0, 1], &change(slice)].concat()
}

/// Cuts a slice off within its header.
fn truncated(unit: &[u8]) -> Vec<u8> {
    with_slice(unit, |slice| slice[..2].to_vec())
}

/// Ways to break an access unit so that nothing of it is left, and whether it can be seen that it
/// was a picture.
const BREAKS: [(&str, Break, bool); 6] = [
    ("truncated", truncated, true),
    (
        "header only",
        |unit| with_slice(unit, |slice| vec![slice[0]]),
        true,
    ),
    (
        "no H.264",
        |_| b"This is a text and no video at all.".into(),
        false,
    ),
    (
        "a JPEG picture",
        |_| {
            [
                &[0xff, 0xd8, 0xff, 0xe0, 0, 16][..],
                b"JFIF\0",
                &[0xaa; 200],
            ]
            .concat()
        },
        false,
    ),
    ("lengths", length_prefixed, false),
    (
        "forbidden bit",
        |unit| with_slice(unit, |slice| [&[slice[0] | 0x80], &slice[1..]].concat()),
        false,
    ),
];

/// A stream, an access unit a record, one of which is broken.
fn broken(stream: &Stream, how: Break) -> (String, u64) {
    let mut laid = records(stream);
    let bytes = how(&laid[BROKEN].record.bytes);
    laid[BROKEN].record.bytes = bytes.into();
    (line::write(&laid), laid[BROKEN].record.time_us)
}

#[track_caller]
fn assert_names(text: &str, time_us: u64, what: &str) {
    let time = time_us.to_string();
    assert!(text.contains(&time), "{what}: no {time} in {text:?}");
}

/// The stream's units without some.
fn without(stream: &Stream, missing: &[usize]) -> Vec<Vec<u8>> {
    let units = stream.units.iter().enumerate();
    units
        .filter(|(index, _)| !missing.contains(index))
        .map(|(_, unit)| unit.clone())
        .collect()
}

/// Checks what the source made of a stream of whose units one is not delivered.
#[track_caller]
fn assert_skipped(read: &Read, stream: &Stream, time_us: u64, picture: bool, what: &str) {
    assert!(read.outcome.eos, "{what}: {}", read.outcome.text());
    assert!(
        read.outcome.errors.is_empty(),
        "{what}: {}",
        read.outcome.text()
    );
    assert!(
        read.units() == without(stream, &[BROKEN]),
        "{what}: other units"
    );
    let warnings = read.warnings();
    assert_eq!(warnings.len(), 1, "{what}: {warnings:?}");
    assert_names(&warnings[0], time_us, what);
    assert_eq!(read.stat("damaged"), 1, "{what}");
    let dropped = read.stat("dropped");
    assert!(
        dropped <= 1 && (dropped == 1 || !picture),
        "{what}: {dropped}"
    );
    assert_eq!(read.stat("access-units"), 59, "{what}");
    let discont = read.flagged(gst::BufferFlags::DISCONT);
    assert_eq!(discont, [0, BROKEN], "{what}");
    assert_eq!(read.flagged(gst::BufferFlags::CORRUPTED), [0; 0], "{what}");
}

#[test]
fn a_broken_record_is_skipped_with_a_warning() {
    let stream = stream_of("");
    for (what, how, picture) in BREAKS {
        let (bucket, time_us) = broken(&stream, how);
        for on_error in ["", "on-error=skip"] {
            let read = line::read(&bucket, &format!("{FPS} {on_error}"));
            assert_skipped(&read, &stream, time_us, picture, what);
        }
    }
}

/// The pictures of two sequences would get into each other's order.
#[test]
fn a_lost_idr_picture_moves_no_other_picture() {
    let mut laid = records(&reordered());
    let whole = line::read(&line::write(&laid), FPS);
    laid[30].record.bytes = b"lost".to_vec().into();
    let read = line::read(&line::write(&laid), FPS);
    let mut expected: Vec<_> = whole.buffers.iter().map(|buffer| buffer.pts()).collect();
    expected.remove(30);
    let found: Vec<_> = read.buffers.iter().map(|buffer| buffer.pts()).collect();
    assert_eq!(found, expected);
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0, 30]);
}

#[test]
fn records_of_something_else_are_no_loss() {
    let stream = reordered();
    let mut laid = records(&stream);
    let others = [3, 20, 44].map(|unit: usize| {
        let mut other = laid[unit].clone();
        other.record.time_us += 1;
        other.record.content_type = "application/json".into();
        other.record.bytes = b"{}".to_vec().into();
        other
    });
    laid.extend(others);
    laid.sort_by_key(|laid| laid.record.time_us);
    let read = line::read(&line::write(&laid), FPS);
    assert!(read.units() == stream.units);
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0]);
    assert_eq!((read.stat("damaged"), read.stat("dropped")), (3, 0));
    let warnings = read.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("application/json"), "{warnings:?}");
    assert!(warnings[1].contains("2 more records"), "{warnings:?}");
}

#[test]
fn a_broken_record_may_stop_the_source() {
    let stream = stream_of("");
    for (what, how, _) in BREAKS {
        let (bucket, time_us) = broken(&stream, how);
        let read = line::read(&bucket, &format!("{FPS} on-error=stop"));
        assert_eq!(
            read.outcome.errors.len(),
            1,
            "{what}: {}",
            read.outcome.text()
        );
        let (error, _) = &read.outcome.errors[0];
        assert!(error.matches(gst::StreamError::Decode), "{what}: {error:?}");
        assert_names(error.message(), time_us, what);
        assert!(!read.outcome.eos, "{what}");
        let units = read.units();
        assert!(units.len() <= BROKEN, "{what}: {}", units.len());
        assert!(units == stream.units[..units.len()], "{what}");
    }
}

#[test]
fn files_around_a_broken_record_are_whole() {
    for stream in streams() {
        let source = mp4::stream_checksums(&stream);
        for (what, how, _) in BREAKS {
            let (bucket, _) = broken(&stream, how);
            let export = line::export(&bucket, FPS, "");
            // The rest of the group refers to the missing pictures.
            assert_eq!(export.summary(), [(20, "gap"), (30, "eos")], "{what}");
            assert_eq!(export.dropped(), [0, 9], "{what}");
            assert_eq!(export.source_stat("damaged"), 1, "{what}");
            let second = mp4::frame_checksums(&export.episodes[1].location);
            assert_eq!(second, source[30..], "{what}");
            let first = mp4::frame_checksums(&export.episodes[0].location);
            assert_eq!(first.len(), 20, "{what}");
            assert!(
                first.iter().all(|picture| source[..30].contains(picture)),
                "{what}"
            );
        }
    }
}

#[test]
fn length_prefixed_records_are_reported_as_such() {
    let stream = stream_of("");
    let (bucket, _) = broken(&stream, length_prefixed);
    let read = line::read(&bucket, FPS);
    let warnings = read.warnings();
    assert!(warnings[0].contains("length-prefixed"), "{warnings:?}");
    let read = line::read(&bucket, &format!("{FPS} on-error=stop"));
    let error = read.outcome.error().0.message();
    assert!(error.contains("length-prefixed"), "{error}");
}

/// Checks that the source gives up on a stream and says why.
#[track_caller]
fn assert_useless(laid: &[Laid], why: &str) {
    let bucket = line::write(laid);
    for on_error in ["skip", "stop"] {
        let export = line::run(&bucket, &format!("{FPS} on-error={on_error}"), "");
        assert!(export.episodes.is_empty(), "{on_error}");
        let (error, _) = export.outcome.error();
        let mut texts = export.warnings();
        texts.push(error.message().into());
        let told = texts.iter().any(|text| text.contains(why));
        assert!(told, "{on_error}: no {why:?} in {texts:?}");
        if on_error == "stop" {
            assert_names(error.message(), laid[0].record.time_us, on_error);
        }
        assert_eq!(mp4::episodes(export.folder.path()).len(), 0, "{on_error}");
    }
}

#[test]
fn a_range_without_a_usable_record_is_an_error() {
    let stream = stream_of("");
    for (_, how, _) in &BREAKS[2..4] {
        let mut laid = records(&stream);
        for laid in &mut laid {
            laid.record.bytes = how(&laid.record.bytes).into();
        }
        assert_useless(&laid, "");
    }
}

#[test]
fn a_stream_of_length_prefixed_records_is_an_error_that_says_so() {
    let stream = stream_of("");
    for layout in [Layout::AccessUnit, Layout::Gop] {
        let mut laid = laid_out_as(layout).lay(&stream);
        for laid in &mut laid {
            laid.record.bytes = length_prefixed(&laid.record.bytes).into();
        }
        assert_useless(&laid, "length-prefixed");
    }
}

#[test]
fn lengths_that_look_like_a_start_code_are_found() {
    // The length of the first NAL unit is 0x000001xx, as if a start code of three bytes began it.
    let stream = stream_of("");
    let user_data = [&[6, 5, 255, 20][..], &[0x55; 275], &[0x80]].concat();
    assert_eq!(user_data.len() >> 8, 1);
    let mut laid = records(&stream.with_nal_before_slices(&user_data));
    for laid in &mut laid {
        let mut nals = nal_units(&laid.record.bytes);
        nals.sort_by_key(|nal| nal_type(nal) != 6);
        laid.record.bytes = length_prefixed(&annex_b(&nals)).into();
    }
    assert_useless(&laid, "length-prefixed");
}

#[test]
fn a_broken_slice_of_several_leaves_the_others() {
    let stream = stream_of("slices=4");
    for slice in [0, 2, 3] {
        let mut laid = records(&stream);
        let unit = laid[BROKEN].record.bytes.to_vec();
        let range = nal_ranges(&unit)[slice].clone();
        let at = range.end - payload(&unit[range.clone()]).len();
        assert!(matches!(nal_type(&unit[at..]), 1));
        let mut bytes = unit.clone();
        bytes[at] |= 0x80;
        laid[BROKEN].record.bytes = bytes.into();
        let bucket = line::write(&laid);
        let read = line::read(&bucket, FPS);
        let what = format!("slice {slice}");
        assert!(read.outcome.eos, "{what}: {}", read.outcome.text());
        assert_eq!(read.buffers.len(), 60, "{what}");
        assert_eq!(
            read.flagged(gst::BufferFlags::CORRUPTED),
            [BROKEN],
            "{what}"
        );
        assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0], "{what}");
        assert_eq!(read.stat("damaged"), 1, "{what}");
        assert_eq!(read.stat("dropped"), 0, "{what}");
        let warnings = read.warnings();
        assert_eq!(warnings.len(), 1, "{what}: {warnings:?}");
        assert_names(&warnings[0], laid[BROKEN].record.time_us, &what);

        let stop = line::read(&bucket, &format!("{FPS} on-error=stop"));
        let (error, _) = stop.outcome.error();
        assert!(error.matches(gst::StreamError::Decode), "{what}: {error:?}");
    }
}

/// A stream by hand, one of whose pictures uses a PPS that there is not.
fn with_unknown_pps() -> (Stream, Stream) {
    let frames: Vec<_> = (0..15)
        .map(|display| match display {
            0 => frame(Slices::I, 0),
            _ => frame(Slices::P, display),
        })
        .collect();
    let gops = vec![frames; 4];
    let (whole, _) = Sequence::default().stream(&gops, (30, 1));
    let mut gops = gops;
    gops[BROKEN / 15][BROKEN % 15].pps_id = 7;
    let (broken, _) = Sequence::default().stream(&gops, (30, 1));
    (whole, broken)
}

#[test]
fn a_slice_of_an_unknown_pps_is_broken() {
    let (whole, broken) = with_unknown_pps();
    let laid = records(&broken);
    let time_us = laid[BROKEN].record.time_us;
    let bucket = line::write(&laid);
    assert_skipped(
        &line::read(&bucket, FPS),
        &whole,
        time_us,
        true,
        "unknown PPS",
    );
    let read = line::read(&bucket, &format!("{FPS} on-error=stop"));
    let (error, _) = read.outcome.error();
    assert!(error.matches(gst::StreamError::Decode), "{error:?}");
    assert_names(error.message(), time_us, "unknown PPS");
}

#[test]
fn a_broken_unit_within_a_record_leaves_the_others() {
    let (whole, broken) = with_unknown_pps();
    let laid = laid_out_as(Layout::Gop).lay(&broken);
    // The message names the record, which begins with the group.
    let time_us = laid[1].record.time_us;
    let read = line::read(&line::write(&laid), FPS);
    assert_skipped(&read, &whole, time_us, true, "in a group");
}

#[test]
fn several_broken_records_are_counted() {
    let stream = stream_of("");
    let mut laid = records(&stream);
    let missing = [18, 20, 21, 40];
    for index in missing {
        laid[index].record.bytes = b"This is no video."[..].into();
    }
    let read = line::read(&line::write(&laid), FPS);
    assert!(read.outcome.eos, "{}", read.outcome.text());
    assert!(read.units() == without(&stream, &missing), "other units");
    assert_eq!(read.stat("damaged"), 4);
    let discont = read.flagged(gst::BufferFlags::DISCONT);
    assert_eq!(discont, [0, 18, 19, 37]);
    let warnings = read.warnings();
    assert_names(&warnings[0], laid[18].record.time_us, "the first");
}

#[test]
fn a_broken_record_at_the_end_is_a_warning() {
    let stream = stream_of("");
    let mut laid = records(&stream);
    laid[59].record.bytes = b"This is no video."[..].into();
    let read = line::read(&line::write(&laid), FPS);
    assert!(read.outcome.eos, "{}", read.outcome.text());
    assert!(read.units() == stream.units[..59]);
    assert_eq!(read.stat("damaged"), 1);
    assert_eq!(read.warnings().len(), 1);
}

#[test]
fn a_broken_record_at_the_beginning_is_a_warning() {
    let stream = stream_of("");
    let mut laid = records(&stream);
    laid[0].record.bytes = b"This is no video."[..].into();
    let read = line::read(&line::write(&laid), FPS);
    // No parameter sets are left before the second group.
    assert!(read.outcome.eos, "{}", read.outcome.text());
    assert!(read.units() == stream.units[15..]);
    assert_eq!(read.stat("damaged"), 1);
    // It is unknown whether the text was a picture.
    assert!(matches!(read.stat("dropped"), 14 | 15));
    assert_names(&read.warnings()[0], laid[0].record.time_us, "the first");
}

#[test]
fn a_new_run_counts_anew() {
    let stream = stream_of("");
    let (bucket, _) = broken(&stream, truncated);
    let pipeline = common::pipeline::Pipeline::launch(&format!(
        "reductsrc name=source url={} bucket={bucket} entry=e {FPS} ! fakesink",
        SERVER.url(),
    ));
    for _ in 0..2 {
        pipeline.run().clean();
        let stats: gst::Structure = pipeline.element("source").property("stats");
        assert_eq!(stats.get::<u64>("damaged"), Ok(1));
        assert_eq!(stats.get::<u64>("dropped"), Ok(1));
    }
}

#[test]
fn records_that_gstreamer_cannot_count_to_are_left_out() {
    let stream = Stream::example();
    for time in [u64::MAX / 1000, u64::MAX / 1000 + 1, 1 << 63, u64::MAX - 10] {
        let bucket = line::write(&records(&stream));
        let unit = stream.units[0].clone();
        SERVER.write(&bucket, "e", time, "video/h264", &[("fps", "10")], unit);
        let read = Reading::new(&SERVER.url(), &bucket, "").run();
        if time > (u64::MAX - 1) / 1000 {
            assert!(read.outcome.eos, "{time}: {}", read.outcome.text());
            assert!(read.units() == stream.units, "{time}: other units");
            assert_eq!(read.stat("damaged"), 1, "{time}");
            let warnings = read.warnings();
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert_names(&warnings[0], time, "a time");
        }
        let stopped = Reading::new(&SERVER.url(), &bucket, "on-error=stop").run();
        let is_counted = time <= (u64::MAX - 1) / 1000;
        assert_eq!(stopped.outcome.errors.is_empty(), is_counted, "{time}");
    }
}

/// A stream without parameter sets before the unit `until`.
fn without_sets(stream: &Stream, until: usize) -> Stream {
    stream.map_units(|index, unit| {
        let nals = nal_units(unit);
        let left =
            (nals.iter().copied()).filter(|nal| index >= until || !matches!(nal_type(nal), 7 | 8));
        annex_b(&left.collect::<Vec<_>>())
    })
}

#[test]
fn a_range_that_lacks_parameter_sets_is_an_error() {
    let stream = stream_of("");
    let bare = without_sets(&stream, 60);
    for layout in [Layout::AccessUnit, Layout::Gop] {
        let laid = laid_out_as(layout).lay(&bare);
        let idr = laid
            .iter()
            .find(|laid| laid.frames.start == 15)
            .expect("a second group")
            .record
            .time_us;
        // The message names the first IDR picture, not a NAL unit that may belong to a picture before it.
        for (from, named) in [(0, laid[0].record.time_us), (1, idr)] {
            let bucket = line::write(&laid[from..]);
            for on_error in ["", "on-error=stop"] {
                let read = line::read(&bucket, &format!("{FPS} {on_error}"));
                let (error, _) = read.outcome.error();
                assert!(error.matches(gst::StreamError::Decode), "{error}");
                for part in ["SPS and PPS", &named.to_string(), "parameter-set-lookback"] {
                    assert!(error.message().contains(part), "{layout:?} {from}: {error}");
                }
                assert!(!read.outcome.eos);
                assert_eq!(read.units().len(), 0);
            }
        }
    }

    // Each IDR picture without them is damage, as is what follows it.
    let bucket = line::write(&records(&without_sets(&stream, 30)));
    let read = line::read(&bucket, FPS).clean();
    assert_eq!((read.stat("damaged"), read.units().len()), (30, 30));
    let read = line::read(&bucket, &format!("{FPS} on-error=stop"));
    let (error, _) = read.outcome.error();
    assert!(error.message().contains("SPS and PPS"), "{error}");
    assert_eq!(read.units().len(), 0);
}

#[test]
fn a_stream_that_is_joined_in_the_middle_is_not_broken() {
    let laid = records(&stream_of("")).split_off(5);
    let time = |index: usize| laid[index].record.time_us;
    let bucket = line::write(&laid);
    let between = format!("ranges={}/{},{}/{}", time(0), time(8), time(10), time(40));
    for (range, frames) in [("", 45), (between.as_str(), 30)] {
        for on_error in ["", "on-error=stop"] {
            let read = line::read(&bucket, &format!("{FPS} {range} {on_error}")).clean();
            assert_eq!(read.stat("damaged"), 0);
            assert_eq!(read.units().len(), frames, "{range}");
        }
    }
    // Nothing else is in the range.
    for range in [
        format!("stop={}", time(8)),
        format!("ranges={}/{},{}/{}", time(0), time(3), time(4), time(8)),
    ] {
        let read = line::read(&bucket, &format!("{FPS} {range}"));
        let (error, _) = read.outcome.error();
        assert!(error.message().contains("SPS and PPS"), "{error}");
    }
}

#[test]
fn a_condition_that_leaves_out_all_keyframes_is_a_warning() {
    let mut laid = records(&stream_of(""));
    for laid in &mut laid {
        let is_keyframe = laid.frames.start % 15 == 0;
        let labels = &mut laid.record.labels;
        labels.push(("key".into(), is_keyframe.to_string()));
    }
    let bucket = line::write(&laid);
    let when = r#"when="{\"&key\":{\"$eq\":false}}""#;
    let read = line::read(&bucket, &format!("{FPS} {when}")).clean();
    assert_eq!(read.units().len(), 0);
    let warnings = read.warnings();
    let last = warnings.last().expect("a warning");
    for part in ["property when", "SPS and PPS", "IDR pictures"] {
        assert!(last.contains(part), "{warnings:?}");
    }
}
