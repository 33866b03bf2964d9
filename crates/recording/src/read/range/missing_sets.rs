// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the records before a range that begins without parameter sets, until they are found.

use std::collections::VecDeque;
use std::sync::Arc;

use client::{EntrySource, View};
use media::codec::h264::ParameterSets;
use media::content::ContentKind;

use super::super::backward::{WindowEvent, WindowReader};
use super::super::error::Error;
use super::super::item::Item;
use super::super::parameter_sets::ParameterSetSearch;
use super::records::RangeRecords;

/// A search for the parameter sets of a range.
#[derive(Debug)]
pub struct MissingSets {
    search: ParameterSetSearch,
    window: WindowReader,
    /// Records to continue with.
    records: RangeRecords,
}

impl MissingSets {
    /// Returns a search before `time`, in µs since the Unix epoch, back to `reach` µs before it.
    pub fn new(time: u64, reach: u64, records: RangeRecords) -> Self {
        tracing::info!(time, "looking for parameter sets before a record");
        Self {
            search: ParameterSetSearch::new(time, reach),
            window: WindowReader::default(),
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
        items: &mut VecDeque<Item>,
    ) -> Result<bool, Error> {
        match self.window.next().await? {
            WindowEvent::Record(record)
                if ContentKind::of(&record.content_type) == Some(ContentKind::H264) =>
            {
                self.search.add(record.chunks);
            }
            WindowEvent::Record(_) => {}
            WindowEvent::Retry(text) => items.push_back(Item::Retry(text)),
            WindowEvent::Closed => match self.search.next_window() {
                Some(window) => self.window.open(access, window, View::Lookup),
                None => return Ok(true),
            },
        }
        Ok(false)
    }

    /// Returns the parameter sets, if they were found, and the records to continue with.
    pub fn finish(self) -> (Option<ParameterSets>, RangeRecords) {
        (self.search.into_sets(), self.records)
    }
}
