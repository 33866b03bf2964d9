// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! From capture times to record times, which grow in decoding order.
//!
//! The k-th record gets the k-th capture time in output order, from which whoever reads finds out
//! when each picture was captured: the picture that comes k-th in output order has the k-th record's
//! time. All times are in µs since the Unix epoch.

use std::collections::VecDeque;

use crate::h264::{OutputOrder, PictureOrder, TooDeep};

/// Without a frame duration, steps back of less are jitter.
const JITTER_US: u64 = 20_000;
/// A later step forward of more is the clock that jumps back to where it was.
const STEP_US: u64 = 1_000_000;

/// When a picture was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    pub time: u64,
    /// It came with the picture, and not from a clock here.
    pub is_fixed: bool,
    /// The record that the picture was read from, by its time.
    pub record: Option<u64>,
}

/// Something with its record time.
#[derive(Debug, PartialEq, Eq)]
pub struct Timed<T> {
    pub item: T,
    pub time: u64,
    /// It came with the picture, and not from a clock here.
    pub is_fixed: bool,
    /// By how much the capture time is before that of the picture before, if it is a jump.
    pub jump: Option<u64>,
}

/// Gives what comes in decoding order its record time.
#[derive(Debug)]
pub struct RecordTimes<T> {
    captures: OutputOrder<Capture>,
    /// What has no time yet, in decoding order.
    waiting: VecDeque<T>,
    timed: VecDeque<Timed<T>>,
    last: Option<u64>,
    /// How much later than captured things are recorded, since the clock jumped back.
    shift: u64,
    /// How long a picture is shown.
    frame: Option<u64>,
}

impl<T> Default for RecordTimes<T> {
    fn default() -> Self {
        Self {
            captures: OutputOrder::default(),
            waiting: VecDeque::new(),
            timed: VecDeque::new(),
            last: None,
            shift: 0,
            frame: None,
        }
    }
}

impl<T> RecordTimes<T> {
    /// How long pictures are shown from here on, if it is known.
    pub fn set_frame(&mut self, frame: Option<u64>) {
        self.frame = frame;
    }

    /// Takes the next picture, or what could not be read as one.
    pub fn push(&mut self, item: T, order: Option<PictureOrder>, capture: Capture) {
        let Some(order) = order else {
            self.end();
            self.waiting.push_back(item);
            self.place(capture);
            return;
        };
        if self.captures.is_ended_by(&order) {
            self.end();
        }
        self.captures.push(order, capture);
        self.waiting.push_back(item);
        while let Some(capture) = self.captures.pop() {
            self.place(capture);
        }
    }

    /// Takes the news that more pictures are out of output order than expected. It comes once.
    pub fn take_too_deep(&mut self) -> Option<TooDeep> {
        self.captures.take_too_deep()
    }

    /// Nothing more comes for what waits.
    pub fn end(&mut self) {
        while let Some(capture) = self.captures.end() {
            self.place(capture);
        }
    }

    /// The next of them in decoding order that has a time.
    pub fn pop(&mut self) -> Option<Timed<T>> {
        self.timed.pop_front()
    }

    /// The first that has none gets the next capture time in output order.
    fn place(&mut self, capture: Capture) {
        let (time, jump) = self.grow(capture.time);
        if let Some(item) = self.waiting.pop_front() {
            self.timed.push_back(Timed {
                item,
                time,
                is_fixed: capture.is_fixed,
                jump,
            });
        }
    }

    /// The time that belongs to a capture time, later than the one before. A step back that is more
    /// than jitter is a jump, from which on all is later, until the clock has caught up.
    fn grow(&mut self, capture: u64) -> (u64, Option<u64>) {
        let Some(last) = self.last else {
            self.last = Some(capture);
            return (capture, None);
        };
        let frame = self.frame.unwrap_or(JITTER_US);
        let next = last.saturating_add(frame);
        let behind = next.saturating_sub(capture);
        if capture > last {
            self.shift = 0;
        } else if self.shift > behind.saturating_add(STEP_US) {
            self.shift = behind;
        }
        let time = capture.saturating_add(self.shift);
        let (time, jump) = match last.checked_sub(time) {
            None => (time, None),
            Some(late) if late < frame => (last.saturating_add(1), None),
            Some(late) => {
                self.shift = behind;
                (next, Some(late))
            }
        };
        self.last = Some(time);
        (time, jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::Reordering;

    fn order(count: i64, frames: usize) -> Option<PictureOrder> {
        Some(PictureOrder {
            count: 2 * count,
            begins_sequence: count == 0,
            reordering: Reordering {
                frames,
                declared: true,
            },
        })
    }

    fn capture(time: u64) -> Capture {
        Capture {
            time,
            is_fixed: true,
            record: None,
        }
    }

    /// Record times in decoding order of pictures given by their places in output order, each
    /// captured as `captured` says.
    fn run(places: &[i64], frames: usize, captured: impl Fn(i64) -> u64) -> Vec<u64> {
        let mut times = RecordTimes::default();
        times.set_frame(Some(1000));
        for &place in places {
            times.push(place, order(place, frames), capture(captured(place)));
        }
        times.end();
        let timed: Vec<_> = std::iter::from_fn(|| times.pop()).collect();
        assert!(
            timed
                .iter()
                .map(|timed| timed.item)
                .eq(places.iter().copied())
        );
        timed.iter().map(|timed| timed.time).collect()
    }

    /// Without reordering.
    fn in_order(captured: &[u64]) -> Vec<(u64, Option<u64>)> {
        let mut times = RecordTimes::default();
        times.set_frame(Some(1000));
        let timed = (0..).zip(captured).map(|(place, &time)| {
            times.push((), order(place, 0), capture(time));
            let timed = times.pop().expect("nothing waits without need");
            (timed.time, timed.jump)
        });
        timed.collect()
    }

    #[test]
    fn times_are_those_of_the_captures_in_output_order() {
        let jittery = |place: i64| 50_000 + 1000 * place as u64 + [3, 0, 7][place as usize % 3];
        let shown: Vec<_> = (0..7).map(jittery).collect();
        assert_eq!(run(&[0, 1, 2, 3, 4, 5, 6], 0, jittery), shown);
        assert_eq!(run(&[0, 3, 1, 2, 6, 4, 5], 1, jittery), shown);
        assert_eq!(run(&[0, 4, 2, 1, 3, 6, 5], 2, jittery), shown);
    }

    #[test]
    fn a_sequence_ends_with_the_next_idr_picture() {
        let mut times = RecordTimes::default();
        for (place, time) in [(0, 10), (2, 30), (1, 20), (0, 40)] {
            times.push(time, order(place, 1), capture(time));
        }
        let timed: Vec<_> = std::iter::from_fn(|| times.pop()).collect();
        assert_eq!(
            timed
                .iter()
                .map(|timed| (timed.item, timed.time))
                .collect::<Vec<_>>(),
            [(10, 10), (30, 20), (20, 30)]
        );
    }

    #[test]
    fn what_cannot_be_read_has_its_own_time() {
        let mut times = RecordTimes::default();
        times.push("I", order(0, 1), capture(10));
        times.push("?", None, capture(20));
        times.push("P", order(1, 1), capture(30));
        times.end();
        let timed = std::iter::from_fn(|| times.pop());
        let timed: Vec<_> = timed.map(|timed| (timed.item, timed.time)).collect();
        assert_eq!(timed, [("I", 10), ("?", 20), ("P", 30)]);
    }

    #[test]
    fn jitter_does_not_stop_time() {
        let times = in_order(&[5000, 6000, 5999, 5999, 7000]);
        let expected = [5000, 6000, 6001, 6002, 7000];
        assert_eq!(times, expected.map(|time| (time, None)));
    }

    #[test]
    fn a_clock_that_jumps_back_goes_on_from_where_it_was() {
        let times = in_order(&[
            9_000_000, 9_001_000, 1000, 2000, 2900, 9_002_900, 9_003_800, 9_010_000,
        ]);
        let expected = [
            (9_000_000, None),
            (9_001_000, None),
            (9_002_000, Some(9_000_000)),
            (9_003_000, None),
            (9_003_900, None),
            // Back where it was, but not yet after what is recorded.
            (9_004_900, None),
            (9_005_800, None),
            (9_010_000, None),
        ];
        assert_eq!(times, expected);
    }

    #[test]
    fn a_clock_that_jumps_forward_is_believed() {
        let times = in_order(&[1000, 2000, 903_000, 904_000]);
        let expected = [1000, 2000, 903_000, 904_000];
        assert_eq!(times, expected.map(|time| (time, None)));
    }
}
