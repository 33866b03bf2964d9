// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What benches/run.sh measures with: writes entries, reads them in several ways, and compares.
//! What reads prints one line of JSON.

mod delay;
mod fill;
mod http;
mod measurement;
mod pipeline;
mod row;
mod rust_client;
mod stream;

use anyhow::Result;
use clap::{Args, Parser};

/// What to read or write.
#[derive(Args)]
struct Target {
    /// Server
    #[arg(long, env = "REDUCT_URL")]
    url: String,
    /// Bucket
    #[arg(long)]
    bucket: String,
    /// Entry
    #[arg(long)]
    entry: String,
}

#[derive(Parser)]
#[command(about = "Measures reductsrc and what it is compared with")]
enum Command {
    /// Write an entry of H.264 noise, 30 frames a second
    Fill(fill::Fill),
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
    /// Print how many connections a reductsrc has
    Connections,
    /// Pass TCP connections on with a delay
    Delay(delay::Delay),
    /// Print a row of the table from measurements
    Row(row::Row),
}

#[tokio::main]
async fn main() -> Result<()> {
    match Command::parse() {
        Command::Fill(fill) => fill.run().await,
        Command::ReductRs(target) => rust_client::read(&target).await?.print(),
        Command::Http(http) => http.read().await?.print(),
        Command::Pipeline { description } => pipeline::run(&description)?.print(),
        Command::Replay { source, rest } => pipeline::replay(&source, &rest)?.print(),
        Command::Connections => pipeline::print_connections(),
        Command::Delay(delay) => delay.run().await,
        Command::Row(row) => row.print(),
    }
}
