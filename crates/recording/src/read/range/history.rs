// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the groups before a range where the times of its first group depend on them.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use client::{EntrySource, Record, View};
use media::assemble::Assembler;
use media::codec::h264::VuiFrameRate;
use media::content::ContentKind;
use media::time::CaptureTime;
use media::timeline::Group;

use super::super::backward::{WindowEvent, WindowReader};
use super::super::error::Error;
use super::super::item::Item;
use super::super::preceding::{self, PrecedingGroups};
use super::rates::DeclaredRates;
use super::records::RangeRecords;

/// A search for the groups before a range.
#[derive(Debug)]
pub struct History {
    search: PrecedingGroups,
    window: WindowReader,
    units: Assembler<Arc<Record>>,
    vui: Option<VuiFrameRate>,
    /// Records to continue with.
    records: RangeRecords,
}

impl History {
    /// Returns a search for the groups before `first`, after which `records` continue the range.
    pub fn new(
        first: &Group,
        units: Assembler<Arc<Record>>,
        vui: Option<VuiFrameRate>,
        records: RangeRecords,
    ) -> Self {
        let length = preceding::length(first.units, first.declared.map(|it| it.rate));
        tracing::debug!(
            time = first.time.useconds(),
            "reading the groups before a range"
        );
        Self {
            search: PrecedingGroups::new(first.time.useconds(), length),
            window: WindowReader::default(),
            units,
            vui,
            records,
        }
    }

    /// Handles one event. Returns whether the search is over.
    ///
    /// # Errors
    ///
    /// Those of the client that are not transient.
    pub async fn advance(
        &mut self,
        access: &Arc<EntrySource>,
        oldest: u64,
        rates: &DeclaredRates,
        items: &mut VecDeque<Item>,
    ) -> Result<bool, Error> {
        match self.window.next().await? {
            WindowEvent::Record(mut record)
                if ContentKind::of(&record.content_type) == Some(ContentKind::H264) =>
            {
                let chunks = mem::take(&mut record.chunks);
                self.units.push_record(chunks, Arc::new(record));
            }
            WindowEvent::Record(_) => {}
            WindowEvent::Retry(text) => items.push_back(Item::Retry(text)),
            WindowEvent::Closed => {
                self.units.end_records();
                self.add(rates, items);
                let Some(window) = self.search.next_window(oldest) else {
                    return Ok(true);
                };
                self.window.open(access, window, View::Lookup);
                return Ok(false);
            }
        }
        self.add(rates, items);
        Ok(false)
    }

    /// Returns the records to continue with, and the groups in order of time.
    pub fn finish(self) -> (RangeRecords, Vec<Group>) {
        (self.records, self.search.into_groups())
    }

    /// Adds the groups of the records that are complete.
    fn add(&mut self, rates: &DeclaredRates, items: &mut VecDeque<Item>) {
        while let Some(aligned) = self.units.next_aligned() {
            let declared = rates.declared(&aligned.record, self.vui, items);
            let split = self.units.split(aligned, false);
            self.units.clear(); // Only their number matters.
            if split.begun() > 0 {
                self.search.add(Group {
                    time: CaptureTime::from_useconds(split.tag.time),
                    units: split.begun(),
                    declared,
                });
            }
        }
    }
}
