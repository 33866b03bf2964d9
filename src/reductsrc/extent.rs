// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! How long the recording is: what queries are answered with, without asking the server.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gst::ClockTime;

use crate::client::EntryTimes;

/// What is known of the recording's extent. Any thread may ask.
#[derive(Debug, Default)]
pub struct Extent(Mutex<Known>);

#[derive(Debug, Default, Clone, Copy)]
struct Known {
    /// Capture time that is stream time 0.
    zero: Option<ClockTime>,
    /// Times of the oldest and the newest record.
    oldest: Option<ClockTime>,
    newest: Option<ClockTime>,
    /// How long a record lasts at most.
    record: ClockTime,
    /// Capture time at which all ends, if it is set.
    stop: Option<ClockTime>,
}

impl Extent {
    /// Takes where all ends, if not with the newest record.
    pub fn set_stop(&self, stop: ClockTime) {
        self.known().stop = Some(stop);
    }

    /// Takes what the server says of the entry.
    pub fn hear_of(&self, times: EntryTimes) {
        let time = |time: u64| ClockTime::from_useconds(time.min(u64::MAX / 1000 - 1));
        let mut known = self.known();
        known.oldest = Some(time(times.oldest));
        known.newest = Some(time(times.newest));
    }

    /// Takes what is stream time 0.
    pub fn set_zero(&self, zero: ClockTime) {
        self.known().zero = Some(zero);
    }

    /// Takes how long a record lasts.
    pub fn hear_of_record(&self, duration: ClockTime) {
        let mut known = self.known();
        known.record = known.record.max(duration);
    }

    /// How long a record lasts at most, as far as it is known.
    pub fn record(&self) -> ClockTime {
        self.known().record
    }

    /// Time of the oldest record.
    pub fn oldest(&self) -> Option<ClockTime> {
        self.known().oldest
    }

    /// Time of the newest record.
    pub fn newest(&self) -> Option<ClockTime> {
        self.known().newest
    }

    /// Stream time at which it ends, if that is known.
    pub fn duration(&self) -> Option<ClockTime> {
        let known = *self.known();
        let newest = known.newest?.saturating_add(known.record);
        let end = known.stop.map_or(newest, |stop| stop.min(newest));
        Some(end.saturating_sub(known.zero?))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
