// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes an entry.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::{Bytes, BytesMut};
use clap::Args;
use reduct_rs::{Bucket, RecordBuilder, ReductClient};
use serde_json::json;

use super::measurement::Measurement;
use super::stream::{self, FPS, GOP};
use super::target::Target;

/// Limit of the records in a batch: the server refuses more headers.
const BATCH_RECORDS: usize = 80;
const BATCH_BYTES: usize = 4_000_000;
/// The time of the first record, µs since the Unix epoch: 2025-06-13T08:30:53Z.
const START_US: u64 = 1_749_803_453_000_000;

#[derive(Args)]
pub struct Fill {
    #[command(flatten)]
    target: Target,
    /// Number of records
    #[arg(long)]
    records: usize,
    /// The size of a record, on average
    #[arg(long)]
    bytes: usize,
    /// A record is a group of pictures, not an access unit
    #[arg(long)]
    gop: bool,
    /// Records have the labels that reductsink gives them
    #[arg(long)]
    labels: bool,
}

impl Fill {
    /// Writes the entry, and the bucket if it is not there. The clock runs while records are written.
    pub async fn run(&self) -> Result<Measurement> {
        let frames = if self.gop { GOP } else { 1 };
        let units = stream::access_units(self.bytes / frames)?;
        let contents: Vec<Bytes> = units.chunks(frames).map(concat).collect();

        let Target { url, bucket, entry } = &self.target;
        let client = ReductClient::builder().url(url).try_build()?;
        let bucket = client.create_bucket(bucket).exist_ok(true).send().await?;
        let start = Instant::now();
        let mut written = 0;
        let mut records = (0..self.records).zip(contents.iter().cycle()).peekable();
        while records.peek().is_some() {
            let mut batch = bucket.write_batch(entry);
            let (mut count, mut bytes) = (0, 0);
            while let Some((index, content)) = records.next_if(|(_, content)| {
                count < BATCH_RECORDS && bytes + content.len() <= BATCH_BYTES
            }) {
                count += 1;
                bytes += content.len();
                let mut record = RecordBuilder::new()
                    .timestamp_us(START_US + (index * frames * 1_000_000 / FPS) as u64)
                    .content_type("video/h264")
                    .data(content.clone());
                if self.labels {
                    let keyframe = index * frames % GOP == 0;
                    record = record
                        .add_label("fps".into(), FPS.to_string())
                        .add_label("keyframe".into(), keyframe.to_string());
                }
                batch.append_record(record.build());
            }
            written += bytes as u64;
            ensure!(count > 0, "a record is larger than a batch");
            let refused = batch.send().await?;
            ensure!(refused.is_empty(), "records refused: {refused:?}");
        }
        let measurement = Measurement::since(start, Some(self.records as u64), written)?;
        attach_frame_rate(&bucket, entry).await?;
        Ok(measurement)
    }
}

/// Says how many frames a second an entry has.
pub async fn attach_frame_rate(bucket: &Bucket, entry: &str) -> Result<()> {
    let video = HashMap::from([("$video".into(), json!({ "fps": FPS }))]);
    Ok(bucket.write_attachments(entry, video).await?)
}

fn concat(units: &[Bytes]) -> Bytes {
    let mut all = BytesMut::new();
    for unit in units {
        all.extend_from_slice(unit);
    }
    all.freeze()
}
