// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Files in fragments: an init segment, and fragments of some samples each (ISO/IEC 14496-12, 8.8).

use std::io::Write;

use mp4_atom::{Encode, Mfhd, Moof, Stbl, Stco, Tfdt, Tfhd, Traf, Trun, TrunEntry, TrunSamples};

use super::boxes::header;
use super::file_header::{SamplesIn, TRACK_ID, VideoTrack, put_file_type};
use super::moov::Description;
use super::plain_file::FileParts;
use super::sample_index::SampleFacts;
use super::sample_payload::SamplePayload;
use super::track_times::{TickClock, TrackTimes};
use super::write_error::FileWriteError;
use crate::time::Nanos;

/// Brand of files whose fragments count from their own begin (6.3): `default-base-is-moof` and 64-bit `tfdt`.
const BRAND: &[u8; 4] = b"iso6";
const OTHER_BRANDS: [&[u8; 4]; 2] = [b"iso5", b"avc1"];

/// `sample_flags` of a sync sample: it depends on no other (8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// `sample_flags` of any other: it depends on others, and is no sync sample.
const NO_SYNC: u32 = 0x0101_0000;

/// Writes the fragments of a file, each when its samples are complete, which are kept until then.
///
/// The output gets fragments, that is, boxes `moof` and `mdat`. The init segment that has to stand before them is
/// returned by [`init_segment`](Self::init_segment) at any time, or by [`finish`](Self::finish) with the edit list of a
/// complete file.
///
/// A fragment begins with a sync sample, and has one or more groups of pictures.
#[derive(Debug)]
pub struct FragmentWriter<W> {
    track: VideoTrack,
    output: W,
    /// A fragment with less is continued with the next group of pictures.
    min_duration: u64,
    clock: TickClock,
    open: Vec<FragmentSample>,
    /// The next sample begins a fragment.
    must_split: bool,
    /// Number of the next fragment, from 1.
    number: u32,
    /// First PTS in output order.
    first_pts: Option<u64>,
    /// Bytes that went to the output.
    bytes: u64,
}

/// A sample that has no fragment yet.
#[derive(Debug)]
struct FragmentSample {
    payload: SamplePayload,
    size: u32,
    /// Ticks since the first DTS of the file.
    dts: u64,
    offset: i32,
    /// Ticks that it lasts if no other follows.
    last_duration: u64,
    is_sync: bool,
}

impl<W: Write> FragmentWriter<W> {
    /// Begins a file whose fragments go to `output`. A fragment ends at the first sync sample after `min_duration`.
    pub fn new(track: VideoTrack, min_duration: Nanos, output: W) -> Self {
        Self {
            clock: TickClock::new(track.timescale),
            min_duration: track.timescale.ticks(min_duration),
            track,
            output,
            open: Vec::new(),
            must_split: false,
            number: 1,
            first_pts: None,
            bytes: 0,
        }
    }

    /// Adds the next sample in decoding order. It is written when its fragment is complete.
    ///
    /// # Errors
    ///
    /// Those of the output, and samples that no file can state. The file is not complete then.
    pub fn push(
        &mut self,
        facts: &SampleFacts,
        payload: SamplePayload,
    ) -> Result<(), FileWriteError> {
        let size = payload.size().ok_or(FileWriteError::SampleSize)?;
        let (dts, offset) = self.clock.next(facts.times);
        let offset = offset.ok_or(FileWriteError::Distance(self.units()))?;
        if let Some(first) = self.open.first() {
            let is_long = dts - first.dts >= self.min_duration;
            if self.must_split || facts.is_sync && is_long {
                self.write_fragment(dts)?;
            }
        }
        self.must_split = false;
        let pts = dts.saturating_add_signed(offset.into());
        self.first_pts = Some(self.first_pts.map_or(pts, |first| first.min(pts)));
        self.open.push(FragmentSample {
            payload,
            size,
            dts,
            offset,
            last_duration: self.clock.last_duration(facts.times.dts, facts.duration),
            is_sync: facts.is_sync,
        });
        Ok(())
    }

    /// Ends the fragment before the next sample, although that may be none that decoding can begin with: a group of
    /// pictures may be too long to be kept in memory.
    pub fn split(&mut self) {
        self.must_split = true;
    }

    /// Returns the boxes `ftyp` and `moov` that stand before the fragments, without an edit list: a player shows each
    /// picture at its own time.
    ///
    /// # Errors
    ///
    /// There are no parameter sets, or a field cannot state its value.
    pub fn init_segment(&self) -> Result<Vec<u8>, FileWriteError> {
        let times = TrackTimes {
            units: self.units(),
            ..TrackTimes::default()
        };
        self.header(&times, None, None)
    }

    /// Ends the file. Returns the output, and the init segment, which has its edit list.
    ///
    /// # Errors
    ///
    /// Those of the output, missing parameter sets, and a field that cannot state its value.
    pub fn finish(mut self, description: &Description) -> Result<(W, FileParts), FileWriteError> {
        let units = self.units();
        let mut media = 0;
        if let Some(last) = self.open.last() {
            let described = description.media_ticks(units);
            let end = described.filter(|end| *end > last.dts);
            media = end.unwrap_or(last.dts.saturating_add(last.last_duration));
            self.write_fragment(media)?;
        }
        self.output.flush()?;
        let times = TrackTimes {
            units,
            media,
            edits: description.edits(units, media, self.first_pts.unwrap_or(0)),
            ..TrackTimes::default()
        };
        let configuration = description.configuration.as_deref();
        let parts = FileParts {
            front: self.header(&times, configuration, Some(media))?,
            body: self.bytes,
            back: Vec::new(),
        };
        Ok((self.output, parts))
    }

    fn units(&self) -> u32 {
        self.track.timescale.units()
    }

    fn header(
        &self,
        times: &TrackTimes,
        configuration: Option<&[u8]>,
        duration: Option<u64>,
    ) -> Result<Vec<u8>, FileWriteError> {
        let table = Stbl {
            stsd: self.track.sample_entry(configuration, None)?,
            stco: Some(Stco::default()),
            ..Stbl::default()
        };
        let mut front = Vec::new();
        put_file_type(&mut front, BRAND, &OTHER_BRANDS)?;
        let samples = SamplesIn::Fragments(duration);
        (self.track).put_moov(&mut front, times, &table, samples)?;
        Ok(front)
    }

    /// Writes the samples that have no fragment, the last of which ends at `end`.
    fn write_fragment(&mut self, end: u64) -> Result<(), FileWriteError> {
        let Some(first) = self.open.first() else {
            return Ok(());
        };
        let begin = first.dts;
        let ends = self.open.iter().skip(1).map(|sample| sample.dts);
        let durations = self.open.iter().zip(ends.chain([end]));
        let durations = durations.map(|(sample, end)| u32::try_from(end - sample.dts));
        let durations: Result<Vec<_>, _> = durations.collect();
        let durations = durations.map_err(|_| FileWriteError::Distance(self.units()))?;
        // One flag for the first sample, or one for each.
        let is_mixed = self.open.iter().skip(1).any(|sample| sample.is_sync);
        let entries = self.open.iter().zip(durations).enumerate();
        let entries = entries.map(|(index, (sample, duration))| TrunEntry {
            duration: Some(duration),
            size: Some(sample.size),
            flags: (index == 0 || is_mixed).then_some(match sample.is_sync {
                true => SYNC,
                false => NO_SYNC,
            }),
            cts: Some(sample.offset.into()),
        });
        let entries: Vec<_> = entries.collect();
        let sizes = self.open.iter().map(|sample| u64::from(sample.size));
        let contents = sizes.sum();
        let mdat = header(b"mdat", contents);
        let mut moof = self.moof(begin, 0, entries.clone())?;
        // The distance does not change the length of the box.
        let data = i32::try_from(moof.len() + mdat.len());
        let data = data.map_err(|_| FileWriteError::SampleCount)?;
        moof = self.moof(begin, data, entries)?;
        self.output.write_all(&moof)?;
        self.output.write_all(&mdat)?;
        for sample in self.open.drain(..) {
            sample.payload.write_to(&mut self.output)?;
        }
        self.bytes += moof.len() as u64 + mdat.len() as u64 + contents;
        self.number = self.number.wrapping_add(1);
        Ok(())
    }

    /// Returns the box `moof` of a fragment whose samples stand `data` bytes behind its begin.
    fn moof(
        &self,
        begin: u64,
        data: i32,
        entries: Vec<TrunEntry>,
    ) -> Result<Vec<u8>, FileWriteError> {
        let moof = Moof {
            mfhd: Mfhd {
                sequence_number: self.number,
            },
            traf: vec![Traf {
                tfhd: Tfhd {
                    track_id: TRACK_ID,
                    default_sample_flags: Some(NO_SYNC),
                    default_base_is_moof: true,
                    ..Tfhd::default()
                },
                tfdt: Some(Tfdt {
                    base_media_decode_time: begin,
                }),
                trun: vec![Trun {
                    data_offset: Some(data),
                    samples: TrunSamples::Explicit(entries),
                }],
                ..Traf::default()
            }],
        };
        let mut new = Vec::new();
        moof.encode(&mut new)?;
        Ok(new)
    }
}
