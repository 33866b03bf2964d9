// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! What all readings of an entry share.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::admin::Entry;
use crate::error::{Error, Purpose, Target};
use crate::http::batch_size::BatchSize;
use crate::http::condition::depends_on_order;
use crate::http::pool::Lanes;
use crate::http::turns::Turns;
use crate::read::query::{Limits, Records, View};
use crate::read::queue::ReaderStats;
use crate::server::Connection;

/// An entry, and the connections to its server.
#[derive(Debug)]
pub struct Access {
    /// For the readers.
    pub(crate) runtime: Handle,
    pub(crate) connection: Connection,
    pub(crate) records: Records,
    pub(crate) entry: Arc<Entry>,
    pub(crate) stats: Arc<ReaderStats>,
    /// Records per answer that proxies on the way to the server accept. Kept over reconnects.
    pub(crate) batch_size: Arc<BatchSize>,
    /// A ReductStore has answered at least once.
    has_worked: AtomicBool,
    turns: Arc<Turns>,
    lanes: Mutex<Option<Arc<Lanes>>>,
    aside: Mutex<Option<Arc<Lanes>>>,
    /// Nothing more is followed.
    is_over: watch::Sender<bool>,
}

/// Connections for looks beside the reading of a range, whose own break when it is given up.
const ASIDE: usize = 2;

impl Access {
    /// Creates access to an entry, without any connection yet. No I/O.
    pub fn new(
        runtime: &Handle,
        connection: Connection,
        records: Records,
        stats: Arc<ReaderStats>,
    ) -> Self {
        let entry = Entry::new(&connection, &records.bucket, &records.entry);
        Self {
            runtime: runtime.clone(),
            connection,
            entry: Arc::new(entry),
            records,
            stats,
            batch_size: Arc::default(),
            has_worked: AtomicBool::new(false),
            turns: Arc::default(),
            lanes: Mutex::default(),
            aside: Mutex::default(),
            is_over: watch::Sender::new(false),
        }
    }

    /// Returns whether records that are written while reading are read as well.
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

    /// Notes that the server has answered as a ReductStore does.
    pub(crate) fn note_answer(&self) {
        self.has_worked.store(true, Ordering::Relaxed);
    }

    /// Returns whether the server has answered as a ReductStore does, ever.
    pub(crate) fn has_worked(&self) -> bool {
        let is_known = self.has_worked.load(Ordering::Relaxed);
        is_known || [&self.lanes, &self.aside].into_iter().any(has_answered)
    }

    /// Ends readings that follow with what they have.
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

    /// Returns whether records are chosen by what came before them, so that a range cannot be read in pieces,
    /// nor begun at any time.
    pub fn depends_on_order(&self) -> bool {
        self.records.when.as_ref().is_some_and(depends_on_order)
    }

    /// The connections to look at records in a way.
    pub(crate) fn lanes(&self, view: View) -> Result<Arc<Lanes>, Error> {
        let (lanes, limit, in_use) = match view {
            View::Range | View::News => (
                &self.lanes,
                self.records.limits.connections as usize,
                self.stats.connections.clone(),
            ),
            View::Aside | View::Headers | View::Times => (&self.aside, ASIDE, Arc::default()),
        };
        let mut lanes = lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = &*lanes {
            return Ok(lanes.clone());
        }
        let Records { bucket, entry, .. } = &self.records;
        let new = Lanes::new(
            self.connection.clone(),
            bucket,
            entry,
            limit,
            Purpose::Read,
            in_use,
            self.turns.clone(),
        )?;
        Ok(lanes.insert(Arc::new(new)).clone())
    }

    /// Has the next readings open connections of their own: these may be broken.
    pub(crate) fn leave_lanes(&self) {
        for lanes in [&self.lanes, &self.aside] {
            if has_answered(lanes) {
                self.note_answer();
            }
            *lanes.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// What errors are about.
    pub(crate) fn target(&self) -> Target<'_> {
        self.connection
            .target(&self.records.bucket, &self.records.entry, Purpose::Read)
    }
}

fn has_answered(lanes: &Mutex<Option<Arc<Lanes>>>) -> bool {
    let lanes = lanes.lock().unwrap_or_else(PoisonError::into_inner);
    lanes.as_ref().is_some_and(|lanes| lanes.have_answered())
}
