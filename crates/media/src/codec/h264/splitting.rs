// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records as access units, for property tests and fuzz targets.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{AccessUnitSplitter, Aligner};
use crate::access_unit::AccessUnit;
use crate::codec::Damage;

/// Access units of records.
#[derive(Debug, Default)]
pub struct Split {
    /// The access units in decoding order.
    pub units: VecDeque<AccessUnit>,
    /// Access units that began, by the results of the splitter.
    pub begun: usize,
    /// Bytes after the last access unit.
    pub rest: usize,
    /// Damages in the order in which they were found.
    pub damages: Vec<Damage>,
}

/// Splits records, each of which ends an access unit if `end_each`.
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

/// Splits records that end anywhere.
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
