// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Exceptions, and the errors of the core as exceptions.

use client::{AddressError, Cause, Failure, PushError, ServerError as AddressOfServer, UriError};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use recording::Error;

create_exception!(
    reduct_frames,
    ReductFramesError,
    PyException,
    "Base of all errors of this package that are not errors of the caller."
);
create_exception!(
    reduct_frames,
    ServerError,
    ReductFramesError,
    "The server cannot be reached, its answers are not those of ReductStore, or an entry cannot take records."
);
create_exception!(
    reduct_frames,
    AccessError,
    ReductFramesError,
    "The server refuses the API token."
);
create_exception!(
    reduct_frames,
    NotFoundError,
    ReductFramesError,
    "There is no such bucket or entry."
);
create_exception!(
    reduct_frames,
    StreamError,
    ReductFramesError,
    "The records are not video that can be read."
);
create_exception!(
    reduct_frames,
    CancelledError,
    ReductFramesError,
    "Another thread has ended the wait."
);

/// Returns the exception for an error of a request.
pub fn failure(failure: &Failure) -> PyErr {
    let text = failure.text.clone();
    match failure.error.cause {
        Cause::Settings => PyValueError::new_err(text),
        Cause::Status(401 | 403) => AccessError::new_err(text),
        Cause::Status(404) => NotFoundError::new_err(text),
        _ => ServerError::new_err(text),
    }
}

/// Returns the exception for an error of reading.
pub fn reading(error: &Error) -> PyErr {
    match error {
        Error::Client(error) => failure(error),
        Error::Address(error) => address(error),
        Error::NoLength(text) => PyValueError::new_err(text.clone()),
        Error::WrongType(text) | Error::Undecodable(text) | Error::NoFrameRate(text) => {
            StreamError::new_err(text.clone())
        }
        Error::Cancelled => CancelledError::new_err(error.to_string()),
    }
}

/// Returns the exception for an error of recording.
pub fn recording(error: &PushError) -> PyErr {
    match error {
        PushError::Failed(error) => failure(error),
        other => ReductFramesError::new_err(other.to_string()),
    }
}

/// Returns the exception for names that are no address of an entry.
pub fn address(error: &AddressError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Returns the exception for a URL that is not that of a server.
pub fn server(error: &AddressOfServer) -> PyErr {
    PyValueError::new_err(format!("The URL of the server is wrong: {error}"))
}

/// Returns the exception for a text that is no URI of an entry.
pub fn uri(error: &UriError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
