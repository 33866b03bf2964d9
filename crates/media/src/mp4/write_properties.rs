// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Property tests: a file that is written is read again, plain and in fragments.

use std::io::{self, Write};
use std::ops::Range;

use bytes::Bytes;
use mp4_atom::{Decode, Moov};
use proptest::collection::vec;
use proptest::prelude::*;

use super::boxes::boxes;
use super::*;
use crate::access_unit::{Codec, DecoderConfig};
use crate::codec::h264::testing::{SPS, pps, sps};
use crate::codec::h264::{Colour, ParameterSets};
use crate::time::{CaptureTime, Nanos};

/// A sample that is written.
#[derive(Debug, Clone)]
struct Written {
    facts: SampleFacts,
    nal_units: Vec<usize>,
}

/// An hour in µs.
const HOUR: u64 = 3_600_000_000;

/// Samples in decoding order, whose PTS are a permutation of slots that are some frames later. Pauses among them are
/// up to `pause` µs long.
fn samples(pause: u64) -> impl Strategy<Value = Vec<Written>> {
    let distance = prop_oneof![
        8 => 1u64..500_000,
        1 => 0..pause,
    ];
    let frame = (distance, any::<bool>(), vec(1usize..2000, 1..4));
    let begin = prop_oneof![Just(0), 0u64..10_000_000_000_000];
    (begin, vec(frame, 1..80), 0usize..4).prop_map(|(begin, frames, delay)| {
        let mut time = begin;
        let mut slots: Vec<_> = (frames.iter())
            .map(|frame| {
                time += frame.0.max(12);
                Nanos::from_useconds(time)
            })
            .collect();
        let end = *slots.last().unwrap_or(&Nanos::ZERO);
        slots.extend((1..=delay as u64).map(|slot| end + slot * 40 * Nanos::MSECOND));
        let mut places: Vec<_> = (0..frames.len()).collect();
        for group in places.chunks_mut(delay + 1) {
            group.rotate_right(1);
        }
        let samples = frames.into_iter().zip(places).enumerate();
        samples
            .map(|(at, ((_, is_sync, nal_units), place))| Written {
                facts: SampleFacts {
                    times: Sample {
                        pts: slots[place + delay],
                        dts: slots[at],
                    },
                    duration: 40 * Nanos::MSECOND,
                    is_sync: is_sync || at == 0,
                },
                nal_units,
            })
            .collect()
    })
}

impl Written {
    fn payload(&self, number: usize) -> SamplePayload {
        let nal = |size: &usize| Bytes::from(vec![number as u8; *size]);
        self.nal_units.iter().map(nal).collect()
    }

    fn bytes(&self, number: usize) -> Vec<u8> {
        let nal_units = self.nal_units.iter().map(|size| {
            let length = u32::try_from(*size).unwrap_or(0).to_be_bytes();
            [&length[..], &vec![number as u8; *size]].concat()
        });
        nal_units.collect::<Vec<_>>().concat()
    }
}

fn config() -> DecoderConfig {
    let mut sets = ParameterSets::default();
    sets.put(&sps(SPS));
    sets.put(&pps(0));
    DecoderConfig {
        codec: Codec::H264,
        record: sets.to_configuration(0).unwrap(),
        size: Some((64, 64)),
    }
}

fn track(units: u32) -> VideoTrack {
    VideoTrack {
        timescale: Timescale::new(units).unwrap(),
        config: Some(config()),
        size: None,
        pixel_aspect_ratio: Some((4, 3)),
        colour: Some(Colour {
            full_range: true,
            primaries: 1,
            transfer: 13,
            matrix: 6,
        }),
        created: Some(CaptureTime::from_useconds(1_749_803_453_273_752)),
    }
}

/// The description that the cutter makes of samples, of which all but the first and last `hidden` are shown.
fn description(samples: &[Written], muxed: Timescale, hidden: usize) -> Description {
    let times: Vec<_> = samples.iter().map(|sample| sample.facts.times).collect();
    let computed = SampleTimes::compute(&times, muxed, false);
    let scale = computed.as_ref().map_or(muxed, SampleTimes::scale);
    let ticks = |time| match &computed {
        Some(times) => times.ticks(time),
        None => scale.ticks(time) - scale.ticks(times[0].dts),
    };
    let mut shown: Vec<_> = times.iter().map(|times| times.pts).collect();
    shown.sort_unstable();
    let hidden = hidden.min((shown.len() - 1) / 2);
    let first = shown[hidden];
    let last = shown[shown.len() - 1 - hidden];
    let part = ticks(first)..ticks(last + 40 * Nanos::MSECOND).max(ticks(last) + 1);
    let hides = hidden > 0;
    Description {
        units: computed.as_ref().map(|times| times.scale().units()),
        samples: computed.as_ref().map(|times| SampleTable {
            durations: times.durations(part.end.saturating_sub(times.first_pts())),
            offsets: times.offsets(),
        }),
        hides,
        media_duration: (!hides).then_some(part.end - part.start),
        shown: vec![part],
        configuration: None,
    }
}

/// Checks that a file has these samples, with their times to within a tick. Returns the file as it was read.
fn check(
    file: &Bytes,
    samples: &[Written],
    description: &Description,
    cut: usize,
) -> Result<VideoTrackFile, TestCaseError> {
    let cut = cut % file.len();
    let read = read_video_track(&[file.slice(..cut), file.slice(cut..)]);
    prop_assert_eq!(&read, &read_video_track(std::slice::from_ref(file)));
    let read = match read {
        Ok(read) => read,
        Err(error) => return Err(TestCaseError::fail(format!("{error}"))),
    };
    prop_assert_eq!(read.samples.len(), samples.len());
    let units = read.media.units;
    prop_assert_eq!(read.movie.units, units);
    let scale = Timescale::new(units).unwrap();
    let first = samples[0].facts.times.dts;
    // Pauses that are too long for any scale are shortened.
    let is_shortened = description.samples.is_some() && units == 90_000;
    for (number, (found, sample)) in read.samples.iter().zip(samples).enumerate() {
        let begin = usize::try_from(found.offset).unwrap_or(usize::MAX);
        let contents = &file[begin..begin + found.size as usize];
        prop_assert_eq!(contents, sample.bytes(number));
        prop_assert_eq!(found.is_sync, sample.facts.is_sync);
        if !is_shortened {
            let times = [
                (found.dts, sample.facts.times.dts),
                (found.pts.unsigned_abs(), sample.facts.times.pts),
            ];
            for (found, expected) in times {
                let tolerance = if found <= samples.len() as u64 { 80 } else { 2 };
                prop_assert!(found.abs_diff(scale.ticks(expected - first)) <= tolerance);
            }
        }
    }
    for pair in read.samples.windows(2) {
        prop_assert_eq!(pair[0].dts + u64::from(pair[0].duration), pair[1].dts);
    }
    let mut pts: Vec<_> = read.samples.iter().map(|sample| sample.pts).collect();
    pts.sort_unstable();
    prop_assert!(pts.windows(2).all(|pair| pair[0] < pair[1]));
    prop_assert_eq!(&read.sample_entry, b"avc1");
    prop_assert_eq!(read.configuration.as_deref(), Some(&config().record[..]));
    prop_assert_eq!(
        (read.size, read.shown_size),
        ([64; 2], [85 << 16, 64 << 16])
    );
    prop_assert_eq!(read.pixel_aspect_ratio, Some((4, 3)));
    let colour = b"nclx\0\x01\0\x0d\0\x06\x80";
    prop_assert_eq!(read.colour.as_deref(), Some(&colour[..]));
    Ok(read)
}

/// Returns the only edit that shows `part`.
fn edit(part: &Range<u64>) -> FileEdit {
    FileEdit {
        duration: part.end - part.start,
        media_time: Some(part.start),
    }
}

proptest! {
    #[test]
    fn plain_files_are_read_again(
        samples in samples(13 * HOUR),
        units in prop::sample::select(vec![20_000u32, 30_000, 90_000, 1_000_000]),
        hidden in prop_oneof![Just(0), 0usize..3],
        is_first in any::<bool>(),
        cut in any::<usize>(),
    ) {
        let track = track(units);
        let description = description(&samples, track.timescale, hidden);
        let mut writer = PlainWriter::new(track, Vec::new());
        for (number, sample) in samples.iter().enumerate() {
            writer.push(&sample.facts, &sample.payload(number))?;
        }
        let place = if is_first { MoovPlace::First } else { MoovPlace::Last };
        let (body, parts) = writer.finish(&description, place)?;
        prop_assert_eq!(is_first, parts.back.is_empty());
        prop_assert!(is_first || parts.front.len() == RESERVED);
        let file = Bytes::from([&parts.front[..], &body, &parts.back].concat());
        prop_assert_eq!(file.len() as u64, parts.length());
        let read = check(&file, &samples, &description, cut)?;

        // One number of ticks for header, edit list and samples.
        let shown = edit(&description.shown[0]);
        prop_assert_eq!(&read.edits, &[shown]);
        prop_assert_eq!([read.movie.ticks, read.track_duration], [shown.duration; 2]);
        let media: u64 = read.samples.iter().map(|sample| u64::from(sample.duration)).sum();
        prop_assert_eq!(read.media.ticks, media);
        // The last sample makes up for the difference, unless it would last no tick then.
        let last = read.samples.last().map_or(0, |last| last.dts);
        if !description.hides && description.samples.is_none() && last < shown.duration {
            prop_assert_eq!(media, shown.duration);
        }
        // Another reader takes all boxes.
        let moov = boxes(&file).find(|found| found.kind == *b"moov").map(|found| found.whole);
        let moov = Moov::decode(&mut moov.unwrap_or_default())?;
        let table = &moov.trak[0].mdia.minf.stbl;
        let is_all_sync = samples.iter().all(|sample| sample.facts.is_sync);
        prop_assert_eq!(table.stss.is_none(), is_all_sync);
        prop_assert_eq!(moov.mvhd.creation_time, 2_082_844_800 + 1_749_803_453);
        // The reader of times agrees.
        let scale = |ticks: u64| (u128::from(ticks) * 1_000_000_000 / u128::from(read.media.units)) as u64;
        let movie = movie(&[file]).map(|movie| (movie.start, movie.length));
        let end = scale(description.shown[0].start) + scale(shown.duration);
        let start = scale(description.shown[0].start);
        prop_assert_eq!(movie, Some((start, Some(end - start))));
    }

    #[test]
    fn fragments_are_read_again(
        samples in samples(HOUR),
        hidden in prop_oneof![Just(0), 0usize..3],
        min_duration in prop_oneof![Just(0u64), 0u64..3_000],
        split_before in vec(any::<bool>(), 80),
        cut in any::<usize>(),
    ) {
        let track = track(90_000);
        let description = Description {
            units: None,
            samples: None,
            ..description(&samples, track.timescale, hidden)
        };
        let min_duration = Nanos::from_mseconds(min_duration);
        let mut writer = FragmentWriter::new(track, min_duration, Vec::new());
        let init = writer.init_segment()?;
        for ((number, sample), split) in samples.iter().enumerate().zip(split_before) {
            if split && number % 7 == 0 {
                writer.split();
            }
            writer.push(&sample.facts, sample.payload(number))?;
        }
        let (body, parts) = writer.finish(&description)?;
        prop_assert_eq!(body.len() as u64, parts.body);
        let file = Bytes::from([&parts.front[..], &body, &parts.back].concat());
        let mut described = description.clone();
        described.samples = None;
        let read = check(&file, &samples, &described, cut)?;
        prop_assert!(read.is_fragmented);
        let expected = FileEdit { duration: 0, ..edit(&described.shown[0]) };
        let expected = Some(expected).filter(|edit| edit.media_time != Some(0));
        prop_assert_eq!(&read.edits[..], expected.as_slice());
        let alone = read_video_track(&[init.clone().into()])?;
        prop_assert!(alone.samples.is_empty() && alone.edits.is_empty());
        let streamed = read_video_track(&[init.into(), body.clone().into()])?;
        prop_assert_eq!(streamed.samples.len(), samples.len());
        // Another reader takes all fragments, which begin with sync samples or where they were split.
        let mut number = 0;
        for found in boxes(&body).filter(|found| found.kind == *b"moof") {
            let moof = mp4_atom::Moof::decode(&mut &found.whole[..])?;
            number += 1;
            prop_assert_eq!(moof.mfhd.sequence_number, number);
        }
        prop_assert!(number >= 1);
        let moov = boxes(&parts.front).find(|found| found.kind == *b"moov").map(|found| found.whole);
        let moov = Moov::decode(&mut moov.unwrap_or_default())?;
        let extends = moov.mvex.and_then(|extends| extends.mehd).map(|found| found.fragment_duration);
        let total: u64 = read.samples.iter().map(|sample| u64::from(sample.duration)).sum();
        prop_assert_eq!(extends, Some(total));
    }

    /// However broken a file is, nothing panics, and pieces do not matter.
    #[test]
    fn broken_files_are_refused(
        samples in samples(HOUR),
        is_fragmented in any::<bool>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let description = description(&samples, Timescale::default(), 0);
        let track = track(90_000);
        let (parts, body) = if is_fragmented {
            let mut writer = FragmentWriter::new(track, Nanos::ZERO, Vec::new());
            for sample in &samples {
                writer.push(&sample.facts, SamplePayload::from_iter([Bytes::from_static(&[7; 3])]))?;
            }
            let (body, parts) = writer.finish(&Description::default())?;
            (parts, body)
        } else {
            let mut writer = PlainWriter::new(track, Vec::new());
            for sample in &samples {
                writer.push(&sample.facts, &SamplePayload::from_iter([Bytes::from_static(&[7; 3])]))?;
            }
            let (body, parts) = writer.finish(&description, MoovPlace::Last)?;
            (parts, body)
        };
        let mut bytes = [parts.front, body, parts.back].concat();
        let length = bytes.len();
        for (place, byte) in changes {
            bytes[place.index(length)] = byte;
        }
        let bytes = Bytes::from(bytes);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(length)).collect();
        cuts.extend([0, length]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| bytes.slice(cut[0]..cut[1])).collect();
        prop_assert_eq!(read_video_track(&pieces), read_video_track(&[bytes]));
    }
}

/// Counts bytes.
#[derive(Default)]
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file of 6 GB and 5 000 hours: places and durations of 64 bits.
#[test]
fn large_files() {
    for place in [MoovPlace::Last, MoovPlace::First] {
        let mut writer = PlainWriter::new(track(90_000), Counter::default());
        let nal = Bytes::from(vec![0; 10_000_000]);
        for number in 0..600 {
            let time = number * Nanos::from_seconds(30_000);
            let facts = SampleFacts {
                times: Sample {
                    pts: time,
                    dts: time,
                },
                duration: Nanos::from_seconds(30_000),
                is_sync: true,
            };
            writer
                .push(&facts, &SamplePayload::from_iter([nal.clone()]))
                .unwrap();
        }
        let (counter, parts) = writer.finish(&Description::default(), place).unwrap();
        assert_eq!((counter.0, parts.body), (6_000_002_400, 6_000_002_400));
        let around = [&parts.front[..], &parts.back].concat();
        // The box of the samples is there, and has a 64-bit size.
        let mdat = match place {
            MoovPlace::Last => &parts.front[RESERVED - 16..],
            MoovPlace::First => &parts.front[parts.front.len() - 16..],
        };
        let header = BoxHeader::parse(mdat, u64::MAX).unwrap();
        assert_eq!((&header.kind, header.length), (b"mdat", 16));
        assert_eq!(header.size, 16 + parts.body);
        let moov = match place {
            MoovPlace::Last => &around[RESERVED..],
            MoovPlace::First => child_whole(&around, b"moov"),
        };
        let moov = Moov::decode(&mut &moov[..]).unwrap();
        let ticks = 600 * 30_000 * 90_000;
        assert_eq!(moov.mvhd.duration, ticks);
        let table = &moov.trak[0].mdia.minf.stbl;
        assert!(table.stco.is_none() && table.stss.is_none() && table.ctts.is_none());
        let places = &table.co64.as_ref().unwrap().entries;
        let base = parts.front.len() as u64;
        let expected: Vec<_> = (0..600).map(|number| base + number * 10_000_004).collect();
        assert_eq!(places, &expected);
        assert_eq!(moov.trak[0].mdia.mdhd.duration, ticks);
        let elst = moov.trak[0].edts.as_ref().unwrap().elst.as_ref().unwrap();
        assert_eq!(elst.entries[0].segment_duration, ticks);
    }
}

/// The last chunk fits 32 bits only if `moov` does not stand before it.
#[test]
fn places_just_within_32_bits() {
    const LENGTH: u64 = 4;
    let nal = Bytes::from(vec![0; 10_000_000]);
    let last = u64::from(u32::MAX) - 2000;
    let full = last / (10_000_000 + LENGTH);
    let rest = last - full * (10_000_000 + LENGTH) - LENGTH;
    let rest = nal.slice(..rest as usize);
    let nals = (0..full).map(|_| &nal).chain([&rest, &nal]);
    for (place, is_large) in [(MoovPlace::Last, false), (MoovPlace::First, true)] {
        let mut writer = PlainWriter::new(track(90_000), Counter::default());
        for (number, nal) in (0..).zip(nals.clone()) {
            let time = number * Nanos::SECOND;
            let facts = SampleFacts {
                times: Sample {
                    pts: time,
                    dts: time,
                },
                duration: Nanos::SECOND,
                is_sync: true,
            };
            let payload = SamplePayload::from_iter([nal.clone()]);
            writer.push(&facts, &payload).unwrap();
        }
        let (_, parts) = writer.finish(&Description::default(), place).unwrap();
        let around = [&parts.front[..], &parts.back].concat();
        let moov = match place {
            MoovPlace::Last => &around[RESERVED..],
            MoovPlace::First => child_whole(&around, b"moov"),
        };
        let moov = Moov::decode(&mut &moov[..]).unwrap();
        let table = &moov.trak[0].mdia.minf.stbl;
        let expected = parts.front.len() as u64 + last;
        assert_eq!(u32::try_from(expected).is_err(), is_large);
        let found = match (&table.stco, &table.co64) {
            (Some(stco), None) => stco.entries.last().map(|place| u64::from(*place)),
            (None, Some(co64)) => co64.entries.last().copied(),
            _ => None,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(table.co64.is_some(), is_large);
    }
}

fn child_whole<'a>(data: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
    boxes(data).find(|found| found.kind == *kind).unwrap().whole
}
