// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Delivery of queued records to the server, in batches, until each is there once.
//!
//! ReductStore 1.21 begins all records of a batch before it has their contents. If the connection breaks meanwhile,
//! records that are never complete stay behind: they are in no query, and their times are taken (409). So after
//! anything but an answer the server is asked for complete records, and unfinished ones are removed and written
//! again.

mod lookup;

use std::io::ErrorKind;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio::time::{sleep, timeout};
use tracing::{debug, trace};

use crate::admin::Entry;
use crate::error::{Cause, Error};
use crate::http::first_contact::{MAX_ATTEMPTS, is_wrong_address};
use crate::http::pool::{ClientPool, Newest, PooledClient};
use crate::http::request_size::{Excess, RequestSize};
use crate::retry::Attempts;
use crate::server::Server;
use crate::task::without_blocking;
use crate::time::utc;
use crate::write::destination::Destination;
use crate::write::options::{Existing, SpoolOptions, WriterOptions};
use crate::write::pending::{Pending, check_answer};
use crate::write::queue::{BatchLimits, Due};
use crate::write::record::NewRecord;
use crate::write::requests::{MAX_BYTES, MAX_RECORDS, excess};
use crate::write::shared::{Shared, WriterEvent, emit, fail};
use crate::write::spool::{Loaded, Spool, load};

const LIMITS: BatchLimits = BatchLimits {
    records: MAX_RECORDS,
    bytes: MAX_BYTES,
};
/// Time after which an unfinished record is never completed.
const ABANDONED_AFTER: Duration = Duration::from_secs(1);
/// Longest wait for a spool that is locked, and interval of attempts.
const SPOOL_LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const SPOOL_LOCK_INTERVAL: Duration = Duration::from_millis(100);
/// Number of times in a row that a batch is written without progress.
const MAX_REWRITES: u32 = 3;
/// Distance, in µs, from the newest record of an entry to the first one whose time has to be moved.
const MOVE_MARGIN_US: u64 = 100_000;

/// Number of requests in a row without an answer after which fewer records are sent at once.
const MAX_UNCLEAR_REQUESTS: u32 = 3;
/// Retries to attach the description of the video while records wait.
const DESCRIPTION_RETRIES: u32 = 4;
/// Attempts to look for complete records where a write would find them, too.
const MAX_FAILED_LOOKS: u32 = 2;

/// Delivers the records of a queue.
pub struct Delivery {
    to: Destination,
    options: WriterOptions,
    shared: Arc<Shared>,
    attempts: Attempts,
    /// These attempts are for the end of the stream.
    are_last: bool,
    /// The entry, once the bucket exists and the token is known.
    open: Option<OpenEntry>,
    /// The server has answered at least once.
    was_reached: bool,
    /// Time of the newest record that is from this writer or was there before.
    newest: Option<u64>,
    /// Time of the newest record before the first write.
    first_newest: Option<Option<u64>>,
    /// The first record of the run is placed after it.
    has_place: bool,
    /// Time of the last check that there is no other writer.
    last_check: Option<Instant>,
    /// Number of records in flight that need no further request.
    done: usize,
    /// Offset that is added to the times of records, in µs.
    moved_by: u64,
    /// Run of the last two: a recovered one that was never sent, else this one.
    run: Option<u64>,
    /// The offset is stored in the spool.
    is_placement_stored: bool,
    /// Size of the next request.
    size: RequestSize,
    /// Reasons for smaller requests that were reported.
    reported_excesses: Vec<Excess>,
    /// Number of writes in a row without an answer of the server.
    unclear: u32,
    /// The description of the video could not be attached.
    is_undescribed: bool,
    /// Records of the last request, which was accepted, until the server is known to have them.
    unconfirmed: Vec<NewRecord>,
    /// Number of the first records in flight that are acknowledged with these.
    delivered: usize,
}

struct OpenEntry {
    pool: Arc<ClientPool>,
    /// Connections for lookups beside a request that writes.
    lookup_pool: Arc<ClientPool>,
    entry: Arc<Entry>,
    /// Newest record at that time, if the token allows to read.
    newest: Option<Newest>,
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        self.pool.stop_opening();
        self.lookup_pool.stop_opening();
    }
}

/// Next step of a delivery.
#[derive(Debug)]
enum Next {
    Batch(Vec<NewRecord>),
    /// No batch is due for this time, or until a record is queued.
    Wait(Option<Duration>),
    /// No more records come.
    End,
}

/// Result of a lookup beside a request that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Confirmation {
    /// No records were to be confirmed.
    Nothing,
    /// The records of the previous request are complete.
    Complete,
    /// They may be missing.
    Unknown,
    /// The entry has a newer record that is not from this writer.
    OtherWriter { time: u64, is_complete: bool },
}

impl Delivery {
    /// Creates a delivery. No I/O.
    pub fn new(to: Destination, options: WriterOptions, shared: Arc<Shared>) -> Self {
        Self {
            attempts: Attempts::new(options.retries),
            are_last: false,
            to,
            options,
            shared,
            open: None,
            was_reached: false,
            newest: None,
            first_newest: None,
            has_place: false,
            last_check: None,
            done: 0,
            moved_by: 0,
            run: None,
            is_placement_stored: false,
            size: RequestSize::new(LIMITS.records, LIMITS.bytes),
            reported_excesses: Vec::new(),
            unclear: 0,
            is_undescribed: false,
            unconfirmed: Vec::new(),
            delivered: 0,
        }
    }

    /// Delivers until the writer is dropped and the queue is empty, or until a final error.
    pub async fn run(mut self) {
        if let Err(error) = self.recover().await {
            fail(&self.shared, error.failure(self.to.target())).await;
            return;
        }
        if let Err(error) = self.deliver_all().await {
            self.give_up(&error).await;
        }
    }

    async fn deliver_all(&mut self) -> Result<(), Error> {
        loop {
            let batch = match self.take_due() {
                Next::Batch(batch) => batch,
                Next::Wait(_) | Next::End => {
                    self.confirm_rest().await?;
                    match self.next_batch().await {
                        Some(batch) => batch,
                        None => return Ok(()),
                    }
                }
            };
            self.deliver(batch).await?;
        }
    }

    /// Reports a final error with the losses.
    async fn give_up(&self, error: &Error) {
        let (is_detached, waiting, in_memory) = {
            let state = self.shared.lock();
            let waiting = state.queue.len() - self.done;
            let in_memory = state.queue.records_in_memory().min(waiting);
            (state.is_detached, waiting, in_memory)
        };
        let spool = self.spool_name();
        let lost = match (&self.options.spool, waiting - in_memory, in_memory) {
            (None, ..) => format!("{waiting} records are lost"),
            (_, kept, 0) => format!("{kept} records are not written, and stay in {spool}"),
            (_, kept, lost) => format!(
                "{kept} records are not written, and stay in {spool}, and {lost} records that it \
                 did not take are lost"
            ),
        };
        if is_detached {
            let why = error.explain(self.to.target());
            let text = format!("{lost} after the stop. {why}");
            emit(&self.shared, WriterEvent::Abandoned(text)).await;
        } else {
            let message = error.failure_with(self.to.target(), &lost);
            fail(&self.shared, message).await;
        }
    }

    /// Opens the spool, if there is one, and queues recovered records.
    async fn recover(&self) -> Result<(), Error> {
        let spool = self.spool_name();
        let Some(SpoolOptions { folder, sync }) = self.options.spool.clone() else {
            return Ok(());
        };
        let begin = Instant::now();
        let (count, warning, recovery) = loop {
            let shared = self.shared.clone();
            let (folder, shown) = (folder.clone(), folder.display().to_string());
            let (bucket, entry) = (self.to.bucket.clone(), self.to.entry.clone());
            let opened = without_blocking(move || {
                let opened = Spool::open(&folder, &bucket, &entry, sync);
                let opened = opened.map(|(files, mut recovery)| {
                    let left = std::mem::take(&mut recovery.records);
                    let count = left.len();
                    (count, shared.open_files(files, spool, left), recovery)
                });
                match opened {
                    Err(err) if err.kind() == ErrorKind::WouldBlock => Ok(None),
                    opened => opened.map(Some).map_err(|err| {
                        Error::new(Cause::Unreadable, format!("{spool} '{shown}': {err}"))
                    }),
                }
            });
            match opened.await? {
                Some(opened) => break opened,
                // A detached writer may still use it.
                None if begin.elapsed() < SPOOL_LOCK_TIMEOUT => sleep(SPOOL_LOCK_INTERVAL).await,
                None => {
                    let text = format!("another writer uses the same {spool}");
                    return Err(Error::new(Cause::Unreadable, text));
                }
            }
        };
        if count > 0 {
            let text = format!("{count} records that were not written are found in {spool}");
            emit(&self.shared, WriterEvent::Warning(text)).await;
        }
        self.shared.count_damaged(recovery.lost());
        for text in recovery.warnings(spool) {
            emit(&self.shared, WriterEvent::Damaged(text)).await;
        }
        if let Some(text) = warning {
            emit(&self.shared, WriterEvent::Warning(text)).await;
        }
        Ok(())
    }

    /// Returns the name of the setting of the spool's folder.
    fn spool_name(&self) -> &'static str {
        self.to.server.names().spool
    }

    /// Waits for the next batch. Returns `None` if no more records come.
    async fn next_batch(&self) -> Option<Vec<NewRecord>> {
        loop {
            let limit = match self.take_due() {
                Next::Batch(batch) => return Some(batch),
                Next::End => return None,
                Next::Wait(limit) => limit,
            };
            let work = self.shared.work.notified();
            match limit {
                // New records may complete the batch.
                Some(limit) => drop(timeout(limit, work).await),
                None => work.await,
            }
        }
    }

    /// Takes the next batch if it is due.
    fn take_due(&self) -> Next {
        let mut state = self.shared.lock();
        let at_once = state.is_draining || state.is_detached;
        match state.queue.due(LIMITS, self.options.max_latency) {
            Due::In(limit) if !at_once => Next::Wait(Some(limit)),
            Due::Now | Due::In(_) => Next::Batch(state.queue.take_batch(LIMITS)),
            Due::Never if state.is_detached => Next::End,
            Due::Never => Next::Wait(None),
        }
    }

    /// Writes a batch, with retries. Its last records are confirmed [later](Self::confirm_rest).
    async fn deliver(&mut self, batch: Vec<NewRecord>) -> Result<(), Error> {
        let mut batch = self.load(batch).await?;
        let first = batch.first().filter(|first| has_no_place(first));
        if first.is_some_and(|first| !self.has_place || first.unsent_run != self.run) {
            // The place depends on all records before.
            self.confirm_rest().await?;
        }
        if let Some(first) = batch.first().filter(|first| has_no_place(first))
            && first.unsent_run != self.run
        {
            self.run = first.unsent_run;
            self.moved_by = 0;
            self.has_place = false;
            self.is_placement_stored = false;
        }
        for record in batch.iter_mut().filter(|record| has_no_place(record)) {
            record.time = record.time.saturating_add(self.moved_by);
        }
        self.write_all(&mut Pending::new(batch)).await?;
        self.describe().await;
        self.delivered = self.shared.lock().queue.in_flight();
        if self.unconfirmed.is_empty() {
            self.acknowledge();
        }
        Ok(())
    }

    /// Writes records, with retries.
    async fn write_all(&mut self, pending: &mut Pending) -> Result<(), Error> {
        while !pending.left.is_empty() {
            if let Err(error) = self.write_some(pending).await {
                self.doubt_unconfirmed(pending);
                self.wait_after(error).await?;
            }
        }
        Ok(())
    }

    /// Confirms that the records of the last request are there, which otherwise happens beside the next one:
    /// ReductStore 1.21 reports success also when its disk is full.
    async fn confirm_rest(&mut self) -> Result<(), Error> {
        let mut rewrites = 0;
        while let Some(last) = self.unconfirmed.last().map(|last| last.time) {
            let pool = self.open().await?;
            let client = pool.take().await?;
            let newest = self
                .persist(|| client.within_timeout(client.newest()))
                .await?;
            drop(client);
            if matches!(newest, Newest::Time(newest) if newest >= last) {
                self.last_check = Some(Instant::now());
                self.confirm();
                break;
            }
            let mut pending = Pending::new(Vec::new());
            pending.rewrites = rewrites;
            let delivered = self.delivered;
            self.doubt_unconfirmed(&mut pending);
            if let Err(error) = note_rewrite(&mut pending) {
                self.wait_after(error).await?;
            }
            self.write_all(&mut pending).await?;
            rewrites = pending.rewrites;
            self.delivered = delivered;
        }
        // They may have been found by another lookup.
        if self.unconfirmed.is_empty() {
            self.acknowledge();
        }
        Ok(())
    }

    /// Puts the records of the last request, which may be missing, before those that are left. Returns their number.
    fn doubt_unconfirmed(&mut self, pending: &mut Pending) -> usize {
        let unconfirmed = mem::take(&mut self.unconfirmed);
        if !unconfirmed.is_empty() {
            // They are acknowledged with the others.
            self.delivered = 0;
        }
        pending.put_in_doubt(unconfirmed)
    }

    /// Counts the records of the last request as written.
    fn confirm(&mut self) {
        let written = mem::take(&mut self.unconfirmed);
        self.count(&written);
        self.acknowledge();
    }

    /// Removes delivered records from the queue.
    fn acknowledge(&mut self) {
        let delivered = mem::take(&mut self.delivered);
        if delivered == 0 {
            return;
        }
        self.done = self.done.saturating_sub(delivered);
        {
            let mut state = self.shared.lock();
            state.queue.acknowledge(delivered);
            self.shared.count_queue(&state.queue);
        }
        self.shared.progress.notify_one();
    }

    /// Reads those contents of a batch that are in files. Unreadable ones are lost.
    async fn load(&mut self, batch: Vec<NewRecord>) -> Result<Vec<NewRecord>, Error> {
        if batch.iter().all(NewRecord::is_in_memory) {
            return Ok(batch);
        }
        let spool = self.spool_name();
        let loaded = without_blocking(move || {
            load(batch).map_err(|err| Error::new(Cause::Unreadable, format!("{spool}: {err}")))
        });
        let Loaded { records, lost } = loaded.await?;
        for lost in lost {
            self.done += usize::try_from(lost.lost.records).unwrap_or(0);
            self.shared.count_damaged(lost.lost);
            if let Some(text) = lost.warning(utc, spool) {
                emit(&self.shared, WriterEvent::Damaged(text)).await;
            }
        }
        Ok(records)
    }

    /// Sends an idempotent request until it is answered.
    ///
    /// Each request is retried separately: where each fourth request fails, five in a row never succeed. A missing
    /// bucket is left to the caller.
    async fn persist<T, F>(&mut self, request: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.cause == Cause::Status(404) => return Err(error),
                Err(error) => self.wait_after(error).await?,
            }
        }
    }

    /// Waits for the back-off after an error that is transient, or returns the error.
    async fn wait_after(&mut self, error: Error) -> Result<(), Error> {
        // A proxy may answer for a server that is away, and a bucket may be created again.
        let was_there = match error.cause {
            Cause::NotReductStore => true,
            Cause::Status(404) => self.options.create_bucket,
            _ => false,
        };
        let may_pass = error.is_transient_for_writing() || self.was_reached && was_there;
        let is_ending = self.is_ending();
        // Attempts before the end of the stream do not count.
        if is_ending && !std::mem::replace(&mut self.are_last, true) {
            self.attempts.reset();
        }
        let is_wrong = !self.was_reached && is_wrong_address(&error);
        let delay = if !may_pass || is_wrong && self.attempts.made() >= MAX_ATTEMPTS {
            None
        } else if self.was_reached && !is_ending {
            self.attempts.another_delay()
        } else {
            self.attempts.next_delay()
        };
        let Some(delay) = delay else {
            return Err(error);
        };
        if error.cause == Cause::Status(404) {
            self.open = None;
        }
        self.shared.stats.retries.note(&error);
        debug!(
            "attempt {} in {delay:?} after {error}",
            self.attempts.made()
        );
        let fault = error.explain(self.to.target());
        let text = self.attempts.notice(&fault, delay, None);
        emit(&self.shared, WriterEvent::Retrying(text)).await;
        sleep(delay).await;
        Ok(())
    }

    /// Writes the first of the records that are left, as many as fit in a request, after the necessary lookups.
    async fn write_some(&mut self, pending: &mut Pending) -> Result<(), Error> {
        let pool = self.open().await?;
        let client = pool.take().await?;
        if self.can_look() {
            if self.first_newest.is_none() {
                self.begin(&client, &pending.left).await?;
            } else if !pending.is_in_doubt && self.unconfirmed.is_empty() {
                self.assert_only_writer(&client).await?;
            }
            if !pending.is_in_doubt {
                self.find_place(&mut pending.left).await?;
            }
            if pending.may_be_complete || self.may_have(&pending.left) {
                let most = pending.is_in_doubt.then_some(MAX_FAILED_LOOKS);
                self.skip_complete(&client, pending, most).await?;
            }
        }
        if pending.left.is_empty() {
            return Ok(());
        }
        let has_no_place = pending.left.first().is_some_and(has_no_place);
        if has_no_place && !self.is_placement_stored {
            self.shared.set_placement(self.run, self.moved_by).await;
            self.is_placement_stored = true;
        }
        self.write_once(&client, pending).await
    }

    /// Writes as many records as fit in one request. Refused ones that were begun before are removed.
    async fn write_once(
        &mut self,
        client: &PooledClient<'_>,
        pending: &mut Pending,
    ) -> Result<(), Error> {
        let lengths = pending.lengths();
        let count = self.size.fit(lengths.iter().copied());
        let sent = &pending.left[..count];
        if self.unclear > 0 {
            // A load balancer that refuses periodically would refuse the request after an answer.
            client.probe().await?;
        }
        let (found, answer) = join(self.look_beside(sent), client.write(sent)).await;
        match found {
            Confirmation::Nothing | Confirmation::Unknown => {}
            Confirmation::Complete => {
                pending.rewrites = 0;
                self.confirm();
            }
            Confirmation::OtherWriter { time, is_complete } => {
                if is_complete {
                    self.confirm();
                }
                return Err(Error::other_writer(time));
            }
        }
        trace!("{count} records sent, those before: {found:?}");
        let refused = match answer {
            Ok(refused) if self.unconfirmed.is_empty() => refused,
            Ok(_) => {
                let before = self.doubt_unconfirmed(pending);
                pending.set_in_doubt(before + count);
                return note_rewrite(pending);
            }
            Err(error) => {
                let shrunk = self.shrink(&error, sent).await;
                let before = self.doubt_unconfirmed(pending);
                match is_refusal(&error) {
                    _ if before > 0 => pending.set_in_doubt(before + count),
                    false => pending.set_in_doubt(count),
                    true if self.can_look() => pending.set_refused(count),
                    // A busy server has begun nothing; without the right to read there is no lookup.
                    true => {}
                }
                return if shrunk? { Ok(()) } else { Err(error) };
            }
        };
        self.unclear = 0;
        if let Err(error) = check_answer(sent, &refused) {
            pending.set_in_doubt(count);
            return Err(error);
        }
        self.size.accept(&lengths[..count], &lengths);
        self.shared.stats.batches.fetch_add(1, Ordering::Relaxed);
        if refused.is_empty() {
            let written = pending.take_first(count);
            match self.can_look() {
                true => self.unconfirmed = written,
                false => self.count(&written),
            }
            return Ok(());
        }
        let was_begun = pending.may_be_begun(refused.keys());
        pending.set_in_doubt(count);
        let written = pending.take_accepted(count, &refused);
        self.count(&written);
        if let Some((time, _)) = refused.first_key_value()
            && !was_begun
            && refused.values().all(is_taken)
        {
            let text = format!("it has a record at {} already", utc(*time));
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        if let Some(error) = refused.into_values().find(|error| !is_taken(error)) {
            return Err(error);
        }
        // The server may still be busy with what it was sent before.
        sleep(ABANDONED_AFTER).await;
        if self.can_look() {
            self.skip_complete(client, pending, None).await?;
        }
        // As many lines of a head as were accepted a moment ago.
        for times in pending.begun().chunks(count) {
            self.persist(|| client.remove(times)).await?;
        }
        note_rewrite(pending)
    }

    /// Reduces the size of requests, if the request was too large. Returns whether it was.
    ///
    /// # Errors
    ///
    /// A single record is too large.
    async fn shrink(&mut self, error: &Error, sent: &[NewRecord]) -> Result<bool, Error> {
        let lengths: Vec<_> = sent.iter().map(NewRecord::length).collect();
        let Some(excess) = excess(error) else {
            self.unclear += match error.cause {
                Cause::Broken | Cause::Timeout | Cause::Status(504) => 1,
                // A proxy may refuse the head of an answer about each record, or have no server now and then.
                Cause::Status(502) => MAX_UNCLEAR_REQUESTS - 1,
                _ => 0,
            };
            if self.unclear >= MAX_UNCLEAR_REQUESTS {
                self.size.refuse(&lengths, Excess::Unknown);
            }
            return Ok(false);
        };
        if !self.size.refuse(&lengths, excess) {
            return Err(too_large(error, sent, &self.to.server));
        }
        self.shared.stats.retries.note(error);
        if !self.reported_excesses.contains(&excess) {
            self.reported_excesses.push(excess);
            let text = format!(
                "'{}/{}': ReductStore at {}, or a proxy before it, does not take a request with {} records of \
                 {} bytes in all: {}. Smaller requests are sent from now on, which is slower",
                self.to.bucket,
                self.to.entry,
                self.to.server.url(),
                sent.len(),
                lengths.iter().sum::<u64>(),
                error.text,
            );
            emit(&self.shared, WriterEvent::Warning(text)).await;
        }
        Ok(true)
    }

    /// Moves the times of records, once per run, behind those of the entry if necessary.
    async fn find_place(&mut self, left: &mut [NewRecord]) -> Result<(), Error> {
        let Some(first) = left.first().filter(|first| has_no_place(first)) else {
            return Ok(());
        };
        let (first, is_recovered) = (first.time, first.is_recovered);
        let was_found = std::mem::replace(&mut self.has_place, true);
        let (Some(newest), Existing::Refuse) = (self.newest, self.options.existing) else {
            return Ok(());
        };
        if was_found || newest < first {
            return Ok(());
        }
        if left.iter().any(|record| record.has_fixed_time) {
            if is_recovered {
                return Ok(()); // Those that the entry lacks are dropped.
            }
            let text = format!(
                "its newest record is of {}, and the first one to be written of {}. Late records \
                 make ReductStore slow. With {}, frames that it has already are left out",
                utc(newest),
                utc(first),
                self.to.server.names().skip_existing
            );
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        self.moved_by = newest.saturating_add(MOVE_MARGIN_US).saturating_sub(first);
        for record in left {
            record.time = record.time.saturating_add(self.moved_by);
        }
        let text = format!(
            "'{}/{}' has records up to {}, which is after the clock's time. {} {:.3} s later than the \
             clock",
            self.to.bucket,
            self.to.entry,
            utc(newest),
            match is_recovered {
                true => format!("The records found in {} get times", self.spool_name()),
                false => "All records get times".into(),
            },
            Duration::from_micros(self.moved_by).as_secs_f64()
        );
        emit(&self.shared, WriterEvent::Warning(text)).await;
        Ok(())
    }

    /// Counts records that are written.
    fn count(&mut self, written: &[NewRecord]) {
        if written.is_empty() {
            return;
        }
        // Only written records are progress.
        self.attempts.reset();
        self.are_last = false;
        self.unclear = 0;
        let stats = &self.shared.stats;
        let add = |counter: &AtomicU64, count| counter.fetch_add(count, Ordering::Relaxed);
        add(&stats.records, written.len() as u64);
        add(&stats.frames, written.iter().map(|it| it.frames).sum());
        add(&stats.bytes, written.iter().map(NewRecord::length).sum());
        self.done += written.len();
        self.newest = self.newest.max(written.last().map(|last| last.time));
    }

    /// Attaches the description of the video to the entry, if there is one. A failure does not stop the records.
    async fn describe(&mut self) {
        let video = self.shared.lock().video.clone();
        let entry = self.open.as_ref().map(|open| open.entry.clone());
        let (Some(video), Some(entry)) = (video, entry) else {
            return;
        };
        // After a failure records no longer wait for it.
        let patience = match self.is_undescribed {
            true => 0,
            false => DESCRIPTION_RETRIES,
        };
        let mut retries = 0;
        while let Err(error) = entry.describe(&video).await {
            let may_pass = error.is_transient_for_writing();
            let is_ending = self.is_ending();
            let error = match may_pass && (retries < patience || is_ending) {
                true => match self.wait_after(error).await {
                    Ok(()) => {
                        retries += 1;
                        continue;
                    }
                    Err(error) => error,
                },
                false => error,
            };
            let is_told = std::mem::replace(&mut self.is_undescribed, true);
            if !is_told || is_ending {
                let text = format!(
                    "Could not attach {video} to '{}/{}' as {}: {error}",
                    self.to.bucket,
                    self.to.entry,
                    self.to.server.schema().attachment
                );
                emit(&self.shared, WriterEvent::Warning(text)).await;
            }
            if may_pass && !is_ending {
                return; // It is tried again with the next batch.
            }
            break;
        }
        self.is_undescribed = false;
        let mut state = self.shared.lock();
        if state.video.as_ref() == Some(&video) {
            state.video = None;
        }
    }

    /// Returns whether the stream has ended.
    fn is_ending(&self) -> bool {
        let state = self.shared.lock();
        state.is_draining || state.is_detached
    }
}

/// Returns whether a record's time may have to be moved behind those of the entry, because no record of its run was
/// sent by an earlier process.
fn has_no_place(record: &NewRecord) -> bool {
    !record.is_recovered || record.unsent_run.is_some()
}

/// Fails if records have been written several times in a row and are not there.
fn note_rewrite(pending: &mut Pending) -> Result<(), Error> {
    pending.rewrites += 1;
    if pending.rewrites < MAX_REWRITES || pending.left.is_empty() {
        return Ok(());
    }
    pending.rewrites = 0;
    let text = "it has records that are begun and neither completed nor removed";
    Err(Error::new(Cause::Broken, text))
}

/// Returns the error for a single record that is too large for a request.
fn too_large(error: &Error, sent: &[NewRecord], server: &Server) -> Error {
    let Some(record) = sent.first() else {
        return error.clone();
    };
    let schema = server.schema();
    let text = format!(
        "{}: the record of {} has {} bytes, and {} bytes of labels and the like, which is too much for a request \
         to the server or to a proxy before it. Raise the limit there (client_max_body_size or \
         large_client_header_buffers of nginx){}",
        error.text,
        utc(record.time),
        record.length(),
        record.header(schema).len(),
        match record.frames > 1 {
            true => format!(", or set {}", server.names().small_records),
            false => String::new(),
        }
    );
    Error::new(error.cause, text)
}

/// Returns whether the server refused a request before any effect.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.cause,
        Cause::Status(401 | 403 | 404 | 408 | 429 | 503)
    )
}

/// Returns whether a record was refused because its time is taken.
fn is_taken(error: &Error) -> bool {
    error.cause == Cause::Status(409) && !error.is_being_deleted()
}
