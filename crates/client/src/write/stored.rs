// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Contents of records in the files of a spool, and the files, which are removed with their last record.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use tracing::debug;

use crate::write::spool_folder::{OpenError, OpenMode, PrivateFolder};

/// Suffix of a damaged file.
const ASIDE: &str = "damaged";

/// Place of a record's content in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub offset: u64,
    pub length: u64,
    /// CRC-32, which the first version of the format does not have.
    pub checksum: Option<u32>,
}

/// A guard that keeps a file while records are added or recovered.
#[derive(Debug)]
pub struct InUse(pub Arc<Segment>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A file of a spool. It is opened only to be read.
#[derive(Debug)]
pub struct Segment {
    pub folder: Arc<PrivateFolder>,
    pub name: String,
    /// Run that wrote it, if known.
    pub run: Option<u64>,
    /// Records in it that are not written, and one more while it is in use.
    pub needed: AtomicUsize,
    /// It is renamed instead of removed.
    pub is_damaged: AtomicBool,
    /// A loss was reported when a content was read.
    pub is_reported: AtomicBool,
}

impl Segment {
    pub fn new(folder: &Arc<PrivateFolder>, name: String, run: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            folder: folder.clone(),
            name,
            run,
            needed: AtomicUsize::new(1),
            is_damaged: AtomicBool::new(false),
            is_reported: AtomicBool::new(false),
        })
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path(&self.name)
    }

    pub fn open(&self, access: OpenMode) -> Result<File, OpenError> {
        self.folder.file(&self.name, access)
    }

    fn release(&self) {
        if self.needed.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        // After a failure it is recovered once more, and its records are found to be written.
        let done = match self.is_damaged.load(Ordering::Acquire) {
            true => keep_aside(&self.folder, &self.name).map(drop),
            false => self.folder.remove(&self.name),
        };
        debug!(
            "spool file {} is done with: {done:?}",
            self.path().display()
        );
    }
}

/// Renames a file to a name under which it is not recovered, and returns its path.
pub fn keep_aside(folder: &PrivateFolder, name: &str) -> io::Result<PathBuf> {
    let mut aside = format!("{name}.{ASIDE}");
    for number in 1.. {
        match folder.rename(name, &aside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                aside = format!("{name}.{ASIDE}.{number}");
            }
            renamed => return renamed.map(|()| folder.path(&aside)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// A record's content in a file.
#[derive(Debug, Clone)]
pub struct Spooled {
    pub segment: Arc<Segment>,
    pub span: Span,
}

impl Spooled {
    /// Returns the bytes of the content.
    pub fn length(&self) -> u64 {
        self.span.length
    }

    /// Releases the file from this record. Must be called once.
    pub fn forget(&self) {
        self.segment.release();
    }

    pub fn read(&self, file: &File) -> io::Result<Bytes> {
        let length = usize::try_from(self.span.length).map_err(io::Error::other)?;
        // The file may have become shorter than it was.
        if file.metadata()?.len() < self.span.offset.saturating_add(self.span.length) {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it is too short"));
        }
        let mut content = vec![0; length];
        file.read_exact_at(&mut content, self.span.offset)?;
        match self.span.checksum {
            Some(checksum) if checksum != crc32fast::hash(&content) => Err(io::Error::new(
                ErrorKind::InvalidData,
                "the checksum is wrong",
            )),
            _ => Ok(content.into()),
        }
    }
}
