// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Tests of the splitter: each stream is cut into records in every way that it can be.

use super::super::testing::{
    AUD, END_OF_SEQUENCE, FILLER, IDR, P, PREFIX, SEI, SPS, SliceSpec, SpsSpec, pps, record,
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
        ("frame_num", SliceSpec { frame_num: 2, ..P }),
        ("pic_parameter_set_id", SliceSpec { pps: 1, ..P }),
        ("nal_ref_idc", SliceSpec { nal: 0x01, ..P }),
        ("pic_order_cnt_lsb", SliceSpec { order: 4, ..P }),
    ];
    let part = slice(SliceSpec {
        first_macroblock: 4,
        ..P
    });
    for (what, other) in variants {
        let other = slice(SliceSpec {
            first_macroblock: 4,
            ..other
        });
        let p = slice(P);
        let nals: [&[u8]; 6] = [&sps, &pps0, &pps1, &p, &part, &other];
        assert_eq!(split(&[record(&nals)]), [5, 1], "{what}");
    }
    let idr = |idr_pic_id| {
        slice(SliceSpec {
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
        slice(SliceSpec {
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
    let part = slice(SliceSpec {
        first_macroblock: 4,
        ..IDR
    });
    assert_units(&[&sps, &pps, &slice(IDR), END_OF_SEQUENCE, &part], &[4, 1]);
}

#[test]
fn prefix_nal_units_go_with_their_slice() {
    let (sps, pps) = (sps(SPS), pps(0));
    let part = slice(SliceSpec {
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
    let redundant = slice(SliceSpec {
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
    let part = slice(SliceSpec {
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
    let field = |header: SliceSpec, bottom, order| {
        slice(SliceSpec {
            sps: spec,
            bottom_field: Some(bottom),
            order,
            ..header
        })
    };
    let (sps, pps) = (sps(spec), pps(0));
    let idr = field(IDR, false, 0);
    // The second field of an IDR picture is none.
    let second = field(SliceSpec { frame_num: 0, ..P }, true, 1);
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
    let frame = slice(SliceSpec { sps: spec, ..P });
    assert_units(
        &[&sps, &pps, &idr, &second, &frame, &top, &bottom],
        &[4, 1, 2],
    );
    // Of a pair, both are reference pictures or none is.
    let other = field(SliceSpec { nal: 1, ..P }, true, 3);
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
        slice(SliceSpec {
            sps: spec,
            bottom_field,
            ..P
        })
    };
    let mut splitter = AccessUnitSplitter::default();
    let mut units = VecDeque::new();
    let frame = slice(SliceSpec { sps: spec, ..IDR });
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
    let next = slice(SliceSpec { frame_num: 2, ..P });
    let unknown = slice(SliceSpec { pps: 7, ..P });
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
        slice(SliceSpec {
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
        slice(SliceSpec {
            first_macroblock,
            ..IDR
        })
    };
    let p = slice(P);
    let next = slice(SliceSpec { frame_num: 2, ..P });
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
    // There is no other reference to it.
    assert!(data.try_into_mut().is_ok());
}

#[test]
fn small_parts_do_not_keep_the_pieces_of_their_record() {
    // Of a filler, so that the picture continues.
    let forbidden = [&[0x8c], &[1; 1 << 20][..]].concat();
    let mut splitter = AccessUnitSplitter::default();
    let mut units = VecDeque::new();
    let pieces = [
        record(&[&sps(SPS), &pps(0), &slice(IDR)]),
        record(&[&forbidden]),
        record(&[SEI]),
    ];
    splitter.push_record(&pieces, &mut units);
    assert!(units.is_empty());
    for piece in pieces {
        assert!(piece.try_into_mut().is_ok());
    }
}

#[test]
fn parts_are_the_pieces() {
    let part = slice(SliceSpec {
        first_macroblock: 4,
        ..IDR
    });
    let pieces = [
        record(&[&sps(SPS), &pps(0), &slice(IDR)]),
        record(&[&part]),
        record(&[&slice(P)]),
    ];
    let mut splitter = AccessUnitSplitter::default();
    let mut units = VecDeque::new();
    assert_eq!(splitter.push_record(&pieces, &mut units).begun, 2);
    splitter.finish(&mut units);
    let parts = units.iter().flat_map(|unit| &unit.parts);
    let address = |part: &Bytes| part.as_ptr_range();
    assert!(
        parts
            .map(|part| address(part.bytes()))
            .eq(pieces.iter().map(address))
    );
    assert_eq!(units[0].parts.len(), 2);
}

#[test]
fn a_loss_is_told_after_lost_pictures() {
    let (sps, pps, idr) = (sps(SPS), pps(0), slice(IDR));
    let unknown = slice(SliceSpec {
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
    let redundant = slice(SliceSpec {
        redundant: 1,
        pps: 1,
        ..IDR
    });
    let (sps, pps0, pps1) = (sps(SPS), pps(0), pps(1));
    let part = slice(SliceSpec {
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
        slice(SliceSpec {
            sps: spec,
            bottom_field: Some(bottom),
            frame_num,
            resets_order,
            ..P
        })
    };
    let (top, bottom) = (field(false, 3, true), field(true, 0, false));
    let idr = slice(SliceSpec { sps: spec, ..IDR });
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

    // Zeros alone are a part, and more of them come after the delimiter.
    let zeros = Bytes::from_static(&[0]);
    let mut parts = vec![
        zeros.clone(),
        record(&[AUD]),
        [&[0], &record(&[SEI])[..]].concat().into(),
    ];
    insert_after_delimiter(&mut parts, record(&[&pps(0)]));
    let expected = [
        &zeros,
        &record(&[AUD]),
        &zeros,
        &record(&[&pps(0)]),
        &record(&[SEI]),
    ];
    assert!(parts.iter().eq(expected));
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
    let lacks = |record| splitter.lacks_parameter_sets(&[record]);
    let (sps, pps, idr, p) = (sps(SPS), pps(0), slice(IDR), slice(P));
    assert!(lacks(record(&[AUD, &p, &sps, &pps, &idr])));
    assert!(lacks(record(&[&sps, &idr])));
    assert!(!lacks(record(&[&sps, &pps, &idr])));
    assert!(!lacks(record(&[SEI])));
    assert!(!lacks(Bytes::from_static(b"{}")));
}

#[test]
fn sets_in_records_before_are_not_lacked() {
    let (sps, pps, idr) = (sps(SPS), pps(0), slice(IDR));
    let mut splitter = AccessUnitSplitter::default();
    splitter.push(&record(&[&sps]), &mut VecDeque::new());
    assert!(splitter.lacks_parameter_sets(&[record(&[&idr])]));
    assert!(!splitter.lacks_parameter_sets(&[record(&[&pps, &idr])]));
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
    let intra: Vec<_> = units.iter().map(|unit| unit.intra).collect();
    assert_eq!(intra, [true, false]);
    let numbers = units.iter().map(|unit| unit.frame_number.unwrap());
    let numbers: Vec<_> = numbers
        .map(|number| (number.frame_num, number.idr, number.reference))
        .collect();
    assert_eq!(numbers, [(0, true, true), (1, false, true)]);
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

/// A length of 260 bytes is a start code as well, so that each unit may be a piece.
#[test]
fn lengths_are_known_in_pieces() {
    let unit = Bytes::from([&[0, 0, 1, 4][..], &[0x41; 260]].concat());
    let mut splitter = AccessUnitSplitter::default();
    let pushed = splitter.push_record(&[unit.clone(), unit], &mut VecDeque::new());
    assert_eq!(pushed.damage, Some(Damage::LengthPrefixed));
}

/// 00 00 01 41 is a start code and a header, and a length of 321 bytes.
#[test]
fn a_stream_that_goes_on_has_no_lengths() {
    let part = slice(SliceSpec {
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
