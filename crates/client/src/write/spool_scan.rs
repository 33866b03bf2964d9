// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Search for the records in a file of a spool, also in a damaged one or one of the first version.
//!
//! Headers are verified here, and contents that are not followed by a record; other contents are verified when they
//! are read. After damage the search continues at the next intact header.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use memchr::memmem;

use crate::write::record::NewRecord;
use crate::write::spool_format::{
    self as format, FILE_HEADER, FIRST_DESCRIPTION, FIRST_PREFIX, MAX_DESCRIPTION, Placement,
    RECORD_HEADER, RecordIndex, SpoolRecordHeader,
};
use crate::write::stored::Span;

/// Bytes that are read at once to find the next record, or to verify a content.
const CHUNK: usize = 256 << 10;
/// Bytes that are read at once of a header: most descriptions are shorter.
const HEADER_GUESS: u64 = 512;

/// Bytes at offsets, as those of a file.
pub trait ReadAt {
    /// Reads exactly as many bytes as the buffer holds.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

/// Lower bounds of the number of lost records and of their frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    pub records: u64,
    pub frames: u64,
}

impl Lost {
    fn add(&mut self, records: u64, frames: u64) {
        self.records = self.records.saturating_add(records);
        self.frames = self.frames.saturating_add(frames);
    }
}

/// Result of the search in a file.
#[derive(Debug)]
pub struct Scan {
    /// Run that wrote it, if it can be read.
    pub run: Option<u64>,
    pub placement: Placement,
    /// Records without their contents, in order.
    pub records: Vec<(NewRecord, Span)>,
    pub lost: Lost,
    /// The file is damaged other than by a last record that is not whole.
    pub is_damaged: bool,
    /// The last record is not whole, as after a crash.
    pub is_torn: bool,
    /// Error that ended the search.
    pub error: Option<io::Error>,
}

/// Finds the records in a file of a length in bytes.
pub fn scan(source: &impl ReadAt, length: u64) -> Scan {
    let mut scanner = Scanner {
        source,
        end: length,
        scan: Scan {
            run: None,
            placement: Placement::Unknown,
            records: Vec::new(),
            lost: Lost::default(),
            is_damaged: false,
            is_torn: false,
            error: None,
        },
    };
    if let Err(error) = scanner.run() {
        scanner.scan.lost.add(1, 1);
        scanner.scan.is_damaged = true;
        scanner.scan.error = Some(error);
    }
    scanner.scan
}

struct Scanner<'a, S> {
    source: &'a S,
    end: u64,
    scan: Scan,
}

/// A record's header in a file.
#[derive(Debug, Clone)]
struct Found {
    header: SpoolRecordHeader,
    description: Vec<u8>,
    /// Offset of the content.
    content: u64,
}

impl Found {
    /// Returns the offset of the content's end, which may be behind that of the file.
    fn end(&self) -> u64 {
        self.content.saturating_add(self.header.length)
    }

    /// Returns the index of the record after it.
    fn next_index(&self) -> RecordIndex {
        RecordIndex {
            records: self.header.index.records.saturating_add(1),
            frames: (self.header.index.frames).saturating_add(self.header.frames.into()),
        }
    }
}

impl<S: ReadAt> Scanner<'_, S> {
    fn run(&mut self) -> io::Result<()> {
        let begin = self.read(0, FILE_HEADER as u64)?;
        self.scan.run = format::parse_run(&begin);
        self.scan.placement = match self.scan.run {
            Some(_) => format::parse_placement(&begin),
            None => Placement::Unknown,
        };
        let after_header = FILE_HEADER as u64;
        if self.scan.run.is_some() && self.record_at(after_header)?.is_some() {
            return self.scan_from(after_header);
        }
        // Bytes of the header may be missing, too.
        let first = self.find(0)?;
        self.scan.is_damaged = first.is_some();
        match (self.scan.run, first) {
            (Some(_), first) => self.scan_from(first.unwrap_or(after_header)),
            (None, Some(first)) if self.first_version_at(0)?.is_none() => {
                self.scan.placement = format::parse_placement(&begin);
                self.scan_from(first)
            }
            (None, None) if begin.len() < FILE_HEADER && format::has_magic(&begin) => {
                Ok(()) // The file was begun and has no records.
            }
            (None, _) => {
                self.scan.is_damaged = self.first_version_at(0)?.is_none();
                self.scan_first_version()
            }
        }
    }

    /// Finds the records from an offset on.
    fn scan_from(&mut self, mut offset: u64) -> io::Result<()> {
        let mut next = RecordIndex {
            records: 0,
            frames: 0,
        };
        // The record before the offset, unless it is known to be damaged.
        let mut last: Option<Found> = None;
        loop {
            let found = self.record_at(offset)?;
            if let Some(found) = found.as_ref().filter(|found| found.header.index == next)
                && found.end() <= self.end
            {
                last = self.accept(found, &mut next);
                offset = found.end();
                continue;
            }
            // Bytes of the record before may be missing, or there may be more of them.
            let broken = self.drop_damaged(last.take())?;
            if let Some(broken) = &broken {
                next = broken.header.index;
            } else if offset >= self.end {
                return Ok(());
            } else if let Some(found) = found.as_ref().filter(|found| found.end() <= self.end) {
                last = self.accept(found, &mut next);
                offset = found.end();
                continue;
            }
            let from = match (&broken, &found) {
                (Some(broken), _) => broken.content,
                (None, Some(found)) => found.content,
                (None, None) => offset,
            };
            if let Some(another) = self.find(from)? {
                self.scan.is_damaged = true;
                offset = another;
                continue;
            }
            let is_torn = match (&broken, &found) {
                (Some(_), _) => false,
                (None, Some(found)) => {
                    self.skip_to(found.header.index, &mut next);
                    true
                }
                (None, None) => self.is_torn_header(offset)?,
            };
            self.scan.is_torn |= is_torn;
            self.scan.is_damaged |= !is_torn;
            let frames = broken.or(found).map_or(1, |it| it.header.frames.max(1));
            self.scan.lost.add(1, frames.into());
            return Ok(());
        }
    }

    /// Removes and returns the last record if its content is damaged.
    fn drop_damaged(&mut self, last: Option<Found>) -> io::Result<Option<Found>> {
        let Some(last) = last else {
            return Ok(None);
        };
        if self.is_content_intact(&last)? {
            return Ok(None);
        }
        self.scan.records.pop();
        Ok(Some(last))
    }

    /// Adds and returns a whole record, unless it is a copy or out of order.
    fn accept(&mut self, found: &Found, next: &mut RecordIndex) -> Option<Found> {
        self.scan.run.get_or_insert(found.header.run);
        let Found { header, .. } = found;
        if header.index.records < next.records {
            // A copy of an earlier record.
            self.scan.is_damaged = true;
            return None;
        }
        self.skip_to(header.index, next);
        *next = found.next_index();
        match format::parse_description(&found.description, header.frames.into()) {
            Some(record) => {
                let span = Span {
                    offset: found.content,
                    length: header.length,
                    checksum: Some(header.checksum),
                };
                self.scan.records.push((record, span));
                Some(found.clone())
            }
            None => {
                self.scan.is_damaged = true;
                self.scan.lost.add(1, header.frames.max(1).into());
                None
            }
        }
    }

    /// Counts the records that are missing before an index.
    fn skip_to(&mut self, index: RecordIndex, next: &mut RecordIndex) {
        let records = index.records.saturating_sub(next.records);
        if records > 0 {
            self.scan.is_damaged = true;
            let frames = index.frames.saturating_sub(next.frames);
            self.scan.lost.add(records.into(), frames);
        }
    }

    /// Returns the intact header at an offset, if there is one.
    fn record_at(&self, offset: u64) -> io::Result<Option<Found>> {
        let mut bytes = self.read(offset, HEADER_GUESS)?;
        let Some(header) = format::parse_unchecked(&bytes) else {
            return Ok(None);
        };
        let length = RECORD_HEADER + header.description;
        if length > bytes.len() {
            bytes = self.read(offset, length as u64)?;
        }
        let is_of_run = self.scan.run.is_none_or(|run| run == header.run);
        let header_bytes = bytes.get(..length);
        if !is_of_run || !header_bytes.is_some_and(format::is_intact) {
            return Ok(None);
        }
        bytes.truncate(length);
        Ok(Some(Found {
            header,
            description: bytes.split_off(RECORD_HEADER),
            content: offset + length as u64,
        }))
    }

    /// Returns the offset of the first intact header from an offset on.
    fn find(&self, from: u64) -> io::Result<Option<u64>> {
        let marker = format::marker(self.scan.run);
        self.search(from, &marker, 0, |offset| {
            Ok(self.record_at(offset)?.is_some())
        })
    }

    /// Returns whether a record's header begins at an offset, and the file ends in it.
    fn is_torn_header(&self, offset: u64) -> io::Result<bool> {
        let bytes = self.read(offset, (RECORD_HEADER + MAX_DESCRIPTION) as u64)?;
        let marker = format::marker(self.scan.run);
        let length = bytes.len().min(marker.len());
        Ok(bytes[..length] == marker[..length]
            && (bytes.len() < RECORD_HEADER
                || format::parse_unchecked(&bytes)
                    .is_some_and(|header| bytes.len() < RECORD_HEADER + header.description)))
    }

    fn is_content_intact(&self, found: &Found) -> io::Result<bool> {
        let mut checksum = crc32fast::Hasher::new();
        let mut offset = found.content;
        while offset < found.end() {
            let chunk = self.read(offset, (found.end() - offset).min(CHUNK as u64))?;
            checksum.update(&chunk);
            offset += chunk.len() as u64;
        }
        Ok(checksum.finalize() == found.header.checksum)
    }

    /// Finds the records of a file of the first version. Contents cannot be verified.
    fn scan_first_version(&mut self) -> io::Result<()> {
        let mut offset = 0;
        while offset < self.end {
            if let Some((record, span)) = self.first_version_at(offset)? {
                offset = span.offset + span.length;
                self.scan.records.push((record, span));
                continue;
            }
            self.scan.lost.add(1, 1);
            let is_record = |at| Ok(self.first_version_at(at)?.is_some());
            let found = self.search(offset, FIRST_DESCRIPTION, FIRST_PREFIX, is_record)?;
            let Some(next) = found else {
                let is_torn = !self.scan.is_damaged && self.is_torn_first_version(offset)?;
                self.scan.is_torn |= is_torn;
                self.scan.is_damaged |= !is_torn;
                return Ok(());
            };
            self.scan.is_damaged = true;
            offset = next;
        }
        Ok(())
    }

    /// Returns the record of the first version at an offset, if it is whole.
    fn first_version_at(&self, offset: u64) -> io::Result<Option<(NewRecord, Span)>> {
        let Some(description) = self.first_description_at(offset)? else {
            return Ok(None);
        };
        let offset = offset + (FIRST_PREFIX + description.len()) as u64;
        let Some((record, length)) = format::parse_first_description(&description) else {
            return Ok(None);
        };
        let span = Span {
            offset,
            length,
            checksum: None,
        };
        let is_whole = offset.saturating_add(length) <= self.end;
        Ok(is_whole.then_some((record, span)))
    }

    /// Returns the description after the prefix at an offset, up to the end of the file.
    fn first_description_at(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let mut prefix = self.read(offset, FIRST_PREFIX as u64 + HEADER_GUESS)?;
        let Some((length, _)) = prefix.split_first_chunk::<FIRST_PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_DESCRIPTION {
            return Ok(None);
        }
        if FIRST_PREFIX + length > prefix.len() {
            prefix = self.read(offset, (FIRST_PREFIX + length) as u64)?;
        }
        prefix.truncate(FIRST_PREFIX + length);
        Ok(Some(prefix.split_off(FIRST_PREFIX)))
    }

    fn is_torn_first_version(&self, offset: u64) -> io::Result<bool> {
        let begin = self.read(offset, (FIRST_PREFIX + FIRST_DESCRIPTION.len()) as u64)?;
        let begin = begin.get(FIRST_PREFIX..).unwrap_or_default();
        let length = begin.len().min(FIRST_DESCRIPTION.len());
        Ok(begin[..length] == FIRST_DESCRIPTION[..length])
    }

    /// Returns the first offset from another one on that passes a check, `before` bytes before a
    /// pattern.
    fn search(
        &self,
        from: u64,
        pattern: &[u8],
        before: usize,
        is_record: impl Fn(u64) -> io::Result<bool>,
    ) -> io::Result<Option<u64>> {
        let finder = memmem::Finder::new(pattern);
        let mut begin = from;
        while begin < self.end {
            let chunk = self.read(begin, CHUNK as u64)?;
            let found = finder.find_iter(&chunk).try_for_each(|at| {
                let at = (begin + at as u64).checked_sub(before as u64);
                match at.filter(|at| *at >= from).map(|at| (at, is_record(at))) {
                    Some((_, Err(error))) => ControlFlow::Break(Err(error)),
                    Some((at, Ok(true))) => ControlFlow::Break(Ok(at)),
                    Some((_, Ok(false))) | None => ControlFlow::Continue(()),
                }
            });
            if let ControlFlow::Break(found) = found {
                return found.map(Some);
            }
            if begin + chunk.len() as u64 >= self.end {
                break;
            }
            // A pattern may lie over the end of the chunk.
            begin += (chunk.len() - (pattern.len() - 1)) as u64;
        }
        Ok(None)
    }

    /// Reads up to `length` bytes, fewer at the end of the file.
    fn read(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = length.min(self.end.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        if bytes.is_empty() {
            return Ok(bytes);
        }
        self.source.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

const _: () = assert!(RECORD_HEADER < HEADER_GUESS as usize);

#[cfg(test)]
mod tests;
