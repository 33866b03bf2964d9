// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A panic of the extension ends its query, and neither the server nor other queries.
//!
//! The server is the program at `PANICKING_SERVER_BIN`: the same source with the feature `panic-injection`, which panics
//! at a named place when a file asks for it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use server_tests::link;
use server_tests::query::{Answer, PROTOCOLS, Protocol, Query, Refusal};
use server_tests::recording::{ENTRY, bucket_with, groups_record};
use server_tests::server::{Server, binary};
use server_tests::system::{is_alive, open_files};
use server_tests::wait::await_that;

/// Variable with the name of the file, as in the source of the extension.
const VARIABLE: &str = "EPISODE_SERVER_PANIC_FILE";

/// A server that can panic, and its folders.
struct Panicking {
    server: Server,
    bucket: String,
    episodes: tempfile::TempDir,
    request: tempfile::TempDir,
}

impl Panicking {
    /// Starts a server with 20 groups of pictures.
    fn start() -> Self {
        let program = program();
        let [episodes, request] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let name = |path: &Path| path.to_str().expect("a name in UTF-8").to_owned();
        let server = Server::builder()
            .command(&[&name(&program)])
            .env("EPISODE_SERVER_TEMP_PATH", &name(episodes.path()))
            .env("EPISODE_SERVER_MEMORY", "0B")
            .env(VARIABLE, &name(&request.path().join("place")))
            .start();
        let bucket = bucket_with(&server, 0..20);
        Self {
            server,
            bucket,
            episodes,
            request,
        }
    }

    /// Asks for a panic at a place.
    fn ask(&self, place: &str) {
        let part = self.request.path().join("part");
        fs::write(&part, place).expect("a file");
        fs::rename(part, self.request.path().join("place")).expect("a file");
    }

    /// Returns whether the panic has come.
    fn has_panicked(&self) -> bool {
        !self.request.path().join("place").exists()
    }

    /// Checks that the server runs, and still exports.
    fn check(&self, place: &str) {
        assert!(self.has_panicked(), "no panic in '{place}'");
        assert!(is_alive(&self.server), "{place}: {}", self.server.log());
        for protocol in PROTOCOLS {
            let answers = self.whole(protocol).answers();
            assert_eq!(answers.len(), 1, "{place}, {protocol:?}");
            assert_eq!(answers[0].labels["frames"], "200");
        }
    }

    /// A query of one episode that the sweeper does not end before the test.
    fn whole(&self, protocol: Protocol) -> Query<'_> {
        Query::export(&self.server, &self.bucket, protocol, json!({})).with("ttl", 600)
    }

    fn open_files(&self) -> usize {
        open_files(&self.server, self.episodes.path())
    }
}

fn program() -> PathBuf {
    let path = env::var_os("PANICKING_SERVER_BIN").map(PathBuf::from);
    path.expect("PANICKING_SERVER_BIN is not set: tests/run.sh builds the program")
}

fn check_refusal(refusal: &Refusal, place: &str) {
    let text = format!("Extension 'video': internal error: requested in '{place}'");
    assert_eq!((refusal.status, &refusal.text), (500, &text));
}

/// Reads a query from here on.
fn rest(query: &Query<'_>, id: u64) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(next) = query.next(id).expect("no error") {
        answers.extend(next);
    }
    answers
}

#[test]
fn a_panic_with_a_record_or_at_the_end_fails_its_query_only() {
    let tested = Panicking::start();
    let other = |id| {
        Query::export(
            &tested.server,
            &tested.bucket,
            id,
            json!({ "duration": "2s" }),
        )
    };
    for place in ["record", "token", "writing", "completion"] {
        for protocol in PROTOCOLS {
            let other = other(Protocol::V2);
            let other_id = other.register().expect("a query");
            let mut answers = other.next(other_id).expect("no error").expect("episodes");
            assert!(answers.len() < 10, "the other query has ended");
            let files = tested.open_files();
            assert!(files > 0, "no file of the other query");

            let query = tested.whole(protocol);
            let id = query.register().expect("a query");
            tested.ask(place);
            let refusal = query.next(id).expect_err("a panic");
            check_refusal(&refusal, place);
            // Without a further call of any client.
            assert_eq!(tested.open_files(), files, "{place}, {protocol:?}");

            answers.extend(rest(&other, other_id));
            assert_eq!(answers.len(), 10, "{place}, {protocol:?}");
            let further = match place {
                "completion" => Ok(None), // The server has no more of the query.
                _ => Err(refusal),
            };
            assert_eq!(query.next(id), further, "{place}, {protocol:?}");
            tested.check(place);
            await_that("files stay open", || tested.open_files() == 0);
        }
    }
}

#[test]
fn episodes_that_wait_go_with_a_panic() {
    let tested = Panicking::start();
    let bucket = tested.server.new_bucket();
    let records = [groups_record(0, 5), groups_record(5, 5)];
    tested.server.write_all(&bucket, ENTRY, &records);
    for protocol in PROTOCOLS {
        let export = json!({ "duration": "1s" });
        let query = Query::export(&tested.server, &bucket, protocol, export).with("ttl", 600);
        let id = query.register().expect("a query");
        tested.ask("token");
        check_refusal(&query.next(id).expect_err("a panic"), "token");
        // Without a further call of any client.
        assert_eq!(tested.open_files(), 0, "{protocol:?}");
        tested.check("token");
        await_that("files stay open", || tested.open_files() == 0);
    }
}

#[test]
fn remaining_episodes_go_with_a_panic() {
    let tested = Panicking::start();
    let bucket = tested.server.new_bucket();
    tested
        .server
        .write_all(&bucket, ENTRY, &[groups_record(0, 5)]);
    for protocol in PROTOCOLS {
        let export = json!({ "duration": "1s" });
        let query = Query::export_all(&tested.server, &bucket, protocol, export).with("ttl", 600);
        let id = query.register().expect("a query");
        tested.ask("remaining");
        check_refusal(&query.next(id).expect_err("a panic"), "remaining");
        // Without a further call of any client.
        assert_eq!(tested.open_files(), 0, "{protocol:?}");
        tested.check("remaining");
    }
}

#[test]
fn a_panic_at_the_registration_refuses_the_query() {
    let tested = Panicking::start();
    for protocol in PROTOCOLS {
        tested.ask("registration");
        let refusal = tested.whole(protocol).register().expect_err("a panic");
        check_refusal(&refusal, "registration");
        tested.check("registration");
    }
}

#[test]
fn a_panic_while_an_episode_is_sent_breaks_it_off() {
    let tested = Panicking::start();
    for protocol in PROTOCOLS {
        let query = tested.whole(protocol);
        let id = query.register().expect("a query");
        tested.ask("reading");
        assert!(query.breaks_off(id), "{protocol:?}");
        tested.check("reading");
        await_that("files stay open", || tested.open_files() == 0);
    }
}

#[test]
fn a_panic_behind_a_link_fails_its_request() {
    let tested = Panicking::start();
    let episodes = tested.whole(Protocol::V2).answers();
    let when = json!({ "#ext": { "video": { "export": {} } } });
    let link = link::create(&tested.server, &tested.bucket, &when, episodes[0].time);
    let content = || link::open(&link).send().and_then(|answer| answer.bytes());
    assert!(content().expect("a content") == episodes[0].content);
    tested.ask("seeking");
    let answer = link::open(&link).send().expect("an answer");
    assert_eq!(answer.status(), 500);
    tested.check("seeking");
    tested.ask("reading");
    content().expect_err("an episode that breaks off");
    tested.check("reading");
    assert!(content().expect("a content") == episodes[0].content);
}

#[test]
fn a_panic_in_the_sweeper_does_not_end_it() {
    let tested = Panicking::start();
    let export = json!({ "duration": "2s" });
    let query = Query::export(&tested.server, &tested.bucket, Protocol::V2, export).with("ttl", 1);
    let id = query.register().expect("a query");
    query.next(id).expect("no error").expect("episodes");
    assert!(tested.open_files() > 0);
    tested.ask("expiry");
    await_that("files stay open", || tested.open_files() == 0);
    tested.check("expiry");
}

#[test]
fn the_program_for_users_has_no_place_to_panic() {
    let has_variable = |path: &Path| {
        let program = fs::read(path).expect("a program");
        let mut found = program.windows(VARIABLE.len());
        found.any(|window| window == VARIABLE.as_bytes())
    };
    assert!(has_variable(&program()));
    assert!(!has_variable(&binary()));
}
