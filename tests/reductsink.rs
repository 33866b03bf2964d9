// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductsink` as an element: what it writes for what it gets, and what its properties do.

mod common;

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use common::child;
use common::line::export;
use common::mp4;
use common::pipeline::{Pipeline, stat};
use common::recorder::{Recorder, START_US, Sent, camera, label, read_back};
use common::server::{Record, Server};
use common::{SERVER, init};
use gst::prelude::*;

const RECORD_UNITS: [&str; 2] = ["access-unit", "gop"];
const NO_B_FRAMES: &str = "bframes=0";
const B_FRAMES: &str = "bframes=3 b-adapt=false b-pyramid=true";

/// A clock that is up to half a millisecond off.
fn jittery(running_time_us: u64) -> u64 {
    START_US + running_time_us + running_time_us / 33_333 * 7919 % 500
}

fn exact(running_time_us: u64) -> u64 {
    START_US + running_time_us
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time after 1970").as_micros() as u64
}

/// A camera in real time.
fn live_camera(frames: usize) -> String {
    let camera = camera(frames, "bframes=0 tune=zerolatency");
    camera.replace("videotestsrc", "videotestsrc is-live=true")
}

fn times(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.time_us).collect()
}

fn captures(sent: &[Sent]) -> Vec<Option<u64>> {
    sent.iter().map(|sent| sent.capture_us).collect()
}

fn units(sent: &[Sent]) -> Vec<&[u8]> {
    sent.iter().map(|sent| sent.bytes.as_slice()).collect()
}

#[test]
fn what_is_recorded_is_read_back() {
    for unit in RECORD_UNITS {
        for x264enc in [NO_B_FRAMES, B_FRAMES] {
            let what = format!("{unit}, {x264enc}");
            let bucket = SERVER.new_bucket();
            let sink = format!("record-unit={unit}");
            let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(100, x264enc), &sink);
            // The record of a group has a single time.
            let recorder = match unit {
                "gop" => recorder.capture(exact),
                _ => recorder.capture(jittery),
            };
            let recorded = recorder.run().clean();
            assert_eq!(recorded.sent.len(), 100);
            assert_eq!(recorded.stat("frames"), 100, "{what}");

            let found = read_back(&SERVER, &bucket);
            assert_eq!(units(&found), units(&recorded.sent), "{what}");
            let expected = captures(&recorded.sent);
            if unit == "gop" {
                for (found, expected) in captures(&found).into_iter().zip(expected) {
                    let (found, expected) = (found.unwrap(), expected.unwrap());
                    // 33.333 ms frames, each to the µs.
                    assert!(found.abs_diff(expected) <= 1, "{what}: {found} {expected}");
                }
            } else {
                assert_eq!(captures(&found), expected, "{what}");
            }
        }
    }
}

#[test]
fn episodes_of_what_is_recorded_have_the_encoders_pictures() {
    for unit in RECORD_UNITS {
        for x264enc in [NO_B_FRAMES, B_FRAMES] {
            let bucket = SERVER.new_bucket();
            let sink = format!("record-unit={unit}");
            let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(90, x264enc), &sink);
            let recorded = recorder.capture(exact).run().clean();
            let export = export(&bucket, "", "duration=1000000000");
            assert_eq!(export.frames(), [30, 30, 30], "{unit}, {x264enc}");
            let starts: Vec<_> = export.episodes.iter().map(|it| it.start_us).collect();
            let expected = [0, 1_000_000, 2_000_000].map(|us| Some(START_US + us));
            for (start, expected) in starts.into_iter().zip(expected) {
                assert!(start.unwrap().abs_diff(expected.unwrap()) <= 1);
            }
            let expected = mp4::stream_checksums(&recorded.stream((30, 1)));
            assert_eq!(export.pictures(), expected, "{unit}, {x264enc}");
        }
    }
}

#[test]
fn records_are_as_reductstore_wants_them() {
    let bucket = SERVER.new_bucket();
    let labels = "labels=\"labels,camera=(string)\\\"front, left\\\",site=(int)3\"";
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(32, NO_B_FRAMES), labels);
    let recorded = recorder.capture(exact).run().clean();
    let records = SERVER.read(&bucket, "e");
    assert_eq!(records.len(), 32);
    for (index, (record, sent)) in records.iter().zip(&recorded.sent).enumerate() {
        assert_eq!(record.content_type, "video/h264");
        assert_eq!(record.bytes, sent.bytes);
        assert_eq!(Some(record.time_us), sent.capture_us);
        let found: BTreeSet<_> = record.labels.iter().cloned().collect();
        let keyframe = if index % 15 == 0 { "true" } else { "false" };
        let expected = [
            ("camera", "front, left"),
            ("fps", "30"),
            ("keyframe", keyframe),
            ("site", "3"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeSet::from(expected));
    }
    let video = SERVER.attachment(&bucket, "e", "$video");
    let expected = r#"{"fps": 30, "width": 160, "height": 120}"#;
    assert_eq!(video, Some(expected.parse().unwrap()));
}

#[test]
fn groups_are_records() {
    let bucket = SERVER.new_bucket();
    let sink = "record-unit=gop";
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(40, B_FRAMES), sink);
    let recorded = recorder.capture(exact).run().clean();
    let records = SERVER.read(&bucket, "e");
    let expected: Vec<_> = [0, 15, 30]
        .map(|frame| exact(recorded.sent[frame].pts_us))
        .into();
    assert_eq!(times(&records), expected);
    assert!(
        records
            .iter()
            .all(|it| label(it, "keyframe") == Some("true"))
    );
    let sent = units(&recorded.sent);
    let found: Vec<_> = records.iter().map(|record| record.bytes.to_vec()).collect();
    assert_eq!(
        found,
        [
            sent[..15].concat(),
            sent[15..30].concat(),
            sent[30..].concat()
        ]
    );
}

#[test]
fn a_group_with_a_hole_is_two_records() {
    let bucket = SERVER.new_bucket();
    let recorder = Recorder::new(
        &SERVER.url(),
        &bucket,
        &camera(15, NO_B_FRAMES),
        "record-unit=gop",
    );
    let with_hole = |us| exact(us) + if us > 200_000 { 10_000_000 } else { 0 };
    let recorded = recorder.capture(with_hole).run().clean();
    let records = SERVER.read(&bucket, "e");
    assert_eq!(times(&records), [with_hole(0), with_hole(233_333)]);
    assert_eq!(label(&records[1], "keyframe"), Some("false"));
    assert_eq!(
        captures(&read_back(&SERVER, &bucket)).len(),
        recorded.sent.len()
    );
}

#[test]
fn idr_pictures_have_their_parameter_sets() {
    let bucket = SERVER.new_bucket();
    // x264enc repeats them; without that they come at the very begin only.
    let camera = format!("{} ! identity name=strip", camera(32, NO_B_FRAMES));
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera, "");
    let pad = recorder
        .pipeline
        .element("strip")
        .static_pad("src")
        .unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let index = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let buffer = info.buffer().unwrap().clone();
        if index > 0 {
            let bytes = buffer.map_readable().unwrap().to_vec();
            let stream = common::stream::Stream {
                units: vec![vec![], bytes],
                fps: (30, 1),
            };
            let stripped = stream.headers_once().units.remove(1);
            let mut changed = gst::Buffer::from_mut_slice(stripped);
            let flags = gst::BufferCopyFlags::TIMESTAMPS | gst::BufferCopyFlags::FLAGS;
            buffer
                .copy_into(changed.get_mut().unwrap(), flags, ..)
                .unwrap();
            info.data = Some(gst::PadProbeData::Buffer(changed));
        }
        gst::PadProbeReturn::Ok
    });
    let recorded = recorder.capture(exact).run().clean();
    let types = |bytes: &[u8]| -> Vec<u8> {
        let nals = common::stream::nal_units(bytes);
        nals.into_iter().map(common::stream::nal_type).collect()
    };
    let records = SERVER.read(&bucket, "e");
    for (index, (record, sent)) in records.iter().zip(&recorded.sent).enumerate() {
        let found = types(&record.bytes);
        let is_idr = index % 15 == 0;
        assert_eq!(
            found.contains(&7) && found.contains(&8),
            is_idr,
            "{index}: {found:?}"
        );
        assert_eq!(types(&sent.bytes).contains(&7), index == 0, "{index}");
        assert_eq!(is_idr && index > 0, record.bytes != sent.bytes, "{index}");
    }
    let all: Vec<_> = records
        .iter()
        .skip(15)
        .map(|it| it.bytes.to_vec())
        .collect();
    let stream = common::stream::Stream {
        units: all,
        fps: (30, 1),
    };
    assert_eq!(mp4::stream_checksums(&stream).len(), 17);
}

#[test]
fn without_a_capture_time_it_is_that_of_the_clock() {
    let bucket = SERVER.new_bucket();
    let before = now_us();
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(60, B_FRAMES), "");
    let recorded = recorder.run().clean();
    let after = now_us();
    let records = SERVER.read(&bucket, "e");
    let first = records[0].time_us;
    assert!((before..after).contains(&first), "{before} {first} {after}");
    // The k-th record has the k-th time in output order.
    let mut shown: Vec<_> = recorded.sent.iter().map(|sent| sent.pts_us).collect();
    shown.sort_unstable();
    for (record, shown_us) in records.iter().zip(shown) {
        assert!((record.time_us - first).abs_diff(shown_us) <= 1);
    }
}

#[test]
fn a_clock_of_the_epoch_is_believed() {
    init();
    let bucket = SERVER.new_bucket();
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(3, NO_B_FRAMES), "");
    let clock: gst::Clock = gst::glib::Object::builder::<gst::SystemClock>()
        .property("name", "real")
        .property("clock-type", gst::ClockType::Realtime)
        .build()
        .upcast();
    recorder.pipeline.use_clock(Some(&clock));
    recorder.pipeline.set_start_time(gst::ClockTime::NONE);
    let base = gst::ClockTime::from_useconds(START_US);
    recorder.pipeline.set_base_time(base);
    let recorded = recorder.run().clean();
    let expected: Vec<_> = recorded
        .sent
        .iter()
        .map(|it| START_US + it.pts_us)
        .collect();
    assert_eq!(times(&SERVER.read(&bucket, "e")), expected);
}

#[test]
fn a_file_begins_when_it_is_said_to() {
    let bucket = SERVER.new_bucket();
    let start = "start=2025-06-13T08:50:53.273752Z";
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(30, NO_B_FRAMES), start);
    let recorded = recorder.run().clean();
    let expected: Vec<_> = recorded.sent.iter().map(|it| exact(it.pts_us)).collect();
    assert_eq!(times(&SERVER.read(&bucket, "e")), expected);
}

#[test]
fn a_clock_that_jumps_is_no_lost_frame() {
    const HOUR: u64 = 3_600_000_000;
    let bucket = SERVER.new_bucket();
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(90, B_FRAMES), "");
    let jumping = |us: u64| match us {
        ..1_000_000 => START_US + us,
        1_000_000..2_000_000 => START_US + us - HOUR,
        _ => START_US + us,
    };
    let recorded = recorder.capture(jumping).run().clean();
    let records = SERVER.read(&bucket, "e");
    assert_eq!(records.len(), 90);
    for (frame, record) in records.iter().enumerate() {
        let expected = START_US + line_us(frame);
        assert!(
            record.time_us.abs_diff(expected) < 1000,
            "{frame}: {record:?}"
        );
    }
    let found = read_back(&SERVER, &bucket);
    assert_eq!(units(&found), units(&recorded.sent));
    let warnings = recorded.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("jumped back by 0:59:59.96"),
        "{warnings:?}"
    );
    assert_eq!(recorded.stat("clock-jumps"), 1);
}

/// Presentation time of a frame at 30 fps, in µs.
fn line_us(frame: usize) -> u64 {
    frame as u64 * 1_000_000 / 30
}

#[test]
fn a_clock_that_jumps_ahead_is_believed() {
    const HOUR: u64 = 3_600_000_000;
    let bucket = SERVER.new_bucket();
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(60, NO_B_FRAMES), "");
    let jumping = |us: u64| exact(us) + if us >= 1_000_000 { HOUR } else { 0 };
    let recorded = recorder.capture(jumping).run().clean();
    let warnings = recorded.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("jumped ahead by 1:00:00.03"));
    assert_eq!(recorded.stat("clock-jumps"), 1);
    let found = read_back(&SERVER, &bucket);
    assert_eq!(captures(&found), captures(&recorded.sent));
}

#[test]
fn batches_are_full_or_as_old_as_they_may_be() {
    let bucket = SERVER.new_bucket();
    // Faster than real time: only full batches, and the rest.
    let recorder = Recorder::new(
        &SERVER.url(),
        &bucket,
        &camera(200, NO_B_FRAMES),
        "max-latency=60000",
    );
    let recorded = recorder.capture(exact).run().clean();
    assert_eq!(recorded.stat("batches"), 3);
    assert_eq!(recorded.stat("records"), 200);

    let live = live_camera(30);
    let bucket = SERVER.new_bucket();
    let recorder = Recorder::new(&SERVER.url(), &bucket, &live, "max-latency=100");
    let recorded = recorder.run().clean();
    let batches = recorded.stat("batches");
    assert!((2..=30).contains(&batches), "{batches} batches in a second");
}

#[test]
fn a_bucket_is_made_with_its_quota() {
    init();
    let bucket = format!("made-{}", std::process::id());
    let sink = "quota-size=123456789";
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(5, NO_B_FRAMES), sink);
    recorder.run().clean();
    let settings = SERVER.bucket_settings(&bucket);
    assert_eq!(settings.quota_type, Some(reduct_rs::QuotaType::FIFO));
    assert_eq!(settings.quota_size, Some(123_456_789));

    // One that is there stays as it is, and gets further records.
    let recorder = Recorder::new(
        &SERVER.url(),
        &bucket,
        &camera(5, NO_B_FRAMES),
        "quota-size=5",
    );
    recorder.run().clean();
    assert_eq!(
        SERVER.bucket_settings(&bucket).quota_size,
        Some(123_456_789)
    );
    assert_eq!(SERVER.read(&bucket, "e").len(), 10);
}

#[test]
fn a_missing_bucket_is_an_error_if_it_is_not_to_be_made() {
    let recorder = Recorder::new(
        &SERVER.url(),
        "nowhere",
        &camera(5, NO_B_FRAMES),
        "create-bucket=false",
    );
    let recorded = recorder.run();
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    assert!(error.message().contains("nowhere/e"), "{error}");
    assert!(!recorded.outcome.eos, "{}", recorded.outcome.text());
}

#[test]
fn a_stream_without_frames_ends() {
    let bucket = SERVER.new_bucket();
    let recorder = Recorder::new(&SERVER.url(), &bucket, "appsrc name=app format=time", "");
    let app: gst_app::AppSrc = recorder.pipeline.element("app").downcast().unwrap();
    recorder.pipeline.play();
    app.end_of_stream().unwrap();
    let recorded = recorder.finish().clean();
    assert_eq!(recorded.stat("records"), 0);
}

#[test]
fn invalid_settings_are_errors() {
    for (properties, about) in [
        ("entry=e", "bucket"),
        ("bucket=b", "entry"),
        ("bucket=a/b entry=e", "bucket"),
        ("bucket=b entry=e url=nowhere", "url"),
        ("bucket=b entry=e labels=labels,fps=3", "labels"),
    ] {
        let pipeline = Pipeline::launch(&format!(
            "fakesrc num-buffers=1 ! video/x-h264,stream-format=byte-stream,alignment=au ! \
             reductsink {properties}"
        ));
        let outcome = pipeline.run();
        let (error, _) = outcome.error();
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        assert!(error.message().contains(about), "{properties}: {error}");
    }
}

#[test]
fn a_uri_sets_all_of_it() {
    init();
    let sink = gst::Element::make_from_uri(
        gst::URIType::Sink,
        "reduct://127.0.0.1:28383/b/robot/cam?record-unit=gop&max-latency=50&overflow=block",
        None,
    )
    .unwrap();
    assert_eq!(sink.factory().unwrap().name(), "reductsink");
    assert_eq!(sink.property::<String>("url"), "http://127.0.0.1:28383/");
    assert_eq!(sink.property::<String>("bucket"), "b");
    assert_eq!(sink.property::<String>("entry"), "robot/cam");
    assert_eq!(sink.property::<u32>("max-latency"), 50);
    let handler = sink.dynamic_cast_ref::<gst::URIHandler>().unwrap();
    assert_eq!(
        handler.uri().unwrap(),
        "reduct://127.0.0.1:28383/b/robot/cam?record-unit=gop&max-latency=50&overflow=block"
    );
    let error = handler.set_uri("reduct://h/b/e?token=s3cret").unwrap_err();
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn a_second_run_continues_behind_the_first() {
    let bucket = SERVER.new_bucket();
    let recorder = Recorder::new(&SERVER.url(), &bucket, &live_camera(30), "");
    for run in 1..=2 {
        recorder.pipeline.play();
        let messages = recorder.pipeline.wait_for_end();
        let outcome = recorder.pipeline.finish(messages).clean();
        assert_eq!(outcome.warnings.len(), 0, "{}", outcome.text());
        assert_eq!(SERVER.read(&bucket, "e").len(), 30 * run);
    }
}

#[test]
fn a_stop_without_eos_leaves_nothing_behind() {
    let bucket = SERVER.new_bucket();
    let live = live_camera(1000);
    let recorder = Recorder::new(&SERVER.url(), &bucket, &live, "max-latency=60000");
    recorder.pipeline.play();
    common::await_that("nothing comes", || recorder.sent().len() >= 10);
    recorder.pipeline.set_state(gst::State::Null).unwrap();
    let sent = recorder.sent().len();
    let sink = recorder.sink();
    common::await_that("the rest is lost", || stat(&sink, "records") == sent as u64);
    assert_eq!(SERVER.read(&bucket, "e").len(), sent);
}

#[test]
fn a_stop_in_ready_ends_a_run() {
    let bucket = SERVER.new_bucket();
    let sink = "record-unit=gop max-latency=60000";
    let recorder = Recorder::new(&SERVER.url(), &bucket, &live_camera(1000), sink);
    for run in 1..=3 {
        let before = recorder.sent().len();
        recorder.pipeline.play();
        common::await_that("nothing comes", || recorder.sent().len() >= before + 20);
        recorder.pipeline.set_state(gst::State::Ready).unwrap();
        let sent = recorder.sent().len();
        let found = || {
            let found = read_back_if_any(&bucket);
            found.len() == sent && units(&found) == units(&recorder.sent())
        };
        common::await_that(&format!("run {run}: not all is written"), found);
    }
}

/// Reads entry `e`; returns nothing if it does not exist.
fn read_back_if_any(bucket: &str) -> Vec<Sent> {
    match SERVER.entries(bucket).contains(&"e".into()) {
        true => read_back(&SERVER, bucket),
        false => Vec::new(),
    }
}

#[test]
fn a_pause_loses_nothing() {
    let bucket = SERVER.new_bucket();
    let live = live_camera(60);
    // Less than a frame: each waits for the one before.
    let recorder = Recorder::new(
        &SERVER.url(),
        &bucket,
        &live,
        "queue-bytes=1 overflow=block max-latency=10",
    );
    recorder.pipeline.play();
    for pause in 1..=3 {
        common::await_that("nothing comes", || recorder.sent().len() >= 10 * pause);
        recorder.pipeline.set_state(gst::State::Paused).unwrap();
        recorder.pipeline.set_state(gst::State::Playing).unwrap();
    }
    let recorded = recorder.finish().clean();
    assert_eq!(recorded.stat("frames"), recorded.sent.len() as u64);
    assert_eq!(units(&read_back(&SERVER, &bucket)), units(&recorded.sent));
}

#[test]
fn late_records_are_refused() {
    let bucket = SERVER.new_bucket();
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(5, NO_B_FRAMES), "");
    recorder.capture(exact).run().clean();
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(5, NO_B_FRAMES), "");
    let recorded = recorder.capture(|us| exact(us) - 20_000_000).run();
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.matches(gst::ResourceError::Write), "{error}");
    for part in ["2025-06-13T08:50:33.273752Z", "existing=skip"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert_eq!(SERVER.read(&bucket, "e").len(), 5);
}

#[test]
fn times_of_a_clock_behind_the_entry_are_moved() {
    let bucket = SERVER.new_bucket();
    let ahead = now_us() + 3_600_000_000;
    SERVER.write(&bucket, "e", ahead, "video/h264", &[], &b"x"[..]);
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera(5, NO_B_FRAMES), "");
    let recorded = recorder.run().clean();
    let records = SERVER.read(&bucket, "e");
    assert_eq!(records.len(), 6);
    assert!(records[1].time_us > ahead);
    assert!(recorded.warnings()[0].contains("after the clock's time"));
}

/// Prints all that an application can see of a sink: messages, graphs and properties.
fn print_all(url: &str, properties: &[(&str, &str)]) {
    let recorder = Recorder::new(url, "b", &camera(30, NO_B_FRAMES), "");
    // GStreamer's parser would log them.
    for (name, value) in properties {
        recorder.sink().set_property(name, value);
    }
    recorder.pipeline.play();
    let messages = recorder.pipeline.wait_for_end();
    let graph = recorder
        .pipeline
        .debug_to_dot_data(gst::DebugGraphDetails::all());
    println!("{graph}");
    let sink = recorder.sink();
    for property in sink.list_properties() {
        if property.flags().contains(gst::glib::ParamFlags::READABLE) {
            let value = sink.property_value(property.name());
            // GStreamer cannot print a structure that there is not.
            if !matches!(value.get::<Option<gst::Structure>>(), Ok(None)) {
                println!("{} = {value:?}", property.name());
            }
        }
    }
    println!("{}", recorder.pipeline.finish(messages).text());
}

#[test]
fn a_token_is_in_no_output() {
    const TOKEN: &str = "s3cret-t0ken";
    if let Ok(urls) = std::env::var("TEST_URLS") {
        for url in urls.split(' ') {
            print_all(url, &[("api-token", TOKEN)]);
            print_all(url, &[("entry", "f")]); // from the environment
        }
        return;
    }
    let start = |token| {
        let server = Server::builder().token(token).start();
        server.create_bucket("b");
        server
    };
    let (open, closed) = (start(TOKEN), start("another"));
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let urls = format!("{} {}", open.url(), closed.url());
    let variables = [
        ("TEST_URLS", urls.as_str()),
        ("REDUCT_SINK_API_TOKEN", TOKEN),
        ("GST_DEBUG", "*:9"),
        ("GST_DEBUG_NO_COLOR", "1"),
        ("GST_DEBUG_FILE", log.to_str().expect("UTF-8")),
    ];
    let Some(printed) = child::again("a_token_is_in_no_output", &variables) else {
        panic!("this is not the child");
    };
    let logged = std::fs::read(&log).expect("a log");
    let logged = String::from_utf8_lossy(&logged);
    assert!(logged.contains("reductsink"), "no log of the element");
    for part in ["records=(guint64)30", "Eos", "Invalid token", "digraph"] {
        assert!(printed.contains(part), "no {part} in: {printed}");
    }
    for line in printed.lines().chain(logged.lines()) {
        assert!(!line.contains(TOKEN), "{line}");
    }
}
