// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes streams with one property each, for unit tests.

use bytes::Bytes;
use h264_reader::rbsp::{BitWrite, BitWriter};

use super::FrameNumber;

/// An access unit delimiter.
pub const AUD: &[u8] = &[9, 0xf0];
/// Supplemental enhancement information without a meaning.
pub const SEI: &[u8] = &[6, 5, 1, 0x80, 0x80];
/// A prefix NAL unit (type 14).
pub const PREFIX: &[u8] = &[0x6e, 0xc0, 0x80, 0x07];
/// An end of sequence.
pub const END_OF_SEQUENCE: &[u8] = &[10];
/// Filler data.
pub const FILLER: &[u8] = &[12, 0xff, 0x80];

/// Number 0, modulo 16, of a reference picture that is no IDR picture.
pub const FRAME_NUMBER: FrameNumber = FrameNumber {
    frame_num: 0,
    modulus: 16,
    idr: false,
    reference: true,
    resets: false,
    gaps_allowed: false,
};

type Bits<'a> = BitWriter<&'a mut Vec<u8>>;

/// A NAL unit with emulation prevention bytes.
fn nal(header: u8, write: impl FnOnce(&mut Bits)) -> Vec<u8> {
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

/// Type of picture order count of an SPS.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// Type 0 with four bits.
    Lsb,
    /// Type 0 with eight bits, for pictures that are far from their places in output order.
    LongLsb,
    /// Type 1: non-reference pictures come one before, reference pictures are two apart.
    Cycle,
    /// Type 2.
    Decoding,
}

/// Variable fields of an SPS of 64x64 pixels, with `frame_num` of four bits.
#[derive(Debug, Clone, Copy)]
pub struct SpsSpec {
    /// Type of picture order count.
    pub order: Order,
    /// Fields and frames are allowed.
    pub interlaced: bool,
    /// `time_scale` and `num_units_in_tick`.
    pub frame_rate: Option<(u32, u32)>,
    /// `max_num_reorder_frames` of a VUI.
    pub max_num_reorder_frames: Option<u32>,
}

/// An SPS of frames with picture order count type 0.
pub const SPS: SpsSpec = SpsSpec {
    order: Order::Lsb,
    interlaced: false,
    frame_rate: None,
    max_num_reorder_frames: None,
};

/// Returns an SPS.
pub fn sps(spec: SpsSpec) -> Vec<u8> {
    nal(0x67, |bits| {
        for byte in [66u8, 0, 30] {
            bits.write::<8, u8>(byte).unwrap();
        }
        bits.write_ue(0).unwrap();
        bits.write_ue(0).unwrap();
        match spec.order {
            Order::Lsb => {
                bits.write_ue(0).unwrap();
                bits.write_ue(0).unwrap();
            }
            Order::LongLsb => {
                bits.write_ue(0).unwrap();
                bits.write_ue(4).unwrap();
            }
            Order::Cycle => {
                bits.write_ue(1).unwrap();
                bits.write_bit(false).unwrap();
                bits.write_se(-1).unwrap();
                bits.write_se(1).unwrap();
                bits.write_ue(1).unwrap();
                bits.write_se(2).unwrap();
            }
            Order::Decoding => bits.write_ue(2).unwrap(),
        }
        bits.write_ue(1).unwrap();
        bits.write_bit(false).unwrap();
        bits.write_ue(3).unwrap();
        bits.write_ue(if spec.interlaced { 1 } else { 3 }).unwrap();
        bits.write_bit(!spec.interlaced).unwrap();
        if spec.interlaced {
            bits.write_bit(false).unwrap();
        }
        bits.write_bit(true).unwrap();
        bits.write_bit(false).unwrap();
        vui(bits, spec);
        bits.write_rbsp_trailing_bits().unwrap();
    })
}

fn vui(bits: &mut Bits, spec: SpsSpec) {
    let present = spec.frame_rate.is_some() || spec.max_num_reorder_frames.is_some();
    bits.write_bit(present).unwrap();
    if !present {
        return;
    }
    bits.write::<4, u8>(0).unwrap();
    bits.write_bit(spec.frame_rate.is_some()).unwrap();
    if let Some((time_scale, units_in_tick)) = spec.frame_rate {
        bits.write::<32, u32>(units_in_tick).unwrap();
        bits.write::<32, u32>(time_scale).unwrap();
        bits.write_bit(true).unwrap();
    }
    bits.write::<3, u8>(0).unwrap();
    bits.write_bit(spec.max_num_reorder_frames.is_some())
        .unwrap();
    if let Some(frames) = spec.max_num_reorder_frames {
        bits.write_bit(true).unwrap();
        for value in [0, 0, 0, 0, frames, frames] {
            bits.write_ue(value).unwrap();
        }
    }
}

/// A PPS with `redundant_pic_cnt_present_flag`.
pub fn pps(id: u32) -> Vec<u8> {
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
        bits.write::<3, u8>(1).unwrap();
        bits.write_rbsp_trailing_bits().unwrap();
    })
}

/// The syntax elements of a slice header that tests vary.
#[derive(Debug, Clone, Copy)]
pub struct SliceSpec {
    /// SPS that the slice refers to.
    pub sps: SpsSpec,
    /// NAL unit header.
    pub nal: u8,
    /// `first_mb_in_slice`.
    pub first_macroblock: u32,
    /// `pic_parameter_set_id`.
    pub pps: u32,
    /// `frame_num`.
    pub frame_num: u8,
    /// Of an interlaced stream: whether the picture is a bottom field, if it is one.
    pub bottom_field: Option<bool>,
    /// `idr_pic_id`.
    pub idr_pic_id: u32,
    /// `pic_order_cnt_lsb`, or `delta_pic_order_cnt[0]`.
    pub order: u8,
    /// `redundant_pic_cnt`.
    pub redundant: u32,
    /// The picture has `memory_management_control_operation` 5.
    pub resets_order: bool,
}

/// A slice of a reference picture that is not IDR.
pub const P: SliceSpec = SliceSpec {
    sps: SPS,
    nal: 0x41,
    first_macroblock: 0,
    pps: 0,
    frame_num: 1,
    bottom_field: None,
    idr_pic_id: 0,
    order: 2,
    redundant: 0,
    resets_order: false,
};

/// A slice of an IDR picture.
pub const IDR: SliceSpec = SliceSpec {
    nal: 0x65,
    frame_num: 0,
    order: 0,
    ..P
};

/// A slice of a P picture, or of an IDR picture.
pub fn slice(header: SliceSpec) -> Vec<u8> {
    let idr = header.nal & 0x1f == 5;
    nal(header.nal, |bits| {
        bits.write_ue(header.first_macroblock).unwrap();
        bits.write_ue(if idr { 2 } else { 0 }).unwrap();
        bits.write_ue(header.pps).unwrap();
        bits.write::<4, u8>(header.frame_num).unwrap();
        if header.sps.interlaced {
            bits.write_bit(header.bottom_field.is_some()).unwrap();
            if let Some(bottom) = header.bottom_field {
                bits.write_bit(bottom).unwrap();
            }
        }
        if idr {
            bits.write_ue(header.idr_pic_id).unwrap();
        }
        match header.sps.order {
            Order::Lsb => bits.write::<4, u8>(header.order).unwrap(),
            Order::LongLsb => bits.write::<8, u8>(header.order).unwrap(),
            Order::Cycle => bits.write_se(header.order.into()).unwrap(),
            Order::Decoding => {}
        }
        bits.write_ue(header.redundant).unwrap();
        if idr {
            bits.write::<2, u8>(0).unwrap();
        } else {
            // No override of reference indices, no modification of lists.
            bits.write::<2, u8>(0).unwrap();
            if header.nal & 0x60 != 0 {
                bits.write_bit(header.resets_order).unwrap();
            }
            if header.resets_order {
                bits.write_ue(5).unwrap();
                bits.write_ue(0).unwrap();
            }
        }
        bits.write_se(0).unwrap();
        bits.write::<8, u8>(0xab).unwrap();
        bits.write_rbsp_trailing_bits().unwrap();
    })
}

/// An SEI NAL unit with a recovery point.
pub fn recovery_point(frames: u32) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut bits = BitWriter::new(&mut payload);
    bits.write_ue(frames).unwrap();
    bits.write::<4, u8>(0b1000).unwrap();
    bits.write_rbsp_trailing_bits().unwrap();
    [&[6, 6, payload.len() as u8][..], &payload, &[0x80]].concat()
}

/// A record with these NAL units.
pub fn record(nals: &[&[u8]]) -> Bytes {
    let mut record = Vec::new();
    for nal in nals {
        record.extend_from_slice(&[0, 0, 0, 1]);
        record.extend_from_slice(nal);
    }
    record.into()
}
