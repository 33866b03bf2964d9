// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! For how long frames of live cameras are in the sinks that record them.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use gst::prelude::*;

use super::cameras::Setting;
use super::pipeline::{self, Pipeline};
use super::samples::Samples;
use super::stream::{self, FPS};

#[derive(Args)]
pub struct Render {
    #[command(flatten)]
    setting: Setting,
    /// For how long, s
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Measure the memory of the process instead, each second, in MiB
    #[arg(long)]
    memory: bool,
}

impl Render {
    /// Records all cameras, and makes sure that all of it was written.
    pub fn run(&self) -> Result<Samples> {
        gst::init()?;
        let units = stream::access_units(self.setting.bytes)?;
        let frames = self.seconds as usize * FPS;
        let cameras: Vec<_> = (0..)
            .zip(self.setting.entries())
            .map(|(index, entry)| {
                let camera = Camera::new(&self.setting, &entry)?;
                let units = units.clone();
                // Cameras are not synchronized.
                let late = Duration::from_secs(1) * index / (FPS as u32 * 8);
                Ok(thread::spawn(move || camera.record(&units, frames, late)))
            })
            .collect::<Result<_>>()?;
        let mut memory = Vec::new();
        while self.memory && !cameras.iter().all(thread::JoinHandle::is_finished) {
            memory.push(resident_mib()?);
            thread::sleep(Duration::from_secs(1));
        }
        let mut times = Vec::new();
        for camera in cameras {
            let camera = camera.join().ok().context("a camera panicked")?;
            times.extend(camera?);
        }
        Ok(match self.memory {
            true => Samples(memory),
            false => Samples::ms(times),
        })
    }
}

struct Camera {
    pipeline: Pipeline,
    pad: gst::Pad,
}

impl Camera {
    fn new(setting: &Setting, entry: &str) -> Result<Self> {
        let Setting { url, bucket, .. } = setting;
        let pipeline = pipeline::launch(&format!(
            "identity name=in ! reductsink name=sink url={url} bucket={bucket} entry={entry}"
        ))?;
        let first = pipeline.by_name("in").context("the description has one")?;
        let sink = pipeline
            .by_name("sink")
            .context("the description has one")?;
        // Nothing stands between the clock and the sink.
        first.unlink(&sink);
        pipeline.remove(&first)?;
        let pad = gst::Pad::new(gst::PadDirection::Src);
        pad.link(&sink.static_pad("sink").context("a sink has a pad")?)?;
        pad.set_active(true)?;
        pipeline.set_state(gst::State::Playing)?;
        Ok(Self { pipeline, pad })
    }

    /// Records the frames and returns the time that each took.
    fn record(self, units: &[Bytes], frames: usize, late: Duration) -> Result<Vec<Duration>> {
        let caps = gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .field("framerate", gst::Fraction::new(FPS as i32, 1))
            .build();
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        self.pad.push_event(gst::event::StreamStart::new("camera"));
        self.pad.push_event(gst::event::Caps::new(&caps));
        self.pad.push_event(gst::event::Segment::new(&segment));
        let begin = Instant::now() + late;
        let mut times = Vec::with_capacity(frames);
        for (index, unit) in units.iter().cycle().take(frames).enumerate() {
            let due = Duration::from_secs(index as u64) / FPS as u32;
            thread::sleep((begin + due).saturating_duration_since(Instant::now()));
            let mut buffer = gst::Buffer::from_slice(unit.clone());
            let pts = gst::ClockTime::try_from(due + late)?;
            buffer.get_mut().context("a new buffer")?.set_pts(pts);
            let start = Instant::now();
            self.pad.push(buffer)?;
            times.push(start.elapsed());
        }
        self.pad.push_event(gst::event::Eos::new());
        pipeline::await_eos(&self.pipeline)?;
        let sink = self.pipeline.by_name("sink").context("it has a sink")?;
        let stats = sink.property::<gst::Structure>("stats");
        let written: u64 = stats.get("frames")?;
        ensure!(written == frames as u64, "{written} of {frames} frames");
        Ok(times)
    }
}

fn resident_mib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: f64 = kib.context("a size in kB")?.trim().parse()?;
    Ok(kib / 1024.0)
}
