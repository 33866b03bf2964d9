// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors that end reading.

use client::{AddressError, Failure};
use media::stream::StreamError;

/// An error that ends reading. Its text names the fault, its value and a remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The server, or the way to it.
    #[error(transparent)]
    Client(#[from] Failure),
    /// Names that are not the address of an entry.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A range that ends before it begins, or with its first time.
    #[error("{0}")]
    NoLength(String),
    /// Records of a type that cannot be read.
    #[error("{0}")]
    WrongType(String),
    /// Records without a picture that could be decoded, or damage that is not tolerated.
    #[error("{0}")]
    Undecodable(String),
    /// Several access units in a record without a frame rate that would give their times.
    #[error("{0}")]
    NoFrameRate(String),
    /// A wait that another thread has cancelled. Reading may be continued.
    #[error("the wait was cancelled")]
    Cancelled,
}

impl From<StreamError> for Error {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::WrongType(text) => Self::WrongType(text),
            StreamError::Undecodable(text) => Self::Undecodable(text),
            StreamError::NoFrameRate(text) => Self::NoFrameRate(text),
        }
    }
}
