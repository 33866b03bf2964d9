// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queue of finished files of episodes that wait for their upload.

use std::collections::VecDeque;
use std::sync::Arc;

use client::{Cancelled, Canceller, Failure, Upload};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::episodes::EpisodeFile;

/// Maximum number of files that wait, besides the one that is uploaded, before producers wait.
const ROOM: usize = 4;

/// Reason for which a wait for uploads has ended.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UploadWaitError {
    /// The wait was cancelled. The uploads continue.
    #[error("the wait for an upload was cancelled")]
    Cancelled,
    /// The queue was stopped, or its [`EpisodeUploader`](super::EpisodeUploader) was dropped.
    #[error("the uploads were stopped")]
    Stopped,
    /// An upload failed with this error, which [`UploadEvent::Failed`](super::UploadEvent::Failed) reports.
    #[error("the uploads have ended with an error")]
    Failed(#[source] Arc<Failure>),
}

/// A file that cannot become a record, as the capture time of its first frame is unknown.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the capture time of the episode in '{}' is unknown, and would be the time of its record", .0.path.display())]
pub struct NoCaptureTime(pub Box<EpisodeFile>);

/// Counts of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadCounts {
    /// Number of files that wait, besides the one that is uploaded.
    pub waiting: u64,
    /// Number of attempts that failed and are repeated.
    pub retries: u64,
}

/// A queue of finished files for an [`EpisodeUploader`](super::EpisodeUploader), in order.
///
/// Files are never lost: those that are not acknowledged stay in the queue, also after its end, until
/// [`take_rest`](Self::take_rest) returns them. Dropping the queue ends the uploads without blocking.
#[derive(Debug)]
pub struct EpisodeQueue(SharedQueue);

impl EpisodeQueue {
    /// Returns a queue with a state that its uploader shares.
    pub(super) fn new(shared: SharedQueue) -> Self {
        Self(shared)
    }

    /// Adds a file, also to a full queue and after the end of the uploads. Never waits: producers wait for
    /// [`room`](Self::room) before.
    ///
    /// # Errors
    ///
    /// [`NoCaptureTime`], with the file.
    pub fn push(&self, file: EpisodeFile) -> Result<(), NoCaptureTime> {
        match file.record() {
            Some(record) => self.0.push(Queued::File(Box::new((file, record)))),
            None => return Err(NoCaptureTime(Box::new(file))),
        }
        Ok(())
    }

    /// Adds a mark, for example for the end of a stream: [`UploadEvent::Mark`](super::UploadEvent::Mark) follows the
    /// events of the files before it. Never waits.
    pub fn push_mark(&self) {
        self.0.push(Queued::Mark);
    }

    /// Waits while four files or more wait, besides the one that is uploaded.
    ///
    /// # Errors
    ///
    /// The reason for which there will be no more room.
    pub async fn room(&self) -> Result<(), UploadWaitError> {
        self.0.wait(|state| state.files() < ROOM).await
    }

    /// Waits as [`room`](Self::room) does. Blocks, but for a queue with room, so that it must not be called from a
    /// thread that runs asynchronous tasks, where tokio panics.
    ///
    /// # Errors
    ///
    /// As that, and [`UploadWaitError::Cancelled`].
    pub fn wait_for_room(
        &self,
        runtime: &Handle,
        canceller: &Canceller,
    ) -> Result<(), UploadWaitError> {
        if !canceller.is_cancelled() && self.0.has_room() {
            return Ok(());
        }
        let waited = canceller.wait(runtime, self.room());
        waited.map_err(|Cancelled| UploadWaitError::Cancelled)?
    }

    /// Waits until all files are uploaded. No more may be added: the uploader ends.
    ///
    /// # Errors
    ///
    /// The reason for which the others are not uploaded.
    pub async fn finish(&self) -> Result<(), UploadWaitError> {
        self.0.0.send_modify(|state| state.is_finishing = true);
        let waited = self.0.wait(QueueState::is_empty).await;
        // The uploader may be dropped after its last file.
        waited.or_else(|end| match self.0.0.borrow().is_incomplete {
            true => Err(end),
            false => Ok(()),
        })
    }

    /// Ends the uploads, also the one in progress, and all waits. Returns at once.
    pub fn stop(&self) {
        self.0.end(UploadWaitError::Stopped);
    }

    /// Removes and returns the files that are not acknowledged, in order. To be called after the end of the uploads:
    /// the first one may be in the middle of an attempt before, and may be acknowledged.
    pub fn take_rest(&self) -> Vec<EpisodeFile> {
        let mut rest = Vec::new();
        self.0.0.send_modify(|state| {
            rest.extend(state.current.take());
            let waiting = state.waiting.drain(..);
            rest.extend(waiting.filter_map(|queued| match queued {
                Queued::File(queued) => Some(queued.0),
                Queued::Mark => None,
            }));
        });
        rest
    }

    /// Returns the counts of this moment.
    pub fn counts(&self) -> UploadCounts {
        let state = self.0.0.borrow();
        UploadCounts {
            waiting: state.files() as u64,
            retries: state.retries,
        }
    }
}

impl Drop for EpisodeQueue {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An item of the queue.
#[derive(Debug)]
enum Queued {
    /// A file and the record that it becomes.
    File(Box<(EpisodeFile, Upload)>),
    Mark,
}

/// Files and marks, and the state of the uploads.
#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<Queued>,
    /// The file that is uploaded.
    current: Option<EpisodeFile>,
    /// Set by [`EpisodeQueue::finish`].
    is_finishing: bool,
    end: Option<UploadWaitError>,
    /// Files are not uploaded because of `end`.
    is_incomplete: bool,
    retries: u64,
}

impl QueueState {
    /// Returns the number of files that wait.
    fn files(&self) -> usize {
        let waiting = self.waiting.iter();
        waiting
            .filter(|queued| matches!(queued, Queued::File(_)))
            .count()
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.current.is_none()
    }
}

/// The next item for an uploader.
#[derive(Debug)]
pub(super) enum NextUpload {
    /// A file, which counts as being uploaded from now on.
    File(Upload),
    /// A mark.
    Mark,
    /// No item: the uploads have ended.
    Nothing,
}

/// State that a queue and its uploader share. Both are notified of its changes.
#[derive(Debug, Default, Clone)]
pub(super) struct SharedQueue(Arc<watch::Sender<QueueState>>);

impl SharedQueue {
    fn push(&self, queued: Queued) {
        self.0.send_modify(|state| {
            state.is_incomplete |= state.end.is_some();
            state.waiting.push_back(queued);
        });
    }

    fn has_room(&self) -> bool {
        let state = self.0.borrow();
        state.end.is_none() && state.files() < ROOM
    }

    /// Waits until a condition holds, or the uploads have ended.
    async fn wait(&self, done: impl Fn(&QueueState) -> bool) -> Result<(), UploadWaitError> {
        let mut changes = self.0.subscribe();
        let waited = changes.wait_for(|state| state.end.is_some() || done(state));
        // The sender is part of this value.
        let state = waited.await.map_err(|_| UploadWaitError::Stopped)?;
        match &state.end {
            Some(end) => Err(end.clone()),
            None => Ok(()),
        }
    }

    /// Waits for the next item. A dropped call has no effect.
    pub async fn next(&self) -> NextUpload {
        let has_item = |state: &QueueState| !state.waiting.is_empty() || state.is_finishing;
        if self.wait(has_item).await.is_err() {
            return NextUpload::Nothing;
        }
        let mut next = NextUpload::Nothing;
        self.0.send_modify(|state| match state.waiting.pop_front() {
            Some(Queued::File(queued)) => {
                let (file, upload) = *queued;
                state.current = Some(file);
                next = NextUpload::File(upload);
            }
            Some(Queued::Mark) => next = NextUpload::Mark,
            None => {}
        });
        next
    }

    /// Waits for the end of the uploads before all files.
    pub async fn ended(&self) {
        let _ = self.wait(|_| false).await;
    }

    /// Removes and returns the file that is uploaded, which is acknowledged.
    pub fn take_current(&self) -> Option<EpisodeFile> {
        let mut current = None;
        self.0.send_modify(|state| current = state.current.take());
        current
    }

    /// Counts an attempt that is repeated.
    pub fn count_retry(&self) {
        self.0.send_modify(|state| state.retries += 1);
    }

    /// Ends the uploads. The files stay.
    pub fn end(&self, end: UploadWaitError) {
        self.0.send_modify(|state| {
            let has_failed = matches!(end, UploadWaitError::Failed(_));
            state.is_incomplete |= has_failed || !state.is_empty();
            state.end.get_or_insert(end);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use media::cut::policy::{Episode, Reason};
    use media::time::{CaptureTime, Nanos};
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn queue() -> (EpisodeQueue, SharedQueue, Runtime) {
        let shared = SharedQueue::default();
        let runtime = Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.expect("a runtime");
        (EpisodeQueue::new(shared.clone()), shared, runtime)
    }

    fn file(index: u32) -> EpisodeFile {
        let time = 1_750_000_000_000_000 + u64::from(index);
        EpisodeFile {
            path: format!("{index}.mp4").into(),
            bytes: 1000,
            episode: Episode {
                index,
                capture: Some(CaptureTime::from_useconds(time)),
                duration: Nanos::SECOND,
                frames: 25,
                hidden: 0,
                corrupted: 0,
                decode_start: Nanos::ZERO,
                shown: Vec::new(),
                dropped: 0,
                reason: Reason::Duration,
            },
            frame_rate: None,
        }
    }

    fn push(queue: &EpisodeQueue, indices: std::ops::Range<u32>) {
        for index in indices {
            queue.push(file(index)).expect("a file with a time");
        }
    }

    fn indices(files: &[EpisodeFile]) -> Vec<u32> {
        files.iter().map(|file| file.episode.index).collect()
    }

    /// Takes a file as an uploader does. Returns its path.
    fn take(shared: &SharedQueue, runtime: &Runtime) -> String {
        match runtime.block_on(shared.next()) {
            NextUpload::File(upload) => upload.file.display().to_string(),
            other => panic!("no file: {other:?}"),
        }
    }

    #[test]
    fn files_come_in_order_and_stay_until_they_are_acknowledged() {
        let (queue, shared, runtime) = queue();
        push(&queue, 1..3);
        assert_eq!(take(&shared, &runtime), "1.mp4");
        push(&queue, 3..4);
        assert_eq!(queue.counts().waiting, 2);
        assert_eq!(
            indices(&shared.take_current().into_iter().collect::<Vec<_>>()),
            [1]
        );
        assert_eq!(take(&shared, &runtime), "2.mp4");
        assert_eq!(indices(&queue.take_rest()), [2, 3]);
        assert_eq!(queue.take_rest(), []);
    }

    #[test]
    fn marks_keep_their_place_and_take_no_room() {
        let (queue, shared, runtime) = queue();
        push(&queue, 0..1);
        queue.push_mark();
        push(&queue, 1..2);
        assert_eq!(queue.counts().waiting, 2);
        assert_eq!(take(&shared, &runtime), "0.mp4");
        let mark = runtime.block_on(shared.next());
        assert!(matches!(mark, NextUpload::Mark), "{mark:?}");
        assert_eq!(take(&shared, &runtime), "1.mp4");
    }

    #[test]
    fn a_producer_waits_for_room() {
        let (queue, shared, runtime) = queue();
        let canceller = Canceller::default();
        push(&queue, 0..ROOM as u32);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.wait_for_room(runtime.handle(), &canceller));
            // The one that is uploaded takes no room.
            assert_eq!(take(&shared, &runtime), "0.mp4");
            assert_eq!(waiter.join().expect("no panic"), Ok(()));
        });
        let has_room = || queue.wait_for_room(runtime.handle(), &canceller);
        assert_eq!(has_room(), Ok(()));
        push(&queue, 4..5);
        let pending = runtime.block_on(async { futures_util::poll!(std::pin::pin!(queue.room())) });
        assert!(pending.is_pending());
        canceller.cancel();
        assert_eq!(has_room(), Err(UploadWaitError::Cancelled));
        assert_eq!(
            take_all(&shared, &runtime, 4),
            ["1.mp4", "2.mp4", "3.mp4", "4.mp4"]
        );
        // Also with room.
        assert_eq!(has_room(), Err(UploadWaitError::Cancelled));
    }

    fn take_all(shared: &SharedQueue, runtime: &Runtime, count: usize) -> Vec<String> {
        (0..count).map(|_| take(shared, runtime)).collect()
    }

    #[test]
    fn a_stop_ends_waits_and_keeps_the_files() {
        let (queue, shared, runtime) = queue();
        push(&queue, 0..6);
        assert_eq!(take(&shared, &runtime), "0.mp4");
        thread::scope(|scope| {
            let room = scope.spawn(|| runtime.block_on(queue.room()));
            let finish = scope.spawn(|| runtime.block_on(queue.finish()));
            let ended = scope.spawn(|| runtime.block_on(shared.ended()));
            queue.stop();
            assert_eq!(
                room.join().expect("no panic"),
                Err(UploadWaitError::Stopped)
            );
            assert_eq!(
                finish.join().expect("no panic"),
                Err(UploadWaitError::Stopped)
            );
            ended.join().expect("no panic");
        });
        push(&queue, 6..7);
        assert_eq!(indices(&queue.take_rest()), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(
            runtime.block_on(queue.finish()),
            Err(UploadWaitError::Stopped)
        );
        let next = runtime.block_on(shared.next());
        assert!(matches!(next, NextUpload::Nothing), "{next:?}");
    }

    #[test]
    fn a_finished_queue_is_emptied() {
        let (queue, shared, runtime) = queue();
        push(&queue, 0..2);
        thread::scope(|scope| {
            let finish = scope.spawn(|| runtime.block_on(queue.finish()));
            for expected in ["0.mp4", "1.mp4"] {
                assert_eq!(take(&shared, &runtime), expected);
                assert!(!finish.is_finished());
                assert!(shared.take_current().is_some());
            }
            assert_eq!(finish.join().expect("no panic"), Ok(()));
        });
        let next = runtime.block_on(shared.next());
        assert!(matches!(next, NextUpload::Nothing), "{next:?}");
        queue.stop();
        assert_eq!(runtime.block_on(queue.finish()), Ok(()));
        assert_eq!(
            runtime.block_on(queue.room()),
            Err(UploadWaitError::Stopped)
        );
    }

    #[test]
    fn the_first_end_stays() {
        let (queue, shared, runtime) = queue();
        push(&queue, 0..1);
        drop(queue);
        shared.end(UploadWaitError::Cancelled);
        let ended = runtime.block_on(shared.wait(|_| false));
        assert_eq!(ended, Err(UploadWaitError::Stopped));
    }

    #[test]
    fn a_file_without_a_time_is_refused() {
        let (queue, ..) = queue();
        let mut untimed = file(0);
        untimed.episode.capture = None;
        let refused = queue.push(untimed.clone()).expect_err("no time");
        assert!(refused.to_string().contains("'0.mp4'"), "{refused}");
        assert_eq!(*refused.0, untimed);
        assert_eq!(queue.counts(), UploadCounts::default());
    }
}
