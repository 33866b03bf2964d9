// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Recording through proxies that limit what they take, balancers that fail now and then, and servers
//! that are none or say what makes no sense.

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream as StdTcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::await_that;
use common::pipeline::{Pipeline, stat};
use common::proxy::{Fate, Kind, Proxy};
use common::recorder::{Recorded, Recorder, camera};
use common::server::{Record, Server};
use common::stream::Stream;
use gst::prelude::*;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, client, server};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener as AsyncListener, TcpStream};
use tokio::runtime::{self, Runtime};

/// Capture time of the first frame: 2025-06-13T08:50:53.273752Z.
const START_US: u64 = 1_749_804_653_273_752;
/// Distance of frames.
const FRAME_US: u64 = 100_000;

/// The head of a request.
#[derive(Clone, Debug)]
struct Head {
    method: Method,
    path: String,
    /// Lines of the head.
    lines: usize,
    /// Bytes of the body.
    length: u64,
    /// How many requests came before it.
    index: usize,
}

impl Head {
    /// Whether it writes records, and is not about attachments.
    fn writes(&self) -> bool {
        self.method == Method::POST && self.path.ends_with("/e/batch")
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
enum Verdict {
    Pass,
    /// An answer of something that is no ReductStore.
    Refuse(u16),
    /// The connection ends without an answer.
    HangUp,
    /// The server's answer has a further line.
    Add(&'static str, &'static str),
}

type Rule = Box<dyn FnMut(&Head) -> Verdict + Send>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A proxy that judges requests by their heads. It listens as long as this value lives.
struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    server: SocketAddr,
    rule: Mutex<Rule>,
    seen: Mutex<Vec<(Head, u16)>>,
}

impl Gate {
    fn start(server: &Server, rule: impl FnMut(&Head) -> Verdict + Send + 'static) -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a tokio runtime");
        let listener = runtime.block_on(AsyncListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port");
        let shared = Arc::new(Shared {
            server: ([127, 0, 0, 1], server.port()).into(),
            rule: Mutex::new(Box::new(rule)),
            seen: Mutex::default(),
        });
        let address = listener.local_addr().expect("an address");
        let taken = Arc::clone(&shared);
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let shared = Arc::clone(&taken);
                let service = service_fn(move |request| judge(Arc::clone(&shared), request));
                let connection = server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            shared,
            _runtime: runtime,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, with the statuses of their answers; 0 is none.
    fn seen(&self) -> Vec<(Head, u16)> {
        self.shared
            .seen
            .lock()
            .expect("no panic while locked")
            .clone()
    }

    /// How many requests that write records had this status.
    fn writes(&self, status: u16) -> usize {
        let seen = self.seen();
        let writes = seen.iter().filter(|(head, _)| head.writes());
        writes.filter(|(_, answered)| *answered == status).count()
    }
}

async fn judge(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.map(|value| value.to_str().expect("digits").parse().expect("digits"));
    let (head, verdict) = {
        let head = Head {
            method: request.method().clone(),
            path: request.uri().path().into(),
            lines: request.headers().len(),
            length: length.unwrap_or(0),
            index: shared.seen.lock().expect("no panic while locked").len(),
        };
        let verdict = (shared.rule.lock().expect("no panic while locked"))(&head);
        (head, verdict)
    };
    let answer = match verdict {
        Verdict::HangUp => Err("hung up".into()),
        Verdict::Refuse(status) => {
            // As nginx does it: the client shall see the answer.
            let _ = request.into_body().collect().await;
            let answer = Response::builder().status(status);
            let page = format!("<html><h1>{status}</h1></html>");
            let answer = answer.header("content-type", "text/html");
            answer.body(Full::new(page.into())).map_err(Failure::from)
        }
        Verdict::Pass => pass(&shared, request).await,
        Verdict::Add(name, value) => pass(&shared, request).await.map(|mut answer| {
            let name = HeaderName::from_static(name);
            let value = HeaderValue::from_static(value);
            answer.headers_mut().insert(name, value);
            answer
        }),
    };
    let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
    let mut seen = shared.seen.lock().expect("no panic while locked");
    seen.push((head, status));
    answer
}

/// The server's own answer.
async fn pass(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let stream = TcpStream::connect(shared.server).await?;
    let (mut sender, connection) = client::conn::http1::Builder::new()
        .max_headers(1000)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection);
    let request = Request::from_parts(head, Full::new(body));
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, Full::new(body)))
}

/// Access units of the example, each filled up to a length.
fn units(lengths: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    let stream = Stream::example();
    let units = stream.units.iter().cycle().zip(lengths);
    let filled = units.map(|(unit, length)| {
        let filler = length.saturating_sub(unit.len() + 5);
        match filler {
            0 => unit.clone(),
            _ => [
                unit.as_slice(),
                &[0, 0, 1, 12],
                &vec![0xff; filler],
                &[0x80],
            ]
            .concat(),
        }
    });
    filled.collect()
}

/// Records access units, a tenth of a second apart, through some server to entry `e` of bucket `b`.
fn recorder(url: &str, units: &[Vec<u8>], sink: &str) -> Recorder {
    let sink = format!("start={START_US} {sink}");
    let recorder = Recorder::new(url, "b", "appsrc name=app format=time max-bytes=0", &sink);
    let app = recorder.pipeline.element("app");
    let app: gst_app::AppSrc = app.downcast().expect("it is one");
    let caps = "video/x-h264,stream-format=byte-stream,alignment=au,framerate=10/1";
    app.set_caps(Some(&caps.parse().expect("caps")));
    recorder.pipeline.play();
    for (unit, index) in units.iter().zip(0_u64..) {
        let mut buffer = gst::Buffer::from_mut_slice(unit.clone());
        let pts = gst::ClockTime::from_useconds(index * FRAME_US);
        buffer.get_mut().expect("a new buffer").set_pts(pts);
        if app.push_buffer(buffer).is_err() {
            break; // There is an error on the bus.
        }
    }
    let _ = app.end_of_stream();
    recorder
}

fn record(url: &str, units: &[Vec<u8>], sink: &str) -> Recorded {
    recorder(url, units, sink).finish()
}

/// A server with an empty bucket.
fn empty_server() -> Server {
    let server = Server::start();
    server.create_bucket("b");
    server
}

/// Fails unless the entry has all units, at their times.
#[track_caller]
fn assert_all(server: &Server, units: &[Vec<u8>]) {
    let found = server.read("b", "e");
    let times: Vec<_> = found.iter().map(|record| record.time_us).collect();
    let expected: Vec<_> = (0..units.len() as u64)
        .map(|index| START_US + index * FRAME_US)
        .collect();
    assert_eq!(times, expected);
    let same = found
        .iter()
        .zip(units)
        .all(|(found, unit)| found.bytes == *unit);
    assert!(same, "other contents");
}

#[test]
fn bodies_that_are_too_long_become_shorter() {
    let units = units([400_000; 24]);
    for (limit, most) in [(1 << 20, 12), (450_000, 24), (400_000, 24), (3_999_999, 6)] {
        let server = empty_server();
        let gate = Gate::start(&server, move |head| match head.length > limit {
            true => Verdict::Refuse(413),
            false => Verdict::Pass,
        });
        let recorded = record(&gate.url(), &units, "").clean();
        assert_all(&server, &units);
        let warnings = recorded.warnings();
        assert_eq!(warnings.len(), 1, "{limit}: {warnings:?}");
        assert!(warnings[0].contains("413"), "{warnings:?}");
        assert!(gate.writes(413) <= 6, "{limit}: {}", gate.writes(413));
        assert!(gate.writes(200) <= most, "{limit}: {}", gate.writes(200));
        assert_eq!(recorded.stat("records"), 24);
    }
}

#[test]
fn heads_that_are_too_long_become_shorter() {
    let units = units([0; 200]);
    for (status, limit) in [
        (431, 79),
        (431, 40),
        (400, 31),
        (494, 12),
        (431, 5),
        (431, 4),
    ] {
        let server = empty_server();
        let gate = Gate::start(&server, move |head| {
            match head.writes() && head.lines > limit {
                true => Verdict::Refuse(status),
                false => Verdict::Pass,
            }
        });
        let recorded = record(&gate.url(), &units, "").clean();
        assert_all(&server, &units);
        let warnings = recorded.warnings();
        assert_eq!(warnings.len(), 1, "{limit}: {warnings:?}");
        let refused = gate.writes(status);
        assert!(refused <= 12, "{limit}: {refused}");
        assert_eq!(recorded.stat("records"), 200);
    }
}

#[test]
fn a_server_that_takes_few_lines_itself() {
    // 15 lines more than records. It closes the connection, so that its answer may be lost.
    for records in [1, 10, 40] {
        let server = Server::builder()
            .env("RS_IO_BATCH_MAX_RECORDS", &records.to_string())
            .start();
        server.create_bucket("b");
        let units = units([2000; 200]);
        record(&server.url(), &units, "").clean();
        assert_all(&server, &units);
    }
}

#[test]
fn a_connection_that_ends_instead_of_an_answer_is_too_long_a_request() {
    let server = empty_server();
    let gate = Gate::start(&server, |head| match head.writes() && head.lines > 12 {
        true => Verdict::HangUp,
        false => Verdict::Pass,
    });
    let units = units([0; 100]);
    let recorded = record(&gate.url(), &units, "").clean();
    assert_all(&server, &units);
    assert!(
        recorded.stat("retries") < 10,
        "{}",
        recorded.stat("retries")
    );
}

#[test]
fn a_limit_that_becomes_smaller_while_it_records() {
    let server = empty_server();
    let mut writes = 0;
    let gate = Gate::start(&server, move |head| {
        writes += u32::from(head.writes());
        let limit = [1_500_000, 900_000, 450_000][(writes as usize / 6).min(2)];
        match head.length > limit {
            true => Verdict::Refuse(413),
            false => Verdict::Pass,
        }
    });
    let units = units([400_000; 40]);
    let recorded = record(&gate.url(), &units, "").clean();
    assert_all(&server, &units);
    assert_eq!(recorded.warnings().len(), 1, "{:?}", recorded.warnings());
}

#[test]
fn bodies_and_heads_are_causes_of_their_own() {
    let server = empty_server();
    let gate = Gate::start(&server, |head| match head.writes() {
        true if head.length > 1_000_000 => Verdict::Refuse(413),
        true if head.lines > 20 => Verdict::Refuse(431),
        _ => Verdict::Pass,
    });
    let lengths = (0..160).map(|index| if index % 40 == 0 { 700_000 } else { 9_000 });
    let units = units(lengths);
    let recorded = record(&gate.url(), &units, "").clean();
    assert_all(&server, &units);
    let warnings = recorded.warnings();
    assert!(warnings.len() <= 2, "{warnings:?}");
}

#[test]
fn a_single_record_that_is_too_large_is_one_error() {
    for (large, limit) in [(1_500_000, 1 << 20), (500_001, 500_000)] {
        let server = empty_server();
        let gate = Gate::start(&server, move |head| match head.length > limit {
            true => Verdict::Refuse(413),
            false => Verdict::Pass,
        });
        let mut lengths = vec![100_000; 8];
        lengths[3] = large;
        let units = units(lengths);
        let recorded = record(&gate.url(), &units, "");
        assert!(!recorded.outcome.eos);
        assert_eq!(recorded.outcome.errors.len(), 1);
        let (error, _) = &recorded.outcome.errors[0];
        for part in [
            "413",
            &format!("{large} bytes"),
            "2025-06-13T08:50:53.573752Z",
            "client_max_body_size",
        ] {
            assert!(error.message().contains(part), "{part}: {error}");
        }
        assert_all(&server, &units[..3]);
        // It, and what came after it until then.
        let lost = error.message().rsplit_once(". ").expect("a count").1;
        let lost: usize = lost
            .split(' ')
            .next()
            .expect("a word")
            .parse()
            .expect("a number");
        assert!((1..=5).contains(&lost), "{error}");
    }
}

#[test]
fn what_is_too_large_stays_in_the_spool_with_what_follows() {
    let server = empty_server();
    let limit = Arc::new(Mutex::new(1 << 20));
    let gate = Gate::start(&server, {
        let limit = Arc::clone(&limit);
        move |head| match head.length > *limit.lock().expect("no panic while locked") {
            true => Verdict::Refuse(413),
            false => Verdict::Pass,
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let sink = format!("spool-dir={}", folder.path().display());
    let mut lengths = vec![100_000; 8];
    lengths[3] = 1_500_000;
    let units = units(lengths);
    let recorded = record(&gate.url(), &units, &sink);
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.message().contains("stay in spool-dir"), "{error}");
    assert_all(&server, &units[..3]);
    *limit.lock().expect("no panic while locked") = 2_000_000;
    // All of them wait by the time that the next frames come.
    let later = format!("{sink} start={}", START_US + 8 * FRAME_US);
    let recorded = Recorder::new(&gate.url(), "b", &camera(1, "bframes=0"), &later).run();
    recorded.clean();
    let found = server.read("b", "e");
    let kept: Vec<_> = found.iter().map(|record| record.bytes.to_vec()).collect();
    assert_eq!(found.len(), 9);
    assert!(kept[..8] == units[..], "other contents");
}

#[test]
fn a_proxy_that_fails_at_intervals_loses_nothing() {
    let units = units([0; 200]);
    for (interval, verdict) in [
        (4, Verdict::Refuse(503)),
        (3, Verdict::Refuse(503)),
        (2, Verdict::Refuse(503)),
        (2, Verdict::Refuse(429)),
        (2, Verdict::Refuse(502)),
        (3, Verdict::Refuse(502)),
        (4, Verdict::HangUp),
        (5, Verdict::Refuse(504)),
    ] {
        let server = empty_server();
        let refusal = verdict.clone();
        let gate = Gate::start(&server, move |head| {
            match head.index % interval == interval - 1 {
                true => refusal.clone(),
                false => Verdict::Pass,
            }
        });
        let recorded = record(&gate.url(), &units, "max-latency=5");
        assert!(
            recorded.outcome.eos,
            "{interval} {verdict:?}: {}",
            recorded.outcome.text()
        );
        assert_all(&server, &units);
        assert_eq!(recorded.stat("records"), 200);
    }
}

#[test]
fn what_is_known_is_not_asked_again() {
    let server = empty_server();
    let gate = Gate::start(&server, |_| Verdict::Pass);
    let units = units([0; 800]);
    record(&gate.url(), &units, "").clean();
    let writes = gate.writes(200);
    let others = gate.seen().len() - writes;
    // Each batch is looked for once when it is written, and others' records before it.
    assert!(writes <= 14, "{writes}");
    assert!(others <= 2 * writes + 8, "{others} besides {writes}");
}

#[test]
fn an_attachment_that_cannot_be_written_holds_up_nothing() {
    let units = units([0; 400]);
    for status in [502, 503, 404, 403] {
        let server = empty_server();
        let gate = Gate::start(&server, move |head| {
            // Attachments are records of another entry, whichever method writes them.
            let parts = ["$meta", "%24meta", "/io/"];
            match parts.iter().any(|part| head.path.contains(part)) {
                true => Verdict::Refuse(status),
                false => Verdict::Pass,
            }
        });
        let recorded = record(&gate.url(), &units, "retries=1").clean();
        assert_all(&server, &units);
        let warnings = recorded.warnings();
        let told = warnings.iter().filter(|text| text.contains("$video"));
        assert!((1..=2).contains(&told.count()), "{status}: {warnings:?}");
    }
}

#[test]
fn an_entry_that_is_being_deleted_is_recorded_to_when_it_is_gone() {
    // The first request, and one that writes: a token that may not read has nothing else to ask.
    for may_read in [true, false] {
        let server = Server::builder().token("full").start();
        let read: &[&str] = if may_read { &["b"] } else { &[] };
        let token = server.create_token_with("camera", read, &["b"]);
        server.create_bucket_without("b", "e");
        let units = units([0; 100]);
        let sink = format!("api-token={token} create-bucket=false");
        let recorded = record(&server.url(), &units, &sink).clean();
        let warnings = recorded.warnings();
        let is_told = |text: &String| text.contains("is being deleted");
        assert!(warnings.iter().any(is_told), "{may_read}: {warnings:?}");
        assert_all(&server, &units);
        assert_eq!(recorded.stat("records"), 100);
    }
}

#[test]
fn errors_for_times_that_were_not_sent_acknowledge_nothing() {
    for rarely in [true, false] {
        let server = empty_server();
        let mut writes = 0;
        let gate = Gate::start(&server, move |head| {
            writes += usize::from(head.writes());
            match head.writes() && (!rarely || writes % 2 == 1) {
                true => Verdict::Add("x-reduct-error-123", "409,A record exists"),
                false => Verdict::Pass,
            }
        });
        let units = units([0; 100]);
        let recorded = record(&gate.url(), &units, "").clean();
        assert_all(&server, &units);
        assert_eq!(recorded.stat("records"), 100);
        let warnings = recorded.warnings();
        assert!(warnings[0].contains("123 µs"), "{warnings:?}");
    }
}

#[test]
fn a_proxy_that_says_400_is_not_waited_for() {
    let server = empty_server();
    let gate = Gate::start(&server, |head| match head.writes() {
        true => Verdict::Refuse(400),
        false => Verdict::Pass,
    });
    let begin = Instant::now();
    let recorded = record(&gate.url(), &units([0; 100]), "");
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.message().contains("400 Bad Request"), "{error}");
    assert!(error.message().contains("100 records are lost"), "{error}");
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    // ReductStore's own is about a body that did not come.
    let server = empty_server();
    let proxy = Proxy::start(&server, |kind, index| match (kind, index) {
        (Kind::Write, 0 | 1) => Fate::Status(400),
        _ => Fate::Pass,
    });
    let units = units([0; 100]);
    record(&proxy.url(), &units, "").clean();
    assert_all(&server, &units);
}

#[test]
fn nothing_is_recorded_behind_the_end_of_time() {
    let times = [
        u64::MAX - 1,
        1 << 63,
        START_US * 1000,
        u64::MAX / 1000 + 1,
        u64::MAX / 1000 - 5_000_000,
    ];
    for time in times {
        for sink in ["", "existing=skip"] {
            let server = empty_server();
            server.write("b", "e", time, "video/h264", &[], "x");
            let recorded = record(&server.url(), &units([0; 30]), sink);
            let (error, _) = &recorded.outcome.errors[0];
            let named = error.message().contains(&format!("{time} µs"));
            assert!(named, "{sink}: {error}");
            assert!(error.message().contains("Remove that record"), "{error}");
            assert_eq!(recorded.stat("records"), 0);
            let found = server.read("b", "e");
            assert!(found.len() <= 1, "{time}: {} records", found.len());
        }
    }
}

#[test]
fn nothing_begins_at_the_end_of_time() {
    let server = empty_server();
    let start = u64::MAX / 1000 - 8_000_000;
    let recorded = record(&server.url(), &units([0; 30]), &format!("start={start}"));
    let (error, _) = &recorded.outcome.errors[0];
    assert!(error.message().contains(&format!("{start} µs")), "{error}");
    assert_eq!(recorded.stat("records"), 0);
}

#[test]
fn what_waits_at_a_stop_is_written_when_the_server_is_back() {
    let server = empty_server();
    let units = units([0; 200]);
    let recorder = recorder(&server.url(), &units[..100], "retries=10");
    let sink = recorder.sink();
    await_that("nothing is written", || stat(&sink, "records") == 100);
    drop(recorder);
    server.kill();
    // That needs the server for the rest of it only.
    let later = START_US + 100 * FRAME_US;
    let recorder = Recorder::new(
        &server.url(),
        "b",
        "appsrc name=app format=time",
        // A busy machine may take long to start the server again.
        &format!("start={later} max-latency=1 retries=1000"),
    );
    let app = recorder.pipeline.element("app");
    let app: gst_app::AppSrc = app.downcast().expect("it is one");
    let caps = "video/x-h264,stream-format=byte-stream,alignment=au,framerate=10/1";
    app.set_caps(Some(&caps.parse().expect("caps")));
    recorder.pipeline.play();
    for (unit, index) in units[100..].iter().zip(0_u64..) {
        let mut buffer = gst::Buffer::from_mut_slice(unit.clone());
        let pts = gst::ClockTime::from_useconds(index * FRAME_US);
        buffer.get_mut().expect("a new buffer").set_pts(pts);
        app.push_buffer(buffer).expect("it flows");
    }
    let sink = recorder.sink();
    await_that("they do not wait", || stat(&sink, "queue-records") >= 90);
    recorder
        .pipeline
        .set_state(gst::State::Null)
        .expect("a stop");
    // What appsrc had not pushed by then is no matter of the sink.
    let units = &units[..100 + recorder.sent().len()];
    let retries = stat(&sink, "retries");
    await_that("nothing is tried again", || {
        stat(&sink, "retries") >= retries + 4
    });
    server.restart();
    await_that("not all of them are written", || {
        server.read("b", "e").len() == units.len()
    });
    assert_all(&server, units);
}

#[test]
fn what_is_lost_after_a_stop_is_told() {
    let server = empty_server();
    // Retries run out soon, and all records are to wait by then.
    let are_queued = Arc::new(OnceLock::new());
    let gate = Gate::start(&server, {
        let are_queued = are_queued.clone();
        move |head| match head.writes() {
            true => {
                are_queued.wait();
                Verdict::Refuse(503)
            }
            false => Verdict::Pass,
        }
    });
    let recorder = recorder(&gate.url(), &units([0; 50]), "retries=2 max-latency=1");
    let sink = recorder.sink();
    await_that("not all wait", || stat(&sink, "queue-records") == 50);
    are_queued.set(()).expect("they are counted once");
    await_that("nothing is tried", || stat(&sink, "retries") >= 1);
    // The bus passes messages on in READY.
    recorder
        .pipeline
        .set_state(gst::State::Ready)
        .expect("a stop");
    let mut messages = Vec::new();
    let told = recorder.pipeline.wait(&mut messages, |message| {
        matches!(message.view(), gst::MessageView::Warning(warning)
            if warning.error().message().contains("after the stop"))
    });
    let gst::MessageView::Warning(warning) = told.view() else {
        unreachable!("it is one");
    };
    let text = warning.error().message().to_owned();
    assert!(text.starts_with("50 records are lost"), "{text}");
}

/// Answers each connection with the same bytes.
fn foreign_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: StdTcpStream = stream.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
        }
    });
    format!("http://{address}")
}

#[test]
fn what_is_no_reductstore_is_an_error_within_seconds() {
    let servers = [
        foreign_server(b"HTTP/1.1 501 Unsupported method\r\ncontent-length: 0\r\n\r\n"),
        foreign_server(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        foreign_server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        foreign_server(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n"),
        foreign_server(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        // A TLS alert.
        foreign_server(b"\x15\x03\x03\x00\x02\x02\x16"),
    ];
    for (index, url) in servers.iter().enumerate() {
        let begin = Instant::now();
        let recorded = record(url, &units([0; 30]), "");
        let elapsed = begin.elapsed();
        let (error, _) = &recorded.outcome.errors[0];
        assert!(error.message().contains(url), "{index}: {error}");
        assert!(
            elapsed < Duration::from_secs(6),
            "{index}: {elapsed:?}, {error}"
        );
    }
}

#[test]
fn a_server_that_comes_late_is_waited_for() {
    let server = empty_server();
    server.kill();
    let units = units([0; 100]);
    let recorder = recorder(&server.url(), &units, "");
    let sink = recorder.sink();
    await_that("nothing is tried", || stat(&sink, "retries") >= 4);
    server.restart();
    recorder.finish().clean();
    assert_all(&server, &units);
}

#[test]
fn small_records_need_more_room_than_their_contents() {
    let server = empty_server();
    let gate = Gate::start(&server, |head| match head.writes() {
        true => Verdict::Refuse(503),
        false => Verdict::Pass,
    });
    let limit = 100_000;
    let recorder = Recorder::new(
        &gate.url(),
        "b",
        "appsrc name=app format=time max-bytes=1",
        &format!("start={START_US} queue-bytes={limit} overflow=drop-gop retries=0"),
    );
    let app = recorder.pipeline.element("app");
    let app: gst_app::AppSrc = app.downcast().expect("it is one");
    let caps = "video/x-h264,stream-format=byte-stream,alignment=au,framerate=10/1";
    app.set_caps(Some(&caps.parse().expect("caps")));
    recorder.pipeline.play();
    let stream = Stream::example();
    // Parameter sets and a picture, and then slices of a few bytes.
    let slice = [0, 0, 0, 1, 0x41, 0x9a, 0x24, 0x6c, 0x41, 0x0f, 0xfe];
    let sink = recorder.sink();
    for index in 0..3000_u64 {
        let unit = match index % 100 {
            0 => stream.units[0].clone(),
            _ => slice.to_vec(),
        };
        let mut buffer = gst::Buffer::from_mut_slice(unit);
        let pts = gst::ClockTime::from_useconds(index * FRAME_US);
        buffer.get_mut().expect("a new buffer").set_pts(pts);
        app.push_buffer(buffer).expect("it flows");
    }
    await_that("nothing is dropped", || {
        stat(&sink, "dropped-frames") > 1000
    });
    let (bytes, records) = (stat(&sink, "queue-bytes"), stat(&sink, "queue-records"));
    assert!(bytes <= limit, "{bytes}");
    // At least what a record takes beside its content.
    assert!(bytes > 200 * records, "{bytes} of {records} records");
}

/// Writes the example as episodes to another entry.
fn upload(server: &Server, url: &str, token: &str, split: &str) -> common::pipeline::Outcome {
    let address = url.replace("http://", "reduct://");
    let pipeline = Pipeline::launch(&format!(
        "reductsrc name=source url={} bucket=b entry=e api-token=full ! \
         reductepisodesplit api-token={token} location={address}/b/episodes {split}",
        server.url()
    ));
    pipeline.run()
}

/// A server with a recording of these units, and a token for it that may only write.
fn guarded_server(units: &[Vec<u8>]) -> (Server, String) {
    let server = Server::builder().token("full").start();
    server.create_bucket("b");
    let records: Vec<_> = (units.iter().zip(0_u64..))
        .map(|(unit, index)| Record {
            time_us: START_US + index * FRAME_US,
            content_type: "video/h264".into(),
            labels: vec![("fps".into(), "10".into())],
            bytes: unit.clone().into(),
        })
        .collect();
    server.write_all("b", "e", &records);
    let token = server.create_token_with("writer", &[], &["b"]);
    (server, token)
}

/// Contents by time.
fn episodes(server: &Server) -> HashMap<u64, Bytes> {
    let records = server.read("b", "episodes").into_iter();
    records
        .map(|record| (record.time_us, record.bytes))
        .collect()
}

#[test]
fn an_upload_whose_answer_is_lost_is_written_with_a_write_only_token() {
    // Above and below the size from which a record that was cut can be written over.
    for length in [2_000, 20_000] {
        for fate in [Fate::Lose, Fate::CutRequest(30_000), Fate::Close] {
            let units = units([length; 60]);
            let (server, token) = guarded_server(&units);
            // What there would be without a fault.
            upload(&server, &server.url(), "full", "duration=3000000000").clean();
            let expected = episodes(&server);
            assert_eq!(expected.len(), 2);
            for time in expected.keys() {
                server.remove_record("b", "episodes", *time);
            }
            let proxy = Proxy::start(&server, move |kind, index| match (kind, index) {
                // The first one looks at the token.
                (Kind::Write, 0) => fate,
                _ => Fate::Pass,
            });
            let outcome = upload(&server, &proxy.url(), &token, "duration=3000000000").clean();
            assert!(!outcome.warnings.is_empty(), "{fate:?}: no warning");
            let found = episodes(&server);
            let lengths = |episodes: &HashMap<u64, Bytes>| -> HashMap<u64, usize> {
                let lengths = episodes.iter().map(|(time, bytes)| (*time, bytes.len()));
                lengths.collect()
            };
            assert_eq!(lengths(&found), lengths(&expected), "{length} {fate:?}");
        }
    }
}

#[test]
fn answers_to_uploads_that_are_lost_by_turns_with_a_write_only_token() {
    for interval in 2..5 {
        for phase in 0..interval {
            let (server, token) = guarded_server(&units([2_000; 60]));
            let proxy = Proxy::start(&server, move |kind, index| match kind {
                Kind::Write if index % interval == phase => Fate::Lose,
                _ => Fate::Pass,
            });
            upload(&server, &proxy.url(), &token, "duration=1000000000").clean();
            let found = episodes(&server);
            assert_eq!(found.len(), 6, "{phase} of {interval}");
            assert!(found.values().all(|bytes| bytes.len() > 20_000));
        }
    }
}

#[test]
fn a_record_that_was_there_is_an_error_with_a_write_only_token() {
    let (server, token) = guarded_server(&units([2_000; 60]));
    server.write("b", "episodes", START_US, "video/mp4", &[], "another");
    let outcome = upload(&server, &server.url(), &token, "duration=3000000000");
    let (error, _) = &outcome.errors[0];
    assert!(error.message().contains("does not allow to see"), "{error}");
    assert_eq!(episodes(&server)[&START_US], "another");
}

#[test]
fn a_proxy_that_fails_at_intervals_loses_no_episode() {
    for (interval, status) in [(2, 503), (2, 429), (3, 502), (4, 504)] {
        let (server, _) = guarded_server(&units([2_000; 60]));
        let gate = Gate::start(&server, move |head| {
            match head.index % interval == interval - 1 {
                true => Verdict::Refuse(status),
                false => Verdict::Pass,
            }
        });
        upload(&server, &gate.url(), "full", "duration=1000000000").clean();
        assert_eq!(episodes(&server).len(), 6, "{interval} {status}");
    }
}

#[test]
fn an_episode_that_is_too_large_is_one_error() {
    let (server, _) = guarded_server(&units([20_000; 60]));
    let gate = Gate::start(&server, |head| match head.length > 500_000 {
        true => Verdict::Refuse(413),
        false => Verdict::Pass,
    });
    let outcome = upload(&server, &gate.url(), "full", "duration=3000000000");
    assert_eq!(outcome.errors.len(), 1);
    let (error, _) = &outcome.errors[0];
    for part in [
        "413",
        "2025-06-13T08:50:53.273752Z",
        " bytes",
        "client_max_body_size",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    for folder in files(error.message()) {
        std::fs::remove_dir_all(folder).expect("the folder of what is not uploaded");
    }
}

/// The folders of the files that a text names.
fn files(text: &str) -> Vec<std::path::PathBuf> {
    let Some((_, names)) = text.split_once("Complete and not uploaded: ") else {
        return Vec::new();
    };
    let mut folders: Vec<_> = names
        .split(", ")
        .filter_map(|name| std::path::Path::new(name).parent())
        .map(Into::into)
        .collect();
    folders.dedup();
    folders
}
