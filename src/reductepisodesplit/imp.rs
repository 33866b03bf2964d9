// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Virtual methods of `reductepisodesplit`: properties, states, events, queries and messages.

/**
 * SECTION:element-reductepisodesplit
 * @see_also: reductsrc, splitmuxsink
 *
 * Writes an H.264 stream as MP4 files, the episodes. Each begins with a keyframe and decodes on its
 * own. The stream may come as byte stream or with lengths (`avc`, `avc3`), in access units or any
 * other number of whole NAL units; the two fields of a frame become one sample.
 *
 * An episode ends at the limits (properties `duration` and `size`, at a keyframe as `split-mode`
 * has it), at a gap (a buffer with the flag DISCONT), where the format of the stream changes, and
 * at the end of the stream. Access units before the first keyframe of the stream, and after a gap
 * before the next keyframe, are dropped and counted: no decoder could use them.
 *
 * Keyframes are IDR pictures. With `keyframe-mode=recovery-point` an episode can also begin with a
 * picture that has a recovery point (ITU-T H.264, D.2.8), as in streams with open groups of pictures
 * or intra refresh. Pictures that are shown before it and decoded after it need what precedes it;
 * they are dropped and counted. The pictures of an intra refresh are not correct for as many frames as
 * the stream says: the episode has them for the decoder, hidden, and the episode before it shows them.
 * `keyframe-mode=intra` also accepts pictures that have only I slices.
 *
 * A picture is shown if it begins within the segment, whatever its duration. Pictures outside of it that a
 * decoder needs are in the file and hidden by an edit list (ISO/IEC 14496-12, 8.6.6). A fragmented file
 * has no room for an edit list and shows them.
 *
 * Times in files are those of the buffers, to 25 µs: the time scale is a multiple of the frame rate's
 * numerator, at least 20 000, or 90 000 where no rate is known or the times contradict it. A file ends
 * before its times exceed 32 bits (13 hours of 90 000 ticks a second); a longer group of pictures is
 * written with 64 bits. The last frame lasts as long as its buffer, or else as the declared rate or the
 * other frames say, a single one of unknown rate 40 ms.
 *
 * Parameter sets are another format where pictures are decoded or shown in another way. Other timing or
 * HRD parameters, another level, an id or a declared frame rate that changes, and sets that no slice
 * refers to, end no episode; the file has all sets, and the highest level, in its
 * `AVCDecoderConfigurationRecord`.
 *
 * With `location=reduct://host:8383/bucket/entry` (`reducts://` with TLS; parameters `ca-cert`,
 * `verify-ssl`, `timeout`, `retries`, `base-path`) each episode becomes a record of a ReductStore
 * entry: content type `video/mp4`, time of the record = capture time of the first picture shown, labels
 * `fps` (if it is known), `duration` (in nanoseconds), `frames` and `reason`. Its file is written to a
 * temporary folder and streamed from there, beside the stream; when more than four files wait, the
 * stream does, too. EOS follows the last record. Transient errors are retried, with a warning. An existing
 * record of the same time, type and length counts as the episode. Complete files that cannot be
 * uploaded stay in the folder, and the error, or a warning when the element stops, names them. The API token is best given by the environment variable
 * `REDUCT_API_TOKEN`.
 *
 * With `index=parquet` each file `NAME` has an index of its frames beside it, `NAME.parquet`: a row of each
 * frame that is shown, in order of presentation, with the columns `segment_idx` (0), `local_frame_idx`
 * (from 0), `pts` (in the time base of the track, after the edit list), `timestamp` (in seconds since the
 * first frame), `capture_us` (since the Unix epoch; null where buffers have no
 * #GstReferenceTimestampMeta), `keyframe`, `offset` and `size` of the sample in the file, and `duration`
 * until the next frame. Its metadata has `time_base`, `codec`, `width`, `height` and `source`. It is
 * written after its episode; where that fails, the episode stays, and a warning says so. Records have no
 * index.
 *
 * A file is called `NAME.part` until it is complete: a thread syncs and renames files beside the stream, in
 * order, and EOS comes after the last one. Pipelines that are stopped before the end of
 * the stream leave such a file; with `gst-launch-1.0 -e` an interrupted stream ends properly.
 *
 * After each episode, in a file that is complete or a record that the server has acknowledged, there is
 * an element message `reduct-episode` with the fields
 *
 * * `index` (guint): number of the episode, from 0
 * * `location` (string): name of the file, or address of the record as `reductsrc` takes it:
 *   `reduct://host:8383/bucket/entry?start=1749803453273752&stop=1749803453273753`
 * * `start` (guint64): capture time of the first picture shown, in µs since the Unix epoch; only if the
 *   buffers have a #GstReferenceTimestampMeta with the caps `timestamp/x-unix`
 * * `duration` (GstClockTime): presentation duration
 * * `frames` (guint64): access units that are shown
 * * `hidden` (guint64): access units besides these that only a decoder needs
 * * `corrupted` (guint64): access units among both that are damaged or refer to missing pictures
 *   (buffers with the flag CORRUPTED)
 * * `dropped` (guint64): access units that were dropped before the first frame, in output order
 * * `bytes` (guint64): size of the file
 * * `frame-index` (string): name of the file of its index; only if there is one
 * * `reason` (string): why it ended: `duration`, `size`, `gap`, `format`, `length` (the
 *   longest time that 32 bits count) or `eos`
 *
 * The messages of splitmuxsink pass, too: `splitmuxsink-fragment-opened` with the name of the file
 * that is written, `splitmuxsink-fragment-closed` with its final name (with that of the temporary file
 * if it becomes a record). As with splitmuxsink, a
 * synchronous handler of these messages must not call into it.
 *
 * Behind a demuxer or a tee the bin needs a queue, as any sink does: it lets nothing in before
 * PLAYING. A seek at the bin, or at a pipeline with it, goes upstream if it flushes, plays forward at rate
 * 1.0 and comes before the first episode has begun, as in PAUSED; the export begins there. Any other is
 * refused, and the export continues. A flush that comes from upstream after the first episode has begun, as of
 * a seek at the source, is an error.
 *
 * ## Example launch line
 *
 * ```shell
 * gst-launch-1.0 -e videotestsrc ! x264enc ! reductepisodesplit duration=60000000000
 * ```
 */
use std::sync::LazyLock;

use client::Token;
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::address;
use super::children::NO_FILE;
use super::element::ReductEpisodeSplit;
use super::gate::Gate;
use super::settings::DEFAULT_LOCATION;
use super::{CAT, IndexFormat, KeyframeMode, SplitMode};
use crate::lock::lock;

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
            sink_pad: gst::GhostPad::builder_from_template(&template)
                .chain_function(|pad, parent, buffer| {
                    Self::catch_panic_pad_function(
                        parent,
                        || Err(gst::FlowError::Error),
                        |imp| imp.take_buffer(pad, buffer),
                    )
                })
                .chain_list_function(|pad, parent, list| {
                    Self::catch_panic_pad_function(
                        parent,
                        || Err(gst::FlowError::Error),
                        |imp| {
                            let mut buffers = list.iter_owned();
                            buffers.try_fold(gst::FlowSuccess::Ok, |_, buffer| {
                                imp.take_buffer(pad, buffer)
                            })
                        },
                    )
                })
                .event_full_function(|pad, parent, event| {
                    Self::catch_panic_pad_function(
                        parent,
                        || Err(gst::FlowError::Error),
                        |imp| imp.take_event(pad, event),
                    )
                })
                .query_function(|pad, parent, query| {
                    Self::catch_panic_pad_function(parent, || false, |imp| imp.answer(pad, query))
                })
                .build(),
            settings: Default::default(),
            children: Default::default(),
            run: Default::default(),
            gate_changed: Default::default(),
            uploads: Default::default(),
            publishing: Default::default(),
            part: Default::default(),
            eos: Default::default(),
            failed: Default::default(),
            has_shown_hidden: Default::default(),
            has_run: Default::default(),
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
                glib::ParamSpecEnum::builder_with_default("keyframe-mode", KeyframeMode::default())
                    .nick("Keyframe mode")
                    .blurb("Which access units an episode can begin with")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("gap-detection")
                    .nick("Gap detection")
                    .blurb(
                        "End an episode where the stream is discontinuous (DISCONT). If false, the file \
                         continues, and the hole takes no time in it, as none in running time",
                    )
                    .default_value(true)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("location")
                    .nick("Location")
                    .blurb(
                        "Pattern of file names: one printf form of %d for the index, {start} for \
                         the capture time (20250613T083053.273752Z), {start-us} for the same in \
                         µs since the Unix epoch. Or the address of a ReductStore entry, in which \
                         each episode becomes a record: reduct://host:8383/bucket/entry, reducts:// \
                         with TLS; parameters: ca-cert, verify-ssl, timeout, retries, base-path",
                    )
                    .default_value(DEFAULT_LOCATION)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("index", IndexFormat::default())
                    .nick("Index")
                    .blurb(
                        "Index of the frames beside each file: parquet writes NAME.parquet, with a row of \
                         each frame, its times, and the place of its sample",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("api-token")
                    .nick("API token")
                    .blurb(
                        "API token of the server that location is the address of; cannot be read \
                         back (environment: REDUCT_API_TOKEN, preferred, as command lines can be \
                         seen by others)",
                    )
                    .write_only()
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
                    .blurb("The splitmuxsink inside, for inspection only (null in state NULL)")
                    .read_only()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb(
                        "Counts of this run: episodes (complete, as files or records), frames \
                         (access units in them), corrupted (those that are damaged or refer to \
                         missing pictures), dropped (access units that cannot be decoded), \
                         waiting (complete files that wait for their upload), retries (uploads that \
                         are tried again); all uint64",
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
        let mut settings = lock(&self.settings);
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
            "keyframe-mode" => settings.keyframe_mode = value.get().expect("type checked upstream"),
            "gap-detection" => settings.gap_detection = value.get().expect("type checked upstream"),
            "location" => {
                let location: Option<String> = value.get().expect("type checked upstream");
                // The property can be read and is in dot files.
                settings.location =
                    location.map_or_else(|| DEFAULT_LOCATION.into(), |text| address::shown(&text));
            }
            "index" => settings.index = value.get().expect("type checked upstream"),
            "api-token" => {
                settings.api_token = Token::new(value.get().expect("type checked upstream"));
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
            "stats" => return self.stats().to_value(),
            _ => {}
        }
        let settings = lock(&self.settings);
        match pspec.name() {
            "duration" => settings.duration.unwrap_or_default().nseconds().to_value(),
            "size" => settings.size.unwrap_or_default().to_value(),
            "split-mode" => settings.split_mode.to_value(),
            "keyframe-mode" => settings.keyframe_mode.to_value(),
            "gap-detection" => settings.gap_detection.to_value(),
            "location" => settings.location.to_value(),
            "index" => settings.index.to_value(),
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
                "Writes H.264 as MP4 files or ReductStore records that begin at keyframes and end \
                 at limits and gaps",
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
        let prepared = match transition {
            gst::StateChange::NullToReady => self.make_children(),
            gst::StateChange::ReadyToPaused => self.begin_run(),
            _ => Ok(()),
        };
        prepared.map_err(|message| {
            self.post_error_message(message);
            gst::StateChangeError
        })?;
        match transition {
            gst::StateChange::PlayingToPaused => self.set_gate(Gate::Closed),
            // The pad waits for the stream.
            gst::StateChange::PausedToReady => self.set_gate(Gate::Stopped),
            _ => {}
        }
        if transition == gst::StateChange::PausedToReady {
            // Whoever waits for an upload is a thread that splitmuxsink or the pad waits for.
            self.stop_uploads();
            self.give_up_publishing();
        }
        let changed = self
            .change_splitter_state(transition)
            .and_then(|()| self.parent_change_state(transition));
        match transition {
            gst::StateChange::ReadyToPaused if changed.is_err() => self.end_run(),
            gst::StateChange::PausedToPlaying => {
                self.set_gate(Gate::Open);
                self.repeat_eos();
            }
            gst::StateChange::PausedToReady => self.end_run(),
            gst::StateChange::ReadyToNull => self.remove_children(),
            _ => {}
        }
        changed
    }

    fn send_event(&self, event: gst::Event) -> bool {
        match event.type_() {
            gst::EventType::Seek => self.seek(event),
            // Frames that the sink of a file steps over would be missing in it.
            gst::EventType::Step => {
                gst::info!(CAT, imp = self, "No step: files have all frames");
                false
            }
            // Flushes come with the stream. GstBin would let its pad wait for the stream, or flush only
            // the elements behind it.
            gst::EventType::FlushStart | gst::EventType::FlushStop => {
                gst::info!(CAT, imp = self, "No flush but that of the stream");
                false
            }
            // It would wait for the stream, with the state lock that ends this wait.
            _ if event.is_serialized() && event.is_downstream() => {
                if !self.sink_pad.is_active() {
                    return false;
                }
                self.obj().call_async(move |bin| {
                    bin.imp().sink_pad.send_event(event);
                });
                true
            }
            _ => self.parent_send_event(event),
        }
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        match query.type_() {
            gst::QueryType::Seeking => self.answer_seeking(query),
            _ => ElementImplExt::parent_query(self, query),
        }
    }
}

impl BinImpl for ReductEpisodeSplit {
    fn handle_message(&self, message: gst::Message) {
        match message.view() {
            // splitmuxsink waits for its first file on its own.
            gst::MessageView::AsyncStart(_) | gst::MessageView::AsyncDone(_) => {}
            gst::MessageView::Eos(_) => self.take_eos(message),
            gst::MessageView::Element(element) => {
                let structure = element.structure();
                let location =
                    structure.and_then(|structure| structure.get::<&str>("location").ok());
                match structure.map(|structure| structure.name().as_str()) {
                    Some(name)
                        if name.starts_with("splitmuxsink-") && location == Some(NO_FILE) => {}
                    Some("splitmuxsink-fragment-opened") => self.tell_of_opened(&message),
                    Some("splitmuxsink-fragment-closed") => self.take_closed(&message),
                    _ => self.parent_handle_message(message),
                }
            }
            gst::MessageView::Error(error) => {
                if self.begin_to_fail() {
                    let message = self.with_file_name(message.clone());
                    self.parent_handle_message(message);
                } else {
                    gst::debug!(CAT, imp = self, "Follows of an error: {}", error.error());
                }
            }
            _ => self.parent_handle_message(message),
        }
    }
}
