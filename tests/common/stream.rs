// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Makes H.264 Annex B streams with one property each: x264 makes them, ffprobe finds their access
//! units, and what x264 cannot do is done to the bytes.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use super::tool;

/// Pattern of the pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content {
    /// A moving test pattern.
    Pattern,
    /// The pattern under noise: about seven times the bytes.
    Noise,
    /// The pattern out of the dark, a little lighter each frame: what weighted prediction is for.
    Fade,
    /// The pattern, with a cut in the middle of each GOP: a non-IDR I picture.
    Cuts,
}

/// Parameters of a test stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamSpec {
    /// Frames a second, as a fraction.
    pub fps: (u32, u32),
    /// Number of frames.
    pub frames: usize,
    /// Frames from IDR to IDR.
    pub gop: usize,
    /// Width and height.
    pub size: (u32, u32),
    /// Pattern of the pictures.
    pub content: Content,
    /// More parameters for x264; they win over the ones above.
    pub x264_params: &'static str,
    /// Chroma format and bit depth, by ffmpeg's name.
    pub format: &'static str,
    /// The VUI of the SPS has the frame rate.
    pub vui_timing: bool,
}

impl Default for StreamSpec {
    /// ReductStore's own example: 6 s at 10 fps in closed GOPs of 1 s, no B-frames, each GOP with
    /// its SPS and PPS, no AUDs.
    fn default() -> Self {
        Self {
            fps: (10, 1),
            frames: 60,
            gop: 10,
            size: (160, 120),
            content: Content::Pattern,
            x264_params: "",
            format: "yuv420p",
            vui_timing: true,
        }
    }
}

/// An H.264 stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Its access units in decode order; all of its bytes.
    pub units: Vec<Vec<u8>>,
    /// Its frame rate.
    pub fps: (u32, u32),
}

impl Stream {
    /// ReductStore's own example, by the default of [`StreamSpec`].
    pub fn example() -> Self {
        Self::make(StreamSpec::default())
    }

    /// The example with B-frames, of which some are references.
    pub fn with_b_frames() -> Self {
        Self::make(StreamSpec {
            x264_params: "bframes=3:b-pyramid=normal",
            ..Default::default()
        })
    }

    /// Makes a stream, or takes the one that was made before.
    pub fn make(spec: StreamSpec) -> Self {
        let stream = Self::from_bytes(&encode(&spec), spec.fps);
        assert_eq!(stream.units.len(), spec.frames, "one access unit a frame");
        if spec.vui_timing {
            stream
        } else {
            stream.map_nals(|nal| match nal_type(nal) {
                7 => without_timing(nal, spec.fps),
                _ => nal.to_vec(),
            })
        }
    }

    /// The stream with another `time_scale` and `num_units_in_tick` in its VUI.
    pub fn with_timing(&self, time_scale: u32, units_in_tick: u32) -> Self {
        self.map_nals(|nal| match nal_type(nal) {
            7 => with_timing(nal, self.fps, time_scale, units_in_tick),
            _ => nal.to_vec(),
        })
    }

    /// A stream of any bytes; ffprobe finds its access units.
    pub fn from_bytes(bytes: &[u8], fps: (u32, u32)) -> Self {
        Self {
            units: access_units(bytes),
            fps,
        }
    }

    /// A stream that ffprobe may complain about.
    pub fn from_damaged_bytes(bytes: &[u8], fps: (u32, u32)) -> Self {
        Self {
            units: cut(bytes, &tool::run("ffprobe", &PACKET_SIZES, bytes).stdout),
            fps,
        }
    }

    /// The whole stream.
    pub fn bytes(&self) -> Vec<u8> {
        self.units.concat()
    }

    /// The frames of each GOP.
    pub fn gops(&self) -> Vec<Range<usize>> {
        gops(&self.units)
    }

    /// Some of its frames.
    pub fn slice(&self, frames: Range<usize>) -> Self {
        Self {
            units: self.units[frames].to_vec(),
            fps: self.fps,
        }
    }

    /// This stream and another one behind it: with another size, an SPS change.
    pub fn then(mut self, other: Self) -> Self {
        self.units.extend(other.units);
        self
    }

    /// All start codes with `N` bytes, 3 or 4.
    pub fn start_codes<const N: usize>(&self) -> Self {
        let start_code = &[0, 0, 0, 1][4 - N..];
        self.map_units(|_, unit| {
            let nals = nal_units(unit).into_iter();
            nals.flat_map(|nal| [start_code, nal].concat()).collect()
        })
    }

    /// SPS and PPS at the very start only.
    pub fn headers_once(&self) -> Self {
        self.map_units(|index, unit| {
            let nals = nal_ranges(unit).into_iter().map(|range| &unit[range]);
            nals.filter(|nal| index == 0 || !matches!(nal_type(payload(nal)), 7 | 8))
                .flatten()
                .copied()
                .collect()
        })
    }

    /// An access unit delimiter before each unit.
    pub fn with_auds(&self) -> Self {
        // primary_pic_type 7: slices of any type.
        self.map_units(|_, unit| [&[0, 0, 0, 1, 9, 0xf0], unit].concat())
    }

    /// Start codes of three bytes behind zeros that belong to no NAL unit.
    pub fn trailing_zeros(&self) -> Self {
        self.start_codes::<3>().map_units(|_, unit| {
            let nals = nal_ranges(unit).into_iter();
            nals.flat_map(|nal| [&unit[nal], &[0; 3]].concat())
                .collect()
        })
    }

    /// A NAL unit of its own before the first slice of each unit.
    pub fn with_nal_before_slices(&self, nal: &[u8]) -> Self {
        self.map_units(|_, unit| {
            let slice = nal_ranges(unit)
                .into_iter()
                .find(|nal| matches!(nal_type(payload(&unit[nal.clone()])), 1 | 5))
                .expect("a slice");
            let (head, slices) = unit.split_at(slice.start);
            [head, &[0, 0, 0, 1], nal, slices].concat()
        })
    }

    /// A NAL unit of its own at the end of each unit.
    pub fn with_nal_at_end(&self, nal: &[u8]) -> Self {
        self.map_units(|_, unit| [unit, &[0, 0, 0, 1], nal].concat())
    }

    /// The end of a sequence after each GOP, and the end of the stream after the last one.
    pub fn with_ends(&self) -> Self {
        let last = self.units.len() - 1;
        self.map_units(|index, unit| match self.units.get(index + 1) {
            Some(next) if is_idr(next) => [unit, &[0, 0, 0, 1, 10]].concat(),
            _ if index == last => [unit, &[0, 0, 0, 1, 10, 0, 0, 0, 1, 11]].concat(),
            _ => unit.to_vec(),
        })
    }

    /// Replaces each unit, given its index.
    pub fn map_units(&self, change: impl Fn(usize, &[u8]) -> Vec<u8>) -> Self {
        Self {
            units: (self.units.iter().enumerate())
                .map(|(index, unit)| change(index, unit))
                .collect(),
            fps: self.fps,
        }
    }

    /// Replaces the payload of each NAL unit; the start codes stay.
    pub fn map_nals(&self, change: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        self.map_units(|_, unit| {
            let nals = nal_ranges(unit).into_iter().map(|range| &unit[range]);
            nals.flat_map(|nal| {
                let start_code = &nal[..nal.len() - payload(nal).len()];
                [start_code, &change(payload(nal))].concat()
            })
            .collect()
        })
    }
}

/// The frames of each GOP; those before the first IDR are a group too.
pub fn gops(units: &[Vec<u8>]) -> Vec<Range<usize>> {
    let mut gops: Vec<Range<usize>> = Vec::new();
    for (index, unit) in units.iter().enumerate() {
        match gops.last_mut() {
            Some(gop) if !is_idr(unit) => gop.end = index + 1,
            _ => gops.push(index..index + 1),
        }
    }
    gops
}

/// Returns whether an access unit is an IDR picture.
pub fn is_idr(unit: &[u8]) -> bool {
    nal_units(unit).into_iter().any(|nal| nal_type(nal) == 5)
}

/// The type of a NAL unit without its start code.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal[0] & 0x1f
}

/// The NAL units without their start codes.
pub fn nal_units(bytes: &[u8]) -> Vec<&[u8]> {
    let ranges = nal_ranges(bytes).into_iter();
    ranges.map(|range| payload(&bytes[range])).collect()
}

/// The NAL units with their start codes: they cover all of the bytes from the first start code on.
pub fn nal_ranges(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(3).position(|code| code == [0, 0, 1]) {
        let code = at + found;
        // A zero byte before the code belongs to it: no payload ends with one.
        starts.push(code - usize::from(code > at && bytes[code - 1] == 0));
        at = code + 3;
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    starts
        .iter()
        .copied()
        .zip(ends)
        .map(|(start, end)| start..end)
        .collect()
}

/// Returns a NAL unit without its start code.
pub fn payload(nal: &[u8]) -> &[u8] {
    let zeros = nal.iter().take_while(|&&byte| byte == 0).count();
    &nal[zeros + 1..]
}

/// The stream's bytes from x264, made once and kept: the tests of a run are many processes.
fn encode(spec: &StreamSpec) -> Vec<u8> {
    let StreamSpec {
        fps: (num, den),
        frames,
        gop,
        size: (width, height),
        format,
        ..
    } = *spec;
    let closed = format!("keyint={gop}:min-keyint={gop}:scenecut=0");
    let half = gop.div_ceil(2);
    // For x264's tff=1: ffmpeg asks the pictures which field comes first.
    let fields = match spec.x264_params.contains("tff=1") {
        true => "setfield=tff,",
        false => "",
    };
    let (filter, keyframes, forced) = match spec.content {
        Content::Pattern => ("null".into(), closed, "0".into()),
        Content::Noise => (
            "noise=alls=100:all_seed=1:allf=t".into(),
            closed,
            "0".into(),
        ),
        Content::Fade => (format!("fade=in:0:{frames}"), closed, "0".into()),
        // Within min-keyint of an IDR, x264 makes a cut an I picture that is none; IDRs are forced.
        Content::Cuts => (
            format!("negate=enable='gte(mod(n,{gop}),{half})'"),
            "keyint=100000:min-keyint=50000:scenecut=400".into(),
            format!("expr:eq(mod(n,{gop}),0)"),
        ),
    };
    let params = format!(
        "{keyframes}:bframes=0:b-adapt=0:repeat-headers=1:{}",
        spec.x264_params
    );
    let params = params.trim_end_matches(':');
    let command = format!(
        "-v error -f lavfi -i testsrc2=size={width}x{height}:rate={num}/{den} \
         -vf {filter},{fields}format={format} -frames:v {frames} -c:v libx264 -threads 1 -preset ultrafast \
         -force_key_frames {forced} -forced-idr 1 -x264-params {params} -f h264 -"
    );

    let mut hasher = DefaultHasher::new();
    command.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("streams");
    let path = folder.join(format!("{:016x}.h264", hasher.finish()));
    if let Ok(bytes) = fs::read(&path) {
        return bytes;
    }
    let args: Vec<&str> = command.split(' ').collect();
    let bytes = tool::run_clean("ffmpeg", &args, &[]);
    fs::create_dir_all(&folder).expect("a folder for streams");
    let mut file = tempfile::NamedTempFile::new_in(&folder).expect("a file for the stream");
    file.write_all(&bytes).expect("the stream is kept");
    file.persist(&path).expect("the stream gets its name");
    bytes
}

/// Makes ffprobe write the sizes of a stream's packets.
const PACKET_SIZES: [&str; 10] = [
    "-v",
    "error",
    "-f",
    "h264",
    "-i",
    "pipe:0",
    "-show_entries",
    "packet=size",
    "-of",
    "csv=p=0",
];

/// Cuts a stream at the packets that ffprobe finds.
///
/// Its sizes are exact, also for 3-byte start codes; h264parse adds AUDs and rewrites start codes.
fn access_units(bytes: &[u8]) -> Vec<Vec<u8>> {
    cut(bytes, &tool::run_clean("ffprobe", &PACKET_SIZES, bytes))
}

/// Cuts bytes into parts of these sizes.
fn cut(bytes: &[u8], sizes: &[u8]) -> Vec<Vec<u8>> {
    let sizes = str::from_utf8(sizes).expect("UTF-8");
    let mut rest = bytes;
    let units = sizes
        .split_whitespace()
        .map(|size| {
            let size = size.trim_end_matches(',').parse().expect("a size");
            let (unit, tail) = rest.split_at(size);
            rest = tail;
            unit.to_vec()
        })
        .collect();
    assert!(rest.is_empty(), "ffprobe left {} bytes", rest.len());
    units
}

/// An SPS whose VUI gives no frame rate: x264 always writes one, and no bitstream filter of ffmpeg
/// removes it.
fn without_timing(sps: &[u8], fps: (u32, u32)) -> Vec<u8> {
    replace_timing(sps, fps, &[false])
}

/// An SPS with another `time_scale` and `num_units_in_tick`.
fn with_timing(sps: &[u8], fps: (u32, u32), time_scale: u32, units_in_tick: u32) -> Vec<u8> {
    let numbers = [units_in_tick, time_scale].into_iter().flat_map(bits_of);
    let fixed_frame_rate_flag = [false];
    let timing: Vec<_> = [true]
        .into_iter()
        .chain(numbers)
        .chain(fixed_frame_rate_flag)
        .collect();
    replace_timing(sps, fps, &timing)
}

/// An SPS with other bits from `timing_info_present_flag` to `fixed_frame_rate_flag`.
fn replace_timing(sps: &[u8], (num, den): (u32, u32), other: &[bool]) -> Vec<u8> {
    let mut bits: Vec<bool> = unescape(sps)
        .into_iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
        .collect();
    // timing_info_present_flag, num_units_in_tick, time_scale: too long to be found by chance.
    let timing: Vec<bool> = [true]
        .into_iter()
        .chain([den, num * 2].into_iter().flat_map(bits_of))
        .collect();
    let at = bits
        .windows(timing.len())
        .position(|window| window == timing)
        .expect("x264 writes the frame rate");
    bits.splice(at..at + timing.len() + 1, other.iter().copied());

    let stop = bits
        .iter()
        .rposition(|&bit| bit)
        .expect("rbsp_stop_one_bit");
    bits.truncate(stop + 1);
    bits.resize(bits.len().next_multiple_of(8), false);
    let bytes = bits
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
    escape(bytes)
}

/// A number's bits, highest first.
fn bits_of(number: u32) -> impl Iterator<Item = bool> {
    (0..32).rev().map(move |bit| number >> bit & 1 == 1)
}

/// Removes emulation prevention bytes.
fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

/// Inserts emulation prevention bytes.
pub fn escape(bytes: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut nal = Vec::new();
    let mut zeros = 0;
    for byte in bytes {
        if zeros >= 2 && byte <= 3 {
            nal.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        nal.push(byte);
    }
    nal
}

/// Streams of the folder `jvt` in that of `REDUCT_TEST_MEDIA`, with their names. None without the variable.
pub fn stored_streams() -> Vec<(&'static str, Stream)> {
    let Some(folder) = env::var_os("REDUCT_TEST_MEDIA") else {
        println!("skipped: REDUCT_TEST_MEDIA names no folder");
        return Vec::new();
    };
    let folder = Path::new(&folder).join("jvt");
    let names = [
        "BA_MW_D.264",
        "CVFC1_Sony_C.jsv",
        "Cisco_Men_whisper_640x320_CABAC_Bframe_9.264",
        "Error_I_P.264",
        "MIDR_MW_D.264",
        "MPS_MW_A.264",
        "MR1_BT_A.h264",
        "NRF_MW_E.264",
        "SVA_BA1_B.264",
    ];
    let read = |name| {
        let bytes = fs::read(folder.join(name)).expect("the stream");
        (name, Stream::from_damaged_bytes(&bytes, (25, 1)))
    };
    names.map(read).into()
}
