// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Parser of one answer to `GET /b/:bucket/:entry/batch`.
//!
//! It has a header `x-reduct-time-<µs>` for each record, and a body of all their contents in the order of their times.

use std::mem;
use std::vec;

use bytes::{Bytes, BytesMut};
use reduct_base::batch::parse_batched_header;
use reqwest::header::HeaderMap;

use crate::error::{Cause, Error};
use crate::record::Record;
use crate::schema::Schema;
use crate::time::record_time;

/// Prefix of the name of a record's header; the time follows.
pub const TIME_HEADER: &str = "x-reduct-time-";
/// Largest number of records of a window: they come in one batch, and hyper accepts a head of 400 KB.
pub const WINDOW_RECORDS: u64 = 4000;

/// Length of a record header, in bytes, from which on its labels are not read.
const MAX_LABEL_BYTES: usize = 16 << 10;
/// Number of chunks of a record from which on chunks up to a size in bytes are gathered.
const MANY_CHUNKS: usize = 64;
const SMALL_CHUNK: usize = 4 << 10;
const MAX_GATHERED: usize = 1 << 20;

/// A parsed record header.
#[derive(Debug, PartialEq)]
pub struct RecordHeader {
    /// Time in µs since the Unix epoch.
    time: u64,
    length: usize,
    content_type: String,
    frame_rate: Option<String>,
    keyframe: Option<bool>,
    duration: Option<u64>,
}

impl RecordHeader {
    pub fn time(&self) -> u64 {
        self.time
    }

    pub fn length(&self) -> u64 {
        self.length as u64
    }
}

/// Returns the records of a batch in the order of their times.
///
/// A duplicated header, as some proxies send it, counts once. Two different headers for one time are an error: the
/// body could not be split.
pub fn record_headers(headers: &HeaderMap, schema: &Schema) -> Result<Vec<RecordHeader>, Error> {
    let malformed = |text: String| Error::new(Cause::Malformed, text);
    let mut records = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(TIME_HEADER)?, value)))
        .map(|(time, value)| record_header(time, value.as_bytes(), schema))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| malformed("a record header cannot be read".into()))?;
    records.sort_by_key(|record| record.time);
    records.dedup();
    let twice = (records.windows(2)).find(|pair| pair[0].time == pair[1].time);
    match twice {
        Some(pair) => Err(malformed(format!(
            "an answer has two different headers for the record at {}",
            record_time(pair[0].time)
        ))),
        None => Ok(records),
    }
}

/// Parses the header of a record, without its labels if these cannot be read.
fn record_header(time: &str, value: &[u8], schema: &Schema) -> Option<RecordHeader> {
    // Labels are ASCII; other bytes are replaced and spoil the label that has them.
    let value = String::from_utf8_lossy(value);
    let header = match value.len() {
        // Parsing takes quadratic time.
        MAX_LABEL_BYTES.. => parse_batched_header(without_labels(&value)),
        _ => parse_batched_header(&value).or_else(|_| parse_batched_header(without_labels(&value))),
    };
    let header = header.ok()?;
    let mut labels = header.labels;
    Some(RecordHeader {
        time: time.parse().ok()?,
        length: header.content_length.try_into().ok()?,
        content_type: header.content_type,
        frame_rate: labels.remove(schema.frame_rate),
        keyframe: labels
            .get(schema.keyframe)
            .and_then(|text| text.parse().ok()),
        duration: labels
            .get(schema.duration)
            .and_then(|text| text.parse().ok()),
    })
}

/// Returns the length and the content type.
fn without_labels(header: &str) -> &str {
    let labels = header.match_indices(',').nth(1);
    labels.map_or(header, |(start, _)| &header[..start])
}

/// Splits the body of a batch into its records.
#[derive(Debug)]
pub struct Slicer {
    headers: vec::IntoIter<RecordHeader>,
    /// The beginning of a record whose end is in a later chunk.
    partial: Option<PartialRecord>,
    /// Bytes beyond the last record.
    surplus: usize,
}

#[derive(Debug)]
struct PartialRecord {
    header: RecordHeader,
    chunks: Vec<Bytes>,
    /// The end of a record that arrives in many small chunks, each of which would cost more memory than its bytes.
    gathered: BytesMut,
    missing: usize,
}

impl PartialRecord {
    fn push(&mut self, chunk: Bytes) {
        self.missing -= chunk.len();
        if self.chunks.len() >= MANY_CHUNKS && chunk.len() < SMALL_CHUNK {
            self.gathered.extend_from_slice(&chunk);
            if self.gathered.len() >= MAX_GATHERED {
                self.flush();
            }
            return;
        }
        self.flush();
        self.chunks.push(chunk);
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            self.chunks.push(self.gathered.split().freeze());
        }
    }
}

impl Slicer {
    /// Creates a slicer for a body of these records, in this order.
    pub fn new(headers: Vec<RecordHeader>) -> Self {
        Self {
            headers: headers.into_iter(),
            partial: None,
            surplus: 0,
        }
    }

    /// Consumes the next bytes of the body and adds the records that end in them, as slices.
    pub fn push(&mut self, mut chunk: Bytes, records: &mut Vec<Record>) {
        loop {
            if let Some(partial) = &mut self.partial {
                partial.push(chunk.split_to(partial.missing.min(chunk.len())));
                if partial.missing > 0 {
                    break;
                }
                if let Some(mut partial) = mem::take(&mut self.partial) {
                    partial.flush();
                    records.push(record(partial.header, partial.chunks));
                }
            }
            // An empty record ends at its begin, with or without a chunk.
            let next = self.headers.as_slice().first();
            let Some(length) = next.map(|next| next.length) else {
                self.surplus += chunk.len();
                break;
            };
            if chunk.is_empty() && length > 0 {
                break;
            }
            let Some(header) = self.headers.next() else {
                break;
            };
            if length <= chunk.len() {
                records.push(record(header, vec![chunk.split_to(length)]));
                continue;
            }
            self.partial = Some(PartialRecord {
                header,
                chunks: Vec::new(),
                gathered: BytesMut::new(),
                missing: length,
            });
        }
    }

    /// Returns whether all records are complete.
    pub fn is_complete(&self) -> bool {
        self.partial.is_none() && self.headers.as_slice().is_empty()
    }

    /// Checks that the body consisted of all records and nothing else.
    pub fn finish(self) -> Result<(), Error> {
        let short = match (self.partial, self.headers.as_slice().first()) {
            (
                Some(PartialRecord {
                    header, missing, ..
                }),
                _,
            ) => Some((header.time, header.length - missing, header.length)),
            (None, Some(header)) => Some((header.time, 0, header.length)),
            (None, None) => None,
        };
        if let Some((time, received, length)) = short {
            let time = record_time(time);
            let text = format!("the record at {time} has {received} of {length} bytes");
            return Err(Error::new(Cause::Broken, text));
        }
        if self.surplus > 0 {
            let text = format!("{} bytes follow the last record of a batch", self.surplus);
            return Err(Error::new(Cause::Broken, text));
        }
        Ok(())
    }
}

/// Creates a record from its header and content.
pub fn record(header: RecordHeader, chunks: Vec<Bytes>) -> Record {
    Record {
        time: header.time,
        content_type: header.content_type,
        frame_rate: header.frame_rate,
        keyframe: header.keyframe,
        duration: header.duration,
        after_eviction: false,
        chunks,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::schema::VIDEO;

    fn record_headers(headers: &HeaderMap) -> Result<Vec<RecordHeader>, Error> {
        super::record_headers(headers, &VIDEO)
    }

    fn headers(headers: &[(&str, &str)]) -> HeaderMap {
        let parsed = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        parsed.collect()
    }

    fn header(time: u64, length: usize) -> RecordHeader {
        RecordHeader {
            time,
            length,
            content_type: "video/h264".into(),
            frame_rate: None,
            keyframe: None,
            duration: None,
        }
    }

    #[test]
    fn headers_give_the_records_in_order() {
        let parsed = record_headers(&headers(&[
            ("content-length", "12"),
            ("x-reduct-time-20", "7,video/h264,fps=30"),
            ("x-reduct-last", "true"),
            ("x-reduct-time-3", "5,video/h264"),
        ]));
        let with_rate = RecordHeader {
            frame_rate: Some("30".into()),
            ..header(20, 7)
        };
        assert_eq!(parsed.unwrap(), [header(3, 5), with_rate]);
        for (label, duration) in [
            ("2000000000", Some(2_000_000_000)),
            ("2s", None),
            ("-1", None),
        ] {
            let line = format!("5,video/mp4,duration={label}");
            let parsed = record_headers(&headers(&[("x-reduct-time-3", &line)])).unwrap();
            assert_eq!(parsed[0].duration, duration, "{label}");
        }
    }

    #[test]
    fn headers_that_cannot_be_read() {
        for bad in [
            ("x-reduct-time-", "5,video/h264"),
            ("x-reduct-time-x", "5,video/h264"),
            ("x-reduct-time-18446744073709551616", "5,video/h264"),
            ("x-reduct-time-1", ""),
            ("x-reduct-time-1", "-5,video/h264"),
        ] {
            let error = record_headers(&headers(&[bad])).unwrap_err();
            assert_eq!(error.cause, Cause::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn labels_that_cannot_be_read() {
        let parsed = record_headers(&headers(&[("x-reduct-time-3", "5,video/h264,fps=\"30")]));
        assert_eq!(parsed.unwrap(), [header(3, 5)]);
    }

    #[test]
    fn bytes_that_no_label_has_cost_that_label_at_most() {
        let name = HeaderName::from_static("x-reduct-time-3");
        let value = HeaderValue::from_bytes(b"5,video/h264,a=caf\xe9,fps=30").unwrap();
        let parsed = record_headers(&HeaderMap::from_iter([(name, value)])).unwrap();
        let with_rate = RecordHeader {
            frame_rate: Some("30".into()),
            ..header(3, 5)
        };
        assert_eq!(parsed, [with_rate]);
    }

    #[test]
    fn labels_without_end_take_no_time() {
        let value = format!("5,video/h264{}", ",a=b".repeat(100_000));
        let begin = std::time::Instant::now();
        let parsed = record_headers(&headers(&[("x-reduct-time-3", &value)]));
        assert_eq!(parsed.unwrap(), [header(3, 5)]);
        assert!(begin.elapsed().as_millis() < 500);
    }

    #[test]
    fn headers_that_come_twice() {
        let twice = |second: &'static str| {
            let mut map = headers(&[("x-reduct-time-3", "5,video/h264")]);
            map.append("x-reduct-time-3", HeaderValue::from_static(second));
            record_headers(&map)
        };
        assert_eq!(twice("5,video/h264").unwrap(), [header(3, 5)]);
        let error = twice("6,video/h264").unwrap_err();
        assert_eq!(error.cause, Cause::Malformed);
        assert!(error.text.contains("(3 µs)"), "{}", error.text);
    }

    #[test]
    fn very_many_small_chunks_become_few() {
        let body: Vec<_> = (0..20_000).map(|i| i as u8).collect();
        let mut slicer = Slicer::new(vec![header(1, body.len())]);
        let mut records = Vec::new();
        for byte in &body {
            slicer.push(Bytes::copy_from_slice(&[*byte]), &mut records);
        }
        assert_eq!(records[0].chunks.len(), MANY_CHUNKS + 1);
        assert_eq!(records[0].chunks.concat(), body);
        slicer.finish().unwrap();
    }

    #[test]
    fn nothing_is_copied() {
        let chunk = Bytes::from_static(b"aabbb");
        let mut slicer = Slicer::new(vec![header(1, 2), header(2, 4)]);
        let mut records = Vec::new();
        slicer.push(chunk.clone(), &mut records);
        assert_eq!(records[0].chunks[0].as_ptr(), chunk.as_ptr());
        slicer.push(chunk.slice(..1), &mut records);
        let [first, second] = &records[1].chunks[..] else {
            panic!("{records:?}");
        };
        assert_eq!(first.as_ptr(), chunk[2..].as_ptr());
        assert_eq!(second.as_ptr(), chunk.as_ptr());
        slicer.finish().unwrap();
    }

    #[test]
    fn bodies_that_are_short_or_long() {
        let lengths = [4, 3];
        let body = b"aaaabbbc";
        for length in [0, 3, 4, 5, 6, 8] {
            let headers = lengths
                .iter()
                .zip(1..)
                .map(|(&length, time)| header(time, length));
            let mut slicer = Slicer::new(headers.collect());
            let body = Bytes::from_static(&body[..length]);
            slicer.push(body, &mut Vec::new());
            let error = slicer.finish().unwrap_err();
            assert_eq!(error.cause, Cause::Broken, "{length} bytes");
        }
    }

    proptest! {
        /// The records do not depend on the chunks of the body.
        #[test]
        fn chunks_do_not_matter(
            lengths in prop::collection::vec(0usize..9, 0..9),
            cuts in prop::collection::vec(0usize..40, 0..9),
        ) {
            let total = lengths.iter().sum::<usize>();
            let body: Bytes = (0..total as u8).collect();
            let mut cuts: Vec<_> = cuts.iter().map(|&cut| cut.min(total)).collect();
            cuts.extend([0, total]);
            cuts.sort_unstable();

            let headers = lengths.iter().zip(1..).map(|(&length, time)| header(time, length));
            let mut slicer = Slicer::new(headers.collect());
            let mut records = Vec::new();
            for cut in cuts.windows(2) {
                slicer.push(body.slice(cut[0]..cut[1]), &mut records);
            }
            prop_assert!(slicer.finish().is_ok());
            prop_assert!(records.iter().map(|record| record.time).eq(1..=lengths.len() as u64));
            prop_assert!(records.iter().map(|record| record.length() as usize).eq(lengths));
            let contents = records.iter().flat_map(|record| record.chunks.concat());
            prop_assert!(contents.eq(body));
        }
    }
}
