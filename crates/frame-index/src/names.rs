// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Names of an index: its content type as a record, and its name as a file.

/// Content type of a record with an index.
pub const PARQUET_TYPE: &str = "application/vnd.apache.parquet";

/// Returns the name of the file of an index: that of its episode, and `.parquet`.
pub fn file_name(episode: &str) -> String {
    format!("{episode}.parquet")
}
