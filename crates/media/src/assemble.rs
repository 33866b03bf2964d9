// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From buffers or records of any size to access units, each with the tag of the input that it begins in.

mod whole_records;

use std::collections::VecDeque;

use bytes::Bytes;

use self::whole_records::WholeRecords;
use crate::access_unit::AccessUnit;
use crate::codec::Damage;
use crate::codec::h264::{
    AccessUnitSplitter, Aligned, Aligner, EntryPoints, Next, ParameterSets, Pictures, Pushed,
    pictures,
};
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

/// A record after [`Assembler::split`].
#[derive(Debug)]
pub struct SplitRecord<T> {
    /// Tag of the record.
    pub tag: T,
    /// First damage of its content.
    pub damage: Option<Damage>,
    /// The record has an IDR picture that lacks parameter sets.
    pub lacks_idr: bool,
    pushed: Pushed,
}

impl<T> SplitRecord<T> {
    /// Returns the number of access units whose first slice is in the record.
    pub fn begun(&self) -> usize {
        self.pushed.begun
    }
}

/// Tag of a record, and the number of access units that begin in it.
pub type Begun<T> = (T, usize);

/// Splits buffers or records into access units and hands on with each the tag, such as times, of the one that it
/// begins in.
///
/// Buffers, which end with NAL units, are split by [`push`](Self::push). A complete access unit comes out as soon as the
/// next one begins, or with its buffer where [`InputFormat::has_access_units`] says so.
///
/// Records, which end anywhere in a byte stream, are taken by [`push_record`](Self::push_record), and come out of
/// [`next_aligned`](Self::next_aligned) as soon as they end with a NAL unit, to be looked at and [split](Self::split).
/// The assembler detects records of whole access units. It clones the tags, which should be cheap to clone.
///
/// Access units share memory with the input. Only NAL units that are cut are copied, and length-prefixed buffers.
#[derive(Debug)]
pub struct Assembler<T> {
    format: InputFormat,
    aligner: Aligner<T>,
    /// Records that end with NAL units, and are not split yet.
    aligned: VecDeque<Aligned<T>>,
    whole: WholeRecords,
    splitter: AccessUnitSplitter,
    complete: VecDeque<AccessUnit>,
    /// Tags of the access units that began and did not come out. `None` for all but the first of a
    /// buffer: their times are unknown.
    tags: VecDeque<Option<T>>,
    /// Tag of the first input with NAL units that precede the slices of the next access unit. Parsers
    /// attach the times and flags of an access unit to its first NAL unit.
    leading: Option<T>,
    /// A record that the next access unit begins in, and the number of its access units so far.
    opened: Option<Begun<T>>,
    /// An access unit began in a record.
    has_begun: bool,
}

impl<T: Clone> Default for Assembler<T> {
    fn default() -> Self {
        Self::new(false)
    }
}

impl<T: Clone> Assembler<T> {
    /// Returns an assembler of a stream that is `joined` where it does not begin, or not.
    pub fn new(joined: bool) -> Self {
        Self {
            format: InputFormat::default(),
            aligner: Aligner::new(joined),
            aligned: VecDeque::new(),
            whole: WholeRecords::default(),
            splitter: AccessUnitSplitter::default(),
            complete: VecDeque::new(),
            tags: VecDeque::new(),
            leading: None,
            opened: None,
            has_begun: false,
        }
    }

    /// Presumes that records hold whole access units, until one does not. Without that the first ones wait for the next
    /// one.
    pub fn presume_whole_records(&mut self) {
        self.whole = WholeRecords::presumed();
    }

    /// Returns an assembler of another part of the stream, with the parameter sets of this one.
    pub fn with_same_sets(&self) -> Self {
        Self {
            splitter: self.splitter.with_same_sets(),
            ..Self::new(true)
        }
    }

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

    /// Adds parameter sets from before the stream, which the next access unit gets.
    pub fn adopt(&mut self, sets: ParameterSets) {
        self.splitter.adopt(sets);
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
        let pushed = self.splitter.push(&data, &mut self.complete);
        if pushed.completes_pair
            && let Some(Some(first)) = self.tags.back_mut()
        {
            join(first, &tag);
        }
        if let Some(first) = self.take_lead(tag, pushed, !self.format.has_access_units) {
            self.tags.push_back(Some(first));
            self.tags.extend((1..pushed.begun).map(|_| None));
        }
        if self.format.has_access_units {
            self.splitter.end_access_unit(&mut self.complete);
        }
        Taken {
            pushed,
            is_truncated,
        }
    }

    /// Takes the next record in the chunks that it came in, with its tag.
    pub fn push_record(&mut self, chunks: Vec<Bytes>, tag: T) {
        self.aligner.push(tag, chunks, &mut self.aligned);
        if self.aligner.cuts_nal_units() {
            self.whole.note_cut();
        }
    }

    /// Notes that records are missing before the next one.
    pub fn lose(&mut self) {
        self.aligner.end(true, &mut self.aligned);
        if self.aligned.is_empty() {
            self.end_before_loss();
        }
    }

    /// Ends the last record. Returns whether records are still to be split.
    pub fn end_records(&mut self) -> bool {
        self.aligner.end(false, &mut self.aligned);
        self.has_aligned()
    }

    /// Ends the last record as soon as records may hold whole access units: the next one may come late.
    pub fn end_early(&mut self) {
        if self.aligned.is_empty() && self.whole.may_end_here() {
            self.aligner.end_record(&mut self.aligned);
        }
    }

    /// Returns the next record of whole NAL units, to be passed to [`split`](Self::split).
    pub fn next_aligned(&mut self) -> Option<Aligned<T>> {
        self.aligned.pop_front()
    }

    /// Returns whether records are still to be split.
    pub fn has_aligned(&self) -> bool {
        !self.aligned.is_empty()
    }

    /// Returns whether a record begins with slices whose parameter sets never came.
    pub fn lacks_parameter_sets(&self, aligned: &Aligned<T>) -> bool {
        self.splitter.lacks_parameter_sets(&aligned.pieces)
    }

    /// Notes that a record of whole NAL units is left out.
    pub fn skip(&mut self) {
        self.leading = None;
    }

    /// Splits a record. If `is_prompt`, its last access unit is complete as soon as records are known to hold whole
    /// ones. [`begun`](Self::begun) takes the result, where access units are to have tags.
    pub fn split(&mut self, aligned: Aligned<T>, is_prompt: bool) -> SplitRecord<T> {
        let Aligned { record, pieces, .. } = aligned;
        let pushed = self.splitter.push_record(&pieces, &mut self.complete);
        if aligned.is_cut {
            self.splitter.cut_last_nal_unit();
        }
        if self.whole.note(pushed) && is_prompt {
            self.splitter.end_access_unit(&mut self.complete);
        }
        if aligned.is_before_loss {
            self.end_before_loss();
        }
        let damage = aligned.damage.or(pushed.damage);
        SplitRecord {
            lacks_idr: damage == Some(Damage::NoParameterSets)
                && pictures(&pieces, EntryPoints::Idr) == Pictures::Keyframe,
            tag: record,
            damage,
            pushed,
        }
    }

    /// Assigns tags to the access units of a record, and returns the records all whose access units are known by now, in
    /// order.
    ///
    /// An access unit begins with its slices where records hold whole NAL units, which may be parameter sets that
    /// were recorded long before; with its first byte where records end anywhere. Its tag is that of the first record
    /// with a byte of it.
    pub fn begun(&mut self, split: SplitRecord<T>) -> [Option<Begun<T>>; 2] {
        let SplitRecord { tag, pushed, .. } = split;
        let mut units = pushed.begun;
        if let Some(lead) = self.take_lead(tag.clone(), pushed, true) {
            self.has_begun = true;
            let begins_before = pushed.begun_before && self.aligner.cuts_nal_units();
            let opened = self.opened.as_mut().filter(|_| begins_before);
            let first = opened.map_or(lead, |(opened, count)| {
                *count += 1;
                units -= 1;
                opened.clone()
            });
            let others = std::iter::repeat_n(tag.clone(), pushed.begun - 1);
            self.tags
                .extend([first].into_iter().chain(others).map(Some));
        }
        if pushed.next == Next::Before && self.opened.is_some() {
            return [None, None];
        }
        let opened = self.opened.take();
        // A record of which no access unit is known yet delays none.
        if pushed.next == Next::Here && (units == 0 || self.aligner.cuts_nal_units()) {
            self.opened = Some((tag, units));
            return [opened, None];
        }
        [opened, Some((tag, units))]
    }

    /// Returns the last record, if not all of its access units are known: none follows.
    pub fn take_opened(&mut self) -> Option<Begun<T>> {
        self.opened.take()
    }

    /// Completes the last access unit: nothing that belongs to it follows.
    pub fn end_run(&mut self) {
        self.splitter.end_run(&mut self.complete);
    }

    /// Ends the stream: completes the last access unit, and returns the number of bytes after it, which belong to none.
    pub fn finish(&mut self) -> usize {
        self.splitter.finish(&mut self.complete)
    }

    /// Drops everything that was taken, but keeps parameter sets.
    pub fn flush(&mut self) {
        self.splitter.finish(&mut self.complete);
        self.complete.clear();
        self.tags.clear();
        self.leading = None;
        self.aligner = Aligner::new(true);
        self.aligned.clear();
        self.opened = None;
    }

    /// Drops all complete access units, but not their tags: none is popped any more.
    pub fn clear(&mut self) {
        self.complete.clear();
    }

    /// Returns whether there is a complete access unit.
    pub fn is_ready(&self) -> bool {
        !self.complete.is_empty()
    }

    /// Returns the next complete access unit in decoding order with its tag, or `None` for the tag if it
    /// is not the first that begins in its buffer.
    pub fn pop(&mut self) -> Option<(AccessUnit, Option<T>)> {
        let unit = self.complete.pop_front()?;
        let tag = self.tags.pop_front().flatten();
        Some((unit, tag))
    }

    /// Returns whether an access unit began in a record.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns whether the last access unit may continue in records that follow: these were not seen to be whole.
    pub fn may_continue(&self) -> bool {
        (self.has_begun || self.aligner.is_open()) && !self.whole.are_whole()
    }

    /// Returns the splitter, for facts of the stream.
    pub fn splitter(&self) -> &AccessUnitSplitter {
        &self.splitter
    }

    /// Returns the tag of the first access unit whose first slice is in the input with this `tag`, or `None` without
    /// one. `may_lead`: NAL units of an input without slices belong to an access unit that follows.
    fn take_lead(&mut self, tag: T, pushed: Pushed, may_lead: bool) -> Option<T> {
        if pushed.begun > 0 {
            return Some(self.leading.take().unwrap_or(tag));
        }
        if pushed.continues {
            self.leading = None;
        } else if may_lead {
            self.leading.get_or_insert(tag);
        }
        None
    }

    fn end_before_loss(&mut self) {
        self.splitter.end_run(&mut self.complete);
        self.splitter.lose();
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

    fn drain<T: Clone>(assembler: &mut Assembler<T>) -> Vec<(Vec<u8>, Option<T>)> {
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

    /// Splits the records that are complete. Returns their tags with the numbers of access units.
    fn split_all(assembler: &mut Assembler<usize>) -> Vec<Begun<usize>> {
        let mut begun = Vec::new();
        while let Some(aligned) = assembler.next_aligned() {
            let split = assembler.split(aligned, false);
            assert_eq!(split.damage, None);
            begun.extend(assembler.begun(split).into_iter().flatten());
        }
        begun
    }

    #[test]
    fn records_of_any_size_make_the_same_units() {
        let pictures = pictures(6);
        let (sps, pps) = (sps(SPS), pps(0));
        let units: Vec<Vec<u8>> = (pictures.iter().enumerate())
            .map(|(index, picture)| match index {
                0 => record(&[&sps, &pps, picture]).to_vec(),
                _ => record(&[&[9, 0xf0], picture]).to_vec(),
            })
            .collect();
        let stream = Bytes::from(units.concat());
        let starts: Vec<usize> = (0..units.len())
            .map(|count| units[..count].iter().map(Vec::len).sum())
            .collect();
        let mut checked = 0;
        for size in 1..=stream.len() {
            let mut assembler = Assembler::default();
            let (mut begun, mut is_cut) = (Vec::new(), false);
            for (tag, chunk) in stream.chunks(size).enumerate() {
                assembler.push_record(vec![stream.slice_ref(chunk)], tag);
                if begun.is_empty() {
                    is_cut = assembler.whole.are_disproved();
                }
                begun.extend(split_all(&mut assembler));
            }
            assembler.end_records();
            begun.extend(split_all(&mut assembler));
            begun.extend(assembler.take_opened());
            assert_eq!(assembler.finish(), 0);
            let made = drain(&mut assembler);
            let contents: Vec<_> = made.iter().map(|(bytes, _)| bytes).collect();
            assert_eq!(contents, units.iter().collect::<Vec<_>>(), "{size}");
            let count: usize = begun.iter().map(|(_, count)| count).sum();
            assert_eq!(count, units.len(), "{size}");
            if is_cut {
                checked += 1;
                // Each has the tag of the record with its first start code, after its zero_byte, and so have groups.
                let expected = starts.iter().map(|start| (start + 1) / size);
                let tags: Vec<_> = made.iter().filter_map(|(_, tag)| *tag).collect();
                assert_eq!(tags, expected.collect::<Vec<_>>(), "{size}");
                let groups = (begun.iter()).flat_map(|(tag, count)| vec![*tag; *count]);
                assert_eq!(groups.collect::<Vec<_>>(), tags, "{size}");
            }
        }
        assert!(checked > stream.len() / 2, "{checked}");
    }

    #[test]
    fn a_loss_ends_an_access_unit() {
        let pictures = pictures(3);
        let first = record(&[&sps(SPS), &pps(0), &pictures[0]]);
        let mut assembler = Assembler::new(true);
        assembler.push_record(vec![first.clone()], 1);
        assembler.lose();
        assert_eq!(split_all(&mut assembler), [(1, 1)]);
        assert_eq!(drain(&mut assembler), [(first.to_vec(), Some(1))]);
        assembler.push_record(vec![record(&[&pictures[2]])], 2);
        assembler.end_records();
        split_all(&mut assembler);
        assembler.finish();
        let (unit, tag) = assembler.pop().expect("a unit");
        assert!(unit.after_loss);
        assert_eq!(tag, Some(2));
    }

    #[test]
    fn records_share_memory_with_their_access_units() {
        let pictures = pictures(2);
        let data = record(&[&sps(SPS), &pps(0), &pictures[0], &pictures[1]]);
        let mut assembler = Assembler::default();
        assembler.push_record(vec![data.clone()], 1);
        assembler.end_records();
        split_all(&mut assembler);
        assembler.finish();
        let (unit, _) = assembler.pop().expect("a unit");
        assert_eq!(unit.parts[0].bytes().as_ptr(), data.as_ptr(), "no copy");
        assert_eq!(unit.parts[0].nal_units().count(), 3);
    }
}
