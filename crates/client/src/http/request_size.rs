// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Adaptive size of a request that writes records, because servers and proxies limit heads and bodies.

use tracing::debug;

/// Requests of the full size that are accepted before a larger one is tried.
const GROW_AFTER: u32 = 8;
/// Requests of the largest size known to fit before a refused size is tried again: limits change
/// rarely, and a refused body is sent in vain.
const FORGET_AFTER: u32 = 512;

/// Part of a request that was too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Its body is too long (413).
    Body,
    /// Its head is too long, or has too many lines (431, 494, and 400 of a proxy).
    Head,
    /// No answer came, several times in a row: some servers and proxies close the connection instead.
    Unknown,
}

/// Upper limits of a request, as far as they are known.
#[derive(Debug)]
pub struct RequestSize {
    records: Limit,
    bytes: Limit,
}

impl RequestSize {
    /// Creates limits of records and bytes. A larger record is a request of its own.
    pub fn new(records: usize, bytes: u64) -> Self {
        Self {
            records: Limit::new(records as u64),
            bytes: Limit::new(bytes),
        }
    }

    /// Returns the number of records of the next request, given the lengths of those that wait. It is at least one,
    /// if there is one.
    pub fn fit(&self, lengths: impl IntoIterator<Item = u64>) -> usize {
        let mut bytes = 0_u64;
        let lengths = lengths.into_iter().take(self.records.current());
        let fitting = lengths.enumerate().take_while(|(index, length)| {
            bytes = bytes.saturating_add(*length);
            *index == 0 || bytes <= self.bytes.current
        });
        fitting.count()
    }

    /// Adapts to an accepted request with records of these lengths, the first of `waiting`.
    pub fn accept(&mut self, lengths: &[u64], waiting: &[u64]) {
        let (records, bytes) = (lengths.len() as u64, sum(lengths));
        let next = waiting.get(lengths.len());
        let is_full = next.is_some() && lengths.len() >= self.records.current();
        self.records.accept(records, is_full);
        let is_full = next.is_some_and(|next| bytes.saturating_add(*next) > self.bytes.current);
        self.bytes.accept(bytes, is_full);
    }

    /// Adapts to a refused request with records of these lengths. Returns whether a smaller one can be tried.
    pub fn refuse(&mut self, lengths: &[u64], excess: Excess) -> bool {
        let count = lengths.len();
        if count <= 1 {
            return false;
        }
        match excess {
            Excess::Body => self.bytes.refuse(sum(lengths)),
            Excess::Head => self.records.refuse(count as u64),
            Excess::Unknown => self.records.reduce(count as u64),
        }
        if self.fit(lengths.iter().copied()) >= count {
            // Records without content are no shorter for it.
            self.records.refuse(count as u64);
        }
        debug!(
            "a request with {count} records was refused, at most {} records and {} bytes are sent",
            self.records.current, self.bytes.current
        );
        true
    }
}

fn sum(lengths: &[u64]) -> u64 {
    lengths
        .iter()
        .fold(0, |sum: u64, length| sum.saturating_add(*length))
}

/// A limit that is found by search.
#[derive(Debug)]
struct Limit {
    most: u64,
    /// Limit of the next request.
    current: u64,
    /// The largest size that was accepted since it was last refused.
    fits: u64,
    /// The smallest size that was refused.
    refused: Option<u64>,
    /// Requests in a row that were accepted and as large as allowed.
    streak: u32,
}

impl Limit {
    fn new(most: u64) -> Self {
        Self {
            most,
            current: most,
            fits: 0,
            refused: None,
            streak: 0,
        }
    }

    fn current(&self) -> usize {
        usize::try_from(self.current).unwrap_or(usize::MAX).max(1)
    }

    fn accept(&mut self, size: u64, is_full: bool) {
        self.fits = self.fits.max(size);
        if self.refused.is_some_and(|refused| size >= refused) {
            self.refused = None;
        }
        if !is_full || self.current >= self.most {
            return;
        }
        self.streak += 1;
        let grown = match self.refused {
            None => self.current.saturating_mul(2),
            // The limit is between the two. The last steps are not worth a refused request each.
            Some(refused) => {
                let step = refused.saturating_sub(self.current) / 2;
                if step <= self.current / 16 {
                    if self.streak >= FORGET_AFTER {
                        self.refused = None;
                        self.streak = 0;
                    }
                    return;
                }
                self.current + step
            }
        };
        if self.streak >= GROW_AFTER {
            debug!(
                "the size of requests grows from {} to {grown}",
                self.current
            );
            self.current = grown.clamp(1, self.most);
            self.streak = 0;
        }
    }

    fn refuse(&mut self, size: u64) {
        self.refused = Some(size);
        if self.fits >= size {
            self.fits = 0; // The limit became smaller.
        }
        self.current = self.fits.max(size / 2);
        self.streak = 0;
    }

    /// Reduces the size for now, although it may not have been the reason.
    fn reduce(&mut self, size: u64) {
        self.current = size / 4;
        self.streak = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORDS: usize = 80;
    const BYTES: u64 = 4_000_000;

    /// Writes records of these lengths to a server with limits. Returns the sizes of the requests that were
    /// accepted, and how many were refused.
    fn write(
        size: &mut RequestSize,
        lengths: &[u64],
        excess: Excess,
        accepts: impl Fn(&[u64]) -> bool,
    ) -> (Vec<usize>, usize) {
        let (mut left, mut accepted, mut refused) = (lengths, Vec::new(), 0);
        while !left.is_empty() {
            let count = size.fit(left.iter().copied());
            assert!(count > 0);
            let (now, rest) = left.split_at(count);
            if accepts(now) {
                size.accept(now, left);
                accepted.push(count);
                left = rest;
            } else {
                assert!(size.refuse(now, excess), "{now:?}");
                refused += 1;
            }
        }
        (accepted, refused)
    }

    #[test]
    fn nothing_is_smaller_than_it_need_be() {
        let mut size = RequestSize::new(RECORDS, BYTES);
        assert_eq!(size.fit([10; 200]), RECORDS);
        assert_eq!(size.fit([400_000; 24]), 10);
        assert_eq!(size.fit([5_000_000, 1]), 1);
        assert_eq!(size.fit([0, 4_000_000, 1]), 2);
        assert_eq!(size.fit([]), 0);
        let (accepted, refused) = write(&mut size, &[10; 1600], Excess::Head, |_| true);
        assert_eq!((accepted, refused), (vec![RECORDS; 20], 0));
    }

    #[test]
    fn a_limit_of_a_body_is_found() {
        let mut size = RequestSize::new(RECORDS, BYTES);
        let limit = |now: &[u64]| sum(now) <= 1 << 20;
        let (accepted, refused) = write(&mut size, &[400_000; 24], Excess::Body, limit);
        assert!(accepted.iter().all(|count| *count <= 2));
        assert!(refused <= 3, "{refused}");
        // Small ones need not be few.
        assert_eq!(size.fit([5_000; 200]), RECORDS);
    }

    #[test]
    fn a_limit_of_a_head_is_found_and_rarely_met_again() {
        for limit in [1, 2, 5, 31, 40, 41, 79] {
            let mut size = RequestSize::new(RECORDS, BYTES);
            let accepts = |now: &[u64]| now.len() <= limit;
            let (accepted, refused) = write(&mut size, &[300; 20_000], Excess::Head, accepts);
            let most = 12 + accepted.len() / FORGET_AFTER as usize * 8;
            assert!(refused <= most, "{limit}: {refused}");
            let last = accepted[accepted.len() - 2];
            assert!(last * 17 >= limit * 15, "{limit}: {last}");
        }
    }

    #[test]
    fn a_limit_that_goes_away_is_forgotten() {
        let mut size = RequestSize::new(RECORDS, BYTES);
        write(&mut size, &[300; 2000], Excess::Head, |now| now.len() <= 7);
        write(&mut size, &[300; 20_000], Excess::Head, |_| true);
        assert_eq!(size.fit([300; 200]), RECORDS);
    }

    #[test]
    fn what_may_have_another_reason_grows_soon() {
        let mut size = RequestSize::new(RECORDS, BYTES);
        for _ in 0..10 {
            let count = size.fit([300; 200]);
            size.refuse(&vec![300; count], Excess::Unknown);
        }
        assert_eq!(size.fit([300; 200]), 1);
        let (accepted, _) = write(&mut size, &[300; 2000], Excess::Unknown, |_| true);
        assert!(accepted.len() < 100, "{}", accepted.len());
        assert_eq!(size.fit([300; 200]), RECORDS);
    }

    #[test]
    fn a_single_record_cannot_be_smaller() {
        let mut size = RequestSize::new(RECORDS, BYTES);
        for excess in [Excess::Body, Excess::Head, Excess::Unknown] {
            assert!(!size.refuse(&[1_500_000], excess));
        }
        assert_eq!(size.fit([10; 200]), RECORDS);
    }

    proptest! {
        #[test]
        fn each_limit_is_found(
            lengths in prop::collection::vec(0_u64..700_000, 1..400),
            records in 1_usize..100,
            bytes in 700_000_u64..8_000_000,
            is_head in any::<bool>(),
        ) {
            let mut size = RequestSize::new(RECORDS, BYTES);
            let excess = if is_head { Excess::Head } else { Excess::Body };
            let accepts = |now: &[u64]| now.len() == 1 || now.len() <= records && sum(now) <= bytes;
            let (accepted, refused) = write(&mut size, &lengths, excess, accepts);
            prop_assert_eq!(accepted.iter().sum::<usize>(), lengths.len());
            prop_assert!(refused <= 12 + accepted.len() / 4, "{} of {}", refused, accepted.len());
        }
    }
}
