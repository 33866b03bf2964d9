// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Conditions under which the stream may enter the bin.

/// State of the bin as far as the stream waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gate {
    /// The bin is in PAUSED. splitmuxsink itself is always in PLAYING.
    #[default]
    Closed,
    Open,
    /// The bin stops: nothing waits any more.
    Stopped,
}

/// What the stream waits for in front of the bin.
///
/// A pad that is blocked by a probe waits on where flush-stop comes right behind flush-start, and
/// flush-stop waits for it.
#[derive(Debug, Default)]
pub struct Entry {
    pub gate: Gate,
    /// Seeks on their way upstream.
    pub seeks: usize,
    /// Between flush-start and flush-stop.
    pub is_flushing: bool,
    /// Flushes so far.
    pub flushes: u64,
}

/// The stream does not enter: the pad is flushed, or stops.
#[derive(Debug)]
pub struct Flushing;
