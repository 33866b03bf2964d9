// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the records of an entry as frames with times.

mod backward;
mod bounds;
mod episode;
mod error;
mod extent;
mod faults;
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
mod shared;
mod stats;

pub use bounds::{Asked, Bound};
pub use episode::Episode;
pub use error::Error;
pub use extent::Extent;
pub use faults::Fault;
pub use findings::{Finding, FindingCounts, Findings, MAX_FINDINGS};
pub use item::{Format, Frame, Item, RangeStart, Segment, ShownFrom};
pub use options::{DEFAULT_LOOKBACK, DEFAULT_PAUSE_LIMIT, OnFault, OptionNames, ReadOptions};
pub use ranges::{End, TimeRange};
pub use reader::{Position, Reader, Seek};
pub use stats::{Rates, Stats};
