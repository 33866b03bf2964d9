// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

/**
 * SECTION:element-reductepisodesplit
 * @see_also: reductsrc, splitmuxsink
 *
 * Writes an H.264 stream as MP4 files, the episodes. Each begins with an IDR picture and decodes on
 * its own.
 *
 * An episode ends at the limits (properties `duration` and `size`, at a keyframe as `split-mode`
 * has it), at a gap (a buffer with the flag DISCONT), where the format of the stream changes, and
 * at the end of the stream. Access units before the first IDR of the stream, and after a gap before
 * the next IDR, are dropped and counted: no decoder could use them.
 *
 * A file is called `NAME.part` until it is complete. Pipelines that are stopped before the end of
 * the stream leave such a file; with `gst-launch-1.0 -e` an interrupted stream ends properly.
 *
 * After each episode there is an element message `reduct-episode` with the fields
 *
 * * `index` (guint): number of the episode, from 0
 * * `location` (string): name of the file, complete by now
 * * `start` (guint64): capture time of the first frame in µs since the Unix epoch; only if the
 *   buffers have a #GstReferenceTimestampMeta with the caps `timestamp/x-unix`
 * * `duration` (GstClockTime): from the first frame to the end of the last one
 * * `frames` (guint64): access units in the file
 * * `dropped` (guint64): access units that were dropped before the first frame
 * * `bytes` (guint64): size of the file
 * * `reason` (string): why it ended: `duration`, `size`, `gap`, `format` or `eos`
 *
 * The messages of splitmuxsink pass, too: `splitmuxsink-fragment-opened` with the name of the file
 * that is written, `splitmuxsink-fragment-closed` with its final name.
 *
 * ## Example launch line
 *
 * ```shell
 * gst-launch-1.0 -e videotestsrc ! x264enc ! reductepisodesplit duration=60000000000
 * ```
 */
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::{fs, io};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::children::{Children, NO_FILE};
use super::cutter::{Cutter, Finished, Order, Passage};
use super::location::{self, LocationError, Pattern};
use super::policy::{Config, Episode};
use super::{CAT, SplitMode};

const DEFAULT_LOCATION: &str = "episode_%05d.mp4";

#[derive(Debug, Clone)]
struct Settings {
    duration: Option<gst::ClockTime>,
    size: Option<u64>,
    split_mode: SplitMode,
    gap_detection: bool,
    location: String,
    muxer_properties: Option<gst::Structure>,
    send_keyframe_requests: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            duration: None,
            size: None,
            split_mode: SplitMode::default(),
            gap_detection: true,
            location: DEFAULT_LOCATION.into(),
            muxer_properties: None,
            send_keyframe_requests: false,
        }
    }
}

/// No two of the mutexes are ever held at once.
pub struct ReductEpisodeSplit {
    sink_pad: gst::GhostPad,
    /// Closed in PAUSED: splitmuxsink itself is always in PLAYING.
    gate: Mutex<Option<gst::PadProbeId>>,
    settings: Mutex<Settings>,
    children: Mutex<Option<Children>>,
    cutter: Mutex<Option<Cutter>>,
}

impl ReductEpisodeSplit {
    /// The cutter of this run. Nothing may be called while it is locked.
    fn cutter(&self) -> MutexGuard<'_, Option<Cutter>> {
        self.cutter.lock().unwrap()
    }

    fn children(&self) -> Option<Children> {
        self.children.lock().unwrap().clone()
    }

    fn make_children(&self) -> Result<(), gst::ErrorMessage> {
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

    fn remove_children(&self) {
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
            let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
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
                self.post_location_error(&error);
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
        let name = self.cutter().as_mut().and_then(|cutter| {
            let name = cutter.open_file();
            name.map(location::part)
        });
        // Without a buffer the stream has ended, and splitmuxsink writes a file all the same.
        if name.is_none() && sample.buffer().is_some() {
            gst::element_imp_error!(
                self,
                gst::CoreError::Failed,
                ("splitmuxsink begins a file that no episode belongs to")
            );
        }
        name.unwrap_or_else(|| NO_FILE.into())
    }

    /// splitmuxsink has closed a file. Gives its final name, and the message to post after it.
    fn complete_file(&self) -> Option<(String, gst::Structure)> {
        let finished = self.cutter().as_mut().and_then(Cutter::close_file)?;
        let Finished { name, episode } = finished;
        let bytes = match publish(&name) {
            Ok(bytes) => bytes,
            Err(err) => {
                gst::element_imp_error!(
                    self,
                    gst::ResourceError::Write,
                    (
                        "Could not rename {} to {name}: {err}",
                        location::part(&name)
                    )
                );
                return None;
            }
        };
        gst::info!(CAT, imp = self, "{name} is complete: {episode:?}");
        let message = message(&name, &episode, bytes);
        Some((name, message))
    }

    fn warn_of_dropped(&self, dropped: u64, before: &str) {
        gst::element_imp_warning!(
            self,
            gst::StreamError::Decode,
            ("{dropped} access units before {before} are dropped: they cannot be decoded, as no \
              IDR precedes them")
        );
    }

    fn post_location_error(&self, error: &LocationError) {
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
        gst::element_imp_error!(
            self,
            gst::ResourceError::Settings,
            ("The property location '{location}' {why}")
        );
    }

    /// From now on nothing that is in order of the stream enters the bin.
    fn close_gate(&self) {
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

    fn open_gate(&self) {
        let id = self.gate.lock().unwrap().take();
        if let Some(id) = id {
            self.sink_pad.remove_probe(id);
        }
    }

    /// Prepares a run: checked settings and a cutter without a past.
    fn begin_run(&self) -> Result<(), ()> {
        let settings = self.settings.lock().unwrap().clone();
        let pattern =
            Pattern::new(&settings.location).map_err(|error| self.post_location_error(&error))?;
        if let (Some(children), Some(properties)) =
            (self.children(), settings.muxer_properties.as_ref())
        {
            children
                .configure_muxer(properties)
                .map_err(|message| self.post_error_message(message))?;
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

    fn end_run(&self) {
        let open = self
            .cutter()
            .as_ref()
            .and_then(Cutter::open_name)
            .map(location::part);
        if let Some(part) = open {
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

#[glib::object_subclass]
impl ObjectSubclass for ReductEpisodeSplit {
    const NAME: &'static str = "GstReductEpisodeSplit";
    type Type = super::ReductEpisodeSplit;
    type ParentType = gst::Bin;

    fn with_class(class: &Self::Class) -> Self {
        let template = class.pad_template("sink");
        // Always there: `pad_templates` has it.
        let template = template.expect("pad template of the class");
        Self {
            sink_pad: gst::GhostPad::from_template(&template),
            gate: Default::default(),
            settings: Default::default(),
            children: Default::default(),
            cutter: Default::default(),
        }
    }
}

impl ObjectImpl for ReductEpisodeSplit {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecUInt64::builder("duration")
                    .nick("Duration")
                    .blurb("Limit on the duration of an episode, in nanoseconds (0 = none)")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("size")
                    .nick("Size")
                    .blurb(
                        "Limit on the size of an episode, in bytes (0 = none). Headers of the file \
                         are estimated",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("split-mode", SplitMode::default())
                    .nick("Split mode")
                    .blurb("Which keyframe ends an episode at a limit")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("gap-detection")
                    .nick("Gap detection")
                    .blurb("End an episode where the stream is discontinuous (DISCONT)")
                    .default_value(true)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("location")
                    .nick("Location")
                    .blurb(
                        "Pattern of file names: one printf form of %d for the index, {start} for \
                         the capture time (20250613T083053.273752Z), {start-us} for the same in \
                         µs since the Unix epoch",
                    )
                    .default_value(DEFAULT_LOCATION)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("muxer-properties")
                    .nick("Muxer properties")
                    .blurb(
                        "Properties for mp4mux, such as \"properties,fragment-duration=1000\" \
                         for fragmented files",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("send-keyframe-requests")
                    .nick("Send keyframe requests")
                    .blurb(
                        "Ask an encoder upstream for a keyframe where the duration of an episode \
                         reaches its limit",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecObject::builder::<gst::Element>("splitmuxsink")
                    .nick("splitmuxsink")
                    .blurb("The splitmuxsink inside (null in state NULL), to look at")
                    .read_only()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb(
                        "Counts of this run: episodes (complete files), frames (access units in \
                         them), dropped (access units before an IDR); all uint64",
                    )
                    .read_only()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let obj = self.obj();
        if obj.current_state().max(obj.pending_state()) > gst::State::Ready {
            let name = pspec.name();
            gst::warning!(CAT, imp = self, "{name} can only be set in NULL and READY");
            return;
        }
        let mut settings = self.settings.lock().unwrap();
        match pspec.name() {
            "duration" => {
                let nseconds: u64 = value.get().expect("type checked upstream");
                let limit = gst::ClockTime::try_from(nseconds).unwrap_or(gst::ClockTime::MAX);
                settings.duration = Some(limit).filter(|limit| !limit.is_zero());
            }
            "size" => {
                let size: u64 = value.get().expect("type checked upstream");
                settings.size = Some(size).filter(|size| *size > 0);
            }
            "split-mode" => settings.split_mode = value.get().expect("type checked upstream"),
            "gap-detection" => settings.gap_detection = value.get().expect("type checked upstream"),
            "location" => {
                let location: Option<String> = value.get().expect("type checked upstream");
                settings.location = location.unwrap_or_else(|| DEFAULT_LOCATION.into());
            }
            "muxer-properties" => {
                settings.muxer_properties = value.get().expect("type checked upstream");
            }
            "send-keyframe-requests" => {
                settings.send_keyframe_requests = value.get().expect("type checked upstream");
            }
            _ => unimplemented!(),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "splitmuxsink" => return self.children().map(|own| own.splitter).to_value(),
            "stats" => {
                let totals = self.cutter().as_ref().map(Cutter::totals);
                return totals.unwrap_or_default().structure().to_value();
            }
            _ => {}
        }
        let settings = self.settings.lock().unwrap();
        match pspec.name() {
            "duration" => settings.duration.unwrap_or_default().nseconds().to_value(),
            "size" => settings.size.unwrap_or_default().to_value(),
            "split-mode" => settings.split_mode.to_value(),
            "gap-detection" => settings.gap_detection.to_value(),
            "location" => settings.location.to_value(),
            "muxer-properties" => settings.muxer_properties.to_value(),
            "send-keyframe-requests" => settings.send_keyframe_requests.to_value(),
            _ => unimplemented!(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();

        let obj = self.obj();
        // The children are made later, and the pipeline has to know of a sink before.
        obj.set_suppressed_flags(gst::ElementFlags::SINK | gst::ElementFlags::SOURCE);
        obj.set_element_flags(gst::ElementFlags::SINK);
        if let Err(err) = obj.add_pad(&self.sink_pad) {
            gst::error!(CAT, imp = self, "{err}");
        }
    }
}

impl GstObjectImpl for ReductEpisodeSplit {}

impl ElementImpl for ReductEpisodeSplit {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Episode splitter",
                "Sink/Muxer/Video/File",
                "Writes H.264 as MP4 files that begin at keyframes and end at limits and gaps",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let template = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &gst::Caps::new_empty_simple("video/x-h264"),
            );
            template.into_iter().collect()
        });
        TEMPLATES.as_ref()
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let children = self.children();
        match transition {
            gst::StateChange::NullToReady => self.make_children().map_err(|message| {
                self.post_error_message(message);
                gst::StateChangeError
            })?,
            gst::StateChange::ReadyToPaused => {
                self.begin_run().map_err(|()| gst::StateChangeError)?;
                self.close_gate();
                if let Some(children) = children {
                    children.start_splitter()?;
                }
            }
            gst::StateChange::PlayingToPaused => self.close_gate(),
            gst::StateChange::PausedToReady | gst::StateChange::ReadyToNull => {
                if let Some(children) = children {
                    children.stop_splitter(transition.next())?;
                }
            }
            _ => {}
        }
        let success = self.parent_change_state(transition)?;
        match transition {
            gst::StateChange::PausedToPlaying => self.open_gate(),
            gst::StateChange::PausedToReady => {
                self.open_gate();
                self.end_run();
            }
            gst::StateChange::ReadyToNull => self.remove_children(),
            _ => {}
        }
        Ok(success)
    }
}

impl BinImpl for ReductEpisodeSplit {
    fn handle_message(&self, message: gst::Message) {
        let structure = message.structure().map(|structure| structure.to_owned());
        match (message.view(), structure) {
            // splitmuxsink waits for its first file on its own.
            (gst::MessageView::AsyncStart(_) | gst::MessageView::AsyncDone(_), _) => {}
            (gst::MessageView::Element(_), Some(mut structure))
                if structure.name().starts_with("splitmuxsink-fragment-") =>
            {
                if structure.get::<&str>("location") == Ok(NO_FILE) {
                    return;
                }
                if structure.name() != "splitmuxsink-fragment-closed" {
                    return self.parent_handle_message(message);
                }
                let Some((name, episode)) = self.complete_file() else {
                    return;
                };
                structure.set("location", name);
                let mut closed = gst::message::Element::builder(structure);
                if let Some(src) = message.src() {
                    closed = closed.src(src);
                }
                self.parent_handle_message(closed.build());
                let obj = self.obj();
                let message = gst::message::Element::builder(episode).src(&*obj).build();
                if let Err(err) = obj.post_message(message) {
                    gst::debug!(CAT, imp = self, "{err}");
                }
            }
            // Access units without parameter sets: the cutter tells that there is no episode.
            (gst::MessageView::Error(error), _)
                if error.error().matches(gst::StreamError::WrongType)
                    && self
                        .children()
                        .is_some_and(|own| message.src() == Some(own.parser.upcast_ref()))
                    && self
                        .cutter()
                        .as_ref()
                        .is_some_and(|cutter| !cutter.has_episodes()) =>
            {
                gst::info!(CAT, imp = self, "{:?}", error.error());
            }
            _ => self.parent_handle_message(message),
        }
    }
}
