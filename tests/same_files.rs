// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The files of the element and those of an export without GStreamer are the same, box by box.

mod common;

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use client::{Server, ServerOptions};
use common::SERVER;
use common::line;
use common::mp4;
use common::pcm::{Sequence, Slices, frame};
use common::recording::{Layout, Recording};
use common::stream::{Stream, StreamSpec, stored_streams};
use common::track::{self, read};
use media::cut::policy::Config;
use media::cut::{
    EpisodeBegin, EpisodeFile, EpisodeOutputs, FileLayout, FileSettings, KeyframeMode, Mp4Episodes,
    PictureFormat, SplitMode,
};
use media::mp4::{DiskFile, MoovPlace, VideoTrackFile};
use media::range::Begin;
use media::time::{CaptureTime, Nanos};
use recording::{Export, SCHEMA};

/// Files of episodes in a folder, whose box `moov` may be the first or the last one.
struct Files {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

impl EpisodeOutputs for Files {
    type Output = DiskFile<BufWriter<File>>;

    fn open(&mut self, begin: &EpisodeBegin<PictureFormat>) -> io::Result<Self::Output> {
        let path = self.folder.join(format!("{}.mp4", begin.index));
        let file = BufWriter::new(File::create(&path)?);
        self.files.push(path);
        DiskFile::new(file)
    }

    fn close(&mut self, file: EpisodeFile<Self::Output>) -> io::Result<()> {
        file.output.complete(&file.parts)?;
        Ok(())
    }
}

/// Files of episodes in memory.
#[derive(Default)]
struct InMemory(Vec<Vec<u8>>);

impl EpisodeOutputs for InMemory {
    type Output = Vec<u8>;

    fn open(&mut self, _: &EpisodeBegin<PictureFormat>) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn close(&mut self, file: EpisodeFile<Vec<u8>>) -> io::Result<()> {
        let parts = file.parts;
        let length = parts.length();
        let file = [parts.front, file.output, parts.back].concat();
        assert_eq!(file.len() as u64, length);
        self.0.push(file);
        Ok(())
    }
}

/// An export of entry `e` of a bucket.
struct Job<'a> {
    bucket: &'a str,
    range: Option<[CaptureTime; 2]>,
    config: Config,
}

impl Job<'_> {
    /// Exports without GStreamer.
    fn export<O: EpisodeOutputs>(&self, layout: FileLayout, outputs: O) -> O {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let server = Server::new(ServerOptions {
            url: SERVER.url(),
            ..ServerOptions::new(SCHEMA)
        });
        runtime.block_on(async {
            let server = server.expect("settings of a server");
            let recording = recording::Recording::open(&server, self.bucket, "e").await;
            let recording = recording.expect("an entry");
            let request = match self.range {
                None => recording.read(..),
                Some([start, stop]) => recording.read(start..stop).start(Begin::Exact),
            };
            let mut frames = request.frames();
            let settings = FileSettings {
                header: layout.header(),
                ..FileSettings::default()
            };
            let writer = Mp4Episodes::new(layout, outputs);
            let mut export = Export::new(self.config.clone(), settings, writer);
            while let Some(item) = frames.next().await.expect("an item") {
                export.push(item).expect("a file");
            }
            export.finish().expect("a file");
            export.into_writer().into_outputs()
        })
    }

    /// Exports to files in a folder.
    fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let files = Files {
            folder: folder.into(),
            files: Vec::new(),
        };
        self.export(FileLayout::default(), files).files
    }

    /// Exports to files of another layout.
    fn other_files(&self, folder: &Path, name: &str, layout: FileLayout) -> Vec<PathBuf> {
        let files = self.export(layout, InMemory::default()).0;
        let named = files.iter().enumerate().map(|(index, file)| {
            let path = folder.join(format!("{name}_{index}.mp4"));
            fs::write(&path, file).expect("a file");
            path
        });
        named.collect()
    }
}

/// A box and the boxes in it.
fn boxes_at<'a>(file: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    let (kind, rest) = path.split_first()?;
    let mut data = file;
    while let Some(found) = media::mp4::BoxHeader::parse(data, data.len() as u64) {
        let (whole, after) = data.split_at(found.size as usize);
        let contents = &whole[found.length as usize..];
        if found.kind == kind.as_bytes() {
            // Boxes within these follow other fields.
            let fields = match found.kind {
                kind if rest.is_empty() || kind == *b"moov" => 0,
                kind if kind == *b"stsd" => 8,
                kind if kind == *b"avc1" => 78,
                _ => 0,
            };
            return match rest {
                [] => Some(contents),
                rest => boxes_at(&contents[fields..], rest),
            };
        }
        data = after;
    }
    None
}

/// The version of a box with times of samples, and its runs, of which two in a row may be of equal values.
fn runs(contents: &[u8]) -> (u8, Vec<(u32, u32)>) {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    let words = contents[8..].chunks_exact(4);
    let words: Vec<_> = words
        .map(|word| u32::from_be_bytes(word.try_into().expect("four bytes")))
        .collect();
    for run in words.chunks_exact(2) {
        match runs.last_mut() {
            Some((count, value)) if *value == run[1] => *count += run[0],
            _ => runs.push((run[0], run[1])),
        }
    }
    (contents[0], runs)
}

const TABLE: [&str; 5] = ["moov", "trak", "mdia", "minf", "stbl"];

/// Checks that a file of the element and another one have the same boxes and the same samples.
#[track_caller]
fn check_boxes(element: &Path, ours: &Path) {
    let (element_bytes, element) = read(element);
    let (our_bytes, ours) = read(ours);
    let is_all_sync = element.samples.iter().all(|sample| sample.is_sync);
    let stbl = |kind| [&TABLE[..], &[kind]].concat();
    let entry = |kind| [&TABLE[..], &["stsd", "avc1", kind]].concat();
    let mut same = vec![
        vec!["moov", "trak", "edts", "elst"],
        vec!["moov", "trak", "mdia", "hdlr"],
        vec!["moov", "trak", "mdia", "minf", "vmhd"],
        vec!["moov", "trak", "mdia", "minf", "dinf"],
        stbl("stts"),
        stbl("ctts"),
        stbl("stsz"),
        entry("avcC"),
        entry("colr"),
    ];
    if !is_all_sync {
        same.push(stbl("stss"));
    }
    for path in same {
        let [theirs, found] = [&element_bytes, &our_bytes].map(|file| boxes_at(file, &path));
        match path.last() {
            Some(&"stts" | &"ctts") => assert_eq!(theirs.map(runs), found.map(runs), "{path:?}"),
            _ => assert_eq!(theirs, found, "{path:?}"),
        }
    }
    // mp4mux does not know durations that are rewritten at the end.
    let btrt = boxes_at(&our_bytes, &entry("btrt")).expect("bit rates");
    let average = u32::from_be_bytes(btrt[8..12].try_into().expect("four bytes"));
    let bits = ours
        .samples
        .iter()
        .map(|it| 8 * u64::from(it.size))
        .sum::<u64>();
    let expected = bits as f64 * f64::from(ours.media.units) / ours.media.ticks as f64;
    assert_eq!(f64::from(average), expected.round());
    for required in [stbl("stts"), stbl("stsz"), entry("avcC")] {
        assert!(boxes_at(&our_bytes, &required).is_some(), "{required:?}");
    }
    track::check_same(&element, &element_bytes, &ours, &our_bytes);
}

/// Checks that a file in fragments has the samples of a plain one of the element, which is `decoded`.
#[track_caller]
fn check_fragments(element: &Path, decoded: &mp4::Decoded, ours: &Path) {
    let [(_, theirs), (_, found)] = [element, ours].map(read);
    assert!(found.is_fragmented);
    let contents = |track: &VideoTrackFile| {
        let samples = track.samples.iter();
        samples.map(|it| (it.size, it.is_sync)).collect::<Vec<_>>()
    };
    assert_eq!(contents(&theirs), contents(&found));
    // FFmpeg shows all pictures of a file in fragments, also those that its edit list hides.
    let mut found_pictures = mp4::decode(ours).checksums.into_iter();
    let mut expected = decoded.checksums.iter();
    assert!(expected.all(|picture| found_pictures.any(|found| found == *picture)));
    // Only a header that is written at the end can have another scale.
    if theirs.media.units != found.media.units {
        return;
    }
    let times = |track: &VideoTrackFile| {
        let samples = track.samples.iter();
        samples.map(|it| (it.dts, it.pts)).collect::<Vec<_>>()
    };
    assert_eq!(times(&theirs), times(&found));
    let begins = |track: &VideoTrackFile| {
        let edits = track.edits.iter();
        let begins = edits.filter_map(|edit| edit.media_time);
        begins.collect::<Vec<_>>()
    };
    let expected = Some(begins(&theirs)).filter(|begins| *begins != [0]);
    assert_eq!(expected.unwrap_or_default(), begins(&found));
}

/// Checks that two files have the same packets.
#[track_caller]
fn check_packets(element: &Path, ours: &Path) {
    let [theirs, found] = [element, ours].map(mp4::probe);
    assert_eq!((theirs.width, theirs.height), (found.width, found.height));
    let times = |file: &mp4::Mp4| {
        let packets = file.packets.iter();
        let times = packets.map(|it| (it.pts_us, it.dts_us, it.size));
        times.collect::<Vec<_>>()
    };
    assert_eq!(times(&theirs), times(&found));
    let durations = [&theirs, &found].map(|file| (file.start_us, file.duration_us));
    assert_eq!(durations[0], durations[1]);
}

/// Checks that all files of a range of a recording are the same. Returns the number of episodes.
#[track_caller]
fn check(
    stream: &Stream,
    laid: &Recording,
    range: Option<std::ops::Range<usize>>,
    splitter: &str,
    config: Config,
) -> usize {
    let bucket = SERVER.new_bucket();
    laid.write(&SERVER, &bucket, "e", stream);
    let range =
        range.map(|range| [range.start, range.end].map(|frame| laid.frame_us(frame, stream.fps)));
    let source = range.map_or_else(String::new, |[start, stop]| {
        format!("start={start} stop={stop} start-mode=exact")
    });
    let by_element = line::export(&bucket, &source, splitter);
    let job = Job {
        bucket: &bucket,
        range: range.map(|range| range.map(CaptureTime::from_useconds)),
        config,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let plain = job.files(folder.path());
    let first = job.other_files(folder.path(), "first", FileLayout::Plain(MoovPlace::First));
    let min_duration = Nanos::from_seconds(1);
    let layout = FileLayout::Fragments { min_duration };
    let fragments = job.other_files(folder.path(), "fragments", layout);
    let episodes = by_element.episodes.len();
    assert_eq!([plain.len(), first.len(), fragments.len()], [episodes; 3]);
    for (index, episode) in by_element.episodes.iter().enumerate() {
        let element = &episode.location;
        let decoded = mp4::decode(element);
        let plain = &plain[index];
        check_boxes(element, plain);
        check_packets(element, plain);
        assert_eq!(mp4::decode(plain), decoded);
        let (_, track) = read(plain);
        let shown: u64 = track.edits.iter().map(|edit| edit.duration).sum();
        assert_eq!(track.movie.ticks, shown);

        let first = &first[index];
        check_boxes(element, first);
        assert_eq!(mp4::decode(first), decoded);
        let bytes = fs::read(first).expect("a file");
        assert_eq!(&bytes[36..40], b"moov");

        check_fragments(element, &decoded, &fragments[index]);
    }
    episodes
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

fn two_seconds() -> (&'static str, Config) {
    ("duration=2000000000", limit(NEXT, 2000))
}

#[test]
fn streams_in_all_layouts() {
    for stream in [Stream::example(), Stream::with_b_frames().with_auds()] {
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let laid = Recording {
                layout,
                ..Recording::default()
            };
            let (splitter, config) = two_seconds();
            assert_eq!(check(&stream, &laid, None, splitter, config), 3);
        }
    }
}

/// Other readers than FFmpeg's.
#[test]
fn files_are_played_by_qtdemux() {
    let stream = Stream::example();
    let bucket = SERVER.new_bucket();
    Recording::default().write(&SERVER, &bucket, "e", &stream);
    let job = Job {
        bucket: &bucket,
        range: None,
        config: limit(NEXT, 600_000),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let min_duration = Nanos::from_seconds(2);
    for layout in [
        FileLayout::Plain(MoovPlace::Last),
        FileLayout::Plain(MoovPlace::First),
        FileLayout::Fragments { min_duration },
    ] {
        let files = job.other_files(folder.path(), "file", layout);
        let found = mp4::decode_with_openh264(&files[0]);
        assert_eq!(found, mp4::stream_checksums(&stream), "{layout:?}");
    }
}

#[test]
fn a_limit_that_is_kept() {
    let config = limit(SplitMode::AtMost, 2500);
    let splitter = "duration=2500000000 split-mode=at-most";
    let stream = Stream::with_b_frames();
    assert_eq!(
        check(&stream, &Recording::default(), None, splitter, config),
        3
    );
}

#[test]
fn hidden_pictures_and_gaps() {
    let stream = Stream::with_b_frames();
    for range in [4..47, 13..28] {
        let (splitter, config) = two_seconds();
        let laid = Recording::default();
        assert!(check(&stream, &laid, Some(range), splitter, config) > 0);
    }
    for holes in [
        vec![(30, 10_000_000)],
        vec![(25, 3_000_000)],
        vec![(25, 40_000_000_000)],
    ] {
        let laid = Recording {
            holes,
            ..Recording::default()
        };
        let (splitter, config) = two_seconds();
        assert!(check(&stream, &laid, None, splitter, config) > 1);
    }
}

#[test]
fn times_of_all_kinds() {
    let stream = Stream::with_b_frames();
    let jitters: [fn(usize) -> i64; 3] = [
        |index| (index as i64 * 7919) % 20_011 - 10_000,
        // Bursts, within one tick of the scale.
        |index| -100_000 * (index as i64 % 5) + index as i64 % 5,
        |index| index as i64 * index as i64 * 300,
    ];
    for jitter_us in jitters {
        let laid = Recording {
            layout: Layout::AccessUnit,
            labels: &[],
            jitter_us,
            ..Recording::default()
        };
        let (splitter, config) = two_seconds();
        assert!(check(&stream, &laid, None, splitter, config) > 1);
    }
}

#[test]
fn pictures_of_all_kinds() {
    for x264_params in [
        "bframes=3:sar=4/3:colorprim=bt709:transfer=iec61966-2-1:colormatrix=smpte170m:fullrange=on",
        "bframes=0:keyint=1",
        "interlaced=1:bframes=2",
        "level=4.2:profile=main",
    ] {
        let stream = Stream::make(StreamSpec {
            x264_params,
            ..StreamSpec::default()
        });
        let (splitter, config) = two_seconds();
        assert!(
            check(&stream, &Recording::default(), None, splitter, config) > 1,
            "{x264_params}"
        );
    }
    let deep = Stream::make(StreamSpec {
        format: "yuv422p10le",
        ..StreamSpec::default()
    });
    let (splitter, config) = two_seconds();
    assert_eq!(
        check(&deep, &Recording::default(), None, splitter, config),
        3
    );
}

#[test]
fn changes_of_the_format() {
    let large = Stream::make(StreamSpec {
        size: (320, 240),
        ..StreamSpec::default()
    });
    let stream = Stream::example().slice(0..25).then(large);
    let splitter = "duration=600000000000";
    let config = limit(NEXT, 600_000);
    assert_eq!(
        check(&stream, &Recording::default(), None, splitter, config),
        2
    );
}

#[test]
fn parameter_sets_that_come_later() {
    let stream = |sps_id| {
        let sequence = Sequence {
            sps_id,
            ..Sequence::default()
        };
        let slices = |display| if display == 0 { Slices::I } else { Slices::P };
        let gop = (0..5).map(|display| frame(slices(display), display));
        sequence.stream(&[gop.collect()], (10, 1)).0
    };
    let stream = stream(0).then(stream(4));
    let laid = Recording {
        layout: Layout::AccessUnit,
        ..Recording::default()
    };
    let splitter = "duration=600000000000";
    let config = limit(NEXT, 600_000);
    assert_eq!(check(&stream, &laid, None, splitter, config), 1);
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
    assert!(check(&stream, &Recording::default(), None, splitter, config) > 1);
}

#[test]
fn fragments_of_the_element() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        let bucket = SERVER.new_bucket();
        Recording::default().write(&SERVER, &bucket, "e", &stream);
        let splitter = "duration=2000000000 muxer-properties=properties,fragment-duration=1000";
        let by_element = line::export(&bucket, "", splitter);
        let job = Job {
            bucket: &bucket,
            range: None,
            config: limit(NEXT, 2000),
        };
        let folder = tempfile::tempdir().expect("a folder");
        let fragments = FileLayout::Fragments {
            min_duration: Nanos::from_seconds(1),
        };
        let ours = job.other_files(folder.path(), "fragments", fragments);
        assert_eq!(ours.len(), 3);
        for (episode, ours) in by_element.episodes.iter().zip(ours) {
            let (element_bytes, element) = read(&episode.location);
            let (our_bytes, mut found) = read(&ours);
            // There is no room for an edit list before the fragments of the element.
            let delay = found.edits.first().and_then(|edit| edit.media_time);
            found.edits.clear();
            track::check_same(&element, &element_bytes, &found, &our_bytes);
            let [theirs, decoded] = [&episode.location, &ours].map(|file| mp4::decode(file));
            assert_eq!(theirs, decoded);
            let delay = delay.map_or(0, |ticks| ticks as i64 * 50); // of 20 000 ticks a second
            let starts = [&episode.location, &ours].map(|file| mp4::start_us(file));
            assert_eq!(starts, [delay, 0]);
        }
    }
}

#[test]
fn streams_of_the_folder() {
    for (name, stream) in stored_streams() {
        let laid = Recording {
            layout: Layout::AccessUnit,
            labels: &[("fps", "25")],
            ..Recording::default()
        };
        println!("{name}");
        let splitter = "duration=3000000000";
        assert!(
            check(&stream, &laid, None, splitter, limit(NEXT, 3000)) > 0,
            "{name}"
        );
    }
}
