// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counters of `reductsrc`: the property `stats`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use media::frame_rate::FrameRate;
use recording::Stats;

use crate::convert::{ToClockTime, frame_rate};

/// Counters of one run, from READY to PAUSED on, readable from any thread.
#[derive(Debug, Default)]
pub struct RunStats {
    /// Counters of the reader.
    pub read: Arc<Stats>,
    /// Time that the streaming thread was downstream, in ns.
    pub downstream_wait: AtomicU64,
}

impl RunStats {
    /// Returns the value of the property.
    pub fn structure(&self) -> gst::Structure {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let read = &self.read;
        let (declared, observed) = self.read.rates.get();
        // Frames per second; 0 is unknown.
        let observed = observed.clock_time().and_then(gst_video::guess_framerate);
        gst::Structure::builder("application/x-reductsrc-stats")
            .field("records", count(&read.records))
            .field("bytes", count(&read.bytes))
            .field("access-units", count(&read.access_units))
            .field("episodes", count(&read.episodes))
            .field("gaps", count(&read.gaps))
            .field("damaged", count(&read.damaged))
            .field("dropped", count(&read.dropped))
            .field("corrupted", count(&read.corrupted))
            .field("declared-rate", declared.map_or(0.0, FrameRate::per_second))
            .field(
                "observed-rate",
                observed
                    .and_then(frame_rate)
                    .map_or(0.0, FrameRate::per_second),
            )
            .field("skipped", count(&read.reader.skipped))
            .field("evicted", count(&read.reader.evicted))
            .field("retries", read.reader.retries.count())
            .field_if_some("last-retry", read.reader.retries.last())
            .field("connections", count(&read.reader.connections))
            .field("network-wait", count(&read.reader.network_wait))
            .field("downstream-wait", count(&self.downstream_wait))
            .field("queue-records", count(&read.reader.queue_records))
            .field("queue-bytes", count(&read.reader.queue_bytes))
            .build()
    }
}
