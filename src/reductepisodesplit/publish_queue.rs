// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queue of files that splitmuxsink has closed and that do not have their names yet.

use std::sync::Arc;
use std::thread::JoinHandle;

use media::cut::Finished;
use media::cut::names::LocationError;
use media::time::CaptureTime;

use super::backlog::Backlog;
use super::part::PartFile;

/// Maximum number of queued files, besides those that the thread works on, before the stream waits. Those that
/// wait together are synced together, which costs little more than one.
pub const ROOM: usize = 32;

/// A file that splitmuxsink has closed.
#[derive(Debug)]
pub struct Closed {
    pub part: PartFile,
    pub finished: Finished,
    /// Capture times of its samples, if it gets an index.
    pub captures: Option<Vec<Option<CaptureTime>>>,
    /// The message of splitmuxsink about it.
    pub message: gst::Message,
}

/// Next step of the thread.
#[derive(Debug)]
pub enum Job {
    Publish(Box<Closed>),
    /// Reports why the episode after the files before has no name.
    Fail(LocationError),
    /// Forwards EOS of splitmuxsink.
    End(gst::Message),
}

/// The queue of a run and its thread, which ends on drop.
#[derive(Debug)]
pub struct Publishing {
    pub backlog: Arc<Backlog<Job>>,
    pub thread: Option<JoinHandle<()>>,
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.backlog.finish();
    }
}
