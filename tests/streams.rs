// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Streams of every kind, frame for frame.
//!
//! Each test makes a stream with one property, records it in three ways and exports each with and
//! without a limit: every picture comes out once, in order and unchanged, evenly spaced, in files
//! that begin with an IDR picture and are cut where they should be.

mod common;

use std::collections::HashMap;
use std::fs;

use common::SERVER;
use common::line::{self, Export, check_file, check_pictures};
use common::mp4;
use common::pcm::{Coding, Frame, Sequence, Slices, frame};
use common::pipeline::capture_us;
use common::recording::{Layout, Recording, frames_us};
use common::stream::{Content, Stream, StreamSpec, is_idr, nal_ranges, nal_type, nal_units};

/// A record holds an access unit, a GOP, or a number of access units that is no divisor of one.
const LAYOUTS: [Layout; 3] = [Layout::AccessUnit, Layout::Gop, Layout::AccessUnits(7)];

/// A stream and the special properties of its export.
struct Case {
    stream: Stream,
    /// The checksums of its pictures, where they are known without a decoder.
    pictures: Option<Vec<String>>,
    /// The access unit that the export begins with: those before it cannot be decoded.
    first: usize,
    /// OpenH264 can decode it.
    second_decoder: bool,
    /// It could be cut at recovery points only.
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
    fn beginning_at(mut self, first: usize) -> Self {
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
                let first = self.first as u64;
                assert_eq!(export.source_stat("access-units"), units - first, "{way}");
                assert_eq!(export.source_stat("dropped"), first, "{way}");
                assert_eq!(export.source_stat("gaps"), 0, "{way}");
                assert_eq!(export.splitter_stat("dropped"), 0, "{way}");
            }
        }
    }

    /// Number of frames in each episode: the first IDR picture at the limit begins another one, and
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
    headers_before_each_picture: headers_everywhere(&pyramid()),
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

    joined_within_a_group: Case::from(joined(&plain(), 7)).beginning_at(8),
    joined_within_a_group_with_b_pictures: Case::from(joined(&pyramid(), 4)).beginning_at(11),
}

/// The parameter sets of a stream's first picture.
fn headers(stream: &Stream) -> Vec<u8> {
    nal_units(&stream.units[0])
        .into_iter()
        .filter(|nal| matches!(nal_type(nal), 7 | 8))
        .flat_map(|nal| [&[0, 0, 0, 1], nal].concat())
        .collect()
}

/// A stream with the same parameter sets before each picture.
fn headers_everywhere(stream: &Stream) -> Stream {
    let headers = headers(stream);
    stream.map_units(|_, unit| match is_idr(unit) {
        true => unit.to_vec(),
        false => [&headers, unit].concat(),
    })
}

/// A stream without its first units, and its parameter sets before the others.
fn joined(stream: &Stream, cut: usize) -> Stream {
    let headers = headers(stream);
    stream
        .slice(cut..stream.units.len())
        .map_units(|index, unit| match index {
            0 => [&headers, unit].concat(),
            _ => unit.to_vec(),
        })
}

/// A recording of an access unit a record, whose frame rate the property says.
fn unit_records() -> Recording {
    Recording {
        layout: Layout::AccessUnit,
        labels: &[],
        ..Default::default()
    }
}

/// Frames at 30 fps.
const FPS: &str = "fps=30/1";

/// Less than a second, so that a GOP's reordered pictures do not matter.
const ALMOST_A_SECOND: &str = "duration=900000000";

/// Exports at recovery points and checks each file, which the decoder may not complain of.
#[track_caller]
fn export_at_recovery_points(bucket: &str, source: &str, limit: &str) -> Export {
    let source = format!("{FPS} {source}");
    let export = line::export(
        bucket,
        &source,
        &format!("keyframe-mode=recovery-point {limit}"),
    );
    for episode in &export.episodes {
        let file = mp4::probe(&episode.location);
        if episode.hidden == 0 {
            line::check_spacing(episode, &file, (30, 1));
        }
        assert!(file.packets[0].key, "{episode:?}");
        assert_eq!(mp4::decode(&episode.location).complaints, "", "{episode:?}");
    }
    export
}

/// Two seconds of open GOPs of half a second each: I pictures at 15, 30 and 45, each two units
/// earlier in decoding order.
fn open_gops(pyramid: bool) -> Stream {
    Stream::make(StreamSpec {
        x264_params: match pyramid {
            true => "open-gop=1:bframes=3:b-pyramid=normal",
            false => "open-gop=1:bframes=3:b-pyramid=none",
        },
        ..base()
    })
}

#[test]
fn an_open_gop_can_begin_an_episode_without_its_leading_pictures() {
    for pyramid in [false, true] {
        let stream = open_gops(pyramid);
        let source = mp4::stream_checksums(&stream);
        for layout in LAYOUTS {
            let recording = Recording {
                layout,
                ..unit_records()
            };
            let bucket = line::record(&recording, &stream);
            let export = export_at_recovery_points(&bucket, "", ALMOST_A_SECOND);
            assert_eq!(
                export.summary(),
                [(28, "duration"), (30, "eos")],
                "{layout:?}"
            );
            assert_eq!(export.dropped(), [0, 2]);
            assert_eq!(export.splitter_stat("dropped"), 2);
            assert_eq!(export.pictures(), [&source[..28], &source[30..]].concat());
        }
    }
}

#[test]
fn an_open_gop_drops_nothing_where_nothing_is_cut() {
    let stream = open_gops(true);
    let bucket = line::record(&unit_records(), &stream);
    let export = export_at_recovery_points(&bucket, "", "");
    assert_eq!(export.summary(), [(60, "eos")]);
    assert_eq!(export.splitter_stat("dropped"), 0);
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
}

#[test]
fn a_range_without_idr_pictures_begins_at_a_recovery_point() {
    let stream = open_gops(true);
    let recording = unit_records();
    let bucket = line::record(&recording, &stream);
    let source = mp4::stream_checksums(&stream);
    // Unit 13 is the I picture that is shown at 15.
    for (start, skipped) in [(13, 0), (5, 8)] {
        let start = format!("start={}", recording.frame_us(start, stream.fps));
        let export = export_at_recovery_points(&bucket, &start, "");
        assert_eq!(export.summary(), [(45, "eos")]);
        assert_eq!(export.source_stat("dropped"), skipped);
        assert_eq!(export.dropped(), [2]);
        assert_eq!(export.pictures(), source[15..]);

        let idr = line::run(&bucket, &format!("{FPS} {start}"), "");
        assert!(idr.episodes.is_empty(), "{:?}", idr.episodes);
        assert_eq!(idr.splitter_stat("dropped"), 47);
    }
}

#[test]
fn after_a_gap_an_open_gop_can_begin_an_episode() {
    let stream = open_gops(false);
    let recording = Recording {
        holes: vec![(20, 10_000_000)],
        ..unit_records()
    };
    let bucket = line::record(&recording, &stream);
    let source = mp4::stream_checksums(&stream);
    let export = export_at_recovery_points(&bucket, "", "");
    // Units 20 to 27 come before the I picture and go on from those before the pause. Two more are
    // shown before the I picture.
    assert_eq!(export.dropped(), [0, 2]);
    assert_eq!(export.summary(), [(28, "gap"), (30, "eos")]);
    let second = mp4::frame_checksums(&export.episodes[1].location);
    assert_eq!(second, source[30..]);
}

#[test]
fn intra_refresh_can_begin_an_episode() {
    let stream = Stream::make(StreamSpec {
        x264_params: "intra-refresh=1",
        ..base()
    });
    let bucket = line::record(&unit_records(), &stream);
    let export = export_at_recovery_points(&bucket, "", ALMOST_A_SECOND);
    // Pictures are right eight frames after a recovery point. Until then the first file shows them.
    assert_eq!(export.summary(), [(38, "duration"), (22, "eos")]);
    let hidden: Vec<_> = export
        .episodes
        .iter()
        .map(|episode| episode.hidden)
        .collect();
    assert_eq!(hidden, [0, 8]);
    assert_eq!(export.splitter_stat("dropped"), 0);
    assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
}

#[test]
fn streams_of_idr_pictures_are_cut_as_ever() {
    for stream in [plain(), pyramid()] {
        let bucket = line::record(&unit_records(), &stream);
        let export = export_at_recovery_points(&bucket, "", "duration=1000000000");
        assert_eq!(export.summary(), [(30, "duration"), (30, "eos")]);
        assert_eq!(export.splitter_stat("dropped"), 0);
        assert_eq!(export.warnings(), [""; 0]);
        assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
    }
}

#[test]
fn non_idr_i_pictures_without_a_message_begin_nothing() {
    let stream = Stream::make(StreamSpec {
        content: Content::Cuts,
        gop: 60,
        ..base()
    });
    let bucket = line::record(&unit_records(), &stream);
    let export = export_at_recovery_points(&bucket, "", ALMOST_A_SECOND);
    assert_eq!(export.summary(), [(60, "eos")]);
}

/// Half a second of frames by hand, then an I frame of an open GOP with three leading ones, and
/// half a second more.
fn open_gop_by_hand() -> Vec<Frame> {
    let mut frames = pyramids(15);
    frames.extend([
        frame(Slices::I, 18).recovery(0),
        frame(Slices::B, 16).reference(true),
        frame(Slices::B, 15),
        frame(Slices::B, 17),
    ]);
    frames.extend((19..30).map(|display| frame(Slices::P, display)));
    frames
}

#[test]
fn leading_pictures_are_recognized_by_order_and_not_by_type() {
    for coding in [Coding::Frame, Coding::TopFirst] {
        for order_type in [0, 1] {
            let sequence = Sequence {
                order_type,
                interlaced: coding != Coding::Frame,
                reorder: Some(2),
                ..Default::default()
            };
            let frames = open_gop_by_hand().into_iter();
            let frames = frames.map(|frame| frame.coding(coding)).collect();
            let (stream, checksums) = sequence.stream(&[frames], (30, 1));
            let bucket = line::record(&unit_records(), &stream);
            let export = export_at_recovery_points(&bucket, "", "duration=400000000");
            let way = format!("{coding:?}, type {order_type}");
            assert_eq!(export.summary(), [(15, "duration"), (12, "eos")], "{way}");
            assert_eq!(export.dropped(), [0, 3], "{way}");
            let expected = [&checksums[..15], &checksums[18..]].concat();
            assert_eq!(export.pictures(), expected, "{way}");
        }
    }
}

/// Reads a stream with the source alone and checks each buffer's times, given its place in display
/// order.
#[track_caller]
fn check_source_times(stream: &Stream, display: &[usize], layout: Layout) {
    let recording = Recording {
        layout,
        ..unit_records()
    };
    let bucket = line::record(&recording, stream);
    let read = line::read(&bucket, FPS);
    assert!(read.outcome.eos, "{}", read.outcome.text());
    assert!(read.units() == stream.units, "{layout:?}: other bytes");
    let ns = |time: Option<gst::ClockTime>| time.expect("a time").nseconds() as i64;
    let pts: Vec<_> = read.buffers.iter().map(|buffer| ns(buffer.pts())).collect();
    let dts: Vec<_> = read.buffers.iter().map(|buffer| ns(buffer.dts())).collect();
    let first = *pts.iter().min().expect("a buffer");
    for (unit, display) in display.iter().enumerate() {
        let expected = frames_us(*display, stream.fps) as i64 * 1000;
        let found = pts[unit] - first;
        let way = format!("{layout:?}, unit {unit}");
        assert!(
            (found - expected).abs() <= 2000,
            "{way}: {found}, not {expected}"
        );
        assert!(
            dts[unit] <= pts[unit],
            "{way}: DTS {}, PTS {}",
            dts[unit],
            pts[unit]
        );
        assert!(
            unit == 0 || dts[unit - 1] < dts[unit],
            "{way}: DTS {}",
            dts[unit]
        );
        let duration = ns(read.buffers[unit].duration());
        assert!((duration - 33_333_333).abs() <= 2000, "{way}: {duration}");
    }
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0], "{layout:?}");
    let captures = read.buffers.iter().map(|buffer| capture_us(buffer));
    let first = recording.start_us as i64;
    for (unit, capture) in captures.enumerate() {
        let expected = first + frames_us(display[unit], stream.fps) as i64;
        let found = capture.expect("a capture time") as i64;
        assert!(
            (found - expected).abs() <= 2,
            "{layout:?}, unit {unit}: {found}"
        );
    }
}

#[test]
fn the_source_stamps_pictures_in_the_order_in_which_they_are_shown() {
    let gop = pyramids(15);
    let (stream, _) = Sequence::default().stream(&vec![gop.clone(); 4], (30, 1));
    let display: Vec<_> = (0..4)
        .flat_map(|index| {
            gop.iter()
                .map(move |frame| 15 * index + frame.display as usize)
        })
        .collect();
    for layout in [
        Layout::AccessUnit,
        Layout::Gop,
        Layout::AccessUnits(7),
        Layout::Gops(4),
    ] {
        check_source_times(&stream, &display, layout);
    }
}

#[test]
fn a_recording_that_begins_with_an_open_group_has_its_own_order() {
    let sequence = Sequence {
        reorder: Some(2),
        ..Default::default()
    };
    let frames = open_gop_by_hand();
    let (mut stream, _) = sequence.stream(std::slice::from_ref(&frames), (30, 1));
    let mut display: Vec<_> = frames.iter().map(|it| it.display as usize).collect();
    // The other recording is one frame later, and is of the same encoder from the I frame on.
    stream.units.extend_from_within(15..);
    display.extend_from_within(15..);
    (display[30..].iter_mut()).for_each(|display| *display += 15);
    for layout in [Layout::AccessUnit, Layout::AccessUnits(7)] {
        check_source_times(&stream, &display, layout);
    }
}

#[test]
fn a_field_a_record_is_a_frame_of_two_records() {
    let sequence = Sequence {
        interlaced: true,
        ..Default::default()
    };
    let gop: Vec<_> = no_b(15)
        .into_iter()
        .map(|frame| frame.coding(Coding::TopFirst))
        .collect();
    let (stream, checksums) = sequence.stream(&vec![gop; 4], (30, 1));
    let recording = unit_records();
    let mut laid = Vec::new();
    for frame in recording.lay(&stream) {
        let unit = frame.record.bytes.clone();
        let second = nal_ranges(&unit).pop().expect("the second field").start;
        let [mut first_field, mut second_field] = [frame.clone(), frame];
        first_field.record.bytes = unit.slice(..second);
        second_field.record.bytes = unit.slice(second..);
        second_field.record.time_us += 16_667;
        laid.extend([first_field, second_field]);
    }
    let export = line::export(&line::write(&laid), FPS, "duration=1000000000");
    assert_eq!(export.summary(), [(30, "duration"), (30, "eos")]);
    export.checked_files((30, 1));
    assert_eq!(export.pictures(), checksums);
}

/// A stream whose parameter sets come with the first picture and with this one only.
fn headers_at(stream: &Stream, again: usize) -> Stream {
    let headers = headers(stream);
    stream
        .headers_once()
        .map_units(|index, unit| match index == again {
            true => [&headers, unit].concat(),
            false => unit.to_vec(),
        })
}

#[test]
fn parameter_sets_are_looked_for_before_the_range() {
    for stream in [plain().headers_once(), pyramid().headers_once()] {
        let source = mp4::stream_checksums(&stream);
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let recording = Recording {
                layout,
                ..unit_records()
            };
            let bucket = line::record(&recording, &stream);
            let start = recording.frame_us(30, stream.fps);
            // A second is what it takes.
            for lookback in ["", "parameter-set-lookback=1100000000"] {
                let source_properties = format!("{FPS} start={start} {lookback}");
                let export = line::export(&bucket, &source_properties, "");
                assert_eq!(export.summary(), [(30, "eos")], "{layout:?} {lookback}");
                assert_eq!(export.episodes[0].start_us, Some(start));
                assert_eq!(export.source_stat("dropped"), 0);
                assert_eq!(export.splitter_stat("dropped"), 0);
                assert_eq!(export.warnings(), [""; 0]);
                assert_eq!(export.pictures(), source[30..]);
            }
        }
    }
}

#[test]
fn without_parameter_sets_access_units_are_dropped_and_counted() {
    let stream = headers_at(&plain(), 45);
    let source = mp4::stream_checksums(&stream);
    let recording = unit_records();
    let bucket = line::record(&recording, &stream);
    for (start, lookback) in [(30, "900000000"), (30, "1000000"), (1, "1")] {
        let properties = format!(
            "{FPS} parameter-set-lookback={lookback} start={}",
            recording.frame_us(start, stream.fps)
        );
        let export = line::export(&bucket, &properties, "");
        assert_eq!(export.summary(), [(15, "eos")], "{start}");
        assert_eq!(export.source_stat("dropped"), 45 - start as u64);
        assert_eq!(export.source_stat("access-units"), 15);
        assert_eq!(export.pictures(), source[45..]);
    }
}

#[test]
fn the_last_parameter_sets_before_the_range_count() {
    let first = plain().headers_once();
    let second = Stream::make(StreamSpec {
        size: (192, 144),
        ..base()
    });
    let stream = first.then(second.headers_once());
    let source = mp4::stream_checksums(&second);
    let recording = unit_records();
    let bucket = line::record(&recording, &stream);
    let start = recording.frame_us(90, stream.fps);
    let export = line::export(&bucket, &format!("{FPS} start={start}"), "");
    assert_eq!(export.summary(), [(30, "eos")]);
    assert_eq!(export.checked_files(stream.fps)[0].width, 192);
    assert_eq!(export.pictures(), source[30..]);
}

#[test]
fn parameter_sets_in_the_range_need_no_others() {
    let recording = unit_records();
    let other = Stream::make(StreamSpec {
        size: (192, 144),
        ..base()
    });
    let stream = other.then(plain());
    let bucket = line::record(&recording, &stream);
    let start = recording.frame_us(60, stream.fps);
    let export = line::export(&bucket, &format!("{FPS} start={start}"), "");
    assert_eq!(export.summary(), [(60, "eos")]);
    assert_eq!(export.checked_files(stream.fps)[0].width, 160);
    // The searched keyframe is not part of the range.
    assert_eq!(export.source_stat("access-units"), 60);
}

#[test]
fn other_parameter_sets_cut_at_their_idr_picture() {
    let sequence = |chroma_offset| Sequence {
        chroma_offset,
        ..Default::default()
    };
    let gop = no_b(15);
    let (first, mut checksums) = sequence(0).stream(&vec![gop.clone(); 2], (30, 1));
    // The same SPS, but another PPS of the same id.
    let (second, more) = sequence(3).stream(&vec![gop; 2], (30, 1));
    checksums.extend(more);
    assert_eq!(
        nal_units(&first.units[0])[0],
        nal_units(&second.units[0])[0]
    );
    let export = line::export(&line::record(&unit_records(), &first.then(second)), FPS, "");
    assert_eq!(export.summary(), [(30, "format"), (30, "eos")]);
    export.checked_files((30, 1));
    assert_eq!(export.pictures(), checksums);
    for (episode, chroma_offset) in export.episodes.iter().zip([0, 3]) {
        let (_, pps) = mp4::parameter_sets(&fs::read(&episode.location).expect("the file"));
        assert_eq!(pps, [sequence(chroma_offset).pps(0)]);
    }
}

#[test]
fn another_size_cuts_at_its_idr_picture() {
    let (small, large) = (sized(160, 120), sized(192, 144));
    let stream = Stream::make(small)
        .then(Stream::make(large))
        .then(Stream::make(small));
    for layout in LAYOUTS {
        let recording = Recording {
            layout,
            ..unit_records()
        };
        let export = line::export(&line::record(&recording, &stream), FPS, "");
        let expected = [(60, "format"), (60, "format"), (60, "eos")];
        assert_eq!(export.summary(), expected, "{layout:?}");
        let widths: Vec<_> = export
            .checked_files((30, 1))
            .iter()
            .map(|file| file.width)
            .collect();
        assert_eq!(widths, [160, 192, 160]);
    }
}

#[test]
fn all_picture_parameter_sets_are_in_the_file() {
    let sequence = Sequence {
        pps_count: 3,
        ..Default::default()
    };
    let gop: Vec<_> = no_b(15)
        .into_iter()
        .enumerate()
        .map(|(index, frame)| frame.pps_id(index as u32 % 3))
        .collect();
    let (stream, checksums) = sequence.stream(&vec![gop; 4], (30, 1));
    for layout in LAYOUTS {
        let recording = Recording {
            layout,
            ..unit_records()
        };
        let bucket = line::record(&recording, &stream);
        let export = line::export(&bucket, FPS, "duration=1000000000");
        assert_eq!(export.summary(), [(30, "duration"), (30, "eos")]);
        assert_eq!(export.pictures(), checksums);
        for episode in &export.episodes {
            let (sps, pps) = mp4::parameter_sets(&fs::read(&episode.location).expect("the file"));
            assert_eq!(sps, [sequence.sps()]);
            assert_eq!(pps, [sequence.pps(0), sequence.pps(1), sequence.pps(2)]);
            assert_eq!(mp4::decode_with_openh264(&episode.location).len(), 30);
        }
    }
}

#[test]
fn a_new_picture_parameter_set_may_come_with_any_picture() {
    let sequence = Sequence::default();
    let gop: Vec<_> = no_b(30)
        .into_iter()
        .enumerate()
        .map(|(index, frame)| frame.pps_id((index >= 10).into()))
        .collect();
    let (stream, checksums) = sequence.stream(&[gop], (30, 1));
    let pps = sequence.pps(1);
    let stream = stream.map_units(|index, unit| match index {
        10 => [&[0, 0, 0, 1], pps.as_slice(), unit].concat(),
        _ => unit.to_vec(),
    });
    for layout in LAYOUTS {
        let recording = Recording {
            layout,
            ..unit_records()
        };
        let export = line::export(&line::record(&recording, &stream), FPS, "");
        assert_eq!(export.summary(), [(30, "eos")], "{layout:?}");
        export.checked_files((30, 1));
        assert_eq!(export.pictures(), checksums, "{layout:?}");
    }
}

/// Exports records of frames that are not evenly spaced: no picture is lost, and the k-th that is
/// shown is shown at the k-th time.
#[track_caller]
fn check_uneven(recording: &Recording, stream: &Stream, rate: (u32, u32)) {
    check_uneven_and_warnings(recording, stream, rate, 0);
}

/// The same, with so many warnings.
#[track_caller]
fn check_uneven_and_warnings(
    recording: &Recording,
    stream: &Stream,
    rate: (u32, u32),
    warnings: usize,
) {
    let bucket = SERVER.new_bucket();
    let laid = recording.write(&SERVER, &bucket, "e", stream);
    let source = match recording.labels {
        [] => format!("fps={}/{}", rate.0, rate.1),
        _ => String::new(),
    };
    let export = line::export(&bucket, &source, "");
    assert_eq!(export.summary(), [(stream.units.len() as u64, "eos")]);
    let episode = &export.episodes[0];
    let decoded = mp4::decode(&episode.location);
    assert_eq!(decoded.complaints, "");
    assert_eq!(decoded.checksums, mp4::stream_checksums(stream));
    line::check_order(&mp4::probe(&episode.location));
    assert_eq!(export.source_stat("gaps"), 0);
    assert_eq!(export.warnings().len(), warnings, "{:?}", export.warnings());

    let distance = |index: usize| {
        let record = laid.get(index)?;
        let next = laid.get(index + 1)?;
        Some((next.record.time_us - record.record.time_us) / record.frames.len() as u64)
    };
    let times = laid.iter().enumerate().flat_map(|(index, record)| {
        let (time, units) = (record.record.time_us, record.frames.len());
        // The last record continues like the one before it.
        let frame = distance(index).or_else(|| distance(index.checked_sub(1)?));
        let frame = frame.unwrap_or_else(|| frames_us(1, rate));
        (0..units).map(move |unit| time + frame * unit as u64)
    });
    for (frame, (found, expected)) in decoded.times_us.iter().zip(times).enumerate() {
        let expected = (expected - recording.start_us) as i64;
        // The file counts in hundredths of a frame at least.
        let off = (found - expected).abs();
        assert!(
            off <= 1000,
            "picture {frame} at {found} µs, not {expected} µs"
        );
    }

    let read = line::read(&bucket, &source);
    let pairs = read.buffers.windows(2);
    for (index, pair) in pairs.enumerate() {
        assert!(pair[0].dts() < pair[1].dts(), "unit {index}: {pair:?}");
        assert!(pair[0].dts() <= pair[0].pts(), "unit {index}: {pair:?}");
    }
}

#[test]
fn jitter_changes_no_order() {
    for stream in [plain(), pyramid()] {
        let recording = Recording {
            jitter_us: |record| [0, 9000, -9000, 3000, -14_000][record % 5],
            ..unit_records()
        };
        check_uneven(&recording, &stream, (30, 1));
    }
}

#[test]
fn two_units_a_record_are_evenly_spaced() {
    for stream in [plain(), pyramid()] {
        let recording = Recording {
            layout: Layout::AccessUnits(2),
            ..unit_records()
        };
        check_uneven(&recording, &stream, (30, 1));
    }
}

#[test]
fn overlapping_records_change_no_order() {
    for stream in [plain(), pyramid()] {
        // Each record begins before the one in front of it would end.
        let gops = Recording {
            layout: Layout::Gop,
            jitter_us: |record| -90_000 * record as i64,
            ..unit_records()
        };
        let fours = Recording {
            layout: Layout::AccessUnits(4),
            ..gops.clone()
        };
        check_uneven(&gops, &stream, (30, 1));
        // Three times as fast as declared.
        check_uneven_and_warnings(&fours, &stream, (30, 1), 1);
    }
}

#[test]
fn frames_may_come_faster_than_the_label_says() {
    for stream in [plain(), pyramid()] {
        for layout in [Layout::AccessUnit, Layout::AccessUnits(3)] {
            let recording = Recording {
                layout,
                labels: &[("fps", "12")],
                ..unit_records()
            };
            // The label is contradicted, once.
            check_uneven_and_warnings(&recording, &stream, (12, 1), 1);
        }
    }
}

#[test]
fn the_given_rate_counts_and_not_that_of_the_stream() {
    // The streams' own rate is 30 fps.
    for stream in [plain(), pyramid()] {
        let stream = Stream {
            fps: (25, 1),
            ..stream
        };
        let export = line::export(&line::record(&unit_records(), &stream), "fps=25/1", "");
        assert_eq!(export.summary(), [(60, "eos")]);
        export.checked_files(stream.fps);
        assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
    }
}

#[test]
fn long_ranges_do_not_drift() {
    let ranges = [
        ((24000, 1001), Layout::Gops(5)),
        ((30000, 1001), Layout::AccessUnits(7)),
    ];
    for (fps, layout) in ranges {
        let gop = Stream::make(StreamSpec {
            frames: 12,
            gop: 12,
            fps,
            ..sized(16, 16)
        });
        // Five minutes or more.
        let stream = Stream {
            units: gop.units.iter().cycle().take(750 * 12).cloned().collect(),
            fps,
        };
        let recording = Recording {
            layout,
            ..unit_records()
        };
        let bucket = line::record(&recording, &stream);
        let export = line::export(&bucket, &format!("fps={}/{}", fps.0, fps.1), "");
        assert_eq!(export.summary(), [(9000, "eos")], "{fps:?}, {layout:?}");
        export.checked_files(fps);
    }
}
