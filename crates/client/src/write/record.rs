// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A record that is to be written.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;

use crate::schema::Schema;
use crate::write::stored::Spooled;

/// Overhead of a part of a content, in bytes: the reference, its shared allocation and the allocator's bookkeeping.
const PART_BYTES: usize = size_of::<Bytes>() + 80;

/// A record to be written.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Time in µs since the Unix epoch.
    pub time: u64,
    /// Content.
    pub content: Content,
    /// Label `fps`.
    pub frame_rate: Option<Arc<str>>,
    /// Label `keyframe`.
    pub keyframe: bool,
    /// Decoding can start here, and following records depend on it.
    pub is_entry_point: bool,
    /// Further labels. Neither keys nor values have control characters or quotes.
    pub labels: Arc<[(String, String)]>,
    /// Number of frames that begin in it.
    pub frames: u64,
    /// The time came with the content; otherwise it is from a local clock.
    pub has_fixed_time: bool,
    /// It was recovered from the spool.
    pub is_recovered: bool,
    /// Run that left it, if that run had not sent any record.
    pub unsent_run: Option<u64>,
}

/// Content of a record.
#[derive(Debug, Clone)]
pub enum Content {
    /// Parts in memory, in order.
    Memory(Vec<Bytes>),
    /// In a file of the spool.
    Spooled(Spooled),
}

impl NewRecord {
    /// Returns the length of the content, in bytes.
    pub fn length(&self) -> u64 {
        match &self.content {
            Content::Memory(parts) => parts.iter().map(|part| part.len() as u64).sum(),
            Content::Spooled(spooled) => spooled.length(),
        }
    }

    /// Returns whether the content is in memory.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.content, Content::Memory(_))
    }

    /// Returns the memory of the record in bytes: its content, its labels and overhead, which for small records is
    /// most of it.
    pub fn cost(&self) -> u64 {
        let parts = match &self.content {
            Content::Memory(parts) => parts.len(),
            Content::Spooled(_) => 1,
        };
        let labels = self
            .labels
            .iter()
            .map(|(key, value)| key.len() + value.len());
        let rest = parts * PART_BYTES + labels.sum::<usize>();
        self.length().saturating_add(rest as u64)
    }

    /// Releases the record's file, because it is written or dropped.
    pub fn forget(&self) {
        if let Content::Spooled(spooled) = &self.content {
            spooled.forget();
        }
    }

    /// Returns the value of its header in a batch.
    pub fn header(&self, schema: &Schema) -> String {
        let mut header = format!("{},{}", self.length(), schema.content_type);
        let mut label = |key: &str, value: &str| {
            // A string takes all.
            let _ = match value.contains(',') {
                true => write!(header, ",{key}=\"{value}\""),
                false => write!(header, ",{key}={value}"),
            };
        };
        if let Some(rate) = &self.frame_rate {
            label(schema.frame_rate, rate);
        }
        label(
            schema.keyframe,
            if self.keyframe { "true" } else { "false" },
        );
        for (key, value) in &*self.labels {
            label(key, value);
        }
        header
    }
}

/// Returns whether a further label may have this name: names are parts of HTTP headers, which are in
/// lower case.
pub fn is_label_name(name: &str) -> bool {
    let may_be = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    !name.is_empty() && name.chars().all(may_be)
}

/// Returns whether a label may have this value.
pub fn is_label_value(value: &str) -> bool {
    let may_be = |c: char| c == ' ' || c.is_ascii_graphic() && c != '"';
    value.chars().all(may_be)
}

/// Number of dropped records and frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Records.
    pub records: u64,
    /// Frames that begin in them.
    pub frames: u64,
    /// Time of the first one, in µs since the Unix epoch.
    pub from: Option<u64>,
}

impl Dropped {
    /// Returns the sum with a record.
    pub fn with(self, record: &NewRecord) -> Self {
        Self {
            records: self.records + 1,
            frames: self.frames + record.frames,
            from: self.from.or(Some(record.time)),
        }
    }

    /// Returns the sum of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            frames: self.frames + other.frames,
            from: self.from.or(other.from),
        }
    }
}
