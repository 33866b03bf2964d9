// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State that a writer and its delivery share, and the events that they emit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as JsonValue;
use tokio::sync::Notify;

use crate::error::Failure;
use crate::retry::Retries;
use crate::task::without_blocking;
use crate::write::keeping::{SpoolFiles, SpoolState};
use crate::write::queue::WriteQueue;
use crate::write::record::{Dropped, NewRecord};
use crate::write::spool::Spool;

/// Bytes of records that are put in files at once while nothing else can be.
const LAST_PASS_BYTES: u64 = 1 << 20;
/// Attempts to put all but so many bytes in files before.
const MAX_PASSES: u32 = 8;

/// What a writer has to tell, at any time.
#[derive(Debug)]
pub enum WriterEvent {
    /// Something failed, as the text says, and will be tried again.
    Retrying(String),
    /// Something is not as it should be, as the text says.
    Warning(String),
    /// Something in the spool is damaged or cannot be read, as the text says.
    Damaged(String),
    /// Nothing is written any more.
    Failed(Failure),
    /// The same after the stream was stopped, when an element may have neither a bus nor a life. The text has
    /// what is lost.
    Abandoned(String),
}

/// Takes what a writer tells. It may block.
pub type EventHandler = Arc<dyn Fn(WriterEvent) + Send + Sync>;

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
    /// Those of the dropped records that were damaged in the spool, and their frames; at least so many.
    pub damaged_records: AtomicU64,
    pub damaged_frames: AtomicU64,
    /// How often something failed and was tried again.
    pub retries: Retries,
    /// What waits.
    pub queue_records: AtomicU64,
    pub queue_bytes: AtomicU64,
}

/// What the streaming thread and the delivery share.
pub struct Shared {
    pub state: Mutex<WriterState>,
    /// There is something to do for the delivery.
    pub work: Notify,
    /// There may be something new for the streaming thread.
    pub progress: Notify,
    /// Where records are kept until they are written.
    pub spool: Mutex<SpoolState>,
    pub stats: Arc<WriterStats>,
    pub emit: EventHandler,
}

/// What is to be delivered.
#[derive(Debug, Default)]
pub struct WriterState {
    pub queue: WriteQueue,
    /// The attachment `$video` that the entry is to have, until it has it.
    pub video: Option<JsonValue>,
    /// Nothing more comes for now: what waits need not wait for more.
    pub is_draining: bool,
    /// Nobody waits for the records any more, nor will there be others.
    pub is_detached: bool,
    /// There was an error that is final.
    pub has_failed: bool,
    /// Files are open: a record that was not offered to them is not taken.
    pub has_files: bool,
}

impl Shared {
    /// Held for a moment only.
    pub fn lock(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps records in files from now on: those that were left there, which come first, and those that
    /// wait already. Returns a warning if that is not possible. Blocks.
    ///
    /// What waits is written without a lock, so that a live source does not wait for it; only what comes
    /// meanwhile is written while further records wait for the spool.
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
            // A record that was about to be taken is offered to the files first.
            state.has_files = true;
            state.queue.in_memory()
        };
        warning = warning.or(self.put_in_files(&mut files, waiting));
        let mut state = self.lock();
        state.queue.put_before(left);
        self.count_queue(&state.queue);
        *keeping = SpoolState::Files(files);
        warning
    }

    fn put_in_files(&self, files: &mut SpoolFiles, mut waiting: Vec<NewRecord>) -> Option<String> {
        let warnings = waiting.iter_mut().filter_map(|record| files.keep(record));
        let warning = warnings.fold(None, |first: Option<_>, next| first.or(Some(next)));
        self.lock().queue.put_in_files(waiting);
        warning
    }

    /// Stores by how much later than they say the records of this run, or of one that was left, are
    /// written, in µs. To be called before the first of them is sent.
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

    /// Syncs what is in files if that is due from time to time.
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
                    // Another sync of the same file might succeed although what it had is gone.
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

    /// Held while a record is written to a file, by the thread that brings it.
    pub fn spool(&self) -> MutexGuard<'_, SpoolState> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what waits.
    pub fn count_queue(&self, queue: &WriteQueue) {
        let stats = &self.stats;
        let records = queue.len() as u64;
        stats.queue_records.store(records, Ordering::Relaxed);
        stats.queue_bytes.store(queue.bytes(), Ordering::Relaxed);
    }

    /// Counts what damage of the spool cost.
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

/// Ends a delivery with an error. Posts it before `push` fails, so that it is the first on the bus.
pub async fn fail(shared: &Arc<Shared>, failure: Failure) {
    emit(shared, WriterEvent::Failed(failure)).await;
    shared.lock().has_failed = true;
    shared.progress.notify_one();
}

/// Tells, and waits until that is done: one thing after the other.
pub async fn emit(shared: &Arc<Shared>, event: WriterEvent) {
    let emit = shared.emit.clone();
    // A panic in there is caught where GStreamer calls.
    let _ = tokio::task::spawn_blocking(move || emit(event)).await;
}
