// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Waits that another thread can end.

use std::future::Future;
use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::sync::watch;

/// The wait was ended by [`Flushing::start`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed;

/// Whether waits end at once, as `unlock` and `unlock_stop` of a base class want it.
///
/// A level, not an event: a wait that begins after [`start`](Self::start) ends at once, too.
#[derive(Debug, Default)]
pub struct Flushing(watch::Sender<Level>);

/// Why waits end.
#[derive(Debug, Default)]
struct Level {
    is_flushing: bool,
    interruptions: usize,
}

impl Level {
    fn ends_waits(&self) -> bool {
        self.is_flushing || self.interruptions > 0
    }
}

/// Ends waits as long as it lives, whatever [`Flushing::stop`] does meanwhile.
#[derive(Debug)]
pub struct Interruption<'a>(&'a Flushing);

impl Drop for Interruption<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|level| level.interruptions -= 1);
    }
}

impl Flushing {
    /// Ends the wait under way and any later one.
    pub fn start(&self) {
        self.0.send_modify(|level| level.is_flushing = true);
    }

    /// Allows waits again.
    pub fn stop(&self) {
        self.0.send_modify(|level| level.is_flushing = false);
    }

    /// Ends the wait under way and any other until the result is dropped.
    pub fn interrupt(&self) -> Interruption<'_> {
        self.0.send_modify(|level| level.interruptions += 1);
        Interruption(self)
    }

    /// Returns whether waits end at once.
    pub fn is_started(&self) -> bool {
        self.0.borrow().ends_waits()
    }

    /// Runs `future` until it is done or flushing starts.
    ///
    /// For streaming threads only: it blocks, and an application's thread may be a worker of a
    /// tokio runtime, where blocking panics.
    pub fn wait<F: Future>(
        &self,
        runtime: &tokio::runtime::Handle,
        future: F,
    ) -> Result<F::Output, Flushed> {
        let mut level = self.0.subscribe();
        runtime.block_on(async {
            let flushing = pin!(level.wait_for(Level::ends_waits));
            match select(flushing, pin!(future)).await {
                Either::Left(_) => Err(Flushed),
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
        let flushing = Flushing::default();
        let runtime = crate::testing::runtime();
        assert_eq!(flushing.wait(runtime, ready(7)), Ok(7));
    }

    #[test]
    fn flushing_ends_waits_until_it_stops() {
        let flushing = Arc::new(Flushing::default());
        let runtime = crate::testing::runtime();
        let (sender, waiting) = mpsc::channel();
        let waiter = thread::spawn({
            let flushing = flushing.clone();
            move || {
                flushing.wait(runtime, async {
                    sender.send(()).unwrap();
                    pending::<()>().await
                })
            }
        });
        waiting.recv().unwrap();
        flushing.start();
        assert_eq!(waiter.join().unwrap(), Err(Flushed));
        assert_eq!(flushing.wait(runtime, pending::<()>()), Err(Flushed));
        flushing.stop();
        assert_eq!(flushing.wait(runtime, ready(7)), Ok(7));
    }
}
