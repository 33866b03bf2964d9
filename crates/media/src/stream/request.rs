// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records before a range that its frames depend on.

use crate::timeline::Group;

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
