// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors of an export, and how the server reports them to a client.

use std::error::Error;
use std::io;

use frame_index::IndexError;
use media::mp4::FileWriteError;
use media::stream::StreamError;
use reduct_base::error::{ErrorCode, ReductError};

use crate::guard::Panicked;
use crate::parameters::ParameterError;

/// An error that ends an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A parameter that is unknown, or whose value is not allowed.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A query or a record that cannot be exported.
    #[error("Extension 'video': {0}")]
    Refused(String),
    /// Records of which no frames can be made.
    #[error("Extension 'video': the records cannot be exported")]
    Stream(#[from] StreamError),
    /// A record that the storage cannot read.
    #[error("{0}")]
    Record(ReductError),
    /// Episodes cannot be written.
    #[error("Extension 'video': an episode cannot be written")]
    Write(#[from] FileWriteError),
    /// The index of an episode cannot be written.
    #[error("Extension 'video': the index of an episode cannot be written")]
    Index(#[from] IndexError),
    /// The client was away for longer than the lifetime of its query.
    #[error("Extension 'video': the query has expired. Give it a longer ttl")]
    Expired,
    /// An error of this program.
    #[error("Extension 'video': internal error")]
    Panic(#[from] Panicked),
}

impl ExportError {
    fn status(&self) -> ErrorCode {
        match self {
            Self::Parameter(_) | Self::Refused(_) | Self::Stream(_) => {
                ErrorCode::UnprocessableEntity
            }
            Self::Record(error) => error.status,
            Self::Write(error) => write_status(error),
            Self::Index(error) if error.io_error().is_some_and(is_full) => {
                ErrorCode::InsufficientStorage
            }
            Self::Index(_) => ErrorCode::InternalServerError,
            Self::Panic(_) => ErrorCode::InternalServerError,
            // As the server has it for its own queries.
            Self::Expired => ErrorCode::NotFound,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn write_status(error: &FileWriteError) -> ErrorCode {
    match error {
        FileWriteError::Output(error) if is_full(error) => ErrorCode::InsufficientStorage,
        // Records that no file can hold, such as those with a damaged SPS.
        FileWriteError::NoConfiguration
        | FileWriteError::Configuration(_)
        | FileWriteError::PictureSize(_)
        | FileWriteError::SampleSize
        | FileWriteError::SampleCount
        | FileWriteError::Distance(_) => ErrorCode::UnprocessableEntity,
        _ => ErrorCode::InternalServerError,
    }
}

impl From<ExportError> for ReductError {
    fn from(error: ExportError) -> Self {
        if let ExportError::Record(error) = error {
            return error;
        }
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        Self::new(error.status(), &printable(&text))
    }
}

/// Returns a text as printable ASCII, which alone can stand in a header. The server puts it into JSON without escaping
/// backslashes.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => printable.push('/'),
            ' '..='~' => printable.push(character),
            'µ' => printable.push('u'),
            _ if character.is_whitespace() => printable.push(' '),
            _ => printable.push('?'),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_printable_ascii() {
        assert_eq!(printable("1 µs, \"ü\\\n\" ~"), "1 us, \"?/ \" ~");
    }

    #[test]
    fn a_full_disk_has_a_status_of_its_own() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = ReductError::from(ExportError::from(FileWriteError::from(full)));
        assert_eq!(error.status, ErrorCode::InsufficientStorage);
        let expected =
            "Extension 'video': an episode cannot be written: the output failed: no storage space";
        assert_eq!(error.message, expected);
    }

    #[test]
    fn records_that_no_file_can_hold_are_not_the_fault_of_the_server() {
        let status = |error| ReductError::from(ExportError::Write(error)).status;
        let size = FileWriteError::PictureSize(Some((64, 262_144)));
        assert_eq!(status(size), ErrorCode::UnprocessableEntity);
        let failed = io::Error::from(io::ErrorKind::PermissionDenied);
        let output = FileWriteError::from(failed);
        assert_eq!(status(output), ErrorCode::InternalServerError);
        let described = FileWriteError::Description {
            samples: 2,
            described: 1,
        };
        assert_eq!(status(described), ErrorCode::InternalServerError);
    }

    #[test]
    fn errors_keep_their_status() {
        let refused = ReductError::from(ExportError::Refused("no".into()));
        assert_eq!(refused.status, ErrorCode::UnprocessableEntity);
        assert_eq!(refused.message, "Extension 'video': no");
        let gone = ReductError::new(ErrorCode::Gone, "gone");
        assert_eq!(ReductError::from(ExportError::Record(gone.clone())), gone);
    }
}
