// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counters of reading.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use client::ReaderStats;
use media::frame_rate::FrameRate;
use media::time::Nanos;

use super::extent::Extent;
use crate::lock::lock;

/// Counters of a reader, readable from any thread.
#[derive(Debug, Default)]
pub struct Stats {
    /// Counters of the client.
    pub reader: Arc<ReaderStats>,
    /// Known bounds of the recording.
    pub extent: Extent,
    /// Records that were read.
    pub records: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Frames that were put out.
    pub access_units: AtomicU64,
    /// Episodes that were put out.
    pub episodes: AtomicU64,
    /// Gaps.
    pub gaps: AtomicU64,
    /// Records with a fault.
    pub damaged: AtomicU64,
    /// Access units that cannot be decoded and were left out.
    pub dropped: AtomicU64,
    /// Frames that were put out although slices, or pictures that they refer to, are missing.
    pub corrupted: AtomicU64,
    /// Frame rates.
    pub rates: Rates,
}

/// The declared and the observed frame rate.
#[derive(Debug, Default)]
pub struct Rates {
    /// The declared rate, and the observed distance of two frames.
    present: Mutex<(Option<FrameRate>, Option<Nanos>)>,
}

impl Rates {
    /// Sets the declared rate, and the observed distance of two frames.
    pub fn set(&self, declared: Option<FrameRate>, observed: Option<Nanos>) {
        *lock(&self.present) = (declared, observed);
    }

    /// Returns the declared rate, and the observed distance of two frames.
    pub fn get(&self) -> (Option<FrameRate>, Option<Nanos>) {
        *lock(&self.present)
    }
}
