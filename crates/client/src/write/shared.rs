// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State that a writer and its delivery share, and the events that they emit.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value as JsonValue;
use tokio::sync::Notify;

use crate::error::Failure;
use crate::lock::lock;
use crate::retry::Retries;
use crate::task::without_blocking;
use crate::write::keeping::{SpoolFiles, SpoolState};
use crate::write::queue::WriteQueue;
use crate::write::record::{Dropped, NewRecord};
use crate::write::spool::Spool;

/// Largest size of records, in bytes, that are stored under the lock.
const LAST_PASS_BYTES: u64 = 1 << 20;
/// Largest number of passes without the lock before.
const MAX_PASSES: u32 = 8;

/// An event of a writer.
#[derive(Debug)]
pub enum WriterEvent {
    /// A request failed, as the text says, and is retried.
    Retrying(String),
    /// A warning.
    Warning(String),
    /// A part of the spool is damaged or cannot be read, as the text says.
    Damaged(String),
    /// A final error: no more records are written.
    Failed(Failure),
    /// A final error of a detached writer, with the losses in the text.
    Abandoned(String),
}

impl fmt::Display for WriterEvent {
    /// Writes the text of the event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrying(text)
            | Self::Warning(text)
            | Self::Damaged(text)
            | Self::Abandoned(text) => f.write_str(text),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// A handler of the events of a writer. It may block.
pub type EventHandler = Arc<dyn Fn(WriterEvent) + Send + Sync>;

/// Statistics of a writer, readable from any thread.
#[derive(Debug, Default)]
pub struct WriterStats {
    /// Number of records that are written, and of their frames and bytes.
    pub records: AtomicU64,
    /// Frames of these.
    pub frames: AtomicU64,
    /// Bytes of these.
    pub bytes: AtomicU64,
    /// Number of requests that wrote them.
    pub batches: AtomicU64,
    /// Number of records that the server had already.
    pub existing: AtomicU64,
    /// Number of dropped records, and of their frames.
    pub dropped_records: AtomicU64,
    /// Frames of these.
    pub dropped_frames: AtomicU64,
    /// Lower bounds of the number of records that were damaged in the spool, and of their frames; they count as
    /// dropped, too.
    pub damaged_records: AtomicU64,
    /// Frames of these.
    pub damaged_frames: AtomicU64,
    /// Retries.
    pub retries: Retries,
    /// Number of queued records, and their memory in bytes.
    pub queue_records: AtomicU64,
    /// Memory of these, in bytes.
    pub queue_bytes: AtomicU64,
}

/// State that a writer and its delivery share.
pub struct Shared {
    pub state: Mutex<WriterState>,
    /// Wakes the delivery.
    pub work: Notify,
    /// Wakes the writer's thread.
    pub progress: Notify,
    /// State of the spool.
    pub spool: Mutex<SpoolState>,
    pub stats: Arc<WriterStats>,
    pub emit: EventHandler,
}

/// Records to be delivered, and the state of the stream.
#[derive(Debug, Default)]
pub struct WriterState {
    pub queue: WriteQueue,
    /// The attachment `$video`, until it is written.
    pub video: Option<JsonValue>,
    /// No more records come for now: a batch need not be filled.
    pub is_draining: bool,
    /// The writer was dropped: no more records come, and no thread waits.
    pub is_detached: bool,
    /// The final error, once it has occurred.
    pub failure: Option<Arc<Failure>>,
    /// Files are open: a record that was not offered to them is not taken.
    pub has_files: bool,
}

impl Shared {
    /// Locks the state, for short operations only.
    pub fn lock(&self) -> MutexGuard<'_, WriterState> {
        lock(&self.state)
    }

    /// Stores records in files from now on: recovered ones, which come first, and queued ones. Returns a warning if
    /// that is not possible. Blocks.
    ///
    /// Queued records are stored without a lock, so that a live source does not wait; only those that come meanwhile
    /// are stored while further records wait for the spool.
    pub fn open_files(
        &self,
        spool: Spool,
        name: &'static str,
        left: Vec<NewRecord>,
    ) -> Option<String> {
        let mut files = SpoolFiles::new(spool, name);
        let mut warning = None;
        for _ in 0..MAX_PASSES {
            let waiting = self.lock().queue.in_memory();
            if waiting.iter().map(NewRecord::length).sum::<u64>() <= LAST_PASS_BYTES {
                break;
            }
            warning = warning.or(self.put_in_files(&mut files, waiting));
        }
        let mut keeping = self.spool();
        let waiting = {
            let mut state = self.lock();
            // A record that is being pushed is offered to the files first.
            state.has_files = true;
            state.queue.in_memory()
        };
        warning = warning.or(self.put_in_files(&mut files, waiting));
        let mut state = self.lock();
        state.queue.put_before(left);
        self.count_queue(&state.queue);
        *keeping = SpoolState::Files(files);
        self.progress.notify_one();
        warning
    }

    fn put_in_files(&self, files: &mut SpoolFiles, mut waiting: Vec<NewRecord>) -> Option<String> {
        let warnings = waiting.iter_mut().filter_map(|record| files.keep(record));
        let warning = warnings.fold(None, |first: Option<_>, next| first.or(Some(next)));
        self.lock().queue.put_in_files(waiting);
        warning
    }

    /// Stores the offset, in µs, that is added to the times of the records of this run, or of a recovered one. Must
    /// be called before the first of them is sent.
    pub async fn set_placement(self: &Arc<Self>, left: Option<u64>, moved_by: u64) {
        let shared = self.clone();
        let stored = without_blocking(move || {
            let mut keeping = shared.spool();
            let SpoolState::Files(files) = &mut *keeping else {
                return Ok(None);
            };
            let stored = files.spool.set_placement(left, moved_by);
            Ok(stored.err().and_then(|error| files.fail(&error)))
        });
        if let Ok(Some(warning)) = stored.await {
            emit(self, WriterEvent::Warning(warning)).await;
        }
    }

    /// Syncs the files if they are synced at intervals.
    pub async fn sync_files(self: &Arc<Self>) {
        let shared = self.clone();
        let synced = without_blocking(move || {
            let unsynced = match &mut *shared.spool() {
                SpoolState::Files(files) => files.spool.take_unsynced(),
                SpoolState::Memory | SpoolState::Opening => None,
            };
            let Some(Err(error)) = unsynced.map(|unsynced| unsynced.sync()) else {
                return Ok(None);
            };
            match &mut *shared.spool() {
                SpoolState::Files(files) => {
                    // Another sync of the same file might succeed although its data is lost.
                    files.spool.close();
                    Ok(files.fail(&error))
                }
                SpoolState::Memory | SpoolState::Opening => Ok(None),
            }
        });
        if let Ok(Some(warning)) = synced.await {
            emit(self, WriterEvent::Warning(warning)).await;
        }
    }

    /// Locks the spool, for as long as a record is written to a file.
    pub fn spool(&self) -> MutexGuard<'_, SpoolState> {
        lock(&self.spool)
    }

    /// Updates the statistics of the queue.
    pub fn count_queue(&self, queue: &WriteQueue) {
        let stats = &self.stats;
        let records = queue.len() as u64;
        stats.queue_records.store(records, Ordering::Relaxed);
        stats.queue_bytes.store(queue.bytes(), Ordering::Relaxed);
    }

    /// Counts records that were lost by damage of the spool.
    pub fn count_damaged(&self, lost: Dropped) {
        let stats = &self.stats;
        stats
            .damaged_records
            .fetch_add(lost.records, Ordering::Relaxed);
        stats
            .damaged_frames
            .fetch_add(lost.frames, Ordering::Relaxed);
        self.count_dropped(lost);
    }

    /// Counts dropped records.
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

/// Ends a delivery with an error, which is emitted before `push` fails, so that it is the first one.
pub async fn fail(shared: &Arc<Shared>, failure: Failure) {
    let kept = Arc::new(failure.clone());
    emit(shared, WriterEvent::Failed(failure)).await;
    shared.lock().failure = Some(kept);
    shared.progress.notify_one();
}

/// Emits an event, and waits for the handler, so that events keep their order.
pub async fn emit(shared: &Arc<Shared>, event: WriterEvent) {
    let emit = shared.emit.clone();
    // A panic of the handler is the handler's to report.
    let _ = tokio::task::spawn_blocking(move || emit(event)).await;
}
