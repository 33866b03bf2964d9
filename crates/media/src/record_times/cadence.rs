// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The cadence of capture times: the distance of frames.

use std::collections::VecDeque;

/// Number of distances that count. Their median is not moved by a pause or a lost frame.
const DISTANCES: usize = 8;
/// Number of distances from which on the median is used.
const KNOWN: usize = 3;

/// The recent distances of frames, in µs.
#[derive(Debug, Default)]
pub struct CaptureCadence {
    distances: VecDeque<u64>,
}

impl CaptureCadence {
    /// Adds the distance of two frames.
    pub fn learn(&mut self, distance: u64) {
        if self.distances.len() == DISTANCES {
            self.distances.pop_front();
        }
        self.distances.push_back(distance);
    }

    /// Forgets all distances.
    pub fn reset(&mut self) {
        self.distances.clear();
    }

    /// Returns whether there are enough distances to rely on the median.
    pub fn is_known(&self) -> bool {
        self.distances.len() >= KNOWN
    }

    /// Returns the median of the recent distances. Of two it is the shorter one, as the other may be a pause.
    pub fn median(&self) -> Option<u64> {
        let mut sorted: Vec<_> = self.distances.iter().copied().collect();
        sorted.sort_unstable();
        let middle = sorted.len().checked_sub(1)? / 2;
        let lower = sorted.get(middle).copied()?;
        match sorted.get(middle + 1) {
            Some(upper) if sorted.len() > 2 && sorted.len().is_multiple_of(2) => {
                Some(lower.midpoint(*upper))
            }
            _ => Some(lower),
        }
    }

    /// Returns the mean of the recent distances, which jitter moves less than the median, and a pause more.
    pub fn mean(&self) -> Option<u64> {
        let sum: u64 = self.distances.iter().sum();
        sum.checked_div(self.distances.len() as u64)
    }

    /// Returns the last `count` distances, the newest one first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = u64> {
        self.distances.iter().rev().take(count).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(distances: &[u64]) -> Option<u64> {
        let mut cadence = CaptureCadence::default();
        distances.iter().for_each(|it| cadence.learn(*it));
        cadence.median()
    }

    #[test]
    fn a_pause_is_no_cadence() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[40]), Some(40));
        assert_eq!(median(&[40, 41, 60_000, 39]), Some(40));
        assert_eq!(median(&[40, 60_000]), Some(40));
        assert_eq!(median(&[20, 60, 20, 60]), Some(40));
    }

    #[test]
    fn a_new_rhythm_is_known_after_five_frames() {
        let mut cadence = CaptureCadence::default();
        (0..20).for_each(|_| cadence.learn(40));
        for slow in 1..=8 {
            cadence.learn(80);
            let expected = match slow {
                ..4 => 40,
                4 => 60,
                _ => 80,
            };
            assert_eq!(cadence.median(), Some(expected), "{slow}");
        }
    }

    #[test]
    fn three_distances_are_enough() {
        let mut cadence = CaptureCadence::default();
        for count in 1..=3 {
            cadence.learn(count);
            assert_eq!(cadence.is_known(), count == 3);
        }
        assert_eq!(cadence.newest(2).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(cadence.mean(), Some(2));
        cadence.reset();
        assert_eq!((cadence.median(), cadence.mean()), (None, None));
    }
}
