// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Options of the cutting policy.

/// Position of a cut, relative to the limit of an episode.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum SplitMode {
    /// The first keyframe at or after the limit: episodes are as long as the limit, or longer by less
    /// than one group of pictures.
    #[default]
    NextKeyframe,
    /// The last keyframe before the limit would be exceeded: episodes are as long as the limit or
    /// shorter, but have at least one group of pictures.
    AtMost,
}

/// Access units with which an episode can begin.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum KeyframeMode {
    /// IDR pictures.
    #[default]
    Idr,
    /// IDR pictures and those with a recovery point SEI message (ISO/IEC 14496-10, D.2.8). Pictures
    /// that refer to pictures before such a cut are dropped.
    RecoveryPoint,
    /// Those, and pictures that have only I slices. Pictures that need what precedes such a cut and are
    /// shown before it are dropped; the stream does not say whether later ones need it.
    Intra,
}
