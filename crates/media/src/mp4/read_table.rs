// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The sample table of a track of a file (ISO/IEC 14496-12, 8.5 to 8.7).

use bytes::Bytes;

use super::boxes::number;
use super::file_samples::{FileReadError, FileSample, SampleList};

/// Contents of the boxes of a sample table.
#[derive(Debug, Default)]
pub struct TableBoxes {
    /// Durations.
    pub stts: Bytes,
    /// Distances from DTS to PTS, if they are not all 0.
    pub ctts: Option<Bytes>,
    /// Sync samples, if not all samples are some.
    pub stss: Option<Bytes>,
    /// Sizes.
    pub stsz: Bytes,
    /// Chunks.
    pub stsc: Bytes,
    /// Places of chunks in 32 bits.
    pub stco: Option<Bytes>,
    /// Places of chunks in 64 bits.
    pub co64: Option<Bytes>,
}

/// A table with entries of equal size.
struct Entries<'a> {
    entries: std::slice::ChunksExact<'a, u8>,
}

impl<'a> Entries<'a> {
    /// Returns the entries of `size` bytes in a box, whose number stands before them.
    fn new(kind: &[u8; 4], contents: &'a [u8], size: usize) -> Result<Self, FileReadError> {
        Self::parse(contents, size).ok_or(FileReadError::Broken(*kind))
    }

    fn parse(contents: &'a [u8], size: usize) -> Option<Self> {
        let count = usize::try_from(number(contents, 4..8)?).ok()?;
        let entries = contents.get(8..)?.get(..count.checked_mul(size)?)?;
        let entries = entries.chunks_exact(size);
        Some(Self { entries })
    }
}

impl Iterator for Entries<'_> {
    type Item = [u32; 3];

    /// Returns the next entry as numbers of 32 bits.
    fn next(&mut self) -> Option<[u32; 3]> {
        let mut fields = [0; 3];
        let words = self.entries.next()?.chunks_exact(4);
        for (field, word) in fields.iter_mut().zip(words) {
            *field = word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        }
        Some(fields)
    }
}

/// Values of which each is for so many samples.
struct Expanded<'a> {
    runs: Entries<'a>,
    left: u32,
    value: u32,
}

impl Iterator for Expanded<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            [self.left, self.value, _] = self.runs.next()?;
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// Returns the values of a table of runs (8.6.1).
fn expanded<'a>(kind: &[u8; 4], contents: &'a [u8]) -> Result<Expanded<'a>, FileReadError> {
    Ok(Expanded {
        runs: Entries::new(kind, contents, 8)?,
        left: 0,
        value: 0,
    })
}

impl TableBoxes {
    /// Appends the samples of the table to `list`.
    ///
    /// # Errors
    ///
    /// A box is broken, or a sample is not one of the file.
    pub fn read(&self, list: &mut SampleList) -> Result<(), FileReadError> {
        let broken = |kind: &[u8; 4]| FileReadError::Broken(*kind);
        let same_size = number(&self.stsz, 4..8).ok_or(broken(b"stsz"))?;
        let count = number(&self.stsz, 8..12).ok_or(broken(b"stsz"))?;
        let mut sizes = self.stsz.get(12..).unwrap_or_default().chunks_exact(4);
        let mut durations = expanded(b"stts", &self.stts)?;
        let offsets = self.ctts.as_ref().map(|ctts| expanded(b"ctts", ctts));
        let mut offsets = offsets.transpose()?;
        let is_signed = self.ctts.as_ref().and_then(|ctts| ctts.first()) == Some(&1);
        let sync = self
            .stss
            .as_ref()
            .map(|stss| Entries::new(b"stss", stss, 4));
        let mut sync = sync.transpose()?;
        let mut next_sync = sync.as_mut().map(|sync| sync.next());
        let mut places = self.places()?;

        let mut dts = list.end();
        for sample in 1..=count {
            let size = match same_size {
                0 => sizes.next().and_then(|size| number(size, 0..4)),
                size => Some(size),
            };
            let size = size.and_then(|size| u32::try_from(size).ok());
            let size = size.ok_or(broken(b"stsz"))?;
            let duration = durations.next().ok_or(broken(b"stts"))?;
            let offset = offsets.as_mut().and_then(Iterator::next).unwrap_or(0);
            let offset = match is_signed {
                true => i64::from(offset.cast_signed()),
                false => i64::from(offset),
            };
            let is_sync = match (&mut sync, &mut next_sync) {
                (Some(sync), Some(next)) => {
                    let is_sync = next.is_some_and(|[number, ..]| u64::from(number) == sample);
                    if is_sync {
                        *next = sync.next();
                    }
                    is_sync
                }
                _ => true,
            };
            list.push(FileSample {
                offset: places.next(size)?,
                size,
                dts,
                // No sum of durations of so few samples has 64 bits.
                pts: dts.cast_signed().saturating_add(offset),
                duration,
                is_sync,
            })?;
            dts = list.end();
        }
        match durations.next() {
            None => Ok(()),
            Some(_) => Err(broken(b"stts")),
        }
    }

    fn places(&self) -> Result<Places<'_>, FileReadError> {
        let (kind, contents, size) = match (&self.stco, &self.co64) {
            (Some(stco), _) => (b"stco", stco, 4),
            (None, Some(co64)) => (b"co64", co64, 8),
            (None, None) => return Err(FileReadError::Broken(*b"stco")),
        };
        Ok(Places {
            chunks: Entries::new(kind, contents, size)?,
            is_long: size == 8,
            runs: Entries::new(b"stsc", &self.stsc, 12)?.peekable(),
            chunk: 0,
            per_chunk: 0,
            left: 0,
            next: 0,
        })
    }
}

/// Places of samples in a file: those of a chunk stand one behind the other.
struct Places<'a> {
    chunks: Entries<'a>,
    is_long: bool,
    /// First chunk, and the number of samples in it and those behind it.
    runs: std::iter::Peekable<Entries<'a>>,
    /// Number of the present chunk, from 1.
    chunk: u64,
    per_chunk: u32,
    /// Samples left in the present chunk.
    left: u32,
    next: u64,
}

impl Places<'_> {
    /// Returns the place of the next sample, which has `size` bytes.
    fn next(&mut self, size: u32) -> Result<u64, FileReadError> {
        while self.left == 0 {
            let entry = self.chunks.next();
            let [first, second, _] = entry.ok_or(FileReadError::Broken(*b"stco"))?;
            self.next = match self.is_long {
                true => u64::from(first) << 32 | u64::from(second),
                false => first.into(),
            };
            self.chunk += 1;
            while let Some([_, per_chunk, _]) =
                (self.runs).next_if(|[first, ..]| u64::from(*first) <= self.chunk)
            {
                self.per_chunk = per_chunk;
            }
            self.left = self.per_chunk;
        }
        self.left -= 1;
        let place = self.next;
        self.next = place.saturating_add(size.into());
        Ok(place)
    }
}
