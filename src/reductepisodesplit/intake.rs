// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! What comes into the bin, as access units of the format that MP4 files have.
//!
//! h264parse is not asked. It makes access units where a slice has macroblock 0, so that each field
//! of a frame is one, and with it a sample; it leaves out what it cannot parse, and takes I pictures
//! for keyframes.

use std::collections::VecDeque;

use bytes::Bytes;
use media::access_unit::{AccessUnit, Integrity};
use media::codec::h264::{
    AccessUnitSplitter, FrameNumber, ParameterSets, nal_type, nal_unit_type, referred_pps,
};
use media::codec::length_prefixed;

use super::CAT;
use super::format::codec_data;

/// An access unit with four-byte lengths before its NAL units (ISO/IEC 14496-15).
#[derive(Debug, Clone)]
pub struct Unit {
    /// Times, flags and metas are those of the buffer in which it began.
    pub buffer: gst::Buffer,
    pub idr: bool,
    /// `recovery_frame_cnt` of its recovery point.
    pub recovery_point: Option<u32>,
    /// It has only I slices.
    pub intra: bool,
    pub frame_number: Option<FrameNumber>,
    pub parameter_sets: Vec<Bytes>,
    /// The SPS that it refers to.
    pub sps_id: u8,
    /// The PPSs that its slices refer to, each once.
    pub pps_ids: Vec<u8>,
}

/// Makes access units of buffers. One for each stream of buffers in a row.
#[derive(Debug, Default)]
pub struct Intake {
    /// Size of the lengths in what comes in; `None` for a byte stream.
    length_size: Option<usize>,
    /// Each buffer ends with an access unit, or the field of a frame.
    has_access_units: bool,
    splitter: AccessUnitSplitter,
    split: VecDeque<AccessUnit>,
    /// The buffers in which access units began that are not complete; `None` for all but the first
    /// of a buffer, as nobody knows their times.
    begun: VecDeque<Option<gst::Buffer>>,
    /// The first buffer of what comes before the next access unit's slices. Parsers give the times
    /// and flags of an access unit to its first NAL unit.
    leading: Option<gst::Buffer>,
    dropped: u64,
}

impl Intake {
    /// Takes over the format of the buffers that follow.
    pub fn set_caps(&mut self, caps: &gst::CapsRef) {
        let structure = caps.structure(0);
        let field = |name| structure.and_then(|structure| structure.get::<&str>(name).ok());
        let codec_data = codec_data(caps);
        if let Some(codec_data) = &codec_data {
            ParameterSets::from_configuration(codec_data)
                .iter()
                .for_each(|nal| self.splitter.put_parameter_set(nal));
        }
        let is_byte_stream = match field("stream-format") {
            Some(format) => format == "byte-stream",
            None => codec_data.is_none(),
        };
        let length_size =
            codec_data.and_then(|codec_data| length_prefixed::length_size(&codec_data));
        self.length_size = (!is_byte_stream).then_some(length_size.unwrap_or(4));
        self.has_access_units = match field("alignment") {
            Some(alignment) => alignment == "au",
            None => !is_byte_stream,
        };
    }

    /// Takes the next buffer. The access units that it completes are to be had from
    /// [`pop`](Self::pop).
    pub fn push(&mut self, buffer: gst::Buffer) {
        let Ok(map) = buffer.clone().into_mapped_buffer_readable() else {
            gst::warning!(CAT, "{buffer:?} cannot be read");
            self.dropped += 1;
            return;
        };
        let data = match self.length_size {
            Some(size) => {
                if length_prefixed::nal_units(size, &map).any(|nal| nal.is_none()) {
                    gst::warning!(CAT, "{buffer:?} ends within a NAL unit");
                }
                length_prefixed::to_byte_stream(size, &map).into()
            }
            None => Bytes::from_owner(map),
        };
        let pushed = self.splitter.push(&data, &mut self.split);
        if let Some(damage) = pushed.damage {
            gst::warning!(CAT, "Something of {buffer:?} is left out: {damage}");
            self.dropped += u64::from(self.has_access_units && pushed.begun == 0);
        }
        if pushed.completes_pair {
            self.prolong(buffer.duration());
        }
        if pushed.begun > 0 {
            let first = self.leading.take().unwrap_or(buffer);
            self.begun.push_back(Some(first));
            self.begun.extend((1..pushed.begun).map(|_| None));
        } else if pushed.continues {
            self.leading = None;
        } else if !self.has_access_units {
            self.leading.get_or_insert(buffer);
        }
        if self.has_access_units {
            self.splitter.end_access_unit(&mut self.split);
        }
    }

    /// Nothing that belongs to the last access unit follows.
    pub fn end_run(&mut self) {
        self.splitter.end_run(&mut self.split);
    }

    /// What was taken is gone.
    pub fn flush(&mut self) {
        self.splitter.finish(&mut self.split);
        self.split.clear();
        self.begun.clear();
        self.leading = None;
    }

    /// The next access unit that is complete and can be decoded.
    pub fn pop(&mut self) -> Option<Unit> {
        loop {
            let unit = self.split.pop_front()?;
            let begun = self.begun.pop_front().flatten();
            match unit.order {
                Some(_) => return Some(length_prefixed(&unit, begun)),
                None => self.dropped += 1,
            }
        }
    }

    /// Access units that could not be decoded, since this was asked the last time.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The last access unit goes on, with a second field, for another `duration`.
    fn prolong(&mut self, duration: Option<gst::ClockTime>) {
        if let (Some(Some(begun)), Some(more)) = (self.begun.back_mut(), duration) {
            let sum = begun
                .duration()
                .map(|duration| duration.saturating_add(more));
            begun.make_mut().set_duration(sum);
        }
    }
}

fn length_prefixed(unit: &AccessUnit, begun: Option<gst::Buffer>) -> Unit {
    let size: usize = unit.parts.iter().map(|part| part.len()).sum();
    let mut contents = Vec::with_capacity(size + 16);
    let mut parameter_sets = Vec::new();
    let mut pps_ids = Vec::new();
    for part in &unit.parts {
        for nal in part.nal_units() {
            // No access unit that the splitter gives is as large as 4 GiB.
            contents.extend_from_slice(&(nal.len() as u32).to_be_bytes());
            contents.extend_from_slice(&nal);
            match nal_unit_type(nal[0]) {
                nal_type::SPS | nal_type::SPS_EXTENSION | nal_type::PPS => parameter_sets.push(nal),
                nal_type::SLICE | nal_type::SLICE_PARTITION_A | nal_type::SLICE_IDR => {
                    let pps_id = referred_pps(&nal);
                    pps_ids.extend(pps_id.filter(|id| !pps_ids.contains(id)));
                }
                _ => {}
            }
        }
    }
    let mut buffer = gst::Buffer::from_mut_slice(contents);
    if let (Some(begun), Some(buffer)) = (begun, buffer.get_mut()) {
        let what = gst::BufferCopyFlags::FLAGS
            | gst::BufferCopyFlags::TIMESTAMPS
            | gst::BufferCopyFlags::META;
        if let Err(err) = begun.copy_into(buffer, what, ..) {
            gst::warning!(CAT, "{err}");
        }
    }
    if unit.integrity != Integrity::Whole
        && let Some(buffer) = buffer.get_mut()
    {
        buffer.set_flags(gst::BufferFlags::CORRUPTED);
    }
    Unit {
        buffer,
        idr: unit.idr,
        recovery_point: unit.recovery_point,
        intra: unit.intra,
        frame_number: unit.frame_number,
        parameter_sets,
        sps_id: unit.sps_id,
        pps_ids,
    }
}
