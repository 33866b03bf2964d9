// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Byte streams of video codecs.

pub mod annexb;
mod chunks;
mod damage;
pub mod h264;
pub mod length_prefixed;
mod rbsp;

pub use chunks::{between_nal_units, joined};
pub use damage::{Damage, MAX_BYTES};
