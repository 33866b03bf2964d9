// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The examples record a file in a real ReductStore and dump it again.

#[allow(dead_code)]
#[path = "../../../tests/common/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../../../tests/common/wait.rs"]
mod wait;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use media::codec::h264::testing::{AUD, IDR, P, SPS, SliceSpec, pps, record, slice, sps};

use server::Server;

/// 2025-06-15T15:06:40Z in µs since the Unix epoch.
const START: u64 = 1_750_000_000_000_000;

/// Returns a stream of groups of ten frames, each of which begins with parameter sets, frame by frame.
fn stream(frames: usize) -> Vec<Vec<u8>> {
    let (sps, pps) = (sps(SPS), pps(0));
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

/// Runs an example, which cargo builds with all tests but not with a single one.
fn example(name: &str, arguments: &[&str]) -> Output {
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
    let output = Command::new(program)
        .args(arguments)
        .env_remove("REDUCT_API_TOKEN")
        .output()
        .expect("the example starts");
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
    let sets = record(&[&sps(SPS), &pps(0)]);

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
            let video = fs::read(folder.join(format!("episode_{index:05}.h264")));
            let expected = [&sets[..], &frames[ends[0]..ends[1]].concat()].concat();
            assert_eq!(video.expect("an episode"), expected, "{index}");
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
