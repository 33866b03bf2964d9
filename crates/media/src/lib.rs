// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Video as bytes and times: access units and what a container has to know of them.
//!
//! Pure functions: nothing here does I/O, reads a clock, or names GStreamer or ReductStore.

pub mod codec;
pub mod mp4;
pub mod record_times;
