// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Names of options in the messages of a timeline, as the users of a program know them.

/// Names of the options of a timeline, for messages. `None` for an option that users cannot set: no message advises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineNames {
    /// [`RateSource::Option`](super::RateSource::Option).
    pub frame_rate: Option<&'static str>,
    /// [`TimelineConfig::gap_tolerance`](super::TimelineConfig::gap_tolerance).
    pub gap_tolerance: Option<&'static str>,
    /// [`ContinuityConfig::pause_limit`](super::ContinuityConfig::pause_limit).
    pub pause_limit: &'static str,
    /// [`ContinuityConfig::on_loss`](super::ContinuityConfig::on_loss).
    pub on_loss: &'static str,
    /// Mark of access units that refer to missing ones, for "they are kept, …".
    pub corrupted: &'static str,
}

impl TimelineNames {
    /// The names of the fields.
    pub const DEFAULT: Self = Self {
        frame_rate: Some("option frame_rate"),
        gap_tolerance: Some("option gap_tolerance"),
        pause_limit: "option pause_limit",
        on_loss: "option on_loss",
        corrupted: "marked as corrupted",
    };
}

impl Default for TimelineNames {
    fn default() -> Self {
        Self::DEFAULT
    }
}
