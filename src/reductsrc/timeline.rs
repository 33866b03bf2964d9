// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! From record times to slots of stream time: one for each access unit, in decoding order, with
//! segments and gaps.
//!
//! A record of n access units at time t with frame duration d covers `[t, t + n·d)`, its i-th
//! access unit is at t + i·d. If the next record starts earlier than that, the units are spread
//! over what there is. Stream time counts from the origin and keeps the truth; at a gap a new
//! segment closes the hole in running time.
//!
//! All times are computed from the record they belong to, so nothing accumulates.

use std::collections::VecDeque;

use gst::ClockTime;

/// What a timeline needs to know beforehand.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The time that is 0 in stream time; the time of the first record if `None`.
    pub origin: Option<ClockTime>,
    /// Mark gaps with DISCONT.
    pub gap_detection: bool,
    /// Slots do not wait for the next record, nor make room for it.
    pub is_prompt: bool,
    /// Most access units are left out: what is missing is no gap.
    pub is_sparse: bool,
    /// How much more than one frame may be missing; `None` is half a frame.
    pub gap_tolerance: Option<ClockTime>,
}

/// The time that one access unit has to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Time of the record that the access unit begins in, since the Unix epoch.
    pub record: ClockTime,
    /// Capture time since the Unix epoch.
    pub capture: ClockTime,
    /// Time since the origin.
    pub time: ClockTime,
    pub duration: Option<ClockTime>,
    /// The segment that begins with this slot.
    pub segment: Option<SegmentStart>,
    /// There is a gap before this slot.
    pub discont: bool,
    /// The frame rate from here on.
    pub frame_rate: Option<gst::Fraction>,
}

/// A segment, whose start and stream time are the time of its first slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStart {
    pub start: ClockTime,
    /// Running time at `start`.
    pub base: ClockTime,
}

/// Several access units in a record, and no frame rate that would give their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFrameRate;

/// Gives the access units of records their slots, in order.
#[derive(Debug, Default)]
pub struct Timeline {
    config: Config,
    /// The last record, while its slots still depend on the next one's time.
    pending: Option<Record>,
    /// Where the slots end.
    cursor: Option<Cursor>,
    gaps: u64,
    slots: VecDeque<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    time: ClockTime,
    units: usize,
    frame_rate: Option<gst::Fraction>,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    origin: ClockTime,
    segment: SegmentStart,
    last_time: ClockTime,
    last_duration: Option<ClockTime>,
    /// Capture time at which the last record's units end.
    end: ClockTime,
    /// The frame duration of the last record, where its frame rate is known.
    frame: Option<ClockTime>,
}

impl Cursor {
    fn is_gap_before(&self, time: ClockTime, tolerance: Option<ClockTime>) -> bool {
        self.frame.is_some_and(|frame| {
            let missing = time.saturating_sub(self.end);
            missing > frame.saturating_add(tolerance.unwrap_or(frame / 2))
        })
    }

    fn running_time(&self) -> ClockTime {
        let stream_time = self.end.saturating_sub(self.origin);
        let in_segment = stream_time.saturating_sub(self.segment.start);
        self.segment.base.saturating_add(in_segment)
    }
}

impl Timeline {
    /// An empty timeline.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            ..Default::default()
        }
    }

    /// Takes the next record that has pictures: `units` of them, the first at `time`.
    pub fn push(
        &mut self,
        time: ClockTime,
        units: usize,
        frame_rate: Option<gst::Fraction>,
    ) -> Result<(), NoFrameRate> {
        if units == 0 {
            return Ok(());
        }
        if units > 1 && frame_rate.is_none() {
            return Err(NoFrameRate);
        }
        if let Some(record) = self.pending.take() {
            self.place(record, Some(time));
        }
        let record = Record {
            time,
            units,
            frame_rate,
        };
        // The time of a single unit is known at once, and so is its duration with a frame rate.
        if units == 1 && frame_rate.is_some() || self.config.is_prompt {
            self.place(record, None);
        } else {
            self.pending = Some(record);
        }
        Ok(())
    }

    /// Ends the timeline: nothing comes after the last record.
    pub fn finish(&mut self) {
        if let Some(record) = self.pending.take() {
            self.place(record, None);
        }
    }

    /// The slot of the next access unit, in decoding order, as soon as it is known.
    pub fn pop(&mut self) -> Option<Slot> {
        self.slots.pop_front()
    }

    /// The time that is 0, once there is a record.
    pub fn origin(&self) -> Option<ClockTime> {
        self.cursor.map(|cursor| cursor.origin)
    }

    /// How many gaps there were.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    fn place(&mut self, record: Record, next: Option<ClockTime>) {
        let (extent, duration) = self.extent(&record, next);
        let origin = match &self.cursor {
            Some(cursor) => cursor.origin,
            None => self.config.origin.unwrap_or(record.time),
        };
        let start = record.time.saturating_sub(origin);
        let tolerance = self.config.gap_tolerance;
        let (segment, gap) = match &self.cursor {
            None => (
                Some(SegmentStart {
                    start,
                    base: ClockTime::ZERO,
                }),
                false,
            ),
            Some(cursor)
                if !self.config.is_sparse && cursor.is_gap_before(record.time, tolerance) =>
            {
                let base = cursor.running_time();
                (Some(SegmentStart { start, base }), true)
            }
            Some(_) => (None, false),
        };
        self.gaps += u64::from(gap);

        let mut last_time = self.cursor.map(|cursor| cursor.last_time);
        for unit in 0..record.units {
            let capture = record
                .time
                .saturating_add(share(extent, unit, record.units));
            let mut time = capture.saturating_sub(origin);
            // Units denser than one a nanosecond still have to grow.
            if let Some(last) = last_time {
                time = time.max(last.saturating_add(ClockTime::NSECOND));
            }
            last_time = Some(time);
            self.slots.push_back(Slot {
                record: record.time,
                capture,
                time,
                duration,
                segment: segment.filter(|_| unit == 0),
                discont: unit == 0 && gap && self.config.gap_detection,
                frame_rate: record.frame_rate,
            });
        }
        self.cursor = Some(Cursor {
            origin,
            segment: segment
                .or(self.cursor.map(|cursor| cursor.segment))
                .unwrap_or(SegmentStart {
                    start,
                    base: ClockTime::ZERO,
                }),
            last_time: last_time.unwrap_or(start),
            last_duration: duration,
            end: record.time.saturating_add(extent),
            frame: record.frame_rate.map(|rate| frames(1, rate)),
        });
    }

    /// The time that the units of a record cover together, and the duration of each.
    fn extent(&self, record: &Record, next: Option<ClockTime>) -> (ClockTime, Option<ClockTime>) {
        let room = next.map(|next| next.saturating_sub(record.time));
        match record.frame_rate {
            Some(rate) => {
                let nominal = frames(record.units, rate);
                let extent = room.map_or(nominal, |room| room.min(nominal));
                (extent, Some(share(extent, 1, record.units)))
            }
            // A single unit: it lasts until the next one, the last one as long as that before it.
            None => {
                let duration = room.or(self.cursor.and_then(|cursor| cursor.last_duration));
                (duration.unwrap_or(ClockTime::ZERO), duration)
            }
        }
    }
}

/// The duration of `count` frames.
pub fn frames(count: usize, rate: gst::Fraction) -> ClockTime {
    let numerator = count as u128 * u128::from(ClockTime::SECOND.nseconds()) * rate.denom() as u128;
    nseconds(numerator / rate.numer() as u128)
}

/// `count` of `total` equal shares of `whole`.
fn share(whole: ClockTime, count: usize, total: usize) -> ClockTime {
    nseconds(u128::from(whole.nseconds()) * count as u128 / total as u128)
}

fn nseconds(nseconds: u128) -> ClockTime {
    let nseconds = nseconds.min(ClockTime::MAX.nseconds().into());
    ClockTime::from_nseconds(nseconds as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: ClockTime = ClockTime::ZERO;
    const MS: ClockTime = ClockTime::MSECOND;
    /// Some capture time, not a multiple of anything.
    const T: ClockTime = ClockTime::from_useconds(1_749_804_653_273_752);

    fn rate(fps: i32) -> Option<gst::Fraction> {
        Some(gst::Fraction::new(fps, 1))
    }

    fn detecting() -> Timeline {
        Timeline::new(Config {
            gap_detection: true,
            ..Default::default()
        })
    }

    fn run(
        mut timeline: Timeline,
        records: &[(ClockTime, usize)],
        rate: Option<gst::Fraction>,
    ) -> Vec<Slot> {
        for (time, units) in records {
            timeline.push(T + *time, *units, rate).unwrap();
        }
        timeline.finish();
        std::iter::from_fn(|| timeline.pop()).collect()
    }

    fn times(slots: &[Slot]) -> Vec<u64> {
        slots.iter().map(|slot| slot.time.mseconds()).collect()
    }

    fn segments(slots: &[Slot]) -> Vec<(usize, u64, u64, bool)> {
        let with_segment = |(index, slot): (usize, &Slot)| {
            slot.segment.map(|segment| {
                let (start, base) = (segment.start.mseconds(), segment.base.mseconds());
                (index, start, base, slot.discont)
            })
        };
        slots.iter().enumerate().filter_map(with_segment).collect()
    }

    #[test]
    fn one_unit_a_record() {
        let slots = run(
            detecting(),
            &[(ZERO, 1), (103 * MS, 1), (199 * MS, 1)],
            rate(10),
        );
        assert_eq!(times(&slots), [0, 103, 199]);
        assert!(slots.iter().all(|slot| slot.duration == Some(100 * MS)));
        assert_eq!(slots[1].capture, T + 103 * MS);
        assert_eq!(segments(&slots), [(0, 0, 0, false)]);
    }

    #[test]
    fn a_single_unit_needs_no_look_ahead() {
        let mut timeline = detecting();
        timeline.push(T, 1, rate(10)).unwrap();
        assert!(timeline.pop().is_some());
    }

    #[test]
    fn units_of_a_record_are_one_frame_apart() {
        let slots = run(detecting(), &[(ZERO, 4), (400 * MS, 2)], rate(10));
        assert_eq!(times(&slots), [0, 100, 200, 300, 400, 500]);
        assert_eq!(slots[5].capture, T + 500 * MS);
        assert_eq!(segments(&slots).len(), 1);
    }

    #[test]
    fn units_are_spread_where_the_next_record_comes_early() {
        let slots = run(detecting(), &[(ZERO, 4), (200 * MS, 1)], rate(10));
        assert_eq!(times(&slots), [0, 50, 100, 150, 200]);
        assert_eq!(slots[0].duration, Some(50 * MS));
    }

    #[test]
    fn time_grows_even_within_a_microsecond() {
        let slots = run(
            detecting(),
            &[(ZERO, 5000), (ClockTime::USECOND, 1)],
            rate(10),
        );
        assert!(slots.windows(2).all(|pair| pair[0].time < pair[1].time));
    }

    #[test]
    fn one_gop_a_second_is_no_gap() {
        let records: Vec<_> = (0..6).map(|gop| (gop * 1000 * MS, 10)).collect();
        let slots = run(detecting(), &records, rate(10));
        assert_eq!(slots.len(), 60);
        assert_eq!(segments(&slots).len(), 1);
    }

    #[test]
    fn a_gap_starts_a_segment_and_closes_running_time() {
        let slots = run(detecting(), &[(ZERO, 10), (11_000 * MS, 10)], rate(10));
        assert_eq!(
            segments(&slots),
            [(0, 0, 0, false), (10, 11_000, 1000, true)]
        );
        assert_eq!(slots[10].time, 11_000 * MS);
    }

    #[test]
    fn gaps_add_up() {
        let records = [(ZERO, 10), (5000 * MS, 10), (20_000 * MS, 10)];
        let slots = run(detecting(), &records, rate(10));
        assert_eq!(
            segments(&slots),
            [
                (0, 0, 0, false),
                (10, 5000, 1000, true),
                (20, 20_000, 2000, true)
            ]
        );
    }

    #[test]
    fn one_missing_frame_is_no_gap_and_three_are() {
        let missing = |frames: u64| {
            let slots = run(
                detecting(),
                &[(ZERO, 1), ((1 + frames) * 100 * MS, 1)],
                rate(10),
            );
            segments(&slots).len() == 2
        };
        assert!(!missing(0));
        assert!(!missing(1));
        assert!(missing(2));
        assert!(missing(3));
    }

    #[test]
    fn tolerance_is_what_more_than_a_frame_may_be_missing() {
        let gap = |tolerance: ClockTime, time: ClockTime| {
            let timeline = Timeline::new(Config {
                gap_detection: true,
                gap_tolerance: Some(tolerance),
                ..Default::default()
            });
            segments(&run(timeline, &[(ZERO, 1), (time, 1)], rate(10))).len() == 2
        };
        assert!(!gap(300 * MS, 500 * MS));
        assert!(gap(300 * MS, 501 * MS));
        assert!(gap(ClockTime::NSECOND, 201 * MS));
    }

    #[test]
    fn without_detection_the_hole_closes_all_the_same() {
        let timeline = Timeline::new(Config::default());
        let slots = run(timeline, &[(ZERO, 10), (11_000 * MS, 10)], rate(10));
        assert_eq!(
            segments(&slots),
            [(0, 0, 0, false), (10, 11_000, 1000, false)]
        );
    }

    #[test]
    fn prompt_slots_wait_for_no_record() {
        let mut timeline = Timeline::new(Config {
            is_prompt: true,
            gap_detection: true,
            ..Default::default()
        });
        timeline.push(T, 3, rate(10)).unwrap();
        // The next record begins within the last slot, then within the first one.
        timeline.push(T + 250 * MS, 1, rate(10)).unwrap();
        timeline.push(T + 240 * MS, 1, None).unwrap();
        let slots: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
        assert_eq!(times(&slots), [0, 100, 200, 250, 250]);
        assert!(slots.is_sorted_by(|a, b| a.time < b.time));
        assert_eq!(slots[2].duration, Some(100 * MS));
        assert_eq!(slots[4].duration, Some(100 * MS));
        assert_eq!(segments(&slots).len(), 1);
    }

    #[test]
    fn without_frame_rate_record_times_rule() {
        let slots = run(
            detecting(),
            &[(ZERO, 1), (40 * MS, 1), (5000 * MS, 1)],
            None,
        );
        assert_eq!(times(&slots), [0, 40, 5000]);
        let durations: Vec<_> = slots.iter().map(|slot| slot.duration).collect();
        assert_eq!(durations, [Some(40 * MS), Some(4960 * MS), Some(4960 * MS)]);
        assert_eq!(segments(&slots).len(), 1);
    }

    #[test]
    fn several_units_need_a_frame_rate() {
        assert_eq!(detecting().push(T, 2, None), Err(NoFrameRate));
        assert_eq!(detecting().push(T, 1, None), Ok(()));
        assert_eq!(detecting().push(T, 0, None), Ok(()));
    }

    #[test]
    fn records_without_pictures_make_no_gap() {
        let mut timeline = detecting();
        timeline.push(T, 1, rate(10)).unwrap();
        timeline.push(T + 5000 * MS, 0, rate(10)).unwrap();
        timeline.push(T + 100 * MS, 1, rate(10)).unwrap();
        assert_eq!(timeline.gaps(), 0);
    }

    #[test]
    fn time_counts_from_the_given_origin() {
        let timeline = Timeline::new(Config {
            origin: Some(T - 700 * MS),
            ..Default::default()
        });
        let slots = run(timeline, &[(ZERO, 1), (100 * MS, 1)], rate(10));
        assert_eq!(times(&slots), [700, 800]);
        assert_eq!(segments(&slots), [(0, 700, 0, false)]);
    }

    #[test]
    fn absurd_rates_and_times_do_not_overflow() {
        let slowest = gst::Fraction::new(1, i32::MAX);
        let mut timeline = detecting();
        timeline.push(T, 1_000_000, Some(slowest)).unwrap();
        timeline
            .push(ClockTime::MAX, 1_000_000, Some(slowest))
            .unwrap();
        timeline.finish();
        assert!(timeline.pop().is_some());
    }

    #[test]
    fn ntsc_does_not_drift() {
        let ntsc = gst::Fraction::new(30_000, 1001);
        let slots = run(detecting(), &[(ZERO, 30_000 * 36)], Some(ntsc));
        // 36 × 30000 frames are 36 × 1001 seconds, and the last one begins a frame earlier.
        let end = slots.last().unwrap().time + frames(1, ntsc);
        assert!(end.absdiff(36 * 1001 * ClockTime::SECOND) <= ClockTime::from_nseconds(2));
    }
}
