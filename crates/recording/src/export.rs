// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Cuts the frames of an entry into episodes, with a writer of the caller.

use media::access_unit::Chunk;
use media::cut::policy::Config;
use media::cut::{
    Dropped, EpisodeWriter, Episodes, FileSettings, FrameRow, InputSegment, InputUnit,
    KeyframeMode, PictureFacts, PictureFormat, SegmentBegin,
};
use media::time::Nanos;

use crate::read::{Format, Frame, Item, RangeStart, Segment, ShownFrom};

/// Cuts what [`Frames`](crate::Frames) yields into episodes, which `W` writes one after the other.
///
/// Episodes begin and end at the same frames as those of the element `reductepisodesplit`. The payload of a sample is
/// the access unit as Annex B byte stream; it shares memory with the frame.
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
    episodes: Episodes<W>,
    /// The picture that the present range shows first, and the first time that it does not show.
    range: Option<RangeStart>,
    /// A segment until its first frame, which its running times depend on.
    next_segment: Option<Segment>,
    /// The next segment follows a pause within an episode.
    resumes: bool,
    clock: RunningTime,
}

/// Running times of the present segment.
#[derive(Debug, Default)]
struct RunningTime {
    /// Running time at which the present range begins.
    range_base: Nanos,
    /// PTS or DTS of the first frame of the segment, and its running time.
    begin: Nanos,
    base: Nanos,
    /// The latest end of a frame.
    end: Nanos,
}

impl RunningTime {
    fn at(&self, time: Nanos) -> Nanos {
        self.base + (time - self.begin)
    }
}

impl<W> Export<W>
where
    W: EpisodeWriter<Payload = Vec<Chunk>, Format = PictureFormat>,
{
    /// Creates an export that has no frames yet.
    pub fn new(config: Config, settings: FileSettings, writer: W) -> Self {
        Self {
            episodes: Episodes::new(config, settings, writer),
            range: None,
            next_segment: None,
            resumes: false,
            clock: RunningTime::default(),
        }
    }

    /// Takes the next item. Returns it if it is not for an export: a gap, a warning, a retry, or a stored episode.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn push(&mut self, item: Item) -> Result<Option<Item>, W::Error> {
        match item {
            Item::Range(range) => {
                self.range = Some(range);
                self.clock.range_base = self.clock.end;
            }
            Item::Format(Format::H264 { frame_rate }) => {
                let declared = PictureFormat {
                    frame_rate,
                    ..PictureFormat::default()
                };
                self.episodes.declare(declared, None)?;
            }
            Item::Format(Format::Episodes) => {}
            Item::Segment(segment) => self.next_segment = Some(segment),
            Item::Pause(_) => {
                self.episodes.note_pause()?;
                self.resumes = true;
            }
            Item::Frame(frame) => self.push_frame(frame)?,
            Item::Gap(_) | Item::Warning(_) | Item::Retry(_) | Item::Episode(_) => {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Ends the last episode. Returns the access units that were dropped since the last keyframe.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(&mut self) -> Result<Dropped, W::Error> {
        self.episodes.finish()
    }

    /// Returns the rows of frames whose episode is known, each once.
    pub fn take_rows(&mut self) -> impl Iterator<Item = FrameRow> + '_ {
        self.episodes.take_rows()
    }

    /// Returns the number of access units so far that no episode has.
    pub fn dropped(&self) -> u64 {
        self.episodes.dropped()
    }

    /// Returns the keyframe mode in which a stream without keyframes, or without one at its limit, would have some.
    pub fn helpful_mode(&self) -> Option<KeyframeMode> {
        self.episodes.helpful_mode()
    }

    /// Returns the writer.
    pub fn writer(&self) -> &W {
        self.episodes.writer()
    }

    /// Takes the writer, after [`finish`](Self::finish).
    pub fn into_writer(self) -> W {
        self.episodes.into_writer()
    }

    fn push_frame(&mut self, frame: Frame) -> Result<(), W::Error> {
        if let Some(segment) = self.next_segment.take() {
            self.begin_segment(&segment, &frame)?;
        }
        let picture = PictureFacts::read(&frame.unit, |_| ());
        let pts = self.clock.at(frame.pts);
        self.clock.end = (self.clock.end).max(pts + frame.duration.unwrap_or_default());
        self.episodes.push(InputUnit {
            bytes: frame.length(),
            pts: Some(pts),
            dts: Some(self.clock.at(frame.dts)),
            duration: frame.duration,
            capture: Some(frame.capture_time),
            is_discont: frame.is_discont,
            is_corrupted: frame.is_corrupted,
            picture,
            payload: frame.unit.parts,
        })
    }

    /// Begins a segment with its first frame.
    fn begin_segment(&mut self, segment: &Segment, first: &Frame) -> Result<(), W::Error> {
        let start = segment.start.start;
        let resumes = std::mem::take(&mut self.resumes) && self.episodes.has_episodes();
        let times = Some((first.pts, first.dts));
        let SegmentBegin { begin, back } = SegmentBegin::new(start, times, resumes);
        let base = self.clock.range_base + segment.start.base;
        self.clock.begin = begin;
        self.clock.base = base - back;
        let shown_from = match self.range.map(|range| range.from) {
            Some(ShownFrom::Time(time)) => segment.shown_from.unwrap_or(time).max(time),
            Some(ShownFrom::First) => segment.first,
            Some(ShownFrom::Beginning) | None => start,
        };
        let until = segment
            .shown_until
            .or(self.range.and_then(|range| range.until));
        self.episodes.begin_segment(InputSegment {
            late: back - base,
            lead: self.clock.at(start) - base,
            shown_from: self.clock.at(shown_from),
            shown_until: until.map(|until| self.clock.at(until)),
        })?;
        Ok(())
    }
}
