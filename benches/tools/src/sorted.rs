// Copyright (C) 2026 the gst-plugin-reduct authors
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

    /// The smallest one that at least so many percent of all, 1 to 100, do not exceed.
    pub fn percentile(&self, percent: usize) -> f64 {
        self.0[(self.0.len() * percent).div_ceil(100) - 1]
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
    fn no_more_than_the_rest_is_above_a_percentile() {
        assert_eq!(sorted([7]).percentile(95), 7.0);
        assert_eq!(sorted((1..=19).rev()).percentile(95), 19.0);
        assert_eq!(sorted(1..=20).percentile(95), 19.0);
        assert_eq!(sorted(1..=21).percentile(95), 20.0);
        assert_eq!(sorted(1..=200).percentile(95), 190.0);
        assert_eq!(sorted(1..=200).percentile(99), 198.0);
        assert_eq!(sorted(1..=200).percentile(100), 200.0);
    }

    #[test]
    fn there_is_a_value() {
        assert!(Sorted::new(Vec::new()).is_err());
    }
}
