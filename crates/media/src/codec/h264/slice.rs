// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Slice headers (ITU-T H.264, 7.3.3), up to the fields that separate and order pictures.

use h264_reader::rbsp::BitRead;

use super::nal::{bits, nal_type, nal_unit_type};
use super::parameter_sets::Decoded;
use super::pps::Pps;
use super::sps::{Broken, PictureOrderType, Sps, at_most};

/// Fields of a slice header that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceHeader {
    /// `nal_ref_idc` is not 0: other pictures may refer to this one.
    pub reference: bool,
    pub idr: bool,
    /// The slice has macroblock 0, which is coded once in a primary coded picture.
    pub has_first_macroblock: bool,
    /// The slice belongs to a redundant coded picture.
    pub redundant: bool,
    /// An I or SI slice: it is predicted from no other picture.
    pub intra: bool,
    pub pps_id: u8,
    pub frame_num: u32,
    pub structure: Structure,
    pub idr_pic_id: Option<u32>,
    pub order: OrderElements,
    /// `memory_management_control_operation` 5: for the following pictures this one acts as an IDR
    /// picture.
    pub resets_order: bool,
}

/// Structure of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    Frame,
    TopField,
    BottomField,
}

impl Structure {
    /// Returns whether both are fields, of different parity.
    pub fn is_opposite_field(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::TopField, Self::BottomField) | (Self::BottomField, Self::TopField)
        )
    }
}

/// Syntax elements from which the picture order count is derived; 0 where absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderElements {
    pub lsb: u32,
    pub delta_bottom: i32,
    pub deltas: [i32; 2],
}

/// Reason for which a slice header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceError {
    /// The picture parameter set with this id, or the sequence parameter set that it refers to, is
    /// not there.
    UnknownParameterSet(u8),
    Broken,
}

impl From<Broken> for SliceError {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

impl From<h264_reader::rbsp::BitReaderError> for SliceError {
    fn from(_: h264_reader::rbsp::BitReaderError) -> Self {
        Self::Broken
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SliceKind {
    P,
    B,
    I,
}

impl SliceHeader {
    /// Reads the header of the slice, or slice data partition A, in `nal`.
    pub fn parse(nal: &[u8], sets: &Decoded) -> Result<Self, SliceError> {
        let header = nal.first().copied().ok_or(SliceError::Broken)?;
        let reference = header & 0x60 != 0;
        let idr = nal_unit_type(header) == nal_type::SLICE_IDR;
        let r = &mut bits(nal);
        let first_mb_in_slice = r.read_ue("first_mb_in_slice")?;
        // SP and SI slices are P and I slices here. Types from 5 on say that all are the same.
        let kind = match at_most(r.read_ue("slice_type")?, 9)? % 5 {
            1 => SliceKind::B,
            2 | 4 => SliceKind::I,
            _ => SliceKind::P,
        };
        let pps_id = at_most(r.read_ue("pic_parameter_set_id")?, 255)? as u8;
        let (sps, pps) = sets
            .active(pps_id)
            .ok_or(SliceError::UnknownParameterSet(pps_id))?;
        // Further colour planes repeat the macroblocks of the first one.
        let is_further_plane =
            sps.separate_colour_planes && r.read::<2, u8>("colour_plane_id")? > 0;
        let frame_num = r.read_var(sps.frame_num_bits, "frame_num")?;
        let mut structure = Structure::Frame;
        if !sps.frame_mbs_only && r.read_bit("field_pic_flag")? {
            structure = if r.read_bit("bottom_field_flag")? {
                Structure::BottomField
            } else {
                Structure::TopField
            };
        }
        let idr_pic_id = if idr {
            Some(r.read_ue("idr_pic_id")?)
        } else {
            None
        };
        let order = OrderElements::read(r, sps, pps, structure)?;
        let redundant = pps.redundant_pic_cnt_present && r.read_ue("redundant_pic_cnt")? > 0;
        Ok(Self {
            reference,
            idr,
            has_first_macroblock: first_mb_in_slice == 0 && !redundant && !is_further_plane,
            redundant,
            intra: kind == SliceKind::I,
            pps_id,
            frame_num,
            structure,
            idr_pic_id,
            order,
            resets_order: reference && !idr && resets_order(r, sps, pps, kind)?,
        })
    }
}

impl OrderElements {
    fn read(
        r: &mut impl BitRead,
        sps: &Sps,
        pps: &Pps,
        structure: Structure,
    ) -> Result<Self, SliceError> {
        let mut order = Self::default();
        let has_both = pps.bottom_field_pic_order_in_frame_present && structure == Structure::Frame;
        match sps.picture_order {
            PictureOrderType::Lsb { bits } => {
                order.lsb = r.read_var(bits, "pic_order_cnt_lsb")?;
                if has_both {
                    order.delta_bottom = r.read_se("delta_pic_order_cnt_bottom")?;
                }
            }
            PictureOrderType::Cycle {
                delta_always_zero: false,
                ..
            } => {
                order.deltas[0] = r.read_se("delta_pic_order_cnt[0]")?;
                if has_both {
                    order.deltas[1] = r.read_se("delta_pic_order_cnt[1]")?;
                }
            }
            _ => {}
        }
        Ok(order)
    }
}

/// Reads the fields after `redundant_pic_cnt` up to `dec_ref_pic_marking` of a non-IDR reference picture.
fn resets_order(
    r: &mut impl BitRead,
    sps: &Sps,
    pps: &Pps,
    kind: SliceKind,
) -> Result<bool, SliceError> {
    if kind == SliceKind::B {
        r.read_bit("direct_spatial_mv_pred_flag")?;
    }
    let lists = match kind {
        SliceKind::I => 0,
        SliceKind::P => 1,
        SliceKind::B => 2,
    };
    let mut active = pps.num_ref_idx_active;
    if lists > 0 && r.read_bit("num_ref_idx_active_override_flag")? {
        for count in &mut active[..lists] {
            *count = 1 + at_most(r.read_ue("num_ref_idx_active_minus1")?, 31)?;
        }
    }
    for _ in 0..lists {
        if r.read_bit("ref_pic_list_modification_flag")? {
            while at_most(r.read_ue("modification_of_pic_nums_idc")?, 3)? != 3 {
                r.read_ue("abs_diff_pic_num_minus1 or long_term_pic_num")?;
            }
        }
    }
    let weighted = match kind {
        SliceKind::P => pps.weighted_pred,
        SliceKind::B => pps.weighted_bipred_idc == 1,
        SliceKind::I => false,
    };
    if weighted {
        skip_pred_weight_table(r, sps, &active[..lists])?;
    }
    if r.read_bit("adaptive_ref_pic_marking_mode_flag")? {
        loop {
            match r.read_ue("memory_management_control_operation")? {
                0 => break,
                5 => return Ok(true),
                3 => {
                    r.read_ue("difference_of_pic_nums_minus1")?;
                    r.read_ue("long_term_frame_idx")?;
                }
                1 | 2 | 4 | 6 => {
                    r.read_ue("operand of the operation")?;
                }
                _ => return Err(SliceError::Broken),
            }
        }
    }
    Ok(false)
}

fn skip_pred_weight_table(
    r: &mut impl BitRead,
    sps: &Sps,
    active: &[u32],
) -> Result<(), SliceError> {
    let has_chroma = sps.chroma_array_type() != 0;
    r.read_ue("luma_log2_weight_denom")?;
    if has_chroma {
        r.read_ue("chroma_log2_weight_denom")?;
    }
    for _ in 0..active.iter().sum() {
        // Weight and offset, of luma and of two chroma components.
        if r.read_bit("luma_weight_flag")? {
            skip_values(r, 2)?;
        }
        if has_chroma && r.read_bit("chroma_weight_flag")? {
            skip_values(r, 4)?;
        }
    }
    Ok(())
}

fn skip_values(r: &mut impl BitRead, count: usize) -> Result<(), SliceError> {
    for _ in 0..count {
        r.read_se("weight or offset")?;
    }
    Ok(())
}
