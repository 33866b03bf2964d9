// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! `frame_num` of access units (ITU-T H.264, 7.4.3).

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
