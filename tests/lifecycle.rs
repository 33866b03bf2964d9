// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Resources that remain after pipelines have ended, in each way that a pipeline can end.

mod common;

use std::fs;

use common::child;
use common::line::{Line, Reading, record};
use common::pipeline::{Pipeline, stat};
use common::recorder::{Recorder, START_US, camera};
use common::recording::{Layout, Recording};
use common::stream::Stream;
use common::{SERVER, await_that};
use gst::prelude::*;

/// Rounds of a loop over states.
const ROUNDS: usize = 200;

fn example() -> String {
    let recording = Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    };
    record(&recording, &Stream::example())
}

/// Numbers of open files and threads of this process. A test that compares them is alone in its process.
fn resources() -> (usize, usize) {
    let count = |folder| fs::read_dir(folder).expect("the kernel's files").count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

/// Starts and stops a pipeline with a source many times, in different moments, and fails if it keeps
/// anything.
fn change_states(pipeline: &Pipeline) {
    let source = pipeline.element("source");
    let counted = || stat(&source, "access-units");
    change_states_with(pipeline, |_| {}, counted);
}

/// The same with what comes before each round, and with moments in which something has counted so many.
fn change_states_with(pipeline: &Pipeline, prepare: impl Fn(usize), counted: impl Fn() -> u64) {
    let mut before = None;
    for round in 0..ROUNDS {
        prepare(round);
        pipeline.play();
        let wanted = [0, 1, 20, 60][round % 4];
        await_that("no access units", || counted() >= wanted);
        let state = [gst::State::Null, gst::State::Ready][round / 4 % 2];
        pipeline.set_state(state).expect("it stops");
        // Threads and pools that are kept come with the first rounds.
        if round == ROUNDS / 10 {
            pipeline.set_state(gst::State::Null).expect("it stops");
            before = Some(resources());
        }
    }
    pipeline.set_state(gst::State::Null).expect("it stops");
    let (files, threads) = before.expect("some rounds");
    // Connections and threads end a moment after their owner.
    await_that("something is left", || {
        let now = resources();
        now.0 <= files + 4 && now.1 <= threads + 4
    });
}

#[test]
fn a_source_can_start_two_hundred_times() {
    if child::again("a_source_can_start_two_hundred_times", &[]).is_some() {
        return;
    }
    change_states(&Reading::new(&SERVER.url(), &example(), "").pipeline);
}

#[test]
fn a_source_that_follows_can_start_two_hundred_times() {
    if child::again("a_source_that_follows_can_start_two_hundred_times", &[]).is_some() {
        return;
    }
    let reading = Reading::new(&SERVER.url(), &example(), "follow=true start=0");
    change_states(&reading.pipeline);
}

#[test]
fn a_line_can_start_two_hundred_times() {
    if child::again("a_line_can_start_two_hundred_times", &[]).is_some() {
        return;
    }
    let line = Line::new(&SERVER.url(), &example(), "", "duration=1000000000");
    change_states(&line.pipeline);
}

#[test]
fn a_sink_can_start_two_hundred_times() {
    if child::again("a_sink_can_start_two_hundred_times", &[]).is_some() {
        return;
    }
    let camera = camera(10_000, "bframes=0 speed-preset=ultrafast");
    let bucket = SERVER.new_bucket();
    let sink = "max-latency=1 queue-bytes=100000";
    let recorder = Recorder::new(&SERVER.url(), &bucket, &camera, sink);
    let sink = recorder.sink();
    // Test pictures are ahead of the clock, and the next ones would wait for other writers to show.
    let to_next_entry = |round| sink.set_property("entry", format!("e-{round}"));
    change_states_with(&recorder.pipeline, to_next_entry, || stat(&sink, "records"));
}

/// Runs pipelines to different ends.
fn run_all() {
    let bucket = example();
    let url = SERVER.url();
    Reading::new(&url, &bucket, "").run().clean();
    Line::new(&url, &bucket, "start-mode=exact", "duration=1000000000")
        .run()
        .clean();
    // An error, and a stop in the middle.
    let failed = Reading::new(&url, "no-such-bucket", "").run();
    assert!(!failed.outcome.errors.is_empty());
    let reading = Reading::new(&url, &bucket, "");
    reading.pipeline.play();
    let source = reading.pipeline.element("source");
    await_that("no picture", || stat(&source, "access-units") > 0);
    drop((reading, source));
    // Recordings: to the end, to an error, and stopped.
    let recorded = SERVER.new_bucket();
    let recorder = |sink: &str| Recorder::new(&url, &recorded, &camera(50, "bframes=2"), sink);
    recorder("labels=labels,site=3")
        .capture(|us| START_US + us)
        .run()
        .clean();
    assert!(
        !recorder("create-bucket=false bucket=nowhere")
            .run()
            .outcome
            .eos
    );
    let stopped = recorder("max-latency=1");
    stopped.pipeline.play();
    let sink = stopped.sink();
    await_that("nothing is written", || stat(&sink, "records") > 0);
    drop((stopped, sink));
    // Seeks, forwards and backwards.
    let reading = Reading::new(&url, &bucket, "");
    reading.pipeline.play();
    reading.pipeline.wait_for_end();
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::TRICKMODE_KEY_UNITS;
    for rate in [1.0, -2.0] {
        let set = gst::SeekType::Set;
        let (from, to) = (gst::ClockTime::SECOND, 4 * gst::ClockTime::SECOND);
        let seek = gst::event::Seek::new(rate, flags, set, from, set, to);
        assert!(reading.pipeline.send_event(seek));
        reading.pipeline.wait_for_end();
    }
    drop(reading);
    // A followed entry, until EOS.
    let following = Reading::new(&url, &bucket, "follow=true start=0");
    following.pipeline.play();
    let source = following.pipeline.element("source");
    await_that("not all", || stat(&source, "access-units") == 60);
    drop(source);
    assert!(following.pipeline.send_event(gst::event::Eos::new()));
    following.finish().clean();
}

/// Runs a test again with GStreamer's leaks tracer, and gives what it found.
fn leaks(test: &str) -> Option<Vec<String>> {
    let tracer = [
        ("GST_TRACERS", "leaks"),
        ("GST_DEBUG", "GST_TRACER:7"),
        ("GST_DEBUG_NO_COLOR", "1"),
    ];
    let printed = child::again(test, &tracer)?;
    let is_alive = |line: &&str| {
        // The tracer also says how it will tell.
        line.contains("object-alive, type-name=(string)") && !line.contains("format string")
    };
    let alive = printed.lines().filter(is_alive);
    Some(alive.map(Into::into).collect())
}

/// Makes the tracer report the objects that are left.
fn end_gstreamer() {
    // SAFETY: nothing of GStreamer is used after it, as the test is alone in its process.
    unsafe { gst::deinit() };
}

#[test]
fn nothing_leaks() {
    match leaks("nothing_leaks") {
        Some(alive) => assert_eq!(alive, [""; 0]),
        None => {
            run_all();
            end_gstreamer();
        }
    }
}

#[test]
fn a_leaked_object_is_found() {
    match leaks("a_leaked_object_is_found") {
        Some(alive) => assert!(alive.iter().any(|line| line.contains("GstBuffer"))),
        None => {
            common::init();
            std::mem::forget(gst::Buffer::new());
            end_gstreamer();
        }
    }
}
