// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the records of an entry as frames with times.

mod backward;
pub mod bounds;
pub mod episode;
pub mod error;
pub mod extent;
mod faults;
pub mod item;
mod keyframes;
pub mod options;
mod parameter_sets;
mod preceding;
mod range;
pub mod ranges;
pub mod reader;
mod shared;
mod sift;
pub mod stats;
mod whole_records;
