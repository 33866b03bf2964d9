// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Stop of a range at a time.
//!
//! The pictures that are shown before a time have the slots before it, but they may come after
//! others in decoding order, which they refer to. So as many are awaited as there are slots.

use crate::time::CaptureTime;

/// Lets out access units, in decoding order, that are shown before a time or that these need.
#[derive(Debug)]
pub struct StopFilter<T> {
    until: CaptureTime,
    /// Number of slots before the end, and of access units that have one of them.
    slots: usize,
    shown: usize,
    /// There was a slot after the end: no other one is before it.
    is_past: bool,
    /// Shown after the end, and not needed so far.
    held: Vec<T>,
}

impl<T> StopFilter<T> {
    /// Returns a filter that stops at a time.
    pub fn new(until: CaptureTime) -> Self {
        Self {
            until,
            slots: 0,
            shown: 0,
            is_past: false,
            held: Vec::new(),
        }
    }

    /// Returns the time at which the range ends.
    pub fn until(&self) -> CaptureTime {
        self.until
    }

    /// Takes an access unit with a slot, which will be shown in this or another one.
    pub fn expect(&mut self, slot: CaptureTime) {
        if slot < self.until {
            self.slots += 1;
        } else {
            self.is_past = true;
        }
    }

    /// Returns whether there was a slot after the end.
    pub fn is_past(&self) -> bool {
        self.is_past
    }

    /// Takes the next access unit with the time at which it is shown. Gives it and those before it that
    /// it may need, if that is before the end.
    pub fn take(&mut self, item: T, time: CaptureTime) -> Vec<T> {
        self.held.push(item);
        if time >= self.until {
            return Vec::new();
        }
        self.shown += 1;
        std::mem::take(&mut self.held)
    }

    /// Returns whether all access units that are to be shown have been taken.
    pub fn is_complete(&self) -> bool {
        self.is_past && self.shown >= self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> CaptureTime {
        CaptureTime::from_useconds(count * 1_000_000)
    }

    /// Returns the output until the end, of access units in decoding order with these places in output
    /// order, and how many were taken.
    fn run(until: u64, places: &[u64]) -> (Vec<u64>, usize) {
        let mut exit = StopFilter::new(seconds(until));
        let mut out = Vec::new();
        for (slot, place) in (0..).zip(places) {
            if exit.is_complete() {
                return (out, slot as usize);
            }
            exit.expect(seconds(slot));
            out.extend(exit.take(*place, seconds(*place)));
        }
        (out, places.len())
    }

    #[test]
    fn in_output_order() {
        assert_eq!(run(3, &[0, 1, 2, 3, 4, 5]), (vec![0, 1, 2], 4));
        assert_eq!(run(9, &[0, 1, 2]), (vec![0, 1, 2], 3));
        assert_eq!(run(0, &[0, 1]), (vec![], 1));
    }

    #[test]
    fn with_what_they_refer_to() {
        let places = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8];
        // 3 is not shown, but 1 and 2 need it.
        assert_eq!(run(3, &places), (vec![0, 3, 1, 2], 4));
        assert_eq!(run(4, &places), (vec![0, 3, 1, 2], 5));
        assert_eq!(run(5, &places), (vec![0, 3, 1, 2, 6, 4], 6));
    }
}
