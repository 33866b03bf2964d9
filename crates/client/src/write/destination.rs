// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Where a writer writes, and how.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Purpose, Target};
use crate::server::Server;
use crate::write::spool::SpoolSync;

/// Where records go.
#[derive(Debug, Clone)]
pub struct Destination {
    pub server: Server,
    pub bucket: String,
    pub entry: String,
    /// Make the bucket if it is missing.
    pub create_bucket: bool,
    /// Size in bytes from which on a bucket that is made loses its oldest records.
    pub quota_size: Option<u64>,
    /// How long a record may wait for others to be written with it.
    pub max_latency: Duration,
    /// Attempts in a row before an error: at a server that was never reached, and when nothing follows, at
    /// the end of the stream or after a stop. Otherwise there is no end to them.
    pub retries: u32,
    pub existing: Existing,
    /// Folder where records are kept until they are written, so that they survive the process.
    pub spool_folder: Option<PathBuf>,
    /// When what is in it is synced to the disk.
    pub spool_sync: SpoolSync,
}

/// What becomes of records that the entry may have already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// They are an error.
    #[default]
    Refuse,
    /// Those that it has are left out.
    Skip,
}

impl Destination {
    /// What errors are about.
    pub(crate) fn target(&self) -> Target<'_> {
        self.server
            .target(&self.bucket, &self.entry, Purpose::Write)
    }
}
