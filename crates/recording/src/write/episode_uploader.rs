// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Uploads queued files of episodes, one after another, and reports each step.

use std::pin::pin;
use std::sync::Arc;

use client::{Failure, OngoingUpload, UploadStep, Uploaded, Uploader};
use futures_util::future::{Either, select};
use media::time::CaptureTime;

use super::episode_queue::{EpisodeQueue, NextUpload, SharedQueue, UploadWaitError};
use super::episodes::EpisodeFile;

/// An event of an [`EpisodeUploader`].
#[derive(Debug, Clone, PartialEq)]
pub enum UploadEvent {
    /// The entry has the record. The file is no longer needed.
    Uploaded {
        /// The file.
        file: EpisodeFile,
        /// Time of the record.
        time: CaptureTime,
        /// Origin of the record.
        uploaded: Uploaded,
    },
    /// An attempt failed, as the text says, and is repeated after a back-off.
    Retrying(String),
    /// All files before a [mark](EpisodeQueue::push_mark) are uploaded.
    Mark,
    /// A final error: no more files are uploaded. [`EpisodeQueue::take_rest`] returns them.
    Failed(Failure),
}

/// An uploader of the files in an [`EpisodeQueue`], in order and one at a time.
///
/// It works as long as its events are awaited: by a task, or by a thread that blocks. Dropping it cancels the upload in
/// progress without blocking.
///
/// ```no_run
/// # use client::Uploader;
/// # use recording::{EpisodeFile, EpisodeUploader, UploadEvent};
/// #
/// # async fn example(server: client::Server, files: Vec<EpisodeFile>) -> Result<(), Box<dyn std::error::Error>> {
/// let uploader = Uploader::new(server, "robot".into(), "episodes".into(), 10);
/// let (queue, mut uploads) = EpisodeUploader::new(uploader);
/// tokio::spawn(async move {
///     while let Some(event) = uploads.next().await {
///         match event {
///             UploadEvent::Uploaded { file, .. } => println!("{} is a record", file.path.display()),
///             UploadEvent::Retrying(text) => eprintln!("{text}"),
///             UploadEvent::Failed(failure) => eprintln!("{failure}"),
///             UploadEvent::Mark => {}
///         }
///     }
/// });
/// for file in files {
///     queue.room().await?;
///     queue.push(file)?;
/// }
/// if let Err(ended) = queue.finish().await {
///     for file in queue.take_rest() {
///         eprintln!("{} is not uploaded: {ended}", file.path.display());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EpisodeUploader {
    queue: SharedQueue,
    uploader: Uploader,
    /// The bucket was checked.
    is_checked: bool,
    ongoing: Option<OngoingUpload>,
}

impl EpisodeUploader {
    /// Creates an uploader and its queue. No I/O.
    pub fn new(uploader: Uploader) -> (EpisodeQueue, Self) {
        let queue = SharedQueue::default();
        let handle = EpisodeQueue::new(queue.clone());
        let uploads = Self {
            queue,
            uploader,
            is_checked: false,
            ongoing: None,
        };
        (handle, uploads)
    }

    /// Works until the next event. Returns `None` after a final error, a stop, or when the queue has
    /// [finished](EpisodeQueue::finish).
    ///
    /// Before the first upload the bucket is checked. No upload is in progress while an event is handled. Runs on the
    /// present tokio runtime; a blocking caller uses [`Handle::block_on`](tokio::runtime::Handle::block_on), as
    /// [`EpisodeQueue::stop`] ends the call.
    pub async fn next(&mut self) -> Option<UploadEvent> {
        let queue = self.queue.clone();
        let ended = pin!(queue.ended());
        match select(ended, pin!(self.work())).await {
            Either::Left(((), _)) => None,
            Either::Right((event, _)) => event,
        }
    }

    async fn work(&mut self) -> Option<UploadEvent> {
        if !self.is_checked {
            if let Err(failure) = self.uploader.check().await {
                return Some(self.fail(failure));
            }
            self.is_checked = true;
        }
        let ongoing = match &mut self.ongoing {
            Some(ongoing) => ongoing,
            None => match self.queue.next().await {
                NextUpload::File(upload) => self.ongoing.insert(self.uploader.begin(upload)),
                NextUpload::Mark => return Some(UploadEvent::Mark),
                NextUpload::Nothing => return None,
            },
        };
        match self.uploader.step(ongoing).await {
            Ok(UploadStep::Done(uploaded)) => {
                let time = CaptureTime::from_useconds(ongoing.upload().time);
                self.ongoing = None;
                Some(UploadEvent::Uploaded {
                    file: self.queue.take_current()?,
                    time,
                    uploaded,
                })
            }
            Ok(UploadStep::Retry(text)) => {
                self.queue.count_retry();
                Some(UploadEvent::Retrying(text))
            }
            Err(failure) => Some(self.fail(failure)),
        }
    }

    fn fail(&self, failure: Failure) -> UploadEvent {
        let end = UploadWaitError::Failed(Arc::new(failure.clone()));
        self.queue.end(end);
        UploadEvent::Failed(failure)
    }
}

impl Drop for EpisodeUploader {
    fn drop(&mut self) {
        self.queue.end(UploadWaitError::Stopped);
    }
}
