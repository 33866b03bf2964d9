// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Boxes of MP4 files (ISO/IEC 14496-12, 4.2): headers, boxes in a row, and new boxes.

use std::ops::Range;

/// Bytes of a box header with a 32-bit size.
pub const HEADER: usize = 8;
/// Bytes of a box header with a 64-bit size.
pub const LARGE_HEADER: usize = 16;

/// Header of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxHeader {
    /// Type of the box, such as `moov`.
    pub kind: [u8; 4],
    /// Bytes of the header: 8, or [`LARGE_HEADER`].
    pub length: u64,
    /// Bytes of the box, header included.
    pub size: u64,
}

impl BoxHeader {
    /// Parses the header at the start of `bytes`, the first [`LARGE_HEADER`] bytes of the box or more, or
    /// all if there are fewer. The file or box around it has `rest` bytes from there on.
    ///
    /// Returns `None` if the box does not end within these.
    pub fn parse(bytes: &[u8], rest: u64) -> Option<Self> {
        let kind = bytes.get(4..HEADER)?.try_into().ok()?;
        let (length, size) = match number(bytes, 0..4)? {
            0 => (HEADER, rest), // to the end
            1 => (LARGE_HEADER, number(bytes, HEADER..LARGE_HEADER)?),
            size => (HEADER, size),
        };
        let length = length as u64;
        (length..=rest)
            .contains(&size)
            .then_some(Self { kind, length, size })
    }
}

/// A box in memory.
#[derive(Debug, Clone, Copy)]
pub struct Mp4Box<'a> {
    /// Type of the box.
    pub kind: [u8; 4],
    /// All bytes, header included.
    pub whole: &'a [u8],
    /// The bytes after the header.
    pub contents: &'a [u8],
}

/// Returns the boxes in a row, up to the first that does not end within `data`.
pub fn boxes(mut data: &[u8]) -> impl Iterator<Item = Mp4Box<'_>> {
    std::iter::from_fn(move || {
        let BoxHeader { kind, length, size } = BoxHeader::parse(data, data.len() as u64)?;
        let (whole, rest) = data.split_at_checked(usize::try_from(size).ok()?)?;
        data = rest;
        Some(Mp4Box {
            kind,
            whole,
            contents: whole.get(usize::try_from(length).ok()?..)?,
        })
    })
}

/// Returns the contents of the first box of a kind.
pub fn child<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let found = boxes(data).find(|child| child.kind == *kind);
    found.map(|child| child.contents)
}

/// Appends a box with the contents that `put` appends, or returns `None` if they are too long or `put`
/// returns `None`.
pub fn put_box(
    new: &mut Vec<u8>,
    kind: &[u8; 4],
    put: impl FnOnce(&mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let begin = new.len();
    new.extend([0; 4]);
    new.extend(kind);
    put(new)?;
    let size = u32::try_from(new.len() - begin).ok()?;
    new[begin..begin + 4].copy_from_slice(&size.to_be_bytes());
    Some(())
}

/// Returns the header of a box with contents of this length (4.2).
pub fn header(kind: &[u8; 4], contents: u64) -> Vec<u8> {
    match u32::try_from(contents.saturating_add(HEADER as u64)) {
        Ok(size) => [&size.to_be_bytes(), &kind[..]].concat(),
        Err(_) => {
            let size = contents.saturating_add(LARGE_HEADER as u64);
            [&1u32.to_be_bytes(), &kind[..], &size.to_be_bytes()].concat()
        }
    }
}

/// Returns a big-endian number of at most eight bytes, or `None` if `data` is shorter.
pub fn number(data: &[u8], at: Range<usize>) -> Option<u64> {
    let bytes = data.get(at)?.iter();
    Some(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_end_within_what_is_around_them() {
        let size = |first: u32, large: u64, rest| {
            let mut header = [0; LARGE_HEADER];
            header[..4].copy_from_slice(&first.to_be_bytes());
            header[HEADER..].copy_from_slice(&large.to_be_bytes());
            BoxHeader::parse(&header, rest).map(|header| (header.length, header.size))
        };
        assert_eq!(size(8, 0, 8), Some((8, 8)));
        assert_eq!(size(9, 0, 8), None);
        assert_eq!(size(7, 0, 100), None);
        assert_eq!(size(0, 0, 100), Some((8, 100)));
        assert_eq!(size(0, 0, 7), None);
        assert_eq!(size(1, 1 << 33, 1 << 34), Some((16, 1 << 33)));
        assert_eq!(size(1, 15, 1 << 34), None);
        assert_eq!(BoxHeader::parse(&[0, 0, 0, 8, b'm'], 8), None);
        for (contents, length) in [
            (0, 8),
            (u64::from(u32::MAX) - 8, 8),
            (u64::from(u32::MAX) - 7, 16),
            (1 << 40, 16),
        ] {
            let parsed = BoxHeader::parse(&header(b"mdat", contents), u64::MAX);
            let expected = BoxHeader {
                kind: *b"mdat",
                length,
                size: length + contents,
            };
            assert_eq!(parsed, Some(expected));
        }
    }

    #[test]
    fn boxes_in_a_row() {
        let mut data = Vec::new();
        put_box(&mut data, b"free", |_| Some(())).unwrap();
        data.extend([0, 0, 0, 1]);
        data.extend(b"mdat");
        data.extend(17u64.to_be_bytes());
        data.push(7);
        data.extend([0, 0, 0, 0]);
        data.extend(b"uuid");
        data.push(9);
        let found: Vec<_> = boxes(&data)
            .map(|found| (found.kind, found.contents))
            .collect();
        let expected = [(*b"free", &[][..]), (*b"mdat", &[7]), (*b"uuid", &[9])];
        assert_eq!(found, expected);
        assert_eq!(child(&data, b"mdat"), Some(&[7][..]));
        assert_eq!(child(&data[..20], b"mdat"), None);
    }
}
