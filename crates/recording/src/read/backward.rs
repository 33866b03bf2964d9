// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads windows of records before a time, each twice as long as the one after it.
//!
//! ReductStore reads forwards only, so a search backwards is a series of queries.

use std::ops::Range;
use std::sync::Arc;

use client::{EntrySource, Event, Query, Record, RecordReader, View};

use super::error::Error;

/// Lengths of windows before a time. Times are in µs since the Unix epoch.
#[derive(Debug)]
pub struct Windows {
    first: u64,
    next: u64,
}

impl Windows {
    /// Returns windows of which the first has a length of `first` µs.
    pub fn new(first: u64) -> Self {
        Self { first, next: first }
    }

    /// Begins with a short window again.
    pub fn restart(&mut self) {
        self.next = self.first;
    }

    /// Returns the next window, which ends before `end` and does not begin before `floor`.
    pub fn before(&mut self, end: u64, floor: u64) -> Range<u64> {
        let start = end.saturating_sub(self.next).max(floor);
        self.next = self.next.saturating_mul(2);
        start..end
    }
}

/// Reader of a window of records, beside the records of a range.
#[derive(Debug, Default)]
pub struct WindowReader(Option<RecordReader>);

/// Event of a window reader.
#[derive(Debug)]
pub enum WindowEvent {
    /// The next record of the window.
    Record(Record),
    /// A transient error, as the text says. The request is repeated.
    Retry(String),
    /// No window is open.
    Closed,
}

impl WindowReader {
    /// Begins to read a window.
    pub fn open(&mut self, access: &Arc<EntrySource>, window: Range<u64>, view: View) {
        let query = Query {
            start: Some(window.start),
            stop: Some(window.end),
            view,
            ..Query::default()
        };
        self.0 = Some(RecordReader::new(access, query));
    }

    /// Returns the next event of the window that is open.
    ///
    /// Cancel safe: no record is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of the client that are not transient.
    pub async fn next(&mut self) -> Result<WindowEvent, Error> {
        while let Some(reader) = &mut self.0 {
            match reader.recv().await? {
                Some(Event::Record(record)) => return Ok(WindowEvent::Record(record)),
                Some(Event::Retrying(text)) => return Ok(WindowEvent::Retry(text)),
                Some(Event::Opened(_) | Event::Times(_)) => {}
                None => self.0 = None,
            }
        }
        Ok(WindowEvent::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_double_down_to_the_floor() {
        let mut windows = Windows::new(10);
        assert_eq!(windows.before(100, 0), 90..100);
        assert_eq!(windows.before(90, 0), 70..90);
        assert_eq!(windows.before(70, 40), 40..70);
        windows.restart();
        assert_eq!(windows.before(40, 0), 30..40);
    }
}
