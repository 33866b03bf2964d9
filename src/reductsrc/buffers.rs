// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Caps and buffers of frames.

use media::frame_rate::FrameRate;
use recording::Frame;

use crate::capture_time::{RECORD_TIME, UNIX_TIME};
use crate::convert::{ToClockTime, ToFraction};

/// Returns the caps of frames.
pub fn caps(frame_rate: Option<FrameRate>) -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .field_if_some("framerate", frame_rate.map(FrameRate::fraction))
        .build()
}

/// Returns a frame as a buffer, without a copy of its bytes.
pub fn buffer(frame: Frame) -> gst::Buffer {
    let mut buffer = gst::Buffer::new();
    let contents = buffer.make_mut();
    let is_idr = frame.unit.idr;
    if frame.unit.parts.len() > gst::BufferRef::max_memory() {
        // A buffer would copy again and again.
        contents.append_memory(gst::Memory::from_slice(frame.unit.parts.concat()));
    } else {
        for part in frame.unit.parts {
            contents.append_memory(gst::Memory::from_slice(part.into_bytes()));
        }
    }
    let duration = frame.duration.clock_time();
    let (capture, record) = (
        frame.capture_time.clock_time(),
        frame.record_time.clock_time(),
    );
    contents.set_pts(frame.pts.clock_time());
    contents.set_dts(frame.dts.clock_time());
    contents.set_duration(duration);
    gst::ReferenceTimestampMeta::add(contents, &UNIX_TIME, capture, duration);
    gst::ReferenceTimestampMeta::add(contents, &RECORD_TIME, record, None);
    if !is_idr {
        contents.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    if frame.is_discont {
        contents.set_flags(gst::BufferFlags::DISCONT);
    }
    if frame.is_corrupted {
        contents.set_flags(gst::BufferFlags::CORRUPTED);
    }
    buffer
}
