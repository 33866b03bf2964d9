// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Headers of NAL units (ISO/IEC 14496-10, 7.3.1).

use h264_reader::rbsp::{BitRead, BitReader};

use crate::codec::rbsp::Rbsp;

/// `nal_unit_type` values (ITU-T H.264, Table 7-1) that this crate distinguishes.
pub mod nal_type {
    /// Coded slice of a non-IDR picture.
    pub const SLICE: u8 = 1;
    /// Coded slice data partition A: the one that carries the slice header.
    pub const SLICE_PARTITION_A: u8 = 2;
    /// Coded slice of an IDR picture.
    pub const SLICE_IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Access unit delimiter.
    pub const DELIMITER: u8 = 9;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Sequence parameter set extension.
    pub const SPS_EXTENSION: u8 = 13;
    /// End of sequence.
    pub const END_OF_SEQUENCE: u8 = 10;
    /// End of stream.
    pub const END_OF_STREAM: u8 = 11;
}

/// Returns `nal_unit_type`, the five low bits of a NAL unit header.
pub fn nal_unit_type(header: u8) -> u8 {
    header & 0x1f
}

/// Returns a reader of the syntax elements of a NAL unit after its header.
pub fn bits(nal: &[u8]) -> impl BitRead + use<'_> {
    BitReader::new(Rbsp::new(nal))
}
