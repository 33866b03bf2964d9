// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Pictures from decoding order to output order, as decoders put them out ("bumping", ITU-T H.264,
//! C.4.5.3): a picture has its place as soon as as many others wait as may come before it.

use super::PictureOrder;

/// More frames than in a decoded picture buffer are never out of order (A.3.1).
pub const MAX_REORDERING: usize = 16;

/// Pictures that wait for their place in output order.
#[derive(Debug)]
pub struct OutputOrder<T> {
    /// Their counts, their places in decoding order and what comes with them.
    waiting: Vec<(i64, u64, T)>,
    come: u64,
    /// How many may wait.
    bound: usize,
    /// The count of the last picture of this sequence that got its place.
    last_count: Option<i64>,
    /// Pictures came later than the stream says or its level allows.
    mistrusts: bool,
}

impl<T> Default for OutputOrder<T> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            come: 0,
            bound: 0,
            last_count: None,
            mistrusts: false,
        }
    }
}

impl<T> OutputOrder<T> {
    /// Whether all that wait come before a picture with this order.
    pub fn is_ended_by(&self, order: &PictureOrder) -> bool {
        order.begins_sequence || self.begins_anew(order.count)
    }

    /// Whether counting began anew without a word: an IDR picture is missing. A picture that is as
    /// much earlier than one that has its place cannot be of the same sequence.
    fn begins_anew(&self, count: i64) -> bool {
        // Frames are two apart.
        let latest = 2 * MAX_REORDERING as i64;
        self.last_count
            .is_some_and(|last| last.saturating_sub(count) > latest)
    }

    /// Takes the next picture in decoding order.
    pub fn push(&mut self, order: PictureOrder, picture: T) {
        self.mistrusts |= self.last_count.is_some_and(|last| order.count < last);
        self.bound = if self.mistrusts {
            MAX_REORDERING
        } else {
            order.reordering.frames
        };
        self.waiting.push((order.count, self.come, picture));
        self.come += 1;
    }

    /// The next picture in output order, as soon as it is known.
    pub fn pop(&mut self) -> Option<T> {
        (self.waiting.len() > self.bound)
            .then(|| self.take_first())
            .flatten()
    }

    /// The next picture in output order, if none is to come before it; after the last one the
    /// sequence is over.
    pub fn end(&mut self) -> Option<T> {
        let first = self.take_first();
        if first.is_none() {
            self.last_count = None;
        }
        first
    }

    /// Those that wait, in output order as far as it is known.
    pub fn waiting(&self) -> Vec<&T> {
        let mut waiting: Vec<_> = self.waiting.iter().collect();
        waiting.sort_unstable_by_key(|(count, number, _)| (*count, *number));
        waiting.into_iter().map(|(_, _, picture)| picture).collect()
    }

    /// Whether pictures came later than the stream says or its level allows.
    pub fn mistrusts(&self) -> bool {
        self.mistrusts
    }

    fn take_first(&mut self) -> Option<T> {
        let keys = self.waiting.iter().enumerate();
        let (first, _) = keys.min_by_key(|(_, (count, number, _))| (*count, *number))?;
        let (count, _, picture) = self.waiting.swap_remove(first);
        self.last_count = Some(count);
        Some(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reordering;
    use super::*;

    fn order(count: i64, frames: usize) -> PictureOrder {
        PictureOrder {
            count,
            begins_sequence: count == 0,
            reordering: Reordering {
                frames,
                declared: true,
            },
        }
    }

    /// What comes out with each picture, and at the end.
    fn run(counts: &[i64], frames: usize) -> Vec<Vec<i64>> {
        let mut pictures = OutputOrder::default();
        let mut shown = Vec::new();
        for &count in counts {
            let order = order(count, frames);
            let mut now = Vec::new();
            if pictures.is_ended_by(&order) {
                now.extend(std::iter::from_fn(|| pictures.end()));
            }
            pictures.push(order, count);
            now.extend(std::iter::from_fn(|| pictures.pop()));
            shown.push(now);
        }
        shown.push(std::iter::from_fn(|| pictures.end()).collect());
        shown
    }

    #[test]
    fn in_order_nothing_waits() {
        let shown = run(&[0, 2, 4], 0);
        assert_eq!(shown, [vec![0], vec![2], vec![4], vec![]]);
    }

    #[test]
    fn as_many_wait_as_may_come_before() {
        let shown = run(&[0, 6, 2, 4, 8, 0], 2);
        let expected = [
            vec![],
            vec![],
            vec![0],
            vec![2],
            vec![4],
            vec![6, 8],
            vec![0],
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_picture_that_comes_too_late_ends_the_trust() {
        let mut pictures = OutputOrder::default();
        for count in [0, 6, 2] {
            pictures.push(order(count, 0), count);
            let shown = pictures.pop();
            assert_eq!(shown.is_none(), pictures.mistrusts(), "{count}");
        }
        assert!(pictures.mistrusts());
        assert_eq!(pictures.waiting(), [&2]);
    }
}
