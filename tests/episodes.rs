// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The whole line, `reductsrc ! reductepisodesplit`: records in a real server in, MP4 files out.

// Lost frames are a list of ranges, often of one.
#![allow(clippy::single_range_in_vec_init)]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::SERVER;
use common::mp4::{self, Mp4};
use common::pipeline::{Episode, Outcome, Pipeline};
use common::recording::{Layout, Recording, capture_times_us};
use common::stream::{Stream, StreamSpec};
use gst::prelude::*;
use tempfile::TempDir;

const SECOND_US: u64 = 1_000_000;
const TWO_SECONDS: &str = "duration=2000000000";

/// Result of an export.
struct Export {
    folder: TempDir,
    outcome: Outcome,
    episodes: Vec<Episode>,
}

/// Runs the line on entry `e` of a bucket, with further properties of both elements.
fn run(bucket: &str, source: &str, splitter: &str) -> Export {
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e {source} ! \
         reductepisodesplit location={}/episode_%05d.mp4 {splitter}",
        SERVER.url(),
        folder.path().display(),
    ));
    let outcome = pipeline.run();
    Export {
        episodes: outcome.episodes(),
        folder,
        outcome,
    }
}

/// Runs the line and checks what holds for any export: a clean end, and files that are what the
/// messages say.
fn export(bucket: &str, source: &str, splitter: &str) -> Export {
    let Export {
        folder,
        outcome,
        episodes,
    } = run(bucket, source, splitter);
    let outcome = outcome.clean();
    mp4::assert_no_parts(folder.path());
    let files: Vec<_> = episodes
        .iter()
        .map(|episode| episode.location.clone())
        .collect();
    assert_eq!(mp4::episodes(folder.path()), files);
    for (index, episode) in episodes.iter().enumerate() {
        assert_eq!(episode.index, index as u32);
        check_file(episode);
    }
    Export {
        folder,
        outcome,
        episodes,
    }
}

fn check_file(episode: &Episode) {
    let file = mp4::probe(&episode.location);
    let bytes = fs::metadata(&episode.location).expect("the file").len();
    assert_eq!(episode.bytes, bytes, "{episode:?}");
    assert_eq!(file.frames, episode.frames, "{episode:?}");
    assert_eq!(file.packets.len() as u64, episode.frames, "{episode:?}");
    assert_eq!(file.start_us, 0, "{episode:?}");
    assert!(file.packets[0].key, "{episode:?}");
    let duration = episode.duration.useconds() as i64;
    assert!(
        (file.duration_us - duration).abs() <= 1000,
        "file of {} µs: {episode:?}",
        file.duration_us
    );
}

impl Export {
    /// Duration in ms, frames and reason of each episode.
    fn summary(&self) -> Vec<(u64, u64, &str)> {
        self.episodes
            .iter()
            .map(|episode| {
                let duration = episode.duration.mseconds();
                (duration, episode.frames, episode.reason.as_str())
            })
            .collect()
    }

    fn starts(&self) -> Vec<u64> {
        let start = |episode: &Episode| episode.start_us.expect("a capture time");
        self.episodes.iter().map(start).collect()
    }

    fn files(&self) -> Vec<Mp4> {
        self.episodes
            .iter()
            .map(|episode| mp4::probe(&episode.location))
            .collect()
    }

    /// Checksums of all decoded pictures, in order.
    fn pictures(&self) -> Vec<String> {
        self.episodes
            .iter()
            .flat_map(|episode| mp4::frame_checksums(&episode.location))
            .collect()
    }

    fn longest_sample_us(&self) -> i64 {
        let packets = self.files().into_iter().flat_map(|file| file.packets);
        packets.map(|packet| packet.duration_us).max().unwrap_or(0)
    }

    fn nothing_is_written(&self) {
        let left = fs::read_dir(self.folder.path()).expect("the folder");
        assert_eq!(left.count(), 0);
        assert!(self.episodes.is_empty());
        let last = &self.outcome.warnings.last().expect("a warning").0;
        assert!(last.message().contains("No file is written"), "{last}");
    }
}

/// Six groups of ten pictures at 10 fps, as in ReductStore's own example.
/// Records a stream in a bucket of its own.
fn record(recording: &Recording, stream: &Stream) -> String {
    let bucket = SERVER.new_bucket();
    recording.write(&SERVER, &bucket, "e", stream);
    bucket
}

fn access_units() -> Recording {
    Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    }
}

#[test]
fn without_limit_the_example_is_one_episode() {
    let stream = Stream::example();
    let export = export(&record(&Recording::default(), &stream), "", "");
    assert_eq!(export.summary(), [(6000, 60, "eos")]);
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
}

#[test]
fn a_limit_of_two_seconds_makes_three_episodes_of_the_example() {
    let stream = Stream::example();
    let recording = Recording::default();
    let export = export(&record(&recording, &stream), "", TWO_SECONDS);
    assert_eq!(
        export.summary(),
        [
            (2000, 20, "duration"),
            (2000, 20, "duration"),
            (2000, 20, "eos")
        ]
    );
    let first = recording.start_us;
    assert_eq!(
        export.starts(),
        [first, first + 2 * SECOND_US, first + 4 * SECOND_US]
    );
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
}

#[test]
fn how_records_are_cut_changes_nothing() {
    let stream = Stream::example();
    let reference = export(&record(&Recording::default(), &stream), "", TWO_SECONDS);
    for layout in [
        Layout::AccessUnit,
        Layout::Gops(2),
        Layout::AccessUnits(7),
        Layout::Nal,
    ] {
        let recording = Recording {
            layout,
            ..Default::default()
        };
        let export = export(&record(&recording, &stream), "", TWO_SECONDS);
        assert_eq!(export.pictures(), reference.pictures(), "{layout:?}");
        if layout == Layout::Nal {
            // The first slice is in a record that is some µs after that of the SPS.
            let frames: Vec<_> = export
                .episodes
                .iter()
                .map(|episode| episode.frames)
                .collect();
            assert_eq!(frames, [20, 20, 20]);
            for (start, expected) in export.starts().into_iter().zip(reference.starts()) {
                assert!((expected..expected + 10).contains(&start));
            }
        } else {
            assert_eq!(export.summary(), reference.summary(), "{layout:?}");
            assert_eq!(export.starts(), reference.starts(), "{layout:?}");
        }
    }
}

#[test]
fn jitter_of_a_millisecond_changes_nothing() {
    let stream = Stream::example();
    let recording = Recording {
        jitter_us: |record| [0, 1000, -1000][record % 3],
        ..access_units()
    };
    for mode in ["next-keyframe", "at-most"] {
        let splitter = format!("{TWO_SECONDS} split-mode={mode}");
        let export = export(&record(&recording, &stream), "", &splitter);
        let frames: Vec<_> = export
            .episodes
            .iter()
            .map(|episode| episode.frames)
            .collect();
        assert_eq!(frames, [20, 20, 20], "{mode}");
    }
}

#[test]
fn a_gap_ends_an_episode() {
    let stream = Stream::example();
    for layout in [Layout::Gop, Layout::AccessUnit, Layout::Gops(2)] {
        let recording = Recording {
            layout,
            holes: vec![(30, 10 * SECOND_US)],
            ..Default::default()
        };
        let export = export(&record(&recording, &stream), "", "");
        assert_eq!(
            export.summary(),
            [(3000, 30, "gap"), (3000, 30, "eos")],
            "{layout:?}"
        );
        let first = recording.start_us;
        assert_eq!(export.starts(), [first, first + 13 * SECOND_US]);
        assert_eq!(export.longest_sample_us(), 100_000);
        assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
    }
}

#[test]
fn without_gap_detection_a_hole_is_closed() {
    let stream = Stream::example();
    let recording = Recording {
        holes: vec![(30, 10 * SECOND_US)],
        ..Default::default()
    };
    let bucket = record(&recording, &stream);
    for source in ["gap-detection=false", ""] {
        let splitter = if source.is_empty() {
            "gap-detection=false"
        } else {
            ""
        };
        let export = export(&bucket, source, splitter);
        assert_eq!(export.summary(), [(6000, 60, "eos")], "{source}{splitter}");
        assert_eq!(export.longest_sample_us(), 100_000);
        assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
    }
}

#[test]
fn limits_hold_on_both_sides_of_a_gap() {
    let stream = Stream::example();
    let recording = Recording {
        holes: vec![(30, 10 * SECOND_US)],
        ..Default::default()
    };
    let bucket = record(&recording, &stream);
    for mode in ["next-keyframe", "at-most"] {
        let export = export(&bucket, "", &format!("{TWO_SECONDS} split-mode={mode}"));
        assert_eq!(
            export.summary(),
            [
                (2000, 20, "duration"),
                (1000, 10, "gap"),
                (2000, 20, "duration"),
                (1000, 10, "eos")
            ],
            "{mode}"
        );
    }
}

#[test]
fn undecodable_frames_after_a_gap_are_dropped_and_counted() {
    let stream = Stream::example();
    let recording = Recording {
        // Two groups and a frame: frame_num would go on without it.
        lost: vec![25..46],
        ..access_units()
    };
    let export = export(&record(&recording, &stream), "", "");
    assert_eq!(export.summary(), [(2500, 25, "gap"), (1000, 10, "eos")]);
    let dropped: Vec<_> = export
        .episodes
        .iter()
        .map(|episode| episode.dropped)
        .collect();
    assert_eq!(dropped, [0, 0], "the source dropped them");
    assert_eq!(export.outcome.warnings.len(), 1);
    assert_eq!(export.starts()[1], recording.frame_us(50, stream.fps));
    let source = mp4::stream_checksums(&stream);
    assert_eq!(export.pictures(), [&source[..25], &source[50..]].concat());
}

#[test]
fn one_missing_frame_is_no_gap_and_three_are() {
    let stream = Stream::example();
    let frames = |lost: std::ops::Range<usize>| {
        let recording = Recording {
            lost: vec![lost],
            ..access_units()
        };
        let export = export(&record(&recording, &stream), "", "");
        let frames: Vec<_> = export
            .episodes
            .iter()
            .map(|episode| episode.frames)
            .collect();
        frames
    };
    // The last frames of a group, so that nothing refers to them.
    assert_eq!(frames(29..30), [59]);
    assert_eq!(frames(27..30), [27, 30]);
}

#[test]
fn a_long_hole_is_a_gap_without_a_frame_rate() {
    let stream = Stream::make(StreamSpec {
        vui_timing: false,
        ..Default::default()
    });
    let recording = Recording {
        labels: &[],
        holes: vec![(30, 10 * SECOND_US)],
        ..access_units()
    };
    let export = export(&record(&recording, &stream), "", "");
    assert_eq!(export.summary(), [(3000, 30, "gap"), (3000, 30, "eos")]);
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
}

#[test]
fn a_range_may_begin_and_end_within_a_group() {
    let stream = Stream::example();
    let recording = access_units();
    let bucket = record(&recording, &stream);
    let at = |frame| recording.frame_us(frame, stream.fps);
    let source = format!("start={} stop={}", at(15), at(45));
    let export = export(&bucket, &source, "");
    assert_eq!(export.summary(), [(2500, 25, "eos")]);
    assert_eq!(export.episodes[0].dropped, 0, "the source skipped them");
    assert_eq!(export.starts(), [at(20)]);
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream)[20..45]);
}

#[test]
fn a_condition_on_a_label_picks_records() {
    let stream = Stream::example();
    let bucket = SERVER.new_bucket();
    let mut laid = Recording::default().lay(&stream);
    for (group, laid) in laid.iter_mut().enumerate() {
        let good = if group == 2 { "false" } else { "true" };
        laid.record.labels.push(("good".into(), good.into()));
    }
    SERVER.write_all(&bucket, "e", laid.iter().map(|laid| &laid.record));
    let when = r#"when="{\"&good\":{\"$eq\":true}}""#;
    let export = export(&bucket, when, "");
    assert_eq!(export.summary(), [(2000, 20, "gap"), (3000, 30, "eos")]);
    let source = mp4::stream_checksums(&stream);
    assert_eq!(export.pictures(), [&source[..20], &source[30..]].concat());
}

#[test]
fn an_empty_range_writes_nothing() {
    let recording = Recording::default();
    let bucket = record(&recording, &Stream::example());
    let after = recording.start_us + 3600 * SECOND_US;
    export(&bucket, &format!("start={after}"), "").nothing_is_written();
}

#[test]
fn a_range_without_a_keyframe_writes_nothing() {
    let stream = Stream::example();
    let recording = access_units();
    let bucket = record(&recording, &stream);
    let at = |frame| recording.frame_us(frame, stream.fps);
    let source = format!("start={} stop={}", at(11), at(19));
    let export = export(&bucket, &source, "");
    export.nothing_is_written();
    let warning = &export.outcome.warnings[0].0;
    assert!(warning.message().contains(" 8 "), "{warning}");
}

#[test]
fn another_sps_begins_an_episode() {
    let stream = Stream::example().then(Stream::make(StreamSpec {
        size: (192, 144),
        frames: 30,
        ..Default::default()
    }));
    let export = export(&record(&Recording::default(), &stream), "", "");
    assert_eq!(export.summary(), [(6000, 60, "format"), (3000, 30, "eos")]);
    let widths: Vec<_> = export.files().iter().map(|file| file.width).collect();
    assert_eq!(widths, [160, 192]);
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
}

#[test]
fn streams_of_every_kind_keep_every_frame() {
    let make = |x264_params| {
        Stream::make(StreamSpec {
            x264_params,
            ..Default::default()
        })
    };
    let streams = [
        ("four slices", make("slices=4")),
        ("AUDs", make("aud=1")),
        ("headers once", Stream::example().headers_once()),
        (
            "three-byte start codes",
            Stream::example().start_codes::<3>(),
        ),
        (
            "four-byte start codes",
            Stream::example().start_codes::<4>(),
        ),
    ];
    for (kind, stream) in streams {
        for layout in [Layout::Gop, Layout::AccessUnit, Layout::AccessUnits(3)] {
            let recording = Recording {
                layout,
                ..Default::default()
            };
            let export = export(&record(&recording, &stream), "", TWO_SECONDS);
            assert_eq!(export.episodes.len(), 3, "{kind}, {layout:?}");
            let pictures = mp4::stream_checksums(&stream);
            assert_eq!(export.pictures(), pictures, "{kind}, {layout:?}");
        }
    }
}

#[test]
fn the_capture_time_is_everywhere_the_same() {
    let stream = Stream::example();
    let recording = Recording::default();
    let bucket = SERVER.new_bucket();
    let laid = recording.write(&SERVER, &bucket, "e", &stream);
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e ! \
         reductepisodesplit {TWO_SECONDS} location={}/{{start}}_{{start-us}}_%d.mp4",
        SERVER.url(),
        folder.path().display(),
    ))
    .run()
    .clean();
    let captured = capture_times_us(&laid, stream.fps);
    let names: Vec<_> = outcome
        .episodes()
        .iter()
        .map(|episode| {
            assert_eq!(
                episode.start_us,
                Some(captured[20 * episode.index as usize])
            );
            let name = episode.location.file_name().expect("a name");
            name.to_string_lossy().into_owned()
        })
        .collect();
    assert_eq!(
        names,
        [
            "20250613T083053.273752Z_1749803453273752_0.mp4",
            "20250613T083055.273752Z_1749803455273752_1.mp4",
            "20250613T083057.273752Z_1749803457273752_2.mp4",
        ]
    );
}

#[test]
fn an_error_in_the_middle_leaves_earlier_episodes_whole() {
    let stream = Stream::make(StreamSpec {
        frames: 90,
        ..Default::default()
    });
    let bucket = SERVER.new_bucket();
    let mut laid = Recording::default().lay(&stream);
    // splitmuxsink closes a file when the group after it is complete, here the seventh.
    laid[7].record.content_type = "image/jpeg".into();
    SERVER.write_all(&bucket, "e", laid.iter().map(|laid| &laid.record));
    let export = run(&bucket, "on-error=stop", TWO_SECONDS);
    let (error, _) = export.outcome.error();
    assert!(error.matches(gst::StreamError::WrongType), "{error}");
    assert_eq!(
        export.summary(),
        [(2000, 20, "duration"), (2000, 20, "duration")]
    );
    export.episodes.iter().for_each(check_file);
    assert_eq!(mp4::episodes(export.folder.path()).len(), 2);
}

#[test]
fn a_hundred_runs_end_and_give_the_same_files() {
    let stream = Stream::example();
    let bucket = record(&access_units(), &stream);
    let mut different = BTreeSet::new();
    for _ in 0..100 {
        let export = run(&bucket, "", TWO_SECONDS);
        export.outcome.clean();
        let files = mp4::episodes(export.folder.path());
        let files: Vec<_> = files
            .iter()
            .map(|file| mp4::without_creation_times(file))
            .collect();
        assert_eq!(files.len(), 3);
        different.insert(files);
    }
    assert_eq!(different.len(), 1);
}

#[test]
fn stats_add_up() {
    let stream = Stream::example();
    let recording = Recording {
        lost: vec![25..46],
        ..access_units()
    };
    let bucket = record(&recording, &stream);
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = Pipeline::launch(&format!(
        "reductsrc name=source url={} bucket={bucket} entry=e ! \
         reductepisodesplit name=splitter location={}/%d.mp4",
        SERVER.url(),
        folder.path().display(),
    ));
    pipeline.run().clean();
    let counts = |element: &str, names: &[&str]| -> Vec<u64> {
        let stats: gst::Structure = pipeline.element(element).property("stats");
        let count = |name: &&str| stats.get(*name).expect("a count");
        names.iter().map(count).collect()
    };
    assert_eq!(
        counts("source", &["records", "access-units", "gaps", "dropped"]),
        [39, 35, 1, 4]
    );
    assert_eq!(
        counts("splitter", &["episodes", "frames", "dropped"]),
        [2, 35, 0]
    );
}
