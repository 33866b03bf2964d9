// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The queue of records to be written, with batches and overflow.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::write::record::{Dropped, NewRecord};

/// Time without a keyframe, in µs, after which any record ends the dropping.
const MAX_DROPPED_US: u64 = 10_000_000;

/// Bytes of a place in the queue, averaged: a ring buffer has up to twice as many as it needs.
const PLACE_BYTES: usize = 3 * size_of::<QueuedRecord>() / 2;
/// Limits of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub records: usize,
    /// Bytes of the contents. A larger record is a batch of its own.
    pub bytes: u64,
}

/// A queued record.
#[derive(Debug)]
struct QueuedRecord {
    record: NewRecord,
    since: Instant,
    /// Bytes with which it was counted.
    cost: u64,
}

impl QueuedRecord {
    fn new(record: NewRecord) -> Self {
        Self {
            cost: cost(&record),
            since: Instant::now(),
            record,
        }
    }
}

/// Returns the bytes that a record takes while it waits.
fn cost(record: &NewRecord) -> u64 {
    record.cost().saturating_add(PLACE_BYTES as u64)
}

/// Queued records, in the order of their times.
#[derive(Debug, Default)]
pub struct WriteQueue {
    waiting: VecDeque<QueuedRecord>,
    /// Bytes that the records take.
    cost: u64,
    /// Bytes of the records' contents.
    length: u64,
    /// Bytes of contents in memory.
    memory_bytes: u64,
    /// Number of the first records that are in flight.
    in_flight: usize,
    /// Bytes of their contents.
    in_flight_length: u64,
    /// Time of the last dropped record: the following ones are dropped up to the next keyframe.
    dropping_since: Option<u64>,
}

impl WriteQueue {
    /// Returns the memory of queued records, in bytes.
    pub fn bytes(&self) -> u64 {
        self.cost
    }

    /// Returns the size of contents in memory, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Returns the number of queued records.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns whether a record fits in `limit` bytes. One always does.
    pub fn has_room_for(&self, record: &NewRecord, limit: u64) -> bool {
        self.is_empty() || self.cost.saturating_add(cost(record)) <= limit
    }

    /// Adds a record, or returns the records that were dropped, because it cannot be decoded any more.
    pub fn push(&mut self, record: NewRecord) -> Option<Dropped> {
        if let Some(since) = self.dropping_since {
            // A stream may have no other keyframe.
            let is_long_ago = record.time.saturating_sub(since) > MAX_DROPPED_US;
            if record.is_entry_point || is_long_ago && self.is_empty() {
                self.dropping_since = None;
            } else {
                record.forget();
                return Some(Dropped::default().with(&record));
            }
        }
        let waiting = QueuedRecord::new(record);
        self.add(&waiting);
        self.waiting.push_back(waiting);
        None
    }

    /// Adds records before all others.
    pub fn put_before(&mut self, records: Vec<NewRecord>) {
        for record in records.into_iter().rev() {
            let waiting = QueuedRecord::new(record);
            self.add(&waiting);
            self.waiting.push_front(waiting);
        }
    }

    /// Returns the number of queued records in memory.
    pub fn records_in_memory(&self) -> usize {
        let waiting = self.waiting.iter().map(|waiting| &waiting.record);
        waiting.filter(|record| record.is_in_memory()).count()
    }

    /// Returns the records in memory that are not in flight.
    pub fn in_memory(&self) -> Vec<NewRecord> {
        let waiting = self.waiting.iter().skip(self.in_flight);
        let waiting = waiting.map(|waiting| &waiting.record);
        waiting
            .filter(|record| record.is_in_memory())
            .cloned()
            .collect()
    }

    /// Replaces contents [in memory](Self::in_memory) by those in files. Files are released where the
    /// records no longer wait.
    pub fn put_in_files(&mut self, records: Vec<NewRecord>) {
        // Both are in the order of their times.
        let waiting = self.waiting.iter_mut().map(|waiting| &mut waiting.record);
        let mut waiting = waiting.filter(|record| record.is_in_memory()).peekable();
        for kept in records.into_iter().filter(|record| !record.is_in_memory()) {
            while waiting.next_if(|waits| waits.time < kept.time).is_some() {}
            match waiting.next_if(|waits| waits.time == kept.time) {
                Some(waits) => {
                    self.memory_bytes -= waits.length();
                    waits.content = kept.content;
                }
                None => kept.forget(),
            }
        }
    }

    fn add(&mut self, waiting: &QueuedRecord) {
        self.cost = self.cost.saturating_add(waiting.cost);
        self.length = self.length.saturating_add(waiting.record.length());
        if waiting.record.is_in_memory() {
            self.memory_bytes = self.memory_bytes.saturating_add(waiting.record.length());
        }
    }

    /// Subtracts a record that leaves the queue, and releases its file.
    fn remove(&mut self, waiting: &QueuedRecord) {
        waiting.record.forget();
        self.cost = self.cost.saturating_sub(waiting.cost);
        self.length = self.length.saturating_sub(waiting.record.length());
        if waiting.record.is_in_memory() {
            self.memory_bytes = self.memory_bytes.saturating_sub(waiting.record.length());
        }
    }

    /// Drops the oldest group of pictures that is not in flight, or its rest. If it may continue, the following
    /// records are dropped as well.
    pub fn drop_oldest_group(&mut self) -> Dropped {
        self.drop_group(self.in_flight)
    }

    /// Drops the oldest group of pictures in memory that is not in flight.
    pub fn drop_oldest_group_in_memory(&mut self) -> Dropped {
        let waiting = self.waiting.iter().skip(self.in_flight);
        let in_files = waiting.take_while(|waiting| !waiting.record.is_in_memory());
        self.drop_group(self.in_flight + in_files.count())
    }

    /// Drops a group of pictures, from an index up to the next entry point.
    fn drop_group(&mut self, begin: usize) -> Dropped {
        let rest = self.waiting.iter().skip(begin + 1);
        let next = rest
            .map(|waiting| &waiting.record)
            .position(|record| record.is_entry_point);
        if next.is_none() {
            let last = self.waiting.back().map(|waiting| waiting.record.time);
            self.dropping_since = self.dropping_since.or(Some(last.unwrap_or(0)));
        }
        let end = next.map_or(self.waiting.len(), |next| begin + 1 + next);
        let group: Vec<_> = self.waiting.drain(begin.min(end)..end).collect();
        group.iter().fold(Dropped::default(), |dropped, waiting| {
            self.remove(waiting);
            dropped.with(&waiting.record)
        })
    }

    /// Returns when the first records that are not in flight are due: at once if they are a full batch, or if
    /// the oldest one has waited for `max_wait`.
    pub fn due(&self, limits: BatchLimits, max_wait: Duration) -> Due {
        let Some(first) = self.waiting.get(self.in_flight) else {
            return Due::Never;
        };
        let count = self.waiting.len() - self.in_flight;
        let length = self.length.saturating_sub(self.in_flight_length);
        if count >= limits.records || length >= limits.bytes {
            return Due::Now;
        }
        let wait = max_wait.saturating_sub(first.since.elapsed());
        match wait.is_zero() {
            true => Due::Now,
            false => Due::In(wait),
        }
    }

    /// Returns the next batch, of records of one run. Its records are in flight until they are
    /// [acknowledged](Self::acknowledge).
    pub fn take_batch(&mut self, limits: BatchLimits) -> Vec<NewRecord> {
        let mut bytes = 0_u64;
        let batch = self.waiting.iter().skip(self.in_flight);
        let batch = batch.map(|waiting| &waiting.record);
        let first = batch.clone().next();
        let origin = first.map_or((false, None), |first| {
            (first.is_recovered, first.unsent_run)
        });
        let batch: Vec<_> = batch
            .take(limits.records)
            .enumerate()
            .take_while(|(index, record)| {
                bytes = bytes.saturating_add(record.length());
                (*index == 0 || bytes <= limits.bytes)
                    && (record.is_recovered, record.unsent_run) == origin
            })
            .map(|(_, record)| record.clone())
            .collect();
        self.in_flight += batch.len();
        self.in_flight_length += batch.iter().map(NewRecord::length).sum::<u64>();
        batch
    }

    /// Returns how many of the first records are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Removes the first records, which are written and were in flight.
    pub fn acknowledge(&mut self, count: usize) {
        let written: Vec<_> = self.waiting.drain(..count.min(self.in_flight)).collect();
        self.in_flight -= written.len();
        for waiting in &written {
            let length = waiting.record.length();
            self.in_flight_length = self.in_flight_length.saturating_sub(length);
            self.remove(waiting);
        }
    }
}

/// Time at which the next batch is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Now,
    In(Duration),
    Never,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::schema::VIDEO;
    use crate::testing::record;
    use crate::write::record::Content;
    use crate::write::record::Dropped;
    use crate::write::record::NewRecord;
    use crate::write::spool::{Spool, SpoolSync};

    const LIMITS: BatchLimits = BatchLimits {
        records: 3,
        bytes: 100,
    };

    /// Groups of pictures of these lengths, each record with ten bytes and a time one later.
    fn groups(lengths: &[u64]) -> WriteQueue {
        let mut queue = WriteQueue::default();
        let mut time = 0;
        for length in lengths {
            for at in 0..*length {
                assert!(queue.push(record(time, 10, at == 0)).is_none());
                time += 1;
            }
        }
        queue
    }

    /// Returns the memory of a record whose content has one part.
    fn cost(length: usize) -> u64 {
        super::cost(&record(0, length, true))
    }

    fn times(queue: &WriteQueue) -> Vec<u64> {
        queue
            .waiting
            .iter()
            .map(|waiting| waiting.record.time)
            .collect()
    }

    fn batch(queue: &mut WriteQueue) -> Vec<u64> {
        let batch = queue.take_batch(LIMITS);
        batch.iter().map(|record| record.time).collect()
    }

    #[test]
    fn headers() {
        let mut record = record(5, 7, true);
        assert_eq!(record.header(&VIDEO), "7,video/h264,keyframe=true");
        record.frame_rate = Some("29.97".into());
        record.keyframe = false;
        record.labels = [("camera", "front, left"), ("site", "3")]
            .map(|(key, value)| (key.into(), value.into()))
            .into();
        assert_eq!(
            record.header(&VIDEO),
            "7,video/h264,fps=29.97,keyframe=false,camera=\"front, left\",site=3"
        );
    }

    #[test]
    fn batches_in_order() {
        let mut queue = groups(&[5]);
        assert_eq!(batch(&mut queue), [0, 1, 2]);
        // The first one is still in flight.
        assert_eq!(batch(&mut queue), [3, 4]);
        assert!(batch(&mut queue).is_empty());
        assert_eq!(queue.due(LIMITS, Duration::ZERO), Due::Never);
        queue.acknowledge(3);
        assert_eq!((queue.len(), queue.bytes()), (2, 2 * cost(10)));
        assert_eq!(queue.in_flight(), 2);
        queue.acknowledge(usize::MAX);
        assert!(queue.is_empty());
        assert_eq!(queue.bytes(), 0);
        assert!(batch(&mut queue).is_empty());
    }

    #[test]
    fn a_batch_has_no_more_bytes_than_it_may() {
        let mut queue = WriteQueue::default();
        let lengths = [200, 0, 101, 60, 40, 1, 0];
        for (time, length) in (0..).zip(lengths) {
            queue.push(record(time, length, true));
        }
        // An empty record is the first one of its batch like any other.
        for expected in [&[0][..], &[1], &[2], &[3, 4], &[5, 6]] {
            assert_eq!(batch(&mut queue), expected);
            queue.acknowledge(usize::MAX);
        }
    }

    #[test]
    fn recovered_records_are_batches_of_their_own() {
        let mut queue = WriteQueue::default();
        for time in 0..2 {
            queue.push(NewRecord {
                is_recovered: true,
                ..record(time, 10, true)
            });
        }
        queue.push(record(2, 10, true));
        assert_eq!(batch(&mut queue), [0, 1]);
        queue.acknowledge(usize::MAX);
        assert_eq!(batch(&mut queue), [2]);
    }

    #[test]
    fn a_batch_is_due_when_it_is_full_or_old() {
        let soon = Duration::from_secs(1000);
        let mut queue = groups(&[2]);
        assert!(matches!(queue.due(LIMITS, soon), Due::In(_)));
        assert_eq!(queue.due(LIMITS, Duration::ZERO), Due::Now);
        queue.push(record(2, 10, false));
        assert_eq!(queue.due(LIMITS, soon), Due::Now);
        assert_eq!(WriteQueue::default().due(LIMITS, soon), Due::Never);
        let mut queue = WriteQueue::default();
        queue.push(record(0, 100, true));
        assert_eq!(queue.due(LIMITS, soon), Due::Now);
    }

    #[test]
    fn whole_groups_go_oldest_first() {
        let mut queue = groups(&[2, 3, 2]);
        let dropped = queue.drop_oldest_group();
        let expected = Dropped {
            records: 2,
            frames: 2,
            from: Some(0),
        };
        assert_eq!(dropped, expected);
        assert_eq!(times(&queue), [2, 3, 4, 5, 6]);
        assert_eq!(queue.bytes(), 5 * cost(10));
        assert_eq!(queue.drop_oldest_group().records, 3);
        assert_eq!(times(&queue), [5, 6]);
    }

    #[test]
    fn what_is_on_its_way_stays() {
        let mut queue = groups(&[5, 2]);
        assert_eq!(batch(&mut queue), [0, 1, 2]);
        // The rest of its group is dropped: the written part can be decoded.
        assert_eq!(queue.drop_oldest_group().from, Some(3));
        assert_eq!(times(&queue), [0, 1, 2, 5, 6]);
        queue.acknowledge(usize::MAX);
        assert_eq!(times(&queue), [5, 6]);
    }

    #[test]
    fn the_last_group_goes_with_what_follows() {
        let mut queue = groups(&[2]);
        assert_eq!(queue.drop_oldest_group().records, 2);
        assert_eq!(queue.push(record(2, 10, false)).unwrap().from, Some(2));
        assert!(queue.is_empty());
        assert_eq!(queue.push(record(3, 10, true)), None);
        assert_eq!(queue.push(record(4, 10, false)), None);
        assert_eq!(times(&queue), [3, 4]);
    }

    #[test]
    fn a_stream_without_further_keyframes_goes_on() {
        let mut queue = groups(&[2]);
        queue.drop_oldest_group();
        assert!(queue.push(record(MAX_DROPPED_US, 10, false)).is_some());
        let late = record(MAX_DROPPED_US + 2, 10, false);
        assert!(queue.push(late).is_none());
        assert_eq!(times(&queue), [MAX_DROPPED_US + 2]);
    }

    #[test]
    fn what_was_left_comes_before_what_waits() {
        let mut queue = groups(&[2]);
        let left = vec![record(100, 10, true), record(101, 10, false)];
        queue.put_before(left);
        assert_eq!(times(&queue), [100, 101, 0, 1]);
        assert_eq!(queue.bytes(), 4 * cost(10));
    }

    /// Moves records to a file.
    fn spool(records: &mut [NewRecord]) -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(folder.path(), "b", "e", SpoolSync::None).unwrap();
        for record in records {
            spool.append(record).unwrap();
        }
        (folder, spool)
    }

    fn in_memory(queue: &WriteQueue) -> Vec<u64> {
        let records = queue.in_memory().into_iter();
        records.map(|record| record.time).collect()
    }

    #[test]
    fn records_are_put_in_files_while_others_come_and_go() {
        let mut queue = groups(&[2, 4]);
        let mut records = queue.in_memory();
        let (folder, spool) = spool(&mut records[..5]);
        // Meanwhile the first group was dropped, and another record came.
        queue.drop_oldest_group();
        queue.push(record(6, 10, true));
        queue.put_in_files(records);
        assert_eq!(in_memory(&queue), [5, 6]);
        assert_eq!((queue.bytes(), queue.memory_bytes()), (5 * cost(10), 20));
        drop(spool);
        assert_eq!(
            std::fs::read_dir(folder.path().join("b/e"))
                .unwrap()
                .count(),
            2
        );
        queue.take_batch(LIMITS);
        queue.acknowledge(usize::MAX);
        assert_eq!((queue.bytes(), queue.memory_bytes()), (2 * cost(10), 20));
        // Only the lock is left.
        assert_eq!(
            std::fs::read_dir(folder.path().join("b/e"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn what_is_in_files_stays_where_memory_is_short() {
        let mut queue = groups(&[2, 3, 2]);
        let mut records = queue.in_memory();
        let _spool = spool(&mut records[..3]);
        queue.put_in_files(records);
        let dropped = queue.drop_oldest_group_in_memory();
        assert_eq!((dropped.records, dropped.from), (2, Some(3)));
        assert_eq!(times(&queue), [0, 1, 2, 5, 6]);
        assert_eq!(queue.drop_oldest_group_in_memory().from, Some(5));
        assert_eq!(queue.drop_oldest_group_in_memory().records, 0);
        assert_eq!((queue.bytes(), queue.memory_bytes()), (3 * cost(10), 0));
        assert_eq!(times(&queue), [0, 1, 2]);
    }

    #[test]
    fn batches_have_records_of_one_run() {
        let mut queue = WriteQueue::default();
        let left = |time, unsent_run| NewRecord {
            is_recovered: true,
            unsent_run,
            ..record(time, 10, true)
        };
        queue.put_before(vec![
            left(0, None),
            left(1, Some(7)),
            left(2, Some(8)),
            left(3, Some(8)),
        ]);
        for expected in [&[0][..], &[1], &[2, 3]] {
            assert_eq!(batch(&mut queue), expected);
            queue.acknowledge(usize::MAX);
        }
    }

    #[test]
    fn one_record_always_has_room() {
        let mut queue = WriteQueue::default();
        assert!(queue.has_room_for(&record(0, 100, true), 50));
        queue.push(record(0, 30, true));
        let limit = cost(30) + cost(20);
        assert!(queue.has_room_for(&record(1, 20, true), limit));
        assert!(!queue.has_room_for(&record(1, 21, true), limit));
    }

    #[test]
    fn records_without_content_need_room() {
        let mut queue = WriteQueue::default();
        let limit = 100_000;
        while queue.has_room_for(&record(0, 0, true), limit) {
            queue.push(record(0, 0, true));
        }
        assert!((100..1000).contains(&queue.len()), "{}", queue.len());
        // A record with labels takes more, and so does one of several parts.
        let labels = [("camera".to_owned(), "x".repeat(1000))];
        let labeled = NewRecord {
            labels: labels.into(),
            ..record(0, 0, true)
        };
        assert!(super::cost(&labeled) > cost(1000));
        let parts = NewRecord {
            content: Content::Memory(vec![Bytes::new(); 10]),
            ..record(0, 0, true)
        };
        assert!(super::cost(&parts) > cost(0) + 9 * size_of::<Bytes>() as u64);
    }
}
