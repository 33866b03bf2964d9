// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Episodes as MP4 files, whose outputs the caller opens.

use std::io::{self, Write};

use super::file_times::HeaderKind;
use super::picture_format::PictureFormat;
use super::policy::Episode;
use super::writer::{EpisodeBegin, EpisodeSample, EpisodeWriter, SampleRole};
use crate::access_unit::Chunk;
use crate::mp4::{
    Description, FileParts, FileWriteError, FragmentWriter, MoovPlace, PlainWriter, Sample,
    SampleFacts, SamplePayload, VideoTrack,
};
use crate::time::Nanos;

/// Layout of the files of episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileLayout {
    /// All samples in a row.
    Plain(MoovPlace),
    /// Fragments of whole groups of pictures.
    Fragments {
        /// Duration after which a fragment ends at the next keyframe.
        min_duration: Nanos,
    },
}

impl Default for FileLayout {
    fn default() -> Self {
        Self::Plain(MoovPlace::default())
    }
}

impl FileLayout {
    /// Returns the kind of header that the [settings](super::FileSettings) of the cutter need for this layout.
    pub fn header(self) -> HeaderKind {
        match self {
            // The header is written when all samples are known, wherever it stands.
            Self::Plain(_) => HeaderKind::Last,
            Self::Fragments { .. } => HeaderKind::Fragments,
        }
    }
}

/// Opens and closes the outputs of episodes, such as files.
pub trait EpisodeOutputs {
    /// Output of one episode. Samples come in small pieces: an output that makes a system call of each should be
    /// buffered.
    type Output: Write;

    /// Opens the output of an episode that begins.
    ///
    /// # Errors
    ///
    /// The output cannot be opened; the export ends.
    fn open(&mut self, begin: &EpisodeBegin<PictureFormat>) -> io::Result<Self::Output>;

    /// Closes the output of an episode, which has all its samples.
    ///
    /// # Errors
    ///
    /// The output cannot be closed; the export ends.
    fn close(&mut self, file: EpisodeFile<Self::Output>) -> io::Result<()>;
}

/// The file of an episode that has ended: the bytes in `parts` stand before and behind those of the output.
#[derive(Debug)]
pub struct EpisodeFile<W> {
    /// The output, which is flushed.
    pub output: W,
    /// The rest of the file.
    pub parts: FileParts,
    /// The episode.
    pub episode: Episode,
}

/// Writes episodes as MP4 files.
///
/// A file has the times, durations and edit list that [`Description`] states, as those of the element
/// `reductepisodesplit` have. [`Episodes`](super::Episodes) drives it: each sample has to come after the begin of its
/// episode.
///
/// ```
/// use std::io;
///
/// use media::cut::policy::Config;
/// use media::cut::{
///     EpisodeBegin, EpisodeFile, EpisodeOutputs, Episodes, FileLayout, FileSettings, Mp4Episodes,
///     PictureFormat,
/// };
///
/// /// Keeps files in memory.
/// #[derive(Default)]
/// struct Files(Vec<Vec<u8>>);
///
/// impl EpisodeOutputs for Files {
///     type Output = Vec<u8>;
///
///     fn open(&mut self, _: &EpisodeBegin<PictureFormat>) -> io::Result<Vec<u8>> {
///         Ok(Vec::new())
///     }
///
///     fn close(&mut self, file: EpisodeFile<Vec<u8>>) -> io::Result<()> {
///         let parts = file.parts;
///         self.0.push([parts.front, file.output, parts.back].concat());
///         Ok(())
///     }
/// }
///
/// let layout = FileLayout::default();
/// let settings = FileSettings { header: layout.header(), ..FileSettings::default() };
/// let writer = Mp4Episodes::new(layout, Files::default());
/// let mut episodes = Episodes::new(Config::default(), settings, writer);
/// // Access units go to `episodes.push`, and finished files can be taken after each.
/// episodes.finish()?;
/// let files = std::mem::take(&mut episodes.writer_mut().outputs_mut().0);
/// assert!(files.is_empty());
/// # Ok::<(), media::mp4::FileWriteError>(())
/// ```
#[derive(Debug)]
pub struct Mp4Episodes<O: EpisodeOutputs> {
    layout: FileLayout,
    outputs: O,
    open: Option<OpenFile<O::Output>>,
}

/// The file of the running episode.
#[derive(Debug)]
enum OpenFile<W> {
    Plain(MoovPlace, PlainWriter<W>),
    Fragments(FragmentWriter<W>),
}

impl<O: EpisodeOutputs> Mp4Episodes<O> {
    /// Creates a writer of files of this layout.
    pub fn new(layout: FileLayout, outputs: O) -> Self {
        Self {
            layout,
            outputs,
            open: None,
        }
    }

    /// Returns the outputs.
    pub fn outputs(&self) -> &O {
        &self.outputs
    }

    /// Returns the outputs, to be changed.
    pub fn outputs_mut(&mut self) -> &mut O {
        &mut self.outputs
    }

    /// Takes the outputs. The file of an episode that has not ended is dropped.
    pub fn into_outputs(self) -> O {
        self.outputs
    }
}

impl<O: EpisodeOutputs> EpisodeWriter for Mp4Episodes<O> {
    type Payload = Vec<Chunk>;
    type Format = PictureFormat;
    type Error = FileWriteError;

    fn begin(&mut self, begin: EpisodeBegin<PictureFormat>) -> Result<(), FileWriteError> {
        let output = self.outputs.open(&begin)?;
        let declared = begin.format.declared;
        let track = VideoTrack {
            timescale: begin.timescale,
            config: begin.format.config,
            size: declared.size,
            pixel_aspect_ratio: declared.pixel_aspect_ratio,
            colour: declared.colour,
            created: begin.capture,
        };
        self.open = Some(match self.layout {
            FileLayout::Plain(place) => OpenFile::Plain(place, PlainWriter::new(track, output)),
            FileLayout::Fragments { min_duration } => {
                OpenFile::Fragments(FragmentWriter::new(track, min_duration, output))
            }
        });
        Ok(())
    }

    fn sample(&mut self, sample: EpisodeSample<Vec<Chunk>>) -> Result<(), FileWriteError> {
        let facts = SampleFacts {
            times: Sample {
                pts: sample.pts,
                dts: sample.dts,
            },
            duration: sample.duration_at_end,
            is_sync: sample.role == SampleRole::Keyframe,
        };
        let nal_units = sample.payload.iter().flat_map(Chunk::nal_units);
        let payload: SamplePayload = nal_units.collect();
        match &mut self.open {
            None => Ok(()),
            Some(OpenFile::Plain(_, writer)) => writer.push(&facts, &payload),
            Some(OpenFile::Fragments(writer)) => {
                if sample.role == SampleRole::Part {
                    writer.split();
                }
                writer.push(&facts, payload)
            }
        }
    }

    fn end(&mut self, episode: Episode, description: Description) -> Result<(), FileWriteError> {
        let (output, parts) = match self.open.take() {
            None => return Ok(()),
            Some(OpenFile::Plain(place, writer)) => writer.finish(&description, place)?,
            Some(OpenFile::Fragments(writer)) => writer.finish(&description)?,
        };
        self.outputs.close(EpisodeFile {
            output,
            parts,
            episode,
        })?;
        Ok(())
    }
}
