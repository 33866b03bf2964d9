// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Access units of a byte stream (ITU-T H.264, 7.4.1.2.3).

use std::collections::VecDeque;
use std::fmt;
use std::mem;

use bytes::Bytes;

use super::annexb::{self, NalUnit};
use super::parameter_sets::{Decoded, ParameterSets};
use super::picture::{Picture, Slice};
use super::picture_order::{PictureOrder, PictureOrderCounter};
use super::slice::SliceError;
use super::sps::VuiFrameRate;
use super::{avc, nal_type, nal_unit_type, sei};

/// The bytes that one access unit may have. No level allows as many (A.3.1 j).
const MAX_BYTES: usize = 128 << 20;
/// What a part costs besides its bytes: many small ones count as well.
const PART_BYTES: usize = 128;
/// A part that waits for the next piece may keep so many times its bytes in memory.
const PIN_RATIO: usize = 16;

/// One frame: a primary coded picture and all that belongs to it, or the two of a complementary
/// field pair.
#[derive(Debug)]
pub struct AccessUnit {
    /// The bytes of the stream, start codes included. One part for each record that has some of
    /// it; the parts share the records' memory.
    pub parts: Vec<Bytes>,
    /// The picture is an IDR picture: decoding can start here.
    pub idr: bool,
    /// `recovery_frame_cnt`, if decoding can also start here, but some pictures are not correct.
    pub recovery_point: Option<u32>,
    /// Its place in output order; `None` if it is [undecodable](Integrity::Undecodable).
    pub order: Option<PictureOrder>,
    /// The SPS that it refers to.
    pub sps_id: u8,
    pub integrity: Integrity,
    /// Pictures before it are missing that others may refer to.
    pub after_loss: bool,
}

/// How much there is of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    Whole,
    /// Slices that could not be read are left out.
    Corrupted,
    /// No slice could be read: the access unit has no bytes.
    Undecodable,
}

/// What is wrong with a piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A slice comes before any parameter sets.
    NoParameterSets,
    /// A slice refers to this PPS, which is not there, or has no SPS.
    UnknownParameterSet(u8),
    /// A slice header is cut short or has values that do not exist.
    BrokenSlice,
    /// The same of a parameter set.
    BrokenParameterSet,
    /// A NAL unit has its `forbidden_zero_bit` set.
    ForbiddenBit,
    /// There are lengths before the NAL units instead of start codes.
    LengthPrefixed,
    /// There is no start code at the begin.
    NotByteStream,
    /// An access unit does not end.
    TooLarge,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoParameterSets => f.write_str("it has slices before any SPS and PPS"),
            Self::UnknownParameterSet(id) => {
                write!(
                    f,
                    "a slice refers to PPS {id}, which is not there or lacks its SPS"
                )
            }
            Self::BrokenSlice => f.write_str("a slice is cut short or broken"),
            Self::BrokenParameterSet => f.write_str("an SPS or PPS is cut short or broken"),
            Self::ForbiddenBit => f.write_str("a NAL unit has its forbidden bit set"),
            Self::LengthPrefixed => f.write_str(
                "its NAL units are length-prefixed (AVCC, as in MP4), not in Annex B format",
            ),
            Self::NotByteStream => f.write_str(
                "it is not H.264 in Annex B format: it does not begin with a start code",
            ),
            Self::TooLarge => write!(f, "an access unit has more than {MAX_BYTES} bytes"),
        }
    }
}

/// What a piece of a stream brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The access units that begin in it.
    pub begun: usize,
    /// It has slices of the access unit that began before it.
    pub continues: bool,
    /// It begins the second field of a frame.
    pub completes_pair: bool,
    /// The first thing that was wrong with it.
    pub damage: Option<Damage>,
}

/// Cuts a byte stream, which comes in pieces of whole NAL units, into access units.
///
/// An access unit is complete when the next one begins, so that the last one comes out of
/// [`finish`](Self::finish). What cannot be read is left out and told; no other byte of the stream
/// gets lost, none is copied.
#[derive(Debug, Default)]
pub struct AccessUnitSplitter {
    sets: Decoded,
    order: PictureOrderCounter,
    current: Unfinished,
    /// NAL units after a slice that come before the next one: part of `current` or of the unit
    /// after it, as the next slice tells.
    ahead: Option<Ahead>,
    /// Something is missing before the next access unit.
    lost: bool,
    /// A slice of which there is no more than its header came last.
    has_stray_slice: bool,
    /// What the parts in the making cost.
    held: usize,
    /// Parameter sets of undecodable access units, for the next one that is not.
    orphans: ParameterSets,
    vui_frame_rate: Option<VuiFrameRate>,
}

#[derive(Debug, Default)]
struct Unfinished {
    parts: Vec<Bytes>,
    /// Its parameter sets.
    sets: Vec<Bytes>,
    recovery_point: Option<u32>,
    picture: Option<Picture>,
    order: Option<PictureOrder>,
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
    parts: Vec<Bytes>,
    sets: Vec<Bytes>,
    recovery_point: Option<u32>,
    /// They say that a primary coded picture is complete.
    begins_picture: bool,
}

/// Where a slice belongs.
enum Place {
    SamePicture,
    SecondField,
    NextUnit,
}

/// Takes a piece of the stream apart, from its begin to its end.
struct Piece<'a> {
    data: &'a Bytes,
    taken: usize,
    leaving_out: bool,
}

impl Piece<'_> {
    /// A NAL unit begins.
    fn begin(&mut self, start: usize) {
        if mem::take(&mut self.leaving_out) {
            self.taken = start;
        }
    }

    /// What is not taken yet, up to `end`.
    fn take_until(&mut self, end: usize) -> Bytes {
        let part = self.data.slice(self.taken..end);
        self.taken = end;
        part
    }

    fn take_rest(&mut self) -> Bytes {
        self.begin(self.data.len());
        self.take_until(self.data.len())
    }
}

impl AccessUnitSplitter {
    /// Takes the next piece of the stream and appends the access units that it completes to
    /// `complete`.
    pub fn push(&mut self, data: &Bytes, complete: &mut VecDeque<AccessUnit>) -> Pushed {
        let mut pushed = Pushed {
            damage: self.format_damage(data),
            ..Default::default()
        };
        if pushed.damage.is_some() {
            self.lose();
            return pushed;
        }
        let mut piece = Piece {
            data,
            taken: 0,
            leaving_out: false,
        };
        for NalUnit { start, bytes } in annexb::nal_units(data) {
            piece.begin(start);
            let nal = data.slice(bytes);
            let damage = match nal_unit_type(nal[0]) {
                nal_type::SLICE | nal_type::SLICE_PARTITION_A | nal_type::SLICE_IDR => {
                    self.add_slice(&nal, start, &mut piece, complete, &mut pushed)
                }
                other => self.add_other(other, nal, start, &mut piece),
            };
            if damage.is_some() {
                let before = piece.take_until(start);
                self.put(before);
                piece.leaving_out = true;
            }
            pushed.damage = pushed.damage.or(damage);
        }
        self.put(piece.take_rest());
        if self.has_stray_slice {
            // A piece that has other slices was cut off within its last picture.
            let in_picture = pushed.begun > 0 || pushed.continues;
            match self.current.picture {
                _ if in_picture => {}
                Some(_) => self.complete(complete),
                None => self.orphan(),
            }
            self.settle_stray_slice(in_picture, complete, &mut pushed.begun);
        }
        self.release_memory_of(data);
        if self.held > MAX_BYTES {
            pushed.damage = pushed.damage.or(Some(Damage::TooLarge));
            self.abandon(complete);
        }
        pushed
    }

    /// Takes over a parameter set that is not in the stream.
    pub fn put_parameter_set(&mut self, nal: &[u8]) {
        // A broken one is as good as none.
        let _ = self.sets.put(nal);
    }

    /// A piece of the stream is missing.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Takes over parameter sets that come from elsewhere. The next access unit gets them.
    pub fn adopt(&mut self, sets: ParameterSets) {
        sets.iter().for_each(|nal| self.put_parameter_set(nal));
        self.orphans.fill_from(sets);
    }

    /// What follows is not part of the last access unit.
    pub fn end_run(&mut self, complete: &mut VecDeque<AccessUnit>) {
        if self.current.picture.is_some() {
            self.complete(complete);
        }
    }

    /// The piece of the stream ends with an access unit: it is complete, unless it is the first
    /// field of a frame.
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

    /// Ends the stream: appends the last access unit, and gives the number of bytes after it that
    /// belong to none.
    pub fn finish(&mut self, complete: &mut VecDeque<AccessUnit>) -> usize {
        self.end_run(complete);
        self.held = 0;
        let rest = mem::take(&mut self.current).parts;
        rest.iter().map(Bytes::len).sum()
    }

    /// Whether a slice in `data` comes before any parameter sets.
    pub fn lacks_parameter_sets(&self, data: &Bytes) -> bool {
        let mut sets = [false; 2];
        !self.sets.has_active()
            && self.format_damage(data).is_none()
            && annexb::nal_units(data)
                .find_map(|nal| match nal_unit_type(data[nal.bytes.start]) {
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

    /// The frame rate of the SPS that the last picture refers to, if its VUI has one.
    pub fn vui_frame_rate(&self) -> Option<VuiFrameRate> {
        self.vui_frame_rate
    }

    /// Whether `data` is a byte stream, if there is anything in it.
    fn format_damage(&self, data: &[u8]) -> Option<Damage> {
        let begins = annexb::begins_with_start_code(data);
        // Where a byte stream goes on, what may be a length is a start code.
        if !(begins && self.sets.has_active()) && avc::is_length_prefixed(data) {
            Some(Damage::LengthPrefixed)
        } else if begins || data.iter().all(|byte| *byte == 0) {
            None
        } else {
            Some(Damage::NotByteStream)
        }
    }

    /// Adds the slice `nal`, which begins at `start` with its start code, or tells why it is to be
    /// left out.
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
        if let Some(header) = header
            && let Some((sps, _)) = self.sets.active(header.pps_id)
        {
            self.vui_frame_rate = sps.vui.frame_rate;
            self.current.sps_id = sps.id;
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
            sps_id: 0,
            integrity: Integrity::Undecodable,
            after_loss: mem::replace(&mut self.lost, true),
        });
    }

    /// Adds any other NAL unit, or tells why it is to be left out.
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
        let (sets, recovery_point) = match &mut self.ahead {
            Some(ahead) => {
                ahead.begins_picture |= matches!(nal_unit_type, 6..=9 | 15..=18);
                (&mut ahead.sets, &mut ahead.recovery_point)
            }
            None => (&mut self.current.sets, &mut self.current.recovery_point),
        };
        match nal_unit_type {
            nal_type::SPS | nal_type::PPS => {
                self.held += nal.len();
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

    /// Appends bytes to what is in the making.
    fn put(&mut self, part: Bytes) {
        let parts = match &mut self.ahead {
            Some(ahead) => &mut ahead.parts,
            None => &mut self.current.parts,
        };
        if !part.is_empty() {
            self.held += part.len() + PART_BYTES;
            parts.push(part);
        }
    }

    /// What was ahead belongs to the current unit.
    fn take_ahead(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            self.current.parts.extend(ahead.parts);
        }
    }

    /// Completes the current access unit. What was ahead begins the next one.
    fn complete(&mut self, complete: &mut VecDeque<AccessUnit>) {
        let ahead = self.ahead.take().unwrap_or_default();
        let next = Unfinished {
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
            insert_after_delimiter(&mut done.parts, sets.to_byte_stream().into());
        }
        complete.push_back(AccessUnit {
            parts: done.parts,
            idr: done.idr,
            recovery_point: done.recovery_point,
            order: done.order,
            sps_id: done.sps_id,
            integrity,
            after_loss: done.after_loss,
        });
    }

    /// A small part of a record shall not keep all of it in memory while it waits for the next one.
    fn release_memory_of(&mut self, data: &Bytes) {
        let memory = data.as_ptr_range();
        let ahead = self.ahead.as_mut().map(|ahead| &mut ahead.parts);
        for parts in [Some(&mut self.current.parts), ahead].into_iter().flatten() {
            let new = (parts.iter_mut().rev()).take_while(|part| memory.contains(&part.as_ptr()));
            for part in new.filter(|part| part.len() < data.len() / PIN_RATIO) {
                *part = Bytes::copy_from_slice(part);
            }
        }
    }

    /// What came for a picture that is lost: only its parameter sets stay.
    fn orphan(&mut self) {
        self.held = 0;
        let lost = mem::take(&mut self.current);
        lost.sets.iter().for_each(|nal| self.orphans.put(nal));
    }

    /// Drops what is in the making. A picture still counts.
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

/// Inserts `sets` at the begin of an access unit, where only a delimiter can be before them
/// (7.4.1.2.3).
fn insert_after_delimiter(parts: &mut Vec<Bytes>, sets: Bytes) {
    let mut at = 0;
    if let Some(first) = parts.first().cloned() {
        let mut units = annexb::nal_units(&first);
        let is_delimiter =
            |nal: NalUnit| nal_unit_type(first[nal.bytes.start]) == nal_type::DELIMITER;
        if units.next().is_some_and(is_delimiter) {
            let end = units.next().map_or(first.len(), |next| next.start);
            at = 1;
            if end < first.len() {
                parts[0] = first.slice(..end);
                parts.insert(1, first.slice(end..));
            }
        }
    }
    parts.insert(at, sets);
}

fn cost(parts: &[Bytes]) -> usize {
    parts.iter().map(|part| part.len() + PART_BYTES).sum()
}

fn has_forbidden_bit(nal: &[u8]) -> bool {
    nal[0] & 0x80 != 0
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        AUD, END_OF_SEQUENCE, FILLER, Header, IDR, P, PREFIX, SEI, SPS, SpsSpec, pps, record,
        recovery_point, slice, sps,
    };
    use super::*;

    /// The number of NAL units in each access unit of `records`.
    fn split(records: &[Bytes]) -> Vec<usize> {
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let mut pictures = 0;
        for record in records {
            pictures += splitter.push(record, &mut units).begun;
        }
        splitter.finish(&mut units);
        assert_eq!(pictures, units.len());
        let count = |unit: AccessUnit| annexb::nal_units(&unit.parts.concat()).count();
        units.into_iter().map(count).collect()
    }

    /// The units of one stream do not depend on which records it is cut into.
    fn assert_units(nals: &[&[u8]], expected: &[usize]) {
        assert_eq!(split(&[record(nals)]), expected, "one record");
        let each: Vec<_> = nals.iter().map(|nal| record(&[nal])).collect();
        assert_eq!(split(&each), expected, "one NAL unit a record");
        for at in 1..nals.len() {
            let (a, b) = nals.split_at(at);
            assert_eq!(split(&[record(a), record(b)]), expected, "cut at {at}");
        }
    }

    #[test]
    fn pictures_differ_by_their_slice_headers() {
        let (sps, pps0, pps1) = (sps(SPS), pps(0), pps(1));
        let variants = [
            ("frame_num", Header { frame_num: 2, ..P }),
            ("pic_parameter_set_id", Header { pps: 1, ..P }),
            ("nal_ref_idc", Header { nal: 0x01, ..P }),
            ("pic_order_cnt_lsb", Header { order: 4, ..P }),
        ];
        let part = slice(Header {
            first_macroblock: 4,
            ..P
        });
        for (what, other) in variants {
            let other = slice(Header {
                first_macroblock: 4,
                ..other
            });
            let p = slice(P);
            let nals: [&[u8]; 6] = [&sps, &pps0, &pps1, &p, &part, &other];
            assert_eq!(split(&[record(&nals)]), [5, 1], "{what}");
        }
        let idr = |idr_pic_id| {
            slice(Header {
                idr_pic_id,
                first_macroblock: 4,
                ..IDR
            })
        };
        assert_units(&[&sps, &pps0, &idr(0), &idr(1), &part], &[3, 1, 1]);
    }

    #[test]
    fn slices_of_a_picture_stay_together() {
        let (sps, pps) = (sps(SPS), pps(0));
        let at = |first_macroblock| {
            slice(Header {
                first_macroblock,
                ..IDR
            })
        };
        let p = slice(P);
        assert_units(&[&sps, &pps, &at(0), &at(4), &at(8), &at(12), &p], &[6, 1]);
        // Arbitrary slice order.
        assert_units(&[&sps, &pps, &at(8), &at(0), &at(4), &p], &[5, 1]);
    }

    #[test]
    fn nal_units_before_a_picture_belong_to_it() {
        let (sps, pps) = (sps(SPS), pps(0));
        let (idr, p) = (slice(IDR), slice(P));
        assert_units(&[AUD, &sps, &pps, SEI, &idr, AUD, SEI, &p], &[5, 3]);
        assert_units(&[&sps, &pps, &idr, &sps, &pps, &idr], &[3, 3]);
        assert_units(&[&sps, &pps, &idr, SEI, &p], &[3, 2]);
    }

    #[test]
    fn filler_belongs_to_the_picture_before() {
        let (sps, pps) = (sps(SPS), pps(0));
        assert_units(&[&sps, &pps, &slice(IDR), FILLER, &slice(P)], &[4, 1]);
    }

    #[test]
    fn after_the_end_of_a_sequence_another_unit_begins() {
        let (sps, pps) = (sps(SPS), pps(0));
        let part = slice(Header {
            first_macroblock: 4,
            ..IDR
        });
        assert_units(&[&sps, &pps, &slice(IDR), END_OF_SEQUENCE, &part], &[4, 1]);
    }

    #[test]
    fn prefix_nal_units_go_with_their_slice() {
        let (sps, pps) = (sps(SPS), pps(0));
        let part = slice(Header {
            first_macroblock: 4,
            ..IDR
        });
        let (idr, p) = (slice(IDR), slice(P));
        assert_units(
            &[&sps, &pps, PREFIX, &idr, PREFIX, &part, PREFIX, &p],
            &[6, 2],
        );
    }

    #[test]
    fn redundant_pictures_are_no_pictures() {
        let (sps, pps) = (sps(SPS), pps(0));
        let redundant = slice(Header {
            redundant: 1,
            ..IDR
        });
        assert_units(&[&sps, &pps, &slice(IDR), &redundant, &slice(P)], &[4, 1]);
    }

    #[test]
    fn idr_pictures_with_one_id_are_told_apart() {
        let (sps, pps, idr) = (sps(SPS), pps(0), slice(IDR));
        assert_units(&[&sps, &pps, &idr, &idr, &idr], &[3, 1, 1]);
    }

    /// The access units of `records`, and the damage of each record.
    fn read(records: &[Bytes]) -> (Vec<AccessUnit>, Vec<Option<Damage>>) {
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let push = |record| splitter.push(record, &mut units).damage;
        let damage = records.iter().map(push).collect();
        splitter.finish(&mut units);
        (units.into(), damage)
    }

    #[test]
    fn without_parameter_sets_macroblocks_tell() {
        let part = slice(Header {
            first_macroblock: 4,
            ..P
        });
        let p = slice(P);
        let (units, damage) = read(&[record(&[&p, &part, &p, &part, &slice(IDR)])]);
        assert_eq!(damage, [Some(Damage::NoParameterSets)]);
        let undecodable = |unit: &AccessUnit| unit.integrity == Integrity::Undecodable;
        assert_eq!(units.len(), 3);
        assert!(units.iter().all(undecodable));
    }

    #[test]
    fn two_fields_are_one_unit() {
        let spec = SpsSpec {
            interlaced: true,
            ..SPS
        };
        let field = |header: Header, bottom, order| {
            slice(Header {
                sps: spec,
                bottom_field: Some(bottom),
                order,
                ..header
            })
        };
        let (sps, pps) = (sps(spec), pps(0));
        let idr = field(IDR, false, 0);
        // The second field of an IDR picture is none.
        let second = field(Header { frame_num: 0, ..P }, true, 1);
        let (top, bottom) = (field(P, false, 2), field(P, true, 3));
        assert_units(&[&sps, &pps, &idr, &second, &top, &bottom], &[4, 2]);
        assert_units(
            &[
                AUD, &sps, &pps, &idr, AUD, SEI, &second, AUD, &top, AUD, &bottom,
            ],
            &[7, 4],
        );
        // Bottom field first, and a field that stays alone.
        assert_units(
            &[&sps, &pps, &bottom, &top, &idr, &top, &bottom],
            &[4, 1, 2],
        );
        let frame = slice(Header { sps: spec, ..P });
        assert_units(
            &[&sps, &pps, &idr, &second, &frame, &top, &bottom],
            &[4, 1, 2],
        );
        // Of a pair, both are reference pictures or none is.
        let other = field(Header { nal: 1, ..P }, true, 3);
        assert_units(&[&sps, &pps, &idr, &second, &top, &other], &[4, 1, 1]);
    }

    #[test]
    fn ends_of_units_that_are_known() {
        let spec = SpsSpec {
            interlaced: true,
            ..SPS
        };
        let field = |bottom| {
            let bottom_field = Some(bottom);
            slice(Header {
                sps: spec,
                bottom_field,
                ..P
            })
        };
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let frame = slice(Header { sps: spec, ..IDR });
        let mut complete = |nals: &[&[u8]]| {
            splitter.push(&record(nals), &mut units);
            splitter.end_access_unit(&mut units);
            units.len()
        };
        assert_eq!(complete(&[&sps(spec), &pps(0), &frame]), 1);
        assert_eq!(complete(&[AUD, &field(false)]), 1);
        assert_eq!(complete(&[AUD, &field(true)]), 2);
        assert_eq!(complete(&[SEI]), 2);
        assert_eq!(complete(&[&frame]), 3);
    }

    #[test]
    fn recovery_points() {
        let p = slice(P);
        let stream = [
            &sps(SPS)[..],
            &pps(0),
            &slice(IDR),
            SEI,
            &recovery_point(3),
            &p,
        ];
        let (units, _) = read(&[record(&stream)]);
        let recovery: Vec<_> = units.iter().map(|unit| unit.recovery_point).collect();
        assert_eq!(recovery, [None, Some(3)]);
    }

    #[test]
    fn what_is_broken_is_left_out_and_told() {
        let (sps, pps, idr, p) = (sps(SPS), pps(0), slice(IDR), slice(P));
        let next = slice(Header { frame_num: 2, ..P });
        let unknown = slice(Header { pps: 7, ..P });
        let forbidden = [&[0x80 | p[0]], &p[1..]].concat();
        let broken: [(&[u8], Damage); 3] = [
            (&unknown, Damage::UnknownParameterSet(7)),
            (&p[..2], Damage::BrokenSlice),
            (&forbidden, Damage::ForbiddenBit),
        ];
        for (slice, expected) in broken {
            let records = [
                record(&[&sps, &pps, &idr]),
                record(&[SEI, slice]),
                record(&[&next]),
            ];
            let (units, damage) = read(&records);
            assert_eq!(damage, [None, Some(expected), None]);
            let integrity: Vec<_> = units.iter().map(|unit| unit.integrity).collect();
            let whole = Integrity::Whole;
            assert_eq!(
                integrity,
                [whole, Integrity::Undecodable, whole],
                "{expected:?}"
            );
            let loss: Vec<_> = units.iter().map(|unit| unit.after_loss).collect();
            assert_eq!(loss, [false, false, true]);
            assert_eq!(units[2].parts.concat(), records[2]);
        }
    }

    #[test]
    fn a_unit_that_lacks_a_slice_is_corrupted() {
        let (sps, pps) = (sps(SPS), pps(0));
        let part = |first_macroblock| {
            slice(Header {
                first_macroblock,
                ..IDR
            })
        };
        let cut = &part(8)[..2];
        let (units, damage) = read(&[record(&[&sps, &pps, &part(0), cut, &part(12)])]);
        assert_eq!(damage, [Some(Damage::BrokenSlice)]);
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].integrity, Integrity::Corrupted);
        let expected = record(&[&sps, &pps, &part(0), &part(12)]);
        assert_eq!(units[0].parts.concat(), expected);
    }

    #[test]
    fn a_slice_without_contents_is_a_picture_or_a_part_of_one() {
        let (sps, pps) = (sps(SPS), pps(0));
        let part = |first_macroblock| {
            slice(Header {
                first_macroblock,
                ..IDR
            })
        };
        let p = slice(P);
        let next = slice(Header { frame_num: 2, ..P });
        let integrity = |records: &[Bytes]| -> Vec<_> {
            let units = read(records).0.into_iter();
            units.map(|unit| unit.integrity).collect()
        };
        let (whole, lost) = (Integrity::Whole, Integrity::Undecodable);
        let stream = record(&[&sps, &pps, &part(0), &[0x65], &part(8)]);
        assert_eq!(integrity(&[stream]), [Integrity::Corrupted]);
        let stream = record(&[&sps, &pps, &part(0), &[0x41], &next]);
        assert_eq!(integrity(&[stream]), [whole, lost, whole]);
        let records = [
            record(&[&sps, &pps, &part(0)]),
            record(&[&[0x41]]),
            record(&[&p]),
        ];
        assert_eq!(integrity(&records), [whole, lost, whole]);
        assert_eq!(
            integrity(&[record(&[&[0x41]]), records[0].clone()]),
            [lost, whole]
        );
    }

    #[test]
    fn parameter_sets_of_a_lost_picture_stay() {
        let (sps, pps, idr) = (sps(SPS), pps(0), slice(IDR));
        let records = [record(&[AUD, &sps, &pps, &idr[..1]]), record(&[&slice(P)])];
        let (units, _) = read(&records);
        let expected = record(&[&sps, &pps, &slice(P)]);
        assert_eq!(units[1].parts.concat(), expected);
    }

    #[test]
    fn a_lost_record_is_a_loss() {
        let (sps, pps, idr) = (sps(SPS), pps(0), slice(IDR));
        let records = [
            record(&[&sps, &pps, &idr]),
            Bytes::from_static(b"{}"),
            record(&[&slice(P)]),
        ];
        let (units, damage) = read(&records);
        assert_eq!(damage, [None, Some(Damage::NotByteStream), None]);
        let loss: Vec<_> = units.iter().map(|unit| unit.after_loss).collect();
        assert_eq!(loss, [false, true]);
    }

    #[test]
    fn an_access_unit_ends_at_some_time() {
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let filler = record(&[&vec![12; 1 << 20]]);
        splitter.push(&record(&[&sps(SPS), &pps(0), &slice(IDR)]), &mut units);
        let told = (0..200).find_map(|_| splitter.push(&filler, &mut units).damage);
        assert_eq!(told, Some(Damage::TooLarge));
        assert!(splitter.held <= MAX_BYTES);
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].integrity, Integrity::Undecodable);
    }

    #[test]
    fn small_parts_count_as_well() {
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let told = (0..).find_map(|parts| {
            let damage = splitter.push(&record(&[SEI]), &mut units).damage;
            damage.map(|_| parts)
        });
        assert!(told < Some(MAX_BYTES / PART_BYTES), "{told:?}");
        assert_eq!(splitter.finish(&mut units), 0);
    }

    #[test]
    fn a_small_part_does_not_keep_its_record() {
        let forbidden = [&[0x81], &[1; 1 << 20][..]].concat();
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        let data = record(&[SEI, &forbidden]);
        splitter.push(&data, &mut units);
        // Nobody else has it.
        assert!(data.try_into_mut().is_ok());
    }

    #[test]
    fn a_loss_is_told_after_lost_pictures() {
        let (sps, pps, idr) = (sps(SPS), pps(0), slice(IDR));
        let unknown = slice(Header {
            nal: 1,
            pps: 7,
            ..P
        });
        let records = [
            record(&[&sps, &pps, &idr]),
            Bytes::from_static(b"{}"),
            record(&[&unknown]),
            record(&[&slice(P)]),
        ];
        let loss: Vec<_> = read(&records)
            .0
            .iter()
            .map(|unit| unit.after_loss)
            .collect();
        assert_eq!(loss, [false, true, true]);
    }

    #[test]
    fn a_record_that_is_cut_off_in_a_slice() {
        let record = record(&[&sps(SPS), &pps(0), &slice(IDR), &[0x65]]);
        let (units, _) = read(&[record]);
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].integrity, Integrity::Corrupted);
    }

    #[test]
    fn redundant_slices_may_have_other_parameter_sets() {
        let redundant = slice(Header {
            redundant: 1,
            pps: 1,
            ..IDR
        });
        let (sps, pps0, pps1) = (sps(SPS), pps(0), pps(1));
        let part = slice(Header {
            first_macroblock: 4,
            ..IDR
        });
        let nals: [&[u8]; 7] = [
            &sps,
            &pps0,
            &pps1,
            &slice(IDR),
            &redundant,
            &part,
            &slice(P),
        ];
        assert_units(&nals, &[6, 1]);
    }

    #[test]
    fn after_a_first_field_that_resets_the_order_frame_num_is_0() {
        let spec = SpsSpec {
            interlaced: true,
            ..SPS
        };
        let field = |bottom, frame_num, resets_order| {
            slice(Header {
                sps: spec,
                bottom_field: Some(bottom),
                frame_num,
                resets_order,
                ..P
            })
        };
        let (top, bottom) = (field(false, 3, true), field(true, 0, false));
        let idr = slice(Header { sps: spec, ..IDR });
        assert_units(&[&sps(spec), &pps(0), &idr, &top, &bottom], &[3, 2]);
    }

    #[test]
    fn sets_from_elsewhere_come_after_the_delimiter() {
        let mut sets = ParameterSets::default();
        sets.put(&sps(SPS));
        sets.put(&pps(0));
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        splitter.adopt(sets);
        splitter.push(&record(&[AUD, SEI, &slice(P)]), &mut units);
        splitter.finish(&mut units);
        let expected = record(&[AUD, &sps(SPS), &pps(0), SEI, &slice(P)]);
        assert_eq!(units[0].parts.concat(), expected);

        let mut parts = vec![record(&[AUD]), record(&[SEI])];
        insert_after_delimiter(&mut parts, record(&[&pps(0)]));
        assert_eq!(parts, [record(&[AUD]), record(&[&pps(0)]), record(&[SEI])]);
    }

    #[test]
    fn zeros_that_lack_emulation_prevention() {
        let p = [&slice(P)[..], &[0x55, 0, 0, 0, 0x55]].concat();
        let (units, damage) = read(&[record(&[&sps(SPS), &pps(0), &slice(IDR), &p])]);
        assert_eq!(damage, [None]);
        assert_eq!(units.len(), 2);
    }

    #[test]
    fn streams_that_are_joined() {
        let splitter = AccessUnitSplitter::default();
        let (sps, pps, idr, p) = (sps(SPS), pps(0), slice(IDR), slice(P));
        assert!(splitter.lacks_parameter_sets(&record(&[AUD, &p, &sps, &pps, &idr])));
        assert!(splitter.lacks_parameter_sets(&record(&[&sps, &idr])));
        assert!(!splitter.lacks_parameter_sets(&record(&[&sps, &pps, &idr])));
        assert!(!splitter.lacks_parameter_sets(&record(&[SEI])));
        assert!(!splitter.lacks_parameter_sets(&Bytes::from_static(b"{}")));
    }

    #[test]
    fn units_have_their_facts() {
        let stream = record(&[&sps(SPS), &pps(0), &slice(IDR), &slice(P)]);
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        splitter.push(&stream, &mut units);
        splitter.finish(&mut units);
        let idr: Vec<_> = units.iter().map(|unit| unit.idr).collect();
        assert_eq!(idr, [true, false]);
        assert!(units.iter().all(|unit| unit.integrity == Integrity::Whole));
        let counts = units.iter().map(|unit| unit.order.unwrap().count);
        assert_eq!(counts.collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn no_byte_gets_lost() {
        let (sps, pps, idr, p) = (sps(SPS), pps(0), slice(IDR), slice(P));
        let mut odd = vec![0, 0];
        odd.extend_from_slice(&record(&[&sps, &pps, &idr]));
        odd.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
        odd.extend_from_slice(&p);
        odd.extend_from_slice(&[0, 0, 0]);
        let records = [Bytes::from(odd), record(&[PREFIX, &p]), record(&[SEI])];
        let mut splitter = AccessUnitSplitter::default();
        let mut units = VecDeque::new();
        for record in &records {
            splitter.push(record, &mut units);
        }
        let rest = splitter.finish(&mut units);
        let mut bytes: Vec<u8> = units
            .into_iter()
            .flat_map(|unit| unit.parts.concat())
            .collect();
        assert_eq!(rest, records[2].len());
        bytes.extend_from_slice(&records[2]);
        assert_eq!(bytes, records.concat());
    }

    #[test]
    fn records_without_a_picture() {
        let (sps, pps, idr) = (sps(SPS), pps(0), slice(IDR));
        let records = [
            record(&[&sps]),
            Bytes::new(),
            record(&[&pps, SEI]),
            record(&[&idr]),
        ];
        assert_eq!(split(&records), [4]);
        assert!(split(&[record(&[&sps, &pps])]).is_empty());
    }

    #[test]
    fn other_formats() {
        let p = slice(P);
        let prefixed = |length: usize| [&(length as u32).to_be_bytes(), &p[..]].concat();
        let cases = [
            (b"\xff\xd8\xff\xe0".to_vec(), Some(Damage::NotByteStream)),
            (vec![0, 0, 0, 20, 0x67, 1], Some(Damage::NotByteStream)),
            (prefixed(p.len()), Some(Damage::LengthPrefixed)),
            (prefixed(p.len() + 1), Some(Damage::NotByteStream)),
            // A length that is a start code.
            (
                [&[0, 0, 1, 4][..], &[0x41; 260]].concat(),
                Some(Damage::LengthPrefixed),
            ),
            (vec![0, 0, 0], None),
        ];
        for (data, expected) in cases {
            let mut splitter = AccessUnitSplitter::default();
            let pushed = splitter.push(&data.clone().into(), &mut VecDeque::new());
            assert_eq!((pushed.begun, pushed.damage), (0, expected), "{data:?}");
        }
    }

    /// 00 00 01 41 is a start code and a header, and a length of 321 bytes.
    #[test]
    fn a_stream_that_goes_on_has_no_lengths() {
        let part = slice(Header {
            first_macroblock: 3,
            ..P
        });
        let mut record_of_part = [&[0, 0, 1][..], &part].concat();
        record_of_part.resize(4 + 321, 0xab);
        let record_of_part = Bytes::from(record_of_part);
        let start = record(&[&sps(SPS), &pps(0), &slice(P)]);
        let (units, damage) = read(&[start, record_of_part.clone()]);
        assert_eq!(damage, [None, None]);
        assert_eq!(units.len(), 1);
        let (_, damage) = read(&[record_of_part]);
        assert_eq!(damage, [Some(Damage::LengthPrefixed)]);
    }

    #[test]
    fn vui_has_the_frame_rate() {
        let rate_of = |frame_rate| {
            let stream = record(&[&sps(SpsSpec { frame_rate, ..SPS }), &pps(0), &slice(IDR)]);
            let mut splitter = AccessUnitSplitter::default();
            splitter.push(&stream, &mut VecDeque::new());
            splitter.vui_frame_rate()
        };
        let rate = VuiFrameRate {
            numerator: 60_000,
            denominator: 2002,
        };
        assert_eq!(rate_of(Some((60_000, 1001))), Some(rate));
        assert_eq!(rate_of(Some((60_000, 0))), None);
        assert_eq!(rate_of(None), None);
    }
}
