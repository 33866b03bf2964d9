// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Runs ffmpeg and ffprobe.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

/// Result of running a tool.
pub struct Output {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error: with `-v error`, only complaints.
    pub stderr: String,
    /// The exit code was 0.
    pub success: bool,
}

/// Runs `program` with `stdin` as its input, and waits for it.
pub fn run(program: &str, args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program} does not start ({e}): tests/run.sh installs it"));
    let mut input = child.stdin.take().expect("stdin is piped");
    // The input is written beside the reading: with both ends' pipes full, neither would go on.
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // A tool that has seen enough closes its end; its exit code says whether that was well.
            let _ = input.write_all(stdin);
        });
        child
            .wait_with_output()
            .expect("the tool can be waited for")
    });
    Output {
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        success: output.status.success(),
    }
}

/// As [`run`], and panics if the tool failed or complained.
pub fn run_clean(program: &str, args: &[&str], stdin: &[u8]) -> Vec<u8> {
    let output = run(program, args, stdin);
    assert!(
        output.success && output.stderr.is_empty(),
        "{program} {}: {}",
        args.join(" "),
        output.stderr
    );
    output.stdout
}
