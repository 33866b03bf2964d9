// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Output of a writer that is a file on disk.

use std::io::{self, Seek, SeekFrom, Write};

use super::plain_file::{FileParts, RESERVED, reserved_front};

/// A file on disk whose samples are written by a [`PlainWriter`](super::PlainWriter), and whose box `moov` is the last
/// one.
///
/// It begins with room for what stands before the samples, so that these need to be written once.
#[derive(Debug)]
pub struct DiskFile<F> {
    file: F,
}

impl<F: Write + Seek> DiskFile<F> {
    /// Begins a file that is empty, with room for its headers.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn new(mut file: F) -> io::Result<Self> {
        let front = reserved_front(0).map_err(io::Error::other)?;
        file.write_all(&front)?;
        Ok(Self { file })
    }

    /// Completes the file, and returns it.
    ///
    /// # Errors
    ///
    /// Those of the file, and `InvalidInput` if `parts` have another length before the samples: those of a file whose
    /// box `moov` is not the [last](super::MoovPlace::Last) one.
    pub fn complete(mut self, parts: &FileParts) -> io::Result<F> {
        if parts.front.len() != RESERVED {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.file.write_all(&parts.back)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&parts.front)?;
        self.file.flush()?;
        Ok(self.file)
    }
}

impl<F: Write> Write for DiskFile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn parts(front: Vec<u8>) -> FileParts {
        FileParts {
            front,
            body: 7,
            back: b"moov".to_vec(),
        }
    }

    #[test]
    fn headers_stand_around_the_samples() {
        let mut file = DiskFile::new(Cursor::new(Vec::new())).unwrap();
        file.write_all(b"samples").unwrap();
        let front = reserved_front(7).unwrap();
        assert_eq!(front.len(), RESERVED);
        let file = file.complete(&parts(front.clone())).unwrap().into_inner();
        assert_eq!(file, [&front[..], b"samplesmoov"].concat());
        let large = reserved_front(1 << 40).unwrap();
        assert_eq!(large.len(), RESERVED);
    }

    #[test]
    fn a_file_whose_moov_is_first_has_no_room() {
        let file = DiskFile::new(Cursor::new(Vec::new())).unwrap();
        let refused = file.complete(&parts(vec![0; RESERVED + 1]));
        let kind = refused.map(|_| ()).map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::InvalidInput));
    }
}
