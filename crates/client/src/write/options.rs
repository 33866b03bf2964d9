// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of a writer, with their defaults.

use std::path::PathBuf;
use std::time::Duration;

use crate::write::spool::SpoolSync;

/// Default of [`WriterOptions::max_latency`].
pub const DEFAULT_MAX_LATENCY: Duration = Duration::from_millis(200);
/// Default of [`WriterOptions::queue_bytes`].
pub const DEFAULT_QUEUE_BYTES: u64 = 256 << 20;
/// Default of [`WriterOptions::retries`].
pub const DEFAULT_RETRIES: u32 = 10;

/// Options of a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterOptions {
    /// Create a missing bucket, which needs a token with full access. True by default.
    pub create_bucket: bool,
    /// Quota of a created bucket in bytes, beyond which it drops its oldest records. None by default. A bucket that
    /// exists keeps its own.
    pub quota_size: Option<u64>,
    /// Longest time that a record waits for others to be written with it. 200 ms by default; zero writes each record
    /// as soon as the request before is answered.
    pub max_latency: Duration,
    /// Bytes that records may take while they wait for the server, in memory or in the spool: contents, labels
    /// and bookkeeping. A larger record waits alone. 256 MiB by default.
    pub queue_bytes: u64,
    /// Retries in a row before an error at a server that was never reached, at the end of the stream and after a
    /// stop. Otherwise there is no limit. 10 by default.
    pub retries: u32,
    /// Policy for records that the entry may have already: an error by default.
    pub existing: Existing,
    /// Spool that keeps records until they are written. None by default: they wait in memory.
    pub spool: Option<SpoolOptions>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            create_bucket: true,
            quota_size: None,
            max_latency: DEFAULT_MAX_LATENCY,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            retries: DEFAULT_RETRIES,
            existing: Existing::default(),
            spool: None,
        }
    }
}

/// Policy for records that the entry may have already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// They are an error.
    #[default]
    Refuse,
    /// Those that it has are skipped.
    Skip,
}

/// A spool: files that keep records until they are written, so that they survive the process. The next writer to the
/// entry writes those that are left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolOptions {
    /// Folder of the spool, one for each server. It is created if it is missing, and has a folder for each entry, which
    /// one process at a time can use.
    pub folder: PathBuf,
    /// Policy of syncing the files to the disk.
    pub sync: SpoolSync,
}

impl SpoolOptions {
    /// Returns a spool in a folder, with the default of [`SpoolSync`].
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            sync: SpoolSync::default(),
        }
    }
}
