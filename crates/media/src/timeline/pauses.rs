// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Pauses that belong to the rhythm of a camera, such as one that records in bursts.
//!
//! After most of them `frame_num` shows that nothing is missing. Before an IDR picture it shows nothing, but
//! a pause like the others is no gap there either. If all pauses are before IDR pictures, only those that
//! repeat regularly belong to the rhythm.

use std::collections::VecDeque;

use super::cadence::is_near;
use crate::time::Nanos;

/// Number of pauses that are remembered.
const WINDOW: usize = 8;
/// Number of pauses of the same length after which another one is expected anywhere.
const MIN_PAUSES: usize = 2;

/// The recent pauses of a stream.
#[derive(Debug, Default)]
pub struct Pauses {
    /// The latest one last.
    recent: VecDeque<Pause>,
    /// Number of pictures since that.
    pictures: u64,
}

#[derive(Debug)]
struct Pause {
    length: Nanos,
    /// Number of pictures since the pause before it.
    pictures: u64,
    evidence: PauseEvidence,
}

/// Evidence of missing pictures at a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseEvidence {
    /// None is missing.
    Intact,
    /// Some are missing.
    Loss,
    /// Only the times can show missing pictures.
    Unknown,
}

impl Pauses {
    /// Counts a picture.
    pub fn add_picture(&mut self) {
        self.pictures += 1;
    }

    /// Adds a pause before the next picture.
    pub fn add(&mut self, length: Nanos, evidence: PauseEvidence) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(Pause {
            length,
            pictures: std::mem::take(&mut self.pictures),
            evidence,
        });
    }

    /// Returns whether a pause of this length before the next picture belongs to the rhythm.
    ///
    /// That takes two pauses of about this length without a loss; one is enough if it is as many
    /// pictures ago as it came after the pause before it. Where only times are evidence, two are needed, the
    /// last one as many pictures ago.
    pub fn expects(&self, length: Nanos) -> bool {
        let is_like = |pause: &&Pause| is_near(pause.length, length);
        let intact = |pause: &&Pause| pause.evidence == PauseEvidence::Intact && is_like(pause);
        let in_a_row = |pause: &&Pause| pause.evidence != PauseEvidence::Loss && is_like(pause);
        let is_periodic = (self.recent.back()).is_some_and(|last| last.pictures == self.pictures);
        let needed = match self.recent.back().filter(intact) {
            Some(_) => 1,
            None => MIN_PAUSES,
        };
        is_periodic && self.recent.iter().rev().take_while(in_a_row).count() >= needed
            || self.recent.iter().filter(intact).count() >= MIN_PAUSES
    }
}

#[cfg(test)]
mod tests {
    use super::PauseEvidence::{Intact, Loss, Unknown};
    use super::*;

    const MS: Nanos = Nanos::MSECOND;

    /// Bursts of so many pictures, with pauses of so many ms between them.
    fn pauses(bursts: &[(u64, u64, PauseEvidence)], pictures: u64) -> Pauses {
        let mut pauses = Pauses::default();
        for (pictures, length, evidence) in bursts {
            (0..*pictures).for_each(|_| pauses.add_picture());
            pauses.add(*length * MS, *evidence);
        }
        (0..pictures).for_each(|_| pauses.add_picture());
        pauses
    }

    #[test]
    fn bursts_of_the_same_size_are_expected_to_continue() {
        let regular = pauses(&[(10, 500, Intact)], 10);
        assert!(regular.expects(500 * MS) && regular.expects(420 * MS));
        assert!(!regular.expects(300 * MS) && !regular.expects(900 * MS));
        assert!(!pauses(&[(10, 500, Intact)], 9).expects(500 * MS));
        assert!(!Pauses::default().expects(500 * MS));
    }

    #[test]
    fn two_pauses_make_a_third_one_likely() {
        assert!(pauses(&[(3, 500, Intact), (5, 480, Intact)], 9).expects(500 * MS));
        assert!(!pauses(&[(3, 500, Intact), (5, 80, Intact)], 9).expects(500 * MS));
    }

    #[test]
    fn pauses_that_repeat_like_a_clock_are_expected() {
        let twice = [(20, 500, Unknown); 2];
        assert!(pauses(&twice, 20).expects(500 * MS));
        assert!(!pauses(&twice[..1], 20).expects(500 * MS));
        assert!(!pauses(&twice, 19).expects(500 * MS));
        assert!(!pauses(&[(20, 500, Unknown), (20, 300, Unknown)], 20).expects(500 * MS));
    }

    #[test]
    fn losses_make_no_other_one_likely() {
        assert!(!pauses(&[(10, 500, Loss), (10, 500, Loss)], 10).expects(500 * MS));
        let mut bursts = vec![(5, 500, Intact); 2];
        bursts.extend([(5, 500, Loss); 7]);
        assert!(!pauses(&bursts, 5).expects(500 * MS));
    }
}
