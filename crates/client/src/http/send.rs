// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The function that sends all requests, and logs each with its result.
//!
//! Neither headers nor bodies are logged: a header has the API token.

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_LENGTH;
use reqwest::{RequestBuilder, Response, Url};
use tracing::debug;

use crate::http::answer::header;

/// Sends a request.
///
/// # Errors
///
/// Those of the HTTP client, if there is no answer.
pub async fn send(request: RequestBuilder) -> reqwest::Result<Response> {
    let (client, request) = request.build_split();
    let request = request?;
    let (method, url) = (request.method().clone(), request.url().clone());
    let sent = length(header(request.headers(), CONTENT_LENGTH.as_str()));
    let begin = Instant::now();
    let result = client.execute(request).await;
    let took = milliseconds(begin.elapsed());
    match &result {
        Ok(response) => debug!(
            "{method} {} -> {} in {took:.1} ms, {sent} bytes sent, {} bytes to come",
            path(&url),
            response.status().as_u16(),
            length(header(response.headers(), CONTENT_LENGTH.as_str())),
        ),
        Err(error) => debug!(
            "{method} {} failed after {took:.1} ms, {sent} bytes to send: {error}",
            path(&url)
        ),
    }
    result
}

/// Returns the path of a URL with its query. Neither holds a secret: a server's URL with one is refused.
fn path(url: &Url) -> &str {
    &url[url::Position::BeforePath..]
}

/// Returns a length in bytes from a header; one that is missing, as in an answer in chunks, counts as zero.
fn length(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
