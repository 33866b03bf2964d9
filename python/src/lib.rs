// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Native part of the Python package `reduct_frames`: entries of ReductStore as access units with times, and the video
//! tracks of MP4 files.
//!
//! Pictures are decoded in Python. The stub `reduct_frames/_core.pyi` documents the types and functions.

mod columns;
mod entry;
mod errors;
mod foreign_records;
mod lock;
mod mp4_bytes;
mod mp4_track;
mod recorder;
mod runtime;
mod time;
mod units;

use pyo3::prelude::*;

/// The module `reduct_frames._core`.
#[pymodule]
mod _core {
    use super::*;

    #[pymodule_export]
    use super::entry::Entry;
    #[pymodule_export]
    use super::errors::{
        AccessError, CancelledError, NotFoundError, ReductFramesError, ServerError, StreamError,
    };
    #[pymodule_export]
    use super::mp4_track::Mp4Track;
    #[pymodule_export]
    use super::recorder::Recorder;
    #[pymodule_export]
    use super::runtime::check_cancelled;
    #[pymodule_export]
    use super::time::{parse_time, parse_uri};
    #[pymodule_export]
    use super::units::{Canceller, Units};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::runtime::register(module)
    }
}
