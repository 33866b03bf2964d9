// Copyright (C) 2026 the gst-plugin-reduct authors
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
const MAX_IDLE: Duration = Duration::from_millis(100);
/// When in a second of its age a query is compared with the server's uptime, and how often that is
/// tried.
const UPTIME_PHASE: Duration = Duration::from_millis(950);
const UPTIME_ROUNDS: u32 = 3;
/// Bytes that go to the streaming thread together: each time may be a wake-up.
const CHUNK_BYTES: usize = 256 << 10;
/// How often in a row a query may be made anew because the answer came on another connection. The
/// HTTP client may open one without need.
const MAX_REROUTED: u32 = 3;
/// Refusals in a row without a new record: enough to find the number of records that passes.
const MAX_REFUSALS: u32 = 16;
/// Records so many times as large as expected are planned for before they are read.
const OVERSIZE_FACTOR: u64 = 4;

/// An empty answer that takes so long is one of a server that is busy with looking.
const SLOW_ANSWER: Duration = Duration::from_secs(2);
/// Empty answers of this kind in a row: more than a minute.
const MAX_SLOW_ANSWERS: u32 = 30;
const MEMORY_UNIT: u64 = 4 << 10;
const MAX_MEMORY_UNITS: u64 = u32::MAX as u64 >> 4;

/// What comes of a window, in this order.
#[derive(Debug)]
pub enum WindowEvent {
    /// Records in the order of their times, within the window.
    Records(Chunk),
    /// Nothing more comes.
    End,
}

/// Where the pieces of a window go.
pub type WindowSender = mpsc::UnboundedSender<Result<WindowEvent, Error>>;

/// What became of a window.
#[derive(Debug, Clone, Copy)]
pub struct WindowEnd {
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
pub struct WindowSource {
    pub pool: Arc<ClientPool>,
    pub entry: Arc<Entry>,
    pub when: Option<JsonValue>,
    pub view: View,
    /// The first answer is waited for.
    pub is_urgent: AtomicBool,
    pub batch_size: Arc<BatchSize>,
    /// Largest content of a record, in bytes.
    pub max_record_bytes: u64,
    pub stats: Arc<ReaderStats>,
}

/// What comes of a request for the next records of a query.
enum Reply {
    BatchAnswer(BatchAnswer),
    /// The answer did not pass. Another query is to ask for fewer records at a time.
    Refused(Error),
}

/// Refusals of answers while a range is read by one query.
#[derive(Default)]
struct RangeRefusals {
    in_all: u32,
    /// Since the last new record.
    in_vain: u32,
    /// How far was read by the last one.
    next: u64,
}

impl RangeRefusals {
    /// Notes a refusal, when the range was read up to `next`.
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

/// A query and how many records its answers have at most.
struct OpenQuery<'a> {
    query: ServerQuery<'a>,
    asked: u64,
}

impl WindowSource {
    /// Makes the query for a window and waits for room, with the connection for a short time only.
    /// Then it reads the window, or its beginning if it holds more than it may.
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
                Ok(Err(_)) => return pending().await, // Until this is ended.
                Err(_) => {}                          // It was made in vain.
            }
        }
        let Ok(room) = room.await else {
            return pending().await;
        };
        let client = self.pool.take().await?;
        self.read_parts(None, &client, &window, &room, pieces).await
    }

    /// Makes a query for what a window has in a part of its range.
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

    /// Reads a window, by a query that is just made if there is one. It takes one answer, or several
    /// where answers may not have so many records.
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
            // The rest is better asked for anew: what the plan knows by now fits it better.
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
            // Refusals now and then cost what was read again: fewer answers meet fewer of them.
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
        // How far this query is: what it begins with may have been read by the one before it.
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
            when: Some(condition(self.when.as_ref(), bounds)),
            ..Default::default()
        }
    }

    /// Asks a query for its next records.
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

    /// Fails unless the server has run for longer than there has been the query. A proxy may keep
    /// its connection over a restart, after which the id may be that of somebody else's query.
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
            // It tells whole seconds: one that is hardly older than the query shows that shortly
            // before the query's age is a whole number of them.
            let wait = UPTIME_PHASE.saturating_sub(Duration::from_nanos(age.subsec_nanos().into()));
            tokio::time::sleep(wait).await;
        }
        let text = "the server was restarted while a query was being read";
        Err(Error::new(Cause::QueryLost, text))
    }

    /// Reads a batch to its end, and sends what belongs to the range as it comes. Where the head does not say how
    /// long the contents are, that a record is missing in it shows at the end only, and nothing is sent before.
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
                        // The rest may be long in coming.
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
                        output.send(progress).await?; // What is complete counts.
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
    /// In units of [`MEMORY_UNIT`].
    units: Arc<Semaphore>,
    total: u32,
}

impl Memory {
    /// Memory for twice as many bytes as are expected.
    fn new(room: &Room, expected: u64) -> Self {
        let units = expected.saturating_mul(2) / MEMORY_UNIT + 1;
        let total = units.min(MAX_MEMORY_UNITS) as u32;
        Self {
            room: room.clone(),
            units: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Takes room for records, or all of it if they need more.
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

/// Fails if a batch brings nothing new, unless the server took its time to find nothing, as where it
/// looks through very many records for a few.
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

/// Returns what a batch has, by its headers.
fn found(batch: &Batch) -> Yield {
    Yield {
        first: batch.records.first().map(|record| record.time()),
        records: batch.records.len() as u64,
        bytes: (batch.records.iter()).fold(0, |sum, record| record.length().saturating_add(sum)),
    }
}

/// Returns whether that is far more than was expected.
fn is_oversized(found: Yield, window: &Window) -> bool {
    found.records > 0
        && window.record > 0
        && found.bytes > window.bytes.saturating_mul(2)
        && found.bytes / found.records > window.record.saturating_mul(OVERSIZE_FACTOR)
}

/// How far a range is read.
struct WindowProgress {
    /// Records that came, of the range or not.
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

    /// The server has no more: of the window, or of what it was asked for.
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

    /// Leaves a batch unread, of which is known what it has.
    fn put_off(self, found: Yield, batch: &Batch, took: Duration) -> WindowEnd {
        WindowEnd {
            found,
            until: (batch.records.last()).map(|record| record.time().saturating_add(1)),
            rest: Some(self.next),
            took,
        }
    }
}
