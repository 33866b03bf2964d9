// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Times of the pipeline's clock as times since the Unix epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gst::ClockTime;
use gst::prelude::*;

use crate::capture_time::NTP_TO_UNIX;

const NTP_EPOCH_NS: i128 = NTP_TO_UNIX.nseconds() as i128;
/// A clock so far from this machine's is taken to count from the same epoch, and to know better.
const SAME_NS: i128 = 1_000_000_000;

/// What a clock has to be set forward by to show the time since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset(i128);

impl Offset {
    /// The offset of a clock, by what it and this machine show now.
    ///
    /// Clocks that count from the Unix or the NTP epoch are believed. Any other's offset is measured.
    pub fn of(clock: &gst::Clock) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::between(clock.time(), wall.unwrap_or_default())
    }

    fn between(clock: ClockTime, wall: Duration) -> Self {
        let clock = i128::from(clock.nseconds());
        let measured = i128::try_from(wall.as_nanos()).unwrap_or(0) - clock;
        let of_epochs = [0, -NTP_EPOCH_NS];
        let known = of_epochs
            .into_iter()
            .find(|known| (measured - known).abs() < SAME_NS);
        Self(known.unwrap_or(measured))
    }

    /// The time since the Unix epoch.
    pub fn unix_time(self, clock: ClockTime) -> ClockTime {
        let time = (i128::from(clock.nseconds()) + self.0).max(0);
        u64::try_from(time).map_or(ClockTime::MAX, |time| {
            ClockTime::try_from(time).unwrap_or(ClockTime::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Duration = Duration::from_nanos(1_749_804_653_273_752_123);

    fn now(clock: u64) -> u64 {
        let clock = ClockTime::from_nseconds(clock);
        Offset::between(clock, WALL).unix_time(clock).nseconds()
    }

    #[test]
    fn clocks_of_an_epoch_are_believed() {
        let unix = WALL.as_nanos() as u64;
        assert_eq!(now(unix), unix);
        assert_eq!(now(unix + 400_000_000), unix + 400_000_000);
        let ntp = unix + NTP_EPOCH_NS as u64;
        assert_eq!(now(ntp - 3), unix - 3);
    }

    #[test]
    fn other_clocks_are_measured() {
        let unix = WALL.as_nanos() as u64;
        for clock in [0, 77_000_000_000, unix + 37_000_000_000] {
            assert_eq!(now(clock), unix, "{clock}");
        }
        let offset = Offset::between(ClockTime::ZERO, WALL);
        assert_eq!(
            offset.unix_time(ClockTime::SECOND).nseconds(),
            unix + 1_000_000_000
        );
    }
}
