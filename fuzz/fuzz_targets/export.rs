// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Any parameters and records in a query of the extension: episodes are complete files in order of time, and errors
//! those of the query.

#![no_main]

use std::env;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use gst_plugin_reduct_fuzz::mp4::read_video_track;
use gst_plugin_reduct_fuzz::{InputRecord, records};
use libfuzzer_sys::fuzz_target;
use reduct_base::error::{ErrorCode, ReductError};
use reduct_base::ext::{BoxedCommiter, BoxedProcessor, IoExtension};
use reduct_base::io::BoxedReadRecord;
use reduct_base::msg::entry_api::QueryEntry;
use serde_json::{Value, json};
use video_extension::{SpoolSettings, VideoExtension};

/// Time of the first record in µs since the Unix epoch.
const START: u64 = 1_750_000_000_000_000;
/// Largest number of records in an answer (1.21.5).
const MAX_RECORDS: usize = 85;

/// Flags in the first byte of an input.
const IS_V2: u8 = 1 << 0;
const HAS_START: u8 = 1 << 1;
const HAS_STOP: u8 = 1 << 2;
const IS_FILTERED: u8 = 1 << 3;
const IS_CONTINUOUS: u8 = 1 << 4;
/// The parameters are those of the extension, not those of the export.
const IS_WHOLE: u8 = 1 << 5;
/// A step for the remaining episodes follows.
const HAS_REMAINING: u8 = 1 << 6;

static EXTENSION: LazyLock<Mutex<VideoExtension>> = LazyLock::new(|| {
    Mutex::new(VideoExtension::new(SpoolSettings {
        folder: Arc::new(env::temp_dir()),
        memory_limit: 10_000,
    }))
});

fuzz_target!(|input: &[u8]| {
    let mut parts = records(input).into_iter();
    let mut parameters = parts.next().unwrap_or_default();
    let flags = parameters.split_to(1.min(parameters.len()));
    let flags = flags.first().copied().unwrap_or_default();
    let query = query(flags, &parameters);
    let steps = match register(&query, flags & HAS_REMAINING != 0) {
        Ok(steps) => steps,
        Err(error) => return check_refusal(&error),
    };
    let mut run = QueryRun {
        steps,
        answer: Vec::new(),
        latest: None,
        had_faulty_record: false,
        failure: None,
    };
    let mut time = START;
    for part in parts {
        let record = InputRecord::new(part, time);
        time = record.time();
        let is_early = query.start.is_some_and(|start| time < start);
        let is_late = query.stop.is_some_and(|stop| time >= stop);
        if !is_early && !is_late {
            run.push(record, flags & IS_V2 != 0);
        }
    }
    run.finish();
});

fn query(flags: u8, parameters: &[u8]) -> QueryEntry {
    let has = |flag| flags & flag != 0;
    let parameters: Value = serde_json::from_slice(parameters).unwrap_or_else(|_| json!({}));
    let video = if has(IS_WHOLE) {
        parameters
    } else {
        json!({ "export": parameters, "attachments": { "cam": { "$video": { "fps": 10 } } } })
    };
    let ext = json!({ "video": video });
    let mut when = match has(HAS_REMAINING) {
        true => json!({ "#ext": [ext, { "video": { "remaining": {} } }] }),
        false => json!({ "#ext": ext }),
    };
    if has(IS_FILTERED) {
        when["&keyframe"] = json!({ "$eq": true });
    }
    QueryEntry {
        entries: has(IS_V2).then(|| vec!["cam".into()]),
        start: has(HAS_START).then_some(START + 1_000_000),
        stop: has(HAS_STOP).then_some(START + 3_000_000),
        when: Some(when),
        continuous: Some(has(IS_CONTINUOUS)),
        ext: Some(ext),
        ..QueryEntry::default()
    }
}

/// Registers the export, and the step behind it if there is one.
fn register(query: &QueryEntry, has_remaining: bool) -> Result<Vec<Step>, ReductError> {
    let mut extension = EXTENSION.lock().unwrap_or_else(PoisonError::into_inner);
    let mut steps = vec![extension.query("bucket", "cam", query)?];
    if has_remaining {
        let second = QueryEntry {
            ext: Some(json!({ "video": { "remaining": {} } })),
            ..query.clone()
        };
        steps.push(extension.query("bucket", "cam", &second)?);
    }
    Ok(steps)
}

type Step = (BoxedProcessor, BoxedCommiter);

/// A query, as the server runs it.
struct QueryRun {
    steps: Vec<Step>,
    /// Episodes that were not sent yet.
    answer: Vec<BoxedReadRecord>,
    /// Time of the latest episode.
    latest: Option<u64>,
    /// The storage did not have a record as announced. That error may wait for the next answer.
    had_faulty_record: bool,
    /// Error that ended the export.
    failure: Option<ReductError>,
}

impl QueryRun {
    fn push(&mut self, record: InputRecord, ends_without_output: bool) {
        self.had_faulty_record |= record.is_faulty();
        let episodes = self.answer.len();
        if let Err(error) = self.process(0, Box::new(record)) {
            self.fail(error);
            // The server answers at once.
            return self.send();
        }
        let has_output = self.answer.len() > episodes;
        if self.answer.len() >= MAX_RECORDS || ends_without_output && !has_output {
            self.send();
        }
    }

    /// Passes a record to a step, and its output to those behind it.
    fn process(&mut self, step: usize, record: BoxedReadRecord) -> Result<(), ReductError> {
        let Some((processor, _)) = self.steps.get_mut(step) else {
            self.add(record);
            return Ok(());
        };
        let stream = ready(processor.process_record(record))?;
        let mut stream = Box::into_pin(stream);
        let mut is_first = true;
        while let Some(record) = next(stream.as_mut()) {
            match ready(self.steps[step].1.commit_record(record?)) {
                Some(output) => self.process(step + 1, output?)?,
                None => assert!(is_first, "a token without an episode"),
            }
            is_first = false;
        }
        Ok(())
    }

    fn finish(mut self) {
        for step in 0..self.steps.len() {
            let flushed = ready(self.steps[step].1.flush());
            let passed = flushed.map(|output| self.process(step + 1, output?));
            if let Some(Err(error)) = passed {
                self.fail(error);
                break;
            }
        }
        self.send();
    }

    fn fail(&mut self, error: ReductError) {
        match &self.failure {
            Some(failure) => assert_eq!(*failure, error),
            // Of the storage, not of the extension.
            None if self.had_faulty_record && error.status == ErrorCode::InternalServerError => {
                check_text(&error)
            }
            None => check_refusal(&error),
        }
        self.failure = Some(error);
    }

    fn add(&mut self, episode: BoxedReadRecord) {
        let meta = episode.meta();
        assert!(self.latest < Some(meta.timestamp()), "not in order of time");
        self.latest = Some(meta.timestamp());
        assert!(!meta.entry_name().is_empty());
        assert_eq!(meta.content_type(), "video/mp4");
        assert!(meta.computed_labels().is_empty());
        for (label, value) in meta.labels() {
            assert!(
                is_printable(label) && is_printable(value),
                "{label}={value}"
            );
        }
        self.answer.push(episode);
    }

    /// Reads the episodes of an answer.
    fn send(&mut self) {
        for mut episode in self.answer.drain(..) {
            let mut pieces = Vec::new();
            while let Some(piece) = episode.read_chunk() {
                pieces.push(piece.expect("a piece of the file"));
            }
            let length: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
            let meta = episode.meta();
            assert_eq!(length, meta.content_length());
            let count = |label: &str| meta.labels().get(label).map(|count| count.parse());
            let frames: u64 = count("frames").expect("a label").expect("a number");
            check_file(&pieces, length, frames);
        }
    }
}

fn check_file(pieces: &[Bytes], length: u64, frames: u64) {
    let track = read_video_track(pieces).expect("an MP4 file");
    assert_eq!(track.sample_entry, *b"avc1");
    assert!(track.configuration.is_some());
    let samples = track.samples.len() as u64;
    assert!(frames > 0 && frames <= samples, "{frames} of {samples}");
    assert!(track.samples[0].is_sync);
    let mut end = 0;
    for sample in &track.samples {
        assert!(sample.offset >= end, "samples overlap");
        end = sample.offset + u64::from(sample.size);
    }
    assert!(end <= length);
}

fn check_refusal(error: &ReductError) {
    assert_eq!(error.status, ErrorCode::UnprocessableEntity, "{error}");
    assert!(error.message.starts_with("Extension 'video': "), "{error}");
    check_text(error);
}

fn check_text(error: &ReductError) {
    let text = &error.message;
    assert!(!text.is_empty() && is_printable(text), "{error}");
    assert!(!text.contains("internal error"), "{error}");
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Returns the result of a call, none of which waits.
fn ready<T>(mut call: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the extension waits"),
    }
}

fn next<T>(stream: Pin<&mut (dyn Stream<Item = T> + Send + Sync)>) -> Option<T> {
    match stream.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(item) => item,
        Poll::Pending => panic!("the stream waits"),
    }
}
