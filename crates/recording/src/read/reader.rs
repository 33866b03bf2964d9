// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the ranges of an entry one after another, from their beginning or from where a seek asks for.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, MutexGuard};

use client::{Cancelled, Canceller, EntrySource, Event, Query, RecordReader, View};
use futures_util::FutureExt;
use media::content::ContentKind;
use media::range::{Begin, End};
use media::stream::{Frame, RangeStart, ShownFrom, StreamRange};
use media::time::{CaptureTime, Nanos};
use tokio::runtime::Handle;

use super::backward::{WindowEvent, WindowReader};
use super::error::Error;
use super::findings::Findings;
use super::item::Item;
use super::keyframes::{KeyframeSearch, Keyframes, Known};
use super::options::{RangeOptions, ReadOptions};
use super::range::RangeReader;
use super::ranges::{self, TimeRange};
use super::shared::Shared;
use super::stats::Stats;

/// Distance that the records of one picture may have.
const MAX_SPREAD: Nanos = Nanos::from_mseconds(10);

/// A time in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Time since the first frame that is shown of the first range.
    Stream(Nanos),
    /// Capture time.
    Capture(CaptureTime),
}

impl Position {
    /// Returns the stream time, where `zero` is the capture time of stream time 0.
    fn stream_time(self, zero: CaptureTime) -> Nanos {
        match self {
            Self::Stream(time) => time,
            Self::Capture(time) => time - zero,
        }
    }
}

/// A seek.
#[derive(Debug, Clone, Copy)]
pub struct Seek {
    /// First time that is shown.
    pub from: Position,
    /// Last time that is shown.
    pub until: Option<Position>,
    /// Frame to begin with.
    pub begin: Begin,
    /// Frames are put out from the last one to the first one. Only keyframes can be.
    pub is_backward: bool,
    /// Only keyframes are put out.
    pub keyframes_only: bool,
}

/// Reader of the ranges of an entry.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    program: Vec<TimeRange>,
    /// The first range begins with the next record that is written.
    begins_now: bool,
    state: State,
    /// A seek that has not begun.
    wanted: Option<Seek>,
    /// The seek that is carried out; `None` for the program from its beginning.
    seek: Option<ActiveSeek>,
    /// Ranges that are still to be read; `None` before they are known.
    ranges: Option<VecDeque<TimeRange>>,
    backward: Option<Backward>,
    /// Time before which the next range has to begin.
    before: Option<CaptureTime>,
    zeros: Option<Zeros>,
    keyframes: Keyframes,
    /// Record that probably has the last keyframe before the next range: a search has ended with it because of its
    /// label alone, or the caller has an index.
    hint: Option<CaptureTime>,
    has_asked_for_times: bool,
    has_delivered: bool,
}

/// A seek that is carried out.
#[derive(Debug, Clone, Copy)]
struct ActiveSeek {
    /// Stream times.
    from: Nanos,
    until: Option<Nanos>,
    keyframes_only: bool,
}

/// Keyframes that are put out from the last one to the first one.
#[derive(Debug)]
struct Backward {
    /// Times that are still to be read.
    from: CaptureTime,
    end: CaptureTime,
    /// Times in the timeline that are shown, both included.
    shown: (Nanos, Option<Nanos>),
    /// Keyframes that were read, in decoding order.
    stack: Vec<Frame>,
}

/// Capture times that other times count from. They are kept for all ranges and seeks.
#[derive(Debug, Clone, Copy)]
struct Zeros {
    /// Capture time of PTS 0.
    timeline: CaptureTime,
    /// Capture time of stream time 0. Pictures that only a decoder needs are before it.
    stream: CaptureTime,
}

#[derive(Debug)]
enum State {
    /// The next range begins.
    Next,
    /// Reads the time of the newest record, after which a recording that is followed begins.
    FindingNow(RecordReader),
    /// Reads the times of the entry, within which a search begins.
    FindingTimes(RecordReader),
    /// Reads the time of the first record.
    FindingOrigin(RecordReader),
    /// Reads records before a time, for the last keyframe there.
    Searching {
        search: Box<KeyframeSearch>,
        window: WindowReader,
    },
    /// Reads a range.
    Reading {
        range: TimeRange,
        reader: Box<RangeReader>,
    },
    /// An error has ended reading.
    Failed,
}

/// Record with which the reading of a range begins.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Its time; the first record of the entry if `None`.
    time: Option<CaptureTime>,
    /// Nothing that may be shown is before it.
    is_earliest: bool,
    /// Its content was not looked at, which may show that it has no keyframe.
    is_hint: bool,
}

impl Reader {
    /// Returns a reader of the ranges `program`, in order. The server is not asked before the first item is wanted.
    pub fn new(
        access: Arc<EntrySource>,
        program: Vec<TimeRange>,
        options: ReadOptions,
        stats: Arc<Stats>,
    ) -> Self {
        if let Some(stop) = program.last().and_then(|last| last.stop) {
            stats.extent.set_stop(stop);
        }
        let has_start = program.first().is_some_and(|first| first.start.is_some());
        Self {
            begins_now: access.follows() && !has_start,
            shared: Arc::new(Shared::new(access, options, stats)),
            program,
            state: State::Next,
            wanted: None,
            seek: None,
            ranges: None,
            backward: None,
            before: None,
            zeros: None,
            keyframes: Keyframes::default(),
            hint: None,
            has_asked_for_times: false,
            has_delivered: false,
        }
    }

    /// Continues at another time, or begins there. Asks nothing of the server yet.
    pub fn seek(&mut self, seek: Seek) {
        self.leave_range();
        self.before = None;
        self.hint = None;
        self.backward = None;
        self.wanted = Some(seek);
        self.state = State::Next;
    }

    /// Begins the first range with the record of this time, without a search for the last keyframe before the range,
    /// unless the content of the record shows that it is another one.
    pub(crate) fn expect_keyframe(&mut self, time: CaptureTime) {
        self.hint = Some(time);
    }

    /// Collects findings about the records that are read from now on.
    pub(crate) fn collect(&mut self, findings: Findings) {
        self.shared.collect(findings);
    }

    /// Returns the findings, if they are collected.
    pub(crate) fn findings(&self) -> Option<MutexGuard<'_, Findings>> {
        self.shared.findings()
    }

    /// Returns the access to the entry.
    pub fn access(&self) -> &Arc<EntrySource> {
        &self.shared.access
    }

    /// Returns the capture time that is 0 in the timeline, once it is known.
    pub fn origin(&self) -> Option<CaptureTime> {
        self.zeros.map(|zeros| zeros.timeline)
    }

    /// Returns the capture time that is stream time 0, once it is known.
    pub fn stream_zero(&self) -> Option<CaptureTime> {
        self.zeros.map(|zeros| zeros.stream)
    }

    /// Returns the time in the timeline that is stream time 0, as far as it is known.
    pub fn zero(&self) -> Nanos {
        let zero = |zeros: Zeros| zeros.stream - zeros.timeline;
        self.zeros.map_or(Nanos::ZERO, zero)
    }

    /// Returns the next item, or `None` at the end of the last range, and after an error.
    ///
    /// Cancel safe: no item is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// Errors that end reading.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            match self.advance().await {
                Ok(Progress::Item(item)) => return Ok(Some(item)),
                Ok(Progress::Nothing) => {}
                Ok(Progress::End) => return Ok(None),
                Err(error) => {
                    self.state = State::Failed;
                    return Err(error);
                }
            }
        }
    }

    /// Returns the next item as [`next`](Self::next) does. Blocks the calling thread until there is one.
    ///
    /// Not for threads of a tokio runtime, on which it panics.
    ///
    /// # Errors
    ///
    /// Errors that end reading, or [`Error::Cancelled`] as long as waits are cancelled, which ends nothing.
    pub fn next_blocking(
        &mut self,
        runtime: &Handle,
        canceller: &Canceller,
    ) -> Result<Option<Item>, Error> {
        // Most items are there already.
        match self.next().now_or_never() {
            Some(item) => item,
            None => match canceller.wait(runtime, self.next()) {
                Ok(item) => item,
                Err(Cancelled) => Err(Error::Cancelled),
            },
        }
    }

    /// Handles one event of the server, or begins with the next range.
    async fn advance(&mut self) -> Result<Progress, Error> {
        match &mut self.state {
            State::Next => Ok(self.begin_next()),
            State::FindingNow(reader) => match reader.recv().await? {
                Some(Event::Retrying(text)) => Ok(Item::Retry(text).into()),
                event => {
                    let times = match event {
                        Some(Event::Times(times)) => times,
                        _ => None,
                    };
                    let newest = times.map(|times| CaptureTime::from_useconds(times.newest));
                    self.begin_after(newest);
                    self.state = State::Next;
                    Ok(Progress::Nothing)
                }
            },
            State::FindingTimes(reader) => match reader.recv().await? {
                Some(Event::Retrying(text)) => Ok(Item::Retry(text).into()),
                event => {
                    self.has_asked_for_times = true;
                    self.state = State::Next;
                    let warning = match event {
                        Some(Event::Times(Some(times))) => self.shared.set_entry_times(times),
                        _ => None,
                    };
                    Ok(warning.map_or(Progress::Nothing, Progress::Item))
                }
            },
            State::FindingOrigin(reader) => match reader.recv().await? {
                Some(Event::Record(record)) if ContentKind::of(&record.content_type).is_none() => {
                    Ok(Progress::Nothing)
                }
                Some(Event::Record(record)) => {
                    let time = CaptureTime::from_useconds(record.time);
                    self.set_zeros(time, time);
                    self.state = State::Next;
                    Ok(Progress::Nothing)
                }
                Some(Event::Retrying(text)) => Ok(Item::Retry(text).into()),
                Some(Event::Opened(_) | Event::Times(_)) => Ok(Progress::Nothing),
                None => {
                    // There is nothing to seek to.
                    self.wanted = None;
                    self.state = State::Next;
                    Ok(Progress::Nothing)
                }
            },
            State::Searching { search, window } => match window.next().await? {
                WindowEvent::Record(record) => {
                    search.add(&record);
                    Ok(Progress::Nothing)
                }
                WindowEvent::Retry(text) => Ok(Item::Retry(text).into()),
                WindowEvent::Closed => {
                    match search.next_window(&mut self.keyframes) {
                        Some((range, view)) => window.open(&self.shared.access, range, view),
                        None => {
                            self.hint = search.hint().map(CaptureTime::from_useconds);
                            self.state = State::Next;
                        }
                    }
                    Ok(Progress::Nothing)
                }
            },
            State::Reading { reader, .. } => {
                let item = reader.next().await?;
                let origin = reader.origin();
                Ok(self.pass_on(item, origin))
            }
            State::Failed => Ok(Progress::End),
        }
    }

    /// Begins with the next range, as soon as its first record is known.
    fn begin_next(&mut self) -> Progress {
        if self.zeros.is_none() && !self.find_zeros() {
            return Progress::Nothing;
        }
        if let (Some(wanted), Some(zeros)) = (self.wanted, self.zeros) {
            let seek = ActiveSeek {
                from: wanted.from.stream_time(zeros.stream),
                until: wanted.until.map(|until| until.stream_time(zeros.stream)),
                keyframes_only: wanted.keyframes_only,
            };
            // Ranges have the precision of records.
            let capture = |time: Nanos| (zeros.stream + time).in_whole_useconds();
            let until = seek.until.map(|until| capture(until) + Nanos::USECOND);
            let ranges = ranges::seek(&self.program, capture(seek.from), wanted.begin, until);
            self.ranges = Some(ranges);
            let in_timeline = |time: Nanos| zeros.stream + time - zeros.timeline;
            self.backward = wanted.is_backward.then(|| Backward {
                // The first picture's parameter sets may be in a record before it.
                from: capture(seek.from) - MAX_SPREAD,
                end: until.unwrap_or(CaptureTime::MAX),
                shown: (in_timeline(seek.from), seek.until.map(in_timeline)),
                stack: Vec::new(),
            });
            self.seek = Some(seek);
            self.wanted = None;
        }
        if self.backward.is_some() {
            return self.begin_before();
        }
        let program = &self.program;
        let ranges = self.ranges.get_or_insert_with(|| program.clone().into());
        let Some(range) = ranges.front().cloned() else {
            return Progress::End;
        };
        match self.find(&range) {
            Some(entry) => self.begin_range(entry),
            None => Progress::Nothing,
        }
    }

    /// Begins with the last keyframe of the times that are still to be shown backwards, as soon as it is known.
    fn begin_before(&mut self) -> Progress {
        let Some(backward) = &mut self.backward else {
            return Progress::End;
        };
        if let Some(frame) = backward.stack.pop() {
            return Item::Frame(frame).into();
        }
        let (from, end) = (backward.from, backward.end);
        if end == CaptureTime::EPOCH {
            return Progress::End;
        }
        let newest = self.shared.stats.extent.newest();
        let latest = (end - Nanos::USECOND).min(newest.unwrap_or(CaptureTime::MAX));
        let range = (self.program.iter()).rfind(|range| range.start.unwrap_or_default() <= latest);
        let Some(range) = range else {
            return Progress::End;
        };
        let last = (range.stop).map_or(CaptureTime::MAX, |stop| stop - Nanos::USECOND);
        let latest = latest.min(last);
        let start = range.start.unwrap_or_default();
        let floor = start.max(from).max(self.oldest());
        if latest < floor {
            return self.go_back(from, start);
        }
        let known = (self.keyframes).at_or_before(latest.useconds(), floor.useconds());
        match known {
            Known::Keyframe(time) => {
                let time = CaptureTime::from_useconds(time);
                if let Some(backward) = &mut self.backward {
                    backward.end = time;
                }
                let stop = time + MAX_SPREAD;
                let keyframe =
                    TimeRange::new(Some(time), Some(stop), Begin::KeyframeAfter, End::Records);
                self.ranges = Some([keyframe].into());
                self.begin_range(Entry {
                    time: Some(time),
                    is_earliest: true,
                    is_hint: false,
                })
            }
            Known::None => self.go_back(from, start),
            Known::Unknown { before } => {
                self.look_before(CaptureTime::from_useconds(before), floor, false);
                Progress::Nothing
            }
        }
    }

    /// Continues backwards before the range that begins at `start`.
    fn go_back(&mut self, from: CaptureTime, start: CaptureTime) -> Progress {
        if start <= from {
            return Progress::End;
        }
        if let Some(backward) = &mut self.backward {
            backward.end = start;
        }
        Progress::Nothing
    }

    /// Finds the capture times that others count from. Returns whether they are known, or can wait.
    fn find_zeros(&mut self) -> bool {
        let Some(first) = self.program.first().cloned() else {
            return true;
        };
        let Some(start) = first.start else {
            if self.begins_now {
                self.state = State::FindingNow(self.times());
                return false;
            }
            if self.wanted.is_none() {
                return true; // That of the first record.
            }
            let query = Query {
                start: None,
                stop: first.stop.map(CaptureTime::useconds),
                view: View::Headers,
                ..Query::default()
            };
            self.state = State::FindingOrigin(RecordReader::new(&self.shared.access, query));
            return false;
        };
        let searches = first.begin != Begin::KeyframeAfter && self.hint.is_none();
        let times_are_known =
            self.has_asked_for_times || self.shared.stats.extent.oldest().is_some();
        if searches && !times_are_known && !self.shared.access.follows() {
            self.state = State::FindingTimes(self.times());
            return false;
        }
        let Some(entry) = self.find(&first) else {
            return false;
        };
        // It is not before the time, but where the search for it could not be exact.
        let begin = entry.time.unwrap_or(start).min(start);
        match first.begin {
            Begin::Exact => self.set_zeros(begin, start),
            _ => self.set_zeros(begin, begin),
        }
        true
    }

    /// Begins with the next record that is written.
    fn begin_after(&mut self, newest: Option<CaptureTime>) {
        self.begins_now = false;
        if let Some(first) = self.program.first_mut() {
            let start = newest.map(|newest| newest + Nanos::USECOND);
            *first = TimeRange::new(start, first.stop, first.begin, first.end);
        }
    }

    fn set_zeros(&mut self, timeline: CaptureTime, stream: CaptureTime) {
        self.zeros = Some(Zeros { timeline, stream });
        self.shared.stats.extent.set_zero(stream);
    }

    /// Returns the record with which the reading of a range begins, or `None` if it has to be searched first.
    fn find(&mut self, range: &TimeRange) -> Option<Entry> {
        let Some(start) = range.start.filter(|_| range.begin != Begin::KeyframeAfter) else {
            // The record that a seek goes to may begin before.
            let record = match self.is_sought(range) {
                true => self.shared.stats.extent.record(),
                false => Nanos::ZERO,
            };
            let floor = range.floor;
            return Some(Entry {
                time: (range.start).map(|start| (start - record).in_whole_useconds().max(floor)),
                is_earliest: true,
                is_hint: false,
            });
        };
        let latest = self.before.map_or(start, |before| before - Nanos::USECOND);
        // Nothing is to be found after the newest record.
        let newest = self.shared.stats.extent.newest();
        let newest = newest.filter(|_| !self.shared.access.follows());
        let latest = newest.map_or(latest, |newest| latest.min(newest));
        let floor = range.floor.max(self.oldest());
        let known = match latest < floor {
            true => Known::None,
            false => (self.keyframes).at_or_before(latest.useconds(), floor.useconds()),
        };
        match known {
            Known::Keyframe(time) => Some(Entry {
                time: Some(CaptureTime::from_useconds(time)),
                is_earliest: false,
                is_hint: false,
            }),
            Known::None => Some(Entry {
                time: Some(start.min(latest + Nanos::USECOND)),
                is_earliest: true,
                is_hint: false,
            }),
            Known::Unknown { before } => {
                if let Some(hint) = self.hint {
                    return Some(Entry {
                        time: Some(hint),
                        is_earliest: false,
                        is_hint: true,
                    });
                }
                // Times count from the first keyframe that is found. Later the range notices a wrong label.
                let before = CaptureTime::from_useconds(before);
                self.look_before(before, floor, self.zeros.is_some());
                None
            }
        }
    }

    /// Begins to search the last keyframe before a time. `takes_hint`: a label is enough, as the range verifies it.
    fn look_before(&mut self, before: CaptureTime, floor: CaptureTime, takes_hint: bool) {
        let entry_points = self.shared.options.stream.entry_points;
        let (before, floor) = (before.useconds(), floor.useconds());
        self.state = State::Searching {
            search: Box::new(KeyframeSearch::new(before, floor, entry_points, takes_hint)),
            window: WindowReader::default(),
        };
    }

    /// Returns the time of the oldest record, as far as it is known.
    fn oldest(&self) -> CaptureTime {
        self.shared.stats.extent.oldest().unwrap_or_default()
    }

    /// Returns whether a range is not as in the program.
    fn is_sought(&self, range: &TimeRange) -> bool {
        self.seek.is_some() && !self.program.contains(range)
    }

    fn times(&self) -> RecordReader {
        let query = Query {
            view: View::Times,
            ..Query::default()
        };
        RecordReader::new(&self.shared.access, query)
    }

    /// Begins to read the next range.
    fn begin_range(&mut self, entry: Entry) -> Progress {
        self.hint = None;
        let Some(range) = self.ranges.as_mut().and_then(VecDeque::pop_front) else {
            return Progress::Nothing;
        };
        let is_sought = self.is_sought(&range);
        let zeros = self.zeros;
        let seek = self.seek.as_ref();
        let in_timeline = |capture: CaptureTime| {
            let origin = zeros.map_or(CaptureTime::EPOCH, |zeros| zeros.timeline);
            capture - origin
        };
        let of_seek = |time: Nanos| {
            let zero = zeros.map_or(CaptureTime::EPOCH, |zeros| zeros.stream);
            zero + time
        };
        // A seek is more exact than the times of records.
        let at = range.start.unwrap_or_default();
        let at = (seek.map(|seek| of_seek(seek.from)))
            .filter(|sought| sought.useconds() == at.useconds())
            .unwrap_or(at);
        let start = RangeStart {
            from: match range.begin {
                _ if self.backward.is_some() => {
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
        let options = RangeOptions {
            range: StreamRange {
                from: entry.time,
                is_earliest: entry.is_earliest,
                begin: range.begin,
                at,
                stop: range.stop,
                end: range.end,
                origin: zeros.map(|zeros| zeros.timeline),
                until: start.until,
                is_sought,
                keyframes_only: seek.is_some_and(|seek| seek.keyframes_only),
                is_hint: entry.is_hint,
                searches_sets: true,
                searches_groups: entry.time.is_some() && !self.shared.access.depends_on_order(),
            },
            asked: (self.program.iter())
                .position(|other| *other == range)
                .filter(|_| !is_sought),
            is_last: self.ranges.as_ref().is_none_or(VecDeque::is_empty),
        };
        let reader = Box::new(RangeReader::new(self.shared.clone(), options));
        self.state = State::Reading { range, reader };
        Item::Range(start).into()
    }

    /// Passes on an item of the range whose timeline begins at `origin`, or ends the range if there is none.
    fn pass_on(&mut self, item: Option<Item>, origin: Option<CaptureTime>) -> Progress {
        if self.zeros.is_none()
            && let Some(origin) = origin
        {
            let origin = origin.in_whole_useconds();
            self.set_zeros(origin, origin);
        }
        match item {
            None => {
                self.end_range();
                Progress::Nothing
            }
            Some(Item::Frame(frame)) => match &mut self.backward {
                Some(backward) => {
                    let (from, until) = backward.shown;
                    if from <= frame.pts && until.is_some_and(|until| frame.pts <= until) {
                        backward.stack.push(frame);
                    }
                    Progress::Nothing
                }
                None => {
                    self.has_delivered = true;
                    Item::Frame(frame).into()
                }
            },
            Some(Item::Episode(episode)) => {
                self.has_delivered = true;
                if self.zeros.is_none() {
                    self.set_zeros(episode.capture_time, episode.capture_time);
                }
                Item::Episode(episode).into()
            }
            Some(item) => item.into(),
        }
    }

    /// Continues with the next range, or once more with this one, earlier.
    fn end_range(&mut self) {
        let Some((range, is_too_late, before)) = self.leave_range() else {
            return;
        };
        if is_too_late && !self.has_delivered && self.seek.is_none() {
            self.zeros = None; // Times count from the frame that it begins with then.
        }
        self.before = before;
        if let Some(ranges) = &mut self.ranges
            && is_too_late
        {
            ranges.push_front(range);
        }
    }

    /// Ends the range, and keeps its keyframes. Returns the range, whether it began too late, and the time before
    /// which to begin then.
    fn leave_range(&mut self) -> Option<(TimeRange, bool, Option<CaptureTime>)> {
        let state = mem::replace(&mut self.state, State::Next);
        let State::Reading { range, mut reader } = state else {
            return None;
        };
        if let Some((time, keyframes)) = reader.take_keyframes() {
            self.keyframes.learn(time, keyframes);
        }
        let is_too_late = reader.is_too_late();
        let is_hint = reader.range().is_hint;
        if is_too_late && is_hint {
            self.keyframes.ignore_labels();
        }
        let before = reader.range().from.filter(|_| is_too_late && !is_hint);
        Some((range, is_too_late, before))
    }
}

/// Result of a step of a reader.
#[derive(Debug)]
enum Progress {
    Item(Item),
    Nothing,
    End,
}

impl From<Item> for Progress {
    fn from(item: Item) -> Self {
        Self::Item(item)
    }
}
