// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of a query: takes records, and returns one episode or error at a time, as the server can take them.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::codec::annexb::{START_CODE, nal_units};
use media::content::{ContentKind, FPS_LABEL, KEYFRAME_LABEL};
use media::stream::RecordTag;
use reduct_base::error::{ErrorCode, ReductError};
use reduct_base::io::{BoxedReadRecord, RecordMeta};
use serde_json::Value;

use crate::at_end::AtEnd;
use crate::attachments;
use crate::drain_token::is_token;
use crate::error::ExportError;
use crate::exporter::{Exporter, QueryRange};
use crate::finished_episode::{FinishedEpisode, FinishedIndex};
use crate::parameters::{NAME, Parameters};
use crate::registry::Expire;
use crate::remaining::REMAINING;
use crate::spool::SpoolSettings;
use crate::unsent::Unsent;

/// Largest record in bytes. All extension work of the server is under one lock, and a record is one piece of it.
const MAX_RECORD: u64 = 64 << 20;

/// Largest number of NAL units in a record, each of which takes memory and time, however short it is.
const MAX_NAL_UNITS: usize = 1 << 18;

/// Largest number of episodes in an answer. Each is a header, of which clients take 100 (hyper 1, as in reduct-rs); the
/// server ends an answer when it has 85 (1.21.5).
const MAX_IN_ANSWER: usize = 88;

/// Settings of a query.
#[derive(Debug)]
pub struct SessionConfig {
    /// Parameters of the export.
    pub parameters: Parameters,
    /// Range of the query.
    pub range: QueryRange,
    /// Parameters as the server has them, with the attachments of entries.
    pub ext: Value,
    /// Place of episodes until they are sent.
    pub spool: SpoolSettings,
    /// Lifetime of the query without a call.
    pub ttl: Duration,
    /// Number of episodes that the server can take at the end of the query.
    pub at_end: AtEnd,
    /// An answer of the server ends with the first record for which there is no output, as those of protocol v2 do.
    pub ends_without_output: bool,
}

/// State of a query.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    stage: Stage,
    /// The server has no further records.
    has_records_ended: bool,
    /// Episodes that wait for a call.
    finished: VecDeque<FinishedEpisode>,
    /// Index of the latest episode, which waits for a call, too.
    index: Option<FinishedIndex>,
    /// Error that ended the export. Each later call returns it, too.
    failure: Option<ReductError>,
    unsent: Unsent,
    /// Time of the latest episode in µs since the Unix epoch.
    latest: Option<u64>,
    last_call: Instant,
}

/// Progress of an export.
#[derive(Debug)]
enum Stage {
    /// No record came.
    Waiting,
    /// Records of the entry come.
    Running(String, Box<Exporter>),
    /// The export has ended.
    Ended(String),
}

/// The output for one call.
type Output = Option<Result<BoxedReadRecord, ReductError>>;

impl Session {
    /// Returns a query without records so far.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            config,
            stage: Stage::Waiting,
            has_records_ended: false,
            finished: VecDeque::new(),
            index: None,
            failure: None,
            unsent: Unsent::default(),
            latest: None,
            last_call: Instant::now(),
        }
    }

    /// Takes a record or a token. Returns the next episode or index, if there is one.
    pub fn commit(&mut self, record: BoxedReadRecord) -> Output {
        self.last_call = Instant::now();
        let is_open = self.failure.is_none() && !matches!(self.stage, Stage::Ended(_));
        if is_open && !is_token(&record) {
            let taken = self.take(record);
            self.fail_if(taken);
        }
        if let Some(record) = self.put_out() {
            return Some(Ok(record));
        }
        // An error replaces an answer with all its episodes (1.21.5), so that it waits for the next one.
        let must_wait = self.config.ends_without_output && self.unsent.count() > 0;
        let failure = self.failure.clone().filter(|_| !must_wait);
        failure.map(Err)
    }

    /// Ends the records. Returns the last episode, if there is one. With [`AtEnd::All`] it is the first one of those
    /// that are left, see [`next_remaining`](Self::next_remaining).
    pub fn flush(&mut self) -> Output {
        self.last_call = Instant::now();
        self.has_records_ended = true;
        let entry = self.entry().to_owned();
        if let Stage::Running(_, mut exporter) = mem::replace(&mut self.stage, Stage::Ended(entry))
        {
            let ended = exporter.finish(&mut self.finished);
            self.fail_if(ended);
        }
        if let Some(failure) = self.failure.clone() {
            self.drop_finished();
            return Some(Err(failure));
        }
        let last = self.put_out()?;
        if let (AtEnd::One, Some(second)) = (self.config.at_end, self.finished.front()) {
            let second = second.episode.capture.unwrap_or_default().useconds();
            self.abort(ExportError::Refused(format!(
                "{} episodes end with the query, and the server can return one of them. Let the step '{REMAINING}' \
                 follow the export, or use two queries: up to {second}, and from there on",
                self.finished.len() + 1,
            )));
            return self.failure.clone().map(Err);
        }
        Some(Ok(last))
    }

    /// Returns the next one of the episodes that are left at the end of the query, or the index of the one before.
    pub fn next_remaining(&mut self) -> Output {
        self.last_call = Instant::now();
        if !self.has_records_ended {
            return None;
        }
        if self.waiting() > 0 && !self.has_room() {
            let next = self.finished.front().and_then(|it| it.episode.capture);
            self.abort(ExportError::Refused(format!(
                "more episodes end with the last record than an answer can have ({MAX_IN_ANSWER}). Let answers \
                 be shorter by '#batch_records', or begin another query at {}",
                next.unwrap_or_default().useconds()
            )));
            return self.failure.clone().map(Err);
        }
        self.put_out().map(Ok)
    }

    /// Ends the export because of `error`. What it holds is freed; complete episodes are still returned.
    pub fn fail(&mut self, error: impl Into<ReductError>) {
        self.failure = Some(error.into());
        self.stage = Stage::Ended(self.entry().to_owned());
    }

    /// Ends the query because of `error`, which its caller returns. All that it holds is freed.
    pub fn abort(&mut self, error: impl Into<ReductError>) {
        self.drop_finished();
        self.fail(error);
    }

    fn drop_finished(&mut self) {
        self.finished.clear();
        self.index = None;
    }

    /// Returns the number of records, episodes and their indexes, that wait for a call.
    pub fn waiting(&self) -> usize {
        let finished: usize = self.finished.iter().map(FinishedEpisode::records).sum();
        usize::from(self.index.is_some()) + finished
    }

    /// Returns whether the present answer can have another episode, and its index. It always can with [`AtEnd::One`], as episodes that
    /// wait could be the last ones of the query.
    pub fn has_room(&self) -> bool {
        let next = self.finished.front().filter(|_| self.index.is_none());
        let next = next.map_or(1, FinishedEpisode::records);
        self.config.at_end == AtEnd::One || self.unsent.count() + next <= MAX_IN_ANSWER
    }

    fn fail_if(&mut self, result: Result<(), ExportError>) {
        if let Err(error) = result {
            self.fail(error);
        }
    }

    /// Returns the name of the entry, or an empty one before the first record.
    fn entry(&self) -> &str {
        match &self.stage {
            Stage::Waiting => "",
            Stage::Running(entry, _) | Stage::Ended(entry) => entry,
        }
    }

    fn take(&mut self, mut record: BoxedReadRecord) -> Result<(), ExportError> {
        let meta = record.meta();
        check(meta)?;
        let (tag, length) = (tag(meta), meta.content_length());
        if let Stage::Waiting = self.stage {
            let entry = meta.entry_name().to_owned();
            let config = &self.config;
            let attached = attachments::frame_rate(&config.ext, NAME, &entry);
            let exporter = Exporter::new(
                &entry,
                &config.parameters,
                config.range,
                config.at_end,
                &attached,
                config.spool.clone(),
            );
            self.stage = Stage::Running(entry, Box::new(exporter));
        }
        let Stage::Running(entry, exporter) = &mut self.stage else {
            return Ok(());
        };
        if entry != meta.entry_name() {
            return Err(ExportError::Refused(format!(
                "the query has records of the entries '{entry}' and '{}', expected one entry",
                meta.entry_name()
            )));
        }
        let chunks = read(&mut record, length)?;
        check_nal_units(tag.time, &chunks)?;
        exporter.push(tag, chunks, &mut self.finished)
    }

    /// Returns the next record that waits: an episode, or the index of the one before.
    fn put_out(&mut self) -> Option<BoxedReadRecord> {
        // Two records at one time would be one header for two bodies (1.21.5).
        let earliest = self.latest.map_or(0, |latest| latest.saturating_add(1));
        if let Some(index) = self.index.take() {
            self.latest = Some(earliest);
            let record = index.into_record(self.entry(), earliest, self.unsent.add());
            return Some(Box::new(record));
        }
        let mut episode = self.finished.pop_front()?;
        let time = episode.episode.capture.map_or(0, |time| time.useconds());
        let time = time.max(earliest);
        self.latest = Some(time);
        self.index = episode.take_index(time);
        let record = episode.into_record(self.entry(), time, self.unsent.add());
        Some(Box::new(record))
    }
}

impl Expire for Session {
    fn deadline(&self) -> Option<Instant> {
        let may_hold_files = !matches!(self.stage, Stage::Ended(_)) || self.waiting() > 0;
        self.last_call
            .checked_add(self.config.ttl)
            .filter(|_| may_hold_files)
    }

    fn expire(&mut self) {
        self.abort(ExportError::Expired);
    }
}

/// Checks a record without its content.
fn check(meta: &RecordMeta) -> Result<(), ExportError> {
    let time = meta.timestamp();
    if ContentKind::of(meta.content_type()) != Some(ContentKind::H264) {
        return Err(ExportError::Refused(format!(
            "the record at {time} is '{}', expected {}",
            meta.content_type(),
            ContentKind::expected(Some(ContentKind::H264)),
        )));
    }
    if meta.content_length() > MAX_RECORD {
        return Err(ExportError::Refused(format!(
            "the record at {time} has {} bytes, expected at most {MAX_RECORD}",
            meta.content_length()
        )));
    }
    Ok(())
}

/// Checks the number of NAL units of the record at `time`, in µs since the Unix epoch.
fn check_nal_units(time: u64, chunks: &[Bytes]) -> Result<(), ExportError> {
    let bytes: usize = chunks.iter().map(Bytes::len).sum();
    if bytes / START_CODE.len() <= MAX_NAL_UNITS {
        return Ok(());
    }
    let units: usize = chunks.iter().map(|chunk| nal_units(chunk).count()).sum();
    if units > MAX_NAL_UNITS {
        return Err(ExportError::Refused(format!(
            "the record at {time} has {units} NAL units, expected at most {MAX_NAL_UNITS}"
        )));
    }
    Ok(())
}

fn tag(meta: &RecordMeta) -> RecordTag {
    let labels = meta.labels();
    RecordTag {
        time: meta.timestamp(),
        frame_rate: labels.get(FPS_LABEL).cloned(),
        keyframe: labels
            .get(KEYFRAME_LABEL)
            .and_then(|label| label.parse().ok()),
    }
}

/// Reads the content of a record by chunks: `read` would continue with the record behind it (1.21.5).
fn read(record: &mut BoxedReadRecord, length: u64) -> Result<Vec<Bytes>, ExportError> {
    let mut chunks = Vec::new();
    let mut read = 0;
    while let Some(chunk) = record.read_chunk() {
        let chunk = chunk.map_err(ExportError::Record)?;
        read += chunk.len() as u64;
        chunks.push(chunk);
    }
    if read != length {
        let text = format!(
            "The record at {} has {read} bytes, and its header says {length}",
            record.meta().timestamp()
        );
        return Err(ExportError::Record(ReductError::new(
            ErrorCode::InternalServerError,
            &text,
        )));
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests;
