// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! reduct-rs as its documentation shows it.

use std::pin::pin;
use std::time::Instant;

use anyhow::Result;
use futures_util::StreamExt;
use reduct_rs::ReductClient;

use super::measurement::Measurement;
use super::target::Target;

/// Reads all records of an entry.
pub async fn read(target: &Target) -> Result<Measurement> {
    let client = ReductClient::builder().url(&target.url).try_build()?;
    let start = Instant::now();
    let bucket = client.get_bucket(&target.bucket).await?;
    let mut stream = pin!(bucket.query(target.entry.as_str()).send().await?);
    let (mut records, mut bytes) = (0, 0);
    while let Some(record) = stream.next().await {
        bytes += record?.bytes().await?.len() as u64;
        records += 1;
    }
    Measurement::since(start, Some(records), bytes)
}
