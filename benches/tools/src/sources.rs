// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! Sources that follow what cameras write.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gst::prelude::*;

use super::cameras::Setting;
use super::pipeline::{self, Pipeline};

/// Time after which a frame counts as lost.
const LONGEST: Duration = Duration::from_secs(5);

/// A source an entry, all at once.
pub struct Sources {
    pipeline: Pipeline,
    came: Vec<Arc<Mutex<Vec<Came>>>>,
}

/// A frame that left a source.
pub struct Came {
    /// µs since the Unix epoch.
    pub captured: u64,
    pub at: Instant,
}

impl Sources {
    /// Begins to follow the cameras.
    pub fn follow(setting: &Setting) -> Result<Self> {
        let Setting { url, bucket, .. } = setting;
        let branch = |entry: String| {
            format!(
                "reductsrc name={entry} url={url} bucket={bucket} entry={entry} follow=true \
                 ! fakesink sync=false"
            )
        };
        let branches: Vec<_> = setting.entries().map(branch).collect();
        let pipeline = pipeline::launch(&branches.join(" "))?;
        let came = setting.entries().map(|entry| {
            let source = pipeline.by_name(&entry).context("it has this name")?;
            note_frames(&source)
        });
        let came = came.collect::<Result<_>>()?;
        pipeline::play(&pipeline)?;
        Ok(Self { pipeline, came })
    }

    /// Fails if there was an error or a warning so far.
    pub fn check(&self) -> Result<()> {
        pipeline::check(&self.pipeline)
    }

    /// Waits until a frame has come out of each.
    pub async fn await_first(&self) -> Result<()> {
        self.await_that(|_, came| !came.is_empty()).await
    }

    /// Waits until the last frames are out, in the order of the entries, then ends. Gives what came
    /// in all.
    pub async fn finish(self, last: &[u64]) -> Result<Vec<Vec<Came>>> {
        let is_out = |index: usize, came: &[Came]| {
            came.last().map(|came| came.captured) >= last.get(index).copied()
        };
        self.await_that(is_out).await?;
        self.pipeline.send_event(gst::event::Eos::new());
        pipeline::await_eos(&self.pipeline)?;
        let take =
            |came: &Mutex<_>| mem::take(&mut *came.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(self.came.iter().map(|came| take(came)).collect())
    }

    /// Waits until something is true of what came out of each source.
    async fn await_that(&self, is_true: impl Fn(usize, &[Came]) -> bool) -> Result<()> {
        let begin = Instant::now();
        let is_true_of = |(index, came): (usize, &Arc<Mutex<Vec<Came>>>)| {
            is_true(index, &came.lock().unwrap_or_else(PoisonError::into_inner))
        };
        while !self.came.iter().enumerate().all(is_true_of) {
            self.check()?;
            ensure!(begin.elapsed() < LONGEST, "frames do not come");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

/// Notes when each frame leaves a source.
fn note_frames(source: &gst::Element) -> Result<Arc<Mutex<Vec<Came>>>> {
    let came = Arc::new(Mutex::new(Vec::new()));
    let noted = came.clone();
    let pad = source.static_pad("src").context("a source has a pad")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let at = Instant::now();
        if let Some(captured) = info.buffer().and_then(captured) {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.push(Came { captured, at });
        }
        gst::PadProbeReturn::Ok
    });
    Ok(came)
}

/// Returns the capture time of a frame, µs since the Unix epoch.
fn captured(buffer: &gst::Buffer) -> Option<u64> {
    let unix = |meta: &gst::MetaRef<gst::ReferenceTimestampMeta>| {
        let reference = meta.reference().structure(0);
        reference.is_some_and(|reference| reference.name() == "timestamp/x-unix")
    };
    let mut metas = buffer.iter_meta::<gst::ReferenceTimestampMeta>();
    Some(metas.find(unix)?.timestamp().useconds())
}
