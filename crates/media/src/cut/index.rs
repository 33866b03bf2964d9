// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Index of the frames in episodes: a row for each sample.

use super::assign::{Assigned, EpisodeAssigner};
use super::modes::SplitMode;
use super::writer::{CutOutput, EpisodeSample, SampleRole};
use crate::time::{CaptureTime, Nanos};

/// A sample of an episode, as an index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRow {
    /// Number of the episode, from 0.
    pub episode: u32,
    /// Number of the sample in the episode, in decoding order and from 0.
    pub number: u64,
    /// Capture time since the Unix epoch, if it is known.
    pub capture: Option<CaptureTime>,
    /// Running time of the PTS.
    pub pts: Nanos,
    /// Duration of the picture.
    pub duration: Nanos,
    /// Decoding can begin here, and an episode.
    pub is_keyframe: bool,
    /// It is not shown: only a decoder needs it.
    pub is_hidden: bool,
    /// It is damaged, or refers to pictures that are missing.
    pub is_corrupted: bool,
    /// Size in bytes.
    pub bytes: usize,
}

impl FrameRow {
    /// Returns the row of a sample at its place in an episode.
    pub fn new<P>(episode: u32, number: u64, sample: &EpisodeSample<P>) -> Self {
        Self {
            episode,
            number,
            capture: sample.capture,
            pts: sample.pts,
            duration: sample.duration,
            is_keyframe: sample.role == SampleRole::Keyframe,
            is_hidden: sample.is_hidden,
            is_corrupted: sample.is_corrupted,
            bytes: sample.bytes,
        }
    }
}

/// Makes the rows of samples, each once and in order, as soon as the episode of a sample is known: in
/// [`SplitMode::AtMost`] at the end of its group of pictures.
#[derive(Debug)]
pub struct FrameIndex {
    assigner: EpisodeAssigner<FrameRow>,
}

impl FrameIndex {
    /// Creates an index for the output of a [`Cutter`](super::Cutter) from its begin.
    pub fn new(mode: SplitMode) -> Self {
        Self {
            assigner: EpisodeAssigner::new(mode),
        }
    }

    /// Takes the next output of the cutter, and appends to `rows` those of samples whose episode is known now.
    pub fn follow<P, D, I>(&mut self, output: &CutOutput<P, D, I>, rows: &mut Vec<FrameRow>) {
        let placed = |assigned: Assigned<FrameRow>| FrameRow {
            episode: assigned.episode,
            number: assigned.number,
            ..assigned.item
        };
        match output {
            CutOutput::Begin(begin) => self.assigner.begin(begin.index),
            CutOutput::Sample(sample) => {
                let row = FrameRow::new(0, 0, sample);
                rows.extend(self.assigner.add(row, row.is_keyframe).map(placed));
            }
            CutOutput::End(episode, _) => {
                rows.extend(self.assigner.end(episode.samples()).map(placed));
            }
            CutOutput::Notice(_) => {}
        }
    }
}
