// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Gaps: missing frames, their effect on access units, and holes that running time leaves out.
//!
//! `frame_num` (ITU-T H.264, 7.4.3) distinguishes missing reference pictures from a camera that was slow
//! or paused. Where numbering restarts, before an IDR picture, the times of records do.

use std::collections::VecDeque;
use std::fmt;

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
        matches!(self, Self::LongPause | Self::Rhythm | Self::Tolerance)
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
            Cause::Tolerance => format!(
                "There is a gap {hole}, by the declared frame rate and the {}",
                names.gap_tolerance
            ),
        };
        let on_loss = names.on_loss;
        match self.consequence {
            Consequence::None => cause,
            Consequence::Dropped => format!(
                "{cause}. Access units until the next keyframe refer to missing ones and are \
                 dropped ({on_loss})"
            ),
            Consequence::Corrupted => format!(
                "{cause}. Access units until the next keyframe refer to missing ones: they are \
                 kept, {} ({on_loss})",
                names.corrupted
            ),
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
                        (Break::Loss { cause, .. }, _) if *cause != Cause::Rhythm => {
                            PauseEvidence::Loss
                        }
                        (Break::Loss { .. }, _) => PauseEvidence::Unknown,
                        (_, Succession::Contiguous) => PauseEvidence::Intact,
                        _ if self.pauses.expects(length) => PauseEvidence::Intact,
                        _ => PauseEvidence::Unknown,
                    };
                    self.pauses.add(length, evidence);
                }
                self.interrupt(interruption, hole, facts, &mut slot);
            }
            Some(_) => {}
        }
        self.pauses.add_picture();
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
                    breaks_rhythm,
                },
                None,
            ) => {
                let is_long = length > self.config.pause_limit;
                match succession {
                    Succession::Restart if is_long => gap(Cause::LongPause),
                    Succession::Restart if breaks_rhythm && !self.pauses.expects(length) => {
                        gap(Cause::Rhythm)
                    }
                    Succession::Repeated => gap(Cause::Repeated),
                    Succession::Contiguous if is_long => Break::Pause,
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
                // Leading pictures of a keyframe refer to what is before it, and so does a gradual refresh.
                let is_open = facts.is_keyframe && !facts.number.is_some_and(|number| number.idr);
                if consequence == Consequence::Corrupted || is_open && !cause.is_of_times() {
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
        } = held;
        let duration = slot.duration.unwrap_or_default();
        self.end = self.end.max(slot.time.saturating_add(duration));
        self.outputs.push_back(ContinuityOutput::Unit {
            item,
            slot,
            is_corrupted,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Reordering;

    const MS: Nanos = Nanos::MSECOND;
    const MODULUS: u32 = 16;
    const CONFIG: ContinuityConfig = ContinuityConfig {
        pause_limit: Nanos::from_seconds(5),
        on_loss: OnLoss::Auto,
        gap_detection: true,
        is_sparse: false,
        marks_faults: false,
    };

    /// `I` an IDR picture, `p` the next reference picture, `b` one that is no reference, `R` a
    /// recovery point after two more reference pictures, `?` what cannot be decoded, `x` a reference
    /// picture that is missing, as `i` an IDR picture and `.` any other; `!` a pause of 300 ms, `~` one of a minute.
    fn feed(
        config: ContinuityConfig,
        stream: &str,
        breaks_rhythm: bool,
    ) -> (String, Vec<SegmentStart>, u64) {
        let mut continuity = Continuity::new(config);
        let mut time = Nanos::ZERO;
        let mut frame_num = 0;
        let mut pause = None;
        for item in stream.chars() {
            match item {
                '!' | '~' => {
                    let length = if item == '!' { 300 * MS } else { 60_000 * MS };
                    pause = Some(length);
                    time += length - 100 * MS;
                    continue;
                }
                'I' | 'i' => frame_num = 0,
                'p' | 'b' | 'R' | 'x' => frame_num += 1,
                _ => {}
            }
            let number = FrameNumber {
                frame_num: frame_num % MODULUS,
                modulus: MODULUS,
                idr: item == 'I',
                reference: item != 'b',
                resets: false,
                gaps_allowed: false,
            };
            if item == 'b' {
                frame_num -= 1;
            }
            if !matches!(item, 'x' | 'i' | '.') {
                let facts = ContinuityFacts {
                    number: (item != '?').then_some(number),
                    order: None,
                    is_keyframe: matches!(item, 'I' | 'R'),
                    recovery_frames: if item == 'R' { 2 } else { 0 },
                    after_loss: false,
                    is_incomplete: false,
                };
                let spacing = match pause.take() {
                    None => Spacing::Regular,
                    Some(length) => Spacing::Pause {
                        length,
                        breaks_rhythm,
                    },
                };
                continuity.push(item, &facts, slot(time, spacing));
            }
            time += 100 * MS;
        }
        continuity.finish();
        let mut out = String::new();
        let mut segments = Vec::new();
        while let Some(output) = continuity.pop() {
            match output {
                ContinuityOutput::Unit {
                    item,
                    slot,
                    is_corrupted,
                } => {
                    if slot.hole.is_some() {
                        out.push('~');
                    }
                    if slot.discont {
                        out.push('|');
                    } else if slot.segment.is_some() && !segments.is_empty() {
                        out.push('/');
                    }
                    segments.extend(slot.segment);
                    out.push(item);
                    if is_corrupted {
                        out.push('*');
                    }
                }
                ContinuityOutput::Dropped(_) => out.push('-'),
                ContinuityOutput::Loss(_) => out.push('!'),
            }
        }
        (out, segments, continuity.gaps())
    }

    fn slot(time: Nanos, spacing: Spacing) -> Slot {
        Slot {
            record: CaptureTime::new(time),
            capture: CaptureTime::new(time),
            time,
            duration: Some(100 * MS),
            before_pause: None,
            spacing,
            segment: None,
            resumes: false,
            hole: None,
            discont: false,
            frame_rate: None,
        }
    }

    fn run(stream: &str) -> String {
        feed(CONFIG, stream, true).0
    }

    fn run_with(on_loss: OnLoss, gap_detection: bool, stream: &str) -> String {
        let config = ContinuityConfig {
            on_loss,
            gap_detection,
            ..CONFIG
        };
        feed(config, stream, true).0
    }

    #[test]
    fn messages_have_the_names_of_the_user() {
        let names = TimelineNames {
            gap_tolerance: "property gap-tolerance",
            pause_limit: "property pause-limit",
            on_loss: "property on-loss",
            corrupted: "with the flag CORRUPTED",
            ..TimelineNames::DEFAULT
        };
        let text = |cause, consequence| {
            let (mut texts, mut continuity) = (Vec::new(), Continuity::new(CONFIG));
            continuity.push(
                (),
                &ContinuityFacts::default(),
                slot(Nanos::ZERO, Spacing::Regular),
            );
            continuity.push((), &ContinuityFacts::default(), slot(MS, Spacing::Gap));
            while let Some(output) = continuity.pop() {
                if let ContinuityOutput::Loss(loss) = output {
                    let loss = Loss {
                        cause,
                        consequence,
                        ..loss
                    };
                    texts.push(loss.describe(&names));
                }
            }
            texts.concat()
        };
        let times = "between 1970-01-01T00:00:00.000000Z and 1970-01-01T00:00:00.001000Z";
        assert_eq!(
            text(Cause::LongPause, Consequence::None),
            format!("There are no frames {times}, for longer than the property pause-limit")
        );
        assert_eq!(
            text(Cause::Tolerance, Consequence::Dropped),
            format!(
                "There is a gap {times}, by the declared frame rate and the property \
                 gap-tolerance. Access units until the next keyframe refer to missing ones and are \
                 dropped (property on-loss)"
            )
        );
        assert_eq!(
            text(Cause::FrameNum(2), Consequence::Corrupted),
            format!(
                "2 reference pictures are missing {times} (frame_num). Access units until the next \
                 keyframe refer to missing ones: they are kept, with the flag CORRUPTED (property \
                 on-loss)"
            )
        );
    }

    #[test]
    fn a_slow_camera_loses_nothing() {
        assert_eq!(run("Ipp!pp!pIp"), "IpppppIp");
        assert_eq!(run("Ipb!bpb!bpIp"), "IpbbpbbpIp");
    }

    #[test]
    fn a_long_pause_is_left_out() {
        let (out, segments, gaps) = feed(CONFIG, "Ipp~ppIp", true);
        assert_eq!((out.as_str(), gaps), ("Ipp~/ppIp", 0));
        let start = |ms, base| SegmentStart {
            start: ms * MS,
            base: base * MS,
        };
        assert_eq!(segments, [start(0, 0), start(60_200, 300)]);
    }

    #[test]
    fn missing_reference_pictures_after_a_pause_are_a_gap() {
        let (out, segments, gaps) = feed(CONFIG, "Ipx!ppIp", true);
        assert_eq!((out.as_str(), gaps), ("Ip!--|Ip", 1));
        let base: Vec<_> = segments.iter().map(|it| it.base.mseconds()).collect();
        assert_eq!(base, [0, 200]);
    }

    #[test]
    fn missing_reference_pictures_without_a_pause_make_corrupted_ones() {
        assert_eq!(run("IpxppIp"), "Ip!p*p*Ip");
        assert_eq!(run("Ipxpxpp"), "Ip!p*!p*p*");
        assert_eq!(run("Ip.pIp"), "IppIp");
        assert_eq!(run_with(OnLoss::Drop, true, "IpxppIp"), "Ip!--|Ip");
        assert_eq!(run_with(OnLoss::Keep, true, "Ipx!ppIp"), "Ip!~|p*p*Ip");
        assert_eq!(run_with(OnLoss::Auto, false, "Ipx!ppIp"), "Ip!~/p*p*Ip");
    }

    #[test]
    fn a_lost_idr_picture_after_which_numbers_repeat_makes_corrupted_ones() {
        let group = format!("I{}", "p".repeat(17));
        let rest = "p*".repeat(17);
        let without_idr = &group[1..];
        // The stream counts from 0 again where the IDR picture is lost.
        let stream = format!("{group}i{without_idr}{group}");
        assert_eq!(run(&stream), format!("{group}!{rest}{group}"));
        let (out, _, gaps) = feed(CONFIG, &format!("{group}i!{without_idr}{group}"), true);
        let dropped = "-".repeat(17);
        assert_eq!((out, gaps), (format!("{group}!{dropped}|{group}"), 1));
    }

    #[test]
    fn missing_pictures_that_are_no_references_are_no_loss() {
        assert_eq!(run("Ib.pb.pIp"), "IbpbpIp");
        assert_eq!(run("Ib.!pb.pIp"), "IbpbpIp");
    }

    #[test]
    fn before_an_idr_picture_times_decide() {
        assert_eq!(run("Ipp!Ip"), "Ipp!|Ip");
        assert_eq!(feed(CONFIG, "Ipp!Ip", false).0, "IppIp");
        assert_eq!(feed(CONFIG, "Ipp~Ip", false).0, "Ipp!|Ip");
        assert_eq!(run("IpxIp"), "IpIp");
    }

    #[test]
    fn regular_bursts_are_no_gaps() {
        assert_eq!(run("Ip!pp!Ip!pp!Ip"), "IpppIpppIp");
        assert_eq!(run("Ip!ppp!p!Ip!p"), "IpppppIpp");
        assert_eq!(run("Ipp!Ipp!Ipp!Ipp!Ipp"), "Ipp!|Ipp!|IppIppIpp");
        // Another number of pictures, and a loss.
        assert_eq!(run("Ip!ppp!Ip"), "Ipppp!|Ip");
        assert_eq!(run("Ippppx!ppIpp!Ip"), "Ipppp!--|Ipp!|Ip");
    }

    #[test]
    fn a_recovery_point_ends_what_is_wrong_some_frames_later() {
        assert_eq!(run("IpxpRppp"), "Ip!p*R*p*pp");
        assert_eq!(run("Ipx!pRppp"), "Ip!-|R*p*pp");
        assert_eq!(run("IpxpRIp"), "Ip!p*R*Ip");
    }

    /// Takes pictures a frame apart, as `(frame_num, reference, count)`, of which the first one is an IDR picture and
    /// that at `keyframe` a recovery point. Returns the counts of those that are corrupted, rising.
    fn corrupted(pictures: &[(u32, bool, i64)], keyframe: usize, recovery_frames: u32) -> Vec<i64> {
        let mut continuity = Continuity::new(CONFIG);
        for (place, &(frame_num, reference, count)) in pictures.iter().enumerate() {
            let idr = place == 0;
            let facts = ContinuityFacts {
                number: Some(FrameNumber {
                    frame_num,
                    modulus: MODULUS,
                    idr,
                    reference,
                    resets: false,
                    gaps_allowed: false,
                }),
                order: Some(PictureOrder {
                    count,
                    begins_sequence: idr,
                    reordering: Reordering {
                        frames: 2,
                        declared: true,
                    },
                }),
                is_keyframe: idr || place == keyframe,
                recovery_frames,
                after_loss: false,
                is_incomplete: false,
            };
            let time = 100 * place as u64 * MS;
            continuity.push(count, &facts, slot(time, Spacing::Regular));
        }
        continuity.finish();
        let outputs = std::iter::from_fn(|| continuity.pop());
        let counts = outputs.filter_map(|output| match output {
            ContinuityOutput::Unit {
                item, is_corrupted, ..
            } => is_corrupted.then_some(item),
            _ => None,
        });
        let mut counts: Vec<_> = counts.collect();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn a_recovery_ends_in_output_order() {
        // P with two B-frames each that are no references. P6 is lost.
        let group = |number: u32| {
            let count = i64::from(number) * 3;
            [
                (number, true, count),
                (number + 1, false, count - 2),
                (number + 1, false, count - 1),
            ]
        };
        let pictures = [
            vec![(0, true, 0)],
            group(1).to_vec(),
            group(2)[1..].to_vec(),
            [3, 4, 5, 6].map(group).concat(),
        ]
        .concat();
        // P9 begins a refresh of two reference pictures, which is complete with P15.
        assert_eq!(
            corrupted(&pictures, 6, 2),
            [4, 5, 7, 8, 9, 10, 11, 12, 13, 14]
        );
    }

    #[test]
    fn leading_pictures_of_a_keyframe_after_a_loss_are_corrupted() {
        // I0 P3 B1 B2, and I9 with the leading B7 B8 after the loss of P6.
        let pictures = [
            (0, true, 0),
            (1, true, 3),
            (2, false, 1),
            (2, false, 2),
            (3, true, 9),
            (4, false, 7),
            (4, false, 8),
            (4, true, 12),
            (5, false, 10),
        ];
        assert_eq!(corrupted(&pictures, 4, 0), [7, 8]);
    }

    #[test]
    fn gaps_are_counted_while_frames_are_dropped() {
        let (out, _, gaps) = feed(CONFIG, "Ipx!px!p!p~pIp", true);
        assert_eq!((out.as_str(), gaps), ("Ip!----|Ip", 2));
    }

    #[test]
    fn a_reported_loss_is_not_reported_again() {
        let mut continuity = Continuity::new(CONFIG);
        let facts = ContinuityFacts {
            after_loss: true,
            ..Default::default()
        };
        continuity.push(0, &facts, slot(Nanos::ZERO, Spacing::Regular));
        continuity.push(1, &facts, slot(100 * MS, Spacing::Regular));
        let outputs: Vec<_> = std::iter::from_fn(|| continuity.pop()).collect();
        assert!(outputs.iter().all(|output| matches!(
            output,
            ContinuityOutput::Unit {
                is_corrupted: false,
                ..
            }
        )));
        assert_eq!(outputs.len(), 2);
    }

    #[test]
    fn what_refers_to_unreadable_pictures_is_marked_on_request() {
        let corrupted = |marks_faults, after_loss, is_incomplete| {
            let config = ContinuityConfig {
                marks_faults,
                ..CONFIG
            };
            let mut continuity = Continuity::new(config);
            for place in 0..6 {
                let idr = place % 4 == 0;
                let facts = ContinuityFacts {
                    number: Some(FrameNumber {
                        frame_num: place % 4,
                        modulus: MODULUS,
                        idr,
                        reference: true,
                        resets: false,
                        gaps_allowed: false,
                    }),
                    is_keyframe: idr,
                    after_loss: after_loss && place == 2,
                    is_incomplete: is_incomplete && place == 1,
                    ..Default::default()
                };
                let time = 100 * u64::from(place) * MS;
                continuity.push(place, &facts, slot(time, Spacing::Regular));
            }
            continuity.finish();
            let outputs = std::iter::from_fn(|| continuity.pop());
            let places = outputs.filter_map(|output| match output {
                ContinuityOutput::Unit {
                    item, is_corrupted, ..
                } => is_corrupted.then_some(item),
                ContinuityOutput::Dropped(_) | ContinuityOutput::Loss(_) => Some(u32::MAX),
            });
            places.collect::<Vec<_>>()
        };
        assert_eq!(corrupted(true, true, false), [2, 3]);
        assert_eq!(corrupted(true, false, true), [2, 3]);
        assert_eq!(corrupted(false, true, true), [0; 0]);
    }

    #[test]
    fn the_rule_of_the_tolerance_needs_no_frame_num() {
        let mut continuity = Continuity::new(CONFIG);
        let key = ContinuityFacts {
            is_keyframe: true,
            ..Default::default()
        };
        continuity.push(0, &key, slot(Nanos::ZERO, Spacing::Regular));
        continuity.push(1, &ContinuityFacts::default(), slot(500 * MS, Spacing::Gap));
        continuity.push(2, &key, slot(600 * MS, Spacing::Regular));
        let outputs: Vec<_> = std::iter::from_fn(|| continuity.pop()).collect();
        assert!(matches!(
            outputs[1],
            ContinuityOutput::Loss(Loss {
                cause: Cause::Tolerance,
                consequence: Consequence::Dropped,
                ..
            })
        ));
        assert_eq!(outputs[2], ContinuityOutput::Dropped(1));
        assert!(
            matches!(&outputs[3], ContinuityOutput::Unit { item: 2, slot, .. } if slot.discont)
        );
    }

    #[test]
    fn the_frame_before_a_hole_lasts_a_frame() {
        let before_pause = |time, length| Slot {
            duration: Some(length),
            before_pause: Some(100 * MS),
            ..slot(time, Spacing::Regular)
        };
        for (length, idr, expected) in [(1000, true, 100), (1000, false, 1000), (9000, false, 100)]
        {
            let mut continuity = Continuity::new(CONFIG);
            let number = |frame_num, idr| FrameNumber {
                frame_num,
                modulus: MODULUS,
                idr,
                reference: true,
                resets: false,
                gaps_allowed: false,
            };
            let facts = |frame_num, idr| ContinuityFacts {
                number: Some(number(frame_num, idr)),
                is_keyframe: idr,
                ..Default::default()
            };
            let length = length * MS;
            continuity.push('a', &facts(0, true), before_pause(Nanos::ZERO, length));
            assert_eq!(continuity.pop(), None);
            let spacing = Spacing::Pause {
                length,
                breaks_rhythm: true,
            };
            continuity.push('b', &facts(u32::from(!idr), idr), slot(length, spacing));
            continuity.finish();
            let first = continuity.pop();
            assert!(
                matches!(first, Some(ContinuityOutput::Unit { item: 'a', slot, .. })
                if slot.duration == Some(expected * MS))
            );
        }
    }
}
