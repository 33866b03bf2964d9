// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The element and an export without GStreamer cut at the same frames.

// Lost frames are a list of ranges, often of one.
#![allow(clippy::single_range_in_vec_init)]

mod common;

use std::convert::Infallible;
use std::ops::Range;

use client::{Server, ServerOptions};
use common::SERVER;
use common::line;
use common::mp4;
use common::recording::{Layout, Recording};
use common::stream::{Stream, StreamSpec};
use media::access_unit::Chunk;
use media::cut::policy::{Config, Episode};
use media::cut::{
    EpisodeBegin, EpisodeSample, EpisodeWriter, FileSettings, FrameRow, KeyframeMode,
    PictureFormat, SplitMode,
};
use media::mp4::Description;
use media::range::Begin;
use media::time::{CaptureTime, Nanos};
use recording::{Export, SCHEMA};

/// An episode: capture time in µs, duration in ns, frames, hidden ones, access units that were dropped before it, and
/// reason of its end.
type Row = (Option<u64>, u64, u64, u64, u64, String);

/// Collects episodes.
#[derive(Default)]
struct Collected {
    episodes: Vec<Row>,
    samples: Vec<u64>,
}

impl EpisodeWriter for Collected {
    type Payload = Vec<Chunk>;
    type Format = PictureFormat;
    type Error = Infallible;

    fn begin(&mut self, _: EpisodeBegin<PictureFormat>) -> Result<(), Infallible> {
        self.samples.push(0);
        Ok(())
    }

    fn sample(&mut self, sample: EpisodeSample<Vec<Chunk>>) -> Result<(), Infallible> {
        assert_eq!(sample.payload.concat().len(), sample.bytes);
        *self.samples.last_mut().expect("an episode that began") += 1;
        Ok(())
    }

    fn end(&mut self, episode: Episode, _: Description) -> Result<(), Infallible> {
        self.episodes.push((
            episode.capture.map(|time| time.useconds()),
            episode.duration.nseconds(),
            episode.frames,
            episode.hidden,
            episode.dropped,
            episode.reason.name().into(),
        ));
        Ok(())
    }
}

/// Exports a range of entry `e` without GStreamer.
fn export(
    bucket: &str,
    range: Option<[CaptureTime; 2]>,
    config: Config,
) -> (Vec<Row>, Vec<u64>, Vec<FrameRow>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = Server::new(ServerOptions {
        url: SERVER.url(),
        ..ServerOptions::new(SCHEMA)
    });
    runtime.block_on(async {
        let server = server.expect("settings of a server");
        let recording = recording::Recording::open(&server, bucket, "e").await;
        let recording = recording.expect("an entry");
        let request = match range {
            None => recording.read(..),
            Some(range) => {
                let [start, stop] = range;
                recording.read(start..stop).start(Begin::Exact)
            }
        };
        let mut frames = request.frames();
        let writer = Collected::default();
        let mut export = Export::new(config, FileSettings::default(), writer).with_rows();
        let mut rows = Vec::new();
        while let Some(item) = frames.next().await.expect("an item") {
            let Ok(_) = export.push(item);
            rows.extend(export.take_rows());
        }
        let Ok(_) = export.finish();
        rows.extend(export.take_rows());
        let Collected { episodes, samples } = export.into_writer();
        (episodes, samples, rows)
    })
}

/// Checks that both export a range of a recording to the same episodes. Returns their frames.
#[track_caller]
fn check(
    stream: &Stream,
    laid: &Recording,
    range: Option<Range<usize>>,
    splitter: &str,
    config: Config,
) -> Vec<u64> {
    let bucket = SERVER.new_bucket();
    laid.write(&SERVER, &bucket, "e", stream);
    let source = range.as_ref().map_or_else(String::new, |range| {
        let [start, stop] = [range.start, range.end].map(|frame| laid.frame_us(frame, stream.fps));
        format!("start={start} stop={stop} start-mode=exact")
    });
    let by_element = line::export(&bucket, &source, splitter);
    for episode in &by_element.episodes {
        let file = mp4::probe(&episode.location);
        assert_eq!(file.frames, episode.frames + episode.hidden, "{episode:?}");
    }
    let expected: Vec<Row> = (by_element.episodes.iter())
        .map(|it| {
            let duration = it.duration.nseconds();
            let reason = it.reason.clone();
            (
                it.start_us,
                duration,
                it.frames,
                it.hidden,
                it.dropped,
                reason,
            )
        })
        .collect();
    let times = |range: Range<usize>| {
        [range.start, range.end]
            .map(|frame| CaptureTime::from_useconds(laid.frame_us(frame, stream.fps)))
    };
    let (episodes, samples, rows) = export(&bucket, range.map(times), config);
    assert_eq!(episodes, expected);
    let count = |index: usize| rows.iter().filter(move |row| row.episode as usize == index);
    let counted: Vec<u64> = (0..samples.len())
        .map(|it| count(it).count() as u64)
        .collect();
    assert_eq!(counted, samples);
    let shown = rows.iter().filter(|row| !row.is_hidden).count() as u64;
    assert_eq!(shown, episodes.iter().map(|it| it.2).sum::<u64>());
    episodes.iter().map(|it| it.2).collect()
}

fn limit(mode: SplitMode, ms: u64) -> Config {
    Config {
        mode,
        duration: Some(Nanos::from_mseconds(ms)),
        gap_detection: true,
        ..Config::default()
    }
}

const NEXT: SplitMode = SplitMode::NextKeyframe;

#[test]
fn limits_of_the_duration() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        for layout in [Layout::AccessUnits(1), Layout::Gop] {
            let laid = Recording {
                layout,
                ..Recording::default()
            };
            let frames = check(
                &stream,
                &laid,
                None,
                "duration=2000000000",
                limit(NEXT, 2000),
            );
            assert_eq!(frames, [20, 20, 20]);
            let config = limit(SplitMode::AtMost, 2500);
            let splitter = "duration=2500000000 split-mode=at-most";
            let frames = check(&stream, &laid, None, splitter, config);
            assert_eq!(frames, [20, 20, 20]);
        }
    }
}

#[test]
fn limits_of_the_size() {
    let config = Config {
        size: Some(6000),
        ..limit(SplitMode::AtMost, 600_000)
    };
    let splitter = "duration=600000000000 size=6000 split-mode=at-most";
    let frames = check(
        &Stream::with_b_frames(),
        &Recording::default(),
        None,
        splitter,
        config,
    );
    assert!(frames.len() > 1, "{frames:?}");
}

#[test]
fn exact_ranges() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        for range in [4..47, 13..28, 10..60, 19..21] {
            let count = range.len() as u64;
            let splitter = "duration=1000000000";
            let range = Some(range);
            let laid = Recording::default();
            let frames = check(&stream, &laid, range.clone(), splitter, limit(NEXT, 1000));
            assert_eq!(frames.iter().sum::<u64>(), count, "{range:?}");
        }
    }
}

#[test]
fn gaps_and_pauses() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        for (holes, lost) in [
            (vec![(30, 10_000_000)], vec![]),
            (vec![(25, 3_000_000)], vec![]),
            (vec![(25, 9_000_000)], vec![]),
            (vec![], vec![23..28]),
            (vec![], vec![25..26, 48..52]),
        ] {
            let laid = Recording {
                holes,
                lost,
                ..Recording::default()
            };
            let splitter = "duration=2000000000";
            let frames = check(&stream, &laid, None, splitter, limit(NEXT, 2000));
            assert!(!frames.is_empty());
        }
    }
}

#[test]
fn exact_ranges_after_a_pause() {
    let pyramids = Stream::make(StreamSpec {
        x264_params: "bframes=7:b-adapt=0:b-pyramid=normal:ref=4",
        gop: 30,
        ..StreamSpec::default()
    });
    let check_all = |stream: &Stream, cases: &[(usize, Range<usize>)]| {
        for (pause, range) in cases {
            let laid = Recording {
                holes: vec![(*pause, 9_000_000)],
                ..Recording::default()
            };
            let splitter = "duration=1000000000";
            let config = limit(NEXT, 1000);
            let frames = check(stream, &laid, Some(range.clone()), splitter, config);
            let count = range.len() as u64;
            assert_eq!(frames.iter().sum::<u64>(), count, "{pause}, {range:?}");
        }
    };
    let cases = [(13, 15..36), (12, 17..30), (14, 18..25), (27, 23..45)];
    check_all(&Stream::example(), &cases);
    check_all(&Stream::with_b_frames(), &cases);
    // The first picture after the pause may be shown after several that follow it.
    for pause in 7..19 {
        check_all(&pyramids, &[(pause, pause + 2..28)]);
    }
}

#[test]
fn changes_of_the_format() {
    let large = Stream::make(StreamSpec {
        size: (320, 240),
        ..StreamSpec::default()
    });
    let stream = Stream::example().slice(0..25).then(large);
    let splitter = "duration=600000000000";
    let frames = check(
        &stream,
        &Recording::default(),
        None,
        splitter,
        limit(NEXT, 600_000),
    );
    assert_eq!(frames, [25, 60]);
}

#[test]
fn recovery_points() {
    let stream = Stream::make(StreamSpec {
        gop: 20,
        x264_params: "intra-refresh=1:bframes=0:keyint=20",
        ..StreamSpec::default()
    });
    let config = Config {
        keyframes: KeyframeMode::RecoveryPoint,
        ..limit(NEXT, 2000)
    };
    let splitter = "duration=2000000000 keyframe-mode=recovery-point";
    let frames = check(&stream, &Recording::default(), None, splitter, config);
    assert!(frames.len() > 1, "{frames:?}");
}
