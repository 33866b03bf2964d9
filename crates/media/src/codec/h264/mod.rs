// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! H.264 (ITU-T H.264, ISO/IEC 14496-10) byte streams, as far as a container needs to know them:
//! where access units begin and end, and which of them a decoder can start at.
//!
//! Pure functions of bytes: nothing here does I/O or knows GStreamer or ReductStore.

mod access_unit;
mod aligner;
mod annexb;
pub mod avc;
mod chunks;
mod continuation;
mod damage;
mod frame_numbering;
mod keyframe;
mod output_order;
mod parameter_sets;
mod picture;
mod picture_order;
mod pps;
#[cfg(test)]
mod properties;
mod rbsp;
mod sei;
mod slice;
#[cfg(test)]
mod splitting;
mod sps;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use h264_reader::rbsp::{BitRead, BitReader};

pub use access_unit::{
    AccessUnit, AccessUnitSplitter, Integrity, Next, Pushed, insert_parameter_sets,
};
pub use aligner::{Aligned, Aligner};
pub use annexb::nal_units;
pub use chunks::between_nal_units;
pub use damage::Damage;
pub use frame_numbering::{FrameNumber, FrameNumbering, Succession};
pub use keyframe::{EntryPoints, Pictures, continues_picture, ends_with_lead, pictures};
pub use output_order::{MAX_REORDERING, OutputOrder, ReorderDepth, TooDeep};
pub use parameter_sets::{ParameterSets, SetsDifference, referred_pps};
pub use picture_order::PictureOrder;
pub use sps::{Colour, Reordering, Sps, VuiFrameRate};

/// `nal_unit_type` values (ITU-T H.264, Table 7-1) that this crate tells apart.
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

/// The five bits of a NAL unit header that name its type.
pub fn nal_unit_type(header: u8) -> u8 {
    header & 0x1f
}

/// The syntax elements of a NAL unit after its header.
fn bits(nal: &[u8]) -> impl BitRead + use<'_> {
    BitReader::new(rbsp::Rbsp::new(nal))
}
