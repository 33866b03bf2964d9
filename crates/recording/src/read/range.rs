// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads one range of an entry, from a keyframe to its end, as frames with times.

mod frames;
mod history;
mod label_check;
mod last_episode;
mod missing_sets;
mod rates;
mod records;
mod report;

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use client::{Event, Query, Record, RecordReader, View};
use media::access_unit::{AccessUnit, Integrity};
use media::assemble::Assembler;
use media::codec::h264::{Aligned, EntryPoints, ParameterSets, Pictures, pictures};
use media::content::ContentKind;
use media::time::{CaptureTime, Nanos};
use media::timeline::{
    Continuity, ContinuityConfig, ContinuityFacts, ContinuityOutput, NoFrameRate, Timeline,
    TimelineConfig,
};

use self::frames::{Flow, Part, RangeFrames};
use self::history::History;
use self::label_check::LabelCheck;
use self::last_episode::LastEpisode;
use self::missing_sets::MissingSets;
use self::rates::DeclaredRates;
use self::records::RangeRecords;
use self::report::Report;
use super::episode::Episode;
use super::error::Error;
use super::faults::{Fault, LAST_TIME};
use super::findings::Finding;
use super::item::{Format, Item};
use super::keyframe_records::KeyframeRecords;
use super::options::{OptionNames, RangeOptions};
use super::ranges::End;
use super::shared::Shared;

/// Reach of the search beyond an exact stop for pictures that are shown before it.
const MAX_BEYOND: Nanos = Nanos::from_seconds(10);

/// A range that is being read.
#[derive(Debug)]
pub struct RangeReader {
    shared: Arc<Shared>,
    options: Arc<RangeOptions>,
    source: Source,
    part: Part,
    units: Assembler<Arc<Record>>,
    rates: DeclaredRates,
    timeline: Timeline,
    continuity: Continuity<AccessUnit>,
    /// Gaps that are counted.
    gaps: u64,
    /// Parameter sets of the access units that were dropped after a loss.
    dropped_sets: ParameterSets,
    frames: RangeFrames,
    report: Report,
    keyframes: LearntKeyframes,
    labels: LabelCheck,
    /// Reach of the search for parameter sets, in µs; `None` as soon as it was done.
    lookback: Option<u64>,
    has_episode: bool,
    /// Error that ended the records.
    failure: Option<Error>,
    items: VecDeque<Item>,
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
    /// No more records. The access units that were read are still to be put out.
    Exhausted,
    /// None. Everything was put out.
    Ended,
    /// None, as the range should have begun earlier.
    TooLate,
}

/// Keyframes that a range has come across.
#[derive(Debug, Default)]
struct LearntKeyframes {
    /// Times of records all whose keyframes are known, in µs since the Unix epoch.
    known: Option<Range<u64>>,
    times: Vec<u64>,
}

impl LearntKeyframes {
    /// Notes an access unit that begins in the record at `time`.
    fn note(&mut self, unit: &AccessUnit, entry_points: EntryPoints, time: u64) {
        if unit.order.is_none() {
            // It may be a keyframe once parameter sets are known.
            *self = Self::default();
            return;
        }
        let known = self.known.get_or_insert(time..time);
        known.end = time;
        if entry_points.include(unit) {
            self.times.push(time);
        }
    }
}

impl RangeReader {
    /// Returns a range. The server is not asked before the first item is wanted.
    pub fn new(shared: Arc<Shared>, options: RangeOptions) -> Self {
        let timeline = TimelineConfig {
            origin: options.origin,
            gap_tolerance: shared.options.gap_tolerance,
            is_prompt: shared.access.follows(),
            is_sparse: options.keyframes_only,
            is_filtered: shared.is_filtered,
            awaits_history: options.from.is_some() && !shared.access.depends_on_order(),
        };
        let continuity = ContinuityConfig {
            pause_limit: shared.options.pause_limit,
            on_loss: shared.options.on_loss,
            gap_detection: shared.options.gap_detection,
            is_sparse: options.keyframes_only,
        };
        let options = Arc::new(options);
        Self {
            source: Source::Unread,
            part: Part::Range,
            units: Assembler::new(options.from.is_some()),
            rates: DeclaredRates::new(shared.clone()),
            timeline: Timeline::new(timeline),
            continuity: Continuity::new(continuity),
            gaps: 0,
            dropped_sets: ParameterSets::default(),
            frames: RangeFrames::new(shared.clone(), options.clone()),
            report: Report::new(shared.clone()),
            keyframes: LearntKeyframes::default(),
            labels: LabelCheck::default(),
            lookback: Some(shared.options.lookback.useconds()),
            has_episode: false,
            failure: None,
            items: VecDeque::new(),
            options,
            shared,
        }
    }

    /// Returns the capture time that is 0 in the timeline, once it is known.
    pub fn origin(&self) -> Option<CaptureTime> {
        self.timeline.origin().or(self.options.origin)
    }

    /// Takes the keyframes of the range: the times of records all whose keyframes are known by now, and of these the
    /// ones that a keyframe begins in.
    pub fn take_keyframes(&mut self) -> Option<(Range<u64>, Vec<u64>)> {
        let learnt = mem::take(&mut self.keyframes);
        Some((learnt.known?, learnt.times))
    }

    /// Returns the options of the range.
    pub fn options(&self) -> &RangeOptions {
        &self.options
    }

    /// Returns whether the range should have begun earlier. It ends without a frame then.
    pub fn is_too_late(&self) -> bool {
        matches!(self.source, Source::TooLate)
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
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            if self.make_items() {
                continue;
            }
            if matches!(self.source, Source::Ended | Source::TooLate) {
                return self.verdict();
            }
            if let Err(error) = self.read().await {
                self.split_rest();
                self.finish(Some(error));
            }
        }
    }

    /// Handles one event of the reader, and begins to read with the first call.
    async fn read(&mut self) -> Result<(), Error> {
        if matches!(self.source, Source::Reading(_)) {
            if self.shared.access.follows() {
                self.units.end_early();
            }
            if let Some(aligned) = self.units.next_aligned() {
                return self.take(aligned);
            }
        }
        match &mut self.source {
            Source::Unread => {
                self.begin_reading(self.options.from);
                Ok(())
            }
            Source::Reading(records) => match records.next().await? {
                Some(Event::Opened(opened)) => {
                    self.rates
                        .set_attachment(&opened.frame_rate, &mut self.items);
                    self.items.extend(self.shared.set_entry_times(opened.times));
                    Ok(())
                }
                Some(Event::Record(record)) => self.add(record),
                Some(Event::Retrying(text)) => {
                    self.items.push_back(Item::Retry(text));
                    Ok(())
                }
                Some(Event::Times(_)) => Ok(()),
                None => {
                    self.end_records();
                    Ok(())
                }
            },
            Source::PassingOver { reader, last } => match reader.recv().await? {
                Some(Event::Record(record)) if ContentKind::of(&record.content_type).is_none() => {
                    *last = record.time;
                    self.leave_out(record)
                }
                event => {
                    self.end_passing_over(event);
                    Ok(())
                }
            },
            Source::MissingSets(search) => {
                let is_over = search.advance(&self.shared.access, &mut self.items).await?;
                match is_over {
                    true => self.end_search_for_sets(),
                    false => Ok(()),
                }
            }
            Source::History(history) => {
                let oldest = self.shared.stats.extent.oldest().unwrap_or_default();
                let access = &self.shared.access;
                if history
                    .advance(access, oldest.useconds(), &self.rates, &mut self.items)
                    .await?
                {
                    self.end_history();
                }
                Ok(())
            }
            Source::LastEpisode(look) => {
                if look
                    .advance(&self.shared.stats.extent, &mut self.items)
                    .await
                {
                    self.end_look_at_last_episode();
                }
                Ok(())
            }
            Source::Exhausted | Source::Ended | Source::TooLate => Ok(()),
        }
    }

    fn begin_reading(&mut self, from: Option<CaptureTime>) {
        let access = &self.shared.access;
        let RangeOptions {
            stop, is_sought, ..
        } = *self.options;
        let [from, stop] = [from, stop].map(|time| time.map(CaptureTime::useconds));
        // Backwards only records with a keyframe are asked for.
        let has_keyframes_only = self.options.keyframes_only
            && self.options.end != End::Records
            && !access.follows()
            && !access.depends_on_order();
        self.source = Source::Reading(if has_keyframes_only {
            let entry_points = self.shared.options.entry_points;
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
                keyframes: false,
                follow: access.follows(),
            };
            RangeRecords::All(RecordReader::new(access, query))
        });
    }

    /// Continues beyond the stop if the end of the range depends on that, else ends the records.
    fn end_records(&mut self) {
        let goes_beyond = match self.options.end {
            End::Keyframe | End::Shown => true,
            // A picture that is shown before the stop may come after it in decoding order.
            End::Exact => self.units.has_begun() && self.frames.may_continue(),
            End::Records => false,
        };
        // The times of the last group depend on what follows it.
        let ends_with_group = self.options.end == End::Exact && self.timeline.ends_with_group();
        let goes_beyond = goes_beyond || ends_with_group || self.units.may_continue();
        let has_groups = self.shared.kind.get() != Some(&ContentKind::Episode);
        let goes_beyond = goes_beyond && has_groups && !self.shared.access.is_over();
        if let Some(stop) = self.options.stop
            && goes_beyond
            && mem::replace(&mut self.part, Part::Beyond) == Part::Range
        {
            let is_exact = self.options.end == End::Exact;
            let query = Query {
                start: Some(stop.useconds()),
                stop: (is_exact && !ends_with_group).then(|| (stop + MAX_BEYOND).useconds()),
                follow: self.shared.access.follows(),
                ..Query::default()
            };
            let reader = RecordReader::new(&self.shared.access, query);
            self.source = Source::Reading(RangeRecords::All(reader));
            return;
        }
        if !self.units.end_records() {
            self.look_for_history(true);
        }
        if !self.units.has_aligned() && !matches!(self.source, Source::History(_)) {
            self.finish(None);
        }
    }

    /// Splits the bytes that are left at the end.
    fn split_rest(&mut self) {
        self.units.end_records();
        while let Some(aligned) = self.units.next_aligned() {
            if self.split(aligned).is_err() {
                return; // The error before is the one to be reported.
            }
        }
    }

    /// Takes a record of the range.
    fn add(&mut self, mut record: Record) -> Result<(), Error> {
        if record.after_eviction {
            self.units.lose();
        }
        let stats = &self.shared.stats;
        stats.records.fetch_add(1, Ordering::Relaxed);
        stats.bytes.fetch_add(record.length(), Ordering::Relaxed);
        if let Some(mut findings) = self.shared.findings() {
            findings.add_record(CaptureTime::from_useconds(record.time), record.length());
        }

        if record.time > LAST_TIME {
            return self
                .report
                .leave_out(record.time, Fault::Time, &mut self.items);
        }
        let kind = ContentKind::of(&record.content_type);
        if let (Some(kind), None) = (kind, self.shared.kind.get()) {
            let _ = self.shared.kind.set(kind); // Only this thread sets it.
        }
        let expected = self.shared.kind.get().copied();
        if kind.is_none() || kind != expected {
            let time = record.time;
            self.leave_out(record)?;
            // Contents of other types are not read to find the first record that is of use, unless they are counted.
            let is_counted = self.shared.findings().is_some();
            if expected.is_none() && !is_counted && !self.shared.access.depends_on_order() {
                self.pass_over(time);
            }
            return Ok(());
        }
        if kind == Some(ContentKind::Episode) {
            return self.add_episode(record);
        }
        let time = CaptureTime::from_useconds(record.time);
        if record.length() == 0 {
            self.shared.find(|| Finding::Empty { time });
        }
        self.shared.stats.extent.note_record(time);
        let chunks = mem::take(&mut record.chunks);
        self.units.push_record(chunks, Arc::new(record));
        Ok(())
    }

    /// Takes a record of whole NAL units.
    fn take(&mut self, aligned: Aligned<Arc<Record>>) -> Result<(), Error> {
        let Some(reach) = self
            .lookback
            .filter(|_| self.units.lacks_parameter_sets(&aligned))
        else {
            return self.split(aligned);
        };
        let entry_points = self.shared.options.entry_points;
        if self.options.is_sought && pictures(&aligned.pieces, entry_points) != Pictures::Keyframe {
            // It would be left out with them, too, and is not counted.
            self.units.skip();
            return Ok(());
        }
        self.lookback = None;
        if let Source::Reading(records) = self.source.take() {
            let search = MissingSets::new(aligned, reach, records);
            self.source = Source::MissingSets(Box::new(search));
        }
        Ok(())
    }

    fn end_search_for_sets(&mut self) -> Result<(), Error> {
        let Source::MissingSets(search) = self.source.take() else {
            return Ok(());
        };
        let (sets, first, records) = search.finish();
        self.source = Source::Reading(records);
        if let Some(sets) = sets {
            tracing::info!("found parameter sets");
            self.units.adopt(sets);
        }
        self.split(first)
    }

    /// Leaves out a record of another type, or ends with it.
    fn leave_out(&mut self, record: Record) -> Result<(), Error> {
        let fault = Fault::ContentType {
            found: record.content_type,
            expected: ContentKind::expected(self.shared.kind.get().copied()),
        };
        self.report.leave_out(record.time, fault, &mut self.items)
    }

    /// Looks for a record of a known type after `time` by headers alone.
    fn pass_over(&mut self, time: u64) {
        let query = Query {
            start: time.checked_add(1),
            stop: self.options.stop.map(CaptureTime::useconds),
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
    fn add_episode(&mut self, record: Record) -> Result<(), Error> {
        let time = record.time;
        let Some(episode) = Episode::new(record) else {
            return self.report.note_fault(time, Fault::NoMp4, &mut self.items);
        };
        self.report.note_intact(time, &mut self.items);
        let stats = &self.shared.stats;
        stats.extent.note_record(episode.capture_time);
        let length = Nanos::from_nseconds(episode.movie.length.unwrap_or_default());
        stats.extent.note_episode(episode.capture_time, length);
        stats.episodes.fetch_add(1, Ordering::Relaxed);
        self.has_episode = true;
        self.frames.set_format(Format::Episodes, &mut self.items);
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
        Ok(())
    }

    fn end_look_at_last_episode(&mut self) {
        if let Source::LastEpisode(look) = self.source.take() {
            let (episode, records) = look.finish();
            self.source = Source::Reading(records);
            self.items.push_back(Item::Episode(episode.into()));
        }
    }

    /// Splits a record into access units.
    fn split(&mut self, aligned: Aligned<Arc<Record>>) -> Result<(), Error> {
        let split = self.units.split(aligned, self.shared.access.follows());
        let time = split.tag.time;
        let items = &mut self.items;
        self.report
            .note_damage(time, split.damage, split.lacks_idr, items)?;
        for (record, units) in self.units.begun(split).into_iter().flatten() {
            self.place(&record, units);
        }
        Ok(())
    }

    /// Places the access units that begin in a record in time.
    fn place(&mut self, record: &Record, units: usize) {
        let vui = self.units.splitter().vui_frame_rate();
        let declared = self.rates.declared(record, vui, &mut self.items);
        self.timeline
            .push(CaptureTime::from_useconds(record.time), units, declared);
        let (declared, observed) = self.timeline.rates();
        let frame = observed.or(declared.map(|declared| media::timeline::frames(1, declared.rate)));
        if let Some(frame) = frame {
            let length = frame.saturating_mul(units as u64);
            self.shared.stats.extent.note_duration(length);
        }
        self.rates.report(&mut self.timeline, &mut self.items);
        self.look_for_history(false);
    }

    /// Begins to look for the groups before the range if the times of its first one depend on them;
    /// nothing follows it if it `is_last`.
    fn look_for_history(&mut self, is_last: bool) {
        let Some(first) = self.timeline.lacks_history(is_last) else {
            return;
        };
        match self.source.take() {
            Source::Reading(records) => {
                let units = self.units.with_same_sets();
                let vui = self.units.splitter().vui_frame_rate();
                let history = History::new(&first, units, vui, records);
                self.source = Source::History(Box::new(history));
            }
            source => self.source = source,
        }
    }

    fn end_history(&mut self) {
        if let Source::History(history) = self.source.take() {
            let (records, groups) = history.finish();
            self.source = Source::Reading(records);
            self.timeline.begin_after(groups);
            self.rates.report(&mut self.timeline, &mut self.items);
        }
    }

    /// Ends the records, because of `failure` if there is one.
    fn finish(&mut self, failure: Option<Error>) {
        self.source = Source::Exhausted;
        self.failure = failure;
        if let Some((record, units)) = self.units.take_opened() {
            self.place(&record, units);
        }
        if let Err(error) = self.timeline.finish() {
            let names = &self.shared.options.names;
            self.failure
                .get_or_insert_with(|| no_frame_rate(&error, names));
        }
        let rest = self.units.finish();
        if rest > 0 {
            tracing::info!(
                bytes = rest,
                "bytes after the last picture make no access unit"
            );
        }
        self.report.finish(&mut self.items);
    }

    /// Makes items of the next access unit: a record may have very many. Returns whether there was one, or the end
    /// of them.
    fn make_items(&mut self) -> bool {
        self.count();
        if self.units.is_ready()
            && let Some(slot) = self.timeline.pop()
            && let Some((unit, record)) = self.units.pop()
        {
            let entry_points = self.shared.options.entry_points;
            let begin = record.as_ref().map_or(0, |record| record.time);
            self.keyframes.note(&unit, entry_points, begin);
            let is_keyframe = (unit.order.is_some()).then(|| entry_points.include(&unit));
            let checked = record.and_then(|record| self.labels.note(&record, is_keyframe));
            self.note_wrong_label(checked);
            let facts = facts(&unit, entry_points);
            self.continuity.push(unit, &facts, slot);
            self.order_all();
        } else if matches!(self.source, Source::Exhausted) {
            self.source = Source::Ended;
            let checked = self.labels.finish();
            self.note_wrong_label(checked);
            self.continuity.finish();
            self.order_all();
            if !self.is_too_late() {
                let origin = self.origin();
                let flow = self.frames.finish(origin, &mut self.items);
                self.follow(flow);
            }
        } else {
            return false;
        }
        if self.frames.pop_all(&mut self.items) {
            self.follow(Flow::End);
        }
        true
    }

    /// Notes that the label `keyframe` of a record is wrong, if there is one.
    fn note_wrong_label(&self, record: Option<Arc<Record>>) {
        if let Some(record) = record
            && let Some(label) = record.keyframe
        {
            let time = CaptureTime::from_useconds(record.time);
            self.shared.find(|| Finding::KeyframeLabel { time, label });
        }
    }

    /// Passes on the access units of the continuity, and reports losses.
    fn order_all(&mut self) {
        let names = self.shared.options.names.timeline;
        while let Some(output) = self.continuity.pop() {
            match output {
                ContinuityOutput::Unit {
                    item: mut unit,
                    slot,
                    is_corrupted,
                } => {
                    if is_corrupted {
                        unit.integrity = Integrity::Corrupted;
                    }
                    if self.shared.options.entry_points.include(&unit) {
                        unit.complete_with(&mem::take(&mut self.dropped_sets));
                    }
                    let origin = self.origin();
                    let items = &mut self.items;
                    let flow = self.frames.push(unit, slot, self.part, origin, items);
                    self.follow(flow);
                }
                ContinuityOutput::Dropped(unit) => {
                    self.shared.stats.dropped.fetch_add(1, Ordering::Relaxed);
                    let mut sets = unit.parameter_sets();
                    sets.fill_from(mem::take(&mut self.dropped_sets));
                    self.dropped_sets = sets;
                }
                // Records that a condition leaves out are missing on purpose.
                ContinuityOutput::Loss(loss) if self.shared.is_filtered => {
                    tracing::info!("{}", loss.describe(&names));
                }
                ContinuityOutput::Loss(loss) if self.frames.is_after_stop(loss.hole.to) => {
                    tracing::debug!("after the range: {}", loss.describe(&names));
                }
                ContinuityOutput::Loss(loss) => self.items.push_back(Item::Gap(loss)),
            }
        }
    }

    /// Ends the range if no access unit that follows belongs to it.
    fn follow(&mut self, flow: Flow) {
        self.source = match flow {
            Flow::Continue => return,
            Flow::End => Source::Ended,
            Flow::StartMissed => Source::TooLate,
        };
        self.units.clear();
        while self.continuity.pop().is_some() {}
        self.frames.forget_stop();
    }

    /// Counts new gaps and new access units that are left out.
    fn count(&mut self) {
        let gaps = self.continuity.gaps();
        let new = gaps - mem::replace(&mut self.gaps, gaps);
        if !self.frames.is_past_stop() {
            self.shared.stats.gaps.fetch_add(new, Ordering::Relaxed);
        }
        self.frames.count_skipped();
    }

    /// Returns a last warning, or `None` at the end.
    fn verdict(&mut self) -> Result<Option<Item>, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.is_too_late() {
            return Ok(None);
        }
        let is_explained = self.has_episode || self.frames.are_explained();
        self.report.verdict(&self.options, is_explained)
    }
}

impl Source {
    fn take(&mut self) -> Self {
        mem::replace(self, Self::Ended)
    }
}

/// Returns the facts that decide how an access unit follows the one before it.
fn facts(unit: &AccessUnit, entry_points: EntryPoints) -> ContinuityFacts {
    ContinuityFacts {
        number: unit.frame_number.filter(|_| unit.order.is_some()),
        order: unit.order,
        is_keyframe: entry_points.include(unit) && unit.order.is_some(),
        recovery_frames: match unit.idr {
            true => 0,
            false => unit.recovery_point.unwrap_or_default(),
        },
        after_loss: unit.after_loss,
    }
}

fn no_frame_rate(error: &NoFrameRate, names: &OptionNames) -> Error {
    let time = error.record;
    Error::NoFrameRate(format!(
        "The record at {time} has {} access units, no record follows it, and no frame rate is \
         known. Give it by the label 'fps' of the records, by 'fps' in the attachment '$video' \
         of the entry, or by the {}",
        error.units, names.timeline.frame_rate
    ))
}
