// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Items that a reader puts out, and the frames among them.

use media::access_unit::{AccessUnit, Integrity};
use media::frame_rate::FrameRate;
use media::stamp::Stamp;
use media::time::{CaptureTime, Nanos};
use media::timeline::{Hole, Loss, SegmentStart};

use super::episode::Episode;

/// An item of a recording, in decoding order.
#[derive(Debug)]
pub enum Item {
    /// Another range begins, or the same one again from a seek.
    Range(RangeStart),
    /// The format of the frames that follow: before the first one, and after each change.
    Format(Format),
    /// A segment of the timeline begins with the next frame: at the begin, after a gap, after a closed pause.
    Segment(Segment),
    /// A pause before the next frame that running time leaves out. No frame is missing.
    Pause(Hole),
    /// Frames are missing.
    Gap(Loss),
    /// A fault that reading survives.
    Warning(String),
    /// A transient error. The request is repeated.
    Retry(String),
    /// A frame.
    Frame(Frame),
    /// An episode, in an entry of MP4 files.
    Episode(Box<Episode>),
}

/// Format of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Access units of H.264 as Annex B byte stream.
    H264 {
        /// Frames per second, if they are known.
        frame_rate: Option<FrameRate>,
    },
    /// MP4 files.
    Episodes,
}

/// Begin of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeStart {
    /// First time that is shown.
    pub from: ShownFrom,
    /// First time in the timeline that is not shown.
    pub until: Option<Nanos>,
    /// Time in the timeline that is stream time 0.
    pub zero: Nanos,
}

/// First picture of a range that is shown. A decoder may need others before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownFrom {
    /// All pictures are shown.
    Beginning,
    /// The first picture in decoding order, which may not be the first one in output order.
    First,
    /// The first picture at or after a time in the timeline.
    Time(Nanos),
}

/// A segment of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Time and running time of its first slot.
    pub start: SegmentStart,
    /// PTS of its first picture in decoding order.
    pub first: Nanos,
    /// PTS of the first picture that is shown of an exact range.
    pub shown_from: Option<Nanos>,
    /// First time that is not shown, where pictures after it are read for others only.
    pub shown_until: Option<Nanos>,
}

/// A frame with its times.
///
/// `pts` and `dts` count from the origin of the timeline: the capture time of the first frame, or the start of the
/// first range. DTS grows strictly and is never after PTS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The access unit, with both fields if there are two: its bytes as Annex B byte stream, which share memory with
    /// the answer of the server, and its facts.
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
    /// Slices of the frame, or pictures that it refers to, are missing.
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
            is_corrupted: unit.integrity == Integrity::Corrupted,
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
