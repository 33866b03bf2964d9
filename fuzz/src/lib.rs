// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What the fuzz targets share.
//!
//! They take in the plugin's sources, not the plugin: these know nothing of GStreamer, so that it is
//! neither needed nor instrumented.

#[path = "../../src/h264/mod.rs"]
pub mod h264;
#[path = "../../src/reductsrc/mp4.rs"]
pub mod mp4;

use std::collections::VecDeque;

use bytes::Bytes;
use h264::{AccessUnit, AccessUnitSplitter, Aligner, Damage, nal_units};

/// Where an input is cut into records.
const CUT: &[u8] = b"CUT!";

/// The records of an input.
pub fn records(input: &[u8]) -> Vec<Bytes> {
    let mut records = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(CUT.len()).position(|window| window == CUT) {
        records.push(Bytes::copy_from_slice(&rest[..at]));
        rest = &rest[at + CUT.len()..];
    }
    records.push(Bytes::copy_from_slice(rest));
    records
}

/// Each NAL unit of a byte stream as a record.
pub fn each_nal_unit(stream: &Bytes) -> Vec<Bytes> {
    let mut starts: Vec<usize> = nal_units(stream).map(|nal| nal.start).collect();
    match starts.first_mut() {
        // Zeros before the first one go with it.
        Some(first) => *first = 0,
        None => starts.push(0),
    }
    starts.push(stream.len());
    let spans = starts.windows(2);
    spans.map(|span| stream.slice(span[0]..span[1])).collect()
}

/// What a splitter makes of records.
#[derive(Default)]
pub struct Split {
    pub units: VecDeque<AccessUnit>,
    pub begun: usize,
    /// Bytes that belong to no access unit.
    pub rest: usize,
    pub damages: Vec<Damage>,
}

/// Splits `records`, each of which ends an access unit if `end_each`.
pub fn split(records: &[Bytes], end_each: bool) -> Split {
    let mut splitter = AccessUnitSplitter::default();
    let mut split = Split::default();
    for record in records {
        let pushed = splitter.push(record, &mut split.units);
        split.begun += pushed.begun;
        split.damages.extend(pushed.damage);
        if end_each {
            splitter.end_access_unit(&mut split.units);
        }
    }
    split.rest = splitter.finish(&mut split.units);
    split
}

/// Splits `records`, which end anywhere.
pub fn split_cut(records: &[Bytes]) -> Split {
    let mut aligner = Aligner::new(false);
    let mut aligned = VecDeque::new();
    for record in records {
        aligner.push((), vec![record.clone()], &mut aligned);
    }
    aligner.end(false, &mut aligned);
    let mut splitter = AccessUnitSplitter::default();
    let mut split = Split::default();
    for record in aligned {
        let pushed = splitter.push_record(&record.pieces, &mut split.units);
        split.begun += pushed.begun;
        split.damages.extend(record.damage.or(pushed.damage));
    }
    split.rest = splitter.finish(&mut split.units);
    split
}
