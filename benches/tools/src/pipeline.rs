// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! GStreamer pipelines with the plugin as it is installed.

use std::ops::Deref;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use gst::prelude::*;

use super::measurement::Measurement;

/// A pipeline that goes to NULL with this value.
pub struct Pipeline(gst::Pipeline);

impl Deref for Pipeline {
    type Target = gst::Pipeline;

    fn deref(&self) -> &gst::Pipeline {
        &self.0
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// A pipeline in gst-launch's notation.
pub fn launch(description: &str) -> Result<Pipeline> {
    gst::init()?;
    let element = gst::parse::launch(description)?;
    let pipeline = element.downcast().ok();
    let pipeline = pipeline.context("a pipeline has more than one element")?;
    Ok(Pipeline(pipeline))
}

/// Times a pipeline with one reductsrc, from PLAYING to EOS.
pub fn run(description: &str) -> Result<Measurement> {
    let pipeline = launch(description)?;
    let source = source(&pipeline)?;
    let start = play(&pipeline)?;
    await_eos(&pipeline)?;
    let stats = source.property::<gst::Structure>("stats");
    Measurement::since(start, Some(stats.get("access-units")?), stats.get("bytes")?)
}

/// The reductsrc of a pipeline.
pub fn source(pipeline: &gst::Pipeline) -> Result<gst::Element> {
    let is_source = |element: gst::Element| {
        let factory = element.factory();
        factory.is_some_and(|factory| factory.name() == "reductsrc")
    };
    let source = pipeline.iterate_elements().find(is_source);
    source.context("no reductsrc")
}

/// Keeps in memory what `source` pushes, then times the elements behind it alone.
pub fn replay(source: &str, rest: &str) -> Result<Measurement> {
    let (caps, buffers) = collect(source)?;
    let records = buffers.len() as u64;
    let bytes = buffers.iter().map(|buffer| buffer.size() as u64).sum();

    let pipeline = launch(&format!("appsrc name=in format=time max-bytes=0 ! {rest}"))?;
    let appsrc = pipeline.by_name("in").and_downcast::<gst_app::AppSrc>();
    let appsrc = appsrc.context("the description has one")?;
    appsrc.set_caps(Some(&caps));
    let start = play(&pipeline)?;
    // No limit: the queue takes all of them long before the other thread is through.
    for buffer in buffers {
        appsrc.push_buffer(buffer)?;
    }
    appsrc.end_of_stream()?;
    await_eos(&pipeline)?;
    Measurement::since(start, Some(records), bytes)
}

/// Prints the default of reductsrc's property, or 1 if it has none.
pub fn print_connections() -> Result<()> {
    gst::init()?;
    let source = gst::ElementFactory::make("reductsrc").build()?;
    let connections = match source.find_property("connections") {
        Some(_) => source.property::<u32>("connections"),
        None => 1,
    };
    println!("{connections}");
    Ok(())
}

/// All that a source pushes, in memory of its own: what it pushed may be a small part of what it
/// keeps from being freed.
fn collect(source: &str) -> Result<(gst::Caps, Vec<gst::Buffer>)> {
    let pipeline = launch(&format!("{source} ! appsink name=out sync=false"))?;
    let sink = pipeline.by_name("out").and_downcast::<gst_app::AppSink>();
    let sink = sink.context("the description has one")?;
    play(&pipeline)?;
    let (mut caps, mut buffers) = (None, Vec::new());
    while let Ok(sample) = sink.pull_sample() {
        caps = sample.caps_owned();
        let buffer = sample.buffer().context("a sample of video")?;
        buffers.push(buffer.copy_deep()?);
    }
    await_eos(&pipeline)?;
    Ok((caps.context("nothing came")?, buffers))
}

/// Starts a pipeline and the clock. Loading plugins and making elements is no part of either side.
pub fn play(pipeline: &gst::Pipeline) -> Result<Instant> {
    pipeline.set_state(gst::State::Ready)?;
    let start = Instant::now();
    pipeline.set_state(gst::State::Playing)?;
    Ok(start)
}

/// Waits for the end, which is to come without an error or a warning.
pub fn await_eos(pipeline: &gst::Pipeline) -> Result<()> {
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        if message.type_() == gst::MessageType::Eos {
            return Ok(());
        }
        is_well(&message)?;
    }
    bail!("the bus ended")
}

/// Fails if there was an error or a warning so far.
pub fn check(pipeline: &gst::Pipeline) -> Result<()> {
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    bus.iter().try_for_each(|message| is_well(&message))
}

fn is_well(message: &gst::Message) -> Result<()> {
    match message.view() {
        gst::MessageView::Error(error) => bail!("{}", error.error()),
        gst::MessageView::Warning(warning) => bail!("{}", warning.error()),
        _ => Ok(()),
    }
}
