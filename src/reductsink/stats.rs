// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counters of `reductsink`: the property `stats`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::WriterStats;
use recording::Notice;

/// Counters of one run, from READY to PAUSED on. Any thread may read them.
#[derive(Debug, Default)]
pub struct Stats {
    pub writer: Arc<WriterStats>,
    /// Steps of the clock of the capture times, or of the system clock.
    pub clock_jumps: AtomicU64,
    /// Frames whose capture times were wrong and that are placed between their neighbours.
    pub outliers: AtomicU64,
}

impl Stats {
    /// Returns counters of a run with those of its writer.
    pub fn new(writer: Arc<WriterStats>) -> Self {
        Self {
            writer,
            ..Self::default()
        }
    }

    /// Counts the steps and frames of a notice.
    pub fn count(&self, notice: &Notice) {
        self.clock_jumps
            .fetch_add(notice.clock_jumps(), Ordering::Relaxed);
        self.outliers
            .fetch_add(notice.outliers(), Ordering::Relaxed);
    }

    /// Returns the value of the property.
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
            .field("damaged-records", count(&writer.damaged_records))
            .field("damaged-frames", count(&writer.damaged_frames))
            .field("clock-jumps", count(&self.clock_jumps))
            .field("outliers", count(&self.outliers))
            .field("retries", writer.retries.count())
            .field_if_some("last-retry", writer.retries.last())
            .field("queue-records", count(&writer.queue_records))
            .field("queue-bytes", count(&writer.queue_bytes))
            .build()
    }
}
