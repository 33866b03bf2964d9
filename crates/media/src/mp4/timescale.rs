// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Time scales of files (ISO/IEC 14496-12, 8.4.2).

use crate::frame_rate::FrameRate;
use crate::time::Nanos;

/// Coarsest time scale: a time is off by half a tick at most, 25 µs.
const MIN_UNITS: u32 = 20_000;
/// Finest time scale for a frame rate. A finer one would end files early, as the times of a file have
/// 32 bits.
const MAX_UNITS: u32 = 1_000_000;

/// Time scales for files whose frames are too far apart for the one they began with, the finest first. A
/// time is off by half a millisecond at most.
const COARSER: [u32; 6] = [50_000, 20_000, 10_000, 5_000, 2_000, 1_000];

/// Ticks per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timescale(u32);

impl Default for Timescale {
    /// Returns the scale where no rate is known. Frames of 24, 25 or 30 fps and of 30000/1001 fps are whole numbers
    /// of its ticks.
    fn default() -> Self {
        Self(90_000)
    }
}

impl Timescale {
    /// Returns the scale of `units` ticks per second, or `None` for 0.
    pub fn new(units: u32) -> Option<Self> {
        (units > 0).then_some(Self(units))
    }

    /// Returns the scale in which frames of `rate` last whole numbers of ticks: the smallest multiple of
    /// its numerator that is fine enough.
    pub fn for_rate(rate: FrameRate) -> Self {
        match u32::try_from(rate.numer()) {
            Ok(numerator @ 1..=MAX_UNITS) => Self(numerator * MIN_UNITS.div_ceil(numerator)),
            _ => Self::default(),
        }
    }

    /// Returns the scales that a file can get instead of this one, the best first. With `finer` there is a
    /// finer one among them, for frames that are less than a tick apart.
    pub fn alternatives(self, finer: bool) -> Vec<Self> {
        let finest = finer.then_some(MAX_UNITS.max(self.0));
        let coarser = COARSER.into_iter().filter(|units| *units < self.0);
        let all = finest.into_iter().chain([self.0]).chain(coarser);
        all.map(Self).collect()
    }

    /// Returns the number of ticks per second.
    pub fn units(self) -> u32 {
        self.0
    }

    /// Returns a time in ticks, to the nearest, as mp4mux rounds it.
    pub fn ticks(self, time: Nanos) -> u64 {
        scale(time.nseconds(), self.0.into(), Nanos::SECOND.nseconds())
    }

    /// Returns a number of ticks as a time, to the nearest nanosecond.
    pub fn time(self, ticks: u64) -> Nanos {
        let nanoseconds = scale(ticks, Nanos::SECOND.nseconds(), self.0.into());
        Nanos::from_nseconds(nanoseconds)
    }

    /// Returns the duration of a tick, rounded up, so that a frame that lasts as long never ends in the tick
    /// in which it begins.
    pub fn tick(self) -> Nanos {
        self.time(1) + Nanos::NSECOND
    }

    /// Returns the longest time that fits 32 bits.
    pub fn max_time(self) -> Nanos {
        self.time(u32::MAX.into())
    }
}

/// Returns `value` × `numerator` / `denominator`, to the nearest.
pub fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let product = u128::from(value) * u128::from(numerator) + u128::from(denominator / 2);
    let scaled = product.checked_div(u128::from(denominator));
    scaled.map_or(0, |scaled| u64::try_from(scaled).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_last_whole_numbers_of_ticks() {
        for (numerator, denominator, units, frame) in [
            (25, 1, 20_000, 800),
            (30, 1, 20_010, 667),
            (30_000, 1001, 30_000, 1001),
            (24_000, 1001, 24_000, 1001),
            (60_000, 1001, 60_000, 1001),
            (31, 2, 20_026, 1292),
            (1, 250, 20_000, 5_000_000),
            (90_000, 1, 90_000, 1),
            (1_000_000, 33_333, 1_000_000, 33_333),
        ] {
            let scale = Timescale::for_rate(FrameRate::new(numerator, denominator).unwrap());
            assert_eq!(scale.units(), units, "{numerator}/{denominator}");
            let second = u64::from(units) * denominator as u64;
            assert_eq!(
                second,
                frame * numerator as u64,
                "{numerator}/{denominator}"
            );
        }
        let fine = FrameRate::new(10_000_000, 333_333).unwrap();
        assert_eq!(Timescale::for_rate(fine), Timescale::default());
        assert_eq!(Timescale::new(0), None);
    }

    #[test]
    fn alternatives_are_finer_or_coarser() {
        let units = |scale: Timescale, finer| {
            let scales = scale.alternatives(finer).into_iter();
            scales.map(Timescale::units).collect::<Vec<_>>()
        };
        let coarser = [50_000, 20_000, 10_000, 5000, 2000, 1000];
        let default = Timescale::default();
        assert_eq!(units(default, false), [&[90_000][..], &coarser].concat());
        let with_finer = [&[1_000_000, 90_000][..], &coarser].concat();
        assert_eq!(units(default, true), with_finer);
        let scale = Timescale::new(20_000).unwrap();
        assert_eq!(units(scale, false), coarser[1..]);
    }

    #[test]
    fn what_lasts_a_tick_ends_in_a_later_one() {
        for units in [600, 20_000, 20_010, 30_000, 90_000, 1_000_000] {
            let scale = Timescale::new(units).unwrap();
            for time in (0..100_000).step_by(37).map(Nanos::from_nseconds) {
                assert!(scale.ticks(time + scale.tick()) > scale.ticks(time));
            }
        }
    }

    #[test]
    fn times_are_rounded_to_the_nearest_tick() {
        let scale = Timescale::default();
        assert_eq!(scale.ticks(Nanos::from_mseconds(40)), 3600);
        assert_eq!(scale.ticks(Nanos::from_nseconds(5_555)), 0);
        assert_eq!(scale.ticks(Nanos::from_nseconds(5_556)), 1);
        assert_eq!(scale.time(1).nseconds(), 11_111);
        let year = Nanos::from_seconds(366 * 86_400);
        assert_eq!(scale.time(scale.ticks(year)), year);
        assert_eq!(scale.max_time().seconds(), 47_721);
    }
}
