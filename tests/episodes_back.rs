// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductsrc` on an entry of episodes: their bytes, and what a demuxer makes of one or several.

mod common;

use std::fs;

use common::line::record;
use common::mp4;
use common::pipeline::{Outcome, Pipeline, Samples, capture_us, stat};
use common::recording::Recording;
use common::server::Record;
use common::stream::{Content, Stream, StreamSpec};
use common::{SERVER, await_that};
use gst::ClockTime;
use gst::prelude::*;

const START_US: u64 = 1_749_803_453_273_752;
const SECOND_US: u64 = 1_000_000;
const FRAME: ClockTime = ClockTime::from_mseconds(100);

/// Writes episodes of the stream in a bucket of its own, and gives its name and the records.
fn episodes_of(stream: &Stream, recording: &Recording, properties: &str) -> (String, Vec<Record>) {
    let bucket = record(recording, stream);
    let pipeline = Pipeline::launch(&format!(
        "reductsrc name=source url={} bucket={bucket} entry=e ! \
         reductepisodesplit location=reduct://127.0.0.1:{}/{bucket}/episodes {properties}",
        SERVER.url(),
        SERVER.port(),
    ));
    pipeline.run().clean();
    let records = SERVER.read(&bucket, "episodes");
    (bucket, records)
}

/// Three episodes of two seconds of the example.
fn example() -> (String, Vec<Record>) {
    let recording = Recording::default();
    episodes_of(&Stream::example(), &recording, "duration=2000000000")
}

/// `reductsrc name=source` on the episodes of a bucket, before the rest of a pipeline.
fn pipeline(bucket: &str, properties: &str, rest: &str) -> Pipeline {
    Pipeline::launch(&format!(
        "reductsrc name=source url={} bucket={bucket} entry=episodes {properties} ! {rest}",
        SERVER.url(),
    ))
}

/// Reads with the source and returns the messages and the samples that reached an appsink.
fn read(bucket: &str, properties: &str) -> (Outcome, Samples) {
    let pipeline = pipeline(bucket, properties, "appsink name=out");
    let samples = pipeline.collect("out");
    (pipeline.run(), samples)
}

fn bytes(buffers: &[gst::Buffer]) -> Vec<u8> {
    let bytes = buffers.iter();
    let bytes = bytes.map(|buffer| buffer.map_readable().unwrap().to_vec());
    bytes.collect::<Vec<_>>().concat()
}

/// Buffers of each episode: they begin with DISCONT.
fn by_episode(buffers: &[gst::Buffer]) -> Vec<&[gst::Buffer]> {
    let is_first = |buffer: &gst::Buffer| buffer.flags().contains(gst::BufferFlags::DISCONT);
    buffers.chunk_by(|_, next| !is_first(next)).collect()
}

/// Running and stream times and checksums of the pictures that a decoder shows, in order.
struct Pictures {
    outcome: Outcome,
    running: Vec<ClockTime>,
    stream: Vec<ClockTime>,
    checksums: Vec<String>,
}

fn play(bucket: &str, properties: &str, demuxer: &str) -> Pictures {
    let rest = format!(
        "{demuxer} ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=I420 ! appsink name=out"
    );
    let pipeline = pipeline(bucket, properties, &rest);
    let samples = pipeline.collect("out");
    let outcome = pipeline.run().clean();
    let samples = samples.get();
    let times =
        |time: &dyn Fn(&gst::FormattedSegment<ClockTime>, ClockTime) -> Option<ClockTime>| {
            let times = samples.iter().map(|sample| {
                let segment = sample
                    .segment()
                    .unwrap()
                    .downcast_ref::<ClockTime>()
                    .unwrap();
                let pts = sample.buffer().unwrap().pts().unwrap();
                time(segment, pts.max(segment.start().unwrap())).unwrap()
            });
            times.collect()
        };
    Pictures {
        outcome,
        running: times(&|segment, pts| segment.to_running_time(pts)),
        stream: times(&|segment, pts| segment.to_stream_time(pts)),
        checksums: samples.iter().map(mp4::checksum).collect(),
    }
}

fn evenly(count: usize) -> Vec<ClockTime> {
    (0..count as u64).map(|frame| frame * FRAME).collect()
}

/// Fails unless times are these but for rounding.
#[track_caller]
fn assert_near(found: &[ClockTime], expected: &[ClockTime]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let off = found.absdiff(*expected);
        assert!(off < ClockTime::MSECOND, "{found} is not {expected}");
    }
}

fn warnings(outcome: &Outcome) -> Vec<&str> {
    let warnings = outcome.warnings.iter();
    warnings.map(|(warning, _)| warning.message()).collect()
}

#[test]
fn the_bytes_are_those_of_the_files() {
    let (bucket, records) = example();
    let (outcome, samples) = read(&bucket, "");
    outcome.clean();
    let caps = samples.get()[0].caps_owned().unwrap();
    assert_eq!(caps.to_string(), "video/quicktime, variant=(string)iso");
    let buffers = samples.buffers();
    let episodes = by_episode(&buffers);
    assert_eq!(episodes.len(), 3);
    for (episode, record) in episodes.iter().zip(&records) {
        assert!(bytes(episode) == record.bytes, "{}", record.time_us);
        assert_eq!(capture_us(&episode[0]), Some(record.time_us));
        let mut place = 0;
        for buffer in *episode {
            assert_eq!(buffer.offset(), place);
            place += buffer.size() as u64;
            assert_eq!(buffer.offset_end(), place);
        }
    }
}

#[test]
fn a_range_has_the_episodes_whose_times_are_in_it() {
    let (bucket, records) = example();
    let second = START_US + 2 * SECOND_US;
    let stop = second + SECOND_US;
    for (start, mode) in [
        (second, "keyframe-after"),
        (START_US + 1, "keyframe-after"),
        (second + 1, "keyframe-before"),
        (second + 1, "exact"),
    ] {
        for stop_mode in ["exact", "keyframe"] {
            let range =
                format!("start={start} stop={stop} start-mode={mode} stop-mode={stop_mode}");
            let (outcome, samples) = read(&bucket, &range);
            outcome.clean();
            assert!(bytes(&samples.buffers()) == records[1].bytes, "{range}");
        }
    }
    let ranges = format!("ranges={START_US}/{},{second}/{stop}", START_US + 1);
    let (outcome, samples) = read(&bucket, &ranges);
    outcome.clean();
    assert_eq!(by_episode(&samples.buffers()).len(), 2);
}

#[test]
fn one_episode_plays() {
    let (bucket, records) = example();
    let range = format!("start={START_US} stop={}", START_US + 1);
    let played = play(&bucket, &range, "qtdemux");
    assert_near(&played.running, &evenly(20));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.mp4");
    fs::write(&file, &records[0].bytes).unwrap();
    assert_eq!(played.checksums, mp4::decode(&file).clean());
}

#[test]
fn several_episodes_play_one_after_another() {
    let (bucket, _) = example();
    for demuxer in ["qtdemux", "identity ! qtdemux", "qtdemux ! queue"] {
        let played = play(&bucket, "", demuxer);
        assert_near(&played.running, &evenly(60));
        assert_near(&played.stream, &evenly(60));
        assert_eq!(played.checksums, mp4::stream_checksums(&Stream::example()));
        assert!(played.outcome.warnings.is_empty(), "{demuxer}");
    }
}

#[test]
fn a_queue_before_a_demuxer_takes_one_episode_only() {
    let (bucket, _) = example();
    let rest = "queue name=q ! qtdemux name=d ! h264parse ! fakesink";
    let outcome = pipeline(&bucket, "", rest).run();
    let (error, _) = outcome.error();
    assert!(error.matches(gst::StreamError::Demux), "{error}");
    for part in ["d behind q", "start", "stop"] {
        assert!(error.message().contains(part), "{error}");
    }
    let range = format!("start={START_US} stop={}", START_US + 1);
    assert_near(
        &play(&bucket, &range, "queue ! qtdemux").running,
        &evenly(20),
    );
}

#[test]
fn eos_from_downstream_ends_the_source() {
    let (bucket, _) = example();
    let pipeline = pipeline(&bucket, "", "fakesink num-buffers=1");
    pipeline.run().clean();
    assert!(stat(&pipeline.element("source"), "episodes") > 0);
}

#[test]
fn running_time_has_no_holes_and_stream_time_keeps_the_truth() {
    let recording = Recording {
        holes: vec![(20, 3_600 * SECOND_US)],
        ..Default::default()
    };
    let (bucket, records) = episodes_of(&Stream::example(), &recording, "");
    assert_eq!(records.len(), 2);
    let played = play(&bucket, "", "qtdemux");
    assert_near(&played.running, &evenly(60));
    let hole = ClockTime::from_seconds(3_600);
    let expected: Vec<_> = (evenly(60).into_iter().enumerate())
        .map(|(frame, time)| if frame < 20 { time } else { time + hole })
        .collect();
    assert_near(&played.stream, &expected);
}

#[test]
fn frames_out_of_order() {
    let recording = Recording::default();
    let stream = Stream::with_b_frames();
    let (bucket, _) = episodes_of(&stream, &recording, "duration=2000000000");
    let played = play(&bucket, "", "qtdemux");
    assert_near(&played.running, &evenly(60));
    assert_eq!(played.checksums, mp4::stream_checksums(&stream));
}

#[test]
fn other_layouts_of_files() {
    for muxer in ["faststart=true", "fragment-duration=500"] {
        let properties = format!("duration=2000000000 muxer-properties=\"properties,{muxer}\"");
        let recording = Recording::default();
        let (bucket, records) = episodes_of(&Stream::example(), &recording, &properties);
        assert_eq!(records.len(), 3);
        let played = play(&bucket, "", "qtdemux");
        assert_near(&played.running, &evenly(60));
        assert_eq!(played.checksums, mp4::stream_checksums(&Stream::example()));
    }
}

#[test]
fn frames_that_an_edit_list_hides_are_not_shown() {
    let bucket = record(&Recording::default(), &Stream::example());
    let from = START_US + 1_500_000;
    Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e start-mode=exact start={from} ! \
         reductepisodesplit location=reduct://127.0.0.1:{}/{bucket}/episodes",
        SERVER.url(),
        SERVER.port(),
    ))
    .run()
    .clean();
    let played = play(&bucket, "", "qtdemux");
    assert_near(&played.running, &evenly(45));
}

#[test]
fn large_episodes() {
    let stream = Stream::make(StreamSpec {
        size: (640, 480),
        frames: 40,
        content: Content::Noise,
        ..Default::default()
    });
    let recording = Recording::default();
    let (bucket, records) = episodes_of(&stream, &recording, "duration=2000000000");
    let (outcome, samples) = read(&bucket, "");
    outcome.clean();
    let buffers = samples.buffers();
    let episodes = by_episode(&buffers);
    assert_eq!(episodes.len(), 2);
    assert!(episodes[0].len() > 1, "in one piece");
    assert!(bytes(episodes[1]) == records[1].bytes);
    assert_near(&play(&bucket, "", "qtdemux").running, &evenly(40));
}

#[test]
fn a_file_each() {
    let (bucket, records) = example();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    for next in ["buffer", "discont"] {
        let rest = format!("multifilesink next-file={next} location={path}/{next}_%d.mp4");
        pipeline(&bucket, "", &rest).run().clean();
        for (index, record) in records.iter().enumerate() {
            let file = folder.path().join(format!("{next}_{index}.mp4"));
            assert!(fs::read(&file).unwrap() == record.bytes, "{file:?}");
        }
    }
    let rest = format!("filesink location={path}/one.mp4");
    let first = format!("stop={}", START_US + 1);
    pipeline(&bucket, &first, &rest).run().clean();
    assert!(fs::read(folder.path().join("one.mp4")).unwrap() == records[0].bytes);
}

#[test]
fn the_address_of_a_record_plays() {
    let (_, records) = example();
    let bucket = record(&Recording::default(), &Stream::example());
    let exporter = Pipeline::launch(&format!(
        "reductsrc url={} bucket={bucket} entry=e ! reductepisodesplit duration=2000000000 \
         location=reduct://127.0.0.1:{}/{bucket}/episodes",
        SERVER.url(),
        SERVER.port(),
    ));
    let told = exporter.run().clean().episodes();
    let pipeline = Pipeline::launch("uridecodebin name=bin ! appsink name=out");
    let address = told[1].location.to_str().unwrap();
    pipeline.element("bin").set_property("uri", address);
    let samples = pipeline.collect("out");
    pipeline.run().clean();
    assert_eq!(samples.get().len(), 20);
    assert_eq!(records.len(), 3);
}

#[test]
fn seeks_are_refused() {
    let (bucket, _) = example();
    let pipeline = pipeline(&bucket, "", "appsink name=out sync=false");
    pipeline.set_state(gst::State::Paused).unwrap();
    pipeline.wait(&mut Vec::new(), |message| {
        message.type_() == gst::MessageType::AsyncDone
    });
    let source = pipeline.element("source");
    for format in [gst::Format::Time, gst::Format::Bytes] {
        let mut query = gst::query::Seeking::new(format);
        if source.query(&mut query) {
            assert!(!query.result().0, "{format:?}");
        }
    }
    let flags = gst::SeekFlags::FLUSH;
    assert!(source.seek_simple(flags, ClockTime::SECOND).is_err());
}

#[test]
fn other_records_are_left_out() {
    let (bucket, records) = example();
    let stream = Stream::example().slice(0..10).bytes();
    for (index, content_type) in ["video/h264", "image/jpeg"].into_iter().enumerate() {
        let time = START_US + SECOND_US + index as u64;
        SERVER.write(&bucket, "episodes", time, content_type, &[], stream.clone());
    }
    let source = pipeline(&bucket, "", "appsink name=out");
    let samples = source.collect("out");
    let outcome = source.run().clean();
    let whole: Vec<u8> = records
        .iter()
        .flat_map(|record| record.bytes.to_vec())
        .collect();
    assert!(bytes(&samples.buffers()) == whole);
    let told = warnings(&outcome);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told[0].contains("'video/h264', not 'video/mp4'"),
        "{told:?}"
    );
    assert_eq!(stat(&source.element("source"), "damaged"), 2);
    assert_eq!(stat(&source.element("source"), "episodes"), 3);
}

/// Files with a time scale of 0 and of nothing but boxes, among whole ones. Neither is an end.
#[test]
fn damaged_files_are_skipped() {
    let (_, records) = example();
    let scale_of_0 = |header: &[u8; 4]| {
        let mut file = records[0].bytes.to_vec();
        let at = file.windows(4).position(|kind| kind == header).unwrap();
        file[at + 16..at + 20].fill(0);
        file
    };
    let boxes = b"\0\0\0\x08free".repeat(300_000);
    let in_moov = [&(boxes.len() as u32 + 8).to_be_bytes(), b"moov", &boxes[..]].concat();
    let without_size = [&[0, 0, 0, 0], b"moov", &boxes[..]].concat();
    let damaged = [
        scale_of_0(b"mvhd"),
        scale_of_0(b"mdhd"),
        boxes,
        in_moov,
        without_size,
        b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
    ];
    let bucket = SERVER.new_bucket();
    let times = START_US..;
    let count = damaged.len() as u64;
    SERVER.write_all(&bucket, "episodes", [&records[0]]);
    for (time, content) in times.skip(1).zip(damaged) {
        SERVER.write(&bucket, "episodes", time, "video/mp4", &[], content);
    }
    SERVER.write_all(&bucket, "episodes", &records[1..]);
    let pipeline = pipeline(
        &bucket,
        "",
        "qtdemux ! h264parse ! avdec_h264 ! appsink name=out",
    );
    let samples = pipeline.collect("out");
    let begin = std::time::Instant::now();
    pipeline.run().clean();
    assert!(begin.elapsed() < std::time::Duration::from_secs(20));
    assert_eq!(samples.get().len(), 60);
    assert_eq!(stat(&pipeline.element("source"), "damaged"), count);
    assert_eq!(stat(&pipeline.element("source"), "episodes"), 3);
}

#[test]
fn an_episode_among_access_units_is_left_out() {
    let (_, records) = example();
    let bucket = record(&Recording::default(), &Stream::example());
    let time = START_US + 500_000;
    SERVER.write(
        &bucket,
        "e",
        time,
        "video/mp4",
        &[],
        records[0].bytes.clone(),
    );
    let read = common::line::read(&bucket, "").clean();
    assert_eq!(read.stat("access-units"), 60);
    assert_eq!(read.stat("damaged"), 1);
    let told = read.warnings();
    assert!(
        told[0].contains("'video/mp4', not 'video/h264'"),
        "{told:?}"
    );
}

#[test]
fn records_that_are_no_mp4_are_skipped() {
    let (bucket, records) = example();
    SERVER.write(
        &bucket,
        "episodes",
        START_US + 1,
        "video/mp4",
        &[],
        "no file",
    );
    let (outcome, samples) = read(&bucket, "");
    let outcome = outcome.clean();
    assert_eq!(by_episode(&samples.buffers()).len(), records.len());
    let told = warnings(&outcome);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("no MP4 file"), "{told:?}");

    for properties in [
        "on-error=stop".into(),
        format!("start={} stop={}", START_US + 1, START_US + 2),
    ] {
        let (outcome, _) = read(&bucket, &properties);
        let (error, _) = outcome.error();
        assert!(error.matches(gst::StreamError::Decode), "{error}");
        assert!(error.message().contains("no MP4 file"), "{error}");
    }
}

#[test]
fn episodes_that_are_written_meanwhile() {
    let (bucket, records) = example();
    let reader = pipeline(&bucket, "follow=true start=0", "appsink name=out");
    let samples = reader.collect("out");
    reader.play();
    let source = reader.element("source");
    await_that("no episodes", || stat(&source, "episodes") == 3);
    let time = START_US + 60 * SECOND_US;
    SERVER.write(
        &bucket,
        "episodes",
        time,
        "video/mp4",
        &[],
        records[0].bytes.clone(),
    );
    await_that("not the last episode", || stat(&source, "episodes") == 4);
    reader.send_event(gst::event::Eos::new());
    let messages = reader.wait_for_end();
    reader.finish(messages).clean();
    let buffers = samples.buffers();
    let episodes = by_episode(&buffers);
    assert_eq!(episodes.len(), 4);
    assert_eq!(capture_us(&episodes[3][0]), Some(time));
}

#[test]
fn a_source_of_episodes_can_be_used_again() {
    let (bucket, _) = example();
    let pipeline = pipeline(&bucket, "", "fakesink name=out");
    for state in [gst::State::Ready, gst::State::Null] {
        pipeline.play();
        let messages = pipeline.wait_for_end();
        let last = messages.last().unwrap();
        assert_eq!(last.type_(), gst::MessageType::Eos, "{last:?}");
        pipeline.set_state(state).unwrap();
    }
    // Another entry may hold something else.
    let source = pipeline.element("source");
    source.set_property("entry", "e");
    pipeline.run().clean();
    assert_eq!(stat(&source, "access-units"), 60);
}

#[test]
fn a_link_to_an_element_that_takes_no_files_is_an_error_that_names_the_demuxer() {
    let (bucket, _) = example();
    for rest in [
        "h264parse name=taker ! fakesink",
        "queue name=taker ! h264parse ! fakesink",
        "reductepisodesplit name=taker",
        "video/x-h264 ! fakesink",
    ] {
        let outcome = pipeline(&bucket, "", rest).run();
        assert_eq!(outcome.errors.len(), 1, "{rest}: {:?}", outcome.errors);
        let (error, _) = outcome.error();
        assert!(
            error.matches(gst::CoreError::Negotiation),
            "{rest}: {error}"
        );
        let taker = if rest.contains("taker") {
            "taker"
        } else {
            "capsfilter"
        };
        for part in ["MP4 episodes", "video/mp4", "demuxer", taker] {
            assert!(error.message().contains(part), "{rest}: {error}");
        }
    }
    // The other way round.
    let source = format!("reductsrc url={} bucket={bucket} entry=e", SERVER.url());
    let pipeline = Pipeline::launch(&format!("{source} ! qtdemux name=taker ! fakesink"));
    let outcome = pipeline.run();
    assert_eq!(outcome.errors.len(), 1, "{:?}", outcome.errors);
    let (error, _) = outcome.error();
    for part in ["H.264", "h264parse", "taker"] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn several_episodes_in_one_file_are_a_warning() {
    let (bucket, _) = example();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.mp4").display().to_string();
    let one = format!("start={START_US} stop={}", START_US + 1);
    for (range, rest, told) in [
        ("", format!("filesink name=file location={file}"), 1),
        ("", format!("queue ! filesink name=file location={file}"), 1),
        (&one, format!("filesink name=file location={file}"), 0),
        (
            "",
            format!("multifilesink next-file=discont location={file}.%d"),
            0,
        ),
    ] {
        let outcome = pipeline(&bucket, range, &rest).run().clean();
        let warnings = warnings(&outcome);
        assert_eq!(warnings.len(), told, "{rest}: {warnings:?}");
        for warning in warnings {
            for part in [
                "more than one episode",
                "file",
                "multifilesink next-file=discont",
            ] {
                assert!(warning.contains(part), "{warning}");
            }
        }
    }
}

#[test]
fn a_shorter_last_episode_ends_the_duration() {
    let recording = Recording::default();
    let (bucket, records) = episodes_of(&Stream::example(), &recording, "duration=4000000000");
    assert_eq!(records.len(), 2);
    let pipeline = pipeline(&bucket, "", "fakesink");
    let source = pipeline.element("source");
    let duration = || source.query_duration::<ClockTime>();
    pipeline.set_state(gst::State::Paused).unwrap();
    let (state, ..) = pipeline.state(ClockTime::from_seconds(20));
    state.expect("it prerolls");
    assert_eq!(duration(), Some(60 * FRAME));
    pipeline.play();
    let messages = pipeline.wait_for_end();
    assert_eq!(duration(), Some(60 * FRAME));
    pipeline.finish(messages).clean();
}
