// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! From records to what the source pushes: the state of the streaming thread.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use super::damage::{self, Fault, FaultLog};
use super::frame_rate;
use super::lookback::Lookback;
use super::reorder::{Reorder, Stamp};
use super::settings::Checked;
use super::stats::Stats;
use super::timeline::{NoFrameRate, SegmentStart, Slot, Timeline};
use super::{CAT, OnError};
use crate::client::{
    Connection, Event, Flushed, Flushing, Limits, Query, ReadError, ReaderStats, Record,
    RecordReader,
};
use crate::h264::{AccessUnit, AccessUnitSplitter, Damage, Integrity, between_nal_units};

/// Content type of a record in Annex B format, as ReductStore's documentation has it.
const CONTENT_TYPE: &str = "video/h264";

/// Reference of a capture time: the Unix epoch (documentation of `GstReferenceTimestampMeta`).
static UNIX_TIME: LazyLock<gst::Caps> = LazyLock::new(|| {
    let mut caps = gst::Caps::new_empty_simple("timestamp/x-unix");
    caps.make_mut().mark_may_be_leaked();
    caps
});

/// What the source has to do next.
#[derive(Debug)]
pub enum Step {
    /// The first caps, or other ones.
    Caps(gst::Caps),
    /// A segment begins with the next buffer.
    Segment(gst::Segment),
    /// Something is wrong, and reading goes on.
    Warn(String),
    /// Reading failed, and is tried again.
    Retry(String),
    /// One access unit.
    Push(gst::Buffer),
    /// All records are read.
    End,
    /// Nothing more can be read. What came before is pushed by now.
    Fail(gst::ErrorMessage),
}

/// Reads records and makes them steps.
#[derive(Debug)]
pub struct Stream {
    connection: Connection,
    query: Query,
    limits: Limits,
    source: Source,
    splitter: AccessUnitSplitter,
    timeline: Timeline,
    reorder: Reorder<AccessUnit>,
    on_error: OnError,
    /// How far to look back for parameter sets, in µs; `None` once that was done.
    lookback: Option<u64>,
    faults: FaultLog,
    /// The first damage, as long as there is no access unit.
    only_damage: Option<(u64, Damage)>,
    /// The property `fps`.
    set_rate: Option<gst::Fraction>,
    /// `fps` of the attachment `$video`.
    attached_rate: Option<gst::Fraction>,
    /// Access units and slots come in the same order, but not always at the same time.
    units: VecDeque<AccessUnit>,
    /// What began with access units that are dropped, for the next one.
    carried: Option<(SegmentStart, bool)>,
    /// Nothing waits for its place in output order any more.
    drained: bool,
    /// Why reading ended.
    failure: Option<gst::ErrorMessage>,
    steps: VecDeque<Step>,
    caps: Option<gst::Caps>,
    stats: Arc<Stats>,
    /// When the streaming thread went downstream.
    left: Option<Instant>,
}

#[derive(Debug)]
enum Source {
    /// Nothing is asked of the server before the first record is wanted.
    Unread,
    Reading(RecordReader),
    /// The first record lacks parameter sets.
    LookingBack(Box<LookingBack>),
    Ended,
    /// As after an error that was told: there is nothing more, but no end either.
    Failed,
}

#[derive(Debug)]
struct LookingBack {
    search: Lookback,
    window: Option<RecordReader>,
    /// To go on with afterwards.
    first: Record,
    reader: RecordReader,
}

impl Stream {
    /// A stream that will read by `settings` and count in `stats`.
    pub fn new(settings: Checked, stats: Arc<Stats>) -> Self {
        Self {
            connection: settings.connection,
            query: settings.query,
            limits: settings.limits,
            source: Source::Unread,
            splitter: AccessUnitSplitter::default(),
            timeline: Timeline::new(settings.timeline),
            reorder: Reorder::default(),
            on_error: settings.on_error,
            lookback: Some(settings.lookback.useconds()),
            faults: FaultLog::default(),
            only_damage: None,
            set_rate: settings.frame_rate,
            attached_rate: None,
            units: VecDeque::new(),
            carried: None,
            drained: false,
            failure: None,
            steps: VecDeque::new(),
            caps: None,
            stats,
            left: None,
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
            self.stats
                .downstream_wait
                .fetch_add(waited, Ordering::Relaxed);
        }
    }

    /// The next step. Waits for the server if there is none yet.
    pub fn next(&mut self, flushing: &Flushing) -> Result<Step, Flushed> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Ok(step);
            }
            if self.make_steps() {
                continue;
            }
            match self.read(flushing) {
                Ok(()) => {}
                Err(ReadError::Flushed) => return Err(Flushed),
                Err(ReadError::Failed(message)) => self.finish(Some(message)),
            }
        }
    }

    /// Takes one event of the reader, which begins to read with the first.
    fn read(&mut self, flushing: &Flushing) -> Result<(), ReadError> {
        match &mut self.source {
            Source::Unread => {
                let stats = self.stats.reader.clone();
                let reader = self.reader(self.query.clone(), stats)?;
                self.source = Source::Reading(reader);
            }
            Source::Reading(reader) => match reader.next(flushing)? {
                Some(Event::Opened { frame_rate }) => {
                    self.attached_rate = frame_rate.as_deref().and_then(frame_rate::parse);
                }
                Some(Event::Record(record)) => self.add(record).map_err(ReadError::Failed)?,
                Some(Event::Retrying(text)) => self.steps.push_back(Step::Retry(text)),
                None => self.finish(None),
            },
            Source::LookingBack(_) => self.look_back(flushing)?,
            Source::Ended => {
                let last = self.last_step();
                self.steps.push_back(last);
            }
            Source::Failed => return Err(ReadError::Flushed),
        }
        Ok(())
    }

    fn reader(&self, query: Query, stats: Arc<ReaderStats>) -> Result<RecordReader, ReadError> {
        RecordReader::new(self.connection.clone(), query, self.limits, stats)
            .map_err(ReadError::Failed)
    }

    /// Takes a record of the range.
    fn add(&mut self, record: Record) -> Result<(), gst::ErrorMessage> {
        if record.after_eviction {
            self.splitter.end_run(&mut self.units);
            self.splitter.lose();
        }
        let bytes = record.length();
        self.stats.records.fetch_add(1, Ordering::Relaxed);
        self.stats.bytes.fetch_add(bytes, Ordering::Relaxed);

        if !is_h264(&record) {
            let fault = Fault::ContentType(record.content_type);
            // An entry of something else is not to be read to its end.
            let first = self.stats.records.load(Ordering::Relaxed) == 1;
            if first || self.on_error == OnError::Stop {
                let text = damage::describe(record.time, &fault);
                return Err(gst::error_msg!(gst::StreamError::WrongType, ("{text}")));
            }
            self.stats.damaged.fetch_add(1, Ordering::Relaxed);
            self.tell(record.time, Some(fault));
            return Ok(());
        }
        let record = Record {
            chunks: between_nal_units(record.chunks),
            ..record
        };
        if let Some(reach) = self.lookback
            && self.splitter.lacks_parameter_sets(&record.chunks)
        {
            self.lookback = None;
            if let Source::Reading(reader) = std::mem::replace(&mut self.source, Source::Ended) {
                gst::info!(CAT, "Looking for parameter sets before {} µs", record.time);
                self.source = Source::LookingBack(Box::new(LookingBack {
                    search: Lookback::new(record.time, reach),
                    window: None,
                    first: record,
                    reader,
                }));
            }
            return Ok(());
        }
        self.split(&record)
    }

    /// Takes one event of a window of the search, or goes on with the next one.
    fn look_back(&mut self, flushing: &Flushing) -> Result<(), ReadError> {
        let Source::LookingBack(looking) = &mut self.source else {
            return Ok(());
        };
        if let Some(window) = &mut looking.window {
            match window.next(flushing)? {
                Some(Event::Record(record)) if is_h264(&record) => {
                    for piece in between_nal_units(record.chunks) {
                        looking.search.add(&piece);
                    }
                }
                Some(Event::Retrying(text)) => self.steps.push_back(Step::Retry(text)),
                Some(Event::Record(_) | Event::Opened { .. }) => {}
                None => looking.window = None,
            }
            return Ok(());
        }
        if let Some(window) = looking.search.next_window() {
            let query = Query {
                start: Some(window.start),
                stop: Some(window.end),
                is_aside: true,
                ..self.query.clone()
            };
            let reader = self.reader(query, Arc::default())?;
            if let Source::LookingBack(looking) = &mut self.source {
                looking.window = Some(reader);
            }
            return Ok(());
        }
        let Source::LookingBack(looking) = std::mem::replace(&mut self.source, Source::Ended)
        else {
            return Ok(());
        };
        let LookingBack {
            search,
            first,
            reader,
            ..
        } = *looking;
        self.source = Source::Reading(reader);
        if let Some(sets) = search.into_sets() {
            gst::info!(CAT, "Found parameter sets");
            self.splitter.adopt(sets);
        }
        self.split(&first).map_err(ReadError::Failed)
    }

    /// Takes a record apart.
    fn split(&mut self, record: &Record) -> Result<(), gst::ErrorMessage> {
        let Record { time, chunks, .. } = record;
        let pushed = self.splitter.push_record(chunks, &mut self.units);
        self.note_damage(*time, pushed.damage)?;
        let clock_time = time.checked_mul(1000).filter(|time| *time < u64::MAX);
        let clock_time = clock_time
            .map(gst::ClockTime::from_nseconds)
            .ok_or_else(|| {
                gst::error_msg!(
                    gst::StreamError::Format,
                    ("The record at {time} µs is beyond the time that GStreamer can count")
                )
            })?;
        let rate = self.frame_rate(record);
        self.timeline
            .push(clock_time, pushed.begun, rate)
            .map_err(|NoFrameRate| {
                gst::error_msg!(
                    gst::ResourceError::Settings,
                    (
                        "The record at {time} µs has {} access units and no frame rate is \
                         known. Give it by the label 'fps' of the records, by 'fps' in the \
                         attachment '$video' of the entry, or by the property fps",
                        pushed.begun
                    )
                )
            })
    }

    /// Counts what is wrong with a record and tells of it.
    fn note_damage(&mut self, time: u64, damage: Option<Damage>) -> Result<(), gst::ErrorMessage> {
        if let Some(damage) = damage {
            // A stream that is joined before its parameter sets is not broken.
            let is_broken = damage != Damage::NoParameterSets;
            self.stats
                .damaged
                .fetch_add(u64::from(is_broken), Ordering::Relaxed);
            if is_broken && self.on_error == OnError::Stop {
                let text = damage::describe(time, &Fault::Damage(damage));
                return Err(gst::error_msg!(
                    gst::StreamError::Decode,
                    ("{text}. With on-error=skip it would be left out")
                ));
            }
            if is_broken && self.stats.access_units.load(Ordering::Relaxed) == 0 {
                self.only_damage.get_or_insert((time, damage));
            }
        }
        self.tell(time, damage.map(Fault::Damage));
        Ok(())
    }

    fn tell(&mut self, time: u64, fault: Option<Fault>) {
        let mut texts = Vec::new();
        self.faults.note(time, fault, &mut texts);
        self.steps.extend(texts.into_iter().map(Step::Warn));
    }

    /// Nothing more is read, because of `failure` if there is one.
    fn finish(&mut self, failure: Option<gst::ErrorMessage>) {
        self.source = Source::Ended;
        self.failure = failure;
        self.timeline.finish();
        let rest = self.splitter.finish(&mut self.units);
        if rest > 0 {
            gst::info!(
                CAT,
                "{rest} bytes after the last picture make no access unit"
            );
        }
        let mut texts = Vec::new();
        self.faults.finish(&mut texts);
        self.steps.extend(texts.into_iter().map(Step::Warn));
    }

    /// The end, or an error, also if there was nothing but damage: an export of nothing is no
    /// success.
    fn last_step(&mut self) -> Step {
        if let Some(failure) = self.failure.take() {
            self.source = Source::Failed;
            return Step::Fail(failure);
        }
        let delivered = self.stats.access_units.load(Ordering::Relaxed);
        match self.only_damage.filter(|_| delivered == 0) {
            Some((time, damage)) => {
                self.source = Source::Failed;
                let text = damage::describe(time, &Fault::Damage(damage));
                Step::Fail(gst::error_msg!(
                    gst::StreamError::Decode,
                    ("No record in the range can be used. {text}")
                ))
            }
            None => Step::End,
        }
    }

    /// Label, attachment, property, VUI: the first that has one.
    fn frame_rate(&self, record: &Record) -> Option<gst::Fraction> {
        let label = record.frame_rate.as_deref();
        let labelled = label.and_then(frame_rate::parse);
        if let (Some(label), None) = (label, labelled) {
            let time = record.time;
            gst::warning!(
                CAT,
                "Label fps of the record at {time} µs is no frame rate: {label:?}"
            );
        }
        labelled
            .or(self.attached_rate)
            .or(self.set_rate)
            .or_else(|| {
                self.splitter
                    .vui_frame_rate()
                    .and_then(frame_rate::from_vui)
            })
    }

    /// Goes on with what was read, an access unit at a time: a record may have very many. Gives
    /// `false` if there is nothing to go on with.
    fn make_steps(&mut self) -> bool {
        // Counted before the pairs are made: a gap is known before its access unit is complete.
        self.stats
            .gaps
            .store(self.timeline.gaps(), Ordering::Relaxed);
        if !self.units.is_empty()
            && let Some(slot) = self.timeline.pop()
            && let Some(unit) = self.units.pop_front()
        {
            self.order(unit, slot);
        } else if matches!(self.source, Source::Ended) && !self.drained {
            self.drained = true;
            self.reorder.end_sequence();
        } else {
            return false;
        }
        while let Some((unit, stamp)) = self.reorder.pop() {
            let caps = caps(stamp.frame_rate);
            if self.caps.as_ref() != Some(&caps) {
                self.caps = Some(caps.clone());
                self.steps.push_back(Step::Caps(caps));
            }
            if let Some(start) = stamp.segment {
                self.steps.push_back(Step::Segment(segment(start)));
            }
            self.steps.push_back(Step::Push(buffer(unit, &stamp)));
            self.stats.access_units.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Finds the place of an access unit in output order, or drops it if it has none.
    fn order(&mut self, unit: AccessUnit, mut slot: Slot) {
        let Some(order) = unit.order else {
            self.stats.dropped.fetch_add(1, Ordering::Relaxed);
            self.carried = slot
                .segment
                .map(|segment| (segment, slot.discont))
                .or(self.carried);
            return;
        };
        if let Some((SegmentStart { base, .. }, discont)) = self.carried.take()
            && slot.segment.is_none()
        {
            let start = slot.time;
            slot.segment = Some(SegmentStart { start, base });
            slot.discont = discont;
        }
        if unit.after_loss {
            self.reorder.end_sequence();
        }
        self.reorder.push(unit, order, slot);
    }
}

fn is_h264(record: &Record) -> bool {
    // Parameters may follow the type (RFC 9110, 8.3.1).
    let essence = record.content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(CONTENT_TYPE)
}

fn caps(frame_rate: Option<gst::Fraction>) -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .field_if_some("framerate", frame_rate)
        .build()
}

fn segment(start: SegmentStart) -> gst::Segment {
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(start.start);
    segment.set_time(start.start);
    segment.set_position(start.start);
    segment.set_base(start.base);
    segment.upcast()
}

/// The access unit with its times, without a copy of its bytes.
pub fn buffer(unit: AccessUnit, stamp: &Stamp) -> gst::Buffer {
    let mut buffer = gst::Buffer::new();
    let contents = buffer.make_mut();
    if unit.parts.len() > gst::BufferRef::max_memory() {
        // A buffer would copy again and again.
        contents.append_memory(gst::Memory::from_slice(unit.parts.concat()));
    } else {
        for part in unit.parts {
            contents.append_memory(gst::Memory::from_slice(part));
        }
    }
    contents.set_pts(stamp.pts);
    contents.set_dts(stamp.dts);
    contents.set_duration(stamp.duration);
    gst::ReferenceTimestampMeta::add(contents, &UNIX_TIME, stamp.capture, stamp.duration);
    if !unit.idr {
        contents.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    if stamp.discont || unit.after_loss {
        contents.set_flags(gst::BufferFlags::DISCONT);
    }
    if unit.integrity == Integrity::Corrupted {
        contents.set_flags(gst::BufferFlags::CORRUPTED);
    }
    buffer
}
