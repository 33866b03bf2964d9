// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Helpers of the fuzz targets.

mod input_record;

use bytes::Bytes;
pub use input_record::InputRecord;
use media::codec::annexb::nal_units;
pub use media::codec::h264::splitting::{Split, split, split_cut};
pub use media::{access_unit, codec, mp4, order};

/// Mark in an input between two records.
const CUT: &[u8] = b"CUT!";

/// The records of an input.
pub fn records(input: &[u8]) -> Vec<Bytes> {
    let mut records = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(CUT.len()).position(|window| window == CUT) {
        records.push(Bytes::copy_from_slice(&rest[..at]));
        rest = &rest[at + CUT.len()..];
    }
    records.push(Bytes::copy_from_slice(rest));
    records
}

/// Each NAL unit of a byte stream as a record.
pub fn each_nal_unit(stream: &Bytes) -> Vec<Bytes> {
    let mut starts: Vec<usize> = nal_units(stream).map(|nal| nal.start).collect();
    match starts.first_mut() {
        // Zeros before the first one go with it.
        Some(first) => *first = 0,
        None => starts.push(0),
    }
    starts.push(stream.len());
    let spans = starts.windows(2);
    spans.map(|span| stream.slice(span[0]..span[1])).collect()
}
