// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! NAL units of a byte stream (ITU-T H.264, Annex B).

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{Finder, FinderRev};

/// `start_code_prefix_one_3bytes`. It cannot occur inside a NAL unit: the encoder inserts emulation
/// prevention bytes.
pub const START_CODE: &[u8] = &[0, 0, 1];

/// Finder of start codes. Building one takes as long as searching a few hundred bytes.
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(START_CODE));
static REVERSE_FINDER: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new(START_CODE));

/// Returns the place of the first `start_code_prefix_one_3bytes`.
pub fn find_start_code(data: &[u8]) -> Option<usize> {
    FINDER.find(data)
}

/// Returns the place of the last `start_code_prefix_one_3bytes`.
pub fn find_last_start_code(data: &[u8]) -> Option<usize> {
    REVERSE_FINDER.rfind(data)
}

/// Place of a NAL unit in a byte stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NalUnit {
    /// First byte of its start code, `zero_byte` included.
    pub start: usize,
    /// The NAL unit itself: from its header to before `trailing_zero_8bits`. Never empty.
    pub bytes: Range<usize>,
}

/// Iterates over the NAL units of `data`.
///
/// Bytes before the first start code belong to no NAL unit: see [`begins_with_start_code`].
pub fn nal_units(data: &[u8]) -> impl Iterator<Item = NalUnit> + '_ {
    let mut codes = FINDER.find_iter(data).peekable();

    std::iter::from_fn(move || {
        loop {
            let code = codes.next()?;
            let begin = code + START_CODE.len();
            let mut end = codes.peek().copied().unwrap_or(data.len());
            while end > begin && data[end - 1] == 0 {
                end -= 1;
            }
            if end > begin {
                return Some(NalUnit {
                    start: start_code_begin(data, code),
                    bytes: begin..end,
                });
            }
            // Two start codes in a row: nothing between them.
        }
    })
}

/// Returns whether `data` begins with a start code, after any number of `leading_zero_8bits`.
pub fn begins_with_start_code<'a>(data: impl IntoIterator<Item = &'a u8>) -> bool {
    let other = data.into_iter().enumerate().find(|(_, byte)| **byte != 0);
    other.is_some_and(|(zeros, byte)| zeros >= 2 && *byte == 1)
}

/// Returns the place of the start code at `code` with its `zero_byte`, if it has one.
pub fn start_code_begin(data: &[u8], code: usize) -> usize {
    if code > 0 && data[code - 1] == 0 {
        code - 1
    } else {
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(data: &[u8]) -> Vec<(usize, &[u8])> {
        nal_units(data)
            .map(|nal| (nal.start, &data[nal.bytes]))
            .collect()
    }

    #[test]
    fn three_and_four_byte_start_codes() {
        let data = [0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 8, 0, 0, 0, 1, 0x65];
        assert_eq!(
            units(&data),
            [(0, &[0x67, 9][..]), (6, &[0x68, 8][..]), (11, &[0x65][..])]
        );
    }

    #[test]
    fn leading_and_trailing_zeros_belong_to_no_unit() {
        let data = [0, 0, 0, 0, 0, 1, 0x65, 7, 0, 0, 0, 0, 0, 1, 0x41, 0, 0];
        assert_eq!(units(&data), [(2, &[0x65, 7][..]), (10, &[0x41][..])]);
    }

    #[test]
    fn nothing_between_start_codes() {
        assert!(units(&[0, 0, 1, 0, 0, 1]).is_empty());
        assert!(units(&[]).is_empty());
        assert!(units(&[1, 2, 3]).is_empty());
    }

    #[test]
    fn start_code_at_the_begin() {
        assert!(begins_with_start_code(&[0, 0, 1, 0x65]));
        assert!(begins_with_start_code(&[0, 0, 0, 0, 1, 0x65]));
        assert!(!begins_with_start_code(&[0, 1, 0x65]));
        assert!(!begins_with_start_code(&[0, 0, 0, 0]));
        assert!(!begins_with_start_code(&[0, 0, 0x21, 0x65]));
        assert!(!begins_with_start_code(b"\xff\xd8\xff"));
    }
}
