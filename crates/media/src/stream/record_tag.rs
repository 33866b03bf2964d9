// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Tags of records: their times and labels.

/// Time and labels of a record, as a store has them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RecordTag {
    /// Time in µs since the Unix epoch.
    pub time: u64,
    /// Label `fps`.
    pub frame_rate: Option<String>,
    /// Label `keyframe`.
    pub keyframe: Option<bool>,
}
