// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counters of the bin: the property `stats`.

use recording::UploadCounts;

use super::element::ReductEpisodeSplit;

impl ReductEpisodeSplit {
    /// Returns the value of the property `stats`.
    pub(super) fn stats(&self) -> gst::Structure {
        let uploads = self.uploads();
        let counts = uploads.map(|uploads| uploads.queue.counts());
        let UploadCounts { waiting, retries } = counts.unwrap_or_default();
        let run = self.run();
        let run = run.as_ref();
        let totals = run.map(|run| run.files.totals()).unwrap_or_default();
        gst::Structure::builder("application/x-reductepisodesplit-stats")
            .field("episodes", totals.episodes)
            .field("frames", totals.frames)
            .field("corrupted", totals.corrupted)
            .field("dropped", run.map_or(0, |run| run.cutter().dropped()))
            .field("waiting", waiting)
            .field("retries", retries)
            .build()
    }
}
