// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Episodes of an encoder's stream have the pictures of the stream, as ffmpeg and GStreamer decode them.

use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use serde_json::json;
use server_tests::query::{PROTOCOLS, Protocol, Query};
use server_tests::recording::{ENTRY, group_record};
use server_tests::server::{Record, Server};

/// Runs ffmpeg. Returns its output.
fn ffmpeg(arguments: &[&str]) -> String {
    let mut command = Command::new("ffmpeg");
    run(command.args(["-v", "error", "-y"]).args(arguments))
}

/// Runs a program. Returns its output.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// Returns the bytes of all pictures in output order, as ffmpeg decodes them.
fn samples(file: &Path) -> Vec<u8> {
    let [file, raw] = [file, &file.with_extension("ffmpeg")].map(name);
    ffmpeg(&["-i", &file, "-f", "rawvideo", "-pix_fmt", "yuv420p", &raw]);
    fs::read(raw).expect("pictures")
}

/// Returns the same as qtdemux shows them: without those that the edit list hides.
fn samples_by_gstreamer(file: &Path) -> Vec<u8> {
    let raw = file.with_extension("gstreamer");
    let line = format!(
        "filesrc location={} ! qtdemux ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=I420 \
         ! filesink location={}",
        name(file),
        name(&raw)
    );
    let mut command = Command::new("timeout");
    let command = command.args(["60", "gst-launch-1.0", "-q"]);
    run(command.args(line.split_whitespace()));
    fs::read(raw).expect("pictures")
}

fn name(file: &Path) -> String {
    file.to_str().expect("a name in UTF-8").to_owned()
}

/// Returns a checksum of each picture in output order.
fn pictures(file: &Path) -> Vec<String> {
    let text = ffmpeg(&["-i", &name(file), "-f", "framemd5", "-"]);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
        .collect()
}

/// Splits a stream before each SPS.
fn groups(stream: &[u8]) -> Vec<Bytes> {
    let is_begin = |at: &usize| stream[*at..].starts_with(&[0, 0, 0, 1, 0x67]);
    let begins: Vec<_> = (0..stream.len()).filter(is_begin).collect();
    let ends = begins.iter().skip(1).copied().chain([stream.len()]);
    begins
        .iter()
        .zip(ends)
        .map(|(begin, end)| Bytes::copy_from_slice(&stream[*begin..end]))
        .collect()
}

#[test]
fn pictures_are_those_of_the_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let stream = path("stream.h264");
    // With B-frames: the order of output is not that of decoding.
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=10:duration=6",
        "-c:v",
        "libx264",
        "-g",
        "10",
        "-bf",
        "2",
        "-x264-params",
        "scenecut=0:open-gop=0",
        "-f",
        "h264",
        &name(&stream),
    ]);
    let groups = groups(&fs::read(&stream).expect("a stream"));
    assert_eq!(groups.len(), 6);
    let server = Server::start();
    let bucket = server.new_bucket();
    let records: Vec<_> = (0..)
        .zip(groups)
        .map(|(index, bytes)| Record {
            bytes,
            ..group_record(index)
        })
        .collect();
    server.write_all(&bucket, ENTRY, &records);
    let expected = pictures(&stream);
    let expected_samples = samples(&stream);
    assert_eq!(expected.len(), 60);
    for protocol in PROTOCOLS {
        for (export, count) in [
            (json!({}), 1),
            (json!({ "duration": "2s" }), 3),
            (
                json!({ "duration": "2s", "split_mode": "at-most", "faststart": true }),
                3,
            ),
            (json!({ "size": "50KB", "fragmented": true }), 0),
        ] {
            let episodes = Query::export(&server, &bucket, protocol, export.clone()).answers();
            assert!(
                count == 0 || episodes.len() == count,
                "{export}: {} episodes",
                episodes.len()
            );
            let mut found = Vec::new();
            let mut found_samples = Vec::new();
            for episode in &episodes {
                let file = path("episode.mp4");
                fs::write(&file, &episode.content).expect("a file");
                let pictures = pictures(&file);
                assert_eq!(episode.labels["frames"], pictures.len().to_string());
                found.extend(pictures);
                if protocol == Protocol::V2 {
                    found_samples.extend(samples_by_gstreamer(&file));
                }
            }
            assert!(
                protocol == Protocol::V1 || found_samples == expected_samples,
                "{export}: GStreamer"
            );
            assert!(found == expected, "{protocol:?}, {export}");
        }
    }
}
