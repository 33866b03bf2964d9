// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Known bounds of a recording, and its duration.

use std::sync::{Mutex, MutexGuard};

use client::EntryTimes;
use media::time::{CaptureTime, Nanos};

use crate::lock::lock;

/// Least change of the duration that is reported.
const MIN_CHANGE: Nanos = Nanos::SECOND;

/// Known bounds of a recording, readable from any thread.
#[derive(Debug, Default)]
pub struct Extent(Mutex<KnownBounds>);

#[derive(Debug, Default, Clone, Copy)]
struct KnownBounds {
    /// Capture time that is stream time 0.
    zero: Option<CaptureTime>,
    /// Times of the oldest and the newest record.
    oldest: Option<CaptureTime>,
    newest: Option<CaptureTime>,
    /// Longest duration of a record.
    record: Nanos,
    /// Time of the last episode that was read, and the latest end of one.
    episodes: Option<(CaptureTime, CaptureTime)>,
    /// The length of the newest episode was asked for.
    has_asked_for_end: bool,
    /// Capture time at which the last range ends.
    stop: Option<CaptureTime>,
    /// Duration that was reported.
    reported: Option<Nanos>,
}

impl Extent {
    /// Sets the capture time at which the last range ends.
    pub fn set_stop(&self, stop: CaptureTime) {
        self.known().stop = Some(stop);
    }

    /// Sets the times of the entry's records.
    pub fn set_entry_times(&self, times: EntryTimes) {
        let mut known = self.known();
        let [oldest, newest] = [times.oldest, times.newest].map(CaptureTime::from_useconds);
        known.oldest = Some(oldest);
        known.newest = known.newest.max(Some(newest));
    }

    /// Notes the time of a record, which may be newer than all before.
    pub fn note_record(&self, time: CaptureTime) {
        let mut known = self.known();
        if known.newest.is_some() {
            known.newest = known.newest.max(Some(time));
        }
    }

    /// Sets the capture time that is stream time 0.
    pub fn set_zero(&self, zero: CaptureTime) {
        self.known().zero = Some(zero);
    }

    /// Notes the duration of a record.
    pub fn note_duration(&self, duration: Nanos) {
        let mut known = self.known();
        known.record = known.record.max(duration);
    }

    /// Notes the time and the duration of an episode.
    pub fn note_episode(&self, time: CaptureTime, duration: Nanos) {
        self.note_duration(duration);
        let mut known = self.known();
        let end = time + duration;
        let (last, last_end) = known.episodes.unwrap_or_default();
        known.episodes = Some((last.max(time), last_end.max(end)));
    }

    /// Returns the time of the newest record if episodes before it were read, but not itself; once.
    pub fn take_unknown_end(&self) -> Option<CaptureTime> {
        let mut known = self.known();
        let (newest, (last, _)) = known.newest.zip(known.episodes)?;
        let is_asked = std::mem::replace(&mut known.has_asked_for_end, true);
        (!is_asked && last < newest).then_some(newest)
    }

    /// Returns the longest duration of a record, as far as it is known.
    pub fn record(&self) -> Nanos {
        self.known().record
    }

    /// Returns the time of the oldest record, if it is known.
    pub fn oldest(&self) -> Option<CaptureTime> {
        self.known().oldest
    }

    /// Returns the time of the newest record, if it is known.
    pub fn newest(&self) -> Option<CaptureTime> {
        self.known().newest
    }

    /// Returns the stream time at which the recording ends, if it is known.
    pub fn duration(&self) -> Option<Nanos> {
        self.known().duration()
    }

    /// Returns whether the duration has changed enough to be reported.
    pub fn take_growth(&self) -> bool {
        let mut known = self.known();
        let Some(duration) = known.duration() else {
            return false;
        };
        let is_worth_it = known.reported.is_none_or(|reported| {
            let change = duration
                .max(reported)
                .saturating_sub(duration.min(reported));
            change >= MIN_CHANGE
        });
        if is_worth_it {
            known.reported = Some(duration);
        }
        is_worth_it
    }

    fn known(&self) -> MutexGuard<'_, KnownBounds> {
        lock(&self.0)
    }
}

impl KnownBounds {
    fn duration(&self) -> Option<Nanos> {
        let newest = self.newest?;
        let end = match self.episodes {
            Some((last, end)) if last >= newest => end,
            // The newest one may be as long as any.
            _ => newest + self.record,
        };
        let end = self.stop.map_or(end, |stop| stop.min(end));
        Some(end - self.zero?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn at(seconds: u64) -> CaptureTime {
        CaptureTime::from_useconds(seconds * 1_000_000)
    }

    fn extent(oldest: u64, newest: u64) -> Extent {
        let extent = Extent::default();
        extent.set_entry_times(EntryTimes {
            records: 2,
            oldest,
            newest,
            first_oldest: oldest,
            asked: Instant::now(),
        });
        extent
    }

    #[test]
    fn a_duration_needs_both_ends() {
        let extent = extent(1_000_000, 5_000_000);
        assert_eq!(extent.duration(), None);
        extent.set_zero(at(2));
        assert_eq!(extent.duration(), Some(Nanos::from_seconds(3)));
        extent.note_duration(Nanos::SECOND);
        assert_eq!(extent.duration(), Some(Nanos::from_seconds(4)));
        extent.set_stop(at(3));
        assert_eq!(extent.duration(), Some(Nanos::from_seconds(1)));
    }

    #[test]
    fn growth_is_told_a_second_at_a_time() {
        let extent = extent(0, 5_000_000);
        assert!(!extent.take_growth());
        extent.set_zero(CaptureTime::EPOCH);
        assert!(extent.take_growth());
        assert!(!extent.take_growth());
        extent.note_record(CaptureTime::from_useconds(5_900_000));
        extent.note_record(CaptureTime::from_useconds(100));
        assert!(!extent.take_growth());
        extent.note_record(CaptureTime::from_useconds(6_000_000));
        assert!(extent.take_growth());
        assert_eq!(extent.duration(), Some(Nanos::from_seconds(6)));
    }

    #[test]
    fn the_last_episode_says_when_it_ends() {
        let extent = extent(0, 18_000_000);
        extent.set_zero(CaptureTime::EPOCH);
        let seconds = Nanos::from_seconds;
        for time in [0, 2, 16] {
            extent.note_episode(at(time), seconds(2));
            assert_eq!(extent.duration(), Some(seconds(20)), "{time}");
        }
        assert_eq!(extent.take_unknown_end(), Some(at(18)));
        assert_eq!(extent.take_unknown_end(), None);
        assert!(extent.take_growth());
        extent.note_episode(at(18), seconds(1));
        assert_eq!(extent.duration(), Some(seconds(19)));
        assert!(extent.take_growth());
        // One that began before it may last longer.
        extent.note_episode(at(17), seconds(3));
        assert_eq!(extent.duration(), Some(seconds(20)));
    }

    #[test]
    fn times_beyond_what_can_be_counted() {
        let extent = extent(0, u64::MAX);
        extent.set_zero(CaptureTime::EPOCH);
        extent.note_duration(Nanos::MAX);
        assert!(extent.take_growth());
        assert!(!extent.take_growth());
    }
}
