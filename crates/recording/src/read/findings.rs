// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Findings about the records of a range: their counts, and a list of the first ones.

use std::ops::Range;

use media::stream::{Finding, FindingCounts};
use media::time::CaptureTime;

/// Findings that are listed; further ones are only counted.
pub const MAX_FINDINGS: usize = 10_000;

/// The findings of a range.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Times that count. Records beside the range are read for its first and last frames.
    range: Range<CaptureTime>,
    /// Number of records in the range, and their bytes.
    pub records: u64,
    pub bytes: u64,
    /// Number of frames that no keyframe precedes.
    pub undecodable: u64,
    pub counts: FindingCounts,
    pub list: Vec<Finding>,
}

impl Findings {
    /// Returns no findings of the times in `range`.
    pub fn new(range: Range<CaptureTime>) -> Self {
        Self {
            range,
            records: 0,
            bytes: 0,
            undecodable: 0,
            counts: FindingCounts::default(),
            list: Vec::new(),
        }
    }

    /// Counts a record.
    pub fn add_record(&mut self, time: CaptureTime, bytes: u64) {
        if self.range.contains(&time) {
            self.records += 1;
            self.bytes += bytes;
        }
    }

    /// Counts a finding, and lists it unless the list is full.
    pub fn add(&mut self, finding: Finding) {
        if !self.range.contains(&finding.time()) {
            return;
        }
        self.counts.add(&finding);
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(time: u64) -> Finding {
        Finding::KeyframeLabel {
            time: CaptureTime::from_useconds(time),
            label: true,
        }
    }

    #[test]
    fn findings_beside_the_range_do_not_count() {
        let [start, stop] = [10, 20].map(CaptureTime::from_useconds);
        let mut findings = Findings::new(start..stop);
        for time in [9, 10, 19, 20] {
            findings.add(label(time));
        }
        assert_eq!(findings.list, [label(10), label(19)]);
        assert_eq!(findings.counts.keyframe_labels, 2);
        assert_eq!(findings.counts.total(), 2);
    }

    #[test]
    fn the_list_has_a_limit() {
        let mut findings = Findings::new(CaptureTime::EPOCH..CaptureTime::MAX);
        for time in 0..MAX_FINDINGS as u64 + 5 {
            findings.add(label(time));
        }
        assert_eq!(findings.list.len(), MAX_FINDINGS);
        assert_eq!(findings.counts.total(), MAX_FINDINGS as u64 + 5);
    }
}
