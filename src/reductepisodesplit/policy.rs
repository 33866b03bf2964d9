// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! When an episode ends.
//!
//! An episode begins with a keyframe, an IDR access unit or (in [`KeyframeMode::RecoveryPoint`]) a
//! recovery point, and consists of whole groups of pictures. It ends at a gap, where the format
//! changes, and at its limits: in [`SplitMode::NextKeyframe`] at the first keyframe at or after a
//! limit, in [`SplitMode::AtMost`] before the group that would exceed it.
//!
//! Times are running times. They are compared with half a frame of tolerance, as the times of
//! cameras are not exact.

use std::ops::Range;

use gst::ClockTime;

use super::{KeyframeMode, SplitMode};

/// Bytes that a sample costs in a file besides its own: entries of `stsz`, `stts`, `ctts`, `stco`.
const BYTES_PER_FRAME: u64 = 24;
/// Bytes that a file costs besides its samples: `ftyp`, `moov` and their boxes.
const BYTES_PER_FILE: u64 = 1024;

/// The limits, and what else ends an episode.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub mode: SplitMode,
    pub keyframes: KeyframeMode,
    pub duration: Option<ClockTime>,
    pub size: Option<u64>,
    pub gap_detection: bool,
}

/// What the policy has to know of an access unit.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    pub entry: Option<Entry>,
    /// There may be something missing before it.
    pub discont: bool,
    /// Its format is another one than that of the unit before; changes only at an IDR.
    pub new_format: bool,
    pub running_time: ClockTime,
    /// How much later than itself what is shown begins: within it or after it.
    pub lead: ClockTime,
    /// It is not only for a decoder.
    pub is_shown: bool,
    pub duration: ClockTime,
    pub bytes: u64,
    /// Capture time of what is shown first.
    pub capture: Option<ClockTime>,
}

impl Unit {
    fn shown_from(&self) -> ClockTime {
        self.running_time.saturating_add(self.lead)
    }
}

/// How decoding can begin with an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing that follows needs anything before it.
    Idr,
    /// Pictures that are shown before it, but decoded after it, may need what precedes it.
    RecoveryPoint,
}

/// Why an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Duration,
    Size,
    Gap,
    Format,
    Eos,
}

impl Reason {
    /// The reason as messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Gap => "gap",
            Self::Format => "format",
            Self::Eos => "eos",
        }
    }
}

/// What happens to episodes, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An episode begins with the keyframe at this running time. `cut` is false for the first one, which
    /// has no file before it.
    Begin {
        cut: bool,
        index: u32,
        running_time: ClockTime,
        capture: Option<ClockTime>,
        /// Access units before it that could not be decoded.
        dropped: u64,
    },
    /// The episode has all its frames.
    End(Episode),
    /// At this recovery point the episode would end, if recovery points were keyframes. Once.
    PassRecoveryPoint,
}

/// An episode that has all its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    pub index: u32,
    pub capture: Option<ClockTime>,
    pub duration: ClockTime,
    /// Access units that are shown.
    pub frames: u64,
    /// Access units that only a decoder needs.
    pub hidden: u64,
    /// What of it is shown, since its first access unit; `None` if all of it.
    pub shown: Option<Vec<Range<ClockTime>>>,
    /// Access units before its first frame, in output order, that could not be decoded.
    pub dropped: u64,
    pub reason: Reason,
}

/// What to do with an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// It is shown before the first keyframe of an episode.
    Drop,
}

/// Decides, access unit by access unit, where episodes begin and end.
#[derive(Debug, Default)]
pub struct Policy {
    config: Config,
    /// The groups of pictures that the running episode has for sure.
    episode: Option<Running>,
    /// The group of pictures that is not complete yet.
    group: Option<Span>,
    /// The episode began with the recovery point at this time, and its group is not complete: what
    /// is shown before it needs the group before.
    leading_before: Option<ClockTime>,
    passed_recovery_point: bool,
    /// There was a gap: the next keyframe begins an episode, and what comes before it is of no use.
    gap: bool,
    /// There was a pause: the next keyframe begins an episode, and what comes before it is kept.
    pause: bool,
    /// It was right before the next access unit.
    is_after_pause: bool,
    next_index: u32,
    dropped: u64,
    frame: ClockTime,
}

#[derive(Debug)]
struct Running {
    index: u32,
    dropped: u64,
    span: Span,
}

/// Access units in a row.
#[derive(Debug, Clone)]
struct Span {
    /// The running time of the first one.
    start: ClockTime,
    /// What of them is shown, in whole pictures: players leave out a part of one.
    shown: Vec<Range<ClockTime>>,
    /// From when on the last part is to be shown, if something is before it.
    cut: Option<ClockTime>,
    is_all_shown: bool,
    frames: u64,
    hidden: u64,
    bytes: u64,
    capture: Option<ClockTime>,
}

impl Span {
    /// Nothing yet, from `unit` on.
    fn empty(unit: &Unit) -> Self {
        Self {
            start: unit.running_time,
            shown: Vec::new(),
            cut: None,
            is_all_shown: true,
            frames: 0,
            hidden: 0,
            bytes: 0,
            capture: unit.capture,
        }
    }

    fn add(&mut self, unit: &Unit) {
        let is_cut = !unit.lead.is_zero();
        self.is_all_shown &= unit.is_shown;
        if self.begins_part(unit) {
            self.shown.push(unit.shown_from()..unit.shown_from());
            self.cut = is_cut.then(|| unit.shown_from());
        }
        let is_first = self.shown.len() == 1;
        if let Some(part) = self.shown.last_mut().filter(|_| unit.is_shown) {
            let end = unit.running_time.saturating_add(unit.duration);
            part.end = part.end.max(end);
            if is_cut {
                let whole = part.start.saturating_sub(unit.running_time);
                part.start = part.start.saturating_sub(whole);
                if is_first {
                    self.capture = self.capture.map(|capture| capture.saturating_sub(whole));
                }
            }
        }
        self.frames += u64::from(unit.is_shown);
        self.hidden += u64::from(!unit.is_shown);
        self.bytes += unit.bytes;
    }

    /// Whether another part is shown from this access unit on, after something that is not.
    fn begins_part(&self, unit: &Unit) -> bool {
        let is_cut = !unit.lead.is_zero();
        let last = self.shown.last();
        last.is_none() || is_cut && self.cut != Some(unit.shown_from())
    }

    fn joined(&self, next: &Self) -> Self {
        let mut shown = self.shown.clone();
        let mut parts = next.shown.iter();
        if next.is_all_shown
            && let Some(last) = shown.last_mut()
            && let Some(part) = parts.next()
        {
            last.end = last.end.max(part.end);
        }
        shown.extend(parts.cloned());
        Self {
            start: self.start,
            shown,
            cut: next.cut.or(self.cut),
            is_all_shown: self.is_all_shown && next.is_all_shown,
            frames: self.frames + next.frames,
            hidden: self.hidden + next.hidden,
            bytes: self.bytes + next.bytes,
            capture: match self.is_empty() {
                true => next.capture,
                false => self.capture,
            },
        }
    }

    fn duration(&self) -> ClockTime {
        duration(&self.shown)
    }

    /// How long it is when `unit` begins.
    fn elapsed(&self, unit: &Unit) -> ClockTime {
        match self.shown.split_last() {
            Some((last, before)) if !self.begins_part(unit) => {
                let in_last = unit.running_time.saturating_sub(last.start);
                duration(before).saturating_add(in_last)
            }
            _ => self.duration(),
        }
    }

    /// What of it is shown, since its first access unit; `None` if all of it.
    fn parts(&self) -> Option<Vec<Range<ClockTime>>> {
        let since_start = |time: ClockTime| time.saturating_sub(self.start);
        let parts = self.shown.iter();
        let parts = parts.map(|part| since_start(part.start)..since_start(part.end));
        (!self.is_all_shown).then(|| parts.collect())
    }

    fn is_empty(&self) -> bool {
        self.frames + self.hidden == 0
    }

    fn file_size(&self) -> u64 {
        BYTES_PER_FILE + self.bytes + BYTES_PER_FRAME * (self.frames + self.hidden)
    }
}

/// How long parts are together.
fn duration(parts: &[Range<ClockTime>]) -> ClockTime {
    parts.iter().fold(ClockTime::ZERO, |sum, part| {
        sum.saturating_add(part.end.saturating_sub(part.start))
    })
}

impl Policy {
    /// A policy with no episode yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ..Default::default()
        }
    }

    /// Takes the next access unit in decoding order and appends what it changes to `changes`.
    pub fn push(&mut self, unit: &Unit, changes: &mut Vec<Change>) -> Verdict {
        if !unit.duration.is_zero() {
            self.frame = unit.duration;
        }
        let is_after_pause = std::mem::take(&mut self.is_after_pause);
        if unit.discont && self.config.gap_detection && !is_after_pause {
            self.gap = true;
        }
        if !unit.entry.is_some_and(|entry| self.is_keyframe(entry)) {
            self.note_recovery_point(unit, changes);
            return self.continue_group(unit);
        }

        self.settle_group(changes);
        if let Some(reason) = self.reason_to_end_before(unit) {
            self.end(reason, changes);
        }
        self.gap = false;
        self.pause = false;
        self.leading_before = None;
        let mut group = Span::empty(unit);
        if self.episode.is_none() {
            self.begin(group.clone(), changes);
            let is_open = unit.entry == Some(Entry::RecoveryPoint);
            self.leading_before = is_open.then_some(unit.running_time);
        }
        group.add(unit);
        self.group = Some(group);
        Verdict::Keep
    }

    fn continue_group(&mut self, unit: &Unit) -> Verdict {
        let leads = self
            .leading_before
            .is_some_and(|begin| unit.running_time < begin);
        match (&mut self.group, &mut self.episode) {
            (Some(_), Some(episode)) if leads && !self.gap => {
                episode.dropped += 1;
                Verdict::Drop
            }
            (Some(group), _) if !self.gap => {
                group.add(unit);
                Verdict::Keep
            }
            _ => {
                self.dropped += 1;
                Verdict::Drop
            }
        }
    }

    fn note_recovery_point(&mut self, unit: &Unit, changes: &mut Vec<Change>) {
        let joined = match (&self.episode, &self.group) {
            (Some(episode), Some(group)) => episode.span.joined(group),
            _ => return,
        };
        if unit.entry == Some(Entry::RecoveryPoint)
            && !self.passed_recovery_point
            && self.exceeds_limit(&joined, unit).is_some()
        {
            self.passed_recovery_point = true;
            changes.push(Change::PassRecoveryPoint);
        }
    }

    /// Whether an episode can begin with an access unit like that.
    pub fn is_keyframe(&self, entry: Entry) -> bool {
        match entry {
            Entry::Idr => true,
            Entry::RecoveryPoint => self.config.keyframes == KeyframeMode::RecoveryPoint,
        }
    }

    /// Notes that a pause precedes the next access unit, which is to be kept even with DISCONT.
    pub fn note_pause(&mut self) {
        self.pause = self.config.gap_detection;
        self.is_after_pause = true;
    }

    /// Counts access units that somebody else dropped before the next one.
    pub fn drop_unseen(&mut self, units: u64) {
        self.dropped += units;
    }

    /// Ends the stream. Gives the number of access units that were dropped since the last IDR.
    pub fn finish(&mut self, changes: &mut Vec<Change>) -> u64 {
        self.settle_group(changes);
        let reason = if self.gap { Reason::Gap } else { Reason::Eos };
        self.end(reason, changes);
        std::mem::take(&mut self.dropped)
    }

    /// The group of pictures is complete: it goes on with the episode, or exceeds it and begins
    /// another one.
    fn settle_group(&mut self, changes: &mut Vec<Change>) {
        let Some(group) = self.group.take() else {
            return;
        };
        if let Some(reason) = self.reason_to_end_without(&group) {
            self.end(reason, changes);
            return self.begin(group, changes);
        }
        if let Some(episode) = &mut self.episode {
            episode.span = episode.span.joined(&group);
        }
    }

    /// Why the episode ends before the keyframe `unit`, if it does.
    fn reason_to_end_before(&self, unit: &Unit) -> Option<Reason> {
        let span = &self.episode.as_ref()?.span;
        if self.gap || self.pause {
            Some(Reason::Gap)
        } else if unit.new_format {
            Some(Reason::Format)
        } else {
            self.exceeds_limit(span, unit)
        }
    }

    /// The limit that `span`, an episode as far as `unit`, has reached.
    fn exceeds_limit(&self, span: &Span, unit: &Unit) -> Option<Reason> {
        let elapsed = span.elapsed(unit);
        let Config { duration, size, .. } = self.config;
        if duration.is_some_and(|limit| elapsed.saturating_add(self.frame / 2) >= limit) {
            Some(Reason::Duration)
        } else if size.is_some_and(|limit| span.file_size() >= limit) {
            Some(Reason::Size)
        } else {
            None
        }
    }

    /// Why the episode ends before the complete group `group`, if it does. It has one group at
    /// least, however long.
    fn reason_to_end_without(&self, group: &Span) -> Option<Reason> {
        let span = &self.episode.as_ref()?.span;
        if self.config.mode != SplitMode::AtMost || span.is_empty() {
            return None;
        }
        let with = span.joined(group);
        let Config { duration, size, .. } = self.config;
        if duration.is_some_and(|limit| with.duration() > limit.saturating_add(self.frame / 2)) {
            Some(Reason::Duration)
        } else if size.is_some_and(|limit| with.file_size() > limit) {
            Some(Reason::Size)
        } else {
            None
        }
    }

    fn begin(&mut self, span: Span, changes: &mut Vec<Change>) {
        let index = self.next_index;
        let dropped = std::mem::take(&mut self.dropped);
        self.next_index += 1;
        changes.push(Change::Begin {
            cut: index > 0,
            index,
            running_time: span.start,
            capture: span.capture,
            dropped,
        });
        self.episode = Some(Running {
            index,
            dropped,
            span,
        });
    }

    fn end(&mut self, reason: Reason, changes: &mut Vec<Change>) {
        let Some(episode) = self.episode.take() else {
            return;
        };
        changes.push(Change::End(Episode {
            index: episode.index,
            capture: episode.span.capture,
            duration: episode.span.duration(),
            frames: episode.span.frames,
            hidden: episode.span.hidden,
            shown: episode.span.parts(),
            dropped: episode.dropped,
            reason,
        }));
    }
}

#[cfg(test)]
mod tests;
