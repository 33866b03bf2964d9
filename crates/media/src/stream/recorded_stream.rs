// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Makes frames with times of the records of one range.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::config::StreamConfig;
use super::counts::StreamCounts;
use super::error::StreamError;
use super::faults::{Fault, LAST_TIME};
use super::finding::Finding;
use super::item::StreamItem;
use super::label_check::LabelCheck;
use super::learnt_keyframes::LearntKeyframes;
use super::memory::StreamMemory;
use super::names::OptionNames;
use super::preceding::PrecedingRecords;
use super::range::StreamRange;
use super::range_frames::{Flow, Part, RangeFrames};
use super::rates::DeclaredRates;
use super::record_tag::RecordTag;
use super::report::Report;
use super::request::StreamRequest;
use super::results::Results;
use crate::access_unit::{AccessUnit, Integrity};
use crate::assemble::Assembler;
use crate::codec::h264::{Aligned, EntryPoints, ParameterSets, Pictures, pictures};
use crate::frame_rate::FrameRate;
use crate::range::End;
use crate::time::{CaptureTime, Nanos};
use crate::timeline::{
    Consequence, Continuity, ContinuityConfig, ContinuityFacts, ContinuityOutput, Group,
    NoFrameRate, Timeline, TimelineConfig, frames,
};

/// The records of one range, in order, on their way to frames with times.
///
/// Records are [pushed](Self::push) as a store has them: each holds one or several access units, or ends anywhere in
/// the byte stream. Items are [popped](Self::pop) as soon as they are known. The last ones come after
/// [`finish`](Self::finish). Frames share memory with the records.
///
/// ```
/// use bytes::Bytes;
/// use media::stream::{
///     RecordTag, RecordedStream, StreamConfig, StreamError, StreamItem, StreamMemory, StreamRange,
/// };
///
/// fn dump(records: Vec<(u64, Bytes)>) -> Result<(), StreamError> {
///     let range = StreamRange::new(None, None);
///     let mut stream =
///         RecordedStream::new(StreamConfig::default(), range, StreamMemory::default());
///     for (time, content) in records {
///         let tag = RecordTag {
///             time,
///             ..RecordTag::default()
///         };
///         stream.push(tag, vec![content]);
///         print(&mut stream)?;
///     }
///     stream.finish();
///     print(&mut stream)?;
///     // An error if no record was of use.
///     while let Some(warning) = stream.verdict(true)? {
///         eprintln!("{warning}");
///     }
///     Ok(())
/// }
///
/// fn print(stream: &mut RecordedStream) -> Result<(), StreamError> {
///     while let Some(item) = stream.pop()? {
///         match item {
///             StreamItem::Frame(frame) => println!("{} {}", frame.capture_time, frame.pts),
///             StreamItem::Warning(warning) => eprintln!("{warning}"),
///             _ => {}
///         }
///     }
///     Ok(())
/// }
/// # let keyframe = Bytes::from_static(&[0, 0, 0, 1, 0x65, 0x88]);
/// # assert!(dump(vec![(0, keyframe)]).is_err(), "no parameter sets");
/// # assert!(dump(Vec::new()).is_ok());
/// ```
///
/// A caller that can read records before or beyond the range says so in the [`StreamRange`], and answers
/// [requests](Self::request).
#[derive(Debug)]
pub struct RecordedStream {
    config: StreamConfig,
    range: StreamRange,
    phase: Phase,
    part: Part,
    units: Assembler<Arc<RecordTag>>,
    rates: DeclaredRates,
    timeline: Timeline,
    /// Records were placed in the timeline since the rates were taken.
    has_new_rates: bool,
    longest_record: Nanos,
    continuity: Continuity<AccessUnit>,
    /// Gaps that are counted.
    gaps: u64,
    /// Parameter sets of the access units that were dropped after a loss.
    dropped_sets: ParameterSets,
    frames: RangeFrames,
    report: Report,
    keyframes: LearntKeyframes,
    labels: LabelCheck,
    /// The parameter sets of the range may still be searched.
    searches_sets: bool,
    /// No record follows.
    is_finishing: bool,
    /// Error that ended the stream.
    failure: Option<StreamError>,
    results: Results,
}

/// The next step with the records of a stream.
#[derive(Debug)]
enum Phase {
    /// Records are split and placed in time.
    Running,
    /// The parameter sets of a record are searched, which is split afterwards.
    SetsRequested(Aligned<Arc<RecordTag>>),
    /// The groups before the first one are searched.
    GroupsRequested(Group),
    /// No more records. The access units that were taken are still to be put out.
    Exhausted,
    /// Everything was put out.
    Ended,
    /// The range should have begun earlier, and has no frames.
    StartMissed,
}

impl RecordedStream {
    /// Returns a stream that has no records yet, with the `memory` of the range that was read before it.
    pub fn new(config: StreamConfig, range: StreamRange, memory: StreamMemory) -> Self {
        let timeline = TimelineConfig {
            origin: range.origin,
            gap_tolerance: config.options.gap_tolerance,
            is_prompt: config.is_prompt,
            is_sparse: range.keyframes_only,
            is_filtered: config.is_filtered,
            awaits_history: range.searches_groups,
        };
        let continuity = ContinuityConfig {
            pause_limit: config.options.pause_limit,
            on_loss: config.options.on_loss,
            gap_detection: config.options.gap_detection,
            is_sparse: range.keyframes_only,
            marks_faults: config.options.marks_faults,
        };
        let mut units = Assembler::new(range.from.is_some());
        if config.presumes_whole_records {
            units.presume_whole_records();
        }
        Self {
            phase: Phase::Running,
            part: Part::Range,
            units,
            rates: DeclaredRates::new(&config),
            timeline: Timeline::new(timeline),
            has_new_rates: false,
            longest_record: Nanos::ZERO,
            continuity: Continuity::new(continuity),
            gaps: 0,
            dropped_sets: ParameterSets::default(),
            frames: RangeFrames::new(config, range, memory.depth),
            report: Report::new(&config),
            keyframes: LearntKeyframes::default(),
            labels: LabelCheck::default(),
            searches_sets: range.searches_sets,
            is_finishing: false,
            failure: None,
            results: Results::new(memory, config.collects_findings),
            config,
            range,
        }
    }

    /// Takes the next record in the chunks that it came in. It is ignored after the end of the stream.
    pub fn push(&mut self, tag: RecordTag, chunks: Vec<Bytes>) {
        if !self.takes_records() {
            return;
        }
        if tag.time > LAST_TIME {
            return self.note_fault(tag.time, Fault::Time);
        }
        if chunks.iter().all(Bytes::is_empty) {
            return self.note_fault(tag.time, Fault::Empty);
        }
        self.units.push_record(chunks, Arc::new(tag));
    }

    /// Notes that records are missing before the next one, which the store has deleted.
    pub fn lose(&mut self) {
        self.units.lose();
    }

    /// Takes over the frame rate `fps` of the attachment `$video` of the entry, or the reason for which the attachment
    /// cannot be read.
    pub fn set_attachment(&mut self, attached: &Result<Option<String>, String>) {
        self.rates.set_attachment(attached, &mut self.results);
    }

    /// Counts and reports a fault of the record at `time`, in µs since the Unix epoch, which is not pushed.
    pub fn note_fault(&mut self, time: u64, fault: Fault) {
        if let Err(error) = self.report.note_fault(time, fault, &mut self.results) {
            self.fail(error);
        }
    }

    /// Notes that the record at `time`, in µs since the Unix epoch, is of use although it is not pushed, as a stored
    /// episode is.
    pub fn note_intact(&mut self, time: u64) {
        self.report.note_intact(time, &mut self.results);
    }

    /// Returns the next item, or `None` if it depends on more records, on the answer to a [request](Self::request), or
    /// at the end.
    ///
    /// # Errors
    ///
    /// The error that ended the stream, after all items before it.
    pub fn pop(&mut self) -> Result<Option<StreamItem>, StreamError> {
        loop {
            if let Some(item) = self.results.items.pop_front() {
                return Ok(Some(item));
            }
            if self.make_items() || self.take_record() {
                continue;
            }
            let failure = match self.has_ended() {
                true => self.failure.take(),
                false => None,
            };
            return failure.map_or(Ok(None), Err);
        }
    }

    /// Ends the stream: no record follows.
    pub fn finish(&mut self) {
        self.is_finishing = true;
    }

    /// Ends the records so far, as those that follow cannot be read.
    pub fn abort(&mut self) {
        if self.takes_records() {
            self.split_rest();
            self.conclude(None);
        }
    }

    /// Completes the last record, or ends the stream if all records are split and no request is open.
    ///
    /// [`finish`](Self::finish) does this as often as needed. A caller that can read
    /// [`records_beyond`](Self::records_beyond) the stop calls it instead, each time that [`pop`](Self::pop) returns
    /// `None` at the end of the records: the last one may show that records beyond are needed.
    pub fn end_records(&mut self) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        if !self.units.end_records() {
            self.request_groups(true);
        }
        if !self.units.has_aligned() && matches!(self.phase, Phase::Running) {
            self.conclude(None);
        }
    }

    /// Returns whether records are taken. No frame of those that follow belongs to the range otherwise.
    pub fn takes_records(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Exhausted | Phase::Ended | Phase::StartMissed
        )
    }

    /// Returns whether all items were made.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended | Phase::StartMissed)
    }

    /// Returns whether the range should have begun earlier. It ends without a frame then.
    pub fn is_start_missed(&self) -> bool {
        matches!(self.phase, Phase::StartMissed)
    }

    /// Returns the open request, if there is one.
    pub fn request(&self) -> Option<StreamRequest> {
        match &self.phase {
            Phase::SetsRequested(first) => Some(StreamRequest::ParameterSets {
                before: first.record.time,
            }),
            Phase::GroupsRequested(first) => Some(StreamRequest::Groups { first: *first }),
            _ => None,
        }
    }

    /// Answers [`StreamRequest::ParameterSets`] with the last ones before the record, if there are any.
    pub fn supply_parameter_sets(&mut self, sets: Option<ParameterSets>) {
        match mem::replace(&mut self.phase, Phase::Running) {
            Phase::SetsRequested(first) => {
                if let Some(sets) = sets {
                    tracing::info!("found parameter sets");
                    self.units.adopt(sets);
                }
                self.split(first);
            }
            phase => self.phase = phase,
        }
    }

    /// Answers [`StreamRequest::Groups`] with groups in order of time.
    pub fn supply_groups(&mut self, groups: Vec<Group>) {
        if matches!(self.phase, Phase::GroupsRequested(_)) {
            self.phase = Phase::Running;
            self.timeline.begin_after(groups);
            self.note_rates();
        }
    }

    /// Returns a counter of access units in records before the range, for [`supply_groups`](Self::supply_groups).
    pub fn preceding_records(&self) -> PrecedingRecords {
        PrecedingRecords::new(&self.units)
    }

    /// Returns the next group of records before the range, as soon as its record is complete.
    pub fn next_group(&mut self, records: &mut PrecedingRecords) -> Option<Group> {
        records.next_group(&self.rates, &mut self.results)
    }

    /// Returns the time from which on the records beyond the stop of the range decide about its end, at the end of those
    /// before the stop, or `None` if they do not. The range [ends](Self::takes_records) with the first ones that suffice.
    pub fn records_beyond(&self) -> Option<CaptureTime> {
        let stop = self.range.stop.filter(|_| self.part == Part::Range)?;
        let goes_beyond = match self.range.end {
            End::Keyframe | End::Shown => true,
            // A picture that is shown before the stop may come after it in decoding order.
            End::Exact => self.units.has_begun() && self.frames.may_continue(),
            End::Records => false,
        };
        // The times of the last group depend on what follows it.
        let ends_with_group = self.range.end == End::Exact && self.timeline.ends_with_group();
        (goes_beyond || ends_with_group || self.units.may_continue()).then_some(stop)
    }

    /// Notes that the records that follow are beyond the stop.
    pub fn go_beyond(&mut self) {
        self.part = Part::Beyond;
    }

    /// Returns the capture time that is 0 in the timeline, once it is known.
    pub fn origin(&self) -> Option<CaptureTime> {
        self.timeline.origin().or(self.range.origin)
    }

    /// Returns the declared frame rate, and the observed distance of two frames, if records were placed in time since
    /// the last call.
    pub fn take_rates(&mut self) -> Option<(Option<FrameRate>, Option<Nanos>)> {
        if !mem::take(&mut self.has_new_rates) {
            return None;
        }
        let (declared, observed) = self.timeline.rates();
        Some((declared.map(|declared| declared.rate), observed))
    }

    /// Returns the longest duration of a record so far, as far as it is known.
    pub fn longest_record(&self) -> Nanos {
        self.longest_record
    }

    /// Returns the counters since the last call.
    pub fn take_counts(&mut self) -> StreamCounts {
        mem::take(&mut self.results.counts)
    }

    /// Returns the findings since the last call, if they are collected.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        self.results.take_findings()
    }

    /// Takes the keyframes of the range: the times of records all whose keyframes are known by now, and of these the
    /// ones that a keyframe begins in. Times are in µs since the Unix epoch.
    pub fn take_keyframes(&mut self) -> Option<(Range<u64>, Vec<u64>)> {
        mem::take(&mut self.keyframes).into_times()
    }

    /// Returns facts of the recording for the range that is read next.
    pub fn memory(&self) -> StreamMemory {
        StreamMemory {
            depth: self.frames.depth(),
            ..self.results.memory.clone()
        }
    }

    /// Returns whether frames were put out, or it is reported why there are none.
    pub fn is_explained(&self) -> bool {
        self.frames.are_explained() || self.report.explains_emptiness()
    }

    /// Returns a warning about the whole of the stream, which has ended, or `None` if there are no more. The range
    /// `is_last` if no other one of the recording follows, which may have the parameter sets that this one lacks.
    ///
    /// # Errors
    ///
    /// The fault of the records, if none was of use: an export of nothing is no success.
    pub fn verdict(&mut self, is_last: bool) -> Result<Option<String>, StreamError> {
        self.report.verdict(is_last, &self.results)
    }

    /// Takes the next record that is complete. Returns whether there was one, or the end of them.
    fn take_record(&mut self) -> bool {
        if !matches!(self.phase, Phase::Running) {
            return false;
        }
        if self.config.is_prompt {
            self.units.end_early();
        }
        if let Some(aligned) = self.units.next_aligned() {
            self.take(aligned);
            return true;
        }
        if self.is_finishing {
            self.end_records();
        }
        self.is_finishing && !matches!(self.phase, Phase::GroupsRequested(_))
    }

    /// Takes a record of whole NAL units.
    fn take(&mut self, aligned: Aligned<Arc<RecordTag>>) {
        if !self.searches_sets || !self.units.lacks_parameter_sets(&aligned) {
            return self.split(aligned);
        }
        let entry_points = self.config.options.entry_points;
        if self.range.is_sought && pictures(&aligned.pieces, entry_points) != Pictures::Keyframe {
            // It would be left out with them, too, and is not counted.
            return self.units.skip();
        }
        self.searches_sets = false;
        self.phase = Phase::SetsRequested(aligned);
    }

    /// Splits a record into access units, or ends the stream because of its damage.
    fn split(&mut self, aligned: Aligned<Arc<RecordTag>>) {
        if let Err(error) = self.try_split(aligned) {
            self.fail(error);
        }
    }

    fn try_split(&mut self, aligned: Aligned<Arc<RecordTag>>) -> Result<(), StreamError> {
        let split = self.units.split(aligned, self.config.is_prompt);
        let time = split.tag.time;
        self.report
            .note_damage(time, split.damage, split.lacks_idr, &mut self.results)?;
        for (record, units) in self.units.begun(split).into_iter().flatten() {
            self.place(&record, units);
        }
        Ok(())
    }

    /// Places the access units that begin in a record in time.
    fn place(&mut self, record: &RecordTag, units: usize) {
        let vui = self.units.splitter().vui_frame_rate();
        let declared = self.rates.declared(record, vui, &mut self.results);
        self.timeline
            .push(CaptureTime::from_useconds(record.time), units, declared);
        let (declared, observed) = self.timeline.rates();
        let frame = observed.or(declared.map(|declared| frames(1, declared.rate)));
        if let Some(frame) = frame {
            let length = frame.saturating_mul(units as u64);
            self.longest_record = self.longest_record.max(length);
        }
        self.note_rates();
        self.request_groups(false);
    }

    fn note_rates(&mut self) {
        self.has_new_rates = true;
        self.rates.report(&mut self.timeline, &mut self.results);
    }

    /// Requests the groups before the range if the times of its first one depend on them; nothing follows it if it
    /// `is_last`.
    fn request_groups(&mut self, is_last: bool) {
        if matches!(self.phase, Phase::Running)
            && let Some(first) = self.timeline.lacks_history(is_last)
        {
            self.phase = Phase::GroupsRequested(first);
        }
    }

    /// Ends the stream because of `failure`, after the records so far.
    fn fail(&mut self, failure: StreamError) {
        if self.takes_records() {
            self.split_rest();
            self.conclude(Some(failure));
        }
    }

    /// Splits the bytes that are left at the end.
    fn split_rest(&mut self) {
        self.units.end_records();
        while let Some(aligned) = self.units.next_aligned() {
            if self.try_split(aligned).is_err() {
                return; // The error before is the one to be reported.
            }
        }
    }

    /// Ends the records, because of `failure` if there is one.
    fn conclude(&mut self, failure: Option<StreamError>) {
        self.phase = Phase::Exhausted;
        self.failure = failure;
        if let Some((record, units)) = self.units.take_opened() {
            self.place(&record, units);
        }
        if let Err(error) = self.timeline.finish() {
            let names = &self.config.options.names;
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
        self.report.finish(&mut self.results);
    }

    /// Makes items of the next access unit: a record may have very many. Returns whether there was one, or the end
    /// of them.
    fn make_items(&mut self) -> bool {
        self.count();
        if self.units.is_ready()
            && let Some(slot) = self.timeline.pop()
            && let Some((unit, record)) = self.units.pop()
        {
            let entry_points = self.config.options.entry_points;
            let begin = record.as_ref().map_or(0, |record| record.time);
            self.keyframes.note(&unit, entry_points, begin);
            let is_keyframe = (unit.order.is_some()).then(|| entry_points.include(&unit));
            let checked = record.and_then(|record| self.labels.note(&record, is_keyframe));
            self.note_wrong_label(checked);
            let facts = facts(&unit, entry_points);
            self.continuity.push(unit, &facts, slot);
            self.order_all();
        } else if matches!(self.phase, Phase::Exhausted) {
            self.phase = Phase::Ended;
            let checked = self.labels.finish();
            self.note_wrong_label(checked);
            self.continuity.finish();
            self.order_all();
            if !self.is_start_missed() {
                let origin = self.origin();
                let flow = self.frames.finish(origin, &mut self.results);
                self.follow(flow);
            }
        } else {
            return false;
        }
        if self.frames.pop_all(&mut self.results) {
            self.follow(Flow::End);
        }
        true
    }

    /// Notes that the label `keyframe` of a record is wrong, if there is one.
    fn note_wrong_label(&mut self, record: Option<Arc<RecordTag>>) {
        if let Some(record) = record
            && let Some(label) = record.keyframe
        {
            let time = CaptureTime::from_useconds(record.time);
            self.results.find(|| Finding::KeyframeLabel { time, label });
        }
    }

    /// Passes on the access units of the continuity, and reports losses.
    fn order_all(&mut self) {
        let names = self.config.options.names.timeline;
        while let Some(output) = self.continuity.pop() {
            match output {
                ContinuityOutput::Unit {
                    item: mut unit,
                    slot,
                    is_corrupted,
                    begins_sequence,
                } => {
                    if is_corrupted {
                        unit.integrity = Integrity::Corrupted;
                    }
                    if let Some(order) = &mut unit.order {
                        order.begins_sequence |= begins_sequence;
                    }
                    if self.config.options.entry_points.include(&unit) {
                        unit.complete_with(&mem::take(&mut self.dropped_sets));
                    }
                    let origin = self.origin();
                    let results = &mut self.results;
                    let flow = self.frames.push(unit, slot, self.part, origin, results);
                    self.follow(flow);
                }
                ContinuityOutput::Dropped(unit) => {
                    self.results.counts.dropped += 1;
                    let mut sets = unit.parameter_sets();
                    sets.fill_from(mem::take(&mut self.dropped_sets));
                    self.dropped_sets = sets;
                }
                // Records that a condition leaves out are missing on purpose.
                ContinuityOutput::Loss(loss) if self.config.is_filtered => {
                    tracing::info!("{}", loss.describe(&names));
                }
                ContinuityOutput::Loss(loss) if self.frames.is_after_stop(loss.hole.to) => {
                    tracing::debug!("after the range: {}", loss.describe(&names));
                    if loss.consequence == Consequence::Dropped {
                        let origin = self.origin();
                        let flow = self.frames.end_at_gap(origin, &mut self.results);
                        self.follow(flow);
                    }
                }
                ContinuityOutput::Loss(loss) => self.results.items.push_back(StreamItem::Gap(loss)),
            }
        }
    }

    /// Ends the range if no access unit that follows belongs to it.
    fn follow(&mut self, flow: Flow) {
        self.phase = match flow {
            Flow::Continue => return,
            Flow::End => Phase::Ended,
            Flow::StartMissed => Phase::StartMissed,
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
            self.results.counts.gaps += new;
        }
        self.frames.count_skipped(&mut self.results);
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
        is_incomplete: unit.integrity == Integrity::Corrupted,
    }
}

fn no_frame_rate(error: &NoFrameRate, names: &OptionNames) -> StreamError {
    let time = error.record;
    let option = (names.timeline.frame_rate)
        .map(|option| format!(", or by the {option}"))
        .unwrap_or_default();
    StreamError::NoFrameRate(format!(
        "The record at {time} has {} access units, no record follows it, and no frame rate is \
         known. Give it by the label 'fps' of the records, by 'fps' in the attachment '$video' \
         of the entry{option}",
        error.units
    ))
}

#[cfg(test)]
mod tests;
