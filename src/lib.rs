// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! GStreamer elements for H.264 in [ReductStore](https://www.reduct.store), a time-series store
//! for blobs: into it (`reductsink`), out of it (`reductsrc`), and as MP4 episodes into files or back
//! into it
//! (`reductepisodesplit`).
#![allow(unused_doc_comments)] // The SECTION blocks are for GStreamer's documentation tool.

/**
 * plugin-reduct:
 *
 * H.264 into and out of ReductStore, and episodes back into it.
 *
 * Since: plugins-reduct-0.1
 */
mod capture_time;
mod client;
mod connection;
mod frame_rate;
// Public for the benchmarks only.
#[doc(hidden)]
pub mod h264;
mod parameters;
mod pause_event;
mod reductepisodesplit;
mod reductsink;
mod reductsrc;
mod uri;
#[doc(hidden)]
pub use reductsrc::stamping;

use gst::glib;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    reductsrc::register(plugin)?;
    reductsink::register(plugin)?;
    reductepisodesplit::register(plugin)
}

gst::plugin_define!(
    reduct,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
    "MPL-2.0",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_REPOSITORY"),
    env!("BUILD_REL_DATE")
);
