// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Picture parameter sets (ITU-T H.264, 7.3.2.2).

use h264_reader::rbsp::BitRead;

use super::nal::bits;
use super::sps::{Broken, at_most};

/// A picture parameter set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pps {
    pub id: u8,
    pub sps_id: u8,
    entropy_coding_mode: bool,
    pub bottom_field_pic_order_in_frame_present: bool,
    /// Default number of active reference indices of both lists.
    pub num_ref_idx_active: [u32; 2],
    pub weighted_pred: bool,
    pub weighted_bipred_idc: u8,
    pub redundant_pic_cnt_present: bool,
    /// Syntax elements of slice groups, from `num_slice_groups_minus1` on.
    slice_groups: Vec<u32>,
    /// `pic_init_qp_minus26`, `pic_init_qs_minus26` and `chroma_qp_index_offset`.
    quantizers: [i32; 3],
    deblocking_filter_control_present: bool,
    constrained_intra_pred: bool,
    extension: Extension,
}

/// Optional fields after `redundant_pic_cnt_present_flag`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extension {
    transform_8x8_mode: bool,
    /// The bits from the first scaling list on, if there is a matrix.
    scaling_matrix: Option<Vec<bool>>,
    /// `second_chroma_qp_index_offset`; 0 if a scaling matrix precedes it.
    second_chroma_qp_index_offset: i32,
}

impl Pps {
    /// Reads the NAL unit `nal`.
    pub fn parse(nal: &[u8]) -> Result<Self, Broken> {
        let r = &mut bits(nal);
        let id = at_most(r.read_ue("pic_parameter_set_id")?, 255)? as u8;
        let sps_id = at_most(r.read_ue("seq_parameter_set_id")?, 31)? as u8;
        let entropy_coding_mode = r.read_bit("entropy_coding_mode_flag")?;
        let bottom_field_pic_order_in_frame_present =
            r.read_bit("bottom_field_pic_order_in_frame_present_flag")?;
        let slice_groups = read_slice_groups(r)?;
        let mut num_ref_idx_active = [0; 2];
        for count in &mut num_ref_idx_active {
            *count = 1 + at_most(r.read_ue("num_ref_idx_default_active_minus1")?, 31)?;
        }
        let weighted_pred = r.read_bit("weighted_pred_flag")?;
        let weighted_bipred_idc = r.read::<2, u8>("weighted_bipred_idc")?;
        let quantizers = [
            r.read_se("pic_init_qp_minus26")?,
            r.read_se("pic_init_qs_minus26")?,
            r.read_se("chroma_qp_index_offset")?,
        ];
        Ok(Self {
            id,
            sps_id,
            entropy_coding_mode,
            bottom_field_pic_order_in_frame_present,
            num_ref_idx_active,
            weighted_pred,
            weighted_bipred_idc,
            slice_groups,
            quantizers,
            deblocking_filter_control_present: r
                .read_bit("deblocking_filter_control_present_flag")?,
            constrained_intra_pred: r.read_bit("constrained_intra_pred_flag")?,
            redundant_pic_cnt_present: r.read_bit("redundant_pic_cnt_present_flag")?,
            extension: Extension::read(r, quantizers[2]),
        })
    }

    /// Returns the set without its ids.
    pub fn meaning(&self) -> Self {
        Self {
            id: 0,
            sps_id: 0,
            ..self.clone()
        }
    }
}

impl Extension {
    /// Reads the bits that exist. Missing values are inferred (7.4.2.2).
    fn read(r: &mut impl BitRead, chroma_qp_index_offset: i32) -> Self {
        let mut extension = Self {
            transform_8x8_mode: false,
            scaling_matrix: None,
            second_chroma_qp_index_offset: chroma_qp_index_offset,
        };
        let _ = extension.fill(r);
        extension
    }

    fn fill(&mut self, r: &mut impl BitRead) -> Result<(), Broken> {
        if !r.has_more_rbsp_data("transform_8x8_mode_flag")? {
            return Ok(());
        }
        self.transform_8x8_mode = r.read_bit("transform_8x8_mode_flag")?;
        if r.read_bit("pic_scaling_matrix_present_flag")? {
            // How many lists there are depends on the SPS.
            let bits = self.scaling_matrix.insert(Vec::new());
            self.second_chroma_qp_index_offset = 0;
            while r.has_more_rbsp_data("pic_scaling_list")? {
                bits.push(r.read_bit("pic_scaling_list")?);
            }
        } else {
            self.second_chroma_qp_index_offset = r.read_se("second_chroma_qp_index_offset")?;
        }
        Ok(())
    }
}

/// Reads the syntax elements of slice groups.
fn read_slice_groups(r: &mut impl BitRead) -> Result<Vec<u32>, Broken> {
    let groups = 1 + at_most(r.read_ue("num_slice_groups_minus1")?, 7)?;
    let mut elements = vec![groups];
    if groups == 1 {
        return Ok(elements);
    }
    let map_type = at_most(r.read_ue("slice_group_map_type")?, 6)?;
    elements.push(map_type);
    match map_type {
        0 => {
            for _ in 0..groups {
                elements.push(r.read_ue("run_length_minus1")?);
            }
        }
        2 => {
            for _ in 1..groups {
                elements.push(r.read_ue("top_left")?);
                elements.push(r.read_ue("bottom_right")?);
            }
        }
        3..=5 => {
            elements.push(r.read_bit("slice_group_change_direction_flag")?.into());
            elements.push(r.read_ue("slice_group_change_rate_minus1")?);
        }
        6 => {
            let bits = (groups - 1).ilog2() + 1;
            for _ in 0..=r.read_ue("pic_size_in_map_units_minus1")? {
                elements.push(r.read_var(bits, "slice_group_id")?);
            }
        }
        _ => {}
    }
    Ok(elements)
}
