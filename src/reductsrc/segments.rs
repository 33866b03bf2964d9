// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Makes the segments of a range from those of its timeline: as a seek asks, or from the beginning on.

use media::time::Nanos;
use recording::{Segment, ShownFrom};

use crate::convert::ToClockTime;

/// Playback options of a range. Times are those of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    /// Playback rate.
    pub rate: f64,
    /// Flags of the seek.
    pub flags: gst::SegmentFlags,
    /// Running time of its beginning.
    pub base: Nanos,
    /// First picture that is shown.
    pub from: ShownFrom,
    /// First time that is not shown.
    pub until: Option<Nanos>,
    /// Time that is stream time 0.
    pub zero: Nanos,
}

impl Default for Show {
    fn default() -> Self {
        Self {
            rate: 1.0,
            flags: gst::SegmentFlags::empty(),
            base: Nanos::ZERO,
            from: ShownFrom::Beginning,
            until: None,
            zero: Nanos::ZERO,
        }
    }
}

/// Segments of a range.
#[derive(Debug)]
pub struct Segments {
    show: Show,
    /// The first time that is shown, and how far the timeline's running time is there.
    begin: Option<(Nanos, Nanos)>,
}

impl Segments {
    /// Returns the segments of a range that begins now.
    pub fn new(show: Show) -> Self {
        Self { show, begin: None }
    }

    /// Returns the segment for one of the timeline.
    pub fn next(&mut self, segment: &Segment) -> gst::FormattedSegment<gst::ClockTime> {
        // Nothing of the picture before the first one of an exact range is shown.
        if let (ShownFrom::Time(time), Some(first)) = (&mut self.show.from, segment.shown_from)
            && self.show.rate > 0.0
        {
            *time = first.max(*time);
        }
        if segment.shown_until.is_some() {
            self.show.until = segment.shown_until;
        }
        let Segment {
            start: segment,
            first,
            ..
        } = *segment;
        if self.show.rate < 0.0 {
            return self.backwards();
        }
        let passed_at = |time: Nanos| {
            let in_segment = time.saturating_sub(segment.start);
            segment.base.saturating_add(in_segment)
        };
        let (begin, passed) = match self.begin {
            None => {
                let begin = match self.show.from {
                    ShownFrom::Beginning => segment.start,
                    ShownFrom::First => first,
                    ShownFrom::Time(time) => time.max(first),
                };
                (begin, passed_at(begin))
            }
            // Frames before the begin are for the decoder only.
            Some((begin, _)) if segment.start <= begin => (begin, passed_at(begin)),
            // There is a hole at the begin.
            Some((begin, passed)) => (begin, passed.min(segment.base)),
        };
        self.begin = Some((begin, passed));

        let start = segment.start.max(begin);
        let elapsed = segment.base.saturating_sub(passed).nseconds() as f64 / self.show.rate.abs();
        let mut sent = gst::FormattedSegment::<gst::ClockTime>::new();
        sent.set_flags(self.show.flags);
        sent.set_rate(self.show.rate);
        sent.set_start(start.clock_time());
        let until = self.show.until.map(|until| until.max(start));
        sent.set_stop(until.clock_time());
        sent.set_time(start.saturating_sub(self.show.zero).clock_time());
        sent.set_position(start.clock_time());
        sent.set_base(
            self.show
                .base
                .saturating_add(Nanos::from_nseconds(elapsed as u64))
                .clock_time(),
        );
        sent
    }
}

impl Segments {
    /// Returns the one segment of frames that are shown backwards, from its end on.
    fn backwards(&self) -> gst::FormattedSegment<gst::ClockTime> {
        let start = match self.show.from {
            ShownFrom::Time(time) => time,
            ShownFrom::Beginning | ShownFrom::First => Nanos::ZERO,
        };
        let mut sent = gst::FormattedSegment::<gst::ClockTime>::new();
        sent.set_flags(self.show.flags);
        sent.set_rate(self.show.rate);
        sent.set_start(start.clock_time());
        sent.set_stop(self.show.until.clock_time());
        sent.set_time(start.saturating_sub(self.show.zero).clock_time());
        sent.set_position(self.show.until.clock_time());
        sent.set_base(self.show.base.clock_time());
        sent
    }
}

#[cfg(test)]
mod tests {
    use media::timeline::SegmentStart;

    use super::*;

    fn seconds(seconds: u64) -> Nanos {
        Nanos::from_seconds(seconds)
    }

    /// Start, stream time and base in seconds of the segments for those of the timeline, given as
    /// start, base and first picture.
    fn run(show: Show, segments: &[(u64, u64, u64)]) -> Vec<(u64, u64, u64)> {
        gst::init().unwrap();
        let mut sent = Segments::new(show);
        let segments = segments.iter().map(|(start, base, first)| {
            let start = SegmentStart {
                start: seconds(*start),
                base: seconds(*base),
            };
            let segment = sent.next(&Segment {
                start,
                first: seconds(*first),
                shown_from: None,
                shown_until: None,
            });
            let times = [segment.start(), segment.time(), segment.base()];
            let [start, time, base] = times.map(|time| time.unwrap().seconds());
            (start, time, base)
        });
        segments.collect()
    }

    #[test]
    fn from_the_beginning_on() {
        let segments = [(0, 0, 0), (100, 7, 100), (500, 30, 500)];
        assert_eq!(
            run(Show::default(), &segments),
            [(0, 0, 0), (100, 100, 7), (500, 500, 30)]
        );
    }

    #[test]
    fn from_the_first_picture_on() {
        // An open group of pictures: the pictures that lead its keyframe are not shown.
        let segments = [(10, 0, 12), (100, 7, 100)];
        let show = Show {
            from: ShownFrom::First,
            ..Show::default()
        };
        assert_eq!(run(show, &segments), [(12, 12, 0), (100, 100, 5)]);
        assert_eq!(
            run(Show::default(), &segments),
            [(10, 10, 0), (100, 100, 7)]
        );
    }

    #[test]
    fn from_a_time_on() {
        let from = |from| Show {
            from: ShownFrom::Time(seconds(from)),
            ..Show::default()
        };
        let segments = [(10, 0, 10), (100, 7, 100)];
        assert_eq!(run(from(13), &segments), [(13, 13, 0), (100, 100, 4)]);
        // In the hole, behind it, and before all.
        assert_eq!(run(from(50), &segments), [(50, 50, 0), (100, 100, 0)]);
        assert_eq!(run(from(102), &segments), [(102, 102, 0), (102, 102, 0)]);
        assert_eq!(run(from(5), &segments), [(10, 10, 0), (100, 100, 7)]);
    }

    #[test]
    fn running_time_goes_on_at_a_rate() {
        let show = Show {
            rate: 2.0,
            base: seconds(1000),
            ..Show::default()
        };
        let segments = [(10, 0, 10), (100, 8, 100)];
        assert_eq!(run(show, &segments), [(10, 10, 1000), (100, 100, 1004)]);
    }

    #[test]
    fn stream_time_has_a_zero_of_its_own() {
        let show = Show {
            zero: seconds(3),
            from: ShownFrom::Time(seconds(3)),
            ..Show::default()
        };
        assert_eq!(run(show, &[(0, 0, 0)]), [(3, 0, 0)]);
    }

    #[test]
    fn the_end_is_in_each_segment() {
        gst::init().unwrap();
        let mut segments = Segments::new(Show {
            until: Some(seconds(20)),
            ..Show::default()
        });
        for start in [10, 15, 30] {
            let start = SegmentStart {
                start: seconds(start),
                base: seconds(start),
            };
            let segment = segments.next(&Segment {
                start,
                first: start.start,
                shown_from: None,
                shown_until: None,
            });
            assert_eq!(
                segment.stop(),
                Some(seconds(20).max(start.start).clock_time())
            );
        }
    }
}
