// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The payload of a NAL unit without emulation prevention bytes (ITU-T H.264, 7.3.1).
//!
//! The type of h264-reader fails on payloads with a missing emulation prevention byte, even behind the
//! fields that are read. Decoders accept those.

use std::io::{BufRead, Read, Result};

/// Number of bytes to look ahead: headers are short.
const CHUNK: usize = 64;

/// Reads the bytes after the header of a NAL unit.
#[derive(Debug, Clone)]
pub struct Rbsp<'a> {
    rest: &'a [u8],
    /// Number of consecutive zeros before `rest`.
    zeros: usize,
}

impl<'a> Rbsp<'a> {
    /// Returns the payload of `nal`.
    pub fn new(nal: &'a [u8]) -> Self {
        Self {
            rest: nal.get(1..).unwrap_or_default(),
            zeros: 0,
        }
    }
}

impl BufRead for Rbsp<'_> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.zeros >= 2
            && let [3, rest @ ..] = self.rest
        {
            self.rest = rest;
            self.zeros = 0;
        }
        let mut zeros = self.zeros;
        let mut length = 0;
        for byte in self.rest.iter().take(CHUNK) {
            if zeros >= 2 && *byte == 3 {
                break;
            }
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            length += 1;
        }
        Ok(&self.rest[..length])
    }

    fn consume(&mut self, count: usize) {
        let (consumed, rest) = self.rest.split_at(count.min(self.rest.len()));
        let trailing = consumed.iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if trailing == consumed.len() {
            self.zeros + trailing
        } else {
            trailing
        };
        self.rest = rest;
    }
}

impl Read for Rbsp<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut count = 0;
        for (place, byte) in buffer.iter_mut().zip(self) {
            *place = byte;
            count += 1;
        }
        Ok(count)
    }
}

/// Bit readers take a byte at a time: no look-ahead for each of them.
impl Iterator for Rbsp<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.zeros >= 2
            && let [3, rest @ ..] = self.rest
        {
            self.rest = rest;
            self.zeros = 0;
        }
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.zeros = if *byte == 0 { self.zeros + 1 } else { 0 };
        Some(*byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(nal: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        Rbsp::new(nal).read_to_end(&mut payload).unwrap();
        payload
    }

    #[test]
    fn emulation_prevention_bytes_are_left_out() {
        assert_eq!(
            payload(&[0x67, 1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3]),
            [1, 0, 0, 1, 0, 0, 0, 0]
        );
        assert_eq!(payload(&[0x67, 0, 3, 3]), [0, 3, 3]);
        assert_eq!(payload(&[0x67, 0, 0, 3, 3]), [0, 0, 3]);
        assert!(payload(&[0x67]).is_empty() && payload(&[]).is_empty());
    }

    #[test]
    fn zeros_without_them_stay() {
        assert_eq!(payload(&[0x67, 0, 0, 0, 2, 0, 0, 2]), [0, 0, 0, 2, 0, 0, 2]);
    }

    #[test]
    fn it_does_not_matter_how_it_is_read() {
        let nal: Vec<u8> = (0..500u16)
            .map(|at| [0, 0, 3, 1, 7][usize::from(at) % 5])
            .collect();
        let whole = payload(&nal);
        let mut reader = Rbsp::new(&nal);
        let bytes: Vec<u8> = std::iter::from_fn(|| {
            let mut byte = [0];
            (reader.read(&mut byte).unwrap() > 0).then_some(byte[0])
        })
        .collect();
        assert_eq!(bytes, whole);
    }
}
