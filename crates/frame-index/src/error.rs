// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors of an index.

use std::error::Error;
use std::io;

use media::mp4::FileReadError;
use parquet::errors::ParquetError;

/// An index that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The file of the episode cannot be read.
    #[error("the file of the episode: {0}")]
    Episode(#[from] FileReadError),
    /// The file of the episode has other samples than the episode.
    #[error("the file of the episode has {samples} samples, and the episode {expected}")]
    Samples {
        /// Number of samples in the file.
        samples: usize,
        /// Number of samples of the episode.
        expected: usize,
    },
    /// A value of the file does not fit its column.
    #[error("a place or a time of the file has more than 63 bits")]
    Range,
    /// The output failed.
    #[error("the output failed: {0}")]
    Output(#[source] io::Error),
    /// The table cannot be written as Parquet.
    #[error("the table cannot be written: {0}")]
    Parquet(#[source] ParquetError),
}

impl From<ParquetError> for IndexError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(error) => Self::Output(*error),
                Err(inner) => Self::Parquet(ParquetError::External(inner)),
            },
            other => Self::Parquet(other),
        }
    }
}

impl IndexError {
    /// Returns the error of the output, if that is the reason.
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Output(error) => Some(error),
            other => other.source()?.downcast_ref(),
        }
    }
}
