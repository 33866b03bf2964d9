// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Video as bytes and times: access units and the facts that a container needs of them.
//!
//! Pure functions: nothing here does I/O, reads a clock, or names GStreamer or ReductStore.

#![deny(missing_docs)]

pub mod access_unit;
pub mod assemble;
pub mod codec;
pub mod content;
pub mod cut;
pub mod frame_rate;
pub mod frames;
pub mod mp4;
pub mod order;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod random_streams;
pub mod range;
pub mod record_times;
#[cfg(test)]
mod sequences;
pub mod stamp;
pub mod stream;
pub mod time;
pub mod timeline;
