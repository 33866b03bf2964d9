// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the records of a range that have keyframes, and those whose labels cannot be relied on.
//!
//! The range is read in windows. Where labels `keyframe` have agreed with the contents so far, the
//! headers of a window are read first. If they look plausible, only the records that they name are
//! read, and of these the contents are verified. All other windows are read in full.

use std::ops::Range;
use std::sync::Arc;

use client::{EntrySource, Event, Query, Record, RecordReader, View};
use media::codec::between_nal_units;
use media::codec::h264::{EntryPoints, Pictures, continues_picture, pictures};
use media::content::ContentKind;
use media::range::LabelTrust;
use media::time::CaptureTime;

use super::error::Error;

/// The first window, in µs. Each is twice as long as the one before it.
const FIRST_WINDOW: u64 = 4_000_000;
/// The longest window that has records, in µs.
const MAX_WINDOW: u64 = 300_000_000;

/// Reader of records with keyframes.
#[derive(Debug)]
pub struct KeyframeRecords {
    access: Arc<EntrySource>,
    entry_points: EntryPoints,
    /// Times that are not read yet.
    rest: Range<u64>,
    /// Length of the next window, in µs.
    length: u64,
    trust: LabelTrust,
    /// The caller waits for the first records.
    is_urgent: bool,
    state: ReadState,
}

#[derive(Debug)]
enum ReadState {
    /// The next window begins.
    Next,
    Headers {
        reader: RecordReader,
        window: Range<u64>,
        labels: Vec<(CaptureTime, Option<bool>)>,
    },
    /// The records whose label names a keyframe. `after` is before those that are still to come.
    Labelled {
        reader: RecordReader,
        window: Range<u64>,
        after: u64,
    },
    All(RecordReader),
}

impl KeyframeRecords {
    /// Returns a reader from `start` to before `stop`, or to the newest record.
    pub fn new(
        access: &Arc<EntrySource>,
        entry_points: EntryPoints,
        start: u64,
        stop: Option<u64>,
        is_urgent: bool,
    ) -> Self {
        Self {
            access: access.clone(),
            entry_points,
            rest: start..stop.unwrap_or(u64::MAX),
            length: FIRST_WINDOW,
            trust: LabelTrust::default(),
            is_urgent,
            state: ReadState::Next,
        }
    }

    /// Returns the next event, or `None` after the last record.
    ///
    /// Cancel safe: no record is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of the client that are not transient.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let event = match &mut self.state {
                ReadState::Next if self.rest.is_empty() => return Ok(None),
                ReadState::Next => {
                    self.begin_window();
                    continue;
                }
                ReadState::Headers { reader, .. }
                | ReadState::Labelled { reader, .. }
                | ReadState::All(reader) => reader.recv().await?,
            };
            match event {
                Some(Event::Record(record)) => {
                    if let Some(record) = self.take(record) {
                        return Ok(Some(Event::Record(record)));
                    }
                }
                Some(event) => {
                    if let Event::Opened(opened) = &event {
                        let end = opened.times.newest.saturating_add(1);
                        self.rest.end = self.rest.end.min(end);
                    }
                    return Ok(Some(event));
                }
                None => self.end_window(),
            }
        }
    }

    fn begin_window(&mut self) {
        let end = self.rest.start.saturating_add(self.length);
        let window = self.rest.start..end.min(self.rest.end);
        self.rest.start = window.end;
        self.length = self.length.saturating_mul(2).min(MAX_WINDOW);
        if self.trust.is_established() {
            let reader = self.reader(&window, View::Headers, false);
            self.state = ReadState::Headers {
                reader,
                window,
                labels: Vec::new(),
            };
        } else {
            self.read_all(&window);
        }
    }

    /// Takes a record of the window, and returns it if it may have a keyframe.
    fn take(&mut self, record: Record) -> Option<Record> {
        match &mut self.state {
            ReadState::Headers { labels, .. } => {
                if ContentKind::of(&record.content_type) == Some(ContentKind::H264) {
                    labels.push((CaptureTime::from_useconds(record.time), record.keyframe));
                }
                None
            }
            ReadState::Labelled { window, after, .. } => {
                if pictures_of(&record, self.entry_points) == Pictures::Keyframe {
                    *after = record.time.saturating_add(1);
                    return Some(record);
                }
                // Others may be wrong, too, from the last one on that was right.
                let window = *after..window.end;
                self.trust.refute();
                self.read_all(&window);
                None
            }
            ReadState::All(_) => {
                let pictures = match ContentKind::of(&record.content_type) {
                    Some(ContentKind::H264) => pictures_of(&record, self.entry_points),
                    _ => return Some(record),
                };
                if pictures != Pictures::None {
                    let is_keyframe = pictures == Pictures::Keyframe;
                    let time = CaptureTime::from_useconds(record.time);
                    self.trust.note(time, record.keyframe, is_keyframe);
                }
                let is_other = pictures == Pictures::Some
                    && record.keyframe == Some(false)
                    && !continues_picture(&between_nal_units(record.chunks.clone()));
                Some(record).filter(|_| !is_other)
            }
            ReadState::Next => None,
        }
    }

    fn end_window(&mut self) {
        let state = std::mem::replace(&mut self.state, ReadState::Next);
        let ReadState::Headers { window, labels, .. } = state else {
            return;
        };
        if labels.is_empty() {
            // A hole may be long.
            self.length = (window.end - window.start).saturating_mul(2);
        } else if self.trust.accepts(&labels) {
            self.state = ReadState::Labelled {
                reader: self.reader(&window, View::Lookup, true),
                after: window.start,
                window,
            };
        } else {
            self.read_all(&window);
        }
    }

    fn read_all(&mut self, window: &Range<u64>) {
        self.state = ReadState::All(self.reader(window, View::Range, false));
    }

    fn reader(&mut self, window: &Range<u64>, view: View, keyframes: bool) -> RecordReader {
        let query = Query {
            start: Some(window.start),
            stop: Some(window.end),
            view,
            keyframes,
            is_urgent: std::mem::take(&mut self.is_urgent),
            ..Query::default()
        };
        RecordReader::new(&self.access, query)
    }
}

fn pictures_of(record: &Record, entry_points: EntryPoints) -> Pictures {
    pictures(&between_nal_units(record.chunks.clone()), entry_points)
}
