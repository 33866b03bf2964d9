// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Faults of a server during an export: every export that can be finished is finished, without a lost
//! or doubled frame, and any other ends with one error and whole episodes.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::await_that;
use common::line::{Line, Reading};
use common::long::{self, FRAMES, MIDDLE, QUEUE_BYTES, at_frame};
use common::pipeline::{capture_us, stat};
use common::proxy::{Fate, Kind, Proxy};
use common::recording::Recording;
use common::server::Server;
use gst::prelude::*;
use reduct_rs::{BucketSettings, QuotaType, condition};

#[test]
fn twenty_killed_servers_lose_and_double_nothing() {
    const KILLS: usize = 20;
    const FRAMES_BETWEEN: usize = 28;
    let server = Arc::new(long::server());
    // Less than the bytes that are pushed from kill to kill: each kill interrupts requests.
    let queue = format!("prefetch-bytes={}", QUEUE_BYTES / 5);
    let line = Line::new(&server.url(), "b", &queue, "duration=5000000000");
    let frozen = Arc::new(AtomicUsize::new(0));
    let (freezer, count) = (Arc::clone(&server), Arc::clone(&frozen));
    line.pipeline.before_buffers("source", move |index, _| {
        if index % FRAMES_BETWEEN == 0 && (1..=KILLS).contains(&(index / FRAMES_BETWEEN)) {
            freezer.freeze();
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let source = line.pipeline.element("source");
    line.pipeline.play();
    for kill in 1..=KILLS {
        await_that("the export does not go on", || {
            frozen.load(Ordering::SeqCst) == kill
        });
        // It waits for the server.
        long::await_rest(&source);
        server.restart();
    }
    let retries = long::assert_exported(line.finish());
    assert!(retries >= KILLS as u64 / 2, "{retries} retries");
}

#[test]
fn a_server_that_starts_late() {
    let server = long::server();
    server.kill();
    let line = long::line(&server.url(), "");
    line.pipeline.play();
    long::await_retries(&line.pipeline.element("source"), 2);
    server.restart();
    assert!(long::assert_exported(line.finish()) >= 2);
}

/// Exports while something happens to the server in the middle, until the source has tried again.
fn export_through(properties: &str, begin: fn(&Server), end: fn(&Server)) {
    let server = Arc::new(long::server());
    let line = long::line(&server.url(), properties);
    let begun = at_frame(&line.pipeline, MIDDLE, &server, begin);
    line.pipeline.play();
    begun.recv().expect("the middle");
    long::await_retries(&line.pipeline.element("source"), 2);
    end(&server);
    assert!(long::assert_exported(line.finish()) >= 2);
}

#[test]
fn a_server_that_is_away_for_some_time() {
    export_through("", Server::kill, Server::restart);
}

#[test]
fn a_server_that_hangs_for_some_time() {
    export_through("timeout=300", Server::freeze, Server::thaw);
}

/// Conditions that every record meets. The second one counts records: it is read by one query,
/// which lives as long as the export.
const CONDITIONS: [&str; 2] = ["{}", r#"{"$limit": 1000000}"#];

/// Reads with a condition through a pause, in which something happens.
fn read_through_pause(url: &str, condition: &str, happen: impl Fn()) {
    let reading = long::reading(url, "");
    let source = reading.pipeline.element("source");
    source.set_property("when", condition);
    long::pause(&reading.pipeline);
    happen();
    long::assert_read(reading.run());
}

#[test]
fn a_pause_that_is_longer_than_queries_live() {
    let server = long::server();
    let proxy = Proxy::start(&server, |kind, _| match kind {
        Kind::Query => Fate::Forget,
        _ => Fate::Pass,
    });
    for condition in CONDITIONS {
        let batches = Cell::new(0);
        read_through_pause(&proxy.url(), condition, || {
            // The server forgets after a second in which nothing is asked, and does not tell.
            let rests = || {
                batches.set(proxy.count(Kind::Batch));
                thread::sleep(Duration::from_millis(1500));
                proxy.count(Kind::Batch) == batches.get()
            };
            assert!((0..5).any(|_| rests()), "it keeps reading");
        });
        assert!(proxy.count(Kind::Batch) > batches.get(), "nothing was left");
    }
}

/// Restarts a server in a pause, and makes queries of another client, which get the ids of the
/// source's queries and leave out every other record.
fn read_among_others(server: &Server, url: &str) {
    for condition in CONDITIONS {
        // It counts queries from 1 with each start.
        server.restart();
        read_through_pause(url, condition, || {
            server.restart();
            server.leave_queries("b", "e", condition!({"$each_n": 2}), 200);
        });
    }
}

#[test]
fn queries_of_others_with_the_same_ids_are_left_alone() {
    let server = long::server();
    read_among_others(&server, &server.url());
}

#[test]
fn queries_of_others_are_left_alone_if_a_proxy_hides_the_restart() {
    let server = long::server();
    let proxy = Proxy::start(&server, |_, _| Fate::Pass);
    read_among_others(&server, &proxy.url());
}

#[test]
fn ten_readers_at_once() {
    let server = long::server();
    let readings: Vec<_> = (0..10).map(|_| long::reading(&server.url(), "")).collect();
    // All of them have begun, and none is through.
    for reading in &readings {
        long::pause(&reading.pipeline);
    }
    for reading in &readings {
        reading.pipeline.play();
    }
    for reading in readings {
        long::assert_read_at_once(reading.finish());
    }
}

#[test]
fn records_that_a_quota_evicts_are_a_gap() {
    let (stream, recording) = (long::stream(), long::recording());
    let server = long::empty_server(Server::builder());
    // Room for the recording and a little more, in blocks of a group of pictures.
    server.create_bucket_with(
        "b",
        BucketSettings {
            quota_type: Some(QuotaType::FIFO),
            quota_size: Some(stream.bytes().len() as u64 * 21 / 20),
            max_block_records: Some(10),
            ..Default::default()
        },
    );
    let laid = recording.write(&server, "b", "e", &stream);
    let later = Recording {
        start_us: recording.frame_us(FRAMES, stream.fps),
        ..recording
    };

    let reading = long::reading(&server.url(), "");
    long::pause(&reading.pipeline);
    later.write(&server, "b", "e", &stream.slice(0..FRAMES / 2));
    let oldest = server.oldest_us("b", "e");
    let read = reading.run().clean();

    let times: Vec<_> = (read.buffers.iter())
        .map(|buffer| capture_us(buffer).expect("a capture time"))
        .collect();
    let gap = times.iter().position(|time| *time >= oldest);
    let gap = gap.expect("frames that were not evicted");
    let index = |time: u64| laid.iter().position(|laid| laid.record.time_us == time);
    let left = index(oldest).expect("a frame of the recording");
    assert!(0 < gap && gap < left, "{gap} frames read, {left} evicted");
    let frames = (0..gap).chain(left..FRAMES);
    let expected: Vec<_> = frames.map(|frame| laid[frame].record.time_us).collect();
    // What was written later may follow.
    let (found, after) = times.split_at(expected.len());
    assert_eq!(found, expected);
    assert!(after.is_sorted_by(|a, b| a < b));
    let units = read.units();
    assert!(units[..gap] == stream.units[..gap]);
    assert!(units[gap..expected.len()] == stream.units[left..]);

    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0, gap]);
    assert_eq!(read.stat("evicted"), 1);
}

/// Removes a record of a paused reading that was not read ahead, lets it go on, and fails if any other
/// record changes.
fn remove_a_record(server: &Server, reading: Reading) {
    let laid = long::laid();
    // The server holds 64 records of an open query ready by their places in a file. Removing one
    // moves those behind it: an old query gets other bytes than theirs, and no error.
    let source = reading.pipeline.element("source");
    let removed = stat(&source, "records") + stat(&source, "queue-records") + 20;
    let removed = removed as usize;
    server.remove_record("b", "e", laid[removed].record.time_us);

    let read = reading.run().clean();
    let mut expected = long::stream().units;
    // It may have been under way already.
    if read.buffers.len() < FRAMES {
        expected.remove(removed);
    }
    assert!(read.units() == expected);
    assert_eq!(read.stat("damaged"), 0);
}

#[test]
fn a_record_that_is_removed_changes_no_other() {
    let server = long::server();
    let reading = long::reading(&server.url(), "");
    long::pause(&reading.pipeline);
    remove_a_record(&server, reading);
}

#[test]
fn a_record_that_is_removed_changes_no_other_at_a_far_server() {
    let server = long::server();
    let proxy = Proxy::start(&server, |_, _| Fate::Late(Duration::from_millis(30)));
    let reading = long::reading(&proxy.url(), "");
    long::pause(&reading.pipeline);
    let made = || proxy.count(Kind::Query) - proxy.count(Kind::Batch);
    await_that("no query is made ahead", || made() > 0);
    thread::sleep(Duration::from_millis(700));
    let ahead = made();
    remove_a_record(&server, reading);
    // All of them were made anew.
    assert!(made() >= ahead, "{} after {ahead}", made());
}

#[test]
fn records_that_are_written_meanwhile_come_in_order_or_not_at_all() {
    let (stream, recording) = (long::stream(), long::recording());
    let server = long::server();
    let later = Recording {
        start_us: recording.frame_us(FRAMES, stream.fps),
        ..recording
    };
    let reading = long::reading(&server.url(), "");
    let (sender, begin) = mpsc::channel();
    reading.pipeline.before_buffers("source", move |index, _| {
        if index == 0 {
            sender.send(()).expect("a writer");
        }
    });
    let writing = thread::spawn(move || {
        begin.recv().expect("a first frame");
        for laid in later.lay(&long::stream()).chunks(10) {
            server.write_all("b", "e", laid.iter().map(|laid| &laid.record));
        }
        server
    });
    let read = reading.run().clean();
    writing.join().expect("all is written");

    let count = read.buffers.len();
    assert!((FRAMES..=2 * FRAMES).contains(&count), "{count} frames");
    let all = [&stream.units[..], &stream.units].concat();
    assert!(read.units() == all[..count]);
}

#[test]
fn a_token_that_is_revoked_in_the_middle() {
    let server = long::server_with(Server::builder().token("of-the-owner"));
    let server = Arc::new(server);
    let token = server.create_token("reader", &["b"]);
    let line = long::line(&server.url(), &format!("api-token={token}"));
    at_frame(&line.pipeline, MIDDLE, &server, |server| {
        server.remove_token("reader");
    });
    long::assert_ended_by(&line.run(), gst::ResourceError::NotAuthorized, 0);
}

#[test]
fn a_bucket_that_is_removed_in_the_middle() {
    let server = Arc::new(long::server());
    let line = long::line(&server.url(), "");
    at_frame(&line.pipeline, MIDDLE, &server, |server| {
        server.remove_bucket("b");
    });
    long::assert_ended_by(&line.run(), gst::ResourceError::NotFound, 0);
}

#[test]
fn errors_that_no_retry_can_fix_are_posted_at_once() {
    let server = Server::builder().token("of-the-owner").start();
    server.create_bucket("b");
    server.write("b", "e", 1, "video/h264", &[], "x");
    let cases = [
        ("bucket=missing", gst::ResourceError::NotFound),
        ("entry=missing", gst::ResourceError::NotFound),
        ("api-token=wrong", gst::ResourceError::NotAuthorized),
        (r#"when="{\"$like\":\ 1}""#, gst::ResourceError::Settings),
    ];
    for (property, code) in cases {
        let properties = format!("api-token=of-the-owner {property}");
        let read = Reading::new(&server.url(), "b", &properties).run();
        let (error, _) = read.outcome.error();
        assert!(error.matches(code), "{property}: {error:?}");
        assert_eq!(read.warnings(), [""; 0], "{property}");
        assert_eq!(read.stat("retries"), 0, "{property}");
    }
}
