// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Findings about the records of a stream.

use std::fmt;

use super::faults::{self, Fault};
use super::names::OptionNames;
use crate::time::CaptureTime;
use crate::timeline::{Consequence, Contradiction, Hole, Loss};

/// A fault of a recording. Its text names the fault and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Frames are missing, as the times of records say.
    Gap(Loss),
    /// Pictures are missing, as their numbers (`frame_num`) or their order say.
    Loss(Loss),
    /// Times jump although no picture is missing: the recording paused, or the clock was set.
    ClockJump(Hole),
    /// A record is damaged or left out.
    Damaged {
        /// Time of the record.
        time: CaptureTime,
        /// Its fault.
        fault: Fault,
    },
    /// Frames at the beginning of the entry cannot be decoded, as the keyframe that they depend on is missing.
    Undecodable {
        /// Time of the first record.
        time: CaptureTime,
        /// Number of frames.
        frames: u64,
    },
    /// The label `keyframe` of a record is wrong.
    KeyframeLabel {
        /// Time of the record.
        time: CaptureTime,
        /// The label. Its opposite is right.
        label: bool,
    },
    /// The label `fps` of a record is no frame rate.
    FrameRateLabel {
        /// Time of the record.
        time: CaptureTime,
        /// The label.
        label: String,
    },
    /// Record times contradict the declared frame rate.
    FrameRate(Contradiction),
}

impl Finding {
    /// Returns the time of the record, or of the last frame before a loss or a jump.
    pub fn time(&self) -> CaptureTime {
        match self {
            Self::Gap(loss) | Self::Loss(loss) => loss.hole.from,
            Self::ClockJump(hole) => hole.from,
            Self::Damaged { time, .. }
            | Self::Undecodable { time, .. }
            | Self::KeyframeLabel { time, .. }
            | Self::FrameRateLabel { time, .. } => *time,
            Self::FrameRate(contradiction) => contradiction.time,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(loss) | Self::Loss(loss) => {
                // Frames are not dropped to be verified.
                let consequence = Consequence::None;
                let loss = Loss {
                    consequence,
                    ..*loss
                };
                loss.fmt(f)
            }
            Self::ClockJump(hole) => write!(
                f,
                "No picture is missing {hole}: the recording paused, or the clock was set"
            ),
            Self::Damaged { time, fault } => {
                let names = OptionNames::default();
                f.write_str(&faults::describe(time.useconds(), fault, &names))
            }
            Self::Undecodable { time, frames } => {
                match frames {
                    1 => f.write_str("1 frame")?,
                    frames => write!(f, "{frames} frames")?,
                }
                write!(
                    f,
                    " at the beginning, from {time} on, cannot be decoded: no keyframe precedes them"
                )
            }
            Self::KeyframeLabel { time, label } => {
                let fact = if *label { "has none" } else { "has one" };
                write!(
                    f,
                    "The label keyframe of the record at {time} is {label}, but it {fact}"
                )
            }
            Self::FrameRateLabel { time, label } => write!(
                f,
                "The label fps of the record at {time} is no frame rate: {label:?}"
            ),
            Self::FrameRate(contradiction) => {
                write!(f, "At {} {contradiction}", contradiction.time)
            }
        }
    }
}
