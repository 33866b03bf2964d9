// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Destination and options of a writer.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Purpose, Target};
use crate::server::Server;
use crate::write::spool::SpoolSync;

/// The entry to write to, with options.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Server.
    pub server: Server,
    /// Name of the bucket.
    pub bucket: String,
    /// Name of the entry.
    pub entry: String,
    /// Create a missing bucket.
    pub create_bucket: bool,
    /// Quota of a created bucket in bytes, beyond which it drops its oldest records.
    pub quota_size: Option<u64>,
    /// Longest time that a record waits for others to be written with it.
    pub max_latency: Duration,
    /// Retries in a row before an error at a server that was never reached, at the end of the stream and after a
    /// stop. Otherwise there is no limit.
    pub retries: u32,
    /// Policy for records that the entry may have already.
    pub existing: Existing,
    /// Folder of the spool, which keeps records until they are written, so that they survive the process.
    pub spool_folder: Option<PathBuf>,
    /// Policy of syncing the spool.
    pub spool_sync: SpoolSync,
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

impl Destination {
    /// Returns the subject of errors.
    pub(crate) fn target(&self) -> Target<'_> {
        self.server
            .target(&self.bucket, &self.entry, Purpose::Write)
    }
}
