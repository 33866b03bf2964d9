// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Helpers for the tests of several modules.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::write::record::{Content, NewRecord};

/// Returns a runtime with a thread of its own.
pub fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    });
    runtime.handle()
}

/// Returns a record of zeros.
pub fn record(time: u64, length: usize, keyframe: bool) -> NewRecord {
    NewRecord {
        time,
        content: Content::Memory(vec![Bytes::from(vec![0; length])]),
        frame_rate: None,
        keyframe,
        is_entry_point: keyframe,
        labels: Arc::default(),
        frames: 1,
        has_fixed_time: false,
        is_recovered: false,
        unsent_run: None,
    }
}
