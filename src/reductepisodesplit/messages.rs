// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Structures of the messages that the bin posts.

use media::cut::policy::Episode;

use crate::convert::ToClockTime;

/// Returns the structure `reduct-episode` of an episode that is complete, under its final name or address.
pub fn reduct_episode(name: &str, episode: &Episode, bytes: u64) -> gst::Structure {
    gst::Structure::builder("reduct-episode")
        .field("index", episode.index)
        .field("location", name)
        .field_if_some("start", episode.capture.map(|time| time.useconds()))
        .field("duration", episode.duration.clock_time())
        .field("frames", episode.frames)
        .field("hidden", episode.hidden)
        .field("corrupted", episode.corrupted)
        .field("dropped", episode.dropped)
        .field("bytes", bytes)
        .field("reason", episode.reason.name())
        .build()
}
