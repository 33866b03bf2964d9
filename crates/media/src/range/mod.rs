// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The access units with which a range starts and stops.

mod end;
mod label_trust;
mod reordering_watch;
mod start;
mod stop;

pub use end::End;
pub use label_trust::*;
pub use reordering_watch::*;
pub use start::*;
pub use stop::*;
