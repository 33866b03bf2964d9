// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Bounds of a range on the command line.

use std::ops::Bound;

use media::time::{CaptureTime, InvalidCaptureTime};

/// Parses a bound of the range, which has none without a text.
pub fn parse(
    text: Option<&String>,
    kind: fn(CaptureTime) -> Bound<CaptureTime>,
) -> Result<Bound<CaptureTime>, InvalidCaptureTime> {
    text.map_or(Ok(Bound::Unbounded), |text| Ok(kind(text.parse()?)))
}
