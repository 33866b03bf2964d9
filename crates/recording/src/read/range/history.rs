// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the groups before a range where the times of its first group depend on them.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use client::{EntrySource, View};
use media::content::ContentKind;
use media::stream::{PrecedingRecords, RecordedStream};
use media::timeline::Group;

use super::super::backward::{WindowEvent, WindowReader};
use super::super::error::Error;
use super::super::item::Item;
use super::super::preceding::{self, PrecedingGroups};
use super::records::{RangeRecords, tag};

/// A search for the groups before a range.
#[derive(Debug)]
pub struct History {
    search: PrecedingGroups,
    window: WindowReader,
    preceding: PrecedingRecords,
    /// Records to continue with.
    records: RangeRecords,
}

impl History {
    /// Returns a search for the groups before `first`, after which `records` continue the range.
    pub fn new(first: &Group, preceding: PrecedingRecords, records: RangeRecords) -> Self {
        let length = preceding::length(first.units, first.declared.map(|it| it.rate));
        tracing::debug!(
            time = first.time.useconds(),
            "reading the groups before a range"
        );
        Self {
            search: PrecedingGroups::new(first.time.useconds(), length),
            window: WindowReader::default(),
            preceding,
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
        stream: &mut RecordedStream,
        items: &mut VecDeque<Item>,
    ) -> Result<bool, Error> {
        match self.window.next().await? {
            WindowEvent::Record(mut record)
                if ContentKind::of(&record.content_type) == Some(ContentKind::H264) =>
            {
                let chunks = mem::take(&mut record.chunks);
                self.preceding.push(tag(record), chunks);
            }
            WindowEvent::Record(_) => {}
            WindowEvent::Retry(text) => items.push_back(Item::Retry(text)),
            WindowEvent::Closed => {
                self.preceding.end_records();
                self.add(stream);
                let Some(window) = self.search.next_window(oldest) else {
                    return Ok(true);
                };
                self.window.open(access, window, View::Lookup);
                return Ok(false);
            }
        }
        self.add(stream);
        Ok(false)
    }

    /// Returns the records to continue with, and the groups in order of time.
    pub fn finish(self) -> (RangeRecords, Vec<Group>) {
        (self.records, self.search.into_groups())
    }

    /// Adds the groups of the records that are complete.
    fn add(&mut self, stream: &mut RecordedStream) {
        while let Some(group) = stream.next_group(&mut self.preceding) {
            self.search.add(group);
        }
    }
}
