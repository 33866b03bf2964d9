// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Lost reference pictures, found by gaps in `frame_num` (ITU-T H.264, 7.4.3).

use super::slice::SliceHeader;
use super::sps::Sps;

/// `frame_num` of an access unit, with the syntax elements that its successor depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameNumber {
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
    /// The number of the picture that a slice with this header belongs to.
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

/// How an access unit follows the one before it in decoding order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// Numbering restarts, with an IDR picture or with the stream: `frame_num` does not say what
    /// precedes.
    Restart,
    /// No reference picture is missing.
    Contiguous,
    /// `frame_num` did not advance. Some encoders number like that; it can also be a loss of as many
    /// pictures as `frame_num` can count.
    Repeated,
    /// So many reference pictures are missing, or more by a multiple of `MaxFrameNum`.
    Lost(u32),
}

/// Follows `frame_num` from access unit to access unit.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameNumbering {
    /// `PrevRefFrameNum`, once there was a picture.
    previous: Option<u32>,
}

impl FrameNumbering {
    /// Takes the next access unit in decoding order.
    pub fn next(&mut self, number: &FrameNumber) -> Succession {
        let modulus = number.modulus.max(1);
        let previous = self.previous.filter(|_| !number.idr);
        let succession = match previous {
            None => Succession::Restart,
            Some(previous) => {
                let advance = number.frame_num.wrapping_sub(previous) & (modulus - 1);
                match advance {
                    _ if number.gaps_allowed => Succession::Contiguous,
                    0 => Succession::Repeated,
                    1 => Succession::Contiguous,
                    _ => Succession::Lost(advance - 1),
                }
            }
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
}

#[cfg(test)]
mod tests {
    use super::Succession::{Contiguous, Lost, Repeated, Restart};
    use super::*;

    const MODULUS: u32 = 16;

    fn picture(frame_num: u32) -> FrameNumber {
        FrameNumber {
            frame_num: frame_num % MODULUS,
            modulus: MODULUS,
            idr: false,
            reference: true,
            resets: false,
            gaps_allowed: false,
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
        numbers.iter().map(|it| numbering.next(it)).collect()
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
