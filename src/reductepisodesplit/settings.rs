// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Values of the properties.

use client::Token;

use super::{IndexFormat, KeyframeMode, SplitMode};
use crate::connection::ConnectionSettings;

/// Default of the property `location`.
pub const DEFAULT_LOCATION: &str = "episode_%05d.mp4";

/// Values of the properties, as they are set.
#[derive(Debug, Clone)]
pub struct Settings {
    pub duration: Option<gst::ClockTime>,
    pub size: Option<u64>,
    pub split_mode: SplitMode,
    pub keyframe_mode: KeyframeMode,
    pub gap_detection: bool,
    pub location: String,
    pub index: IndexFormat,
    pub api_token: Token,
    pub muxer_properties: Option<gst::Structure>,
    pub send_keyframe_requests: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            duration: None,
            size: None,
            split_mode: SplitMode::default(),
            keyframe_mode: KeyframeMode::default(),
            gap_detection: true,
            location: DEFAULT_LOCATION.into(),
            index: IndexFormat::default(),
            api_token: ConnectionSettings::default().api_token,
            muxer_properties: None,
            send_keyframe_requests: false,
        }
    }
}
