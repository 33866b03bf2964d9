// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Access units with length-prefixed NAL units (ISO/IEC 14496-15, `stream-format=avc`).

use super::{nal_type, nal_unit_type};

/// Size of the length before each NAL unit, from an `AVCDecoderConfigurationRecord`
/// (ISO/IEC 14496-15, 5.3.3.1: `lengthSizeMinusOne`).
pub fn length_size(codec_data: &[u8]) -> Option<usize> {
    codec_data.get(4).map(|byte| usize::from(byte & 3) + 1)
}

/// What a container has to know of an access unit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its picture is an IDR picture.
    pub idr: bool,
    /// It has parameter sets before its first slice: these.
    pub parameter_sets: Vec<Vec<u8>>,
}

/// Reads the NAL units of an access unit as far as its first slice.
///
/// `read(offset, bytes)` copies bytes of the access unit and tells whether there were enough. It is
/// asked for lengths, headers and parameter sets only.
pub fn facts(length_size: usize, read: impl Fn(usize, &mut [u8]) -> bool) -> Facts {
    let mut facts = Facts::default();
    let mut offset = 0;
    loop {
        let mut head = [0; 5];
        let head = &mut head[..length_size + 1];
        if !read(offset, head) {
            return facts;
        }
        let (length, header) = head.split_at(length_size);
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        offset += length_size;
        match nal_unit_type(header[0]) {
            nal_type::SLICE_IDR => {
                facts.idr = true;
                return facts;
            }
            nal_type::SLICE | nal_type::SLICE_PARTITION_A => return facts,
            // Lengths are 16 bits wide where parameter sets are kept.
            nal_type::SPS | nal_type::PPS if length <= usize::from(u16::MAX) => {
                let mut set = vec![0; length];
                if read(offset, &mut set) {
                    facts.parameter_sets.push(set);
                }
            }
            _ => {}
        }
        offset += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts_of(data: &[u8]) -> Facts {
        facts(4, |offset, bytes| {
            let Some(from) = data.get(offset..offset + bytes.len()) else {
                return false;
            };
            bytes.copy_from_slice(from);
            true
        })
    }

    fn idr(data: &[u8]) -> bool {
        facts_of(data).idr
    }

    #[test]
    fn first_slice_decides() {
        let sps = [0, 0, 0, 3, 0x67, 1, 2];
        let idr_slice = [0, 0, 0, 2, 0x65, 9];
        let slice = [0, 0, 0, 2, 0x41, 9];
        assert!(idr(&[&sps[..], &idr_slice].concat()));
        assert!(!idr(&[&sps[..], &slice].concat()));
        assert!(!idr(&[&slice[..], &idr_slice].concat()));
    }

    #[test]
    fn parameter_sets_before_the_first_slice() {
        let unit = [
            &[0, 0, 0, 2, 9, 0xf0][..],
            &[0, 0, 0, 3, 0x67, 1, 2],
            &[0, 0, 0, 2, 0x68, 3],
            &[0, 0, 0, 2, 0x65, 9],
            &[0, 0, 0, 2, 0x68, 4],
        ];
        let expected = Facts {
            idr: true,
            parameter_sets: vec![vec![0x67, 1, 2], vec![0x68, 3]],
        };
        assert_eq!(facts_of(&unit.concat()), expected);
    }

    #[test]
    fn cut_short() {
        assert!(!idr(&[]));
        assert!(!idr(&[0, 0, 0, 2]));
        assert!(!idr(&[0, 0, 0, 200, 0x67, 1]));
        assert!(!idr(&[0xff, 0xff, 0xff, 0xff, 0x67, 1]));
    }

    #[test]
    fn length_size_of_avcc() {
        assert_eq!(length_size(&[1, 0x64, 0, 0x1f, 0xff]), Some(4));
        assert_eq!(length_size(&[1, 0x64, 0, 0x1f, 0xfd]), Some(2));
        assert_eq!(length_size(&[1, 0x64]), None);
    }
}
