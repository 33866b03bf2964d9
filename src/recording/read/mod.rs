// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the records of an entry as access units with times.

pub mod bounds;
mod extent;
mod faults;
pub mod keyframes;
mod lookback;
mod preceding;
pub mod range;
pub mod ranges;
pub mod scope;
mod sift;
pub mod stats;
mod whole_records;
