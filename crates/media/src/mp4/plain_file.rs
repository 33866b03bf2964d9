// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Files whose samples stand in one box, behind or before the box `moov`.

use std::io::Write;

use super::boxes::{HEADER, LARGE_HEADER, header};
use super::file_header::{SamplesIn, VideoTrack, put_file_type};
use super::moov::Description;
use super::sample_index::{IndexedTrack, SampleFacts, SampleIndex};
use super::sample_payload::SamplePayload;
use super::write_error::FileWriteError;

/// Place of the box `moov` in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MoovPlace {
    /// Behind the samples.
    #[default]
    Last,
    /// Before the samples, so that a player can begin before it has the whole file.
    First,
}

/// The bytes of a file around those that went to the output of its writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileParts {
    /// Bytes before them. In a file whose box `moov` is the last one these are always
    /// [`RESERVED`] bytes.
    pub front: Vec<u8>,
    /// Bytes that went to the output: samples, or fragments.
    pub body: u64,
    /// Bytes behind them.
    pub back: Vec<u8>,
}

impl FileParts {
    /// Returns the bytes of the file.
    pub fn length(&self) -> u64 {
        self.front.len() as u64 + self.body + self.back.len() as u64
    }
}

/// Bytes before the samples of a file whose box `moov` is the last one: box `ftyp` and the header of box `mdat`.
pub const RESERVED: usize = FILE_TYPE + LARGE_HEADER;
/// Bytes of the box `ftyp`.
const FILE_TYPE: usize = 32;
/// Brands, as mp4mux has them.
const BRAND: &[u8; 4] = b"mp42";
const OTHER_BRANDS: [&[u8; 4]; 3] = [b"mp41", b"isom", b"iso2"];

/// Writes the samples of a file, one after the other, and remembers a few bytes of each.
///
/// The output gets samples only. When all are written, [`finish`](Self::finish) returns what the file has before and
/// behind them. So no output has to be [`Seek`](std::io::Seek), and the box `moov` can be the first one without a
/// second copy of the samples. [`DiskFile`](super::DiskFile) is an output for a file on disk.
///
/// ```
/// use media::access_unit::{Codec, DecoderConfig};
/// use media::mp4::{
///     Description, MoovPlace, PlainWriter, Sample, SampleFacts, SamplePayload, Timescale,
///     VideoTrack,
/// };
/// use media::time::Nanos;
///
/// # fn file(record: Vec<u8>, nal_units: Vec<bytes::Bytes>)
/// #     -> Result<Vec<u8>, media::mp4::FileWriteError> {
/// let track = VideoTrack {
///     timescale: Timescale::default(),
///     config: Some(DecoderConfig {
///         codec: Codec::H264,
///         record,
///         size: Some((640, 480)),
///     }),
///     size: None,
///     pixel_aspect_ratio: None,
///     colour: None,
///     created: None,
/// };
/// let mut writer = PlainWriter::new(track, Vec::new());
/// let facts = SampleFacts {
///     times: Sample { pts: Nanos::ZERO, dts: Nanos::ZERO },
///     duration: Nanos::from_mseconds(40),
///     is_sync: true,
/// };
/// writer.push(&facts, &nal_units.into_iter().collect())?;
/// let (samples, parts) = writer.finish(&Description::default(), MoovPlace::First)?;
/// Ok([parts.front, samples, parts.back].concat())
/// # }
/// ```
#[derive(Debug)]
pub struct PlainWriter<W> {
    track: VideoTrack,
    output: W,
    index: SampleIndex,
}

impl<W: Write> PlainWriter<W> {
    /// Begins a file whose samples go to `output`.
    pub fn new(track: VideoTrack, output: W) -> Self {
        Self {
            index: SampleIndex::new(track.timescale),
            track,
            output,
        }
    }

    /// Writes the next sample in decoding order.
    ///
    /// # Errors
    ///
    /// Those of the output, and samples that no file can state. The file is not complete then.
    pub fn push(
        &mut self,
        facts: &SampleFacts,
        payload: &SamplePayload,
    ) -> Result<(), FileWriteError> {
        let size = payload.size().ok_or(FileWriteError::SampleSize)?;
        self.index.push(facts, size)?;
        Ok(payload.write_to(&mut self.output)?)
    }

    /// Ends the file. Returns the output, and what the file has around the samples.
    ///
    /// # Errors
    ///
    /// The output cannot be flushed, there are no parameter sets, or a field cannot state its value.
    pub fn finish(
        mut self,
        description: &Description,
        place: MoovPlace,
    ) -> Result<(W, FileParts), FileWriteError> {
        self.output.flush()?;
        let configuration = description.configuration.as_deref();
        let mut indexed = self.index.finish(description)?;
        indexed.table.stsd = (self.track).sample_entry(configuration, indexed.bitrates.take())?;
        let samples = indexed.bytes;
        let (front, back) = match place {
            MoovPlace::Last => {
                let front = reserved_front(samples)?;
                let moov = self.track.moov_at(&mut indexed, front.len() as u64)?;
                (front, moov)
            }
            MoovPlace::First => {
                let mut front = Vec::new();
                put_file_type(&mut front, BRAND, &OTHER_BRANDS)?;
                let header = header(b"mdat", samples);
                let before = front.len() as u64 + header.len() as u64;
                // The length of the box changes only with the size of the places in it.
                let mut media_data = before;
                let mut moov = self.track.moov_at(&mut indexed, media_data)?;
                while media_data != before + moov.len() as u64 {
                    media_data = before + moov.len() as u64;
                    moov = self.track.moov_at(&mut indexed, media_data)?;
                }
                front.extend(moov);
                front.extend(header);
                (front, Vec::new())
            }
        };
        let parts = FileParts {
            front,
            body: samples,
            back,
        };
        Ok((self.output, parts))
    }
}

impl VideoTrack {
    /// Returns the box `moov` of a file whose samples begin at `media_data`.
    fn moov_at(
        &self,
        indexed: &mut IndexedTrack,
        media_data: u64,
    ) -> Result<Vec<u8>, FileWriteError> {
        indexed.set_places(media_data);
        let mut moov = Vec::new();
        self.put_moov(&mut moov, &indexed.times, &indexed.table, SamplesIn::Table)?;
        Ok(moov)
    }
}

/// Returns the bytes before the samples of a file whose box `moov` is the last one.
pub fn reserved_front(samples: u64) -> Result<Vec<u8>, FileWriteError> {
    let mut front = Vec::with_capacity(RESERVED);
    put_file_type(&mut front, BRAND, &OTHER_BRANDS)?;
    put_reserved_header(&mut front, samples);
    Ok(front)
}

/// Appends the header of a box `mdat`, which has the same length for all sizes: before one with 32 bits stands an empty
/// box, as in files of mp4mux.
fn put_reserved_header(new: &mut Vec<u8>, samples: u64) {
    let mdat = header(b"mdat", samples);
    if mdat.len() == HEADER {
        new.extend(header(b"free", 0));
    }
    new.extend(mdat);
}
