// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! What the source pushes, piece by piece: the state of the streaming thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use client::{Access, Event, Flushed, Flushing, Query, RecordReader, View};
use gst::ClockTime;
use media::content::Kind;
use media::range::Begin;
use media::time::Nanos;
use tokio::runtime::Handle;

use super::episodes::{Episode, Row};
use super::live::Live;
use super::segments::{Show, ShownFrom};
use super::settings::Checked;
use crate::convert::{ToClockTime, ToNanos};
use crate::errors::ReadError;
use crate::recording::read::keyframes::{Keyframes, Known, Search};
use crate::recording::read::range::Pass;
use crate::recording::read::ranges::{self, Piece};
use crate::recording::read::scope::{Common, End, Scope, Step};
use crate::recording::read::stats::Stats;

/// Pictures do not wait longer for their place in output order than the latency may be.
const MAX_REORDER_WAIT: ClockTime = ClockTime::from_seconds(2);
/// How far the records of one picture may be apart, in µs.
const MOST_SPREAD: u64 = 10_000;

/// What a seek asks for. Times are stream times.
#[derive(Debug, Clone)]
pub struct Seek {
    pub from: Nanos,
    pub until: Option<Nanos>,
    pub begin: Begin,
    pub rate: f64,
    pub flags: gst::SegmentFlags,
    /// Running time at which it begins.
    pub base: ClockTime,
}

impl Seek {
    /// What a segment, as GstBaseSrc makes it of a seek event, and the flags of that event ask for.
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
}

/// Reads a program of pieces, from its beginning or from where a seek asks for.
#[derive(Debug)]
pub struct Stream {
    common: Arc<Common>,
    program: Vec<Piece>,
    /// It begins with what is written from now on.
    begins_now: bool,
    state: State,
    /// Asked for and not begun.
    wanted: Option<Seek>,
    /// What the pieces are read for; `None` for the program from its beginning.
    seek: Option<Seek>,
    /// The pieces that are still to be read; `None` before it is known which.
    pieces: Option<VecDeque<Piece>>,
    /// What is left to be shown backwards: from the first time to before the second one.
    backwards: Option<(u64, u64)>,
    /// Keyframes that were read forwards and are to be shown backwards.
    stack: Vec<gst::Buffer>,
    /// The next piece has to begin before that.
    before: Option<u64>,
    zeros: Option<Zeros>,
    keyframes: Keyframes,
    /// The record that a search has ended with because of its label alone.
    hint: Option<u64>,
    has_asked_for_times: bool,
    /// How far running time is.
    reached: ClockTime,
    has_pushed: bool,
    row: Row,
    segment: gst::FormattedSegment<ClockTime>,
    caps: Option<gst::Caps>,
    /// For a recording that is followed.
    live: Option<Live>,
    /// When the streaming thread went downstream.
    left: Option<Instant>,
    /// For how long it had waited for the network when it came back, in ns.
    waited: u64,
    /// Running time at the end of the last wait for the network: what was pushed since then came
    /// then, or was kept from coming by what is downstream.
    arrived: Option<ClockTime>,
}

/// Capture times that other times count from. They stay for a run.
#[derive(Debug, Clone, Copy)]
struct Zeros {
    /// PTS 0.
    timeline: Nanos,
    /// Stream time 0. What a decoder needs before it has an earlier PTS.
    stream: Nanos,
}

#[derive(Debug)]
enum State {
    /// The next piece begins.
    Next,
    /// The newest record is asked for its time: what is followed begins after it.
    FindingNow(RecordReader),
    /// The entry is asked for its times: a search is to begin within them.
    FindingTimes(RecordReader),
    /// The first record is asked for its time.
    FindingOrigin(RecordReader),
    Searching {
        search: Box<Search>,
        window: Option<RecordReader>,
    },
    Reading {
        piece: Piece,
        pass: Box<Pass>,
    },
    /// As after an error that was told: there is nothing more, but no end either.
    Failed,
}

/// Where the reading of a piece begins.
#[derive(Debug, Clone, Copy)]
struct Entry {
    time: Option<u64>,
    /// Nothing that may be shown is before it.
    is_earliest: bool,
    /// A label alone says that it is a keyframe.
    is_hint: bool,
}

impl Stream {
    /// A stream that will read by `settings` and count in `stats`.
    pub fn new(runtime: &Handle, settings: Checked, stats: Arc<Stats>) -> Self {
        let most_held = settings.records.limits.prefetch_bytes;
        let reader_stats = stats.reader.clone();
        let has_start = (settings.program.first()).is_some_and(|first| first.start.is_some());
        let poll_interval = settings.records.poll_interval;
        let begins_now = poll_interval.is_some() && !has_start;
        let live = poll_interval.map(Live::new);
        let is_filtered = settings.records.when.is_some();
        let access = Access::new(runtime, settings.connection, settings.records, reader_stats);
        let common = Common {
            access: Arc::new(access),
            kind: OnceLock::new(),
            on_error: settings.on_error,
            entry_points: settings.entry_points,
            asked: settings.asked,
            has_told_of_bounds: AtomicBool::new(false),
            has_told_of_nothing: AtomicBool::new(false),
            first_without_sets: OnceLock::new(),
            lookback: settings.lookback.useconds(),
            set_rate: settings.frame_rate,
            gap_detection: settings.gap_detection,
            gap_tolerance: settings.gap_tolerance,
            pause_limit: settings.pause_limit,
            on_loss: settings.on_loss,
            is_filtered,
            most_held: usize::try_from(most_held).unwrap_or(usize::MAX),
            depth: Mutex::default(),
            stats,
        };
        Self {
            common: Arc::new(common),
            program: settings.program,
            begins_now,
            state: State::Next,
            wanted: None,
            seek: None,
            pieces: None,
            backwards: None,
            stack: Vec::new(),
            before: None,
            zeros: None,
            keyframes: Keyframes::default(),
            hint: None,
            has_asked_for_times: false,
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

    /// The streaming thread goes downstream.
    pub fn leave(&mut self) {
        self.left = Some(Instant::now());
    }

    /// The streaming thread comes back.
    pub fn come_back(&mut self) {
        if let Some(left) = self.left.take() {
            let waited = left.elapsed().as_nanos() as u64;
            let waits = &self.common.stats.downstream_wait;
            waits.fetch_add(waited, Ordering::Relaxed);
        }
        self.waited = self.network_wait();
    }

    fn network_wait(&self) -> u64 {
        let wait = &self.common.stats.reader.network_wait;
        wait.load(Ordering::Relaxed)
    }

    /// Goes on somewhere else, or begins there. Asks nothing of the server yet.
    pub fn seek(&mut self, seek: Seek) {
        self.leave_pass();
        self.before = None;
        self.hint = None;
        self.backwards = None;
        self.stack.clear();
        self.segment = gst::FormattedSegment::new();
        if let Some(live) = &mut self.live {
            live.seek();
        }
        self.wanted = Some(seek);
        self.state = State::Next;
    }

    /// Returns whether there was an episode before the one that is next.
    pub fn has_pushed_episode(&self) -> bool {
        self.row.has_begun()
    }

    /// Nothing more is to come after an error.
    pub fn fail(&mut self) {
        self.state = State::Failed;
    }

    /// What is read.
    pub fn access(&self) -> &Arc<Access> {
        &self.common.access
    }

    /// Returns how far stream time 0 is from PTS 0, as far as it is known.
    pub fn zero(&self) -> Nanos {
        let zero = |zeros: Zeros| zeros.stream.saturating_sub(zeros.timeline);
        self.zeros.map_or(Nanos::ZERO, zero)
    }

    /// Puts a segment in its place next to the clock, whose running time is `now`.
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

    /// Returns how long the first picture of a segment has waited for its place in output order. The
    /// latency has room for that, and shrinks with it.
    fn reorder_wait(&self, segment: &gst::Segment) -> ClockTime {
        let start = segment
            .downcast_ref::<ClockTime>()
            .and_then(|segment| segment.start());
        let (Some(start), Some(zeros)) = (start, self.zeros) else {
            return ClockTime::ZERO;
        };
        let newest = self.common.stats.extent.newest();
        let newest = newest.map(|newest| newest.saturating_sub(zeros.timeline).clock_time());
        let wait = newest.map_or(ClockTime::ZERO, |newest| newest.saturating_sub(start));
        // More is a recording that begins in the past.
        if wait > MAX_REORDER_WAIT {
            return ClockTime::ZERO;
        }
        wait
    }

    /// The segment of an episode that is next.
    pub fn place_episode(&mut self, episode: &Episode, now: Option<ClockTime>) -> gst::Segment {
        let zero = match self.zeros {
            Some(zeros) => zeros.stream,
            None => {
                let time = episode.capture.useconds();
                self.set_zeros(time, time);
                episode.capture
            }
        };
        let stream_time = episode.capture.saturating_sub(zero);
        let segment = self
            .row
            .place(episode, stream_time.clock_time(), &mut self.reached);
        self.place(segment.upcast(), now)
    }

    /// Returns how much later than its running time a buffer may come, if the recording is followed.
    pub fn latency(&self) -> Option<ClockTime> {
        self.live.map(|live| live.latency())
    }

    /// Takes when a buffer came, in running time. Returns the latency if it has changed.
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

    /// The next step. Waits for the server if there is none yet.
    pub fn next(&mut self, flushing: &Flushing) -> Result<Step, Flushed> {
        loop {
            match self.advance(flushing) {
                Ok(Some(step)) => return Ok(step),
                Ok(None) => {}
                Err(ReadError::Flushed) => return Err(Flushed),
                Err(ReadError::Failed(message)) => {
                    self.state = State::Failed;
                    return Ok(Step::Fail(message));
                }
            }
        }
    }

    fn advance(&mut self, flushing: &Flushing) -> Result<Option<Step>, ReadError> {
        match &mut self.state {
            State::Next => self.begin_next(),
            State::FindingNow(reader) => match reader.next(flushing)? {
                Some(Event::Retrying(text)) => Ok(Some(Step::Retry(text))),
                event => {
                    let times = match event {
                        Some(Event::Times(times)) => times,
                        _ => None,
                    };
                    self.begin_after(times.map(|times| times.newest));
                    self.state = State::Next;
                    Ok(None)
                }
            },
            State::FindingTimes(reader) => match reader.next(flushing)? {
                Some(Event::Retrying(text)) => Ok(Some(Step::Retry(text))),
                event => {
                    self.has_asked_for_times = true;
                    self.state = State::Next;
                    Ok(match event {
                        Some(Event::Times(Some(times))) => self.common.hear_of(times),
                        _ => None,
                    })
                }
            },
            State::FindingOrigin(reader) => match reader.next(flushing)? {
                Some(Event::Record(record)) if Kind::of(&record.content_type).is_none() => Ok(None),
                Some(Event::Record(record)) => {
                    self.set_zeros(record.time, record.time);
                    self.state = State::Next;
                    Ok(None)
                }
                Some(Event::Retrying(text)) => Ok(Some(Step::Retry(text))),
                Some(Event::Opened(_) | Event::Times(_)) => Ok(None),
                None => {
                    // There is nothing to seek to.
                    self.wanted = None;
                    self.state = State::Next;
                    Ok(None)
                }
            },
            State::Searching { .. } => self.search(flushing),
            State::Reading { .. } => self.read(flushing),
            State::Failed => Err(ReadError::Flushed),
        }
    }

    /// Begins with the next piece, as soon as it is known where.
    fn begin_next(&mut self) -> Result<Option<Step>, ReadError> {
        if self.zeros.is_none() && !self.find_zeros()? {
            return Ok(None);
        }
        if let (Some(seek), Some(zeros)) = (&self.wanted, self.zeros) {
            let capture = |time: Nanos| zeros.stream.saturating_add(time).useconds();
            let until = seek.until.map(|until| capture(until).saturating_add(1));
            let pieces = ranges::seek(&self.program, capture(seek.from), seek.begin, until);
            self.pieces = Some(pieces);
            self.reached = seek.base;
            self.backwards = (seek.rate < 0.0).then(|| {
                // The first picture's parameter sets may be in a record before it.
                let from = capture(seek.from).saturating_sub(MOST_SPREAD);
                (from, until.unwrap_or(u64::MAX))
            });
            self.seek = self.wanted.take();
        }
        if self.backwards.is_some() {
            return Ok(self.begin_before());
        }
        let program = &self.program;
        let pieces = self.pieces.get_or_insert_with(|| program.clone().into());
        let Some(piece) = pieces.front().cloned() else {
            return Ok(Some(Step::End));
        };
        if let Some(entry) = self.find(&piece) {
            self.begin_pass(entry);
        }
        Ok(None)
    }

    /// Begins with the last keyframe of what is left to be shown backwards, as soon as it is known.
    fn begin_before(&mut self) -> Option<Step> {
        if let Some(buffer) = self.stack.pop() {
            return Some(Step::Push(buffer));
        }
        let (from, end) = self.backwards?;
        let Some(latest) = end.checked_sub(1) else {
            return Some(Step::End);
        };
        let newest = self.common.stats.extent.newest();
        let latest = latest.min(newest.map_or(u64::MAX, Nanos::useconds));
        let piece = (self.program.iter()).rfind(|piece| piece.start.unwrap_or(0) <= latest);
        let Some(piece) = piece else {
            return Some(Step::End);
        };
        let last = piece.stop.map_or(u64::MAX, |stop| stop.saturating_sub(1));
        let latest = latest.min(last);
        let start = piece.start.unwrap_or(0);
        let floor = start.max(from).max(self.oldest());
        if latest < floor {
            return self.go_back(from, start);
        }
        match self.keyframes.at_or_before(latest, floor) {
            Known::Keyframe(time) => {
                self.backwards = Some((from, time));
                let stop = time.saturating_add(MOST_SPREAD);
                let keyframe =
                    Piece::new(Some(time), Some(stop), Begin::KeyframeAfter, End::Records);
                self.pieces = Some([keyframe].into());
                self.begin_pass(Entry {
                    time: Some(time),
                    is_earliest: true,
                    is_hint: false,
                });
                None
            }
            Known::None => self.go_back(from, start),
            Known::Unknown { before } => {
                self.look_before(before, floor, false);
                None
            }
        }
    }

    /// Goes on backwards before the piece that begins at `start`.
    fn go_back(&mut self, from: u64, start: u64) -> Option<Step> {
        if start <= from {
            return Some(Step::End);
        }
        self.backwards = Some((from, start));
        None
    }

    /// Finds out what PTS and stream time count from. Tells whether that is known, or can wait.
    fn find_zeros(&mut self) -> Result<bool, ReadError> {
        let Some(first) = self.program.first().cloned() else {
            return Ok(true);
        };
        let Some(start) = first.start else {
            if self.begins_now {
                self.state = State::FindingNow(self.reader(Query {
                    view: View::Times,
                    ..Query::default()
                })?);
                return Ok(false);
            }
            if self.wanted.is_none() {
                return Ok(true); // The first record tells.
            }
            self.state = State::FindingOrigin(self.reader(Query {
                start: None,
                stop: first.stop,
                view: View::Headers,
                ..Query::default()
            })?);
            return Ok(false);
        };
        let searches = first.begin != Begin::KeyframeAfter;
        let times_are_known =
            self.has_asked_for_times || self.common.stats.extent.oldest().is_some();
        if searches && !times_are_known && !self.common.access.follows() {
            self.state = State::FindingTimes(self.reader(Query {
                view: View::Times,
                ..Query::default()
            })?);
            return Ok(false);
        }
        let Some(entry) = self.find(&first) else {
            return Ok(false);
        };
        // It is not before the time, but where the search for it could not be exact.
        let begin = entry.time.unwrap_or(start).min(start);
        match first.begin {
            Begin::Exact => self.set_zeros(begin, start),
            _ => self.set_zeros(begin, begin),
        }
        Ok(true)
    }

    /// Begins with what is written from now on.
    fn begin_after(&mut self, newest: Option<u64>) {
        self.begins_now = false;
        if let Some(first) = self.program.first_mut() {
            let start = newest.map(|newest| newest.saturating_add(1));
            *first = Piece::new(start, first.stop, first.begin, first.end);
        }
    }

    fn set_zeros(&mut self, timeline: u64, stream: u64) {
        let [timeline, stream] = [timeline, stream].map(Nanos::from_useconds);
        self.zeros = Some(Zeros { timeline, stream });
        self.common.stats.extent.set_zero(stream);
    }

    /// Where to begin to read for a piece; or begins to search.
    fn find(&mut self, piece: &Piece) -> Option<Entry> {
        let Some(start) = piece.start.filter(|_| piece.begin != Begin::KeyframeAfter) else {
            // The record that a seek goes to may begin before.
            let record = match self.is_sought(piece) {
                true => self.common.stats.extent.record().useconds(),
                false => 0,
            };
            let floor = piece.floor;
            return Some(Entry {
                time: piece
                    .start
                    .map(|start| start.saturating_sub(record).max(floor)),
                is_earliest: true,
                is_hint: false,
            });
        };
        let latest = self.before.map_or(start, |before| before.saturating_sub(1));
        // Nothing is to be found after the newest record.
        let newest = self.common.stats.extent.newest();
        let newest = newest.filter(|_| !self.common.access.follows());
        let latest = newest.map_or(latest, |newest| latest.min(newest.useconds()));
        let floor = piece.floor.max(self.oldest());
        let known = match latest < floor {
            true => Known::None,
            false => self.keyframes.at_or_before(latest, floor),
        };
        match known {
            Known::Keyframe(time) => Some(Entry {
                time: Some(time),
                is_earliest: false,
                is_hint: false,
            }),
            Known::None => Some(Entry {
                time: Some(start.min(latest.saturating_add(1))),
                is_earliest: true,
                is_hint: false,
            }),
            Known::Unknown { before } => {
                if let Some(hint) = self.hint.take() {
                    return Some(Entry {
                        time: Some(hint),
                        is_earliest: false,
                        is_hint: true,
                    });
                }
                // Times count from what is found first. Later the reading notices a wrong label.
                self.look_before(before, floor, self.zeros.is_some());
                None
            }
        }
    }

    /// Looks for the last keyframe before a time. `takes_hint`: who reads from there on verifies it.
    fn look_before(&mut self, before: u64, floor: u64, takes_hint: bool) {
        let entry_points = self.common.entry_points;
        self.state = State::Searching {
            search: Box::new(Search::new(before, floor, entry_points, takes_hint)),
            window: None,
        };
    }

    /// Time of the oldest record, as far as it is known.
    fn oldest(&self) -> u64 {
        let oldest = self.common.stats.extent.oldest();
        oldest.map_or(0, Nanos::useconds)
    }

    /// Takes one event of a window of the search, or goes on with the next one.
    fn search(&mut self, flushing: &Flushing) -> Result<Option<Step>, ReadError> {
        let State::Searching { search, window, .. } = &mut self.state else {
            return Ok(None);
        };
        if let Some(reader) = window {
            match reader.next(flushing)? {
                Some(Event::Record(record)) => search.add(&record),
                Some(Event::Retrying(text)) => return Ok(Some(Step::Retry(text))),
                Some(Event::Opened(_) | Event::Times(_)) => {}
                None => *window = None,
            }
            return Ok(None);
        }
        if let Some((range, view)) = search.next_window(&mut self.keyframes) {
            let reader = self.reader(Query {
                start: Some(range.start),
                stop: Some(range.end),
                view,
                ..Query::default()
            })?;
            if let State::Searching { window, .. } = &mut self.state {
                *window = Some(reader);
            }
            return Ok(None);
        }
        self.hint = search.hint();
        self.state = State::Next;
        Ok(None)
    }

    /// Returns whether a piece is not as in the program.
    fn is_sought(&self, piece: &Piece) -> bool {
        self.seek.is_some() && !self.program.contains(piece)
    }

    fn reader(&self, query: Query) -> Result<RecordReader, ReadError> {
        Ok(RecordReader::new(&self.common.access, query))
    }

    /// Begins to read the next piece.
    fn begin_pass(&mut self, entry: Entry) {
        let Some(piece) = self.pieces.as_mut().and_then(VecDeque::pop_front) else {
            return;
        };
        let is_sought = self.is_sought(&piece);
        let zeros = self.zeros;
        let seek = self.seek.as_ref();
        let in_timeline = |capture: Nanos| {
            let origin = zeros.map_or(Nanos::ZERO, |zeros| zeros.timeline);
            capture.saturating_sub(origin)
        };
        let of_seek = |time: Nanos| {
            let zero = zeros.map_or(Nanos::ZERO, |zeros| zeros.stream);
            zero.saturating_add(time)
        };
        // A seek is more exact than the times of records.
        let at = piece.start.map_or(Nanos::ZERO, Nanos::from_useconds);
        let at = (seek.map(|seek| of_seek(seek.from)))
            .filter(|sought| sought.useconds() == at.useconds())
            .unwrap_or(at);
        let show = Show {
            rate: seek.map_or(1.0, |seek| seek.rate),
            flags: seek.map_or(gst::SegmentFlags::empty(), |seek| seek.flags),
            base: match seek {
                Some(seek) if self.backwards.is_some() => seek.base.nanos(),
                _ => self.reached.nanos(),
            },
            from: match piece.begin {
                _ if self.backwards.is_some() => {
                    ShownFrom::Time(in_timeline(seek.map_or(at, |seek| of_seek(seek.from))))
                }
                Begin::Exact => ShownFrom::Time(in_timeline(at)),
                _ if is_sought => ShownFrom::First,
                _ => ShownFrom::Beginning,
            },
            until: seek
                .and_then(|seek| seek.until)
                .map(|until| in_timeline(of_seek(until))),
            zero: self.zero(),
        };
        let scope = Scope {
            from: entry.time,
            is_earliest: entry.is_earliest,
            begin: piece.begin,
            at,
            stop: piece.stop,
            end: piece.end,
            origin: zeros.map(|zeros| zeros.timeline),
            show,
            is_sought,
            discont: self.has_pushed,
            keyframes_only: seek
                .is_some_and(|seek| seek.flags.contains(gst::SegmentFlags::TRICKMODE_KEY_UNITS)),
            is_hint: entry.is_hint,
            caps: self.caps.clone(),
            asked: (self.program.iter())
                .position(|other| *other == piece)
                .filter(|_| !is_sought),
            is_last: self.pieces.as_ref().is_none_or(VecDeque::is_empty),
        };
        let pass = Box::new(Pass::new(self.common.clone(), scope));
        self.state = State::Reading { piece, pass };
    }

    /// Takes the next step of the reading.
    fn read(&mut self, flushing: &Flushing) -> Result<Option<Step>, ReadError> {
        let State::Reading { pass, .. } = &mut self.state else {
            return Ok(None);
        };
        let step = pass.next(flushing).map_err(|Flushed| ReadError::Flushed)?;
        if self.zeros.is_none()
            && let Some(origin) = pass.origin()
        {
            let origin = origin.useconds();
            self.set_zeros(origin, origin);
        }
        match &step {
            Step::Caps(caps) => self.caps = Some(caps.clone()),
            Step::Segment(segment) => {
                if let Some(segment) = segment.downcast_ref::<ClockTime>() {
                    if self.backwards.is_some() && self.segment == *segment {
                        return Ok(None); // It is in force already.
                    }
                    self.segment = segment.clone();
                }
            }
            Step::Push(buffer) if self.backwards.is_some() => {
                let range = self.segment.start()..=self.segment.stop();
                self.stack
                    .extend(Some(buffer.clone()).filter(|buffer| range.contains(&buffer.pts())));
                return Ok(None);
            }
            Step::Push(buffer) => {
                self.has_pushed = true;
                self.note_end(buffer);
            }
            Step::Episode(_) => self.has_pushed = true,
            Step::Fail(_) => self.state = State::Failed,
            Step::End => {
                self.end_pass();
                return Ok(None);
            }
            Step::Pause(_) | Step::Warn(_) | Step::Retry(_) => {}
        }
        Ok(Some(step))
    }

    /// Running time goes on after what is pushed.
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

    /// Goes on with the next piece, or once more with this one, earlier.
    fn end_pass(&mut self) {
        let Some((piece, is_too_late, before)) = self.leave_pass() else {
            return;
        };
        if is_too_late && !self.has_pushed && self.seek.is_none() {
            self.zeros = None; // Times count from where it begins then.
        }
        self.before = before;
        if let Some(pieces) = &mut self.pieces
            && is_too_late
        {
            pieces.push_front(piece);
        }
    }

    /// Ends the reading, and keeps what it found out. Gives its piece, whether it began too late, and
    /// before which time to begin then.
    fn leave_pass(&mut self) -> Option<(Piece, bool, Option<u64>)> {
        let state = std::mem::replace(&mut self.state, State::Next);
        let State::Reading { piece, mut pass } = state else {
            return None;
        };
        if let Some((time, keyframes)) = pass.take_known() {
            self.keyframes.learn(time, keyframes);
        }
        let is_too_late = pass.is_too_late();
        let is_hint = pass.scope().is_hint;
        if is_too_late && is_hint {
            self.keyframes.ignore_labels();
        }
        let before = pass.scope().from.filter(|_| is_too_late && !is_hint);
        Some((piece, is_too_late, before))
    }
}
