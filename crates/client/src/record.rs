// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A record that was read.

use bytes::Bytes;

/// Overhead of a chunk of a record, in bytes.
const CHUNK_COST: usize = size_of::<Bytes>() + 32;

/// A record of an entry.
#[derive(Debug, Clone)]
pub struct Record {
    /// Time in µs since the Unix epoch.
    pub time: u64,
    /// Content type.
    pub content_type: String,
    /// Label `fps`.
    pub frame_rate: Option<String>,
    /// Label `keyframe`.
    pub keyframe: Option<bool>,
    /// Label `duration`, in ns.
    pub duration: Option<u64>,
    /// The server evicted records before it that were not read yet.
    pub after_eviction: bool,
    /// Content in the pieces in which it arrived; one piece unless it is large.
    pub chunks: Vec<Bytes>,
}

impl Record {
    /// Returns the length of the content, in bytes.
    pub fn length(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// Returns the memory that the record takes with its labels, in bytes.
    pub fn cost(&self) -> u64 {
        let texts = self.content_type.len() + self.frame_rate.as_ref().map_or(0, String::len);
        let chunks = self.chunks.len() * CHUNK_COST;
        self.length() + (size_of::<Self>() + texts + chunks) as u64
    }
}
