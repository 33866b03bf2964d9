// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductepisodesplit`: H.264 into MP4 episodes, files or records.

use gst::glib;
use gst::prelude::*;

mod address;
mod backlog;
mod caps;
mod category;
mod children;
mod complete;
mod element;
mod enums;
mod errors;
mod gate;
mod imp;
mod index_file;
mod intake;
mod lifecycle;
mod marks;
mod messages;
mod pad;
mod part;
mod publish_queue;
mod publishing;
mod run;
mod sample_captures;
mod seeking;
mod segments;
mod settings;
mod splitmux;
mod splitmux_state;
mod stats;
mod upload_state;
mod uploads;
mod worker;
mod writing;

use category::CAT;
pub use enums::{IndexFormat, KeyframeMode, SplitMode};

glib::wrapper! {
    /// The element `reductepisodesplit`.
    pub struct ReductEpisodeSplit(ObjectSubclass<element::ReductEpisodeSplit>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

/// Registers the element.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    #[cfg(feature = "doc")]
    for enumeration in [
        SplitMode::static_type(),
        KeyframeMode::static_type(),
        IndexFormat::static_type(),
    ] {
        enumeration.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }

    gst::Element::register(
        Some(plugin),
        "reductepisodesplit",
        gst::Rank::NONE,
        ReductEpisodeSplit::static_type(),
    )
}
