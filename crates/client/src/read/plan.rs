// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Division of a range into windows that are read concurrently.
//!
//! The content of a range is not known in advance. A first window, a probe, reads a few records. Then each window is
//! as long as the last one suggests: windows grow where there is little, and one with more than its share is read in
//! part, after which its rest is divided again.

use std::ops::Range;
use std::time::Duration;

use crate::http::batch::WINDOW_RECORDS;

/// Limits of a probe: small, because nothing is read beside it. ReductStore 1.21 sends the data of more small records in
/// several parts without TCP_NODELAY: the last part waits until Linux acknowledges the one before it, 40 ms.
const PROBE_RECORDS: u64 = 16;
const PROBE_BYTES: u64 = 1 << 20;
/// Records of a probe whose first ones are waited for: two seconds of many cameras.
const URGENT_PROBE_RECORDS: u64 = 64;
/// Records of the first probe of a lookahead: a frame is complete with the one after it, and a few are reordered.
const LOOKAHEAD_RECORDS: u64 = 4;
/// Largest growth from one window to the next.
const GROWTH: u64 = 4;
/// Part of a whole window that the one after an urgent probe has.
const URGENT_PART: u64 = GROWTH * GROWTH;

/// Length of the first window of a conditional query, in µs.
const CONDITION_SPAN: u64 = 3_600_000_000;
/// Duration of a window from which on windows do not grow.
const SLOW_WINDOW: Duration = Duration::from_secs(2);

/// A range of time, in µs since the Unix epoch, that is read by one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub range: Range<u64>,
    /// Largest number of records to read.
    pub records: u64,
    /// Largest number of bytes to read; one record always passes.
    pub bytes: u64,
    /// Expected length of a record, in bytes; 0 if unknown.
    pub record: u64,
}

/// Result of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Yield {
    /// Time of the first record.
    pub first: Option<u64>,
    pub records: u64,
    pub bytes: u64,
}

/// Divides a range into windows.
#[derive(Debug)]
pub struct Plan {
    prefetch_bytes: u64,
    connections: u64,
    /// Largest number of records of a probe.
    probe_records: u64,
    /// Windows are probes, one at a time.
    is_lookahead: bool,
    /// The next window is this part of a whole one.
    part: u64,
    /// Time of the newest record, as last reported.
    newest: Option<u64>,
    /// Records of the probes, until the distance of records is known.
    probed: Yield,
    density: Option<Density>,
}

#[derive(Debug, Clone, Copy)]
struct Density {
    /// Length of the next window, in µs.
    span: u64,
    /// Average length of a record, in bytes.
    record: u64,
}

impl Plan {
    /// Creates a plan with no more than `prefetch_bytes` in memory, or one record.
    pub fn new(connections: u32, prefetch_bytes: u64) -> Self {
        Self {
            prefetch_bytes: prefetch_bytes.max(1),
            connections: connections.max(1).into(),
            probe_records: PROBE_RECORDS,
            is_lookahead: false,
            part: 1,
            newest: None,
            probed: Yield::default(),
            density: None,
        }
    }

    /// Lets windows grow slowly, for a caller that waits for the first records, as after a seek.
    ///
    /// The records that it waits for may be more than those of the probe. The server makes the answers of all windows
    /// at the same time, so that the first one of many whole windows would come late.
    pub fn urgent(self) -> Self {
        Self {
            probe_records: URGENT_PROBE_RECORDS,
            part: URGENT_PART,
            ..self
        }
    }

    /// Begins with a few records, and reads more only when these are consumed: most callers take no more.
    pub fn lookahead(self) -> Self {
        Self {
            probe_records: LOOKAHEAD_RECORDS,
            is_lookahead: true,
            ..self
        }
    }

    /// Creates a plan for a condition that few records may match: a probe of all the range could take longer than any
    /// time-out.
    pub fn of_condition(connections: u32, prefetch_bytes: u64) -> Self {
        Self {
            density: Some(Density {
                span: CONDITION_SPAN,
                record: 1,
            }),
            ..Self::new(connections, prefetch_bytes)
        }
    }

    /// Returns the largest number of windows in memory, read or being read.
    pub fn windows(&self) -> usize {
        if self.is_lookahead {
            return 1;
        }
        let fitting = self.prefetch_bytes / self.window_bytes().max(self.record_bytes());
        fitting.clamp(1, self.shares()) as usize
    }

    /// Returns the largest number of windows with a query: those in memory, and if the server is far, further ones,
    /// so that the round trip of a query costs no time.
    pub fn queries(&self, is_far: bool) -> usize {
        match (self.cut_density(), is_far) {
            // What follows a probe is not known, or not needed.
            (None, _) => 1,
            (Some(_), false) => self.windows(),
            (Some(_), true) => self.windows() + (self.connections / 2) as usize,
        }
    }

    /// Returns whether windows at `time` can be cut only after [`set_newest`](Self::set_newest).
    pub fn needs_newest(&self, time: u64) -> bool {
        self.cut_density().is_some() && self.newest.is_none_or(|newest| newest < time)
    }

    /// Sets the time of the newest record.
    pub fn set_newest(&mut self, newest: u64) {
        self.newest = Some(newest);
    }

    /// Splits the next window off a range, or takes all of it.
    pub fn cut(&mut self, range: &mut Range<u64>) -> Window {
        let bytes = self.window_bytes();
        let newest = self.newest.filter(|newest| range.start <= *newest);
        let (Some(density), Some(newest)) = (self.cut_density(), newest) else {
            let window = range.clone();
            range.start = range.end;
            let records = self.probe_records;
            if self.is_lookahead {
                self.probe_records = (records * GROWTH).min(URGENT_PROBE_RECORDS);
                self.is_lookahead = records < URGENT_PROBE_RECORDS;
            }
            return Window {
                range: window,
                records: records.min(bytes / self.record_bytes()).max(1),
                bytes: PROBE_BYTES.min(bytes),
                record: self.density.map_or(0, |density| density.record),
            };
        };
        // After the newest record only records follow that are written meanwhile.
        let end = range.end.min(newest.saturating_add(1));
        let span = (density.span / self.part).max(1);
        self.part = (self.part / GROWTH).max(1);
        let wanted = range.start.saturating_add(span);
        // A very short rest belongs to this window.
        let cut = if wanted.saturating_add(span / 4) >= end {
            end
        } else {
            wanted
        };
        let window = range.start..cut;
        range.start = cut;
        Window {
            range: window,
            records: (bytes / density.record).clamp(1, WINDOW_RECORDS),
            bytes,
            record: density.record,
        }
    }

    /// Returns the density by which windows are cut, or `None` while they are probes.
    fn cut_density(&self) -> Option<Density> {
        self.density.filter(|_| !self.is_lookahead)
    }

    /// Updates the plan with the result of a window and its duration.
    pub fn update(&mut self, time: Range<u64>, found: Yield, took: Duration) {
        // The time behind the newest record does not count.
        if found.records == 0 && self.newest.is_some_and(|newest| newest < time.start) {
            return;
        }
        if self.density.is_none() {
            return self.learn_of_probe(time.end, found);
        }
        let length = time.end.saturating_sub(time.start).max(1);
        // Windows do not grow where the server takes long for a few records.
        let growth = if took < SLOW_WINDOW { GROWTH } else { 1 };
        let grown = length.saturating_mul(growth);
        if found.records == 0 {
            if let Some(density) = &mut self.density {
                density.span = density.span.max(grown);
            }
            return;
        }
        let record = (found.bytes / found.records).max(1);
        self.set_density(length, found.bytes, self.record_bytes().midpoint(record));
        if let Some(density) = &mut self.density {
            density.span = density.span.min(grown);
        }
    }

    /// Estimates the density from the results of probes, without the time before the first record.
    fn learn_of_probe(&mut self, end: u64, found: Yield) {
        let probed = Yield {
            first: self.probed.first.or(found.first),
            records: self.probed.records + found.records,
            bytes: self.probed.bytes + found.bytes,
        };
        self.probed = probed;
        if let Some(first) = probed.first
            && probed.records > 1
        {
            // Between n records there are n - 1 times.
            let between = end.saturating_sub(first) / (probed.records - 1);
            let length = between.saturating_mul(probed.records).max(1);
            let record = (probed.bytes / probed.records).max(1);
            self.set_density(length, probed.bytes, record);
        }
    }

    /// Plans windows for `bytes` in a time of some `length`.
    fn set_density(&mut self, length: u64, bytes: u64, record: u64) {
        // Four fifths of its share, so that most windows are not read in part.
        let most = self
            .window_bytes_with(record)
            .min(record.saturating_mul(WINDOW_RECORDS));
        let target = (most / 5 * 4).max(record);
        let span = u128::from(length) * u128::from(target) / u128::from(bytes.max(1));
        let span = u64::try_from(span).unwrap_or(u64::MAX).max(1);
        self.density = Some(Density { span, record });
    }

    fn window_bytes(&self) -> u64 {
        self.window_bytes_with(self.record_bytes())
    }

    /// Returns the share of the memory of one window, in bytes, at least two records of `record` bytes if there is
    /// room.
    fn window_bytes_with(&self, record: u64) -> u64 {
        let share = self.prefetch_bytes / self.shares();
        let two = record.saturating_mul(2);
        share.max(two.min(self.prefetch_bytes))
    }

    /// Returns the number of windows that share the memory: besides half of the connections one that is being
    /// consumed, and its successor.
    fn shares(&self) -> u64 {
        self.connections / 2 + 2
    }

    fn record_bytes(&self) -> u64 {
        self.density.map_or(1, |density| density.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const DAY: u64 = 86_400 * SECOND;
    const MIB: u64 = 1 << 20;
    const QUICK: Duration = Duration::from_millis(5);

    fn plan() -> Plan {
        Plan::new(8, 60 * MIB)
    }

    fn records(records: u64, bytes_each: u64) -> Yield {
        Yield {
            first: Some(0),
            records,
            bytes: records * bytes_each,
        }
    }

    /// Reads entry times as a session would, and returns the windows and records.
    fn read(
        plan: &mut Plan,
        times: &[u64],
        each: u64,
        mut range: Range<u64>,
    ) -> (Vec<Window>, Vec<u64>) {
        let mut windows = Vec::new();
        let mut read = Vec::new();
        while !range.is_empty() {
            let end = range.end;
            let window = plan.cut(&mut range);
            let inside = times.iter().filter(|&time| window.range.contains(time));
            let taken: Vec<_> = inside.take(window.records as usize).collect();
            let mut time = window.range.clone();
            if taken.len() as u64 == window.records {
                time.end = taken[taken.len() - 1] + 1;
                range = time.end..end;
                plan.set_newest(times[times.len() - 1]);
            }
            let found = Yield {
                first: taken.first().map(|first| **first),
                ..records(taken.len() as u64, each)
            };
            plan.update(time, found, QUICK);
            read.extend(taken);
            windows.push(window);
        }
        (windows, read)
    }

    #[test]
    fn a_probe_comes_first_and_alone() {
        let mut plan = plan();
        let mut range = 5..DAY;
        assert_eq!(plan.queries(true), 1);
        let window = plan.cut(&mut range);
        assert_eq!((window.range, window.records), (5..DAY, PROBE_RECORDS));
        assert!(range.is_empty());
    }

    #[test]
    fn windows_grow_slowly_where_the_first_records_are_waited_for() {
        let mut plan = plan().urgent();
        let probe = plan.cut(&mut (0..DAY));
        assert_eq!(probe.records, URGENT_PROBE_RECORDS);
        plan.update(0..2 * SECOND, records(64, 20 << 10), QUICK);
        plan.set_newest(DAY);
        let whole = 13_003_161;
        let mut range = 2 * SECOND..DAY;
        let spans = [(); 4].map(|()| {
            let window = plan.cut(&mut range).range;
            window.end - window.start
        });
        assert_eq!(spans, [whole / 16, whole / 4, whole, whole]);
    }

    #[test]
    fn a_lookahead_is_read_in_growing_probes_one_at_a_time() {
        let mut plan = plan().lookahead();
        plan.set_newest(DAY);
        let mut from = 0;
        let records = [4, 16, 64].map(|wanted| {
            assert_eq!((plan.windows(), plan.queries(true)), (1, 1));
            assert!(!plan.needs_newest(2 * DAY));
            let window = plan.cut(&mut (from..DAY));
            let time = window.range.start..from + wanted * SECOND;
            plan.update(time.clone(), records(wanted, 20 << 10), QUICK);
            from = time.end;
            window.records
        });
        assert_eq!(records, [4, 16, 64]);
        // After so many it is read as any range.
        assert!(plan.windows() > 1);
        assert!(plan.cut(&mut (from..DAY)).records > 64);
    }

    #[test]
    fn a_condition_is_not_tried_on_everything_at_once() {
        let mut plan = Plan::of_condition(8, 60 * MIB);
        assert!(plan.needs_newest(5));
        plan.set_newest(DAY);
        let window = plan.cut(&mut (5..u64::MAX));
        assert_eq!(window.range, 5..CONDITION_SPAN + 5);
        // Nothing was found, and it took long.
        plan.update(window.range.clone(), Yield::default(), 2 * SLOW_WINDOW);
        let next = plan.cut(&mut (window.range.end..u64::MAX));
        assert_eq!(next.range.end - next.range.start, CONDITION_SPAN);
    }

    #[test]
    fn windows_hold_four_fifths_of_their_share() {
        let mut plan = plan();
        // 64 records of 20 KB in 2 s.
        plan.update(0..2 * SECOND, records(64, 20 << 10), QUICK);
        assert!(plan.needs_newest(2 * SECOND));
        plan.set_newest(DAY);
        assert!(!plan.needs_newest(2 * SECOND));
        assert_eq!((plan.windows(), plan.queries(true)), (6, 10));

        let mut range = 2 * SECOND..2 * DAY;
        let window = plan.cut(&mut range);
        assert_eq!(window.range, 2 * SECOND..15_003_161);
        assert_eq!((window.records, window.bytes), (512, 10 * MIB));
        assert_eq!(range.start, 15_003_161);
    }

    #[test]
    fn what_comes_after_the_newest_record_is_a_probe() {
        let mut plan = plan();
        plan.update(0..2 * SECOND, records(64, 20 << 10), QUICK);
        plan.set_newest(20 * SECOND);
        let mut range = 2 * SECOND..DAY;
        let windows = [(); 3].map(|()| plan.cut(&mut range));
        assert_eq!(windows[1].range, 15_003_161..20 * SECOND + 1);
        assert_eq!(windows[2].range, 20 * SECOND + 1..DAY);
        assert_eq!(windows[2].records, PROBE_RECORDS);
        assert!(range.is_empty());
    }

    #[test]
    fn records_larger_than_the_memory_come_alone() {
        let mut plan = plan();
        plan.update(0..SECOND, records(1, 100 * MIB), QUICK);
        assert!(!plan.needs_newest(SECOND), "a single one says too little");
        plan.update(SECOND..2 * SECOND, records(1, 100 * MIB), QUICK);
        plan.set_newest(DAY);
        assert_eq!(plan.windows(), 1);
        assert_eq!(plan.cut(&mut (2 * SECOND..DAY)).records, 1);
    }

    #[test]
    fn large_records_come_in_fewer_windows() {
        let mut plan = plan();
        plan.update(0..10 * SECOND, records(10, 20 * MIB), QUICK);
        plan.set_newest(DAY);
        assert_eq!(plan.windows(), 1);
        let window = plan.cut(&mut (10 * SECOND..DAY));
        assert_eq!((window.records, window.bytes), (2, 40 * MIB));
    }

    #[test]
    fn a_year_without_records_takes_few_windows() {
        let first: Vec<_> = (0..1000).map(|i| i * SECOND / 30).collect();
        let later = (0..1000).map(|i| 365 * DAY + i * SECOND / 30);
        let times: Vec<_> = first.into_iter().chain(later).collect();
        let (windows, read) = read(&mut plan(), &times, 25_000, 0..u64::MAX);
        assert_eq!(read, times);
        assert!(windows.len() < 40, "{} windows", windows.len());
    }

    #[test]
    fn dense_records_in_a_long_window_are_cut_anew() {
        let mut plan = plan();
        plan.update(0..DAY, records(64, 1000), QUICK);
        plan.set_newest(300 * DAY);
        let mut range = DAY..300 * DAY;
        let window = plan.cut(&mut range);
        assert!(window.range.end > 40 * DAY);
        // Its limit is reached after 5 min.
        let rest = window.range.start + 300 * SECOND..window.range.end;
        plan.update(
            window.range.start..rest.start,
            records(window.records, 1000),
            QUICK,
        );
        let next = plan.cut(&mut rest.clone()).range;
        assert!(next.end - next.start < 300 * SECOND);
    }

    #[test]
    fn nothing_is_read_twice_or_left_out() {
        let times = (0..10_000).map(|i| (i % 100) * SECOND / 30 + (i / 100) * 3600 * SECOND);
        let times: Vec<_> = times.collect();
        let (windows, read) = read(&mut plan(), &times, 25_000, 0..u64::MAX);
        assert_eq!(read, times);
        assert!(windows.len() < 300, "{} windows", windows.len());
    }
}
