// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! A recording that is followed, next to the pipeline's clock: when its segments begin, and how late
//! its pictures come.

use std::time::Duration;

use gst::ClockTime;

/// Running times of what is followed.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// How much later segments begin than they would if the recording had no gaps.
    shift: ClockTime,
    latency: ClockTime,
}

impl Live {
    /// A recording that is asked for what is new at an interval.
    pub fn new(poll_interval: Duration) -> Self {
        let poll_interval = ClockTime::try_from(poll_interval).unwrap_or(ClockTime::MAX);
        Self {
            shift: ClockTime::ZERO,
            // A picture may come right after an answer, and the answer with it takes its time.
            latency: poll_interval.saturating_add(poll_interval),
        }
    }

    /// How much later than its running time a picture may come.
    pub fn latency(&self) -> ClockTime {
        self.latency
    }

    /// Goes on somewhere else.
    pub fn seek(&mut self) {
        self.shift = ClockTime::ZERO;
    }

    /// Puts a segment that begins `now`, in running time, where it is not late. What was pushed
    /// before and is still to be played comes first.
    pub fn place(
        &mut self,
        segment: &mut gst::FormattedSegment<ClockTime>,
        now: Option<ClockTime>,
    ) {
        let base = segment
            .base()
            .unwrap_or_default()
            .saturating_add(self.shift);
        let late = now.map_or(ClockTime::ZERO, |now| now.saturating_sub(base));
        self.shift = self.shift.saturating_add(late);
        segment.set_base(base.saturating_add(late));
    }

    /// Takes when a picture came and when it should have come, both in running time. Tells if the
    /// latency is another one now.
    pub fn arrive(&mut self, expected: ClockTime, now: ClockTime) -> bool {
        let late = now.saturating_sub(expected);
        let is_too_late = late > self.latency;
        if is_too_late {
            // So much that it is seldom changed: players skip at a change.
            self.latency = late.saturating_add(late / 2);
        }
        is_too_late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: ClockTime = ClockTime::MSECOND;

    fn live() -> Live {
        Live::new(Duration::from_millis(20))
    }

    fn place(live: &mut Live, base: ClockTime, now: Option<ClockTime>) -> ClockTime {
        gst::init().unwrap();
        let mut segment = gst::FormattedSegment::new();
        segment.set_base(base);
        live.place(&mut segment, now);
        segment.base().unwrap()
    }

    #[test]
    fn a_segment_begins_now() {
        let mut live = live();
        let zero = ClockTime::ZERO;
        assert_eq!(place(&mut live, zero, Some(700 * MS)), 700 * MS);
        // After a gap that took two seconds of the clock.
        assert_eq!(place(&mut live, 1000 * MS, Some(3700 * MS)), 3700 * MS);
        assert_eq!(place(&mut live, 2000 * MS, None), 4700 * MS);
    }

    #[test]
    fn what_is_to_be_played_before_comes_first() {
        let mut live = live();
        assert_eq!(place(&mut live, 9000 * MS, Some(700 * MS)), 9000 * MS);
        live.seek();
        assert_eq!(place(&mut live, ClockTime::ZERO, Some(MS)), MS);
    }

    #[test]
    fn latency_grows_and_stays() {
        let mut live = live();
        assert_eq!(live.latency(), 40 * MS);
        assert!(!live.arrive(1000 * MS, 900 * MS));
        assert!(!live.arrive(1000 * MS, 1040 * MS));
        assert!(live.arrive(1000 * MS, 1100 * MS));
        assert_eq!(live.latency(), 150 * MS);
        assert!(!live.arrive(2000 * MS, 2150 * MS));
    }
}
