// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From the times of records to slots of stream time: cadence, gaps and pauses.

mod cadence;
mod continuity;
mod declared_rate;
mod group_lengths;
mod names;
mod on_loss;
mod pauses;
mod slots;

pub(crate) use cadence::Cadence;
pub use continuity::*;
pub use declared_rate::*;
pub use names::TimelineNames;
pub use on_loss::OnLoss;
pub use slots::*;
