// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Checks of answers, and their headers and bodies.

use reqwest::header::{CONTENT_ENCODING, HeaderMap, LOCATION};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use tracing::debug;

use crate::error::{Cause, Error};
use crate::server::without_secrets;

/// Path of ReductStore's API below the base path of a server.
const API: &str = "/api/v1/";

/// Reads a body. Stops at the limit, in bytes, also if the answer announces another length.
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

/// Returns an answer of ReductStore if it is not an error.
pub async fn accepted(response: Response) -> Result<Response, Error> {
    let status = response.status();
    let of_reductstore = response.headers().contains_key("x-reduct-api");
    if status.is_success() && of_reductstore {
        let encoding = header(response.headers(), CONTENT_ENCODING.as_str());
        if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
            let text = format!(
                "the answer has the content-encoding '{encoding}', which was not asked for. A proxy \
                 in front of ReductStore has to pass answers as they are"
            );
            return Err(Error::new(Cause::Malformed, text));
        }
        return Ok(response);
    }
    if status.is_redirection() {
        return Err(redirect(&response));
    }
    let text = response.headers().get("x-reduct-error");
    let text = text.map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned());
    let cause = match &text {
        None if status.is_success() || !of_reductstore && is_foreign(status) => {
            Cause::NotReductStore
        }
        _ => Cause::Status(status.as_u16()),
    };
    let is_of_server = text.is_some();
    let text = text.unwrap_or_else(|| status.to_string());
    debug!("refused, {}: {text}", status.as_u16());
    Err(Error {
        is_of_server,
        ..Error::new(cause, text)
    })
}

/// Reason why the server has no complete record to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no such record or entry.
    Missing,
    /// It is being written, or its upload was cut.
    Unfinished,
    /// Its upload was cut, which the server has noticed.
    Broken,
}

/// Returns the state of a record for which a request failed, or `None` for other errors.
pub fn unavailable(error: &Error) -> Option<Unavailable> {
    match error.cause {
        Cause::Status(404) => Some(Unavailable::Missing),
        Cause::Status(425) => Some(Unavailable::Unfinished),
        Cause::Status(500) if error.text.contains("broken") => Some(Unavailable::Broken),
        _ => None,
    }
}

/// Returns whether only a server without the methods of ReductStore's API answers so.
fn is_foreign(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED
            | StatusCode::HTTP_VERSION_NOT_SUPPORTED
    )
}

pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the error for a redirect. No redirect is followed, because the token is for the server that the user has
/// set.
fn redirect(response: &Response) -> Error {
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| response.url().join(location).ok());
    let status = response.status().as_u16();
    let Some(target) = target else {
        let text = format!("it answers with the redirect {status}, which is not followed");
        return Error::new(Cause::Settings, text);
    };
    let server = (target.as_str().split_once(API)).map_or("that server", |(base, _)| base);
    Error {
        redirect: Some(without_secrets(server)),
        ..Error::new(
            Cause::Settings,
            format!(
                "it redirects to {} ({status}), which is not followed",
                without_secrets(target.as_str())
            ),
        )
    }
}
