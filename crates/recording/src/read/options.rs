// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of a reader, and those of one of its ranges.

use media::codec::h264::EntryPoints;
use media::frame_rate::FrameRate;
use media::stream::{DEFAULT_PAUSE_LIMIT, OnFault, OptionNames, StreamRange};
use media::time::Nanos;
use media::timeline::OnLoss;

use super::bounds::Asked;

/// Default of [`ReadOptions::lookback`].
pub const DEFAULT_LOOKBACK: Nanos = Nanos::from_seconds(60);

/// Options of a reader.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Pictures with which decoding can begin.
    pub entry_points: EntryPoints,
    /// Treatment of records that cannot be read.
    pub on_fault: OnFault,
    /// Treatment of pictures that refer to lost ones, until the next keyframe.
    pub on_loss: OnLoss,
    /// Frames that refer to unreadable ones, or to such with unreadable slices, are marked as corrupted, too.
    pub marks_faults: bool,
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

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            entry_points: EntryPoints::default(),
            on_fault: OnFault::default(),
            on_loss: OnLoss::default(),
            marks_faults: false,
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

/// Options of one range.
#[derive(Debug, Clone)]
pub struct RangeOptions {
    /// The part of the recording that is read.
    pub range: StreamRange,
    /// Index of the range among those that the user gave, if it is a whole one.
    pub asked: Option<usize>,
    /// No range comes after it.
    pub is_last: bool,
}
