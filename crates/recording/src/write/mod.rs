// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes to an entry: access units with capture times as records, and uploads of episodes.

mod builder;
mod episode_queue;
mod episode_uploader;
mod episodes;
mod notice;
mod options;
mod recorder;
mod records;

pub use builder::RecorderBuilder;
pub use episode_queue::{EpisodeQueue, NoCaptureTime, UploadCounts, UploadWaitError};
pub use episode_uploader::{EpisodeUploader, UploadEvent};
pub use episodes::EpisodeFile;
pub use notice::Notice;
pub use options::{RecorderOptions, StreamFormat, Undecodable};
pub use recorder::Recorder;
pub use records::RecordUnit;
