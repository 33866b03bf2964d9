// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Faults between the source and its server: each fault at many positions of an export, the number of
//! retries, and waits that end at once.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::await_that;
use common::line::{Export, Reading};
use common::long::{self, MIDDLE};
use common::pipeline::{Pipeline, stat};
use common::proxy::{Fate, Kind, Proxy, REASON};
use common::recording::{Laid, Layout, Recording};
use common::server::Server;
use common::stream::{Stream, StreamSpec};
use fastrand::Rng;
use gst::prelude::*;
use reduct_rs::JsonValue;

/// Time limit of the change to NULL, during any wait of the source.
const STOP_LIMIT: Duration = Duration::from_millis(100);

/// Properties that make a stalled answer a matter of a moment.
const IMPATIENT: &str = "timeout=300";

/// Fates for one in ten queries and batches, always the same ones with the same seed.
fn faults(
    seed: u64,
    fault: impl Fn(&mut Rng) -> Fate + Send,
) -> impl FnMut(Kind, usize) -> Fate + Send {
    let mut rng = Rng::with_seed(seed);
    move |kind, _| match kind {
        Kind::Query | Kind::Batch if rng.u8(..10) == 0 => fault(&mut rng),
        _ => Fate::Pass,
    }
}

/// Exports through faults, a few times with others.
#[track_caller]
fn assert_survives(fault: fn(&mut Rng) -> Fate) {
    let server = long::server();
    for seed in 0..3 {
        let proxy = Proxy::start(&server, faults(seed, fault));
        let export = long::line(&proxy.url(), IMPATIENT).run();
        let retries = long::assert_exported(export);
        assert!(retries > 3, "{retries} retries");
    }
}

#[test]
fn connections_that_break_in_the_middle_of_a_body() {
    assert_survives(|rng| Fate::Cut(rng.usize(..)));
}

#[test]
fn connections_that_break_before_an_answer() {
    assert_survives(|_| Fate::Close);
}

#[test]
fn bodies_that_are_shorter_than_their_records() {
    assert_survives(|rng| Fate::Short(rng.usize(..)));
}

#[test]
fn answers_that_stall() {
    assert_survives(|rng| match rng.bool() {
        true => Fate::Stall,
        false => Fate::StallAt(rng.usize(..)),
    });
}

#[test]
fn answers_that_ask_for_another_try() {
    assert_survives(|rng| {
        let statuses = [408, 425, 429, 500, 502, 503, 504];
        Fate::Status(statuses[rng.usize(..statuses.len())])
    });
}

#[test]
fn anything_at_any_time() {
    assert_survives(|rng| match rng.u8(..6) {
        0 => Fate::Cut(rng.usize(..)),
        1 => Fate::Close,
        2 => Fate::Short(rng.usize(..)),
        3 => Fate::Stall,
        4 => Fate::StallAt(rng.usize(..)),
        _ => Fate::Status(503),
    });
}

#[test]
fn records_of_an_unfinished_body_are_pushed() {
    let server = long::server();
    let proxy = Proxy::start(&server, |kind, _| match kind {
        Kind::Batch => Fate::StallAt(60_000),
        _ => Fate::Pass,
    });
    let reading = long::reading(&proxy.url(), "");
    reading.pipeline.play();
    let source = reading.pipeline.element("source");
    await_that("nothing comes", || stat(&source, "access-units") > 0);
    assert_eq!(stat(&source, "retries"), 0);
}

#[test]
fn the_first_connection_is_tried_again() {
    let server = long::server();
    // Of requests for records: others are repeated at once, without a warning.
    let mut requests = 0;
    let proxy = Proxy::start(&server, move |kind, _| {
        requests += usize::from(kind == Kind::Query);
        match (kind, requests) {
            (Kind::Query, 1) => Fate::Close,
            (Kind::Query, 2) => Fate::Status(503),
            _ => Fate::Pass,
        }
    });
    let retries = long::assert_exported(long::line(&proxy.url(), "").run());
    assert!((1..=2).contains(&retries), "{retries} retries");
}

/// Reads from a server that answers no query but with a status, and gives how many there were.
#[track_caller]
fn assert_gives_up(status: u16, retries: u64, code: gst::ResourceError) -> usize {
    let server = long::server();
    let proxy = Proxy::start(&server, move |kind, _| match kind {
        Kind::Query => Fate::Status(status),
        _ => Fate::Pass,
    });
    let properties = format!("retries={retries} connections=1");
    let read = long::reading(&proxy.url(), &properties).run();
    let (error, _) = read.outcome.error();
    assert!(error.matches(code), "{error:?}");
    assert!(!read.outcome.eos && read.buffers.is_empty());
    assert_eq!(long::told_retries(&read.outcome, &read.stats), retries);
    let reason: Option<String> = read.stats.get_optional("last-retry").expect("a string");
    let told = reason.is_some_and(|reason| reason.contains(REASON));
    assert_eq!(told, retries > 0, "{}", read.stats);
    proxy.count(Kind::Query)
}

#[test]
fn as_many_retries_as_are_set_and_one_error() {
    for (status, code) in [
        (429, gst::ResourceError::Busy),
        (503, gst::ResourceError::Busy),
        (500, gst::ResourceError::Read),
    ] {
        assert_eq!(assert_gives_up(status, 3, code), 4, "{status}");
    }
}

#[test]
fn no_retries() {
    assert_eq!(assert_gives_up(503, 0, gst::ResourceError::Busy), 1);
}

/// Exports while all batches have a fate from the middle on.
fn export_until(fate: Fate, properties: &str) -> Export {
    let server = long::server();
    let reached = Arc::new(AtomicBool::new(false));
    let begin = Arc::clone(&reached);
    let proxy = Proxy::start(&server, move |kind, _| match kind {
        Kind::Batch if begin.load(Ordering::SeqCst) => fate,
        _ => Fate::Pass,
    });
    let line = long::line(&proxy.url(), properties);
    line.pipeline.before_buffers("source", move |index, _| {
        if index == MIDDLE {
            reached.store(true, Ordering::SeqCst);
        }
    });
    line.run()
}

#[test]
fn no_retry_where_none_can_help() {
    for (status, code) in [
        (401, gst::ResourceError::NotAuthorized),
        (403, gst::ResourceError::NotAuthorized),
        (422, gst::ResourceError::Settings),
    ] {
        let export = export_until(Fate::Status(status), "");
        long::assert_ended_by(&export, code, 0);
    }
}

#[test]
fn after_the_last_retry_all_earlier_episodes_are_whole() {
    for fate in [Fate::Close, Fate::Cut(1000), Fate::Short(1000)] {
        let export = export_until(fate, "connections=1 retries=3");
        long::assert_ended_by(&export, gst::ResourceError::Read, 3);
    }
}

#[test]
fn progress_begins_the_count_of_retries_anew() {
    let server = long::server();
    let proxy = Proxy::start(&server, |kind, index| match kind {
        Kind::Batch if index % 5 == 4 => Fate::Close,
        _ => Fate::Pass,
    });
    let properties = "connections=1 retries=1";
    let retries = long::assert_exported(long::line(&proxy.url(), properties).run());
    assert!(retries > 3, "{retries} retries");
}

/// Groups of two pictures, a record each, with their number as a label.
fn numbered() -> (Stream, Vec<Laid>) {
    let stream = Stream::make(StreamSpec {
        gop: 2,
        frames: long::FRAMES,
        ..Default::default()
    });
    let recording = Recording {
        layout: Layout::Gop,
        ..Default::default()
    };
    let mut laid = recording.lay(&stream);
    for (number, laid) in laid.iter_mut().enumerate() {
        let label = ("number".into(), number.to_string());
        laid.record.labels.push(label);
    }
    (stream, laid)
}

#[test]
fn conditions_with_a_state_continue_after_a_retry() {
    let conditions = [
        r##"{"$limit": 222}"##,
        r##"{"$each_n": 3}"##,
        r##"{"$each_t": "700ms"}"##,
        r##"{"$gate": ["5s", {"$gt": [{"$rem": ["&number", 50]}, 10]}]}"##,
        r##"{"$eq": [{"$rem": ["&number", 40]}, 7], "#ctx_before": 3}"##,
        r##"{"$eq": [{"$rem": ["&number", 40]}, 7], "#ctx_after": "1s"}"##,
    ];
    let (_, laid) = numbered();
    let server = long::empty_server(Server::builder());
    server.create_bucket("b");
    server.write_all("b", "e", laid.iter().map(|laid| &laid.record));
    for condition in conditions {
        let when: JsonValue = condition.parse().expect("JSON");
        // What another client makes of it.
        let found = server.query("b", "e", when);
        assert!(
            (10..300).contains(&found.len()),
            "{condition}: {}",
            found.len()
        );
        let found: Vec<_> = found.iter().map(|record| record.bytes.to_vec()).collect();

        let read = |proxy: &Proxy| {
            let reading = Reading::new(&proxy.url(), "b", "prefetch-bytes=100000");
            let source = reading.pipeline.element("source");
            source.set_property("when", condition);
            let read = reading.run().clean();
            assert!(read.units().concat() == found.concat(), "{condition}");
            long::told_retries(&read.outcome, &read.stats)
        };
        let proxy = Proxy::start(&server, |_, _| Fate::Pass);
        assert_eq!(read(&proxy), 0, "{condition}");
        assert_eq!(proxy.count(Kind::Query), 1, "{condition}");
        let proxy = Proxy::start(&server, |kind, index| match kind {
            // Always in another batch of the query, which begins anew after each.
            Kind::Batch if [0, 2, 5, 9].contains(&index) => Fate::Cut(7919 * (index + 1)),
            _ => Fate::Pass,
        });
        assert!(read(&proxy) > 0, "{condition}");
    }
}

/// Fails if going to NULL takes long, each of five times after `wait` has started a pipeline and
/// waited until its source waits.
#[track_caller]
fn assert_stops_at_once(pipeline: &Pipeline, wait: impl Fn(&Pipeline)) {
    let mut taken: Vec<_> = (0..5)
        .map(|_| {
            wait(pipeline);
            let start = Instant::now();
            pipeline.set_state(gst::State::Null).expect("NULL");
            start.elapsed()
        })
        .collect();
    taken.sort();
    // A busy machine may be late once; a wait that does not end is late each time.
    assert!(taken[2] < STOP_LIMIT, "it took {taken:?}");
}

/// Stops a source while requests of a kind have a fate, after so many of them.
#[track_caller]
fn assert_stops_while(wanted: Kind, fate: Fate, requests: usize) {
    let server = long::server();
    let proxy = Proxy::start(
        &server,
        move |kind, _| {
            if kind == wanted { fate } else { Fate::Pass }
        },
    );
    let reading = long::reading(&proxy.url(), "connections=1");
    assert_stops_at_once(&reading.pipeline, |pipeline| {
        let before = proxy.count(wanted);
        pipeline.play();
        await_that("no request comes", || {
            proxy.count(wanted) >= before + requests
        });
    });
}

#[test]
fn it_stops_at_once_while_an_answer_stalls() {
    for kind in [Kind::Other, Kind::Query, Kind::Batch] {
        assert_stops_while(kind, Fate::Stall, 1);
    }
}

#[test]
fn it_stops_at_once_while_a_body_stalls() {
    assert_stops_while(Kind::Batch, Fate::StallAt(1000), 1);
}

#[test]
fn it_stops_at_once_while_it_waits_for_another_try() {
    // After four tries the next one is the better part of a second away.
    for kind in [Kind::Query, Kind::Batch] {
        assert_stops_while(kind, Fate::Status(503), 4);
    }
}

#[test]
fn it_stops_at_once_while_the_queue_is_full() {
    let server = long::server();
    let reading = long::reading(&server.url(), "");
    assert_stops_at_once(&reading.pipeline, long::pause);
}
