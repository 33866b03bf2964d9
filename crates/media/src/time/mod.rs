// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Times: durations in nanoseconds, and capture times, which are points in time.

mod capture_time;
mod nanos;

pub(crate) use capture_time::utc;
pub use capture_time::{CaptureTime, InvalidCaptureTime};
pub use nanos::Nanos;
