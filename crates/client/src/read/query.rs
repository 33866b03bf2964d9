// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queries and options of readers.

use std::time::Duration;

use serde_json::Value as JsonValue;

/// A query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Time of the first record, in µs since the Unix epoch.
    pub start: Option<u64>,
    /// Time of the first record that is left out.
    pub stop: Option<u64>,
    /// Kind of access.
    pub view: View,
    /// Only records whose label `keyframe` is true.
    pub keyframes: bool,
    /// The caller waits for the first records, as after a seek.
    pub is_urgent: bool,
    /// Probably only the first records are taken: they are read a few at a time.
    pub is_lookahead: bool,
    /// Continue with records that are written meanwhile, until the stop.
    pub follow: bool,
}

/// Kind of access to records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// All records, prefetched.
    #[default]
    Range,
    /// A few records beside that, by one query.
    Lookup,
    /// A few records without their contents.
    Headers,
    /// Records that were just written, by one query.
    Tail,
    /// Only the times of the oldest and the newest one.
    Times,
}

/// Limits of reading.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest number of connections with a query.
    pub connections: u32,
    /// Memory for records, in bytes. A larger record passes alone.
    pub prefetch_bytes: u64,
    /// Retries in a row without progress before an error.
    pub retries: u32,
    /// Largest content of a record, in bytes. A larger one is an error.
    pub max_record_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8,
            prefetch_bytes: 64 << 20,
            retries: 10,
            max_record_bytes: 1 << 30,
        }
    }
}

/// An entry and the options of reading it.
#[derive(Debug, Clone)]
pub struct Records {
    /// Name of the bucket.
    pub bucket: String,
    /// Name of the entry.
    pub entry: String,
    /// Conditional query: a JSON object.
    pub when: Option<JsonValue>,
    /// Interval of polling for new records; `None` if the entry is not followed.
    pub poll_interval: Option<Duration>,
    /// Limits.
    pub limits: Limits,
}
