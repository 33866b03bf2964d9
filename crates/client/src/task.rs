// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Background tasks that end with their owner, and guards for their work.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use crate::error::{Cause, Error};

/// A task that is aborted when it is dropped.
#[derive(Debug)]
pub struct Task(pub JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a blocking closure on the blocking pool.
pub async fn without_blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(run).await;
    done.unwrap_or_else(|err| Err(Error::new(Cause::Settings, err.to_string())))
}

/// Runs a future and returns an error if it panics, so that a task that waits for it does not wait for ever.
///
/// # Errors
///
/// [`Cause::Malformed`] after a panic: unexpected data is the likeliest reason.
pub async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    let done = AssertUnwindSafe(future).catch_unwind().await;
    done.map_err(|_| Error::new(Cause::Malformed, "internal error: a panic, see the log"))
}
