// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records beside a range that its frames depend on.

use crate::time::{CaptureTime, Nanos};
use crate::timeline::Group;

/// Reach of the search beyond an exact stop for pictures that are shown before it.
const MAX_BEYOND: Nanos = Nanos::from_seconds(10);

/// A request of a stream for facts from before its range. It continues with the answer.
#[derive(Debug, Clone, Copy)]
pub enum StreamRequest {
    /// The parameter sets of a record that begins with slices whose sets never came.
    ParameterSets {
        /// Time of the record in µs since the Unix epoch.
        before: u64,
    },
    /// The groups of pictures before the first one, whose times depend on them.
    Groups {
        /// The first group of the range.
        first: Group,
    },
}

/// Records beyond the stop of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsBeyond {
    /// Time of the first one.
    pub start: CaptureTime,
    /// Time before which the last one is; that of any if `None`.
    pub stop: Option<CaptureTime>,
}

impl RecordsBeyond {
    /// Returns the records from `start` on, all of them or only the next ones.
    pub(super) fn new(start: CaptureTime, is_near: bool) -> Self {
        Self {
            start,
            stop: is_near.then(|| start + MAX_BEYOND),
        }
    }
}
