// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Ends of ranges.

/// Frame with which a range ends that has a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last frame that was captured before the stop.
    Exact,
    /// The last frame of the group of pictures that began before the stop.
    Keyframe,
    /// The last picture that is shown before the stop.
    Shown,
    /// The last frame of the records before the stop.
    Records,
}
