// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Makes records of access units with capture times, and queues them for the server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{
    Canceller, DetachedWriter, Dropped, NewRecord, Overflow, PushError, RecordWriter, WriterStats,
};
use media::codec::Damage;
use media::frame_rate::FrameRate;
use media::frames::{FrameAssembler, InputFrame};
use media::record_times::{Capture, Event, MovedFrames, RateCheck, RecordTimes};
use media::time::{CaptureTime, Nanos};
use serde_json::Value as JsonValue;

use super::notice::{Notice, OutlierReport};
use super::options::{RecorderOptions, StreamFormat, Undecodable};
use super::records::RecordBuilder;

/// Interval of reports of dropped records.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A stream that is being recorded.
///
/// Dropping it ends its work without blocking: frames that the server has not acknowledged are given up, but for those in
/// a spool, where the next recorder finds them. [`finish`](Self::finish) waits until all are written, and
/// [`detach`](Self::detach) has them written in the background.
#[derive(Debug)]
pub struct Recorder {
    intake: FrameAssembler,
    times: RecordTimes<InputFrame>,
    declared: RateCheck<InputFrame>,
    records: RecordBuilder,
    complete: VecDeque<NewRecord>,
    writer: RecordWriter,
    /// Format by the container or the pipeline.
    format: StreamFormat,
    /// Frame rate that the user has set.
    user_rate: Option<FrameRate>,
    undecodable: Undecodable,
    /// Last attachment `$video`.
    described: Option<JsonValue>,
    last_capture: Option<Capture>,
    losses: Losses,
    outliers: OutlierReport,
    /// Causes of undecodable pictures, each reported once.
    reported_damage: Vec<Damage>,
    undecodable_frames: u64,
    has_recorded: bool,
    has_decodable: bool,
    /// An error has ended recording.
    has_failed: bool,
    notices: VecDeque<Notice>,
}

/// Records that were dropped for lack of room, reported in intervals: every frame can be one.
#[derive(Debug, Default)]
struct Losses {
    unreported: Dropped,
    /// Time of the last report.
    reported: Option<Instant>,
}

impl Losses {
    fn note(&mut self, dropped: Dropped) {
        self.unreported = self.unreported.and(dropped);
    }

    fn take(&mut self, now: Instant, at_end: bool) -> Option<Dropped> {
        let is_due = at_end
            || self
                .reported
                .is_none_or(|reported| now - reported >= REPORT_INTERVAL);
        if self.unreported.records == 0 || !is_due {
            return None;
        }
        self.reported = Some(now);
        Some(std::mem::take(&mut self.unreported))
    }
}

impl Recorder {
    /// Returns a recorder that passes its records to a writer.
    pub(super) fn new(writer: RecordWriter, options: RecorderOptions) -> Self {
        Self {
            intake: FrameAssembler::default(),
            times: RecordTimes::default(),
            declared: RateCheck::default(),
            records: RecordBuilder::new(options.record_unit, options.labels),
            complete: VecDeque::new(),
            writer,
            format: StreamFormat::default(),
            user_rate: options.frame_rate,
            undecodable: options.undecodable,
            described: None,
            last_capture: None,
            losses: Losses::default(),
            outliers: OutlierReport::default(),
            reported_damage: Vec::new(),
            undecodable_frames: 0,
            has_recorded: false,
            has_decodable: false,
            has_failed: false,
            notices: VecDeque::new(),
        }
    }

    /// Sets the format of the access units that follow.
    pub fn set_format(&mut self, format: StreamFormat) {
        // Pending frames keep the rate that they came with.
        if format.frame_rate != self.format.frame_rate {
            self.end();
        }
        self.format = format;
    }

    /// Takes an access unit as Annex B byte stream, or a field of one, with its capture time, of which whole µs count.
    /// Never waits for the network.
    ///
    /// The access units are in decoding order, and so are the times of the records: the k-th one has the k-th capture
    /// time in output order.
    pub fn push_at(&mut self, content: Bytes, capture_time: CaptureTime) {
        self.push_stamped(content, Capture::at(capture_time));
    }

    /// Takes an access unit as Annex B byte stream, or a field of one, of a stream without timestamps that begins at
    /// the capture time `start`. Never waits for the network.
    ///
    /// The n-th frame in output order is recorded n frames after `start`, by [`RecorderOptions::frame_rate`] or the
    /// VUI of the stream. Without a frame rate nothing is recorded, after a notice.
    pub fn push_untimed(&mut self, content: Bytes, start: CaptureTime) {
        self.push_stamped(content, Capture::untimed(start));
    }

    /// Takes an access unit as Annex B byte stream, or a part of one, with its timestamps in several time bases. Never
    /// waits for the network.
    ///
    /// This is for `reductsink` and other front ends of a media framework, whose clocks and timestamps correct each
    /// other. A program that knows when its frames were captured, or only how many there are per second, uses
    /// [`push_at`](Self::push_at) or [`push_untimed`](Self::push_untimed).
    pub fn push_stamped(&mut self, content: Bytes, capture: Capture) {
        if self.has_failed {
            return;
        }
        self.last_capture = Some(capture);
        self.intake.push(content, capture);
        self.make_records();
    }

    /// Ends the stream, queues its last records whether there is room or not, and waits until all are written. Returns
    /// the last notices, with a [`Notice::Dropped`] of the frames that were dropped and not
    /// [reported](Self::take_dropped) yet.
    ///
    /// # Errors
    ///
    /// [`PushError::Failed`] with the error of the writer.
    pub async fn finish(&mut self) -> Result<Vec<Notice>, PushError> {
        self.end_at_once();
        self.drained().await?;
        Ok(self.last_notices())
    }

    /// Ends the stream, and queues its last records whether there is room or not. Never waits.
    ///
    /// With [`drained`](Self::drained) and [`last_notices`](Self::last_notices) it is [`finish`](Self::finish) for a
    /// recorder that other threads use meanwhile.
    pub fn end_at_once(&mut self) {
        self.end();
        let dropped = self.queue_at_once();
        self.losses.note(dropped);
    }

    /// Waits until all queued records are written. The future does not borrow the recorder. Of several that wait at
    /// once, one wakes at each progress.
    ///
    /// # Errors
    ///
    /// [`PushError::Failed`] with the error of the writer.
    pub fn drained(&self) -> impl Future<Output = Result<(), PushError>> + Send + use<> {
        self.writer.drained()
    }

    /// Waits until there may be more room in the queue. The future does not borrow the recorder. Of several that wait
    /// at once, one wakes.
    pub fn progressed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.writer.progressed()
    }

    /// Ends the stream, and waits until all records are written. Returns the last notices, as [`finish`](Self::finish)
    /// does. Blocks the calling thread, which must not be one of a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`PushError::Cancelled`] if the wait was cancelled, after which it may be called again; [`PushError::Full`] if
    /// records are refused for lack of room; [`PushError::Failed`] with the error of the writer.
    pub fn finish_blocking(
        &mut self,
        overflow: Overflow,
        canceller: &Canceller,
    ) -> Result<Vec<Notice>, PushError> {
        self.end();
        self.hand_over(overflow, canceller)?;
        self.drain(canceller)?;
        Ok(self.last_notices())
    }

    /// Returns the notices at the end of the stream, with a [`Notice::Dropped`] of the frames that were dropped and not
    /// [reported](Self::take_dropped) yet.
    pub fn last_notices(&mut self) -> Vec<Notice> {
        let dropped = self.take_dropped(true).map(Notice::Dropped);
        let verdict = self.verdict();
        let last = dropped.into_iter().chain(verdict);
        self.notices.drain(..).chain(last).collect()
    }

    /// Ends the last access unit and the last record.
    pub fn end(&mut self) {
        if let Some(capture) = self.last_capture
            && !self.has_failed
        {
            self.intake.end(capture);
        }
        self.make_records();
        self.times.end();
        self.make_records();
        self.report_outliers(true);
        self.declared.end();
        self.add_decided();
        self.records.end(&mut self.complete);
    }

    /// Returns a notice about the whole stream, to be called after its end.
    pub fn verdict(&self) -> Option<Notice> {
        let is_useless = self.has_recorded && !self.has_decodable && !self.has_failed;
        is_useless.then_some(Notice::NothingDecodable {
            frames: self.undecodable_frames,
            damage: self.reported_damage.first().copied(),
        })
    }

    /// Returns the next notice about the stream.
    pub fn pop_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Returns whether an error has ended recording.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Returns the frames so far whose record time is another one than their capture time, if there are some. There is
    /// no [notice](Self::pop_notice) of small deviations.
    pub fn moved(&self) -> Option<MovedFrames> {
        self.times.moved()
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
        self.report_outliers(false);
        let too_deep = self.times.take_too_deep();
        self.notices.extend(too_deep.map(Notice::Reordering));
        while let Some(frame) = self.times.pop() {
            let count = frame.item.count;
            self.declared.push(frame, count);
        }
        self.add_decided();
    }

    fn report_outliers(&mut self, at_end: bool) {
        let event = self.outliers.take(Instant::now(), at_end);
        self.notices.extend(event.map(Notice::Timestamps));
    }

    /// Passes the declared frame rate to the clocks of records.
    fn set_rate(&mut self) {
        let rate = self.rate();
        self.times.set_rate(rate);
        let distance = rate.map(|rate| media::timeline::frames(1, rate).max(Nanos::USECOND));
        self.declared.set_distance(distance);
    }

    /// Returns the declared frame rate: that of the format, of the user, or of the VUI.
    fn rate(&self) -> Option<FrameRate> {
        let vui = self.intake.vui_frame_rate();
        let is_of_vui = |rate: FrameRate| {
            let reduced = vui.and_then(|vui| vui.reduced());
            reduced == Some((rate.numer(), rate.denom()))
        };
        // h264parse copies the rate of the VUI to caps; the user knows better.
        (self.format.frame_rate)
            .filter(|rate| rate.is_plausible() && !is_of_vui(*rate))
            .or(self.user_rate)
            .or_else(|| vui.and_then(FrameRate::from_vui))
    }

    /// Notes whether a frame can be decoded.
    fn look_at(&mut self, frame: &InputFrame) {
        self.has_recorded = true;
        self.has_decodable |= frame.order.is_some();
        let Some(damage) = frame.undecodable() else {
            return;
        };
        self.undecodable_frames += frame.count;
        if self.reported_damage.contains(&damage) {
            return;
        }
        self.reported_damage.push(damage);
        let time = frame.capture.time.map(|sourced| sourced.time);
        self.notices.push_back(match self.undecodable {
            Undecodable::Record => Notice::Undecodable { time, damage },
            Undecodable::Refuse => {
                self.has_failed = true;
                Notice::RefusedUndecodable { time, damage }
            }
        });
    }

    /// Adds the frames whose label is decided to the records.
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

    /// Updates the attachment `$video` of the entry if it has changed.
    fn describe(&mut self, rate: Option<FrameRate>) {
        let rate = rate.and_then(|rate| {
            let label = rate.label();
            label.parse::<JsonValue>().ok().or(Some(label.into()))
        });
        let mut video = JsonValue::Object(Default::default());
        let of_stream = || {
            let (width, height) = self.intake.size()?;
            Some((i32::try_from(width).ok()?, i32::try_from(height).ok()?))
        };
        let size = self.format.size.or_else(of_stream);
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
            tracing::debug!(%video, "new attachment $video");
            self.described = Some(video.clone());
            self.writer.describe(video);
        }
    }

    /// Queues complete records for the server. With [`Overflow::Block`] it waits for room, and blocks the calling
    /// thread, which must not be one of a tokio runtime then.
    ///
    /// Records that were dropped instead are reported by [`take_dropped`](Self::take_dropped), and at the end by
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// [`PushError::Cancelled`] if the wait was cancelled, after which it may be called again;
    /// [`PushError::Full`] if records are refused for lack of room; [`PushError::Failed`] with the error of the
    /// writer.
    pub fn hand_over(
        &mut self,
        overflow: Overflow,
        canceller: &Canceller,
    ) -> Result<(), PushError> {
        while let Some(record) = self.complete.front_mut() {
            let pushed = self.writer.push(record, overflow, canceller)?;
            self.losses.note(pushed);
            self.complete.pop_front();
        }
        Ok(())
    }

    /// Queues complete records whether there is room or not, and returns the number of lost ones. Never waits.
    pub fn hand_over_at_once(&mut self) -> usize {
        usize::try_from(self.queue_at_once().records).unwrap_or(usize::MAX)
    }

    fn queue_at_once(&mut self) -> Dropped {
        let records = self.complete.drain(..);
        let refused = records.map(|record| self.writer.push_at_once(record));
        refused.fold(Dropped::default(), Dropped::and)
    }

    /// Returns the report of dropped records that is due now; at the end, everything unreported.
    pub fn take_dropped(&mut self, at_end: bool) -> Option<Dropped> {
        self.losses.take(Instant::now(), at_end)
    }

    /// Returns the counters of the writer, which any thread may read.
    pub fn stats(&self) -> &Arc<WriterStats> {
        self.writer.stats()
    }

    /// Waits until all queued records are written.
    ///
    /// # Errors
    ///
    /// [`PushError::Cancelled`] if the wait was cancelled; [`PushError::Failed`] with the error of the writer.
    pub fn drain(&self, canceller: &Canceller) -> Result<(), PushError> {
        self.writer.drain(canceller)
    }

    /// Lets the background task write queued records. Frames that were not [ended](Self::end) and
    /// [handed over](Self::hand_over_at_once) are not among them.
    pub fn detach(self) -> DetachedWriter {
        self.writer.detach()
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
        assert_eq!(losses.take(begin + REPORT_INTERVAL / 2, false), None);
        let told = losses.take(begin + REPORT_INTERVAL, false);
        assert_eq!(told, Some(dropped(5, 20)));
        losses.note(dropped(1, 40));
        assert_eq!(
            losses.take(begin + REPORT_INTERVAL, true),
            Some(dropped(1, 40))
        );
        assert_eq!(losses.take(begin + 9 * REPORT_INTERVAL, false), None);
    }
}
