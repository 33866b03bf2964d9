// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The public writer: records of one entry, in order, without waiting for the server.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as JsonValue;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::warn;

use crate::canceller::{Cancelled, Canceller};
use crate::error::Failure;
use crate::task::{Task, catch_panic};
use crate::write::delivery::Delivery;
use crate::write::destination::Destination;
use crate::write::keeping::{MAX_MEMORY, SpoolState};
use crate::write::options::WriterOptions;
use crate::write::queue::WriteQueue;
use crate::write::record::{Dropped, NewRecord};
use crate::write::shared::{EventHandler, Shared, WriterEvent, WriterStats, fail};
use crate::write::spool::SpoolSync;

/// Pause between two syncs.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Policy for a record without room in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Wait for room.
    Block,
    /// Drop the oldest groups of pictures.
    DropGroups,
    /// Refuse it.
    Refuse,
}

/// Reason why a record was not taken, or not all of them are written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PushError {
    /// The wait was cancelled. The record may be pushed again.
    #[error("the wait for the server was cancelled")]
    Cancelled,
    /// The queue is full.
    #[error("the upload queue is full, as the server does not take records fast enough")]
    Full,
    /// The writer has ended with this error, which it has emitted.
    #[error("the writer has ended with an error")]
    Failed(#[source] Arc<Failure>),
}

/// A writer to an entry, which works in the background.
///
/// Dropping it ends its work without blocking: records that are not acknowledged are given up, but for those in a spool,
/// where the next writer finds them. With [`SpoolSync::Interval`] the newest records of the spool may not be synced to
/// the disk. [`detach`](Self::detach) lets the background task write them instead.
pub struct RecordWriter {
    runtime: Handle,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
    /// Limit of queued records, in bytes.
    queue_bytes: u64,
    /// Limit of contents in memory, in bytes.
    max_memory: u64,
}

impl fmt::Debug for RecordWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordWriter").finish_non_exhaustive()
    }
}

/// The background task of a [detached](RecordWriter::detach) writer, which writes the rest. Dropping this value does not
/// end it.
#[derive(Debug)]
pub struct DetachedWriter(Option<JoinHandle<()>>);

impl RecordWriter {
    /// Creates a writer for a destination, which waits for the end of a detached one.
    pub fn new(
        runtime: &Handle,
        destination: Destination,
        options: WriterOptions,
        after: Option<DetachedWriter>,
        emit: EventHandler,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Notify::new(),
            progress: Notify::new(),
            spool: Mutex::new(match options.spool {
                Some(_) => SpoolState::Opening,
                None => SpoolState::Memory,
            }),
            stats: Arc::default(),
            emit,
        });
        let target = destination.clone();
        let max_memory = match options.spool {
            Some(_) => MAX_MEMORY,
            None => u64::MAX,
        };
        let queue_bytes = options.queue_bytes;
        let syncs = (options.spool.as_ref()).is_some_and(|spool| spool.sync == SpoolSync::Interval);
        let delivery = Delivery::new(destination, options, shared.clone());
        let guard = shared.clone();
        let task = runtime.spawn(async move {
            if let Some(DetachedWriter(Some(before))) = after {
                let _ = before.await; // Its panic was reported.
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
            queue_bytes,
            max_memory,
        }
    }

    /// Returns the statistics.
    pub fn stats(&self) -> &Arc<WriterStats> {
        &self.shared.stats
    }

    /// Sets the attachment `$video`, which is written with the next batch.
    pub fn describe(&self, video: JsonValue) {
        self.shared.lock().video = Some(video);
    }

    /// Queues the next record, by an overflow policy if there is no room. Returns the dropped records.
    pub fn push(
        &self,
        record: &mut NewRecord,
        overflow: Overflow,
        canceller: &Canceller,
    ) -> Result<Dropped, PushError> {
        loop {
            let has_files = self.keep(record);
            let dropped = {
                let mut state = self.shared.lock();
                if let Some(failure) = &state.failure {
                    return Err(PushError::Failed(failure.clone()));
                }
                if state.has_files && !has_files {
                    continue; // The files were opened meanwhile.
                }
                state.is_draining = false;
                self.make_room(&mut state.queue, record, overflow)
            };
            match dropped {
                Some(dropped) => {
                    self.shared.count_dropped(dropped);
                    self.shared.work.notify_one();
                    return Ok(dropped);
                }
                None if overflow == Overflow::Refuse => return Err(PushError::Full),
                None => self.wait(canceller)?,
            }
        }
    }

    /// Queues the next record regardless of room and without waiting. Returns it as dropped if it cannot be written:
    /// after an error of the writer, or because it depends on records that were dropped.
    pub fn push_at_once(&self, mut record: NewRecord) -> Dropped {
        let mut has_files = self.keep(&mut record);
        let mut state = self.shared.lock();
        if state.has_files && !has_files {
            drop(state);
            has_files = self.keep(&mut record);
            state = self.shared.lock();
        }
        debug_assert_eq!(has_files, state.has_files);
        let refused = match &state.failure {
            Some(_) => Some(Dropped::default().with(&record)),
            None => state.queue.push(record),
        };
        self.shared.count_queue(&state.queue);
        drop(state);
        let refused = refused.unwrap_or_default();
        self.shared.count_dropped(refused);
        refused
    }

    /// Stores a record in a file if files are open and can be written. Returns whether they are open.
    fn keep(&self, record: &mut NewRecord) -> bool {
        let warning = match &mut *self.shared.spool() {
            // Queued records are stored when the files are open.
            SpoolState::Memory | SpoolState::Opening => return false,
            SpoolState::Files(files) => files.keep(record),
        };
        if let Some(warning) = warning {
            (self.shared.emit)(WriterEvent::Warning(warning));
        }
        true
    }

    /// Queues a record if there is room, or can be made. Returns the dropped records, or `None` without room.
    fn make_room(
        &self,
        queue: &mut WriteQueue,
        record: &NewRecord,
        overflow: Overflow,
    ) -> Option<Dropped> {
        let mut dropped = Dropped::default();
        let memory = match record.is_in_memory() {
            true => record.length(),
            false => 0,
        };
        loop {
            let has_room = queue.has_room_for(record, self.queue_bytes);
            let memory = queue.memory_bytes().saturating_add(memory);
            let has_memory = queue.is_empty() || memory <= self.max_memory;
            if has_room && has_memory {
                break;
            }
            if overflow != Overflow::DropGroups {
                return None;
            }
            // Dropping records in files makes no room in memory.
            let group = match has_room {
                true => queue.drop_oldest_group_in_memory(),
                false => queue.drop_oldest_group(),
            };
            if group.records == 0 {
                break; // All other records are in flight.
            }
            dropped = dropped.and(group);
        }
        let refused = queue.push(record.clone());
        self.shared.count_queue(queue);
        Some(dropped.and(refused.unwrap_or_default()))
    }

    /// Waits until all records are written, as [`drained`](Self::drained) does. Blocks the calling thread.
    ///
    /// # Errors
    ///
    /// [`PushError::Cancelled`] if the wait was cancelled; [`PushError::Failed`] with the error of the writer.
    pub fn drain(&self, canceller: &Canceller) -> Result<(), PushError> {
        let drained = canceller.wait(&self.runtime, self.drained());
        drained.map_err(|Cancelled| PushError::Cancelled)?
    }

    /// Waits until all records are written, those that an earlier writer left in the spool included. The future does not
    /// borrow the writer. Of several that wait at once, one wakes at each progress.
    ///
    /// # Errors
    ///
    /// [`PushError::Failed`] with the error of the writer.
    pub fn drained(&self) -> impl Future<Output = Result<(), PushError>> + Send + use<> {
        let shared = self.shared.clone();
        async move {
            loop {
                // It may have such records.
                let is_opening = matches!(*shared.spool(), SpoolState::Opening);
                {
                    let mut state = shared.lock();
                    if let Some(failure) = &state.failure {
                        return Err(PushError::Failed(failure.clone()));
                    }
                    if state.queue.is_empty() && !is_opening {
                        break;
                    }
                    state.is_draining = true;
                }
                shared.work.notify_one();
                shared.progress.notified().await;
            }
            // The process may end before the delivery does.
            if let SpoolState::Files(files) = &mut *shared.spool() {
                files.spool.close();
            }
            Ok(())
        }
    }

    /// Waits until there may be more room in the queue: for a written batch, or an error. The future does not borrow the
    /// writer. Of several that wait at once, one wakes.
    pub fn progressed(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = self.shared.clone();
        async move { shared.progress.notified().await }
    }

    /// Lets the background task write queued records, and returns it. It ends when all are written, or with an error.
    pub fn detach(mut self) -> DetachedWriter {
        DetachedWriter(self.task.take())
    }

    fn wait(&self, canceller: &Canceller) -> Result<(), PushError> {
        let progress = self.shared.progress.notified();
        let waited = canceller.wait(&self.runtime, progress);
        waited.map_err(|Cancelled| PushError::Cancelled)
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else {
            self.shared.lock().is_detached = true;
            self.shared.work.notify_one();
            return;
        };
        task.abort();
        let (records, in_memory) = {
            let state = self.shared.lock();
            // After an error they were reported.
            let is_known = state.failure.is_some();
            let records = if is_known { 0 } else { state.queue.len() };
            (records, state.queue.records_in_memory().min(records))
        };
        if records > 0 {
            warn!(
                given_up = in_memory,
                in_spool = records - in_memory,
                "a writer was dropped before all of its records were acknowledged"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use tracing::field::{Field, Visit};
    use tracing::{Level, Metadata, Subscriber, span};

    use super::*;
    use crate::error::{Cause, Error, Purpose};
    use crate::lock::lock;
    use crate::testing::record;
    use crate::write::queue::BatchLimits;
    use crate::write::shared::Shared;
    use crate::write::spool::Spool;

    /// A writer without a delivery.
    fn writer(keeping: SpoolState, max_memory: u64) -> RecordWriter {
        let shared = Shared {
            state: Mutex::default(),
            work: Notify::new(),
            progress: Notify::new(),
            spool: Mutex::new(keeping),
            stats: Arc::default(),
            emit: Arc::new(|_| {}),
        };
        RecordWriter {
            runtime: crate::testing::runtime().clone(),
            shared: Arc::new(shared),
            task: None,
            queue_bytes: u64::MAX,
            max_memory,
        }
    }

    fn open(folder: &Path) -> (Spool, Vec<NewRecord>) {
        let (spool, recovery) = Spool::open(folder, "b", "e", SpoolSync::None).unwrap();
        (spool, recovery.records)
    }

    fn push(
        writer: &RecordWriter,
        record: NewRecord,
        overflow: Overflow,
    ) -> Result<u64, PushError> {
        let mut record = record;
        let canceller = Canceller::default();
        let dropped = writer.push(&mut record, overflow, &canceller)?;
        Ok(dropped.records)
    }

    fn times(records: &[NewRecord]) -> Vec<u64> {
        records.iter().map(|record| record.time).collect()
    }

    /// Times of the records that wait, and how many of them are in memory.
    fn waiting(writer: &RecordWriter) -> (Vec<u64>, usize) {
        let mut state = writer.shared.lock();
        let limits = BatchLimits {
            records: usize::MAX,
            bytes: u64::MAX,
        };
        let in_memory = state.queue.records_in_memory();
        (times(&state.queue.take_batch(limits)), in_memory)
    }

    #[test]
    fn records_that_come_while_files_are_opened_get_there_in_order() {
        const COUNT: u64 = 3000;
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(SpoolState::Opening, u64::MAX);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for time in 0..COUNT {
                    let pushed = push(&writer, record(time, 5000, true), Overflow::Block);
                    assert_eq!(pushed, Ok(0));
                }
            });
            // The delivery opens them at any time.
            while writer.shared.lock().queue.len() < 500 {
                std::thread::yield_now();
            }
            let (spool, left) = open(folder.path());
            assert!(left.is_empty());
            assert_eq!(writer.shared.open_files(spool, "the spool", left), None);
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
        let writer = writer(SpoolState::Opening, u64::MAX);
        push(&writer, record(2, 10, true), Overflow::Block).unwrap();
        let (spool, left) = open(folder.path());
        assert_eq!(left[0].unsent_run.is_some(), left[0].is_recovered);
        writer.shared.open_files(spool, "the spool", left);
        push(&writer, record(3, 10, true), Overflow::Block).unwrap();
        assert_eq!(writer.push_at_once(record(4, 10, true)), Dropped::default());
        // The first one is of a run of its own.
        assert_eq!(waiting(&writer), (vec![1], 0));
        writer.shared.lock().queue.acknowledge(usize::MAX);
        assert_eq!(waiting(&writer), (vec![2, 3, 4], 0));
    }

    #[test]
    fn the_end_waits_for_what_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path());
        spool.append(&mut record(1, 10, true)).unwrap();
        drop(spool);
        let writer = writer(SpoolState::Opening, u64::MAX);
        let mut drained = pin!(writer.drained());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(drained.as_mut().poll(context).is_pending());
        let (spool, left) = open(folder.path());
        writer.shared.open_files(spool, "the spool", left);
        assert!(drained.as_mut().poll(context).is_pending());
        assert_eq!(waiting(&writer), (vec![1], 0));
        writer.shared.lock().queue.acknowledge(usize::MAX);
        writer.shared.progress.notify_one();
        assert_eq!(drained.as_mut().poll(context), Poll::Ready(Ok(())));
    }

    #[test]
    fn memory_has_a_limit_where_files_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, left) = open(folder.path());
        let writer = writer(SpoolState::Opening, 25);
        writer.shared.open_files(spool, "the spool", left);
        push(&writer, record(1, 10, true), Overflow::Refuse).unwrap();
        // Another file cannot be made then.
        if let SpoolState::Files(files) = &mut *writer.shared.spool() {
            files.spool.close();
        }
        std::fs::remove_dir_all(folder.path().join("b")).unwrap();
        for time in [2, 3] {
            push(&writer, record(time, 10, true), Overflow::Refuse).unwrap();
        }
        let refused = push(&writer, record(4, 10, true), Overflow::Refuse);
        assert_eq!(refused, Err(PushError::Full));
        // Records in files stay.
        let dropped = push(&writer, record(5, 10, true), Overflow::DropGroups);
        assert_eq!(dropped, Ok(1));
        assert_eq!(waiting(&writer), (vec![1, 3, 5], 2));
    }

    /// The final error of a writer.
    fn failure() -> Arc<Failure> {
        let error = Error::new(Cause::Status(507), "no space left");
        Arc::new(Failure {
            text: "Could not write 'b/e'".into(),
            error,
            purpose: Purpose::Write,
        })
    }

    #[test]
    fn the_error_that_ended_the_writer_is_the_source() {
        let writer = writer(SpoolState::Memory, u64::MAX);
        writer.shared.lock().failure = Some(failure());
        let pushed = push(&writer, record(1, 10, true), Overflow::Refuse);
        let drained = writer.drain(&Canceller::default());
        for error in [pushed.map(drop), drained] {
            let error: Box<dyn std::error::Error> = error.unwrap_err().into();
            assert_eq!(error.to_string(), "the writer has ended with an error");
            let source = error.source().unwrap();
            assert_eq!(source.to_string(), "Could not write 'b/e'");
            let cause = source.source().unwrap();
            assert_eq!(cause.to_string(), "status 507: no space left");
        }
    }

    /// A subscriber that keeps the fields of events.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Visit for Log {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            lock(&self.0).push(format!("{}={value:?}", field.name()));
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn records_that_a_drop_gives_up_are_logged() {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            for (is_detached, has_failed) in [(true, false), (false, true), (false, false)] {
                let mut writer = writer(SpoolState::Memory, u64::MAX);
                writer.task = Some(writer.runtime.spawn(std::future::pending()));
                for time in [1, 2, 3] {
                    push(&writer, record(time, 10, true), Overflow::Refuse).unwrap();
                }
                writer.shared.lock().failure = has_failed.then(failure);
                match is_detached {
                    true => drop(writer.detach()),
                    false => drop(writer),
                }
            }
        });
        let fields = lock(&log.0).split_off(0);
        assert!(fields.contains(&"given_up=3".into()), "{fields:?}");
        assert!(fields.contains(&"in_spool=0".into()), "{fields:?}");
        assert_eq!(fields.len(), 3, "only one of them is given up: {fields:?}");
    }
}
