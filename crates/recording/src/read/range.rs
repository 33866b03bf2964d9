// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads one range of an entry, from a keyframe to its end, as frames with times.

mod history;
mod last_episode;
mod missing_sets;
mod records;

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::{Event, Query, Record, RecordReader, View};
use media::content::ContentKind;
use media::range::End;
use media::stream::{Fault, LAST_TIME, RecordedStream, StreamRange, StreamRequest};
use media::time::{CaptureTime, Nanos};

use self::history::History;
use self::last_episode::LastEpisode;
use self::missing_sets::MissingSets;
use self::records::{RangeRecords, tag};
use super::episode::Episode;
use super::error::Error;
use super::item::{Format, Item};
use super::keyframe_records::KeyframeRecords;
use super::options::RangeOptions;
use super::shared::Shared;

/// A range that is being read.
#[derive(Debug)]
pub struct RangeReader {
    shared: Arc<Shared>,
    options: RangeOptions,
    source: Source,
    stream: RecordedStream,
    /// Items that do not come from the stream.
    items: VecDeque<Item>,
    has_episode: bool,
    is_empty_reported: bool,
    /// Error that ended the records.
    failure: Option<Error>,
}

/// Records that are read next.
#[derive(Debug)]
enum Source {
    /// Those of the range. The server was not asked yet.
    Unread,
    Reading(RangeRecords),
    /// The headers of the range: no record had a known type so far, up to the `last` one.
    PassingOver {
        reader: RecordReader,
        last: u64,
    },
    /// Those before the range, for the parameter sets of its first record.
    MissingSets(Box<MissingSets>),
    /// Those before the range, for the times of its first group.
    History(Box<History>),
    /// The newest episode, for its length.
    LastEpisode(Box<LastEpisode>),
    /// None: no record that follows belongs to the range.
    Ended,
}

impl RangeReader {
    /// Returns a range. The server is not asked before the first item is wanted.
    pub fn new(shared: Arc<Shared>, options: RangeOptions) -> Self {
        let stream = RecordedStream::new(shared.stream_config(), options.range, shared.memory());
        Self {
            source: Source::Unread,
            stream,
            items: VecDeque::new(),
            has_episode: false,
            is_empty_reported: false,
            failure: None,
            options,
            shared,
        }
    }

    /// Returns the capture time that is 0 in the timeline, once it is known.
    pub fn origin(&self) -> Option<CaptureTime> {
        self.stream.origin()
    }

    /// Takes the keyframes of the range: the times of records all whose keyframes are known by now, and of these the
    /// ones that a keyframe begins in.
    pub fn take_keyframes(&mut self) -> Option<(Range<u64>, Vec<u64>)> {
        self.stream.take_keyframes()
    }

    /// Returns the part of the recording that is read.
    pub fn range(&self) -> &StreamRange {
        &self.options.range
    }

    /// Returns whether the range should have begun earlier. It ends without a frame then.
    pub fn is_too_late(&self) -> bool {
        self.stream.is_start_missed()
    }

    /// Returns the next item, or `None` at the end of the range.
    ///
    /// Cancel safe: no item is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// The error that ended the records, after all frames before it.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            let popped = self.stream.pop();
            self.share_results();
            match popped {
                Ok(Some(item)) => return Ok(Some(item.into())),
                Ok(None) => {}
                Err(error) => {
                    self.failure.get_or_insert(error.into());
                }
            }
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            if self.stream.has_ended() {
                return self.verdict();
            }
            if let Err(error) = self.read().await {
                self.stream.abort();
                self.failure = Some(error);
            }
        }
    }

    /// Makes the results of the stream known to the reader, and ends reading with the stream.
    fn share_results(&mut self) {
        let stats = &self.shared.stats;
        let counts = self.stream.take_counts();
        for (counter, count) in [
            (&stats.access_units, counts.access_units),
            (&stats.corrupted, counts.corrupted),
            (&stats.dropped, counts.dropped),
            (&stats.damaged, counts.damaged),
            (&stats.gaps, counts.gaps),
        ] {
            add(counter, count);
        }
        if let Some((declared, observed)) = self.stream.take_rates() {
            stats.rates.set(declared, observed);
            stats.extent.note_duration(self.stream.longest_record());
        }
        if let Some(mut findings) = self.shared.findings() {
            findings.undecodable += counts.undecodable;
            for finding in self.stream.take_findings() {
                findings.add(finding);
            }
        }
        if !self.stream.takes_records() {
            self.source = Source::Ended;
        }
    }

    /// Handles one event of the reader, and begins to read with the first call.
    async fn read(&mut self) -> Result<(), Error> {
        if matches!(self.source, Source::Reading(_))
            && let Some(request) = self.stream.request()
        {
            self.begin_search(request);
        }
        let access = &self.shared.access;
        match &mut self.source {
            Source::Unread => self.begin_reading(self.options.range.from),
            Source::Reading(records) => match records.next().await? {
                Some(Event::Opened(opened)) => {
                    self.stream.set_attachment(&opened.frame_rate);
                    self.items.extend(self.shared.set_entry_times(opened.times));
                }
                Some(Event::Record(record)) => self.add(record),
                Some(Event::Retrying(text)) => self.items.push_back(Item::Retry(text)),
                Some(Event::Times(_)) => {}
                None => self.end_records(),
            },
            Source::PassingOver { reader, last } => match reader.recv().await? {
                Some(Event::Record(record)) if ContentKind::of(&record.content_type).is_none() => {
                    *last = record.time;
                    self.leave_out(record);
                }
                event => self.end_passing_over(event),
            },
            Source::MissingSets(search) => {
                if search.advance(access, &mut self.items).await? {
                    self.end_search_for_sets();
                }
            }
            Source::History(history) => {
                let oldest = self.shared.stats.extent.oldest().unwrap_or_default();
                let (stream, items) = (&mut self.stream, &mut self.items);
                if history
                    .advance(access, oldest.useconds(), stream, items)
                    .await?
                {
                    self.end_history();
                }
            }
            Source::LastEpisode(look) => {
                if look
                    .advance(&self.shared.stats.extent, &mut self.items)
                    .await
                {
                    self.end_look_at_last_episode();
                }
            }
            Source::Ended => {}
        }
        Ok(())
    }

    fn begin_reading(&mut self, from: Option<CaptureTime>) {
        let access = &self.shared.access;
        let StreamRange {
            stop, is_sought, ..
        } = self.options.range;
        let [from, stop] = [from, stop].map(|time| time.map(CaptureTime::useconds));
        // Backwards only records with a keyframe are asked for.
        let has_keyframes_only = self.options.range.keyframes_only
            && self.options.range.end != End::Records
            && !access.follows()
            && !access.depends_on_order();
        self.source = Source::Reading(if has_keyframes_only {
            let entry_points = self.shared.options.stream.entry_points;
            let from = from.unwrap_or(0);
            RangeRecords::Keyframes(KeyframeRecords::new(
                access,
                entry_points,
                from,
                stop,
                is_sought,
            ))
        } else {
            let query = Query {
                start: from,
                stop,
                view: View::Range,
                is_urgent: is_sought,
                follow: access.follows(),
                ..Query::default()
            };
            RangeRecords::All(RecordReader::new(access, query))
        });
    }

    /// Continues beyond the stop if the end of the range depends on that, else ends the records.
    fn end_records(&mut self) {
        let access = &self.shared.access;
        let has_groups = self.shared.kind.get() != Some(&ContentKind::Episode);
        if has_groups
            && !access.is_over()
            && let Some(beyond) = self.stream.records_beyond()
        {
            self.stream.go_beyond();
            let query = Query {
                start: Some(beyond.useconds()),
                is_lookahead: true,
                follow: access.follows(),
                ..Query::default()
            };
            let reader = RecordReader::new(access, query);
            self.source = Source::Reading(RangeRecords::All(reader));
            return;
        }
        self.stream.end_records();
    }

    /// Takes a record of the range.
    fn add(&mut self, mut record: Record) {
        if record.after_eviction {
            self.stream.lose();
        }
        let stats = &self.shared.stats;
        add(&stats.records, 1);
        add(&stats.bytes, record.length());
        if let Some(mut findings) = self.shared.findings() {
            findings.add_record(CaptureTime::from_useconds(record.time), record.length());
        }

        if record.time > LAST_TIME {
            return self.stream.note_fault(record.time, Fault::Time);
        }
        let kind = ContentKind::of(&record.content_type);
        if let (Some(kind), None) = (kind, self.shared.kind.get()) {
            let _ = self.shared.kind.set(kind); // Only this thread sets it.
        }
        let expected = self.shared.kind.get().copied();
        if kind.is_none() || kind != expected {
            let time = record.time;
            self.leave_out(record);
            // Contents of other types are not read to find the first record that is of use, unless they are counted.
            let is_counted = self.shared.findings().is_some();
            let is_passed_over =
                expected.is_none() && !is_counted && !self.shared.access.depends_on_order();
            if is_passed_over && self.stream.takes_records() {
                self.pass_over(time);
            }
            return;
        }
        if kind == Some(ContentKind::Episode) {
            return self.add_episode(record);
        }
        let time = CaptureTime::from_useconds(record.time);
        self.shared.stats.extent.note_record(time);
        let chunks = mem::take(&mut record.chunks);
        self.stream.push(tag(record), chunks);
    }

    /// Begins to read the records before the range that its frames depend on.
    fn begin_search(&mut self, request: StreamRequest) {
        let Source::Reading(records) = self.source.take() else {
            return;
        };
        self.source = match request {
            StreamRequest::ParameterSets { before } => {
                let reach = self.shared.options.lookback.useconds();
                Source::MissingSets(Box::new(MissingSets::new(before, reach, records)))
            }
            StreamRequest::Groups { first } => {
                let preceding = self.stream.preceding_records();
                Source::History(Box::new(History::new(&first, preceding, records)))
            }
        };
    }

    fn end_search_for_sets(&mut self) {
        if let Source::MissingSets(search) = self.source.take() {
            let (sets, records) = search.finish();
            self.source = Source::Reading(records);
            self.stream.supply_parameter_sets(sets);
        }
    }

    fn end_history(&mut self) {
        if let Source::History(history) = self.source.take() {
            let (records, groups) = history.finish();
            self.source = Source::Reading(records);
            self.stream.supply_groups(groups);
        }
    }

    /// Leaves out a record of another type, or ends with it.
    fn leave_out(&mut self, record: Record) {
        let fault = Fault::ContentType {
            found: record.content_type,
            expected: ContentKind::expected(self.shared.kind.get().copied()),
        };
        self.stream.note_fault(record.time, fault);
    }

    /// Looks for a record of a known type after `time` by headers alone.
    fn pass_over(&mut self, time: u64) {
        let query = Query {
            start: time.checked_add(1),
            stop: self.options.range.stop.map(CaptureTime::useconds),
            view: View::Headers,
            ..Query::default()
        };
        let reader = RecordReader::new(&self.shared.access, query);
        self.source = Source::PassingOver { reader, last: time };
    }

    /// Handles an event of that search, other than a record of an unknown type.
    fn end_passing_over(&mut self, event: Option<Event>) {
        let Source::PassingOver { last, .. } = &self.source else {
            return;
        };
        let next = last.checked_add(1).map(CaptureTime::from_useconds);
        match event {
            Some(Event::Record(record)) => {
                self.begin_reading(Some(CaptureTime::from_useconds(record.time)));
            }
            Some(Event::Retrying(text)) => self.items.push_back(Item::Retry(text)),
            Some(Event::Opened(_) | Event::Times(_)) => {}
            None if self.shared.access.follows() => self.begin_reading(next),
            None => self.end_records(),
        }
    }

    /// Takes a record that is a file.
    fn add_episode(&mut self, record: Record) {
        let time = record.time;
        let Some(episode) = Episode::new(record) else {
            return self.stream.note_fault(time, Fault::NoMp4);
        };
        self.stream.note_intact(time);
        let stats = &self.shared.stats;
        stats.extent.note_record(episode.capture_time);
        let length = Nanos::from_nseconds(episode.movie.length.unwrap_or_default());
        stats.extent.note_episode(episode.capture_time, length);
        add(&stats.episodes, 1);
        if !mem::replace(&mut self.has_episode, true) {
            self.items.push_back(Item::Format(Format::Episodes));
        }
        let access = &self.shared.access;
        let newest = (self.shared.stats.extent.take_unknown_end())
            .filter(|_| !access.follows() && !access.depends_on_order());
        match (newest, self.source.take()) {
            (Some(newest), Source::Reading(records)) => {
                let look = LastEpisode::new(access, newest.useconds(), episode, records);
                self.source = Source::LastEpisode(Box::new(look));
            }
            (_, source) => {
                self.source = source;
                self.items.push_back(Item::Episode(episode.into()));
            }
        }
    }

    fn end_look_at_last_episode(&mut self) {
        if let Source::LastEpisode(look) = self.source.take() {
            let (episode, records) = look.finish();
            self.source = Source::Reading(records);
            self.items.push_back(Item::Episode(episode.into()));
        }
    }

    /// Returns a last warning, or `None` at the end.
    fn verdict(&mut self) -> Result<Option<Item>, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.is_too_late() {
            return Ok(None);
        }
        let is_explained = self.has_episode || self.stream.is_explained();
        if !is_explained
            && let Some(asked) = self.options.asked
            && !mem::replace(&mut self.is_empty_reported, true)
            && let Some(warning) = self.shared.report_empty(asked)
        {
            return Ok(Some(warning));
        }
        let is_last =
            self.options.is_last && !self.options.range.is_sought && !self.shared.access.follows();
        let warning = self.stream.verdict(is_last)?;
        Ok(warning.map(Item::Warning))
    }
}

impl Drop for RangeReader {
    fn drop(&mut self) {
        self.shared.set_memory(self.stream.memory());
    }
}

impl Source {
    fn take(&mut self) -> Self {
        mem::replace(self, Self::Ended)
    }
}

fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}
