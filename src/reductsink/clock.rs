// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Times of the pipeline's clock as times since the Unix epoch.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gst::ClockTime;
use gst::prelude::*;

use crate::capture_time::NTP_TO_UNIX;

const NTP_EPOCH_NS: i128 = NTP_TO_UNIX.nseconds() as i128;
/// Offsets of clocks that count from the Unix or the NTP epoch.
const OF_EPOCHS: [i128; 2] = [0, -NTP_EPOCH_NS];
/// A clock that differs by less from this machine's counts from the same epoch, and is the better one.
const SAME_NS: i128 = 1_000_000_000;

/// Interval of measurements of a clock's offset.
const INTERVAL: Duration = Duration::from_secs(1);
/// A larger change is a step of the system clock, a smaller one is slewing.
const STEP_NS: i128 = 100_000_000;
/// Accuracy of a measured offset.
const NOISE_NS: i128 = 5_000_000;
/// Readings for a measurement, of which the fastest counts: the thread may be preempted within one.
const READINGS: usize = 5;

/// The time since the Unix epoch by a clock, which follows the system clock.
#[derive(Debug)]
pub struct WallClock {
    offset: Offset,
    measured: Instant,
}

impl WallClock {
    /// Measures the offset of a clock.
    pub fn new(clock: &gst::Clock) -> Self {
        Self {
            offset: Offset::of(clock),
            measured: Instant::now(),
        }
    }

    /// Follows the system clock once per interval. Returns the size of its step in ns, if it was set.
    pub fn follow(&mut self, clock: &gst::Clock) -> Option<i64> {
        if self.measured.elapsed() < INTERVAL {
            return None;
        }
        self.measured = Instant::now();
        self.offset.follow(Offset::of(clock))
    }

    /// Returns the time since the Unix epoch.
    pub fn unix_time(&self, clock: ClockTime) -> ClockTime {
        self.offset.unix_time(clock)
    }
}

/// Difference between the time since the Unix epoch and a clock, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset(i128);

impl Offset {
    /// Measures the offset of a clock by its time and that of this machine.
    ///
    /// Clocks that count from the Unix or the NTP epoch are believed. Any other's offset is measured.
    pub fn of(clock: &gst::Clock) -> Self {
        let now = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.unwrap_or_default()
        };
        let readings = (0..READINGS).map(|_| {
            let before = now();
            let time = clock.time();
            let took = now().saturating_sub(before);
            (took, time, before + took / 2)
        });
        let exact = readings.min_by_key(|(took, ..)| *took);
        let (_, time, wall) = exact.unwrap_or_default();
        Self::between(time, wall)
    }

    /// Takes over a new measurement: at once what the clock was set by, which is returned in ns, and little
    /// by little what it was slewed by, so that distances of frames stay what they are.
    fn follow(&mut self, measured: Self) -> Option<i64> {
        // It knows better than the system clock.
        if self.is_of_epoch() {
            return None;
        }
        let by = measured.0 - self.0;
        if by.abs() > STEP_NS {
            *self = measured;
            return i64::try_from(by).ok();
        }
        if by.abs() > NOISE_NS {
            self.0 += by.clamp(-NOISE_NS, NOISE_NS);
        }
        None
    }

    fn is_of_epoch(self) -> bool {
        OF_EPOCHS.contains(&self.0)
    }

    fn between(clock: ClockTime, wall: Duration) -> Self {
        let clock = i128::from(clock.nseconds());
        let measured = i128::try_from(wall.as_nanos()).unwrap_or(0) - clock;
        let known = OF_EPOCHS
            .into_iter()
            .find(|known| (measured - known).abs() < SAME_NS);
        Self(known.unwrap_or(measured))
    }

    /// Returns the time since the Unix epoch.
    pub fn unix_time(self, clock: ClockTime) -> ClockTime {
        let time = (i128::from(clock.nseconds()) + self.0).max(0);
        u64::try_from(time).map_or(ClockTime::MAX, |time| {
            ClockTime::try_from(time).unwrap_or(ClockTime::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Duration = Duration::from_nanos(1_749_804_653_273_752_123);

    fn now(clock: u64) -> u64 {
        let clock = ClockTime::from_nseconds(clock);
        Offset::between(clock, WALL).unix_time(clock).nseconds()
    }

    #[test]
    fn clocks_of_an_epoch_are_believed() {
        let unix = WALL.as_nanos() as u64;
        assert_eq!(now(unix), unix);
        assert_eq!(now(unix + 400_000_000), unix + 400_000_000);
        let ntp = unix + NTP_EPOCH_NS as u64;
        assert_eq!(now(ntp - 3), unix - 3);
    }

    #[test]
    fn a_system_clock_that_is_set_is_followed_at_once() {
        let mut offset = Offset(7_000_000_000_000);
        for by in [3_000_000_000, -3_600_000_000_000, 100_000_001, -100_000_001] {
            let measured = Offset(offset.0 + i128::from(by));
            assert_eq!(offset.follow(measured), Some(by));
            assert_eq!(offset, measured);
            assert_eq!(offset.follow(measured), None);
        }
    }

    #[test]
    fn a_system_clock_that_is_slewed_is_followed_little_by_little() {
        let begin = Offset(7_000_000_000_000);
        for by in [100_000_000, -100_000_000] {
            let mut offset = begin;
            let measured = Offset(begin.0 + by);
            for _ in 0..19 {
                let before = offset.0;
                assert_eq!(offset.follow(measured), None);
                assert_eq!((offset.0 - before).abs(), NOISE_NS);
            }
            assert_eq!(offset.follow(measured), None);
            assert!((measured.0 - offset.0).abs() <= NOISE_NS);
        }
        let mut offset = begin;
        assert_eq!(offset.follow(Offset(begin.0 + NOISE_NS)), None);
        assert_eq!(offset, begin);
    }

    #[test]
    fn a_clock_of_an_epoch_does_not_follow() {
        let mut offset = Offset(0);
        assert_eq!(offset.follow(Offset(3_000_000_000)), None);
        assert_eq!(offset, Offset(0));
    }

    #[test]
    fn other_clocks_are_measured() {
        let unix = WALL.as_nanos() as u64;
        for clock in [0, 77_000_000_000, unix + 37_000_000_000] {
            assert_eq!(now(clock), unix, "{clock}");
        }
        let offset = Offset::between(ClockTime::ZERO, WALL);
        assert_eq!(
            offset.unix_time(ClockTime::SECOND).nseconds(),
            unix + 1_000_000_000
        );
    }
}
