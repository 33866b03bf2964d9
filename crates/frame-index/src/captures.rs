// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Capture times of samples, until the file of their episode is complete.

use std::collections::VecDeque;

use media::cut::FrameRow;
use media::time::CaptureTime;

/// Capture times of the samples of episodes whose files are not complete, 16 bytes for each.
#[derive(Debug, Default)]
pub struct SampleCaptures {
    /// Numbers of episodes, in order, and the capture times of their samples in decoding order.
    episodes: VecDeque<(u32, Vec<Option<CaptureTime>>)>,
}

impl SampleCaptures {
    /// Adds the row of the next sample.
    pub fn push(&mut self, row: &FrameRow) {
        match self.episodes.back_mut() {
            Some((episode, captures)) if *episode == row.episode => captures.push(row.capture),
            _ => self.episodes.push_back((row.episode, vec![row.capture])),
        }
    }

    /// Takes the capture times of the samples of an episode, all of which were added, and drops those of episodes before
    /// it.
    pub fn take(&mut self, episode: u32) -> Vec<Option<CaptureTime>> {
        while self.episodes.front().is_some_and(|it| it.0 <= episode) {
            match self.episodes.pop_front() {
                Some((number, captures)) if number == episode => return captures,
                _ => {}
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use media::time::Nanos;

    use super::*;

    fn row(episode: u32, us: u64) -> FrameRow {
        FrameRow {
            episode,
            number: 0,
            capture: time(us),
            pts: Nanos::ZERO,
            duration: Nanos::ZERO,
            is_keyframe: false,
            is_hidden: false,
            is_corrupted: false,
            bytes: 0,
        }
    }

    fn time(us: u64) -> Option<CaptureTime> {
        (us > 0).then(|| CaptureTime::from_useconds(us))
    }

    #[test]
    fn each_episode_gets_its_own_times() {
        let mut captures = SampleCaptures::default();
        for (episode, us) in [(0, 1), (0, 0), (1, 3), (2, 4), (4, 5)] {
            captures.push(&row(episode, us));
        }
        assert_eq!(captures.take(0), [time(1), None]);
        assert_eq!(captures.take(0), []);
        // The file of episode 1 was not written.
        assert_eq!(captures.take(2), [time(4)]);
        assert_eq!(captures.take(3), []);
        captures.push(&row(4, 6));
        assert_eq!(captures.take(4), [time(5), time(6)]);
    }
}
