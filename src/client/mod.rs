// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! ReductStore over HTTP: the connection's settings, records in order, files as records, and errors as
//! GStreamer posts them.
//!
//! All I/O runs on one runtime of the plugin. A streaming thread waits for it with
//! [`Flushing::wait`], and any other thread can end that wait.

mod access;
mod ahead;
mod answer;
mod attempts;
mod batch;
mod batch_size;
mod certificates;
mod condition;
mod connection;
mod delivery;
mod distance;
mod entry;
mod error;
mod eviction;
mod first_contact;
mod flushing;
mod following;
mod keeping;
mod lane;
mod outbox;
mod pending;
mod plan;
mod progress;
mod queue;
mod reader;
mod request_size;
mod session;
mod spool;
mod spool_folder;
mod spool_format;
mod spool_report;
mod spool_scan;
mod turns;
mod upload;
mod window;
mod writer;
mod writing;

pub use access::{Access, Limits, Records};
pub use batch::H264;
pub use condition::depends_on_order;
pub use connection::{Connection, Token, without_secrets};
pub use delivery::{Destination, Existing, record_time, utc};
pub use entry::EntryTimes;
pub use flushing::{Flushed, Flushing};
pub use outbox::{Content, Dropped, Outgoing, is_label_name, is_label_value};
pub use queue::ReaderStats;
pub use reader::{Event, Query, ReadError, Record, RecordReader, View};
pub use spool::SpoolSync;
pub use upload::{Failure, Upload, UploadError, Uploaded, Uploader};
pub use writer::{Left, Overflow, PushError, RecordWriter, Tell, Told, WriterStats};

use std::future::Future;
use std::panic::AssertUnwindSafe;

use error::{Cause, Error};
use futures_util::FutureExt;
use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A task that is aborted when it is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a blocking closure on the blocking pool.
async fn without_blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(run).await;
    done.unwrap_or_else(|err| Err(Error::new(Cause::Settings, err.to_string())))
}

/// Runs a future that someone waits for, who would wait for ever if it panicked.
///
/// # Errors
///
/// [`Cause::Malformed`] after a panic: data from outside is the likeliest reason.
async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    let done = AssertUnwindSafe(future).catch_unwind().await;
    done.map_err(|_| Error::new(Cause::Malformed, "internal error: a panic, see the log"))
}

/// The runtime that all elements share.
fn runtime() -> Result<&'static Runtime, gst::ErrorMessage> {
    static RUNTIME: OnceCell<Runtime> = OnceCell::new();

    RUNTIME.get_or_try_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gst-reduct-runtime")
            .on_thread_start(block_broken_pipe)
            .enable_all()
            .build()
            .map_err(|err| {
                gst::error_msg!(
                    gst::ResourceError::NoSpaceLeft,
                    ("Could not start the network thread: {err}")
                )
            })
    })
}

/// Keeps SIGPIPE from the calling thread. A socket that is written to after the server closed it
/// raises that in the thread that writes, and it would end the process: `gst-launch-1.0` and most
/// applications in C do not ignore it.
fn block_broken_pipe() {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigSet, Signal};

        let signals = SigSet::from_iter([Signal::SIGPIPE]);
        // It only fails for arguments that are none.
        let _ = signals.thread_block();
    }
}
