// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Destination of a writer.

use crate::error::{Purpose, Target};
use crate::server::Server;

/// The entry to write to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Server.
    pub server: Server,
    /// Name of the bucket.
    pub bucket: String,
    /// Name of the entry.
    pub entry: String,
}

impl Destination {
    /// Returns the subject of errors.
    pub(crate) fn target(&self) -> Target<'_> {
        self.server
            .target(&self.bucket, &self.entry, Purpose::Write)
    }
}
