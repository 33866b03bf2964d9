// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counts findings by kind.

use super::finding::Finding;

/// Numbers of findings by kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FindingCounts {
    /// Gaps by the times of records.
    pub gaps: u64,
    /// Losses by the numbers of pictures.
    pub losses: u64,
    /// Jumps of the times without a loss.
    pub clock_jumps: u64,
    /// Records that are damaged, empty or left out.
    pub damaged: u64,
    /// Frames at the beginning that cannot be decoded, one for all of them.
    pub undecodable: u64,
    /// Wrong labels `keyframe`.
    pub keyframe_labels: u64,
    /// Labels `fps` that are no frame rates, and declared frame rates that record times contradict.
    pub frame_rates: u64,
}

impl FindingCounts {
    /// Returns the number of all findings.
    pub fn total(&self) -> u64 {
        let labels = self.keyframe_labels + self.frame_rates;
        let records = self.damaged + self.undecodable;
        self.gaps + self.losses + self.clock_jumps + records + labels
    }

    /// Counts a finding.
    pub fn add(&mut self, finding: &Finding) {
        *match finding {
            Finding::Gap(_) => &mut self.gaps,
            Finding::Loss(_) => &mut self.losses,
            Finding::ClockJump(_) => &mut self.clock_jumps,
            Finding::Damaged { .. } => &mut self.damaged,
            Finding::Undecodable { .. } => &mut self.undecodable,
            Finding::KeyframeLabel { .. } => &mut self.keyframe_labels,
            Finding::FrameRateLabel { .. } | Finding::FrameRate(_) => &mut self.frame_rates,
        } += 1;
    }
}
