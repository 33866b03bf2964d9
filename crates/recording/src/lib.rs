// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Entries of ReductStore as video: frames with times out of them and into them.
//!
//! [`Reader`] reads ranges of an entry, [`Recorder`] writes to one. Nothing here knows of GStreamer.

#![deny(missing_docs)]

mod read;
mod write;

pub use read::{
    Asked, Bound, DEFAULT_LOOKBACK, DEFAULT_PAUSE_LIMIT, End, Episode, Error, Extent, Format,
    Frame, Item, OnFault, RangeStart, Rates, ReadOptions, Reader, Seek, Segment, ShownFrom, Stats,
    TimeRange,
};
pub use write::{Notice, RecordUnit, Recorder, RecorderOptions, StreamFormat, Undecodable};
