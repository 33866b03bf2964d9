// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Reads a range to its end: windows at once and in order, and whatever fails again.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::future::join;
use reduct_rs::{Bucket, JsonValue, ReductClient, ReductError};
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::condition::depends_on_order;
use super::error::{Cause, Error, Target};
use super::eviction::EvictionWatch;
use super::lane::Lanes;
use super::plan::Plan;
use super::queue::{Chunk, ReaderStats};
use super::window::{Piece, Pieces, Source};
use super::{Connection, Limits, Query};

/// Attachment of an entry that describes its video.
const VIDEO_ATTACHMENT: &str = "$video";
/// Back-off between attempts: a jitter of up to its length comes to each.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// What a session has for the reader.
#[derive(Debug)]
pub enum Delivery {
    /// First, and once.
    Opened {
        frame_rate: Option<String>,
    },
    Records(Chunk),
    /// Something failed and will be tried again.
    Retrying(String),
    Failed(gst::ErrorMessage),
}

/// Why a session ends early.
enum Stop {
    Failed(Error),
    /// Nobody takes the records any more.
    Abandoned,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A reading of a range.
pub struct Session {
    connection: Connection,
    query: Query,
    limits: Limits,
    stats: Arc<ReaderStats>,
    deliveries: mpsc::Sender<Delivery>,
    client: OnceCell<ReductClient>,
    bucket: OnceCell<Bucket>,
    /// Where the rest of the range begins.
    next: u64,
    end: u64,
    is_open: bool,
    attempts: Attempts,
    evictions: EvictionWatch,
}

/// A part of the range, in its order.
#[derive(Debug)]
enum Part {
    Unread(Range<u64>),
    Window(Range<u64>, Running),
}

/// A window that is being read, or is read and waits for its turn.
#[derive(Debug)]
struct Running {
    pieces: mpsc::UnboundedReceiver<Result<Piece, Error>>,
    task: JoinHandle<()>,
}

impl Running {
    fn new<F>(read: impl FnOnce(Pieces) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, pieces) = mpsc::unbounded_channel();
        let task = tokio::spawn(read(sender));
        Self { pieces, task }
    }

    async fn next(&mut self) -> Result<Piece, Error> {
        let piece = self.pieces.recv().await;
        piece.unwrap_or_else(|| {
            let text = "the server's answer makes no sense";
            Err(Error::new(Cause::Broken, text))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    /// A session that has asked nothing yet.
    pub fn new(
        connection: Connection,
        query: Query,
        limits: Limits,
        stats: Arc<ReaderStats>,
        deliveries: mpsc::Sender<Delivery>,
    ) -> Self {
        Self {
            next: query.start.unwrap_or(0),
            // With a stop in the far future the server takes a start after the newest record.
            end: query.stop.unwrap_or(u64::MAX),
            attempts: Attempts::new(limits.retries),
            connection,
            query,
            limits,
            stats,
            deliveries,
            client: OnceCell::new(),
            bucket: OnceCell::new(),
            is_open: false,
            evictions: EvictionWatch::default(),
        }
    }

    /// Delivers everything, or an error at the end.
    pub async fn run(mut self) {
        loop {
            let error = match self.read().await {
                Ok(()) | Err(Stop::Abandoned) => return,
                Err(Stop::Failed(error)) => error,
            };
            let delay = if error.is_transient() {
                self.attempts.next_delay()
            } else {
                None
            };
            let Some(delay) = delay else {
                return self.fail(&error).await;
            };
            self.stats.retries.fetch_add(1, Ordering::Relaxed);
            let last = self.stats.last_retry.lock();
            *last.unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            let text = format!(
                "{}. Trying again in {:.1} s, attempt {} of {}",
                error.explain(self.target()),
                delay.as_secs_f32(),
                self.attempts.made,
                self.limits.retries,
            );
            if self.deliver(Delivery::Retrying(text)).await.is_err() {
                return;
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// Posts an error as the last thing.
    async fn fail(&self, error: &Error) {
        let message = error.message(self.target());
        let _ = self.deliver(Delivery::Failed(message)).await;
    }

    /// Reads what is left of the range.
    async fn read(&mut self) -> Result<(), Stop> {
        let source = Arc::new(Source {
            lanes: Lanes::new(
                self.connection.clone(),
                &self.query.bucket,
                &self.query.entry,
                self.limits.connections as usize,
                self.stats.connections.clone(),
            )?,
            when: self.query.when.clone(),
            stats: self.stats.clone(),
        });
        match &self.query.when {
            Some(when) if depends_on_order(when) => self.read_whole(&source).await,
            _ => self.read_windows(&source).await,
        }
    }

    /// By one query. Made again, it begins where the range begins, as it does not choose the same
    /// records otherwise; what was delivered is dropped.
    async fn read_whole(&mut self, source: &Arc<Source>) -> Result<(), Stop> {
        // Two batches: one is taken while another one is read.
        let room = Arc::new(Semaphore::new(2));
        let batch_bytes = (self.limits.prefetch_bytes / 2).max(1);
        let range = self.query.start.unwrap_or(0)..self.end;
        let mut running = Running::new(|pieces| {
            let source = source.clone();
            source.read_whole(range, batch_bytes, room, pieces)
        });
        loop {
            match self.next_piece(&mut running).await? {
                Piece::Records(chunk) => self.forward(chunk).await?,
                Piece::BatchEnd(_permit) => {}
                Piece::End { .. } => return Ok(()),
            }
        }
    }

    /// By a query for each window, several at once.
    async fn read_windows(&mut self, source: &Arc<Source>) -> Result<(), Stop> {
        let mut plan = Plan::new(self.limits.connections, self.limits.prefetch_bytes);
        let mut parts = VecDeque::from([Part::Unread(self.next..self.end)]);
        loop {
            start_windows(&mut parts, &plan, source);
            let Some(Part::Window(range, running)) = parts.front_mut() else {
                return Ok(());
            };
            match self.next_piece(running).await? {
                Piece::Records(chunk) => self.forward(chunk).await?,
                Piece::BatchEnd(_) => {}
                Piece::End { found, rest } => {
                    let Range { start, end } = *range;
                    parts.pop_front();
                    plan.learn(start..rest.unwrap_or(end), found);
                    if let Some(rest) = rest {
                        parts.push_front(Part::Unread(rest..end));
                        if plan.must_hear_of_newest(rest) {
                            plan.hear_of(self.newest().await?);
                        }
                    }
                }
            }
        }
    }

    /// What comes next of a window. The first time it opens the entry meanwhile.
    async fn next_piece(&mut self, running: &mut Running) -> Result<Piece, Stop> {
        if self.is_open {
            return Ok(running.next().await?);
        }
        let (piece, frame_rate) = join(running.next(), self.attached_frame_rate()).await;
        // Of two errors this one says more: reduct-rs does not tell causes apart.
        let piece = piece?;
        let frame_rate = frame_rate?;
        self.deliver(Delivery::Opened { frame_rate }).await?;
        self.is_open = true;
        Ok(piece)
    }

    /// Delivers the next records, without those that were delivered before.
    async fn forward(&mut self, mut chunk: Chunk) -> Result<(), Stop> {
        chunk.skip_before(self.next);
        let Some(last) = chunk.as_mut_slice().last() else {
            return Ok(());
        };
        self.next = last.time + 1;
        self.attempts.reset();
        let listed = chunk.received();
        if self
            .evictions
            .must_hear_of_oldest(chunk.as_mut_slice(), listed)
        {
            self.newest().await?;
        }
        let evicted = self.evictions.mark(chunk.as_mut_slice());
        self.stats
            .evicted
            .fetch_add(evicted.into(), Ordering::Relaxed);
        self.deliver(Delivery::Records(chunk)).await
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), Stop> {
        let sent = self.deliveries.send(delivery).await;
        sent.map_err(|_| Stop::Abandoned)
    }

    /// The frame rate of the entry's `$video` attachment.
    async fn attached_frame_rate(&self) -> Result<Option<String>, Error> {
        if !self.query.wants_frame_rate {
            return Ok(None);
        }
        let bucket = self.bucket().await?;
        let attachments = self.within_timeout(bucket.read_attachments(&self.query.entry));
        let attachments = match attachments.await {
            Ok(attachments) => attachments,
            // An entry without attachments, or no entry: the query will tell.
            Err(err) if err.cause == Cause::Status(404) => return Ok(None),
            Err(err) => return Err(err),
        };
        let fps = attachments
            .get(VIDEO_ATTACHMENT)
            .and_then(|video| video.get("fps"));
        Ok(fps.map(|fps| match fps {
            JsonValue::String(text) => text.clone(),
            other => other.to_string(),
        }))
    }

    /// Asks for the time of the newest record, and hears of the oldest.
    async fn newest(&mut self) -> Result<u64, Error> {
        let asked = Instant::now();
        let entries = self.within_timeout(self.bucket().await?.entries()).await?;
        let entry = entries
            .into_iter()
            .find(|entry| entry.name == self.query.entry)
            .ok_or_else(|| Error::new(Cause::Status(404), "the entry was removed"))?;
        self.evictions.hear_of(entry.oldest_record, asked);
        Ok(entry.latest_record)
    }

    async fn bucket(&self) -> Result<&Bucket, Error> {
        let client = self
            .client
            .get_or_try_init(async || self.connection.client())
            .await?;
        let bucket = async || {
            self.within_timeout(client.get_bucket(&self.query.bucket))
                .await
        };
        self.bucket.get_or_try_init(bucket).await
    }

    /// The outcome of a request of reduct-rs.
    async fn within_timeout<T>(
        &self,
        request: impl Future<Output = Result<T, ReductError>>,
    ) -> Result<T, Error> {
        let timeout = self.connection.timeout().unwrap_or(Duration::MAX);
        match tokio::time::timeout(timeout, request).await {
            Ok(result) => result.map_err(Error::from),
            Err(_) => Err(Error::new(Cause::Timeout, "no answer")),
        }
    }

    fn target(&self) -> Target<'_> {
        Target {
            connection: &self.connection,
            bucket: &self.query.bucket,
            entry: &self.query.entry,
        }
    }
}

/// Starts to read as many windows as there may be, the first ones of the range.
fn start_windows(parts: &mut VecDeque<Part>, plan: &Plan, source: &Arc<Source>) {
    let is_window = |part: &Part| matches!(part, Part::Window(..));
    while let Some(index) = parts.iter().position(|part| !is_window(part)) {
        let running = parts.iter().filter(|part| is_window(part)).count();
        if running >= plan.windows() {
            // Later ones would keep the memory that those before them need.
            let Some(last) = parts
                .iter()
                .rposition(is_window)
                .filter(|last| *last > index)
            else {
                return;
            };
            if let Part::Window(range, _) = &parts[last] {
                parts[last] = Part::Unread(range.clone());
            }
            continue;
        }
        let Part::Unread(range) = &mut parts[index] else {
            return;
        };
        let window = plan.cut(range);
        if range.is_empty() {
            parts.remove(index);
        }
        let range = window.range.clone();
        let running = Running::new(|pieces| source.clone().read_window(window, pieces));
        parts.insert(index, Part::Window(range, running));
    }
}

/// Attempts in a row without progress.
#[derive(Debug)]
struct Attempts {
    most: usize,
    made: usize,
    delays: ExponentialBackoff,
}

impl Attempts {
    fn new(most: u32) -> Self {
        let most = most as usize;
        let delays = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LAST_DELAY)
            .with_jitter()
            .with_max_times(most);
        Self {
            most,
            made: 0,
            delays: delays.build(),
        }
    }

    /// How long to wait before the next one; `None` if there are no more.
    fn next_delay(&mut self) -> Option<Duration> {
        let delay = self.delays.next()?;
        self.made += 1;
        Some(delay)
    }

    /// There was progress.
    fn reset(&mut self) {
        if self.made > 0 {
            *self = Self::new(self.most as u32);
        }
    }
}
