// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Empties the queries of clients that went away.
//!
//! The server drops the state of a query only when a later one is registered after its lifetime. Until then that of a
//! client that has disappeared would keep its files.

use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::guard;
use crate::lock::lock;
use crate::panic_injection;

/// State of a query that ends at some time.
pub trait Expire: Send {
    /// Returns when the state expires, or `None` if it holds nothing any more.
    fn deadline(&self) -> Option<Instant>;

    /// Frees what the state holds.
    fn expire(&mut self);
}

/// The queries of all clients, and a thread that empties those that have expired.
///
/// A lock of a query is never waited for: that of a query in work is tried again. No query is freed while the others are
/// locked, as the server waits for that lock.
#[derive(Debug)]
pub struct Registry<T: Expire + 'static>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    queries: Mutex<Queries<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queries<T> {
    live: Vec<Weak<Mutex<T>>>,
    /// One was added since the thread looked at them.
    has_new: bool,
    is_over: bool,
}

/// Time until a query in work, or whose end failed, is looked at again.
const BUSY: Duration = Duration::from_secs(1);

impl<T: Expire + 'static> Registry<T> {
    /// Creates a registry without queries, and starts its thread.
    pub fn new() -> Self {
        let shared = Arc::new(Shared {
            queries: Mutex::new(Queries {
                live: Vec::new(),
                has_new: false,
                is_over: false,
            }),
            changed: Condvar::new(),
        });
        let sweeper = shared.clone();
        let started = thread::Builder::new()
            .name("video-sweeper".into())
            .spawn(move || sweeper.sweep());
        if let Err(error) = started {
            log::error!("Queries of clients that go away keep their files: no thread: {error}");
        }
        Self(shared)
    }

    /// Watches a query until it is dropped.
    pub fn add(&self, query: &Arc<Mutex<T>>) {
        let mut queries = lock(&self.0.queries);
        queries.live.push(Arc::downgrade(query));
        queries.has_new = true;
        self.0.changed.notify_one();
    }
}

impl<T: Expire + 'static> Drop for Registry<T> {
    fn drop(&mut self) {
        lock(&self.0.queries).is_over = true;
        self.0.changed.notify_one();
    }
}

impl<T: Expire> Shared<T> {
    fn sweep(&self) {
        let mut queries = lock(&self.queries);
        while !queries.is_over {
            let now = Instant::now();
            queries.has_new = false;
            let live = queries.upgrade();
            // To free large files takes time, in which queries can be added.
            drop(queries);
            let next = live
                .into_iter()
                .filter_map(|query| guarded_sweep(query, now));
            let next = next.min();
            queries = lock(&self.queries);
            if queries.has_new || queries.is_over {
                continue;
            }
            queries = match next {
                Some(next) => {
                    let wait = next.saturating_duration_since(Instant::now());
                    let waited = self.changed.wait_timeout(queries, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(queries);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

impl<T> Queries<T> {
    /// Returns the queries that are not dropped, and forgets the others.
    fn upgrade(&mut self) -> Vec<Arc<Mutex<T>>> {
        let mut live = Vec::with_capacity(self.live.len());
        self.live.retain(|query| {
            let query = query.upgrade();
            let is_live = query.is_some();
            live.extend(query);
            is_live
        });
        live
    }
}

/// Does the same as [`sweep_one`]. A query whose end panics is tried again. The server may have dropped it meanwhile, so
/// that it goes with `query`.
fn guarded_sweep<T: Expire>(query: Arc<Mutex<T>>, now: Instant) -> Option<Instant> {
    guard::run(|| sweep_one(&query, now)).unwrap_or_else(|panicked| {
        log::error!("A query that has expired keeps its files: {panicked}");
        Some(now + BUSY)
    })
}

/// Empties a query if it has expired. Returns when it is to be looked at again.
fn sweep_one<T: Expire>(query: &Mutex<T>, now: Instant) -> Option<Instant> {
    let mut query = match query.try_lock() {
        Ok(query) => query,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Some(now + BUSY),
    };
    let deadline = query.deadline()?;
    if deadline > now {
        return Some(deadline);
    }
    panic_injection::place("expiry");
    query.expire();
    None
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

    use super::*;

    /// Says when it expires.
    struct Query {
        deadline: Option<Instant>,
        expired: Sender<Instant>,
    }

    impl Expire for Query {
        fn deadline(&self) -> Option<Instant> {
            self.deadline
        }

        fn expire(&mut self) {
            self.deadline = None;
            let _ = self.expired.send(Instant::now());
        }
    }

    fn query(after: Option<Duration>) -> (Arc<Mutex<Query>>, Receiver<Instant>) {
        let (expired, receiver) = channel();
        let deadline = after.map(|after| Instant::now() + after);
        (Arc::new(Mutex::new(Query { deadline, expired })), receiver)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn queries_are_emptied_when_they_expire() {
        let registry = Registry::new();
        let (late, late_expired) = query(Some(Duration::from_millis(200)));
        let (soon, soon_expired) = query(Some(Duration::from_millis(50)));
        let (never, never_expired) = query(None);
        for query in [&late, &soon, &never] {
            registry.add(query);
        }
        let soon_at = soon_expired.recv_timeout(LONG).expect("it expires");
        let late_at = late_expired.recv_timeout(LONG).expect("it expires");
        assert!(soon_at < late_at);
        assert!(never_expired.try_recv().is_err());
        drop(never);
    }

    #[test]
    fn a_deadline_may_move() {
        let registry = Registry::new();
        let (query, expired) = query(Some(Duration::from_millis(100)));
        let moved = Instant::now() + Duration::from_millis(400);
        registry.add(&query);
        lock(&query).deadline = Some(moved);
        assert!(expired.recv_timeout(LONG).expect("it expires") >= moved);
    }

    #[test]
    fn a_query_in_work_is_not_emptied() {
        let registry = Registry::new();
        let (query, expired) = query(Some(Duration::ZERO));
        let work = lock(&query);
        registry.add(&query);
        let none = expired.recv_timeout(Duration::from_millis(100));
        assert_eq!(none, Err(RecvTimeoutError::Timeout));
        drop(work);
        expired.recv_timeout(LONG).expect("it expires");
    }

    /// A query that takes long to be emptied.
    struct Large {
        deadline: Option<Instant>,
        begun: Sender<()>,
        released: Receiver<()>,
    }

    impl Expire for Large {
        fn deadline(&self) -> Option<Instant> {
            self.deadline
        }

        fn expire(&mut self) {
            self.deadline = None;
            let _ = self.begun.send(());
            let _ = self.released.recv();
        }
    }

    #[test]
    fn queries_are_added_while_another_is_emptied() {
        let large = |deadline| {
            let ((begun, has_begun), (release, released)) = (channel(), channel());
            let query = Large {
                deadline,
                begun,
                released,
            };
            (Arc::new(Mutex::new(query)), has_begun, release)
        };
        let (first, has_begun, release) = large(Some(Instant::now()));
        let (second, second_has_begun, _released) = large(Some(Instant::now()));
        let registry = Arc::new(Registry::new());
        registry.add(&first);
        has_begun.recv_timeout(LONG).expect("it expires");
        let (added, is_added) = channel();
        let (to_add, other) = (second.clone(), registry.clone());
        thread::spawn(move || {
            other.add(&to_add);
            let _ = added.send(());
        });
        let in_time = is_added.recv_timeout(Duration::from_secs(10));
        release.send(()).expect("it is being emptied");
        in_time.expect("no lock is held");
        second_has_begun.recv_timeout(LONG).expect("it expires");
    }

    #[test]
    fn the_thread_keeps_no_query_and_ends_with_its_registry() {
        let registry = Registry::new();
        let shared = Arc::downgrade(&registry.0);
        let (query, expired) = query(Some(LONG));
        registry.add(&query);
        drop(query);
        // The sender goes with the query.
        assert_eq!(
            expired.recv_timeout(LONG),
            Err(RecvTimeoutError::Disconnected)
        );
        drop(registry);
        let start = Instant::now();
        while shared.upgrade().is_some() {
            assert!(start.elapsed() < LONG, "the thread does not end");
            thread::yield_now();
        }
    }
}
