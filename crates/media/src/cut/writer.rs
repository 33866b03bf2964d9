// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writers of episodes, and the cutter's output that they carry out.

use super::format::FileFormat;
use super::modes::KeyframeMode;
use super::policy::Episode;
use crate::mp4::{Description, Timescale};
use crate::time::{CaptureTime, Nanos};

/// A writer of episodes, such as a muxer that makes a file of each.
///
/// Calls come in this order: [`begin`](Self::begin), [`sample`](Self::sample) for each sample of the
/// episode in decoding order, the first of which is a keyframe, and [`end`](Self::end); then the same for
/// the next episode, whose index is one higher.
///
/// The output of a [`Cutter`](super::Cutter) has one exception to this order, in
/// [`SplitMode::AtMost`](super::SplitMode::AtMost) only: at the end of a group of pictures it is known
/// whether the group fits the episode, but its samples have been handed over by then. If it does not fit,
/// `end` and `begin` follow behind the group, and [`EpisodeBegin::has_first_group`] is set. A writer that
/// keeps the last group, as splitmuxsink does, can be driven that way.
/// [`Episodes`](super::Episodes) keeps the group for any other writer.
///
/// After an error the writer is not called any more.
pub trait EpisodeWriter {
    /// Contents of a sample.
    type Payload;
    /// The declared format of the stream.
    type Format;
    /// A failure to write.
    type Error;

    /// Begins an episode.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    fn begin(&mut self, begin: EpisodeBegin<Self::Format>) -> Result<(), Self::Error>;

    /// Adds the next sample.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    fn sample(&mut self, sample: EpisodeSample<Self::Payload>) -> Result<(), Self::Error>;

    /// Ends the episode, which has all its samples. `description` has times and the edit list of its
    /// file.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    fn end(&mut self, episode: Episode, description: Description) -> Result<(), Self::Error>;
}

/// The begin of an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeBegin<D> {
    /// Number of the episode, from 0.
    pub index: u32,
    /// Running time of the PTS of its first sample.
    pub running_time: Nanos,
    /// Capture time of the first frame that is shown, since the Unix epoch.
    pub capture: Option<CaptureTime>,
    /// Access units before it that no episode has.
    pub dropped: Dropped,
    /// Format of its file.
    pub format: FileFormat<D>,
    /// Time scale in which frames of its file last whole numbers of ticks, if the times allow that.
    pub timescale: Timescale,
    /// Its first group of pictures was handed over already: the samples from the last keyframe on.
    pub has_first_group: bool,
}

/// Access units that no episode has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Number of access units.
    pub count: u64,
    /// Distance of the first of them from what precedes it, if that is longer than a file can count. The
    /// others need it.
    pub distance: Option<Nanos>,
}

/// A sample of an episode. All times are running times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeSample<P> {
    /// Contents, as they came in.
    pub payload: P,
    /// Size of the payload in bytes.
    pub bytes: usize,
    /// Presentation timestamp.
    pub pts: Nanos,
    /// Decoding timestamp.
    pub dts: Nanos,
    /// The DTS is another one than that of the access unit: it makes up for access units that were
    /// dropped.
    pub is_dts_moved: bool,
    /// Duration of the picture.
    pub duration: Nanos,
    /// Duration of the sample if it is the last one of its file: until the end of the part that is shown
    /// last, counted in DTS. All others last until the next DTS.
    pub duration_at_end: Nanos,
    /// Capture time since the Unix epoch, if it is known.
    pub capture: Option<CaptureTime>,
    /// Role of the sample in its group of pictures.
    pub role: SampleRole,
    /// It is not shown: only a decoder needs it.
    pub is_hidden: bool,
    /// It is damaged, or refers to pictures that are missing.
    pub is_corrupted: bool,
}

/// Role of a sample in its group of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleRole {
    /// A group begins with it, and an episode can.
    Keyframe,
    /// The group has become long, and nothing before this sample is cut off any more: a writer that keeps
    /// groups in memory can write what it has.
    Part,
    /// All others.
    Delta,
}

/// Output of the cutter. Outputs are in order.
///
/// `P` is the payload, `D` the declared format, and `I` an item that passes between samples.
#[derive(Debug)]
pub enum CutOutput<P, D, I> {
    /// An episode begins.
    Begin(EpisodeBegin<D>),
    /// The next sample.
    Sample(EpisodeSample<P>),
    /// An episode has all its samples.
    End(Episode, Description),
    /// Any other output, which is not for a writer.
    Notice(CutNotice<I>),
}

/// Outputs of the cutter, in order.
pub type CutOutputs<P, D, I> = Vec<CutOutput<P, D, I>>;

/// Output of the cutter besides the calls of a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutNotice<I> {
    /// An item that was [passed](super::Cutter::pass) in, at its place between the samples.
    Item(I),
    /// From here on, running times are later by this time than the delay of their segment says.
    Delayed(Nanos),
    /// The limit is reached, and the episode would end in this keyframe mode. Emitted once.
    PassedEntry(KeyframeMode),
}

impl<P, D, I> CutOutput<P, D, I> {
    /// Carries out an output with `writer`. Returns it if it is not for a writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn carry_out<W>(self, writer: &mut W) -> Result<Option<CutNotice<I>>, W::Error>
    where
        W: EpisodeWriter<Payload = P, Format = D>,
    {
        match self {
            Self::Begin(begin) => writer.begin(begin)?,
            Self::Sample(sample) => writer.sample(sample)?,
            Self::End(episode, description) => writer.end(episode, description)?,
            Self::Notice(notice) => return Ok(Some(notice)),
        }
        Ok(None)
    }
}
