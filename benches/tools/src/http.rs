// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The ceiling: as few requests as the range needs, and of the bodies only their length.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use reqwest::{Client, StatusCode};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::measurement::Measurement;
use super::target::Target;

/// A header a record, and some more.
const MAX_HEADERS: usize = 4096;

#[derive(Args)]
pub struct Http {
    #[command(flatten)]
    target: Target,
    /// Number of parts of the range that are read at once
    #[arg(long, default_value_t = 1)]
    connections: u64,
    /// Directive #batch_size
    #[arg(long)]
    batch_size: Option<String>,
    /// Directive #batch_records
    #[arg(long)]
    batch_records: Option<u32>,
}

impl Http {
    /// Reads all of an entry.
    pub async fn read(&self) -> Result<Measurement> {
        let client = Client::builder()
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .build()?;
        let start = Instant::now();
        let (first, last) = self.range(&client).await?;
        let edge = |part| first + (last + 1 - first) * part / self.connections;
        let mut parts = JoinSet::new();
        for part in 0..self.connections {
            let query = json!({
                "query_type": "QUERY",
                "start": edge(part),
                "stop": edge(part + 1),
                "when": self.directives(),
            });
            parts.spawn(read_part(client.clone(), self.entry_url(), query));
        }
        let mut bytes = 0;
        while let Some(part) = parts.join_next().await {
            bytes += part??;
        }
        Measurement::since(start, None, bytes)
    }

    /// The times of the first and of the last record.
    async fn range(&self, client: &Client) -> Result<(u64, u64)> {
        let Target { url, bucket, entry } = &self.target;
        let request = client.get(format!("{url}/api/v1/b/{bucket}"));
        let info: Value = request.send().await?.error_for_status()?.json().await?;
        let entries = info["entries"].as_array().context("no entries")?;
        let info = entries.iter().find(|info| info["name"] == entry.as_str());
        let info = info.with_context(|| format!("no entry {entry}"))?;
        let time = |name: &str| info[name].as_u64().with_context(|| format!("no {name}"));
        Ok((time("oldest_record")?, time("latest_record")?))
    }

    fn entry_url(&self) -> String {
        let Target { url, bucket, entry } = &self.target;
        format!("{url}/api/v1/b/{bucket}/{entry}")
    }

    fn directives(&self) -> Value {
        let size = self.batch_size.as_deref().map(Value::from);
        let records = self.batch_records.map(Value::from);
        [("#batch_size", size), ("#batch_records", records)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect::<Map<_, _>>()
            .into()
    }
}

/// Runs one query and counts its bytes.
async fn read_part(client: Client, url: String, query: Value) -> Result<u64> {
    let request = client.post(format!("{url}/q")).json(&query);
    let answer: Value = request.send().await?.error_for_status()?.json().await?;
    let id = answer["id"].as_u64().context("no query id")?;
    let batch = format!("{url}/batch?q={id}");
    let mut bytes = 0;
    loop {
        let mut response = client.get(&batch).send().await?.error_for_status()?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(bytes);
        }
        let headers = response.headers();
        let last = headers.get("x-reduct-last");
        let last = last.is_some_and(|value| value == "true");
        let length = response.content_length().context("no length")?;
        let before = bytes;
        while let Some(chunk) = response.chunk().await? {
            bytes += chunk.len() as u64;
        }
        ensure!(bytes - before == length, "a short body");
        if last {
            return Ok(bytes);
        }
    }
}
