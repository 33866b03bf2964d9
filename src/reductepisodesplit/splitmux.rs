// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! splitmuxsink as a writer of episodes.

use gst::prelude::*;
use gst::subclass::prelude::*;
use media::cut::names::LocationError;
use media::cut::policy::Episode;
use media::cut::{
    CutNotice, DeclaredFormat, EpisodeBegin, EpisodeSample, EpisodeWriter, SampleRole,
};
use media::mp4::Description;

use super::CAT;
use super::caps::StreamCaps;
use super::element::ReductEpisodeSplit;
use super::marks::PART_OF_GROUP;
use super::messages;
use super::run::{Outputs, Run};
use crate::convert::ToClockTime;
use crate::lock::lock;

/// Writer of episodes: requests the cuts of splitmuxsink, and sends it caps, segments and access units.
///
/// The state of the run is locked for a moment only: never while something is pushed, sent or posted.
pub struct SplitMux<'a> {
    bin: &'a ReductEpisodeSplit,
    pad: &'a gst::GhostPad,
}

/// A reason to end the stream.
#[derive(Debug)]
pub enum WriteError {
    /// splitmuxsink takes no more.
    Flow(gst::FlowError),
    /// The first episode cannot get a name.
    Name(LocationError),
}

impl From<gst::FlowError> for WriteError {
    fn from(error: gst::FlowError) -> Self {
        Self::Flow(error)
    }
}

impl<'a> SplitMux<'a> {
    /// Returns a writer for access units of the sink pad.
    pub fn new(bin: &'a ReductEpisodeSplit, pad: &'a gst::GhostPad) -> Self {
        Self { bin, pad }
    }

    /// Carries out what the cutter put out.
    pub fn carry_out(&mut self, outputs: Outputs) -> Result<(), WriteError> {
        for output in outputs {
            match output.carry_out(self)? {
                None => {}
                Some(CutNotice::Item(event)) => {
                    let event = self.run(|run| Ok(run.splitmux.pass(event)))?;
                    event.into_iter().for_each(|event| self.send(event));
                }
                Some(CutNotice::Delayed(delay)) => {
                    let segment = self.run(|run| Ok(run.splitmux.delay(delay)))?;
                    self.send(segment);
                }
                Some(CutNotice::PassedEntry(mode)) => {
                    let (entries, mode) = messages::keyframe_mode(mode);
                    gst::element_imp_warning!(
                        self.bin,
                        gst::StreamError::Mux,
                        ("The limit is reached, but there is no further IDR picture to cut at: the stream has \
                          {entries}. With keyframe-mode={mode} the episode would end there")
                    );
                }
            }
        }
        Ok(())
    }

    /// Has splitmuxsink complete its groups of pictures at the end of the stream.
    pub fn complete_groups(&mut self) -> Result<(), WriteError> {
        let buffers = self.run(|run| Ok(run.splitmux.completing_buffers()))?;
        for buffer in buffers {
            self.push(buffer)?;
        }
        Ok(())
    }

    /// Applies a function to the state of the run, which is locked meanwhile.
    fn run<T>(
        &self,
        apply: impl FnOnce(&mut Run) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        match self.bin.run().as_mut() {
            Some(run) => apply(run),
            None => Err(gst::FlowError::Flushing.into()),
        }
    }

    fn send(&self, event: gst::Event) {
        gst::debug!(CAT, imp = self.bin, "Sending {event:?}");
        gst::Pad::event_default(self.pad, Some(&*self.bin.obj()), event);
    }

    fn push(&self, buffer: gst::Buffer) -> Result<(), WriteError> {
        gst::ProxyPad::chain_default(self.pad, Some(&*self.bin.obj()), buffer)?;
        Ok(())
    }

    /// Requests a keyframe where an episode that begins at `begin` reaches its limit.
    fn request_keyframe_after(&self, begin: gst::ClockTime) {
        let (requested, limit) = {
            let settings = lock(&self.bin.settings);
            (settings.send_keyframe_requests, settings.duration)
        };
        let Some(limit) = limit.filter(|_| requested) else {
            return;
        };
        let request = gst_video::UpstreamForceKeyUnitEvent::builder()
            .running_time(begin.saturating_add(limit))
            .all_headers(true)
            .build();
        gst::debug!(CAT, imp = self.bin, "Requesting a keyframe: {request:?}");
        if !self.pad.push_event(request) {
            gst::debug!(
                CAT,
                imp = self.bin,
                "No upstream element handles force-key-unit"
            );
        }
    }
}

impl EpisodeWriter for SplitMux<'_> {
    type Payload = gst::Buffer;
    type Format = StreamCaps;
    type Error = WriteError;

    fn begin(&mut self, begin: EpisodeBegin<StreamCaps>) -> Result<(), WriteError> {
        let (events, cut_at) = self.run(|run| {
            let rate = begin.format.declared.frame_rate();
            let named = run.files.begin(begin.index, begin.capture, rate);
            named.map_err(WriteError::Name)?;
            let cut_at = run.splitmux.cut_at(&begin).clock_time();
            Ok((run.splitmux.begin(&begin), cut_at))
        })?;
        events.for_each(|event| self.send(event));
        // The first episode has no file before it.
        if begin.index > 0
            && let Some(children) = self.bin.children()
        {
            gst::debug!(CAT, imp = self.bin, "Cutting at {cut_at}");
            let time = cut_at.nseconds();
            children
                .splitter
                .emit_by_name::<()>("split-at-running-time", &[&time]);
        }
        if begin.dropped.count > 0 {
            let text = messages::dropped(begin.dropped, "a keyframe");
            gst::element_imp_warning!(self.bin, gst::StreamError::Decode, ("{text}"));
        }
        self.request_keyframe_after(begin.running_time.clock_time());
        Ok(())
    }

    fn sample(&mut self, sample: EpisodeSample<gst::Buffer>) -> Result<(), WriteError> {
        let dts = self.run(|run| Ok(run.splitmux.note(&sample)))?;
        let mut buffer = sample.payload;
        let contents = buffer.make_mut();
        if dts.is_some() {
            contents.set_dts(dts);
        }
        contents.set_duration(sample.duration_at_end.clock_time());
        contents.unset_flags(gst::BufferFlags::DELTA_UNIT | PART_OF_GROUP);
        contents.set_flags(match sample.role {
            SampleRole::Keyframe => gst::BufferFlags::empty(),
            SampleRole::Part => PART_OF_GROUP,
            SampleRole::Delta => gst::BufferFlags::DELTA_UNIT,
        });
        self.push(buffer)
    }

    fn end(&mut self, episode: Episode, description: Description) -> Result<(), WriteError> {
        self.run(|run| {
            run.files.end(episode, description);
            Ok(())
        })
    }
}
