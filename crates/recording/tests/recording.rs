// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Recordings of a real ReductStore are opened, read, sought in and followed.

#[allow(dead_code)]
mod common;
#[allow(dead_code)]
#[path = "../../../tests/common/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../../../tests/common/wait.rs"]
mod wait;

use std::ops::{self, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use client::{Canceller, Limits, Overflow, SpoolOptions, SpoolSync, WriterEvent, WriterOptions};
use futures_util::TryStreamExt;
use media::codec::h264::testing::{
    AUD, IDR, P, SPS, SliceSpec, SpsSpec, pps, record, recovery_point, slice, sps,
};
use media::content::ContentKind;
use media::frame_rate::FrameRate;
use media::range::Begin;
use media::stream::{
    RecordTag, RecordedStream, StreamConfig, StreamItem, StreamMemory, StreamRange,
};
use media::time::{CaptureTime, Nanos};
use recording::{
    Error, Format, Frame, Item, Notice, RecordHeader, Recorder, RecorderOptions, Recording,
};
use tokio::runtime::Runtime;

use common::{GROUP, START, access_unit, set_up, time, write};
use server::Server;
use wait::await_that;

fn frame(item: Item) -> Option<Frame> {
    match item {
        Item::Frame(frame) => Some(frame),
        _ => None,
    }
}

#[test]
fn headers_have_times_and_labels_without_media() {
    let (server, connection, runtime) = set_up();
    let labels = [("keyframe", "false"), ("fps", "25/2")];
    server.write(
        "b",
        "cam",
        time(50).useconds(),
        "video/mp4",
        &labels,
        Bytes::from_static(b"x"),
    );
    server.write(
        "b",
        "cam",
        time(51).useconds(),
        "text/plain",
        &[("fps", "x")],
        Bytes::from_static(b"x"),
    );
    runtime.block_on(async {
        let recording = Recording::open(&connection, "b", "cam")
            .await
            .expect("an entry");
        let read = async |range: (ops::Bound<CaptureTime>, ops::Bound<CaptureTime>)| {
            let mut headers = Vec::new();
            let read = recording.headers(range, |header| headers.push(*header));
            read.await.expect("headers");
            headers
        };
        let all = read((ops::Bound::Unbounded, ops::Bound::Unbounded)).await;
        assert!(all.iter().map(|header| header.time).eq((0..52).map(time)));
        assert_eq!(
            all[49],
            RecordHeader {
                time: time(49),
                content: Some(ContentKind::H264),
                keyframe: None,
                frame_rate: None,
            }
        );
        let frame_rate = FrameRate::new(25, 2);
        assert_eq!(
            (all[50].content, all[50].keyframe, all[50].frame_rate),
            (Some(ContentKind::Episode), Some(false), frame_rate)
        );
        assert_eq!(
            (all[51].content, all[51].keyframe, all[51].frame_rate),
            (None, None, None)
        );
        let part = read((ops::Bound::Included(time(7)), ops::Bound::Excluded(time(9)))).await;
        assert_eq!(part, all[7..9]);
        let after = read((ops::Bound::Excluded(time(7)), ops::Bound::Included(time(9)))).await;
        assert_eq!(after, all[8..10]);
        for empty in [
            (ops::Bound::Included(time(7)), ops::Bound::Excluded(time(7))),
            (ops::Bound::Included(time(9)), ops::Bound::Excluded(time(7))),
            (ops::Bound::Included(time(60)), ops::Bound::Unbounded),
        ] {
            assert_eq!(read(empty).await, []);
        }
    });
}

#[test]
fn an_entry_has_bounds_and_content() {
    let (server, connection, runtime) = set_up();
    runtime.block_on(async {
        let recording = Recording::open(&connection, "b", "cam")
            .await
            .expect("an entry");
        assert_eq!(recording.bounds(), Some((time(0), time(49))));
        assert_eq!(recording.content(), Some(ContentKind::H264));
        let error = Recording::open(&connection, "b", "nothing")
            .await
            .expect_err("no entry");
        assert!(error.to_string().contains("'b/nothing'"), "{error}");
    });
    drop(server);
}

#[test]
fn names_are_checked_before_any_request() {
    let (server, connection, runtime) = set_up();
    server.kill(); // A request would fail otherwise.
    let _entered = runtime.enter();
    for (bucket, entry, part) in [
        ("", "cam", "bucket is not set"),
        ("b", "", "entry is not set"),
        ("b", "cam 1", "entry 'cam 1'"),
        ("b?c", "cam", "bucket 'b?c'"),
        ("b/c", "cam", "bucket 'b/c'"),
    ] {
        let opened = runtime.block_on(Recording::open(&connection, bucket, entry));
        let error = opened.expect_err("a bad name");
        assert!(matches!(error, Error::Address(_)), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
        let recorder = Recorder::builder(&connection, bucket, entry).open();
        let error = recorder.expect_err("a bad name");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_range_is_a_stream_of_frames() {
    let (server, connection, runtime) = set_up();
    let frames: Vec<Frame> = runtime.block_on(async {
        let recording = Recording::open(&connection, "b", "cam")
            .await
            .expect("an entry");
        let frames = recording.read(time(15)..time(45)).frames().into_stream();
        let frames = frames.try_filter_map(async |item| Ok(frame(item)));
        frames.try_collect().await.expect("frames")
    });
    let expected: Vec<usize> = (20..45).collect();
    assert_eq!(frames.len(), expected.len());
    for (frame, index) in frames.iter().zip(expected) {
        assert_eq!(frame.capture_time, time(index));
        assert_eq!(frame.pts, time(index) - time(15));
        assert_eq!(frame.unit.parts.concat(), access_unit(index));
        assert_eq!(frame.is_keyframe, index % GROUP == 0);
        assert!(!frame.is_hidden && !frame.is_discont && !frame.is_corrupted);
    }
    drop(server);
}

#[test]
fn an_exact_range_begins_with_hidden_frames() {
    let (server, connection, runtime) = set_up();
    let frames: Vec<Frame> = runtime.block_on(async {
        let recording = Recording::open(&connection, "b", "cam")
            .await
            .expect("an entry");
        let request = recording.read(time(15)..time(18)).start(Begin::Exact);
        let frames = request.frames().into_stream();
        let frames = frames.try_filter_map(async |item| Ok(frame(item)));
        frames.try_collect().await.expect("frames")
    });
    let hidden: Vec<_> = frames
        .iter()
        .map(|frame| (frame.capture_time, frame.is_hidden))
        .collect();
    let expected: Vec<_> = (10..18).map(|index| (time(index), index < 15)).collect();
    assert_eq!(hidden, expected);
    drop(server);
}

#[test]
fn a_range_outside_of_the_entry_is_reported() {
    let (server, connection, runtime) = set_up();
    let items: Vec<Item> = runtime.block_on(async {
        let recording = Recording::open(&connection, "b", "cam")
            .await
            .expect("an entry");
        let range = time(10_000)..time(20_000);
        let items = recording.read(range).frames().into_stream();
        items.try_collect().await.expect("no error")
    });
    let warnings: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            Item::Warning(text) => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(warnings.len(), 1, "{items:?}");
    assert!(warnings[0].contains("has no record"), "{}", warnings[0]);
    drop(server);
}

#[test]
fn a_range_without_a_length_is_an_error_before_any_request() {
    let (server, connection, runtime) = set_up();
    let recording = runtime.block_on(Recording::open(&connection, "b", "cam"));
    let recording = recording.expect("an entry");
    server.kill(); // A request would fail otherwise.
    for (start, stop) in [(30, 10), (30, 30)] {
        let request = recording.read(time(start)..time(stop));
        let mut frames = request.clone().frames();
        let error = runtime.block_on(frames.next()).expect_err("no length");
        assert!(matches!(error, Error::NoLength(_)), "{error:?}");
        for time in [time(start), time(stop)] {
            assert!(error.to_string().contains(&time.to_string()), "{error}");
        }
        assert!(matches!(runtime.block_on(frames.next()), Ok(None)));
        let canceller = Canceller::default();
        let mut frames = request.frames();
        let items: Vec<_> = (frames.blocking(&canceller).map(|item| item.err())).collect();
        assert_eq!(items, [Some(error.clone())]);
        let keyframes = runtime.block_on(recording.keyframes(time(start)..time(stop)));
        assert_eq!(keyframes, Err(error.clone()));
        let verified = runtime.block_on(recording.verify(time(start)..time(stop), |_| ()));
        assert_eq!(verified, Err(error));
    }
}

#[test]
fn keyframes_are_listed() {
    let (server, connection, runtime) = set_up();
    let keyframes = runtime.block_on(async {
        let recording = Recording::open(&connection, "b", "cam")
            .await
            .expect("an entry");
        let all = recording.keyframes(..).await.expect("keyframes");
        let some = recording
            .keyframes(time(11)..=time(40))
            .await
            .expect("keyframes");
        (all, some)
    });
    assert_eq!(keyframes.0, [0, 10, 20, 30, 40].map(time));
    assert_eq!(keyframes.1, [20, 30, 40].map(time));
    drop(server);
}

/// Returns access units in decoding order, whose every second one is shown before the one before it. Of the pictures
/// that others refer to, every fifth one is a recovery point.
fn reordered(count: usize) -> Vec<Bytes> {
    let stream = SpsSpec {
        max_num_reorder_frames: Some(1),
        ..SPS
    };
    let sets = (sps(stream), pps(0));
    let unit = |index: usize| {
        if index == 0 {
            return record(&[AUD, &sets.0, &sets.1, &slice(IDR)]);
        }
        let (pair, is_reference) = ((index - 1) / 2, index % 2 == 1);
        let (number, place) = match is_reference {
            true => (pair + 1, 2 * pair + 2),
            false => (pair + 2, 2 * pair + 1),
        };
        let slice = slice(SliceSpec {
            nal: if is_reference { 0x41 } else { 0x01 },
            frame_num: (number % 16) as u8,
            order: (2 * place % 16) as u8, // `pic_order_cnt_lsb` has 4 bits
            ..P
        });
        match is_reference && pair % 5 == 4 {
            true => record(&[AUD, &sets.0, &sets.1, &recovery_point(0), &slice]),
            false => record(&[AUD, &slice]),
        }
    };
    (0..count).map(unit).collect()
}

/// Returns the capture times and the record times of the keyframes of a recording.
async fn keyframe_times(recording: &Recording) -> Vec<(CaptureTime, CaptureTime)> {
    let frames = recording.read(..).frames().into_stream();
    let keyframes = frames.try_filter_map(async |item| Ok(frame(item).filter(|it| it.is_keyframe)));
    let times = keyframes.map_ok(|frame| (frame.capture_time, frame.record_time));
    times.try_collect().await.expect("frames")
}

#[test]
fn keyframes_are_listed_with_their_capture_times() {
    let (server, connection, runtime) = set_up();
    let units = reordered(61);
    let write = |entry: &str, time_us: u64, content: Bytes| {
        server.write("b", entry, time_us, "video/h264", &[], content);
    };
    for (index, unit) in units.iter().enumerate() {
        write("open", time(index).useconds(), unit.clone());
    }
    // Records end anywhere, and have the time of the frame that they end in.
    let ends: Vec<usize> = (units.iter())
        .scan(0, |end, unit| {
            *end += unit.len();
            Some(*end)
        })
        .collect();
    let stream = Bytes::from(units.concat());
    for begin in (0..stream.len()).step_by(101) {
        let end = stream.len().min(begin + 101);
        let last = ends.iter().position(|frame_end| end <= *frame_end);
        let time = time(last.expect("a frame"));
        write("cut", time.useconds(), stream.slice(begin..end));
    }
    let [open, cut] = ["open", "cut"].map(|entry| {
        runtime.block_on(async {
            let recording = Recording::open(&connection, "b", entry).await;
            let recording = recording.expect("an entry");
            let keyframes = recording.keyframes(..).await.expect("keyframes");
            let expected = keyframe_times(&recording).await;
            let capture_times: Vec<_> = expected.iter().map(|(capture, _)| *capture).collect();
            assert_eq!(keyframes, capture_times, "{entry}");
            assert!(expected.iter().any(|(capture, record)| capture != record));
            keyframes
        })
    });
    assert_eq!(open, [0, 10, 20, 30, 40, 50, 60].map(time));
    assert_eq!(cut.len(), open.len(), "{cut:?}");
    drop(server);
}

/// Records of one entry: their times in µs, labels `fps`, and contents.
type Records = Vec<(u64, Option<&'static str>, Bytes)>;

/// Returns records of several layouts.
fn layouts() -> Vec<(&'static str, Records)> {
    let at = |index: usize| time(index).useconds();
    let single = |units: Vec<Bytes>| -> Records {
        let records = units.into_iter().enumerate();
        records
            .map(|(index, unit)| (at(index), None, unit))
            .collect()
    };
    let groups = |groups: &[usize]| -> Records {
        let group = |first: usize| (first..first + GROUP).map(access_unit).collect::<Vec<_>>();
        let record = |first: &usize| (at(*first), Some("25"), group(*first).concat().into());
        groups.iter().map(record).collect()
    };
    let without = |mut records: Records, left_out: std::ops::Range<usize>| {
        records.drain(left_out);
        records
    };
    let mut faulty = single((0..40).map(access_unit).collect());
    faulty[13].2 = Bytes::from_static(&[0, 0, 0, 1, 0xff, 1, 2, 3]);
    faulty[20].1 = Some("fast");
    let stream = Bytes::from(reordered(61).concat());
    let parts = stream.chunks(101).enumerate();
    let parts = parts.map(|(index, part)| (at(3 * index), Some("25"), stream.slice_ref(part)));
    vec![
        ("groups", groups(&[0, 10, 20, 30])),
        ("groups with a hole", groups(&[0, 10, 20, 130, 140])),
        ("frames", single((0..40).map(access_unit).collect())),
        (
            "frames with a gap",
            without(single((0..60).map(access_unit).collect()), 23..37),
        ),
        (
            "frames without the begin",
            single((4..40).map(access_unit).collect()),
        ),
        ("faulty", faulty),
        ("reordered", single(reordered(61))),
        ("cut", parts.collect()),
    ]
}

/// Returns the items of the records of a range that are pushed into a stream, without a server.
fn pushed(
    records: &Records,
    range: (ops::Bound<CaptureTime>, ops::Bound<CaptureTime>),
) -> Vec<StreamItem> {
    let bound = |bound| match bound {
        ops::Bound::Included(time) | ops::Bound::Excluded(time) => Some(time),
        ops::Bound::Unbounded => None,
    };
    let records = records
        .iter()
        .filter(|(time, ..)| range.contains(&CaptureTime::from_useconds(*time)));
    let range = StreamRange::new(bound(range.0), bound(range.1));
    let mut stream = RecordedStream::new(StreamConfig::default(), range, StreamMemory::default());
    let mut items = Vec::new();
    for (time, frame_rate, content) in records {
        let tag = RecordTag {
            time: *time,
            frame_rate: frame_rate.map(String::from),
            keyframe: None,
        };
        stream.push(tag, vec![content.clone()]);
        items.extend(std::iter::from_fn(|| stream.pop().expect("no error")));
    }
    stream.finish();
    items.extend(std::iter::from_fn(|| stream.pop().expect("no error")));
    assert_eq!(stream.verdict(true), Ok(None));
    items
}

#[test]
fn records_make_the_same_frames_without_a_server() {
    let (server, connection, runtime) = set_up();
    for (number, (layout, records)) in layouts().iter().enumerate() {
        let entry = format!("layout-{number}");
        for (time, frame_rate, content) in records {
            let labels = frame_rate.map(|rate| ("fps", rate));
            let labels = labels.as_slice();
            server.write("b", &entry, *time, "video/h264", labels, content.clone());
        }
        let recording = runtime.block_on(Recording::open(&connection, "b", &entry));
        let recording = recording.expect("an entry");
        let mut ranges = vec![(ops::Bound::Unbounded, ops::Bound::Unbounded)];
        // Elsewhere records beside a range have parameter sets or parts of its frames.
        if !["frames without the begin", "reordered", "cut"].contains(layout) {
            ranges.push((
                ops::Bound::Included(time(10)),
                ops::Bound::Excluded(time(33)),
            ));
        }
        for range in ranges {
            let frames = recording.read(range).frames().into_stream();
            let items: Vec<Item> = runtime.block_on(frames.try_collect()).expect("items");
            let read = items.into_iter().filter_map(|item| match item {
                Item::Range(_) => None,
                Item::Format(Format::H264 { frame_rate }) => {
                    Some(StreamItem::FrameRate(frame_rate))
                }
                Item::Segment(segment) => Some(StreamItem::Segment(segment)),
                Item::Pause(hole) => Some(StreamItem::Pause(hole)),
                Item::Gap(loss) => Some(StreamItem::Gap(loss)),
                Item::Warning(text) => Some(StreamItem::Warning(text)),
                Item::Frame(frame) => Some(StreamItem::Frame(frame)),
                Item::Format(Format::Episodes) | Item::Retry(_) | Item::Episode(_) => {
                    panic!("{layout}: {item:?}")
                }
            });
            let pushed = pushed(records, range);
            assert!(pushed.len() > 4, "{layout}: {pushed:?}");
            assert_eq!(read.collect::<Vec<_>>(), pushed, "{layout}");
        }
    }
    drop(server);
}

#[test]
fn a_range_that_ends_before_a_pause_has_its_own_frames() {
    let (server, connection, runtime) = set_up();
    // Every second picture is shown before the one before it in decoding order, and an hour is between two of them.
    let pause = 21;
    let at = |index: usize| {
        let pause = if index < pause { 0 } else { 3600 };
        time(index) + Nanos::from_seconds(pause)
    };
    for (index, unit) in reordered(61).into_iter().enumerate() {
        server.write(
            "b",
            "b_frames",
            at(index).useconds(),
            "video/h264",
            &[],
            unit,
        );
    }
    let mut most = 0;
    for stop in 15..30 {
        let recording = runtime.block_on(Recording::open(&connection, "b", "b_frames"));
        let recording = recording.expect("an entry");
        let mut frames = recording.read(..at(stop)).frames();
        let canceller = Canceller::default();
        let read: Vec<Frame> = (frames.blocking(&canceller))
            .filter_map(|item| frame(item.expect("no error")))
            .filter(|frame| !frame.is_hidden)
            .collect();
        assert_eq!(read.len(), stop);
        for frame in read {
            // Places in output order are even numbers of 4 bits.
            let number = frame.unit.order.expect("an order").count / 2;
            assert_eq!(frame.capture_time, at(number as usize), "{stop}");
            assert!(!frame.is_corrupted);
        }
        let records = frames.stats().records.load(Ordering::Relaxed);
        most = most.max(records - stop as u64);
    }
    assert!(most <= 6, "{most} records beyond the stop were read");
    drop(server);
}

#[test]
fn frames_continue_where_a_seek_asks_for() {
    let (server, connection, runtime) = set_up();
    let recording = runtime.block_on(Recording::open(&connection, "b", "cam"));
    let recording = recording.expect("an entry");
    let mut frames = recording.read(..).frames();
    let canceller = Canceller::default();
    let mut next = |seek: Option<usize>| {
        if let Some(index) = seek {
            frames.seek(time(index), Begin::KeyframeBefore);
        }
        let mut items = frames.blocking(&canceller);
        items
            .find_map(|item| frame(item.expect("no error")))
            .expect("a frame")
    };
    assert_eq!(next(None).capture_time, time(0));
    assert_eq!(next(Some(37)).capture_time, time(30));
    assert_eq!(next(None).capture_time, time(31));
    let first = next(Some(5));
    assert_eq!((first.capture_time, first.pts), (time(0), Nanos::ZERO));
    drop(server);
}

#[test]
fn a_recording_is_followed_until_a_wait_is_cancelled() {
    let (server, connection, runtime) = set_up();
    let recording = runtime.block_on(Recording::open(&connection, "b", "cam"));
    let recording = recording.expect("an entry");
    let canceller = Arc::new(Canceller::default());
    let (sender, received) = mpsc::channel();
    let reader = thread::spawn({
        let canceller = canceller.clone();
        move || {
            let request = recording.read(time(40)..).follow(Duration::from_millis(10));
            let mut frames = request.frames();
            let mut end = None;
            for item in frames.blocking(&canceller) {
                match item {
                    Ok(Item::Frame(frame)) => sender.send(frame.capture_time).expect("a test"),
                    Ok(_) => {}
                    Err(error) => {
                        end = Some(error);
                        break;
                    }
                }
            }
            // A cancelled read can continue, and a follower ends with the frames that are fetched.
            canceller.reset();
            frames.stop_following();
            let rest = frames
                .blocking(&canceller)
                .filter_map(|item| frame(item.expect("no error")));
            (end, rest.count())
        }
    });
    let next = || {
        received
            .recv_timeout(Duration::from_secs(30))
            .expect("a frame")
    };
    for index in 40..49 {
        assert_eq!(next(), time(index));
    }
    write(&server, 50..52);
    for index in 49..51 {
        assert_eq!(next(), time(index));
    }
    canceller.cancel();
    let (end, rest) = reader.join().expect("no panic");
    assert_eq!(end, Some(Error::Cancelled));
    assert!(rest <= 1, "{rest}");
    drop(server);
}

#[test]
fn what_is_recorded_is_read_with_its_times() {
    let (server, connection, runtime) = set_up();
    // A camera with jitter.
    let capture_time =
        |index: usize| time(index) + Nanos::from_useconds(index as u64 * 7919 % 5000);
    let frames: Vec<Frame> = runtime.block_on(async {
        let recorder = Recorder::builder(&connection, "new", "cam");
        let recorder = recorder.on_event(|event| panic!("{event:?}"));
        let mut recorder = recorder.open().expect("names");
        for index in 0..30 {
            recorder.push_at(access_unit(index), capture_time(index));
            assert_eq!(recorder.hand_over_at_once(), 0);
        }
        assert_eq!(recorder.finish().await, Ok(Vec::new()));

        let recording = Recording::open(&connection, "new", "cam")
            .await
            .expect("an entry");
        let frames = recording.read(..).frames().into_stream();
        let frames = frames.try_filter_map(async |item| Ok(frame(item)));
        frames.try_collect().await.expect("frames")
    });
    let times: Vec<_> = frames.iter().map(|frame| frame.capture_time).collect();
    assert_eq!(times, (0..30).map(capture_time).collect::<Vec<_>>());
    drop(server);
}

/// Returns the options of a writer that retries for a long time.
fn patient() -> WriterOptions {
    WriterOptions {
        max_latency: Duration::from_millis(10),
        retries: 1000,
        ..WriterOptions::default()
    }
}

/// Opens a recorder of the entry `new/cam` on a runtime.
fn open(connection: &client::Server, runtime: &Runtime, writer: WriterOptions) -> Recorder {
    let _entered = runtime.enter();
    let recorder = Recorder::builder(connection, "new", "cam").options(RecorderOptions {
        writer,
        ..RecorderOptions::default()
    });
    recorder.open().expect("names")
}

/// Returns a recorder with ten frames that are written, and ten more that cannot be, as the server is away.
fn recorder_without_server(
    server: &Server,
    connection: &client::Server,
    runtime: &Runtime,
    writer: WriterOptions,
) -> Recorder {
    let mut recorder = open(connection, runtime, writer);
    let record = |recorder: &mut Recorder, frames: std::ops::Range<usize>| {
        for index in frames {
            recorder.push_at(access_unit(index), time(index));
        }
        recorder.end();
        assert_eq!(recorder.hand_over_at_once(), 0);
    };
    record(&mut recorder, 0..10);
    assert_eq!(runtime.block_on(recorder.finish()), Ok(Vec::new()));
    server.kill();
    record(&mut recorder, 10..20);
    recorder
}

#[test]
fn the_end_of_a_recording_reports_frames_that_were_dropped() {
    let (server, connection, runtime) = set_up();
    let writer = WriterOptions {
        queue_bytes: 1,
        ..patient()
    };
    let mut recorder = open(&connection, &runtime, writer);
    recorder.push_at(access_unit(0), time(0));
    assert_eq!(runtime.block_on(recorder.finish()), Ok(Vec::new()));
    server.kill();
    let mut reported = None;
    for index in 1..200 {
        recorder.push_at(access_unit(index), time(index));
        let handed_over = recorder.hand_over(Overflow::DropGroups, &Canceller::default());
        assert_eq!(handed_over, Ok(()));
        if index == 100 {
            reported = recorder.take_dropped(false);
        }
    }
    // Those that were reported are not reported again.
    let reported = reported.expect("a full queue");
    server.restart();
    let notices = runtime.block_on(recorder.finish()).expect("all is written");
    let [notice @ Notice::Dropped(dropped)] = &notices[..] else {
        panic!("{notices:?}");
    };
    let written = record_times(&server);
    assert!(reported.frames > 0 && dropped.frames > 0, "{notices:?}");
    let frames = written.len() as u64 + reported.frames + dropped.frames;
    assert_eq!(frames, 200, "{written:?}, {reported:?}, {dropped:?}");
    let text = notice.to_string();
    assert!(text.contains("the upload queue was full"), "{text}");
    assert_eq!(runtime.block_on(recorder.finish()), Ok(Vec::new()));
}

#[test]
fn the_error_of_a_recording_says_why() {
    let (server, connection, runtime) = set_up();
    let writer = WriterOptions {
        create_bucket: false,
        ..patient()
    };
    let mut recorder = open(&connection, &runtime, writer);
    recorder.push_at(access_unit(0), time(0));
    let error: Box<dyn std::error::Error> = runtime
        .block_on(recorder.finish())
        .expect_err("no bucket")
        .into();
    let source = error.source().expect("a cause").to_string();
    for part in ["has no 'new/cam'", "Bucket 'new' is not found", "1 records"] {
        assert!(source.contains(part), "{source}");
    }
    drop(server);
}

/// Waits until no task of a runtime is left.
fn await_idle(runtime: &Runtime) {
    await_that("all tasks end", || runtime.metrics().num_alive_tasks() == 0);
}

fn record_times(server: &Server) -> Vec<u64> {
    let records = server.read("new", "cam");
    records.iter().map(|record| record.time_us).collect()
}

#[test]
fn a_recorder_that_is_dropped_ends_its_work() {
    let (server, connection, runtime) = set_up();
    let recorder = recorder_without_server(&server, &connection, &runtime, patient());
    assert!(runtime.metrics().num_alive_tasks() > 0);
    drop(recorder);
    await_idle(&runtime);
    server.restart();
    let expected: Vec<u64> = (0..10).map(|index| time(index).useconds()).collect();
    assert_eq!(record_times(&server), expected);
}

#[test]
fn a_recorder_that_is_detached_writes_the_rest() {
    let (server, connection, runtime) = set_up();
    let recorder = recorder_without_server(&server, &connection, &runtime, patient());
    drop(recorder.detach());
    server.restart();
    await_idle(&runtime);
    let expected: Vec<u64> = (0..20).map(|index| time(index).useconds()).collect();
    assert_eq!(record_times(&server), expected);
}

#[test]
fn a_recorder_continues_after_a_detached_one() {
    let (server, connection, runtime) = set_up();
    let recorder = recorder_without_server(&server, &connection, &runtime, patient());
    let detached = recorder.detach();
    let mut next = {
        let _entered = runtime.enter();
        let recorder = Recorder::builder(&connection, "new", "cam").after(detached);
        // Both together would be two writers, which is an error.
        let recorder = recorder.on_event(|event| match event {
            WriterEvent::Failed(failure) => panic!("{failure}"),
            event => eprintln!("{event}"),
        });
        recorder.open().expect("names")
    };
    next.push_at(access_unit(20), time(20));
    assert_eq!(next.hand_over_at_once(), 0);
    server.restart();
    assert_eq!(runtime.block_on(next.finish()), Ok(Vec::new()));
    let expected: Vec<u64> = (0..=20).map(|index| time(index).useconds()).collect();
    assert_eq!(record_times(&server), expected);
    assert_eq!(next.stats().frames.load(Ordering::Relaxed), 1);
}

#[test]
fn a_spool_keeps_the_frames_of_a_recorder_that_is_dropped() {
    let (server, connection, runtime) = set_up();
    let folder = tempfile::tempdir().expect("a folder");
    let writer = WriterOptions {
        spool: Some(SpoolOptions {
            folder: folder.path().into(),
            sync: SpoolSync::None,
        }),
        ..patient()
    };
    let recorder = recorder_without_server(&server, &connection, &runtime, writer.clone());
    drop(recorder);
    await_idle(&runtime);
    server.restart();
    let mut next = open(&connection, &runtime, writer);
    next.push_at(access_unit(20), time(20));
    assert_eq!(runtime.block_on(next.finish()), Ok(Vec::new()));
    let expected: Vec<u64> = (0..=20).map(|index| time(index).useconds()).collect();
    assert_eq!(record_times(&server), expected);
}

#[test]
fn frames_that_are_dropped_end_their_requests() {
    let (server, connection, runtime) = set_up();
    let recording = runtime.block_on(Recording::open(&connection, "b", "cam"));
    let recording = recording.expect("an entry");
    let opened = runtime.metrics().num_alive_tasks();
    // With another limit, the frames have connections of their own.
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let request = recording.read(time(0)..).limits(limits);
    let mut frames = request.follow(Duration::from_millis(10)).frames();
    let canceller = Canceller::default();
    for _ in 0..20 {
        let item = frames.blocking(&canceller).next().expect("an item");
        item.expect("no error");
    }
    assert!(runtime.metrics().num_alive_tasks() > opened);
    // A server that does not answer holds up nothing.
    server.freeze();
    drop(frames);
    await_that("the requests end", || {
        runtime.metrics().num_alive_tasks() <= opened
    });
    server.thaw();

    let mut frames = recording.read(time(0)..).frames();
    let item = frames.blocking(&canceller).next().expect("an item");
    item.expect("no error");
    drop((frames, recording));
    await_idle(&runtime); // The connections end with the recording.
}

#[test]
fn files_are_episodes() {
    let (server, connection, runtime) = set_up();
    let no_file = Bytes::from_static(b"no MP4 file");
    server.write("b", "files", START, "video/mp4", &[], no_file);
    let error = runtime.block_on(async {
        let recording = Recording::open(&connection, "b", "files")
            .await
            .expect("an entry");
        assert_eq!(recording.content(), Some(ContentKind::Episode));
        let mut frames = recording.read(..).frames();
        loop {
            match frames.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("an export of nothing is no success"),
                Err(error) => break error,
            }
        }
    });
    assert!(matches!(error, Error::Undecodable(_)), "{error:?}");
    assert!(error.to_string().contains("no MP4 file"), "{error}");
    drop(server);
}
