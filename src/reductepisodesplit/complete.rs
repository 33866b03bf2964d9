// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Completes the box `moov` of a file that mp4mux has written, in place.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use media::mp4::{BoxHeader, Description, LARGE_HEADER, rewrite_moov};

/// Writes times and edit list of a file with one track. Returns `false` if hidden access units stay visible, as a
/// box `moov` in front of others cannot grow.
///
/// # Errors
///
/// Those of the file, and `InvalidData` if its structure is not that of mp4mux, or if a time does not fit its box
/// `moov`.
pub fn describe(file: &mut File, description: &Description) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    let moov = find_moov(file, length)?;
    let mut old = vec![0; usize::try_from(moov.end - moov.start).map_err(invalid)?];
    file.seek(SeekFrom::Start(moov.start))?;
    file.read_exact(&mut old)?;

    let is_last = moov.end == length;
    let (new, is_complete) = rewrite_moov(&old, is_last, description).map_err(invalid)?;
    if new == old {
        return Ok(is_complete);
    }
    file.seek(SeekFrom::Start(moov.start))?;
    file.write_all(&new)?;
    if is_last {
        file.set_len(moov.start + new.len() as u64)?;
    }
    Ok(is_complete)
}

/// Returns the position of the box `moov` in a file.
fn find_moov(file: &mut (impl Read + Seek), length: u64) -> io::Result<Range<u64>> {
    let mut start = 0;
    while start < length {
        let rest = length - start;
        let mut bytes = [0; LARGE_HEADER];
        let there = bytes.len().min(rest.try_into().unwrap_or(LARGE_HEADER));
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes[..there])?;
        let header = BoxHeader::parse(&bytes[..there], rest);
        let header = header.ok_or_else(|| invalid("a box is longer than the file"))?;
        let end = start + header.size;
        if header.kind == *b"moov" {
            return Ok(start..end);
        }
        start = end;
    }
    Err(invalid("no box moov"))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moov_is_found_behind_large_boxes() {
        let mut file = Vec::new();
        file.extend(12u32.to_be_bytes());
        file.extend(b"ftypisom");
        file.extend([0, 0, 0, 1]);
        file.extend(b"mdat");
        file.extend(20u64.to_be_bytes());
        file.extend(b"data");
        let start = file.len() as u64;
        file.extend(24u32.to_be_bytes());
        file.extend(b"moov");
        file.extend([0; 16]);
        let length = file.len() as u64;
        let mut reader = io::Cursor::new(&file);
        assert_eq!(find_moov(&mut reader, length).unwrap(), start..length);
        for end in 1..length {
            let mut reader = io::Cursor::new(&file[..end as usize]);
            assert!(find_moov(&mut reader, end).is_err(), "{end}");
        }
    }
}
