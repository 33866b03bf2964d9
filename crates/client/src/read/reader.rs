// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The records of an entry, in the order of their times, for a streaming thread.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::future::select;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::canceller::{Flushed, Flushing};
use crate::entry::{EntryTimes, Opened};
use crate::error::Failure;
use crate::read::query::{Query, View};
use crate::read::queue::{Chunk, ReaderStats};
use crate::read::session::{Delivery, Session};
use crate::read::source::Access;
use crate::record::Record;
use crate::task::{Task, catch_panic};

/// Chunks between the network and the streaming thread, besides those that wait for their turn.
const CHUNKS: usize = 4;

/// What a reader reads.
#[derive(Debug)]
pub enum Event {
    /// First, and once, for a range: the entry is there.
    Opened(Opened),
    Record(Record),
    /// The times of the entry's records, if there are any.
    Times(Option<EntryTimes>),
    /// Something failed, as the text says, and will be tried again.
    Retrying(String),
}

/// Why a reader has no event.
#[derive(Debug)]
pub enum ReadError {
    /// The wait was ended. Nothing is lost: the next call goes on.
    Flushed,
    Failed(Failure),
}

/// A wait for the network, which is counted when it ends, be it by an event or because it was cancelled.
struct NetworkWait<'a> {
    stats: &'a ReaderStats,
    begin: Instant,
}

impl<'a> NetworkWait<'a> {
    fn begin(stats: &'a ReaderStats) -> Self {
        let begin = Instant::now();
        Self { stats, begin }
    }
}

impl Drop for NetworkWait<'_> {
    fn drop(&mut self) {
        let waited = self.begin.elapsed().as_nanos() as u64;
        self.stats.network_wait.fetch_add(waited, Ordering::Relaxed);
    }
}

/// Reads an entry in the background, from when it is made until it is dropped.
#[derive(Debug)]
pub struct RecordReader {
    runtime: Handle,
    deliveries: mpsc::Receiver<Delivery>,
    /// What is left of the last records that were taken.
    chunk: Option<Chunk>,
    stats: Arc<ReaderStats>,
    _task: Task,
}

impl RecordReader {
    /// Starts to read.
    pub fn new(access: &Arc<Access>, query: Query) -> Self {
        let (sender, deliveries) = mpsc::channel(CHUNKS);
        let stats = match query.view {
            View::Range => access.stats.clone(),
            _ => Arc::default(),
        };
        let target = access.clone();
        let follows = access.follows().then(|| access.clone());
        let session = Session::new(access.clone(), query, stats.clone(), sender.clone());
        let task = access.runtime.spawn(async move {
            let session = async {
                match follows {
                    Some(access) => {
                        select(pin!(access.over()), pin!(session.run())).await;
                    }
                    None => session.run().await,
                }
            };
            if let Err(error) = catch_panic(session).await {
                let message = error.failure(target.target());
                let _ = sender.send(Delivery::Failed(message)).await;
            }
        });
        Self {
            runtime: access.runtime.clone(),
            deliveries,
            chunk: None,
            stats,
            _task: Task(task),
        }
    }

    /// Returns the next event, or `None` after the last record.
    ///
    /// Cancel safe: no record is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// Those that are not transient, or that persisted for all attempts.
    pub async fn recv(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(record) = self.chunk.as_mut().and_then(Iterator::next) {
                return Ok(Some(Event::Record(record)));
            }
            self.chunk = None; // Its room may be what is waited for.
            let delivery = match self.deliveries.try_recv() {
                Ok(delivery) => Some(delivery),
                Err(_) => {
                    let _wait = NetworkWait::begin(&self.stats);
                    self.deliveries.recv().await
                }
            };
            match delivery {
                Some(Delivery::Records(chunk)) => self.chunk = Some(chunk),
                Some(Delivery::Times(times)) => return Ok(Some(Event::Times(times))),
                Some(Delivery::Opened(opened)) => return Ok(Some(Event::Opened(opened))),
                Some(Delivery::Retrying(text)) => return Ok(Some(Event::Retrying(text))),
                Some(Delivery::Failed(error)) => return Err(error),
                None => return Ok(None),
            }
        }
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
                Some(Delivery::Times(times)) => return Ok(Some(Event::Times(times))),
                Some(Delivery::Opened(opened)) => return Ok(Some(Event::Opened(opened))),
                Some(Delivery::Retrying(text)) => return Ok(Some(Event::Retrying(text))),
                Some(Delivery::Failed(error)) => return Err(ReadError::Failed(error)),
                None => return Ok(None),
            }
        }
    }

    fn wait(&mut self, flushing: &Flushing) -> Result<Option<Delivery>, ReadError> {
        let begin = Instant::now();
        let received = flushing.wait(&self.runtime, self.deliveries.recv());
        let waited = begin.elapsed().as_nanos() as u64;
        self.stats.network_wait.fetch_add(waited, Ordering::Relaxed);
        received.map_err(|Flushed| ReadError::Flushed)
    }
}
