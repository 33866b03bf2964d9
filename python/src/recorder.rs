// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A stream of access units that is written to an entry.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use client::{Existing, Overflow, PushError, SpoolOptions, WriterOptions, WriterStats};
use media::frame_rate::FrameRate;
use pyo3::exceptions::{PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use recording::{Notice, RecordUnit, RecorderOptions};

use crate::entry::server;
use crate::lock::lock;
use crate::time::{capture_time, duration};
use crate::{errors, runtime};

/// A stream of access units that is written to an entry.
#[pyclass(module = "reduct_frames._core")]
pub struct Recorder {
    recorder: recording::Recorder,
    overflow: Overflow,
    /// Messages of the writer and about the stream that were not taken yet.
    messages: Arc<Mutex<Vec<String>>>,
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
        let runtime = runtime::handle(py)?;
        let _entered = runtime.enter();
        let recorder = recording::Recorder::builder(&server, bucket, entry)
            .options(options)
            .on_event(move |event| add(&handler, event.to_string()))
            .open()
            .map_err(|error| errors::address(&error))?;
        Ok(Self {
            recorder,
            overflow,
            messages,
        })
    }

    /// Takes an access unit as Annex B byte stream with its capture time in µs.
    fn log(&mut self, py: Python<'_>, sample: &[u8], time: i64) -> PyResult<()> {
        let time = capture_time(time)?;
        self.recorder.push_at(Bytes::copy_from_slice(sample), time);
        self.take_notices()?;
        self.hand_over(py)
    }

    /// Ends the stream, and waits until all records are written, or for `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn finish(&mut self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = timeout.map(|timeout| duration("timeout", timeout));
        let timeout = timeout.transpose()?;
        let recorder = &mut self.recorder;
        let finished = runtime::wait(py, &client::Canceller::default(), async {
            match timeout {
                None => Some(recorder.finish().await),
                Some(timeout) => tokio::time::timeout(timeout, recorder.finish()).await.ok(),
            }
        })?;
        self.take_notices()?;
        match finished {
            None => {
                let left = self.recorder.stats().queue_records.load(Relaxed);
                let text = format!("{left} records are not written yet");
                Err(PyTimeoutError::new_err(text))
            }
            Some(Err(error)) => Err(errors::recording(&error)),
            Some(Ok(notices)) => {
                notices.iter().for_each(|notice| self.add(notice));
                Ok(())
            }
        }
    }

    /// Takes the messages of the writer and about the stream.
    fn take_messages(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.messages))
    }

    /// Counters of the writer.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats: &WriterStats = self.recorder.stats();
        let dict = PyDict::new(py);
        for (name, counter) in [
            ("records", &stats.records),
            ("frames", &stats.frames),
            ("bytes", &stats.bytes),
            ("batches", &stats.batches),
            ("existing", &stats.existing),
            ("dropped_records", &stats.dropped_records),
            ("dropped_frames", &stats.dropped_frames),
            ("queue_records", &stats.queue_records),
            ("queue_bytes", &stats.queue_bytes),
        ] {
            dict.set_item(name, counter.load(Relaxed))?;
        }
        Ok(dict)
    }
}

impl Recorder {
    /// Queues complete records. Waits without the GIL if the queue is full and the policy is to block.
    fn hand_over(&mut self, py: Python<'_>) -> PyResult<()> {
        let first = match self.overflow {
            Overflow::Block => Overflow::Refuse,
            other => other,
        };
        let (recorder, overflow) = (&mut self.recorder, self.overflow);
        let handed = py.detach(|| recorder.hand_over(first, &client::Canceller::default()));
        let handed = match handed {
            Err(PushError::Full) if overflow == Overflow::Block => {
                runtime::wait_blocking(py, |canceller| recorder.hand_over(overflow, canceller))?
            }
            handed => handed,
        };
        if let Some(dropped) = recorder.take_dropped(false) {
            self.add(&Notice::Dropped(dropped));
        }
        handed.map_err(|error| errors::recording(&error))
    }

    /// Moves the notices about the stream to the messages.
    ///
    /// # Errors
    ///
    /// `StreamError` with a notice that ends recording.
    fn take_notices(&mut self) -> PyResult<()> {
        let mut failure = None;
        while let Some(notice) = self.recorder.pop_notice() {
            if notice.is_error() {
                failure = Some(errors::StreamError::new_err(notice.to_string()));
            }
            self.add(&notice);
        }
        failure.map_or(Ok(()), Err)
    }

    fn add(&self, notice: &Notice) {
        add(&self.messages, notice.to_string());
    }
}

fn add(messages: &Mutex<Vec<String>>, text: String) {
    lock(messages).push(text);
}

fn not_one_of(name: &str, value: &str, values: &str) -> PyErr {
    PyValueError::new_err(format!("{name} is '{value}', not {values}"))
}

fn check_labels(labels: &[(String, String)]) -> PyResult<()> {
    for (name, value) in labels {
        if !client::is_label_name(name) || !client::is_label_value(value) {
            let text = format!("'{name}={value}' is no label that ReductStore can store");
            return Err(PyValueError::new_err(text));
        }
    }
    Ok(())
}
