// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records of a range: all of them, or those with keyframes, and their tags.

use client::{Event, Record, RecordReader};
use media::stream::RecordTag;

use super::super::error::Error;
use super::super::keyframe_records::KeyframeRecords;

/// Reader of the records of a range.
#[derive(Debug)]
pub enum RangeRecords {
    /// All records.
    All(RecordReader),
    /// Records with keyframes.
    Keyframes(KeyframeRecords),
}

impl RangeRecords {
    /// Returns the next event, or `None` after the last record.
    ///
    /// Cancel safe: no record is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of the client that are not transient.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        match self {
            Self::All(reader) => Ok(reader.recv().await?),
            Self::Keyframes(records) => records.next().await,
        }
    }
}

/// Returns the time and the labels of a record.
pub fn tag(record: Record) -> RecordTag {
    RecordTag {
        time: record.time,
        frame_rate: record.frame_rate,
        keyframe: record.keyframe,
    }
}
