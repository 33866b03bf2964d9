// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records for tests.

use client::Record;
use media::content::H264_TYPE;

/// Returns a record of H.264 at a time in µs since the Unix epoch, with a label `keyframe`.
pub fn record(time: u64, keyframe: Option<bool>, content: &'static [u8]) -> Record {
    Record {
        time,
        content_type: H264_TYPE.into(),
        frame_rate: None,
        keyframe,
        duration: None,
        after_eviction: false,
        chunks: vec![content.into()],
    }
}
