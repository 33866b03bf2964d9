// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Entries of ReductStore as video: frames with times out of them and into them.
//!
//! [`Recording`] opens an entry, and reads and verifies ranges of it, [`Export`] cuts what is read into episodes, and
//! [`Recorder`] writes to an entry. [`EpisodeUploader`] uploads finished episodes. [`Reader`] is the reader below, which seeks in several ranges. This crate does not
//! depend on GStreamer.

#![deny(missing_docs)]

mod export;
mod lock;
mod read;
mod recording;
mod schema;
mod verify;
mod write;

pub use export::Export;
pub use read::{
    Asked, Bound, DEFAULT_LOOKBACK, DEFAULT_PAUSE_LIMIT, End, Episode, Error, Extent, Fault,
    Finding, FindingCounts, Format, Frame, Item, MAX_FINDINGS, OnFault, OptionNames, Position,
    RangeStart, Rates, ReadOptions, Reader, RecordHeader, Seek, Segment, ShownFrom, Stats,
    StreamOptions, TimeRange,
};
pub use recording::{Frames, ReadRequest, Recording};
pub use schema::SCHEMA;
pub use verify::{Verification, VerifyProgress};
pub use write::{
    EpisodeFile, EpisodeQueue, EpisodeUploader, NoCaptureTime, Notice, RecordUnit, Recorder,
    RecorderBuilder, RecorderOptions, StreamFormat, Undecodable, UploadCounts, UploadEvent,
    UploadWaitError,
};
