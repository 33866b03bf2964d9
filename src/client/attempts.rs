// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! How often, and when, something that failed is tried again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Back-off between attempts: a jitter of up to its length comes to each.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(5);

/// Attempts in a row without progress.
#[derive(Debug)]
pub struct Attempts {
    most: u32,
    made: u32,
    delays: ExponentialBackoff,
}

impl Attempts {
    /// At most so many.
    pub fn new(most: u32) -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LAST_DELAY)
            .with_jitter()
            .with_max_times(most as usize);
        Self {
            most,
            made: 0,
            delays: delays.build(),
        }
    }

    /// How long to wait before the next one; `None` if there are no more.
    pub fn next_delay(&mut self) -> Option<Duration> {
        let delay = self.delays.next()?;
        self.made += 1;
        Some(delay)
    }

    /// How many there were.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// There was progress.
    pub fn reset(&mut self) {
        if self.made > 0 {
            *self = Self::new(self.most);
        }
    }
}
