// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Picture parameter sets (ITU-T H.264, 7.3.2.2), as far as slice headers depend on them.

use h264_reader::rbsp::BitRead;

use super::bits;
use super::sps::{Broken, at_most};

/// What slice headers depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pps {
    pub id: u8,
    pub sps_id: u8,
    pub bottom_field_pic_order_in_frame_present: bool,
    /// Default number of active reference indices of both lists.
    pub num_ref_idx_active: [u32; 2],
    pub weighted_pred: bool,
    pub weighted_bipred_idc: u8,
    pub redundant_pic_cnt_present: bool,
}

impl Pps {
    /// Reads the NAL unit `nal`.
    pub fn parse(nal: &[u8]) -> Result<Self, Broken> {
        let r = &mut bits(nal);
        let id = at_most(r.read_ue("pic_parameter_set_id")?, 255)? as u8;
        let sps_id = at_most(r.read_ue("seq_parameter_set_id")?, 31)? as u8;
        r.read_bit("entropy_coding_mode_flag")?;
        let bottom_field_pic_order_in_frame_present =
            r.read_bit("bottom_field_pic_order_in_frame_present_flag")?;
        skip_slice_groups(r)?;
        let mut num_ref_idx_active = [0; 2];
        for count in &mut num_ref_idx_active {
            *count = 1 + at_most(r.read_ue("num_ref_idx_default_active_minus1")?, 31)?;
        }
        let weighted_pred = r.read_bit("weighted_pred_flag")?;
        let weighted_bipred_idc = r.read::<2, u8>("weighted_bipred_idc")?;
        for name in [
            "pic_init_qp_minus26",
            "pic_init_qs_minus26",
            "chroma_qp_index_offset",
        ] {
            r.read_se(name)?;
        }
        r.read_bit("deblocking_filter_control_present_flag")?;
        r.read_bit("constrained_intra_pred_flag")?;
        Ok(Self {
            id,
            sps_id,
            bottom_field_pic_order_in_frame_present,
            num_ref_idx_active,
            weighted_pred,
            weighted_bipred_idc,
            redundant_pic_cnt_present: r.read_bit("redundant_pic_cnt_present_flag")?,
        })
    }
}

fn skip_slice_groups(r: &mut impl BitRead) -> Result<(), Broken> {
    let groups = 1 + at_most(r.read_ue("num_slice_groups_minus1")?, 7)?;
    if groups == 1 {
        return Ok(());
    }
    match at_most(r.read_ue("slice_group_map_type")?, 6)? {
        0 => {
            for _ in 0..groups {
                r.read_ue("run_length_minus1")?;
            }
        }
        2 => {
            for _ in 1..groups {
                r.read_ue("top_left")?;
                r.read_ue("bottom_right")?;
            }
        }
        3..=5 => {
            r.read_bit("slice_group_change_direction_flag")?;
            r.read_ue("slice_group_change_rate_minus1")?;
        }
        6 => {
            let bits = (groups - 1).ilog2() + 1;
            for _ in 0..=r.read_ue("pic_size_in_map_units_minus1")? {
                r.skip(bits, "slice_group_id")?;
            }
        }
        _ => {}
    }
    Ok(())
}
