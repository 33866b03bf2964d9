// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! What a reader is asked for.

use std::time::Duration;

use serde_json::Value as JsonValue;

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Time of the first record, in µs since the Unix epoch.
    pub start: Option<u64>,
    /// Time of the first record that is left out.
    pub stop: Option<u64>,
    pub view: View,
    /// Only records whose label `keyframe` is true.
    pub keyframes: bool,
    /// Somebody waits for the first records, as after a seek.
    pub is_urgent: bool,
    /// Go on with what is written meanwhile, until the stop.
    pub follow: bool,
}

/// How to look at records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// All of them, ahead of who takes them.
    #[default]
    Range,
    /// A few beside that, by one query.
    Lookup,
    /// The same without their contents.
    Headers,
    /// Those that were just written, by one query.
    Tail,
    /// Only the times of the oldest and the newest one.
    Times,
}

/// What reading may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections with a query at once.
    pub connections: u32,
    /// Bytes of records in memory. A larger record passes alone.
    pub prefetch_bytes: u64,
    /// Attempts in a row without progress before an error.
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

/// Which records to read, and how.
#[derive(Debug, Clone)]
pub struct Records {
    pub bucket: String,
    pub entry: String,
    /// Conditional query: a JSON object.
    pub when: Option<JsonValue>,
    /// How often to ask for new ones, where what is read is followed.
    pub poll_interval: Option<Duration>,
    pub limits: Limits,
}
