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
