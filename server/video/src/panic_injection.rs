// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Panics where a test asks for one, to show what becomes of the server. Only builds with the feature `panic-injection`
//! have them.

/// A place that can panic.
#[cfg(not(feature = "panic-injection"))]
pub const fn place(_name: &str) {}

/// Panics if the file that `EPISODE_SERVER_PANIC_FILE` names has the name of the place. The file is removed before, so
/// that a request counts once.
#[cfg(feature = "panic-injection")]
pub fn place(name: &str) {
    let Some(path) = std::env::var_os("EPISODE_SERVER_PANIC_FILE") else {
        return;
    };
    let is_requested = std::fs::read_to_string(&path).is_ok_and(|request| request == name);
    if is_requested && std::fs::remove_file(&path).is_ok() {
        panic!("requested in '{name}'");
    }
}
