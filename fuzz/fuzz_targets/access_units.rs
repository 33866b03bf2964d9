// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Access units of records with any contents.

#![no_main]

use bytes::Bytes;
use gst_plugin_reduct_fuzz::access_unit::{AccessUnit, Integrity};
use gst_plugin_reduct_fuzz::codec::{Damage, annexb::nal_units};
use gst_plugin_reduct_fuzz::{Split, each_nal_unit, records, split};
use libfuzzer_sys::fuzz_target;
use memchr::memmem;

fuzz_target!(|input: &[u8]| {
    let records = records(input);
    check(&records, &split(&records, true));
    let pieces = split(&records, false);
    check(&records, &pieces);

    // The same, where each NAL unit is a record.
    let smallest: Vec<Bytes> = records.iter().flat_map(each_nal_unit).collect();
    let small = split(&smallest, false);
    check(&smallest, &small);
    let is_known = is_byte_stream(&pieces) && is_byte_stream(&small);
    if is_known && !records.iter().any(has_stray_slice) {
        assert_eq!(pieces.begun, small.begun);
        assert_eq!(pieces.rest, small.rest);
        for (one, other) in pieces.units.iter().zip(&small.units) {
            assert_eq!(facts(one), facts(other));
        }
    }
});

fn is_byte_stream(split: &Split) -> bool {
    let is_other = |damage: &Damage| {
        // The first difference is printed, so that an artifact can be understood.
        matches!(damage, Damage::LengthPrefixed | Damage::NotByteStream)
    };
    !split.damages.iter().any(is_other)
}

/// Returns whether a record has a slice without contents. The splitter assigns it to a picture by its
/// record, so that other cuts give other access units.
fn has_stray_slice(record: &Bytes) -> bool {
    let is_stray = |nal: &[u8]| nal.len() == 1 && matches!(nal[0] & 0x1f, 1 | 2 | 5);
    nal_units(record).any(|nal| is_stray(&record[nal.bytes]))
}

fn facts(unit: &AccessUnit) -> impl PartialEq + std::fmt::Debug {
    (
        unit.parts.concat(),
        (unit.idr, unit.recovery_point, unit.order),
        (unit.sps_id, unit.integrity, unit.after_loss),
    )
}

/// Each access unit that begins is given, and its bytes are those of the records, in their order,
/// each once.
fn check(records: &[Bytes], split: &Split) {
    assert_eq!(split.begun, split.units.len());
    let address = |part: &Bytes| part.as_ptr() as usize;
    let mut at = 0;
    let mut last = 0;
    let mut given = 0;
    for unit in &split.units {
        let is_undecodable = unit.integrity == Integrity::Undecodable;
        assert_eq!(unit.order.is_none(), is_undecodable);
        assert_eq!(unit.parts.is_empty(), is_undecodable);
        for part in &unit.parts {
            assert!(!part.is_empty());
            let begin = address(part.bytes());
            let is_in = |record: &Bytes| {
                let record = address(record)..=address(record) + record.len();
                record.contains(&begin) && record.contains(&(begin + part.len()))
            };
            match records[at..].iter().position(is_in) {
                Some(0) => assert!(last <= begin),
                Some(ahead) => at += ahead,
                None => {
                    // Parameter sets of units that are lost, or a copy of something small.
                    let mut types = nal_units(part).map(|nal| part[nal.bytes.start] & 0x1f);
                    if !types.all(|kind| matches!(kind, 7 | 8)) {
                        let has_part = |record: &Bytes| memmem::find(record, part).is_some();
                        assert!(records.iter().any(has_part));
                        given += part.len();
                    }
                    continue;
                }
            }
            last = begin + part.len();
            given += part.len();
        }
    }
    let all: usize = records.iter().map(Bytes::len).sum();
    assert!(given + split.rest <= all);
}
