// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Element `reductsrc`: H.264 and episodes out of ReductStore.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;

mod buffers;
mod downstream;
mod episodes;
mod imp;
mod interrupt;
mod live;
mod probes;
mod seeks;
mod segments;
mod settings;
mod stats;
mod stream;
mod unpushed;

/// For the benchmarks only.
pub mod stamping {
    pub use super::buffers::buffer;
    pub use recording::Frame;
}

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "reductsrc",
        gst::DebugColorFlags::empty(),
        Some("ReductStore source"),
    )
});

/// Treatment of records that cannot be read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSrcOnError")]
pub enum OnError {
    /// It is left out, counted and warned of.
    #[default]
    #[enum_value(name = "Leave it out, with a warning", nick = "skip")]
    Skip,
    /// The stream ends with an error.
    #[enum_value(name = "End with an error", nick = "stop")]
    Stop,
}

/// Treatment of pictures that refer to lost ones, until the next keyframe.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSrcOnLoss")]
pub enum OnLoss {
    /// After a gap they are dropped. After a loss without a pause they are kept, with the flag
    /// CORRUPTED.
    #[default]
    #[enum_value(
        name = "Drop them after a gap, keep them with the flag CORRUPTED after other losses",
        nick = "auto"
    )]
    Auto,
    /// They are dropped.
    #[enum_value(name = "Drop them", nick = "drop")]
    Drop,
    /// They are kept, with the flag CORRUPTED.
    #[enum_value(name = "Keep them, with the flag CORRUPTED", nick = "keep")]
    Keep,
}

/// Frame with which a range begins.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSrcStartMode")]
pub enum StartMode {
    /// The first keyframe at or after its start.
    #[default]
    #[enum_value(
        name = "With the first keyframe at or after the start",
        nick = "keyframe-after"
    )]
    KeyframeAfter,
    /// The last keyframe at or before its start.
    #[enum_value(
        name = "With the last keyframe at or before the start",
        nick = "keyframe-before"
    )]
    KeyframeBefore,
    /// The frame at its start. Frames that a decoder needs before it come first, and are not shown.
    #[enum_value(
        name = "With the frame at the start; what a decoder needs before it is not shown",
        nick = "exact"
    )]
    Exact,
}

/// Frame with which a range ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSrcStopMode")]
pub enum StopMode {
    /// The last frame before its stop.
    #[default]
    #[enum_value(name = "With the last frame before the stop", nick = "exact")]
    Exact,
    /// The last frame of the group of pictures that began before its stop.
    #[enum_value(
        name = "With the last frame of the group of pictures that began before the stop",
        nick = "keyframe"
    )]
    Keyframe,
}

/// Pictures with which a range may begin.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSrcKeyframeMode")]
pub enum KeyframeMode {
    /// IDR pictures.
    #[enum_value(name = "IDR pictures", nick = "idr")]
    Idr,
    /// Also those with a recovery point SEI message (ITU-T H.264, D.2.8).
    #[default]
    #[enum_value(name = "IDR pictures and recovery points", nick = "recovery-point")]
    RecoveryPoint,
    /// Also those that have only I slices.
    #[enum_value(
        name = "IDR pictures, recovery points and pictures that have only I slices",
        nick = "intra"
    )]
    Intra,
}

impl From<OnLoss> for media::timeline::OnLoss {
    fn from(on_loss: OnLoss) -> Self {
        match on_loss {
            OnLoss::Auto => Self::Auto,
            OnLoss::Drop => Self::Drop,
            OnLoss::Keep => Self::Keep,
        }
    }
}

glib::wrapper! {
    /// The element `reductsrc`.
    pub struct ReductSrc(ObjectSubclass<imp::ReductSrc>)
        @extends gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object,
        @implements gst::URIHandler;
}

/// Registers the element.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    #[cfg(feature = "doc")]
    for enumeration in [
        OnError::static_type(),
        OnLoss::static_type(),
        StartMode::static_type(),
        StopMode::static_type(),
        KeyframeMode::static_type(),
    ] {
        enumeration.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }

    gst::Element::register(
        Some(plugin),
        "reductsrc",
        gst::Rank::PRIMARY, // among those that handle its URIs
        ReductSrc::static_type(),
    )
}
