// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Extension `video` of ReductStore: a query for records of H.264 returns MP4 episodes.
//!
//! Queries come in as [`VideoExtension`] describes; `extension` checks them, and `pipeline_step` is called for each
//! record, `remaining` for each episode if a query has that step. `session` holds the state of a query, `exporter` makes episodes of its records by the crate `media`, and
//! `output_record` is what the server sends.

#![deny(missing_docs)]

mod at_end;
mod attachments;
mod drain_token;
mod duration;
mod episode_files;
mod episode_index;
mod error;
mod exporter;
mod extension;
mod finished_episode;
mod guard;
mod lock;
mod output_record;
mod panic_injection;
mod parameters;
mod pipeline_step;
mod quantity;
mod query_check;
mod registry;
mod remaining;
mod session;
mod size;
mod spool;
mod unsent;

pub use extension::VideoExtension;
pub use size::{EXPECTED as EXPECTED_SIZE, parse as parse_size};
pub use spool::{SpoolSettings, check_folder};
