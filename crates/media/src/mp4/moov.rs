// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Completion of the box `moov` of a file that mp4mux has written (ISO/IEC 14496-12, 8.2.1).
//!
//! The box gets an edit list of the parts that are shown, durations of any length, and all parameter sets.

use std::ops::Range;

use mp4_atom::Encode;

use super::boxes::{HEADER, Mp4Box, boxes, child, number, put_box};
use super::time_boxes::{TickEdit, durations, edit_list, offsets};
use super::time_fields::FileDuration;
use super::timescale::scale;

/// Facts that the header of a file states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Ticks per second of the other fields, if they are not those of the file.
    pub units: Option<u32>,
    /// Parts that are shown, in ticks since the first DTS.
    pub shown: Vec<Range<u64>>,
    /// Something is not shown.
    pub hides: bool,
    /// The `AVCDecoderConfigurationRecord`, if it differs from that in the file.
    pub configuration: Option<Vec<u8>>,
    /// Duration of all samples in ticks, if it differs from the one that the muxer knew when the last
    /// sample came.
    pub media_duration: Option<u64>,
    /// Times of samples that replace those in the file.
    pub samples: Option<SampleTable>,
}

/// Times of all samples, as counts of equal values that follow each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleTable {
    /// From each DTS to the next one.
    pub durations: Vec<(u32, u32)>,
    /// From DTS to PTS.
    pub offsets: Vec<(u32, u32)>,
}

impl SampleTable {
    /// Returns whether it has as many samples as `stts` of a file.
    fn replaces(&self, stts: &[u8]) -> bool {
        let count: u64 = self.durations.iter().map(|run| u64::from(run.0)).sum();
        count_samples(stts) == Some(count)
    }

    /// Returns the duration of all samples in ticks.
    fn duration(&self) -> u64 {
        let runs = self.durations.iter();
        runs.map(|(count, ticks)| u64::from(*count) * u64::from(*ticks))
            .sum()
    }
}

/// A box `moov` that cannot be rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoovError {
    /// The box is not as mp4mux writes it.
    #[error("no box moov as expected")]
    Unexpected,
    /// The box would be longer, and there is no room.
    #[error("it is too long for the header at its begin")]
    NoRoom,
}

/// Returns the box `moov` of a file with one track, rewritten by a description; `false` if the hidden
/// parts had to stay visible. The box cannot grow unless it is the last one of the file.
///
/// # Errors
///
/// The box is not as mp4mux writes it, or there is no room for a longer one.
pub fn rewrite_moov(
    moov: &[u8],
    is_last: bool,
    description: &Description,
) -> Result<(Vec<u8>, bool), MoovError> {
    let new = |part: &Description| described(moov, part).ok_or(MoovError::Unexpected);
    let fits = |new: &[u8]| is_last || new.len() == moov.len();
    let whole = new(description)?;
    if fits(&whole) {
        return Ok((whole, true));
    }
    // The access units have their parameter sets, too.
    let edited = new(&description.without_configuration())?;
    if fits(&edited) {
        return Ok((edited, true));
    }
    let plain = new(&description.without_edits())?;
    match fits(&plain) {
        true => Ok((plain, !description.hides)),
        false => Err(MoovError::NoRoom),
    }
}

impl Description {
    /// Returns the part that does not make the box longer: of a configuration only the level.
    fn without_configuration(&self) -> Self {
        let configuration = self.configuration.as_ref();
        Self {
            configuration: configuration.map(|record| record[..record.len().min(4)].to_vec()),
            media_duration: None,
            samples: None,
            ..self.clone()
        }
    }

    fn without_edits(&self) -> Self {
        Self {
            shown: Vec::new(),
            ..self.without_configuration()
        }
    }
}

/// Returns the box `moov` with another description.
fn described(moov: &[u8], description: &Description) -> Option<Vec<u8>> {
    let contents = moov.get(HEADER..)?;
    let mvhd = child(contents, b"mvhd")?;
    let trak = child(contents, b"trak")?;
    let mdia = child(trak, b"mdia")?;
    let mdhd = child(mdia, b"mdhd")?;
    let units = |header| Some(u64::from(FileDuration::read(header)?.units));
    let (mut movie, mut media) = (units(mvhd)?, units(mdhd)?);
    let is_fragmented = child(contents, b"mvex").is_some();
    let stts = child(mdia, b"minf").and_then(|minf| child(child(minf, b"stbl")?, b"stts"))?;
    let samples = description.samples.as_ref();
    let samples = samples.filter(|samples| !is_fragmented && samples.replaces(stts));
    let units = description.units.filter(|_| samples.is_some());
    if let Some(units) = units {
        (movie, media) = (units.into(), units.into());
    }
    let in_movie = |ticks: u64| scale(ticks, movie, media);
    let described_in = description.units.map_or(media, u64::from);
    let in_media = |ticks: u64| scale(ticks, media, described_in);
    let total = total_duration(stts)?;
    let wanted = description.media_duration.map(in_media);
    let last_duration = last_duration(stts, total, wanted);
    let last_duration = last_duration.filter(|_| !is_fragmented && samples.is_none());
    let media_duration = match (samples, last_duration) {
        (Some(samples), _) => samples.duration(),
        (None, Some(_)) => wanted?,
        (None, None) => total,
    };

    let mut edits: Vec<_> = description
        .shown
        .iter()
        .map(|shown| {
            let (start, end) = (in_media(shown.start), in_media(shown.end));
            TickEdit {
                duration: in_movie(end.saturating_sub(start)),
                media_time: start,
            }
        })
        .collect();
    let duration = match edits.is_empty() {
        true => in_movie(media_duration),
        false => edits.iter().map(|edit| edit.duration).sum(),
    };
    // A file in fragments did not know its duration when it began, and lasts until its end.
    if is_fragmented && let Some(last) = edits.last_mut() {
        last.duration = 0;
    }
    let durations = (!is_fragmented).then_some(Durations {
        presentation: duration,
        media: media_duration,
    });

    let rewriting = Rewriting {
        units,
        samples,
        durations,
        edits,
        last_duration,
        configuration: description.configuration.as_deref(),
    };
    let mut new = Vec::with_capacity(moov.len() + rewriting.edits.len() * 20 + 64);
    put_box(&mut new, b"moov", |new| rewriting.put_boxes(new, contents))?;
    Some(new)
}

#[derive(Debug, Clone, Copy)]
struct Durations {
    /// In units of the movie.
    presentation: u64,
    /// In units of the media.
    media: u64,
}

/// New contents of some boxes.
struct Rewriting<'a> {
    /// Ticks per second of movie and media, if they change.
    units: Option<u32>,
    samples: Option<&'a SampleTable>,
    durations: Option<Durations>,
    /// New edit list; empty to keep the one of the file.
    edits: Vec<TickEdit>,
    /// New duration of the last sample in ticks, if it changes.
    last_duration: Option<u32>,
    configuration: Option<&'a [u8]>,
}

/// Bytes of the fields of a sample entry of video before its boxes (12.1.3).
const VISUAL_SAMPLE_ENTRY: usize = 78;

impl Rewriting<'_> {
    /// Appends consecutive boxes.
    fn put_boxes(&self, new: &mut Vec<u8>, contents: &[u8]) -> Option<()> {
        for child in boxes(contents) {
            let Mp4Box {
                kind: name,
                whole,
                contents: inner,
            } = child;
            let durations = self.durations;
            match &name {
                b"trak" | b"mdia" | b"minf" | b"stbl" => {
                    put_box(new, &name, |new| self.put_boxes(new, inner))?;
                }
                b"mvhd" => {
                    let duration = durations.map(|all| all.presentation);
                    put_header(new, whole, duration, Between::Units(self.units))?;
                }
                b"mdhd" => {
                    let duration = durations.map(|all| all.media);
                    put_header(new, whole, duration, Between::Units(self.units))?;
                }
                b"tkhd" => {
                    let duration = durations.map(|all| all.presentation);
                    put_header(new, whole, duration, Between::TrackNumber)?;
                    if !self.edits.is_empty() {
                        edit_list(&self.edits).encode(new).ok()?;
                    }
                }
                b"edts" if !self.edits.is_empty() => {}
                b"stsd" => put_box(new, b"stsd", |new| {
                    let (head, entries) = inner.split_at_checked(8)?;
                    new.extend(head);
                    for entry in boxes(entries) {
                        put_box(new, &entry.kind, |new| {
                            self.put_sample_entry(new, entry.whole)
                        })?;
                    }
                    Some(())
                })?,
                b"stts" => self.put_sample_times(new, inner)?,
                b"ctts" if self.samples.is_some() => {}
                b"avcC" => put_box(new, b"avcC", |new| {
                    self.put_configuration(new, inner);
                    Some(())
                })?,
                _ => new.extend(whole),
            }
        }
        Some(())
    }

    /// Puts durations of samples, and their offsets if these change, too.
    fn put_sample_times(&self, new: &mut Vec<u8>, stts: &[u8]) -> Option<()> {
        let Some(samples) = self.samples else {
            return put_box(new, b"stts", |new| match self.last_duration {
                Some(ticks) => put_last_duration(new, stts, ticks),
                None => {
                    new.extend(stts);
                    Some(())
                }
            });
        };
        durations(&samples.durations).encode(new).ok()?;
        offsets(&samples.offsets).encode(new).ok()
    }

    fn put_sample_entry(&self, new: &mut Vec<u8>, whole: &[u8]) -> Option<()> {
        let contents = whole.get(HEADER..)?;
        let (fields, inner) = contents.split_at_checked(VISUAL_SAMPLE_ENTRY)?;
        new.extend(fields);
        self.put_boxes(new, inner)
    }

    /// Puts the configuration, followed by the rest of `old`.
    fn put_configuration(&self, new: &mut Vec<u8>, old: &[u8]) {
        match self.configuration {
            Some(configuration) if configuration.len() <= 4 => {
                new.extend(configuration);
                new.extend(old.get(configuration.len()..).unwrap_or_default());
            }
            Some(configuration) => new.extend(configuration),
            None => new.extend(old),
        }
    }
}

/// Returns the number of samples (8.6.1.2).
fn count_samples(stts: &[u8]) -> Option<u64> {
    let entries = stts.get(8..)?.chunks_exact(8);
    entries.map(|entry| number(entry, 0..4)).sum()
}

/// Returns the duration of all samples in ticks (8.6.1.2).
fn total_duration(stts: &[u8]) -> Option<u64> {
    let entries = stts.get(8..)?.chunks_exact(8);
    entries
        .map(|entry| Some(number(entry, 0..4)? * number(entry, 4..8)?))
        .try_fold(0u64, |sum, ticks| sum.checked_add(ticks?))
}

/// Returns the duration of the last sample with which all of them last `wanted`, or `None` if they do
/// already.
fn last_duration(stts: &[u8], total: u64, wanted: Option<u64>) -> Option<u32> {
    let wanted = wanted.filter(|wanted| *wanted != total)?;
    let last = number(stts.get(8..)?.chunks_exact(8).next_back()?, 4..8)?;
    let before = total.checked_sub(last)?;
    let ticks = wanted.checked_sub(before).filter(|ticks| *ticks > 0)?;
    u32::try_from(ticks).ok()
}

/// Puts the durations of samples (8.6.1.2) with another one of the last sample.
fn put_last_duration(new: &mut Vec<u8>, stts: &[u8], ticks: u32) -> Option<()> {
    let (before, last) = stts.split_at_checked(stts.len().checked_sub(8)?)?;
    let more = u32::try_from(number(last, 0..4)?).ok()?.checked_sub(1)?;
    let entries = u32::try_from(number(before, 4..8)?).ok()?;
    let begin = new.len();
    new.extend(before);
    if more > 0 {
        new.get_mut(begin + 4..begin + 8)?
            .copy_from_slice(&entries.checked_add(1)?.to_be_bytes());
        new.extend(more.to_be_bytes());
        new.extend(&last[4..]);
    }
    new.extend(1u32.to_be_bytes());
    new.extend(ticks.to_be_bytes());
    Some(())
}

/// Fields of a header between its two times and its duration.
#[derive(Debug, Clone, Copy)]
enum Between {
    /// Ticks per second, replaced by the value if there is one.
    Units(Option<u32>),
    /// The number of the track and a reserved field.
    TrackNumber,
}

/// Puts the header of the movie, a track or its media with another duration (8.2.2, 8.3.2, 8.4.2).
/// Version 1 has 64 bits for times and durations.
fn put_header(
    new: &mut Vec<u8>,
    whole: &[u8],
    duration: Option<u64>,
    between: Between,
) -> Option<()> {
    let Some(duration) = duration else {
        new.extend(whole);
        return Some(());
    };
    let contents = whole.get(HEADER..)?;
    let (is_long, size) = match *contents.first()? {
        1 => (true, 8),
        _ => (u32::try_from(duration).is_err(), 4),
    };
    let times_end = 4 + 2 * size;
    let (units, between) = match between {
        Between::Units(units) => (units, 4),
        Between::TrackNumber => (None, 8),
    };
    let duration_at = times_end + between;
    put_box(new, whole.get(4..HEADER)?.try_into().ok()?, |new| {
        new.push(is_long.into());
        new.extend(contents.get(1..4)?);
        let put = |new: &mut Vec<u8>, value: u64| {
            new.extend(&value.to_be_bytes()[if is_long { 0 } else { 4 }..]);
        };
        put(new, number(contents, 4..4 + size)?);
        put(new, number(contents, 4 + size..times_end)?);
        match units {
            Some(units) => new.extend(units.to_be_bytes()),
            None => new.extend(contents.get(times_end..duration_at)?),
        }
        put(new, duration);
        new.extend(contents.get(duration_at + size..)?);
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Playback at normal speed, as a 16.16 number.
    const NORMAL_RATE: u32 = 0x0001_0000;

    fn boxed(name: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let mut new = Vec::new();
        put_box(&mut new, name, |new| {
            new.extend(contents);
            Some(())
        });
        new
    }

    /// A header of version 0 whose fields are four bytes each.
    fn header(name: &[u8; 4], fields: &[u32]) -> Vec<u8> {
        let fields: Vec<u8> = fields
            .iter()
            .flat_map(|field| field.to_be_bytes())
            .collect();
        boxed(name, &fields)
    }

    /// A configuration without parameter sets.
    const CONFIGURATION: [u8; 7] = [1, 66, 0, 30, 0xff, 0xe0, 0];

    /// A movie of ten seconds, 1000 units a second, whose media has 90000; the first picture is 200 ms
    /// after the first DTS.
    fn moov_of(duration: u32, samples: [u32; 2], more: &[u8]) -> Vec<u8> {
        let elst = header(b"elst", &[0, 1, duration, 18_000, NORMAL_RATE]);
        let entry = [
            &[0; VISUAL_SAMPLE_ENTRY][..],
            &boxed(b"avcC", &CONFIGURATION),
        ]
        .concat();
        let stsd = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &boxed(b"avc1", &entry)].concat();
        let [count, delta] = samples;
        let stbl = [
            boxed(b"stsd", &stsd),
            header(b"stts", &[0, 1, count, delta]),
        ]
        .concat();
        let mdia = [
            header(b"mdhd", &[0, 1, 2, 90_000, 90 * duration, 3]),
            boxed(b"minf", &boxed(b"stbl", &stbl)),
        ];
        let trak = [
            header(b"tkhd", &[7, 1, 2, 1, 0, duration, 5, 6]),
            boxed(b"edts", &elst),
            boxed(b"mdia", &mdia.concat()),
        ];
        let contents = [
            header(b"mvhd", &[0, 1, 2, 1000, duration, 9]),
            boxed(b"trak", &trak.concat()),
            boxed(b"udta", b"text"),
            more.to_vec(),
        ];
        boxed(b"moov", &contents.concat())
    }

    fn moov() -> Vec<u8> {
        moov_of(10_000, [100, 9000], &[])
    }

    fn shown(part: Range<u64>) -> Description {
        Description {
            shown: vec![part],
            ..Default::default()
        }
    }

    fn at<'a>(moov: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
        let found = path
            .iter()
            .try_fold(&moov[HEADER..], |data, name| child(data, name));
        found.unwrap()
    }

    fn edits(moov: &[u8]) -> Vec<u64> {
        let elst = at(moov, &[b"trak", b"edts", b"elst"]);
        let numbers = elst[8..].chunks(4).map(|four| number(four, 0..4).unwrap());
        numbers.collect()
    }

    #[test]
    fn what_leads_in_is_left_out() {
        let old = moov();
        let new = described(&old, &shown(63_000..918_000)).unwrap();
        assert_eq!(new.len(), old.len());
        assert_eq!(edits(&new), [9500, 63_000, NORMAL_RATE.into()]);
        let mvhd = at(&new, &[b"mvhd"]);
        assert_eq!(number(mvhd, 16..20), Some(9500));
        assert_eq!(number(mvhd, 20..24), Some(9));
        assert_eq!(number(at(&new, &[b"trak", b"tkhd"]), 20..24), Some(9500));
        let mdhd = at(&new, &[b"trak", b"mdia", b"mdhd"]);
        assert_eq!(number(mdhd, 16..20), Some(900_000));
        assert_eq!(at(&new, &[b"udta"]), b"text");
        let same = described(&old, &shown(18_000..918_000)).unwrap();
        assert_eq!(same, old);
        assert_eq!(described(&old, &Description::default()), Some(old));
    }

    #[test]
    fn several_parts() {
        let old = moov();
        let mut description = shown(18_000..198_000);
        description.shown.push(288_000..423_000);
        let new = described(&old, &description).unwrap();
        assert_eq!(new.len(), old.len() + 12);
        let rate = NORMAL_RATE.into();
        let expected = [2000, 18_000, rate, 1500, 288_000, rate];
        assert_eq!(edits(&new), expected);
        let size = number(&new, 0..4).unwrap();
        assert_eq!(size, new.len() as u64);
    }

    #[test]
    fn a_file_in_fragments_lasts_until_its_end() {
        let old = moov_of(0, [0, 0], &boxed(b"mvex", &[]));
        let new = described(&old, &shown(63_000..918_000)).unwrap();
        assert_eq!(edits(&new)[..2], [0, 63_000]);
        assert_eq!(number(at(&new, &[b"mvhd"]), 16..20), Some(0));
    }

    /// 100 samples of an hour each; mp4mux has cut off the durations.
    #[test]
    fn long_times_have_long_numbers() {
        let hour = 90_000 * 3600;
        let old = moov_of(7, [100, hour], &[]);
        let total = 100 * u64::from(hour);
        let new = described(&old, &shown(18_000..18_000 + total)).unwrap();
        let mdhd = at(&new, &[b"trak", b"mdia", b"mdhd"]);
        let times = [
            number(mdhd, 4..12),
            number(mdhd, 12..20),
            number(mdhd, 20..24),
        ];
        assert_eq!(times, [Some(1), Some(2), Some(90_000)]);
        assert_eq!((mdhd[0], number(mdhd, 24..32)), (1, Some(total)));
        assert_eq!(number(mdhd, 32..36), Some(3));
        // Units of the movie have room.
        let mvhd = at(&new, &[b"mvhd"]);
        assert_eq!((mvhd[0], number(mvhd, 16..20)), (0, Some(360_000_000)));

        let new = described(&old, &shown(total..total + 90_000)).unwrap();
        let elst = at(&new, &[b"trak", b"edts", b"elst"]);
        assert_eq!(elst[0], 1);
        let edit = [number(elst, 8..16), number(elst, 16..24)];
        assert_eq!(edit, [Some(1000), Some(total)]);
    }

    #[test]
    fn the_last_sample_makes_up_for_a_difference() {
        let old = moov();
        let path: [&[u8; 4]; 5] = [b"trak", b"mdia", b"minf", b"stbl", b"stts"];
        for (wanted, entries) in [
            (900_000, vec![1, 100, 9000]),
            (895_500, vec![2, 99, 9000, 1, 4500]),
            (909_000, vec![2, 99, 9000, 1, 18_000]),
            // That would be none.
            (891_000, vec![1, 100, 9000]),
        ] {
            let description = Description {
                media_duration: Some(wanted),
                ..Default::default()
            };
            let new = described(&old, &description).unwrap();
            let stts = at(&new, &path)[4..].chunks(4);
            let stts: Vec<_> = stts.map(|four| number(four, 0..4).unwrap()).collect();
            assert_eq!(stts, entries, "{wanted}");
            let expected = if entries.len() > 3 { wanted } else { 900_000 };
            let mdhd = at(&new, &[b"trak", b"mdia", b"mdhd"]);
            assert_eq!(number(mdhd, 16..20), Some(expected));
            assert_eq!(number(&new, 0..4), Some(new.len() as u64));
        }
        let single = moov_of(100, [1, 9000], &[]);
        let description = Description {
            media_duration: Some(4500),
            ..Default::default()
        };
        let new = described(&single, &description).unwrap();
        assert_eq!(number(at(&new, &path), 8..16), Some(1 << 32 | 4500));
    }

    #[test]
    fn samples_get_other_times() {
        let stbl: [&[u8; 4]; 4] = [b"trak", b"mdia", b"minf", b"stbl"];
        let of = |moov: &[u8], name| {
            let numbers = child(at(moov, &stbl), name)?[4..].chunks(4);
            Some(numbers.map(|four| number(four, 0..4).unwrap()).collect())
        };
        let mut description = Description {
            units: Some(1_000_000),
            samples: Some(SampleTable {
                durations: vec![(99, 1), (1, 40_000)],
                offsets: vec![(100, 0)],
            }),
            ..shown(0..40_099)
        };
        let old = moov();
        let new = described(&old, &description).unwrap();
        assert_eq!(of(&new, b"stts"), Some(vec![2, 99, 1, 1, 40_000]));
        assert_eq!(of(&new, b"ctts"), None);
        assert_eq!(edits(&new)[..2], [40_099, 0]);
        for path in [&[b"mvhd"][..], &[b"trak", b"mdia", b"mdhd"]] {
            let fields = number(at(&new, path), 12..20);
            assert_eq!(fields, Some(1_000_000 << 32 | 40_099), "{path:?}");
        }
        assert_eq!(number(&new, 0..4), Some(new.len() as u64));

        let samples = description.samples.as_mut().unwrap();
        samples.offsets = vec![(1, 2), (99, 1)];
        let new = described(&old, &description).unwrap();
        assert_eq!(of(&new, b"ctts"), Some(vec![2, 1, 2, 99, 1]));
        assert_eq!(described(&new, &description), Some(new));

        // Those of the file stay if there are others than expected, and where there is no room.
        description.samples.as_mut().unwrap().durations[0].0 = 98;
        for description in [&description, &description.without_configuration()] {
            let new = described(&old, description).unwrap();
            assert_eq!(of(&new, b"stts"), Some(vec![1, 100, 9000]));
            assert_eq!(edits(&new)[..2], [40, 0]);
            let mdhd = at(&new, &[b"trak", b"mdia", b"mdhd"]);
            assert_eq!(number(mdhd, 12..20), Some(90_000 << 32 | 900_000));
        }
    }

    #[test]
    fn a_track_of_many_movie_units_has_a_long_header() {
        let old = header(b"tkhd", &[7, 1, 2, 3, 0, 4, 5, 6]);
        let mut new = Vec::new();
        put_header(&mut new, &old, Some(1 << 32), Between::TrackNumber).unwrap();
        let expected = [0x0100_0007, 0, 1, 0, 2, 3, 0, 1, 0, 5, 6];
        assert_eq!(new, header(b"tkhd", &expected));
    }

    #[test]
    fn configurations_may_grow() {
        let other = [1, 66, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 66, 0];
        let mut description = Description {
            configuration: Some(other.to_vec()),
            ..Default::default()
        };
        let old = moov();
        let path: [&[u8; 4]; 5] = [b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
        let new = described(&old, &description).unwrap();
        let entry = child(&at(&new, &path)[8..], b"avc1").unwrap();
        assert_eq!(
            child(&entry[VISUAL_SAMPLE_ENTRY..], b"avcC"),
            Some(&other[..])
        );
        assert_eq!(number(&new, 0..4), Some(new.len() as u64));
        // In front of the samples only the level can change.
        description = description.without_configuration();
        let new = described(&old, &description).unwrap();
        assert_eq!(new.len(), old.len());
        let entry = child(&at(&new, &path)[8..], b"avc1").unwrap();
        let expected = [&other[..4], &CONFIGURATION[4..]].concat();
        assert_eq!(
            child(&entry[VISUAL_SAMPLE_ENTRY..], b"avcC"),
            Some(&expected[..])
        );
    }

    #[test]
    fn what_is_no_movie_is_refused() {
        let old = moov();
        let udta = 12;
        for end in 0..old.len() - udta {
            assert_eq!(described(&old[..end], &shown(0..1)), None, "{end}");
        }
    }
}
