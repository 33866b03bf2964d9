// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Samples of episodes until they are sent: in memory, or in temporary files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::panic_injection;

/// Bytes that are written with one call.
const BUFFER: usize = 256 << 10;

/// Place of the samples of an episode.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// Folder of temporary files.
    pub folder: Arc<PathBuf>,
    /// Largest number of bytes of an episode that are kept in memory.
    pub memory_limit: usize,
}

/// The samples of an episode, in memory up to a limit, and in a temporary file beyond it.
///
/// The file has no name, so that the system frees it with the last handle: on an error, at the end of the query, and at
/// the end of the process, however that comes.
#[derive(Debug)]
pub struct Spool {
    settings: SpoolSettings,
    place: Place,
    length: u64,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    File(BufWriter<File>),
}

/// The complete samples of an episode.
#[derive(Debug)]
pub enum Spooled {
    /// They are in memory.
    Memory(Bytes),
    /// They are in a file.
    File(File),
}

impl Spool {
    /// Creates an empty spool, without a file so far.
    pub fn new(settings: SpoolSettings) -> Self {
        Self {
            settings,
            place: Place::Memory(Vec::new()),
            length: 0,
        }
    }

    /// Returns the number of bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the complete samples.
    ///
    /// # Errors
    ///
    /// Their last bytes cannot be written.
    pub fn finish(self) -> io::Result<Spooled> {
        panic_injection::place("completion");
        Ok(match self.place {
            Place::Memory(bytes) => Spooled::Memory(bytes.into()),
            Place::File(file) => Spooled::File(file.into_inner()?),
        })
    }

    /// Puts bytes behind the others. Returns how many.
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::File(file) => file.write(bytes),
            Place::Memory(samples) => {
                if samples.len() + bytes.len() <= self.settings.memory_limit {
                    samples.extend_from_slice(bytes);
                    return Ok(bytes.len());
                }
                let samples = mem::take(samples);
                let mut file = self.leave_memory(&samples)?;
                let written = file.write(bytes);
                self.place = Place::File(file);
                written
            }
        }
    }

    /// Moves the samples into a file.
    fn leave_memory(&mut self, samples: &[u8]) -> io::Result<BufWriter<File>> {
        let file = tempfile::tempfile_in(&*self.settings.folder)?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        file.write_all(samples)?;
        Ok(file)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        panic_injection::place("writing");
        let written = self.put(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Memory(_) => Ok(()),
            Place::File(file) => file.flush(),
        }
    }
}

/// Checks that temporary files can be created in `folder`.
///
/// # Errors
///
/// Those of the system.
pub fn check_folder(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    fn spool(folder: &Path, memory_limit: usize) -> Spool {
        Spool::new(SpoolSettings {
            folder: Arc::new(folder.to_owned()),
            memory_limit,
        })
    }

    #[test]
    fn samples_leave_memory_at_the_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        for (limit, is_file) in [(0, true), (6, true), (7, false), (100, false)] {
            let mut spool = spool(folder.path(), limit);
            for piece in [&b"sam"[..], b"", b"ples"] {
                spool.write_all(piece).expect("space");
            }
            assert_eq!(spool.length(), 7);
            let mut content = String::new();
            match spool.finish().expect("space") {
                Spooled::Memory(bytes) => {
                    assert!(!is_file, "{limit}");
                    content = String::from_utf8(bytes.into()).expect("a text");
                }
                Spooled::File(mut file) => {
                    assert!(is_file, "{limit}");
                    file.rewind().expect("a file");
                    file.read_to_string(&mut content).expect("a file");
                }
            }
            assert_eq!(content, "samples", "{limit}");
            assert_eq!(folder.path().read_dir().expect("the folder").count(), 0);
        }
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let missing = Path::new("/does/not/exist");
        assert!(check_folder(missing).is_err());
        assert!(spool(missing, 3).write_all(b"samples").is_err());
    }
}
