// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The result of one run of one side.

use std::time::Instant;

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// One run.
#[derive(Serialize, Deserialize)]
pub struct Measurement {
    /// From before the first request to after the last byte.
    pub seconds: f64,
    /// Records, or the buffers that were made of them.
    pub records: Option<u64>,
    /// Their bytes; `None` where they are not those of the records, as in MP4 files.
    pub bytes: Option<u64>,
    /// The most memory that the process had so far, bytes.
    pub peak_rss: Option<u64>,
    /// Checksum of what came out, where all sides give the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Measurement {
    /// Stops the clock.
    pub fn since(start: Instant, records: Option<u64>, bytes: u64) -> Result<Self> {
        let seconds = start.elapsed().as_secs_f64();
        let kib = getrusage(UsageWho::RUSAGE_SELF)?.max_rss();
        Ok(Self {
            seconds,
            records,
            bytes: Some(bytes),
            peak_rss: Some(u64::try_from(kib)? * 1024),
            digest: None,
        })
    }

    /// Prints it as a line of JSON.
    pub fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}
