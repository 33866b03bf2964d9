// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Cuts the frames of an entry into episodes, with a writer of the caller.

use media::access_unit::Chunk;
use media::cut::policy::Config;
use media::cut::{Dropped, EpisodeWriter, FileSettings, FrameRow, KeyframeMode, PictureFormat};
use media::stream::{EpisodeExport, StreamItem};

use crate::read::{Format, Item};

/// Cuts what [`Frames`](crate::Frames) yields into episodes, which `W` writes one after the other.
///
/// Episodes begin and end at the same frames as those of the element `reductepisodesplit`. The payload of a sample is
/// the access unit as Annex B byte stream; it shares memory with the frame.
/// [`Mp4Episodes`](media::cut::Mp4Episodes) is a writer of MP4 files.
///
/// ```no_run
/// # use media::access_unit::Chunk;
/// # use media::cut::{EpisodeWriter, FileSettings, PictureFormat, policy::Config};
/// # use recording::{Export, Recording};
/// # async fn export<W>(recording: &Recording, writer: W) -> Result<(), Box<dyn std::error::Error>>
/// # where
/// #     W: EpisodeWriter<Payload = Vec<Chunk>, Format = PictureFormat, Error = std::io::Error>,
/// # {
/// use media::time::Nanos;
///
/// let config = Config {
///     duration: Some(Nanos::from_seconds(2)),
///     ..Config::default()
/// };
/// let mut export = Export::new(config, FileSettings::default(), writer);
/// let mut frames = recording.read(..).frames();
/// while let Some(item) = frames.next().await? {
///     export.push(item)?;
/// }
/// export.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Export<W>
where
    W: EpisodeWriter<Payload = Vec<Chunk>, Format = PictureFormat>,
{
    export: EpisodeExport<W>,
}

impl<W> Export<W>
where
    W: EpisodeWriter<Payload = Vec<Chunk>, Format = PictureFormat>,
{
    /// Creates an export that has no frames yet.
    pub fn new(config: Config, settings: FileSettings, writer: W) -> Self {
        Self {
            export: EpisodeExport::new(config, settings, writer),
        }
    }

    /// Makes a row of each frame, which the caller [takes](Self::take_rows) from time to time: rows are kept until
    /// then.
    pub fn with_rows(mut self) -> Self {
        self.export = self.export.with_rows();
        self
    }

    /// Takes the next item. Returns it if it is not for an export: a gap, a warning, a retry, or a stored episode.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn push(&mut self, item: Item) -> Result<Option<Item>, W::Error> {
        let item = match item {
            Item::Range(range) => {
                self.export.begin_range(range);
                return Ok(None);
            }
            Item::Format(Format::H264 { frame_rate }) => StreamItem::FrameRate(frame_rate),
            Item::Format(Format::Episodes) => return Ok(None),
            Item::Segment(segment) => StreamItem::Segment(segment),
            Item::Pause(hole) => StreamItem::Pause(hole),
            Item::Frame(frame) => StreamItem::Frame(frame),
            Item::Gap(_) | Item::Warning(_) | Item::Retry(_) | Item::Episode(_) => {
                return Ok(Some(item));
            }
        };
        Ok(self.export.push(item)?.map(Item::from))
    }

    /// Ends the last episode. Returns the access units that were dropped since the last keyframe.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(&mut self) -> Result<Dropped, W::Error> {
        self.export.finish()
    }

    /// Returns the rows of frames whose episode is known, each once; none without [`with_rows`](Self::with_rows).
    pub fn take_rows(&mut self) -> impl Iterator<Item = FrameRow> + '_ {
        self.export.take_rows()
    }

    /// Returns the number of access units so far that no episode has.
    pub fn dropped(&self) -> u64 {
        self.export.dropped()
    }

    /// Returns the keyframe mode in which a stream without keyframes, or without one at its limit, would have some.
    pub fn helpful_mode(&self) -> Option<KeyframeMode> {
        self.export.helpful_mode()
    }

    /// Returns the writer.
    pub fn writer(&self) -> &W {
        self.export.writer()
    }

    /// Returns the writer, to be changed. Calls of an [`EpisodeWriter`] are not for the caller.
    pub fn writer_mut(&mut self) -> &mut W {
        self.export.writer_mut()
    }

    /// Takes the writer, after [`finish`](Self::finish).
    pub fn into_writer(self) -> W {
        self.export.into_writer()
    }
}
