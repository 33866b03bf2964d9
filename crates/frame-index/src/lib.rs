// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Index of the frames of an episode, as a Parquet file: a row of each frame that its MP4 file shows.
//!
//! The rows are those of the file, with the capture times that the cutting policy has for its samples. The crate does no
//! I/O of its own.

#![deny(missing_docs)]

mod captures;
mod error;
mod frames;
mod names;
mod table;

pub use captures::SampleCaptures;
pub use error::IndexError;
pub use frames::{FrameTable, IndexedFrame};
pub use names::{PARQUET_TYPE, file_name};
