// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of splitmuxsink as far as its input depends on it: caps, segment and latest timestamp.

use media::cut::{EpisodeBegin, EpisodeSample};
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
