// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Records that wait, in files: they survive the process, and need no memory.
//!
//! A file holds records one after the other: a length of four bytes (little-endian), so many bytes of
//! JSON that describe the record, and its content. What a process left behind at its end is cut off
//! where the last record is not whole. A file goes when all of its records are written.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as JsonValue;

use super::outbox::{Content, Outgoing};

/// From this size on the next file is begun.
const FILE_BYTES: u64 = 32 << 20;
const SUFFIX: &str = "spool";
const LOCK: &str = "lock";
/// Of the length before a description.
const LENGTH_BYTES: u64 = size_of::<u32>() as u64;
/// What is encoded in names of folders.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// A folder of files with records of an entry.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Held as long as the folder is in use.
    _lock: File,
    /// The file that is written, and its length.
    current: Option<(Open, u64)>,
    next_number: u64,
}

/// A file that more may come into.
#[derive(Debug)]
struct Open(Arc<Segment>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A file.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    /// Records in it that are not written, and one more while others may come.
    needed: AtomicUsize,
}

impl Segment {
    fn release(&self) {
        if self.needed.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Where that fails, it is recovered once more and found to be written.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A record's content in a file.
#[derive(Debug, Clone)]
pub struct Spooled {
    segment: Arc<Segment>,
    offset: u64,
    length: u64,
}

impl Spooled {
    /// Bytes of the content.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads the content. Blocks.
    pub fn read(&self) -> io::Result<Bytes> {
        let length = usize::try_from(self.length).map_err(io::Error::other)?;
        let mut content = vec![0; length];
        self.segment.file.read_exact_at(&mut content, self.offset)?;
        Ok(content.into())
    }

    /// The file need not keep it any more. To be called once.
    pub fn forget(&self) {
        self.segment.release();
    }
}

impl Spool {
    /// Opens the spool of an entry in a folder, which is made if it is not there, and gives the records
    /// that were left in it. Blocks.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if somebody else has it open.
    pub fn open(folder: &Path, bucket: &str, entry: &str) -> io::Result<(Self, Vec<Outgoing>)> {
        let encoded = |name| utf8_percent_encode(name, NAME).to_string();
        let folder = folder.join(encoded(bucket)).join(encoded(entry));
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => ErrorKind::WouldBlock.into(),
        })?;
        let mut numbers = Vec::new();
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            let is_spool = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            numbers.extend(number.filter(|_| is_spool));
        }
        numbers.sort_unstable();
        let spool = Self {
            next_number: numbers.last().map_or(0, |last: &u64| last + 1),
            folder,
            _lock: lock,
            current: None,
        };
        let mut records = Vec::new();
        for number in numbers {
            spool.recover(number, &mut records)?;
        }
        Ok((spool, records))
    }

    /// Takes a record's content over into a file. Blocks as files do.
    pub fn append(&mut self, record: &mut Outgoing) -> io::Result<()> {
        let Content::Memory(parts) = &record.content else {
            return Ok(());
        };
        let description = describe(record).to_string().into_bytes();
        let prefix = u32::try_from(description.len()).map_err(io::Error::other)?;
        // One that fails is not gone on with: nobody would read what is behind a broken record.
        let (segment, begin) = self.take_current()?;
        let mut file = &segment.0.file;
        file.write_all(&prefix.to_le_bytes())?;
        file.write_all(&description)?;
        for part in parts {
            file.write_all(part)?;
        }
        let spooled = Spooled {
            offset: begin + LENGTH_BYTES + u64::from(prefix),
            length: record.length(),
            segment: segment.0.clone(),
        };
        segment.0.needed.fetch_add(1, Ordering::AcqRel);
        self.current = Some((segment, spooled.offset + spooled.length));
        record.content = Content::Spooled(spooled);
        Ok(())
    }

    /// The file to write to, and where.
    fn take_current(&mut self) -> io::Result<(Open, u64)> {
        match self.current.take() {
            Some((segment, length)) if length < FILE_BYTES => Ok((segment, length)),
            _ => Ok((self.new_segment()?, 0)),
        }
    }

    fn new_segment(&mut self) -> io::Result<Open> {
        let path = self
            .folder
            .join(format!("{:010}.{SUFFIX}", self.next_number));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        self.next_number += 1;
        Ok(Open(Arc::new(Segment {
            path,
            file,
            needed: AtomicUsize::new(1),
        })))
    }

    /// Adds the records of a file that was left.
    fn recover(&self, number: u64, records: &mut Vec<Outgoing>) -> io::Result<()> {
        let path = self.folder.join(format!("{number:010}.{SUFFIX}"));
        let file = File::open(&path)?;
        let end = file.metadata()?.len();
        let segment = Open(Arc::new(Segment {
            path,
            file,
            needed: AtomicUsize::new(1),
        }));
        let mut begin = 0;
        while let Some(record) = read(&segment.0, begin, end)? {
            if let Content::Spooled(spooled) = &record.content {
                begin = spooled.offset + spooled.length;
            }
            segment.0.needed.fetch_add(1, Ordering::AcqRel);
            records.push(record);
        }
        Ok(())
    }
}

/// The record that begins somewhere in a file, if it is whole.
fn read(segment: &Arc<Segment>, begin: u64, end: u64) -> io::Result<Option<Outgoing>> {
    let mut prefix = [0; LENGTH_BYTES as usize];
    if begin + LENGTH_BYTES > end {
        return Ok(None);
    }
    segment.file.read_exact_at(&mut prefix, begin)?;
    let prefix = u32::from_le_bytes(prefix);
    let offset = begin + LENGTH_BYTES + u64::from(prefix);
    if offset > end {
        return Ok(None);
    }
    let mut description = vec![0; prefix as usize];
    segment
        .file
        .read_exact_at(&mut description, begin + LENGTH_BYTES)?;
    let description = str::from_utf8(&description).ok();
    let description = description.and_then(|text| text.parse::<JsonValue>().ok());
    let length = description
        .as_ref()
        .and_then(|description| description["length"].as_u64())
        .filter(|length| offset.saturating_add(*length) <= end);
    let (Some(description), Some(length)) = (description, length) else {
        return Ok(None);
    };
    Ok(described(&description).map(|record| Outgoing {
        content: Content::Spooled(Spooled {
            segment: segment.clone(),
            offset,
            length,
        }),
        ..record
    }))
}

fn describe(record: &Outgoing) -> JsonValue {
    let mut description = JsonValue::Object(Default::default());
    description["time"] = record.time.into();
    description["length"] = record.length().into();
    description["fps"] = record.frame_rate.as_deref().into();
    description["keyframe"] = record.keyframe.into();
    description["entry-point"] = record.is_entry_point.into();
    description["frames"] = record.frames.into();
    description["fixed"] = record.has_fixed_time.into();
    for (key, value) in &*record.labels {
        description["labels"][key.as_str()] = value.as_str().into();
    }
    description
}

fn described(description: &JsonValue) -> Option<Outgoing> {
    let labels = description["labels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Some(Outgoing {
        time: description["time"].as_u64()?,
        content: Content::Memory(Vec::new()),
        frame_rate: description["fps"].as_str().map(Into::into),
        keyframe: description["keyframe"].as_bool()?,
        is_entry_point: description["entry-point"].as_bool()?,
        labels: labels.collect::<Option<_>>()?,
        frames: description["frames"].as_u64()?,
        has_fixed_time: description["fixed"].as_bool()?,
        is_recovered: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time: u64, content: &[u8]) -> Outgoing {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Outgoing {
            time,
            content: Content::Memory(vec![Bytes::copy_from_slice(content), Bytes::new()]),
            frame_rate: Some("29.97".into()),
            keyframe: time == 1,
            is_entry_point: time == 1,
            labels: [label("camera", "front, left"), label("site", "3")].into(),
            frames: 1,
            has_fixed_time: true,
            is_recovered: false,
        }
    }

    fn files(folder: &Path) -> usize {
        let files = fs::read_dir(folder.join("b/robot%2Fcam")).unwrap();
        let spools = files.filter(|file| {
            let path = file.as_ref().unwrap().path();
            path.extension().is_some_and(|suffix| suffix == SUFFIX)
        });
        spools.count()
    }

    fn open(folder: &Path) -> (Spool, Vec<Outgoing>) {
        Spool::open(folder, "b", "robot/cam").unwrap()
    }

    /// Spools records, and ends without having written any.
    fn leave(folder: &Path, contents: &[&[u8]]) {
        let (mut spool, _) = open(folder);
        for (time, content) in (1..).zip(contents) {
            spool.append(&mut record(time, content)).unwrap();
        }
    }

    /// Headers and contents.
    fn essence(records: &mut [Outgoing]) -> Vec<(u64, String, Vec<u8>)> {
        let essence = records.iter_mut().map(|record| {
            let header = record.header();
            record.load().unwrap();
            let Content::Memory(parts) = &record.content else {
                panic!("it is loaded");
            };
            (record.time, header, parts.concat())
        });
        essence.collect()
    }

    #[test]
    fn what_is_left_is_recovered() {
        let folder = tempfile::tempdir().unwrap();
        let contents = [&b"first"[..], b"", b"third"];
        leave(folder.path(), &contents);
        let mut expected: Vec<_> = (1..)
            .zip(contents)
            .map(|(time, it)| record(time, it))
            .collect();
        let (_spool, mut records) = open(folder.path());
        assert!(records.iter().all(|record| record.is_recovered));
        assert_eq!(essence(&mut records), essence(&mut expected));
    }

    #[test]
    fn a_record_that_is_not_whole_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b/robot%2Fcam/0000000000.spool");
        leave(folder.path(), &[b"first"]);
        let first_length = fs::read(&path).unwrap().len();
        fs::remove_file(&path).unwrap();
        leave(folder.path(), &[b"first", b"second"]);
        let whole = fs::read(&path).unwrap();
        let first = (0..whole.len()).filter(|&end| {
            fs::write(&path, &whole[..end]).unwrap();
            let (spool, records) = open(folder.path());
            drop(spool);
            assert!(records.len() < 2, "{end}");
            records.len() == 1
        });
        assert_eq!(first.count(), whole.len() - first_length);
    }

    #[test]
    fn a_file_goes_with_its_last_record() {
        let folder = tempfile::tempdir().unwrap();
        leave(folder.path(), &[b"first", b"second"]);
        let (mut spool, records) = open(folder.path());
        let mut third = record(3, b"third");
        spool.append(&mut third).unwrap();
        assert_eq!(files(folder.path()), 2);
        let forget = |record: &Outgoing| match &record.content {
            Content::Spooled(spooled) => spooled.forget(),
            Content::Memory(_) => panic!("it is spooled"),
        };
        records.iter().for_each(forget);
        assert_eq!(files(folder.path()), 1);
        // More may come into this one.
        forget(&third);
        assert_eq!(files(folder.path()), 1);
        drop(spool);
        assert_eq!(files(folder.path()), 0);
    }

    #[test]
    fn a_large_file_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let large = vec![0; FILE_BYTES as usize];
        leave(folder.path(), &[&large, b"next"]);
        assert_eq!(files(folder.path()), 2);
        let (_spool, records) = open(folder.path());
        let times: Vec<_> = records.iter().map(|record| record.time).collect();
        assert_eq!(times, [1, 2]);
    }

    #[test]
    fn a_spool_has_one_user() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = open(folder.path());
        let second = Spool::open(folder.path(), "b", "robot/cam");
        assert_eq!(second.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(Spool::open(folder.path(), "b", "other").is_ok());
        drop(spool);
        open(folder.path());
    }
}
