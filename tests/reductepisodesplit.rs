// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductepisodesplit` behind any source but `reductsrc`: where it cuts, what it drops, and that
//! its files have every other frame once, however its states change.

mod common;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use common::await_that;
use common::child;
use common::mp4::{self, Mp4};
use common::pipeline::{Outcome, Pipeline};
use common::stream::{Content, Stream, StreamSpec, nal_ranges, nal_type, nal_units};
use gst::ClockTime;
use gst::prelude::*;
use tempfile::TempDir;

/// Each test stream has ten frames a second.
const FRAME: ClockTime = ClockTime::from_mseconds(100);
const HOLE: ClockTime = ClockTime::from_seconds(10);
const AU: &str = "video/x-h264,stream-format=byte-stream,alignment=au";
const MODES: [&str; 2] = ["next-keyframe", "at-most"];

/// An episode's milliseconds, frames and reason to end.
type Summary<'a> = (i64, u64, &'a str);

/// Six groups of a second, two an episode.
fn three_pairs(reason: &str) -> [Summary<'_>; 3] {
    [(2_000, 20, reason), (2_000, 20, reason), (2_000, 20, "eos")]
}

/// Six groups of a second, two an episode, with a cut for this reason in the middle.
fn three_and_three(reason: &str) -> [Summary<'_>; 4] {
    [
        (2_000, 20, "duration"),
        (1_000, 10, reason),
        (2_000, 20, "duration"),
        (1_000, 10, "eos"),
    ]
}

/// A pipeline with the bin named `split` that writes into a folder of its own.
struct Splitter {
    pipeline: Pipeline,
    folder: TempDir,
}

impl Splitter {
    fn new(source: &str, properties: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = Pipeline::launch(&format!(
            "{source} ! reductepisodesplit name=split location={}/%03d.mp4 {properties}",
            folder.path().display()
        ));
        Self { pipeline, folder }
    }

    /// A splitter behind an appsrc that gives all of `frames`.
    fn fed(caps: &str, properties: &str, frames: Vec<gst::Buffer>) -> Self {
        let source = format!("appsrc name=src format=time caps=\"{caps}\"");
        let splitter = Self::new(&source, properties);
        let src: gst_app::AppSrc = splitter.pipeline.element("src").downcast().unwrap();
        for frame in frames {
            src.push_buffer(frame).unwrap();
        }
        src.end_of_stream().unwrap();
        splitter
    }

    /// Runs it to its end. The files have to be what the messages say.
    fn run(self) -> Run {
        let outcome = self.pipeline.run().clean();
        let split = self.pipeline.element("split");
        let run = Run {
            files: (outcome.episodes().iter())
                .map(|episode| mp4::probe(&episode.location))
                .collect(),
            stats: split.property("stats"),
            folder: self.folder,
            outcome,
        };
        run.assert_told();
        run
    }
}

/// Result of a run without an error.
struct Run {
    folder: TempDir,
    outcome: Outcome,
    stats: gst::Structure,
    files: Vec<Mp4>,
}

impl Run {
    #[track_caller]
    fn assert_told(&self) {
        let episodes = self.outcome.episodes();
        let told: Vec<_> = episodes.iter().map(|e| e.location.clone()).collect();
        assert_eq!(told, mp4::episodes(self.folder.path()));
        mp4::assert_no_parts(self.folder.path());
        for (index, (episode, file)) in episodes.iter().zip(&self.files).enumerate() {
            assert_eq!(episode.index as usize, index);
            assert_eq!(file.start_us, 0, "{episode:?}");
            assert_eq!(file.frames, episode.frames, "{episode:?}");
            assert_eq!(file.packets.len() as u64, episode.frames, "{episode:?}");
            assert_eq!(
                fs::metadata(&episode.location).unwrap().len(),
                episode.bytes
            );
            // The ticks of the files are milliseconds.
            let off = episode.duration.useconds() as i64 - file.duration_us;
            assert!(off.abs() <= 1_000, "{episode:?}, {} µs", file.duration_us);
        }
        let frames: u64 = episodes.iter().map(|episode| episode.frames).sum();
        assert_eq!(self.stat("episodes"), episodes.len() as u64);
        assert_eq!(self.stat("frames"), frames);
    }

    fn stat(&self, name: &str) -> u64 {
        self.stats.get(name).unwrap()
    }

    /// The number of dropped access units: as the episodes tell it, and as the statistics do.
    fn dropped(&self) -> (Vec<u64>, u64) {
        let episodes = self.outcome.episodes();
        let told = episodes.iter().map(|episode| episode.dropped).collect();
        (told, self.stat("dropped"))
    }

    fn frames(&self) -> Vec<u64> {
        self.files.iter().map(|file| file.frames).collect()
    }

    /// The files' sizes.
    fn bytes(&self) -> Vec<u64> {
        let episodes = self.outcome.episodes();
        episodes.iter().map(|episode| episode.bytes).collect()
    }

    fn reasons(&self) -> Vec<String> {
        let episodes = self.outcome.episodes().into_iter();
        episodes.map(|episode| episode.reason).collect()
    }

    #[track_caller]
    fn assert_episodes(&self, expected: &[Summary]) {
        let reasons = self.reasons();
        let found: Vec<Summary> = (self.files.iter().zip(&reasons))
            .map(|(file, reason)| (file.duration_us / 1_000, file.frames, reason.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    /// No sample may fill a hole.
    #[track_caller]
    fn assert_no_long_sample(&self) {
        let packets = self.files.iter().flat_map(|file| &file.packets);
        let longest = packets.map(|packet| packet.duration_us).max();
        assert_eq!(longest, Some(FRAME.useconds() as i64));
    }

    /// All files decode to `checksums`, in their order.
    #[track_caller]
    fn assert_decodes_to(&self, checksums: &[String]) {
        let episodes = self.outcome.episodes();
        let decoded: Vec<String> = (episodes.iter())
            .flat_map(|episode| mp4::frame_checksums(&episode.location))
            .collect();
        assert!(decoded == checksums, "{} pictures", decoded.len());
    }

    /// Each file has one description of its samples.
    #[track_caller]
    fn assert_one_format_each(&self) {
        for episode in self.outcome.episodes() {
            let bytes = fs::read(&episode.location).unwrap();
            let descriptions = bytes.windows(4).filter(|tag| tag == b"avcC").count();
            assert_eq!(descriptions, 1, "{episode:?}");
        }
    }

    /// Just one warning: of this text.
    #[track_caller]
    fn assert_warned(&self, text: &str) {
        let warnings = &self.outcome.warnings;
        assert_eq!(warnings.len(), 1, "{}", self.outcome.text());
        assert!(warnings[0].0.message().contains(text), "{}", warnings[0].0);
    }

    /// Nothing came out, and it was said.
    #[track_caller]
    fn assert_nothing(&self, text: &str) {
        assert_eq!(self.files.len(), 0);
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 0);
        self.assert_warned(text);
        assert!(
            self.outcome.warnings[0].0.matches(gst::StreamError::Mux),
            "{}",
            self.outcome.text()
        );
    }
}

/// Six groups of ten frames, a second each.
fn six_groups() -> Stream {
    Stream::example()
}

fn checksums(stream: &Stream) -> Vec<String> {
    mp4::stream_checksums(stream)
}

/// A buffer an access unit, at the times of a perfect camera.
fn frames(stream: &Stream) -> Vec<gst::Buffer> {
    (stream.units.iter().enumerate())
        .map(|(index, unit)| buffer(unit, index))
        .collect()
}

fn buffer(bytes: &[u8], frame: usize) -> gst::Buffer {
    common::init();
    let mut buffer = gst::Buffer::from_slice(bytes.to_vec());
    buffer.make_mut().set_pts(frame as u64 * FRAME);
    buffer
}

/// Moves a frame in time.
fn set_pts(frame: &mut gst::Buffer, change: impl Fn(ClockTime) -> ClockTime) {
    let pts = change(frame.pts().unwrap());
    frame.make_mut().set_pts(pts);
}

/// Delays the frames from `index` on by a hole.
fn hole_before(frames: &mut [gst::Buffer], index: usize) {
    for frame in &mut frames[index..] {
        set_pts(frame, |pts| pts + HOLE);
    }
}

/// A hole, and the mark of it.
fn gap_before(frames: &mut [gst::Buffer], index: usize) {
    hole_before(frames, index);
    frames[index]
        .make_mut()
        .set_flags(gst::BufferFlags::DISCONT);
}

fn shake(frames: &mut [gst::Buffer]) {
    for (index, frame) in frames.iter_mut().enumerate().skip(1) {
        match index % 3 {
            0 => set_pts(frame, |pts| pts + ClockTime::MSECOND),
            1 => set_pts(frame, |pts| pts - ClockTime::MSECOND),
            _ => {}
        }
    }
}

/// Runs frames of a known rate through the bin.
fn split(properties: &str, frames: Vec<gst::Buffer>) -> Run {
    Splitter::fed(&format!("{AU},framerate=10/1"), properties, frames).run()
}

/// Runs a stream through, with an episode each two seconds.
fn split_in_pairs(stream: &Stream) -> Run {
    split("duration=2000000000", frames(stream))
}

#[test]
fn a_limit_is_reached_at_the_next_keyframe() {
    assert_durations("next-keyframe", 2_000, &[2_000; 3]);
    assert_durations("next-keyframe", 2_500, &[3_000; 2]);
    assert_durations("next-keyframe", 500, &[1_000; 6]);
}

#[test]
fn a_limit_is_not_exceeded_at_most() {
    assert_durations("at-most", 2_000, &[2_000; 3]);
    assert_durations("at-most", 2_500, &[2_000; 3]);
    assert_durations("at-most", 500, &[1_000; 6]);
}

#[track_caller]
fn assert_durations(mode: &str, limit_ms: u64, expected_ms: &[i64]) {
    let properties = format!("split-mode={mode} duration={limit_ms}000000");
    let run = split(&properties, frames(&six_groups()));
    let mut expected: Vec<Summary> = (expected_ms.iter())
        .map(|&ms| (ms, ms as u64 / 100, "duration"))
        .collect();
    expected.last_mut().unwrap().2 = "eos";
    run.assert_episodes(&expected);
}

#[test]
fn jitter_changes_nothing() {
    for mode in MODES {
        let mut frames = frames(&six_groups());
        shake(&mut frames);
        let run = split(&format!("split-mode={mode} duration=2000000000"), frames);
        assert_eq!(run.frames(), [20, 20, 20], "{mode}");
    }
}

#[test]
fn without_a_limit_there_is_one_episode() {
    let run = split("", frames(&six_groups()));
    run.assert_episodes(&[(6_000, 60, "eos")]);
}

#[test]
fn size_ends_an_episode_at_the_next_keyframe() {
    let stream = six_groups();
    let group: Vec<u64> = (stream.gops().into_iter())
        .map(|range| stream.slice(range).bytes().len() as u64)
        .collect();
    let limit = 3 * group[0] / 2;
    let run = split(&format!("size={limit}"), frames(&stream));
    assert_eq!(run.frames(), [20, 20, 20]);
    assert_eq!(run.reasons(), ["size", "size", "eos"]);
    for (bytes, last) in run.bytes().into_iter().zip([group[1], group[3], group[5]]) {
        assert!((limit..limit + last).contains(&bytes), "{bytes}");
    }
}

/// No file of more than one group may be larger than the limit, whatever it is.
#[track_caller]
fn assert_at_most(frames: &[gst::Buffer], group: u64, limits: impl Iterator<Item = u64>) {
    let mut several = 0;
    for limit in limits {
        let run = split(&format!("split-mode=at-most size={limit}"), frames.to_vec());
        for (bytes, frames) in run.bytes().into_iter().zip(run.frames()) {
            assert!(
                bytes <= limit || frames == group,
                "limit {limit}: {bytes} bytes, {frames} frames"
            );
            several += u32::from(frames > group);
        }
    }
    assert!(several > 0, "no episode had two groups: nothing was tested");
}

#[test]
fn size_is_not_exceeded_at_most() {
    let frames = frames(&six_groups());
    let whole = split("", frames[..20].to_vec()).bytes()[0];
    assert_at_most(
        &frames,
        10,
        [whole - 1, whole, whole + 400, whole + 1000, whole + 2_000].into_iter(),
    );
}

#[test]
fn size_is_not_exceeded_by_headers_of_tiny_frames() {
    let mut frames = frames(&Stream::make(StreamSpec {
        frames: 300,
        size: (16, 16),
        ..Default::default()
    }));
    shake(&mut frames);
    assert_at_most(&frames, 10, [5_000, 10_000, 15_000].into_iter());
}

#[test]
fn whichever_limit_comes_first_ends_an_episode() {
    let frames = frames(&six_groups());
    for (limits, expected) in [
        (
            "duration=3000000000 size=1000000",
            [(3_000, 30, "duration"), (3_000, 30, "eos")].as_slice(),
        ),
        ("duration=3000000000 size=30000", &three_pairs("size")),
        (
            "duration=3000000000 size=60000 split-mode=at-most",
            &three_pairs("size"),
        ),
    ] {
        split(limits, frames.clone()).assert_episodes(expected);
    }
}

#[test]
fn a_gap_ends_an_episode() {
    let stream = six_groups();
    let mut frames = frames(&stream);
    gap_before(&mut frames, 30);
    let run = split("", frames);
    run.assert_episodes(&[(3_000, 30, "gap"), (3_000, 30, "eos")]);
    run.assert_no_long_sample();
    run.assert_decodes_to(&checksums(&stream));
    assert_eq!(run.outcome.warnings.len(), 0);
}

#[test]
fn a_gap_is_left_alone_without_gap_detection() {
    let mut frames = frames(&six_groups());
    // On a delta frame: nothing is dropped.
    gap_before(&mut frames, 35);
    let run = split("gap-detection=false", frames);
    run.assert_episodes(&[(16_000, 60, "eos")]);
    assert_eq!(run.dropped(), (vec![0], 0));
}

#[test]
fn a_hole_without_discont_is_no_gap() {
    let mut frames = frames(&six_groups());
    hole_before(&mut frames, 30);
    split("", frames).assert_episodes(&[(16_000, 60, "eos")]);
}

#[test]
fn discont_on_the_first_frame_is_no_gap() {
    let mut frames = frames(&six_groups());
    gap_before(&mut frames, 0);
    let run = split("", frames);
    run.assert_episodes(&[(6_000, 60, "eos")]);
    assert_eq!(run.dropped(), (vec![0], 0));
}

#[test]
fn frames_after_a_gap_are_dropped_until_an_idr() {
    let stream = six_groups();
    let mut frames = frames(&stream);
    gap_before(&mut frames, 25);
    let run = split("", frames);
    run.assert_episodes(&[(2_500, 25, "gap"), (3_000, 30, "eos")]);
    run.assert_no_long_sample();
    assert_eq!(run.dropped(), (vec![0, 5], 5));
    run.assert_warned("5 access units");
    let source = checksums(&stream);
    run.assert_decodes_to(&[&source[..25], &source[30..]].concat());
}

#[test]
fn frames_after_a_gap_are_dropped_at_the_end() {
    let mut frames = frames(&six_groups());
    gap_before(&mut frames, 55);
    let run = split("", frames);
    assert_eq!(run.frames(), [55]);
    assert_eq!(run.dropped(), (vec![0], 5));
    run.assert_warned("5 access units");
}

#[test]
fn a_gap_after_a_group_of_one_frame_ends_an_episode() {
    let mut frames = frames(&six_groups());
    frames.drain(21..30);
    gap_before(&mut frames, 21);
    let run = split("", frames);
    run.assert_episodes(&[(2_100, 21, "gap"), (3_000, 30, "eos")]);
    run.assert_no_long_sample();
}

#[test]
fn limits_hold_on_both_sides_of_a_gap() {
    for (mode, limit) in [("next-keyframe", 2_000), ("at-most", 2_500)] {
        let mut frames = frames(&six_groups());
        gap_before(&mut frames, 30);
        let run = split(&format!("split-mode={mode} duration={limit}000000"), frames);
        run.assert_episodes(&three_and_three("gap"));
        run.assert_no_long_sample();
    }
}

#[test]
fn a_gap_is_no_frame_where_the_rate_is_unknown() {
    let stream = without_rate();
    let mut frames = frames(&stream);
    gap_before(&mut frames, 30);
    let run = Splitter::fed(AU, "duration=2000000000", frames).run();
    run.assert_episodes(&three_and_three("gap"));
    run.assert_no_long_sample();
}

#[test]
fn one_frame_after_a_gap_is_no_long_sample_where_the_rate_is_unknown() {
    let mut frames = frames(&without_rate());
    gap_before(&mut frames, 30);
    frames.truncate(31);
    let run = Splitter::fed(AU, "", frames).run();
    run.assert_episodes(&[(3_000, 30, "gap"), (100, 1, "eos")]);
}

#[test]
fn a_hole_counts_once_where_the_rate_is_unknown() {
    let mut frames = frames(&without_rate());
    hole_before(&mut frames, 35);
    let run = Splitter::fed(AU, "duration=2000000000", frames).run();
    run.assert_episodes(&[
        (2_000, 20, "duration"),
        (12_000, 20, "duration"),
        (2_000, 20, "eos"),
    ]);
}

#[test]
fn a_gap_behind_b_frames_ends_an_episode() {
    let copy = tempfile::NamedTempFile::new().unwrap();
    let source = encoder(60, "key-int-max=10 bframes=2 b-adapt=false", copy.path());
    let splitter = Splitter::new(&source, "");
    let pad = splitter.pipeline.element("encoder").static_pad("src");
    let count = AtomicUsize::new(0);
    pad.unwrap()
        .add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if count.fetch_add(1, Ordering::Relaxed) == 30 {
                let buffer = info.buffer_mut().unwrap();
                buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
            }
            gst::PadProbeReturn::Ok
        });
    let run = splitter.run();
    run.assert_episodes(&[(3_000, 30, "gap"), (3_000, 30, "eos")]);
    let stream = Stream::from_bytes(&fs::read(copy.path()).unwrap(), (10, 1));
    run.assert_decodes_to(&checksums(&stream));
}

/// Frames with the IDR picture of the second group shown after all others of that group.
fn idr_shown_last(stream: &Stream) -> Vec<gst::Buffer> {
    let mut frames = frames(stream);
    for (index, frame) in frames.iter_mut().enumerate() {
        let frame = frame.make_mut();
        let (pts, dts) = match index {
            10 => (19 * FRAME, 10 * FRAME - FRAME / 2),
            11..20 => ((index as u64 - 1) * FRAME, (index as u64 - 1) * FRAME),
            _ => (index as u64 * FRAME, index as u64 * FRAME),
        };
        frame.set_pts(pts);
        frame.set_dts(dts);
    }
    frames
}

#[test]
fn an_idr_picture_that_is_shown_last_in_its_group_begins_an_episode() {
    for mode in MODES {
        let properties = format!("duration=1000000000 split-mode={mode}");
        for groups in [2, 3] {
            let stream = six_groups().slice(0..10 * groups);
            let run = split(&properties, idr_shown_last(&stream));
            assert_eq!(run.frames(), vec![10; groups], "{mode}");
        }
    }
}

#[test]
fn a_cut_that_splitmuxsink_does_not_make_is_an_error() {
    let stream = six_groups();
    let caps = format!("{AU},framerate=10/1");
    let splitter = Splitter::fed(&caps, "duration=2000000000", frames(&stream));
    set_state(&splitter, gst::State::Ready);
    let split = splitter.pipeline.element("split");
    let splitmuxsink: gst::Element = split.property("splitmuxsink");
    // To splitmuxsink the first group of the last episode is part of the one before.
    let count = AtomicUsize::new(0);
    let pad = splitmuxsink.static_pad("video");
    pad.unwrap()
        .add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if count.fetch_add(1, Ordering::Relaxed) == 40 {
                let buffer = info.buffer_mut().unwrap();
                buffer.make_mut().set_flags(gst::BufferFlags::DELTA_UNIT);
            }
            gst::PadProbeReturn::Ok
        });
    let outcome = splitter.pipeline.run();
    let text = "001.mp4.part has 30 access units, and its episode 20";
    let (error, _) = outcome.error();
    assert!(error.matches(gst::CoreError::Failed), "{error}");
    assert!(error.message().contains(text), "{error}");
    let told = outcome.episodes();
    assert!(told.iter().all(|episode| episode.index == 0), "{told:?}");
}

/// The default stream, and another one behind it.
#[track_caller]
fn assert_new_format(second: StreamSpec) {
    let first = six_groups().slice(0..20);
    let second = Stream::make(second).slice(0..20);
    let stream = first.then(second);
    let run = split("", frames(&stream));
    run.assert_decodes_to(&checksums(&stream));
    run.assert_one_format_each();
    run.assert_episodes(&[(2_000, 20, "format"), (2_000, 20, "eos")]);
}

#[test]
fn a_new_size_begins_an_episode() {
    assert_new_format(StreamSpec {
        size: (320, 240),
        ..Default::default()
    });
}

#[test]
fn a_new_sps_of_the_same_size_begins_an_episode() {
    assert_new_format(StreamSpec {
        x264_params: "level=3.1:ref=3",
        ..Default::default()
    });
}

#[test]
fn a_new_pps_begins_an_episode() {
    assert_new_format(StreamSpec {
        x264_params: "chroma-qp-offset=4",
        ..Default::default()
    });
}

/// Parsers tell of changed parameter sets only where another field of the caps changes, too.
#[test]
fn a_new_sps_that_changes_codec_data_only_begins_an_episode() {
    assert_new_format(StreamSpec {
        x264_params: "ref=3",
        ..Default::default()
    });
}

#[test]
fn new_parameter_sets_that_come_once_are_in_all_later_episodes() {
    for x264_params in ["chroma-qp-offset=4", "cabac=1", "ref=3"] {
        let second = Stream::make(StreamSpec {
            x264_params,
            ..Default::default()
        });
        let first = six_groups().headers_once().slice(0..20);
        let stream = first.then(second.headers_once().slice(0..20));
        let run = split("duration=1000000000", frames(&stream));
        assert_eq!(
            run.reasons(),
            ["duration", "format", "duration", "eos"],
            "{x264_params}"
        );
        run.assert_decodes_to(&checksums(&stream));
    }
}

/// Three seconds of one size and three of another one.
fn two_sizes() -> Stream {
    let large = Stream::make(StreamSpec {
        size: (320, 240),
        ..Default::default()
    });
    six_groups().slice(0..30).then(large.slice(0..30))
}

#[test]
fn limits_hold_on_both_sides_of_a_new_format() {
    for (mode, limit) in [("next-keyframe", 2_000), ("at-most", 2_500)] {
        let run = split(
            &format!("split-mode={mode} duration={limit}000000"),
            frames(&two_sizes()),
        );
        run.assert_episodes(&three_and_three("format"));
        run.assert_one_format_each();
        let widths: Vec<u64> = run.files.iter().map(|file| file.width).collect();
        assert_eq!(widths, [160, 160, 320, 320]);
    }
}

#[test]
fn a_new_format_after_a_gap_begins_one_episode() {
    let stream = two_sizes();
    let mut frames = frames(&stream);
    gap_before(&mut frames, 30);
    let run = split("", frames);
    run.assert_episodes(&[(3_000, 30, "gap"), (3_000, 30, "eos")]);
    run.assert_one_format_each();
    run.assert_decodes_to(&checksums(&stream));
}

#[test]
fn a_new_format_after_dropped_frames_begins_one_episode() {
    let mut frames = frames(&two_sizes());
    gap_before(&mut frames, 25);
    let run = split("", frames);
    run.assert_episodes(&[(2_500, 25, "gap"), (3_000, 30, "eos")]);
    run.assert_one_format_each();
    assert_eq!(run.dropped(), (vec![0, 5], 5));
}

#[test]
fn an_old_format_that_comes_back_begins_an_episode() {
    let old = six_groups();
    let stream = two_sizes().then(old.slice(30..60));
    let run = split("", frames(&stream));
    run.assert_episodes(&[
        (3_000, 30, "format"),
        (3_000, 30, "format"),
        (3_000, 30, "eos"),
    ]);
    run.assert_one_format_each();
    run.assert_decodes_to(&checksums(&stream));
}

#[test]
fn parameter_sets_that_come_again_do_not_cut() {
    let stream = six_groups();
    let headers = headers(&stream);
    let often = stream.map_units(|index, unit| match index % 5 {
        // Also in the middle of a group.
        3 => [headers.as_slice(), unit].concat(),
        _ => unit.to_vec(),
    });
    let run = split("", frames(&often));
    run.assert_episodes(&[(6_000, 60, "eos")]);
    run.assert_one_format_each();
}

/// SPS and PPS of a stream, with their start codes.
fn headers(stream: &Stream) -> Vec<u8> {
    let unit = &stream.units[0];
    let nals = nal_ranges(unit).into_iter().map(|range| &unit[range]);
    let headers = nals.filter(|nal| matches!(nal_type(nal_units(nal)[0]), 7 | 8));
    headers.flatten().copied().collect()
}

/// Each file begins with an IDR, and only IDRs are its keyframes.
#[track_caller]
fn assert_keys_are_idrs(run: &Run, stream: &Stream) {
    let mut before = 0;
    let mut keys = Vec::new();
    for episode in run.outcome.episodes() {
        let samples = sync_samples(&episode.location);
        assert_eq!(samples[0], 0, "{episode:?}");
        keys.extend(samples.into_iter().map(|sample| before + sample));
        before += episode.frames as usize;
    }
    let idrs: Vec<usize> = stream.gops().into_iter().map(|gop| gop.start).collect();
    assert_eq!(keys, idrs);
}

/// The keyframes of a file, from 0, as its box `stss` has them: ffprobe calls all I pictures keys.
fn sync_samples(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let at = bytes.windows(4).position(|tag| tag == b"stss").unwrap();
    let number = |word: usize| {
        let at = at + 4 * word;
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    };
    (0..number(2)).map(|index| number(3 + index) - 1).collect()
}

#[test]
fn intra_pictures_that_are_no_idr_begin_no_episode() {
    let stream = Stream::make(StreamSpec {
        content: Content::Cuts,
        ..Default::default()
    });
    let run = split("duration=500000000", frames(&stream));
    assert_eq!(run.frames(), [10; 6]);
    assert_keys_are_idrs(&run, &stream);
    run.assert_decodes_to(&checksums(&stream));
}

#[test]
fn recovery_points_begin_no_episode() {
    let stream = Stream::make(StreamSpec {
        x264_params: "intra-refresh=1",
        ..Default::default()
    });
    let run = split("duration=1000000000", frames(&stream));
    run.assert_episodes(&[(6_000, 60, "eos")]);
    assert_keys_are_idrs(&run, &stream);
}

#[test]
fn one_idr_is_one_episode() {
    let stream = Stream::make(StreamSpec {
        gop: 60,
        ..Default::default()
    });
    for mode in MODES {
        let run = split(
            &format!("split-mode={mode} duration=1000000000 size=5000"),
            frames(&stream),
        );
        run.assert_episodes(&[(6_000, 60, "eos")]);
    }
}

/// Frames that begin in the middle of a group, without and with parameter sets before them.
/// Frames before an IDR, without and with parameter sets.
fn from_a_delta_frame(frames: Range<usize>) -> [Stream; 2] {
    let stream = six_groups();
    let headers = headers(&stream);
    let bare = stream.slice(frames);
    let known = bare.map_units(|index, unit| match index {
        0 => [headers.as_slice(), unit].concat(),
        _ => unit.to_vec(),
    });
    [bare, known]
}

#[test]
fn no_idr_is_no_file() {
    for stream in from_a_delta_frame(5..10) {
        let run = split("", frames(&stream));
        run.assert_nothing("none of 5 access units");
        assert_eq!(run.stat("dropped"), 5);
    }
}

#[test]
fn no_frame_is_no_file() {
    split("", Vec::new()).assert_nothing("no access unit came");
}

#[test]
fn frames_before_the_first_idr_are_dropped() {
    for stream in from_a_delta_frame(5..30) {
        let run = split("", frames(&stream));
        run.assert_episodes(&[(2_000, 20, "eos")]);
        assert_eq!(run.dropped(), (vec![5], 5));
        run.assert_warned("5 access units");
    }
}

/// The episodes of two seconds have each frame of `stream` once.
#[track_caller]
fn assert_every_frame_once(run: &Run, stream: &Stream) {
    run.assert_episodes(&three_pairs("duration"));
    run.assert_no_long_sample();
    run.assert_decodes_to(&checksums(stream));
    assert_eq!(run.outcome.warnings.len(), 0, "{}", run.outcome.text());
}

#[test]
fn every_frame_once_with_four_slices() {
    let stream = Stream::make(StreamSpec {
        x264_params: "slices=4",
        ..Default::default()
    });
    assert_every_frame_once(&split_in_pairs(&stream), &stream);
}

#[test]
fn every_frame_once_without_auds() {
    let stream = six_groups();
    assert_every_frame_once(&split_in_pairs(&stream), &stream);
}

#[test]
fn every_frame_once_with_auds() {
    let stream = six_groups().with_auds();
    assert_every_frame_once(&split_in_pairs(&stream), &stream);
}

#[test]
fn every_frame_once_with_start_codes_of_three_bytes() {
    let stream = six_groups().start_codes::<3>();
    assert_every_frame_once(&split_in_pairs(&stream), &stream);
}

#[test]
fn every_frame_once_with_parameter_sets_only_at_the_start() {
    let stream = six_groups().headers_once();
    assert_every_frame_once(&split_in_pairs(&stream), &stream);
}

/// The default stream without a frame rate in its SPS.
fn without_rate() -> Stream {
    Stream::make(StreamSpec {
        vui_timing: false,
        ..Default::default()
    })
}

#[test]
fn every_frame_once_with_the_rate_in_the_caps_only() {
    let stream = without_rate();
    assert_every_frame_once(&split_in_pairs(&stream), &stream);
}

#[test]
fn every_frame_once_without_any_rate() {
    let stream = without_rate();
    let run = Splitter::fed(AU, "duration=2000000000", frames(&stream)).run();
    assert_every_frame_once(&run, &stream);
}

#[test]
fn every_frame_once_from_nal_units() {
    let stream = six_groups();
    let nals = (stream.units.iter().enumerate())
        .flat_map(|(index, unit)| {
            let ranges = nal_ranges(unit).into_iter();
            ranges.map(move |range| buffer(&unit[range], index))
        })
        .collect();
    let caps = "video/x-h264,stream-format=byte-stream,alignment=nal,framerate=10/1";
    let run = Splitter::fed(caps, "duration=2000000000", nals).run();
    assert_every_frame_once(&run, &stream);
}

/// h264parse gives times to the first NAL unit of an access unit only, and DISCONT to all of the
/// first one.
#[test]
fn every_frame_once_from_the_nal_units_of_a_parser() {
    let stream = Stream::make(StreamSpec {
        x264_params: "slices=4:aud=1",
        ..Default::default()
    });
    for format in ["byte-stream", "avc", "avc3"] {
        let caps = format!(
            "{AU},framerate=10/1\" ! h264parse ! \
             capsfilter caps=\"video/x-h264,stream-format={format},alignment=nal"
        );
        let run = Splitter::fed(&caps, "duration=2000000000", frames(&stream)).run();
        assert_eq!(run.stat("dropped"), 0, "{format}");
        assert_every_frame_once(&run, &stream);
    }
}

#[test]
fn streams_one_after_the_other_are_as_long_as_both() {
    let camera = "videotestsrc num-buffers=30 ! video/x-raw,framerate=10/1,width=160,height=120 ! \
                  x264enc bframes=0 key-int-max=10 speed-preset=ultrafast ! queue ! c.";
    let source = format!("{camera} {camera} concat name=c");
    let run = Splitter::new(&source, "gap-detection=false").run();
    run.assert_episodes(&[(6_000, 60, "eos")]);
}

#[test]
fn every_frame_once_from_avc() {
    let stream = six_groups();
    let caps = format!(
        "{AU},framerate=10/1\" ! h264parse ! capsfilter caps=\"video/x-h264,stream-format=avc"
    );
    let run = Splitter::fed(&caps, "duration=2000000000", frames(&stream)).run();
    assert_every_frame_once(&run, &stream);
}

/// An encoder of `frames` test pictures, whose output is in a file of this name, too.
fn encoder(frames: u32, parameters: &str, copy: &Path) -> String {
    format!(
        "videotestsrc num-buffers={frames} ! video/x-raw,width=160,height=120,framerate=10/1 \
         ! x264enc name=encoder speed-preset=ultrafast {parameters} ! tee name=tee ! queue \
         ! video/x-h264,stream-format=byte-stream ! filesink async=false location={} tee. ! queue",
        copy.display()
    )
}

#[test]
fn every_frame_once_behind_an_encoder() {
    assert_encoder_passes("tune=zerolatency");
}

#[test]
fn every_frame_once_with_b_frames() {
    let run = assert_encoder_passes("bframes=2 b-adapt=false");
    for file in &run.files {
        assert!(
            file.packets
                .iter()
                .any(|packet| packet.pts_us > packet.dts_us),
            "no B-frames"
        );
        let mut shown: Vec<i64> = file.packets.iter().map(|packet| packet.pts_us).collect();
        shown.sort_unstable();
        assert_eq!(shown, (0..20).map(|i| i * 100_000).collect::<Vec<_>>());
    }
}

fn assert_encoder_passes(parameters: &str) -> Run {
    let copy = tempfile::NamedTempFile::new().unwrap();
    let source = encoder(60, &format!("key-int-max=10 {parameters}"), copy.path());
    let run = Splitter::new(&source, "duration=2000000000").run();
    let stream = Stream::from_bytes(&fs::read(copy.path()).unwrap(), (10, 1));
    assert_every_frame_once(&run, &stream);
    assert!(
        run.outcome
            .episodes()
            .iter()
            .all(|episode| episode.start_us.is_none())
    );
    run
}

#[test]
fn an_encoder_is_asked_for_keyframes_at_the_limit() {
    let keyframes = |requests| {
        let source = "videotestsrc num-buffers=60 ! video/x-raw,width=160,height=120,framerate=10/1 \
             ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=1000";
        let limits = format!("duration=1500000000 send-keyframe-requests={requests}");
        Splitter::new(source, &limits).run()
    };
    keyframes(true).assert_episodes(&[
        (1_500, 15, "duration"),
        (1_500, 15, "duration"),
        (1_500, 15, "duration"),
        (1_500, 15, "eos"),
    ]);
    keyframes(false).assert_episodes(&[(6_000, 60, "eos")]);
}

/// A camera without an end, with a group of ten frames a second.
const CAMERA: &str = "videotestsrc name=camera ! video/x-raw,width=160,height=120,framerate=10/1 \
     ! x264enc name=encoder speed-preset=ultrafast tune=zerolatency key-int-max=10";

/// Each frame that is on its way into the bin waits until it is received here. Without a receiver
/// `then` becomes of it.
fn halted(splitter: &Splitter, then: gst::PadProbeReturn) -> Receiver<()> {
    let (sender, receiver) = mpsc::sync_channel(0);
    let pad = splitter.pipeline.element("encoder").static_pad("src");
    pad.unwrap()
        .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            match sender.send(()) {
                Ok(()) => gst::PadProbeReturn::Ok,
                Err(_) => then,
            }
        });
    receiver
}

/// Changes the state, which this sink never does in the background.
#[track_caller]
fn set_state(splitter: &Splitter, state: gst::State) {
    let change = splitter.pipeline.set_state(state);
    assert_eq!(change, Ok(gst::StateChangeSuccess::Success));
}

#[test]
fn paused_holds_the_stream_back() {
    let splitter = Splitter::new(CAMERA, "duration=1000000000");
    splitter
        .pipeline
        .element("camera")
        .set_property("num-buffers", 30);
    let (sender, receiver) = mpsc::channel();
    let pad = splitter.pipeline.element("encoder").static_pad("src");
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.unwrap().add_probe(mask, move |_, _| {
        sender.send(()).unwrap();
        gst::PadProbeReturn::Ok
    });
    set_state(&splitter, gst::State::Paused);
    receiver.recv().unwrap();
    // The first thing is held back, so that no second one follows.
    receiver
        .recv_timeout(Duration::from_millis(300))
        .unwrap_err();
    assert_eq!(fs::read_dir(splitter.folder.path()).unwrap().count(), 0);
    let run = splitter.run();
    assert_eq!(run.frames(), [10; 3]);
}

#[test]
fn a_live_source_is_no_different() {
    let splitter = Splitter::new(CAMERA, "");
    let camera = splitter.pipeline.element("camera");
    camera.set_property("is-live", true);
    camera.set_property("num-buffers", 3);
    assert_eq!(splitter.run().frames(), [3]);
}

#[test]
fn a_pause_loses_nothing() {
    let splitter = Splitter::new(CAMERA, "duration=2000000000");
    splitter
        .pipeline
        .element("camera")
        .set_property("num-buffers", 60);
    let frames = halted(&splitter, gst::PadProbeReturn::Ok);
    set_state(&splitter, gst::State::Playing);
    // Also after the last frame, when only EOS is left.
    for frame in 1..=60 {
        frames.recv().unwrap();
        if frame % 6 == 0 {
            set_state(&splitter, gst::State::Paused);
            set_state(&splitter, gst::State::Playing);
        }
    }
    let run = splitter.run();
    run.assert_episodes(&three_pairs("duration"));
    run.assert_no_long_sample();
}

#[test]
fn a_stop_in_mid_stream_leaves_one_part() {
    for last in [gst::State::Playing, gst::State::Paused] {
        let splitter = Splitter::new(CAMERA, "duration=1000000000");
        let frames = halted(&splitter, gst::PadProbeReturn::Drop);
        splitter.pipeline.play();
        // The second episode is open once the third one begins.
        (0..25).for_each(|_| frames.recv().unwrap());
        let mut messages = Vec::new();
        splitter.pipeline.wait(&mut messages, |message| {
            let location = message.structure().map(|s| s.get::<String>("location"));
            location.is_some_and(|name| name.is_ok_and(|name| name.ends_with("001.mp4.part")))
        });
        set_state(&splitter, last);
        drop(frames);
        let outcome = splitter.pipeline.finish(messages);

        let found = mp4::episodes(splitter.folder.path());
        let told: Vec<_> = outcome.episodes().into_iter().map(|e| e.location).collect();
        assert_eq!(found, told);
        for file in &found {
            assert_eq!(mp4::probe(file).frames, 10);
        }
        let part = splitter
            .folder
            .path()
            .join(format!("{:03}.mp4.part", found.len()));
        assert!(part.exists());
        assert_eq!(
            fs::read_dir(splitter.folder.path()).unwrap().count(),
            found.len() + 1
        );
        assert!(outcome.errors.is_empty(), "{}", outcome.text());
        let [(warning, _)] = &outcome.warnings[..] else {
            panic!("{}", outcome.text());
        };
        assert!(warning.matches(gst::ResourceError::Write), "{warning}");
        assert!(
            warning.message().contains(part.to_str().unwrap()),
            "{warning}"
        );
    }
}

/// Runs the same pipeline twice, in this state between.
#[track_caller]
fn assert_anew_after(between: gst::State) {
    let splitter = Splitter::new(CAMERA, "duration=1000000000");
    let camera = splitter.pipeline.element("camera");
    camera.set_property("num-buffers", 30);
    splitter.pipeline.play();
    splitter.pipeline.wait(&mut Vec::new(), |message| {
        message.type_() == gst::MessageType::Eos
    });
    set_state(&splitter, between);
    for file in mp4::episodes(splitter.folder.path()) {
        fs::remove_file(file).unwrap();
    }
    assert_eq!(splitter.run().frames(), [10; 3]);
}

#[test]
fn a_run_after_null_begins_anew() {
    assert_anew_after(gst::State::Null);
}

#[test]
fn a_run_after_ready_begins_anew() {
    assert_anew_after(gst::State::Ready);
}

#[test]
fn a_run_after_an_unfinished_one_begins_anew() {
    let splitter = Splitter::new(CAMERA, "duration=1000000000");
    let frames = halted(&splitter, gst::PadProbeReturn::Ok);
    splitter.pipeline.play();
    (0..15).for_each(|_| frames.recv().unwrap());
    drop(frames);
    set_state(&splitter, gst::State::Null);
    for entry in fs::read_dir(splitter.folder.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    splitter
        .pipeline
        .element("camera")
        .set_property("num-buffers", 30);
    assert_eq!(splitter.run().frames(), [10; 3]);
}

#[test]
fn states_change_to_and_fro() {
    let splitter = Splitter::new(CAMERA, "duration=1000000000");
    for _ in 0..50 {
        for state in [gst::State::Ready, gst::State::Paused, gst::State::Playing] {
            set_state(&splitter, state);
            set_state(&splitter, gst::State::Null);
        }
    }
    splitter
        .pipeline
        .element("camera")
        .set_property("num-buffers", 10);
    let outcome = splitter.pipeline.run().clean();
    assert_eq!(outcome.episodes().len(), 1);
}

#[test]
fn a_hundred_runs_end_with_the_same_files() {
    let frames = frames(&six_groups());
    let run = || -> Vec<Vec<u8>> {
        let caps = format!("{AU},framerate=10/1");
        let splitter = Splitter::fed(&caps, "duration=1000000000", frames.clone());
        let episodes = splitter.pipeline.run().clean().episodes();
        let files = episodes.iter().map(|e| fs::read(&e.location).unwrap());
        files.map(without_times).collect()
    };
    let first = run();
    assert_eq!(first.len(), 6);
    for _ in 1..100 {
        assert!(run() == first);
    }
}

/// A file without the times at which it was made.
fn without_times(mut file: Vec<u8>) -> Vec<u8> {
    for tag in [b"mvhd", b"tkhd", b"mdhd"] {
        let at = file.windows(4).position(|found| found == tag).unwrap();
        // Behind version and flags; 32 bits each.
        file[at + 8..at + 16].fill(0);
    }
    file
}

#[test]
fn the_element_ends_with_its_pipeline() {
    let splitter = Splitter::fed(AU, "duration=1000000000", frames(&six_groups()));
    let split = splitter.pipeline.element("split").downgrade();
    splitter.pipeline.run().clean();
    assert!(split.upgrade().is_some());
    drop(splitter);
    assert!(split.upgrade().is_none());
}

#[test]
fn eos_outlasts_a_pause_while_another_branch_plays() {
    // Like a pipeline that exports and shows: EOS is there when all sinks have it.
    let splitter = Splitter::new(CAMERA, "");
    let pipeline = &splitter.pipeline;
    pipeline.element("camera").set_property("num-buffers", 30);
    let other: gst_app::AppSrc = gst::ElementFactory::make("appsrc")
        .build()
        .unwrap()
        .downcast()
        .unwrap();
    let sink = gst::ElementFactory::make("fakesink")
        .property("async", false)
        .build()
        .unwrap();
    pipeline.add_many([other.upcast_ref(), &sink]).unwrap();
    other.link(&sink).unwrap();

    pipeline.play();
    let mut messages = Vec::new();
    pipeline.wait(&mut messages, |message| {
        let reason = message
            .structure()
            .map(|structure| structure.get::<&str>("reason"));
        reason == Some(Ok("eos"))
    });
    // EOS of the bin comes after that, from the muxer's thread, and is not EOS of the pipeline.
    let muxer = pipeline.element("mp4mux").static_pad("src").unwrap();
    await_that("the task of the muxer does not pause", || {
        muxer.task_state() == gst::TaskState::Paused
    });
    set_state(&splitter, gst::State::Paused);
    set_state(&splitter, gst::State::Playing);
    other.end_of_stream().unwrap();
    messages.extend(pipeline.wait_for_end());
    assert_eq!(pipeline.finish(messages).clean().episodes().len(), 1);
}

/// An application may end the bin before its source begins. splitmuxsink would take a stream that comes later, and never
/// end.
#[test]
fn a_stream_after_the_end_is_refused() {
    for is_paused in [false, true] {
        let splitter = Splitter::new("identity name=in", "");
        let pipeline = &splitter.pipeline;
        let bin = pipeline.element("split");
        let input = pipeline.element("in").static_pad("sink").unwrap();
        if is_paused {
            pipeline.set_state(gst::State::Paused).unwrap();
            assert!(bin.send_event(gst::event::Eos::new()));
        }
        pipeline.play();
        if !is_paused {
            assert!(bin.send_event(gst::event::Eos::new()));
        }
        let messages = pipeline.wait_for_end();
        let caps: gst::Caps = AU.parse().unwrap();
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        input.send_event(gst::event::StreamStart::new("late"));
        input.send_event(gst::event::Caps::new(&caps));
        input.send_event(gst::event::Segment::new(&segment));
        for frame in frames(&six_groups()).into_iter().take(3) {
            assert_eq!(input.chain(frame), Err(gst::FlowError::Eos));
        }
        input.send_event(gst::event::Eos::new());
        let outcome = pipeline.finish(messages).clean();
        assert_eq!(
            outcome.warning_texts(),
            ["No file is written: no access unit came"]
        );
        assert!(mp4::episodes(splitter.folder.path()).is_empty());
    }
}

/// Flushes when there is an element message `when`, and gives the frames of each complete file.
fn frames_after_a_flush_at(when: &str, eos: bool) -> Vec<u64> {
    let mut frames = frames(&six_groups());
    frames.truncate(25);
    let source = format!("appsrc name=src format=time caps=\"{AU}\"");
    let splitter = Splitter::new(&source, "duration=1000000000");
    let pipeline = &splitter.pipeline;
    let src: gst_app::AppSrc = pipeline.element("src").downcast().unwrap();
    for frame in frames {
        src.push_buffer(frame).unwrap();
    }
    if eos {
        src.end_of_stream().unwrap();
    }
    pipeline.play();
    let mut messages = Vec::new();
    pipeline.wait(&mut messages, |message| {
        let structure = message.structure();
        structure.is_some_and(|structure| structure.name() == when)
            || message.type_() == gst::MessageType::Eos && when == "eos"
    });
    let pad = pipeline.element("split").static_pad("sink").unwrap();
    pad.send_event(gst::event::FlushStart::new());
    pad.send_event(gst::event::FlushStop::new(true));
    pipeline.wait(&mut messages, |message| {
        message.type_() == gst::MessageType::Error
    });
    let outcome = pipeline.finish(messages);
    assert!(outcome.error().0.matches(gst::StreamError::Mux));
    let files = mp4::episodes(splitter.folder.path());
    let told = outcome.episodes();
    assert_eq!(files.len(), told.len(), "each file was told");
    let counts = files.iter().map(|file| mp4::probe(file).frames);
    counts.collect()
}

#[test]
fn a_flush_within_an_episode_is_an_error() {
    // splitmuxsink has the first group, and some of the next.
    let frames = frames_after_a_flush_at("splitmuxsink-fragment-opened", false);
    assert!(frames.iter().all(|frames| *frames == 10), "{frames:?}");
}

#[test]
fn a_flush_leaves_the_file_that_was_complete() {
    let frames = frames_after_a_flush_at("reduct-episode", false);
    assert_eq!(frames[0], 10);
}

#[test]
fn a_flush_after_eos_leaves_all_files() {
    assert_eq!(frames_after_a_flush_at("eos", true), [10, 10, 5]);
}

#[test]
fn a_flush_before_the_first_episode_is_a_new_start() {
    let source = format!("appsrc name=src format=time stream-type=seekable caps=\"{AU}\"");
    let splitter = Splitter::new(&source, "duration=1000000000");
    let src: gst_app::AppSrc = splitter.pipeline.element("src").downcast().unwrap();
    src.set_callbacks(
        gst_app::AppSrcCallbacks::builder()
            .seek_data(|_, _| true)
            .build(),
    );
    let frames = frames(&six_groups());
    for frame in &frames[1..4] {
        src.push_buffer(frame.clone()).unwrap();
    }
    splitter.pipeline.play();
    await_that("frames are taken", || src.current_level_buffers() == 0);
    // mp4mux refuses to hand it on.
    src.seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::ZERO)
        .unwrap();
    for frame in frames {
        src.push_buffer(frame).unwrap();
    }
    src.end_of_stream().unwrap();
    let outcome = splitter.pipeline.finish(splitter.pipeline.wait_for_end());
    assert_eq!(outcome.clean().episodes().len(), 6);
    for file in mp4::episodes(splitter.folder.path()) {
        assert_eq!(mp4::probe(&file).frames, 10, "{file:?}");
    }
}

/// The most memory that this process had so far.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|kib| kib.parse().ok()).expect("a number")
}

/// splitmuxsink keeps a group of pictures until the next one begins.
#[test]
fn a_long_group_does_not_stay_in_memory() {
    if child::again("a_long_group_does_not_stay_in_memory", &[]).is_some() {
        return;
    }
    let stream = Stream::make(StreamSpec {
        frames: 2,
        gop: 2,
        size: (640, 480),
        content: Content::Noise,
        x264_params: "qp=10",
        ..Default::default()
    });
    // All frames but the first are the same, in the same memory.
    let [idr, p] = [0, 1].map(|unit| bytes::Bytes::from(stream.units[unit].clone()));
    let count = (150 << 20) / p.len() as u64;
    common::init();
    let frames = (0..count).map(|frame| {
        let unit = if frame == 0 { &idr } else { &p };
        let mut buffer = gst::Buffer::from_slice(unit.clone());
        buffer.make_mut().set_pts(frame * FRAME);
        buffer
    });
    let caps = format!("{AU},framerate=10/1");
    let splitter = Splitter::fed(&caps, "", frames.collect());
    let before = peak_kib();
    let outcome = splitter.pipeline.run().clean();
    let grown = peak_kib() - before;
    assert!(grown < 60 << 10, "{grown} KiB");

    let [episode] = &outcome.episodes()[..] else {
        panic!("one episode");
    };
    let file = mp4::probe(&episode.location);
    assert_eq!(file.frames, count);
    let keys: Vec<_> = file.packets.iter().map(|packet| packet.key).collect();
    assert_eq!(keys.iter().filter(|key| **key).count(), 1);
    assert!(keys[0]);
}
