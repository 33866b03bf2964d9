// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Virtual methods of `reductsrc`: properties, states, queries, seeks and the creation of buffers.

/**
 * SECTION:element-reductsrc
 * @see_also: reductepisodesplit
 *
 * Reads H.264 records of an entry of a ReductStore bucket and pushes them as access units, in the
 * order of their times; or MP4 files, the episodes.
 *
 * Records have the content type `video/h264` and hold whole NAL units in Annex B format: one
 * access unit, a group of pictures, or any other number of them. The time of a record is the
 * capture time of its first picture. PTS counts from the first record, or from the property
 * `start` if that is set; the capture time itself is in a #GstReferenceTimestampMeta with the caps
 * `timestamp/x-unix`.
 *
 * A buffer is one frame, with both fields if it has two. Record times are in decoding order: the
 * i-th frame of a record has the slot i frames after the record's time, and the k-th frame of a coded
 * video sequence in output order (by its picture order count, ITU-T H.264, 8.2.1) is shown in the
 * sequence's k-th slot. DTS always grows and is never after PTS.
 *
 * Records of other types are left out, counted and warned of (`on-error`). An entry whose first record
 * of use is `video/mp4` holds episodes, as `reductepisodesplit` writes them. Each
 * is pushed as one list of buffers that are the file, with the caps `video/quicktime, variant=iso`.
 * The first buffer has DISCONT, the time of the record as capture time and, as the others, its place
 * in the file as offset. A demuxer directly behind the source plays several episodes one after another
 * (each begins with a stream-start event of the same stream, and a TIME segment that has what the
 * file's edit list shows); other elements may be behind the demuxer, not before it. Such an entry
 * cannot be sought in.
 *
 * A range has the frames with start ≤ capture time < stop, in whole µs. It begins with its first
 * keyframe, or as `start-mode` says, and ends as `stop-mode` says; `keyframe-mode` says which pictures are
 * keyframes. The label `keyframe` of a record is a hint: its content decides. A range without a frame,
 * or outside of the entry, is a warning that has the times of both.
 * Several `ranges` are one stream whose running time has no holes. The element handles `reduct://`
 * and `reducts://` URIs, `reduct://host:8383/bucket/entry?start=…`, whose parameters are properties,
 * and seeks in stream time, with `TRICKMODE_KEY_UNITS` also at rates below 0.
 *
 * With `follow` it is a live source that continues with frames that are written later, until
 * the stop or an EOS event. It waits for an entry that is not there yet. Running time begins at that of
 * the clock, also after a gap; the latency is as long as late buffers need it, two seconds at most.
 *
 * What cannot be read in a record is left out, counted and warned of, or ends the stream
 * (`on-error`). The next buffer has the flag DISCONT if a reference picture is lost; a buffer that
 * lacks slices has the flag CORRUPTED. A range that begins without parameter sets gets the last ones
 * before it (`parameter-set-lookback`).
 *
 * Durations come from the times of records. A declared frame rate (the label `fps` of a record, the
 * attachment `$video` of the entry, `{"fps": 10}`, the property `fps`, or the VUI of the stream) is a
 * hint; one that record times contradict is not used, after a warning. Where frames are missing, by
 * `frame_num` (ITU-T H.264, 7.4.3) or in front of an IDR picture by the cadence, the next buffer has
 * the flag DISCONT and begins a segment whose running time continues without the hole; what refers to
 * missing pictures is dropped until the next keyframe (`on-loss`). A lost picture without a pause makes
 * the buffers up to the next keyframe CORRUPTED. A camera that was slow or paused is no gap.
 *
 * A range is read in windows over several `connections`, as far ahead as `prefetch-bytes` allows.
 * Each window has a query of its own. A `when` whose operators look at what came before (`$limit`,
 * `$each_n`, `$each_t`, `$gate`, `#ctx_before`, `#ctx_after`, `#ext`) is read by one query.
 *
 * What fails for a cause that may pass is tried again from the last record on, with a warning: a
 * server that is away, does not answer within `timeout` or was restarted, a broken connection, a
 * short answer, a query that the server forgot, the statuses 408, 425, 429 and 5xx. After `retries`
 * attempts in a row without a further record it is an error; a server that has never answered is one
 * after two seconds, unless it is followed. The statuses 401, 403 and 422, a missing bucket or entry
 * and a record of more than `max-record-bytes` are errors at once. Where a proxy refuses the heads of
 * large answers, fewer records are asked for at a time, with one warning. Where the server evicted what was still to be read, the next
 * buffer has the flag DISCONT.
 *
 * The API token is best given by the environment variable `REDUCT_API_TOKEN`: command lines can be
 * seen by others.
 *
 * ## Example launch line
 *
 * ```shell
 * gst-launch-1.0 reductsrc bucket=b entry=h264 ! reductepisodesplit duration=2000000000
 * ```
 */
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use client::{Cancelled, EntrySource, Limits};
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;
use media::timeline::Hole;
use recording::{DEFAULT_LOOKBACK, DEFAULT_PAUSE_LIMIT};

use super::downstream::{self, Taker};
use super::interrupt::Interrupt;
use super::seeks::{Seeks, Span};
use super::settings::{DEFAULT_POLL_INTERVAL_MS, Settings};
use super::stats::RunStats;
use super::stream::{Seek, Step, Stream};
use super::unpushed::{self, Unpushed};
use super::{CAT, KeyframeMode, OnError, OnLoss, StartMode, StopMode, episodes, probes};
use crate::convert::ToClockTime;
use crate::lock::lock;
use crate::runtime::runtime;
use crate::{connection, parameters, pause_event};

/// State of the element `reductsrc`. No two of the mutexes are ever held at once.
#[derive(Default)]
pub struct ReductSrc {
    settings: Mutex<Settings>,
    stats: Mutex<Arc<RunStats>>,
    /// The streaming thread takes it out while it works with it, so that nothing is locked then.
    stream: Mutex<Option<Stream>>,
    interrupt: Interrupt,
    seeks: Seeks,
    /// Span of the last seek.
    sought: Mutex<Span>,
    unpushed: Unpushed,
    /// Sequence number of the last seek that was carried out, and of all its segments.
    seqnum: Mutex<Option<gst::Seqnum>>,
    /// Stream time at which the last segment begins.
    segment_time: Mutex<Option<gst::ClockTime>>,
    is_seekable: AtomicBool,
    /// There was an error in this run, after which nothing more comes.
    failed: AtomicBool,
    /// A sink that writes several episodes to one file was warned of in this run.
    is_sink_reported: AtomicBool,
    /// The entry, if it is followed.
    following: Mutex<Option<Arc<EntrySource>>>,
    /// Largest delay of buffers behind their running time, if the entry is followed.
    latency: Mutex<Option<gst::ClockTime>>,
}

impl ReductSrc {
    /// Carries out the steps of the stream until one is to be pushed.
    fn next_buffer(&self, stream: &mut Stream) -> Result<CreateSuccess, gst::FlowError> {
        loop {
            match stream.next(self.interrupt.flushing()) {
                Ok(Step::Push(buffer)) => {
                    self.report_duration();
                    let now = self.obj().current_running_time();
                    if let Some(segment) = stream.catch_up(&buffer, now) {
                        gst::info!(CAT, imp = self, "Everything was late: running time follows");
                        self.begin_segment(&segment)?;
                    }
                    if let Some(latency) = stream.arrive(&buffer, now) {
                        self.change_latency(latency);
                    }
                    return Ok(CreateSuccess::NewBuffer(buffer));
                }
                Ok(Step::Episode(episode)) => {
                    if stream.has_pushed_episode() {
                        self.begin_stream_again().inspect_err(|_| {
                            stream.fail();
                            self.failed.store(true, Ordering::SeqCst);
                        })?;
                    }
                    let now = self.obj().current_running_time();
                    self.begin_segment(&stream.place_episode(&episode, now))?;
                    self.report_duration();
                    return Ok(CreateSuccess::NewBufferList(episodes::buffers(*episode)));
                }
                Ok(Step::Caps(caps)) => {
                    if caps == episodes::caps() {
                        self.is_seekable.store(false, Ordering::SeqCst);
                    }
                    gst::debug!(CAT, imp = self, "Setting caps {caps}");
                    if let Err(error) = self.set_caps_downstream(&caps) {
                        stream.fail();
                        return Err(error);
                    }
                }
                Ok(Step::Segment(segment)) => {
                    let segment = stream.place(segment, self.obj().current_running_time());
                    self.begin_segment(&segment)?;
                }
                Ok(Step::Pause(Hole { from, to })) => {
                    if !self
                        .obj()
                        .src_pad()
                        .push_event(pause_event::new(from.clock_time(), to.clock_time()))
                    {
                        gst::debug!(CAT, imp = self, "The pause event was not handled");
                    }
                }
                Ok(Step::Warn(text)) => {
                    gst::element_imp_warning!(self, gst::StreamError::Decode, ("{text}"));
                }
                Ok(Step::Retry(text)) => {
                    gst::element_imp_warning!(self, gst::ResourceError::Read, ("{text}"));
                }
                Ok(Step::End) => {
                    gst::debug!(CAT, imp = self, "End of the range");
                    return Err(gst::FlowError::Eos);
                }
                Err(Cancelled) => {
                    gst::debug!(CAT, imp = self, "Flushing");
                    return Err(gst::FlowError::Flushing);
                }
                Ok(Step::Fail(message)) => {
                    self.failed.store(true, Ordering::SeqCst);
                    gst::error!(CAT, imp = self, "{message}");
                    self.post_error_message(message);
                    // Not an error: GstBaseSrc would post a second message, and send EOS, upon
                    // which a muxer would finish a file that lacks frames as if it was whole.
                    return Err(gst::FlowError::Flushing);
                }
            }
        }
    }

    /// Sets caps, or posts why they are refused.
    fn set_caps_downstream(&self, caps: &gst::Caps) -> Result<(), gst::FlowError> {
        let obj = self.obj();
        let pad = obj.src_pad();
        // Elements behind a queue refuse them when they are pushed already.
        if downstream::takes(pad, caps) && obj.set_caps(caps).is_ok() {
            return Ok(());
        }
        // A pad that shuts down refuses them, too.
        if !pad.pad_flags().contains(gst::PadFlags::FLUSHING) {
            self.failed.store(true, Ordering::SeqCst);
            self.post_error_message(downstream::refusal(pad, caps));
        }
        Err(gst::FlowError::Flushing)
    }

    fn begin_segment(&self, segment: &gst::Segment) -> Result<(), gst::FlowError> {
        gst::debug!(CAT, imp = self, "New segment {segment:?}");
        *lock(&self.segment_time) = segment
            .downcast_ref::<gst::ClockTime>()
            .and_then(|segment| segment.time());
        self.obj().new_segment(segment).map_err(|err| {
            gst::error!(CAT, imp = self, "Segment refused: {err}");
            gst::FlowError::Error
        })
    }

    /// Begins another file of the same stream: upon this event demuxers expect headers again.
    fn begin_stream_again(&self) -> Result<(), gst::FlowError> {
        let obj = self.obj();
        match downstream::taker(obj.src_pad()) {
            Taker::DemuxerBehind { demuxer, other } => {
                // A queue ends for good with the first file, and may neither fail nor go on (1.22).
                self.post_error_message(gst::error_msg!(
                    gst::StreamError::Demux,
                    ("There is more than one episode, and {demuxer} behind {other} would take the \
                      first one only. Put {other} behind {demuxer}, or read one episode, from its \
                      time (property start) to the next µs (property stop)")
                ));
                return Err(gst::FlowError::Flushing);
            }
            Taker::OneFile { sink } if !self.is_sink_reported.swap(true, Ordering::SeqCst) => {
                gst::element_imp_warning!(
                    self,
                    gst::StreamError::Mux,
                    ("There is more than one episode, each a whole MP4 file, and {sink} writes them \
                      one behind another, which players cannot read. Use multifilesink \
                      next-file=discont, or read one episode, from its time (property start) to the \
                      next µs (property stop)")
                );
            }
            Taker::OneFile { .. } | Taker::Demuxer | Taker::NoDemuxer => {}
        }
        let last = obj.src_pad().sticky_event::<gst::event::StreamStart>(0);
        if let Some(last) = last {
            let event = gst::event::StreamStart::builder(last.stream_id())
                .flags(last.stream_flags())
                .group_id_if_some(last.group_id())
                .build();
            if !obj.src_pad().push_event(event) {
                gst::debug!(CAT, imp = self, "stream-start was not handled");
            }
        }
        Ok(())
    }

    /// Prepares a run: checked settings and a stream that has asked nothing of the server.
    fn begin_run(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let checked = settings
            .check()
            .map_err(|text| gst::error_msg!(gst::ResourceError::Settings, ("{text}")))?;
        gst::info!(CAT, imp = self, "Will read {:?}", checked.records);

        self.is_seekable
            .store(checked.is_seekable(), Ordering::SeqCst);
        *lock(&self.seqnum) = None;
        *lock(&self.segment_time) = None;
        self.failed.store(false, Ordering::SeqCst);
        self.is_sink_reported.store(false, Ordering::SeqCst);
        self.interrupt.reset();
        self.unpushed.forget();

        let stats = Arc::new(RunStats::default());
        *lock(&self.stats) = stats.clone();
        let stream = Stream::new(runtime()?, checked, stats);
        *lock(&self.latency) = stream.latency();
        *lock(&self.following) = Some(stream.access().clone()).filter(|access| access.follows());
        *lock(&self.stream) = Some(stream);
        Ok(())
    }

    /// Ends an entry that is followed with the frames that are fetched. Returns whether it is followed.
    fn stop_following(&self) -> bool {
        let following = lock(&self.following).clone();
        following.is_some_and(|access| {
            access.stop_following();
            true
        })
    }

    /// Posts a duration-changed message if the recording is longer than reported.
    fn report_duration(&self) {
        let stats = lock(&self.stats).clone();
        if stats.read.extent.take_growth() {
            let message = gst::message::DurationChanged::builder().src(&*self.obj());
            let _ = self.obj().post_message(message.build()); // There may be no bus.
        }
    }

    /// Changes the latency, and makes players ask for it.
    fn change_latency(&self, latency: gst::ClockTime) {
        gst::info!(CAT, imp = self, "Latency is {latency} from now on");
        *lock(&self.latency) = Some(latency);
        let message = gst::message::Latency::builder().src(&*self.obj());
        let _ = self.obj().post_message(message.build());
    }

    /// Returns the span of a seek that can be carried out, and the event for GstBaseSrc.
    ///
    /// Others are refused before anything is flushed: GstBaseSrc sends no segment after a seek that fails.
    fn accept_seek(&self, event: &gst::Event) -> Option<(Span, gst::Event)> {
        let gst::EventView::Seek(seek) = event.view() else {
            return None;
        };
        let (rate, flags, start_type, start, ..) = seek.get();
        let stats = lock(&self.stats).clone();
        let duration = stats.read.extent.duration().clock_time();
        // Backwards there are keyframes only, from a known end.
        let backwards = flags.contains(gst::SeekFlags::TRICKMODE_KEY_UNITS) && duration.is_some();
        let may_be = rate > 0.0 || rate < 0.0 && backwards;
        if !may_be || !self.may_seek() {
            gst::info!(CAT, imp = self, "Cannot seek like that: {event:?}");
            return None;
        }
        if let (gst::SeekType::Set, gst::GenericFormattedValue::Time(Some(start)), Some(end)) =
            (start_type, start, duration)
            && start > end
        {
            gst::info!(
                CAT,
                imp = self,
                "Cannot seek to {start}, the end is at {end}"
            );
            return None;
        }
        let sought = *lock(&self.sought);
        let accepted = sought.follow(event, duration);
        if accepted.is_none() {
            gst::info!(CAT, imp = self, "Cannot seek like that: {event:?}");
        }
        accepted
    }

    /// Passes a seek that can be carried out to the base class.
    fn pass_seek(&self, event: gst::Event, seek: impl FnOnce(gst::Event) -> bool) -> bool {
        let Some((span, event)) = self.accept_seek(&event) else {
            return false;
        };
        let done = self.seeks.pass(event, seek);
        if done {
            *lock(&self.sought) = span;
        }
        done
    }

    /// Returns whether this run is seekable, or the next one may be.
    fn may_seek(&self) -> bool {
        self.is_stopped() || self.is_seekable.load(Ordering::SeqCst)
    }

    fn is_stopped(&self) -> bool {
        let obj = self.obj();
        obj.current_state().max(obj.pending_state()) <= gst::State::Ready
    }
}

#[glib::object_subclass]
impl ObjectSubclass for ReductSrc {
    const NAME: &'static str = "GstReductSrc";
    type Type = super::ReductSrc;
    type ParentType = gst_base::PushSrc;
    type Interfaces = (gst::URIHandler,);
}

impl ObjectImpl for ReductSrc {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let text = |name: &'static str, nick: &'static str, blurb: &'static str| {
                glib::ParamSpecString::builder(name)
                    .nick(nick)
                    .blurb(blurb)
                    .mutable_ready()
            };
            let mut properties = connection::properties();
            properties.extend([
                text(
                    "start",
                    "Start",
                    "Capture time of the first record: RFC 3339 (2025-06-13T08:50:53.273752Z) or \
                     µs since the Unix epoch (unset = oldest record)",
                )
                .build(),
                text(
                    "stop",
                    "Stop",
                    "Capture time at which to stop, not included: RFC 3339 or µs since the Unix \
                     epoch (unset = newest record)",
                )
                .build(),
                glib::ParamSpecEnum::builder_with_default("start-mode", StartMode::default())
                    .nick("Start mode")
                    .blurb("With which frame a range begins")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("stop-mode", StopMode::default())
                    .nick("Stop mode")
                    .blurb(
                        "With which frame a range ends. With start-mode=keyframe-after and \
                         stop-mode=keyframe, ranges side by side have each group of pictures once",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("keyframe-mode", KeyframeMode::default())
                    .nick("Keyframe mode")
                    .blurb(
                        "Which pictures are keyframes, with which ranges and seeks may begin. intra \
                         is for streams that have neither IDR pictures nor recovery points",
                    )
                    .mutable_ready()
                    .build(),
                text(
                    "ranges",
                    "Ranges",
                    "Several ranges instead of start and stop: START/STOP,START/STOP,… in order \
                     and apart, times as there. Each begins with DISCONT",
                )
                .build(),
                text(
                    "when",
                    "When",
                    "Conditional query of ReductStore, a JSON object that picks records of the \
                     range by their labels",
                )
                .build(),
                gst::ParamSpecFraction::builder("fps")
                    .nick("Frames per second")
                    .blurb(
                        "Frame rate of records without a label 'fps', if the entry's attachment \
                         '$video' has none either: 1/3600 to 1000/1 (0/1 = as in the stream's VUI)",
                    )
                    .minimum(gst::Fraction::new(0, 1))
                    .maximum(gst::Fraction::new(i32::MAX, 1))
                    .default_value(gst::Fraction::new(0, 1))
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("gap-detection")
                    .nick("Gap detection")
                    .blurb(
                        "Mark the first buffer after a gap with DISCONT, and drop what refers to missing \
                         pictures, as on-loss has it",
                    )
                    .default_value(true)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("gap-tolerance")
                    .nick("Gap tolerance")
                    .blurb(
                        "How much more than one frame duration of the declared frame rate has to be \
                         missing for a gap, in nanoseconds (0 = automatic: missing frames are a gap, \
                         by frame_num and the cadence)",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("pause-limit")
                    .nick("Pause limit")
                    .blurb(
                        "Longest pause that is not left out of running time where no reference \
                         picture is missing, in nanoseconds",
                    )
                    .default_value(DEFAULT_PAUSE_LIMIT.nseconds())
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("on-loss", OnLoss::default())
                    .nick("On loss")
                    .blurb(
                        "What to do with access units that refer to missing ones, until the next \
                         keyframe",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("retries")
                    .nick("Retries")
                    .blurb(
                        "Attempts in a row, after the first one, to repeat what failed with a \
                         transient error, before the stream ends with an error",
                    )
                    .default_value(Limits::default().retries)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("connections")
                    .nick("Connections")
                    .blurb(
                        "Connections to the server at once, 1 to 64; parts of the range are read over them \
                         (a condition that depends on the order of records, such as $limit and \
                         $each_n, is read over one)",
                    )
                    .minimum(1)
                    .maximum(64)
                    .default_value(Limits::default().connections)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("prefetch-bytes")
                    .nick("Prefetch bytes")
                    .blurb("Bytes of records to read ahead at most; a larger record passes alone")
                    .minimum(1)
                    .default_value(Limits::default().prefetch_bytes)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("max-record-bytes")
                    .nick("Max record bytes")
                    .blurb("Bytes of a record at most; a larger one is an error")
                    .minimum(1)
                    .default_value(Limits::default().max_record_bytes)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("follow")
                    .nick("Follow")
                    .blurb(
                        "Continue with records that are written meanwhile, as a live source, until \
                         the stop or an EOS event. Without a start: from now on",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("poll-interval")
                    .nick("Poll interval")
                    .blurb(
                        "How often to ask for new records while following, in milliseconds; the \
                         longer nothing comes the slower, down to once a second",
                    )
                    .minimum(1)
                    .maximum(60_000)
                    .default_value(DEFAULT_POLL_INTERVAL_MS)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("on-error", OnError::default())
                    .nick("On error")
                    .blurb("What to do with what cannot be read in a record")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("parameter-set-lookback")
                    .nick("Parameter set lookback")
                    .blurb(
                        "How far before the range to look for an SPS and a PPS if it begins \
                         without them, in nanoseconds (0 = not at all)",
                    )
                    .default_value(DEFAULT_LOOKBACK.nseconds())
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb(
                        "Counts of this run, uint64: records, bytes, access-units, episodes, gaps, damaged \
                         (records with something that cannot be read), dropped (access units that \
                         cannot be decoded, as before the first keyframe of a range), corrupted (access \
                         units pushed with the flag CORRUPTED), skipped (records sent twice or out of \
                         range), evicted (gaps where the server deleted what was still to be read), \
                         retries, connections (with a query under way), network-wait, downstream-wait \
                         (nanoseconds that the streaming thread waited), queue-records, queue-bytes. \
                         declared-rate, observed-rate (double): frames per second, 0 if unknown. \
                         last-retry (string, if there was one): its reason",
                    )
                    .read_only()
                    .build(),
            ]);
            properties
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if !self.is_stopped() {
            gst::warning!(
                CAT,
                imp = self,
                "Property {} can only be set in NULL and READY",
                pspec.name()
            );
            return;
        }
        let follow = {
            let mut settings = lock(&self.settings);
            settings.set(pspec.name(), value);
            settings.follow
        };
        self.obj().set_live(follow);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == "stats" {
            let stats = lock(&self.stats).clone();
            return stats.structure().to_value();
        }
        lock(&self.settings).get(pspec.name())
    }

    fn constructed(&self) {
        self.parent_constructed();

        let obj = self.obj();
        obj.set_format(gst::Format::Time);
        // GstBaseSrc ends with the first buffer after the stop. Pictures that are later in decoding order would be missing.
        obj.set_automatic_eos(false);
        let this = self.downgrade();
        unpushed::watch(obj.src_pad(), move || {
            if let Some(this) = this.upgrade() {
                this.unpushed.forget();
            }
        });
        // GstBaseSrc gives segments that it did not make itself a number of their own.
        let this = self.downgrade();
        let events = gst::PadProbeType::EVENT_DOWNSTREAM;
        obj.src_pad().add_probe(events, move |_, info| {
            if let (Some(this), Some(event)) = (this.upgrade(), info.event_mut())
                && let Some(seqnum) = *lock(&this.seqnum)
                && event.type_() == gst::EventType::Segment
            {
                event.make_mut().set_seqnum(seqnum);
            }
            gst::PadProbeReturn::Ok
        });
        probes::refuse_pools(obj.src_pad());
        probes::pass_files(obj.src_pad());
    }
}

impl GstObjectImpl for ReductSrc {}

impl ElementImpl for ReductSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "ReductStore source",
                "Source/Network/Video",
                "Reads H.264 records of a ReductStore entry as access units with capture times, or \
                 MP4 episodes",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let h264 = gst::Structure::builder("video/x-h264")
                .field("stream-format", "byte-stream")
                .field("alignment", "au")
                .build();
            let mut caps: gst::Caps = [h264].into_iter().collect();
            caps.merge(episodes::caps());
            let template = gst::PadTemplate::new(
                "src",
                gst::PadDirection::Src,
                gst::PadPresence::Always,
                &caps,
            );
            template.into_iter().collect()
        });
        TEMPLATES.as_ref()
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        // Not in `start`, after whose errors GstBaseSrc posts another one.
        if transition == gst::StateChange::ReadyToPaused {
            self.begin_run().map_err(|message| {
                self.post_error_message(message);
                gst::StateChangeError
            })?;
        }
        if transition == gst::StateChange::PlayingToPaused {
            return (self.interrupt).while_pausing(|| self.parent_change_state(transition));
        }
        self.parent_change_state(transition)
    }

    fn send_event(&self, event: gst::Event) -> bool {
        match event.type_() {
            gst::EventType::Seek => self.pass_seek(event, |event| self.parent_send_event(event)),
            // The base class would drop frames that are not pushed yet.
            gst::EventType::Eos if self.stop_following() => true,
            gst::EventType::Eos if !self.is_stopped() && !self.failed.load(Ordering::SeqCst) => {
                self.interrupt.end_stream();
                true
            }
            // There is nothing to flush. GstBaseSrc would be flushed in the next run.
            gst::EventType::FlushStart | gst::EventType::FlushStop if self.is_stopped() => false,
            // GstBaseSrc waits for the streaming thread, which flush-start has not interrupted.
            gst::EventType::FlushStop if !self.interrupt.is_flushed() => false,
            gst::EventType::FlushStart | gst::EventType::FlushStop => self
                .interrupt
                .while_sending_flush(|| self.parent_send_event(event)),
            _ => self.parent_send_event(event),
        }
    }
}

impl URIHandlerImpl for ReductSrc {
    const URI_TYPE: gst::URIType = gst::URIType::Src;

    fn protocols() -> &'static [&'static str] {
        client::SCHEMES
    }

    fn uri(&self) -> Option<String> {
        let connection = lock(&self.settings).connection.clone();
        parameters::uri(self.obj().upcast_ref(), &connection)
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        let settings = lock(&self.settings).clone();
        parameters::set(self.obj().upcast_ref(), uri, |values| {
            settings.with(values).check().map(|_| ())
        })
    }
}

impl BaseSrcImpl for ReductSrc {
    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let stream = lock(&self.stream).take();
        drop(stream);
        self.seeks.forget();
        self.unpushed.forget();
        *lock(&self.following) = None;
        *lock(&self.latency) = None;
        *lock(&self.sought) = Span::default();
        Ok(())
    }

    fn negotiate(&self) -> Result<(), gst::LoggableError> {
        // Caps are set with the first access unit: those of the template lack the frame rate.
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        self.is_seekable.load(Ordering::SeqCst)
    }

    fn event(&self, event: &gst::Event) -> bool {
        match event.type_() {
            gst::EventType::Seek => {
                self.pass_seek(event.clone(), |event| self.parent_event(&event))
            }
            _ => self.parent_event(event),
        }
    }

    /// Asks nothing of the server: the streaming thread finds out where the segment begins.
    fn do_seek(&self, segment: &mut gst::Segment) -> bool {
        let Some(segment) = segment.downcast_mut::<gst::ClockTime>() else {
            return false;
        };
        // There is none at the beginning of a run.
        let Some(event) = self.seeks.take() else {
            return true;
        };
        let gst::EventView::Seek(seek) = event.view() else {
            return false;
        };
        let mut stream = lock(&self.stream);
        let Some(stream) = stream.as_mut() else {
            return false;
        };
        if segment.rate() < 0.0 {
            // The end is where it begins.
            let end = lock(&self.stats).read.extent.duration().clock_time();
            segment.set_stop(segment.stop().min(end).or(end));
            segment.set_position(segment.stop());
        }
        stream.seek(Seek::new(segment, seek.get().1));
        self.unpushed.forget();
        self.interrupt.continue_stream();
        self.failed.store(false, Ordering::SeqCst);
        let zero = stream.zero().clock_time();
        let in_timeline = |time: gst::ClockTime| time.saturating_add(zero);
        segment.set_start(segment.start().map(in_timeline));
        segment.set_stop(segment.stop().map(in_timeline));
        segment.set_position(segment.position().map(in_timeline));
        *lock(&self.seqnum) = Some(event.seqnum());
        true
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        let duration = || {
            let stats = lock(&self.stats).clone();
            stats.read.extent.duration().clock_time()
        };
        match query.view_mut() {
            gst::QueryViewMut::Duration(query) if query.format() == gst::Format::Time => {
                let duration = duration();
                query.set(duration);
                duration.is_some()
            }
            gst::QueryViewMut::Seeking(query) if query.format() == gst::Format::Time => {
                query.set(self.is_seekable(), gst::ClockTime::ZERO, duration());
                true
            }
            gst::QueryViewMut::Position(position) if position.format() == gst::Format::Time => {
                let begin = *lock(&self.segment_time);
                let answered = BaseSrcImplExt::parent_query(self, query);
                // GstBaseSrc has none while a decoder gets frames from before the segment.
                if let gst::QueryViewMut::Position(position) = query.view_mut()
                    && position.result() == gst::ClockTime::NONE.into()
                {
                    position.set(begin);
                }
                answered
            }
            gst::QueryViewMut::Latency(query) => {
                let latency = *lock(&self.latency);
                // Unlimited: the server keeps the frames that are not fetched yet.
                query.set(latency.is_some(), latency.unwrap_or_default(), None);
                true
            }
            gst::QueryViewMut::Scheduling(query) => {
                let flags =
                    gst::SchedulingFlags::SEQUENTIAL | gst::SchedulingFlags::BANDWIDTH_LIMITED;
                query.set(flags, 1, -1, 0);
                query.add_scheduling_modes([gst::PadMode::Push]);
                true
            }
            _ => BaseSrcImplExt::parent_query(self, query),
        }
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.interrupt.start();
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.interrupt.stop();
        Ok(())
    }
}

impl PushSrcImpl for ReductSrc {
    fn create(
        &self,
        _buffer: Option<&mut gst::BufferRef>,
    ) -> Result<CreateSuccess, gst::FlowError> {
        let stream = lock(&self.stream).take();
        let mut stream = stream.ok_or(gst::FlowError::Flushing)?;
        stream.come_back();
        let created = match self.unpushed.again() {
            Some(created) => Ok(created),
            None if self.interrupt.is_at_end() => Err(gst::FlowError::Eos),
            None => self.next_buffer(&mut stream),
        };
        let has_failed = self.failed.load(Ordering::SeqCst);
        let created = match created {
            Err(gst::FlowError::Flushing) if self.interrupt.is_at_end() && !has_failed => {
                Err(gst::FlowError::Eos)
            }
            created => created,
        };
        if let Ok(created) = &created {
            self.unpushed.keep(created);
        }
        stream.leave();
        *lock(&self.stream) = Some(stream);
        created
    }
}
