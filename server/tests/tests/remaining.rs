// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The step for remaining episodes returns all that end with a query.

use bytes::Bytes;
use serde_json::{Value, json};
use server_tests::query::{self, Answer, PROTOCOLS, Protocol, Query, Refusal};
use server_tests::recording::{
    ENTRY, FRAMES, GROUP, START, access_unit, bucket_with, group_record, groups_record,
};
use server_tests::server::{Record, Server};

fn summary(answers: &[Answer]) -> Vec<(u64, &str, &str)> {
    query::summary(answers, START)
}

fn at_most() -> Value {
    json!({ "duration": "1500ms", "split_mode": "at-most" })
}

#[test]
fn a_limit_is_kept_by_the_last_episodes() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..3);
    for protocol in PROTOCOLS {
        let all = Query::export_all(&server, &bucket, protocol, at_most()).answers();
        let expected = [
            (0, "10", "duration"),
            (GROUP, "10", "duration"),
            (2 * GROUP, "10", "eos"),
        ];
        assert_eq!(summary(&all), expected, "{protocol:?}");
        // Without the step there is one episode at the end.
        let one = Query::export(&server, &bucket, protocol, at_most()).answers();
        let expected = [(0, "10", "duration"), (GROUP, "20", "eos")];
        assert_eq!(summary(&one), expected, "{protocol:?}");
    }
}

#[test]
fn all_episodes_of_one_record() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let record = groups_record(0, 80);
    server.write_all(&bucket, ENTRY, &[record]);
    for protocol in PROTOCOLS {
        let export = json!({ "duration": "1s" });
        let query = Query::export_all(&server, &bucket, protocol, export);
        let answers = query.answers();
        let times: Vec<_> = answers.iter().map(|it| it.time - START).collect();
        let expected: Vec<_> = (0..80).map(|index| index * GROUP).collect();
        assert_eq!(times, expected, "{protocol:?}");
        for episode in &answers {
            assert_eq!(episode.label("frames"), "10", "{protocol:?}");
            assert_eq!(&episode.content[4..8], b"ftyp", "{protocol:?}");
        }
        let lengths = |answers: Vec<Answer>| -> Vec<_> {
            let lengths = answers.into_iter();
            lengths.map(|it| it.length).collect()
        };
        assert_eq!(lengths(query.head().answers()), lengths(answers));
    }
}

/// Clients take 100 headers in an answer, and an episode is one of them.
#[test]
fn more_episodes_of_one_record_than_an_answer_has() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let records: Vec<_> = (0..12).map(|index| groups_record(20 * index, 20)).collect();
    server.write_all(&bucket, ENTRY, &records);
    for protocol in PROTOCOLS {
        let export = json!({ "duration": "1s" });
        let answers = Query::export_all(&server, &bucket, protocol, export).answers();
        let times: Vec<_> = answers.iter().map(|it| it.time - START).collect();
        let expected: Vec<_> = (0..240).map(|index| index * GROUP).collect();
        assert_eq!(times, expected, "{protocol:?}");
    }
    let bucket = server.new_bucket();
    let record = groups_record(0, 100);
    server.write_all(&bucket, ENTRY, &[record]);
    for protocol in PROTOCOLS {
        let export = json!({ "duration": "1s" });
        let refusal = Query::export_all(&server, &bucket, protocol, export).refusal();
        let text = "more episodes end with the last record than an answer can have (88)";
        assert!(refusal.text.contains(text), "{refusal:?}");
    }
}

/// A byte stream in records that end anywhere.
#[test]
fn records_that_are_cut_within_nal_units() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let stream: Vec<u8> = (0..3 * FRAMES)
        .flat_map(|index| access_unit(index % FRAMES))
        .collect();
    let records: Vec<_> = (0..)
        .zip(stream.chunks(7))
        .map(|(index, piece)| Record {
            time_us: START + index,
            bytes: Bytes::copy_from_slice(piece),
            ..group_record(0)
        })
        .collect();
    server.write_all(&bucket, ENTRY, &records);
    for protocol in PROTOCOLS {
        let export = json!({ "gap_detection": false });
        let all = Query::export_all(&server, &bucket, protocol, export).answers();
        let frames: Vec<_> = all.iter().map(|it| it.label("frames")).collect();
        assert_eq!(frames, ["30"], "{protocol:?}");
        assert_eq!(all[0].label("damaged"), "", "{protocol:?}");
        assert_eq!(all[0].label("corrupted"), "", "{protocol:?}");
    }
}

/// A gap before the last record, and one record alone.
#[test]
fn few_records() {
    let server = Server::start();
    for (seconds, expected) in [
        (&[][..], &[][..]),
        (&[0], &[(0, "10", "eos")]),
        (&[0, 60], &[(0, "10", "gap"), (60 * GROUP, "10", "eos")]),
    ] {
        let bucket = server.new_bucket();
        // The entry is there also without records.
        let before = Record {
            time_us: 1,
            ..group_record(0)
        };
        server.write_all(&bucket, ENTRY, &[before]);
        let records: Vec<_> = seconds.iter().map(|second| group_record(*second)).collect();
        server.write_all(&bucket, ENTRY, &records);
        for protocol in PROTOCOLS {
            let query = Query::export_all(&server, &bucket, protocol, json!({}));
            let query = query.with("start", START).with("stop", START + 100 * GROUP);
            assert_eq!(summary(&query.answers()), expected, "{protocol:?}");
        }
    }
}

#[test]
fn conditions_and_patterns() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..6);
    let steps = json!([
        { "video": { "export": at_most() } },
        { "video": { "remaining": {} } },
    ]);
    for protocol in PROTOCOLS {
        let limited = Query::new(&server, &bucket, protocol)
            .when(json!({ "#ext": steps, "$limit": 2 }))
            .answers();
        let expected = [(0, "10", "duration"), (GROUP, "10", "eos")];
        assert_eq!(summary(&limited), expected, "{protocol:?}");
        // The condition of the step picks episodes.
        let mut picking = steps.clone();
        picking[1]["when"] = json!({ "&reason": { "$eq": "eos" } });
        let picked = Query::new(&server, &bucket, protocol)
            .when(json!({ "#ext": picking }))
            .answers();
        assert_eq!(summary(&picked), [(5 * GROUP, "10", "eos")], "{protocol:?}");
    }
    let pattern = Query::export_all(&server, &bucket, Protocol::V2, at_most()).entries(&["c*"]);
    assert_eq!(pattern.answers().len(), 6);
}

#[test]
fn records_that_change_after_the_registration() {
    let server = Server::start();
    for protocol in PROTOCOLS {
        let bucket = bucket_with(&server, 0..3);
        let query = Query::export_all(&server, &bucket, protocol, at_most());
        let id = query.register().expect("a query");
        // The server reads blocks of records ahead, so that either is right for the last record.
        server.remove_record(&bucket, ENTRY, START + 2 * GROUP);
        server.write_all(&bucket, ENTRY, &[group_record(3)]);
        let mut answers = Vec::new();
        while let Some(next) = query.next(id).expect("records") {
            answers.extend(next);
        }
        let summary = summary(&answers);
        assert!((2..=3).contains(&summary.len()), "{summary:?}");
        for (index, (time, frames, _)) in (0..).zip(&summary) {
            assert_eq!((*time, *frames), (index * GROUP, "10"), "{protocol:?}");
        }
    }
}

#[test]
fn an_error_of_the_export() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let record = Record {
        bytes: access_unit(1),
        ..group_record(0)
    };
    server.write_all(&bucket, ENTRY, &[record]);
    for protocol in PROTOCOLS {
        let refusal = Query::export_all(&server, &bucket, protocol, json!({})).refusal();
        assert_eq!(refusal.status, 422, "{protocol:?}");
        let cause = "No record in the range can be used.";
        assert_eq!(refusal.text.matches(cause).count(), 1, "{refusal:?}");
    }
}

#[test]
fn steps_that_are_refused() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..1);
    let export = json!({ "video": { "export": {} } });
    let remaining = json!({ "video": { "remaining": {} } });
    let place = "Extension 'video': a step 'remaining' is expected behind the step with 'export', in the list '#ext' \
                 of the condition";
    let parameter = "Extension 'video': 'remaining' has a value in the step 'remaining', expected \"remaining\": {} only";
    for protocol in PROTOCOLS {
        let query = || Query::new(&server, &bucket, protocol);
        let refused = |text: &str| {
            Err(Refusal {
                status: 422,
                text: text.into(),
            })
        };
        for steps in [
            json!([remaining, export]),
            json!([remaining]),
            remaining.clone(),
        ] {
            let query = query().when(json!({ "#ext": steps }));
            assert_eq!(query.register(), refused(place), "{protocol:?}");
        }
        let as_ext = query().with("ext", json!([export, remaining]));
        assert_eq!(as_ext.register(), refused(place), "{protocol:?}");
        let with_value = json!([export, { "video": { "remaining": { "duration": "1s" } } }]);
        let query = query().when(json!({ "#ext": with_value }));
        assert_eq!(query.register(), refused(parameter), "{protocol:?}");
    }
}

/// A condition of the export that passes no token on does not stop the server.
#[test]
fn a_condition_that_keeps_tokens_back() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let records: Vec<_> = (0..3).map(|index| groups_record(3 * index, 3)).collect();
    server.write_all(&bucket, ENTRY, &records);
    for protocol in PROTOCOLS {
        let step = json!({ "when": { "$limit": 3 }, "video": { "export": { "duration": "1s" } } });
        let query = Query::new(&server, &bucket, protocol).when(json!({ "#ext": step }));
        // Of the tokens, three at most pass.
        let _ = query.run();
        let other = Query::export(&server, &bucket, protocol, json!({}));
        assert_eq!(other.answers().len(), 1, "{protocol:?}");
    }
}
