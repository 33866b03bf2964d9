// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of a stream.

use super::names::OptionNames;
use super::on_fault::OnFault;
use crate::codec::h264::EntryPoints;
use crate::frame_rate::FrameRate;
use crate::time::Nanos;
use crate::timeline::OnLoss;

/// Default of [`StreamOptions::pause_limit`].
pub const DEFAULT_PAUSE_LIMIT: Nanos = Nanos::from_seconds(5);
/// Default of [`StreamConfig::max_held`].
const DEFAULT_MAX_HELD: usize = 64 << 20;

/// Options of a stream that its user chooses.
#[derive(Debug, Clone, Copy)]
pub struct StreamOptions {
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
    /// Names of options, for messages.
    pub names: OptionNames,
}

impl Default for StreamOptions {
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
            names: OptionNames::default(),
        }
    }
}

/// Options of a stream, and facts about its records.
#[derive(Debug, Clone, Copy)]
pub struct StreamConfig {
    /// Options that the user chooses.
    pub options: StreamOptions,
    /// Frames are put out before the next record comes, where records hold whole ones.
    pub is_prompt: bool,
    /// Records are presumed to hold whole access units, until one does not: the first ones need not wait for the next
    /// one either.
    pub presumes_whole_records: bool,
    /// Records were picked by a condition, so that others are missing on purpose.
    pub is_filtered: bool,
    /// Bytes of access units that may be held until it is known whether they are shown.
    pub max_held: usize,
    /// Findings are collected.
    pub collects_findings: bool,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            options: StreamOptions::default(),
            is_prompt: false,
            presumes_whole_records: false,
            is_filtered: false,
            max_held: DEFAULT_MAX_HELD,
            collects_findings: false,
        }
    }
}
