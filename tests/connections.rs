// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors of ReductStore and of the way to it, by cause.
//! The way to a server: certificates, redirects, proxies, schemes, and answers about an entry as a
//! whole that are hostile or broken.

mod common;

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::await_that;
use common::child;
use common::pipeline::{Outcome, Pipeline};
use common::recorder::{Recorder, camera};
use common::recording::{Layout, Recording};
use common::server::{Server, free_port};
use common::stream::Stream;
use gst::prelude::*;
use tempfile::TempDir;

const TOKEN: &str = "s3cr3t-t0k3n";
/// Access units of the recording that is read.
const FRAMES: usize = 60;

/// Reads entry `e` of bucket `b`, and gives the number of access units.
fn read(url: &str, more: &[(&str, &str)]) -> (Outcome, usize) {
    let pipeline = Pipeline::launch("reductsrc name=src bucket=b entry=e ! appsink name=out");
    let source = pipeline.element("src");
    source.set_property("url", url);
    for (name, value) in more {
        source.set_property_from_str(name, value);
    }
    let samples = pipeline.collect("out");
    let outcome = pipeline.run();
    (outcome, samples.get().len())
}

/// Records some frames in a bucket, and gives the outcome.
fn write(url: &str, bucket: &str, more: &str) -> Outcome {
    Recorder::new(url, bucket, &camera(5, ""), more)
        .run()
        .outcome
}

/// Fails unless there is one error and its text has these parts, and not the others.
#[track_caller]
fn assert_error(outcome: &Outcome, parts: &[&str], never: &[&str]) {
    let (error, debug) = outcome.error();
    let text = error.message();
    for part in parts {
        assert!(text.contains(part), "no '{part}' in: {text}");
    }
    let debug = debug.as_deref().unwrap_or_default();
    for part in never {
        assert!(
            !text.contains(part) && !debug.contains(part),
            "'{part}' in: {text} ({debug})"
        );
    }
    assert!(!outcome.eos, "{}", outcome.text());
}

/// Bucket `b` with a recording in entry `e`.
fn fill(server: &Server) {
    server.create_bucket("b");
    let recording = Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    };
    recording.write(server, "b", "e", &Stream::example());
}

// --- Certificates

/// A folder of certificates, and their keys.
struct Certificates(TempDir);

/// A certificate and its key: the files `name.pem` and `name.key`.
#[derive(Clone)]
struct Certificate {
    pem: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn pem(&self) -> &str {
        self.pem.to_str().expect("a path in UTF-8")
    }

    fn key(&self) -> &str {
        self.key.to_str().expect("a path in UTF-8")
    }
}

const LOOPBACK: &str = "subjectAltName=IP:127.0.0.1";
const LEAF: &str = "basicConstraints=critical,CA:FALSE";

impl Certificates {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn named(&self, name: &str) -> Certificate {
        Certificate {
            pem: self.path().join(name).with_extension("pem"),
            key: self.path().join(name).with_extension("key"),
        }
    }

    /// A certificate that signs itself, which makes it a CA unless the extensions say otherwise.
    fn of_itself(&self, name: &str, subject: &str, extensions: &[&str]) -> Certificate {
        let certificate = self.named(name);
        let mut args = vec!["req", "-x509", "-nodes", "-newkey", "ec", "-days", "30"];
        args.extend(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", subject]);
        args.extend(["-keyout", certificate.key(), "-out", certificate.pem()]);
        args.extend(
            extensions
                .iter()
                .flat_map(|extension| ["-addext", extension]),
        );
        openssl(&args);
        certificate
    }

    /// A certificate that a CA issues for a time, as `openssl ca` writes it.
    fn issued(
        &self,
        ca: &Certificate,
        name: &str,
        extensions: &[&str],
        (begin, end): (&str, &str),
    ) -> Certificate {
        let certificate = self.named(name);
        let folder = self.path().join(name);
        let file = |file: &str| folder.join(file).to_str().expect("UTF-8").to_owned();
        fs::create_dir(&folder).expect("a folder");
        fs::write(file("index"), "").expect("a file");
        fs::write(file("serial"), "01").expect("a file");
        fs::write(file("extensions"), extensions.join("\n")).expect("a file");
        let shown = folder.display();
        let settings = format!(
            "[ca]\ndefault_ca=d\n[d]\ndatabase={shown}/index\nserial={shown}/serial\n\
             new_certs_dir={shown}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
        );
        fs::write(file("settings"), settings).expect("a file");
        let subject = format!("/CN={name}");
        let request = ["req", "-nodes", "-newkey", "ec", "-pkeyopt"];
        let request = [&request[..], &["ec_paramgen_curve:prime256v1", "-subj"]].concat();
        let files = ["-keyout", certificate.key(), "-out", &file("request")];
        openssl(&[&request[..], &[&subject], &files].concat());
        let (settings, requested) = (file("settings"), file("request"));
        let mut args = vec!["ca", "-batch", "-notext", "-config", &settings];
        args.extend(["-cert", ca.pem(), "-keyfile", ca.key(), "-in", &requested]);
        args.extend(["-out", certificate.pem(), "-startdate", begin]);
        let extensions = file("extensions");
        args.extend(["-enddate", end, "-extfile", &extensions]);
        openssl(&args);
        certificate
    }
}

const NOW: (&str, &str) = ("20250101000000Z", "20991231000000Z");
const PAST: (&str, &str) = ("20200101000000Z", "20210203040506Z");
const FUTURE: (&str, &str) = ("20900102030405Z", "20991231000000Z");

fn openssl(args: &[&str]) {
    let made = Command::new("openssl").args(args).output();
    let made = made.expect("openssl starts");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "openssl {}: {said}", args.join(" "));
}

fn tls_server(certificate: &Certificate) -> Server {
    Server::builder()
        .tls(&certificate.pem, &certificate.key)
        .start()
}

#[test]
fn a_certificate_that_is_given_itself_is_accepted() {
    let made = Certificates::new();
    let ca = made.of_itself("ca", "/CN=ca", &[]);
    for (name, certificate) in [
        ("a CA", made.of_itself("ca-self", "/CN=x", &[LOOPBACK])),
        (
            "a leaf",
            made.of_itself("leaf-self", "/CN=x", &[LOOPBACK, LEAF]),
        ),
        ("pinned", made.issued(&ca, "pinned", &[LOOPBACK, LEAF], NOW)),
        ("a common name", made.of_itself("cn", "/CN=127.0.0.1", &[])),
    ] {
        let server = tls_server(&certificate);
        fill(&server);
        let given = certificate.pem();
        let (outcome, frames) = read(&server.url(), &[("ca-cert", given)]);
        outcome.clean();
        assert_eq!(frames, FRAMES, "{name}");
        let bucket = server.new_bucket();
        write(&server.url(), &bucket, &format!("ca-cert={given}")).clean();
        assert_eq!(server.read(&bucket, "e").len(), 5, "{name}");
    }
}

#[test]
fn certificates_of_an_issuer_that_is_given_are_accepted() {
    let made = Certificates::new();
    let (ca, other) = (
        made.of_itself("ca", "/CN=ca", &[]),
        made.of_itself("other", "/CN=other", &[]),
    );
    // Among others, with a key, text and line ends of another system.
    let bundle = made.path().join("bundle.pem");
    let files = [&other.pem, &ca.key, &ca.pem];
    let files = files.map(|file| fs::read_to_string(file).expect("a file"));
    let text = format!("Some CAs\n{}", files.join("\n")).replace('\n', "\r\n");
    fs::write(&bundle, text).expect("a file");
    for certificate in [
        made.issued(&ca, "leaf", &[LOOPBACK, LEAF], NOW),
        made.issued(&ca, "127.0.0.1", &[LEAF], NOW), // the common name
    ] {
        let server = tls_server(&certificate);
        fill(&server);
        let given = bundle.to_str().expect("UTF-8");
        let (outcome, frames) = read(&server.url(), &[("ca-cert", given)]);
        outcome.clean();
        assert_eq!(frames, FRAMES);
    }
}

#[test]
fn certificates_may_have_the_labels_that_openssl_takes() {
    let made = Certificates::new();
    let ca = made.of_itself("ca", "/CN=ca", &[]);
    let leaf = made.issued(&ca, "leaf", &[LOOPBACK, LEAF], NOW);
    let server = tls_server(&leaf);
    fill(&server);
    let trusted = made.named("trusted");
    let trust = ["-trustout", "-addtrust", "serverAuth", "-setalias", "ours"];
    let files = ["x509", "-in", ca.pem(), "-out", trusted.pem()];
    openssl(&[&files[..], &trust].concat());
    let plain = fs::read_to_string(&ca.pem).expect("a certificate");
    let trusted = fs::read_to_string(&trusted.pem).expect("a certificate");
    assert!(trusted.contains("BEGIN TRUSTED CERTIFICATE"));
    for text in [
        format!("\u{feff}{plain}"),
        plain.replace(" CERTIFICATE", " X509 CERTIFICATE"),
        format!("{trusted}{plain}"),
        trusted,
    ] {
        let given = made.path().join("given.pem");
        fs::write(&given, &text).expect("a file");
        let given = given.to_str().expect("UTF-8");
        let (outcome, frames) = read(&server.url(), &[("ca-cert", given)]);
        outcome.clean();
        assert_eq!(frames, FRAMES, "{text}");
    }
}

#[test]
fn an_issuer_that_may_not_issue_for_the_server_is_explained() {
    let made = Certificates::new();
    let limits =
        ["nameConstraints=critical,permitted;DNS:store.example,permitted;IP:10.0.0.0/255.0.0.0"];
    let ca = made.of_itself("ca", "/CN=ca", &limits);
    let leaf = made.issued(&ca, "leaf", &[LOOPBACK, LEAF], NOW);
    let server = tls_server(&leaf);
    let outcome = read(&server.url(), &[("ca-cert", ca.pem())]).0;
    assert_error(&outcome, &["name constraints", ca.pem()], &["Other("]);
}

#[test]
fn episodes_are_written_to_a_server_with_a_pinned_certificate() {
    let made = Certificates::new();
    let certificate = made.of_itself("self", "/CN=x", &[LOOPBACK]);
    let server = tls_server(&certificate);
    fill(&server);
    let url = server.url();
    let to = format!(
        "{}/b/clips?ca-cert={}",
        url.replace("https", "reducts"),
        certificate.pem()
    );
    let pipeline = Pipeline::launch(&format!(
        "reductsrc url={url} bucket=b entry=e ca-cert={} ! reductepisodesplit location={to}",
        certificate.pem()
    ));
    pipeline.run().clean();
    assert!(!server.read("b", "clips").is_empty());
}

#[test]
fn a_certificate_that_is_refused_is_explained() {
    let made = Certificates::new();
    let ca = made.of_itself("ca", "/CN=some CA", &[]);
    let other = made.of_itself("other", "/CN=other CA", &[]);
    let named = ["subjectAltName=DNS:store.example,IP:10.1.2.3", LEAF];
    let itself = made.of_itself("self", "/CN=itself", &[LOOPBACK]);
    let twin = made.of_itself("twin", "/CN=itself", &[LOOPBACK]);
    let leaf = made.issued(&ca, "leaf", &[LOOPBACK, LEAF], NOW);
    let past = made.issued(&ca, "past", &[LOOPBACK, LEAF], PAST);
    let future = made.issued(&ca, "future", &[LOOPBACK, LEAF], FUTURE);
    let wrong = made.issued(&ca, "wrong", &named, NOW);
    let client = ["extendedKeyUsage=clientAuth", LOOPBACK, LEAF];
    let client = made.issued(&ca, "client", &client, NOW);
    let common = made.of_itself("common", "/CN=store.example", &[]);

    let expired: &[&str] = &["expired on 2021-02-03T04:05:06Z"];
    let early: &[&str] = &["not valid yet", "2090-01-02T03:04:05Z"];
    let name: &[&str] = &["not valid for 127.0.0.1", "store.example, 10.1.2.3"];
    let unknown: &[&str] = &["unknown issuer", "'CN=some CA'", "the server's own"];
    let signed: &[&str] = &["self-signed", "'CN=itself'"];
    let cases: [(&Certificate, Option<&Certificate>, &[&str]); 12] = [
        (&past, Some(&ca), expired),
        (&past, Some(&past), expired),
        (&future, Some(&ca), early),
        (&future, Some(&future), early),
        (&wrong, Some(&ca), name),
        (&wrong, Some(&wrong), name),
        (&leaf, Some(&other), unknown),
        (&leaf, None, unknown),
        (&itself, Some(&twin), signed),
        (&itself, None, signed),
        (&client, Some(&ca), &["not meant for servers"]),
        (
            &common,
            Some(&common),
            &["not valid for 127.0.0.1", "common name 'store.example'"],
        ),
    ];
    let mut last: Option<(PathBuf, Server)> = None;
    for (certificate, given, parts) in cases {
        let running = last.take().filter(|(pem, _)| *pem == certificate.pem);
        let (_, server) = last
            .insert(running.unwrap_or_else(|| (certificate.pem.clone(), tls_server(certificate))));
        let url = server.url();
        let ca_cert = given.map(|given| ("ca-cert", given.pem()));
        let (about, sink) = match given {
            Some(given) => (given.pem(), format!("ca-cert={}", given.pem())),
            None => (url.as_str(), String::new()),
        };
        let begin = Instant::now();
        let read = read(&url, ca_cert.as_slice()).0;
        for outcome in [read, write(&url, "b", &sink)] {
            assert_error(&outcome, parts, &["Other(", "UnknownIssuer", "(UNIX)"]);
            assert_error(&outcome, &[about], &[]);
            assert!(outcome.warnings.is_empty(), "{}", outcome.text());
        }
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_file_without_certificates_is_an_error_at_once() {
    let made = Certificates::new();
    let ca = made.of_itself("ca", "/CN=ca", &[]);
    let whole = fs::read_to_string(&ca.pem).expect("a certificate");
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let file = |name: &str, text: &str| {
        fs::write(made.path().join(name), text).expect("a file");
    };
    file("empty", "");
    file("text", "this is no certificate\n");
    file("broken", broken);
    file("half", &whole[..whole.len() / 2]);
    file("second", &format!("{whole}{broken}"));
    symlink("/dev/zero", made.path().join("endless")).expect("a link");
    let names = ["empty", "text", "ca.key", "broken", "half", "second"];
    // Nothing listens there, and nothing is asked.
    let url = format!("https://127.0.0.1:{}", free_port());
    for name in names.into_iter().chain(["endless", "missing", ""]) {
        let path = made.path().join(name);
        let given = path.to_str().expect("UTF-8");
        let outcome = read(&url, &[("ca-cert", given)]).0;
        assert_error(&outcome, &[given, "ertificate"], &["Other("]);
        assert!(outcome.error().0.matches(gst::ResourceError::Settings));
        assert!(outcome.warnings.is_empty(), "{}", outcome.text());
    }
}

// --- Servers that lie

/// A request as it came.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    target: String,
    head: String,
}

impl Request {
    /// Returns whether the request is of a kind, by the names that the tests use.
    fn is(&self, kind: &str) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        let attachment = path.contains("$meta");
        match kind {
            "bucket" => self.method == "HEAD" && path.ends_with("/b/b"),
            "list" => self.method == "GET" && path.ends_with("/b/b"),
            "attachment query" => attachment && path.ends_with("/q"),
            "attachment" => attachment && path.ends_with("/batch"),
            "query" => !attachment && path.ends_with("/q"),
            "batch" => !attachment && self.method == "GET" && path.ends_with("/batch"),
            "newest" => self.method == "HEAD" && path.ends_with("/b/b/e"),
            "write" => self.method == "POST" && path.ends_with("/batch"),
            _ => panic!("no kind {kind}"),
        }
    }
}

type Lie = Box<dyn FnMut(&Request) -> Option<Answer> + Send>;

/// An answer that is not the server's.
enum Answer {
    Bytes(Vec<u8>),
    /// A head, and a body without an end.
    Endless,
}

/// A server in front of a real one that answers as it likes. Each connection has one request.
struct Liar {
    url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    /// Bytes of answers of the real server to requests for attachments.
    attached: Arc<Mutex<u64>>,
}

impl Liar {
    fn start(
        server: Option<&Server>,
        lie: impl FnMut(&Request) -> Option<Answer> + Send + 'static,
    ) -> Self {
        if let Some(server) = server {
            // With a connection for each answer, only the server's uptime shows that it has not been
            // restarted since the query was made.
            await_that("the server stays young", || uptime(server) >= 2);
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let liar = Self {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            seen: Arc::default(),
            attached: Arc::default(),
        };
        let port = server.map(Server::port);
        let (seen, attached) = (liar.seen.clone(), liar.attached.clone());
        let lie: Arc<Mutex<Lie>> = Arc::new(Mutex::new(Box::new(lie)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, attached, lie) = (seen.clone(), attached.clone(), lie.clone());
                thread::spawn(move || {
                    let mut stream = stream.expect("a connection");
                    let Some((request, rest)) = head(&mut stream) else {
                        return;
                    };
                    seen.lock().expect("no panic").push(request.clone());
                    let answer = lie.lock().expect("no panic")(&request);
                    // A client that has heard enough closes its end.
                    let _ = match (answer, port) {
                        (Some(Answer::Bytes(bytes)), _) => stream.write_all(&bytes),
                        (Some(Answer::Endless), _) => endless(&mut stream),
                        (None, Some(port)) => forward(&request, rest, stream, port, &attached),
                        (None, None) => Ok(()),
                    };
                });
            }
        });
        liar
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic").clone()
    }
}

/// Uptime of a server in seconds.
fn uptime(server: &Server) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    let request = "GET /api/v1/info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, uptime) = answer.split_once("\"uptime\":").expect("an uptime");
    let end = uptime.find(|c: char| !c.is_ascii_digit());
    uptime[..end.expect("an end")].parse().expect("a number")
}

/// The head of a request, and what came of its body.
fn head(stream: &mut TcpStream) -> Option<(Request, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            break end + 2;
        }
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => bytes.extend(&buffer[..length]),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut words = head.split(' ').map(str::to_owned);
    let request = Request {
        method: words.next()?,
        target: words.next()?,
        head,
    };
    Some((request, bytes.split_off(end + 2)))
}

fn forward(
    request: &Request,
    rest: Vec<u8>,
    mut client: TcpStream,
    port: u16,
    attached: &Mutex<u64>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.write_all(format!("{}connection: close\r\n\r\n", request.head).as_bytes())?;
    server.write_all(&rest)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    let mut buffer = vec![0; 64 << 10];
    let mut is_head = true;
    loop {
        let length = server.read(&mut buffer)?;
        if length == 0 {
            return client.shutdown(std::net::Shutdown::Both);
        }
        if request.target.contains("$meta") {
            *attached.lock().expect("no panic") += length as u64;
        }
        let mut bytes = &buffer[..length];
        if std::mem::replace(&mut is_head, false) {
            // Each answer has a connection of its own, which the client has to know.
            let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1;
            client.write_all(&bytes[..line])?;
            client.write_all(b"connection: close\r\n")?;
            bytes = &bytes[line..];
        }
        client.write_all(bytes)?;
    }
}

fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nx-reduct-api: 1.21\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    let chunk = [b"10000\r\n", &vec![b'['; 0x10000][..], b"\r\n"].concat();
    loop {
        stream.write_all(&chunk)?;
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Option<Answer> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // Each character is a byte of a header.
    Some(Answer::Bytes(text.chars().map(|c| c as u8).collect()))
}

/// A server with [`fill`]'s recording, and a description of it.
fn filled() -> Server {
    let server = Server::start();
    fill(&server);
    server
}

#[test]
fn redirects_are_not_followed() {
    let server = filled();
    // It redirects to itself, by which some clients take it for the host that the token is for.
    let there = Liar::start(None, |request| {
        let location = format!("location: /second{}\r\n", request.target);
        answer("302 Found", &location, "")
    });
    let kinds = ["bucket", "list", "attachment query", "query", "batch"];
    let statuses = ["301 X", "302 X", "303 X", "307 X", "308 X"];
    for (kind, status) in kinds.into_iter().zip(statuses) {
        let to = there.url.clone();
        let here = Liar::start(Some(&server), move |request| {
            let location = format!("location: {to}{}\r\n", request.target);
            request.is(kind).then(|| answer(status, &location, ""))?
        });
        let outcome = read(&here.url, &[("api-token", TOKEN)]).0;
        let parts = [&there.url, "property url", &status[..3]];
        assert_error(&outcome, &parts, &[TOKEN]);
        assert!(outcome.warnings.is_empty(), "{}", outcome.text());
        let heads = here.seen();
        assert!(heads.iter().all(|request| request.head.contains(TOKEN)));
    }
    for (kind, status) in ["bucket", "newest", "write"].into_iter().zip(statuses) {
        let to = there.url.clone();
        let here = Liar::start(Some(&server), move |request| {
            let location = format!("location: {to}{}\r\n", request.target);
            request.is(kind).then(|| answer(status, &location, ""))?
        });
        // A bucket that has a record is not looked for.
        let entry = if kind == "bucket" { "new" } else { "e" };
        let outcome = write(&here.url, "b", &format!("api-token={TOKEN} entry={entry}"));
        let parts = [&there.url, "property url"];
        assert_error(&outcome, &parts, &[TOKEN]);
        assert_eq!(server.read("b", "e").len(), FRAMES);
    }
    assert!(there.seen().is_empty(), "{:?}", there.seen());
}

#[test]
fn a_redirect_to_another_scheme_or_path_says_what_url_to_set() {
    for (location, parts) in [
        (
            "https://store.example/api/v1/b/b",
            "url to https://store.example",
        ),
        ("//other/base/api/v1/b/b", "url to http://other/base"),
        (
            "https://login.example/sso?state=s3cr3t",
            "login.example/sso?***",
        ),
        ("/elsewhere", "/elsewhere"),
    ] {
        let here = Liar::start(None, move |_| {
            answer("302 Found", &format!("location: {location}\r\n"), "")
        });
        assert_error(&read(&here.url, &[]).0, &[parts], &["s3cr3t"]);
    }
    let here = Liar::start(None, |_| answer("302 Found", "", ""));
    assert_error(&read(&here.url, &[]).0, &["redirect 302"], &[]);
}

#[test]
fn slashes_at_the_end_of_the_url_have_no_meaning() {
    let server = filled();
    for slashes in ["/", "//", "////"] {
        let (outcome, frames) = read(&format!("{}{slashes}", server.url()), &[]);
        outcome.clean();
        assert_eq!(frames, FRAMES);
    }
}

// --- Schemes

#[test]
fn an_error_names_the_wrong_scheme() {
    let made = Certificates::new();
    let tls = tls_server(&made.of_itself("self", "/CN=x", &[LOOPBACK]));
    let plain = Server::start();
    for (url, hint) in [
        (tls.url().replace("https://", "http://"), "https://"),
        (plain.url().replace("http://", "https://"), "http://"),
    ] {
        let outcome = read(&url, &[("retries", "0")]).0;
        assert_error(
            &outcome,
            &[&url, &format!("begins with {hint}")],
            &["ca-cert"],
        );
        let outcome = write(&url, "b", "retries=0");
        assert_error(
            &outcome,
            &[&url, &format!("begins with {hint}")],
            &["ca-cert"],
        );
    }
}

#[test]
fn a_closed_connection_raises_no_sigpipe() {
    // Test programs in Rust ignore SIGPIPE, and their children do not.
    let folder = tempfile::tempdir().expect("a folder");
    let plugin = folder.path().join("libgstreduct.so");
    symlink(common::plugin_file(), plugin).expect("a link");
    let server = filled();
    let url = server.url().replace("http://", "https://");
    let from = format!("reductsrc url={} bucket=b entry=e", server.url());
    let to = url.replace("https://", "reducts://");
    for line in [
        format!("reductsrc url={url} bucket=b entry=e retries=0 ! fakesink"),
        format!(
            "{} ! reductsink url={url} bucket=b entry=e retries=0",
            camera(5, "")
        ),
        format!("{from} ! reductepisodesplit location={to}/b/e?retries=0"),
    ] {
        for _ in 0..3 {
            let ended = Command::new("gst-launch-1.0")
                .arg("-q")
                .args(line.split(' '))
                .env("GST_PLUGIN_PATH", folder.path())
                .env("GST_REGISTRY", folder.path().join("registry"))
                .env("TMPDIR", folder.path()) // for episodes, which stay if their upload fails
                .output()
                .expect("gst-launch-1.0 starts");
            assert_eq!(ended.status.signal(), None, "{line}");
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(said.contains("does not speak TLS"), "{said}");
        }
    }
}

// --- Proxies of the environment

/// Reads and records in a process of its own, and prints what both say.
fn print_outcomes(url: &str) {
    let (outcome, frames) = read(url, &[("retries", "0")]);
    println!("read: {frames} {}", outcome.text());
    let outcome = write(url, "b", "retries=0");
    println!("written: {}", outcome.text());
}

/// Runs [`print_outcomes`] of this test with a log of everything, and gives what that printed and
/// logged.
fn outcomes_with(test: &str, url: &str, variables: &[(&str, &str)]) -> Option<(String, String)> {
    if let Ok(url) = env::var("TEST_URL") {
        print_outcomes(&url);
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let log = [
        ("TEST_URL", url),
        ("REDUCT_API_TOKEN", TOKEN),
        ("GST_DEBUG", "*:9"),
        ("GST_DEBUG_FILE", file.to_str().expect("UTF-8")),
    ];
    let printed = child::again(test, &[&log, variables].concat())?;
    let logged = fs::read(&file).expect("a log");
    Some((printed, String::from_utf8_lossy(&logged).into_owned()))
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_password() {
    let test = "a_proxy_that_refuses_is_named_without_its_password";
    if env::var_os("TEST_URL").is_some() {
        outcomes_with(test, "", &[]);
        return;
    }
    let status = Arc::new(Mutex::new(""));
    let proxy = Liar::start(None, {
        let status = status.clone();
        move |_| answer(&status.lock().expect("no panic"), "", "<html>No</html>")
    });
    let address = proxy.url.strip_prefix("http://").expect("http");
    let with_password = format!("http://joe:p4ssw0rd@{address}");
    let closed = format!("127.0.0.1:{}", free_port());
    for (scheme, name, value, code, parts) in [
        (
            "http",
            "HTTP_PROXY",
            &with_password,
            "403 Forbidden",
            "403 Forbidden",
        ),
        (
            "http",
            "all_proxy",
            &with_password,
            "407 X",
            "a user and a password",
        ),
        (
            "https",
            "HTTPS_PROXY",
            &with_password,
            "403 Forbidden",
            "tunnel",
        ),
        ("http", "http_proxy", &closed, "", "Connection refused"),
    ] {
        *status.lock().expect("no panic") = code;
        let url = format!("{scheme}://store.example:8383");
        let (printed, logged) = outcomes_with(test, &url, &[(name, value)]).expect("not the child");
        let at = value.rsplit('@').next().expect("an address");
        let named = format!("through the proxy http://{at}");
        for begin in ["read: 0 ", "written: "] {
            let place = printed.find(begin).expect("an outcome");
            assert!(printed[place..].contains(&named), "{printed}");
            assert!(printed[place..].contains(parts), "{printed}");
        }
        assert!(logged.contains("reductsrc"), "no log of the element");
        for secret in ["p4ssw0rd", TOKEN] {
            assert!(
                !printed.contains(secret) && !logged.contains(secret),
                "{secret}"
            );
        }
    }
    // What goes to a proxy for https is a tunnel without the token.
    let tunnels = proxy.seen().into_iter().filter(|it| it.method == "CONNECT");
    assert!(tunnels.clone().count() > 0);
    assert!(tunnels.into_iter().all(|it| !it.head.contains(TOKEN)));
}

#[test]
fn a_host_may_be_reached_without_the_proxy() {
    let test = "a_host_may_be_reached_without_the_proxy";
    if env::var_os("TEST_URL").is_some() {
        outcomes_with(test, "", &[]);
        return;
    }
    for hosts in ["127.0.0.1", "127.0.0.0/8", "*", "other.example, *"] {
        let server = Server::builder().token(TOKEN).start();
        fill(&server);
        let variables = [("HTTP_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", hosts)];
        let (printed, _) = outcomes_with(test, &server.url(), &variables).expect("not the child");
        let all = format!("read: {FRAMES} ");
        assert!(printed.contains(&all), "{hosts}: {printed}");
    }
}

// --- Answers about an entry as a whole

/// Attaches bytes of any type, as [`Server::attach`] does with JSON.
fn attach(server: &Server, key: &str, content_type: &str, content: &[u8]) {
    static TIME: AtomicU64 = AtomicU64::new(1);

    let labels = [("key", key)];
    let time = TIME.fetch_add(1, Ordering::Relaxed);
    server.write(
        "b",
        "e/$meta",
        time,
        content_type,
        &labels,
        content.to_vec(),
    );
}

#[test]
fn only_the_description_of_the_video_is_read() {
    let server = filled();
    attach(&server, "note", "text/plain", b"hello");
    attach(&server, "picture", "image/png", b"\x89PNG\r\n");
    attach(&server, "\"quoted", "text/plain", b"hello");
    let large = format!("[{}1]", "1,".repeat(5 << 20));
    attach(&server, "large", "application/json", large.as_bytes());
    attach(&server, "$video", "application/json", br#"{"fps": 12}"#);
    let liar = Liar::start(Some(&server), |_| None);

    let (outcome, frames) = read(&liar.url, &[]);
    assert!(outcome.clean().warnings.is_empty());
    assert_eq!(frames, FRAMES);
    let outcome = write(&liar.url, "b", "").clean();
    assert!(outcome.warnings.is_empty(), "{}", outcome.text());
    assert_eq!(server.read("b", "e").len(), FRAMES + 5);

    let attached = *liar.attached.lock().expect("no panic");
    assert!(attached < 64 << 10, "{attached} bytes of attachments");
}

#[test]
fn a_description_that_is_none_is_a_warning() {
    let server = filled();
    let fps = r#"{"fps": 10}"#;
    let padded = |length: usize| fps.to_owned() + &" ".repeat(length - fps.len());
    let good: [&str; 3] = ["{}", r#"{"fps": "10"}"#, &padded(64 << 10)];
    for content in good {
        attach(&server, "$video", "application/json", content.as_bytes());
        let (outcome, frames) = read(&server.url(), &[]);
        assert!(outcome.clean().warnings.is_empty());
        assert_eq!(frames, FRAMES);
    }
    let bad: [(&str, &str); 7] = [
        (" ", "not JSON"),
        ("hello", "not JSON"),
        (r#"{"fps": 10"#, "not JSON"),
        ("[10]", "not a JSON object"),
        (&"[".repeat(60_000), "not JSON"),
        (&padded((64 << 10) + 1), "65537 bytes"),
        (
            &format!(r#"{{"fps": "{}"}}"#, "x".repeat(9_000)),
            "no frame rate",
        ),
    ];
    for (content, reason) in bad {
        attach(&server, "$video", "text/plain", content.as_bytes());
        let (outcome, frames) = read(&server.url(), &[]);
        let warnings = outcome.clean().warning_texts();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(reason), "{warnings:?}");
        assert!(warnings[0].contains("$video") && warnings[0].len() < 400);
        assert_eq!(frames, FRAMES);
    }
}

#[test]
fn an_answer_without_an_end_is_not_read_to_its_end() {
    let server = filled();
    let begin = Instant::now();
    let list = Liar::start(Some(&server), |request| {
        request.is("list").then_some(Answer::Endless)
    });
    assert_error(&read(&list.url, &[]).0, &["33554432 bytes"], &[]);
    for kind in ["attachment query", "attachment"] {
        let liar = Liar::start(Some(&server), move |request| {
            request.is(kind).then_some(Answer::Endless)
        });
        attach(&server, "$video", "application/json", br#"{"fps": 10}"#);
        let (outcome, frames) = read(&liar.url, &[]);
        assert_eq!(outcome.clean().warnings.len(), 1, "{kind}");
        assert_eq!(frames, FRAMES, "{kind}");
    }
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_status_whose_reason_is_not_ascii_is_tried_again() {
    let server = filled();
    for kind in ["bucket", "list", "attachment query", "query"] {
        let mut is_first = true;
        let liar = Liar::start(Some(&server), move |request| {
            let is_odd = request.is(kind) && std::mem::replace(&mut is_first, false);
            let headers = "x-reduct-api: 1.21\r\nx-reduct-error: caf\u{e9}\r\n";
            is_odd.then(|| answer("503 X", headers, ""))?
        });
        let (outcome, frames) = read(&liar.url, &[]);
        let warnings = outcome.clean().warning_texts();
        // The request for the entry as a whole is repeated at once.
        let expected = usize::from(kind == "query");
        assert_eq!(warnings.len(), expected, "{kind}: {warnings:?}");
        assert!(
            warnings.iter().all(|text| text.contains("caf")),
            "{warnings:?}"
        );
        assert_eq!(frames, FRAMES, "{kind}");
    }
}

#[test]
fn a_description_that_is_refused_is_requested_a_few_times() {
    let server = filled();
    attach(&server, "$video", "application/json", br#"{"fps": 10}"#);
    // Each attempt repeats the query by itself. Its records need another one.
    for (kind, queries, batches) in [("attachment query", 3 * 6, 0), ("attachment", 6, 6)] {
        let liar = Liar::start(Some(&server), move |request| {
            (request.is(kind)).then(|| answer("503 X", "x-reduct-api: 1.21\r\n", ""))?
        });
        let (outcome, frames) = read(&liar.url, &[]);
        assert_eq!(outcome.clean().warnings.len(), 1, "{kind}");
        assert_eq!(frames, FRAMES, "{kind}");
        let seen = liar.seen();
        let count = |kind| seen.iter().filter(|request| request.is(kind)).count();
        let found = (count("attachment query"), count("attachment"));
        assert_eq!(found, (queries, batches), "{kind}");
    }
}

#[test]
fn a_list_that_ends_early_is_asked_for_again_and_one_that_is_none_is_not() {
    let server = filled();
    for (body, warnings) in [(r#"{"info": {"#, 1), ("<html>", 0)] {
        let mut is_first = true;
        let liar = Liar::start(Some(&server), move |request| {
            let is_odd = request.is("list") && std::mem::replace(&mut is_first, false);
            is_odd.then(|| answer("200 OK", "x-reduct-api: 1.21\r\n", body))?
        });
        let (outcome, frames) = read(&liar.url, &[]);
        assert_eq!(outcome.warnings.len(), warnings, "{}", outcome.text());
        if warnings == 0 {
            assert_error(&outcome, &["not the expected JSON"], &[]);
        } else {
            outcome.clean();
            assert_eq!(frames, FRAMES);
        }
    }
}
