// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Capture times of the samples that the cutter puts out, for the index of each file.

use frame_index::SampleCaptures;
use media::cut::{CutOutput, FrameIndex, FrameRow, SplitMode};
use media::time::CaptureTime;

/// Capture times of samples, by episode, until the file of the episode is closed.
#[derive(Debug)]
pub struct EpisodeCaptures {
    index: FrameIndex,
    /// Rows of the latest outputs.
    rows: Vec<FrameRow>,
    captures: SampleCaptures,
}

impl EpisodeCaptures {
    /// Creates an empty collection for the output of a cutter from its begin.
    pub fn new(mode: SplitMode) -> Self {
        Self {
            index: FrameIndex::new(mode),
            rows: Vec::new(),
            captures: SampleCaptures::default(),
        }
    }

    /// Takes the next outputs.
    pub fn note<P, D, I>(&mut self, outputs: &[CutOutput<P, D, I>]) {
        for output in outputs {
            self.index.follow(output, &mut self.rows);
        }
        self.rows.drain(..).for_each(|row| self.captures.push(&row));
    }

    /// Takes the capture times of the samples of an episode that has ended, in decoding order.
    pub fn take(&mut self, episode: u32) -> Vec<Option<CaptureTime>> {
        self.captures.take(episode)
    }
}
