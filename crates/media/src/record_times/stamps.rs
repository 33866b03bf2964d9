// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Capture times of buffers with their sources.

use crate::time::{CaptureTime, Nanos};

/// Source of a capture time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// The `GstReferenceTimestampMeta` of the buffer.
    Meta,
    /// The property `start` and the running time.
    Start,
    /// The pipeline's clock at the running time.
    Clock,
}

/// A capture time with its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourcedTime {
    /// Capture time, of which whole µs count.
    pub time: CaptureTime,
    /// Its source.
    pub source: TimeSource,
}

/// The timestamps of a picture in all time bases of a pipeline.
///
/// The other time bases show whether a capture time is wrong, or a pause of the stream. A stream that has capture times
/// alone is a sequence of [`Capture::at`], and one without any of [`Capture::untimed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    /// Capture time; `None` for a buffer without meta and PTS.
    pub time: Option<SourcedTime>,
    /// Capture time if this is the first picture of a stream without any timestamps.
    pub begin: SourcedTime,
    /// Sum of the steps of the system clock since the run began, in µs. `time` has it if it is from the clock.
    pub clock_steps_us: i64,
    /// Presentation timestamp, in µs.
    pub pts_us: Option<i64>,
    /// Running time, in µs. It is negative before the segment.
    pub running_time_us: Option<i64>,
    /// Time of the arrival by a monotonic clock.
    pub arrival: Nanos,
    /// Time of the record that the picture was read from.
    pub record: Option<CaptureTime>,
}

impl Capture {
    /// Returns the timestamps of a picture that has a capture time alone, from a clock that is not this machine's.
    pub fn at(time: CaptureTime) -> Self {
        let sourced = SourcedTime {
            time: time.in_whole_useconds(),
            source: TimeSource::Meta,
        };
        let us = i64::try_from(time.useconds()).unwrap_or(i64::MAX);
        Self {
            time: Some(sourced),
            begin: sourced,
            clock_steps_us: 0,
            pts_us: Some(us),
            running_time_us: Some(us),
            arrival: Nanos::from_useconds(time.useconds()),
            record: None,
        }
    }

    /// Returns the timestamps of a picture that has none, of a stream that begins at the capture time `start`.
    pub fn untimed(start: CaptureTime) -> Self {
        Self {
            time: None,
            begin: SourcedTime {
                time: start.in_whole_useconds(),
                source: TimeSource::Start,
            },
            clock_steps_us: 0,
            pts_us: None,
            running_time_us: None,
            arrival: Nanos::ZERO,
            record: None,
        }
    }

    /// Returns a capture time of this picture in µs since the Unix epoch, without the steps of the system clock.
    fn steady_us(&self, sourced: SourcedTime) -> i64 {
        let us = i64::try_from(sourced.time.useconds()).unwrap_or(i64::MAX);
        match sourced.source {
            TimeSource::Clock => us.saturating_sub(self.clock_steps_us),
            TimeSource::Meta | TimeSource::Start => us,
        }
    }
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
    pub steady_us: Option<i64>,
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
            steady_us: time.map(|time| capture.steady_us(time)),
        }
    }

    /// Returns the source of the capture time.
    pub fn source(&self) -> Option<TimeSource> {
        let time = self.steady_us.and(self.capture.time)?;
        Some(time.source)
    }

    /// Returns the first capture time of a stream without timestamps, in µs since the Unix epoch, without the steps of
    /// the system clock.
    pub fn begin_us(&self) -> i64 {
        self.capture.steady_us(self.capture.begin)
    }

    /// Returns the record's capture time for a time without the steps of the system clock.
    pub fn absolute(&self, steady_us: i64, source: TimeSource) -> CaptureTime {
        let steps_us = match source {
            TimeSource::Clock => self.capture.clock_steps_us,
            TimeSource::Meta | TimeSource::Start => 0,
        };
        let useconds = u64::try_from(steady_us.saturating_add(steps_us)).unwrap_or(0);
        CaptureTime::from_useconds(useconds)
    }
}

/// Capture times for tests.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use super::*;

    /// Returns the timestamps of a buffer that was captured at `time`, in µs, and has no PTS.
    pub fn capture(time: u64) -> Capture {
        Capture {
            begin: SourcedTime {
                time: CaptureTime::EPOCH,
                source: TimeSource::Clock,
            },
            pts_us: None,
            running_time_us: None,
            arrival: Nanos::ZERO,
            ..Capture::at(CaptureTime::from_useconds(time))
        }
    }
}
