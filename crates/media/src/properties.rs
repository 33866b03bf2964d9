// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Property tests of the way from recorded bytes to access units with times.
//!
//! A random stream is split, gets its slots, is searched for losses and is stamped, as a reader of records
//! does it.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::access_unit::{AccessUnit, Integrity};
use crate::codec::between_nal_units;
use crate::codec::h264::AccessUnitSplitter;
use crate::frame_rate::FrameRate;
use crate::order::MAX_REORDERING;
use crate::random_streams::{Picture, Stream, stream};
use crate::sequences::depth;
use crate::stamp::{Stamp, Stamper};
use crate::time::{CaptureTime, Nanos};
use crate::timeline::{
    Cause, Consequence, Continuity, ContinuityConfig, ContinuityFacts, ContinuityOutput,
    DeclaredRate, Loss, OnLoss, RateSource, SegmentStart, Timeline, TimelineConfig,
};

/// Capture time of the first record in µs since the Unix epoch, not a multiple of anything.
const T: u64 = 1_749_804_653_273_752;
/// Records that may wait for their slots, the last one included.
const MAX_WAITING_RECORDS: usize = 4;

/// Returns the number of the picture that an access unit holds, if it is all of it.
fn number_of(unit: &AccessUnit, pictures: &[Picture]) -> Option<usize> {
    let bytes = unit.parts.concat();
    let [.., high, low] = bytes[..] else {
        return None;
    };
    let number = (usize::from(high) - 1) * 250 + usize::from(low) - 1;
    (pictures.get(number)?.bytes == bytes).then_some(number)
}

/// Declared frame rate of a stream.
#[derive(Debug, Clone, Copy)]
enum Rate {
    Absent,
    Right,
    /// A multiple of the right one.
    Times(u64),
    /// A fraction of it.
    Part(u64),
}

/// Recording of a stream.
#[derive(Debug, Clone)]
struct Layout {
    /// Access units of the records, again and again.
    units: Vec<usize>,
    /// Frame duration in µs.
    frame: u64,
    /// Distances of frames in per cent of that, again and again.
    rhythm: Vec<u64>,
    /// Pauses before records, in µs.
    pauses: Vec<(Index, u64)>,
    /// Records that are lost, again and again. The first one is not.
    lost: Vec<bool>,
    rate: Rate,
}

fn layout() -> impl Strategy<Value = Layout> {
    let units = prop_oneof![Just(vec![1]), vec(1usize..9, 1..6)];
    let rhythm = prop_oneof![Just(vec![100]), vec(95u64..106, 1..9), vec(1u64..400, 1..9),];
    let lost = prop_oneof![Just(vec![false]), vec(prop::bool::weighted(0.1), 1..40),];
    let rate = prop_oneof![
        Just(Rate::Absent),
        Just(Rate::Right),
        (2u64..5).prop_map(Rate::Times),
        (2u64..5).prop_map(Rate::Part),
    ];
    let pauses = vec((any::<Index>(), 0u64..20_000_000), 0..3);
    (units, 5_000u64..200_000, rhythm, pauses, lost, rate).prop_map(
        |(units, frame, rhythm, pauses, lost, rate)| Layout {
            units,
            frame,
            rhythm,
            pauses,
            lost,
            rate,
        },
    )
}

/// A record.
#[derive(Debug)]
struct Record {
    /// µs since the Unix epoch.
    time: u64,
    /// Its pictures.
    units: std::ops::Range<usize>,
    content: Vec<u8>,
}

impl Layout {
    /// Returns the records of a stream as far as they are not lost.
    fn record(&self, pictures: &[Picture]) -> Vec<Record> {
        let mut records = Vec::new();
        let mut at = 0;
        let mut time = T;
        for units in self.units.iter().cycle() {
            let units = at..pictures.len().min(at + units);
            let content: Vec<_> = pictures[units.clone()]
                .iter()
                .flat_map(|picture| picture.bytes.clone())
                .collect();
            let percent: u64 = units
                .clone()
                .map(|unit| self.rhythm[unit % self.rhythm.len()])
                .sum();
            at = units.end;
            records.push(Record {
                time,
                units,
                content,
            });
            time += self.frame * percent / 100;
            if at == pictures.len() {
                break;
            }
        }
        for (before, pause) in &self.pauses {
            let before = before.index(records.len());
            records[before..].iter_mut().for_each(|it| it.time += pause);
        }
        let lost = self.lost.iter().cycle();
        let kept = records.into_iter().zip(lost).enumerate();
        let kept = kept.filter(|(index, (_, lost))| *index == 0 || !**lost);
        kept.map(|(_, (record, _))| record).collect()
    }

    fn declared(&self) -> Option<DeclaredRate> {
        let frame = match self.rate {
            Rate::Absent => return None,
            Rate::Right => self.frame,
            Rate::Times(factor) => self.frame / factor,
            Rate::Part(factor) => self.frame * factor,
        };
        FrameRate::new(1_000_000, frame as i32).map(|rate| DeclaredRate {
            rate,
            source: RateSource::Label,
        })
    }
}

/// Settings of a reader.
#[derive(Debug, Clone)]
struct Settings {
    is_prompt: bool,
    gap_tolerance: Option<Nanos>,
    continuity: ContinuityConfig,
}

fn settings() -> impl Strategy<Value = Settings> {
    let on_loss = prop_oneof![Just(OnLoss::Auto), Just(OnLoss::Drop), Just(OnLoss::Keep),];
    let tolerance = prop::option::weighted(0.2, 0u64..1_000_000);
    let flags = (any::<bool>(), any::<bool>());
    (tolerance, 500u64..10_000, on_loss, flags).prop_map(
        |(tolerance, pause_limit, on_loss, (is_prompt, gap_detection))| Settings {
            is_prompt,
            gap_tolerance: tolerance.map(Nanos::from_useconds),
            continuity: ContinuityConfig {
                pause_limit: Nanos::from_mseconds(pause_limit),
                on_loss,
                gap_detection,
                is_sparse: false,
                marks_faults: false,
            },
        },
    )
}

/// A reader of records.
struct Reader<'a> {
    pictures: &'a [Picture],
    declared: Option<DeclaredRate>,
    splitter: AccessUnitSplitter,
    units: VecDeque<AccessUnit>,
    timeline: Timeline,
    continuity: Continuity<AccessUnit>,
    stamper: Stamper<AccessUnit>,
    output: Output,
}

/// Access units that came out, by the numbers of their pictures.
#[derive(Debug, Default, PartialEq, Eq)]
struct Output {
    stamped: Vec<(usize, Stamp)>,
    dropped: Vec<usize>,
    losses: Vec<Loss>,
    /// Number of reports that the reorder depth is too small.
    too_deep: usize,
    /// A gap ended a coded video sequence: the pictures after it are shown after those before it.
    has_cut_sequence: bool,
}

impl<'a> Reader<'a> {
    fn new(pictures: &'a [Picture], declared: Option<DeclaredRate>, settings: &Settings) -> Self {
        Self {
            pictures,
            declared,
            splitter: AccessUnitSplitter::default(),
            units: VecDeque::new(),
            timeline: Timeline::new(TimelineConfig {
                is_prompt: settings.is_prompt,
                gap_tolerance: settings.gap_tolerance,
                ..Default::default()
            }),
            continuity: Continuity::new(settings.continuity),
            stamper: Stamper::default(),
            output: Output::default(),
        }
    }

    /// Takes the next record in chunks. Returns how many access units begin in it.
    fn push(&mut self, record: &Record, chunks: Vec<Bytes>) -> usize {
        let pieces = between_nal_units(chunks);
        let begun = self.splitter.push_record(&pieces, &mut self.units).begun;
        let time = CaptureTime::from_useconds(record.time);
        self.timeline.push(time, begun, self.declared);
        begun
    }

    /// Passes on all access units whose times are known.
    fn advance(&mut self) -> Result<(), TestCaseError> {
        while !self.units.is_empty()
            && let Some(slot) = self.timeline.pop()
            && let Some(unit) = self.units.pop_front()
        {
            let facts = ContinuityFacts {
                number: unit.frame_number,
                order: unit.order,
                is_keyframe: unit.idr,
                recovery_frames: 0,
                after_loss: unit.after_loss,
                is_incomplete: unit.integrity == Integrity::Corrupted,
            };
            self.continuity.push(unit, &facts, slot);
        }
        self.order()
    }

    /// Ends the records. Returns `false` if the times of the last one are unknown.
    fn finish(&mut self) -> Result<bool, TestCaseError> {
        let is_known = self.timeline.finish().is_ok();
        self.splitter.finish(&mut self.units);
        self.advance()?;
        self.continuity.finish();
        self.order()?;
        self.stamper.end_sequence();
        self.take_stamped()?;
        Ok(is_known)
    }

    fn order(&mut self) -> Result<(), TestCaseError> {
        while let Some(output) = self.continuity.pop() {
            match output {
                ContinuityOutput::Unit { item, slot, .. } => {
                    let order = item.order.ok_or(TestCaseError::fail("no order"))?;
                    let is_cut = slot.segment.is_some() && !slot.resumes && !item.idr;
                    self.output.has_cut_sequence |= is_cut;
                    self.stamper.push(item, order, slot);
                    let too_deep = self.stamper.take_too_deep();
                    self.output.too_deep += usize::from(too_deep.is_some());
                }
                ContinuityOutput::Dropped(unit) => {
                    let number = number_of(&unit, self.pictures);
                    prop_assert!(number.is_some(), "other bytes");
                    self.output.dropped.extend(number);
                }
                ContinuityOutput::Loss(loss) => self.output.losses.push(loss),
            }
        }
        self.take_stamped()
    }

    fn take_stamped(&mut self) -> Result<(), TestCaseError> {
        while let Some((unit, stamp)) = self.stamper.pop() {
            let number = number_of(&unit, self.pictures);
            prop_assert!(number.is_some(), "other bytes");
            self.output
                .stamped
                .extend(number.map(|number| (number, stamp)));
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.output.stamped.len() + self.output.dropped.len()
    }
}

/// Returns a time of the present segment as running time in ns. DTS may be before it.
fn running_time(time: Nanos, segment: SegmentStart) -> i128 {
    let ns = |time: Nanos| i128::from(time.nseconds());
    ns(segment.base) + ns(time) - ns(segment.start)
}

fn is_ascending<T: PartialOrd>(values: &[T]) -> bool {
    values.windows(2).all(|pair| pair[0] < pair[1])
}

/// Returns the content of a record as a network brings it: in chunks.
fn chunks(content: &[u8], cuts: &[Index]) -> Vec<Bytes> {
    let mut at: Vec<_> = cuts
        .iter()
        .map(|cut| cut.index(content.len() + 1))
        .collect();
    at.extend([0, content.len()]);
    at.sort_unstable();
    let spans = at.windows(2).map(|span| &content[span[0]..span[1]]);
    spans.map(Bytes::copy_from_slice).collect()
}

/// A recorded stream.
struct Recording {
    depth: usize,
    lead: usize,
    declared_depth: Option<usize>,
    pictures: Vec<Picture>,
    records: Vec<Record>,
}

impl Recording {
    fn new(stream: &Stream, layout: &Layout) -> Self {
        let pictures = stream.encode();
        Self {
            depth: depth(&stream.sequences),
            lead: stream.lead(),
            declared_depth: stream.declared_depth(),
            records: layout.record(&pictures),
            pictures,
        }
    }

    /// Returns whether no record is lost.
    fn is_whole(&self) -> bool {
        let recorded = self.records.iter().flat_map(|record| record.units.clone());
        recorded.eq(0..self.pictures.len())
    }

    /// Returns whether no IDR picture is lost.
    fn has_idr_pictures(&self) -> bool {
        let units = self.records.iter().flat_map(|record| record.units.clone());
        let found = units.filter(|unit| self.pictures[*unit].is_idr).count();
        found == self.pictures.iter().filter(|it| it.is_idr).count()
    }

    fn declares_enough(&self) -> bool {
        self.declared_depth.is_some_and(|depth| depth >= self.depth)
    }

    /// Checks that `waiting` access units are no more than may wait after the record `index`.
    fn check_waiting(&self, waiting: usize, index: usize) -> Result<(), TestCaseError> {
        if !self.has_idr_pictures() {
            return Ok(()); // The pictures of two sequences are mixed.
        }
        let recent = (index + 1).saturating_sub(MAX_WAITING_RECORDS)..=index;
        let recent: usize = self.records[recent].iter().map(|it| it.units.len()).sum();
        let later = match self.declared_depth {
            // Where there is a gap in the counts, one more may be late.
            Some(depth) if self.is_whole() && depth >= self.depth => depth + 1,
            _ => MAX_REORDERING,
        };
        // A picture is stamped when those that are shown before it have come, and as many more as
        // could be. One access unit is not complete, and one may be before a pause.
        prop_assert!(waiting <= recent + self.lead + 1 + later + 2);
        Ok(())
    }

    /// Checks that every access unit came out once, and none was dropped without a reason.
    fn check_units(&self, output: &Output, settings: &Settings) -> Result<(), TestCaseError> {
        let stamped: Vec<_> = output.stamped.iter().map(|(number, _)| *number).collect();
        prop_assert!(is_ascending(&stamped) && is_ascending(&output.dropped));
        let mut all = [stamped, output.dropped.clone()].concat();
        all.sort_unstable();
        let recorded = self.records.iter().flat_map(|record| record.units.clone());
        prop_assert!(all.into_iter().eq(recorded));
        // Where nothing is missing, times may only show a gap before a keyframe, and pauses as long as whole groups.
        if self.is_whole() && self.declares_enough() && settings.gap_tolerance.is_none() {
            let is_long = |loss: &Loss| matches!(loss.cause, Cause::WholeGroups(_));
            let losses = &output.losses;
            let is_harmless = |loss: &Loss| loss.consequence == Consequence::None || is_long(loss);
            prop_assert!(losses.iter().all(is_harmless));
            prop_assert!(output.dropped.is_empty() || losses.iter().any(is_long));
        }
        Ok(())
    }

    /// Checks that DTS grow in running time, and precede PTS.
    fn check_dts(&self, output: &Output) -> Result<(), TestCaseError> {
        let mut segment = None;
        let mut running_times = Vec::new();
        for (_, stamp) in &output.stamped {
            prop_assert!(stamp.dts <= stamp.pts);
            segment = stamp.segment.or(segment);
            let segment = segment.ok_or(TestCaseError::fail("no segment"))?;
            running_times.push(running_time(stamp.dts, segment));
        }
        prop_assert!(is_ascending(&running_times));
        Ok(())
    }

    /// Checks the times of presentation.
    fn check_pts(&self, output: &Output, settings: &Settings) -> Result<(), TestCaseError> {
        let has_single_units = self.records.iter().all(|record| record.units.len() == 1);
        if settings.is_prompt && !has_single_units {
            return Ok(()); // The frames of a record may turn out to last into the next one.
        }
        if !self.has_idr_pictures() {
            return Ok(()); // There is no order between the pictures of two sequences.
        }
        // Too few are declared, or were out of order before.
        prop_assert!(output.too_deep == 0 || !self.declares_enough());
        if output.too_deep > 0 {
            return Ok(());
        }
        let mut shown: Vec<_> = output.stamped.iter().collect();
        shown.sort_by_key(|(_, stamp)| stamp.pts);
        let pts: Vec<_> = shown.iter().map(|(_, stamp)| stamp.pts).collect();
        prop_assert!(is_ascending(&pts));
        if !output.has_cut_sequence {
            let pictures = shown.iter().map(|(number, _)| &self.pictures[*number]);
            prop_assert!(is_ascending(
                &pictures.map(|it| it.place).collect::<Vec<_>>()
            ));
        }
        if has_single_units {
            let origin = CaptureTime::from_useconds(self.records[0].time);
            let is_dropped = |record: &&Record| output.dropped.contains(&record.units.start);
            let kept = self.records.iter().filter(|record| !is_dropped(record));
            let kept = kept.map(|record| CaptureTime::from_useconds(record.time));
            prop_assert!(shown.iter().map(|(_, stamp)| stamp.capture).eq(kept));
            let is_exact = |stamp: &Stamp| stamp.pts == stamp.capture - origin;
            prop_assert!(shown.iter().all(|(_, stamp)| is_exact(stamp)));
        }
        Ok(())
    }
}

proptest! {
    /// Every access unit comes out once and in decoding order; DTS grow and precede PTS; in output
    /// order PTS grow, and are the times of the records.
    #[test]
    fn access_units_have_the_times_of_their_records(
        stream in stream(),
        layout in layout(),
        settings in settings(),
    ) {
        let recording = Recording::new(&stream, &layout);
        let mut reader = Reader::new(&recording.pictures, layout.declared(), &settings);
        let mut come = 0;
        for (index, record) in recording.records.iter().enumerate() {
            let begun = reader.push(record, vec![record.content.clone().into()]);
            prop_assert_eq!(begun, record.units.len());
            reader.advance()?;
            come += begun;
            recording.check_waiting(come - reader.count(), index)?;
        }
        prop_assume!(reader.finish()?);
        recording.check_units(&reader.output, &settings)?;
        recording.check_dts(&reader.output)?;
        recording.check_pts(&reader.output, &settings)?;
    }

    /// Times do not depend on how records come: in which chunks, and how many at once.
    #[test]
    fn fetches_change_nothing(
        stream in stream(),
        layout in layout(),
        settings in settings(),
        cuts in vec(vec(any::<Index>(), 0..4), 1..6),
        batches in vec(1usize..20, 1..6),
    ) {
        let Recording { pictures, records, .. } = Recording::new(&stream, &layout);
        let mut one_by_one = Reader::new(&pictures, layout.declared(), &settings);
        for record in &records {
            one_by_one.push(record, vec![record.content.clone().into()]);
            one_by_one.advance()?;
        }
        let mut in_batches = Reader::new(&pictures, layout.declared(), &settings);
        let mut cuts = cuts.iter().cycle();
        let mut batches = batches.iter().cycle();
        let mut rest = &records[..];
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(rest.len().min(*batches.next().unwrap_or(&1)));
            for record in batch {
                let cuts = cuts.next().map_or(&[][..], Vec::as_slice);
                in_batches.push(record, chunks(&record.content, cuts));
            }
            in_batches.advance()?;
            rest = after;
        }
        prop_assert_eq!(one_by_one.finish()?, in_batches.finish()?);
        prop_assert_eq!(one_by_one.output, in_batches.output);
    }
}
