// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Compares the tracks of two files.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use media::mp4::{FileSample, VideoTrackFile, read_video_track};

/// Reads a file and its track.
#[track_caller]
pub fn read(path: &Path) -> (Bytes, VideoTrackFile) {
    let bytes = Bytes::from(fs::read(path).expect("a file"));
    let track = read_video_track(std::slice::from_ref(&bytes));
    let track = track.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (bytes, track)
}

/// Checks that two files have the same track, as it is read.
#[track_caller]
pub fn check_same(
    element: &VideoTrackFile,
    element_bytes: &[u8],
    ours: &VideoTrackFile,
    our_bytes: &[u8],
) {
    let contents = |bytes: &'_ [u8], offset: u64, size: u32| {
        let offset = offset as usize;
        bytes[offset..offset + size as usize].to_vec()
    };
    assert_eq!(element.samples.len(), ours.samples.len());
    for (number, (theirs, found)) in element.samples.iter().zip(&ours.samples).enumerate() {
        let times = |sample: &FileSample| (sample.dts, sample.pts, sample.duration, sample.is_sync);
        assert_eq!(times(theirs), times(found), "{number}");
        let [theirs, found] = [(theirs, element_bytes), (found, our_bytes)]
            .map(|(sample, bytes)| contents(bytes, sample.offset, sample.size));
        assert!(theirs == found, "contents of sample {number}");
    }
    let facts = |track: &VideoTrackFile| {
        let square = Some((1, 1)); // unless another one is stated
        (
            (track.movie, track.media, track.track_duration),
            (track.shown_size, track.size, track.sample_entry),
            (track.configuration.clone(), track.colour.clone()),
            track.pixel_aspect_ratio.or(square),
            (track.edits.clone(), track.is_fragmented),
        )
    };
    assert_eq!(facts(element), facts(ours));
}
