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

use super::CAT;
use super::frame_rate;
use super::settings::Checked;
use super::stats::Stats;
use super::timeline::{NoFrameRate, Stamp, Timeline};
use crate::client::{Connection, Event, Flushed, Flushing, Query, ReadError, Record, RecordReader};
use crate::h264::{AccessUnit, AccessUnitSplitter};

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
    /// There are B slices, and their order is not known.
    WarnOfReordering,
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
    source: Source,
    splitter: AccessUnitSplitter,
    timeline: Timeline,
    /// The property `fps`.
    set_rate: Option<gst::Fraction>,
    /// `fps` of the attachment `$video`.
    attached_rate: Option<gst::Fraction>,
    /// Access units and stamps come in the same order, but not always at the same time.
    units: VecDeque<AccessUnit>,
    steps: VecDeque<Step>,
    caps: Option<gst::Caps>,
    warned_of_reordering: bool,
    stats: Arc<Stats>,
}

#[derive(Debug)]
enum Source {
    /// Nothing is asked of the server before the first record is wanted.
    Unread(Box<(Connection, Query)>),
    Reading(RecordReader),
    Ended,
    /// As after an error that was told: there is nothing more, but no end either.
    Failed,
}

impl Stream {
    /// A stream that will read by `settings` and count in `stats`.
    pub fn new(settings: Checked, stats: Arc<Stats>) -> Self {
        Self {
            source: Source::Unread(Box::new((settings.connection, settings.query))),
            splitter: AccessUnitSplitter::default(),
            timeline: Timeline::new(settings.timeline),
            set_rate: settings.frame_rate,
            attached_rate: None,
            units: VecDeque::new(),
            steps: VecDeque::new(),
            caps: None,
            warned_of_reordering: false,
            stats,
        }
    }

    /// The next step. Waits for the server if there is none yet.
    pub fn next(&mut self, flushing: &Flushing) -> Result<Step, Flushed> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Ok(step);
            }
            match self.read(flushing) {
                Ok(()) => self.make_steps(),
                Err(ReadError::Flushed) => return Err(Flushed),
                Err(ReadError::Failed(message)) => {
                    self.finish();
                    self.source = Source::Failed;
                    self.make_steps();
                    self.steps.push_back(Step::Fail(message));
                }
            }
        }
    }

    /// Takes one event of the reader, which begins to read with the first.
    fn read(&mut self, flushing: &Flushing) -> Result<(), ReadError> {
        match &mut self.source {
            Source::Unread(from) => {
                let (connection, query) = (from.0.clone(), from.1.clone());
                let stats = self.stats.reader.clone();
                let reader = RecordReader::new(connection, query, stats);
                self.source = Source::Reading(reader.map_err(ReadError::Failed)?);
            }
            Source::Reading(reader) => match reader.next(flushing)? {
                Some(Event::Opened { frame_rate }) => {
                    self.attached_rate = frame_rate.as_deref().and_then(frame_rate::parse);
                }
                Some(Event::Record(record)) => self.add(&record).map_err(ReadError::Failed)?,
                None => self.finish(),
            },
            Source::Ended => self.steps.push_back(Step::End),
            Source::Failed => return Err(ReadError::Flushed),
        }
        Ok(())
    }

    fn add(&mut self, record: &Record) -> Result<(), gst::ErrorMessage> {
        let Record { time, data, .. } = record;
        check_content_type(record)?;
        let pictures = self.splitter.push(data, &mut self.units);
        let pictures = pictures.map_err(|_| {
            gst::error_msg!(
                gst::StreamError::Decode,
                ("The record at {time} µs is not H.264 in Annex B format: it does not begin \
                     with a start code")
            )
        })?;
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
            .push(clock_time, pictures, rate)
            .map_err(|NoFrameRate| {
                gst::error_msg!(
                    gst::ResourceError::Settings,
                    ("The record at {time} µs has {pictures} access units and no frame rate is \
                         known. Give it by the label 'fps' of the records, by 'fps' in the \
                         attachment '$video' of the entry, or by the property fps")
                )
            })?;

        self.stats.records.fetch_add(1, Ordering::Relaxed);
        self.stats
            .bytes
            .fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn finish(&mut self) {
        self.source = Source::Ended;
        self.timeline.finish();
        let rest = self.splitter.finish(&mut self.units);
        if rest > 0 {
            gst::info!(
                CAT,
                "{rest} bytes after the last picture make no access unit"
            );
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

    fn make_steps(&mut self) {
        // Counted before the pairs are made: a gap is known before its access unit is complete.
        self.stats
            .gaps
            .store(self.timeline.gaps(), Ordering::Relaxed);
        while !self.units.is_empty()
            && let Some(stamp) = self.timeline.pop()
            && let Some(unit) = self.units.pop_front()
        {
            let caps = caps(stamp.frame_rate);
            if self.caps.as_ref() != Some(&caps) {
                self.caps = Some(caps.clone());
                self.steps.push_back(Step::Caps(caps));
            }
            if let Some(start) = stamp.segment {
                let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
                segment.set_start(start.start);
                segment.set_time(start.start);
                segment.set_position(start.start);
                segment.set_base(start.base);
                self.steps.push_back(Step::Segment(segment.upcast()));
            }
            if unit.bidirectional && !self.warned_of_reordering {
                self.warned_of_reordering = true;
                self.steps.push_back(Step::WarnOfReordering);
            }
            self.steps.push_back(Step::Push(buffer(unit, &stamp)));
            self.stats.access_units.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn check_content_type(record: &Record) -> Result<(), gst::ErrorMessage> {
    let Record {
        time, content_type, ..
    } = record;
    // Parameters may follow the type (RFC 9110, 8.3.1).
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(CONTENT_TYPE) {
        return Ok(());
    }
    Err(gst::error_msg!(
        gst::StreamError::WrongType,
        ("The record at {time} µs is '{content_type}', not '{CONTENT_TYPE}'. An entry with \
             other records needs a condition (property when) or a range that leaves them out")
    ))
}

fn caps(frame_rate: Option<gst::Fraction>) -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .field_if_some("framerate", frame_rate)
        .build()
}

fn buffer(unit: AccessUnit, stamp: &Stamp) -> gst::Buffer {
    let mut buffer = gst::Buffer::new();
    let contents = buffer.make_mut();
    for part in unit.parts {
        contents.append_memory(gst::Memory::from_slice(part));
    }
    contents.set_pts(stamp.pts);
    contents.set_dts(stamp.pts);
    contents.set_duration(stamp.duration);
    gst::ReferenceTimestampMeta::add(contents, &UNIX_TIME, stamp.capture, stamp.duration);
    if !unit.idr {
        contents.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    if stamp.discont {
        contents.set_flags(gst::BufferFlags::DISCONT);
    }
    buffer
}
