// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Frames: access units with their times.

use crate::access_unit::{AccessUnit, Integrity};
use crate::stamp::Stamp;
use crate::time::{CaptureTime, Nanos};

/// A frame with its times.
///
/// `pts` and `dts` count from the origin of the timeline: the capture time of the first frame, or the start of the
/// first range. DTS grows strictly and is never after PTS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The access unit, with both fields if there are two: its bytes as Annex B byte stream, which share memory with
    /// its records, and its facts.
    pub unit: AccessUnit,
    /// Capture time.
    pub capture_time: CaptureTime,
    /// Time of the record that the frame begins in.
    pub record_time: CaptureTime,
    /// Presentation timestamp.
    pub pts: Nanos,
    /// Decoding timestamp.
    pub dts: Nanos,
    /// Duration, if it is known.
    pub duration: Option<Nanos>,
    /// A picture with which decoding can begin, by the entry points of the reader.
    pub is_keyframe: bool,
    /// Frames before this one are missing.
    pub is_discont: bool,
    /// Slices of the frame, or pictures that it refers to, are missing; or pictures that are shown before it, so that
    /// its time may be that of another one.
    pub is_corrupted: bool,
    /// The frame is outside of the range and only needed by a decoder.
    pub is_hidden: bool,
    /// The first frame of its range.
    pub begins_range: bool,
}

impl Frame {
    /// Returns an access unit with its times, without a copy of its bytes.
    pub fn new(unit: AccessUnit, stamp: &Stamp) -> Self {
        Self {
            capture_time: stamp.capture,
            record_time: stamp.record,
            pts: stamp.pts,
            dts: stamp.dts,
            duration: stamp.duration,
            is_keyframe: unit.idr,
            is_discont: stamp.discont || unit.after_loss,
            is_corrupted: unit.integrity == Integrity::Corrupted || stamp.is_uncertain,
            is_hidden: false,
            begins_range: false,
            unit,
        }
    }

    /// Returns the number of bytes.
    pub fn length(&self) -> usize {
        self.unit.parts.iter().map(|part| part.len()).sum()
    }
}
