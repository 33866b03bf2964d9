// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Makes episodes of the records of one entry.

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;
use media::codec::h264::EntryPoints;
use media::cut::policy::Config;
use media::cut::{FileLayout, FileSettings, KeyframeMode, Mp4Episodes};
use media::frame_rate::FrameRate;
use media::mp4::MoovPlace;
use media::stream::{
    EpisodeExport, OptionNames, RecordTag, RecordedStream, StreamConfig, StreamError, StreamItem,
    StreamMemory, StreamOptions, StreamRange,
};
use media::time::{CaptureTime, Nanos};
use media::timeline::{EXPECTED, TimelineNames};

use crate::at_end::AtEnd;
use crate::episode_files::EpisodeFiles;
use crate::episode_index::EpisodeIndexes;
use crate::error::ExportError;
use crate::finished_episode::{FinishedEpisode, LeftOut};
use crate::parameters::{Layout, Parameters, shown};
use crate::spool::SpoolSettings;

/// Largest number of episodes that wait for the server. Each is an open file, and all of a record are one piece of work
/// under the lock of the server.
const MAX_FINISHED: usize = 500;

/// Largest memory of a group of pictures, in bytes, which is held back with the split mode `at-most`.
const MAX_GROUP: usize = 128 << 20;

/// Duration after which a fragment of a file ends at the next keyframe.
const FRAGMENT: Nanos = Nanos::from_seconds(1);

/// The range of a query.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueryRange {
    /// Time of its first record in µs since the Unix epoch; that of the entry if `None`.
    pub start: Option<u64>,
    /// First time that does not belong to it, in µs since the Unix epoch.
    pub stop: Option<u64>,
    /// A condition picks records.
    pub is_filtered: bool,
}

/// Makes episodes of the records of one entry.
#[derive(Debug)]
pub struct Exporter {
    stream: RecordedStream,
    export: EpisodeExport<Mp4Episodes<EpisodeFiles>>,
    at_end: AtEnd,
    /// `None` if episodes have no index.
    indexes: Option<EpisodeIndexes>,
    /// A label, the attachment or the parameter has a frame rate.
    has_rate: bool,
    /// The first label or attachment that should have one, and has not.
    wrong_rate: Option<String>,
    records: u64,
    /// Episodes so far.
    episodes: u64,
    left_out: LeftOut,
    /// Access units that the cutter had dropped when they were counted last.
    cut_off: u64,
}

impl Exporter {
    /// Creates an export of an entry, whose episodes are in `spool`. `attached` is the frame rate of the attachment of the
    /// entry.
    pub fn new(
        entry: &str,
        parameters: &Parameters,
        range: QueryRange,
        at_end: AtEnd,
        attached: &Result<Option<String>, String>,
        spool: SpoolSettings,
    ) -> Self {
        let [start, stop] =
            [range.start, range.stop].map(|time| time.map(CaptureTime::from_useconds));
        let range_of_stream = StreamRange::new(start, stop);
        let config = stream_config(parameters, range.is_filtered, at_end);
        let mut stream = RecordedStream::new(config, range_of_stream, StreamMemory::default());
        stream.set_attachment(attached);
        let attached = attached.as_ref().ok().and_then(Option::as_deref);
        let layout = match parameters.layout {
            Layout::Plain => FileLayout::Plain(MoovPlace::Last),
            Layout::FastStart => FileLayout::Plain(MoovPlace::First),
            Layout::Fragmented => FileLayout::Fragments {
                min_duration: FRAGMENT,
            },
        };
        let policy = Config {
            mode: parameters.split_mode,
            keyframes: parameters.keyframe_mode,
            duration: parameters.duration,
            size: parameters.size,
            gap_detection: parameters.gap_detection,
        };
        let settings = FileSettings {
            header: layout.header(),
            ..FileSettings::default()
        };
        let indexes = parameters
            .index
            .then(|| EpisodeIndexes::new(entry, spool.clone()));
        let writer = Mp4Episodes::new(layout, EpisodeFiles::new(spool));
        let mut export = EpisodeExport::new(policy, settings, writer);
        if indexes.is_some() {
            export = export.with_rows();
        }
        let mut exporter = Self {
            stream,
            export,
            at_end,
            indexes,
            has_rate: parameters.frame_rate.is_some(),
            wrong_rate: None,
            records: 0,
            episodes: 0,
            left_out: LeftOut::default(),
            cut_off: 0,
        };
        if let Some(attached) = attached {
            exporter.note_rate(attached, || "'fps' in the attachment '$video'".into());
        }
        exporter
    }

    /// Takes the next record, and adds the episodes that it completes to `finished`.
    ///
    /// # Errors
    ///
    /// Records that cannot be exported, and episodes that cannot be written. Those before the error are in `finished`.
    pub fn push(
        &mut self,
        tag: RecordTag,
        chunks: Vec<Bytes>,
        finished: &mut VecDeque<FinishedEpisode>,
    ) -> Result<(), ExportError> {
        self.records += 1;
        if let Some(label) = &tag.frame_rate {
            self.note_rate(label, || format!("the label 'fps' at {}", tag.time));
        }
        self.stream.push(tag, chunks);
        self.put_out(finished)
    }

    /// Ends the export, and adds the last episodes to `finished`: none without records. With [`AtEnd::One`] it is one
    /// as a rule: limits no longer count, and frames that are held back belong to the last episode.
    ///
    /// # Errors
    ///
    /// Records without a keyframe, and those of [`push`](Self::push).
    pub fn finish(&mut self, finished: &mut VecDeque<FinishedEpisode>) -> Result<(), ExportError> {
        self.stream.finish();
        if self.at_end == AtEnd::One {
            self.export.lift_limits();
        }
        self.put_out(finished)?;
        self.export.finish()?;
        self.complete(finished)?;
        while let Some(warning) = self.stream.verdict(true)? {
            log::warn!("{warning}");
        }
        if self.records > 0 && self.episodes == 0 {
            return Err(self.no_keyframe());
        }
        Ok(())
    }

    /// Moves the items of the stream into episodes.
    fn put_out(&mut self, finished: &mut VecDeque<FinishedEpisode>) -> Result<(), ExportError> {
        while let Some(item) = self.pop()? {
            let pushed = self.export.push(item);
            // An episode may be complete although the next one cannot begin.
            self.complete(finished)?;
            match pushed? {
                Some(StreamItem::Warning(warning)) => log::debug!("{warning}"),
                Some(StreamItem::Gap(loss)) => log::debug!("{loss}"),
                _ => {}
            }
            if self.export.held_bytes() > MAX_GROUP {
                return Err(ExportError::Refused(format!(
                    "a group of pictures takes more than {MAX_GROUP} bytes of memory, which has all of it with \
                     'split_mode' \"at-most\". Use \"next-keyframe\""
                )));
            }
        }
        self.count();
        Ok(())
    }

    /// Returns the next item of the stream.
    fn pop(&mut self) -> Result<Option<StreamItem>, ExportError> {
        match self.stream.pop() {
            Err(StreamError::NoFrameRate(_)) if !self.has_rate => Err(self.no_rate()),
            popped => Ok(popped?),
        }
    }

    /// Takes the episodes that are complete.
    fn complete(&mut self, finished: &mut VecDeque<FinishedEpisode>) -> Result<(), ExportError> {
        if let Some(indexes) = &mut self.indexes {
            indexes.add(self.export.take_rows());
        }
        let files = self.export.writer_mut().outputs_mut().take_complete();
        if files.is_empty() {
            return Ok(());
        }
        if !self.has_rate {
            return Err(self.no_rate());
        }
        self.count();
        if finished.len() + files.len() > MAX_FINISHED {
            return Err(ExportError::Refused(format!(
                "more than {MAX_FINISHED} episodes end with one record. Let them be longer"
            )));
        }
        for file in files {
            // Its pictures are needed for later ones only, such as those up to the end of a recovery.
            if file.episode.frames == 0 {
                self.left_out.dropped += file.episode.samples();
                continue;
            }
            self.episodes += 1;
            let index = (self.indexes.as_mut())
                .map(|indexes| indexes.make(file.episode.index, &file.content));
            finished.push_back(FinishedEpisode {
                episode: file.episode,
                frame_rate: file.frame_rate,
                content: file.content,
                index: index.transpose()?,
                left_out: mem::take(&mut self.left_out),
            });
        }
        Ok(())
    }

    /// Counts the records and access units that were left out since the last episode.
    fn count(&mut self) {
        let counts = self.stream.take_counts();
        let cut_off = self.export.dropped();
        self.left_out.damaged += counts.damaged;
        self.left_out.dropped += counts.dropped + cut_off.saturating_sub(self.cut_off);
        self.cut_off = cut_off;
        // They are for a reader that seeks, and would be kept to the end of the query.
        drop(self.stream.take_keyframes());
    }

    /// Notes a text at a place that should have a frame rate.
    fn note_rate(&mut self, text: &str, place: impl FnOnce() -> String) {
        if is_rate(text) {
            self.has_rate = true;
        } else {
            let wrong = || format!("{} is {}", place(), shown(&text.into()));
            self.wrong_rate.get_or_insert_with(wrong);
        }
    }

    fn no_rate(&self) -> ExportError {
        let wrong = match &self.wrong_rate {
            Some(wrong) => format!(": {wrong}, expected {EXPECTED}"),
            None => String::new(),
        };
        ExportError::Refused(format!(
            "no frame rate is known{wrong}. Give it by the label 'fps' of the records, by 'fps' in the attachment \
             '$video' of the entry, or by the parameter 'fps' of the export"
        ))
    }

    fn no_keyframe(&self) -> ExportError {
        let remedy = match self.export.helpful_mode() {
            Some(KeyframeMode::Idr) | None => "Begin the query earlier".to_owned(),
            Some(mode) => format!(
                "Begin the query earlier, or let episodes begin with other pictures (parameter 'keyframe_mode', \"{}\")",
                match mode {
                    KeyframeMode::RecoveryPoint => "recovery-point",
                    _ => "intra",
                }
            ),
        };
        ExportError::Refused(format!(
            "no keyframe in {} records, so that nothing can be decoded. {remedy}",
            self.records
        ))
    }
}

/// Returns whether this is a frame rate.
fn is_rate(text: &str) -> bool {
    FrameRate::parse(text).is_some()
}

fn stream_config(parameters: &Parameters, is_filtered: bool, at_end: AtEnd) -> StreamConfig {
    let entry_points = match parameters.keyframe_mode {
        KeyframeMode::Intra => EntryPoints::IntraPictures,
        KeyframeMode::Idr | KeyframeMode::RecoveryPoint => EntryPoints::default(),
    };
    let options = StreamOptions {
        entry_points,
        on_loss: parameters.on_loss,
        frame_rate: parameters.frame_rate,
        gap_detection: parameters.gap_detection,
        gap_tolerance: parameters.gap_tolerance,
        names: NAMES,
        ..StreamOptions::default()
    };
    StreamConfig {
        options,
        // All episodes but the last one have to be complete with the records of the query.
        is_prompt: at_end == AtEnd::One,
        presumes_whole_records: at_end == AtEnd::One,
        is_filtered,
        ..StreamConfig::default()
    }
}

/// Names of options in messages, as a query has them.
const NAMES: OptionNames = OptionNames {
    lookback: "begin the query earlier",
    timeline: TimelineNames {
        frame_rate: Some("parameter 'fps' of the export"),
        gap_tolerance: Some("parameter 'gap_tolerance'"),
        pause_limit: "limit of pauses",
        on_loss: "parameter 'on_loss'",
        corrupted: "counted in the label 'corrupted'",
    },
    condition: Some("'when'"),
    skip_faults: None,
    keyframe_before: Some("an earlier begin of the query"),
    intra_pictures: Some("parameter 'keyframe_mode', \"intra\""),
};
