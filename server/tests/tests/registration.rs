// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queries that cannot be exported are refused when they are registered.

use serde_json::{Value, json};
use server_tests::query::{PROTOCOLS, Protocol, Query, Refusal};
use server_tests::recording::bucket_with;
use server_tests::server::Server;

fn refused(text: &str) -> Result<u64, Refusal> {
    Err(Refusal {
        status: 422,
        text: format!("Extension 'video': {text}"),
    })
}

/// The server puts single quotes for double ones into no header, but keeps the text otherwise.
#[test]
fn wrong_parameters() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..1);
    let faults: [(Value, &str); 4] = [
        (
            json!({ "fps": -5 }),
            "parameter 'fps' is -5, expected a number from 1/3600 to 1000",
        ),
        (
            json!({ "duration": "soon" }),
            "parameter 'duration' is \"soon\", expected a duration with units (ms, s, m, h, d), such as \"30s\", \
             \"1m\" or \"1h 30m\"",
        ),
        (
            json!({ "speed": 2 }),
            "unknown parameter 'speed', expected one of fps, duration, size, gap_detection, gap_tolerance, \
             split_mode, keyframe_mode, on_loss, faststart, fragmented, index",
        ),
        (
            json!({ "split_mode": "Tür\n" }),
            "parameter 'split_mode' is \"T?r/n\", expected one of \"next-keyframe\", \"at-most\"",
        ),
    ];
    for protocol in PROTOCOLS {
        for (export, text) in &faults {
            let query = Query::export(&server, &bucket, protocol, export.clone());
            assert_eq!(query.register(), refused(text), "{protocol:?}");
        }
    }
}

#[test]
fn parameters_can_come_as_ext() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..2);
    for protocol in PROTOCOLS {
        let query = Query::new(&server, &bucket, protocol);
        let wrong = query
            .clone()
            .with("ext", json!({ "video": { "export": {}, "import": 1 } }));
        assert_eq!(
            wrong.register(),
            refused("unknown key 'import', expected 'export'")
        );
        let missing = query.clone().with("ext", json!({ "video": {} }));
        assert_eq!(missing.register(), refused("the key 'export' is missing"));
        let right = query.with("ext", json!({ "video": { "export": {} } }));
        assert_eq!(right.answers().len(), 1, "{protocol:?}");
    }
}

#[test]
fn a_continuous_query() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..1);
    for protocol in PROTOCOLS {
        let query = Query::export(&server, &bucket, protocol, json!({})).with("continuous", true);
        let text = "the query is continuous, expected one with an end: episodes end where their records do";
        assert_eq!(query.register(), refused(text), "{protocol:?}");
    }
}

#[test]
fn a_query_of_several_entries() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..2);
    let query = Query::export(&server, &bucket, Protocol::V2, json!({}));
    let two = query.clone().entries(&["cam", "rear"]);
    assert_eq!(
        two.register(),
        refused("the query has 2 entries (cam, rear), expected one")
    );
    // A pattern may match one entry only.
    let pattern = query.entries(&["*"]);
    assert_eq!(pattern.answers().len(), 1);
    server.write(
        &bucket,
        "rear",
        server_tests::recording::START + 1,
        "video/h264",
        &[],
        "any",
    );
    let text = "Extension 'video': the query has records of the entries 'cam' and 'rear', expected one entry";
    assert_eq!(
        pattern.refusal(),
        Refusal {
            status: 422,
            text: text.into()
        }
    );
}

#[test]
fn another_extension() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..1);
    let query =
        Query::new(&server, &bucket, Protocol::V2).when(json!({ "#ext": { "select": {} } }));
    let refusal = query.register().expect_err("no such extension");
    assert_eq!(refusal.status, 422);
    assert!(
        refusal.text.starts_with("Unknown extension 'select'"),
        "{refusal:?}"
    );
}
