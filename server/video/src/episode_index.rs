// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Indexes of the frames of episodes.

use frame_index::{FrameTable, IndexError, SampleCaptures};
use media::cut::FrameRow;
use media::mp4::read_video_track_of;

use crate::error::ExportError;
use crate::output_record::{Body, OutputContent};
use crate::spool::{Spool, SpoolSettings};

/// Makes the indexes of the episodes of an entry.
#[derive(Debug)]
pub struct EpisodeIndexes {
    entry: String,
    spool: SpoolSettings,
    captures: SampleCaptures,
}

impl EpisodeIndexes {
    /// Creates the indexes of an entry, which are in `spool` until they are sent.
    pub fn new(entry: &str, spool: SpoolSettings) -> Self {
        Self {
            entry: entry.to_owned(),
            spool,
            captures: SampleCaptures::default(),
        }
    }

    /// Adds the rows of the next samples.
    pub fn add(&mut self, rows: impl Iterator<Item = FrameRow>) {
        for row in rows {
            self.captures.push(&row);
        }
    }

    /// Returns the index of a complete episode, all rows of which were added.
    ///
    /// # Errors
    ///
    /// The file of the episode cannot be read, or the index cannot be written.
    pub fn make(
        &mut self,
        episode: u32,
        file: &OutputContent,
    ) -> Result<OutputContent, ExportError> {
        let track = read_video_track_of(file).map_err(IndexError::from)?;
        let captures = self.captures.take(episode);
        let table = FrameTable::new(&track, &captures, &self.entry)?;
        let mut spool = Spool::new(self.spool.clone());
        table.write(&mut spool)?;
        let length = spool.length();
        let spooled = spool.finish().map_err(IndexError::Output)?;
        Ok(OutputContent::whole(Body::new(spooled, length)))
    }
}
