// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Threads of the bin.

use std::panic::{self, AssertUnwindSafe};
use std::thread::{self, JoinHandle};

use gst::subclass::prelude::*;

use super::CAT;
use super::element::ReductEpisodeSplit;

impl ReductEpisodeSplit {
    /// Starts a thread for a `task`, such as "uploads". A panic in it becomes an error of the element: EOS
    /// would otherwise wait for it forever.
    pub(super) fn start_worker(
        &self,
        name: &str,
        task: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>, gst::ErrorMessage> {
        let weak = self.downgrade();
        let started = thread::Builder::new().name(name.into()).spawn(move || {
            if panic::catch_unwind(AssertUnwindSafe(work)).is_err()
                && let Some(imp) = weak.upgrade()
            {
                imp.fail(gst::error_msg!(
                    gst::CoreError::Failed,
                    ("The thread for {task} panicked")
                ));
            }
        });
        started.map_err(|err| {
            gst::error_msg!(
                gst::ResourceError::NoSpaceLeft,
                ("Could not start the thread for {task}: {err}")
            )
        })
    }

    /// Waits for the end of a thread, unless it is the calling one: an application may stop the pipeline in a
    /// handler of a message that the thread posts.
    pub(super) fn join_worker(&self, thread: JoinHandle<()>) {
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            gst::warning!(CAT, imp = self, "A thread panicked");
        }
    }
}
