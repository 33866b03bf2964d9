// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Capture times: points in time since the Unix epoch.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat};

use super::nanos::Nanos;

/// A point in time since the Unix epoch (1970-01-01T00:00:00Z), up to the year 2554.
///
/// ReductStore has times in whole microseconds. Frames of a record that has several may have times between these, which
/// is why nanoseconds are kept. Arithmetic saturates, as that of [`Nanos`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureTime(Nanos);

impl CaptureTime {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(Nanos::ZERO);
    /// The latest time.
    pub const MAX: Self = Self(Nanos::MAX);
    /// The latest time that is accepted as input: one microsecond later is a time, too.
    pub const MAX_INPUT: Self = Self::from_useconds(u64::MAX / 1000 - 1);

    /// Returns the time `since_epoch`.
    pub const fn new(since_epoch: Nanos) -> Self {
        Self(since_epoch)
    }

    /// Returns a time in microseconds since the Unix epoch, as ReductStore has it, at most [`CaptureTime::MAX`].
    pub const fn from_useconds(microseconds: u64) -> Self {
        Self(Nanos::from_useconds(microseconds))
    }

    /// Returns the time since the Unix epoch.
    pub const fn since_epoch(self) -> Nanos {
        self.0
    }

    /// Returns the whole microseconds since the Unix epoch, rounded down.
    pub const fn useconds(self) -> u64 {
        self.0.useconds()
    }

    /// Returns the time in the whole microseconds that ReductStore has, rounded down.
    pub const fn in_whole_useconds(self) -> Self {
        Self::from_useconds(self.useconds())
    }

    /// Returns the time `duration` later, or `None` after [`CaptureTime::MAX`].
    pub fn checked_add(self, duration: Nanos) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// Returns the time since `earlier`, or `None` if that is later.
    pub fn checked_since(self, earlier: Self) -> Option<Nanos> {
        self.0.checked_sub(earlier.0)
    }

    /// Returns the distance of two times.
    pub const fn absdiff(self, other: Self) -> Nanos {
        self.0.absdiff(other.0)
    }
}

impl Add<Nanos> for CaptureTime {
    type Output = Self;

    /// Returns the time `duration` later, at most [`CaptureTime::MAX`].
    fn add(self, duration: Nanos) -> Self {
        Self(self.0 + duration)
    }
}

impl AddAssign<Nanos> for CaptureTime {
    fn add_assign(&mut self, duration: Nanos) {
        *self = *self + duration;
    }
}

impl Sub<Nanos> for CaptureTime {
    type Output = Self;

    /// Returns the time `duration` before, at least [`CaptureTime::EPOCH`].
    fn sub(self, duration: Nanos) -> Self {
        Self(self.0 - duration)
    }
}

impl Sub for CaptureTime {
    type Output = Nanos;

    /// Returns the time since `earlier`, or [`Nanos::ZERO`] if that is later.
    fn sub(self, earlier: Self) -> Nanos {
        self.0 - earlier.0
    }
}

/// RFC 3339 in UTC with microseconds, such as `2025-06-13T08:50:53.273752Z`.
impl fmt::Display for CaptureTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&utc(self.useconds()))
    }
}

/// Returns a time in µs since the Unix epoch as text (RFC 3339), be it later than any [`CaptureTime`].
pub(crate) fn utc(microseconds: u64) -> String {
    let date = i64::try_from(microseconds)
        .ok()
        .and_then(DateTime::from_timestamp_micros);
    match date {
        Some(date) => date.to_rfc3339_opts(SecondsFormat::Micros, true),
        None => format!("{microseconds} µs"),
    }
}

/// Error of a text that is no capture time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time: RFC 3339, or µs since the Unix epoch, from 1970 to 2554")]
pub struct InvalidCaptureTime;

impl FromStr for CaptureTime {
    type Err = InvalidCaptureTime;

    /// Reads a time from RFC 3339 or an integer: µs since the Unix epoch. White space around it is ignored.
    ///
    /// # Errors
    ///
    /// Other texts, times before the epoch, and those after [`CaptureTime::MAX_INPUT`].
    fn from_str(text: &str) -> Result<Self, InvalidCaptureTime> {
        let text = text.trim();
        let of_date = || {
            let time = DateTime::parse_from_rfc3339(text).ok()?;
            u64::try_from(time.timestamp_micros()).ok()
        };
        let time = text.parse().ok().or_else(of_date);
        time.filter(|time| *time <= Self::MAX_INPUT.useconds())
            .map(Self::from_useconds)
            .ok_or(InvalidCaptureTime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_text() {
        let expected = Ok(CaptureTime::from_useconds(1_749_804_653_273_752));
        assert_eq!("1749804653273752".parse(), expected);
        for text in [
            "2025-06-13T08:50:53.273752Z",
            "2025-06-13t08:50:53.273752z",
            "2025-06-13T10:50:53.273752+02:00",
            " 2025-06-13 08:50:53.273752Z ",
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "-5",
            "2025-06-13",
            "1960-01-01T00:00:00Z",
            "1.5",
        ] {
            assert_eq!(
                text.parse::<CaptureTime>(),
                Err(InvalidCaptureTime),
                "{text}"
            );
        }
        let too_large = u64::MAX.to_string().parse::<CaptureTime>();
        assert_eq!(too_large, Err(InvalidCaptureTime));
    }

    #[test]
    fn as_text() {
        let time = CaptureTime::from_useconds(1_749_804_653_273_752);
        assert_eq!(time.to_string(), "2025-06-13T08:50:53.273752Z");
        assert!(CaptureTime::MAX_INPUT.to_string().starts_with("2554-"));
        assert_eq!((time + Nanos::NSECOND).to_string(), time.to_string());
    }

    #[test]
    fn arithmetic_saturates() {
        let time = CaptureTime::from_useconds(5);
        assert_eq!(time + Nanos::NSECOND - time, Nanos::NSECOND);
        assert_eq!(time - (time + Nanos::NSECOND), Nanos::ZERO);
        assert_eq!(time - Nanos::SECOND, CaptureTime::EPOCH);
        assert_eq!(CaptureTime::MAX + Nanos::SECOND, CaptureTime::MAX);
        assert_eq!(CaptureTime::MAX.checked_add(Nanos::NSECOND), None);
        assert_eq!(time.checked_since(CaptureTime::MAX), None);
        assert_eq!(CaptureTime::from_useconds(u64::MAX), CaptureTime::MAX);
        let later = CaptureTime::MAX_INPUT + Nanos::USECOND;
        assert_eq!(later - CaptureTime::MAX_INPUT, Nanos::USECOND);
    }
}
