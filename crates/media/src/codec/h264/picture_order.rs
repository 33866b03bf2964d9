// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Picture order count (ITU-T H.264, 8.2.1): the order in which pictures are shown.

use super::slice::{SliceHeader, Structure};
use super::sps::{PictureOrderType, Sps};
use crate::order::PictureOrder;

/// Counts the pictures of a stream in decoding order.
#[derive(Debug, Default)]
pub struct PictureOrderCounter {
    /// `prevPicOrderCntMsb` and `prevPicOrderCntLsb`, of the last reference picture.
    previous_reference: (i64, i64),
    /// `prevFrameNum` and `prevFrameNumOffset`.
    previous_frame_num: (u32, i64),
    /// The SPS of the last picture.
    sps: Option<Sps>,
}

impl PictureOrderCounter {
    /// Returns the order of the next picture, of which `header` is a slice.
    pub fn next(&mut self, header: &SliceHeader, sps: &Sps) -> PictureOrder {
        // Another SPS begins with an IDR picture (7.4.1.2.1). Without one, the stream is that of another encoder.
        let changes_sps = self.take_sps(sps) && !header.idr;
        if header.idr || changes_sps {
            self.previous_reference = (0, 0);
            self.previous_frame_num = (0, 0);
        }
        let frame_num_offset = self.frame_num_offset(header, sps);
        let (top, bottom) = match &sps.picture_order {
            PictureOrderType::Lsb { bits } => self.by_lsb(header, *bits),
            PictureOrderType::Cycle {
                offset_for_non_ref_pic,
                offset_for_top_to_bottom_field,
                offsets_for_ref_frame,
                ..
            } => {
                let number = frame_num_offset + i64::from(header.frame_num);
                let mut expected =
                    expected_in_cycle(number, header.reference, offsets_for_ref_frame);
                if !header.reference {
                    expected = expected.saturating_add((*offset_for_non_ref_pic).into());
                }
                let [delta_0, delta_1] = header.order.deltas.map(i64::from);
                let first = expected.saturating_add(delta_0);
                let bottom = first.saturating_add((*offset_for_top_to_bottom_field).into());
                match header.structure {
                    Structure::Frame => (first, bottom.saturating_add(delta_1)),
                    Structure::TopField => (first, first),
                    Structure::BottomField => (bottom, bottom),
                }
            }
            PictureOrderType::DecodingOrder => {
                let number = 2 * (frame_num_offset + i64::from(header.frame_num));
                let count = if header.reference { number } else { number - 1 };
                (count, count)
            }
        };
        let mut count = top.min(bottom);
        self.previous_frame_num = (header.frame_num, frame_num_offset);
        if header.resets_order {
            // tempPicOrderCnt, which the counts of this picture are reduced by.
            let lsb = match header.structure {
                Structure::BottomField => 0,
                _ => top.saturating_sub(count),
            };
            self.previous_reference = (0, lsb);
            self.previous_frame_num = (0, 0);
            count = 0;
        }
        PictureOrder {
            count,
            begins_sequence: header.idr || header.resets_order || changes_sps,
            begins_group: header.idr,
            reordering: sps.reordering(),
        }
    }

    /// Takes the SPS of the next picture. Returns whether it differs from that of the last one by more than its id.
    fn take_sps(&mut self, sps: &Sps) -> bool {
        if self.sps.as_ref() == Some(sps) {
            return false;
        }
        let last = self.sps.replace(sps.clone());
        last.is_some_and(|mut last| {
            last.id = sps.id;
            last != *sps
        })
    }

    /// Returns the order of type 0 (8.2.1.1).
    fn by_lsb(&mut self, header: &SliceHeader, bits: u32) -> (i64, i64) {
        let max = 1 << bits;
        let (previous_msb, previous_lsb) = self.previous_reference;
        let lsb = i64::from(header.order.lsb);
        let msb = if lsb < previous_lsb && previous_lsb - lsb >= max / 2 {
            previous_msb.saturating_add(max)
        } else if lsb > previous_lsb && lsb - previous_lsb > max / 2 {
            previous_msb.saturating_sub(max)
        } else {
            previous_msb
        };
        if header.reference {
            self.previous_reference = (msb, lsb);
        }
        let count = msb.saturating_add(lsb);
        match header.structure {
            Structure::Frame => (
                count,
                count.saturating_add(header.order.delta_bottom.into()),
            ),
            _ => (count, count),
        }
    }

    /// Returns `FrameNumOffset` of types 1 and 2 (8.2.1.2).
    fn frame_num_offset(&self, header: &SliceHeader, sps: &Sps) -> i64 {
        let (previous, offset) = self.previous_frame_num;
        if previous > header.frame_num {
            offset.saturating_add(1 << sps.frame_num_bits)
        } else {
            offset
        }
    }
}

/// Returns `expectedPicOrderCnt` of type 1 before the offset of non-reference pictures (8.2.1.2).
fn expected_in_cycle(number: i64, reference: bool, offsets: &[i32]) -> i64 {
    let Ok(cycle) = i64::try_from(offsets.len()) else {
        return 0;
    };
    let number = if reference { number } else { number - 1 };
    if cycle == 0 || number <= 0 {
        return 0;
    }
    let sum = |offsets: &[i32]| offsets.iter().copied().map(i64::from).sum::<i64>();
    let (cycles, rest) = ((number - 1) / cycle, (number - 1) % cycle);
    // The rest is less than the number of offsets.
    let begun = sum(&offsets[..=rest as usize]);
    cycles.saturating_mul(sum(offsets)).saturating_add(begun)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::AccessUnitSplitter;
    use super::super::testing::{
        IDR, Order, P, SPS, SliceSpec, SpsSpec, pps, record, recovery_point, slice, sps,
    };

    /// Returns whether each unit of a stream begins a sequence, and its count.
    fn orders(spec: SpsSpec, headers: &[SliceSpec]) -> Vec<(bool, i64)> {
        let headers = headers.iter().map(|header| SliceSpec {
            sps: spec,
            ..*header
        });
        let slices: Vec<_> = headers.map(slice).collect();
        let (sps, pps) = (sps(spec), pps(0));
        let nals: Vec<&[u8]> = [&sps[..], &pps]
            .into_iter()
            .chain(slices.iter().map(Vec::as_slice))
            .collect();
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        splitter.push(&record(&nals), &mut units);
        splitter.finish(&mut units);
        let orders = units.iter().map(|unit| unit.order.unwrap());
        orders
            .map(|order| (order.begins_sequence, order.count))
            .collect()
    }

    fn counts(spec: SpsSpec, headers: &[SliceSpec]) -> Vec<i64> {
        orders(spec, headers).iter().map(|order| order.1).collect()
    }

    fn p(frame_num: u8, order: u8) -> SliceSpec {
        SliceSpec {
            frame_num,
            order,
            ..P
        }
    }

    /// Not a reference picture.
    fn b(frame_num: u8, order: u8) -> SliceSpec {
        SliceSpec {
            nal: 1,
            ..p(frame_num, order)
        }
    }

    #[test]
    fn low_bits_wrap() {
        let headers = [IDR, p(1, 6), b(2, 2), p(2, 12), p(3, 2), b(4, 14), p(4, 8)];
        assert_eq!(counts(SPS, &headers), [0, 6, 2, 12, 18, 14, 24]);
        // Only reference pictures count for the next one's high bits.
        assert_eq!(
            counts(SPS, &[IDR, p(1, 6), b(2, 14), p(2, 8)]),
            [0, 6, 14, 8]
        );
        assert_eq!(counts(SPS, &[IDR, p(1, 12)]), [0, -4]);
    }

    #[test]
    fn a_sequence_begins() {
        let reset = SliceSpec {
            resets_order: true,
            ..p(2, 4)
        };
        let headers = [IDR, p(1, 2), reset, p(1, 2), IDR];
        let expected = [(true, 0), (false, 2), (true, 0), (false, 2), (true, 0)];
        assert_eq!(orders(SPS, &headers), expected);
    }

    #[test]
    fn another_sps_begins_a_sequence() {
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let mut push = |spec: SpsSpec, header: SliceSpec| {
            let slice = slice(SliceSpec {
                sps: spec,
                ..header
            });
            splitter.push(&record(&[&sps(spec), &pps(0), &slice]), &mut units);
        };
        let other = SpsSpec {
            max_num_reorder_frames: Some(2),
            ..SPS
        };
        for (spec, header) in [
            (SPS, IDR),
            (SPS, p(1, 12)),
            (SPS, p(2, 2)),
            (other, p(3, 4)),
            (other, p(4, 14)),
        ] {
            push(spec, header);
        }
        splitter.finish(&mut units);
        let orders: Vec<_> = units.iter().map(|unit| unit.order.unwrap()).collect();
        let orders: Vec<_> = orders
            .iter()
            .map(|it| (it.begins_sequence, it.count))
            .collect();
        let expected = [(true, 0), (false, -4), (false, 2), (true, 4), (false, -2)];
        assert_eq!(orders, expected);
    }

    #[test]
    fn recovery_points_begin_groups() {
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let (idr, with_point, without) = (slice(IDR), slice(p(1, 2)), slice(p(2, 4)));
        let nals = [
            &sps(SPS)[..],
            &pps(0),
            &idr,
            &recovery_point(0),
            &with_point,
            &without,
        ];
        splitter.push(&record(&nals), &mut units);
        splitter.finish(&mut units);
        let begins: Vec<_> = (units.iter())
            .map(|it| it.order.unwrap().begins_group)
            .collect();
        assert_eq!(begins, [true, true, false]);
    }

    #[test]
    fn cycles_of_frame_num() {
        let spec = SpsSpec {
            order: Order::Cycle,
            ..SPS
        };
        let headers = [IDR, p(1, 0), b(2, 0), p(2, 0), p(3, 1)];
        assert_eq!(counts(spec, &headers), [0, 2, 1, 4, 7]);
        let wraps = [IDR, p(15, 0), p(0, 0), p(1, 0)];
        assert_eq!(counts(spec, &wraps), [0, 30, 32, 34]);
    }

    #[test]
    fn decoding_order() {
        let spec = SpsSpec {
            order: Order::Decoding,
            ..SPS
        };
        let headers = [IDR, p(1, 0), b(2, 0), p(2, 0), p(0, 0)];
        assert_eq!(counts(spec, &headers), [0, 2, 3, 4, 32]);
    }

    #[test]
    fn a_pair_of_fields_counts_as_its_first() {
        let spec = SpsSpec {
            interlaced: true,
            ..SPS
        };
        let field = |header: SliceSpec, bottom| SliceSpec {
            bottom_field: Some(bottom),
            ..header
        };
        let headers = [
            field(IDR, false),
            field(p(0, 1), true),
            field(p(1, 3), true),
            field(p(1, 2), false),
        ];
        assert_eq!(counts(spec, &headers), [0, 2]);
    }
}
