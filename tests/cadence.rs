// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Frame durations, declared frame rates and gaps, as the times of records and `frame_num` have them:
//! cameras that slow down, pause or lose frames, and rates that are not true.

mod common;

use common::SERVER;
use common::line::{self, Export, Read};
use common::mp4;
use common::recording::{Laid, Layout, Recording};
use common::stream::{Stream, StreamSpec, nal_units};
use reduct_rs::condition;

const MS: u64 = 1000;
const SECOND: u64 = 1000 * MS;
const START: u64 = 1_749_803_453_273_752;

/// Streams of 60 frames in groups of 20: without and with reordered pictures.
fn streams() -> [Stream; 2] {
    ["", "bframes=3:b-pyramid=normal"].map(|x264_params| {
        Stream::make(StreamSpec {
            gop: 20,
            x264_params,
            ..Default::default()
        })
    })
}

/// Times of 60 frames: `distance` gives that from a frame to the next one, in ms.
fn times(distance: impl Fn(usize) -> u64) -> Vec<u64> {
    let mut time = START;
    (0..60)
        .map(|frame| {
            let now = time;
            time += distance(frame) * MS;
            now
        })
        .collect()
}

/// Writes the frames of a stream at these times, without those that `lost` has.
fn write(
    stream: &Stream,
    times: &[u64],
    layout: Layout,
    labels: &'static [(&'static str, &'static str)],
    lost: std::ops::Range<usize>,
) -> String {
    let recording = Recording {
        layout,
        labels,
        lost: vec![lost],
        ..Default::default()
    };
    let laid: Vec<_> = recording
        .lay(stream)
        .into_iter()
        .map(|mut laid: Laid| {
            laid.record.time_us = times[laid.frames.start];
            laid
        })
        .collect();
    line::write(&laid)
}

/// Capture times of the buffers in output order, in µs.
fn capture_times(read: &Read) -> Vec<u64> {
    let mut times: Vec<_> = read
        .buffers
        .iter()
        .map(|buffer| {
            let meta = buffer.meta::<gst::ReferenceTimestampMeta>();
            meta.expect("a capture time").timestamp().useconds()
        })
        .collect();
    times.sort_unstable();
    times
}

/// Fails unless an export has each frame once, decodable, at its time and in one file.
#[track_caller]
fn assert_whole(export: &Export, stream: &Stream, times: &[u64]) {
    assert_eq!(export.summary(), [(60, "eos")]);
    let file = &export.episodes[0].location;
    let decoded = mp4::decode(file);
    assert_eq!(decoded.complaints, "");
    assert_eq!(decoded.checksums, mp4::stream_checksums(stream));
    for (found, time) in decoded.times_us.iter().zip(times) {
        let expected = (time - START) as i64;
        assert!(
            (found - expected).abs() <= 100,
            "{found} µs, not {expected}"
        );
    }
    assert_eq!(export.source_stat("gaps"), 0);
    assert_eq!(export.source_stat("dropped"), 0);
}

#[test]
fn a_camera_that_slows_down_loses_nothing() {
    for stream in streams() {
        for (slow, jitter) in [(200, 0), (200, 60), (400, 0), (900, 0)] {
            let times = times(|frame| match frame {
                ..25 => 100,
                _ if frame % 3 == 1 => slow + jitter,
                _ if frame % 3 == 2 => slow - jitter,
                _ => slow,
            });
            let bucket = write(&stream, &times, Layout::AccessUnit, &[("fps", "10")], 0..0);
            let export = line::export(&bucket, "", "");
            assert_whole(&export, &stream, &times);
            let warnings = export.warnings();
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            let names = ["label fps", "10", "gap-tolerance"];
            assert!(
                names.iter().all(|name| warnings[0].contains(name)),
                "{warnings:?}"
            );
        }
    }
}

#[test]
fn groups_of_a_camera_that_slows_down_are_evenly_spaced() {
    for stream in streams() {
        let times = times(|frame| if frame < 20 { 100 } else { 200 });
        let bucket = write(&stream, &times, Layout::Gop, &[("fps", "10")], 0..0);
        assert_whole(&line::export(&bucket, "", ""), &stream, &times);
    }
}

#[test]
fn a_rate_in_the_vui_that_no_camera_has_does_nothing() {
    // Two ticks are a frame: 90000/1, 1/10, and twice the true rate.
    for (time_scale, units, warnings) in [(180_000, 1, 0), (2, 10, 0), (40, 1, 1)] {
        for stream in streams() {
            let stream = stream.with_timing(time_scale, units);
            for layout in [Layout::AccessUnit, Layout::AccessUnits(3), Layout::Gop] {
                let times = times(|_| 100);
                let bucket = write(&stream, &times, layout, &[], 0..0);
                let export = line::export(&bucket, "", "");
                assert_whole(&export, &stream, &times);
                // Three groups are two distances.
                let expected = if layout == Layout::Gop { 0 } else { warnings };
                assert_eq!(export.warnings().len(), expected, "{:?}", export.warnings());
            }
        }
    }
}

#[test]
fn a_label_that_is_no_rate_is_named_once() {
    let stream = Stream::make(StreamSpec {
        gop: 20,
        vui_timing: false,
        ..Default::default()
    });
    let labels: [&'static [(&'static str, &'static str)]; 5] = [
        &[("fps", "abc")],
        &[("fps", "0")],
        &[("fps", "30 fps")],
        &[("fps", "-1/5")],
        &[("fps", "1e7")],
    ];
    for labels in labels {
        for layout in [Layout::AccessUnit, Layout::Gop] {
            let times = times(|_| 100);
            let bucket = write(&stream, &times, layout, labels, 0..0);
            let export = line::export(&bucket, "", "");
            assert_whole(&export, &stream, &times);
            let warnings = export.warnings();
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains(labels[0].1), "{warnings:?}");
        }
    }
}

#[test]
fn an_attachment_that_is_no_rate_is_named_once() {
    let stream = Stream::make(StreamSpec {
        gop: 20,
        vui_timing: false,
        ..Default::default()
    });
    let times = times(|_| 100);
    let bucket = write(&stream, &times, Layout::AccessUnit, &[], 0..0);
    SERVER.attach(&bucket, "e", "$video", condition!({"fps": "fast"}));
    let export = line::export(&bucket, "", "");
    assert_whole(&export, &stream, &times);
    let warnings = export.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("fast") && warnings[0].contains("$video"));
}

#[test]
fn stats_have_both_rates() {
    let [stream, _] = streams();
    let bucket = write(
        &stream,
        &times(|_| 200),
        Layout::AccessUnit,
        &[("fps", "10")],
        0..0,
    );
    let read = line::read(&bucket, "").clean();
    let rate = |name| read.stats.get::<f64>(name).expect("a rate");
    assert_eq!([rate("declared-rate"), rate("observed-rate")], [10.0, 5.0]);
}

#[test]
fn irregular_frames_are_no_gaps() {
    for stream in streams() {
        for pattern in [[100, 300, 200, 400, 100], [50, 900, 60, 70, 800]] {
            let times = times(|frame| pattern[frame % 5]);
            let bucket = write(&stream, &times, Layout::AccessUnit, &[("fps", "10")], 0..0);
            assert_whole(&line::export(&bucket, "", ""), &stream, &times);
        }
    }
}

#[test]
fn a_tolerance_is_taken_to_the_letter() {
    let [stream, _] = streams();
    let times = times(|frame| [100, 300, 200, 400, 100][frame % 5]);
    let bucket = write(&stream, &times, Layout::AccessUnit, &[("fps", "10")], 0..0);
    let gaps = |tolerance: &str| {
        let read = line::read(&bucket, &format!("gap-tolerance={tolerance}")).clean();
        read.stat("gaps")
    };
    assert_eq!(gaps("1"), 24);
    assert_eq!(gaps("100000000"), 12);
    assert_eq!(gaps("200000000"), 0);
}

/// Exports and reads streams with a pause in µs at several places within a group and beside it.
fn assert_pause_loses_nothing(pause: u64, expected: &[(u64, &str)]) {
    for stream in streams() {
        for at in [24, 29, 30, 31, 33] {
            let times = times(|frame| if frame + 1 == at { pause / MS } else { 100 });
            let bucket = write(&stream, &times, Layout::AccessUnit, &[("fps", "10")], 0..0);
            let export = line::export(&bucket, "", "");
            assert_eq!(export.summary(), expected, "{pause} µs before {at}");
            assert_eq!(export.pictures(), mp4::stream_checksums(&stream));
            assert_eq!(export.source_stat("gaps"), 0);
            assert_eq!(export.warnings(), [""; 0]);
            let read = line::read(&bucket, "").clean();
            assert_eq!(capture_times(&read), times);
            assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0]);
            let pairs = read.buffers.windows(2);
            assert!(pairs.into_iter().all(|pair| pair[0].dts() < pair[1].dts()));
        }
    }
}

#[test]
fn a_pause_of_two_seconds_loses_nothing() {
    assert_pause_loses_nothing(2 * SECOND, &[(60, "eos")]);
}

#[test]
fn a_pause_below_the_limit_loses_nothing() {
    assert_pause_loses_nothing(4900 * MS, &[(60, "eos")]);
}

#[test]
fn a_pause_of_a_minute_loses_nothing() {
    assert_pause_loses_nothing(60 * SECOND, &[(40, "gap"), (20, "eos")]);
}

#[test]
fn a_pause_of_ten_hours_loses_nothing() {
    assert_pause_loses_nothing(36_000 * SECOND, &[(40, "gap"), (20, "eos")]);
}

#[test]
fn a_limit_on_pauses_can_be_set() {
    let [stream, _] = streams();
    let times = times(|frame| if frame == 29 { 3000 } else { 100 });
    let bucket = write(&stream, &times, Layout::AccessUnit, &[("fps", "10")], 0..0);
    let summary = |limit: &str| {
        let export = line::export(&bucket, limit, "");
        export.summary().len()
    };
    assert_eq!(summary("pause-limit=2999999999"), 2);
    assert_eq!(summary("pause-limit=3000000000"), 1);
}

#[test]
fn lost_reference_pictures_after_a_pause_are_a_gap() {
    for layout in [Layout::AccessUnit, Layout::AccessUnits(4)] {
        let [stream, _] = streams();
        let times = times(|_| 100);
        let bucket = write(&stream, &times, layout, &[("fps", "10")], 25..30);
        let source = mp4::stream_checksums(&stream);
        let export = line::export(&bucket, "", "");
        assert_eq!(export.summary(), [(25, "gap"), (20, "eos")]);
        assert_eq!(export.pictures(), [&source[..25], &source[40..]].concat());
        assert_eq!(export.source_stat("dropped"), 10);
        assert_eq!(export.source_stat("gaps"), 1);
        let warnings = export.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        for part in [
            "5 reference pictures",
            "08:30:55.673752Z",
            "08:30:56.273752Z",
            "on-loss",
        ] {
            assert!(warnings[0].contains(part), "{part}: {warnings:?}");
        }
        // Kept, they are in the file before the gap.
        let export = line::export(&bucket, "on-loss=keep", "");
        assert_eq!(export.summary(), [(35, "gap"), (20, "eos")]);
        assert_eq!(export.source_stat("corrupted"), 10);
        let read = line::read(&bucket, "on-loss=keep").clean();
        assert_eq!(
            read.flagged(gst::BufferFlags::CORRUPTED),
            (25..35).collect::<Vec<_>>()
        );
        assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0, 25]);
    }
}

#[test]
fn lost_reference_pictures_without_a_pause_make_corrupted_ones() {
    let [stream, _] = streams();
    let times = times(|_| 100);
    let source = mp4::stream_checksums(&stream);
    let bucket = write(
        &stream,
        &times,
        Layout::AccessUnit,
        &[("fps", "10")],
        25..26,
    );
    let export = line::export(&bucket, "", "");
    assert_eq!(export.summary(), [(59, "eos")]);
    assert_eq!(export.source_stat("corrupted"), 14);
    assert_eq!(export.source_stat("gaps"), 0);
    let pictures = export.pictures();
    assert_eq!(pictures[..25], source[..25]);
    assert_eq!(pictures[39..], source[40..]);
    let warnings = export.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("1 reference picture is missing"),
        "{warnings:?}"
    );
    // Dropped, as at a gap.
    let export = line::export(&bucket, "on-loss=drop", "");
    assert_eq!(export.summary(), [(25, "gap"), (20, "eos")]);
    assert_eq!(export.pictures(), [&source[..25], &source[40..]].concat());
    assert_eq!(export.source_stat("dropped"), 14);
}

#[test]
fn a_lost_picture_that_is_no_reference_makes_a_time_uncertain() {
    let stream = Stream::make(StreamSpec {
        gop: 20,
        x264_params: "bframes=2:b-pyramid=none:b-adapt=0",
        ..Default::default()
    });
    // The last picture of a group of B pictures: I P B B P B B ...
    let lost = 3;
    let nals = nal_units(&stream.units[lost]);
    assert_eq!(
        nals[nals.len() - 1][0] & 0x60,
        0,
        "a picture that is no reference"
    );
    let times = times(|_| 100);
    let bucket = write(
        &stream,
        &times,
        Layout::AccessUnit,
        &[("fps", "10")],
        lost..lost + 1,
    );
    let export = line::export(&bucket, "", "");
    assert_eq!(export.summary(), [(59, "eos")]);
    // The picture after it has its slot, but not its own record.
    let [warning] = &export.warnings()[..] else {
        panic!("{:?}", export.warnings());
    };
    assert!(warning.contains("by the picture order count"), "{warning}");
    assert_eq!(export.source_stat("corrupted"), 1);
    let source = mp4::stream_checksums(&stream);
    assert!(
        export
            .pictures()
            .iter()
            .all(|picture| source.contains(picture))
    );
}

#[test]
fn missing_frames_before_a_keyframe_are_found_by_the_cadence() {
    let [stream, _] = streams();
    // Lost ends of a group; and no frame lost, but a camera that is slow from there on.
    for layout in [Layout::AccessUnit, Layout::AccessUnits(4)] {
        let regular = times(|_| 100);
        let bucket = write(&stream, &regular, layout, &[("fps", "10")], 36..40);
        let export = line::export(&bucket, "", "");
        assert_eq!(export.summary(), [(36, "gap"), (20, "eos")], "{layout:?}");
        assert_eq!(export.source_stat("dropped"), 0);
    }
    let slower = times(|frame| if frame < 39 { 100 } else { 400 });
    let bucket = write(&stream, &slower, Layout::AccessUnit, &[("fps", "10")], 0..0);
    assert_whole(&line::export(&bucket, "", ""), &stream, &slower);
    for (pause, episodes) in [(5000, 1), (5001, 2)] {
        let varying = |frame| [100, 190, 130, 160][frame % 4];
        let times = times(|frame| if frame == 39 { pause } else { varying(frame) });
        let bucket = write(&stream, &times, Layout::AccessUnit, &[], 0..0);
        let tolerant = "pause-limit=5000000000";
        let export = line::export(&bucket, tolerant, "");
        // Longer than ten frames and a second: a gap in any case.
        assert_eq!(export.summary().len(), 2, "{pause} ms, {episodes}");
        assert_eq!(export.source_stat("gaps"), 1);
    }
    let times = times(|frame| {
        if frame == 39 {
            900
        } else {
            [100, 190, 130, 160][frame % 4]
        }
    });
    let bucket = write(&stream, &times, Layout::AccessUnit, &[], 0..0);
    assert_eq!(line::export(&bucket, "", "").summary(), [(60, "eos")]);
}

/// Cameras that record some frames at a high rate, again and again.
#[test]
fn regular_bursts_are_no_gaps() {
    for stream in streams() {
        for (burst, step, pause) in [(5, 10, 500), (4, 40, 900), (10, 10, 700), (5, 100, 400)] {
            let times = times(|frame| match (frame + 1) % burst {
                0 => pause,
                _ => step,
            });
            let bucket = write(&stream, &times, Layout::AccessUnit, &[], 0..0);
            let export = line::export(&bucket, "", "");
            assert_whole(&export, &stream, &times);
            let warnings = export.warnings();
            let told = |text: &String| text.contains("missing");
            assert!(!warnings.iter().any(told), "{warnings:?}");
        }
    }
    // Before IDR pictures only the times say so: after two of them.
    let intra = Stream::make(StreamSpec {
        gop: 1,
        ..Default::default()
    });
    let bursts = times(|frame| if frame % 5 == 4 { 500 } else { 10 });
    let bucket = write(&intra, &bursts, Layout::AccessUnit, &[], 0..0);
    let export = line::export(&bucket, "", "");
    assert_eq!(export.summary(), [(5, "gap"), (5, "gap"), (50, "eos")]);
    // A single one is a gap.
    let [stream, _] = streams();
    let times = times(|frame| if frame == 19 { 500 } else { 10 });
    let bucket = write(&stream, &times, Layout::AccessUnit, &[], 0..0);
    let export = line::export(&bucket, "", "");
    assert_eq!(export.summary(), [(20, "gap"), (40, "eos")]);
    assert_eq!(export.source_stat("gaps"), 1);
}

#[test]
fn wherever_a_range_begins_its_groups_have_the_same_times() {
    let slow_end = |frame| if frame < 30 { 40 } else { 200 };
    let fast_end = |frame| if frame < 30 { 200 } else { 40 };
    let constant = |_| 133;
    let rhythms: [fn(usize) -> u64; 3] = [constant, slow_end, fast_end];
    for stream in streams() {
        for (rhythm, layout) in [
            (0, Layout::Gop),
            (0, Layout::AccessUnits(3)),
            (1, Layout::AccessUnits(5)),
            (2, Layout::AccessUnits(4)),
        ] {
            let times = times(rhythms[rhythm]);
            for labels in [&[("fps", "25")][..], &[]] {
                let bucket = write(&stream, &times, layout, labels, 60..60);
                let whole = capture_times(&line::read(&bucket, ""));
                assert_eq!(whole.len(), 60);
                for frame in [2, 19, 21, 41, 47, 59] {
                    let at = whole[frame] - 1;
                    let before = line::read(&bucket, &format!("stop={at} stop-mode=exact"));
                    let after = line::read(&bucket, &format!("start={at} start-mode=exact"));
                    let (before, after) = (capture_times(&before), capture_times(&after));
                    let case = format!("{rhythm} {layout:?} {labels:?} {frame}");
                    assert_eq!(before, whole[..frame], "{case}");
                    assert_eq!(after, whole[frame..], "{case}");
                }
            }
        }
    }
}
