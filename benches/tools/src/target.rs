// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The arguments that name an entry.

use clap::Args;

/// The entry to read or write.
#[derive(Args)]
pub struct Target {
    /// Server
    #[arg(long, env = "REDUCT_URL")]
    pub url: String,
    /// Bucket
    #[arg(long)]
    pub bucket: String,
    /// Entry
    #[arg(long)]
    pub entry: String,
}
