// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The tokio runtime of the process, and waits for its futures that signals can interrupt.

use std::cell::RefCell;
use std::future::Future;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use client::{Cancelled, Canceller};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::errors::CancelledError;
use crate::lock::lock;

/// Interval in which a wait lets Python handle signals, such as that of Ctrl-C. The interpreter has no event for them.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);
/// Interval in which a wait is repeated. Longer than [`SIGNAL_INTERVAL`], as signals are handled within a wait.
const REPEAT_INTERVAL: Duration = Duration::from_millis(250);
/// Threads for connections. The calling threads do the rest.
const THREADS: usize = 2;

/// It is locked only by threads that hold the GIL, and for a moment. Python forks with the GIL, so that it is free in
/// the child.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

thread_local! {
    /// Switches of the blocks that this thread is in, which end its waits.
    static CANCELLERS: RefCell<Vec<Arc<Canceller>>> = const { RefCell::new(Vec::new()) };
}

/// Lets a switch end the waits of this thread until [`leave`].
pub fn enter(canceller: Arc<Canceller>) {
    CANCELLERS.with_borrow_mut(|cancellers| cancellers.push(canceller));
}

/// Ends the effect of the last [`enter`].
pub fn leave() {
    CANCELLERS.with_borrow_mut(Vec::pop);
}

/// Runs signal handlers.
///
/// # Errors
///
/// The exception of a handler, or `CancelledError` if a switch of this thread was used.
#[pyfunction]
pub fn check_cancelled(py: Python<'_>) -> PyResult<()> {
    py.check_signals()?;
    let is_cancelled =
        |cancellers: &Vec<Arc<Canceller>>| cancellers.iter().any(|it| it.is_cancelled());
    match CANCELLERS.with_borrow(is_cancelled) {
        true => Err(cancelled()),
        false => Ok(()),
    }
}

fn cancelled() -> PyErr {
    CancelledError::new_err("the wait was cancelled")
}

/// Has forked children start without the runtime of their parent.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let os = py.import("os")?;
    if !os.hasattr("register_at_fork")? {
        return Ok(()); // a system without fork
    }
    let after = wrap_pyfunction!(forget_runtime, module)?;
    let arguments = PyDict::new(py);
    arguments.set_item("after_in_child", after)?;
    os.call_method("register_at_fork", (), Some(&arguments))?;
    Ok(())
}

/// Drops the runtime of the parent in a forked child, which has none of its threads.
#[pyfunction]
fn forget_runtime() {
    let mut runtime = lock(&RUNTIME);
    // Its destructor would wait for the threads.
    mem::forget(runtime.take());
}

/// Returns the runtime, which the first call starts. `_py` shows that the caller holds the GIL.
pub fn handle(_py: Python<'_>) -> PyResult<Handle> {
    let mut runtime = lock(&RUNTIME);
    if let Some(runtime) = &*runtime {
        return Ok(runtime.handle().clone());
    }
    let started = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("reduct-frames")
        .enable_all()
        .build()?;
    Ok(runtime.insert(started).handle().clone())
}

/// Waits for a future without the GIL.
///
/// # Errors
///
/// The exception of a signal handler, `KeyboardInterrupt` after Ctrl-C, or `CancelledError`. The future is dropped then.
pub fn wait<F>(py: Python<'_>, canceller: &Canceller, future: F) -> PyResult<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    let handle = handle(py)?;
    let mut future = pin!(future);
    loop {
        let step = async { tokio::time::timeout(SIGNAL_INTERVAL, future.as_mut()).await };
        match py.detach(|| canceller.wait(&handle, step)) {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(_)) => check_cancelled(py)?,
            Err(Cancelled) => return Err(cancelled()),
        }
    }
}

/// Returns how long a [`wait`] should take that is repeated until a deadline, as its wake-up may go to another thread.
pub fn step(deadline: Option<Instant>) -> Duration {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    left.map_or(REPEAT_INTERVAL, |left| left.min(REPEAT_INTERVAL))
}
