// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Private fields of caps and flags of buffers, by which the cutter's decisions reach the muxer's pads.

/// A field of the caps that differs where the format does. A file has one format: caps with another
/// number are refused at the muxer's pad, so that splitmuxsink begins another file.
pub const EPOCH_FIELD: &str = "reduct-epoch";
/// A field of the caps with the time scale of the file.
pub const TIMESCALE_FIELD: &str = "reduct-timescale";
/// Flag of an access unit that splitmuxsink takes for a keyframe, and the muxer does not.
pub const PART_OF_GROUP: gst::BufferFlags = gst::BufferFlags::NON_DROPPABLE;
