// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The public reader: records of an entry in the order of their times.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::future::select;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::canceller::{Cancelled, Canceller};
use crate::entry::{EntryInfo, EntryTimes};
use crate::error::Failure;
use crate::read::query::{Query, View};
use crate::read::queue::{Chunk, ReaderStats};
use crate::read::session::{Session, SessionEvent};
use crate::read::source::EntrySource;
use crate::record::Record;
use crate::task::{Task, catch_panic};

/// Number of chunks between the session and the consumer, besides prefetched ones.
const CHUNKS: usize = 4;

/// An event of a reader.
#[derive(Debug)]
pub enum Event {
    /// The entry exists. First event of a range.
    Opened(EntryInfo),
    /// The next record.
    Record(Record),
    /// The times of the entry's records, if there are any.
    Times(Option<EntryTimes>),
    /// A request failed, as the text says, and is retried.
    Retrying(String),
}

/// Reason why a reader has no event.
#[derive(Debug)]
pub enum ReadError {
    /// The wait was cancelled. Nothing is lost: the next call continues.
    Cancelled,
    /// The final error.
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

/// A reader of an entry, which reads in the background until it is dropped.
#[derive(Debug)]
pub struct RecordReader {
    runtime: Handle,
    events: mpsc::Receiver<SessionEvent>,
    /// Rest of the last chunk.
    chunk: Option<Chunk>,
    stats: Arc<ReaderStats>,
    _task: Task,
}

impl RecordReader {
    /// Starts to read. Needs no runtime on the calling thread.
    pub fn new(access: &Arc<EntrySource>, query: Query) -> Self {
        let (sender, events) = mpsc::channel(CHUNKS);
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
                let _ = sender.send(SessionEvent::Failed(message)).await;
            }
        });
        Self {
            runtime: access.runtime.clone(),
            events,
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
    /// Errors that are not transient, or that persisted for all retries.
    pub async fn recv(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(record) = self.chunk.as_mut().and_then(Iterator::next) {
                return Ok(Some(Event::Record(record)));
            }
            self.chunk = None; // The session may wait for its memory.
            let event = match self.events.try_recv() {
                Ok(event) => Some(event),
                Err(_) => {
                    let _wait = NetworkWait::begin(&self.stats);
                    self.events.recv().await
                }
            };
            match event {
                Some(SessionEvent::Records(chunk)) => self.chunk = Some(chunk),
                Some(SessionEvent::Times(times)) => return Ok(Some(Event::Times(times))),
                Some(SessionEvent::Opened(opened)) => return Ok(Some(Event::Opened(opened))),
                Some(SessionEvent::Retrying(text)) => return Ok(Some(Event::Retrying(text))),
                Some(SessionEvent::Failed(failure)) => return Err(failure),
                None => return Ok(None),
            }
        }
    }

    /// Returns the next event, or `None` after the last record. Blocks.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), or the cancellation.
    pub fn next(&mut self, canceller: &Canceller) -> Result<Option<Event>, ReadError> {
        let runtime = self.runtime.clone();
        // Without a future for records that have arrived.
        if let Some(record) = self.chunk.as_mut().and_then(Iterator::next) {
            return Ok(Some(Event::Record(record)));
        }
        match canceller.wait(&runtime, self.recv()) {
            Ok(event) => event.map_err(ReadError::Failed),
            Err(Cancelled) => Err(ReadError::Cancelled),
        }
    }
}
