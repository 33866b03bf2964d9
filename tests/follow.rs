// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `follow=true`: `reductsrc` as a live source, while the recording is being written.

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::line::{Line, Read, Reading};
use common::long;
use common::pipeline::{Pipeline, capture_us, stat};
use common::proxy::{Fate, Kind, Proxy};
use common::recording::{LAYOUTS, Laid, Layout, Recording, capture_times_us};
use common::server::Server;
use common::stream::Stream;
use common::{SERVER, await_that};
use gst::prelude::*;

/// Time limit from an EOS event to the end, on a busy machine. Attempts would take longer.
const EOS_LIMIT: Duration = Duration::from_secs(5);

/// One access unit a record.
fn recording() -> Recording {
    Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    }
}

/// Capture time of a frame in a recording without holes.
fn at(frame: usize) -> u64 {
    recording().frame_us(frame, (10, 1))
}

/// Writes records as a camera does.
fn write(server: &Server, bucket: &str, laid: &[Laid]) {
    for laid in laid {
        server.write_all(bucket, "e", [&laid.record]);
    }
}

/// A source that follows entry `e` of a bucket.
struct Follower(Reading);

impl Follower {
    fn new(url: &str, bucket: &str, properties: &str) -> Self {
        let follower = Self(Reading::new(
            url,
            bucket,
            &format!("follow=true {properties}"),
        ));
        follower.0.pipeline.play();
        follower
    }

    /// One that follows from the oldest record on.
    fn of(bucket: &str) -> Self {
        Self::new(&SERVER.url(), bucket, "start=0")
    }

    fn pipeline(&self) -> &Pipeline {
        &self.0.pipeline
    }

    fn source(&self) -> gst::Element {
        self.pipeline().element("source")
    }

    fn await_stat(&self, name: &str, value: u64) {
        let source = self.source();
        await_that(&format!("{name} does not get {value}"), || {
            stat(&source, name) >= value
        });
    }

    /// Ends it with what it has.
    fn end(self) -> Read {
        assert!(self.pipeline().send_event(gst::event::Eos::new()));
        self.0.finish().clean()
    }
}

#[test]
fn an_entry_that_is_being_deleted_is_waited_for() {
    let server = Server::start();
    server.create_bucket_without("b", "e");
    let follower = Follower::new(&server.url(), "b", "start=0");
    let is_gone = || !server.entries("b").contains(&"e".to_owned());
    await_that("the entry stays", is_gone);
    let stream = Stream::example();
    let laid = recording().lay(&stream);
    write(&server, "b", &laid);
    // The end leaves out records that are not fetched.
    follower.await_stat("records", laid.len() as u64);
    let read = follower.end();
    assert_eq!(read.units(), stream.units);
    assert_eq!(read.stat("evicted"), 0);
}

fn captures(read: &Read) -> Vec<u64> {
    let capture = |buffer: &gst::Buffer| capture_us(buffer).expect("a capture time");
    read.buffers.iter().map(capture).collect()
}

/// Waits until a source asks for new records.
fn await_polls(proxy: &Proxy) {
    let before = proxy.count(Kind::Other);
    await_that("nothing is asked", || proxy.count(Kind::Other) > before + 4);
}

#[test]
fn each_frame_that_is_written_comes_once_and_in_order() {
    for stream in [Stream::example(), Stream::with_b_frames()] {
        for layout in LAYOUTS {
            let recording = Recording {
                layout,
                ..Default::default()
            };
            let laid = recording.lay(&stream);
            let (before, after) = laid.split_at(laid.len() / 2);
            let bucket = SERVER.new_bucket();
            write(&SERVER, &bucket, before);
            let follower = Follower::of(&bucket);
            write(&SERVER, &bucket, after);
            follower.await_stat("records", laid.len() as u64);
            let read = follower.end();

            assert!(read.units() == stream.units, "{layout:?}");
            let mut captured = captures(&read);
            captured.sort_unstable(); // In output order.
            assert_eq!(captured, capture_times_us(&laid, stream.fps), "{layout:?}");
            assert_eq!(read.stat("gaps"), 0);
            assert_eq!(read.warnings(), [""; 0]);
        }
    }
}

#[test]
fn a_frame_does_not_wait_for_the_next_one() {
    let laid = recording().lay(&Stream::example());
    let bucket = SERVER.new_bucket();
    let follower = Follower::of(&bucket);
    // With the third record it is known that each is a whole access unit.
    write(&SERVER, &bucket, &laid[..2]);
    for (count, laid) in (3..).zip(&laid[2..20]) {
        write(&SERVER, &bucket, std::slice::from_ref(laid));
        follower.await_stat("access-units", count);
    }
    assert_eq!(follower.end().buffers.len(), 20);
}

#[test]
fn without_a_start_it_begins_with_what_is_written_from_now_on() {
    let stream = Stream::example();
    let laid = recording().lay(&stream);
    for (mode, first) in [("keyframe-after", 30), ("keyframe-before", 20)] {
        let bucket = SERVER.new_bucket();
        write(&SERVER, &bucket, &laid[..25]);
        let proxy = Proxy::start(&SERVER, |_, _| Fate::Pass);
        let follower = Follower::new(&proxy.url(), &bucket, &format!("start-mode={mode}"));
        await_polls(&proxy);
        write(&SERVER, &bucket, &laid[25..]);
        follower.await_stat("access-units", 60 - first as u64);
        let read = follower.end();
        assert!(read.units() == stream.units[first..], "{mode}");
    }
}

#[test]
fn it_waits_for_an_entry_that_is_not_there_yet() {
    let stream = Stream::example();
    let laid = recording().lay(&stream);
    for properties in [
        "",
        "start=0",
        "start-mode=exact",
        "start=0 start-mode=exact",
    ] {
        // The bucket is not there yet, either.
        let bucket = format!("{}-later", SERVER.new_bucket());
        let follower = Follower::new(&SERVER.url(), &bucket, properties);
        let mut messages = Vec::new();
        let warning = (follower.pipeline()).wait(&mut messages, |message| {
            message.type_() == gst::MessageType::Warning
        });
        let text = format!("{:?}", warning.view());
        assert!(
            text.contains(&format!("Waiting for '{bucket}/e'")),
            "{text}"
        );
        SERVER.create_bucket(&bucket);
        write(&SERVER, &bucket, &laid);
        follower.await_stat("records", 60);
        let read = follower.end();
        assert!(read.units() == stream.units, "{properties}");
        assert_eq!(read.stat("retries"), 0);
    }
}

#[test]
fn an_eos_event_ends_a_wait() {
    let bucket = SERVER.new_bucket();
    let follower = Follower::of(&bucket);
    let mut messages = Vec::new();
    (follower.pipeline()).wait(&mut messages, |message| {
        message.type_() == gst::MessageType::Warning
    });
    let begin = Instant::now();
    assert_eq!(follower.end().buffers.len(), 0);
    assert!(begin.elapsed() < EOS_LIMIT);
}

#[test]
fn after_a_gap_running_time_is_that_of_the_clock() {
    let stream = Stream::example();
    let recording = Recording {
        holes: vec![(30, 5_000_000)],
        ..recording()
    };
    let laid = recording.lay(&stream);
    let bucket = SERVER.new_bucket();
    let pipeline = Pipeline::launch(&format!(
        "reductsrc name=source url={} bucket={bucket} entry=e follow=true start=0 \
         ! appsink name=out",
        SERVER.url()
    ));
    let samples = pipeline.collect("out");
    pipeline.play();
    write(&SERVER, &bucket, &laid[..30]);
    await_that("the first frames", || samples.get().len() == 30);
    // What came is three seconds long, and was there at once.
    let clock = || pipeline.current_running_time().expect("a clock");
    await_that("the clock stands", || {
        clock() > gst::ClockTime::from_seconds(4)
    });
    let before = clock();
    write(&SERVER, &bucket, &laid[30..]);
    await_that("the other frames", || samples.get().len() == 60);
    let after = clock();

    let samples = samples.get();
    let running_time = |index: usize| {
        let sample = &samples[index];
        let segment = sample.segment().expect("a segment");
        let segment = segment.downcast_ref::<gst::ClockTime>().expect("time");
        let time = segment.to_running_time(sample.buffer().and_then(|buffer| buffer.pts()));
        time.expect("a running time")
    };
    assert!(running_time(29) < before);
    assert!((before..after).contains(&running_time(30)));
    let discont = |index: usize| {
        let buffer = samples[index].buffer().expect("a buffer");
        buffer.flags().contains(gst::BufferFlags::DISCONT)
    };
    assert!(!discont(29) && discont(30));
    assert_eq!(stat(&pipeline.element("source"), "gaps"), 1);
}

#[test]
fn it_ends_at_the_stop() {
    let stream = Stream::example();
    let laid = recording().lay(&stream);
    for (mode, stop, written, frames) in [
        ("exact", 25, 26, 25),
        // As soon as there is a record after it.
        ("exact", 30, 40, 30),
        // With the group of pictures.
        ("keyframe", 25, 31, 30),
    ] {
        let bucket = SERVER.new_bucket();
        let properties = format!("start=0 stop={} stop-mode={mode}", at(stop));
        let follower = Follower::new(&SERVER.url(), &bucket, &properties);
        write(&SERVER, &bucket, &laid[..written]);
        let read = follower.0.finish().clean();
        assert!(read.units() == stream.units[..frames], "{mode} {stop}");
    }
}

#[test]
fn it_ends_when_the_stop_is_past_and_nothing_comes() {
    let bucket = SERVER.new_bucket();
    write(&SERVER, &bucket, &recording().lay(&Stream::example())[..10]);
    let properties = format!("start=0 stop={} timeout=300", at(20));
    let follower = Follower::new(&SERVER.url(), &bucket, &properties);
    assert_eq!(follower.0.finish().clean().buffers.len(), 10);
}

#[test]
fn episodes_are_finished_while_the_recording_continues() {
    let stream = Stream::example();
    let laid = recording().lay(&stream);
    let bucket = SERVER.new_bucket();
    let line = Line::new(
        &SERVER.url(),
        &bucket,
        "follow=true start=0",
        "duration=1000000000",
    );
    line.pipeline.play();
    write(&SERVER, &bucket, &laid[..35]);
    let mut messages = Vec::new();
    let message = line.pipeline.wait(&mut messages, |message| {
        (message.structure()).is_some_and(|structure| structure.name() == "reduct-episode")
    });
    let location: String = message.structure().unwrap().get("location").unwrap();
    assert_eq!(common::mp4::probe(location.as_ref()).packets.len(), 10);

    write(&SERVER, &bucket, &laid[35..45]);
    let source = line.pipeline.element("source");
    await_that("the last frames", || stat(&source, "records") == 45);
    assert!(line.pipeline.send_event(gst::event::Eos::new()));
    let export = line.finish();
    assert!(
        export.outcome.errors.is_empty(),
        "{}",
        export.outcome.text()
    );
    let files = common::mp4::episodes(export.folder.path());
    let frames: Vec<_> = files
        .iter()
        .map(|file| common::mp4::probe(file).packets.len())
        .collect();
    assert_eq!(frames, [10, 10, 10, 10, 5]);
}

#[test]
fn following_continues_after_a_restart_of_the_server() {
    let server = Server::start();
    server.create_bucket("b");
    let stream = Stream::example();
    let laid = recording().lay(&stream);
    write(&server, "b", &laid[..20]);
    let follower = Follower::new(&server.url(), "b", "start=0");
    follower.await_stat("access-units", 20);
    for laid in laid[20..].chunks(20) {
        server.kill();
        follower.await_stat("retries", 1);
        server.restart();
        write(&server, "b", laid);
    }
    follower.await_stat("access-units", 60);
    let read = follower.end();
    assert!(read.units() == stream.units);
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0]);
}

#[test]
fn a_revoked_token_ends_following() {
    let server = Server::builder().token("all").start();
    server.create_bucket("b");
    let token = server.create_token("reader", &["b"]);
    write(&server, "b", &recording().lay(&Stream::example())[..20]);
    let follower = Follower::new(&server.url(), "b", &format!("start=0 api-token={token}"));
    follower.await_stat("access-units", 20);
    server.remove_token("reader");
    let read = follower.0.finish();
    assert!(
        read.outcome
            .error()
            .0
            .matches(gst::ResourceError::NotAuthorized)
    );
}

#[test]
fn an_idle_entry_is_asked_less_and_less() {
    let bucket = SERVER.new_bucket();
    write(&SERVER, &bucket, &recording().lay(&Stream::example())[..20]);
    let requests = Arc::new(Mutex::new(Vec::new()));
    let proxy = Proxy::start(&SERVER, {
        let requests = Arc::clone(&requests);
        move |_, _| {
            requests.lock().unwrap().push(Instant::now());
            Fate::Pass
        }
    });
    let follower = Follower::new(&proxy.url(), &bucket, "start=0");
    follower.await_stat("access-units", 20);
    let begin = Instant::now();
    let queries = proxy.count(Kind::Query);
    let since_begin = || -> Vec<_> {
        let requests = requests.lock().unwrap();
        let since = requests
            .iter()
            .map(|time| time.checked_duration_since(begin));
        since.flatten().collect()
    };
    await_that("it stops asking", || {
        since_begin().last() > Some(&Duration::from_secs(4))
    });
    let times = since_begin();
    let in_second = |second| times.iter().filter(|time| time.as_secs() == second).count();
    assert!(in_second(0) <= 60, "{times:?}");
    assert!(in_second(3) <= 15, "{times:?}");
    // A busy machine makes the waits longer, never shorter than a twentieth of the silence.
    for (number, pair) in times.windows(2).enumerate() {
        let wait = pair[1] - pair[0];
        assert!(wait >= pair[0] / 20, "{wait:?} after {number}: {times:?}");
    }
    assert_eq!(proxy.count(Kind::Query), queries);
    follower.end();
}

#[test]
fn other_clients_are_not_slowed() {
    let laid = recording().lay(&Stream::example());
    let followers: Vec<_> = (0..8)
        .map(|_| {
            let bucket = SERVER.new_bucket();
            write(&SERVER, &bucket, &laid[..20]);
            let follower = Follower::of(&bucket);
            follower.await_stat("access-units", 20);
            follower
        })
        .collect();
    let bucket = SERVER.new_bucket();
    write(&SERVER, &bucket, &laid);
    let mut taken: Vec<_> = (0..20)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(SERVER.read(&bucket, "e").len(), 60);
            begin.elapsed()
        })
        .collect();
    taken.sort();
    // A continuous query would delay each of them by seconds, a busy machine one or the other.
    assert!(taken[16] < Duration::from_millis(500), "{taken:?}");
    for follower in followers {
        follower.end();
    }
}

#[test]
fn a_following_source_is_live() {
    let bucket = SERVER.new_bucket();
    write(&SERVER, &bucket, &recording().lay(&Stream::example())[..20]);
    let source = |follow: bool| {
        let pipeline = Pipeline::launch(&format!(
            "reductsrc name=source url={} bucket={bucket} entry=e follow={follow} start=0 \
             poll-interval=30 ! fakesink sync=false",
            SERVER.url()
        ));
        let paused = pipeline.set_state(gst::State::Paused);
        let mut query = gst::query::Latency::new();
        assert!(pipeline.element("source").query(&mut query));
        (paused, query.result())
    };
    let (paused, latency) = source(true);
    assert_eq!(paused, Ok(gst::StateChangeSuccess::NoPreroll));
    assert_eq!(latency, (true, gst::ClockTime::from_mseconds(60), None));
    let (paused, latency) = source(false);
    assert_eq!(paused, Ok(gst::StateChangeSuccess::Async));
    assert_eq!(latency, (false, gst::ClockTime::ZERO, None));
}

#[test]
fn a_pause_loses_nothing() {
    let stream = Stream::example();
    let laid = recording().lay(&stream);
    let bucket = SERVER.new_bucket();
    write(&SERVER, &bucket, &laid[..20]);
    let follower = Follower::of(&bucket);
    follower.await_stat("access-units", 20);
    for laid in laid[20..].chunks(20) {
        let paused = follower.pipeline().set_state(gst::State::Paused);
        assert_eq!(paused, Ok(gst::StateChangeSuccess::NoPreroll));
        write(&SERVER, &bucket, laid);
        follower.pipeline().play();
    }
    follower.await_stat("access-units", 60);
    assert!(follower.end().units() == stream.units);
}

#[test]
fn the_duration_grows() {
    let laid = recording().lay(&Stream::example());
    let bucket = SERVER.new_bucket();
    write(&SERVER, &bucket, &laid[..10]);
    let follower = Follower::of(&bucket);
    let duration = || (follower.source()).query_duration::<gst::ClockTime>();
    for seconds in 1..=6 {
        let mut messages = Vec::new();
        (follower.pipeline()).wait(&mut messages, |message| {
            message.type_() == gst::MessageType::DurationChanged
        });
        let since_epoch = gst::ClockTime::from_useconds(at(0));
        let expected = since_epoch + gst::ClockTime::from_seconds(seconds);
        assert_eq!(duration(), Some(expected));
        let next = seconds as usize * 10;
        write(&SERVER, &bucket, &laid[next..60.min(next + 10)]);
    }
    follower.end();
}

#[test]
fn seeks_go_back_and_follow_on() {
    let stream = Stream::example();
    let laid = recording().lay(&stream);
    let bucket = SERVER.new_bucket();
    write(&SERVER, &bucket, &laid[..40]);
    let follower = Follower::new(&SERVER.url(), &bucket, &format!("start={}", at(0)));
    follower.await_stat("access-units", 40);
    let time = gst::ClockTime::from_seconds(2);
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
    follower.pipeline().seek_simple(flags, time).unwrap();
    follower.await_stat("access-units", 60);
    write(&SERVER, &bucket, &laid[40..]);
    follower.await_stat("access-units", 80);
    let read = follower.end();
    let expected = [&stream.units[..40], &stream.units[20..]].concat();
    assert!(read.units() == expected);
}

#[test]
fn conditions_select_the_followed_records() {
    let stream = Stream::example();
    let mut laid = recording().lay(&stream);
    for (index, laid) in laid.iter_mut().enumerate() {
        let is_good = (!(20..40).contains(&index)).to_string();
        laid.record.labels.push(("good".into(), is_good));
    }
    let bucket = SERVER.new_bucket();
    let when = r#"when="{\"&good\":{\"$eq\":true}}""#;
    let follower = Follower::new(&SERVER.url(), &bucket, &format!("start=0 {when}"));
    for laid in laid.chunks(20) {
        write(&SERVER, &bucket, laid);
    }
    follower.await_stat("access-units", 40);
    let read = follower.end();
    let expected = [&stream.units[..20], &stream.units[40..]].concat();
    assert!(read.units() == expected);
    assert_eq!(read.stat("gaps"), 1);
}

#[test]
fn settings_that_exclude_following_are_errors() {
    let bucket = SERVER.new_bucket();
    for (properties, named) in [
        ("ranges=5/6", "ranges"),
        (r#"when="{\"$limit\":5}""#, "$limit"),
    ] {
        let reading = Reading::new(&SERVER.url(), &bucket, &format!("follow=true {properties}"));
        let read = reading.run();
        let (error, _) = read.outcome.error();
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        assert!(error.message().contains(named), "{error}");
    }
}

#[test]
fn late_records_raise_the_latency() {
    let laid = recording().lay(&Stream::example());
    let bucket = SERVER.new_bucket();
    let follower = Follower::of(&bucket);
    write(&SERVER, &bucket, &laid[..10]);
    follower.await_stat("access-units", 10);
    let pipeline = follower.pipeline();
    let late = gst::ClockTime::from_mseconds(500);
    let clock = || pipeline.current_running_time().expect("a clock");
    // The next frame is due a second after the first one, which is here.
    let due = clock() + gst::ClockTime::SECOND;
    await_that("the clock stands", || clock() > due + late);
    write(&SERVER, &bucket, &laid[10..11]);
    let latency = || {
        let mut query = gst::query::Latency::new();
        assert!(follower.source().query(&mut query));
        query.result()
    };
    await_that("the latency stays", || latency().1 >= late);
    let (is_live, _, most) = latency();
    assert!(is_live && most.is_none());
    let mut messages = Vec::new();
    pipeline.wait(&mut messages, |message| {
        message.type_() == gst::MessageType::Latency
            && message.src() == Some(follower.source().upcast_ref())
    });
    follower.end();
}

#[test]
fn an_eos_event_ends_attempts() {
    let server = Server::start();
    let url = server.url();
    server.kill();
    // For the newest record, for the keyframe before the start, and for the records behind it.
    for properties in ["", "start=5 start-mode=exact", "start=0"] {
        let follower = Follower::new(&url, "b", properties);
        let mut messages = Vec::new();
        (follower.pipeline()).wait(&mut messages, |message| {
            message.type_() == gst::MessageType::Warning
        });
        let begin = Instant::now();
        assert_eq!(follower.end().buffers.len(), 0);
        assert!(begin.elapsed() < EOS_LIMIT, "{properties}");
    }
}

#[test]
fn batches_come_whole() {
    // Records of a batch are written side by side, and may be complete in any order.
    let stream = long::stream();
    let laid = long::laid();
    for _ in 0..5 {
        let bucket = SERVER.new_bucket();
        let follower = Follower::new(&SERVER.url(), &bucket, "start=0 poll-interval=1");
        for batch in laid.chunks(60) {
            SERVER.write_all(&bucket, "e", batch.iter().map(|laid| &laid.record));
        }
        follower.await_stat("records", laid.len() as u64);
        assert!(follower.end().units() == stream.units);
    }
}
