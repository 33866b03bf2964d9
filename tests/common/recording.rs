// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Lays a stream out as records, the way a camera would have written it.

use std::ops::Range;

use super::server::{Record, Server};
use super::stream::{Stream, is_idr, nal_ranges, nal_type};

/// Content of one record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// An access unit.
    AccessUnit,
    /// A number of access units, wherever the IDRs are.
    AccessUnits(usize),
    /// A GOP.
    Gop,
    /// A number of GOPs.
    Gops(usize),
    /// A NAL unit; those of one access unit are 1 µs apart.
    Nal,
}

/// A layout of each kind.
pub const LAYOUTS: [Layout; 5] = [
    Layout::AccessUnit,
    Layout::Gop,
    Layout::Gops(2),
    Layout::AccessUnits(3),
    Layout::Nal,
];

/// Layout and times of a recording.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Content of one record.
    pub layout: Layout,
    /// Capture time of the first frame, µs since the Unix epoch.
    pub start_us: u64,
    /// The labels of each record.
    pub labels: &'static [(&'static str, &'static str)],
    /// The content type of each record.
    pub content_type: &'static str,
    /// Holes in time: before the frame with this index, this many µs without any frame.
    pub holes: Vec<(usize, u64)>,
    /// Frames that were captured and are in no record, so that times have a hole.
    pub lost: Vec<Range<usize>>,
    /// Error of a record's time in µs, by its index.
    pub jitter_us: fn(usize) -> i64,
}

impl Default for Recording {
    /// ReductStore's own example: one GOP a record, label `fps`.
    fn default() -> Self {
        Self {
            layout: Layout::Gop,
            // 2025-06-13T08:30:53.273752Z
            start_us: 1_749_803_453_273_752,
            labels: &[("fps", "10")],
            content_type: "video/h264",
            holes: Vec::new(),
            lost: Vec::new(),
            jitter_us: |_| 0,
        }
    }
}

/// A record and what it holds of the stream.
#[derive(Clone, Debug)]
pub struct Laid {
    /// The frames that start in it; none in a record without a picture.
    pub frames: Range<usize>,
    /// The record.
    pub record: Record,
}

impl Recording {
    /// Lays the stream out and writes it.
    pub fn write(&self, server: &Server, bucket: &str, entry: &str, stream: &Stream) -> Vec<Laid> {
        let laid = self.lay(stream);
        server.write_all(bucket, entry, laid.iter().map(|laid| &laid.record));
        laid
    }

    /// Lays the stream out.
    pub fn lay(&self, stream: &Stream) -> Vec<Laid> {
        let mut parts = Vec::new();
        for frames in self.groups(stream) {
            let time_us = self.frame_us(frames.start, stream.fps);
            if self.layout == Layout::Nal {
                parts.extend(nals(frames.start, time_us, &stream.units[frames.start]));
            } else {
                parts.push((frames.clone(), time_us, stream.units[frames].concat()));
            }
        }
        parts
            .into_iter()
            .enumerate()
            .map(|(index, (frames, time_us, bytes))| Laid {
                frames,
                record: Record {
                    time_us: time_us.strict_add_signed((self.jitter_us)(index)),
                    content_type: self.content_type.into(),
                    labels: (self.labels.iter())
                        .map(|&(key, value)| (key.into(), value.into()))
                        .collect(),
                    bytes: bytes.into(),
                },
            })
            .collect()
    }

    /// Capture time of a frame without jitter.
    pub fn frame_us(&self, frame: usize, fps: (u32, u32)) -> u64 {
        let holes = self.holes.iter().filter(|&&(before, _)| before <= frame);
        self.start_us + frames_us(frame, fps) + holes.map(|&(_, us)| us).sum::<u64>()
    }

    /// The frames of each record.
    fn groups(&self, stream: &Stream) -> Vec<Range<usize>> {
        let mut groups: Vec<Range<usize>> = Vec::new();
        let mut gops = 0;
        for (frame, unit) in stream.units.iter().enumerate() {
            if self.lost.iter().any(|lost| lost.contains(&frame)) {
                continue;
            }
            let idr = is_idr(unit);
            let group = groups.last_mut();
            // A record says one time, so what follows a hole or a loss is in another record.
            let follows = group.as_ref().is_some_and(|group| group.end == frame)
                && !self.holes.iter().any(|&(before, _)| before == frame);
            let fits = match (self.layout, &group) {
                (Layout::AccessUnits(n), Some(group)) => group.len() < n,
                (Layout::Gop, _) => !idr,
                (Layout::Gops(n), _) => !idr || gops < n,
                _ => false,
            };
            match group {
                Some(group) if follows && fits => {
                    group.end += 1;
                    gops += usize::from(idr);
                }
                _ => {
                    groups.push(frame..frame + 1);
                    gops = 1;
                }
            }
        }
        groups
    }
}

/// Capture time of each recorded frame: record time + i/fps for the i-th frame of a record.
pub fn capture_times_us(laid: &[Laid], fps: (u32, u32)) -> Vec<u64> {
    laid.iter()
        .flat_map(|laid| {
            (0..laid.frames.len()).map(move |i| laid.record.time_us + frames_us(i, fps))
        })
        .collect()
}

/// Duration of a number of frames, to the nearest µs.
pub fn frames_us(frames: usize, (num, den): (u32, u32)) -> u64 {
    let (num, den) = (u64::from(num), u64::from(den));
    (frames as u64 * den * 1_000_000 + num / 2) / num
}

/// An access unit, a NAL unit a record. The frame starts in the record of its first slice.
fn nals(frame: usize, time_us: u64, unit: &[u8]) -> Vec<(Range<usize>, u64, Vec<u8>)> {
    let mut frames = frame..frame + 1;
    (nal_ranges(unit).into_iter().zip(time_us..))
        .map(|(range, time_us)| {
            let nal = &unit[range];
            let code = nal
                .iter()
                .position(|&byte| byte == 1)
                .expect("a start code");
            let held = match nal_type(&nal[code + 1..]) {
                1 | 5 => std::mem::replace(&mut frames, frame + 1..frame + 1),
                _ => frames.start..frames.start,
            };
            (held, time_us, nal.to_vec())
        })
        .collect()
}

/// A recording that has its records so, and is the default one otherwise.
pub fn laid_out_as(layout: Layout) -> Recording {
    Recording {
        layout,
        ..Default::default()
    }
}

/// Capture time of a frame in a default recording of 10 fps, µs since the Unix epoch.
pub fn at(frame: usize) -> u64 {
    Recording::default().frame_us(frame, (10, 1))
}
