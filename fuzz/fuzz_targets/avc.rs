// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! NAL units in any bytes, by lengths and by start codes.

#![no_main]

use gst_plugin_reduct_fuzz::codec::{annexb::nal_units, length_prefixed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    check_start_codes(input);
    let fits = |size| length_prefixed::nal_units(size, input).all(|nal| nal.is_some());
    if length_prefixed::is_length_prefixed(input) {
        assert!((1..=4).any(fits));
    }
    (1..=4).for_each(|size| check_lengths(size, input));
    if let Some(size) = length_prefixed::length_size(input) {
        assert!((1..=4).contains(&size));
    }
});

fn check_lengths(size: usize, data: &[u8]) {
    let stream = length_prefixed::to_byte_stream(size, data);
    let nals: Vec<&[u8]> = length_prefixed::nal_units(size, data).flatten().collect();
    let length: usize = nals.iter().map(|nal| nal.len() + size).sum();
    assert!(length <= data.len());
    assert_eq!(stream.len(), length + nals.len() * 4 - nals.len() * size);
    // Of NAL units as they have to be, each comes back.
    let is_proper = |nal: &&[u8]| !nal.ends_with(&[0]) && !nal.windows(3).any(|w| w == [0, 0, 1]);
    if nals.iter().all(|nal| !nal.is_empty() && is_proper(nal)) {
        let found: Vec<&[u8]> = nal_units(&stream).map(|nal| &stream[nal.bytes]).collect();
        assert_eq!(found, nals);
    }
}

fn check_start_codes(data: &[u8]) {
    let mut end = 0;
    for nal in nal_units(data) {
        assert!(end <= nal.start && nal.start < nal.bytes.start);
        assert!(nal.bytes.start < nal.bytes.end && nal.bytes.end <= data.len());
        let code = &data[nal.start..nal.bytes.start];
        assert!(matches!(code, [0, 0, 1] | [0, 0, 0, 1]));
        let bytes = &data[nal.bytes.clone()];
        assert!(!bytes.ends_with(&[0]) && !bytes.windows(3).any(|w| w == [0, 0, 1]));
        end = nal.bytes.end;
    }
}
