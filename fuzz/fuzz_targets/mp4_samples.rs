// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Any bytes as an MP4 file: its samples lie within it, and do not depend on where it is cut into pieces.

#![no_main]

use bytes::Bytes;
use gst_plugin_reduct_fuzz::mp4::read_video_track;
use gst_plugin_reduct_fuzz::records;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let pieces = records(input);
    let file = Bytes::from(pieces.concat());
    let found = read_video_track(std::slice::from_ref(&file));
    assert_eq!(read_video_track(&pieces), found);
    let Ok(track) = found else {
        return;
    };
    let mut total = 0;
    for sample in &track.samples {
        let size = u64::from(sample.size);
        assert!(size > 0 && sample.offset + size <= file.len() as u64);
        total += size;
    }
    assert!(total <= file.len() as u64);
    assert!(track.media.units > 0 && track.movie.units > 0);
    if !track.is_fragmented {
        let pairs = track.samples.windows(2);
        let mut ends = pairs.map(|pair| (pair[0].dts + u64::from(pair[0].duration), pair[1].dts));
        assert!(ends.all(|(end, next)| end == next));
    }
});
