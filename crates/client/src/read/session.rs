// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A session that reads a range to its end, with retries.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{Either, join, select};
use tokio::sync::mpsc;
use tracing::debug;

use crate::entry::{EntryInfo, EntryTimes};
use crate::error::{Cause, Error, Failure};
use crate::http::condition::of_keyframes;
use crate::http::pool::Newest;
use crate::read::eviction::EvictionWatch;
use crate::read::plan::Plan;
use crate::read::poll::{Pace, is_past};
use crate::read::prefetch::{Prefetch, Windows};
use crate::read::query::{Query, Records, View};
use crate::read::queue::{Chunk, ReaderStats};
use crate::read::source::EntrySource;
use crate::read::window::WindowSource;
use crate::retry::Attempts;
use crate::time::utc;

/// Number of polls with an unfinished newest record, after which the records before it are read.
const MAX_UNFINISHED_POLLS: u32 = 5;
/// Time without changes after which the set of new records is complete.
const SETTLE_TIME: Duration = Duration::from_millis(20);
/// Longest range of new records that is read by one query, in µs.
const MAX_ARRIVALS_US: u64 = 10_000_000;
/// Number of attempts to find the newest record: for a moment a record that was just written is neither missing nor
/// complete.
const MAX_MISSED: u32 = 6;
/// Pause after the first of these attempts; it doubles.
const MISSED_DELAY: Duration = Duration::from_millis(20);
/// Time after which an entry without records is reported: ReductStore 1.21 may find nothing in a new entry right after
/// its first records were written, the longer the busier it is.
const EMPTY_REPORTED_AFTER: Duration = Duration::from_millis(500);
/// Time without failures, and without records to read, after which a server has recovered.
const RECOVERED_AFTER: Duration = Duration::from_secs(30);

/// A message from the session to the reader.
#[derive(Debug)]
pub enum SessionEvent {
    /// First message of a range.
    Opened(EntryInfo),
    Records(Chunk),
    /// The times of the entry's records, if requested.
    Times(Option<EntryTimes>),
    /// A request failed and is retried.
    Retrying(String),
    Failed(Failure),
}

/// Reason why a session ends early.
enum Stop {
    Failed(Error),
    /// The receiver of the records was dropped.
    Abandoned,
}

impl Stop {
    /// Returns whether there is no such entry or bucket, or soon will not be.
    fn is_missing(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_missing())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// New records of a range that is followed.
struct Arrivals {
    /// Time of the newest one, unless it is still being written.
    newest: Option<u64>,
    /// Number of records up to that time, and time of the last one, at the last look.
    seen: Option<(u64, Option<u64>)>,
    /// Time of the last one that is read, once they no longer change.
    settled: Option<Option<u64>>,
}

impl Arrivals {
    fn new(newest: Option<u64>) -> Self {
        Self {
            newest,
            seen: None,
            settled: None,
        }
    }
}

/// State of the reading of a range.
pub struct Session {
    access: Arc<EntrySource>,
    query: Query,
    stats: Arc<ReaderStats>,
    events: mpsc::Sender<SessionEvent>,
    is_open: bool,
    /// Begin of the rest of the range, in µs.
    next: u64,
    end: u64,
    /// Pace of polling, if the range is followed.
    pace: Option<Pace>,
    attempts: Attempts,
    began: Instant,
    /// New records that are being read, kept over failures, because each request for them may be refused once.
    arrivals: Option<Arrivals>,
    /// Attempts in a row that did not find the newest record.
    missed: u32,
    /// Instant since which all records are read and no request failed.
    calm_since: Option<Instant>,
    evictions: EvictionWatch,
}

impl Session {
    /// Creates a session. No I/O.
    pub fn new(
        access: Arc<EntrySource>,
        query: Query,
        stats: Arc<ReaderStats>,
        events: mpsc::Sender<SessionEvent>,
    ) -> Self {
        Self {
            // A lookup needs no entry information.
            is_open: query.view != View::Range,
            next: query.start.unwrap_or(0),
            // With a stop in the far future the server takes a start after the newest record.
            end: query.stop.unwrap_or(u64::MAX),
            pace: (access.records.poll_interval.filter(|_| query.follow)).map(Pace::new),
            attempts: Attempts::new(access.records.limits.retries),
            began: Instant::now(),
            arrivals: None,
            missed: 0,
            calm_since: None,
            evictions: EvictionWatch::new(query.start),
            access,
            query,
            stats,
            events,
        }
    }

    /// Sends all records, or an error at the end.
    pub async fn run(mut self) {
        while let Err(Stop::Failed(error)) = self.read().await {
            self.calm_since = None;
            let Some(delay) = self.delay_after(&error) else {
                let message = error.failure(self.access.target());
                let _ = self.send(SessionEvent::Failed(message)).await;
                return;
            };
            self.access.stats.retries.note(&error);
            // Before the first answer the limit is a time.
            let limit = match self.is_first_contact(&error) {
                true => None,
                false => Some(self.access.records.limits.retries),
            };
            let fault = error.explain(self.access.target());
            let text = self.attempts.notice(&fault, delay, limit);
            if self.send(SessionEvent::Retrying(text)).await.is_err() {
                return;
            }
            debug!(
                "attempt {} in {delay:?} after {error}",
                self.attempts.made()
            );
            self.access.drop_connections();
            tokio::time::sleep(delay).await;
        }
    }

    /// Returns the delay before another attempt after an error, or `None` if the error is final.
    fn delay_after(&mut self, error: &Error) -> Option<Duration> {
        // A proxy may answer for a server that is away.
        let may_pass = error.is_transient() || self.is_open && error.cause == Cause::NotReductStore;
        if !may_pass {
            return None;
        }
        match self.is_first_contact(error) {
            true => self.attempts.next_first_delay(self.began.elapsed()),
            false => self.attempts.next_delay(),
        }
    }

    /// Returns whether the server has never answered, and the reader does not wait for it.
    fn is_first_contact(&self, error: &Error) -> bool {
        let is_answer = error.is_of_server || error.cause == Cause::Timeout;
        !(is_answer || self.access.has_worked() || self.access.follows())
    }

    /// Reads the rest of the range, and new records if it is followed.
    async fn read(&mut self) -> Result<(), Stop> {
        if self.query.view == View::Times {
            let times = match self.access.recent_times(self.end).await {
                Err(error) if error.is_missing() => None,
                times => Some(times?),
            };
            self.access.note_answer();
            return self.send(SessionEvent::Times(times)).await;
        }
        if self.pace.is_none() {
            return match self.read_until(self.end).await {
                // A lookup in an entry that is followed finds nothing yet.
                Err(stop) if self.access.follows() && stop.is_missing() => Ok(()),
                read => read,
            };
        }
        loop {
            if self.arrivals.is_none() {
                self.arrivals = self.await_arrivals().await?.map(Arrivals::new);
            }
            let Some(arrivals) = &self.arrivals else {
                return Ok(());
            };
            match self.read_arrivals(arrivals.newest).await {
                Err(stop) if stop.is_missing() => {} // It existed a moment ago.
                read => read?,
            }
            self.arrivals = None;
        }
    }

    /// Reads all records up to the newest one, whose time is given unless it is still being written.
    async fn read_arrivals(&mut self, newest: Option<u64>) -> Result<(), Stop> {
        let last = match newest {
            Some(newest) if self.evictions.is_due(newest) => Some(newest),
            Some(newest) => self.settled(newest).await?,
            None => {
                let newest = self.access.entry.times().await?.newest;
                self.settled(newest).await?
            }
        };
        let begin = self.next;
        if let Some(last) = last {
            let until = self.end.min(last.saturating_add(1));
            self.read_until(until).await?;
            // A condition may have left out the last one, or all of them, and so may the stop.
            if self.next > begin || self.is_filtered() || last >= self.end {
                self.next = until;
            }
        }
        match newest {
            Some(newest) if self.next == begin => self.miss(newest).await,
            _ => {
                self.missed = 0;
                Ok(())
            }
        }
    }

    /// Returns whether the query omits existing records.
    fn is_filtered(&self) -> bool {
        self.query.keyframes || self.access.records.when.is_some()
    }

    /// Waits for a record whose time the server has reported, and that no query finds.
    async fn miss(&mut self, newest: u64) -> Result<(), Stop> {
        if self.missed < MAX_MISSED {
            tokio::time::sleep(MISSED_DELAY * 2u32.pow(self.missed)).await;
            self.missed += 1;
            return Ok(());
        }
        let time = utc(newest);
        let text = format!("no query finds the newest record, which has the time {time}");
        Err(Error::new(Cause::NothingNew, text).into())
    }

    /// Waits for new records. Returns the time of the newest one as far as it is known, or `None` if no more are to
    /// come.
    async fn await_arrivals(&mut self) -> Result<Option<Option<u64>>, Stop> {
        let pool = self.access.pool(View::Range)?;
        let timeout = self.access.server.timeout();
        let mut unfinished = 0;
        let mut is_reported = false;
        while let Some(pace) = &mut self.pace
            && self.next < self.end
        {
            pace.wait().await;
            let newest = match pool.take().await?.newest().await {
                Err(error) if error.is_missing() => Newest::Nothing,
                newest => newest?,
            };
            match newest {
                Newest::Time(time) if time >= self.next => return Ok(Some(Some(time))),
                Newest::Time(_) | Newest::Nothing => {}
                Newest::Unfinished => unfinished += 1,
            }
            // Only a record is progress, but an entry may get none for days.
            let calm_since = *self.calm_since.get_or_insert_with(Instant::now);
            if calm_since.elapsed() > RECOVERED_AFTER {
                self.attempts.reset();
            }
            // Other records may be complete before it.
            if unfinished == MAX_UNFINISHED_POLLS {
                return Ok(Some(None));
            }
            if is_past(self.end) && timeout.is_some_and(|timeout| pace.silence() > timeout) {
                break;
            }
            if newest == Newest::Nothing && !is_reported && pace.silence() >= EMPTY_REPORTED_AFTER {
                is_reported = true;
                let Records { bucket, entry, .. } = &self.access.records;
                let url = self.access.server.url();
                let text = format!(
                    "Waiting for '{bucket}/{entry}': ReductStore at {url} has no record of it yet"
                );
                self.send(SessionEvent::Retrying(text)).await?;
            }
        }
        Ok(None)
    }

    /// Settles as [`settle`](Self::settle), once for the same new records.
    async fn settled(&mut self, newest: u64) -> Result<Option<u64>, Stop> {
        if let Some(settled) = self.arrivals.as_ref().and_then(|arrivals| arrivals.settled) {
            return Ok(settled);
        }
        let settled = self.settle(newest).await?;
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.settled = Some(settled);
        }
        Ok(settled)
    }

    /// Waits until the records up to the newest one no longer change. Returns the time of the last complete one.
    ///
    /// The records of a batch are written concurrently, and no query shows unfinished ones: a record may appear
    /// before others that were complete earlier.
    async fn settle(&mut self, newest: u64) -> Result<Option<u64>, Stop> {
        let from = self.next.max(newest.saturating_sub(MAX_ARRIVALS_US));
        let mut seen = match self.arrivals.as_ref().and_then(|arrivals| arrivals.seen) {
            Some(seen) => seen,
            None => self.look(from..newest.saturating_add(1)).await?,
        };
        while let Some(last) = seen.1 {
            if let Some(arrivals) = &mut self.arrivals {
                arrivals.seen = Some(seen);
            }
            tokio::time::sleep(SETTLE_TIME).await;
            let again = self.look(from..last.saturating_add(1)).await?;
            if again == seen {
                return Ok(Some(last));
            }
            seen = again;
        }
        Ok(from.checked_sub(1).filter(|before| *before >= self.next))
    }

    /// Returns the number of records of a range, and the time of the last one.
    async fn look(&self, range: Range<u64>) -> Result<(u64, Option<u64>), Error> {
        let view = View::Headers;
        let source = WindowSource {
            pool: self.access.pool(view)?,
            entry: self.access.entry.clone(),
            when: None,
            view,
            is_urgent: AtomicBool::new(false),
            batch_size: self.access.batch_size.clone(),
            max_record_bytes: self.access.records.limits.max_record_bytes,
            stats: Arc::default(),
        };
        let mut prefetch = Prefetch::whole(Arc::new(source), range, u64::MAX);
        let (mut count, mut last) = (0, None);
        while let Some(chunk) = prefetch.next().await? {
            count += chunk.len();
            last = chunk.records().last().map(|record| record.time).or(last);
        }
        Ok((count, last))
    }

    /// Reads the rest of the range before a time.
    async fn read_until(&mut self, end: u64) -> Result<(), Stop> {
        let mut prefetch = self.prefetch(end)?;
        if self.query.view != View::Range {
            // After a lookup its result is read.
            self.access.pool(View::Range)?.prepare_one();
        }
        let mut next = if self.is_open {
            prefetch.next().await?
        } else {
            self.open(&mut prefetch).await?
        };
        while let Some(chunk) = next {
            self.report_batch_size().await?;
            self.forward(chunk, &mut prefetch).await?;
            next = prefetch.next().await?;
        }
        self.report_batch_size().await
    }

    /// Warns, once, that answers have fewer records than would be best.
    async fn report_batch_size(&self) -> Result<(), Stop> {
        let Some(text) = self.access.batch_size.take_notice() else {
            return Ok(());
        };
        let Records { bucket, entry, .. } = &self.access.records;
        let text = format!("Reading '{bucket}/{entry}': {text}");
        self.access
            .stats
            .retries
            .note(&Error::new(Cause::Broken, &text));
        self.send(SessionEvent::Retrying(text)).await
    }

    fn prefetch(&self, end: u64) -> Result<Prefetch, Error> {
        let is_little = end == self.end || end.saturating_sub(self.next) <= MAX_ARRIVALS_US;
        let view = match self.query.view {
            View::Range if self.pace.is_some() && self.is_open && is_little => View::Tail,
            view => view,
        };
        let Records { when, limits, .. } = &self.access.records;
        let when = match self.query.keyframes {
            true => Some(of_keyframes(when.as_ref(), self.access.server.schema())),
            false => when.clone(),
        };
        // Once: a range that is followed would otherwise open a connection for each record.
        let is_urgent = self.query.is_urgent && !self.is_open;
        let source = Arc::new(WindowSource {
            pool: self.access.pool(view)?,
            entry: self.access.entry.clone(),
            when: when.clone(),
            view,
            is_urgent: AtomicBool::new(is_urgent),
            batch_size: self.access.batch_size.clone(),
            max_record_bytes: limits.max_record_bytes,
            stats: self.stats.clone(),
        });
        let prefetch_bytes = limits.prefetch_bytes;
        if self.access.depends_on_order() {
            // From the beginning each time, because the choice of records depends on it.
            let range = self.query.start.unwrap_or(0)..end;
            return Ok(Prefetch::whole(source, range, prefetch_bytes));
        }
        let range = self.next..end;
        if view != View::Range {
            return Ok(Prefetch::whole(source, range, prefetch_bytes));
        }
        let plan = match when {
            Some(_) => Plan::of_condition(limits.connections, prefetch_bytes),
            None => Plan::new(limits.connections, prefetch_bytes),
        };
        let plan = match (is_urgent, self.query.is_lookahead) {
            (true, _) => plan.urgent(),
            (false, true) => plan.lookahead(),
            (false, false) => plan,
        };
        let access = self.access.clone();
        let times = async move { access.recent_times(end).await };
        let windows = Windows::new(source, plan, range);
        Ok(Prefetch::Windows(windows.expecting_much(times)))
    }

    /// Requests the frame rate and the times of the entry while the first records are on their way, and returns
    /// these.
    async fn open(&mut self, prefetch: &mut Prefetch) -> Result<Option<Chunk>, Stop> {
        let (access, end) = (self.access.clone(), self.end);
        let mut about = pin!(async {
            let times = access.recent_times(end);
            let (frame_rate, times) = join(access.entry.frame_rate(), times).await;
            Ok::<_, Error>((frame_rate?, times?))
        });
        let (first, known) = {
            let next = pin!(prefetch.next());
            match select(about.as_mut(), next).await {
                // Of two errors that of the query is more specific.
                Either::Left((about, next)) => (next.await?, Some(about?)),
                Either::Right((first, _)) => (first?, None),
            }
        };
        let (frame_rate, times) = match known {
            Some(about) => about,
            None => match select(about, pin!(prefetch.keep_reading())).await {
                Either::Left((about, _)) => about?,
                Either::Right((error, _)) => return Err(error.into()),
            },
        };
        let opened = EntryInfo { frame_rate, times };
        self.send(SessionEvent::Opened(opened)).await?;
        self.is_open = true;
        Ok(first)
    }

    /// Sends the next records, without those that were sent before.
    async fn forward(&mut self, mut chunk: Chunk, prefetch: &mut Prefetch) -> Result<(), Stop> {
        chunk.skip_before(self.next);
        let Some(last) = chunk.records().last() else {
            return Ok(());
        };
        let next = last.time + 1;
        let listed = chunk.received();
        let is_watched = self.query.view == View::Range;
        if is_watched && self.evictions.must_hear_of_oldest(chunk.records(), listed) {
            let times = self.access.entry.times().await?;
            self.evictions.set_entry_times(times);
        }
        let permit = match select(pin!(self.events.reserve()), pin!(prefetch.keep_reading())).await
        {
            Either::Left((permit, _)) => permit.map_err(|_| Stop::Abandoned)?,
            Either::Right((error, _)) => return Err(error.into()),
        };
        if self.evictions.mark(chunk.records_mut()) {
            self.stats.evicted.fetch_add(1, Ordering::Relaxed);
        }
        permit.send(SessionEvent::Records(chunk));
        self.next = next;
        self.attempts.reset();
        if let Some(pace) = &mut self.pace {
            pace.reset();
        }
        Ok(())
    }

    async fn send(&self, delivery: SessionEvent) -> Result<(), Stop> {
        let sent = self.events.send(delivery).await;
        sent.map_err(|_| Stop::Abandoned)
    }
}
