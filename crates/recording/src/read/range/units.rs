// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Splits the records of a range into access units, each with the record that it begins in.

use std::collections::VecDeque;
use std::mem;

use client::Record;
use media::access_unit::AccessUnit;
use media::codec::Damage;
use media::codec::h264::{
    AccessUnitSplitter, Aligned, Aligner, EntryPoints, Next, ParameterSets, Pictures, Pushed,
    VuiFrameRate, pictures,
};

use super::super::whole_records::WholeRecords;

/// Access units of the records of a range.
#[derive(Debug)]
pub struct Units {
    aligner: Aligner<Record>,
    /// Records that end with NAL units, and are not split yet.
    aligned: VecDeque<Aligned<Record>>,
    splitter: AccessUnitSplitter,
    /// A record that the next access unit begins in, and the number of its access units so far.
    opened: Option<(Record, usize)>,
    whole: WholeRecords,
    /// Time of the first record after the last one with a picture, in µs since the Unix epoch.
    lead: Option<u64>,
    /// An access unit began in a record.
    has_begun: bool,
    complete: VecDeque<AccessUnit>,
    /// Times of the records that access units begin in, in step with `complete`.
    begins: VecDeque<u64>,
}

/// A record after it was split.
#[derive(Debug)]
pub struct SplitRecord {
    /// The record, without its content.
    pub record: Record,
    /// Damage of its content.
    pub damage: Option<Damage>,
    /// The record has an IDR picture that lacks parameter sets.
    pub lacks_idr: bool,
    pushed: Pushed,
}

/// The access units that begin in a record.
pub type Begun = (Record, usize);

impl Units {
    /// Returns an empty splitter, for records that begin in the middle of a stream or at its begin.
    pub fn new(is_inside: bool) -> Self {
        Self {
            aligner: Aligner::new(is_inside),
            aligned: VecDeque::new(),
            splitter: AccessUnitSplitter::default(),
            opened: None,
            whole: WholeRecords::default(),
            lead: None,
            has_begun: false,
            complete: VecDeque::new(),
            begins: VecDeque::new(),
        }
    }

    /// Adds the next record.
    pub fn push(&mut self, mut record: Record) {
        let chunks = mem::take(&mut record.chunks);
        self.aligner.push(record, chunks, &mut self.aligned);
        if self.aligner.cuts_nal_units() {
            self.whole.note_cut();
        }
    }

    /// Notes that records are missing before the next one.
    pub fn lose(&mut self) {
        self.aligner.end(true, &mut self.aligned);
        if self.aligned.is_empty() {
            self.end_run();
        }
    }

    /// Ends the last record. Returns whether records are still to be split.
    pub fn end_records(&mut self) -> bool {
        self.aligner.end(false, &mut self.aligned);
        !self.aligned.is_empty()
    }

    /// Ends the last record as soon as records may hold whole access units: the next one may come late.
    pub fn end_early(&mut self) {
        if self.aligned.is_empty() && self.whole.may_end_here() {
            self.aligner.end_record(&mut self.aligned);
        }
    }

    /// Returns the next record of whole NAL units, to be passed to [`split`](Self::split).
    pub fn next_aligned(&mut self) -> Option<Aligned<Record>> {
        self.aligned.pop_front()
    }

    /// Returns whether records are still to be split.
    pub fn has_aligned(&self) -> bool {
        !self.aligned.is_empty()
    }

    /// Returns whether a record begins with slices whose parameter sets never came.
    pub fn lacks_parameter_sets(&self, aligned: &Aligned<Record>) -> bool {
        self.splitter.lacks_parameter_sets(&aligned.pieces)
    }

    /// Leaves out a record of whole NAL units.
    pub fn skip(&mut self) {
        self.lead = None;
    }

    /// Takes over parameter sets from before the range.
    pub fn adopt(&mut self, sets: ParameterSets) {
        self.splitter.adopt(sets);
    }

    /// Splits a record. If `is_prompt`, its last access unit is complete as soon as records are known to hold whole
    /// ones.
    pub fn split(&mut self, aligned: Aligned<Record>, is_prompt: bool) -> SplitRecord {
        let Aligned { record, pieces, .. } = aligned;
        let pushed = self.splitter.push_record(&pieces, &mut self.complete);
        if aligned.is_cut {
            self.splitter.cut_last_nal_unit();
        }
        if self.whole.note(pushed) && is_prompt {
            self.splitter.end_access_unit(&mut self.complete);
        }
        if aligned.is_before_loss {
            self.end_run();
        }
        let damage = aligned.damage.or(pushed.damage);
        SplitRecord {
            lacks_idr: damage == Some(Damage::NoParameterSets)
                && pictures(&pieces, EntryPoints::Idr) == Pictures::Keyframe,
            record,
            damage,
            pushed,
        }
    }

    /// Returns the records all whose access units are known by now, in order, each with their number.
    ///
    /// An access unit begins with its slices where records hold whole NAL units, which may be parameter sets that
    /// were recorded long before; with its first byte where records end anywhere.
    pub fn begun(&mut self, split: SplitRecord) -> [Option<Begun>; 2] {
        let SplitRecord { record, pushed, .. } = split;
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
            return [None, None];
        }
        let opened = self.opened.take();
        // A record of which no access unit is known yet delays none.
        if pushed.next == Next::Here && (units == 0 || self.aligner.cuts_nal_units()) {
            self.opened = Some((record, units));
            return [opened, None];
        }
        [opened, Some((record, units))]
    }

    /// Ends the stream. Returns the last record, if not all of its access units were known.
    pub fn finish(&mut self) -> Option<Begun> {
        self.opened.take()
    }

    /// Ends the last access unit.
    pub fn finish_last(&mut self) {
        let rest = self.splitter.finish(&mut self.complete);
        if rest > 0 {
            tracing::info!(
                bytes = rest,
                "bytes after the last picture make no access unit"
            );
        }
    }

    /// Returns whether there is a complete access unit.
    pub fn is_ready(&self) -> bool {
        !self.complete.is_empty()
    }

    /// Returns the next complete access unit, and the time of the record that it begins in, in µs since the Unix
    /// epoch.
    pub fn pop(&mut self) -> Option<(AccessUnit, u64)> {
        let unit = self.complete.pop_front()?;
        Some((unit, self.begins.pop_front().unwrap_or_default()))
    }

    /// Drops all complete access units.
    pub fn clear(&mut self) {
        self.complete.clear();
    }

    /// Returns whether an access unit began in a record.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns whether the last access unit may continue in records beyond the range.
    pub fn may_continue(&self) -> bool {
        self.whole.are_disproved()
    }

    /// Returns the frame rate in the VUI of the stream.
    pub fn vui_frame_rate(&self) -> Option<VuiFrameRate> {
        self.splitter.vui_frame_rate()
    }

    /// Returns a splitter with the parameter sets of this one.
    pub fn splitter_with_same_sets(&self) -> AccessUnitSplitter {
        self.splitter.with_same_sets()
    }

    fn end_run(&mut self) {
        self.splitter.end_run(&mut self.complete);
        self.splitter.lose();
    }
}
