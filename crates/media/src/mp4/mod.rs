// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! MP4 (ISO/IEC 14496-12).

mod boxes;
mod moov;
#[cfg(test)]
mod properties;
mod read;
mod sample_times;
mod timescale;

pub use boxes::{BoxHeader, LARGE_HEADER};
pub use moov::*;
pub use read::*;
pub use sample_times::*;
pub use timescale::*;
