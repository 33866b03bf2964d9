// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Data flow of the bin: passes buffers and events of the sink pad to the cutter, and its output to splitmuxsink.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use gst::prelude::*;
use gst::subclass::prelude::*;
use media::cut::names::{self, LocationError, Pattern};
use media::cut::policy::Config;
use media::cut::{Dropped, FileSettings, Files, KeyframeMode};
use media::mp4::Timescale;

use super::children::Children;
use super::element::ReductEpisodeSplit;
use super::run::{Output, Run};
use super::splitmux::{SplitMux, WriteError};
use super::{CAT, SplitMode, address, messages};
use crate::convert::ToNanos;
use crate::lock::lock;

impl ReductEpisodeSplit {
    /// Returns the state of this run. Nothing may be called while it is locked.
    pub(super) fn run(&self) -> MutexGuard<'_, Option<Run>> {
        lock(&self.run)
    }

    /// Applies a function to the files of this run.
    pub(super) fn files<T>(&self, ask: impl FnOnce(&mut Files) -> Option<T>) -> Option<T> {
        ask(&mut self.run().as_mut()?.files)
    }

    /// Returns the value of the property `stats`.
    pub(super) fn stats(&self) -> gst::Structure {
        let uploads = self.uploads();
        let (waiting, retries) = uploads.map_or((0, 0), |uploads| uploads.counts());
        let run = self.run();
        let run = run.as_ref();
        let totals = run.map(|run| run.files.totals()).unwrap_or_default();
        gst::Structure::builder("application/x-reductepisodesplit-stats")
            .field("episodes", totals.episodes)
            .field("frames", totals.frames)
            .field("corrupted", totals.corrupted)
            .field("dropped", run.map_or(0, |run| run.cutter().dropped()))
            .field("waiting", waiting)
            .field("retries", retries)
            .build()
    }

    pub(super) fn children(&self) -> Option<Children> {
        lock(&self.children).clone()
    }

    pub(super) fn make_children(&self) -> Result<(), gst::ErrorMessage> {
        let children = Children::new()?;
        let obj = self.obj();
        let added = children.add_to(obj.upcast_ref());
        added.map_err(|err| gst::error_msg!(gst::CoreError::Failed, ["{err}"]))?;

        if let Err(err) = self.sink_pad.set_target(Some(&children.input)) {
            return Err(gst::error_msg!(gst::CoreError::Failed, ["{err}"]));
        }
        self.name_files_of(&children);
        *lock(&self.children) = Some(children);
        Ok(())
    }

    pub(super) fn remove_children(&self) {
        self.has_run.store(false, Ordering::SeqCst);
        let children = lock(&self.children).take();
        if let Some(children) = children {
            let _ = self.sink_pad.set_target(None::<&gst::Pad>);
            if let Err(err) = children.remove_from(self.obj().upcast_ref()) {
                gst::warning!(CAT, imp = self, "{err}");
            }
        }
    }

    /// Handles a buffer of the sink pad.
    pub(super) fn take_buffer(
        &self,
        pad: &gst::GhostPad,
        buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        drop(self.wait_at_gate().map_err(|_| gst::FlowError::Flushing)?);
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

    /// Passes something to the cutter, and its output to splitmuxsink. The run is not locked meanwhile.
    fn cut(
        &self,
        pad: &gst::GhostPad,
        pass: impl FnOnce(&mut Run, &mut Vec<Output>),
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut outputs = Vec::new();
        match (self.wait_at_gate())
            .map_err(|_| gst::FlowError::Flushing)?
            .as_mut()
        {
            Some(run) => pass(run, &mut outputs),
            None => return Err(gst::FlowError::Flushing),
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

    pub(super) fn post(&self, structure: gst::Structure, src: Option<&gst::Object>) {
        let message = gst::message::Element::builder(structure)
            .src_if_some(src)
            .build();
        if let Err(err) = self.obj().post_message(message) {
            gst::debug!(CAT, imp = self, "{err}");
        }
    }

    /// Posts an error, unless there was one before, whose consequence it may be. Returns whether it was posted.
    pub(super) fn fail(&self, message: gst::ErrorMessage) -> bool {
        let is_first = self.begin_to_fail();
        if is_first {
            gst::error!(CAT, imp = self, "{message}");
            self.post_error_message(message);
        }
        is_first
    }

    /// Marks the run as failed. Returns whether it was not before.
    pub(super) fn begin_to_fail(&self) -> bool {
        let is_first = !self.failed.swap(true, Ordering::SeqCst);
        if let Some(uploads) = self.uploads() {
            uploads.give_up();
        }
        self.give_up_publishing();
        is_first
    }

    /// Returns whether there was an error in this run.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    pub(super) fn location_error(&self, error: &LocationError) -> gst::ErrorMessage {
        let location = lock(&self.settings).location.clone();
        if address::is_address(&location) && *error == LocationError::NoCaptureTime {
            return gst::error_msg!(
                gst::ResourceError::Settings,
                ("An episode cannot become a record of {location}: the time of a record is the \
                  capture time, and the buffers have none (GstReferenceTimestampMeta with the caps \
                  timestamp/x-unix)")
            );
        }
        let why = match error {
            LocationError::BadFormat => {
                "is no file name pattern: it may have one printf form of %d, and other % as %%"
            }
            LocationError::NoCaptureTime => {
                "has a capture time, but the buffers have none (GstReferenceTimestampMeta with the \
                 caps timestamp/x-unix)"
            }
            LocationError::SameName => {
                "gives two episodes one name, and the second would overwrite the first: add %05d"
            }
        };
        gst::error_msg!(
            gst::ResourceError::Settings,
            ("The property location '{location}' {why}")
        )
    }

    /// Sets the state of splitmuxsink, which is locked, before that of the other children.
    pub(super) fn change_splitter_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<(), gst::StateChangeError> {
        let Some(children) = self.children() else {
            return Ok(());
        };
        match transition {
            gst::StateChange::ReadyToPaused => children.start_splitter(),
            gst::StateChange::PausedToReady | gst::StateChange::ReadyToNull => {
                // On the way down, an error does not keep the other children from stopping.
                if let Err(err) = children.stop_splitter(transition.next()) {
                    gst::warning!(CAT, imp = self, "{err}");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Forwards EOS of splitmuxsink, after all files and records.
    pub(super) fn pass_eos(&self, message: gst::Message) {
        *lock(&self.eos) = Some(message.clone());
        self.parent_handle_message(message);
    }

    /// Repeats EOS in PLAYING: GstBin drops it in PAUSED and expects sinks to post it again, but splitmuxsink stays
    /// in PLAYING.
    pub(super) fn repeat_eos(&self) {
        let eos = lock(&self.eos).clone();
        if let Some(eos) = eos {
            self.parent_handle_message(eos);
        }
    }

    /// Prepares a run: checks the settings and makes its state.
    pub(super) fn begin_run(&self) -> Result<(), gst::ErrorMessage> {
        self.failed.store(false, Ordering::SeqCst);
        self.has_shown_hidden.store(false, Ordering::SeqCst);
        *lock(&self.eos) = None;
        if self.has_run.swap(false, Ordering::SeqCst) {
            // splitmuxsink 1.22 keeps state of its last stream in READY.
            self.remove_children();
            self.make_children()?;
        }
        let settings = lock(&self.settings).clone();
        if media::cut::KeyframeMode::from(settings.keyframe_mode) != KeyframeMode::Idr
            && settings.split_mode == SplitMode::AtMost
        {
            // Whether a group begins an episode is known at its end, when its pictures to be dropped have been
            // pushed.
            return Err(gst::error_msg!(
                gst::ResourceError::Settings,
                (
                    "keyframe-mode={} does not go with split-mode=at-most",
                    messages::keyframe_mode(settings.keyframe_mode.into()).1
                )
            ));
        }
        if let (Some(children), Some(properties)) =
            (self.children(), settings.muxer_properties.as_ref())
        {
            children.configure_muxer(properties)?;
        }
        let config = Config {
            mode: settings.split_mode.into(),
            keyframes: settings.keyframe_mode.into(),
            duration: settings.duration.nanos(),
            size: settings.size,
            gap_detection: settings.gap_detection,
        };
        let pattern = match address::is_address(&settings.location) {
            true => self.begin_uploads(&settings.location)?,
            false => {
                let pattern = Pattern::new(&settings.location);
                let pattern = pattern.map_err(|error| self.location_error(&error))?;
                self.begin_publishing()?;
                pattern
            }
        };
        let timescale = settings.muxer_properties.as_ref().and_then(|properties| {
            let units = properties.value("trak-timescale").ok()?;
            let units = match units.get::<&str>() {
                Ok(text) => text.parse().ok()?,
                Err(_) => units.transform::<u32>().ok()?.get::<u32>().ok()?,
            };
            Timescale::new(units)
        });
        let files = FileSettings {
            timescale,
            header: self
                .children()
                .map_or_else(Default::default, |it| it.header()),
        };
        *self.run() = Some(Run::new(config, pattern, files));
        Ok(())
    }

    pub(super) fn end_run(&self) {
        self.has_run.store(true, Ordering::SeqCst);
        *lock(&self.part) = None;
        self.end_publishing();
        let open = self.files(|files| files.open_name().map(names::part));
        let is_uploaded = self.uploads().is_some();
        let rest = self.end_uploads(open.as_deref());
        let incomplete = match open.filter(|_| !self.has_failed()) {
            Some(_) if is_uploaded => Some("the last episode is incomplete and lost".to_owned()),
            Some(part) => Some(format!("the last episode is incomplete and stays {part}")),
            None => None,
        };
        let text = match (incomplete, rest) {
            (None, None) => return,
            (None, Some(rest)) => rest,
            (Some(incomplete), None) => {
                format!("Stopped before the end of the stream: {incomplete}")
            }
            (Some(incomplete), Some(rest)) => {
                format!("Stopped before the end of the stream: {incomplete}. {rest}")
            }
        };
        gst::element_imp_warning!(self, gst::ResourceError::Write, ("{text}"));
    }
}
