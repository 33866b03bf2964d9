// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Comparison of the declared frame rate with the record times: records get it as a label if they agree.

use std::collections::VecDeque;

use super::cadence::CaptureCadence;
use super::times::Timed;
use crate::time::{CaptureTime, Nanos};

/// So far the cadence may be from the declared rate, as parts of the cadence.
const TOLERANCE: u64 = 5;
/// While the cadence is not known, records wait no longer than the frames of this time.
const PATIENCE: Nanos = Nanos::SECOND;

/// A frame, and whether its record may name the declared rate.
#[derive(Debug, PartialEq, Eq)]
pub struct Rated<T> {
    /// The frame with its record time.
    pub frame: Timed<T>,
    /// The declared rate agrees with the times so far.
    pub agrees: bool,
}

/// Compares the declared frame rate with the times of frames, in decoding order.
///
/// The first frames wait until the cadence is known: a wrong label on the first record is a wrong
/// label.
#[derive(Debug)]
pub struct RateCheck<T> {
    /// Distance of frames at the declared rate, µs.
    distance: Option<u64>,
    cadence: CaptureCadence,
    /// Time of the last frame, and how many frames it has.
    last: Option<(CaptureTime, u64)>,
    waiting: VecDeque<Timed<T>>,
    decided: VecDeque<Rated<T>>,
    /// The cadence agrees with the declared rate; `None` until that is decided.
    agrees: Option<bool>,
}

impl<T> Default for RateCheck<T> {
    fn default() -> Self {
        Self {
            distance: None,
            cadence: CaptureCadence::default(),
            last: None,
            waiting: VecDeque::new(),
            decided: VecDeque::new(),
            agrees: None,
        }
    }
}

impl<T> RateCheck<T> {
    /// Sets the distance of the following frames at the declared rate, of which whole µs count.
    pub fn set_distance(&mut self, distance: Option<Nanos>) {
        let distance = distance.map(Nanos::useconds);
        if self.distance == distance {
            return;
        }
        self.end();
        self.distance = distance;
        self.cadence.reset();
        self.last = None;
        self.agrees = None;
    }

    /// Takes the next item, and how many frames it has.
    pub fn push(&mut self, frame: Timed<T>, frames: u64) {
        if frames > 0 {
            if let Some((time, count)) = self.last {
                let distance = (frame.time - time).useconds() / count;
                self.cadence.learn(distance);
            }
            self.last = Some((frame.time, frames));
        }
        let first = self.waiting.front().map_or(frame.time, |first| first.time);
        let waited = frame.time - first;
        self.waiting.push_back(frame);
        let is_clear = self.distance.is_none() || self.cadence.is_known() || waited >= PATIENCE;
        if self.is_decided() || is_clear {
            self.end();
        }
    }

    /// Decides about all waiting frames.
    pub fn end(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.agrees = Some(self.still_agrees());
        let agrees = self.agrees() && !self.has_just_changed();
        let waiting = self.waiting.drain(..);
        self.decided
            .extend(waiting.map(|frame| Rated { frame, agrees }));
    }

    /// Returns the next item that is decided about.
    pub fn pop(&mut self) -> Option<Rated<T>> {
        self.decided.pop_front()
    }

    /// Returns whether anything was decided about the declared rate.
    pub fn is_decided(&self) -> bool {
        self.agrees.is_some()
    }

    /// Returns whether no time contradicts the declared rate, as far as it is decided.
    pub fn agrees(&self) -> bool {
        self.agrees == Some(true)
    }

    /// Returns whether the cadence is within 20 % of the declared rate: the median of the recent distances. The mean has
    /// to say the same before that changes, so that jitter does not change it back and forth.
    fn still_agrees(&self) -> bool {
        let Some(declared) = self.distance else {
            return false;
        };
        let is_near = |cadence: Option<u64>| {
            cadence.is_none_or(|cadence| declared.abs_diff(cadence) <= cadence / TOLERANCE)
        };
        let (median, mean) = (is_near(self.cadence.median()), is_near(self.cadence.mean()));
        match self.agrees {
            None => median,
            Some(true) => median || mean,
            Some(false) => median && mean,
        }
    }

    /// Returns whether the last two frames were too late or too early by half, which the median of eight does
    /// not know yet.
    fn has_just_changed(&self) -> bool {
        let Some(declared) = self.distance else {
            return false;
        };
        let newest: Vec<_> = self.cadence.newest(2).collect();
        let is_late = |distance: &u64| distance.saturating_mul(2) >= declared.saturating_mul(3);
        let is_early = |distance: &u64| distance.saturating_mul(3) <= declared.saturating_mul(2);
        newest.len() == 2 && (newest.iter().all(is_late) || newest.iter().all(is_early))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what agrees, and after how many frames it is decided.
    fn run(declared: Option<u64>, times: &[u64]) -> (Vec<bool>, Vec<usize>) {
        let mut rate = RateCheck::default();
        rate.set_distance(declared.map(Nanos::from_useconds));
        let (mut agrees, mut after) = (Vec::new(), Vec::new());
        let take = |rate: &mut RateCheck<()>, at, agrees: &mut Vec<_>, after: &mut Vec<_>| {
            while let Some(rated) = rate.pop() {
                agrees.push(rated.agrees);
                after.push(at);
            }
        };
        for (at, &time) in (1..).zip(times) {
            let frame = Timed {
                item: (),
                time: CaptureTime::from_useconds(time),
                is_fixed: true,
            };
            rate.push(frame, 1);
            take(&mut rate, at, &mut agrees, &mut after);
        }
        rate.end();
        take(&mut rate, times.len(), &mut agrees, &mut after);
        (agrees, after)
    }

    fn every(distance: u64, count: u64) -> Vec<u64> {
        (0..count).map(|nth| 5_000_000 + nth * distance).collect()
    }

    #[test]
    fn first_frames_wait_for_three_distances() {
        let (agrees, after) = run(Some(40_000), &every(40_000, 6));
        assert_eq!(agrees, [true; 6]);
        assert_eq!(after, [4, 4, 4, 4, 5, 6]);
    }

    #[test]
    fn without_a_declared_rate_nothing_waits() {
        let (agrees, after) = run(None, &every(40_000, 3));
        assert_eq!((agrees, after), (vec![false; 3], vec![1, 2, 3]));
    }

    #[test]
    fn slow_frames_do_not_wait_for_long() {
        let (agrees, after) = run(Some(40_000), &every(60_000_000, 3));
        assert_eq!((agrees, after), (vec![false; 3], vec![2, 2, 3]));
        let (agrees, _) = run(Some(60_000_000), &every(60_000_000, 3));
        assert_eq!(agrees, [true; 3]);
    }

    #[test]
    fn a_rate_agrees_within_a_fifth_of_the_cadence() {
        for (declared, expected) in [
            (11, false),
            (31_000, false),
            (32_001, true),
            (40_000, true),
            (48_000, true),
            (49_000, false),
            (10_000_000, false),
        ] {
            let (agrees, _) = run(Some(declared), &every(40_000, 12));
            assert_eq!(agrees, [expected; 12], "{declared}");
        }
    }

    #[test]
    fn a_few_frames_have_the_declared_rate_unless_it_is_wrong() {
        assert_eq!(run(Some(40_000), &[5]).0, [true]);
        assert_eq!(run(Some(40_000), &[5, 40_005]).0, [true; 2]);
        assert_eq!(run(Some(40_000), &[5, 80_005]).0, [false; 2]);
    }

    #[test]
    fn jitter_does_not_change_the_label_back_and_forth() {
        let jitter = |nth: u64| nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 30_000;
        let times: Vec<_> = every(40_000, 300)
            .iter()
            .zip(0..)
            .map(|(time, nth)| time + jitter(nth))
            .collect();
        let (agrees, _) = run(Some(40_000), &times);
        let changes = agrees.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 0);
        // Pauses that make the mean of another cadence that of the declared rate.
        let mut times = Vec::new();
        for nth in 0..100 {
            times.push(5_000_000 + 40_000 * nth + 80_000 * (nth / 8));
        }
        assert_eq!(run(Some(50_000), &times).0, [false; 100]);
    }

    #[test]
    fn a_pause_contradicts_nothing_and_a_slower_camera_does() {
        let mut times = every(40_000, 20);
        times.extend(every(40_000, 20).iter().map(|time| time + 60_000_000));
        assert_eq!(run(Some(40_000), &times).0, [true; 40]);

        let mut times = every(40_000, 20);
        let last = times[19];
        times.extend((1..=20).map(|nth| last + 80_000 * nth));
        let (agrees, _) = run(Some(40_000), &times);
        assert_eq!(agrees[..21], [true; 21]);
        assert_eq!(agrees[21..], [false; 19]);
    }
}
