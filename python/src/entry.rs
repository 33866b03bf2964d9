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
use media::time::{CaptureTime, Nanos};
use media::timeline::{OnLoss, TimelineNames};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use recording::{
    End, Error, OptionNames, ReadOptions, RecordHeader, Recording, SCHEMA, StreamOptions,
};

use crate::columns::Columns;
use crate::foreign_records::ForeignRecords;
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
    max_record_bytes: "this package",
    spool: "spool",
    small_records: "record_unit=\"access-unit\"",
    skip_existing: "skip_existing=True",
    ..SettingNames::DEFAULT
};

/// Names of the options of a reader in warnings. There are none for most: they cannot be set.
const OPTION_NAMES: OptionNames = OptionNames {
    lookback: "an earlier start reads more of it",
    timeline: TimelineNames {
        frame_rate: None,
        gap_tolerance: None,
        corrupted: "with is_corrupted",
        ..TimelineNames::DEFAULT
    },
    condition: None,
    skip_faults: None,
    keyframe_before: None,
    intra_pictures: None,
};

/// First window of the search for a record that is video.
const FIRST_WINDOW: Nanos = Nanos::SECOND;

/// An entry of a server.
#[pyclass(frozen, module = "reduct_frames._core")]
#[derive(Debug)]
pub struct Entry {
    recording: Recording,
    /// Content of the first record that is video.
    content: Option<ContentKind>,
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
        let opening = async {
            let recording = Recording::open(&server, bucket, entry).await?;
            let content = first_content(&recording).await?;
            Ok(Self { recording, content })
        };
        let opened = runtime::wait(py, &Canceller::default(), opening)?;
        opened.map_err(|error| errors::reading(&error))
    }

    /// Content of the first record that is video: `h264`, `mp4`, or `None` if there is none.
    #[getter]
    fn content(&self) -> Option<&'static str> {
        self.content.map(|content| match content {
            ContentKind::H264 => "h264",
            ContentKind::Episode => "mp4",
        })
    }

    /// Reads the headers of the records of H.264 in a range: the columns `capture_us` and `keyframe` (by their labels:
    /// 1, 0, or -1 without one), the first label `fps` as frames per second and as the time scale of a file of that
    /// rate, and a warning for each other type of records. Reads no media.
    #[pyo3(signature = (start=None, stop=None))]
    fn headers<'py>(
        &self,
        py: Python<'py>,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> PyResult<Headers<'py>> {
        let range = bounds(start, stop)?;
        let mut columns = Columns::default();
        let mut frame_rate = None;
        let mut foreign = ForeignRecords::new(ContentKind::H264);
        let add = |header: &RecordHeader| {
            if !foreign.note(header.content) {
                columns.push_header(header);
                frame_rate = frame_rate.or(header.frame_rate);
            }
        };
        let reading = self.recording.headers(range, add);
        let read = runtime::wait(py, &Canceller::default(), reading)?;
        read.map_err(|error| errors::reading(&error))?;
        let scale = frame_rate.map_or_else(Timescale::default, Timescale::for_rate);
        let frame_rate = frame_rate.map(FrameRate::per_second);
        let columns = columns.to_dict(py)?;
        Ok((columns, frame_rate, scale.units(), foreign.warnings()))
    }

    /// Reads a range, and returns the columns of its frames in decoding order, `hidden_record_us` with the times of the
    /// records in which frames begin that only a decoder needs, and the reader with gaps and warnings.
    #[pyo3(signature = (start=None, stop=None))]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, Units>)> {
        let mut units = self.units(py, start, stop, None, false, None)?;
        let mut columns = Columns::default();
        let mut foreign = ForeignRecords::new(ContentKind::H264);
        loop {
            while let Some(frame) = units.next_frame(py)? {
                columns.push_frame(&frame);
            }
            // The range begins with episodes, but the entry does not.
            let episodes = units.take_episodes();
            if episodes == 0 {
                break;
            }
            (0..episodes).for_each(|_| _ = foreign.note(Some(ContentKind::Episode)));
        }
        units.warn(foreign.warnings());
        Ok((columns.to_dict(py)?, Bound::new(py, units)?))
    }

    /// Returns a reader of the frames from `start` on and before `stop`, with those before them that a decoder needs as
    /// hidden frames. It has begun to read.
    ///
    /// With `whole_records` they are the frames in the records of these times, from the first keyframe on. No other
    /// record is read. `keyframe` is the time of the record with the last keyframe at or before `start`, if an index has
    /// it.
    #[pyo3(signature = (start=None, stop=None, canceller=None, *, whole_records=false, keyframe=None))]
    fn units(
        &self,
        py: Python<'_>,
        start: Option<i64>,
        stop: Option<i64>,
        canceller: Option<&units::Canceller>,
        whole_records: bool,
        keyframe: Option<i64>,
    ) -> PyResult<Units> {
        let stream = StreamOptions {
            marks_faults: true,
            // The index has every frame; those that a gap makes undecodable are missing, with the reason.
            on_loss: OnLoss::Keep,
            names: OPTION_NAMES,
            ..StreamOptions::default()
        };
        let options = ReadOptions {
            stream,
            ..ReadOptions::default()
        };
        let request = self.recording.read(bounds(start, stop)?).options(options);
        let request = match whole_records {
            true => request.start(Begin::KeyframeAfter).stop(End::Records),
            false => request.start(Begin::Exact),
        };
        let request = match keyframe.map(capture_time).transpose()? {
            Some(record) => request.keyframe_hint(record),
            None => request,
        };
        let mut units = Units::new(request.frames(), canceller.cloned());
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

/// Columns, frames per second, time scale and warnings.
type Headers<'py> = (Bound<'py, PyDict>, Option<f64>, u32, Vec<String>);

/// Returns the content of the first record that is video. The headers before it are read, in windows that double.
async fn first_content(recording: &Recording) -> Result<Option<ContentKind>, Error> {
    let mut content = recording.content();
    let Some((mut start, newest)) = recording.bounds() else {
        return Ok(content);
    };
    let mut length = FIRST_WINDOW;
    while content.is_none() && start <= newest {
        let stop = start + length;
        if stop <= start {
            break; // the end of all times
        }
        let add = |header: &RecordHeader| content = content.or(header.content);
        recording.headers(start..stop, add).await?;
        start = stop;
        length += length;
    }
    Ok(content)
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
