// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writing to an entry: records in batches, with a spool, and uploads of files.

pub mod delivery;
pub mod destination;
pub mod keeping;
pub mod options;
pub mod pending;
pub mod queue;
pub mod record;
pub mod requests;
pub mod shared;
pub mod spool;
pub mod spool_folder;
pub mod spool_format;
pub mod spool_report;
pub mod spool_scan;
pub mod stored;
pub mod upload;
pub mod writer;
