// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A recording that takes the source many requests, so that something can happen between them, and
//! what came of it.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use gst::prelude::*;

use super::line::{Export, Line, Read, Reading};
use super::mp4;
use super::pipeline::{Outcome, Pipeline, stat};
use super::recording::{Laid, Layout, Recording};
use super::server::{Builder, Server};
use super::stream::{Content, Stream, StreamSpec};
use super::wait::await_that;

/// Number of access units: a minute at 10 fps.
pub const FRAMES: usize = 600;

/// Limit of the source's memory: a small part of the recording.
pub const QUEUE_BYTES: u64 = 1_000_000;

/// A frame before which some episodes are complete, and most of the recording is not read.
pub const MIDDLE: usize = 160;

/// The recorded stream. No two of its pictures are the same.
pub fn stream() -> Stream {
    Stream::make(StreamSpec {
        frames: FRAMES,
        content: Content::Noise,
        ..Default::default()
    })
}

/// Layout of the recording: one access unit a record.
pub fn recording() -> Recording {
    Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    }
}

/// The records.
pub fn laid() -> Vec<Laid> {
    recording().lay(&stream())
}

/// A server that has the recording in entry `e` of bucket `b`, and sends it in small batches.
pub fn server() -> Server {
    server_with(Server::builder())
}

/// As [`server`], with options.
pub fn server_with(builder: Builder) -> Server {
    let server = empty_server(builder);
    server.create_bucket("b");
    recording().write(&server, "b", "e", &stream());
    server
}

/// A server without the recording, that sends small batches.
pub fn empty_server(builder: Builder) -> Server {
    builder.env("RS_IO_BATCH_MAX_SIZE", "200KB").start()
}

/// The line on the recording, with a small queue, in episodes of five seconds.
pub fn line(url: &str, properties: &str) -> Line {
    let properties = format!("prefetch-bytes={QUEUE_BYTES} {properties}");
    Line::new(url, "b", &properties, "duration=5000000000")
}

/// The source alone on the recording, with a small queue.
pub fn reading(url: &str, properties: &str) -> Reading {
    let properties = format!("prefetch-bytes={QUEUE_BYTES} {properties}");
    Reading::new(url, "b", &properties)
}

/// Waits until a source neither reads nor pushes anything.
pub fn await_rest(source: &gst::Element) {
    let counts = || ["records", "queue-records"].map(|name| stat(source, name));
    await_that("the source never rests", || {
        let before = counts();
        thread::sleep(Duration::from_millis(100));
        counts() == before
    });
}

/// Waits until a source has read ahead as far as it may.
pub fn await_full_queue(source: &gst::Element) {
    await_that("the source never reads ahead", || {
        stat(source, "queue-records") > 0
    });
    await_rest(source);
}

/// Waits until a source has tried again so often.
pub fn await_retries(source: &gst::Element, more: u64) {
    let before = stat(source, "retries");
    await_that("the source does not try again", || {
        stat(source, "retries") >= before + more
    });
}

/// Pauses a pipeline and waits until its source has read ahead as far as it may.
pub fn pause(pipeline: &Pipeline) {
    let paused = pipeline.set_state(gst::State::Paused);
    paused.expect("a pause");
    await_full_queue(&pipeline.element("source"));
}

/// Runs an action on a server before a frame is pushed, while the read-ahead of the source is full.
/// The returned receiver reports its end.
pub fn at_frame(
    pipeline: &Pipeline,
    frame: usize,
    server: &Arc<Server>,
    happen: impl Fn(&Server) + Send + 'static,
) -> mpsc::Receiver<()> {
    let server = Arc::clone(server);
    let (sender, done) = mpsc::channel();
    pipeline.before_buffers("source", move |index, source| {
        if index == frame {
            await_full_queue(source);
            happen(&server);
            // Not every test wants to know.
            let _ = sender.send(());
        }
    });
    done
}

/// Fails unless the source pushed all of the recording, once and in order, and told of each retry
/// by a warning; gives how many there were.
#[track_caller]
pub fn assert_read(read: Read) -> u64 {
    let read = read.clean();
    assert_eq!(read.buffers.len(), FRAMES);
    // Compared as a whole, because a message with the bytes would be unreadable.
    assert!(read.units() == stream().units);
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0]);
    told_retries(&read.outcome, &read.stats)
}

/// Fails unless the source pushed all of the recording, and tried nothing again.
#[track_caller]
pub fn assert_read_at_once(read: Read) {
    let stats = read.stats.clone();
    assert_eq!(assert_read(read), 0, "{stats}");
}

/// Fails unless the episodes are the recording, and the source told of each retry by a warning;
/// gives how many there were.
#[track_caller]
pub fn assert_exported(export: Export) -> u64 {
    let export = export.clean();
    assert_eq!(export.frames().iter().sum::<u64>(), FRAMES as u64);
    assert!(export.pictures() == mp4::stream_checksums(&stream()));
    told_retries(&export.outcome, &export.source)
}

/// Fails unless there is one error of this kind after so many retries, and the finished episodes
/// are the begin of the recording.
#[track_caller]
pub fn assert_ended_by(export: &Export, code: gst::ResourceError, retries: u64) {
    let text = export.outcome.text();
    let (error, _) = export.outcome.error();
    assert!(error.matches(code) && !export.outcome.eos, "{text}");
    let told = told_retries(&export.outcome, &export.source);
    assert_eq!(told, retries, "{text}");
    export.assert_files();
    let frames: u64 = export.frames().iter().sum();
    assert!((1..FRAMES as u64).contains(&frames), "{frames} frames");
    let begin = stream().slice(0..frames as usize);
    assert!(export.pictures() == mp4::stream_checksums(&begin));
}

/// Number of retries, which the source's warnings and its `stats` must agree on.
#[track_caller]
pub fn told_retries(outcome: &Outcome, stats: &gst::Structure) -> u64 {
    let of_source =
        |message: &&gst::Message| message.src().is_some_and(|src| src.name() == "source");
    let messages = outcome.messages.iter().filter(of_source);
    let warnings = messages.filter(|message| message.type_() == gst::MessageType::Warning);
    let retries: u64 = stats.get("retries").expect("a counter");
    assert_eq!(warnings.count() as u64, retries, "{}", outcome.text());
    let reason: Option<String> = stats.get_optional("last-retry").expect("a text");
    assert_eq!(reason.is_some_and(|text| !text.is_empty()), retries > 0);
    retries
}
