// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The measuring program of benches/run.sh: writes entries, reads them in several ways, and compares.
//! Commands that read print one line of JSON.

mod cameras;
mod delay;
mod fill;
mod follow;
mod http;
mod idle;
mod measurement;
mod neighbour;
mod percentiles;
mod pipeline;
mod render;
mod row;
mod rust_client;
mod samples;
mod seek;
mod sorted;
mod sources;
mod stream;
mod target;

use anyhow::Result;
use clap::Parser;
use target::Target;

#[derive(Parser)]
#[command(about = "Measures the elements and what they are compared with")]
enum Command {
    /// Write an entry of H.264 noise, 30 frames a second
    Fill(fill::Fill),
    /// Write the same with reduct-rs, and measure it
    ReductRsWriter(fill::Fill),
    /// Read an entry with reduct-rs and its defaults
    ReductRs(Target),
    /// Read an entry over bare HTTP, and look at nothing but the number of bytes
    Http(http::Http),
    /// Run a pipeline with a reductsrc to its end
    Pipeline {
        /// As for gst-launch-1.0
        description: String,
    },
    /// Keep what a source pushes, then run the elements behind it alone
    Replay {
        /// As for gst-launch-1.0
        source: String,
        /// As for gst-launch-1.0
        rest: String,
    },
    /// Seek with a reductsrc, and wait for the first buffer of each seek
    Seek(seek::Seek),
    /// Follow what cameras write, and compare when frames are written and when they come
    Follow(follow::Follow),
    /// Record live cameras with a reductsink each, and measure for how long each frame is in it
    Render(render::Render),
    /// Count the requests of a reductsrc that follows an entry to which nothing comes
    Idle(idle::Idle),
    /// Ask for a few records, alone or beside cameras and the sources that follow them
    Neighbour(neighbour::Neighbour),
    /// Print how many connections a reductsrc has
    Connections,
    /// Pass TCP connections on with a delay
    Delay(delay::Delay),
    /// Print a row of the table of medians
    Row(row::Row),
    /// Print a row of the table of percentiles
    Percentiles(percentiles::Percentiles),
}

// This runs on the main thread, which is none of the runtime's workers: a pipeline may block here.
#[tokio::main]
async fn main() -> Result<()> {
    match Command::parse() {
        Command::Fill(fill) => fill.run().await.map(drop),
        Command::ReductRsWriter(fill) => fill.run().await?.print(),
        Command::ReductRs(target) => rust_client::read(&target).await?.print(),
        Command::Http(http) => http.read().await?.print(),
        Command::Pipeline { description } => pipeline::run(&description)?.print(),
        Command::Replay { source, rest } => pipeline::replay(&source, &rest)?.print(),
        Command::Seek(seek) => seek.run()?.print(),
        Command::Follow(follow) => follow.run().await?.print(),
        Command::Render(render) => render.run()?.print(),
        Command::Idle(idle) => idle.run().await?.print(),
        Command::Neighbour(neighbour) => neighbour.run().await?.print(),
        Command::Connections => pipeline::print_connections(),
        Command::Delay(delay) => delay.run().await,
        Command::Row(row) => row.print(),
        Command::Percentiles(percentiles) => percentiles.print(),
    }
}
