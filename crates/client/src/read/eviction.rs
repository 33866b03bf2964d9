// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Detection of records that the server evicted before they were read.
//!
//! A bucket with a FIFO quota deletes its oldest blocks, and a query silently continues behind them. Records after a
//! time without any follow an eviction if the first of them is now the oldest of the entry, and there were older ones
//! before. (If the server reports an older time, the gap is not recognised as an eviction.)

use std::time::Instant;

use crate::entry::EntryTimes;
use crate::record::Record;

/// Shortest time without records, in µs, that is checked.
const MIN_HOLE_US: u64 = 1_000_000;
/// Shortest time without records that is checked, as a multiple of the usual distance.
const HOLE_FACTOR: u64 = 4;

/// Watches the times of an entry's records.
#[derive(Debug, Default)]
pub struct EvictionWatch {
    /// Start of the range, if it has one.
    start: Option<u64>,
    last: Option<u64>,
    /// Usual distance of two records, in µs.
    spacing: u64,
    times: Option<EntryTimes>,
}

impl EvictionWatch {
    /// Creates a watch for a range that begins at a time.
    pub fn new(start: Option<u64>) -> Self {
        Self {
            start,
            ..Self::default()
        }
    }

    /// Sets the time of the entry's oldest record, and the instant of that request.
    pub fn set_entry_times(&mut self, times: EntryTimes) {
        self.times = Some(times);
    }

    /// Returns whether [`set_entry_times`](Self::set_entry_times) has to be called before these records, which the
    /// server listed at an instant.
    pub fn must_hear_of_oldest(&self, records: &[Record], listed: Instant) -> bool {
        let is_known = self.times.is_some_and(|times| times.asked >= listed);
        !is_known && self.has_hole(records)
    }

    /// Takes the next records and marks the first one after an eviction. Returns whether there is one.
    pub fn mark(&mut self, records: &mut [Record]) -> bool {
        let found = self.after_eviction(records);
        if let Some(record) = found.and_then(|index| records.get_mut(index)) {
            record.after_eviction = true;
        }
        for record in records {
            let gap = self.last.map_or(0, |last| record.time.saturating_sub(last));
            self.spacing = self.spacing.midpoint(gap);
            self.last = Some(record.time);
        }
        found.is_some()
    }

    /// Returns whether a record at a time is the next one, as records usually come.
    pub fn is_due(&self, time: u64) -> bool {
        let gap = self.last.map(|last| time.saturating_sub(last));
        gap.is_some_and(|gap| gap <= self.spacing.saturating_add(self.spacing / 2))
    }

    fn has_hole(&self, records: &[Record]) -> bool {
        let mut last = self.last;
        records.iter().any(|record| {
            let before = last.replace(record.time);
            self.is_hole(before, record.time)
        })
    }

    fn is_hole(&self, before: Option<u64>, time: u64) -> bool {
        let limit = MIN_HOLE_US.max(self.spacing.saturating_mul(HOLE_FACTOR));
        match before {
            Some(before) => time.saturating_sub(before) > limit,
            None => self.start != Some(time),
        }
    }

    fn after_eviction(&self, records: &[Record]) -> Option<usize> {
        let EntryTimes {
            oldest,
            first_oldest,
            ..
        } = self.times?;
        // The last one is gone, or the entry begins later than before.
        let was_evicted = match self.last {
            Some(last) => last < oldest,
            None => first_oldest < oldest,
        };
        let index = records.iter().position(|record| record.time == oldest)?;
        let before = match index.checked_sub(1) {
            Some(before) => Some(records[before].time),
            None => self.last,
        };
        (was_evicted && self.is_hole(before, oldest)).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_due_as_others_were() {
        let mut watch = EvictionWatch::default();
        assert!(!watch.is_due(100));
        marked(&mut watch, &[100, 200, 300, 400, 500, 600, 700]);
        for (time, due) in [(790, true), (840, true), (860, false), (900, false)] {
            assert_eq!(watch.is_due(time), due, "{time}");
        }
    }

    const SECOND: u64 = 1_000_000;
    const NONE: [u64; 0] = [];

    fn records(times: &[u64]) -> Vec<Record> {
        let record = |&time: &u64| Record {
            time,
            content_type: String::new(),
            frame_rate: None,
            keyframe: None,
            duration: None,
            after_eviction: false,
            chunks: Vec::new(),
        };
        times.iter().map(record).collect()
    }

    fn marked(watch: &mut EvictionWatch, times: &[u64]) -> Vec<u64> {
        let mut records = records(times);
        let found = watch.mark(&mut records);
        let marked: Vec<_> = (records.iter().filter(|record| record.after_eviction))
            .map(|record| record.time)
            .collect();
        assert_eq!(found, !marked.is_empty());
        marked
    }

    fn times(first_oldest: u64, oldest: u64) -> EntryTimes {
        EntryTimes {
            records: 1,
            oldest,
            newest: u64::MAX,
            first_oldest,
            asked: Instant::now(),
        }
    }

    fn watch(read: &[u64]) -> EvictionWatch {
        let mut watch = EvictionWatch::default();
        watch.set_entry_times(times(0, 0));
        assert_eq!(marked(&mut watch, read), NONE);
        watch
    }

    #[test]
    fn a_hole_whose_end_is_the_oldest_record() {
        let mut watch = watch(&[0, 33_000, 66_000]);
        watch.set_entry_times(times(0, 90 * SECOND));
        let behind = [90 * SECOND, 90 * SECOND + 33_000];
        assert_eq!(marked(&mut watch, &behind), [90 * SECOND]);
        assert_eq!(marked(&mut watch, &[91 * SECOND]), NONE);
    }

    #[test]
    fn a_hole_in_the_middle_of_what_is_there() {
        let mut watch = watch(&[0, 33_000, 66_000]);
        watch.set_entry_times(times(0, 33_000));
        assert_eq!(marked(&mut watch, &[90 * SECOND]), NONE);
    }

    #[test]
    fn what_is_read_may_be_evicted_behind_the_reader() {
        let mut watch = watch(&[0, 33_000, 66_000]);
        watch.set_entry_times(times(0, 99_000));
        assert_eq!(marked(&mut watch, &[99_000, 132_000]), NONE);
    }

    #[test]
    fn only_the_first_record_behind_a_hole_is_marked() {
        let mut watch = watch(&[0, 33_000, 66_000]);
        watch.set_entry_times(times(0, 90 * SECOND + 33_000));
        let behind = [90 * SECOND, 90 * SECOND + 33_000];
        assert_eq!(marked(&mut watch, &behind), NONE);
    }

    #[test]
    fn the_beginning_of_the_range_may_be_evicted() {
        let mut watch = EvictionWatch::default();
        watch.set_entry_times(times(5, 90 * SECOND));
        assert_eq!(marked(&mut watch, &[90 * SECOND]), [90 * SECOND]);
        let mut watch = EvictionWatch::default();
        watch.set_entry_times(times(90 * SECOND, 90 * SECOND));
        assert_eq!(marked(&mut watch, &[90 * SECOND]), NONE);
    }

    #[test]
    fn only_unusual_holes_are_looked_into() {
        let heard = times(0, 0);
        let later = heard.asked + std::time::Duration::from_secs(1);
        let mut watch = EvictionWatch::default();
        watch.set_entry_times(heard);
        let every_two_seconds: Vec<_> = (0..9).map(|i| i * 2 * SECOND).collect();
        marked(&mut watch, &every_two_seconds);
        let next = 18 * SECOND;
        assert!(!watch.must_hear_of_oldest(&records(&[next]), later));
        assert!(watch.must_hear_of_oldest(&records(&[10 * next]), later));
        assert!(!watch.must_hear_of_oldest(&records(&[10 * next]), heard.asked));
    }
}
