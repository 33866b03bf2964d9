// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Episodes as records: `reductepisodesplit location=reduct://…`, through whatever happens between
//! it and the server.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::child;
use common::line::record;
use common::mp4;
use common::pipeline::{Episode, Outcome, Pipeline, stat};
use common::proxy::{Fate, Kind, Proxy, REASON};
use common::recording::{Layout, Recording};
use common::server::{Record, Server};
use common::stream::{Content, Stream, StreamSpec};
use common::{SERVER, await_that};
use gst::prelude::*;

const START_US: u64 = 1_749_803_453_273_752;
const SECOND_US: u64 = 1_000_000;
/// ReductStore treats the uploads of smaller records in another way.
const LARGE: usize = 512 << 10;
/// Three episodes of the example.
const TWO_SECONDS: &str = "duration=2000000000";

/// The address of entry `episodes`, with parameters.
fn address(url: &str, bucket: &str, parameters: &str) -> String {
    let server = url.strip_prefix("http://").expect("a URL without TLS");
    format!("reduct://{server}/{bucket}/episodes{parameters}")
}

/// Exports entry `e` of a bucket of [`SERVER`].
fn exporter(bucket: &str, location: &str, properties: &str) -> Pipeline {
    let pipeline = Pipeline::launch(&format!(
        "reductsrc name=source url={} bucket={bucket} entry=e ! \
         reductepisodesplit name=split {properties}",
        SERVER.url()
    ));
    pipeline.element("split").set_property("location", location);
    pipeline
}

/// A bucket with the example in entry `e`.
fn example() -> String {
    record(&Recording::default(), &Stream::example())
}

/// Episodes of the example by an export to entry `episodes` of the same bucket.
#[track_caller]
fn export(bucket: &str) -> Outcome {
    let location = address(&SERVER.url(), bucket, "");
    exporter(bucket, &location, TWO_SECONDS).run().clean()
}

fn episodes(bucket: &str) -> Vec<Record> {
    SERVER.read(bucket, "episodes")
}

fn labels(labels: [(&str, &str); 4]) -> Vec<(String, String)> {
    labels
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

/// Fails unless a record holds a file with so many frames.
#[track_caller]
fn assert_plays(record: &Record, frames: u64) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("episode.mp4");
    fs::write(&file, &record.bytes).unwrap();
    assert_eq!(mp4::probe(&file).frames, frames);
    assert_eq!(pictures(record), frames);
}

/// Number of pictures that a decoder shows of a record.
fn pictures(record: &Record) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("episode.mp4");
    fs::write(&file, &record.bytes).unwrap();
    mp4::decode(&file).clean().len() as u64
}

#[test]
fn an_entry_that_is_being_deleted_is_written_to_when_it_is_gone() {
    let source = example();
    let server = Server::start();
    server.create_bucket_without("b", "episodes");
    let location = address(&server.url(), "b", "");
    let outcome = exporter(&source, &location, TWO_SECONDS).run().clean();
    let is_told = |text: &&str| text.contains("is being deleted");
    let warnings = warnings(&outcome);
    assert!(warnings.iter().any(is_told), "{warnings:?}");
    assert_eq!(server.read("b", "episodes").len(), 3);
}

fn warnings(outcome: &Outcome) -> Vec<&str> {
    let warnings = outcome.warnings.iter();
    warnings.map(|(warning, _)| warning.message()).collect()
}

/// The folder of the files on their way to the server.
fn folder(outcome: &Outcome) -> PathBuf {
    let opened = (outcome.elements.iter())
        .find(|structure| structure.name() == "splitmuxsink-fragment-opened")
        .expect("a file");
    let file: PathBuf = opened.get::<String>("location").unwrap().into();
    file.parent().unwrap().to_owned()
}

/// The files that a text names.
fn files(text: &str) -> Vec<PathBuf> {
    let (_, names) = text.split_once("Complete and not uploaded: ").expect(text);
    names.split(", ").map(PathBuf::from).collect()
}

/// Fails unless these are files of the example's episodes from `first` on, and removes them.
#[track_caller]
fn take_files(files: &[PathBuf], first: usize) {
    for (index, file) in files.iter().enumerate() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let number = first + index;
        let start_us = START_US + 2 * SECOND_US * number as u64;
        assert_eq!(name, format!("episode_{number:05}_{start_us}.mp4"));
        assert_eq!(mp4::probe(file).frames, 20);
    }
    fs::remove_dir_all(files[0].parent().unwrap()).unwrap();
}

#[test]
fn each_episode_is_a_record() {
    let bucket = example();
    let outcome = export(&bucket);
    assert!(outcome.warnings.is_empty(), "{}", outcome.text());
    let records = episodes(&bucket);
    let told = outcome.episodes();
    assert_eq!((records.len(), told.len()), (3, 3));
    for (index, (record, episode)) in records.iter().zip(&told).enumerate() {
        let start_us = START_US + 2 * SECOND_US * index as u64;
        let reason = ["duration", "duration", "eos"][index];
        assert_eq!(record.time_us, start_us);
        assert_eq!(record.content_type, "video/mp4");
        let expected = [
            ("duration", "2000000000"),
            ("fps", "10"),
            ("frames", "20"),
            ("reason", reason),
        ];
        assert_eq!(record.labels, labels(expected));
        assert_plays(record, 20);
        let location = format!(
            "{}?start={start_us}&stop={}",
            address(&SERVER.url(), &bucket, ""),
            start_us + 1
        );
        let expected = Episode {
            index: index as u32,
            location: location.into(),
            start_us: Some(start_us),
            duration: gst::ClockTime::from_seconds(2),
            frames: 20,
            hidden: 0,
            bytes: record.bytes.len() as u64,
            reason: reason.into(),
            dropped: 0,
            frame_index: None,
        };
        assert_eq!(*episode, expected);
    }
    assert!(!folder(&outcome).exists());
}

#[test]
fn a_record_is_the_file_that_would_be_written() {
    let bucket = example();
    export(&bucket);
    let folder = tempfile::tempdir().unwrap();
    let pattern = folder.path().join("%d.mp4");
    exporter(&bucket, pattern.to_str().unwrap(), TWO_SECONDS)
        .run()
        .clean();
    let written = tempfile::tempdir().unwrap();
    for (index, record) in episodes(&bucket).iter().enumerate() {
        let [record_file, file] =
            [written.path(), folder.path()].map(|path| path.join(format!("{index}.mp4")));
        fs::write(&record_file, &record.bytes).unwrap();
        let contents = [&record_file, &file].map(|file| mp4::without_creation_times(file));
        assert!(contents[0] == contents[1], "episode {index}");
    }
}

#[test]
fn edit_lists_are_in_the_record() {
    let bucket = example();
    let location = address(&SERVER.url(), &bucket, "");
    let pipeline = exporter(&bucket, &location, "");
    let source = pipeline.element("source");
    source.set_property_from_str("start-mode", "exact");
    source.set_property("start", (START_US + 1_500_000).to_string());
    let outcome = pipeline.run().clean();
    assert_eq!(outcome.episodes()[0].hidden, 5);
    let records = episodes(&bucket);
    assert_eq!(records[0].time_us, START_US + 1_500_000);
    assert_eq!(records.len(), 1);
    assert_eq!(pictures(&records[0]), 45);
}

#[test]
fn rates_of_ntsc_and_none() {
    let bucket = record(
        &Recording {
            labels: &[],
            ..Default::default()
        },
        &Stream::make(StreamSpec {
            fps: (30_000, 1001),
            frames: 30,
            ..Default::default()
        }),
    );
    export(&bucket);
    let rate = |record: &Record| {
        let labels = record.labels.iter();
        let mut rates = labels.filter(|(name, _)| name == "fps");
        rates.next().map(|(_, rate)| rate.clone())
    };
    let rates: Vec<_> = episodes(&bucket).iter().map(rate).collect();
    assert_eq!(rates, [Some("29.97".into())]);

    let unknown = Recording {
        layout: Layout::AccessUnit,
        labels: &[],
        ..Default::default()
    };
    let bucket = record(
        &unknown,
        &Stream::make(StreamSpec {
            vui_timing: false,
            ..Default::default()
        }),
    );
    export(&bucket);
    let rates: Vec<_> = episodes(&bucket).iter().map(rate).collect();
    assert_eq!(rates, [None, None, None]);
}

#[test]
fn an_episode_that_was_exported_before_is_accepted() {
    let bucket = example();
    export(&bucket);
    let before = episodes(&bucket);
    let outcome = export(&bucket);
    assert_eq!(outcome.episodes().len(), 3);
    let told = warnings(&outcome);
    assert_eq!(told.len(), 3, "{told:#?}");
    for text in told {
        assert!(text.contains("is there already"), "{text}");
    }
    assert_eq!(episodes(&bucket), before);
}

#[test]
fn another_record_at_the_same_time_is_an_error() {
    let bucket = example();
    let time_us = START_US + 2 * SECOND_US;
    SERVER.write(&bucket, "episodes", time_us, "video/mp4", &[], "another");
    let location = address(&SERVER.url(), &bucket, "");
    let outcome = exporter(&bucket, &location, TWO_SECONDS).run();
    assert!(!outcome.eos);
    let (error, _) = outcome.error();
    assert!(error.matches(gst::ResourceError::Write), "{error}");
    let text = error.message();
    for part in [
        &time_us.to_string(),
        "'video/mp4' of 7 bytes",
        "Remove that",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let files = files(text);
    assert!((1..=2).contains(&files.len()), "{files:?}");
    take_files(&files, 1);
    let records = episodes(&bucket);
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].bytes, "another");
    assert_eq!(outcome.episodes().len(), 1);
}

#[test]
fn a_missing_bucket_is_an_error_before_any_episode() {
    let location = address(&SERVER.url(), "none", "");
    let outcome = exporter(&example(), &location, "").run();
    let (error, _) = outcome.error();
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    assert!(error.message().contains("'none'"), "{error}");
}

#[test]
fn an_episode_without_a_capture_time_is_an_error() {
    let bucket = SERVER.new_bucket();
    let pipeline = Pipeline::launch(
        "videotestsrc num-buffers=30 ! video/x-raw,width=64,height=64 ! x264enc ! \
         reductepisodesplit name=split",
    );
    let location = address(&SERVER.url(), &bucket, "");
    pipeline
        .element("split")
        .set_property("location", &location);
    let outcome = pipeline.run();
    let told = outcome.errors.iter().map(|(error, _)| error);
    let told: Vec<_> = told
        .filter(|error| error.matches(gst::ResourceError::Settings))
        .collect();
    assert_eq!(told.len(), 1, "{}", outcome.text());
    let text = told[0].message();
    for part in ["capture time", "timestamp/x-unix", &location] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_bad_address_does_not_start() {
    for (location, reason) in [
        ("reduct://127.0.0.1/b", "no bucket and entry"),
        ("reduct://127.0.0.1/b/e?start=5", "'start'"),
        ("reduct://127.0.0.1/b/e?timeout=soon", "'soon'"),
        ("reduct://u:s3cret@127.0.0.1/b/e", "REDUCT_API_TOKEN"),
        (
            "reduct://127.0.0.1/b/e?api-token=s3cret",
            "REDUCT_API_TOKEN",
        ),
        ("reduct://127.0.0.1/b/e%20x", "entry"),
    ] {
        let pipeline = exporter("b", location, "");
        assert!(pipeline.set_state(gst::State::Ready).is_ok());
        assert!(pipeline.set_state(gst::State::Paused).is_err());
        let shown: String = pipeline.element("split").property("location");
        let outcome = pipeline.finish(Vec::new());
        let (error, _) = outcome.error();
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        assert!(error.message().contains(reason), "{location}: {error}");
        assert!(!outcome.text().contains("s3cret"), "{}", outcome.text());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

/// A large episode.
fn large() -> Stream {
    Stream::make(StreamSpec {
        size: (640, 480),
        frames: 20,
        content: Content::Noise,
        ..Default::default()
    })
}

#[test]
fn tokens() {
    let server = Server::builder().token("s3cret").start();
    let (bucket, stream) = (server.new_bucket(), large());
    let recording = Recording::default();
    recording.write(&server, &bucket, "e", &stream);
    let reader = server.create_token("reader", &[&bucket]);
    let run = |token: &str| {
        let location = address(&server.url(), &bucket, "");
        let pipeline = exporter(&bucket, &location, "");
        let source = pipeline.element("source");
        source.set_property("url", server.url());
        source.set_property("api-token", "s3cret");
        pipeline.element("split").set_property("api-token", token);
        pipeline.run()
    };
    for (token, part) in [
        ("wr0ng", "REDUCT_API_TOKEN"),
        (&reader, "does not allow to write"),
    ] {
        let outcome = run(token);
        let (error, _) = outcome.error();
        assert!(error.matches(gst::ResourceError::NotAuthorized), "{error}");
        assert!(error.message().contains(part), "{error}");
        assert!(!outcome.text().contains(token), "{}", outcome.text());
    }
    run("s3cret").clean();
    let records = server.read(&bucket, "episodes");
    assert_eq!(records.len(), 1);
    assert!(records[0].bytes.len() > 2 * LARGE);
}

/// Runs a test again with a log of everything, and fails if that or what it prints has the secret in
/// it.
#[track_caller]
fn assert_no_output_has(secret: &str, test: &str, variables: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let log = [
        ("GST_DEBUG", "*:9"),
        ("GST_DEBUG_NO_COLOR", "1"),
        ("GST_DEBUG_FILE", file.to_str().unwrap()),
    ];
    let printed = child::again(test, &[&log, variables].concat()).expect("not the child");
    let logged = fs::read(&file).unwrap();
    let logged = String::from_utf8_lossy(&logged);
    for part in ["reductepisodesplit", "Invalid token", "reduct-episode"] {
        assert!(logged.contains(part), "no {part}");
    }
    for line in printed.lines().chain(logged.lines()) {
        assert!(!line.contains(secret), "{line}");
    }
}

/// Exports to a server that accepts a token and to one that does not, and prints all that an
/// application can see.
fn print_exports(addresses: &str, token: Option<&str>) {
    let bucket = example();
    for location in addresses.split(' ') {
        let pipeline = exporter(&bucket, location, "");
        let split = pipeline.element("split");
        if let Some(token) = token {
            split.set_property("api-token", token);
        }
        pipeline.play();
        let messages = pipeline.wait_for_end();
        println!(
            "{}",
            pipeline.debug_to_dot_data(gst::DebugGraphDetails::all())
        );
        for pspec in split.list_properties() {
            // GStreamer 1.22 finds it critical to print none of a structure.
            let is_set = pspec.name() != "muxer-properties";
            if is_set && pspec.flags().contains(gst::glib::ParamFlags::READABLE) {
                println!(
                    "{} = {:?}",
                    pspec.name(),
                    split.property_value(pspec.name())
                );
            }
        }
        println!("{}", pipeline.finish(messages).text());
    }
}

#[track_caller]
fn assert_token_stays_secret(test: &str, token: Option<&str>) {
    const TOKEN: &str = "s3cret-t0ken";
    if let Ok(addresses) = std::env::var("TEST_ADDRESSES") {
        return print_exports(&addresses, token);
    }
    let servers = [TOKEN, "another"].map(|token| Server::builder().token(token).start());
    let addresses = servers.each_ref().map(|server| {
        server.create_bucket("b");
        address(&server.url(), "b", "")
    });
    let addresses = addresses.join(" ");
    let environment = [("REDUCT_API_TOKEN", TOKEN)];
    let environment = &environment[..usize::from(token.is_none())];
    let variables = [environment, &[("TEST_ADDRESSES", &addresses)]].concat();
    assert_no_output_has(TOKEN, test, &variables);
}

#[test]
fn a_token_of_the_property_is_in_no_output() {
    let test = "a_token_of_the_property_is_in_no_output";
    assert_token_stays_secret(test, Some("s3cret-t0ken"));
}

#[test]
fn a_token_of_the_environment_is_in_no_output() {
    assert_token_stays_secret("a_token_of_the_environment_is_in_no_output", None);
}

/// Exports through a proxy that lets uploads have these fates, and then no more. Gives the number of
/// warnings.
#[track_caller]
fn assert_survives(stream: &Stream, parameters: &str, fates: &[Fate]) -> usize {
    let bucket = record(&Recording::default(), stream);
    let fates: Vec<_> = fates.into();
    let proxy = Proxy::start(&SERVER, move |kind, index| match kind {
        Kind::Write => fates.get(index).copied().unwrap_or(Fate::Pass),
        _ => Fate::Pass,
    });
    let location = address(&proxy.url(), &bucket, parameters);
    let pipeline = exporter(&bucket, &location, TWO_SECONDS);
    let outcome = pipeline.run().clean();
    let records = episodes(&bucket);
    let frames = stream.units.len();
    assert_eq!(records.len(), frames.div_ceil(20), "{}", outcome.text());
    assert_eq!(outcome.episodes().len(), records.len());
    for record in &records {
        assert_plays(record, 20);
    }
    let warnings = warnings(&outcome);
    for text in &warnings {
        assert!(text.contains("Trying again"), "{text}");
    }
    assert_eq!(
        stat(&pipeline.element("split"), "retries"),
        0,
        "of the next run"
    );
    warnings.len()
}

#[test]
fn small_uploads_that_are_cut() {
    let cuts = [0, 1, 1_000, 20_000].map(Fate::CutRequest);
    assert_eq!(assert_survives(&Stream::example(), "", &cuts), 4);
}

#[test]
fn large_uploads_that_are_cut() {
    let cuts = [0, 100_000, LARGE, 3 * LARGE].map(Fate::CutRequest);
    assert_eq!(assert_survives(&large(), "", &cuts), 4);
}

#[test]
fn answers_to_uploads_that_are_lost() {
    // What was written is not written again.
    assert_eq!(assert_survives(&Stream::example(), "", &[Fate::Lose; 3]), 3);
    assert_eq!(assert_survives(&large(), "", &[Fate::Lose]), 1);
}

#[test]
fn uploads_that_are_not_answered() {
    let fates = [
        Fate::Close,
        Fate::Status(503),
        Fate::Status(429),
        Fate::Stall,
        Fate::Pass,
        Fate::Stall,
    ];
    assert_eq!(
        assert_survives(&Stream::example(), "?timeout=300", &fates),
        5
    );
    assert_eq!(assert_survives(&large(), "?timeout=300", &fates[..4]), 4);
}

#[test]
fn a_record_that_the_server_never_finishes() {
    // When nothing came for so long, it answers, and leaves a small record as it is.
    let server = Server::builder()
        .env("RS_IO_OPERATION_TIMEOUT", "1")
        .start();
    let bucket = example();
    server.create_bucket(&bucket);
    let mut writes = 0;
    let proxy = Proxy::start(&server, move |kind, _| match kind {
        Kind::Write => {
            writes += 1;
            match writes {
                1 | 3 => Fate::StallRequest(1_000),
                _ => Fate::Pass,
            }
        }
        _ => Fate::Pass,
    });
    let location = address(&proxy.url(), &bucket, "");
    let outcome = exporter(&bucket, &location, TWO_SECONDS).run().clean();
    assert_eq!(warnings(&outcome).len(), 2, "{}", outcome.text());
    let records = server.read(&bucket, "episodes");
    assert_eq!(records.len(), 3);
    for record in &records {
        assert_plays(record, 20);
    }
}

#[test]
fn a_record_that_an_earlier_run_left_unfinished() {
    let bucket = example();
    // The upload is cut, and the pipeline stops before it is tried again.
    let proxy = Proxy::start(&SERVER, move |kind, _| match kind {
        Kind::Write => Fate::CutRequest(1_000),
        _ => Fate::Pass,
    });
    let location = address(&proxy.url(), &bucket, "?retries=0");
    let outcome = exporter(&bucket, &location, TWO_SECONDS).run();
    let (error, _) = outcome.error();
    take_files(&files(error.message()), 0);
    export(&bucket);
    assert_eq!(episodes(&bucket).len(), 3);
}

#[test]
fn uploads_fail_after_the_set_number_of_attempts() {
    let bucket = example();
    let proxy = Proxy::start(&SERVER, move |kind, _| match kind {
        Kind::Write => Fate::Status(503),
        _ => Fate::Pass,
    });
    let location = address(&proxy.url(), &bucket, "?retries=2");
    let outcome = exporter(&bucket, &location, TWO_SECONDS).run();
    assert!(!outcome.eos);
    let (error, _) = outcome.error();
    assert!(error.matches(gst::ResourceError::Busy), "{error}");
    assert!(error.message().contains(REASON), "{error}");
    assert_eq!(warnings(&outcome).len(), 2, "{}", outcome.text());
    assert_eq!(proxy.count(Kind::Write), 3);
    take_files(&files(error.message()), 0);
}

#[test]
fn a_server_that_is_away_for_a_while() {
    let bucket = example();
    let server = Server::start();
    server.create_bucket(&bucket);
    server.kill();
    let location = address(&server.url(), &bucket, "");
    let pipeline = exporter(&bucket, &location, TWO_SECONDS);
    pipeline.play();
    let mut messages = Vec::new();
    pipeline.wait(&mut messages, |message| {
        message.type_() == gst::MessageType::Warning
    });
    server.restart();
    messages.extend(pipeline.wait_for_end());
    let outcome = pipeline.finish(messages).clean();
    assert_eq!(outcome.episodes().len(), 3);
    assert_eq!(server.read(&bucket, "episodes").len(), 3);
}

/// An export of 60 episodes to a server that stalls, when it does not go on.
fn stalled() -> (Pipeline, Proxy, String) {
    let bucket = record(
        &Recording::default(),
        &Stream::make(StreamSpec {
            frames: 1200,
            ..Default::default()
        }),
    );
    let proxy = Proxy::start(&SERVER, |kind, _| match kind {
        Kind::Write => Fate::Stall,
        _ => Fate::Pass,
    });
    let location = address(&proxy.url(), &bucket, "?timeout=0");
    let pipeline = exporter(&bucket, &location, TWO_SECONDS);
    pipeline.play();
    let split = pipeline.element("split");
    await_that("nothing is uploaded", || {
        proxy.count(Kind::Write) > 0 && stat(&split, "waiting") >= 4
    });
    (pipeline, proxy, bucket)
}

#[test]
fn the_stream_waits_for_uploads() {
    let (pipeline, proxy, _) = stalled();
    common::long::await_rest(&pipeline.element("source"));
    let waiting = stat(&pipeline.element("split"), "waiting");
    // What was on its way through splitmuxsink comes, too.
    assert!((4..=6).contains(&waiting), "{waiting}");
    assert_eq!(proxy.count(Kind::Write), 1);
    let outcome = pipeline.finish(Vec::new());
    assert!(
        outcome.errors.is_empty() && !outcome.eos,
        "{}",
        outcome.text()
    );
    let told = warnings(&outcome);
    let [text] = told[..] else {
        panic!("{told:#?}");
    };
    let files = files(text);
    assert_eq!(files.len() as u64, waiting + 1);
    take_files(&files, 0);
}

/// Runs a test in another process with a temporary folder of its own. Returns whether it did, which it
/// does not within that process.
fn ran_with_folder(test: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    child::again(test, &[("TMPDIR", folder.path().to_str().unwrap())]).is_some()
}

#[test]
fn a_stop_ends_waits_at_once() {
    if ran_with_folder("a_stop_ends_waits_at_once") {
        return;
    }
    for state in [gst::State::Ready, gst::State::Null] {
        let stop = |_| {
            let (pipeline, _proxy, _) = stalled();
            let begin = Instant::now();
            pipeline.set_state(state).unwrap();
            begin.elapsed()
        };
        let mut taken: Vec<_> = (0..3).map(stop).collect();
        taken.sort();
        // A busy machine may be late once; a wait that does not end is late each time.
        assert!(taken[1] < Duration::from_millis(300), "{taken:?}");
    }
}

#[test]
fn a_bin_can_start_and_stop_at_any_time() {
    if ran_with_folder("a_bin_can_start_and_stop_at_any_time") {
        return;
    }
    let bucket = example();
    let location = address(&SERVER.url(), &bucket, "");
    let pipeline = exporter(&bucket, &location, "");
    let (source, split) = (pipeline.element("source"), pipeline.element("split"));
    let resources = || {
        let count = |folder| fs::read_dir(folder).unwrap().count();
        (count("/proc/self/fd"), count("/proc/self/task"))
    };
    let mut before = None;
    for round in 0..60 {
        pipeline.play();
        let wanted = [0, 1, 20, 60][round % 4];
        await_that("no access units", || {
            stat(&source, "access-units") >= wanted
        });
        if round % 8 == 7 {
            await_that("no record", || stat(&split, "episodes") == 1);
        }
        let state = [gst::State::Null, gst::State::Ready][round / 4 % 2];
        pipeline.set_state(state).unwrap();
        if round == 10 {
            pipeline.set_state(gst::State::Null).unwrap();
            before = Some(resources());
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    let (files, threads) = before.unwrap();
    await_that("something is left", || {
        let now = resources();
        now.0 <= files + 4 && now.1 <= threads + 4
    });
    assert_eq!(episodes(&bucket).len(), 1);
}

#[test]
fn a_flush_ends_waits() {
    let (pipeline, _proxy, _) = stalled();
    let source = pipeline.element("source");
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
    let _ = source.seek_simple(flags, gst::ClockTime::ZERO);
    let messages = pipeline.wait_for_end();
    let outcome = pipeline.finish(messages);
    let (error, _) = outcome.error();
    assert!(error.matches(gst::StreamError::Mux), "{error}");
    take_files(&files(&warnings(&outcome).concat()), 0);
}

/// Exports with a temporary folder of this name, in a process of its own. Gives the modes of the folder
/// and of the files in it, as they were while it exported.
fn modes_of_files_in(test: &str, name: &str) -> Option<Vec<u32>> {
    if let Ok(seen) = std::env::var("TEST_SEEN") {
        let bucket = example();
        let location = address(&SERVER.url(), &bucket, "");
        let pipeline = exporter(&bucket, &location, TWO_SECONDS);
        let mut modes = Vec::new();
        pipeline.play();
        pipeline.wait(&mut Vec::new(), |message| {
            message
                .structure()
                .is_some_and(|it| it.name() == "splitmuxsink-fragment-opened")
        });
        for folder in fs::read_dir(std::env::temp_dir()).unwrap() {
            let folder = folder.unwrap();
            if folder
                .file_name()
                .to_str()
                .unwrap()
                .starts_with("reductepisodesplit-")
            {
                let mode = |data: fs::Metadata| data.permissions().mode() & 0o777;
                modes.push(mode(folder.metadata().unwrap()).to_string());
                for file in fs::read_dir(folder.path()).unwrap().flatten() {
                    modes.extend(file.metadata().ok().map(|data| mode(data).to_string()));
                }
            }
        }
        fs::write(seen, modes.join(" ")).unwrap();
        pipeline.finish(pipeline.wait_for_end()).clean();
        assert_eq!(episodes(&bucket).len(), 3);
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join(name);
    fs::create_dir(&temporary).unwrap();
    let seen = folder.path().join("seen");
    let variables = [
        ("TMPDIR", temporary.to_str().unwrap()),
        ("TEST_SEEN", seen.to_str().unwrap()),
    ];
    child::again(test, &variables)?;
    let left = fs::read_dir(&temporary).unwrap().flatten();
    let left = left.filter(|it| {
        it.file_name()
            .to_string_lossy()
            .starts_with("reductepisodesplit-")
    });
    assert_eq!(left.count(), 0, "the folder stays");
    let modes = fs::read_to_string(seen).unwrap();
    Some(modes.split(' ').map(|mode| mode.parse().unwrap()).collect())
}

#[test]
fn the_name_of_the_temporary_folder_is_no_pattern() {
    let test = "the_name_of_the_temporary_folder_is_no_pattern";
    let _ = modes_of_files_in(test, "a {start} %d %% {start-us} b");
}

#[test]
fn files_on_their_way_are_for_their_owner() {
    let test = "files_on_their_way_are_for_their_owner";
    if let Some(modes) = modes_of_files_in(test, "tmp") {
        assert!(modes.len() > 1, "{modes:?}");
        assert_eq!(modes[0], 0o700);
        assert!(modes[1..].iter().all(|mode| *mode == 0o600), "{modes:?}");
    }
}

#[test]
fn eos_follows_the_last_upload() {
    let bucket = example();
    let location = address(&SERVER.url(), &bucket, "");
    let pipeline = exporter(&bucket, &location, TWO_SECONDS);
    let outcome = pipeline.run().clean();
    let position = |wanted: &dyn Fn(&gst::Message) -> bool| {
        let mut messages = outcome.messages.iter();
        messages.position(wanted).expect("the message")
    };
    let eos = position(&|message| message.type_() == gst::MessageType::Eos);
    let is_last = |message: &gst::Message| {
        let structure = message.structure();
        structure.is_some_and(|structure| {
            structure.name() == "reduct-episode" && structure.get::<u32>("index") == Ok(2)
        })
    };
    assert!(position(&is_last) < eos, "{}", outcome.text());
}

#[test]
fn uploads_continue_in_a_pause_and_eos_follows_it() {
    let server = Server::start();
    let bucket = example();
    server.create_bucket(&bucket);
    let mut writes = 0;
    let proxy = Proxy::start(&server, move |kind, _| match kind {
        Kind::Write => {
            writes += 1;
            if writes == 1 { Fate::Stall } else { Fate::Pass }
        }
        _ => Fate::Pass,
    });
    // Long enough for the stream to reach its end meanwhile.
    let location = address(&proxy.url(), &bucket, "?timeout=5000");
    let pipeline = exporter(&bucket, &location, TWO_SECONDS);
    pipeline.play();
    let split = pipeline.element("split");
    // The stream is at its end, and the first upload stalls.
    await_that("the episodes are not complete", || {
        stat(&split, "waiting") == 2
    });
    pipeline.set_state(gst::State::Paused).unwrap();
    await_that("nothing is uploaded", || stat(&split, "episodes") == 3);
    pipeline.play();
    let messages = pipeline.wait_for_end();
    pipeline.finish(messages).clean();
    assert_eq!(server.read(&bucket, "episodes").len(), 3);
}

#[test]
fn a_handler_of_the_message_about_a_record_may_stop_the_pipeline() {
    let bucket = example();
    let location = address(&SERVER.url(), &bucket, "");
    let pipeline = exporter(&bucket, &location, TWO_SECONDS);
    let (sender, stopped) = mpsc::channel();
    let to_stop = pipeline.downgrade();
    let bus = pipeline.bus().unwrap();
    bus.set_sync_handler(move |_, message| {
        let name = message.structure().map(|it| it.name().as_str());
        if name == Some("reduct-episode")
            && let Some(pipeline) = to_stop.upgrade()
        {
            sender.send(pipeline.set_state(gst::State::Null)).unwrap();
        }
        gst::BusSyncReply::Drop
    });
    pipeline.play();
    let changed = stopped.recv_timeout(Duration::from_secs(30));
    assert_eq!(
        changed.expect("a stop"),
        Ok(gst::StateChangeSuccess::Success)
    );
    // Later ones are not begun.
    assert_eq!(episodes(&bucket).len(), 1);
    assert!(stopped.try_recv().is_err());
    bus.unset_sync_handler();
    pipeline.run().clean();
    assert_eq!(episodes(&bucket).len(), 3);
}

#[test]
fn a_bin_can_be_used_again() {
    let bucket = example();
    let location = address(&SERVER.url(), &bucket, "");
    let pipeline = exporter(&bucket, &location, TWO_SECONDS);
    pipeline.play();
    let messages = pipeline.wait_for_end();
    pipeline.set_state(gst::State::Ready).unwrap();
    drop(messages);
    pipeline.play();
    let messages = pipeline.wait_for_end();
    let outcome = pipeline.finish(messages).clean();
    assert_eq!(outcome.episodes().len(), 3);
    let folder = tempfile::tempdir().unwrap();
    let pattern = folder.path().join("%d.mp4");
    let split = pipeline.element("split");
    split.set_property("location", pattern.to_str().unwrap());
    pipeline.run().clean();
    assert_eq!(mp4::episodes(folder.path()).len(), 3);
    assert_eq!(episodes(&bucket).len(), 3);
}

#[test]
fn a_stream_without_an_episode_ends() {
    let bucket = example();
    let location = address(&SERVER.url(), &bucket, "");
    let pipeline = exporter(&bucket, &location, "");
    let stop = START_US + 300_000;
    let source = pipeline.element("source");
    source.set_property("start", (START_US + 200_000).to_string());
    source.set_property("stop", stop.to_string());
    let outcome = pipeline.run().clean();
    assert_eq!(outcome.episodes().len(), 0);
}
