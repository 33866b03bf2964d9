// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! From access units with slots to what the source pushes: gaps, the begin and the end of the range,
//! output order, segments and buffers.

use std::mem;
use std::sync::atomic::Ordering;

use media::codec::h264::{AccessUnit, EntryPoints, Integrity};
use media::range::{Arrival, Exit, TooLate};
use media::stamp::Stamp;
use media::time::{Nanos, utc};
use media::timeline::{Facts, Output, Slot};

use super::super::scope::{End, Step};
use super::{CAT, Pass, Source};
use crate::reductsrc::buffers::{buffer, caps};

impl Pass {
    /// Goes on with what was read, an access unit at a time: a record may have very many. Gives
    /// `false` if there is nothing to go on with.
    pub(super) fn make_steps(&mut self) -> bool {
        self.count();
        if !self.units.is_empty()
            && let Some(slot) = self.timeline.pop()
            && let Some(unit) = self.units.pop_front()
        {
            let begin = self.begins.pop_front();
            let facts = facts(&unit, self.common.entry_points);
            self.learn(&unit, begin.unwrap_or_default());
            self.continuity.push(unit, &facts, slot);
            self.order_all();
        } else if matches!(self.source, Source::Ended) && !self.drained {
            self.drained = true;
            self.continuity.finish();
            self.order_all();
            self.drain();
        } else {
            return false;
        }
        while let Some((unit, stamp)) = self.reorder.pop() {
            match &mut self.exit {
                None => self.push(unit, stamp),
                Some(exit) => {
                    let capture = stamp.capture;
                    for (unit, stamp) in exit.take((unit, stamp), capture) {
                        self.push(unit, stamp);
                    }
                }
            }
        }
        if self.exit.as_ref().is_some_and(Exit::is_complete) {
            self.end_here();
        }
        true
    }

    /// Takes what the continuity puts out.
    fn order_all(&mut self) {
        while let Some(output) = self.continuity.pop() {
            match output {
                Output::Unit {
                    item: mut unit,
                    slot,
                    is_corrupted,
                } => {
                    if is_corrupted {
                        unit.integrity = Integrity::Corrupted;
                    }
                    if self.common.entry_points.include(&unit) {
                        unit.complete_with(&mem::take(&mut self.dropped_sets));
                    }
                    self.order(unit, slot);
                }
                Output::Dropped(unit) => {
                    self.common.stats.dropped.fetch_add(1, Ordering::Relaxed);
                    let mut sets = unit.parameter_sets();
                    sets.fill_from(mem::take(&mut self.dropped_sets));
                    self.dropped_sets = sets;
                }
                // What a condition leaves out is missing on purpose.
                Output::Loss(loss) if self.common.is_filtered => gst::info!(CAT, "{loss}"),
                Output::Loss(loss) if self.is_after_exit(loss.hole.to) => {
                    gst::debug!(CAT, "After the range: {loss}");
                }
                Output::Loss(loss) => self.steps.push_back(Step::Warn(loss.to_string())),
            }
        }
    }

    /// Returns whether a capture time is after the range: what is there is only read to end it right.
    fn is_after_exit(&self, capture: Nanos) -> bool {
        self.exit
            .as_ref()
            .is_some_and(|exit| capture >= exit.until())
    }

    /// Counts what is new of gaps and of access units that are left out.
    pub(super) fn count(&mut self) {
        let gaps = self.continuity.gaps();
        let new = gaps - mem::replace(&mut self.gaps, gaps);
        if !self.exit.as_ref().is_some_and(Exit::is_past) {
            self.common.stats.gaps.fetch_add(new, Ordering::Relaxed);
        }
        if self.scope.is_sought {
            return; // What a seek leaves out is not lost.
        }
        let skipped = self.entrance.skipped();
        let new = skipped - mem::replace(&mut self.skipped, skipped);
        self.common.stats.dropped.fetch_add(new, Ordering::Relaxed);
    }

    /// Warns about access units that are left out because no keyframe precedes them.
    pub(super) fn tell_of_skipped(&mut self, is_open: bool) {
        let skipped = self.entrance.skipped();
        // The begin of a range is the user's choice.
        let is_of_interest = !self.scope.is_sought && (!is_open || self.scope.from.is_none());
        if skipped == 0 || !is_of_interest || mem::replace(&mut self.has_told, true) {
            return;
        }
        let text = match is_open {
            true => format!(
                "{skipped} access units at the beginning are left out: they cannot be decoded, as \
                 no keyframe precedes them"
            ),
            false if self.has_intra => format!(
                "None of {skipped} access units in the range is an IDR picture or has a recovery \
                 point, but some have I slices only. With keyframe-mode=intra the range would begin \
                 with the first of these"
            ),
            false => format!(
                "None of {skipped} access units in the range is a keyframe, so that none of them can \
                 be decoded. With start-mode=keyframe-before the keyframe before the range \
                 is read, too"
            ),
        };
        self.steps.push_back(Step::Warn(text));
    }

    /// Nothing that follows belongs to the reading.
    pub(super) fn end_here(&mut self) {
        self.source = Source::Ended;
        self.drained = true;
        self.units.clear();
        while self.continuity.pop().is_some() {}
        self.exit = None;
    }

    /// Finds the place of an access unit in output order, or drops it if it has none, or no place
    /// in the reading.
    fn order(&mut self, mut unit: AccessUnit, slot: Slot) {
        let is_keyframe = self.common.entry_points.include(&unit);
        let stop = self.scope.stop.map(Nanos::from_useconds);
        match (self.scope.end, stop) {
            (End::Exact | End::Records, Some(stop))
                if self.is_beyond && self.exit.is_none() && slot.record >= stop =>
            {
                self.drain();
                return self.end_here();
            }
            // No keyframe was before the stop.
            (End::Exact, Some(stop)) if slot.capture >= stop && self.entrance.is_waiting() => {
                self.drain();
                return self.end_here();
            }
            (End::Exact, Some(stop)) if slot.capture >= stop && self.exit.is_none() => return,
            (End::Keyframe, Some(stop)) if is_keyframe && slot.record >= stop => {
                self.drain();
                return self.end_here();
            }
            _ => {}
        }
        if self.scope.keyframes_only && !is_keyframe {
            return self.entrance.leave_out(&slot);
        }
        let Some(order) = unit.order else {
            self.common.stats.dropped.fetch_add(1, Ordering::Relaxed);
            return self.entrance.leave_out(&slot);
        };
        let (is_idr, recovery) = (unit.idr, unit.recovery_point);
        let capture = slot.capture;
        if !self.entrance.is_open() {
            self.has_intra |= unit.intra && !is_keyframe;
            let mut sets = unit.parameter_sets();
            if is_keyframe {
                unit.complete_with(&self.left_out);
            }
            sets.fill_from(mem::take(&mut self.left_out));
            self.left_out = sets;
        }
        let bytes = unit.parts.iter().map(|part| part.len()).sum();
        let arrival = Arrival {
            item: unit,
            slot,
            is_keyframe,
            is_clean: is_idr,
            recovery: recovery.unwrap_or_default(),
            count: order.count,
            may_reorder: order.reordering.frames > 0 || !order.reordering.declared,
            bytes,
        };
        let mut entered = Vec::new();
        let taken = self.entrance.take(arrival, &mut entered);
        if let Some(first) = self.entrance.take_first_shown() {
            if self.scope.end == End::Exact && stop.is_some_and(|stop| capture >= stop) {
                // There is no keyframe in the range.
                self.tell_of_skipped(false);
                return self.end_here();
            }
            self.segments.show_from(first);
            self.shown_from = Some(first);
        }
        match taken {
            Ok(()) if entered.is_empty() => {}
            Ok(()) => {
                self.tell_of_skipped(self.entrance.is_open());
                self.enter(entered);
            }
            Err(TooLate) => {
                self.is_too_late = true;
                self.end_here();
            }
        }
    }

    /// Nothing comes any more that could change what is held.
    pub(super) fn drain(&mut self) {
        let mut entered = Vec::new();
        // The whole range has no keyframe where a label says that there is one.
        if self.scope.is_hint && self.entrance.is_waiting() {
            self.is_too_late = true;
            return self.end_here();
        }
        self.entrance.finish(&mut entered);
        self.tell_of_skipped(self.entrance.is_open());
        self.enter(entered);
        self.reorder.end_sequence();
    }

    fn enter(&mut self, entered: Vec<(AccessUnit, Slot)>) {
        for (unit, slot) in entered {
            let Some(order) = unit.order else { continue };
            if unit.after_loss {
                self.reorder.end_sequence();
            }
            self.reordering.note(&order);
            if let Some(exit) = &mut self.exit {
                exit.expect(slot.capture);
                let until = exit.until();
                if self.scope.end == End::Exact && self.reordering.is_likely() {
                    // What others need may be pushed beyond the stop, and is not to be shown.
                    let origin = self.origin().unwrap_or_default();
                    self.segments.show_until(until.saturating_sub(origin));
                }
            }
            let capture = slot.capture;
            let is_corrupted = unit.integrity == Integrity::Corrupted;
            self.reorder.push(unit, order, slot);
            if is_corrupted {
                // The order of pictures after lost ones is no fault of the encoder.
                self.reorder.forget_too_deep();
            }
            if let Some(too_deep) = self.reorder.take_too_deep() {
                let from = utc(capture.useconds());
                self.steps
                    .push_back(Step::Warn(format!("{too_deep}, {from}")));
            }
        }
    }

    /// Keeps in mind where keyframes are.
    fn learn(&mut self, unit: &AccessUnit, time: u64) {
        if unit.order.is_none() {
            // It may be a keyframe, for who has parameter sets.
            self.known = None;
            self.keyframes.clear();
            return;
        }
        let known = self.known.get_or_insert(time..time);
        known.end = time;
        if self.common.entry_points.include(unit) {
            self.keyframes.push(time);
        }
    }

    /// Has these caps in force for what follows.
    pub(super) fn announce(&mut self, caps: gst::Caps) {
        if self.caps.as_ref() != Some(&caps) {
            self.caps = Some(caps.clone());
            self.steps.push_back(Step::Caps(caps));
        }
    }

    fn push(&mut self, unit: AccessUnit, mut stamp: Stamp) {
        self.has_pushed = true;
        if unit.integrity == Integrity::Corrupted {
            self.common.stats.corrupted.fetch_add(1, Ordering::Relaxed);
        }
        // A decoder shows all that lasts into the segment, be it a fraction of a µs.
        if let Some(room) = (self.shown_from).and_then(|from| from.checked_sub(stamp.pts))
            && !room.is_zero()
        {
            stamp.duration = stamp.duration.map(|duration| duration.min(room));
        }
        self.announce(caps(stamp.frame_rate));
        self.steps.extend(stamp.hole.map(Step::Pause));
        if let Some(start) = stamp.segment {
            let segment = self.segments.next(start, stamp.pts);
            self.steps.push_back(Step::Segment(segment));
        }
        let mut buffer = buffer(unit, &stamp);
        if mem::take(&mut self.scope.discont) {
            buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        self.steps.push_back(Step::Push(buffer));
        self.common
            .stats
            .access_units
            .fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns what decides how an access unit follows the one before it.
fn facts(unit: &AccessUnit, entry_points: EntryPoints) -> Facts {
    Facts {
        number: unit.frame_number.filter(|_| unit.order.is_some()),
        order: unit.order,
        is_keyframe: entry_points.include(unit) && unit.order.is_some(),
        recovery_frames: match unit.idr {
            true => 0,
            false => unit.recovery_point.unwrap_or_default(),
        },
        after_loss: unit.after_loss,
    }
}
