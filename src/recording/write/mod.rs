// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes access units with capture times to an entry as records.

pub mod notice;
pub mod options;
pub mod recorder;
pub mod records;
