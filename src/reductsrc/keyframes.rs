// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Where keyframes are: what is known, and how the one at or before a time is looked for.
//!
//! ReductStore reads forwards only. So the time before is read in windows, each twice as long as the
//! one after it: the headers of records, if these have the label `keyframe`, else their contents.
//! Times are those of records, in µs since the Unix epoch.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use super::kind::Kind;
use crate::client::{Record, View};
use crate::h264::{Aligned, Aligner, Pictures, ends_with_lead, pictures};

/// The first window, in µs.
const FIRST_WINDOW: u64 = 2_000_000;
/// Keyframes to remember: more than a week, if there is one each second.
const MOST: usize = 1 << 20;

/// What is known of a recording's keyframes.
#[derive(Debug, Default)]
pub struct Keyframes {
    times: BTreeSet<u64>,
    /// Stretches of time all whose keyframes are known, in order and apart from each other.
    known: Vec<Range<u64>>,
    /// Whether records say if they are keyframes.
    labelled: Option<bool>,
}

impl Keyframes {
    /// All keyframes of a stretch of time.
    pub fn learn(&mut self, time: Range<u64>, keyframes: impl IntoIterator<Item = u64>) {
        if self.times.len() >= MOST {
            *self = Self {
                labelled: self.labelled,
                ..Self::default()
            };
        }
        self.times.extend(keyframes);
        if time.is_empty() {
            return;
        }
        let first = self.known.partition_point(|known| known.end < time.start);
        let last = self.known.partition_point(|known| known.start <= time.end);
        let joined = self.known[first..last].iter().fold(time, |all, known| {
            all.start.min(known.start)..all.end.max(known.end)
        });
        self.known.splice(first..last, [joined]);
    }

    /// Whether records say if they are keyframes, as far as it is known.
    pub fn are_labelled(&self) -> bool {
        self.labelled == Some(true)
    }

    /// The last keyframe that is not after a time and not before `floor`, as far as it is known.
    pub fn at_or_before(&self, time: u64, floor: u64) -> Known {
        let after = self.known.partition_point(|known| known.start <= time);
        let Some(known) = self.known[..after].last().filter(|known| time < known.end) else {
            return Known::Unknown {
                before: time.saturating_add(1),
            };
        };
        let begin = known.start.max(floor);
        match self.times.range(begin..=time.max(begin)).next_back() {
            Some(keyframe) if *keyframe <= time => Known::Keyframe(*keyframe),
            _ if known.start <= floor => Known::None,
            _ => Known::Unknown {
                before: known.start,
            },
        }
    }
}

/// What is known of the keyframe at or before a time.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    Keyframe(u64),
    /// There is none.
    None,
    /// None is known, but there may be one before a time.
    Unknown {
        before: u64,
    },
}

/// A search for the last keyframe before a time.
#[derive(Debug)]
pub struct Search {
    floor: u64,
    /// What comes after it has been read, and of it what is in `found`.
    window: Range<u64>,
    found: Found,
}

#[derive(Debug)]
struct Found {
    aligner: Aligner<u64>,
    keyframes: Vec<u64>,
    records: u64,
    labels: u64,
    /// The first record after the last one with a picture: the next picture begins there.
    lead: Option<u64>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            // A window begins in the middle of a stream.
            aligner: Aligner::new(true),
            keyframes: Vec::new(),
            records: 0,
            labels: 0,
            lead: None,
        }
    }
}

impl Search {
    /// A search from `before`, which is excluded, back to `floor`.
    pub fn new(before: u64, floor: u64) -> Self {
        Self {
            floor,
            window: before..before,
            found: Found::default(),
        }
    }

    /// Goes on after the records of a window: what to look at next, or `None` at the end of the
    /// search.
    pub fn next_window(&mut self, keyframes: &mut Keyframes) -> Option<(Range<u64>, View)> {
        let mut aligned = VecDeque::new();
        self.found.aligner.end(false, &mut aligned);
        aligned.into_iter().for_each(|it| self.found.add(it));
        let found = std::mem::take(&mut self.found);
        if found.records > 0 && keyframes.labelled.is_none() {
            keyframes.labelled = Some(found.labels > 0);
            if found.labels == 0 {
                return Some((self.window.clone(), View::Aside));
            }
        }
        let has_one = !found.keyframes.is_empty();
        keyframes.learn(self.window.clone(), found.keyframes);
        if has_one || self.window.start <= self.floor {
            return None;
        }
        let length = (2 * (self.window.end - self.window.start)).max(FIRST_WINDOW);
        let start = self.window.start.saturating_sub(length).max(self.floor);
        self.window = start..self.window.start;
        let view = match keyframes.labelled {
            Some(false) => View::Aside,
            Some(true) | None => View::Headers,
        };
        Some((self.window.clone(), view))
    }

    /// Takes the next record of the window.
    pub fn add(&mut self, record: &Record) {
        self.found.records += 1;
        // An episode begins with a keyframe, and is nothing to begin within.
        let is_episode = Kind::of(record) == Some(Kind::Episode);
        let label = is_episode.then_some(true).or(record.keyframe);
        self.found.labels += u64::from(label.is_some());
        match label {
            Some(true) => self.found.note(record.time, Pictures::Keyframe),
            Some(false) => self.found.note(record.time, Pictures::Some),
            None => {
                let mut aligned = VecDeque::new();
                let chunks = record.chunks.clone();
                self.found.aligner.push(record.time, chunks, &mut aligned);
                aligned.into_iter().for_each(|it| self.found.add(it));
            }
        }
    }
}

impl Found {
    fn add(&mut self, aligned: Aligned<u64>) {
        self.note(aligned.record, pictures(&aligned.pieces));
        if self.aligner.cuts_nal_units() && ends_with_lead(&aligned.pieces) {
            self.lead.get_or_insert(aligned.record);
        }
    }

    fn note(&mut self, time: u64, pictures: Pictures) {
        let begin = *self.lead.get_or_insert(time);
        if pictures != Pictures::None {
            self.lead = None;
        }
        if pictures == Pictures::Keyframe {
            self.keyframes.push(begin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reductsrc::episodes;

    const SECOND: u64 = 1_000_000;
    const IDR: &[u8] = &[0, 0, 1, 0x65, 0x88];
    const OTHER: &[u8] = &[0, 0, 1, 0x41, 0x9a];

    fn record(time: u64, label: Option<bool>, content: &'static [u8]) -> Record {
        Record {
            time,
            content_type: "video/h264".into(),
            frame_rate: None,
            keyframe: label,
            after_eviction: false,
            chunks: vec![content.into()],
        }
    }

    #[test]
    fn what_is_known_joins() {
        let mut keyframes = Keyframes::default();
        keyframes.learn(10..20, [12]);
        keyframes.learn(40..50, [45]);
        assert_eq!(keyframes.known, [10..20, 40..50]);
        keyframes.learn(20..30, []);
        assert_eq!(keyframes.known, [10..30, 40..50]);
        keyframes.learn(25..45, [41]);
        assert_eq!(keyframes.known.len(), 1);
        assert_eq!(keyframes.known[0], 10..50);
        keyframes.learn(0..5, []);
        keyframes.learn(60..60, []);
        assert_eq!(keyframes.known, [0..5, 10..50]);
    }

    #[test]
    fn what_is_known_of_a_time() {
        let mut keyframes = Keyframes::default();
        keyframes.learn(10..50, [12, 45]);
        let unknown = |before| Known::Unknown { before };
        for (time, floor, known) in [
            (49, 0, Known::Keyframe(45)),
            (45, 0, Known::Keyframe(45)),
            (44, 0, Known::Keyframe(12)),
            (11, 0, unknown(10)),
            (11, 10, Known::None),
            (44, 13, Known::None),
            (50, 0, unknown(51)),
            (9, 0, unknown(10)),
        ] {
            assert_eq!(keyframes.at_or_before(time, floor), known, "{time} {floor}");
        }
    }

    #[test]
    fn labels_are_enough() {
        let mut keyframes = Keyframes::default();
        let mut search = Search::new(100 * SECOND, 0);
        let (window, view) = search.next_window(&mut keyframes).unwrap();
        assert_eq!((window, view), (98 * SECOND..100 * SECOND, View::Headers));
        search.add(&record(98 * SECOND, Some(false), &[]));
        let (window, view) = search.next_window(&mut keyframes).unwrap();
        assert_eq!((window, view), (94 * SECOND..98 * SECOND, View::Headers));
        search.add(&record(95 * SECOND, Some(true), &[]));
        search.add(&record(96 * SECOND, Some(false), &[]));
        assert_eq!(search.next_window(&mut keyframes), None);
        let known = keyframes.at_or_before(99 * SECOND, 0);
        assert_eq!(known, Known::Keyframe(95 * SECOND));
    }

    #[test]
    fn episodes_are_keyframes() {
        let mut keyframes = Keyframes::default();
        let mut search = Search::new(100 * SECOND, 0);
        search.next_window(&mut keyframes);
        search.add(&Record {
            content_type: episodes::CONTENT_TYPE.into(),
            ..record(98 * SECOND, None, &[])
        });
        assert_eq!(search.next_window(&mut keyframes), None);
        let known = keyframes.at_or_before(99 * SECOND, 0);
        assert_eq!(known, Known::Keyframe(98 * SECOND));
    }

    #[test]
    fn without_labels_contents_are_read() {
        let mut keyframes = Keyframes::default();
        let mut search = Search::new(100 * SECOND, 97 * SECOND);
        search.next_window(&mut keyframes);
        search.add(&record(98 * SECOND, None, &[]));
        let (window, view) = search.next_window(&mut keyframes).unwrap();
        assert_eq!((window, view), (98 * SECOND..100 * SECOND, View::Aside));
        search.add(&record(98 * SECOND, None, OTHER));
        let (window, view) = search.next_window(&mut keyframes).unwrap();
        assert_eq!((window, view), (97 * SECOND..98 * SECOND, View::Aside));
        search.add(&record(97 * SECOND, None, IDR));
        assert_eq!(search.next_window(&mut keyframes), None);
        let known = keyframes.at_or_before(99 * SECOND, 97 * SECOND);
        assert_eq!(known, Known::Keyframe(97 * SECOND));
    }

    #[test]
    fn a_keyframe_begins_with_what_precedes_its_slices() {
        let mut keyframes = Keyframes::default();
        let mut search = Search::new(100 * SECOND, 98 * SECOND);
        keyframes.labelled = Some(false);
        search.next_window(&mut keyframes);
        const SPS: &[u8] = &[0, 0, 1, 0x67, 66];
        for (time, content) in [
            (1, OTHER),
            (2, SPS),
            (3, SPS),
            (4, IDR),
            (5, IDR),
            (6, OTHER),
        ] {
            search.add(&record(98 * SECOND + time, None, content));
        }
        assert_eq!(search.next_window(&mut keyframes), None);
        let found: Vec<_> = keyframes.times.iter().map(|time| time % SECOND).collect();
        assert_eq!(found, [2, 5]);
    }

    #[test]
    fn a_search_ends_at_its_floor() {
        let mut keyframes = Keyframes::default();
        let mut search = Search::new(100 * SECOND, 90 * SECOND);
        let mut windows = Vec::new();
        while let Some((window, _)) = search.next_window(&mut keyframes) {
            windows.push(window.start / SECOND..window.end / SECOND);
        }
        assert_eq!(windows, [98..100, 94..98, 90..94]);
        assert_eq!(
            keyframes.at_or_before(99 * SECOND, 90 * SECOND),
            Known::None
        );
    }
}
