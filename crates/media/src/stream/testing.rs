// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Streams of small groups of pictures for tests, and the reading of their records.

use bytes::Bytes;

use super::counts::StreamCounts;
use super::error::StreamError;
use super::finding::Finding;
use super::frame::Frame;
use super::item::StreamItem;
use super::record_tag::RecordTag;
use super::recorded_stream::RecordedStream;
use crate::codec::h264::testing::{
    IDR, Order, P, SPS, SliceSpec, SpsSpec, pps, record, slice, sps,
};
use crate::time::{CaptureTime, Nanos};

/// Capture time of the first record in µs since the Unix epoch.
pub const T: u64 = 1_750_000_000_000_000;
/// Duration of a frame in µs.
pub const FRAME: u64 = 40_000;
/// Pictures in decoding order, none of which is shown before one that precedes it.
pub const IN_ORDER: SpsSpec = SpsSpec {
    order: Order::LongLsb,
    max_num_reorder_frames: Some(0),
    ..SPS
};

/// Returns the SPS and the PPS of the pictures.
pub fn sets(spec: SpsSpec) -> [Vec<u8>; 2] {
    [sps(spec), pps(0)]
}

/// Returns the slice of the picture with this `frame_num`, which is shown at `place` in its sequence.
pub fn picture(spec: SpsSpec, frame_num: u8, place: u8) -> Vec<u8> {
    let header = match place {
        0 => IDR,
        _ => P,
    };
    slice(SliceSpec {
        sps: spec,
        frame_num: frame_num % 16,
        order: 2 * place,
        ..header
    })
}

/// Returns access units in order, where each so many begin with an IDR picture and its parameter sets.
pub fn pictures(count: usize, group: usize) -> Vec<Bytes> {
    let unit = |index: usize| {
        let place = (index % group) as u8;
        let picture = picture(IN_ORDER, place, place);
        match (place, sets(IN_ORDER)) {
            (0, [sps, pps]) => record(&[&sps, &pps, &picture]),
            _ => record(&[&picture]),
        }
    };
    (0..count).map(unit).collect()
}

/// Returns the tag of the record of the frame with this number.
pub fn tag(frame: u64) -> RecordTag {
    RecordTag {
        time: T + frame * FRAME,
        ..RecordTag::default()
    }
}

/// Returns the tag of that record with a label `fps`.
pub fn rated(frame: u64, rate: &str) -> RecordTag {
    RecordTag {
        frame_rate: Some(rate.into()),
        ..tag(frame)
    }
}

/// Returns records of so many access units each, with the right label `fps`.
pub fn in_groups(units: &[Bytes], size: usize) -> Vec<(RecordTag, Bytes)> {
    let groups = units.chunks(size).enumerate();
    let records =
        groups.map(|(index, units)| (rated((index * size) as u64, "25"), units.concat().into()));
    records.collect()
}

/// Returns records of one access unit each, without labels, of frames with these numbers.
pub fn one_by_one(
    units: &[Bytes],
    frames: impl IntoIterator<Item = u64>,
) -> Vec<(RecordTag, Bytes)> {
    let records = units.iter().cloned().zip(frames);
    records.map(|(unit, frame)| (tag(frame), unit)).collect()
}

/// Results of a stream.
#[derive(Debug)]
pub struct Reading {
    pub items: Vec<StreamItem>,
    pub error: Option<StreamError>,
    pub counts: StreamCounts,
    pub findings: Vec<Finding>,
}

impl Reading {
    /// Reads all records of a stream.
    pub fn new(stream: &mut RecordedStream, records: &[(RecordTag, Bytes)]) -> Self {
        let mut reading = Self {
            items: Vec::new(),
            error: None,
            counts: StreamCounts::default(),
            findings: Vec::new(),
        };
        for (tag, content) in records {
            stream.push(tag.clone(), vec![content.clone()]);
            reading.drain(stream);
        }
        stream.finish();
        reading.drain(stream);
        reading.counts = stream.take_counts();
        reading.findings = stream.take_findings();
        reading
    }

    /// Takes all items that are known.
    pub fn drain(&mut self, stream: &mut RecordedStream) {
        loop {
            match stream.pop() {
                Ok(Some(item)) => self.items.push(item),
                Ok(None) => return,
                Err(error) => self.error = Some(error),
            }
        }
    }

    /// Returns the frames.
    pub fn frames(&self) -> Vec<&Frame> {
        let frames = self.items.iter().filter_map(|item| match item {
            StreamItem::Frame(frame) => Some(frame),
            _ => None,
        });
        frames.collect()
    }

    /// Returns the bytes of the frames.
    pub fn contents(&self) -> Vec<Vec<u8>> {
        let contents = self
            .frames()
            .into_iter()
            .map(|frame| frame.unit.parts.concat());
        contents.collect()
    }

    /// Returns the PTS of the frames, in µs.
    pub fn pts(&self) -> Vec<u64> {
        self.frames()
            .iter()
            .map(|frame| frame.pts.useconds())
            .collect()
    }

    /// Returns the warnings.
    pub fn warnings(&self) -> Vec<&str> {
        let warnings = self.items.iter().filter_map(|item| match item {
            StreamItem::Warning(text) => Some(text.as_str()),
            _ => None,
        });
        warnings.collect()
    }
}

/// Returns the capture time of the frame with this number.
pub fn at(frame: u64) -> CaptureTime {
    CaptureTime::from_useconds(T + frame * FRAME)
}

/// Returns the time of so many frames.
pub fn lasting(frames: u64) -> Nanos {
    Nanos::from_useconds(frames * FRAME)
}
