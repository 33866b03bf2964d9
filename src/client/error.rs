// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Errors of ReductStore and of the way to it, by cause.

use reduct_rs::{ErrorCode, ReductError};

use super::Connection;

/// What was asked for, for error texts.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub connection: &'a Connection,
    pub bucket: &'a str,
    pub entry: &'a str,
}

/// The message to post for an error of the server or the connection.
pub fn message(error: &ReductError, target: Target) -> gst::ErrorMessage {
    let url = target.connection.url();
    let Target { bucket, entry, .. } = target;
    // The text of a negative status is reqwest's, with the URL of the request; else the server's.
    let text = error.message.as_str();
    let explanation = match error.status {
        ErrorCode::ConnectionError => {
            format!(
                "Could not connect to ReductStore at {url}. Is it running, and is the URL right?"
            )
        }
        ErrorCode::Unauthorized => format!(
            "ReductStore at {url} does not accept the API token: {text}. Set it by the environment \
             variable REDUCT_API_TOKEN or the property api-token"
        ),
        ErrorCode::Forbidden => {
            format!("ReductStore at {url} does not allow to read bucket '{bucket}': {text}")
        }
        // Without an error text it was no ReductStore that answered.
        ErrorCode::NotFound if text == "Unknown" => {
            format!("The server at {url} is no ReductStore, or its API has another base path")
        }
        ErrorCode::NotFound => format!("ReductStore at {url} has no '{bucket}/{entry}': {text}"),
        _ => format!("Could not read '{bucket}/{entry}' from ReductStore at {url}: {text}"),
    };
    gst::error_msg!(
        cause(error.status),
        ("{explanation}"),
        ["status {}: {text}", error.status as i16]
    )
}

fn cause(status: ErrorCode) -> gst::ResourceError {
    match status {
        ErrorCode::ConnectionError => gst::ResourceError::OpenRead,
        ErrorCode::Unauthorized | ErrorCode::Forbidden => gst::ResourceError::NotAuthorized,
        ErrorCode::NotFound => gst::ResourceError::NotFound,
        ErrorCode::BadRequest
        | ErrorCode::UnprocessableEntity
        | ErrorCode::UrlParseError
        | ErrorCode::InvalidRequest => gst::ResourceError::Settings,
        ErrorCode::TooManyRequests | ErrorCode::ServiceUnavailable => gst::ResourceError::Busy,
        _ => gst::ResourceError::Read,
    }
}

/// The message to post when nothing came within the time-out.
pub fn timeout(target: Target) -> gst::ErrorMessage {
    let Target { bucket, entry, .. } = target;
    gst::error_msg!(
        gst::ResourceError::Read,
        (
            "Nothing of '{bucket}/{entry}' came from ReductStore at {} for {} ms",
            target.connection.url(),
            target.connection.timeout().unwrap_or_default().as_millis()
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes() {
        let cases = [
            (ErrorCode::ConnectionError, gst::ResourceError::OpenRead),
            (ErrorCode::Unauthorized, gst::ResourceError::NotAuthorized),
            (ErrorCode::Forbidden, gst::ResourceError::NotAuthorized),
            (ErrorCode::NotFound, gst::ResourceError::NotFound),
            (ErrorCode::UnprocessableEntity, gst::ResourceError::Settings),
            (ErrorCode::TooManyRequests, gst::ResourceError::Busy),
            (ErrorCode::ServiceUnavailable, gst::ResourceError::Busy),
            (ErrorCode::InternalServerError, gst::ResourceError::Read),
            (ErrorCode::Timeout, gst::ResourceError::Read),
            (ErrorCode::Unknown, gst::ResourceError::Read),
        ];
        for (status, expected) in cases {
            assert_eq!(cause(status), expected, "{status:?}");
        }
    }
}
