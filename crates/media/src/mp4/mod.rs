// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! MP4 (ISO/IEC 14496-12).

mod read;

pub use read::*;
