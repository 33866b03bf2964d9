// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Judges files from outside, with ffprobe and ffmpeg.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gst::glib;
use gst_video::prelude::*;
use reduct_rs::JsonValue;

use super::pipeline::Pipeline;
use super::stream::{Stream, nal_type};
use super::tool;

/// A packet of a file's video track; all times in µs.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Presentation time.
    pub pts_us: i64,
    /// Decoding time.
    pub dts_us: i64,
    /// Duration. ffprobe takes it from the stream where that says its frame rate; 0 if it has none.
    pub duration_us: i64,
    /// Size in bytes.
    pub size: u64,
    /// Offset in the file, in bytes.
    pub position: u64,
    /// The file marks it as a sync sample.
    pub key: bool,
}

/// A file as ffprobe sees it.
#[derive(Clone, Debug)]
pub struct Mp4 {
    /// Codec of the video track.
    pub codec: String,
    /// Width of the video track.
    pub width: u64,
    /// Height of the video track.
    pub height: u64,
    /// Start time of the file, µs.
    pub start_us: i64,
    /// Duration of the file, µs.
    pub duration_us: i64,
    /// Number of samples by the file's header; 0 if they are in fragments.
    pub frames: u64,
    /// The packets in decode order.
    pub packets: Vec<Packet>,
    /// Complete output of ffprobe.
    pub json: JsonValue,
}

/// Probes a file with one video track.
pub fn probe(path: &Path) -> Mp4 {
    let name = path.to_str().expect("a name in UTF-8");
    let args = [
        "-v",
        "error",
        "-of",
        "json",
        "-show_packets",
        "-show_streams",
        "-show_format",
        name,
    ];
    let json: JsonValue = String::from_utf8(tool::run_clean("ffprobe", &args, &[]))
        .expect("UTF-8")
        .parse()
        .expect("JSON");
    let sync = sync_samples(&fs::read(path).expect("the file"));
    let streams = json["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 1, "{name} has one track");
    let stream = &streams[0];
    Mp4 {
        codec: stream["codec_name"].as_str().unwrap_or_default().into(),
        width: stream["width"].as_u64().expect("a width"),
        height: stream["height"].as_u64().expect("a height"),
        start_us: microseconds(&json["format"]["start_time"]),
        duration_us: microseconds(&json["format"]["duration"]),
        frames: match &stream["nb_frames"] {
            JsonValue::Null => 0,
            frames => number(frames),
        },
        packets: (json["packets"].as_array().expect("packets").iter())
            .zip(1..)
            .map(|(packet, index)| Packet {
                pts_us: microseconds(&packet["pts_time"]),
                dts_us: microseconds(&packet["dts_time"]),
                duration_us: match &packet["duration_time"] {
                    JsonValue::Null => 0,
                    duration => microseconds(duration),
                },
                size: number(&packet["size"]),
                position: number(&packet["pos"]),
                key: match &sync {
                    Some(sync) => sync.contains(&index),
                    None => has_key_flag(packet),
                },
            })
            .collect(),
        json,
    }
}

/// Start time of a file in µs, also of one in fragments, which does not state its number of frames.
pub fn start_us(path: &Path) -> i64 {
    let name = path.to_str().expect("a name in UTF-8");
    let args = ["-v", "error", "-of", "json", "-show_format", name];
    let json = String::from_utf8(tool::run_clean("ffprobe", &args, &[])).expect("UTF-8");
    let json: JsonValue = json.parse().expect("JSON");
    microseconds(&json["format"]["start_time"])
}

/// Returns whether the samples of a file are in fragments.
pub fn is_fragmented(path: &Path) -> bool {
    let file = fs::read(path).expect("the file");
    child(&file, b"moof").is_some()
}

fn has_key_flag(packet: &JsonValue) -> bool {
    let flags = packet["flags"].as_str();
    flags.is_some_and(|flags| flags.starts_with('K'))
}

/// The sync samples of a file's only track, from 1, if its header lists them. ffprobe's parser also
/// calls I pictures and recovery points keyframes, whatever the file says.
fn sync_samples(file: &[u8]) -> Option<Vec<u32>> {
    let path = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stss"];
    let table = path
        .iter()
        .try_fold(file, |inside, name| child(inside, name))?;
    let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes"));
    // Version and flags, the number of entries, the entries.
    Some(table[8..].chunks(4).map(word).collect())
}

/// The contents of the first box with a name among boxes.
fn child<'a>(mut boxes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    while let Some((head, mut rest)) = boxes.split_at_checked(8) {
        let size = u32::from_be_bytes(head[..4].try_into().expect("four bytes"));
        let mut size = (size as usize).wrapping_sub(8);
        if head[..4] == [0, 0, 0, 1] {
            // The size follows in 64 bits.
            let (large, after) = rest.split_at_checked(8)?;
            size = u64::from_be_bytes(large.try_into().expect("eight bytes")) as usize - 16;
            rest = after;
        }
        let (contents, after) = rest.split_at_checked(size)?;
        if head[4..] == *name {
            return Some(contents);
        }
        boxes = after;
    }
    None
}

/// Output of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// A checksum of each picture in output order.
    pub checksums: Vec<String>,
    /// The time of each picture, µs.
    pub times_us: Vec<i64>,
    /// Errors and warnings of the decoder.
    pub complaints: String,
}

/// Decodes a file.
pub fn decode(path: &Path) -> Decoded {
    decode_with(&["-i", path.to_str().expect("a name in UTF-8")], &[])
}

/// Decodes a stream.
pub fn decode_stream(stream: &Stream) -> Decoded {
    decode_with(&["-f", "h264", "-i", "pipe:0"], &stream.bytes())
}

/// A checksum of each picture of a file; the decoder must not complain.
pub fn frame_checksums(path: &Path) -> Vec<String> {
    decode(path).clean()
}

/// A checksum of each picture of a stream; the decoder must not complain. Each stream is decoded once.
pub fn stream_checksums(stream: &Stream) -> Vec<String> {
    static KNOWN: Mutex<BTreeMap<Vec<u8>, Vec<String>>> = Mutex::new(BTreeMap::new());
    let bytes = stream.bytes();
    if let Some(known) = KNOWN.lock().unwrap().get(&bytes) {
        return known.clone();
    }
    let checksums = decode_stream(stream).clean();
    KNOWN.lock().unwrap().insert(bytes, checksums.clone());
    checksums
}

impl Decoded {
    /// The checksums, if the decoder did not complain.
    pub fn clean(self) -> Vec<String> {
        assert_eq!(self.complaints, "", "the decoder complains");
        self.checksums
    }
}

/// The types of the NAL units of a packet of a file, which has lengths of four bytes before them.
pub fn nal_types(file: &[u8], packet: &Packet) -> Vec<u8> {
    let at = packet.position as usize;
    let mut rest = &file[at..at + packet.size as usize];
    let mut types = Vec::new();
    while let Some((length, nal)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        types.push(nal_type(nal));
        rest = &nal[length..];
    }
    assert!(rest.is_empty(), "{} bytes after the last NAL", rest.len());
    types
}

/// The SPSs and the PPSs in a file's `avcC` box.
pub fn parameter_sets(file: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let found = file.windows(4).position(|window| window == b"avcC");
    let record = &file[found.expect("an avcC box") + 4..];
    let mut rest = &record[5..];
    let mut sets = |mask: u8| -> Vec<Vec<u8>> {
        let count = rest[0] & mask;
        rest = &rest[1..];
        (0..count)
            .map(|_| {
                let (length, tail) = rest.split_first_chunk().expect("a length");
                let (set, tail) = tail.split_at(u16::from_be_bytes(*length).into());
                rest = tail;
                set.to_vec()
            })
            .collect()
    };
    (sets(0x1f), sets(0xff))
}

/// A file without the times at which it was written.
pub fn without_creation_times(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).expect("the file");
    for name in [b"mvhd", b"tkhd", b"mdhd"] {
        let found = bytes.windows(4).position(|window| window == name);
        let version = found.expect("a box of this name") + 4;
        assert_eq!(bytes[version], 0, "32-bit times");
        bytes[version + 4..version + 12].fill(0);
    }
    bytes
}

/// Decodes a file with OpenH264, which conceals nothing.
pub fn decode_with_openh264(path: &Path) -> Vec<String> {
    let pipeline = Pipeline::launch(&format!(
        "filesrc location={} ! qtdemux ! h264parse ! openh264dec ! appsink name=out",
        path.display()
    ));
    let samples = pipeline.collect("out");
    pipeline.run().clean();
    samples.get().iter().map(checksum).collect()
}

/// The episodes in a folder, by name.
pub fn episodes(folder: &Path) -> Vec<PathBuf> {
    files(folder, "mp4")
}

/// Fails if a folder holds an unfinished episode.
pub fn assert_no_parts(folder: &Path) {
    let parts = files(folder, "part");
    assert!(parts.is_empty(), "unfinished episodes: {parts:?}");
}

/// The files with an extension in a folder, by name.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("a folder's entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// The checksum that ffmpeg would give an I420 picture: rows without padding.
pub fn checksum(sample: &gst::Sample) -> String {
    let caps = sample.caps().expect("caps");
    let info = gst_video::VideoInfo::from_caps(caps).expect("raw video");
    let buffer = sample.buffer().expect("a buffer");
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info);
    let frame = frame.expect("a picture");
    let mut md5 = glib::Checksum::new(glib::ChecksumType::Md5).expect("GLib has MD5");
    for plane in 0..frame.n_planes() {
        let width = frame.comp_width(plane) as usize;
        let rows = (frame.plane_data(plane).expect("a plane"))
            .chunks(frame.plane_stride()[plane as usize] as usize)
            .take(frame.comp_height(plane) as usize);
        rows.for_each(|row| md5.update(&row[..width]));
    }
    md5.string().expect("a checksum")
}

/// Decodes an input of ffmpeg.
fn decode_with(input: &[&str], stdin: &[u8]) -> Decoded {
    // Every picture once and in its own size, whatever its time: no repeats, drops or scaling.
    let hash = [
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-noautoscale",
        "-enc_time_base",
        "-1",
        "-f",
        "framemd5",
        "-",
    ];
    let args = [&["-v", "error"], input, &hash].concat();
    let output = tool::run("ffmpeg", &args, stdin);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut decoded = Decoded {
        checksums: Vec::new(),
        times_us: Vec::new(),
        complaints: output.stderr,
    };
    let mut unit_us = 0.0;
    for line in text.lines() {
        if let Some(time_base) = line.strip_prefix("#tb 0: ") {
            let (num, den) = time_base.split_once('/').expect("a fraction");
            let number = |text: &str| text.parse::<f64>().expect("a number");
            unit_us = 1e6 * number(num) / number(den);
        } else if !line.starts_with('#') {
            let fields: Vec<_> = line.split(',').map(str::trim).collect();
            let &[_, _, pts, _, _, checksum] = fields.as_slice() else {
                panic!("no picture: {line}");
            };
            let pts: f64 = pts.parse().expect("a time");
            decoded.times_us.push((pts * unit_us).round() as i64);
            decoded.checksums.push(checksum.into());
        }
    }
    decoded
}

/// A time that ffprobe writes as decimal seconds.
fn microseconds(value: &JsonValue) -> i64 {
    let seconds: f64 = value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{value} is no time"));
    (seconds * 1e6).round() as i64
}

/// A number that ffprobe writes as a string.
fn number(value: &JsonValue) -> u64 {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{value} is no number"))
}
