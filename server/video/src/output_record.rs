// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The record of an episode, as the server reads it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use media::mp4::FileBytes;
use reduct_base::error::ReductError;
use reduct_base::io::{ReadChunk, ReadRecord, RecordMeta};

use crate::error::ExportError;
use crate::guard;
use crate::panic_injection;
use crate::spool::Spooled;
use crate::unsent::UnsentTicket;

/// Largest number of bytes that the server gets at a time, as from its own storage.
const CHUNK: usize = 512 << 10;

/// Content of a record.
#[derive(Debug)]
pub struct OutputContent {
    /// Bytes before the samples.
    pub front: Bytes,
    /// The samples.
    pub body: Body,
    /// Bytes behind the samples.
    pub back: Bytes,
}

/// The samples of a record.
#[derive(Debug)]
pub enum Body {
    /// They are in memory.
    Memory(Bytes),
    /// They are in a file.
    File {
        /// The file.
        file: File,
        /// Number of its bytes.
        length: u64,
    },
}

impl Body {
    /// Returns `length` bytes of samples.
    pub fn new(spooled: Spooled, length: u64) -> Self {
        match spooled {
            Spooled::Memory(bytes) => Self::Memory(bytes),
            Spooled::File(file) => Self::File { file, length },
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl FileBytes for OutputContent {
    fn length(&self) -> u64 {
        self.length()
    }

    fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_at(place + filled as u64, &mut bytes[filled..]) {
                Ok(0) => return None,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    log::error!("An episode cannot be read: {error}");
                    return None;
                }
            }
        }
        Some(())
    }
}

impl OutputContent {
    /// Returns a content that is in one piece.
    pub fn whole(body: Body) -> Self {
        Self {
            front: Bytes::new(),
            body,
            back: Bytes::new(),
        }
    }

    /// Returns the number of all bytes.
    pub fn length(&self) -> u64 {
        self.front.len() as u64 + self.body.length() + self.back.len() as u64
    }

    /// Reads bytes from `position` on, as far as they stand in one of the parts. Returns their number, or 0 at the end.
    fn read_at(&self, position: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let front = self.front.len() as u64;
        if let Some(rest) = rest(&self.front, position) {
            return Ok(copy(rest, bytes));
        }
        let in_body = position - front;
        match &self.body {
            Body::Memory(body) => {
                if let Some(rest) = rest(body, in_body) {
                    return Ok(copy(rest, bytes));
                }
            }
            Body::File { file, length } if in_body < *length => {
                let wanted = usize::try_from(length - in_body)
                    .map_or(bytes.len(), |left| left.min(bytes.len()));
                return match file.read_at(&mut bytes[..wanted], in_body)? {
                    // The server would wait for the rest of what its header announces.
                    0 if wanted > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    read => Ok(read),
                };
            }
            Body::File { .. } => {}
        }
        let in_back = in_body - self.body.length();
        Ok(rest(&self.back, in_back).map_or(0, |rest| copy(rest, bytes)))
    }

    /// Returns `size` bytes from `position` on, without a copy, if they are samples in memory.
    fn share(&self, position: u64, size: usize) -> Option<Bytes> {
        let Body::Memory(body) = &self.body else {
            return None;
        };
        let begin = usize::try_from(position.checked_sub(self.front.len() as u64)?).ok()?;
        let end = begin.checked_add(size)?;
        (end <= body.len()).then(|| body.slice(begin..end))
    }
}

/// Returns the bytes from `position` on, if there are any.
fn rest(bytes: &[u8], position: u64) -> Option<&[u8]> {
    let rest = bytes.get(usize::try_from(position).ok()?..)?;
    (!rest.is_empty()).then_some(rest)
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
    count
}

/// The record of an episode. It can be read more than once: a query link begins at the start each time.
#[derive(Debug)]
pub struct OutputRecord {
    meta: RecordMeta,
    /// Takes the changes of the server: it adds the computed labels of an input record, which say nothing about an
    /// episode. One that is no printable ASCII would end the process (1.21.5).
    changed_meta: RecordMeta,
    content: OutputContent,
    position: u64,
    ticket: Option<UnsentTicket>,
}

impl OutputRecord {
    /// Creates a record. `meta` has the length of `content`.
    pub fn new(meta: RecordMeta, content: OutputContent, ticket: UnsentTicket) -> Self {
        Self {
            changed_meta: meta.clone(),
            meta,
            content,
            position: 0,
            ticket: Some(ticket),
        }
    }
}

impl OutputRecord {
    /// Fills `bytes` as far as the content goes. Returns the number of bytes.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        panic_injection::place("reading");
        self.ticket = None;
        let mut filled = 0;
        while filled < bytes.len() {
            match self.content.read_at(self.position, &mut bytes[filled..]) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    self.position += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Returns the next bytes, or none at the end.
    fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        panic_injection::place("reading");
        let left = self.content.length().saturating_sub(self.position);
        let size = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        if let Some(chunk) = self.content.share(self.position, size) {
            self.ticket = None;
            self.position += size as u64;
            return Ok((size > 0).then_some(chunk));
        }
        let mut chunk = vec![0; size];
        let read = self.fill(&mut chunk)?;
        chunk.truncate(read);
        Ok((read > 0).then(|| chunk.into()))
    }

    fn move_to(&mut self, to: SeekFrom) -> io::Result<u64> {
        panic_injection::place("seeking");
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.content.length().checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Runs `work` of a record. A panic is its error.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    guard::run(work).unwrap_or_else(|panicked| Err(io::Error::other(ExportError::from(panicked))))
}

impl Read for OutputRecord {
    /// Fills `bytes` as far as the content goes: the server takes one call for all bytes of a range (1.21.5).
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        guarded(|| self.fill(bytes))
    }
}

impl Seek for OutputRecord {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        guarded(|| self.move_to(to))
    }
}

impl ReadRecord for OutputRecord {
    fn read_chunk(&mut self) -> ReadChunk {
        guarded(|| self.chunk())
            .map_err(ReductError::from)
            .transpose()
    }

    fn meta(&self) -> &RecordMeta {
        &self.meta
    }

    #[expect(
        clippy::misnamed_getters,
        reason = "no change of the server is sent, see the field"
    )]
    fn meta_mut(&mut self) -> &mut RecordMeta {
        &mut self.changed_meta
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::unsent::Unsent;

    fn file(body: &[u8]) -> Body {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(body).expect("space");
        Body::new(Spooled::File(file), body.len() as u64)
    }

    fn memory(body: &[u8]) -> Body {
        let bytes = Bytes::copy_from_slice(body);
        Body::new(Spooled::Memory(bytes), body.len() as u64)
    }

    fn record_of(unsent: &Unsent, front: &[u8], body: Body, back: &[u8]) -> OutputRecord {
        let content = OutputContent {
            front: Bytes::copy_from_slice(front),
            body,
            back: Bytes::copy_from_slice(back),
        };
        let meta = RecordMeta::builder()
            .entry_name("cam")
            .content_length(content.length());
        OutputRecord::new(meta.build(), content, unsent.add())
    }

    fn record(unsent: &Unsent, front: &[u8], body: &[u8], back: &[u8]) -> OutputRecord {
        record_of(unsent, front, file(body), back)
    }

    /// Returns the record with its samples in each place.
    fn records(front: &[u8], body: &[u8], back: &[u8]) -> [OutputRecord; 2] {
        [file, memory].map(|place| record_of(&Unsent::default(), front, place(body), back))
    }

    fn chunks(record: &mut OutputRecord) -> Vec<Bytes> {
        let mut chunks = Vec::new();
        while let Some(chunk) = record.read_chunk() {
            chunks.push(chunk.expect("a chunk"));
        }
        chunks
    }

    #[test]
    fn a_record_is_read_more_than_once() {
        for mut record in records(b"front ", b"body", b" back") {
            for _ in 0..2 {
                assert_eq!(chunks(&mut record).concat(), b"front body back");
                assert!(record.read_chunk().is_none());
                record.rewind().expect("a position");
            }
            assert_eq!(record.meta().content_length(), 15);
        }
    }

    #[test]
    fn chunks_are_full_except_for_the_last_one() {
        let body: Vec<u8> = (0..5 * CHUNK / 2).map(|index| (index / 7) as u8).collect();
        for mut record in records(&[1; 10], &body, &[2; 7]) {
            let chunks = chunks(&mut record);
            let sizes: Vec<_> = chunks.iter().map(Bytes::len).collect();
            assert_eq!(sizes, [CHUNK, CHUNK, CHUNK / 2 + 17]);
            assert_eq!(chunks.concat(), [&[1; 10][..], &body, &[2; 7]].concat());
        }
    }

    #[test]
    fn a_part_can_be_empty() {
        for [front, body, back] in [["", "b", ""], ["f", "", "r"], ["", "", "r"], ["f", "b", ""]] {
            let bytes = [front, body, back].map(str::as_bytes);
            for mut record in records(bytes[0], bytes[1], bytes[2]) {
                assert_eq!(
                    chunks(&mut record).concat(),
                    [front, body, back].concat().as_bytes()
                );
            }
        }
        for mut empty in records(b"", b"", b"") {
            assert!(empty.read_chunk().is_none());
        }
    }

    #[test]
    fn one_call_reads_all_parts() {
        for mut record in records(b"01", b"2345", b"678") {
            record.seek(SeekFrom::Start(1)).expect("a position");
            let mut bytes = [0; 7];
            assert_eq!(record.read(&mut bytes).expect("a content"), 7);
            assert_eq!(&bytes, b"1234567");
        }
    }

    #[test]
    fn positions() {
        let mut records = records(b"01", b"2345", b"678");
        for record in &mut records {
            for (to, position, rest) in [
                (SeekFrom::Start(1), 1, "12345678"),
                (SeekFrom::Start(4), 4, "45678"),
                (SeekFrom::End(-2), 7, "78"),
                (SeekFrom::Current(-3), 6, "678"),
                (SeekFrom::End(5), 14, ""),
            ] {
                assert_eq!(record.seek(to).expect("a position"), position);
                let mut text = String::new();
                record.read_to_string(&mut text).expect("a content");
                assert_eq!(text, rest);
            }
            assert!(record.seek(SeekFrom::End(-10)).is_err());
        }
    }

    #[test]
    fn a_file_that_is_too_short_is_an_error() {
        let mut record = record(&Unsent::default(), b"", b"body", b"");
        let Body::File { file, .. } = &record.content.body else {
            panic!("in memory");
        };
        file.set_len(2).expect("a file");
        assert!(matches!(record.read_chunk(), Some(Err(_))));
    }

    #[test]
    fn labels_of_input_records_do_not_reach_the_output() {
        let mut record = record(&Unsent::default(), b"", b"body", b"");
        let computed = record.meta_mut().computed_labels_mut();
        computed.insert("place".into(), "Tür\n".into());
        assert!(record.meta().computed_labels().is_empty());
    }

    #[test]
    fn a_record_is_sent_when_it_is_read_or_dropped() {
        let unsent = Unsent::default();
        let mut read = record(&unsent, b"", b"body", b"");
        let dropped = record(&unsent, b"", b"body", b"");
        assert_eq!(unsent.count(), 2);
        let _ = read.read_chunk();
        assert_eq!(unsent.count(), 1);
        drop(dropped);
        assert_eq!(unsent.count(), 0);
    }
}
