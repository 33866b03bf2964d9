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
    /// What of them is shown.
    shown: Vec<Range<ClockTime>>,
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
            is_all_shown: true,
            frames: 0,
            hidden: 0,
            bytes: 0,
            capture: unit.capture,
        }
    }

    fn add(&mut self, unit: &Unit) {
        let is_cut = !unit.lead.is_zero();
        self.is_all_shown &= unit.is_shown && !is_cut;
        if self.begins_part(unit) {
            self.shown.push(unit.shown_from()..unit.shown_from());
        }
        if let Some(part) = self.shown.last_mut().filter(|_| unit.is_shown) {
            let end = unit.running_time.saturating_add(unit.duration);
            part.end = part.end.max(end);
        }
        self.frames += u64::from(unit.is_shown);
        self.hidden += u64::from(!unit.is_shown);
        self.bytes += unit.bytes;
    }

    /// Whether another part is shown from this access unit on, after something that is not.
    fn begins_part(&self, unit: &Unit) -> bool {
        let is_cut = !unit.lead.is_zero();
        let last = self.shown.last();
        last.is_none_or(|last| is_cut && last.start != unit.shown_from())
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
            is_all_shown: self.is_all_shown && next.is_all_shown,
            frames: self.frames + next.frames,
            hidden: self.hidden + next.hidden,
            bytes: self.bytes + next.bytes,
            capture: self.capture,
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
        if unit.discont && self.config.gap_detection {
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
        if self.gap {
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
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const MS: ClockTime = ClockTime::MSECOND;
    const FRAME: ClockTime = ClockTime::from_mseconds(100);

    /// An episode as tests compare it: begin in ms, duration in ms, frames, reason.
    type Summary = (u64, u64, u64, Reason);

    fn unit(index: u64) -> Unit {
        Unit {
            entry: index.is_multiple_of(10).then_some(Entry::Idr),
            discont: false,
            new_format: false,
            running_time: index * FRAME,
            lead: ClockTime::ZERO,
            is_shown: true,
            duration: FRAME,
            bytes: 1000,
            capture: None,
        }
    }

    /// `groups` groups of ten frames, a second each.
    fn groups(groups: u64) -> Vec<Unit> {
        (0..groups * 10).map(unit).collect()
    }

    fn changes(config: Config, units: &[Unit]) -> Vec<Change> {
        let mut policy = Policy::new(config);
        let mut changes = Vec::new();
        for unit in units {
            policy.push(unit, &mut changes);
        }
        policy.finish(&mut changes);
        changes
    }

    fn run(config: Config, units: &[Unit]) -> Vec<Summary> {
        summarise(&changes(config, units))
    }

    fn summarise(changes: &[Change]) -> Vec<Summary> {
        let mut begins = VecDeque::new();
        let mut summaries = Vec::new();
        for change in changes {
            match change {
                Change::Begin {
                    cut,
                    index,
                    running_time,
                    ..
                } => {
                    assert_eq!(*cut, *index > 0);
                    begins.push_back((*index, *running_time));
                }
                Change::End(episode) => {
                    let (index, begin) = begins.pop_front().expect("no end without a begin");
                    assert_eq!(index, episode.index);
                    summaries.push((
                        begin.mseconds(),
                        episode.duration.mseconds(),
                        episode.frames,
                        episode.reason,
                    ));
                }
                Change::PassRecoveryPoint => {}
            }
        }
        assert!(begins.is_empty());
        summaries
    }

    /// A unit of which nothing is shown before a time.
    fn from(index: u64, shown_from: ClockTime) -> Unit {
        let unit = unit(index);
        Unit {
            lead: shown_from.saturating_sub(unit.running_time),
            is_shown: unit.running_time + FRAME > shown_from,
            ..unit
        }
    }

    fn episodes(config: Config, units: &[Unit]) -> Vec<Episode> {
        let ends = changes(config, units)
            .into_iter()
            .filter_map(|change| match change {
                Change::End(episode) => Some(episode),
                _ => None,
            });
        ends.collect()
    }

    #[test]
    fn all_of_an_episode_is_shown() {
        let episode = &episodes(Config::default(), &groups(2))[0];
        assert_eq!((episode.shown.as_ref(), episode.hidden), (None, 0));
    }

    #[test]
    fn what_leads_in_is_not_shown() {
        // From the middle of the fifth frame on.
        let units: Vec<_> = (0..30).map(|index| from(index, 450 * MS)).collect();
        let config = Config {
            duration: Some(1000 * MS),
            ..Default::default()
        };
        let episodes = episodes(config, &units);
        // At 1 s half a second is shown.
        let [first, second] = &episodes[..] else {
            panic!("{episodes:?}");
        };
        assert_eq!((first.frames, first.hidden), (16, 4));
        assert_eq!(first.duration, 1550 * MS);
        assert_eq!(first.shown, Some(vec![450 * MS..2000 * MS]));
        assert_eq!((second.frames, second.hidden), (10, 0));
        assert_eq!(second.shown, None);
    }

    #[test]
    fn parts_of_an_episode_with_something_between() {
        let mut units: Vec<_> = (0..10).map(unit).collect();
        units.extend((10..20).map(|index| from(index, 1300 * MS)));
        units.extend((20..30).map(unit));
        for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
            let config = Config {
                mode,
                ..Default::default()
            };
            let episode = &episodes(config, &units)[0];
            assert_eq!((episode.frames, episode.hidden), (27, 3));
            assert_eq!(episode.duration, 2700 * MS);
            let parts = vec![ClockTime::ZERO..1000 * MS, 1300 * MS..3000 * MS];
            assert_eq!(episode.shown, Some(parts));
        }
        // The third group makes it too long, the second one would not.
        let config = Config {
            mode: SplitMode::AtMost,
            duration: Some(2000 * MS),
            ..Default::default()
        };
        let durations: Vec<_> = episodes(config, &units)
            .iter()
            .map(|episode| episode.duration)
            .collect();
        assert_eq!(durations, [1700 * MS, 1000 * MS]);
    }

    #[test]
    fn what_comes_after_the_end_is_not_shown() {
        let mut units: Vec<_> = (0..10).map(unit).collect();
        for last in &mut units[8..] {
            last.is_shown = false;
        }
        let episode = &episodes(Config::default(), &units)[0];
        assert_eq!((episode.frames, episode.hidden), (8, 2));
        assert_eq!(episode.shown, Some(vec![ClockTime::ZERO..800 * MS]));
    }

    fn durations(config: Config, units: &[Unit]) -> Vec<u64> {
        run(config, units).iter().map(|episode| episode.1).collect()
    }

    fn limit(mode: SplitMode, mseconds: u64) -> Config {
        Config {
            mode,
            duration: Some(mseconds * MS),
            gap_detection: true,
            ..Default::default()
        }
    }

    #[test]
    fn no_limit_is_one_episode() {
        assert_eq!(
            run(Config::default(), &groups(6)),
            [(0, 6000, 60, Reason::Eos)]
        );
    }

    #[test]
    fn next_keyframe() {
        let durations = |limit_ms| durations(limit(SplitMode::NextKeyframe, limit_ms), &groups(6));
        assert_eq!(durations(2000), [2000, 2000, 2000]);
        assert_eq!(durations(2500), [3000, 3000]);
        assert_eq!(durations(500), [1000; 6]);
        assert_eq!(durations(60_000), [6000]);
    }

    #[test]
    fn at_most() {
        let durations = |limit_ms| durations(limit(SplitMode::AtMost, limit_ms), &groups(6));
        assert_eq!(durations(2000), [2000, 2000, 2000]);
        assert_eq!(durations(2500), [2000, 2000, 2000]);
        assert_eq!(durations(500), [1000; 6]);
        assert_eq!(durations(5500), [5000, 1000]);
        assert_eq!(durations(60_000), [6000]);
    }

    #[test]
    fn jitter_changes_nothing() {
        for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
            let mut units = groups(6);
            for (index, unit) in units.iter_mut().enumerate().skip(1) {
                match index % 3 {
                    0 => unit.running_time += MS,
                    1 => unit.running_time = unit.running_time.saturating_sub(MS),
                    _ => {}
                }
            }
            let frames: Vec<_> = run(limit(mode, 2000), &units)
                .iter()
                .map(|episode| episode.2)
                .collect();
            assert_eq!(frames, [20, 20, 20], "{mode:?}");
        }
    }

    #[test]
    fn size_by_mode() {
        let group = BYTES_PER_FRAME * 10 + 10_000;
        let config = |mode, groups| Config {
            mode,
            size: Some(BYTES_PER_FILE + group * groups),
            ..Default::default()
        };
        let next = durations(config(SplitMode::NextKeyframe, 2), &groups(6));
        assert_eq!(next, [2000, 2000, 2000]);
        let mut just_more = config(SplitMode::NextKeyframe, 2);
        just_more.size = just_more.size.map(|size| size + 1);
        assert_eq!(durations(just_more.clone(), &groups(6)), [3000, 3000]);
        just_more.mode = SplitMode::AtMost;
        assert_eq!(durations(just_more, &groups(6)), [2000, 2000, 2000]);
        assert_eq!(
            run(config(SplitMode::AtMost, 2), &groups(4))[0].3,
            Reason::Size
        );
    }

    #[test]
    fn whichever_limit_comes_first() {
        let mut config = limit(SplitMode::NextKeyframe, 3000);
        config.size = Some(15_000);
        let reasons = |config: Config| -> Vec<_> {
            let episodes = run(config, &groups(6));
            episodes
                .iter()
                .map(|episode| (episode.1, episode.3))
                .collect()
        };
        assert_eq!(
            reasons(config.clone()),
            [
                (2000, Reason::Size),
                (2000, Reason::Size),
                (2000, Reason::Eos)
            ]
        );
        config.size = Some(100_000);
        assert_eq!(
            reasons(config),
            [(3000, Reason::Duration), (3000, Reason::Eos)]
        );
    }

    #[test]
    fn a_gap_ends_an_episode() {
        let mut units = groups(4);
        units[20].discont = true;
        let config = limit(SplitMode::NextKeyframe, 3000);
        assert_eq!(
            run(config.clone(), &units),
            [(0, 2000, 20, Reason::Gap), (2000, 2000, 20, Reason::Eos)]
        );
        let without = Config {
            gap_detection: false,
            ..config
        };
        assert_eq!(durations(without, &units), [3000, 1000]);
    }

    #[test]
    fn at_most_settles_the_group_before_a_gap() {
        let mut units = groups(5);
        units[30].discont = true;
        let episodes = run(limit(SplitMode::AtMost, 2500), &units);
        assert_eq!(
            episodes,
            [
                (0, 2000, 20, Reason::Duration),
                (2000, 1000, 10, Reason::Gap),
                (3000, 2000, 20, Reason::Eos)
            ]
        );
    }

    #[test]
    fn after_a_gap_an_idr_is_awaited() {
        let mut units = groups(4);
        units[15].discont = true;
        let mut policy = Policy::new(limit(SplitMode::NextKeyframe, 60_000));
        let mut changes = Vec::new();
        let dropped = units
            .iter()
            .filter(|unit| policy.push(unit, &mut changes) == Verdict::Drop)
            .count();
        policy.finish(&mut changes);
        assert_eq!(dropped, 5);
        let [.., Change::End(last)] = &changes[..] else {
            panic!("{changes:?}");
        };
        assert_eq!((last.dropped, last.frames), (5, 20));
        assert_eq!(
            summarise(&changes),
            [(0, 1500, 15, Reason::Gap), (2000, 2000, 20, Reason::Eos)]
        );
    }

    #[test]
    fn a_gap_without_an_idr_after_it_ends_an_episode() {
        let mut units = groups(2);
        units.truncate(19);
        units[15].discont = true;
        assert_eq!(
            run(limit(SplitMode::AtMost, 60_000), &units),
            [(0, 1500, 15, Reason::Gap)]
        );
    }

    #[test]
    fn what_precedes_the_first_idr_is_dropped() {
        let units = &groups(2)[7..];
        let mut policy = Policy::new(Config::default());
        let mut changes = Vec::new();
        for unit in units {
            policy.push(unit, &mut changes);
        }
        assert_eq!(policy.finish(&mut changes), 0);
        assert_eq!(summarise(&changes), [(1000, 1000, 10, Reason::Eos)]);
    }

    #[test]
    fn no_idr_no_episode() {
        let mut policy = Policy::new(Config::default());
        let mut changes = Vec::new();
        for index in 1..8 {
            assert_eq!(policy.push(&unit(index), &mut changes), Verdict::Drop);
        }
        assert_eq!(policy.finish(&mut changes), 7);
        assert!(changes.is_empty());
    }

    #[test]
    fn a_new_format_ends_an_episode() {
        let mut units = groups(2);
        units[10].new_format = true;
        assert_eq!(
            run(limit(SplitMode::AtMost, 60_000), &units),
            [(0, 1000, 10, Reason::Format), (1000, 1000, 10, Reason::Eos)]
        );
    }

    #[test]
    fn cuts_come_in_growing_order() {
        let mut units = groups(30);
        for index in [70, 130, 190] {
            units[index].discont = true;
        }
        for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
            let begins: Vec<_> = run(limit(mode, 2500), &units)
                .iter()
                .map(|episode| episode.0)
                .collect();
            assert!(
                begins.windows(2).all(|pair| pair[0] < pair[1]),
                "{begins:?}"
            );
        }
    }

    /// Open groups of ten frames, of which two lead the recovery point in output order.
    fn open_groups(groups: u64) -> Vec<Unit> {
        let mut units = self::groups(groups);
        for group in 1..units.len() / 10 {
            let [recovery, first, second] = [0, 1, 2].map(|at| group * 10 + at);
            units[recovery].entry = Some(Entry::RecoveryPoint);
            for (unit, shown) in [(recovery, second), (first, recovery), (second, first)] {
                units[unit].running_time = shown as u64 * FRAME;
            }
        }
        units
    }

    #[test]
    fn without_keyframes_one_episode_and_one_word_about_it() {
        let mut policy = Policy::new(limit(SplitMode::NextKeyframe, 1000));
        let mut changes = Vec::new();
        for unit in open_groups(4) {
            assert_eq!(policy.push(&unit, &mut changes), Verdict::Keep);
        }
        policy.finish(&mut changes);
        assert_eq!(summarise(&changes), [(0, 4000, 40, Reason::Eos)]);
        let passed = |change: &&Change| **change == Change::PassRecoveryPoint;
        assert_eq!(changes.iter().filter(passed).count(), 1);

        let unlimited = Config::default();
        let mut policy = Policy::new(unlimited);
        changes.clear();
        for unit in open_groups(4) {
            policy.push(&unit, &mut changes);
        }
        assert_eq!(changes.iter().filter(passed).count(), 0);
    }

    #[test]
    fn an_episode_that_begins_with_a_recovery_point_lacks_what_leads_it() {
        let mut config = limit(SplitMode::NextKeyframe, 2000);
        config.keyframes = KeyframeMode::RecoveryPoint;
        let mut policy = Policy::new(config);
        let mut changes = Vec::new();
        let dropped: Vec<_> = (0..)
            .zip(open_groups(4))
            .filter(|(_, unit)| policy.push(unit, &mut changes) == Verdict::Drop)
            .map(|(index, _)| index)
            .collect();
        policy.finish(&mut changes);
        // Those of the second group are in an episode with the first one.
        assert_eq!(dropped, [21, 22]);
        assert_eq!(
            summarise(&changes),
            [
                (0, 2000, 20, Reason::Duration),
                (2200, 1800, 18, Reason::Eos)
            ]
        );
        let dropped: Vec<_> = (changes.iter())
            .filter_map(|change| match change {
                Change::End(episode) => Some(episode.dropped),
                _ => None,
            })
            .collect();
        assert_eq!(dropped, [0, 2]);
    }
}
