// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Entry points for decoding in access units and in the bytes of a record.

use bytes::Bytes;
use h264_reader::rbsp::BitRead;

use super::nal::{bits, nal_type, nal_unit_type};
use super::sei;
use crate::access_unit::AccessUnit;
use crate::codec::annexb;

/// Kinds of pictures that decoding may start at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryPoints {
    /// IDR pictures.
    Idr,
    /// Also pictures with a recovery point (D.2.8).
    #[default]
    RecoveryPoints,
    /// Also pictures all slices of which are I or SI slices.
    IntraPictures,
}

impl EntryPoints {
    /// Returns whether decoding may start at an access unit.
    pub fn include(self, unit: &AccessUnit) -> bool {
        unit.idr
            || self >= Self::RecoveryPoints && unit.recovery_point.is_some()
            || self >= Self::IntraPictures && unit.intra
    }
}

/// Pictures in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pictures {
    /// No slice.
    None,
    /// Slices.
    Some,
    /// An entry point.
    Keyframe,
}

/// Returns the kind of pictures in the pieces of a record, as
/// [`between_nal_units`](crate::codec::between_nal_units) returns them. Needs no parameter sets.
pub fn pictures(pieces: &[Bytes], entry_points: EntryPoints) -> Pictures {
    let mut found = Pictures::None;
    // Whether all slices of the last picture are intra slices, once it has begun.
    let mut intra = None;
    for data in pieces {
        for nal in annexb::nal_units(data) {
            let nal = &data[nal.bytes];
            match nal_unit_type(nal[0]) {
                // Further slices of a picture that begins in an earlier record are nothing to begin with.
                nal_type::SLICE_IDR
                    if slice(nal).is_some_and(|(begins_picture, _)| !begins_picture) =>
                {
                    found = Pictures::Some;
                }
                nal_type::SLICE_IDR => return Pictures::Keyframe,
                nal_type::SEI
                    if entry_points >= EntryPoints::RecoveryPoints
                        && sei::recovery_frame_count(nal).is_some() =>
                {
                    return Pictures::Keyframe;
                }
                nal_type::SLICE | nal_type::SLICE_PARTITION_A => {
                    found = Pictures::Some;
                    if entry_points < EntryPoints::IntraPictures {
                        continue;
                    }
                    let (begins_picture, is_intra) = slice(nal).unwrap_or((true, false));
                    if begins_picture && intra == Some(true) {
                        return Pictures::Keyframe;
                    }
                    intra = Some(is_intra && (begins_picture || intra == Some(true)));
                }
                _ => {}
            }
        }
    }
    if intra == Some(true) {
        return Pictures::Keyframe;
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

/// Returns whether a record continues the picture of the record before it: its first slice is not the
/// first one of a picture.
pub fn continues_picture(pieces: &[Bytes]) -> bool {
    let nals = pieces
        .iter()
        .flat_map(|data| annexb::nal_units(data).map(|nal| &data[nal.bytes]));
    let mut slices = nals.filter(|nal| {
        let slices = nal_type::SLICE..=nal_type::SLICE_IDR;
        slices.contains(&nal_unit_type(nal[0]))
    });
    let first = slices.next().and_then(slice);
    first.is_none_or(|(begins_picture, _)| !begins_picture)
}

/// Returns whether a slice has the first macroblock of a picture, and whether it is an I or SI slice
/// (7.3.3, Table 7-6).
fn slice(nal: &[u8]) -> Option<(bool, bool)> {
    let r = &mut bits(nal);
    let first_macroblock = r.read_ue("first_mb_in_slice").ok()?;
    let slice_type = r.read_ue("slice_type").ok()?;
    Some((first_macroblock == 0, matches!(slice_type % 5, 2 | 4)))
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
            // A slice from macroblock 1 on: the picture begins in another record.
            (&[0, 0, 1, 0x65, 0b0100_1100, 0x80], Pictures::Some),
            (&[0, 0, 1, 0x67, 0, 0, 1], Pictures::None),
            (&[], Pictures::None),
        ] {
            assert_eq!(
                pictures(&[Bytes::from_static(bytes)], EntryPoints::RecoveryPoints),
                expected,
                "{bytes:?}"
            );
        }
    }

    /// Slices of type 1: an I slice and a P slice with the first macroblock, and with macroblock 1.
    const I: &[u8] = &[0, 0, 1, 0x41, 0b1011_0000];
    const P: &[u8] = &[0, 0, 1, 0x41, 0b1100_0000];
    const FURTHER_I: &[u8] = &[0, 0, 1, 0x41, 0b0100_1100, 0x80];
    const FURTHER_P: &[u8] = &[0, 0, 1, 0x41, 0b0101_0000, 0x80];

    #[test]
    fn intra_pictures() {
        for (slices, expected) in [
            (&[I][..], Pictures::Keyframe),
            (&[P, I], Pictures::Keyframe),
            (&[I, FURTHER_I, P], Pictures::Keyframe),
            (&[I, FURTHER_P], Pictures::Some),
            (&[P, FURTHER_I], Pictures::Some),
            (&[FURTHER_P, I, FURTHER_I], Pictures::Keyframe),
            // The first slice of that picture is in another record.
            (&[FURTHER_I], Pictures::Some),
            (&[], Pictures::None),
        ] {
            let pieces: Vec<_> = slices
                .iter()
                .map(|slice| Bytes::from_static(slice))
                .collect();
            let found = pictures(&pieces, EntryPoints::IntraPictures);
            assert_eq!(found, expected, "{slices:?}");
            let without = pictures(&pieces, EntryPoints::RecoveryPoints);
            assert!(without <= Pictures::Some, "{slices:?}");
        }
    }

    #[test]
    fn recovery_points_count_as_the_mode_says() {
        let bytes = &[0, 0, 1, 6, 6, 1, 0x71, 0x80, 0, 0, 1, 0x41, 0x9a];
        let piece = [Bytes::from_static(bytes)];
        for (mode, expected) in [
            (EntryPoints::Idr, Pictures::Some),
            (EntryPoints::RecoveryPoints, Pictures::Keyframe),
            (EntryPoints::IntraPictures, Pictures::Keyframe),
        ] {
            assert_eq!(pictures(&piece, mode), expected, "{mode:?}");
        }
    }

    #[test]
    fn records_that_begin_within_a_picture() {
        let piece = |bytes: &'static [u8]| [Bytes::from_static(bytes)];
        assert!(!continues_picture(&piece(P)));
        assert!(continues_picture(&piece(FURTHER_P)));
        assert!(continues_picture(&[]), "no slice");
    }
}
