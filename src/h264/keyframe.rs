// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Whether decoding can start somewhere in some bytes.

use bytes::Bytes;

use super::{annexb, nal_type, nal_unit_type, sei};

/// What a record has of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pictures {
    /// No slice.
    None,
    /// Slices.
    Some,
    /// Slices of an IDR picture, or a recovery point.
    Keyframe,
}

/// What the pieces of a record have, as [`between_nal_units`](super::between_nal_units) gives them.
pub fn pictures(pieces: &[Bytes]) -> Pictures {
    let mut found = Pictures::None;
    for data in pieces {
        for nal in annexb::nal_units(data) {
            let nal = &data[nal.bytes];
            let of_nal = match nal_unit_type(nal[0]) {
                nal_type::SLICE_IDR => Pictures::Keyframe,
                nal_type::SEI if sei::recovery_frame_count(nal).is_some() => Pictures::Keyframe,
                nal_type::SLICE | nal_type::SLICE_PARTITION_A => Pictures::Some,
                _ => Pictures::None,
            };
            if of_nal == Pictures::Keyframe {
                return of_nal;
            }
            found = found.max(of_nal);
        }
    }
    found
}

/// Returns whether the next access unit begins after the last slice of a record (7.4.1.2.3).
pub fn ends_with_lead(pieces: &[Bytes]) -> bool {
    let types = pieces
        .iter()
        .flat_map(|data| annexb::nal_units(data).map(|nal| nal_unit_type(data[nal.bytes.start])));
    types.fold(false, |begins, nal_unit_type| match nal_unit_type {
        nal_type::SLICE..=nal_type::SLICE_IDR => false,
        6..=9 | 14..=18 => true,
        _ => begins,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_units_that_begin_at_the_end_of_a_record() {
        let ends = |bytes: &'static [u8]| ends_with_lead(&[Bytes::from_static(bytes)]);
        assert!(ends(&[0, 0, 1, 0x65, 0x88, 0, 0, 1, 9, 0xf0]));
        assert!(ends(&[0, 0, 1, 0x67, 66, 0, 0, 1, 12, 0x80]));
        assert!(!ends(&[0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 0x88]));
        assert!(!ends(&[0, 0, 1, 0x65, 0x88, 0, 0, 1, 12, 0x80]));
    }

    #[test]
    fn idr_pictures_and_recovery_points() {
        for (bytes, expected) in [
            (
                &[0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 0x88][..],
                Pictures::Keyframe,
            ),
            (
                &[0, 0, 1, 0x41, 0x9a, 0, 0, 1, 0x65, 0x88],
                Pictures::Keyframe,
            ),
            (
                &[0, 0, 0, 1, 6, 6, 1, 0x71, 0x80, 0, 0, 1, 0x41, 0x9a],
                Pictures::Keyframe,
            ),
            (
                &[0, 0, 1, 6, 5, 1, 1, 0x80, 0, 0, 1, 0x41, 0x9a],
                Pictures::Some,
            ),
            (&[0, 0, 1, 0x67, 0, 0, 1], Pictures::None),
            (&[], Pictures::None),
        ] {
            assert_eq!(
                pictures(&[Bytes::from_static(bytes)]),
                expected,
                "{bytes:?}"
            );
        }
    }
}
