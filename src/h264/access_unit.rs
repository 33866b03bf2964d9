// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Access units of a byte stream (ITU-T H.264, 7.4.1.2.3).

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;
use h264_reader::Context;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};

use super::annexb::{self, NalUnit};
use super::picture::{Picture, Slice};
use super::{nal_type, nal_unit_type};

/// One access unit: a primary coded picture and all that belongs to it.
#[derive(Debug)]
pub struct AccessUnit {
    /// The bytes of the stream, start codes included. One part for each record that has some of
    /// it; the parts share the records' memory.
    pub parts: Vec<Bytes>,
    /// The picture is an IDR picture: decoding can start here.
    pub idr: bool,
    /// The picture has B slices, so pictures are likely not in output order.
    pub bidirectional: bool,
}

/// The bytes are no byte stream: they do not begin with a start code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnnexB;

/// Frame rate as the VUI of an SPS has it (ITU-T H.264, E.2.1), in frames per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VuiFrameRate {
    /// `time_scale`
    pub numerator: u64,
    /// 2 × `num_units_in_tick`: a tick is a field
    pub denominator: u64,
}

/// Cuts a byte stream, which comes in pieces of whole NAL units, into access units.
///
/// An access unit is complete when the next one begins, so that the last one comes out of
/// [`finish`](Self::finish). No byte of the stream gets lost, none is copied.
#[derive(Debug, Default)]
pub struct AccessUnitSplitter {
    context: Context,
    current: Unfinished,
    /// Prefix NAL units after a slice: part of `current` or of the unit after it, as the next
    /// slice tells.
    prefix: Option<Vec<Bytes>>,
    vui_frame_rate: Option<VuiFrameRate>,
}

#[derive(Debug, Default)]
struct Unfinished {
    parts: Vec<Bytes>,
    picture: Option<Picture>,
    sequence_ended: bool,
}

/// What a NAL unit says about where an access unit ends.
enum Boundary {
    /// It belongs to the current one.
    Inside,
    /// It begins the next one.
    Begins,
    /// It begins the next one if the next slice does.
    BeginsWithNextSlice,
}

impl AccessUnitSplitter {
    /// Takes the next piece of the stream, appends the access units that it completes to
    /// `complete` and gives the number of pictures that begin in it.
    pub fn push(
        &mut self,
        data: &Bytes,
        complete: &mut VecDeque<AccessUnit>,
    ) -> Result<usize, NotAnnexB> {
        if data.is_empty() {
            return Ok(0);
        }
        if !annexb::begins_with_start_code(data) {
            return Err(NotAnnexB);
        }
        let mut pictures = 0;
        let mut taken = 0;
        let mut take_until = |end: usize| {
            let part = data.slice(taken..end);
            taken = end;
            part
        };
        for NalUnit { start, bytes } in annexb::nal_units(data) {
            let nal = &data[bytes];
            match nal_unit_type(nal[0]) {
                nal_type::SLICE | nal_type::SLICE_PARTITION_A | nal_type::SLICE_IDR => {
                    let (slice, sps) = Slice::parse(&self.context, nal);
                    if let Some(sps) = sps {
                        self.vui_frame_rate = vui_frame_rate(sps);
                    }
                    match self.current.add_slice(slice) {
                        Added::ToPicture => {
                            if let Some(prefix) = self.prefix.take() {
                                self.current.parts.extend(prefix);
                            }
                        }
                        Added::FirstOfUnit => pictures += 1,
                        Added::No(slice) => {
                            self.begin_unit(take_until(start), complete);
                            self.current.picture = Some(Picture::new(slice));
                            pictures += 1;
                        }
                    }
                }
                other => {
                    match self.current.boundary_at(other) {
                        Boundary::Inside => {}
                        Boundary::Begins => self.begin_unit(take_until(start), complete),
                        Boundary::BeginsWithNextSlice if self.prefix.is_none() => {
                            push_part(&mut self.current.parts, take_until(start));
                            self.prefix = Some(Vec::new());
                        }
                        Boundary::BeginsWithNextSlice => {}
                    }
                    self.read_parameter_set(nal);
                    if matches!(other, nal_type::END_OF_SEQUENCE | nal_type::END_OF_STREAM) {
                        self.current.sequence_ended = true;
                    }
                }
            }
        }
        let rest = take_until(data.len());
        push_part(
            self.prefix.as_mut().unwrap_or(&mut self.current.parts),
            rest,
        );
        Ok(pictures)
    }

    /// Ends the stream: appends the last access unit, and gives the number of bytes after it that
    /// belong to no picture.
    pub fn finish(&mut self, complete: &mut VecDeque<AccessUnit>) -> usize {
        if self.current.picture.is_some() {
            self.begin_unit(Bytes::new(), complete);
        }
        let rest = mem::take(&mut self.current).parts;
        rest.iter().map(Bytes::len).sum()
    }

    /// The frame rate of the SPS that the last picture refers to, if its VUI has one.
    pub fn vui_frame_rate(&self) -> Option<VuiFrameRate> {
        self.vui_frame_rate
    }

    /// Completes the current access unit, whose last bytes (or whose successor's first bytes, after
    /// a prefix NAL unit) are `before`.
    fn begin_unit(&mut self, before: Bytes, complete: &mut VecDeque<AccessUnit>) {
        let next = match self.prefix.take() {
            Some(mut prefix) => {
                push_part(&mut prefix, before);
                prefix
            }
            None => {
                push_part(&mut self.current.parts, before);
                Vec::new()
            }
        };
        let done = mem::replace(
            &mut self.current,
            Unfinished {
                parts: next,
                ..Default::default()
            },
        );
        if let Some(picture) = done.picture {
            complete.push_back(AccessUnit {
                parts: done.parts,
                idr: picture.is_idr(),
                bidirectional: picture.is_bidirectional(),
            });
        }
    }

    /// Broken parameter sets are passed over: slices that refer to them tell their picture by
    /// their macroblocks, and the decoder has the last word.
    fn read_parameter_set(&mut self, nal: &[u8]) {
        let unit = RefNal::new(nal, &[], true);
        match nal_unit_type(nal[0]) {
            nal_type::SPS => {
                if let Ok(sps) = SeqParameterSet::from_bits(unit.rbsp_bits()) {
                    self.context.put_seq_param_set(sps);
                }
            }
            nal_type::PPS => {
                if let Ok(pps) = PicParameterSet::from_bits(&self.context, unit.rbsp_bits()) {
                    self.context.put_pic_param_set(pps);
                }
            }
            _ => {}
        }
    }
}

enum Added {
    FirstOfUnit,
    ToPicture,
    No(Slice),
}

impl Unfinished {
    fn add_slice(&mut self, slice: Slice) -> Added {
        match &mut self.picture {
            None => {
                self.picture = Some(Picture::new(slice));
                Added::FirstOfUnit
            }
            Some(_) if self.sequence_ended => Added::No(slice),
            Some(picture) => match picture.add(slice) {
                Ok(()) => Added::ToPicture,
                Err(slice) => Added::No(slice),
            },
        }
    }

    /// AUD (9), SPS (7), PPS (8), SEI (6) and types 14 to 18 after the last VCL NAL unit of a
    /// primary coded picture begin an access unit; but type 14 comes before each slice, too.
    fn boundary_at(&self, nal_unit_type: u8) -> Boundary {
        if self.picture.is_none() {
            return Boundary::Inside;
        }
        match nal_unit_type {
            nal_type::PREFIX => Boundary::BeginsWithNextSlice,
            6..=9 | 15..=18 => Boundary::Begins,
            _ => Boundary::Inside,
        }
    }
}

fn push_part(parts: &mut Vec<Bytes>, part: Bytes) {
    if !part.is_empty() {
        parts.push(part);
    }
}

fn vui_frame_rate(sps: &SeqParameterSet) -> Option<VuiFrameRate> {
    let timing = sps.vui_parameters.as_ref()?.timing_info.as_ref()?;
    let rate = VuiFrameRate {
        numerator: timing.time_scale.into(),
        denominator: 2 * u64::from(timing.num_units_in_tick),
    };
    (rate.numerator > 0 && rate.denominator > 0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use h264_reader::rbsp::{BitWrite, BitWriter};

    use super::*;

    const AUD: &[u8] = &[9, 0xf0];
    const SEI: &[u8] = &[6, 5, 1, 0x80, 0x80];
    const PREFIX: &[u8] = &[0x6e, 0xc0, 0x80, 0x07];
    const END_OF_SEQUENCE: &[u8] = &[10];
    const FILLER: &[u8] = &[12, 0xff, 0x80];

    fn nal(header: u8, write: impl FnOnce(&mut BitWriter<&mut Vec<u8>>)) -> Vec<u8> {
        let mut rbsp = Vec::new();
        write(&mut BitWriter::new(&mut rbsp));
        let mut nal = vec![header];
        for byte in rbsp {
            if byte <= 3 && nal.len() > 2 && nal.ends_with(&[0, 0]) {
                nal.push(3);
            }
            nal.push(byte);
        }
        nal
    }

    /// An SPS of 64x64, with `frame_num` and `pic_order_cnt_lsb` of four bits.
    fn sps(frame_rate: Option<(u32, u32)>) -> Vec<u8> {
        nal(0x67, |bits| {
            for byte in [66u8, 0, 30] {
                bits.write::<8, u8>(byte).unwrap();
            }
            for value in [0, 0, 0, 0, 1] {
                bits.write_ue(value).unwrap();
            }
            bits.write_bit(false).unwrap();
            bits.write_ue(3).unwrap();
            bits.write_ue(3).unwrap();
            for flag in [true, true, false, frame_rate.is_some()] {
                bits.write_bit(flag).unwrap();
            }
            if let Some((time_scale, units_in_tick)) = frame_rate {
                bits.write::<5, u8>(1).unwrap();
                bits.write::<32, u32>(units_in_tick).unwrap();
                bits.write::<32, u32>(time_scale).unwrap();
                bits.write::<5, u8>(0x10).unwrap();
            }
            bits.write_rbsp_trailing_bits().unwrap();
        })
    }

    fn pps(id: u32) -> Vec<u8> {
        nal(0x68, |bits| {
            bits.write_ue(id).unwrap();
            bits.write_ue(0).unwrap();
            bits.write::<2, u8>(0).unwrap();
            for _ in 0..3 {
                bits.write_ue(0).unwrap();
            }
            bits.write::<3, u8>(0).unwrap();
            for _ in 0..3 {
                bits.write_se(0).unwrap();
            }
            // redundant_pic_cnt_present_flag
            bits.write::<3, u8>(1).unwrap();
            bits.write_rbsp_trailing_bits().unwrap();
        })
    }

    /// The syntax elements of a slice header that tests vary.
    #[derive(Clone, Copy)]
    struct Header {
        nal: u8,
        first_macroblock: u32,
        pps: u32,
        frame_num: u8,
        idr_pic_id: u32,
        lsb: u8,
        redundant: u32,
    }

    const P: Header = Header {
        nal: 0x41,
        first_macroblock: 0,
        pps: 0,
        frame_num: 1,
        idr_pic_id: 0,
        lsb: 2,
        redundant: 0,
    };
    const IDR: Header = Header {
        nal: 0x65,
        frame_num: 0,
        lsb: 0,
        ..P
    };

    fn slice(header: Header) -> Vec<u8> {
        let idr = header.nal & 0x1f == 5;
        nal(header.nal, |bits| {
            bits.write_ue(header.first_macroblock).unwrap();
            bits.write_ue(if idr { 2 } else { 0 }).unwrap();
            bits.write_ue(header.pps).unwrap();
            bits.write::<4, u8>(header.frame_num).unwrap();
            if idr {
                bits.write_ue(header.idr_pic_id).unwrap();
            }
            bits.write::<4, u8>(header.lsb).unwrap();
            bits.write_ue(header.redundant).unwrap();
            // dec_ref_pic_marking of an IDR picture, or no override and no modification of lists.
            bits.write::<2, u8>(0).unwrap();
            if !idr && header.nal & 0x60 != 0 {
                bits.write_bit(false).unwrap();
            }
            bits.write_se(0).unwrap();
            bits.write::<8, u8>(0xab).unwrap();
            bits.write_rbsp_trailing_bits().unwrap();
        })
    }

    fn record(nals: &[&[u8]]) -> Bytes {
        let mut record = Vec::new();
        for nal in nals {
            record.extend_from_slice(&[0, 0, 0, 1]);
            record.extend_from_slice(nal);
        }
        record.into()
    }

    /// The number of NAL units in each access unit of `records`.
    fn split(records: &[Bytes]) -> Vec<usize> {
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let mut pictures = 0;
        for record in records {
            pictures += splitter.push(record, &mut units).unwrap();
        }
        splitter.finish(&mut units);
        assert_eq!(pictures, units.len());
        let count = |unit: AccessUnit| annexb::nal_units(&unit.parts.concat()).count();
        units.into_iter().map(count).collect()
    }

    /// The units of one stream do not depend on which records it is cut into.
    fn assert_units(nals: &[&[u8]], expected: &[usize]) {
        assert_eq!(split(&[record(nals)]), expected, "one record");
        let each: Vec<_> = nals.iter().map(|nal| record(&[nal])).collect();
        assert_eq!(split(&each), expected, "one NAL unit a record");
        for at in 1..nals.len() {
            let (a, b) = nals.split_at(at);
            assert_eq!(split(&[record(a), record(b)]), expected, "cut at {at}");
        }
    }

    #[test]
    fn pictures_differ_by_their_slice_headers() {
        let (sps, pps0, pps1) = (sps(None), pps(0), pps(1));
        let variants = [
            ("frame_num", Header { frame_num: 2, ..P }),
            ("pic_parameter_set_id", Header { pps: 1, ..P }),
            ("nal_ref_idc", Header { nal: 0x01, ..P }),
            ("pic_order_cnt_lsb", Header { lsb: 4, ..P }),
        ];
        let part = slice(Header {
            first_macroblock: 4,
            ..P
        });
        for (what, other) in variants {
            let other = slice(Header {
                first_macroblock: 4,
                ..other
            });
            let p = slice(P);
            let nals: [&[u8]; 6] = [&sps, &pps0, &pps1, &p, &part, &other];
            assert_eq!(split(&[record(&nals)]), [5, 1], "{what}");
        }
        let idr = |idr_pic_id| {
            slice(Header {
                idr_pic_id,
                first_macroblock: 4,
                ..IDR
            })
        };
        assert_units(&[&sps, &pps0, &idr(0), &idr(1), &part], &[3, 1, 1]);
    }

    #[test]
    fn slices_of_a_picture_stay_together() {
        let (sps, pps) = (sps(None), pps(0));
        let at = |first_macroblock| {
            slice(Header {
                first_macroblock,
                ..IDR
            })
        };
        let p = slice(P);
        assert_units(&[&sps, &pps, &at(0), &at(4), &at(8), &at(12), &p], &[6, 1]);
        // Arbitrary slice order.
        assert_units(&[&sps, &pps, &at(8), &at(0), &at(4), &p], &[5, 1]);
    }

    #[test]
    fn nal_units_before_a_picture_belong_to_it() {
        let (sps, pps) = (sps(None), pps(0));
        let (idr, p) = (slice(IDR), slice(P));
        assert_units(&[AUD, &sps, &pps, SEI, &idr, AUD, SEI, &p], &[5, 3]);
        assert_units(&[&sps, &pps, &idr, &sps, &pps, &idr], &[3, 3]);
        assert_units(&[&sps, &pps, &idr, SEI, &p], &[3, 2]);
    }

    #[test]
    fn filler_belongs_to_the_picture_before() {
        let (sps, pps) = (sps(None), pps(0));
        assert_units(&[&sps, &pps, &slice(IDR), FILLER, &slice(P)], &[4, 1]);
    }

    #[test]
    fn after_the_end_of_a_sequence_another_unit_begins() {
        let (sps, pps) = (sps(None), pps(0));
        let part = slice(Header {
            first_macroblock: 4,
            ..IDR
        });
        assert_units(&[&sps, &pps, &slice(IDR), END_OF_SEQUENCE, &part], &[4, 1]);
    }

    #[test]
    fn prefix_nal_units_go_with_their_slice() {
        let (sps, pps) = (sps(None), pps(0));
        let part = slice(Header {
            first_macroblock: 4,
            ..IDR
        });
        let (idr, p) = (slice(IDR), slice(P));
        assert_units(
            &[&sps, &pps, PREFIX, &idr, PREFIX, &part, PREFIX, &p],
            &[6, 2],
        );
    }

    #[test]
    fn redundant_pictures_are_no_pictures() {
        let (sps, pps) = (sps(None), pps(0));
        let redundant = slice(Header {
            redundant: 1,
            ..IDR
        });
        assert_units(&[&sps, &pps, &slice(IDR), &redundant, &slice(P)], &[4, 1]);
    }

    #[test]
    fn idr_pictures_with_one_id_are_told_apart() {
        let (sps, pps, idr) = (sps(None), pps(0), slice(IDR));
        assert_units(&[&sps, &pps, &idr, &idr, &idr], &[3, 1, 1]);
    }

    #[test]
    fn without_parameter_sets_macroblocks_tell() {
        let part = slice(Header {
            first_macroblock: 4,
            ..P
        });
        let p = slice(P);
        assert_units(&[&p, &part, &p, &part, &slice(IDR)], &[2, 2, 1]);
    }

    #[test]
    fn units_have_their_facts() {
        let stream = record(&[&sps(None), &pps(0), &slice(IDR), &slice(P)]);
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        splitter.push(&stream, &mut units).unwrap();
        splitter.finish(&mut units);
        let idr: Vec<_> = units.iter().map(|unit| unit.idr).collect();
        assert_eq!(idr, [true, false]);
        assert!(units.iter().all(|unit| !unit.bidirectional));
    }

    #[test]
    fn no_byte_gets_lost() {
        let (sps, pps, idr, p) = (sps(None), pps(0), slice(IDR), slice(P));
        let mut odd = vec![0, 0];
        odd.extend_from_slice(&record(&[&sps, &pps, &idr]));
        odd.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
        odd.extend_from_slice(&p);
        odd.extend_from_slice(&[0, 0, 0]);
        let records = [Bytes::from(odd), record(&[PREFIX, &p]), record(&[SEI])];
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        for record in &records {
            splitter.push(record, &mut units).unwrap();
        }
        let rest = splitter.finish(&mut units);
        let mut bytes: Vec<u8> = units
            .into_iter()
            .flat_map(|unit| unit.parts.concat())
            .collect();
        assert_eq!(rest, records[2].len());
        bytes.extend_from_slice(&records[2]);
        assert_eq!(bytes, records.concat());
    }

    #[test]
    fn records_without_a_picture() {
        let (sps, pps, idr) = (sps(None), pps(0), slice(IDR));
        let records = [
            record(&[&sps]),
            Bytes::new(),
            record(&[&pps, SEI]),
            record(&[&idr]),
        ];
        assert_eq!(split(&records), [4]);
        assert!(split(&[record(&[&sps, &pps])]).is_empty());
    }

    #[test]
    fn not_annex_b() {
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        for data in [
            &b"\xff\xd8\xff\xe0"[..],
            &[0, 0, 0, 20, 0x67, 1],
            &[0, 0, 0],
        ] {
            let data = Bytes::copy_from_slice(data);
            assert_eq!(splitter.push(&data, &mut units), Err(NotAnnexB), "{data:?}");
        }
    }

    #[test]
    fn vui_has_the_frame_rate() {
        let rate_of = |frame_rate| {
            let stream = record(&[&sps(frame_rate), &pps(0), &slice(IDR)]);
            let mut splitter = AccessUnitSplitter::default();
            splitter.push(&stream, &mut VecDeque::new()).unwrap();
            splitter.vui_frame_rate()
        };
        let rate = VuiFrameRate {
            numerator: 60_000,
            denominator: 2002,
        };
        assert_eq!(rate_of(Some((60_000, 1001))), Some(rate));
        assert_eq!(rate_of(Some((60_000, 0))), None);
        assert_eq!(rate_of(None), None);
    }
}
