// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors that end a stream.

/// An error that ends a stream. Its text names the fault, its value and a remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Records of a type that cannot be read.
    #[error("{0}")]
    WrongType(String),
    /// Records without a picture that could be decoded, or damage that is not tolerated.
    #[error("{0}")]
    Undecodable(String),
    /// Several access units in a record without a frame rate that would give their times.
    #[error("{0}")]
    NoFrameRate(String),
}
