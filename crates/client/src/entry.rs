// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Facts about an entry that are known before its records.

use std::time::Instant;

/// Frame rate of a `$video` attachment as it is written there, or the fault of the attachment.
pub type FrameRate = Result<Option<String>, String>;

/// Times of an entry's records, in µs since the Unix epoch, and their number.
#[derive(Debug, Clone, Copy)]
pub struct EntryTimes {
    /// Time of the oldest record.
    pub oldest: u64,
    /// Time of the newest record.
    pub newest: u64,
    /// Number of records.
    pub records: u64,
    /// Time of the oldest record at the first request.
    pub first_oldest: u64,
    /// Instant of the request.
    pub asked: Instant,
}

/// Facts about an entry before its records.
#[derive(Debug)]
pub struct EntryInfo {
    /// Frame rate in the attachment.
    pub frame_rate: FrameRate,
    /// Times of the records.
    pub times: EntryTimes,
}
