// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Random coded streams for property tests.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::codec::h264::testing::{
    AUD, IDR, Order, P, SPS, SliceSpec, SpsSpec, pps, recovery_point, slice, sps,
};
use crate::order::MAX_REORDERING;
use crate::sequences::{DeclaredDepth, depth, sequence, shuffled_group};

/// Pictures of a stream.
#[derive(Debug, Clone)]
pub struct Stream {
    order: Order,
    /// Coded video sequences: places in output order of the pictures in decoding order.
    pub sequences: Vec<Vec<i64>>,
    depth: DeclaredDepth,
    /// The pictures that precede their anchor in output order are reference pictures, as far as the
    /// order of the stream allows it.
    has_references: bool,
    has_delimiters: bool,
    /// Sequences after the first one that begin with an open group: the number of groups before it that are missing, and
    /// whether the SPS differs from that of the sequence before.
    joins: Vec<(usize, bool)>,
}

/// A picture with its place in output order.
#[derive(Debug)]
pub struct Picture {
    /// Number of its sequence, and its place there.
    pub place: (usize, i64),
    pub is_idr: bool,
    /// It precedes the first picture of its sequence in output order: the pictures that it refers to are missing.
    pub is_leading: bool,
    /// `frame_num`, of four bits.
    pub frame_num: u8,
    /// The access unit as Annex B byte stream.
    pub bytes: Vec<u8>,
}

/// Returns the decoding order of a pyramid, as places in output order from `first` on.
fn pyramid(first: i64, levels: u32) -> Vec<i64> {
    let Some(below) = levels.checked_sub(1) else {
        return Vec::new();
    };
    let middle = first + (1 << below) - 1;
    let halves = [pyramid(first, below), pyramid(middle + 1, below)];
    [vec![middle], halves.concat()].concat()
}

/// Pictures that follow an anchor in decoding order and precede it in output order.
fn group() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        2 => Just(Vec::new()),
        2 => (1u32..=4).prop_map(|levels| pyramid(0, levels)),
        1 => shuffled_group(1..=MAX_REORDERING as i64),
    ]
}

/// Returns streams of all kinds.
pub fn stream() -> impl Strategy<Value = Stream> {
    let order = prop_oneof![
        3 => Just(Order::LongLsb),
        1 => Just(Order::Cycle),
        1 => Just(Order::Decoding),
    ];
    let flags = (any::<bool>(), any::<bool>());
    let sequences = vec(sequence(group(), 0..6), 1..6);
    (order, sequences, DeclaredDepth::any(), flags).prop_map(
        |(order, mut sequences, depth, (has_references, has_delimiters))| {
            if matches!(order, Order::Decoding) {
                sequences
                    .iter_mut()
                    .for_each(|places| places.sort_unstable());
            }
            Stream {
                order,
                sequences,
                depth,
                has_references,
                has_delimiters,
                joins: Vec::new(),
            }
        },
    )
}

/// Returns streams of several encoders that do not declare too few frames, each of which but the first one begins with
/// an open group.
pub fn joined_stream() -> impl Strategy<Value = Stream> {
    let joins = vec((0usize..6, any::<bool>()), 5);
    let is_right = |stream: &Stream| !matches!(stream.depth, DeclaredDepth::TooFew(_));
    let stream = stream().prop_filter("too few frames are declared", is_right);
    (stream, joins).prop_map(|(stream, joins)| Stream { joins, ..stream })
}

impl Stream {
    /// Returns the most frames that follow a picture and are output before it.
    pub fn lead(&self) -> usize {
        let leads = self.sequences.iter().flat_map(|places| {
            let earlier = |(at, place)| places[at..].iter().filter(|it| *it < place).count();
            places.iter().enumerate().map(earlier)
        });
        leads.max().unwrap_or(0)
    }

    /// Returns the depth that the SPS declares.
    pub fn declared_depth(&self) -> Option<usize> {
        // The type of the picture order count says so.
        if matches!(self.order, Order::Decoding) {
            return Some(0);
        }
        let frames = self.depth.frames(depth(&self.sequences))?;
        Some(frames.min(MAX_REORDERING))
    }

    /// Writes the pictures in decoding order. Each has a number at its end.
    pub fn encode(&self) -> Vec<Picture> {
        let mut spec = SpsSpec {
            order: self.order,
            max_num_reorder_frames: self.declared_depth().map(|frames| frames as u32),
            ..SPS
        };
        let mut pictures = Vec::new();
        for (sequence, places) in self.sequences.iter().enumerate() {
            let join = (sequence.checked_sub(1)).and_then(|join| self.joins.get(join));
            if let Some((_, true)) = join {
                spec.frame_rate = match spec.frame_rate {
                    None => Some((50, 1)),
                    Some(_) => None,
                };
            }
            // The place of the first picture that is not missing.
            let latest_before = |at: usize| places[..at].iter().max();
            let anchors = (1..places.len()).filter(|at| Some(&places[*at]) > latest_before(*at));
            let first = join.and_then(|(groups, _)| anchors.take(groups + 1).last());
            let first = first.map(|at| places[at]);
            let mut is_missing = first.is_some();
            // Reference pictures since the IDR picture, and whether the last picture is one.
            let (mut references, mut follows_reference) = (0, true);
            let mut latest = -1;
            for &place in places {
                let is_idr = place == 0;
                let is_anchor = place > latest;
                latest = latest.max(place);
                let is_reference = match self.order {
                    Order::Decoding => is_idr || self.has_references || !follows_reference,
                    Order::Cycle => is_anchor,
                    Order::Lsb | Order::LongLsb => is_anchor || self.has_references,
                };
                let count = 2 * place;
                let order = match self.order {
                    Order::Lsb | Order::LongLsb => count & 0xff,
                    // The difference from the expected count (8.2.1.2).
                    Order::Cycle if is_reference => count - 2 * references,
                    Order::Cycle => count - (2 * (references - 1) - 1),
                    Order::Decoding => 0,
                };
                let header = SliceSpec {
                    sps: spec,
                    nal: match (is_idr, is_reference) {
                        (true, _) => IDR.nal,
                        (_, true) => P.nal,
                        (_, false) => 0x01,
                    },
                    frame_num: (references % 16) as u8,
                    order: order as u8,
                    idr_pic_id: sequence as u32 % 2,
                    ..P
                };
                references += i64::from(is_reference);
                follows_reference = is_reference;
                is_missing &= Some(place) != first;
                if is_missing {
                    continue;
                }
                let mut nals = Vec::new();
                if self.has_delimiters {
                    nals.push(AUD.to_vec());
                }
                if is_idr || Some(place) == first {
                    nals.extend([sps(spec), pps(0)]);
                }
                if !is_idr && Some(place) == first {
                    nals.push(recovery_point(0));
                }
                let number = pictures.len();
                let number = [1 + number / 250, 1 + number % 250].map(|digit| digit as u8);
                nals.push([slice(header), number.to_vec()].concat());
                let nals = nals.iter().map(|nal| [&[0, 0, 0, 1], &nal[..]].concat());
                pictures.push(Picture {
                    place: (sequence, place),
                    is_idr,
                    frame_num: header.frame_num,
                    is_leading: first.is_some_and(|first| place < first),
                    bytes: nals.collect::<Vec<_>>().concat(),
                });
            }
        }
        pictures
    }
}
