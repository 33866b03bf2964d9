// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Headers of a file with one video track: the boxes `ftyp` and `moov` (ISO/IEC 14496-12, 4.3 and 8.2.1).

use mp4_atom::{
    Atom, Avc1, Avcc, Btrt, BufMut, Codec as SampleEntryCodec, Colr, Dinf, Dref, DrefEntry, Encode,
    FourCC, Ftyp, Hdlr, Matrix, Mdhd, Mdia, Mehd, Minf, Moov, Mvex, Mvhd, Pasp, Stbl, Stsd, Tkhd,
    Trak, Trex, Url, Visual, Vmhd,
};

use super::time_boxes::edit_list;
use super::timescale::Timescale;
use super::track_times::TrackTimes;
use super::write_error::FileWriteError;
use crate::access_unit::{Codec, DecoderConfig};
use crate::codec::h264::Colour;
use crate::time::CaptureTime;

/// Number of the only track.
pub const TRACK_ID: u32 = 1;
/// Number of the only sample entry.
const SAMPLE_ENTRY: u32 = 1;
/// Seconds from 1904, from which files count, to the Unix epoch.
const EPOCH: u64 = 2_082_844_800;

/// The video track of a file, as its headers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoTrack {
    /// Ticks in which the times of samples are written, unless a description has others.
    pub timescale: Timescale,
    /// Configuration of the decoder; `None` if only the description at the end of the file has it.
    pub config: Option<DecoderConfig>,
    /// Width and height of the pictures as they are shown, in pixels.
    pub size: Option<(u32, u32)>,
    /// Width and height of a pixel, if that is stated.
    pub pixel_aspect_ratio: Option<(u32, u32)>,
    /// Colour description, if there is one.
    pub colour: Option<Colour>,
    /// Creation time of the file: that of its first picture.
    pub created: Option<CaptureTime>,
}

impl VideoTrack {
    /// Returns the size of the pictures in pixels.
    fn coded_size(&self) -> Result<[u16; 2], FileWriteError> {
        let size = self.size;
        let size = size.or_else(|| self.config.as_ref().and_then(|config| config.size));
        let fields = size.map(|(width, height)| [u16::try_from(width), u16::try_from(height)]);
        match fields {
            Some([Ok(width @ 1..), Ok(height @ 1..)]) => Ok([width, height]),
            _ => Err(FileWriteError::PictureSize(size)),
        }
    }

    /// Returns the size at which the pictures are shown: with square pixels. As mp4mux has it, the height stays.
    fn shown_size(&self) -> Result<[u16; 2], FileWriteError> {
        let [width, height] = self.coded_size()?;
        let wide = match self.pixel_aspect_ratio {
            Some((numerator, denominator)) => (u64::from(width) * u64::from(numerator))
                .checked_div(denominator.into())
                .unwrap_or(width.into()),
            None => width.into(),
        };
        Ok([u16::try_from(wide).unwrap_or(u16::MAX), height])
    }

    /// Returns the description of samples, with a configuration record that replaces the one of the track, and with
    /// bit rates if they are known.
    pub fn sample_entry(
        &self,
        configuration: Option<&[u8]>,
        btrt: Option<Btrt>,
    ) -> Result<Stsd, FileWriteError> {
        let own = self.config.as_ref();
        let record = configuration.or(own.map(|config| &config.record[..]));
        let record = record.ok_or(FileWriteError::NoConfiguration)?;
        let [width, height] = self.coded_size()?;
        let visual = Visual {
            data_reference_index: 1,
            width,
            height,
            ..Visual::default()
        };
        let pasp = self.pixel_aspect_ratio.map(|(h_spacing, v_spacing)| Pasp {
            h_spacing,
            v_spacing,
        });
        let colr = self.colour.map(|colour| Colr::Nclx {
            colour_primaries: colour.primaries.into(),
            transfer_characteristics: colour.transfer.into(),
            matrix_coefficients: colour.matrix.into(),
            full_range_flag: colour.full_range,
        });
        let codec = own.map_or(Codec::H264, |config| config.codec);
        let entry = match codec {
            Codec::H264 => SampleEntryCodec::Avc1(Avc1 {
                visual,
                avcc: Avcc::decode_body(&mut &record[..])
                    .map_err(|error| FileWriteError::Configuration(error.into()))?,
                btrt,
                colr,
                pasp,
                ..Avc1::default()
            }),
        };
        Ok(Stsd {
            codecs: vec![entry],
        })
    }

    /// Returns the creation time in seconds since 1904.
    fn creation_time(&self) -> u64 {
        self.created
            .map_or(0, |time| EPOCH + time.useconds() / 1_000_000)
    }

    /// Appends the box `moov` of a file whose sample table is `table`.
    ///
    /// # Errors
    ///
    /// The size of the pictures is unknown, or a field cannot state its value.
    pub fn put_moov(
        &self,
        new: &mut Vec<u8>,
        times: &TrackTimes,
        table: &Stbl,
        samples: SamplesIn,
    ) -> Result<(), FileWriteError> {
        let created = self.creation_time();
        let is_fragmented = matches!(samples, SamplesIn::Fragments(_));
        let presentation = if is_fragmented {
            0
        } else {
            times.presentation()
        };
        let mvhd = Mvhd {
            creation_time: created,
            modification_time: created,
            timescale: times.units,
            duration: presentation,
            rate: 1.into(),
            volume: 1.into(),
            matrix: Matrix::default(),
            next_track_id: TRACK_ID + 1,
        };
        let [width, height] = self.shown_size()?;
        let tkhd = Tkhd {
            creation_time: created,
            modification_time: created,
            track_id: TRACK_ID,
            duration: presentation,
            enabled: true,
            in_movie: true,
            width: width.into(),
            height: height.into(),
            ..Tkhd::default()
        };
        let mdhd = Mdhd {
            creation_time: created,
            modification_time: created,
            timescale: times.units,
            duration: if is_fragmented { 0 } else { times.media },
            language: "und".into(),
        };
        let hdlr = Hdlr {
            handler: FourCC::new(b"vide"),
            name: "VideoHandler".into(),
        };
        let mut edits = times.edits.clone();
        // A file in fragments lasts until its last one (8.6.6.1).
        if is_fragmented && let Some(last) = edits.last_mut() {
            last.duration = 0;
        }
        if is_fragmented && matches!(&edits[..], [only] if only.media_time == 0) {
            edits.clear(); // it would show all, as without it
        }
        let dinf = Dinf {
            dref: Dref {
                entries: vec![DrefEntry::Url(Url::default())],
            },
        };
        // The crate would write boxes of containers in an order that no other program has.
        new.encode_atom(Moov::KIND, |new| {
            mvhd.encode(new)?;
            new.encode_atom(Trak::KIND, |new| {
                tkhd.encode(new)?;
                if !edits.is_empty() {
                    edit_list(&edits).encode(new)?;
                }
                new.encode_atom(Mdia::KIND, |new| {
                    mdhd.encode(new)?;
                    hdlr.encode(new)?;
                    new.encode_atom(Minf::KIND, |new| {
                        Vmhd::default().encode(new)?;
                        dinf.encode(new)?;
                        table.encode(new)
                    })
                })
            })?;
            match samples {
                SamplesIn::Fragments(duration) => extends(duration).encode(new),
                SamplesIn::Table => Ok(()),
            }
        })?;
        Ok(())
    }
}

/// Place of the samples that a box `moov` describes.
#[derive(Debug, Clone, Copy)]
pub enum SamplesIn {
    /// The sample table has all of them.
    Table,
    /// Fragments have them, which last so many ticks; `None` if that is not known.
    Fragments(Option<u64>),
}

/// Returns the box of a file in fragments (8.8.1). Fragments state the defaults themselves.
fn extends(duration: Option<u64>) -> Mvex {
    Mvex {
        mehd: duration.map(|fragment_duration| Mehd { fragment_duration }),
        trex: vec![Trex {
            track_id: TRACK_ID,
            default_sample_description_index: SAMPLE_ENTRY,
            ..Trex::default()
        }],
    }
}

/// Appends the box `ftyp` (4.3) with a brand and the others that the file complies with.
pub fn put_file_type(
    new: &mut Vec<u8>,
    brand: &[u8; 4],
    others: &[&[u8; 4]],
) -> Result<(), FileWriteError> {
    let brands = [brand].into_iter().chain(others.iter().copied());
    let file_type = Ftyp {
        major_brand: FourCC::new(brand),
        minor_version: 0,
        compatible_brands: brands.map(FourCC::new).collect(),
    };
    Ok(file_type.encode(new)?)
}
