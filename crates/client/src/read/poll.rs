// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Polling of an entry that is followed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

/// Divisor of the time without records that gives the pause.
const SILENCE_FRACTION: u32 = 20;
/// Longest pause, if the interval is not longer.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The pace of polling: the longer nothing arrives, the slower.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    /// Instant of the last new record; `None` before the first request.
    silent_since: Option<Instant>,
}

impl Pace {
    /// Creates a pace with an interval between two requests while records arrive.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            silent_since: None,
        }
    }

    /// Resets the pace after new records.
    pub fn reset(&mut self) {
        self.silent_since = Some(Instant::now());
    }

    /// Waits until the next request is due. The first one is due at once.
    pub async fn wait(&mut self) {
        match self.silent_since {
            None => self.reset(),
            Some(since) => sleep(wait(self.interval, since.elapsed())).await,
        }
    }

    /// Returns the time without new records.
    pub fn silence(&self) -> Duration {
        self.silent_since
            .map_or(Duration::ZERO, |since| since.elapsed())
    }
}

fn wait(interval: Duration, silence: Duration) -> Duration {
    let longest = MAX_PAUSE.max(interval);
    (silence / SILENCE_FRACTION).clamp(interval, longest)
}

/// Returns whether it is later than a time in µs since the Unix epoch.
pub fn is_past(time: u64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.is_ok_and(|now| now.as_micros() > time.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn waits_grow_with_the_silence() {
        let waits = [0, 400, 1000, 10_000, 100_000].map(|silence| wait(ms(20), ms(silence)));
        assert_eq!(waits, [20, 20, 50, 500, 1000].map(ms));
    }

    #[test]
    fn a_long_interval_stays() {
        for silence in [0, 10_000, 1_000_000] {
            assert_eq!(wait(ms(5000), ms(silence)), ms(5000));
        }
    }

    #[test]
    fn a_silence_is_asked_less_and_less() {
        let mut silence = Duration::ZERO;
        let mut asked = [0; 6];
        while silence < Duration::from_secs(30) {
            asked[silence.as_secs() as usize / 5] += 1;
            silence += wait(ms(20), silence);
        }
        assert!(asked[0] <= 80, "{asked:?}");
        assert!(asked.is_sorted_by(|a, b| a >= b), "{asked:?}");
        assert_eq!(asked[5], 5, "{asked:?}");
    }

    #[test]
    fn the_epoch_is_past() {
        assert!(is_past(0));
        assert!(!is_past(u64::MAX));
    }
}
