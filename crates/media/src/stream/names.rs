// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Names of options in the messages of a stream, as the users of a program know them.

use crate::timeline::TimelineNames;

/// Names of options in messages, as the users of a program know them. `None` for an option that they cannot set: no message
/// advises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionNames {
    /// Reach of the search for parameter sets before a range.
    pub lookback: &'static str,
    /// Frame rate of records without a label, and the options about gaps.
    pub timeline: TimelineNames,
    /// The condition that picks records.
    pub condition: Option<&'static str>,
    /// [`OnFault::Skip`](super::OnFault::Skip).
    pub skip_faults: Option<&'static str>,
    /// [`Begin::KeyframeBefore`](crate::range::Begin::KeyframeBefore).
    pub keyframe_before: Option<&'static str>,
    /// [`EntryPoints::IntraPictures`](crate::codec::h264::EntryPoints::IntraPictures).
    pub intra_pictures: Option<&'static str>,
}

impl Default for OptionNames {
    /// Returns the names that the options have in Rust.
    fn default() -> Self {
        Self {
            lookback: "option lookback",
            timeline: TimelineNames::DEFAULT,
            condition: Some("option when"),
            skip_faults: Some("OnFault::Skip"),
            keyframe_before: Some("Begin::KeyframeBefore"),
            intra_pictures: Some("EntryPoints::IntraPictures"),
        }
    }
}
