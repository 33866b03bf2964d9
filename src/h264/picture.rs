// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Which primary coded picture a slice belongs to (ITU-T H.264, 7.4.1.2.4).

use h264_reader::Context;
use h264_reader::nal::slice::{FieldPic, PicOrderCountLsb, SliceFamily, SliceHeader};
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};

use super::{nal_type, nal_unit_type};

/// The facts of a slice that tell two primary coded pictures apart.
#[derive(Debug)]
pub struct Slice {
    reference: bool,
    idr: bool,
    /// The slice has macroblock 0, which is coded once a picture.
    has_first_macroblock: bool,
    bidirectional: bool,
    /// What needs the parameter sets to be read: `None` without them or where the header is broken.
    header: Option<Header>,
}

#[derive(Debug, PartialEq)]
struct Header {
    frame_num: u16,
    pic_parameter_set_id: u8,
    field: FieldPic,
    idr_pic_id: Option<u32>,
    pic_order_cnt: Option<PicOrderCountLsb>,
}

impl Slice {
    /// Reads the header of the slice (or slice data partition A) in `nal`, which is not empty, and
    /// gives the SPS that it refers to.
    pub fn parse<'a>(context: &'a Context, nal: &[u8]) -> (Self, Option<&'a SeqParameterSet>) {
        let unit = RefNal::new(nal, &[], true);
        let mut slice = Self {
            reference: (nal[0] >> 5) & 3 != 0,
            idr: nal_unit_type(nal[0]) == nal_type::SLICE_IDR,
            // first_mb_in_slice is the first syntax element, and ue(v) 0 is a single one bit.
            has_first_macroblock: nal.get(1).is_some_and(|byte| byte & 0x80 != 0),
            bidirectional: false,
            header: None,
        };
        let parsed = unit.header().ok().and_then(|header| {
            SliceHeader::from_bits(context, &mut unit.rbsp_bits(), header, None).ok()
        });
        let Some((header, sps, pps)) = parsed else {
            return (slice, None);
        };
        // Redundant coded pictures and further colour planes repeat the macroblocks.
        if header.redundant_pic_cnt.unwrap_or(0) > 0 || header.colour_plane.is_some() {
            slice.has_first_macroblock = false;
        }
        slice.bidirectional = header.slice_type.family == SliceFamily::B;
        slice.header = Some(Header {
            frame_num: header.frame_num,
            pic_parameter_set_id: pps.pic_parameter_set_id.id(),
            field: header.field_pic,
            idr_pic_id: header.idr_pic_id,
            pic_order_cnt: header.pic_order_cnt_lsb,
        });
        (slice, Some(sps))
    }
}

/// A primary coded picture in the making.
#[derive(Debug)]
pub struct Picture {
    last: Slice,
    has_first_macroblock: bool,
    bidirectional: bool,
}

impl Picture {
    /// A picture that begins with `first`.
    pub fn new(first: Slice) -> Self {
        Self {
            has_first_macroblock: first.has_first_macroblock,
            bidirectional: first.bidirectional,
            last: first,
        }
    }

    /// Takes the next slice in decoding order, or gives it back: it begins another picture.
    pub fn add(&mut self, slice: Slice) -> Result<(), Slice> {
        if self.ends_before(&slice) {
            return Err(slice);
        }
        self.has_first_macroblock |= slice.has_first_macroblock;
        self.bidirectional |= slice.bidirectional;
        self.last = slice;
        Ok(())
    }

    pub fn is_idr(&self) -> bool {
        self.last.idr
    }

    /// Whether the picture has a B slice.
    pub fn is_bidirectional(&self) -> bool {
        self.bidirectional
    }

    fn ends_before(&self, slice: &Slice) -> bool {
        let last = &self.last;
        if slice.reference != last.reference || slice.idr != last.idr {
            return true;
        }
        if let (Some(slice), Some(last)) = (&slice.header, &last.header)
            && slice != last
        {
            return true;
        }
        // Beyond the standard's rules: for headers that cannot be read, and for encoders that give
        // IDR pictures in a row one idr_pic_id. Slices may come in any order (ASO), so it has to
        // be a second macroblock 0.
        self.has_first_macroblock && slice.has_first_macroblock
    }
}
