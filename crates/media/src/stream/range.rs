// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The part of a recording that a stream puts out.

use crate::range::{Begin, End};
use crate::time::{CaptureTime, Nanos};

/// The part of a recording that a stream puts out.
#[derive(Debug, Clone, Copy)]
pub struct StreamRange {
    /// Time from which on records are read; that of the oldest record if `None`.
    pub from: Option<CaptureTime>,
    /// Nothing that may be shown is before `from`.
    pub is_earliest: bool,
    /// Frame with which the range begins.
    pub begin: Begin,
    /// Capture time to begin with.
    pub at: CaptureTime,
    /// Time of the first record that does not belong to the range.
    pub stop: Option<CaptureTime>,
    /// Frame with which the range ends.
    pub end: End,
    /// Capture time that is 0 in the timeline; that of the first record if `None`.
    pub origin: Option<CaptureTime>,
    /// First time in the timeline that is not shown.
    pub until: Option<Nanos>,
    /// The range begins at the time of a seek.
    pub is_sought: bool,
    /// Only keyframes are put out.
    pub keyframes_only: bool,
    /// A label alone says that the range begins with a keyframe.
    pub is_hint: bool,
    /// The caller can [supply](super::RecordedStream::supply_parameter_sets) parameter sets from before the range.
    pub searches_sets: bool,
    /// The caller can [supply](super::RecordedStream::supply_groups) the groups of pictures before the range.
    pub searches_groups: bool,
}

impl StreamRange {
    /// Returns the range of the frames that were captured from `start` on and before `stop`, from its first keyframe
    /// on. Records before it cannot be read.
    pub fn new(start: Option<CaptureTime>, stop: Option<CaptureTime>) -> Self {
        Self {
            from: start,
            is_earliest: true,
            begin: Begin::KeyframeAfter,
            at: start.unwrap_or_default(),
            stop,
            end: End::Exact,
            origin: start,
            until: None,
            is_sought: false,
            keyframes_only: false,
            is_hint: false,
            searches_sets: false,
            searches_groups: false,
        }
    }
}
