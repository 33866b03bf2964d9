// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From record times to slots of stream time: one for each access unit, in decoding order.
//!
//! The times of records are the truth, a declared frame rate is a hint. A record of one access unit
//! lasts until the next record. The access units of a record share its time evenly, if that gives a
//! plausible frame duration; else they follow each other at the [cadence](Cadence), and the rest is a
//! pause. Stream time counts from the origin.
//!
//! With a gap tolerance the declared frame rate is taken to the letter instead, as ReductVideo does:
//! a record of n access units at time t covers `[t, t + n·d)`, and more than one frame duration d and
//! the tolerance after that is a gap.
//!
//! All times are computed from the record they belong to, so nothing accumulates.

use std::collections::VecDeque;
use std::{fmt, mem};

use super::cadence::{Cadence, Rhythm, is_near, is_pause};
use super::declared_rate::DeclaredRate;
use super::names::TimelineNames;
use crate::frame_rate::FrameRate;
use crate::time::{CaptureTime, Nanos};

/// Frame duration without any information.
const DEFAULT_FRAME: Nanos = Nanos::from_mseconds(40);
/// Number of records to wait for at the beginning, so that three distances can confirm a declared rate.
const MIN_RECORDS: usize = 4;
/// Number of consecutive distances that contradict a declared rate before it is distrusted.
const MIN_DEVIATIONS: usize = 3;
/// Number of frames beyond which, and beyond [`MIN_GAP`], a pause before an IDR picture is a gap although
/// the cadence varies.
const MIN_GAP_FRAMES: u64 = 10;
const MIN_GAP: Nanos = Nanos::SECOND;

/// Settings of a [`Timeline`].
#[derive(Debug, Clone, Default)]
pub struct TimelineConfig {
    /// The time that is 0 in stream time; the time of the first record if `None`.
    pub origin: Option<CaptureTime>,
    /// Slots neither wait for the next record nor end before it.
    pub is_prompt: bool,
    /// Most access units are left out, so that distances have no meaning.
    pub is_sparse: bool,
    /// Records are left out on purpose: holes between the others do not mean a slow camera.
    pub is_filtered: bool,
    /// Records before the first one can be read. The first one waits for them if its frames have no evident
    /// times.
    pub awaits_history: bool,
    /// Time that has to be missing for a gap, besides a frame duration; `None` detects gaps by the cadence.
    pub gap_tolerance: Option<Nanos>,
}

/// The time that one access unit has to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Time of the record that the access unit begins in.
    pub record: CaptureTime,
    /// Capture time.
    pub capture: CaptureTime,
    /// Time since the origin.
    pub time: Nanos,
    /// Time until the next slot, if it is known.
    pub duration: Option<Nanos>,
    /// The duration if the time until the next slot is a pause that running time leaves out.
    pub before_pause: Option<Nanos>,
    /// Relation to the slot before it.
    pub spacing: Spacing,
    /// The segment that begins with this slot.
    pub segment: Option<SegmentStart>,
    /// The segment begins within a coded video sequence, after a pause.
    pub resumes: bool,
    /// The hole before it, if running time leaves that out and the following access units are kept.
    pub hole: Option<Hole>,
    /// There is a gap before this slot.
    pub discont: bool,
    /// The declared frame rate from here on, unless record times contradict it.
    pub frame_rate: Option<FrameRate>,
}

/// Relation of a slot to the one before it, by the times of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// At the cadence, or nearly so.
    Regular,
    /// After more than 2.5 frame durations.
    Pause {
        /// From the begin of the slot before it.
        length: Nanos,
        /// Number of frame durations in it, rounded.
        frames: u64,
        /// Frames are missing, unless `frame_num` proves the contrary.
        breaks_rhythm: bool,
    },
    /// After a gap by the rule of the gap tolerance.
    Gap,
}

/// From the capture time of the frame before a hole to that of the one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Capture time of the last frame before the hole.
    pub from: CaptureTime,
    /// Capture time of the first frame after the hole.
    pub to: CaptureTime,
}

/// A segment, whose start and stream time are the time of its first slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStart {
    /// Time of its first slot since the origin.
    pub start: Nanos,
    /// Running time at `start`.
    pub base: Nanos,
}

/// Several access units of a record have unknown times: there is neither a frame rate nor a next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFrameRate {
    /// Time of the record.
    pub record: CaptureTime,
    /// Number of access units in the record.
    pub units: usize,
}

/// The access units of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Time of the record.
    pub time: CaptureTime,
    /// Number of access units in the record.
    pub units: usize,
    /// Declared frame rate of the record.
    pub declared: Option<DeclaredRate>,
}

/// A declared frame rate that record times contradict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contradiction {
    /// Time of the record that showed it.
    pub time: CaptureTime,
    /// The declaration.
    pub declared: DeclaredRate,
    /// The observed distance of two frames.
    pub frame: Nanos,
}

impl Contradiction {
    /// Returns a message, with the names of options as users know them.
    pub fn describe(&self, names: &TimelineNames) -> String {
        let Self {
            declared, frame, ..
        } = self;
        let observed = format!("{:.2}", 1e9 / frame.nseconds().max(1) as f64);
        let observed = observed.trim_end_matches('0').trim_end_matches('.');
        let advice = (names.gap_tolerance)
            .map(|option| format!(". The {option} takes the declared frame rate to the letter"))
            .unwrap_or_default();
        format!(
            "the times of records say {observed} frames per second, and the {} says {}: the times are used{advice}",
            declared.source.name(names),
            declared.rate.label(),
        )
    }
}

/// With the names of [`TimelineNames::DEFAULT`].
impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(&TimelineNames::DEFAULT))
    }
}

/// Gives the access units of records their slots, in order.
#[derive(Debug, Default)]
pub struct Timeline {
    config: TimelineConfig,
    /// Records whose slots still depend on later ones.
    waiting: VecDeque<Record>,
    /// Number of its first records that are before the range.
    history: usize,
    cadence: Cadence,
    /// Distance of the frames of the group before last, and their number, if it is that of a slower camera or includes a
    /// hole, as the next distance shows.
    doubtful: Option<(Nanos, usize)>,
    /// The last record that came.
    last: Option<Record>,
    /// Its declaration.
    declared: Option<DeclaredRate>,
    /// Number of distances in a row that contradict the present declaration.
    deviations: usize,
    /// Record times contradict it.
    is_contradicted: bool,
    contradiction: Option<Contradiction>,
    cursor: Option<Cursor>,
    slots: VecDeque<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    time: CaptureTime,
    units: usize,
    declared: Option<DeclaredRate>,
    /// The cadence before its own distance was learnt.
    rhythm: Rhythm,
}

impl Record {
    fn declared_frame(&self) -> Option<Nanos> {
        self.declared.map(|declared| frames(1, declared.rate))
    }

    /// Returns the distance of its last frame to `next`, where its frames are `frame` apart.
    fn last_distance(&self, next: CaptureTime, frame: Nanos) -> Nanos {
        let before = frame.saturating_mul(self.units.saturating_sub(1) as u64);
        (next - self.time).saturating_sub(before)
    }

    /// Returns the distance of its frames, if they last until `next`.
    fn distance(&self, next: CaptureTime) -> Nanos {
        (next - self.time) / self.units.max(1) as u64
    }
}

/// The last record with slots.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    origin: CaptureTime,
    record: Record,
    last_time: Option<Nanos>,
    /// Capture time at which the record's last access unit begins.
    last_capture: CaptureTime,
    division: Division,
}

/// Division of a record's time among its access units.
#[derive(Debug, Clone, Copy)]
struct Division {
    /// The time that they cover together, without a pause.
    extent: Nanos,
    duration: Nanos,
    /// Duration of the last one, if a pause follows it.
    with_pause: Option<Nanos>,
    /// The frame duration that a pause is measured by, if known.
    frame: Option<Nanos>,
}

impl Timeline {
    /// Returns an empty timeline.
    pub fn new(config: TimelineConfig) -> Self {
        Self {
            config,
            ..Default::default()
        }
    }

    /// Takes the next record that has pictures: `units` of them, the first at `time`.
    pub fn push(&mut self, time: CaptureTime, units: usize, declared: Option<DeclaredRate>) {
        if units == 0 {
            return;
        }
        if let Some(last) = self.last {
            let rhythm = self.cadence.rhythm();
            let record = self.waiting.back_mut();
            let record = record.or(self.cursor.as_mut().map(|cursor| &mut cursor.record));
            if let Some(record) = record {
                record.rhythm = rhythm;
            }
            if last.declared == declared {
                let distance = last.distance(time);
                let agrees = last
                    .declared_frame()
                    .is_some_and(|it| is_near(distance, it));
                self.deviations = if agrees { 0 } else { self.deviations + 1 };
                self.learn(distance, last.units);
            }
        }
        let record = Record {
            time,
            units,
            declared,
            rhythm: Rhythm::default(),
        };
        if declared != self.declared {
            // A cadence of its own is to be expected.
            self.cadence = Cadence::new(record.declared_frame());
            self.doubtful = None;
            self.deviations = 0;
            self.is_contradicted = false;
            self.declared = declared;
        }
        self.last = Some(record);
        self.check_declaration();
        self.waiting.push_back(record);
        while self.is_first_ready() {
            // Only the last record of all can lack a frame rate.
            let _ = self.place_first();
        }
    }

    /// Learns the distance of the frames of a record of `units`. One that is longer than in a steady cadence waits for
    /// the next one: if that is of the cadence, there was a hole.
    fn learn(&mut self, distance: Nanos, units: usize) {
        let rhythm = self.cadence.rhythm();
        let frame = rhythm.frame.filter(|_| rhythm.is_steady);
        let is_regular = frame.is_some_and(|frame| is_near(distance, frame));
        if let Some((distance, units)) = self.doubtful.take()
            && !is_regular
        {
            self.cadence.learn(distance, units);
        }
        let is_doubtful = units > 1
            && !is_regular
            && frame.is_some_and(|frame| distance > frame && !is_pause(distance, frame));
        match is_doubtful {
            true => self.doubtful = Some((distance, units)),
            false => self.cadence.learn(distance, units),
        }
    }

    /// Returns the first group, if its times depend on records before it and it waits for these.
    /// Nothing follows the last record if it `is_last`.
    pub fn lacks_history(&self, is_last: bool) -> Option<Group> {
        let first = self
            .waiting
            .front()
            .filter(|_| self.config.awaits_history)?;
        let lacks = !self.is_first_evident().unwrap_or(!is_last);
        lacks.then_some(Group {
            time: first.time,
            units: first.units,
            declared: first.declared,
        })
    }

    /// Takes the records before the first one, in order.
    pub fn begin_after(&mut self, history: Vec<Group>) {
        let waiting = mem::take(&mut self.waiting);
        let first = waiting.front().map(|first| first.time);
        let mut config = self.config.clone();
        config.awaits_history = false;
        config.origin = config.origin.or(first);
        // The cadence is learnt anew, from the history on.
        *self = Self::new(config);
        self.history = history.len();
        for group in history {
            self.push(group.time, group.units, group.declared);
        }
        for record in waiting {
            self.push(record.time, record.units, record.declared);
        }
    }

    /// Returns whether the last record has several access units, whose times depend on what follows.
    pub fn ends_with_group(&self) -> bool {
        self.waiting.back().is_some_and(|last| last.units > 1) && !self.is_literal()
    }

    /// Ends the timeline: nothing comes after the last record.
    ///
    /// # Errors
    ///
    /// The times of the last record's access units are not known.
    pub fn finish(&mut self) -> Result<(), NoFrameRate> {
        while !self.waiting.is_empty() {
            self.place_first()?;
        }
        Ok(())
    }

    /// Returns the slot of the next access unit, in decoding order, as soon as it is known.
    pub fn pop(&mut self) -> Option<Slot> {
        self.slots.pop_front()
    }

    /// Returns the time that is 0, once there is a record.
    pub fn origin(&self) -> Option<CaptureTime> {
        self.cursor.map(|cursor| cursor.origin)
    }

    /// Returns the declared frame rate and the observed distance of two frames, as far as they are
    /// known.
    pub fn rates(&self) -> (Option<DeclaredRate>, Option<Nanos>) {
        (self.declared, self.cadence.frame())
    }

    /// Returns a declaration that record times contradict, once for each declaration.
    pub fn take_contradiction(&mut self) -> Option<Contradiction> {
        self.contradiction.take()
    }

    /// Returns whether the declared frame rate is taken to the letter.
    fn is_literal(&self) -> bool {
        self.config.gap_tolerance.is_some() || self.config.is_sparse
    }

    fn check_declaration(&mut self) {
        let (Some(declared), Some(frame)) = (self.declared, self.cadence.frame()) else {
            return;
        };
        let declared_frame = frames(1, declared.rate);
        // The median alone may be off where frames come in pairs.
        let mean = self.cadence.mean();
        let deviates = self.deviations >= MIN_DEVIATIONS
            && !is_near(frame, declared_frame)
            && mean.is_none_or(|mean| !is_near(mean, declared_frame));
        if self.is_contradicted || self.is_literal() || !deviates {
            return;
        }
        self.is_contradicted = true;
        let time = self.last.map(|last| last.time).unwrap_or_default();
        self.contradiction = Some(Contradiction {
            time,
            declared,
            frame,
        });
    }

    /// Returns whether the distances of the first records show the times of the frames of the first one;
    /// `None` as long as that depends on further records.
    fn is_first_evident(&self) -> Option<bool> {
        let first = self.waiting.front()?;
        if first.units == 1 || self.is_literal() || self.config.is_prompt || self.config.is_filtered
        {
            return Some(true);
        }
        let next = self.waiting.get(1)?;
        let distance = first.distance(next.time);
        if let Some(declared) = first.declared_frame() {
            return Some(is_near(distance, declared));
        }
        let after = self.waiting.get(2)?;
        Some(is_near(next.distance(after.time), distance))
    }

    /// Returns whether the slots of the first waiting record are known.
    fn is_first_ready(&self) -> bool {
        let Some(first) = self.waiting.front() else {
            return false;
        };
        if self.config.awaits_history && self.is_first_evident() != Some(true) {
            return false;
        }
        let next = self.waiting.get(1);
        if self.is_literal() {
            let is_known = first.declared.is_some() && (first.units == 1 || self.config.is_prompt);
            return is_known || next.is_some();
        }
        if self.config.is_prompt {
            return first.units == 1 || self.expected(first).is_some() || next.is_some();
        }
        let Some(next) = next else { return false };
        let has_cadence = first.rhythm.frame.is_some()
            || self.cadence.frame().is_some()
            || self.waiting.len() >= MIN_RECORDS
            || self.declared != first.declared;
        let is_doubtful = first.units > 1
            && self.expected(first).is_some_and(|frame| {
                let distance = first.distance(next.time);
                let is_slow = distance > frame && !is_near(distance, frame);
                is_slow || is_pause(first.last_distance(next.time, frame), frame)
            });
        has_cadence && (!is_doubtful || self.waiting.len() > 2)
    }

    /// Returns the frame duration that a record is expected to have.
    fn expected(&self, record: &Record) -> Option<Nanos> {
        if self.config.is_filtered && record.units > 1 && record.declared.is_some() {
            return record.declared_frame();
        }
        let is_present = record.declared == self.declared;
        let observed = || self.cadence.frame().filter(|_| is_present);
        let estimated = || self.cadence.estimate().filter(|_| is_present);
        (record.rhythm.frame)
            .or_else(observed)
            .or(record.declared_frame())
            .or_else(estimated)
    }

    /// Gives the access units of the first record that waits their slots.
    fn place_first(&mut self) -> Result<(), NoFrameRate> {
        let Some(record) = self.waiting.pop_front() else {
            return Ok(());
        };
        let division = match self.is_literal() {
            true => self.divide_literally(&record),
            false => self.divide(&record),
        };
        let division = division.ok_or(NoFrameRate {
            record: record.time,
            units: record.units,
        })?;
        let mut spacing = self.spacing(&record);
        let origin = match &self.cursor {
            Some(cursor) => cursor.origin,
            None => self.config.origin.unwrap_or(record.time),
        };
        let is_trusted = !(self.is_contradicted && record.declared == self.declared);
        let frame_rate = record.declared.filter(|_| is_trusted);
        let mut last_time = self.cursor.and_then(|cursor| cursor.last_time);
        let mut last_capture = record.time;
        let is_history = self.history > 0;
        self.history = self.history.saturating_sub(1);
        if is_history {
            let before_last = record.units.saturating_sub(1);
            last_capture += share(division.extent, before_last, record.units);
        }
        self.config.awaits_history = false;
        for unit in 0..if is_history { 0 } else { record.units } {
            let capture = record.time + share(division.extent, unit, record.units);
            let mut time = capture - origin;
            // Units denser than one a nanosecond still have to grow.
            if let Some(last) = last_time {
                time = time.max(last.saturating_add(Nanos::NSECOND));
            }
            last_time = Some(time);
            last_capture = capture;
            let with_pause = division.with_pause.filter(|_| unit + 1 == record.units);
            self.slots.push_back(Slot {
                record: record.time,
                capture,
                time,
                duration: Some(with_pause.unwrap_or(division.duration)),
                before_pause: with_pause.map(|_| division.duration),
                spacing: mem::replace(&mut spacing, Spacing::Regular),
                segment: None,
                resumes: false,
                hole: None,
                discont: false,
                frame_rate: frame_rate.map(|declared| declared.rate),
            });
        }
        self.cursor = Some(Cursor {
            origin,
            record,
            last_time,
            last_capture,
            division,
        });
        Ok(())
    }

    /// Divides a record by the times of records.
    fn divide(&self, record: &Record) -> Option<Division> {
        let frame = self.expected(record);
        let next = self.waiting.front();
        let units = record.units as u64;
        let known = |frame: Nanos| Division {
            extent: match record.declared {
                // Without the rounding of a frame.
                Some(declared) if record.declared_frame() == Some(frame) => {
                    frames(record.units, declared.rate)
                }
                _ => frame.saturating_mul(units),
            },
            duration: frame,
            with_pause: None,
            frame: Some(frame),
        };
        if self.config.is_prompt || next.is_none() {
            // At the end, a group continues like the one before it.
            let last = self.cursor.filter(|last| {
                let is_group = record.units > 1 && last.record.units > 1;
                is_group && !self.config.is_prompt && last.division.with_pause.is_none()
            });
            let last = last.map(|last| last.division.duration);
            let single = || (record.units == 1).then(|| self.last_duration());
            if let Some(frame) = last.or(frame).or_else(single) {
                return Some(known(frame));
            }
        }
        let next = next?;
        let room = next.time - record.time;
        let distance = record.distance(next.time);
        let Some(frame) = frame else {
            return Some(Division {
                extent: room,
                duration: distance,
                with_pause: None,
                frame: None,
            });
        };
        if record.units == 1 {
            return Some(match is_pause(room, frame) {
                true => Division {
                    with_pause: Some(room),
                    ..known(frame)
                },
                false => Division {
                    duration: room,
                    ..known(frame)
                },
            });
        }
        if self.shares_all(record, distance, frame) {
            return Some(Division {
                extent: room,
                ..known(distance)
            });
        }
        Some(Division {
            with_pause: Some(record.last_distance(next.time, frame)),
            ..known(frame)
        })
    }

    /// Returns whether the access units of a record share all the time until the next one: `distance` each,
    /// where `frame` is expected.
    fn shares_all(&self, record: &Record, distance: Nanos, frame: Nanos) -> bool {
        if self.is_before_hole(record, frame) {
            return false;
        }
        if distance <= frame || is_near(distance, frame) {
            return true;
        }
        if self.config.is_filtered && record.declared.is_some() {
            return false;
        }
        let next = self.waiting.front().zip(self.waiting.get(1));
        let next = next.map(|(next, after)| next.distance(after.time));
        if next.is_some_and(|next| is_near(next, distance)) {
            return true; // The camera has slowed down.
        }
        let last = self.cursor.map(|cursor| cursor.division.duration);
        last.is_some_and(|last| is_near(last, distance)) || distance <= frame.saturating_mul(3)
    }

    /// Returns whether frames are missing between a group and the next record: the cadence was steady, and
    /// the next distance returns to it. If the next group were only late, that distance would be shorter. Before the last
    /// group of all, for which there is no distance, three groups and the declared rate have to agree.
    fn is_before_hole(&self, record: &Record, frame: Nanos) -> bool {
        let Some(next) = self.waiting.front() else {
            return false;
        };
        let last = self.cursor.map(|cursor| cursor.division.duration);
        let has_slowed_down = last.is_some_and(|last| !is_near(last, frame));
        let is_declared = record.rhythm.frame.is_none()
            && record.declared_frame() == Some(frame)
            && !has_slowed_down;
        let returns = match self.waiting.get(1) {
            Some(after) => {
                let room = after.time - next.time;
                room.absdiff(frame.saturating_mul(next.units as u64)) <= frame
            }
            None => {
                let declared = record.declared_frame();
                let agrees = declared.is_some_and(|declared| is_near(frame, declared));
                record.rhythm.is_established && agrees && !has_slowed_down
            }
        };
        (record.rhythm.is_steady || is_declared)
            && returns
            && is_pause(record.last_distance(next.time, frame), frame)
    }

    /// Divides a record by its declared frame rate.
    fn divide_literally(&self, record: &Record) -> Option<Division> {
        let next = self.waiting.front();
        let room = next.map(|next| next.time - record.time);
        if let Some(frame) = record.declared_frame() {
            let nominal = record
                .declared
                .map(|declared| frames(record.units, declared.rate))?;
            let extent = room.map_or(nominal, |room| room.min(nominal));
            return Some(Division {
                extent,
                duration: share(extent, 1, record.units),
                with_pause: None,
                frame: Some(frame),
            });
        }
        let single = (record.units == 1).then(|| self.last_duration());
        let extent = room.or(single)?;
        Some(Division {
            extent,
            duration: share(extent, 1, record.units),
            with_pause: None,
            frame: None,
        })
    }

    /// Returns the duration of a single access unit without any information.
    fn last_duration(&self) -> Nanos {
        let last = self.cursor.map(|cursor| cursor.division.duration);
        last.unwrap_or(DEFAULT_FRAME)
    }

    /// Returns the relation of a record to the one before it.
    fn spacing(&self, record: &Record) -> Spacing {
        let Some(cursor) = self.cursor.filter(|_| !self.config.is_sparse) else {
            return Spacing::Regular;
        };
        let Division { extent, frame, .. } = cursor.division;
        let Some(frame) = frame else {
            return Spacing::Regular;
        };
        if let Some(tolerance) = self.config.gap_tolerance {
            let missing = record.time - (cursor.record.time + extent);
            return match missing > frame.saturating_add(tolerance) {
                true => Spacing::Gap,
                false => Spacing::Regular,
            };
        }
        let length = record.time - cursor.last_capture;
        // Only the next record distinguishes a slow camera from a pause after a group of pictures.
        let is_slow = self.config.is_prompt
            && cursor.record.units > 1
            && cursor.record.distance(record.time) <= frame.saturating_mul(3);
        if !is_pause(length, frame) || is_slow {
            return Spacing::Regular;
        }
        let is_long = length > MIN_GAP && length > frame.saturating_mul(MIN_GAP_FRAMES);
        let is_left_out = self.config.is_filtered && cursor.record.units > 1;
        let breaks_rhythm = match self.waiting.front() {
            _ if is_left_out => true,
            _ if !cursor.record.rhythm.is_steady => is_long,
            Some(next) => is_near(record.distance(next.time), frame),
            None => self.config.is_prompt || is_long,
        };
        Spacing::Pause {
            length,
            frames: length.saturating_add(frame / 2).nseconds() / frame.nseconds().max(1),
            breaks_rhythm,
        }
    }
}

/// Returns the duration of `count` frames.
pub fn frames(count: usize, rate: FrameRate) -> Nanos {
    let numerator = count as u128 * u128::from(Nanos::SECOND.nseconds()) * rate.denom() as u128;
    nseconds(numerator / rate.numer() as u128)
}

/// Returns `count` of `total` equal shares of `whole`.
fn share(whole: Nanos, count: usize, total: usize) -> Nanos {
    nseconds(u128::from(whole.nseconds()) * count as u128 / total as u128)
}

fn nseconds(nseconds: u128) -> Nanos {
    let nseconds = nseconds.min(Nanos::MAX.nseconds().into());
    Nanos::from_nseconds(nseconds as u64)
}

#[cfg(test)]
mod tests;
