// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of the spool of a writer, which may fail for a while, as on a full disk.

use std::io;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::write::record::NewRecord;
use crate::write::spool::Spool;

/// Largest size of contents in memory, in bytes, where they should be in files.
pub const MAX_MEMORY: u64 = 256 << 20;
/// Pause between attempts to write to a spool that cannot be written.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Time for which a spool can be written before a further failure causes another warning.
const WARN_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Place of queued records.
#[derive(Debug)]
pub enum SpoolState {
    Memory,
    /// In files, which are not open yet.
    Opening,
    Files(SpoolFiles),
}

/// A spool, and whether it can be written.
#[derive(Debug)]
pub struct SpoolFiles {
    pub spool: Spool,
    /// Name of the setting of its folder.
    name: &'static str,
    /// Time of the last failure.
    failed: Option<Instant>,
    /// The last attempt failed.
    is_failing: bool,
}

impl SpoolFiles {
    /// Creates the state of an open spool.
    pub fn new(spool: Spool, name: &'static str) -> Self {
        Self {
            spool,
            name,
            failed: None,
            is_failing: false,
        }
    }

    /// Moves a record to a file if possible. Returns a warning about a failure that has not been reported. Blocks.
    pub fn keep(&mut self, record: &mut NewRecord) -> Option<String> {
        let since = self.failed.map(|failed| failed.elapsed());
        let is_too_soon = self.is_failing && since.is_some_and(|since| since < RETRY_AFTER);
        if !record.is_in_memory() || is_too_soon {
            return None;
        }
        match self.spool.append(record) {
            Ok(()) => {
                self.is_failing = false;
                None
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Records that the spool cannot be written. Returns a warning if that has not been reported.
    pub fn fail(&mut self, error: &io::Error) -> Option<String> {
        let is_known = self.is_failing
            || (self.failed).is_some_and(|failed| failed.elapsed() < WARN_AGAIN_AFTER);
        debug!("spool cannot be written: {error}");
        self.failed = Some(Instant::now());
        self.is_failing = true;
        (!is_known).then(|| {
            format!(
                "{} cannot be written: {error}. Frames wait in memory, {} MiB at most, and do \
                 not survive the process, until it can be written again",
                self.name,
                MAX_MEMORY >> 20
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::write::record::Content;
    use crate::write::spool::SpoolSync;

    fn record(time: u64) -> NewRecord {
        NewRecord {
            time,
            content: Content::Memory(vec![Bytes::from_static(b"content")]),
            frame_rate: None,
            keyframe: true,
            is_entry_point: true,
            labels: Arc::default(),
            frames: 1,
            has_fixed_time: false,
            is_recovered: false,
            unsent_run: None,
        }
    }

    #[test]
    fn a_spool_that_cannot_be_written_is_tried_again_and_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Spool::open(folder.path(), "b", "e", SpoolSync::None);
        let mut files = SpoolFiles::new(open().unwrap().0, "the spool");
        std::fs::remove_dir_all(folder.path().join("b")).unwrap();
        let warning = files.keep(&mut record(1)).unwrap();
        assert!(warning.contains("0000000000.spool"), "{warning}");
        let mut second = record(2);
        assert_eq!(files.keep(&mut second), None);
        assert!(second.is_in_memory());
        files.spool = open().unwrap().0;
        // Not at once.
        assert_eq!(files.keep(&mut second), None);
        assert!(second.is_in_memory());
        files.failed = files
            .failed
            .and_then(|failed| failed.checked_sub(RETRY_AFTER));
        assert_eq!(files.keep(&mut second), None);
        assert!(!second.is_in_memory());
        // Soon after it is the same cause.
        assert_eq!(files.fail(&io::Error::other("full")), None);
        files.failed = files
            .failed
            .and_then(|failed| failed.checked_sub(WARN_AGAIN_AFTER));
        files.is_failing = false;
        assert!(files.fail(&io::Error::other("full")).is_some());
    }
}
