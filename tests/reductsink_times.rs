// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Record times, frame rates and parameter sets of cameras, clocks and files as they are.

mod common;

use std::env;
use std::fs;
use std::process::Command;

use common::SERVER;
use common::child;
use common::pipeline::Pipeline;
use common::recorder::{Recorded, Recorder, START_US, label, read_back};
use common::server::Record;
use common::stream::{Stream, StreamSpec, nal_type, nal_units};
use gst::prelude::*;

const FRAME: u64 = 40_000;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const B_FRAMES: &str = "bframes=2:b-adapt=0:b-pyramid=none";
const CAPS: &str = "video/x-h264,stream-format=byte-stream,alignment=au";

/// A stream of small pictures at 25 fps.
fn stream(frames: usize, x264_params: &'static str) -> Stream {
    Stream::make(StreamSpec {
        fps: (25, 1),
        frames,
        gop: 25,
        size: (64, 64),
        x264_params,
        ..Default::default()
    })
}

/// The place in output order of each access unit, in decoding order: two B-frames are decoded after
/// the reference picture that follows them.
fn places(params: &str) -> Vec<u64> {
    let in_gop: Vec<_> = match params {
        B_FRAMES => (0..25)
            .map(|at: u64| match at % 3 {
                1 => at + 2,
                _ => at.saturating_sub(1),
            })
            .collect(),
        _ => (0..25).collect(),
    };
    (0..3)
        .flat_map(|gop| in_gop.iter().map(move |at| 25 * gop + at))
        .collect()
}

/// Times of a buffer in µs.
#[derive(Clone, Copy, Default)]
struct Times {
    pts: Option<u64>,
    capture: Option<u64>,
}

/// Records access units with their times into entry `e`.
fn record(bucket: &str, caps: &str, sink: &str, units: &[Vec<u8>], times: &[Times]) -> Recorded {
    let source = format!("appsrc name=app format=time max-bytes=0 caps={caps}");
    let recorder = Recorder::new(&SERVER.url(), bucket, &source, sink);
    let app: gst_app::AppSrc = recorder.pipeline.element("app").downcast().expect("appsrc");
    recorder.pipeline.play();
    let unix = gst::Caps::new_empty_simple("timestamp/x-unix");
    for (unit, times) in units.iter().zip(times) {
        let mut buffer = gst::Buffer::from_slice(unit.clone());
        let unique = buffer.get_mut().expect("the only reference");
        unique.set_pts(times.pts.map(gst::ClockTime::from_useconds));
        if let Some(capture) = times.capture.map(gst::ClockTime::from_useconds) {
            gst::ReferenceTimestampMeta::add(unique, &unix, capture, gst::ClockTime::NONE);
        }
        if app.push_buffer(buffer).is_err() {
            break; // There was an error, which is on the bus.
        }
    }
    let _ = app.end_of_stream();
    recorder.finish()
}

fn records(bucket: &str) -> Vec<Record> {
    match SERVER.entries(bucket).contains(&"e".into()) {
        true => SERVER.read(bucket, "e"),
        false => Vec::new(),
    }
}

fn record_times(bucket: &str) -> Vec<u64> {
    records(bucket).iter().map(|it| it.time_us).collect()
}

fn moved(time: u64, by: i64) -> u64 {
    time.checked_add_signed(by).expect("a time")
}

fn steady(frames: usize) -> Vec<u64> {
    (0..frames as u64)
        .map(|frame| START_US + frame * FRAME)
        .collect()
}

/// Buffers whose meta is off by so much, by their places in output order.
fn with_meta(places: &[u64], off: impl Fn(u64) -> i64) -> Vec<Times> {
    let times = places.iter().map(|&place| Times {
        pts: Some(place * FRAME),
        capture: Some(moved(START_US + place * FRAME, off(place))),
    });
    times.collect()
}

/// Buffers whose PTS is off by so much.
fn with_pts(places: &[u64], off: impl Fn(u64) -> i64) -> Vec<Times> {
    let times = places.iter().map(|&place| Times {
        pts: Some(moved(place * FRAME, off(place))),
        capture: None,
    });
    times.collect()
}

fn start() -> String {
    format!("start={START_US}")
}

#[test]
fn one_wrong_capture_time_moves_one_frame() {
    for params in ["bframes=0", B_FRAMES] {
        let stream = stream(75, params);
        let places = places(params);
        for (wrong, by) in [(30, 10 * SECOND), (0, HOUR), (31, -HOUR), (74, 2 * SECOND)] {
            let off = |place| if place == wrong { by } else { 0 };
            for (times, sink) in [
                (with_meta(&places, off), String::new()),
                // A PTS cannot be before the epoch of the stream.
                (with_pts(&places, |place| off(place).max(0)), start()),
            ] {
                let bucket = SERVER.new_bucket();
                let recorded = record(&bucket, CAPS, &sink, &stream.units, &times).clean();
                assert_eq!(
                    record_times(&bucket),
                    steady(75),
                    "{params} {wrong} {by} {sink}"
                );
                let is_told = sink.is_empty() || by > 0;
                assert_eq!(recorded.warnings().len(), usize::from(is_told));
                assert_eq!(recorded.stat("outliers"), u64::from(is_told));
                assert_eq!(recorded.stat("clock-jumps"), 0);
            }
        }
    }
}

#[test]
fn a_wrong_capture_time_does_not_split_a_group() {
    let stream = stream(75, B_FRAMES);
    let times = with_meta(
        &places(B_FRAMES),
        |place| if place == 40 { HOUR } else { 0 },
    );
    let bucket = SERVER.new_bucket();
    let caps = format!("{CAPS},framerate=25/1");
    record(&bucket, &caps, "record-unit=gop", &stream.units, &times).clean();
    let expected: Vec<_> = steady(75).into_iter().step_by(25).collect();
    assert_eq!(record_times(&bucket), expected);
    let found: Vec<_> = read_back(&SERVER, &bucket)
        .into_iter()
        .map(|it| it.bytes)
        .collect();
    assert_eq!(found, stream.units);
}

#[test]
fn each_step_of_the_clock_is_one_warning() {
    let stream = stream(200, "bframes=0");
    let places: Vec<_> = (0..200).collect();
    let run = |off: &dyn Fn(u64) -> i64| {
        let bucket = SERVER.new_bucket();
        let times = with_meta(&places, off);
        let recorded = record(&bucket, CAPS, "", &stream.units, &times).clean();
        let found = record_times(&bucket);
        assert!(found.is_sorted_by(|a, b| a < b));
        let told = recorded.warnings();
        assert_eq!(told.len() as u64, recorded.stat("clock-jumps"), "{told:?}");
        (found, told)
    };
    // Forward it is believed from its first frame on.
    for by in [3 * SECOND, HOUR] {
        let off = |place| if place >= 100 { by } else { 0 };
        let (found, told) = run(&off);
        let expected: Vec<_> = (0..200)
            .map(|it| moved(START_US + it * FRAME, off(it)))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("jumped ahead"), "{told:?}");
    }
    // Back, times continue.
    for by in [-3 * SECOND, -HOUR] {
        let (found, told) = run(&|place| if place >= 100 { by } else { 0 });
        assert_eq!(found, steady(200));
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("jumped back"), "{told:?}");
    }
    // Back by more and more: the shift is the present one, until the clock has caught up.
    let (found, told) = run(&|place| match place {
        ..50 => 0,
        50..100 => -HOUR,
        100..150 => -2 * HOUR,
        _ => 2 * SECOND,
    });
    let mut expected = steady(150);
    expected.extend((150..200).map(|it| moved(START_US + it * FRAME, 2 * SECOND)));
    assert_eq!(found, expected);
    assert_eq!(told.len(), 3);
    // Ahead for three seconds.
    let (_, told) = run(&|place| if (75..150).contains(&place) { HOUR } else { 0 });
    assert_eq!(told.len(), 2);
}

#[test]
fn a_pause_is_no_step_of_a_clock() {
    let stream = stream(100, "bframes=0");
    let pause = |place| if place >= 50 { 60_000_000 } else { 0 };
    let times: Vec<_> = (0..100)
        .map(|place| Times {
            pts: Some(place * FRAME + pause(place)),
            capture: Some(START_US + place * FRAME + pause(place)),
        })
        .collect();
    let bucket = SERVER.new_bucket();
    let recorded = record(&bucket, CAPS, "", &stream.units, &times).clean();
    let expected: Vec<_> = times.iter().filter_map(|times| times.capture).collect();
    assert_eq!(record_times(&bucket), expected);
    assert_eq!(recorded.warnings(), [""; 0]);
}

#[test]
fn buffers_without_pts_are_between_their_neighbours() {
    // Neither caps nor VUI help, but for the last one, where frames are counted.
    let [stream, without_rate] = [true, false].map(|vui_timing| {
        Stream::make(StreamSpec {
            fps: (25, 1),
            frames: 50,
            size: (64, 64),
            vui_timing,
            ..Default::default()
        })
    });
    let lacking: [fn(u64) -> bool; 4] = [
        |frame| frame % 5 == 4,
        |frame| !frame.is_multiple_of(5),
        |frame| frame == 0,
        |frame| frame > 0,
    ];
    for lacks in lacking {
        let pts = |frame: u64| (!lacks(frame)).then_some(frame * FRAME);
        let times: Vec<_> = (0..50)
            .map(|frame| Times {
                pts: pts(frame),
                capture: None,
            })
            .collect();
        let bucket = SERVER.new_bucket();
        let stream = if lacks(5) && lacks(10) {
            &stream
        } else {
            &without_rate
        };
        let recorded = record(&bucket, CAPS, &start(), &stream.units, &times).clean();
        assert_eq!(record_times(&bucket), steady(50));
        assert_eq!(recorded.warnings(), [""; 0]);
    }
    // Each time twice.
    let times = with_pts(
        &(0..50).map(|frame| frame - frame % 2).collect::<Vec<_>>(),
        |_| 0,
    );
    for stream in [&stream, &without_rate] {
        let bucket = SERVER.new_bucket();
        record(&bucket, CAPS, &start(), &stream.units, &times).clean();
        assert_eq!(record_times(&bucket), steady(50));
    }
}

/// Records a raw file by h264parse, which makes up a DTS and no PTS.
fn record_file(stream: &Stream, sink: &str) -> (String, Recorded) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("raw.h264");
    fs::write(&file, stream.bytes()).expect("a file");
    let bucket = SERVER.new_bucket();
    let source = format!("filesrc location={} ! h264parse", file.display());
    let recorded = Recorder::new(&SERVER.url(), &bucket, &source, sink).run();
    (bucket, recorded)
}

#[test]
fn frames_of_a_raw_file_are_counted() {
    for params in ["bframes=0", B_FRAMES] {
        let stream = stream(60, params);
        let (bucket, recorded) = record_file(&stream, &start());
        assert_eq!(recorded.clean().warnings(), [""; 0]);
        assert_eq!(record_times(&bucket), steady(60), "{params}");
        let records = records(&bucket);
        assert!(records.iter().all(|it| label(it, "fps") == Some("25")));

        let (bucket, recorded) = record_file(&stream, "");
        recorded.clean();
        let found = record_times(&bucket);
        let expected: Vec<_> = steady(60)
            .iter()
            .map(|time| time - START_US + found[0])
            .collect();
        assert_eq!(found, expected, "{params}");
    }
}

/// A distance in whole microseconds would drift.
#[test]
fn frames_of_a_short_raw_file_are_counted() {
    let stream = Stream::make(StreamSpec {
        fps: (25, 1),
        frames: 60,
        gop: 20,
        size: (64, 64),
        vui_timing: false,
        ..Default::default()
    });
    for (rate, frames) in [(120u64, 60), (120, 2), (90, 60), (70, 60), (1000, 60)] {
        let stream = stream.slice(0..frames);
        let (bucket, recorded) = record_file(&stream, &format!("{} fps={rate}/1", start()));
        recorded.clean();
        let expected: Vec<_> = (0..frames as u64)
            .map(|frame| START_US + frame * 1_000_000 / rate)
            .collect();
        assert_eq!(record_times(&bucket), expected, "{rate} fps");
    }
}

#[test]
fn a_raw_file_without_a_rate_needs_one() {
    let spec = StreamSpec {
        fps: (25, 1),
        frames: 60,
        size: (64, 64),
        vui_timing: false,
        ..Default::default()
    };
    // A VUI that says 1000 fps is as good as none.
    for stream in [
        Stream::make(spec),
        Stream::make(StreamSpec {
            fps: (1000, 1),
            vui_timing: true,
            ..spec
        }),
    ] {
        let (bucket, recorded) = record_file(&stream, &start());
        let (error, _) = &recorded.outcome.errors[0];
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        assert!(error.message().contains("fps=25/1"), "{error}");
        assert!(!recorded.outcome.eos);
        assert_eq!(records(&bucket).len(), 0);

        let (bucket, recorded) = record_file(&stream, &format!("{} fps=25/1", start()));
        recorded.clean();
        assert_eq!(record_times(&bucket), steady(60));
    }
}

#[test]
fn an_invalid_rate_is_refused() {
    for fps in ["1001/1", "1/4000"] {
        let pipeline = Pipeline::launch(&format!(
            "fakesrc num-buffers=1 ! {CAPS} ! reductsink bucket=b entry=e fps={fps}"
        ));
        let outcome = pipeline.run();
        let (error, _) = outcome.error();
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        assert!(error.message().contains(fps), "{error}");
    }
}

#[test]
fn a_rate_that_the_times_contradict_is_written_nowhere() {
    // The VUI says 100 fps, the caps 5; frames are 40 ms apart.
    for (fps, caps) in [
        ((100, 1), String::new()),
        ((25, 1), ",framerate=5/1".into()),
    ] {
        let stream = Stream::make(StreamSpec {
            fps,
            frames: 60,
            gop: 30,
            size: (64, 64),
            ..Default::default()
        });
        for unit in ["access-unit", "gop"] {
            let bucket = SERVER.new_bucket();
            let times = with_pts(&(0..60).collect::<Vec<_>>(), |_| 0);
            let sink = format!("{} record-unit={unit}", start());
            let caps = format!("{CAPS}{caps}");
            record(&bucket, &caps, &sink, &stream.units, &times).clean();
            let records = records(&bucket);
            assert!(
                records.iter().all(|it| label(it, "fps").is_none()),
                "{unit}"
            );
            let video = SERVER.attachment(&bucket, "e", "$video");
            let expected = r#"{"width": 64, "height": 64}"#;
            assert_eq!(video, Some(expected.parse().expect("JSON")));
            let found = read_back(&SERVER, &bucket);
            let found: Vec<_> = found.iter().filter_map(|it| it.capture_us).collect();
            assert_eq!(found, steady(60), "{unit}");
        }
    }
}

#[test]
fn a_camera_that_slows_down_has_no_wrong_label() {
    let stream = stream(100, "bframes=0");
    let pts = |frame: u64| FRAME * (frame + frame.saturating_sub(50));
    let times: Vec<_> = (0..100)
        .map(|frame| Times {
            pts: Some(pts(frame)),
            capture: None,
        })
        .collect();
    let bucket = SERVER.new_bucket();
    record(&bucket, CAPS, &start(), &stream.units, &times).clean();
    let labels: Vec<_> = records(&bucket)
        .iter()
        .map(|it| label(it, "fps").map(str::to_owned))
        .collect();
    assert!(
        labels[..51]
            .iter()
            .all(|label| label.as_deref() == Some("25"))
    );
    assert!(labels[52..].iter().all(Option::is_none), "{labels:?}");
    let video = SERVER.attachment(&bucket, "e", "$video");
    assert_eq!(
        video,
        Some(r#"{"width": 64, "height": 64}"#.parse().expect("JSON"))
    );
}

#[test]
fn a_rate_of_hours_is_one() {
    let stream = stream(4, "bframes=0");
    let times: Vec<_> = (0..4)
        .map(|frame| Times {
            pts: Some(frame * 250_000_000),
            capture: None,
        })
        .collect();
    let bucket = SERVER.new_bucket();
    let caps = format!("{CAPS},framerate=1/250");
    record(&bucket, &caps, &start(), &stream.units, &times).clean();
    let records = records(&bucket);
    assert!(records.iter().all(|it| label(it, "fps") == Some("0.004")));
}

#[test]
fn recovery_points_are_keyframes() {
    let stream = Stream::make(StreamSpec {
        fps: (25, 1),
        frames: 50,
        gop: 10,
        size: (64, 64),
        x264_params: "intra-refresh=1:bframes=0",
        ..Default::default()
    });
    // SEI 6 with payload type 6 (D.1.8).
    let is_point = |unit: &Vec<u8>| {
        let nals = nal_units(unit);
        nals.into_iter()
            .any(|nal| nal_type(nal) == 5 || nal.starts_with(&[6, 6]))
    };
    let points: Vec<_> = stream.units.iter().map(is_point).collect();
    assert!(points.iter().filter(|it| **it).count() >= 3);
    let times = with_pts(&(0..50).collect::<Vec<_>>(), |_| 0);
    let bucket = SERVER.new_bucket();
    record(&bucket, CAPS, &start(), &stream.units, &times).clean();
    let found = records(&bucket);
    let found: Vec<_> = found
        .iter()
        .map(|it| label(it, "keyframe") == Some("true"))
        .collect();
    assert_eq!(found, points);

    let bucket = SERVER.new_bucket();
    let sink = format!("{} record-unit=gop", start());
    record(&bucket, CAPS, &sink, &stream.units, &times).clean();
    let begins: Vec<_> = (0..50)
        .filter(|at| points[*at])
        .map(|at| steady(50)[at])
        .collect();
    assert_eq!(record_times(&bucket), begins);
}

#[test]
fn slices_without_parameter_sets_are_reported_at_once() {
    let whole = stream(50, "bframes=0");
    let bare = whole.map_units(|_, unit| {
        let nals = nal_units(unit).into_iter();
        nals.filter(|nal| !matches!(nal_type(nal), 7 | 8))
            .flat_map(|nal| [&[0, 0, 0, 1], nal].concat())
            .collect()
    });
    let times = with_pts(&(0..50).collect::<Vec<_>>(), |_| 0);

    let bucket = SERVER.new_bucket();
    let recorded = record(&bucket, CAPS, &start(), &bare.units, &times);
    let warnings = recorded.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("2025-06-13T08:50:53.273752Z"));
    assert!(warnings[0].contains("SPS and PPS"), "{warnings:?}");
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.matches(gst::StreamError::Decode), "{error}");
    assert!(error.message().contains("50 recorded frames"), "{error}");
    assert!(!recorded.outcome.eos);
    assert_eq!(record_times(&bucket), steady(50));

    let bucket = SERVER.new_bucket();
    let sink = format!("{} on-error=stop", start());
    let recorded = record(&bucket, CAPS, &sink, &bare.units, &times);
    // The source posts an error about the flow return, too.
    let errors = recorded.outcome.errors.iter().map(|(error, _)| error);
    let errors: Vec<_> = errors
        .filter(|it| it.matches(gst::StreamError::Decode))
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].message().contains("2025-06-13T08:50:53.273752Z"));
    assert_eq!(records(&bucket).len(), 0);

    // They come with the second group.
    let late = bare.slice(0..25).then(whole.slice(25..50));
    let bucket = SERVER.new_bucket();
    let recorded = record(&bucket, CAPS, &start(), &late.units, &times).clean();
    let warnings = recorded.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert_eq!(record_times(&bucket), steady(50));
}

#[test]
fn buffers_that_are_no_byte_stream_are_reported_at_once() {
    let whole = stream(50, "bframes=0");
    let lengths = whole.map_units(|_, unit| {
        let nals = nal_units(unit).into_iter();
        nals.flat_map(|nal| [&(nal.len() as u32).to_be_bytes(), nal].concat())
            .collect()
    });
    let garbage = whole.map_units(|index, _| format!("no video at all, {index}").into_bytes());
    let delimiters = whole.map_units(|_, _| vec![0, 0, 0, 1, 9, 0xf0]);
    let times = with_pts(&(0..50).collect::<Vec<_>>(), |_| 0);
    for (units, text, warnings) in [
        (&lengths.units, "length-prefixed", 1),
        (&garbage.units, "Annex B", 1),
        // They may belong to a picture that comes later.
        (&delimiters.units, "no slice", 0),
    ] {
        let bucket = SERVER.new_bucket();
        let recorded = record(&bucket, CAPS, &start(), units, &times);
        let told = recorded.warnings();
        assert_eq!(told.len(), warnings, "{told:?}");
        for warning in told {
            assert!(warning.contains("2025-06-13T08:50:53.273752Z"), "{warning}");
            assert!(warning.contains(text), "{warning}");
        }
        let (error, _) = &recorded.outcome.errors[0];
        assert!(error.matches(gst::StreamError::Decode), "{error}");
        assert!(error.message().contains(text), "{error}");
        assert!(!recorded.outcome.eos);
        if warnings > 0 {
            assert!(error.message().contains("50 recorded frames"), "{error}");
            assert_eq!(record_times(&bucket), steady(50));

            let bucket = SERVER.new_bucket();
            let sink = format!("{} on-error=stop", start());
            let recorded = record(&bucket, CAPS, &sink, units, &times);
            let (error, _) = &recorded.outcome.errors[0];
            assert!(error.message().contains(text), "{error}");
            assert_eq!(records(&bucket).len(), 0);
        }
    }

    // Damage among frames that can be decoded is a warning.
    let mixed = whole.map_units(|index, unit| match index {
        10 | 20 => vec![0, 0, 0, 1, 0x21],
        _ => unit.to_vec(),
    });
    let bucket = SERVER.new_bucket();
    let recorded = record(&bucket, CAPS, &start(), &mixed.units, &times).clean();
    let warnings = recorded.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("cut short or broken"), "{warnings:?}");
    assert_eq!(record_times(&bucket), steady(50));
}

/// Sets the system clock of one process: by the ns in the file that `CLOCK_STEP` names.
const CLOCK_SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, t);
    const char *name = getenv("CLOCK_STEP");
    if (result != 0 || id != CLOCK_REALTIME || !name) return result;
    int file = open(name, O_RDONLY);
    long long by = 0;
    if (file >= 0 && pread(file, &by, 8, 0) == 8) {
        long long ns = t->tv_sec * 1000000000LL + t->tv_nsec + by;
        t->tv_sec = ns / 1000000000LL;
        t->tv_nsec = ns % 1000000000LL;
    }
    if (file >= 0) close(file);
    return 0;
}
"#;

/// Records a live camera at 25 fps, whose frames have no capture times, in a process of its own where the
/// system clock is set with the 26th frame. Returns by how much each record is ahead of a steady
/// clock, in µs.
fn record_while_the_clock_is_set(test: &str, by: i64) -> Option<Vec<i64>> {
    if let (Ok(url), Ok(bucket)) = (env::var("TEST_URL"), env::var("TEST_BUCKET")) {
        let step = env::var("CLOCK_STEP").expect("the child has it");
        let camera = "videotestsrc is-live=true num-buffers=90 ! \
                      video/x-raw,format=I420,width=64,height=64,framerate=25/1 ! \
                      x264enc tune=zerolatency key-int-max=25 ! \
                      video/x-h264,stream-format=byte-stream,alignment=au";
        let recorder = Recorder::new(&url, &bucket, camera, "");
        recorder.pipeline.before_buffers("in", move |index, _| {
            if index == 25 {
                fs::write(&step, (by * 1000).to_ne_bytes()).expect("a file");
            }
        });
        let recorded = recorder.run().clean();
        let warnings = recorded.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let direction = if by < 0 {
            "set back by"
        } else {
            "set forward by"
        };
        assert!(warnings[0].contains(direction), "{warnings:?}");
        assert_eq!(recorded.stat("clock-jumps"), 1);
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [source, library, step] =
        ["shim.c", "shim.so", "step"].map(|name| folder.path().join(name));
    fs::write(&source, CLOCK_SHIM).expect("a file");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(compiled.expect("a C compiler").success());
    let bucket = SERVER.new_bucket();
    let variables = [
        ("TEST_URL", SERVER.url()),
        ("TEST_BUCKET", bucket.clone()),
        ("CLOCK_STEP", step.display().to_string()),
        ("LD_PRELOAD", library.display().to_string()),
    ];
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    child::again(test, &variables).expect("this is not the child");
    let found = record_times(&bucket);
    assert_eq!(found.len(), 90);
    assert!(found.is_sorted_by(|a, b| a < b));
    let ahead = found
        .iter()
        .zip(steady(90))
        .map(|(time, steady)| (time - found[0]) as i64 - (steady - START_US) as i64);
    Some(ahead.collect())
}

/// A clock that is slewed is followed by 5 ms a second.
const SLEWED: i64 = 25_000;

#[test]
fn a_system_clock_that_is_set_forward_is_followed() {
    let test = "a_system_clock_that_is_set_forward_is_followed";
    let Some(ahead) = record_while_the_clock_is_set(test, 3 * SECOND) else {
        return;
    };
    assert!(ahead[..25].iter().all(|it| it.abs() < SLEWED), "{ahead:?}");
    let ahead = &ahead[75..];
    assert!(
        ahead.iter().all(|it| (it - 3 * SECOND).abs() < SLEWED),
        "{ahead:?}"
    );
}

#[test]
fn times_continue_while_the_system_clock_is_set_back() {
    let test = "times_continue_while_the_system_clock_is_set_back";
    let Some(ahead) = record_while_the_clock_is_set(test, -3 * SECOND) else {
        return;
    };
    assert!(ahead.iter().all(|it| it.abs() < SLEWED), "{ahead:?}");
}
