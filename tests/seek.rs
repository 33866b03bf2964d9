// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductsrc` as the source of a player: seeks, and what it answers to queries.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::line;
use common::mp4;
use common::pipeline::{Pipeline, own, stat};
use common::proxy::{Fate, Kind, Proxy};
use common::recording::{LAYOUTS, Layout, Recording, laid_out_as};
use common::server::Server;
use common::stream::{Stream, StreamSpec, is_idr};
use common::{SERVER, await_that};
use gst::prelude::*;

const FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(100);
const SEEKS: usize = 200;

/// Entry `e` of a bucket before a sink.
struct Player {
    pipeline: Pipeline,
    /// Samples that the sink got since the last flush, the preroll sample twice.
    got: Arc<Mutex<Vec<gst::Sample>>>,
    has_ended: Arc<AtomicBool>,
}

impl Player {
    /// `reductsrc name=source`, further properties and elements, and a sink, paused.
    fn new(bucket: &str, rest: &str) -> Self {
        let player = Self::stopped(bucket, rest);
        player.set_state(gst::State::Paused);
        player
    }

    fn stopped(bucket: &str, rest: &str) -> Self {
        Self::before(&SERVER.url(), bucket, rest)
    }

    fn before(url: &str, bucket: &str, rest: &str) -> Self {
        let pipeline = Pipeline::launch(&format!(
            "reductsrc name=source url={url} bucket={bucket} entry=e {rest} \
             ! appsink name=out sync=false"
        ));
        let sink: gst_app::AppSink = pipeline.element("out").downcast().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let keep = |got: &Mutex<Vec<_>>, sample: Result<_, _>| {
            let sample: gst::Sample = sample.map_err(|_| gst::FlowError::Flushing)?;
            got.lock().unwrap().push(own(&sample));
            Ok(gst::FlowSuccess::Ok)
        };
        let (prerolls, samples) = (got.clone(), got.clone());
        sink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_preroll(move |sink| keep(&prerolls, sink.pull_preroll()))
                .new_sample(move |sink| keep(&samples, sink.pull_sample()))
                .build(),
        );
        let has_ended = Arc::new(AtomicBool::new(false));
        let (flushed, ended) = (got.clone(), has_ended.clone());
        let events = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::EVENT_FLUSH;
        let pad = sink.static_pad("sink").unwrap();
        pad.add_probe(events, move |_, info| {
            match info.event().map(|event| event.type_()) {
                Some(gst::EventType::FlushStop) => {
                    flushed.lock().unwrap().clear();
                    ended.store(false, Ordering::SeqCst);
                }
                Some(gst::EventType::Eos) => ended.store(true, Ordering::SeqCst),
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
        Self {
            pipeline,
            got,
            has_ended,
        }
    }

    /// Goes to a state, as far as that is known at once or after the preroll.
    fn set_state(&self, state: gst::State) {
        self.pipeline.set_state(state).unwrap();
        let (result, ..) = self.pipeline.state(gst::ClockTime::from_seconds(10));
        assert_eq!(result, Ok(gst::StateChangeSuccess::Success));
    }

    /// Seeks and returns the first sample, or `None` at EOS.
    #[track_caller]
    fn seek(&self, flags: gst::SeekFlags, time: gst::ClockTime) -> Option<gst::Sample> {
        self.pipeline
            .seek_simple(gst::SeekFlags::FLUSH | flags, time)
            .unwrap_or_else(|err| panic!("to {time}: {err}"));
        self.first()
    }

    /// Seeks to a range.
    #[track_caller]
    fn seek_to(&self, flags: gst::SeekFlags, from: gst::ClockTime, until: gst::ClockTime) {
        let set = gst::SeekType::Set;
        let flags = gst::SeekFlags::FLUSH | flags;
        let event = gst::event::Seek::new(1.0, flags, set, from, set, until);
        assert!(self.pipeline.send_event(event));
    }

    fn first(&self) -> Option<gst::Sample> {
        let first = || self.got.lock().unwrap().first().cloned();
        let has_ended = || self.has_ended.load(Ordering::SeqCst);
        await_that("a buffer or the end", || first().is_some() || has_ended());
        first()
    }

    fn source(&self) -> gst::Element {
        self.pipeline.element("source")
    }

    /// Everything from here on to the end.
    fn rest(&self) -> Vec<gst::Sample> {
        self.pipeline.play();
        self.pipeline.wait_for_end();
        let mut got = std::mem::take(&mut *self.got.lock().unwrap());
        got.dedup_by_key(|sample| sample.buffer().and_then(|buffer| buffer.pts()));
        got
    }
}

/// Time of a frame of a recording without holes.
fn time(frame: usize) -> gst::ClockTime {
    FRAME * frame as u64
}

/// The frame of which a buffer has the bytes, perhaps with parameter sets before them.
#[track_caller]
fn frame_of(stream: &Stream, sample: &gst::Sample) -> usize {
    let buffer = sample.buffer().unwrap().map_readable().unwrap();
    let frame = (stream.units.iter()).position(|unit| buffer.ends_with(unit));
    frame.expect("a frame of the stream")
}

/// Any times in the recording, in ns.
fn times(frames: usize) -> impl Iterator<Item = gst::ClockTime> {
    let mut random = fastrand::Rng::with_seed(7);
    let end = time(frames).nseconds();
    (0..SEEKS).map(move |_| gst::ClockTime::from_nseconds(random.u64(0..end)))
}

/// After each of many seeks the first picture out of a decoder is the first one that was not captured
/// before that time.
fn accurate_seeks_are_exact(stream: &Stream, layout: Layout) {
    let bucket = line::record(&laid_out_as(layout), stream);
    let pictures = mp4::stream_checksums(stream);
    let player = Player::new(&bucket, "! avdec_h264 ! video/x-raw,format=I420");
    for time in times(pictures.len()) {
        let flags = gst::SeekFlags::ACCURATE;
        let shown = player.seek(flags, time);
        let shown = shown.as_ref().map(mp4::checksum);
        let frame = time.nseconds().div_ceil(FRAME.nseconds()) as usize;
        assert_eq!(shown.as_ref(), pictures.get(frame), "{time} {layout:?}");
    }
}

#[test]
fn accurate_seeks() {
    accurate_seeks_are_exact(&Stream::example(), Layout::AccessUnit);
}

#[test]
fn accurate_seeks_in_groups() {
    accurate_seeks_are_exact(&Stream::example(), Layout::Gop);
}

#[test]
fn accurate_seeks_among_b_frames() {
    accurate_seeks_are_exact(&Stream::with_b_frames(), Layout::AccessUnit);
}

#[test]
fn accurate_seeks_among_b_frames_in_other_records() {
    for layout in [Layout::Gops(2), Layout::AccessUnits(3), Layout::Nal] {
        accurate_seeks_are_exact(&Stream::with_b_frames(), layout);
    }
}

/// After each of many seeks the first buffer is the keyframe that `expected` gives for a time in
/// frames, among those keyframes.
fn snaps_to(flags: gst::SeekFlags, expected: impl Fn(f64, &[usize]) -> Option<usize>) {
    let stream = Stream::with_b_frames();
    let keyframes: Vec<_> = (0..stream.units.len())
        .filter(|frame| is_idr(&stream.units[*frame]))
        .collect();
    for layout in LAYOUTS {
        let bucket = line::record(&laid_out_as(layout), &stream);
        let player = Player::new(&bucket, "");
        for time in times(stream.units.len()) {
            let frames = time.nseconds() as f64 / FRAME.nseconds() as f64;
            let sample = player.seek(gst::SeekFlags::KEY_UNIT | flags, time);
            let found = sample.as_ref().map(|sample| frame_of(&stream, sample));
            assert_eq!(found, expected(frames, &keyframes), "{time} {layout:?}");
            let Some(sample) = sample else { continue };
            let segment = sample.segment().unwrap();
            let segment = segment.downcast_ref::<gst::ClockTime>().unwrap();
            let pts = sample.buffer().unwrap().pts();
            assert_eq!(segment.start(), pts);
            // The NAL units of a picture are 1 µs apart.
            let off = segment.to_stream_time(pts).unwrap();
            let off = off
                .nseconds()
                .abs_diff(self::time(found.unwrap()).nseconds());
            assert!(off < 10_000, "{off} ns");
            assert_eq!(segment.to_running_time(pts), Some(gst::ClockTime::ZERO));
        }
    }
}

fn before(time: f64, keyframes: &[usize]) -> Option<usize> {
    keyframes
        .iter()
        .copied()
        .rfind(|keyframe| *keyframe as f64 <= time)
}

fn after(time: f64, keyframes: &[usize]) -> Option<usize> {
    keyframes
        .iter()
        .copied()
        .find(|keyframe| *keyframe as f64 >= time)
}

#[test]
fn key_unit_seeks_go_to_the_keyframe_before() {
    snaps_to(gst::SeekFlags::empty(), before);
}

#[test]
fn key_unit_seeks_snap_before() {
    snaps_to(gst::SeekFlags::SNAP_BEFORE, before);
}

#[test]
fn key_unit_seeks_snap_after() {
    snaps_to(gst::SeekFlags::SNAP_AFTER, after);
}

#[test]
fn key_unit_seeks_snap_to_the_nearest() {
    snaps_to(gst::SeekFlags::SNAP_NEAREST, |time, keyframes| {
        let (before, after) = (before(time, keyframes), after(time, keyframes));
        let distance = |keyframe: usize| (keyframe as f64 - time).abs();
        match (before, after) {
            (Some(before), Some(after)) if distance(after) < distance(before) => Some(after),
            (before, after) => before.or(after),
        }
    });
}

#[test]
fn a_seek_with_a_stop_shows_what_is_before_it() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        let pictures = mp4::stream_checksums(&stream);
        for layout in [Layout::AccessUnit, Layout::Gop, Layout::AccessUnits(3)] {
            let bucket = line::record(&laid_out_as(layout), &stream);
            let player = Player::new(&bucket, "! avdec_h264 ! video/x-raw,format=I420");
            for (from, until) in [(0, 5), (13, 27), (10, 20), (19, 20), (55, 60), (58, 90)] {
                player.set_state(gst::State::Paused);
                player.seek_to(gst::SeekFlags::ACCURATE, time(from), time(until));
                let shown: Vec<_> = player.rest().iter().map(mp4::checksum).collect();
                let expected = &pictures[from..until.min(pictures.len())];
                assert_eq!(shown, expected, "{from} to {until}, {layout:?}");
            }
        }
    }
}

/// Stream and running time of a sample, in ms.
fn times_ms(sample: &gst::Sample) -> (u64, u64) {
    let segment = sample.segment().unwrap();
    let segment = segment.downcast_ref::<gst::ClockTime>().unwrap();
    let pts = sample.buffer().unwrap().pts();
    let running = segment.to_running_time(pts).unwrap();
    (
        segment.to_stream_time(pts).unwrap().mseconds(),
        running.mseconds(),
    )
}

#[test]
fn queries_are_answered() {
    let stream = Stream::example();
    for layout in [Layout::AccessUnit, Layout::Gop] {
        let recording = laid_out_as(layout);
        let bucket = line::record(&recording, &stream);
        let (start, stop) = (
            recording.frame_us(10, stream.fps),
            recording.frame_us(30, stream.fps),
        );
        for (range, frames) in [
            (String::new(), 60),
            (format!("start={start} stop={stop}"), 20),
            (format!("stop={}", stop + 3_600_000_000), 60),
        ] {
            let player = Player::stopped(&bucket, &range);
            let source = player.source();
            assert_eq!(source.query_duration::<gst::ClockTime>(), None);
            player.set_state(gst::State::Paused);
            assert_eq!(
                source.query_duration(),
                Some(time(frames)),
                "{range} {layout:?}"
            );
            // The end of what it has pushed.
            assert_eq!(source.query_position(), Some(time(1)));

            let mut seeking = gst::query::Seeking::new(gst::Format::Time);
            assert!(source.query(&mut seeking));
            let (seekable, from, to) = seeking.result();
            assert!(seekable);
            assert_eq!((from, to), (time(0).into(), time(frames).into()));

            player
                .seek(gst::SeekFlags::ACCURATE, time(7) + FRAME / 2)
                .unwrap();
            assert_eq!(source.query_position(), Some(time(9)));
        }
        let player = Player::new(&bucket, "");
        let mut scheduling = gst::query::Scheduling::new();
        assert!(player.source().query(&mut scheduling));
        assert!(scheduling.has_scheduling_mode(gst::PadMode::Push));
        let flags = scheduling.result().0;
        assert!(flags.contains(gst::SchedulingFlags::BANDWIDTH_LIMITED));
        let mut uri = gst::query::Uri::new();
        assert!(player.source().query(&mut uri));
        assert!(uri.uri().unwrap().ends_with(&format!("/{bucket}/e")));
        let mut latency = gst::query::Latency::new();
        assert!(player.source().query(&mut latency));
        assert!(!latency.result().0, "not live");
    }
}

#[test]
fn unsupported_seeks_are_refused() {
    let stream = Stream::example();
    let bucket = line::record(&laid_out_as(Layout::AccessUnit), &stream);
    let player = Player::new(&bucket, "");
    let set = gst::SeekType::Set;
    let flush = gst::SeekFlags::FLUSH;
    let none = gst::ClockTime::NONE;
    let refused = [
        gst::event::Seek::new(1.0, flush, set, time(61), gst::SeekType::None, none),
        gst::event::Seek::new(-1.0, flush, set, time(0), set, time(10)),
        gst::event::Seek::new(
            1.0,
            flush,
            set,
            gst::format::Bytes::from_u64(5),
            gst::SeekType::None,
            gst::format::Bytes::NONE,
        ),
    ];
    for event in refused {
        assert!(!player.pipeline.send_event(event.clone()), "{event:?}");
    }
    // It works on.
    assert_eq!(player.rest().len(), 60);

    let player = Player::new(&bucket, r#"when="{\"$limit\":20}""#);
    let mut seeking = gst::query::Seeking::new(gst::Format::Time);
    assert!(player.source().query(&mut seeking));
    assert!(!seeking.result().0, "other records would be chosen");
    assert!(player.pipeline.seek_simple(flush, time(5)).is_err());
    assert_eq!(player.rest().len(), 20);
}

#[test]
fn a_seek_into_a_hole_shows_the_frame_behind_it() {
    let stream = Stream::example();
    for (hole, first) in [(30, 30), (33, 40)] {
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let recording = Recording {
                holes: vec![(hole, 10_000_000)],
                ..laid_out_as(layout)
            };
            let bucket = line::record(&recording, &stream);
            let player = Player::new(&bucket, "");
            for flags in [
                gst::SeekFlags::KEY_UNIT,
                gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_AFTER,
                gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_NEAREST,
            ] {
                let sample = player.seek(flags, time(80)).unwrap();
                assert_eq!(
                    frame_of(&stream, &sample),
                    first,
                    "{hole} {layout:?} {flags:?}"
                );
                assert_eq!(times_ms(&sample), (10_000 + first as u64 * 100, 0));
            }
            let player = Player::new(&bucket, "! avdec_h264 ! video/x-raw,format=I420");
            let sample = player.seek(gst::SeekFlags::ACCURATE, time(80)).unwrap();
            // A decoder does what it can with the rest of a group.
            assert_eq!(times_ms(&sample), (10_000 + hole as u64 * 100, 0));
        }
    }
}

#[test]
fn segments_follow_each_other() {
    let stream = Stream::example();
    let bucket = line::record(&laid_out_as(Layout::AccessUnit), &stream);
    let player = Player::new(&bucket, "");
    let mut messages = Vec::new();
    for (flags, from, until) in [
        (gst::SeekFlags::FLUSH, 10, 20),
        (gst::SeekFlags::empty(), 40, 55),
        (gst::SeekFlags::empty(), 0, 10),
    ] {
        let flags = flags | gst::SeekFlags::SEGMENT | gst::SeekFlags::ACCURATE;
        let set = gst::SeekType::Set;
        let event = gst::event::Seek::new(1.0, flags, set, time(from), set, time(until));
        assert!(player.pipeline.send_event(event));
        player.pipeline.play();
        player.pipeline.wait(&mut messages, |message| {
            message.type_() == gst::MessageType::SegmentDone
        });
    }
    let mut got = std::mem::take(&mut *player.got.lock().unwrap());
    got.dedup_by_key(|sample| sample.buffer().and_then(|buffer| buffer.pts()));
    let times: Vec<_> = got.iter().map(times_ms).collect();
    let frames = (10..20).chain(40..55).chain(0..10);
    let expected = frames.enumerate();
    let expected = expected.map(|(index, frame)| (frame * 100, index as u64 * 100));
    assert_eq!(times, expected.collect::<Vec<_>>());
}

/// Records an access unit a record, with a label that says which are keyframes.
fn labelled(stream: &Stream) -> String {
    let mut laid = laid_out_as(Layout::AccessUnit).lay(stream);
    for laid in &mut laid {
        let keyframe = is_idr(&stream.units[laid.frames.start]).to_string();
        laid.record.labels.push(("keyframe".into(), keyframe));
    }
    line::write(&laid)
}

#[test]
fn labels_locate_keyframes() {
    let stream = Stream::with_b_frames();
    let player = Player::new(&labelled(&stream), "");
    for time in times(stream.units.len()).take(50) {
        let sample = player.seek(gst::SeekFlags::KEY_UNIT, time).unwrap();
        let keyframe = time.nseconds() / (10 * FRAME.nseconds()) * 10;
        assert_eq!(frame_of(&stream, &sample) as u64, keyframe, "{time}");
    }
}

#[test]
fn fast_forward_shows_keyframes() {
    let stream = Stream::with_b_frames();
    for (bucket, is_labelled) in [
        (labelled(&stream), true),
        (
            line::record(&laid_out_as(Layout::AccessUnit), &stream),
            false,
        ),
        (line::record(&laid_out_as(Layout::Gop), &stream), false),
    ] {
        let player = Player::new(&bucket, "");
        let records = stat(&player.source(), "records");
        let flags = gst::SeekFlags::FLUSH
            | gst::SeekFlags::KEY_UNIT
            | gst::SeekFlags::TRICKMODE
            | gst::SeekFlags::TRICKMODE_KEY_UNITS;
        let set = gst::SeekType::Set;
        let none = gst::ClockTime::NONE;
        let end = gst::SeekType::None;
        let event = gst::event::Seek::new(8.0, flags, set, time(15), end, none);
        assert!(player.pipeline.send_event(event));
        let shown = player.rest();
        let frames: Vec<_> = shown
            .iter()
            .map(|sample| frame_of(&stream, sample))
            .collect();
        assert_eq!(frames, [10, 20, 30, 40, 50]);
        let times: Vec<_> = shown.iter().map(times_ms).collect();
        let expected = [
            (1000, 0),
            (2000, 125),
            (3000, 250),
            (4000, 375),
            (5000, 500),
        ];
        assert_eq!(times, expected);
        if is_labelled {
            let read = stat(&player.source(), "records") - records;
            assert!(read <= 6, "{read} records for five keyframes");
        }
    }
}

#[test]
fn backwards_it_shows_keyframes() {
    let stream = Stream::with_b_frames();
    let from_the_epoch_on = Recording {
        start_us: 0,
        ..laid_out_as(Layout::AccessUnit)
    };
    for bucket in [
        labelled(&stream),
        line::record(&laid_out_as(Layout::AccessUnit), &stream),
        line::record(&laid_out_as(Layout::Gop), &stream),
        line::record(&laid_out_as(Layout::Gops(2)), &stream),
        line::record(&laid_out_as(Layout::Nal), &stream),
        line::record(&from_the_epoch_on, &stream),
    ] {
        let player = Player::new(&bucket, "");
        for (from, until, expected) in [
            (time(0), Some(time(60)), vec![50, 40, 30, 20, 10, 0]),
            (time(0), None, vec![50, 40, 30, 20, 10, 0]),
            (time(15), Some(time(45)), vec![40, 30, 20]),
            (time(31), Some(time(39)), vec![]),
        ] {
            player.set_state(gst::State::Paused);
            let flags = gst::SeekFlags::FLUSH
                | gst::SeekFlags::TRICKMODE
                | gst::SeekFlags::TRICKMODE_KEY_UNITS;
            let set = gst::SeekType::Set;
            let end = until.map_or(gst::SeekType::None, |_| set);
            let event = gst::event::Seek::new(-4.0, flags, set, from, end, until);
            assert!(player.pipeline.send_event(event));
            let shown = player.rest();
            let frames: Vec<_> = shown
                .iter()
                .map(|sample| frame_of(&stream, sample))
                .collect();
            assert_eq!(frames, expected, "{from} {until:?}");
            let until = until.unwrap_or(time(60));
            for sample in &shown {
                let stream_time = time(frame_of(&stream, sample));
                let expected = (until - stream_time).mseconds() / 4;
                let (shown_at, running) = times_ms(sample);
                assert!(shown_at.abs_diff(stream_time.mseconds()) <= 1);
                assert!(running.abs_diff(expected) <= 1, "{running} {expected}");
            }
        }
    }
}

#[test]
fn a_seek_before_it_plays_is_where_it_begins() {
    let stream = Stream::example();
    let bucket = line::record(&laid_out_as(Layout::Gop), &stream);
    let player = Player::stopped(&bucket, "");
    player.pipeline.set_state(gst::State::Ready).unwrap();
    let set = gst::SeekType::Set;
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
    let none = gst::ClockTime::NONE;
    let event = gst::event::Seek::new(1.0, flags, set, time(25), gst::SeekType::None, none);
    assert!(player.source().send_event(event));
    player.set_state(gst::State::Paused);
    let sample = player.first().unwrap();
    assert_eq!(frame_of(&stream, &sample), 20);
    assert_eq!(times_ms(&sample), (2000, 0));
}

#[test]
fn events_after_a_seek_have_its_seqnum() {
    let stream = Stream::example();
    let recording = Recording {
        holes: vec![(30, 10_000_000)],
        ..laid_out_as(Layout::AccessUnit)
    };
    let bucket = line::record(&recording, &stream);
    let player = Player::new(&bucket, "");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    let pad = player.source().static_pad("src").unwrap();
    let events = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::EVENT_FLUSH;
    pad.add_probe(events, move |_, info| {
        if let Some(event) = info.event() {
            keep.lock().unwrap().push((event.type_(), event.seqnum()));
        }
        gst::PadProbeReturn::Ok
    });
    let set = gst::SeekType::Set;
    let flags = gst::SeekFlags::FLUSH;
    let none = gst::ClockTime::NONE;
    let event = gst::event::Seek::new(1.0, flags, set, time(25), gst::SeekType::None, none);
    let seqnum = event.seqnum();
    assert!(player.pipeline.send_event(event));
    player.rest();
    let seen = seen.lock().unwrap();
    let types: Vec<_> = seen.iter().map(|(event, _)| *event).collect();
    let expected = [
        gst::EventType::FlushStart,
        gst::EventType::FlushStop,
        gst::EventType::Segment,
        gst::EventType::Segment,
        gst::EventType::Eos,
    ];
    assert_eq!(types, expected);
    assert!(seen.iter().all(|(_, number)| *number == seqnum), "{seen:?}");
}

/// Queries that a seek takes.
fn queries(player: &Player, proxy: &Proxy, time: gst::ClockTime) -> usize {
    let before = proxy.count(Kind::Query);
    player.seek(gst::SeekFlags::KEY_UNIT, time).unwrap();
    proxy.count(Kind::Query) - before
}

#[test]
fn known_keyframes_are_not_looked_for() {
    let stream = Stream::make(StreamSpec {
        frames: 600,
        ..Default::default()
    });
    let bucket = line::record(&laid_out_as(Layout::AccessUnit), &stream);
    let proxy = Proxy::start(&SERVER, |_, _| Fate::Pass);
    let player = Player::before(&proxy.url(), &bucket, "");
    player.set_state(gst::State::Paused);
    // So little is left there that one query reads all of it.
    let unknown = queries(&player, &proxy, time(595));
    let known = [593, 591, 594, 592].map(|frame| queries(&player, &proxy, time(frame)));
    assert!(
        known.iter().all(|known| *known < unknown),
        "{known:?} after {unknown}"
    );
}

#[test]
fn a_seek_waits_for_a_server_that_is_away() {
    let stream = Stream::example();
    let server = Server::start();
    server.create_bucket("b");
    laid_out_as(Layout::AccessUnit).write(&server, "b", "e", &stream);
    let player = Player::before(&server.url(), "b", "retries=100");
    player.set_state(gst::State::Paused);
    server.kill();
    player
        .pipeline
        .seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT, time(35))
        .unwrap();
    let mut messages = Vec::new();
    player.pipeline.wait(&mut messages, |message| {
        message.type_() == gst::MessageType::Warning
    });
    server.restart();
    assert_eq!(frame_of(&stream, &player.first().unwrap()), 30);
}

#[test]
fn the_last_group_lasts_as_long_as_its_frames() {
    // A frame a second, and 25 by the label.
    let stream = Stream::make(StreamSpec {
        fps: (1, 1),
        ..Default::default()
    });
    let recording = Recording {
        labels: &[("fps", "25")],
        ..Default::default()
    };
    let bucket = line::record(&recording, &stream);
    let player = Player::stopped(&bucket, "");
    player.set_state(gst::State::Paused);
    let duration = player.source().query_duration::<gst::ClockTime>();
    assert_eq!(duration, Some(gst::ClockTime::from_seconds(60)));
}
