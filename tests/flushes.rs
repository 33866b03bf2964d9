// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Seeks, flushes, pauses and ends at any moment: nothing waits for ever, and nothing is lost or written
//! twice.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::child;
use common::line::{Export, Line, Reading, record};
use common::pipeline::{Pipeline, capture_us, stat};
use common::recorder::Recorder;
use common::recording::{Layout, Recording};
use common::server::Server;
use common::stream::{Stream, StreamSpec};
use common::{SERVER, await_that};
use gst::prelude::*;

/// Time limit of a call that an application waits for, on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);
const FLUSH: gst::SeekFlags = gst::SeekFlags::FLUSH;

/// Does something that has to return soon. What does not cannot be ended, but with the process.
#[track_caller]
fn soon<T: Send>(what: &str, act: impl FnOnce() -> T + Send) -> T {
    let (sender, done) = mpsc::channel();
    let caller = std::panic::Location::caller();
    thread::scope(|scope| {
        scope.spawn(move || {
            if done.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{caller}: {what} has not returned for {LIMIT:?}");
                std::process::abort();
            }
        });
        let returned = act();
        let _ = sender.send(());
        returned
    })
}

fn seek(rate: f64, flags: gst::SeekFlags, seconds: u64) -> gst::Event {
    common::init();
    let (set, none) = (gst::SeekType::Set, gst::SeekType::None);
    let start = gst::ClockTime::from_seconds(seconds);
    gst::event::Seek::new(rate, flags, set, start, none, gst::ClockTime::NONE)
}

fn example() -> String {
    record(&Recording::default(), &Stream::example())
}

/// A recording of a minute, so that an export takes a moment.
fn minute() -> String {
    let stream = Stream::make(StreamSpec {
        frames: 600,
        ..Default::default()
    });
    record(
        &Recording {
            layout: Layout::AccessUnit,
            ..Default::default()
        },
        &stream,
    )
}

fn exporting(bucket: &str) -> Line {
    Line::new(&SERVER.url(), bucket, "", "duration=2000000000")
}

/// Waits for the first file of an export.
fn await_file(line: &Line) {
    line.pipeline.wait(&mut Vec::new(), |message| {
        let name = message.structure().map(|structure| structure.name());
        name.is_some_and(|name| name == "splitmuxsink-fragment-opened")
    });
}

#[track_caller]
fn assert_all(export: Export, frames: u64) {
    let export = export.clean();
    assert_eq!(export.frames().iter().sum::<u64>(), frames);
    assert!(
        export.outcome.warnings.is_empty(),
        "{}",
        export.outcome.text()
    );
}

#[test]
fn seeks_in_a_row_leave_an_export_alone() {
    let bucket = example();
    for round in 0..24 {
        let line = exporting(&bucket);
        line.pipeline.play();
        await_file(&line);
        let flags = [FLUSH, FLUSH | gst::SeekFlags::KEY_UNIT][round % 2];
        for second in 0..4 {
            let time = gst::ClockTime::from_seconds(second);
            let sought = soon("a seek", || line.pipeline.seek_simple(flags, time));
            assert!(sought.is_err());
        }
        assert_all(line.finish(), 60);
    }
}

/// Seeks of a thread.
const SEEKS: u32 = 300;

/// Seeks from several threads, from the start of an export on.
#[test]
fn seeks_all_the_time_do_no_harm() {
    let bucket = minute();
    let line = exporting(&bucket);
    let has_ended = AtomicBool::new(false);
    let accepted = AtomicBool::new(false);
    let export = thread::scope(|scope| {
        let pipeline: &gst::Pipeline = &line.pipeline;
        for thread in 0..3u64 {
            let (has_ended, accepted) = (&has_ended, &accepted);
            scope.spawn(move || {
                // Some time it ends: as long as seeks are on their way, no episode begins.
                for _ in 0..SEEKS {
                    if has_ended.load(Ordering::SeqCst) {
                        break;
                    }
                    // All to the same place, at which the export begins if one of them is accepted.
                    let flags = [FLUSH, FLUSH | gst::SeekFlags::KEY_UNIT][thread as usize % 2];
                    let sought = soon("a seek", || {
                        pipeline.seek_simple(flags, gst::ClockTime::from_seconds(20))
                    });
                    accepted.fetch_or(sought.is_ok(), Ordering::SeqCst);
                }
            });
        }
        line.pipeline.play();
        let messages = line.pipeline.wait_for_end();
        has_ended.store(true, Ordering::SeqCst);
        messages
    });
    let outcome = line.pipeline.finish(export).clean();
    let frames: u64 = outcome.episodes().iter().map(|it| it.frames).sum();
    let expected = if accepted.into_inner() { 400 } else { 600 };
    assert_eq!(frames, expected, "{}", outcome.text());
}

#[test]
fn an_export_begins_where_a_seek_leads_before_it() {
    let bucket = example();
    for (seconds, frames) in [(0, [20, 20, 20].as_slice()), (2, &[20, 20]), (5, &[10])] {
        let line = exporting(&bucket);
        line.pipeline.set_state(gst::State::Paused).unwrap();
        let can_seek = || {
            let mut query = gst::query::Seeking::new(gst::Format::Time);
            line.pipeline.query(&mut query) && query.result().0
        };
        await_that("it cannot seek", can_seek);
        for _ in 0..4 {
            let time = gst::ClockTime::from_seconds(seconds);
            let sought = soon("a seek", || line.pipeline.seek_simple(FLUSH, time));
            sought.unwrap();
        }
        line.pipeline.play();
        await_file(&line);
        assert!(!can_seek());
        let export = line.finish().clean();
        assert_eq!(export.frames(), frames);
        let start = Recording::default().start_us + seconds * 1_000_000;
        assert_eq!(export.episodes[0].start_us, Some(start));
    }
}

#[test]
fn seeks_that_would_break_an_export_are_refused_in_every_state() {
    let refused = [
        seek(1.0, gst::SeekFlags::empty(), 1),
        seek(1.0, gst::SeekFlags::KEY_UNIT, 1),
        seek(2.0, FLUSH, 1),
        seek(-1.0, FLUSH | gst::SeekFlags::TRICKMODE_KEY_UNITS, 1),
        seek(1.0, FLUSH | gst::SeekFlags::TRICKMODE_KEY_UNITS, 1),
        seek(1.0, FLUSH | gst::SeekFlags::SEGMENT, 1),
        gst::event::Step::new(gst::format::Buffers::from_u64(3), 1.0, true, false),
    ];
    let line = exporting(&example());
    let refuse_all = || {
        for event in &refused {
            let sent = soon("a seek", || line.pipeline.send_event(event.clone()));
            assert!(!sent, "{event:?}");
        }
    };
    refuse_all();
    for state in [gst::State::Ready, gst::State::Paused, gst::State::Playing] {
        line.pipeline.set_state(state).unwrap();
        refuse_all();
    }
    await_file(&line);
    refuse_all();
    assert_all(line.finish(), 60);
}

#[test]
fn seeks_in_a_pause_and_after_the_end_are_refused() {
    let line = exporting(&minute());
    line.pipeline.play();
    await_file(&line);
    line.pipeline.set_state(gst::State::Paused).unwrap();
    let refuse = || {
        let sought = soon("a seek", || {
            line.pipeline.seek_simple(FLUSH, gst::ClockTime::ZERO)
        });
        assert!(sought.is_err());
    };
    refuse();
    line.pipeline.play();
    let messages = line.pipeline.wait_for_end();
    refuse();
    let outcome = line.pipeline.finish(messages).clean();
    assert_eq!(
        outcome.episodes().iter().map(|it| it.frames).sum::<u64>(),
        600
    );
}

#[test]
fn flushes_return_in_every_state() {
    let bucket = example();
    type Send = fn(&Line, gst::Event) -> bool;
    let places: [(&str, Send); 4] = [
        ("the pipeline", |line, event| {
            line.pipeline.send_event(event)
        }),
        ("the source", |line, event| {
            line.pipeline.element("source").send_event(event)
        }),
        ("the bin", |line, event| {
            line.pipeline.element("splitter").send_event(event)
        }),
        ("the bin's pad", |line, event| {
            let pad = line.pipeline.element("splitter").static_pad("sink");
            pad.unwrap().send_event(event)
        }),
    ];
    let flush = |line: &Line, place: &str, send: Send, starts: bool| {
        if starts {
            let start = format!("flush-start at {place}");
            soon(&start, || send(line, gst::event::FlushStart::new()));
        }
        let stop = format!("flush-stop at {place}");
        soon(&stop, || send(line, gst::event::FlushStop::new(true)));
    };
    for (place, send) in places {
        for last in [
            gst::State::Null,
            gst::State::Ready,
            gst::State::Paused,
            gst::State::Playing,
        ] {
            let line = exporting(&bucket);
            line.pipeline.set_state(last).unwrap();
            // Also the end of a flush that has not begun, but for a pad, where GStreamer itself waits for
            // the stream.
            let can_be_alone = place != "the bin's pad";
            for starts in [!can_be_alone, true, true, !can_be_alone] {
                flush(&line, place, send, starts);
            }
            // Whatever it has come to, it stops and starts again.
            soon("a stop", || {
                line.pipeline.set_state(gst::State::Null).unwrap()
            });
            line.pipeline.play();
            assert_all(line.finish(), 60);
        }
    }
}

/// EOS as an application sends it, while nothing can go on downstream.
#[test]
fn the_end_of_a_paused_stream_does_not_wait() {
    let bucket = minute();
    let reading = Reading::new(&SERVER.url(), &bucket, "");
    reading.pipeline.set_state(gst::State::Paused).unwrap();
    let source = reading.pipeline.element("source");
    await_that("nothing is read", || stat(&source, "access-units") > 0);
    drop(source);
    assert!(soon("EOS", || reading
        .pipeline
        .send_event(gst::event::Eos::new())));
    reading.pipeline.play();
    let read = reading.finish().clean();
    assert!(read.buffers.len() < 600, "{}", read.buffers.len());
}

/// The end of a stream comes to a sink that is paused, and its server is away.
#[test]
fn a_sink_whose_stream_has_ended_plays_and_pauses_without_its_server() {
    let server = Server::start();
    server.create_bucket("b");
    let source = "appsrc name=app format=time max-bytes=0";
    let recorder = Recorder::new(&server.url(), "b", source, "max-latency=0");
    let app: gst_app::AppSrc = recorder.pipeline.element("app").downcast().unwrap();
    let caps = "video/x-h264,stream-format=byte-stream,alignment=au,framerate=10/1";
    app.set_caps(Some(&caps.parse().unwrap()));
    let sink = recorder.sink();
    let (sender, ends) = mpsc::channel();
    let pad = sink.static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if info
            .event()
            .is_some_and(|event| event.type_() == gst::EventType::Eos)
        {
            let _ = sender.send(());
        }
        gst::PadProbeReturn::Ok
    });
    let units = Stream::example().units;
    let push = |range: std::ops::Range<usize>| {
        let last = gst::ClockTime::from_mseconds(100 * range.end as u64 - 100);
        for frame in range {
            let mut buffer = gst::Buffer::from_slice(units[frame].clone());
            let pts = gst::ClockTime::from_mseconds(100 * frame as u64);
            buffer.get_mut().unwrap().set_pts(pts);
            app.push_buffer(buffer).unwrap();
        }
        let rendered = || {
            let sample = sink.property::<Option<gst::Sample>>("last-sample")?;
            sample.buffer()?.pts()
        };
        await_that("not all is taken", || rendered() == Some(last));
    };
    recorder.pipeline.play();
    push(0..10);
    await_that("nothing is written", || stat(&sink, "records") > 0);
    server.kill();
    push(10..20);

    let set = |state| soon("a state", || recorder.pipeline.set_state(state).unwrap());
    set(gst::State::Paused);
    app.end_of_stream().unwrap();
    ends.recv_timeout(LIMIT).expect("EOS comes to the sink");
    for _ in 0..50 {
        set(gst::State::Playing);
        set(gst::State::Paused);
    }
    set(gst::State::Playing);
    server.restart();
    drop((app, sink));
    recorder.finish();
    assert_eq!(server.read("b", "e").len(), 20);
}

#[test]
fn an_end_that_is_sent_to_a_paused_bin_does_not_wait() {
    for last in [gst::State::Playing, gst::State::Null] {
        let line = exporting(&minute());
        line.pipeline.set_state(gst::State::Paused).unwrap();
        let bin = line.pipeline.element("splitter");
        assert!(soon("EOS", || bin.send_event(gst::event::Eos::new())));
        drop(bin);
        soon("a change of state", || {
            line.pipeline.set_state(last).unwrap()
        });
        if last == gst::State::Playing {
            let messages = line.pipeline.wait_for_end();
            line.pipeline.finish(messages).clean();
        }
    }
}

#[test]
fn an_export_that_is_ended_has_all_that_was_read() {
    let line = exporting(&minute());
    line.pipeline.play();
    await_file(&line);
    assert!(soon("EOS", || line
        .pipeline
        .send_event(gst::event::Eos::new())));
    let export = line.finish().clean();
    let frames: u64 = export.frames().iter().sum();
    assert_eq!(frames, export.source.get::<u64>("access-units").unwrap());
}

/// A source that follows drops nothing that it has taken when it is paused at any moment.
#[test]
fn pauses_of_a_source_that_follows_lose_nothing() {
    let bucket = minute();
    let reading = Reading::new(&SERVER.url(), &bucket, "follow=true start=0");
    let source = reading.pipeline.element("source");
    let mut random = fastrand::Rng::with_seed(3);
    let read = || stat(&source, "access-units");
    for _ in 0..300 {
        reading.pipeline.play();
        let wanted = (read() + random.u64(0..4)).min(600);
        await_that("it does not go on", || read() >= wanted);
        soon("a pause", || {
            reading.pipeline.set_state(gst::State::Paused).unwrap()
        });
    }
    reading.pipeline.play();
    await_that("not all is read", || read() == 600);
    drop(source);
    assert!(reading.pipeline.send_event(gst::event::Eos::new()));
    let read = reading.finish().clean();
    assert_each_once(&read.buffers);
}

#[track_caller]
fn assert_each_once(buffers: &[gst::Buffer]) {
    let times: Vec<_> = buffers
        .iter()
        .filter_map(|buffer| capture_us(buffer))
        .collect();
    let start = Recording::default().start_us;
    let expected: Vec<_> = (0..600).map(|frame| start + frame * 100_000).collect();
    assert_eq!(times, expected);
    for buffer in &buffers[1..] {
        assert!(!buffer.flags().contains(gst::BufferFlags::DISCONT));
    }
}

/// A pause while the source waits for the server loses nothing after PLAYING.
#[test]
fn a_pause_while_no_records_come_is_not_eos() {
    let bucket = example();
    let line = Line::new(&SERVER.url(), &bucket, "follow=true start=0", "");
    line.pipeline.play();
    let source = line.pipeline.element("source");
    await_that("not all is read", || stat(&source, "access-units") == 60);
    for _ in 0..50 {
        for state in [gst::State::Paused, gst::State::Playing] {
            soon("a state", || line.pipeline.set_state(state).unwrap());
        }
    }
    let time = Recording::default().frame_us(60, (10, 1));
    let unit = Stream::example().units[0].clone();
    SERVER.write(&bucket, "e", time, "video/h264", &[], unit);
    await_that("it does not go on", || stat(&source, "access-units") == 61);
    drop(source);
    assert!(line.pipeline.send_event(gst::event::Eos::new()));
    assert_eq!(line.finish().clean().frames().iter().sum::<u64>(), 61);
}

/// Several threads seek the same source, each of them until the other ones have, too.
#[test]
fn seeks_of_several_threads_return() {
    let bucket = minute();
    for follow in ["", "follow=true start=0"] {
        let reading = Reading::new(&SERVER.url(), &bucket, follow);
        reading.pipeline.play();
        let source = reading.pipeline.element("source");
        await_that("nothing is read", || stat(&source, "access-units") > 0);
        let pad = source.static_pad("src").unwrap();
        thread::scope(|scope| {
            for thread in 0..3 {
                let pad = &pad;
                scope.spawn(move || {
                    for round in 0..60 {
                        let event = seek(1.0, FLUSH, (round + thread * 20) % 60);
                        soon("a seek", || pad.send_event(event));
                    }
                });
            }
        });
        assert!(soon("the last seek", || pad.send_event(seek(1.0, FLUSH, 50))));
        let at_end = || reading.pipeline.query_position::<gst::ClockTime>();
        let end = gst::ClockTime::from_mseconds(59_900);
        await_that("it does not go on", || at_end() >= Some(end));
        soon("a stop", || {
            reading.pipeline.set_state(gst::State::Null).unwrap()
        });
    }
}

/// Seconds of the stress test, for a longer one by hand.
const STRESS_SECONDS: &str = "GST_PLUGIN_REDUCT_STRESS_SECONDS";

/// The pipelines of `docs/recipes.md`, with test pictures as a camera and without a window.
fn pipelines(url: &str, folder: &str) -> Vec<String> {
    let at = url.strip_prefix("http://").expect("HTTP");
    let read = format!("reductsrc url={url} bucket=b entry=e");
    let write = format!("reductsink url={url} bucket=b");
    let camera = "videotestsrc is-live=true ! video/x-raw,width=160,height=120 \
                  ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30";
    let split = "reductepisodesplit duration=2000000000";
    vec![
        format!("{read} ! {split} location={folder}/a_%05d.mp4"),
        format!("{read} start=2025-06-13T08:30:54Z ! {split} location={folder}/{{start}}.mp4"),
        format!(
            "{read} when=\"{{\\\"$limit\\\":30}}\" ! {split} split-mode=at-most location={folder}/c_%05d.mp4"
        ),
        format!("{read} gap-detection=false ! reductepisodesplit location={folder}/d.mp4"),
        format!("{read} ! {split} location=reduct://{at}/b/uploaded"),
        format!(
            "reductsrc url={url} bucket=b entry=episodes ! qtdemux name=qtdemux0 ! h264parse ! avdec_h264 ! videoconvert ! jpegenc ! fakesink"
        ),
        format!("reductsrc url={url} bucket=b entry=episodes ! fakesink"),
        format!("{read} ! h264parse ! avdec_h264 ! videoconvert ! fakesink sync=true"),
        format!("{camera} ! {split} location={folder}/i_%05d.mp4 send-keyframe-requests=true"),
        format!("{camera} ! h264parse ! {write} entry=recorded"),
        format!("{read} ! {write} entry=copy record-unit=record existing=skip"),
        format!("{read} follow=true ! {split} location={folder}/l_%05d.mp4"),
        format!("{read} follow=true start=0 ! h264parse ! avdec_h264 ! fakesink sync=true"),
    ]
}

/// Does one thing at random that an application may do to a pipeline at any time.
fn act(pipeline: &gst::Pipeline, random: &mut fastrand::Rng) {
    let state = |state: gst::State| {
        let _ = soon(&format!("{state:?}"), || pipeline.set_state(state));
    };
    let send = |event: gst::Event| {
        let what = format!("{event:?}");
        soon(&what, || pipeline.send_event(event));
    };
    // Another source waits for its streaming thread, which may wait for the clock, or for a pipeline
    // that the same event keeps from playing.
    let mut sources = pipeline.iterate_sources().into_iter().flatten();
    let is_ours = sources.all(|source| source.factory().is_some_and(|it| it.name() == "reductsrc"));
    match random.u8(0..16) {
        0..=3 => state(gst::State::Playing),
        4..=5 => state(gst::State::Paused),
        6 => state(gst::State::Ready),
        7 => state(gst::State::Null),
        8..=12 if is_ours => {
            let flags = *random
                .choice(
                    &[
                        FLUSH,
                        FLUSH | gst::SeekFlags::KEY_UNIT,
                        FLUSH | gst::SeekFlags::ACCURATE,
                        FLUSH | gst::SeekFlags::TRICKMODE_KEY_UNITS,
                    ][..],
                )
                .expect("some");
            let rate = *random.choice(&[1.0, 1.0, 1.0, 2.0, -1.0]).expect("some");
            // Where the source cannot seek, qtdemux tries to, and finds it critical to go beyond the
            // end of its segment.
            let (rate, seconds) = match pipeline.by_name("qtdemux0") {
                Some(_) => (1.0, random.u64(0..2)),
                None => (rate, random.u64(0..7)),
            };
            send(seek(rate, flags, seconds));
        }
        13 if is_ours => {
            let (start, stop) = (
                gst::event::FlushStart::new(),
                gst::event::FlushStop::new(true),
            );
            if random.u8(0..4) > 0 {
                send(start);
            }
            if random.u8(0..4) > 0 {
                send(stop);
            }
        }
        14 if is_ours => send(gst::event::Eos::new()),
        _ => {
            let _ = soon("a query", || pipeline.query_position::<gst::ClockTime>());
            let _ = soon("a query", || pipeline.query_duration::<gst::ClockTime>());
        }
    }
    thread::sleep(Duration::from_millis(random.u64(0..30)));
}

/// Three threads do what they like with each pipeline while its server goes and comes.
#[test]
fn calls_from_many_threads_return_in_time() {
    if child::again("calls_from_many_threads_return_in_time", &[]).is_some() {
        return;
    }
    let seconds = std::env::var(STRESS_SECONDS).ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(20);
    let seed = match seconds > 20 {
        true => fastrand::u64(..),
        false => 7,
    };
    eprintln!("seed {seed}");
    let server = Server::start();
    server.create_bucket("b");
    let laid = Recording::default().lay(&Stream::example());
    server.write_all("b", "e", laid.iter().map(|laid| &laid.record));
    let export = format!(
        "reductsrc url={url} bucket=b entry=e ! reductepisodesplit duration=2000000000 location=reduct://{}/b/episodes",
        server.url().strip_prefix("http://").expect("HTTP"),
        url = server.url(),
    );
    Pipeline::launch(&export).run().clean();

    let folder = tempfile::tempdir().unwrap();
    let lines = pipelines(&server.url(), folder.path().to_str().expect("UTF-8"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut random = fastrand::Rng::with_seed(seed);
    thread::scope(|scope| {
        let mut moments = random.fork();
        let server = &server;
        scope.spawn(move || {
            while Instant::now() < end {
                thread::sleep(Duration::from_millis(moments.u64(200..1500)));
                server.kill();
                thread::sleep(Duration::from_millis(moments.u64(0..500)));
                server.restart();
            }
        });
        while Instant::now() < end {
            for line in &lines {
                if Instant::now() >= end {
                    break;
                }
                eprintln!("{line}");
                let pipeline = Pipeline::launch(line);
                let next = Instant::now() + Duration::from_millis(1200);
                thread::scope(|scope| {
                    for _ in 0..3 {
                        let (pipeline, mut random) = (&*pipeline, random.fork());
                        scope.spawn(move || {
                            while Instant::now() < next {
                                act(pipeline, &mut random);
                            }
                        });
                    }
                });
                soon("the end", || pipeline.set_state(gst::State::Null)).unwrap();
            }
        }
    });
}
