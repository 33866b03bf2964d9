// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The spool: queued records in files, which survive the process and need no memory.
//!
//! A file is removed when all of its records are written. A damaged one is renamed instead.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use tracing::debug;

use crate::address::ENCODED_IN_NAMES;
use crate::write::record::{Content, NewRecord};
use crate::write::spool_folder::{OpenError, OpenMode, PrivateFolder, named};
use crate::write::spool_format::{self as format, FILE_HEADER, PLACEMENTS, Placement, RecordIndex};
use crate::write::spool_report::{LostRecords, Recovery};
use crate::write::spool_scan::{self as scan, Scan};
use crate::write::stored::{InUse, Segment, Span, Spooled, keep_aside};

/// Length of a file, in bytes, from which on the next one is begun.
const FILE_BYTES: u64 = 32 << 20;
const SUFFIX: &str = ".spool";
const LOCK: &str = "lock";
/// Number of a file from which on it is renamed, so that further ones can follow.
const MAX_NUMBER: u64 = 1_000_000_000_000;
/// Largest record, in bytes, that is copied so that one call writes it.
const MAX_COPIED_BYTES: u64 = 64 << 10;

/// Policy of syncing records to the disk, so that they survive a loss of power.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum SpoolSync {
    /// Left to the operating system.
    None,
    /// Once a second.
    #[default]
    Interval,
    /// Each record before `push` returns.
    Record,
}

/// A folder of files with records of an entry.
#[derive(Debug)]
pub struct Spool {
    folder: Arc<PrivateFolder>,
    /// Lock of the folder, held as long as it is in use.
    _lock: File,
    sync: SpoolSync,
    /// Random number of this run.
    run: u64,
    placement: Placement,
    /// File that records are appended to.
    current: Option<Current>,
    next_number: u64,
    /// All files whose placement may still be decided.
    segments: Vec<Weak<Segment>>,
    unsynced: Vec<Arc<Segment>>,
    is_folder_synced: bool,
}

/// A file that records are appended to.
#[derive(Debug)]
struct Current {
    segment: InUse,
    file: File,
    length: u64,
    next: RecordIndex,
}

/// A batch whose contents are in memory.
#[derive(Debug)]
pub struct Loaded {
    pub records: Vec<NewRecord>,
    /// Records that could not be read.
    pub lost: Vec<LostRecords>,
}

/// Reads those contents of a batch that are in files. Blocks.
///
/// # Errors
///
/// An error that is not the fault of a file, such as too many open ones.
pub fn load(batch: Vec<NewRecord>) -> io::Result<Loaded> {
    let mut loaded = Loaded {
        records: Vec::with_capacity(batch.len()),
        lost: Vec::new(),
    };
    let mut opened: Option<(Arc<Segment>, File)> = None;
    for mut record in batch {
        let Content::Spooled(spooled) = &record.content else {
            loaded.records.push(record);
            continue;
        };
        let segment = &spooled.segment;
        if !(opened.as_ref()).is_some_and(|(opened, _)| Arc::ptr_eq(opened, segment)) {
            opened = None;
            match segment.open(OpenMode::Read) {
                Ok(file) => opened = Some((segment.clone(), file)),
                Err(OpenError::Io(error)) if is_shortage(&error) => {
                    return Err(named(&segment.path(), &error));
                }
                Err(OpenError::Io(error)) => loaded.lose(segment, &record, &error.to_string()),
                Err(OpenError::Refused(text)) => loaded.lose(segment, &record, &text),
            }
        }
        let Some((_, file)) = &opened else {
            continue;
        };
        match spooled.read(file) {
            Ok(content) => {
                record.content = Content::Memory(vec![content]);
                loaded.records.push(record);
            }
            Err(error) if is_shortage(&error) => return Err(named(&segment.path(), &error)),
            Err(error) => loaded.lose(segment, &record, &error.to_string()),
        }
    }
    Ok(loaded)
}

impl Loaded {
    fn lose(&mut self, segment: &Segment, record: &NewRecord, why: &str) {
        segment.is_damaged.store(true, Ordering::Release);
        let is_new = !segment.is_reported.swap(true, Ordering::AcqRel);
        let path = segment.path();
        let of_file = self.lost.iter_mut().find(|lost| lost.path == path);
        match of_file {
            Some(lost) => lost.add(record),
            None => self.lost.push(LostRecords::new(path, record, why, is_new)),
        }
    }
}

/// Returns whether an error is a shortage of descriptors or memory, which may pass.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| {
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR].contains(&errno)
    })
}

impl Spool {
    /// Opens the spool of an entry in a folder, which is created if necessary, and returns the records that were left
    /// in it. Blocks.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the folder is locked by another process or writer. The texts have paths.
    pub fn open(
        folder: &Path,
        bucket: &str,
        entry: &str,
        sync: SpoolSync,
    ) -> io::Result<(Self, Recovery)> {
        let [bucket, entry] =
            [bucket, entry].map(|name| utf8_percent_encode(name, ENCODED_IN_NAMES));
        let names = [bucket.to_string(), entry.to_string()];
        let folder = PrivateFolder::open(folder, [&names[0], &names[1]])?;
        let lock = folder.file(LOCK, OpenMode::Create);
        let lock = lock.map_err(|error| error.named(&folder.path(LOCK)))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => named(&folder.path(LOCK), &error),
            TryLockError::WouldBlock => ErrorKind::WouldBlock.into(),
        })?;
        let mut spool = Self {
            folder: Arc::new(folder),
            _lock: lock,
            sync,
            run: RandomState::new().build_hasher().finish(),
            placement: Placement::Pending,
            current: None,
            next_number: 0,
            segments: Vec::new(),
            unsynced: Vec::new(),
            is_folder_synced: sync == SpoolSync::None,
        };
        let recovery = spool.recover()?;
        debug!(
            "spool {} is open, with {} records of other runs",
            spool.folder.path("").display(),
            recovery.records.len()
        );
        Ok((spool, recovery))
    }

    /// Moves the content of a record to a file. Blocks.
    ///
    /// # Errors
    ///
    /// The record stays as it is, and another attempt may succeed. The text has the path.
    pub fn append(&mut self, record: &mut NewRecord) -> io::Result<()> {
        let Content::Memory(parts) = &record.content else {
            return Ok(());
        };
        let mut current = self.take_current()?;
        let path = current.segment.0.path();
        let index = current.next;
        let Some((header, checksum)) = format::encode(self.run, index, record, parts) else {
            self.current = Some(current);
            let text = "the labels are too long";
            return Err(named(&path, &io::Error::new(ErrorKind::InvalidInput, text)));
        };
        let span = Span {
            offset: current.length + header.len() as u64,
            length: record.length(),
            checksum: Some(checksum),
        };
        if let Err(error) = write(&current.file, current.length, header, parts, span.length) {
            // No bytes may follow the last whole record.
            if current.file.set_len(current.length).is_ok() {
                self.current = Some(current);
            }
            return Err(named(&path, &error));
        }
        if let Err(error) = self.sync_appended(&current) {
            // The data may be lost, which a second sync would not report.
            let _ = current.file.set_len(current.length);
            return Err(named(&path, &error));
        }
        current.length = span.offset + span.length;
        current.next = RecordIndex {
            records: index.records + 1,
            frames: index.frames + u64::from(format::frames(record)),
        };
        let segment = current.segment.0.clone();
        self.current = Some(current);
        segment.needed.fetch_add(1, Ordering::AcqRel);
        record.content = Content::Spooled(Spooled { segment, span });
        Ok(())
    }

    /// Ends the file that is appended to, which is removed if all of its records are written.
    pub fn close(&mut self) {
        self.current = None;
    }

    /// Syncs the last record, or marks its file as unsynced.
    fn sync_appended(&mut self, current: &Current) -> io::Result<()> {
        match self.sync {
            SpoolSync::None => Ok(()),
            SpoolSync::Interval => {
                let segment = &current.segment.0;
                let last = self.unsynced.last();
                if !last.is_some_and(|last| Arc::ptr_eq(last, segment)) {
                    self.unsynced.push(segment.clone());
                }
                Ok(())
            }
            SpoolSync::Record => {
                current.file.sync_data()?;
                if !self.is_folder_synced {
                    self.folder.sync()?;
                    self.is_folder_synced = true;
                }
                Ok(())
            }
        }
    }

    /// Returns the file to append to.
    fn take_current(&mut self) -> io::Result<Current> {
        match self.current.take() {
            Some(current) if current.length < FILE_BYTES => Ok(current),
            _ => self.new_file(),
        }
    }

    fn new_file(&mut self) -> io::Result<Current> {
        let name = file_name(self.next_number);
        let path = self.folder.path(&name);
        // The number is not used again, also after an error.
        self.next_number += 1;
        let file = self.folder.file(&name, OpenMode::CreateNew);
        let file = file.map_err(|error| error.named(&path))?;
        // From here on the file is removed after an error.
        let segment = InUse(Segment::new(&self.folder, name, Some(self.run)));
        let header = format::file_header(self.run, self.placement);
        file.write_all_at(&header, 0)
            .map_err(|error| named(&path, &error))?;
        debug!("spool file {} is begun", path.display());
        self.is_folder_synced = self.sync == SpoolSync::None;
        self.segments.retain(|segment| segment.strong_count() > 0);
        self.segments.push(Arc::downgrade(&segment.0));
        Ok(Current {
            segment,
            file,
            length: FILE_HEADER as u64,
            next: RecordIndex {
                records: 0,
                frames: 0,
            },
        })
    }

    /// Stores the offset that is added to the times of the records of this run, or of a recovered one. Must be called
    /// before the first of them is sent.
    ///
    /// # Errors
    ///
    /// The text has the path of the first file where that failed.
    pub fn set_placement(&mut self, left: Option<u64>, moved_by: u64) -> io::Result<()> {
        let placement = Placement::Moved(moved_by);
        let run = left.unwrap_or(self.run);
        if left.is_none() {
            self.placement = placement;
        }
        let segments = self.segments.iter().filter_map(Weak::upgrade);
        let mut result = Ok(());
        for segment in segments.filter(|segment| segment.run == Some(run)) {
            let stored = store(&segment, placement, self.sync);
            // The others may still be right.
            result = result.and(stored);
        }
        result
    }

    /// Returns the files that have to be synced, if there are any.
    pub fn take_unsynced(&mut self) -> Option<Unsynced> {
        if self.sync != SpoolSync::Interval || self.unsynced.is_empty() {
            return None;
        }
        let is_folder_synced = std::mem::replace(&mut self.is_folder_synced, true);
        Some(Unsynced {
            files: std::mem::take(&mut self.unsynced),
            folder: (!is_folder_synced).then(|| self.folder.clone()),
        })
    }

    /// Returns the records that other runs left.
    fn recover(&mut self) -> io::Result<Recovery> {
        let mut recovery = Recovery::default();
        let mut left = Vec::new();
        let mut placements = HashMap::new();
        for name in self.files_that_were_left()? {
            let path = self.folder.path(&name);
            match self.scan(&name) {
                Ok(scan) => {
                    let placement = placements.entry(scan.run).or_insert(Placement::Unknown);
                    *placement = placement.or(scan.placement);
                    left.push((name, scan));
                }
                Err(OpenError::Io(error)) if error.kind() == ErrorKind::NotFound => {}
                Err(OpenError::Io(error)) if !is_shortage(&error) => {
                    let aside = keep_aside(&self.folder, &name);
                    recovery.add_unreadable(path, &error, aside.ok());
                }
                Err(error) => return Err(error.named(&path)),
            }
        }
        for (name, scan) in left {
            let placement = placements.get(&scan.run).copied();
            self.adopt(name, scan, placement, &mut recovery);
        }
        Ok(recovery)
    }

    fn scan(&self, name: &str) -> Result<Scan, OpenError> {
        let file = self.folder.file(name, OpenMode::Read)?;
        let length = file.metadata().map_err(OpenError::Io)?.len();
        let scan = scan::scan(&file, length);
        match scan.error {
            Some(error) if is_shortage(&error) => Err(OpenError::Io(error)),
            _ => Ok(scan),
        }
    }

    /// Adds the records of a file to those that are recovered.
    fn adopt(
        &mut self,
        name: String,
        scan: Scan,
        placement: Option<Placement>,
        recovery: &mut Recovery,
    ) {
        let segment = InUse(Segment::new(&self.folder, name, scan.run));
        let segment = &segment.0;
        segment.is_damaged.store(scan.is_damaged, Ordering::Release);
        recovery.add_damage(segment.path(), &scan);
        segment
            .needed
            .fetch_add(scan.records.len(), Ordering::AcqRel);
        let unsent_run = scan.run.filter(|_| placement == Some(Placement::Pending));
        let records = scan.records.into_iter().map(|(mut record, span)| {
            if let Some(Placement::Moved(by)) = placement {
                record.time = record.time.saturating_add(by);
            }
            record.unsent_run = unsent_run;
            record.content = Content::Spooled(Spooled {
                segment: segment.clone(),
                span,
            });
            record
        });
        recovery.records.extend(records);
        self.segments.push(Arc::downgrade(segment));
    }

    /// Returns the names of the files that were left, in the order of their numbers.
    fn files_that_were_left(&mut self) -> io::Result<Vec<String>> {
        let names = self.folder.names();
        let names = names.map_err(|error| named(&self.folder.path(""), &error))?;
        let mut files: Vec<_> = names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .filter_map(|name| Some((file_number(&name)?, name)))
            .collect();
        files.sort();
        for (number, name) in &mut files {
            if *number < MAX_NUMBER {
                self.next_number = *number + 1;
                continue;
            }
            let renamed = file_name(self.next_number);
            if self.folder.rename(name, &renamed).is_ok() {
                self.next_number += 1;
                *name = renamed;
            }
        }
        Ok(files.into_iter().map(|(_, name)| name).collect())
    }
}

fn file_name(number: u64) -> String {
    format!("{number:010}{SUFFIX}")
}

/// Returns the number in the name of a file of a spool; one with too many digits counts as the largest.
fn file_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Writes a record at an offset.
fn write(
    file: &File,
    offset: u64,
    mut header: Vec<u8>,
    parts: &[Bytes],
    length: u64,
) -> io::Result<()> {
    if length <= MAX_COPIED_BYTES {
        parts.iter().for_each(|part| header.extend_from_slice(part));
        return file.write_all_at(&header, offset);
    }
    file.write_all_at(&header, offset)?;
    let mut offset = offset + header.len() as u64;
    for part in parts {
        file.write_all_at(part, offset)?;
        offset += part.len() as u64;
    }
    Ok(())
}

/// Stores a placement in a file.
fn store(segment: &Segment, placement: Placement, sync: SpoolSync) -> io::Result<()> {
    let stored = || -> Result<(), OpenError> {
        let file = segment.open(OpenMode::Write)?;
        for offset in PLACEMENTS {
            let written = file.write_all_at(&placement.encode(), offset as u64);
            written.map_err(OpenError::Io)?;
        }
        if sync != SpoolSync::None {
            file.sync_data().map_err(OpenError::Io)?;
        }
        Ok(())
    };
    match stored() {
        // All of its records are written, or a fault shows when they are read.
        Err(OpenError::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(OpenError::Refused(_)) => Ok(()),
        stored => stored.map_err(|error| error.named(&segment.path())),
    }
}

/// Files that have to be synced.
#[derive(Debug)]
pub struct Unsynced {
    files: Vec<Arc<Segment>>,
    folder: Option<Arc<PrivateFolder>>,
}

impl Unsynced {
    /// Syncs all. Blocks.
    ///
    /// # Errors
    ///
    /// The text has the path of the file.
    pub fn sync(self) -> io::Result<()> {
        for segment in &self.files {
            // Another descriptor is sufficient, so that none has to be kept open.
            let synced = match segment.open(OpenMode::Read) {
                Ok(file) => file.sync_data(),
                Err(OpenError::Io(error)) if error.kind() == ErrorKind::NotFound => continue,
                // Something else has its name. The loss is reported when it is read.
                Err(OpenError::Refused(_)) => continue,
                Err(error) => return Err(error.named(&segment.path())),
            };
            synced.map_err(|error| named(&segment.path(), &error))?;
        }
        match self.folder {
            Some(folder) => folder
                .sync()
                .map_err(|error| named(&folder.path(""), &error)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
