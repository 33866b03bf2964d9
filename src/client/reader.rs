// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! The records of an entry, in the order of their times, for a streaming thread.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use reduct_rs::JsonValue;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::error::{Error, Target};
use super::queue::{Chunk, ReaderStats};
use super::session::{Delivery, Session};
use super::{Connection, Flushed, Flushing, Task, runtime};

/// Chunks between the network and the streaming thread, besides those that wait for their turn.
const CHUNKS: usize = 4;

/// What to read.
#[derive(Debug, Clone)]
pub struct Query {
    pub bucket: String,
    pub entry: String,
    /// Time of the first record, in µs since the Unix epoch.
    pub start: Option<u64>,
    /// Time of the first record that is left out.
    pub stop: Option<u64>,
    /// Conditional query: a JSON object.
    pub when: Option<JsonValue>,
    /// Whether this is a short look beside the reading of a range: nobody wants the frame rate in the
    /// entry's `$video` attachment, and nothing is asked for in advance.
    pub is_aside: bool,
}

/// What reading may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections with a query at once.
    pub connections: u32,
    /// Bytes of records in memory. A larger record passes alone.
    pub prefetch_bytes: u64,
    /// Attempts in a row without progress before an error.
    pub retries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8,
            prefetch_bytes: 64 << 20,
            retries: 10,
        }
    }
}

/// A record of an entry.
#[derive(Debug)]
pub struct Record {
    /// µs since the Unix epoch.
    pub time: u64,
    pub content_type: String,
    /// Label `fps`.
    pub frame_rate: Option<String>,
    /// The server evicted what was before it and not read yet.
    pub after_eviction: bool,
    /// The content as it came. In order they are the record; there is one unless it is large.
    pub chunks: Vec<Bytes>,
}

impl Record {
    /// Bytes of the content.
    pub fn length(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }
}

/// What a reader reads.
#[derive(Debug)]
pub enum Event {
    /// First, and once: the entry is there. Its `$video` attachment may have a frame rate.
    Opened {
        frame_rate: Option<String>,
    },
    Record(Record),
    /// Something failed, as the text says, and will be tried again.
    Retrying(String),
}

/// Why a reader has no event.
#[derive(Debug)]
pub enum ReadError {
    /// The wait was ended. Nothing is lost: the next call goes on.
    Flushed,
    Failed(gst::ErrorMessage),
}

/// Reads an entry in the background, from when it is made until it is dropped.
#[derive(Debug)]
pub struct RecordReader {
    runtime: &'static Runtime,
    deliveries: mpsc::Receiver<Delivery>,
    /// What is left of the last records that were taken.
    chunk: Option<Chunk>,
    stats: Arc<ReaderStats>,
    _task: Task,
}

impl RecordReader {
    /// Starts to read.
    pub fn new(
        connection: Connection,
        query: Query,
        limits: Limits,
        stats: Arc<ReaderStats>,
    ) -> Result<Self, gst::ErrorMessage> {
        let runtime = runtime()?;
        let (sender, deliveries) = mpsc::channel(CHUNKS);
        let panicked = Error::makes_no_sense().message(Target {
            connection: &connection,
            bucket: &query.bucket,
            entry: &query.entry,
        });
        let session = Session::new(connection, query, limits, stats.clone(), sender.clone());
        let task = runtime.spawn(async move {
            // reduct-rs panics on some answers; a streaming thread that waits must learn of it.
            if AssertUnwindSafe(session.run())
                .catch_unwind()
                .await
                .is_err()
            {
                let _ = sender.send(Delivery::Failed(panicked)).await;
            }
        });
        Ok(Self {
            runtime,
            deliveries,
            chunk: None,
            stats,
            _task: Task(task),
        })
    }

    /// The next event, or `None` after the last record. Waits for it.
    pub fn next(&mut self, flushing: &Flushing) -> Result<Option<Event>, ReadError> {
        loop {
            if let Some(record) = self.chunk.as_mut().and_then(Iterator::next) {
                return Ok(Some(Event::Record(record)));
            }
            self.chunk = None; // Its room may be what is waited for.
            let delivery = match self.deliveries.try_recv() {
                Ok(delivery) => Some(delivery),
                Err(_) => self.wait(flushing)?,
            };
            match delivery {
                Some(Delivery::Records(chunk)) => self.chunk = Some(chunk),
                Some(Delivery::Opened { frame_rate }) => {
                    return Ok(Some(Event::Opened { frame_rate }));
                }
                Some(Delivery::Retrying(text)) => return Ok(Some(Event::Retrying(text))),
                Some(Delivery::Failed(error)) => return Err(ReadError::Failed(error)),
                None => return Ok(None),
            }
        }
    }

    fn wait(&mut self, flushing: &Flushing) -> Result<Option<Delivery>, ReadError> {
        let begin = Instant::now();
        let received = flushing.wait(self.runtime, self.deliveries.recv());
        let waited = begin.elapsed().as_nanos() as u64;
        self.stats.network_wait.fetch_add(waited, Ordering::Relaxed);
        received.map_err(|Flushed| ReadError::Flushed)
    }
}
