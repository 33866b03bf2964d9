// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Requests in GStreamer's debug log, in the category `reduct-client`.

mod common;

use std::env;
use std::fs;

use common::child;
use common::pipeline::Pipeline;
use common::proxy::{Fate, Kind, Proxy, REASON};
use common::recording::Recording;
use common::server::Server;
use common::stream::Stream;

const TOKEN: &str = "s3cr3t-t0k3n";

/// Reads an entry in a process of its own with this `GST_DEBUG`, from a server that needs a token and behind a proxy
/// that refuses the first query and cuts the first answer with records. Returns the lines of the log that `reduct-client`
/// wrote, and the whole log.
fn log(test: &str, gst_debug: &str) -> Option<(Vec<String>, String)> {
    if let Ok(url) = env::var("TEST_URL") {
        let source = format!("reductsrc url={url} bucket=b entry=e");
        let pipeline = Pipeline::launch(&format!("{source} ! fakesink"));
        println!("eos: {}", pipeline.run().eos);
        return None;
    }
    let server = Server::builder().token(TOKEN).start();
    server.create_bucket("b");
    Recording::default().write(&server, "b", "e", &Stream::example());
    let proxy = Proxy::start(&server, |kind, index| match (kind, index) {
        (Kind::Query, 0) => Fate::Status(500),
        (Kind::Batch, 0) => Fate::Cut(1000),
        _ => Fate::Pass,
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let variables = [
        ("TEST_URL", &*proxy.url()),
        ("REDUCT_API_TOKEN", TOKEN),
        ("GST_DEBUG", gst_debug),
        ("GST_DEBUG_NO_COLOR", "1"),
        ("GST_DEBUG_FILE", file.to_str().expect("UTF-8")),
    ];
    let printed = child::again(test, &variables)?;
    assert!(printed.contains("eos: true"), "{printed}");
    let log = fs::read(&file).expect("a log");
    let log = String::from_utf8_lossy(&log).into_owned();
    let lines = log.lines().filter(|line| line.contains("reduct-client"));
    Some((lines.map(Into::into).collect(), log))
}

#[test]
fn requests_retries_and_refused_answers_are_logged() {
    let test = "requests_retries_and_refused_answers_are_logged";
    let Some((lines, _)) = log(test, "reduct*:5") else {
        return;
    };
    for part in [
        "POST /api/v1/b/b/e/q -> 200 in",
        "GET /api/v1/b/b/e/batch?q=",
        &format!("refused, 500: {REASON}"),
        "attempt 1 in",
    ] {
        let is_there = lines.iter().any(|line| line.contains(part));
        assert!(is_there, "no {part} in {lines:#?}");
    }
    let names_source = |line: &String| line.contains("crates/client/src/");
    assert!(lines.iter().all(names_source), "{lines:#?}");
}

#[test]
fn the_token_is_not_logged() {
    let Some((lines, log)) = log("the_token_is_not_logged", "*:9") else {
        return;
    };
    assert!(lines.len() > 10, "{lines:#?}");
    assert!(!log.contains(TOKEN));
}

#[test]
fn requests_are_not_logged_below_their_level() {
    let test = "requests_are_not_logged_below_their_level";
    let Some((lines, log)) = log(test, "reduct*:4") else {
        return;
    };
    assert!(log.contains("reductsrc"), "{log}");
    assert_eq!(lines, [""; 0]);
}
