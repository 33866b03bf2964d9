// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Streams of every kind, frame for frame.
//!
//! Each test makes a stream with one property, records it in three ways and exports each with and
//! without a limit: every picture comes out once, in order and unchanged, evenly spaced, in files
//! that begin with an IDR picture and are cut where they should be.

mod common;

use std::collections::HashMap;

use common::line::{self, check_file, check_pictures};
use common::mp4;
use common::pcm::{Coding, Frame, Sequence, Slices, frame};
use common::recording::{Layout, Recording};
use common::stream::{Content, Stream, StreamSpec, is_idr, nal_type, nal_units};

/// A record holds an access unit, a GOP, or a number of access units that is no divisor of one.
const LAYOUTS: [Layout; 3] = [Layout::AccessUnit, Layout::Gop, Layout::AccessUnits(7)];

/// A stream and what is special about its export.
struct Case {
    stream: Stream,
    /// The checksums of its pictures, where they are known without a decoder.
    pictures: Option<Vec<String>>,
    /// The access unit that the export begins with: those before it cannot be decoded.
    first: usize,
    /// Whether OpenH264 can decode it.
    second_decoder: bool,
    /// Whether it could be cut at recovery points only.
    recovery_points_only: bool,
}

impl From<Stream> for Case {
    fn from(stream: Stream) -> Self {
        Self {
            stream,
            pictures: None,
            first: 0,
            second_decoder: true,
            recovery_points_only: false,
        }
    }
}

impl From<(Stream, Vec<String>)> for Case {
    fn from((stream, pictures): (Stream, Vec<String>)) -> Self {
        Self {
            pictures: Some(pictures),
            ..stream.into()
        }
    }
}

impl From<StreamSpec> for Case {
    fn from(spec: StreamSpec) -> Self {
        Stream::make(spec).into()
    }
}

impl Case {
    /// It is beyond OpenH264 2.3: that knows neither interlaced video nor other formats than 4:2:0
    /// in 8 bit, and no order in cycles.
    ///
    /// Nor does it show the last picture of a GOP in some patterns of B pictures: the picture's
    /// memory is used again before it is shown, in the source stream as well.
    fn one_decoder(mut self) -> Self {
        self.second_decoder = false;
        self
    }

    /// Cuts are possible at recovery points only.
    fn recovery_points_only(mut self) -> Self {
        self.recovery_points_only = true;
        self
    }

    /// The export begins with this access unit.
    fn from_unit(mut self, first: usize) -> Self {
        self.first = first;
        self
    }

    /// Records and exports it in all ways.
    #[track_caller]
    fn judge(self) {
        let fps = self.stream.fps;
        let pictures = self.pictures.clone().unwrap_or_else(|| {
            let units = self.first..self.stream.units.len();
            mp4::stream_checksums(&self.stream.slice(units))
        });
        assert_eq!(pictures.len(), self.stream.units.len() - self.first);
        // Most ways give the same files, and it takes longest to decode them.
        let mut judged: HashMap<Vec<u8>, Vec<String>> = HashMap::new();
        for layout in LAYOUTS {
            let recording = Recording {
                layout,
                labels: &[],
                ..Default::default()
            };
            let bucket = line::record(&recording, &self.stream);
            for limit in [None, Some(1)] {
                let way = format!("{layout:?}, limit {limit:?}");
                let splitter = match limit {
                    Some(seconds) => format!("duration={seconds}000000000"),
                    None => String::new(),
                };
                let source = format!("fps={}/{}", fps.0, fps.1);
                let export = line::export(&bucket, &source, &splitter);

                assert_eq!(export.frames(), self.frames(limit), "{way}");
                let mut found = Vec::new();
                for episode in &export.episodes {
                    let bytes = mp4::without_creation_times(&episode.location);
                    let checksums = judged.entry(bytes).or_insert_with(|| {
                        let file = mp4::probe(&episode.location);
                        check_file(episode, &file, fps);
                        let decoded = mp4::decode(&episode.location);
                        check_pictures(episode, &decoded, fps);
                        if self.second_decoder {
                            let second = mp4::decode_with_openh264(&episode.location);
                            assert_eq!(second.len(), decoded.checksums.len(), "{way}, OpenH264");
                            assert_eq!(second, decoded.checksums, "{way}, OpenH264");
                        }
                        decoded.checksums
                    });
                    found.extend_from_slice(checksums);
                }
                assert_eq!(found, pictures, "{way}");

                let dropped = usize::from(self.first > 0);
                let uncut = usize::from(self.recovery_points_only && limit.is_some());
                let warnings = export.warnings();
                assert_eq!(warnings.len(), dropped + uncut, "{way}: {warnings:?}");
                if uncut > 0 {
                    assert!(warnings[0].contains("keyframe-mode"), "{warnings:?}");
                }
                let units = self.stream.units.len() as u64;
                assert_eq!(export.source_stat("access-units"), units, "{way}");
                assert_eq!(export.source_stat("gaps"), 0, "{way}");
                assert_eq!(export.splitter_stat("dropped"), self.first as u64, "{way}");
            }
        }
    }

    /// How many frames each episode has: the first IDR picture at the limit begins another one, and
    /// so does one with other parameter sets.
    fn frames(&self, limit_s: Option<u64>) -> Vec<u64> {
        let (num, den) = self.stream.fps;
        let mut episodes = vec![0];
        let mut sets: Vec<&[u8]> = Vec::new();
        for unit in &self.stream.units[self.first..] {
            let new: Vec<_> = nal_units(unit)
                .into_iter()
                .filter(|nal| matches!(nal_type(nal), 7 | 8))
                .collect();
            let frames = episodes.last_mut().expect("an episode");
            if is_idr(unit) && *frames > 0 {
                let changed = !new.is_empty() && new != sets;
                // Half a frame is tolerated.
                let full = limit_s.is_some_and(|limit| {
                    (2 * *frames + 1) * u64::from(den) >= 2 * limit * u64::from(num)
                });
                if changed || full {
                    episodes.push(0);
                }
            }
            *episodes.last_mut().expect("an episode") += 1;
            if !new.is_empty() {
                sets = new;
            }
        }
        episodes
    }
}

/// Two seconds at 30 fps, in GOPs of half a second.
fn base() -> StreamSpec {
    StreamSpec {
        fps: (30, 1),
        gop: 15,
        ..Default::default()
    }
}

/// As [`base`], with other parameters of x264.
fn x264(x264_params: &'static str) -> Case {
    StreamSpec {
        x264_params,
        ..base()
    }
    .into()
}

/// As [`base`], a plain stream of I and P pictures.
fn plain() -> Stream {
    Stream::make(base())
}

/// As [`base`] with B pictures that others refer to.
fn pyramid() -> Stream {
    Stream::make(StreamSpec {
        x264_params: "bframes=3:b-pyramid=normal",
        ..base()
    })
}

/// As [`base`] with B pictures, in a size.
fn sized(width: u32, height: u32) -> StreamSpec {
    StreamSpec {
        size: (width, height),
        x264_params: "bframes=2",
        ..base()
    }
}

/// User data that says nothing, as SEI.
const SEI: &[u8] = b"\x06\x05\x12gst-plugin-reduct\x21\x80";

/// Filler data.
const FILLER: &[u8] = &[12, 0xff, 0xff, 0xff, 0x80];

/// Frames of an IDR picture, P pictures with pyramids of three B pictures before them, and P
/// pictures at the end.
fn pyramids(frames: i32) -> Vec<Frame> {
    let mut gop = vec![frame(Slices::I, 0)];
    let mut last = 0;
    while last + 4 < frames {
        gop.extend([
            frame(Slices::P, last + 4),
            frame(Slices::B, last + 2).reference(true),
            frame(Slices::B, last + 1),
            frame(Slices::B, last + 3),
        ]);
        last += 4;
    }
    gop.extend((last + 1..frames).map(|display| frame(Slices::P, display)));
    gop
}

/// Frames of an IDR picture and P pictures, each with a B picture before it.
fn one_b_each(frames: i32) -> Vec<Frame> {
    let pairs = (2..frames).step_by(2);
    let mut gop = vec![frame(Slices::I, 0)];
    gop.extend(pairs.flat_map(|last| [frame(Slices::P, last), frame(Slices::B, last - 1)]));
    if frames % 2 == 0 {
        gop.push(frame(Slices::P, frames - 1));
    }
    gop
}

/// Frames of an IDR picture and P pictures, every second of which is no reference.
fn no_b(frames: i32) -> Vec<Frame> {
    let mut gop: Vec<_> = (0..frames)
        .map(|display| frame(Slices::P, display).reference(display % 2 == 0))
        .collect();
    gop[0] = frame(Slices::I, 0);
    gop
}

/// Four of the same GOP, written by hand.
fn by_hand(sequence: Sequence, gop: Vec<Frame>) -> Case {
    sequence.stream(&vec![gop; 4], (30, 1)).into()
}

/// Four of the same GOP in field pictures and, where `coding` says so, in frame pictures.
fn fields(order_type: u8, gop: Vec<Frame>, coding: fn(usize) -> Coding) -> Case {
    let sequence = Sequence {
        order_type,
        interlaced: true,
        reorder: Some(2),
        ..Default::default()
    };
    let gop = gop.into_iter().enumerate();
    let gop = gop.map(|(index, frame)| frame.coding(coding(index)));
    by_hand(sequence, gop.collect()).one_decoder()
}

/// A test for each stream.
macro_rules! streams {
    ($($name:ident: $case:expr,)*) => {$(
        #[test]
        fn $name() {
            Case::from($case).judge();
        }
    )*};
}

streams! {
    i_and_p: plain(),
    i_only: x264("keyint=1"),
    i_pictures_that_are_no_idr: StreamSpec { content: Content::Cuts, gop: 30, ..base() },
    one_idr_only: StreamSpec { gop: 60, ..base() },
    baseline: x264("cabac=0:no-8x8dct=1:weightp=0"),
    cabac: x264("cabac=1:8x8dct=1:bframes=2"),
    cavlc: x264("cabac=0:8x8dct=1:bframes=2"),
    constrained_intra_prediction: x264("constrained-intra=1"),
    five_reference_frames: x264("ref=5:cabac=1:me=hex:partitions=all"),
    weighted_p_prediction: StreamSpec {
        content: Content::Fade,
        x264_params: "weightp=2:ref=3:cabac=1",
        ..base()
    },

    b_pictures_in_a_pyramid: pyramid(),
    b_pictures_in_a_strict_pyramid: x264("bframes=3:b-pyramid=strict"),
    b_pictures_without_pyramid: x264("bframes=3:b-pyramid=none").one_decoder(),
    one_b_picture_in_a_row: x264("bframes=1"),
    sixteen_b_pictures_in_a_row: Case::from(StreamSpec {
        gop: 40,
        frames: 80,
        x264_params: "bframes=16:b-pyramid=normal:ref=4",
        ..base()
    })
    .one_decoder(),
    sixteen_b_pictures_without_pyramid: Case::from(StreamSpec {
        gop: 40,
        frames: 80,
        x264_params: "bframes=16:b-pyramid=none",
        ..base()
    })
    .one_decoder(),
    b_pictures_where_they_pay:
        x264("bframes=5:b-adapt=2:b-pyramid=normal:ref=5:cabac=1").one_decoder(),
    b_pictures_with_many_references: x264("ref=5:cabac=1:bframes=2:b-pyramid=normal"),
    weighted_b_prediction: StreamSpec {
        content: Content::Fade,
        x264_params: "weightp=2:weightb=1:bframes=3:ref=3:cabac=1",
        ..base()
    },
    b_pictures_in_gops_of_three: x264("keyint=3:min-keyint=1:bframes=1"),

    open_gop: x264("open-gop=1:bframes=3:b-pyramid=none").recovery_points_only(),
    open_gop_with_pyramid: x264("open-gop=1:bframes=3:b-pyramid=normal").recovery_points_only(),
    intra_refresh: x264("intra-refresh=1").recovery_points_only(),
    intra_refresh_with_b_pictures: x264("intra-refresh=1:bframes=2").recovery_points_only(),

    order_by_lsb: by_hand(Sequence::default(), pyramids(15)),
    order_by_lsb_that_wraps: by_hand(
        Sequence { counter_bits: 5, ..Default::default() },
        pyramids(50),
    ),
    order_by_lsb_of_p_pictures: by_hand(Sequence::default(), no_b(15)),
    order_by_cycle: by_hand(Sequence { order_type: 1, ..Default::default() }, one_b_each(15))
        .one_decoder(),
    order_by_cycle_that_wraps: by_hand(
        Sequence { order_type: 1, counter_bits: 4, ..Default::default() },
        one_b_each(50),
    )
    .one_decoder(),
    order_by_cycle_with_deltas: by_hand(
        Sequence { order_type: 1, reorder: Some(2), ..Default::default() },
        pyramids(15),
    )
    .one_decoder(),
    order_of_decoding: by_hand(Sequence { order_type: 2, ..Default::default() }, no_b(15)),
    order_of_decoding_that_wraps: by_hand(
        Sequence { order_type: 2, counter_bits: 4, ..Default::default() },
        no_b(50),
    ),
    reordering_that_the_vui_tells: by_hand(
        Sequence { reorder: Some(2), ..Default::default() },
        pyramids(15),
    ),

    fields_top_first: fields(0, no_b(15), |_| Coding::TopFirst),
    fields_bottom_first: fields(0, no_b(15), |_| Coding::BottomFirst),
    fields_with_b_pictures: fields(0, pyramids(15), |_| Coding::TopFirst),
    fields_bottom_first_with_b_pictures: fields(0, pyramids(15), |_| Coding::BottomFirst),
    fields_in_a_cycle: fields(1, one_b_each(15), |_| Coding::TopFirst),
    fields_in_order_of_decoding: fields(2, no_b(15), |_| Coding::TopFirst),
    fields_and_frames: fields(0, pyramids(15), |index| match index % 3 {
        0 => Coding::TopFirst,
        1 => Coding::Frame,
        _ => Coding::BottomFirst,
    }),

    four_slices_with_delimiters: x264("slices=4:aud=1"),
    eight_slices: x264("slices=8:bframes=2"),
    slices_of_a_few_bytes: x264("slice-max-size=400:bframes=2"),
    delimiters: plain().with_auds(),
    delimiters_before_b_pictures: x264("aud=1:bframes=3:b-pyramid=normal"),

    mbaff_top_field_first: x264("tff=1:bframes=2:b-pyramid=normal").one_decoder(),
    mbaff_bottom_field_first: x264("bff=1:bframes=3:b-pyramid=normal").one_decoder(),
    mbaff_in_slices: x264("tff=1:slices=3").one_decoder(),
    fake_interlaced: x264("fake-interlaced=1:bframes=2").one_decoder(),

    high_4_2_2: Case::from(StreamSpec {
        format: "yuv422p",
        x264_params: "bframes=2",
        ..base()
    })
    .one_decoder(),
    high_4_4_4: Case::from(StreamSpec {
        format: "yuv444p",
        x264_params: "bframes=2",
        ..base()
    })
    .one_decoder(),
    high_10: Case::from(StreamSpec {
        format: "yuv420p10le",
        x264_params: "bframes=2",
        ..base()
    })
    .one_decoder(),
    high_4_2_2_10: Case::from(StreamSpec {
        format: "yuv422p10le",
        x264_params: "bframes=2",
        ..base()
    })
    .one_decoder(),
    lossless: x264("qp=0:bframes=2").one_decoder(),
    full_range: Case::from(StreamSpec { format: "yuvj420p", ..base() }),

    headers_once: plain().headers_once(),
    headers_once_before_b_pictures: pyramid().headers_once(),
    another_size_and_back: Stream::make(sized(160, 120))
        .then(Stream::make(sized(192, 144)))
        .then(Stream::make(sized(160, 120))),
    another_profile_of_the_same_size: plain().then(Stream::make(StreamSpec {
        x264_params: "cabac=1:8x8dct=1",
        ..base()
    })),
    start_codes_of_three_bytes: plain().start_codes::<3>(),
    start_codes_of_four_bytes: pyramid().start_codes::<4>(),
    zeros_after_nal_units: plain().trailing_zeros(),
    filler_data: x264("nal-hrd=cbr:filler=1:vbv-maxrate=2000:vbv-bufsize=1000:bitrate=2000"),
    filler_data_by_hand: plain().with_nal_at_end(FILLER),
    user_data: plain().with_nal_before_slices(SEI),
    buffering_and_timing_messages:
        x264("pic-struct=1:nal-hrd=vbr:vbv-maxrate=600:vbv-bufsize=600:bframes=2"),
    ends_of_sequence: plain().with_ends(),
    ends_of_sequence_after_b_pictures: pyramid().with_ends(),

    film_rate: StreamSpec {
        fps: (24000, 1001),
        gop: 12,
        x264_params: "bframes=2",
        ..base()
    },
    ntsc_rate: StreamSpec { fps: (30000, 1001), x264_params: "bframes=2", ..base() },
    pal_rate: StreamSpec { fps: (25, 1), gop: 25, frames: 50, ..base() },
    sixty_frames_a_second: StreamSpec {
        fps: (60, 1),
        gop: 30,
        frames: 90,
        x264_params: "bframes=3",
        ..base()
    },
    one_macroblock: sized(16, 16),
    cropped: sized(162, 122),
    cropped_at_the_bottom: StreamSpec { frames: 6, gop: 3, ..sized(1920, 1080) },

    joined_within_a_group: Case::from(joined(&plain(), 7)).from_unit(8),
    joined_within_a_group_with_b_pictures: Case::from(joined(&pyramid(), 4)).from_unit(11),
}

/// A stream without its first units, and its parameter sets before the others.
fn joined(stream: &Stream, cut: usize) -> Stream {
    let sets: Vec<u8> = nal_units(&stream.units[0])
        .into_iter()
        .filter(|nal| matches!(nal_type(nal), 7 | 8))
        .flat_map(|nal| [&[0, 0, 0, 1], nal].concat())
        .collect();
    stream
        .slice(cut..stream.units.len())
        .map_units(|index, unit| match index {
            0 => [&sets, unit].concat(),
            _ => unit.to_vec(),
        })
}
