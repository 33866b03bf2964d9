// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Cancellation of blocking waits from another thread.

use std::future::Future;
use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Error of a wait that was ended by a [`Canceller`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the wait was cancelled")]
pub struct Cancelled;

/// A switch that ends waits, and keeps later ones from blocking until it is reset.
///
/// It is a level, not an event: a wait that begins after [`cancel`](Self::cancel) ends at once, too, as `unlock` and
/// `unlock_stop` of GStreamer's base classes require it.
#[derive(Debug, Default)]
pub struct Canceller(watch::Sender<Level>);

/// Reasons to end waits.
#[derive(Debug, Default)]
struct Level {
    is_cancelled: bool,
    interruptions: usize,
}

impl Level {
    fn ends_waits(&self) -> bool {
        self.is_cancelled || self.interruptions > 0
    }
}

/// A guard that ends waits as long as it lives, independently of [`Canceller::reset`].
#[derive(Debug)]
pub struct Interruption<'a>(&'a Canceller);

impl Drop for Interruption<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|level| level.interruptions -= 1);
    }
}

impl Canceller {
    /// Ends the current wait and all later ones.
    pub fn cancel(&self) {
        self.0.send_modify(|level| level.is_cancelled = true);
    }

    /// Allows waits again.
    pub fn reset(&self) {
        self.0.send_modify(|level| level.is_cancelled = false);
    }

    /// Ends waits until the returned guard is dropped.
    pub fn interrupt(&self) -> Interruption<'_> {
        self.0.send_modify(|level| level.interruptions += 1);
        Interruption(self)
    }

    /// Returns whether waits end at once.
    pub fn is_cancelled(&self) -> bool {
        self.0.borrow().ends_waits()
    }

    /// Runs a future until it is done or the wait is cancelled. Blocks, so that it must not be called from a thread
    /// that runs asynchronous tasks, where tokio panics.
    ///
    /// # Errors
    ///
    /// [`Cancelled`]; the future is dropped.
    pub fn wait<F: Future>(&self, runtime: &Handle, future: F) -> Result<F::Output, Cancelled> {
        let mut level = self.0.subscribe();
        runtime.block_on(async {
            let cancelled = pin!(level.wait_for(Level::ends_waits));
            match select(cancelled, pin!(future)).await {
                Either::Left(_) => Err(Cancelled),
                Either::Right((output, _)) => Ok(output),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn a_wait_gives_what_it_waited_for() {
        let canceller = Canceller::default();
        let runtime = crate::testing::runtime();
        assert_eq!(canceller.wait(runtime, ready(7)), Ok(7));
    }

    #[test]
    fn waits_end_until_the_reset() {
        let canceller = Arc::new(Canceller::default());
        let runtime = crate::testing::runtime();
        let (sender, waiting) = mpsc::channel();
        let waiter = thread::spawn({
            let canceller = canceller.clone();
            move || {
                canceller.wait(runtime, async {
                    sender.send(()).unwrap();
                    pending::<()>().await
                })
            }
        });
        waiting.recv().unwrap();
        canceller.cancel();
        assert_eq!(waiter.join().unwrap(), Err(Cancelled));
        assert_eq!(canceller.wait(runtime, pending::<()>()), Err(Cancelled));
        canceller.reset();
        assert_eq!(canceller.wait(runtime, ready(7)), Ok(7));
    }
}
