// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! Cameras: each writes an entry of its own, a frame a record, in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use reduct_rs::{Bucket, ReductClient};
use tokio::task::JoinHandle;
use tokio::time::{Interval, interval_at};

use super::fill;
use super::stream::{self, FPS};

/// From a frame of a camera to its next one.
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / FPS as u64);

#[derive(Args)]
pub struct Setting {
    /// Server
    #[arg(long, env = "REDUCT_URL")]
    pub url: String,
    /// Bucket for what the cameras write
    #[arg(long)]
    pub bucket: String,
    /// Number of cameras, or of sources that follow them
    #[arg(long, default_value_t = 8)]
    cameras: u32,
    /// The size of a frame, on average
    #[arg(long, default_value_t = 25_000)]
    pub bytes: usize,
}

impl Setting {
    /// The entries that the cameras write.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        (0..self.cameras).map(|camera| format!("camera-{camera}"))
    }
}

/// Cameras that write until they are stopped.
pub struct Cameras {
    is_over: Arc<AtomicBool>,
    recordings: Vec<JoinHandle<Result<Vec<Written>>>>,
}

/// A frame that the server has.
pub struct Written {
    /// The record's time, µs since the Unix epoch.
    pub captured: u64,
    /// Time of the acknowledgement.
    pub acknowledged: Instant,
}

impl Cameras {
    /// Starts them. Each has written a frame then.
    pub async fn start(setting: &Setting) -> Result<Self> {
        let units: Arc<[Bytes]> = stream::access_units(setting.bytes)?.into();
        let begin = tokio::time::Instant::now();
        let begin_us = UNIX_EPOCH.elapsed()?.as_micros() as u64;
        let mut cameras = Vec::new();
        for (index, entry) in (0..).zip(setting.entries()) {
            // A client each, as each is a device of its own.
            let client = ReductClient::builder().url(&setting.url).try_build()?;
            let bucket = client.create_bucket(&setting.bucket);
            let bucket = bucket.exist_ok(true).send().await?;
            fill::attach_frame_rate(&bucket, &entry).await?;
            // Cameras are not synchronized.
            let first = begin + FRAME * index / setting.cameras;
            let mut camera = Camera {
                bucket,
                entry,
                units: units.clone(),
                ticks: interval_at(first, FRAME),
                begin,
                begin_us,
                written: Vec::new(),
            };
            camera.write().await?;
            cameras.push(camera);
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let record = |camera: Camera| tokio::spawn(camera.record(is_over.clone()));
        Ok(Self {
            recordings: cameras.into_iter().map(record).collect(),
            is_over,
        })
    }

    /// Stops them, and gives what each has written.
    pub async fn stop(self) -> Result<Vec<Vec<Written>>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut written = Vec::new();
        for recording in self.recordings {
            written.push(recording.await??);
        }
        Ok(written)
    }
}

struct Camera {
    bucket: Bucket,
    entry: String,
    units: Arc<[Bytes]>,
    ticks: Interval,
    /// The same moment by two clocks.
    begin: tokio::time::Instant,
    begin_us: u64,
    written: Vec<Written>,
}

impl Camera {
    async fn record(mut self, is_over: Arc<AtomicBool>) -> Result<Vec<Written>> {
        while !is_over.load(Ordering::Relaxed) {
            self.write().await?;
        }
        Ok(self.written)
    }

    /// Writes the next frame when it is time.
    async fn write(&mut self) -> Result<()> {
        let tick = self.ticks.tick().await;
        let captured = self.begin_us + tick.duration_since(self.begin).as_micros() as u64;
        let unit = self.units[self.written.len() % self.units.len()].clone();
        let record = self.bucket.write_record(&self.entry);
        let record = record.timestamp_us(captured).content_type("video/h264");
        record.data(unit).send().await?;
        self.written.push(Written {
            captured,
            acknowledged: Instant::now(),
        });
        Ok(())
    }
}
