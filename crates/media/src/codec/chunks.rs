// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A record that came in several chunks, cut between NAL units.

use std::mem;

use bytes::Bytes;

use super::annexb::{
    begins_with_start_code, find_last_start_code, find_start_code, start_code_begin,
};

/// Returns the bytes of `chunks` in pieces, each of which but the first begins with a start code.
///
/// Only NAL units at the border of two chunks are copied. Other content than a byte stream is one
/// piece, as it can only be judged as a whole.
pub fn between_nal_units(mut chunks: Vec<Bytes>) -> Vec<Bytes> {
    chunks.retain(|chunk| !chunk.is_empty());
    if chunks.len() < 2 {
        return chunks;
    }
    if !begins_with_start_code(chunks.iter().flatten()) {
        return vec![joined(&chunks)];
    }
    let mut pieces = Vec::new();
    // NAL units, the last of which may continue in further chunks.
    let mut open: Vec<Bytes> = Vec::new();
    for mut chunk in chunks {
        if !open.is_empty()
            && let Some(start) = first_start(&chunk)
        {
            if start > 0 {
                open.push(chunk.split_to(start));
            }
            close(&mut open, &mut pieces);
        }
        open.push(chunk);
    }
    close(&mut open, &mut pieces);
    pieces
}

/// Joins chunks.
pub fn joined(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [chunk] => chunk.clone(),
        _ => chunks.concat().into(),
    }
}

/// Makes pieces of the `open` NAL units, the last of which is complete now.
fn close(open: &mut Vec<Bytes>, pieces: &mut Vec<Bytes>) {
    if let [units, _, ..] = open.as_mut_slice()
        && let Some(start) = last_start(units)
        && start > 0
    {
        pieces.push(units.split_to(start));
    }
    pieces.push(joined(&mem::take(open)));
}

/// Returns the place of the first start code that lies within `chunk` as a whole. The `zero_byte` of a
/// start code at the very beginning may be in the chunk before.
fn first_start(chunk: &[u8]) -> Option<usize> {
    let code = find_start_code(&chunk[1..])?;
    Some(start_code_begin(chunk, code + 1))
}

pub fn last_start(chunk: &[u8]) -> Option<usize> {
    let code = find_last_start_code(chunk)?;
    Some(start_code_begin(chunk, code))
}

#[cfg(test)]
mod tests {
    use super::super::annexb::{START_CODE, nal_units};
    use super::*;

    /// Start codes of all kinds, two of them in a row, and zeros at both ends.
    const STREAM: &[u8] = &[
        0, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 0, 0, 1, 0, 0, 1, 0x65, 2, 3, 0, 0, 0, 0, 0, 1, 0,
        0, 0, 1, 0x41, 0, 4, 0,
    ];

    /// Returns `bytes` in chunks with memory of their own.
    fn chunks(bytes: &[u8], cuts: &[usize]) -> Vec<Bytes> {
        let begins = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let spans = begins.zip(ends);
        spans
            .map(|(begin, end)| Bytes::copy_from_slice(&bytes[begin..end]))
            .collect()
    }

    fn is_slice(piece: &Bytes, chunks: &[Bytes]) -> bool {
        let piece = piece.as_ptr_range();
        chunks.iter().any(|chunk| {
            let chunk = chunk.as_ptr_range();
            chunk.start <= piece.start && piece.end <= chunk.end
        })
    }

    /// Returns the places of the NAL units of `pieces` in their concatenation.
    fn units(pieces: &[Bytes]) -> Vec<(usize, usize, usize)> {
        let mut units = Vec::new();
        let mut at = 0;
        for piece in pieces {
            units.extend(
                nal_units(piece)
                    .map(|nal| (at + nal.start, at + nal.bytes.start, at + nal.bytes.end)),
            );
            at += piece.len();
        }
        units
    }

    #[test]
    fn wherever_chunks_end_pieces_end_between_nal_units() {
        let whole = [Bytes::from_static(STREAM)];
        for first in 0..=STREAM.len() {
            for second in first..=STREAM.len() {
                let pieces = between_nal_units(chunks(STREAM, &[first, second]));
                assert_eq!(pieces.concat(), STREAM, "{first}, {second}");
                assert_eq!(units(&pieces), units(&whole), "{first}, {second}");
                for (before, piece) in pieces.iter().zip(&pieces[1..]) {
                    let has_zero_byte = piece.starts_with(&[0, 0, 0, 1]);
                    assert!(has_zero_byte || piece.starts_with(START_CODE));
                    assert!(has_zero_byte || !before.ends_with(&[0]));
                }
            }
        }
    }

    #[test]
    fn only_what_crosses_is_copied() {
        let stream = [
            &[0, 0, 0, 1, 0x67, 1][..],
            &[0, 0, 0, 1, 0x68, 2],
            &[0, 0, 1, 0x65, 3, 4, 5, 6, 7, 8],
            &[0, 0, 0, 1, 0x41, 9],
            &[0, 0, 1, 0x41, 9],
        ]
        .concat();
        let cut = |cuts: &[usize]| -> Vec<(usize, bool)> {
            let chunks = chunks(&stream, cuts);
            let pieces = between_nal_units(chunks.clone());
            let is_slice = |piece: &Bytes| is_slice(piece, &chunks);
            pieces
                .iter()
                .map(|piece| (piece.len(), is_slice(piece)))
                .collect()
        };
        assert_eq!(cut(&[17]), [(12, true), (10, false), (11, true)]);
        // Through several chunks.
        assert_eq!(cut(&[16, 18, 20]), [(12, true), (10, false), (11, true)]);
        // Right before a start code: nothing crosses.
        assert_eq!(cut(&[22]), [(22, true), (11, true)]);
        assert_eq!(cut(&[6, 22]), [(6, true), (16, true), (11, true)]);
        // To the end.
        assert_eq!(cut(&[32]), [(28, true), (5, false)]);
        assert_eq!(cut(&[1, 2]), [(6, false), (27, true)]);
    }

    #[test]
    fn one_chunk_stays_as_it_is() {
        for bytes in [STREAM, b"{}"] {
            let chunk = Bytes::from_static(bytes);
            let pieces = between_nal_units(vec![Bytes::new(), chunk.clone(), Bytes::new()]);
            assert_eq!(pieces, [&chunk]);
            assert!(is_slice(&pieces[0], &[chunk]));
        }
        assert!(between_nal_units(vec![Bytes::new(); 2]).is_empty());
    }

    #[test]
    fn what_is_no_byte_stream_stays_whole() {
        let prefixed = [0, 0, 0, 2, 0x65, 0, 0, 0, 1, 0x41];
        for bytes in [
            &prefixed[..],
            &[0; 9],
            &[0, 1, 0x65, 0, 0, 1, 0x41],
            &[7, 0, 0, 1, 0x41],
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(between_nal_units(chunks(bytes, &[cut])), [bytes]);
            }
        }
    }
}
