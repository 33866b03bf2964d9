// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Indexes of files: each row is a frame of the file, with its capture time.

mod common;

use std::fs;
use std::ops::Range;

use common::frame_index::{self, FrameIndex};
use common::line::{self, Export};
use common::mp4;
use common::pipeline::Pipeline;
use common::recording::{Layout, Recording};
use common::stream::{Stream, StreamSpec};
use common::{SERVER, init};
use gst::prelude::*;

const TWO_SECONDS: &str = "index=parquet duration=2000000000";

/// Checks the index of each episode. Returns the capture times of all rows, in µs.
#[track_caller]
fn captures(export: &Export) -> Vec<u64> {
    let indexes = export.episodes.iter().map(frame_index::checked);
    let rows = indexes.flat_map(|index| index.rows);
    rows.map(|row| row.capture_us.expect("a capture time") as u64)
        .collect()
}

/// Exports frames of a recording, and checks that the rows are these frames.
#[track_caller]
fn check(stream: &Stream, laid: &Recording, range: Option<Range<usize>>, splitter: &str) -> Export {
    let bucket = line::record(laid, stream);
    let at = |frame| laid.frame_us(frame, stream.fps);
    let source = range.clone().map_or_else(String::new, |range| {
        let [start, stop] = [range.start, range.end].map(at);
        format!("start={start} stop={stop} start-mode=exact")
    });
    let export = line::export(&bucket, &source, splitter);
    let frames = range.unwrap_or(0..stream.units.len());
    let frames = frames.filter(|frame| !laid.lost.iter().any(|lost| lost.contains(frame)));
    assert_eq!(captures(&export), frames.map(at).collect::<Vec<_>>());
    export
}

#[test]
fn every_row_is_a_frame_of_the_file() {
    for stream in [Stream::example(), Stream::with_b_frames().with_auds()] {
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let laid = Recording {
                layout,
                ..Recording::default()
            };
            for (splitter, episodes) in [
                ("index=parquet", 1),
                (TWO_SECONDS, 3),
                ("index=parquet duration=2500000000 split-mode=at-most", 3),
            ] {
                let export = check(&stream, &laid, None, splitter);
                assert_eq!(export.episodes.len(), episodes, "{splitter}");
            }
        }
    }
}

#[test]
fn hidden_pictures_have_no_row() {
    let stream = Stream::with_b_frames();
    for range in [4..47, 13..28] {
        let export = check(&stream, &Recording::default(), Some(range), TWO_SECONDS);
        assert!(export.episodes.iter().any(|episode| episode.hidden > 0));
    }
}

#[test]
fn holes_end_episodes_or_are_in_them() {
    let stream = Stream::with_b_frames();
    for us in [3_000_000, 10_000_000, 4_000_000_000] {
        let laid = Recording {
            holes: vec![(30, us)],
            ..Recording::default()
        };
        let export = check(&stream, &laid, None, TWO_SECONDS);
        assert!(export.episodes.iter().any(|it| it.reason == "gap"));
        let whole = "index=parquet gap-detection=false";
        let bucket = line::record(&laid, &stream);
        let export = line::export(&bucket, "", whole);
        assert_eq!(export.summary(), [(60, "eos")]);
        let expected: Vec<_> = (0..60)
            .map(|frame| laid.frame_us(frame, stream.fps))
            .collect();
        assert_eq!(captures(&export), expected);
    }
}

#[test]
fn rates_and_irregular_times() {
    for (fps, label) in [((30_000, 1001), "29.97"), ((25, 1), "25"), ((60, 1), "60")] {
        let stream = Stream::make(StreamSpec {
            fps,
            x264_params: "bframes=2",
            ..StreamSpec::default()
        });
        let labels: &'static [_] = match label {
            "29.97" => &[("fps", "29.97")],
            "25" => &[("fps", "25")],
            _ => &[("fps", "60")],
        };
        let laid = Recording {
            labels,
            ..Recording::default()
        };
        let bucket = line::record(&laid, &stream);
        let export = line::export(&bucket, "", TWO_SECONDS);
        let times = captures(&export);
        assert_eq!(times.len(), stream.units.len(), "{label}");
        for (frame, time) in times.iter().enumerate() {
            assert!(time.abs_diff(laid.frame_us(frame, fps)) <= 2, "{frame}");
        }
    }
    let jittered = Recording {
        layout: Layout::AccessUnit,
        labels: &[],
        jitter_us: |index| (index as i64 * 7919) % 20_011 - 10_000,
        ..Recording::default()
    };
    for stream in [Stream::example(), Stream::with_b_frames()] {
        let bucket = SERVER.new_bucket();
        let records = jittered.write(&SERVER, &bucket, "e", &stream);
        let export = line::export(&bucket, "", TWO_SECONDS);
        let times = captures(&export);
        // The time of a record is that of its picture, whatever its place in the order of output.
        let mut expected: Vec<_> = records.iter().map(|laid| laid.record.time_us).collect();
        expected.sort_unstable();
        assert_eq!(times, expected);
    }
}

#[test]
fn files_of_other_layouts() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        for muxer in ["fragment-duration=1000", "faststart=true"] {
            let splitter = format!("{TWO_SECONDS} muxer-properties=properties,{muxer}");
            let export = check(&stream, &Recording::default(), None, &splitter);
            assert_eq!(export.episodes.len(), 3, "{muxer}");
        }
        let splitter = format!("{TWO_SECONDS} muxer-properties=properties,fragment-duration=1000");
        let bucket = line::record(&Recording::default(), &stream);
        let exact = format!("start={} start-mode=exact", common::recording::at(13));
        let export = line::export(&bucket, &exact, &splitter);
        assert!(export.episodes[0].hidden > 0);
        frame_index::checked(&export.episodes[0]);
    }
}

#[test]
fn episodes_that_share_pictures_of_a_refresh() {
    let stream = Stream::make(StreamSpec {
        frames: 60,
        gop: 10,
        x264_params: "intra-refresh=1:bframes=0",
        ..StreamSpec::default()
    });
    let laid = Recording {
        layout: Layout::AccessUnit,
        ..Recording::default()
    };
    let bucket = line::record(&laid, &stream);
    let splitter = format!("{TWO_SECONDS} keyframe-mode=recovery-point");
    let export = line::export(&bucket, "", &splitter);
    assert!(export.episodes.iter().skip(1).any(|it| it.hidden > 0));
    let expected: Vec<_> = (0..60)
        .map(|frame| laid.frame_us(frame, stream.fps))
        .collect();
    assert_eq!(captures(&export), expected);
}

/// A camera without capture times.
fn camera(location: &std::path::Path, splitter: &str) -> Pipeline {
    let pipeline = Pipeline::launch(&format!(
        "videotestsrc num-buffers=40 ! video/x-raw,width=160,height=120,framerate=10/1 \
         ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=10 \
         ! reductepisodesplit name=split duration=2000000000 {splitter}"
    ));
    pipeline
        .element("split")
        .set_property("location", location.to_str().unwrap());
    pipeline
}

/// The names in a folder, sorted.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn capture_times_that_buffers_do_not_have_are_null() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = camera(&folder.path().join("%d.mp4"), "index=parquet");
    let outcome = pipeline.run().clean();
    for episode in outcome.episodes() {
        let index = frame_index::checked(&episode);
        assert!(index.rows.iter().all(|row| row.capture_us.is_none()));
        assert_eq!(index.rows.len(), 20);
    }
    let expected = ["0.mp4", "0.mp4.parquet", "1.mp4", "1.mp4.parquet"];
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn there_is_no_index_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = camera(&folder.path().join("%d.mp4"), "");
    let episodes = pipeline.run().clean().episodes();
    assert!(episodes.iter().all(|episode| episode.frame_index.is_none()));
    assert_eq!(names(folder.path()), ["0.mp4", "1.mp4"]);
}

#[test]
fn an_index_that_cannot_be_written_is_a_warning_and_the_episode_stays() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("0.mp4.parquet")).unwrap();
    let outcome = camera(&folder.path().join("%d.mp4"), "index=parquet")
        .run()
        .clean();
    let [first, second] = &outcome.episodes()[..] else {
        panic!("{}", outcome.text());
    };
    assert_eq!(first.frame_index, None);
    mp4::probe(&first.location);
    frame_index::checked(second);
    let [warning] = &outcome.warning_texts()[..] else {
        panic!("{}", outcome.text());
    };
    let begin = format!("{} is complete and has no index.", first.location.display());
    assert!(warning.starts_with(&begin), "{warning}");
    assert!(warning.contains("0.mp4.parquet is a folder"), "{warning}");
    let expected = ["0.mp4", "0.mp4.parquet", "1.mp4", "1.mp4.parquet"];
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn the_index_of_an_earlier_episode_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let [index, part] =
        ["0.mp4.parquet", "0.mp4.parquet.part"].map(|name| folder.path().join(name));
    fs::write(&index, "old").unwrap();
    fs::write(&part, "left by a crash").unwrap();
    let outcome = camera(&folder.path().join("%d.mp4"), "index=parquet")
        .run()
        .clean();
    assert_eq!(FrameIndex::read(&index).rows.len(), 20);
    assert_eq!(outcome.warning_texts(), [""; 0]);
    let expected = ["0.mp4", "0.mp4.parquet", "1.mp4", "1.mp4.parquet"];
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn records_have_no_index() {
    init();
    let pipeline = camera(
        "reduct://127.0.0.1:1/bucket/entry".as_ref(),
        "index=parquet",
    );
    let refused = pipeline.run();
    let (error, _) = refused.error();
    assert!(error.matches(gst::ResourceError::Settings), "{error}");
    let expected = "index=parquet does not go with location=reduct://127.0.0.1:1/bucket/entry";
    assert!(error.message().starts_with(expected), "{error}");
}
