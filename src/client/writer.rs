// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Writes records to an entry, in order, for a streaming thread that does not wait for the server.

use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use reduct_rs::JsonValue;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::attempts::Retries;
use super::delivery::{Delivery, Destination};
use super::error::Error;
use super::outbox::{Dropped, Outbox, Outgoing};
use super::spool::Spool;
use super::{Flushed, Flushing, runtime};

/// What happens when there is no room for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Wait until there is.
    Block,
    /// Drop the oldest groups of pictures.
    DropGroups,
    /// Refuse it.
    Refuse,
}

/// Why a record was not taken, or not all of them are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// The wait was ended. The record may be pushed again.
    Flushed,
    /// There is no room.
    Full,
    /// The writer has told of an error and writes nothing any more.
    Failed,
}

/// What a writer has to tell, at any time.
#[derive(Debug)]
pub enum Told {
    /// Something failed, as the text says, and will be tried again.
    Retrying(String),
    /// Something is not as it should be, as the text says.
    Warning(String),
    /// Nothing is written any more.
    Failed(gst::ErrorMessage),
    /// The same after the stream was stopped, when an element may have neither a bus nor a life. The text has
    /// what is lost.
    Abandoned(String),
}

/// Takes what a writer tells. It may block.
pub type Tell = Arc<dyn Fn(Told) + Send + Sync>;

/// What a writer counts, for anybody to look at while it writes.
#[derive(Debug, Default)]
pub struct WriterStats {
    /// Records that the server has, and their frames and bytes.
    pub records: AtomicU64,
    pub frames: AtomicU64,
    pub bytes: AtomicU64,
    /// Requests that wrote them.
    pub batches: AtomicU64,
    /// Records that the server had already.
    pub existing: AtomicU64,
    /// Records that were given up, and their frames.
    pub dropped_records: AtomicU64,
    pub dropped_frames: AtomicU64,
    /// How often something failed and was tried again.
    pub retries: Retries,
    /// What waits.
    pub queue_records: AtomicU64,
    pub queue_bytes: AtomicU64,
}

/// What the streaming thread and the delivery share.
pub struct Shared {
    pub state: Mutex<State>,
    /// There is something to do for the delivery.
    pub work: Notify,
    /// There may be something new for the streaming thread.
    pub progress: Notify,
    /// Where records are kept until they are written.
    pub spool: Mutex<Keeping>,
    pub stats: Arc<WriterStats>,
    pub tell: Tell,
}

/// Where records are kept until they are written.
#[derive(Debug)]
pub enum Keeping {
    Memory,
    /// In files, which are not open yet.
    Opening,
    Files(Spool),
}

/// What is to be delivered.
#[derive(Debug, Default)]
pub struct State {
    pub outbox: Outbox,
    /// The attachment `$video` that the entry is to have, until it has it.
    pub video: Option<JsonValue>,
    /// Nothing more comes for now: what waits need not wait for more.
    pub is_draining: bool,
    /// Nobody waits for the records any more, nor will there be others.
    pub is_left: bool,
    /// There was an error that is final.
    pub has_failed: bool,
}

impl Shared {
    /// Held for a moment only.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps records in files from now on: those that were left there, which come first, and those that
    /// wait already. Blocks.
    pub fn begin_to_keep(&self, mut spool: Spool, left: Vec<Outgoing>) -> io::Result<()> {
        let mut keeping = self.spool();
        let mut state = self.lock();
        state
            .outbox
            .put_before(left, |record| spool.append(record))?;
        self.count_queue(&state.outbox);
        *keeping = Keeping::Files(spool);
        Ok(())
    }

    /// Held while a record is written to a file, by the thread that brings it.
    pub fn spool(&self) -> MutexGuard<'_, Keeping> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what waits.
    pub fn count_queue(&self, outbox: &Outbox) {
        let stats = &self.stats;
        let records = outbox.len() as u64;
        stats.queue_records.store(records, Ordering::Relaxed);
        stats.queue_bytes.store(outbox.bytes(), Ordering::Relaxed);
    }

    /// Counts what was given up.
    pub fn count_dropped(&self, dropped: Dropped) {
        let stats = &self.stats;
        stats
            .dropped_records
            .fetch_add(dropped.records, Ordering::Relaxed);
        stats
            .dropped_frames
            .fetch_add(dropped.frames, Ordering::Relaxed);
    }
}

/// Writes to an entry in the background. What was pushed is written even after it is dropped, if
/// the server takes it.
pub struct RecordWriter {
    runtime: &'static Runtime,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl fmt::Debug for RecordWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordWriter").finish_non_exhaustive()
    }
}

/// A writer that was left, and may still write.
#[derive(Debug)]
pub struct Left(Option<JoinHandle<()>>);

impl RecordWriter {
    /// A writer for a destination, which does nothing until one has left that was there before.
    pub fn new(
        destination: Destination,
        after: Option<Left>,
        stats: Arc<WriterStats>,
        tell: Tell,
    ) -> Result<Self, gst::ErrorMessage> {
        let runtime = runtime()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Notify::new(),
            progress: Notify::new(),
            spool: Mutex::new(match destination.spool_folder {
                Some(_) => Keeping::Opening,
                None => Keeping::Memory,
            }),
            stats,
            tell,
        });
        let panicked = Error::makes_no_sense().message(destination.target());
        let delivery = Delivery::new(destination, shared.clone());
        let guard = shared.clone();
        let task = runtime.spawn(async move {
            if let Some(Left(Some(before))) = after {
                let _ = before.await; // A panic of it was told.
            }
            // reduct-rs panics on some answers; who waits must learn of it.
            let delivery = AssertUnwindSafe(delivery.run()).catch_unwind();
            if delivery.await.is_err() {
                fail(&guard, panicked).await;
            }
        });
        Ok(Self {
            runtime,
            shared,
            task: Some(task),
        })
    }

    /// Has the entry get this attachment `$video` with the next record.
    pub fn describe(&self, video: JsonValue) {
        self.shared.lock().video = Some(video);
    }

    /// Takes the next record. Waits for room if that is what happens without; tells what was dropped.
    pub fn push(
        &self,
        record: &mut Outgoing,
        queue_bytes: u64,
        overflow: Overflow,
        flushing: &Flushing,
    ) -> Result<Dropped, PushError> {
        self.keep(record);
        loop {
            let dropped = {
                let mut state = self.shared.lock();
                if state.has_failed {
                    return Err(PushError::Failed);
                }
                state.is_draining = false;
                self.make_room(&mut state.outbox, record, queue_bytes, overflow)
            };
            match dropped {
                Some(dropped) => {
                    self.shared.count_dropped(dropped);
                    self.shared.work.notify_one();
                    return Ok(dropped);
                }
                None if overflow == Overflow::Refuse => return Err(PushError::Full),
                None => self.wait(flushing)?,
            }
        }
    }

    /// Takes the next record whether there is room or not, and waits for nothing. Tells if it may be
    /// written.
    pub fn push_at_once(&self, mut record: Outgoing) -> bool {
        self.keep(&mut record);
        let mut state = self.shared.lock();
        let refused = match state.has_failed {
            true => Some(Dropped::default().with(&record)),
            false => state.outbox.push(record),
        };
        self.shared.count_queue(&state.outbox);
        drop(state);
        self.shared.count_dropped(refused.unwrap_or_default());
        refused.is_none()
    }

    /// Has a record survive the process, if that is wanted, possible, and it does not yet.
    fn keep(&self, record: &mut Outgoing) {
        let kept = match &mut *self.shared.spool() {
            // What waits when the files are open gets there.
            Keeping::Memory | Keeping::Opening => return,
            Keeping::Files(spool) => spool.append(record),
        };
        if let Err(error) = kept {
            *self.shared.spool() = Keeping::Memory;
            let text = format!(
                "What is recorded does not survive the process any more, as spool-dir cannot be \
                 written: {error}"
            );
            (self.shared.tell)(Told::Warning(text));
        }
    }

    /// Adds a record if there is room, or can be made. Tells what was dropped.
    fn make_room(
        &self,
        outbox: &mut Outbox,
        record: &Outgoing,
        queue_bytes: u64,
        overflow: Overflow,
    ) -> Option<Dropped> {
        let mut dropped = Dropped::default();
        while !outbox.has_room_for(record, queue_bytes) {
            if overflow != Overflow::DropGroups {
                return None;
            }
            let group = outbox.drop_oldest_group();
            if group.records == 0 {
                break; // All of the rest is on its way.
            }
            dropped = dropped.and(group);
        }
        let refused = outbox.push(record.clone());
        self.shared.count_queue(outbox);
        Some(dropped.and(refused.unwrap_or_default()))
    }

    /// Waits until all records are written.
    pub fn drain(&self, flushing: &Flushing) -> Result<(), PushError> {
        loop {
            {
                let mut state = self.shared.lock();
                if state.has_failed {
                    return Err(PushError::Failed);
                }
                if state.outbox.is_empty() {
                    return Ok(());
                }
                state.is_draining = true;
            }
            self.shared.work.notify_one();
            self.wait(flushing)?;
        }
    }

    /// Leaves what is not written yet to itself.
    pub fn leave(mut self) -> Left {
        Left(self.task.take())
    }

    fn wait(&self, flushing: &Flushing) -> Result<(), PushError> {
        let progress = self.shared.progress.notified();
        let waited = flushing.wait(self.runtime, progress);
        waited.map_err(|Flushed| PushError::Flushed)
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        self.shared.lock().is_left = true;
        self.shared.work.notify_one();
    }
}

/// Ends a delivery with an error. It is told first: who pushes makes others post theirs.
pub async fn fail(shared: &Arc<Shared>, message: gst::ErrorMessage) {
    tell(shared, Told::Failed(message)).await;
    shared.lock().has_failed = true;
    shared.progress.notify_one();
}

/// Tells, and waits until that is done: one thing after the other.
pub async fn tell(shared: &Arc<Shared>, told: Told) {
    let tell = shared.tell.clone();
    // A panic in there is caught where GStreamer calls.
    let _ = tokio::task::spawn_blocking(move || tell(told)).await;
}
