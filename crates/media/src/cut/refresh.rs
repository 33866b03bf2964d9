// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Gradual refresh of pictures from a recovery point on (ITU-T H.264, D.2.8).
//!
//! Decoding can begin at the recovery point, but pictures are right only when the refresh is complete.
//! An episode that begins so has the access units of the refresh, hidden; the episode before it shows
//! them.

use crate::codec::h264::{FrameNumber, Recovery};

/// Bytes of access units that a refresh may have. A longer one begins no episode.
const MAX_BYTES: usize = 64 << 20;

/// A refresh that is not complete, with its access units.
#[derive(Debug)]
pub struct Refresh<T> {
    recovery: Recovery,
    bytes: usize,
    units: Vec<T>,
}

impl<T> Refresh<T> {
    /// Creates a refresh of `frames` frames (`recovery_frame_cnt`) from the picture `start` on.
    pub fn new(start: FrameNumber, frames: u32) -> Self {
        Self {
            recovery: Recovery::new(&start, frames),
            bytes: 0,
            units: Vec::new(),
        }
    }

    /// Returns whether pictures are right from `picture` on.
    pub fn is_complete_at(&self, picture: FrameNumber) -> bool {
        self.recovery.is_reached_by(&picture)
    }

    /// Adds an access unit of so many bytes. Returns whether there is room for it.
    pub fn add(&mut self, unit: T, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        self.units.push(unit);
        self.bytes <= MAX_BYTES
    }

    /// Returns its access units so far.
    pub fn units(&self) -> &[T] {
        &self.units
    }

    /// Takes all its access units.
    pub fn into_units(self) -> Vec<T> {
        self.units
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264::testing::FRAME_NUMBER;

    fn picture(frame_num: u32, reference: bool) -> FrameNumber {
        FrameNumber {
            frame_num,
            reference,
            ..FRAME_NUMBER
        }
    }

    #[test]
    fn a_refresh_has_limited_room() {
        let mut refresh = Refresh::new(picture(0, true), 4);
        assert!(refresh.add(1, MAX_BYTES));
        assert!(!refresh.add(2, 1));
        assert_eq!(refresh.into_units(), [1, 2]);
    }
}
