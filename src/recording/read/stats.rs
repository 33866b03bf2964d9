// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! What `reductsrc` counts: the property `stats`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use client::ReaderStats;
use media::frame_rate::FrameRate;
use media::time::Nanos;

use super::extent::Extent;
use crate::convert::{ToClockTime, frame_rate};

/// Counters of one run, from READY to PAUSED on. Any thread may read them.
#[derive(Debug, Default)]
pub struct Stats {
    pub reader: Arc<ReaderStats>,
    pub extent: Extent,
    pub records: AtomicU64,
    pub bytes: AtomicU64,
    pub access_units: AtomicU64,
    pub episodes: AtomicU64,
    pub gaps: AtomicU64,
    /// Records with something that cannot be read.
    pub damaged: AtomicU64,
    /// Access units that cannot be decoded and are not pushed.
    pub dropped: AtomicU64,
    /// Access units that are pushed with the flag CORRUPTED.
    pub corrupted: AtomicU64,
    pub rates: Rates,
    /// For how long the streaming thread was downstream, in ns.
    pub downstream_wait: AtomicU64,
}

/// The declared and the observed frame rate, and what was reported of them in this run.
#[derive(Debug, Default)]
pub struct Rates {
    /// The declared rate, and the observed distance of two frames.
    present: Mutex<(Option<FrameRate>, Option<Nanos>)>,
    has_unreadable: AtomicBool,
    has_contradiction: AtomicBool,
}

impl Rates {
    /// Sets the rates that are known by now.
    pub fn set(&self, declared: Option<FrameRate>, observed: Option<Nanos>) {
        *self.present.lock().unwrap() = (declared, observed);
    }

    /// Notes a declared rate that is none. Returns whether it is the first one.
    pub fn is_first_unreadable(&self) -> bool {
        !self.has_unreadable.swap(true, Ordering::Relaxed)
    }

    /// Notes a declared rate that record times contradict. Returns whether it is the first one.
    pub fn is_first_contradiction(&self) -> bool {
        !self.has_contradiction.swap(true, Ordering::Relaxed)
    }
}

impl Stats {
    /// Returns whether any record could be used.
    pub fn has_delivered(&self) -> bool {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        count(&self.access_units) + count(&self.episodes) > 0
    }

    /// The value of the property.
    pub fn structure(&self) -> gst::Structure {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (declared, observed) = *self.rates.present.lock().unwrap();
        // Frames per second; 0 is unknown.
        let observed = observed.clock_time().and_then(gst_video::guess_framerate);
        gst::Structure::builder("application/x-reductsrc-stats")
            .field("records", count(&self.records))
            .field("bytes", count(&self.bytes))
            .field("access-units", count(&self.access_units))
            .field("episodes", count(&self.episodes))
            .field("gaps", count(&self.gaps))
            .field("damaged", count(&self.damaged))
            .field("dropped", count(&self.dropped))
            .field("corrupted", count(&self.corrupted))
            .field("declared-rate", declared.map_or(0.0, FrameRate::per_second))
            .field(
                "observed-rate",
                observed
                    .and_then(frame_rate)
                    .map_or(0.0, FrameRate::per_second),
            )
            .field("skipped", count(&self.reader.skipped))
            .field("evicted", count(&self.reader.evicted))
            .field("retries", self.reader.retries.count())
            .field_if_some("last-retry", self.reader.retries.last())
            .field("connections", count(&self.reader.connections))
            .field("network-wait", count(&self.reader.network_wait))
            .field("downstream-wait", count(&self.downstream_wait))
            .field("queue-records", count(&self.reader.queue_records))
            .field("queue-bytes", count(&self.reader.queue_bytes))
            .build()
    }
}
