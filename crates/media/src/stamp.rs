// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From decoding order to output order: the slot of the timeline in which each picture is shown.
//!
//! Records are in decoding order, and so are their slots. The k-th picture of a coded video
//! sequence in output order is shown in the sequence's k-th slot, so that the distances of the
//! recorded times stay. A picture has its place as soon as the number of waiting pictures exceeds the
//! reorder depth (the "bumping" of C.4.5.3).
//!
//! Pictures before an IDR picture or a recovery point have their slots before those that follow it. They may be of another
//! encoder, whose counts cannot be compared.
//!
//! A hole in the picture order count is a missing picture. Its slot is missing at its place in decoding order: pictures
//! that are output from the hole up to that place may have the slots of others, and are uncertain.
//!
//! A picture after a loss may be of another place in the stream, and have a slot there that is another one's. It takes its
//! slot where its count puts it: pictures are uncertain if its count is that of another one and precedes theirs, and from
//! a hole up to it.
//!
//! The DTS of an access unit is the slot of an earlier one, as many places before as pictures can be late.
//! Where there is no such slot, at the beginning of a stream or where lateness grows, DTS are squeezed into
//! the time that is left: they always grow, and none is after its PTS.

use std::collections::VecDeque;

use crate::frame_rate::FrameRate;
use crate::order::{MAX_REORDERING, OutputOrder, PictureOrder, ReorderDepth, TooDeep};
use crate::time::{CaptureTime, Nanos};
use crate::timeline::{Cadence, Hole, SegmentStart, Slot};

/// The times of one access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Time of the record that the access unit begins in.
    pub record: CaptureTime,
    /// Capture time.
    pub capture: CaptureTime,
    /// Times since the origin.
    pub pts: Nanos,
    /// Decoding timestamp since the origin.
    pub dts: Nanos,
    /// Time until the next frame in output order, if it is known.
    pub duration: Option<Nanos>,
    /// The segment that begins with this access unit.
    pub segment: Option<SegmentStart>,
    /// The hole before it, if running time leaves that out and the following access units are kept.
    pub hole: Option<Hole>,
    /// There is a gap before this access unit.
    pub discont: bool,
    /// Capture time and PTS may be those of another picture, as pictures that are output before it are missing.
    pub is_uncertain: bool,
    /// The frame rate from here on.
    pub frame_rate: Option<FrameRate>,
}

/// Gives access units, in decoding order, the slots in which they are shown.
#[derive(Debug)]
pub struct Stamper<T> {
    run: Run,
    /// Access units without a stamp, in decoding order.
    waiting: VecDeque<Waiting<T>>,
    /// Those of them that have no place in output order, by their indices in the run.
    unplaced: OutputOrder<usize>,
    /// Unassigned slots, in order.
    free: VecDeque<Slot>,
    stamped: VecDeque<(T, Stamp)>,
    /// Number of pictures in output order whose slots are uncertain from here on.
    uncertain: usize,
    /// There was a hole, and a picture after a loss may still have to take the slot that is not missing.
    is_after_hole: bool,
    /// The next access unit comes after a loss.
    follows_loss: bool,
    /// Distances of slots, and the capture time of the last one that was assigned.
    cadence: Cadence,
    last_shown: Option<CaptureTime>,
    /// Running time of pauses that could not be left out.
    shift: Nanos,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    /// Its slot in decoding order.
    slot: Slot,
    order: PictureOrder,
    shown: Option<Shown>,
    /// It comes after a loss.
    follows_loss: bool,
    /// A picture after a loss may take a slot before it.
    is_displaced: bool,
}

/// The slot in which an access unit is shown.
#[derive(Debug)]
struct Shown {
    slot: Slot,
    /// Number of the slot in the run.
    place: usize,
    /// The slot may be that of another picture.
    is_uncertain: bool,
}

/// Access units of a segment.
#[derive(Debug, Default)]
struct Run {
    segment: Option<SegmentStart>,
    /// Access units that have come, and those that have a place and a stamp.
    come: usize,
    placed: usize,
    stamped: usize,
    /// The latest slot of those that have a stamp, by its number.
    last_place: Option<usize>,
    /// The first slot, its number, and the slots of the last access units.
    first: Option<Slot>,
    begin: usize,
    recent: VecDeque<Nanos>,
    /// By how many places a picture was late at most.
    lateness: usize,
    last_dts: Option<Nanos>,
}

impl<T> Default for Stamper<T> {
    fn default() -> Self {
        Self {
            run: Run::default(),
            waiting: VecDeque::new(),
            unplaced: OutputOrder::default(),
            free: VecDeque::new(),
            stamped: VecDeque::new(),
            uncertain: 0,
            is_after_hole: false,
            follows_loss: false,
            cadence: Cadence::default(),
            last_shown: None,
            shift: Nanos::ZERO,
        }
    }
}

impl<T> Stamper<T> {
    /// Returns a stamper for a stream whose reorder depth is known from other access units.
    pub fn new(depth: ReorderDepth) -> Self {
        Self {
            unplaced: OutputOrder::new(depth),
            ..Self::default()
        }
    }

    /// Returns the reorder depth of the stream that is known so far.
    pub fn depth(&self) -> ReorderDepth {
        self.unplaced.depth()
    }

    /// Takes the report that the reorder depth is too small. There is one at most.
    pub fn take_too_deep(&mut self) -> Option<TooDeep> {
        self.unplaced.take_too_deep()
    }

    /// Drops the report that the reorder depth is too small.
    pub fn forget_too_deep(&mut self) {
        self.unplaced.forget_too_deep();
    }

    /// Takes the next access unit in decoding order.
    pub fn push(&mut self, item: T, order: PictureOrder, slot: Slot) {
        let begins_segment = begins_segment(&slot);
        if begins_segment || self.unplaced.is_ended_by(&order) {
            self.end_sequence();
        }
        let mut slot = slot;
        if let Some(segment) = slot.segment.as_mut().filter(|_| begins_segment) {
            segment.base = segment.base.saturating_add(self.shift);
            self.run.begin(*segment);
        }
        self.unplaced.push(order, self.run.come);
        self.run.add(&slot);
        self.free.push_back(slot.clone());
        self.waiting.push_back(Waiting {
            item,
            slot,
            order,
            shown: None,
            follows_loss: std::mem::take(&mut self.follows_loss),
            is_displaced: false,
        });

        while let Some(index) = self.unplaced.pop() {
            self.place(index);
        }
        self.stamp();
    }

    /// Notes that pictures are lost before the next access unit, which has this order and slot.
    pub fn note_loss_before(&mut self, order: &PictureOrder, slot: &Slot) {
        self.follows_loss = true;
        let ends_sequence = begins_segment(slot) || self.unplaced.is_ended_by(order);
        if ends_sequence || !self.unplaced.is_taken(order.count) {
            return;
        }
        for waiting in &mut self.waiting {
            waiting.is_displaced |= waiting.shown.is_none() && waiting.order.count >= order.count;
        }
    }

    /// Returns the next access unit in decoding order whose times are known.
    pub fn pop(&mut self) -> Option<(T, Stamp)> {
        self.stamped.pop_front()
    }

    /// Ends a sequence: with the stream, where pictures are lost, or with the next access unit.
    pub fn end_sequence(&mut self) {
        while let Some(index) = self.unplaced.end() {
            self.place(index);
        }
        self.uncertain = 0;
        self.is_after_hole = false;
        self.stamp();
    }

    /// Gives the next place in output order to the access unit `index`.
    fn place(&mut self, index: usize) {
        let place = self.run.placed;
        self.run.note_lateness(index, place);
        self.run.placed += 1;
        let missing = self.unplaced.take_missing();
        let Some(slot) = self.free.pop_front() else {
            return;
        };
        let distance = (self.last_shown.replace(slot.capture)).map(|last| slot.capture - last);
        if let Some(missing) = missing
            && !(distance.zip(missing.count))
                .is_some_and(|(distance, count)| self.is_hole_of(distance, count))
        {
            self.uncertain = missing.reach;
            self.is_after_hole = missing.reach > 0;
        }
        if let Some(distance) = distance {
            self.cadence.learn(distance, 1);
        }
        let mut unplaced = self.waiting.iter().filter(|it| it.shown.is_none());
        self.is_after_hole &= self.uncertain > 0 || unplaced.any(|it| it.follows_loss);
        let is_uncertain = self.is_after_hole;
        self.uncertain = self.uncertain.saturating_sub(1);
        if let Some(waiting) = self.waiting.get_mut(index - self.run.stamped) {
            waiting.shown = Some(Shown {
                slot,
                place,
                is_uncertain: is_uncertain || waiting.is_displaced,
            });
        }
    }

    /// Returns whether the `distance` of two slots is longer by so many frames: the slots are missing where the
    /// pictures are.
    fn is_hole_of(&self, distance: Nanos, frames: u64) -> bool {
        let frame = self.cadence.estimate();
        frame.is_some_and(|frame| {
            let expected = frame.saturating_mul(frames.saturating_add(1));
            distance.absdiff(expected) < frame / 2
        })
    }

    /// Stamps the first access units as far as they have a place.
    fn stamp(&mut self) {
        while self
            .waiting
            .front()
            .is_some_and(|first| first.shown.is_some())
        {
            // Those that wait may be later than any before.
            for (ahead, index) in self.unplaced.waiting().into_iter().enumerate() {
                self.run.note_lateness(*index, self.run.placed + ahead);
            }
            if let Some(Waiting {
                item,
                mut slot,
                order,
                shown: Some(shown),
                ..
            }) = self.waiting.pop_front()
            {
                if slot.resumes {
                    self.resume(&mut slot);
                }
                self.run.last_place = self.run.last_place.max(Some(shown.place));
                let declared = self.unplaced.declared();
                let declared = declared.filter(|_| order.reordering.declared);
                let delay = declared.map_or(self.run.lateness, |_| order.reordering.frames);
                let dts = self.run.next_dts(delay);
                let stamp = Stamp {
                    record: slot.record,
                    capture: shown.slot.capture,
                    // Pictures before the first one that can be decoded may be earlier than it.
                    pts: shown.slot.time.max(dts),
                    dts,
                    duration: shown.slot.duration,
                    segment: slot.segment,
                    hole: slot.hole,
                    discont: slot.discont,
                    is_uncertain: shown.is_uncertain,
                    frame_rate: slot.frame_rate,
                };
                self.stamped.push_back((item, stamp));
            }
        }
    }
}

/// Returns whether a segment begins with a slot, and a sequence with it.
fn begins_segment(slot: &Slot) -> bool {
    slot.segment.is_some() && !slot.resumes
}

impl<T> Stamper<T> {
    /// Begins the segment of the next access unit, after a pause within a coded video sequence.
    ///
    /// Where a picture that comes before the pause in decoding order is shown after it, there is no
    /// segment that all pictures could be in: running time has the pause then.
    fn resume(&mut self, slot: &mut Slot) {
        let Some(segment) = &mut slot.segment else {
            return;
        };
        segment.base = segment.base.saturating_add(self.shift);
        let index = self.run.stamped;
        if self.run.last_place.is_none_or(|last| last < index) {
            self.run.resume(*segment, slot);
        } else if let Some(old) = self.run.segment {
            let since = segment.start.saturating_sub(old.start);
            let base = old.base.saturating_add(since);
            self.shift = self.shift.saturating_add(base.saturating_sub(segment.base));
            slot.segment = None;
        }
    }
}

impl Run {
    /// Continues with another segment, which begins with the next access unit.
    fn resume(&mut self, segment: SegmentStart, first: &Slot) {
        let index = self.stamped;
        let gone = index.saturating_sub(self.come - self.recent.len());
        self.recent.drain(..gone.min(self.recent.len()));
        self.last_dts = self.last_dts_in(segment);
        self.segment = Some(segment);
        self.first = Some(first.clone());
        self.begin = index;
    }

    /// Begins another run. In running time, DTS continues.
    fn begin(&mut self, segment: SegmentStart) {
        *self = Self {
            segment: Some(segment),
            lateness: self.lateness,
            last_dts: self.last_dts_in(segment),
            ..Default::default()
        };
    }

    /// Returns the last DTS as the time of another segment with the same running time.
    fn last_dts_in(&self, segment: SegmentStart) -> Option<Nanos> {
        let (last, old) = self.last_dts.zip(self.segment)?;
        let running_time = old.base.saturating_add(last).checked_sub(old.start)?;
        segment
            .start
            .saturating_add(running_time)
            .checked_sub(segment.base)
    }

    fn add(&mut self, slot: &Slot) {
        self.first.get_or_insert_with(|| slot.clone());
        self.recent.push_back(slot.time);
        self.come += 1;
    }

    /// Places the access unit `index` as number `place` in output order.
    fn note_lateness(&mut self, index: usize, place: usize) {
        let lateness = index.saturating_sub(place);
        self.lateness = self.lateness.max(lateness.min(MAX_REORDERING));
    }

    /// Returns the DTS of the next access unit, where pictures are up to `delay` places late.
    fn next_dts(&mut self, delay: usize) -> Nanos {
        let next = self.stamped;
        let dts = match self.last_dts {
            None => self.slot_before(next, delay),
            // The first of the next slots that is later than the last DTS is shared by those that
            // come until then. The last of them is that of the access unit itself.
            Some(last) => (0..=delay)
                .find_map(|ahead| {
                    let room = self.slot_before(next + ahead, delay).checked_sub(last)?;
                    Some(last + room / (ahead as u64 + 1)).filter(|dts| *dts > last)
                })
                .unwrap_or(last.saturating_add(Nanos::NSECOND)),
        };
        self.last_dts = Some(dts);
        self.stamped += 1;
        while self.come - self.recent.len() + MAX_REORDERING < self.stamped {
            self.recent.pop_front();
        }
        dts
    }

    /// Returns the slot `delay` places before the access unit `index`. Slots before the segment are
    /// extrapolated.
    fn slot_before(&self, index: usize, delay: usize) -> Nanos {
        let oldest = self.come - self.recent.len();
        let earlier = index.checked_sub(delay);
        let slot = match earlier.filter(|index| *index >= self.begin) {
            Some(index) => self.recent.get(index.saturating_sub(oldest)).copied(),
            None => self.first.as_ref().map(|first| {
                let missing = (self.begin + delay).saturating_sub(index) as u64;
                let frame = first.duration.unwrap_or_default();
                let time = frame.nseconds().saturating_mul(missing);
                let time = time.min(Nanos::MAX.nseconds());
                first.time.saturating_sub(Nanos::from_nseconds(time))
            }),
        };
        slot.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::timeline::Spacing;
    use super::*;
    use crate::order::Reordering;
    use crate::sequences::{DeclaredDepth, depth, sequence, shuffled_group};

    const FRAME: u64 = 100;
    /// Capture time of the first frame.
    const ZERO: CaptureTime = CaptureTime::from_useconds(1_000_000_000);

    fn slot(index: u64) -> Slot {
        let time = Nanos::from_mseconds(index * FRAME);
        Slot {
            record: CaptureTime::new(time),
            capture: ZERO + time,
            time,
            duration: Some(Nanos::from_mseconds(FRAME)),
            before_pause: None,
            spacing: Spacing::Regular,
            segment: (index == 0).then_some(SegmentStart {
                start: time,
                base: Nanos::ZERO,
            }),
            resumes: false,
            hole: None,
            discont: false,
            frame_rate: None,
        }
    }

    fn order(count: i64, frames: usize, declared: bool) -> PictureOrder {
        PictureOrder {
            count,
            begins_sequence: count == 0,
            begins_group: false,
            reordering: Reordering { frames, declared },
        }
    }

    /// PTS in frames and DTS in ms of pictures with these counts.
    fn run(counts: &[i64], frames: usize, declared: bool) -> (Vec<u64>, Vec<u64>) {
        let mut reorder = Stamper::default();
        for (index, count) in (0..).zip(counts) {
            reorder.push((), order(*count, frames, declared), slot(index));
        }
        reorder.end_sequence();
        let stamps: Vec<_> = std::iter::from_fn(|| reorder.pop()).collect();
        assert_eq!(stamps.len(), counts.len());
        assert!(stamps.windows(2).all(|pair| pair[0].1.dts < pair[1].1.dts));
        assert!(stamps.iter().all(|(_, stamp)| stamp.dts <= stamp.pts));
        for (_, stamp) in &stamps {
            let shown = stamp.capture - ZERO;
            assert!(shown <= stamp.pts && stamp.pts.mseconds() < shown.mseconds() + FRAME);
        }
        stamps
            .iter()
            .map(|(_, stamp)| (stamp.pts.mseconds() / FRAME, stamp.dts.mseconds()))
            .unzip()
    }

    #[test]
    fn without_reordering_dts_is_pts() {
        for declared in [true, false] {
            let (pts, dts) = run(&[0, 2, 4, 6, 8], if declared { 0 } else { 4 }, declared);
            assert_eq!(pts, [0, 1, 2, 3, 4]);
            assert_eq!(dts, [0, 100, 200, 300, 400]);
        }
    }

    #[test]
    fn pictures_are_shown_by_their_counts() {
        let (pts, dts) = run(&[0, 6, 2, 4, 12, 8, 10], 1, true);
        assert_eq!(pts, [0, 3, 1, 2, 6, 4, 5]);
        assert_eq!(dts, [0, 50, 100, 200, 300, 400, 500]);
    }

    #[test]
    fn pyramids() {
        let (pts, dts) = run(&[0, 8, 4, 2, 6, 16, 12, 10, 14], 2, true);
        assert_eq!(pts, [0, 4, 2, 1, 3, 8, 6, 5, 7]);
        assert_eq!(dts, [0, 33, 66, 100, 200, 300, 400, 500, 600]);
    }

    #[test]
    fn an_undeclared_order_is_found_out() {
        let declared = run(&[0, 8, 4, 2, 6, 16, 12, 10, 14], 2, true);
        assert_eq!(run(&[0, 8, 4, 2, 6, 16, 12, 10, 14], 4, false), declared);
    }

    #[test]
    fn lateness_may_grow_in_the_stream() {
        let counts = [0, 2, 4, 6, 8, 16, 12, 10, 14, 18, 26, 22, 20, 24];
        let (pts, dts) = run(&counts, 3, false);
        assert_eq!(pts, [0, 1, 2, 3, 4, 8, 6, 5, 7, 9, 13, 11, 10, 12]);
        assert_eq!(dts[..3], [0, 100, 200]);
        assert_eq!(dts[7..], [500, 600, 700, 800, 900, 1000, 1100]);
    }

    #[test]
    fn sequences_are_shown_one_after_the_other() {
        let (pts, dts) = run(&[0, 6, 2, 4, 0, 6, 2, 4], 1, true);
        assert_eq!(pts, [0, 3, 1, 2, 4, 7, 5, 6]);
        assert_eq!(dts, [0, 50, 100, 200, 300, 400, 500, 600]);
    }

    #[test]
    fn pictures_that_lead_the_first_one() {
        // Open GOP: the I picture is shown after the pictures that follow it.
        let (pts, dts) = run(&[6, 2, 4, 12, 8, 10], 1, true);
        assert_eq!(pts, [2, 0, 1, 5, 3, 4]);
        assert_eq!(dts, [0, 50, 100, 200, 300, 400]);
    }

    #[test]
    fn a_picture_has_its_place_as_soon_as_it_can() {
        let mut reorder = Stamper::default();
        reorder.push(0, order(0, 1, true), slot(0));
        assert!(reorder.pop().is_none());
        reorder.push(1, order(6, 1, true), slot(1));
        assert_eq!(reorder.pop().unwrap().0, 0);
        reorder.push(2, order(2, 1, true), slot(2));
        reorder.push(3, order(4, 1, true), slot(3));
        assert!(reorder.pop().is_none());
        reorder.push(4, order(0, 1, true), slot(4));
        assert_eq!(reorder.pop().unwrap().0, 1);
    }

    #[test]
    fn more_is_late_than_was_declared() {
        // The second sequence is right.
        let counts = [0, 8, 4, 2, 6, 0, 8, 4, 2, 6];
        let (pts, _) = run(&counts, 1, true);
        assert_eq!(pts[5..], [5, 9, 7, 6, 8]);
        let mut all = pts.clone();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_lost_idr_picture_does_not_mix_sequences() {
        let counts = [0, 4, 2, 8, 6, 12, 10];
        let expected = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11];
        let mut reorder = Stamper::default();
        for (index, count) in (0..).zip(counts.iter().chain(&counts[1..])) {
            if index == 7 {
                reorder.end_sequence();
            }
            reorder.push((), order(*count, 1, true), slot(index));
        }
        reorder.end_sequence();
        let pts: Vec<_> = std::iter::from_fn(|| reorder.pop())
            .map(|(_, stamp)| stamp.pts.mseconds() / FRAME)
            .collect();
        assert_eq!(pts, expected);

        // The stream did not announce it.
        let long: Vec<i64> = (0..40).map(|frame| 2 * frame).chain([4, 2, 8, 6]).collect();
        let (pts, _) = run(&long, 1, true);
        assert_eq!(pts[38..], [38, 39, 41, 40, 43, 42]);
    }

    /// Running times of PTS and DTS in ms, of pictures with these counts and a pause of a minute
    /// before the one at `pause`, and how many segments there are.
    fn run_with_pause(counts: &[i64], pause: usize) -> (Vec<u64>, Vec<i64>, usize) {
        let mut reorder = Stamper::default();
        let gap = Nanos::from_seconds(60);
        for (index, count) in counts.iter().enumerate() {
            let mut slot = slot(index as u64);
            if index >= pause {
                slot.time += gap;
                slot.capture += gap;
            }
            if index == pause {
                slot.segment = Some(SegmentStart {
                    start: slot.time,
                    base: slot.time - gap,
                });
                slot.resumes = true;
            }
            let mut order = order(*count, 2, true);
            order.begins_sequence = index == 0;
            reorder.push((), order, slot);
        }
        // A segment that begins as ever.
        let mut last = slot(counts.len() as u64);
        last.time += gap + gap;
        last.segment = Some(SegmentStart {
            start: last.time,
            base: last.time - gap - gap,
        });
        reorder.push((), order(0, 2, true), last);
        reorder.end_sequence();
        let mut segments = Vec::new();
        let times = std::iter::from_fn(|| reorder.pop()).map(|(_, stamp)| {
            segments.extend(stamp.segment);
            let SegmentStart { start, base } = segments[segments.len() - 1];
            assert!(stamp.pts >= start, "a picture outside of its segment");
            let ms = |time: Nanos| time.mseconds() as i64;
            let dts = ms(base) + ms(stamp.dts) - ms(start);
            ((base + stamp.pts - start).mseconds(), dts)
        });
        let (pts, dts): (Vec<_>, Vec<_>) = times.unzip();
        assert!(dts.windows(2).all(|pair| pair[0] < pair[1]), "{dts:?}");
        (pts, dts, segments.len())
    }

    #[test]
    fn a_pause_within_a_sequence_is_left_out() {
        let in_order = [0, 2, 4, 6, 8, 10];
        for pause in 1..6 {
            let (pts, _, segments) = run_with_pause(&in_order, pause);
            assert_eq!((pts, segments), ((0..7).map(|it| it * 100).collect(), 3));
        }
        // Between two groups of B pictures, which are complete.
        let pyramid = [0, 6, 2, 4, 12, 8, 10, 18, 14, 16];
        let (pts, _, segments) = run_with_pause(&pyramid, 4);
        assert_eq!(pts, [0, 300, 100, 200, 600, 400, 500, 900, 700, 800, 1000]);
        assert_eq!(segments, 3);
    }

    #[test]
    fn a_pause_that_pictures_are_reordered_across_stays() {
        let pyramid = [0, 6, 2, 4, 12, 8, 10];
        for pause in [2, 3, 5, 6] {
            let (pts, _, segments) = run_with_pause(&pyramid, pause);
            assert_eq!(segments, 2);
            let mut sorted = pts.clone();
            sorted.sort_unstable();
            let shown: Vec<_> = (0..8)
                .map(|it| it * 100 + if it >= pause as u64 { 60_000 } else { 0 })
                .collect();
            assert_eq!(sorted, shown);
        }
    }

    #[test]
    fn in_running_time_dts_goes_on_after_a_gap() {
        let mut reorder = Stamper::default();
        let counts = [0, 6, 2, 4];
        for (index, count) in (0..).zip(counts) {
            reorder.push((), order(count, 1, true), slot(index));
        }
        for (index, count) in (50..).zip(counts) {
            let mut slot = slot(index);
            slot.segment = (index == 50).then_some(SegmentStart {
                start: slot.time,
                base: 4 * Nanos::from_mseconds(FRAME),
            });
            reorder.push((), order(count, 3, true), slot);
        }
        reorder.end_sequence();
        let mut segment = None;
        let running_times: Vec<_> = std::iter::from_fn(|| reorder.pop())
            .map(|(_, stamp)| {
                segment = stamp.segment.or(segment);
                let SegmentStart { start, base } = segment.unwrap();
                let ms = |time: Nanos| time.mseconds() as i64;
                ms(base) + ms(stamp.dts) - ms(start)
            })
            .collect();
        assert!(
            running_times.windows(2).all(|pair| pair[0] < pair[1]),
            "{running_times:?}"
        );
    }

    /// Returns the pictures that are shown at another time than their own, and those whose time is uncertain, of
    /// pictures with these places in decoding order, of which those with `lost` indices are not there.
    fn without(places: &[i64], depth: usize, lost: &[usize]) -> (Vec<i64>, Vec<i64>) {
        let mut reorder = Stamper::default();
        for (index, place) in places.iter().enumerate() {
            if !lost.contains(&index) {
                reorder.push(*place, order(2 * place, depth, true), slot(index as u64));
            }
        }
        reorder.end_sequence();
        let stamps: Vec<_> = std::iter::from_fn(|| reorder.pop()).collect();
        let own = |place: i64| ZERO + Nanos::from_mseconds(place as u64 * FRAME);
        let of = |is_wanted: &dyn Fn(&(i64, Stamp)) -> bool| {
            let places = stamps.iter().filter(|it| is_wanted(it));
            places.map(|(place, _)| *place).collect()
        };
        (
            of(&|(place, stamp)| stamp.capture != own(*place)),
            of(&|(_, stamp)| stamp.is_uncertain),
        )
    }

    const TRIPLES: [i64; 13] = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11];

    #[test]
    fn times_after_a_lost_picture_are_uncertain() {
        assert_eq!(without(&TRIPLES, 1, &[]), (vec![], vec![]));
        // The picture after it has its time.
        assert_eq!(without(&TRIPLES, 1, &[5]), (vec![5], vec![5]));
        assert_eq!(without(&TRIPLES, 1, &[2]), (vec![2], vec![2]));
        assert_eq!(without(&TRIPLES, 1, &[8, 9]), (vec![9], vec![9]));
        // One more than necessary.
        let pyramid = [0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11];
        assert_eq!(without(&pyramid, 2, &[7]), (vec![6, 7], vec![6, 7]));
        assert_eq!(without(&pyramid, 2, &[8]), (vec![8], vec![8, 9]));
    }

    #[test]
    fn pictures_behind_one_of_another_sequence_are_uncertain() {
        for (alien, expected) in [
            // Before the begin of the sequence.
            (-18, vec![2, 6]),
            // The count of another picture, which is in its place.
            (2, vec![2, 6]),
            (6, vec![6]),
            // The missing picture.
            (4, vec![]),
        ] {
            let mut stamper = Stamper::default();
            for (index, count) in (0..).zip([0, 6, 2]) {
                stamper.push((index, count), order(count, 2, true), slot(index));
            }
            let order = order(alien, 2, true);
            stamper.note_loss_before(&order, &slot(3));
            stamper.push((3, alien), order, slot(3));
            stamper.end_sequence();
            let stamps = std::iter::from_fn(|| stamper.pop());
            let mut uncertain: Vec<_> = stamps
                .filter(|((index, _), stamp)| *index < 3 && stamp.is_uncertain)
                .map(|((_, count), _)| count)
                .collect();
            uncertain.sort_unstable();
            assert_eq!(uncertain, expected, "{alien}");
        }
    }

    #[test]
    fn pictures_from_a_hole_up_to_one_after_a_loss_are_uncertain() {
        // A picture of another place has come instead of the one with the count 8.
        let counts = [0, 6, 2, 4, 14, 10, 30, 12, 16, 22, 18, 20, 24, 28, 26, 34];
        let mut stamper = Stamper::default();
        for (index, count) in (0..).zip(counts) {
            let order = order(count, 2, true);
            if count == 30 {
                stamper.note_loss_before(&order, &slot(index));
            }
            stamper.push(count, order, slot(index));
        }
        stamper.end_sequence();
        let stamps: Vec<_> = std::iter::from_fn(|| stamper.pop()).collect();
        let of = |is_of: &dyn Fn(&i64, &Stamp) -> bool| {
            let found = stamps.iter().filter(|(count, stamp)| is_of(count, stamp));
            let mut found: Vec<_> = found.map(|(count, _)| *count).collect();
            found.sort_unstable();
            found
        };
        let right = |count: i64| ZERO + Nanos::from_mseconds(count as u64 / 2 * FRAME);
        let wrong = of(&|count, stamp| stamp.capture != right(*count));
        assert_eq!(wrong, [10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 34]);
        assert_eq!(of(&|_, stamp| stamp.is_uncertain), wrong);
    }

    #[test]
    fn times_at_the_end_are_uncertain_until_all_pictures_before_are_there() {
        for length in 2..TRIPLES.len() {
            let lost: Vec<usize> = (length..TRIPLES.len()).collect();
            let (wrong, uncertain) = without(&TRIPLES, 1, &lost);
            assert_eq!(wrong, uncertain, "{length}");
            assert_eq!(uncertain.len(), usize::from(length % 3 != 1));
        }
    }

    #[test]
    fn pictures_that_were_not_captured_are_no_loss() {
        // Neither the pictures nor their slots are there.
        let mut reorder = Stamper::default();
        let mut places = TRIPLES;
        for place in &mut places {
            *place += i64::from(*place > 4);
        }
        for (index, place) in places.iter().enumerate() {
            let slot = slot(index as u64 + u64::from(index > 4));
            reorder.push(*place, order(2 * place, 1, true), slot);
        }
        reorder.end_sequence();
        while let Some((place, stamp)) = reorder.pop() {
            assert!(!stamp.is_uncertain);
            assert_eq!(
                stamp.capture,
                ZERO + Nanos::from_mseconds(place as u64 * FRAME)
            );
        }
    }

    #[test]
    fn garbage_is_shown_in_some_order() {
        let counts = [0, i64::MAX, i64::MIN, 7, 7, -3, i64::MAX, 1];
        for frames in [0, 1, 16] {
            for declared in [true, false] {
                let (mut pts, _) = run(&counts, frames, declared);
                pts.sort_unstable();
                assert_eq!(pts, (0..8).collect::<Vec<_>>());
            }
        }
    }

    proptest! {
        /// Each frame comes once, in decoding order, and has one of the slots; a later one the later
        /// it is in output order, if the stream does not lie.
        #[test]
        fn each_frame_has_one_slot(
            sequences in vec(sequence(shuffled_group(0..=6), 0..12), 1..8),
            declaration in DeclaredDepth::any(),
            jitter in vec(0u64..FRAME / 2, 1..9),
            losses in vec(prop::bool::weighted(0.05), 1..40),
        ) {
            let depth = depth(&sequences);
            let (frames, declared) = match declaration.frames(depth) {
                Some(frames) => (frames, true),
                None => (MAX_REORDERING, false),
            };
            let lies = declared && frames < depth;
            let mut reorder = Stamper::default();
            let mut expected = Vec::new();
            let mut told = 0;
            let mut index = 0;
            for places in &sequences {
                let first = index;
                for place in places {
                    let lost = losses[index as usize % losses.len()] && !lies;
                    let order = PictureOrder {
                        count: 2 * place,
                        begins_sequence: *place == 0,
                        begins_group: false,
                        reordering: Reordering { frames, declared },
                    };
                    let jitter = jitter[index as usize % jitter.len()];
                    let mut slot = slot(index);
                    slot.time += Nanos::from_mseconds(jitter);
                    slot.capture += Nanos::from_mseconds(jitter);
                    if lost {
                        // Where the order ends, what waits has its slots.
                        reorder.end_sequence();
                    }
                    expected.push((index, first + *place as u64));
                    reorder.push(index, order, slot);
                    told += usize::from(reorder.take_too_deep().is_some());
                    index += 1;
                }
            }
            reorder.end_sequence();
            let stamps: Vec<_> = std::iter::from_fn(|| reorder.pop()).collect();
            prop_assert!(stamps.iter().map(|(index, _)| *index).eq(0..index));
            prop_assert!(stamps.windows(2).all(|pair| pair[0].1.dts < pair[1].1.dts));
            prop_assert!(stamps.iter().all(|(_, stamp)| stamp.dts <= stamp.pts));
            let frame = |stamp: &Stamp| (stamp.capture - ZERO).mseconds() / FRAME;
            let shown: Vec<_> = stamps.iter().map(|(index, stamp)| (*index, frame(stamp))).collect();
            let mut slots: Vec<_> = shown.iter().map(|(_, slot)| *slot).collect();
            slots.sort_unstable();
            prop_assert!(slots.into_iter().eq(0..index), "each slot once");
            let has_losses = losses.iter().any(|lost| *lost) && !lies;
            if !lies && !has_losses && told == 0 {
                prop_assert_eq!(shown, expected);
                prop_assert!(stamps.iter().all(|(_, stamp)| !stamp.is_uncertain));
            }
            prop_assert!(told <= 1, "told once");
            prop_assert!(!declared || lies || has_losses || told == 0);
        }
    }
}
