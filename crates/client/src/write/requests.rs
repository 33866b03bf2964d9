// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Requests that write, remove and look up records in batches.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use reduct_base::msg::entry_api::{QueryEntry, QueryType};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, RequestBuilder, Response};
use serde_json::Value as JsonValue;

use crate::error::{Cause, Error};
use crate::http::batch::TIME_HEADER;
use crate::http::pool::{BatchRequest, PooledClient};
use crate::http::progress::{Progress, within};
use crate::http::request_size::Excess;
use crate::write::record::{Content, NewRecord};

/// Limits of a batch: ReductStore accepts 15 headers besides those of records, of which it allows 85.
pub const MAX_RECORDS: usize = 80;
pub const MAX_BYTES: u64 = 4_000_000;

const ERROR_HEADER: &str = "x-reduct-error-";
/// Largest piece of a body, in bytes: each piece that is taken is progress.
const PIECE_BYTES: usize = 64 << 10;
/// Lifetime of a lookup query on the server.
const TTL_SECONDS: u64 = 10;

impl PooledClient<'_> {
    /// Writes records, in order. Returns the errors of those that were refused, by their times.
    ///
    /// After an error it is not known which of them are written.
    pub async fn write(&self, records: &[NewRecord]) -> Result<BTreeMap<u64, Error>, Error> {
        let mut headers = HeaderMap::with_capacity(records.len() + 1);
        let mut length = 0;
        for record in records {
            let value = HeaderValue::from_str(&record.header(self.pool().schema()));
            let value = value.map_err(|err| Error::new(Cause::Settings, err.to_string()))?;
            headers.insert(time_header(record.time)?, value);
            length += record.length();
        }
        headers.insert(CONTENT_LENGTH, length.into());
        let progress = Arc::new(Progress::default());
        let request = self.http.post(self.pool().url("batch")?);
        let request = request.headers(headers).body(body(records, &progress));
        let response = self.answer(request, &progress).await?;
        refused(response.headers())
    }

    /// Adds the times and lengths of records that are written and complete to those that are known, with `at_once`
    /// records per answer: each is a line in its head.
    ///
    /// After an error it can be called again to continue behind the last one that was found.
    pub async fn find_complete(
        &self,
        times: RangeInclusive<u64>,
        at_once: u64,
        complete: &mut BTreeMap<u64, u64>,
    ) -> Result<(), Error> {
        let known = complete.last_key_value();
        let start = known.map_or(*times.start(), |(last, _)| last.saturating_add(1));
        if start > *times.end() {
            return Ok(());
        }
        let mut when = JsonValue::Object(Default::default());
        when["#batch_records"] = at_once.into();
        // Selecting none is not possible.
        when["#select_labels"] = vec![self.pool().schema().frame_rate].into();
        let query = QueryEntry {
            query_type: QueryType::Query,
            start: Some(start),
            stop: Some(times.end().saturating_add(1)),
            ttl: Some(TTL_SECONDS),
            only_metadata: Some(true),
            when: Some(when),
            ..Default::default()
        };
        self.within_timeout(async {
            let mut query = self.query(&query).await?;
            let asking = || BatchRequest {
                method: Method::HEAD,
                is_little: false,
            };
            while let Some(batch) = query.ask(asking()).await?.batch {
                let records = batch.records.iter();
                complete.extend(records.map(|record| (record.time(), record.length())));
                if batch.is_last {
                    break;
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes records, complete or not. Missing ones are not an error.
    pub async fn remove(&self, times: &[u64]) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        for &time in times {
            headers.insert(time_header(time)?, HeaderValue::from_static("0,"));
        }
        headers.insert(CONTENT_LENGTH, 0.into());
        let request = self.http.delete(self.pool().url("batch")?);
        let request = request.headers(headers);
        let response = self.answer(request, &Progress::default()).await?;
        let mut refused = refused(response.headers())?.into_values();
        let error = refused.find(|error| error.cause != Cause::Status(404));
        error.map_or(Ok(()), Err)
    }

    /// Sends a request. Returns the answer, unless there is no progress for the time-out.
    async fn answer(
        &self,
        request: RequestBuilder,
        progress: &Progress,
    ) -> Result<Response, Error> {
        progress.answer(request, self.pool().timeout()).await
    }

    /// Runs a request without a body, up to the time-out.
    pub async fn within_timeout<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        within(self.pool().timeout(), request).await
    }
}

/// Returns the part of a request that was too large, if it was refused for that.
pub fn excess(error: &Error) -> Option<Excess> {
    match error.cause {
        Cause::Status(413) => Some(Excess::Body),
        // RFC 6585; nginx has 494 for itself, and answers 400, as others do.
        Cause::Status(400 | 431 | 494) => Some(Excess::Head),
        _ => None,
    }
}

/// Returns the contents of the records as a body, without a copy.
fn body(records: &[NewRecord], progress: &Arc<Progress>) -> Body {
    let parts = records.iter().flat_map(|record| match &record.content {
        Content::Memory(parts) => parts.as_slice(),
        Content::Spooled(_) => &[], // It is loaded by now.
    });
    let pieces: Vec<_> = parts.flat_map(pieces).collect();
    let progress = progress.clone();
    Body::wrap_stream(stream::iter(pieces.into_iter().map(move |piece| {
        progress.note();
        Ok::<_, Infallible>(piece)
    })))
}

fn pieces(part: &Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..part.len()).step_by(PIECE_BYTES);
    starts.map(|start| part.slice(start..part.len().min(start + PIECE_BYTES)))
}

fn time_header(time: u64) -> Result<HeaderName, Error> {
    let name = HeaderName::try_from(format!("{TIME_HEADER}{time}"));
    name.map_err(|err| Error::new(Cause::Settings, err.to_string()))
}

/// Returns the errors of records that were refused.
fn refused(headers: &HeaderMap) -> Result<BTreeMap<u64, Error>, Error> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(ERROR_HEADER)?, value)))
        .map(|(time, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            let (status, text) = value.split_once(',')?;
            let status = status.trim().parse().ok()?;
            let error = Error::new(Cause::Status(status), text.trim());
            Some((time.parse().ok()?, error))
        })
        .collect::<Option<_>>()
        .ok_or_else(Error::malformed_response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_were_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("content-length", 0.into());
        let value = HeaderValue::from_static("409,A record with timestamp 7 already exists");
        headers.insert("x-reduct-error-7", value);
        let found = refused(&headers).unwrap();
        let error = Error::new(
            Cause::Status(409),
            "A record with timestamp 7 already exists",
        );
        assert_eq!(found, BTreeMap::from([(7, error)]));
        for bad in ["", "409", "x,y", "70000,text"] {
            headers.insert("x-reduct-error-7", HeaderValue::from_static(bad));
            assert_eq!(refused(&headers).unwrap_err().cause, Cause::Malformed);
        }
    }

    #[test]
    fn bodies_are_sent_in_pieces() {
        let part = Bytes::from(vec![7; 2 * PIECE_BYTES + 1]);
        let lengths: Vec<_> = pieces(&part).map(|piece| piece.len()).collect();
        assert_eq!(lengths, [PIECE_BYTES, PIECE_BYTES, 1]);
        assert_eq!(pieces(&Bytes::new()).count(), 0);
        assert_eq!(pieces(&part).next().unwrap().as_ptr(), part.as_ptr());
    }
}
