// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records with `reductsink`: an encoder's stream, whose frames were captured when a test says, or a
//! recording that another server has.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use super::line::Reading;
use super::pipeline::{Outcome, Pipeline, capture_us};
use super::server::{Record, Server};
use super::stream::Stream;

/// Capture time of the first frame in tests that set one: 2025-06-13T08:50:53.273752Z.
pub const START_US: u64 = 1_749_804_653_273_752;

/// A buffer that reached the sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The access unit.
    pub bytes: Vec<u8>,
    /// Capture time, µs since the Unix epoch, if the buffer has one.
    pub capture_us: Option<u64>,
    /// PTS, in µs of running time.
    pub pts_us: u64,
}

/// `… ! identity name=in ! reductsink name=sink`, recording in entry `e`.
pub struct Recorder {
    /// The pipeline, to be played.
    pub pipeline: Pipeline,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Recorder {
    /// Records what a pipeline's begin makes, with further properties of the sink.
    pub fn new(url: &str, bucket: &str, camera: &str, sink: &str) -> Self {
        let pipeline = Pipeline::launch(&format!(
            "{camera} ! identity name=in ! \
             reductsink name=sink url={url} bucket={bucket} entry=e {sink}"
        ));
        let sent = Arc::<Mutex<Vec<Sent>>>::default();
        let kept = Arc::clone(&sent);
        let pad = pipeline.element("in").static_pad("src");
        pad.expect("a source pad")
            .add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                let buffer = info.buffer().expect("a buffer");
                let Some(pts) = running_time(pad, buffer) else {
                    return gst::PadProbeReturn::Ok;
                };
                kept.lock().expect("no panic while locked").push(Sent {
                    bytes: buffer.map_readable().expect("memory").to_vec(),
                    capture_us: capture_us(buffer),
                    pts_us: pts.useconds(),
                });
                gst::PadProbeReturn::Ok
            });
        Self { pipeline, sent }
    }

    /// Has frames be captured at times that are given for their running times, both in µs.
    pub fn capture(self, time: impl Fn(u64) -> u64 + Send + Sync + 'static) -> Self {
        let pad = self.pipeline.element("in").static_pad("sink");
        pad.expect("a sink pad")
            .add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                let buffer = info.buffer_mut().expect("a buffer").make_mut();
                let Some(pts) = running_time(pad, buffer) else {
                    return gst::PadProbeReturn::Ok;
                };
                let time = gst::ClockTime::from_useconds(time(pts.useconds()));
                let unix = gst::Caps::new_empty_simple("timestamp/x-unix");
                gst::ReferenceTimestampMeta::add(buffer, &unix, time, gst::ClockTime::NONE);
                gst::PadProbeReturn::Ok
            });
        self
    }

    /// The sink.
    pub fn sink(&self) -> gst::Element {
        self.pipeline.element("sink")
    }

    /// Buffers that reached the sink so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("no panic while locked").clone()
    }

    /// Plays until EOS or an error.
    pub fn run(self) -> Recorded {
        self.pipeline.play();
        self.finish()
    }

    /// Waits for EOS or an error while it plays.
    pub fn finish(self) -> Recorded {
        let outcome = self.pipeline.finish(self.pipeline.wait_for_end());
        Recorded {
            outcome,
            stats: self.sink().property("stats"),
            sent: self.sent(),
        }
    }
}

/// The running time of a buffer; `None` where the pad has just been stopped.
fn running_time(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
    segment.to_running_time(buffer.pts())
}

/// Result of a recording.
pub struct Recorded {
    /// Messages of the pipeline.
    pub outcome: Outcome,
    /// `stats` of the sink.
    pub stats: gst::Structure,
    /// Buffers that reached the sink.
    pub sent: Vec<Sent>,
}

impl Recorded {
    /// This recording, if it ended with EOS and without an error.
    #[track_caller]
    pub fn clean(self) -> Self {
        Self {
            outcome: self.outcome.clean(),
            ..self
        }
    }

    /// A counter.
    #[track_caller]
    pub fn stat(&self, name: &str) -> u64 {
        (self.stats.get(name)).unwrap_or_else(|e| panic!("{name} of {}: {e}", self.stats))
    }

    /// The warnings' texts.
    pub fn warnings(&self) -> Vec<String> {
        self.outcome.warning_texts()
    }

    /// The recorded stream.
    pub fn stream(&self, fps: (u32, u32)) -> Stream {
        Stream {
            units: self.sent.iter().map(|sent| sent.bytes.clone()).collect(),
            fps,
        }
    }
}

/// An encoder's stream of some frames at 30 fps, with further properties of x264enc.
pub fn camera(frames: usize, x264enc: &str) -> String {
    format!(
        "videotestsrc pattern=ball num-buffers={frames} ! \
         video/x-raw,format=I420,width=160,height=120,framerate=30/1 ! \
         x264enc key-int-max=15 {x264enc} ! \
         video/x-h264,stream-format=byte-stream,alignment=au"
    )
}

/// The parts of a pipeline that read entry `e` of a bucket.
pub fn copy_of(server: &Server, bucket: &str, source: &str) -> String {
    format!(
        "reductsrc name=source url={} bucket={bucket} entry=e {source}",
        server.url()
    )
}

/// Reads entry `e` with the source and returns the buffers in the form of those that reached the sink.
#[track_caller]
pub fn read_back(server: &Server, bucket: &str) -> Vec<Sent> {
    let read = Reading::new(&server.url(), bucket, "").run().clean();
    let units = read.units();
    let buffers = read.buffers.iter().zip(units);
    let sent = buffers.map(|(buffer, bytes)| Sent {
        bytes,
        capture_us: capture_us(buffer),
        pts_us: buffer.pts().expect("a PTS").useconds(),
    });
    sent.collect()
}

/// The value of a label.
pub fn label<'a>(record: &'a Record, key: &str) -> Option<&'a str> {
    let labels = record.labels.iter();
    labels
        .filter(|(name, _)| name == key)
        .map(|(_, value)| value.as_str())
        .next()
}
