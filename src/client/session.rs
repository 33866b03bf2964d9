// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Reads a range to its end, and tries again what fails.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use super::ahead::{Ahead, Windows};
use super::condition::depends_on_order;
use super::entry::Entry;
use super::error::{Cause, Error, Target};
use super::eviction::EvictionWatch;
use super::lane::Lanes;
use super::plan::Plan;
use super::queue::{Chunk, ReaderStats};
use super::window::Source;
use super::{Connection, Limits, Query};

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
    entry: Arc<Entry>,
    is_open: bool,
    /// Where the rest of the range begins.
    next: u64,
    end: u64,
    attempts: Attempts,
    evictions: EvictionWatch,
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
            entry: Arc::new(Entry::new(&connection, &query)),
            is_open: false,
            next: query.start.unwrap_or(0),
            // With a stop in the far future the server takes a start after the newest record.
            end: query.stop.unwrap_or(u64::MAX),
            attempts: Attempts::new(limits.retries),
            evictions: EvictionWatch::default(),
            connection,
            query,
            limits,
            stats,
            deliveries,
        }
    }

    /// Delivers everything, or an error at the end.
    pub async fn run(mut self) {
        while let Err(Stop::Failed(error)) = self.read().await {
            // A proxy may answer for a server that is away.
            let may_pass = error.is_transient() || self.is_open && error.cause == Cause::Foreign;
            let delay = self.attempts.next_delay();
            let Some(delay) = delay.filter(|_| may_pass) else {
                let message = error.message(self.target());
                let _ = self.deliver(Delivery::Failed(message)).await;
                return;
            };
            self.stats.retries.fetch_add(1, Ordering::Relaxed);
            *self
                .stats
                .last_retry
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
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

    /// Reads what is left of the range.
    async fn read(&mut self) -> Result<(), Stop> {
        let mut ahead = self.ahead()?;
        let mut next = if self.is_open {
            ahead.next().await?
        } else {
            self.open(&mut ahead).await?
        };
        while let Some(chunk) = next {
            self.forward(chunk, &mut ahead).await?;
            next = ahead.next().await?;
        }
        Ok(())
    }

    fn ahead(&self) -> Result<Ahead, Error> {
        let source = Arc::new(Source {
            lanes: Arc::new(Lanes::new(
                self.connection.clone(),
                &self.query.bucket,
                &self.query.entry,
                self.limits.connections as usize,
                self.stats.connections.clone(),
            )?),
            entry: self.entry.clone(),
            when: self.query.when.clone(),
            stats: self.stats.clone(),
        });
        let prefetch_bytes = self.limits.prefetch_bytes;
        if self.query.when.as_ref().is_some_and(depends_on_order) {
            // From the beginning each time, as other records are chosen otherwise.
            let range = self.query.start.unwrap_or(0)..self.end;
            return Ok(Ahead::whole(source, range, prefetch_bytes));
        }
        let plan = match self.query.when {
            Some(_) => Plan::of_condition(self.limits.connections, prefetch_bytes),
            None => Plan::new(self.limits.connections, prefetch_bytes),
        };
        let range = self.next..self.end;
        let windows = Windows::new(source, plan, range);
        Ok(Ahead::Windows(match self.query.is_aside {
            true => windows,
            false => windows.expecting_much(),
        }))
    }

    /// Looks for the frame rate while the first records are on their way, and gives these.
    async fn open(&mut self, ahead: &mut Ahead) -> Result<Option<Chunk>, Stop> {
        let entry = self.entry.clone();
        let is_aside = self.query.is_aside;
        let mut frame_rate = pin!(async {
            match is_aside {
                true => Ok(None),
                false => entry.frame_rate().await,
            }
        });
        let (first, known) = {
            let next = pin!(ahead.next());
            match select(frame_rate.as_mut(), next).await {
                // Of two errors that of the query says more: reduct-rs does not tell causes apart.
                Either::Left((frame_rate, next)) => (next.await?, Some(frame_rate?)),
                Either::Right((first, _)) => (first?, None),
            }
        };
        let frame_rate = match known {
            Some(frame_rate) => frame_rate,
            None => match select(frame_rate, pin!(ahead.keep_reading())).await {
                Either::Left((frame_rate, _)) => frame_rate?,
                Either::Right((error, _)) => return Err(error.into()),
            },
        };
        self.deliver(Delivery::Opened { frame_rate }).await?;
        self.is_open = true;
        Ok(first)
    }

    /// Delivers the next records, without those that were delivered before.
    async fn forward(&mut self, mut chunk: Chunk, ahead: &mut Ahead) -> Result<(), Stop> {
        chunk.skip_before(self.next);
        let Some(last) = chunk.records().last() else {
            return Ok(());
        };
        let next = last.time + 1;
        let listed = chunk.received();
        if self.evictions.must_hear_of_oldest(chunk.records(), listed) {
            let times = self.entry.times().await?;
            self.evictions.hear_of(times);
        }
        let permit = match select(pin!(self.deliveries.reserve()), pin!(ahead.keep_reading())).await
        {
            Either::Left((permit, _)) => permit.map_err(|_| Stop::Abandoned)?,
            Either::Right((error, _)) => return Err(error.into()),
        };
        if self.evictions.mark(chunk.records_mut()) {
            self.stats.evicted.fetch_add(1, Ordering::Relaxed);
        }
        permit.send(Delivery::Records(chunk));
        self.next = next;
        self.attempts.reset();
        Ok(())
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), Stop> {
        let sent = self.deliveries.send(delivery).await;
        sent.map_err(|_| Stop::Abandoned)
    }

    fn target(&self) -> Target<'_> {
        Target {
            connection: &self.connection,
            bucket: &self.query.bucket,
            entry: &self.query.entry,
        }
    }
}

/// Attempts in a row without progress.
#[derive(Debug)]
struct Attempts {
    most: u32,
    made: u32,
    delays: ExponentialBackoff,
}

impl Attempts {
    fn new(most: u32) -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LAST_DELAY)
            .with_jitter()
            .with_max_times(most as usize);
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
            *self = Self::new(self.most);
        }
    }
}
