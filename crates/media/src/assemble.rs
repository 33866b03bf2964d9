// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From buffers or records of any size to access units, each with the value that came with its first byte.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::access_unit::AccessUnit;
use crate::codec::h264::{AccessUnitSplitter, ParameterSets, Pushed};
use crate::codec::length_prefixed;

/// Format of the buffers that an [`Assembler`] takes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct InputFormat {
    /// Size in bytes of the lengths before NAL units (ISO/IEC 14496-15); `None` for a byte stream.
    pub length_size: Option<usize>,
    /// Each buffer ends with an access unit, or with a field of a frame.
    pub has_access_units: bool,
}

/// Result of [`Assembler::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Result of the splitter.
    pub pushed: Pushed,
    /// The last length of a length-prefixed buffer exceeds the buffer.
    pub is_truncated: bool,
}

/// Splits buffers into access units and hands on with each the tag, such as times, of the buffer that it
/// begins in.
///
/// A complete access unit comes out as soon as the next one begins, or with its buffer where
/// [`InputFormat::has_access_units`] says so.
#[derive(Debug)]
pub struct Assembler<T> {
    format: InputFormat,
    splitter: AccessUnitSplitter,
    split: VecDeque<AccessUnit>,
    /// Tags of the access units that began and did not come out. `None` for all but the first of a
    /// buffer: their times are unknown.
    begun: VecDeque<Option<T>>,
    /// Tag of the first buffer with NAL units that precede the slices of the next access unit. Parsers
    /// attach the times and flags of an access unit to its first NAL unit.
    leading: Option<T>,
}

impl<T> Default for Assembler<T> {
    fn default() -> Self {
        Self {
            format: InputFormat::default(),
            splitter: AccessUnitSplitter::default(),
            split: VecDeque::new(),
            begun: VecDeque::new(),
            leading: None,
        }
    }
}

impl<T> Assembler<T> {
    /// Sets the format of the buffers that follow.
    pub fn set_format(&mut self, format: InputFormat) {
        self.format = format;
    }

    /// Returns the format of the buffers.
    pub fn format(&self) -> InputFormat {
        self.format
    }

    /// Adds parameter sets from outside of the stream, such as those of an
    /// `AVCDecoderConfigurationRecord`.
    pub fn put_parameter_sets(&mut self, sets: &ParameterSets) {
        for nal in sets.iter() {
            self.splitter.put_parameter_set(nal);
        }
    }

    /// Takes the next buffer with its tag.
    ///
    /// For a buffer with the second field of a frame, `join` gets the tag of the first one, to extend its
    /// duration.
    pub fn push(&mut self, data: Bytes, tag: T, join: impl FnOnce(&mut T, &T)) -> Taken {
        let mut is_truncated = false;
        let data = match self.format.length_size {
            Some(size) => {
                is_truncated = length_prefixed::nal_units(size, &data).any(|nal| nal.is_none());
                length_prefixed::to_byte_stream(size, &data).into()
            }
            None => data,
        };
        let pushed = self.splitter.push(&data, &mut self.split);
        if pushed.completes_pair
            && let Some(Some(first)) = self.begun.back_mut()
        {
            join(first, &tag);
        }
        if pushed.begun > 0 {
            let first = self.leading.take().unwrap_or(tag);
            self.begun.push_back(Some(first));
            self.begun.extend((1..pushed.begun).map(|_| None));
        } else if pushed.continues {
            self.leading = None;
        } else if !self.format.has_access_units {
            self.leading.get_or_insert(tag);
        }
        if self.format.has_access_units {
            self.splitter.end_access_unit(&mut self.split);
        }
        Taken {
            pushed,
            is_truncated,
        }
    }

    /// Completes the last access unit: nothing that belongs to it follows.
    pub fn end_run(&mut self) {
        self.splitter.end_run(&mut self.split);
    }

    /// Drops everything that was taken, but keeps parameter sets.
    pub fn flush(&mut self) {
        self.splitter.finish(&mut self.split);
        self.split.clear();
        self.begun.clear();
        self.leading = None;
    }

    /// Returns the next complete access unit in decoding order with its tag, or `None` for the tag if it
    /// is not the first that begins in its buffer.
    pub fn pop(&mut self) -> Option<(AccessUnit, Option<T>)> {
        let unit = self.split.pop_front()?;
        let tag = self.begun.pop_front().flatten();
        Some((unit, tag))
    }

    /// Returns the splitter, for facts of the stream.
    pub fn splitter(&self) -> &AccessUnitSplitter {
        &self.splitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::annexb::nal_units;
    use crate::codec::h264::testing::{IDR, P, SPS, SliceSpec, SpsSpec, pps, record, slice, sps};

    fn pictures(count: u8) -> Vec<Vec<u8>> {
        let other = |frame_num| SliceSpec {
            frame_num,
            order: 2 * frame_num,
            ..P
        };
        let others = (1..count).map(other);
        [IDR].into_iter().chain(others).map(slice).collect()
    }

    fn drain<T>(assembler: &mut Assembler<T>) -> Vec<(Vec<u8>, Option<T>)> {
        std::iter::from_fn(|| assembler.pop())
            .map(|(unit, tag)| (unit.parts.concat(), tag))
            .collect()
    }

    #[test]
    fn units_have_the_tag_of_the_buffer_that_they_begin_in() {
        let pictures = pictures(4);
        let (sps, pps) = (sps(SPS), pps(0));
        let first = record(&[&sps, &pps, &pictures[0], &pictures[1]]);
        let mut assembler = Assembler::default();
        assembler.push(first, 1, |_, _| ());
        assert_eq!(drain(&mut assembler).len(), 1);
        assembler.push(record(&[&[9, 0xf0]]), 2, |_, _| ());
        assembler.push(record(&[&pictures[2]]), 3, |_, _| ());
        assembler.push(record(&[&pictures[3]]), 4, |_, _| ());
        assembler.end_run();
        let tags: Vec<_> = drain(&mut assembler)
            .into_iter()
            .map(|(_, tag)| tag)
            .collect();
        assert_eq!(tags, [None, Some(2), Some(4)]);
    }

    #[test]
    fn whole_units_come_out_at_once() {
        let pictures = pictures(2);
        let mut assembler = Assembler::default();
        assembler.set_format(InputFormat {
            has_access_units: true,
            ..Default::default()
        });
        let first = record(&[&sps(SPS), &pps(0), &pictures[0]]);
        for (tag, data) in [first, record(&[&pictures[1]])].into_iter().enumerate() {
            assembler.push(data.clone(), tag, |_, _| ());
            assert_eq!(drain(&mut assembler), [(data.to_vec(), Some(tag))]);
        }
    }

    #[test]
    fn lengths_become_start_codes() {
        let pictures = pictures(1);
        let stream = record(&[&sps(SPS), &pps(0), &pictures[0]]);
        let mut prefixed = Vec::new();
        for nal in nal_units(&stream) {
            prefixed.extend((nal.bytes.len() as u16).to_be_bytes());
            prefixed.extend(&stream[nal.bytes]);
        }
        let mut assembler = Assembler::default();
        assembler.set_format(InputFormat {
            length_size: Some(2),
            has_access_units: true,
        });
        let taken = assembler.push(prefixed.clone().into(), (), |_, _| ());
        assert!(!taken.is_truncated && taken.pushed.begun == 1);
        let nals = |data: &[u8]| {
            let nals = nal_units(data).map(|nal| data[nal.bytes].to_vec());
            nals.collect::<Vec<_>>()
        };
        assert_eq!(nals(&drain(&mut assembler)[0].0), nals(&stream));
        prefixed.truncate(prefixed.len() - 1);
        assert!(assembler.push(prefixed.into(), (), |_, _| ()).is_truncated);
    }

    #[test]
    fn the_tags_of_two_fields_are_joined() {
        let interlaced = SpsSpec {
            interlaced: true,
            ..SPS
        };
        let field = |header: SliceSpec, bottom: bool| {
            slice(SliceSpec {
                sps: interlaced,
                bottom_field: Some(bottom),
                order: u8::from(bottom),
                frame_num: 0,
                ..header
            })
        };
        let mut assembler = Assembler::default();
        assembler.set_format(InputFormat {
            has_access_units: true,
            ..Default::default()
        });
        let first = record(&[&sps(interlaced), &pps(0), &field(IDR, false)]);
        assembler.push(first, 20, |_, _| ());
        assert!(assembler.pop().is_none());
        assembler.push(record(&[&field(P, true)]), 20, |sum, more| *sum += more);
        assert_eq!(drain(&mut assembler)[0].1, Some(40));
    }

    #[test]
    fn a_flush_drops_what_came() {
        let pictures = pictures(2);
        let mut assembler = Assembler::default();
        let first = record(&[&sps(SPS), &pps(0), &pictures[0]]);
        assembler.push(first, 1, |_, _| ());
        assembler.push(record(&[&pictures[1]]), 2, |_, _| ());
        assembler.flush();
        assert!(assembler.pop().is_none());
        assembler.push(record(&[&pictures[0]]), 3, |_, _| ());
        assembler.end_run();
        assert_eq!(drain(&mut assembler)[0].1, Some(3), "the sets are known");
    }
}
