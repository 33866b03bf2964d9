// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The search for the last groups before a range.
//!
//! Where the first group of a range is the last one of the entry, or is followed by a pause, its
//! frames have the times that the groups before it give them, as in a reading of all of them.

use std::ops::Range;

use media::frame_rate::FrameRate;
use media::time::Nanos;
use media::timeline::Group;

/// Groups to look for: three distances are a cadence, and one may be a pause.
const MOST_GROUPS: usize = 5;
/// The least first window, in µs.
const MIN_WINDOW: u64 = 1_000_000;
/// Windows, each as long as twice the one after it, so that the reach is a thousand of the first.
const MOST_WINDOWS: usize = 10;

/// A search backwards from a time, window by window. Times are in µs since the Unix epoch.
#[derive(Debug)]
pub struct Preceding {
    window: Range<u64>,
    length: u64,
    windows: usize,
    /// In order of time.
    found: Vec<Group>,
    found_in_window: Vec<Group>,
}

impl Preceding {
    /// A search from `time` back, where groups are about so `long`.
    pub fn new(time: u64, long: u64) -> Self {
        Self {
            window: time..time,
            length: long.saturating_mul(2).max(MIN_WINDOW),
            windows: 0,
            found: Vec::new(),
            found_in_window: Vec::new(),
        }
    }

    /// Returns the window to read next; `None` at the end of the search. Nothing is before `oldest`.
    pub fn next_window(&mut self, oldest: u64) -> Option<Range<u64>> {
        self.settle();
        let is_over = self.found.len() >= MOST_GROUPS || self.windows >= MOST_WINDOWS;
        if is_over || self.window.start <= oldest {
            return None;
        }
        let start = self.window.start.saturating_sub(self.length).max(oldest);
        self.window = start..self.window.start;
        self.length = self.length.saturating_mul(2);
        self.windows += 1;
        Some(self.window.clone())
    }

    /// Takes the next group of the window.
    pub fn add(&mut self, group: Group) {
        self.found_in_window.push(group);
    }

    /// Returns what was found, in order of time.
    pub fn into_groups(mut self) -> Vec<Group> {
        self.settle();
        let first = self.found.len().saturating_sub(MOST_GROUPS);
        self.found.split_off(first)
    }

    fn settle(&mut self) {
        // What was found before is later.
        let later = std::mem::take(&mut self.found);
        self.found = std::mem::take(&mut self.found_in_window);
        self.found.extend(later);
    }
}

/// Returns how long a group is at least, to choose the first window by, in µs.
pub fn length(units: usize, rate: Option<FrameRate>) -> u64 {
    let length = rate.map(|rate| media::timeline::frames(units, rate));
    length.map_or(0, Nanos::useconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn group(seconds: u64) -> Group {
        Group {
            time: Nanos::from_seconds(seconds),
            units: 10,
            declared: None,
        }
    }

    #[test]
    fn windows_double() {
        let mut search = Preceding::new(100 * SECOND, 3 * SECOND);
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
        let mut search = Preceding::new(u64::MAX, 0);
        assert_eq!(
            std::iter::from_fn(|| search.next_window(0)).count(),
            MOST_WINDOWS
        );
        let mut search = Preceding::new(SECOND / 2, u64::MAX);
        assert_eq!(search.next_window(0), Some(0..SECOND / 2));
        assert_eq!(search.next_window(0), None);
    }

    #[test]
    fn the_last_groups_in_order() {
        let mut search = Preceding::new(100 * SECOND, SECOND);
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
