// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Access units with length-prefixed NAL units (ISO/IEC 14496-15, `stream-format=avc`).

use std::ops::RangeInclusive;

use super::annexb::{self, begins_with_start_code};
use super::h264::nal_unit_type;

/// Returns the size of the length before each NAL unit, from an `AVCDecoderConfigurationRecord`
/// (ISO/IEC 14496-15, 5.3.3.1: `lengthSizeMinusOne`).
pub fn length_size(codec_data: &[u8]) -> Option<usize> {
    codec_data.get(4).map(|byte| usize::from(byte & 3) + 1)
}

/// Returns whether `data` consists of length-prefixed NAL units.
pub fn is_length_prefixed(data: &[u8]) -> bool {
    is_length_prefixed_with(1..=4, data)
}

/// Returns whether `data` consists of NAL units with length prefixes of one of these `sizes`.
pub fn is_length_prefixed_with(sizes: RangeInclusive<usize>, data: &[u8]) -> bool {
    // A length of four bytes from 256 to 511 is also a start code. The longer start code would be
    // the length of a unit without contents.
    let sizes = match data {
        [0, 0, 0, ..] if begins_with_start_code(data) => return false,
        [0, 0, 1, ..] => 4..=*sizes.end(),
        _ => sizes,
    };
    sizes.rev().any(|size| {
        let mut units = nal_units(size, data).peekable();
        units.peek().is_some() && units.all(|nal| nal.is_some_and(is_plausible))
    })
}

/// Returns whether `nal` begins with a valid NAL unit header and contains no start code.
fn is_plausible(nal: &[u8]) -> bool {
    nal.first().is_some_and(|header| {
        header & 0x80 == 0 && matches!(nal_unit_type(*header), 1..=15 | 19..=21)
    }) && annexb::nal_units(nal).next().is_none()
}

/// Returns the NAL units of an access unit; a last `None` if its lengths are beyond its end.
pub fn nal_units(length_size: usize, data: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let unit = rest
            .split_at_checked(length_size)
            .and_then(|(length, rest)| {
                let length = length
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                rest.split_at_checked(length)
            });
        Some(unit.map(|(nal, after)| {
            rest = after;
            nal
        }))
        .inspect(|nal| {
            if nal.is_none() {
                rest = &[];
            }
        })
    })
}

/// Replaces the length prefixes of an access unit by start codes. Bytes after the last complete NAL
/// unit are dropped.
pub fn to_byte_stream(length_size: usize, data: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(data.len() + 64);
    for nal in nal_units(length_size, data).flatten() {
        stream.extend_from_slice(&[0, 0, 0, 1]);
        stream.extend_from_slice(nal);
    }
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: [u8; 12] = [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 1, 9];

    #[test]
    fn lengths_become_start_codes() {
        let expected = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 9];
        assert_eq!(to_byte_stream(4, &UNIT), expected);
        assert_eq!(to_byte_stream(2, &[0, 2, 0x67, 1]), [0, 0, 0, 1, 0x67, 1]);
    }

    #[test]
    fn cut_short() {
        assert!(to_byte_stream(4, &[]).is_empty());
        assert!(to_byte_stream(4, &[0, 0, 0, 2]).is_empty());
        assert!(to_byte_stream(4, &[0xff, 0xff, 0xff, 0xff, 0x67, 1]).is_empty());
        assert_eq!(to_byte_stream(4, &UNIT[..11]), [0, 0, 0, 1, 0x67, 1, 2]);
    }

    #[test]
    fn length_prefixed() {
        assert!(is_length_prefixed(&UNIT));
        assert!(is_length_prefixed(&[0, 2, 0x65, 0x88]));
        assert!(!is_length_prefixed(&UNIT[..11]));
        assert!(!is_length_prefixed(&[]));
        assert!(!is_length_prefixed(&[0, 0, 0, 1, 0x67, 1]));
        assert!(!is_length_prefixed(&[0, 0, 1, 0x65, 0x88]));
        // The end of a sequence.
        assert!(!is_length_prefixed(&[0, 0, 0, 1, 10]));
        // A byte stream that would be one unit of 257 bytes, if 0x88 was the header of one.
        let stream = [&[0, 0, 1, 1][..], &[0x88; 257]].concat();
        assert!(!is_length_prefixed(&stream));
        // An SPS, a PPS and a slice, that would be one unit of 359 bytes.
        let mut stream = [&[0, 0, 1, 0x67, 66][..], &[0, 0, 1, 0x68], &[0, 0, 1]].concat();
        stream.resize(4 + 0x167, 0x65);
        assert!(!is_length_prefixed(&stream));
    }

    #[test]
    fn length_size_of_avcc() {
        assert_eq!(length_size(&[1, 0x64, 0, 0x1f, 0xff]), Some(4));
        assert_eq!(length_size(&[1, 0x64, 0, 0x1f, 0xfd]), Some(2));
        assert_eq!(length_size(&[1, 0x64]), None);
    }
}
