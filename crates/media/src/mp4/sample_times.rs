// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Times of the samples of a file in ticks, for files whose times the muxer could not write.
//!
//! The time scale that a file begins with is right for nearly all of them. Once all samples are known,
//! two things can be wrong with it. Frames less than a tick apart would last no tick, and readers
//! do not show them, or show them in another order. Samples may also be further apart than the fields for
//! their distances count: those are cut off, or readers ignore them. The times of such a file are
//! computed again, in a finer or a coarser scale. A pause that is too long even for the coarsest one is
//! shortened.

use std::collections::VecDeque;

use super::timescale::Timescale;
use crate::time::Nanos;

/// Longest distance of two DTS in ticks. The field has 32 bits (ISO/IEC 14496-12, 8.6.1.2), which some
/// readers take for a signed number.
const MAX_DELTA: u64 = i32::MAX as u64;
/// Longest distance from DTS to PTS in ticks. With a longer one FFmpeg ignores the box `ctts`.
const MAX_OFFSET: u64 = 1 << 28;
/// Number of distances that may lie between DTS and PTS of a sample: a picture is at most 16 others late.
const MAX_DISTANCES: u64 = 64;

/// Running times of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Presentation timestamp in running time.
    pub pts: Nanos,
    /// Decoding timestamp in running time.
    pub dts: Nanos,
}

/// Samples in decoding order, until the file that has them ends.
#[derive(Debug, Default)]
pub struct Samples(VecDeque<Sample>);

impl Samples {
    /// Adds the next sample.
    pub fn push(&mut self, sample: Sample) {
        self.0.push_back(sample);
    }

    /// Returns the next `count` samples, which are those of a file.
    pub fn take(&mut self, count: u64) -> Vec<Sample> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.0.drain(..count.min(self.0.len())).collect()
    }
}

/// The longest distances that a file can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// From a DTS to the next one.
    pub delta: Nanos,
    /// From a DTS to its PTS.
    pub offset: Nanos,
}

impl Reach {
    /// Returns the longest distances that readers accept in this scale.
    pub fn of(scale: Timescale) -> Self {
        Self {
            delta: scale.time(MAX_DELTA),
            offset: scale.time(MAX_OFFSET),
        }
    }

    /// Returns the longest distances that the muxer can write in this scale, although readers may not accept
    /// them.
    pub fn of_muxer(scale: Timescale) -> Self {
        Self {
            delta: scale.max_time(),
            offset: scale.time(MAX_DELTA),
        }
    }

    /// Returns whether no distance of `other` is longer.
    pub fn covers(self, other: Self) -> bool {
        other.delta <= self.delta && other.offset <= self.offset
    }
}

/// Times of samples in ticks since the first DTS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleTimes {
    scale: Timescale,
    /// Ticks in decoding order. DTS grow, no two PTS are equal, and none is before its DTS.
    dts: Vec<u64>,
    pts: Vec<u64>,
    /// Running times of the PTS in output order, with their ticks.
    shown: Vec<(Nanos, u64)>,
}

impl SampleTimes {
    /// Computes the times of samples, unless those that the muxer writes in the scale `muxed` are right.
    /// The scale stays as it is if it `is_fixed`.
    pub fn compute(samples: &[Sample], muxed: Timescale, is_fixed: bool) -> Option<Self> {
        let needed = distances(samples);
        let mut shown: Vec<_> = samples.iter().map(|sample| sample.pts).collect();
        shown.sort_unstable();
        let is_dense = shares_tick(shown.iter().copied(), muxed);
        let is_squeezed = shares_tick(samples.iter().map(|sample| sample.dts), muxed);
        if Reach::of(muxed).covers(needed) && !is_dense && !is_squeezed {
            return None;
        }
        let scales = match is_fixed {
            true => vec![muxed],
            false => muxed.alternatives(is_dense),
        };
        let fits = |scale: &Timescale| Reach::of(*scale).covers(needed);
        Some(match scales.into_iter().find(fits) {
            Some(scale) => Self::in_scale(samples, samples, scale),
            None => Self::in_scale(samples, &shortened(samples, muxed), muxed),
        })
    }

    /// Computes the ticks of samples that are written with the times of `written`.
    fn in_scale(samples: &[Sample], written: &[Sample], scale: Timescale) -> Self {
        let mut order: Vec<_> = (0..samples.len()).collect();
        order.sort_by_key(|index| samples[*index].pts);
        // DTS may have to be some ticks before the first one.
        let room = samples.len() as u64;
        let ticks = |time| scale.ticks(time) + room;
        let mut pts = vec![0; samples.len()];
        let mut next = 0;
        for index in &order {
            pts[*index] = ticks(written[*index].pts).max(next);
            next = pts[*index] + 1;
        }
        let mut dts = Vec::with_capacity(samples.len());
        let mut next = 0;
        for sample in written {
            let ticks = ticks(sample.dts).max(next);
            dts.push(ticks);
            next = ticks + 1;
        }
        let mut next = u64::MAX;
        for (dts, pts) in dts.iter_mut().zip(&pts).rev() {
            *dts = (*dts).min(*pts).min(next - 1);
            next = *dts;
        }
        let first = dts.first().copied().unwrap_or(0);
        dts.iter_mut().for_each(|ticks| *ticks -= first);
        pts.iter_mut().for_each(|ticks| *ticks -= first);
        let shown = order.iter();
        let shown = shown.map(|index| (samples[*index].pts, pts[*index]));
        Self {
            scale,
            shown: shown.collect(),
            dts,
            pts,
        }
    }

    /// Returns the scale of the ticks.
    pub fn scale(&self) -> Timescale {
        self.scale
    }

    /// Returns the first PTS that is shown.
    pub fn first_pts(&self) -> u64 {
        self.shown.first().map_or(0, |(_, ticks)| *ticks)
    }

    /// Returns a running time in ticks: that of the sample which is shown then, or else one between
    /// those of its neighbours.
    pub fn ticks(&self, time: Nanos) -> u64 {
        let after = self.shown.partition_point(|(pts, _)| *pts < time);
        let next = self.shown.get(after).copied();
        if let Some((_, ticks)) = next.filter(|(pts, _)| *pts == time) {
            return ticks;
        }
        let last = after.checked_sub(1).and_then(|last| self.shown.get(last));
        let ticks = last.map_or(0, |(pts, ticks)| {
            let since = self.scale.ticks(time) - self.scale.ticks(*pts);
            ticks + since.clamp(1, MAX_DELTA)
        });
        next.map_or(ticks, |(_, next)| ticks.min(next))
    }

    /// Returns the durations of samples, the last of which ends at `end`, as runs of equal ones: their number
    /// and the duration.
    pub fn durations(&self, end: u64) -> Vec<(u32, u32)> {
        let last = self.dts.last().copied().unwrap_or(0);
        let ends = self.dts.iter().skip(1).copied();
        let ends = ends.chain([end.max(last + 1)]);
        let durations = self.dts.iter().zip(ends);
        runs(durations.map(|(begin, end)| u32::try_from(end - begin).unwrap_or(u32::MAX)))
    }

    /// Returns the distances from DTS to PTS as runs of equal ones: their number and the distance.
    pub fn offsets(&self) -> Vec<(u32, u32)> {
        let offsets = self.dts.iter().zip(&self.pts);
        runs(offsets.map(|(dts, pts)| u32::try_from(pts - dts).unwrap_or(u32::MAX)))
    }
}

/// Returns the longest distances of samples.
fn distances(samples: &[Sample]) -> Reach {
    let deltas = samples.windows(2);
    let deltas = deltas.map(|pair| pair[1].dts.saturating_sub(pair[0].dts));
    let offsets = samples
        .iter()
        .map(|sample| sample.pts.saturating_sub(sample.dts));
    Reach {
        delta: deltas.max().unwrap_or_default(),
        offset: offsets.max().unwrap_or_default(),
    }
}

/// Returns samples with shorter pauses, so that all their distances can be written in `scale`.
fn shortened(samples: &[Sample], scale: Timescale) -> Vec<Sample> {
    let limit = Reach::of(scale).offset / MAX_DISTANCES;
    let mut times: Vec<_> = samples
        .iter()
        .flat_map(|sample| [sample.pts, sample.dts])
        .collect();
    times.sort_unstable();
    times.dedup();
    let mut written = Vec::with_capacity(times.len());
    let mut last: Option<(Nanos, Nanos)> = None;
    for time in &times {
        let short = last.map_or(*time, |(last, short)| short + (*time - last).min(limit));
        written.push(short);
        last = Some((*time, short));
    }
    let short = |time: Nanos| {
        let place = times.partition_point(|other| *other < time);
        written.get(place).copied().unwrap_or(time)
    };
    let samples = samples.iter().map(|sample| Sample {
        pts: short(sample.pts),
        dts: short(sample.dts),
    });
    samples.collect()
}

/// Returns whether two times in a row are rounded to the same tick.
fn shares_tick(times: impl Iterator<Item = Nanos>, scale: Timescale) -> bool {
    let mut last = None;
    times
        .map(|time| scale.ticks(time))
        .any(|ticks| last.replace(ticks).is_some_and(|last| last >= ticks))
}

/// Returns values as runs of equal ones: their number and the value.
fn runs(values: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((count, last)) if *last == value && *count < u32::MAX => *count += 1,
            _ => runs.push((1, value)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const US: Nanos = Nanos::USECOND;
    const HOUR: Nanos = Nanos::from_seconds(3600);

    /// Samples at PTS and DTS.
    fn samples(times: &[(Nanos, Nanos)]) -> Vec<Sample> {
        let samples = times.iter().map(|(pts, dts)| Sample {
            pts: *pts,
            dts: *dts,
        });
        samples.collect()
    }

    /// Samples without reordering.
    fn in_order(times: impl IntoIterator<Item = Nanos>) -> Vec<Sample> {
        let times: Vec<_> = times.into_iter().map(|time| (time, time)).collect();
        samples(&times)
    }

    fn compute(samples: &[Sample]) -> Option<SampleTimes> {
        SampleTimes::compute(samples, Timescale::default(), false)
    }

    #[test]
    fn usual_times_stay_as_the_muxer_writes_them() {
        assert_eq!(compute(&in_order((0..50).map(|n| n * 40_000 * US))), None);
        assert_eq!(compute(&in_order((0..10).map(|n| n * HOUR))), None);
        assert_eq!(compute(&in_order([12 * US, 24 * US])), None);
        assert_eq!(compute(&[]), None);
    }

    #[test]
    fn frames_within_a_tick_get_a_finer_scale() {
        let burst = [0, 1, 2, 3, 400_000, 400_001].map(|time| time * US);
        let times = compute(&in_order(burst)).unwrap();
        assert_eq!(times.scale().units(), 1_000_000);
        let expected = [(3, 1), (1, 399_997), (1, 1), (1, 40_000)];
        assert_eq!(times.durations(440_001), expected);
        assert_eq!(times.offsets(), [(6, 0)]);
        assert_eq!(times.ticks(400_001 * US), 400_001);
        assert_eq!(times.ticks(400_050 * US), 400_050);
        // Whatever ends with the last frame ends behind it.
        assert_eq!(times.durations(0).last(), Some(&(2, 1)));
    }

    #[test]
    fn a_fixed_scale_stays_and_frames_get_a_tick_each() {
        let scale = Timescale::new(1000).unwrap();
        let burst = in_order([5000, 5001, 5002, 9000].map(|time| time * US));
        let times = SampleTimes::compute(&burst, scale, true).unwrap();
        assert_eq!(times.scale(), scale);
        assert_eq!(times.durations(5), [(2, 1), (1, 2), (1, 1)]);
        assert_eq!(times.ticks(5002 * US), 2);
        assert_eq!(times.ticks(5003 * US), 3);
    }

    #[test]
    fn frames_far_apart_get_a_coarser_scale() {
        for (hours, units) in [(6, 90_000), (11, 50_000), (24, 20_000), (72, 5_000)] {
            let far = compute(&in_order([Nanos::ZERO, 40_000 * US, hours * HOUR]));
            assert_eq!(far.map_or(90_000, |far| far.scale().units()), units);
        }
        // FFmpeg counts offsets only as far as 2^28.
        for (minutes, units) in [(49, 90_000), (50, 50_000), (440, 10_000), (72 * 60, 1000)] {
            let pause = Nanos::from_seconds(minutes * 60);
            let [first, second] = [40_000 * US, 80_000 * US];
            let times = [
                (first, Nanos::ZERO),
                (second + pause, first),
                (second, second),
                (second + pause + first, second + pause),
            ];
            let far = compute(&samples(&times));
            let found = far.as_ref().map_or(90_000, |far| far.scale().units());
            assert_eq!(found, units, "{minutes}");
            if let Some(far) = far {
                let longest = far.offsets().into_iter().map(|(_, offset)| offset).max();
                assert!(longest < Some(1 << 28));
            }
        }
    }

    #[test]
    fn pauses_too_long_for_any_scale_are_shortened() {
        let pause = 10_000 * HOUR;
        let [first, second] = [40_000 * US, 80_000 * US];
        let all = samples(&[
            (first, Nanos::ZERO),
            (second + pause, first),
            (second, second),
            (second + pause + first, second + pause),
        ]);
        let times = compute(&all).unwrap();
        assert_eq!(times.scale(), Timescale::default());
        let short = (1 << 28) / 64;
        assert_eq!(
            times.offsets(),
            [(1, 3600), (1, 3600 + short), (1, 0), (1, 3600)]
        );
        assert_eq!(times.durations(0)[1], (1, short));
        let frame = |place: usize| times.ticks(all[place].pts);
        assert_eq!([0, 2, 1].map(frame), [3600, 7200, u64::from(short) + 7200]);
        assert_eq!(times.ticks(all[3].pts + first), frame(3) + 3600);
        assert_eq!(times.ticks(all[3].pts + pause), frame(3) + MAX_DELTA);
        let fixed = SampleTimes::compute(&all, Timescale::new(90_000).unwrap(), true);
        assert_eq!(fixed, Some(times));
    }

    #[test]
    fn squeezed_dts_grow_by_a_tick() {
        let ns = Nanos::from_nseconds;
        let times = [
            (40_000 * US, 40_000 * US - ns(2)),
            (120_000 * US, 40_000 * US - ns(1)),
            (80_000 * US, 40_000 * US),
        ];
        let times = compute(&samples(&times)).unwrap();
        assert_eq!(times.scale(), Timescale::default());
        assert_eq!(times.durations(7202), [(2, 1), (1, 7200)]);
        assert_eq!(times.offsets(), [(1, 0), (1, 7199), (1, 3598)]);
        assert_eq!((times.first_pts(), times.ticks(80_000 * US)), (0, 3600));
        // There is no room behind the first one.
        let early = [(1, 0), (2, 0), (3, 1)].map(|(pts, dts)| (pts * US, dts * US));
        let scale = Timescale::new(1000).unwrap();
        let times = SampleTimes::compute(&samples(&early), scale, true).unwrap();
        assert_eq!(times.offsets(), [(3, 0)]);
        assert_eq!(times.durations(3), [(3, 1)]);
    }

    #[test]
    fn samples_are_those_of_a_file_in_turn() {
        let all = in_order((0..5).map(|n| n * HOUR));
        let mut pending = Samples::default();
        all.iter().for_each(|sample| pending.push(*sample));
        assert_eq!(pending.take(2), all[..2]);
        assert_eq!(pending.take(9), all[2..]);
        assert_eq!(pending.take(1), []);
    }

    proptest! {
        #[test]
        fn every_sample_lasts_a_tick(
            distances in vec(0u64..100_000, 1..60),
            fps in prop::sample::select(vec![25, 30_000, 1_000_000]),
        ) {
            let mut time = Nanos::ZERO;
            let mut output = Vec::new();
            for distance in distances {
                time += Nanos::from_nseconds(distance * distance / 97);
                output.push(time);
            }
            // Pairs are decoded the other way round.
            let mut all = Vec::new();
            for pair in output.chunks(2) {
                let first = pair[0];
                all.extend(pair.iter().rev().map(|pts| Sample { pts: *pts, dts: first }));
            }
            let scale = Timescale::for_rate(crate::frame_rate::FrameRate::new(fps, 1).unwrap());
            if let Some(times) = SampleTimes::compute(&all, scale, false) {
                prop_assert!(times.dts.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(times.dts.iter().zip(&times.pts).all(|(dts, pts)| dts <= pts));
                prop_assert!(times.shown.windows(2).all(|pair| pair[0].1 < pair[1].1));
                let sum: u64 = times.durations(0).iter().map(|(n, d)| u64::from(*n) * u64::from(*d)).sum();
                prop_assert_eq!(sum, times.dts.last().unwrap() + 1);
            }
        }
    }
}
