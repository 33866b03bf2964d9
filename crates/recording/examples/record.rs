// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records a file, an Annex B byte stream of H.264, in an entry.
//!
//! `record URL BUCKET ENTRY FILE.h264 START FPS`, the start as RFC 3339 or in µs since the Unix epoch, frames per second
//! as `30` or `30000/1001`. The environment variable `REDUCT_API_TOKEN` has the API token, if the server wants one.

mod common;

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use bytes::Bytes;
use client::{Canceller, Overflow, WriterEvent};
use media::codec::h264::AccessUnitSplitter;
use media::frame_rate::FrameRate;
use media::time::CaptureTime;
use recording::{Recorder, RecorderOptions};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    common::exit_code(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, bucket, entry, file, start, fps] = arguments.as_slice() else {
        return Err("usage: record URL BUCKET ENTRY FILE.h264 START FPS".into());
    };
    let server = common::server(url)?;
    let start: CaptureTime = start.parse()?;
    let frame_rate = FrameRate::parse(fps).ok_or("FPS is no frame rate")?;
    let units = access_units(fs::read(file)?.into());

    let runtime = Runtime::new()?;
    let _entered = runtime.enter();
    let mut recorder = Recorder::builder(&server, bucket, entry)
        .options(RecorderOptions {
            frame_rate: Some(frame_rate),
            ..Default::default()
        })
        .on_event(|event| match event {
            WriterEvent::Failed(_) => {} // The recorder returns this error.
            event => eprintln!("{event}"),
        })
        .open()?;
    let canceller = Canceller::default();
    for unit in units {
        recorder.push_untimed(unit, start);
        // Waits for room only if the server is slower than the file.
        recorder.hand_over(Overflow::Block, &canceller)?;
    }
    for notice in recorder.finish_blocking(Overflow::Block, &canceller)? {
        eprintln!("{notice}");
    }
    Ok(())
}

/// Splits a byte stream into access units.
fn access_units(stream: Bytes) -> Vec<Bytes> {
    let (mut splitter, mut units) = (AccessUnitSplitter::default(), VecDeque::new());
    splitter.push_record(&[stream], &mut units);
    splitter.finish(&mut units);
    units
        .into_iter()
        .map(|unit| unit.parts.concat().into())
        .collect()
}
