// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Samples in the fragments of a file (ISO/IEC 14496-12, 8.8).

use std::ops::Range;

use super::box_file::BoxFile;
use super::boxes::{boxes, child, number};
use super::file_samples::{FileReadError, FileSample, SampleList};

/// Longest box `moof` that is read, in bytes.
const MAX_FRAGMENT: u64 = 1 << 27;
/// Flag in `sample_flags`: it is no sync sample (8.8.3.1).
const NO_SYNC: u32 = 0x0001_0000;

/// Values of samples whose fragment does not state them.
#[derive(Debug, Default, Clone, Copy)]
pub struct SampleDefaults {
    duration: u32,
    size: u32,
    flags: u32,
}

impl SampleDefaults {
    /// Reads the box `trex` (8.8.3). Returns the number of its track, too.
    pub fn read(trex: &[u8]) -> Option<(u32, Self)> {
        let mut fields = Words(trex.get(4..)?);
        let track = fields.next()?;
        fields.next()?;
        let defaults = Self {
            duration: fields.next()?,
            size: fields.next()?,
            flags: fields.next()?,
        };
        Some((track, defaults))
    }
}

/// Reads the fragments of a track, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct FragmentReader {
    /// Number of the track.
    pub track: u32,
    /// Defaults of its samples.
    pub defaults: SampleDefaults,
}

impl FragmentReader {
    /// Appends the samples of the box `moof` that begins at `start` and has its contents at `contents`.
    ///
    /// # Errors
    ///
    /// A box is broken or too long, or a sample is not one of the file.
    pub fn read(
        &self,
        file: &BoxFile<'_>,
        start: u64,
        contents: Range<u64>,
        list: &mut SampleList,
    ) -> Result<(), FileReadError> {
        if contents.end - contents.start > MAX_FRAGMENT {
            return Err(FileReadError::TooManyBoxes);
        }
        let contents = file.bytes(contents);
        let contents = contents.ok_or(FileReadError::Broken(*b"moof"))?;
        let mut tracks = boxes(&contents).filter(|found| found.kind == *b"traf");
        let Some(first) = tracks.next() else {
            return Ok(());
        };
        self.read_track(Some(start), start, first.contents, list)?;
        // Without a place of its own, any other counts from the end of the samples of the track before it.
        tracks.try_for_each(|traf| self.read_track(None, start, traf.contents, list))
    }

    /// Appends the samples of a box `traf` of the box `moof` at `start`. `implicit` is the place that it counts from
    /// without another one, if that is known.
    fn read_track(
        &self,
        implicit: Option<u64>,
        start: u64,
        traf: &[u8],
        list: &mut SampleList,
    ) -> Result<(), FileReadError> {
        let tfhd = child(traf, b"tfhd").and_then(|tfhd| self.read_header(tfhd, start, implicit));
        let (track, base, defaults) = tfhd.ok_or(FileReadError::Broken(*b"tfhd"))?;
        if track != self.track {
            return Ok(());
        }
        let base = base.ok_or(FileReadError::ImplicitPlace)?;
        let mut dts = match child(traf, b"tfdt") {
            Some(tfdt) => decode_time(tfdt).ok_or(FileReadError::Broken(*b"tfdt"))?,
            None => list.end(),
        };
        // Runs that do not state their place follow each other.
        let mut place = base;
        for trun in boxes(traf).filter(|found| found.kind == *b"trun") {
            let run = TrackRun::read(trun.contents, base, place, defaults);
            let run = run.ok_or(FileReadError::Broken(*b"trun"))?;
            place = run.append(&mut dts, list)?;
        }
        Ok(())
    }

    /// Reads the box `tfhd` (8.8.7): the track, the place that its samples count from, and defaults.
    fn read_header(
        &self,
        tfhd: &[u8],
        start: u64,
        implicit: Option<u64>,
    ) -> Option<(u32, Option<u64>, SampleDefaults)> {
        let flags = number(tfhd, 1..4)?;
        let mut fields = Words(tfhd.get(4..)?);
        let track = fields.next()?;
        let has = |bit: u64| flags & bit != 0;
        let base = match (has(0x01), has(0x02_0000)) {
            (true, _) => Some(u64::from(fields.next()?) << 32 | u64::from(fields.next()?)),
            (false, true) => Some(start),
            (false, false) => implicit,
        };
        if has(0x02) {
            fields.next()?;
        }
        let mut defaults = self.defaults;
        for (bit, field) in [
            (0x08, &mut defaults.duration),
            (0x10, &mut defaults.size),
            (0x20, &mut defaults.flags),
        ] {
            if has(bit) {
                *field = fields.next()?;
            }
        }
        Some((track, base, defaults))
    }
}

/// Reads the box `tfdt` (8.8.12): DTS of the first sample.
fn decode_time(tfdt: &[u8]) -> Option<u64> {
    let time = match tfdt.first()? {
        1 => number(tfdt, 4..12)?,
        _ => number(tfdt, 4..8)?,
    };
    // The sum with all durations is a number with a sign, too.
    Some(time).filter(|time| *time <= i64::MAX as u64 / 2)
}

/// A box `trun` (8.8.8).
struct TrackRun<'a> {
    is_signed: bool,
    flags: u64,
    count: u32,
    place: u64,
    first_flags: Option<u32>,
    fields: Words<'a>,
    defaults: SampleDefaults,
}

impl<'a> TrackRun<'a> {
    fn read(trun: &'a [u8], base: u64, next: u64, defaults: SampleDefaults) -> Option<Self> {
        let flags = number(trun, 1..4)?;
        let mut fields = Words(trun.get(4..)?);
        let count = fields.next()?;
        let place = match flags & 0x01 != 0 {
            true => base.checked_add_signed(fields.next()?.cast_signed().into())?,
            false => next,
        };
        let first_flags = match flags & 0x04 != 0 {
            true => Some(fields.next()?),
            false => None,
        };
        Some(Self {
            is_signed: trun.first() == Some(&1),
            flags,
            count,
            place,
            first_flags,
            fields,
            defaults,
        })
    }

    /// Appends the samples, the first of which is decoded at `dts`. Returns the place behind them.
    fn append(mut self, dts: &mut u64, list: &mut SampleList) -> Result<u64, FileReadError> {
        for index in 0..self.count {
            let own = |bit: u64, default, fields: &mut Words<'_>| match self.flags & bit {
                0 => Some(default),
                _ => fields.next(),
            };
            let fields = &mut self.fields;
            let mut next = || {
                Some([
                    own(0x100, self.defaults.duration, fields)?,
                    own(0x200, self.defaults.size, fields)?,
                    own(0x400, self.defaults.flags, fields)?,
                    own(0x800, 0, fields)?,
                ])
            };
            let [duration, size, flags, offset] = next().ok_or(FileReadError::Broken(*b"trun"))?;
            let flags = self.first_flags.filter(|_| index == 0).unwrap_or(flags);
            let offset = match self.is_signed {
                true => i64::from(offset.cast_signed()),
                false => i64::from(offset),
            };
            list.push(FileSample {
                offset: self.place,
                size,
                dts: *dts,
                pts: dts.cast_signed().saturating_add(offset),
                duration,
                is_sync: flags & NO_SYNC == 0,
            })?;
            self.place += u64::from(size);
            *dts += u64::from(duration);
        }
        Ok(self.place)
    }
}

/// Numbers of 32 bits, one behind the other.
#[derive(Debug)]
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Option<u32> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*field))
    }
}
