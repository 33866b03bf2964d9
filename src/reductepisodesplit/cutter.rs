// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Carries out cuts: rewrites segments and timestamps for splitmuxsink.
//!
//! The cutter gets every event and every access unit, asks the policy, and returns orders that follow
//! from its decisions. The bin carries them out, unlocked.

use gst::prelude::*;
use media::cut::names::{LocationError, Pattern};
use media::cut::policy::{self, Change, Config, Entry, Policy, Verdict, Visibility};
use media::cut::{
    FileSettings, FileTimes, Files, Formats, KeyframeMode, PtsCadence, Refresh, SplitMode,
};
use media::mp4::Timescale;
use media::order::MAX_REORDERING;
use media::time::Nanos;

use super::caps::{self, AnnouncedCaps, StreamCaps};
use super::intake::{Intake, Unit};
use super::marks::PART_OF_GROUP;
use super::{CAT, gate};
use crate::convert::{ToClockTime, ToNanos};
use crate::{capture_time, pause_event};

/// Action for the bin. Actions are in order.
#[derive(Debug)]
pub enum Order {
    /// Send this event to splitmuxsink.
    Send(gst::Event),
    /// Push this access unit to splitmuxsink.
    Push(gst::Buffer),
    /// Ask splitmuxsink to begin a file at this running time.
    CutAt(Nanos),
    /// An episode begins at this running time, after access units that were dropped.
    Begun {
        running_time: Nanos,
        dropped: Dropped,
    },
    /// Warn that episodes could end in another keyframe mode.
    WarnOfKeyframeMode(KeyframeMode),
}

/// Access units that no episode has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    pub count: u64,
    /// Distance of the first of them from what precedes it, if that is longer than a file can count. The
    /// others need it.
    pub distance: Option<Nanos>,
}

/// Bytes of a group of pictures after which it continues in parts: splitmuxsink keeps groups in
/// memory, and a stream may have a single IDR picture.
const LONG_GROUP: usize = 4 << 20;

/// Empty buffers behind the last access unit, each of which completes a group of pictures.
const COMPLETING: usize = 2 * MAX_REORDERING;

/// Cutter of one run of the bin: decides the input of splitmuxsink.
#[derive(Debug)]
pub struct Cutter {
    pub files: Files,
    pub entry: gate::Entry,
    intake: Intake,
    policy: Policy,
    formats: Formats<StreamCaps>,
    announced: AnnouncedCaps,
    /// From buffer times to running times, also outside of the segment.
    segment: gst::FormattedSegment<gst::ClockTime>,
    /// PTS that are shown.
    shown: Shown,
    /// A segment until its first access unit, which may be before the part that is shown.
    next_segment: Option<gst::Event>,
    /// The segment follows a pause within an episode.
    resumes: bool,
    /// Delay of running time behind upstream, for access units that are not shown.
    delay: Nanos,
    /// Counts segments, and refreshes that are pushed again.
    segment_number: u64,
    /// Before the first keyframe splitmuxsink gets nothing: it would begin a file. The first segment
    /// comes after the caps that are sent then.
    held_segment: Option<gst::Event>,
    began: bool,
    has_ended: bool,
    cadence: PtsCadence,
    last_running_time: Nanos,
    times: FileTimes,
    /// The latest running time that has gone there, and the PTS.
    latest: Option<(Nanos, Nanos)>,
    /// DTS are before PTS.
    is_reordered: bool,
    /// The distance after which access units are dropped.
    too_far: Option<Nanos>,
    /// The file that is about to begin.
    opening: Option<Opening>,
    /// The recovery point with which the running file begins, until it is known what follows: its
    /// DTS has to make up for dropped access units.
    held: Option<Held>,
    /// The refresh that may begin an episode.
    refresh: Option<Refresh<Refreshing>>,
    /// PTS with which the refresh is complete, while pictures that are shown before it are still to come.
    complete_at: Option<Nanos>,
    /// Groups can continue in parts: nothing that has passed is cut off any more.
    parts_groups: bool,
    /// Bytes of the group, or its part.
    group_bytes: usize,
    dropped: u64,
}

/// A file of which not all is known that has to be known at its begin.
#[derive(Debug)]
struct Opening {
    begin: Begin,
    /// The first access unit is hidden: the capture time is that of one to come.
    awaits_shown: bool,
    /// The next access units decide whether the declared rate is true.
    awaits_distance: bool,
    /// Actions that follow.
    orders: Vec<Order>,
}

/// The begin of an episode.
#[derive(Debug)]
struct Begin {
    cut: bool,
    index: u32,
    running_time: Nanos,
    capture: Option<Nanos>,
    dropped: Dropped,
}

/// An access unit of a refresh.
#[derive(Debug)]
struct Refreshing {
    unit: Unit,
    /// The running episode has it.
    is_kept: bool,
}

#[derive(Debug)]
struct Held {
    buffer: gst::Buffer,
    running_time: Nanos,
    duration: Nanos,
}

/// Part of a segment that is shown.
#[derive(Debug, Default)]
struct Shown {
    start: Nanos,
    stop: Option<Nanos>,
}

impl Shown {
    /// Returns whether a picture is shown: its start time alone decides.
    fn visibility(&self, pts: Nanos) -> Visibility {
        if pts < self.start {
            Visibility::Before
        } else if self.stop.is_some_and(|stop| pts >= stop) {
            Visibility::After
        } else {
            Visibility::Shown
        }
    }
}

/// Duration of a picture without any information.
const FRAME: Nanos = Nanos::from_mseconds(40);

impl Cutter {
    /// Creates a cutter for a stream.
    pub fn new(config: Config, pattern: Pattern, settings: FileSettings) -> Self {
        Self {
            parts_groups: config.mode == SplitMode::NextKeyframe,
            group_bytes: 0,
            files: Files::new(pattern),
            entry: gate::Entry::default(),
            intake: Intake::default(),
            policy: Policy::new(config),
            formats: Formats::default(),
            announced: AnnouncedCaps::default(),
            segment: gst::FormattedSegment::new(),
            shown: Shown::default(),
            next_segment: None,
            resumes: false,
            delay: Nanos::ZERO,
            segment_number: 0,
            held_segment: None,
            began: false,
            has_ended: false,
            cadence: PtsCadence::default(),
            last_running_time: Nanos::ZERO,
            times: FileTimes::new(settings),
            latest: None,
            is_reordered: false,
            too_far: None,
            opening: None,
            held: None,
            refresh: None,
            complete_at: None,
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
            self.end_refresh(orders)?;
        }
        match event.view() {
            gst::EventView::Caps(event) => {
                self.intake.set_caps(event.caps());
                let declared = StreamCaps::new(event.caps_owned());
                let sets = caps::parameter_sets(event.caps());
                self.formats.declare(declared, sets);
            }
            _ if is_pause => {
                self.policy.note_pause();
                self.resumes = true;
            }
            gst::EventView::Segment(_) => self.next_segment = Some(event.clone()),
            gst::EventView::Gap(_) if !self.began => {}
            gst::EventView::Gap(_) => {
                self.begin_segment(None, orders);
                self.order(Order::Send(event.clone()), orders);
            }
            _ => self.order(Order::Send(event.clone()), orders),
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
    /// mp4mux drops access units before a segment or after it. So it begins with the first access unit, has
    /// no end, and all running times after it are later.
    fn begin_segment(&mut self, first: Option<&gst::BufferRef>, orders: &mut Vec<Order>) {
        let Some(event) = self.next_segment.take() else {
            return;
        };
        self.segment_number += 1;
        self.cadence.reset();
        let gst::EventView::Segment(segment) = event.view() else {
            return;
        };
        let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>() else {
            gst::warning!(CAT, "The segment is not in TIME: {segment:?}");
            return;
        };
        let start = segment.start().nanos().unwrap_or_default();
        // Within a file, times must not move by the distance from DTS to PTS.
        let resumes = std::mem::take(&mut self.resumes) && self.began;
        let begin = first.and_then(|first| match resumes {
            true => first.pts(),
            false => first.pts().opt_min(first.dts()).or(first.pts()),
        });
        let begin = begin.nanos().map_or(start, |begin| begin.min(start));
        self.shown = Shown {
            start,
            stop: segment.stop().nanos(),
        };
        self.segment = segment.clone();
        let lead = start.saturating_sub(begin).clock_time();
        let (start, begin) = (start.clock_time(), begin.clock_time());
        self.segment.set_start(begin);
        self.segment.set_stop(gst::ClockTime::NONE);
        self.segment
            .set_time(segment.time().map(|time| time.saturating_sub(lead)));
        self.segment.set_position(begin);
        let base = segment.base().unwrap_or_default();
        self.segment
            .set_base(base.saturating_add(self.delay.clock_time()));
        let shown_from = self.segment.to_running_time(start);
        self.delay = shown_from.map_or(self.delay, |from| from.saturating_sub(base).nanos());

        self.send_segment(event.seqnum(), orders);
    }

    /// Sends the present segment, or holds it until the first file begins.
    fn send_segment(&mut self, seqnum: gst::Seqnum, orders: &mut Vec<Order>) {
        let event = gst::event::Segment::builder(&self.segment)
            .seqnum(seqnum)
            .build();
        if self.began {
            self.order(Order::Send(event), orders);
        } else {
            self.held_segment = Some(event);
        }
    }

    /// Appends an order, behind those that wait for the begin of a file.
    fn order(&mut self, order: Order, orders: &mut Vec<Order>) {
        match &mut self.opening {
            Some(opening) => opening.orders.push(order),
            None => orders.push(order),
        }
    }

    /// Drops everything that came in and is not passed on.
    pub fn flush(&mut self) {
        self.intake.flush();
        self.held = None;
        self.refresh = None;
        self.complete_at = None;
    }

    /// Ends a refresh: the next access unit does not continue it.
    fn end_refresh(&mut self, orders: &mut Vec<Order>) -> Result<(), LocationError> {
        if let Some(complete_at) = self.complete_at {
            self.begin_with_refresh(complete_at, orders)?;
        }
        self.refresh = None;
        Ok(())
    }

    /// Ends the stream. Returns the access units that were dropped since the last keyframe.
    pub fn finish(&mut self, orders: &mut Vec<Order>) -> Result<Dropped, LocationError> {
        self.has_ended = true;
        self.intake.end_run();
        self.access_units(orders)?;
        self.release(None, orders);
        self.end_refresh(orders)?;
        let mut changes = Vec::new();
        let count = self.policy.finish(&mut changes);
        self.apply(changes, None, orders)?;
        self.open(orders)?;
        self.complete_groups(orders);
        Ok(Dropped {
            count,
            distance: self.too_far.take(),
        })
    }

    /// Has splitmuxsink complete the groups of pictures that it has at the end of the stream.
    ///
    /// It takes a group for complete when a DTS has passed the PTS with which the next one begins, one group at
    /// each buffer. At the end of the stream it decides only once whether to begin a file: with B-frames, a
    /// file of a few pictures would become part of the one before it.
    fn complete_groups(&self, orders: &mut Vec<Order>) {
        let latest = self.latest.filter(|_| self.is_reordered);
        orders.extend(latest.into_iter().flat_map(|(_, pts)| {
            let mut empty = gst::Buffer::new();
            let contents = empty.make_mut();
            contents.set_pts(pts.clock_time());
            contents.set_dts(pts.clock_time());
            contents.set_flags(gst::BufferFlags::DELTA_UNIT);
            std::iter::repeat_n(empty, COMPLETING).map(Order::Push)
        }));
    }

    /// Returns the keyframe mode in which a stream without keyframes would have some.
    pub fn helpful_mode(&self) -> Option<KeyframeMode> {
        self.policy.helpful_mode()
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

    /// Takes the next access unit in decoding order, and appends to `orders` what has to be done with it,
    /// and before.
    fn access_unit(&mut self, unit: Unit, orders: &mut Vec<Order>) -> Result<(), LocationError> {
        self.begin_segment(Some(&unit.buffer), orders);
        if let Some(pts) = unit.buffer.pts().nanos() {
            self.cadence.push(pts);
        }
        if unit.idr || unit.buffer.flags().contains(gst::BufferFlags::DISCONT) {
            self.end_refresh(orders)?;
        }
        let mut visibility = None;
        let pts = unit.buffer.pts().nanos();
        if let Some(complete_at) = self.complete_at {
            if pts.is_none_or(|pts| pts >= complete_at) {
                self.begin_with_refresh(complete_at, orders)?;
            }
        } else if self.completes_refresh(&unit) {
            match pts.filter(|_| self.policy.would_begin_with(&self.facts(&unit, None, None))) {
                Some(pts) if unit.buffer.dts().nanos().is_none_or(|dts| dts >= pts) => {
                    self.begin_with_refresh(pts, orders)?;
                }
                // Pictures that are shown before it may follow. They are in the running episode.
                Some(pts) => {
                    self.policy.force(&self.facts(&unit, None, None));
                    self.complete_at = Some(pts);
                    visibility = Some(Visibility::After);
                }
                None => self.refresh = None,
            }
        }
        let entry = self.entry(&unit);
        if let Some((start, frames)) = unit.frame_number.zip(unit.recovery_point)
            && frames > 0
            && !unit.idr
            && self.refresh.is_none()
            && self.policy.is_keyframe(Entry::Refresh)
        {
            self.refresh = Some(Refresh::new(start, frames));
        }
        let size = unit.buffer.size();
        let again = self.refresh.is_some().then(|| unit.clone());
        let verdict = self.feed(unit, entry, visibility, orders)?;
        if let (Some(refresh), Some(unit)) = (&mut self.refresh, again) {
            let is_kept = verdict == Verdict::Keep;
            if !refresh.add(Refreshing { unit, is_kept }, size) {
                self.end_refresh(orders)?;
            }
        }
        Ok(())
    }

    /// Returns how decoding can begin with an access unit, if it can. A refresh is none before it is
    /// complete.
    fn entry(&self, unit: &Unit) -> Option<Entry> {
        let is_refreshed = self.policy.is_keyframe(Entry::Refresh);
        match unit.recovery_point {
            _ if unit.idr => Some(Entry::Idr),
            Some(frames) if frames > 0 && is_refreshed => None,
            Some(_) => Some(Entry::RecoveryPoint),
            None => unit.intra.then_some(Entry::Intra),
        }
    }

    fn completes_refresh(&self, unit: &Unit) -> bool {
        let refresh = self.refresh.as_ref().zip(unit.frame_number);
        refresh.is_some_and(|(refresh, picture)| refresh.is_complete_at(picture))
    }

    /// Begins an episode with the access units of the refresh, which the one before has, too. What is
    /// before `complete_at` is hidden.
    fn begin_with_refresh(
        &mut self,
        complete_at: Nanos,
        orders: &mut Vec<Order>,
    ) -> Result<(), LocationError> {
        self.complete_at = None;
        let Some(refresh) = self.refresh.take() else {
            return Ok(());
        };
        self.release(None, orders);
        let mut units = refresh.into_units();
        // Pictures that are shown before the recovery point refer to pictures before it.
        let first = units.first().and_then(|again| again.unit.buffer.pts());
        units.retain(|again| again.unit.buffer.pts() >= first);
        let missed = units.iter().filter(|again| !again.is_kept).count() as u64;
        self.policy.restore(missed);
        self.dropped = self.dropped.saturating_sub(missed);
        // They come later than all before, and so does what follows.
        let begin = units
            .iter()
            .filter_map(|again| again.unit.buffer.dts_or_pts());
        let begin = begin
            .min()
            .and_then(|begin| self.segment.to_running_time(begin));
        let end = self.times.end().clock_time();
        let shift = end.zip(begin).map(|(end, begin)| end.saturating_sub(begin));
        if let Some(shift) = shift.filter(|shift| !shift.is_zero()) {
            let base = self.segment.base().unwrap_or_default();
            self.segment.set_base(base.saturating_add(shift));
            self.delay = self.delay.saturating_add(shift.nanos());
            self.send_segment(gst::Seqnum::next(), orders);
        }
        self.segment_number += 1;
        self.shown.start = self.shown.start.max(complete_at);
        let mut entry = Some(Entry::Refresh);
        for again in units {
            self.feed(again.unit, entry.take(), None, orders)?;
        }
        Ok(())
    }

    /// Returns the facts about an access unit that the policy needs.
    fn facts(
        &self,
        unit: &Unit,
        entry: Option<Entry>,
        visibility: Option<Visibility>,
    ) -> policy::Unit {
        let buffer = &unit.buffer;
        let running_time = |time: Nanos| self.segment.to_running_time(time.clock_time()).nanos();
        let pts = buffer.pts().nanos();
        let time = pts.and_then(running_time).unwrap_or(self.last_running_time);
        let visible = visibility.or_else(|| Some(self.shown.visibility(pts?)));
        let is_new = unit.idr && self.began && self.formats.is_new(unit.sps_id, &unit.pps_ids);
        policy::Unit {
            entry,
            discont: buffer.flags().contains(gst::BufferFlags::DISCONT),
            new_format: is_new,
            running_time: time,
            decode_time: buffer
                .dts_or_pts()
                .nanos()
                .and_then(running_time)
                .unwrap_or(time),
            segment: self.segment_number,
            visibility: visible.unwrap_or(Visibility::Shown),
            corrupted: buffer.flags().contains(gst::BufferFlags::CORRUPTED),
            // Rounded to ticks, a shorter one could be none, and the last picture of a file not shown.
            duration: self.duration(buffer).max(self.times.scale().tick()),
            bytes: buffer.size() as u64,
            capture: capture_time::of(buffer).nanos(),
        }
    }

    /// Gives an access unit to the policy. Sets its flags and duration, and appends to `orders` what has
    /// to be done with it, and before.
    fn feed(
        &mut self,
        unit: Unit,
        entry: Option<Entry>,
        visibility: Option<Visibility>,
        orders: &mut Vec<Order>,
    ) -> Result<Verdict, LocationError> {
        for set in &unit.parameter_sets {
            self.formats.put_parameter_set(set);
        }
        if entry.is_some() {
            self.formats.learn_rate(unit.sps_id);
        }
        let facts = self.facts(&unit, entry, visibility);
        self.last_running_time = facts.running_time;
        if !entry.is_some_and(|entry| self.policy.is_keyframe(entry))
            && let Some(distance) = self.distance_beyond_reach(&facts)
        {
            self.too_far.get_or_insert(distance);
            self.policy.break_off();
        }
        let Unit {
            mut buffer,
            idr,
            parameter_sets,
            sps_id,
            pps_ids,
            ..
        } = unit;
        let mut changes = Vec::new();
        let verdict = self.policy.push(&facts, &mut changes);
        if verdict == Verdict::Keep {
            self.release(Some(&buffer), orders);
        }
        let is_begin = |change: &Change| matches!(change, Change::Begin { running_time, .. } if *running_time == facts.running_time);
        let begins_file = entry.is_some() && changes.iter().any(is_begin);
        self.apply(changes, begins_file.then_some((&facts, sps_id)), orders)?;
        if verdict == Verdict::Drop {
            self.dropped += 1;
            return Ok(verdict);
        }
        self.formats.add(&pps_ids, !parameter_sets.is_empty());
        let contents = buffer.make_mut();
        if entry.is_some_and(|entry| self.policy.is_keyframe(entry)) {
            contents.unset_flags(gst::BufferFlags::DELTA_UNIT);
        } else {
            contents.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        let next = Held {
            buffer,
            running_time: facts.running_time,
            duration: facts.duration,
        };
        if begins_file && !idr && entry != Some(Entry::Refresh) {
            self.held = Some(next);
        } else {
            self.push(next, orders);
        }
        self.open_if_known(&facts, orders)?;
        Ok(verdict)
    }

    /// Begins the file that is about to, once all is known for that.
    fn open_if_known(
        &mut self,
        latest: &policy::Unit,
        orders: &mut Vec<Order>,
    ) -> Result<(), LocationError> {
        let Some(opening) = &mut self.opening else {
            return Ok(());
        };
        let frame = self.formats.frame_duration();
        opening.awaits_distance &= frame.is_some_and(|frame| !self.cadence.can_judge(frame));
        if opening.awaits_shown
            && let Some((running_time, capture)) = self.policy.first_shown()
        {
            opening.begin.capture = capture;
            // No later one is shown earlier: PTS are not before DTS.
            opening.awaits_shown = latest.decode_time < running_time;
        }
        if opening.awaits_shown || opening.awaits_distance {
            return Ok(());
        }
        self.open(orders)
    }

    /// Begins the file that is about to.
    fn open(&mut self, orders: &mut Vec<Order>) -> Result<(), LocationError> {
        let Some(mut opening) = self.opening.take() else {
            return Ok(());
        };
        if opening.awaits_shown
            && let Some((_, capture)) = self.policy.first_shown()
        {
            opening.begin.capture = capture;
        }
        let scale = self.choose_timescale();
        self.times.set_scale(scale);
        self.policy.set_max_span(scale.max_time());
        self.formats.fix_configuration();
        let caps = self.announced.next(&self.formats.file_format(), scale);
        orders.extend(caps.map(|caps| Order::Send(gst::event::Caps::new(&caps))));
        orders.extend(self.held_segment.take().map(Order::Send));
        self.begin(&opening.begin, orders)?;
        orders.append(&mut opening.orders);
        Ok(())
    }

    fn begin(&mut self, begin: &Begin, orders: &mut Vec<Order>) -> Result<(), LocationError> {
        let rate = self.formats.frame_rate();
        self.files.begin(begin.index, begin.capture, rate)?;
        if begin.cut {
            orders.push(Order::CutAt(begin.running_time));
        }
        orders.push(Order::Begun {
            running_time: begin.running_time,
            dropped: begin.dropped,
        });
        Ok(())
    }

    /// Returns the ticks in which frames last whole numbers, if the declared rate agrees with the times.
    fn choose_timescale(&self) -> Timescale {
        let rate = self.formats.frame_rate();
        let frame = self.formats.frame_duration();
        let rate = rate.filter(|_| frame.is_some_and(|frame| self.cadence.is_in_frames_of(frame)));
        self.times
            .fixed_scale()
            .unwrap_or_else(|| rate.map_or_else(Timescale::default, Timescale::for_rate))
    }

    /// Pushes the held access unit before `next`.
    fn release(&mut self, next: Option<&gst::Buffer>, orders: &mut Vec<Order>) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        let latest = next.and_then(|next| next.dts()?.checked_sub(held.duration.clock_time()));
        let buffer = held.buffer.make_mut();
        let dts = buffer.dts().max(latest).opt_min(buffer.pts());
        buffer.set_dts(dts);
        self.push(held, orders);
    }

    fn push(&mut self, next: Held, orders: &mut Vec<Order>) {
        let Held {
            mut buffer,
            running_time,
            duration,
        } = next;
        let delay = buffer.pts().opt_saturating_sub(buffer.dts()).nanos();
        let sample = self.times.add(running_time, delay, duration);
        let is_shown_last = self.times.ends_with(running_time.saturating_add(duration));
        if let Some(pts) = buffer.pts().nanos() {
            self.latest = self.latest.max(Some((running_time, pts)));
            self.is_reordered |= buffer.dts().nanos().is_some_and(|dts| dts < pts);
        }
        let contents = buffer.make_mut();
        contents.set_duration(sample.clock_time());
        contents.unset_flags(PART_OF_GROUP);
        let size = contents.size();
        if !contents.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            self.group_bytes = 0;
        } else if self.parts_groups && is_shown_last && self.group_bytes > LONG_GROUP {
            self.group_bytes = 0;
            contents.unset_flags(gst::BufferFlags::DELTA_UNIT);
            contents.set_flags(PART_OF_GROUP);
        }
        self.group_bytes += size;
        self.order(Order::Push(buffer), orders);
    }

    /// Returns whether there was a keyframe, so that there is an episode.
    pub fn has_episodes(&self) -> bool {
        self.began
    }

    /// Returns whether splitmuxsink has got something that a flush would break: an access unit, or the end.
    pub fn is_committed(&self) -> bool {
        self.began || self.has_ended
    }

    /// Returns the number of access units that no episode has, because they could not be decoded.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how long a picture lasts: as the buffer says, or else the declared rate, unless the times
    /// contradict that.
    fn duration(&self, buffer: &gst::BufferRef) -> Nanos {
        let frame = self.formats.frame_duration();
        let is_declared =
            |duration: &Nanos| frame.is_some_and(|frame| duration.absdiff(frame) <= frame / 100);
        let duration = buffer
            .duration()
            .nanos()
            .filter(|duration| !duration.is_zero());
        // A parser makes durations of the declared rate.
        let is_true =
            |duration: &Nanos| !is_declared(duration) || !self.cadence.contradicts(*duration);
        duration
            .or(frame)
            .filter(is_true)
            .or_else(|| self.cadence.frame())
            .or(duration)
            .or(frame)
            .unwrap_or(FRAME)
    }

    /// Returns how far an access unit is from the one before it, if that is longer than the running file can
    /// count.
    fn distance_beyond_reach(&self, unit: &policy::Unit) -> Option<Nanos> {
        // Where groups are known when they are complete, a group that makes the file too long gets its own.
        let group = self.policy.group_start().filter(|_| !self.parts_groups);
        let end = unit.running_time.saturating_add(unit.duration);
        self.times
            .distance_beyond_reach(unit.running_time, unit.decode_time, end, group)
    }

    /// Carries out changes, the last of which is that a file begins with the access unit `first`, if there
    /// is one.
    fn apply(
        &mut self,
        changes: Vec<Change>,
        first: Option<(&policy::Unit, u8)>,
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
                    self.open(orders)?;
                    let dropped = Dropped {
                        count: dropped,
                        distance: self.too_far.take(),
                    };
                    let begin = Begin {
                        cut,
                        index,
                        running_time,
                        capture,
                        dropped,
                    };
                    match first.filter(|(first, _)| first.running_time == running_time) {
                        Some((first, sps_id)) => self.prepare(begin, first, sps_id),
                        // It begins with an earlier group, which has passed.
                        None => self.begin(&begin, orders)?,
                    }
                }
                Change::End(episode) => {
                    self.open(orders)?;
                    self.end(episode);
                }
                Change::PassEntry(mode) => self.order(Order::WarnOfKeyframeMode(mode), orders),
            }
        }
        Ok(())
    }

    /// Prepares a file that begins with the access unit `first`.
    fn prepare(&mut self, begin: Begin, first: &policy::Unit, sps_id: u8) {
        self.formats.begin_file(sps_id);
        let is_rate_unknown =
            self.times.fixed_scale().is_some() || self.formats.frame_rate().is_none();
        let is_hidden = first.visibility != Visibility::Shown;
        self.opening = Some(Opening {
            awaits_shown: is_hidden && first.capture.is_some(),
            awaits_distance: !self.began && !is_rate_unknown,
            begin,
            orders: Vec::new(),
        });
        self.began = true;
        self.times.begin_file();
    }

    /// Ends an episode.
    fn end(&mut self, mut episode: policy::Episode) {
        // The begin of a recovery point is later than upstream. Recovery points begin no earlier group.
        let begins_late = self.parts_groups;
        let configuration = self.formats.later_configuration();
        let description = self
            .times
            .describe(&mut episode, begins_late, configuration);
        self.files.end(episode, description);
    }
}
