// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Opens an entry as video, and reads ranges of it.

use std::ops::{self, RangeBounds};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use client::{
    Canceller, EntryAddress, EntrySource, Event, Limits, Query, RecordReader, Records, Server, View,
};
use futures_util::future::try_join4;
use futures_util::stream::{Stream, unfold};
use media::content::ContentKind;
use media::range::Begin;
use media::time::{CaptureTime, Nanos};
use serde_json::Value as JsonValue;
use tokio::runtime::Handle;

use crate::read::{
    Asked, Bound, End, Error, Findings, Item, Position, ReadOptions, Reader, RecordHeader, Seek,
    Stats, TimeRange,
};

/// Number of records from which on their headers are read by several queries.
const MIN_DIVIDED_RECORDS: u128 = 8192;

/// An entry of ReductStore that holds video.
///
/// ```no_run
/// # async fn dump(server: client::Server) -> Result<(), recording::Error> {
/// use recording::{Item, Recording};
///
/// let recording = Recording::open(&server, "robot", "camera").await?;
/// let mut frames = recording.read(..).frames();
/// while let Some(item) = frames.next().await? {
///     if let Item::Frame(frame) = item {
///         println!("{} {} bytes", frame.pts, frame.length());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Recording {
    runtime: Handle,
    /// The entry without options, whose connections all readers share.
    source: Arc<EntrySource>,
    bounds: Option<(CaptureTime, CaptureTime)>,
    /// Number of records when it was opened.
    records: u64,
    content: Option<ContentKind>,
}

impl Recording {
    /// Opens an entry. The times of its records and the header of the first one are read, and no media.
    ///
    /// Its readers run on the present tokio runtime.
    ///
    /// # Errors
    ///
    /// Names that a bucket or an entry cannot have, a server that cannot be reached, or a bucket or an entry that is
    /// missing.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as [`Handle::current`].
    pub async fn open(server: &Server, bucket: &str, entry: &str) -> Result<Self, Error> {
        let EntryAddress { bucket, entry } = EntryAddress::new(Some(bucket), Some(entry))?;
        let runtime = Handle::current();
        let records = Records {
            bucket,
            entry,
            when: None,
            poll_interval: None,
            limits: Limits::default(),
        };
        let source = EntrySource::new(&runtime, server.clone(), records, Arc::default());
        let mut recording = Self {
            runtime,
            source: Arc::new(source),
            bounds: None,
            records: 0,
            content: None,
        };
        let access = recording.source.clone();
        let query = Query {
            view: View::Times,
            ..Query::default()
        };
        let mut reader = RecordReader::new(&access, query);
        while let Some(event) = reader.recv().await? {
            if let Event::Times(Some(times)) = event {
                let bounds = [times.oldest, times.newest].map(CaptureTime::from_useconds);
                recording.bounds = Some(bounds.into());
                recording.records = times.records;
            }
        }
        // That query alone finds an entry that is missing.
        let oldest = recording.bounds.map(|(oldest, _)| oldest);
        let after = oldest.and_then(|oldest| oldest.checked_add(Nanos::USECOND));
        let headers = read_headers(&access, oldest, after).await?;
        recording.content = headers.first().and_then(|header| header.content);
        Ok(recording)
    }

    /// Returns the times of the oldest and the newest record, or `None` for an empty entry.
    pub fn bounds(&self) -> Option<(CaptureTime, CaptureTime)> {
        self.bounds
    }

    /// Returns the content of the first record, or `None` if it is no video.
    pub fn content(&self) -> Option<ContentKind> {
        self.content
    }

    /// Returns a request for the frames whose capture time is in `range`, whose bounds count in whole µs.
    ///
    /// ```no_run
    /// # use media::time::{CaptureTime, InvalidCaptureTime, Nanos};
    /// # fn example(recording: recording::Recording) -> Result<(), InvalidCaptureTime> {
    /// let start: CaptureTime = "2025-06-13T08:50:53Z".parse()?;
    /// let minute = recording.read(start..start + Nanos::from_seconds(60)).frames();
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(&self, range: impl RangeBounds<CaptureTime>) -> ReadRequest<'_> {
        let (start, stop) = half_open(&range);
        ReadRequest {
            recording: self,
            start,
            stop,
            begin: Begin::KeyframeAfter,
            keyframe_hint: None,
            end: End::Exact,
            options: ReadOptions::default(),
            limits: Limits::default(),
            when: None,
            poll_interval: None,
            keyframes_only: false,
            findings: None,
        }
    }

    /// Reads the headers of the records whose time is in `range`, in rising order, and no media. `add` is called for
    /// each.
    ///
    /// Headers of many records are read by four queries at a time, as each keeps one core of the server busy.
    ///
    /// # Errors
    ///
    /// Errors that end reading.
    pub async fn headers(
        &self,
        range: impl RangeBounds<CaptureTime>,
        add: impl FnMut(&RecordHeader),
    ) -> Result<(), Error> {
        let (start, stop) = half_open(&range);
        if stop.is_some_and(|stop| stop <= start.unwrap_or_default()) {
            return Ok(());
        }
        let read = |start, stop| read_headers(&self.source, start, stop);
        let Some([first, second, third]) = self.quarters(start, stop) else {
            read(start, stop).await?.iter().for_each(add);
            return Ok(());
        };
        let (one, two, three, four) = try_join4(
            read(start, Some(first)),
            read(Some(first), Some(second)),
            read(Some(second), Some(third)),
            read(Some(third), stop),
        )
        .await?;
        [one, two, three, four].iter().flatten().for_each(add);
        Ok(())
    }

    /// Returns the times that divide a range into four of the same length, if it probably has many records.
    fn quarters(
        &self,
        start: Option<CaptureTime>,
        stop: Option<CaptureTime>,
    ) -> Option<[CaptureTime; 3]> {
        let (oldest, newest) = self.bounds?;
        let (oldest, newest) = (oldest.useconds(), newest.useconds());
        let begin = start.map_or(oldest, |start| start.useconds().max(oldest));
        let end = stop.map_or(newest, |stop| stop.useconds().min(newest));
        let length = end.checked_sub(begin)?;
        let records = u128::from(self.records) * u128::from(length)
            / u128::from(newest.saturating_sub(oldest).max(1));
        (records >= MIN_DIVIDED_RECORDS)
            .then(|| [1, 2, 3].map(|it| CaptureTime::from_useconds(begin + length / 4 * it)))
    }

    /// Returns the capture times of the keyframes in `range`, as [`read`](Self::read) has them in
    /// [`Frame::capture_time`](crate::Frame::capture_time).
    ///
    /// The content of a record decides. Where labels `keyframe` were right so far, records whose label is `false` are
    /// not read, as long as each keyframe is an IDR picture at the begin of its record. The capture time of any other
    /// keyframe depends on the frames beside it: with one of them in the range, all of its records are read.
    ///
    /// # Errors
    ///
    /// Errors that end reading.
    pub async fn keyframes(
        &self,
        range: impl RangeBounds<CaptureTime>,
    ) -> Result<Vec<CaptureTime>, Error> {
        let request = self.read(range);
        let mut frames = request.clone().keyframes_only().frames();
        let mut times = Vec::new();
        while let Some(item) = frames.next().await? {
            if let Item::Frame(frame) = item {
                // Without the other frames its place in output order, or in its record, is not known.
                if !frame.unit.idr || frame.capture_time != frame.record_time {
                    return request.keyframe_times().await;
                }
                times.push(frame.capture_time);
            }
        }
        Ok(times)
    }
}

/// Returns the headers of the records from `start` on and before `stop`.
async fn read_headers(
    access: &Arc<EntrySource>,
    start: Option<CaptureTime>,
    stop: Option<CaptureTime>,
) -> Result<Vec<RecordHeader>, Error> {
    let query = Query {
        start: start.map(CaptureTime::useconds),
        stop: stop.map(CaptureTime::useconds),
        view: View::Headers,
        ..Query::default()
    };
    let mut reader = RecordReader::new(access, query);
    let mut headers = Vec::new();
    while let Some(event) = reader.recv().await? {
        if let Event::Record(record) = event {
            headers.push(RecordHeader::from(&record));
        }
    }
    Ok(headers)
}

/// Returns the first time of a range and the one after its last time, in whole µs.
fn half_open(range: &impl RangeBounds<CaptureTime>) -> (Option<CaptureTime>, Option<CaptureTime>) {
    let start = match range.start_bound() {
        ops::Bound::Included(start) => Some(start.in_whole_useconds()),
        ops::Bound::Excluded(start) => Some(start.in_whole_useconds() + Nanos::USECOND),
        ops::Bound::Unbounded => None,
    };
    let stop = match range.end_bound() {
        ops::Bound::Included(stop) => Some(stop.in_whole_useconds() + Nanos::USECOND),
        ops::Bound::Excluded(stop) => Some(stop.in_whole_useconds()),
        ops::Bound::Unbounded => None,
    };
    (start, stop)
}

/// A request for a range of a recording.
#[derive(Debug, Clone)]
#[must_use = "nothing is read before `frames` is called"]
pub struct ReadRequest<'a> {
    recording: &'a Recording,
    start: Option<CaptureTime>,
    stop: Option<CaptureTime>,
    begin: Begin,
    keyframe_hint: Option<CaptureTime>,
    end: End,
    options: ReadOptions,
    limits: Limits,
    when: Option<JsonValue>,
    poll_interval: Option<Duration>,
    keyframes_only: bool,
    findings: Option<Findings>,
}

impl ReadRequest<'_> {
    /// Sets the frame with which the range begins: the first keyframe in it by default.
    pub fn start(mut self, begin: Begin) -> Self {
        self.begin = begin;
        self
    }

    /// Names the record that has the last keyframe at or before the start, as an index of keyframes says. It is read
    /// first, without a search, which follows only if the content of the record has no keyframe. A record after the start
    /// is no hint.
    pub fn keyframe_hint(mut self, record: CaptureTime) -> Self {
        self.keyframe_hint = Some(record);
        self
    }

    /// Sets the frame with which the range ends: the last one that was captured before its stop by default.
    pub fn stop(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// Sets options of the reader, except for [`ReadOptions::asked`], which is the range.
    pub fn options(mut self, options: ReadOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets limits of connections, memory and attempts.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Picks records by a conditional query of ReductStore, a JSON object.
    pub fn when(mut self, condition: JsonValue) -> Self {
        self.when = Some(condition);
        self
    }

    /// Continues with frames that are written later, until the stop or [`Frames::stop_following`]. The server is asked
    /// for them in this interval. Without a start the range begins with the next frame that is written.
    pub fn follow(mut self, poll_interval: Duration) -> Self {
        self.poll_interval = Some(poll_interval);
        self
    }

    /// Reads keyframes only.
    pub fn keyframes_only(mut self) -> Self {
        self.keyframes_only = true;
        self
    }

    /// Returns the capture times of the keyframes among all frames.
    async fn keyframe_times(self) -> Result<Vec<CaptureTime>, Error> {
        let mut frames = self.frames();
        let mut times = Vec::new();
        while let Some(item) = frames.next().await? {
            if let Item::Frame(frame) = item
                && frame.is_keyframe
                && !frame.is_hidden
            {
                times.push(frame.capture_time);
            }
        }
        Ok(times)
    }

    /// Collects findings about the records that are read.
    pub(crate) fn collect(mut self, findings: Findings) -> Self {
        self.findings = Some(findings);
        self
    }

    /// Returns the frames of the range. The server is asked for them with the first one.
    ///
    /// The frames of a range whose stop is not after its start are [`Error::NoLength`], before any request.
    pub fn frames(self) -> Frames {
        let recording = self.recording;
        let access = (recording.source).with_options(self.when, self.poll_interval, self.limits);
        let stats = Arc::new(Stats {
            reader: access.stats().clone(),
            ..Stats::default()
        });
        let range = TimeRange::new(self.start, self.stop, self.begin, self.end);
        let asked = Asked {
            start: self.start.map(|start| Bound::new("start", start)),
            stop: self.stop.map(|stop| Bound::new("stop", stop)),
        };
        let no_length = asked.check("bound").map_err(Error::NoLength).err();
        let program = match no_length {
            None => vec![range],
            Some(_) => Vec::new(),
        };
        let options = ReadOptions {
            asked: vec![asked],
            ..self.options
        };
        let mut reader = Reader::new(Arc::new(access), program, options, stats.clone());
        if let Some(findings) = self.findings {
            reader.collect(findings);
        }
        let is_before = |record: &CaptureTime| self.start.is_some_and(|start| *record <= start);
        if let Some(record) = self.keyframe_hint.filter(is_before) {
            reader.expect_keyframe(record);
        }
        if self.keyframes_only {
            reader.seek(Seek {
                from: Position::Capture(self.start.unwrap_or_default()),
                until: None,
                begin: self.begin,
                is_backward: false,
                keyframes_only: true,
            });
        }
        Frames {
            runtime: recording.runtime.clone(),
            no_length,
            reader,
            stats,
            keyframes_only: self.keyframes_only,
        }
    }
}

/// Frames of a range, and the items between them.
///
/// Dropping it ends its requests.
#[derive(Debug)]
pub struct Frames {
    runtime: Handle,
    /// Error of a range without a length, which is not read.
    no_length: Option<Error>,
    reader: Reader,
    stats: Arc<Stats>,
    keyframes_only: bool,
}

impl Frames {
    /// Returns the next item, or `None` at the end of the range, and after an error.
    ///
    /// Cancel safe: no item is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// Errors that end reading.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        match self.no_length.take() {
            Some(error) => Err(error),
            None => self.reader.next().await,
        }
    }

    /// Returns the items as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Item, Error>> + Send {
        unfold(self, async |mut frames| {
            let item = frames.next().await.transpose()?;
            Some((item, frames))
        })
    }

    /// Returns the items as an iterator that blocks the calling thread. `canceller` ends each wait from another
    /// thread: the iterator returns [`Error::Cancelled`] then, and may be continued.
    ///
    /// Not for threads of a tokio runtime, on which the iterator panics.
    pub fn blocking<'a>(
        &'a mut self,
        canceller: &'a Canceller,
    ) -> impl Iterator<Item = Result<Item, Error>> + 'a {
        std::iter::from_fn(move || {
            let item = match self.no_length.take() {
                Some(error) => Err(error),
                None => self.reader.next_blocking(&self.runtime, canceller),
            };
            item.transpose()
        })
    }

    /// Continues at another capture time, with the frame `begin`. Asks nothing of the server yet.
    pub fn seek(&mut self, time: CaptureTime, begin: Begin) {
        self.reader.seek(Seek {
            from: Position::Capture(time),
            until: None,
            begin,
            is_backward: false,
            keyframes_only: self.keyframes_only,
        });
    }

    /// Ends a range that is followed with the frames that are fetched.
    pub fn stop_following(&self) {
        self.reader.access().stop_following();
    }

    /// Returns the findings, if they are collected.
    pub(crate) fn findings(&self) -> Option<MutexGuard<'_, Findings>> {
        self.reader.findings()
    }

    /// Returns the counters of this range.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
