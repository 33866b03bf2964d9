// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Labels of the record that an episode becomes.

use super::policy::Episode;
use crate::content::{DURATION_LABEL, FPS_LABEL, FRAMES_LABEL, REASON_LABEL};
use crate::frame_rate::FrameRate;

impl Episode {
    /// Returns the labels of the record that the episode becomes, all of them ASCII: its duration in ns, the number of
    /// frames, the reason for which it ended, and `frame_rate`, if there is one that its times agree with.
    pub fn labels(&self, frame_rate: Option<FrameRate>) -> Vec<(&'static str, String)> {
        let mut labels = vec![
            (DURATION_LABEL, self.duration.nseconds().to_string()),
            (FRAMES_LABEL, self.frames.to_string()),
            (REASON_LABEL, self.reason.name().to_owned()),
        ];
        labels.extend(frame_rate.map(|rate| (FPS_LABEL, rate.label())));
        labels
    }

    /// Returns whether its frames come at a rate, on average within a fifth.
    pub fn agrees_with(&self, rate: FrameRate) -> bool {
        let frames = self.duration.nseconds() as f64 / 1e9 * rate.per_second();
        (frames - self.frames as f64).abs() <= 0.2 * self.frames as f64
    }
}
