// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Facts of a recording that its ranges share.

use crate::order::ReorderDepth;

/// Facts of a recording that a range takes over from those that were read before it.
#[derive(Debug, Default, Clone)]
pub struct StreamMemory {
    /// Reordering of the stream, as far as it is known.
    pub(super) depth: ReorderDepth,
    /// Time of the first record that was left out because its parameter sets never came, in µs since the Unix epoch.
    pub(super) first_without_sets: Option<u64>,
    /// A declared frame rate that is none was reported.
    pub(super) is_unreadable_rate_reported: bool,
    /// A declared frame rate that record times contradict was reported.
    pub(super) is_contradiction_reported: bool,
    /// A record was of use.
    pub(super) is_of_use: bool,
}
