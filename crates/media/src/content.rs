// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Names of stored video: content types of records, labels and the attachment.

/// Content type of records of H.264 in Annex B byte stream format.
pub const H264_TYPE: &str = "video/h264";
/// Content type of records that are whole MP4 files.
pub const MP4_TYPE: &str = "video/mp4";

/// Attachment of an entry that describes its video, a JSON object.
pub const ATTACHMENT: &str = "$video";

/// Label with the frame rate of a record, see [`FrameRate::parse`](crate::frame_rate::FrameRate::parse).
pub const FPS_LABEL: &str = "fps";
/// Label with `true` for records that begin with a keyframe.
pub const KEYFRAME_LABEL: &str = "keyframe";
/// Label with the duration of an episode in ns.
pub const DURATION_LABEL: &str = "duration";
/// Label with the number of frames of an episode.
pub const FRAMES_LABEL: &str = "frames";
/// Label with the reason for which an episode ended.
pub const REASON_LABEL: &str = "reason";

/// Content of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    /// NAL units of H.264.
    H264,
    /// An episode: a whole MP4 file.
    Episode,
}

impl ContentKind {
    /// Returns the kind of a content type, or `None` for others.
    pub fn of(content_type: &str) -> Option<Self> {
        // Parameters may follow the type (RFC 9110, 8.3.1).
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |content_type: &str| essence.eq_ignore_ascii_case(content_type);
        match () {
            () if is(H264_TYPE) => Some(Self::H264),
            () if is(MP4_TYPE) => Some(Self::Episode),
            () => None,
        }
    }

    /// Returns the content types that are expected, for messages: that of a kind, or all.
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
        for h264 in ["video/h264", "Video/H264", "video/h264; codecs=avc1"] {
            assert_eq!(ContentKind::of(h264), Some(ContentKind::H264), "{h264}");
        }
        assert_eq!(ContentKind::of("video/mp4"), Some(ContentKind::Episode));
        for other in ["", "video/h265", "video/mp4v", "image/jpeg"] {
            assert_eq!(ContentKind::of(other), None, "{other}");
        }
    }
}
