// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! MP4 (ISO/IEC 14496-12).

mod box_file;
mod boxes;
mod disk_file;
mod file_bytes;
mod file_header;
mod file_samples;
mod fragments;
mod moov;
mod plain_file;
mod presentation;
#[cfg(test)]
mod properties;
mod read;
mod read_fragments;
mod read_table;
mod read_track;
mod sample_index;
mod sample_payload;
mod sample_times;
mod time_boxes;
mod time_fields;
mod timescale;
mod track_times;
mod write_error;
#[cfg(test)]
mod write_properties;

pub use boxes::{BoxHeader, LARGE_HEADER};
pub use disk_file::*;
pub use file_bytes::FileBytes;
pub use file_header::VideoTrack;
pub use file_samples::{FileReadError, FileSample, MAX_SAMPLES};
pub use fragments::*;
pub use moov::*;
pub use plain_file::{FileParts, MoovPlace, PlainWriter, RESERVED};
pub use presentation::*;
pub use read::*;
pub use read_track::*;
pub use sample_index::SampleFacts;
pub use sample_payload::*;
pub use sample_times::*;
pub use time_fields::{FileDuration, FileEdit};
pub use timescale::*;
pub use write_error::*;
