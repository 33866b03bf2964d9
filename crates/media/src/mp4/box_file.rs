// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Boxes of an untrusted file, read in place.

use std::cell::Cell;
use std::ops::Range;

use bytes::Bytes;

use super::boxes::{BoxHeader, LARGE_HEADER};
use super::file_bytes::FileBytes;

/// A box in a file: its kind and the place of its contents.
#[derive(Debug)]
pub struct PlacedBox {
    /// Type of the box.
    pub kind: [u8; 4],
    /// Place of its header.
    pub start: u64,
    /// Place of the bytes after its header.
    pub contents: Range<u64>,
}

/// The boxes of a file.
#[derive(Debug)]
pub struct BoxFile<'a> {
    bytes: &'a dyn FileBytes,
    /// Bytes of the file.
    pub length: u64,
    boxes_left: Cell<u32>,
    exceeds_boxes: Cell<bool>,
}

impl<'a> BoxFile<'a> {
    /// Creates a file of which at most `max_boxes` boxes can be read.
    pub fn new(bytes: &'a dyn FileBytes, max_boxes: u32) -> Self {
        Self {
            bytes,
            length: bytes.length(),
            boxes_left: Cell::new(max_boxes),
            exceeds_boxes: Cell::new(false),
        }
    }

    /// Copies the bytes from `place` on to all of `bytes`.
    pub fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()> {
        self.bytes.read(place, bytes)
    }

    /// Returns the bytes of a range.
    pub fn bytes(&self, range: Range<u64>) -> Option<Bytes> {
        self.bytes.bytes(range)
    }

    /// Returns whether there were more boxes than can be read.
    pub fn exceeds_boxes(&self) -> bool {
        self.exceeds_boxes.get()
    }

    /// Reads the box that begins at `range`, which has to hold all of it.
    fn read_box(&self, range: &Range<u64>) -> Option<PlacedBox> {
        let Some(left) = self.boxes_left.get().checked_sub(1) else {
            self.exceeds_boxes.set(true);
            return None;
        };
        self.boxes_left.set(left);
        let rest = range.end.checked_sub(range.start)?;
        let mut bytes = [0; LARGE_HEADER];
        let there = bytes
            .len()
            .min(usize::try_from(rest).unwrap_or(LARGE_HEADER));
        self.read(range.start, &mut bytes[..there])?;
        let BoxHeader { kind, length, size } = BoxHeader::parse(&bytes[..there], rest)?;
        Some(PlacedBox {
            kind,
            start: range.start,
            contents: range.start + length..range.start + size,
        })
    }

    /// Returns the boxes in a row, up to the first that is broken.
    pub fn children(&self, mut range: Range<u64>) -> impl Iterator<Item = PlacedBox> {
        std::iter::from_fn(move || {
            let found = self.read_box(&range)?;
            range.start = found.contents.end;
            Some(found)
        })
    }

    /// Returns the place of the contents of the first box of a kind.
    pub fn child(&self, range: Range<u64>, kind: &[u8; 4]) -> Option<Range<u64>> {
        let mut children = self.children(range);
        let found = children.find(|child| child.kind == *kind);
        found.map(|child| child.contents)
    }
}
