// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Policy that decides where an episode begins and ends.
//!
//! An episode begins with a keyframe, an IDR access unit or (as [`KeyframeMode`] says) a recovery point
//! or an intra picture, and consists of whole groups of pictures. It ends at a gap, where the format
//! changes, and at its limits: in [`SplitMode::NextKeyframe`] at the first keyframe at or after a
//! limit, in [`SplitMode::AtMost`] before the group that would exceed it.
//!
//! Times are running times. They are compared with half a frame of tolerance, as the times of
//! cameras are not exact.

use std::ops::Range;

use super::modes::{KeyframeMode, SplitMode};
use crate::time::{CaptureTime, Nanos};

/// Bytes that a sample costs in a file besides its own: entries of `stsz`, `stts`, `ctts`, `stco`.
const BYTES_PER_FRAME: u64 = 24;
/// Bytes that a file costs besides its samples: `ftyp`, `moov` and their boxes.
const BYTES_PER_FILE: u64 = 1024;

/// The limits of episodes, and other reasons to end one.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Position of cuts relative to the limits.
    pub mode: SplitMode,
    /// Access units with which an episode can begin.
    pub keyframes: KeyframeMode,
    /// Limit of the duration; `None` for no limit.
    pub duration: Option<Nanos>,
    /// Limit of the size in bytes; `None` for no limit.
    pub size: Option<u64>,
    /// Episodes end at gaps.
    pub gap_detection: bool,
}

/// An access unit as the policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// Kind of entry point; `None` if decoding cannot begin here.
    pub entry: Option<Entry>,
    /// There may be something missing before it.
    pub discont: bool,
    /// Its format is another one than that of the unit before; changes only at an IDR.
    pub new_format: bool,
    /// Running time of its PTS.
    pub running_time: Nanos,
    /// Running time of its DTS.
    pub decode_time: Nanos,
    /// Number of the segment that it belongs to; grows.
    pub segment: u64,
    /// Position relative to the part of the segment that is shown.
    pub visibility: Visibility,
    /// It is damaged, or refers to pictures that are missing.
    pub corrupted: bool,
    /// Time that the picture is shown for.
    pub duration: Nanos,
    /// Size in bytes.
    pub bytes: u64,
    /// Capture time since the Unix epoch, if it is known.
    pub capture: Option<CaptureTime>,
}

/// Visibility of a picture. Its start time alone decides, not its duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// It is before the first picture of its segment that is shown.
    Before,
    /// The picture is shown.
    Shown,
    /// It is after the last one.
    After,
}

/// Kind of entry point for decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing that follows needs anything before it.
    Idr,
    /// Pictures that are shown before it, but decoded after it, may refer to pictures before it.
    RecoveryPoint,
    /// The same of a picture that has only I slices, and no recovery point.
    Intra,
    /// A recovery point with a refresh after it. The pictures of the refresh are hidden, so that none
    /// of them needs anything that precedes it.
    Refresh,
}

/// Reason for which an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The limit of the duration.
    Duration,
    /// The limit of the size.
    Size,
    /// A gap or a pause.
    Gap,
    /// A change of the format.
    Format,
    /// The longest time that a file can count has nearly passed.
    Length,
    /// The end of the stream.
    Eos,
}

impl Reason {
    /// Returns the reason as messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Gap => "gap",
            Self::Format => "format",
            Self::Length => "length",
            Self::Eos => "eos",
        }
    }
}

/// Change of episodes. Changes are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An episode begins with a keyframe: the access unit that was pushed, or that of the group that it completes.
    Begin {
        /// Number of the episode, from 0.
        index: u32,
        /// Running time of the keyframe.
        running_time: Nanos,
        /// Capture time of the first frame since the Unix epoch.
        capture: Option<CaptureTime>,
        /// Access units before it that could not be decoded.
        dropped: u64,
    },
    /// The episode has all its frames.
    End(Episode),
    /// At this access unit the episode would end in another keyframe mode. Once.
    PassEntry(KeyframeMode),
}

/// An episode that has all its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Number of the episode, from 0.
    pub index: u32,
    /// Capture time of the first frame that is shown, since the Unix epoch.
    pub capture: Option<CaptureTime>,
    /// Duration of the part that is shown.
    pub duration: Nanos,
    /// Access units that are shown.
    pub frames: u64,
    /// Access units that only a decoder needs.
    pub hidden: u64,
    /// Access units among them all that are damaged, or refer to pictures that are missing.
    pub corrupted: u64,
    /// Running time of the DTS of its first access unit.
    pub decode_start: Nanos,
    /// Running times of the parts that are shown.
    pub shown: Vec<Range<Nanos>>,
    /// Access units before its first frame, in output order, that could not be decoded.
    pub dropped: u64,
    /// Reason for which the episode ended.
    pub reason: Reason,
}

impl Episode {
    /// Returns the number of access units in it, whether shown or not.
    pub fn samples(&self) -> u64 {
        self.frames + self.hidden
    }
}

/// Decision about an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The access unit is part of an episode.
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
    /// The episode began with the recovery point at this time, and its group is not complete:
    /// pictures that are shown before it need the group before.
    leading_before: Option<Nanos>,
    has_passed_entry: bool,
    /// The next keyframe ends the episode for this reason.
    forced: Option<Reason>,
    /// Longest time that a file can count.
    max_span: Option<Nanos>,
    /// The longest group of pictures so far.
    longest_group: Nanos,
    /// The least permissive keyframe mode in which entries were seen that this one does not accept.
    passed_mode: Option<KeyframeMode>,
    /// Drops access units up to the next keyframe, which begins an episode. The one before ends
    /// for this reason.
    broken: Option<Reason>,
    /// There was a pause: the next keyframe begins an episode, and pictures before it are kept.
    pause: bool,
    /// It was right before the next access unit.
    is_after_pause: bool,
    next_index: u32,
    dropped: u64,
    frame: Nanos,
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
    start: Nanos,
    /// Running time of the DTS of the first one.
    decode_start: Nanos,
    /// The running time at which the latest one ends.
    end: Nanos,
    /// Its segments, in order.
    parts: Vec<EpisodePart>,
    frames: u64,
    hidden: u64,
    corrupted: u64,
    bytes: u64,
}

/// Access units of one segment.
#[derive(Debug, Clone)]
struct EpisodePart {
    segment: u64,
    /// The earliest running time.
    begin: Nanos,
    shown: Option<Shown>,
    /// There are access units before the first one that is shown.
    hidden_before: bool,
    /// The earliest running time of those after it.
    hidden_after: Option<Nanos>,
}

/// The access units of a segment that are shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    start: Nanos,
    /// Capture time of the one at `start`.
    capture: Option<CaptureTime>,
    /// The running time of the latest one, and the end of that.
    last: Nanos,
    end: Nanos,
}

impl Shown {
    fn joined(self, other: Self) -> Self {
        let first = if other.start < self.start {
            other
        } else {
            self
        };
        let last = if other.last >= self.last { other } else { self };
        Self {
            start: first.start,
            capture: first.capture,
            last: last.last,
            end: last.end,
        }
    }
}

impl EpisodePart {
    fn new(unit: &Unit) -> Self {
        let shown = Shown {
            start: unit.running_time,
            capture: unit.capture,
            last: unit.running_time,
            end: unit.running_time.saturating_add(unit.duration),
        };
        Self {
            segment: unit.segment,
            begin: unit.running_time,
            shown: (unit.visibility == Visibility::Shown).then_some(shown),
            hidden_before: unit.visibility == Visibility::Before,
            hidden_after: (unit.visibility == Visibility::After).then_some(unit.running_time),
        }
    }

    /// Adds access units of the same segment.
    fn join(&mut self, other: &Self) {
        self.begin = self.begin.min(other.begin);
        self.shown = match (self.shown, other.shown) {
            (Some(own), Some(other)) => Some(own.joined(other)),
            (own, other) => own.or(other),
        };
        self.hidden_before |= other.hidden_before;
        let after = [self.hidden_after, other.hidden_after];
        self.hidden_after = after.into_iter().flatten().min();
    }
}

impl Span {
    /// Returns an empty span that begins with `unit`.
    fn empty(unit: &Unit) -> Self {
        Self {
            start: unit.running_time,
            decode_start: unit.decode_time,
            end: unit.running_time,
            parts: Vec::new(),
            frames: 0,
            hidden: 0,
            corrupted: 0,
            bytes: 0,
        }
    }

    fn add(&mut self, unit: &Unit) {
        self.put_part(&EpisodePart::new(unit));
        let is_shown = unit.visibility == Visibility::Shown;
        self.end = self
            .end
            .max(unit.running_time.saturating_add(unit.duration));
        self.frames += u64::from(is_shown);
        self.hidden += u64::from(!is_shown);
        self.corrupted += u64::from(unit.corrupted);
        self.bytes += unit.bytes;
    }

    fn put_part(&mut self, part: &EpisodePart) {
        match self.parts.last_mut() {
            Some(last) if last.segment == part.segment => last.join(part),
            _ => self.parts.push(part.clone()),
        }
    }

    fn joined(&self, next: &Self) -> Self {
        let mut joined = self.clone();
        next.parts.iter().for_each(|part| joined.put_part(part));
        joined.end = self.end.max(next.end);
        joined.frames += next.frames;
        joined.hidden += next.hidden;
        joined.corrupted += next.corrupted;
        joined.bytes += next.bytes;
        joined
    }

    /// Returns the parts that are shown, without the hidden access units of one segment that come between.
    fn shown(&self) -> Vec<Range<Nanos>> {
        let mut ranges: Vec<Range<Nanos>> = Vec::new();
        let mut is_hidden_between = false;
        for part in &self.parts {
            is_hidden_between |= part.hidden_before;
            if let Some(last) = ranges.last_mut().filter(|_| is_hidden_between) {
                last.end = last.end.min(part.begin).max(last.start);
            }
            if let Some(shown) = part.shown {
                let end = part
                    .hidden_after
                    .map_or(shown.end, |after| after.min(shown.end));
                match ranges.last_mut() {
                    // A segment may begin before the end of the one before it.
                    Some(last) if !is_hidden_between => last.end = last.end.max(end),
                    _ => ranges.push(shown.start..end.max(shown.start)),
                }
                is_hidden_between = false;
            }
            is_hidden_between |= part.hidden_after.is_some();
        }
        ranges
    }

    fn duration(&self) -> Nanos {
        duration(&self.shown())
    }

    /// Returns the capture time of the first frame that is shown, or `None`.
    fn capture(&self) -> Option<CaptureTime> {
        self.first_shown()?.capture
    }

    fn first_shown(&self) -> Option<Shown> {
        self.parts.iter().find_map(|part| part.shown)
    }

    /// Returns how long it is shown until `unit` begins.
    fn elapsed(&self, unit: &Unit) -> Nanos {
        let shown = self.shown();
        let continues = self.parts.last().is_some_and(|part| {
            part.shown.is_some()
                && (part.segment == unit.segment
                    || unit.visibility != Visibility::Before && part.hidden_after.is_none())
        });
        match shown.split_last() {
            Some((last, before)) if continues => {
                let in_last = unit.running_time.saturating_sub(last.start);
                duration(before).saturating_add(in_last)
            }
            _ => duration(&shown),
        }
    }

    fn is_empty(&self) -> bool {
        self.frames + self.hidden == 0
    }

    fn file_size(&self) -> u64 {
        BYTES_PER_FILE + self.bytes + BYTES_PER_FRAME * (self.frames + self.hidden)
    }
}

/// Returns how long parts are together.
fn duration(parts: &[Range<Nanos>]) -> Nanos {
    parts.iter().fold(Nanos::ZERO, |sum, part| {
        sum.saturating_add(part.end.saturating_sub(part.start))
    })
}

impl Policy {
    /// Returns a policy with no episode yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ..Default::default()
        }
    }

    /// Removes the limits of duration and size: what follows belongs to the running episode, unless a gap or another
    /// format ends it.
    pub fn lift_limits(&mut self) {
        self.config.duration = None;
        self.config.size = None;
    }

    /// Sets the longest time that the file of the running episode can count.
    pub fn set_max_span(&mut self, span: Nanos) {
        self.max_span = Some(span);
    }

    /// Takes the next access unit in decoding order and appends its changes to `changes`.
    pub fn push(&mut self, unit: &Unit, changes: &mut Vec<Change>) -> Verdict {
        if !unit.duration.is_zero() {
            self.frame = unit.duration;
        }
        let is_after_pause = std::mem::take(&mut self.is_after_pause);
        if unit.discont && self.config.gap_detection && !is_after_pause {
            self.broken.get_or_insert(Reason::Gap);
        }
        if !unit.entry.is_some_and(|entry| self.is_keyframe(entry)) {
            self.note_entry(unit, changes);
            return self.continue_group(unit);
        }

        self.settle_group(changes);
        if let Some(reason) = self.reason_to_end_before(unit) {
            self.end(reason, changes);
        }
        self.broken = None;
        self.pause = false;
        self.forced = None;
        self.leading_before = None;
        let mut group = Span::empty(unit);
        if self.episode.is_none() {
            self.begin(group.clone(), unit.capture, changes);
            let is_open = matches!(unit.entry, Some(Entry::RecoveryPoint | Entry::Intra));
            self.leading_before = is_open.then_some(unit.running_time);
        }
        group.add(unit);
        self.group = Some(group);
        Verdict::Keep
    }

    /// Returns whether an episode would begin with `unit` if it was a keyframe.
    pub fn would_begin_with(&self, unit: &Unit) -> bool {
        match (&self.episode, &self.group) {
            (Some(_), _) if self.broken.is_some() => true,
            (Some(episode), Some(group)) => {
                let span = episode.span.joined(group);
                self.exceeds_limit(&span, unit).is_some()
            }
            _ => true,
        }
    }

    /// Has the next keyframe begin an episode, as [`would_begin_with`](Self::would_begin_with) said of
    /// `unit`.
    pub fn force(&mut self, unit: &Unit) {
        if let (Some(episode), Some(group)) = (&self.episode, &self.group) {
            self.forced = self.exceeds_limit(&episode.span.joined(group), unit);
        }
    }

    /// Returns running time and capture time of the first picture that the running episode shows.
    pub fn first_shown(&self) -> Option<(Nanos, Option<CaptureTime>)> {
        let episode = self.episode.as_ref()?;
        let group = self.group.as_ref().and_then(Span::first_shown);
        let first = match (episode.span.first_shown(), group) {
            (Some(first), _) => first,
            (None, group) => group?,
        };
        Some((first.start, first.capture))
    }

    /// Returns the running time of the first DTS of the group of pictures that is not complete yet.
    pub fn group_start(&self) -> Option<Nanos> {
        self.group.as_ref().map(|group| group.decode_start)
    }

    /// Returns the keyframe mode in which a stream without keyframes would have some.
    pub fn helpful_mode(&self) -> Option<KeyframeMode> {
        self.passed_mode
    }

    fn continue_group(&mut self, unit: &Unit) -> Verdict {
        let leads = self
            .leading_before
            .is_some_and(|begin| unit.running_time < begin);
        match (&mut self.group, &mut self.episode) {
            (Some(_), Some(episode)) if leads && self.broken.is_none() => {
                episode.dropped += 1;
                Verdict::Drop
            }
            (Some(group), _) if self.broken.is_none() => {
                group.add(unit);
                Verdict::Keep
            }
            _ => {
                self.dropped += 1;
                Verdict::Drop
            }
        }
    }

    fn note_entry(&mut self, unit: &Unit, changes: &mut Vec<Change>) {
        let mode = match unit.entry {
            Some(Entry::RecoveryPoint | Entry::Refresh) => KeyframeMode::RecoveryPoint,
            Some(Entry::Intra) => KeyframeMode::Intra,
            Some(Entry::Idr) | None => return,
        };
        self.passed_mode = match self.passed_mode {
            Some(KeyframeMode::RecoveryPoint) => Some(KeyframeMode::RecoveryPoint),
            _ => Some(mode),
        };
        let joined = match (&self.episode, &self.group) {
            (Some(episode), Some(group)) => episode.span.joined(group),
            _ => return,
        };
        if !self.has_passed_entry && self.exceeds_limit(&joined, unit).is_some() {
            self.has_passed_entry = true;
            changes.push(Change::PassEntry(mode));
        }
    }

    /// Returns whether an episode can begin with an access unit like that.
    pub fn is_keyframe(&self, entry: Entry) -> bool {
        let mode = self.config.keyframes;
        match entry {
            Entry::Idr => true,
            Entry::RecoveryPoint | Entry::Refresh => mode != KeyframeMode::Idr,
            Entry::Intra => mode == KeyframeMode::Intra,
        }
    }

    /// Notes that a pause precedes the next access unit, which is to be kept even with DISCONT.
    pub fn note_pause(&mut self) {
        self.pause = self.config.gap_detection;
        self.is_after_pause = true;
    }

    /// Ends the episode before the next access unit, which is too far away for its file. Access units are
    /// dropped until the next keyframe.
    pub fn break_off(&mut self) {
        self.broken.get_or_insert(Reason::Length);
    }

    /// Takes back that access units were dropped, as an episode has them.
    pub fn restore(&mut self, units: u64) {
        self.dropped = self.dropped.saturating_sub(units);
    }

    /// Counts access units that were dropped elsewhere before the next one.
    pub fn drop_unseen(&mut self, units: u64) {
        self.dropped += units;
    }

    /// Ends the stream. Gives the number of access units that were dropped since the last IDR.
    pub fn finish(&mut self, changes: &mut Vec<Change>) -> u64 {
        self.settle_group(changes);
        self.end(self.broken.unwrap_or(Reason::Eos), changes);
        std::mem::take(&mut self.dropped)
    }

    /// Completes the group of pictures: it continues the episode, or exceeds it and begins
    /// another one.
    fn settle_group(&mut self, changes: &mut Vec<Change>) {
        let Some(group) = self.group.take() else {
            return;
        };
        let length = group.end.saturating_sub(group.start);
        self.longest_group = self.longest_group.max(length);
        if let Some(reason) = self.reason_to_end_without(&group) {
            self.end(reason, changes);
            let capture = group.capture();
            return self.begin(group, capture, changes);
        }
        if let Some(episode) = &mut self.episode {
            episode.span = episode.span.joined(&group);
        }
    }

    /// Returns the reason for which the episode ends before the keyframe `unit`, if it does.
    fn reason_to_end_before(&self, unit: &Unit) -> Option<Reason> {
        let span = &self.episode.as_ref()?.span;
        if let Some(reason) = self.broken {
            Some(reason)
        } else if self.pause {
            Some(Reason::Gap)
        } else if unit.new_format {
            Some(Reason::Format)
        } else {
            self.forced.or_else(|| self.exceeds_limit(span, unit))
        }
    }

    /// Returns the limit that `span`, an episode as far as `unit`, has reached.
    fn exceeds_limit(&self, span: &Span, unit: &Unit) -> Option<Reason> {
        let elapsed = span.elapsed(unit);
        let Config { duration, size, .. } = self.config;
        if duration.is_some_and(|limit| elapsed.saturating_add(self.frame / 2) >= limit) {
            Some(Reason::Duration)
        } else if size.is_some_and(|limit| span.file_size() >= limit) {
            Some(Reason::Size)
        } else {
            // How long the next group gets is not known yet.
            let end = unit.running_time.saturating_add(self.longest_group);
            self.is_too_long(span, end).then_some(Reason::Length)
        }
    }

    /// Returns whether a file that lasts until `end` would be longer than it can count.
    fn is_too_long(&self, span: &Span, end: Nanos) -> bool {
        let length = end.saturating_sub(span.decode_start);
        self.max_span.is_some_and(|limit| length > limit)
    }

    /// Returns the reason for which the episode ends before the complete group `group`, if it does. It has one group at
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
            self.is_too_long(span, group.end).then_some(Reason::Length)
        }
    }

    fn begin(&mut self, span: Span, capture: Option<CaptureTime>, changes: &mut Vec<Change>) {
        let index = self.next_index;
        let dropped = std::mem::take(&mut self.dropped);
        self.next_index += 1;
        changes.push(Change::Begin {
            index,
            running_time: span.start,
            capture,
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
            capture: episode.span.capture(),
            duration: episode.span.duration(),
            frames: episode.span.frames,
            hidden: episode.span.hidden,
            corrupted: episode.span.corrupted,
            decode_start: episode.span.decode_start,
            shown: episode.span.shown(),
            dropped: episode.dropped,
            reason,
        }));
    }
}

#[cfg(test)]
mod tests;
