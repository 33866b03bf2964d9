// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes access units with capture times to an entry as records.

mod episodes;
mod notice;
mod options;
mod recorder;
mod records;

pub use episodes::episode_record;
pub use notice::Notice;
pub use options::{RecorderOptions, StreamFormat, Undecodable};
pub use recorder::Recorder;
pub use records::RecordUnit;
