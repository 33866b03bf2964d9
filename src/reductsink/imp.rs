// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Virtual methods of `reductsink`: properties, states, events, and the hand-over of frames to a recorder.

/**
 * SECTION:element-reductsink
 * @see_also: reductsrc
 *
 * Writes an H.264 byte stream to an entry of a ReductStore bucket, in the form that reductsrc and
 * ReductStore's own video extension read: records of the content type `video/h264`, whose time is the
 * capture time, with the labels `fps` and `keyframe`, and an attachment `$video` of the entry with
 * frame rate, width and height.
 *
 * A record is an access unit, or a group of pictures (`record-unit`). IDR pictures get the SPS and PPS
 * that they lack; apart from that the bytes are those of the stream. `keyframe` is `true` for records
 * with an IDR picture or a recovery point. `fps` is written only while it is within 20 % of the median of
 * the last 8 distances of frames. A group's record also ends where a frame would be half a frame off
 * its time, at 4 MB, and with each frame if there is no such frame rate.
 *
 * Slices whose SPS or PPS never came, and buffers that are no byte stream, are recorded with a warning, or
 * are an error (`on-error`). A stream of which nothing can be decoded ends with an error.
 *
 * ## Times
 *
 * The capture time is that in a #GstReferenceTimestampMeta with the caps `timestamp/x-unix`, or
 * `timestamp/x-ntp` as rtspsrc has it with `add-reference-timestamp-meta=true`, else
 * `start` and the buffer's running time, else the time of the pipeline's clock then. A clock that counts
 * from the Unix epoch or the NTP epoch is believed; the offset of any other is measured with the first
 * buffer and once a second after it, and steps of the system clock are followed.
 *
 * Record times grow in decoding order: the k-th record has the k-th capture time in output order, so
 * that reductsrc gives each picture the time that it had. Streams whose SPS does not say how far
 * pictures are out of order wait for as many frames as their level allows.
 *
 * A capture time that is more than 1 s off what the one before predicts, while PTS, running time and
 * arrival are not, is an outlier until the frames of 1 s agree with it. Outliers are placed between their
 * neighbours, and so are buffers without PTS. A step ahead is recorded as it is; behind a clock that was
 * set back, record times continue at the cadence until it has caught up. Steps of less than a frame are
 * jitter: such a record is 1 µs after the one before.
 *
 * Streams without timestamps are counted from `start`, or now, by the frame rate of the caps, of `fps` or of
 * the VUI. Without any it is an error. DTS is no capture time.
 *
 * An entry has one writer. Records before its newest one would make every later query slow; they are
 * an error if their times came with the buffers, else recording continues behind the newest one, with a
 * warning. Records of another writer are an error, too. A copy can be repeated with `existing=skip`.
 *
 * ## Delivery
 *
 * Records wait in memory and are written in batches of up to 80 records or 4 MB, after `max-latency` at
 * the latest. Transient errors are retried, with a warning: a server that is away or full, broken
 * connections, the statuses 408, 425, 429 and 5xx. There is no limit while the stream runs. For a server
 * that was never reached, and for the rest at the end of the stream or after a stop, `retries` attempts
 * in a row without an acknowledged record are an error. `overflow` selects the behaviour of a queue with
 * `queue-bytes` in it. A request that is too large for the server or a proxy
 * (413, 431, 494, 400) is repeated with fewer records, down to one; a single record that is refused is an
 * error.
 *
 * After a broken connection the sink asks the server which records it has, so that nothing is lost or
 * written twice. With a token that may not read, records in doubt are removed and written again, and
 * neither late frames nor other writers are noticed; `existing=skip` needs a token that may read.
 *
 * With `spool-dir` records wait in files instead of in memory. Records that a process leaves there when it
 * crashes or is stopped are written at the next start, before all others, unless the server has them.
 * Each record has a checksum: damage costs the records that are hit, with a warning, and the
 * file is kept with the suffix `.damaged`. `spool-sync` selects the durability after a loss of power. Folders and
 * files can be read by this user only, and symbolic links and FIFOs in their place are an error. While a
 * spool cannot be written, as on a full disk, 256 MiB wait in memory at most.
 *
 * EOS is posted when all records are written, after an element message `reduct-recording` with the fields
 * of `stats`. After a stop without EOS, pending records are written in the background, with `retries`
 * attempts, as long as the process runs, and lost ones are logged; with `gst-launch-1.0 -e` an interrupted
 * stream ends properly.
 *
 * The API token is best given by the environment variable `REDUCT_API_TOKEN`: command lines can be
 * seen by others. `REDUCT_SINK_API_TOKEN` takes precedence over it, for copies between two servers.
 *
 * ## Example launch line
 *
 * ```shell
 * gst-launch-1.0 -e v4l2src ! videoconvert ! x264enc tune=zerolatency key-int-max=30 ! h264parse ! reductsink bucket=b entry=cam
 * ```
 */
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use client::{self, Canceller, DetachedWriter, PushError, WriterEvent};
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use media::record_times::{Capture, SourcedTime, TimeSource};
use media::time::{CaptureTime, Nanos};
use recording::{Notice, Recorder, StreamFormat};

use super::clock::WallClock;
use super::settings::{DEFAULT_MAX_LATENCY_MS, Settings};
use super::stats::Stats;
use super::{CAT, Existing, OnError, Overflow, RecordUnit, SpoolSync, notices, preroll};
use crate::connection::Place;
use crate::errors::error_message;
use crate::lock::lock;
use crate::runtime::runtime;
use crate::{capture_time, connection, convert, parameters};

/// No two of the mutexes are ever held at once.
#[derive(Default)]
pub struct ReductSink {
    settings: Mutex<Settings>,
    stats: Mutex<Arc<Stats>>,
    /// The streaming thread takes it out while it works with it, so that nothing is locked then.
    recording: Mutex<Option<Recorder>>,
    flushing: Canceller,
    /// Between a change from PLAYING to PAUSED and the next change.
    is_paused: AtomicBool,
    /// That of the run before, which may still be written.
    left: Mutex<Option<DetachedWriter>>,
    /// The time since the Unix epoch by the pipeline's clock in this run.
    wall_clock: Mutex<Option<WallClock>>,
    /// Sum of the steps of the system clock in this run.
    clock_steps_us: AtomicI64,
    /// Capture time of running time 0 in this run, if it is not the clock's.
    start: Mutex<Option<gst::ClockTime>>,
    /// Treatment of a full queue in this run.
    overflow: Mutex<Option<client::Overflow>>,
}

impl ReductSink {
    /// Prepares a run: checked settings and a recording that has asked nothing of the server.
    fn begin_run(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let checked = settings
            .check()
            .map_err(|text| gst::error_msg!(gst::ResourceError::Settings, ("{text}")))?;
        let Place {
            connection,
            bucket,
            entry,
        } = &checked.place;
        let options = checked.recorder;
        gst::info!(
            CAT,
            imp = self,
            "Will write to '{bucket}/{entry}' of {connection:?} with {options:?}"
        );
        *lock(&self.wall_clock) = None;
        self.clock_steps_us.store(0, Ordering::Relaxed);
        *lock(&self.start) = checked.start;
        *lock(&self.overflow) = match checked.overflow {
            Overflow::Auto => None,
            Overflow::Block => Some(client::Overflow::Block),
            Overflow::DropGop => Some(client::Overflow::DropGroups),
            Overflow::Error => Some(client::Overflow::Refuse),
        };
        let _entered = runtime()?.enter();
        let left = lock(&self.left).take();
        let recording = Recorder::builder(connection, bucket, entry)
            .options(options)
            .after(left)
            .on_event(self.event_handler())
            .open()
            .map_err(|error| gst::error_msg!(gst::ResourceError::Settings, ("{error}")))?;
        *lock(&self.stats) = Arc::new(Stats::new(recording.stats().clone()));
        *lock(&self.recording) = Some(recording);
        Ok(())
    }

    /// Returns a handler that posts the events of the writer, which come from threads of its own.
    fn event_handler(&self) -> impl Fn(WriterEvent) + Send + Sync + 'static {
        let sink = self.downgrade();
        move |event| {
            if let WriterEvent::Abandoned(text) = &event {
                gst::error!(CAT, "{text}");
            }
            let Some(sink) = sink.upgrade() else {
                return;
            };
            match event {
                WriterEvent::Retrying(text)
                | WriterEvent::Warning(text)
                | WriterEvent::Abandoned(text) => {
                    gst::element_imp_warning!(sink, gst::ResourceError::Write, ("{text}"));
                }
                WriterEvent::Damaged(text) => {
                    gst::element_imp_warning!(sink, gst::ResourceError::Read, ("{text}"));
                }
                WriterEvent::Failed(failure) => {
                    let message = error_message(&failure);
                    gst::error!(CAT, imp = sink, "{message}");
                    sink.post_error_message(message);
                }
            }
        }
    }

    /// Runs a function on the recorder while nothing is locked.
    fn with_recording<T>(
        &self,
        run: impl FnOnce(&mut Recorder) -> Result<T, gst::FlowError>,
    ) -> Result<T, gst::FlowError> {
        let recording = lock(&self.recording).take();
        let mut recording = recording.ok_or(gst::FlowError::Flushing)?;
        let done = run(&mut recording);
        *lock(&self.recording) = Some(recording);
        done
    }

    /// Ends a run. Pending records are written in the background; nothing is waited for.
    fn end_run(&self) {
        let recording = lock(&self.recording).take();
        let Some(mut recording) = recording else {
            return;
        };
        recording.end();
        // Nothing is left to fail.
        let _ = self.post_notices(&mut recording);
        let lost = recording.hand_over_at_once();
        self.report_dropped(recording.take_dropped(true));
        if lost > 0 {
            gst::warning!(
                CAT,
                imp = self,
                "{lost} records came too late to be written"
            );
        }
        *lock(&self.left) = Some(recording.detach());
    }

    /// Queues complete records. The preroll lock of GstBaseSink is held: a wait that is ended continues after a
    /// pause.
    fn hand_over(&self, recording: &mut Recorder) -> Result<(), gst::FlowError> {
        let overflow = self.overflow();
        loop {
            match recording.hand_over(overflow, &self.flushing) {
                Ok(()) => {
                    self.report_dropped(recording.take_dropped(false));
                    return Ok(());
                }
                Err(PushError::Cancelled) => self.wait_for_playing()?,
                Err(PushError::Full) => {
                    let limit = lock(&self.settings).queue_bytes;
                    gst::element_imp_error!(
                        self,
                        gst::ResourceError::NoSpaceLeft,
                        ("The queue of {limit} bytes (queue-bytes) is full, as the server does \
                             not take records fast enough")
                    );
                    return Err(gst::FlowError::Error);
                }
                // The writer has posted why.
                Err(PushError::Failed(_)) => return Err(gst::FlowError::Error),
            }
        }
    }

    /// Returns the treatment of a full queue: by default a live source must not wait.
    fn overflow(&self) -> client::Overflow {
        if let Some(overflow) = *lock(&self.overflow) {
            return overflow;
        }
        let mut latency = gst::query::Latency::new();
        let is_live = self.obj().sink_pad().peer_query(&mut latency) && latency.result().0;
        let overflow = match is_live {
            true => client::Overflow::DropGroups,
            false => client::Overflow::Block,
        };
        gst::debug!(CAT, imp = self, "A full queue would: {overflow:?}");
        *lock(&self.overflow) = Some(overflow);
        overflow
    }

    /// Waits, with the preroll lock unlocked, until the sink plays.
    ///
    /// `wait_preroll` may return in PAUSED: if the sink plays and pauses again before this thread has the lock,
    /// GstBaseSink 1.22 counts it as prerolled and does not ask for another preroll.
    fn wait_for_playing(&self) -> Result<(), gst::FlowError> {
        loop {
            self.obj().wait_preroll()?;
            if !self.is_paused.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    /// Passes the change to PLAYING to the base class, which needs the preroll lock for it.
    ///
    /// A wait for the server that began in PAUSED, see [`Self::wait_for_playing`], has that lock. It is ended, and
    /// continues when the sink plays.
    fn play(&self) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let interruption = self.flushing.interrupt();
        let changed = self.parent_change_state(gst::StateChange::PausedToPlaying);
        self.is_paused.store(changed.is_err(), Ordering::Relaxed);
        // With the lock: before, the streaming thread would wait for the server again and keep the lock from here;
        // after, it would not be woken.
        preroll::drop_and_wake(self.obj().upcast_ref(), interruption);
        changed
    }

    /// Ends the recording's last records and waits until all is written.
    fn finish(&self, recording: &mut Recorder) -> Result<(), gst::FlowError> {
        recording.end();
        self.post_notices(recording)?;
        self.hand_over(recording)?;
        self.report_dropped(recording.take_dropped(true));
        loop {
            match recording.drain(&self.flushing) {
                Ok(()) => break,
                Err(PushError::Cancelled) => self.wait_for_playing()?,
                Err(PushError::Full | PushError::Failed(_)) => return Err(gst::FlowError::Error),
            }
        }
        match recording.verdict() {
            Some(notice) => self.post(&notice),
            None if recording.has_failed() => Err(gst::FlowError::Error),
            None => Ok(()),
        }
    }

    fn report_dropped(&self, dropped: Option<client::Dropped>) {
        let Some(client::Dropped {
            frames,
            from: Some(from),
            ..
        }) = dropped
        else {
            return;
        };
        gst::element_imp_warning!(
            self,
            gst::ResourceError::Write,
            (
                "Dropped {frames} frames, the first of {}, as the queue is full and the server does \
                 not take them",
                client::utc(from)
            )
        );
    }

    /// Posts a message with the counters of the recording.
    fn report_recording(&self) {
        let stats = lock(&self.stats).clone();
        let mut structure = stats.structure();
        structure.set_name("reduct-recording");
        let message = gst::message::Element::builder(structure).src(&*self.obj());
        let _ = self.obj().post_message(message.build()); // There may be no bus.
    }

    /// Posts the notices of the recording. An error ends it.
    fn post_notices(&self, recording: &mut Recorder) -> Result<(), gst::FlowError> {
        while let Some(notice) = recording.pop_notice() {
            self.post(&notice)?;
        }
        Ok(())
    }

    fn post(&self, notice: &Notice) -> Result<(), gst::FlowError> {
        let stats = lock(&self.stats).clone();
        stats.count(notice);
        let text = notices::text(notice);
        if !notice.is_error() {
            gst::element_imp_warning!(self, gst::ResourceError::Write, ("{text}"));
            return Ok(());
        }
        match notice {
            Notice::Timestamps(_) => {
                gst::element_imp_error!(self, gst::ResourceError::Settings, ("{text}"));
            }
            _ => gst::element_imp_error!(self, gst::StreamError::Decode, ("{text}")),
        }
        Err(gst::FlowError::Error)
    }

    /// Returns the times of a buffer.
    fn capture(&self, buffer: &gst::BufferRef) -> Capture {
        let start = *lock(&self.start);
        let segment = self.obj().segment().downcast::<gst::ClockTime>().ok();
        // DTS says when a picture is decoded, and parsers make it up.
        let running_time = buffer.pts().and_then(|pts| {
            // Backwards, running time counts from the segment's end.
            let segment = segment.filter(|it| it.rate() > 0.0 || it.stop().is_some())?;
            segment.to_running_time_full(pts)
        });
        let us = |time: gst::ClockTime| CaptureTime::from_useconds(time.useconds());
        let sourced = |time, source| SourcedTime {
            time: us(time),
            source,
        };
        let meta = capture_time::of(buffer).map(|time| sourced(time, TimeSource::Meta));
        let time = meta.or_else(|| {
            let running_time = running_time?;
            match start {
                Some(start) => Some(sourced(later(start, running_time)?, TimeSource::Start)),
                None => Some(sourced(self.clock_time(running_time)?, TimeSource::Clock)),
            }
        });
        let begin = time.unwrap_or_else(|| match start {
            Some(start) => sourced(start, TimeSource::Start),
            None => sourced(self.now(), TimeSource::Clock),
        });
        Capture {
            time,
            begin,
            clock_steps_us: self.clock_steps_us.load(Ordering::Relaxed),
            pts_us: buffer.pts().map(|pts| signed_us(pts.into())),
            running_time_us: running_time.map(signed_us),
            arrival: Nanos::from_useconds(gst::get_timestamp().useconds()),
            record: capture_time::of_record(buffer).map(us),
        }
    }

    /// Returns the time since the Unix epoch of a running time.
    fn clock_time(&self, running_time: gst::Signed<gst::ClockTime>) -> Option<gst::ClockTime> {
        let obj = self.obj();
        let clock = obj.clock()?;
        let time = later(obj.base_time()?, running_time)?;
        let (time, step) = {
            let mut wall_clock = lock(&self.wall_clock);
            let wall_clock = wall_clock.get_or_insert_with(|| WallClock::new(&clock));
            let step = wall_clock.follow(&clock);
            (wall_clock.unix_time(time), step)
        };
        if let Some(by_us) = step.map(|ns| ns / 1000) {
            self.clock_steps_us.fetch_add(by_us, Ordering::Relaxed);
            // It is a warning.
            let _ = self.post(&Notice::SystemClock { by_us });
        }
        Some(time)
    }

    /// Returns the time since the Unix epoch now.
    fn now(&self) -> gst::ClockTime {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.ok().and_then(|now| gst::ClockTime::try_from(now).ok());
        now.unwrap_or_default()
    }

    fn is_stopped(&self) -> bool {
        let obj = self.obj();
        obj.current_state().max(obj.pending_state()) <= gst::State::Ready
    }
}

/// Returns the frame rate and the size that caps declare.
fn stream_format(caps: &gst::StructureRef) -> StreamFormat {
    let rate = caps.get::<gst::Fraction>("framerate").ok();
    StreamFormat {
        frame_rate: rate.and_then(convert::frame_rate),
        size: caps.get("width").ok().zip(caps.get("height").ok()),
    }
}

fn signed_us(time: gst::Signed<gst::ClockTime>) -> i64 {
    let us = |time: gst::ClockTime| i64::try_from(time.useconds()).unwrap_or(i64::MAX);
    match time {
        gst::Signed::Positive(time) => us(time),
        gst::Signed::Negative(time) => -us(time),
    }
}

fn later(time: gst::ClockTime, by: gst::Signed<gst::ClockTime>) -> Option<gst::ClockTime> {
    match by {
        gst::Signed::Positive(by) => time.checked_add(by),
        gst::Signed::Negative(by) => time.checked_sub(by),
    }
}

#[glib::object_subclass]
impl ObjectSubclass for ReductSink {
    const NAME: &'static str = "GstReductSink";
    type Type = super::ReductSink;
    type ParentType = gst_base::BaseSink;
    type Interfaces = (gst::URIHandler,);
}

impl ObjectImpl for ReductSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let mut properties = connection::properties();
            properties.extend([
                glib::ParamSpecBoolean::builder("create-bucket")
                    .nick("Create bucket")
                    .blurb("Make the bucket if it is missing, which needs a token with full access")
                    .default_value(true)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("quota-size")
                    .nick("Quota size")
                    .blurb(
                        "Size in bytes from which on a bucket that is made loses its oldest records \
                         (FIFO quota; 0 = none). A bucket that is there stays as it is",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("record-unit", RecordUnit::default())
                    .nick("Record unit")
                    .blurb("What a record holds")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("labels")
                    .nick("Labels")
                    .blurb(
                        "Labels of each record besides fps and keyframe, as \
                         \"labels,camera=front,site=3\"",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("start")
                    .nick("Start")
                    .blurb(
                        "Capture time at running time 0, for buffers that have none of their own, \
                         as of a file: RFC 3339 (2025-06-13T08:50:53.273752Z) or µs since the Unix \
                         epoch (unset = as the clock has it)",
                    )
                    .mutable_ready()
                    .build(),
                gst::ParamSpecFraction::builder("fps")
                    .nick("Frames per second")
                    .blurb(
                        "Frame rate from which the capture times of a stream without timestamps are \
                         counted, as of a raw file, if its caps have none or that of its VUI: 1/3600 \
                         to 1000/1 (0/1 = as in the stream's VUI)",
                    )
                    .minimum(gst::Fraction::new(0, 1))
                    .maximum(gst::Fraction::new(i32::MAX, 1))
                    .default_value(gst::Fraction::new(0, 1))
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("on-error", OnError::default())
                    .nick("On error")
                    .blurb(
                        "What to do with what cannot be decoded: a picture whose SPS or PPS never came, \
                         or a buffer that is no byte stream",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("max-latency")
                    .nick("Maximum latency")
                    .blurb(
                        "How long a record may wait for others to be written with it, in \
                         milliseconds",
                    )
                    .default_value(DEFAULT_MAX_LATENCY_MS)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("queue-bytes")
                    .nick("Queue bytes")
                    .blurb(
                        "Bytes that records may take while they wait for the server, in memory or in \
                         spool-dir: contents, labels and about 300 bytes for each of them. A \
                         larger record waits alone",
                    )
                    .minimum(1)
                    .default_value(client::DEFAULT_QUEUE_BYTES)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("overflow", Overflow::default())
                    .nick("Overflow")
                    .blurb("What to do when so many bytes wait")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("existing", Existing::default())
                    .nick("Existing")
                    .blurb("What to do with frames at or before the newest record of the entry")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("retries")
                    .nick("Retries")
                    .blurb(
                        "Attempts in a row without an acknowledged record, after the first one, before \
                         an error: to reach the server at all, and to write the rest at the end of \
                         the stream or after a stop. In between there is no end to them",
                    )
                    .default_value(client::DEFAULT_RETRIES)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("spool-dir")
                    .nick("Spool folder")
                    .blurb(
                        "Folder where what waits is kept instead of in memory, so that it survives \
                         the process and is written at the next start; one for each server (unset = \
                         none)",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("spool-sync", SpoolSync::default())
                    .nick("Spool sync")
                    .blurb(
                        "When records in spool-dir are synced to the disk, so that they survive a loss \
                         of power",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb(
                        "Counts of this run: records, frames and bytes that the server has, batches \
                         (requests that wrote them), existing (records that it had before), \
                         dropped-records and dropped-frames (for lack of room, or because the entry has \
                         later ones than those of spool-dir, or damaged), damaged-records and \
                         damaged-frames (those of them that were damaged in spool-dir, at least so \
                         many), clock-jumps (how often \
                         the clock of the capture times or the system clock was set), outliers (frames \
                         with wrong capture times, placed between their neighbours), retries, \
                         queue-records and queue-bytes (that wait); all uint64. last-retry (string, if \
                         there was one): its reason",
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
            let name = pspec.name();
            gst::warning!(CAT, imp = self, "{name} can only be set in NULL and READY");
            return;
        }
        lock(&self.settings).set(pspec.name(), value);
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
        obj.set_sync(false);
        // A pipeline whose sink prerolls can lose its EOS (a race in GstBin), and there is nothing to
        // show in PAUSED.
        obj.set_async(false);
    }
}

impl GstObjectImpl for ReductSink {}

impl ElementImpl for ReductSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "ReductStore sink",
                "Sink/Network/Video",
                "Writes H.264 as records of a ReductStore entry with capture times",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst::Caps::builder("video/x-h264")
                .field("stream-format", "byte-stream")
                .field("alignment", "au")
                .build();
            let template = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
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
        // Not in `start`, after whose errors GstBaseSink posts another one.
        if transition == gst::StateChange::ReadyToPaused {
            self.begin_run().map_err(|message| {
                self.post_error_message(message);
                gst::StateChangeError
            })?;
        }
        let changed = match transition {
            gst::StateChange::PausedToPlaying => self.play(),
            _ => {
                let is_pause = transition == gst::StateChange::PlayingToPaused;
                self.is_paused.store(is_pause, Ordering::Relaxed);
                self.parent_change_state(transition)
            }
        };
        // Nor in `stop`, which is for the way to NULL. The streaming thread is out by now.
        let is_over = match transition {
            gst::StateChange::ReadyToPaused => changed.is_err(),
            other => other == gst::StateChange::PausedToReady,
        };
        if is_over {
            self.end_run();
        }
        changed
    }
}

impl URIHandlerImpl for ReductSink {
    const URI_TYPE: gst::URIType = gst::URIType::Sink;

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

impl BaseSinkImpl for ReductSink {
    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let told = self.with_recording(|recording| {
            if let Some(structure) = caps.structure(0) {
                recording.set_format(stream_format(structure));
            }
            self.post_notices(recording)
        });
        match told {
            Err(gst::FlowError::Error) => Err(gst::loggable_error!(CAT, "Recording has failed")),
            _ => Ok(()),
        }
    }

    fn event(&self, event: gst::Event) -> bool {
        match event.type_() {
            gst::EventType::Eos => {
                // After an error, which is posted, a file that lacks frames must not look complete.
                // A wait for the server with the preroll lock held would keep a paused sink from playing.
                let finished = preroll::with_event(self.obj().upcast_ref(), &event)
                    .and_then(|()| self.with_recording(|recording| self.finish(recording)));
                if finished.is_err() {
                    return false;
                }
                self.report_recording();
                self.parent_event(event)
            }
            gst::EventType::FlushStop => {
                // After an error, which is posted, buffers are refused.
                let _ = self.with_recording(|recording| {
                    recording.end();
                    self.post_notices(recording)
                });
                self.parent_event(event)
            }
            _ => self.parent_event(event),
        }
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let capture = self.capture(buffer);
        let content = {
            let map = buffer.map_readable().map_err(|err| {
                gst::element_imp_error!(self, gst::ResourceError::Read, ("{buffer:?}: {err}"));
                gst::FlowError::Error
            })?;
            // A queue that kept buffers would keep encoders and cameras from using them again.
            Bytes::copy_from_slice(&map)
        };
        self.with_recording(|recording| {
            recording.push_stamped(content, capture);
            self.post_notices(recording)?;
            self.hand_over(recording)
        })?;
        Ok(gst::FlowSuccess::Ok)
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.flushing.cancel();
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.flushing.reset();
        Ok(())
    }
}
