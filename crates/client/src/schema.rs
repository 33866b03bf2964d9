// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Names under which records are stored: their content type, labels and attachment.

/// Names of the content type, the labels and the attachment of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Content type of records that are written.
    pub content_type: &'static str,
    /// Label with the frame rate of a record, and field of the attachment with that of all records.
    pub frame_rate: &'static str,
    /// Label with `true` or `false`: a record can be decoded without those before it.
    pub keyframe: &'static str,
    /// Label with the duration of a record, in ns.
    pub duration: &'static str,
    /// Attachment that describes all records of an entry, a JSON object.
    pub attachment: &'static str,
}

/// The schema of tests.
#[cfg(test)]
pub const VIDEO: Schema = Schema {
    content_type: "video/h264",
    frame_rate: "fps",
    keyframe: "keyframe",
    duration: "duration",
    attachment: "$video",
};
