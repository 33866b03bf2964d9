// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A recorded stream: from the records of an entry to frames with times.

mod config;
mod counts;
mod episode_export;
mod error;
mod faults;
mod finding;
mod finding_counts;
mod frame;
mod item;
mod label_check;
mod learnt_keyframes;
mod memory;
mod names;
mod on_fault;
mod preceding;
mod range;
mod range_frames;
mod rates;
mod record_tag;
mod recorded_stream;
mod report;
mod request;
mod results;
mod segment;
#[cfg(test)]
mod testing;

pub use config::{DEFAULT_PAUSE_LIMIT, StreamConfig, StreamOptions};
pub use counts::StreamCounts;
pub use episode_export::EpisodeExport;
pub use error::StreamError;
pub use faults::{Fault, LAST_TIME};
pub use finding::Finding;
pub use finding_counts::FindingCounts;
pub use frame::Frame;
pub use item::StreamItem;
pub use memory::StreamMemory;
pub use names::OptionNames;
pub use on_fault::OnFault;
pub use preceding::PrecedingRecords;
pub use range::StreamRange;
pub use record_tag::RecordTag;
pub use recorded_stream::RecordedStream;
pub use request::StreamRequest;
pub use segment::{RangeStart, Segment, ShownFrom};
