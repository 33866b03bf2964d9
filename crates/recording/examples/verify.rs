// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Verifies a range of an entry, and prints its faults: gaps, lost pictures, damaged records, wrong
//! labels, and times that jump.
//!
//! `verify URL BUCKET ENTRY [START [STOP]]`, times as RFC 3339 or in µs since the Unix epoch. The environment variable
//! `REDUCT_API_TOKEN` has the API token, if the server wants one. The exit status is 1 if anything is found.

#[path = "common/bound.rs"]
mod bound;
mod common;

use std::env;
use std::error::Error;
use std::ops::Bound;
use std::process::ExitCode;

use client::Server;
use media::time::CaptureTime;
use recording::{Recording, Verification};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    common::exit_code(run())
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, bucket, entry, bounds @ ..] = arguments.as_slice() else {
        return Err("usage: verify URL BUCKET ENTRY [START [STOP]]".into());
    };
    let server = common::server(url)?;
    let start = bound::parse(bounds.first(), Bound::Included)?;
    let stop = bound::parse(bounds.get(1), Bound::Excluded)?;
    let runtime = Runtime::new()?;
    let verification = runtime.block_on(verify(&server, bucket, entry, (start, stop)))?;
    print(&verification);
    Ok(match verification.is_intact() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn verify(
    server: &Server,
    bucket: &str,
    entry: &str,
    range: (Bound<CaptureTime>, Bound<CaptureTime>),
) -> Result<Verification, recording::Error> {
    let recording = Recording::open(server, bucket, entry).await?;
    let mut records = 0;
    recording
        .verify(range, |progress| {
            if progress.records >= records + 1000 {
                records = progress.records;
                eprintln!("{records} records up to {}", progress.reached);
            }
        })
        .await
}

fn print(verification: &Verification) {
    for finding in &verification.findings {
        println!("{finding}");
    }
    if let Some(reason) = &verification.unusable {
        println!("{reason}");
    }
    let counts = &verification.counts;
    println!(
        "{} records, {} frames, {} episodes: {} gaps, {} losses, {} damaged records, {} beginnings without a keyframe, {} wrong labels, {} jumps of the times",
        verification.records,
        verification.frames,
        verification.episodes,
        counts.gaps,
        counts.losses,
        counts.damaged,
        counts.undecodable,
        counts.keyframe_labels + counts.frame_rates,
        counts.clock_jumps,
    );
}
