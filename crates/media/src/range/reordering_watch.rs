// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Detection of pictures whose decoding order differs from their output order.

use crate::order::{MAX_REORDERING, PictureOrder};

/// Number of pictures in order after which an undeclared stream is taken to have no others.
const EVIDENCE: usize = 2 * MAX_REORDERING;

/// State of the detection.
#[derive(Debug, Default)]
pub struct ReorderingWatch {
    /// The latest picture of the sequence.
    latest: Option<i64>,
    is_observed: bool,
    /// Declaration of the stream: pictures may be out of order, or are not.
    declared: Option<bool>,
    pictures: usize,
}

impl ReorderingWatch {
    /// Takes the next picture in decoding order.
    pub fn note(&mut self, order: &PictureOrder) {
        if order.follows_all_before() {
            self.latest = None;
        }
        self.is_observed |= self.latest.is_some_and(|latest| order.count < latest);
        self.latest = self.latest.max(Some(order.count));
        self.declared = (order.reordering.declared).then_some(order.reordering.frames > 0);
        self.pictures = self.pictures.saturating_add(1);
    }

    /// Returns whether pictures are out of order, or are declared to be.
    pub fn is_likely(&self) -> bool {
        self.is_observed || self.declared.unwrap_or(self.pictures < EVIDENCE)
    }

    /// Returns whether a picture may follow that is shown before others that have come. If the caller would
    /// have to wait for it, only if the stream declared or showed reordering.
    pub fn may_be_open(&self, waits: bool) -> bool {
        match waits {
            true => self.is_observed || self.declared == Some(true),
            false => self.is_likely(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Reordering;

    fn watch(counts: &[i64], declared: bool, frames: usize) -> ReorderingWatch {
        let mut watch = ReorderingWatch::default();
        for count in counts {
            watch.note(&PictureOrder {
                count: *count,
                begins_sequence: *count == 0,
                begins_group: false,
                reordering: Reordering { frames, declared },
            });
        }
        watch
    }

    #[test]
    fn what_the_stream_says() {
        assert!(watch(&[0, 2, 4], true, 2).may_be_open(true));
        assert!(!watch(&[0, 2, 4], true, 0).may_be_open(false));
    }

    #[test]
    fn what_it_does() {
        assert!(watch(&[0, 4, 2], true, 0).is_likely());
        assert!(watch(&[0, 4, 2], false, 4).may_be_open(true));
        assert!(!watch(&[0, 2, 0, 2], true, 0).is_likely());
    }

    #[test]
    fn pictures_in_order_are_evidence() {
        let counts: Vec<_> = (0..EVIDENCE as i64).collect();
        assert!(watch(&counts[1..], false, 4).is_likely());
        assert!(!watch(&counts[1..], false, 4).may_be_open(true));
        assert!(!watch(&counts, false, 4).is_likely());
    }
}
