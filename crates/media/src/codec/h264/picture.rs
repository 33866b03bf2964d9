// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Detection of the first slice of a primary coded picture (ITU-T H.264, 7.4.1.2.4).

use super::nal::nal_type;
use super::nal::nal_unit_type;
use super::parameter_sets::Decoded;
use super::slice::{SliceError, SliceHeader, Structure};

/// Fields of a slice by which two primary coded pictures differ.
#[derive(Debug)]
pub struct Slice {
    reference: bool,
    idr: bool,
    has_first_macroblock: bool,
    pub header: Result<SliceHeader, SliceError>,
}

impl Slice {
    /// Reads the header of the slice (or slice data partition A) in `nal`, which is not empty.
    pub fn parse(sets: &Decoded, nal: &[u8]) -> Self {
        let header = SliceHeader::parse(nal, sets);
        Self {
            reference: nal[0] & 0x60 != 0,
            idr: nal_unit_type(nal[0]) == nal_type::SLICE_IDR,
            has_first_macroblock: match &header {
                Ok(header) => header.has_first_macroblock,
                // first_mb_in_slice is the first syntax element, and ue(v) 0 is a single one bit.
                Err(_) => nal.get(1).is_some_and(|byte| byte & 0x80 != 0),
            },
            header,
        }
    }

    /// Marks the slice as unreadable.
    pub fn spoil(&mut self) {
        self.header = Err(SliceError::Broken);
    }
}

/// A primary coded picture whose slices are being collected.
#[derive(Debug)]
pub struct Picture {
    reference: bool,
    idr: bool,
    has_first_macroblock: bool,
    /// The last header that could be read.
    header: Option<SliceHeader>,
}

impl Picture {
    /// Returns a picture that begins with `first`.
    pub fn new(first: Slice) -> Self {
        Self {
            reference: first.reference,
            idr: first.idr,
            has_first_macroblock: first.has_first_macroblock,
            header: first.header.ok(),
        }
    }

    /// Takes the next slice in decoding order, or returns it if it begins another picture.
    pub fn add(&mut self, slice: Slice) -> Result<(), Slice> {
        if slice.header.as_ref().is_ok_and(|header| header.redundant) {
            return Ok(());
        }
        if self.ends_before(&slice) {
            return Err(slice);
        }
        self.has_first_macroblock |= slice.has_first_macroblock;
        self.header = slice.header.ok().or(self.header.take());
        Ok(())
    }

    pub fn is_reference(&self) -> bool {
        self.reference
    }

    pub fn is_idr(&self) -> bool {
        self.idr
    }

    /// Returns whether the picture is a field of a frame.
    pub fn is_field(&self) -> bool {
        let header = self.header.as_ref();
        header.is_some_and(|header| header.structure != Structure::Frame)
    }

    /// Returns whether `slice` begins the second field of a frame whose first field this picture is: a
    /// complementary field pair (clause 3).
    pub fn is_completed_by(&self, slice: &Slice) -> bool {
        let (Some(first), Ok(second)) = (&self.header, &slice.header) else {
            return false;
        };
        // Its frame_num counts as 0 from then on (7.4.3).
        let frame_num = if first.resets_order {
            0
        } else {
            first.frame_num
        };
        first.structure.is_opposite_field(second.structure)
            && frame_num == second.frame_num
            && first.reference == second.reference
            && !second.idr
            && !second.resets_order
    }

    fn ends_before(&self, slice: &Slice) -> bool {
        if slice.reference != self.reference || slice.idr != self.idr {
            return true;
        }
        if let (Ok(slice), Some(last)) = (&slice.header, &self.header)
            && is_other_picture(slice, last)
        {
            return true;
        }
        // Beyond the standard's rules: for headers that cannot be read, and for encoders that give
        // IDR pictures in a row one idr_pic_id. Slices may come in any order (ASO), so it has to
        // be a second macroblock 0.
        self.has_first_macroblock && slice.has_first_macroblock
    }
}

fn is_other_picture(a: &SliceHeader, b: &SliceHeader) -> bool {
    let facts = |header: &SliceHeader| {
        (
            header.frame_num,
            header.pps_id,
            header.structure,
            header.idr_pic_id,
            header.order,
        )
    };
    facts(a) != facts(b)
}
