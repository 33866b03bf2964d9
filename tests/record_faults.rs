// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Faults of a server during a recording: no frame that the sink took is doubled, and a lost one is
//! counted and reported with the reason.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::SERVER;
use common::await_that;
use common::long::{self, FRAMES};
use common::pipeline::stat;
use common::proxy::{Fate, Kind, Proxy};
use common::recorder::{Recorded, Recorder, camera, copy_of, read_back};
use common::server::{Record, Server};
use common::stream::Stream;
use gst::prelude::*;
use reduct_rs::{BucketSettings, QuotaType};

/// Waits until records were tried again so often.
fn await_retries(sink: &gst::Element, count: u64) {
    await_that("nothing is tried again", || stat(sink, "retries") >= count);
}

/// A minute of video on a server of its own, to be recorded elsewhere.
fn source() -> (String, Vec<Record>) {
    let bucket = SERVER.new_bucket();
    let laid = long::recording().write(&SERVER, &bucket, "e", &long::stream());
    (bucket, laid.into_iter().map(|laid| laid.record).collect())
}

/// Times and contents.
fn essence(records: &[Record]) -> Vec<(u64, &[u8])> {
    records
        .iter()
        .map(|record| (record.time_us, record.bytes.as_ref()))
        .collect()
}

#[track_caller]
fn assert_all(found: &[Record], expected: &[Record]) {
    assert_eq!(found.len(), expected.len());
    assert!(essence(found) == essence(expected), "other records");
}

/// Records the minute through a proxy with a plan.
fn record_through(
    plan: impl FnMut(Kind, usize) -> Fate + Send + 'static,
    sink: &str,
) -> (Recorded, Vec<Record>, Vec<Record>) {
    let (from, expected) = source();
    let server = Server::start();
    server.create_bucket("b");
    let proxy = Proxy::start(&server, plan);
    let recorder = Recorder::new(&proxy.url(), "b", &copy_of(&SERVER, &from, ""), sink);
    let recorded = recorder.run();
    let found = server.read("b", "e");
    (recorded, found, expected)
}

#[test]
fn twenty_killed_servers_lose_and_double_nothing() {
    const KILLS: usize = 20;
    let (from, expected) = source();
    let server = Arc::new(Server::start());
    server.create_bucket("b");
    // As much as is on its way, so that each kill meets a batch.
    let sink = "queue-bytes=100000 max-latency=5";
    let recorder = Recorder::new(&server.url(), "b", &copy_of(&SERVER, &from, ""), sink);
    let sink = recorder.sink();
    let per_kill = FRAMES as u64 / (KILLS as u64 + 2);
    let killer = thread::spawn({
        let (sink, server) = (sink.clone(), Arc::clone(&server));
        move || {
            for kill in 1..=KILLS as u64 {
                await_that("nothing is written", || {
                    stat(&sink, "records") >= kill * per_kill
                });
                server.restart();
            }
        }
    });
    let recorded = recorder.run().clean();
    killer.join().expect("all kills");
    assert!(recorded.stat("retries") > 0, "no kill was noticed");
    assert_eq!(recorded.stat("records"), FRAMES as u64);
    assert_all(&server.read("b", "e"), &expected);
}

#[test]
fn uploads_that_are_cut_anywhere() {
    let plan = |kind, index: usize| match kind {
        // What a cut left behind is refused first, and then written anew.
        Kind::Write if index % 4 < 2 => Fate::CutRequest(index * 7919),
        _ => Fate::Pass,
    };
    let (recorded, found, expected) = record_through(plan, "");
    let recorded = recorded.clean();
    assert_eq!(recorded.stat("records"), FRAMES as u64);
    assert!(recorded.stat("retries") > 5);
    assert_all(&found, &expected);
}

#[test]
fn answers_that_are_lost() {
    let plan = |kind, index: usize| match (kind, index % 5) {
        (Kind::Write, 0) => Fate::Lose,
        (Kind::Write, 1) => Fate::Close,
        (Kind::Write, 2) => Fate::Status(503),
        (Kind::Write, 3) => Fate::Late(Duration::from_millis(300)),
        (Kind::Query | Kind::Batch, 0) | (Kind::Other, 4) => Fate::Close,
        _ => Fate::Pass,
    };
    let (recorded, found, expected) = record_through(plan, "");
    let recorded = recorded.clean();
    assert_eq!(recorded.stat("records"), FRAMES as u64);
    assert_all(&found, &expected);
}

#[test]
fn a_server_that_does_not_answer() {
    let plan = |kind, index: usize| match (kind, index) {
        (Kind::Write, 1) => Fate::Stall,
        _ => Fate::Pass,
    };
    let (recorded, found, expected) = record_through(plan, "timeout=500");
    let warnings = recorded.clean().warnings();
    let is_told = |text: &String| text.contains("500 ms");
    assert!(warnings.iter().any(is_told), "{warnings:?}");
    assert_all(&found, &expected);
}

#[test]
fn cuts_with_a_token_that_may_only_write() {
    let (from, expected) = source();
    let server = Server::builder().token("full").start();
    server.create_bucket("b");
    let token = server.create_token_with("writer", &[], &["b"]);
    let proxy = Proxy::start(&server, |kind, index| match (kind, index % 4) {
        (Kind::Write, 0) => Fate::CutRequest(index * 7919),
        (Kind::Write, 1) => Fate::Lose,
        _ => Fate::Pass,
    });
    let sink = format!("api-token={token}");
    let recorder = Recorder::new(&proxy.url(), "b", &copy_of(&SERVER, &from, ""), &sink);
    recorder.run().clean();
    assert_all(&server.read("b", "e"), &expected);
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let server = Server::start();
    server.create_bucket("b");
    let recorder = Recorder::new(
        &server.url(),
        "b",
        &live(240),
        "queue-bytes=10000000 overflow=drop-gop",
    );
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("nothing is written", || stat(&sink, "records") > 20);
    server.kill();
    await_retries(&sink, 4);
    server.restart();
    let recorded = recorder.finish().clean();
    assert_eq!(recorded.stat("dropped-frames"), 0);
    let found = read_back(&server, "b");
    let bytes = |sent: &[common::recorder::Sent]| -> Vec<Vec<u8>> {
        sent.iter().map(|sent| sent.bytes.clone()).collect()
    };
    assert_eq!(bytes(&found), bytes(&recorded.sent));
    assert_eq!(found.len(), 240);
}

/// A camera in real time.
fn live(frames: usize) -> String {
    let camera = camera(frames, "bframes=0 tune=zerolatency");
    camera.replace("videotestsrc", "videotestsrc is-live=true")
}

#[test]
fn groups_are_dropped_where_there_is_no_room() {
    let server = Server::start();
    server.create_bucket("b");
    // Behind a live source that is what happens by itself.
    let recorder = Recorder::new(&server.url(), "b", &live(300), "queue-bytes=30000");
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("nothing is written", || stat(&sink, "records") > 20);
    server.kill();
    await_that("nothing is dropped", || stat(&sink, "dropped-frames") > 30);
    server.restart();
    let recorded = recorder.finish().clean();
    let found = server.read("b", "e");
    let dropped = recorded.stat("dropped-frames");
    assert_eq!(found.len() as u64 + dropped, 300);
    assert_eq!(recorded.stat("records"), found.len() as u64);
    // The recording can be decoded: each group is complete from its IDR picture on.
    let mut sent = recorded.sent.iter();
    let mut holes = 0;
    for record in &found {
        let before = sent.by_ref().take_while(|sent| sent.bytes != record.bytes);
        if before.count() > 0 {
            let labels = record.labels.iter();
            let keyframe = labels
                .filter(|(key, _)| key == "keyframe")
                .map(|(_, value)| value);
            assert_eq!(keyframe.collect::<Vec<_>>(), ["true"]);
            holes += 1;
        }
    }
    assert!(holes > 0);
    let told = recorded.warnings();
    assert!(
        told.iter().any(|text| text.starts_with("Dropped ")),
        "{told:?}"
    );
}

#[test]
fn a_stream_waits_where_it_can() {
    let (from, expected) = source();
    let server = Server::start();
    server.create_bucket("b");
    // Behind a source that is not live that is what happens by itself.
    let sink = "queue-bytes=300000";
    let recorder = Recorder::new(&server.url(), "b", &copy_of(&SERVER, &from, ""), sink);
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("nothing is written", || stat(&sink, "records") > 100);
    server.kill();
    await_retries(&sink, 2);
    assert!(stat(&sink, "queue-bytes") <= 300_000);
    server.restart();
    let recorded = recorder.finish().clean();
    assert_eq!(recorded.stat("dropped-frames"), 0);
    assert_all(&server.read("b", "e"), &expected);
}

#[test]
fn a_full_queue_is_an_error_if_that_is_wanted() {
    let server = Server::start();
    server.create_bucket("b");
    let sink = "queue-bytes=30000 overflow=error";
    let recorder = Recorder::new(&server.url(), "b", &live(3000), sink);
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("nothing is written", || stat(&sink, "records") > 20);
    server.kill();
    let recorded = recorder.finish();
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.matches(gst::ResourceError::NoSpaceLeft), "{error}");
    assert!(error.message().contains("30000 bytes"), "{error}");
}

#[test]
fn a_server_that_cannot_be_reached_is_an_error() {
    let url = format!("http://127.0.0.1:{}", common::server::free_port());
    let recorder = Recorder::new(&url, "b", &live(3000), "retries=2");
    let recorded = recorder.run();
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.matches(gst::ResourceError::OpenWrite), "{error}");
    assert!(error.message().contains(&url), "{error}");
    assert_eq!(recorded.stat("retries"), 2);
}

#[test]
fn a_server_that_is_gone_at_the_end_is_an_error() {
    let server = Server::start();
    server.create_bucket("b");
    let recorder = Recorder::new(&server.url(), "b", &live(60), "retries=2");
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("nothing is written", || stat(&sink, "records") > 20);
    server.kill();
    let recorded = recorder.finish();
    assert!(
        !recorded.outcome.eos,
        "a recording that lacks frames looks complete"
    );
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.matches(gst::ResourceError::OpenWrite), "{error}");
    let lost = recorded.sent.len() as u64 - recorded.stat("records");
    let count = format!("{lost} records are lost");
    assert!(error.message().contains(&count), "{error}: {lost}");
}

#[test]
fn a_full_bucket_is_an_error() {
    let server = Server::start();
    let settings = BucketSettings {
        quota_type: Some(QuotaType::HARD),
        quota_size: Some(200_000),
        ..Default::default()
    };
    server.create_bucket_with("b", settings);
    let (from, expected) = source();
    let recorder = Recorder::new(&server.url(), "b", &copy_of(&SERVER, &from, ""), "");
    let recorded = recorder.run();
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.message().contains("Quota of 'b' exceeded"), "{error}");
    // What it has is what was counted.
    let found = server.read("b", "e");
    assert_eq!(recorded.stat("records"), found.len() as u64);
    assert!(error.message().contains("records are lost"), "{error}");
    assert_all(&found, &expected[..found.len()]);
}

#[test]
fn a_full_disk_is_waited_for() {
    let plan = |kind, index: usize| match (kind, index) {
        (Kind::Write, 1 | 2) => Fate::Status(507),
        (Kind::Write, 3) => Fate::Status(500),
        _ => Fate::Pass,
    };
    let (recorded, found, expected) = record_through(plan, "");
    let warnings = recorded.clean().warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert_all(&found, &expected);
}

#[test]
fn a_token_that_may_not_write() {
    let server = Server::builder().token("s3cret").start();
    server.create_bucket("b");
    let token = server.create_token("reader", &["b"]);
    for (token, domain) in [
        (token.as_str(), gst::ResourceError::NotAuthorized),
        ("wr0ng", gst::ResourceError::NotAuthorized),
    ] {
        let sink = format!("api-token={token}");
        let recorder = Recorder::new(&server.url(), "b", &camera(5, "bframes=0"), &sink);
        let recorded = recorder.run();
        let (error, debug) = &recorded.outcome.errors[0];
        assert!(error.matches(domain), "{error}");
        let said = format!("{error} {debug:?} {}", recorded.outcome.text());
        assert!(!said.contains(token), "{said}");
    }
    assert!(server.entries("b").is_empty());
}

#[test]
fn a_stop_during_eos_does_not_wait_for_the_server() {
    let server = Server::start();
    server.create_bucket("b");
    let recorder = Recorder::new(&server.url(), "b", &live(3000), "max-latency=5");
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("nothing is written", || stat(&sink, "records") > 10);
    server.freeze();
    let waiting = stat(&sink, "queue-records");
    await_that("nothing waits", || {
        stat(&sink, "queue-records") > waiting + 5
    });
    recorder.pipeline.send_event(gst::event::Eos::new());
    // It waits at the end of the stream.
    let before = recorder.pipeline.element("in");
    let pad = before.static_pad("src").expect("a pad");
    await_that("no end", || pad.pad_flags().contains(gst::PadFlags::EOS));
    let begin = Instant::now();
    recorder
        .pipeline
        .set_state(gst::State::Paused)
        .expect("a pause");
    recorder
        .pipeline
        .set_state(gst::State::Null)
        .expect("a stop");
    let elapsed = begin.elapsed();
    server.thaw();
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[test]
fn large_records_that_are_cut() {
    const RECORDS: u64 = 12;
    // ReductStore marks records of 512 KiB and more as broken if they are cut.
    let server = Server::start();
    server.create_bucket("b");
    let plan = |kind, index: usize| match kind {
        Kind::Write if index % 4 < 2 => Fate::CutRequest(700_000 * (index + 1)),
        _ => Fate::Pass,
    };
    let proxy = Proxy::start(&server, plan);
    let recorder = Recorder::new(&proxy.url(), "b", "appsrc name=app format=time", "");
    let app: gst_app::AppSrc = recorder
        .pipeline
        .element("app")
        .downcast()
        .expect("it is one");
    let caps = "video/x-h264,stream-format=byte-stream,alignment=au,framerate=10/1";
    app.set_caps(Some(&caps.parse().expect("caps")));
    recorder.pipeline.play();
    let stream = Stream::example();
    for (unit, index) in stream.units.iter().zip(0..RECORDS) {
        // Filler data makes a picture large.
        let filler = [&[0, 0, 1, 12][..], &[0xff; 600_000], &[0x80]].concat();
        let mut buffer = gst::Buffer::from_mut_slice([unit.as_slice(), &filler].concat());
        let pts = index * 100 * gst::ClockTime::MSECOND;
        buffer.get_mut().expect("a new buffer").set_pts(pts);
        app.push_buffer(buffer).expect("it flows");
    }
    app.end_of_stream().expect("it flows");
    let recorded = recorder.finish().clean();
    let found = server.read("b", "e");
    let found: Vec<_> = found.iter().map(|record| record.bytes.to_vec()).collect();
    let sent: Vec<_> = recorded.sent.into_iter().map(|sent| sent.bytes).collect();
    assert!(found == sent, "{} of {} records", found.len(), sent.len());
}

#[test]
fn a_second_writer_is_refused() {
    let server = Server::start();
    server.create_bucket("b");
    let first = Recorder::new(&server.url(), "b", &live(150), "");
    first.pipeline.play();
    let sink = first.sink();
    await_that("nothing is written", || stat(&sink, "records") > 10);
    let second = Recorder::new(&server.url(), "b", &live(3000), "").run();
    let (error, _) = &second.outcome.errors[0];
    assert!(error.matches(gst::ResourceError::Write), "{error}");
    assert!(
        error.message().contains("something else writes to it"),
        "{error}"
    );
    let first = first.finish().clean();
    let found: Vec<_> = server
        .read("b", "e")
        .into_iter()
        .map(|it| it.bytes.to_vec())
        .collect();
    let sent: Vec<_> = first.sent.into_iter().map(|sent| sent.bytes).collect();
    assert!(found == sent, "not the records of the first one alone");
}

#[test]
fn a_state_change_does_not_wait_for_the_server() {
    let server = Server::start();
    server.create_bucket("b");
    let stream = Recorder::new(
        &server.url(),
        "b",
        &live(3000),
        "queue-bytes=10 overflow=block",
    );
    let sink = stream.sink();
    stream.pipeline.play();
    await_that("nothing is written", || stat(&sink, "records") > 10);
    server.freeze();
    let sent = || stream.sent().len();
    await_that("it does not wait", || {
        let before = sent();
        thread::sleep(Duration::from_millis(200));
        before == sent()
    });
    let begin = Instant::now();
    stream.pipeline.set_state(gst::State::Null).expect("a stop");
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
    server.thaw();
}

/// A program that is killed at the latest when this value is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Number of bytes in the spool files of a folder.
fn spooled(folder: &Path) -> u64 {
    let Ok(files) = fs::read_dir(folder.join("spool/b/e")) else {
        return 0;
    };
    let sizes = files.map(|file| file.expect("a file").metadata().map_or(0, |it| it.len()));
    sizes.sum()
}

#[test]
fn records_that_a_process_left_in_its_spool_are_written_by_the_next_one() {
    let server = Server::start();
    server.create_bucket("b");
    let folder = tempfile::tempdir().expect("a folder");
    let spool = folder.path().join("spool");
    let plugin = folder.path().join("libgstreduct.so");
    symlink(common::plugin_file(), plugin).expect("a link");
    let line = format!(
        "-q {} ! reductsink url={} bucket=b entry=e spool-dir={}",
        live(3000),
        server.url(),
        spool.display()
    );
    let program = Command::new("gst-launch-1.0")
        .args(line.split(' '))
        .env("GST_PLUGIN_PATH", folder.path())
        .env("GST_REGISTRY", folder.path().join("registry"))
        .stderr(Stdio::null())
        .spawn();
    let mut program = Program(program.expect("gst-launch-1.0 starts"));
    await_that("nothing is written", || {
        server.entries("b").contains(&"e".into()) && server.read("b", "e").len() > 20
    });
    server.kill();
    let before = spooled(folder.path());
    await_that("nothing is kept", || {
        spooled(folder.path()) > before + 50_000
    });
    program.0.kill().expect("it can be killed");
    program.0.wait().expect("it ends");
    server.restart();
    let written = server.read("b", "e");

    let sink = format!("spool-dir={}", spool.display());
    let recorder = Recorder::new(&server.url(), "b", &live(30), &sink);
    let recorded = recorder.run().clean();
    let warnings = recorded.warnings();
    assert!(
        warnings[0].contains("are found in spool-dir"),
        "{warnings:?}"
    );
    let found = server.read("b", "e");
    let left: Vec<_> = found[..found.len() - 30].to_vec();
    assert!(
        left.len() > written.len() + 20,
        "{} {}",
        left.len(),
        written.len()
    );
    assert_eq!(essence(&left)[..written.len()], essence(&written)[..]);
    // No frame is missing.
    for pair in left.windows(2) {
        let step = pair[1].time_us - pair[0].time_us;
        assert!(
            (20_000..50_000).contains(&step),
            "{step} at {}",
            pair[0].time_us
        );
    }
    assert_eq!(essence(&found[left.len()..]).len(), recorded.sent.len());
    assert_eq!(spooled(folder.path()), 0);
}

#[test]
fn a_spool_needs_no_memory_and_no_server() {
    let (from, expected) = source();
    let server = Server::start();
    server.create_bucket("b");
    server.kill();
    let folder = tempfile::tempdir().expect("a folder");
    let sink = format!("retries=1000 spool-dir={}/spool", folder.path().display());
    let recorder = Recorder::new(&server.url(), "b", &copy_of(&SERVER, &from, ""), &sink);
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("it does not wait", || {
        stat(&sink, "queue-records") == FRAMES as u64
    });
    let contents: usize = expected.iter().map(|record| record.bytes.len()).sum();
    assert!(spooled(folder.path()) > contents as u64);
    assert!(stat(&sink, "queue-bytes") > contents as u64);
    server.restart();
    recorder.finish().clean();
    assert_all(&server.read("b", "e"), &expected);
    assert_eq!(spooled(folder.path()), 0);
}

#[test]
fn a_spool_that_cannot_be_used_is_an_error() {
    let sink = "spool-dir=/proc/nothing";
    let recorder = Recorder::new(&SERVER.url(), "b", &camera(5, "bframes=0"), sink);
    let recorded = recorder.run();
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.matches(gst::ResourceError::Read), "{error}");
    assert!(error.message().contains("/proc/nothing"), "{error}");
}
