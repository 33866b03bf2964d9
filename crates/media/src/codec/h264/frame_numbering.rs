// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Detection of lost reference pictures and lost IDR pictures.
//!
//! Gaps in `frame_num` (ITU-T H.264, 7.4.3) show the former, `frame_num` or the picture order count the latter.

use super::slice::SliceHeader;
use super::sps::Sps;
use crate::order::MAX_REORDERING;
use crate::order::PictureOrder;

/// `frame_num` of an access unit, with the syntax elements that its successor depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameNumber {
    /// `frame_num` of the slice header (7.4.3).
    pub frame_num: u32,
    /// `MaxFrameNum`: `frame_num` counts modulo this power of two.
    pub modulus: u32,
    /// IDR picture: `frame_num` restarts at 0.
    pub idr: bool,
    /// `nal_ref_idc` is not 0.
    pub reference: bool,
    /// `memory_management_control_operation` 5: `frame_num` counts as 0 for the next picture.
    pub resets: bool,
    /// `gaps_in_frame_num_value_allowed_flag`.
    pub gaps_allowed: bool,
}

impl FrameNumber {
    /// Returns the number of the picture that a slice with this header belongs to.
    pub fn new(header: &SliceHeader, sps: &Sps) -> Self {
        Self {
            frame_num: header.frame_num,
            modulus: 1 << sps.frame_num_bits,
            idr: header.idr,
            reference: header.reference,
            resets: header.resets_order,
            gaps_allowed: sps.frame_num_gaps_allowed,
        }
    }
}

/// Relation of an access unit to the one before it in decoding order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// Numbering restarts, with an IDR picture or with the stream: `frame_num` does not say what
    /// precedes.
    Restart,
    /// No reference picture is missing.
    Contiguous,
    /// `frame_num` did not advance, and too little is known of the stream: either the encoder repeats
    /// numbers, or pictures are missing as with [`LostCycle`](Self::LostCycle).
    Repeated,
    /// Number of missing reference pictures, modulo `MaxFrameNum`.
    Lost(u32),
    /// `frame_num` did not advance, though it always did before: an IDR picture or a multiple of
    /// `MaxFrameNum` reference pictures is missing.
    LostCycle,
    /// An IDR picture is missing, and reference pictures with it: the picture order count fell by more than reordering
    /// explains, or another SPS begins.
    LostIdr,
}

/// Number of contiguous pictures after which a first repeated `frame_num` is a loss.
const CLEAN_AT_FIRST: u32 = 4;
/// Number of contiguous pictures between two repeated `frame_num`s that make the second one a loss.
const CLEAN_AGAIN: u32 = 8;

/// Follows `frame_num` and the picture order count from access unit to access unit.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameNumbering {
    /// `PrevRefFrameNum`, once there was a picture.
    previous: Option<u32>,
    /// Number of repeated `frame_num`s so far.
    repeats: u32,
    /// Number of contiguous pictures since the last one of them.
    clean: u32,
    counts: Counts,
}

impl FrameNumbering {
    /// Takes the next access unit in decoding order. `order` is its place in output order, if known.
    pub fn next(&mut self, number: &FrameNumber, order: Option<&PictureOrder>) -> Succession {
        let modulus = number.modulus.max(1);
        let previous = self.previous.filter(|_| !number.idr);
        let advance = previous.map(|it| number.frame_num.wrapping_sub(it) & (modulus - 1));
        let turn = order.map_or(Turn::Unclear, |order| self.counts.next(order, number));
        let succession = match advance {
            None => Succession::Restart,
            Some(_) if turn == Turn::Anew => Succession::LostIdr,
            Some(_) if number.gaps_allowed => Succession::Contiguous,
            Some(0) => self.repeated(turn),
            Some(1) if turn == Turn::Fall => Succession::LostIdr,
            Some(1) => {
                self.clean = self.clean.saturating_add(1);
                Succession::Contiguous
            }
            Some(advance) => Succession::Lost(advance - 1),
        };
        self.previous = Some(if number.resets {
            0
        } else if number.reference {
            number.frame_num
        } else {
            // The number of the next reference picture is that of this one.
            number.frame_num.wrapping_sub(1) & (modulus - 1)
        });
        succession
    }

    /// Returns the succession where `frame_num` did not advance.
    fn repeated(&mut self, turn: Turn) -> Succession {
        let needed = match self.repeats {
            0 => CLEAN_AT_FIRST,
            _ => CLEAN_AGAIN,
        };
        let is_after_clean = std::mem::take(&mut self.clean) >= needed;
        self.repeats = self.repeats.saturating_add(1);
        match turn {
            Turn::Fall | Turn::Anew => Succession::LostCycle,
            Turn::UsualStep => Succession::Contiguous,
            Turn::Unclear if is_after_clean => Succession::LostCycle,
            // The encoder has done so before.
            Turn::Unclear if self.repeats > 2 => Succession::Contiguous,
            Turn::Unclear => Succession::Repeated,
        }
    }
}

/// Distance of a picture from those before it, by picture order count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The usual distance of reference pictures. After a loss that `frame_num` does not show, the count
    /// cannot have it: both count modulo powers of two.
    UsualStep,
    /// The count falls by more than reordering explains.
    Fall,
    /// Another coded video sequence begins without its IDR picture.
    Anew,
    Unclear,
}

/// Number of preceding pictures with a higher count, beyond the largest so far, that shows a new count.
const MORE_THAN_BEFORE: usize = 4;
/// Number of pictures after which the reorder depth of the stream is known.
const ENOUGH: u32 = 16;

/// Follows the picture order count.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// Counts of the last pictures, the newest one first, and the number of pictures since the last one that follows all
    /// before it.
    recent: [i64; MAX_REORDERING],
    pictures: usize,
    /// Number of pictures in all, at most [`ENOUGH`].
    seen: u32,
    /// Largest number of pictures that preceded a picture and are output after it.
    depth: usize,
    /// The count of the last reference picture.
    reference: Option<i64>,
    /// The last distance of two reference pictures; `true` if the one before was the same.
    step: Option<(i64, bool)>,
}

impl Counts {
    fn next(&mut self, order: &PictureOrder, number: &FrameNumber) -> Turn {
        let count = order.count;
        // With another SPS, or with a recovery point that does not follow all pictures before it.
        let is_anew = match order.begins_sequence {
            true => !number.idr && !number.resets,
            false => order.begins_group && self.is_reached(count),
        };
        if order.begins_sequence || number.idr || is_anew {
            self.restart();
        } else if order.begins_group {
            self.pictures = 0;
        }
        let recent = self.recent.iter().take(self.pictures);
        let later = recent.filter(|other| **other > count).count();
        // Streams with few pictures out of order may turn to as many as they declare.
        let is_declared = order.reordering.declared && later <= order.reordering.frames;
        let is_fall = self.seen >= ENOUGH && later >= self.depth + MORE_THAN_BEFORE && !is_declared;
        if is_fall {
            self.restart();
        } else {
            self.depth = self.depth.max(later);
        }
        self.recent.rotate_right(1);
        self.recent[0] = count;
        self.pictures = self.pictures.saturating_add(1);
        self.seen = self.seen.saturating_add(1).min(ENOUGH);
        let step = number.reference.then(|| self.step_to(count)).flatten();
        let usual = (self.step).and_then(|(step, twice)| (twice && step > 0).then_some(step));
        if let Some(step) = step {
            let is_same = self.step.is_some_and(|(last, _)| last == step);
            self.step = Some((step, is_same));
        }
        match step {
            _ if is_anew => Turn::Anew,
            _ if is_fall => Turn::Fall,
            Some(step) if usual == Some(step) => Turn::UsualStep,
            _ => Turn::Unclear,
        }
    }

    /// Returns whether one of the last pictures of the sequence has this count or a higher one.
    fn is_reached(&self, count: i64) -> bool {
        let mut recent = self.recent.iter().take(self.pictures);
        recent.any(|other| *other >= count)
    }

    /// Begins another sequence.
    fn restart(&mut self) {
        self.pictures = 0;
        self.reference = None;
    }

    /// Returns the distance of a reference picture from the one before it.
    fn step_to(&mut self, count: i64) -> Option<i64> {
        let before = self.reference.replace(count);
        before.map(|before| count.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::Succession::{Contiguous, Lost, LostCycle, LostIdr, Repeated, Restart};
    use super::*;
    use crate::codec::h264::testing::FRAME_NUMBER;
    use crate::order::Reordering;

    const MODULUS: u32 = FRAME_NUMBER.modulus;

    fn picture(frame_num: u32) -> FrameNumber {
        FrameNumber {
            frame_num: frame_num % MODULUS,
            ..FRAME_NUMBER
        }
    }

    fn idr() -> FrameNumber {
        FrameNumber {
            idr: true,
            ..picture(0)
        }
    }

    fn disposable(frame_num: u32) -> FrameNumber {
        FrameNumber {
            reference: false,
            ..picture(frame_num)
        }
    }

    fn successions(numbers: &[FrameNumber]) -> Vec<Succession> {
        let mut numbering = FrameNumbering::default();
        numbers.iter().map(|it| numbering.next(it, None)).collect()
    }

    #[test]
    fn numbers_wrap() {
        let mut numbers = vec![idr()];
        numbers.extend((1..40).map(picture));
        let mut expected = vec![Contiguous; 40];
        expected[0] = Restart;
        assert_eq!(successions(&numbers), expected);
    }

    #[test]
    fn missing_reference_pictures_are_counted() {
        let numbers = [
            idr(),
            picture(1),
            picture(3),
            picture(14),
            picture(1),
            idr(),
        ];
        let expected = [Restart, Contiguous, Lost(1), Lost(10), Lost(2), Restart];
        assert_eq!(successions(&numbers), expected);
        // Joined in the middle.
        assert_eq!(
            successions(&[picture(7), picture(8)]),
            [Restart, Contiguous]
        );
    }

    #[test]
    fn pictures_that_are_no_references_may_be_missing() {
        let all = [
            idr(),
            picture(1),
            disposable(2),
            disposable(2),
            picture(2),
            picture(3),
        ];
        assert!(successions(&all)[1..].iter().all(|it| *it == Contiguous));
        for missing in [vec![2], vec![3], vec![2, 3]] {
            let left = all.iter().enumerate();
            let left: Vec<_> = left
                .filter(|(index, _)| !missing.contains(index))
                .map(|(_, number)| *number)
                .collect();
            let successions = successions(&left);
            assert!(successions[1..].iter().all(|it| *it == Contiguous));
        }
    }

    #[test]
    fn a_loss_before_a_disposable_picture_is_counted_once() {
        let numbers = [idr(), disposable(3), picture(3), picture(4)];
        let expected = [Restart, Lost(2), Contiguous, Contiguous];
        assert_eq!(successions(&numbers), expected);
    }

    #[test]
    fn numbers_that_do_not_advance() {
        assert_eq!(successions(&[picture(3), picture(3)]), [Restart, Repeated]);
    }

    /// Returns the successions of numbers, each with a picture order count.
    fn with_counts(numbers: &[(FrameNumber, i64)]) -> Vec<Succession> {
        let mut numbering = FrameNumbering::default();
        let successions = numbers.iter().map(|(number, count)| {
            let order = PictureOrder {
                count: *count,
                begins_sequence: number.idr || number.resets,
                begins_group: false,
                reordering: Reordering {
                    frames: 2,
                    declared: true,
                },
            };
            numbering.next(number, Some(&order))
        });
        successions.collect()
    }

    /// Groups of so many reference pictures, without the IDR pictures of the `lost` ones.
    fn groups(length: u32, count: usize, lost: &[usize]) -> Vec<FrameNumber> {
        let groups = (0..count).flat_map(|group| {
            let first = u32::from(lost.contains(&group));
            (first..length).map(|it| if it == 0 { idr() } else { picture(it) })
        });
        groups.collect()
    }

    #[test]
    fn a_number_that_repeats_after_many_that_do_not_is_a_loss() {
        for length in [18, 34, 50] {
            let found = successions(&groups(length, 4, &[1, 2]));
            let losses = found.iter().filter(|it| **it == LostCycle).count();
            assert_eq!(losses, 2, "{length}");
            assert_eq!(found[length as usize], LostCycle);
        }
        assert_eq!(
            successions(&groups(2, 5, &[4])).last(),
            Some(&LostCycle),
            "groups of two"
        );
        for missing in [16, 32] {
            let numbers: Vec<_> = (0..5).chain(5 + missing - 1..60).map(picture).collect();
            assert_eq!(successions(&numbers)[5], LostCycle);
        }
    }

    #[test]
    fn a_number_that_repeats_after_a_disposable_picture_is_a_loss() {
        let mut numbers = vec![idr()];
        for number in 1..18 {
            numbers.extend([picture(number), disposable(number + 1)]);
        }
        numbers.extend([picture(1), disposable(2), picture(2)]);
        let found = successions(&numbers);
        assert_eq!(found[35..], [LostCycle, Contiguous, Contiguous]);
        assert!(found[1..35].iter().all(|it| *it == Contiguous));
    }

    #[test]
    fn an_encoder_that_repeats_numbers_loses_nothing() {
        for period in 1..=4 {
            let numbers: Vec<_> = (0..100).map(|it| picture(it - it / period)).collect();
            let found = successions(&numbers);
            assert!(!found.contains(&LostCycle), "{period}");
        }
        // Picture order decides, however long the time was.
        for period in [5, 16, 17, 40] {
            let numbers: Vec<_> = (0..200)
                .map(|it| (picture(it - it / period), i64::from(it) * 2))
                .collect();
            let found = with_counts(&numbers);
            assert!(found[1..].iter().all(|it| *it == Contiguous), "{period}");
        }
    }

    #[test]
    fn picture_order_does_not_hide_a_loss() {
        // 6 bits of picture order count, 4 of frame_num, and steps of 1 to 4 pictures.
        for step in [2, 4, 6, 8] {
            let whole: Vec<_> = (0..18u32).map(|it| i64::from(it) * step).collect();
            let mut numbers: Vec<_> = (whole.iter().zip(0..))
                .map(|(count, it)| (if it == 0 { idr() } else { picture(it) }, *count))
                .collect();
            let (last, next) = (whole[17], step);
            let behind = (next - last).rem_euclid(64);
            let wrapped = if behind > 32 { behind - 64 } else { behind };
            numbers.push((picture(1), last + wrapped));
            let found = *with_counts(&numbers).last().unwrap();
            assert!(matches!(found, LostCycle | LostIdr), "{step}: {found:?}");
        }
    }

    #[test]
    fn a_picture_order_that_falls_is_a_lost_idr_picture() {
        for length in [18, 19, 33, 34, 49, 50] {
            let numbers: Vec<_> = groups(length, 3, &[1])
                .into_iter()
                .scan(0, |count, number| {
                    *count = match number {
                        _ if number.idr => 0,
                        _ if *count == 2 * i64::from(length - 1) => 2,
                        _ => *count + 2,
                    };
                    Some((number, *count))
                })
                .collect();
            let found = with_counts(&numbers);
            let losses = found
                .iter()
                .filter(|it| !matches!(it, Contiguous | Restart))
                .count();
            assert_eq!(losses, 1, "{length}: {found:?}");
        }
        // Out of order as far as pictures can be.
        for step in [1, 2, 4] {
            let counts =
                [0, 16, 8, 4, 2, 1, 3, 6, 5, 7, 12, 10, 9, 11, 14, 13, 15].map(|it| it * step);
            let numbers: Vec<_> = counts
                .iter()
                .zip(0..)
                .map(|(count, it)| (if it == 0 { idr() } else { picture(it) }, *count))
                .collect();
            let found = with_counts(&numbers);
            assert!(found[1..].iter().all(|it| *it == Contiguous), "{found:?}");
        }
    }

    #[test]
    fn pictures_as_far_out_of_order_as_the_stream_declares_are_no_loss() {
        // Pictures in order, and then several that the next one precedes at once.
        let in_order = (0..20).map(|it| 2 * it);
        let counts: Vec<_> = in_order.chain([48, 56, 64, 72, 40, 42, 44, 46]).collect();
        let depth = |at: usize| counts[..at].iter().filter(|it| **it > counts[at]).count();
        let frames = (0..counts.len()).map(depth).max().unwrap();
        assert_eq!(frames, 4);
        for (declared, expected) in [(true, 0), (false, 1)] {
            let mut numbering = FrameNumbering::default();
            let found = counts.iter().zip(0..).map(|(count, it)| {
                let order = PictureOrder {
                    count: *count,
                    begins_sequence: it == 0,
                    begins_group: false,
                    reordering: Reordering { frames, declared },
                };
                numbering.next(&if it == 0 { idr() } else { picture(it) }, Some(&order))
            });
            let losses = found
                .filter(|it| !matches!(it, Contiguous | Restart))
                .count();
            assert_eq!(losses, expected, "{declared}");
        }
    }

    #[test]
    fn a_keyframe_that_does_not_follow_all_before_it_is_of_another_sequence() {
        // The last picture is a recovery point.
        let last = |count, begins_sequence| {
            let mut numbering = FrameNumbering::default();
            let mut next = |it, count, begins_sequence| {
                let order = PictureOrder {
                    count,
                    begins_sequence,
                    begins_group: it == 4,
                    reordering: Reordering {
                        frames: 2,
                        declared: true,
                    },
                };
                let number = if it == 0 { idr() } else { picture(it) };
                numbering.next(&number, Some(&order))
            };
            for (it, count) in [(0, 0), (1, 8), (2, 4), (3, 6)] {
                next(it, count, it == 0);
            }
            next(4, count, begins_sequence)
        };
        assert_eq!(last(10, false), Contiguous);
        assert_eq!(last(14, false), Contiguous);
        for count in [-20, 0, 7, 8] {
            assert_eq!(last(count, false), LostIdr, "{count}");
        }
        assert_eq!(last(14, true), LostIdr, "another SPS");
    }

    #[test]
    fn gaps_may_be_allowed() {
        let number = |frame_num| FrameNumber {
            gaps_allowed: true,
            ..picture(frame_num)
        };
        assert_eq!(successions(&[number(0), number(4)]), [Restart, Contiguous]);
    }

    #[test]
    fn after_a_reset_numbers_begin_at_one() {
        let reset = FrameNumber {
            resets: true,
            ..picture(5)
        };
        let numbers = [picture(4), reset, picture(1)];
        assert_eq!(successions(&numbers), [Restart, Contiguous, Contiguous]);
    }
}
