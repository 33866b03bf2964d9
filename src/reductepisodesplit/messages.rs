// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Messages that the bin posts: their structures and texts.

use media::cut::policy::Episode;
use media::cut::{Dropped, KeyframeMode};

use crate::convert::ToClockTime;

/// Returns the structure `reduct-episode` of an episode that is complete, under its final name or address.
///
/// `index` is the name of the file of its index.
pub fn reduct_episode(
    name: &str,
    episode: &Episode,
    bytes: u64,
    index: Option<&str>,
) -> gst::Structure {
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
        .field_if_some("frame-index", index)
        .field("reason", episode.reason.name())
        .build()
}

/// Returns the text about access units that were dropped `before` something.
pub fn dropped(dropped: Dropped, before: &str) -> String {
    let Dropped { count, distance } = dropped;
    let why = match distance {
        None => "they cannot be decoded, as no keyframe precedes them".into(),
        Some(distance) => format!(
            "the first of them is {distance} away from the one before it, the file cannot count \
             that far, and the others need it. Let keyframes come more often, or leave out \
             muxer-properties: files count further where their header is at the end"
        ),
    };
    format!("{count} access units before {before} are dropped: {why}")
}

/// Returns the pictures that a keyframe mode accepts besides IDR pictures, and its nick.
pub fn keyframe_mode(mode: KeyframeMode) -> (&'static str, &'static str) {
    match mode {
        KeyframeMode::Idr => ("IDR pictures", "idr"),
        KeyframeMode::RecoveryPoint => ("recovery points", "recovery-point"),
        KeyframeMode::Intra => ("pictures with only I slices", "intra"),
    }
}
