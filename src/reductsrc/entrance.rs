// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Where what is shown begins: which access units of a reading go on, and from which on.
//!
//! A reading for a time begins at a keyframe before it, or somewhere before that keyframe. Only what
//! is read tells which keyframe is the one, and whether there is a hole at that time: then what
//! follows the hole is shown.

use std::mem;

use gst::ClockTime;

use super::timeline::{SegmentStart, Slot};

/// How to begin for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first keyframe that is not before it.
    KeyframeAfter,
    /// With the last keyframe that is not after it.
    KeyframeBefore,
    /// With one of these two, the first if they are as near.
    KeyframeNearest,
    /// With the last keyframe that is not after it, for a decoder; shown from the time on.
    Exact,
}

/// What an [`Entrance`] needs to know of an access unit.
#[derive(Debug)]
pub struct Arrival<T> {
    pub item: T,
    pub slot: Slot,
    pub is_keyframe: bool,
    pub bytes: usize,
}

/// The first keyframe of the reading is after the time, though it should not be.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLate;

/// Lets access units in, in decoding order.
#[derive(Debug)]
pub struct Entrance<T> {
    begin: Begin,
    at: ClockTime,
    /// Nothing that could be read is before the reading.
    is_earliest: bool,
    /// Bytes that may be held. A group of pictures that is larger has no hole at its end.
    most_bytes: usize,
    state: State<T>,
    skipped: u64,
    /// What began with access units that are left out, for the next one: a segment, after a gap or
    /// not.
    carried: Option<(SegmentStart, bool)>,
}

#[derive(Debug)]
enum State<T> {
    /// There was no keyframe to begin with.
    Waiting,
    /// From a keyframe on, until it is known whether it is the right one.
    Holding {
        keyframe: ClockTime,
        bytes: usize,
        held: Vec<(T, Slot)>,
    },
    Open,
}

impl<T> Entrance<T> {
    /// An entrance for the time `at` in a reading that begins with the last keyframe that is not
    /// after it, or before that, unless it `is_earliest`.
    pub fn new(begin: Begin, at: ClockTime, is_earliest: bool, most_bytes: usize) -> Self {
        Self {
            begin,
            at,
            is_earliest: is_earliest || begin == Begin::KeyframeAfter,
            most_bytes,
            state: State::Waiting,
            skipped: 0,
            carried: None,
        }
    }

    /// Leaves out an access unit.
    pub fn leave_out(&mut self, slot: &Slot) {
        let begun = slot.segment.map(|segment| (segment, slot.discont));
        self.carried = begun.or(self.carried);
    }

    /// Access units that came before the one to begin with.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether there was one to begin with.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Takes the next access unit, and appends to `entered` what goes on.
    pub fn take(
        &mut self,
        arrival: Arrival<T>,
        entered: &mut Vec<(T, Slot)>,
    ) -> Result<(), TooLate> {
        if matches!(self.state, State::Holding { .. }) {
            self.judge(&arrival, entered);
        }
        let Arrival {
            item,
            slot,
            is_keyframe,
            bytes,
        } = arrival;
        match &mut self.state {
            State::Open => self.enter(item, slot, entered),
            State::Holding {
                held, bytes: sum, ..
            } => {
                held.push((item, slot));
                *sum += bytes;
            }
            State::Waiting if !is_keyframe => self.skip(&slot),
            State::Waiting => match self.begin {
                Begin::KeyframeAfter if slot.time < self.at => self.skip(&slot),
                _ if slot.time > self.at && !self.is_earliest => return Err(TooLate),
                Begin::KeyframeBefore | Begin::KeyframeNearest if slot.time < self.at => {
                    self.state = State::Holding {
                        keyframe: slot.time,
                        bytes,
                        held: vec![(item, slot)],
                    };
                }
                _ => {
                    self.state = State::Open;
                    self.enter(item, slot, entered);
                }
            },
        }
        Ok(())
    }

    /// Ends the reading.
    pub fn finish(&mut self, entered: &mut Vec<(T, Slot)>) {
        self.release(entered);
    }

    /// Decides about what is held, with what comes next.
    fn judge(&mut self, next: &Arrival<T>, entered: &mut Vec<(T, Slot)>) {
        let State::Holding {
            keyframe,
            bytes,
            held,
        } = &self.state
        else {
            return;
        };
        let ends_before = |(_, last): &(T, Slot)| {
            let duration = last.duration.unwrap_or(ClockTime::NSECOND);
            last.time.saturating_add(duration) <= self.at
        };
        let is_past = next.slot.time > self.at;
        let before = self.at.saturating_sub(*keyframe);
        let after = next.slot.time.saturating_sub(self.at);
        let after_hole = next.slot.segment.is_some() && held.last().is_some_and(ends_before);
        if is_past && after_hole {
            self.begin = Begin::KeyframeAfter;
            self.is_earliest = true;
            self.drop_held();
        } else if next.is_keyframe && (!is_past || self.is_nearest() && after < before) {
            self.drop_held();
            self.is_earliest = true;
        } else if is_past && (!self.is_nearest() || next.is_keyframe || after >= before)
            || bytes.saturating_add(next.bytes) > self.most_bytes
        {
            self.release(entered);
        }
    }

    fn skip(&mut self, slot: &Slot) {
        self.skipped += 1;
        self.leave_out(slot);
    }

    fn is_nearest(&self) -> bool {
        self.begin == Begin::KeyframeNearest
    }

    fn enter(&mut self, item: T, mut slot: Slot, entered: &mut Vec<(T, Slot)>) {
        if let Some((SegmentStart { base, .. }, discont)) = self.carried.take()
            && slot.segment.is_none()
        {
            let start = slot.time;
            slot.segment = Some(SegmentStart { start, base });
            slot.discont = discont;
        }
        entered.push((item, slot));
    }

    fn release(&mut self, entered: &mut Vec<(T, Slot)>) {
        if !matches!(self.state, State::Holding { .. }) {
            return;
        }
        if let State::Holding { held, .. } = mem::replace(&mut self.state, State::Open) {
            for (item, slot) in held {
                self.enter(item, slot, entered);
            }
        }
    }

    fn drop_held(&mut self) {
        if let State::Holding { held, .. } = mem::replace(&mut self.state, State::Waiting) {
            for (_, slot) in &held {
                self.skip(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::Spacing;
    use super::*;

    const MOST: usize = 1000;

    /// Frames a second apart, keyframes in capitals; `.` is a second without a frame.
    fn run(begin: Begin, at: u64, is_earliest: bool, frames: &str) -> Result<String, TooLate> {
        let at = ClockTime::from_seconds(at);
        let mut entrance = Entrance::new(begin, at, is_earliest, MOST);
        let mut entered = Vec::new();
        let mut after_hole = true;
        for (second, frame) in frames.chars().enumerate() {
            if frame == '.' {
                after_hole = true;
                continue;
            }
            let time = ClockTime::from_seconds(second as u64);
            let segment = SegmentStart {
                start: time,
                base: ClockTime::ZERO,
            };
            let slot = Slot {
                record: time,
                capture: time,
                time,
                duration: Some(ClockTime::SECOND),
                before_pause: None,
                spacing: Spacing::Regular,
                segment: mem::take(&mut after_hole).then_some(segment),
                resumes: false,
                discont: false,
                frame_rate: None,
            };
            let arrival = Arrival {
                item: frame,
                slot,
                is_keyframe: frame.is_uppercase(),
                bytes: 10,
            };
            entrance.take(arrival, &mut entered)?;
        }
        entrance.finish(&mut entered);
        let all = frames.chars().filter(|frame| *frame != '.').count();
        assert_eq!(entrance.skipped() as usize + entered.len(), all);
        Ok(entered.into_iter().map(|(frame, _)| frame).collect())
    }

    fn ok(begin: Begin, at: u64, frames: &str) -> String {
        run(begin, at, true, frames).unwrap()
    }

    #[test]
    fn the_keyframe_after() {
        for (at, entered) in [
            (0, "AbcDefGhi"),
            (1, "DefGhi"),
            (3, "DefGhi"),
            (4, "Ghi"),
            (7, ""),
        ] {
            assert_eq!(ok(Begin::KeyframeAfter, at, "AbcDefGhi"), entered, "{at}");
        }
        assert_eq!(ok(Begin::KeyframeAfter, 0, "abcDef"), "Def");
    }

    #[test]
    fn the_keyframe_before() {
        for (at, entered) in [
            (0, "AbcDefGhi"),
            (2, "AbcDefGhi"),
            (3, "DefGhi"),
            (5, "DefGhi"),
            (8, "Ghi"),
            (99, "Ghi"),
        ] {
            assert_eq!(ok(Begin::KeyframeBefore, at, "AbcDefGhi"), entered, "{at}");
        }
    }

    #[test]
    fn the_nearest_keyframe() {
        for (at, entered) in [
            (0, "AbcdEfgh"),
            (1, "AbcdEfgh"),
            (2, "AbcdEfgh"),
            (3, "Efgh"),
            (4, "Efgh"),
            (7, "Efgh"),
        ] {
            assert_eq!(ok(Begin::KeyframeNearest, at, "AbcdEfgh"), entered, "{at}");
        }
    }

    #[test]
    fn an_exact_begin_has_what_it_needs() {
        assert_eq!(ok(Begin::Exact, 5, "abCdefGh"), "CdefGh");
        // More than needed is no harm.
        assert_eq!(ok(Begin::Exact, 7, "abCdefGh"), "CdefGh");
    }

    #[test]
    fn in_a_hole_what_follows_is_shown() {
        for begin in [Begin::KeyframeBefore, Begin::KeyframeNearest] {
            assert_eq!(ok(begin, 4, "Abc....DefG"), "DefG", "{begin:?}");
            assert_eq!(ok(begin, 4, "Abc....defG"), "G", "{begin:?}");
            assert_eq!(ok(begin, 2, "Abc....DefG"), "AbcDefG", "{begin:?}");
        }
        assert_eq!(ok(Begin::KeyframeBefore, 7, "Abc....DefG"), "DefG");
        assert_eq!(ok(Begin::KeyframeBefore, 6, "Ab..Cd....E"), "E");
    }

    #[test]
    fn a_reading_may_begin_too_late() {
        for begin in [Begin::KeyframeBefore, Begin::KeyframeNearest, Begin::Exact] {
            assert_eq!(run(begin, 1, false, "abCde"), Err(TooLate), "{begin:?}");
            assert_eq!(run(begin, 1, true, "abCde"), Ok("Cde".into()), "{begin:?}");
            assert_eq!(run(begin, 2, false, "abCde"), Ok("Cde".into()), "{begin:?}");
        }
        let after = run(Begin::KeyframeAfter, 1, false, "abCde");
        assert_eq!(after, Ok("Cde".into()));
    }

    #[test]
    fn no_more_than_so_much_is_held() {
        let long: String = ["A", &"b".repeat(200), ".", &"c".repeat(50), "D"].concat();
        let entered = ok(Begin::KeyframeBefore, 201, &long);
        assert_eq!(entered, long.replace('.', ""));
    }
}
