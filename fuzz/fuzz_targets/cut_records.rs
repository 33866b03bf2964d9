// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A byte stream of NAL units with any contents, cut anywhere: its access units do not depend on
//! where.

#![no_main]

use bytes::Bytes;
use gst_plugin_reduct_fuzz::access_unit::AccessUnit;
use gst_plugin_reduct_fuzz::codec::Damage;
use gst_plugin_reduct_fuzz::{Split, records, split, split_cut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // Contents of NAL units, and the sizes of records.
    let mut parts = records(input);
    let sizes = parts.pop().unwrap_or_default();
    // A start code without a NAL unit may be left out with the broken unit before it.
    parts.retain(|nal| !nal.is_empty());
    let mut stream = Vec::new();
    for (nth, nal) in parts.iter().enumerate() {
        stream.extend_from_slice(if nth % 2 == 0 {
            &[0, 0, 0, 1]
        } else {
            &[0, 0, 1]
        });
        add_payload(nal, &mut stream);
    }
    let cut = cut(&stream, &sizes);
    let cut = split_cut(&cut);
    let whole = split_cut(&[Bytes::from(stream.clone())]);
    assert_eq!(cut.begun, cut.units.len());
    if is_byte_stream(&cut) && is_byte_stream(&whole) && !parts.iter().any(is_stray_slice) {
        assert_eq!(cut.begun, whole.begun);
        assert_eq!(cut.rest, whole.rest);
        for (one, other) in cut.units.iter().zip(&whole.units) {
            assert_eq!(facts(one), facts(other));
        }
        assert_eq!(split(&[Bytes::from(stream)], false).begun, whole.begun);
    }
});

/// Adds a NAL unit with emulation prevention bytes, which does not end with a zero (7.4.1).
fn add_payload(nal: &[u8], stream: &mut Vec<u8>) {
    let mut zeros = 0;
    for byte in nal {
        if zeros >= 2 && *byte <= 3 {
            stream.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        stream.push(*byte);
    }
    if zeros > 0 {
        stream.push(3);
    }
}

/// Cuts a stream into records of these sizes, around and around.
fn cut(stream: &[u8], sizes: &[u8]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(stream);
    let mut records = Vec::new();
    for size in sizes.iter().cycle().take(sizes.len() + stream.len()) {
        let size = usize::from(*size).min(rest.len());
        records.push(rest.split_to(size));
    }
    records.push(rest);
    records
}

/// Returns whether every record was taken for a byte stream, and none for text or lengths.
fn is_byte_stream(split: &Split) -> bool {
    let is_other =
        |damage: &Damage| matches!(damage, Damage::LengthPrefixed | Damage::NotByteStream);
    !split.damages.iter().any(is_other)
}

/// Returns whether a NAL unit is a slice without contents. The splitter assigns it to a picture by its
/// record, so that other cuts give other access units.
fn is_stray_slice(nal: &Bytes) -> bool {
    nal.len() == 1 && matches!(nal[0] & 0x1f, 1 | 2 | 5)
}

fn facts(unit: &AccessUnit) -> impl PartialEq + std::fmt::Debug {
    (
        unit.parts.concat(),
        (unit.idr, unit.recovery_point, unit.order),
        (unit.sps_id, unit.integrity, unit.after_loss),
    )
}
