// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! An entry of a server: its bounds, the headers of its records, and readers of its access units.

use std::env;
use std::path::PathBuf;

use client::{Canceller, Server, ServerOptions, SettingNames, Token};
use media::content::ContentKind;
use media::frame_rate::FrameRate;
use media::mp4::Timescale;
use media::range::Begin;
use media::time::CaptureTime;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use recording::{ReadOptions, Recording, SCHEMA, StreamOptions};

use crate::columns::Columns;
use crate::time::{capture_time, duration};
use crate::units::{self, Units};
use crate::{errors, runtime};

/// Names of the settings in texts.
const NAMES: SettingNames = SettingNames {
    url: "url",
    server: "url",
    token: "token or the environment variable REDUCT_API_TOKEN",
    ca_cert: "ca_cert",
    timeout: "timeout",
    max_record_bytes: "max_record_bytes",
    spool: "spool",
    small_records: "record_unit=\"access-unit\"",
    skip_existing: "skip_existing=True",
    ..SettingNames::DEFAULT
};

/// An entry of a server.
#[pyclass(frozen, module = "reduct_frames._core")]
#[derive(Debug)]
pub struct Entry {
    recording: Recording,
}

#[pymethods]
impl Entry {
    /// Opens an entry, without reading media.
    #[new]
    #[pyo3(signature = (url, bucket, entry, *, token=None, ca_cert=None, verify_ssl=true, timeout=30.0))]
    #[expect(clippy::too_many_arguments, reason = "the signature in Python")]
    fn open(
        py: Python<'_>,
        url: String,
        bucket: &str,
        entry: &str,
        token: Option<String>,
        ca_cert: Option<PathBuf>,
        verify_ssl: bool,
        timeout: Option<f64>,
    ) -> PyResult<Self> {
        let server = server(url, token, ca_cert, verify_ssl, timeout)?;
        // Connections and their time-outs belong to the runtime.
        let opening = Recording::open(&server, bucket, entry);
        let opened = runtime::wait(py, &Canceller::default(), opening)?;
        let recording = opened.map_err(|error| errors::reading(&error))?;
        Ok(Self { recording })
    }

    /// Content of the first record: `h264`, `mp4`, or `None` if it is no video.
    #[getter]
    fn content(&self) -> Option<&'static str> {
        self.recording.content().map(|content| match content {
            ContentKind::H264 => "h264",
            ContentKind::Episode => "mp4",
        })
    }

    /// Reads the headers of the records of a range: the columns `capture_us` and `keyframe` (by their labels: 1, 0, or
    /// -1 without one), and the first label `fps` as frames per second and as the time scale of a file of that rate.
    /// Reads no media.
    #[pyo3(signature = (start=None, stop=None))]
    fn headers<'py>(
        &self,
        py: Python<'py>,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> PyResult<(Bound<'py, PyDict>, Option<f64>, u32)> {
        let range = bounds(start, stop)?;
        let mut columns = Columns::default();
        let mut frame_rate = None;
        let add = |header: &recording::RecordHeader| {
            columns.push_header(header);
            frame_rate = frame_rate.or(header.frame_rate);
        };
        let reading = self.recording.headers(range, add);
        let read = runtime::wait(py, &Canceller::default(), reading)?;
        read.map_err(|error| errors::reading(&error))?;
        let scale = frame_rate.map_or_else(Timescale::default, Timescale::for_rate);
        let frame_rate = frame_rate.map(FrameRate::per_second);
        Ok((columns.to_dict(py)?, frame_rate, scale.units()))
    }

    /// Reads a range, and returns the columns of its frames in decoding order, the gaps and the messages.
    #[pyo3(signature = (start=None, stop=None))]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, Units>)> {
        let mut units = self.units(py, start, stop, None)?;
        let mut columns = Columns::default();
        while let Some(frame) = units.next_frame(py)? {
            if !frame.is_hidden {
                columns.push_frame(&frame);
            }
        }
        Ok((columns.to_dict(py)?, Bound::new(py, units)?))
    }

    /// Returns a reader of the frames from `start` on and before `stop`, with those before them that a decoder needs as
    /// hidden frames. It has begun to read.
    #[pyo3(signature = (start=None, stop=None, canceller=None))]
    fn units(
        &self,
        py: Python<'_>,
        start: Option<i64>,
        stop: Option<i64>,
        canceller: Option<&units::Canceller>,
    ) -> PyResult<Units> {
        let stream = StreamOptions {
            marks_faults: true,
            ..StreamOptions::default()
        };
        let options = ReadOptions {
            stream,
            ..ReadOptions::default()
        };
        let request = self.recording.read(bounds(start, stop)?).options(options);
        let frames = request.start(Begin::Exact).frames();
        let mut units = Units::new(frames, canceller.cloned());
        units.start(py)?;
        Ok(units)
    }
}

/// Returns the server of these settings, with the token of the environment if there is no other.
pub fn server(
    url: String,
    token: Option<String>,
    ca_cert: Option<PathBuf>,
    verify_ssl: bool,
    timeout: Option<f64>,
) -> PyResult<Server> {
    let timeout = timeout.map(|timeout| duration("timeout", timeout));
    let token = token.or_else(|| env::var("REDUCT_API_TOKEN").ok());
    Server::new(ServerOptions {
        url,
        token: Token::new(token),
        ca_cert,
        verify_ssl,
        timeout: timeout.transpose()?,
        names: NAMES,
        ..ServerOptions::new(SCHEMA)
    })
    .map_err(|error| errors::server(&error))
}

type Bounds = (std::ops::Bound<CaptureTime>, std::ops::Bound<CaptureTime>);

/// Returns the range of times in µs, of which `stop` is left out.
fn bounds(start: Option<i64>, stop: Option<i64>) -> PyResult<Bounds> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = start.map(capture_time).transpose()?;
    let stop = stop.map(capture_time).transpose()?;
    Ok((
        start.map_or(Unbounded, Included),
        stop.map_or(Unbounded, Excluded),
    ))
}
