// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Durations and times in a timeline, in nanoseconds that saturate.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Rem, Sub, SubAssign};
use std::time::Duration;

/// A duration, or a time in a timeline, in nanoseconds, whose arithmetic saturates at [`Nanos::ZERO`] and
/// [`Nanos::MAX`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(u64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// One nanosecond.
    pub const NSECOND: Self = Self(1);
    /// One microsecond.
    pub const USECOND: Self = Self(1_000);
    /// One millisecond.
    pub const MSECOND: Self = Self(1_000_000);
    /// One second.
    pub const SECOND: Self = Self(1_000_000_000);
    /// The largest value. `u64::MAX` is excluded: containers and frameworks use it for "no time".
    pub const MAX: Self = Self(u64::MAX - 1);

    /// Returns a time of `nanoseconds`, at most [`Nanos::MAX`].
    pub const fn from_nseconds(nanoseconds: u64) -> Self {
        match nanoseconds {
            u64::MAX => Self::MAX,
            nanoseconds => Self(nanoseconds),
        }
    }

    /// Returns a time of `microseconds`, at most [`Nanos::MAX`].
    pub const fn from_useconds(microseconds: u64) -> Self {
        Self::USECOND.saturating_mul(microseconds)
    }

    /// Returns a time of `milliseconds`, at most [`Nanos::MAX`].
    pub const fn from_mseconds(milliseconds: u64) -> Self {
        Self::MSECOND.saturating_mul(milliseconds)
    }

    /// Returns a time of `seconds`, at most [`Nanos::MAX`].
    pub const fn from_seconds(seconds: u64) -> Self {
        Self::SECOND.saturating_mul(seconds)
    }

    /// Returns the time in nanoseconds.
    pub const fn nseconds(self) -> u64 {
        self.0
    }

    /// Returns the time in whole microseconds, rounded down.
    pub const fn useconds(self) -> u64 {
        self.0 / Self::USECOND.0
    }

    /// Returns the time in whole milliseconds, rounded down.
    pub const fn mseconds(self) -> u64 {
        self.0 / Self::MSECOND.0
    }

    /// Returns the time in whole seconds, rounded down.
    pub const fn seconds(self) -> u64 {
        self.0 / Self::SECOND.0
    }

    /// Returns whether this is [`Nanos::ZERO`].
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns the sum, at most [`Nanos::MAX`].
    pub const fn saturating_add(self, other: Self) -> Self {
        Self::from_nseconds(self.0.saturating_add(other.0))
    }

    /// Returns the difference, at least [`Nanos::ZERO`].
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns the product, at most [`Nanos::MAX`].
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self::from_nseconds(self.0.saturating_mul(factor))
    }

    /// Returns the sum, or `None` above [`Nanos::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        (sum <= Self::MAX.0).then_some(Self(sum))
    }

    /// Returns the difference, or `None` if `other` is larger.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Returns the product, or `None` above [`Nanos::MAX`].
    pub fn checked_mul(self, factor: u64) -> Option<Self> {
        let product = self.0.checked_mul(factor)?;
        (product <= Self::MAX.0).then_some(Self(product))
    }

    /// Returns the quotient, or `None` for a divisor of 0.
    pub fn checked_div(self, divisor: u64) -> Option<Self> {
        self.0.checked_div(divisor).map(Self)
    }

    /// Returns the distance of two times.
    pub const fn absdiff(self, other: Self) -> Self {
        Self(self.0.abs_diff(other.0))
    }
}

impl Add for Nanos {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

impl SubAssign for Nanos {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Mul<u64> for Nanos {
    type Output = Self;

    fn mul(self, factor: u64) -> Self {
        self.saturating_mul(factor)
    }
}

impl Mul<Nanos> for u64 {
    type Output = Nanos;

    fn mul(self, time: Nanos) -> Nanos {
        time * self
    }
}

impl Div<u64> for Nanos {
    type Output = Self;

    fn div(self, divisor: u64) -> Self {
        Self(self.0 / divisor)
    }
}

impl Rem<u64> for Nanos {
    type Output = Self;

    fn rem(self, divisor: u64) -> Self {
        Self(self.0 % divisor)
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::ZERO, Self::saturating_add)
    }
}

impl From<Nanos> for Duration {
    fn from(time: Nanos) -> Self {
        Self::from_nanos(time.0)
    }
}

/// Hours, minutes and seconds: `1:02:03.000000004`. A precision sets the number of decimals.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, fraction) = (self.seconds(), self.0 % Self::SECOND.0);
        let decimals = f.precision().unwrap_or(9).min(9);
        let text = format!(
            "{}:{:02}:{:02}.{fraction:09}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
        );
        let end = match decimals {
            0 => text.len() - 10,
            decimals => text.len() - (9 - decimals),
        };
        f.write_str(&text[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Nanos::MAX + Nanos::NSECOND, Nanos::MAX);
        assert_eq!(Nanos::SECOND - Nanos::MAX, Nanos::ZERO);
        assert_eq!(Nanos::MAX * 2, Nanos::MAX);
        assert_eq!(Nanos::from_nseconds(u64::MAX), Nanos::MAX);
        assert_eq!(Nanos::from_seconds(u64::MAX), Nanos::MAX);
        assert_eq!(Nanos::MAX.checked_add(Nanos::NSECOND), None);
        assert_eq!(Nanos::ZERO.checked_sub(Nanos::NSECOND), None);
        assert_eq!(Nanos::SECOND.checked_mul(u64::MAX), None);
        assert_eq!(Nanos::SECOND.checked_div(0), None);
    }

    #[test]
    fn as_text() {
        let time = Nanos::from_nseconds(3_723_000_000_004);
        assert_eq!(time.to_string(), "1:02:03.000000004");
        assert_eq!(format!("{time:.3} {time:.0}"), "1:02:03.000 1:02:03");
        assert_eq!(Nanos::MAX.to_string(), "5124095:34:33.709551614");
    }
}
