// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Seeks and flushes at the bin, and the wait of the stream for them.
//!
//! The stream enters while the bin plays, and not during a seek or a flush.
//!
//! The bin handles seeks itself: GstBin would send them to the inner filesink, where they block (GStreamer 1.22).
//!
//! A seek that flushes goes upstream before the first episode has begun, and the export begins where it
//! leads. All others are refused: the flushed buffers would be missing in the middle of a file, and a seek
//! without a flush can wait for as long as the stream does.

use std::sync::{MutexGuard, PoisonError};

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::CAT;
use super::element::ReductEpisodeSplit;
use super::gate::{Entry, Flushing, Gate};
use super::run::Run;

/// Returns the reason to refuse a seek, or `None`.
fn refusal(event: &gst::EventRef) -> Option<&'static str> {
    let gst::EventView::Seek(seek) = event.view() else {
        return Some("it is no seek event");
    };
    let (rate, flags, ..) = seek.get();
    let trick = gst::SeekFlags::TRICKMODE
        | gst::SeekFlags::TRICKMODE_KEY_UNITS
        | gst::SeekFlags::TRICKMODE_FORWARD_PREDICTED
        | gst::SeekFlags::INSTANT_RATE_CHANGE;
    if !flags.contains(gst::SeekFlags::FLUSH) {
        Some("it does not flush")
    } else if flags.contains(gst::SeekFlags::SEGMENT) {
        Some("its segment would end without EOS, and leave the last file open")
    } else if rate != 1.0 || flags.intersects(trick) {
        Some("files have the times and the frames of the recording")
    } else {
        None
    }
}

impl ReductEpisodeSplit {
    /// Forwards a seek upstream, or refuses it without a flush.
    pub(super) fn seek(&self, event: gst::Event) -> bool {
        let refusal = refusal(&event).or_else(|| {
            if self.has_failed() {
                return Some("there was an error");
            }
            match self.run().as_mut() {
                None => Some("the element is stopped"),
                Some(run) if run.cutter().is_committed() => {
                    Some("an episode has begun, or the stream has ended")
                }
                Some(run) => {
                    run.entry.seeks += 1;
                    None
                }
            }
        });
        if let Some(refusal) = refusal {
            gst::info!(CAT, imp = self, "No seek, as {refusal}: {event:?}");
            return false;
        }
        let done = self.sink_pad.push_event(event);
        self.change_entry(|entry| entry.seeks = entry.seeks.saturating_sub(1));
        done
    }

    /// Opens or closes the gate.
    pub(super) fn set_gate(&self, gate: Gate) {
        self.change_entry(|entry| entry.gate = gate);
    }

    /// Notes the begin or the end of a flush of the pad.
    pub(super) fn note_flush(&self, is_flushing: bool) {
        self.change_entry(|entry| {
            entry.is_flushing = is_flushing;
            entry.flushes += u64::from(is_flushing);
        });
    }

    fn change_entry(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(run) = self.run().as_mut() {
            change(&mut run.entry);
        }
        self.gate_changed.notify_all();
    }

    /// Waits until the stream may enter. Seeks have to be complete: a buffer before the flush could begin an episode
    /// that the flush would break.
    pub(super) fn wait_at_gate(&self) -> Result<MutexGuard<'_, Option<Run>>, Flushing> {
        let mut run = self.run();
        let flushes = run.as_ref().map(|run| run.entry.flushes);
        loop {
            let entry = run.as_ref().map(|run| &run.entry);
            match entry {
                Some(entry) if Some(entry.flushes) == flushes && !entry.is_flushing => {
                    match entry.gate {
                        Gate::Stopped => return Err(Flushing),
                        Gate::Open if entry.seeks == 0 => return Ok(run),
                        Gate::Open | Gate::Closed => {}
                    }
                }
                _ => return Err(Flushing),
            }
            run = (self.gate_changed.wait(run)).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Answers a seeking query.
    pub(super) fn answer_seeking(&self, query: &mut gst::QueryRef) -> bool {
        let may_seek = (self.run().as_ref()).is_some_and(|run| !run.cutter().is_committed());
        if may_seek && !self.has_failed() {
            return self.sink_pad.peer_query(query);
        }
        let gst::QueryViewMut::Seeking(seeking) = query.view_mut() else {
            return false;
        };
        let none = gst::GenericFormattedValue::new(seeking.format(), -1);
        seeking.set(false, none, none);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seek(rate: f64, flags: gst::SeekFlags) -> gst::Event {
        gst::init().unwrap();
        let (set, none) = (gst::SeekType::Set, gst::SeekType::None);
        let zero = gst::ClockTime::ZERO;
        gst::event::Seek::new(rate, flags, set, zero, none, gst::ClockTime::NONE)
    }

    #[test]
    fn only_plain_flushing_seeks_pass() {
        let flush = gst::SeekFlags::FLUSH;
        for flags in [
            flush,
            flush | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_AFTER,
        ] {
            assert_eq!(refusal(&seek(1.0, flags)), None, "{flags:?}");
        }
        for (rate, flags) in [
            (1.0, gst::SeekFlags::empty()),
            (1.0, gst::SeekFlags::KEY_UNIT),
            (1.0, flush | gst::SeekFlags::SEGMENT),
            (1.0, flush | gst::SeekFlags::TRICKMODE_KEY_UNITS),
            (2.0, flush),
            (-1.0, flush),
        ] {
            assert!(refusal(&seek(rate, flags)).is_some(), "{rate} {flags:?}");
        }
        assert!(refusal(&gst::event::FlushStart::new()).is_some());
    }
}
