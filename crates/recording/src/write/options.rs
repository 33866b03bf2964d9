// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of a recorder, and the format of a stream.

use std::sync::Arc;

use media::frame_rate::FrameRate;

use super::records::RecordUnit;

/// Options of a recorder.
#[derive(Debug, Clone)]
pub struct RecorderOptions {
    /// Content of a record.
    pub record_unit: RecordUnit,
    /// Labels of each record besides `fps` and `keyframe`, as pairs of name and value.
    pub labels: Arc<[(String, String)]>,
    /// Frame rate of a stream whose format has none, or only that of its VUI.
    pub frame_rate: Option<FrameRate>,
    /// Treatment of pictures that cannot be decoded.
    pub undecodable: Undecodable,
    /// Bytes that records may take while they wait for the server, in memory or in the spool: contents, labels
    /// and bookkeeping. A larger record waits alone.
    pub queue_bytes: u64,
}

/// Default of [`RecorderOptions::queue_bytes`].
pub const DEFAULT_QUEUE_BYTES: u64 = 256 << 20;

impl Default for RecorderOptions {
    fn default() -> Self {
        Self {
            record_unit: RecordUnit::default(),
            labels: Arc::default(),
            frame_rate: None,
            undecodable: Undecodable::default(),
            queue_bytes: DEFAULT_QUEUE_BYTES,
        }
    }
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
