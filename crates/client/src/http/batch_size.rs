// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Adaptive limit of the records of one answer, because proxies limit the heads of answers.
//!
//! The head of an answer has a line for each of its records, and proxies limit heads: nginx to a memory page where
//! nothing else is configured, others by the number of lines. A refused answer is requested again with fewer records:
//! the largest number that has passed before, else half of it. The size that passes is kept. One answer at a time
//! tries a size between that and the refused one, until the two are close; from then on larger ones are tried more
//! and more rarely.

use std::mem;
use std::sync::Mutex;

use tracing::debug;

use crate::error::Error;
use crate::http::batch::WINDOW_RECORDS;
use crate::lock::lock;

/// First and largest number of answers that have to pass before a refused size is tried again.
const FIRST_TRIAL_AFTER: u32 = 4;
const LAST_TRIAL_AFTER: u32 = 4096;
/// Divisor of the size that passes: the search ends when the refused size is closer than that.
const PRECISION: u64 = 8;

/// The largest number of records to ask for at once. Shared by all readers of an entry.
#[derive(Debug)]
pub struct BatchSize(Mutex<BatchSizeState>);

#[derive(Debug)]
struct BatchSizeState {
    /// `None` before the first refusal.
    limit: Option<u64>,
    /// Smallest size that was refused since it last passed.
    refused: Option<u64>,
    /// Largest size that passed since it was last refused; 0 if none did.
    passed: u64,
    /// A size that had passed before was refused once: that may have another cause.
    is_doubted: bool,
    /// The size of an answer that broke off before or within its head, until one as large passes.
    broken: Option<u64>,
    /// A larger size to try.
    trial: Option<Trial>,
    /// Full answers to go before a larger size is tried, or tried by another answer.
    wait: u32,
    /// The value of `wait` after the next refusal of a larger size.
    patience: u32,
    /// Warning about refusals, posted once.
    notice: Notice,
}

#[derive(Debug, Clone, Copy)]
struct Trial {
    size: u64,
    /// An answer of this size is on its way, or was given up.
    is_asked: bool,
}

#[derive(Debug)]
enum Notice {
    None,
    /// A refusal with its size and its reason, until a smaller size has passed.
    Refused(u64, String),
    Ready(String),
    Posted,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self(Mutex::new(BatchSizeState {
            limit: None,
            refused: None,
            passed: 0,
            is_doubted: false,
            broken: None,
            trial: None,
            wait: 0,
            patience: FIRST_TRIAL_AFTER,
            notice: Notice::None,
        }))
    }
}

impl BatchSize {
    /// Returns the number of records to request at once, of `wanted` ones.
    pub fn of(&self, wanted: u64) -> u64 {
        self.with(|state| state.size_of(wanted))
    }

    /// Returns whether an answer with up to `asked` records would be refused, as others were.
    pub fn is_too_large(&self, asked: u64) -> bool {
        self.with(|state| {
            let is_refused = state.refused.is_some_and(|refused| asked >= refused);
            is_refused && state.trial.is_none_or(|trial| asked > trial.size)
        })
    }

    /// Adapts to an answer that has passed with `count` records.
    pub fn pass(&self, count: u64) {
        self.with(|state| state.pass(count));
    }

    /// Adapts to the refusal of an answer with up to `asked` records. Returns whether to request the number that
    /// [`of`](Self::of) then returns.
    pub fn refuse(&self, asked: u64, error: &Error) -> bool {
        self.with(|state| state.refuse(asked, Some(error)))
    }

    /// Adapts to a connection that ended before the head of an answer with up to `asked` records was complete. The
    /// first time that is a fault of the connection. Returns whether it counts as a refusal, because it was repeated.
    pub fn break_off(&self, asked: u64) -> bool {
        self.with(|state| {
            if state.broken.replace(asked).is_none() {
                return false;
            }
            // It was reported as a fault by then, and has happened twice.
            state.is_doubted = true;
            state.refuse(asked, None)
        })
    }

    /// Returns the warning about refused and accepted sizes, once.
    pub fn take_notice(&self) -> Option<String> {
        self.with(|state| match &mut state.notice {
            Notice::Ready(text) => {
                let text = mem::take(text);
                state.notice = Notice::Posted;
                Some(text)
            }
            _ => None,
        })
    }

    fn with<T>(&self, run: impl FnOnce(&mut BatchSizeState) -> T) -> T {
        run(&mut lock(&self.0))
    }
}

impl BatchSizeState {
    fn size_of(&mut self, wanted: u64) -> u64 {
        let Some(limit) = self.limit.filter(|limit| *limit < wanted) else {
            return wanted;
        };
        match &mut self.trial {
            // One answer at a time: others would be refused with it.
            Some(trial) if !trial.is_asked => {
                trial.is_asked = true;
                trial.size.min(wanted)
            }
            _ => limit,
        }
    }

    fn pass(&mut self, count: u64) {
        if self.limit.is_none_or(|limit| count >= limit / 2) {
            self.is_doubted = false;
        }
        // Smaller ones pass, too, where the size is the cause.
        if self.broken.is_some_and(|broken| count >= broken) {
            self.broken = None;
        }
        if let Notice::Refused(asked, reason) = &self.notice
            && count < *asked
        {
            self.notice = Notice::Ready(format!(
                "An answer with up to {asked} records was refused ({reason}), one with {count} was \
                 not. Fewer records are asked for at a time, which may be slower. A proxy in front \
                 of ReductStore may limit the heads of answers, as nginx does by proxy_buffer_size"
            ));
        }
        self.passed = self.passed.max(count);
        let Some(limit) = self.limit else {
            return;
        };
        if self.refused.is_some_and(|refused| refused <= count) {
            self.refused = None;
            self.patience = FIRST_TRIAL_AFTER;
        }
        if count > limit {
            self.limit = Some(count).filter(|count| *count < WINDOW_RECORDS);
            debug!(
                "an answer with {count} records passed, which is more than the limit of {limit}"
            );
            self.grow();
        } else if count == limit {
            self.wait = self.wait.saturating_sub(1);
            if self.wait == 0 {
                self.grow();
            }
        }
    }

    /// Lets one answer try more than the present limit.
    fn grow(&mut self) {
        let Some(limit) = self.limit else {
            self.trial = None;
            return;
        };
        let size = match self.refused {
            Some(refused) if !is_near(limit, refused) => {
                // In the middle of the ratio, as the two may be far apart.
                limit.saturating_mul(refused).isqrt().max(limit + 1)
            }
            // The limit may have been raised or removed since.
            Some(refused) => refused,
            None => limit.saturating_mul(2),
        };
        self.trial = Some(Trial {
            size,
            is_asked: false,
        });
        self.wait = FIRST_TRIAL_AFTER;
    }

    fn refuse(&mut self, asked: u64, error: Option<&Error>) -> bool {
        if asked <= 1 {
            // Once more, as for any size that should pass.
            self.is_doubted = !self.is_doubted;
            return self.is_doubted;
        }
        if let (Some(error), Notice::None) = (error, &self.notice) {
            self.notice = Notice::Refused(asked, error.text.clone());
        }
        let is_trial = self.trial.is_some_and(|trial| asked <= trial.size);
        // Concurrent answers are refused for the same reason.
        if self.limit.is_some_and(|limit| asked > limit) && !is_trial {
            return true;
        }
        if asked <= self.passed {
            if !mem::replace(&mut self.is_doubted, true) {
                return true;
            }
            self.passed = 0;
        }
        self.is_doubted = false;
        self.trial = None;
        let is_known = self.refused == Some(asked);
        self.refused = Some(asked);
        let limit = match (self.limit, self.passed) {
            (Some(limit), _) if limit < asked => limit,
            (_, 0) => asked / 2,
            (_, passed) => passed,
        };
        debug!("an answer with up to {asked} records was refused, at most {limit} are asked for");
        self.limit = Some(limit);
        self.wait = match is_near(limit, asked) {
            true => self.patience,
            false => 1,
        };
        if is_known && is_near(limit, asked) {
            self.patience = self.patience.saturating_mul(2).min(LAST_TRIAL_AFTER);
        }
        true
    }
}

/// Returns whether the search between an accepted and a refused size is complete.
fn is_near(limit: u64, refused: u64) -> bool {
    refused.saturating_sub(limit) <= (limit / PRECISION).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;

    fn refusal() -> Error {
        Error::new(Cause::Status(502), "502 Bad Gateway")
    }

    /// Asks for answers of `wanted` records from a server whose answers pass with up to `most`.
    /// Returns how many were refused.
    fn read(size: &BatchSize, answers: u32, wanted: u64, most: u64) -> u32 {
        let mut refused = 0;
        for _ in 0..answers {
            loop {
                let asked = size.of(wanted);
                if asked <= most {
                    size.pass(asked);
                    break;
                }
                refused += 1;
                assert!(size.refuse(asked, &refusal()), "{asked} of {most}");
            }
        }
        refused
    }

    #[test]
    fn nothing_is_limited_without_a_refusal() {
        let size = BatchSize::default();
        assert_eq!(read(&size, 100, 4000, u64::MAX), 0);
        assert_eq!(size.of(u64::MAX), u64::MAX);
        assert_eq!(size.take_notice(), None);
    }

    #[test]
    fn what_passes_is_found_with_few_refusals() {
        for most in [1, 2, 3, 7, 31, 60, 64, 100, 1000, 3999] {
            let size = BatchSize::default();
            assert!(read(&size, 20, 4000, most) <= 16, "{most}");
            let limit = size.of(4000);
            assert!(
                limit <= most && limit + limit / 7 + 1 >= most,
                "{most}: {limit}"
            );
            // From then on a refusal is an exception.
            let refused = read(&size, 1000, 4000, most);
            assert!(refused <= 10, "{most}: {refused}");
        }
    }

    #[test]
    fn a_limit_that_goes_is_forgotten() {
        let size = BatchSize::default();
        read(&size, 20, 4000, 60);
        read(&size, 4 * FIRST_TRIAL_AFTER + 20, 4000, u64::MAX);
        assert_eq!(size.of(4000), 4000);
    }

    #[test]
    fn a_limit_that_becomes_smaller_is_found() {
        let size = BatchSize::default();
        read(&size, 200, 4000, 1000);
        assert!(read(&size, 20, 4000, 3) <= 20);
        assert!((2..=3).contains(&size.of(4000)));
    }

    #[test]
    fn refusals_now_and_then_are_no_limit() {
        let size = BatchSize::default();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut sum = 0;
        for _ in 0..4000 {
            let asked = size.of(512);
            match rng.u8(..4) {
                0 => assert!(size.refuse(asked, &refusal())),
                _ => {
                    sum += asked;
                    size.pass(asked);
                }
            }
        }
        assert!(sum / 3000 > 128, "{}", sum / 3000);
    }

    #[test]
    fn answers_that_are_under_way_together_count_once() {
        let size = BatchSize::default();
        for _ in 0..8 {
            assert!(size.refuse(512, &refusal()));
        }
        assert_eq!(size.of(4000), 256);
        assert!(size.is_too_large(512) && !size.is_too_large(256));
    }

    #[test]
    fn one_answer_at_a_time_tries_more() {
        let size = BatchSize::default();
        size.pass(32);
        assert!(size.refuse(512, &refusal()));
        assert_eq!(size.of(512), 32);
        size.pass(32);
        assert_eq!([size.of(512), size.of(512)], [128, 32]);
        assert!(size.refuse(128, &refusal()));
        size.pass(32);
        assert_eq!([size.of(512), size.of(512)], [64, 32]);
        size.pass(64);
        assert_eq!([size.of(512), size.of(512)], [90, 64]);
        // The answer that tries more may be given up.
        for _ in 0..FIRST_TRIAL_AFTER {
            size.pass(64);
        }
        assert_eq!([size.of(512), size.of(512)], [90, 64]);
    }

    #[test]
    fn a_single_record_cannot_be_halved() {
        let size = BatchSize::default();
        for _ in 0..2 {
            assert!(size.refuse(1, &refusal()));
            assert!(!size.refuse(1, &refusal()));
        }
        assert!(size.refuse(2, &refusal()));
        assert_eq!(size.of(9), 1);
    }

    #[test]
    fn short_answers_say_nothing_of_longer_ones() {
        let size = BatchSize::default();
        assert!(size.refuse(512, &refusal()));
        for _ in 0..1000 {
            size.pass(3);
        }
        assert_eq!(size.of(512), 256);
    }

    #[test]
    fn one_notice_that_names_what_was_refused() {
        let size = BatchSize::default();
        read(&size, 1, 100, 30);
        let notice = size.take_notice().unwrap();
        for part in ["up to 100 records", "502 Bad Gateway", "one with 25"] {
            assert!(notice.contains(part), "{notice}");
        }
        read(&size, 500, 100, 3);
        assert_eq!(size.take_notice(), None);
    }

    #[test]
    fn a_connection_that_breaks_once_says_nothing() {
        let size = BatchSize::default();
        assert!(!size.break_off(512));
        size.pass(512);
        assert!(!size.break_off(512));
        // A short answer that passes is no evidence.
        size.pass(3);
        assert!(size.break_off(512));
        assert_eq!(size.of(512), 256);
        // The first time it was reported as a fault.
        size.pass(256);
        assert_eq!(size.take_notice(), None);
    }
}
