// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! `reductsrc`: H.264 out of ReductStore.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;

mod damage;
mod frame_rate;
mod imp;
mod lookback;
mod reorder;
mod settings;
mod stats;
mod stream;
mod timeline;

/// What gives access units their times. Public for the benchmarks only.
pub mod stamping {
    pub use super::reorder::Reorder;
    pub use super::stream::buffer;
    pub use super::timeline::{Config, Timeline};
}

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "reductsrc",
        gst::DebugColorFlags::empty(),
        Some("ReductStore source"),
    )
});

/// What happens when something in the stream cannot be read.
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

glib::wrapper! {
    /// The element `reductsrc`.
    pub struct ReductSrc(ObjectSubclass<imp::ReductSrc>)
        @extends gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object,
        @implements gst::URIHandler;
}

/// Registers the element.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    #[cfg(feature = "doc")]
    OnError::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());

    gst::Element::register(
        Some(plugin),
        "reductsrc",
        gst::Rank::PRIMARY, // among those that handle its URIs
        ReductSrc::static_type(),
    )
}
