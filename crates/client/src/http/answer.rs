// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Answers that are not records: JSON of a limited size, and redirects.

use reqwest::Response;
use reqwest::header::LOCATION;
use serde::de::DeserializeOwned;

use crate::error::{Cause, Error};
use crate::server::without_secrets;

/// Path of ReductStore's API below the base path of a server.
const API: &str = "/api/v1/";

/// Reads a body. Stops at the limit, in bytes, whatever the answer says of its length.
///
/// # Errors
///
/// [`Cause::Malformed`] for a longer body.
pub async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
    let too_long = || {
        let text = format!("an answer has more than the {limit} bytes that are expected at most");
        Error::new(Cause::Malformed, text)
    };
    if response
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > limit - bytes.len() {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads JSON of a limited size in bytes.
///
/// # Errors
///
/// As [`body`]; [`Cause::Broken`] if the JSON is truncated, [`Cause::Malformed`] if it is invalid.
pub async fn json<T: DeserializeOwned>(response: Response, limit: usize) -> Result<T, Error> {
    let bytes = body(response, limit).await?;
    serde_json::from_slice(&bytes).map_err(|err| {
        let cause = match err.is_eof() {
            true => Cause::Broken,
            false => Cause::Malformed,
        };
        Error::new(cause, format!("an answer is not the expected JSON: {err}"))
    })
}

/// Returns the error for an answer that is a redirect. None is followed: the token is for the server
/// that the user names.
pub fn redirect(response: &Response) -> Error {
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| response.url().join(location).ok());
    let status = response.status().as_u16();
    let text = match target {
        None => format!("it answers with the redirect {status}, which is not followed"),
        Some(target) => {
            let shown = without_secrets(target.as_str());
            let server = (target.as_str().split_once(API)).map_or("that server", |(base, _)| base);
            format!(
                "it redirects to {shown} ({status}), which is not followed. If that is meant, set \
                 the server in the property location, or the property url to {}",
                without_secrets(server)
            )
        }
    };
    Error::new(Cause::Settings, text)
}
