// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reading through what is between a source and its server, and from servers that answer what no
//! ReductStore does: heads that do not pass, answers without anything new, bodies that trickle,
//! sizes without a limit.

mod common;

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{self, Command};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::child;
use common::line::{Read, Reading};
use common::long::told_retries;
use common::recording::{Layout, Recording};
use common::server::free_port;
use common::stream::{Stream, StreamSpec};
use common::{SERVER, init};
use serde_json::json;

const FRAMES: usize = 400;
const FPS: u64 = 10;
const START_US: u64 = 1_749_803_453_000_000;

/// A stream of small pictures.
static STREAM: LazyLock<Stream> = LazyLock::new(|| {
    Stream::make(StreamSpec {
        frames: FRAMES,
        ..Default::default()
    })
});

/// A bucket with a record for each picture, in which nothing is written.
static BUCKET: LazyLock<String> = LazyLock::new(write_bucket);

/// Writes a bucket with a record for each picture. Returns its name.
fn write_bucket() -> String {
    let bucket = SERVER.new_bucket();
    let recording = Recording {
        layout: Layout::AccessUnit,
        start_us: START_US,
        labels: &[("fps", "10"), ("keyframe", "true")],
        ..Default::default()
    };
    let mut laid = recording.lay(&STREAM);
    for laid in &mut laid {
        let is_keyframe = common::stream::is_idr(&laid.record.bytes).to_string();
        laid.record.labels[1].1 = is_keyframe;
    }
    SERVER.write_all(&bucket, "e", laid.iter().map(|laid| &laid.record));
    bucket
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Query,
    /// Records, with contents or without.
    Batch,
    /// The time of the newest record.
    Newest,
    Other,
}

#[derive(Debug)]
struct Request {
    kind: Kind,
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// Reads a request; `None` at the end of the connection.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(head) = read_head(from)? else {
            return Ok(None);
        };
        let mut body = vec![0; content_length(&head)];
        from.read_exact(&mut body)?;
        let mut words = head.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let kind = match method.as_str() {
            _ if path.contains("meta") => Kind::Other,
            "POST" if path.ends_with("/e/q") => Kind::Query,
            "GET" | "HEAD" if path.ends_with("/e/batch") => Kind::Batch,
            "HEAD" if path.ends_with("/e") => Kind::Newest,
            _ => Kind::Other,
        };
        Ok(Some(Self { kind, head, body }))
    }

    fn is_head(&self) -> bool {
        self.head.starts_with("HEAD")
    }
}

/// A head with its empty line; `None` at the end of the connection.
fn read_head(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

fn content_length(head: &str) -> usize {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, length)| length.trim().parse().expect("a length"))
}

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Answer {
    /// An answer as a proxy or another server gives it.
    fn of_proxy(status: u16) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), b"text/html".to_vec())],
            body: b"<html>not today</html>".to_vec(),
        }
    }

    /// An answer of a ReductStore without records.
    fn of_server(status: u16) -> Self {
        Self {
            status,
            headers: vec![("x-reduct-api".into(), b"1.21".to_vec())],
            body: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn lines(&self) -> usize {
        self.headers.len()
    }

    /// How many records its head names.
    fn records(&self) -> usize {
        let names = self.headers.iter().map(|(name, _)| name);
        names
            .filter(|name| name.starts_with("x-reduct-time-"))
            .count()
    }

    /// The head as it is sent, with the length of the body unless it names one.
    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} X\r\n", self.status).into_bytes();
        let length = ("content-length".to_owned(), self.body.len().to_string());
        let names_length = (self.headers.iter()).any(|(name, _)| *name == length.0);
        let length = Some((length.0, length.1.into_bytes())).filter(|_| !names_length);
        for (name, value) in self.headers.iter().chain(&length) {
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        head
    }
}

/// What becomes of a request.
enum Fate {
    Send(Answer),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// A head, and bytes after it as long as anybody takes them.
    Endless(Vec<u8>),
    /// A head with its body, as many bytes at a time.
    Trickle(Answer, usize, Duration),
}

/// Decides what becomes of a request, by the server's own answer if it asks for that.
type Plan = dyn Fn(&Request, &dyn Fn() -> Answer) -> Fate + Send + Sync;

/// A proxy before a test's server that may lie. It lives as long as the process.
struct Middle {
    address: SocketAddr,
    counts: Arc<Mutex<HashMap<Kind, usize>>>,
}

impl Middle {
    fn start(plan: impl Fn(&Request, &dyn Fn() -> Answer) -> Fate + Send + Sync + 'static) -> Self {
        init();
        LazyLock::force(&BUCKET);
        let server = SERVER.port();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let counts = Arc::<Mutex<HashMap<Kind, usize>>>::default();
        let (plan, shared): (Arc<Plan>, _) = (Arc::new(plan), counts.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (plan, counts) = (plan.clone(), shared.clone());
                let stream = stream.expect("a connection");
                // Connections break as tests want it.
                thread::spawn(move || drop(serve(stream, server, &counts, &*plan)));
            }
        });
        Self { address, counts }
    }

    /// One that changes some answers of the server.
    fn changing(
        kind: Kind,
        change: impl Fn(&Request, Answer) -> Fate + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |request, ask| match request.kind == kind {
            true => change(request, ask()),
            false => Fate::Send(ask()),
        })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn count(&self, kind: Kind) -> usize {
        let counts = self.counts.lock().expect("no panic while locked");
        counts.get(&kind).copied().unwrap_or(0)
    }

    fn requests(&self) -> usize {
        let counts = self.counts.lock().expect("no panic while locked");
        counts.values().sum()
    }

    /// A source with further properties that reads over it.
    fn reading(&self, properties: &str) -> Reading {
        Reading::new(&self.url(), &BUCKET, properties)
    }

    fn read(&self, properties: &str) -> Read {
        self.reading(properties).run()
    }
}

fn serve(
    mut stream: TcpStream,
    server: u16,
    counts: &Mutex<HashMap<Kind, usize>>,
    plan: &Plan,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream.try_clone()?);
    while let Some(request) = Request::read(&mut requests)? {
        let kind = request.kind;
        let mut counts = counts.lock().expect("no panic while locked");
        *counts.entry(kind).or_default() += 1;
        drop(counts);
        let ask = || ask(server, &request).expect("the server answers");
        match plan(&request, &ask) {
            Fate::Send(answer) => {
                let mut bytes = answer.head();
                if !request.is_head() && answer.status != 204 {
                    bytes.extend(&answer.body);
                }
                stream.write_all(&bytes)?;
            }
            Fate::Raw(bytes) => return stream.write_all(&bytes),
            Fate::Endless(head) => {
                stream.write_all(&head)?;
                loop {
                    stream.write_all(&[b' '; 1 << 16])?;
                }
            }
            Fate::Trickle(answer, size, pause) => {
                stream.write_all(&answer.head())?;
                for bytes in answer.body.chunks(size) {
                    stream.write_all(bytes)?;
                    thread::sleep(pause);
                }
            }
        }
    }
    Ok(())
}

/// The server's own answer to a request, over a connection of its own.
fn ask(server: u16, request: &Request) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", server))?;
    let mut lines = request.head.trim_end().lines();
    let mut bytes = lines.next().unwrap_or_default().to_owned() + "\r\nconnection: close\r\n";
    for line in lines.filter(|line| !line.to_lowercase().starts_with("connection:")) {
        bytes += &format!("{line}\r\n");
    }
    stream.write_all(&[bytes.as_bytes(), b"\r\n", &request.body].concat())?;
    let mut answer = BufReader::new(stream);
    let head = read_head(&mut answer)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut body = Vec::new();
    answer.read_to_end(&mut body)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.filter(|(name, _)| *name != "connection");
    Ok(Answer {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        headers: (headers.map(|(name, value)| (name.to_owned(), value.into()))).collect(),
        body,
    })
}

/// Fails unless all was read, once and in order. Returns how many warnings there were.
#[track_caller]
fn assert_all(read: Read) -> u64 {
    let read = read.clean();
    assert!(read.units() == STREAM.units, "{} units", read.buffers.len());
    told_retries(&read.outcome, &read.stats)
}

/// Fails unless there is one error, whose text has these parts, after so many retries.
#[track_caller]
fn assert_fails(read: &Read, retries: u64, parts: &[&str]) {
    let (error, _) = read.outcome.error();
    assert!(!read.outcome.eos, "{}", read.outcome.text());
    for part in parts {
        assert!(error.message().contains(part), "no {part} in: {error}");
    }
    let told = told_retries(&read.outcome, &read.stats);
    assert_eq!(told, retries, "{}", read.outcome.text());
}

/// A range that is followed and ends.
fn followed() -> String {
    let stop = START_US + FRAMES as u64 * 1_000_000 / FPS;
    format!("follow=true start={START_US} stop={stop} timeout=1000")
}

/// Properties for each way to read.
fn ways() -> [String; 4] {
    [
        String::new(),
        r#"when="{\"&fps\":{\"$eq\":10}}""#.into(),
        r#"when="{\"$each_n\":1}""#.into(),
        followed(),
    ]
}

/// Refuses what is true of an answer with records.
fn refusing(refuse: fn(&Answer) -> Option<Fate>) -> Middle {
    Middle::changing(Kind::Batch, move |_, answer| match refuse(&answer) {
        Some(fate) => fate,
        None => Fate::Send(answer),
    })
}

/// Reads all in each way through a proxy that refuses some heads, with one warning and not many
/// more requests than are needed.
#[track_caller]
fn assert_adapts(refuse: fn(&Answer) -> Option<Fate>, requests: usize) {
    for properties in ways() {
        let middle = refusing(refuse);
        let warnings = assert_all(middle.read(&properties));
        assert_eq!(warnings, 1, "{properties}");
        let asked = middle.count(Kind::Batch);
        assert!(asked <= requests, "{asked} requests: {properties}");
    }
}

#[test]
fn heads_of_a_memory_page_pass_and_longer_ones_do_not() {
    assert_adapts(
        |answer| (answer.head().len() > 4096).then(|| Fate::Send(Answer::of_proxy(502))),
        60,
    );
}

#[test]
fn heads_of_so_many_lines_pass() {
    assert_adapts(
        |answer| (answer.lines() > 20).then(|| Fate::Send(Answer::of_proxy(431))),
        140,
    );
}

#[test]
fn one_record_at_a_time_passes() {
    assert_adapts(
        |answer| (answer.records() > 1).then(|| Fate::Send(Answer::of_proxy(503))),
        3 * FRAMES,
    );
}

/// A proxy may pass requests for the bucket and the server's state only, and still limit answers.
#[test]
fn heads_are_limited_by_a_proxy_that_passes_few_paths() {
    for status in [403, 404, 405] {
        for properties in ways() {
            let middle = Middle::start(move |request, ask| {
                if !["/b/", "/info"]
                    .iter()
                    .any(|path| request.head.contains(path))
                {
                    return Fate::Send(Answer::of_proxy(status));
                }
                let answer = ask();
                match request.kind == Kind::Batch && answer.head().len() > 4096 {
                    true => Fate::Send(Answer::of_proxy(502)),
                    false => Fate::Send(answer),
                }
            });
            assert_eq!(
                assert_all(middle.read(&properties)),
                1,
                "{status} {properties}"
            );
            let asked = middle.count(Kind::Batch);
            assert!(asked <= 60, "{asked} requests: {status} {properties}");
        }
    }
}

#[test]
fn heads_that_are_too_much_for_our_own_client() {
    assert_adapts(
        |answer| {
            let is_short = answer.records() <= 30;
            let mut answer = answer.clone();
            for index in 0..5000 {
                answer = answer.with(&format!("x-{index}"), "x");
            }
            (!is_short).then_some(Fate::Send(answer))
        },
        60,
    );
}

#[test]
fn heads_that_are_no_http() {
    assert_adapts(
        |answer| (answer.records() > 10).then(|| Fate::Raw(b"HTTP/1.1 2OO ?\r\n\r\n".to_vec())),
        120,
    );
}

#[test]
fn heads_that_are_cut() {
    assert_adapts(
        |answer| {
            let is_long = answer.records() > 30;
            is_long.then(|| Fate::Raw(answer.head()[..1000].to_vec()))
        },
        60,
    );
}

/// A proxy may drop what it finds too much: then the contents could be cut in the wrong places.
#[test]
fn heads_that_lose_lines() {
    assert_adapts(
        |answer| {
            let is_long = answer.lines() > 40;
            let mut answer = answer.clone();
            let record = |(name, _): &(String, Vec<u8>)| name.starts_with("x-reduct-time-");
            let first = answer.headers.iter().position(record);
            let (first, lines) = (first.unwrap_or(0), answer.lines());
            answer
                .headers
                .drain(first + 1..first + 2 + lines.saturating_sub(40));
            is_long.then_some(Fate::Send(answer))
        },
        80,
    );
}

/// Without its length an answer shows at its end only that a record is missing in its head.
#[test]
fn chunked_answers_that_lose_a_line() {
    let is_first = Mutex::new(true);
    let middle = Middle::changing(Kind::Batch, move |request, mut answer| {
        let mut is_first = is_first.lock().expect("no panic while locked");
        if request.is_head() || answer.records() < 3 || !mem::replace(&mut *is_first, false) {
            return Fate::Send(answer);
        }
        let of_record = |(name, _): &(String, Vec<u8>)| name.starts_with("x-reduct-time-");
        let second = answer.headers.iter().enumerate();
        let second = second.filter(|(_, header)| of_record(header)).nth(1);
        let second = second.expect("a second record").0;
        answer.headers.remove(second);
        answer.headers.retain(|(name, _)| name != "content-length");
        let mut raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n".to_vec();
        for (name, value) in &answer.headers {
            raw.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        raw.extend(b"\r\n");
        for chunk in answer.body.chunks(1000) {
            raw.extend(format!("{:x}\r\n", chunk.len()).bytes());
            raw.extend([chunk, b"\r\n"].concat());
        }
        raw.extend(b"0\r\n\r\n");
        Fate::Raw(raw)
    });
    assert_eq!(assert_all(middle.read("prefetch-bytes=100000")), 1);
}

#[test]
fn a_search_for_keyframes_adapts_too() {
    let middle =
        refusing(|answer| (answer.head().len() > 2048).then(|| Fate::Send(Answer::of_proxy(502))));
    let start = START_US + 25_050_000;
    let read = middle.read(&format!("start-mode=keyframe-before start={start}"));
    let read = read.clean();
    assert!(read.units() == STREAM.units[250..]);
    assert_eq!(told_retries(&read.outcome, &read.stats), 1);
}

#[test]
fn the_warning_says_what_was_refused_and_what_passes() {
    let middle =
        refusing(|answer| (answer.records() > 40).then(|| Fate::Send(Answer::of_proxy(502))));
    let read = middle.read("").clean();
    let warnings = read.warnings();
    for part in ["refused (502", "proxy_buffer_size", "/e'"] {
        assert!(warnings[0].contains(part), "{warnings:?}");
    }
}

#[test]
fn a_head_of_one_record_that_is_refused_is_an_error() {
    for (status, retries) in [(431, 0), (502, 2)] {
        for properties in ways() {
            let middle = Middle::changing(Kind::Batch, move |_, _| {
                Fate::Send(Answer::of_proxy(status))
            });
            let read = middle.read(&format!("retries=2 {properties}"));
            assert_fails(&read, retries, &[&status.to_string()]);
            assert!(middle.count(Kind::Batch) < 40, "{properties}");
        }
    }
}

#[test]
fn a_balancer_that_refuses_by_turns_loses_nothing() {
    let by_order = r#"when="{\"$each_n\":1}" "#;
    for (interval, status) in [(2, 503), (2, 502), (2, 429), (3, 503), (4, 503), (4, 429)] {
        for (phase, way) in (0..interval).flat_map(|phase| [(phase, ""), (phase, by_order)]) {
            // By order, all of what was read is read again.
            if interval < 4 && !way.is_empty() {
                continue;
            }
            let count = Mutex::new(0);
            let middle = Middle::start(move |_, ask| {
                let mut count = count.lock().expect("no panic while locked");
                *count += 1;
                match *count % interval == phase {
                    true => Fate::Send(Answer::of_proxy(status)),
                    false => Fate::Send(ask()),
                }
            });
            let prefetch = match way {
                "" => "prefetch-bytes=200000",
                _ => "", // Few answers.
            };
            let read = middle.read(&format!("{prefetch} retries=5 {way}"));
            let told = assert_all(read);
            assert!(told <= 5, "{interval} {phase} {status} {way}: {told}");
        }
    }
}

#[test]
fn a_balancer_that_refuses_by_turns_does_not_hide_the_attachment() {
    let bucket = write_bucket();
    SERVER.attach(&bucket, "e", "$video", json!({ "fps": 10 }));
    for (interval, phase) in
        (2..=4).flat_map(|interval| (0..interval).map(move |at| (interval, at)))
    {
        let count = Mutex::new(0);
        let middle = Middle::start(move |request, ask| {
            // Other requests would change whose turn it is.
            if !["meta", "/alive"]
                .iter()
                .any(|part| request.head.contains(part))
            {
                return Fate::Send(ask());
            }
            let mut count = count.lock().expect("no panic while locked");
            *count += 1;
            match *count % interval == phase {
                true => Fate::Send(Answer::of_proxy(503)),
                false => Fate::Send(ask()),
            }
        });
        let reading = Reading::new(&middle.url(), &bucket, "retries=0");
        let read = reading.run().clean();
        assert!(read.units() == STREAM.units, "{interval} {phase}");
        assert_eq!(read.warnings(), [""; 0], "{interval} {phase}");
    }
}

#[test]
fn an_attachment_that_cannot_be_read_keeps_no_record_back() {
    for status in [400, 403, 404, 405, 500, 501, 503] {
        let middle = Middle::start(move |request, ask| match request.head.contains("meta") {
            true => Fate::Send(Answer::of_proxy(status)),
            false => Fate::Send(ask()),
        });
        let read = middle.read("retries=2").clean();
        assert!(read.units() == STREAM.units, "{status}");
        let warnings = read.warnings();
        let told = warnings.iter().filter(|text| text.contains("$video"));
        assert_eq!(
            (told.count(), warnings.len()),
            (1, 1),
            "{status}: {warnings:?}"
        );
    }
}

/// Reads, with two retries, from a server that brings nothing new in some way. Such a server is asked
/// a few times, and not as fast as it answers.
#[track_caller]
fn assert_gives_up(middle: &Middle, properties: &str, part: &str) {
    let read = middle.read(&format!("retries=2 {properties}"));
    assert_fails(&read, 2, &[part]);
    let requests = middle.requests();
    assert!(requests < 100, "{requests} requests: {properties}");
}

#[test]
fn answers_without_records_and_without_end() {
    for properties in ways() {
        let middle = Middle::changing(Kind::Batch, |_, _| {
            let answer = Answer::of_server(200).with("x-reduct-last", "false");
            Fate::Send(answer)
        });
        assert_gives_up(&middle, &properties, "neither records nor an end");
    }
}

#[test]
fn the_same_records_again_and_again() {
    // What is said to be the end is doubted only where there should be more.
    let cases = ways().map(|way| ("false", format!("prefetch-bytes=100000 {way}")));
    let cases = cases.into_iter().chain([("true", String::new())]);
    for (last, properties) in cases {
        let first = Mutex::new(None);
        let middle = Middle::changing(Kind::Batch, move |request, answer| {
            if request.is_head() || answer.status != 200 {
                return Fate::Send(answer);
            }
            let mut first = first.lock().expect("no panic while locked");
            let mut answer = first.get_or_insert(answer).clone();
            for (name, value) in &mut answer.headers {
                if name == "x-reduct-last" {
                    *value = last.into();
                }
            }
            Fate::Send(answer)
        });
        let properties = format!("connections=1 {properties}");
        assert_gives_up(&middle, &properties, "not asked for");
    }
}

#[test]
fn records_outside_of_the_range() {
    let start = START_US + 10_000_000;
    for way in ["", r#"when="{\"$each_n\":1}""#] {
        let middle = Middle::start(move |request, ask| match request.kind {
            Kind::Batch => {
                let answer = Answer::of_server(200)
                    .with(&format!("x-reduct-time-{START_US}"), "4,video/h264")
                    .with("x-reduct-last", "true");
                let body = vec![0; 4];
                Fate::Send(Answer { body, ..answer })
            }
            _ => Fate::Send(ask()),
        });
        assert_gives_up(&middle, &format!("start={start} {way}"), "not asked for");
    }
}

#[test]
fn an_answer_about_the_newest_record_is_no_progress() {
    let middle = Middle::changing(Kind::Query, |_, _| Fate::Send(Answer::of_proxy(502)));
    assert_gives_up(&middle, &format!("follow=true start={START_US}"), "502");
}

#[test]
fn a_newest_record_that_no_query_finds() {
    for properties in [format!("follow=true start={START_US}"), followed()] {
        let middle = Middle::changing(Kind::Batch, |_, _| Fate::Send(Answer::of_server(204)));
        assert_gives_up(&middle, &properties, "no query finds the newest record");
    }
}

#[test]
fn a_server_that_has_nothing_new_and_fails_now_and_then() {
    let newest = Mutex::new(0_usize);
    let middle = Middle::start(move |request, ask| {
        let mut newest = newest.lock().expect("no panic while locked");
        *newest += usize::from(request.kind == Kind::Newest);
        match request.kind {
            // Six in a row, as one is asked again at once. Not the first ones, after which all that there is
            // is read.
            Kind::Newest if *newest % 12 > 5 => Fate::Send(Answer::of_proxy(503)),
            _ => Fate::Send(ask()),
        }
    });
    let read = middle.read(&format!("retries=2 follow=true start={START_US}"));
    assert_fails(&read, 2, &["503"]);
    assert_eq!(read.buffers.len(), FRAMES);
}

/// Fails unless reading from there, with as many retries as there are by default, is given up after
/// a few seconds.
#[track_caller]
fn assert_fails_soon(url: &str, parts: &[&str]) {
    init();
    let begin = Instant::now();
    let read = Reading::new(url, "b", "").run();
    let (error, _) = read.outcome.error();
    for part in parts {
        assert!(error.message().contains(part), "no {part} in: {error}");
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{error}");
}

#[test]
fn a_connection_that_never_worked_fails_soon() {
    let nothing = format!("http://127.0.0.1:{}", free_port());
    assert_fails_soon(&nothing, &[&nothing]);
    assert_fails_soon("http://no-such-host.invalid:8383", &["no-such-host"]);
}

#[test]
fn another_kind_of_server_fails_soon() {
    // Another web server, a proxy without a server, one without TLS, one that is not for HTTP.
    for status in [404, 405, 501] {
        let middle = Middle::start(move |_, _| Fate::Send(Answer::of_proxy(status)));
        assert_fails_soon(&middle.url(), &["no ReductStore"]);
    }
    let middle = Middle::start(|_, _| Fate::Send(Answer::of_proxy(502)));
    assert_fails_soon(&middle.url(), &[&middle.url()]);
    let middle = Middle::start(|_, _| Fate::Raw(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()));
    assert_fails_soon(&middle.url(), &[&middle.url()]);
    let middle = Middle::start(|_, _| Fate::Raw(b"\x15\x03\x03\0\x02\x02\x46".to_vec()));
    assert_fails_soon(&middle.url(), &[&middle.url()]);
    let middle = Middle::start(|_, _| Fate::Raw(Vec::new()));
    assert_fails_soon(&middle.url(), &[&middle.url()]);
}

#[test]
fn what_is_followed_is_tried_as_often_as_is_set() {
    init();
    let url = format!("http://127.0.0.1:{}", free_port());
    let properties = format!("follow=true retries=5 start={START_US}");
    let read = Reading::new(&url, "b", &properties).run();
    assert_fails(&read, 5, &[&url]);
}

#[test]
fn a_server_that_is_starting_is_tried_as_often_as_is_set() {
    let answer = || Answer::of_server(503).with("x-reduct-error", "starting up");
    let middle = Middle::start(move |_, _| Fate::Send(answer()));
    assert_fails(&middle.read("retries=5"), 5, &["starting up"]);
}

#[test]
fn a_body_that_trickles() {
    let middle = Middle::changing(Kind::Batch, |_, answer| {
        Fate::Trickle(answer, 1, Duration::from_millis(20))
    });
    let read = middle.read("timeout=300 retries=1");
    assert_fails(&read, 1, &["only ", "bytes", "timeout"]);
}

#[test]
fn a_body_that_is_slow_and_comes() {
    let middle = Middle::changing(Kind::Batch, |_, answer| match answer.records() {
        0 => Fate::Send(answer),
        _ => Fate::Trickle(answer, 100, Duration::from_millis(20)),
    });
    let stop = START_US + 300_000;
    let read = middle.read(&format!("timeout=1000 stop={stop}")).clean();
    assert!(read.units() == STREAM.units[..3]);
    assert_eq!(read.stat("retries"), 0);
}

#[test]
fn headers_that_come_twice() {
    let middle = Middle::changing(Kind::Batch, |_, mut answer| {
        let again = answer.headers.clone().into_iter();
        let again: Vec<_> = again
            .filter(|(name, _)| name.starts_with("x-reduct"))
            .collect();
        answer.headers.extend(again);
        Fate::Send(answer)
    });
    assert_eq!(assert_all(middle.read("")), 0);
}

#[test]
fn headers_that_contradict_each_other() {
    let middle = Middle::changing(Kind::Batch, |_, mut answer| {
        let record = (answer.headers.iter()).find(|(name, _)| name.starts_with("x-reduct-time-"));
        let record = record.cloned();
        answer
            .headers
            .extend(record.map(|(name, _)| (name, b"7,video/h264".to_vec())));
        Fate::Send(answer)
    });
    let read = middle.read("");
    assert_fails(&read, 0, &["two different headers", &START_US.to_string()]);
    assert!(read.buffers.is_empty());
}

#[test]
fn an_answer_that_is_compressed_unasked() {
    for kind in [Kind::Query, Kind::Batch] {
        let middle = Middle::changing(kind, |_, answer| {
            Fate::Send(answer.with("content-encoding", "gzip"))
        });
        assert_fails(&middle.read(""), 0, &["content-encoding 'gzip'"]);
    }
}

#[test]
fn a_label_with_bytes_that_no_label_has() {
    let middle = Middle::changing(Kind::Batch, |_, mut answer| {
        for (name, value) in &mut answer.headers {
            if name.starts_with("x-reduct-time-") {
                value.extend(b",note=caf\xe9");
            }
        }
        Fate::Send(answer)
    });
    assert_eq!(assert_all(middle.read("")), 0);
}

#[test]
fn records_up_to_the_largest_size() {
    init();
    let largest = STREAM.units.iter().map(Vec::len).max().expect("a unit");
    let index = (STREAM.units.iter()).position(|unit| unit.len() == largest);
    let index = index.expect("the largest unit");
    let read = |limit: usize, more: &str| {
        let properties = format!("max-record-bytes={limit} {more}");
        Reading::new(&SERVER.url(), &BUCKET, &properties).run()
    };
    assert_eq!(assert_all(read(largest, "")), 0);
    for more in ["", r#"when="{\"$each_n\":1}""#] {
        let failed = read(largest - 1, more);
        let time = (START_US + index as u64 * 1_000_000 / FPS).to_string();
        let (size, limit) = (format!("{largest} bytes"), (largest - 1).to_string());
        let parts = [&*time, "max-record-bytes", &*size, &*limit];
        assert_fails(&failed, 0, &parts);
        // What comes before it is read.
        assert!(failed.buffers.len() <= index && failed.buffers.len() + 20 >= index);
    }
}

/// Limits the memory of this process.
fn limit_memory(bytes: u64) {
    let pid = process::id().to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--as={bytes}")])
        .status();
    assert!(limited.expect("prlimit of util-linux").success());
}

/// Runs a test once more, in a process whose memory is limited. Returns whether this is that one.
fn is_limited(test: &str) -> bool {
    if child::again(test, &[]).is_some() {
        return false;
    }
    init();
    LazyLock::force(&BUCKET);
    limit_memory(3 << 30);
    true
}

#[test]
fn a_record_without_end_takes_no_memory() {
    if !is_limited("a_record_without_end_takes_no_memory") {
        return;
    }
    let middle = Middle::start(|request, ask| match request.kind {
        Kind::Batch => {
            let answer = Answer::of_server(200)
                .with(
                    &format!("x-reduct-time-{START_US}"),
                    "90000000000,video/h264",
                )
                .with("content-length", "90000000000");
            Fate::Endless(answer.head())
        }
        _ => Fate::Send(ask()),
    });
    let parts = ["90000000000 bytes", "max-record-bytes"];
    assert_fails(&middle.read(""), 0, &parts);
}

#[test]
fn an_answer_to_a_query_without_end_takes_no_memory() {
    if !is_limited("an_answer_to_a_query_without_end_takes_no_memory") {
        return;
    }
    let middle = Middle::start(|request, ask| match request.kind {
        Kind::Query => {
            let answer = Answer::of_server(200).with("content-length", "90000000000");
            Fate::Endless(answer.head())
        }
        _ => Fate::Send(ask()),
    });
    assert_fails(&middle.read(""), 0, &["answer to a query has more than"]);
}

/// A batch of far more than was asked for is read as fast as it is taken.
#[test]
fn a_batch_of_many_large_records_takes_little_memory() {
    if !is_limited("a_batch_of_many_large_records_takes_little_memory") {
        return;
    }
    const SIZE: usize = 100_000_000;
    let middle = Middle::start(|request, ask| match request.kind {
        Kind::Batch => {
            let mut answer = Answer::of_server(200).with("x-reduct-last", "true");
            for index in 0..80 {
                let name = format!("x-reduct-time-{}", START_US + index);
                answer = answer.with(&name, format!("{SIZE},image/jpeg"));
            }
            let length = (80 * SIZE).to_string();
            Fate::Endless(answer.with("content-length", length).head())
        }
        _ => Fate::Send(ask()),
    });
    let reading = middle.reading("");
    reading.pipeline.play();
    let source = reading.pipeline.element("source");
    common::await_that("no record comes", || {
        common::pipeline::stat(&source, "damaged") > 5
    });
    let bytes = common::pipeline::stat(&source, "queue-bytes");
    assert!(bytes < 4 * SIZE as u64, "{bytes} bytes");
}
