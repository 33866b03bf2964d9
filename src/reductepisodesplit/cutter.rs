// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What passes from h264parse to splitmuxsink, and where it is cut.
//!
//! The cutter sees every event and every access unit, asks the policy, and gives orders that follow
//! from its decisions. The bin carries them out, unlocked.

use gst::prelude::*;

use super::CAT;
use super::files::Files;
use super::format::Formats;
use super::location::{LocationError, Pattern};
use super::policy::{Change, Config, Policy, Unit, Verdict};
use crate::h264::avc;

/// What the bin has to do before it lets something pass.
#[derive(Debug)]
pub enum Order {
    /// Send this event to splitmuxsink.
    Send(gst::Event),
    /// Ask splitmuxsink to begin a file at this running time.
    CutAt(gst::ClockTime),
    /// An episode begins at this running time, after access units that were dropped.
    Begun {
        running_time: gst::ClockTime,
        dropped: u64,
    },
}

/// Whether an event or an access unit goes on to splitmuxsink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    Pass,
    Drop,
}

/// Decides what splitmuxsink gets. One for each run of the bin.
#[derive(Debug)]
pub struct Cutter {
    pub files: Files,
    policy: Policy,
    formats: Formats,
    segment: gst::FormattedSegment<gst::ClockTime>,
    /// Before the first IDR splitmuxsink gets nothing: it would begin a file. The first segment
    /// comes after the caps that are sent then.
    held_segment: Option<gst::Event>,
    began: bool,
    last_pts: Option<gst::ClockTime>,
    last_distance: Option<gst::ClockTime>,
    last_running_time: gst::ClockTime,
    /// Access units that h264parse has taken and not given.
    in_parser: u64,
    /// h264parse has taken a buffer with DISCONT. It gives that flag to the right access unit, but
    /// also to the first of each segment.
    discont: bool,
    dropped: u64,
}

impl Cutter {
    /// A cutter at the beginning of a stream.
    pub fn new(config: Config, pattern: Pattern) -> Self {
        Self {
            files: Files::new(pattern),
            policy: Policy::new(config),
            formats: Formats::default(),
            segment: gst::FormattedSegment::new(),
            held_segment: None,
            began: false,
            last_pts: None,
            last_distance: None,
            last_running_time: gst::ClockTime::ZERO,
            in_parser: 0,
            discont: false,
            dropped: 0,
        }
    }

    /// Takes an event other than EOS.
    pub fn event(&mut self, event: &gst::Event) -> Passage {
        match event.view() {
            gst::EventView::Caps(caps) => {
                self.formats.set_caps(caps.caps_owned());
                Passage::Drop
            }
            gst::EventView::Segment(segment) => {
                match segment.segment().downcast_ref::<gst::ClockTime>() {
                    Some(segment) => self.segment = segment.clone(),
                    None => gst::warning!(CAT, "The segment is not in TIME: {segment:?}"),
                }
                if self.began {
                    return Passage::Pass;
                }
                self.held_segment = Some(event.clone());
                Passage::Drop
            }
            gst::EventView::Gap(_) if !self.began => Passage::Drop,
            _ => Passage::Pass,
        }
    }

    /// A buffer goes into h264parse. If it `is_access_unit`, h264parse gives it before it takes
    /// another one, or never: it drops what comes before parameter sets.
    pub fn enters_parser(&mut self, buffer: &gst::BufferRef, is_access_unit: bool) {
        self.in_parser += u64::from(is_access_unit);
        self.discont |= buffer.flags().contains(gst::BufferFlags::DISCONT);
    }

    /// What h264parse has taken is gone.
    pub fn flush(&mut self) {
        self.in_parser = 0;
        self.discont = false;
    }

    /// Takes the next access unit. Sets its flags and duration, and appends to `orders` what has to
    /// be done before it passes.
    pub fn access_unit(
        &mut self,
        buffer: &mut gst::Buffer,
        orders: &mut Vec<Order>,
    ) -> Result<Passage, LocationError> {
        self.in_parser = self.in_parser.saturating_sub(1);
        self.count_lost_in_parser();
        let avc::Facts {
            idr,
            parameter_sets,
        } = avc::facts(self.formats.length_size(), |offset, bytes| {
            buffer.copy_to_slice(offset, bytes).is_ok()
        });
        for set in &parameter_sets {
            self.formats.put_parameter_set(set);
        }
        let mut new_format = false;
        if idr {
            if let Some(format) = self.formats.bring_into_force() {
                new_format = format.changed;
                orders.push(Order::Send(gst::event::Caps::new(&format.caps)));
            }
            orders.extend(self.held_segment.take().map(Order::Send));
            self.began = true;
        }

        let duration = self.duration(buffer);
        let running_time = buffer
            .pts()
            .and_then(|pts| self.segment.to_running_time(pts));
        self.last_running_time = running_time.unwrap_or(self.last_running_time);

        let buffer = buffer.make_mut();
        buffer.set_duration(duration);
        // h264parse takes I slices and recovery points for keyframes, too.
        if idr {
            buffer.unset_flags(gst::BufferFlags::DELTA_UNIT);
        } else {
            buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        let discont =
            buffer.flags().contains(gst::BufferFlags::DISCONT) && std::mem::take(&mut self.discont);
        let unit = Unit {
            idr,
            discont,
            new_format,
            running_time: self.last_running_time,
            duration,
            bytes: buffer.size() as u64,
            capture: capture_time(buffer),
        };
        let mut changes = Vec::new();
        let verdict = self.policy.push(&unit, &mut changes);
        self.apply(changes, orders)?;
        Ok(match verdict {
            Verdict::Keep => Passage::Pass,
            Verdict::Drop => {
                self.dropped += 1;
                Passage::Drop
            }
        })
    }

    /// Ends the stream. Gives the number of access units that were dropped since the last IDR.
    pub fn finish(&mut self, orders: &mut Vec<Order>) -> Result<u64, LocationError> {
        self.count_lost_in_parser();
        let mut changes = Vec::new();
        let dropped = self.policy.finish(&mut changes);
        self.apply(changes, orders)?;
        Ok(dropped)
    }

    /// Whether there was an IDR, so that there is an episode.
    pub fn has_episodes(&self) -> bool {
        self.began
    }

    /// Access units that no episode has, because they came before an IDR.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn count_lost_in_parser(&mut self) {
        let lost = std::mem::take(&mut self.in_parser);
        self.policy.drop_unseen(lost);
        self.dropped += lost;
    }

    /// The buffer's duration, else that of a frame, else the shorter of the last two distances, as
    /// one of them can be a hole. mp4mux takes it for the last sample of a file.
    fn duration(&mut self, buffer: &gst::BufferRef) -> gst::ClockTime {
        let distance = buffer
            .pts()
            .zip(self.last_pts)
            .and_then(|(pts, last)| pts.checked_sub(last))
            .or(self.last_distance);
        let shorter = distance.opt_min(self.last_distance).or(distance);
        self.last_pts = buffer.pts().or(self.last_pts);
        self.last_distance = distance;
        buffer
            .duration()
            .filter(|duration| !duration.is_zero())
            .or_else(|| self.formats.frame_duration())
            .or(shorter)
            .unwrap_or_default()
    }

    fn apply(
        &mut self,
        changes: Vec<Change>,
        orders: &mut Vec<Order>,
    ) -> Result<(), LocationError> {
        for change in changes {
            match change {
                Change::Begin {
                    cut,
                    index,
                    running_time,
                    capture,
                    dropped,
                } => {
                    self.files.begin(index, capture)?;
                    if cut {
                        orders.push(Order::CutAt(running_time));
                    }
                    orders.push(Order::Begun {
                        running_time,
                        dropped,
                    });
                }
                Change::End(episode) => self.files.end(episode),
            }
        }
        Ok(())
    }
}

/// The capture time that a source such as `reductsrc` gave the buffer.
fn capture_time(buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find(|meta| {
            let reference = meta.reference().structure(0);
            reference.is_some_and(|structure| structure.name() == "timestamp/x-unix")
        })
        .map(|meta| meta.timestamp())
}
