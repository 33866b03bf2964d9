// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Columns of an index of frames, which Python reads as arrays without a copy.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use recording::{Frame, RecordHeader};

use crate::time::{nseconds, useconds};

/// Value of a missing label, and of an unknown duration.
const NONE: i8 = -1;

/// Rows of an index, one for each record or frame.
#[derive(Debug, Default)]
pub struct Columns {
    capture: Vec<i64>,
    keyframe: Vec<i8>,
    pts: Vec<i64>,
    dts: Vec<i64>,
    duration: Vec<i64>,
    size: Vec<i64>,
    corrupted: Vec<i8>,
    /// Times of the records in which the frames begin.
    record: Vec<i64>,
    /// Times of the records in which frames begin that are in no row.
    hidden_record: Vec<i64>,
}

impl Columns {
    /// Adds a record by its header.
    pub fn push_header(&mut self, header: &RecordHeader) {
        self.capture.push(useconds(header.time));
        self.keyframe.push(header.keyframe.map_or(NONE, i8::from));
    }

    /// Adds a frame, in a row unless only a decoder needs it.
    pub fn push_frame(&mut self, frame: &Frame) {
        let record = useconds(frame.record_time);
        if frame.is_hidden {
            return self.hidden_record.push(record);
        }
        self.record.push(record);
        self.capture.push(useconds(frame.capture_time));
        self.keyframe.push(i8::from(frame.is_keyframe));
        self.pts.push(nseconds(frame.pts));
        self.dts.push(nseconds(frame.dts));
        let duration = frame.duration.map_or(NONE.into(), nseconds);
        self.duration.push(duration);
        self.size
            .push(i64::try_from(frame.length()).unwrap_or(i64::MAX));
        self.corrupted.push(i8::from(frame.is_corrupted));
    }

    /// Returns the columns by their names, as native integers of 8 bytes, or of one for facts that are true, false or
    /// not known. A column that no row has is empty.
    pub fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, column) in [
            ("capture_us", &self.capture),
            ("pts", &self.pts),
            ("dts", &self.dts),
            ("duration", &self.duration),
            ("size", &self.size),
            ("record_us", &self.record),
            ("hidden_record_us", &self.hidden_record),
        ] {
            dict.set_item(name, integers(py, column)?)?;
        }
        for (name, column) in [("keyframe", &self.keyframe), ("corrupted", &self.corrupted)] {
            let bytes: Vec<u8> = column.iter().map(|value| value.cast_unsigned()).collect();
            dict.set_item(name, PyBytes::new(py, &bytes))?;
        }
        Ok(dict)
    }
}

/// Returns a column as native integers of 8 bytes.
pub fn integers<'py>(py: Python<'py>, column: &[i64]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, size_of_val(column), |bytes| {
        for (bytes, value) in bytes.chunks_exact_mut(size_of::<i64>()).zip(column) {
            bytes.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(())
    })
}
