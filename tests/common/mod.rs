// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Helpers of the integration tests: a real server, test streams, recordings of them, running
//! pipelines, and checks of the MP4 files that come out.
//!
//! GStreamer and the helpers here block: call neither from inside a tokio runtime.

// Each test binary compiles this module for itself and uses only a part of it.
#![allow(dead_code, unused_imports)]

pub mod child;
pub mod extension;
pub mod frame_index;
pub mod line;
pub mod long;
pub mod mp4;
pub mod pcm;
pub mod pipeline;
pub mod proxy;
pub mod recorder;
pub mod recording;
pub mod sdk;
pub mod server;
pub mod stream;
mod tool;
pub mod track;
mod wait;

use std::path::PathBuf;
use std::sync::{LazyLock, Once};

use gst::glib;
use server::Server;
pub use wait::await_that;

/// The server that all tests of this binary share; each test takes a bucket of its own from
/// [`Server::new_bucket`]. It ends with the process.
pub static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// Sets GStreamer up with the plugin under test, once a process.
pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().expect("GStreamer starts");
        gstreduct::plugin_register_static().expect("the plugin registers");
        // A critical warning of GLib is a programming error in the caller.
        glib::log_set_always_fatal(glib::LogLevels::LEVEL_CRITICAL | glib::LogLevels::LEVEL_ERROR);
    });
}

/// The plugin's file as cargo builds it for the tests, for programs that load it. It lies among many
/// that are no plugins.
pub fn plugin_file() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    test.with_file_name("libgstreduct.so")
}
