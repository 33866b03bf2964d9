// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Periodic refusals, as of a load balancer with a dead server behind it.
//!
//! Each second, third or fourth request is refused.
//!
//! Most requests can be sent again. One for the records of a query cannot, because the server may have counted them
//! as sent. So another query is made, and before the request for its records one or two other requests, which meet
//! the next refusal.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tokio::time::sleep;

use crate::error::Error;
use crate::http::answer::accepted;
use crate::http::progress::within;
use crate::http::send::send;
use crate::server::Server;

/// Pauses before a request is sent again. The first one is zero, because the next request is likely to pass.
const RETRY_PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
];
/// Requests in front of one for records, at most. Their number varies with the refusals, as every second one or
/// every third one may be refused.
pub const MAX_BEFORE: u32 = 2;
/// Number of short answers that have to pass before refusals no longer count as periodic.
const FORGET_AFTER: u32 = 16;

/// Recent refusals. Shared by the connections to an entry, and those that replace them.
#[derive(Debug, Default)]
pub struct PeriodicRefusals {
    /// Requests for records that were refused in a row.
    records: AtomicU32,
    /// Short answers to go until refusals are forgotten.
    short: AtomicU32,
}

impl PeriodicRefusals {
    /// Records the result of a request with a short answer, which no proxy refuses for its size.
    pub fn note_short(&self, is_refused: bool) {
        match is_refused {
            true => self.short.store(FORGET_AFTER, Ordering::Relaxed),
            false => {
                let less = |count: u32| count.checked_sub(1);
                let _ = (self.short).fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
        }
    }

    /// Records the result of a request for records. If a request in front of it `has_met_refusal`, the next one needs
    /// that, too.
    pub fn note_records(&self, is_refused: bool, has_met_refusal: bool) {
        if is_refused {
            self.records.fetch_add(1, Ordering::Relaxed);
        } else if !has_met_refusal {
            self.records.store(0, Ordering::Relaxed);
        }
    }

    /// Returns the number of requests to send in front of one for records.
    pub fn before_records(&self) -> u32 {
        self.records.load(Ordering::Relaxed) % (MAX_BEFORE + 1)
    }

    /// Returns whether the last request for records was refused.
    pub fn are_records_refused(&self) -> bool {
        self.records.load(Ordering::Relaxed) > 0
    }

    /// Returns whether requests are refused that no proxy refuses for the size of their answers.
    pub fn is_short_refused(&self) -> bool {
        self.short.load(Ordering::Relaxed) > 0
    }
}

/// Sends a request whose answer is short, and which may be sent twice. If it fails in a way that `may_pass`, it is
/// sent again by itself: of several requests in a row, one would always be refused.
pub async fn ask(
    request: RequestBuilder,
    may_pass: impl Fn(&Error) -> bool,
    refusals: &PeriodicRefusals,
) -> Result<Response, Error> {
    let mut pauses = RETRY_PAUSES.into_iter();
    loop {
        let Some(again) = request.try_clone() else {
            return accepted(send(request).await?).await;
        };
        let error = match accepted(send(again).await?).await {
            Ok(response) => {
                refusals.note_short(false);
                return Ok(response);
            }
            Err(error) => error,
        };
        if may_pass(&error) {
            refusals.note_short(true);
            if let Some(pause) = pauses.next() {
                sleep(pause).await;
                continue;
            }
        }
        return Err(error);
    }
}

/// Sends a request whose answer does not matter: it takes the next refusal of a load balancer that refuses
/// periodically. Returns the status of the answer, or `None` without one.
pub async fn probe(
    http: &Client,
    server: &Server,
    limit: Option<Duration>,
) -> Result<Option<StatusCode>, Error> {
    let request = http.head(server.api_url("alive")?);
    // A fault of the connection shows with the next request.
    let answer = within(limit, async { Ok(send(request).await?) }).await;
    Ok(answer.ok().map(|answer| answer.status()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_records_vary_what_is_sent_before() {
        let refusals = PeriodicRefusals::default();
        assert_eq!(
            (refusals.before_records(), refusals.are_records_refused()),
            (0, false)
        );
        let mut before = Vec::new();
        for _ in 0..6 {
            refusals.note_records(true, false);
            before.push(refusals.before_records());
        }
        assert_eq!(before, [1, 2, 0, 1, 2, 0]);
        assert!(refusals.are_records_refused());
        refusals.note_records(false, false);
        assert_eq!(
            (refusals.before_records(), refusals.are_records_refused()),
            (0, false)
        );
    }

    #[test]
    fn what_met_a_refusal_is_sent_the_next_time() {
        let refusals = PeriodicRefusals::default();
        refusals.note_records(true, false);
        refusals.note_records(false, true);
        assert_eq!(refusals.before_records(), 1);
        refusals.note_records(false, false);
        assert_eq!(refusals.before_records(), 0);
    }

    #[test]
    fn refusals_of_short_answers_are_forgotten() {
        let refusals = PeriodicRefusals::default();
        refusals.note_short(false);
        assert!(!refusals.is_short_refused());
        refusals.note_short(true);
        for _ in 0..FORGET_AFTER {
            assert!(refusals.is_short_refused());
            refusals.note_short(false);
        }
        assert!(!refusals.is_short_refused());
    }
}
