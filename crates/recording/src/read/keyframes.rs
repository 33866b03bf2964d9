// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Times of keyframes: those that are known, and the search for the one at or before a time.
//!
//! The content of a record decides whether it has a keyframe. Its label `keyframe` is a
//! hint: where the headers of records name one, contents are read from there on only. A label `false`
//! proves nothing, as the contents after the hint are read in any case.
//! Times are those of records, in µs since the Unix epoch.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::ops::Range;

use client::{Record, View};
use media::codec::h264::{Aligned, Aligner, EntryPoints, Pictures, ends_with_lead, pictures};
use media::content::ContentKind;

use super::backward::Windows;

/// The first window, in µs.
const FIRST_WINDOW: u64 = 2_000_000;
/// Reach of the search for a label before contents are read, in µs.
const HINT_REACH: u64 = 30_000_000;
/// Keyframes to remember: more than a week, if there is one each second.
const MAX_KEYFRAMES: usize = 1 << 20;

/// Keyframes of a recording, as far as they are known.
#[derive(Debug, Default)]
pub struct Keyframes {
    times: BTreeSet<u64>,
    /// Stretches of time all whose keyframes are known, in order and apart from each other.
    known: Vec<Range<u64>>,
    /// Labels are missing or wrong.
    ignores_labels: bool,
}

impl Keyframes {
    /// Adds a stretch of time with all its keyframes.
    pub fn learn(&mut self, time: Range<u64>, keyframes: impl IntoIterator<Item = u64>) {
        if self.times.len() >= MAX_KEYFRAMES {
            *self = Self {
                ignores_labels: self.ignores_labels,
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

    /// Ignores labels from now on, as one was wrong.
    pub fn ignore_labels(&mut self) {
        self.ignores_labels = true;
    }

    /// Returns the last keyframe that is not after `time` and not before `floor`, as far as it is known.
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

/// The last keyframe at or before a time.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// The record in which it begins.
    Keyframe(u64),
    /// The recording has none.
    None,
    /// None is known, but there may be one before a time.
    Unknown {
        /// The time, excluded.
        before: u64,
    },
}

/// A search for the last keyframe before a time.
#[derive(Debug)]
pub struct KeyframeSearch {
    floor: u64,
    entry_points: EntryPoints,
    /// A label is enough: the reader of the range verifies it.
    takes_hint: bool,
    look: Look,
    /// Contents, or that there are no records, are known from here on.
    read_from: u64,
    /// Headers are known from here on.
    listed_from: u64,
    windows: Windows,
    found: Found,
    hint: Option<u64>,
}

/// Records that are being read.
#[derive(Debug, Default)]
enum Look {
    #[default]
    Nothing,
    Headers(Range<u64>),
    Contents(Range<u64>),
}

#[derive(Debug)]
struct Found {
    aligner: Aligner<Labelled>,
    records: u64,
    keyframes: Vec<u64>,
    /// Records without a label.
    unlabelled: u64,
    /// The last record whose label says that it has a keyframe.
    hint: Option<u64>,
    /// Keyframes that their label names, and labels that are wrong.
    right: u64,
    wrong: u64,
    /// The first record after the last one with a picture: the next picture begins there.
    lead: Option<u64>,
}

/// A record whose content is looked at.
#[derive(Debug, Clone, Copy)]
struct Labelled {
    time: u64,
    /// Its label `keyframe`.
    label: Option<bool>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            // A window begins in the middle of a stream.
            aligner: Aligner::new(true),
            records: 0,
            keyframes: Vec::new(),
            unlabelled: 0,
            hint: None,
            right: 0,
            wrong: 0,
            lead: None,
        }
    }
}

impl KeyframeSearch {
    /// Returns a search from `before`, which is excluded, back to `floor`.
    pub fn new(before: u64, floor: u64, entry_points: EntryPoints, takes_hint: bool) -> Self {
        Self {
            floor,
            entry_points,
            takes_hint,
            look: Look::Nothing,
            read_from: before,
            listed_from: before,
            windows: Windows::new(FIRST_WINDOW),
            found: Found::default(),
            hint: None,
        }
    }

    /// Returns the record with which the search ended because of its label alone.
    pub fn hint(&self) -> Option<u64> {
        self.hint
    }

    /// Ends a window, and returns the next one, or `None` at the end of the search.
    pub fn next_window(&mut self, keyframes: &mut Keyframes) -> Option<(Range<u64>, View)> {
        let mut aligned = VecDeque::new();
        self.found.aligner.end(false, &mut aligned);
        for it in aligned {
            self.found.add(&it, self.entry_points);
        }
        let found = mem::take(&mut self.found);
        match mem::take(&mut self.look) {
            Look::Nothing => {}
            Look::Headers(window) => {
                self.listed_from = window.start;
                if let Some(hint) = found.hint {
                    if self.takes_hint {
                        self.hint = Some(hint);
                        return None;
                    }
                    return self.read(hint..self.read_from);
                }
                if found.records == 0 && self.read_from == window.end {
                    self.read_from = window.start;
                    keyframes.learn(window, []);
                } else if found.unlabelled > 0
                    || window.start <= self.floor
                    || self.read_from - window.start >= HINT_REACH
                {
                    keyframes.ignores_labels = true;
                    self.windows.restart();
                }
            }
            Look::Contents(window) => {
                self.read_from = window.start;
                self.listed_from = window.start.min(self.listed_from);
                let has_one = !found.keyframes.is_empty();
                keyframes.learn(window, found.keyframes);
                if found.wrong > 0 {
                    keyframes.ignores_labels = true;
                } else if found.right > 0 {
                    keyframes.ignores_labels = false;
                }
                if has_one {
                    return None;
                }
            }
        }
        if self.read_from <= self.floor {
            return None;
        }
        match keyframes.ignores_labels || self.listed_from <= self.floor {
            true => {
                let window = self.windows.before(self.read_from, self.floor);
                self.read(window)
            }
            false => {
                let window = self.windows.before(self.listed_from, self.floor);
                self.look = Look::Headers(window.clone());
                Some((window, View::Headers))
            }
        }
    }

    fn read(&mut self, window: Range<u64>) -> Option<(Range<u64>, View)> {
        self.look = Look::Contents(window.clone());
        Some((window, View::Lookup))
    }

    /// Adds the next record of the window.
    pub fn add(&mut self, record: &Record) {
        self.found.records += 1;
        let Some(kind) = ContentKind::of(&record.content_type) else {
            return;
        };
        // An episode begins with a keyframe, and is nothing to begin within.
        let is_episode = kind == ContentKind::Episode;
        if let Look::Headers(_) = self.look {
            match record.keyframe {
                _ if is_episode => self.found.hint = Some(record.time),
                Some(true) => self.found.hint = Some(record.time),
                Some(false) => {}
                None => self.found.unlabelled += 1,
            }
            return;
        }
        let labelled = Labelled {
            time: record.time,
            label: record.keyframe,
        };
        if is_episode {
            self.found.note(&labelled, Pictures::Keyframe);
            return;
        }
        let mut aligned = VecDeque::new();
        let chunks = record.chunks.clone();
        self.found.aligner.push(labelled, chunks, &mut aligned);
        for it in aligned {
            self.found.add(&it, self.entry_points);
        }
    }
}

impl Found {
    fn add(&mut self, aligned: &Aligned<Labelled>, entry_points: EntryPoints) {
        self.note(&aligned.record, pictures(&aligned.pieces, entry_points));
        if self.aligner.cuts_nal_units() && ends_with_lead(&aligned.pieces) {
            self.lead.get_or_insert(aligned.record.time);
        }
    }

    fn note(&mut self, record: &Labelled, pictures: Pictures) {
        let begin = *self.lead.get_or_insert(record.time);
        if pictures == Pictures::None {
            return;
        }
        self.lead = None;
        let is_keyframe = pictures == Pictures::Keyframe;
        if is_keyframe {
            self.keyframes.push(begin);
        }
        match record.label {
            Some(label) if label != is_keyframe => self.wrong += 1,
            Some(true) => self.right += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::testing::record;
    use media::content::MP4_TYPE;

    const SECOND: u64 = 1_000_000;
    const IDR: &[u8] = &[0, 0, 1, 0x65, 0x88];
    const OTHER: &[u8] = &[0, 0, 1, 0x41, 0x9a];

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

    /// The windows of a search among these records, with `None` as the view of contents, and what
    /// the search knows then of the time before 100 s.
    fn search(
        records: &[(u64, Option<bool>, &'static [u8])],
        floor: u64,
        takes_hint: bool,
        keyframes: &mut Keyframes,
    ) -> (Vec<(u64, u64, View)>, Option<u64>) {
        let entry_points = EntryPoints::default();
        let mut search = KeyframeSearch::new(100 * SECOND, floor, entry_points, takes_hint);
        let mut windows = Vec::new();
        while let Some((window, view)) = search.next_window(keyframes) {
            for (time, label, content) in records {
                if window.contains(time) {
                    let content = match view {
                        View::Headers => &[],
                        _ => *content,
                    };
                    search.add(&record(*time, *label, content));
                }
            }
            windows.push((window.start / SECOND, window.end / SECOND, view));
        }
        let hint = search.hint();
        (windows, hint)
    }

    /// Records a second apart up to 100 s, of which these are keyframes.
    fn recording(
        keyframes: &[u64],
        label: impl Fn(u64, bool) -> Option<bool>,
    ) -> Vec<(u64, Option<bool>, &'static [u8])> {
        let record = |second: u64| {
            let is_keyframe = keyframes.contains(&second);
            let content = if is_keyframe { IDR } else { OTHER };
            (second * SECOND, label(second, is_keyframe), content)
        };
        (0..100).map(record).collect()
    }

    use View::{Headers, Lookup};

    #[test]
    fn contents_are_read_from_the_labelled_record_on() {
        let records = recording(&[90, 95], |_, is_keyframe| Some(is_keyframe));
        let mut keyframes = Keyframes::default();
        let (windows, _) = search(&records, 0, false, &mut keyframes);
        assert_eq!(
            windows,
            [(98, 100, Headers), (94, 98, Headers), (95, 100, Lookup)]
        );
        let known = keyframes.at_or_before(99 * SECOND, 0);
        assert_eq!(known, Known::Keyframe(95 * SECOND));
        assert!(!keyframes.ignores_labels);
    }

    #[test]
    fn a_label_is_enough_where_it_is_verified() {
        let records = recording(&[90, 95], |_, is_keyframe| Some(is_keyframe));
        let mut keyframes = Keyframes::default();
        let (windows, hint) = search(&records, 0, true, &mut keyframes);
        assert_eq!(windows, [(98, 100, Headers), (94, 98, Headers)]);
        assert_eq!(hint, Some(95 * SECOND));
        let known = keyframes.at_or_before(99 * SECOND, 0);
        assert!(matches!(known, Known::Unknown { .. }), "{known:?}");
    }

    #[test]
    fn contents_decide_against_labels() {
        let labels: [fn(u64, bool) -> Option<bool>; 6] = [
            |_, _| Some(true),
            |_, _| Some(false),
            |_, _| None,
            |_, is_keyframe| Some(!is_keyframe),
            |second, is_keyframe| Some(is_keyframe).filter(|_| second < 50),
            |second, is_keyframe| Some(is_keyframe && second < 50),
        ];
        for (index, label) in labels.into_iter().enumerate() {
            for (last, floor) in [(99, 0), (95, 0), (60, 0), (3, 0), (97, 96)] {
                let records = recording(&[1, last], label);
                let mut keyframes = Keyframes::default();
                search(&records, floor * SECOND, false, &mut keyframes);
                let known = keyframes.at_or_before(100 * SECOND - 1, floor * SECOND);
                assert_eq!(known, Known::Keyframe(last * SECOND), "{index} {last}");
            }
        }
    }

    #[test]
    fn a_label_that_hides_a_keyframe_is_noticed() {
        let records = recording(&[95, 98], |second, _| Some(second == 95));
        let mut keyframes = Keyframes::default();
        search(&records, 0, false, &mut keyframes);
        let known = keyframes.at_or_before(99 * SECOND, 0);
        assert_eq!(known, Known::Keyframe(98 * SECOND));
        assert!(keyframes.ignores_labels);
    }

    #[test]
    fn labels_are_used_again_where_they_are_right() {
        let records = recording(&[95], |_, is_keyframe| Some(is_keyframe));
        let mut keyframes = Keyframes::default();
        keyframes.ignore_labels();
        let (windows, _) = search(&records, 0, false, &mut keyframes);
        assert_eq!(windows, [(98, 100, Lookup), (94, 98, Lookup)]);
        assert!(!keyframes.ignores_labels);
    }

    #[test]
    fn unlabelled_records_cost_one_look_at_headers() {
        let records = recording(&[97], |_, _| None);
        let mut keyframes = Keyframes::default();
        let (windows, _) = search(&records, 0, false, &mut keyframes);
        assert_eq!(
            windows,
            [(98, 100, Headers), (98, 100, Lookup), (94, 98, Lookup)]
        );
        let mut other = Keyframes {
            ignores_labels: keyframes.ignores_labels,
            ..Default::default()
        };
        let (windows, _) = search(&records, 0, false, &mut other);
        assert_eq!(windows, [(98, 100, Lookup), (94, 98, Lookup)]);
    }

    #[test]
    fn episodes_are_keyframes_and_other_types_are_not() {
        let episode = Record {
            content_type: MP4_TYPE.into(),
            ..record(98 * SECOND, None, &[])
        };
        let picture = Record {
            content_type: "image/jpeg".into(),
            ..record(99 * SECOND, Some(true), IDR)
        };
        let mut keyframes = Keyframes::default();
        let mut search = KeyframeSearch::new(100 * SECOND, 0, EntryPoints::default(), false);
        while search.next_window(&mut keyframes).is_some() {
            search.add(&episode);
            search.add(&picture);
        }
        let known = keyframes.at_or_before(99 * SECOND + 1, 0);
        assert_eq!(known, Known::Keyframe(98 * SECOND));
    }

    #[test]
    fn a_keyframe_begins_with_what_precedes_its_slices() {
        let mut keyframes = Keyframes::default();
        keyframes.ignore_labels();
        let mut search =
            KeyframeSearch::new(100 * SECOND, 98 * SECOND, EntryPoints::default(), false);
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
        let (windows, _) = search(&[], 90 * SECOND, false, &mut keyframes);
        assert_eq!(
            windows,
            [(98, 100, Headers), (94, 98, Headers), (90, 94, Headers)]
        );
        let known = keyframes.at_or_before(99 * SECOND, 90 * SECOND);
        assert_eq!(known, Known::None);
    }
}
