// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Query links to episodes.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::recording::ENTRY;
use crate::server::Server;

/// Creates a link to the episode that a query of the entry [`ENTRY`] with a condition has at `time`, in µs since the Unix
/// epoch.
pub fn create(server: &Server, bucket: &str, when: &Value, time: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let request = json!({
        "bucket": bucket,
        "entry": ENTRY,
        "query": {
            "query_type": "QUERY",
            "entries": [ENTRY],
            "when": when,
        },
        "record_entry": ENTRY,
        "record_timestamp": time,
        "expire_at": now.expect("a clock").as_secs() + 600,
        "base_url": server.url(),
    });
    let url = format!("{}/api/v1/links/episode.mp4", server.url());
    let answer = client().post(url).json(&request).send();
    let answer: Value = answer.expect("an answer").json().expect("a link");
    let link = answer["link"].as_str();
    link.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Returns the request for the episode behind a link.
pub fn open(link: &str) -> RequestBuilder {
    client().get(link)
}

fn client() -> Client {
    Client::builder().no_proxy().build().expect("a client")
}
