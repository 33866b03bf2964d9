// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of the element. Its functions are in the files that import it, by subject.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex};

use super::children::Children;
use super::part::PartFile;
use super::publish_queue::Publishing;
use super::run::Run;
use super::settings::Settings;
use super::upload_state::Running;

/// The bin. No two of the mutexes are ever held at once.
pub struct ReductEpisodeSplit {
    pub(super) sink_pad: gst::GhostPad,
    pub(super) settings: Mutex<Settings>,
    pub(super) children: Mutex<Option<Children>>,
    pub(super) run: Mutex<Option<Run>>,
    /// Notified when the gate of `run` has changed; waits use the lock of `run`.
    pub(super) gate_changed: Condvar,
    /// Uploads, if episodes become records.
    pub(super) uploads: Mutex<Option<Running>>,
    /// Queue of closed files, if episodes are files.
    pub(super) publishing: Mutex<Option<Publishing>>,
    /// The file that splitmuxsink writes.
    pub(super) part: Mutex<Option<PartFile>>,
    /// EOS of splitmuxsink, which GstBin drops in PAUSED.
    pub(super) eos: Mutex<Option<gst::Message>>,
    /// An error was posted in this run.
    pub(super) failed: AtomicBool,
    /// The warning about a file without room for an edit list was posted.
    pub(super) has_shown_hidden: AtomicBool,
    /// The children have run and have not been replaced since.
    pub(super) has_run: AtomicBool,
}
