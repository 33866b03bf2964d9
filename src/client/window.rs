// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Reads one window of an entry by a query of its own, or a whole range.

use std::future::pending;
use std::mem;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use reduct_base::msg::entry_api::{QueryEntry, QueryType};
use reqwest::Method;
use serde_json::Value as JsonValue;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::batch::{Slicer, record};
use super::condition::{Bounds, condition};
use super::entry::Entry;
use super::error::{Cause, Error};
use super::lane::{Answer, Asking, Batch, Lane, Lanes, Query, Route};
use super::plan::{WINDOW_RECORDS, Window, Yield};
use super::queue::{Chunk, ReaderStats, Room};
use super::{Record, View};

/// How long the server keeps a query of a window that nothing is asked of; it keeps a finished one,
/// too.
const TTL: Duration = Duration::from_secs(10);
/// The same where the server may look through many records for a few.
const TTL_OF_CONDITION: Duration = Duration::from_secs(60);
/// The same for a query that waits for its records to be taken. A query that is lost by a pause is
/// made again, from the beginning of the range, so that a batch should not last as long in a player.
const TTL_OF_WHOLE: Duration = Duration::from_secs(300);
const WHOLE_BATCH_RECORDS: u64 = 128;
/// What a batch of headers may count as: they say how long the contents are, which do not come.
const NO_LIMIT: u64 = u32::MAX as u64;
/// A query that was not asked anything for this long may have another server before it.
const RESTART: Duration = Duration::from_millis(100);
/// When in a second of its age a query is compared with the server's uptime, and how often that is
/// tried.
const UPTIME_PHASE: Duration = Duration::from_millis(950);
const UPTIME_ROUNDS: u32 = 3;
/// Bytes that go to the streaming thread together: each time may be a wake-up.
const CHUNK_BYTES: usize = 256 << 10;
/// How often in a row a query may be made anew because the answer came on another connection. The
/// HTTP client may open one without need.
const REROUTED: u32 = 3;
/// Records so many times as large as expected are planned for before they are read.
const SURPRISE: u64 = 4;

/// What comes of a window, in this order.
#[derive(Debug)]
pub enum Piece {
    /// Records in the order of their times, within the window.
    Records(Chunk),
    /// Nothing more comes.
    End,
}

/// Where the pieces of a window go.
pub type Pieces = mpsc::UnboundedSender<Result<Piece, Error>>;

/// What became of a window.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub found: Yield,
    /// The time up to which that was found, if not in all of the window.
    pub until: Option<u64>,
    /// Where the window was left, because it holds more than it may.
    pub rest: Option<u64>,
    /// How long it took, from the query on.
    pub took: Duration,
}

/// What is read, and with what.
#[derive(Debug)]
pub struct Source {
    pub lanes: Arc<Lanes>,
    pub entry: Arc<Entry>,
    pub when: Option<JsonValue>,
    pub view: View,
    /// The first answer is waited for.
    pub is_urgent: AtomicBool,
    pub stats: Arc<ReaderStats>,
}

impl Source {
    /// Makes the query for a window and waits for room, with the connection for a short time only.
    /// Then it reads the window, or its beginning if it holds more than it may.
    pub async fn read_window(
        &self,
        window: Window,
        mut room: oneshot::Receiver<Room>,
        pieces: &Pieces,
    ) -> Result<End, Error> {
        let bounds = Bounds {
            records: Some(window.records),
            // The last record may go beyond it.
            batch_bytes: window.bytes.saturating_sub(window.record).max(1),
            // One more, so that the server sees the end with the last record.
            batch_records: window.records + 1,
        };
        let query = self.query(&window.range, bounds, self.ttl());
        {
            let lane = self.lanes.take().await?;
            let made = lane.query(&query).await?;
            match timeout(self.lanes.max_wait(), &mut room).await {
                Ok(Ok(room)) => {
                    // The timer is late on a busy machine, and the server may have turned out to be near.
                    let made = match made.waited() > self.lanes.max_wait() {
                        true => lane.query(&query).await?,
                        false => made,
                    };
                    return self
                        .read_made(made, &lane, &query, &window, &room, pieces)
                        .await;
                }
                Ok(Err(_)) => return pending().await, // Until this is ended.
                Err(_) => {}                          // It was made in vain.
            }
        }
        let Ok(room) = room.await else {
            return pending().await;
        };
        let lane = self.lanes.take().await?;
        let made = lane.query(&query).await?;
        self.read_made(made, &lane, &query, &window, &room, pieces)
            .await
    }

    /// Reads a window by a query that is just made.
    async fn read_made<'a>(
        &self,
        mut made: Query<'a>,
        lane: &'a Lane<'a>,
        query: &QueryEntry,
        window: &Window,
        room: &Room,
        pieces: &Pieces,
    ) -> Result<End, Error> {
        let mut rerouted = 0;
        let answer = loop {
            let answer = self.ask(&mut made).await?;
            if answer.route == Route::Same {
                break answer;
            }
            if answer.route == Route::Unknown || rerouted == REROUTED {
                self.check_uptime(&made).await?;
                break answer;
            }
            rerouted += 1;
            made = lane.query(query).await?;
        };
        let mut progress = Progress::new(&window.range);
        let Some(batch) = answer.batch else {
            return Ok(progress.end(window, made.age()));
        };
        let is_last = batch.is_last;
        if let Some(found) = surprise(&batch, window) {
            return Ok(progress.put_off(found, &batch, made.age()));
        }
        self.read_batch(batch, &mut progress, room, pieces).await?;
        // The rest is better asked for anew: by now it would not be one batch, and the query waited.
        Ok(match is_last {
            true => progress.end(window, made.age()),
            false => progress.leave(made.age()),
        })
    }

    /// Reads all of a range by one query, in batches of `batch_bytes` as there is `room` for them.
    pub async fn read_whole(
        &self,
        range: Range<u64>,
        batch_bytes: u64,
        room: Arc<Semaphore>,
        pieces: &Pieces,
    ) -> Result<(), Error> {
        let (batch_bytes, batch_records, ttl) = match self.view {
            View::Range => (batch_bytes, WHOLE_BATCH_RECORDS, TTL_OF_WHOLE),
            View::Aside | View::News => (batch_bytes, WINDOW_RECORDS, self.ttl()),
            View::Headers | View::Times => (NO_LIMIT, WINDOW_RECORDS, self.ttl()),
        };
        let bounds = Bounds {
            records: None,
            batch_bytes,
            batch_records,
        };
        let query = self.query(&range, bounds, ttl);
        let lane = self.lanes.take().await?;
        let mut progress = Progress::new(&range);
        let mut made = lane.query(&query).await?;
        loop {
            let permit = room.clone().acquire_owned().await;
            let permit = permit.map_err(|err| Error::new(Cause::Broken, err.to_string()))?;
            let idle = made.idle();
            let answer = self.ask(&mut made).await?;
            if answer.route != Route::Same || idle > RESTART {
                self.check_uptime(&made).await?;
            }
            let Some(batch) = answer.batch else {
                return Ok(());
            };
            let is_last = batch.is_last;
            let room: Room = Arc::new(permit);
            self.read_batch(batch, &mut progress, &room, pieces).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn ttl(&self) -> Duration {
        match self.when {
            Some(_) => TTL_OF_CONDITION,
            None => TTL,
        }
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

    async fn ask(&self, query: &mut Query<'_>) -> Result<Answer, Error> {
        let asking = Asking {
            method: match self.view {
                View::Range | View::Aside | View::News => Method::GET,
                View::Headers | View::Times => Method::HEAD,
            },
            is_little: matches!(self.view, View::Aside | View::Headers)
                || self.is_urgent.swap(false, Ordering::Relaxed),
        };
        let answer = query.ask(asking).await;
        if let Err(err) = &answer
            && err.cause == Cause::QueryLost
        {
            // It may be lost with the entry, which no retry brings back.
            self.entry.times().await?;
        }
        answer
    }

    /// Fails unless the server has run for longer than there has been the query. A proxy may keep
    /// its connection over a restart, after which the id may be that of somebody else's query.
    async fn check_uptime(&self, query: &Query<'_>) -> Result<(), Error> {
        for round in 0..UPTIME_ROUNDS {
            let uptime = self.entry.server_uptime().await?.as_secs();
            let age = query.age();
            if uptime > age.as_secs() {
                return Ok(());
            }
            if uptime < age.as_secs() || round + 1 == UPTIME_ROUNDS {
                break;
            }
            // It tells whole seconds: one that is hardly older than the query shows that shortly
            // before the query's age is a whole number of them.
            let wait = UPTIME_PHASE.saturating_sub(Duration::from_nanos(age.subsec_nanos().into()));
            tokio::time::sleep(wait).await;
        }
        let text = "the server was restarted while a query was being read";
        Err(Error::new(Cause::QueryLost, text))
    }

    /// Reads a batch to its end, and sends what belongs to the range as it comes.
    async fn read_batch(
        &self,
        mut batch: Batch,
        progress: &mut Progress,
        room: &Room,
        pieces: &Pieces,
    ) -> Result<(), Error> {
        let received = Instant::now();
        let headers = mem::take(&mut batch.records);
        let mut records = Vec::new();
        let mut gathered = 0;
        let mut send = |records: &mut Vec<Record>| {
            let all = records.len();
            progress.came += all as u64;
            records.retain(|record| progress.take(record));
            let skipped = (all - records.len()) as u64;
            self.stats.skipped.fetch_add(skipped, Ordering::Relaxed);
            if !records.is_empty() {
                let chunk = Chunk::new(mem::take(records), received, &self.stats, room);
                // Nobody is there to care if this fails.
                let _ = pieces.send(Ok(Piece::Records(chunk)));
            }
        };
        if self.view == View::Headers {
            records.extend(headers.into_iter().map(|header| record(header, Vec::new())));
            send(&mut records);
            return Ok(());
        }
        let mut slicer = Slicer::new(headers);
        let mut bytes = Some(Bytes::new()); // for records that have none
        while let Some(some) = bytes {
            gathered += some.len();
            slicer.push(some, &mut records);
            if gathered >= CHUNK_BYTES {
                gathered = 0;
                send(&mut records);
            }
            let next = {
                let mut next = pin!(batch.chunk());
                match next.as_mut().now_or_never() {
                    Some(next) => next,
                    None => {
                        // The rest may be long in coming.
                        send(&mut records);
                        next.await
                    }
                }
            };
            bytes = match next {
                Ok(bytes) => bytes,
                Err(error) => {
                    send(&mut records); // What is complete counts.
                    return Err(error);
                }
            };
        }
        send(&mut records);
        slicer.finish()
    }
}

/// What a batch has, if that is far more than was expected.
fn surprise(batch: &Batch, window: &Window) -> Option<Yield> {
    let found = Yield {
        first: batch.records.first().map(|record| record.time()),
        records: batch.records.len() as u64,
        bytes: (batch.records.iter()).fold(0, |sum, record| record.length().saturating_add(sum)),
    };
    let is_more = found.records > 0
        && window.record > 0
        && found.bytes > window.bytes.saturating_mul(2)
        && found.bytes / found.records > window.record.saturating_mul(SURPRISE);
    is_more.then_some(found)
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
    fn new(range: &Range<u64>) -> Self {
        Self {
            came: 0,
            found: Yield::default(),
            next: range.start,
            end: range.end,
        }
    }

    /// Whether a record is one of the range, and comes after those before it.
    fn take(&mut self, record: &Record) -> bool {
        if record.time < self.next || record.time >= self.end {
            return false;
        }
        self.next = record.time + 1;
        self.found.first.get_or_insert(record.time);
        self.found.records += 1;
        self.found.bytes += record.length();
        true
    }

    /// The server has no more: of the window, or of what it was asked for.
    fn end(self, window: &Window, took: Duration) -> End {
        if self.came >= window.records {
            return self.leave(took);
        }
        End {
            found: self.found,
            until: None,
            rest: None,
            took,
        }
    }

    fn leave(self, took: Duration) -> End {
        let rest = Some(self.next).filter(|next| *next < self.end);
        End {
            found: self.found,
            until: rest,
            rest,
            took,
        }
    }

    /// Leaves a batch unread, of which is known what it has.
    fn put_off(self, found: Yield, batch: &Batch, took: Duration) -> End {
        End {
            found,
            until: (batch.records.last()).map(|record| record.time().saturating_add(1)),
            rest: Some(self.next),
            took,
        }
    }
}
