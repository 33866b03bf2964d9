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
    /// The bin stops: waits end.
    Stopped,
}

/// Conditions that the stream waits for in front of the bin.
///
/// A blocking pad probe does not serve: its wait does not end if flush-stop follows flush-start at once, and
/// flush-stop then waits for the streaming thread.
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

/// The wait was ended, because the pad is flushed or stops.
#[derive(Debug)]
pub struct Flushing;
