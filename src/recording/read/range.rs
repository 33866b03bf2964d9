// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! One reading, from a keyframe to an end: from records to access units with slots.

mod history;
mod last_episode;
mod output;

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::history::History;
use self::last_episode::LastEpisode;
use client::{Event, Flushed, Flushing, Query, Record, RecordReader, View};
use media::codec::h264::{
    AccessUnit, AccessUnitSplitter, Aligned, Aligner, Damage, EntryPoints, Next, ParameterSets,
    Pictures, Pushed, ReorderDepth, pictures,
};
use media::content::Kind;
use media::frame_rate::FrameRate;
use media::range::{Entrance, Exit, ReorderingWatch};
use media::stamp::{Reorder, Stamp};
use media::time::{Nanos, utc};
use media::timeline::{
    Continuity, ContinuityConfig, Contradiction, Declarations, DeclaredRate, EXPECTED, NoFrameRate,
    Timeline, TimelineConfig,
};

use super::faults::{self, Fault, FaultLog};
use super::lookback::Lookback;
use super::scope::{Common, End, Scope, Step};
use super::sift::Sift;
use super::whole_records::WholeRecords;
use crate::errors::ReadError;
use crate::reductsrc::buffers::{LAST_TIME, clock_time};
use crate::reductsrc::episodes::{self, Episode};
use crate::reductsrc::segments::Segments;
use crate::reductsrc::{CAT, OnError};

/// How far beyond an exact stop pictures are looked for that are shown before it, in µs.
const MOST_BEYOND: u64 = 10_000_000;
/// Characters of text from outside that a message repeats.
const MAX_SHOWN: usize = 100;

/// Reads records and makes them steps.
#[derive(Debug)]
pub struct Pass {
    common: Arc<Common>,
    scope: Scope,
    source: Source,
    aligner: Aligner<Record>,
    /// Records that end with NAL units, and are not split yet.
    aligned: VecDeque<Aligned<Record>>,
    splitter: AccessUnitSplitter,
    /// A record that the next access unit begins in, and the access units of it that are known.
    opened: Option<(Record, usize)>,
    timeline: Timeline,
    continuity: Continuity<AccessUnit>,
    /// Parameter sets of what was dropped after a loss.
    dropped_sets: ParameterSets,
    entrance: Entrance<AccessUnit>,
    /// Parameter sets of what was left out before the first access unit.
    left_out: ParameterSets,
    reorder: Reorder<AccessUnit>,
    exit: Option<Exit<(AccessUnit, Stamp)>>,
    reordering: ReorderingWatch,
    segments: Segments,
    /// PTS of the first picture that is shown of an exact range.
    shown_from: Option<Nanos>,
    /// How far to look back for parameter sets, in µs; `None` once that was done.
    lookback: Option<u64>,
    /// What is after the stop is being read.
    is_beyond: bool,
    whole: WholeRecords,
    faults: FaultLog,
    /// The first damage, as long as nothing else came.
    only_damage: Option<(u64, Fault)>,
    declarations: Declarations,
    /// Access units and slots come in the same order, but not always at the same time.
    units: VecDeque<AccessUnit>,
    /// Nothing waits for its place in output order any more.
    drained: bool,
    /// Gaps that are counted.
    gaps: u64,
    skipped: u64,
    has_told: bool,
    has_pushed: bool,
    /// An access unit begins in a record.
    has_begun: bool,
    /// Slices were left out, with a warning, as their parameter sets never came.
    lacks_sets: bool,
    has_told_of_sets: bool,
    /// An IDR picture was among them: what follows lacks more than the begin of its stream.
    is_idr_lost: bool,
    /// Intra pictures were left out, as they are no keyframes.
    has_intra: bool,
    /// The records that access units begin in, beside `units`.
    begins: VecDeque<u64>,
    /// The first record after the last one with a picture.
    lead: Option<u64>,
    /// Records all whose keyframes are known, and these.
    known: Option<Range<u64>>,
    keyframes: Vec<u64>,
    is_too_late: bool,
    /// Why reading ended.
    failure: Option<gst::ErrorMessage>,
    steps: VecDeque<Step>,
    caps: Option<gst::Caps>,
}

#[derive(Debug)]
enum Source {
    /// Nothing is asked of the server before the first record is wanted.
    Unread,
    Reading(Records),
    /// There was no record of a known type so far, up to the `last` one.
    PassingOver {
        reader: RecordReader,
        last: u64,
    },
    /// The first record lacks parameter sets.
    LookingBack(Box<LookingBack>),
    /// The times of the first group depend on those before it.
    History(Box<History>),
    /// The first episode waits for the length of the newest one.
    LastEpisode(Box<LastEpisode>),
    Ended,
}

#[derive(Debug)]
struct LookingBack {
    search: Lookback,
    window: Option<RecordReader>,
    /// To go on with afterwards.
    first: Aligned<Record>,
    reader: Records,
}

/// How records are read.
#[derive(Debug)]
enum Records {
    All(RecordReader),
    /// Those with keyframes.
    Sifted(Sift),
}

impl Records {
    fn next(&mut self, flushing: &Flushing) -> Result<Option<Event>, ReadError> {
        match self {
            Self::All(reader) => Ok(reader.next(flushing)?),
            Self::Sifted(sift) => sift.next(flushing),
        }
    }
}

impl Pass {
    /// A reading that has asked nothing of the server.
    pub fn new(common: Arc<Common>, scope: Scope) -> Self {
        let timeline = TimelineConfig {
            origin: scope.origin,
            gap_tolerance: common.gap_tolerance,
            is_prompt: common.access.follows(),
            is_sparse: scope.keyframes_only,
            is_filtered: common.is_filtered,
            awaits_history: scope.from.is_some() && !common.access.depends_on_order(),
        };
        let continuity = ContinuityConfig {
            pause_limit: common.pause_limit,
            on_loss: common.on_loss.into(),
            gap_detection: common.gap_detection,
            is_sparse: scope.keyframes_only,
        };
        let at = scope.at.saturating_sub(scope.origin.unwrap_or(scope.at));
        let until = match scope.end {
            End::Exact if !scope.keyframes_only => scope.stop.map(Nanos::from_useconds),
            End::Shown => (scope.show.until)
                .map(|until| until.saturating_add(scope.origin.unwrap_or_default())),
            _ => None,
        };
        let depth = *lock(&common.depth);
        Self {
            source: Source::Unread,
            aligner: Aligner::new(scope.from.is_some()),
            aligned: VecDeque::new(),
            splitter: AccessUnitSplitter::default(),
            opened: None,
            timeline: Timeline::new(timeline),
            continuity: Continuity::new(continuity),
            dropped_sets: ParameterSets::default(),
            entrance: Entrance::new(scope.begin, at, scope.is_earliest, common.most_held),
            left_out: ParameterSets::default(),
            reorder: Reorder::new(depth),
            exit: until.map(Exit::new),
            reordering: ReorderingWatch::default(),
            segments: Segments::new(scope.show.clone()),
            shown_from: None,
            lookback: Some(common.lookback),
            is_beyond: false,
            whole: WholeRecords::default(),
            faults: FaultLog::default(),
            only_damage: None,
            declarations: Declarations {
                attachment: None,
                property: common.set_rate,
            },
            units: VecDeque::new(),
            drained: false,
            gaps: 0,
            skipped: 0,
            has_told: false,
            has_pushed: false,
            has_begun: false,
            lacks_sets: false,
            has_told_of_sets: false,
            is_idr_lost: false,
            has_intra: false,
            begins: VecDeque::new(),
            lead: None,
            known: None,
            keyframes: Vec::new(),
            is_too_late: false,
            failure: None,
            steps: VecDeque::new(),
            caps: scope.caps.clone(),
            scope,
            common,
        }
    }

    /// The capture time that is 0 in the timeline, once it is known.
    pub fn origin(&self) -> Option<Nanos> {
        self.timeline.origin().or(self.scope.origin)
    }

    /// Records all whose keyframes are known by now, and these.
    pub fn take_known(&mut self) -> Option<(Range<u64>, Vec<u64>)> {
        let known = self.known.take()?;
        Some((known, mem::take(&mut self.keyframes)))
    }

    /// Returns what it is to show.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns whether it should have begun earlier. It ends without a buffer then.
    pub fn is_too_late(&self) -> bool {
        self.is_too_late
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
                Err(ReadError::Failed(message)) => {
                    self.split_rest();
                    self.finish(Some(message));
                }
            }
        }
    }

    /// Takes one event of the reader, which begins to read with the first.
    fn read(&mut self, flushing: &Flushing) -> Result<(), ReadError> {
        if matches!(self.source, Source::Reading(_)) {
            if self.aligned.is_empty() && self.common.access.follows() && self.whole.may_end_here()
            {
                self.aligner.end_record(&mut self.aligned);
            }
            if let Some(aligned) = self.aligned.pop_front() {
                return self.take(aligned).map_err(ReadError::Failed);
            }
        }
        match &mut self.source {
            Source::Unread => self.begin_reading(self.scope.from)?,
            Source::PassingOver { .. } => self.find_known_type(flushing)?,
            Source::Reading(reader) => match reader.next(flushing)? {
                Some(Event::Opened(opened)) => {
                    self.set_attached_rate(&opened.frame_rate);
                    self.steps.extend(self.common.hear_of(opened.times));
                }
                Some(Event::Record(record)) => self.add(record).map_err(ReadError::Failed)?,
                Some(Event::Retrying(text)) => self.steps.push_back(Step::Retry(text)),
                Some(Event::Times(_)) => {}
                None => self.end_range()?,
            },
            Source::LookingBack(_) => self.look_back(flushing)?,
            Source::History(_) => self.read_history(flushing)?,
            Source::LastEpisode(_) => self.read_last_episode(flushing)?,
            Source::Ended => {
                let last = self.last_step();
                self.steps.push_back(last);
            }
        }
        Ok(())
    }

    fn begin_reading(&mut self, from: Option<u64>) -> Result<(), ReadError> {
        let access = &self.common.access;
        let Scope {
            stop, is_sought, ..
        } = self.scope;
        // Backwards only records with a keyframe are asked for.
        let is_sifted = self.scope.keyframes_only
            && self.scope.end != End::Records
            && !access.follows()
            && !access.depends_on_order();
        self.source = Source::Reading(if is_sifted {
            let entry_points = self.common.entry_points;
            let from = from.unwrap_or(0);
            Records::Sifted(Sift::new(access, entry_points, from, stop, is_sought))
        } else {
            Records::All(self.reader(Query {
                start: from,
                stop,
                view: View::Range,
                is_urgent: is_sought,
                keyframes: false,
                follow: access.follows(),
            })?)
        });
        Ok(())
    }

    fn reader(&self, query: Query) -> Result<RecordReader, ReadError> {
        Ok(RecordReader::new(&self.common.access, query))
    }

    /// Returns a reader of the few records of a window, beside those of the range.
    fn reader_aside(&self, window: Range<u64>) -> Result<RecordReader, ReadError> {
        self.reader(Query {
            start: Some(window.start),
            stop: Some(window.end),
            view: View::Aside,
            ..Query::default()
        })
    }

    /// All records before the stop are read. Some ends are after it.
    fn end_range(&mut self) -> Result<(), ReadError> {
        let goes_beyond = match self.scope.end {
            End::Keyframe | End::Shown => true,
            // A picture that is shown before the stop may come after it in decoding order.
            End::Exact => {
                self.exit.is_some()
                    && self.has_begun
                    && (self.reordering).may_be_open(self.common.access.follows())
            }
            End::Records => false,
        };
        // The times of the last group depend on what follows it.
        let ends_with_group = self.scope.end == End::Exact && self.timeline.ends_with_group();
        // The last access unit may continue beyond the stop.
        let goes_beyond = goes_beyond || ends_with_group || self.whole.are_disproved();
        let has_groups = self.common.kind.get() != Some(&Kind::Episode);
        let is_beyond = goes_beyond && has_groups && !self.common.access.is_over();
        let beyond = self.scope.stop.filter(|_| is_beyond);
        match beyond {
            Some(stop) if !mem::replace(&mut self.is_beyond, true) => {
                let is_exact = self.scope.end == End::Exact;
                let reader = self.reader(Query {
                    start: Some(stop),
                    stop: (is_exact && !ends_with_group).then(|| stop.saturating_add(MOST_BEYOND)),
                    follow: self.common.access.follows(),
                    ..Query::default()
                })?;
                self.source = Source::Reading(Records::All(reader));
            }
            _ => {
                self.aligner.end(false, &mut self.aligned);
                if self.aligned.is_empty() {
                    self.look_for_history(true);
                }
                if self.aligned.is_empty() && !matches!(self.source, Source::History(_)) {
                    self.finish(None);
                }
            }
        }
        Ok(())
    }

    /// Splits what has come, as nothing follows.
    fn split_rest(&mut self) {
        self.aligner.end(false, &mut self.aligned);
        while let Some(aligned) = self.aligned.pop_front() {
            if self.split(aligned).is_err() {
                return; // The error before is the one to be posted.
            }
        }
    }

    /// Takes a record of the range.
    fn add(&mut self, mut record: Record) -> Result<(), gst::ErrorMessage> {
        if record.after_eviction {
            self.aligner.end(true, &mut self.aligned);
            if self.aligned.is_empty() {
                self.lose();
            }
        }
        let bytes = record.length();
        self.common.stats.records.fetch_add(1, Ordering::Relaxed);
        self.common.stats.bytes.fetch_add(bytes, Ordering::Relaxed);

        if record.time > LAST_TIME {
            return self.leave_out(record.time, Fault::Time);
        }
        let kind = Kind::of(&record.content_type);
        if let (Some(kind), None) = (kind, self.common.kind.get()) {
            let _ = self.common.kind.set(kind); // Nobody else does.
        }
        let expected = self.common.kind.get().copied();
        if kind.is_none() || kind != expected {
            let fault = Fault::ContentType {
                found: record.content_type,
                expected: Kind::expected(expected),
            };
            self.leave_out(record.time, fault)?;
            // Contents of other types are not read to find the first record that is of use.
            if expected.is_none() && !self.common.access.depends_on_order() {
                self.pass_over(record.time)?;
            }
            return Ok(());
        }
        if kind == Some(Kind::Episode) {
            return self.add_episode(record);
        }
        self.common.stats.extent.hear_of_newest(record.time);
        let chunks = mem::take(&mut record.chunks);
        self.aligner.push(record, chunks, &mut self.aligned);
        if self.aligner.cuts_nal_units() {
            self.whole.note_cut();
        }
        Ok(())
    }

    /// Something is missing between what came and what comes.
    fn lose(&mut self) {
        self.splitter.end_run(&mut self.units);
        self.splitter.lose();
    }

    /// Takes a record of whole NAL units.
    fn take(&mut self, aligned: Aligned<Record>) -> Result<(), gst::ErrorMessage> {
        if let Some(reach) = self.lookback
            && self.splitter.lacks_parameter_sets(&aligned.pieces)
        {
            let entry_points = self.common.entry_points;
            if self.scope.is_sought && pictures(&aligned.pieces, entry_points) != Pictures::Keyframe
            {
                // It would be left out with them, too, and is not counted.
                self.lead = None;
                return Ok(());
            }
            self.lookback = None;
            if let Source::Reading(reader) = std::mem::replace(&mut self.source, Source::Ended) {
                let time = aligned.record.time;
                gst::info!(CAT, "Looking for parameter sets before {time} µs");
                self.source = Source::LookingBack(Box::new(LookingBack {
                    search: Lookback::new(time, reach),
                    window: None,
                    first: aligned,
                    reader,
                }));
            }
            return Ok(());
        }
        self.split(aligned)
    }

    /// Leaves out a record of another type, or ends with it.
    fn leave_out(&mut self, time: u64, fault: Fault) -> Result<(), gst::ErrorMessage> {
        if self.common.on_error == OnError::Stop {
            let text = faults::describe(time, &fault);
            return Err(gst::error_msg!(gst::StreamError::WrongType, ("{text}")));
        }
        self.common.stats.damaged.fetch_add(1, Ordering::Relaxed);
        if !self.common.stats.has_delivered() {
            self.only_damage.get_or_insert((time, fault.clone()));
        }
        self.tell(time, Some(fault));
        Ok(())
    }

    /// Looks for a record of a known type after `time` by headers alone.
    fn pass_over(&mut self, time: u64) -> Result<(), gst::ErrorMessage> {
        let reader = RecordReader::new(
            &self.common.access,
            Query {
                start: time.checked_add(1),
                stop: self.scope.stop,
                view: View::Headers,
                ..Query::default()
            },
        );
        self.source = Source::PassingOver { reader, last: time };
        Ok(())
    }

    /// Takes one event of the search for a record of a known type.
    fn find_known_type(&mut self, flushing: &Flushing) -> Result<(), ReadError> {
        let Source::PassingOver { reader, last } = &mut self.source else {
            return Ok(());
        };
        match reader.next(flushing)? {
            Some(Event::Record(record)) if Kind::of(&record.content_type).is_none() => {
                *last = record.time;
                let fault = Fault::ContentType {
                    found: record.content_type,
                    expected: Kind::expected(None),
                };
                self.leave_out(record.time, fault)
                    .map_err(ReadError::Failed)?;
            }
            Some(Event::Record(record)) => self.begin_reading(Some(record.time))?,
            Some(Event::Retrying(text)) => self.steps.push_back(Step::Retry(text)),
            Some(Event::Opened(_) | Event::Times(_)) => {}
            None if self.common.access.follows() => {
                let next = last.checked_add(1);
                self.begin_reading(next)?;
            }
            None => self.end_range()?,
        }
        Ok(())
    }

    /// Takes a record that is a file.
    fn add_episode(&mut self, record: Record) -> Result<(), gst::ErrorMessage> {
        let stats = self.common.stats.clone();
        let time = record.time;
        let Some(episode) = Episode::new(record, clock_time(time)?) else {
            stats.damaged.fetch_add(1, Ordering::Relaxed);
            return self.note_fault(time, Fault::NoMp4);
        };
        self.tell(time, None);
        stats.extent.hear_of_newest(time);
        let length = Nanos::from_nseconds(episode.movie.length.unwrap_or_default());
        stats.extent.hear_of_episode(episode.capture, length);
        stats.episodes.fetch_add(1, Ordering::Relaxed);
        self.has_pushed = true;
        self.announce(episodes::caps());
        self.push_episode(episode)
    }

    /// Takes one event of a window of the search, or goes on with the next one.
    fn look_back(&mut self, flushing: &Flushing) -> Result<(), ReadError> {
        let Source::LookingBack(looking) = &mut self.source else {
            return Ok(());
        };
        if let Some(window) = &mut looking.window {
            match window.next(flushing)? {
                Some(Event::Record(record))
                    if Kind::of(&record.content_type) == Some(Kind::H264) =>
                {
                    looking.search.add(record.chunks);
                }
                Some(Event::Retrying(text)) => self.steps.push_back(Step::Retry(text)),
                Some(Event::Record(_) | Event::Opened(_) | Event::Times(_)) => {}
                None => looking.window = None,
            }
            return Ok(());
        }
        if let Some(window) = looking.search.next_window() {
            let reader = self.reader_aside(window)?;
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
        self.split(first).map_err(ReadError::Failed)
    }

    /// Takes a record apart.
    fn split(&mut self, aligned: Aligned<Record>) -> Result<(), gst::ErrorMessage> {
        let Aligned { record, pieces, .. } = aligned;
        let pushed = self.splitter.push_record(&pieces, &mut self.units);
        if aligned.is_cut {
            self.splitter.cut_last_nal_unit();
        }
        if self.whole.note(pushed) && self.common.access.follows() {
            self.splitter.end_access_unit(&mut self.units);
        }
        if aligned.is_before_loss {
            self.lose();
        }
        let damage = aligned.damage.or(pushed.damage);
        if damage == Some(Damage::NoParameterSets) {
            self.is_idr_lost |= pictures(&pieces, EntryPoints::Idr) == Pictures::Keyframe;
        }
        self.note_damage(record.time, damage)?;
        self.note_begins(record, pushed)
    }

    /// Takes note of the access units that begin in a record: with its slices where records hold
    /// whole NAL units, which may be parameter sets that were recorded long before; with its first
    /// byte where records end anywhere.
    fn note_begins(&mut self, record: Record, pushed: Pushed) -> Result<(), gst::ErrorMessage> {
        let lead = *self.lead.get_or_insert(record.time);
        if pushed.begun > 0 || pushed.continues {
            self.lead = None;
        }
        self.has_begun |= pushed.begun > 0;
        let mut units = pushed.begun;
        if pushed.begun > 0 {
            // Where to read from for the first of them.
            let begins_there = pushed.begun_before && self.aligner.cuts_nal_units();
            let opened = self.opened.as_mut().filter(|_| begins_there);
            let begin = opened.map_or(lead, |(opened, count)| {
                *count += 1;
                units -= 1;
                opened.time
            });
            let others = std::iter::repeat_n(record.time, pushed.begun - 1);
            self.begins.extend([begin].into_iter().chain(others));
        }
        if pushed.next == Next::Before && self.opened.is_some() {
            return Ok(());
        }
        if let Some((opened, count)) = self.opened.take() {
            self.place(opened, count)?;
        }
        // A record of which no access unit is known yet delays none.
        if pushed.next == Next::Here && (units == 0 || self.aligner.cuts_nal_units()) {
            self.opened = Some((record, units));
            return Ok(());
        }
        self.place(record, units)
    }

    /// Places the access units that begin in a record in time.
    fn place(&mut self, record: Record, units: usize) -> Result<(), gst::ErrorMessage> {
        let clock_time = clock_time(record.time)?;
        let declared = self.declared_rate(&record);
        self.timeline.push(clock_time, units, declared);
        let (declared, observed) = self.timeline.rates();
        let frame = observed.or(declared.map(|declared| media::timeline::frames(1, declared.rate)));
        if let Some(frame) = frame {
            let length = frame.saturating_mul(units as u64);
            self.common.stats.extent.hear_of_record(length);
        }
        self.tell_of_rates();
        self.look_for_history(false);
        Ok(())
    }

    /// Updates the rates in `stats`, and warns of a declared one that times contradict.
    fn tell_of_rates(&mut self) {
        let (declared, observed) = self.timeline.rates();
        let declared = declared.map(|declared| declared.rate);
        self.common.stats.rates.set(declared, observed);
        if let Some(contradiction) = self.timeline.take_contradiction() {
            self.warn_of_contradiction(&contradiction);
        }
    }

    /// Takes over the frame rate in the attachment `$video`, if it has one.
    fn set_attached_rate(&mut self, attached: &Result<Option<String>, String>) {
        let fault = match attached {
            Ok(None) => return,
            Ok(Some(text)) => match FrameRate::parse(text) {
                Some(rate) => {
                    self.declarations.attachment = Some(rate);
                    return;
                }
                None => {
                    let text: String = text.chars().take(MAX_SHOWN).collect();
                    let expected = EXPECTED;
                    format!("fps in the attachment $video is no frame rate, {expected}: {text:?}")
                }
            },
            Err(fault) => format!("The attachment $video is not used: {fault}"),
        };
        self.declarations.attachment = None;
        if self.common.stats.rates.is_first_unreadable() {
            self.steps.push_back(Step::Warn(fault));
        }
    }

    /// Label, attachment, property, VUI: the first that has a frame rate.
    fn declared_rate(&mut self, record: &Record) -> Option<DeclaredRate> {
        let label = record.frame_rate.as_deref();
        if let Some(label) = label
            && FrameRate::parse(label).is_none()
            && self.common.stats.rates.is_first_unreadable()
        {
            let time = utc(record.time);
            self.steps.push_back(Step::Warn(format!(
                "The label fps of the record at {time} is no frame rate, {}: {label:?}. It has no \
                 effect, in other records either",
                EXPECTED
            )));
        }
        let vui = self.splitter.vui_frame_rate();
        self.declarations.choose(label, vui)
    }

    /// Warns once of a declared frame rate that record times contradict.
    fn warn_of_contradiction(&mut self, contradiction: &Contradiction) {
        let time = utc(contradiction.time.useconds());
        let text = format!("At {time} {contradiction}");
        // What a condition leaves out is no contradiction.
        if self.common.is_filtered || !self.common.stats.rates.is_first_contradiction() {
            gst::info!(CAT, "{text}");
            return;
        }
        self.steps.push_back(Step::Warn(text));
    }

    /// Counts what is wrong with a record and tells of it.
    fn note_damage(&mut self, time: u64, damage: Option<Damage>) -> Result<(), gst::ErrorMessage> {
        if let Some(damage) = damage {
            // A stream that is joined before its first IDR picture is not broken.
            let is_broken = damage != Damage::NoParameterSets || self.is_idr_lost;
            if !is_broken {
                self.lacks_sets = true;
                self.common.first_without_sets.get_or_init(|| time);
            }
            self.common
                .stats
                .damaged
                .fetch_add(u64::from(is_broken), Ordering::Relaxed);
            if is_broken {
                return self.note_fault(time, Fault::Damage(damage));
            }
        }
        self.tell(time, damage.map(Fault::Damage));
        Ok(())
    }

    /// Tells of what is wrong with a record, or ends with it.
    fn note_fault(&mut self, time: u64, fault: Fault) -> Result<(), gst::ErrorMessage> {
        if self.common.on_error == OnError::Stop {
            let text = faults::describe(time, &fault);
            return Err(gst::error_msg!(
                gst::StreamError::Decode,
                ("{text}. With on-error=skip it would be left out")
            ));
        }
        if !self.common.stats.has_delivered() {
            self.only_damage.get_or_insert((time, fault.clone()));
        }
        self.tell(time, Some(fault));
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
        if let Some((opened, count)) = self.opened.take()
            && let Err(error) = self.place(opened, count)
        {
            self.failure.get_or_insert(error);
        }
        if let Err(error) = self.timeline.finish() {
            self.failure.get_or_insert_with(|| no_frame_rate(&error));
        }
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
            return Step::Fail(failure);
        }
        if self.is_too_late {
            return Step::End;
        }
        let has_delivered = self.common.stats.has_delivered();
        let is_unexplained =
            !self.has_pushed && !self.has_told && !self.lacks_sets && self.only_damage.is_none();
        if let Some(asked) = self.scope.asked.take_if(|_| is_unexplained)
            && let Some(step) = self.common.tell_of_nothing(asked)
        {
            return step;
        }
        if has_delivered {
            return Step::End;
        }
        let Some((time, fault)) = self.only_damage.take() else {
            return self.tell_of_missing_sets().unwrap_or(Step::End);
        };
        let kind = match fault {
            Fault::ContentType { .. } => gst::StreamError::WrongType,
            _ => gst::StreamError::Decode,
        };
        Step::Fail(unusable(time, &fault, kind))
    }

    /// Returns an error, or a warning if that may be what is wanted, if nothing of the run was of use as
    /// parameter sets were missing. A range that comes later may have them.
    fn tell_of_missing_sets(&mut self) -> Option<Step> {
        let time = *self.common.first_without_sets.get()?;
        let is_end = self.scope.is_last && !self.scope.is_sought && !self.common.access.follows();
        if !is_end || mem::replace(&mut self.has_told_of_sets, true) {
            return None;
        }
        let fault = Fault::Damage(Damage::NoParameterSets);
        if !self.common.is_filtered {
            return Some(Step::Fail(unusable(time, &fault, gst::StreamError::Decode)));
        }
        Some(Step::Warn(format!(
            "No record that the condition (property when) picks can be used. {}. The condition may leave out \
             the records with SPS, PPS and IDR pictures",
            faults::describe(time, &fault)
        )))
    }
}

/// The error for a range of which nothing could be used.
fn unusable(time: u64, fault: &Fault, kind: gst::StreamError) -> gst::ErrorMessage {
    let text = faults::describe(time, fault);
    gst::error_msg!(kind, ("No record in the range can be used. {text}"))
}

impl Drop for Pass {
    fn drop(&mut self) {
        *lock(&self.common.depth) = self.reorder.depth();
    }
}

fn lock(depth: &Mutex<ReorderDepth>) -> MutexGuard<'_, ReorderDepth> {
    depth.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_frame_rate(error: &NoFrameRate) -> gst::ErrorMessage {
    let time = utc(error.record.useconds());
    gst::error_msg!(
        gst::ResourceError::Settings,
        (
            "The record at {time} has {} access units, no record follows it, and no frame rate is \
             known. Give it by the label 'fps' of the records, by 'fps' in the attachment '$video' \
             of the entry, or by the property fps",
            error.units
        )
    )
}
