// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From the capture times of frames, as a camera gives them, to the times of records.

mod cadence;
mod declared_rate;
mod growth;
mod outliers;
mod stamps;
mod times;

pub use declared_rate::{RateCheck, Rated};
pub use outliers::Event;
#[cfg(any(test, feature = "testing"))]
pub use stamps::testing;
pub use stamps::{Capture, SourcedTime, TimeSource};
pub use times::{MovedFrames, RecordTimes, Timed};
