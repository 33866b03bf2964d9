// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Headers of an MP4 file, which are read without its media data.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use media::mp4::{BoxHeader, LARGE_HEADER};

/// Longest box that is read, in bytes: more than the reader of the track accepts.
const MAX_BOX: u64 = 1 << 30;
/// Zeros in the place of media data. They take no memory: nothing reads them.
static ZEROS: [u8; 1 << 26] = [0; 1 << 26];

/// Returns the pieces of a file, in which boxes other than `moov` and `moof` have zeros in the place of their contents.
///
/// # Errors
///
/// Those of the file, and `InvalidData` for a box that is too long.
pub fn headers(file: &mut (impl Read + Seek)) -> io::Result<Vec<Bytes>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut pieces = Vec::new();
    let mut place = 0;
    while place < end {
        file.seek(SeekFrom::Start(place))?;
        let mut bytes = Vec::with_capacity(LARGE_HEADER);
        let header_length = LARGE_HEADER as u64;
        file.by_ref().take(header_length).read_to_end(&mut bytes)?;
        // What follows a broken box cannot be read.
        let Some(header) = BoxHeader::parse(&bytes, end - place) else {
            put_zeros(&mut pieces, end - place);
            break;
        };
        if matches!(&header.kind, b"moov" | b"moof") {
            if header.size > MAX_BOX {
                let text = "a box of headers has more than 1 GiB";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            let mut contents = Vec::new();
            file.seek(SeekFrom::Start(place))?;
            file.by_ref().take(header.size).read_to_end(&mut contents)?;
            pieces.push(contents.into());
        } else {
            bytes.truncate(usize::try_from(header.length).unwrap_or(LARGE_HEADER));
            pieces.push(bytes.into());
            put_zeros(&mut pieces, header.size - header.length);
        }
        place += header.size;
    }
    Ok(pieces)
}

/// Appends zeros.
fn put_zeros(pieces: &mut Vec<Bytes>, mut length: u64) {
    while length > 0 {
        let here = usize::try_from(length).map_or(ZEROS.len(), |length| length.min(ZEROS.len()));
        pieces.push(Bytes::from_static(&ZEROS[..here]));
        length -= here as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn only_headers_are_kept() {
        let file = [
            &b"\0\0\0\x0cftypisom"[..],
            b"\0\0\0\x0bmoovabc",
            b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x13xyz",
            b"\0\0\0\0moofend",
        ];
        let pieces = headers(&mut Cursor::new(file.concat())).unwrap();
        let expected = [
            &b"\0\0\0\x0cftyp\0\0\0\0"[..],
            b"\0\0\0\x0bmoovabc",
            b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x13\0\0\0",
            b"\0\0\0\0moofend",
        ];
        assert_eq!(pieces.concat(), expected.concat());
    }

    #[test]
    fn what_follows_a_broken_box_is_left_out() {
        let pieces = headers(&mut Cursor::new(b"\0\0\0\x07moovabc")).unwrap();
        assert_eq!(pieces.concat(), [0; 11]);
        assert!(headers(&mut Cursor::new(b"")).unwrap().is_empty());
    }
}
