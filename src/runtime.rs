// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The tokio runtime of the plugin, with one network thread.

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::logging::forward_events;

/// Returns the runtime that all elements share.
pub fn runtime() -> Result<&'static Handle, gst::ErrorMessage> {
    static RUNTIME: OnceCell<Runtime> = OnceCell::new();

    let runtime = RUNTIME.get_or_try_init(|| {
        // Not before: an application may set a subscriber after it has loaded the plugin.
        forward_events();
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
    });
    runtime.map(Runtime::handle)
}

/// Keeps SIGPIPE from the calling thread. A socket that is written to after the server closed it
/// raises that in the thread that writes, and it would end the process: `gst-launch-1.0` and most
/// applications in C do not ignore it.
pub fn block_broken_pipe() {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigSet, Signal};

        let signals = SigSet::from_iter([Signal::SIGPIPE]);
        // It fails for invalid arguments only.
        let _ = signals.thread_block();
    }
}
