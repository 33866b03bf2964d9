// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counters of a stream.

/// Counters of a stream.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct StreamCounts {
    /// Frames that were put out.
    pub access_units: u64,
    /// Frames that were put out although slices, or pictures that they refer to, are missing.
    pub corrupted: u64,
    /// Access units that cannot be decoded and were left out.
    pub dropped: u64,
    /// Those of them that no keyframe precedes.
    pub undecodable: u64,
    /// Records with a fault.
    pub damaged: u64,
    /// Gaps.
    pub gaps: u64,
}
