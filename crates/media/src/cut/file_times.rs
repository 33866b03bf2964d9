// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The times of the files that are being written: durations of their samples, and the description in their headers.

use super::policy::Episode;
use crate::mp4::{Description, Reach, Sample, SampleTable, SampleTimes, Samples, Timescale};
use crate::time::Nanos;

/// Settings of all files.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSettings {
    /// Time scale, if the user has set one.
    pub timescale: Option<Timescale>,
    /// Kind of header that the muxer writes.
    pub header: HeaderKind,
}

/// Place of the sample times in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeaderKind {
    /// Behind the samples: they can still be changed at the end of the file.
    #[default]
    Last,
    /// Before the samples, where the muxer has reserved the size of its own header only.
    First,
    /// In fragments.
    Fragments,
}

/// Follows the samples that go to the muxer.
#[derive(Debug, Default)]
pub struct FileTimes {
    settings: FileSettings,
    /// Ticks with which the running file begins.
    scale: Timescale,
    /// Samples of episodes that have not ended.
    samples: Samples,
    /// Fill level of the running file.
    file: Option<FileSpan>,
}

/// The time that the access units of a file cover.
#[derive(Debug, Clone, Copy)]
struct FileSpan {
    /// Delay of the first PTS behind its DTS.
    delay: Nanos,
    /// Running time of the first DTS.
    decode_start: Nanos,
    /// Running times of the last picture that is shown and of its end.
    last: Nanos,
    end: Nanos,
    /// Running time of the DTS of the access unit before.
    decode_time: Nanos,
}

impl FileTimes {
    /// Creates the times of a stream that begins.
    pub fn new(settings: FileSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Returns the time scale of all files, if the user has set one.
    pub fn fixed_scale(&self) -> Option<Timescale> {
        self.settings.timescale
    }

    /// Returns the time scale with which the running file begins.
    pub fn scale(&self) -> Timescale {
        self.scale
    }

    /// Takes over the time scale with which a file begins.
    pub fn set_scale(&mut self, scale: Timescale) {
        self.scale = scale;
    }

    /// Begins a file with the next sample.
    pub fn begin_file(&mut self) {
        self.file = None;
    }

    /// Returns the running time at which all samples of the running file have begun and all pictures ended.
    pub fn end(&self) -> Option<Nanos> {
        self.file.map(|file| file.end.max(file.decode_time))
    }

    /// Returns whether nothing of the running file is shown after a running time.
    pub fn ends_with(&self, time: Nanos) -> bool {
        self.file.is_some_and(|file| time >= file.end)
    }

    /// Adds the next sample, whose PTS has this running time and is `delay` after the DTS, if it has one.
    /// `duration` is that of the picture.
    ///
    /// Returns the duration of the sample if it is the last one of its file: until the end of the part that is shown
    /// last, counted in DTS. mp4mux takes the distance of DTS for all others, and the sum for the
    /// length of the media.
    pub fn add(&mut self, running_time: Nanos, delay: Option<Nanos>, duration: Nanos) -> Nanos {
        let delay = delay.unwrap_or_default();
        let decode_time = running_time.saturating_sub(delay);
        if self.settings.header == HeaderKind::Last {
            self.samples.push(Sample {
                pts: running_time,
                dts: decode_time,
            });
        }
        let file = self.file.get_or_insert(FileSpan {
            delay,
            decode_start: decode_time,
            last: running_time,
            end: running_time,
            decode_time,
        });
        file.decode_time = decode_time;
        if running_time >= file.last {
            file.last = running_time;
            file.end = running_time.saturating_add(duration);
        }
        let rest = file.end.saturating_add(delay);
        let rest = rest.checked_sub(running_time.saturating_add(file.delay));
        rest.filter(|rest| !rest.is_zero())
            .unwrap_or(duration)
            .min(self.scale.max_time())
    }

    /// Returns how far an access unit that ends at `end` is from the one before it, or its PTS from its DTS, if
    /// that is longer than the running file can count, or the file longer. That counts from `begin`, or from
    /// its begin. Times that are written at the end of a file always fit.
    pub fn distance_beyond_reach(
        &self,
        running_time: Nanos,
        decode_time: Nanos,
        end: Nanos,
        begin: Option<Nanos>,
    ) -> Option<Nanos> {
        let header = self.settings.header;
        let file = self.file.filter(|_| header != HeaderKind::Last)?;
        let distances = Reach {
            delta: decode_time.saturating_sub(file.decode_time),
            offset: running_time.saturating_sub(decode_time),
        };
        let length = end.saturating_sub(begin.unwrap_or(file.decode_start));
        let is_too_long = header == HeaderKind::First && length > self.scale.max_time();
        let is_beyond = !Reach::of_muxer(self.scale).covers(distances);
        (is_too_long || is_beyond).then_some(distances.delta.max(distances.offset))
    }

    /// Describes the file of an episode that ends. Both get one duration, in ticks. With `begins_late` the
    /// first DTS is that of the running file.
    pub fn describe(
        &mut self,
        episode: &mut Episode,
        begins_late: bool,
        configuration: Option<Vec<u8>>,
    ) -> Description {
        let samples = self.samples.take(episode.samples());
        let is_fixed = self.settings.timescale.is_some();
        let times = SampleTimes::compute(&samples, self.scale, is_fixed);
        let scale = (times.as_ref()).map_or(self.scale, SampleTimes::scale);
        let begin = self.file.filter(|_| begins_late);
        let begin = begin.map_or(episode.decode_start, |file| file.decode_start);
        let begin = scale.ticks(begin);
        let since_begin = |time| match &times {
            Some(times) => times.ticks(time),
            None => scale.ticks(time).saturating_sub(begin),
        };
        let shown = episode.shown.iter();
        let shown: Vec<_> = shown
            .map(|range| since_begin(range.start)..since_begin(range.end))
            .collect();
        let lengths = (shown.iter())
            .map(|range: &std::ops::Range<u64>| range.end.saturating_sub(range.start));
        let ticks = lengths.sum();
        episode.duration = scale.time(ticks);
        let hides = episode.hidden > 0;
        let end = shown.last().map_or(0, |last| last.end);
        Description {
            units: times.as_ref().map(|times| times.scale().units()),
            samples: times.map(|times| SampleTable {
                durations: times.durations(end.saturating_sub(times.first_pts())),
                offsets: times.offsets(),
            }),
            shown,
            hides,
            media_duration: (!hides).then_some(ticks),
            configuration,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::super::policy::Reason;
    use super::*;

    const MS: Nanos = Nanos::MSECOND;
    const HOUR: Nanos = Nanos::from_seconds(3600);

    fn times(header: HeaderKind) -> FileTimes {
        let mut times = FileTimes::new(FileSettings {
            timescale: None,
            header,
        });
        times.begin_file();
        times.add(80 * MS, Some(40 * MS), 40 * MS);
        times
    }

    #[test]
    fn the_last_sample_lasts_until_the_end_of_what_is_shown() {
        let mut times = times(HeaderKind::Last);
        assert_eq!(times.add(160 * MS, Some(80 * MS), 40 * MS), 80 * MS);
        assert!(times.ends_with(200 * MS) && !times.ends_with(199 * MS));
        assert_eq!(times.add(120 * MS, Some(Nanos::ZERO), 40 * MS), 40 * MS);
        assert_eq!(times.end(), Some(200 * MS));
    }

    #[test]
    fn only_times_that_cannot_change_have_a_reach() {
        for (header, pause, delay, begin, expected) in [
            (HeaderKind::Last, 1000 * HOUR, 0, None, None),
            (HeaderKind::Fragments, 13 * HOUR, 0, None, None),
            (HeaderKind::Fragments, 14 * HOUR, 0, None, Some(14 * HOUR)),
            (HeaderKind::First, 14 * HOUR, 0, None, Some(14 * HOUR)),
            (HeaderKind::Fragments, 7 * HOUR, 7, None, Some(7 * HOUR)),
            (HeaderKind::Fragments, 7 * HOUR, 6, None, None),
        ] {
            let pts = 40 * MS + pause;
            let dts = pts - delay * HOUR;
            let beyond = times(header).distance_beyond_reach(pts, dts, pts + 40 * MS, begin);
            assert_eq!(beyond, expected, "{header:?}");
        }
        // The file is too long, and one that begins later is not.
        let mut long = times(HeaderKind::First);
        long.add(10 * HOUR, None, 40 * MS);
        let end = 20 * HOUR;
        let beyond = |begin| long.distance_beyond_reach(end, end, end + 40 * MS, begin);
        assert_eq!(beyond(None), Some(10 * HOUR));
        assert_eq!(beyond(Some(10 * HOUR)), None);
    }

    #[test]
    fn a_file_and_its_episode_have_one_duration() {
        let mut times = times(HeaderKind::Last);
        times.add(80 * MS + Nanos::USECOND, None, 40 * MS);
        let shown = 80 * MS..120 * MS + Nanos::USECOND;
        let mut episode = Episode {
            index: 0,
            capture: None,
            duration: Nanos::ZERO,
            frames: 2,
            hidden: 0,
            corrupted: 0,
            decode_start: 40 * MS,
            shown: vec![shown],
            dropped: 0,
            reason: Reason::Eos,
        };
        let description = times.describe(&mut episode, true, None);
        assert_eq!(episode.duration, 40 * MS + Nanos::USECOND);
        assert_eq!(description.units, Some(1_000_000));
        assert_eq!(
            description.shown,
            [Range {
                start: 40_000,
                end: 80_001
            }]
        );
        let samples = description.samples.unwrap();
        assert_eq!(samples.durations, [(1, 40_001), (1, 1)]);
        assert_eq!(samples.offsets, [(1, 40_000), (1, 0)]);
    }
}
