// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Makes frames of access units with slots: the begin and the end of a range, output order, and times.

use std::mem;

use super::config::StreamConfig;
use super::frame::Frame;
use super::item::StreamItem;
use super::range::StreamRange;
use super::results::Results;
use super::segment::Segment;
use crate::access_unit::{AccessUnit, Integrity};
use crate::codec::h264::ParameterSets;
use crate::frame_rate::FrameRate;
use crate::order::ReorderDepth;
use crate::range::{Begin, Candidate, End, ReorderingWatch, StartFilter, StartMissed, StopFilter};
use crate::stamp::{Stamp, Stamper};
use crate::time::{CaptureTime, Nanos};
use crate::timeline::Slot;

/// Part of the recording that records are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The range.
    Range,
    /// Records after the stop of the range, which decide about its last frames.
    Beyond,
}

/// Consequence of an access unit for its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The range continues.
    Continue,
    /// No access unit that follows belongs to the range.
    End,
    /// The range should have begun earlier. It ends without a frame.
    StartMissed,
}

/// Frames of a range.
#[derive(Debug)]
pub struct RangeFrames {
    config: StreamConfig,
    range: StreamRange,
    start: StartFilter<AccessUnit>,
    /// Parameter sets of the access units that were left out before the first frame.
    left_out: ParameterSets,
    /// Intra pictures were left out, as they are no keyframes.
    has_intra: bool,
    /// A warning about access units that were left out was put out.
    is_skip_reported: bool,
    /// Access units that were left out, as far as they are counted.
    skipped: u64,
    /// Those that have no place in output order, before it is known that the range begins early enough.
    unordered: u64,
    reorder: Stamper<AccessUnit>,
    /// `None` for a range without a stop, and as soon as nothing that follows belongs to the range.
    stop: Option<StopFilter<(AccessUnit, Stamp)>>,
    reordering: ReorderingWatch,
    /// No picture has been decoded right since the last one that decoding can begin with.
    is_after_entry: bool,
    /// PTS of the first picture that is shown of an exact range.
    shown_from: Option<Nanos>,
    /// First time in the timeline that is not shown.
    shown_until: Option<Nanos>,
    /// Frame rate that was put out last.
    frame_rate: Option<Option<FrameRate>>,
    has_frame: bool,
    /// The time of the last frame is not certain.
    is_uncertain: bool,
    /// No access unit follows.
    has_finished: bool,
}

impl RangeFrames {
    /// Returns the frames of a range in which the reordering is as deep as known so far.
    pub fn new(config: StreamConfig, range: StreamRange, depth: ReorderDepth) -> Self {
        let at = range.at - range.origin.unwrap_or(range.at);
        let until = match range.end {
            End::Exact if !range.keyframes_only => range.stop,
            End::Shown => {
                let origin = range.origin.unwrap_or_default();
                range.until.map(|until| origin + until)
            }
            _ => None,
        };
        Self {
            start: StartFilter::new(range.begin, at, range.is_earliest, config.max_held),
            left_out: ParameterSets::default(),
            has_intra: false,
            is_skip_reported: false,
            skipped: 0,
            unordered: 0,
            reorder: Stamper::new(depth),
            stop: until.map(StopFilter::new),
            reordering: ReorderingWatch::default(),
            is_after_entry: false,
            shown_from: None,
            shown_until: None,
            frame_rate: None,
            has_frame: false,
            is_uncertain: false,
            has_finished: false,
            config,
            range,
        }
    }

    /// Adds an access unit, unless it has no place in output order or in the range.
    pub fn push(
        &mut self,
        mut unit: AccessUnit,
        slot: Slot,
        part: Part,
        origin: Option<CaptureTime>,
        results: &mut Results,
    ) -> Flow {
        let is_keyframe = self.config.options.entry_points.include(&unit);
        let stop = self.range.stop;
        match (self.range.end, stop) {
            (End::Exact | End::Records, Some(stop))
                if part == Part::Beyond && self.stop.is_none() && slot.record >= stop =>
            {
                return self.end(origin, results);
            }
            // No keyframe was before the stop.
            (End::Exact, Some(stop)) if slot.capture >= stop && self.start.is_waiting() => {
                return match self.start.is_missed() {
                    true => Flow::StartMissed,
                    false => self.end(origin, results),
                };
            }
            (End::Exact, Some(stop)) if slot.capture >= stop && self.stop.is_none() => {
                return Flow::Continue;
            }
            (End::Keyframe, Some(stop)) if is_keyframe && slot.record >= stop => {
                return self.end(origin, results);
            }
            _ => {}
        }
        if self.range.keyframes_only && !is_keyframe {
            self.start.leave_out(&slot);
            return Flow::Continue;
        }
        let Some((order, number)) = unit.order.zip(unit.frame_number) else {
            self.count_unordered(&slot, results);
            self.start.leave_out(&slot);
            return Flow::Continue;
        };
        let (is_idr, recovery) = (unit.idr, unit.recovery_point);
        let capture = slot.capture;
        if !self.start.is_open() {
            self.has_intra |= unit.intra && !is_keyframe;
            let mut sets = unit.parameter_sets();
            if is_keyframe {
                unit.complete_with(&self.left_out);
            }
            sets.fill_from(mem::take(&mut self.left_out));
            self.left_out = sets;
        }
        let bytes = unit.parts.iter().map(|part| part.len()).sum();
        let arrival = Candidate {
            item: unit,
            slot,
            is_keyframe,
            is_clean: is_idr,
            recovery: recovery.unwrap_or_default(),
            number,
            order,
            may_reorder: order.reordering.frames > 0 || !order.reordering.declared,
            bytes,
        };
        let mut entered = Vec::new();
        let taken = self.start.take(arrival, &mut entered);
        if let Some(first) = self.start.take_first_shown() {
            if self.range.end == End::Exact && stop.is_some_and(|stop| capture >= stop) {
                // There is no keyframe in the range.
                self.report_skipped(false, results);
                return Flow::End;
            }
            self.shown_from = Some(first);
        }
        match taken {
            Ok(()) if entered.is_empty() => Flow::Continue,
            Ok(()) => {
                self.report_skipped(self.start.is_open(), results);
                self.enter(entered, origin, results);
                Flow::Continue
            }
            Err(StartMissed) => Flow::StartMissed,
        }
    }

    /// Ends an exact range at a gap after its stop: what follows is shown after the gap.
    pub fn end_at_gap(&mut self, origin: Option<CaptureTime>, results: &mut Results) -> Flow {
        match self.range.end {
            End::Exact if self.start.is_open() => self.end(origin, results),
            _ => Flow::Continue,
        }
    }

    /// Decides about all access units that are held, as none follows.
    pub fn finish(&mut self, origin: Option<CaptureTime>, results: &mut Results) -> Flow {
        // The whole range has no keyframe where a label says that there is one.
        if self.range.is_hint && self.start.is_waiting() {
            return Flow::StartMissed;
        }
        let mut entered = Vec::new();
        self.start.finish(&mut entered);
        self.report_skipped(self.start.is_open(), results);
        self.enter(entered, origin, results);
        self.has_finished = true;
        self.reorder.end_sequence();
        Flow::Continue
    }

    /// Appends the frames that have their times. Returns whether all that belong to the range were put out.
    pub fn pop_all(&mut self, results: &mut Results) -> bool {
        while let Some((unit, stamp)) = self.reorder.pop() {
            let ready = match &mut self.stop {
                None => vec![(unit, stamp)],
                Some(stop) => {
                    let capture = stamp.capture;
                    stop.take((unit, stamp), capture)
                }
            };
            for (unit, stamp) in ready {
                self.put_out(unit, stamp, results);
            }
        }
        self.stop.as_ref().is_some_and(StopFilter::is_complete)
    }

    /// Puts out all frames that follow: the range has ended.
    pub fn forget_stop(&mut self) {
        self.stop = None;
    }

    /// Returns whether pictures that are shown before the stop may come after it in decoding order.
    pub fn may_continue(&self) -> bool {
        self.stop.is_some() && self.reordering.may_be_open(self.config.is_prompt)
    }

    /// Returns whether a capture time is after the range. Records there are read to end it right.
    pub fn is_after_stop(&self, capture: CaptureTime) -> bool {
        self.stop
            .as_ref()
            .is_some_and(|stop| capture >= stop.until())
    }

    /// Returns whether there was a slot after the stop.
    pub fn is_past_stop(&self) -> bool {
        self.stop.as_ref().is_some_and(StopFilter::is_past)
    }

    /// Returns the reordering of the stream, as far as it is known.
    pub fn depth(&self) -> ReorderDepth {
        self.reorder.depth()
    }

    /// Returns whether frames were put out, or a warning that there are none.
    pub fn are_explained(&self) -> bool {
        self.has_frame || self.is_skip_reported
    }

    /// Counts the access units that were left out since the last call.
    pub fn count_skipped(&mut self, results: &mut Results) {
        if self.range.is_sought {
            return; // Access units before the time that is sought are not lost.
        }
        let skipped = self.start.skipped();
        let new = skipped - mem::replace(&mut self.skipped, skipped);
        results.counts.dropped += new;
        results.counts.undecodable += new;
    }

    /// Counts an access unit of the range that has no place in output order.
    fn count_unordered(&mut self, slot: &Slot, results: &mut Results) {
        let range = &self.range;
        let is_before = range.begin == Begin::Exact && slot.capture < range.at;
        let is_behind =
            range.end == End::Exact && range.stop.is_some_and(|stop| slot.capture >= stop);
        match self.start.is_open() {
            _ if is_before || is_behind => {}
            true => results.counts.dropped += 1,
            false => self.unordered += 1,
        }
    }

    fn end(&mut self, origin: Option<CaptureTime>, results: &mut Results) -> Flow {
        match self.finish(origin, results) {
            Flow::StartMissed => Flow::StartMissed,
            Flow::Continue | Flow::End => Flow::End,
        }
    }

    /// Counts the access units without a place in output order, and warns about those that are left out because no
    /// keyframe precedes them.
    fn report_skipped(&mut self, is_open: bool, results: &mut Results) {
        let unordered = mem::take(&mut self.unordered);
        results.counts.dropped += unordered;
        results.counts.undecodable += unordered;
        let skipped = self.start.skipped();
        // The begin of a range is the user's choice, but an exact one has all frames from it on.
        let is_whole = self.range.from.is_none() || self.range.begin == Begin::Exact;
        let is_of_interest = !self.range.is_sought && (!is_open || is_whole);
        if skipped == 0 || !is_of_interest || mem::replace(&mut self.is_skip_reported, true) {
            return;
        }
        let names = &self.config.options.names;
        let advise = |option: Option<&str>, effect: &str| {
            option
                .map(|option| format!(". With {option} {effect}"))
                .unwrap_or_default()
        };
        let text = match is_open {
            true => format!(
                "{skipped} access units at the beginning are left out: they cannot be decoded, as \
                 no keyframe precedes them"
            ),
            false if self.has_intra => format!(
                "None of {skipped} access units in the range is an IDR picture or has a recovery \
                 point, but some have I slices only{}",
                advise(
                    names.intra_pictures,
                    "the range would begin with the first of these"
                )
            ),
            false => format!(
                "None of {skipped} access units in the range is a keyframe, so that none of them can \
                 be decoded{}",
                advise(
                    names.keyframe_before,
                    "the keyframe before the range is read, too"
                )
            ),
        };
        results.warn(text);
    }

    /// Passes access units of the range to the reordering.
    fn enter(
        &mut self,
        entered: Vec<(AccessUnit, Slot)>,
        origin: Option<CaptureTime>,
        results: &mut Results,
    ) {
        for (unit, slot) in entered {
            let Some(order) = unit.order else { continue };
            if unit.after_loss {
                self.reorder.end_sequence();
            }
            if unit.integrity == Integrity::Corrupted {
                self.reorder.note_loss_before(&order, &slot);
            }
            self.reordering.note(&order);
            if let Some(stop) = &mut self.stop {
                stop.expect(slot.capture);
                if self.range.end == End::Exact && self.reordering.is_likely() {
                    // Pictures that others refer to may be put out beyond the stop, and are not to be shown.
                    let until = stop.until() - origin.unwrap_or_default();
                    self.shown_until = Some(until);
                }
            }
            let capture = slot.capture;
            let is_corrupted = unit.integrity == Integrity::Corrupted;
            self.is_after_entry = order.follows_all_before() || self.is_after_entry && is_corrupted;
            self.reorder.push(unit, order, slot);
            if is_corrupted && !self.is_after_entry {
                // The order of pictures after lost ones is no fault of the encoder.
                self.reorder.forget_too_deep();
            }
            if let Some(too_deep) = self.reorder.take_too_deep() {
                results.warn(format!("{too_deep}, {capture}"));
            }
        }
    }

    fn put_out(&mut self, unit: AccessUnit, mut stamp: Stamp, results: &mut Results) {
        // Between keyframes all pictures are left out on purpose.
        stamp.is_uncertain &= !self.range.keyframes_only;
        if unit.integrity == Integrity::Corrupted || stamp.is_uncertain {
            results.counts.corrupted += 1;
        }
        // A decoder shows every picture that lasts into the segment, be it a fraction of a µs.
        if let Some(room) = (self.shown_from).and_then(|from| from.checked_sub(stamp.pts))
            && !room.is_zero()
        {
            stamp.duration = stamp.duration.map(|duration| duration.min(room));
        }
        let frame_rate = stamp.frame_rate;
        let items = &mut results.items;
        if self.frame_rate.replace(frame_rate) != Some(frame_rate) {
            items.push_back(StreamItem::FrameRate(frame_rate));
        }
        items.extend(stamp.hole.map(StreamItem::Pause));
        items.extend(stamp.segment.map(|start| {
            StreamItem::Segment(Segment {
                start,
                first: stamp.pts,
                shown_from: self.shown_from,
                shown_until: self.shown_until,
            })
        }));
        let is_keyframe = self.config.options.entry_points.include(&unit);
        let is_hidden = self.shown_from.is_some_and(|from| stamp.pts < from)
            || self.shown_until.is_some_and(|until| stamp.pts >= until);
        let was_uncertain = mem::replace(&mut self.is_uncertain, stamp.is_uncertain);
        let is_new = stamp.is_uncertain && !was_uncertain;
        // At the end of the records, pictures may still follow. Others are left out on purpose, or were reported.
        if is_new
            && !is_hidden
            && !self.has_finished
            && !self.config.is_filtered
            && unit.integrity != Integrity::Corrupted
        {
            let corrupted = self.config.options.names.timeline.corrupted;
            let text = format!(
                "Pictures are missing before {}, by the picture order count: it is not known which of the times from \
                 there on are those of the missing ones. Frames that may have them are kept, {corrupted}",
                stamp.capture
            );
            items.push_back(StreamItem::Warning(text));
        }
        items.push_back(StreamItem::Frame(Frame {
            is_keyframe,
            is_hidden,
            begins_range: !mem::replace(&mut self.has_frame, true),
            ..Frame::new(unit, &stamp)
        }));
        results.counts.access_units += 1;
        results.memory.is_of_use = true;
    }
}
