// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What passes to splitmuxsink, and where it is cut.
//!
//! The cutter sees every event and every access unit, asks the policy, and gives orders that follow
//! from its decisions. The bin carries them out, unlocked.

use gst::prelude::*;

use super::files::Files;
use super::format::{Difference, Formats};
use super::intake::{Intake, Unit};
use super::location::{LocationError, Pattern};
use super::policy::{self, Change, Config, Entry, Policy, Verdict};
use super::{CAT, SplitMode};
use crate::{capture_time, pause_event};

/// What the bin has to do, in order.
#[derive(Debug)]
pub enum Order {
    /// Send this event to splitmuxsink.
    Send(gst::Event),
    /// Push this access unit to splitmuxsink.
    Push(gst::Buffer),
    /// Ask splitmuxsink to begin a file at this running time.
    CutAt(gst::ClockTime),
    /// An episode begins at this running time, after access units that were dropped.
    Begun {
        running_time: gst::ClockTime,
        dropped: u64,
    },
    /// Tell that recovery points could end episodes.
    WarnOfRecoveryPoints,
}

/// Bytes of a group of pictures after which it goes on in parts: splitmuxsink keeps groups in
/// memory, and a stream may have a single IDR picture.
const LONG_GROUP: usize = 4 << 20;

/// Marks an access unit that only splitmuxsink shall take for a keyframe.
pub const PART_OF_GROUP: gst::BufferFlags = gst::BufferFlags::NON_DROPPABLE;

/// Decides what splitmuxsink gets. One for each run of the bin.
#[derive(Debug)]
pub struct Cutter {
    pub files: Files,
    intake: Intake,
    policy: Policy,
    formats: Formats,
    /// From buffer times to running times, also for what the segment leaves out.
    segment: gst::FormattedSegment<gst::ClockTime>,
    /// PTS of what is shown.
    shown: Shown,
    /// A segment until its first access unit, which may be before what is shown.
    next_segment: Option<gst::Event>,
    /// By how much running time is later than upstream, for what is not shown.
    delay: gst::ClockTime,
    /// Before the first keyframe splitmuxsink gets nothing: it would begin a file. The first segment
    /// comes after the caps that are sent then.
    held_segment: Option<gst::Event>,
    began: bool,
    last_pts: Option<gst::ClockTime>,
    last_distance: Option<gst::ClockTime>,
    last_running_time: gst::ClockTime,
    /// How the running file is filled.
    file: Option<Span>,
    /// The recovery point with which the running file begins, until it is known what follows: its
    /// DTS has to make up for what is dropped.
    held: Option<Held>,
    /// Groups can go on in parts: nothing that has passed is cut off any more.
    parts_groups: bool,
    /// Bytes of the group, or its part.
    group_bytes: usize,
    dropped: u64,
}

#[derive(Debug)]
struct Held {
    buffer: gst::Buffer,
    running_time: gst::ClockTime,
    duration: gst::ClockTime,
}

/// What of a segment is shown.
#[derive(Debug, Default)]
struct Shown {
    start: gst::ClockTime,
    stop: Option<gst::ClockTime>,
}

impl Shown {
    /// Whether something of a picture is shown.
    fn has(&self, pts: gst::ClockTime, duration: gst::ClockTime) -> bool {
        let is_before = pts < self.start && pts.saturating_add(duration) <= self.start;
        let is_after = self.stop.is_some_and(|stop| pts >= stop);
        !is_before && !is_after
    }
}

/// The time that the access units of a file cover.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// How much later than DTS the first PTS is.
    delay: gst::ClockTime,
    /// The running time at which what is shown last ends.
    end: gst::ClockTime,
}

impl Cutter {
    /// A cutter at the beginning of a stream.
    pub fn new(config: Config, pattern: Pattern) -> Self {
        Self {
            parts_groups: config.mode == SplitMode::NextKeyframe,
            group_bytes: 0,
            files: Files::new(pattern),
            intake: Intake::default(),
            policy: Policy::new(config),
            formats: Formats::default(),
            segment: gst::FormattedSegment::new(),
            shown: Shown::default(),
            next_segment: None,
            delay: gst::ClockTime::ZERO,
            held_segment: None,
            began: false,
            last_pts: None,
            last_distance: None,
            last_running_time: gst::ClockTime::ZERO,
            file: None,
            held: None,
            dropped: 0,
        }
    }

    /// Takes a serialized event other than EOS.
    pub fn event(
        &mut self,
        event: &gst::Event,
        orders: &mut Vec<Order>,
    ) -> Result<(), LocationError> {
        let is_pause = pause_event::is_one(event);
        if is_pause
            || matches!(
                event.view(),
                gst::EventView::Caps(_) | gst::EventView::Segment(_) | gst::EventView::Gap(_)
            )
        {
            self.intake.end_run();
            self.access_units(orders)?;
            self.release(None, orders);
        }
        match event.view() {
            gst::EventView::Caps(caps) => {
                self.intake.set_caps(caps.caps());
                self.formats.set_caps(caps.caps_owned());
            }
            _ if is_pause => self.policy.note_pause(),
            gst::EventView::Segment(_) => self.next_segment = Some(event.clone()),
            gst::EventView::Gap(_) if !self.began => {}
            gst::EventView::Gap(_) => {
                self.begin_segment(None, orders);
                orders.push(Order::Send(event.clone()));
            }
            _ => orders.push(Order::Send(event.clone())),
        }
        Ok(())
    }

    /// Takes the next buffer.
    pub fn buffer(
        &mut self,
        buffer: gst::Buffer,
        orders: &mut Vec<Order>,
    ) -> Result<(), LocationError> {
        self.intake.push(buffer);
        self.access_units(orders)
    }

    /// Brings the segment that came into force, for `first`, the first access unit in it.
    ///
    /// mp4mux drops what is before a segment or after it. So it begins with the first access unit, has
    /// no end, and all running times after it are later.
    fn begin_segment(&mut self, first: Option<&gst::BufferRef>, orders: &mut Vec<Order>) {
        let Some(event) = self.next_segment.take() else {
            return;
        };
        let gst::EventView::Segment(segment) = event.view() else {
            return;
        };
        let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>() else {
            gst::warning!(CAT, "The segment is not in TIME: {segment:?}");
            return;
        };
        let start = segment.start().unwrap_or_default();
        let begin = first.and_then(|first| first.pts().opt_min(first.dts()).or(first.pts()));
        let begin = begin.map_or(start, |begin| begin.min(start));
        self.shown = Shown {
            start,
            stop: segment.stop(),
        };
        self.segment = segment.clone();
        let lead = start.saturating_sub(begin);
        self.segment.set_start(begin);
        self.segment.set_stop(gst::ClockTime::NONE);
        self.segment
            .set_time(segment.time().map(|time| time.saturating_sub(lead)));
        self.segment.set_position(begin);
        let base = segment.base().unwrap_or_default();
        self.segment.set_base(base.saturating_add(self.delay));
        let shown_from = self.segment.to_running_time(start);
        self.delay = shown_from.map_or(self.delay, |from| from.saturating_sub(base));

        let event = gst::event::Segment::builder(&self.segment)
            .seqnum(event.seqnum())
            .build();
        if self.began {
            orders.push(Order::Send(event));
        } else {
            self.held_segment = Some(event);
        }
    }

    /// What came in and did not go on is gone.
    pub fn flush(&mut self) {
        self.intake.flush();
        self.held = None;
    }

    /// Ends the stream. Gives the number of access units that were dropped since the last keyframe.
    pub fn finish(&mut self, orders: &mut Vec<Order>) -> Result<u64, LocationError> {
        self.intake.end_run();
        self.access_units(orders)?;
        self.release(None, orders);
        let mut changes = Vec::new();
        let dropped = self.policy.finish(&mut changes);
        let frame_rate = self.formats.frame_rate();
        self.apply(changes, |_| frame_rate, orders)?;
        Ok(dropped)
    }

    fn access_units(&mut self, orders: &mut Vec<Order>) -> Result<(), LocationError> {
        loop {
            let unit = self.intake.pop();
            let lost = self.intake.take_dropped();
            self.policy.drop_unseen(lost);
            self.dropped += lost;
            match unit {
                Some(unit) => self.access_unit(unit, orders)?,
                None => return Ok(()),
            }
        }
    }

    /// Takes the next access unit. Sets its flags and duration, and appends to `orders` what has to
    /// be done with it, and before.
    fn access_unit(&mut self, unit: Unit, orders: &mut Vec<Order>) -> Result<(), LocationError> {
        let Unit {
            mut buffer,
            idr,
            recovery_point,
            parameter_sets,
            sps_id,
        } = unit;
        for set in &parameter_sets {
            self.formats.put_parameter_set(set);
        }
        let entry = if idr {
            Some(Entry::Idr)
        } else {
            recovery_point.then_some(Entry::RecoveryPoint)
        };
        self.begin_segment(Some(&buffer), orders);
        let duration = self.duration(&buffer);
        let running_time = |pts| self.segment.to_running_time(pts);
        let pts = buffer.pts();
        self.last_running_time = pts.and_then(running_time).unwrap_or(self.last_running_time);
        let shown = pts.map(|pts| pts.max(self.shown.start));
        let lead = shown
            .and_then(running_time)
            .opt_saturating_sub(self.last_running_time);
        let hidden = shown.opt_saturating_sub(pts).unwrap_or_default();
        let new_format = idr && self.formats.difference(sps_id) == Difference::Other;
        let unit = policy::Unit {
            entry,
            discont: buffer.flags().contains(gst::BufferFlags::DISCONT),
            new_format: new_format && self.began,
            running_time: self.last_running_time,
            lead: lead.unwrap_or_default(),
            is_shown: pts.is_none_or(|pts| self.shown.has(pts, duration)),
            duration,
            bytes: buffer.size() as u64,
            capture: capture_time::of(&buffer).map(|capture| capture.saturating_add(hidden)),
        };
        let mut changes = Vec::new();
        let verdict = self.policy.push(&unit, &mut changes);
        if verdict == Verdict::Keep {
            self.release(Some(&buffer), orders);
        }
        // That of a file which begins with an earlier group.
        let rate_before = self.formats.frame_rate();
        let begins = |change: &Change| matches!(change, Change::Begin { running_time, .. } if *running_time == unit.running_time);
        let begins_file = entry.is_some() && changes.iter().any(begins);
        if begins_file {
            let caps = self.formats.bring_into_force(sps_id);
            orders.extend(caps.map(|caps| Order::Send(gst::event::Caps::new(&caps))));
            orders.extend(self.held_segment.take().map(Order::Send));
            self.began = true;
            self.file = None;
        }
        let rate = self.formats.frame_rate();
        let rate_from = |begin| match begin == unit.running_time {
            true => rate,
            false => rate_before,
        };
        self.apply(changes, rate_from, orders)?;
        if verdict == Verdict::Drop {
            self.dropped += 1;
            return Ok(());
        }
        let contents = buffer.make_mut();
        if entry.is_some_and(|entry| self.policy.is_keyframe(entry)) {
            contents.unset_flags(gst::BufferFlags::DELTA_UNIT);
        } else {
            contents.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        let next = Held {
            buffer,
            running_time: unit.running_time,
            duration,
        };
        if begins_file && !idr {
            self.held = Some(next);
        } else {
            self.push(next, orders);
        }
        Ok(())
    }

    /// Pushes what is held before `next`.
    fn release(&mut self, next: Option<&gst::Buffer>, orders: &mut Vec<Order>) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        let latest = next.and_then(|next| next.dts()?.checked_sub(held.duration));
        let buffer = held.buffer.make_mut();
        let dts = buffer.dts().max(latest).opt_min(buffer.pts());
        buffer.set_dts(dts);
        self.push(held, orders);
    }

    fn push(&mut self, next: Held, orders: &mut Vec<Order>) {
        let duration = self.sample_duration(&next);
        let is_shown_last = self
            .file
            .is_some_and(|file| next.running_time.saturating_add(next.duration) >= file.end);
        let mut buffer = next.buffer;
        let contents = buffer.make_mut();
        contents.set_duration(duration);
        contents.unset_flags(PART_OF_GROUP);
        if !contents.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            self.group_bytes = 0;
        } else if self.parts_groups && is_shown_last && self.group_bytes > LONG_GROUP {
            self.group_bytes = 0;
            contents.unset_flags(gst::BufferFlags::DELTA_UNIT);
            contents.set_flags(PART_OF_GROUP);
        }
        self.group_bytes += contents.size();
        orders.push(Order::Push(buffer));
    }

    /// Whether there was a keyframe, so that there is an episode.
    pub fn has_episodes(&self) -> bool {
        self.began
    }

    /// Access units that no episode has, because they could not be decoded.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The buffer's duration, else that of a frame, else the shorter of the last two distances, as
    /// one of them can be a hole.
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

    /// How long the sample lasts if it is the last one of its file: until the end of what is shown
    /// last, counted in DTS. mp4mux takes the distance of DTS for all others, and the sum for the
    /// length of the edit list.
    fn sample_duration(&mut self, sample: &Held) -> gst::ClockTime {
        let Held {
            buffer,
            running_time,
            duration,
        } = sample;
        let Some((pts, dts)) = buffer.pts().zip(buffer.dts_or_pts()) else {
            return *duration;
        };
        let delay = pts.saturating_sub(dts);
        let file = self.file.get_or_insert(Span {
            delay,
            end: *running_time,
        });
        file.end = file.end.max(running_time.saturating_add(*duration));
        let rest = file.end.saturating_add(delay);
        let rest = rest.checked_sub(running_time.saturating_add(file.delay));
        rest.filter(|rest| !rest.is_zero()).unwrap_or(*duration)
    }

    fn apply(
        &mut self,
        changes: Vec<Change>,
        rate_from: impl Fn(gst::ClockTime) -> Option<gst::Fraction>,
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
                    self.files.begin(index, capture, rate_from(running_time))?;
                    if cut {
                        orders.push(Order::CutAt(running_time));
                    }
                    orders.push(Order::Begun {
                        running_time,
                        dropped,
                    });
                }
                Change::End(episode) => self.files.end(episode),
                Change::PassRecoveryPoint => orders.push(Order::WarnOfRecoveryPoints),
            }
        }
        Ok(())
    }
}
