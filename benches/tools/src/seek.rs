// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! The time from a seek to its first buffer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use gst::prelude::*;

use super::pipeline;
use super::samples::Samples;

/// Time after which a seek counts as lost.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct Seek {
    /// Kind of seek
    #[arg(long)]
    to: To,
    /// Number of seeks
    #[arg(long, default_value_t = 50)]
    seeks: u64,
    /// Pause between a seek's buffer and the next seek, ms
    #[arg(long, default_value_t = 0)]
    rest: u64,
    /// A pipeline with a reductsrc, as for gst-launch-1.0. Its entry has a keyframe each second, from
    /// its first record on
    description: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// The keyframe before a time (KEY_UNIT)
    Keyframe,
    /// The frame of a time (ACCURATE)
    Frame,
}

impl To {
    fn flags(self) -> gst::SeekFlags {
        gst::SeekFlags::FLUSH
            | match self {
                Self::Keyframe => gst::SeekFlags::KEY_UNIT,
                Self::Frame => gst::SeekFlags::ACCURATE,
            }
    }
}

/// The first buffer after a flush.
struct First {
    at: Instant,
    pts: Option<gst::ClockTime>,
}

impl Seek {
    /// Seeks in a pipeline that is paused, each time to where it was not before.
    pub fn run(&self) -> Result<Samples> {
        let pipeline = pipeline::launch(&self.description)?;
        let source = pipeline::source(&pipeline)?;
        let firsts = first_buffers(&source)?;
        pipeline.set_state(gst::State::Paused)?;
        let preroll = gst::ClockTime::try_from(LONGEST)?;
        pipeline.state(preroll).0.context("no preroll")?;
        let duration = source.query_duration().context("no duration")?;

        let mut latencies = Vec::new();
        for time in times(duration, self.seeks) {
            let start = Instant::now();
            pipeline.seek_simple(self.to.flags(), time)?;
            let Ok(First { at, pts }) = firsts.recv_timeout(LONGEST) else {
                pipeline::check(&pipeline)?;
                bail!("nothing comes after a seek to {time}");
            };
            // A decoder needs the keyframe, whatever is sought.
            let keyframe = gst::ClockTime::from_seconds(time.seconds());
            ensure!(
                pts == Some(keyframe),
                "{pts:?} comes after a seek to {time}"
            );
            latencies.push(at - start);
            thread::sleep(Duration::from_millis(self.rest));
        }
        pipeline::check(&pipeline)?;
        Ok(Samples::ms(latencies))
    }
}

/// Reports the first buffer that leaves a source after each flush.
fn first_buffers(source: &gst::Element) -> Result<Receiver<First>> {
    let (sender, firsts) = channel();
    let is_first = AtomicBool::new(false);
    let pad = source.static_pad("src").context("a source has a pad")?;
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_FLUSH;
    pad.add_probe(mask, move |_, info| {
        let at = Instant::now();
        if let Some(buffer) = info.buffer() {
            if is_first.swap(false, Ordering::Relaxed) {
                let pts = buffer.pts();
                let _ = sender.send(First { at, pts }); // The receiver may already be dropped.
            }
        } else if let Some(event) = info.event()
            && event.type_() == gst::EventType::FlushStop
        {
            is_first.store(true, Ordering::Relaxed);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(firsts)
}

/// Random times in any order. They are half a part of the duration apart, so that no seek profits
/// from records that another one read.
fn times(duration: gst::ClockTime, count: u64) -> impl Iterator<Item = gst::ClockTime> {
    let mut random = fastrand::Rng::with_seed(7);
    let part = duration / count;
    let mut parts: Vec<_> = (0..count).collect();
    random.shuffle(&mut parts);
    let time = move |index| {
        let offset = random.u64(0..part.nseconds() / 2);
        part * index + gst::ClockTime::from_nseconds(offset)
    };
    parts.into_iter().map(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_everywhere_and_apart() {
        let duration = gst::ClockTime::from_seconds(5000);
        let times: Vec<_> = times(duration, 100).collect();
        let mut sorted = times.clone();
        sorted.sort_unstable();
        assert_ne!(times, sorted);
        assert_eq!(sorted.len(), 100);
        assert!(sorted[0].seconds() < 25 && sorted[99].seconds() >= 4950);
        let is_apart =
            |pair: &[gst::ClockTime]| pair[1] - pair[0] > gst::ClockTime::from_seconds(25);
        assert!(sorted.windows(2).all(is_apart));
    }
}
