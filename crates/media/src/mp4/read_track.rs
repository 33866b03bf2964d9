// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The video track of an MP4 file: its samples, edit list and configuration (ISO/IEC 14496-12, 8.3 to 8.8).
//!
//! The file is untrusted: each box is read once, and a file that exceeds a limit is refused.

use std::ops::Range;

use bytes::Bytes;

use super::box_file::BoxFile;
use super::boxes::{boxes, child, number};
use super::file_bytes::{FileBytes, Pieces};
use super::file_samples::{FileReadError, FileSample, MAX_SAMPLES, SampleList};
use super::read_fragments::{FragmentReader, SampleDefaults};
use super::read_table::TableBoxes;
use super::time_fields::{FileDuration, FileEdit, field_size, known};

/// Largest number of boxes that are read before a file is refused: those of fragments for some days.
const MAX_BOXES: u32 = 1 << 22;
/// Longest box that is read, in bytes: a table with an entry for each sample.
const MAX_BOX: u64 = 64 + 8 * MAX_SAMPLES as u64;
/// Largest number of kinds of boxes in a track that are distinguished.
const MAX_KINDS: usize = 64;
/// Bytes of the fields of a sample entry of video before its boxes (12.1.3).
const VISUAL_SAMPLE_ENTRY: usize = 78;

/// The first video track of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoTrackFile {
    /// Duration of the movie.
    pub movie: FileDuration,
    /// Duration of the track in ticks of the movie; 0 if it is unknown.
    pub track_duration: u64,
    /// Duration of the media, in the ticks of the samples.
    pub media: FileDuration,
    /// Width and height at which the track is shown, in pixels as 16.16 numbers.
    pub shown_size: [u32; 2],
    /// Type of the sample entry, such as `avc1`.
    pub sample_entry: [u8; 4],
    /// Width and height of the pictures in pixels.
    pub size: [u16; 2],
    /// The `AVCDecoderConfigurationRecord`, if the sample entry has one.
    pub configuration: Option<Bytes>,
    /// Width and height of a pixel, if they are stated.
    pub pixel_aspect_ratio: Option<(u32, u32)>,
    /// Contents of the box `colr`, if there is one.
    pub colour: Option<Bytes>,
    /// The edit list; empty if there is none.
    pub edits: Vec<FileEdit>,
    /// The samples in decoding order.
    pub samples: Vec<FileSample>,
    /// The samples come in fragments.
    pub is_fragmented: bool,
}

/// Reads the first video track of a file that comes in pieces.
///
/// # Errors
///
/// The file has no such track, is broken, or exceeds a limit.
pub fn read_video_track(pieces: &[Bytes]) -> Result<VideoTrackFile, FileReadError> {
    read_video_track_of(&Pieces::new(pieces))
}

/// Reads the first video track of a file, of which it reads no samples.
///
/// # Errors
///
/// Those of [`read_video_track`]. A file that cannot be read is taken for a broken one.
pub fn read_video_track_of(bytes: &dyn FileBytes) -> Result<VideoTrackFile, FileReadError> {
    let file = BoxFile::new(bytes, MAX_BOXES);
    let found = read_file(&file);
    match file.exceeds_boxes() {
        true => Err(FileReadError::TooManyBoxes),
        false => found,
    }
}

fn read_file(file: &BoxFile<'_>) -> Result<VideoTrackFile, FileReadError> {
    let mut movie: Option<(VideoTrackFile, Option<FragmentReader>)> = None;
    let mut list = SampleList::new(file.length);
    for found in file.children(0..file.length) {
        match (&found.kind, &movie) {
            (b"moov", None) => movie = Some(read_movie(file, found.contents, &mut list)?),
            (b"moof", Some((_, Some(fragments)))) => {
                fragments.read(file, found.start, found.contents, &mut list)?;
            }
            _ => {}
        }
    }
    let (track, _) = movie.ok_or(FileReadError::NoMovie)?;
    Ok(VideoTrackFile {
        samples: list.into_samples(),
        ..track
    })
}

/// Boxes of one kind each, by their type.
type Found = Vec<([u8; 4], Range<u64>)>;

/// Appends the boxes within `range` that are not those of the first of `levels`, and those within these, each kind once.
fn collect(file: &BoxFile<'_>, range: Range<u64>, levels: &[&[[u8; 4]]], found: &mut Found) {
    let (containers, deeper): (&[_], _) = match levels.split_first() {
        Some((containers, deeper)) => (containers, deeper),
        None => (&[], levels),
    };
    for child in file.children(range) {
        let is_known = found.iter().any(|(kind, _)| *kind == child.kind);
        // A track has some dozen kinds of boxes: the search for known ones stays short.
        if is_known || found.len() > MAX_KINDS {
            continue;
        }
        found.push((child.kind, child.contents.clone()));
        if containers.contains(&child.kind) {
            collect(file, child.contents, deeper, found);
        }
    }
}

/// Returns the contents of a box that was found.
fn contents(
    file: &BoxFile<'_>,
    found: &Found,
    kind: &[u8; 4],
) -> Result<Option<Bytes>, FileReadError> {
    let Some((_, range)) = found.iter().find(|(other, _)| other == kind) else {
        return Ok(None);
    };
    if range.end - range.start > MAX_BOX {
        return Err(FileReadError::TooManyBoxes);
    }
    let bytes = file.bytes(range.clone());
    bytes.map(Some).ok_or(FileReadError::Broken(*kind))
}

/// Reads the box `moov`: its first video track, and the reader of its fragments, if it can have some.
fn read_movie(
    file: &BoxFile<'_>,
    moov: Range<u64>,
    list: &mut SampleList,
) -> Result<(VideoTrackFile, Option<FragmentReader>), FileReadError> {
    let mut header = None;
    let mut video = None;
    let mut extends = None;
    for child in file.children(moov) {
        match &child.kind {
            b"mvhd" if header.is_none() => header = Some(child.contents),
            b"mvex" if extends.is_none() => extends = Some(child.contents),
            b"trak" if video.is_none() => {
                let mut found = Found::new();
                let levels: [&[[u8; 4]]; 3] = [&[*b"mdia", *b"edts"], &[*b"minf"], &[*b"stbl"]];
                collect(file, child.contents, &levels, &mut found);
                let handler = contents(file, &found, b"hdlr")?;
                let handler = handler.as_ref().and_then(|hdlr| hdlr.get(8..12));
                video = Some(found).filter(|_| handler == Some(b"vide"));
            }
            _ => {}
        }
    }
    let header = header.and_then(|header| file.bytes(header));
    let movie = header.and_then(|mvhd| FileDuration::read(&mvhd));
    let movie = movie.ok_or(FileReadError::Broken(*b"mvhd"))?;
    let video = video.ok_or(FileReadError::NoVideo)?;
    let (number, mut track) = read_track(file, &video, movie, list)?;
    let fragments = match extends {
        Some(extends) => {
            track.is_fragmented = true;
            Some(fragment_reader(file, extends, number)?)
        }
        None => None,
    };
    Ok((track, fragments))
}

/// Returns the reader of the fragments of a track, with its defaults in the box `mvex`.
fn fragment_reader(
    file: &BoxFile<'_>,
    extends: Range<u64>,
    track: u32,
) -> Result<FragmentReader, FileReadError> {
    let broken = FileReadError::Broken(*b"trex");
    for child in file.children(extends) {
        if child.kind == *b"trex" {
            let trex = file.bytes(child.contents);
            let read = trex.and_then(|trex| SampleDefaults::read(&trex));
            let (number, defaults) = read.ok_or(broken)?;
            if number == track {
                return Ok(FragmentReader { track, defaults });
            }
        }
    }
    Err(broken)
}

/// Reads a track. Returns its number, too.
fn read_track(
    file: &BoxFile<'_>,
    found: &Found,
    movie: FileDuration,
    list: &mut SampleList,
) -> Result<(u32, VideoTrackFile), FileReadError> {
    let optional = |kind| contents(file, found, kind);
    let required =
        |kind: &[u8; 4]| contents(file, found, kind)?.ok_or(FileReadError::Broken(*kind));
    let broken = |kind: &[u8; 4]| FileReadError::Broken(*kind);
    let media = FileDuration::read(&required(b"mdhd")?).ok_or(broken(b"mdhd"))?;
    let header = TrackHeader::read(&required(b"tkhd")?).ok_or(broken(b"tkhd"))?;
    let entry = SampleEntry::read(&required(b"stsd")?).ok_or(broken(b"stsd"))?;
    let edits = optional(b"elst")?.map(|elst| edits(&elst).ok_or(broken(b"elst")));
    let table = TableBoxes {
        stts: required(b"stts")?,
        ctts: optional(b"ctts")?,
        stss: optional(b"stss")?,
        stsz: required(b"stsz")?,
        stsc: required(b"stsc")?,
        stco: optional(b"stco")?,
        co64: optional(b"co64")?,
    };
    table.read(list)?;
    let track = VideoTrackFile {
        movie,
        track_duration: header.duration,
        media,
        shown_size: header.size,
        sample_entry: entry.kind,
        size: entry.size,
        configuration: entry.configuration,
        pixel_aspect_ratio: entry.pixel_aspect_ratio,
        colour: entry.colour,
        edits: edits.transpose()?.unwrap_or_default(),
        samples: Vec::new(),
        is_fragmented: false,
    };
    Ok((header.number, track))
}

/// The box `tkhd` (8.3.2).
struct TrackHeader {
    number: u32,
    duration: u64,
    size: [u32; 2],
}

impl TrackHeader {
    fn read(tkhd: &[u8]) -> Option<Self> {
        let size = field_size(tkhd)?;
        let at = 4 + 2 * size;
        let duration = at + 8..at + 8 + size;
        // Between are layer, group, volume and matrix.
        let width = duration.end + 52;
        let field = |at| u32::try_from(number(tkhd, at..at + 4)?).ok();
        Some(Self {
            number: field(at)?,
            duration: known(number(tkhd, duration)?, size),
            size: [field(width)?, field(width + 4)?],
        })
    }
}

/// The first sample entry of the box `stsd` (8.5.2, 12.1.3).
struct SampleEntry {
    kind: [u8; 4],
    size: [u16; 2],
    configuration: Option<Bytes>,
    pixel_aspect_ratio: Option<(u32, u32)>,
    colour: Option<Bytes>,
}

impl SampleEntry {
    fn read(stsd: &Bytes) -> Option<Self> {
        let entry = boxes(stsd.get(8..)?).next()?;
        let (fields, inner) = entry.contents.split_at_checked(VISUAL_SAMPLE_ENTRY)?;
        let size = |at| u16::try_from(number(fields, at..at + 2)?).ok();
        let contents = |kind| child(inner, kind).map(|found| stsd.slice_ref(found));
        let pasp = child(inner, b"pasp").map(|pasp| {
            let field = |at| u32::try_from(number(pasp, at..at + 4)?).ok();
            Some((field(0)?, field(4)?))
        });
        Some(Self {
            kind: entry.kind,
            size: [size(24)?, size(26)?],
            configuration: contents(b"avcC"),
            pixel_aspect_ratio: match pasp {
                Some(ratio) => Some(ratio?),
                None => None,
            },
            colour: contents(b"colr"),
        })
    }
}

/// Reads the box `elst` (8.6.6). Returns `None` if it has not all of its entries.
fn edits(elst: &[u8]) -> Option<Vec<FileEdit>> {
    let count = usize::try_from(number(elst, 4..8)?).ok()?;
    let edits: Vec<_> = FileEdit::read_all(elst)?.take(count).collect();
    (edits.len() == count).then_some(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let size = (contents.len() as u32 + 8).to_be_bytes();
        [size.as_slice(), kind, &contents].concat()
    }

    /// A box of numbers of 32 bits.
    fn fields(kind: &[u8; 4], fields: &[u32]) -> Vec<u8> {
        let fields: Vec<_> = fields
            .iter()
            .flat_map(|field| field.to_be_bytes())
            .collect();
        boxed(kind, &[&fields])
    }

    /// A sample table, and what stands behind it in the file.
    struct Table<'a> {
        stts: &'a [u32],
        stsz: &'a [u32],
        stsc: &'a [u32],
        stco: &'a [u32],
        more: Vec<u8>,
        behind: Vec<u8>,
    }

    /// Two samples of three bytes each at the begin of the file.
    const TWO: Table<'_> = Table {
        stts: &[0, 1, 2, 10],
        stsz: &[0, 3, 2],
        stsc: &[0, 1, 1, 2, 1],
        stco: &[0, 1, 0],
        more: Vec::new(),
        behind: Vec::new(),
    };

    impl Table<'_> {
        fn read(self) -> Result<VideoTrackFile, FileReadError> {
            let entry = boxed(
                b"avc1",
                &[&[0; VISUAL_SAMPLE_ENTRY], &boxed(b"avcC", &[b"set"])],
            );
            let stsd = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1], &entry]);
            let tables = [
                fields(b"stts", self.stts),
                fields(b"stsz", self.stsz),
                fields(b"stsc", self.stsc),
                fields(b"stco", self.stco),
            ];
            let stbl = boxed(b"stbl", &[&stsd, &tables.concat(), &self.more]);
            let handler = boxed(b"hdlr", &[&[0; 8], b"vide", &[0; 13]]);
            let header = fields(b"mdhd", &[0, 0, 0, 100, 20, 0]);
            let media = boxed(b"mdia", &[&header, &handler, &boxed(b"minf", &[&stbl])]);
            let mut track_header = [0; 21];
            (track_header[3], track_header[5]) = (1, 20);
            let track = boxed(b"trak", &[&fields(b"tkhd", &track_header), &media]);
            let movie = fields(b"mvhd", &[0, 0, 0, 100, 20]);
            let extends = boxed(b"mvex", &[&fields(b"trex", &[0, 1, 1, 10, 0, 0])]);
            let moov = boxed(b"moov", &[&movie, &track, &extends]);
            read_video_track(&[moov.into(), self.behind.into()])
        }
    }

    #[test]
    fn two_samples() {
        let track = TWO.read().unwrap();
        let sample = |offset, dts: u64| FileSample {
            offset,
            size: 3,
            dts,
            pts: dts as i64,
            duration: 10,
            is_sync: true,
        };
        assert_eq!(track.samples, [sample(0, 0), sample(3, 10)]);
        assert_eq!(track.configuration.as_deref(), Some(&b"set"[..]));
        let duration = FileDuration {
            units: 100,
            ticks: 20,
        };
        assert_eq!([track.movie, track.media], [duration; 2]);
        assert_eq!(track.track_duration, 20);
    }

    #[test]
    fn a_sample_in_each_chunk_and_times_with_a_sign() {
        let track = Table {
            stsc: &[0, 1, 1, 1, 1],
            stco: &[0, 2, 9, 4],
            more: [
                fields(b"ctts", &[1 << 24, 2, 1, u32::MAX, 1, 7]),
                fields(b"stss", &[0, 1, 2]),
            ]
            .concat(),
            ..TWO
        };
        let samples = track.read().unwrap().samples;
        let found: Vec<_> = (samples.iter())
            .map(|sample| (sample.offset, sample.pts, sample.is_sync))
            .collect();
        assert_eq!(found, [(9, -1, false), (4, 17, true)]);
    }

    #[test]
    fn tables_that_contradict_each_other() {
        let broken = |kind| Err(FileReadError::Broken(kind));
        for (table, expected) in [
            (
                Table {
                    stts: &[0, 1, 1, 10],
                    ..TWO
                },
                broken(*b"stts"),
            ),
            (
                Table {
                    stts: &[0, 1, 3, 10],
                    ..TWO
                },
                broken(*b"stts"),
            ),
            (
                Table {
                    stts: &[0, 2, 2, 10],
                    ..TWO
                },
                broken(*b"stts"),
            ),
            (
                Table {
                    stsz: &[0, 0, 2, 3],
                    ..TWO
                },
                broken(*b"stsz"),
            ),
            (
                Table {
                    stsz: &[0, 0],
                    ..TWO
                },
                broken(*b"stsz"),
            ),
            (
                Table {
                    stsc: &[0, 1, 1, 1, 1],
                    ..TWO
                },
                broken(*b"stco"),
            ),
            (
                Table {
                    stsc: &[0, 0],
                    ..TWO
                },
                broken(*b"stco"),
            ),
            (
                Table {
                    stco: &[0, 1],
                    ..TWO
                },
                broken(*b"stco"),
            ),
            (
                Table {
                    stco: &[0, 1, 1 << 20],
                    ..TWO
                },
                Err(FileReadError::SamplePlace),
            ),
            (
                Table {
                    stsz: &[0, 0, 2, 3, 0],
                    ..TWO
                },
                Err(FileReadError::SamplePlace),
            ),
        ] {
            let name = format!(
                "{:?} {:?} {:?} {:?}",
                table.stts, table.stsz, table.stsc, table.stco
            );
            assert_eq!(table.read().map(|_| ()), expected, "{name}");
        }
    }

    #[test]
    fn few_bytes_are_not_many_samples() {
        const ALL: u32 = u32::MAX;
        let table = Table {
            stts: &[0, 1, ALL, 1],
            stsz: &[0, 1, ALL],
            stsc: &[0, 1, 1, ALL, 1],
            ..TWO
        };
        assert_eq!(table.read(), Err(FileReadError::SamplePlace));
        // Nor in fragments, whose samples all have the defaults.
        for size in [0, 1] {
            let header = fields(b"tfhd", &[0x10, 1, size]);
            let run = fields(b"trun", &[0, ALL]);
            let moof = boxed(b"moof", &[&boxed(b"traf", &[&header, &run])]);
            let fragments = Table {
                behind: moof,
                ..TWO
            };
            assert_eq!(fragments.read(), Err(FileReadError::SamplePlace), "{size}");
        }
    }

    #[test]
    fn samples_that_cannot_be_without_sharing_bytes() {
        let read = |size| {
            let table = Table {
                stsz: &[0, size, 2],
                stsc: &[0, 1, 1, 1, 1],
                stco: &[0, 2, 0, 0],
                behind: vec![0; 1000],
                ..TWO
            };
            table.read().map(|track| track.samples.len())
        };
        assert_eq!(read(700), Ok(2));
        assert_eq!(read(900), Err(FileReadError::SamplePlace));
    }

    #[test]
    fn fragments_continue_what_is_before_them() {
        let moof = |flags: u32, more: &[u32]| {
            let header = fields(b"tfhd", &[0x10, 1, 2]);
            let run = fields(b"trun", &[&[flags, 1], more].concat());
            let other = boxed(b"traf", &[&fields(b"tfhd", &[0, 9])]);
            boxed(b"moof", &[&boxed(b"traf", &[&header, &run]), &other])
        };
        let fragments = Table {
            behind: [moof(0, &[]), moof(0x4, &[NO_SYNC]), moof(0x101, &[5, 7])].concat(),
            ..TWO
        };
        let track = fragments.read().unwrap();
        let found: Vec<_> = (track.samples[2..].iter())
            .map(|sample| (sample.dts, sample.duration, sample.size, sample.is_sync))
            .collect();
        let expected = [(20, 10, 2, true), (30, 10, 2, false), (40, 7, 2, true)];
        assert_eq!(found, expected);
        assert!(track.is_fragmented);
    }

    const NO_SYNC: u32 = 0x0001_0000;

    #[test]
    fn places_may_depend_on_other_tracks() {
        let moof = |flags: u32| {
            let other = boxed(b"traf", &[&fields(b"tfhd", &[0, 9])]);
            let header = fields(b"tfhd", &[flags, 1, 2]);
            let run = fields(b"trun", &[0, 1]);
            boxed(b"moof", &[&other, &boxed(b"traf", &[&header, &run])])
        };
        let read = |behind| Table { behind, ..TWO }.read();
        assert_eq!(read(moof(0x10)), Err(FileReadError::ImplicitPlace));
        let track = read(moof(0x02_0010)).unwrap();
        assert_eq!(track.samples.len(), 3);
    }

    #[test]
    fn files_without_a_video_track() {
        let read = |file: Vec<u8>| read_video_track(&[file.into()]).map(|_| ());
        assert_eq!(read(Vec::new()), Err(FileReadError::NoMovie));
        assert_eq!(
            read(boxed(b"ftyp", &[b"isom"])),
            Err(FileReadError::NoMovie)
        );
        let movie = fields(b"mvhd", &[0, 0, 0, 100, 20]);
        let empty = boxed(b"moov", &[&movie]);
        assert_eq!(read(empty), Err(FileReadError::NoVideo));
        let sound = boxed(b"mdia", &[&boxed(b"hdlr", &[&[0; 8], b"soun"])]);
        let sound = boxed(b"moov", &[&movie, &boxed(b"trak", &[&sound])]);
        assert_eq!(read(sound), Err(FileReadError::NoVideo));
        let broken = FileReadError::Broken(*b"mvhd");
        assert_eq!(read(boxed(b"moov", &[])), Err(broken));
        assert_eq!(broken.to_string(), "box mvhd is missing or broken");
    }

    /// Boxes times pieces would take minutes.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "the time is what is tested"
    )]
    fn each_box_is_read_once() {
        let kinds = (0..50_000u32).flat_map(|number| boxed(&number.to_be_bytes(), &[]));
        let media = boxed(b"mdia", &[&kinds.collect::<Vec<_>>()]);
        let tracks = boxed(b"trak", &[]).repeat(50_000);
        let track = boxed(b"trak", &[&media]);
        let moov = boxed(
            b"moov",
            &[&fields(b"mvhd", &[0, 0, 0, 1, 0]), &tracks, &track],
        );
        let file = Bytes::from([moov, boxed(b"moof", &[]).repeat(50_000)].concat());
        let pieces: Vec<_> = (0..file.len())
            .step_by(3)
            .map(|at| file.slice(at..file.len().min(at + 3)))
            .collect();
        let begin = std::time::Instant::now();
        assert_eq!(read_video_track(&pieces), Err(FileReadError::NoVideo));
        assert!(begin.elapsed() < std::time::Duration::from_secs(5));
    }
}
