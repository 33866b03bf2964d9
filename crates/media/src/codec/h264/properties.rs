// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Property tests with streams that are made at random.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::splitting::{Split, split, split_cut};
use super::testing::{
    AUD, END_OF_SEQUENCE, FILLER, Order, P, PREFIX, SEI, SPS, SliceSpec, SpsSpec, pps,
    recovery_point, slice, sps,
};
use super::{AccessUnitSplitter, ParameterSets, Sps};
use crate::access_unit::{AccessUnit, Integrity};
use crate::codec::{annexb::nal_units, between_nal_units, length_prefixed};
use crate::order::PictureOrder;

/// A frame, or a pair of fields, and the NAL units that go with it.
#[derive(Debug, Clone)]
struct FrameSpec {
    kind: PictureKind,
    aud: bool,
    parameter_sets: bool,
    sei: bool,
    recovery_point: Option<u32>,
    prefixed: bool,
    /// Bytes of the slices after their headers.
    slices: Vec<Vec<u8>>,
    redundant: bool,
    fields: Fields,
    filler: bool,
    ends_sequence: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PictureKind {
    Idr,
    Reference,
    NonReference,
}

/// Coding of a frame in an interlaced stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fields {
    None,
    TopFirst,
    BottomFirst,
    /// The second field has its own access unit delimiter.
    Delimited,
}

/// NAL units, the bytes before each of them and after the last one.
#[derive(Debug, Clone, Default)]
struct Stream {
    nals: Vec<Vec<u8>>,
    /// The start codes, with any number of zeros before.
    codes: Vec<Vec<u8>>,
    trailing_zeros: usize,
}

impl Stream {
    fn bytes(&self) -> Vec<u8> {
        let nals = self.codes.iter().zip(&self.nals);
        let mut bytes: Vec<u8> = nals
            .flat_map(|(code, nal)| [code.as_slice(), nal].concat())
            .collect();
        bytes.resize(bytes.len() + self.trailing_zeros, 0);
        bytes
    }

    fn insert(&mut self, at: Index, nal: Vec<u8>) {
        let at = at.index(self.nals.len());
        self.nals.insert(at, nal);
        self.codes.insert(at, vec![0, 0, 0, 1]);
    }
}

/// Bytes without zeros: neither a start code nor an emulation prevention byte.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    vec(1u8.., 0..40)
}

fn frame() -> impl Strategy<Value = FrameSpec> {
    let kind = prop_oneof![
        1 => Just(PictureKind::Idr),
        3 => Just(PictureKind::Reference),
        2 => Just(PictureKind::NonReference),
    ];
    let fields = prop_oneof![
        Just(Fields::None),
        Just(Fields::TopFirst),
        Just(Fields::BottomFirst),
        Just(Fields::Delimited),
    ];
    let rarely = || prop::bool::weighted(0.2);
    (
        (kind, fields, vec(payload(), 1..4)),
        (any::<bool>(), rarely(), rarely(), rarely()),
        (rarely(), rarely(), rarely()),
        prop::option::weighted(0.2, 0u32..20),
    )
        .prop_map(|((kind, fields, slices), before, after, recovery_point)| {
            let (aud, parameter_sets, sei, prefixed) = before;
            let (redundant, filler, ends_sequence) = after;
            FrameSpec {
                kind,
                aud,
                parameter_sets,
                sei,
                recovery_point,
                prefixed,
                slices,
                redundant,
                fields,
                filler,
                ends_sequence,
            }
        })
}

fn spec() -> impl Strategy<Value = SpsSpec> {
    let order = prop_oneof![Just(Order::Lsb), Just(Order::Cycle), Just(Order::Decoding),];
    (order, any::<bool>()).prop_map(|(order, interlaced)| SpsSpec {
        order,
        interlaced,
        ..SPS
    })
}

/// Writes frames as an encoder does.
struct Encoder {
    spec: SpsSpec,
    frame_num: u8,
    order: u8,
    idr_pic_id: u32,
}

impl Encoder {
    /// The NAL units of `frame`.
    fn encode(&mut self, frame: &FrameSpec, is_first: bool) -> Vec<Vec<u8>> {
        let mut nals = Vec::new();
        let mut add = |condition: bool, nal: &[u8]| {
            if condition {
                nals.push(nal.to_vec());
            }
        };
        let sets = is_first || frame.parameter_sets;
        add(frame.aud, AUD);
        add(sets, &sps(self.spec));
        add(sets, &pps(0));
        add(frame.sei, SEI);
        if let Some(frames) = frame.recovery_point {
            add(true, &recovery_point(frames));
        }
        for (nth, header) in self.pictures(frame).into_iter().enumerate() {
            add(nth > 0 && frame.fields == Fields::Delimited, AUD);
            for (first_macroblock, payload) in (0..).zip(&frame.slices) {
                let header = SliceSpec {
                    first_macroblock,
                    ..header
                };
                add(frame.prefixed, PREFIX);
                add(true, &[slice(header), payload.clone()].concat());
            }
            let redundant = slice(SliceSpec {
                redundant: 1,
                ..header
            });
            add(frame.redundant, &redundant);
        }
        add(frame.filler, FILLER);
        add(frame.ends_sequence, END_OF_SEQUENCE);
        nals
    }

    /// The header of the frame, or those of its fields.
    fn pictures(&mut self, frame: &FrameSpec) -> Vec<SliceSpec> {
        if frame.kind == PictureKind::Idr {
            (self.frame_num, self.order) = (0, 0);
            self.idr_pic_id += 1;
        }
        let first = SliceSpec {
            sps: self.spec,
            nal: match frame.kind {
                PictureKind::Idr => 0x65,
                PictureKind::Reference => 0x41,
                PictureKind::NonReference => 0x01,
            },
            frame_num: self.frame_num,
            order: self.order,
            idr_pic_id: self.idr_pic_id,
            ..P
        };
        if frame.kind != PictureKind::NonReference {
            self.frame_num = (self.frame_num + 1) % 16;
        }
        self.order = (self.order + 2) % 16;
        let bottom_first = match frame.fields {
            _ if !self.spec.interlaced => return vec![first],
            Fields::None => return vec![first],
            Fields::TopFirst | Fields::Delimited => false,
            Fields::BottomFirst => true,
        };
        let field = |header, bottom| SliceSpec {
            bottom_field: Some(bottom),
            ..header
        };
        // The second field of an IDR picture is none.
        let nal = if frame.kind == PictureKind::Idr {
            0x61
        } else {
            first.nal
        };
        let second = SliceSpec { nal, ..first };
        vec![field(first, bottom_first), field(second, !bottom_first)]
    }
}

/// A stream, and how many NAL units each of its frames has.
fn stream_of(
    spec: SpsSpec,
    frames: &[FrameSpec],
    codes: Vec<Vec<u8>>,
    trailing_zeros: usize,
) -> (Stream, Vec<usize>) {
    let mut encoder = Encoder {
        spec,
        frame_num: 0,
        order: 0,
        idr_pic_id: 0,
    };
    let mut stream = Stream {
        trailing_zeros,
        ..Default::default()
    };
    let mut counts = Vec::new();
    for frame in frames {
        let nals = encoder.encode(frame, counts.is_empty());
        counts.push(nals.len());
        stream.nals.extend(nals);
    }
    stream.codes = codes
        .iter()
        .cycle()
        .take(stream.nals.len())
        .cloned()
        .collect();
    (stream, counts)
}

/// Start codes of three and four bytes, and some with more zeros before.
fn codes() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let zeros = prop_oneof![4 => Just(3usize), 4 => Just(2usize), 1 => 4usize..8];
    let code = zeros.prop_map(|zeros| [vec![0; zeros], vec![1]].concat());
    vec(code, 1..20)
}

/// Cuts of a stream: a bit for each NAL unit, repeated.
fn cuts() -> impl Strategy<Value = Vec<bool>> {
    prop_oneof![vec(any::<bool>(), 1..30), Just(vec![true])]
}

/// Cuts a stream into records before those of its NAL units that `cuts` says.
fn records(stream: &[u8], cuts: &[bool]) -> Vec<Bytes> {
    let stream = Bytes::copy_from_slice(stream);
    let starts = nal_units(&stream).map(|nal| nal.start).skip(1);
    let at: Vec<usize> = starts
        .zip(cuts.iter().cycle())
        .filter_map(|(start, cut)| cut.then_some(start))
        .collect();
    let begins = [0].into_iter().chain(at.iter().copied());
    let ends = at.iter().copied().chain([stream.len()]);
    begins.zip(ends).map(|(a, b)| stream.slice(a..b)).collect()
}

/// Cuts a stream into records anywhere, with `lengths` around and around.
fn records_anywhere(stream: &[u8], lengths: &[usize]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(stream);
    let lengths = lengths.iter().cycle();
    lengths
        .map_while(|length| {
            let length = rest.len().min(*length);
            (length > 0).then(|| rest.split_to(length))
        })
        .collect()
}

/// A record as a network brings it: in chunks, each with memory of its own.
fn chunks(record: &[u8], cuts: &[Index]) -> Vec<Bytes> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(record.len() + 1)).collect();
    at.extend([0, record.len()]);
    at.sort_unstable();
    let spans = at.windows(2).map(|span| &record[span[0]..span[1]]);
    spans.map(Bytes::copy_from_slice).collect()
}

/// All that is known of an access unit.
#[derive(Debug, PartialEq, Eq)]
struct UnitFacts {
    bytes: Vec<u8>,
    idr: bool,
    recovery_point: Option<u32>,
    order: Option<PictureOrder>,
    sps_id: u8,
    integrity: Integrity,
    after_loss: bool,
}

impl From<AccessUnit> for UnitFacts {
    fn from(unit: AccessUnit) -> Self {
        Self {
            bytes: unit.parts.concat(),
            idr: unit.idr,
            recovery_point: unit.recovery_point,
            order: unit.order,
            sps_id: unit.sps_id,
            integrity: unit.integrity,
            after_loss: unit.after_loss,
        }
    }
}

impl Split {
    fn facts(self) -> Vec<UnitFacts> {
        self.units.into_iter().map(UnitFacts::from).collect()
    }
}

/// Each record makes the same in chunks as in one piece.
fn check_chunks(records: &[Bytes], cuts: &[Index], end_each: bool) -> Result<(), TestCaseError> {
    let (mut whole, mut in_chunks) = <(AccessUnitSplitter, AccessUnitSplitter)>::default();
    let (mut expected, mut units) = (VecDeque::new(), VecDeque::new());
    for record in records {
        let pieces = between_nal_units(chunks(record, cuts));
        prop_assert_eq!(
            in_chunks.lacks_parameter_sets(&pieces),
            whole.lacks_parameter_sets(std::slice::from_ref(record))
        );
        prop_assert_eq!(
            in_chunks.push_record(&pieces, &mut units),
            whole.push(record, &mut expected)
        );
        if end_each {
            in_chunks.end_access_unit(&mut units);
            whole.end_access_unit(&mut expected);
        }
        prop_assert_eq!(units.len(), expected.len());
    }
    prop_assert_eq!(in_chunks.finish(&mut units), whole.finish(&mut expected));
    let facts = |units: VecDeque<AccessUnit>| -> Vec<UnitFacts> {
        units.into_iter().map(UnitFacts::from).collect()
    };
    prop_assert_eq!(facts(units), facts(expected));
    Ok(())
}

/// Checks for any bytes: each access unit that begins comes out, and its bytes are those of the
/// stream, in its order, each once. Only parameter sets may come again.
fn check(records: &[Bytes], split: &Split) -> Result<(), TestCaseError> {
    prop_assert_eq!(split.begun, split.units.len());
    let address = |part: &Bytes| part.as_ptr() as usize;
    let spans: Vec<Range<usize>> = records
        .iter()
        .map(|record| address(record)..address(record) + record.len())
        .collect();
    let mut last = (0, 0);
    let mut given = 0;
    for unit in &split.units {
        for part in &unit.parts {
            let begin = address(part.bytes());
            let found = nal_units(part).map(|nal| part.bytes().slice(nal.bytes));
            prop_assert!(
                part.nal_units().eq(found),
                "NAL units that were carried along"
            );
            let end = begin + part.len();
            let Some(at) = spans
                .iter()
                .position(|span| span.start <= begin && end <= span.end)
            else {
                let is_set = |nal: crate::codec::annexb::NalUnit| {
                    matches!(super::nal::nal_unit_type(part[nal.bytes.start]), 7 | 8)
                };
                if !nal_units(part).all(is_set) {
                    // A copy of something small.
                    let has_part = |record: &Bytes| memchr::memmem::find(record, part).is_some();
                    prop_assert!(records.iter().any(has_part));
                    given += part.len();
                }
                continue;
            };
            prop_assert!(last <= (at, begin), "in order, and each once");
            last = (at, end);
            given += part.len();
        }
    }
    let all: usize = records.iter().map(Bytes::len).sum();
    prop_assert!(given + split.rest <= all);
    Ok(())
}

/// Damage to a stream.
#[derive(Debug, Clone)]
enum Fault {
    Flip(u8),
    Cut(usize),
    Insert(Vec<u8>),
}

fn fault() -> impl Strategy<Value = (Index, Fault)> {
    let fault = prop_oneof![
        (0u8..8).prop_map(|bit| Fault::Flip(1 << bit)),
        (1usize..40).prop_map(Fault::Cut),
        vec(prop_oneof![Just(0), Just(1), any::<u8>()], 1..8).prop_map(Fault::Insert),
    ];
    (any::<Index>(), fault)
}

fn damage(stream: &mut Vec<u8>, faults: &[(Index, Fault)]) {
    for (at, fault) in faults {
        if stream.is_empty() {
            return;
        }
        let at = at.index(stream.len());
        match fault {
            Fault::Flip(bit) => stream[at] ^= bit,
            Fault::Cut(count) => drop(stream.drain(at..stream.len().min(at + count))),
            Fault::Insert(bytes) => drop(stream.splice(at..at, bytes.iter().copied())),
        }
    }
}

proptest! {
    /// The access units are the frames that were written, however they are cut into records.
    #[test]
    fn frames_are_access_units(
        spec in spec(),
        frames in vec(frame(), 1..12),
        codes in codes(),
        zeros in 0usize..4,
        cuts in cuts(),
    ) {
        let (stream, counts) = stream_of(spec, &frames, codes, zeros);
        let stream = stream.bytes();
        let records = records(&stream, &cuts);
        let split = split(&records, false);
        check(&records, &split)?;
        prop_assert_eq!(split.damages.as_slice(), &[]);
        prop_assert_eq!(split.rest, 0);
        let facts = split.facts();
        let count = |unit: &UnitFacts| nal_units(&unit.bytes).count();
        prop_assert_eq!(facts.iter().map(count).collect::<Vec<_>>(), counts);
        let bytes: Vec<u8> = facts.iter().flat_map(|unit| unit.bytes.clone()).collect();
        prop_assert_eq!(bytes, stream);
        for (unit, frame) in facts.iter().zip(&frames) {
            prop_assert_eq!(unit.idr, frame.kind == PictureKind::Idr);
            prop_assert_eq!(unit.recovery_point, frame.recovery_point);
            prop_assert_eq!(unit.integrity, Integrity::Whole);
            prop_assert!(!unit.after_loss);
            prop_assert!(unit.order.is_some_and(|order| order.begins_sequence == unit.idr));
        }
    }

    /// The same, if they are cut anywhere, also into records of a byte or of none.
    #[test]
    fn frames_are_access_units_wherever_records_end(
        spec in spec(),
        frames in vec(frame(), 1..12),
        codes in codes(),
        zeros in 0usize..4,
        lengths in prop_oneof![vec(1usize..4, 1..20), vec(0usize..60, 2..40), Just(vec![1])],
    ) {
        let (stream, _) = stream_of(spec, &frames, codes, zeros);
        let stream = stream.bytes();
        let mut at = 0;
        let mut records = Vec::new();
        for length in lengths.iter().cycle().take(stream.len()) {
            let end = stream.len().min(at + length);
            records.push(Bytes::copy_from_slice(&stream[at..end]));
            at = end;
        }
        records.push(Bytes::copy_from_slice(&stream[at..]));
        let cut = split_cut(&records);
        prop_assert_eq!(cut.damages.as_slice(), &[]);
        prop_assert_eq!(cut.begun, frames.len());
        let whole = split(&[Bytes::from(stream)], false);
        prop_assert_eq!(cut.rest, whole.rest);
        prop_assert_eq!(cut.facts(), whole.facts());
    }

    /// Bytes of any contents, cut anywhere: nothing is made up, and no access unit is lost.
    #[test]
    fn damage_of_cut_records_adds_nothing(
        spec in spec(),
        frames in vec(frame(), 1..8),
        codes in codes(),
        faults in vec(fault(), 0..8),
        lengths in vec(1usize..60, 1..20),
    ) {
        let (stream, _) = stream_of(spec, &frames, codes, 0);
        let mut stream = stream.bytes();
        damage(&mut stream, &faults);
        let records = records_anywhere(&stream, &lengths);
        let split = split_cut(&records);
        prop_assert_eq!(split.begun, split.units.len());
        let is_set = |nal: &[u8]| matches!(super::nal::nal_unit_type(nal[0]), 7 | 8);
        let given = split.units.iter().flat_map(|unit| &unit.parts);
        let given: usize = given
            .flat_map(|part| nal_units(part).map(|nal| &part[nal.bytes]))
            .filter(|nal| !is_set(nal))
            .map(<[u8]>::len)
            .sum();
        prop_assert!(given <= stream.len());
    }

    /// Each record is an access unit, and the splitter knows it.
    #[test]
    fn known_ends_change_nothing(
        spec in spec(),
        frames in vec(frame(), 1..12),
        codes in codes(),
    ) {
        let (stream, counts) = stream_of(spec, &frames, codes, 0);
        let stream = Bytes::from(stream.bytes());
        let begins: Vec<usize> = {
            let starts: Vec<usize> = nal_units(&stream).map(|nal| nal.start).collect();
            let ends = counts.iter().scan(0, |sum, count| { *sum += count; Some(*sum) });
            [0].into_iter().chain(ends.map(|end| starts.get(end).copied().unwrap_or(stream.len()))).collect()
        };
        let records: Vec<Bytes> = begins.windows(2).map(|span| stream.slice(span[0]..span[1])).collect();
        let ended = split(&records, true);
        check(&records, &ended)?;
        prop_assert_eq!(ended.facts(), split(&records, false).facts());
    }

    /// NAL units of any contents: what they make does not depend on the records.
    #[test]
    fn records_change_nothing(
        spec in spec(),
        frames in vec(frame(), 1..8),
        others in vec((any::<Index>(), any::<u8>(), payload()), 0..8),
        codes in codes(),
        zeros in 0usize..4,
        cuts in cuts(),
    ) {
        let (mut stream, _) = stream_of(spec, &frames, codes, zeros);
        for (at, header, mut payload) in others {
            let header = header.max(1);
            // The record of a slice without contents decides which picture it belongs to.
            if matches!(super::nal::nal_unit_type(header), 1 | 2 | 5) {
                payload.push(0x80);
            }
            stream.insert(at, [vec![header], payload].concat());
        }
        let stream = stream.bytes();
        let whole = [Bytes::from(stream.clone())];
        let records = records(&stream, &cuts);
        let (once, pieces) = (split(&whole, false), split(&records, false));
        check(&whole, &once)?;
        check(&records, &pieces)?;
        prop_assert_eq!(once.begun, pieces.begun);
        prop_assert_eq!(once.rest, pieces.rest);
        prop_assert_eq!(once.damages.is_empty(), pieces.damages.is_empty());
        prop_assert_eq!(once.facts(), pieces.facts());
    }

    /// A damaged stream is read as far as it goes.
    #[test]
    fn damage_adds_nothing(
        spec in spec(),
        frames in vec(frame(), 1..8),
        codes in codes(),
        cuts in cuts(),
        faults in vec(fault(), 1..12),
        lengths in vec(1usize..200, 1..20),
        end_each in any::<bool>(),
    ) {
        let (stream, _) = stream_of(spec, &frames, codes, 0);
        let mut stream = stream.bytes();
        damage(&mut stream, &faults);
        let at_nals = records(&stream, &cuts);
        check(&at_nals, &split(&at_nals, end_each))?;
        // Also records that do not begin with a NAL unit.
        let anywhere = records_anywhere(&stream, &lengths);
        check(&anywhere, &split(&anywhere, end_each))?;
    }

    /// So are bytes that are no stream at all.
    #[test]
    fn any_bytes(
        records in vec(vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..200), 0..8),
        begins in any::<bool>(),
        end_each in any::<bool>(),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let code: &[u8] = if begins { &[0, 0, 0, 1] } else { &[] };
        let records: Vec<Bytes> = records.iter().map(|bytes| [code, bytes].concat().into()).collect();
        check(&records, &split(&records, end_each))?;
        check_chunks(&records, &cuts, end_each)?;
    }

    /// It does not matter in which chunks a record comes, damaged or not.
    #[test]
    fn chunks_change_nothing(
        spec in spec(),
        frames in vec(frame(), 1..8),
        others in vec((any::<Index>(), 1u8.., payload()), 0..8),
        codes in codes(),
        zeros in 0usize..4,
        faults in vec(fault(), 0..8),
        cuts in cuts(),
        lengths in vec(1usize..200, 1..20),
        chunk_cuts in vec(any::<Index>(), 0..12),
        end_each in any::<bool>(),
    ) {
        let (mut stream, _) = stream_of(spec, &frames, codes, zeros);
        for (at, header, payload) in others {
            stream.insert(at, [vec![header], payload].concat());
        }
        let mut stream = stream.bytes();
        damage(&mut stream, &faults);
        check_chunks(&records(&stream, &cuts), &chunk_cuts, end_each)?;
        check_chunks(&records_anywhere(&stream, &lengths), &chunk_cuts, end_each)?;
    }

    /// The NAL units of a byte stream are those that were written, and nothing lies between them.
    #[test]
    fn start_codes_enclose_nal_units(
        nals in vec(payload().prop_filter("not empty", |nal| !nal.is_empty()), 0..12),
        codes in codes(),
        trailing_zeros in 0usize..4,
    ) {
        let codes: Vec<_> = codes.iter().cycle().take(nals.len()).cloned().collect();
        let stream = Stream { nals, codes, trailing_zeros };
        let bytes = stream.bytes();
        let found: Vec<_> = nal_units(&bytes).map(|nal| bytes[nal.bytes].to_vec()).collect();
        prop_assert_eq!(found, stream.nals);
        // Of the zeros before a start code, one belongs to it.
        for (nal, code) in nal_units(&bytes).zip(&stream.codes) {
            prop_assert_eq!(nal.bytes.start - nal.start, code.len().min(4));
        }
    }

    /// Lengths and start codes enclose the same NAL units.
    #[test]
    fn lengths_become_start_codes(
        nals in vec((any::<u8>(), payload()), 0..12),
        length_size in 1usize..=4,
    ) {
        let nals: Vec<_> = nals.iter().map(|(header, payload)| [&[*header & 0x7f | 1][..], payload].concat()).collect();
        let data: Vec<u8> = nals
            .iter()
            .flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[4 - length_size..], nal].concat())
            .collect();
        let given: Vec<_> = length_prefixed::nal_units(length_size, &data).collect();
        prop_assert_eq!(given, nals.iter().map(|nal| Some(nal.as_slice())).collect::<Vec<_>>());
        let stream = length_prefixed::to_byte_stream(length_size, &data);
        let found: Vec<_> = nal_units(&stream).map(|nal| stream[nal.bytes].to_vec()).collect();
        prop_assert_eq!(&found, &nals);
        // A length of one byte is a start code, or one of three bytes, which no program writes.
        let is_ambiguous = nal_units(&data).next().is_some();
        let exists = |nal: &Vec<u8>| matches!(nal[0] & 0x1f, 1..=15 | 19..=21);
        if !nals.is_empty() && !is_ambiguous && nals.iter().all(exists) {
            prop_assert!(length_prefixed::is_length_prefixed(&data));
        }
        prop_assert!(!length_prefixed::is_length_prefixed(&stream));
        // Cut short, the last NAL units are missing.
        if let Some(cut) = data.len().checked_sub(1) {
            let stream = length_prefixed::to_byte_stream(length_size, &data[..cut]);
            prop_assert_eq!(nal_units(&stream).count(), nals.len() - 1);
        }
    }

    /// A configuration record keeps parameter sets of any contents.
    #[test]
    fn configurations_keep_parameter_sets(
        nals in vec((prop_oneof![Just(0x67), Just(0x68)], payload()), 0..12),
        cut in any::<Index>(),
    ) {
        let mut sets = ParameterSets::default();
        for (header, payload) in nals {
            sets.put(&[&[header][..], &payload].concat());
        }
        if let Some(record) = sets.to_configuration(0) {
            prop_assert_eq!(&ParameterSets::from_configuration(&record), &sets);
            // The fields of High profiles at its end may be missing.
            let sets_end = record.len() - usize::from(has_high_fields(&sets)) * 4;
            let cut = ParameterSets::from_configuration(&record[..cut.index(sets_end)]);
            prop_assert!(cut.is_empty());
        }
        let mut again = ParameterSets::default();
        let stream = sets.to_byte_stream();
        nal_units(&stream).for_each(|nal| again.put(&stream[nal.bytes]));
        prop_assert_eq!(again, sets);
    }
}

/// Returns whether the record of these sets, with the SPS 0, says the chroma format.
fn has_high_fields(sets: &ParameterSets) -> bool {
    sets.sps(0)
        .is_some_and(|sps| !matches!(sps[1], 66 | 77 | 88) && Sps::parse(sps).is_ok())
}
