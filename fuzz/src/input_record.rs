// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A record of the server, made of an input.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use reduct_base::error::{ErrorCode, ReductError};
use reduct_base::io::{ReadChunk, ReadRecord, RecordMeta};

/// Bytes before the content: flags, the time since the record before, the size of chunks.
const HEADER: usize = 4;
/// The content ends before its length.
const IS_SHORT: u8 = 1 << 0;
/// The storage fails.
const IS_BROKEN: u8 = 1 << 1;
/// The content begins with the value of the label `fps`, up to a zero.
const HAS_RATE: u8 = 1 << 2;
/// The content begins with the value of the label `keyframe`, up to a zero.
const HAS_KEYFRAME: u8 = 1 << 3;
const IS_OTHER_TYPE: u8 = 1 << 4;
const IS_OTHER_ENTRY: u8 = 1 << 5;
/// The time is in units of about an hour, not in ms.
const IS_LATE: u8 = 1 << 6;
/// The time is that of the record before, or earlier.
const IS_EARLY: u8 = 1 << 7;

/// A record whose content comes in chunks.
#[derive(Debug)]
pub struct InputRecord {
    meta: RecordMeta,
    content: Bytes,
    chunk: usize,
    is_broken: bool,
}

impl InputRecord {
    /// Returns the record of an input. `time` is that of the record before.
    pub fn new(mut input: Bytes, time: u64) -> Self {
        let header = input.split_to(HEADER.min(input.len()));
        let mut fields = [0; HEADER];
        fields[..header.len()].copy_from_slice(&header);
        let [flags, low, high, chunk] = fields;
        let has = |flag| flags & flag != 0;
        let unit = if has(IS_LATE) { 1 << 32 } else { 1000 };
        let step = u64::from(u16::from_le_bytes([low, high])).saturating_mul(unit);
        let time = match has(IS_EARLY) {
            true => time.saturating_sub(step),
            false => time.saturating_add(step),
        };
        let mut labels = HashMap::new();
        for (name, flag) in [("fps", HAS_RATE), ("keyframe", HAS_KEYFRAME)] {
            if has(flag) {
                let end = memchr::memchr(0, &input).unwrap_or(input.len());
                let value = input.split_to(end);
                labels.insert(
                    name.to_owned(),
                    String::from_utf8_lossy(&value).into_owned(),
                );
            }
        }
        let content_type = if has(IS_OTHER_TYPE) {
            "text/plain"
        } else {
            "video/h264"
        };
        let meta = RecordMeta::builder()
            .entry_name(if has(IS_OTHER_ENTRY) { "rear" } else { "cam" })
            .timestamp(time)
            .labels(labels)
            .content_type(content_type.to_owned())
            .content_length(input.len() as u64 + u64::from(has(IS_SHORT)));
        Self {
            meta: meta.build(),
            content: input,
            chunk: 1 + 16 * usize::from(chunk),
            is_broken: has(IS_BROKEN),
        }
    }

    /// Returns its time in µs since the Unix epoch.
    pub fn time(&self) -> u64 {
        self.meta.timestamp()
    }

    /// Returns whether its content is not what its header announces.
    pub fn is_faulty(&self) -> bool {
        self.is_broken || self.meta.content_length() != self.content.len() as u64
    }
}

impl ReadRecord for InputRecord {
    fn read_chunk(&mut self) -> ReadChunk {
        if self.is_broken {
            let error = ReductError::new(ErrorCode::InternalServerError, "broken");
            return Some(Err(error));
        }
        let size = self.chunk.min(self.content.len());
        (size > 0).then(|| Ok(self.content.split_to(size)))
    }

    fn meta(&self) -> &RecordMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut RecordMeta {
        &mut self.meta
    }
}

impl Read for InputRecord {
    /// Panics: records of the server are read by chunks.
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("reads beyond the record")
    }
}

impl Seek for InputRecord {
    /// Panics: records of the server are read from the start on.
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        panic!("moves in the record")
    }
}
