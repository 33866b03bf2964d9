// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Capture times of buffers with their sources.

use crate::time::CaptureTime;

/// Source of a capture time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The `GstReferenceTimestampMeta` of the buffer.
    Meta,
    /// The property `start` and the running time.
    Start,
    /// The pipeline's clock at the running time.
    Clock,
}

/// The timestamps of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    /// Capture time, in whole µs; `None` for a buffer without meta and PTS.
    pub time: Option<(CaptureTime, Source)>,
    /// Capture time, in whole µs, if this is the first picture of a stream without any timestamps.
    pub begin: (CaptureTime, Source),
    /// Sum of the steps of the system clock since the run began, in µs. `time` has it if it is from the clock.
    pub clock_steps: i64,
    /// Presentation timestamp, in µs.
    pub pts: Option<i64>,
    /// Running time, in µs.
    pub running_time: Option<i64>,
    /// Monotonic time of the arrival, in µs.
    pub arrival: i64,
    /// Time of the record that the picture was read from.
    pub record: Option<CaptureTime>,
}

/// The timestamps of a picture at its place in output order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureStamp {
    /// The capture time with its source.
    pub capture: Capture,
    /// Number of frames that precede it in output order.
    pub index: u64,
    /// Number of frames: 0 for what only follows one, more than 1 for several in a buffer.
    pub frames: u64,
    /// Capture time, in µs since the Unix epoch, in which steps of the system clock do not show; `None` if
    /// the buffer has none of its own.
    pub time: Option<i64>,
}

impl CaptureStamp {
    /// Returns the stamp of a picture at a place in output order. A capture time that `before` has as well says
    /// nothing about this picture.
    pub fn new(capture: Capture, index: u64, frames: u64, before: Option<&CaptureStamp>) -> Self {
        let is_repeated = before.is_some_and(|before| before.capture.time == capture.time);
        let time = capture.time.filter(|_| frames > 0 && !is_repeated);
        Self {
            capture,
            index,
            frames,
            time: time.map(|(time, source)| steady(time, source, &capture)),
        }
    }

    /// Returns the source of the capture time.
    pub fn source(&self) -> Option<Source> {
        self.time.and(self.capture.time).map(|(_, source)| source)
    }

    /// Returns the first capture time of a stream without timestamps, in µs since the Unix epoch, without the steps of
    /// the system clock.
    pub fn begin(&self) -> i64 {
        let (time, source) = self.capture.begin;
        steady(time, source, &self.capture)
    }

    /// Returns the record's capture time for a time without the steps of the system clock.
    pub fn absolute(&self, steady: i64, source: Source) -> CaptureTime {
        let steps = match source {
            Source::Clock => self.capture.clock_steps,
            Source::Meta | Source::Start => 0,
        };
        let useconds = u64::try_from(steady.saturating_add(steps)).unwrap_or(0);
        CaptureTime::from_useconds(useconds)
    }
}

fn steady(time: CaptureTime, source: Source, capture: &Capture) -> i64 {
    let time = i64::try_from(time.useconds()).unwrap_or(i64::MAX);
    match source {
        Source::Clock => time.saturating_sub(capture.clock_steps),
        Source::Meta | Source::Start => time,
    }
}

/// Capture times for tests.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use super::*;

    /// Returns the timestamps of a buffer that was captured at `time`, in µs, and has no PTS.
    pub fn capture(time: u64) -> Capture {
        Capture {
            time: Some((CaptureTime::from_useconds(time), Source::Meta)),
            begin: (CaptureTime::EPOCH, Source::Clock),
            clock_steps: 0,
            pts: None,
            running_time: None,
            arrival: 0,
            record: None,
        }
    }
}
