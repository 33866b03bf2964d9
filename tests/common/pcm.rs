// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes H.264 streams that no encoder at hand does: field pictures, any order of pictures in any
//! type of picture order count, and several parameter sets.
//!
//! All macroblocks are I_PCM, so that a picture shows what it should whatever it may refer to. It
//! is a grey that no picture near it has, in interlaced streams one for each field.

use gst::glib;

use super::stream::{Stream, escape};

/// Macroblocks of a frame, both ways.
const MACROBLOCKS: usize = 2;

/// The type of a picture's slices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slices {
    I,
    P,
    B,
}

/// Coding of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coding {
    /// As one picture.
    Frame,
    /// As a picture of its top field and one of its bottom field.
    TopFirst,
    /// As a picture of its bottom field and one of its top field.
    BottomFirst,
}

/// Contents of an SPS and its PPS.
#[derive(Clone, Copy, Debug)]
pub struct Sequence {
    /// `pic_order_cnt_type`.
    pub order_type: u8,
    /// Field pictures are allowed.
    pub interlaced: bool,
    /// `max_num_reorder_frames`, if the VUI says so.
    pub reorder: Option<u32>,
    /// `seq_parameter_set_id`.
    pub sps_id: u32,
    /// Number of PPSs, with ids from 0 on.
    pub pps_count: u32,
    /// `chroma_qp_index_offset` of each PPS, which changes no PCM.
    pub chroma_offset: i32,
    /// `log2_max_frame_num` and `log2_max_pic_order_cnt_lsb`.
    pub counter_bits: u32,
}

impl Default for Sequence {
    fn default() -> Self {
        Self {
            order_type: 0,
            interlaced: false,
            reorder: None,
            sps_id: 0,
            pps_count: 1,
            chroma_offset: 0,
            counter_bits: 8,
        }
    }
}

/// A frame, in decoding order.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The type of its slices.
    pub slices: Slices,
    /// Its place in display order, from the last IDR picture on.
    pub display: i32,
    /// Other pictures may refer to it.
    pub reference: bool,
    /// Coding of the frame.
    pub coding: Coding,
    /// The PPS that it uses.
    pub pps_id: u32,
    /// The number of frames after which pictures are right, in a recovery point SEI before it.
    pub recovery: Option<u32>,
}

/// An I, P or B frame with its place in display order; B frames are no reference.
pub fn frame(slices: Slices, display: i32) -> Frame {
    Frame {
        slices,
        display,
        reference: slices != Slices::B,
        coding: Coding::Frame,
        pps_id: 0,
        recovery: None,
    }
}

impl Frame {
    /// As it is, but a reference or none.
    pub fn reference(self, reference: bool) -> Self {
        Self { reference, ..self }
    }

    /// As it is, with a recovery point after this many frames.
    pub fn recovery(self, frames: u32) -> Self {
        Self {
            recovery: Some(frames),
            ..self
        }
    }

    /// As it is, but with another PPS.
    pub fn pps_id(self, pps_id: u32) -> Self {
        Self { pps_id, ..self }
    }

    /// As it is, but coded in another way.
    pub fn coding(self, coding: Coding) -> Self {
        Self { coding, ..self }
    }
}

impl Sequence {
    /// The SPS.
    pub fn sps(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        // Main profile, level 3.
        bits.fixed(77, 8).fixed(0, 8).fixed(30, 8).ue(self.sps_id);
        bits.ue(self.counter_bits - 4).ue(self.order_type.into());
        match self.order_type {
            0 => {
                bits.ue(self.counter_bits - 4);
            }
            1 => {
                // delta_pic_order_always_zero_flag, then see Self::expected_order.
                bits.flag(false).se(-2).se(1).ue(1).se(4);
            }
            _ => {}
        }
        // max_num_ref_frames, gaps_in_frame_num_value_allowed_flag, size.
        bits.ue(4).flag(false).ue(MACROBLOCKS as u32 - 1);
        if self.interlaced {
            bits.ue(MACROBLOCKS as u32 / 2 - 1).flag(false).flag(false);
        } else {
            bits.ue(MACROBLOCKS as u32 - 1).flag(true);
        }
        // direct_8x8_inference_flag, frame_cropping_flag.
        bits.flag(true).flag(false).flag(self.reorder.is_some());
        if let Some(reorder) = self.reorder {
            // Of the VUI only bitstream_restriction_flag and what comes with it.
            bits.fixed(0, 8).flag(true).flag(true);
            bits.ue(0).ue(0).ue(10).ue(10).ue(reorder).ue(4);
        }
        bits.nal(0x67)
    }

    /// An SPS that is called something else.
    pub fn sps_of_type(&self, nal_type: u8) -> Vec<u8> {
        let mut sps = self.sps();
        sps[0] = 0x60 | nal_type;
        sps
    }

    /// A PPS.
    pub fn pps(&self, id: u32) -> Vec<u8> {
        let mut bits = Bits::default();
        // CAVLC, no bottom_field_pic_order_in_frame, one slice group, one reference picture.
        bits.ue(id).ue(self.sps_id).flag(false).flag(false).ue(0);
        bits.ue(0).ue(0).flag(false).fixed(0, 2);
        bits.se(0).se(0).se(self.chroma_offset);
        bits.flag(false).flag(false).flag(false);
        bits.nal(0x68)
    }

    /// `expectedDeltaPerPicOrderCntCycle` and the offsets of order type 1 make this.
    fn expected_order(frame_num: u32, reference: bool) -> i32 {
        let frame_num = frame_num as i32;
        match reference {
            true => 4 * frame_num,
            false => 4 * (frame_num - 1) - 2,
        }
    }

    /// The slice of a frame or of a field; `frame_num` counts on beyond its range.
    fn slice(&self, frame: &Frame, frame_num: u32, field: Option<Field>, grey: u8) -> Vec<u8> {
        let second = field.is_some_and(|field| field.second);
        // The second field of an IDR picture is a P picture.
        let idr = frame_num == 0 && frame.display == 0 && frame.reference && !second;
        let slices = match frame.slices {
            Slices::I if second => Slices::P,
            slices => slices,
        };
        let max = 1 << self.counter_bits;
        let mut bits = Bits::default();
        bits.ue(0).ue(match slices {
            Slices::P => 0,
            Slices::B => 1,
            Slices::I => 2,
        });
        bits.ue(frame.pps_id);
        bits.fixed(frame_num % max, self.counter_bits);
        if self.interlaced {
            bits.flag(field.is_some());
            if let Some(field) = field {
                bits.flag(field.bottom);
            }
        }
        if idr {
            bits.ue(0);
        }
        let bottom = i32::from(field.is_some_and(|field| field.bottom));
        match self.order_type {
            0 => {
                let order = 2 * frame.display + if second { 1 } else { 0 };
                bits.fixed(order.rem_euclid(max as i32) as u32, self.counter_bits);
            }
            1 => {
                let expected = Self::expected_order(frame_num, frame.reference) + bottom;
                bits.se(2 * frame.display + i32::from(second) - expected);
            }
            _ => {}
        }
        if slices == Slices::B {
            bits.flag(true);
        }
        if slices != Slices::I {
            // num_ref_idx_active_override_flag, ref_pic_list_modification_flag_l0 and _l1.
            bits.flag(false).flag(false);
        }
        if slices == Slices::B {
            bits.flag(false);
        }
        if frame.reference {
            // dec_ref_pic_marking.
            bits.flag(false);
            if idr {
                bits.flag(false);
            }
        }
        bits.se(0);
        let rows = if field.is_some() {
            MACROBLOCKS / 2
        } else {
            MACROBLOCKS
        };
        for _ in 0..rows * MACROBLOCKS {
            if slices != Slices::I {
                bits.ue(0);
            }
            bits.ue(match slices {
                Slices::I => 25,
                Slices::P => 30,
                Slices::B => 48,
            });
            bits.align();
            for _ in 0..256 + 2 * 64 {
                bits.fixed(grey.into(), 8);
            }
        }
        let reference = if frame.reference { 0x60 } else { 0 };
        bits.nal(reference | if idr { 5 } else { 1 })
    }

    /// A GOP that begins with an IDR picture, its pictures in grey from `first` on.
    ///
    /// The frames are in decoding order, the first of them an I frame.
    pub fn gop(&self, first: usize, frames: &[Frame]) -> Vec<Vec<u8>> {
        let mut frame_num = 0;
        let mut after_reference = false;
        frames
            .iter()
            .enumerate()
            .map(|(index, frame)| {
                frame_num += u32::from(after_reference);
                after_reference = frame.reference;
                let shown = first + frame.display as usize;
                let (top, bottom) = greys(shown, self.interlaced);
                let fields = match frame.coding {
                    Coding::Frame => None,
                    Coding::TopFirst => Some([(false, top), (true, bottom)]),
                    Coding::BottomFirst => Some([(true, bottom), (false, top)]),
                };
                let mut nals = Vec::new();
                if index == 0 {
                    nals.push(self.sps());
                    nals.extend((0..self.pps_count).map(|id| self.pps(id)));
                }
                nals.extend(frame.recovery.map(recovery_point));
                match fields {
                    // A frame picture's rows alternate, which no field of PCM does.
                    None => nals.push(self.slice(frame, frame_num, None, top)),
                    Some(fields) => {
                        for (second, (bottom, grey)) in [false, true].into_iter().zip(fields) {
                            let field = Field { bottom, second };
                            nals.push(self.slice(frame, frame_num, Some(field), grey));
                        }
                    }
                }
                nals.iter()
                    .flat_map(|nal| [&[0, 0, 0, 1], nal.as_slice()].concat())
                    .collect()
            })
            .collect()
    }

    /// A stream of GOPs and the checksum of each picture in display order, as ffmpeg gives it.
    pub fn stream(&self, gops: &[Vec<Frame>], fps: (u32, u32)) -> (Stream, Vec<String>) {
        let mut units = Vec::new();
        let mut checksums = Vec::new();
        for gop in gops {
            let first = units.len();
            units.extend(self.gop(first, gop));
            let mut shown: Vec<_> = gop.iter().collect();
            shown.sort_by_key(|frame| frame.display);
            checksums.extend(shown.into_iter().map(|frame| {
                let (top, bottom) = greys(first + frame.display as usize, self.interlaced);
                match frame.coding {
                    Coding::Frame => checksum(top, top),
                    _ => checksum(top, bottom),
                }
            }));
        }
        (Stream { units, fps }, checksums)
    }
}

/// A field of a frame.
#[derive(Clone, Copy, Debug)]
struct Field {
    bottom: bool,
    second: bool,
}

/// A recovery point as SEI: the number of frames until pictures are right.
pub fn recovery_point(frames: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    // recovery_frame_cnt, exact_match_flag, broken_link_flag, changing_slice_group_idc.
    bits.ue(frames).flag(true).flag(false).fixed(0, 2);
    if !bits.bits.len().is_multiple_of(8) {
        bits.flag(true);
        bits.align();
    }
    let payload = bits.bytes();
    [&[6, 6, payload.len() as u8], payload.as_slice(), &[0x80]].concat()
}

/// The greys of a frame's fields.
fn greys(shown: usize, interlaced: bool) -> (u8, u8) {
    // 16 to 219 in steps that come round after 204 frames only.
    let top = 16 + (shown * 7 % 204) as u8;
    (top, if interlaced { top + 3 } else { top })
}

/// The checksum of a grey picture.
fn checksum(top: u8, bottom: u8) -> String {
    let mut md5 = glib::Checksum::new(glib::ChecksumType::Md5).expect("GLib has MD5");
    let size = 16 * MACROBLOCKS;
    for (width, height) in [(size, size), (size / 2, size / 2), (size / 2, size / 2)] {
        for row in 0..height {
            let grey = if row % 2 == 0 { top } else { bottom };
            md5.update(&vec![grey; width]);
        }
    }
    md5.string().expect("a checksum")
}

/// Writes syntax elements.
#[derive(Default)]
struct Bits {
    bits: Vec<bool>,
}

impl Bits {
    fn flag(&mut self, flag: bool) -> &mut Self {
        self.bits.push(flag);
        self
    }

    /// u(n).
    fn fixed(&mut self, number: u32, count: u32) -> &mut Self {
        let bits = (0..count).rev().map(|bit| number >> bit & 1 == 1);
        self.bits.extend(bits);
        self
    }

    /// ue(v).
    fn ue(&mut self, number: u32) -> &mut Self {
        let length = (number + 1).ilog2();
        self.fixed(0, length).fixed(number + 1, length + 1)
    }

    /// se(v).
    fn se(&mut self, number: i32) -> &mut Self {
        self.ue(match number {
            1.. => 2 * number.unsigned_abs() - 1,
            _ => 2 * number.unsigned_abs(),
        })
    }

    /// Zeros up to a whole byte.
    fn align(&mut self) {
        let whole = self.bits.len().next_multiple_of(8);
        self.bits.resize(whole, false);
    }

    fn bytes(&self) -> Vec<u8> {
        (self.bits.chunks(8))
            .map(|byte| byte.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit)))
            .collect()
    }

    /// The NAL unit with this header.
    fn nal(&mut self, header: u8) -> Vec<u8> {
        self.flag(true).align();
        escape([header].into_iter().chain(self.bytes()))
    }
}
