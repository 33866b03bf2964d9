// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A stream of an encoder, with reordered pictures.

use std::process::Command;

use bytes::Bytes;

use crate::recording::{ENTRY, group_record};
use crate::server::{Record, Server};

/// Arguments of ffmpeg for six groups of ten pictures, ten a second. With B-frames: the order of output is not that of
/// decoding.
const ENCODE: &str = "-v error -f lavfi -i testsrc2=size=320x240:rate=10:duration=6 -c:v libx264 -g 10 -bf 2 \
     -x264-params scenecut=0:open-gop=0 -f h264 -";

/// Runs a program. Returns its output.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("it starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Returns a stream of six groups of ten pictures.
pub fn stream() -> Vec<u8> {
    run(Command::new("ffmpeg").args(ENCODE.split_whitespace()))
}

/// Returns a new bucket with the groups of such a stream in the entry [`ENTRY`], a record each.
pub fn bucket_with(server: &Server, stream: &[u8]) -> String {
    let records: Vec<_> = (0..)
        .zip(groups(stream))
        .map(|(number, bytes)| Record {
            bytes,
            ..group_record(number)
        })
        .collect();
    assert_eq!(records.len(), 6);
    let bucket = server.new_bucket();
    server.write_all(&bucket, ENTRY, &records);
    bucket
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
