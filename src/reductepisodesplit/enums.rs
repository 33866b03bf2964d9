// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Types of properties that are enumerations.

use gst::glib;

/// Position of the cut when a limit is reached: the property `split-mode`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductEpisodeSplitMode")]
pub enum SplitMode {
    /// At the first keyframe at or after the limit: episodes are as long as the limit, or longer
    /// by less than one group of pictures.
    #[default]
    #[enum_value(
        name = "At the first keyframe at or after the limit",
        nick = "next-keyframe"
    )]
    NextKeyframe,
    /// At the last keyframe before the limit would be exceeded: episodes are as long as the limit
    /// or shorter, but have one group of pictures at least.
    #[enum_value(
        name = "At the last keyframe before the limit would be exceeded",
        nick = "at-most"
    )]
    AtMost,
}

/// Access units that an episode can begin with: the property `keyframe-mode`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductEpisodeSplitKeyframeMode")]
pub enum KeyframeMode {
    /// IDR pictures.
    #[default]
    #[enum_value(name = "IDR pictures", nick = "idr")]
    Idr,
    /// IDR pictures and those with a recovery point SEI message (ITU-T H.264, D.2.8). Pictures that
    /// need what comes before such a cut are dropped.
    #[enum_value(
        name = "IDR pictures and recovery points; pictures that need what precedes the cut are dropped or hidden",
        nick = "recovery-point"
    )]
    RecoveryPoint,
    /// Those, and pictures that have only I slices. Pictures that need what comes before such a cut,
    /// and are shown before it, are dropped; whether later ones need it the stream does not say.
    #[enum_value(
        name = "IDR pictures, recovery points, and pictures that have only I slices",
        nick = "intra"
    )]
    Intra,
}

/// Index of the frames beside each file: the property `index`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductEpisodeSplitIndex")]
pub enum IndexFormat {
    /// No index.
    #[default]
    #[enum_value(name = "No index", nick = "none")]
    None,
    /// A Parquet file with the name of the episode and `.parquet`.
    #[enum_value(name = "A Parquet file beside each episode", nick = "parquet")]
    Parquet,
}

impl From<SplitMode> for media::cut::SplitMode {
    fn from(mode: SplitMode) -> Self {
        match mode {
            SplitMode::NextKeyframe => Self::NextKeyframe,
            SplitMode::AtMost => Self::AtMost,
        }
    }
}

impl From<KeyframeMode> for media::cut::KeyframeMode {
    fn from(mode: KeyframeMode) -> Self {
        match mode {
            KeyframeMode::Idr => Self::Idr,
            KeyframeMode::RecoveryPoint => Self::RecoveryPoint,
            KeyframeMode::Intra => Self::Intra,
        }
    }
}
