// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A bounded queue of jobs for a thread of the bin.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::lock::lock;

/// A queue between the streaming thread and a thread that does the jobs in order.
#[derive(Debug)]
pub struct Backlog<T> {
    room: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Set by [`Backlog::finish`]: `take_all` returns `None` when the queue is empty.
    is_finished: bool,
    /// Set by [`Backlog::give_up`]: `wait_for_room` returns `false`.
    is_given_up: bool,
}

impl<T> Backlog<T> {
    /// Returns an empty queue with a maximum number of items.
    pub fn new(room: usize) -> Self {
        Self {
            room,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                is_finished: false,
                is_given_up: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until there is room. Returns `false` if there will be none.
    pub fn wait_for_room(&self) -> bool {
        let mut state = self.state();
        while state.waiting.len() >= self.room && !state.is_given_up {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        !state.is_given_up
    }

    /// Adds an item, also to a full queue. Does not wait.
    pub fn push(&self, item: T) {
        self.state().waiting.push_back(item);
        self.changed.notify_all();
    }

    /// Waits for the next item, and returns all that wait then, in order. Returns `None` if the queue is finished and
    /// empty.
    pub fn take_all(&self) -> Option<Vec<T>> {
        let mut state = self.state();
        while state.waiting.is_empty() {
            if state.is_finished {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let taken = state.waiting.drain(..).collect();
        self.changed.notify_all();
        Some(taken)
    }

    /// Ends waits for room.
    pub fn give_up(&self) {
        self.state().is_given_up = true;
        self.changed.notify_all();
    }

    /// Ends the queue after the items that it has.
    pub fn finish(&self) {
        self.state().is_finished = true;
        self.give_up();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn who_brings_more_waits() {
        let backlog = Arc::new(Backlog::new(1));
        assert!(backlog.wait_for_room());
        backlog.push(1);
        let (sender, done) = mpsc::channel();
        let waiter = thread::spawn({
            let backlog = backlog.clone();
            move || {
                let has_room = backlog.wait_for_room();
                sender.send(()).unwrap();
                has_room
            }
        });
        assert!(done.try_recv().is_err());
        assert_eq!(backlog.take_all(), Some(vec![1]));
        done.recv().unwrap();
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn all_that_wait_are_taken() {
        let backlog = Backlog::new(2);
        backlog.push(1);
        backlog.push(2);
        assert_eq!(backlog.take_all(), Some(vec![1, 2]));
        assert!(backlog.wait_for_room());
        backlog.push(3);
        backlog.finish();
        assert_eq!(backlog.take_all(), Some(vec![3]));
        assert_eq!(backlog.take_all(), None);
    }

    #[test]
    fn a_finished_queue_is_emptied() {
        let backlog = Arc::new(Backlog::new(1));
        backlog.push(1);
        backlog.push(2);
        backlog.finish();
        assert!(!backlog.wait_for_room());
        assert_eq!(backlog.take_all(), Some(vec![1, 2]));
        assert_eq!(backlog.take_all(), None);
        let empty = Arc::new(Backlog::<u32>::new(1));
        let taker = thread::spawn({
            let empty = empty.clone();
            move || empty.take_all()
        });
        empty.finish();
        assert_eq!(taker.join().unwrap(), None);
    }

    #[test]
    fn what_is_given_up_is_still_taken() {
        let backlog = Backlog::new(1);
        backlog.push(1);
        backlog.give_up();
        assert!(!backlog.wait_for_room());
        assert_eq!(backlog.take_all(), Some(vec![1]));
    }
}
