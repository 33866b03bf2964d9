// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Episodes: records that are whole MP4 files.

use bytes::Bytes;
use client::Record;
use media::mp4::{self, Movie};
use media::time::CaptureTime;

/// An episode.
#[derive(Debug)]
pub struct Episode {
    /// Time of its record.
    pub capture_time: CaptureTime,
    /// Times by its headers.
    pub movie: Movie,
    /// Bytes of the file. In order they are the file; they share memory with the answer of the server.
    pub file: Vec<Bytes>,
}

impl Episode {
    /// Returns the episode that a record is, or `None` if it is no MP4 file.
    pub fn new(record: Record) -> Option<Self> {
        let movie = mp4::movie(&record.chunks)?;
        Some(Self {
            capture_time: CaptureTime::from_useconds(record.time),
            movie,
            file: record.chunks,
        })
    }
}
