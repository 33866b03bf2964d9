// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Entries as video: read as access units with times, and written from them.

pub mod read;
pub mod write;
