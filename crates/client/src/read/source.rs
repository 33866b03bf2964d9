// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! An entry to read, and the state that its readers share.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value as JsonValue;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::admin::Entry;
use crate::entry::EntryTimes;
use crate::error::{Error, Purpose, Target};
use crate::http::batch_size::BatchSize;
use crate::http::condition::depends_on_order;
use crate::http::pool::ClientPool;
use crate::http::refusals::PeriodicRefusals;
use crate::lock::lock;
use crate::read::query::{Limits, Records, View};
use crate::read::queue::ReaderStats;
use crate::server::Server;

/// An entry to read, with the connections to its server.
#[derive(Debug)]
pub struct EntrySource {
    /// Runtime of the readers.
    pub(crate) runtime: Handle,
    pub(crate) server: Server,
    pub(crate) records: Records,
    pub(crate) entry: Arc<Entry>,
    /// Creation of this source, before which its readers expect all records to be found.
    since: Instant,
    pub(crate) stats: Arc<ReaderStats>,
    /// Number of records per answer that proxies on the way accept. Kept over reconnects.
    pub(crate) batch_size: Arc<BatchSize>,
    connections: Arc<Connections>,
    /// Following has ended.
    is_over: watch::Sender<bool>,
}

/// Connections to an entry, opened when they are needed.
#[derive(Debug)]
struct Connections {
    /// Largest number of connections for ranges.
    limit: u32,
    /// Number of connections for ranges in use.
    in_use: Arc<AtomicU64>,
    /// A ReductStore has answered at least once.
    has_worked: AtomicBool,
    refusals: Arc<PeriodicRefusals>,
    pool: Mutex<Option<Arc<ClientPool>>>,
    lookups: Mutex<Option<Arc<ClientPool>>>,
}

/// Number of connections for lookups, which are separate because those of a range break when it is given up.
const LOOKUP_CONNECTIONS: usize = 4;

impl EntrySource {
    /// Creates a source. No I/O.
    pub fn new(
        runtime: &Handle,
        server: Server,
        records: Records,
        stats: Arc<ReaderStats>,
    ) -> Self {
        let entry = Entry::new(&server, &records.bucket, &records.entry);
        let (limit, in_use) = (records.limits.connections, stats.connections.clone());
        Self {
            runtime: runtime.clone(),
            server,
            entry: Arc::new(entry),
            since: Instant::now(),
            records,
            stats,
            batch_size: Arc::default(),
            connections: Arc::new(Connections::new(limit, in_use)),
            is_over: watch::Sender::new(false),
        }
    }

    /// Returns a source of the same entry with other options, its own statistics, and the same connections as long as
    /// their limit is the same. No I/O.
    ///
    /// The cache of the entry is shared, too: the frame rate in its attachment is read once.
    pub fn with_options(
        &self,
        when: Option<JsonValue>,
        poll_interval: Option<Duration>,
        limits: Limits,
    ) -> Self {
        let connections = match limits.connections == self.connections.limit {
            true => self.connections.clone(),
            false => Arc::new(Connections::new(limits.connections, Arc::default())),
        };
        let stats = ReaderStats {
            connections: connections.in_use.clone(),
            ..ReaderStats::default()
        };
        Self {
            runtime: self.runtime.clone(),
            server: self.server.clone(),
            records: Records {
                when,
                poll_interval,
                limits,
                ..self.records.clone()
            },
            entry: self.entry.clone(),
            since: Instant::now(),
            stats: Arc::new(stats),
            batch_size: self.batch_size.clone(),
            connections,
            is_over: watch::Sender::new(false),
        }
    }

    /// Returns the statistics of the readers.
    pub fn stats(&self) -> &Arc<ReaderStats> {
        &self.stats
    }

    /// Returns whether records that are written meanwhile are read as well.
    pub fn follows(&self) -> bool {
        self.records.poll_interval.is_some()
    }

    /// Returns whether records are picked by a condition.
    pub fn is_filtered(&self) -> bool {
        self.records.when.is_some()
    }

    /// Returns the limits of reading.
    pub fn limits(&self) -> Limits {
        self.records.limits
    }

    /// Records that the server has answered as ReductStore does.
    pub(crate) fn note_answer(&self) {
        self.connections.note_answer();
    }

    /// Returns whether the server has ever answered as ReductStore does.
    pub(crate) fn has_worked(&self) -> bool {
        self.connections.has_worked()
    }

    /// Ends all readers that follow after the records that they have.
    pub fn stop_following(&self) {
        self.is_over.send_replace(true);
    }

    /// Returns whether [`stop_following`](Self::stop_following) was called.
    pub fn is_over(&self) -> bool {
        *self.is_over.borrow()
    }

    /// Waits for [`stop_following`](Self::stop_following).
    pub(crate) async fn over(&self) {
        let mut is_over = self.is_over.subscribe();
        if is_over.wait_for(|is_over| *is_over).await.is_err() {
            pending().await
        }
    }

    /// Returns whether records are chosen by the records before them, so that a range cannot be read in pieces, nor
    /// begun at any time.
    pub fn depends_on_order(&self) -> bool {
        self.records.when.as_ref().is_some_and(depends_on_order)
    }

    /// Returns the times of the entry's records for a reader of records before `until`, cached for a second.
    pub(crate) async fn recent_times(&self, until: u64) -> Result<EntryTimes, Error> {
        self.entry.recent_times(self.since, until).await
    }

    /// Returns the connections for a kind of access.
    pub(crate) fn pool(&self, view: View) -> Result<Arc<ClientPool>, Error> {
        let connections = &self.connections;
        let (pool, limit, in_use) = match view {
            View::Range | View::Tail => (
                &connections.pool,
                connections.limit as usize,
                connections.in_use.clone(),
            ),
            View::Lookup | View::Headers | View::Times => {
                (&connections.lookups, LOOKUP_CONNECTIONS, Arc::default())
            }
        };
        let mut pool = lock(pool);
        if let Some(pool) = &*pool {
            return Ok(pool.clone());
        }
        let Records { bucket, entry, .. } = &self.records;
        let new = ClientPool::new(
            self.server.clone(),
            bucket,
            entry,
            limit,
            Purpose::Read,
            in_use,
            connections.refusals.clone(),
        )?;
        Ok(pool.insert(Arc::new(new)).clone())
    }

    /// Drops all pooled connections, because they may be broken.
    pub(crate) fn drop_connections(&self) {
        self.connections.close();
    }

    /// Returns the subject of errors.
    pub(crate) fn target(&self) -> Target<'_> {
        self.server
            .target(&self.records.bucket, &self.records.entry, Purpose::Read)
    }
}

impl Connections {
    fn new(limit: u32, in_use: Arc<AtomicU64>) -> Self {
        Self {
            limit,
            in_use,
            has_worked: AtomicBool::new(false),
            refusals: Arc::default(),
            pool: Mutex::default(),
            lookups: Mutex::default(),
        }
    }

    fn note_answer(&self) {
        self.has_worked.store(true, Ordering::Relaxed);
    }

    fn has_worked(&self) -> bool {
        let is_known = self.has_worked.load(Ordering::Relaxed);
        is_known || [&self.pool, &self.lookups].into_iter().any(has_answered)
    }

    /// Has later requests open new connections. Those in use end with their requests.
    fn close(&self) {
        for pool in [&self.pool, &self.lookups] {
            if has_answered(pool) {
                self.note_answer();
            }
            if let Some(pool) = lock(pool).take() {
                pool.stop_opening();
            }
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.close();
    }
}

fn has_answered(pool: &Mutex<Option<Arc<ClientPool>>>) -> bool {
    let pool = lock(pool);
    pool.as_ref().is_some_and(|pool| pool.have_answered())
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::schema::VIDEO;
    use crate::server::ServerOptions;

    #[test]
    fn connections_are_not_opened_after_the_drop() {
        let runtime = crate::testing::runtime();
        let server = Server::new(ServerOptions {
            url: "http://127.0.0.1:1".into(),
            ..ServerOptions::new(VIDEO)
        });
        let records = Records {
            bucket: "b".into(),
            entry: "e".into(),
            when: None,
            poll_interval: None,
            // The task that opens a connection waits for room for ever.
            limits: Limits {
                connections: 0,
                ..Limits::default()
            },
        };
        let source = EntrySource::new(runtime, server.unwrap(), records, Arc::default());
        let pool = source.pool(View::Range).unwrap();
        let _entered = runtime.enter();
        pool.open_one();
        let weak = Arc::downgrade(&pool);
        drop((pool, source));
        let deadline = Instant::now() + Duration::from_secs(60);
        while weak.strong_count() > 0 {
            assert!(Instant::now() < deadline, "the task still has the pool");
            thread::yield_now();
        }
    }
}
