// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Items that a stream puts out.

use super::frame::Frame;
use super::segment::Segment;
use crate::frame_rate::FrameRate;
use crate::timeline::{Hole, Loss};

/// An item of a stream, in decoding order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// Frames per second of the frames that follow, if they are known: before the first one, and after each change.
    FrameRate(Option<FrameRate>),
    /// A segment of the timeline begins with the next frame: at the begin, after a gap, after a closed pause.
    Segment(Segment),
    /// A pause before the next frame that running time leaves out. No frame is missing.
    Pause(Hole),
    /// Frames are missing.
    Gap(Loss),
    /// A fault that the stream survives.
    Warning(String),
    /// A frame.
    Frame(Frame),
}
