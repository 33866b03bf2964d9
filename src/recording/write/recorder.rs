// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The way of a buffer from the sink's pad to the records that wait to be written.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Dropped, Flushing, Left, Outgoing, Overflow, PushError, RecordWriter, Tell};
use media::codec::h264::Damage;
use media::record_times::{Capture, DeclaredRate, Event, RecordTimes};
use serde_json::Value as JsonValue;

use super::notice::{Notice, OutlierReport};
use super::records::Records;
use crate::runtime::runtime;
use crate::frame_rate;
use crate::reductsink::intake::{Frame, Intake};
use crate::reductsink::settings::Checked;
use crate::reductsink::stats::Stats;
use crate::reductsink::{CAT, OnError};

/// How often to tell of what is dropped.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// A stream that is being recorded.
#[derive(Debug)]
pub struct Recording {
    intake: Intake,
    times: RecordTimes<Frame>,
    declared: DeclaredRate<Frame>,
    records: Records,
    complete: VecDeque<Outgoing>,
    writer: RecordWriter,
    queue_bytes: u64,
    /// The frame rate in the caps.
    caps_rate: Option<gst::Fraction>,
    /// The frame rate that the user sets.
    user_rate: Option<gst::Fraction>,
    on_error: OnError,
    /// Width and height in the caps.
    size: Option<(i32, i32)>,
    described: Option<JsonValue>,
    last_capture: Option<Capture>,
    losses: Losses,
    outliers: OutlierReport,
    /// Causes of undecodable pictures, each reported once.
    told_damage: Vec<Damage>,
    undecodable_frames: u64,
    has_recorded: bool,
    has_decodable: bool,
    /// There was an error: nothing more is recorded.
    has_failed: bool,
    notices: VecDeque<Notice>,
}

/// What was dropped for lack of room. It is told now and then: each frame can be one.
#[derive(Debug, Default)]
struct Losses {
    untold: Dropped,
    told: Option<Instant>,
}

impl Losses {
    fn note(&mut self, dropped: Dropped) {
        self.untold = self.untold.and(dropped);
    }

    fn take(&mut self, now: Instant, at_end: bool) -> Option<Dropped> {
        let is_due = at_end || self.told.is_none_or(|told| now - told >= TELL_AGAIN);
        if self.untold.records == 0 || !is_due {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl Recording {
    /// A recording that begins behind one that was left before.
    pub fn new(
        checked: Checked,
        after: Option<Left>,
        stats: &Stats,
        tell: Tell,
    ) -> Result<Self, gst::ErrorMessage> {
        let writer = RecordWriter::new(
            runtime()?,
            checked.destination,
            after,
            stats.writer.clone(),
            tell,
        );
        Ok(Self {
            intake: Intake::default(),
            times: RecordTimes::default(),
            declared: DeclaredRate::default(),
            records: Records::new(checked.record_unit, checked.labels),
            complete: VecDeque::new(),
            writer,
            queue_bytes: checked.queue_bytes,
            caps_rate: None,
            user_rate: checked.fps,
            on_error: checked.on_error,
            size: None,
            described: None,
            last_capture: None,
            losses: Losses::default(),
            outliers: OutlierReport::default(),
            told_damage: Vec::new(),
            undecodable_frames: 0,
            has_recorded: false,
            has_decodable: false,
            has_failed: false,
            notices: VecDeque::new(),
        })
    }

    /// Takes over the format of the buffers that follow.
    pub fn set_caps(&mut self, caps: &gst::CapsRef) {
        let Some(structure) = caps.structure(0) else {
            return;
        };
        let rate = structure.get::<gst::Fraction>("framerate").ok();
        let rate = rate.filter(|rate| rate.numer() > 0);
        // What waits has the rate that it came with.
        if rate != self.caps_rate {
            self.end();
        }
        self.caps_rate = rate;
        self.size = structure
            .get("width")
            .ok()
            .zip(structure.get("height").ok());
    }

    /// Takes the next buffer's content.
    pub fn take(&mut self, content: Bytes, capture: Capture) {
        if self.has_failed {
            return;
        }
        self.last_capture = Some(capture);
        self.intake.push(content, capture);
        self.make_records();
    }

    /// Nothing more belongs to what was taken.
    pub fn end(&mut self) {
        if let Some(capture) = self.last_capture
            && !self.has_failed
        {
            self.intake.end(capture);
        }
        self.make_records();
        self.times.end();
        self.make_records();
        self.tell_of_outliers(true);
        self.declared.end();
        self.add_decided();
        self.records.end(&mut self.complete);
    }

    /// Returns what users have to know of the whole stream, after its end.
    pub fn verdict(&self) -> Option<Notice> {
        let is_useless = self.has_recorded && !self.has_decodable && !self.has_failed;
        is_useless.then_some(Notice::NothingDecodable {
            frames: self.undecodable_frames,
            damage: self.told_damage.first().copied(),
        })
    }

    /// The next notice.
    pub fn pop_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Returns whether there was an error that ended recording.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    fn make_records(&mut self) {
        while !self.has_failed
            && let Some(frame) = self.intake.pop()
        {
            self.look_at(&frame);
            if self.has_failed {
                break;
            }
            self.set_rate();
            let (order, capture, count) = (frame.order, frame.capture, frame.count);
            self.times.push(frame, order, capture, count);
        }
        while let Some(event) = self.times.pop_event() {
            self.has_failed |= event == Event::NoRate;
            let event = self.outliers.add(event);
            self.notices.extend(event.map(Notice::Timestamps));
        }
        self.tell_of_outliers(false);
        let too_deep = self.times.take_too_deep();
        self.notices.extend(too_deep.map(Notice::Reordering));
        while let Some(frame) = self.times.pop() {
            let count = frame.item.count;
            self.declared.push(frame, count);
        }
        self.add_decided();
    }

    fn tell_of_outliers(&mut self, at_end: bool) {
        let event = self.outliers.take(Instant::now(), at_end);
        self.notices.extend(event.map(Notice::Timestamps));
    }

    /// Takes over the declared frame rate.
    fn set_rate(&mut self) {
        let rate = self.rate();
        let numbers = rate.map(|rate| [rate.numer(), rate.denom()].map(i32::unsigned_abs));
        let numbers =
            numbers.map(|[numerator, denominator]| (numerator.into(), denominator.into()));
        self.times.set_rate(numbers);
        let distance = numbers.map(|(numerator, denominator)| {
            let us: u64 = 1_000_000 * denominator / numerator;
            us.max(1)
        });
        self.declared.set_distance(distance);
    }

    /// The declared frame rate: that of the caps, of the user, or of the VUI. h264parse fills caps from
    /// the VUI, which the user knows better.
    fn rate(&self) -> Option<gst::Fraction> {
        let vui = self.intake.vui_frame_rate();
        let is_of_vui = |rate: &gst::Fraction| {
            let reduced = vui.and_then(|vui| vui.reduced());
            reduced == Some((rate.numer(), rate.denom()))
        };
        self.caps_rate
            .filter(|rate| frame_rate::is_plausible(rate) && !is_of_vui(rate))
            .or(self.user_rate)
            .or_else(|| vui.and_then(frame_rate::from_vui))
    }

    /// Notes whether a frame can be decoded.
    fn look_at(&mut self, frame: &Frame) {
        self.has_recorded = true;
        self.has_decodable |= frame.order.is_some();
        let Some(damage) = frame.undecodable() else {
            return;
        };
        self.undecodable_frames += frame.count;
        if self.told_damage.contains(&damage) {
            return;
        }
        self.told_damage.push(damage);
        let time = frame.capture.time.map(|(time, _)| time);
        self.notices.push_back(match self.on_error {
            OnError::Record => Notice::Undecodable { time, damage },
            OnError::Stop => {
                self.has_failed = true;
                Notice::RefusedUndecodable { time, damage }
            }
        });
    }

    /// Adds what has a label to the records.
    fn add_decided(&mut self) {
        let rate = self.rate();
        while let Some(rated) = self.declared.pop() {
            self.records.set_frame_rate(rate.filter(|_| rated.agrees));
            self.records.push(rated.frame, &mut self.complete);
        }
        if self.declared.is_decided() {
            self.describe(rate.filter(|_| self.declared.agrees()));
        }
    }

    /// Has the entry say what its video is like, if that is something else than before.
    fn describe(&mut self, rate: Option<gst::Fraction>) {
        let rate = rate.and_then(|rate| {
            let label = frame_rate::label(rate);
            label.parse::<JsonValue>().ok().or(Some(label.into()))
        });
        let mut video = JsonValue::Object(Default::default());
        let of_stream = || {
            let (width, height) = self.intake.size()?;
            Some((i32::try_from(width).ok()?, i32::try_from(height).ok()?))
        };
        let size = self.size.or_else(of_stream);
        let width = size.map(|(width, _)| width.into());
        let height = size.map(|(_, height)| height.into());
        for (name, value) in [("fps", rate), ("width", width), ("height", height)] {
            if let Some(value) = value {
                video[name] = value;
            }
        }
        if video.as_object().is_some_and(|video| !video.is_empty())
            && self.described.as_ref() != Some(&video)
        {
            gst::debug!(CAT, "The video is {video}");
            self.described = Some(video.clone());
            self.writer.describe(video);
        }
    }

    /// Has the records that are complete wait to be written. What is dropped for them is to be had
    /// from [`take_dropped`](Self::take_dropped).
    pub fn hand_over(&mut self, overflow: Overflow, flushing: &Flushing) -> Result<(), PushError> {
        while let Some(record) = self.complete.front_mut() {
            let pushed = self
                .writer
                .push(record, self.queue_bytes, overflow, flushing)?;
            self.losses.note(pushed);
            self.complete.pop_front();
        }
        Ok(())
    }

    /// The same whether there is room or not, and without a wait. Gives how many records are lost.
    pub fn hand_over_at_once(&mut self) -> usize {
        let records = self.complete.drain(..);
        records
            .map(|record| self.writer.push_at_once(record))
            .filter(|is_taken| !is_taken)
            .count()
    }

    /// What was dropped and is to be told now; at the end, all that was not told.
    pub fn take_dropped(&mut self, at_end: bool) -> Option<Dropped> {
        self.losses.take(Instant::now(), at_end)
    }

    /// Waits until all that was handed over is written.
    pub fn drain(&self, flushing: &Flushing) -> Result<(), PushError> {
        self.writer.drain(flushing)
    }

    /// Leaves what is not written to itself.
    pub fn leave(self) -> Left {
        self.writer.leave()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(records: u64, from: u64) -> Dropped {
        Dropped {
            records,
            frames: 2 * records,
            from: Some(from),
        }
    }

    #[test]
    fn losses_are_told_now_and_then_and_all_of_them() {
        let mut losses = Losses::default();
        let begin = Instant::now();
        assert_eq!(losses.take(begin, true), None);
        losses.note(dropped(1, 10));
        assert_eq!(losses.take(begin, false), Some(dropped(1, 10)));
        losses.note(dropped(2, 20));
        losses.note(dropped(3, 30));
        assert_eq!(losses.take(begin + TELL_AGAIN / 2, false), None);
        let told = losses.take(begin + TELL_AGAIN, false);
        assert_eq!(told, Some(dropped(5, 20)));
        losses.note(dropped(1, 40));
        assert_eq!(losses.take(begin + TELL_AGAIN, true), Some(dropped(1, 40)));
        assert_eq!(losses.take(begin + 9 * TELL_AGAIN, false), None);
    }
}
