// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! ReductStore with the extension `video`, which exports H.264 as MP4 episodes.

mod config;
mod options;

use std::process::ExitCode;

use reductstore::launcher::prepare_server;

use crate::config::EpisodeServerConfigParser;
use crate::options::Options;

fn main() -> ExitCode {
    match Options::read(std::env::args_os().skip(1)) {
        Ok(Options::Text(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Options::Serve) => serve(),
        Err(fault) => fail(&fault),
    }
}

#[tokio::main]
async fn serve() -> ExitCode {
    if let Err(fault) = config::check() {
        return fail(&fault);
    }
    match prepare_server(EpisodeServerConfigParser::default()).await {
        Ok(server) => {
            server.launch().await;
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(fault: &str) -> ExitCode {
    eprintln!("episode-server: {fault}");
    ExitCode::FAILURE
}
