// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queries of groups of pictures return MP4 episodes.

use serde_json::{Value, json};
use server_tests::query::{self, Answer, PROTOCOLS, Protocol, Query, Refusal};
use server_tests::recording::{
    ENTRY, FRAMES, GROUP, START, access_unit, bucket_with, group, group_record,
};
use server_tests::server::{Record, Server};

/// Returns time since the start in µs, frames and reason of each episode.
fn summary(answers: &[Answer]) -> Vec<(u64, &str, &str)> {
    query::summary(answers, START)
}

fn refused(text: &str) -> Refusal {
    Refusal {
        status: 422,
        text: format!("Extension 'video': {text}"),
    }
}

#[test]
fn one_episode_of_the_whole_range() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..6);
    for protocol in PROTOCOLS {
        let answers = Query::export(&server, &bucket, protocol, json!({ "fps": 10 })).answers();
        assert_eq!(summary(&answers), [(0, "60", "eos")], "{protocol:?}");
        let [episode] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!(episode.content_type, "video/mp4");
        assert_eq!(episode.labels["duration"], "6000000000");
        assert_eq!(episode.labels["fps"], "10");
        assert_eq!(episode.length, episode.content.len() as u64);
        assert_eq!(&episode.content[4..8], b"ftyp");
    }
}

#[test]
fn episodes_of_two_seconds() {
    let server = Server::start();
    for (groups, expected) in [
        (
            6,
            &[
                (0, "20", "duration"),
                (2, "20", "duration"),
                (4, "20", "eos"),
            ][..],
        ),
        (
            5,
            &[
                (0, "20", "duration"),
                (2, "20", "duration"),
                (4, "10", "eos"),
            ],
        ),
        (3, &[(0, "20", "duration"), (2, "10", "eos")]),
        (1, &[(0, "10", "eos")]),
    ] {
        let bucket = bucket_with(&server, 0..groups);
        let expected: Vec<_> = expected
            .iter()
            .map(|(second, frames, reason)| (second * GROUP, *frames, *reason))
            .collect();
        for protocol in PROTOCOLS {
            let export = json!({ "fps": 10, "duration": "2s" });
            let answers = Query::export(&server, &bucket, protocol, export).answers();
            assert_eq!(summary(&answers), expected, "{protocol:?}");
            assert!(
                answers
                    .iter()
                    .all(|episode| episode.content_type == "video/mp4")
            );
        }
    }
}

#[test]
fn one_record_can_have_several_episodes() {
    let server = Server::start();
    let bucket = server.new_bucket();
    // Three groups in each record.
    let records: Vec<_> = (0..2)
        .map(|index| Record {
            bytes: [group(), group(), group()].concat().into(),
            ..group_record(3 * index)
        })
        .collect();
    server.write_all(&bucket, ENTRY, &records);
    for protocol in PROTOCOLS {
        let answers =
            Query::export(&server, &bucket, protocol, json!({ "duration": "1s" })).answers();
        let expected: Vec<_> = (0..6)
            .map(|index| {
                (
                    index * GROUP,
                    "10",
                    if index == 5 { "eos" } else { "duration" },
                )
            })
            .collect();
        assert_eq!(summary(&answers), expected, "{protocol:?}");
    }
}

#[test]
fn records_of_one_frame() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let records: Vec<_> = (0..31)
        .map(|index| Record {
            time_us: START + index as u64 * GROUP / FRAMES as u64,
            bytes: access_unit(index % FRAMES),
            ..group_record(0)
        })
        .collect();
    server.write_all(&bucket, ENTRY, &records);
    for protocol in PROTOCOLS {
        let answers =
            Query::export(&server, &bucket, protocol, json!({ "duration": "1s" })).answers();
        let seconds = [0, 1, 2, 3].map(|second| second * GROUP);
        let frames = ["10", "10", "10", "1"];
        let reasons = ["duration", "duration", "duration", "eos"];
        let expected: Vec<_> = (0..4)
            .map(|it| (seconds[it], frames[it], reasons[it]))
            .collect();
        assert_eq!(summary(&answers), expected, "{protocol:?}");
    }
}

#[test]
fn an_episode_ends_at_a_gap() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..2);
    server.write_all(&bucket, ENTRY, &[group_record(60), group_record(61)]);
    for protocol in PROTOCOLS {
        let episodes = |export| {
            let answers = Query::export(&server, &bucket, protocol, export).answers();
            summary(&answers)
                .into_iter()
                .map(|(time, frames, reason)| (time, frames.to_owned(), reason.to_owned()))
                .collect::<Vec<_>>()
        };
        let two = [
            (0, "20".into(), "gap".into()),
            (60 * GROUP, "20".into(), "eos".into()),
        ];
        assert_eq!(episodes(json!({})), two, "{protocol:?}");
        assert_eq!(
            episodes(json!({ "gap_detection": false })),
            [(0, "40".into(), "eos".into())]
        );
    }
}

#[test]
fn headers_without_contents() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..6);
    for protocol in PROTOCOLS {
        let query = Query::export(&server, &bucket, protocol, json!({ "duration": "2s" }));
        let (whole, heads) = (query.answers(), query.head().answers());
        assert_eq!(summary(&heads), summary(&whole), "{protocol:?}");
        let lengths = |answers: &[Answer]| answers.iter().map(|it| it.length).collect::<Vec<_>>();
        assert_eq!(lengths(&heads), lengths(&whole));
    }
}

#[test]
fn layouts_of_files() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..3);
    let content = |export: Value| {
        let answers = Query::export(&server, &bucket, Protocol::V2, export).answers();
        answers.into_iter().next().expect("an episode").content
    };
    let place = |content: &[u8], kind: &[u8; 4]| content.windows(4).position(|it| it == kind);
    let plain = content(json!({}));
    assert!(place(&plain, b"moov") > place(&plain, b"mdat"));
    let fast_start = content(json!({ "faststart": true }));
    assert!(place(&fast_start, b"moov") < place(&fast_start, b"mdat"));
    let fragmented = content(json!({ "fragmented": true }));
    assert!(place(&fragmented, b"moov") < place(&fragmented, b"moof"));
}

/// The frame rate comes from the labels of records, from the attachment of the entry, or from the parameter.
#[test]
fn a_frame_rate_is_needed() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let records: Vec<_> = (0..3)
        .map(|index| Record {
            labels: Vec::new(),
            ..group_record(index)
        })
        .collect();
    server.write_all(&bucket, ENTRY, &records);
    for protocol in PROTOCOLS {
        let query = |export| Query::export(&server, &bucket, protocol, export);
        let text = "no frame rate is known. Give it by the label 'fps' of the records, by 'fps' in the attachment \
                    '$video' of the entry, or by the parameter 'fps' of the export";
        assert_eq!(query(json!({})).refusal(), refused(text), "{protocol:?}");
        assert_eq!(query(json!({ "fps": 10 })).answers().len(), 1);
    }
    server.attach(&bucket, ENTRY, "$video", json!({ "fps": 10 }));
    for protocol in PROTOCOLS {
        let answers = Query::export(&server, &bucket, protocol, json!({})).answers();
        assert_eq!(answers[0].labels["fps"], "10", "{protocol:?}");
    }
}

#[test]
fn records_without_a_keyframe() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let record = Record {
        bytes: access_unit(1),
        ..group_record(0)
    };
    server.write_all(&bucket, ENTRY, &[record]);
    for protocol in PROTOCOLS {
        let refusal = Query::export(&server, &bucket, protocol, json!({})).refusal();
        assert_eq!(refusal.status, 422, "{protocol:?}");
    }
}

#[test]
fn an_empty_range_is_an_empty_result() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..1);
    for protocol in PROTOCOLS {
        let query = Query::export(&server, &bucket, protocol, json!({}))
            .with("start", START + 10 * GROUP)
            .with("stop", START + 20 * GROUP);
        assert_eq!(query.answers(), [], "{protocol:?}");
    }
}

#[test]
fn another_content_type() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..1);
    server.write(&bucket, ENTRY, START + GROUP, "image/jpeg", &[], "picture");
    for protocol in PROTOCOLS {
        let refusal = Query::export(&server, &bucket, protocol, json!({})).refusal();
        let text = format!(
            "the record at {} is 'image/jpeg', expected 'video/h264'",
            START + GROUP
        );
        assert_eq!(refusal, refused(&text), "{protocol:?}");
    }
}

#[test]
fn damaged_records_are_counted_in_a_label() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..2);
    server.write(
        &bucket,
        ENTRY,
        START + 2 * GROUP,
        "video/h264",
        &[],
        &[0x55; 1000][..],
    );
    server.write_all(&bucket, ENTRY, &[group_record(3)]);
    for protocol in PROTOCOLS {
        let answers = Query::export(
            &server,
            &bucket,
            protocol,
            json!({ "fps": 10, "gap_detection": false }),
        )
        .answers();
        let [episode] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!(
            episode.labels["damaged"], "1",
            "{protocol:?}: {:?}",
            episode.labels
        );
        assert_eq!(episode.labels["frames"], "30");
    }
}

#[test]
fn complete_episodes_come_before_an_error() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..5);
    server.write(
        &bucket,
        ENTRY,
        START + 5 * GROUP,
        "image/jpeg",
        &[],
        "picture",
    );
    server.write_all(&bucket, ENTRY, &[group_record(6)]);
    for protocol in PROTOCOLS {
        // An answer of protocol v1 has as many records as this says.
        let when = json!({
            "#ext": { "video": { "export": { "duration": "2s" } } },
            "#batch_records": if protocol == Protocol::V1 { 1 } else { 80 },
        });
        let query = Query::new(&server, &bucket, protocol).when(when);
        let (answers, refusal) = query.run().expect_err("a record of another type");
        let complete = [(0, "20", "duration"), (2 * GROUP, "20", "duration")];
        assert_eq!(summary(&answers), complete, "{protocol:?}");
        assert!(refusal.text.contains("image/jpeg"), "{refusal:?}");
    }
}
