// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! An H.264 stream to be recorded.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use gst::prelude::*;

/// Frames a second.
pub const FPS: usize = 30;
/// Frames in a group of pictures.
pub const GOP: usize = 30;
/// An even number of groups: neighbouring IDR pictures have different ids, also from the end to the
/// beginning.
const FRAMES: usize = 10 * GOP;

/// Noise as access units of `size` bytes on average, which may be repeated for ever: they begin with
/// an IDR picture, and each of these has its parameter sets.
pub fn access_units(size: usize) -> Result<Vec<Bytes>> {
    let kbits = size * 8 * FPS / 1000;
    let description = format!(
        "videotestsrc pattern=snow num-buffers={FRAMES} \
         ! video/x-raw,width=240,height=176,framerate={FPS}/1,format=I420 \
         ! x264enc bitrate={kbits} vbv-buf-capacity=100 speed-preset=veryfast threads=1 bframes=0 \
           key-int-max={GOP} option-string=scenecut=0 \
         ! video/x-h264,stream-format=byte-stream,alignment=au \
         ! appsink name=sink sync=false"
    );
    let pipeline = super::pipeline::launch(&description)?;
    let sink = pipeline.by_name("sink").and_downcast::<gst_app::AppSink>();
    let sink = sink.context("the description has one")?;
    pipeline.set_state(gst::State::Playing)?;
    let units = std::iter::from_fn(|| sink.pull_sample().ok())
        .map(|sample| {
            let buffer = sample.buffer().context("a sample of video")?;
            Ok(Bytes::copy_from_slice(&buffer.map_readable()?))
        })
        .collect::<Result<Vec<_>>>()?;
    ensure!(units.len() == FRAMES, "{} frames came out", units.len());
    let mean = units.iter().map(Bytes::len).sum::<usize>() / FRAMES;
    ensure!(
        mean.abs_diff(size) * 20 < size,
        "{mean} bytes an access unit"
    );
    Ok(units)
}
