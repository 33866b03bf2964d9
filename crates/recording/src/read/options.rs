// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of a reader, and those of one of its ranges.

use media::codec::h264::EntryPoints;
use media::frame_rate::FrameRate;
use media::range::Begin;
use media::time::{CaptureTime, Nanos};
use media::timeline::{OnLoss, TimelineNames};

use super::bounds::Asked;
use super::ranges::End;

/// Default of [`ReadOptions::lookback`].
pub const DEFAULT_LOOKBACK: Nanos = Nanos::from_seconds(60);
/// Default of [`ReadOptions::pause_limit`].
pub const DEFAULT_PAUSE_LIMIT: Nanos = Nanos::from_seconds(5);

/// Options of a reader.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Pictures with which decoding can begin.
    pub entry_points: EntryPoints,
    /// Treatment of records that cannot be read.
    pub on_fault: OnFault,
    /// Treatment of pictures that refer to lost ones, until the next keyframe.
    pub on_loss: OnLoss,
    /// Frame rate of records without a label `fps`, if the attachment `$video` of the entry has none either.
    pub frame_rate: Option<FrameRate>,
    /// Gaps begin a segment, and frames that refer to missing pictures are dropped.
    pub gap_detection: bool,
    /// Time that has to be missing for a gap, besides a frame duration of the declared frame rate; by
    /// `frame_num` and the cadence if `None`.
    pub gap_tolerance: Option<Nanos>,
    /// Longest pause that running time keeps where no reference picture is missing.
    pub pause_limit: Nanos,
    /// Time before a range in which its parameter sets are searched if it begins without them.
    pub lookback: Nanos,
    /// The ranges as the user gave them, for messages.
    pub asked: Vec<Asked>,
    /// Names of options, for messages.
    pub names: OptionNames,
}

/// Names of options in messages, as the users of a program know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionNames {
    /// [`ReadOptions::lookback`].
    pub lookback: &'static str,
    /// [`ReadOptions::frame_rate`] and the options about gaps.
    pub timeline: TimelineNames,
    /// The condition that picks records.
    pub condition: &'static str,
    /// [`OnFault::Skip`].
    pub skip_faults: &'static str,
    /// [`Begin::KeyframeBefore`].
    pub keyframe_before: &'static str,
    /// [`EntryPoints::IntraPictures`].
    pub intra_pictures: &'static str,
}

impl Default for OptionNames {
    /// Returns the names of this crate.
    fn default() -> Self {
        Self {
            lookback: "option lookback",
            timeline: TimelineNames::DEFAULT,
            condition: "option when",
            skip_faults: "OnFault::Skip",
            keyframe_before: "Begin::KeyframeBefore",
            intra_pictures: "EntryPoints::IntraPictures",
        }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            entry_points: EntryPoints::default(),
            on_fault: OnFault::default(),
            on_loss: OnLoss::default(),
            frame_rate: None,
            gap_detection: true,
            gap_tolerance: None,
            pause_limit: DEFAULT_PAUSE_LIMIT,
            lookback: DEFAULT_LOOKBACK,
            asked: Vec::new(),
            names: OptionNames::default(),
        }
    }
}

/// Treatment of records that cannot be read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// They are left out, counted and warned of.
    #[default]
    Skip,
    /// They end reading with an error.
    Stop,
}

/// Options of one range.
#[derive(Debug, Clone)]
pub struct RangeOptions {
    /// Time of the first record to read.
    pub from: Option<CaptureTime>,
    /// Nothing that may be shown is before `from`.
    pub is_earliest: bool,
    /// Frame with which the range begins.
    pub begin: Begin,
    /// Capture time to begin with.
    pub at: CaptureTime,
    /// Time of the first record that does not belong to the range.
    pub stop: Option<CaptureTime>,
    /// Frame with which the range ends.
    pub end: End,
    /// Capture time that is 0 in the timeline; that of the first record if `None`.
    pub origin: Option<CaptureTime>,
    /// First time in the timeline that is not shown.
    pub until: Option<Nanos>,
    /// The range begins at the time of a seek.
    pub is_sought: bool,
    /// Only keyframes are put out.
    pub keyframes_only: bool,
    /// A label alone says that the range begins with a keyframe.
    pub is_hint: bool,
    /// Index of the range among those that the user gave, if it is a whole one.
    pub asked: Option<usize>,
    /// No range comes after it.
    pub is_last: bool,
}
