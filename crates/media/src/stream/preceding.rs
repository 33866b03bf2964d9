// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counts the access units of records before a range, on which the times of its first frames may depend.

use std::sync::Arc;

use bytes::Bytes;

use super::rates::DeclaredRates;
use super::record_tag::RecordTag;
use super::results::Results;
use crate::assemble::Assembler;
use crate::codec::h264::VuiFrameRate;
use crate::time::CaptureTime;
use crate::timeline::Group;

/// Consecutive records before a range, of which only the number of access units counts.
#[derive(Debug)]
pub struct PrecedingRecords {
    units: Assembler<Arc<RecordTag>>,
    vui: Option<VuiFrameRate>,
}

impl PrecedingRecords {
    /// Returns the records before those that `units` takes.
    pub(super) fn new(units: &Assembler<Arc<RecordTag>>) -> Self {
        Self {
            vui: units.splitter().vui_frame_rate(),
            units: units.with_same_sets(),
        }
    }

    /// Takes the next record in the chunks that it came in.
    pub fn push(&mut self, tag: RecordTag, chunks: Vec<Bytes>) {
        self.units.push_record(chunks, Arc::new(tag));
    }

    /// Ends the last record: the next one does not continue it.
    pub fn end_records(&mut self) {
        self.units.end_records();
    }

    /// Returns the next group of access units, as soon as its record is complete.
    pub(super) fn next_group(
        &mut self,
        rates: &DeclaredRates,
        results: &mut Results,
    ) -> Option<Group> {
        while let Some(aligned) = self.units.next_aligned() {
            let declared = rates.declared(&aligned.record, self.vui, results);
            let split = self.units.split(aligned, false);
            self.units.clear(); // Only their number matters.
            if split.begun() > 0 {
                return Some(Group {
                    time: CaptureTime::from_useconds(split.tag.time),
                    units: split.begun(),
                    declared,
                });
            }
        }
        None
    }
}
