// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Runs the whole line, `reductsrc ! reductepisodesplit`, and judges what it wrote.

use std::fs;

use gst::prelude::*;
use tempfile::TempDir;

use super::SERVER;
use super::mp4::{self, Decoded, Mp4, Packet};
use super::pipeline::{Episode, Outcome, Pipeline, Samples};
use super::recording::{Laid, Recording};
use super::stream::Stream;

/// Result of an export.
pub struct Export {
    /// Folder of the files, which is removed when this value is dropped.
    pub folder: TempDir,
    /// Messages of the pipeline.
    pub outcome: Outcome,
    /// The finished episodes.
    pub episodes: Vec<Episode>,
    /// `stats` of the source.
    pub source: gst::Structure,
    /// `stats` of the splitter.
    pub splitter: gst::Structure,
}

/// The line before its end.
pub struct Line {
    /// `reductsrc name=source ! reductepisodesplit name=splitter`.
    pub pipeline: Pipeline,
    folder: TempDir,
}

impl Line {
    /// Sets the line up to read entry `e` of a bucket, with further properties of both elements.
    pub fn new(url: &str, bucket: &str, source: &str, splitter: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pipeline = Pipeline::launch(&format!(
            "reductsrc name=source url={url} bucket={bucket} entry=e {source} ! \
             reductepisodesplit name=splitter location={}/episode_%05d.mp4 {splitter}",
            folder.path().display(),
        ));
        Self { pipeline, folder }
    }

    /// Plays until EOS or an error.
    pub fn run(self) -> Export {
        self.pipeline.play();
        self.finish()
    }

    /// Waits for EOS or an error while it plays.
    pub fn finish(self) -> Export {
        let Self { pipeline, folder } = self;
        let outcome = pipeline.finish(pipeline.wait_for_end());
        let stats = |name: &str| pipeline.element(name).property("stats");
        Export {
            episodes: outcome.episodes(),
            source: stats("source"),
            splitter: stats("splitter"),
            folder,
            outcome,
        }
    }
}

/// Runs the line on entry `e` of a bucket of [`SERVER`], with further properties of both elements.
pub fn run(bucket: &str, source: &str, splitter: &str) -> Export {
    Line::new(&SERVER.url(), bucket, source, splitter).run()
}

/// As [`run`], with [`Export::clean`].
#[track_caller]
pub fn export(bucket: &str, source: &str, splitter: &str) -> Export {
    run(bucket, source, splitter).clean()
}

impl Export {
    /// This export, after what holds for any without an error: the files are what the messages
    /// say, and none is unfinished.
    #[track_caller]
    pub fn clean(self) -> Self {
        assert!(
            self.outcome.eos && self.outcome.errors.is_empty(),
            "no clean EOS:\n{}",
            self.outcome.text()
        );
        mp4::assert_no_parts(self.folder.path());
        self.assert_files();
        self
    }

    /// Fails unless the finished files are what the messages say.
    #[track_caller]
    pub fn assert_files(&self) {
        let files: Vec<_> = self
            .episodes
            .iter()
            .map(|episode| episode.location.clone())
            .collect();
        assert_eq!(mp4::episodes(self.folder.path()), files);
        for (index, episode) in self.episodes.iter().enumerate() {
            assert_eq!(episode.index, index as u32);
            let bytes = fs::metadata(&episode.location).expect("the file").len();
            assert_eq!(episode.bytes, bytes, "{episode:?}");
        }
    }

    /// Number of frames in each episode.
    pub fn frames(&self) -> Vec<u64> {
        self.episodes.iter().map(|episode| episode.frames).collect()
    }

    /// Frames and reason of each episode.
    pub fn summary(&self) -> Vec<(u64, &str)> {
        self.episodes
            .iter()
            .map(|episode| (episode.frames, episode.reason.as_str()))
            .collect()
    }

    /// Number of access units that were dropped before each episode.
    pub fn dropped(&self) -> Vec<u64> {
        self.episodes
            .iter()
            .map(|episode| episode.dropped)
            .collect()
    }

    /// A counter of the source.
    #[track_caller]
    pub fn source_stat(&self, name: &str) -> u64 {
        (self.source.get(name)).unwrap_or_else(|e| panic!("{name} of {}: {e}", self.source))
    }

    /// A counter of the splitter.
    #[track_caller]
    pub fn splitter_stat(&self, name: &str) -> u64 {
        (self.splitter.get(name)).unwrap_or_else(|e| panic!("{name} of {}: {e}", self.splitter))
    }

    /// The warnings' texts.
    pub fn warnings(&self) -> Vec<String> {
        self.outcome.warning_texts()
    }

    /// The files in order, after [`check_file`].
    #[track_caller]
    pub fn checked_files(&self, fps: (u32, u32)) -> Vec<Mp4> {
        self.episodes
            .iter()
            .map(|episode| {
                let file = mp4::probe(&episode.location);
                check_file(episode, &file, fps);
                file
            })
            .collect()
    }

    /// Checksums of all decoded pictures in order; the decoder must not complain.
    #[track_caller]
    pub fn pictures(&self) -> Vec<String> {
        let pictures = self
            .episodes
            .iter()
            .map(|episode| {
                let decoded = mp4::decode(&episode.location);
                assert_eq!(decoded.complaints, "", "{episode:?}");
                decoded.checksums
            })
            .collect::<Vec<_>>();
        pictures.concat()
    }
}

/// Checks what holds for any file of evenly spaced frames that is cut at IDR pictures.
#[track_caller]
pub fn check_file(episode: &Episode, file: &Mp4, fps: (u32, u32)) {
    check_spacing(episode, file, fps);
    check_sync_samples(episode, file);
}

/// Checks that frames are one frame apart from 0 on, and that DTS grows and is never behind PTS.
#[track_caller]
pub fn check_spacing(episode: &Episode, file: &Mp4, fps: (u32, u32)) {
    let name = &episode.location;
    let count = file.packets.len();
    assert_eq!(count as u64, episode.frames, "frames of {name:?}");
    assert_eq!(file.frames, episode.frames, "frames of {name:?}");
    assert_eq!(file.start_us, 0, "start of {name:?}");
    let expected = frame_us(count, fps);
    near(file.duration_us, expected, 1000, "duration of the file");
    let told = episode.duration.useconds() as i64;
    near(told, expected, 1000, "duration by the message");

    let mut pts: Vec<_> = file.packets.iter().map(|packet| packet.pts_us).collect();
    pts.sort_unstable();
    for (frame, pts) in pts.into_iter().enumerate() {
        let what = format!("PTS {frame} of {name:?}");
        near(pts, frame_us(frame, fps), 2, &what);
    }
    // For reordered frames ffprobe has only an estimate of the duration.
    let in_order = |packet: &Packet| packet.dts_us == packet.pts_us;
    if file.packets.iter().all(in_order) {
        for packet in &file.packets {
            near(
                packet.duration_us,
                frame_us(1, fps),
                2,
                "duration of a sample",
            );
        }
    }
    check_order(file);
}

/// Checks that DTS grows and is never behind PTS, and that no two frames have the same PTS.
#[track_caller]
pub fn check_order(file: &Mp4) {
    for pair in file.packets.windows(2) {
        assert!(pair[0].dts_us < pair[1].dts_us, "{pair:?}");
    }
    for packet in &file.packets {
        assert!(packet.dts_us <= packet.pts_us, "{packet:?}");
    }
    let mut pts: Vec<_> = file.packets.iter().map(|packet| packet.pts_us).collect();
    pts.sort_unstable();
    pts.dedup();
    assert_eq!(pts.len(), file.packets.len(), "two frames at the same time");
}

/// Checks that the first sample and no others than IDR pictures are sync samples.
#[track_caller]
pub fn check_sync_samples(episode: &Episode, file: &Mp4) {
    let name = &episode.location;
    let bytes = fs::read(name).expect("the file");
    assert!(file.packets[0].key, "the first sample of {name:?}");
    for (index, packet) in file.packets.iter().enumerate() {
        let idr = mp4::nal_types(&bytes, packet).contains(&5);
        assert_eq!(packet.key, idr, "sample {index} of {name:?}");
    }
}

/// Checks that the decoder does not complain of a file and shows a picture every frame from 0 on.
#[track_caller]
pub fn check_pictures(episode: &Episode, decoded: &Decoded, fps: (u32, u32)) {
    assert_eq!(decoded.complaints, "", "{episode:?}");
    assert_eq!(decoded.checksums.len() as u64, episode.frames);
    check_times(episode, decoded, fps);
}

/// Checks that the decoder shows a picture every frame from 0 on.
#[track_caller]
pub fn check_times(episode: &Episode, decoded: &Decoded, fps: (u32, u32)) {
    for (frame, time) in decoded.times_us.iter().enumerate() {
        let what = format!("time of picture {frame} of {:?}", episode.location);
        near(*time, frame_us(frame, fps), 2, &what);
    }
}

/// Presentation time of a frame in a file, to the nearest µs.
fn frame_us(frame: usize, (num, den): (u32, u32)) -> i64 {
    (frame as f64 * f64::from(den) * 1e6 / f64::from(num)).round() as i64
}

/// Fails unless two numbers differ by no more than `tolerance`.
#[track_caller]
fn near(found: i64, expected: i64, tolerance: i64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what} is {found} µs, not {expected} µs"
    );
}

/// Buffers, messages and counters of a source.
pub struct Read {
    /// Buffers that the source pushed.
    pub buffers: Vec<gst::Buffer>,
    /// Messages of the pipeline.
    pub outcome: Outcome,
    /// `stats` of the source.
    pub stats: gst::Structure,
}

/// The source alone, before its end.
pub struct Reading {
    /// `reductsrc name=source ! appsink name=out`.
    pub pipeline: Pipeline,
    samples: Samples,
}

impl Reading {
    /// Sets the source up to read entry `e` of a bucket, with further properties.
    pub fn new(url: &str, bucket: &str, properties: &str) -> Self {
        let pipeline = Pipeline::launch(&format!(
            "reductsrc name=source url={url} bucket={bucket} entry=e {properties} ! appsink name=out",
        ));
        let samples = pipeline.collect("out");
        Self { pipeline, samples }
    }

    /// Plays until EOS or an error.
    pub fn run(self) -> Read {
        self.pipeline.play();
        self.finish()
    }

    /// Waits for EOS or an error while it plays.
    pub fn finish(self) -> Read {
        let outcome = self.pipeline.finish(self.pipeline.wait_for_end());
        Read {
            buffers: self.samples.buffers(),
            outcome,
            stats: self.pipeline.element("source").property("stats"),
        }
    }
}

/// Reads entry `e` of a bucket of [`SERVER`] with the source alone, with further properties.
pub fn read(bucket: &str, properties: &str) -> Read {
    Reading::new(&SERVER.url(), bucket, properties).run()
}

impl Read {
    /// This reading, if it ended with EOS and without an error.
    #[track_caller]
    pub fn clean(self) -> Self {
        Self {
            outcome: self.outcome.clean(),
            ..self
        }
    }

    /// A counter.
    #[track_caller]
    pub fn stat(&self, name: &str) -> u64 {
        (self.stats.get(name)).unwrap_or_else(|e| panic!("{name} of {}: {e}", self.stats))
    }

    /// The bytes of each buffer.
    pub fn units(&self) -> Vec<Vec<u8>> {
        let bytes = |buffer: &gst::Buffer| buffer.map_readable().expect("memory").to_vec();
        self.buffers.iter().map(bytes).collect()
    }

    /// The indices of the buffers with a flag.
    pub fn flagged(&self, flag: gst::BufferFlags) -> Vec<usize> {
        let buffers = self.buffers.iter().enumerate();
        buffers
            .filter(|(_, buffer)| buffer.flags().contains(flag))
            .map(|(index, _)| index)
            .collect()
    }

    /// The warnings' texts.
    pub fn warnings(&self) -> Vec<String> {
        self.outcome.warning_texts()
    }
}

/// Records a stream in a bucket of its own.
pub fn record(recording: &Recording, stream: &Stream) -> String {
    let bucket = SERVER.new_bucket();
    recording.write(&SERVER, &bucket, "e", stream);
    bucket
}

/// Writes records that no [`Recording`] makes.
pub fn write(laid: &[Laid]) -> String {
    let bucket = SERVER.new_bucket();
    SERVER.write_all(&bucket, "e", laid.iter().map(|laid| &laid.record));
    bucket
}
