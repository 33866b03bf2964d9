// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Latency of a server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Latency from which on a server counts as far.
const FAR_LATENCY: Duration = Duration::from_millis(10);

/// Longest time that a query may wait after it was made, in round trips: the wait saves one of them.
const WAIT_WAYS: u32 = 10;

/// Limits of that time. The server has records of an open query ready by their places on disk, and
/// sends other bytes from there if one before them is removed meanwhile.
const MIN_WAIT: Duration = Duration::from_millis(10);
const MAX_WAIT: Duration = Duration::from_millis(500);

/// Value before the first measurement.
const UNKNOWN: u64 = u64::MAX;

/// The shortest time from a request to its answer. A busy machine delays some answers, but none arrives before a
/// round trip.
#[derive(Debug)]
pub struct Distance(AtomicU64);

impl Default for Distance {
    fn default() -> Self {
        Self(AtomicU64::new(UNKNOWN))
    }
}

impl Distance {
    /// Records the time from a request to its answer.
    pub fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(UNKNOWN);
        self.0.fetch_min(nanos, Ordering::Relaxed);
    }

    /// Returns the shortest time so far, or zero if there was no answer.
    pub fn shortest(&self) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => Duration::ZERO,
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// Returns the longest time that a query may wait after it was made.
    pub fn max_wait(&self) -> Duration {
        let wait = self.shortest().saturating_mul(WAIT_WAYS);
        wait.clamp(MIN_WAIT, MAX_WAIT)
    }

    /// Returns whether all answers so far took long.
    pub fn is_far(&self) -> bool {
        self.shortest() > FAR_LATENCY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_quick_answer_outweighs_late_ones() {
        let distance = Distance::default();
        assert!(!distance.is_far());
        assert_eq!(distance.shortest(), Duration::ZERO);
        distance.note(2 * FAR_LATENCY);
        assert!(distance.is_far());
        distance.note(FAR_LATENCY);
        assert!(!distance.is_far());
        distance.note(5 * FAR_LATENCY);
        assert_eq!(distance.shortest(), FAR_LATENCY);
    }

    #[test]
    fn a_query_waits_in_proportion_to_what_it_saves() {
        let distance = Distance::default();
        assert_eq!(distance.max_wait(), MIN_WAIT);
        for (way_us, wait_ms) in [(3_000_000, 500), (50_001, 500), (20_000, 200), (100, 10)] {
            distance.note(Duration::from_micros(way_us));
            assert_eq!(distance.max_wait(), Duration::from_millis(wait_ms));
        }
    }
}
