// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Index of a file: a file beside it with a row of each frame.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::slice;

use frame_index::{FrameTable, IndexError, file_name};
use media::cut::names;
use media::mp4::{FileBytes, read_video_track_of};
use media::time::CaptureTime;

use super::part::{Access, PartFile, publish};

/// A file on disk whose headers are read.
#[derive(Debug)]
struct DiskBytes<'a> {
    file: &'a File,
    length: u64,
    /// The first error of reading it.
    failure: OnceCell<io::Error>,
}

impl FileBytes for DiskBytes<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, place: u64, bytes: &mut [u8]) -> Option<()> {
        let read = self.file.read_exact_at(bytes, place);
        read.map_err(|error| self.failure.set(error)).ok()
    }
}

/// Removes the index that an episode of the same name had, which is not that of the new one. What cannot be removed fails
/// again when the new one is written.
pub fn remove_old(episode: &str) {
    let _ = fs::remove_file(file_name(episode));
}

/// Writes the index of a complete file, whose samples have these capture times. Returns its name.
///
/// # Errors
///
/// Those of the file system, of their kinds, and `InvalidData` if the file has other samples.
pub fn write(episode: &mut PartFile, captures: &[Option<CaptureTime>]) -> io::Result<String> {
    let table = table(episode, captures)?;
    let name = file_name(episode.name());
    let mut index = PartFile::create(&name, Access::Usual)?;
    let written = table.write(BufWriter::new(index.file())).map_err(io_error);
    let published = written.and_then(|()| {
        let published = publish(slice::from_ref(&index));
        published.into_iter().collect()
    });
    if published.is_err() {
        // An incomplete index has no use.
        let _ = fs::remove_file(names::part(&name));
    }
    published.map(|()| name)
}

/// Returns the table of the frames of a complete file.
fn table(episode: &mut PartFile, captures: &[Option<CaptureTime>]) -> io::Result<FrameTable> {
    let bytes = DiskBytes {
        length: episode.size()?,
        file: episode.file(),
        failure: OnceCell::new(),
    };
    let track = read_video_track_of(&bytes);
    if let Some(failure) = bytes.failure.into_inner() {
        return Err(failure);
    }
    let track = track.map_err(IndexError::from).map_err(io_error)?;
    let name = Path::new(episode.name()).file_name().unwrap_or_default();
    FrameTable::new(&track, captures, &name.to_string_lossy()).map_err(io_error)
}

fn io_error(error: IndexError) -> io::Error {
    let kind = error.io_error().map(io::Error::kind);
    io::Error::new(kind.unwrap_or(io::ErrorKind::InvalidData), error)
}
