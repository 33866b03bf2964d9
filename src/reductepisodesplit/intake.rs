// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Access units for MP4 files from the buffers that come into the bin.
//!
//! h264parse is not asked. It makes access units where a slice has macroblock 0, so that each field
//! of a frame is one, and with it a sample; it leaves out what it cannot parse, and takes I pictures
//! for keyframes.

use bytes::Bytes;
use media::access_unit::{AccessUnit, Integrity};
use media::assemble::{Assembler, InputFormat};
use media::codec::length_prefixed;
use media::cut::PictureFacts;

use super::CAT;
use super::caps::{codec_data, parameter_sets};

/// An access unit in a buffer, with four-byte lengths before its NAL units (ISO/IEC 14496-15).
#[derive(Debug)]
pub struct ParsedBuffer {
    /// Times, flags and metas are those of the buffer in which it began.
    pub buffer: gst::Buffer,
    pub picture: PictureFacts,
}

/// Makes access units of buffers. One for each stream of buffers in a row.
#[derive(Debug, Default)]
pub struct Intake {
    assembler: Assembler<gst::Buffer>,
    dropped: u64,
}

impl Intake {
    /// Sets the format of the buffers that follow.
    pub fn set_caps(&mut self, caps: &gst::CapsRef) {
        let structure = caps.structure(0);
        let field = |name| structure.and_then(|structure| structure.get::<&str>(name).ok());
        let codec_data = codec_data(caps);
        if let Some(sets) = parameter_sets(caps) {
            self.assembler.put_parameter_sets(&sets);
        }
        let is_byte_stream = match field("stream-format") {
            Some(format) => format == "byte-stream",
            None => codec_data.is_none(),
        };
        let length_size =
            codec_data.and_then(|codec_data| length_prefixed::length_size(&codec_data));
        self.assembler.set_format(InputFormat {
            length_size: (!is_byte_stream).then_some(length_size.unwrap_or(4)),
            has_access_units: match field("alignment") {
                Some(alignment) => alignment == "au",
                None => !is_byte_stream,
            },
        });
    }

    /// Takes the next buffer. [`pop`](Self::pop) returns the access units that it completes.
    pub fn push(&mut self, buffer: gst::Buffer) {
        let Ok(map) = buffer.clone().into_mapped_buffer_readable() else {
            gst::warning!(CAT, "{buffer:?} cannot be read");
            self.dropped += 1;
            return;
        };
        let data = Bytes::from_owner(map);
        let taken = (self.assembler).push(data, buffer.clone(), |first, second| {
            prolong(first, second.duration());
        });
        if taken.is_truncated {
            gst::warning!(CAT, "{buffer:?} ends within a NAL unit");
        }
        if let Some(damage) = taken.pushed.damage {
            gst::warning!(CAT, "Something of {buffer:?} is left out: {damage}");
            let is_lost = self.assembler.format().has_access_units && taken.pushed.begun == 0;
            self.dropped += u64::from(is_lost);
        }
    }

    /// Completes the last access unit: nothing that belongs to it follows.
    pub fn end_run(&mut self) {
        self.assembler.end_run();
    }

    /// Drops everything that was taken.
    pub fn flush(&mut self) {
        self.assembler.flush();
    }

    /// Returns the next access unit that is complete and can be decoded.
    pub fn pop(&mut self) -> Option<ParsedBuffer> {
        loop {
            let (unit, begun) = self.assembler.pop()?;
            match unit.order {
                Some(_) => return Some(length_prefixed(&unit, begun)),
                None => self.dropped += 1,
            }
        }
    }

    /// Returns the number of access units that could not be decoded since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

/// Adds the duration of a second field to the buffer of the first one.
fn prolong(first: &mut gst::Buffer, second: Option<gst::ClockTime>) {
    if let Some(more) = second {
        let sum = first
            .duration()
            .map(|duration| duration.saturating_add(more));
        first.make_mut().set_duration(sum);
    }
}

fn length_prefixed(unit: &AccessUnit, begun: Option<gst::Buffer>) -> ParsedBuffer {
    let size: usize = unit.parts.iter().map(|part| part.len()).sum();
    let mut contents = Vec::with_capacity(size + 16);
    let picture = PictureFacts::read(unit, |nal| {
        // No access unit of the splitter is as large as 4 GiB.
        contents.extend_from_slice(&(nal.len() as u32).to_be_bytes());
        contents.extend_from_slice(nal);
    });
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
    ParsedBuffer { buffer, picture }
}
