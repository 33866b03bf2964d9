// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Access units of a byte stream (ITU-T H.264, 7.4.1.2.3).

use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::{mem, slice};

use bytes::Bytes;

use super::frame_numbering::FrameNumber;
use super::nal::{nal_type, nal_unit_type};
use super::parameter_sets::{Decoded, ParameterSets};
use super::picture::{Picture, Slice};
use super::picture_order::PictureOrderCounter;
use super::sei;
use super::slice::SliceError;
use super::sps::VuiFrameRate;
use crate::access_unit::{AccessUnit, Chunk, Integrity};
use crate::codec::annexb::{self, NalUnit};
use crate::codec::chunks::joined;
use crate::codec::damage::{Damage, MAX_BYTES};
use crate::codec::length_prefixed;
use crate::order::PictureOrder;

/// Memory for the bookkeeping of a chunk, in bytes.
const PART_BYTES: usize = 128;
/// Largest memory that a waiting part may pin, as a multiple of its size.
const PIN_RATIO: usize = 16;

impl AccessUnit {
    /// Returns the parameter sets in it.
    pub fn parameter_sets(&self) -> ParameterSets {
        let mut sets = ParameterSets::default();
        for nal in self.parts.iter().flat_map(Chunk::nal_units) {
            sets.put(&nal);
        }
        sets
    }

    /// Adds sets that were in access units before it, but for those that it has itself.
    pub fn complete_with(&mut self, older: &ParameterSets) {
        let missing = older.missing_in(&self.parameter_sets());
        insert_sets(&mut self.parts, &missing);
    }
}

/// Access units and damage of a pushed record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Number of access units that begin in it.
    pub begun: usize,
    /// It has slices of the access unit that began before it.
    pub continues: bool,
    /// It begins the second field of a frame.
    pub completes_pair: bool,
    /// The first of those that begin has NAL units before its slices in an earlier record, and
    /// begins there.
    pub begun_before: bool,
    /// Begin of the access unit whose slices have not come yet.
    pub next: Next,
    /// First damage in it.
    pub damage: Option<Damage>,
}

/// The begin of an access unit whose slices have not come yet: the first NAL unit before them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Next {
    /// No such access unit has begun.
    #[default]
    Unknown,
    /// In this record.
    Here,
    /// In an earlier record.
    Before,
}

/// Cuts a byte stream, which comes in records of whole NAL units, into access units.
///
/// An access unit is complete when the next one begins; the last one is put out by
/// [`finish`](Self::finish). Unreadable parts are left out and reported. No other byte is lost or
/// copied.
#[derive(Debug, Default)]
pub struct AccessUnitSplitter {
    sets: Decoded,
    /// There was an SPS and a PPS, not necessarily one that refers to it.
    has_sets: [bool; 2],
    order: PictureOrderCounter,
    current: Unfinished,
    /// NAL units after a slice that come before the next one: part of `current` or of the unit
    /// after it, as the next slice decides.
    ahead: Option<Ahead>,
    /// The first NAL unit of the next access unit is in an earlier record.
    is_next_before: bool,
    /// Data is missing before the next access unit.
    lost: bool,
    /// The last NAL unit was a slice header without data.
    has_stray_slice: bool,
    /// Memory of the chunks that are held, in bytes.
    held: usize,
    /// Parameter sets of undecodable access units, for the next one that is not.
    orphans: ParameterSets,
    vui_frame_rate: Option<VuiFrameRate>,
}

#[derive(Debug, Default)]
struct Unfinished {
    parts: Vec<Chunk>,
    /// Its parameter sets.
    sets: Vec<Bytes>,
    recovery_point: Option<u32>,
    /// It has NAL units before its slices.
    has_lead: bool,
    picture: Option<Picture>,
    order: Option<PictureOrder>,
    frame_number: Option<FrameNumber>,
    /// A slice is predicted from other pictures, or could not be read.
    predicted: bool,
    sps_id: u8,
    /// The order has all fields so far.
    is_ordered: bool,
    is_field_pair: bool,
    idr: bool,
    corrupted: bool,
    after_loss: bool,
    sequence_ended: bool,
}

#[derive(Debug, Default)]
struct Ahead {
    parts: Vec<Chunk>,
    sets: Vec<Bytes>,
    recovery_point: Option<u32>,
    /// They end a primary coded picture.
    begins_picture: bool,
}

/// Picture that a slice belongs to.
enum Place {
    SamePicture,
    SecondField,
    NextUnit,
}

/// Divides a piece of a record into chunks of access units.
struct Piece<'a> {
    data: &'a Bytes,
    taken: usize,
    leaving_out: bool,
    /// Places in `data` of the NAL units that were not taken yet.
    found: Vec<Range<usize>>,
}

impl Piece<'_> {
    /// Ends a part that is left out, at the beginning of a NAL unit.
    fn begin(&mut self, start: usize) {
        if mem::take(&mut self.leaving_out) {
            self.taken = start;
        }
    }

    /// Takes the bytes up to `end`.
    fn take_until(&mut self, end: usize) -> Chunk {
        let taken = mem::replace(&mut self.taken, end);
        let found = mem::take(&mut self.found).into_iter();
        Chunk::with_nal_units(
            self.data.slice(taken..end),
            found
                .map(|nal| nal.start - taken..nal.end - taken)
                .collect(),
        )
    }

    fn take_rest(&mut self) -> Chunk {
        self.begin(self.data.len());
        self.take_until(self.data.len())
    }
}

impl AccessUnitSplitter {
    /// Takes the next record of the stream and appends the access units that it completes to
    /// `complete`.
    pub fn push(&mut self, data: &Bytes, complete: &mut VecDeque<AccessUnit>) -> Pushed {
        self.push_record(slice::from_ref(data), complete)
    }

    /// Takes the next record in pieces, as [`between_nal_units`](crate::codec::between_nal_units) returns
    /// them.
    pub fn push_record(&mut self, pieces: &[Bytes], complete: &mut VecDeque<AccessUnit>) -> Pushed {
        let mut pushed = Pushed {
            damage: self.format_damage(pieces),
            ..Default::default()
        };
        if pushed.damage.is_some() {
            self.lose();
            return pushed;
        }
        self.is_next_before = self.has_next();
        let mut leaving_out = false;
        for data in pieces {
            let mut piece = Piece {
                data,
                taken: 0,
                leaving_out,
                found: Vec::new(),
            };
            self.add_piece(&mut piece, complete, &mut pushed);
            leaving_out = piece.leaving_out;
            self.put(piece.take_rest());
        }
        if self.has_stray_slice {
            // A record that has other slices was cut off within its last picture.
            let in_picture = pushed.begun > 0 || pushed.continues;
            match self.current.picture {
                _ if in_picture => {}
                Some(_) => self.complete(complete),
                None => self.orphan(),
            }
            self.settle_stray_slice(in_picture, complete, &mut pushed.begun);
        }
        self.release_memory_of(pieces);
        if self.held > MAX_BYTES {
            pushed.damage = pushed.damage.or(Some(Damage::TooLarge));
            self.abandon(complete);
        }
        pushed.next = match (self.has_next(), self.is_next_before) {
            (false, _) => Next::Unknown,
            (true, false) => Next::Here,
            (true, true) => Next::Before,
        };
        pushed
    }

    /// Notes that the last NAL unit is truncated.
    pub fn cut_last_nal_unit(&mut self) {
        // Anything but a slice is no use without its end, and did no harm.
        self.current.corrupted |= self.current.picture.is_some() && self.ahead.is_none();
    }

    /// Returns whether an access unit has begun whose slices are still to come.
    fn has_next(&self) -> bool {
        self.ahead.is_some() || self.current.picture.is_none() && self.current.has_lead
    }

    /// Takes over a parameter set that is not in the stream.
    pub fn put_parameter_set(&mut self, nal: &[u8]) {
        // A broken one is as good as none.
        let _ = self.sets.put(nal);
    }

    /// Returns a splitter of another part of the stream, with the parameter sets of this one.
    pub fn with_same_sets(&self) -> Self {
        Self {
            sets: self.sets.clone(),
            has_sets: self.has_sets,
            ..Default::default()
        }
    }

    /// Notes that data is missing before the next record.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Takes over parameter sets that come from elsewhere. The next access unit gets them.
    pub fn adopt(&mut self, sets: ParameterSets) {
        sets.iter().for_each(|nal| self.put_parameter_set(nal));
        self.orphans.fill_from(sets);
    }

    /// Completes the last access unit: nothing that follows belongs to it.
    pub fn end_run(&mut self, complete: &mut VecDeque<AccessUnit>) {
        if self.current.picture.is_some() {
            self.complete(complete);
        }
    }

    /// Completes the last access unit at the end of a record, unless it is the first field of a frame.
    pub fn end_access_unit(&mut self, complete: &mut VecDeque<AccessUnit>) {
        let Some(picture) = &self.current.picture else {
            return;
        };
        if picture.is_field() && !self.current.is_field_pair {
            self.ahead.get_or_insert_default().begins_picture = true;
        } else {
            self.complete(complete);
        }
    }

    /// Ends the stream: appends the last access unit, and returns the number of bytes after it that
    /// belong to none.
    pub fn finish(&mut self, complete: &mut VecDeque<AccessUnit>) -> usize {
        self.end_run(complete);
        self.held = 0;
        let rest = mem::take(&mut self.current).parts;
        rest.iter().map(|part| part.len()).sum()
    }

    /// Returns whether a slice in the record comes before any parameter sets.
    pub fn lacks_parameter_sets(&self, pieces: &[Bytes]) -> bool {
        let mut headers = pieces
            .iter()
            .flat_map(|data| annexb::nal_units(data).map(|nal| data[nal.bytes.start]));
        // Those before may be in records before.
        let mut sets = self.has_sets;
        !self.sets.has_active()
            && self.format_damage(pieces).is_none()
            && headers
                .find_map(|header| match nal_unit_type(header) {
                    nal_type::SPS => {
                        sets[0] = true;
                        None
                    }
                    nal_type::PPS => {
                        sets[1] = true;
                        None
                    }
                    nal_type::SLICE | nal_type::SLICE_PARTITION_A | nal_type::SLICE_IDR => {
                        Some(sets != [true; 2])
                    }
                    _ => None,
                })
                .unwrap_or(false)
    }

    /// Returns the frame rate of the SPS that the last picture refers to, if its VUI has one.
    pub fn vui_frame_rate(&self) -> Option<VuiFrameRate> {
        self.vui_frame_rate
    }

    /// Returns whether the record is a byte stream, if there is anything in it.
    fn format_damage(&self, pieces: &[Bytes]) -> Option<Damage> {
        let begins = annexb::begins_with_start_code(pieces.iter().flatten());
        // Within a byte stream, bytes that could be a length are a start code.
        if begins && self.sets.has_active() {
            return None;
        }
        let data = joined(pieces);
        if length_prefixed::is_length_prefixed(&data) {
            Some(Damage::LengthPrefixed)
        } else if begins || data.iter().all(|byte| *byte == 0) {
            None
        } else {
            Some(Damage::NotByteStream)
        }
    }

    /// Adds the NAL units of a piece.
    fn add_piece(
        &mut self,
        piece: &mut Piece,
        complete: &mut VecDeque<AccessUnit>,
        pushed: &mut Pushed,
    ) {
        for NalUnit { start, bytes } in annexb::nal_units(piece.data) {
            piece.begin(start);
            let nal = piece.data.slice(bytes.clone());
            let damage = match nal_unit_type(nal[0]) {
                nal_type::SLICE | nal_type::SLICE_PARTITION_A | nal_type::SLICE_IDR => {
                    self.add_slice(&nal, start, piece, complete, pushed)
                }
                other => self.add_other(other, nal, start, piece),
            };
            if damage.is_some() {
                let before = piece.take_until(start);
                self.put(before);
                piece.leaving_out = true;
            } else {
                piece.found.push(bytes);
            }
            pushed.damage = pushed.damage.or(damage);
        }
    }

    /// Adds the slice `nal`, whose start code begins at `start`, or returns the damage because of which it
    /// is left out.
    fn add_slice(
        &mut self,
        nal: &[u8],
        start: usize,
        piece: &mut Piece,
        complete: &mut VecDeque<AccessUnit>,
        pushed: &mut Pushed,
    ) -> Option<Damage> {
        if nal.len() < 2 {
            self.has_stray_slice = true;
            return Some(Damage::BrokenSlice);
        }
        let mut slice = Slice::parse(&self.sets, nal);
        let mut damage = None;
        if has_forbidden_bit(nal) {
            slice.spoil();
            damage = Some(Damage::ForbiddenBit);
        } else if let Err(error) = &slice.header {
            damage = Some(match error {
                SliceError::UnknownParameterSet(_) if !self.sets.has_active() => {
                    Damage::NoParameterSets
                }
                SliceError::UnknownParameterSet(id) => Damage::UnknownParameterSet(*id),
                SliceError::Broken => Damage::BrokenSlice,
            });
        }
        let header = slice.header.clone().ok();

        let ends = self.current.sequence_ended;
        let ahead_begins = self
            .ahead
            .as_ref()
            .is_some_and(|ahead| ahead.begins_picture);
        let place = match &mut self.current.picture {
            None => {
                self.settle_stray_slice(false, complete, &mut pushed.begun);
                pushed.begun += 1;
                pushed.begun_before |= mem::take(&mut self.is_next_before);
                self.current.begin(slice, mem::take(&mut self.lost));
                Place::NextUnit
            }
            Some(picture) => {
                let other = if ends || ahead_begins {
                    Err(slice)
                } else {
                    picture.add(slice)
                };
                match other {
                    Ok(()) => Place::SamePicture,
                    Err(slice)
                        if !ends
                            && !self.current.is_field_pair
                            && picture.is_completed_by(&slice) =>
                    {
                        *picture = Picture::new(slice);
                        Place::SecondField
                    }
                    Err(slice) => {
                        let before = piece.take_until(start);
                        self.put(before);
                        self.complete(complete);
                        self.settle_stray_slice(false, complete, &mut pushed.begun);
                        pushed.begun += 1;
                        pushed.begun_before |= mem::take(&mut self.is_next_before);
                        self.current.begin(slice, mem::take(&mut self.lost));
                        Place::NextUnit
                    }
                }
            }
        };
        match place {
            Place::SamePicture => {
                self.take_ahead();
                self.settle_stray_slice(true, complete, &mut pushed.begun);
                pushed.continues |= pushed.begun == 0;
            }
            Place::SecondField => {
                self.take_ahead();
                self.settle_stray_slice(true, complete, &mut pushed.begun);
                pushed.continues |= pushed.begun == 0;
                pushed.completes_pair = true;
                self.current.is_field_pair = true;
                self.current.is_ordered = false;
            }
            Place::NextUnit => {}
        }

        self.current.corrupted |= damage.is_some();
        self.current.predicted |= header
            .as_ref()
            .is_none_or(|header| !header.intra && !header.redundant);
        if let Some(header) = header
            && let Some((sps, _)) = self.sets.active(header.pps_id)
        {
            self.vui_frame_rate = sps.vui.frame_rate;
            self.current.sps_id = sps.id;
            let frame_number = FrameNumber::new(&header, sps);
            let first = self.current.frame_number.get_or_insert(frame_number);
            first.resets |= header.resets_order; // Of the second field.
            if !mem::replace(&mut self.current.is_ordered, true) {
                let order = self.order.next(&header, sps);
                self.current.add_order(order);
            }
        }
        damage
    }

    /// A slice without contents was part of the picture before and after it, or all that there is
    /// of another picture.
    fn settle_stray_slice(
        &mut self,
        in_picture: bool,
        complete: &mut VecDeque<AccessUnit>,
        begun: &mut usize,
    ) {
        if !mem::take(&mut self.has_stray_slice) {
            return;
        }
        if in_picture {
            self.current.corrupted = true;
            return;
        }
        *begun += 1;
        complete.push_back(AccessUnit {
            parts: Vec::new(),
            idr: false,
            recovery_point: None,
            order: None,
            frame_number: None,
            intra: false,
            sps_id: 0,
            integrity: Integrity::Undecodable,
            after_loss: mem::replace(&mut self.lost, true),
        });
    }

    /// Adds any other NAL unit, or returns the damage because of which it is left out.
    fn add_other(
        &mut self,
        nal_unit_type: u8,
        nal: Bytes,
        start: usize,
        piece: &mut Piece,
    ) -> Option<Damage> {
        if has_forbidden_bit(&nal) {
            return Some(Damage::ForbiddenBit);
        }
        if self.sets.put(&nal).is_err() {
            return Some(Damage::BrokenParameterSet);
        }
        // AUD (9), SPS (7), PPS (8), SEI (6) and types 14 to 18 after the last VCL NAL unit of a
        // primary coded picture begin an access unit; but type 14 comes before each slice, too.
        if self.current.picture.is_some()
            && self.ahead.is_none()
            && matches!(nal_unit_type, 6..=9 | 14..=18)
        {
            let before = piece.take_until(start);
            self.put(before);
            self.ahead = Some(Ahead::default());
        }
        self.current.has_lead |= self.current.picture.is_none();
        let (sets, recovery_point) = match &mut self.ahead {
            Some(ahead) => {
                ahead.begins_picture |= matches!(nal_unit_type, 6..=9 | 15..=18);
                (&mut ahead.sets, &mut ahead.recovery_point)
            }
            None => (&mut self.current.sets, &mut self.current.recovery_point),
        };
        match nal_unit_type {
            nal_type::SPS | nal_type::PPS => {
                self.has_sets[usize::from(nal_unit_type == nal_type::PPS)] = true;
                self.held += nal.len() + PART_BYTES;
                sets.push(Bytes::copy_from_slice(&nal));
            }
            nal_type::SEI => {
                *recovery_point = recovery_point.or_else(|| sei::recovery_frame_count(&nal));
            }
            nal_type::END_OF_SEQUENCE | nal_type::END_OF_STREAM => {
                self.current.sequence_ended = self.current.picture.is_some();
            }
            _ => {}
        }
        None
    }

    /// Appends bytes to the unfinished access unit.
    fn put(&mut self, part: Chunk) {
        let parts = match &mut self.ahead {
            Some(ahead) => &mut ahead.parts,
            None => &mut self.current.parts,
        };
        if !part.is_empty() {
            self.held += part.len() + PART_BYTES;
            parts.push(part);
        }
    }

    /// Adds the NAL units ahead to the current unit.
    fn take_ahead(&mut self) {
        self.is_next_before = false;
        if let Some(ahead) = self.ahead.take() {
            self.current.parts.extend(ahead.parts);
        }
    }

    /// Completes the current access unit. The NAL units ahead begin the next one.
    fn complete(&mut self, complete: &mut VecDeque<AccessUnit>) {
        let has_lead = self.ahead.is_some();
        let ahead = self.ahead.take().unwrap_or_default();
        let next = Unfinished {
            has_lead,
            parts: ahead.parts,
            sets: ahead.sets,
            recovery_point: ahead.recovery_point,
            ..Default::default()
        };
        self.held = cost(&next.parts) + cost(&next.sets);
        let mut done = mem::replace(&mut self.current, next);
        let integrity = match (&done.order, done.corrupted) {
            (None, _) => Integrity::Undecodable,
            (Some(_), true) => Integrity::Corrupted,
            (Some(_), false) => Integrity::Whole,
        };
        if integrity == Integrity::Undecodable {
            done.sets.iter().for_each(|nal| self.orphans.put(nal));
            done.parts.clear();
            self.lost |=
                done.after_loss || done.picture.is_some_and(|picture| picture.is_reference());
        } else if !self.orphans.is_empty() {
            let sets = mem::take(&mut self.orphans);
            insert_sets(&mut done.parts, &sets);
        }
        complete.push_back(AccessUnit {
            parts: done.parts,
            idr: done.idr,
            recovery_point: done.recovery_point,
            order: done.order.map(|order| PictureOrder {
                begins_group: order.begins_group || done.recovery_point.is_some(),
                ..order
            }),
            frame_number: done.frame_number,
            intra: !done.predicted,
            sps_id: done.sps_id,
            integrity,
            after_loss: done.after_loss,
        });
    }

    /// Copies a small part of a record that would pin much memory while it waits for the next one.
    fn release_memory_of(&mut self, pieces: &[Bytes]) {
        let size: usize = pieces.iter().map(Bytes::len).sum();
        let memory = pieces.iter().rev().map(|piece| piece.as_ptr_range());
        let mut memory = memory.peekable();
        // The parts are in the order of the pieces.
        let mut is_new = |part: &Chunk| {
            while (memory.next_if(|piece| !piece.contains(&part.as_ptr()))).is_some() {}
            memory.peek().is_some()
        };
        let ahead = self.ahead.as_mut().map(|ahead| &mut ahead.parts);
        for parts in [ahead, Some(&mut self.current.parts)].into_iter().flatten() {
            let new = (parts.iter_mut().rev()).take_while(|part| is_new(part));
            for part in new.filter(|part| part.len() < size / PIN_RATIO) {
                part.detach();
            }
        }
    }

    /// Drops a lost picture except for its parameter sets.
    fn orphan(&mut self) {
        self.held = 0;
        let lost = mem::take(&mut self.current);
        lost.sets.iter().for_each(|nal| self.orphans.put(nal));
    }

    /// Drops the unfinished access unit. A picture still counts.
    fn abandon(&mut self, complete: &mut VecDeque<AccessUnit>) {
        self.ahead = None;
        self.current.order = None;
        if self.current.picture.is_some() {
            self.complete(complete);
        }
        self.current = Unfinished::default();
        self.held = 0;
    }
}

impl Unfinished {
    /// The first slice of its first picture.
    fn begin(&mut self, slice: Slice, after_loss: bool) {
        let picture = Picture::new(slice);
        self.idr = picture.is_idr();
        self.after_loss = after_loss;
        self.picture = Some(picture);
    }

    fn add_order(&mut self, order: PictureOrder) {
        match &mut self.order {
            Some(first) => first.count = first.count.min(order.count),
            None => self.order = Some(order),
        }
    }
}

/// Inserts sets at the begin of an access unit in parts.
pub fn insert_parameter_sets(parts: &mut Vec<Bytes>, sets: &ParameterSets) {
    if !sets.is_empty() {
        insert_after_delimiter(parts, sets.to_byte_stream().into());
    }
}

/// Inserts sets at the begin of an access unit in chunks.
fn insert_sets(parts: &mut Vec<Chunk>, sets: &ParameterSets) {
    if sets.is_empty() {
        return;
    }
    let (mut at, start) = after_delimiter(parts);
    if start > 0 {
        let after = parts[at].split_off(start);
        at += 1;
        parts.insert(at, after);
    }
    parts.insert(at, Chunk::new(sets.to_byte_stream().into()));
}

/// Inserts `sets` at the begin of an access unit, where only a delimiter can be before them
/// (7.4.1.2.3).
fn insert_after_delimiter(parts: &mut Vec<Bytes>, sets: Bytes) {
    let (mut at, start) = after_delimiter(parts);
    if start > 0 {
        let after = parts[at].split_off(start);
        at += 1;
        parts.insert(at, after);
    }
    parts.insert(at, sets);
}

/// Returns the part, and the place in it, where what comes after a delimiter begins. Zeros may be a part of their
/// own.
fn after_delimiter(parts: &[impl Deref<Target = [u8]>]) -> (usize, usize) {
    let mut units = parts.iter().enumerate().flat_map(|(nth, part)| {
        annexb::nal_units(part).map(move |NalUnit { start, bytes }| (nth, start, part[bytes.start]))
    });
    match units.next() {
        Some((_, _, header)) if nal_unit_type(header) == nal_type::DELIMITER => {
            let next = units.next();
            next.map_or((parts.len(), 0), |(nth, start, _)| (nth, start))
        }
        _ => (0, 0),
    }
}

fn cost(parts: &[impl Deref<Target = [u8]>]) -> usize {
    parts.iter().map(|part| part.len() + PART_BYTES).sum()
}

fn has_forbidden_bit(nal: &[u8]) -> bool {
    nal[0] & 0x80 != 0
}

#[cfg(test)]
mod tests;
