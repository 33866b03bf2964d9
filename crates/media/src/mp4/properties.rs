// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Property tests of the times of a file: written as for the episodes, and read again.
//!
//! The box `moov` is first written as mp4mux does it, in the time scale of the file.

use std::ops::Range;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::boxes::{HEADER, child, number, put_box};
use super::{Description, Movie, Sample, SampleTable, SampleTimes, Timescale, movie, rewrite_moov};
use crate::frame_rate::FrameRate;
use crate::time::Nanos;

/// A file and the parts of it that are shown.
#[derive(Debug, Clone)]
struct File {
    rate: FrameRate,
    /// The user has set the time scale of `rate`.
    is_fixed: bool,
    /// Running time of the first DTS in µs.
    begin: u64,
    /// Distances of the frames in µs.
    distances: Vec<u64>,
    /// Number of frames by which DTS precede PTS.
    delay: usize,
    /// Frames before and after those that are shown.
    hidden: (usize, usize),
    /// Frame before which another part begins that is shown, and frames between the two.
    second: Option<(Index, usize)>,
    /// Ticks per second of the movie, if they are not those of the media.
    movie_units: Option<u32>,
}

/// Frame rates for all kinds of time scales.
fn rate() -> impl Strategy<Value = FrameRate> {
    let rates = [
        (25, 1),
        (30_000, 1001),
        (31, 2),
        (1, 250),
        (90_000, 1),
        (1_000_000, 33_333),
        (10_000_000, 333_333),
    ];
    let other = (1i32..2_000_000, 1i32..100_000);
    let rates = prop_oneof![prop::sample::select(rates.to_vec()), other];
    rates.prop_filter_map("a rate", |(numer, denom)| FrameRate::new(numer, denom))
}

/// Distances of frames, with pauses among them.
fn distances() -> impl Strategy<Value = Vec<u64>> {
    const HOUR: u64 = 3_600_000_000;
    let with_pauses = |frames: Range<u64>, pause: u64| {
        let distance = prop_oneof![8 => frames.clone(), 1 => frames.start..pause];
        vec(distance, 6..60)
    };
    prop_oneof![
        // Less than a tick, where only a finer scale keeps them apart.
        with_pauses(1..200, 10_000_000),
        with_pauses(10_000..500_000, 10_000_000),
        // Beyond 32 bits of ticks in most scales, and for coarser scales only. Longer pauses are
        // shortened.
        with_pauses(10_000..500_000, 18 * HOUR),
    ]
}

fn file() -> impl Strategy<Value = File> {
    let begin = prop_oneof![Just(0), 0u64..10_000_000_000_000];
    let hidden = prop_oneof![Just((0, 0)), (0usize..3, 0usize..2)];
    let second = prop::option::weighted(0.3, (any::<Index>(), 0usize..3));
    let movie_units = prop::option::weighted(0.2, prop::sample::select(vec![1000, 10_000]));
    let times = (begin, distances(), 0usize..4);
    (rate(), any::<bool>(), times, hidden, second, movie_units).prop_map(
        |(rate, is_fixed, (begin, distances, delay), hidden, second, movie_units)| {
            let is_dense = distances.iter().any(|distance| *distance < 10_000);
            let has_long_pauses = distances.iter().any(|distance| *distance > 10_000_000);
            File {
                rate,
                // Not all times can be written in a scale that stays, and not all edits in units of
                // the movie.
                is_fixed: is_fixed && !is_dense && !has_long_pauses,
                movie_units: movie_units.filter(|_| !is_dense),
                begin,
                distances,
                delay,
                hidden,
                second,
            }
        },
    )
}

/// Duration of the last frame.
const LAST: Nanos = Nanos::from_mseconds(40);

impl File {
    /// Returns the times between which frames are shown, and the number of frames.
    fn slots(&self) -> (Vec<Nanos>, usize) {
        let mut time = self.begin;
        let slots = self.distances.iter().map(|distance| {
            time += distance;
            Nanos::from_useconds(time)
        });
        let mut slots: Vec<_> = slots.collect();
        let frames = slots.len() - self.delay;
        slots.push(slots[slots.len() - 1] + LAST);
        (slots, frames)
    }

    /// Returns samples in decoding order with their places in output order: of each group the last
    /// one comes first.
    fn samples(&self) -> Vec<(Sample, usize)> {
        let (slots, frames) = self.slots();
        let places: Vec<_> = (0..frames).collect();
        let groups = places.chunks(self.delay + 1);
        let places = groups.flat_map(|group| {
            let (last, others) = group.split_last().unwrap_or((&0, &[]));
            [&[*last], others].concat()
        });
        let sample = |(at, place): (usize, usize)| Sample {
            pts: slots[place + self.delay],
            dts: slots[at],
        };
        let samples = places.enumerate();
        samples
            .map(|(at, place)| (sample((at, place)), place))
            .collect()
    }

    /// Returns the places of the frames that are shown, in one or two parts.
    fn shown(&self) -> Vec<Range<usize>> {
        let (_, frames) = self.slots();
        let first = self.hidden.0.min(frames - 1);
        let end = (frames - self.hidden.1).max(first + 1);
        if let Some((before, between)) = &self.second
            && end - first > between + 1
        {
            let cut = first + 1 + before.index(end - first - between - 1);
            return vec![first..cut, cut + between..end];
        }
        std::iter::once(first..end).collect()
    }

    /// Returns the running times of frames at these places, up to the next one.
    fn times(&self, places: &Range<usize>) -> Range<Nanos> {
        let (slots, _) = self.slots();
        slots[places.start + self.delay]..slots[places.end + self.delay]
    }

    /// Returns the box `moov` that is written for the file in the scale `muxed`.
    fn write(&self, muxed: Timescale) -> Option<Vec<u8>> {
        let all = self.samples();
        let samples: Vec<_> = all.iter().map(|(sample, _)| *sample).collect();
        let (first, last) = (samples.first()?, samples.last()?);
        let times = SampleTimes::compute(&samples, muxed, self.is_fixed);
        let scale = times.as_ref().map_or(muxed, SampleTimes::scale);
        let since_begin = |time| match &times {
            Some(times) => times.ticks(time),
            None => scale.ticks(time) - scale.ticks(first.dts),
        };
        let shown = self.shown();
        let hides = shown.iter().map(Range::len).sum::<usize>() < samples.len();
        let shown: Vec<_> = shown
            .iter()
            .map(|places| self.times(places))
            .map(|times| since_begin(times.start)..since_begin(times.end))
            .collect();
        let end = shown.last()?.end;
        let description = Description {
            units: times.as_ref().map(|times| times.scale().units()),
            samples: times.as_ref().map(|times| SampleTable {
                durations: times.durations(end.saturating_sub(times.first_pts())),
                offsets: times.offsets(),
            }),
            hides,
            media_duration: (!hides).then(|| shown.iter().map(|it| it.end - it.start).sum()),
            shown,
            configuration: None,
        };
        let (slots, _) = self.slots();
        let delay = slots[self.delay] - first.dts;
        let last_duration = (slots[slots.len() - 1] - delay).saturating_sub(last.dts);
        let moov = muxed_moov(&samples, last_duration.max(LAST), muxed, self.movie_units)?;
        let (moov, is_hidden) = rewrite_moov(&moov, true, &description).ok()?;
        is_hidden.then_some(moov)
    }
}

/// Returns the box `moov` as mp4mux writes it: with the times of samples as far as they have 32 bits.
fn muxed_moov(
    samples: &[Sample],
    last_duration: Nanos,
    scale: Timescale,
    movie_units: Option<u32>,
) -> Option<Vec<u8>> {
    let ticks = |time| scale.ticks(time) as u32;
    let dts = samples.iter().map(|sample| sample.dts);
    let ends = dts.clone().skip(1);
    let ends = ends.chain(samples.last().map(|last| last.dts + last_duration));
    let durations: Vec<_> = dts
        .zip(ends)
        .map(|(dts, end)| [1, ticks(end).wrapping_sub(ticks(dts))])
        .collect();
    let offsets: Vec<_> = samples
        .iter()
        .map(|sample| [1, ticks(sample.pts).wrapping_sub(ticks(sample.dts))])
        .collect();
    let count = samples.len() as u32;
    let fields = |fields: &[u32]| -> Vec<u8> {
        fields
            .iter()
            .flat_map(|field| field.to_be_bytes())
            .collect()
    };
    let boxed = |name: &[u8; 4], contents: &[u8]| {
        let mut new = Vec::new();
        put_box(&mut new, name, |new| {
            new.extend(contents);
            Some(())
        })?;
        Some(new)
    };
    let table = [
        boxed(b"stsd", &fields(&[0, 0]))?,
        boxed(
            b"stts",
            &[fields(&[0, count]), fields(durations.as_flattened())].concat(),
        )?,
        boxed(
            b"ctts",
            &[fields(&[0, count]), fields(offsets.as_flattened())].concat(),
        )?,
    ];
    let handler = [&[0; 8], &b"vide"[..], &[0; 13]].concat();
    let media = [
        boxed(b"mdhd", &fields(&[0, 1, 2, scale.units(), 0, 0]))?,
        boxed(b"hdlr", &handler)?,
        boxed(b"minf", &boxed(b"stbl", &table.concat())?)?,
    ];
    let track = [
        boxed(b"tkhd", &fields(&[7, 1, 2, 1, 0, 0, 0, 0]))?,
        boxed(b"mdia", &media.concat())?,
    ];
    let units = movie_units.unwrap_or(scale.units());
    let contents = [
        boxed(b"mvhd", &fields(&[0, 1, 2, units, 0, 0]))?,
        boxed(b"trak", &track.concat())?,
    ];
    boxed(b"moov", &contents.concat())
}

/// Times of a file, as the boxes of a `moov` have them.
#[derive(Debug)]
struct Times {
    movie_units: u64,
    media_units: u64,
    /// Durations of movie, track and media.
    durations: [u64; 3],
    /// Sum of the durations of samples.
    total: u64,
    /// PTS of samples in decoding order.
    pts: Vec<u64>,
    /// Durations in units of the movie, and media times.
    edits: Vec<(u64, u64)>,
}

impl Times {
    fn read(moov: &[u8]) -> Option<Self> {
        let contents = &moov[HEADER..];
        let track = child(contents, b"trak")?;
        let media = child(track, b"mdia")?;
        let table = child(child(media, b"minf")?, b"stbl")?;
        // The scale, and the duration that is `between` bytes behind the times of the header.
        let header = |header: &[u8], between: usize| {
            let size = if header[0] == 1 { 8 } else { 4 };
            let at = 4 + 2 * size;
            let duration = at + between..at + between + size;
            Some((number(header, at..at + 4)?, number(header, duration)?))
        };
        let (movie_units, movie_duration) = header(child(contents, b"mvhd")?, 4)?;
        let (_, track_duration) = header(child(track, b"tkhd")?, 8)?;
        let (media_units, media_duration) = header(child(media, b"mdhd")?, 4)?;
        let runs = |name| {
            let entries = child(table, name).map_or(&[][..], |contents| &contents[8..]);
            entries.chunks(8).flat_map(|entry| {
                let [count, value] = [0..4, 4..8].map(|field| number(entry, field).unwrap_or(0));
                std::iter::repeat_n(value, count as usize)
            })
        };
        let mut dts = 0;
        let offsets = runs(b"ctts").chain(std::iter::repeat(0));
        let pts = runs(b"stts").zip(offsets).map(|(duration, offset)| {
            dts += duration;
            dts - duration + offset
        });
        let pts: Vec<_> = pts.collect();
        let list = child(child(track, b"edts")?, b"elst")?;
        let size = if list[0] == 1 { 8 } else { 4 };
        let edits = list[8..].chunks(2 * size + 4).map(|edit| {
            let [duration, time] = [0..size, size..2 * size].map(|field| number(edit, field));
            Some((duration?, time?))
        });
        Some(Self {
            movie_units,
            media_units,
            durations: [movie_duration, track_duration, media_duration],
            total: runs(b"stts").sum(),
            pts,
            edits: edits.collect::<Option<_>>()?,
        })
    }
}

/// Returns ticks in ns, rounded down.
fn ns(ticks: u64, units: u64) -> u64 {
    (u128::from(ticks) * 1_000_000_000 / u128::from(units)) as u64
}

proptest! {
    /// Exactly the samples that are to be shown are shown, each at its time within a tick, and all
    /// durations agree.
    #[test]
    fn what_is_shown_is_read_again(file in file(), cut in any::<Index>()) {
        let muxed = Timescale::for_rate(file.rate);
        let moov = file.write(muxed);
        prop_assert!(moov.is_some());
        let moov = Bytes::from(moov.unwrap_or_default());
        let Some(times) = Times::read(&moov) else {
            return Err(TestCaseError::fail("a box is missing"));
        };
        let samples = file.samples();
        let parts = file.shown();
        prop_assert_eq!(times.pts.len(), samples.len());
        prop_assert_eq!(times.edits.len(), parts.len());

        // Durations are one sum each.
        let presentation: u64 = times.edits.iter().map(|edit| edit.0).sum();
        prop_assert_eq!(times.durations, [presentation, presentation, times.total]);
        let tick = ns(1, times.media_units) + 1;
        let unit = ns(1, times.movie_units) + 1;
        let tolerance = parts.len() as u64 * tick.max(unit);
        prop_assert!(tick <= 50_001 || muxed.units() as u64 > times.media_units);
        let expected: Nanos = parts.iter().map(|part| file.times(part)).map(|it| it.end - it.start).sum();
        let found = ns(presentation, times.movie_units);
        prop_assert!(found.abs_diff(expected.nseconds()) <= tolerance);

        // Where an edit is rounded to units of the movie, the next frame is shown for less than one.
        let slack = file.movie_units.map_or(0, |_| unit);
        let media_time = |ticks| ns(ticks, times.media_units);
        let is_in = |pts: u64, edit: &(u64, u64)| {
            let begin = media_time(edit.1);
            (begin..begin + ns(edit.0, times.movie_units)).contains(&pts)
                && pts + slack < begin + ns(edit.0, times.movie_units)
        };
        for ((sample, place), pts) in samples.iter().zip(&times.pts) {
            let pts = media_time(*pts);
            let (mut before, mut expected_before) = (0, 0);
            for (part, edit) in parts.iter().zip(&times.edits) {
                let shown = file.times(part);
                prop_assert_eq!(is_in(pts, edit), part.contains(place));
                if part.contains(place) {
                    let expected = expected_before + (sample.pts - shown.start).nseconds();
                    let found = before + pts - media_time(edit.1);
                    prop_assert!(found.abs_diff(expected) <= tolerance);
                }
                before += ns(edit.0, times.movie_units);
                expected_before += (shown.end - shown.start).nseconds();
            }
        }

        // A demuxer is given the part from the first edit to the end of the last one.
        let cut = cut.index(moov.len());
        let Movie { start, length, is_cut } = match movie(&[moov.slice(..cut), moov.slice(cut..)]) {
            Some(movie) => movie,
            None => return Err(TestCaseError::fail("refused")),
        };
        let (first, last) = (times.edits[0], times.edits[times.edits.len() - 1]);
        let end = media_time(last.1) + ns(last.0, times.movie_units);
        prop_assert_eq!((start, length, is_cut), (media_time(first.1), Some(end - start), true));
    }
}
