// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Interrupts the waits of the streaming thread, as `unlock` and `unlock_stop` of GstBaseSrc ask for it.
//!
//! GstBaseSrc has one level for all threads that interrupt it. Of two threads that seek at once, the first one to
//! end would let the source wait again, and the other one wait for it. From 1.24 on it also interrupts
//! a live source that is paused, and takes back an interruption that it does not name in front of the
//! next `create`, for any thread.

use std::sync::{Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use client::Canceller;

use crate::lock::lock;

/// The interruptions of one source.
#[derive(Debug, Default)]
pub struct Interrupt {
    flushing: Canceller,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Threads that have interrupted the source: they seek, or stop it.
    holders: Vec<ThreadId>,
    /// A flush-start event of the application is in force, which any thread can end.
    is_flushed: bool,
    /// Threads that send a flush event.
    flush_senders: Vec<ThreadId>,
    /// The thread that pauses the source.
    pausing: Option<ThreadId>,
    /// The application has ended the stream.
    is_ended: bool,
}

impl State {
    fn is_interrupted(&self) -> bool {
        self.is_flushed || !self.holders.is_empty()
    }
}

impl Interrupt {
    /// Waits that end while the source is interrupted.
    pub fn flushing(&self) -> &Canceller {
        &self.flushing
    }

    /// Forgets all interruptions, in front of a run.
    pub fn reset(&self) {
        let mut state = self.state();
        state.holders.clear();
        state.is_flushed = false;
        state.is_ended = false;
        self.apply(&state);
    }

    /// Ends the stream behind the records that have been read, until a seek or a flush.
    ///
    /// GstBaseSrc would wait for the streaming thread, which may wait for the pipeline to play, and the
    /// thread that sends EOS to a pipeline keeps it from that.
    pub fn end_stream(&self) {
        let mut state = self.state();
        state.is_ended = true;
        self.apply(&state);
    }

    /// Continues a stream that was ended.
    pub fn continue_stream(&self) {
        let mut state = self.state();
        state.is_ended = false;
        self.apply(&state);
    }

    /// Returns whether the end of the stream is all that interrupts the source.
    pub fn is_at_end(&self) -> bool {
        let state = self.state();
        state.is_ended && !state.is_interrupted()
    }

    /// Runs `pause`, in which GstBaseSrc pauses a live source. The wait for the next record may go on:
    /// it does no harm, and ending it can stop the streaming thread for good if the source plays
    /// again at that moment.
    pub fn while_pausing<T>(&self, pause: impl FnOnce() -> T) -> T {
        self.state().pausing = Some(thread::current().id());
        let paused = pause();
        self.state().pausing = None;
        paused
    }

    /// Runs `send`, in which GstBaseSrc handles a flush event.
    pub fn while_sending_flush<T>(&self, send: impl FnOnce() -> T) -> T {
        let current = thread::current().id();
        self.state().flush_senders.push(current);
        let sent = send();
        remove(&mut self.state().flush_senders, current);
        sent
    }

    /// Returns whether a flush-start event is in force.
    pub fn is_flushed(&self) -> bool {
        self.state().is_flushed
    }

    /// Interrupts the source.
    pub fn start(&self) {
        let current = thread::current().id();
        let mut state = self.state();
        if state.pausing == Some(current) {
            return;
        }
        if state.flush_senders.contains(&current) {
            state.is_flushed = true;
            state.is_ended = false;
        } else {
            state.holders.push(current);
        }
        self.apply(&state);
    }

    /// Ends the calling thread's interruption, if it has one.
    pub fn stop(&self) {
        let current = thread::current().id();
        let mut state = self.state();
        let is_sender = state.flush_senders.contains(&current);
        if is_sender || remove(&mut state.holders, current) {
            state.is_flushed = false;
            self.apply(&state);
        }
    }

    fn apply(&self, state: &State) {
        if state.is_interrupted() || state.is_ended {
            self.flushing.cancel();
        } else {
            self.flushing.reset();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Removes one entry of a thread. Returns whether there was one.
fn remove(threads: &mut Vec<ThreadId>, thread: ThreadId) -> bool {
    let at = threads.iter().position(|other| *other == thread);
    at.map(|at| threads.swap_remove(at)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_interrupted(interrupt: &Interrupt) -> bool {
        interrupt.flushing.is_cancelled()
    }

    fn elsewhere(act: impl FnOnce() + Send) {
        thread::scope(|scope| scope.spawn(act).join().unwrap());
    }

    #[test]
    fn each_thread_ends_its_own() {
        let interrupt = Interrupt::default();
        interrupt.start();
        elsewhere(|| interrupt.start());
        interrupt.stop();
        assert!(is_interrupted(&interrupt));
        // As GstBaseSrc does it in front of `create`.
        elsewhere(|| interrupt.stop());
        interrupt.stop();
        assert!(is_interrupted(&interrupt));
        interrupt.reset();
        assert!(!is_interrupted(&interrupt));
    }

    #[test]
    fn one_thread_can_do_so_twice() {
        let interrupt = Interrupt::default();
        interrupt.start();
        interrupt.start();
        interrupt.stop();
        assert!(is_interrupted(&interrupt));
        interrupt.stop();
        assert!(!is_interrupted(&interrupt));
    }

    #[test]
    fn a_flush_ends_with_the_next_stop_of_anyone() {
        let interrupt = Interrupt::default();
        let flush = || interrupt.while_sending_flush(|| interrupt.start());
        let is_over = || !is_interrupted(&interrupt);
        flush();
        flush();
        assert!(!is_over());
        elsewhere(|| interrupt.while_sending_flush(|| interrupt.stop()));
        assert!(is_over());
        flush();
        elsewhere(|| {
            interrupt.start();
            interrupt.stop();
        });
        assert!(is_over());
    }

    #[test]
    fn the_end_of_the_stream_lasts() {
        let interrupt = Interrupt::default();
        interrupt.end_stream();
        assert!(is_interrupted(&interrupt) && interrupt.is_at_end());
        interrupt.start();
        assert!(!interrupt.is_at_end());
        interrupt.stop();
        assert!(is_interrupted(&interrupt) && interrupt.is_at_end());
        interrupt.continue_stream();
        assert!(!is_interrupted(&interrupt) && !interrupt.is_at_end());
        interrupt.end_stream();
        interrupt.while_sending_flush(|| interrupt.start());
        interrupt.while_sending_flush(|| interrupt.stop());
        assert!(!is_interrupted(&interrupt) && !interrupt.is_at_end());
    }

    #[test]
    fn a_pause_interrupts_nothing() {
        let interrupt = Interrupt::default();
        interrupt.while_pausing(|| {
            interrupt.start();
            assert!(!is_interrupted(&interrupt));
            elsewhere(|| {
                interrupt.start();
                assert!(is_interrupted(&interrupt));
                interrupt.stop();
            });
        });
        interrupt.start();
        assert!(is_interrupted(&interrupt));
    }
}
