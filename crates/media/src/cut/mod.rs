// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Episodes: their ends, the names of their files, and the times of their samples.

mod assign;
mod cadence;
mod cutter;
mod episodes;
mod file_times;
mod files;
mod format;
mod index;
mod input;
mod labels;
mod modes;
mod mp4_episodes;
pub mod names;
mod picture_format;
pub mod policy;
mod refresh;
mod writer;

pub use assign::*;
pub use cadence::*;
pub use cutter::*;
pub use episodes::*;
pub use file_times::*;
pub use files::*;
pub use format::*;
pub use index::*;
pub use input::*;
pub use modes::*;
pub use mp4_episodes::*;
pub use picture_format::*;
pub use refresh::*;
pub use writer::*;
