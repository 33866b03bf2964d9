// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Cuts a stream into episodes with a writer that gets one episode after the other.

use std::convert::Infallible;

use super::assign::EpisodeAssigner;
use super::cutter::Cutter;
use super::file_times::FileSettings;
use super::index::{FrameIndex, FrameRow};
use super::input::{InputSegment, InputUnit};
use super::modes::{KeyframeMode, SplitMode};
use super::picture_format::DeclaredFormat;
use super::policy::{Config, Episode};
use super::writer::{CutOutputs, Dropped, EpisodeBegin, EpisodeSample, EpisodeWriter, SampleRole};
use crate::codec::h264::ParameterSets;
use crate::mp4::Description;
use crate::time::Nanos;

/// Cuts a stream into episodes, which `W` writes one after the other, and makes a row of each frame
/// [on request](Self::with_rows).
///
/// In [`SplitMode::AtMost`](super::SplitMode::AtMost) the last group of pictures is kept in memory.
///
/// ```
/// use media::assemble::Assembler;
/// use media::cut::policy::{Config, Episode};
/// use media::cut::{
///     EpisodeBegin, EpisodeSample, EpisodeWriter, Episodes, FileSettings, InputUnit, PictureFacts,
///     PictureFormat,
/// };
/// use media::mp4::Description;
/// use media::time::Nanos;
///
/// /// Prints the names of episodes.
/// struct Printer;
///
/// impl EpisodeWriter for Printer {
///     type Payload = Vec<u8>;
///     type Format = PictureFormat;
///     type Error = std::io::Error;
///
///     fn begin(&mut self, begin: EpisodeBegin<PictureFormat>) -> std::io::Result<()> {
///         println!("Episode {}", begin.index);
///         Ok(())
///     }
///
///     fn sample(&mut self, _: EpisodeSample<Vec<u8>>) -> std::io::Result<()> {
///         Ok(())
///     }
///
///     fn end(&mut self, episode: Episode, _: Description) -> std::io::Result<()> {
///         println!("{} frames, {}", episode.frames, episode.reason.name());
///         Ok(())
///     }
/// }
///
/// fn cut(stream: bytes::Bytes) -> std::io::Result<()> {
///     let config = Config {
///         duration: Some(Nanos::from_seconds(2)),
///         ..Config::default()
///     };
///     let mut episodes = Episodes::new(config, FileSettings::default(), Printer);
///     let mut assembler = Assembler::default();
///     assembler.push(stream, (), |_, _| ());
///     assembler.end_run();
///     let mut pts = Nanos::ZERO;
///     while let Some((unit, _)) = assembler.pop() {
///         let mut payload = Vec::new();
///         let picture = PictureFacts::read(&unit, |nal| payload.extend(nal));
///         episodes.push(InputUnit {
///             bytes: payload.len(),
///             payload,
///             pts: Some(pts),
///             dts: None,
///             duration: None,
///             capture: None,
///             is_discont: unit.after_loss,
///             is_corrupted: false,
///             picture,
///         })?;
///         pts += Nanos::from_mseconds(40);
///     }
///     episodes.finish()?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Episodes<W: EpisodeWriter> {
    cutter: Cutter<W::Payload, W::Format, Infallible>,
    outputs: CutOutputs<W::Payload, W::Format, Infallible>,
    mode: SplitMode,
    /// `None` if no rows are made.
    index: Option<FrameIndex>,
    rows: Vec<FrameRow>,
    writer: OrderedWriter<W>,
}

impl<W> Episodes<W>
where
    W: EpisodeWriter<Payload: Clone, Format: DeclaredFormat + Default>,
{
    /// Cuts a stream that begins, with `writer`.
    pub fn new(config: Config, settings: FileSettings, writer: W) -> Self {
        let mode = config.mode;
        Self {
            cutter: Cutter::new(config, settings),
            outputs: Vec::new(),
            mode,
            index: None,
            rows: Vec::new(),
            writer: OrderedWriter {
                writer,
                assigner: EpisodeAssigner::new(mode),
                held_bytes: 0,
            },
        }
    }

    /// Makes a row of each frame, which the caller [takes](Self::take_rows) from time to time: rows are kept until
    /// then.
    pub fn with_rows(mut self) -> Self {
        self.index = Some(FrameIndex::new(self.mode));
        self
    }

    /// Takes over the declared format of the access units that follow, see [`Cutter::declare`].
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn declare(
        &mut self,
        declared: W::Format,
        sets: Option<ParameterSets>,
    ) -> Result<(), W::Error> {
        self.cutter.declare(declared, sets, &mut self.outputs);
        self.carry_out()
    }

    /// Begins a segment, see [`Cutter::begin_segment`].
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn begin_segment(&mut self, segment: InputSegment) -> Result<Nanos, W::Error> {
        let delay = self.cutter.begin_segment(segment, &mut self.outputs);
        self.carry_out()?;
        Ok(delay)
    }

    /// Notes that a pause precedes the next access unit, which is to be kept even if it is discontinuous.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn note_pause(&mut self) -> Result<(), W::Error> {
        self.cutter.note_pause(&mut self.outputs);
        self.carry_out()
    }

    /// Counts access units before the next one that cannot be decoded.
    pub fn drop_undecodable(&mut self, units: u64) {
        self.cutter.drop_undecodable(units);
    }

    /// Takes the next access unit in decoding order.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn push(&mut self, unit: InputUnit<W::Payload>) -> Result<(), W::Error> {
        self.cutter.push(unit, &mut self.outputs);
        self.carry_out()
    }

    /// Ends the stream, and with it the last episode. Returns the access units that were dropped since the
    /// last keyframe.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(&mut self) -> Result<Dropped, W::Error> {
        let dropped = self.cutter.finish(&mut self.outputs);
        self.carry_out()?;
        Ok(dropped)
    }

    /// Removes the limits of duration and size: access units that are held back, and those that follow, belong
    /// to the running episode, unless a gap or another format ends it.
    pub fn lift_limits(&mut self) {
        self.cutter.lift_limits();
    }

    /// Returns the rows of frames whose episode is known, each once; none without [`with_rows`](Self::with_rows).
    pub fn take_rows(&mut self) -> impl Iterator<Item = FrameRow> + '_ {
        self.rows.drain(..)
    }

    /// Returns the memory, in bytes, of samples that are kept until their episode is known: those of the last group of
    /// pictures in [`SplitMode::AtMost`](super::SplitMode::AtMost). The caller decides how much is too much.
    pub fn held_bytes(&self) -> usize {
        self.writer.held_bytes
    }

    /// Returns the number of access units so far that no episode has.
    pub fn dropped(&self) -> u64 {
        self.cutter.dropped()
    }

    /// Returns the keyframe mode in which a stream without keyframes, or without one at its limit, would have some.
    pub fn helpful_mode(&self) -> Option<KeyframeMode> {
        self.cutter.helpful_mode()
    }

    /// Returns whether there was a keyframe, so that there is an episode.
    pub fn has_episodes(&self) -> bool {
        self.cutter.has_episodes()
    }

    /// Returns the writer.
    pub fn writer(&self) -> &W {
        &self.writer.writer
    }

    /// Returns the writer, to be changed. Calls of an [`EpisodeWriter`] are not for the caller.
    pub fn writer_mut(&mut self) -> &mut W {
        &mut self.writer.writer
    }

    /// Takes the writer, after [`finish`](Self::finish).
    pub fn into_writer(self) -> W {
        self.writer.writer
    }

    fn carry_out(&mut self) -> Result<(), W::Error> {
        for output in self.outputs.drain(..) {
            if let Some(index) = &mut self.index {
                index.follow(&output, &mut self.rows);
            }
            // Notices need no action: samples have their times, and `helpful_mode` is asked for.
            output.carry_out(&mut self.writer)?;
        }
        Ok(())
    }
}

/// Memory of a sample besides its bytes: its times, and the places of its NAL units.
const SAMPLE_MEMORY: usize = 512;

/// Returns the memory of a sample in bytes.
fn memory<P>(sample: &EpisodeSample<P>) -> usize {
    sample.bytes + SAMPLE_MEMORY
}

/// A writer that gets each sample after the begin of its episode, whatever the mode.
#[derive(Debug)]
struct OrderedWriter<W: EpisodeWriter> {
    writer: W,
    assigner: EpisodeAssigner<EpisodeSample<W::Payload>>,
    /// Memory of the samples that the assigner holds back, in bytes.
    held_bytes: usize,
}

impl<W: EpisodeWriter> EpisodeWriter for OrderedWriter<W> {
    type Payload = W::Payload;
    type Format = W::Format;
    type Error = W::Error;

    fn begin(&mut self, begin: EpisodeBegin<W::Format>) -> Result<(), W::Error> {
        self.assigner.begin(begin.index);
        self.writer.begin(EpisodeBegin {
            has_first_group: false,
            ..begin
        })
    }

    fn sample(&mut self, sample: EpisodeSample<W::Payload>) -> Result<(), W::Error> {
        let starts_group = sample.role == SampleRole::Keyframe;
        self.held_bytes += memory(&sample);
        let mut known = self.assigner.add(sample, starts_group);
        known.try_for_each(|assigned| {
            self.held_bytes -= memory(&assigned.item);
            self.writer.sample(assigned.item)
        })
    }

    fn end(&mut self, episode: Episode, description: Description) -> Result<(), W::Error> {
        let mut rest = self.assigner.end(episode.samples());
        rest.try_for_each(|assigned| {
            self.held_bytes -= memory(&assigned.item);
            self.writer.sample(assigned.item)
        })?;
        drop(rest);
        self.writer.end(episode, description)
    }
}

#[cfg(test)]
mod tests;
