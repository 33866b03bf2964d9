// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The preroll lock of GstBaseSink: two functions for subclasses that its bindings do not have.

use glib::translate::{ToGlibPtr, try_from_glib};
use gst::glib;
use gst_base::ffi;

/// Waits, with the preroll lock unlocked, until the sink plays. If a change to PAUSED is under way, the event
/// completes it as a first buffer would. Returns an error if the sink is flushing.
///
/// For functions that GstBaseSink calls with the preroll lock held, on the streaming thread.
pub fn with_event(sink: &gst_base::BaseSink, event: &gst::Event) -> Result<(), gst::FlowError> {
    let sink: *mut ffi::GstBaseSink = sink.to_glib_none().0;
    let event: *mut gst::ffi::GstEvent = event.to_glib_none().0;
    // SAFETY: both outlive the call, which keeps no reference. A GstEvent begins with its GstMiniObject.
    let flow = unsafe { try_from_glib(ffi::gst_base_sink_do_preroll(sink, event.cast())) };
    flow.map(|_: gst::FlowSuccess| ())
}

/// Drops a value with the preroll lock held, and wakes the streaming thread if it is in `wait_preroll`. The caller
/// must not hold the lock.
pub fn drop_and_wake<T>(sink: &gst_base::BaseSink, value: T) {
    let sink: *mut ffi::GstBaseSink = sink.to_glib_none().0;
    // SAFETY: `sink` outlives the calls, and the base class has initialised both. Pointers to them are made without
    // a reference, as other threads use them at the same time.
    unsafe {
        let lock = &raw mut (*sink).preroll_lock;
        glib::ffi::g_mutex_lock(lock);
        drop(value);
        glib::ffi::g_cond_broadcast(&raw mut (*sink).preroll_cond);
        glib::ffi::g_mutex_unlock(lock);
    }
}
