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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::batch::Slicer;
use super::condition::{Bounds, condition};
use super::connection::MAX_BATCH_RECORDS;
use super::error::Error;
use super::lane::Lanes;
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
    pub lanes: Lanes,
    pub when: Option<JsonValue>,
    pub stats: Arc<ReaderStats>,
}

impl Source {
    /// Reads a window, or its beginning if it holds more than it may.
    pub async fn read_window(&self, window: Window, pieces: &Pieces) -> Result<End, Error> {
        let bounds = Bounds {
            records: Some(window.records),
            batch_bytes: window.bytes,
            batch_records: window.records.min(MAX_BATCH_RECORDS),
            batch_header_bytes: BATCH_HEADER_BYTES,
        };
        let limit = Some(&window);
        let query = self.query(&window.range, bounds, TTL);
        self.read(query, &window.range, limit, None, pieces).await
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
        self.read(query, &range, None, Some(room), pieces).await
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
        room: Option<Arc<Semaphore>>,
        pieces: &Pieces,
    ) -> Result<End, Error> {
        let lane = self.lanes.take().await?;
        let mut query = lane.query(&query).await?;
        let mut found = Yield::default();
        let mut sent = 0;
        let mut next = range.start;
        let mut is_last = false;
        while !is_last {
            let permit = match &room {
                Some(room) => room.clone().acquire_owned().await.ok(),
                None => None,
            };
            let Some(mut batch) = query.next_batch().await? else {
                break;
            };
            is_last = batch.is_last;
            let received = Instant::now();
            let mut slicer = Slicer::new(mem::take(&mut batch.records));
            let mut bytes = Some(Bytes::new()); // for records that have none
            while let Some(chunk) = bytes {
                let mut records = slicer.push(chunk)?;
                let all = records.len();
                records.retain(|record| {
                    let is_next = record.time >= next && record.time < range.end;
                    if is_next {
                        next = record.time + 1;
                    }
                    is_next
                });
                sent += all as u64;
                let skipped = (all - records.len()) as u64;
                self.stats.skipped.fetch_add(skipped, Ordering::Relaxed);
                let chunk = Chunk::new(records, received, &self.stats);
                found.records += chunk.len();
                found.bytes += chunk.bytes();
                if chunk.len() > 0 && pieces.send(Ok(Piece::Records(chunk))).is_err() {
                    break;
                }
                bytes = batch.chunk().await?;
            }
            slicer.finish()?;
            let _ = pieces.send(Ok(Piece::BatchEnd(permit)));
            // The rest is better asked for anew than left to expire, or to fill the memory.
            let is_full = |window: &Window| found.bytes >= window.bytes || query.idle() > TTL / 2;
            if !is_last && limit.is_some_and(is_full) {
                return Ok(End {
                    found,
                    rest: Some(next),
                });
            }
        }
        let reached = limit.is_some_and(|window| sent >= window.records);
        Ok(End {
            found,
            rest: Some(next).filter(|next| reached && *next < range.end),
        })
    }
}
