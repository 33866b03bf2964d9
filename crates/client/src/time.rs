// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Times of records as texts.

use chrono::{DateTime, SecondsFormat};

/// Returns the time of a record as text, with the number that it has in the store.
pub fn record_time(time: u64) -> String {
    format!("{} ({time} µs)", utc(time))
}

/// Returns a time in µs since the Unix epoch as text (RFC 3339).
pub fn utc(time: u64) -> String {
    let known = i64::try_from(time).ok();
    let known = known.and_then(DateTime::from_timestamp_micros);
    known.map_or_else(
        || format!("{time} µs"),
        |time| time.to_rfc3339_opts(SecondsFormat::Micros, true),
    )
}
