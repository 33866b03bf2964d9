// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The extension of the server makes the same episodes as the elements, with the step for remaining episodes behind
//! the export. Without that step the end of a query is different, as the tests at the end state.

// Lost frames are a list of ranges, often of one.
#![allow(clippy::single_range_in_vec_init)]

mod common;

use std::path::Path;

use common::extension::{AtEnd, Exported, Request, check_same, check_same_until};
use common::line;
use common::mp4;
use common::pcm::{Sequence, Slices, frame};
use common::recording::{LAYOUTS, Laid, Layout, Recording, at};
use common::stream::{Stream, StreamSpec, is_idr, nal_ranges, nal_type, payload, stored_streams};
use reduct_rs::condition;

const TWO_SECONDS: &str = "duration=2000000000";
const AT_MOST: &str = "duration=2500000000 split-mode=at-most";
const TEN: &[(&str, &str)] = &[("fps", "10")];

/// Exports records by the elements and by the extension, and checks that the episodes are the same.
#[track_caller]
fn check(laid: &[Laid], source: &str, splitter: &str) -> Exported {
    let bucket = line::write(laid);
    check_bucket(&bucket, source, splitter)
}

/// The same of entry `e` of a bucket.
#[track_caller]
fn check_bucket(bucket: &str, source: &str, splitter: &str) -> Exported {
    let by_element = line::export(bucket, source, splitter);
    let request = Request::of(source, splitter).expect("parameters of the extension");
    let exported = request.run(bucket, AtEnd::All).expect("episodes");
    check_same(&by_element, &exported);
    assert!(!exported.episodes.is_empty(), "no episode");
    exported
}

fn streams() -> [Stream; 2] {
    [Stream::example(), Stream::with_b_frames()]
}

fn x264(x264_params: &'static str) -> Stream {
    Stream::make(StreamSpec {
        x264_params,
        ..StreamSpec::default()
    })
}

fn units() -> Recording {
    Recording {
        layout: Layout::AccessUnit,
        ..Recording::default()
    }
}

#[test]
fn layouts_and_limits() {
    for stream in streams() {
        for layout in LAYOUTS {
            let laid = Recording {
                layout,
                ..Recording::default()
            };
            let laid = laid.lay(&stream);
            let exported = check(&laid, "", TWO_SECONDS);
            assert_eq!(exported.episodes.len(), 3, "{layout:?}");
            check(&laid, "", AT_MOST);
        }
    }
}

#[test]
fn limits_of_the_size() {
    let laid = Recording::default().lay(&Stream::with_b_frames());
    for mode in ["next-keyframe", "at-most"] {
        let splitter = format!("size=6000 split-mode={mode}");
        assert!(check(&laid, "", &splitter).episodes.len() > 1, "{mode}");
    }
}

/// The stream in pieces of `size` bytes, each with the time of the frame that it begins in and as many µs as there are
/// pieces of that frame before it.
fn pieces(stream: &Stream, size: usize) -> Vec<Laid> {
    let recording = units();
    let template = recording.lay(&stream.slice(0..1)).remove(0);
    let mut begin = 0;
    let frames = stream.units.iter().enumerate().flat_map(|(index, unit)| {
        let first = begin;
        begin += unit.len();
        (first..begin).map(move |_| index)
    });
    let frames: Vec<_> = frames.collect();
    let mut latest = 0;
    let bytes = stream.bytes();
    let pieces = bytes.chunks(size).zip(frames.chunks(size));
    pieces
        .map(|(piece, frames)| {
            let mut laid = template.clone();
            let time = recording.frame_us(frames[0], stream.fps);
            latest = time.max(latest + 1);
            laid.record.time_us = latest;
            laid.record.bytes = piece.to_vec().into();
            laid
        })
        .collect()
}

#[test]
fn records_that_end_anywhere() {
    let small = StreamSpec {
        frames: 24,
        gop: 8,
        size: (64, 64),
        ..StreamSpec::default()
    };
    for x264_params in ["", "bframes=3:b-pyramid=normal", "slices=3"] {
        let stream = Stream::make(StreamSpec {
            x264_params,
            ..small
        });
        for size in [19, 150, 1000, 5000] {
            let exported = check(&pieces(&stream, size), "", "duration=800000000");
            let frames: u64 = exported.summary().iter().map(|it| it.2).sum();
            assert_eq!(frames, 24, "{size}");
        }
    }
}

#[test]
fn parameter_sets_in_records_of_their_own_and_empty_records() {
    for stream in streams() {
        let mut laid = Vec::new();
        for mut record in units().lay(&stream) {
            let bytes = record.record.bytes.clone();
            let slice = nal_ranges(&bytes)
                .into_iter()
                .find(|range| matches!(nal_type(payload(&bytes[range.clone()])), 1 | 5));
            let slice = slice.expect("a slice").start;
            if slice > 0 {
                for (index, part) in [&bytes[..slice], &[]].into_iter().enumerate() {
                    let mut before = record.clone();
                    before.record.time_us += index as u64;
                    before.record.bytes = part.to_vec().into();
                    laid.push(before);
                }
                record.record.time_us += 2;
                record.record.bytes = bytes.slice(slice..);
            }
            laid.push(record);
        }
        check(&laid, "", TWO_SECONDS);
    }
}

#[test]
fn gaps_and_pauses() {
    for stream in streams() {
        for (holes, lost) in [
            (vec![(30, 10_000_000)], vec![]),
            (vec![(25, 3_000_000)], vec![]),
            (vec![(25, 40_000_000_000)], vec![]),
            (vec![(50, 60_000_000)], vec![]),
            (vec![], vec![23..28]),
            (vec![], vec![25..26, 48..52]),
            (vec![], vec![51..59]),
        ] {
            for layout in [Layout::Gop, Layout::AccessUnit] {
                let laid = Recording {
                    layout,
                    holes: holes.clone(),
                    lost: lost.clone(),
                    ..Recording::default()
                };
                check(&laid.lay(&stream), "", TWO_SECONDS);
            }
        }
    }
}

#[test]
fn gaps_that_are_not_detected() {
    let laid = Recording {
        holes: vec![(30, 10_000_000)],
        ..Recording::default()
    };
    check(
        &laid.lay(&Stream::example()),
        "gap-detection=false",
        TWO_SECONDS,
    );
}

#[test]
fn conditions() {
    let stream = Stream::with_b_frames();
    let mut laid = Recording::default().lay(&stream);
    for (group, laid) in laid.iter_mut().enumerate() {
        let good = ("good".into(), (group != 2).to_string());
        laid.record.labels.push(good);
    }
    let bucket = line::write(&laid);
    let when = r#"when="{\"&good\":{\"$eq\":true}}""#;
    let by_element = line::export(&bucket, when, TWO_SECONDS);
    let request = Request {
        condition: condition!({ "&good": { "$eq": true } }),
        ..Request::of("", TWO_SECONDS).expect("an export")
    };
    let exported = request.run(&bucket, AtEnd::All).expect("episodes");
    check_same(&by_element, &exported);
    assert_eq!(exported.episodes.len(), 3);
}

#[test]
fn tolerances_of_gaps() {
    let laid = Recording {
        lost: vec![23..25],
        ..units()
    };
    let laid = laid.lay(&Stream::example());
    for tolerance in [50_000_000_u64, 1_000_000_000] {
        check(&laid, &format!("gap-tolerance={tolerance}"), TWO_SECONDS);
    }
}

/// Records of several frames whose times are irregular: the frames of each have the time up to the next one.
#[test]
fn irregular_records_of_several_frames() {
    let jitters: [fn(usize) -> i64; 4] = [
        |index| (index as i64 * 7919) % 20_011 - 10_000,
        |index| index as i64 * index as i64 * 30_000,
        |index| {
            if index >= 3 {
                400_000 * index as i64
            } else {
                0
            }
        },
        |index| -100_000 * (index as i64 % 2),
    ];
    for stream in streams() {
        for layout in [Layout::AccessUnits(3), Layout::Gop] {
            for jitter_us in jitters {
                let laid = Recording {
                    layout,
                    jitter_us,
                    ..Recording::default()
                };
                check(&laid.lay(&stream), "", TWO_SECONDS);
            }
        }
    }
}

#[test]
fn irregular_frames() {
    let jitters: [fn(usize) -> i64; 3] = [
        |index| (index as i64 * 7919) % 200_011,
        |index| -100_000 * (index as i64 % 5) + index as i64 % 5,
        |index| index as i64 * index as i64 * 300,
    ];
    for stream in streams() {
        for jitter_us in jitters {
            let laid = Recording {
                jitter_us,
                ..units()
            };
            let mut laid = laid.lay(&stream);
            laid.sort_by_key(|laid| laid.record.time_us);
            check(&laid, "", TWO_SECONDS);
        }
    }
}

#[test]
fn frame_rates() {
    // Two ticks are a frame: 90000/1, 1/10, and twice the true rate.
    for (time_scale, units_in_tick) in [(180_000, 1), (2, 10), (40, 1)] {
        let stream = Stream::example().with_timing(time_scale, units_in_tick);
        check(&units().lay(&stream), "", TWO_SECONDS);
    }
    for (labels, fps) in [
        (&[("fps", "30000/1001")][..], (30_000, 1001)),
        (&[("fps", "23.976")], (24_000, 1001)),
        (&[("fps", "15.5")], (31, 2)),
        (&[("fps", "0.05")], (1, 20)),
        // 12000 s are more than 32 bits of µs.
        (&[("fps", "0.005")], (1, 200)),
    ] {
        let stream = Stream::make(StreamSpec {
            fps,
            vui_timing: false,
            ..StreamSpec::default()
        });
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let laid = Recording {
                layout,
                labels,
                ..Recording::default()
            };
            check(&laid.lay(&stream), "", "");
        }
    }
    // A label that is no rate, and none: the parameter counts.
    for labels in [&[("fps", "abc")][..], &[]] {
        let laid = Recording {
            labels,
            ..Recording::default()
        };
        check(&laid.lay(&Stream::example()), "fps=10/1", TWO_SECONDS);
    }
}

#[test]
fn few_frames() {
    for count in [1, 2, 11] {
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let laid = Recording {
                layout,
                ..Recording::default()
            };
            check(
                &laid.lay(&Stream::example().slice(0..count)),
                "",
                "duration=1000000000",
            );
        }
    }
}

#[test]
fn lost_reference_pictures() {
    for stream in streams() {
        // Later frames come as if nothing were missing.
        let kept = (0..23).chain(25..60);
        let thinned = Stream {
            units: kept.map(|frame| stream.units[frame].clone()).collect(),
            fps: stream.fps,
        };
        let laid = units().lay(&thinned);
        for on_loss in ["auto", "drop", "keep"] {
            check(&laid, &format!("on-loss={on_loss}"), TWO_SECONDS);
        }
        let laid = Recording {
            lost: vec![23..28],
            ..units()
        };
        for on_loss in ["auto", "drop", "keep"] {
            check(
                &laid.lay(&stream),
                &format!("on-loss={on_loss}"),
                TWO_SECONDS,
            );
        }
    }
}

#[test]
fn ranges_that_begin_and_end_at_keyframes() {
    for stream in streams() {
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let laid = Recording {
                layout,
                ..Recording::default()
            };
            let bucket = line::write(&laid.lay(&stream));
            for [start, stop] in [[at(0), at(60)], [at(10), at(40)], [at(20), at(30)]] {
                let source = format!("start={start} stop={stop}");
                let exported = check_bucket(&bucket, &source, "duration=1000000000");
                let frames: u64 = exported.summary().iter().map(|it| it.2).sum();
                assert_eq!(frames, (stop - start) / 100_000);
            }
        }
    }
}

/// Bounds are right to the microsecond, also within groups if each record has a frame.
#[test]
fn ranges_that_end_anywhere() {
    let bucket = line::write(&units().lay(&Stream::example()));
    for stop in [at(40) - 1, at(40) + 1, at(35), at(36) + 1] {
        for start in [at(10) - 1, at(10), at(5)] {
            let source = format!("start={start} stop={stop}");
            check_bucket(&bucket, &source, "duration=1000000000");
        }
    }
}

#[test]
fn formats_that_change() {
    let sized = |size| {
        Stream::make(StreamSpec {
            frames: 2,
            gop: 2,
            size,
            ..StreamSpec::default()
        })
    };
    let in_turn = [(64, 64), (96, 80), (64, 64), (96, 80)].map(sized);
    let in_turn = in_turn.into_iter().reduce(|all, next| all.then(next));
    let large = Stream::make(StreamSpec {
        size: (320, 240),
        ..StreamSpec::default()
    });
    let other_rate = Stream::example().with_timing(50, 1);
    for (stream, splitter, episodes) in [
        (in_turn.expect("streams"), TWO_SECONDS, 4),
        (Stream::example().slice(0..25).then(large), "", 2),
        (Stream::example().then(other_rate), "", 1),
        (x264("level=1.1").then(x264("level=3.1")), "", 1),
    ] {
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let laid = Recording {
                layout,
                ..Recording::default()
            };
            let exported = check(&laid.lay(&stream), "", splitter);
            assert_eq!(exported.episodes.len(), episodes, "{splitter}");
        }
    }
}

#[test]
fn parameter_sets_that_come_later() {
    let stream = |sps_id| {
        let sequence = Sequence {
            sps_id,
            ..Sequence::default()
        };
        let slices = |display| if display == 0 { Slices::I } else { Slices::P };
        let gop = (0..5).map(|display| frame(slices(display), display));
        sequence.stream(&[gop.collect()], (10, 1)).0
    };
    check(&units().lay(&stream(0).then(stream(4))), "", "");
}

#[test]
fn bytes_around_pictures() {
    for stream in streams() {
        for stream in [
            stream.with_auds(),
            stream.trailing_zeros(),
            stream.headers_once(),
            stream.with_ends(),
            stream.with_nal_before_slices(b"\x06\x05\x14sixteen-byte-uuid: text\x80"),
            stream.with_nal_at_end(&[0x0c, 0xff, 0xff, 0x80]),
            // Another importance of parameter sets says nothing.
            stream.map_nals(|nal| match nal_type(nal) {
                7 | 8 => [&[nal[0] & 0x1f | 0x20], &nal[1..]].concat(),
                _ => nal.to_vec(),
            }),
        ] {
            check(&Recording::default().lay(&stream), "", TWO_SECONDS);
        }
    }
}

#[test]
fn pictures_of_all_kinds() {
    for x264_params in [
        "bframes=3:sar=4/3:colorprim=bt709:transfer=iec61966-2-1:colormatrix=smpte170m:fullrange=on",
        "bframes=0:keyint=1",
        "interlaced=1:bframes=2",
        "bframes=7:b-adapt=0:b-pyramid=normal:ref=4",
        "level=4.2:profile=main",
    ] {
        check(
            &Recording::default().lay(&x264(x264_params)),
            "",
            TWO_SECONDS,
        );
    }
    let deep = Stream::make(StreamSpec {
        format: "yuv422p10le",
        ..StreamSpec::default()
    });
    check(&Recording::default().lay(&deep), "", TWO_SECONDS);
}

#[test]
fn modes_of_keyframes() {
    let refreshed = Stream::make(StreamSpec {
        gop: 20,
        x264_params: "intra-refresh=1:bframes=0:keyint=20",
        ..StreamSpec::default()
    });
    let open = x264("open-gop=1:bframes=2:keyint=10");
    for stream in [refreshed, open] {
        for mode in ["idr", "recovery-point"] {
            let splitter = format!("{TWO_SECONDS} keyframe-mode={mode}");
            check(&units().lay(&stream), "", &splitter);
        }
    }
}

/// Labels `keyframe` are hints, right or wrong.
#[test]
fn labels_of_keyframes() {
    let stream = Stream::with_b_frames();
    let labels: [fn(usize, bool) -> bool; 4] = [
        |_, is_keyframe| is_keyframe,
        |_, _| true,
        |_, _| false,
        |frame, _| frame * 7919 % 13 < 6,
    ];
    for label in labels {
        let mut laid = units().lay(&stream);
        for Laid { frames, record } in &mut laid {
            let value = label(frames.start, is_idr(&stream.units[frames.start]));
            record.labels.push(("keyframe".into(), value.to_string()));
        }
        check(&laid, "", TWO_SECONDS);
    }
}

#[test]
fn content_types_of_other_spelling() {
    for content_type in [
        "VIDEO/H264",
        "video/h264; profile=high",
        "video/h264; codecs=\"avc1.42,x\"",
    ] {
        let laid = Recording {
            content_type,
            ..Recording::default()
        };
        // The comma hides the labels of a record in a batch (reduct-rs 1.21.0).
        check(&laid.lay(&Stream::example()), "fps=10/1", TWO_SECONDS);
    }
}

/// A slice with other bytes behind its start code.
fn with_slice(unit: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let last = nal_ranges(unit).pop().expect("a slice");
    let slice = payload(&unit[last.clone()]);
    [&unit[..last.start], &[0, 0, 0, 1], &change(slice)].concat()
}

type Break = fn(&[u8]) -> Vec<u8>;

const BREAKS: [Break; 5] = [
    |unit| with_slice(unit, |slice| slice[..2].to_vec()),
    |unit| with_slice(unit, |slice| [&[slice[0] | 0x80], &slice[1..]].concat()),
    |unit| {
        with_slice(unit, |slice| {
            [&slice[..slice.len() / 2], &[0xff; 9]].concat()
        })
    },
    |_| b"This is a text and no video at all.".into(),
    |_| vec![0x55; 1000],
];

#[test]
fn damaged_records() {
    for stream in streams() {
        for (number, damage) in BREAKS.into_iter().enumerate() {
            for broken in [0, 10, 24, 59] {
                let mut laid = units().lay(&stream);
                let bytes = damage(&laid[broken].record.bytes);
                laid[broken].record.bytes = bytes.into();
                println!("{number} {broken}");
                check(&laid, "", TWO_SECONDS);
            }
        }
    }
}

#[test]
fn streams_of_the_folder() {
    for (name, stream) in stored_streams() {
        let laid = Recording {
            labels: &[("fps", "25")],
            ..units()
        };
        println!("{name}");
        check(&laid.lay(&stream), "", "duration=3000000000");
    }
}

/// An error of the extension in an export of records, with either end.
#[track_caller]
fn refusal(laid: &[Laid]) -> String {
    let bucket = line::write(laid);
    let request = Request::of("", "").expect("an export");
    let errors = [AtEnd::One, AtEnd::All].map(|at_end| request.run(&bucket, at_end).err());
    assert_eq!(errors[0], errors[1]);
    errors[1].clone().expect("an error")
}

/// The elements leave out records of another type with a warning. A query says which records it wants, so that another
/// type is a mistake there.
#[test]
fn records_of_other_types_are_an_error_of_the_extension() {
    let mut laid = units().lay(&Stream::example());
    laid[5].record.content_type = "image/jpeg".into();
    let text = refusal(&laid);
    assert!(
        text.contains("is 'image/jpeg', expected 'video/h264'"),
        "{text}"
    );
    let by_element = line::export(&line::write(&laid), "", "");
    assert_eq!(
        by_element.warnings().len(),
        2,
        "{:?}",
        by_element.warnings()
    );
}

/// The elements take the times of records as they are. Episodes of the extension have a frame rate, as those of
/// ReductVideo.
#[test]
fn a_rate_is_needed_by_the_extension() {
    let laid = Recording {
        labels: &[],
        ..units()
    };
    let laid = laid.lay(&Stream::example());
    let text = refusal(&laid);
    assert!(text.contains("no frame rate is known"), "{text}");
    line::export(&line::write(&laid), "", "");
}

/// The elements look for parameter sets before a range. A query has the records of the range.
#[test]
fn a_range_has_to_have_parameter_sets_in_the_extension() {
    let bucket = line::write(&Recording::default().lay(&Stream::example().headers_once()));
    let source = format!("start={} stop={}", at(20), at(60));
    assert_eq!(line::export(&bucket, &source, "").frames(), [40]);
    let request = Request::of(&source, "").expect("an export");
    for at_end in [AtEnd::One, AtEnd::All] {
        let text = request.run(&bucket, at_end).expect_err("no parameter sets");
        assert!(text.contains("begin the query earlier"), "{text}");
    }
}

/// A query has the records before its stop. The elements read on for pictures that are shown before it and decoded
/// after others that are not.
#[test]
fn a_range_that_ends_within_a_group_has_the_reordered_pictures_of_its_records() {
    let bucket = line::write(&units().lay(&Stream::with_b_frames()));
    for stop in [at(32), at(34), at(36) + 1] {
        let source = format!("start={} stop={stop}", at(10));
        let splitter = "duration=1000000000";
        let by_element = line::export(&bucket, &source, splitter);
        let request = Request::of(&source, splitter).expect("parameters of the extension");
        let exported = request.run(&bucket, AtEnd::All).expect("episodes");
        let before_last = exported.episodes.len() - 1;
        assert!(before_last > 0);
        check_same_until(&by_element, &exported, before_last);
        let hidden = by_element.episodes[before_last].hidden;
        assert!(hidden > 0, "{stop}");
        let last = mp4::probe(&exported.episodes[before_last].location);
        assert_eq!(last.frames, by_element.frames()[before_last], "{stop}");
    }
}

/// Exports records by the elements and by the export alone.
fn alone(laid: &[Laid], splitter: &str) -> (line::Export, Exported) {
    let bucket = line::write(laid);
    let by_element = line::export(&bucket, "", splitter);
    let request = Request::of("", splitter).expect("parameters of the extension");
    let exported = request.run(&bucket, AtEnd::One).expect("episodes");
    (by_element, exported)
}

#[test]
fn an_export_alone_makes_the_same_episodes_of_regular_records() {
    for stream in streams() {
        for layout in [Layout::AccessUnit, Layout::Gop, Layout::Gops(2)] {
            let laid = Recording {
                layout,
                ..Recording::default()
            };
            let (by_element, exported) = alone(&laid.lay(&stream), TWO_SECONDS);
            check_same(&by_element, &exported);
        }
    }
}

#[test]
fn an_export_alone_has_one_episode_at_its_end() {
    let laid = Recording::default().lay(&Stream::example().slice(0..30));
    let splitter = "duration=1500000000 split-mode=at-most";
    let (by_element, exported) = alone(&laid, splitter);
    assert_eq!(by_element.frames(), [10, 10, 10]);
    let frames: Vec<_> = exported.summary().iter().map(|it| it.2).collect();
    assert_eq!(frames, [10, 20]);
}

#[test]
fn an_export_alone_gives_frames_the_observed_rate() {
    // The second group takes 2 s, which the record behind it shows.
    let laid = Recording {
        labels: TEN,
        jitter_us: |index| if index >= 2 { 1_000_000 } else { 0 },
        ..Recording::default()
    };
    let (by_element, exported) = alone(&laid.lay(&Stream::example().slice(0..30)), "");
    assert_eq!(by_element.episodes[0].duration.mseconds(), 5000);
    let pictures = |file: &Path| mp4::decode(file).times_us;
    let expected = pictures(&by_element.episodes[0].location);
    let found = pictures(&exported.episodes[0].location);
    assert_eq!(found.len(), expected.len());
    assert_ne!(found, expected);
    assert_eq!(expected[15], 2_000_000);
    assert_eq!(found[15], 1_500_000);
}
