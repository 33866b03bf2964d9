// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Input of the cutter: access units with their times, and segments.

use bytes::Bytes;

use crate::access_unit::AccessUnit;
use crate::codec::h264::{FrameNumber, nal_type, nal_unit_type, referred_pps};
use crate::time::{CaptureTime, Nanos};

/// An access unit with its times and the payload that becomes a sample.
///
/// Times are running times without the delay that [`Cutter::begin_segment`](super::Cutter::begin_segment)
/// returns.
#[derive(Debug, Clone)]
pub struct InputUnit<P> {
    /// Contents of the sample, which reach the writer as they are.
    pub payload: P,
    /// Size of the payload in bytes.
    pub bytes: usize,
    /// Presentation timestamp; the latest one is taken if it is unknown.
    pub pts: Option<Nanos>,
    /// Decoding timestamp; the PTS is taken if it is unknown.
    pub dts: Option<Nanos>,
    /// Duration of the picture, if it is known.
    pub duration: Option<Nanos>,
    /// Capture time since the Unix epoch, if it is known.
    pub capture: Option<CaptureTime>,
    /// There may be something missing before it.
    pub is_discont: bool,
    /// It is damaged, or refers to pictures that are missing.
    pub is_corrupted: bool,
    /// Facts of its syntax.
    pub picture: PictureFacts,
}

/// Facts of the syntax of an access unit that decide where it can be cut.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PictureFacts {
    /// The picture is an IDR picture.
    pub idr: bool,
    /// `recovery_frame_cnt` of its recovery point.
    pub recovery_point: Option<u32>,
    /// It has only I slices.
    pub intra: bool,
    /// `frame_num`, if it can be decoded.
    pub frame_number: Option<FrameNumber>,
    /// The parameter sets in it, as NAL units.
    pub parameter_sets: Vec<Bytes>,
    /// The SPS that it refers to.
    pub sps_id: u8,
    /// The PPSs that its slices refer to, each once.
    pub pps_ids: Vec<u8>,
}

impl PictureFacts {
    /// Returns the facts of `unit`, and passes each of its NAL units to `each`, for a payload in another
    /// format.
    pub fn read(unit: &AccessUnit, mut each: impl FnMut(&[u8])) -> Self {
        let mut facts = Self {
            idr: unit.idr,
            recovery_point: unit.recovery_point,
            intra: unit.intra,
            frame_number: unit.frame_number,
            sps_id: unit.sps_id,
            ..Self::default()
        };
        for nal in unit.parts.iter().flat_map(|part| part.nal_units()) {
            each(&nal);
            match nal.first().map_or(0, |header| nal_unit_type(*header)) {
                nal_type::SPS | nal_type::SPS_EXTENSION | nal_type::PPS => {
                    facts.parameter_sets.push(nal);
                }
                nal_type::SLICE | nal_type::SLICE_PARTITION_A | nal_type::SLICE_IDR => {
                    let pps_id = referred_pps(&nal);
                    let is_new = |id: &u8| !facts.pps_ids.contains(id);
                    facts.pps_ids.extend(pps_id.filter(is_new));
                }
                _ => {}
            }
        }
        facts
    }
}

/// A segment of the input. Its access units have running times from its base on, also those that are not
/// shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct InputSegment {
    /// Time by which its running times are too late: the part of [`SegmentBegin::back`] that its base is
    /// too early for.
    pub late: Nanos,
    /// Time by which running times after this segment are later than those of the input: that from its
    /// first access unit to the first time that is shown.
    pub lead: Nanos,
    /// Running time of the first time that is shown.
    pub shown_from: Nanos,
    /// First running time that is not shown any more; `None` if all that follows is shown.
    pub shown_until: Option<Nanos>,
}

/// The begin of a segment that leaves out none of its access units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentBegin {
    /// First DTS of the segment, or its start: no time of an access unit is earlier.
    pub begin: Nanos,
    /// Distance by which running times have to be earlier than from `begin` on: within an episode that is
    /// resumed after a pause, times must not move by the distance from DTS to PTS.
    pub back: Nanos,
}

impl SegmentBegin {
    /// Returns the begin of a segment from its start and the times of its first access unit. It `resumes` if
    /// an episode continues in it after a pause.
    pub fn new(start: Nanos, first: Option<(Nanos, Nanos)>, resumes: bool) -> Self {
        let (pts, dts) = first.unwrap_or((start, start));
        let begin = start.min(pts).min(dts);
        let back = match resumes {
            true => start.min(pts) - begin,
            false => Nanos::ZERO,
        };
        Self { begin, back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::Assembler;
    use crate::codec::h264::testing::{AUD, IDR, SPS, pps, record, slice, sps};

    #[test]
    fn facts_of_a_keyframe() {
        let nals = [AUD.to_vec(), sps(SPS), pps(0), slice(IDR)];
        let stream = record(&nals.each_ref().map(Vec::as_slice));
        let mut assembler = Assembler::default();
        assembler.push(stream, (), |_, _| ());
        assembler.end_run();
        let (unit, _) = assembler.pop().unwrap();
        let mut seen = Vec::new();
        let facts = PictureFacts::read(&unit, |nal| seen.push(nal.to_vec()));
        assert_eq!(seen, nals);
        assert_eq!(facts.parameter_sets, nals[1..3]);
        assert_eq!((facts.sps_id, &facts.pps_ids[..]), (0, &[0][..]));
        assert!(facts.idr && facts.intra && facts.recovery_point.is_none());
    }
}
