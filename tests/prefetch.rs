// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The read-ahead of the source, and its search for records in entries of any density.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::line::{self, Reading};
use common::long::{self, QUEUE_BYTES};
use common::pipeline::stat;
use common::proxy::{Fate, Kind, Proxy};
use common::recording::{Layout, Recording};
use common::server::Server;
use common::stream::{Stream, StreamSpec};

const YEAR_US: u64 = 365 * 24 * 3600 * 1_000_000;

#[test]
fn a_pause_does_not_fill_memory() {
    let server = long::server();
    let proxy = Proxy::start(&server, |_, _| Fate::Pass);
    let reading = long::reading(&proxy.url(), "");
    long::pause(&reading.pipeline);
    let source = reading.pipeline.element("source");
    let batches = proxy.count(Kind::Batch);
    // Time enough for more, if there was room.
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        let bytes = stat(&source, "queue-bytes");
        assert!(bytes <= QUEUE_BYTES, "{bytes}");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(proxy.count(Kind::Batch), batches, "it keeps reading");
    long::assert_read_at_once(reading.run());
}

#[test]
fn the_queue_is_bounded_during_reading() {
    let server = long::server();
    let reading = long::reading(&server.url(), "");
    let most = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&most);
    reading.pipeline.before_buffers("source", move |_, source| {
        seen.fetch_max(stat(source, "queue-bytes"), Ordering::SeqCst);
    });
    long::assert_read_at_once(reading.run());
    let most = most.load(Ordering::SeqCst);
    let expected = QUEUE_BYTES / 4..=QUEUE_BYTES;
    assert!(expected.contains(&most), "{most} bytes");
}

#[test]
fn records_that_are_larger_than_the_queue_pass() {
    let stream = long::stream();
    for connections in [1, 4] {
        let bucket = line::record(
            &Recording {
                layout: Layout::Gops(7),
                ..Default::default()
            },
            &stream,
        );
        let properties = format!("prefetch-bytes=1000 connections={connections}");
        let read = line::read(&bucket, &properties).clean();
        assert!(read.units() == stream.units);
    }
}

#[test]
fn any_number_of_connections_reads_the_same() {
    let server = long::server();
    for connections in [1, 2, 16] {
        let properties = format!("connections={connections}");
        let read = long::reading(&server.url(), &properties).run();
        long::assert_read_at_once(read);
    }
}

#[test]
fn a_few_records_years_apart_take_few_requests() {
    const DENSE: usize = 5000;
    let stream = Stream::make(StreamSpec {
        frames: DENSE + 20,
        ..Default::default()
    });
    let recording = Recording {
        layout: Layout::AccessUnit,
        // Ten frames long before all others, and ten that are years apart after them.
        holes: (0..10)
            .map(|i| DENSE + 10 + i)
            .chain([10])
            .map(|frame| (frame, 3 * YEAR_US))
            .collect(),
        ..Default::default()
    };
    let server = Server::start();
    server.create_bucket("b");
    recording.write(&server, "b", "e", &stream);
    let proxy = Proxy::start(&server, |_, _| Fate::Pass);
    let read = Reading::new(&proxy.url(), "b", "").run().clean();
    assert_eq!(read.buffers.len(), stream.units.len());
    assert!(read.units() == stream.units);
    let counts = [Kind::Query, Kind::Batch].map(|kind| proxy.count(kind));
    assert!(counts[0] <= 200 && counts[1] <= 600, "{counts:?} requests");
}
