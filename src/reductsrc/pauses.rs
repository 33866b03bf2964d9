// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Pauses that belong to the rhythm of a camera, such as one that records in bursts.
//!
//! `frame_num` tells that nothing is missing after most of them. Before an IDR picture it says nothing, but a
//! pause like those is no gap either.

use std::collections::VecDeque;

use gst::ClockTime;

use super::cadence::is_near;

/// Pauses that are remembered.
const WINDOW: usize = 8;
/// Pauses of the same length from which on another one is expected anywhere.
const MIN_PAUSES: usize = 2;

/// The recent pauses of a stream.
#[derive(Debug, Default)]
pub struct Pauses {
    /// The latest one last.
    recent: VecDeque<Pause>,
    /// Pictures since that.
    pictures: u64,
}

#[derive(Debug)]
struct Pause {
    length: ClockTime,
    /// Pictures since the pause before it.
    pictures: u64,
    /// Nothing is missing there.
    is_intact: bool,
}

impl Pauses {
    /// Counts a picture.
    pub fn add_picture(&mut self) {
        self.pictures += 1;
    }

    /// Adds a pause before the next picture.
    pub fn add(&mut self, length: ClockTime, is_intact: bool) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(Pause {
            length,
            pictures: std::mem::take(&mut self.pictures),
            is_intact,
        });
    }

    /// Returns whether a pause of this length before the next picture is one of several like it without a loss:
    /// the last one was as many pictures after the one before it, or there were two at least.
    pub fn expects(&self, length: ClockTime) -> bool {
        let is_like = |pause: &&Pause| pause.is_intact && is_near(pause.length, length);
        let last = self.recent.back().filter(is_like);
        last.is_some_and(|last| last.pictures == self.pictures)
            || self.recent.iter().filter(is_like).count() >= MIN_PAUSES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: ClockTime = ClockTime::MSECOND;

    /// Bursts of so many pictures, with pauses of so many ms between them.
    fn pauses(bursts: &[(u64, u64, bool)], pictures: u64) -> Pauses {
        let mut pauses = Pauses::default();
        for (pictures, length, is_intact) in bursts {
            (0..*pictures).for_each(|_| pauses.add_picture());
            pauses.add(*length * MS, *is_intact);
        }
        (0..pictures).for_each(|_| pauses.add_picture());
        pauses
    }

    #[test]
    fn bursts_of_the_same_size_are_expected_to_continue() {
        let regular = pauses(&[(10, 500, true)], 10);
        assert!(regular.expects(500 * MS) && regular.expects(420 * MS));
        assert!(!regular.expects(300 * MS) && !regular.expects(900 * MS));
        assert!(!pauses(&[(10, 500, true)], 9).expects(500 * MS));
        assert!(!Pauses::default().expects(500 * MS));
    }

    #[test]
    fn two_pauses_make_a_third_one_likely() {
        assert!(pauses(&[(3, 500, true), (5, 480, true)], 9).expects(500 * MS));
        assert!(!pauses(&[(3, 500, true), (5, 80, true)], 9).expects(500 * MS));
    }

    #[test]
    fn losses_make_no_other_one_likely() {
        assert!(!pauses(&[(10, 500, false), (10, 500, false)], 10).expects(500 * MS));
        let mut bursts = vec![(5, 500, true); 2];
        bursts.extend([(5, 500, false); 7]);
        assert!(!pauses(&bursts, 5).expects(500 * MS));
    }
}
