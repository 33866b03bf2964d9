// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reliability of the labels `keyframe` of a recording.
//!
//! A label that names a keyframe is verified by the content of the record. A label that denies one cannot
//! be verified without reading the record. It is trusted if all labels of records that were read were
//! right, and if no keyframe is missing in the rhythm of the others.

use crate::time::{CaptureTime, Nanos};

/// Reliability of labels, by the contents that were read.
#[derive(Debug, Default)]
pub struct LabelTrust {
    /// A label was wrong.
    is_refuted: bool,
    /// The last record with a keyframe, if all since then were labelled.
    last: Option<CaptureTime>,
    /// Shortest distance of two consecutive keyframes between which all labels were right.
    shortest: Option<Nanos>,
}

impl LabelTrust {
    /// Takes the label of a record with pictures whose content was read.
    pub fn note(&mut self, time: CaptureTime, label: Option<bool>, is_keyframe: bool) {
        match label {
            Some(label) => self.is_refuted |= label != is_keyframe,
            None => self.last = None,
        }
        if is_keyframe
            && label.is_some()
            && let Some(last) = self.last.replace(time)
        {
            let distance = time - last;
            self.shortest = Some(self.shortest.map_or(distance, |old| old.min(distance)));
        }
    }

    /// Notes that a label was wrong.
    pub fn refute(&mut self) {
        self.is_refuted = true;
    }

    /// Returns whether labels were right so far, between two keyframes at least.
    pub fn is_established(&self) -> bool {
        !self.is_refuted && self.shortest.is_some()
    }

    /// Returns whether the labels of records in a row, given by their times, name all keyframes as
    /// far as is known without the contents.
    pub fn accepts(&mut self, labels: &[(CaptureTime, Option<bool>)]) -> bool {
        let Some(shortest) = self.shortest.filter(|_| !self.is_refuted) else {
            return false;
        };
        let longest = shortest.saturating_add(shortest / 2);
        let mut last = self.last;
        for (time, label) in labels {
            let Some(is_keyframe) = label else {
                return false;
            };
            let Some(before) = last else { return false };
            if *time - before > longest {
                return false;
            }
            if *is_keyframe {
                last = Some(*time);
            }
        }
        self.last = last;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(time: u64) -> CaptureTime {
        CaptureTime::from_useconds(time)
    }

    /// Trust after 21 records with a keyframe each ten.
    fn established() -> LabelTrust {
        let mut trust = LabelTrust::default();
        for time in 0..=20 {
            trust.note(us(time), Some(time % 10 == 0), time % 10 == 0);
        }
        trust
    }

    fn labels(range: std::ops::Range<u64>, keyframes: &[u64]) -> Vec<(CaptureTime, Option<bool>)> {
        range
            .map(|time| (us(time), Some(keyframes.contains(&time))))
            .collect()
    }

    #[test]
    fn it_takes_two_keyframes_to_establish_trust() {
        let mut trust = LabelTrust::default();
        trust.note(us(0), Some(true), true);
        trust.note(us(1), Some(false), false);
        assert!(!trust.is_established());
        trust.note(us(2), Some(true), true);
        assert!(trust.is_established());
        trust.note(us(3), Some(true), false);
        assert!(!trust.is_established());
        assert!(!trust.accepts(&labels(4..6, &[4])));
    }

    #[test]
    fn unlabelled_records_establish_nothing() {
        let mut trust = LabelTrust::default();
        trust.note(us(0), Some(true), true);
        trust.note(us(1), None, false);
        trust.note(us(2), Some(true), true);
        assert!(!trust.is_established());
    }

    #[test]
    fn the_rhythm_of_keyframes_has_to_go_on() {
        assert!(established().accepts(&labels(21..60, &[30, 40, 50])));
        assert!(established().accepts(&labels(21..60, &[33, 40, 41, 55])));
        // One is missing, at the beginning, in the middle or at the end.
        assert!(!established().accepts(&labels(21..60, &[40, 50])));
        assert!(!established().accepts(&labels(21..60, &[30, 50])));
        assert!(!established().accepts(&labels(21..60, &[30, 40])));
        assert!(!established().accepts(&labels(21..60, &[])));
        assert!(established().accepts(&labels(21..29, &[])));
        let mut unlabelled = labels(21..30, &[]);
        unlabelled[4].1 = None;
        assert!(!established().accepts(&unlabelled));
    }

    #[test]
    fn rhythm_goes_on_over_windows() {
        let mut trust = established();
        assert!(trust.accepts(&labels(21..38, &[30])));
        assert!(!trust.accepts(&labels(38..52, &[50])));
        assert!(trust.accepts(&labels(38..52, &[40, 50])));
    }
}
