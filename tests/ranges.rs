// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The selection of frames by the properties `start-mode`, `stop-mode` and `ranges` of `reductsrc`.

mod common;

use common::line::{self, Read};
use common::mp4;
use common::pipeline::{Pipeline, capture_us};
use common::recording::{LAYOUTS, Layout, at, laid_out_as};
use common::stream::Stream;
use common::{SERVER, line::record};

const FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(100);

fn captures(read: &Read) -> Vec<u64> {
    let capture = |buffer: &gst::Buffer| capture_us(buffer).expect("a capture time");
    read.buffers.iter().map(capture).collect()
}

/// The frames that a range has, and the first PTS in ms.
fn frames(bucket: &str, stream: &Stream, properties: &str) -> (Vec<usize>, u64) {
    let read = line::read(bucket, properties).clean();
    let frame = |unit: &Vec<u8>| {
        let found = stream.units.iter().position(|other| unit.ends_with(other));
        found.expect("a frame of the stream")
    };
    let frames = read.units().iter().map(frame).collect();
    let pts = read.buffers.first().and_then(|buffer| buffer.pts());
    (frames, pts.unwrap_or_default().mseconds())
}

#[test]
fn a_range_begins_as_start_mode_says() {
    let stream = Stream::example();
    // Each keyframe is at the beginning of a record.
    for layout in [Layout::AccessUnit, Layout::Gop] {
        let bucket = record(&laid_out_as(layout), &stream);
        for (mode, start, expected) in [
            ("keyframe-after", 15, (20, 500)),
            ("keyframe-after", 20, (20, 0)),
            ("keyframe-before", 15, (10, 0)),
            ("keyframe-before", 20, (20, 0)),
            // The sink drops buffers before the segment.
            ("exact", 15, (15, 500)),
            ("exact", 20, (20, 0)),
        ] {
            let properties = format!("start={} start-mode={mode}", at(start));
            let (frames, pts) = frames(&bucket, &stream, &properties);
            let all: Vec<_> = (expected.0..60).collect();
            assert_eq!(frames, all, "{mode} {start} {layout:?}");
            assert_eq!(pts, expected.1, "{mode} {start} {layout:?}");
        }
    }
}

#[test]
fn a_start_before_the_first_keyframe_begins_with_that_keyframe() {
    let stream = Stream::example();
    let bucket = record(&laid_out_as(Layout::AccessUnit), &stream);
    for mode in ["keyframe-before", "exact"] {
        let properties = format!("start={} start-mode={mode}", at(0) - 300_000);
        assert_eq!(
            frames(&bucket, &stream, &properties),
            ((0..60).collect(), 300)
        );
    }
}

#[test]
fn parameter_sets_of_skipped_records_are_used() {
    let stream = Stream::example().headers_once();
    let headers = common::stream::nal_units(&stream.units[0]);
    let headers = headers
        .into_iter()
        .filter(|nal| matches!(nal[0] & 0x1f, 7 | 8));
    let headers: Vec<u8> = headers
        .flat_map(|nal| [&[0, 0, 0, 1], nal].concat())
        .collect();
    // The sets are with a picture that comes before the first keyframe.
    let joined = stream.slice(5..60).map_units(|frame, unit| match frame {
        0 => [&headers, unit].concat(),
        _ => unit.to_vec(),
    });
    for layout in [Layout::AccessUnit, Layout::Gop] {
        let bucket = record(&laid_out_as(layout), &joined);
        let (shown, _) = decoded(&bucket, "parameter-set-lookback=0");
        assert_eq!(
            shown,
            mp4::stream_checksums(&Stream::example())[10..],
            "{layout:?}"
        );
    }
}

/// Decodes a range, and gives the pictures and their stream times in ms.
fn decoded(bucket: &str, properties: &str) -> (Vec<String>, Vec<u64>) {
    let pipeline = Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e {properties} \
         ! avdec_h264 ! video/x-raw,format=I420 ! appsink name=out",
        SERVER.url()
    ));
    let samples = pipeline.collect("out");
    pipeline.run().clean();
    let samples = samples.get();
    let time = |sample: &gst::Sample| {
        let segment = sample
            .segment()
            .unwrap()
            .downcast_ref::<gst::ClockTime>()
            .unwrap();
        segment
            .to_stream_time(sample.buffer().unwrap().pts())
            .unwrap()
            .mseconds()
    };
    (
        samples.iter().map(mp4::checksum).collect(),
        samples.iter().map(time).collect(),
    )
}

#[test]
fn an_exact_start_shows_the_frame_at_it() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        let pictures = mp4::stream_checksums(&stream);
        for layout in [Layout::AccessUnit, Layout::Gop, Layout::AccessUnits(3)] {
            let bucket = record(&laid_out_as(layout), &stream);
            for start in [0, 7, 15, 29, 59] {
                let properties = format!("start={} start-mode=exact", at(start));
                let (shown, times) = decoded(&bucket, &properties);
                assert_eq!(shown, pictures[start..], "{start} {layout:?}");
                assert_eq!(times[0], 0, "{start} {layout:?}");
            }
        }
    }
}

#[test]
fn a_range_ends_as_stop_mode_says() {
    let stream = Stream::example();
    for layout in LAYOUTS {
        let bucket = record(&laid_out_as(layout), &stream);
        for (mode, stop, end) in [
            ("exact", 35, 35),
            ("exact", 40, 40),
            ("keyframe", 35, 40),
            ("keyframe", 31, 40),
            ("keyframe", 40, 40),
            ("keyframe", 55, 60),
        ] {
            let properties = format!("stop={} stop-mode={mode}", at(stop));
            // A group counts by the record that it begins in, so that no two ranges have it.
            let end = match (layout, mode, stop) {
                (Layout::AccessUnits(3), "keyframe", 40) => 50,
                _ => end,
            };
            let (frames, _) = frames(&bucket, &stream, &properties);
            assert_eq!(
                frames,
                (0..end).collect::<Vec<_>>(),
                "{mode} {stop} {layout:?}"
            );
        }
    }
}

/// Neighbouring ranges have all groups of pictures together, and each once.
#[test]
fn shards_are_as_one_range() {
    let mut random = fastrand::Rng::with_seed(5);
    for stream in [Stream::example(), Stream::with_b_frames()] {
        for layout in LAYOUTS {
            let bucket = record(&laid_out_as(layout), &stream);
            let whole = line::read(&bucket, "").clean();
            for shards in [1, 2, 7, 64] {
                let (first, last) = (at(0), at(60));
                let mut bounds: Vec<_> = (1..shards).map(|_| random.u64(first..last)).collect();
                bounds.extend([first, last]);
                bounds.sort_unstable();
                let mut units = Vec::new();
                let mut times = Vec::new();
                for bound in bounds.windows(2) {
                    let range = format!("start={} stop={}", bound[0], bound[1]);
                    let read = line::read(&bucket, &format!("{range} stop-mode=keyframe")).clean();
                    times.extend(captures(&read));
                    units.extend(read.units());
                }
                assert!(units == whole.units(), "{shards} shards, {layout:?}");
                assert_eq!(times, captures(&whole), "{shards} shards, {layout:?}");
            }
        }
    }
}

#[test]
fn ranges_are_one_stream() {
    let stream = Stream::example();
    let bucket = record(&laid_out_as(Layout::AccessUnit), &stream);
    let ranges = format!("{}/{},{}/{}", at(10), at(25), at(35), at(47));
    let pipeline = Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e ranges={ranges} ! appsink name=out",
        SERVER.url()
    ));
    let samples = pipeline.collect("out");
    pipeline.run().clean();
    let samples = samples.get();
    let times: Vec<_> = (samples.iter())
        .map(|sample| {
            let segment = sample
                .segment()
                .unwrap()
                .downcast_ref::<gst::ClockTime>()
                .unwrap();
            let pts = sample.buffer().unwrap().pts();
            let running = segment.to_running_time(pts).unwrap().mseconds();
            (segment.to_stream_time(pts).unwrap().mseconds(), running)
        })
        .collect();
    let first = (0..15).map(|frame| (frame * 100, frame * 100));
    let second = (0..7).map(|frame| (3000 + frame * 100, 1500 + frame * 100));
    assert_eq!(times, first.chain(second).collect::<Vec<_>>());
    let disconts = samples.iter().enumerate().filter(|(_, sample)| {
        sample
            .buffer()
            .unwrap()
            .flags()
            .contains(gst::BufferFlags::DISCONT)
    });
    let disconts: Vec<_> = disconts.map(|(index, _)| index).collect();
    assert_eq!(disconts, [0, 15]);
}

#[test]
fn each_range_is_an_episode() {
    let stream = Stream::example();
    let bucket = record(&laid_out_as(Layout::Gop), &stream);
    let ranges = format!("ranges={}/{},{}/{}", at(0), at(20), at(20), at(50));
    let export = line::export(&bucket, &ranges, "");
    assert_eq!(export.summary(), [(20, "gap"), (30, "eos")]);
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream)[..50]);
}

/// Pictures that ffmpeg and GStreamer show of a file; both follow its edit list.
fn shown_by(file: &std::path::Path) -> Vec<String> {
    let decoded = mp4::decode(file);
    assert_eq!(decoded.complaints, "");
    assert_eq!(decoded.times_us[0], 0);
    let pipeline = Pipeline::launch(&format!(
        "filesrc location={} ! qtdemux ! avdec_h264 ! video/x-raw,format=I420 ! appsink name=out",
        file.display()
    ));
    let samples = pipeline.collect("out");
    pipeline.run().clean();
    let pictures: Vec<_> = samples.get().iter().map(mp4::checksum).collect();
    // qtdemux before 1.22.3 ends at a keyframe before the end of an edit list (issue 2549).
    let shown = match gst::version() < (1, 22, 3, 0) {
        true => &decoded.checksums[..pictures.len()],
        false => &decoded.checksums[..],
    };
    assert_eq!(pictures, shown, "{}", file.display());
    decoded.checksums
}

#[test]
fn an_exact_start_is_an_edit_list_in_a_file() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        let pictures = mp4::stream_checksums(&stream);
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let bucket = record(&laid_out_as(layout), &stream);
            for start in [0, 7, 29] {
                let properties = format!("start={} start-mode=exact", at(start));
                let export = line::export(&bucket, &properties, "");
                let [episode] = &export.episodes[..] else {
                    panic!("{:?}", export.episodes);
                };
                let what = format!("{start} {layout:?} {episode:?}");
                assert_eq!(episode.frames, 60 - start as u64, "{what}");
                assert_eq!(episode.hidden, start as u64 % 10, "{what}");
                assert_eq!(episode.start_us, Some(at(start)), "{what}");
                assert_eq!(episode.duration, (60 - start as u64) * FRAME, "{what}");
                let file = mp4::probe(&episode.location);
                assert_eq!(file.duration_us, (60 - start as i64) * 100_000, "{what}");
                assert_eq!(shown_by(&episode.location), pictures[start..], "{what}");
            }
        }
    }
}

#[test]
fn an_exact_start_within_a_frame_begins_with_the_next_one() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        let pictures = mp4::stream_checksums(&stream);
        let bucket = record(&laid_out_as(Layout::AccessUnit), &stream);
        for start in [20, 33] {
            let properties = format!("start={} start-mode=exact", at(start) + 50_000);
            let first = start + 1;
            let (shown, times) = decoded(&bucket, &properties);
            assert_eq!(shown, pictures[first..]);
            assert_eq!(times[0], 50);
            let export = line::export(&bucket, &properties, "");
            let episode = &export.episodes[0];
            assert_eq!(episode.start_us, Some(at(first)), "{episode:?}");
            assert_eq!(episode.frames, 60 - first as u64, "{episode:?}");
            assert_eq!(episode.duration, (60 - first as u64) * FRAME);
            assert_eq!(shown_by(&episode.location), pictures[first..]);
        }
    }
}

#[test]
fn an_exact_start_needs_room_for_an_edit_list() {
    let stream = Stream::example();
    let bucket = record(&laid_out_as(Layout::AccessUnit), &stream);
    let pictures = mp4::stream_checksums(&stream);
    let properties = format!("start={} start-mode=exact", at(15));
    let export = |muxer: &str| {
        let splitter = format!("muxer-properties=\"properties,{muxer}\"");
        line::export(&bucket, &properties, &splitter)
    };
    let first = export("faststart=true");
    assert_eq!(shown_by(&first.episodes[0].location), pictures[15..]);
    assert_eq!(first.warnings(), [""; 0]);

    let in_fragments = export("fragment-duration=1000");
    let file = &in_fragments.episodes[0].location;
    assert_eq!(mp4::frame_checksums(file), pictures[10..]);
    let warnings = in_fragments.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("5 access units"),
        "{warnings:?}"
    );
}

#[test]
fn exact_ranges_are_exact_episodes_or_parts_of_one() {
    let stream = Stream::example();
    let bucket = record(&laid_out_as(Layout::AccessUnit), &stream);
    let pictures = mp4::stream_checksums(&stream);
    let ranges = format!(
        "ranges={}/{},{}/{} start-mode=exact",
        at(3),
        at(16),
        at(35),
        at(47)
    );
    let export = line::export(&bucket, &ranges, "");
    assert_eq!(export.summary(), [(13, "gap"), (12, "eos")]);
    assert_eq!(shown_by(&export.episodes[0].location), pictures[3..16]);
    assert_eq!(shown_by(&export.episodes[1].location), pictures[35..47]);

    let export = line::export(&bucket, &ranges, "gap-detection=false");
    let [episode] = &export.episodes[..] else {
        panic!("{:?}", export.episodes);
    };
    assert_eq!((episode.frames, episode.hidden), (25, 8));
    let both = [&pictures[3..16], &pictures[35..47]].concat();
    assert_eq!(shown_by(&episode.location), both);
}
