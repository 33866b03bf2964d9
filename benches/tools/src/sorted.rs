// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0
//! Values in order of size.

use anyhow::{Result, ensure};

/// Some values, at least one.
pub struct Sorted(Vec<f64>);

impl Sorted {
    /// Puts values in order.
    pub fn new(mut values: Vec<f64>) -> Result<Self> {
        ensure!(!values.is_empty(), "no values");
        values.sort_by(f64::total_cmp);
        Ok(Self(values))
    }

    /// The one in the middle, or the mean of the two there.
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 {
            self.0[middle]
        } else {
            (self.0[middle - 1] + self.0[middle]) / 2.0
        }
    }

    /// The smallest one that at least 95 % of all do not exceed.
    pub fn p95(&self) -> f64 {
        self.0[(self.0.len() * 95).div_ceil(100) - 1]
    }

    /// The smallest and the largest one, if there are several.
    pub fn ends(&self) -> Option<(f64, f64)> {
        match self.0[..] {
            [first, .., last] => Some((first, last)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(values: impl IntoIterator<Item = u8>) -> Sorted {
        Sorted::new(values.into_iter().map(f64::from).collect()).unwrap()
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(sorted([7]).median(), 7.0);
        assert_eq!(sorted([9, 1, 4]).median(), 4.0);
        assert_eq!(sorted([9, 1, 4, 5]).median(), 4.5);
    }

    #[test]
    fn no_more_than_a_twentieth_is_above_p95() {
        assert_eq!(sorted([7]).p95(), 7.0);
        assert_eq!(sorted((1..=19).rev()).p95(), 19.0);
        assert_eq!(sorted(1..=20).p95(), 19.0);
        assert_eq!(sorted(1..=21).p95(), 20.0);
        assert_eq!(sorted(1..=200).p95(), 190.0);
    }

    #[test]
    fn there_is_a_value() {
        assert!(Sorted::new(Vec::new()).is_err());
    }
}
