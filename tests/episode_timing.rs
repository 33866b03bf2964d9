// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Times, durations and parameter sets in the files of `reductepisodesplit`, for streams as cameras
//! make them.

mod common;

use std::fs;
use std::path::Path;

use common::line;
use common::mp4::{self, Mp4};
use common::pcm::{Sequence, Slices, frame};
use common::pipeline::{Outcome, Pipeline};
use common::recording::{Layout, Recording};
use common::stream::{Content, Stream, StreamSpec, nal_type};
use gst::ClockTime;
use gst::prelude::*;
use tempfile::TempDir;

const BYTE_STREAM: &str = "video/x-h264,stream-format=byte-stream,alignment=au";

/// Access units in decoding order with PTS and DTS.
fn timed(stream: &Stream, time: impl Fn(usize) -> ClockTime) -> Vec<gst::Buffer> {
    common::init();
    (stream.units.iter().enumerate())
        .map(|(index, unit)| {
            let mut buffer = gst::Buffer::from_slice(unit.clone());
            let contents = buffer.make_mut();
            contents.set_pts(time(index));
            contents.set_dts(time(index));
            buffer
        })
        .collect()
}

/// The time of a frame of a constant rate.
fn at(index: usize, (numerator, denominator): (u32, u32)) -> ClockTime {
    let second = ClockTime::SECOND.nseconds();
    let time = index as u64 * second * u64::from(denominator) / u64::from(numerator);
    ClockTime::from_nseconds(time)
}

/// Result of a run.
struct Run {
    _folder: TempDir,
    outcome: Outcome,
}

/// Runs buffers through the bin, behind `parser` if there is one.
#[track_caller]
fn run(caps: &str, parser: &str, properties: &str, buffers: Vec<gst::Buffer>) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = Pipeline::launch(&format!(
        "appsrc name=src format=time caps=\"{caps}\" ! {parser} \
         reductepisodesplit name=split location={}/%03d.mp4 {properties}",
        folder.path().display()
    ));
    let src: gst_app::AppSrc = pipeline.element("src").downcast().expect("an appsrc");
    for buffer in buffers {
        src.push_buffer(buffer).expect("room");
    }
    src.end_of_stream().expect("an end");
    let outcome = pipeline.run().clean();
    Run {
        _folder: folder,
        outcome,
    }
}

impl Run {
    fn files(&self) -> Vec<Mp4> {
        let episodes = self.outcome.episodes();
        episodes
            .iter()
            .map(|episode| mp4::probe(&episode.location))
            .collect()
    }

    fn summary(&self) -> Vec<(u64, String)> {
        let episodes = self.outcome.episodes().into_iter();
        episodes.map(|e| (e.frames, e.reason)).collect()
    }

    fn rates(&self) -> Vec<String> {
        let files = self.files();
        let streams = files.iter().map(|file| &file.json["streams"][0]);
        streams
            .map(|stream| stream["avg_frame_rate"].as_str().expect("a rate").into())
            .collect()
    }

    fn pictures(&self) -> Vec<String> {
        pictures(&self.outcome)
    }

    #[track_caller]
    fn assert_durations_agree(&self) {
        assert_durations_agree(&self.outcome);
    }

    /// The files' packets are at `times`, one file behind the other, within a tenth of a millisecond.
    #[track_caller]
    fn assert_times(&self, times: impl Iterator<Item = ClockTime>) {
        let mut times = times.peekable();
        for file in self.files() {
            let begin = *times.peek().expect("a time");
            for packet in file.packets {
                let expected = times.next().expect("a time") - begin;
                let off = packet.pts_us - expected.useconds() as i64;
                assert!(off.abs() <= 100, "{packet:?} is to be at {expected}");
            }
        }
        assert_eq!(times.next(), None);
    }
}

/// Each place of a file that says its duration agrees with the message.
#[track_caller]
fn assert_durations_agree(outcome: &Outcome) {
    for episode in outcome.episodes() {
        let told = episode.duration.seconds_f64();
        for (place, duration) in durations(&episode.location) {
            let off = (duration - told).abs();
            assert!(off <= 0.001, "{place}: {duration} s, told {told} s");
        }
    }
}

/// All files decode to these checksums, in their order.
fn pictures(outcome: &Outcome) -> Vec<String> {
    let episodes = outcome.episodes();
    let files = episodes
        .iter()
        .map(|episode| mp4::decode(&episode.location));
    files.flat_map(|decoded| decoded.checksums).collect()
}

/// The contents of the first box on a path.
fn found<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    let Some((name, rest)) = path.split_first() else {
        return Some(data);
    };
    let mut boxes = data;
    while boxes.len() >= 8 {
        let mut size = number(boxes, 0, 4) as usize;
        let mut header = 8;
        if size == 1 {
            (size, header) = (number(boxes, 8, 8) as usize, 16);
        }
        if &boxes[4..8] == *name {
            return found(&boxes[header..size], rest);
        }
        boxes = &boxes[size..];
    }
    None
}

fn number(data: &[u8], at: usize, size: usize) -> u64 {
    data[at..at + size]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Seconds by each place in a file that says how long it is.
fn durations(file: &Path) -> Vec<(&'static str, f64)> {
    let file = fs::read(file).expect("the file");
    let moov = found(&file, &[b"moov"]).expect("moov");
    let get = |path: &[&[u8; 4]]| found(moov, path).expect("a box");
    let (mvhd, tkhd) = (get(&[b"mvhd"]), get(&[b"trak", b"tkhd"]));
    let mdhd = get(&[b"trak", b"mdia", b"mdhd"]);
    let header = |data: &[u8]| match data[0] {
        1 => (number(data, 20, 4), number(data, 24, 8)),
        _ => (number(data, 12, 4), number(data, 16, 4)),
    };
    let ((movie, movie_ticks), (media, media_ticks)) = (header(mvhd), header(mdhd));
    let track_ticks = match tkhd[0] {
        1 => number(tkhd, 28, 8),
        _ => number(tkhd, 20, 4),
    };
    let elst = get(&[b"trak", b"edts", b"elst"]);
    let (entry, size) = if elst[0] == 1 { (20, 8) } else { (12, 4) };
    let edits = (0..number(elst, 4, 4) as usize).map(|edit| number(elst, 8 + edit * entry, size));
    let stts = get(&[b"trak", b"mdia", b"minf", b"stbl", b"stts"]);
    let samples = stts[8..].chunks(8);
    let samples: u64 = samples
        .map(|entry| number(entry, 0, 4) * number(entry, 4, 4))
        .sum();
    let seconds = |ticks: u64, scale: u64| ticks as f64 / scale as f64;
    vec![
        ("mvhd", seconds(movie_ticks, movie)),
        ("tkhd", seconds(track_ticks, movie)),
        ("mdhd", seconds(media_ticks, media)),
        ("elst", seconds(edits.sum(), movie)),
        ("stts", seconds(samples, media)),
    ]
}

/// The `AVCDecoderConfigurationRecord`s of a file.
fn configurations(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).expect("the file");
    let moov = found(&bytes, &[b"moov"]).expect("moov");
    let path: [&[u8; 4]; 5] = [b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
    let mut entries = &found(moov, &path).expect("stsd")[8..];
    let mut records = Vec::new();
    while !entries.is_empty() {
        let (entry, rest) = entries.split_at(number(entries, 0, 4) as usize);
        records.push(found(&entry[8 + 78..], &[b"avcC"]).expect("avcC").to_vec());
        entries = rest;
    }
    records
}

/// Returns the bytes behind the parameter sets in a configuration record.
fn tail(record: &[u8]) -> &[u8] {
    let mut rest = &record[5..];
    for mask in [0x1f, 0xff] {
        let count = rest[0] & mask;
        rest = &rest[1..];
        for _ in 0..count {
            rest = &rest[2 + number(rest, 0, 2) as usize..];
        }
    }
    rest
}

/// Sixty frames in groups of twenty, whose SPS says no rate.
fn without_rate() -> Stream {
    Stream::make(StreamSpec {
        gop: 20,
        vui_timing: false,
        size: (64, 64),
        ..Default::default()
    })
}

#[test]
fn constant_rates_are_exact() {
    let stream = without_rate();
    for (rate, declared) in [
        ((25, 1), true),
        ((30_000, 1001), true),
        ((24_000, 1001), true),
        ((60_000, 1001), true),
        ((31, 2), true),
        ((1, 3), true),
        ((25, 1), false),
        ((30_000, 1001), false),
        ((60, 1), false),
    ] {
        let (numerator, denominator) = rate;
        let caps = match declared {
            true => format!("{BYTE_STREAM},framerate={numerator}/{denominator}"),
            false => BYTE_STREAM.into(),
        };
        // Clocks of cameras count microseconds, from anywhere.
        let offset = ClockTime::from_nseconds(12_345_678);
        let time = |index| at(index, rate).useconds() * ClockTime::USECOND + offset;
        let run = run(&caps, "", "duration=1", timed(&stream, time));
        assert_eq!(run.summary().len(), 3, "{rate:?}");
        run.assert_times((0..60).map(time));
        run.assert_durations_agree();
        if declared || rate.0 != 60 {
            let expected = vec![format!("{numerator}/{denominator}"); 3];
            assert_eq!(run.rates(), expected);
        }
    }
}

#[test]
fn jitter_is_kept() {
    let stream = without_rate();
    for (numerator, jitter_us) in [(30, 3000), (25, 9000), (10, 40_000)] {
        let time = |index: usize| {
            let jitter = (index as u64 * 7919) % jitter_us;
            at(index, (numerator, 1)) + ClockTime::from_useconds(jitter)
        };
        for framerate in ["", ",framerate=30/1", ",framerate=10/1"] {
            let caps = format!("{BYTE_STREAM}{framerate}");
            let run = run(&caps, "", "", timed(&stream, time));
            assert_eq!(run.summary(), [(60, "eos".into())]);
            run.assert_times((0..60).map(time));
            run.assert_durations_agree();
        }
    }
}

#[test]
fn times_count_more_than_a_declared_rate() {
    let stream = without_rate();
    for rate in [(25, 1), (30_000, 1001)] {
        let frame = at(1, rate);
        let total = 60 * frame;
        for declared in ["90000/1", "1/10", "20/1", "1000/1"] {
            for parser in ["", "h264parse !"] {
                for has_durations in [false, true] {
                    let mut buffers = timed(&stream, |index| at(index, rate));
                    for buffer in &mut buffers {
                        let duration = has_durations.then_some(frame);
                        buffer.make_mut().set_duration(duration);
                    }
                    let caps = format!("{BYTE_STREAM},framerate={declared}");
                    let run = run(&caps, parser, "", buffers);
                    let way = format!("{rate:?} as {declared} {parser} {has_durations}");
                    assert_eq!(run.summary(), [(60, "eos".into())], "{way}");
                    run.assert_times((0..60).map(|index| at(index, rate)));
                    run.assert_durations_agree();
                    let duration = run.outcome.episodes()[0].duration;
                    let off = duration.absdiff(total);
                    assert!(off < ClockTime::MSECOND, "{way}: {duration}");
                    assert_eq!(run.rates(), [format!("{}/{}", rate.0, rate.1)], "{way}");
                }
            }
        }
    }
}

#[test]
fn a_single_picture_lasts_a_frame() {
    let stream = without_rate().slice(0..1);
    let picture = mp4::stream_checksums(&stream);
    for (framerate, expected_ms) in [("", 40), (",framerate=10/1", 100), (",framerate=1/2", 2000)] {
        for parser in ["", "h264parse !"] {
            let caps = format!("{BYTE_STREAM}{framerate}");
            let run = run(&caps, parser, "", timed(&stream, |_| ClockTime::ZERO));
            let duration = run.outcome.episodes()[0].duration;
            assert_eq!(duration, ClockTime::from_mseconds(expected_ms));
            run.assert_durations_agree();
            assert_eq!(run.files()[0].packets.len(), 1);
            assert_eq!(run.pictures(), picture);
        }
    }
}

/// Times that are long for 32 bits of ticks: one file, a file for each few groups, one long group.
#[test]
fn long_files_count_all_of_their_time() {
    let hours = |count: u64| ClockTime::from_seconds(count * 3600);
    for (groups_of, step, expected) in [
        (10, ClockTime::from_seconds(20), &[(60, "eos")][..]),
        // 2^32 ticks of 90 000 a second are 13.2 hours.
        (
            10,
            hours(1) / 2,
            &[(20, "length"), (20, "length"), (20, "eos")],
        ),
        (60, hours(1), &[(60, "eos")]),
    ] {
        let stream = Stream::make(StreamSpec {
            gop: groups_of,
            vui_timing: false,
            size: (64, 64),
            ..Default::default()
        });
        let time = |index: usize| index as u64 * step;
        for caps in [
            BYTE_STREAM.into(),
            format!("{BYTE_STREAM},framerate=90000/1"),
        ] {
            let run = run(&caps, "", "", timed(&stream, time));
            let summary = run.summary();
            let summary: Vec<_> = summary.iter().map(|(n, why)| (*n, why.as_str())).collect();
            assert_eq!(summary, expected);
            run.assert_times((0..60).map(time));
            run.assert_durations_agree();
            let shown: ClockTime = run.outcome.episodes().iter().map(|e| e.duration).sum();
            assert_eq!(shown, 60 * step);
            assert_eq!(run.pictures(), mp4::stream_checksums(&stream));
            // Another demuxer sees the same.
            for (episode, file) in run.outcome.episodes().iter().zip(&run.files()) {
                let demuxed = Pipeline::launch(&format!(
                    "filesrc location={} ! qtdemux ! appsink name=out sync=false",
                    episode.location.display()
                ));
                let samples = demuxed.collect("out");
                demuxed.run().clean();
                let last = samples.buffers().last().and_then(|last| last.pts());
                let expected = file.packets.last().expect("a packet").pts_us;
                assert_eq!(last.map(|last| last.useconds() as i64), Some(expected));
            }
        }
    }
}

/// The file of a group is decided at its end, after the muxer may have got its last sample.
#[test]
fn durations_agree_with_b_frames_at_most() {
    let stream = Stream::make(StreamSpec {
        fps: (30, 1),
        size: (64, 64),
        x264_params: "bframes=2:b-adapt=0",
        ..Default::default()
    });
    let bucket = line::record(&records(), &stream);
    for limit in [
        "split-mode=at-most duration=900000000",
        "duration=500000000",
    ] {
        let export = line::export(&bucket, "", limit);
        assert!(export.episodes.len() > 1);
        assert_eq!(pictures(&export.outcome), mp4::stream_checksums(&stream));
        assert_durations_agree(&export.outcome);
    }
}

/// Frames a day or more apart, in one group of pictures: their times need a coarser scale.
#[test]
fn frames_days_apart_are_in_one_file() {
    let stream = without_rate().slice(0..20);
    for days in [1, 3, 20] {
        let day = ClockTime::from_seconds(days * 86_400);
        let time = |index: usize| index as u64 * day;
        let run = run(BYTE_STREAM, "", "", timed(&stream, time));
        assert_eq!(run.summary(), [(20, "eos".into())]);
        run.assert_durations_agree();
        assert_eq!(run.pictures(), mp4::stream_checksums(&stream));
        for (index, packet) in run.files()[0].packets.iter().enumerate() {
            let off = packet.pts_us - time(index).useconds() as i64;
            assert!(off.abs() <= 500, "{packet:?}");
        }
    }
}

/// A header in front of the samples stays as the muxer writes it.
#[test]
fn a_header_in_front_ends_an_episode_before_a_pause_that_it_cannot_count() {
    let stream = without_rate();
    let day = ClockTime::from_seconds(86_400);
    for muxer in ["faststart=true", "fragment-duration=500"] {
        let time = |index: usize| {
            let pause = if index >= 12 { day } else { ClockTime::ZERO };
            at(index, (10, 1)) + pause
        };
        let properties = format!("muxer-properties=\"properties,{muxer}\"");
        let run = run(BYTE_STREAM, "", &properties, timed(&stream, time));
        let expected = [(12, "length".into()), (40, "eos".into())];
        assert_eq!(run.summary(), expected, "{muxer}");
        let [warning] = &run.outcome.warning_texts()[..] else {
            panic!("{}", run.outcome.text());
        };
        assert!(warning.contains("8 access units"), "{warning}");
        assert!(warning.contains("24:00:00.1"), "{warning}");
        let episodes = run.outcome.episodes();
        assert_eq!(episodes[1].dropped, 8);
        let all = mp4::stream_checksums(&stream);
        assert_eq!(run.pictures(), [&all[..12], &all[20..]].concat());
    }
}

/// Each file fits into its header, whatever the stream is long.
#[test]
fn a_header_in_front_counts_the_time_of_its_file_only() {
    let stream = without_rate();
    let time = |index: usize| index as u64 * ClockTime::from_seconds(1800);
    for mode in ["at-most", "next-keyframe"] {
        let properties = format!(
            "muxer-properties=\"properties,faststart=true\" split-mode={mode} duration=36000000000000"
        );
        let run = run(BYTE_STREAM, "", &properties, timed(&stream, time));
        let frames: Vec<_> = run.summary().iter().map(|(frames, _)| *frames).collect();
        assert_eq!(frames, [20, 20, 20], "{mode}");
        run.assert_times((0..60).map(time));
        run.assert_durations_agree();
        assert_eq!(run.outcome.warning_texts(), [""; 0]);
    }
}

/// With B-frames a pause can be between pictures that are decoded the other way round, so that running time
/// has it.
#[test]
fn a_pause_between_reordered_pictures_loses_none() {
    let stream = Stream::make(StreamSpec {
        fps: (30, 1),
        gop: 20,
        size: (64, 64),
        x264_params: "bframes=3:b-adapt=0:b-pyramid=normal",
        ..Default::default()
    });
    let all = mp4::stream_checksums(&stream);
    let hour = 3_600_000_000;
    for (place, hours) in [(2, 1), (2, 25), (3, 72), (2, 24 * 400)] {
        let recording = Recording {
            holes: vec![(place, hours * hour)],
            ..records()
        };
        let bucket = line::record(&recording, &stream);
        let export = line::export(&bucket, "", "");
        assert_eq!(export.frames().iter().sum::<u64>(), 60, "{hours} h");
        assert_eq!(export.dropped().iter().sum::<u64>(), 0);
        assert_eq!(pictures(&export.outcome), all, "{hours} h");
        assert_durations_agree(&export.outcome);
        let mut pts: Vec<_> = mp4::probe(&export.episodes[0].location)
            .packets
            .iter()
            .map(|packet| packet.pts_us)
            .collect();
        pts.sort_unstable();
        let pause = pts[place] - pts[place - 1] - 33_333;
        // What no time scale counts is shortened.
        if hours <= 72 {
            assert!((pause - (hours * hour) as i64).abs() <= 1000, "{pause}");
        }
        assert!(pts.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

/// splitmuxsink does not know yet at the end of the stream that pictures whose DTS are before the first PTS of
/// their group begin a file.
#[test]
fn a_last_group_of_few_pictures_is_a_file() {
    for x264_params in [
        "bframes=2:b-adapt=0:b-pyramid=none",
        "bframes=3:b-adapt=0:b-pyramid=normal",
    ] {
        let stream = Stream::make(StreamSpec {
            fps: (30, 1),
            gop: 10,
            size: (64, 64),
            x264_params,
            ..Default::default()
        });
        for frames in [31, 32, 33] {
            let stream = Stream::from_bytes(&stream.bytes(), (30, 1)).slice(0..frames);
            let bucket = line::record(&records(), &stream);
            for properties in [
                "duration=300000000",
                "duration=300000000 split-mode=at-most",
                "duration=300000000 muxer-properties=properties,fragment-duration=500",
            ] {
                let export = line::export(&bucket, "", properties);
                let way = format!("{x264_params}, {frames} frames, {properties}");
                let last = frames as u64 - 30;
                assert_eq!(export.frames(), [10, 10, 10, last], "{way}");
                let all = mp4::stream_checksums(&stream);
                assert_eq!(pictures(&export.outcome), all, "{way}");
            }
        }
    }
    let single = Stream::make(StreamSpec {
        gop: 1,
        frames: 7,
        size: (64, 64),
        ..Default::default()
    });
    // Pictures that come in order, three frames late.
    let mut buffers = timed(&single, |index| at(index, (10, 1)));
    for (index, buffer) in buffers.iter_mut().enumerate() {
        let pts = at(index + 3, (10, 1));
        buffer.make_mut().set_pts(pts);
    }
    let run = run(BYTE_STREAM, "", "duration=1", buffers);
    assert_eq!(run.files().len(), 7);
    assert_eq!(run.pictures(), mp4::stream_checksums(&single));
}

/// Frames a microsecond apart are in the files, and shown at times of their own.
#[test]
fn frames_within_a_tick_are_shown_once() {
    for x264_params in ["bframes=0", "bframes=2:b-adapt=0"] {
        let stream = Stream::make(StreamSpec {
            gop: 20,
            vui_timing: false,
            size: (64, 64),
            x264_params,
            ..Default::default()
        });
        for (burst, distance_us) in [(60, 1), (60, 5), (2, 1), (10, 3)] {
            let times: Vec<_> = (0..60u64)
                .map(|index| index / burst * 400_000 + index % burst * distance_us)
                .collect();
            let laid = records().lay(&stream);
            let begin_us = laid[0].record.time_us;
            let laid: Vec<_> = laid
                .into_iter()
                .zip(&times)
                .map(|(mut laid, time)| {
                    laid.record.time_us = begin_us + time;
                    laid.record.labels.clear();
                    laid
                })
                .collect();
            let bucket = line::write(&laid);
            let export = line::run(&bucket, "", "");
            let way = format!("{x264_params}, {burst} at {distance_us} µs");
            assert_eq!(export.outcome.warning_texts(), [""; 0], "{way}");
            assert_eq!(export.frames(), [60], "{way}");
            assert_eq!(pictures(&export.outcome), mp4::stream_checksums(&stream));
            assert_durations_agree(&export.outcome);
            let file = mp4::probe(&export.episodes[0].location);
            let mut pts: Vec<_> = file.packets.iter().map(|packet| packet.pts_us).collect();
            pts.sort_unstable();
            let expected: Vec<_> = times.iter().map(|time| *time as i64).collect();
            assert_eq!(pts, expected, "{way}");
        }
    }
}

/// A recording of an access unit a record, at 30 fps.
fn records() -> Recording {
    Recording {
        layout: Layout::AccessUnit,
        labels: &[("fps", "30")],
        ..Default::default()
    }
}

#[test]
fn ranges_side_by_side_share_no_frame() {
    let stream = Stream::make(StreamSpec {
        fps: (30, 1),
        gop: 25,
        ..Default::default()
    });
    let all = mp4::stream_checksums(&stream);
    let recording = Recording {
        jitter_us: |index| (index as i64 * 7919) % 9 * 1000,
        ..records()
    };
    let bucket = line::record(&recording, &stream);
    let times: Vec<_> = recording
        .lay(&stream)
        .iter()
        .map(|laid| laid.record.time_us)
        .collect();
    for by in [0, -1, 1, -15_000, 15_000] {
        let bounds = [11, 26, 38].map(|frame: usize| times[frame].strict_add_signed(by));
        let mut shown = Vec::new();
        let edges = [&[0][..], &bounds, &[u64::MAX]].concat();
        for range in edges.windows(2) {
            let mut source = "start-mode=exact stop-mode=exact".to_owned();
            if range[0] > 0 {
                source += &format!(" start={}", range[0]);
            }
            if range[1] < u64::MAX {
                source += &format!(" stop={}", range[1]);
            }
            let export = line::export(&bucket, &source, "");
            let within: Vec<_> = times
                .iter()
                .filter(|time| (range[0]..range[1]).contains(*time))
                .collect();
            assert_eq!(
                export.episodes[0].start_us,
                within.first().copied().copied()
            );
            assert_eq!(export.frames(), [within.len() as u64], "{range:?}");
            shown.extend(pictures(&export.outcome));
        }
        assert!(shown == all, "{} pictures, bounds {by} µs off", shown.len());
    }
}

/// Four groups of two pictures each, with SPS or PPS in turn.
fn in_turn(odd: StreamSpec) -> (Stream, Vec<Vec<String>>) {
    let even = StreamSpec {
        frames: 2,
        gop: 2,
        size: (64, 64),
        ..Default::default()
    };
    let (even, odd) = (Stream::make(even), Stream::make(odd));
    let parts = [&even, &odd, &even, &odd];
    let stream = Stream {
        units: parts.iter().flat_map(|part| part.units.clone()).collect(),
        fps: (10, 1),
    };
    (stream, parts.map(mp4::stream_checksums).to_vec())
}

#[test]
fn a_file_has_one_sample_description() {
    let small = StreamSpec {
        frames: 2,
        gop: 2,
        size: (64, 64),
        ..Default::default()
    };
    let sized = StreamSpec {
        size: (96, 80),
        ..small
    };
    let other_pps = StreamSpec {
        x264_params: "chroma-qp-offset=4",
        ..small
    };
    for odd in [sized, other_pps] {
        let (stream, parts) = in_turn(odd);
        for muxer in ["", "muxer-properties=properties,fragment-duration=500"] {
            for _ in 0..3 {
                let run = run(
                    BYTE_STREAM,
                    "",
                    muxer,
                    timed(&stream, |index| at(index, (10, 1))),
                );
                let episodes = run.outcome.episodes();
                assert_eq!(episodes.len(), 4);
                for (episode, expected) in episodes.iter().zip(&parts) {
                    assert_eq!(configurations(&episode.location).len(), 1);
                    assert_eq!(&mp4::frame_checksums(&episode.location), expected);
                }
            }
        }
    }
}

#[test]
fn configurations_have_the_fields_of_high_profiles() {
    for (format, x264_params, profile, expected) in [
        ("yuv420p", "", 100, &[0xfd, 0xf8, 0xf8, 0][..]),
        ("yuv420p10le", "", 110, &[0xfd, 0xfa, 0xfa, 0]),
        ("yuv422p", "", 122, &[0xfe, 0xf8, 0xf8, 0]),
        ("yuv422p10le", "", 122, &[0xfe, 0xfa, 0xfa, 0]),
        ("yuv444p", "", 244, &[0xff, 0xf8, 0xf8, 0]),
        ("yuv420p", "8x8dct=0:cabac=1", 77, &[]),
        ("yuv420p", "8x8dct=0:cabac=0:bframes=0:weightp=0", 66, &[]),
    ] {
        let stream = Stream::make(StreamSpec {
            format,
            frames: 10,
            x264_params: match x264_params {
                "" => "8x8dct=1",
                others => others,
            },
            ..Default::default()
        });
        let run = run(
            BYTE_STREAM,
            "",
            "",
            timed(&stream, |index| at(index, (10, 1))),
        );
        let records = configurations(&run.outcome.episodes()[0].location);
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0][1], tail(&records[0])),
            (profile, expected),
            "{format}"
        );
        assert_eq!(run.pictures(), mp4::stream_checksums(&stream));
    }
}

/// Twenty frames, and twenty with other parameter sets.
fn assert_one_file(first: &Stream, second: &Stream, level: u8) {
    let stream = first.slice(0..20).then(second.slice(20..40));
    for muxer in ["", "faststart=true", "fragment-duration=500"] {
        let properties = format!("muxer-properties=\"properties,{muxer}\"");
        let properties = if muxer.is_empty() { "" } else { &properties };
        let run = run(
            BYTE_STREAM,
            "",
            properties,
            timed(&stream, |index| at(index, (10, 1))),
        );
        assert_eq!(run.summary(), [(40, "eos".into())], "{muxer}");
        assert_eq!(run.outcome.warning_texts(), [""; 0]);
        assert_eq!(run.pictures(), mp4::stream_checksums(&stream));
        let records = configurations(&run.outcome.episodes()[0].location);
        assert_eq!(records.len(), 1, "{muxer}");
        assert_eq!(records[0][3], level, "{muxer}");
    }
}

#[test]
fn parameter_sets_that_mean_the_same_are_no_other_format() {
    let stream = Stream::example();
    let with_nal_ref_idc = |nal: &[u8]| match nal_type(nal) {
        7 | 8 => [&[nal[0] & 0x1f | 0x20], &nal[1..]].concat(),
        _ => nal.to_vec(),
    };
    let with_zeros = |nal: &[u8]| match nal_type(nal) {
        7 | 8 => [nal, &[0, 0, 0]].concat(),
        _ => nal.to_vec(),
    };
    let level = stream.units[0][7];
    assert_one_file(&stream, &stream.map_nals(with_nal_ref_idc), level);
    assert_one_file(&stream, &stream.map_nals(with_zeros), level);
    // PPS before SPS.
    let swapped = stream.map_units(|_, unit| {
        let nals = common::stream::nal_ranges(unit)
            .into_iter()
            .map(|range| &unit[range]);
        let mut nals: Vec<_> = nals.collect();
        nals.sort_by_key(|nal| match nal_type(common::stream::payload(nal)) {
            8 => 0,
            7 => 1,
            _ => 2,
        });
        nals.concat()
    });
    assert_one_file(&stream, &swapped, level);
}

#[test]
fn timing_hrd_and_level_are_no_other_format() {
    let make = |x264_params, vui_timing| {
        Stream::make(StreamSpec {
            x264_params,
            vui_timing,
            ..Default::default()
        })
    };
    let plain = make("level=1.1", true);
    assert_one_file(&plain, &make("level=1.1", false), 11);
    assert_one_file(&plain, &make("level=3.1", true), 31);
    assert_one_file(&make("level=3.1", true), &plain, 31);
    let hrd = make("level=2:nal-hrd=vbr:vbv-maxrate=400:vbv-bufsize=400", true);
    assert_one_file(&plain, &hrd, 20);
}

#[test]
fn a_set_with_another_id_that_means_the_same_is_in_the_file() {
    let sequence = |sps_id| Sequence {
        sps_id,
        ..Default::default()
    };
    let gop =
        || (0..5).map(|display| frame(if display == 0 { Slices::I } else { Slices::P }, display));
    let (first, mut checksums) = sequence(0).stream(&[gop().collect()], (10, 1));
    let (second, more) = sequence(4).stream(&[gop().collect()], (10, 1));
    checksums.extend(more);
    let stream = first.then(second);
    let run = run(
        BYTE_STREAM,
        "",
        "",
        timed(&stream, |index| at(index, (10, 1))),
    );
    assert_eq!(run.summary(), [(10, "eos".into())]);
    assert_eq!(run.pictures(), checksums);
    let file = fs::read(&run.outcome.episodes()[0].location).expect("the file");
    let (sps, _) = mp4::parameter_sets(&file);
    assert_eq!(sps, [sequence(0).sps(), sequence(4).sps()]);
}

/// Exports a stream without IDR pictures, or with one, at recovery points.
#[track_caller]
fn assert_refreshed(stream: &Stream, limit_ms: u64) -> Vec<(u64, u64)> {
    let recording = Recording {
        labels: &[],
        ..records()
    };
    let bucket = line::record(&recording, stream);
    let properties = format!("keyframe-mode=recovery-point duration={limit_ms}000000");
    let export = line::export(&bucket, "fps=25/1", &properties);
    // A decoder shows no picture of the whole stream before the first refresh is complete.
    let expected = mp4::decode_stream(stream).checksums;
    assert!(
        pictures(&export.outcome) == expected,
        "{:?}",
        export.episodes
    );
    assert_eq!(export.frames().iter().sum::<u64>(), expected.len() as u64);
    let episodes = export.episodes.iter();
    episodes
        .map(|episode| (episode.frames, episode.hidden))
        .collect()
}

fn refreshing(x264_params: &'static str) -> Stream {
    Stream::make(StreamSpec {
        fps: (25, 1),
        gop: 10,
        size: (64, 64),
        x264_params,
        ..Default::default()
    })
}

#[test]
fn every_frame_of_a_refreshed_stream_is_shown_once() {
    let stream = refreshing("intra-refresh=1");
    let episodes = assert_refreshed(&stream, 800);
    assert_eq!(episodes.len(), 3, "{episodes:?}");
    assert_eq!(episodes[0].1, 0);
    assert!(
        episodes[1..].iter().all(|(_, hidden)| *hidden > 0),
        "{episodes:?}"
    );
    assert!(assert_refreshed(&stream, 400).len() > 3);
    let with_b_frames = refreshing("intra-refresh=1:bframes=2:b-adapt=0");
    assert!(assert_refreshed(&with_b_frames, 400).len() > 2);
    assert!(assert_refreshed(&with_b_frames, 1000).len() > 1);
}

#[test]
fn a_refreshed_stream_that_is_joined_begins_hidden() {
    let stream = refreshing("intra-refresh=1");
    let headers = headers_of(&stream);
    let joined = stream.slice(5..60);
    let joined = joined.map_units(|index, unit| match index {
        0 => [&headers, unit].concat(),
        _ => unit.to_vec(),
    });
    let episodes = assert_refreshed(&joined, 800);
    assert!(
        episodes.iter().all(|(_, hidden)| *hidden > 0),
        "{episodes:?}"
    );
}

#[test]
fn intra_pictures_begin_episodes_in_their_mode() {
    let stream = Stream::make(StreamSpec {
        content: Content::Cuts,
        gop: 30,
        ..Default::default()
    });
    let buffers = || timed(&stream, |index| at(index, (10, 1)));
    let limit = "duration=1000000000";
    let idr = run(BYTE_STREAM, "", limit, buffers());
    assert_eq!(idr.summary(), [(30, "duration".into()), (30, "eos".into())]);
    let [warning] = &idr.outcome.warning_texts()[..] else {
        panic!("{}", idr.outcome.text());
    };
    assert!(warning.contains("keyframe-mode=intra"), "{warning}");
    let intra = run(
        BYTE_STREAM,
        "",
        &format!("{limit} keyframe-mode=intra"),
        buffers(),
    );
    let frames: Vec<_> = intra
        .summary()
        .into_iter()
        .map(|(frames, _)| frames)
        .collect();
    assert_eq!(frames, [15, 15, 15, 15]);
    assert_eq!(intra.outcome.warning_texts(), [""; 0]);
    for file in intra.files() {
        assert!(file.packets[0].key);
    }

    // Without IDR pictures.
    let joined = stream.slice(1..30);
    let joined = joined.map_units(|index, unit| match index {
        0 => [&headers_of(&stream), unit].concat(),
        _ => unit.to_vec(),
    });
    let none = run(
        BYTE_STREAM,
        "",
        "",
        timed(&joined, |index| at(index, (10, 1))),
    );
    assert_eq!(none.files().len(), 0);
    assert!(none.outcome.warning_texts()[0].contains("keyframe-mode=intra"));
    let some = run(
        BYTE_STREAM,
        "",
        "keyframe-mode=intra",
        timed(&joined, |index| at(index, (10, 1))),
    );
    assert_eq!(some.summary(), [(15, "eos".into())]);
    assert_eq!(some.outcome.episodes()[0].dropped, 14);
}

/// SPS and PPS of a stream, with start codes.
fn headers_of(stream: &Stream) -> Vec<u8> {
    let nals = common::stream::nal_ranges(&stream.units[0]);
    let nals = nals.into_iter().map(|range| &stream.units[0][range]);
    nals.filter(|nal| matches!(nal_type(common::stream::payload(nal)), 7 | 8))
        .flatten()
        .copied()
        .collect()
}

#[test]
fn corrupted_units_are_counted() {
    let stream = without_rate();
    let mut buffers = timed(&stream, |index| at(index, (10, 1)));
    for index in [3, 4, 25] {
        let contents = buffers[index].make_mut();
        contents.set_flags(gst::BufferFlags::CORRUPTED);
    }
    let run = run(BYTE_STREAM, "", "duration=2000000000", buffers);
    let told = run.outcome.elements.iter();
    let told = told.filter(|structure| structure.name() == "reduct-episode");
    let counts: Vec<_> = told
        .map(|episode| episode.get::<u64>("corrupted").expect("a count"))
        .collect();
    assert_eq!(counts, [2, 1, 0]);
}
