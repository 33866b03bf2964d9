// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From access units with their times to caps and buffers.

use media::codec::h264::{AccessUnit, Integrity};
use media::frame_rate::FrameRate;
use media::stamp::Stamp;
use media::time::Nanos;

use crate::capture_time::{RECORD_TIME, UNIX_TIME};
use crate::convert::{ToClockTime, ToFraction};

/// The last time of a record, in µs, that GStreamer can count to.
pub const LAST_TIME: u64 = (u64::MAX - 1) / 1000;

/// The time of a record.
pub fn clock_time(time: u64) -> Result<Nanos, gst::ErrorMessage> {
    let nseconds = (time <= LAST_TIME).then(|| time * 1000);
    nseconds.map(Nanos::from_nseconds).ok_or_else(|| {
        gst::error_msg!(
            gst::StreamError::Format,
            ("The record at {time} µs is beyond the time that GStreamer can count")
        )
    })
}

pub fn caps(frame_rate: Option<FrameRate>) -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .field_if_some("framerate", frame_rate.map(FrameRate::fraction))
        .build()
}

/// The access unit with its times, without a copy of its bytes.
pub fn buffer(unit: AccessUnit, stamp: &Stamp) -> gst::Buffer {
    let mut buffer = gst::Buffer::new();
    let contents = buffer.make_mut();
    if unit.parts.len() > gst::BufferRef::max_memory() {
        // A buffer would copy again and again.
        contents.append_memory(gst::Memory::from_slice(unit.parts.concat()));
    } else {
        for part in unit.parts {
            contents.append_memory(gst::Memory::from_slice(part));
        }
    }
    contents.set_pts(stamp.pts.clock_time());
    contents.set_dts(stamp.dts.clock_time());
    let duration = stamp.duration.clock_time();
    contents.set_duration(duration);
    gst::ReferenceTimestampMeta::add(contents, &UNIX_TIME, stamp.capture.clock_time(), duration);
    gst::ReferenceTimestampMeta::add(contents, &RECORD_TIME, stamp.record.clock_time(), None);
    if !unit.idr {
        contents.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    if stamp.discont || unit.after_loss {
        contents.set_flags(gst::BufferFlags::DISCONT);
    }
    if unit.integrity == Integrity::Corrupted {
        contents.set_flags(gst::BufferFlags::CORRUPTED);
    }
    buffer
}
