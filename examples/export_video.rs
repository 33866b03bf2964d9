// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Exports an entry of ReductStore, or a range of it, as MP4 episodes that the server makes.
//!
//! ```text
//! cargo run --example export_video -- b h264 episodes --duration 2s
//! ```
//!
//! The server needs the extension `video`, see `docs/server.md`; GStreamer is not used. The server is
//! at `REDUCT_URL`, the token in `REDUCT_API_TOKEN`. Without `--duration` the range is one episode,
//! unless frames are missing in it.
//!
//! Each episode is a line on standard output as soon as its file is complete. An error is a line on
//! standard error, with exit status 1.
//!
//! `export_video.py` and `export_video.js` are the same in Python and JavaScript.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use clap::Parser;
use futures_util::StreamExt;
use reduct_rs::{Record, ReductClient, ReductError};
use serde_json::json;
use url::Url;

/// Limit of a request with its answer, which the server begins when the first episode is complete.
/// The default of 30 s is for short ones.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Exports an entry of ReductStore, or a range of it, as MP4 episodes.
#[derive(Parser)]
struct Args {
    /// Bucket to read
    bucket: String,
    /// Entry to read
    entry: String,
    /// Folder for the files, made if it is missing
    folder: PathBuf,
    /// Begin of the range: 2025-06-13T08:30:53Z or µs since the epoch
    #[arg(long, value_parser = time)]
    start: Option<u64>,
    /// End of the range, which is not part of it
    #[arg(long, value_parser = time)]
    stop: Option<u64>,
    /// Begin a new episode at the first keyframe after this time: 2s, 1m, 1h 30m
    #[arg(long)]
    duration: Option<String>,
}

/// Returns a time in µs since the epoch.
fn time(text: &str) -> Result<u64, Box<dyn Error + Send + Sync>> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let time = DateTime::parse_from_rfc3339(text)?;
    Ok(time.timestamp_micros().try_into()?)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(export(&args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            let text = match err.downcast_ref::<ReductError>() {
                Some(err) => err.message().to_owned(), // without its status
                None => err.to_string(),
            };
            eprintln!("export_video: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn export(args: &Args) -> Result<(), Box<dyn Error>> {
    let url = env::var("REDUCT_URL").unwrap_or_else(|_| "http://127.0.0.1:8383".into());
    Url::parse(&url).map_err(|err| format!("{url}: {err}"))?; // reduct-rs 1.21.0 would panic
    let limits = match &args.duration {
        Some(duration) => json!({ "duration": duration }),
        None => json!({}),
    };
    fs::create_dir_all(&args.folder)?;
    let client = ReductClient::builder()
        .url(&url)
        .api_token(&env::var("REDUCT_API_TOKEN").unwrap_or_default())
        .timeout(TIMEOUT)
        .try_build()?;
    let bucket = client.get_bucket(&args.bucket).await?;
    let mut query = bucket
        .query(&args.entry)
        .ttl(TIMEOUT)
        .when(json!({ "#ext": { "video": { "export": limits } } }));
    if let Some(start) = args.start {
        query = query.start_us(start);
    }
    if let Some(stop) = args.stop {
        query = query.stop_us(stop);
    }
    let mut episodes = pin!(query.send().await?);
    let mut index = 0;
    while let Some(episode) = episodes.next().await {
        let episode = episode?;
        let file = args.folder.join(format!("episode_{index:05}.mp4"));
        let line = line(index, &file, &episode)?;
        write(episode, &file).await?;
        writeln!(io::stdout(), "{line}")?;
        index += 1;
    }
    match index {
        0 => Err(format!(
            "'{}/{}' has no records in the range",
            args.bucket, args.entry
        )
        .into()),
        _ => Ok(()),
    }
}

/// Writes a file, which has the suffix `.part` until it is complete.
async fn write(episode: Record, file: &Path) -> Result<(), Box<dyn Error>> {
    let part = file.with_added_extension("part");
    let mut output = File::create(&part)?;
    let mut content = episode.stream_bytes();
    while let Some(bytes) = content.next().await {
        output.write_all(&bytes?)?;
    }
    fs::rename(part, file)?;
    Ok(())
}

/// Returns the line for a complete episode.
fn line(index: usize, file: &Path, episode: &Record) -> Result<String, Box<dyn Error>> {
    let label = |name: &str| {
        let value = episode.labels().get(name);
        value.ok_or_else(|| format!("the episode has no label '{name}'"))
    };
    let seconds = label("duration")?.parse::<f64>()? / 1e9;
    Ok(format!(
        "{index}: {file}, {start}, {seconds:.3} s, {frames} frames, {bytes} bytes, {reason}, {dropped} dropped",
        file = file.display(),
        start = utc(episode.timestamp_us())?,
        frames = label("frames")?,
        bytes = episode.content_length(),
        reason = label("reason")?,
        dropped = episode.labels().get("dropped").map_or("0", String::as_str),
    ))
}

/// Returns µs since the epoch as RFC 3339.
fn utc(time: u64) -> Result<String, Box<dyn Error>> {
    let utc = DateTime::from_timestamp_micros(time.try_into()?);
    let utc = utc.ok_or_else(|| format!("{time} µs since the epoch is no time"))?;
    Ok(utc.to_rfc3339_opts(SecondsFormat::Micros, true))
}
