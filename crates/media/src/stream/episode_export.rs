// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Cuts the frames of a stream into episodes, with a writer of the caller.

use super::frame::Frame;
use super::item::StreamItem;
use super::segment::{RangeStart, Segment, ShownFrom};
use crate::access_unit::Chunk;
use crate::cut::policy::Config;
use crate::cut::{
    Dropped, EpisodeWriter, Episodes, FileSettings, FrameRow, InputSegment, InputUnit,
    KeyframeMode, PictureFacts, PictureFormat, SegmentBegin,
};
use crate::time::Nanos;

/// Cuts what [`RecordedStream`](super::RecordedStream) puts out into episodes, which `W` writes one after the other.
///
/// The payload of a sample is the access unit as Annex B byte stream; it shares memory with the frame.
///
/// ```
/// use media::access_unit::Chunk;
/// use media::cut::policy::Config;
/// use media::cut::{EpisodeWriter, FileSettings, PictureFormat};
/// use media::stream::{EpisodeExport, RecordedStream, StreamItem};
/// use media::time::Nanos;
///
/// /// Exports the records that were pushed, and returns the writer of their episodes.
/// fn export<W>(stream: &mut RecordedStream, writer: W) -> Result<W, Box<dyn std::error::Error>>
/// where
///     W: EpisodeWriter<Payload = Vec<Chunk>, Format = PictureFormat, Error = std::io::Error>,
/// {
///     let config = Config {
///         duration: Some(Nanos::from_seconds(2)),
///         ..Config::default()
///     };
///     let mut export = EpisodeExport::new(config, FileSettings::default(), writer);
///     stream.finish();
///     while let Some(item) = stream.pop()? {
///         if let Some(StreamItem::Warning(warning)) = export.push(item)? {
///             eprintln!("{warning}");
///         }
///     }
///     export.finish()?;
///     Ok(export.into_writer())
/// }
/// ```
#[derive(Debug)]
pub struct EpisodeExport<W>
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

impl<W> EpisodeExport<W>
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

    /// Makes a row of each frame, which the caller [takes](Self::take_rows) from time to time: rows are kept until
    /// then.
    pub fn with_rows(mut self) -> Self {
        self.episodes = self.episodes.with_rows();
        self
    }

    /// Begins another range, which follows the one before it without a pause. The first one needs no call if all of its
    /// pictures are shown.
    pub fn begin_range(&mut self, range: RangeStart) {
        self.range = Some(range);
        self.clock.range_base = self.clock.end;
    }

    /// Takes the next item. Returns it if it is not for an export: a gap or a warning.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn push(&mut self, item: StreamItem) -> Result<Option<StreamItem>, W::Error> {
        match item {
            StreamItem::FrameRate(frame_rate) => {
                let declared = PictureFormat {
                    frame_rate,
                    ..PictureFormat::default()
                };
                self.episodes.declare(declared, None)?;
            }
            StreamItem::Segment(segment) => self.next_segment = Some(segment),
            StreamItem::Pause(_) => {
                self.episodes.note_pause()?;
                self.resumes = true;
            }
            StreamItem::Frame(frame) => self.push_frame(frame)?,
            StreamItem::Gap(_) | StreamItem::Warning(_) => return Ok(Some(item)),
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

    /// Removes the limits of duration and size, for a caller that can take one more episode only: frames that are
    /// held back and those that follow belong to the running one, unless a gap or another format ends it.
    pub fn lift_limits(&mut self) {
        self.episodes.lift_limits();
    }

    /// Returns the rows of frames whose episode is known, each once; none without [`with_rows`](Self::with_rows).
    pub fn take_rows(&mut self) -> impl Iterator<Item = FrameRow> + '_ {
        self.episodes.take_rows()
    }

    /// Returns the memory of samples that are held back, in bytes, see [`Episodes::held_bytes`].
    pub fn held_bytes(&self) -> usize {
        self.episodes.held_bytes()
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

    /// Returns the writer, to be changed. Calls of an [`EpisodeWriter`] are not for the caller.
    pub fn writer_mut(&mut self) -> &mut W {
        self.episodes.writer_mut()
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;

    use super::*;
    use crate::codec::h264::testing::{SpsSpec, record};
    use crate::cut::policy::{Episode, Reason};
    use crate::cut::{EpisodeBegin, EpisodeSample};
    use crate::mp4::Description;
    use crate::stream::config::{StreamConfig, StreamOptions};
    use crate::stream::memory::StreamMemory;
    use crate::stream::range::StreamRange;
    use crate::stream::record_tag::RecordTag;
    use crate::stream::recorded_stream::RecordedStream;
    use crate::stream::testing::{
        IN_ORDER, Reading, at, in_groups, lasting, one_by_one, picture, pictures, sets, tag,
    };

    /// Keeps what it writes: for each episode its begin, its samples and its end.
    #[derive(Debug, Default)]
    struct Memory {
        begins: Vec<EpisodeBegin<PictureFormat>>,
        samples: Vec<EpisodeSample<Vec<Chunk>>>,
        ends: Vec<Episode>,
    }

    impl EpisodeWriter for Memory {
        type Payload = Vec<Chunk>;
        type Format = PictureFormat;
        type Error = Infallible;

        fn begin(&mut self, begin: EpisodeBegin<PictureFormat>) -> Result<(), Infallible> {
            self.begins.push(begin);
            Ok(())
        }

        fn sample(&mut self, sample: EpisodeSample<Vec<Chunk>>) -> Result<(), Infallible> {
            self.samples.push(sample);
            Ok(())
        }

        fn end(&mut self, episode: Episode, _: Description) -> Result<(), Infallible> {
            self.ends.push(episode);
            Ok(())
        }
    }

    impl Memory {
        /// Returns frames and reason of each episode.
        fn summary(&self) -> Vec<(u64, Reason)> {
            self.ends.iter().map(|it| (it.frames, it.reason)).collect()
        }
    }

    fn in_seconds(seconds: u64) -> EpisodeExport<Memory> {
        let config = Config {
            duration: Some(Nanos::from_seconds(seconds)),
            gap_detection: true,
            ..Config::default()
        };
        EpisodeExport::new(config, FileSettings::default(), Memory::default())
    }

    /// Exports records. Returns the items that are not for an export, too.
    fn export(
        records: &[(RecordTag, Bytes)],
        export: EpisodeExport<Memory>,
    ) -> (Memory, Vec<StreamItem>) {
        export_with(StreamConfig::default(), records, export)
    }

    fn export_with(
        config: StreamConfig,
        records: &[(RecordTag, Bytes)],
        mut export: EpisodeExport<Memory>,
    ) -> (Memory, Vec<StreamItem>) {
        let range = StreamRange::new(None, None);
        let mut stream = RecordedStream::new(config, range, StreamMemory::default());
        let items = Reading::new(&mut stream, records).items;
        let rest = items
            .into_iter()
            .filter_map(|item| export.push(item).expect("no writer fails"))
            .collect();
        export.finish().expect("no writer fails");
        (export.into_writer(), rest)
    }

    #[test]
    fn episodes_have_the_frames_and_times_of_their_records() {
        let units = pictures(120, 25);
        let (memory, rest) = export(&in_groups(&units, 25), in_seconds(2));
        assert_eq!(rest, []);
        let episodes = [
            (50, Reason::Duration),
            (50, Reason::Duration),
            (20, Reason::Eos),
        ];
        assert_eq!(memory.summary(), episodes);
        let captures: Vec<_> = memory.begins.iter().map(|it| it.capture).collect();
        assert_eq!(captures, [0, 50, 100].map(|frame| Some(at(frame))));
        let rate = memory.begins[0].format.clone();
        assert!(format!("{rate:?}").contains("25"), "{rate:?}");
        for (index, (sample, unit)) in (0..).zip(memory.samples.iter().zip(&units)) {
            assert_eq!(sample.payload.concat(), *unit);
            assert_eq!(
                (sample.pts, sample.capture),
                (lasting(index), Some(at(index)))
            );
            assert!(!sample.is_hidden && !sample.is_corrupted);
        }
    }

    #[test]
    fn running_time_continues_over_a_pause_and_over_a_gap() {
        let units = pictures(40, 20);
        // 40 s in the first group. Then frames 25 to 29 are missing.
        let kept = (0..25).chain(30..40);
        let contents: Vec<_> = kept.map(|index| units[index].clone()).collect();
        let numbers = (0..10).chain(1010..1025).chain(1030..1040);
        let records = one_by_one(&contents, numbers);
        let (memory, rest) = export(&records, in_seconds(60));
        assert!(matches!(rest[..], [StreamItem::Gap(_)]), "{rest:?}");
        let pts: Vec<_> = memory.samples.iter().map(|sample| sample.pts).collect();
        assert_eq!(pts, (0..25).map(lasting).collect::<Vec<_>>());
        let captures = memory.samples.iter().filter_map(|sample| sample.capture);
        let expected = (0..10).chain(1010..1025).map(at);
        assert!(captures.eq(expected));
    }

    #[test]
    fn without_gap_detection_a_gap_takes_no_time_in_the_file() {
        let exported = |pause: u64, group: usize| {
            let config = Config::default();
            assert!(!config.gap_detection);
            let to_memory = EpisodeExport::new(config, FileSettings::default(), Memory::default());
            let options = StreamOptions {
                gap_detection: false,
                ..StreamOptions::default()
            };
            let config = StreamConfig {
                options,
                ..StreamConfig::default()
            };
            let numbers = (0..20).chain(20 + pause..40 + pause);
            let records = one_by_one(&pictures(40, group), numbers.clone());
            let (memory, _) = export_with(config, &records, to_memory);
            assert_eq!(memory.summary(), [(40, Reason::Eos)], "{pause}");
            let captures = memory.samples.iter().filter_map(|sample| sample.capture);
            assert!(captures.eq(numbers.map(at)), "{pause}");
            let pts: Vec<_> = memory.samples.iter().map(|sample| sample.pts).collect();
            pts[20] - pts[19]
        };
        // Before an IDR picture: frames are missing where a pause is longer than 2.5 frames.
        let before_idr = [1, 2, 10, 1000].map(|pause| exported(pause, 20));
        assert_eq!(before_idr, [2, 1, 1, 1].map(lasting));
        // Within a group, `frame_num` shows that none is. 5 s are 125 frames.
        let within = [2, 10, 124, 125].map(|pause| exported(pause, 40));
        assert_eq!(within, [3, 11, 125, 1].map(lasting));
    }

    #[test]
    fn times_do_not_move_in_an_episode_that_is_resumed_after_a_pause() {
        let spec = SpsSpec {
            max_num_reorder_frames: Some(1),
            ..IN_ORDER
        };
        let [sps, pps] = sets(spec);
        // Places in output order, in decoding order. The pause of 40 s is before the picture that is shown as the sixth.
        let places = [0, 2, 1, 4, 3, 6, 5, 8, 7];
        let numbers = (0..5).chain(1005..1009);
        let records = (0..)
            .zip(places)
            .zip(numbers)
            .map(|((frame_num, place), number)| {
                let picture = picture(spec, frame_num, place);
                let content = match place {
                    0 => record(&[&sps, &pps, &picture]),
                    _ => record(&[&picture]),
                };
                (tag(number), content)
            });
        let (memory, rest) = export(&records.collect::<Vec<_>>(), in_seconds(60));
        assert_eq!(rest, []);
        assert_eq!(memory.summary(), [(9, Reason::Eos)]);
        let pts: Vec<_> = memory.samples.iter().map(|sample| sample.pts).collect();
        assert_eq!(pts, places.map(|place| lasting(place.into())));
    }

    #[test]
    fn pictures_outside_of_the_range_are_hidden() {
        let mut export_from = in_seconds(60);
        export_from.begin_range(RangeStart {
            from: ShownFrom::Time(lasting(3)),
            until: Some(lasting(8)),
            zero: Nanos::ZERO,
        });
        let records = one_by_one(&pictures(10, 10), 0..10);
        let (memory, _) = export(&records, export_from);
        let hidden = memory.samples.iter().map(|sample| sample.is_hidden);
        let expected = (0..10).map(|frame| !(3..8).contains(&frame));
        assert!(hidden.eq(expected), "{:?}", memory.samples);
        assert_eq!(memory.begins[0].capture, Some(at(3)));
    }

    #[test]
    fn ranges_follow_each_other_in_running_time() {
        let start = |from| RangeStart {
            from,
            until: None,
            zero: Nanos::ZERO,
        };
        let mut export = in_seconds(60);
        for first in [0, 1000] {
            export.begin_range(start(ShownFrom::Beginning));
            let records = one_by_one(&pictures(10, 10), first..first + 10);
            let range = StreamRange {
                origin: Some(at(0)),
                ..StreamRange::new(Some(at(first)), None)
            };
            let mut stream =
                RecordedStream::new(StreamConfig::default(), range, StreamMemory::default());
            for item in Reading::new(&mut stream, &records).items {
                export.push(item).expect("no writer fails");
            }
        }
        export.finish().expect("no writer fails");
        let samples = &export.writer().samples;
        let pts: Vec<_> = samples.iter().map(|sample| sample.pts).collect();
        assert_eq!(pts, (0..20).map(lasting).collect::<Vec<_>>());
        assert_eq!(export.dropped(), 0);
        assert_eq!(tag(1000).time, at(1000).useconds());
    }
}
