// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Begin and end of an example: the server, and the exit status with the error and its causes on standard error.

use std::env;
use std::error::Error;
use std::process::{ExitCode, Termination};

use client::{Server, ServerOptions, Token};
use recording::SCHEMA;

/// Returns the server at `url`, with the token of the environment.
///
/// # Errors
///
/// Those of [`Server::new`].
pub fn server(url: &str) -> Result<Server, Box<dyn Error>> {
    Ok(Server::new(ServerOptions {
        url: url.into(),
        token: Token::new(env::var("REDUCT_API_TOKEN").ok()),
        ..ServerOptions::new(SCHEMA)
    })?)
}

/// Returns the exit status of a program: its own, or 1 after an error.
pub fn exit_code<T: Termination>(result: Result<T, Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(done) => done.report(),
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}
