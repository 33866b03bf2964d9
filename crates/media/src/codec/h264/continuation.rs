// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Distinguishes the rest of a NAL unit from content other than H.264.
//!
//! A record that does not begin with a start code continues the NAL unit before it, unless its content
//! cannot be, or almost certainly is not, that of a NAL unit. In case of doubt it is a continuation, as
//! coded slice data looks random: foreign bytes at the end of a slice are ignored by decoders, while
//! the opposite mistake loses pictures.

use memchr::memmem;

use super::nal::{nal_type, nal_unit_type};
use crate::codec::length_prefixed;

/// Knowledge of the stream from earlier records.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContinuationEvidence {
    /// A record continued a NAL unit.
    pub cuts: bool,
    /// Number of consecutive records that ended with a NAL unit.
    pub whole: usize,
}

/// Records of whole NAL units after which shorter texts are recognised.
const MANY: usize = 3;
/// Smallest size of recognised text, in bytes. A byte of random data is text with a probability of
/// 0.38.
const TEXT: usize = 8;
/// The same after many records of whole NAL units.
const SHORT_TEXT: usize = 4;
/// The same where records are cut within NAL units, perhaps into a few bytes each.
const LONG_TEXT: usize = 24;
/// Smallest size of content with lengths of two bytes that is recognised.
const LENGTHS: usize = 16;
/// JPEG: SOI and the first byte of a marker.
const JPEG: &[u8] = &[0xff, 0xd8, 0xff];

/// Returns whether `data`, which does not begin with a start code, may continue a NAL unit. Its header
/// is `None` if unknown.
pub fn is_plausible(header: Option<u8>, data: &[u8], evidence: ContinuationEvidence) -> bool {
    // User data in SEI may be anything, and often is text.
    if header.is_some_and(|header| nal_unit_type(header) == nal_type::SEI) {
        return true;
    }
    let ContinuationEvidence { cuts, whole } = evidence;
    let text = match (cuts, whole) {
        (true, _) => LONG_TEXT,
        (false, MANY..) => SHORT_TEXT,
        _ => TEXT,
    };
    let has_short_lengths =
        || !cuts && data.len() >= LENGTHS && length_prefixed::is_length_prefixed_with(2..=3, data);
    !(data.starts_with(JPEG)
        || data.len() >= text && is_text(data)
        || length_prefixed::is_length_prefixed_with(4..=4, data)
        || has_short_lengths()
        || !cuts && lacks_emulation_prevention(data))
}

fn is_text(data: &[u8]) -> bool {
    let is_printable = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    data.iter().all(is_printable)
}

/// Returns whether the bytes before the first start code cannot be in a NAL unit (7.4.1), because two
/// zeros precede a byte less than 3. Zeros before a start code or at the end do not count.
fn lacks_emulation_prevention(data: &[u8]) -> bool {
    memmem::find_iter(data, &[0, 0])
        .map(|at| &data[at + 2..])
        .find_map(|after| {
            let zeros = after.iter().take_while(|byte| **byte == 0).count();
            match (zeros, after.get(zeros)) {
                (_, None | Some(1)) => Some(false),
                (0, Some(2)) => Some(true),
                (0, _) => None,
                _ => Some(true),
            }
        })
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plausible(data: &[u8]) -> [bool; 3] {
        let evidence = [(false, 0), (false, 5), (true, 0)];
        evidence.map(|(cuts, whole)| {
            is_plausible(Some(0x41), data, ContinuationEvidence { cuts, whole })
        })
    }

    #[test]
    fn user_data() {
        let evidence = ContinuationEvidence {
            cuts: false,
            whole: 9,
        };
        assert!(is_plausible(Some(6), b"options: cabac=1 ref=3", evidence));
        assert!(!is_plausible(None, b"options: cabac=1 ref=3", evidence));
    }

    #[test]
    fn slice_data() {
        for data in [
            &[0x9a][..],
            &[3, 1, 2],
            &[0x9a, 0, 0, 3, 1, 0xff, 0x80],
            &[0x9a, 0xff, 0, 0, 1, 0x41, 0, 0, 0, 9],
            &[0x9a, 0xff, 0, 0, 0, 0, 1, 0x41],
            &[0x9a, 0xff, 0, 0, 0, 0],
            &[0xff, 0xd8, 0x12],
            b"abc",
        ] {
            assert_eq!(plausible(data), [true; 3], "{data:?}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!(plausible(b"lost"), [true, false, true]);
        assert_eq!(plausible(b"{\"a\": 1}"), [false, false, true]);
        assert_eq!(
            plausible(b"This is a text and no video at all."),
            [false; 3]
        );
    }

    #[test]
    fn pictures_of_another_format() {
        assert_eq!(plausible(b"\xff\xd8\xff\xe0\0\x10JFIF\0"), [false; 3]);
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80";
        assert_eq!(plausible(png), [false, false, true]);
    }

    #[test]
    fn lengths() {
        let nal = [&[0x41][..], &[0x9a; 40]].concat();
        let prefixed = [&[0, 0, 0, 41][..], &nal].concat();
        assert_eq!(plausible(&prefixed), [false; 3]);
        let prefixed = [&[0, 41][..], &nal].concat();
        assert_eq!(plausible(&prefixed), [false, false, true]);
        // Two bytes that would be a length and a NAL unit header.
        assert_eq!(plausible(&[1, 0x65]), [true; 3]);
    }

    #[test]
    fn zeros_that_lack_emulation_prevention() {
        assert_eq!(plausible(&[9, 0, 0, 2, 9]), [false, false, true]);
        assert_eq!(plausible(&[9, 0, 0, 0, 9]), [false, false, true]);
    }
}
