// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Sink pad of the bin: passes buffers and events to the cutter, and its output to splitmuxsink.

use gst::prelude::*;
use gst::subclass::prelude::*;
use media::cut::Dropped;

use super::element::ReductEpisodeSplit;
use super::messages;
use super::run::{Outputs, Run};
use super::splitmux::{SplitMux, WriteError};
use crate::lock::lock;

impl ReductEpisodeSplit {
    /// Handles a buffer of the sink pad.
    pub(super) fn take_buffer(
        &self,
        pad: &gst::GhostPad,
        buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        drop(self.wait_at_gate().map_err(|_| gst::FlowError::Flushing)?);
        if self.has_ended() {
            return Err(gst::FlowError::Eos);
        }
        self.wait_for_room()?;
        // No file would have buffers after an error.
        if self.has_failed() {
            return Err(gst::FlowError::Flushing);
        }
        let flow = self.cut(pad, |run, outputs| run.buffer(buffer, outputs));
        self.flow_after_errors(flow)
    }

    /// Handles an event of the sink pad. Events that do not enter return FLUSHING: a refused CAPS event would make
    /// the source post an error of its own.
    pub(super) fn take_event(
        &self,
        pad: &gst::GhostPad,
        event: gst::Event,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        match event.view() {
            gst::EventView::FlushStart(_) => {
                self.refuse_flush();
                self.note_flush(true);
            }
            gst::EventView::FlushStop(_) => {
                self.note_flush(false);
                // Buffers inside the bin are dropped by the flush.
                if let Some(run) = self.run().as_mut() {
                    run.flush();
                }
                // After an error the streaming threads stay stopped.
                if self.refuse_flush() {
                    return Ok(gst::FlowSuccess::Ok);
                }
            }
            _ if event.is_serialized() && self.wait_at_gate().is_err() => {
                return Err(gst::FlowError::Flushing);
            }
            // An application may send EOS before the stream begins. splitmuxsink takes no stream after EOS: the
            // pipeline would never end (1.22).
            view if event.is_serialized() && self.has_ended() => {
                return match view {
                    gst::EventView::Eos(_) => Ok(gst::FlowSuccess::Ok),
                    _ => Err(gst::FlowError::Eos),
                };
            }
            gst::EventView::Eos(_) => {
                let finished = self.finish(pad);
                if finished.is_err() && self.has_failed() {
                    return Err(gst::FlowError::Flushing);
                }
            }
            _ if event.is_serialized() => {
                if event.type_() == gst::EventType::StreamStart {
                    self.let_muxer_queue(pad);
                }
                if let gst::EventView::Segment(segment) = event.view()
                    && segment.segment().rate() <= 0.0
                {
                    self.fail(gst::error_msg!(
                        gst::StreamError::Mux,
                        ("The stream is played backwards, and a file has its frames in order. Seek \
                          with a rate above 0")
                    ));
                    return Err(gst::FlowError::Flushing);
                }
                let flow = self.cut(pad, |run, outputs| run.event(&event, outputs));
                return self.flow_after_errors(flow);
            }
            _ => {}
        }
        match gst::Pad::event_default(pad, Some(&*self.obj()), event) {
            true => Ok(gst::FlowSuccess::Ok),
            false => self.flow_after_errors(Err(gst::FlowError::Error)),
        }
    }

    /// Returns the flow for upstream: after an error that was posted here, a source posts none of its own.
    fn flow_after_errors(
        &self,
        flow: Result<gst::FlowSuccess, gst::FlowError>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        match flow {
            Err(gst::FlowError::Error) if self.has_failed() => Err(gst::FlowError::Flushing),
            flow => flow,
        }
    }

    /// Returns whether the stream has ended.
    fn has_ended(&self) -> bool {
        (self.run().as_ref()).is_some_and(|run| run.cutter().has_ended())
    }

    /// Answers a query of the sink pad. splitmuxsink would answer with the format behind the cutter.
    pub(super) fn answer(&self, pad: &gst::GhostPad, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Caps(query) => {
                let caps = pad.pad_template_caps();
                let caps = match query.filter() {
                    Some(filter) => {
                        filter.intersect_with_mode(&caps, gst::CapsIntersectMode::First)
                    }
                    None => caps,
                };
                query.set_result(&caps);
                true
            }
            gst::QueryViewMut::AcceptCaps(query) => {
                let accepted = query.caps().is_subset(&pad.pad_template_caps());
                query.set_result(accepted);
                true
            }
            _ => gst::Pad::query_default(pad, Some(&*self.obj()), query),
        }
    }

    /// Passes something to the cutter, and its output to splitmuxsink, while the run is not locked.
    fn cut(
        &self,
        pad: &gst::GhostPad,
        pass: impl FnOnce(&mut Run, &mut Outputs),
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut outputs = Outputs::new();
        {
            let mut run = (self.wait_at_gate()).map_err(|_| gst::FlowError::Flushing)?;
            let run = run.as_mut().ok_or(gst::FlowError::Flushing)?;
            pass(run, &mut outputs);
            run.note_captures(&outputs);
        }
        self.flow_of(SplitMux::new(self, pad).carry_out(outputs))
    }

    /// Returns the flow after something was written, and posts an error that splitmuxsink does not post.
    fn flow_of(&self, written: Result<(), WriteError>) -> Result<gst::FlowSuccess, gst::FlowError> {
        match written {
            Ok(()) => Ok(gst::FlowSuccess::Ok),
            Err(WriteError::Flow(error)) => Err(error),
            Err(WriteError::Name(error)) => {
                self.fail(self.location_error(&error));
                Err(gst::FlowError::Error)
            }
        }
    }

    /// Allows the muxer a queue, except for a live stream, to whose latency it would add.
    fn let_muxer_queue(&self, pad: &gst::GhostPad) {
        let mut latency = gst::query::Latency::new();
        // A source that cannot answer yet may be live.
        let is_live = !pad.peer_query(&mut latency) || latency.result().0;
        let properties = lock(&self.settings).muxer_properties.clone();
        let is_set = properties.is_some_and(|properties| properties.has_field("latency"));
        if let Some(children) = self.children()
            && !is_set
        {
            children.let_muxer_queue(!is_live);
        }
    }

    /// Posts an error for a flush after an episode has begun, or after the end: splitmuxsink drops whole groups,
    /// and would write files without keyframes. Returns whether it did.
    fn refuse_flush(&self) -> bool {
        let is_committed = (self.run().as_ref()).is_some_and(|run| run.cutter().is_committed());
        if is_committed {
            self.fail(gst::error_msg!(
                gst::StreamError::Mux,
                ("The stream was flushed, as by a seek, after its first episode had begun, or after \
                  its end: files would lack access units")
            ));
        }
        is_committed
    }

    /// Ends the stream: completes the last episode, and warns about dropped access units.
    fn finish(&self, pad: &gst::GhostPad) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut dropped = Dropped::default();
        self.cut(pad, |run, outputs| dropped = run.finish(outputs))?;
        let flow = self.flow_of(SplitMux::new(self, pad).complete_groups())?;
        let (has_episodes, has_dropped) = (self.run().as_ref()).map_or((false, false), |run| {
            (run.cutter().has_episodes(), run.cutter().dropped() > 0)
        });
        if !has_episodes && dropped.count == 0 && !has_dropped {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                ("No file is written: no access unit came")
            );
        } else if !has_episodes {
            let hint = self.hint();
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                (
                    "No file is written: none of {} access units is a keyframe that an episode \
                     could begin with{hint}",
                    dropped.count
                )
            );
        } else if dropped.count > 0 {
            let text = messages::dropped(dropped, "the end of the stream");
            gst::element_imp_warning!(self, gst::StreamError::Decode, ("{text}"));
        }
        Ok(flow)
    }

    /// Returns a sentence with the keyframe mode in which a stream without keyframes would have some.
    fn hint(&self) -> String {
        let mode = (self.run().as_ref()).and_then(|run| run.cutter().helpful_mode());
        mode.map_or_else(String::new, |mode| {
            let (entries, mode) = messages::keyframe_mode(mode);
            format!(". The stream has {entries}: with keyframe-mode={mode} episodes begin there")
        })
    }
}
