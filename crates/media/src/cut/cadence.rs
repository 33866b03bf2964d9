// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The rate at which frames come, whatever rate is declared.

use std::collections::VecDeque;

use crate::time::Nanos;

/// Frames whose distances count.
const FRAMES: usize = 9;
/// Distances that are enough to contradict a declared rate.
const ENOUGH: usize = 3;
/// The part of a distance by which it may differ from a steady one.
const STEADY: u64 = 100;
/// Frames of the declared rate that may lie between two that come.
const MAX_MULTIPLE: u64 = 4;

/// Distances of the latest frames in output order.
#[derive(Debug, Default)]
pub struct PtsCadence {
    /// PTS in decoding order.
    recent: VecDeque<Nanos>,
    /// The same in output order.
    sorted: Vec<Nanos>,
    /// Their distances, the shortest first.
    distances: Vec<Nanos>,
}

impl PtsCadence {
    /// Takes the PTS of the next frame.
    pub fn push(&mut self, pts: Nanos) {
        self.recent.push_back(pts);
        if self.recent.len() > FRAMES {
            self.recent.pop_front();
        }
        self.sorted.clear();
        self.sorted.extend(&self.recent);
        self.sorted.sort_unstable();
        let pairs = self.sorted.windows(2);
        let distances = pairs.map(|pair| pair[1].saturating_sub(pair[0]));
        self.distances.clear();
        self.distances
            .extend(distances.filter(|distance| !distance.is_zero()));
        self.distances.sort_unstable();
    }

    /// Forgets all frames: times of those that follow count from elsewhere.
    pub fn reset(&mut self) {
        self.recent.clear();
        self.distances.clear();
    }

    /// Returns the median distance, the shorter one of two, as the other can be a hole.
    pub fn frame(&self) -> Option<Nanos> {
        let middle = self.distances.len().checked_sub(1)? / 2;
        self.distances.get(middle).copied()
    }

    /// Returns whether frames come in another rate than one that lasts `frame`.
    pub fn contradicts(&self, frame: Nanos) -> bool {
        self.distances.len() >= ENOUGH && self.multiple_of(frame) != Some(1)
    }

    /// Returns whether the distances are enough to believe or contradict a rate of such frames.
    pub fn can_judge(&self, frame: Nanos) -> bool {
        let is_equal = |distance: Nanos| distance.absdiff(frame) <= frame / STEADY;
        self.distances.len() >= ENOUGH || self.frame().is_some_and(is_equal)
    }

    /// Returns whether the distances are whole numbers of such frames, as far as they are known.
    pub fn is_in_frames_of(&self, frame: Nanos) -> bool {
        let multiple = self.multiple_of(frame);
        self.recent.len() < 2 || multiple.is_some_and(|count| (1..=MAX_MULTIPLE).contains(&count))
    }

    /// Returns how many such frames the median distance is: within a fifth of one, as cameras jitter, but
    /// less where all distances are about the same.
    fn multiple_of(&self, frame: Nanos) -> Option<u64> {
        let distances = &self.distances;
        let (shortest, longest) = (distances.first()?, distances.last()?);
        let median = self.frame()?;
        let is_steady =
            distances.len() >= ENOUGH && longest.saturating_sub(*shortest) <= median / STEADY;
        let (distance, frame) = (median.nseconds(), frame.nseconds());
        let count = distance.saturating_add(frame / 2).checked_div(frame)?;
        let difference = distance.abs_diff(count.saturating_mul(frame));
        let tolerance = match is_steady {
            true => distance / STEADY,
            false => frame / 5,
        };
        (difference <= tolerance).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Nanos = Nanos::from_mseconds(40);

    fn cadence(times: &[u64]) -> PtsCadence {
        let mut cadence = PtsCadence::default();
        (times.iter()).for_each(|ms| cadence.push(Nanos::from_mseconds(*ms)));
        cadence
    }

    #[test]
    fn the_median_of_reordered_and_jittered_frames() {
        let reordered = cadence(&[0, 160, 80, 40, 120, 320, 240]);
        assert_eq!(reordered.frame(), Some(FRAME));
        let with_hole = cadence(&[0, 41, 79, 10_000, 10_040]);
        assert_eq!(with_hole.frame(), Some(FRAME));
        assert_eq!(cadence(&[0, 40, 10_000]).frame(), Some(FRAME));
        assert_eq!(cadence(&[5]).frame(), None);
        assert_eq!(cadence(&[]).frame(), None);
    }

    #[test]
    fn three_distances_contradict_a_rate() {
        assert!(!cadence(&[0, 80, 160]).contradicts(FRAME));
        assert!(cadence(&[0, 80, 160, 240]).contradicts(FRAME));
        assert!(!cadence(&[0, 43, 78, 124]).contradicts(FRAME));
        assert!(!cadence(&[0, 35, 75, 106, 145]).contradicts(FRAME));
        assert!(cadence(&[0, 35, 70, 105, 140]).contradicts(FRAME));
        assert!(cadence(&[0, 40, 80, 120]).contradicts(10_000 * Nanos::MSECOND));
        assert!(cadence(&[0, 40, 80, 120]).contradicts(Nanos::from_useconds(11)));
    }

    #[test]
    fn a_rate_can_be_judged_early_if_it_is_true() {
        assert!(cadence(&[0, 40]).can_judge(FRAME));
        assert!(!cadence(&[0, 160]).can_judge(FRAME));
        assert!(cadence(&[0, 160, 80, 40]).can_judge(FRAME));
    }

    #[test]
    fn distances_of_several_frames_are_in_frames() {
        for (times, expected) in [
            (&[][..], true),
            (&[0], true),
            (&[0, 80, 160, 240], true),
            (&[0, 60, 120, 180], false),
            (&[0, 20, 40, 60], false),
            (&[0, 400, 800], false),
        ] {
            assert_eq!(cadence(times).is_in_frames_of(FRAME), expected, "{times:?}");
        }
    }
}
