// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Learns in which records of a range keyframes begin.

use std::ops::Range;

use crate::access_unit::AccessUnit;
use crate::codec::h264::EntryPoints;

/// Keyframes that a range has come across.
#[derive(Debug, Default)]
pub struct LearntKeyframes {
    /// Times of records all whose keyframes are known, in µs since the Unix epoch.
    known: Option<Range<u64>>,
    times: Vec<u64>,
}

impl LearntKeyframes {
    /// Notes an access unit that begins in the record at `time`.
    pub fn note(&mut self, unit: &AccessUnit, entry_points: EntryPoints, time: u64) {
        if unit.order.is_none() {
            // It may be a keyframe once parameter sets are known.
            *self = Self::default();
            return;
        }
        let known = self.known.get_or_insert(time..time);
        known.end = time;
        if entry_points.include(unit) {
            self.times.push(time);
        }
    }

    /// Returns the times of records all whose keyframes are known, and of these the ones that a keyframe begins in.
    pub fn into_times(self) -> Option<(Range<u64>, Vec<u64>)> {
        Some((self.known?, self.times))
    }
}
