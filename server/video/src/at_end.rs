// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Number of episodes that the server can take at the end of a query.

/// Number of episodes that the server can take at the end of a query (1.21.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// One. All before it have to be complete with the last record, so that frames get their times without the record
    /// that follows them.
    One,
    /// All, as a step that follows the export takes them.
    All,
}
