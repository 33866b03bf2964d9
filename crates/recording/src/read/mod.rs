// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the records of an entry as frames with times.

mod backward;
mod bounds;
mod episode;
mod error;
mod extent;
mod findings;
mod item;
mod keyframe_records;
mod keyframes;
mod options;
mod parameter_sets;
mod preceding;
mod range;
mod ranges;
mod reader;
mod record_header;
mod shared;
mod stats;
#[cfg(test)]
mod testing;

pub use bounds::{Asked, Bound};
pub use episode::Episode;
pub use error::Error;
pub use extent::Extent;
pub use findings::{Findings, MAX_FINDINGS};
pub use item::{Format, Item};
pub use media::range::End;
pub use media::stream::{
    DEFAULT_PAUSE_LIMIT, Fault, Finding, FindingCounts, Frame, OnFault, OptionNames, RangeStart,
    Segment, ShownFrom, StreamOptions,
};
pub use options::{DEFAULT_LOOKBACK, ReadOptions};
pub use ranges::TimeRange;
pub use reader::{Position, Reader, Seek};
pub use record_header::RecordHeader;
pub use stats::{Rates, Stats};
