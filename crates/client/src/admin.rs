// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Calls about an entry as a whole: its bucket, its times and the description of its video.

use std::fmt;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join;
use reduct_base::batch::parse_batched_header;
use reduct_base::msg::bucket_api::{BucketSettings, FullBucketInfo, QuotaType};
use reduct_base::msg::entry_api::{QueryEntry, QueryInfo, QueryType};
use reduct_base::msg::server_api::ServerInfo;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value as JsonValue, json};
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use crate::entry::{EntryTimes, FrameRate};
use crate::error::{Cause, Error, Purpose};
use crate::http::answer::{accepted, body, header, json};
use crate::http::batch::TIME_HEADER;
use crate::http::progress::within;
use crate::http::refusals::{MAX_BEFORE, PeriodicRefusals, ask, probe};
use crate::http::send::send;
use crate::names::SettingNames;
use crate::schema::Schema;
use crate::server::Server;
use crate::task::without_blocking;

/// Entry below an entry whose records are its attachments, by the label `key`.
const ATTACHMENTS: &str = "$meta";
/// Largest number of other attachments that are skipped, without their contents, to find the description of the
/// video.
const MAX_OTHERS: usize = 100;
/// Largest description of a video, in bytes.
const MAX_VIDEO: usize = 64 << 10;
/// Largest list of the entries of a bucket, in bytes: an entry takes about 200.
const MAX_LIST: usize = 32 << 20;
/// Largest answer of another kind, in bytes.
const MAX_INFO: usize = 1 << 20;
/// Attempts to read the description of a video. The number of requests in front of the one that must not be sent again
/// varies, or a load balancer that refuses periodically may always refuse that one.
const VIDEO_ATTEMPTS: u32 = 6;
/// Attempts in which the query for the description may be refused. Each of them sends it several times.
const VIDEO_REFUSALS: u32 = 3;
/// Lifetime of a query for an attachment on the server, in seconds.
const TTL_SECONDS: u64 = 10;

/// Age up to which cached times are returned.
const TIMES_MAX_AGE: Duration = Duration::from_secs(1);

/// An entry of a server.
pub struct Entry {
    server: Server,
    bucket_name: String,
    name: String,
    client: OnceCell<Client>,
    has_bucket: OnceCell<()>,
    frame_rate: OnceCell<FrameRate>,
    first_oldest: OnceLock<u64>,
    recent: Mutex<Option<EntryTimes>>,
    refusals: PeriodicRefusals,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket_name, self.name)
    }
}

impl Entry {
    /// Creates an entry of a bucket. No I/O.
    pub fn new(server: &Server, bucket: &str, name: &str) -> Self {
        Self {
            server: server.clone(),
            bucket_name: bucket.into(),
            name: name.into(),
            client: OnceCell::new(),
            has_bucket: OnceCell::new(),
            frame_rate: OnceCell::new(),
            first_oldest: OnceLock::new(),
            recent: Mutex::default(),
            refusals: PeriodicRefusals::default(),
        }
    }

    /// Returns the frame rate of the `$video` attachment, which is read once. Records can be read without it, so that
    /// a refused request is a fault of the attachment.
    pub async fn frame_rate(&self) -> Result<FrameRate, Error> {
        let read = || self.read_frame_rate();
        match self.frame_rate.get_or_try_init(read).await {
            Ok(frame_rate) => Ok(frame_rate.clone()),
            Err(error) if error.is_answer() => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    async fn read_frame_rate(&self) -> Result<FrameRate, Error> {
        Ok(match self.read_video().await? {
            Err(fault) => Err(fault),
            Ok(None) => Ok(None),
            Ok(Some(JsonValue::Object(video))) => Ok(video
                .get(self.server.schema().frame_rate)
                .map(|rate| match rate {
                    JsonValue::String(text) => text.clone(),
                    other => other.to_string(),
                })),
            Ok(Some(_)) => Err("it is not a JSON object".into()),
        })
    }

    /// Reads the `$video` attachment and no other, as others may be of any type and size. Returns the fault of the
    /// attachment where the server is not to blame.
    async fn read_video(&self) -> Result<Result<Option<JsonValue>, String>, Error> {
        let content = match self.read_video_record().await {
            Ok(Some(content)) => content,
            // No attachments, or no entry, which the query for records reports.
            Ok(None) => return Ok(Ok(None)),
            Err(error) if error.cause == Cause::Status(404) => return Ok(Ok(None)),
            // An older server may not know the condition.
            Err(error) if matches!(error.cause, Cause::Malformed | Cause::Status(422)) => {
                return Ok(Err(error.text));
            }
            Err(error) => return Err(error),
        };
        let video = serde_json::from_slice(&content);
        Ok(video.map_err(|err| format!("it is not JSON: {err}")))
    }

    async fn read_video_record(&self) -> Result<Option<Vec<u8>>, Error> {
        let (mut attempts, mut refusals) = (1, 0);
        loop {
            let before = (attempts - 1) % (MAX_BEFORE + 1);
            let attempt = async {
                let url = self.query_video().await;
                let url = url.inspect_err(|_| refusals += 1)?;
                self.fetch_video(url, before).await
            };
            let read = self.within_timeout(attempt).await;
            let may_repeat = attempts < VIDEO_ATTEMPTS && refusals < VIDEO_REFUSALS;
            match read {
                Err(error) if may_repeat && error.is_answer() && error.is_transient() => {
                    attempts += 1;
                }
                read => return read,
            }
        }
    }

    /// Creates a query for the description of the video. Returns the URL of its records.
    async fn query_video(&self) -> Result<Url, Error> {
        let client = self.client().await?;
        let query = QueryEntry {
            query_type: QueryType::Query,
            ttl: Some(TTL_SECONDS),
            when: Some(json!({
                "$has": "key",
                // A dollar sign begins an operator in a condition.
                "&key": {"$eq": format!("${}", self.server.schema().attachment)},
                "#select_labels": ["key"],
                "#batch_records": 1,
            })),
            ..Default::default()
        };
        let request = client.post(self.attachments_url("/q")?).json(&query);
        let QueryInfo { id } = json(self.ask(request).await?, MAX_INFO).await?;
        let mut url = self.attachments_url("/batch")?;
        url.query_pairs_mut().append_pair("q", &id.to_string());
        Ok(url)
    }

    /// Reads the first records of a query, up to the description of the video, after this number of requests `before`
    /// it that meet periodic refusals.
    async fn fetch_video(&self, url: Url, before: u32) -> Result<Option<Vec<u8>>, Error> {
        let client = self.client().await?;
        for _ in 0..before {
            probe(client, &self.server, self.server.timeout()).await?;
        }
        // At most one record matches, unless the server does not know the condition.
        for _ in 0..MAX_OTHERS {
            // Not repeated: the query may have advanced.
            let answer = accepted(send(client.get(url.clone())).await?).await?;
            if answer.status() == StatusCode::NO_CONTENT {
                break;
            }
            if let Some(length) =
                length_of_video(answer.headers(), self.server.schema().attachment)?
            {
                return limited_to(answer, length).await.map(Some);
            }
            if header(answer.headers(), "x-reduct-last") == Some("true") {
                break;
            }
        }
        Ok(None)
    }

    /// Attaches a description of the video, unless the entry has the same one.
    pub async fn describe(&self, video: &JsonValue) -> Result<(), Error> {
        // A token may allow to write only.
        if let Ok(Ok(Some(there))) = self.read_video().await
            && there == *video
        {
            return Ok(());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_micros();
        let mut url = self.attachments_url("")?;
        url.query_pairs_mut().append_pair("ts", &now.to_string());
        let content = video.to_string();
        let request = self.client().await?.post(url);
        let request = request
            .header("x-reduct-label-key", self.server.schema().attachment)
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, content.len())
            .body(content);
        self.within_timeout(self.ask(request)).await.map(drop)
    }

    /// Returns the names of the settings in texts.
    pub fn names(&self) -> &SettingNames {
        self.server.names()
    }

    /// Returns the names under which records are stored.
    pub fn schema(&self) -> &Schema {
        self.server.schema()
    }

    /// Requests the times of the oldest and the newest record.
    pub async fn times(&self) -> Result<EntryTimes, Error> {
        let asked = Instant::now();
        let request = self.client().await?.get(self.bucket_url()?);
        let list = self.json(request, MAX_LIST);
        // The first time beside a check that takes no body, so that no long list hides an error.
        let check = self.has_bucket.get_or_try_init(|| self.check_bucket());
        let (checked, list) = join(check, list).await;
        checked?;
        let bucket: FullBucketInfo = list?;
        let entry = (bucket.entries.into_iter())
            .find(|entry| entry.name == self.name)
            .ok_or_else(|| self.missing())?;
        Ok(EntryTimes {
            oldest: entry.oldest_record,
            newest: entry.latest_record,
            records: entry.record_count,
            first_oldest: *self.first_oldest.get_or_init(|| entry.oldest_record),
            asked,
        })
    }

    /// Returns the error for an entry that is not in the list of its bucket. Its text is that of the server for a query,
    /// because either of two concurrent requests may fail first.
    fn missing(&self) -> Error {
        let text = match self.first_oldest.get() {
            Some(_) => "the entry was removed".to_owned(),
            None => format!(
                "Entry '{}' not found in bucket '{}'",
                self.name, self.bucket_name
            ),
        };
        Error::new(Cause::Status(404), text)
    }

    /// Returns the times of the oldest and the newest record, cached for one second. Concurrent calls share one
    /// request.
    ///
    /// A reader gets times that were requested before its creation, `since`, only if it reads no record after the newest
    /// one of them, `until` the end of its range: it finds all that was written before its creation.
    pub async fn recent_times(&self, since: Instant, until: u64) -> Result<EntryTimes, Error> {
        let mut recent = self.recent.lock().await;
        if let Some(times) = *recent
            && times.asked.elapsed() < TIMES_MAX_AGE
            && (times.asked >= since || until <= times.newest)
        {
            return Ok(times);
        }
        Ok(*recent.insert(self.times().await?))
    }

    /// Checks that the bucket exists and that the token is valid for it.
    pub async fn check_bucket(&self) -> Result<(), Error> {
        let client = self.client().await?;
        let request = client.request(Method::HEAD, self.bucket_url()?);
        self.within_timeout(self.ask(request)).await.map(drop)
    }

    /// Creates the bucket, unless it exists. From `quota_size` bytes on it drops its oldest records.
    pub async fn create_bucket(&self, quota_size: Option<u64>) -> Result<(), Error> {
        let settings = BucketSettings {
            quota_type: quota_size.map(|_| QuotaType::FIFO),
            quota_size,
            ..Default::default()
        };
        let request = self.client().await?.post(self.bucket_url()?);
        match self.within_timeout(self.ask(request.json(&settings))).await {
            Err(error) if error.cause == Cause::Status(409) && !error.is_being_deleted() => Ok(()),
            made => made.map(drop),
        }
    }

    /// Requests the uptime of the server, in whole seconds.
    pub async fn server_uptime(&self) -> Result<Duration, Error> {
        let url = self.server.api_url("info")?;
        let request = self.client().await?.get(url);
        let info: ServerInfo = self.json(request, MAX_INFO).await?;
        Ok(Duration::from_secs(info.uptime))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<T, Error> {
        let answer = async { json(self.ask(request).await?, limit).await };
        self.within_timeout(answer).await
    }

    fn bucket_url(&self) -> Result<Url, Error> {
        self.server.api_url(&format!("b/{}", self.bucket_name))
    }

    fn attachments_url(&self, method: &str) -> Result<Url, Error> {
        let (bucket, name) = (&self.bucket_name, &self.name);
        let path = format!("b/{bucket}/{name}/{ATTACHMENTS}{method}");
        self.server.api_url(&path)
    }

    async fn client(&self) -> Result<&Client, Error> {
        let client = async || {
            let server = self.server.clone();
            without_blocking(move || server.http_client(Purpose::Read)).await
        };
        self.client.get_or_try_init(client).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Response, Error> {
        ask(request, Error::is_passing, &self.refusals).await
    }

    async fn within_timeout<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        within(self.server.timeout(), request).await
    }
}

/// Returns the length of the only record of a batch, in bytes, if that is the description of a video.
fn length_of_video(headers: &HeaderMap, attachment: &str) -> Result<Option<u64>, Error> {
    let mut records = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(TIME_HEADER));
    let (Some((_, record)), None) = (records.next(), records.next()) else {
        let text = "an answer has not the one record that is asked for";
        return Err(Error::new(Cause::Malformed, text));
    };
    let record = record.to_str().ok();
    // Labels that cannot be read are those of another attachment.
    let record = record.and_then(|record| parse_batched_header(record).ok());
    let video = record.filter(|record| {
        let key = record.labels.get("key");
        key.is_some_and(|key| key == attachment)
    });
    Ok(video.map(|video| video.content_length))
}

/// Reads the description of a video with the length from its header.
async fn limited_to(answer: Response, length: u64) -> Result<Vec<u8>, Error> {
    if length > MAX_VIDEO as u64 {
        let text = format!("it has {length} bytes, and at most {MAX_VIDEO} are read");
        return Err(Error::new(Cause::Malformed, text));
    }
    let content = body(answer, MAX_VIDEO).await?;
    match content.len() as u64 == length {
        true => Ok(content),
        false => Err(Error::new(
            Cause::Malformed,
            "an attachment has another length than its header says",
        )),
    }
}
