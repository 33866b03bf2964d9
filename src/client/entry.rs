// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What reduct-rs tells of an entry: its attachments and the times of its records.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use reduct_rs::{Bucket, JsonValue, QuotaType, ReductClient, ReductError};
use tokio::sync::{Mutex, OnceCell};

use super::error::{Cause, Error};
use super::{Connection, without_blocking};

/// Attachment of an entry that describes its video.
const VIDEO_ATTACHMENT: &str = "$video";

/// For how long times are recent.
const RECENT: Duration = Duration::from_secs(1);

/// An entry of a server.
pub struct Entry {
    connection: Connection,
    bucket_name: String,
    name: String,
    client: OnceCell<ReductClient>,
    bucket: OnceCell<Bucket>,
    frame_rate: OnceCell<Option<String>>,
    first_oldest: OnceLock<u64>,
    recent: Mutex<Option<EntryTimes>>,
}

/// Times of an entry's records, in µs since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct EntryTimes {
    pub oldest: u64,
    pub newest: u64,
    /// The oldest one when it was first asked for.
    pub first_oldest: u64,
    /// When it was asked for.
    pub asked: Instant,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket_name, self.name)
    }
}

impl Entry {
    /// An entry of a bucket. No I/O.
    pub fn new(connection: &Connection, bucket: &str, name: &str) -> Self {
        Self {
            connection: connection.clone(),
            bucket_name: bucket.into(),
            name: name.into(),
            client: OnceCell::new(),
            bucket: OnceCell::new(),
            frame_rate: OnceCell::new(),
            first_oldest: OnceLock::new(),
            recent: Mutex::default(),
        }
    }

    /// The frame rate of the `$video` attachment, which is read once.
    pub async fn frame_rate(&self) -> Result<Option<String>, Error> {
        let read = || self.read_frame_rate();
        self.frame_rate.get_or_try_init(read).await.cloned()
    }

    async fn read_frame_rate(&self) -> Result<Option<String>, Error> {
        let bucket = self.bucket().await?;
        let attachments = self.within_timeout(bucket.read_attachments(&self.name));
        let attachments = match attachments.await {
            Ok(attachments) => attachments,
            // An entry without attachments, or no entry: the query will tell.
            Err(err) if err.cause == Cause::Status(404) => return Ok(None),
            Err(err) => return Err(err),
        };
        let fps = attachments
            .get(VIDEO_ATTACHMENT)
            .and_then(|video| video.get("fps"));
        Ok(fps.map(|fps| match fps {
            JsonValue::String(text) => text.clone(),
            other => other.to_string(),
        }))
    }

    /// The times of the oldest and the newest record.
    pub async fn times(&self) -> Result<EntryTimes, Error> {
        let asked = Instant::now();
        let entries = self.within_timeout(self.bucket().await?.entries()).await?;
        let entry = entries
            .into_iter()
            .find(|entry| entry.name == self.name)
            .ok_or_else(|| Error::new(Cause::Status(404), "the entry was removed"))?;
        Ok(EntryTimes {
            oldest: entry.oldest_record,
            newest: entry.latest_record,
            first_oldest: *self.first_oldest.get_or_init(|| entry.oldest_record),
            asked,
        })
    }

    /// The same as it was heard a moment ago; who asks at the same time asks once.
    pub async fn recent_times(&self) -> Result<EntryTimes, Error> {
        let mut recent = self.recent.lock().await;
        if let Some(times) = *recent
            && times.asked.elapsed() < RECENT
        {
            return Ok(times);
        }
        Ok(*recent.insert(self.times().await?))
    }

    /// Makes the bucket. From `quota_size` bytes on it loses its oldest records.
    pub async fn create_bucket(&self, quota_size: Option<u64>) -> Result<(), Error> {
        let mut bucket = self.client().await?.create_bucket(&self.bucket_name);
        bucket = bucket.exist_ok(true);
        if let Some(size) = quota_size {
            bucket = bucket.quota_type(QuotaType::FIFO).quota_size(size);
        }
        self.within_timeout(bucket.send()).await.map(drop)
    }

    /// Attaches a description of the video, unless it is there.
    pub async fn describe(&self, video: &JsonValue) -> Result<(), Error> {
        let bucket = self.bucket().await?;
        let there = self.within_timeout(bucket.read_attachments(&self.name));
        // A token may allow to write only.
        if let Ok(there) = there.await
            && there.get(VIDEO_ATTACHMENT) == Some(video)
        {
            return Ok(());
        }
        let attachment = HashMap::from([(VIDEO_ATTACHMENT.into(), video.clone())]);
        self.within_timeout(bucket.write_attachments(&self.name, attachment))
            .await
    }

    /// For how long the server has been running, in whole seconds.
    pub async fn server_uptime(&self) -> Result<Duration, Error> {
        let info = self.within_timeout(self.client().await?.server_info());
        Ok(Duration::from_secs(info.await?.uptime))
    }

    async fn client(&self) -> Result<&ReductClient, Error> {
        let client = async || {
            let connection = self.connection.clone();
            without_blocking(move || connection.client()).await
        };
        self.client.get_or_try_init(client).await
    }

    /// The bucket, if it is there.
    pub async fn bucket(&self) -> Result<&Bucket, Error> {
        let client = self.client().await?;
        let bucket = async || {
            let bucket = client.get_bucket(&self.bucket_name);
            self.within_timeout(bucket).await
        };
        self.bucket.get_or_try_init(bucket).await
    }

    async fn within_timeout<T>(
        &self,
        request: impl Future<Output = Result<T, ReductError>>,
    ) -> Result<T, Error> {
        let timeout = self.connection.timeout().unwrap_or(Duration::MAX);
        match tokio::time::timeout(timeout, request).await {
            Ok(result) => result.map_err(Error::from),
            Err(_) => Err(Error::new(Cause::Timeout, "no answer")),
        }
    }
}
