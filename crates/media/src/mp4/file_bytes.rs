// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Bytes of a file that is read at any place: in memory, in pieces, or wherever the caller has them.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

/// A file that is read at any place.
pub trait FileBytes: fmt::Debug {
    /// Returns the number of bytes.
    fn length(&self) -> u64;

    /// Copies the bytes from `place` on to all of `bytes`. Returns `None` if the file has fewer, or cannot be read.
    fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()>;

    /// Returns the bytes of a range, or `None` if the file has fewer, or cannot be read.
    fn bytes(&self, range: Range<u64>) -> Option<Bytes> {
        if range.end > self.length() {
            return None;
        }
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let mut bytes = vec![0; length];
        self.read(range.start, &mut bytes)?;
        Some(bytes.into())
    }
}

/// A file that comes in pieces, which are in memory.
#[derive(Debug)]
pub struct Pieces<'a> {
    pieces: &'a [Bytes],
    /// Ends of the pieces, in bytes of the file.
    ends: Vec<u64>,
    length: u64,
}

impl<'a> Pieces<'a> {
    /// Creates a file of `pieces`.
    pub fn new(pieces: &'a [Bytes]) -> Self {
        let mut length = 0;
        let ends = pieces.iter().map(|piece| {
            length += piece.len() as u64;
            length
        });
        Self {
            pieces,
            ends: ends.collect(),
            length,
        }
    }
}

impl FileBytes for Pieces<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()> {
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
    fn bytes(&self, range: Range<u64>) -> Option<Bytes> {
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
}
