// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Record times that always grow, even if capture times do not. All times are in µs.

use super::outliers::Placed;

/// Distance of frames if unknown.
const DEFAULT_DISTANCE: u64 = 20_000;
/// Largest lead over the clock that is reduced by shorter distances.
const SECOND: u64 = 1_000_000;

/// Converts capture times to record times.
#[derive(Debug, Default)]
pub struct Growth {
    last: Option<u64>,
    /// Delay of record times behind capture times since a clock was set back.
    shift: u64,
}

impl Growth {
    /// Returns the record time of the next picture, later than the one before.
    ///
    /// Behind a clock that was set back, times continue at the cadence. How far ahead they are is known
    /// from the present capture time alone: with each further step it is computed anew.
    pub fn next(&mut self, placed: &Placed) -> u64 {
        let capture = placed.time.useconds();
        let Some(last) = self.last else {
            self.last = Some(capture);
            return capture;
        };
        if placed.is_after_step || capture > last {
            self.shift = 0;
        }
        let distance = placed.distance_us.unwrap_or(DEFAULT_DISTANCE);
        let shifted = capture.saturating_add(self.shift);
        let time = match last.checked_sub(shifted) {
            None => shifted,
            Some(late) if late < distance.min(SECOND) => last.saturating_add(1),
            Some(late) if late <= SECOND => last.saturating_add((distance / 2).max(1)),
            Some(_) => {
                let next = last.saturating_add(distance);
                self.shift = next.saturating_sub(capture);
                next
            }
        };
        self.last = Some(time);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::super::stamps::TimeSource;
    use super::*;
    use crate::time::CaptureTime;

    /// Record times of capture times 1000 µs apart, of which some are after a step.
    fn grow(captures: &[(u64, bool)]) -> Vec<u64> {
        let mut growth = Growth::default();
        let placed = captures.iter().map(|&(time, is_after_step)| Placed {
            time: CaptureTime::from_useconds(time),
            source: TimeSource::Meta,
            is_after_step,
            distance_us: Some(1000),
        });
        placed.map(|placed| growth.next(&placed)).collect()
    }

    #[test]
    fn jitter_does_not_stop_time() {
        let captures = [5000, 6000, 5999, 5999, 7000].map(|time| (time, false));
        assert_eq!(grow(&captures), [5000, 6000, 6001, 6002, 7000]);
    }

    #[test]
    fn times_continue_behind_a_clock_that_was_set_back() {
        let captures = [
            (9_000_000, false),
            (9_001_000, false),
            (1000, true),
            (2000, false),
            (2900, false),
            // Back where it was, but not yet after the newest record.
            (9_002_900, true),
            (9_004_400, false),
            (9_010_000, false),
        ];
        let expected = [
            9_000_000, 9_001_000, 9_002_000, 9_003_000, 9_003_900, 9_004_400, 9_004_401, 9_010_000,
        ];
        assert_eq!(grow(&captures), expected);
    }

    #[test]
    fn a_clock_that_is_set_back_again_shifts_by_no_more_than_it_is_behind() {
        let captures = [
            (9_000_000, false),
            (5_000_000, true),
            (5_001_000, false),
            (2_000_000, true),
            (2_001_000, false),
            (7_000_000, true),
            (7_001_000, false),
            (9_100_000, true),
            (9_101_000, false),
        ];
        let expected = [
            9_000_000, 9_001_000, 9_002_000, 9_003_000, 9_004_000, 9_005_000, 9_006_000, 9_100_000,
            9_101_000,
        ];
        assert_eq!(grow(&captures), expected);
    }

    #[test]
    fn times_that_are_a_little_ahead_catch_up() {
        let mut captures = vec![(50_000, false), (60_000, false)];
        captures.extend((51..80).map(|time| (1000 * time, false)));
        let times = grow(&captures);
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        assert_eq!(times[2], 60_500);
        let mut ahead = times
            .iter()
            .zip(&captures)
            .map(|(time, (captured, _))| time - captured);
        assert_eq!(ahead.next_back(), Some(0));
    }
}
