// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Findings about the records of a range: their counts, and a list of the first ones.

use std::fmt;
use std::ops::Range;

use media::time::CaptureTime;
use media::timeline::{Consequence, Contradiction, Hole, Loss};

use super::faults::{self, Fault};
use super::options::OptionNames;

/// Findings that are listed; further ones are only counted.
pub const MAX_FINDINGS: usize = 10_000;

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
    /// A record has no content.
    Empty {
        /// Time of the record.
        time: CaptureTime,
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
            | Self::Empty { time }
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
            Self::Empty { time } => write!(f, "The record at {time} is empty"),
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

/// Numbers of findings by kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FindingCounts {
    /// Gaps by the times of records.
    pub gaps: u64,
    /// Losses by the numbers of pictures.
    pub losses: u64,
    /// Jumps of the times without a loss.
    pub clock_jumps: u64,
    /// Records that are damaged, empty or left out.
    pub damaged: u64,
    /// Frames at the beginning that cannot be decoded, one for all of them.
    pub undecodable: u64,
    /// Wrong labels `keyframe`.
    pub keyframe_labels: u64,
    /// Labels `fps` that are no frame rates, and declared frame rates that record times contradict.
    pub frame_rates: u64,
}

impl FindingCounts {
    /// Returns the number of all findings.
    pub fn total(&self) -> u64 {
        let labels = self.keyframe_labels + self.frame_rates;
        let records = self.damaged + self.undecodable;
        self.gaps + self.losses + self.clock_jumps + records + labels
    }

    fn add(&mut self, finding: &Finding) {
        *match finding {
            Finding::Gap(_) => &mut self.gaps,
            Finding::Loss(_) => &mut self.losses,
            Finding::ClockJump(_) => &mut self.clock_jumps,
            Finding::Damaged { .. } | Finding::Empty { .. } => &mut self.damaged,
            Finding::Undecodable { .. } => &mut self.undecodable,
            Finding::KeyframeLabel { .. } => &mut self.keyframe_labels,
            Finding::FrameRateLabel { .. } | Finding::FrameRate(_) => &mut self.frame_rates,
        } += 1;
    }
}

/// The findings of a range.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Times that count. Records beside the range are read for its first and last frames.
    range: Range<CaptureTime>,
    /// Number of records in the range, and their bytes.
    pub records: u64,
    pub bytes: u64,
    /// Number of frames that no keyframe precedes.
    pub undecodable: u64,
    pub counts: FindingCounts,
    pub list: Vec<Finding>,
}

impl Findings {
    /// Returns no findings of the times in `range`.
    pub fn new(range: Range<CaptureTime>) -> Self {
        Self {
            range,
            records: 0,
            bytes: 0,
            undecodable: 0,
            counts: FindingCounts::default(),
            list: Vec::new(),
        }
    }

    /// Counts a record.
    pub fn add_record(&mut self, time: CaptureTime, bytes: u64) {
        if self.range.contains(&time) {
            self.records += 1;
            self.bytes += bytes;
        }
    }

    /// Counts a finding, and lists it unless the list is full.
    pub fn add(&mut self, finding: Finding) {
        if !self.range.contains(&finding.time()) {
            return;
        }
        self.counts.add(&finding);
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(time: u64) -> Finding {
        Finding::KeyframeLabel {
            time: CaptureTime::from_useconds(time),
            label: true,
        }
    }

    #[test]
    fn findings_beside_the_range_do_not_count() {
        let [start, stop] = [10, 20].map(CaptureTime::from_useconds);
        let mut findings = Findings::new(start..stop);
        for time in [9, 10, 19, 20] {
            findings.add(label(time));
        }
        assert_eq!(findings.list, [label(10), label(19)]);
        assert_eq!(findings.counts.keyframe_labels, 2);
        assert_eq!(findings.counts.total(), 2);
    }

    #[test]
    fn the_list_has_a_limit() {
        let mut findings = Findings::new(CaptureTime::EPOCH..CaptureTime::MAX);
        for time in 0..MAX_FINDINGS as u64 + 5 {
            findings.add(label(time));
        }
        assert_eq!(findings.list.len(), MAX_FINDINGS);
        assert_eq!(findings.counts.total(), MAX_FINDINGS as u64 + 5);
    }
}
