// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Upload of files as records, each streamed in a request of its own.
//!
//! An answer can be lost, and a request can be cut. So each attempt first checks the state of the record on the
//! server.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, Method, RequestBuilder, Response};
use tokio::sync::OnceCell;
use tokio::time::sleep;
use tracing::debug;
use url::Url;

use crate::error::{Cause, Error, Failure, Purpose, Target};
use crate::http::answer::{Unavailable, accepted, header, unavailable};
use crate::http::first_contact::is_wrong_address;
use crate::http::progress::{Progress, within};
use crate::http::refusals::probe;
use crate::http::send::send;
use crate::lock::lock;
use crate::retry::Attempts;
use crate::server::Server;
use crate::task::without_blocking;
use crate::time::{record_time, utc};

/// Bytes of a file that are in memory at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Interval of checks of a record that is being written.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// ReductStore 1.21 leaves a record below this size unfinished for ever if its upload is cut. It gives up a larger
/// one after 30 s without data at the latest.
const SMALL_RECORD_BYTES: u64 = 512 << 10;
/// Time after which an unfinished record counts as abandoned.
const SMALL_ABANDONED_AFTER: Duration = Duration::from_secs(1);
const ABANDONED_AFTER: Duration = Duration::from_secs(40);

/// A file that becomes a record.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Path of the file.
    pub file: PathBuf,
    /// Time of the record in µs since the Unix epoch.
    pub time: u64,
    /// Content type.
    pub content_type: &'static str,
    /// Labels, in ASCII.
    pub labels: Vec<(&'static str, String)>,
}

/// Result of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// The record was written.
    Written,
    /// The answer to an earlier attempt was lost, and the token does not allow to look at the record: the server has
    /// one of that time, which is taken for this one.
    Presumed,
    /// The entry had a record of the same time, type and length before.
    WasThere,
}

/// An uploader of files to an entry.
///
/// Its calls run on the present tokio runtime. A blocking caller waits for them by a [`Canceller`](crate::Canceller).
///
/// ```no_run
/// # use client::{OngoingUpload, Upload, UploadStep, Uploader};
/// #
/// # async fn example(server: client::Server, upload: Upload) -> Result<(), client::Failure> {
/// let uploader = Uploader::new(server, "robot".into(), "episodes".into(), 10);
/// uploader.check().await?;
/// let mut ongoing = uploader.begin(upload);
/// while let UploadStep::Retry(text) = uploader.step(&mut ongoing).await? {
///     eprintln!("{text}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Uploader {
    server: Server,
    bucket: String,
    entry: String,
    retries: u32,
    client: OnceCell<Client>,
}

/// An upload in progress, with its attempts up to now.
#[derive(Debug)]
pub struct OngoingUpload {
    upload: Upload,
    attempts: Attempts,
    /// Back-off before the next attempt.
    delay: Duration,
    history: UploadHistory,
}

impl OngoingUpload {
    /// Returns the upload that is in progress.
    pub fn upload(&self) -> &Upload {
        &self.upload
    }
}

/// Result of an attempt to upload a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadStep {
    /// The entry has the record.
    Done(Uploaded),
    /// The attempt failed, as the text says, and the next step repeats it after a back-off.
    Retry(String),
}

/// State of a record on the server.
#[derive(Debug, PartialEq)]
enum StoredRecord {
    Nothing,
    Record {
        length: u64,
        content_type: String,
    },
    /// It is being written, or its upload was cut.
    Unfinished,
    /// It is unfinished for longer than an upload takes.
    Abandoned,
    /// Its upload was cut, and the server knows that.
    Broken,
    /// The token is not for reading.
    Hidden,
}

/// History of the attempts to upload a file.
#[derive(Debug, Default)]
struct UploadHistory {
    /// A part of it was sent, and there was no answer.
    is_begun: bool,
    /// ReductStore has answered.
    has_answer: bool,
    /// Number of writes that a proxy or a busy server has refused.
    refusals: u32,
    /// Number of removals of the record, because the token does not allow to look at it.
    removals: u32,
}

impl Uploader {
    /// Creates an uploader, which repeats a failed attempt up to `retries` times in a row. No I/O.
    pub fn new(server: Server, bucket: String, entry: String, retries: u32) -> Self {
        Self {
            server,
            bucket,
            entry,
            retries,
            client: OnceCell::new(),
        }
    }

    /// Checks that the bucket exists and may be written to. Transient errors are left to the first upload.
    ///
    /// # Errors
    ///
    /// The reason for which no upload can succeed.
    pub async fn check(&self) -> Result<(), Failure> {
        match self.look_at_bucket().await {
            Err(error) if !error.is_transient_for_writing() || is_wrong_address(&error) => {
                Err(error.failure(self.target()))
            }
            _ => Ok(()),
        }
    }

    /// Begins an upload. No I/O: its attempts are [steps](Self::step).
    pub fn begin(&self, upload: Upload) -> OngoingUpload {
        OngoingUpload {
            upload,
            attempts: Attempts::new(self.retries),
            delay: Duration::ZERO,
            history: UploadHistory::default(),
        }
    }

    /// Makes the next attempt to write a file as a record, after the back-off of the one before.
    ///
    /// A dropped call is an attempt with an unknown result. A later one finds out, but may return
    /// [`Uploaded::WasThere`] for a record that was written.
    ///
    /// # Errors
    ///
    /// An error that is not transient, or occurs after the last attempt.
    pub async fn step(&self, ongoing: &mut OngoingUpload) -> Result<UploadStep, Failure> {
        let OngoingUpload {
            upload,
            attempts,
            delay,
            history,
        } = ongoing;
        if !delay.is_zero() {
            sleep(*delay).await;
            *delay = Duration::ZERO;
        }
        let error = match self.attempt(upload, history).await {
            Ok(uploaded) => return Ok(UploadStep::Done(uploaded)),
            Err(error) => error,
        };
        // A proxy may answer for a server that is away.
        let is_of_proxy = history.has_answer && error.cause == Cause::NotReductStore;
        let may_pass = error.is_transient_for_writing() || is_of_proxy;
        let next = attempts.next_delay().filter(|_| may_pass);
        let Some(next) = next else {
            return Err(error.failure(self.target()));
        };
        debug!("attempt {} in {next:?} after {error}", attempts.made());
        *delay = next;
        let fault = error.explain(self.target());
        let notice = attempts.notice(&fault, next, Some(self.retries));
        Ok(UploadStep::Retry(notice))
    }

    fn target(&self) -> Target<'_> {
        self.server
            .target(&self.bucket, &self.entry, Purpose::Write)
    }

    async fn look_at_bucket(&self) -> Result<(), Error> {
        let client = self.client().await?;
        let url = self.server.api_url(&format!("b/{}", self.bucket))?;
        self.ask(client.request(Method::HEAD, url)).await?;
        // A refusal of a long body may get lost with the connection. This one has neither body nor time, which the
        // server reports after it has checked the token.
        let url = self.entry_url()?;
        match self.ask(client.request(Method::POST, url)).await {
            Err(error) if error.cause == Cause::Status(422) => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn attempt(
        &self,
        upload: &Upload,
        history: &mut UploadHistory,
    ) -> Result<Uploaded, Error> {
        let client = self.client().await?;
        let length = length(&upload.file).await?;
        let mut is_refused = false;
        loop {
            let found = self.find_settled(client, upload.time, length).await?;
            history.has_answer = true;
            match &found {
                StoredRecord::Record {
                    length: other,
                    content_type,
                } => {
                    let is_same = *other == length && content_type == upload.content_type;
                    return match is_same {
                        true if history.is_begun => Ok(Uploaded::Written),
                        true => Ok(Uploaded::WasThere),
                        false => Err(conflict(format!(
                            "it has a record at {} already, '{content_type}' of {other} bytes, \
                             which is not the '{}' of {length} bytes to be written. Remove that, or \
                             name another entry",
                            record_time(upload.time),
                            upload.content_type
                        ))),
                    };
                }
                StoredRecord::Abandoned => self.remove(client, upload.time).await?,
                // Only one of the same size can be written over.
                StoredRecord::Broken if is_refused => self.remove(client, upload.time).await?,
                // One that was cut could be written over: this one is complete, and of this upload.
                StoredRecord::Hidden
                    if is_refused && history.is_begun && length >= SMALL_RECORD_BYTES =>
                {
                    return Ok(Uploaded::Presumed);
                }
                // A small one may be unfinished for ever.
                StoredRecord::Hidden if is_refused && history.is_begun => {
                    sleep(SMALL_ABANDONED_AFTER).await;
                    history.removals += 1;
                    if history.removals.is_multiple_of(2) {
                        // A write that is refused, because the record exists: where the answers to writes are lost
                        // periodically, it shifts the period.
                        let url = self.record_url(upload.time)?;
                        let _ = self.ask(client.post(url)).await;
                    }
                    match self.remove(client, upload.time).await {
                        Ok(()) => history.is_begun = false,
                        Err(error) if error.cause == Cause::Status(403) => {
                            return Ok(Uploaded::Presumed);
                        }
                        Err(error) => return Err(error),
                    }
                }
                StoredRecord::Hidden if is_refused => {
                    return Err(conflict(format!(
                        "it has a record at {} already, and the API token does not allow to see \
                         if that is the same",
                        record_time(upload.time)
                    )));
                }
                _ => {}
            }
            if history.refusals % 2 == 1 {
                // A load balancer that refuses periodically would refuse the next request.
                probe(client, &self.server, self.server.timeout()).await?;
            }
            match self.write(client, upload, length).await {
                Err(error)
                    if error.cause == Cause::Status(409)
                        && !error.is_being_deleted()
                        && !mem::replace(&mut is_refused, true) => {}
                Err(error) => {
                    history.is_begun |= !matches!(error.cause, Cause::Connect | Cause::Unreadable);
                    history.refusals += u32::from(matches!(error.cause, Cause::Status(_)));
                    return Err(match error.cause {
                        Cause::Status(413) => too_large(&error, upload, length),
                        _ => error,
                    });
                }
                Ok(()) => return Ok(Uploaded::Written),
            }
        }
    }

    /// Waits for the final state of a record on the server.
    async fn find_settled(
        &self,
        client: &Client,
        time: u64,
        length: u64,
    ) -> Result<StoredRecord, Error> {
        let patience = match length < SMALL_RECORD_BYTES {
            true => SMALL_ABANDONED_AFTER,
            false => ABANDONED_AFTER,
        };
        let begin = Instant::now();
        loop {
            match self.find(client, time).await? {
                StoredRecord::Unfinished if begin.elapsed() >= patience => {
                    return Ok(StoredRecord::Abandoned);
                }
                StoredRecord::Unfinished => sleep(POLL_INTERVAL).await,
                found => return Ok(found),
            }
        }
    }

    async fn find(&self, client: &Client, time: u64) -> Result<StoredRecord, Error> {
        let url = self.record_url(time)?;
        let response = match self.ask(client.request(Method::HEAD, url)).await {
            Ok(response) => response,
            Err(error) => {
                return match unavailable(&error) {
                    Some(Unavailable::Missing) => Ok(StoredRecord::Nothing),
                    Some(Unavailable::Unfinished) => Ok(StoredRecord::Unfinished),
                    Some(Unavailable::Broken) => Ok(StoredRecord::Broken),
                    None if error.cause == Cause::Status(403) => Ok(StoredRecord::Hidden),
                    None => Err(error),
                };
            }
        };
        let headers = response.headers();
        let length = header(headers, CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let content_type = header(headers, CONTENT_TYPE.as_str());
        match (length, content_type) {
            (Some(length), Some(content_type)) => Ok(StoredRecord::Record {
                length,
                content_type: content_type.to_owned(),
            }),
            _ => Err(Error::malformed_response()),
        }
    }

    async fn remove(&self, client: &Client, time: u64) -> Result<(), Error> {
        let url = self.record_url(time)?;
        match self.ask(client.request(Method::DELETE, url)).await {
            Err(error) if error.cause == Cause::Status(404) => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn write(&self, client: &Client, upload: &Upload, length: u64) -> Result<(), Error> {
        let progress = Arc::new(UploadProgress::default());
        let chunks = chunks(upload.file.clone(), length, progress.clone());
        let mut request = client
            .post(self.record_url(upload.time)?)
            .header(CONTENT_TYPE, upload.content_type)
            .header(CONTENT_LENGTH, length)
            .body(Body::wrap_stream(chunks));
        for (name, value) in &upload.labels {
            request = request.header(format!("x-reduct-label-{name}"), value);
        }
        let limit = self.server.timeout();
        let sent = progress.progress.answer(request, limit).await;
        // The error of the HTTP client follows from it.
        match progress.take_failure() {
            Some(error) => Err(unreadable(&upload.file, &error)),
            None => sent.map(drop),
        }
    }

    /// Sends a request without a long body.
    async fn ask(&self, request: RequestBuilder) -> Result<Response, Error> {
        let answer = async { accepted(send(request).await?).await };
        within(self.server.timeout(), answer).await
    }

    async fn client(&self) -> Result<&Client, Error> {
        let client = async || {
            let server = self.server.clone();
            without_blocking(move || server.http_client(Purpose::Write)).await
        };
        self.client.get_or_try_init(client).await
    }

    fn entry_url(&self) -> Result<Url, Error> {
        let path = format!("b/{}/{}", self.bucket, self.entry);
        self.server.api_url(&path)
    }

    fn record_url(&self, time: u64) -> Result<Url, Error> {
        let mut url = self.entry_url()?;
        url.query_pairs_mut().append_pair("ts", &time.to_string());
        Ok(url)
    }
}

fn conflict(text: String) -> Error {
    Error::new(Cause::Status(409), text)
}

/// Returns the error for a file that is too large for a request.
fn too_large(error: &Error, upload: &Upload, length: u64) -> Error {
    let text = format!(
        "{}: the episode of {} has {length} bytes, which is too much for a request to the server or to a \
         proxy before it. Raise the limit there (client_max_body_size of nginx), or set a smaller size or \
         duration",
        error.text,
        utc(upload.time)
    );
    Error::new(error.cause, text)
}

fn unreadable(file: &Path, error: &io::Error) -> Error {
    let text = format!("'{}' cannot be read: {error}", file.display());
    Error::new(Cause::Unreadable, text)
}

async fn length(file: &Path) -> Result<u64, Error> {
    let file = file.to_owned();
    without_blocking(move || {
        let metadata = file.metadata().map_err(|err| unreadable(&file, &err))?;
        Ok(metadata.len())
    })
    .await
}

/// Progress and failure of reading a file while it is sent.
#[derive(Debug, Default)]
struct UploadProgress {
    progress: Progress,
    failure: Mutex<Option<io::Error>>,
}

impl UploadProgress {
    fn fail(&self, error: io::Error) {
        *lock(&self.failure) = Some(error);
    }

    /// Takes the error that ended reading.
    fn take_failure(&self) -> Option<io::Error> {
        let mut failure = lock(&self.failure);
        failure.take()
    }
}

/// Returns the first `length` bytes of a file as a stream, read as they are sent.
fn chunks(
    file: PathBuf,
    length: u64,
    progress: Arc<UploadProgress>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    try_unfold((None, length), move |(open, left): (Option<File>, u64)| {
        let (path, progress) = (file.clone(), progress.clone());
        async move {
            progress.progress.note();
            if left == 0 {
                return Ok(None);
            }
            let read = move || {
                let mut file = match open {
                    Some(file) => file,
                    None => File::open(path)?,
                };
                let mut chunk = vec![0; CHUNK_BYTES.min(left.try_into().unwrap_or(CHUNK_BYTES))];
                file.read_exact(&mut chunk)?;
                Ok((file, chunk))
            };
            let read = tokio::task::spawn_blocking(read).await;
            match read.unwrap_or_else(|err| Err(io::Error::other(err))) {
                Ok((file, chunk)) => {
                    let left = left - chunk.len() as u64;
                    Ok(Some((chunk.into(), (Some(file), left))))
                }
                Err(error) => {
                    let kind = error.kind();
                    progress.fail(error);
                    Err(kind.into())
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures_util::StreamExt;

    use super::*;

    fn read(file: &Path, length: u64) -> (Vec<io::Result<Bytes>>, Arc<UploadProgress>) {
        let progress = Arc::new(UploadProgress::default());
        let chunks = chunks(file.to_owned(), length, progress.clone());
        let read = crate::testing::runtime().block_on(chunks.collect());
        (read, progress)
    }

    #[test]
    fn a_file_is_read_in_chunks() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 7).map(|byte| byte as u8).collect();
        fs::write(&file, &bytes).unwrap();
        let (read, progress) = read(&file, bytes.len() as u64);
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        let lengths: Vec<_> = read.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [CHUNK_BYTES, CHUNK_BYTES, 7]);
        assert_eq!(read.concat(), bytes);
        assert!(progress.take_failure().is_none());
    }

    #[test]
    fn a_file_that_is_too_short_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof] {
            let (read, progress) = read(&file, 5);
            assert_eq!(read.last().unwrap().as_ref().unwrap_err().kind(), kind);
            assert_eq!(progress.take_failure().unwrap().kind(), kind);
            fs::write(&file, b"four").unwrap();
        }
    }
}
