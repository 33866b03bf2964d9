// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Times of a track in ticks, in runs of equal values.

use super::moov::{Description, SampleTable};
use super::sample_times::Sample;
use super::time_boxes::TickEdit;
use super::timescale::{Timescale, scale};
use super::write_error::FileWriteError;
use crate::time::Nanos;

/// Values that follow each other, as counts of equal ones.
#[derive(Debug, Default)]
struct Runs<T>(Vec<(u32, T)>);

impl<T: PartialEq> Runs<T> {
    fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some((count, last)) if *last == value && *count < u32::MAX => *count += 1,
            _ => self.0.push((1, value)),
        }
    }
}

/// Ticks of running times since the first DTS of a file.
#[derive(Debug)]
pub struct TickClock {
    scale: Timescale,
    /// Ticks of the first DTS.
    begin: Option<u64>,
    /// DTS of the sample before.
    last: Option<u64>,
}

impl TickClock {
    /// Creates a clock of a file that begins with its next sample.
    pub fn new(scale: Timescale) -> Self {
        Self {
            scale,
            begin: None,
            last: None,
        }
    }

    /// Returns the ticks of the next sample: its DTS, at least one after that of the sample before, and the distance
    /// from there to the PTS, which is `None` if it does not fit 32 bits.
    pub fn next(&mut self, sample: Sample) -> (u64, Option<i32>) {
        let begin = *self.begin.get_or_insert(self.scale.ticks(sample.dts));
        let since_begin = |time| self.scale.ticks(time).saturating_sub(begin);
        let earliest = self.last.map_or(0, |last| last.saturating_add(1));
        let dts = since_begin(sample.dts).max(earliest);
        self.last = Some(dts);
        let offset = i128::from(since_begin(sample.pts)) - i128::from(dts);
        (dts, i32::try_from(offset).ok())
    }

    /// Returns the ticks of a sample that has this DTS and duration, if it is the last one: at least one.
    pub fn last_duration(&self, dts: Nanos, duration: Nanos) -> u64 {
        let end = self.scale.ticks(dts.saturating_add(duration));
        end.saturating_sub(self.scale.ticks(dts)).max(1)
    }
}

/// Times of the samples of a file that is being written.
#[derive(Debug)]
pub struct TickRuns {
    clock: TickClock,
    durations: Runs<u32>,
    offsets: Runs<i32>,
    count: u64,
    /// DTS of the last sample.
    last: u64,
    last_duration: u64,
    /// First PTS in output order.
    first_pts: Option<u64>,
    /// A distance does not fit its field.
    is_beyond: bool,
}

impl TickRuns {
    /// Creates the times of a file without samples.
    pub fn new(scale: Timescale) -> Self {
        Self {
            clock: TickClock::new(scale),
            durations: Runs(Vec::new()),
            offsets: Runs(Vec::new()),
            count: 0,
            last: 0,
            last_duration: 0,
            first_pts: None,
            is_beyond: false,
        }
    }

    /// Adds the next sample. `duration` is for the last one: all others last until the next DTS.
    pub fn push(&mut self, sample: Sample, duration: Nanos) {
        let (dts, offset) = self.clock.next(sample);
        if self.count > 0 {
            let distance = u32::try_from(dts - self.last);
            self.is_beyond |= distance.is_err();
            self.durations.push(distance.unwrap_or(u32::MAX));
        }
        self.is_beyond |= offset.is_none();
        let offset = offset.unwrap_or(i32::MAX);
        self.offsets.push(offset);
        let pts = dts.saturating_add_signed(offset.into());
        self.first_pts = Some(self.first_pts.map_or(pts, |first| first.min(pts)));
        self.count += 1;
        self.last = dts;
        self.last_duration = self.clock.last_duration(sample.dts, duration);
    }

    /// Returns the times that the headers of the file state, completed by its description.
    ///
    /// # Errors
    ///
    /// A distance does not fit its field, or the description has other samples.
    pub fn finish(self, description: &Description) -> Result<TrackTimes, FileWriteError> {
        let described = description.samples.as_ref().and(description.units);
        let units = described.unwrap_or(self.clock.scale.units());
        let first_pts = self.first_pts.unwrap_or(0);
        let (durations, offsets) = match &description.samples {
            Some(samples) => self.described(samples, units)?,
            None => self.own(description.media_ticks(units))?,
        };
        let runs = durations.iter();
        let media = runs.map(|(count, ticks)| u64::from(*count) * u64::from(*ticks));
        let media = media.sum();
        let edits = description.edits(units, media, first_pts);
        Ok(TrackTimes {
            units,
            durations,
            offsets,
            media,
            edits,
        })
    }

    fn described(self, samples: &SampleTable, units: u32) -> Result<SampleRuns, FileWriteError> {
        let counts = samples.durations.iter();
        let described = counts.map(|(count, _)| u64::from(*count)).sum();
        if described != self.count {
            return Err(FileWriteError::Description {
                samples: self.count,
                described,
            });
        }
        let offsets = samples.offsets.iter();
        let offsets = offsets.map(|(count, offset)| Some((*count, i32::try_from(*offset).ok()?)));
        let offsets = offsets.collect::<Option<_>>();
        let offsets = offsets.ok_or(FileWriteError::Distance(units))?;
        Ok((samples.durations.clone(), offsets))
    }

    /// Returns the times of the samples, of which the last one makes up for the difference to `media_duration`.
    fn own(mut self, media_duration: Option<u64>) -> Result<SampleRuns, FileWriteError> {
        let wanted = media_duration.and_then(|wanted| wanted.checked_sub(self.last));
        let wanted = wanted.filter(|ticks| *ticks > 0);
        let last = u32::try_from(wanted.unwrap_or(self.last_duration));
        let last = last.ok().filter(|_| !self.is_beyond);
        let last = last.ok_or(FileWriteError::Distance(self.clock.scale.units()))?;
        if self.count > 0 {
            self.durations.push(last);
        }
        Ok((self.durations.0, self.offsets.0))
    }
}

impl Description {
    /// Returns the duration of the media in ticks of `units` per second, if it is described.
    pub(super) fn media_ticks(&self, units: u32) -> Option<u64> {
        self.media_duration.map(|ticks| self.convert(ticks, units))
    }

    /// Returns the parts that are shown in ticks of `units` per second: all of the media, which begins with `first_pts`,
    /// if they are not described.
    pub(super) fn edits(&self, units: u32, media: u64, first_pts: u64) -> Vec<TickEdit> {
        let whole = TickEdit {
            duration: media,
            media_time: first_pts,
        };
        let whole = Some(whole).filter(|_| self.shown.is_empty() && media > 0);
        let shown = self.shown.iter().map(|shown| {
            let (start, end) = (
                self.convert(shown.start, units),
                self.convert(shown.end, units),
            );
            TickEdit {
                duration: end.saturating_sub(start),
                media_time: start,
            }
        });
        shown.chain(whole).collect()
    }

    fn convert(&self, ticks: u64, units: u32) -> u64 {
        let own = self.units.unwrap_or(units);
        scale(ticks, units.into(), own.into())
    }
}

type SampleRuns = (Vec<(u32, u32)>, Vec<(u32, i32)>);

/// Times that the headers of a file state, in ticks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TrackTimes {
    /// Ticks per second, of the movie, too.
    pub units: u32,
    /// From each DTS to the next one.
    pub durations: Vec<(u32, u32)>,
    /// From DTS to PTS.
    pub offsets: Vec<(u32, i32)>,
    /// Duration of all samples.
    pub media: u64,
    /// Parts that are shown.
    pub edits: Vec<TickEdit>,
}

impl TrackTimes {
    /// Returns the duration of the parts that are shown.
    pub fn presentation(&self) -> u64 {
        let edits = self.edits.iter();
        edits.fold(0, |sum, edit| sum.saturating_add(edit.duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = Nanos::MSECOND;

    fn runs(times: &[(u64, u64)]) -> TickRuns {
        let mut runs = TickRuns::new(Timescale::new(1000).unwrap());
        for (pts, dts) in times {
            let sample = Sample {
                pts: *pts * MS,
                dts: *dts * MS,
            };
            runs.push(sample, 40 * MS);
        }
        runs
    }

    #[test]
    fn the_first_picture_is_shown_first() {
        let times = runs(&[(140, 100), (260, 140), (180, 180), (220, 220)]);
        let times = times.finish(&Description::default()).unwrap();
        assert_eq!(times.durations, [(4, 40)]);
        assert_eq!(times.offsets, [(1, 40), (1, 120), (2, 0)]);
        let shown = TickEdit {
            duration: 160,
            media_time: 40,
        };
        assert_eq!(times.edits, [shown]);
        assert_eq!((times.media, times.presentation()), (160, 160));
    }

    #[test]
    fn the_last_sample_makes_up_for_a_difference() {
        for (wanted, last) in [(Some(85), 45), (Some(40), 40), (Some(39), 40), (None, 40)] {
            let description = Description {
                media_duration: wanted,
                ..Description::default()
            };
            let times = runs(&[(0, 0), (40, 40)]).finish(&description).unwrap();
            let durations = match last {
                40 => vec![(2, 40)],
                last => vec![(1, 40), (1, last)],
            };
            assert_eq!(times.durations, durations, "{wanted:?}");
        }
    }

    #[test]
    fn described_times_replace_those_of_the_samples() {
        let far = [(0, 0), (1 << 33, 1 << 33)];
        let mut description = Description {
            units: Some(10),
            samples: Some(SampleTable {
                durations: vec![(1, 7), (1, 9)],
                offsets: vec![(2, 1)],
            }),
            shown: std::iter::once(1..17).collect(),
            ..Description::default()
        };
        let times = runs(&far).finish(&description).unwrap();
        assert_eq!((times.units, times.media), (10, 16));
        assert_eq!(times.durations, [(1, 7), (1, 9)]);
        assert_eq!(times.offsets, [(2, 1)]);
        assert_eq!(times.presentation(), 16);
        let without = runs(&far).finish(&Description::default());
        assert!(matches!(without, Err(FileWriteError::Distance(1000))));
        description.samples = Some(SampleTable::default());
        let other = runs(&far).finish(&description);
        let Err(FileWriteError::Description { samples, described }) = other else {
            panic!("{other:?}");
        };
        assert_eq!((samples, described), (2, 0));
    }

    #[test]
    fn times_of_another_scale_are_converted() {
        let description = Description {
            units: Some(100),
            shown: std::iter::once(4..8).collect(),
            media_duration: Some(9),
            ..Description::default()
        };
        let times = runs(&[(0, 0), (40, 40)]).finish(&description).unwrap();
        assert_eq!((times.units, times.media), (1000, 90));
        let shown = TickEdit {
            duration: 40,
            media_time: 40,
        };
        assert_eq!(times.edits, [shown]);
    }

    #[test]
    fn samples_in_one_tick_get_a_tick_each() {
        let mut runs = TickRuns::new(Timescale::new(1000).unwrap());
        for us in [0, 100, 200, 5000] {
            let time = us * Nanos::USECOND;
            runs.push(
                Sample {
                    pts: time,
                    dts: time,
                },
                MS,
            );
        }
        let times = runs.finish(&Description::default()).unwrap();
        assert_eq!(times.durations, [(2, 1), (1, 3), (1, 1)]);
        assert_eq!(times.offsets, [(1, 0), (1, -1), (1, -2), (1, 0)]);
    }
}
