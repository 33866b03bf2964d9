// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Cuts an entry into episodes: an MP4 file of each, and a row of each frame as CSV.
//!
//! `episodes URL BUCKET ENTRY FOLDER SECONDS [at-most]`. An episode ends at the first keyframe that is so many seconds
//! after its begin, or, with `at-most`, at the last one before. These are the cuts of the element `reductepisodesplit`.

mod common;

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use client::Server;
use media::cut::policy::{Config, Episode};
use media::cut::{
    EpisodeBegin, EpisodeFile, EpisodeOutputs, FileLayout, FileSettings, FrameRow, Mp4Episodes,
    PictureFormat, SplitMode,
};
use media::mp4::DiskFile;
use media::time::Nanos;
use recording::{Export, Item, Recording};
use tokio::runtime::Runtime;

/// Files of episodes in a folder.
struct Files(PathBuf);

impl EpisodeOutputs for Files {
    type Output = DiskFile<BufWriter<File>>;

    fn open(&mut self, begin: &EpisodeBegin<PictureFormat>) -> io::Result<Self::Output> {
        let name = format!("episode_{:05}.mp4", begin.index);
        DiskFile::new(BufWriter::new(File::create(self.0.join(name))?))
    }

    fn close(&mut self, file: EpisodeFile<Self::Output>) -> io::Result<()> {
        file.output.complete(&file.parts)?;
        let Episode { index, frames, .. } = file.episode;
        let (duration, reason) = (file.episode.duration, file.episode.reason.name());
        println!("episode {index}: {frames} frames, {duration:.3}, {reason}");
        Ok(())
    }
}

fn main() -> ExitCode {
    common::exit_code(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, bucket, entry, folder, seconds, mode @ ..] = arguments.as_slice() else {
        return Err("usage: episodes URL BUCKET ENTRY FOLDER SECONDS [at-most]".into());
    };
    let server = common::server(url)?;
    let config = Config {
        mode: match mode {
            [] => SplitMode::NextKeyframe,
            [mode] if mode == "at-most" => SplitMode::AtMost,
            _ => return Err(format!("unknown: {mode:?}").into()),
        },
        duration: Some(Nanos::from_seconds(seconds.parse()?)),
        gap_detection: true,
        ..Config::default()
    };
    let runtime = Runtime::new()?;
    runtime.block_on(cut(&server, bucket, entry, Path::new(folder), config))
}

async fn cut(
    server: &Server,
    bucket: &str,
    entry: &str,
    folder: &Path,
    config: Config,
) -> Result<(), Box<dyn Error>> {
    let mut rows = BufWriter::new(File::create(folder.join("frames.csv"))?);
    writeln!(
        rows,
        "episode,number,capture_us,pts_ns,duration_ns,bytes,keyframe,hidden,corrupted"
    )?;
    let writer = Mp4Episodes::new(FileLayout::default(), Files(folder.into()));
    let mut export = Export::new(config, FileSettings::default(), writer).with_rows();
    let recording = Recording::open(server, bucket, entry).await?;
    let mut frames = recording.read(..).frames();
    while let Some(item) = frames.next().await? {
        match export.push(item)? {
            Some(Item::Gap(loss)) => eprintln!("{loss}"),
            Some(Item::Warning(text) | Item::Retry(text)) => eprintln!("{text}"),
            Some(Item::Episode(_)) => return Err("the entry has episodes already".into()),
            _ => {}
        }
        write_rows(&mut rows, export.take_rows())?;
    }
    export.finish()?;
    write_rows(&mut rows, export.take_rows())?;
    Ok(rows.flush()?)
}

fn write_rows(file: &mut impl Write, rows: impl Iterator<Item = FrameRow>) -> io::Result<()> {
    for row in rows {
        writeln!(
            file,
            "{},{},{},{},{},{},{},{},{}",
            row.episode,
            row.number,
            row.capture.unwrap_or_default().useconds(),
            row.pts.nseconds(),
            row.duration.nseconds(),
            row.bytes,
            u8::from(row.is_keyframe),
            u8::from(row.is_hidden),
            u8::from(row.is_corrupted),
        )?;
    }
    Ok(())
}
