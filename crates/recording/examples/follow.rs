// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Prints the times of frames as they are written to an entry, until the end of its input (Ctrl-D).
//!
//! `follow URL BUCKET ENTRY [START]`, the time as RFC 3339 or in µs since the Unix epoch; the next frame by default. The
//! environment variable `REDUCT_API_TOKEN` has the API token, if the server wants one.
//!
//! It has no asynchronous code: the frames are an iterator, and another thread ends its waits.

mod common;

use std::env;
use std::error::Error;
use std::io::{Read, stdin};
use std::ops::Bound;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use client::Canceller;
use media::time::CaptureTime;
use recording::{Item, Recording};
use tokio::runtime::Runtime;

/// Interval of requests for new frames.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    common::exit_code(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, bucket, entry, start @ ..] = arguments.as_slice() else {
        return Err("usage: follow URL BUCKET ENTRY [START]".into());
    };
    let server = common::server(url)?;
    let start: Option<CaptureTime> = start.first().map(|text| text.parse()).transpose()?;
    let start = start.map_or(Bound::Unbounded, Bound::Included);
    // Requests run on threads of this runtime.
    let runtime = Runtime::new()?;
    let recording = runtime.block_on(Recording::open(&server, bucket, entry))?;
    let request = recording.read((start, Bound::Unbounded));
    let mut frames = request.follow(POLL_INTERVAL).frames();
    let canceller = Arc::new(Canceller::default());
    let waiting = canceller.clone();
    // An error does not wait for the end of the input.
    thread::spawn(move || {
        let _ = stdin().read_to_end(&mut Vec::new());
        waiting.cancel();
    });
    for item in frames.blocking(&canceller) {
        match item {
            Ok(Item::Frame(frame)) => {
                println!("{} {} bytes", frame.capture_time, frame.length());
            }
            Ok(Item::Gap(loss)) => eprintln!("{loss}"),
            Ok(Item::Warning(text) | Item::Retry(text)) => eprintln!("{text}"),
            Ok(_) => {}
            Err(recording::Error::Cancelled) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
