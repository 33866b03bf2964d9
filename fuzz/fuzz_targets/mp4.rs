// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Any bytes as an MP4 file: its times do not depend on where it is cut into pieces.

#![no_main]

use bytes::Bytes;
use gst_plugin_reduct_fuzz::mp4::movie;
use gst_plugin_reduct_fuzz::records;
use libfuzzer_sys::fuzz_target;

/// Number that can be added to any time of a file without overflow.
const ROOM: u64 = u64::MAX / 2;

fuzz_target!(|input: &[u8]| {
    let pieces = records(input);
    let file = Bytes::from(pieces.concat());
    let found = movie(std::slice::from_ref(&file));
    assert_eq!(movie(&pieces), found);
    let bytes: Vec<Bytes> = (0..file.len()).map(|at| file.slice(at..at + 1)).collect();
    assert_eq!(movie(&bytes), found);
    if let Some(found) = found {
        assert!(found.start < ROOM);
        let Some(length) = found.length else {
            assert!(!found.is_cut);
            return;
        };
        assert!(length < ROOM && file.windows(4).any(|kind| kind == b"moov"));
    }
});
