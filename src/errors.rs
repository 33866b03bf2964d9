// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors of the client as GStreamer posts them.

use client::{Cause, Failure, Purpose};

/// Returns the message to post.
pub fn error_message(failure: &Failure) -> gst::ErrorMessage {
    let Failure { text, .. } = failure;
    gst::error_msg!(
        resource_error(failure),
        ("{text}"),
        ["{}", details(failure)]
    )
}

/// Returns the message to post for an error that ended reading.
pub fn reading_message(error: &recording::Error) -> gst::ErrorMessage {
    use recording::Error;

    match error {
        Error::Client(failure) => error_message(failure),
        Error::WrongType(text) => gst::error_msg!(gst::StreamError::WrongType, ("{text}")),
        Error::Undecodable(text) => gst::error_msg!(gst::StreamError::Decode, ("{text}")),
        Error::Cancelled => gst::error_msg!(gst::ResourceError::Read, ("{error}")),
        Error::Address(error) => gst::error_msg!(gst::ResourceError::Settings, ("{error}")),
        Error::NoFrameRate(text) | Error::NoLength(text) => {
            gst::error_msg!(gst::ResourceError::Settings, ("{text}"))
        }
    }
}

/// Returns the kind of error that it is to GStreamer.
pub fn resource_error(failure: &Failure) -> gst::ResourceError {
    let (open, go_on) = match failure.purpose {
        Purpose::Read => (gst::ResourceError::OpenRead, gst::ResourceError::Read),
        Purpose::Write => (gst::ResourceError::OpenWrite, gst::ResourceError::Write),
    };
    match failure.error.cause {
        Cause::Connect | Cause::Tls => open,
        Cause::NotReductStore | Cause::Status(404) => gst::ResourceError::NotFound,
        // The server says so of a bucket or an entry that it is removing.
        Cause::Status(409) if failure.purpose == Purpose::Read => gst::ResourceError::NotFound,
        Cause::Status(401 | 403 | 407) => gst::ResourceError::NotAuthorized,
        Cause::Settings | Cause::Status(400 | 422) => gst::ResourceError::Settings,
        Cause::Status(507) => gst::ResourceError::NoSpaceLeft,
        Cause::Status(429 | 503) => gst::ResourceError::Busy,
        Cause::Unreadable => gst::ResourceError::Read,
        Cause::Timeout
        | Cause::Slow
        | Cause::Broken
        | Cause::Malformed
        | Cause::NothingNew
        | Cause::TooLarge
        | Cause::QueryLost
        | Cause::OutOfOrder
        | Cause::Status(_) => go_on,
    }
}

/// Returns the cause and its text, for developers.
pub fn details(failure: &Failure) -> String {
    format!("{:?}: {}", failure.error.cause, failure.error.text)
}

#[cfg(test)]
mod tests {
    use client::Error;

    use super::*;

    fn posted(cause: Cause, purpose: Purpose) -> gst::ResourceError {
        resource_error(&Failure {
            error: Error::new(cause, "text"),
            purpose,
            text: String::new(),
        })
    }

    #[test]
    fn causes() {
        use gst::ResourceError as Posted;

        for (cause, expected) in [
            (Cause::Connect, Posted::OpenRead),
            (Cause::Tls, Posted::OpenRead),
            (Cause::Timeout, Posted::Read),
            (Cause::Slow, Posted::Read),
            (Cause::Broken, Posted::Read),
            (Cause::NothingNew, Posted::Read),
            (Cause::TooLarge, Posted::Read),
            (Cause::Malformed, Posted::Read),
            (Cause::QueryLost, Posted::Read),
            (Cause::NotReductStore, Posted::NotFound),
            (Cause::Unreadable, Posted::Read),
            (Cause::Settings, Posted::Settings),
            (Cause::Status(401), Posted::NotAuthorized),
            (Cause::Status(403), Posted::NotAuthorized),
            (Cause::Status(404), Posted::NotFound),
            (Cause::Status(408), Posted::Read),
            (Cause::Status(422), Posted::Settings),
            (Cause::Status(425), Posted::Read),
            (Cause::Status(429), Posted::Busy),
            (Cause::Status(500), Posted::Read),
            (Cause::Status(503), Posted::Busy),
            (Cause::Status(507), Posted::NoSpaceLeft),
            (Cause::OutOfOrder, Posted::Read),
        ] {
            assert_eq!(posted(cause, Purpose::Read), expected, "{cause:?}");
            let written = match expected {
                Posted::OpenRead => Posted::OpenWrite,
                Posted::Read if cause != Cause::Unreadable => Posted::Write,
                other => other,
            };
            assert_eq!(posted(cause, Purpose::Write), written, "{cause:?}");
        }
    }

    #[test]
    fn what_is_being_removed_is_not_there_for_readers() {
        let conflict = Cause::Status(409);
        let read = posted(conflict, Purpose::Read);
        assert_eq!(read, gst::ResourceError::NotFound);
        let write = posted(conflict, Purpose::Write);
        assert_eq!(write, gst::ResourceError::Write);
    }
}
