// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Access units of a range, one after the other.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use media::content::{H264_TYPE, MP4_TYPE};
use media::frame_rate::FrameRate;
use media::mp4::Timescale;
use media::timeline::Hole;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use recording::{Episode, Error, Format, Frame, Frames, Item};

use crate::time::{nseconds, useconds};
use crate::{errors, runtime};

/// Items that one wait takes at most, so that the GIL is not released for each.
const MAX_ITEMS: usize = 256;
/// Bytes of frames after which a wait takes no more.
const MAX_BYTES: usize = 4 << 20;

/// An access unit: its bytes, capture time in µs, PTS, DTS and duration in ns, and the facts `is_keyframe`, `is_hidden`
/// and `is_corrupted`.
type Unit<'py> = (
    Bound<'py, PyBytes>,
    i64,
    i64,
    i64,
    Option<i64>,
    bool,
    bool,
    bool,
);

/// A switch that ends the waits of readers from another thread.
#[pyclass(frozen, module = "reduct_frames._core")]
#[derive(Debug, Default, Clone)]
pub struct Canceller(Arc<client::Canceller>);

#[pymethods]
impl Canceller {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Ends the waits of its readers, now and later, with `CancelledError`.
    fn cancel(&self) {
        self.0.cancel();
    }

    /// Begins a block, all waits of whose thread end with `cancel`.
    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        runtime::enter(this.0.clone());
        this
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyTuple>) {
        runtime::leave();
    }

    /// True after `cancel`.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Reader of a range, in decoding order.
#[pyclass(module = "reduct_frames._core")]
#[derive(Debug)]
pub struct Units {
    frames: Frames,
    canceller: Canceller,
    queue: VecDeque<Frame>,
    /// Error behind the queue.
    failure: Option<Error>,
    at_end: bool,
    /// Warnings that were not taken yet.
    warnings: Vec<String>,
    /// Capture times around missing frames, in µs.
    gaps: Vec<(i64, i64)>,
    frame_rate: Option<FrameRate>,
    /// Episodes of an entry of MP4 files.
    episodes: VecDeque<Box<Episode>>,
    /// Frames of a range that begins with H.264, while episodes were asked for.
    frames_left_out: u64,
    /// The process whose threads read.
    process: u32,
}

impl Units {
    /// Returns a reader of frames.
    pub fn new(frames: Frames, canceller: Option<Canceller>) -> Self {
        Self {
            frames,
            canceller: canceller.unwrap_or_default(),
            queue: VecDeque::new(),
            failure: None,
            at_end: false,
            warnings: Vec::new(),
            gaps: Vec::new(),
            frame_rate: None,
            episodes: VecDeque::new(),
            frames_left_out: 0,
            process: process::id(),
        }
    }

    /// Begins to read, so that the first item may be there when it is asked for. Does not wait.
    pub fn start(&mut self, py: Python<'_>) -> PyResult<()> {
        let handle = runtime::handle(py)?;
        let _context = handle.enter();
        // Nothing is requested before the items that need no request are taken.
        let first = ready(self.frames.next());
        self.take_ready(first);
        Ok(())
    }

    /// Returns the next frame without its Python form, or `None` at the end and before an episode.
    ///
    /// # Errors
    ///
    /// The error of reading, that of a wait, or `RuntimeError` in a forked process, which has no thread that reads.
    pub fn next_frame(&mut self, py: Python<'_>) -> PyResult<Option<Frame>> {
        if self.process != process::id() {
            return Err(PyRuntimeError::new_err(
                "The iteration was begun in another process, before a fork: begin one in this process",
            ));
        }
        loop {
            if let Some(frame) = self.queue.pop_front() {
                return Ok(Some(frame));
            }
            if let Some(error) = self.failure.take() {
                self.at_end = true;
                return Err(errors::reading(&error));
            }
            if self.at_end || !self.episodes.is_empty() {
                return Ok(None);
            }
            let canceller = self.canceller.clone();
            runtime::wait(py, &canceller.0, self.fill())?;
        }
    }

    /// Drops the episodes before which the frames end, and returns their number.
    pub fn take_episodes(&mut self) -> usize {
        self.episodes.drain(..).count()
    }

    /// Adds warnings of the caller.
    pub fn warn(&mut self, texts: impl IntoIterator<Item = String>) {
        self.warnings.extend(texts);
    }

    /// Waits for an item, and takes those that are there.
    async fn fill(&mut self) {
        let first = self.frames.next().await;
        self.take_ready(Some(first));
    }

    /// Takes items as long as they are there.
    fn take_ready(&mut self, mut next: Option<Result<Option<Item>, Error>>) {
        let mut bytes = 0;
        while let Some(item) = next.take() {
            bytes += self.note(item);
            let is_over = self.at_end || self.failure.is_some() || !self.episodes.is_empty();
            if !is_over && self.queue.len() < MAX_ITEMS && bytes < MAX_BYTES {
                next = ready(self.frames.next());
            }
        }
    }

    /// Takes what the reader returned, and returns its length.
    fn note(&mut self, item: Result<Option<Item>, Error>) -> usize {
        match item {
            Ok(Some(item)) => return self.take(item),
            Ok(None) => {
                self.at_end = true;
                self.warnings.extend(self.left_out());
            }
            Err(error) => self.failure = Some(error),
        }
        0
    }

    /// Returns a warning about the access units of the range that are no frames, if there are some.
    fn left_out(&self) -> Option<String> {
        let count = self.frames.stats().dropped.load(Ordering::Relaxed);
        (count > 0).then(|| {
            format!(
                "{count} access units of the range are left out in all: they cannot be decoded, as no keyframe or no \
                 parameter sets precede them, or as they are damaged"
            )
        })
    }

    /// Takes an item, and returns its length.
    fn take(&mut self, item: Item) -> usize {
        match item {
            Item::Frame(frame) => {
                let length = frame.length();
                self.queue.push_back(frame);
                return length;
            }
            Item::Gap(loss) => {
                let Hole { from, to } = loss.hole;
                self.gaps.push((useconds(from), useconds(to)));
            }
            Item::Warning(text) => self.warnings.push(text),
            Item::Episode(episode) => self.episodes.push_back(episode),
            Item::Format(Format::H264 { frame_rate }) => {
                self.frame_rate = self.frame_rate.or(frame_rate);
            }
            Item::Retry(_)
            | Item::Range(_)
            | Item::Format(_)
            | Item::Segment(_)
            | Item::Pause(_) => {}
        }
        0
    }
}

#[pymethods]
impl Units {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Unit<'py>>> {
        let Some(frame) = self.next_frame(py)? else {
            return Ok(None);
        };
        Ok(Some((
            bytes(py, &frame)?,
            useconds(frame.capture_time),
            nseconds(frame.pts),
            nseconds(frame.dts),
            frame.duration.map(nseconds),
            frame.is_keyframe,
            frame.is_hidden,
            frame.is_corrupted,
        )))
    }

    /// Returns the next MP4 file with the capture time of its record in µs, or `None` at the end of the range.
    fn next_episode<'py>(
        &mut self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, i64)>> {
        while self.episodes.is_empty() {
            if self.next_frame(py)?.is_some() {
                self.frames_left_out += 1;
            } else if self.at_end {
                let count = mem::take(&mut self.frames_left_out);
                let text = format!(
                    "{count} access units are left out, as they are '{H264_TYPE}', not '{MP4_TYPE}'"
                );
                self.warnings.extend((count > 0).then_some(text));
                return Ok(None);
            }
        }
        let Some(episode) = self.episodes.pop_front() else {
            return Ok(None);
        };
        let length = episode.file.iter().map(|piece| piece.len()).sum();
        let file = PyBytes::new_with(py, length, |bytes| {
            copy(bytes, episode.file.iter().map(|piece| &piece[..]));
            Ok(())
        })?;
        Ok(Some((file, useconds(episode.capture_time))))
    }

    /// Takes the warnings about the records that were read so far.
    fn take_warnings<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.warnings.drain(..))
    }

    /// First declared frame rate that the times of the frames did not contradict so far, in frames per second.
    #[getter]
    fn fps(&self) -> Option<f64> {
        self.frame_rate.map(FrameRate::per_second)
    }

    /// Time scale of a file of that frame rate, in ticks per second.
    #[getter]
    fn time_scale(&self) -> u32 {
        let scale = self
            .frame_rate
            .map_or_else(Timescale::default, Timescale::for_rate);
        scale.units()
    }

    /// Capture times of the last frame before each gap and of the first one after it, in µs.
    #[getter]
    fn gaps(&self) -> Vec<(i64, i64)> {
        self.gaps.clone()
    }
}

/// Returns the output of a future if it is ready.
fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn bytes<'py>(py: Python<'py>, frame: &Frame) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, frame.length(), |bytes| {
        copy(bytes, frame.unit.parts.iter().map(|part| &part[..]));
        Ok(())
    })
}

/// Copies pieces one after the other.
fn copy<'a>(mut to: &mut [u8], pieces: impl Iterator<Item = &'a [u8]>) {
    for piece in pieces {
        let (here, rest) = to.split_at_mut(piece.len());
        here.copy_from_slice(piece);
        to = rest;
    }
}
