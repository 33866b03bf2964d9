// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The examples record a file in a real ReductStore, dump, verify and follow it.

#[allow(dead_code)]
#[path = "../../../tests/common/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../../../tests/common/wait.rs"]
mod wait;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bytes::Bytes;
use media::codec::annexb::nal_units;
use media::codec::h264::ParameterSets;
use media::codec::h264::testing::{AUD, IDR, P, SPS, SliceSpec, SpsSpec, pps, record, slice, sps};
use media::codec::length_prefixed::to_byte_stream;
use media::mp4::read_video_track;

use server::Server;

/// 2025-06-15T15:06:40Z in µs since the Unix epoch.
const START: u64 = 1_750_000_000_000_000;

/// Returns a stream of groups of ten frames, each of which begins with parameter sets, frame by frame.
fn stream(frames: usize) -> Vec<Vec<u8>> {
    // Without reordering: pictures wait for no later ones.
    let stream = SpsSpec {
        max_num_reorder_frames: Some(0),
        ..SPS
    };
    let (sps, pps) = (sps(stream), pps(0));
    let frame = |index: usize| match index % 10 {
        0 => record(&[AUD, &sps, &pps, &slice(IDR)]).to_vec(),
        number => {
            let number = number as u8;
            let header = SliceSpec {
                frame_num: number,
                order: 2 * number % 16, // `pic_order_cnt_lsb` has 4 bits
                ..P
            };
            record(&[AUD, &slice(header)]).to_vec()
        }
    };
    (0..frames).map(frame).collect()
}

/// Returns the command of an example, which cargo builds with all tests but not with a single one.
fn command(name: &str, arguments: &[&str]) -> Command {
    let test = std::env::current_exe().expect("this test");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/PROFILE");
    let program: PathBuf = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "run 'cargo build -p recording --examples' first: there is no {}",
        program.display()
    );
    let mut command = Command::new(program);
    command.args(arguments).env_remove("REDUCT_API_TOKEN");
    command
}

/// Runs an example that succeeds.
fn example(name: &str, arguments: &[&str]) -> Output {
    let output = command(name, arguments).output();
    let output = output.expect("the example starts");
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn a_file_that_is_recorded_is_dumped() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (source, video, times) = (path("in.h264"), path("out.h264"), path("out.csv"));
    let frames = stream(50);
    fs::write(&source, frames.concat()).expect("a file");
    let url = server.url();

    example(
        "record",
        &[&url, "b", "cam", &source, &START.to_string(), "25"],
    );
    let records = server.read("b", "cam");
    assert_eq!(records.len(), 50);
    assert_eq!(records[1].time_us, START + 40_000);
    assert_eq!(records[49].bytes, frames[49]);

    example("dump", &[&url, "b", "cam", &video, &times]);
    assert_eq!(fs::read(&video).expect("a dump"), frames.concat());
    let lines = fs::read_to_string(&times).expect("times");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 51);
    let length = frames[1].len();
    let second = format!("{},40000000,40000000,40000000,{length},0,0", START + 40_000);
    assert_eq!(lines[2], second);

    // A range, from its first keyframe to before its stop.
    let bounds = [START + 100_000, START + 1_000_000].map(|time| time.to_string());
    example(
        "dump",
        &[&url, "b", "cam", &video, &times, &bounds[0], &bounds[1]],
    );
    assert_eq!(fs::read(&video).expect("a dump"), frames[10..25].concat());
}

#[test]
fn an_entry_is_cut_into_episodes() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let text = |path: PathBuf| path.to_str().expect("UTF-8").to_owned();
    let source = text(folder.path().join("in.h264"));
    let frames = stream(50);
    fs::write(&source, frames.concat()).expect("a file");
    let url = server.url();
    example(
        "record",
        &[&url, "b", "cam", &source, &START.to_string(), "25"],
    );
    let mut sets = ParameterSets::default();
    nal_units(&frames[0]).for_each(|nal| sets.put(&frames[0][nal.bytes]));

    // Groups of 0.4 s: 1 s is reached at the third keyframe, and exceeded with the third group.
    for (mode, ends) in [
        (None, &[0, 30, 50][..]),
        (Some("at-most"), &[0, 20, 40, 50]),
    ] {
        let folder = folder.path().join(mode.unwrap_or("next-keyframe"));
        fs::create_dir(&folder).expect("a folder");
        let path = text(folder.clone());
        let arguments = [&url, "b", "cam", &path, "1"];
        let arguments: Vec<&str> = arguments.into_iter().chain(mode).collect();
        example("episodes", &arguments);
        for (index, ends) in ends.windows(2).enumerate() {
            let file = fs::read(folder.join(format!("episode_{index:05}.mp4")));
            let file = Bytes::from(file.expect("an episode"));
            let track = read_video_track(std::slice::from_ref(&file)).expect("a video track");
            let configuration = track.configuration.expect("parameter sets");
            assert_eq!(ParameterSets::from_configuration(&configuration), sets);
            let samples = track.samples.iter().map(|sample| {
                let begin = sample.offset as usize;
                to_byte_stream(4, &file[begin..begin + sample.size as usize])
            });
            let expected = frames[ends[0]..ends[1]].concat();
            assert_eq!(samples.collect::<Vec<_>>().concat(), expected, "{index}");
        }
        let rows = fs::read_to_string(folder.join("frames.csv")).expect("rows");
        let rows: Vec<&str> = rows.lines().skip(1).collect();
        let expected: Vec<String> = (ends.windows(2).enumerate())
            .flat_map(|(episode, ends)| (ends[0]..ends[1]).map(move |frame| (episode, frame)))
            .map(|(episode, frame)| {
                let number = frame - ends[episode];
                let time = 40_000 * frame as u64;
                let (capture, pts) = (START + time, 1000 * time);
                let bytes = frames[frame].len();
                let is_keyframe = u8::from(frame % 10 == 0);
                format!("{episode},{number},{capture},{pts},40000000,{bytes},{is_keyframe},0,0")
            })
            .collect();
        assert_eq!(rows, expected, "{mode:?}");
    }
}

#[test]
fn a_recording_is_verified() {
    let server = Server::start();
    server.create_bucket("b");
    let url = server.url();
    let frames = stream(30);
    let time = |index: usize| START + 40_000 * index as u64;
    for (index, frame) in frames.iter().enumerate() {
        // A picture is missing in the second group.
        if index != 15 {
            server.write("b", "cam", time(index), "video/h264", &[], frame.clone());
        }
    }
    let bounds = [time(0), time(10)].map(|time| time.to_string());
    let intact = example("verify", &[&url, "b", "cam", &bounds[0], &bounds[1]]);
    let text = String::from_utf8(intact.stdout).expect("UTF-8");
    assert!(text.starts_with("10 records, 10 frames"), "{text}");

    let whole = command("verify", &[&url, "b", "cam"]).output();
    let whole = whole.expect("the example starts");
    assert_eq!(whole.status.code(), Some(1));
    let text = String::from_utf8(whole.stdout).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].contains("1 reference picture is missing"),
        "{text}"
    );
    assert!(lines[1].contains("1 losses"), "{text}");
}

#[test]
fn errors_are_sentences_with_their_causes() {
    let server = Server::start();
    server.create_bucket("b");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let source = path("in.h264");
    fs::write(&source, stream(3).concat()).expect("a file");
    let (url, start) = (server.url(), START.to_string());
    let (video, times) = (path("out.h264"), path("out.csv"));
    let missing = "caused by: status 404";
    // The recorder would have to write before this record.
    server.write(
        "b",
        "cam",
        START + 1,
        "video/h264",
        &[],
        stream(1)[0].clone(),
    );
    for (name, arguments, cause) in [
        ("dump", &[&*url, "b", "none", &video, &times][..], missing),
        ("verify", &[&url, "b", "none"], missing),
        ("follow", &[&url, "b", "none"], missing),
        ("episodes", &[&url, "b", "none", &path(""), "1"], missing),
        (
            "record",
            &[&url, "b", "cam", &source, &start, "25"],
            "caused by: Could not write 'b/cam'",
        ),
    ] {
        let mut example = command(name, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let input = example.stdin.take(); // It does not end.
        let output = example.wait_with_output().expect("the example ends");
        drop(input);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(text.contains(cause), "{name}: {text}");
        assert!(!text.contains("Failure {"), "{name}: {text}");
    }
}

#[test]
fn a_recording_is_followed_until_the_input_ends() {
    let server = Server::start();
    server.create_bucket("b");
    let url = server.url();
    let frames = stream(12);
    let write = |index: usize| {
        let time = START + 40_000 * index as u64;
        server.write("b", "cam", time, "video/h264", &[], frames[index].clone());
    };
    (0..10).for_each(write);
    let mut follow = command("follow", &[&url, "b", "cam", &START.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let mut expect = |index: usize| {
        let line = lines.next().expect("a line").expect("UTF-8");
        let ms = 40 * index;
        let time = format!("2025-06-15T15:06:40.{ms:03}000Z ");
        assert!(line.starts_with(&time), "{index}: {line}");
    };
    // The newest frame may wait for the next one.
    (0..9).for_each(&mut expect);
    (10..12).for_each(write);
    (9..11).for_each(&mut expect);
    drop(follow.stdin.take());
    let status = follow.wait().expect("the example ends");
    assert!(status.success(), "{status}");
}
