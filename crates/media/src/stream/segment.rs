// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Ranges and segments of the timeline that frames belong to.

use crate::time::Nanos;
use crate::timeline::SegmentStart;

/// Begin of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeStart {
    /// First time that is shown.
    pub from: ShownFrom,
    /// First time in the timeline that is not shown.
    pub until: Option<Nanos>,
    /// Time in the timeline that is stream time 0.
    pub zero: Nanos,
}

/// First picture of a range that is shown. A decoder may need others before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownFrom {
    /// All pictures are shown.
    Beginning,
    /// The first picture in decoding order, which may not be the first one in output order.
    First,
    /// The first picture at or after a time in the timeline.
    Time(Nanos),
}

/// A segment of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Time and running time of its first slot.
    pub start: SegmentStart,
    /// PTS of its first picture in decoding order.
    pub first: Nanos,
    /// PTS of the first picture that is shown of an exact range.
    pub shown_from: Option<Nanos>,
    /// First time that is not shown, where pictures after it are read for others only.
    pub shown_until: Option<Nanos>,
}
