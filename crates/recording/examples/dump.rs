// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes a range of an entry to files: its frames as Annex B byte stream, and their times as CSV.
//!
//! `dump URL BUCKET ENTRY FILE.h264 FILE.csv [START [STOP]]`, times as RFC 3339 or in µs since the Unix epoch. The
//! environment variable `REDUCT_API_TOKEN` has the API token, if the server wants one.

#[path = "common/bound.rs"]
mod bound;
mod common;

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Bound;
use std::process::ExitCode;

use client::Server;
use media::time::CaptureTime;
use recording::{Frame, Item, Recording};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    common::exit_code(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, bucket, entry, video, times, bounds @ ..] = arguments.as_slice() else {
        return Err("usage: dump URL BUCKET ENTRY FILE.h264 FILE.csv [START [STOP]]".into());
    };
    let server = common::server(url)?;
    let start = bound::parse(bounds.first(), Bound::Included)?;
    let stop = bound::parse(bounds.get(1), Bound::Excluded)?;
    let video = BufWriter::new(File::create(video)?);
    let times = BufWriter::new(File::create(times)?);
    let runtime = Runtime::new()?;
    runtime.block_on(dump(&server, bucket, entry, (start, stop), video, times))
}

async fn dump(
    server: &Server,
    bucket: &str,
    entry: &str,
    range: (Bound<CaptureTime>, Bound<CaptureTime>),
    mut video: impl Write,
    mut times: impl Write,
) -> Result<(), Box<dyn Error>> {
    let recording = Recording::open(server, bucket, entry).await?;
    let mut frames = recording.read(range).frames();
    writeln!(
        times,
        "capture_us,pts_ns,dts_ns,duration_ns,bytes,keyframe,corrupted"
    )?;
    while let Some(item) = frames.next().await? {
        match item {
            Item::Frame(frame) if !frame.is_hidden => {
                write_times(&mut times, &frame)?;
                for chunk in &frame.unit.parts {
                    video.write_all(chunk)?;
                }
            }
            Item::Gap(loss) => eprintln!("{loss}"),
            Item::Warning(text) | Item::Retry(text) => eprintln!("{text}"),
            Item::Episode(_) => {
                return Err("the entry has MP4 files, which need no conversion".into());
            }
            Item::Frame(_)
            | Item::Range(_)
            | Item::Format(_)
            | Item::Segment(_)
            | Item::Pause(_) => {}
        }
    }
    video.flush()?;
    times.flush()?;
    Ok(())
}

fn write_times(times: &mut impl Write, frame: &Frame) -> std::io::Result<()> {
    writeln!(
        times,
        "{},{},{},{},{},{},{}",
        frame.capture_time.useconds(),
        frame.pts.nseconds(),
        frame.dts.nseconds(),
        frame
            .duration
            .map(|duration| duration.nseconds().to_string())
            .unwrap_or_default(),
        frame.length(),
        u8::from(frame.is_keyframe),
        u8::from(frame.is_corrupted),
    )
}
