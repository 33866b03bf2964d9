// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of the streaming thread: makes buffers and events of the items of a reader.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use client::{Cancelled, Canceller, EntrySource};
use gst::ClockTime;
use media::range::Begin;
use media::time::Nanos;
use media::timeline::Hole;
use recording::{Episode, Error, Format, Frame, Item, Position, RangeStart, Reader};
use tokio::runtime::Handle;

use super::buffers;
use super::episodes::{self, Row};
use super::live::Live;
use super::segments::{Segments, Show};
use super::settings::{Checked, OPTION_NAMES};
use super::stats::RunStats;
use crate::convert::{ToClockTime, ToNanos};
use crate::errors::reading_message;

/// Pictures do not wait longer for their place in output order than the latency may be.
const MAX_REORDER_WAIT: ClockTime = ClockTime::from_seconds(2);

/// Next output of the source.
#[derive(Debug)]
pub enum Step {
    /// The first caps, or other ones.
    Caps(gst::Caps),
    /// A segment begins with the next buffer.
    Segment(gst::Segment),
    /// Running time leaves out a hole, and the frames after it are kept.
    Pause(Hole),
    /// A warning; reading continues.
    Warn(String),
    /// Reading failed, and is tried again.
    Retry(String),
    /// One access unit.
    Push(gst::Buffer),
    /// All of an episode.
    Episode(Box<Episode>),
    /// All records are read.
    End,
    /// An error that ends reading. Everything before it is pushed by now.
    Fail(gst::ErrorMessage),
}

/// A seek. Times are stream times.
#[derive(Debug, Clone)]
pub struct Seek {
    /// First time that is shown.
    pub from: Nanos,
    /// Last time that is shown.
    pub until: Option<Nanos>,
    /// Frame to begin with.
    pub begin: Begin,
    /// Playback rate.
    pub rate: f64,
    /// Flags of its segments.
    pub flags: gst::SegmentFlags,
    /// Running time at which it begins.
    pub base: ClockTime,
}

impl Seek {
    /// Returns the seek of a segment, as GstBaseSrc makes it of a seek event with these flags.
    pub fn new(segment: &gst::FormattedSegment<ClockTime>, flags: gst::SeekFlags) -> Self {
        let begin = if !flags.contains(gst::SeekFlags::KEY_UNIT) {
            Begin::Exact
        } else if flags.contains(gst::SeekFlags::SNAP_NEAREST) {
            Begin::KeyframeNearest
        } else if flags.contains(gst::SeekFlags::SNAP_AFTER) {
            Begin::KeyframeAfter
        } else {
            Begin::KeyframeBefore
        };
        Self {
            from: segment.start().nanos().unwrap_or_default(),
            until: segment.stop().nanos(),
            begin,
            rate: segment.rate(),
            flags: segment.flags(),
            base: segment.base().unwrap_or_default(),
        }
    }

    /// Returns the same seek for a reader.
    fn of_reader(&self) -> recording::Seek {
        recording::Seek {
            from: Position::Stream(self.from),
            until: self.until.map(Position::Stream),
            begin: self.begin,
            is_backward: self.rate < 0.0,
            keyframes_only: self.flags.contains(gst::SegmentFlags::TRICKMODE_KEY_UNITS),
        }
    }
}

/// Reader, running time and live latency of a run.
#[derive(Debug)]
pub struct Stream {
    reader: Reader,
    runtime: Handle,
    stats: Arc<RunStats>,
    /// Seek that is carried out; `None` from the beginning.
    seek: Option<Seek>,
    /// Segments of the present range.
    segments: Segments,
    /// The first buffer of the present range has DISCONT.
    range_is_discont: bool,
    /// After an error nothing more comes, and no end either.
    has_failed: bool,
    /// Running time that has been reached.
    reached: ClockTime,
    has_pushed: bool,
    row: Row,
    segment: gst::FormattedSegment<ClockTime>,
    caps: Option<gst::Caps>,
    /// For a recording that is followed.
    live: Option<Live>,
    /// Time at which the streaming thread went downstream.
    left: Option<Instant>,
    /// Time that it had waited for the network when it came back, in ns.
    waited: u64,
    /// Running time at the end of the last wait for the network: buffers that were pushed since then came then, or
    /// were delayed by elements downstream.
    arrived: Option<ClockTime>,
}

impl Stream {
    /// Returns a stream that reads by `settings` and counts in `stats`.
    pub fn new(runtime: &Handle, settings: Checked, stats: Arc<RunStats>) -> Self {
        let live = settings.records.poll_interval.map(Live::new);
        let reader_stats = stats.read.reader.clone();
        let access = EntrySource::new(runtime, settings.connection, settings.records, reader_stats);
        let reader = Reader::new(
            Arc::new(access),
            settings.program,
            settings.options,
            stats.read.clone(),
        );
        Self {
            reader,
            runtime: runtime.clone(),
            stats,
            seek: None,
            segments: Segments::new(Show::default()),
            range_is_discont: false,
            has_failed: false,
            reached: ClockTime::ZERO,
            has_pushed: false,
            row: Row::default(),
            segment: gst::FormattedSegment::new(),
            caps: None,
            live,
            left: None,
            waited: 0,
            arrived: None,
        }
    }

    /// Notes that the streaming thread goes downstream.
    pub fn leave(&mut self) {
        self.left = Some(Instant::now());
    }

    /// Notes that the streaming thread comes back.
    pub fn come_back(&mut self) {
        if let Some(left) = self.left.take() {
            let waited = left.elapsed().as_nanos() as u64;
            let waits = &self.stats.downstream_wait;
            waits.fetch_add(waited, Ordering::Relaxed);
        }
        self.waited = self.network_wait();
    }

    fn network_wait(&self) -> u64 {
        let wait = &self.stats.read.reader.network_wait;
        wait.load(Ordering::Relaxed)
    }

    /// Continues at another time, or begins there. Asks nothing of the server yet.
    pub fn seek(&mut self, seek: Seek) {
        self.reader.seek(seek.of_reader());
        self.segment = gst::FormattedSegment::new();
        if let Some(live) = &mut self.live {
            live.seek();
        }
        self.reached = seek.base;
        self.seek = Some(seek);
        self.has_failed = false;
    }

    /// Returns whether there was an episode before the one that is next.
    pub fn has_pushed_episode(&self) -> bool {
        self.row.has_begun()
    }

    /// Ends the stream after an error.
    pub fn fail(&mut self) {
        self.has_failed = true;
    }

    /// Returns the access to the entry.
    pub fn access(&self) -> &Arc<EntrySource> {
        self.reader.access()
    }

    /// Returns the PTS that is stream time 0, as far as it is known.
    pub fn zero(&self) -> Nanos {
        self.reader.zero()
    }

    /// Places a segment at the clock, whose running time is `now`, if the recording is followed.
    pub fn place(&mut self, mut segment: gst::Segment, now: Option<ClockTime>) -> gst::Segment {
        let now = now.map(|now| now.saturating_sub(self.reorder_wait(&segment)));
        if let Some(live) = &mut self.live
            && let Some(segment) = segment.downcast_mut()
            && segment.rate() > 0.0
        {
            live.place(segment, now);
            self.segment = segment.clone();
        }
        segment
    }

    /// Returns the time that the first picture of a segment has waited for its place in output order. The
    /// latency has room for that, and shrinks with it.
    fn reorder_wait(&self, segment: &gst::Segment) -> ClockTime {
        let start = segment
            .downcast_ref::<ClockTime>()
            .and_then(|segment| segment.start());
        let (Some(start), Some(origin)) = (start, self.reader.origin()) else {
            return ClockTime::ZERO;
        };
        let newest = self.stats.read.extent.newest();
        let newest = newest.map(|newest| (newest - origin).clock_time());
        let wait = newest.map_or(ClockTime::ZERO, |newest| newest.saturating_sub(start));
        // A longer one is a recording that begins in the past.
        if wait > MAX_REORDER_WAIT {
            return ClockTime::ZERO;
        }
        wait
    }

    /// Returns the segment of an episode that is next.
    pub fn place_episode(&mut self, episode: &Episode, now: Option<ClockTime>) -> gst::Segment {
        let zero = self.reader.stream_zero().unwrap_or(episode.capture_time);
        let stream_time = episode.capture_time - zero;
        let segment = self
            .row
            .place(episode, stream_time.clock_time(), &mut self.reached);
        self.place(segment.upcast(), now)
    }

    /// Returns the largest delay of a buffer behind its running time, if the recording is followed.
    pub fn latency(&self) -> Option<ClockTime> {
        self.live.map(|live| live.latency())
    }

    /// Notes the running time at which a buffer came. Returns the latency if it has changed.
    pub fn arrive(&mut self, buffer: &gst::BufferRef, now: Option<ClockTime>) -> Option<ClockTime> {
        if self.network_wait() > self.waited {
            self.arrived = now;
        }
        let live = self.live.as_mut()?;
        let expected = self.segment.to_running_time(buffer.pts())?;
        live.arrive(expected, self.arrived?).then(|| live.latency())
    }

    /// Returns a segment that begins now, in front of a buffer, if everything before it was late for
    /// too long.
    pub fn catch_up(
        &mut self,
        buffer: &gst::BufferRef,
        now: Option<ClockTime>,
    ) -> Option<gst::Segment> {
        let now = now?;
        let live = self.live.as_mut().filter(|live| live.is_behind(now))?;
        // No later buffer is shown before that.
        let start = buffer.dts().or(buffer.pts())?;
        let base = self.segment.to_running_time(start)?;
        let time = self.segment.to_stream_time(start);
        live.catch_up(base, now);
        self.segment.set_start(start);
        self.segment.set_position(start);
        self.segment.set_time(time);
        self.segment.set_base(base.max(now));
        Some(self.segment.clone().upcast())
    }

    /// Returns the next step. Waits for the server if there is none yet.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] if the wait was cancelled.
    pub fn next(&mut self, flushing: &Canceller) -> Result<Step, Cancelled> {
        loop {
            if self.has_failed {
                return Err(Cancelled);
            }
            match self.reader.next_blocking(&self.runtime, flushing) {
                Ok(Some(item)) => {
                    if let Some(step) = self.step(item) {
                        return Ok(step);
                    }
                }
                Ok(None) => return Ok(Step::End),
                Err(Error::Cancelled) => return Err(Cancelled),
                Err(error) => {
                    self.has_failed = true;
                    return Ok(Step::Fail(reading_message(&error)));
                }
            }
        }
    }

    /// Returns the step of an item, if it has one.
    fn step(&mut self, item: Item) -> Option<Step> {
        match item {
            Item::Range(start) => {
                self.begin_range(start);
                None
            }
            Item::Format(format) => {
                let caps = match format {
                    Format::H264 { frame_rate } => buffers::caps(frame_rate),
                    Format::Episodes => episodes::caps(),
                };
                if self.caps.as_ref() == Some(&caps) {
                    return None;
                }
                self.caps = Some(caps.clone());
                Some(Step::Caps(caps))
            }
            Item::Segment(segment) => {
                let segment = self.segments.next(&segment);
                if self.is_backward() && self.segment == segment {
                    return None; // It is in force already.
                }
                self.segment = segment.clone();
                Some(Step::Segment(segment.upcast()))
            }
            Item::Pause(hole) => Some(Step::Pause(hole)),
            Item::Gap(loss) => Some(Step::Warn(loss.describe(&OPTION_NAMES.timeline))),
            Item::Warning(text) => Some(Step::Warn(text)),
            Item::Retry(text) => Some(Step::Retry(text)),
            Item::Frame(frame) => Some(Step::Push(self.buffer(frame))),
            Item::Episode(episode) => {
                self.has_pushed = true;
                Some(Step::Episode(episode))
            }
        }
    }

    fn is_backward(&self) -> bool {
        self.seek.as_ref().is_some_and(|seek| seek.rate < 0.0)
    }

    fn begin_range(&mut self, start: RangeStart) {
        let seek = self.seek.as_ref();
        self.segments = Segments::new(Show {
            rate: seek.map_or(1.0, |seek| seek.rate),
            flags: seek.map_or(gst::SegmentFlags::empty(), |seek| seek.flags),
            base: match seek {
                Some(seek) if seek.rate < 0.0 => seek.base.nanos(),
                _ => self.reached.nanos(),
            },
            from: start.from,
            until: start.until,
            zero: start.zero,
        });
        self.range_is_discont = self.has_pushed;
    }

    fn buffer(&mut self, frame: Frame) -> gst::Buffer {
        let is_discont = frame.begins_range && self.range_is_discont;
        let mut buffer = buffers::buffer(frame);
        if is_discont {
            buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        if !self.is_backward() {
            self.has_pushed = true;
            self.note_end(&buffer);
        }
        buffer
    }

    /// Continues running time after a buffer.
    fn note_end(&mut self, buffer: &gst::BufferRef) {
        let end = buffer
            .pts()
            .map(|pts| pts.saturating_add(buffer.duration().unwrap_or_default()));
        let end = match (end, self.segment.stop()) {
            (Some(end), Some(stop)) => Some(end.min(stop)),
            (end, _) => end,
        };
        if let Some(reached) = self.segment.to_running_time(end) {
            self.reached = self.reached.max(reached);
        }
    }
}
