// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of a reader, and those of one of its ranges.

use media::stream::{StreamOptions, StreamRange};
use media::time::Nanos;

use super::bounds::Asked;

/// Default of [`ReadOptions::lookback`].
pub const DEFAULT_LOOKBACK: Nanos = Nanos::from_seconds(60);

/// Options of a reader.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Options of the stream of each range.
    pub stream: StreamOptions,
    /// Time before a range in which its parameter sets are searched if it begins without them.
    pub lookback: Nanos,
    /// The ranges as the user gave them, for messages.
    pub asked: Vec<Asked>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            stream: StreamOptions::default(),
            lookback: DEFAULT_LOOKBACK,
            asked: Vec::new(),
        }
    }
}

/// Options of one range.
#[derive(Debug, Clone)]
pub struct RangeOptions {
    /// The part of the recording that is read.
    pub range: StreamRange,
    /// Index of the range among those that the user gave, if it is a whole one.
    pub asked: Option<usize>,
    /// No range comes after it.
    pub is_last: bool,
}
