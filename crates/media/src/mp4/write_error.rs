// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors of the writers of files.

use std::error::Error;
use std::io;

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileWriteError {
    /// The output of the caller failed.
    #[error("the output failed")]
    Output(#[from] io::Error),
    /// There are no parameter sets, so that no decoder could be set up.
    #[error("the file has no parameter sets")]
    NoConfiguration,
    /// The configuration record of the decoder cannot be read.
    #[error("the configuration record of the decoder is not valid")]
    Configuration(#[source] Box<dyn Error + Send + Sync>),
    /// The size of the pictures is unknown, or no sample entry can state it.
    #[error("no file can state the size of the pictures, {}", shown(*.0))]
    PictureSize(Option<(u32, u32)>),
    /// A sample is longer than its size can state.
    #[error("a sample is longer than 4 GiB")]
    SampleSize,
    /// There are more samples than a file can count.
    #[error("the file has too many samples")]
    SampleCount,
    /// The distance of two samples, or of their decoding and presentation, does not fit 32 bits.
    #[error("samples are too far apart for a time scale of {0} ticks per second")]
    Distance(u32),
    /// The description has times of another number of samples.
    #[error("the file has {samples} samples, and its description {described}")]
    Description {
        /// Samples in the file.
        samples: u64,
        /// Samples in its description.
        described: u64,
    },
    /// A box cannot be written.
    #[error("a box cannot be written")]
    Box(#[source] Box<dyn Error + Send + Sync>),
}

/// Returns a size for an error.
fn shown(size: Option<(u32, u32)>) -> String {
    size.map_or_else(
        || "which is unknown".to_owned(),
        |(width, height)| format!("{width}x{height}"),
    )
}

impl From<mp4_atom::Error> for FileWriteError {
    fn from(error: mp4_atom::Error) -> Self {
        Self::Box(error.into())
    }
}
