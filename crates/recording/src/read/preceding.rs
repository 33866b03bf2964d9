// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Searches the last groups of pictures before a range.
//!
//! Where the first group of a range is the last one of the entry, or is followed by a pause, its
//! frames have the times that the groups before it give them, as in a reading of all of them.

use std::ops::Range;

use media::frame_rate::FrameRate;
use media::time::Nanos;
use media::timeline::Group;

use super::backward::Windows;

/// Groups to look for: three distances are a cadence, and one may be a pause.
const MAX_GROUPS: usize = 5;
/// Shortest first window, in µs.
const MIN_WINDOW: u64 = 1_000_000;
/// Windows to read: the reach is a thousand times the first one.
const MAX_WINDOWS: usize = 10;

/// A search backwards from a time, window by window. Times are in µs since the Unix epoch.
#[derive(Debug)]
pub struct PrecedingGroups {
    windows: Windows,
    /// Windows that were read.
    count: usize,
    /// Begin of the last window.
    begin: u64,
    /// In order of time.
    found: Vec<Group>,
    found_in_window: Vec<Group>,
}

impl PrecedingGroups {
    /// Returns a search back from `time`, where groups are about as `long`, in µs.
    pub fn new(time: u64, long: u64) -> Self {
        Self {
            windows: Windows::new(long.saturating_mul(2).max(MIN_WINDOW)),
            count: 0,
            begin: time,
            found: Vec::new(),
            found_in_window: Vec::new(),
        }
    }

    /// Returns the window to read next; `None` at the end of the search. Nothing is before `oldest`.
    pub fn next_window(&mut self, oldest: u64) -> Option<Range<u64>> {
        self.settle();
        let is_over = self.found.len() >= MAX_GROUPS || self.count >= MAX_WINDOWS;
        if is_over || self.begin <= oldest {
            return None;
        }
        let window = self.windows.before(self.begin, oldest);
        self.begin = window.start;
        self.count += 1;
        Some(window)
    }

    /// Adds the next group of the window.
    pub fn add(&mut self, group: Group) {
        self.found_in_window.push(group);
    }

    /// Returns the records that were found, in order of time.
    pub fn into_groups(mut self) -> Vec<Group> {
        self.settle();
        let first = self.found.len().saturating_sub(MAX_GROUPS);
        self.found.split_off(first)
    }

    fn settle(&mut self) {
        // What was found before is later.
        let later = std::mem::take(&mut self.found);
        self.found = std::mem::take(&mut self.found_in_window);
        self.found.extend(later);
    }
}

/// Returns the length of a group at its declared rate, in µs.
pub fn length(units: usize, rate: Option<FrameRate>) -> u64 {
    let length = rate.map(|rate| media::timeline::frames(units, rate));
    length.map_or(0, Nanos::useconds)
}

#[cfg(test)]
mod tests {
    use media::time::CaptureTime;

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn group(seconds: u64) -> Group {
        Group {
            time: CaptureTime::from_useconds(seconds * SECOND),
            units: 10,
            declared: None,
        }
    }

    #[test]
    fn windows_double() {
        let mut search = PrecedingGroups::new(100 * SECOND, 3 * SECOND);
        assert_eq!(search.next_window(0), Some(94 * SECOND..100 * SECOND));
        assert_eq!(search.next_window(0), Some(82 * SECOND..94 * SECOND));
        assert_eq!(
            search.next_window(80 * SECOND),
            Some(80 * SECOND..82 * SECOND)
        );
        assert_eq!(search.next_window(80 * SECOND), None);
        assert_eq!(search.into_groups(), []);
    }

    #[test]
    fn the_search_ends() {
        let mut search = PrecedingGroups::new(u64::MAX, 0);
        assert_eq!(
            std::iter::from_fn(|| search.next_window(0)).count(),
            MAX_WINDOWS
        );
        let mut search = PrecedingGroups::new(SECOND / 2, u64::MAX);
        assert_eq!(search.next_window(0), Some(0..SECOND / 2));
        assert_eq!(search.next_window(0), None);
    }

    #[test]
    fn the_last_groups_in_order() {
        let mut search = PrecedingGroups::new(100 * SECOND, SECOND);
        search.next_window(0);
        search.add(group(98));
        search.add(group(99));
        search.next_window(0);
        (90..94).for_each(|second| search.add(group(second)));
        assert_eq!(search.next_window(0), None);
        let groups = search.into_groups();
        assert_eq!(groups, [91, 92, 93, 98, 99].map(group));
    }
}
