// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Items that a reader puts out.

use media::frame_rate::FrameRate;
use media::stream::{Frame, RangeStart, Segment, StreamItem};
use media::timeline::{Hole, Loss};

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

impl From<StreamItem> for Item {
    fn from(item: StreamItem) -> Self {
        match item {
            StreamItem::FrameRate(frame_rate) => Self::Format(Format::H264 { frame_rate }),
            StreamItem::Segment(segment) => Self::Segment(segment),
            StreamItem::Pause(hole) => Self::Pause(hole),
            StreamItem::Gap(loss) => Self::Gap(loss),
            StreamItem::Warning(text) => Self::Warning(text),
            StreamItem::Frame(frame) => Self::Frame(frame),
        }
    }
}
