// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The errors of `reductsrc`: one message each, by cause, with a text that helps and without any
//! secret.

mod common;

use std::env;
use std::fmt::Debug;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::SERVER;
use common::child;
use common::pipeline::{Outcome, Pipeline};
use common::recording::{Layout, Recording};
use common::server::{Server, free_port};
use common::stream::{Stream, StreamSpec, nal_units};
use gst::glib;
use gst::prelude::*;
use tempfile::TempDir;

/// The token of [`token_server`].
const TOKEN: &str = "s3cr3t-t0k3n";

/// A source with these properties, before a sink.
fn pipeline(properties: &[(&str, &str)]) -> Pipeline {
    let pipeline = Pipeline::launch("reductsrc name=src ! appsink name=out");
    let source = pipeline.element("src");
    for (name, value) in properties {
        source.set_property_from_str(name, value);
    }
    pipeline
}

/// Reads an entry until EOS or an error.
fn read(url: &str, bucket: &str, entry: &str, more: &[(&str, &str)]) -> Outcome {
    let place = [("url", url), ("bucket", bucket), ("entry", entry)];
    let pipeline = pipeline(&[&place, more].concat());
    pipeline.collect("out");
    pipeline.run()
}

/// Fails unless there is one error, of this domain and code, and its text has these parts; and no
/// EOS, upon which a muxer would finish its file.
#[track_caller]
fn assert_error(outcome: &Outcome, code: impl glib::error::ErrorDomain + Debug, parts: &[&str]) {
    let (error, _) = outcome.error();
    assert!(error.matches(code), "{error:?} is not {code:?}");
    assert!(!outcome.eos, "{}", outcome.text());
    for part in parts {
        assert!(error.message().contains(part), "no {part} in: {error}");
    }
}

/// A recording of ReductStore's own example in a bucket of its own.
fn example_bucket(server: &Server) -> String {
    let bucket = server.new_bucket();
    let stream = Stream::example();
    Recording::default().write(server, &bucket, "e", &stream);
    bucket
}

/// Reads one record of these bytes.
fn read_record(content_type: &str, bytes: Vec<u8>) -> Outcome {
    let bucket = SERVER.new_bucket();
    SERVER.write(
        &bucket,
        "e",
        1_000_000,
        content_type,
        &[("fps", "10")],
        bytes,
    );
    read(&SERVER.url(), &bucket, "e", &[])
}

#[test]
fn no_server() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let outcome = read(&url, "b", "e", &[("retries", "2")]);
    assert_error(&outcome, gst::ResourceError::OpenRead, &[&url]);
    assert_eq!(outcome.warnings.len(), 2, "{}", outcome.text());
}

#[test]
fn a_host_without_address() {
    let url = "http://no-such-host.invalid:8383";
    let outcome = read(url, "b", "e", &[("retries", "0")]);
    assert_error(&outcome, gst::ResourceError::OpenRead, &[url]);
}

#[test]
fn no_such_bucket() {
    let outcome = read(&SERVER.url(), "no-such-bucket", "e", &[]);
    let parts = [SERVER.url(), "no-such-bucket".into()];
    let parts = parts.each_ref().map(|part| part.as_str());
    assert_error(&outcome, gst::ResourceError::NotFound, &parts);
}

#[test]
fn no_such_entry() {
    let bucket = example_bucket(&SERVER);
    let outcome = read(&SERVER.url(), &bucket, "no-such-entry", &[]);
    let parts = [bucket.as_str(), "no-such-entry"];
    assert_error(&outcome, gst::ResourceError::NotFound, &parts);
}

/// Starts a server that requires [`TOKEN`], with a bucket that holds the example.
fn token_server() -> (Server, String) {
    let server = Server::builder().token(TOKEN).start();
    let bucket = example_bucket(&server);
    (server, bucket)
}

#[test]
fn the_right_token() {
    let (server, bucket) = token_server();
    read(&server.url(), &bucket, "e", &[("api-token", TOKEN)]).clean();
    let reader = server.create_token("reader", &[&bucket]);
    read(&server.url(), &bucket, "e", &[("api-token", &reader)]).clean();
}

#[test]
fn a_wrong_token() {
    let (server, bucket) = token_server();
    let outcome = read(&server.url(), &bucket, "e", &[("api-token", "wr0ng")]);
    let parts = ["REDUCT_API_TOKEN", "api-token", &server.url()];
    assert_error(&outcome, gst::ResourceError::NotAuthorized, &parts);
}

#[test]
fn no_token() {
    let (server, bucket) = token_server();
    let outcome = read(&server.url(), &bucket, "e", &[]);
    let parts = ["REDUCT_API_TOKEN", "api-token"];
    assert_error(&outcome, gst::ResourceError::NotAuthorized, &parts);
}

#[test]
fn a_token_for_another_bucket() {
    let (server, bucket) = token_server();
    let other = server.create_token("other", &[&server.new_bucket()]);
    let outcome = read(&server.url(), &bucket, "e", &[("api-token", &other)]);
    assert_error(&outcome, gst::ResourceError::NotAuthorized, &[&bucket]);
}

/// Fails unless the source refuses to start, with an error that has these parts.
#[track_caller]
fn assert_refused(properties: &[(&str, &str)], parts: &[&str]) {
    let place = [("bucket", "b"), ("entry", "e")];
    let pipeline = pipeline(&[&place, properties].concat());
    let started = pipeline.set_state(gst::State::Paused);
    assert!(started.is_err(), "{properties:?} is no reason to refuse");
    let outcome = pipeline.finish(Vec::new());
    assert_error(&outcome, gst::ResourceError::Settings, parts);
}

#[test]
fn invalid_urls() {
    for url in [
        "127.0.0.1:8383",
        "ftp://127.0.0.1",
        "",
        "http://",
        "http://h?x=1",
    ] {
        assert_refused(&[("url", url)], &["url"]);
    }
}

#[test]
fn a_url_with_user_information() {
    assert_refused(&[("url", "http://user@127.0.0.1")], &["url", "api-token"]);
}

#[test]
fn a_missing_bucket_or_entry() {
    for name in ["bucket", "entry"] {
        assert_refused(&[(name, "")], &[name]);
    }
}

#[test]
fn names_that_reductstore_does_not_allow() {
    for (name, value) in [("bucket", "a/b"), ("entry", "a b"), ("entry", "../c")] {
        assert_refused(&[(name, value)], &[name, value]);
    }
}

#[test]
fn invalid_times() {
    for name in ["start", "stop"] {
        for value in ["yesterday", "2025-06-13", "-5", "1.5"] {
            assert_refused(&[(name, value)], &[name, value, "RFC 3339"]);
        }
    }
}

#[test]
fn a_stop_that_is_not_after_the_start() {
    for stop in ["1999", "2000"] {
        assert_refused(&[("start", "2000"), ("stop", stop)], &["stop", stop]);
    }
}

#[test]
fn invalid_ranges() {
    for value in ["5", "7/5", "5/5", "5/7,6/8", "7/8,5/6", "tomorrow/5"] {
        assert_refused(&[("ranges", value)], &["ranges"]);
    }
}

#[test]
fn valid_settings_work() {
    let bucket = example_bucket(&SERVER);
    let url = SERVER.url();
    let place = [
        ("url", url.as_str()),
        ("bucket", bucket.as_str()),
        ("entry", "e"),
    ];
    let pipeline = pipeline(&place);
    let source = pipeline.element("src");
    let samples = pipeline.collect("out");
    for (name, value) in [
        ("entry", "no such entry"),
        ("start", "yesterday"),
        ("stop", "-1"),
        ("ranges", "7/8,5/6"),
        ("when", "[]"),
        ("url", "nowhere"),
    ] {
        let before: Option<String> = source.property(name);
        source.set_property(name, value);
        let outcome = pipeline.run();
        assert_error(&outcome, gst::ResourceError::Settings, &[name]);
        source.set_property(name, before);
    }
    pipeline.run().clean();
    assert_eq!(samples.get().len(), 60);
}

#[test]
fn conditions_that_are_no_json_object() {
    for value in ["&good", "{", "[]", "1"] {
        assert_refused(&[("when", value)], &["when", value, "JSON"]);
    }
}

#[test]
fn a_condition_that_the_server_refuses() {
    let bucket = example_bucket(&SERVER);
    let when = r#"{"&fps": {"$like": 10}}"#;
    let outcome = read(&SERVER.url(), &bucket, "e", &[("when", when)]);
    assert_error(&outcome, gst::ResourceError::Settings, &["$like"]);
}

#[test]
fn several_units_a_record_and_no_frame_rate() {
    let bucket = SERVER.new_bucket();
    let stream = Stream::make(StreamSpec {
        vui_timing: false,
        ..Default::default()
    });
    let recording = Recording {
        labels: &[],
        ..Default::default()
    };
    // With a further record its time would be enough.
    let laid = recording.lay(&stream);
    SERVER.write_all(&bucket, "e", laid[..1].iter().map(|laid| &laid.record));
    let outcome = read(&SERVER.url(), &bucket, "e", &[]);
    let ways = ["label 'fps'", "'$video'", "property fps"];
    assert_error(&outcome, gst::ResourceError::Settings, &ways);
}

#[test]
fn another_content_type() {
    let outcome = read_record("image/jpeg", vec![0xff, 0xd8, 0xff, 0xd9]);
    let parts = ["image/jpeg", "video/h264", "1000000 µs"];
    assert_error(&outcome, gst::StreamError::WrongType, &parts);
}

#[test]
fn another_content_type_after_video() {
    let bucket = SERVER.new_bucket();
    let stream = Stream::example();
    let recording = Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    };
    let last = recording.write(&SERVER, &bucket, "e", &stream).pop();
    let time = last.expect("a record").record.time_us + 1;
    SERVER.write(&bucket, "e", time, "image/jpeg", &[], "JFIF");

    let url = SERVER.url();
    let range = [("url", url.as_str()), ("bucket", &bucket), ("entry", "e")];
    let pipeline = pipeline(&[&range[..], &[("on-error", "stop")]].concat());
    let samples = pipeline.collect("out");
    let outcome = pipeline.run();
    let parts = ["image/jpeg", &time.to_string()];
    assert_error(&outcome, gst::StreamError::WrongType, &parts);
    assert_eq!(samples.get().len(), 60);
}

#[test]
fn the_content_type_may_have_parameters_and_capitals() {
    let unit = Stream::example().units[0].clone();
    read_record("Video/H264; profile=high", unit).clean();
}

#[test]
fn length_prefixed_nal_units() {
    let units = Stream::example().units;
    let avcc = units.iter().flat_map(|unit| nal_units(unit));
    let avcc = avcc.flat_map(|nal| [&(nal.len() as u32).to_be_bytes(), nal].concat());
    let outcome = read_record("video/h264", avcc.collect());
    let parts = ["1000000 µs", "Annex B"];
    assert_error(&outcome, gst::StreamError::Decode, &parts);
}

#[test]
fn bytes_that_are_no_h264() {
    let outcome = read_record("video/h264", b"no video at all".to_vec());
    assert_error(&outcome, gst::StreamError::Decode, &["Annex B"]);
}

#[test]
fn a_label_that_cannot_be_read() {
    let bucket = SERVER.new_bucket();
    let record = Stream::example().bytes();
    let labels = [("fps", "\"10")];
    SERVER.write(&bucket, "e", 1, "video/h264", &labels, record);
    read(&SERVER.url(), &bucket, "e", &[("fps", "10/1")]).clean();
}

#[test]
fn a_server_that_hangs() {
    let server = Server::start();
    let bucket = example_bucket(&server);
    server.freeze();
    let start = Instant::now();
    let outcome = read(
        &server.url(),
        &bucket,
        "e",
        &[("timeout", "500"), ("retries", "0")],
    );
    let taken = start.elapsed();
    assert_error(&outcome, gst::ResourceError::Read, &["500 ms"]);
    let limits = Duration::from_millis(500)..Duration::from_secs(2);
    assert!(limits.contains(&taken), "after {taken:?}");
}

/// Answers any request on one port with `answer`, as long as the process lives.
fn web_server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let request = BufReader::new(stream.try_clone().expect("a second handle"));
            let lines = request.lines().map_while(Result::ok);
            // The head ends with an empty line; the requests before a query have no body.
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            stream.write_all(answer.as_bytes()).expect("an answer");
        }
    });
    format!("http://{address}")
}

#[test]
fn a_server_that_is_no_reductstore() {
    let url =
        web_server("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let outcome = read(&url, "b", "e", &[]);
    assert_error(
        &outcome,
        gst::ResourceError::NotFound,
        &[&url, "ReductStore"],
    );
}

#[test]
fn a_server_that_says_yes_and_is_no_reductstore() {
    let url = web_server("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    let outcome = read(&url, "b", "e", &[]);
    assert_error(&outcome, gst::ResourceError::NotFound, &[&url]);
}

/// A server with a certificate of an unknown CA.
struct TlsServer {
    server: Server,
    bucket: String,
    ca_cert: PathBuf,
    _folder: TempDir,
}

impl TlsServer {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (ca, leaf) = (folder.path().join("ca"), folder.path().join("leaf"));
        certify(&ca, "/CN=nobody's CA", &[]);
        let (ca_cert, ca_key) = (ca.with_extension("pem"), ca.with_extension("key"));
        let by_ca = ["-CA", utf8(&ca_cert), "-CAkey", utf8(&ca_key)];
        let extensions = [
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ];
        certify(&leaf, "/CN=store", &[by_ca, extensions].concat());
        let (cert, key) = (leaf.with_extension("pem"), leaf.with_extension("key"));
        let server = Server::builder().tls(&cert, &key).start();
        Self {
            bucket: example_bucket(&server),
            server,
            ca_cert,
            _folder: folder,
        }
    }

    fn read(&self, properties: &[(&str, &str)]) -> Outcome {
        read(&self.server.url(), &self.bucket, "e", properties)
    }
}

/// Makes a key and a certificate: the files `name.key` and `name.pem`.
fn certify(name: &Path, subject: &str, more: &[&str]) {
    let (cert, key) = (name.with_extension("pem"), name.with_extension("key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", subject, "-keyout", utf8(&key), "-out", utf8(&cert)])
        .args(more)
        .output()
        .expect("openssl starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn a_certificate_of_an_unknown_ca() {
    let tls = TlsServer::start();
    let outcome = tls.read(&[]);
    assert_error(&outcome, gst::ResourceError::OpenRead, &[&tls.server.url()]);
}

#[test]
fn a_certificate_of_a_ca_that_the_user_knows() {
    let tls = TlsServer::start();
    tls.read(&[("ca-cert", utf8(&tls.ca_cert))]).clean();
}

#[test]
fn a_certificate_that_the_user_does_not_want_verified() {
    TlsServer::start().read(&[("verify-ssl", "false")]).clean();
}

#[test]
fn a_ca_certificate_that_is_not_there() {
    let outcome = read(&SERVER.url(), "b", "e", &[("ca-cert", "/nowhere/ca.pem")]);
    let parts = ["/nowhere/ca.pem"];
    assert_error(&outcome, gst::ResourceError::Settings, &parts);
}

/// Prints all that an application can see of a source: messages, graphs and properties.
fn print_all(properties: &[(&str, &str)]) {
    let pipeline = pipeline(properties);
    pipeline.collect("out");
    let graph = || pipeline.debug_to_dot_data(gst::DebugGraphDetails::all());
    pipeline.play();
    let messages = pipeline.wait_for_end();
    println!("{}", graph());
    let source = pipeline.element("src");
    for pspec in source.list_properties() {
        if pspec.flags().contains(glib::ParamFlags::READABLE) {
            let value = source.property_value(pspec.name());
            println!("{} = {value:?}", pspec.name());
        }
    }
    println!("{}", pipeline.finish(messages).text());
    println!("{}", graph());
}

/// Runs a test again with a log of everything, and fails if that or what it prints has `secret` in
/// it, or lacks any of `parts`: no output would have no secret, either.
fn assert_no_output_has(secret: &str, parts: &[&str], test: &str, variables: &[(&str, &str)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let log = [
        ("GST_DEBUG", "*:9"),
        ("GST_DEBUG_NO_COLOR", "1"),
        ("GST_DEBUG_FILE", utf8(&file)),
    ];
    let printed = child::again(test, &[&log, variables].concat()).expect("not the child");
    let logged = fs::read(&file).expect("a log");
    let logged = String::from_utf8_lossy(&logged);
    assert!(logged.contains("reductsrc"), "no log of the element");
    for part in parts {
        assert!(printed.contains(part), "no {part} in: {printed}");
    }
    for line in printed.lines().chain(logged.lines()) {
        assert!(!line.contains(secret), "{line}");
    }
}

/// Reads from a server that accepts [`TOKEN`] and from one that does not, in a process of its own;
/// the token is set there by `set` or by the environment.
fn assert_token_stays_secret(test: &str, set: &[(&str, &str)], environment: &[(&str, &str)]) {
    if let Ok(urls) = env::var("TEST_URLS") {
        for url in urls.split(' ') {
            let place = [("url", url), ("bucket", "b"), ("entry", "e")];
            print_all(&[&place, set].concat());
        }
        return;
    }
    let start = |token| {
        let server = Server::builder().token(token).start();
        server.create_bucket("b");
        let stream = Stream::example();
        Recording::default().write(&server, "b", "e", &stream);
        server
    };
    let (open, closed) = (start(TOKEN), start("another"));
    let urls = format!("{} {}", open.url(), closed.url());
    let variables = [environment, &[("TEST_URLS", urls.as_str())]].concat();
    let parts = [
        "access-units=(guint64)60",
        "Eos",
        "Invalid token",
        "digraph",
    ];
    assert_no_output_has(TOKEN, &parts, test, &variables);
}

#[test]
fn a_token_of_the_property_is_in_no_output() {
    let test = "a_token_of_the_property_is_in_no_output";
    assert_token_stays_secret(test, &[("api-token", TOKEN)], &[]);
}

#[test]
fn a_token_of_the_environment_is_in_no_output() {
    let test = "a_token_of_the_environment_is_in_no_output";
    assert_token_stays_secret(test, &[], &[("REDUCT_API_TOKEN", TOKEN)]);
}

#[test]
fn a_token_in_the_url_is_in_no_output() {
    if env::var_os("TEST_URL").is_some() {
        let url = format!("http://user:{TOKEN}@127.0.0.1");
        print_all(&[("url", &url), ("bucket", "b"), ("entry", "e")]);
        return;
    }
    let test = "a_token_in_the_url_is_in_no_output";
    let parts = ["user information", "digraph"];
    assert_no_output_has(TOKEN, &parts, test, &[("TEST_URL", "")]);
}
