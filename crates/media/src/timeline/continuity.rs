// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Gaps: missing frames, their effect on access units, and holes that running time leaves out.
//!
//! `frame_num` (ITU-T H.264, 7.4.3) distinguishes missing reference pictures from a camera that was slow
//! or paused. Where numbering restarts, before an IDR picture, the times of records do. A pause in which whole groups
//! of pictures fit is a gap, too, as `frame_num` is the same after so many pictures.

use std::collections::VecDeque;
use std::fmt;

use super::group_lengths::GroupLengths;
use super::names::TimelineNames;
use super::on_loss::OnLoss;
use super::pauses::{PauseEvidence, Pauses};
use super::slots::{Hole, SegmentStart, Slot, Spacing};
use crate::codec::h264::{FrameNumber, FrameNumbering, Recovery, Succession};
use crate::order::PictureOrder;
use crate::time::{CaptureTime, Nanos};

/// Settings of a [`Continuity`].
#[derive(Debug, Clone, Copy)]
pub struct ContinuityConfig {
    /// Longest pause that remains in running time if no reference picture is missing.
    pub pause_limit: Nanos,
    /// Treatment of pictures that refer to lost ones.
    pub on_loss: OnLoss,
    /// Gaps are marked as discontinuities, and access units that they make undecodable are dropped.
    pub gap_detection: bool,
    /// Most access units are left out on purpose.
    pub is_sparse: bool,
    /// Access units that refer to unreadable ones, or to such with unreadable slices, are marked as corrupted, too.
    pub marks_faults: bool,
}

/// Facts of an access unit that decide its relation to the one before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContinuityFacts {
    /// `None` if it cannot be decoded.
    pub number: Option<FrameNumber>,
    /// Place of the picture in output order.
    pub order: Option<PictureOrder>,
    /// Decoding can start here.
    pub is_keyframe: bool,
    /// `recovery_frame_cnt` of a keyframe that is no IDR picture.
    pub recovery_frames: u32,
    /// Pictures before it that others may refer to are missing, which was already reported.
    pub after_loss: bool,
    /// Slices of it are left out.
    pub is_incomplete: bool,
}

/// Output of a [`Continuity`], in decoding order.
#[derive(Debug, PartialEq, Eq)]
pub enum ContinuityOutput<T> {
    /// An access unit.
    Unit {
        /// The access unit, as it was pushed.
        item: T,
        /// Its slot.
        slot: Slot,
        /// It may refer to lost pictures.
        is_corrupted: bool,
        /// It is a keyframe after a loss: nothing shows the order of the pictures before and after it but that
        /// it comes between them.
        begins_sequence: bool,
    },
    /// It refers to lost pictures and is left out.
    Dropped(T),
    /// Frames are missing.
    Loss(Loss),
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "between {} and {}", self.from, self.to)
    }
}

/// Missing frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Capture times around the loss.
    pub hole: Hole,
    /// Evidence of the loss.
    pub cause: Cause,
    /// Effect on the pictures until the next keyframe.
    pub consequence: Consequence,
}

/// Evidence of missing frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Number of reference pictures that are missing, by `frame_num`.
    FrameNum(u32),
    /// `frame_num` does not advance after a pause.
    Repeated,
    /// `frame_num` does not advance, though it always did before.
    FrameNumCycle,
    /// The picture order count begins anew without an IDR picture.
    PictureOrder,
    /// A loss that was reported already.
    Reported,
    /// A pause longer than [`ContinuityConfig::pause_limit`].
    LongPause,
    /// A pause in a steady cadence.
    Rhythm,
    /// A pause within a group of pictures in a steady cadence, in which this number of whole groups fits.
    WholeGroups(u64),
    /// More than a frame duration and the gap tolerance after the end of a record.
    Tolerance,
}

/// Treatment of the access units until the next keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// They can be decoded.
    None,
    /// They are dropped.
    Dropped,
    /// They are kept and marked as corrupted.
    Corrupted,
}

impl Cause {
    /// Returns whether the times alone are the evidence, and not the numbers of pictures.
    pub fn is_of_times(self) -> bool {
        matches!(
            self,
            Self::LongPause | Self::Rhythm | Self::WholeGroups(_) | Self::Tolerance
        )
    }
}

impl Loss {
    /// Returns a message, with the names of options as users know them.
    pub fn describe(&self, names: &TimelineNames) -> String {
        let hole = self.hole;
        let cause = match self.cause {
            Cause::FrameNum(1) => format!("1 reference picture is missing {hole} (frame_num)"),
            Cause::FrameNum(count) => {
                format!("{count} reference pictures are missing {hole} (frame_num)")
            }
            Cause::Repeated => {
                format!("Frames are missing {hole}: frame_num does not advance after a pause")
            }
            Cause::FrameNumCycle => format!(
                "Frames are missing {hole}: an IDR picture, or as many reference pictures as \
                 frame_num can count, as frame_num does not advance"
            ),
            Cause::PictureOrder => format!(
                "An IDR picture is missing {hole}: the picture order count begins anew without one"
            ),
            Cause::Reported => format!("Frames are lost {hole}"),
            Cause::LongPause => format!(
                "There are no frames {hole}, for longer than the {}",
                names.pause_limit
            ),
            Cause::Rhythm => format!("Frames are missing {hole}: the cadence is interrupted"),
            Cause::WholeGroups(count) => format!(
                "There are no frames {hole}, for as long as {count} groups of pictures last, whose loss \
                 frame_num would not show"
            ),
            Cause::Tolerance => format!(
                "There is a gap {hole}, by the declared frame rate and the {}",
                names.gap_tolerance.unwrap_or("tolerance")
            ),
        };
        let on_loss = names.on_loss;
        match self.consequence {
            Consequence::None => cause,
            Consequence::Dropped => format!(
                "{cause}. Access units until the next keyframe refer to missing ones and are \
                 dropped ({on_loss})"
            ),
            Consequence::Corrupted => {
                let refer = match self.cause {
                    Cause::WholeGroups(_) => "may refer",
                    _ => "refer",
                };
                format!(
                    "{cause}. Access units until the next keyframe {refer} to missing ones: they are \
                     kept, {} ({on_loss})",
                    names.corrupted
                )
            }
        }
    }
}

/// With the names of [`TimelineNames::DEFAULT`].
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(&TimelineNames::DEFAULT))
    }
}

/// Detects gaps between access units, in decoding order.
#[derive(Debug)]
pub struct Continuity<T> {
    config: ContinuityConfig,
    numbering: FrameNumbering,
    pauses: Pauses,
    groups: GroupLengths,
    segment: SegmentStart,
    /// Capture time of the last access unit.
    last_capture: Option<CaptureTime>,
    /// Stream time at which the last one that is not dropped ends.
    end: Nanos,
    /// The last one, as long as its duration depends on the next one.
    held: Option<Held<T>>,
    state: ReferenceState,
    gaps: u64,
    outputs: VecDeque<ContinuityOutput<T>>,
}

#[derive(Debug)]
struct Held<T> {
    item: T,
    slot: Slot,
    is_corrupted: bool,
    begins_sequence: bool,
}

/// Completeness of the pictures that access units refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReferenceState {
    Intact,
    /// They are dropped until the next keyframe, which begins a segment at this running time.
    Dropping {
        base: Nanos,
    },
    /// Until the next keyframe.
    Corrupted,
    /// Decoding has begun again, and the picture from which on output is right has not followed yet.
    Recovering(Recovery),
    /// It has this picture order count. Those that are output before it may still follow.
    Recovered {
        count: i64,
    },
}

impl ReferenceState {
    /// Returns the state after a picture from which on output is right.
    fn after_right_picture(facts: &ContinuityFacts) -> Self {
        match facts.order {
            Some(PictureOrder { count, .. }) if !facts.number.is_some_and(|number| number.idr) => {
                Self::Recovered { count }
            }
            _ => Self::Intact,
        }
    }

    /// Returns whether a picture may refer to lost ones.
    fn is_wrong(self, order: Option<&PictureOrder>) -> bool {
        match self {
            Self::Intact => false,
            Self::Recovered { count } => order.is_some_and(|order| order.count < count),
            Self::Dropping { .. } | Self::Corrupted | Self::Recovering(_) => true,
        }
    }
}

/// Interruption of the sequence of access units.
enum Break {
    None,
    Pause,
    Loss { cause: Cause, is_gap: bool },
}

impl<T> Continuity<T> {
    /// Returns the state at the beginning of a stream.
    pub fn new(config: ContinuityConfig) -> Self {
        Self {
            config,
            numbering: FrameNumbering::default(),
            pauses: Pauses::default(),
            groups: GroupLengths::default(),
            segment: SegmentStart {
                start: Nanos::ZERO,
                base: Nanos::ZERO,
            },
            last_capture: None,
            end: Nanos::ZERO,
            held: None,
            state: ReferenceState::Intact,
            gaps: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes the next access unit in decoding order.
    pub fn push(&mut self, item: T, facts: &ContinuityFacts, mut slot: Slot) {
        let succession = match &facts.number {
            Some(number) => self.numbering.next(number, facts.order.as_ref()),
            None => Succession::Contiguous,
        };
        let mut begins_sequence = false;
        match self.last_capture.replace(slot.capture) {
            None => self.begin_segment(&mut slot, Nanos::ZERO),
            Some(from) if !self.config.is_sparse => {
                let hole = Hole {
                    from,
                    to: slot.capture,
                };
                let interruption = self.interruption(facts, succession, &slot);
                if let Spacing::Pause { length, .. } = slot.spacing {
                    let evidence = match (&interruption, succession) {
                        (
                            Break::Loss {
                                cause: Cause::Rhythm | Cause::WholeGroups(_),
                                ..
                            },
                            _,
                        ) => PauseEvidence::Unknown,
                        (Break::Loss { .. }, _) => PauseEvidence::Loss,
                        (_, Succession::Contiguous) => PauseEvidence::Intact,
                        _ if self.pauses.expects(length) => PauseEvidence::Intact,
                        _ => PauseEvidence::Unknown,
                    };
                    self.pauses.add(length, evidence);
                }
                let is_lossy = matches!(interruption, Break::Loss { .. });
                if is_lossy {
                    self.groups.interrupt();
                }
                begins_sequence = facts.is_keyframe && is_lossy;
                self.interrupt(interruption, hole, facts, &mut slot);
            }
            Some(_) => {}
        }
        self.pauses.add_picture();
        self.groups.add(facts.is_keyframe);
        self.recover(facts, &mut slot);
        let is_wrong = self.state.is_wrong(facts.order.as_ref());
        let is_reference = facts.number.is_some_and(|number| number.reference);
        if matches!(self.state, ReferenceState::Dropping { .. }) {
            self.outputs.push_back(ContinuityOutput::Dropped(item));
            return;
        }
        let held = Held {
            item,
            slot,
            is_corrupted: is_wrong,
            begins_sequence,
        };
        if self.config.marks_faults && facts.is_incomplete && is_reference {
            self.state = ReferenceState::Corrupted;
        }
        self.release();
        if held.slot.before_pause.is_some() {
            self.held = Some(held);
        } else {
            self.put_out(held);
        }
    }

    /// Ends the stream.
    pub fn finish(&mut self) {
        self.release();
    }

    /// Returns the next output.
    pub fn pop(&mut self) -> Option<ContinuityOutput<T>> {
        self.outputs.pop_front()
    }

    /// Returns the number of gaps so far.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Returns how an access unit follows the one before it.
    fn interruption(&self, facts: &ContinuityFacts, succession: Succession, slot: &Slot) -> Break {
        let loss = match succession {
            _ if facts.after_loss => Some(Cause::Reported),
            Succession::Lost(count) => Some(Cause::FrameNum(count)),
            Succession::LostCycle => Some(Cause::FrameNumCycle),
            Succession::LostIdr => Some(Cause::PictureOrder),
            _ => None,
        };
        let gap = |cause| Break::Loss {
            cause,
            is_gap: true,
        };
        match (slot.spacing, loss) {
            (Spacing::Regular, None) => Break::None,
            (Spacing::Regular, Some(cause)) => Break::Loss {
                cause,
                is_gap: false,
            },
            (Spacing::Gap, _) => gap(Cause::Tolerance),
            (Spacing::Pause { .. }, Some(cause)) => gap(cause),
            (
                Spacing::Pause {
                    length,
                    frames,
                    breaks_rhythm,
                },
                None,
            ) => {
                let reordering = facts.order.map(|order| order.reordering);
                let reordered =
                    (reordering.filter(|it| it.declared)).map_or(0, |it| it.frames as u64);
                let whole_groups = (self.groups.groups_in(frames.saturating_sub(1), reordered))
                    .filter(|_| breaks_rhythm && !self.pauses.expects(length));
                let is_long = length > self.config.pause_limit;
                match succession {
                    Succession::Restart if is_long => gap(Cause::LongPause),
                    Succession::Restart if breaks_rhythm && !self.pauses.expects(length) => {
                        gap(Cause::Rhythm)
                    }
                    Succession::Repeated => gap(Cause::Repeated),
                    Succession::Contiguous => match whole_groups {
                        Some(count) => gap(Cause::WholeGroups(count)),
                        None if is_long => Break::Pause,
                        None => Break::None,
                    },
                    _ => Break::None,
                }
            }
        }
    }

    fn interrupt(
        &mut self,
        interruption: Break,
        hole: Hole,
        facts: &ContinuityFacts,
        slot: &mut Slot,
    ) {
        let is_dropping = matches!(self.state, ReferenceState::Dropping { .. });
        match interruption {
            Break::None => {}
            Break::Loss { is_gap, .. } if is_dropping => self.gaps += u64::from(is_gap),
            Break::Pause if is_dropping => {}
            Break::Pause => {
                let base = self.close();
                self.begin_segment(slot, base);
                slot.resumes = true;
                slot.hole = Some(hole);
            }
            Break::Loss { cause, is_gap } => {
                let consequence = self.consequence(facts, cause, is_gap);
                let is_gap = is_gap || consequence == Consequence::Dropped;
                if is_gap {
                    self.gaps += 1;
                    let base = self.close();
                    self.begin_segment(slot, base);
                    slot.discont = self.config.gap_detection;
                    if consequence == Consequence::Dropped {
                        self.state = ReferenceState::Dropping { base };
                    }
                }
                // The leading pictures of an open GOP refer to the GOP before it, and so does a gradual refresh.
                let is_open = facts.is_keyframe && !facts.number.is_some_and(|number| number.idr);
                if consequence == Consequence::Corrupted || is_open && cause != Cause::Tolerance {
                    self.state = ReferenceState::Corrupted;
                }
                if cause != Cause::Reported {
                    self.release();
                    self.outputs.push_back(ContinuityOutput::Loss(Loss {
                        hole,
                        cause,
                        consequence,
                    }));
                }
                if is_gap && consequence == Consequence::Corrupted {
                    slot.hole = Some(hole);
                }
            }
        }
    }

    /// Returns the treatment of access units from a loss to the next keyframe.
    fn consequence(&self, facts: &ContinuityFacts, cause: Cause, is_gap: bool) -> Consequence {
        if facts.is_keyframe {
            return Consequence::None;
        }
        match self.config.on_loss {
            OnLoss::Drop => Consequence::Dropped,
            // The access unit has DISCONT, and its bytes are what there is.
            _ if cause == Cause::Reported && !self.config.marks_faults => Consequence::None,
            // It may be a pause, after which all access units are right.
            OnLoss::Auto if matches!(cause, Cause::WholeGroups(_)) => Consequence::Corrupted,
            OnLoss::Auto if is_gap && self.config.gap_detection => Consequence::Dropped,
            OnLoss::Auto | OnLoss::Keep => Consequence::Corrupted,
        }
    }

    /// Resets the state after a loss, at a keyframe or at the end of its recovery.
    fn recover(&mut self, facts: &ContinuityFacts, slot: &mut Slot) {
        match (&mut self.state, &facts.number, &facts.order) {
            (ReferenceState::Recovering(recovery), Some(number), _) => {
                if recovery.is_reached_by(number) {
                    self.state = ReferenceState::after_right_picture(facts);
                } else {
                    recovery.pass(number);
                }
            }
            (ReferenceState::Recovered { count }, _, Some(order))
                if order.begins_sequence || order.count >= *count =>
            {
                self.state = ReferenceState::Intact;
            }
            _ => {}
        }
        let begins_again = matches!(
            self.state,
            ReferenceState::Dropping { .. } | ReferenceState::Corrupted
        );
        if !facts.is_keyframe || !begins_again {
            return;
        }
        if let ReferenceState::Dropping { base } = self.state {
            self.begin_segment(slot, base);
            slot.discont = self.config.gap_detection;
        }
        self.state = match &facts.number {
            Some(number) if facts.recovery_frames > 0 => {
                ReferenceState::Recovering(Recovery::new(number, facts.recovery_frames))
            }
            _ => ReferenceState::after_right_picture(facts),
        };
    }

    fn begin_segment(&mut self, slot: &mut Slot, base: Nanos) {
        let segment = SegmentStart {
            start: slot.time,
            base,
        };
        self.segment = segment;
        slot.segment = Some(segment);
    }

    /// Puts out the held access unit with the duration of a frame. Returns the running time at its end.
    fn close(&mut self) -> Nanos {
        if let Some(mut held) = self.held.take() {
            held.slot.duration = held.slot.before_pause.take();
            self.put_out(held);
        }
        let in_segment = self.end.saturating_sub(self.segment.start);
        self.segment.base.saturating_add(in_segment)
    }

    /// Puts out the held access unit, which lasts until the next one.
    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.put_out(held);
        }
    }

    fn put_out(&mut self, held: Held<T>) {
        let Held {
            item,
            slot,
            is_corrupted,
            begins_sequence,
        } = held;
        let duration = slot.duration.unwrap_or_default();
        self.end = self.end.max(slot.time.saturating_add(duration));
        self.outputs.push_back(ContinuityOutput::Unit {
            item,
            slot,
            is_corrupted,
            begins_sequence,
        });
    }
}

#[cfg(test)]
mod tests;
