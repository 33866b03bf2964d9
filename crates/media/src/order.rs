// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Pictures from decoding order to output order ("bumping", ITU-T H.264, C.4.5.3).
//!
//! A picture is output as soon as the number of waiting pictures exceeds the reorder depth.
//!
//! No picture that precedes a picture which decoding can begin with is output after one that follows it.
//!
//! The stream declares the depth with `max_num_reorder_frames`. Without it, the size of the decoded
//! picture buffer is a bound (E.2.1) that most streams are far from. It is used for two groups of
//! pictures, and the depth observed in them from then on. Either depth may turn out to be too small; the
//! bound is used again then. Late pictures leave a gap in the picture order count, so that this is
//! usually noticed in time.

use std::fmt;

/// Largest reorder depth: the number of frames in a decoded picture buffer (A.3.1).
pub const MAX_REORDERING: usize = 16;
/// Number of groups of pictures after which the observed depth is used.
const LEARNT_GROUPS: usize = 2;
/// Number of pictures that count as a group in a longer coded video sequence. Patterns of reordering are
/// no longer than a decoded picture buffer.
const GROUP: usize = 60;
/// Distance of the counts of consecutive frames in most streams (8.2.1).
const COMMON_STEP: i64 = 2;
/// Number of equal distances of counts from which on a longer one than [`COMMON_STEP`] is known.
const MIN_STEPS: usize = 2;
/// Number of regular distances for each longer one in a stream whose counts are regular.
const REGULAR_PER_HOLE: usize = 4;

/// Place of a picture in output order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureOrder {
    /// The picture order count; of a frame or a pair of fields, the lower one of both fields.
    pub count: i64,
    /// All pictures before this one in decoding order precede it in output order, and counting
    /// begins anew.
    pub begins_sequence: bool,
    /// Decoding can begin with this picture: all pictures before it in decoding order precede it, and those after it,
    /// in output order. The counts continue if they are of the same sequence.
    pub begins_group: bool,
    /// Largest distance of decoding order from output order.
    pub reordering: Reordering,
}

impl PictureOrder {
    /// Returns whether all pictures before this one in decoding order precede it, and those after it, in output order.
    pub fn follows_all_before(&self) -> bool {
        self.begins_sequence || self.begins_group
    }
}

/// Number of frames that may follow a frame in decoding order and precede it in output order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reordering {
    /// Number of frames.
    pub frames: usize,
    /// The stream declares it. Else it is the limit of the level.
    pub declared: bool,
}

/// Distance of decoding order from output order, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReorderDepth {
    /// Declaration of the stream.
    said: Option<Reordering>,
    /// Largest number of frames that preceded a picture and are output after it.
    observed: usize,
    groups: usize,
    pictures: usize,
    /// More frames were out of order than declared.
    contradicts_declaration: bool,
    /// More frames were out of order than in the groups before.
    contradicts_observation: bool,
    /// The smallest distance of two counts in output order, and how often there was one.
    step: Option<i64>,
    steps: usize,
    is_told: bool,
}

/// Pictures that are missing in output order, by the picture order count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingPictures {
    /// Number of pictures that are missing before a picture; `None` if its count cannot follow those before it.
    pub count: Option<u64>,
    /// Number of pictures from that one on in output order that may have come before a missing one in decoding order.
    pub reach: usize,
}

/// The reorder depth exceeds the declared or observed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooDeep {
    /// Number of frames that were expected.
    pub expected: usize,
    /// The stream declares so.
    pub is_declared: bool,
}

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, .. } = self;
        f.write_str("Pictures are further out of output order than ")?;
        if self.is_declared {
            write!(
                f,
                "the SPS declares (max_num_reorder_frames is {expected}), a fault of the encoder. \
                 The declaration is ignored from here on"
            )
        } else {
            write!(
                f,
                "in the groups of pictures before ({expected} frames). They are delayed by a whole \
                 decoded picture buffer from here on"
            )
        }
    }
}

impl ReorderDepth {
    /// Notes the next picture with the declarations of the stream.
    fn note(&mut self, order: &PictureOrder) {
        if self.said != Some(order.reordering) {
            *self = Self {
                said: Some(order.reordering),
                is_told: self.is_told,
                ..Self::default()
            };
        }
        // A single picture shows nothing.
        if order.begins_sequence && self.pictures > 1 || self.pictures >= GROUP {
            self.groups += 1;
            self.pictures = 0;
        } else if order.begins_sequence {
            self.pictures = 0;
        }
        self.pictures += 1;
    }

    /// Returns the declared or learnt depth, or `None` if only the bound of the level is known.
    fn expected(&self) -> Option<usize> {
        let said = self.said?;
        if said.declared && !self.contradicts_declaration {
            return Some(said.frames);
        }
        let is_learnt = self.groups >= LEARNT_GROUPS && !self.contradicts_observation;
        is_learnt.then_some(self.observed)
    }

    /// Returns the number of pictures that may wait.
    fn bound(&self) -> usize {
        let said = self.said.filter(|said| !said.declared);
        // What comes later than the level allows is in no order anyway.
        let most = said.map_or(MAX_REORDERING, |said| said.frames.max(self.observed));
        self.expected().unwrap_or(most.min(MAX_REORDERING))
    }

    /// Returns by how many pictures decoding order may be ahead of output order, as far as it is known. A declared depth
    /// counts unless many pictures were in order.
    fn reach(&self) -> usize {
        let is_in_order = self.observed == 0 && (self.groups > 0 || self.pictures > MAX_REORDERING);
        match self.said {
            _ if is_in_order => 0,
            Some(said) if said.declared || self.observed == 0 => self.bound(),
            _ => self.observed,
        }
    }

    /// Notes a distance of two counts in output order.
    fn note_step(&mut self, distance: i64) {
        match self.step {
            Some(step) if distance > step => {}
            Some(step) if distance == step => self.steps = self.steps.saturating_add(1),
            _ => (self.step, self.steps) = (Some(distance), 1),
        }
    }

    /// Notes the number of frames that precede a picture and are output after it.
    fn observe(&mut self, frames: usize) -> Option<TooDeep> {
        let expected = self.expected();
        self.observed = self.observed.max(frames.min(MAX_REORDERING));
        let expected = expected.filter(|expected| frames > *expected)?;
        let is_declared = self.said.is_some_and(|said| said.declared);
        let is_declared = is_declared && !self.contradicts_declaration;
        match is_declared {
            true => self.contradicts_declaration = true,
            false => self.contradicts_observation = true,
        }
        self.groups = 0;
        (!std::mem::replace(&mut self.is_told, true)).then_some(TooDeep {
            expected,
            is_declared,
        })
    }
}

/// Pictures that wait for their place in output order.
#[derive(Debug)]
pub struct OutputOrder<T> {
    /// Their picture order counts, places in decoding order, and values.
    waiting: Vec<(i64, u64, T)>,
    come: u64,
    depth: ReorderDepth,
    /// The count of the last picture of this sequence that got its place.
    last_count: Option<i64>,
    /// The last count of the pictures that were ended, until one follows.
    ended_at: Option<i64>,
    /// The last count of the group before, until a picture of this group gets its place.
    before_group: Option<i64>,
    /// Number of longer distances of counts than the step, and whether one was no multiple of it.
    holes: usize,
    is_irregular: bool,
    missing: Option<MissingPictures>,
    too_deep: Option<TooDeep>,
}

impl<T> Default for OutputOrder<T> {
    fn default() -> Self {
        Self::new(ReorderDepth::default())
    }
}

impl<T> OutputOrder<T> {
    /// Pictures of a stream of which something is known already.
    pub fn new(depth: ReorderDepth) -> Self {
        Self {
            waiting: Vec::new(),
            come: 0,
            depth,
            last_count: None,
            ended_at: None,
            before_group: None,
            holes: 0,
            is_irregular: false,
            missing: None,
            too_deep: None,
        }
    }

    /// Returns the reorder depth that is known so far.
    pub fn depth(&self) -> ReorderDepth {
        self.depth
    }

    /// Returns whether all that wait come before a picture with this order.
    pub fn is_ended_by(&self, order: &PictureOrder) -> bool {
        order.follows_all_before() || self.begins_anew(order.count)
    }

    /// Returns whether the count was reset without an IDR picture, which is missing then. A picture that is so
    /// much earlier than the last output cannot belong to the same sequence.
    fn begins_anew(&self, count: i64) -> bool {
        let latest = COMMON_STEP * MAX_REORDERING as i64;
        self.last_count
            .is_some_and(|last| last.saturating_sub(count) > latest)
    }

    /// Returns whether no further picture of the sequence can have a count: one with it is there, or later ones have their
    /// places.
    pub fn is_taken(&self, count: i64) -> bool {
        self.last_count.is_some_and(|last| count <= last)
            || self.waiting.iter().any(|(other, ..)| *other == count)
    }

    /// Takes the next picture in decoding order.
    pub fn push(&mut self, order: PictureOrder, picture: T) {
        self.depth.note(&order);
        if let Some(last) = self.ended_at.take() {
            let continues = order.begins_group && !order.begins_sequence;
            self.before_group = continues.then_some(last);
        }
        let is_too_late = self.last_count.is_some_and(|last| order.count < last);
        let later = self.waiting.iter();
        let later = later.filter(|(count, _, _)| *count > order.count).count();
        let too_deep = self.depth.observe(later + usize::from(is_too_late));
        self.too_deep = self.too_deep.or(too_deep);
        self.waiting.push((order.count, self.come, picture));
        self.come += 1;
    }

    /// Returns the next picture in output order, as soon as it is known.
    pub fn pop(&mut self) -> Option<T> {
        let bound = self.depth.bound();
        if self.waiting.len() <= bound {
            return None;
        }
        if self.depth.expected().is_some() && self.is_after_gap() && self.may_be_filled(bound) {
            return None;
        }
        self.take_first()
    }

    /// Returns whether the gap before the first waiting picture may be filled by later ones: those that
    /// follow in decoding order before one that is output last.
    fn may_be_filled(&self, bound: usize) -> bool {
        let latest = self.waiting.iter().map(|(count, _, _)| *count).max();
        let newest = self.waiting.iter().max_by_key(|(_, number, _)| *number);
        let is_within = newest.map(|(count, _, _)| *count) < latest;
        self.waiting.len() <= MAX_REORDERING && (self.waiting.len() == bound + 1 || is_within)
    }

    /// Returns whether there is room for a picture between the last one and the first one that waits.
    fn is_after_gap(&self) -> bool {
        let first = self.waiting.iter().map(|(count, _, _)| *count).min();
        let step = self.depth.step.unwrap_or(COMMON_STEP);
        let last = self.last_count.or(self.before_group);
        (last.zip(first)).is_some_and(|(last, first)| first.saturating_sub(last) > step)
    }

    /// Takes the report that the reorder depth is too small. There is one at most.
    pub fn take_too_deep(&mut self) -> Option<TooDeep> {
        self.too_deep.take()
    }

    /// Takes the pictures that are missing before the one that was returned last, if the counts of the stream are
    /// regular and show it. If `reach` is 0, decoding order is output order.
    pub fn take_missing(&mut self) -> Option<MissingPictures> {
        self.missing.take()
    }

    /// Drops the report that the reorder depth is too small, as another cause was reported. The next one is
    /// a report again.
    pub fn forget_too_deep(&mut self) {
        if self.too_deep.take().is_some() {
            self.depth.is_told = false;
        }
    }

    /// Returns the next waiting picture in output order at the end of a sequence, or `None` after the last
    /// one.
    pub fn end(&mut self) -> Option<T> {
        let first = self.take_first();
        if first.is_none() {
            self.ended_at = self.last_count.take().or(self.before_group.take());
        }
        first
    }

    /// Returns the pictures that wait, in output order as far as it is known.
    pub fn waiting(&self) -> Vec<&T> {
        let mut waiting: Vec<_> = self.waiting.iter().collect();
        waiting.sort_unstable_by_key(|(count, number, _)| (*count, *number));
        waiting.into_iter().map(|(_, _, picture)| picture).collect()
    }

    /// Returns the declared depth, unless pictures have contradicted it.
    pub fn declared(&self) -> Option<usize> {
        let depth = &self.depth;
        let said = depth.said.filter(|said| said.declared)?;
        (!depth.contradicts_declaration).then_some(said.frames)
    }

    fn take_first(&mut self) -> Option<T> {
        let keys = self.waiting.iter().enumerate();
        let (first, _) = keys.min_by_key(|(_, (count, number, _))| (*count, *number))?;
        let (count, _, picture) = self.waiting.swap_remove(first);
        let before_group = self.before_group.take();
        let distance = self
            .last_count
            .or(before_group)
            .map(|last| count.saturating_sub(last));
        self.missing = match distance {
            Some(distance) if distance > 0 => {
                let missing = self.missing_in(distance, count);
                self.depth.note_step(distance);
                missing
            }
            // The group is of another sequence, the begin of which is missing.
            Some(_) if before_group.is_some() => Some(MissingPictures {
                count: None,
                reach: self.depth.reach(),
            }),
            _ => None,
        };
        self.last_count = Some(self.last_count.map_or(count, |last| last.max(count)));
        Some(picture)
    }

    /// Returns the pictures that are missing before the one with this `count`, at this `distance` from the last one.
    fn missing_in(&mut self, distance: i64, count: i64) -> Option<MissingPictures> {
        if self.depth.step.is_some_and(|step| distance <= step) {
            return None;
        }
        let step = self.regular_step(count);
        if distance <= step {
            return None;
        }
        self.is_irregular |= distance % step != 0;
        self.holes = self.holes.saturating_add(1);
        let is_regular = self.holes <= 1 + self.depth.steps / REGULAR_PER_HOLE;
        (is_regular && !self.is_irregular).then(|| MissingPictures {
            count: Some((distance / step).unsigned_abs() - 1),
            reach: self.depth.reach(),
        })
    }

    /// Returns the distance of the counts of consecutive pictures, by those that were output, the one with this
    /// `count`, and those that wait.
    fn regular_step(&self, count: i64) -> i64 {
        let mut counts: Vec<_> = (self.waiting.iter()).map(|(count, _, _)| *count).collect();
        counts.push(count);
        counts.sort_unstable();
        let distances = (counts.windows(2)).map(|pair| pair[1].saturating_sub(pair[0]));
        let mut depth = self.depth;
        for distance in distances.filter(|distance| *distance > 0) {
            depth.note_step(distance);
        }
        match depth.step {
            Some(step) if depth.steps >= MIN_STEPS => step,
            step => step.map_or(COMMON_STEP, |step| step.min(COMMON_STEP)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::sequences::{depth, sequence, shuffled_group};

    fn order(count: i64, frames: usize) -> PictureOrder {
        PictureOrder {
            count,
            begins_sequence: count == 0,
            begins_group: false,
            reordering: Reordering {
                frames,
                declared: true,
            },
        }
    }

    /// Returns the pictures that come out with each picture, and at the end.
    fn run(counts: &[i64], frames: usize) -> Vec<Vec<i64>> {
        let mut pictures = OutputOrder::default();
        let mut shown = Vec::new();
        for &count in counts {
            let order = order(count, frames);
            let mut now = Vec::new();
            if pictures.is_ended_by(&order) {
                now.extend(std::iter::from_fn(|| pictures.end()));
            }
            pictures.push(order, count);
            now.extend(std::iter::from_fn(|| pictures.pop()));
            shown.push(now);
        }
        shown.push(std::iter::from_fn(|| pictures.end()).collect());
        shown
    }

    #[test]
    fn in_order_nothing_waits() {
        let shown = run(&[0, 2, 4], 0);
        assert_eq!(shown, [vec![0], vec![2], vec![4], vec![]]);
    }

    #[test]
    fn as_many_wait_as_may_come_before() {
        let shown = run(&[0, 6, 2, 4, 8, 0], 2);
        let expected = [
            vec![],
            vec![],
            vec![0],
            vec![2],
            vec![4],
            vec![6, 8],
            vec![0],
        ];
        assert_eq!(shown, expected);
    }

    /// Groups of pictures with these counts, in decoding order: what comes out, the number of
    /// pictures that wait after each of them, and whether more were reported to be out of order.
    fn groups(groups: &[&[i64]], reordering: Reordering) -> (Vec<i64>, Vec<usize>, bool) {
        let mut pictures = OutputOrder::default();
        let (mut shown, mut waiting, mut told) = (Vec::new(), Vec::new(), 0);
        for group in groups {
            for count in *group {
                let order = PictureOrder {
                    count: *count,
                    begins_sequence: *count == 0,
                    begins_group: false,
                    reordering,
                };
                if pictures.is_ended_by(&order) {
                    shown.extend(std::iter::from_fn(|| pictures.end()));
                }
                pictures.push(order, *count);
                shown.extend(std::iter::from_fn(|| pictures.pop()));
                waiting.push(pictures.waiting().len());
                told += usize::from(pictures.take_too_deep().is_some());
            }
        }
        shown.extend(std::iter::from_fn(|| pictures.end()));
        assert!(told <= 1, "told once");
        (shown, waiting, told == 1)
    }

    fn undeclared(frames: usize) -> Reordering {
        Reordering {
            frames,
            declared: false,
        }
    }

    fn declared(frames: usize) -> Reordering {
        Reordering {
            frames,
            declared: true,
        }
    }

    const IN_ORDER: &[i64] = &[0, 2, 4, 6, 8];
    const B_FRAMES: &[i64] = &[0, 6, 2, 4, 12, 8, 10];
    const PYRAMID: &[i64] = &[0, 8, 4, 2, 6, 16, 12, 10, 14];

    fn sorted(groups: &[&[i64]]) -> Vec<i64> {
        let sorted = groups.iter().flat_map(|group| {
            let mut group = group.to_vec();
            group.sort_unstable();
            group
        });
        sorted.collect()
    }

    #[test]
    fn after_two_groups_only_what_they_needed_waits() {
        for (group, needed) in [(IN_ORDER, 0), (B_FRAMES, 1), (PYRAMID, 2)] {
            let all = [group; 4];
            let (shown, waiting, told) = groups(&all, undeclared(16));
            assert_eq!(shown, sorted(&all));
            assert!(!told);
            let (before, after) = waiting.split_at(2 * group.len());
            assert_eq!(before.iter().max(), Some(&group.len()));
            assert_eq!(after.iter().max(), Some(&needed));
        }
    }

    #[test]
    fn long_sequences_are_several_groups() {
        let counts: Vec<i64> = (0..300).map(|count| 2 * count).collect();
        let (_, waiting, _) = groups(&[&counts], undeclared(4));
        assert_eq!(waiting[100], 4);
        assert_eq!(waiting[150..].iter().max(), Some(&0));
    }

    #[test]
    fn what_was_observed_may_be_exceeded() {
        let all = [
            IN_ORDER, IN_ORDER, IN_ORDER, PYRAMID, IN_ORDER, PYRAMID, PYRAMID,
        ];
        let (shown, waiting, told) = groups(&all, undeclared(16));
        assert!(told);
        // The gap in the counts shows it in time.
        assert_eq!(shown, sorted(&all));
        // It is not trusted again.
        assert_eq!(waiting.last(), Some(&PYRAMID.len()));
    }

    #[test]
    fn more_is_out_of_order_than_declared() {
        for (group, frames) in [(B_FRAMES, 0), (PYRAMID, 0), (PYRAMID, 1)] {
            let all = [group; 5];
            let (shown, waiting, told) = groups(&all, declared(frames));
            assert!(told);
            assert_eq!(shown, sorted(&all));
            // Then it is known.
            assert!(waiting.last() < Some(&3), "{waiting:?}");
        }
    }

    #[test]
    fn counts_that_are_far_apart_delay_once() {
        let counts: Vec<i64> = (0..9).map(|count| 12 * count).collect();
        let (_, waiting, told) = groups(&[&counts], declared(0));
        assert!(!told);
        assert_eq!(waiting, [0, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_picture_that_comes_too_late_is_placed_next() {
        // No gap shows it.
        let (shown, _, told) = groups(&[&[0, 2, 4, 6, 3, 8, 5, 10]], declared(0));
        assert!(told);
        assert_eq!(shown, [0, 2, 4, 6, 3, 5, 8, 10]);
    }

    /// Returns the pictures before which others are missing: their counts, and the missing pictures.
    fn missing(counts: &[i64], reordering: Reordering) -> Vec<(i64, u64, usize)> {
        let mut pictures = OutputOrder::default();
        let mut missing = Vec::new();
        for &count in counts {
            let order = PictureOrder {
                count,
                begins_sequence: count == 0,
                begins_group: false,
                reordering,
            };
            if pictures.is_ended_by(&order) {
                while let Some(count) = pictures.end() {
                    missing.extend(pictures.take_missing().map(|it| (count, it)));
                }
            }
            pictures.push(order, count);
            while let Some(count) = pictures.pop() {
                missing.extend(pictures.take_missing().map(|it| (count, it)));
            }
        }
        while let Some(count) = pictures.end() {
            missing.extend(pictures.take_missing().map(|it| (count, it)));
        }
        let missing = missing.iter();
        missing
            .map(|(count, it)| (*count, it.count.unwrap(), it.reach))
            .collect()
    }

    #[test]
    fn counts_show_what_is_missing() {
        for step in [1, 2, 4] {
            let counts = |counts: &[i64]| -> Vec<i64> {
                counts.iter().map(|count| count / 2 * step).collect()
            };
            let complete = [B_FRAMES, PYRAMID, IN_ORDER].concat();
            assert_eq!(missing(&counts(&complete), declared(2)), []);
            for lost in [2, 4, 8, 10] {
                if step > COMMON_STEP && lost < 8 {
                    continue; // Nothing shows the step before.
                }
                let rest: Vec<_> = B_FRAMES.iter().copied().filter(|it| *it != lost).collect();
                let next = (lost + 2) / 2 * step;
                let found = missing(&counts(&rest), declared(1));
                assert_eq!(found, [(next, 1, 1)], "{step} {lost}");
            }
        }
        // They may still follow.
        assert_eq!(missing(&[0, 6], declared(1)), [(6, 2, 1)]);
        assert_eq!(missing(&[0, 6, 2], declared(1)), [(6, 1, 1)]);
        assert_eq!(missing(&[0, 6, 2, 4], declared(1)), []);
    }

    /// Returns the pictures that come out, and those before which others are missing, of groups of pictures with these
    /// counts, each of which begins with a recovery point.
    fn joined(groups: &[&[i64]]) -> (Vec<i64>, Vec<(i64, Option<u64>)>) {
        let mut pictures = OutputOrder::default();
        let (mut shown, mut missing) = (Vec::new(), Vec::new());
        let mut take = |pictures: &mut OutputOrder<i64>, count| {
            shown.push(count);
            missing.extend(pictures.take_missing().map(|it| (count, it.count)));
        };
        for group in groups {
            for (index, count) in group.iter().enumerate() {
                let order = PictureOrder {
                    begins_group: index == 0,
                    ..order(*count, 2)
                };
                if pictures.is_ended_by(&order) {
                    while let Some(count) = pictures.end() {
                        take(&mut pictures, count);
                    }
                }
                pictures.push(order, *count);
                while let Some(count) = pictures.pop() {
                    take(&mut pictures, count);
                }
            }
        }
        while let Some(count) = pictures.end() {
            take(&mut pictures, count);
        }
        (shown, missing)
    }

    #[test]
    fn groups_come_out_one_after_the_other() {
        let open = [6, 2, 4, 12, 8, 10];
        assert_eq!(
            joined(&[&[0], &open]),
            (vec![0, 2, 4, 6, 8, 10, 12], vec![])
        );
        // Leading pictures are missing.
        let (shown, missing) = joined(&[&[0], &[6, 4, 12, 8, 10]]);
        assert_eq!(shown, [0, 4, 6, 8, 10, 12]);
        assert_eq!(missing, [(4, Some(1))]);
        // Of another encoder: the counts are lower, or overlap.
        for first in [6, 14, 16] {
            let open = open.map(|count| count + first - 6);
            let (shown, missing) = joined(&[&[0, 6, 2, 4, 12, 8, 10], &open]);
            let mut sorted = open;
            sorted.sort_unstable();
            assert_eq!(shown[7..], sorted, "{first}");
            assert_eq!(missing, [(sorted[0], None)], "{first}");
        }
    }

    #[test]
    fn irregular_counts_show_nothing() {
        assert_eq!(missing(&[0, 2, 4, 7, 9, 13, 15], declared(1)), []);
        let pairs: Vec<i64> = (0..40).map(|it| 2 * it + 2 * (it / 2)).collect();
        assert_eq!(missing(&pairs[..8], declared(1)).len(), 1);
        assert!(missing(&pairs, declared(1)).len() < 3);
        // Decoding order is output order, so that nothing is uncertain.
        let in_order: Vec<i64> = (0..40).filter(|it| *it != 30).map(|it| 2 * it).collect();
        assert_eq!(missing(&in_order, declared(2)), [(62, 1, 0)]);
    }

    /// Returns groups none of whose pictures is further out of order than a decoded picture buffer allows.
    fn group() -> impl Strategy<Value = Vec<i64>> {
        shuffled_group(0..=MAX_REORDERING as i64)
    }

    proptest! {
        /// Pictures come out in the order of their counts, however far these are apart, and no more
        /// of them wait than are declared or than the level allows.
        #[test]
        fn pictures_come_out_sorted(
            sequences in vec(sequence(group(), 0..8), 1..6),
            distances in prop_oneof![
                Just(vec![COMMON_STEP]),
                vec(prop_oneof![1i64..5, 1i64..1_000_000], 1..20),
            ],
            begin in -1_000_000i64..1_000_000,
            more in 0usize..4,
            is_declared: bool,
        ) {
            let depth = depth(&sequences);
            let reordering = match is_declared {
                true => declared((depth + more).min(MAX_REORDERING)),
                false => undeclared(MAX_REORDERING),
            };
            let mut pictures = OutputOrder::default();
            let (mut shown, mut expected) = (Vec::new(), Vec::new());
            let mut is_too_deep = false;
            for (number, places) in sequences.iter().enumerate() {
                let counts: Vec<i64> = (0..places.len())
                    .scan(begin, |count, place| {
                        *count += distances[place % distances.len()];
                        Some(*count)
                    })
                    .collect();
                expected.extend(counts.iter().map(|count| (number, *count)));
                for place in places {
                    let order = PictureOrder {
                        count: counts[*place as usize],
                        begins_sequence: *place == 0,
                        begins_group: false,
                        reordering,
                    };
                    if pictures.is_ended_by(&order) {
                        shown.extend(std::iter::from_fn(|| pictures.end()));
                    }
                    pictures.push(order, (number, order.count));
                    shown.extend(std::iter::from_fn(|| pictures.pop()));
                    is_too_deep |= pictures.take_too_deep().is_some();
                    // Where the counts have gaps, pictures may be missing there.
                    let has_gaps = distances != [COMMON_STEP];
                    let most = if has_gaps { MAX_REORDERING } else { reordering.frames };
                    prop_assert!(pictures.waiting().len() <= most);
                }
            }
            shown.extend(std::iter::from_fn(|| pictures.end()));
            prop_assert!(!is_declared || !is_too_deep);
            if is_too_deep {
                // More than before were out of order: each picture still comes once.
                shown.sort_unstable();
            }
            prop_assert_eq!(shown, expected);
        }
    }
}
