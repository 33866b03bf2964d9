// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What the bin does with the stream on its way from pad to file: it lets it in, has the cutter look
//! at it, carries out the cutter's orders, and names the files.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::{fs, io};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::CAT;
use super::children::{Children, NO_FILE};
use super::cutter::{Cutter, Order, Passage};
use super::files::{Files, Finished, Target};
use super::imp::ReductEpisodeSplit;
use super::location::{self, LocationError, Pattern};
use super::policy::{Config, Episode};

impl ReductEpisodeSplit {
    /// The cutter of this run. Nothing may be called while it is locked.
    pub(super) fn cutter(&self) -> MutexGuard<'_, Option<Cutter>> {
        self.cutter.lock().unwrap()
    }

    /// Something of the files of this run.
    fn files<T>(&self, ask: impl FnOnce(&mut Files) -> Option<T>) -> Option<T> {
        ask(&mut self.cutter().as_mut()?.files)
    }

    /// The value of the property `stats`.
    pub(super) fn stats(&self) -> gst::Structure {
        let cutter = self.cutter();
        let cutter = cutter.as_ref();
        let totals = cutter
            .map(|cutter| cutter.files.totals())
            .unwrap_or_default();
        gst::Structure::builder("application/x-reductepisodesplit-stats")
            .field("episodes", totals.episodes)
            .field("frames", totals.frames)
            .field("dropped", cutter.map_or(0, Cutter::dropped))
            .build()
    }

    pub(super) fn children(&self) -> Option<Children> {
        self.children.lock().unwrap().clone()
    }

    pub(super) fn make_children(&self) -> Result<(), gst::ErrorMessage> {
        let children = Children::new()?;
        let obj = self.obj();
        let linked = children.add_to(obj.upcast_ref());
        linked.map_err(|err| gst::error_msg!(gst::CoreError::Failed, ["{err}"]))?;

        let target = children.parser.static_pad("sink");
        if let Err(err) = self.sink_pad.set_target(target.as_ref()) {
            return Err(gst::error_msg!(gst::CoreError::Failed, ["{err}"]));
        }
        self.watch(&children);
        *self.children.lock().unwrap() = Some(children);
        Ok(())
    }

    pub(super) fn remove_children(&self) {
        self.has_run.store(false, Ordering::SeqCst);
        let children = self.children.lock().unwrap().take();
        if let Some(children) = children {
            let _ = self.sink_pad.set_target(None::<&gst::Pad>);
            if let Err(err) = children.remove_from(self.obj().upcast_ref()) {
                gst::warning!(CAT, imp = self, "{err}");
            }
        }
    }

    /// Connects to what the children let pass and ask for.
    fn watch(&self, children: &Children) {
        if let Some(pad) = children.parser.static_pad("sink") {
            let weak = self.downgrade();
            let mask = gst::PadProbeType::BUFFER
                | gst::PadProbeType::BUFFER_LIST
                | gst::PadProbeType::EVENT_FLUSH;
            pad.add_probe(mask, move |pad, info| {
                if let Some(imp) = weak.upgrade() {
                    imp.watch_input(pad, info);
                }
                gst::PadProbeReturn::Ok
            });
        }
        if let Some(pad) = children.parser.static_pad("src") {
            let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
            let weak = self.downgrade();
            pad.add_probe(mask, move |pad, info| match weak.upgrade() {
                Some(imp) => imp.probe(pad, info),
                None => gst::PadProbeReturn::Remove,
            });
        }
        let weak = self.downgrade();
        children
            .splitter
            .connect_closure("format-location-full", false, {
                glib::closure!(move |_: &gst::Element, _index: u32, sample: &gst::Sample| {
                    let imp = weak.upgrade();
                    imp.map_or_else(|| NO_FILE.into(), |imp| imp.file_to_open(sample))
                })
            });
    }

    /// Before h264parse, in the streaming thread.
    fn watch_input(&self, pad: &gst::Pad, info: &gst::PadProbeInfo) {
        if let Some(event) = info.event() {
            if event.type_() == gst::EventType::FlushStop {
                self.flushed();
            }
            return;
        }
        let is_access_unit = has_access_units(pad);
        let mut cutter = self.cutter();
        let Some(cutter) = cutter.as_mut() else {
            return;
        };
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => cutter.enters_parser(buffer, is_access_unit),
            // A list enters as a whole, so that its access units cannot be told from lost ones.
            Some(gst::PadProbeData::BufferList(list)) => {
                list.iter()
                    .for_each(|buffer| cutter.enters_parser(buffer, false));
            }
            _ => {}
        }
    }

    /// What was on its way is gone.
    fn flushed(&self) {
        let has_episodes = self.cutter().as_mut().is_some_and(|cutter| {
            cutter.flush();
            cutter.has_episodes()
        });
        // splitmuxsink throws away whole groups, and would write files without keyframes.
        if has_episodes {
            self.fail(gst::error_msg!(
                gst::StreamError::Mux,
                ("The stream was flushed, as by a seek, in the middle of an episode, which \
                     would lack access units")
            ));
        }
    }

    /// Between h264parse and splitmuxsink, in the streaming thread.
    fn probe(&self, pad: &gst::Pad, info: &mut gst::PadProbeInfo) -> gst::PadProbeReturn {
        let mut orders = Vec::new();
        let passage = match &mut info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => {
                let mut cutter = self.cutter();
                let Some(cutter) = cutter.as_mut() else {
                    return gst::PadProbeReturn::Handled;
                };
                cutter.access_unit(buffer, &mut orders)
            }
            Some(gst::PadProbeData::Event(event)) if event.type_() == gst::EventType::Eos => {
                self.finish(&mut orders).map(|()| Passage::Pass)
            }
            Some(gst::PadProbeData::Event(event)) => {
                let mut cutter = self.cutter();
                Ok(cutter
                    .as_mut()
                    .map_or(Passage::Pass, |cutter| cutter.event(event)))
            }
            _ => Ok(Passage::Pass),
        };
        let passage = match passage {
            Ok(passage) => passage,
            Err(error) => {
                self.fail(self.location_error(&error));
                info.flow_res = Err(gst::FlowError::Error);
                return gst::PadProbeReturn::Handled;
            }
        };
        self.carry_out(orders, pad);
        match passage {
            Passage::Pass => gst::PadProbeReturn::Ok,
            // Not DROP: the pad would send a dropped sticky event again with each buffer.
            Passage::Drop => gst::PadProbeReturn::Handled,
        }
    }

    /// The end of the stream: the last episode is settled, and what nobody got is told.
    fn finish(&self, orders: &mut Vec<Order>) -> Result<(), LocationError> {
        let (dropped, has_episodes) = {
            let mut cutter = self.cutter();
            let Some(cutter) = cutter.as_mut() else {
                return Ok(());
            };
            (cutter.finish(orders)?, cutter.has_episodes())
        };
        if !has_episodes {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                ("No file is written: none of {dropped} access units is an IDR that an episode \
                  could begin with")
            );
        } else if dropped > 0 {
            self.warn_of_dropped(dropped, "the end of the stream");
        }
        Ok(())
    }

    fn carry_out(&self, orders: Vec<Order>, pad: &gst::Pad) {
        for order in orders {
            match order {
                Order::Send(event) => {
                    gst::debug!(CAT, imp = self, "Sending {event:?}");
                    if let Some(peer) = pad.peer() {
                        peer.send_event(event);
                    }
                }
                Order::CutAt(running_time) => {
                    gst::debug!(CAT, imp = self, "Cutting at {running_time}");
                    if let Some(children) = self.children() {
                        let time = running_time.nseconds();
                        children
                            .splitter
                            .emit_by_name::<()>("split-at-running-time", &[&time]);
                    }
                }
                Order::Begun {
                    running_time,
                    dropped,
                } => {
                    if dropped > 0 {
                        self.warn_of_dropped(dropped, "an IDR");
                    }
                    self.request_keyframe_after(running_time, pad);
                }
            }
        }
    }

    fn request_keyframe_after(&self, begin: gst::ClockTime, pad: &gst::Pad) {
        let (requested, limit) = {
            let settings = self.settings.lock().unwrap();
            (settings.send_keyframe_requests, settings.duration)
        };
        let Some(limit) = limit.filter(|_| requested) else {
            return;
        };
        let request = gst_video::UpstreamForceKeyUnitEvent::builder()
            .running_time(begin.saturating_add(limit))
            .all_headers(true)
            .build();
        gst::debug!(CAT, imp = self, "Requesting a keyframe: {request:?}");
        if !pad.send_event(request) {
            gst::debug!(CAT, imp = self, "Nobody upstream makes keyframes");
        }
    }

    /// The file that splitmuxsink asks for, in its output thread.
    fn file_to_open(&self, sample: &gst::Sample) -> String {
        let target = self.files(Files::open);
        match target {
            Some(Target::File(name)) => location::part(&name),
            Some(Target::Nowhere) => NO_FILE.into(),
            // Without a buffer the stream has ended, and splitmuxsink writes a file all the same.
            None => {
                if sample.buffer().is_some() {
                    self.fail(gst::error_msg!(
                        gst::CoreError::Failed,
                        ("splitmuxsink begins a file that no episode belongs to")
                    ));
                }
                NO_FILE.into()
            }
        }
    }

    /// splitmuxsink has closed a file: it gets its name, and `closed`, the message about it, goes
    /// on with that.
    pub(super) fn complete_file(&self, closed: &gst::Message) {
        // It also says so of a file that it could not write to the end.
        if self.has_failed() {
            return;
        }
        let finished = self.files(Files::close);
        let Some(Finished { name, episode }) = finished else {
            return;
        };
        let bytes = match publish(&name) {
            Ok(bytes) => bytes,
            Err(err) => {
                return self.fail(gst::error_msg!(
                    gst::ResourceError::Write,
                    (
                        "Could not rename {} to {name}: {err}",
                        location::part(&name)
                    )
                ));
            }
        };
        gst::info!(CAT, imp = self, "{name} is complete: {episode:?}");
        if let Some(structure) = closed.structure() {
            let mut structure = structure.to_owned();
            structure.set("location", &name);
            self.post(structure, closed.src());
        }
        let obj = self.obj();
        self.post(message(&name, &episode, bytes), Some(obj.upcast_ref()));

        let failure = self.files(Files::take_failure);
        if let Some(error) = failure {
            self.fail(self.location_error(&error));
        }
    }

    fn post(&self, structure: gst::Structure, src: Option<&gst::Object>) {
        let message = gst::message::Element::builder(structure)
            .src_if_some(src)
            .build();
        if let Err(err) = self.obj().post_message(message) {
            gst::debug!(CAT, imp = self, "{err}");
        }
    }

    /// Posts an error, unless there was one: what follows of it is not another cause.
    fn fail(&self, message: gst::ErrorMessage) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            gst::error!(CAT, imp = self, "{message}");
            self.post_error_message(message);
        }
    }

    /// Whether an error only says that h264parse found no access unit: the cutter tells of that,
    /// and it is no error.
    pub(super) fn is_about_nothing(&self, message: &gst::Message, error: &glib::Error) -> bool {
        let is_parser = |own: Children| message.src() == Some(own.parser.upcast_ref());
        let has_episodes = self.cutter().as_ref().is_some_and(Cutter::has_episodes);
        error.matches(gst::StreamError::WrongType)
            && !has_episodes
            && self.children().is_some_and(is_parser)
    }

    /// Whether there was an error in this run.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// What a source upstream gets to know: after an error that was posted here it shall post none
    /// of its own.
    pub(super) fn flow(
        &self,
        result: Result<gst::FlowSuccess, gst::FlowError>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        match result {
            Err(gst::FlowError::Error) if self.has_failed() => Err(gst::FlowError::Flushing),
            result => result,
        }
    }

    fn warn_of_dropped(&self, dropped: u64, before: &str) {
        gst::element_imp_warning!(
            self,
            gst::StreamError::Decode,
            ("{dropped} access units before {before} are dropped: they cannot be decoded, as no \
              IDR precedes them")
        );
    }

    fn location_error(&self, error: &LocationError) -> gst::ErrorMessage {
        let location = self.settings.lock().unwrap().location.clone();
        let why = match error {
            LocationError::BadFormat => {
                "is no file name pattern: it may have one printf form of %d, and other % as %%"
            }
            LocationError::NoCaptureTime => {
                "has a capture time, but the buffers have none (GstReferenceTimestampMeta with the \
                 caps timestamp/x-unix)"
            }
            LocationError::SameName => {
                "gives all episodes one name, and the second would overwrite the first: add %05d \
                 or {start}"
            }
        };
        gst::error_msg!(
            gst::ResourceError::Settings,
            ("The property location '{location}' {why}")
        )
    }

    /// From now on nothing that is in order of the stream enters the bin.
    pub(super) fn close_gate(&self) {
        self.open_gate();
        let mask = gst::PadProbeType::BLOCK
            | gst::PadProbeType::BUFFER
            | gst::PadProbeType::BUFFER_LIST
            | gst::PadProbeType::EVENT_DOWNSTREAM;
        let id = self.sink_pad.add_probe(mask, |_, info| match &info.data {
            Some(gst::PadProbeData::Event(event)) if !event.is_serialized() => {
                gst::PadProbeReturn::Pass
            }
            _ => gst::PadProbeReturn::Ok,
        });
        *self.gate.lock().unwrap() = id;
    }

    pub(super) fn open_gate(&self) {
        let id = self.gate.lock().unwrap().take();
        if let Some(id) = id {
            self.sink_pad.remove_probe(id);
        }
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
            gst::StateChange::ReadyToPaused => {
                self.close_gate();
                children.start_splitter()
            }
            gst::StateChange::PlayingToPaused => {
                self.close_gate();
                Ok(())
            }
            gst::StateChange::PausedToReady | gst::StateChange::ReadyToNull => {
                // On the way down nothing stops the other children.
                if let Err(err) = children.stop_splitter(transition.next()) {
                    gst::warning!(CAT, imp = self, "{err}");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// GstBin forgets EOS in PAUSED. Sinks that were in PAUSED, too, send it again; splitmuxsink was
    /// in PLAYING all along.
    pub(super) fn repeat_eos(&self) {
        let eos = self.eos.lock().unwrap().clone();
        if let Some(eos) = eos {
            self.parent_handle_message(eos);
        }
    }

    /// Prepares a run: checked settings and a cutter without a past.
    pub(super) fn begin_run(&self) -> Result<(), gst::ErrorMessage> {
        self.failed.store(false, Ordering::SeqCst);
        *self.eos.lock().unwrap() = None;
        if self.has_run.swap(false, Ordering::SeqCst) {
            // splitmuxsink keeps something of its last stream in READY.
            self.remove_children();
            self.make_children()?;
        }
        let settings = self.settings.lock().unwrap().clone();
        let pattern =
            Pattern::new(&settings.location).map_err(|error| self.location_error(&error))?;
        if let (Some(children), Some(properties)) =
            (self.children(), settings.muxer_properties.as_ref())
        {
            children.configure_muxer(properties)?;
        }
        let config = Config {
            mode: settings.split_mode,
            duration: settings.duration,
            size: settings.size,
            gap_detection: settings.gap_detection,
        };
        *self.cutter() = Some(Cutter::new(config, pattern));
        Ok(())
    }

    pub(super) fn end_run(&self) {
        self.open_gate();
        self.has_run.store(true, Ordering::SeqCst);
        let open = self.files(|files| files.open_name().map(location::part));
        if let Some(part) = open
            && !self.has_failed()
        {
            gst::element_imp_warning!(
                self,
                gst::ResourceError::Write,
                ("Stopped before the end of the stream: the last episode is incomplete and stays \
                  {part}")
            );
        }
    }
}

/// Whether each buffer that passes `pad` is one access unit.
fn has_access_units(pad: &gst::Pad) -> bool {
    pad.current_caps().is_some_and(|caps| {
        let structure = caps.structure(0);
        structure.is_some_and(|structure| structure.get::<&str>("alignment") == Ok("au"))
    })
}

/// Gives a complete file its name, and tells its size.
fn publish(name: &str) -> io::Result<u64> {
    let part = location::part(name);
    let bytes = fs::metadata(&part)?.len();
    fs::rename(&part, name)?;
    Ok(bytes)
}

fn message(name: &str, episode: &Episode, bytes: u64) -> gst::Structure {
    gst::Structure::builder("reduct-episode")
        .field("index", episode.index)
        .field("location", name)
        .field_if_some("start", episode.capture.map(|time| time.useconds()))
        .field("duration", episode.duration)
        .field("frames", episode.frames)
        .field("dropped", episode.dropped)
        .field("bytes", bytes)
        .field("reason", episode.reason.name())
        .build()
}
