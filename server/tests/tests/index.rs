// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! With `index` each episode is followed by a table of its frames, which are those that ffprobe finds in its file.

use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Value, json};
use server_tests::encoder::{self, run};
use server_tests::query::{Answer, PROTOCOLS, Protocol, Query};
use server_tests::recording::{ENTRY, GROUP, START, bucket_with, groups_record};
use server_tests::server::Server;

const PARQUET: &str = "application/vnd.apache.parquet";

/// PTS, place, size and sync flag of a frame.
type Frame = (i64, i64, i64, bool);

/// Returns the frames that ffprobe finds in a file, in order of presentation, and the time base.
fn probed(file: &Path) -> (Vec<Frame>, String) {
    let name = file.to_str().expect("a name in UTF-8");
    let arguments = [
        "-v",
        "error",
        "-of",
        "json",
        "-show_packets",
        "-show_streams",
        name,
    ];
    let json = run(Command::new("ffprobe").args(arguments));
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let number = |value: &Value| text(value).parse().expect("a number");
    let packets = json["packets"].as_array().expect("packets").iter();
    let mut frames: Vec<_> = packets
        .map(|packet| {
            let pts = packet["pts"].as_i64().expect("a PTS");
            let is_key = text(&packet["flags"]).starts_with('K');
            (pts, number(&packet["pos"]), number(&packet["size"]), is_key)
        })
        .collect();
    frames.sort_unstable();
    (frames, text(&json["streams"][0]["time_base"]))
}

/// An index that is read.
struct Index {
    rows: Vec<Row>,
    time_base: String,
    source: String,
}

impl Index {
    fn read(bytes: &Bytes) -> Self {
        let file = SerializedFileReader::new(bytes.clone()).expect("a Parquet file");
        let metadata = file.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| {
            let mut pairs = metadata.expect("metadata").iter();
            let found = pairs.find(|pair| pair.key == key).expect("a key");
            found.value.clone().expect("a value")
        };
        let rows = file.get_row_iter(None).expect("rows");
        Self {
            rows: rows.map(|row| row.expect("a row")).collect(),
            time_base: value("time_base"),
            source: value("source"),
        }
    }

    fn integers(&self, name: &str) -> Vec<i64> {
        let rows = self.rows.iter();
        rows.map(|row| match field(row, name) {
            Field::Long(value) => *value,
            other => panic!("{name} is {other}"),
        })
        .collect()
    }

    fn frames(&self) -> Vec<Frame> {
        let columns = ["pts", "offset", "size"].map(|name| self.integers(name));
        let rows = self.rows.iter().enumerate();
        rows.map(|(number, row)| {
            let [pts, offset, size] = [0, 1, 2].map(|column| columns[column][number]);
            let is_key = *field(row, "keyframe") == Field::Bool(true);
            (pts, offset, size, is_key)
        })
        .collect()
    }
}

fn field<'a>(row: &'a Row, name: &str) -> &'a Field {
    let mut columns = row.get_column_iter();
    let found = columns.find(|(column, _)| *column == name);
    found.expect("a column").1
}

/// Returns the pairs of an episode and its index.
fn pairs(answers: &[Answer]) -> Vec<(&Answer, &Answer)> {
    let pairs: Vec<_> = answers
        .chunks(2)
        .map(|pair| match pair {
            [episode, index] => (episode, index),
            other => panic!("{} records without an index", other.len()),
        })
        .collect();
    for (episode, index) in &pairs {
        assert_eq!(episode.content_type, "video/mp4");
        assert_eq!(index.content_type, PARQUET);
        assert_eq!(index.time, episode.time + 1);
        let mut labels = episode.labels.clone();
        labels.insert("episode".into(), episode.time.to_string());
        assert_eq!(index.labels, labels);
    }
    pairs
}

/// Checks the indexes of the episodes of six groups.
#[track_caller]
fn check(answers: &[Answer]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("episode.mp4");
    let mut captures = Vec::new();
    for (episode, index) in pairs(answers) {
        fs::write(&file, &episode.content).expect("a file");
        let (frames, time_base) = probed(&file);
        let index = Index::read(&index.content);
        assert_eq!(index.frames(), frames);
        assert_eq!(index.time_base, time_base);
        assert_eq!(index.source, ENTRY);
        assert_eq!(index.rows.len().to_string(), episode.label("frames"));
        captures.extend(index.integers("capture_us"));
    }
    let expected: Vec<_> = (0..60)
        .map(|frame| START as i64 + 100_000 * frame)
        .collect();
    assert_eq!(captures, expected);
}

#[test]
fn each_episode_is_followed_by_its_index() {
    let server = Server::start();
    let bucket = encoder::bucket_with(&server, &encoder::stream());
    for protocol in PROTOCOLS {
        for layout in [
            json!({}),
            json!({ "faststart": true }),
            json!({ "fragmented": true }),
        ] {
            let mut export = layout;
            export["index"] = true.into();
            let one = Query::export_all(&server, &bucket, protocol, export.clone()).answers();
            assert_eq!(one.len(), 2);
            check(&one);
            export["duration"] = "2s".into();
            let query = Query::export_all(&server, &bucket, protocol, export);
            let answers = query.answers();
            assert_eq!(answers.len(), 6, "{protocol:?}");
            check(&answers);
            let lengths = |answers: &[Answer]| -> Vec<_> {
                let answers = answers.iter();
                answers.map(|it| (it.time, it.length)).collect()
            };
            assert_eq!(lengths(&query.head().answers()), lengths(&answers));
        }
    }
}

#[test]
fn episodes_and_indexes_can_be_in_files() {
    let server = Server::builder().env("EPISODE_SERVER_MEMORY", "0B").start();
    let bucket = encoder::bucket_with(&server, &encoder::stream());
    for fragmented in [false, true] {
        let export = json!({ "index": true, "duration": "2s", "fragmented": fragmented });
        check(&Query::export_all(&server, &bucket, Protocol::V2, export).answers());
    }
}

#[test]
fn many_episodes_and_indexes_come_in_several_answers() {
    let server = Server::start();
    let bucket = server.new_bucket();
    let records: Vec<_> = (0..24).map(|index| groups_record(10 * index, 10)).collect();
    server.write_all(&bucket, ENTRY, &records);
    let export = || json!({ "duration": "1s", "index": true });
    for protocol in PROTOCOLS {
        let answers = Query::export_all(&server, &bucket, protocol, export()).answers();
        let times: Vec<_> = pairs(&answers)
            .iter()
            .map(|(episode, _)| episode.time - START)
            .collect();
        let expected: Vec<_> = (0..240).map(|index| index * GROUP).collect();
        assert_eq!(times, expected, "{protocol:?}");
    }
    let bucket = server.new_bucket();
    server.write_all(&bucket, ENTRY, &[groups_record(0, 50)]);
    for protocol in PROTOCOLS {
        let refusal = Query::export_all(&server, &bucket, protocol, export()).refusal();
        let text = "more episodes end with the last record than an answer can have (88)";
        assert!(refusal.text.contains(text), "{refusal:?}");
    }
}

#[test]
fn wrong_values_and_a_missing_step_are_refused() {
    let server = Server::start();
    let bucket = bucket_with(&server, 0..2);
    for protocol in PROTOCOLS {
        let wrong = Query::export_all(&server, &bucket, protocol, json!({ "index": "parquet" }));
        let refusal = wrong.register().expect_err("a wrong value");
        assert_eq!(refusal.status, 422);
        let text = "parameter 'index' is \"parquet\", expected true or false";
        assert!(refusal.text.contains(text), "{refusal:?}");
        let alone = Query::export(&server, &bucket, protocol, json!({ "index": true }));
        let refusal = alone.register().expect_err("no step for the last index");
        assert_eq!(refusal.status, 422);
        let text = "parameter 'index' is true, expected with the step 'remaining'";
        assert!(refusal.text.contains(text), "{refusal:?}");
        let without = Query::export(&server, &bucket, protocol, json!({ "index": false }));
        assert_eq!(without.answers().len(), 1);
    }
}
