// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Names under which video is stored in ReductStore.

use client::Schema;
use media::content;

/// Names of the content type, the labels and the attachment of video, for the options of a server.
pub const SCHEMA: Schema = Schema {
    content_type: content::H264_TYPE,
    frame_rate: content::FPS_LABEL,
    keyframe: content::KEYFRAME_LABEL,
    duration: content::DURATION_LABEL,
    attachment: content::ATTACHMENT,
};
