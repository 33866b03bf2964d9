// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Reads one window of an entry by a query of its own.

use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reduct_base::msg::entry_api::{QueryEntry, QueryType};
use reduct_rs::JsonValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::Record;
use super::batch::Slicer;
use super::condition::{Bounds, condition};
use super::connection::MAX_BATCH_RECORDS;
use super::error::{Cause, Error};
use super::lane::{Batch, Lanes};
use super::plan::{Window, Yield};
use super::queue::{Chunk, ReaderStats};

/// How long the server keeps a query that nothing is asked of; it keeps a finished one, too. Here
/// nothing waits between the requests of a query.
const TTL: Duration = Duration::from_secs(10);
/// The same for a query that waits for its records to be taken. Longer than a batch lasts in a
/// player; a query that is lost by a pause is made again.
const TTL_OF_WHOLE: Duration = Duration::from_secs(300);
/// Record headers of a batch. hyper takes a head of 400 KB at most.
const BATCH_HEADER_BYTES: u64 = 256 << 10;

/// Bytes that go to the streaming thread together: each time may be a wake-up.
const CHUNK_BYTES: usize = 256 << 10;
/// How often in a row a query may be made anew because the answer came on another connection. The
/// HTTP client may open one without need.
const REROUTED: u32 = 3;

/// What comes of a window, in this order.
#[derive(Debug)]
pub enum Piece {
    /// Records in the order of their times, within the window.
    Records(Chunk),
    /// A batch is complete. The permit gives room for another one.
    BatchEnd(Option<OwnedSemaphorePermit>),
    /// Nothing more comes.
    End,
}

/// What was read of a window.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub found: Yield,
    /// Where the window was left, because it holds more than it may.
    pub rest: Option<u64>,
}

/// Where the pieces of a window go.
pub type Pieces = mpsc::UnboundedSender<Result<Piece, Error>>;

/// What is read, and with what.
#[derive(Debug)]
pub struct Source {
    pub lanes: Arc<Lanes>,
    pub when: Option<JsonValue>,
    pub stats: Arc<ReaderStats>,
}

impl Source {
    /// Makes the query for a window and waits for `leave`. Then it reads the window, or its
    /// beginning if it holds more than it may.
    pub async fn read_window(
        &self,
        window: Window,
        leave: oneshot::Receiver<()>,
        pieces: &Pieces,
    ) -> Result<End, Error> {
        let bounds = Bounds {
            records: Some(window.records),
            batch_bytes: window.bytes,
            // One more, so that the server sees the end with the last record.
            batch_records: (window.records + 1).min(MAX_BATCH_RECORDS),
            batch_header_bytes: BATCH_HEADER_BYTES,
        };
        let query = self.query(&window.range, bounds, TTL);
        let room = Room::AfterLeave(Some(leave));
        self.read(query, &window.range, Some(&window), room, pieces)
            .await
    }

    /// Reads all of a range by one query, in batches of `batch_bytes` as there is `room` for them.
    pub async fn read_whole(
        &self,
        range: Range<u64>,
        batch_bytes: u64,
        room: Arc<Semaphore>,
        pieces: &Pieces,
    ) -> Result<End, Error> {
        let bounds = Bounds {
            records: None,
            batch_bytes,
            batch_records: MAX_BATCH_RECORDS,
            batch_header_bytes: BATCH_HEADER_BYTES,
        };
        let query = self.query(&range, bounds, TTL_OF_WHOLE);
        let room = Room::ForBatches(room);
        self.read(query, &range, None, room, pieces).await
    }

    fn query(&self, range: &Range<u64>, bounds: Bounds, ttl: Duration) -> QueryEntry {
        QueryEntry {
            query_type: QueryType::Query,
            start: Some(range.start),
            stop: Some(range.end),
            ttl: Some(ttl.as_secs()),
            when: Some(condition(self.when.as_ref(), bounds)),
            ..Default::default()
        }
    }

    async fn read(
        &self,
        query: QueryEntry,
        range: &Range<u64>,
        limit: Option<&Window>,
        mut room: Room,
        pieces: &Pieces,
    ) -> Result<End, Error> {
        let lane = self.lanes.take().await?;
        let mut progress = Progress {
            came: 0,
            found: Yield::default(),
            next: range.start,
            end: range.end,
        };
        let mut rerouted = 0;
        'made: loop {
            let mut made = lane.query(&query).await?;
            loop {
                let permit = room.wait().await;
                if limit.is_some() && made.idle() > TTL / 2 {
                    continue 'made; // It was made for nothing.
                }
                let batch = match made.next_batch().await {
                    Err(err) if err.cause == Cause::Rerouted && progress.is_none() => {
                        rerouted += 1;
                        if rerouted > REROUTED {
                            return Err(err);
                        }
                        continue 'made;
                    }
                    batch => batch?,
                };
                let Some(batch) = batch else {
                    return Ok(progress.end(limit));
                };
                let is_last = batch.is_last;
                self.read_batch(batch, &mut progress, pieces).await?;
                let _ = pieces.send(Ok(Piece::BatchEnd(permit)));
                if is_last {
                    return Ok(progress.end(limit));
                }
                // The rest is better asked for anew than left to expire, or to fill the memory.
                let full =
                    |window: &Window| progress.found.bytes >= window.bytes || made.idle() > TTL / 2;
                if limit.is_some_and(full) {
                    return Ok(progress.leave());
                }
            }
        }
    }

    /// Reads a batch to its end, and sends what belongs to the window as it comes.
    async fn read_batch(
        &self,
        mut batch: Batch,
        progress: &mut Progress,
        pieces: &Pieces,
    ) -> Result<(), Error> {
        let received = Instant::now();
        let mut slicer = Slicer::new(mem::take(&mut batch.records));
        let mut records = Vec::new();
        let mut gathered = 0;
        let mut bytes = Some(Bytes::new()); // for records that have none
        while let Some(some) = bytes {
            gathered += some.len();
            slicer.push(some, &mut records)?;
            if gathered >= CHUNK_BYTES {
                gathered = 0;
                self.send(&mut records, received, progress, pieces);
            }
            bytes = batch.chunk().await.inspect_err(|_| {
                // What is complete counts.
                self.send(&mut records, received, progress, pieces);
            })?;
        }
        self.send(&mut records, received, progress, pieces);
        slicer.finish()
    }

    /// Sends the records that belong to the window.
    fn send(
        &self,
        records: &mut Vec<Record>,
        received: Instant,
        progress: &mut Progress,
        pieces: &Pieces,
    ) {
        let all = records.len();
        progress.came += all as u64;
        records.retain(|record| progress.take(record));
        let skipped = (all - records.len()) as u64;
        self.stats.skipped.fetch_add(skipped, Ordering::Relaxed);
        if !records.is_empty() {
            let chunk = Chunk::new(mem::take(records), received, &self.stats);
            // Nobody is there to care if this fails.
            let _ = pieces.send(Ok(Piece::Records(chunk)));
        }
    }
}

/// What reading waits for.
enum Room {
    /// Leave to begin.
    AfterLeave(Option<oneshot::Receiver<()>>),
    /// Room for each batch.
    ForBatches(Arc<Semaphore>),
}

impl Room {
    async fn wait(&mut self) -> Option<OwnedSemaphorePermit> {
        match self {
            Self::AfterLeave(leave) => {
                if let Some(leave) = leave.take() {
                    // If nobody is there to give it, this task is about to be ended.
                    let _ = leave.await;
                }
                None
            }
            Self::ForBatches(room) => room.clone().acquire_owned().await.ok(),
        }
    }
}

/// How far a range is read.
struct Progress {
    /// Records that came, of the range or not.
    came: u64,
    found: Yield,
    next: u64,
    end: u64,
}

impl Progress {
    fn is_none(&self) -> bool {
        self.came == 0
    }

    /// Whether a record is one of the range, and comes after those before it.
    fn take(&mut self, record: &Record) -> bool {
        if record.time < self.next || record.time >= self.end {
            return false;
        }
        self.next = record.time + 1;
        self.found.first.get_or_insert(record.time);
        self.found.records += 1;
        self.found.bytes += record.data.len() as u64;
        true
    }

    /// The server has no more: of the range, or of what it was asked for.
    fn end(self, limit: Option<&Window>) -> End {
        match limit {
            Some(window) if self.came >= window.records => self.leave(),
            _ => End {
                found: self.found,
                rest: None,
            },
        }
    }

    fn leave(self) -> End {
        End {
            found: self.found,
            rest: Some(self.next).filter(|next| *next < self.end),
        }
    }
}
