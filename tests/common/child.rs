// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Tests in a process of their own: what GStreamer and the plugin take from the environment, they
//! take once.

use std::env;
use std::process::Command;

/// Marks the process that [`again`] starts.
const MARK: &str = "GST_PLUGIN_REDUCT_TEST_CHILD";

/// Runs the calling test once more, in a process with these variables, and returns the output of that
/// process. Returns `None` within it, so that the test itself runs there.
pub fn again(test: &str, variables: &[(&str, &str)]) -> Option<String> {
    if env::var_os(MARK).is_some() {
        return None;
    }
    let output = Command::new(env::current_exe().expect("a test binary"))
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "")
        .env_remove("REDUCT_URL")
        .env_remove("REDUCT_API_TOKEN")
        .envs(variables.iter().copied())
        .output()
        .expect("the test starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{test} in a process of its own: {text}"
    );
    Some(text)
}
