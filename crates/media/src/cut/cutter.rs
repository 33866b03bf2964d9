// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Carries out cuts: from access units to the begins, samples and ends of episodes.
//!
//! The cutter gets every access unit, asks the policy, and returns the outputs that follow from its
//! decisions, in order: calls of an [`EpisodeWriter`](super::EpisodeWriter), and items that pass between
//! the samples. It does no I/O.

use super::cadence::PtsCadence;
use super::file_times::{FileSettings, FileTimes};
use super::format::Formats;
use super::input::{InputSegment, InputUnit};
use super::modes::{KeyframeMode, SplitMode};
use super::picture_format::DeclaredFormat;
use super::policy::{self, Change, Config, Entry, Policy, Verdict, Visibility};
use super::refresh::Refresh;
use super::writer::{
    CutNotice, CutOutput, CutOutputs, Dropped, EpisodeBegin, EpisodeSample, SampleRole,
};
use crate::codec::h264::ParameterSets;
use crate::mp4::Timescale;
use crate::time::{CaptureTime, Nanos};

/// Bytes of a group of pictures after which it continues in parts: writers may keep groups in memory, and
/// a stream may have a single IDR picture.
const LONG_GROUP: usize = 4 << 20;

/// Duration of a picture without any information.
const FRAME: Nanos = Nanos::from_mseconds(40);

/// Cuts a stream into episodes.
///
/// `P` is the payload of a sample, `D` the declared format of the stream, and `I` an item that passes between
/// samples.
#[derive(Debug)]
pub struct Cutter<P, D, I> {
    policy: Policy,
    formats: Formats<D>,
    /// Running times of the segment that are shown, without `delay`.
    shown: ShownTimes,
    /// Delay of running times of the segment behind the input, for access units that are not shown.
    delay: Nanos,
    /// The same for the next segment.
    next_delay: Nanos,
    /// Counts segments, and refreshes that are pushed again.
    segment_number: u64,
    began: bool,
    has_ended: bool,
    cadence: PtsCadence,
    last_running_time: Nanos,
    times: FileTimes,
    /// The distance after which access units are dropped.
    too_far: Option<Nanos>,
    /// The file that is about to begin.
    opening: Option<Opening<P, D, I>>,
    /// The recovery point with which the running file begins, until it is known what follows: its
    /// DTS has to make up for dropped access units.
    held: Option<HeldSample<P>>,
    /// The refresh that may begin an episode.
    refresh: Option<Refresh<Refreshing<P>>>,
    /// PTS with which the refresh is complete, while pictures that are shown before it are still to come.
    complete_at: Option<Nanos>,
    /// Groups can continue in parts: nothing that has passed is cut off any more.
    parts_groups: bool,
    /// Bytes of the group, or its part.
    group_bytes: usize,
    dropped: u64,
}

/// A file of which not all is known that has to be known at its begin.
#[derive(Debug)]
struct Opening<P, D, I> {
    start: EpisodeStart,
    /// The first access unit is hidden: the capture time is that of one to come.
    awaits_shown: bool,
    /// The next access units decide whether the declared rate is true.
    awaits_distance: bool,
    /// Outputs that follow.
    outputs: CutOutputs<P, D, I>,
}

/// The begin of an episode without its format.
#[derive(Debug)]
struct EpisodeStart {
    index: u32,
    running_time: Nanos,
    capture: Option<CaptureTime>,
    dropped: Dropped,
}

/// An access unit of a refresh.
#[derive(Debug)]
struct Refreshing<P> {
    unit: InputUnit<P>,
    /// The running episode has it.
    is_kept: bool,
}

/// A sample before the times of its file are known.
#[derive(Debug)]
struct HeldSample<P> {
    payload: P,
    bytes: usize,
    /// Times of the input.
    pts: Option<Nanos>,
    dts: Option<Nanos>,
    is_dts_moved: bool,
    running_time: Nanos,
    duration: Nanos,
    capture: Option<CaptureTime>,
    is_keyframe: bool,
    is_hidden: bool,
    is_corrupted: bool,
}

/// Part of a segment that is shown.
#[derive(Debug, Default)]
struct ShownTimes {
    start: Nanos,
    stop: Option<Nanos>,
}

impl ShownTimes {
    /// Returns whether a picture is shown: its start time alone decides.
    fn visibility(&self, pts: Nanos) -> Visibility {
        if pts < self.start {
            Visibility::Before
        } else if self.stop.is_some_and(|stop| pts >= stop) {
            Visibility::After
        } else {
            Visibility::Shown
        }
    }
}

impl<P: Clone, D: DeclaredFormat + Default, I> Cutter<P, D, I> {
    /// Creates a cutter for a stream.
    ///
    /// [`SplitMode::AtMost`] goes with [`KeyframeMode::Idr`] only: pictures that are to be dropped after
    /// another keyframe are handed over before it is known whether an episode begins there.
    pub fn new(config: Config, settings: FileSettings) -> Self {
        Self {
            parts_groups: config.mode == SplitMode::NextKeyframe,
            group_bytes: 0,
            policy: Policy::new(config),
            formats: Formats::default(),
            shown: ShownTimes::default(),
            delay: Nanos::ZERO,
            next_delay: Nanos::ZERO,
            segment_number: 0,
            began: false,
            has_ended: false,
            cadence: PtsCadence::default(),
            last_running_time: Nanos::ZERO,
            times: FileTimes::new(settings),
            too_far: None,
            opening: None,
            held: None,
            refresh: None,
            complete_at: None,
            dropped: 0,
        }
    }

    /// Takes over the declared format of the access units that follow. `sets` are parameter sets beside
    /// the stream, which replace all that came before.
    pub fn declare(
        &mut self,
        declared: D,
        sets: Option<ParameterSets>,
        outputs: &mut CutOutputs<P, D, I>,
    ) {
        self.interrupt(outputs);
        self.formats.declare(declared, sets);
    }

    /// Begins a segment. Returns the delay by which the running times of its samples are later than those
    /// of its access units.
    pub fn begin_segment(
        &mut self,
        segment: InputSegment,
        outputs: &mut CutOutputs<P, D, I>,
    ) -> Nanos {
        self.interrupt(outputs);
        self.segment_number += 1;
        self.cadence.reset();
        self.shown = ShownTimes {
            start: segment.shown_from,
            stop: segment.shown_until,
        };
        self.delay = self.next_delay.saturating_sub(segment.late);
        self.next_delay = self.delay.saturating_add(segment.lead);
        self.delay
    }

    /// Notes that a pause precedes the next access unit, which is to be kept even if it is discontinuous.
    pub fn note_pause(&mut self, outputs: &mut CutOutputs<P, D, I>) {
        self.interrupt(outputs);
        self.policy.note_pause();
    }

    /// Completes what came so far: nothing that follows continues it.
    pub fn interrupt(&mut self, outputs: &mut CutOutputs<P, D, I>) {
        self.release(None, outputs);
        self.end_refresh(outputs);
    }

    /// Passes an item on at its place between the samples.
    pub fn pass(&mut self, item: I, outputs: &mut CutOutputs<P, D, I>) {
        self.order(CutOutput::Notice(CutNotice::Item(item)), outputs);
    }

    /// Appends an output, behind those that wait for the begin of a file.
    fn order(&mut self, output: CutOutput<P, D, I>, outputs: &mut CutOutputs<P, D, I>) {
        match &mut self.opening {
            Some(opening) => opening.outputs.push(output),
            None => outputs.push(output),
        }
    }

    /// Drops everything that came in and is not passed on.
    pub fn flush(&mut self) {
        self.held = None;
        self.refresh = None;
        self.complete_at = None;
    }

    /// Ends a refresh: the next access unit does not continue it.
    fn end_refresh(&mut self, outputs: &mut CutOutputs<P, D, I>) {
        if let Some(complete_at) = self.complete_at {
            self.begin_with_refresh(complete_at, outputs);
        }
        self.refresh = None;
    }

    /// Ends the stream. Returns the access units that were dropped since the last keyframe.
    pub fn finish(&mut self, outputs: &mut CutOutputs<P, D, I>) -> Dropped {
        self.has_ended = true;
        self.interrupt(outputs);
        let mut changes = Vec::new();
        let count = self.policy.finish(&mut changes);
        self.apply(changes, None, outputs);
        self.open(outputs);
        Dropped {
            count,
            distance: self.too_far.take(),
        }
    }

    /// Removes the limits of duration and size from here on.
    pub fn lift_limits(&mut self) {
        self.policy.lift_limits();
    }

    /// Returns the keyframe mode in which a stream without keyframes would have some.
    pub fn helpful_mode(&self) -> Option<KeyframeMode> {
        self.policy.helpful_mode()
    }

    /// Counts access units before the next one that cannot be decoded.
    pub fn drop_undecodable(&mut self, units: u64) {
        self.policy.drop_unseen(units);
        self.dropped += units;
    }

    /// Takes the next access unit in decoding order, and appends to `outputs` what has to be done with
    /// it, and before.
    pub fn push(&mut self, unit: InputUnit<P>, outputs: &mut CutOutputs<P, D, I>) {
        if let Some(pts) = unit.pts {
            self.cadence.push(pts);
        }
        if unit.picture.idr || unit.is_discont {
            self.end_refresh(outputs);
        }
        let mut visibility = None;
        if let Some(complete_at) = self.complete_at {
            if unit.pts.is_none_or(|pts| pts >= complete_at) {
                self.begin_with_refresh(complete_at, outputs);
            }
        } else if self.completes_refresh(&unit) {
            let facts = self.facts(&unit, None, None);
            match unit.pts.filter(|_| self.policy.would_begin_with(&facts)) {
                Some(pts) => {
                    // The episode begins with earlier access units, at which the limit may not be reached.
                    self.policy.force(&facts);
                    if unit.dts.is_none_or(|dts| dts >= pts) {
                        self.begin_with_refresh(pts, outputs);
                    } else {
                        // Pictures that are shown before it may follow. They are in the running episode.
                        self.complete_at = Some(pts);
                        visibility = Some(Visibility::After);
                    }
                }
                None => self.refresh = None,
            }
        }
        let entry = self.entry(&unit);
        let picture = &unit.picture;
        if let Some((start, frames)) = picture.frame_number.zip(picture.recovery_point)
            && frames > 0
            && !picture.idr
            && self.refresh.is_none()
            && self.policy.is_keyframe(Entry::Refresh)
        {
            self.refresh = Some(Refresh::new(start, frames));
        }
        let size = unit.bytes;
        let again = self.refresh.is_some().then(|| unit.clone());
        let verdict = self.feed(unit, entry, visibility, outputs);
        if let (Some(refresh), Some(unit)) = (&mut self.refresh, again) {
            let is_kept = verdict == Verdict::Keep;
            if !refresh.add(Refreshing { unit, is_kept }, size) {
                self.end_refresh(outputs);
            }
        }
    }

    /// Returns how decoding can begin with an access unit, if it can. A refresh is none before it is
    /// complete.
    fn entry(&self, unit: &InputUnit<P>) -> Option<Entry> {
        let is_refreshed = self.policy.is_keyframe(Entry::Refresh);
        match unit.picture.recovery_point {
            _ if unit.picture.idr => Some(Entry::Idr),
            Some(frames) if frames > 0 && is_refreshed => None,
            Some(_) => Some(Entry::RecoveryPoint),
            None => unit.picture.intra.then_some(Entry::Intra),
        }
    }

    /// Returns whether an episode of the refresh can show pictures from an access unit on: they are right,
    /// and the running episode shows none of them.
    fn completes_refresh(&self, unit: &InputUnit<P>) -> bool {
        let refresh = self.refresh.as_ref().zip(unit.picture.frame_number);
        refresh.is_some_and(|(refresh, picture)| {
            let is_shown_after =
                |again: &Refreshing<P>| again.is_kept && again.unit.pts >= unit.pts;
            refresh.is_complete_at(picture) && !refresh.units().iter().any(is_shown_after)
        })
    }

    /// Begins an episode with the access units of the refresh, which the one before has, too. Those before
    /// `complete_at` are hidden.
    fn begin_with_refresh(&mut self, complete_at: Nanos, outputs: &mut CutOutputs<P, D, I>) {
        self.complete_at = None;
        let Some(refresh) = self.refresh.take() else {
            return;
        };
        self.release(None, outputs);
        let mut units = refresh.into_units();
        // Pictures that are shown before the recovery point refer to pictures before it.
        let first = units.first().and_then(|again| again.unit.pts);
        units.retain(|again| again.unit.pts >= first);
        let missed = units.iter().filter(|again| !again.is_kept).count() as u64;
        self.policy.restore(missed);
        self.dropped = self.dropped.saturating_sub(missed);
        // They come later than all before, and so does what follows.
        let begin = units
            .iter()
            .filter_map(|again| again.unit.dts.or(again.unit.pts));
        let begin = begin.min().map(|begin| begin.saturating_add(self.delay));
        let shift = (self.times.end().zip(begin)).map(|(end, begin)| end.saturating_sub(begin));
        if let Some(shift) = shift.filter(|shift| !shift.is_zero()) {
            self.delay = self.delay.saturating_add(shift);
            self.next_delay = self.next_delay.saturating_add(shift);
            self.order(CutOutput::Notice(CutNotice::Delayed(shift)), outputs);
        }
        self.segment_number += 1;
        self.shown.start = self.shown.start.max(complete_at);
        let mut entry = Some(Entry::Refresh);
        for again in units {
            self.feed(again.unit, entry.take(), None, outputs);
        }
    }

    /// Returns the facts about an access unit that the policy needs.
    fn facts(
        &self,
        unit: &InputUnit<P>,
        entry: Option<Entry>,
        visibility: Option<Visibility>,
    ) -> policy::Unit {
        let running_time = |time: Nanos| time.saturating_add(self.delay);
        let time = unit.pts.map_or(self.last_running_time, running_time);
        let visible = visibility.or_else(|| Some(self.shown.visibility(unit.pts?)));
        let picture = &unit.picture;
        let is_new =
            picture.idr && self.began && self.formats.is_new(picture.sps_id, &picture.pps_ids);
        policy::Unit {
            entry,
            discont: unit.is_discont,
            new_format: is_new,
            running_time: time,
            decode_time: unit.dts.or(unit.pts).map_or(time, running_time),
            segment: self.segment_number,
            visibility: visible.unwrap_or(Visibility::Shown),
            corrupted: unit.is_corrupted,
            // Rounded to ticks, a shorter one could be none, and the last picture of a file not shown.
            duration: self.duration(unit.duration).max(self.times.scale().tick()),
            bytes: unit.bytes as u64,
            capture: unit.capture,
        }
    }

    /// Gives an access unit to the policy, and appends to `outputs` what has to be done with it, and
    /// before.
    fn feed(
        &mut self,
        unit: InputUnit<P>,
        entry: Option<Entry>,
        visibility: Option<Visibility>,
        outputs: &mut CutOutputs<P, D, I>,
    ) -> Verdict {
        let picture = &unit.picture;
        for set in &picture.parameter_sets {
            self.formats.put_parameter_set(set);
        }
        if entry.is_some() {
            self.formats.learn_rate(picture.sps_id);
        }
        let facts = self.facts(&unit, entry, visibility);
        let is_keyframe = entry.is_some_and(|entry| self.policy.is_keyframe(entry));
        self.last_running_time = facts.running_time;
        if !is_keyframe && let Some(distance) = self.distance_beyond_reach(&facts) {
            self.too_far.get_or_insert(distance);
            self.policy.break_off();
        }
        let mut changes = Vec::new();
        let verdict = self.policy.push(&facts, &mut changes);
        if verdict == Verdict::Keep {
            self.release(unit.dts, outputs);
        }
        let is_begin = |change: &Change| matches!(change, Change::Begin { running_time, .. } if *running_time == facts.running_time);
        let begins_file = entry.is_some() && changes.iter().any(is_begin);
        let first = begins_file.then_some((&facts, picture.sps_id));
        self.apply(changes, first, outputs);
        if verdict == Verdict::Drop {
            self.dropped += 1;
            return verdict;
        }
        self.formats
            .add(&picture.pps_ids, !picture.parameter_sets.is_empty());
        let is_held = begins_file && !picture.idr && entry != Some(Entry::Refresh);
        let next = HeldSample {
            payload: unit.payload,
            bytes: unit.bytes,
            pts: unit.pts,
            dts: unit.dts,
            is_dts_moved: false,
            running_time: facts.running_time,
            duration: facts.duration,
            capture: facts.capture,
            is_keyframe,
            is_hidden: facts.visibility != Visibility::Shown,
            is_corrupted: facts.corrupted,
        };
        match is_held {
            true => self.held = Some(next),
            false => self.hand_over(next, outputs),
        }
        self.open_if_known(&facts, outputs);
        verdict
    }

    /// Begins the file that is about to, once all is known for that.
    fn open_if_known(&mut self, latest: &policy::Unit, outputs: &mut CutOutputs<P, D, I>) {
        let Some(opening) = &mut self.opening else {
            return;
        };
        let frame = self.formats.frame_duration();
        opening.awaits_distance &= frame.is_some_and(|frame| !self.cadence.can_judge(frame));
        if opening.awaits_shown
            && let Some((running_time, capture)) = self.policy.first_shown()
        {
            opening.start.capture = capture;
            // No later one is shown earlier: PTS are not before DTS.
            opening.awaits_shown = latest.decode_time < running_time;
        }
        if !opening.awaits_shown && !opening.awaits_distance {
            self.open(outputs);
        }
    }

    /// Begins the file that is about to.
    fn open(&mut self, outputs: &mut CutOutputs<P, D, I>) {
        let Some(mut opening) = self.opening.take() else {
            return;
        };
        if opening.awaits_shown
            && let Some((_, capture)) = self.policy.first_shown()
        {
            opening.start.capture = capture;
        }
        let scale = self.choose_timescale();
        self.times.set_scale(scale);
        self.policy.set_max_span(scale.max_time());
        self.formats.fix_configuration();
        self.begin(opening.start, false, outputs);
        outputs.append(&mut opening.outputs);
    }

    fn begin(&self, start: EpisodeStart, has_first_group: bool, outputs: &mut CutOutputs<P, D, I>) {
        outputs.push(CutOutput::Begin(EpisodeBegin {
            index: start.index,
            running_time: start.running_time,
            capture: start.capture,
            dropped: start.dropped,
            format: self.formats.file_format(),
            timescale: self.times.scale(),
            has_first_group,
        }));
    }

    /// Returns the ticks in which frames last whole numbers, if the declared rate agrees with the times.
    fn choose_timescale(&self) -> Timescale {
        let rate = self.formats.frame_rate();
        let frame = self.formats.frame_duration();
        let rate = rate.filter(|_| frame.is_some_and(|frame| self.cadence.is_in_frames_of(frame)));
        self.times
            .fixed_scale()
            .unwrap_or_else(|| rate.map_or_else(Timescale::default, Timescale::for_rate))
    }

    /// Hands over the held sample before the next one, whose DTS is `next`.
    fn release(&mut self, next: Option<Nanos>, outputs: &mut CutOutputs<P, D, I>) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        let latest = next.and_then(|next| next.checked_sub(held.duration));
        let dts = held.dts.max(latest).zip(held.pts);
        let dts = dts.map(|(dts, pts)| dts.min(pts));
        held.is_dts_moved = dts != held.dts;
        held.dts = dts;
        self.hand_over(held, outputs);
    }

    fn hand_over(&mut self, next: HeldSample<P>, outputs: &mut CutOutputs<P, D, I>) {
        let (running_time, duration) = (next.running_time, next.duration);
        let delay = (next.pts.zip(next.dts)).map(|(pts, dts)| pts.saturating_sub(dts));
        let duration_at_end = self.times.add(running_time, delay, duration);
        let is_shown_last = self.times.ends_with(running_time.saturating_add(duration));
        let role = if next.is_keyframe {
            SampleRole::Keyframe
        } else if self.parts_groups && is_shown_last && self.group_bytes > LONG_GROUP {
            SampleRole::Part
        } else {
            SampleRole::Delta
        };
        if role != SampleRole::Delta {
            self.group_bytes = 0;
        }
        self.group_bytes += next.bytes;
        let sample = EpisodeSample {
            payload: next.payload,
            bytes: next.bytes,
            pts: running_time,
            dts: running_time.saturating_sub(delay.unwrap_or_default()),
            is_dts_moved: next.is_dts_moved,
            duration,
            duration_at_end,
            capture: next.capture,
            role,
            is_hidden: next.is_hidden,
            is_corrupted: next.is_corrupted,
        };
        self.order(CutOutput::Sample(sample), outputs);
    }

    /// Returns whether there was a keyframe, so that there is an episode.
    pub fn has_episodes(&self) -> bool {
        self.began
    }

    /// Returns whether [`finish`](Self::finish) was called: nothing may follow.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns whether there is an output that a flush would break: a sample, or the end.
    pub fn is_committed(&self) -> bool {
        self.began || self.has_ended
    }

    /// Returns the number of access units that no episode has, because they could not be decoded.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how long a picture lasts: as its access unit says, or else the declared rate, unless the
    /// times contradict that.
    fn duration(&self, stated: Option<Nanos>) -> Nanos {
        let frame = self.formats.frame_duration();
        let is_declared =
            |duration: &Nanos| frame.is_some_and(|frame| duration.absdiff(frame) <= frame / 100);
        let duration = stated.filter(|duration| !duration.is_zero());
        // A parser makes durations of the declared rate.
        let is_true =
            |duration: &Nanos| !is_declared(duration) || !self.cadence.contradicts(*duration);
        duration
            .or(frame)
            .filter(is_true)
            .or_else(|| self.cadence.frame())
            .or(duration)
            .or(frame)
            .unwrap_or(FRAME)
    }

    /// Returns how far an access unit is from the one before it, if that is longer than the running file can
    /// count.
    fn distance_beyond_reach(&self, unit: &policy::Unit) -> Option<Nanos> {
        // Where groups are known when they are complete, a group that makes the file too long gets its own.
        let group = self.policy.group_start().filter(|_| !self.parts_groups);
        let end = unit.running_time.saturating_add(unit.duration);
        self.times
            .distance_beyond_reach(unit.running_time, unit.decode_time, end, group)
    }

    /// Carries out changes, the last of which is that a file begins with the access unit `first`, if there
    /// is one.
    fn apply(
        &mut self,
        changes: Vec<Change>,
        first: Option<(&policy::Unit, u8)>,
        outputs: &mut CutOutputs<P, D, I>,
    ) {
        for change in changes {
            match change {
                Change::Begin {
                    index,
                    running_time,
                    capture,
                    dropped,
                } => {
                    self.open(outputs);
                    let start = EpisodeStart {
                        index,
                        running_time,
                        capture,
                        dropped: Dropped {
                            count: dropped,
                            distance: self.too_far.take(),
                        },
                    };
                    match first.filter(|(first, _)| first.running_time == running_time) {
                        Some((first, sps_id)) => self.prepare(start, first, sps_id),
                        // It begins with an earlier group, which has passed.
                        None => self.begin(start, true, outputs),
                    }
                }
                Change::End(episode) => {
                    self.open(outputs);
                    self.end(episode, outputs);
                }
                Change::PassEntry(mode) => {
                    self.order(CutOutput::Notice(CutNotice::PassedEntry(mode)), outputs);
                }
            }
        }
    }

    /// Prepares a file that begins with the access unit `first`.
    fn prepare(&mut self, start: EpisodeStart, first: &policy::Unit, sps_id: u8) {
        self.formats.begin_file(sps_id);
        let is_rate_unknown =
            self.times.fixed_scale().is_some() || self.formats.frame_rate().is_none();
        let is_hidden = first.visibility != Visibility::Shown;
        self.opening = Some(Opening {
            awaits_shown: is_hidden && first.capture.is_some(),
            awaits_distance: !self.began && !is_rate_unknown,
            start,
            outputs: Vec::new(),
        });
        self.began = true;
        self.times.begin_file();
    }

    /// Ends an episode.
    fn end(&mut self, mut episode: policy::Episode, outputs: &mut CutOutputs<P, D, I>) {
        // The begin of a recovery point is later than that of the input. Recovery points begin no earlier
        // group.
        let begins_late = self.parts_groups;
        let configuration = self.formats.later_configuration();
        let description = (self.times).describe(&mut episode, begins_late, configuration);
        outputs.push(CutOutput::End(episode, description));
    }
}
