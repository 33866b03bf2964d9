// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of splitmuxsink as far as its input depends on it: caps, segment and times of groups of pictures.

use media::cut::{EpisodeBegin, EpisodeSample, SampleRole};
use media::order::MAX_REORDERING;
use media::time::Nanos;

use super::caps::{AnnouncedCaps, StreamCaps};
use super::segments;
use crate::convert::ToClockTime;

/// Empty buffers behind the last access unit, each of which completes a group of pictures.
const COMPLETING: usize = 2 * MAX_REORDERING;

/// State of splitmuxsink in a run.
#[derive(Debug, Default)]
pub struct SplitMuxState {
    announced: AnnouncedCaps,
    /// The segment that splitmuxsink has, or gets with the first file.
    segment: gst::FormattedSegment<gst::ClockTime>,
    /// Before the first keyframe splitmuxsink gets nothing: it would begin a file. The first segment
    /// comes after the caps that are sent then.
    held_segment: Option<gst::Event>,
    has_begun: bool,
    /// The latest running time that has gone there, and the PTS.
    latest: Option<(Nanos, gst::ClockTime)>,
    /// DTS are before PTS.
    is_reordered: bool,
    /// The earliest running time of the latest group of pictures that has gone there.
    group: Option<Nanos>,
    /// The same of the group before it.
    group_before: Option<Nanos>,
}

impl SplitMuxState {
    /// Begins an episode. Returns the events to send before, in order.
    pub fn begin(
        &mut self,
        begin: &EpisodeBegin<StreamCaps>,
    ) -> impl Iterator<Item = gst::Event> + use<> {
        self.has_begun = true;
        // A group that has passed has the format of the file that it was in.
        let caps = match begin.has_first_group {
            true => None,
            false => self.announced.next(&begin.format, begin.timescale),
        };
        let caps = caps.map(|caps| gst::event::Caps::new(&caps));
        caps.into_iter().chain(self.held_segment.take())
    }

    /// Returns the time at which splitmuxsink has to cut, so that an episode begins with `begin`. Called before
    /// the first sample of the episode, or of the group after its first one.
    ///
    /// It cuts before the first group of which no picture is shown before that time. An IDR picture may be shown
    /// after others of its group, so the time is right after the begin of the group before.
    pub fn cut_at(&self, begin: &EpisodeBegin<StreamCaps>) -> Nanos {
        let before = match begin.has_first_group {
            true => self.group_before,
            false => self.group,
        };
        let after = before.map(|before| before.saturating_add(Nanos::from_nseconds(1)));
        after.map_or(begin.running_time, |after| after.min(begin.running_time))
    }

    /// Takes an event that passes between samples. Returns it if it is to be sent now.
    pub fn pass(&mut self, event: gst::Event) -> Option<gst::Event> {
        let gst::EventView::Segment(segment) = event.view() else {
            return Some(event);
        };
        if let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>() {
            self.segment = segment.clone();
        }
        if !self.has_begun {
            self.held_segment = Some(event);
            return None;
        }
        Some(event)
    }

    /// Returns the segment to send where running times become later by `delay`.
    pub fn delay(&mut self, delay: Nanos) -> gst::Event {
        segments::delay_by(&mut self.segment, delay);
        gst::event::Segment::new(&self.segment)
    }

    /// Notes a sample that goes to splitmuxsink. Returns the DTS that its buffer gets, if it is another one.
    pub fn note(&mut self, sample: &EpisodeSample<gst::Buffer>) -> Option<gst::ClockTime> {
        if let Some(pts) = sample.payload.pts() {
            self.latest = self.latest.max(Some((sample.pts, pts)));
        }
        self.is_reordered |= sample.dts < sample.pts;
        if sample.role != SampleRole::Delta {
            self.group_before = self.group.take();
        }
        self.group = Some(self.group.map_or(sample.pts, |start| start.min(sample.pts)));
        let dts = sample.is_dts_moved.then(|| sample.dts.clock_time())?;
        self.segment.position_from_running_time(dts)
    }

    /// Returns buffers that have splitmuxsink complete the groups of pictures that it has at the end of the
    /// stream.
    ///
    /// It takes a group for complete when a DTS has passed the PTS with which the next one begins, one group at
    /// each buffer. At the end of the stream it decides only once whether to begin a file: with B-frames, a
    /// file of a few pictures would become part of the one before it.
    pub fn completing_buffers(&self) -> impl Iterator<Item = gst::Buffer> + use<> {
        let latest = self.latest.filter(|_| self.is_reordered);
        latest.into_iter().flat_map(|(_, pts)| {
            let mut empty = gst::Buffer::new();
            let contents = empty.make_mut();
            contents.set_pts(pts);
            contents.set_dts(pts);
            contents.set_flags(gst::BufferFlags::DELTA_UNIT);
            std::iter::repeat_n(empty, COMPLETING)
        })
    }
}

#[cfg(test)]
mod tests {
    use media::cut::{Dropped, FileFormat};
    use media::mp4::Timescale;

    use super::*;

    const MS: gst::ClockTime = gst::ClockTime::MSECOND;

    fn begin(index: u32, has_first_group: bool) -> EpisodeBegin<StreamCaps> {
        EpisodeBegin {
            index,
            running_time: Nanos::ZERO,
            capture: None,
            dropped: Dropped::default(),
            format: FileFormat {
                declared: StreamCaps::default(),
                config: None,
            },
            timescale: Timescale::default(),
            has_first_group,
        }
    }

    /// A sample that is shown `late` ms after its DTS.
    fn sample(pts: u64, late: u64) -> EpisodeSample<gst::Buffer> {
        let mut payload = gst::Buffer::new();
        payload.get_mut().unwrap().set_pts(pts * MS);
        EpisodeSample {
            payload,
            bytes: 0,
            pts: Nanos::from_mseconds(pts),
            dts: Nanos::from_mseconds(pts - late),
            is_dts_moved: false,
            duration: Nanos::ZERO,
            duration_at_end: Nanos::ZERO,
            capture: None,
            role: SampleRole::Delta,
            is_hidden: false,
            is_corrupted: false,
        }
    }

    fn segment(start: u64, base: u64) -> gst::Event {
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(start * MS);
        segment.set_base(base * MS);
        gst::event::Segment::new(&segment)
    }

    fn types(events: impl Iterator<Item = gst::Event>) -> Vec<gst::EventType> {
        events.map(|event| event.type_()).collect()
    }

    #[test]
    fn the_first_segment_comes_after_the_caps() {
        gst::init().unwrap();
        let mut state = SplitMuxState::default();
        assert!(
            state
                .pass(gst::event::Tag::new(gst::TagList::new()))
                .is_some()
        );
        assert!(state.pass(segment(0, 0)).is_none());
        let events = types(state.begin(&begin(0, false)));
        assert_eq!(events, [gst::EventType::Caps, gst::EventType::Segment]);
        assert!(state.pass(segment(0, 7)).is_some());
        // The same caps are not sent again.
        assert_eq!(types(state.begin(&begin(1, false))), []);
    }

    #[test]
    fn a_group_that_has_passed_gets_no_caps() {
        gst::init().unwrap();
        let mut state = SplitMuxState::default();
        state.begin(&begin(0, false)).for_each(drop);
        let other = |has_first_group| EpisodeBegin {
            timescale: Timescale::new(20_000).unwrap(),
            ..begin(1, has_first_group)
        };
        assert_eq!(types(state.begin(&other(true))), []);
        assert_eq!(types(state.begin(&other(false))), [gst::EventType::Caps]);
    }

    #[test]
    fn a_moved_dts_is_a_time_of_the_segment() {
        gst::init().unwrap();
        let mut state = SplitMuxState::default();
        state.begin(&begin(0, false)).for_each(drop);
        state.pass(segment(500, 1000));
        assert_eq!(state.note(&sample(1080, 40)), None);
        let moved = EpisodeSample {
            is_dts_moved: true,
            ..sample(1080, 40)
        };
        assert_eq!(state.note(&moved), Some(540 * MS));
        // Running times are later, and buffer times stay.
        let event = state.delay(Nanos::from_mseconds(100));
        let gst::EventView::Segment(event) = event.view() else {
            panic!("{event:?}");
        };
        let sent = event.segment().downcast_ref::<gst::ClockTime>().unwrap();
        assert_eq!(sent.base(), Some(1100 * MS));
        let later = EpisodeSample {
            is_dts_moved: true,
            ..sample(1180, 40)
        };
        assert_eq!(state.note(&later), Some(540 * MS));
    }

    #[test]
    fn a_cut_comes_after_the_begin_of_the_group_before() {
        gst::init().unwrap();
        let mut state = SplitMuxState::default();
        let begin = |ms, has_first_group| EpisodeBegin {
            running_time: Nanos::from_mseconds(ms),
            ..begin(1, has_first_group)
        };
        let key = |pts, late| EpisodeSample {
            role: SampleRole::Keyframe,
            ..sample(pts, late)
        };
        let after = |ms| Nanos::from_mseconds(ms).saturating_add(Nanos::from_nseconds(1));
        state.note(&key(80, 0));
        state.note(&sample(120, 0));
        assert_eq!(state.cut_at(&begin(320, false)), after(80));
        // The IDR picture is shown after the pictures that follow it.
        state.note(&key(320, 180));
        state.note(&sample(160, 0));
        state.note(&sample(200, 0));
        assert_eq!(state.cut_at(&begin(320, true)), after(80));
        assert_eq!(state.cut_at(&begin(360, false)), after(160));
        // Times that go back are cut at, too.
        assert_eq!(state.cut_at(&begin(40, false)), Nanos::from_mseconds(40));
    }

    #[test]
    fn groups_are_completed_behind_the_latest_picture_if_pictures_are_reordered() {
        gst::init().unwrap();
        let mut state = SplitMuxState::default();
        state.note(&sample(80, 0));
        assert_eq!(state.completing_buffers().count(), 0);
        state.note(&sample(160, 80));
        state.note(&sample(120, 0));
        let buffers: Vec<_> = state.completing_buffers().collect();
        assert_eq!(buffers.len(), COMPLETING);
        assert!(
            buffers
                .iter()
                .all(|it| it.pts() == Some(160 * MS) && it.dts() == it.pts())
        );
    }
}
