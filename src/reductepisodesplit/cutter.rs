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
use crate::h264::{ParameterSets, avc};

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

/// Where splitmuxsink writes.
#[derive(Debug)]
pub enum Target {
    File(String),
    Nowhere,
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

/// What a file says of all its access units.
#[derive(Debug, Clone, PartialEq)]
struct Format {
    /// Without `codec_data`.
    caps: gst::Caps,
    parameter_sets: ParameterSets,
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
    /// Caps and parameter sets of the running file, and those that the next IDR brings into force:
    /// a file has one format. h264parse does not tell of parameter sets that change nothing else.
    format: Option<Format>,
    next_format: Format,
    epoch: i32,
    length_size: usize,
    last_pts: Option<gst::ClockTime>,
    last_distance: Option<gst::ClockTime>,
    last_running_time: gst::ClockTime,
    /// Access units that h264parse has taken and not given.
    in_parser: u64,
    /// h264parse has taken a buffer with DISCONT. It gives that flag to the right access unit, but
    /// also to the first of each segment.
    discont: bool,
    /// Names of the files that splitmuxsink will open, in order; `None` for one that cannot be had.
    names: VecDeque<Option<String>>,
    /// Why that is so. It is told when the files before are complete.
    failure: Option<LocationError>,
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
            format: None,
            next_format: Format {
                caps: gst::Caps::new_any(),
                parameter_sets: ParameterSets::default(),
            },
            epoch: 0,
            length_size: 4,
            last_pts: None,
            last_distance: None,
            last_running_time: gst::ClockTime::ZERO,
            in_parser: 0,
            discont: false,
            names: VecDeque::new(),
            failure: None,
            open: None,
            ended: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    /// Takes an event other than EOS.
    pub fn event(&mut self, event: &gst::Event) -> Passage {
        match event.view() {
            gst::EventView::Caps(caps) => {
                self.set_caps(caps.caps_owned());
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
        let avc::Facts {
            idr,
            parameter_sets,
        } = avc::facts(self.length_size, |offset, bytes| {
            buffer.copy_to_slice(offset, bytes).is_ok()
        });
        for set in &parameter_sets {
            self.next_format.parameter_sets.put(set);
        }
        let new_format = idr && self.bring_format_into_force(orders);
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

    /// splitmuxsink opens its next file. Gives `None` if it is none of the cutter's.
    pub fn open_file(&mut self) -> Option<Target> {
        let name = self.names.pop_front()?;
        self.open.clone_from(&name);
        Some(name.map_or(Target::Nowhere, Target::File))
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

    /// Why the file after the one that was closed cannot be had, once.
    pub fn take_failure(&mut self) -> Option<LocationError> {
        self.failure.take()
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

    fn set_caps(&mut self, mut caps: gst::Caps) {
        let codec_data = caps.structure(0).and_then(|structure| {
            let codec_data = structure.get::<gst::Buffer>("codec_data").ok()?;
            codec_data.into_mapped_buffer_readable().ok()
        });
        if let Some(codec_data) = codec_data {
            self.length_size = avc::length_size(&codec_data).unwrap_or(self.length_size);
            self.next_format.parameter_sets = ParameterSets::from_configuration(&codec_data);
        }
        for structure in caps.make_mut().iter_mut() {
            structure.remove_field("codec_data");
        }
        self.next_format.caps = caps;
    }

    /// Tells whether it is another format, and orders its caps.
    fn bring_format_into_force(&mut self, orders: &mut Vec<Order>) -> bool {
        if self.format.as_ref() == Some(&self.next_format) {
            return false;
        }
        let changed = self.format.replace(self.next_format.clone()).is_some();
        self.epoch += i32::from(changed);
        let mut caps = self.next_format.caps.clone();
        let structures = caps.make_mut();
        structures.set(EPOCH_FIELD, self.epoch);
        if let Some(codec_data) = self.next_format.parameter_sets.to_configuration() {
            structures.set("codec_data", gst::Buffer::from_slice(codec_data));
        }
        orders.push(Order::Send(gst::event::Caps::new(&caps)));
        changed
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
            .or_else(|| self.frame_duration())
            .or(shorter)
            .unwrap_or_default()
    }

    fn frame_duration(&self) -> Option<gst::ClockTime> {
        let structure = self.next_format.caps.structure(0)?;
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
                    match self.pattern.name(index, capture) {
                        Ok(name) => self.names.push_back(Some(name)),
                        Err(error) if index == 0 => return Err(error),
                        Err(error) => {
                            self.names.push_back(None);
                            self.failure.get_or_insert(error);
                        }
                    }
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
