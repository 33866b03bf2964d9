// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! The records of an entry, in the order of their times, through a bounded queue.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Stream, StreamExt, pin_mut};
use reduct_rs::{Bucket, ErrorCode, JsonValue, ReductError};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::error::{self, Target};
use super::{Connection, Flushed, Flushing, runtime};

/// Bytes of records that wait in the queue. A larger record passes alone.
const QUEUE_BYTES: u32 = 32 << 20;
/// Records that wait in the queue: a limit for tiny ones.
const QUEUE_RECORDS: usize = 1024;
/// Label with the frame rate of a record.
const FPS_LABEL: &str = "fps";
/// Attachment of an entry that describes its video.
const VIDEO_ATTACHMENT: &str = "$video";
/// How long the server keeps a query that nobody reads from. One that can be asked anew is cheap to
/// lose; a conditional one may have a state, such as `$limit`, that a new one would not have.
const TTL: Duration = Duration::from_secs(60);
const TTL_CONDITIONAL: Duration = Duration::from_secs(24 * 3600);

/// What to read.
#[derive(Debug, Clone)]
pub struct Query {
    pub bucket: String,
    pub entry: String,
    /// Time of the first record, in µs since the Unix epoch.
    pub start: Option<u64>,
    /// Time of the first record that is left out.
    pub stop: Option<u64>,
    /// Conditional query: a JSON object.
    pub when: Option<JsonValue>,
}

/// A record of an entry.
#[derive(Debug)]
pub struct Record {
    /// µs since the Unix epoch.
    pub time: u64,
    pub content_type: String,
    /// Label `fps`.
    pub frame_rate: Option<String>,
    pub data: Bytes,
}

/// What a reader reads.
#[derive(Debug)]
pub enum Event {
    /// First, and once: the entry is there. Its `$video` attachment may have a frame rate.
    Opened {
        frame_rate: Option<String>,
    },
    Record(Record),
}

/// Why a reader has no event.
#[derive(Debug)]
pub enum ReadError {
    /// The wait was ended. Nothing is lost: the next call goes on.
    Flushed,
    Failed(gst::ErrorMessage),
}

/// What a reader counts, for anybody to look at while it reads.
#[derive(Debug, Default)]
pub struct ReaderStats {
    /// Records in the queue.
    pub queue_records: AtomicU64,
    /// Their bytes.
    pub queue_bytes: AtomicU64,
    /// Records that the server sent twice or that are outside the range.
    pub skipped: AtomicU64,
}

/// Reads an entry in the background, from when it is made until it is dropped.
#[derive(Debug)]
pub struct RecordReader {
    runtime: &'static Runtime,
    queue: mpsc::Receiver<Result<Queued, gst::ErrorMessage>>,
    stats: Arc<ReaderStats>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Queued {
    event: Event,
    /// A record's part of [`QUEUE_BYTES`], given back when it is taken.
    _room: Option<OwnedSemaphorePermit>,
}

impl RecordReader {
    /// Starts to read.
    pub fn new(
        connection: Connection,
        query: Query,
        stats: Arc<ReaderStats>,
    ) -> Result<Self, gst::ErrorMessage> {
        let runtime = runtime()?;
        let (sender, queue) = mpsc::channel(QUEUE_RECORDS);
        let task = Task {
            connection,
            query,
            stats: stats.clone(),
            room: Arc::new(Semaphore::new(QUEUE_BYTES as usize)),
            sender,
        };
        Ok(Self {
            runtime,
            queue,
            stats,
            task: runtime.spawn(task.run()),
        })
    }

    /// The next event, or `None` after the last record. Waits for it.
    pub fn next(&mut self, flushing: &Flushing) -> Result<Option<Event>, ReadError> {
        let received = match flushing.wait(self.runtime, self.queue.recv()) {
            Ok(received) => received,
            Err(Flushed) => return Err(ReadError::Flushed),
        };
        match received {
            Some(Ok(Queued { event, .. })) => {
                if let Event::Record(record) = &event {
                    self.stats.queue_records.fetch_sub(1, Ordering::Relaxed);
                    let bytes = record.data.len() as u64;
                    self.stats.queue_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                Ok(Some(event))
            }
            Some(Err(error)) => Err(ReadError::Failed(error)),
            None => Ok(None),
        }
    }
}

impl Drop for RecordReader {
    fn drop(&mut self) {
        self.task.abort();
        self.stats.queue_records.store(0, Ordering::Relaxed);
        self.stats.queue_bytes.store(0, Ordering::Relaxed);
    }
}

/// The reader's side in the background.
struct Task {
    connection: Connection,
    query: Query,
    stats: Arc<ReaderStats>,
    room: Arc<Semaphore>,
    sender: mpsc::Sender<Result<Queued, gst::ErrorMessage>>,
}

/// Why the background side ends early.
enum Stop {
    Failed(gst::ErrorMessage),
    /// Nobody takes the records any more.
    Abandoned,
}

impl Task {
    async fn run(self) {
        // reduct-rs panics on some answers; a streaming thread that waits must learn of it.
        let result = AssertUnwindSafe(self.read()).catch_unwind().await;
        let failure = match result {
            Ok(Ok(()) | Err(Stop::Abandoned)) => return,
            Ok(Err(Stop::Failed(error))) => error,
            Err(_) => {
                let cause = "the client library could not make sense of the server's answer";
                let error = ReductError::new(ErrorCode::Unknown, cause);
                error::message(&error, self.target())
            }
        };
        // The receiver is gone only if nobody wants to know.
        let _ = self.sender.send(Err(failure)).await;
    }

    async fn read(&self) -> Result<(), Stop> {
        let client = self.connection.client().map_err(Stop::Failed)?;
        let bucket = self.progress(client.get_bucket(&self.query.bucket)).await?;
        let frame_rate = self.attached_frame_rate(&bucket).await?;
        self.send(Event::Opened { frame_rate }, None).await?;

        let mut next = self.query.start.unwrap_or(0);
        while !self.read_from(&bucket, &mut next).await? {}
        Ok(())
    }

    /// Reads records at or after `next`, which follows the last one. Gives `false` if the server
    /// forgot the query before its end, so that it has to be asked again.
    async fn read_from(&self, bucket: &Bucket, next: &mut u64) -> Result<bool, Stop> {
        // With a stop in the far future the server takes a start after the newest record.
        let stop = self.query.stop.unwrap_or(u64::MAX);
        let conditional = self.query.when.is_some();
        let query = bucket
            .query(self.query.entry.as_str())
            .start_us(*next)
            .stop_us(stop)
            .when(condition(self.query.when.as_ref()))
            .ttl(if conditional { TTL_CONDITIONAL } else { TTL });
        let records = self.progress(query.send()).await?;
        pin_mut!(records);

        let mut progress = false;
        while let Some(record) = self.within_timeout(records.next()).await? {
            let record = match record {
                Ok(record) => record,
                // Read too slowly for the server's patience.
                Err(err) if err.status == ErrorCode::NotFound && progress && !conditional => {
                    return Ok(false);
                }
                Err(err) => return Err(self.failed(&err)),
            };
            // A restarted server counts queries anew: the answer may be to somebody else's.
            let time = record.timestamp_us();
            if time < *next || time >= stop {
                self.stats.skipped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.queue(record).await?;
            *next = time + 1;
            progress = true;
        }
        Ok(true)
    }

    /// Waits for room, then for the record's content.
    async fn queue(&self, record: reduct_rs::Record) -> Result<(), Stop> {
        let time = record.timestamp_us();
        let length = record.content_length();
        let content_type = record.content_type().to_owned();
        let frame_rate = record.labels().get(FPS_LABEL).cloned();

        let permits = u32::try_from(length).unwrap_or(u32::MAX).min(QUEUE_BYTES);
        let room = self.room.clone().acquire_many_owned(permits).await;
        let data = self.content(record.stream_bytes(), length).await?;
        if data.len() != length {
            let text = format!("record at {time} µs has {} of {length} bytes", data.len());
            return Err(self.failed(&ReductError::new(ErrorCode::Unknown, &text)));
        }

        self.stats.queue_records.fetch_add(1, Ordering::Relaxed);
        self.stats
            .queue_bytes
            .fetch_add(length as u64, Ordering::Relaxed);
        let record = Record {
            time,
            content_type,
            frame_rate,
            data,
        };
        self.send(Event::Record(record), room.ok()).await
    }

    /// A record's content in one piece, without a copy where it comes in one piece.
    async fn content(
        &self,
        chunks: impl Stream<Item = Result<Bytes, ReductError>>,
        length: usize,
    ) -> Result<Bytes, Stop> {
        pin_mut!(chunks);
        let mut content = Bytes::new();
        let mut collected = BytesMut::new();
        while let Some(chunk) = self.within_timeout(chunks.next()).await? {
            let chunk = chunk.map_err(|err| self.failed(&err))?;
            if chunk.len() == length && collected.is_empty() {
                content = chunk;
            } else if !chunk.is_empty() {
                collected.reserve(length.saturating_sub(collected.len()));
                collected.extend_from_slice(&content);
                content = Bytes::new();
                collected.extend_from_slice(&chunk);
            }
        }
        Ok(if collected.is_empty() {
            content
        } else {
            collected.freeze()
        })
    }

    async fn attached_frame_rate(&self, bucket: &Bucket) -> Result<Option<String>, Stop> {
        let attachments = self.within_timeout(bucket.read_attachments(&self.query.entry));
        let attachments = match attachments.await? {
            Ok(attachments) => attachments,
            // An entry without attachments, or no entry: the query will tell.
            Err(err) if err.status == ErrorCode::NotFound => return Ok(None),
            Err(err) => return Err(self.failed(&err)),
        };
        let fps = attachments
            .get(VIDEO_ATTACHMENT)
            .and_then(|video| video.get("fps"));
        Ok(fps.map(|fps| match fps {
            JsonValue::String(text) => text.clone(),
            other => other.to_string(),
        }))
    }

    async fn send(&self, event: Event, room: Option<OwnedSemaphorePermit>) -> Result<(), Stop> {
        let queued = Queued { event, _room: room };
        let sent = self.sender.send(Ok(queued)).await;
        sent.map_err(|_| Stop::Abandoned)
    }

    /// The outcome of a request that has to come within the time-out.
    async fn progress<T>(
        &self,
        request: impl Future<Output = Result<T, ReductError>>,
    ) -> Result<T, Stop> {
        let result = self.within_timeout(request).await?;
        result.map_err(|err| self.failed(&err))
    }

    async fn within_timeout<F: Future>(&self, future: F) -> Result<F::Output, Stop> {
        match self.connection.timeout() {
            Some(timeout) => tokio::time::timeout(timeout, future)
                .await
                .map_err(|_| Stop::Failed(error::timeout(self.target()))),
            None => Ok(future.await),
        }
    }

    fn failed(&self, error: &ReductError) -> Stop {
        Stop::Failed(error::message(error, self.target()))
    }

    fn target(&self) -> Target<'_> {
        Target {
            connection: &self.connection,
            bucket: &self.query.bucket,
            entry: &self.query.entry,
        }
    }
}

/// The user's condition, and of the labels only the one in use: fewer bytes, and reduct-rs panics
/// on label values that begin with a quotation mark.
fn condition(when: Option<&JsonValue>) -> JsonValue {
    const SELECT_LABELS: &str = "#select_labels";

    let mut condition = when
        .cloned()
        .unwrap_or_else(|| JsonValue::Object(Default::default()));
    if let JsonValue::Object(members) = &mut condition {
        let labels = JsonValue::Array(vec![FPS_LABEL.into()]);
        members.insert(SELECT_LABELS.into(), labels);
    }
    condition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_select_the_label_in_use() {
        let selected = r##"{"#select_labels":["fps"]}"##;
        assert_eq!(condition(None), selected.parse::<JsonValue>().unwrap());
        let when = r##"{"&good":{"$eq":true},"#select_labels":["good"]}"##;
        let expected = r##"{"&good":{"$eq":true},"#select_labels":["fps"]}"##;
        assert_eq!(
            condition(Some(&when.parse().unwrap())),
            expected.parse::<JsonValue>().unwrap()
        );
    }
}
