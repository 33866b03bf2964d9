// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Programs of other people on `reduct://` addresses: a player, a prober, an editor.

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use common::line::record;
use common::mp4;
use common::pipeline::Pipeline;
use common::recording::{Layout, Recording};
use common::stream::Stream;
use common::{SERVER, await_that};
use gst::prelude::*;

/// Records the example, an access unit or a group of pictures a record, and gives its address.
fn address(layout: Layout) -> String {
    let recording = Recording {
        layout,
        ..Default::default()
    };
    let bucket = record(&recording, &Stream::example());
    let server = SERVER.url();
    let server = server.strip_prefix("http://").expect("no TLS");
    format!("reduct://{server}/{bucket}/e")
}

/// Runs a program of GStreamer with the plugin.
fn run(program: &str, args: &[&str], folder: &Path) -> Output {
    let plugin = folder.join("libgstreduct.so");
    symlink(common::plugin_file(), plugin).expect("a link");
    let output = Command::new("timeout")
        .args(["60", program])
        .args(args)
        .current_dir(folder)
        .env("GST_PLUGIN_PATH", folder)
        .env("GST_REGISTRY", folder.join("registry"))
        .env_remove("REDUCT_URL")
        .output();
    output.unwrap_or_else(|e| panic!("{program} does not start ({e}): tests/run.sh installs it"))
}

#[test]
fn the_discoverer_knows_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(
        "gst-discoverer-1.0",
        &["-v", &address(Layout::Gop)],
        folder.path(),
    );
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in [
        "Duration: 0:00:06.000000000",
        "Seekable: yes",
        "Live: no",
        "H.264",
        "Width: 160",
        "Height: 120",
        "Frame rate: 10/1",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}

#[test]
fn a_player_plays_and_seeks() {
    for layout in [Layout::AccessUnit, Layout::Gop] {
        let uri = address(layout);
        let pipeline = Pipeline::launch(&format!(
            "playbin3 uri={uri} flags=video video-sink=\"appsink sync=false wait-on-eos=false\""
        ));
        let sink: gst::Element = pipeline.property("video-sink");
        let sink: gst_app::AppSink = sink.downcast().expect("an appsink");
        let paused = |what: &str| {
            let (result, ..) = pipeline.state(gst::ClockTime::from_seconds(10));
            assert_eq!(result, Ok(gst::StateChangeSuccess::Success), "{what}");
            let sample = sink.try_pull_preroll(gst::ClockTime::from_seconds(10));
            sample
                .expect("a picture")
                .buffer()
                .and_then(|buffer| buffer.pts())
        };
        pipeline.set_state(gst::State::Paused).expect("it starts");
        paused("start");
        let second = gst::ClockTime::SECOND;
        assert_eq!(pipeline.query_duration(), Some(6 * second));
        for tenths in [25, 4, 51] {
            let time = second * tenths / 10;
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
            pipeline.seek_simple(flags, time).expect("a seek");
            paused("seek");
            assert_eq!(pipeline.query_position(), Some(time), "{layout:?}");
        }
        pipeline.run().clean();
    }
}

#[test]
fn progress_is_reported_in_percent() {
    let bucket = record(&Recording::default(), &Stream::example());
    let pipeline = Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e ! progressreport silent=true ! fakesink",
        SERVER.url()
    ));
    let outcome = pipeline.run().clean();
    let mut told = outcome.elements.iter();
    let told = told
        .rfind(|told| told.name() == "progress")
        .expect("a message");
    assert_eq!(told.get::<i32>("percent"), Ok(100));
    assert_eq!(told.get::<i64>("total"), Ok(6));
}

/// Plays, pauses and seeks as a user of a player does, in real time.
#[test]
fn a_player_seeks_forward_and_back_and_pauses() {
    let uri = address(Layout::Gop);
    let pipeline = Pipeline::launch(&format!(
        "playbin3 uri={uri} flags=video video-sink=\"fakesink sync=true\""
    ));
    let position = || pipeline.query_position::<gst::ClockTime>();
    let ms = gst::ClockTime::from_mseconds;
    let await_position = |time| {
        await_that("the time stands", || {
            position().is_some_and(|position| position >= time)
        });
        let now = position().expect("a position");
        assert!(now < time + ms(2500), "{now} is far after {time}");
    };
    let seek = |time| {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
        pipeline.seek_simple(flags, time).expect("a seek");
    };
    pipeline.play();
    await_position(ms(300));
    seek(ms(4000));
    await_position(ms(4300));
    seek(ms(1000));
    let settled = || {
        let (result, ..) = pipeline.state(gst::ClockTime::from_seconds(10));
        assert_eq!(result, Ok(gst::StateChangeSuccess::Success));
    };
    settled();
    await_position(ms(1300));
    pipeline.set_state(gst::State::Paused).expect("a pause");
    settled();
    let paused_at = position();
    let clock = gst::SystemClock::obtain();
    let begin = clock.time();
    await_that("the clock stands", || clock.time() > begin + ms(300));
    assert_eq!(position(), paused_at);
    pipeline.play();
    settled();
    await_position(ms(1600));
    seek(ms(5500));
    pipeline.run().clean();
}

#[test]
fn an_editor_joins_clips_of_two_entries() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("joined.mp4");
    let args = [
        "--track-types",
        "video",
        // Its own size is 36 times as large, and takes a busy machine longer than the time there is.
        "--video-caps=video/x-raw,width=160,height=120,framerate=30/1",
        "+clip",
        &address(Layout::AccessUnit),
        "inpoint=2.0",
        "duration=3.0",
        "+clip",
        &address(Layout::Gop),
        "inpoint=3.5",
        "duration=2.0",
        "-o",
        file.to_str().expect("a name in UTF-8"),
        "-f",
        "video/quicktime,variant=iso:video/x-h264",
    ];
    let output = run("ges-launch-1.0", &args, folder.path());
    assert!(output.status.success(), "{output:?}");
    // The editor makes 30 frames a second.
    assert_eq!(mp4::probe(&file).frames, 150);
}
