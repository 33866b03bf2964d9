// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queued records on their way to the consumer, and statistics of a reader.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::vec;

use crate::record::Record;
use crate::retry::Retries;

/// Statistics of a reader, readable from any thread.
#[derive(Debug, Default)]
pub struct ReaderStats {
    /// Number of records read and not yet consumed.
    pub queue_records: AtomicU64,
    /// Memory that they take, in bytes.
    pub queue_bytes: AtomicU64,
    /// Number of records that the server sent twice or that are outside the range.
    pub skipped: AtomicU64,
    /// Number of gaps where the server evicted records before they were read.
    pub evicted: AtomicU64,
    /// Retries.
    pub retries: Retries,
    /// Number of connections in use.
    pub connections: Arc<AtomicU64>,
    /// Time that the consumer waited for records, in ns.
    pub network_wait: AtomicU64,
}

/// Room in memory, given back with the last clone.
pub type Room = Arc<dyn Any + Send + Sync>;

/// Records that arrived together. They count as queued as long as they are in here.
#[derive(Debug)]
pub struct Chunk {
    records: vec::IntoIter<Record>,
    received: Instant,
    stats: Arc<ReaderStats>,
    _room: Room,
}

impl Chunk {
    /// Creates a chunk of records from an answer that began at an instant.
    pub fn new(
        records: Vec<Record>,
        received: Instant,
        stats: &Arc<ReaderStats>,
        room: &Room,
    ) -> Self {
        let chunk = Self {
            records: records.into_iter(),
            received,
            stats: stats.clone(),
            _room: room.clone(),
        };
        let counts = &chunk.stats;
        counts
            .queue_records
            .fetch_add(chunk.len(), Ordering::Relaxed);
        counts
            .queue_bytes
            .fetch_add(chunk.bytes(), Ordering::Relaxed);
        chunk
    }

    /// Returns the records that are left.
    pub fn records(&self) -> &[Record] {
        self.records.as_slice()
    }

    /// Returns the records that are left, mutably.
    pub fn records_mut(&mut self) -> &mut [Record] {
        self.records.as_mut_slice()
    }

    /// Returns the number of records that are left.
    pub fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// Returns the memory that they take, in bytes.
    pub fn bytes(&self) -> u64 {
        let costs = self.records.as_slice().iter();
        costs.map(Record::cost).sum()
    }

    /// Drops the records before a time.
    pub fn skip_before(&mut self, time: u64) {
        let first = self.records.as_slice().first();
        if first.is_some_and(|record| record.time < time) {
            let count = (self.records.as_slice()).partition_point(|record| record.time < time);
            self.by_ref().take(count).for_each(drop);
        }
    }

    /// Returns the instant at which the server had listed these records.
    pub fn received(&self) -> Instant {
        self.received
    }
}

impl Iterator for Chunk {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let record = self.records.next()?;
        let bytes = record.cost();
        self.stats.queue_records.fetch_sub(1, Ordering::Relaxed);
        self.stats.queue_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Some(record)
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let (records, bytes) = (self.len(), self.bytes());
        self.stats
            .queue_records
            .fetch_sub(records, Ordering::Relaxed);
        self.stats.queue_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_records_count_as_what_they_take_in_memory() {
        let stats = Arc::new(ReaderStats::default());
        let record = Record {
            time: 1,
            content_type: "video/h264".into(),
            frame_rate: Some("30".into()),
            keyframe: None,
            duration: None,
            after_eviction: false,
            chunks: vec![vec![0; 17].into()],
        };
        let cost = record.cost();
        assert!(cost >= 100 + record.length(), "{cost}");
        let room: Room = Arc::new(());
        let mut chunk = Chunk::new(vec![record; 10], Instant::now(), &stats, &room);
        let queued = || stats.queue_bytes.load(Ordering::Relaxed);
        assert_eq!(queued(), 10 * cost);
        chunk.next();
        assert_eq!(queued(), 9 * cost);
        drop(chunk);
        assert_eq!(queued(), 0);
    }
}
