// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the length of the newest episode before the first one is put out, so that the duration is known.

use std::collections::VecDeque;
use std::sync::Arc;

use client::{EntrySource, View};
use media::time::{CaptureTime, Nanos};

use super::super::backward::{WindowEvent, WindowReader};
use super::super::episode::Episode;
use super::super::extent::Extent;
use super::super::item::Item;
use super::records::RangeRecords;

/// A look at the newest episode.
#[derive(Debug)]
pub struct LastEpisode {
    window: WindowReader,
    /// Episode to put out afterwards.
    first: Episode,
    /// Records to continue with.
    records: RangeRecords,
}

impl LastEpisode {
    /// Returns a look at the record at `newest`, in µs since the Unix epoch.
    pub fn new(
        access: &Arc<EntrySource>,
        newest: u64,
        first: Episode,
        records: RangeRecords,
    ) -> Self {
        let mut window = WindowReader::default();
        window.open(access, newest..newest.saturating_add(1), View::Headers);
        Self {
            window,
            first,
            records,
        }
    }

    /// Handles one event. Returns whether the look is over.
    pub async fn advance(&mut self, extent: &Extent, items: &mut VecDeque<Item>) -> bool {
        match self.window.next().await {
            Ok(WindowEvent::Record(record)) => {
                if let Some(duration) = record.duration {
                    let time = CaptureTime::from_useconds(record.time);
                    let duration = Nanos::from_nseconds(duration.min(u64::MAX - 1));
                    extent.note_episode(time, duration);
                }
                false
            }
            Ok(WindowEvent::Retry(text)) => {
                items.push_back(Item::Retry(text));
                false
            }
            Ok(WindowEvent::Closed) => true,
            // The error comes again with the records themselves, if its cause persists.
            Err(error) => {
                tracing::info!(%error, "no length of the last episode");
                true
            }
        }
    }

    /// Returns the first episode, and the records to continue with.
    pub fn finish(self) -> (Episode, RangeRecords) {
        (self.first, self.records)
    }
}
