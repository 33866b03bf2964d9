// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Times and URIs of the core as values of Python.

use std::time::Duration;

use client::EntryUri;
use media::time::{CaptureTime, Nanos};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors;

/// Returns whole µs since the Unix epoch. The latest time of the core is within an `i64`.
pub fn useconds(time: CaptureTime) -> i64 {
    i64::try_from(time.useconds()).unwrap_or(i64::MAX)
}

/// Returns nanoseconds. A stream of 292 years has as many as an `i64` can count.
pub fn nseconds(time: Nanos) -> i64 {
    i64::try_from(time.nseconds()).unwrap_or(i64::MAX)
}

/// Returns a time in µs since the Unix epoch as the core has it.
///
/// # Errors
///
/// `ValueError` for a time before the epoch, or later than the core can count.
pub fn capture_time(useconds: i64) -> PyResult<CaptureTime> {
    let time = u64::try_from(useconds).map(CaptureTime::from_useconds).ok();
    let time = time.filter(|time| *time <= CaptureTime::MAX_INPUT);
    time.ok_or_else(|| {
        PyValueError::new_err(format!(
            "{useconds} is no time in µs since the Unix epoch from 0 to {}",
            CaptureTime::MAX_INPUT.useconds()
        ))
    })
}

/// Returns the duration of an argument in seconds.
///
/// # Errors
///
/// `ValueError` that names the argument, for a value that is negative, not finite or too large.
pub fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

/// Returns the µs since the Unix epoch of a time by RFC 3339, or of such a number.
#[pyfunction]
pub fn parse_time(text: &str) -> PyResult<i64> {
    let time: CaptureTime = text
        .parse()
        .map_err(|error| PyValueError::new_err(format!("'{text}' is no time: {error}")))?;
    Ok(useconds(time))
}

/// URL of the server, bucket, entry and parameters of a URI.
type UriParts = (String, String, String, Vec<(String, String)>);

/// Returns the URL of the server, the bucket, the entry and the parameters of a URI `reduct://host:port/bucket/entry`.
#[pyfunction]
pub fn parse_uri(uri: &str) -> PyResult<UriParts> {
    let uri: EntryUri = uri.parse().map_err(|error| errors::uri(&error))?;
    Ok((uri.server.into(), uri.bucket, uri.entry, uri.parameters))
}
