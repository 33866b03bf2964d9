// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What passes from h264parse to splitmuxsink, and where it is cut.
//!
//! The cutter sees every event and every access unit, asks the policy, and keeps book of the files
//! that follow from its decisions. It gives orders; the bin carries them out, unlocked.

use std::collections::VecDeque;

use gst::prelude::*;

use super::CAT;
use super::location::{LocationError, Pattern};
use super::policy::{Change, Config, Episode, Policy, Unit, Verdict};
use crate::h264::avc;

/// A field of the caps that differs where the format does. mp4mux takes other caps into the running
/// file, and one sample too late; a field that it does not know makes it refuse them, so that
/// splitmuxsink begins another file.
const EPOCH_FIELD: &str = "reduct-epoch";

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

/// An episode whose file is complete.
#[derive(Debug)]
pub struct Finished {
    /// The name that its file gets now.
    pub name: String,
    pub episode: Episode,
}

/// Counts of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Episodes whose files are complete.
    pub episodes: u64,
    /// Their access units.
    pub frames: u64,
    /// Access units that no episode has, because they came before an IDR.
    pub dropped: u64,
}

impl Totals {
    /// The value of the property `stats`.
    pub fn structure(&self) -> gst::Structure {
        gst::Structure::builder("application/x-reductepisodesplit-stats")
            .field("episodes", self.episodes)
            .field("frames", self.frames)
            .field("dropped", self.dropped)
            .build()
    }
}

/// Decides on files. One for each run of the bin.
#[derive(Debug)]
pub struct Cutter {
    policy: Policy,
    pattern: Pattern,
    segment: gst::FormattedSegment<gst::ClockTime>,
    /// Before the first IDR splitmuxsink gets nothing: it would begin a file.
    held_segment: Option<gst::Event>,
    began: bool,
    caps: Option<gst::Caps>,
    /// Caps that the next IDR brings into force: a file has one format.
    next_caps: Option<gst::Caps>,
    epoch: i32,
    length_size: usize,
    last_pts: Option<gst::ClockTime>,
    last_duration: gst::ClockTime,
    last_running_time: gst::ClockTime,
    /// Access units that h264parse has taken and not given.
    in_parser: u64,
    /// h264parse has taken a buffer with DISCONT. It gives that flag to the right access unit, but
    /// also to the first of each segment.
    discont: bool,
    /// Names of the files that splitmuxsink will open, in order.
    names: VecDeque<String>,
    /// The file that splitmuxsink writes.
    open: Option<String>,
    /// Episodes that have all their access units, until their files are closed.
    ended: VecDeque<Episode>,
    totals: Totals,
}

impl Cutter {
    /// A cutter at the beginning of a stream.
    pub fn new(config: Config, pattern: Pattern) -> Self {
        Self {
            policy: Policy::new(config),
            pattern,
            segment: gst::FormattedSegment::new(),
            held_segment: None,
            began: false,
            caps: None,
            next_caps: None,
            epoch: 0,
            length_size: 4,
            last_pts: None,
            last_duration: gst::ClockTime::ZERO,
            last_running_time: gst::ClockTime::ZERO,
            in_parser: 0,
            discont: false,
            names: VecDeque::new(),
            open: None,
            ended: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    /// Takes an event other than EOS.
    pub fn event(&mut self, event: &gst::Event) -> Passage {
        match event.view() {
            gst::EventView::Caps(caps) => {
                let caps = caps.caps_owned();
                let codec_data = caps.structure(0).and_then(|structure| {
                    let buffer = structure.get::<gst::Buffer>("codec_data").ok()?;
                    buffer.into_mapped_buffer_readable().ok()
                });
                if let Some(size) = codec_data.and_then(|data| avc::length_size(&data)) {
                    self.length_size = size;
                }
                self.next_caps = Some(caps);
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

    /// Takes the next access unit. Sets its flags and duration, and appends to `orders` what has to
    /// be done before it passes.
    pub fn access_unit(
        &mut self,
        buffer: &mut gst::Buffer,
        orders: &mut Vec<Order>,
    ) -> Result<Passage, LocationError> {
        self.in_parser = self.in_parser.saturating_sub(1);
        self.count_lost_in_parser();
        let idr = avc::is_idr(self.length_size, |offset, bytes| {
            buffer.copy_to_slice(offset, bytes).is_ok()
        });
        let new_format = idr && self.bring_caps_into_force(orders);
        if idr && let Some(segment) = self.held_segment.take() {
            orders.push(Order::Send(segment));
        }
        self.began |= idr;

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
                self.totals.dropped += 1;
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

    /// The file that splitmuxsink shall open now, if there is one to open.
    pub fn open_file(&mut self) -> Option<&str> {
        self.open = self.names.pop_front();
        self.open.as_deref()
    }

    /// The file that is being written.
    pub fn open_name(&self) -> Option<&str> {
        self.open.as_deref()
    }

    /// splitmuxsink has closed its file.
    pub fn close_file(&mut self) -> Option<Finished> {
        let (name, episode) = (self.open.take()?, self.ended.pop_front()?);
        self.totals.episodes += 1;
        self.totals.frames += episode.frames;
        Some(Finished { name, episode })
    }

    /// What there was so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn count_lost_in_parser(&mut self) {
        let lost = std::mem::take(&mut self.in_parser);
        self.policy.drop_unseen(lost);
        self.totals.dropped += lost;
    }

    fn bring_caps_into_force(&mut self, orders: &mut Vec<Order>) -> bool {
        let Some(caps) = self.next_caps.take() else {
            return false;
        };
        if self.caps.as_ref() == Some(&caps) {
            return false;
        }
        let changed = self.caps.replace(caps.clone()).is_some();
        let mut announced = caps;
        if changed {
            self.epoch += 1;
        }
        announced.make_mut().set(EPOCH_FIELD, self.epoch);
        orders.push(Order::Send(gst::event::Caps::new(&announced)));
        changed
    }

    /// The buffer's duration, else that of a frame, else that of the buffer before: mp4mux takes it
    /// for the last sample of a file.
    fn duration(&mut self, buffer: &gst::BufferRef) -> gst::ClockTime {
        let since_last = buffer
            .pts()
            .zip(self.last_pts)
            .and_then(|(pts, last)| pts.checked_sub(last));
        self.last_pts = buffer.pts().or(self.last_pts);
        self.last_duration = buffer
            .duration()
            .filter(|duration| !duration.is_zero())
            .or_else(|| self.frame_duration())
            .or(since_last)
            .unwrap_or(self.last_duration);
        self.last_duration
    }

    fn frame_duration(&self) -> Option<gst::ClockTime> {
        let structure = self.caps.as_ref()?.structure(0)?;
        let rate = structure.get::<gst::Fraction>("framerate").ok()?;
        let (numerator, denominator) =
            (rate.numer().try_into().ok()?, rate.denom().try_into().ok()?);
        if numerator == 0 {
            return None;
        }
        gst::ClockTime::SECOND.mul_div_floor(denominator, numerator)
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
                    self.names.push_back(self.pattern.name(index, capture)?);
                    if cut {
                        orders.push(Order::CutAt(running_time));
                    }
                    orders.push(Order::Begun {
                        running_time,
                        dropped,
                    });
                }
                Change::End(episode) => self.ended.push_back(episode),
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
