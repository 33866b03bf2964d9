// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Time-outs of requests: without progress of a long body, or in all.

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use reqwest::{RequestBuilder, Response};
use tokio::time::{sleep_until, timeout};

use crate::error::{Cause, Error};
use crate::http::answer::accepted;
use crate::http::send::send;
use crate::lock::lock;

/// Header of each answer of ReductStore that is an error.
const ERROR_HEADER: &str = "x-reduct-error";

/// Instant of the last progress of a body.
#[derive(Debug)]
pub struct Progress(Mutex<Instant>);

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Progress {
    /// Records progress of the body.
    pub fn note(&self) {
        *lock(&self.0) = Instant::now();
    }

    /// Sends a request whose body reports its progress. Returns the answer, or an error if there is no progress for
    /// longer than the limit.
    pub async fn answer(
        &self,
        request: RequestBuilder,
        limit: Option<Duration>,
    ) -> Result<Response, Error> {
        let answer = async {
            let response = send(request).await?;
            // A proxy that cannot handle the request answers 400 as well.
            let is_of_reductstore = response.headers().contains_key(ERROR_HEADER);
            accepted(response).await.map_err(|error| match error.cause {
                // The server answers so if a body stalls.
                Cause::Status(400) if is_of_reductstore => Error::new(Cause::Broken, error.text),
                _ => error,
            })
        };
        let Some(limit) = limit else {
            return answer.await;
        };
        match select(pin!(answer), pin!(self.stalled(limit))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(Error::new(Cause::Timeout, "no progress")),
        }
    }

    /// Waits until there is no progress for the limit.
    async fn stalled(&self, limit: Duration) {
        loop {
            let last = *lock(&self.0);
            if last.elapsed() >= limit {
                return;
            }
            sleep_until((last + limit).into()).await;
        }
    }
}

/// Runs a request without a long body, up to a limit of time.
pub async fn within<T>(
    limit: Option<Duration>,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(limit.unwrap_or(Duration::MAX), request).await {
        Ok(done) => done,
        Err(_) => Err(Error::new(Cause::Timeout, "no answer")),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[test]
    fn a_body_that_goes_on_has_no_limit() {
        let progress = Progress::default();
        let begin = Instant::now();
        crate::testing::runtime().block_on(async {
            let notes = async {
                for _ in 0..10 {
                    tokio::time::sleep(LIMIT / 5).await;
                    progress.note();
                }
                pending::<()>().await
            };
            select(pin!(notes), pin!(progress.stalled(LIMIT))).await;
        });
        assert!(begin.elapsed() >= 3 * LIMIT);
    }

    #[test]
    fn what_never_comes_is_a_time_out() {
        let runtime = crate::testing::runtime();
        let never = within(Some(LIMIT), pending::<Result<(), Error>>());
        let error = runtime.block_on(never).unwrap_err();
        assert_eq!(error.cause, Cause::Timeout);
        let now = within(None, async { Ok(7) });
        assert_eq!(runtime.block_on(now).unwrap(), 7);
    }
}
