// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductsink`: H.264 into ReductStore.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;

mod clock;
mod imp;
mod notices;
mod preroll;
mod settings;
mod stats;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "reductsink",
        gst::DebugColorFlags::empty(),
        Some("ReductStore sink"),
    )
});

/// Content of a record: the property `record-unit`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSinkRecordUnit")]
pub enum RecordUnit {
    /// One access unit, with a capture time of its own.
    #[default]
    #[enum_value(name = "One access unit", nick = "access-unit")]
    AccessUnit,
    /// A group of pictures: a keyframe (IDR picture or recovery point) and all pictures up to the next
    /// one. The record has the time of its first picture only, so it also ends where the others would be
    /// half a frame off.
    #[enum_value(
        name = "A group of pictures, from a keyframe (IDR picture or recovery point) to the next one",
        nick = "gop"
    )]
    Gop,
    /// The same as in the record that reductsrc read it from, with the time of that record. From other
    /// sources: one access unit.
    #[enum_value(
        name = "As in the entry that reductsrc reads it from; else one access unit",
        nick = "record"
    )]
    Record,
}

/// Behaviour of a full queue: the property `overflow`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSinkOverflow")]
pub enum Overflow {
    /// `drop-gop` behind a live source, else `block`.
    #[default]
    #[enum_value(name = "drop-gop behind a live source, else block", nick = "auto")]
    Auto,
    /// The streaming thread waits for room.
    #[enum_value(name = "The stream waits for room", nick = "block")]
    Block,
    /// Whole groups of pictures are dropped and counted, the oldest ones first, with a warning.
    #[enum_value(
        name = "Drop whole groups of pictures, the oldest ones first",
        nick = "drop-gop"
    )]
    DropGop,
    /// The stream ends with an error.
    #[enum_value(name = "End with an error", nick = "error")]
    Error,
}

/// Treatment of frames at or before the newest record of the entry: the property `existing`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSinkExisting")]
pub enum Existing {
    /// An error, because records that are written out of order make ReductStore slow.
    #[default]
    #[enum_value(
        name = "An error: records that are late make ReductStore slow",
        nick = "error"
    )]
    Error,
    /// Frames that the entry has already are left out and counted, so that a copy can be repeated.
    #[enum_value(
        name = "Leave out frames that the entry has already; other late frames are an error",
        nick = "skip"
    )]
    Skip,
}

/// Treatment of pictures that cannot be decoded: the property `on-error`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSinkOnError")]
pub enum OnError {
    /// They are recorded as they are, with a warning. A stream without a single decodable picture is an
    /// error.
    #[default]
    #[enum_value(name = "Record it as it is, with a warning", nick = "record")]
    Record,
    /// The stream ends with an error before they are recorded.
    #[enum_value(name = "End with an error", nick = "stop")]
    Stop,
}

/// Durability of records in `spool-dir`: the property `spool-sync`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[repr(u32)]
#[enum_type(name = "GstReductSinkSpoolSync")]
pub enum SpoolSync {
    /// No sync: records survive the process, but not a loss of power.
    #[enum_value(
        name = "Never: records survive the process, but not a loss of power",
        nick = "none"
    )]
    None,
    /// Once a second while the stream runs.
    #[default]
    #[enum_value(
        name = "Once a second in the background: a loss of power costs the last second",
        nick = "interval"
    )]
    Interval,
    /// Each record, before the next frame is accepted.
    #[enum_value(
        name = "Each record, for which the stream waits: a loss of power costs nothing that was taken",
        nick = "record"
    )]
    Record,
}

glib::wrapper! {
    /// The element `reductsink`.
    pub struct ReductSink(ObjectSubclass<imp::ReductSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object,
        @implements gst::URIHandler;
}

/// Registers the element.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    #[cfg(feature = "doc")]
    for enumeration in [
        RecordUnit::static_type(),
        Overflow::static_type(),
        Existing::static_type(),
        OnError::static_type(),
        SpoolSync::static_type(),
    ] {
        enumeration.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }

    gst::Element::register(
        Some(plugin),
        "reductsink",
        gst::Rank::NONE,
        ReductSink::static_type(),
    )
}
