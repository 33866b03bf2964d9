// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Bytes of an MP4 file, on disk or in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Mutex;

use media::mp4::FileBytes;

use crate::lock::lock;

/// A file in memory.
#[derive(Debug)]
pub struct InMemory<'a>(pub &'a [u8]);

impl FileBytes for InMemory<'_> {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()> {
        let from = self.0.get(usize::try_from(place).ok()?..)?;
        bytes.copy_from_slice(from.get(..bytes.len())?);
        Some(())
    }
}

/// A file on disk.
#[derive(Debug)]
pub struct OnDisk {
    file: Mutex<File>,
    length: u64,
    /// First error of reading, which the reader of the boxes takes for the end of the file.
    error: Mutex<Option<io::Error>>,
}

impl OnDisk {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        Ok(Self {
            length: file.seek(SeekFrom::End(0))?,
            file: Mutex::new(file),
            error: Mutex::default(),
        })
    }

    /// Takes the first error of reading.
    pub fn take_error(&self) -> Option<io::Error> {
        lock(&self.error).take()
    }

    fn try_read(&self, place: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut file = lock(&self.file);
        file.seek(SeekFrom::Start(place))?;
        file.read_exact(bytes)
    }
}

impl FileBytes for OnDisk {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()> {
        self.try_read(place, bytes)
            .map_err(|error| {
                if error.kind() != io::ErrorKind::UnexpectedEof {
                    lock(&self.error).get_or_insert(error);
                }
            })
            .ok()
    }
}
