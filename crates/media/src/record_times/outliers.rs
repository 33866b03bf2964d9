// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From timestamps of buffers to capture times that can be relied on.
//!
//! A capture time that its predecessor does not predict is an outlier, or the begin of a clock step:
//! the pictures after it show. Until then such pictures are held. All times are in µs.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::cadence::CaptureCadence;
use super::stamps::{CaptureStamp, TimeSource};
use crate::frame_rate::FrameRate;
use crate::time::CaptureTime;

/// Largest deviation from a prediction that is no outlier, and how long a step has to last until it is
/// believed.
const SECOND: i64 = 1_000_000;
/// A step back by more than this and a frame is reported.
const JITTER: i64 = 100_000;
/// Without any other time base, frames of a slow camera may come so many distances late: one that is
/// triggered has no cadence.
const IRREGULARITY: i64 = 4;
/// Most stamps that are held: those of a second at 240 fps.
const MAX_HELD: usize = 256;
/// At the end of a stream so many frames that agree are a step, although no second of them came.
const STEP_AT_END: usize = 3;
/// So many times that grow without any regularity are those of a camera that has none.
const MAX_IRREGULAR: usize = 8;

/// A picture's place in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Capture time.
    pub time: CaptureTime,
    /// Source of the time, or of the times of the pictures beside it.
    pub source: TimeSource,
    /// A clock was set between the picture before and this one.
    pub is_after_step: bool,
    /// Present distance of frames in µs, if it is known.
    pub distance_us: Option<u64>,
}

/// Irregularity of the capture times that users have to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The clock of the capture times was set.
    Step {
        /// Capture time of the frame before.
        from: CaptureTime,
        /// Capture time of the frame after.
        to: CaptureTime,
    },
    /// The clock of the capture times was set, and set back.
    Excursion {
        /// Capture time of the frame before.
        from: CaptureTime,
        /// Capture time of the first frame after the clock was set.
        to: CaptureTime,
        /// Number of frames until the clock was set back.
        frames: u64,
    },
    /// Capture times of frames in a row were wrong.
    Outliers {
        /// Capture time of the first of them.
        wrong: CaptureTime,
        /// Record time that it got instead.
        placed: CaptureTime,
        /// Number of frames.
        frames: u64,
    },
    /// There are no timestamps and no frame rate. Nothing more is placed.
    NoRate,
}

/// A stamp whose capture time is relied on.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    stamp: CaptureStamp,
    steady_us: i64,
    source: TimeSource,
}

/// The last picture that was placed.
#[derive(Debug, Clone, Copy)]
struct Last {
    steady_us: i64,
    index: u64,
    clock_steps_us: i64,
}

/// A picture from which those without a time are counted.
#[derive(Debug, Clone, Copy)]
struct CountingStart {
    steady_us: i64,
    index: u64,
}

/// Capture times of frames in a row that are wrong.
#[derive(Debug, Clone, Copy)]
struct WrongTimes {
    /// Capture time of the first of them.
    first: CaptureTime,
    /// Time that it gets instead.
    placed: CaptureTime,
    /// That time in µs, without the steps of the system clock.
    placed_us: i64,
    /// Number of frames.
    frames: u64,
}

impl WrongTimes {
    /// Returns these wrong times and those of the frames before, if there are some.
    fn after(self, before: Option<Self>) -> Self {
        Self {
            frames: self.frames + before.map_or(0, |before| before.frames),
            ..before.unwrap_or(self)
        }
    }

    /// Returns the event about these frames.
    fn outliers(self) -> Event {
        Event::Outliers {
            wrong: self.first,
            placed: self.placed,
            frames: self.frames,
        }
    }
}

/// Places pictures in time, in output order.
#[derive(Debug, Default)]
pub struct OutlierFilter {
    /// The last picture with a time of its own that was relied on.
    anchor: Option<Anchor>,
    last: Option<Last>,
    /// Stamps that wait until others show whether they are right.
    held: VecDeque<CaptureStamp>,
    placed: VecDeque<Placed>,
    events: VecDeque<Event>,
    cadence: CaptureCadence,
    /// The frame rate that counts where there are no timestamps.
    rate: Option<FrameRate>,
    /// Begin of the pictures without a time that are placed at once, by the frame rate.
    counting_from: Option<CountingStart>,
    has_failed: bool,
}

impl OutlierFilter {
    /// Takes over the declared frame rate of the pictures that follow.
    pub fn set_rate(&mut self, rate: Option<FrameRate>) {
        if self.rate == rate {
            return;
        }
        self.rate = rate;
        if let (Some(_), Some(last)) = (self.counting_from, self.last) {
            self.counting_from = Some(last.counting_start());
        }
    }

    /// Takes the next stamp in output order.
    pub fn push(&mut self, stamp: CaptureStamp) {
        if self.has_failed {
            return;
        }
        if self.anchor.is_some() {
            self.follow(stamp);
        } else {
            self.begin(stamp);
        }
    }

    /// Places the held pictures: nothing more shows whether their times are right.
    pub fn end(&mut self) {
        if self.anchor.is_none() && !self.held.is_empty() {
            self.begin_at_end();
        }
        let is_timed = self.held.iter().any(|stamp| stamp.steady_us.is_some());
        // Frames of less than a second are counted, too: whole distances in µs would drift.
        if self.rate.is_some() && !self.cadence.is_known() && !is_timed {
            self.counting_from = self.last.map(|last| last.counting_start());
            self.follow_held();
        }
        while !self.held.is_empty() && !self.has_failed {
            let newest = self
                .held
                .iter()
                .rposition(|stamp| stamp.steady_us.is_some());
            let first = newest.and_then(|newest| {
                let agreeing = self.agreeing_with(newest);
                let first = agreeing.first().copied()?;
                let is_step = agreeing.len() >= STEP_AT_END || self.distance().is_none();
                (is_step || self.may_be_irregular(first)).then_some(first)
            });
            match first {
                Some(first) => self.believe(first, true),
                None => self.settle(None),
            }
        }
    }

    /// Returns the next place, in output order.
    pub fn pop(&mut self) -> Option<Placed> {
        self.placed.pop_front()
    }

    /// Returns the next event.
    pub fn pop_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Looks for two stamps at the begin of the stream that agree.
    fn begin(&mut self, stamp: CaptureStamp) {
        self.held.push_back(stamp);
        let newest = self.held.len() - 1;
        let agreeing = self.agreeing_with(newest);
        let first = agreeing.first().copied().unwrap_or(newest);
        let timed = self.held.iter().filter(|it| it.steady_us.is_some()).count();
        let all_agree = agreeing.len() == timed;
        if agreeing.len() > 1 && (all_agree || self.lasts(first, newest)) {
            self.adopt_rhythm(&agreeing);
            self.begin_with(first);
        } else if let Some(run) = self.irregular_run() {
            self.adopt_rhythm(&run);
            self.begin_with(run[0]);
        } else if self.is_second_without_time() {
            match self.held.iter().position(|stamp| stamp.steady_us.is_some()) {
                Some(first) => self.begin_with(first),
                None => self.begin_counting(),
            }
        } else if self.held.len() >= MAX_HELD {
            self.begin_at_end();
        }
    }

    /// Begins with the stamps that are held.
    fn begin_at_end(&mut self) {
        let timed: Vec<_> = (0..self.held.len())
            .filter(|at| self.held[*at].steady_us.is_some())
            .collect();
        let frames: u64 = self.held.iter().map(|stamp| stamp.frames).sum();
        // Two times show how far apart frames are.
        if frames > 1 && timed.len() < 2 && self.distance().is_none() {
            self.fail();
            return;
        }
        // Most are right. Of as many the first ones are.
        let levels = timed.iter().rev().map(|at| self.agreeing_with(*at));
        let most = levels.max_by_key(Vec::len);
        match most.and_then(|most| most.first().copied()) {
            Some(first) => self.begin_with(first),
            None => self.begin_counting(),
        }
    }

    /// Returns held times that do not agree but are those of a slow or an irregular camera: the last three are evenly
    /// apart, or many of them grow.
    fn irregular_run(&self) -> Option<Vec<usize>> {
        let timed: Vec<_> = (0..self.held.len())
            .filter_map(|at| Some((at, self.held[at].steady_us?)))
            .collect();
        let last = |count: usize| {
            let run = timed.get(timed.len().checked_sub(count)?..)?;
            (run[count - 1].1 - run[0].1 >= SECOND).then_some(run)
        };
        // Frames that are near each other show how far apart they are.
        if self.agreeing_with(timed.last()?.0).len() > 1 {
            return None;
        }
        let even = last(3).filter(|run| {
            let (before, after) = (run[1].1 - run[0].1, run[2].1 - run[1].1);
            before > 0 && after > 0 && (before - after).abs() <= SECOND.max(before / 5)
        });
        let growing = last(MAX_IRREGULAR).filter(|run| run.is_sorted_by(|a, b| a.1 < b.1));
        let run = growing.or(even)?;
        // Another time base would have agreed.
        let has_base = run.windows(2).any(|pair| {
            let [from, to] = [pair[0].0, pair[1].0].map(|at| &self.held[at]);
            from.source() != to.source() || passed(from, to).is_some()
        });
        (!has_base).then(|| run.iter().map(|(at, _)| *at).collect())
    }

    /// Relies on a held stamp, the first one. Those before it are placed before it.
    fn begin_with(&mut self, first: usize) {
        let Some(anchor) = self.held.get(first).copied() else {
            return;
        };
        let (Some(time), Some(source)) = (anchor.steady_us, anchor.source()) else {
            return;
        };
        let next = self.held.iter().skip(first + 1).find_map(|stamp| {
            let frames = stamp.index.saturating_sub(anchor.index).max(1);
            Some((stamp.steady_us? - time) / frames as i64)
        });
        let distance = self.distance().map(to_i64).or(next.filter(|it| *it > 0));
        let mut wrong = None;
        let before: Vec<_> = self.held.drain(..first).collect();
        for stamp in before {
            let frames = to_i64(anchor.index.saturating_sub(stamp.index));
            let by_count = distance.map_or(frames, |distance| frames.saturating_mul(distance));
            let ago = passed(&stamp, &anchor).filter(|ago| *ago > 0);
            let place = time.saturating_sub(ago.unwrap_or(by_count));
            if let Some(captured) = stamp.capture.time.filter(|_| stamp.steady_us.is_some()) {
                let next = WrongTimes {
                    first: captured.time,
                    placed: stamp.absolute(place, source),
                    placed_us: place,
                    frames: stamp.frames,
                };
                wrong = Some(next.after(wrong));
            }
            self.place(place, source, &stamp, false);
        }
        self.events.extend(wrong.map(WrongTimes::outliers));
        self.held.pop_front();
        self.rely_on(&anchor, time, source, false);
        self.follow_held();
    }

    /// Begins to count frames of a stream without timestamps.
    fn begin_counting(&mut self) {
        let Some(first) = self.held.pop_front() else {
            return;
        };
        let source = first.capture.begin.source;
        self.rely_on(&first, first.begin_us(), source, false);
        self.counting_from = Some(CountingStart {
            steady_us: first.begin_us(),
            index: first.index,
        });
        self.follow_held();
    }

    /// Places the next stamp, or holds it.
    fn follow(&mut self, stamp: CaptureStamp) {
        if self.held.is_empty()
            && let Some((time, source)) = self.place_without_time(&stamp)
        {
            self.place(time, source, &stamp, false);
        } else if let (Some(time), Some(source)) = (stamp.steady_us, stamp.source())
            && self.is_predicted(&stamp)
        {
            self.settle(Some(&stamp));
            self.report_step_back(&stamp, time, source);
            self.rely_on(&stamp, time, source, false);
        } else {
            self.held.push_back(stamp);
            self.consider_held();
        }
    }

    /// Reports a time that is earlier than the one before by more than jitter explains.
    fn report_step_back(&mut self, stamp: &CaptureStamp, time: i64, source: TimeSource) {
        let Some(last) = &self.last else {
            return;
        };
        let jitter = self.distance().map_or(0, to_i64).max(JITTER);
        if last.steady_us - time > jitter {
            self.events.push_back(Event::Step {
                from: stamp.absolute(last.steady_us, source),
                to: stamp.absolute(time, source),
            });
        }
    }

    /// Decides about the held pictures, if possible.
    fn consider_held(&mut self) {
        let newest = self.held.len() - 1;
        let is_full = self.held.len() >= MAX_HELD;
        if self.held[newest].steady_us.is_some() {
            let agreeing = self.agreeing_with(newest);
            let first = agreeing.first().copied().unwrap_or(newest);
            if agreeing.len() > 1 && self.lasts(first, newest) || is_full {
                self.believe(first, true);
            } else if let Some(run) = self.irregular_run() {
                self.adopt_rhythm(&run);
                // A camera that became slow, if no clock was set back.
                self.believe(run[0], !self.is_later(run[0]));
            }
        } else if self.is_second_without_time() {
            self.counting_from = self.last.map(|last| last.counting_start());
            if self.held.iter().any(|stamp| stamp.steady_us.is_some()) {
                self.settle(None);
            } else {
                self.follow_held();
            }
        } else if is_full {
            self.settle(None);
        }
    }

    /// Returns the place of a stamp without a time, where that need not wait for the next one.
    fn place_without_time(&self, stamp: &CaptureStamp) -> Option<(i64, TimeSource)> {
        let (anchor, last) = (self.anchor.as_ref()?, self.last.as_ref()?);
        if stamp.frames == 0 {
            return Some((last.steady_us, anchor.source));
        }
        if stamp.steady_us.is_some() {
            return None;
        }
        let by_pts = || {
            let passed = passed(&anchor.stamp, stamp)?;
            let expected = last.expected(stamp.index, to_i64(self.distance()?));
            let time = anchor.steady_us.saturating_add(passed);
            (time > last.steady_us && time.abs_diff(expected) <= SECOND as u64).then_some(time)
        };
        let time = by_pts().or_else(|| self.counted(stamp.index));
        Some((time?, anchor.source))
    }

    /// Returns the time that a frame has by the frame rate, while frames are counted.
    fn counted(&self, index: u64) -> Option<i64> {
        let start = self.counting_from?;
        let frames = index.saturating_sub(start.index);
        let passed = match self.rate {
            Some(rate) => {
                let (numerator, denominator) = terms(rate);
                let us = u128::from(frames) * 1_000_000 * u128::from(denominator);
                i64::try_from(us / u128::from(numerator)).unwrap_or(i64::MAX)
            }
            None => to_i64(frames).saturating_mul(to_i64(self.distance()?)),
        };
        Some(start.steady_us.saturating_add(passed))
    }

    /// Returns whether a stamp is where the anchor and the last picture predict it.
    fn is_predicted(&self, stamp: &CaptureStamp) -> bool {
        let (Some(anchor), Some(last)) = (&self.anchor, &self.last) else {
            return false;
        };
        let Some(time) = stamp
            .steady_us
            .filter(|_| stamp.source() == Some(anchor.source))
        else {
            return false;
        };
        let is_confirmed = bases(&anchor.stamp, stamp)
            .any(|passed| (time - anchor.steady_us - passed).abs() <= SECOND);
        let frames = stamp.index.saturating_sub(last.index);
        let has_base = passed(&anchor.stamp, stamp).is_some();
        is_confirmed || self.is_regular(time - last.steady_us, frames, has_base)
    }

    /// Returns which held stamps agree with one of them, and that one.
    fn agreeing_with(&self, newest: usize) -> Vec<usize> {
        let Some(stamp) = self.held.get(newest) else {
            return Vec::new();
        };
        let agrees = |at: usize, other: &CaptureStamp| {
            let (time, source) = other.steady_us.zip(other.source())?;
            let distance = stamp.steady_us? - time;
            let is_confirmed =
                bases(other, stamp).any(|passed| (distance - passed).abs() <= SECOND);
            let mut frames = stamp.index.saturating_sub(other.index);
            if self.distance().is_none() {
                // Only frames without a time may take any time.
                let between = self.held.range(at + 1..newest);
                let timed = between.filter(|it| it.steady_us.is_some()).count() as u64;
                frames = frames.saturating_sub(timed);
            }
            let has_base = passed(other, stamp).is_some();
            let is_near = is_confirmed || self.is_regular(distance, frames, has_base);
            (Some(source) == stamp.source() && is_near).then_some(())
        };
        let held = self.held.iter().take(newest + 1).enumerate();
        held.filter(|(at, other)| match at.cmp(&newest) {
            Ordering::Equal => other.steady_us.is_some(),
            _ => agrees(*at, other).is_some(),
        })
        .map(|(at, _)| at)
        .collect()
    }

    /// Returns whether pictures so many frames apart may have capture times so far apart, by the cadence.
    fn is_regular(&self, distance: i64, frames: u64, has_base: bool) -> bool {
        let Some(cadence) = self.distance().map(to_i64) else {
            return !has_base && distance > 0 && distance <= to_i64(frames).saturating_mul(SECOND);
        };
        let expected = to_i64(frames).saturating_mul(cadence);
        let irregularity = cadence.saturating_mul(IRREGULARITY);
        if has_base || irregularity <= SECOND {
            return (distance - expected).abs() <= SECOND;
        }
        distance > 0 && distance <= expected.saturating_add(irregularity)
    }

    /// Takes a held stamp for the first one after a step, and places the later ones.
    fn believe(&mut self, first: usize, is_step: bool) {
        let rest = self.held.split_off(first.min(self.held.len()));
        let before = std::mem::replace(&mut self.held, rest);
        let Some(stamp) = self.held.pop_front() else {
            return;
        };
        let (Some(time), Some(source)) = (stamp.steady_us, stamp.source()) else {
            return;
        };
        let rest = std::mem::replace(&mut self.held, before);
        let is_later = self.last.is_some_and(|last| time > last.steady_us);
        self.settle(Some(&stamp).filter(|_| is_later));
        self.held = rest;
        if let (Some(last), Some(anchor)) = (self.last, self.anchor) {
            let expected = match passed(&anchor.stamp, &stamp) {
                Some(passed) => anchor.steady_us.saturating_add(passed),
                None => last.expected(stamp.index, self.distance().map_or(0, to_i64)),
            };
            if is_step && time.abs_diff(expected) > SECOND as u64 {
                self.events.push_back(Event::Step {
                    from: stamp.absolute(last.steady_us, source),
                    to: stamp.absolute(time, source),
                });
            }
        }
        self.counting_from = None;
        self.rely_on(&stamp, time, source, true);
        self.follow_held();
    }

    /// Returns whether two held stamps are a second apart.
    fn lasts(&self, first: usize, newest: usize) -> bool {
        let time = |at: usize| self.held.get(at).and_then(|stamp| stamp.steady_us);
        let times = time(first).zip(time(newest));
        times.is_some_and(|(first, newest)| newest - first >= SECOND)
    }

    /// Returns whether a held stamp is later than the last picture.
    fn is_later(&self, at: usize) -> bool {
        let time = self.held.get(at).and_then(|stamp| stamp.steady_us);
        time > self.last.map(|last| last.steady_us)
    }

    /// Returns whether a held stamp may be that of an irregular camera, as no other time base says otherwise.
    fn may_be_irregular(&self, at: usize) -> bool {
        let is_slow = self
            .distance()
            .is_some_and(|distance| to_i64(distance).saturating_mul(IRREGULARITY) > SECOND);
        let has_base = self.held.get(at).zip(self.anchor.as_ref());
        let has_base = has_base.is_some_and(|(stamp, anchor)| {
            passed(&anchor.stamp, stamp).is_some() || stamp.source() != Some(anchor.source)
        });
        is_slow && !has_base && self.is_later(at)
    }

    /// Takes over the distances of some held stamps.
    fn adopt_rhythm(&mut self, run: &[usize]) {
        self.cadence.reset();
        let stamps = run.iter().filter_map(|at| self.held.get(*at));
        let times: Vec<_> = stamps
            .filter_map(|it| Some((it.index, it.steady_us?)))
            .collect();
        for pair in times.windows(2) {
            let frames = pair[1].0.saturating_sub(pair[0].0).max(1);
            if let Ok(distance) = u64::try_from(pair[1].1 - pair[0].1) {
                self.cadence.learn(distance / frames);
            }
        }
    }

    /// Places the held pictures between the last picture and `next`, or by the cadence alone.
    fn settle(&mut self, next: Option<&CaptureStamp>) {
        let (Some(anchor), Some(last)) = (self.anchor, self.last) else {
            return;
        };
        let held = std::mem::take(&mut self.held);
        let Some(first) = held.front() else {
            return;
        };
        let cadence = self.distance().map(to_i64);
        let until = next.and_then(|next| next.steady_us);
        let room = next.zip(until).map(|(next, until)| {
            let frames = to_i64(next.index.saturating_sub(last.index)).max(1);
            (until - last.steady_us) / frames
        });
        let room = room.filter(|room| *room > 0);
        let Some(distance) = cadence.into_iter().chain(room).min() else {
            // A single one may follow without a known distance.
            if held
                .iter()
                .any(|stamp| stamp.steady_us.is_none() && stamp.frames > 0)
                && next.is_none()
            {
                self.held = held;
                self.fail();
                return;
            }
            for stamp in &held {
                self.place(last.steady_us, anchor.source, stamp, false);
            }
            return;
        };
        let mut wrong = None;
        for stamp in &held {
            let is_between = |time: &i64| {
                let before = self.last.map_or(last.steady_us, |last| last.steady_us);
                *time > before && until.is_none_or(|until| *time < until)
            };
            let by_stream = passed(&anchor.stamp, stamp);
            let own = stamp
                .steady_us
                .filter(|_| stamp.source() == Some(anchor.source));
            // A pause, as nothing says otherwise.
            if let Some(time) = own.filter(is_between)
                && by_stream.is_none()
                && until.is_some()
            {
                self.place(time, anchor.source, stamp, false);
                continue;
            }
            let by_stream = by_stream.map(|passed| anchor.steady_us.saturating_add(passed));
            let time = by_stream.filter(is_between);
            let time = time.unwrap_or_else(|| last.expected(stamp.index, distance));
            if let (Some(captured), Some(_)) = (stamp.capture.time, own) {
                let next = WrongTimes {
                    first: captured.time,
                    placed: stamp.absolute(time, anchor.source),
                    placed_us: time,
                    frames: stamp.frames,
                };
                wrong = Some(next.after(wrong));
            }
            self.place(time, anchor.source, stamp, false);
        }
        if let Some(wrong) = wrong {
            let lasted = until.is_some_and(|until| until - wrong.placed_us >= SECOND);
            self.events.push_back(if lasted && wrong.frames > 1 {
                Event::Excursion {
                    from: first.absolute(last.steady_us, anchor.source),
                    to: wrong.first,
                    frames: wrong.frames,
                }
            } else {
                wrong.outliers()
            });
        }
    }

    /// Examines the held pictures again, one after the other.
    fn follow_held(&mut self) {
        for stamp in std::mem::take(&mut self.held) {
            self.push(stamp);
        }
    }

    /// Returns whether frames of a second have no time and come last.
    fn is_second_without_time(&self) -> bool {
        let Some(distance) = self.distance() else {
            return false;
        };
        let without = self
            .held
            .iter()
            .rev()
            .take_while(|it| it.steady_us.is_none());
        let frames: u64 = without.map(|stamp| stamp.frames).sum();
        frames > 1 && frames.saturating_mul(distance) >= SECOND as u64
    }

    /// Returns how far apart frames are: the cadence, else the declared rate.
    fn distance(&self) -> Option<u64> {
        let measured = self.cadence.median();
        let declared = self
            .rate
            .map(terms)
            .map(|(numerator, denominator)| (1_000_000 * denominator / numerator).max(1));
        match self.cadence.is_known() {
            true => measured,
            false => declared.or(measured),
        }
    }

    /// Places a picture whose time is relied on.
    fn rely_on(
        &mut self,
        stamp: &CaptureStamp,
        time: i64,
        source: TimeSource,
        is_after_step: bool,
    ) {
        self.counting_from = self.counting_from.map(|_| CountingStart {
            steady_us: time,
            index: stamp.index,
        });
        self.anchor = Some(Anchor {
            stamp: *stamp,
            steady_us: time,
            source,
        });
        self.place(time, source, stamp, is_after_step);
    }

    fn place(&mut self, time: i64, source: TimeSource, stamp: &CaptureStamp, is_after_step: bool) {
        let clock_steps_us = match source {
            TimeSource::Clock => stamp.capture.clock_steps_us,
            TimeSource::Meta | TimeSource::Start => 0,
        };
        let clock_was_set = self
            .last
            .is_some_and(|it| it.clock_steps_us != clock_steps_us);
        if let Some(last) = &self.last
            && !is_after_step
            && stamp.frames > 0
            && time > last.steady_us
        {
            let frames = stamp.index.saturating_sub(last.index).max(1);
            self.cadence
                .learn((time - last.steady_us).unsigned_abs() / frames);
        }
        self.placed.push_back(Placed {
            time: stamp.absolute(time, source),
            source,
            is_after_step: is_after_step || clock_was_set,
            distance_us: self.distance(),
        });
        if stamp.frames > 0 || self.last.is_none() {
            self.last = Some(Last {
                steady_us: time,
                index: stamp.index,
                clock_steps_us,
            });
        }
    }

    /// Gives up: pictures cannot be placed.
    fn fail(&mut self) {
        self.has_failed = true;
        self.held.clear();
        self.events.push_back(Event::NoRate);
    }
}

impl Last {
    /// Returns this picture as the one from which others are counted.
    fn counting_start(&self) -> CountingStart {
        CountingStart {
            steady_us: self.steady_us,
            index: self.index,
        }
    }

    /// Returns the time of a later frame, if all are so far apart.
    fn expected(&self, index: u64, distance: i64) -> i64 {
        let frames = to_i64(index.saturating_sub(self.index));
        self.steady_us
            .saturating_add(frames.saturating_mul(distance))
    }
}

/// Returns how much later a stamp is than one with a capture time by PTS or running time, where the capture
/// time does not come from these.
fn passed(from: &CaptureStamp, to: &CaptureStamp) -> Option<i64> {
    by_stream(from, to).into_iter().flatten().next()
}

/// Returns how much later a stamp is than one with a capture time by each other time base. Frames of a file all
/// arrive at once, so that the arrival only shows a pause.
fn bases(from: &CaptureStamp, to: &CaptureStamp) -> impl Iterator<Item = i64> {
    let arrived = to.capture.arrival - from.capture.arrival;
    let pause = Some(to_i64(arrived.useconds())).filter(|pause| *pause > SECOND);
    by_stream(from, to).into_iter().flatten().chain(pause)
}

/// Returns the same by PTS, which keeps holes of the stream, and by running time, which grows where streams are
/// joined.
fn by_stream(from: &CaptureStamp, to: &CaptureStamp) -> [Option<i64>; 2] {
    let is_other = [from, to].into_iter().all(|stamp| {
        stamp
            .source()
            .is_none_or(|source| source == TimeSource::Meta)
    });
    let passed = |from: Option<i64>, to: Option<i64>| Some(to?.saturating_sub(from?));
    [
        passed(from.capture.pts_us, to.capture.pts_us),
        passed(from.capture.running_time_us, to.capture.running_time_us),
    ]
    .map(|passed| passed.filter(|_| is_other))
}

/// Returns numerator and denominator of a frame rate.
fn terms(rate: FrameRate) -> (u64, u64) {
    let [numerator, denominator] = [rate.numer(), rate.denom()].map(i32::unsigned_abs);
    (numerator.into(), denominator.into())
}

fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
