// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A disk of temporary files that is full: an error of the query, whose space is free at once.

use serde_json::{Value, json};
use server_tests::query::{PROTOCOLS, Protocol, Query, Refusal};
use server_tests::recording::{ENTRY, FRAMES, GROUP, START, large_group_record};
use server_tests::server::Server;
use server_tests::system::{SmallDisk, is_alive};

/// Bytes of the disk.
const DISK: u64 = 2 << 20;
/// Bytes of a group of pictures, about.
const LARGE: usize = 300_000;
/// Groups of the recording, which do not fit on the disk at a time.
const GROUPS: u64 = 10;

fn server() -> (Server, SmallDisk, String) {
    let disk = SmallDisk::new(DISK);
    let server = disk.start(Server::builder());
    let bucket = server.new_bucket();
    let records: Vec<_> = (0..GROUPS)
        .map(|number| large_group_record(number, LARGE))
        .collect();
    server.write_all(&bucket, ENTRY, &records);
    (server, disk, bucket)
}

/// A query that the sweeper does not end before the test.
fn export<'a>(
    server: &'a Server,
    bucket: &'a str,
    protocol: Protocol,
    parameters: Value,
) -> Query<'a> {
    Query::export(server, bucket, protocol, parameters).with("ttl", 600)
}

fn check_refusal(refusal: &Refusal) {
    let text = "Extension 'video': an episode cannot be written: the output failed: No space left on device (os error 28)";
    assert_eq!((refusal.status, refusal.text.as_str()), (507, text));
}

#[test]
fn a_full_disk_is_an_error_and_is_empty_at_once() {
    let (server, disk, bucket) = server();
    for protocol in PROTOCOLS {
        for parameters in [
            json!({}),
            json!({ "faststart": true }),
            json!({ "fragmented": true }),
        ] {
            let query = export(&server, &bucket, protocol, parameters);
            let id = query.register().expect("a query");
            let refusal = query.next(id).expect_err("more than the disk holds");
            assert_eq!(disk.used(&server), 0, "{protocol:?}");
            check_refusal(&refusal);
            assert_eq!(query.next(id), Err(refusal), "a further call");
            assert!(is_alive(&server), "{}", server.log());
        }
        let fits = export(&server, &bucket, protocol, json!({})).with("stop", START + 4 * GROUP);
        let answers = fits.answers();
        assert_eq!(answers[0].labels["frames"], (4 * FRAMES).to_string());
        assert_eq!(disk.used(&server), 0, "{protocol:?}");
    }
}

#[test]
fn complete_episodes_arrive_before_the_disk_was_full() {
    let (server, disk, bucket) = server();
    let query = export(&server, &bucket, Protocol::V2, json!({ "duration": "1s" }));
    let (episodes, refusal) = query.run().expect_err("more than the disk holds");
    check_refusal(&refusal);
    assert!((5..=6).contains(&episodes.len()), "{}", episodes.len());
    for episode in &episodes {
        assert_eq!(episode.length, episode.content.len() as u64);
        assert_eq!(episode.labels["frames"], FRAMES.to_string());
    }
    assert_eq!(disk.used(&server), 0);
}

#[test]
fn the_disk_needs_room_for_the_episodes_of_an_answer_only() {
    let (server, disk, bucket) = server();
    for protocol in PROTOCOLS {
        let when =
            json!({ "#batch_records": 1, "#ext": { "video": { "export": { "duration": "1s" } } } });
        let query = Query::new(&server, &bucket, protocol).when(when);
        let episodes = query.answers();
        assert_eq!(episodes.len() as u64, GROUPS);
        let bytes: u64 = episodes.iter().map(|episode| episode.length).sum();
        assert!(bytes > DISK, "{bytes} bytes");
        assert_eq!(disk.used(&server), 0, "{protocol:?}");
    }
}
