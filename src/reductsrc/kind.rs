// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! What records hold, by their content type.

use client::{H264, Record};

use super::episodes;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// NAL units.
    H264,
    /// A whole MP4 file.
    Episode,
}

impl Kind {
    /// The kind of a record, if it is one of these.
    pub fn of(record: &Record) -> Option<Self> {
        // Parameters may follow the type (RFC 9110, 8.3.1).
        let essence = record.content_type.split(';').next().unwrap_or_default();
        let is = |content_type: &str| essence.trim().eq_ignore_ascii_case(content_type);
        if is(H264) {
            Some(Self::H264)
        } else {
            is(episodes::CONTENT_TYPE).then_some(Self::Episode)
        }
    }

    /// What a record has to be, for texts: of this kind, or any of them.
    pub fn expected(kind: Option<Self>) -> &'static str {
        match kind {
            Some(Self::H264) => "'video/h264'",
            Some(Self::Episode) => "'video/mp4'",
            None => "'video/h264' or 'video/mp4'",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let kind = |content_type: &str| {
            Kind::of(&Record {
                time: 0,
                content_type: content_type.into(),
                frame_rate: None,
                keyframe: None,
                duration: None,
                after_eviction: false,
                chunks: Vec::new(),
            })
        };
        for h264 in ["video/h264", "Video/H264", "video/h264; codecs=avc1"] {
            assert_eq!(kind(h264), Some(Kind::H264), "{h264}");
        }
        assert_eq!(kind("video/mp4"), Some(Kind::Episode));
        for other in ["", "video/h265", "video/mp4v", "image/jpeg"] {
            assert_eq!(kind(other), None, "{other}");
        }
    }
}
