// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Exports by the extension of the server, and compares them with those of the elements.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use reduct_rs::{JsonValue, condition};
use tempfile::TempDir;

use super::SERVER;
use super::line;
use super::mp4;
use super::track;

/// Number of episodes that a query returns at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AtEnd {
    /// One, as with the export alone.
    One,
    /// All, as with the step for remaining episodes behind it.
    All,
}

/// An export by the extension.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Start and stop in µs since the Unix epoch.
    pub range: Option<[u64; 2]>,
    /// Parameters of the export.
    pub parameters: JsonValue,
    /// Condition that picks records; an object.
    pub condition: JsonValue,
}

/// An episode.
#[derive(Debug)]
pub struct Episode {
    /// Time of its record in µs since the Unix epoch.
    pub time_us: u64,
    /// Labels of its record.
    pub labels: BTreeMap<String, String>,
    /// The file.
    pub location: PathBuf,
}

/// Result of an export.
#[derive(Debug)]
pub struct Exported {
    /// The episodes.
    pub episodes: Vec<Episode>,
    _folder: TempDir,
}

impl Request {
    /// The export that corresponds to properties of the source and of the splitter, as `gst-launch-1.0` has them.
    /// `None` if it has no parameter for one of them.
    pub fn of(source: &str, splitter: &str) -> Option<Self> {
        let mut request = Self {
            range: None,
            parameters: condition!({}),
            condition: condition!({}),
        };
        let mut bounds = [None, None];
        for property in source.split_whitespace() {
            let (name, value) = property.split_once('=')?;
            match name {
                "start" => bounds[0] = Some(value.parse().ok()?),
                "stop" => bounds[1] = Some(value.parse().ok()?),
                "gap-detection" => request.parameters["gap_detection"] = (value == "true").into(),
                "on-loss" => request.parameters["on_loss"] = value.into(),
                "gap-tolerance" => request.parameters["gap_tolerance"] = seconds(value)?.into(),
                "fps" => {
                    let (numerator, denominator) = value.split_once('/')?;
                    let rate = (denominator == "1").then(|| numerator.parse::<u64>());
                    request.parameters["fps"] = rate?.ok()?.into();
                }
                _ => return None,
            }
        }
        for property in splitter.split_whitespace() {
            let (name, value) = property.split_once('=')?;
            match name {
                "duration" => request.parameters["duration"] = seconds(value)?.into(),
                "size" => request.parameters["size"] = format!("{value}B").into(),
                "split-mode" => request.parameters["split_mode"] = value.into(),
                "keyframe-mode" => request.parameters["keyframe_mode"] = value.into(),
                _ => return None,
            }
        }
        request.range = match bounds {
            [None, None] => None,
            [start, stop] => Some([start?, stop?]),
        };
        Some(request)
    }

    /// Exports entry `e` of a bucket of [`SERVER`], or returns the text of the error.
    pub fn run(&self, bucket: &str, at_end: AtEnd) -> Result<Exported, String> {
        let export = condition!({ "video": { "export": self.parameters } });
        let mut when = self.condition.clone();
        when["#ext"] = match at_end {
            AtEnd::One => export,
            AtEnd::All => condition!([export, { "video": { "remaining": {} } }]),
        };
        let records = SERVER.query_range(bucket, "e", self.range, when)?;
        let folder = tempfile::tempdir().expect("a folder");
        let episodes = records.into_iter().enumerate().map(|(index, record)| {
            assert_eq!(record.content_type, "video/mp4");
            let location = folder.path().join(format!("{index}.mp4"));
            fs::write(&location, &record.bytes).expect("a file");
            Episode {
                time_us: record.time_us,
                labels: record.labels.into_iter().collect(),
                location,
            }
        });
        Ok(Exported {
            episodes: episodes.collect(),
            _folder: folder,
        })
    }
}

/// A number of nanoseconds as a duration of the extension.
fn seconds(nanoseconds: &str) -> Option<String> {
    let nanoseconds: u64 = nanoseconds.parse().ok()?;
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    Some(format!("{seconds}.{rest:09}s"))
}

impl Episode {
    /// A number in a label, or 0 without it.
    #[track_caller]
    pub fn number(&self, label: &str) -> u64 {
        let text = self.labels.get(label);
        text.map_or(0, |text| text.parse().expect("a number"))
    }
}

impl Exported {
    /// Time, duration in ns, frames and reason of each episode.
    pub fn summary(&self) -> Vec<(u64, u64, u64, &str)> {
        let episodes = self.episodes.iter();
        episodes
            .map(|it| {
                let reason = it.labels["reason"].as_str();
                (
                    it.time_us,
                    it.number("duration"),
                    it.number("frames"),
                    reason,
                )
            })
            .collect()
    }

    /// Sum of the numbers in a label.
    pub fn sum(&self, label: &str) -> u64 {
        self.episodes.iter().map(|it| it.number(label)).sum()
    }
}

/// Checks that the extension makes the same episodes as the elements: times, durations, frames and reasons, and in the
/// files all samples with their times, edit lists and decoded pictures.
#[track_caller]
pub fn check_same(by_element: &line::Export, exported: &Exported) {
    check_same_until(by_element, exported, exported.episodes.len());
    let damaged = exported.sum("damaged");
    assert_eq!(
        damaged,
        by_element.source_stat("damaged"),
        "damaged records"
    );
}

/// Checks the same of all episodes, except that the files are compared of the first `count` ones only.
#[track_caller]
pub fn check_same_until(by_element: &line::Export, exported: &Exported, count: usize) {
    let expected: Vec<_> = (by_element.episodes.iter())
        .map(|it| {
            let time = it.start_us.expect("a capture time");
            (time, it.duration.nseconds(), it.frames, it.reason.as_str())
        })
        .collect();
    assert_eq!(exported.summary(), expected);
    let pairs = by_element.episodes.iter().zip(&exported.episodes);
    for (element, ours) in pairs.take(count) {
        let (element_bytes, element_track) = track::read(&element.location);
        let (our_bytes, our_track) = track::read(&ours.location);
        track::check_same(&element_track, &element_bytes, &our_track, &our_bytes);
        let samples = our_track.samples.len() as u64;
        assert_eq!(samples, element.frames + element.hidden);
        let [expected, found] = [&element.location, &ours.location].map(|file| mp4::decode(file));
        // What FFmpeg makes of damaged pictures depends on its threads.
        if expected.complaints.is_empty() {
            assert_eq!(found, expected);
        }
    }
}
