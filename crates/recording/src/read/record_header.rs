// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Headers of records, which are read without media.

use client::Record;
use media::content::ContentKind;
use media::frame_rate::FrameRate;
use media::time::CaptureTime;

/// Header of a record. Its labels are claims of the writer, which the content may contradict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Time of the record.
    pub time: CaptureTime,
    /// Content type, if it is one of video.
    pub content: Option<ContentKind>,
    /// Label `keyframe`.
    pub keyframe: Option<bool>,
    /// Label `fps`.
    pub frame_rate: Option<FrameRate>,
}

impl From<&Record> for RecordHeader {
    fn from(record: &Record) -> Self {
        let frame_rate = record.frame_rate.as_deref();
        Self {
            time: CaptureTime::from_useconds(record.time),
            content: ContentKind::of(&record.content_type),
            keyframe: record.keyframe,
            frame_rate: frame_rate.and_then(FrameRate::parse),
        }
    }
}
