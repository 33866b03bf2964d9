// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of a run of the bin: from the events and buffers of the sink pad to the output of the cutter.

use media::cut::names::Pattern;
use media::cut::policy::Config;
use media::cut::{CutOutputs, Cutter, Dropped, FileSettings, Files, InputUnit};
use media::time::CaptureTime;

use super::IndexFormat;
use super::caps::{self, StreamCaps};
use super::gate;
use super::intake::{Intake, ParsedBuffer};
use super::sample_captures::EpisodeCaptures;
use super::segments::Segments;
use super::splitmux_state::SplitMuxState;
use crate::convert::ToNanos;
use crate::{capture_time, pause_event};

/// Outputs of the cutter, of which items are serialized events.
pub type Outputs = CutOutputs<gst::Buffer, StreamCaps, gst::Event>;

/// A run of the bin, from READY to READY.
#[derive(Debug)]
pub struct Run {
    pub files: Files,
    pub entry: gate::Entry,
    /// State of splitmuxsink.
    pub splitmux: SplitMuxState,
    intake: Intake,
    segments: Segments,
    cutter: Cutter<gst::Buffer, StreamCaps, gst::Event>,
    /// `None` if files get no index.
    captures: Option<EpisodeCaptures>,
}

impl Run {
    /// Creates the state of a run that begins.
    pub fn new(
        config: Config,
        pattern: Pattern,
        settings: FileSettings,
        index: IndexFormat,
    ) -> Self {
        let mode = config.mode;
        Self {
            captures: (index != IndexFormat::None).then(|| EpisodeCaptures::new(mode)),
            files: Files::new(pattern),
            entry: gate::Entry::default(),
            splitmux: SplitMuxState::default(),
            intake: Intake::default(),
            segments: Segments::default(),
            cutter: Cutter::new(config, settings),
        }
    }

    /// Returns the cutter, for facts about the stream.
    pub fn cutter(&self) -> &Cutter<gst::Buffer, StreamCaps, gst::Event> {
        &self.cutter
    }

    /// Takes a serialized event other than EOS.
    pub fn event(&mut self, event: &gst::Event, outputs: &mut Outputs) {
        let is_pause = pause_event::is_one(event);
        if is_pause
            || matches!(
                event.view(),
                gst::EventView::Caps(_) | gst::EventView::Segment(_) | gst::EventView::Gap(_)
            )
        {
            self.intake.end_run();
            self.access_units(outputs);
            self.cutter.interrupt(outputs);
        }
        match event.view() {
            gst::EventView::Caps(event) => {
                self.intake.set_caps(event.caps());
                let declared = StreamCaps::new(event.caps_owned());
                let sets = caps::parameter_sets(event.caps());
                self.cutter.declare(declared, sets, outputs);
            }
            _ if is_pause => {
                self.cutter.note_pause(outputs);
                self.segments.note_pause();
            }
            gst::EventView::Segment(_) => self.segments.set_next(event),
            gst::EventView::Gap(_) if !self.cutter.has_episodes() => {}
            gst::EventView::Gap(_) => {
                self.begin_segment(None, outputs);
                self.cutter.pass(event.clone(), outputs);
            }
            _ => self.cutter.pass(event.clone(), outputs),
        }
    }

    /// Takes the next buffer.
    pub fn buffer(&mut self, buffer: gst::Buffer, outputs: &mut Outputs) {
        self.intake.push(buffer);
        self.access_units(outputs);
    }

    /// Notes the capture times of samples that the cutter has put out, if files get an index.
    pub fn note_captures(&mut self, outputs: &Outputs) {
        if let Some(captures) = &mut self.captures {
            captures.note(outputs);
        }
    }

    /// Takes the capture times of the samples of an episode, if its file gets an index.
    pub fn take_captures(&mut self, episode: u32) -> Option<Vec<Option<CaptureTime>>> {
        self.captures
            .as_mut()
            .map(|captures| captures.take(episode))
    }

    /// Drops everything that came in and is not passed on.
    pub fn flush(&mut self) {
        self.intake.flush();
        self.cutter.flush();
    }

    /// Ends the stream. Returns the access units that were dropped since the last keyframe.
    pub fn finish(&mut self, outputs: &mut Outputs) -> Dropped {
        self.intake.end_run();
        self.access_units(outputs);
        self.cutter.finish(outputs)
    }

    fn access_units(&mut self, outputs: &mut Outputs) {
        loop {
            let parsed = self.intake.pop();
            self.cutter.drop_undecodable(self.intake.take_dropped());
            let Some(parsed) = parsed else {
                return;
            };
            self.begin_segment(Some(&parsed.buffer), outputs);
            let unit = self.input_unit(parsed);
            self.cutter.push(unit, outputs);
        }
    }

    /// Begins the segment that came into force, if there is one, for the first access unit in it.
    fn begin_segment(&mut self, first: Option<&gst::BufferRef>, outputs: &mut Outputs) {
        if let Some(begun) = self.segments.begin(first, self.cutter.has_episodes()) {
            let delay = self.cutter.begin_segment(begun.input, outputs);
            self.cutter.pass(begun.event(delay), outputs);
        }
    }

    fn input_unit(&self, parsed: ParsedBuffer) -> InputUnit<gst::Buffer> {
        let ParsedBuffer { buffer, picture } = parsed;
        let flags = buffer.flags();
        InputUnit {
            bytes: buffer.size(),
            pts: self.segments.running_time(buffer.pts()),
            dts: self.segments.running_time(buffer.dts()),
            duration: self.segments.running_duration(buffer.duration()),
            capture: capture_time::of(&buffer).nanos().map(CaptureTime::new),
            is_discont: flags.contains(gst::BufferFlags::DISCONT),
            is_corrupted: flags.contains(gst::BufferFlags::CORRUPTED),
            picture,
            payload: buffer,
        }
    }
}
