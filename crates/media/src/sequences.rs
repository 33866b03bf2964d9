// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Random coded video sequences for property tests.
//!
//! A sequence is a list of its pictures in decoding order: each is its place in output order, that of the IDR picture
//! is 0.

use std::ops::{Range, RangeInclusive};

use proptest::collection::vec;
use proptest::prelude::*;

/// Returns pictures that follow an anchor in decoding order and precede it in output order: so many, in any order.
pub fn shuffled_group(pictures: RangeInclusive<i64>) -> impl Strategy<Value = Vec<i64>> {
    pictures.prop_flat_map(|pictures| Just((0..pictures).collect::<Vec<_>>()).prop_shuffle())
}

/// Returns sequences of an IDR picture and so many groups, each with its anchor.
pub fn sequence(
    group: impl Strategy<Value = Vec<i64>>,
    groups: Range<usize>,
) -> impl Strategy<Value = Vec<i64>> {
    vec(group, groups).prop_map(|groups| {
        let mut places = vec![0];
        for group in groups {
            let first = places.len() as i64;
            places.push(first + group.len() as i64);
            places.extend(group.iter().map(|place| first + place));
        }
        places
    })
}

/// Returns the most pictures that precede another one and are output after it (E.2.1).
pub fn depth(sequences: &[Vec<i64>]) -> usize {
    let depths = sequences.iter().flat_map(|places| {
        let later = |(at, place)| places[..at].iter().filter(|it| *it > place).count();
        places.iter().enumerate().map(later)
    });
    depths.max().unwrap_or(0)
}

/// Declaration of the reorder depth by the SPS.
#[derive(Debug, Clone, Copy)]
pub enum DeclaredDepth {
    Right,
    TooMany(usize),
    TooFew(usize),
    Absent,
}

impl DeclaredDepth {
    /// Returns declarations of all kinds.
    pub fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            3 => Just(Self::Right),
            1 => (1usize..4).prop_map(Self::TooMany),
            1 => (1usize..8).prop_map(Self::TooFew),
            2 => Just(Self::Absent),
        ]
    }

    /// Returns the number of frames that is declared for pictures of this depth.
    pub fn frames(self, depth: usize) -> Option<usize> {
        match self {
            Self::Right => Some(depth),
            Self::TooMany(more) => Some(depth + more),
            Self::TooFew(less) => Some(depth.saturating_sub(less)),
            Self::Absent => None,
        }
    }
}
