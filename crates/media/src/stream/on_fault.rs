// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Treatment of records that cannot be read.

/// Treatment of records that cannot be read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// They are left out, counted and warned of.
    #[default]
    Skip,
    /// They end reading with an error.
    Stop,
}
