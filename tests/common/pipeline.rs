// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Runs pipelines to their end and keeps what they said.

use std::error::Error;
use std::fmt::Write;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;

/// Time limit of a test's pipeline: much longer than any needs, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A pipeline that goes to NULL with this value, also in a test that panics.
pub struct Pipeline(gst::Pipeline);

impl Deref for Pipeline {
    type Target = gst::Pipeline;

    fn deref(&self) -> &gst::Pipeline {
        &self.0
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

impl Pipeline {
    /// Builds a pipeline from gst-launch's notation.
    pub fn launch(description: &str) -> Self {
        super::init();
        let element =
            gst::parse::launch(description).unwrap_or_else(|e| panic!("{description}: {e}"));
        Self(element.downcast().unwrap_or_else(|element| {
            let pipeline = gst::Pipeline::new();
            pipeline.add(&element).expect("an element without a parent");
            pipeline
        }))
    }

    /// One of its elements.
    pub fn element(&self, name: &str) -> gst::Element {
        self.by_name(name)
            .unwrap_or_else(|| panic!("no element {name}"))
    }

    /// Keeps all samples that reach the `appsink` of this name; call it before playing.
    pub fn collect(&self, name: &str) -> Samples {
        let sink: gst_app::AppSink = self.element(name).downcast().expect("an appsink");
        sink.set_sync(false);
        let samples = Samples::default();
        let kept = Arc::clone(&samples.0);
        sink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    let sample = own(&sample);
                    kept.lock().expect("no panic while locked").push(sample);
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        samples
    }

    /// Calls `happen` on the streaming thread before each buffer that an element pushes, with the
    /// buffer's index from 0 and the element.
    pub fn before_buffers(
        &self,
        element: &str,
        happen: impl FnMut(usize, &gst::Element) + Send + 'static,
    ) {
        let pad = self.element(element).static_pad("src");
        let calls = Mutex::new((0, happen));
        pad.expect("a source pad")
            .add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
                let (index, happen) = &mut *calls.lock().expect("no panic while locked");
                happen(*index, &pad.parent_element().expect("an element"));
                *index += 1;
                gst::PadProbeReturn::Ok
            });
    }

    /// Starts it; what goes wrong is on the bus.
    pub fn play(&self) {
        let _ = self.set_state(gst::State::Playing);
    }

    /// Plays until EOS or an error and gives all messages.
    pub fn run(&self) -> Outcome {
        self.play();
        let messages = self.wait_for_end();
        self.finish(messages)
    }

    /// Waits until EOS or an error and gives the messages so far.
    pub fn wait_for_end(&self) -> Vec<gst::Message> {
        let mut messages = Vec::new();
        self.wait(&mut messages, |message| {
            matches!(
                message.type_(),
                gst::MessageType::Eos | gst::MessageType::Error
            )
        });
        messages
    }

    /// Collects messages up to and with the first that `wanted` likes.
    pub fn wait(
        &self,
        messages: &mut Vec<gst::Message>,
        wanted: impl Fn(&gst::Message) -> bool,
    ) -> gst::Message {
        let bus = self.bus().expect("a pipeline has a bus");
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = gst::ClockTime::from_nseconds(left.as_nanos() as u64);
            let Some(message) = bus.timed_pop(left) else {
                panic!(
                    "nothing for {LIMIT:?} after these messages:\n{}",
                    text(messages)
                );
            };
            messages.push(message.clone());
            if wanted(&message) {
                return message;
            }
        }
    }

    /// Ends it and adds what it still says: a second error would be among that.
    pub fn finish(&self, mut messages: Vec<gst::Message>) -> Outcome {
        // Not NULL yet: that flushes the bus.
        let _ = self.set_state(gst::State::Ready);
        let bus = self.bus().expect("a pipeline has a bus");
        messages.extend(std::iter::from_fn(|| bus.pop()));
        let _ = self.set_state(gst::State::Null);
        Outcome::new(messages)
    }
}

/// Copies a sample: appsink reuses its own one, and GStreamer 1.22 logs a critical warning if there
/// is another reference to it.
pub fn own(sample: &gst::SampleRef) -> gst::Sample {
    sample.to_owned()
}

/// A counter among the `stats` of an element.
#[track_caller]
pub fn stat(element: &gst::Element, name: &str) -> u64 {
    let stats: gst::Structure = element.property("stats");
    (stats.get(name)).unwrap_or_else(|e| panic!("{name} of {stats}: {e}"))
}

/// The samples that reached an `appsink`.
#[derive(Clone, Default)]
pub struct Samples(Arc<Mutex<Vec<gst::Sample>>>);

impl Samples {
    /// Those that came so far.
    pub fn get(&self) -> Vec<gst::Sample> {
        self.0.lock().expect("no panic while locked").clone()
    }

    /// The buffers of those.
    pub fn buffers(&self) -> Vec<gst::Buffer> {
        self.get()
            .iter()
            .filter_map(|sample| sample.buffer_owned())
            .collect()
    }
}

/// A buffer's capture time, µs since the Unix epoch.
pub fn capture_us(buffer: &gst::BufferRef) -> Option<u64> {
    buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find(|meta| {
            meta.reference()
                .structure(0)
                .is_some_and(|s| s.name() == "timestamp/x-unix")
        })
        .map(|meta| meta.timestamp().useconds())
}

/// A finished episode, from its `reduct-episode` message.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Number, from 0.
    pub index: u32,
    /// The file.
    pub location: PathBuf,
    /// Capture time of its first frame, µs since the Unix epoch, where it is known.
    pub start_us: Option<u64>,
    /// Duration.
    pub duration: gst::ClockTime,
    /// Number of frames.
    pub frames: u64,
    /// Number of access units that are decoded and not shown.
    pub hidden: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Reason of its end.
    pub reason: String,
    /// Number of access units that were dropped before its IDR.
    pub dropped: u64,
    /// The file of its index, if there is one.
    pub frame_index: Option<PathBuf>,
}

impl Episode {
    /// Reads a `reduct-episode` structure.
    fn new(structure: &gst::StructureRef) -> Self {
        let episode = || -> Result<Self, Box<dyn Error>> {
            Ok(Self {
                index: structure.get("index")?,
                location: structure.get::<String>("location")?.into(),
                start_us: structure.get_optional("start")?,
                duration: gst::ClockTime::from_nseconds(structure.get("duration")?),
                frames: structure.get("frames")?,
                hidden: structure.get("hidden")?,
                bytes: structure.get("bytes")?,
                reason: structure.get("reason")?,
                dropped: structure.get("dropped")?,
                frame_index: structure
                    .get_optional::<String>("frame-index")?
                    .map(Into::into),
            })
        };
        episode().unwrap_or_else(|e| panic!("{structure}: {e}"))
    }
}

/// Messages of a pipeline.
pub struct Outcome {
    /// EOS was posted.
    pub eos: bool,
    /// Errors and their debug texts.
    pub errors: Vec<(gst::glib::Error, Option<String>)>,
    /// Warnings and their debug texts.
    pub warnings: Vec<(gst::glib::Error, Option<String>)>,
    /// The structures of element messages.
    pub elements: Vec<gst::Structure>,
    /// All messages.
    pub messages: Vec<gst::Message>,
}

impl Outcome {
    /// Sorts messages.
    fn new(messages: Vec<gst::Message>) -> Self {
        let mut outcome = Self {
            eos: false,
            errors: Vec::new(),
            warnings: Vec::new(),
            elements: Vec::new(),
            messages: Vec::new(),
        };
        for message in &messages {
            match message.view() {
                gst::MessageView::Eos(_) => outcome.eos = true,
                gst::MessageView::Error(m) => {
                    outcome.errors.push((m.error(), m.debug().map(Into::into)));
                }
                gst::MessageView::Warning(m) => {
                    outcome
                        .warnings
                        .push((m.error(), m.debug().map(Into::into)));
                }
                gst::MessageView::Element(m) => {
                    outcome
                        .elements
                        .extend(m.structure().map(ToOwned::to_owned));
                }
                _ => {}
            }
        }
        outcome.messages = messages;
        outcome
    }

    /// This outcome, if it is EOS without an error.
    #[track_caller]
    pub fn clean(self) -> Self {
        assert!(
            self.eos && self.errors.is_empty(),
            "no clean EOS:\n{}",
            self.text()
        );
        self
    }

    /// The only error, by domain, code and texts.
    #[track_caller]
    pub fn error(&self) -> &(gst::glib::Error, Option<String>) {
        assert_eq!(self.errors.len(), 1, "one error in:\n{}", self.text());
        &self.errors[0]
    }

    /// The warnings' texts.
    pub fn warning_texts(&self) -> Vec<String> {
        let warnings = self.warnings.iter();
        warnings
            .map(|(warning, _)| warning.message().into())
            .collect()
    }

    /// The finished episodes in their order.
    pub fn episodes(&self) -> Vec<Episode> {
        let found = self
            .elements
            .iter()
            .filter(|s| s.name() == "reduct-episode");
        found.map(|structure| Episode::new(structure)).collect()
    }

    /// All messages, a line each.
    pub fn text(&self) -> String {
        text(&self.messages)
    }
}

/// Messages, a line each.
fn text(messages: &[gst::Message]) -> String {
    messages.iter().fold(String::new(), |mut text, message| {
        // The view's text has the error's own, which the message's lacks.
        writeln!(text, "{:?}", message.view()).expect("a string takes all");
        text
    })
}
