// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Which ranges are read, in order, and what of them a seek leaves.
//!
//! Times are in µs since the Unix epoch.

use std::collections::VecDeque;

use media::range::Begin;

use super::scope::End;

/// A range to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where to begin; with the oldest record if `None`.
    pub start: Option<u64>,
    pub begin: Begin,
    /// Nothing before it is to be read, not even for a decoder.
    pub floor: u64,
    /// The first time that does not belong to it.
    pub stop: Option<u64>,
    pub end: End,
}

impl Piece {
    /// A range from `start` to `stop`.
    pub fn new(start: Option<u64>, stop: Option<u64>, begin: Begin, end: End) -> Self {
        let floor = match begin {
            Begin::KeyframeAfter => start.unwrap_or(0),
            Begin::KeyframeBefore | Begin::KeyframeNearest | Begin::Exact => 0,
        };
        Self {
            start,
            begin,
            floor,
            stop,
            end,
        }
    }

    fn is_before(&self, time: u64) -> bool {
        self.stop.is_some_and(|stop| stop <= time)
    }
}

/// What is left of `pieces` for who seeks to `from`, beginning there in a way, and up to `until`.
pub fn seek(pieces: &[Piece], from: u64, begin: Begin, until: Option<u64>) -> VecDeque<Piece> {
    let mut left: VecDeque<_> = pieces
        .iter()
        .skip_while(|piece| piece.is_before(from))
        .take_while(|piece| until.is_none_or(|until| piece.start.unwrap_or(0) < until))
        .cloned()
        .collect();
    if let Some(first) = left.front_mut()
        && first.start.unwrap_or(0) <= from
    {
        first.start = Some(from);
        first.begin = begin;
    }
    if let (Some(last), Some(until)) = (left.back_mut(), until)
        && last.stop.is_none_or(|stop| until < stop)
    {
        last.stop = Some(until);
        last.end = End::Shown;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(start: u64, stop: u64) -> Piece {
        Piece::new(Some(start), Some(stop), Begin::KeyframeAfter, End::Exact)
    }

    fn seek_to(from: u64, until: Option<u64>) -> Vec<Piece> {
        let pieces = [piece(10, 20), piece(30, 40), piece(50, 60)];
        seek(&pieces, from, Begin::Exact, until).into()
    }

    fn from(start: u64, piece: Piece) -> Piece {
        Piece {
            start: Some(start),
            begin: Begin::Exact,
            ..piece
        }
    }

    fn until(stop: u64, piece: Piece) -> Piece {
        Piece {
            stop: Some(stop),
            end: End::Shown,
            ..piece
        }
    }

    #[test]
    fn from_within_a_piece() {
        let pieces = [from(35, piece(30, 40)), piece(50, 60)];
        assert_eq!(seek_to(35, None), pieces);
        assert_eq!(pieces[0].floor, 30);
    }

    #[test]
    fn from_between_pieces() {
        assert_eq!(seek_to(20, None), [piece(30, 40), piece(50, 60)]);
        assert_eq!(seek_to(60, None), []);
    }

    #[test]
    fn up_to_a_time() {
        let pieces = [from(15, piece(10, 20)), until(35, piece(30, 40))];
        assert_eq!(seek_to(15, Some(35)), pieces);
        assert_eq!(
            seek_to(15, Some(45)),
            [from(15, piece(10, 20)), piece(30, 40)]
        );
        assert_eq!(seek_to(12, Some(15)), [until(15, from(12, piece(10, 20)))]);
        assert_eq!(seek_to(22, Some(25)), []);
    }

    #[test]
    fn a_range_without_ends() {
        let all = Piece::new(None, None, Begin::Exact, End::Exact);
        let pieces: Vec<_> = seek(
            std::slice::from_ref(&all),
            7,
            Begin::KeyframeBefore,
            Some(9),
        )
        .into();
        let expected = Piece {
            start: Some(7),
            begin: Begin::KeyframeBefore,
            stop: Some(9),
            end: End::Shown,
            ..all
        };
        assert_eq!(pieces, [expected]);
    }
}
