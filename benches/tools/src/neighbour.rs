// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! The response time of another client's small query while sources follow.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use reduct_rs::{Bucket, ReductClient};
use serde_json::json;

use super::cameras::{Cameras, Setting};
use super::samples::Samples;
use super::sources::Sources;

#[derive(Args)]
pub struct Neighbour {
    #[command(flatten)]
    setting: Setting,
    /// Entry of access units that is asked for
    #[arg(long)]
    entry: String,
    /// Clients that are connected besides
    #[arg(long)]
    beside: Beside,
    /// Records of a query
    #[arg(long, default_value_t = 100)]
    records: u64,
    /// Number of queries
    #[arg(long, default_value_t = 100)]
    queries: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Beside {
    Nobody,
    /// Sources that follow entries to which nothing comes
    Sources,
    Cameras,
    /// Cameras and the sources that follow them
    Both,
}

impl Neighbour {
    /// Asks for records at random places.
    pub async fn run(&self) -> Result<Samples> {
        let cameras = match self.beside {
            Beside::Nobody => None,
            _ => Some(Cameras::start(&self.setting).await?),
        };
        let cameras = match cameras {
            Some(cameras) if self.beside == Beside::Sources => {
                cameras.stop().await?;
                None
            }
            cameras => cameras,
        };
        let sources = match self.beside {
            Beside::Sources | Beside::Both => Some(Sources::follow(&self.setting)?),
            Beside::Nobody | Beside::Cameras => None,
        };
        if let (Some(sources), Beside::Both) = (&sources, self.beside) {
            sources.await_first().await?;
        }
        let latencies = self.ask().await?;
        if let Some(sources) = sources {
            sources.check()?;
        }
        if let Some(cameras) = cameras {
            cameras.stop().await?;
        }
        Ok(Samples::ms(latencies))
    }

    async fn ask(&self) -> Result<Vec<Duration>> {
        let Setting { url, bucket, .. } = &self.setting;
        let client = ReductClient::builder().url(url).try_build()?;
        let bucket = client.get_bucket(bucket).await?;
        let entries = bucket.entries().await?;
        let entry = entries.iter().find(|entry| entry.name == self.entry);
        let entry = entry.with_context(|| format!("no entry {}", self.entry))?;
        let last = entry.latest_record.saturating_sub(10_000_000);
        let mut random = fastrand::Rng::with_seed(7);
        let mut latencies = Vec::new();
        for _ in 0..self.queries {
            let start = random.u64(entry.oldest_record..last);
            latencies.push(self.query(&bucket, start).await?);
        }
        Ok(latencies)
    }

    /// Reads some records, and gives how long that took.
    async fn query(&self, bucket: &Bucket, start: u64) -> Result<Duration> {
        let begin = Instant::now();
        let query = bucket.query(self.entry.as_str()).start_us(start);
        let query = query.when(json!({ "$limit": self.records }));
        let mut stream = pin!(query.send().await?);
        let mut records = 0;
        while let Some(record) = stream.next().await {
            record?.bytes().await?;
            records += 1;
        }
        ensure!(records == self.records, "{records} records came");
        Ok(begin.elapsed())
    }
}
