// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Proves the proxy, with another client than the plugin's: what it says it does to an answer, that
//! client sees.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use common::proxy::{Fate, Kind, Proxy, REASON};
use common::server::{Record, Server};
use futures_util::StreamExt;
use reduct_rs::{ErrorCode, ReductClient, ReductError};
use tokio::runtime;

/// Size of the only record in bytes.
const LENGTH: usize = 100_000;

/// A server with one record in entry `e` of bucket `b`.
fn server() -> Server {
    let server = Server::start();
    server.create_bucket("b");
    server.write_all("b", "e", [&record()]);
    server
}

fn record() -> Record {
    Record {
        time_us: 1_000_000,
        content_type: "video/h264".into(),
        labels: vec![("fps".into(), "10".into())],
        bytes: (0..LENGTH).map(|i| i as u8).collect(),
    }
}

/// Time limit of an answer on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Returns the answer that a client gets through a proxy.
#[track_caller]
fn read(proxy: &Proxy) -> Result<Bytes, ReductError> {
    read_within(proxy, Duration::ZERO, LIMIT).expect("an answer")
}

/// Returns the answer to a client that waits between the query and the first batch, or `None` if there
/// is none within a time after that.
fn read_within(
    proxy: &Proxy,
    rest: Duration,
    limit: Duration,
) -> Option<Result<Bytes, ReductError>> {
    let client = ReductClient::builder().url(&proxy.url()).build();
    let read = async {
        let query = client.get_bucket("b").await?.query("e").send().await?;
        tokio::time::sleep(rest).await;
        let record = pin!(query).next().await.expect("a record")?;
        record.bytes().await
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let read = async { tokio::time::timeout(rest + limit, read).await };
    runtime.expect("a runtime").block_on(read).ok()
}

/// A proxy that gives all requests of a kind the same fate.
fn proxy_with(server: &Server, wanted: Kind, fate: Fate) -> Proxy {
    Proxy::start(
        server,
        move |kind, _| {
            if kind == wanted { fate } else { Fate::Pass }
        },
    )
}

/// Reads while all requests of a kind have the same fate.
#[track_caller]
fn read_with(wanted: Kind, fate: Fate) -> Result<Bytes, ReductError> {
    let server = server();
    read(&proxy_with(&server, wanted, fate))
}

#[track_caller]
fn assert_error(read: Result<Bytes, ReductError>, status: ErrorCode) -> String {
    let error = read.expect_err("no record");
    assert_eq!(error.status, status, "{error}");
    error.message
}

#[test]
fn untouched_requests_pass_and_are_counted() {
    let server = server();
    let proxy = Proxy::start(&server, |_, _| Fate::Pass);
    for round in 1..=3 {
        let bytes = read(&proxy).expect("a record");
        assert!(bytes == record().bytes);
        let counts = [Kind::Query, Kind::Batch].map(|kind| proxy.count(kind));
        assert_eq!(counts, [round, round]);
    }
}

#[test]
fn attachments_are_not_counted_as_records() {
    let server = server();
    let proxy = Proxy::start(&server, |_, _| Fate::Pass);
    server.attach("b", "e", "$video", reduct_rs::condition!({"fps": 10}));
    let client = ReductClient::builder().url(&proxy.url()).build();
    let attachments = async { client.get_bucket("b").await?.read_attachments("e").await };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let attachments = runtime.expect("a runtime").block_on(attachments);
    assert_eq!(attachments.expect("attachments").len(), 1);
    assert_eq!((proxy.count(Kind::Query), proxy.count(Kind::Batch)), (0, 0));
    assert!(proxy.count(Kind::Other) > 0);
}

#[test]
fn the_plan_knows_kinds_and_indices() {
    let server = server();
    let proxy = Proxy::start(&server, |kind, index| match (kind, index) {
        (Kind::Batch, 0) => Fate::Status(500),
        (Kind::Batch, 1) => Fate::Status(503),
        _ => Fate::Pass,
    });
    assert_error(read(&proxy), ErrorCode::InternalServerError);
    assert_error(read(&proxy), ErrorCode::ServiceUnavailable);
    read(&proxy).expect("a record");
}

#[test]
fn a_status_comes_with_its_reason() {
    for status in [401, 408, 425, 429, 500, 503] {
        for kind in [Kind::Other, Kind::Query, Kind::Batch] {
            let error = read_with(kind, Fate::Status(status));
            let error = error.expect_err("no record");
            assert_eq!(error.status as u16, status);
            assert_eq!(error.message, REASON);
        }
    }
}

#[test]
fn a_closed_connection_is_no_answer() {
    for kind in [Kind::Other, Kind::Query, Kind::Batch] {
        let message = assert_error(read_with(kind, Fate::Close), ErrorCode::Unknown);
        assert!(message.contains("error sending request"), "{message}");
    }
}

#[test]
fn a_stalled_answer_does_not_come() {
    for (kind, fate) in [
        (Kind::Query, Fate::Stall),
        (Kind::Batch, Fate::Stall),
        (Kind::Batch, Fate::StallAt(LENGTH / 2)),
    ] {
        let server = server();
        let proxy = proxy_with(&server, kind, fate);
        let read = read_within(&proxy, Duration::ZERO, Duration::from_secs(1));
        assert!(read.is_none(), "{fate:?} of a {kind:?}");
    }
}

#[test]
fn a_cut_body_has_an_error() {
    for place in [0, 1, LENGTH / 2, LENGTH - 1] {
        let read = read_with(Kind::Batch, Fate::Cut(place));
        let message = assert_error(read, ErrorCode::Unknown);
        let expected = "error decoding response body";
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn cut_connections_are_closed_and_reset_in_turns() {
    let server = server();
    let proxy = Proxy::start(&server, |_, _| Fate::Cut(5));
    for reset in [false, true, false, true] {
        let mut stream = TcpStream::connect(proxy.address()).expect("a connection");
        let request = "GET /api/v1/info HTTP/1.1\r\nHost: here\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        let end = stream.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(!head.contains("content-length: 5"), "{head}");
        assert_eq!(body.len(), 5, "{body}");
        let end = end.err().map(|err| err.kind());
        assert_eq!(end, reset.then_some(ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_short_body_is_a_whole_answer() {
    for (place, length) in [(0, 0), (77_777, 77_777), (LENGTH + 5, 5)] {
        let read = read_with(Kind::Batch, Fate::Short(place));
        let bytes = read.expect("reduct-rs accepts it");
        assert!(bytes == record().bytes[..length], "{} bytes", bytes.len());
    }
}

#[test]
fn a_forgotten_query_expires_after_a_second() {
    let server = server();
    let proxy = Proxy::start(&server, |kind, _| match kind {
        Kind::Query => Fate::Forget,
        _ => Fate::Pass,
    });
    read(&proxy).expect("a record");
    // The server does not announce that a query has expired.
    let late = read_within(&proxy, Duration::from_millis(1500), LIMIT);
    let message = assert_error(late.expect("an answer"), ErrorCode::NotFound);
    assert!(message.contains("might have expired"), "{message}");
}

#[test]
fn connections_are_closed_without_a_server() {
    let server = server();
    let proxy = Proxy::start(&server, |_, _| Fate::Pass);
    server.kill();
    assert_error(read(&proxy), ErrorCode::Unknown);
    server.restart();
    read(&proxy).expect("a record");
}
