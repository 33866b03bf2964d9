// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes records to an entry, in order, for a streaming thread that does not wait for the server.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value as JsonValue;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::canceller::{Flushed, Flushing};
use crate::error::Failure;
use crate::retry::Retries;
use crate::task::{Task, catch_panic, without_blocking};
use crate::write::delivery::{Delivery, Destination};
use crate::write::keeping::{Files, Keeping, MAX_MEMORY};
use crate::write::queue::{Dropped, Outbox, Outgoing};
use crate::write::spool::{Spool, SpoolSync};

/// Bytes of records that are put in files at once while nothing else can be.
const LAST_BYTES: u64 = 1 << 20;
/// Attempts to put all but so many bytes in files before.
const ROUNDS: u32 = 8;
/// Pause between two syncs.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

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
    /// Something in the spool is damaged or cannot be read, as the text says.
    Damaged(String),
    /// Nothing is written any more.
    Failed(Failure),
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
    /// Files are open: a record that was not offered to them is not taken.
    has_files: bool,
}

impl Shared {
    /// Held for a moment only.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps records in files from now on: those that were left there, which come first, and those that
    /// wait already. Returns a warning if that is not possible. Blocks.
    ///
    /// What waits is written without a lock, so that a live source does not wait for it; only what comes
    /// meanwhile is written while further records wait for the spool.
    pub fn begin_to_keep(&self, spool: Spool, left: Vec<Outgoing>) -> Option<String> {
        let mut files = Files::new(spool);
        let mut warning = None;
        for _ in 0..ROUNDS {
            let waiting = self.lock().outbox.in_memory();
            if waiting.iter().map(Outgoing::length).sum::<u64>() <= LAST_BYTES {
                break;
            }
            warning = warning.or(self.put_in_files(&mut files, waiting));
        }
        let mut keeping = self.spool();
        let waiting = {
            let mut state = self.lock();
            // A record that was about to be taken is offered to the files first.
            state.has_files = true;
            state.outbox.in_memory()
        };
        warning = warning.or(self.put_in_files(&mut files, waiting));
        let mut state = self.lock();
        state.outbox.put_before(left);
        self.count_queue(&state.outbox);
        *keeping = Keeping::Files(files);
        warning
    }

    fn put_in_files(&self, files: &mut Files, mut waiting: Vec<Outgoing>) -> Option<String> {
        let warnings = waiting.iter_mut().filter_map(|record| files.keep(record));
        let warning = warnings.fold(None, |first: Option<_>, next| first.or(Some(next)));
        self.lock().outbox.put_in_files(waiting);
        warning
    }

    /// Stores by how much later than they say the records of this run, or of one that was left, are
    /// written, in µs. To be called before the first of them is sent.
    pub async fn set_placement(self: &Arc<Self>, left: Option<u64>, moved_by: u64) {
        let shared = self.clone();
        let stored = without_blocking(move || {
            let mut keeping = shared.spool();
            let Keeping::Files(files) = &mut *keeping else {
                return Ok(None);
            };
            let stored = files.spool.set_placement(left, moved_by);
            Ok(stored.err().and_then(|error| files.fail(&error)))
        });
        if let Ok(Some(warning)) = stored.await {
            tell(self, Told::Warning(warning)).await;
        }
    }

    /// Syncs what is in files if that is due from time to time.
    async fn sync_files(self: &Arc<Self>) {
        let shared = self.clone();
        let synced = without_blocking(move || {
            let unsynced = match &mut *shared.spool() {
                Keeping::Files(files) => files.spool.take_unsynced(),
                Keeping::Memory | Keeping::Opening => None,
            };
            let Some(Err(error)) = unsynced.map(|unsynced| unsynced.sync()) else {
                return Ok(None);
            };
            match &mut *shared.spool() {
                Keeping::Files(files) => {
                    // Another sync of the same file might succeed although what it had is gone.
                    files.spool.close();
                    Ok(files.fail(&error))
                }
                Keeping::Memory | Keeping::Opening => Ok(None),
            }
        });
        if let Ok(Some(warning)) = synced.await {
            tell(self, Told::Warning(warning)).await;
        }
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

/// Writes to an entry in the background. What was pushed is written even after it is dropped, if
/// the server takes it.
pub struct RecordWriter {
    runtime: Handle,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
    /// Bytes of contents that may wait in memory.
    max_memory: u64,
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
        runtime: &Handle,
        destination: Destination,
        after: Option<Left>,
        stats: Arc<WriterStats>,
        tell: Tell,
    ) -> Self {
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
        let target = destination.clone();
        let max_memory = match destination.spool_folder {
            Some(_) => MAX_MEMORY,
            None => u64::MAX,
        };
        let syncs = destination.spool_sync == SpoolSync::Interval;
        let delivery = Delivery::new(destination, shared.clone());
        let guard = shared.clone();
        let task = runtime.spawn(async move {
            if let Some(Left(Some(before))) = after {
                let _ = before.await; // A panic of it was told.
            }
            let syncing = syncs.then(|| {
                let shared = guard.clone();
                Task(tokio::spawn(async move {
                    loop {
                        sleep(SYNC_INTERVAL).await;
                        shared.sync_files().await;
                    }
                }))
            });
            if let Err(error) = catch_panic(delivery.run()).await {
                fail(&guard, error.failure(target.target())).await;
            }
            drop(syncing);
            guard.sync_files().await;
        });
        Self {
            runtime: runtime.clone(),
            shared,
            task: Some(task),
            max_memory,
        }
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
        loop {
            let has_files = self.keep(record);
            let dropped = {
                let mut state = self.shared.lock();
                if state.has_failed {
                    return Err(PushError::Failed);
                }
                if state.has_files && !has_files {
                    continue; // They were opened meanwhile.
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
        let mut has_files = self.keep(&mut record);
        let mut state = self.shared.lock();
        if state.has_files && !has_files {
            drop(state);
            has_files = self.keep(&mut record);
            state = self.shared.lock();
        }
        debug_assert_eq!(has_files, state.has_files);
        let refused = match state.has_failed {
            true => Some(Dropped::default().with(&record)),
            false => state.outbox.push(record),
        };
        self.shared.count_queue(&state.outbox);
        drop(state);
        self.shared.count_dropped(refused.unwrap_or_default());
        refused.is_none()
    }

    /// Puts a record in a file if files are open and can be written. Returns whether they are open.
    fn keep(&self, record: &mut Outgoing) -> bool {
        let warning = match &mut *self.shared.spool() {
            // What waits when the files are open gets there.
            Keeping::Memory | Keeping::Opening => return false,
            Keeping::Files(files) => files.keep(record),
        };
        if let Some(warning) = warning {
            (self.shared.tell)(Told::Warning(warning));
        }
        true
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
        let memory = match record.is_in_memory() {
            true => record.length(),
            false => 0,
        };
        loop {
            let has_room = outbox.has_room_for(record, queue_bytes);
            let memory = outbox.memory_bytes().saturating_add(memory);
            let has_memory = outbox.is_empty() || memory <= self.max_memory;
            if has_room && has_memory {
                break;
            }
            if overflow != Overflow::DropGroups {
                return None;
            }
            // To drop what is in files makes no room in memory.
            let group = match has_room {
                true => outbox.drop_oldest_group_in_memory(),
                false => outbox.drop_oldest_group(),
            };
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
                    break;
                }
                state.is_draining = true;
            }
            self.shared.work.notify_one();
            self.wait(flushing)?;
        }
        // The process may end before the delivery does.
        if let Keeping::Files(files) = &mut *self.shared.spool() {
            files.spool.close();
        }
        Ok(())
    }

    /// Leaves what is not written yet to itself.
    pub fn leave(mut self) -> Left {
        Left(self.task.take())
    }

    fn wait(&self, flushing: &Flushing) -> Result<(), PushError> {
        let progress = self.shared.progress.notified();
        let waited = flushing.wait(&self.runtime, progress);
        waited.map_err(|Flushed| PushError::Flushed)
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        self.shared.lock().is_left = true;
        self.shared.work.notify_one();
    }
}

/// Ends a delivery with an error. Posts it before `push` fails, so that it is the first on the bus.
pub async fn fail(shared: &Arc<Shared>, failure: Failure) {
    tell(shared, Told::Failed(failure)).await;
    shared.lock().has_failed = true;
    shared.progress.notify_one();
}

/// Tells, and waits until that is done: one thing after the other.
pub async fn tell(shared: &Arc<Shared>, told: Told) {
    let tell = shared.tell.clone();
    // A panic in there is caught where GStreamer calls.
    let _ = tokio::task::spawn_blocking(move || tell(told)).await;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::write::queue::{BatchLimits, record};

    /// A writer whose records nothing delivers.
    fn writer(keeping: Keeping, max_memory: u64) -> RecordWriter {
        let shared = Shared {
            state: Mutex::default(),
            work: Notify::new(),
            progress: Notify::new(),
            spool: Mutex::new(keeping),
            stats: Arc::default(),
            tell: Arc::new(|_| {}),
        };
        RecordWriter {
            runtime: crate::testing::runtime().clone(),
            shared: Arc::new(shared),
            task: None,
            max_memory,
        }
    }

    fn open(folder: &Path) -> (Spool, Vec<Outgoing>) {
        let (spool, recovery) = Spool::open(folder, "b", "e", SpoolSync::None).unwrap();
        (spool, recovery.records)
    }

    fn push(writer: &RecordWriter, record: Outgoing, overflow: Overflow) -> Result<u64, PushError> {
        let mut record = record;
        let flushing = Flushing::default();
        let dropped = writer.push(&mut record, u64::MAX, overflow, &flushing)?;
        Ok(dropped.records)
    }

    fn times(records: &[Outgoing]) -> Vec<u64> {
        records.iter().map(|record| record.time).collect()
    }

    /// Times of the records that wait, and how many of them are in memory.
    fn waiting(writer: &RecordWriter) -> (Vec<u64>, usize) {
        let mut state = writer.shared.lock();
        let limits = BatchLimits {
            records: usize::MAX,
            bytes: u64::MAX,
        };
        let in_memory = state.outbox.records_in_memory();
        (times(&state.outbox.take_batch(limits)), in_memory)
    }

    #[test]
    fn records_that_come_while_files_are_opened_get_there_in_order() {
        const COUNT: u64 = 3000;
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(Keeping::Opening, u64::MAX);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for time in 0..COUNT {
                    let pushed = push(&writer, record(time, 5000, true), Overflow::Block);
                    assert_eq!(pushed, Ok(0));
                }
            });
            // It is the delivery that opens them, at any time.
            while writer.shared.lock().outbox.len() < 500 {
                std::thread::yield_now();
            }
            let (spool, left) = open(folder.path());
            assert!(left.is_empty());
            assert_eq!(writer.shared.begin_to_keep(spool, left), None);
        });
        let expected: Vec<_> = (0..COUNT).collect();
        assert_eq!(waiting(&writer), (expected.clone(), 0));
        // As after a crash.
        drop(writer);
        assert_eq!(times(&open(folder.path()).1), expected);
    }

    #[test]
    fn what_was_left_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path());
        spool.append(&mut record(1, 10, true)).unwrap();
        drop(spool);
        let writer = writer(Keeping::Opening, u64::MAX);
        push(&writer, record(2, 10, true), Overflow::Block).unwrap();
        let (spool, left) = open(folder.path());
        assert_eq!(left[0].unsent_run.is_some(), left[0].is_recovered);
        writer.shared.begin_to_keep(spool, left);
        push(&writer, record(3, 10, true), Overflow::Block).unwrap();
        assert!(writer.push_at_once(record(4, 10, true)));
        // The first one is of a run of its own.
        assert_eq!(waiting(&writer), (vec![1], 0));
        writer.shared.lock().outbox.acknowledge();
        assert_eq!(waiting(&writer), (vec![2, 3, 4], 0));
    }

    #[test]
    fn memory_has_a_limit_where_files_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, left) = open(folder.path());
        let writer = writer(Keeping::Opening, 25);
        writer.shared.begin_to_keep(spool, left);
        push(&writer, record(1, 10, true), Overflow::Refuse).unwrap();
        // Another file cannot be made then.
        if let Keeping::Files(files) = &mut *writer.shared.spool() {
            files.spool.close();
        }
        std::fs::remove_dir_all(folder.path().join("b")).unwrap();
        for time in [2, 3] {
            push(&writer, record(time, 10, true), Overflow::Refuse).unwrap();
        }
        let refused = push(&writer, record(4, 10, true), Overflow::Refuse);
        assert_eq!(refused, Err(PushError::Full));
        // What is in files stays.
        let dropped = push(&writer, record(5, 10, true), Overflow::DropGroups);
        assert_eq!(dropped, Ok(1));
        assert_eq!(waiting(&writer), (vec![1, 3, 5], 2));
    }
}
