// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of the element. Its functions are in the files that import it, by subject.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex};

use super::children::Children;
use super::cutter::Cutter;
use super::part::PartFile;
use super::publish_queue::Publishing;
use super::settings::Settings;
use super::upload_queue::Running;

/// The bin. No two of the mutexes are ever held at once.
pub struct ReductEpisodeSplit {
    pub(super) sink_pad: gst::GhostPad,
    pub(super) settings: Mutex<Settings>,
    pub(super) children: Mutex<Option<Children>>,
    pub(super) cutter: Mutex<Option<Cutter>>,
    /// With `cutter`: its gate has changed.
    pub(super) gate_changed: Condvar,
    /// For episodes that become records.
    pub(super) uploads: Mutex<Option<Running>>,
    /// For episodes that are files.
    pub(super) publishing: Mutex<Option<Publishing>>,
    /// The file that splitmuxsink writes.
    pub(super) part: Mutex<Option<PartFile>>,
    /// EOS of splitmuxsink, which GstBin forgets in PAUSED.
    pub(super) eos: Mutex<Option<gst::Message>>,
    /// There was an error in this run.
    pub(super) failed: AtomicBool,
    /// The warning was posted that a file shows what is to be hidden.
    pub(super) has_shown_hidden: AtomicBool,
    /// The children have run, and are not made anew yet.
    pub(super) has_run: AtomicBool,
}
