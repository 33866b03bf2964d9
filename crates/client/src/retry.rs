// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Number of attempts and back-off between them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::error::Error;
use crate::lock::lock;

/// First and longest back-off between attempts; a jitter of up to its length is added.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// Longest retry of a server that has never answered: more likely its address is wrong.
const FIRST_CONTACT_LIMIT: Duration = Duration::from_secs(2);

/// Attempts in a row without progress.
#[derive(Debug)]
pub struct Attempts {
    limit: u32,
    made: u32,
    delays: ExponentialBackoff,
}

impl Attempts {
    /// Creates a counter with a limit of attempts.
    pub fn new(limit: u32) -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LAST_DELAY)
            .with_jitter()
            .without_max_times();
        Self {
            limit,
            made: 0,
            delays: delays.build(),
        }
    }

    /// Returns the delay before the next attempt, or `None` if the limit is reached.
    pub fn next_delay(&mut self) -> Option<Duration> {
        (self.made < self.limit)
            .then(|| self.another_delay())
            .flatten()
    }

    /// Returns the delay before the next attempt at a server that has not answered for `elapsed`, or `None` if it
    /// should have answered by then or the limit is reached.
    pub fn next_first_delay(&mut self, elapsed: Duration) -> Option<Duration> {
        let delay = self.next_delay()?;
        (elapsed + delay <= FIRST_CONTACT_LIMIT).then_some(delay)
    }

    /// Returns the delay before the next attempt, regardless of the limit.
    pub fn another_delay(&mut self) -> Option<Duration> {
        let delay = self.delays.next()?;
        self.made = self.made.saturating_add(1);
        Some(delay)
    }

    /// Returns the number of attempts.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Returns a text about a fault and the next attempt, which has `delay` and maybe a limit.
    pub fn notice(&self, fault: &str, delay: Duration, limit: Option<u32>) -> String {
        let limit = limit.map_or_else(String::new, |limit| format!(" of {limit}"));
        let (seconds, made) = (delay.as_secs_f32(), self.made);
        format!("{fault}. Trying again in {seconds:.1} s, attempt {made}{limit}")
    }

    /// Resets the count after progress.
    pub fn reset(&mut self) {
        if self.made > 0 {
            *self = Self::new(self.limit);
        }
    }
}

/// Number of retries and reason of the last one, readable from any thread.
#[derive(Debug, Default)]
pub struct Retries {
    count: AtomicU64,
    last: Mutex<Option<String>>,
}

impl Retries {
    /// Counts a retry after an error.
    pub fn note(&self, error: &Error) {
        self.count.fetch_add(1, Ordering::Relaxed);
        *lock(&self.last) = Some(error.to_string());
    }

    /// Returns the number of retries.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the reason of the last retry.
    pub fn last(&self) -> Option<String> {
        lock(&self.last).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_worked_is_tried_for_seconds() {
        let mut attempts = Attempts::new(10);
        let mut elapsed = Duration::ZERO;
        while let Some(delay) = attempts.next_first_delay(elapsed) {
            elapsed += delay;
        }
        assert!(elapsed <= FIRST_CONTACT_LIMIT && elapsed >= FIRST_CONTACT_LIMIT / 4);
        assert!((3..=5).contains(&attempts.made()), "{}", attempts.made());
        // A server that took long to refuse is not asked again.
        assert_eq!(
            Attempts::new(10).next_first_delay(FIRST_CONTACT_LIMIT),
            None
        );
        assert_eq!(Attempts::new(0).next_first_delay(Duration::ZERO), None);
    }

    #[test]
    fn delays_grow_to_a_limit() {
        let mut attempts = Attempts::new(3);
        let delays: Vec<_> = std::iter::from_fn(|| attempts.next_delay()).collect();
        assert_eq!(delays.len(), 3);
        assert!(delays[0] >= FIRST_DELAY && delays[2] > delays[0]);
        for made in 4..100 {
            assert!(attempts.another_delay().unwrap() <= 2 * LAST_DELAY);
            assert_eq!(attempts.made(), made);
        }
        attempts.reset();
        assert!(attempts.next_delay().unwrap() <= 2 * FIRST_DELAY);
    }
}
