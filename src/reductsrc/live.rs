// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Latency and segment base of a recording that is followed, by the pipeline's clock.

use std::time::Duration;

use gst::ClockTime;

/// Largest latency. Pictures that come later still, after an outage, are late.
const MAX_LATENCY: ClockTime = ClockTime::from_seconds(2);
/// Time for which everything has to be later than that before running time follows.
const MAX_LATE: ClockTime = ClockTime::from_seconds(5);
/// Time for which pictures have to come sooner before the latency shrinks.
const PERIOD: ClockTime = ClockTime::from_seconds(5);

/// Latency and segment base while following.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// Delay of segments that the gaps of the recording have caused.
    shift: ClockTime,
    min_latency: ClockTime,
    latency: ClockTime,
    /// Begin of the observation of lateness, and the largest one since then.
    period: Option<ClockTime>,
    lateness: ClockTime,
    /// Running time from which on everything was later than the largest latency.
    late_since: Option<ClockTime>,
}

impl Live {
    /// Returns the state of a recording that is asked for new records in an interval.
    pub fn new(poll_interval: Duration) -> Self {
        let poll_interval = ClockTime::try_from(poll_interval).unwrap_or(ClockTime::MAX);
        // A picture may come right after an answer, and the answer with it takes its time.
        let latency = poll_interval.saturating_add(poll_interval);
        Self {
            shift: ClockTime::ZERO,
            min_latency: latency,
            latency,
            period: None,
            lateness: ClockTime::ZERO,
            late_since: None,
        }
    }

    /// Returns the largest delay of a picture behind its running time.
    pub fn latency(&self) -> ClockTime {
        self.latency
    }

    /// Continues at another time.
    pub fn seek(&mut self) {
        self.shift = ClockTime::ZERO;
        self.late_since = None;
    }

    /// Moves a segment so that it begins `now`, in running time, if it would have begun earlier, but not before the
    /// frames that were pushed before and are still to be played.
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

    /// Notes the running time at which a picture came, and its own. Returns whether the latency has changed.
    pub fn arrive(&mut self, expected: ClockTime, now: ClockTime) -> bool {
        let late = now.saturating_sub(expected);
        self.late_since = match late > MAX_LATENCY {
            true => self.late_since.or(Some(now)),
            false => None,
        };
        self.lateness = self.lateness.max(late);
        let before = self.latency;
        if late > self.latency && self.latency < MAX_LATENCY {
            self.latency = margin(late).clamp(self.min_latency, MAX_LATENCY.max(self.min_latency));
        }
        let since = *self.period.get_or_insert(now);
        if now.saturating_sub(since) >= PERIOD {
            let enough = margin(self.lateness).max(self.min_latency);
            // Players skip at a change.
            if enough <= self.latency / 2 {
                self.latency = enough;
            }
            self.period = Some(now);
            self.lateness = ClockTime::ZERO;
        }
        self.latency != before
    }

    /// Returns whether everything has been late for so long that running time has to follow.
    pub fn is_behind(&self, now: ClockTime) -> bool {
        self.late_since
            .is_some_and(|since| now.saturating_sub(since) >= MAX_LATE)
    }

    /// Moves a segment that would begin at the running time `base` to begin now.
    pub fn catch_up(&mut self, base: ClockTime, now: ClockTime) {
        self.shift = self.shift.saturating_add(now.saturating_sub(base));
        self.late_since = None;
    }
}

/// Returns a latency with a margin, so that it changes seldom.
fn margin(late: ClockTime) -> ClockTime {
    late.saturating_add(late / 2)
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
    fn latency_grows_with_lateness() {
        let mut live = live();
        assert_eq!(live.latency(), 40 * MS);
        assert!(!live.arrive(1000 * MS, 900 * MS));
        assert!(!live.arrive(1000 * MS, 1040 * MS));
        assert!(live.arrive(1000 * MS, 1100 * MS));
        assert_eq!(live.latency(), 150 * MS);
        assert!(!live.arrive(2000 * MS, 2150 * MS));
    }

    #[test]
    fn latency_is_bounded_and_shrinks() {
        let mut live = live();
        assert!(live.arrive(1000 * MS, 6000 * MS));
        assert_eq!(live.latency(), 2000 * MS);
        let mut changes = Vec::new();
        for frame in 1..300 {
            let now = (6000 + 40 * frame) * MS;
            if live.arrive(now - 30 * MS, now) {
                changes.push((now.mseconds(), live.latency().mseconds()));
            }
        }
        // The first period has the late picture in it.
        assert_eq!(changes, [(16_000, 45)]);
    }

    #[test]
    fn a_latency_that_is_needed_stays() {
        let mut live = live();
        for frame in 0..500 {
            let now = (1000 + 40 * frame) * MS;
            live.arrive(now - 300 * MS, now);
        }
        assert_eq!(live.latency(), 450 * MS);
    }

    #[test]
    fn running_time_follows_where_everything_is_late() {
        let mut live = live();
        let arrive = |live: &mut Live, now: u64, late: u64| {
            live.arrive((now - late) * MS, now * MS);
            live.is_behind(now * MS)
        };
        assert!(!arrive(&mut live, 10_000, 2500));
        assert!(!arrive(&mut live, 14_900, 2500));
        assert!(arrive(&mut live, 15_000, 2500));
        // One in time is enough.
        assert!(!arrive(&mut live, 15_100, 2000));
        assert!(!arrive(&mut live, 19_900, 3000));
        assert!(!arrive(&mut live, 24_800, 3000));
        assert!(arrive(&mut live, 24_900, 3000));
        live.catch_up(21_900 * MS, 24_900 * MS);
        assert!(!live.is_behind(30_000 * MS));
        assert_eq!(place(&mut live, 500 * MS, None), 3500 * MS);
    }
}
