// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Proves the fixtures: a fixture that is wrong proves nothing about the plugin.

mod common;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::mp4;
use common::pcm::{Coding, Sequence, Slices, frame};
use common::pipeline::{self, Pipeline};
use common::recording::{Laid, Layout, Recording, capture_times_us};
use common::server::{Record, Server};
use common::stream::{Content, Stream, StreamSpec, is_idr, nal_ranges, nal_type, nal_units};
use common::{SERVER, await_that};
use gst::prelude::*;
use reduct_rs::{ErrorCode, ReductClient};

/// The NAL types of each access unit, such as `[7, 8, 5]`.
fn types(stream: &Stream) -> Vec<Vec<u8>> {
    let units = stream.units.iter();
    units
        .map(|unit| nal_units(unit).into_iter().map(nal_type).collect())
        .collect()
}

/// Output of ffprobe for a stream, a line for each packet, frame or stream.
fn ffprobe(stream: &Stream, entries: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.h264");
    std::fs::write(&path, stream.bytes()).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0", "-show_entries", entries])
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    // A frame with side data has an empty line behind it.
    lines
        .lines()
        .map(|line| line.trim_end_matches(',').to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Fails unless a stream made by surgery has the same pictures in the same units.
fn assert_same_pictures(changed: &Stream, stream: &Stream) {
    assert_eq!(
        mp4::stream_checksums(changed),
        mp4::stream_checksums(stream)
    );
    assert_eq!(
        Stream::from_bytes(&changed.bytes(), changed.fps),
        *changed,
        "units as ffprobe's"
    );
}

#[test]
fn server_writes_and_reads() {
    let bucket = SERVER.new_bucket();
    // More than a batch by number, and one batch's worth of bytes in a single record.
    let records: Vec<Record> = (0..200)
        .map(|i| Record {
            time_us: 1_000 + i,
            content_type: "video/h264".into(),
            labels: vec![("fps".into(), "10".into())],
            bytes: vec![i as u8; if i == 100 { 9_000_000 } else { 10 }].into(),
        })
        .collect();
    SERVER.write_all(&bucket, "cam", &records);
    assert!(SERVER.read(&bucket, "cam") == records);

    SERVER.write(&bucket, "other", 5, "text/plain", &[("a", "b")], "hello");
    let read = SERVER.read(&bucket, "other");
    assert_eq!(read.len(), 1);
    assert_eq!(
        (read[0].time_us, read[0].content_type.as_str()),
        (5, "text/plain")
    );
    assert_eq!(read[0].labels, [("a".to_owned(), "b".to_owned())]);

    SERVER.attach(&bucket, "cam", "$video", reduct_rs::condition!({"fps": 10}));
    let meta = SERVER.read(&bucket, "cam/$meta");
    assert_eq!(meta[0].bytes, r#"{"fps":10}"#);
}

#[test]
fn server_restart_keeps_data_and_port() {
    let server = Server::start();
    let (bucket, url, pid) = (server.new_bucket(), server.url(), server.pid());
    server.write(&bucket, "cam", 1, "video/h264", &[], "one");
    server.kill();
    assert_eq!(server.pid(), None);
    assert!(block_on(server.client().alive()).is_err());
    server.restart();
    assert_ne!(server.pid(), pid);
    assert_eq!(server.url(), url);
    assert_eq!(server.read(&bucket, "cam").len(), 1);
}

#[test]
fn server_freezes_and_thaws() {
    let server = Server::start();
    let client = || {
        ReductClient::builder()
            .url(&server.url())
            .timeout(Duration::from_millis(300))
    };
    server.freeze();
    let error = block_on(client().build().alive()).unwrap_err();
    assert_eq!(error.status, ErrorCode::Timeout);
    server.thaw();
    block_on(server.client().alive()).unwrap();
    // A frozen one can be ended too.
    server.freeze();
}

#[test]
fn server_with_tokens() {
    let server = Server::builder().token("full-access").start();
    let (mine, other) = (server.new_bucket(), server.new_bucket());
    let token = server.create_token("reader", &[&mine]);
    let client = |token: &str| {
        ReductClient::builder()
            .url(&server.url())
            .api_token(token)
            .build()
    };
    let query = |token: &str, bucket: &str| {
        block_on(async {
            client(token)
                .get_bucket(bucket)
                .await?
                .query("cam")
                .send()
                .await
                .map(drop)
        })
    };
    server.write(&mine, "cam", 1, "video/h264", &[], "one");
    server.write(&other, "cam", 1, "video/h264", &[], "one");
    query(&token, &mine).unwrap();
    let refused = |token, bucket| query(token, bucket).unwrap_err().status;
    assert_eq!(refused(&token, &other), ErrorCode::Forbidden);
    assert_eq!(refused("wrong", &mine), ErrorCode::Unauthorized);
}

#[test]
fn server_with_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let openssl = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
        ])
        .args([Path::new("-keyout"), &key, Path::new("-out"), &cert])
        .output()
        .unwrap();
    assert!(openssl.status.success());
    let server = Server::builder().tls(&cert, &key).start();
    assert!(server.url().starts_with("https://"));
    server.new_bucket();
}

#[test]
fn server_ends_with_its_value() {
    let server = Server::start();
    let (pid, folder) = (server.pid().unwrap(), server.folder().to_owned());
    assert!(lives(pid) && folder.exists());
    drop(server);
    assert!(!lives(pid) && !folder.exists());
}

#[test]
fn server_ends_with_a_killed_process() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed_process", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let stdout = String::from_utf8(output.stdout).unwrap();
    let server = stdout
        .lines()
        .find_map(|line| line.split_once("server "))
        .expect(&stdout)
        .1;
    let (pid, folder) = server.split_once(' ').unwrap();
    let (pid, folder) = (pid.parse().unwrap(), PathBuf::from(folder));
    await_that("the server is left over", || !lives(pid));
    await_that("its folder is left over", || !folder.exists());
}

#[test]
#[ignore = "aborts: server_ends_with_a_killed_process runs it"]
fn killed_process() {
    println!(
        "\nserver {} {}",
        SERVER.pid().unwrap(),
        SERVER.folder().display()
    );
    std::process::abort();
}

#[test]
fn stream_default() {
    let stream = Stream::example();
    assert_eq!(
        stream.gops(),
        [0..10, 10..20, 20..30, 30..40, 40..50, 50..60]
    );
    // One SEI: x264's name.
    assert_eq!(types(&stream)[0], [7, 8, 6, 5]);
    assert_eq!(types(&stream)[1], [1]);
    assert_eq!(types(&stream)[10], [7, 8, 5]);
    assert_eq!(
        ffprobe(&stream, "stream=width,height,has_b_frames"),
        ["160,120,0"]
    );
    assert_eq!(mp4::stream_checksums(&stream).len(), 60);
    assert_eq!(rate_in_vui(&stream), Some((1, 20)));
    // Cutting into NAL units loses nothing.
    let bytes = stream.bytes();
    let nals: Vec<u8> = nal_ranges(&bytes)
        .into_iter()
        .flat_map(|r| &bytes[r])
        .copied()
        .collect();
    assert_eq!(nals, bytes);
}

#[test]
fn stream_rate_and_size() {
    let stream = Stream::make(StreamSpec {
        fps: (30000, 1001),
        frames: 31,
        gop: 15,
        size: (96, 64),
        ..Default::default()
    });
    assert_eq!(stream.gops(), [0..15, 15..30, 30..31]);
    assert_eq!(ffprobe(&stream, "stream=width,height"), ["96,64"]);
    // What ffprobe calls the rate is that of fields from version 7 on.
    assert_eq!(rate_in_vui(&stream), Some((1001, 60000)));
}

#[test]
fn stream_without_vui_timing() {
    for x264_params in ["", "bframes=2:8x8dct=1"] {
        let spec = StreamSpec {
            x264_params,
            ..Default::default()
        };
        let stream = Stream::make(StreamSpec {
            vui_timing: false,
            ..spec
        });
        assert_eq!(rate_in_vui(&stream), None);
        assert_eq!(rate_in_vui(&Stream::make(spec)), Some((1, 20)));
        assert_same_pictures(&stream, &Stream::make(spec));
        let reordered = |stream| ffprobe(stream, "stream=has_b_frames");
        assert_eq!(
            reordered(&stream),
            reordered(&Stream::make(spec)),
            "the rest of the VUI stays"
        );
    }
}

#[test]
fn stream_with_b_frames() {
    let stream = Stream::make(StreamSpec {
        x264_params: "bframes=3:b-pyramid=normal",
        ..Default::default()
    });
    assert_eq!(stream.gops().len(), 6);
    let pictures = ffprobe(&stream, "frame=pict_type");
    assert_eq!(pictures.len(), 60);
    assert!(
        pictures.iter().filter(|p| *p == "B").count() >= 30,
        "{pictures:?}"
    );
}

#[test]
fn stream_start_codes() {
    let stream = Stream::example();
    let codes = |stream: &Stream| -> Vec<usize> {
        let bytes = stream.bytes();
        let zeros = |r: std::ops::Range<usize>| bytes[r].iter().take_while(|b| **b == 0).count();
        nal_ranges(&bytes).into_iter().map(zeros).collect()
    };
    // x264 mixes them.
    assert!(codes(&stream).contains(&2) && codes(&stream).contains(&3));
    let (three, four) = (stream.start_codes::<3>(), stream.start_codes::<4>());
    assert!(codes(&three).iter().all(|&zeros| zeros == 2));
    assert!(codes(&four).iter().all(|&zeros| zeros == 3));
    assert_same_pictures(&three, &stream);
    assert_same_pictures(&four, &stream);
}

#[test]
fn stream_headers_once() {
    let stream = Stream::example();
    let once = stream.headers_once();
    let types = types(&once).concat();
    assert_eq!(types.iter().filter(|t| **t == 7).count(), 1);
    assert_eq!(types.iter().filter(|t| **t == 8).count(), 1);
    assert_same_pictures(&once, &stream);
}

#[test]
fn stream_with_auds() {
    let stream = Stream::example();
    let auds = stream.with_auds();
    assert!(types(&auds).iter().all(|types| types[0] == 9));
    assert_same_pictures(&auds, &stream);
    let x264 = Stream::make(StreamSpec {
        x264_params: "aud=1",
        ..Default::default()
    });
    assert_eq!(types(&x264), types(&auds));
}

#[test]
fn stream_with_slices() {
    let stream = Stream::make(StreamSpec {
        x264_params: "slices=4",
        ..Default::default()
    });
    let slices = |types: Vec<u8>| types.iter().filter(|t| matches!(t, 1 | 5)).count();
    assert!(types(&stream).into_iter().all(|types| slices(types) == 4));
}

#[test]
fn stream_with_non_idr_i_pictures() {
    for gop in [10, 30] {
        let stream = Stream::make(StreamSpec {
            content: Content::Cuts,
            gop,
            ..Default::default()
        });
        assert!(stream.gops().iter().all(|frames| frames.len() == gop));
        let pictures = ffprobe(&stream, "frame=pict_type");
        let intra: Vec<usize> = (0..60).filter(|&i| pictures[i] == "I").collect();
        let expected: Vec<usize> = (0..60).step_by(gop / 2).collect();
        assert_eq!(intra, expected);
        assert!(!is_idr(&stream.units[gop / 2]));
    }
}

#[test]
fn stream_with_intra_refresh() {
    let stream = Stream::make(StreamSpec {
        x264_params: "intra-refresh=1",
        ..Default::default()
    });
    assert_eq!(stream.gops().len(), 1);
    // Recovery points, as SEI.
    assert!(types(&stream)[10].contains(&6), "{:?}", types(&stream));
}

#[test]
fn stream_with_noise() {
    let pattern = Stream::example().bytes().len();
    let noise = Stream::make(StreamSpec {
        content: Content::Noise,
        ..Default::default()
    });
    assert!(noise.bytes().len() > 5 * pattern);
}

#[test]
fn stream_with_sps_change() {
    let small = Stream::example();
    let large = Stream::make(StreamSpec {
        size: (320, 240),
        frames: 30,
        ..Default::default()
    });
    let both = small.clone().then(large.clone());
    assert_eq!(both.gops().len(), 9);
    let expected = [mp4::stream_checksums(&small), mp4::stream_checksums(&large)].concat();
    assert_eq!(mp4::stream_checksums(&both), expected);
}

#[test]
fn decoder_judges() {
    let stream = Stream::example();
    assert_ne!(mp4::decode_stream(&stream.slice(5..9)).complaints, "");
    // A missing frame passes without a word: only the checksums tell.
    let mut holed = stream.clone();
    holed.units.remove(5);
    let decoded = mp4::decode_stream(&holed);
    assert_eq!(decoded.complaints, "");
    let whole = mp4::stream_checksums(&stream);
    assert_ne!(decoded.checksums[5..10], whole[6..11]);
}

#[test]
fn recording_layouts() {
    let stream = Stream::example();
    let lay = |layout| {
        Recording {
            layout,
            ..Default::default()
        }
        .lay(&stream)
    };
    let lengths = |laid: &[Laid]| -> Vec<usize> { laid.iter().map(|l| l.frames.len()).collect() };
    assert_eq!(lengths(&lay(Layout::Gop)), [10; 6]);
    assert_eq!(lengths(&lay(Layout::Gops(2))), [20; 3]);
    assert_eq!(lengths(&lay(Layout::Gops(4))), [40, 20]);
    assert_eq!(lengths(&lay(Layout::AccessUnit)), [1; 60]);
    assert_eq!(
        lengths(&lay(Layout::AccessUnits(7))),
        [[7; 8].as_slice(), &[4]].concat()
    );
    assert_eq!(lengths(&lay(Layout::Nal))[..5], [0, 0, 0, 1, 1]);

    let start = Recording::default().start_us;
    let expected: Vec<u64> = (0..60).map(|i| start + i * 100_000).collect();
    for layout in [
        Layout::Gop,
        Layout::Gops(4),
        Layout::AccessUnit,
        Layout::AccessUnits(7),
    ] {
        assert_eq!(capture_times_us(&lay(layout), (10, 1)), expected);
    }
    for layout in [Layout::Gop, Layout::Nal] {
        let bytes: Vec<u8> = lay(layout)
            .iter()
            .flat_map(|l| l.record.bytes.to_vec())
            .collect();
        assert_eq!(bytes, stream.bytes());
    }
    let times: Vec<u64> = lay(Layout::Nal)[..5]
        .iter()
        .map(|l| l.record.time_us - start)
        .collect();
    assert_eq!(times, [0, 1, 2, 3, 100_000]);
}

#[test]
fn recording_holes_losses_and_jitter() {
    let stream = Stream::example();
    let recording = Recording {
        holes: vec![(25, 10_000_000)],
        lost: vec![31..33, 33..34],
        jitter_us: |record| if record % 2 == 0 { 0 } else { -1_000 },
        ..Default::default()
    };
    let laid = recording.lay(&stream);
    let times: Vec<_> = laid
        .iter()
        .map(|l| (l.frames.clone(), l.record.time_us - recording.start_us))
        .collect();
    assert_eq!(
        times,
        [
            (0..10, 0),
            (10..20, 999_000),
            (20..25, 2_000_000),
            (25..30, 12_499_000),
            (30..31, 13_000_000),
            (34..40, 13_399_000),
            (40..50, 14_000_000),
            (50..60, 14_999_000),
        ]
    );

    let bucket = SERVER.new_bucket();
    let written = recording.write(&SERVER, &bucket, "cam", &stream);
    let records: Vec<Record> = written.into_iter().map(|laid| laid.record).collect();
    assert_eq!(SERVER.read(&bucket, "cam"), records);
}

#[test]
fn pipeline_remux() {
    let folder = tempfile::tempdir().unwrap();
    let stream = Stream::example();
    let (input, output) = (folder.path().join("in.mkv"), folder.path().join("out.mp4"));
    mkv(&stream, &input);
    let outcome = Pipeline::launch(&format!(
        "filesrc location={} ! matroskademux ! h264parse ! mp4mux ! filesink location={}",
        input.display(),
        output.display()
    ))
    .run()
    .clean();
    assert!(outcome.episodes().is_empty());

    assert_eq!(mp4::episodes(folder.path()), std::slice::from_ref(&output));
    mp4::assert_no_parts(folder.path());
    let mp4 = mp4::probe(&output);
    assert_eq!(
        (mp4.codec.as_str(), mp4.width, mp4.height),
        ("h264", 160, 120)
    );
    assert_eq!(
        (mp4.start_us, mp4.duration_us, mp4.frames),
        (0, 6_000_000, 60)
    );
    let times: Vec<i64> = mp4.packets.iter().map(|packet| packet.pts_us).collect();
    assert_eq!(times, (0..60).map(|i| i * 100_000).collect::<Vec<_>>());
    assert_eq!(mp4.packets.iter().filter(|packet| packet.key).count(), 6);
    assert!(
        mp4.packets
            .iter()
            .all(|packet| packet.duration_us == 100_000)
    );
    assert_eq!(
        mp4::frame_checksums(&output),
        mp4::stream_checksums(&stream)
    );
}

#[test]
fn pipeline_with_an_error() {
    let outcome = Pipeline::launch("filesrc location=/nowhere ! fakesink").run();
    assert!(!outcome.eos);
    // GstBaseSrc posts a second one behind that of an element whose start fails.
    assert_eq!(outcome.errors.len(), 2, "{}", outcome.text());
    let (error, debug) = &outcome.errors[0];
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    assert!(
        outcome.text().contains(error.message()),
        "{}",
        outcome.text()
    );
    assert!(debug.as_ref().unwrap().contains("/nowhere"), "{debug:?}");
}

#[test]
fn pipeline_collects() {
    let pipeline = Pipeline::launch("audiotestsrc num-buffers=3 ! appsink name=out");
    let samples = pipeline.collect("out");
    pipeline.run().clean();
    let mut buffers = samples.buffers();
    assert_eq!(buffers.len(), 3);
    assert_eq!(pipeline::capture_us(&buffers[0]), None);

    let caps = gst::Caps::new_empty_simple("timestamp/x-unix");
    gst::ReferenceTimestampMeta::add(
        buffers[0].make_mut(),
        &caps,
        gst::ClockTime::from_useconds(1_749_803_453_273_752),
        None,
    );
    assert_eq!(
        pipeline::capture_us(&buffers[0]),
        Some(1_749_803_453_273_752)
    );
}

#[test]
fn episode_message() {
    let pipeline = Pipeline::launch("fakesrc num-buffers=1 ! fakesink name=sink");
    let structure = |start: Option<u64>| {
        let builder = gst::Structure::builder("reduct-episode")
            .field("index", 1u32)
            .field("location", "episode_00001.mp4")
            .field_if_some("start", start)
            .field("duration", 2_000_000_000u64)
            .field("frames", 20u64)
            .field("hidden", 2u64)
            .field("dropped", 3u64)
            .field("bytes", 4_000u64)
            .field("reason", "gap");
        gst::message::Element::builder(builder.build())
            .src(&pipeline.element("sink"))
            .build()
    };
    pipeline.post_message(structure(Some(7))).unwrap();
    pipeline.post_message(structure(None)).unwrap();
    let episodes = pipeline.run().clean().episodes();
    assert_eq!(episodes.len(), 2);
    assert_eq!(
        (episodes[0].index, episodes[0].frames, episodes[0].dropped),
        (1, 20, 3)
    );
    assert_eq!((episodes[0].hidden, episodes[1].hidden), (2, 2));
    assert_eq!(
        (episodes[0].start_us, episodes[1].start_us),
        (Some(7), None)
    );
    assert_eq!(episodes[0].duration, gst::ClockTime::from_seconds(2));
    assert_eq!(
        (episodes[0].bytes, episodes[0].reason.as_str()),
        (4_000, "gap")
    );
}

/// Runs a client's call, apart from the fixture's own runtime.
fn block_on<T>(call: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(call)
}

/// Returns whether a process exists and is no zombie.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

/// The stream in a container, with times.
fn mkv(stream: &Stream, path: &Path) {
    let raw = path.with_extension("h264");
    std::fs::write(&raw, stream.bytes()).unwrap();
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-r", "10", "-i"])
        .arg(&raw)
        .args(["-c", "copy"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

/// `num_units_in_tick` and `time_scale` of the first SPS, as ffmpeg reads them.
fn rate_in_vui(stream: &Stream) -> Option<(u32, u32)> {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("stream.h264");
    std::fs::write(&raw, stream.bytes()).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-i".as_ref(), raw.as_os_str()])
        .args([
            "-c",
            "copy",
            "-frames:v",
            "1",
            "-bsf:v",
            "trace_headers",
            "-f",
            "null",
            "-",
        ])
        .output()
        .unwrap();
    let trace = String::from_utf8_lossy(&output.stderr);
    let field = |name: &str| -> Option<u32> {
        let line = trace.lines().find(|line| line.contains(name))?;
        line.rsplit_once("= ")?.1.trim().parse().ok()
    };
    assert!(field("vui_parameters_present_flag").is_some(), "{trace}");
    Some((field("num_units_in_tick")?, field("time_scale")?))
}

/// Frames in several orders and, in interlaced streams, in fields.
#[test]
fn streams_by_hand_show_what_they_should() {
    let gop = vec![
        frame(Slices::I, 0),
        frame(Slices::P, 4),
        frame(Slices::B, 2).reference(true),
        frame(Slices::B, 1),
        frame(Slices::B, 3),
        frame(Slices::P, 5),
    ];
    let in_order: Vec<_> = (0..6)
        .map(|display| match display {
            0 => frame(Slices::I, 0),
            _ => frame(Slices::P, display),
        })
        .collect();
    let codings = [Coding::Frame, Coding::TopFirst, Coding::BottomFirst];
    for coding in codings {
        for (order_type, gop) in [(0, &gop), (1, &gop), (2, &in_order)] {
            let sequence = Sequence {
                order_type,
                interlaced: coding != Coding::Frame,
                reorder: Some(2),
                counter_bits: 4,
                ..Default::default()
            };
            let gop: Vec<_> = gop.iter().map(|frame| frame.coding(coding)).collect();
            let (stream, checksums) = sequence.stream(&[gop.clone(), gop], (10, 1));
            let decoded = mp4::decode_stream(&stream);
            assert_eq!(decoded.complaints, "", "{coding:?}, type {order_type}");
            assert_eq!(
                decoded.checksums, checksums,
                "{coding:?}, type {order_type}"
            );
            assert_eq!(stream.units.len(), 12);
            // ffprobe finds the same access units, of field pictures each.
            let found = Stream::from_bytes(&stream.bytes(), (10, 1));
            let sizes = |stream: &Stream| stream.units.iter().map(Vec::len).collect::<Vec<_>>();
            if coding == Coding::Frame {
                assert_eq!(sizes(&found), sizes(&stream), "type {order_type}");
            } else {
                assert_eq!(found.units.len(), 2 * stream.units.len());
            }
        }
    }
}
