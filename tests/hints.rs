// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductsrc` with doubtful input of users: wrong labels, bounds in another unit or outside of the
//! entry, content types, keyframe modes.

mod common;

use common::line::{self, Read};
use common::mp4;
use common::pipeline::{Pipeline, capture_us};
use common::recording::{Laid, Layout, Recording, at, laid_out_as};
use common::stream::{self, Content, Stream, StreamSpec, is_idr};
use common::{SERVER, line::record};
use gst::prelude::*;

/// The frames that are shown of what was read, in output order, by their capture times.
fn shown(bucket: &str, properties: &str) -> Vec<usize> {
    let pipeline = Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e {properties} ! appsink name=out",
        SERVER.url()
    ));
    let samples = pipeline.collect("out");
    pipeline.run().clean();
    let samples = samples.get();
    let captured = samples.iter().filter_map(|sample| {
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let buffer = sample.buffer()?;
        segment.to_running_time(buffer.pts())?;
        capture_us(buffer)
    });
    let mut captured: Vec<_> = captured.collect();
    captured.sort_unstable();
    let frame = |time: u64| ((time + 500 - at(0)) / 100_000) as usize;
    captured.into_iter().map(frame).collect()
}

/// Records an access unit a record, with labels `keyframe` as given for each frame, `None` for none.
fn labelled(stream: &Stream, label: impl Fn(usize, bool) -> Option<String>) -> String {
    let mut laid = laid_out_as(Layout::AccessUnit).lay(stream);
    for Laid { frames, record } in &mut laid {
        let value = label(frames.start, is_idr(&stream.units[frames.start]));
        let value = value.map(|value| ("keyframe".to_owned(), value));
        record.labels.extend(value);
    }
    line::write(&laid)
}

type Label = fn(usize, bool) -> Option<String>;

/// Labels as writers and scripts leave them.
const LABELS: [(&str, Label); 9] = [
    ("right", |_, idr| Some(idr.to_string())),
    ("none on the first half", |frame, idr| {
        (frame >= 30).then(|| idr.to_string())
    }),
    ("none on the second half", |frame, idr| {
        (frame < 30).then(|| idr.to_string())
    }),
    ("all true", |_, _| Some("true".into())),
    ("all false", |_, _| Some("false".into())),
    ("one late", |frame, _| Some((frame % 10 == 1).to_string())),
    ("every second keyframe hidden", |frame, _| {
        Some((frame % 20 == 0).to_string())
    }),
    ("at random", |frame, _| {
        Some((frame * 7919 % 13 < 6).to_string())
    }),
    ("other values", |frame, idr| {
        let values = [["no", "yes"], ["0", "1"], ["False", "True"]];
        Some(values[frame % 3][usize::from(idr)].into())
    }),
];

#[test]
fn labels_are_hints_to_where_keyframes_are() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        for (name, label) in LABELS {
            let bucket = labelled(&stream, label);
            for frame in [0_usize, 9, 10, 35, 49, 59] {
                for (mode, first) in [
                    ("exact", frame),
                    ("keyframe-before", frame / 10 * 10),
                    ("keyframe-after", frame.div_ceil(10) * 10),
                ] {
                    let range = format!("start={} start-mode={mode}", at(frame));
                    let frames: Vec<_> = (first..60).collect();
                    assert_eq!(shown(&bucket, &range), frames, "{name}, {mode} {frame}");
                }
            }
        }
    }
}

/// The frames that are pushed of keyframes only, at a rate.
fn keyframes_only(bucket: &str, rate: f64) -> Vec<usize> {
    let pipeline = Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e ! appsink name=out sync=false",
        SERVER.url()
    ));
    pipeline.set_state(gst::State::Paused).unwrap();
    let (result, ..) = pipeline.state(gst::ClockTime::from_seconds(10));
    result.unwrap();
    let samples = pipeline.collect("out");
    let flags =
        gst::SeekFlags::FLUSH | gst::SeekFlags::TRICKMODE | gst::SeekFlags::TRICKMODE_KEY_UNITS;
    let (set, none) = (gst::SeekType::Set, gst::SeekType::None);
    let zero = gst::ClockTime::ZERO;
    let event = gst::event::Seek::new(rate, flags, set, zero, none, gst::ClockTime::NONE);
    assert!(pipeline.send_event(event));
    pipeline.run().clean();
    let captured = samples
        .get()
        .iter()
        .filter_map(|sample| capture_us(sample.buffer()?))
        .collect::<Vec<_>>();
    let frame = |time: u64| ((time + 500 - at(0)) / 100_000) as usize;
    captured.into_iter().map(frame).collect()
}

#[test]
fn labels_are_hints_in_trick_modes() {
    let stream = Stream::with_b_frames();
    for (name, label) in LABELS {
        let bucket = labelled(&stream, label);
        let mut forwards = keyframes_only(&bucket, 4.0);
        forwards.dedup();
        assert_eq!(forwards, [0, 10, 20, 30, 40, 50], "{name}");
        let mut backwards = keyframes_only(&bucket, -4.0);
        backwards.dedup();
        assert_eq!(backwards, [50, 40, 30, 20, 10, 0], "{name}");
    }
}

/// Ranges side by side have each frame once, as buffers and as pictures of files.
#[test]
fn exact_ranges_part_the_frames() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        let pictures = mp4::stream_checksums(&stream);
        for layout in [Layout::AccessUnit, Layout::Gop, Layout::AccessUnits(3)] {
            let bucket = record(&laid_out_as(layout), &stream);
            for by in [-1_i64, 0, 1] {
                let bounds = [1, 10, 12, 33, 58].map(|frame| at(frame) as i64 + by);
                let bounds = [&[at(0) as i64 - 1], &bounds[..], &[at(60) as i64]].concat();
                for pair in bounds.windows(2) {
                    let range = format!(
                        "start={} stop={} start-mode=exact stop-mode=exact",
                        pair[0], pair[1]
                    );
                    let is_in = |frame: &usize| (pair[0]..pair[1]).contains(&(at(*frame) as i64));
                    let expected: Vec<_> = (0..60).filter(is_in).collect();
                    let what = format!("{range} {layout:?} {by}");
                    assert_eq!(shown(&bucket, &range), expected, "{what}");
                    if by != 0 || layout == Layout::Gop {
                        continue;
                    }
                    let export = line::export(&bucket, &range, "");
                    let expected: Vec<_> = expected.iter().map(|frame| &pictures[*frame]).collect();
                    assert_eq!(
                        export.pictures().iter().collect::<Vec<_>>(),
                        expected,
                        "{what}"
                    );
                }
            }
        }
    }
}

#[test]
fn keyframe_modes_are_right_to_the_microsecond() {
    let stream = Stream::with_b_frames();
    for layout in [Layout::AccessUnit, Layout::Gop] {
        let bucket = record(&laid_out_as(layout), &stream);
        for (by, before, after) in [(-1, 20, 30), (0, 30, 30), (1, 30, 40)] {
            let start = at(30) as i64 + by;
            for (mode, first) in [("keyframe-before", before), ("keyframe-after", after)] {
                let range = format!("start={start} start-mode={mode}");
                let frames: Vec<_> = (first..60).collect();
                assert_eq!(shown(&bucket, &range), frames, "{mode} {by} {layout:?}");
            }
        }
    }
}

/// The one warning of a reading that ends well.
fn told(bucket: &str, properties: &str) -> (usize, String) {
    let read: Read = line::read(bucket, properties).clean();
    let warnings = read.warnings();
    assert_eq!(warnings.len(), 1, "{properties}: {warnings:?}");
    (read.buffers.len(), warnings[0].clone())
}

#[test]
fn ranges_outside_the_entry_are_a_warning() {
    const HOUR: u64 = 3_600_000_000;
    const ENTRY: [&str; 2] = ["2025-06-13T08:30:53.273752Z", "2025-06-13T08:30:59.173752Z"];
    let bucket = record(&laid_out_as(Layout::AccessUnit), &Stream::example());
    let (us, first, last) = (at(30), at(0), at(59));
    let cases = [
        (
            format!("start={}", us / 1_000_000),
            60,
            "looks like seconds",
        ),
        (
            format!("start={}", us / 1000),
            60,
            "looks like milliseconds",
        ),
        (format!("start={}000", us), 0, "looks like nanoseconds"),
        (format!("stop={}", us / 1_000_000), 0, "looks like seconds"),
        (format!("stop={}", us / 1000), 0, "looks like milliseconds"),
        (format!("stop={}000", us), 60, "looks like nanoseconds"),
        (
            format!("ranges={0}/{1}", us / 1000, us / 1000 + 5),
            0,
            "looks like milliseconds",
        ),
        (format!("start={}", last + HOUR), 0, "has no record"),
        (format!("start={}", last + 1), 0, "has no frame"),
        (format!("stop={}", first - HOUR), 0, "has no record"),
        (
            format!("start={} stop={}", at(7) + 1, at(8)),
            0,
            "has no frame",
        ),
        (
            format!("start={}", first - HOUR),
            60,
            "begins before the entry",
        ),
        (format!("stop={}", last + HOUR), 60, "ends after the entry"),
    ];
    for (range, frames, text) in &cases {
        for mode in ["keyframe-after", "exact"] {
            let (read, warning) = told(&bucket, &format!("{range} start-mode={mode}"));
            assert!(warning.contains(text), "{range}: {warning}");
            assert!(ENTRY.iter().all(|date| warning.contains(date)), "{warning}");
            assert_eq!(read, *frames, "{range}: {warning}");
        }
    }
}

#[test]
fn a_range_in_a_hole_has_no_frame() {
    let recording = Recording {
        holes: vec![(30, 60_000_000)],
        ..laid_out_as(Layout::Gop)
    };
    let bucket = record(&recording, &Stream::example());
    let hole = format!("{}/{}", at(31), at(31) + 20_000_000);
    let (frames, warning) = told(&bucket, &format!("ranges={hole} start-mode=exact"));
    assert_eq!(frames, 0);
    assert!(warning.contains("has no frame"), "{warning}");
}

#[test]
fn ranges_within_the_entry_are_no_warning() {
    let bucket = record(&laid_out_as(Layout::Gop), &Stream::example());
    for range in [
        format!("start={} stop={}", at(0), at(60)),
        format!("start={} stop={} start-mode=exact", at(55), at(56)),
        "start=0".to_owned(),
    ] {
        let read = line::read(&bucket, &range).clean();
        assert_eq!(read.warnings(), [""; 0], "{range}");
    }
}

/// Writes JPEGs at these times besides a stream.
fn with_pictures(times: &[u64]) -> String {
    let bucket = record(&laid_out_as(Layout::AccessUnit), &Stream::example());
    for time in times {
        let labels = [("keyframe", "true")];
        SERVER.write(
            &bucket,
            "e",
            *time,
            "image/jpeg",
            &labels,
            vec![0xff, 0xd8, 0xff],
        );
    }
    bucket
}

#[test]
fn records_of_other_types_are_left_out_wherever_they_are() {
    let units = Stream::example().units;
    for (times, damaged) in [
        (vec![at(0) - 1_000_000], 1),
        (vec![at(0) - 2_000_000, at(0) - 1_000_000, at(5) + 1], 3),
        (vec![at(59) + 1], 1),
    ] {
        let bucket = with_pictures(&times);
        let read = line::read(&bucket, "").clean();
        assert!(read.units() == units, "{times:?}");
        assert_eq!(read.stat("damaged"), damaged);
        let warnings = read.warnings();
        assert!(warnings[0].contains("image/jpeg"), "{warnings:?}");
        assert_eq!(warnings.len(), damaged.min(2) as usize, "{warnings:?}");

        let outcome = line::read(&bucket, "on-error=stop").outcome;
        let error = format!("{:?}", outcome.errors);
        assert!(!outcome.eos && error.contains("image/jpeg"), "{error}");
    }
    // A label does not make them keyframes.
    let bucket = with_pictures(&[at(35) + 1]);
    let range = format!("start={} start-mode=keyframe-before", at(35) + 2);
    assert_eq!(shown(&bucket, &range), (30..60).collect::<Vec<_>>());
}

#[test]
fn a_range_of_other_types_only_is_an_error() {
    let bucket = with_pictures(&[at(0) - 3_000_000, at(0) - 1_000_000]);
    let range = format!("stop={}", at(0) - 1);
    let outcome = line::read(&bucket, &range).outcome;
    let error = format!("{:?}", outcome.errors);
    assert!(!outcome.eos && error.contains("image/jpeg"), "{error}");
}

/// A stream with I pictures that are neither IDR pictures nor recovery points, at 10 and 30 of 40.
fn with_intra_pictures() -> Stream {
    let whole = Stream::make(StreamSpec {
        gop: 20,
        content: Content::Cuts,
        x264_params: "ref=1",
        ..Default::default()
    });
    let headers = stream::nal_units(&whole.units[0]);
    let headers = headers
        .into_iter()
        .filter(|nal| matches!(nal[0] & 0x1f, 7 | 8));
    let headers: Vec<u8> = headers
        .flat_map(|nal| [&[0, 0, 0, 1], nal].concat())
        .collect();
    // From behind an IDR picture to the next one.
    whole.slice(1..20).map_units(|frame, unit| match frame {
        0 => [&headers, unit].concat(),
        _ => unit.to_vec(),
    })
}

#[test]
fn intra_pictures_are_keyframes_as_the_mode_says() {
    let stream = with_intra_pictures();
    for layout in [Layout::AccessUnit, Layout::AccessUnits(4)] {
        let bucket = record(&laid_out_as(layout), &stream);
        let (frames, warning) = told(&bucket, "");
        assert_eq!(frames, 0);
        assert!(warning.contains("keyframe-mode=intra"), "{warning}");

        let intra: Vec<_> = (9..19).collect();
        assert_eq!(shown(&bucket, "keyframe-mode=intra"), intra, "{layout:?}");
        for mode in ["keyframe-before", "exact"] {
            let first = if mode == "exact" { 14 } else { 9 };
            let range = format!("keyframe-mode=intra start={} start-mode={mode}", at(14));
            let frames: Vec<_> = (first..19).collect();
            assert_eq!(shown(&bucket, &range), frames, "{mode} {layout:?}");
        }
    }
}
