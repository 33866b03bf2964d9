// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reading of one window of an entry by a query of its own, or of a whole range.

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

use crate::admin::Entry;
use crate::error::{Cause, Error};
use crate::http::batch::{RecordHeader, Slicer, WINDOW_RECORDS, record};
use crate::http::batch_size::BatchSize;
use crate::http::condition::{Bounds, condition, depends_on_order};
use crate::http::pool::{
    Batch, BatchAnswer, BatchError, BatchRequest, ClientPool, PooledClient, Route, ServerQuery,
};
use crate::read::plan::{Window, Yield};
use crate::read::query::View;
use crate::read::queue::{Chunk, ReaderStats, Room};
use crate::record::Record;
use crate::time::utc;

/// Lifetime of an idle query of a window on the server, which keeps finished ones, too.
const TTL: Duration = Duration::from_secs(10);
/// Lifetime of a conditional query, for which the server may look through many records.
const TTL_OF_CONDITION: Duration = Duration::from_secs(60);
/// Lifetime of a query of a whole range, whose records may wait for the consumer. A query that expires in a pause is
/// made again, from the beginning of the range, so that a batch should not last as long in a player.
const TTL_OF_WHOLE: Duration = Duration::from_secs(300);
const WHOLE_BATCH_RECORDS: u64 = 128;
/// Limit of a batch of headers: it counts the contents, which are not sent.
const NO_LIMIT: u64 = u32::MAX as u64;
/// Idle time after which the server's identity is checked before a query is used.
const MAX_IDLE: Duration = Duration::from_millis(100);
/// Phase in a second of its age at which a query is compared with the server's uptime, and number of attempts.
const UPTIME_PHASE: Duration = Duration::from_millis(950);
const UPTIME_ROUNDS: u32 = 3;
/// Bytes that go to the consumer together, because each transfer may wake a thread.
const CHUNK_BYTES: usize = 256 << 10;
/// Number of times in a row that a query is made again because the answer came on another connection. The HTTP client
/// may open one without need.
const MAX_REROUTED: u32 = 3;
/// Largest number of refusals in a row without a new record: enough to find the number of records that passes.
const MAX_REFUSALS: u32 = 16;
/// Factor between actual and expected size from which on a window is planned again before it is read.
const OVERSIZE_FACTOR: u64 = 4;

/// Duration of an empty answer from which on the server counts as busy with a search.
const SLOW_ANSWER: Duration = Duration::from_secs(2);
/// Largest number of such answers in a row: more than a minute.
const MAX_SLOW_ANSWERS: u32 = 30;
const MEMORY_UNIT: u64 = 4 << 10;
const MAX_MEMORY_UNITS: u64 = u32::MAX as u64 >> 4;

/// An event of a window, in this order.
#[derive(Debug)]
pub enum WindowEvent {
    /// Records in the order of their times, within the window.
    Records(Chunk),
    /// The window is complete.
    End,
}

/// Channel for the events of a window.
pub type WindowSender = mpsc::UnboundedSender<Result<WindowEvent, Error>>;

/// Result of a window.
#[derive(Debug, Clone, Copy)]
pub struct WindowEnd {
    pub found: Yield,
    /// End of the time in which that was found, if not all of the window.
    pub until: Option<u64>,
    /// Time at which the window was left, because it holds more than its share.
    pub rest: Option<u64>,
    /// Duration from the query on.
    pub took: Duration,
}

/// An entry, filter and connections of windows.
#[derive(Debug)]
pub struct WindowSource {
    pub pool: Arc<ClientPool>,
    pub entry: Arc<Entry>,
    pub when: Option<JsonValue>,
    pub view: View,
    /// The caller waits for the first answer.
    pub is_urgent: AtomicBool,
    pub batch_size: Arc<BatchSize>,
    /// Largest content of a record, in bytes.
    pub max_record_bytes: u64,
    pub stats: Arc<ReaderStats>,
}

/// Result of a request for the next records of a query.
enum Reply {
    BatchAnswer(BatchAnswer),
    /// The answer was refused. Another query has to request fewer records at a time.
    Refused(Error),
}

/// Refusals of answers while a range is read by one query.
#[derive(Default)]
struct RangeRefusals {
    in_all: u32,
    /// Since the last new record.
    in_vain: u32,
    /// Position at the last refusal.
    next: u64,
}

impl RangeRefusals {
    /// Counts a refusal, when the range was read up to `next`.
    ///
    /// # Errors
    ///
    /// The refusal, if too many in a row have come without a new record.
    fn note(&mut self, error: Error, next: u64) -> Result<(), Error> {
        self.in_all = self.in_all.saturating_add(1);
        if next > self.next {
            self.in_vain = 0;
        }
        self.next = next;
        self.in_vain += 1;
        match self.in_vain > MAX_REFUSALS {
            true => Err(error),
            false => Ok(()),
        }
    }
}

/// A query and the largest number of records of its answers.
struct OpenQuery<'a> {
    query: ServerQuery<'a>,
    asked: u64,
}

impl WindowSource {
    /// Makes the query for a window and waits for memory, with the connection for a short time only. Then reads the
    /// window, or its beginning if it holds more than its share.
    pub async fn read_window(
        &self,
        window: Window,
        mut room: oneshot::Receiver<Room>,
        pieces: &WindowSender,
    ) -> Result<WindowEnd, Error> {
        {
            let client = self.pool.take().await?;
            let made = self.make_for(&window, &window.range, &client).await?;
            match timeout(self.pool.max_wait(), &mut room).await {
                Ok(Ok(room)) => {
                    let made = Some(made);
                    return self.read_parts(made, &client, &window, &room, pieces).await;
                }
                Ok(Err(_)) => return pending().await, // The owner aborts this task.
                Err(_) => {}                          // The query has expired unused.
            }
        }
        let Ok(room) = room.await else {
            return pending().await;
        };
        let client = self.pool.take().await?;
        self.read_parts(None, &client, &window, &room, pieces).await
    }

    /// Makes a query for a part of a window's range.
    async fn make_for<'a>(
        &self,
        window: &Window,
        range: &Range<u64>,
        client: &'a PooledClient<'a>,
    ) -> Result<OpenQuery<'a>, Error> {
        let bounds = Bounds {
            records: Some(window.records),
            // The last record may go beyond it.
            batch_bytes: window.bytes.saturating_sub(window.record).max(1),
            // One more, so that the server sees the end with the last record.
            batch_records: self.batch_size.of(window.records + 1),
        };
        Ok(OpenQuery {
            query: client.query(&self.query(range, bounds, self.ttl())).await?,
            asked: bounds.batch_records.min(window.records),
        })
    }

    /// Reads a window, by the given query if there is one. It takes one answer, or several where answers may not have
    /// so many records.
    async fn read_parts<'a>(
        &self,
        mut next: Option<OpenQuery<'a>>,
        client: &'a PooledClient<'a>,
        window: &Window,
        room: &Room,
        pieces: &WindowSender,
    ) -> Result<WindowEnd, Error> {
        let begin = Instant::now();
        let begin = (next.as_ref()).map_or(begin, |made| begin - made.query.age());
        let mut progress = WindowProgress::new(&window.range);
        let memory = Memory::new(room, window.bytes);
        let (mut rerouted, mut empty) = (0, 0);
        let mut refusals = RangeRefusals::default();
        let mut has_parts = false;
        loop {
            let (mut made, is_new) = match next.take() {
                Some(made) => (made, false),
                None => {
                    let range = progress.next..window.range.end;
                    (self.make_for(window, &range, client).await?, true)
                }
            };
            // On a busy machine it may have waited longer than it seemed, and the server may have
            // turned out to be near. A query that is older may send other bytes where records are
            // removed.
            let is_old = !is_new && made.query.waited() > self.pool.max_wait();
            if is_old || self.batch_size.is_too_large(made.asked) {
                continue;
            }
            let answer = match self.ask(&mut made).await? {
                Reply::BatchAnswer(answer) => answer,
                Reply::Refused(error) => {
                    refusals.note(error, progress.next)?;
                    continue;
                }
            };
            if answer.route != Route::Same {
                if answer.route == Route::Other && rerouted < MAX_REROUTED {
                    rerouted += 1;
                    continue;
                }
                self.check_uptime(&made.query).await?;
            }
            let Some(batch) = answer.batch else {
                return Ok(progress.end(window, begin.elapsed()));
            };
            let is_last = batch.is_last;
            if batch.records.is_empty() && is_last {
                return Ok(progress.end(window, begin.elapsed()));
            }
            if !has_record_in(&batch, &(progress.next..window.range.end)) {
                check_fruitless(&batch, &made.query, &mut empty)?;
                next = Some(made);
                continue;
            }
            let found = found(&batch);
            if !has_parts && is_oversized(found, window) {
                return Ok(progress.put_off(found, &batch, begin.elapsed()));
            }
            if has_parts && found.bytes.saturating_add(progress.found.bytes) > 2 * window.bytes {
                return Ok(progress.leave(begin.elapsed()));
            }
            has_parts = true;
            self.read_batch(batch, &mut progress, &memory, pieces)
                .await?;
            if is_last {
                return Ok(progress.end(window, begin.elapsed()));
            }
            // A new window for the rest fits better, by what the plan knows now.
            if found.records < made.asked
                || progress.found.records >= window.records
                || progress.found.bytes.saturating_add(found.bytes) > window.bytes
            {
                return Ok(progress.leave(begin.elapsed()));
            }
            next = Some(made);
        }
    }

    /// Reads all of a range by one query, in batches of `batch_bytes` as there is `room` for them.
    pub async fn read_whole(
        &self,
        range: Range<u64>,
        batch_bytes: u64,
        room: Arc<Semaphore>,
        pieces: &WindowSender,
    ) -> Result<(), Error> {
        let (batch_bytes, batch_records, ttl) = match self.view {
            View::Range => (batch_bytes, WHOLE_BATCH_RECORDS, TTL_OF_WHOLE),
            View::Lookup | View::Tail => (batch_bytes, WINDOW_RECORDS, self.ttl()),
            View::Headers | View::Times => (NO_LIMIT, WINDOW_RECORDS, self.ttl()),
        };
        // Other records would be chosen from another beginning.
        let is_whole = self.when.as_ref().is_some_and(depends_on_order);
        let client = self.pool.take().await?;
        let mut progress = WindowProgress::new(&range);
        let mut refusals = RangeRefusals::default();
        loop {
            let start = match is_whole {
                true => range.start,
                false => progress.next,
            };
            // After a refusal all is read again: fewer answers meet fewer refusals.
            let is_refused = refusals.in_all > 0 || self.pool.refusals().are_records_refused();
            let wanted = match is_whole && is_refused {
                true => WINDOW_RECORDS,
                false => batch_records,
            };
            let bounds = Bounds {
                records: None,
                batch_bytes,
                batch_records: self.batch_size.of(wanted),
            };
            let query = self.query(&(start..range.end), bounds, ttl);
            let made = OpenQuery {
                query: client.query(&query).await?,
                asked: bounds.batch_records,
            };
            let read = self.read_query(made, start, &mut progress, batch_bytes, &room, pieces);
            match read.await? {
                None => return Ok(()),
                Some(error) => refusals.note(error, progress.next)?,
            }
        }
    }

    /// Reads a query to its end, from `start` on. Returns the refusal of an answer, if there was one and
    /// another query is to ask for other numbers of records at a time.
    async fn read_query(
        &self,
        mut made: OpenQuery<'_>,
        start: u64,
        progress: &mut WindowProgress,
        batch_bytes: u64,
        room: &Arc<Semaphore>,
        pieces: &WindowSender,
    ) -> Result<Option<Error>, Error> {
        // Position of this query: its first records may have been read by the one before it.
        let mut position = start;
        let mut empty = 0;
        loop {
            let permit = room.clone().acquire_owned().await;
            let permit = permit.map_err(|err| Error::new(Cause::Broken, err.to_string()))?;
            let idle = made.query.idle();
            let answer = match self.ask(&mut made).await? {
                Reply::BatchAnswer(answer) => answer,
                Reply::Refused(error) => return Ok(Some(error)),
            };
            if answer.route != Route::Same || idle > MAX_IDLE {
                self.check_uptime(&made.query).await?;
            }
            let Some(batch) = answer.batch else {
                return Ok(None);
            };
            let is_last = batch.is_last;
            if batch.records.is_empty() && is_last {
                return Ok(None);
            }
            if !has_record_in(&batch, &(position..progress.end)) {
                check_fruitless(&batch, &made.query, &mut empty)?;
                continue;
            }
            let last = batch.records.last().map(|record| record.time());
            position = position.max(last.unwrap_or(0).saturating_add(1));
            let room: Room = Arc::new(permit);
            let memory = Memory::new(&room, batch_bytes);
            self.read_batch(batch, progress, &memory, pieces).await?;
            if is_last {
                return Ok(None);
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
            when: Some(condition(self.when.as_ref(), bounds, self.entry.schema())),
            ..Default::default()
        }
    }

    /// Requests the next records of a query.
    async fn ask(&self, made: &mut OpenQuery<'_>) -> Result<Reply, Error> {
        let asking = BatchRequest {
            method: match self.view {
                View::Range | View::Lookup | View::Tail => Method::GET,
                View::Headers | View::Times => Method::HEAD,
            },
            is_little: matches!(self.view, View::Lookup | View::Headers)
                || self.is_urgent.swap(false, Ordering::Relaxed),
        };
        let (is_to_repeat, error) = match made.query.ask(asking).await {
            Ok(answer) => {
                let records = answer.batch.as_ref().map(|batch| batch.records.len());
                self.batch_size.pass(records.unwrap_or(0) as u64);
                return Ok(Reply::BatchAnswer(answer));
            }
            // As short answers are refused, too, the reason is not the head's length.
            Err(BatchError::Head(error))
                if error.is_not_taken() && self.pool.refusals().is_short_refused() =>
            {
                (true, error)
            }
            Err(BatchError::Busy(error)) => (true, error),
            Err(BatchError::Head(error)) => (self.batch_size.refuse(made.asked, &error), error),
            Err(BatchError::BrokenOff(error)) => (self.batch_size.break_off(made.asked), error),
            Err(BatchError::Other(error)) => (false, error),
        };
        if is_to_repeat {
            return Ok(Reply::Refused(error));
        }
        if error.cause == Cause::QueryLost {
            // It may be lost with the entry, which no retry brings back.
            self.entry.times().await?;
        }
        Err(error)
    }

    /// Fails unless the server's uptime is longer than the age of the query. A proxy may keep its connection over a
    /// restart, after which the id may be that of another client's query.
    async fn check_uptime(&self, query: &ServerQuery<'_>) -> Result<(), Error> {
        for round in 0..UPTIME_ROUNDS {
            let uptime = self.entry.server_uptime().await?.as_secs();
            let age = query.age();
            if uptime > age.as_secs() {
                return Ok(());
            }
            if uptime < age.as_secs() || round + 1 == UPTIME_ROUNDS {
                break;
            }
            // The uptime is in whole seconds: a server that is hardly older than the query is recognised shortly
            // before the query's age is a whole number.
            let wait = UPTIME_PHASE.saturating_sub(Duration::from_nanos(age.subsec_nanos().into()));
            tokio::time::sleep(wait).await;
        }
        let text = "the server was restarted while a query was being read";
        Err(Error::new(Cause::QueryLost, text))
    }

    /// Reads a batch to its end, and sends what belongs to the range as it comes. Without a length in the head, a
    /// missing record is noticed only at the end, and nothing is sent before.
    async fn read_batch(
        &self,
        mut batch: Batch,
        progress: &mut WindowProgress,
        memory: &Memory,
        pieces: &WindowSender,
    ) -> Result<(), Error> {
        let received = Instant::now();
        let mut headers = mem::take(&mut batch.records);
        let mut output = Output {
            records: Vec::new(),
            received,
            memory,
            pieces,
            stats: &self.stats,
        };
        if self.view == View::Headers {
            let records = headers.into_iter().map(|header| record(header, Vec::new()));
            output.records.extend(records);
            return output.send(progress).await;
        }
        let too_large = (headers.iter()).position(|it| it.length() > self.max_record_bytes);
        let too_large = too_large.map(|index| {
            let error = self.too_large(&headers[index]);
            headers.truncate(index);
            error
        });
        let mut gathered = 0;
        let mut slicer = Slicer::new(headers);
        let is_checked = batch.has_length;
        let mut bytes = Some(Bytes::new()); // for records that have none
        while let Some(some) = bytes {
            gathered += some.len();
            slicer.push(some, &mut output.records);
            if let Some(error) = &too_large
                && slicer.is_complete()
            {
                output.send(progress).await?;
                return Err(error.clone());
            }
            if gathered >= CHUNK_BYTES && is_checked {
                gathered = 0;
                output.send(progress).await?;
            }
            let next = {
                let mut next = pin!(batch.chunk());
                match next.as_mut().now_or_never() {
                    Some(next) => next,
                    None => {
                        // The rest may take long.
                        if is_checked {
                            output.send(progress).await?;
                        }
                        next.await
                    }
                }
            };
            bytes = match next {
                Ok(bytes) => bytes,
                Err(error) => {
                    if is_checked {
                        output.send(progress).await?; // Complete records count.
                    }
                    return Err(error);
                }
            };
        }
        let finished = slicer.finish();
        if is_checked || finished.is_ok() {
            output.send(progress).await?;
        }
        finished
    }

    fn too_large(&self, header: &RecordHeader) -> Error {
        let text = format!(
            "the record at {} ({} µs) has {} bytes, and {} allows {}",
            utc(header.time()),
            header.time(),
            header.length(),
            self.entry.names().max_record_bytes,
            self.max_record_bytes
        );
        Error::new(Cause::TooLarge, text)
    }
}

/// Records of a batch on their way to the reader.
struct Output<'a> {
    records: Vec<Record>,
    received: Instant,
    memory: &'a Memory,
    pieces: &'a WindowSender,
    stats: &'a Arc<ReaderStats>,
}

impl Output<'_> {
    /// Sends the records that belong to the range, as soon as there is memory for them.
    async fn send(&mut self, progress: &mut WindowProgress) -> Result<(), Error> {
        let mut records = mem::take(&mut self.records);
        let all = records.len();
        progress.came += all as u64;
        records.retain(|record| progress.take(record));
        let skipped = (all - records.len()) as u64;
        self.stats.skipped.fetch_add(skipped, Ordering::Relaxed);
        if !records.is_empty() {
            let room = self.memory.take(&records).await?;
            let chunk = Chunk::new(records, self.received, self.stats, &room);
            // The receiver may already be dropped.
            let _ = self.pieces.send(Ok(WindowEvent::Records(chunk)));
        }
        Ok(())
    }
}

/// Memory for the records of a window or batch, beyond which its body is not read on. More than
/// expected comes only from servers that send more than they were asked for.
struct Memory {
    room: Room,
    /// Limit, in units of [`MEMORY_UNIT`].
    units: Arc<Semaphore>,
    total: u32,
}

impl Memory {
    /// Creates memory for twice the expected bytes.
    fn new(room: &Room, expected: u64) -> Self {
        let units = expected.saturating_mul(2) / MEMORY_UNIT + 1;
        let total = units.min(MAX_MEMORY_UNITS) as u32;
        Self {
            room: room.clone(),
            units: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Reserves memory for records, or all of it if they need more.
    async fn take(&self, records: &[Record]) -> Result<Room, Error> {
        let bytes = records.iter().map(Record::cost).sum::<u64>();
        let units = (bytes / MEMORY_UNIT + 1).min(self.total.into()) as u32;
        let permit = self.units.clone().acquire_many_owned(units).await;
        let permit = permit.map_err(|err| Error::new(Cause::Broken, err.to_string()))?;
        Ok(Arc::new((self.room.clone(), permit)))
    }
}

/// Returns whether a batch has a record within a range.
fn has_record_in(batch: &Batch, range: &Range<u64>) -> bool {
    (batch.records.iter()).any(|record| range.contains(&record.time()))
}

/// Fails if a batch has nothing new, unless the answer took long, as where the server looks through very many records
/// for a few.
fn check_fruitless(batch: &Batch, query: &ServerQuery<'_>, empty: &mut u32) -> Result<(), Error> {
    let count = batch.records.len();
    let is_slow = count == 0 && query.idle() >= SLOW_ANSWER;
    if is_slow && *empty < MAX_SLOW_ANSWERS {
        *empty += 1;
        return Ok(());
    }
    let text = match count {
        0 => "an answer of the server has neither records nor an end".into(),
        _ => format!("an answer of the server has {count} records that were not asked for"),
    };
    Err(Error::new(Cause::NothingNew, text))
}

/// Returns the size of a batch, by its headers.
fn found(batch: &Batch) -> Yield {
    Yield {
        first: batch.records.first().map(|record| record.time()),
        records: batch.records.len() as u64,
        bytes: (batch.records.iter()).fold(0, |sum, record| record.length().saturating_add(sum)),
    }
}

/// Returns whether a batch is far larger than expected.
fn is_oversized(found: Yield, window: &Window) -> bool {
    found.records > 0
        && window.record > 0
        && found.bytes > window.bytes.saturating_mul(2)
        && found.bytes / found.records > window.record.saturating_mul(OVERSIZE_FACTOR)
}

/// Progress of the reading of a range.
struct WindowProgress {
    /// Records that arrived, of the range or not.
    came: u64,
    found: Yield,
    next: u64,
    end: u64,
}

impl WindowProgress {
    fn new(range: &Range<u64>) -> Self {
        Self {
            came: 0,
            found: Yield::default(),
            next: range.start,
            end: range.end,
        }
    }

    /// Returns whether a record is one of the range, and comes after those before it.
    fn take(&mut self, record: &Record) -> bool {
        if record.time < self.next || record.time >= self.end {
            return false;
        }
        self.next = record.time + 1;
        self.found.first.get_or_insert(record.time);
        self.found.records += 1;
        self.found.bytes += record.cost();
        true
    }

    /// Ends a window of which the server has no more.
    fn end(self, window: &Window, took: Duration) -> WindowEnd {
        if self.came >= window.records {
            return self.leave(took);
        }
        WindowEnd {
            found: self.found,
            until: None,
            rest: None,
            took,
        }
    }

    fn leave(self, took: Duration) -> WindowEnd {
        let rest = Some(self.next).filter(|next| *next < self.end);
        WindowEnd {
            found: self.found,
            until: rest,
            rest,
            took,
        }
    }

    /// Leaves a batch unread whose size is known.
    fn put_off(self, found: Yield, batch: &Batch, took: Duration) -> WindowEnd {
        WindowEnd {
            found,
            until: (batch.records.last()).map(|record| record.time().saturating_add(1)),
            rest: Some(self.next),
            took,
        }
    }
}
