// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Episodes of an encoder's stream have the pictures of the stream, as ffmpeg and GStreamer decode them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use server_tests::encoder::{self, run};
use server_tests::query::{PROTOCOLS, Protocol, Query};
use server_tests::server::Server;

/// Runs ffmpeg. Returns its output.
fn ffmpeg(arguments: &[&str]) -> String {
    let mut command = Command::new("ffmpeg");
    let output = run(command.args(["-v", "error", "-y"]).args(arguments));
    String::from_utf8(output).expect("text")
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

#[test]
fn pictures_are_those_of_the_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let stream = path("stream.h264");
    let bytes = encoder::stream();
    fs::write(&stream, &bytes).expect("a stream");
    let server = Server::start();
    let bucket = encoder::bucket_with(&server, &bytes);
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
