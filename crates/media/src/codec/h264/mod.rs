// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! H.264 (ITU-T H.264, ISO/IEC 14496-10) byte streams, as far as a container needs to know them:
//! where access units begin and end, and which of them a decoder can start at.
//!
//! Pure functions of bytes: nothing here does I/O or knows GStreamer or ReductStore.

mod aligner;
mod continuation;
mod frame_numbering;
mod keyframe;
mod nal;
mod parameter_sets;
mod picture;
mod picture_order;
mod pps;
#[cfg(test)]
mod properties;
mod recovery;
mod sei;
mod slice;
mod splitter;
#[cfg(any(test, feature = "testing"))]
pub mod splitting;
mod sps;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use aligner::{Aligned, Aligner};
pub use frame_numbering::{FrameNumber, FrameNumbering, Succession};
pub use keyframe::{EntryPoints, Pictures, continues_picture, ends_with_lead, pictures};
pub use nal::{nal_type, nal_unit_type};
pub use parameter_sets::{ParameterSets, SetsDifference, referred_pps};
pub use recovery::Recovery;
pub use sei::recovery_frame_count;
pub use splitter::{AccessUnitSplitter, Next, Pushed, insert_parameter_sets};
pub use sps::{Colour, Sps, VuiFrameRate};
