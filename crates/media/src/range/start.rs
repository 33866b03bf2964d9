// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Start of a range: the first access unit that is passed on, and the first that is shown.
//!
//! A reading for a time begins at a keyframe before it, or somewhere before that keyframe. Its
//! access units show which keyframe is the one, and whether there is a hole at that time: then those that
//! follow the hole are shown.

use std::mem;

use crate::codec::h264::{FrameNumber, Recovery};
use crate::order::PictureOrder;
use crate::time::Nanos;
use crate::timeline::{SegmentStart, Slot};

/// Start of a range for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first keyframe that is not before it. A range that is read from there on has none that begins in
    /// an earlier record.
    KeyframeAfter,
    /// With the last keyframe that is not after it.
    KeyframeBefore,
    /// With the nearer one of these two, the first if they are equally near.
    KeyframeNearest,
    /// With a keyframe before it from which a decoder gets all pictures from the time on right; shown
    /// from the first one on that is not before the time.
    Exact,
}

/// An access unit with the facts that a [`StartFilter`] needs.
#[derive(Debug)]
pub struct Candidate<T> {
    /// The access unit.
    pub item: T,
    /// Slot of the access unit.
    pub slot: Slot,
    /// Decoding can begin here.
    pub is_keyframe: bool,
    /// Nothing after it in decoding order depends on access units before it, or is shown before it.
    pub is_clean: bool,
    /// For a keyframe that is not clean: `recovery_frame_cnt` (D.2.8).
    pub recovery: u32,
    /// Its number in decoding order.
    pub number: FrameNumber,
    /// Its place in output order.
    pub order: PictureOrder,
    /// Decoding order and output order of the stream may differ.
    pub may_reorder: bool,
    /// Size in bytes.
    pub bytes: usize,
}

/// The first keyframe of the reading is after the time, though it should not be, or the pictures from
/// the time on cannot be decoded right from there.
#[derive(Debug, PartialEq, Eq)]
pub struct StartMissed;

/// Place in output order: number of the coded video sequence, and picture order count in it.
type OutputPlace = (u64, i64);

/// An access unit that is held.
#[derive(Debug)]
struct Held<T> {
    item: T,
    slot: Slot,
    place: OutputPlace,
}

/// A keyframe that is held, from which decoding may start.
#[derive(Debug)]
struct HeldKeyframe {
    /// Its place among the held access units.
    index: usize,
    recovery: Recovery,
    /// Place of the picture from which on output is right, once it has followed.
    right_from: Option<OutputPlace>,
    /// Number of pictures from the keyframe on that are output before that one, and may be wrong.
    wrong: usize,
    /// A picture has followed that is output after that one: no others precede it.
    has_all_wrong: bool,
}

impl HeldKeyframe {
    fn new<T>(arrival: &Candidate<T>, index: usize, place: OutputPlace) -> Self {
        let frames = if arrival.is_clean {
            0
        } else {
            arrival.recovery
        };
        let recovery = Recovery::new(&arrival.number, frames);
        Self {
            index,
            recovery,
            right_from: recovery.is_immediate().then_some(place),
            wrong: 0,
            has_all_wrong: recovery.is_immediate() && arrival.is_in_output_order(),
        }
    }

    /// Takes an access unit after those that are held.
    fn note<T>(&mut self, arrival: &Candidate<T>, place: OutputPlace, held: &[Held<T>]) {
        match self.right_from {
            _ if self.has_all_wrong => {}
            Some(right_from) if place < right_from => self.wrong += 1,
            Some(_) => self.has_all_wrong = true,
            None if self.recovery.is_reached_by(&arrival.number) => {
                let earlier = held.iter().skip(self.index);
                self.wrong = earlier.filter(|unit| unit.place < place).count();
                self.right_from = Some(place);
                self.has_all_wrong = arrival.is_in_output_order();
            }
            None => self.recovery.pass(&arrival.number),
        }
    }

    /// Returns whether the pictures from slot `end` on are correct.
    fn is_right_from(&self, end: usize) -> bool {
        self.has_all_wrong && end - self.index >= self.wrong
    }
}

impl<T> Candidate<T> {
    /// Returns whether a decoder that begins with this keyframe decodes all pictures correctly that are shown
    /// from its time on.
    fn is_right_at_once(&self) -> bool {
        self.is_clean || self.recovery == 0 && !self.may_reorder
    }

    /// Returns whether all pictures after it in decoding order are output after it.
    fn is_in_output_order(&self) -> bool {
        self.is_clean || !self.may_reorder
    }
}

/// Passes on the access units of a range from its start on, in decoding order.
#[derive(Debug)]
pub struct StartFilter<T> {
    begin: Begin,
    at: Nanos,
    /// There are no earlier records.
    is_earliest: bool,
    /// Largest number of bytes that are held. No hole is detected at the end of a larger group.
    most_bytes: usize,
    state: StartState<T>,
    /// Number of coded video sequences that have begun.
    sequences: u64,
    /// The first time that is shown of an exact range, once it is known.
    first_shown: Option<Nanos>,
    skipped: u64,
    /// Segment that began with access units that are left out, for the next one: after a gap or
    /// not.
    carried: Option<(SegmentStart, bool)>,
}

#[derive(Debug)]
enum StartState<T> {
    /// There was no keyframe to begin with.
    Waiting,
    /// From a keyframe on, until it is known whether it is the right one.
    Holding {
        keyframe: Nanos,
        bytes: usize,
        held: Vec<Held<T>>,
        /// For an exact begin.
        candidates: Vec<HeldKeyframe>,
    },
    Open,
}

impl<T> StartFilter<T> {
    /// Returns a filter for the time `at` in a reading that begins with the last keyframe that is not after it,
    /// or before that, unless it `is_earliest`.
    pub fn new(begin: Begin, at: Nanos, is_earliest: bool, most_bytes: usize) -> Self {
        Self {
            begin,
            at,
            is_earliest: is_earliest || begin == Begin::KeyframeAfter,
            most_bytes,
            state: StartState::Waiting,
            sequences: 0,
            first_shown: None,
            skipped: 0,
            carried: None,
        }
    }

    /// Leaves out an access unit.
    pub fn leave_out(&mut self, slot: &Slot) {
        let begun = slot.segment.map(|segment| (segment, slot.discont));
        self.carried = begun.or(self.carried);
    }

    /// Returns the number of access units before the one to begin with, without those before an exact begin.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns whether there was one to begin with.
    pub fn is_open(&self) -> bool {
        matches!(self.state, StartState::Open)
    }

    /// Returns whether there was no keyframe to begin with.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, StartState::Waiting)
    }

    /// Returns whether a reading that ends now, without a keyframe to begin with, should have begun earlier: the frames
    /// from that keyframe on belong to the range.
    pub fn is_missed(&self) -> bool {
        let shows_earlier = matches!(self.begin, Begin::KeyframeBefore | Begin::KeyframeNearest);
        self.is_waiting() && !self.is_earliest && shows_earlier
    }

    /// Returns whether an access unit shows, before there was a keyframe, that the reading should have begun earlier.
    /// One at the time itself does, too: the range may end before the next one.
    fn is_missed_by(&self, arrival: &Candidate<T>) -> bool {
        let time = arrival.slot.time;
        !self.is_earliest && (time > self.at || time == self.at && !arrival.is_keyframe)
    }

    /// Takes the time of the first picture that is shown of an exact range, as soon as it is known.
    pub fn take_first_shown(&mut self) -> Option<Nanos> {
        self.first_shown.take()
    }

    /// Takes the next access unit, and appends to `entered` the access units that are passed on.
    pub fn take(
        &mut self,
        arrival: Candidate<T>,
        entered: &mut Vec<(T, Slot)>,
    ) -> Result<(), StartMissed> {
        self.sequences += u64::from(arrival.order.follows_all_before());
        let place = (self.sequences, arrival.order.count);
        if matches!(self.state, StartState::Holding { .. }) {
            match self.begin {
                Begin::Exact => self.judge_exact(&arrival, place, entered)?,
                _ => self.judge(&arrival, entered),
            }
        }
        let is_missed = self.is_missed_by(&arrival);
        match &mut self.state {
            StartState::Open => self.enter(arrival.item, arrival.slot, entered),
            StartState::Holding {
                held,
                bytes,
                candidates,
                ..
            } => {
                if arrival.is_keyframe {
                    candidates.push(HeldKeyframe::new(&arrival, held.len(), place));
                }
                *bytes += arrival.bytes;
                held.push(Held {
                    item: arrival.item,
                    slot: arrival.slot,
                    place,
                });
            }
            StartState::Waiting if is_missed => return Err(StartMissed),
            StartState::Waiting if !arrival.is_keyframe => self.skip(&arrival.slot),
            StartState::Waiting => self.begin_with(arrival, place, entered)?,
        }
        Ok(())
    }

    /// Begins with a keyframe, or holds it.
    fn begin_with(
        &mut self,
        arrival: Candidate<T>,
        place: OutputPlace,
        entered: &mut Vec<(T, Slot)>,
    ) -> Result<(), StartMissed> {
        let time = arrival.slot.time;
        let is_before = time < self.at;
        match self.begin {
            Begin::KeyframeAfter if is_before => self.skip(&arrival.slot),
            Begin::KeyframeBefore | Begin::KeyframeNearest | Begin::Exact if is_before => {
                self.state = StartState::Holding {
                    keyframe: time,
                    bytes: arrival.bytes,
                    candidates: vec![HeldKeyframe::new(&arrival, 0, place)],
                    held: vec![Held {
                        item: arrival.item,
                        slot: arrival.slot,
                        place,
                    }],
                };
            }
            _ => {
                if self.begin == Begin::Exact {
                    if !self.is_earliest && !arrival.is_right_at_once() {
                        return Err(StartMissed);
                    }
                    self.first_shown = Some(time);
                }
                self.state = StartState::Open;
                self.enter(arrival.item, arrival.slot, entered);
            }
        }
        Ok(())
    }

    /// Ends the reading.
    pub fn finish(&mut self, entered: &mut Vec<(T, Slot)>) {
        match self.begin {
            // Nothing of it is shown.
            Begin::Exact if matches!(self.state, StartState::Holding { .. }) => {
                self.state = StartState::Waiting;
            }
            _ => self.release(entered),
        }
    }

    /// Decides about the access units that are held for a decoder, with the next one.
    fn judge_exact(
        &mut self,
        next: &Candidate<T>,
        place: OutputPlace,
        entered: &mut Vec<(T, Slot)>,
    ) -> Result<(), StartMissed> {
        let is_shown = next.slot.time >= self.at;
        let StartState::Holding {
            bytes,
            held,
            candidates,
            ..
        } = &mut self.state
        else {
            return Ok(());
        };
        if next.is_keyframe && next.slot.time <= self.at && next.is_right_at_once() {
            self.drop_held();
            self.is_earliest = true;
            return Ok(());
        }
        for candidate in candidates.iter_mut() {
            candidate.note(next, place, held);
        }
        let end = held.len();
        let right = candidates
            .iter()
            .rposition(|candidate| candidate.is_right_from(end));
        let is_full = bytes.saturating_add(next.bytes) > self.most_bytes;
        let needless = right.map_or(0, |right| {
            candidates.drain(..right);
            let first = candidates.first().map_or(0, |candidate| candidate.index);
            for candidate in candidates.iter_mut() {
                candidate.index -= first;
            }
            first
        });
        let needless: Vec<_> = held.drain(..needless).map(|unit| unit.slot).collect();
        for slot in &needless {
            self.skip(slot);
        }
        if is_shown {
            if right.is_none() && !self.is_earliest {
                return Err(StartMissed);
            }
            self.first_shown = Some(next.slot.time);
        }
        if is_shown || is_full {
            self.release(entered);
        }
        Ok(())
    }

    /// Decides about the held access units, with the next one.
    fn judge(&mut self, next: &Candidate<T>, entered: &mut Vec<(T, Slot)>) {
        let StartState::Holding {
            keyframe,
            bytes,
            held,
            ..
        } = &self.state
        else {
            return;
        };
        let ends_before = |Held { slot, .. }: &Held<T>| {
            let duration = slot.duration.unwrap_or(Nanos::NSECOND);
            slot.time.saturating_add(duration) <= self.at
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
        // Nothing before an exact begin is wanted.
        self.skipped += u64::from(self.begin != Begin::Exact || slot.time >= self.at);
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
        if !matches!(self.state, StartState::Holding { .. }) {
            return;
        }
        if let StartState::Holding { held, .. } = mem::replace(&mut self.state, StartState::Open) {
            for Held { item, slot, .. } in held {
                self.enter(item, slot, entered);
            }
        }
    }

    fn drop_held(&mut self) {
        if let StartState::Holding { held, .. } = mem::replace(&mut self.state, StartState::Waiting)
        {
            for Held { slot, .. } in &held {
                self.skip(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264::testing::FRAME_NUMBER;
    use crate::order::Reordering;
    use crate::time::CaptureTime;
    use crate::timeline::Spacing;

    /// Returns the slot of a frame that lasts a second.
    fn slot(time: Nanos) -> Slot {
        Slot {
            record: CaptureTime::new(time),
            capture: CaptureTime::new(time),
            time,
            duration: Some(Nanos::SECOND),
            before_pause: None,
            spacing: Spacing::Regular,
            segment: None,
            resumes: false,
            hole: None,
            discont: false,
            frame_rate: None,
        }
    }

    fn number(frame_num: u32, reference: bool, idr: bool) -> FrameNumber {
        FrameNumber {
            frame_num: frame_num % 16,
            idr,
            reference,
            ..FRAME_NUMBER
        }
    }

    fn order(count: i64, begins_sequence: bool) -> PictureOrder {
        PictureOrder {
            count,
            begins_sequence,
            begins_group: false,
            reordering: Reordering {
                frames: 2,
                declared: true,
            },
        }
    }

    const MOST: usize = 1000;

    /// Frames a second apart, keyframes in capitals; `.` is a second without a frame.
    fn run(begin: Begin, at: u64, is_earliest: bool, frames: &str) -> Result<String, StartMissed> {
        let at = Nanos::from_seconds(at);
        let mut entrance = StartFilter::new(begin, at, is_earliest, MOST);
        let mut entered = Vec::new();
        let mut after_hole = true;
        for (second, frame) in frames.chars().enumerate() {
            if frame == '.' {
                after_hole = true;
                continue;
            }
            let time = Nanos::from_seconds(second as u64);
            let segment = SegmentStart {
                start: time,
                base: Nanos::ZERO,
            };
            let slot = Slot {
                segment: mem::take(&mut after_hole).then_some(segment),
                ..slot(time)
            };
            let arrival = Candidate {
                item: frame,
                slot,
                is_keyframe: frame.is_uppercase(),
                is_clean: true,
                recovery: 0,
                number: number(second as u32, true, frame.is_uppercase()),
                order: order(second as i64, frame.is_uppercase()),
                may_reorder: false,
                bytes: 10,
            };
            entrance.take(arrival, &mut entered)?;
        }
        entrance.finish(&mut entered);
        let is_counted = |(second, frame): &(usize, char)| {
            let is_before = Nanos::from_seconds(*second as u64) < at;
            let is_entered = entered.iter().any(|(entered, _)| entered == frame);
            *frame != '.' && (begin != Begin::Exact || !is_before || is_entered)
        };
        let all = frames.chars().enumerate().filter(is_counted).count();
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
        assert_eq!(ok(Begin::Exact, 6, "abCdefGh"), "Gh");
        assert_eq!(ok(Begin::Exact, 7, "abCdefGh"), "Gh");
        assert_eq!(ok(Begin::Exact, 1, "abCdefGh"), "CdefGh");
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
            assert_eq!(run(begin, 1, false, "abCde"), Err(StartMissed), "{begin:?}");
            assert_eq!(run(begin, 1, true, "abCde"), Ok("Cde".into()), "{begin:?}");
            assert_eq!(run(begin, 2, false, "abCde"), Ok("Cde".into()), "{begin:?}");
            // The range may end before the keyframe.
            assert_eq!(run(begin, 1, false, "ab"), Err(StartMissed), "{begin:?}");
            assert_eq!(run(begin, 2, false, "ab"), Ok("".into()), "{begin:?}");
        }
        let after = run(Begin::KeyframeAfter, 1, false, "abCde");
        assert_eq!(after, Ok("Cde".into()));
    }

    /// A picture for an exact begin.
    #[derive(Debug, Clone, Copy)]
    struct Picture {
        /// `recovery_frame_cnt` of a keyframe.
        recovery: Option<u32>,
        is_reference: bool,
        is_idr: bool,
        count: i64,
    }

    fn idr() -> Picture {
        Picture {
            recovery: Some(0),
            is_idr: true,
            ..reference(0)
        }
    }

    fn recovery_point(recovery: u32, count: i64) -> Picture {
        Picture {
            recovery: Some(recovery),
            ..reference(count)
        }
    }

    fn reference(count: i64) -> Picture {
        Picture {
            recovery: None,
            is_reference: true,
            is_idr: false,
            count,
        }
    }

    fn disposable(count: i64) -> Picture {
        Picture {
            is_reference: false,
            ..reference(count)
        }
    }

    /// Takes pictures a second apart in decoding order. Returns the places of those that are passed on, and
    /// the first second that is shown.
    fn exact(
        at: u64,
        is_earliest: bool,
        pictures: &[Picture],
    ) -> Result<(Vec<usize>, Option<u64>), StartMissed> {
        let at = Nanos::from_seconds(at);
        let mut entrance = StartFilter::new(Begin::Exact, at, is_earliest, MOST);
        let mut entered = Vec::new();
        let mut first_shown = None;
        let mut frame_num = 0;
        for (second, picture) in pictures.iter().enumerate() {
            let time = Nanos::from_seconds(second as u64);
            let slot = slot(time);
            if picture.is_idr {
                frame_num = 0;
            }
            entrance.take(
                Candidate {
                    item: second,
                    slot,
                    is_keyframe: picture.recovery.is_some(),
                    is_clean: picture.is_idr,
                    recovery: picture.recovery.unwrap_or_default(),
                    number: number(frame_num, picture.is_reference, picture.is_idr),
                    order: order(picture.count, picture.is_idr),
                    may_reorder: (pictures.windows(2))
                        .any(|pair| pair[1].count < pair[0].count && !pair[1].is_idr),
                    bytes: 10,
                },
                &mut entered,
            )?;
            frame_num += u32::from(picture.is_reference);
            first_shown = first_shown.or(entrance.take_first_shown());
        }
        entrance.finish(&mut entered);
        let entered = entered.into_iter().map(|(frame, _)| frame).collect();
        Ok((entered, first_shown.map(Nanos::seconds)))
    }

    #[test]
    fn an_exact_begin_is_shown_from_the_first_frame_that_is_not_before_it() {
        let group = [idr(), reference(1), reference(2)];
        let frames = [group, group].concat();
        for (at, shown) in [(0, 0), (1, 1), (3, 3), (5, 5)] {
            let (entered, first_shown) = exact(at, false, &frames).unwrap();
            assert_eq!(entered, (at as usize / 3 * 3..6).collect::<Vec<_>>());
            assert_eq!(first_shown, Some(shown));
        }
        assert_eq!(exact(6, true, &frames), Ok((vec![], None)));
    }

    #[test]
    fn a_refresh_is_complete_where_it_is_shown() {
        // Recovery points every four frames, right three frames later.
        let frames: Vec<_> = (0..12)
            .map(|count| match count % 4 {
                0 => recovery_point(3, count),
                _ => reference(count),
            })
            .collect();
        for (at, first) in [(3, 0), (4, 0), (6, 0), (7, 4), (10, 4), (11, 8)] {
            let (entered, first_shown) = exact(at, false, &frames).unwrap();
            assert_eq!(entered, (first..12).collect::<Vec<_>>(), "{at}");
            assert_eq!(first_shown, Some(at));
        }
        assert_eq!(exact(2, false, &frames), Err(StartMissed));
        let all = (0..12).collect::<Vec<_>>();
        assert_eq!(exact(2, true, &frames), Ok((all, Some(2))));
    }

    #[test]
    fn pictures_that_lead_a_keyframe_are_right_too() {
        // I0 P3 B1 B2, then an open group: I6 B4 B5 P7.
        let frames = [
            idr(),
            reference(3),
            disposable(1),
            disposable(2),
            recovery_point(0, 6),
            disposable(4),
            disposable(5),
            reference(7),
        ];
        // At 6 it is not known yet that no other picture leads the keyframe.
        for (at, first) in [(2, 0), (4, 0), (5, 0), (6, 0), (7, 4)] {
            let (entered, first_shown) = exact(at, true, &frames).unwrap();
            assert_eq!(entered, (first..8).collect::<Vec<_>>(), "{at}");
            assert_eq!(first_shown, Some(at));
        }
        for at in [0, 1, 2] {
            assert_eq!(exact(at, false, &frames[4..]), Err(StartMissed), "{at}");
        }
        assert!(exact(3, false, &frames[4..]).is_ok());
    }

    #[test]
    fn a_refresh_counts_reference_pictures_and_ends_in_output_order() {
        // Right from the second reference picture after the recovery point on, in output order: from P6.
        let group = |first: i64| {
            [3, 6, 9, 12].map(|last| {
                [
                    reference(first + last),
                    disposable(first + last - 2),
                    disposable(first + last - 1),
                ]
            })
        };
        let frames = [vec![recovery_point(2, 0)], group(0).concat()].concat();
        let all: Vec<_> = (0..frames.len()).collect();
        // At 6 it is not known yet that no other picture precedes P6.
        for at in 0..=6 {
            assert_eq!(exact(at, false, &frames), Err(StartMissed), "{at}");
        }
        for at in 7..=12 {
            let expected = (all.clone(), Some(at));
            assert_eq!(exact(at, false, &frames), Ok(expected), "{at}");
        }
        // After the next recovery point, the first one is of use until the refresh is complete again.
        let again = [vec![recovery_point(2, 13)], group(13).concat()].concat();
        let frames = [frames, again].concat();
        for (at, first) in [(14, 0), (19, 0), (20, 13), (25, 13)] {
            let (entered, first_shown) = exact(at, false, &frames).unwrap();
            assert_eq!(entered, (first..26).collect::<Vec<_>>(), "{at}");
            assert_eq!(first_shown, Some(at));
        }
    }

    #[test]
    fn a_refresh_without_reordering_counts_reference_pictures() {
        // Every other picture is no reference.
        let mut frames = vec![recovery_point(2, 0)];
        for count in 0..4 {
            frames.extend([disposable(2 * count + 1), reference(2 * count + 2)]);
        }
        assert_eq!(exact(3, false, &frames), Err(StartMissed));
        let all: Vec<_> = (0..frames.len()).collect();
        assert_eq!(exact(4, false, &frames), Ok((all, Some(4))));
    }

    #[test]
    fn an_idr_picture_completes_a_refresh() {
        let frames = [
            recovery_point(9, 4),
            reference(8),
            disposable(6),
            idr(),
            reference(4),
            disposable(2),
        ];
        assert_eq!(exact(2, false, &frames), Err(StartMissed));
        for at in [3, 4, 5] {
            let expected = ((3..6).collect(), Some(at));
            assert_eq!(exact(at, false, &frames), Ok(expected), "{at}");
        }
    }

    #[test]
    fn no_more_than_so_much_is_held() {
        let long: String = ["A", &"b".repeat(200), ".", &"c".repeat(50), "D"].concat();
        let entered = ok(Begin::KeyframeBefore, 201, &long);
        assert_eq!(entered, long.replace('.', ""));
    }
}
