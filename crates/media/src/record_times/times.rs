// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From capture times to record times, which grow in decoding order.
//!
//! The k-th record gets the k-th capture time in output order, from which whoever reads finds out
//! when each picture was captured: the picture that comes k-th in output order has the k-th record's
//! time. All times are in whole µs.

use std::collections::VecDeque;

use super::growth::Growth;
use super::outliers::{Event, OutlierFilter};
use super::stamps::{Capture, CaptureStamp, TimeSource};
use crate::frame_rate::FrameRate;
use crate::order::{OutputOrder, PictureOrder, TooDeep};
use crate::time::CaptureTime;

/// Something with its record time.
#[derive(Debug, PartialEq, Eq)]
pub struct Timed<T> {
    /// The frame.
    pub item: T,
    /// Its record time, in whole µs.
    pub time: CaptureTime,
    /// The time is not from a clock of this machine.
    pub is_fixed: bool,
}

/// Frames whose record time is not one of their capture times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovedFrames {
    /// Capture time of the first of them.
    pub captured: CaptureTime,
    /// Record time that it got instead.
    pub recorded: CaptureTime,
    /// Number of frames.
    pub frames: u64,
}

/// Assigns record times to frames in decoding order.
#[derive(Debug)]
pub struct RecordTimes<T> {
    captures: OutputOrder<(Capture, u64)>,
    filter: OutlierFilter,
    growth: Growth,
    /// Frames without a record time so far, in decoding order.
    waiting: VecDeque<T>,
    timed: VecDeque<Timed<T>>,
    /// Frames that came so far in output order.
    frames: u64,
    /// The last stamp of a frame.
    before: Option<CaptureStamp>,
    /// Capture times without a place so far, with the number of frames of each, in output order.
    unplaced: VecDeque<(Option<CaptureTime>, u64)>,
    moved: Option<MovedFrames>,
}

impl<T> Default for RecordTimes<T> {
    fn default() -> Self {
        Self {
            captures: OutputOrder::default(),
            filter: OutlierFilter::default(),
            growth: Growth::default(),
            waiting: VecDeque::new(),
            timed: VecDeque::new(),
            frames: 0,
            before: None,
            unplaced: VecDeque::new(),
            moved: None,
        }
    }
}

impl<T> RecordTimes<T> {
    /// Sets the declared frame rate of the following frames.
    pub fn set_rate(&mut self, rate: Option<FrameRate>) {
        self.filter.set_rate(rate);
    }

    /// Takes the next picture, or what could not be read as one, and how many frames it has.
    pub fn push(&mut self, item: T, order: Option<PictureOrder>, capture: Capture, frames: u64) {
        self.waiting.push_back(item);
        let Some(order) = order else {
            self.end_sequence();
            self.stamp(capture, frames);
            self.place();
            return;
        };
        if self.captures.is_ended_by(&order) {
            self.end_sequence();
        }
        self.captures.push(order, (capture, frames));
        while let Some((capture, frames)) = self.captures.pop() {
            self.stamp(capture, frames);
        }
        self.place();
    }

    /// Takes the report that more pictures are out of output order than expected. It comes once.
    pub fn take_too_deep(&mut self) -> Option<TooDeep> {
        self.captures.take_too_deep()
    }

    /// Gives a time to all that waits.
    pub fn end(&mut self) {
        self.end_sequence();
        self.filter.end();
        self.place();
    }

    /// Returns the next of them in decoding order that has a time.
    pub fn pop(&mut self) -> Option<Timed<T>> {
        self.timed.pop_front()
    }

    /// Returns the next event.
    pub fn pop_event(&mut self) -> Option<Event> {
        self.filter.pop_event()
    }

    /// Returns the frames so far whose record time is another one than the capture time that came for it, if there are
    /// some: record times grow, and do not follow outliers.
    pub fn moved(&self) -> Option<MovedFrames> {
        self.moved
    }

    fn end_sequence(&mut self) {
        while let Some((capture, frames)) = self.captures.end() {
            self.stamp(capture, frames);
        }
    }

    /// Takes the next capture in output order.
    fn stamp(&mut self, capture: Capture, frames: u64) {
        let stamp = CaptureStamp::new(capture, self.frames, frames, self.before.as_ref());
        if frames > 0 {
            self.before = Some(stamp);
        }
        self.frames += frames;
        let captured = capture.time.map(|captured| captured.time);
        self.unplaced.push_back((captured, frames));
        self.filter.push(stamp);
    }

    /// Gives the first in decoding order that has none the next time in output order.
    fn place(&mut self) {
        while let Some(placed) = self.filter.pop() {
            let time = self.growth.next(&placed);
            self.note_place(CaptureTime::from_useconds(time));
            if let Some(item) = self.waiting.pop_front() {
                self.timed.push_back(Timed {
                    item,
                    time: CaptureTime::from_useconds(time),
                    is_fixed: placed.source != TimeSource::Clock,
                });
            }
        }
    }

    /// Compares a record time with the next capture time in output order.
    fn note_place(&mut self, recorded: CaptureTime) {
        let Some((Some(captured), frames)) = self.unplaced.pop_front() else {
            return;
        };
        if frames == 0 || captured.useconds() == recorded.useconds() {
            return;
        }
        let moved = self.moved.get_or_insert(MovedFrames {
            captured,
            recorded,
            frames: 0,
        });
        moved.frames += frames;
    }
}

#[cfg(test)]
mod tests {
    use super::super::stamps::testing::capture;
    use super::*;
    use crate::order::Reordering;

    fn order(count: i64, frames: usize) -> Option<PictureOrder> {
        Some(PictureOrder {
            count: 2 * count,
            begins_sequence: count == 0,
            begins_group: false,
            reordering: Reordering {
                frames,
                declared: true,
            },
        })
    }

    /// Record times in decoding order of pictures given by their places in output order, each
    /// captured as `captured` says.
    fn run(places: &[i64], frames: usize, captured: impl Fn(i64) -> u64) -> Vec<u64> {
        let mut times = RecordTimes::default();
        for &place in places {
            let capture = capture(captured(place));
            times.push(place, order(place, frames), capture, 1);
        }
        times.end();
        let timed: Vec<_> = std::iter::from_fn(|| times.pop()).collect();
        assert!(
            timed
                .iter()
                .map(|timed| timed.item)
                .eq(places.iter().copied())
        );
        timed.iter().map(|timed| timed.time.useconds()).collect()
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
    fn an_outlier_of_any_picture_is_one_in_output_order() {
        for wrong in 0..7 {
            let captured = |place: i64| {
                let ahead = if place == wrong { 10_000_000 } else { 0 };
                50_000_000 + 40_000 * place as u64 + ahead
            };
            let times = run(&[0, 3, 1, 2, 6, 4, 5], 1, captured);
            let expected: Vec<_> = (0..7).map(|place| 50_000_000 + 40_000 * place).collect();
            assert_eq!(times, expected, "{wrong}");
        }
    }

    #[test]
    fn frames_with_another_time_are_counted() {
        let us = CaptureTime::from_useconds;
        let moved = |captured: &[u64]| {
            let mut times = RecordTimes::default();
            times.set_rate(FrameRate::new(25, 1));
            for (place, &time) in captured.iter().enumerate() {
                times.push((), order(place as i64, 0), capture(time), 1);
            }
            times.end();
            times.moved()
        };
        let regular: Vec<_> = (0..9).map(|place| 1_000_000 + 40_000 * place).collect();
        assert_eq!(moved(&regular), None);
        let mut swapped = regular.clone();
        swapped.swap(4, 5);
        let expected = MovedFrames {
            captured: us(regular[4]),
            recorded: us(regular[5] + 20_000),
            frames: 1,
        };
        assert_eq!(moved(&swapped), Some(expected));
        let mut reversed = regular.clone();
        reversed.reverse();
        let reversed = moved(&reversed).expect("all but one are moved");
        assert_eq!((reversed.captured, reversed.frames), (us(regular[7]), 8));
        let frames = moved(&[1_000_000; 9]).map(|moved| moved.frames);
        assert_eq!(frames, Some(8));
    }

    #[test]
    fn a_sequence_ends_with_the_next_idr_picture() {
        let mut times = RecordTimes::default();
        for (place, time) in [(0, 10), (2, 30), (1, 20), (0, 40)] {
            times.push(time, order(place, 1), capture(time), 1);
        }
        let timed: Vec<_> = std::iter::from_fn(|| times.pop()).collect();
        assert_eq!(
            timed
                .iter()
                .map(|timed| (timed.item, timed.time.useconds()))
                .collect::<Vec<_>>(),
            [(10, 10), (30, 20), (20, 30)]
        );
    }

    #[test]
    fn what_cannot_be_read_has_its_own_time() {
        let mut times = RecordTimes::default();
        times.push("I", order(0, 1), capture(10), 1);
        times.push("?", None, capture(20), 1);
        times.push("P", order(1, 1), capture(30), 1);
        times.end();
        let timed = std::iter::from_fn(|| times.pop());
        let timed: Vec<_> = timed
            .map(|timed| (timed.item, timed.time.useconds()))
            .collect();
        assert_eq!(timed, [("I", 10), ("?", 20), ("P", 30)]);
    }

    #[test]
    fn what_follows_a_frame_has_a_time_after_it() {
        let mut times = RecordTimes::default();
        times.push("I", order(0, 0), capture(10), 1);
        times.push("P", order(1, 0), capture(20), 1);
        times.push("SEI", None, capture(20), 0);
        times.end();
        let timed = std::iter::from_fn(|| times.pop());
        let timed: Vec<_> = timed
            .map(|timed| (timed.item, timed.time.useconds()))
            .collect();
        assert_eq!(timed, [("I", 10), ("P", 20), ("SEI", 21)]);
    }
}
