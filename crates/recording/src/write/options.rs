// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of a recorder, and the format of a stream.

use std::sync::Arc;

use client::WriterOptions;
use media::frame_rate::FrameRate;

use super::records::RecordUnit;

/// Options of a recorder.
///
/// ```
/// # use client::{SpoolOptions, WriterOptions};
/// # use recording::{RecordUnit, RecorderOptions};
/// let options = RecorderOptions {
///     record_unit: RecordUnit::Gop,
///     writer: WriterOptions {
///         quota_size: Some(100 << 30),
///         spool: Some(SpoolOptions::new("/var/spool/robot")),
///         ..Default::default()
///     },
///     ..Default::default()
/// };
/// # assert!(options.writer.create_bucket);
/// ```
#[derive(Debug, Default, Clone)]
pub struct RecorderOptions {
    /// Content of a record. An access unit by default.
    pub record_unit: RecordUnit,
    /// Labels of each record besides `fps` and `keyframe`, as pairs of name and value. None by default.
    pub labels: Arc<[(String, String)]>,
    /// Frame rate of a stream whose format has none, or only that of its VUI. None by default.
    pub frame_rate: Option<FrameRate>,
    /// Treatment of pictures that cannot be decoded. They are recorded by default.
    pub undecodable: Undecodable,
    /// Bucket, batches, retries, queue and spool.
    pub writer: WriterOptions,
}

/// Treatment of pictures whose parameter sets never came, and of bytes that are no byte stream.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Undecodable {
    /// They are recorded as they are, with a notice.
    #[default]
    Record,
    /// They end recording with an error.
    Refuse,
}

/// Format of a stream, as far as its container or pipeline declares it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct StreamFormat {
    /// Frames per second.
    pub frame_rate: Option<FrameRate>,
    /// Width and height in pixels.
    pub size: Option<(i32, i32)>,
}
