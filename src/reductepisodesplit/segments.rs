// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Segments of the stream, rewritten so that the muxer drops nothing.

use media::cut::{InputSegment, SegmentBegin};
use media::time::Nanos;

use super::CAT;
use crate::convert::{ToClockTime, ToNanos};

/// Segments of the sink pad.
#[derive(Debug, Default)]
pub struct Segments {
    /// A segment until its first access unit, which may be before the part that is shown.
    next: Option<gst::Event>,
    /// It follows a pause within an episode.
    resumes: bool,
    /// From buffer times to running times of the cutter's input, also outside of the part that is shown.
    current: gst::FormattedSegment<gst::ClockTime>,
}

/// A segment that has come into force.
#[derive(Debug)]
pub struct BegunSegment {
    /// The segment as the cutter needs to know it.
    pub input: InputSegment,
    segment: gst::FormattedSegment<gst::ClockTime>,
    seqnum: gst::Seqnum,
}

impl BegunSegment {
    /// Returns the event for the muxer, whose running times are later by `delay` than those of the cutter's input.
    pub fn event(mut self, delay: Nanos) -> gst::Event {
        delay_by(&mut self.segment, delay);
        gst::event::Segment::builder(&self.segment)
            .seqnum(self.seqnum)
            .build()
    }
}

impl Segments {
    /// Takes a segment that comes into force with the next access unit.
    pub fn set_next(&mut self, event: &gst::Event) {
        self.next = Some(event.clone());
    }

    /// Notes that a pause within an episode precedes the next segment.
    pub fn note_pause(&mut self) {
        self.resumes = true;
    }

    /// Begins the segment that came into force, for `first`, the first access unit in it. `None` if there is none.
    ///
    /// mp4mux drops access units before a segment or after it. So it begins with the first access unit, has
    /// no end, and all running times after it are later.
    pub fn begin(
        &mut self,
        first: Option<&gst::BufferRef>,
        has_episodes: bool,
    ) -> Option<BegunSegment> {
        let event = self.next.take()?;
        let gst::EventView::Segment(segment) = event.view() else {
            return None;
        };
        let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>() else {
            gst::warning!(CAT, "The segment is not in TIME: {segment:?}");
            return None;
        };
        let start = segment.start().unwrap_or_default();
        let resumes = std::mem::take(&mut self.resumes) && has_episodes;
        let times = first.and_then(|first| {
            let pts = first.pts()?;
            Some((pts.nanos(), first.dts().unwrap_or(pts).nanos()))
        });
        let SegmentBegin { begin, back } = SegmentBegin::new(start.nanos(), times, resumes);
        let begin = begin.clock_time();
        let stop = segment.stop();
        let mut segment = segment.clone();
        segment.set_time((segment.time()).map(|time| time.saturating_sub(start - begin)));
        segment.set_start(begin);
        segment.set_stop(gst::ClockTime::NONE);
        segment.set_position(begin);
        self.current = segment.clone();
        let back = self
            .running_duration(Some(back.clock_time()))
            .unwrap_or_default();
        let base = segment.base().unwrap_or_default().nanos();
        let late = back - base;
        segment.set_base((base - back).clock_time());
        self.current = segment.clone();
        let shown_from = self.running_time(Some(start)).unwrap_or_default();
        Some(BegunSegment {
            input: InputSegment {
                late,
                lead: shown_from.saturating_sub(base),
                shown_from,
                shown_until: self.running_time(stop),
            },
            segment,
            seqnum: event.seqnum(),
        })
    }

    /// Returns the running time of a buffer time, also before the segment; a negative one as zero.
    pub fn running_time(&self, time: Option<gst::ClockTime>) -> Option<Nanos> {
        let running_time = self.current.to_running_time_full(time?)?;
        Some(running_time.positive().unwrap_or_default().nanos())
    }

    /// Returns how long a duration of buffers is in running time.
    pub fn running_duration(&self, duration: Option<gst::ClockTime>) -> Option<Nanos> {
        Some(running_duration(duration?.nanos(), self.current.rate()))
    }
}

/// Returns how long a duration is in running time at a rate.
fn running_duration(duration: Nanos, rate: f64) -> Nanos {
    match rate.abs() {
        rate if rate == 1.0 || rate == 0.0 => duration,
        rate => Nanos::from_nseconds((duration.nseconds() as f64 / rate) as u64),
    }
}

/// Makes the running times of a segment later.
pub fn delay_by(segment: &mut gst::FormattedSegment<gst::ClockTime>, delay: Nanos) {
    let base = segment.base().unwrap_or_default();
    segment.set_base(base.saturating_add(delay.clock_time()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: gst::ClockTime = gst::ClockTime::MSECOND;

    fn event(start: u64, stop: u64, base: u64) -> gst::Event {
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(start * MS);
        segment.set_stop(stop * MS);
        segment.set_time(start * MS);
        segment.set_base(base * MS);
        gst::event::Segment::new(&segment)
    }

    fn buffer(pts: u64, dts: u64) -> gst::Buffer {
        let mut buffer = gst::Buffer::new();
        let contents = buffer.get_mut().unwrap();
        contents.set_pts(pts * MS);
        contents.set_dts(dts * MS);
        buffer
    }

    fn ms(time: u64) -> Nanos {
        Nanos::from_mseconds(time)
    }

    #[test]
    fn a_segment_begins_with_its_first_access_unit() {
        gst::init().unwrap();
        let mut segments = Segments::default();
        segments.set_next(&event(500, 900, 1000));
        let begun = segments.begin(Some(&buffer(440, 400)), true).unwrap();
        let expected = InputSegment {
            late: Nanos::ZERO,
            lead: ms(100),
            shown_from: ms(1100),
            shown_until: Some(ms(1500)),
        };
        assert_eq!(begun.input, expected);
        assert_eq!(segments.running_time(Some(440 * MS)), Some(ms(1040)));
        assert_eq!(segments.running_time(Some(950 * MS)), Some(ms(1550)));
        assert!(segments.begin(Some(&buffer(480, 440)), true).is_none());

        let event = begun.event(ms(7));
        let gst::EventView::Segment(event) = event.view() else {
            panic!("{event:?}");
        };
        let segment = event.segment().downcast_ref::<gst::ClockTime>().unwrap();
        assert_eq!(segment.start(), Some(400 * MS));
        assert_eq!(segment.stop(), None);
        assert_eq!(segment.time(), Some(400 * MS));
        assert_eq!(segment.base(), Some(1007 * MS));
    }

    #[test]
    fn after_a_pause_an_episode_continues_with_the_pts() {
        gst::init().unwrap();
        for (has_episodes, lead) in [(true, 0), (false, 40)] {
            let mut segments = Segments::default();
            segments.note_pause();
            segments.set_next(&event(500, 900, 1000));
            let begun = segments.begin(Some(&buffer(500, 460)), has_episodes);
            assert_eq!(begun.unwrap().input.lead, ms(lead));
        }
        // Its DTS is before the segment, and so may be the PTS of access units that follow.
        let mut segments = Segments::default();
        segments.note_pause();
        segments.set_next(&event(500, 900, 1000));
        segments.begin(Some(&buffer(500, 460)), true);
        assert_eq!(segments.running_time(Some(460 * MS)), Some(ms(960)));
        // Without running time before it, the cutter's delay makes up for that.
        let mut segments = Segments::default();
        segments.note_pause();
        segments.set_next(&event(500, 900, 10));
        let begun = segments.begin(Some(&buffer(520, 460)), true).unwrap();
        assert_eq!((begun.input.late, begun.input.lead), (ms(30), ms(30)));
        assert_eq!(segments.running_time(Some(480 * MS)), Some(ms(20)));
        assert_eq!(
            segments.running_time(Some(500 * MS)),
            Some(begun.input.shown_from)
        );
    }

    #[test]
    fn running_times_follow_the_rate() {
        gst::init().unwrap();
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_rate(2.0);
        let mut segments = Segments::default();
        segments.set_next(&gst::event::Segment::new(&segment));
        segments.begin(None, false).unwrap();
        assert_eq!(segments.running_time(Some(80 * MS)), Some(ms(40)));
        assert_eq!(segments.running_duration(Some(80 * MS)), Some(ms(40)));
    }
}
