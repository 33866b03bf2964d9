// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Recovery points: pictures with which decoding can begin, while output is right some reference pictures
//! later (ITU-T H.264, D.2.8).

use super::FrameNumber;

/// Search for the picture from which on output is right, if decoding begins with a recovery point message.
///
/// `recovery_frame_cnt` is a distance of `frame_num`, which counts reference pictures. Pictures that precede
/// the found one in output order may be wrong, even if they follow it in decoding order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    from: u32,
    frames: u32,
}

impl Recovery {
    /// Returns the search from the picture `start`, which has the message, with its `recovery_frame_cnt`.
    pub fn new(start: &FrameNumber, frames: u32) -> Self {
        Self {
            from: start.frame_num,
            frames,
        }
    }

    /// Returns whether the first picture is right itself.
    pub fn is_immediate(&self) -> bool {
        self.frames == 0
    }

    /// Returns whether `picture`, which follows in decoding order, is the one from which on output is right. If
    /// that one is lost, the next reference picture is.
    pub fn is_reached_by(&self, picture: &FrameNumber) -> bool {
        picture.idr || picture.reference && self.distance(picture) >= self.frames
    }

    /// Continues behind `picture`, after which numbers may restart (7.4.3).
    pub fn pass(&mut self, picture: &FrameNumber) {
        if picture.resets {
            self.from = 0u32.wrapping_sub(self.distance(picture));
        }
    }

    fn distance(&self, picture: &FrameNumber) -> u32 {
        picture.frame_num.wrapping_sub(self.from) & picture.modulus.wrapping_sub(1)
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
    fn it_is_reached_by_a_reference_picture() {
        let recovery = Recovery::new(&picture(14, true), 4);
        let is_reached = |frame_num| recovery.is_reached_by(&picture(frame_num, true));
        assert_eq!([14, 15, 0, 1].map(is_reached), [false; 4]);
        assert!(is_reached(2));
        // The reference picture with that number is lost.
        assert!(is_reached(3));
        assert!(!recovery.is_reached_by(&picture(2, false)));
        let idr = FrameNumber {
            idr: true,
            ..picture(0, true)
        };
        assert!(recovery.is_reached_by(&idr));
    }

    #[test]
    fn numbers_restart_after_a_reset() {
        let mut recovery = Recovery::new(&picture(5, true), 4);
        recovery.pass(&picture(6, true));
        let reset = FrameNumber {
            resets: true,
            ..picture(7, true)
        };
        recovery.pass(&reset);
        assert!(!recovery.is_reached_by(&picture(1, true)));
        assert!(recovery.is_reached_by(&picture(2, true)));
    }
}
