// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Neither records nor clients harm the server, and nothing stays of a query that is over.

use std::fs;
use std::process::Command;
use std::thread;

use serde_json::json;
use server_tests::query::{PROTOCOLS, Protocol, Query};
use server_tests::recording::{
    ENTRY, GROUP, START, bucket_with, group, group_record, groups_record,
};
use server_tests::server::{Record, Server, binary};
use server_tests::system::{is_alive, memory, open_files};
use server_tests::wait::await_that;

/// Returns a server, and the folder of its temporary files. No episode is in memory.
fn server_with_folder() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().to_str().expect("a name in UTF-8").to_owned();
    (
        Server::builder()
            .env("EPISODE_SERVER_TEMP_PATH", &name)
            .env("EPISODE_SERVER_MEMORY", "0B")
            .start(),
        folder,
    )
}

#[test]
fn labels_of_records_are_not_copied() {
    let server = Server::start();
    let bucket = server.new_bucket();
    for index in 0..3 {
        let record = group_record(index);
        let labels = [("fps", "10"), ("place", "front, \"left\"")];
        server.write(
            &bucket,
            ENTRY,
            record.time_us,
            "video/h264",
            &labels,
            record.bytes,
        );
    }
    for protocol in PROTOCOLS {
        let answers = Query::export(&server, &bucket, protocol, json!({})).answers();
        let labels: Vec<_> = answers[0].labels.keys().map(String::as_str).collect();
        assert_eq!(
            labels,
            ["duration", "fps", "frames", "reason"],
            "{protocol:?}"
        );
    }
}

#[test]
fn garbage_is_no_danger() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let mut random = fastrand::Rng::with_seed(25);
    let records: Vec<_> = (0..10_000)
        .map(|index| {
            let mut bytes: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(..)).collect();
            if random.bool() {
                bytes.splice(0..0, [0, 0, 0, 1]);
            }
            if random.u8(..) < 10 {
                let group = group();
                bytes.extend_from_slice(&group[..random.usize(0..group.len())]);
            }
            Record {
                time_us: START + index * 1000,
                bytes: bytes.into(),
                labels: vec![("fps".into(), "10".into())],
                ..group_record(0)
            }
        })
        .collect();
    server.write_all(&bucket, ENTRY, &records);
    for protocol in PROTOCOLS {
        for export in [
            json!({}),
            json!({ "duration": "1s", "split_mode": "at-most", "fragmented": true }),
        ] {
            // Whether there is anything to be decoded is a matter of chance.
            let _ = Query::export(&server, &bucket, protocol, export).run();
            assert!(is_alive(&server), "{}", server.log());
        }
    }
}

/// A million frames in episodes of 1000 s.
#[test]
fn nothing_stays_of_frames_that_were_sent() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let records: Vec<_> = (0..1000)
        .map(|index| groups_record(100 * index, 100))
        .collect();
    server.write_all(&bucket, ENTRY, &records);
    drop(records);
    let export = json!({ "duration": "1000s" });
    let query = Query::export(&server, &bucket, Protocol::V2, export);
    let short = query.clone().with("stop", START + 2000 * GROUP);
    assert_eq!(short.answers().len(), 2);
    let [before, _] = memory(&server);
    assert_eq!(query.answers().len(), 100);
    let [_, most] = memory(&server);
    let more = most.saturating_sub(before) >> 20;
    assert!(more < 32, "{more} MiB");
}

#[test]
fn nothing_stays_of_a_query_that_is_over() {
    let (server, folder) = server_with_folder();
    let bucket = bucket_with(&server, 0..10);
    for protocol in PROTOCOLS {
        let answers =
            Query::export(&server, &bucket, protocol, json!({ "duration": "2s" })).answers();
        assert_eq!(answers.len(), 5);
        await_that("files stay open", || {
            open_files(&server, folder.path()) == 0
        });
    }
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn nothing_stays_of_a_query_that_failed() {
    let (server, folder) = server_with_folder();
    let bucket = bucket_with(&server, 0..10);
    server.write(
        &bucket,
        ENTRY,
        START + 10 * GROUP,
        "image/jpeg",
        &[],
        "picture",
    );
    for protocol in PROTOCOLS {
        let query = Query::export(&server, &bucket, protocol, json!({})).with("ttl", 600);
        let refusal = query.refusal();
        // Without a further call of any client.
        assert_eq!(
            open_files(&server, folder.path()),
            0,
            "{protocol:?}: {refusal:?}"
        );
    }
}

#[test]
fn nothing_stays_of_a_client_that_went_away() {
    let (server, folder) = server_with_folder();
    let bucket = bucket_with(&server, 0..20);
    let query =
        Query::export(&server, &bucket, Protocol::V2, json!({ "duration": "2s" })).with("ttl", 1);
    let id = query.register().expect("a query");
    let first = query.next(id).expect("an answer").expect("episodes");
    assert!(first.len() < 10, "{} episodes at once", first.len());
    assert!(open_files(&server, folder.path()) > 0);
    // The client makes no further call, and neither does another one.
    await_that("files stay open", || {
        open_files(&server, folder.path()) == 0
    });
    assert!(query.next(id).is_err());
}

#[test]
fn two_queries_at_once() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..60);
    let query = |export| Query::export(&server, &bucket, Protocol::V2, export).answers();
    let (long, short) = (json!({}), json!({ "duration": "2s" }));
    let alone = (query(long.clone()), query(short.clone()));
    let together = thread::scope(|scope| {
        let long = scope.spawn(|| query(long));
        let short = scope.spawn(|| query(short));
        (
            long.join().expect("no panic"),
            short.join().expect("no panic"),
        )
    });
    assert!(together == alone);
}

#[test]
fn nothing_stays_of_a_server_that_is_killed() {
    let (server, folder) = server_with_folder();
    let bucket = bucket_with(&server, 0..20);
    let query = Query::export(&server, &bucket, Protocol::V2, json!({ "duration": "2s" }));
    let id = query.register().expect("a query");
    query.next(id).expect("an answer");
    assert!(open_files(&server, folder.path()) > 0);
    server.restart();
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn a_small_episode_is_in_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().to_str().expect("a name in UTF-8");
    for (limit, has_file) in [("10KB", false), ("10B", true)] {
        let server = Server::builder()
            .env("EPISODE_SERVER_TEMP_PATH", name)
            .env("EPISODE_SERVER_MEMORY", limit)
            .start();
        let bucket = bucket_with(&server, 0..20);
        let query = Query::export(&server, &bucket, Protocol::V2, json!({ "duration": "2s" }));
        let id = query.register().expect("a query");
        // An episode has begun when the answer ends.
        let answer = query.next(id).expect("an answer").expect("episodes");
        assert!(answer.len() < 10, "the query has ended");
        assert_eq!(open_files(&server, folder.path()) > 0, has_file, "{limit}");
    }
}

#[test]
fn settings_that_are_wrong_are_an_error_at_once() {
    for (variable, value, fault) in [
        (
            "EPISODE_SERVER_TEMP_PATH",
            "/does/not/exist",
            "/does/not/exist (EPISODE_SERVER_TEMP_PATH)",
        ),
        (
            "EPISODE_SERVER_MEMORY",
            "2",
            "EPISODE_SERVER_MEMORY is '2', expected a size with a unit",
        ),
    ] {
        let output = Command::new(binary())
            .env(variable, value)
            .env("RS_DISABLE_AUTH", "true")
            .output()
            .expect("it starts");
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(fault), "{text}");
    }
}

#[test]
fn versions() {
    let output = Command::new(binary())
        .arg("--version")
        .output()
        .expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(
        text,
        format!(
            "episode-server {}\nReductStore 1.21.5\n",
            env!("CARGO_PKG_VERSION")
        )
    );
}
