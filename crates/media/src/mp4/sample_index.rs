// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Index of the samples of a file that is being written: a few bytes for each.

use mp4_atom::{Btrt, Co64, Stbl, Stco, Stsc, StscEntry, Stss, Stsz, StszSamples};

use super::moov::Description;
use super::sample_times::Sample;
use super::time_boxes::{durations, offsets};
use super::timescale::{Timescale, scale};
use super::track_times::{TickRuns, TrackTimes};
use super::write_error::FileWriteError;
use crate::time::Nanos;

/// Size at which a chunk ends, in bytes. Readers add up sizes within a chunk only.
const CHUNK: u64 = 1 << 20;

/// A sample without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleFacts {
    /// Running times.
    pub times: Sample,
    /// Duration if it is the last sample of the file: all others last until the next DTS.
    pub duration: Nanos,
    /// Decoding can begin with it.
    pub is_sync: bool,
}

/// The samples of a file so far.
#[derive(Debug)]
pub struct SampleIndex {
    times: TickRuns,
    sizes: Vec<u32>,
    /// Numbers of the sync samples, from 1.
    sync: Vec<u32>,
    /// Places of the chunks in the media data.
    chunks: Vec<u64>,
    /// Numbers of the first chunk with so many samples, from 1, and that many.
    chunk_sizes: Vec<(u32, u32)>,
    /// Samples in the chunk that is not complete.
    open: u32,
    bytes: u64,
}

impl SampleIndex {
    /// Creates the index of a file without samples.
    pub fn new(scale: Timescale) -> Self {
        Self {
            times: TickRuns::new(scale),
            sizes: Vec::new(),
            sync: Vec::new(),
            chunks: Vec::new(),
            chunk_sizes: Vec::new(),
            open: 0,
            bytes: 0,
        }
    }

    /// Adds the next sample, of `size` bytes.
    ///
    /// # Errors
    ///
    /// There are more samples than a file can count.
    pub fn push(&mut self, facts: &SampleFacts, size: u32) -> Result<(), FileWriteError> {
        let number = u32::try_from(self.sizes.len() + 1);
        let number = number.map_err(|_| FileWriteError::SampleCount)?;
        let open_bytes = self.chunks.last().map(|begin| self.bytes - begin);
        if open_bytes.is_none_or(|bytes| bytes >= CHUNK) {
            self.end_chunk();
            self.chunks.push(self.bytes);
        }
        self.open += 1;
        self.times.push(facts.times, facts.duration);
        self.sizes.push(size);
        if facts.is_sync {
            self.sync.push(number);
        }
        self.bytes += u64::from(size);
        Ok(())
    }

    fn end_chunk(&mut self) {
        let samples = std::mem::take(&mut self.open);
        let last = self.chunk_sizes.last().map(|(_, samples)| *samples);
        if samples > 0 && last != Some(samples) {
            // There are no more chunks than samples.
            let number = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
            self.chunk_sizes.push((number, samples));
        }
    }

    /// Ends the file, with its description.
    ///
    /// # Errors
    ///
    /// The times of the samples do not fit their fields, or the description is that of other samples.
    pub fn finish(mut self, description: &Description) -> Result<IndexedTrack, FileWriteError> {
        self.end_chunk();
        let times = self.times.finish(description)?;
        let bitrates = bitrates(&self.sizes, &times);
        let is_all_sync = self.sync.len() == self.sizes.len();
        let chunk_sizes = self.chunk_sizes.into_iter();
        let chunk_sizes = chunk_sizes.map(|(first_chunk, samples_per_chunk)| StscEntry {
            first_chunk,
            samples_per_chunk,
            sample_description_index: 1,
        });
        let table = Stbl {
            stts: durations(&times.durations),
            ctts: offsets(&times.offsets),
            stss: (!is_all_sync).then_some(Stss { entries: self.sync }),
            stsc: Stsc {
                entries: chunk_sizes.collect(),
            },
            stsz: Stsz {
                samples: StszSamples::Different { sizes: self.sizes },
            },
            ..Stbl::default()
        };
        Ok(IndexedTrack {
            times,
            bitrates,
            bytes: self.bytes,
            table,
            chunks: self.chunks,
        })
    }
}

/// The index of a file that has ended.
#[derive(Debug)]
pub struct IndexedTrack {
    /// Times of the samples.
    pub times: TrackTimes,
    /// Bit rates of the samples; `None` if there are none.
    pub bitrates: Option<Btrt>,
    /// Bytes of all samples.
    pub bytes: u64,
    /// The table. Sample entry and places of chunks are missing.
    pub table: Stbl,
    chunks: Vec<u64>,
}

impl IndexedTrack {
    /// Sets the places of the chunks in a file whose samples begin at `media_data`: in 64 bits only if they need them.
    pub fn set_places(&mut self, media_data: u64) {
        let places = self.chunks.iter().map(|place| media_data + place);
        let short = places.clone().map(u32::try_from);
        (self.table.stco, self.table.co64) = match short.collect() {
            Ok(entries) => (Some(Stco { entries }), None),
            Err(_) => {
                let entries = places.collect();
                (None, Some(Co64 { entries }))
            }
        };
    }
}

/// Returns the average bit rate of samples, and the highest one of a second (ISO/IEC 14496-12, 8.5.2.2).
fn bitrates(sizes: &[u32], times: &TrackTimes) -> Option<Btrt> {
    let total: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    if times.media == 0 {
        return None;
    }
    let average = scale(total.saturating_mul(8), times.units.into(), times.media);
    let samples = || {
        let runs = times.durations.iter();
        let durations = runs.flat_map(|(count, ticks)| (0..*count).map(|_| u64::from(*ticks)));
        sizes.iter().map(|size| u64::from(*size)).zip(durations)
    };
    // A window of whole samples, and the highest sum in it.
    let mut first = samples();
    let (mut bytes, mut ticks, mut most) = (0, 0, 0);
    for (size, duration) in samples() {
        bytes += size;
        ticks += duration;
        while ticks > u64::from(times.units)
            && let Some((size, duration)) = first.next()
        {
            bytes -= size;
            ticks -= duration;
        }
        most = bytes.max(size).max(most);
    }
    let bits = |rate| u32::try_from(rate).unwrap_or(u32::MAX);
    Some(Btrt {
        buffer_size_db: 0,
        max_bitrate: bits(most.saturating_mul(8)),
        avg_bitrate: bits(average),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates_are_those_of_all_and_of_one_second() {
        let times = |durations: &[(u32, u32)]| TrackTimes {
            units: 1000,
            durations: durations.to_vec(),
            media: (durations.iter())
                .map(|(count, ticks)| u64::from(count * ticks))
                .sum(),
            ..TrackTimes::default()
        };
        let rates = |sizes: &[u32], durations: &[(u32, u32)]| {
            let rates = bitrates(sizes, &times(durations));
            rates.map(|rates| (rates.avg_bitrate, rates.max_bitrate))
        };
        let sizes = [100, 10, 10, 50, 60, 10];
        assert_eq!(rates(&sizes, &[(6, 500)]), Some((640, 8 * 110)));
        assert_eq!(rates(&sizes, &[(3, 500), (3, 250)]), Some((853, 8 * 120)));
        assert_eq!(rates(&[100], &[(1, 5000)]), Some((160, 800)));
        assert_eq!(rates(&[], &[]), None);
    }
}
