// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What `reductsink` counts: the property `stats`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::WriterStats;

/// Counters of one run, from READY to PAUSED on. Any thread may read them.
#[derive(Debug, Default)]
pub struct Stats {
    pub writer: Arc<WriterStats>,
    /// How often the clock jumped back.
    pub clock_jumps: AtomicU64,
}

impl Stats {
    /// The value of the property.
    pub fn structure(&self) -> gst::Structure {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let writer = &self.writer;
        gst::Structure::builder("application/x-reductsink-stats")
            .field("records", count(&writer.records))
            .field("frames", count(&writer.frames))
            .field("bytes", count(&writer.bytes))
            .field("batches", count(&writer.batches))
            .field("existing", count(&writer.existing))
            .field("dropped-records", count(&writer.dropped_records))
            .field("dropped-frames", count(&writer.dropped_frames))
            .field("clock-jumps", count(&self.clock_jumps))
            .field("retries", writer.retries.count())
            .field_if_some("last-retry", writer.retries.last())
            .field("queue-records", count(&writer.queue_records))
            .field("queue-bytes", count(&writer.queue_bytes))
            .build()
    }
}
