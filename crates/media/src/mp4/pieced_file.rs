// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Boxes of an untrusted file that comes in pieces, read in place.

use std::cell::Cell;
use std::ops::Range;

use bytes::Bytes;

use super::boxes::{BoxHeader, LARGE_HEADER};

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

/// A file in pieces.
#[derive(Debug)]
pub struct PiecedFile<'a> {
    pieces: &'a [Bytes],
    /// Ends of the pieces, in bytes of the file.
    ends: Vec<u64>,
    /// Bytes of the file.
    pub length: u64,
    boxes_left: Cell<u32>,
    exceeds_boxes: Cell<bool>,
}

impl<'a> PiecedFile<'a> {
    /// Creates a file of `pieces`, of which at most `max_boxes` boxes can be read.
    pub fn new(pieces: &'a [Bytes], max_boxes: u32) -> Self {
        let mut length = 0;
        let ends = pieces.iter().map(|piece| {
            length += piece.len() as u64;
            length
        });
        Self {
            pieces,
            ends: ends.collect(),
            length,
            boxes_left: Cell::new(max_boxes),
            exceeds_boxes: Cell::new(false),
        }
    }

    /// Copies the bytes from `place` on to all of `bytes`.
    pub fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()> {
        let mut piece = self.ends.partition_point(|end| *end <= place);
        let mut filled = 0;
        while filled < bytes.len() {
            let (data, end) = (self.pieces.get(piece)?, self.ends[piece]);
            let left = end - (place + filled as u64);
            let data = &data[data.len() - usize::try_from(left).ok()?..];
            let part = &data[..data.len().min(bytes.len() - filled)];
            bytes[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
            piece += 1;
        }
        Some(())
    }

    /// Returns the bytes of a range, copied only if they are in several pieces.
    pub fn bytes(&self, range: Range<u64>) -> Option<Bytes> {
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        if range.end > self.length {
            return None;
        }
        let piece = self.ends.partition_point(|end| *end <= range.start);
        if let (Some(data), Some(end)) = (self.pieces.get(piece), self.ends.get(piece))
            && range.end <= *end
        {
            let begin = data.len() - usize::try_from(end - range.start).ok()?;
            return Some(data.slice(begin..begin + length));
        }
        let mut bytes = vec![0; length];
        self.read(range.start, &mut bytes)?;
        Some(bytes.into())
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
