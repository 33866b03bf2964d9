// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! The way of a buffer from the sink's pad to the records that wait to be written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reduct_rs::JsonValue;

use super::CAT;
use super::intake::Intake;
use super::records::Records;
use super::settings::Checked;
use super::stats::Stats;
use super::times::{Capture, RecordTimes};
use crate::client::{Dropped, Flushing, Left, Outgoing, Overflow, PushError, RecordWriter, Tell};
use crate::frame_rate;
use crate::h264::TooDeep;

/// How often to tell of what is dropped.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// A stream that is being recorded.
#[derive(Debug)]
pub struct Recording {
    intake: Intake,
    times: RecordTimes<super::intake::Frame>,
    records: Records,
    complete: VecDeque<Outgoing>,
    writer: RecordWriter,
    queue_bytes: u64,
    /// The frame rate in the caps.
    caps_rate: Option<gst::Fraction>,
    /// Width and height in the caps.
    size: Option<(i32, i32)>,
    described: Option<JsonValue>,
    last_capture: Option<Capture>,
    losses: Losses,
    stats: Arc<Stats>,
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

/// Something that is not as it should be, and goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// The clock jumped back by so many µs.
    Jump(u64),
    /// More pictures are out of output order than expected.
    Reordering(TooDeep),
}

impl Recording {
    /// A recording that begins behind one that was left before.
    pub fn new(
        checked: Checked,
        after: Option<Left>,
        stats: Arc<Stats>,
        tell: Tell,
    ) -> Result<Self, gst::ErrorMessage> {
        let writer = RecordWriter::new(checked.destination, after, stats.writer.clone(), tell)?;
        Ok(Self {
            intake: Intake::default(),
            times: RecordTimes::default(),
            records: Records::new(checked.record_unit, checked.labels),
            complete: VecDeque::new(),
            writer,
            queue_bytes: checked.queue_bytes,
            caps_rate: None,
            size: None,
            described: None,
            last_capture: None,
            losses: Losses::default(),
            stats,
        })
    }

    /// Takes over the format of the buffers that follow. Tells what is to be told of those before.
    pub fn set_caps(&mut self, caps: &gst::CapsRef) -> Option<Notice> {
        let structure = caps.structure(0)?;
        let rate = structure.get::<gst::Fraction>("framerate").ok();
        let rate = rate.filter(|rate| rate.numer() > 0);
        // What waits has the rate that it came with.
        let notice = (rate != self.caps_rate).then(|| self.end()).flatten();
        self.caps_rate = rate;
        self.size = structure
            .get("width")
            .ok()
            .zip(structure.get("height").ok());
        notice
    }

    /// Takes the next buffer's content. Tells what is to be told of it.
    pub fn take(&mut self, content: Bytes, capture: Capture) -> Option<Notice> {
        self.last_capture = Some(capture);
        self.intake.push(content, capture);
        self.make_records()
    }

    /// Nothing more belongs to what was taken.
    pub fn end(&mut self) -> Option<Notice> {
        if let Some(capture) = self.last_capture {
            self.intake.end(capture);
        }
        let notice = self.make_records();
        self.times.end();
        let notice = notice.or(self.make_records());
        self.records.end(&mut self.complete);
        notice
    }

    fn make_records(&mut self) -> Option<Notice> {
        while let Some(frame) = self.intake.pop() {
            let (order, capture) = (frame.order, frame.capture);
            self.times.push(frame, order, capture);
        }
        let of_stream = || {
            let rate = self.intake.vui_frame_rate();
            rate.and_then(frame_rate::from_vui)
        };
        let rate = self.caps_rate.or_else(of_stream);
        self.times.set_frame(rate.map(|rate| {
            let us = 1_000_000 * rate.denom() as u64 / rate.numer() as u64;
            us.max(1)
        }));
        self.records.set_frame_rate(rate);
        let mut notice = None;
        while let Some(frame) = self.times.pop() {
            if let Some(jump) = frame.jump {
                self.stats.clock_jumps.fetch_add(1, Ordering::Relaxed);
                notice = Some(Notice::Jump(jump));
            }
            self.records.push(frame, &mut self.complete);
        }
        self.describe(rate);
        // It comes once, and a clock may jump again.
        let too_deep = self.times.take_too_deep();
        too_deep.map(Notice::Reordering).or(notice)
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
