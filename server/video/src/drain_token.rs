// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records without content, with which the server fetches the episodes that wait.
//!
//! The server takes one episode at most for each record that a processor returns, but a record can complete several. So
//! the processor returns further records as long as there are any.

use std::io::{self, Read, Seek, SeekFrom};

use reduct_base::io::{BoxedReadRecord, ReadChunk, ReadRecord, RecordMeta};

/// State of a token. Those of stored records are 0 to 3 (1.21.5), whatever a client writes.
const STATE: i32 = -1;

/// A record without content.
#[derive(Debug)]
pub struct DrainToken(RecordMeta);

impl DrainToken {
    /// Creates a token with the time and labels of a record, so that a condition treats it alike.
    pub fn after(record: &RecordMeta) -> Self {
        let meta = RecordMeta::builder_from(record.clone());
        Self(meta.state(STATE).content_length(0).build())
    }
}

/// Returns whether a record is a token.
pub fn is_token(record: &BoxedReadRecord) -> bool {
    record.meta().state() == STATE
}

impl Read for DrainToken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Seek for DrainToken {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

impl ReadRecord for DrainToken {
    fn read_chunk(&mut self) -> ReadChunk {
        None
    }

    fn meta(&self) -> &RecordMeta {
        &self.0
    }

    fn meta_mut(&mut self) -> &mut RecordMeta {
        &mut self.0
    }
}
