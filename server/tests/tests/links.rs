// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Query links to episodes can be opened more than once, and in parts.

use reqwest::header::RANGE;
use serde_json::{Value, json};
use server_tests::link::{create, open};
use server_tests::query::{Protocol, Query};
use server_tests::recording::bucket_with;
use server_tests::server::Server;
use server_tests::system::is_alive;

#[test]
fn an_episode_behind_a_link() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..6);
    let export = json!({ "video": { "export": { "duration": "2s" } } });
    let alone = json!({ "#ext": export });
    let with_rest = json!({ "#ext": [export, { "video": { "remaining": {} } }] });
    for when in [alone, with_rest] {
        check_links(&server, &bucket, &when);
    }
    assert!(is_alive(&server));
}

/// Opens a link to each episode of a query.
fn check_links(server: &Server, bucket: &str, when: &Value) {
    let query = Query::new(server, bucket, Protocol::V2).when(when.clone());
    let episodes = query.answers();
    assert_eq!(episodes.len(), 3);
    for episode in &episodes {
        let link = create(server, bucket, when, episode.time);
        // The second one is read from the start again.
        for _ in 0..2 {
            let answer = open(&link).send().expect("an answer");
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-type"], "video/mp4");
            assert!(answer.bytes().expect("a content") == episode.content);
        }
        let part = open(&link).header(RANGE, "bytes=4-99");
        let part = part.send().expect("an answer");
        assert_eq!(part.status(), 206);
        assert!(part.bytes().expect("a content") == episode.content[4..100]);
    }
}
