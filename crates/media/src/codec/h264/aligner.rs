// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records that end anywhere in a byte stream (ITU-T H.264, Annex B), made to end with NAL units.
//!
//! In order, records are one byte stream. Here each NAL unit becomes part of the record that has the
//! first byte of its start code, the rest of it in later records included. Only a NAL unit that is
//! cut is copied, each byte of it twice at most, however many records it is in.

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;

use super::continuation::{self, ContinuationEvidence};
use crate::codec::annexb::{
    START_CODE, begins_with_start_code, find_last_start_code, find_start_code, start_code_begin,
};
use crate::codec::chunks::{between_nal_units, joined, last_start};
use crate::codec::damage::{Damage, MAX_BYTES};

/// Largest number of zeros in a start code.
const CODE_ZEROS: usize = 3;
static ZEROS: [u8; CODE_ZEROS] = [0; CODE_ZEROS];

/// A record of whole NAL units.
#[derive(Debug)]
pub struct Aligned<R> {
    /// Tag of the record, as it was pushed.
    pub record: R,
    /// Its content, as [`between_nal_units`] returns it. Other content than a byte stream is unchanged.
    pub pieces: Vec<Bytes>,
    /// The end of its last NAL unit is missing.
    pub is_cut: bool,
    /// Damage because of which a part of its content was left out.
    pub damage: Option<Damage>,
    /// Something is missing after it.
    pub is_before_loss: bool,
}

/// Moves the ends of records to those of NAL units.
///
/// The last NAL unit of a record may continue in the next one. A record is therefore put out when the
/// next one is pushed, or by [`end_record`](Self::end_record).
#[derive(Debug)]
pub struct Aligner<R> {
    state: AlignerState<R>,
    evidence: ContinuationEvidence,
    /// Records before the first one, or before a loss, are missing.
    joined: bool,
}

#[derive(Debug)]
enum AlignerState<R> {
    /// The bytes before the next record are unknown: it may continue an unknown NAL unit.
    Unknown,
    /// The last record was put out as if its last NAL unit were complete. It ends with this many zeros.
    Ended { zeros: usize },
    /// The last NAL unit of a record may continue.
    Open(Open<R>),
}

#[derive(Debug)]
struct Open<R> {
    record: R,
    pieces: Vec<Bytes>,
    /// Bytes of later records that continue its last NAL unit.
    rest: Vec<u8>,
    /// The records that contain the zeros at the end of `rest`, one for each zero, at most as many as
    /// a start code can have.
    zeros: VecDeque<R>,
    /// It contains a start code, so that it ends with a NAL unit.
    has_nal_unit: bool,
    /// Header of that NAL unit, once it is known.
    header: Option<u8>,
    /// Without a start code, its content is the end of a NAL unit that is left out.
    is_left_out: bool,
}

impl<R: Clone> Aligner<R> {
    /// Returns an aligner. With `joined` the first record may begin in the middle of the stream.
    pub fn new(joined: bool) -> Self {
        Self {
            state: AlignerState::Unknown,
            evidence: ContinuationEvidence::default(),
            joined,
        }
    }

    /// Returns whether a record ended within a NAL unit or a start code.
    pub fn cuts_nal_units(&self) -> bool {
        self.evidence.cuts
    }

    /// Returns whether the last NAL unit of the last record may continue in the next one.
    pub fn is_open(&self) -> bool {
        matches!(self.state, AlignerState::Open(_))
    }

    /// Takes the next record and appends complete ones to `aligned`.
    pub fn push(&mut self, record: R, chunks: Vec<Bytes>, aligned: &mut VecDeque<Aligned<R>>) {
        let pieces = between_nal_units(chunks);
        if pieces.is_empty() {
            return;
        }
        if begins_with_start_code(pieces.iter().flatten()) {
            self.begin(record, pieces, aligned);
        } else {
            // No byte stream by itself is one piece.
            self.continue_with(record, joined(&pieces), aligned);
        }
        if let AlignerState::Open(open) = &mut self.state
            && open.rest.len() > MAX_BYTES
        {
            open.rest = Vec::new();
            self.close(true, Some(Damage::TooLarge), aligned);
        }
    }

    /// Ends the stream, or a part of it after which data `is_lost`. In the latter case the last one of
    /// `aligned` is marked.
    pub fn end(&mut self, is_lost: bool, aligned: &mut VecDeque<Aligned<R>>) {
        // Where records are whole, so is the last one.
        self.close(is_lost && self.evidence.cuts, None, aligned);
        self.joined |= is_lost;
        if let Some(last) = aligned.back_mut() {
            last.is_before_loss |= is_lost;
        }
    }

    /// Treats the last record as one that ends with a complete NAL unit.
    pub fn end_record(&mut self, aligned: &mut VecDeque<Aligned<R>>) {
        let zeros = match &self.state {
            AlignerState::Open(open) => open.trailing_zeros(),
            _ => return,
        };
        self.close(false, None, aligned);
        self.state = AlignerState::Ended { zeros };
    }

    /// Takes a record that begins with a start code.
    fn begin(&mut self, record: R, mut pieces: Vec<Bytes>, aligned: &mut VecDeque<Aligned<R>>) {
        if pieces[0].starts_with(START_CODE)
            && let AlignerState::Open(open) = &mut self.state
            && let zeros @ 1.. = open.trailing_zeros()
        {
            // The zero_byte of the start code. More zeros are rather the end of the record.
            self.evidence.cuts |= zeros == 1;
            open.strip_zeros(1);
            prepend_zeros(1, &mut pieces);
        }
        self.evidence.whole += usize::from(matches!(self.state, AlignerState::Open(_)));
        self.close(false, None, aligned);
        self.state = AlignerState::Open(Open::new(record, pieces));
    }

    /// Takes a record that does not begin with a complete start code.
    fn continue_with(&mut self, record: R, data: Bytes, aligned: &mut VecDeque<Aligned<R>>) {
        let leading_zeros = data.iter().take_while(|byte| **byte == 0).count();
        let is_zeros = leading_zeros == data.len();
        let before = match &self.state {
            AlignerState::Unknown => 0,
            AlignerState::Ended { zeros } => *zeros,
            AlignerState::Open(open) => open.trailing_zeros(),
        };
        if !is_zeros && data[leading_zeros] == 1 && before + leading_zeros >= 2 {
            return self.complete_start_code(record, data, leading_zeros, before, aligned);
        }
        if let AlignerState::Open(open) = &self.state
            && !is_zeros
            && !open.has_nal_unit
        {
            self.close(false, None, aligned);
        }
        let header = match &mut self.state {
            AlignerState::Open(open) => open.header(),
            _ => None,
        };
        let is_plausible = is_zeros || continuation::is_plausible(header, &data, self.evidence);
        let begin = first_start(&data);
        match &mut self.state {
            AlignerState::Open(open) if is_plausible => {
                self.evidence.cuts |= !is_zeros;
                open.extend(&data[..begin.unwrap_or(data.len())], &record);
            }
            AlignerState::Unknown | AlignerState::Ended { .. } if is_zeros => {
                self.state = AlignerState::Open(Open {
                    has_nal_unit: false,
                    ..Open::new(record, vec![data])
                });
                return;
            }
            AlignerState::Ended { .. } if is_plausible => {
                // The NAL unit that it continues was given out already.
                self.evidence.cuts = true;
                self.state = AlignerState::Unknown;
                aligned.push_back(Aligned {
                    record: record.clone(),
                    pieces: Vec::new(),
                    is_cut: false,
                    damage: Some(Damage::LateContinuation),
                    is_before_loss: true,
                });
            }
            // The begin of that NAL unit is missing: already reported, or expected at the begin of a range.
            AlignerState::Unknown
                if is_plausible && (begin.is_some() || self.joined || self.evidence.cuts) => {}
            _ => {
                self.close(self.evidence.cuts, None, aligned);
                self.state = AlignerState::Unknown;
                aligned.push_back(Aligned {
                    record,
                    pieces: vec![data],
                    is_cut: false,
                    damage: None,
                    is_before_loss: false,
                });
                return;
            }
        }
        if let Some(begin) = begin {
            self.close(false, None, aligned);
            self.state = AlignerState::Open(Open::new(record, vec![data.slice(begin..)]));
        } else if matches!(self.state, AlignerState::Unknown) {
            // Left out, except for bytes that may be part of a start code.
            let zeros = data.iter().rev().take_while(|byte| **byte == 0);
            let zeros = zeros.take(CODE_ZEROS).count();
            if zeros > 0 {
                self.state = AlignerState::Open(Open {
                    is_left_out: true,
                    has_nal_unit: false,
                    ..Open::new(record, vec![data.slice(data.len() - zeros..)])
                });
            }
        }
    }

    /// Takes a record that begins with the end of a start code: `zeros` zeros and the one. `before` zeros
    /// precede it.
    fn complete_start_code(
        &mut self,
        record: R,
        data: Bytes,
        zeros: usize,
        before: usize,
        aligned: &mut VecDeque<Aligned<R>>,
    ) {
        self.evidence.cuts = true;
        let borrowed: &'static [u8] = &ZEROS[..before.min(CODE_ZEROS - zeros)];
        let own = zeros + 1;
        let next = first_start(&data[own..]).map(|next| own + next);
        let end = next.unwrap_or(data.len());
        match &mut self.state {
            AlignerState::Open(open) => {
                // Of the last two zeros, the first one.
                let owner = open.owner_of_zero(2 - zeros);
                open.strip_zeros(borrowed.len());
                open.complete_last_nal_unit();
                if let Some(owner) = owner {
                    self.close(false, None, aligned);
                    self.state = AlignerState::Open(Open {
                        has_nal_unit: false,
                        ..Open::new(owner, Vec::new())
                    });
                }
                if let AlignerState::Open(open) = &mut self.state {
                    open.pieces.push(Bytes::from_static(borrowed));
                    open.extend(&data[..own], &record);
                    open.has_nal_unit = true;
                    open.header = None;
                    open.extend(&data[own..end], &record);
                }
            }
            AlignerState::Ended { .. } | AlignerState::Unknown => {
                let first = [borrowed, &data[..end]].concat();
                self.state = AlignerState::Open(Open::new(record.clone(), vec![first.into()]));
            }
        }
        if let Some(next) = next {
            self.close(false, None, aligned);
            self.state = AlignerState::Open(Open::new(record, vec![data.slice(next..)]));
        }
    }

    /// Puts out the open record.
    fn close(&mut self, is_cut: bool, damage: Option<Damage>, aligned: &mut VecDeque<Aligned<R>>) {
        if let AlignerState::Open(mut open) = mem::replace(&mut self.state, AlignerState::Unknown) {
            open.complete_last_nal_unit();
            if !open.pieces.is_empty() && (open.has_nal_unit || !open.is_left_out) {
                aligned.push_back(Aligned {
                    is_cut: is_cut && open.has_nal_unit,
                    record: open.record,
                    pieces: open.pieces,
                    damage,
                    is_before_loss: false,
                });
            }
        }
    }
}

impl<R: Clone> Open<R> {
    /// Returns a record whose pieces begin with start codes.
    fn new(record: R, pieces: Vec<Bytes>) -> Self {
        Self {
            has_nal_unit: true,
            header: None,
            is_left_out: false,
            record,
            pieces,
            rest: Vec::new(),
            zeros: VecDeque::new(),
        }
    }

    /// Returns the number of zeros at its end that may be part of a start code.
    fn trailing_zeros(&self) -> usize {
        let all = self.pieces.iter().flatten().chain(&self.rest);
        let zeros = all.rev().take_while(|byte| **byte == 0);
        zeros.take(CODE_ZEROS).count()
    }

    /// Returns the header of its last NAL unit.
    fn header(&mut self) -> Option<u8> {
        if self.header.is_none()
            && self.rest.is_empty()
            && let Some(last) = self.pieces.last()
            && let Some(code) = find_last_start_code(last)
        {
            self.header = last.get(code + START_CODE.len()).copied();
        }
        self.header
    }

    /// Returns the later record that has the zero at this place, counted from 1 from the end.
    fn owner_of_zero(&self, place: usize) -> Option<R> {
        let at = self.zeros.len().checked_sub(place)?;
        self.zeros.get(at).cloned()
    }

    /// Removes zeros from the end.
    fn strip_zeros(&mut self, mut count: usize) {
        let of_rest = count.min(self.rest.len());
        self.rest.truncate(self.rest.len() - of_rest);
        self.zeros.clear();
        count -= of_rest;
        while count > 0
            && let Some(mut piece) = self.pieces.pop()
        {
            let of_piece = count.min(piece.len());
            piece.truncate(piece.len() - of_piece);
            count -= of_piece;
            if !piece.is_empty() {
                self.pieces.push(piece);
            }
        }
    }

    /// Adds bytes of a later record.
    fn extend(&mut self, data: &[u8], record: &R) {
        let zeros = data.iter().rev().take_while(|byte| **byte == 0).count();
        if zeros < data.len() {
            self.zeros.clear();
        }
        for _ in 0..zeros.min(CODE_ZEROS) {
            self.zeros.push_back(record.clone());
        }
        while self.zeros.len() > CODE_ZEROS {
            self.zeros.pop_front();
        }
        if self.has_nal_unit {
            self.header = self.header.or(data.first().copied());
        }
        self.rest.extend_from_slice(data);
    }

    /// Joins the last NAL unit with its parts in later records.
    fn complete_last_nal_unit(&mut self) {
        if self.rest.is_empty() {
            return;
        }
        let rest = mem::take(&mut self.rest);
        let mut last = self.pieces.pop().unwrap_or_default();
        if let Some(start) = last_start(&last).filter(|start| *start > 0) {
            self.pieces.push(last.split_to(start));
        }
        self.pieces.push([&last[..], &rest].concat().into());
    }
}

/// Returns the place of the first start code.
fn first_start(data: &[u8]) -> Option<usize> {
    let code = find_start_code(data)?;
    Some(start_code_begin(data, code))
}

/// Puts zeros before the first NAL unit, which is copied.
fn prepend_zeros(count: usize, pieces: &mut Vec<Bytes>) {
    let Some(first) = pieces.first_mut() else {
        return;
    };
    // Beyond its own start code, or the end of it.
    let own = first.iter().take_while(|byte| **byte == 0).count() + 1;
    let next = first.get(own..).and_then(first_start);
    let after = next.map(|next| first.split_off(own + next));
    *first = [&ZEROS[..count], first].concat().into();
    if let Some(after) = after {
        pieces.insert(1, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::annexb::nal_units;

    /// NAL units with start codes of both kinds, zeros and emulation prevention bytes.
    const NALS: [(&[u8], &[u8]); 6] = [
        (&[0, 0, 0, 1], &[0x67, 0x9a, 0xff]),
        (&[0, 0, 1], &[0x68, 0x9a, 0, 0, 3, 1, 0x80]),
        (&[0, 0, 0, 1], &[0x65, 0x9a, 0, 0, 3, 0, 0, 3]),
        (&[0, 0, 0, 0, 0, 1], &[0x65]),
        (&[0, 0, 1], &[0x41, 0xe0]),
        (&[0, 0, 0, 1], &[0x41, 0, 0, 3, 2, 0x80]),
    ];

    fn stream() -> Vec<u8> {
        NALS.iter()
            .flat_map(|(code, nal)| [*code, nal].concat())
            .collect()
    }

    /// The NAL units of `records`, each with the number of its record, after all have been pushed.
    fn align(records: &[&[u8]]) -> Vec<(usize, Vec<u8>)> {
        let mut aligner = Aligner::new(false);
        let mut aligned = VecDeque::new();
        for (number, record) in records.iter().enumerate() {
            aligner.push(number, vec![Bytes::copy_from_slice(record)], &mut aligned);
        }
        aligner.end(false, &mut aligned);
        let numbers: Vec<_> = aligned.iter().map(|aligned| aligned.record).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let all: Vec<u8> = aligned.iter().flat_map(|it| it.pieces.concat()).collect();
        assert_eq!(all, records.concat(), "no byte is lost");
        assert!(aligned.iter().all(|it| !it.is_cut && it.damage.is_none()));
        let nals = aligned.iter().flat_map(|aligned| {
            let pieces = aligned.pieces.iter();
            pieces.flat_map(|piece| {
                let nals = nal_units(piece);
                nals.map(|nal| (aligned.record, piece[nal.start..nal.bytes.end].to_vec()))
            })
        });
        nals.collect()
    }

    /// Returns what `align` has to give: the start codes of `records` together, by where they begin.
    fn expected(records: &[&[u8]]) -> Vec<(usize, Vec<u8>)> {
        let all = records.concat();
        let owner = |at: usize| {
            let mut end = 0;
            let is_in = |record: &&[u8]| {
                end += record.len();
                at < end
            };
            records.iter().position(is_in).unwrap()
        };
        let nals = nal_units(&all);
        nals.map(|nal| {
            let code = nal.bytes.start - START_CODE.len();
            (owner(code), all[nal.start..nal.bytes.end].to_vec())
        })
        .collect()
    }

    #[test]
    fn records_may_end_anywhere() {
        let stream = stream();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                for third in [second, (second + 1).min(stream.len())] {
                    let records = [
                        &stream[..first],
                        &stream[first..second],
                        &stream[second..third],
                        &stream[third..],
                    ];
                    assert_eq!(align(&records), expected(&records), "{first} {second}");
                }
            }
        }
    }

    #[test]
    fn records_of_a_few_bytes() {
        let stream = stream();
        for size in 1..8 {
            let records: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(align(&records), expected(&records), "{size}");
        }
    }

    #[test]
    fn whole_nal_units_are_not_copied() {
        let stream = Bytes::from(stream());
        let records = [stream.slice(..7), stream.slice(7..17), stream.slice(17..)];
        let mut aligner = Aligner::new(false);
        let mut aligned = VecDeque::new();
        for (number, record) in records.iter().enumerate() {
            aligner.push(number, vec![record.clone()], &mut aligned);
            assert_eq!(aligned.len(), number);
        }
        aligner.end(false, &mut aligned);
        let pieces = aligned.iter().flat_map(|aligned| &aligned.pieces);
        let address = |bytes: &Bytes| bytes.as_ptr_range();
        assert!(pieces.map(address).eq(records.iter().map(address)));
        assert!(!aligner.cuts_nal_units());
    }

    fn texts(aligner: &mut Aligner<usize>, records: &[&[u8]]) -> Vec<(usize, Vec<u8>, bool)> {
        let mut aligned = VecDeque::new();
        for (number, record) in records.iter().enumerate() {
            aligner.push(number, vec![Bytes::copy_from_slice(record)], &mut aligned);
        }
        aligner.end(false, &mut aligned);
        let aligned = aligned.into_iter();
        aligned
            .map(|it| (it.record, it.pieces.concat(), it.is_cut))
            .collect()
    }

    const P: &[u8] = &[0, 0, 1, 0x41, 0x9a, 0xff, 0x80];

    #[test]
    fn what_is_no_byte_stream_is_a_record_of_its_own() {
        let text = b"This is a text and no video at all.";
        let mut aligner = Aligner::new(false);
        let whole = texts(&mut aligner, &[text, P, text, P]);
        let of = |number, bytes: &[u8], is_cut| (number, bytes.to_vec(), is_cut);
        let expected = [
            of(0, text, false),
            of(1, P, false),
            of(2, text, false),
            of(3, P, false),
        ];
        assert_eq!(whole, expected);
        assert!(!aligner.cuts_nal_units());
        // A NAL unit may be cut by it where others are.
        let cut = texts(&mut aligner, &[&P[..5], &P[5..], &P[..5], text, &P[5..], P]);
        let expected = [
            of(0, P, false),
            of(2, &P[..5], true),
            of(3, text, false),
            of(5, P, false),
        ];
        assert_eq!(cut, expected);
    }

    #[test]
    fn a_stream_that_is_joined() {
        let mut aligner = Aligner::new(true);
        let rest = [&P[5..], P].concat();
        let joined = texts(&mut aligner, &[&[0x9a, 3], &rest, P]);
        assert_eq!(joined, [(1, P.to_vec(), false), (2, P.to_vec(), false)]);
        // Without a start code, it is reported where the stream begins.
        let begun = texts(&mut Aligner::new(false), &[&[0x9a, 3], P]);
        assert_eq!(begun[0], (0, vec![0x9a, 3], false));
    }

    #[test]
    fn a_stream_that_is_joined_before_a_start_code() {
        let stream = [&[0x9a, 0xff, 0x03], P].concat();
        for begin in 0..=3 {
            for cut in begin + 1..=5 {
                let records = [&stream[begin..cut], &stream[cut..], P];
                let joined = texts(&mut Aligner::new(true), &records);
                let nals: Vec<_> = joined.iter().map(|(_, bytes, _)| &bytes[..]).collect();
                assert_eq!(nals.concat(), [P, P].concat(), "{begin} {cut}");
            }
        }
    }

    #[test]
    fn after_a_loss_the_rest_of_a_nal_unit_is_left_out() {
        let mut aligner = Aligner::new(false);
        let mut aligned = VecDeque::new();
        let mut push = |aligner: &mut Aligner<_>, number, bytes: &[u8]| {
            aligner.push(number, vec![Bytes::copy_from_slice(bytes)], &mut aligned);
        };
        push(&mut aligner, 0, &P[..4]);
        push(&mut aligner, 1, &P[4..6]);
        aligner.end(true, &mut aligned);
        assert!(aligned[0].is_cut);
        let mut push = |aligner: &mut Aligner<_>, number, bytes: &[u8]| {
            aligner.push(number, vec![Bytes::copy_from_slice(bytes)], &mut aligned);
        };
        push(&mut aligner, 2, &[0x9a, 0x9b]);
        push(&mut aligner, 3, P);
        aligner.end(false, &mut aligned);
        let records: Vec<_> = aligned.iter().map(|aligned| aligned.record).collect();
        assert_eq!(records, [0, 3]);
    }

    #[test]
    fn a_record_that_was_ended_is_not_continued() {
        let mut aligner = Aligner::new(false);
        let mut aligned = VecDeque::new();
        let chunks = |bytes: &[u8]| vec![Bytes::copy_from_slice(bytes)];
        aligner.push(0, chunks(&[P, &[0]].concat()), &mut aligned);
        aligner.end_record(&mut aligned);
        assert_eq!(aligned.len(), 1);
        // The zero is part of the next start code.
        aligner.push(1, chunks(&[&[0], &P[2..]].concat()), &mut aligned);
        aligner.end_record(&mut aligned);
        assert_eq!(aligned[1].pieces.concat(), P);
        assert!(aligner.cuts_nal_units());
        aligner.push(2, chunks(&[&[0x9a], P].concat()), &mut aligned);
        aligner.end(false, &mut aligned);
        assert_eq!(aligned[2].damage, Some(Damage::LateContinuation));
        assert_eq!(aligned[3].pieces.concat(), P);
    }
}
