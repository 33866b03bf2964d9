// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A stream of access units that is written to an entry.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use client::{Existing, Overflow, PushError, SpoolOptions, WriterOptions, WriterStats};
use media::content::{FPS_LABEL, KEYFRAME_LABEL};
use media::frame_rate::FrameRate;
use media::record_times::MovedFrames;
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use recording::{Notice, RecordUnit, RecorderOptions};

use crate::entry::server;
use crate::lock::lock;
use crate::time::{capture_time, duration};
use crate::{errors, runtime};

/// A stream of access units that is written to an entry. Several threads may use it at once.
#[pyclass(frozen, module = "reduct_frames._core")]
pub struct Recorder {
    /// It is locked only by threads without the GIL, and not while they wait.
    recorder: Mutex<recording::Recorder>,
    /// The stream has ended. It changes only under the lock of the recorder.
    is_finished: AtomicBool,
    /// Access units that were taken.
    logged: AtomicU64,
    stats: Arc<WriterStats>,
    faults: Faults,
    overflow: Overflow,
    /// Messages of the writer and about the stream that were not taken yet.
    messages: Arc<Mutex<Vec<String>>>,
}

/// Counters of faults of the capture times.
#[derive(Default)]
struct Faults {
    clock_jumps: AtomicU64,
    outliers: AtomicU64,
    /// Frames whose record time is not their capture time.
    moved: AtomicU64,
}

#[pymethods]
impl Recorder {
    #[new]
    #[pyo3(signature = (
        url, bucket, entry, *, token=None, ca_cert=None, verify_ssl=true, timeout=30.0, record_unit="access-unit",
        labels=Vec::new(), fps=None, quota_size=None, max_latency=0.2, queue_bytes=None, retries=None,
        overflow="block", skip_existing=false, create_bucket=true, spool=None,
    ))]
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
        record_unit: &str,
        labels: Vec<(String, String)>,
        fps: Option<&str>,
        quota_size: Option<u64>,
        max_latency: f64,
        queue_bytes: Option<u64>,
        retries: Option<u32>,
        overflow: &str,
        skip_existing: bool,
        create_bucket: bool,
        spool: Option<PathBuf>,
    ) -> PyResult<Self> {
        let server = server(url, token, ca_cert, verify_ssl, timeout)?;
        let record_unit = match record_unit {
            "access-unit" => RecordUnit::AccessUnit,
            "gop" => RecordUnit::Gop,
            other => return Err(not_one_of("record_unit", other, "access-unit or gop")),
        };
        let overflow = match overflow {
            "block" => Overflow::Block,
            "drop-groups" => Overflow::DropGroups,
            "raise" => Overflow::Refuse,
            other => return Err(not_one_of("overflow", other, "block, drop-groups or raise")),
        };
        check_labels(&labels)?;
        let frame_rate = fps.map(|fps| {
            FrameRate::parse(fps).ok_or_else(|| {
                PyValueError::new_err(format!("fps is '{fps}', which is no frame rate"))
            })
        });
        let defaults = WriterOptions::default();
        let options = RecorderOptions {
            record_unit,
            labels: labels.into(),
            frame_rate: frame_rate.transpose()?,
            writer: WriterOptions {
                create_bucket,
                quota_size,
                max_latency: duration("max_latency", max_latency)?,
                queue_bytes: queue_bytes.unwrap_or(defaults.queue_bytes),
                retries: retries.unwrap_or(defaults.retries),
                existing: match skip_existing {
                    true => Existing::Skip,
                    false => Existing::Refuse,
                },
                spool: spool.map(SpoolOptions::new),
            },
            ..RecorderOptions::default()
        };
        let messages = Arc::<Mutex<Vec<String>>>::default();
        let handler = messages.clone();
        // It reads certificates.
        let checked = py.detach(|| server.check());
        checked.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let runtime = runtime::handle(py)?;
        let _entered = runtime.enter();
        let recorder = recording::Recorder::builder(&server, bucket, entry)
            .options(options)
            .on_event(move |event| add(&handler, event.to_string()))
            .open()
            .map_err(|error| errors::address(&error))?;
        Ok(Self {
            stats: recorder.stats().clone(),
            recorder: Mutex::new(recorder),
            is_finished: AtomicBool::new(false),
            logged: AtomicU64::new(0),
            faults: Faults::default(),
            overflow,
            messages,
        })
    }

    /// Takes an access unit as Annex B byte stream with its capture time in µs. After `finish` it is a `RuntimeError`.
    fn log(&self, py: Python<'_>, sample: &[u8], time: i64) -> PyResult<()> {
        let time = capture_time(time)?;
        let sample = Bytes::copy_from_slice(sample);
        let mut handed = self.with_recorder(py, |recorder| {
            if self.is_finished.load(Relaxed) {
                return Err(Failure::Finished);
            }
            recorder.push_at(sample, time);
            self.logged.fetch_add(1, Relaxed);
            self.take_notices(recorder)?;
            self.hand_over(recorder).map_err(Failure::Push)
        });
        while self.overflow == Overflow::Block
            && matches!(handed, Err(Failure::Push(PushError::Full)))
        {
            self.wait_for_room(py)?;
            handed = self.with_recorder(py, |recorder| {
                self.hand_over(recorder).map_err(Failure::Push)
            });
        }
        handed.map_err(PyErr::from)
    }

    /// Ends the stream, and waits until all records are written, or for `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn finish(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = timeout.map(|timeout| duration("timeout", timeout));
        let deadline = timeout
            .transpose()?
            .map(|timeout| Instant::now().checked_add(timeout));
        let deadline = deadline.flatten();
        self.with_recorder(py, |recorder| {
            self.is_finished.store(true, Relaxed);
            recorder.end_at_once();
            self.take_notices(recorder)
        })?;
        loop {
            let drained = self.with_recorder(py, |recorder| recorder.drained());
            // Another thread that waits may have got the last wake-up.
            let step = runtime::step(deadline);
            let drained = async { tokio::time::timeout(step, drained).await };
            match runtime::wait(py, &client::Canceller::default(), drained)? {
                Ok(drained) => {
                    drained.map_err(|error| errors::recording(&error))?;
                    break;
                }
                Err(_) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    let left = self.stats.queue_records.load(Relaxed);
                    let text = format!("{left} records are not written yet");
                    return Err(PyTimeoutError::new_err(text));
                }
                Err(_) => {}
            }
        }
        let notices = self.with_recorder(py, recording::Recorder::last_notices);
        notices.iter().for_each(|notice| self.note(notice));
        Ok(())
    }

    /// Takes the messages of the writer and about the stream.
    fn take_messages(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.messages))
    }

    /// Counters of the writer, of the access units that were taken, and of faults of the capture times.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (stats, faults) = (&self.stats, &self.faults);
        let dict = PyDict::new(py);
        for (name, counter) in [
            ("logged", &self.logged),
            ("records", &stats.records),
            ("frames", &stats.frames),
            ("bytes", &stats.bytes),
            ("batches", &stats.batches),
            ("existing", &stats.existing),
            ("dropped_records", &stats.dropped_records),
            ("dropped_frames", &stats.dropped_frames),
            ("queue_records", &stats.queue_records),
            ("queue_bytes", &stats.queue_bytes),
            ("clock_jumps", &faults.clock_jumps),
            ("outliers", &faults.outliers),
            ("moved", &faults.moved),
        ] {
            dict.set_item(name, counter.load(Relaxed))?;
        }
        Ok(dict)
    }
}

/// Reason why an access unit is not taken.
enum Failure {
    /// The stream has ended.
    Finished,
    /// A notice that ends recording.
    Stream(String),
    Push(PushError),
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Finished => PyRuntimeError::new_err(
                "The recorder is finished: another stream needs another recorder",
            ),
            Failure::Stream(text) => errors::StreamError::new_err(text),
            Failure::Push(error) => errors::recording(&error),
        }
    }
}

impl Recorder {
    /// Applies a function that does not wait to the recorder, without the GIL.
    fn with_recorder<T: Send>(
        &self,
        py: Python<'_>,
        apply: impl FnOnce(&mut recording::Recorder) -> T + Send,
    ) -> T {
        py.detach(|| apply(&mut lock(&self.recorder)))
    }

    /// Queues complete records, as far as there is room.
    fn hand_over(&self, recorder: &mut recording::Recorder) -> Result<(), PushError> {
        let overflow = match self.overflow {
            Overflow::Block => Overflow::Refuse,
            other => other,
        };
        let handed = recorder.hand_over(overflow, &client::Canceller::default());
        if let Some(dropped) = recorder.take_dropped(false) {
            self.note(&Notice::Dropped(dropped));
        }
        handed
    }

    /// Waits until there may be room in the queue.
    fn wait_for_room(&self, py: Python<'_>) -> PyResult<()> {
        let progressed = self.with_recorder(py, |recorder| recorder.progressed());
        let progressed = async { tokio::time::timeout(runtime::step(None), progressed).await };
        // Another thread that waits may have got the wake-up, so that a time-out ends the wait, too.
        runtime::wait(py, &client::Canceller::default(), progressed).map(drop)
    }

    /// Moves the notices about the stream to the messages.
    ///
    /// # Errors
    ///
    /// The last notice that ends recording.
    fn take_notices(&self, recorder: &mut recording::Recorder) -> Result<(), Failure> {
        let mut failure = None;
        while let Some(notice) = recorder.pop_notice() {
            if notice.is_error() {
                failure = Some(Failure::Stream(notice.to_string()));
            }
            self.note(&notice);
        }
        if let Some(moved) = recorder.moved()
            && self.faults.moved.swap(moved.frames, Relaxed) == 0
        {
            add(&self.messages, about_moved(&moved));
        }
        failure.map_or(Ok(()), Err)
    }

    fn note(&self, notice: &Notice) {
        self.faults
            .clock_jumps
            .fetch_add(notice.clock_jumps(), Relaxed);
        self.faults.outliers.fetch_add(notice.outliers(), Relaxed);
        add(&self.messages, notice.to_string());
    }
}

/// Returns the message about the first frame whose record time is not its capture time.
fn about_moved(moved: &MovedFrames) -> String {
    let MovedFrames {
        captured, recorded, ..
    } = moved;
    let why = match captured < recorded {
        true => "record times have to grow",
        false => "it does not fit those of the frames beside it",
    };
    format!(
        "The frame with the capture time {captured} is recorded at {recorded}, as {why}. The count \"moved\" in stats \
         has all such frames"
    )
}

fn add(messages: &Mutex<Vec<String>>, text: String) {
    lock(messages).push(text);
}

fn not_one_of(name: &str, value: &str, values: &str) -> PyErr {
    PyValueError::new_err(format!("{name} is '{value}', not {values}"))
}

fn check_labels(labels: &[(String, String)]) -> PyResult<()> {
    for (name, value) in labels {
        if [FPS_LABEL, KEYFRAME_LABEL].contains(&name.as_str()) {
            let text = format!("The label '{name}' is set by the recorder");
            return Err(PyValueError::new_err(text));
        }
        if !client::is_label_name(name) || !client::is_label_value(value) {
            let text = format!("'{name}={value}' is no label that ReductStore can store");
            return Err(PyValueError::new_err(text));
        }
    }
    Ok(())
}
