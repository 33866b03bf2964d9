// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Tests of the relation of access units to those before them.

use super::*;
use crate::codec::h264::testing::FRAME_NUMBER;
use crate::order::Reordering;

const MS: Nanos = Nanos::MSECOND;
const MODULUS: u32 = FRAME_NUMBER.modulus;
const CONFIG: ContinuityConfig = ContinuityConfig {
    pause_limit: Nanos::from_seconds(5),
    on_loss: OnLoss::Auto,
    gap_detection: true,
    is_sparse: false,
    marks_faults: false,
};

/// `I` an IDR picture, `p` the next reference picture, `b` one that is no reference, `R` a
/// recovery point after two more reference pictures, `?` what cannot be decoded, `x` a reference
/// picture that is missing, as `i` an IDR picture and `.` any other; `!` a pause of 300 ms, `~` one of a minute.
fn feed(
    config: ContinuityConfig,
    stream: &str,
    breaks_rhythm: bool,
) -> (String, Vec<SegmentStart>, u64) {
    let mut continuity = Continuity::new(config);
    let mut time = Nanos::ZERO;
    let mut frame_num = 0;
    let mut pause = None;
    for item in stream.chars() {
        match item {
            '!' | '~' => {
                let length = if item == '!' { 300 * MS } else { 60_000 * MS };
                pause = Some(length);
                time += length - 100 * MS;
                continue;
            }
            'I' | 'i' => frame_num = 0,
            'p' | 'b' | 'R' | 'x' => frame_num += 1,
            _ => {}
        }
        let number = FrameNumber {
            frame_num: frame_num % MODULUS,
            idr: item == 'I',
            reference: item != 'b',
            ..FRAME_NUMBER
        };
        if item == 'b' {
            frame_num -= 1;
        }
        if !matches!(item, 'x' | 'i' | '.') {
            let facts = ContinuityFacts {
                number: (item != '?').then_some(number),
                order: None,
                is_keyframe: matches!(item, 'I' | 'R'),
                recovery_frames: if item == 'R' { 2 } else { 0 },
                after_loss: false,
                is_incomplete: false,
            };
            let spacing = match pause.take() {
                None => Spacing::Regular,
                Some(length) => Spacing::Pause {
                    length,
                    frames: length.nseconds() / (100 * MS).nseconds(),
                    breaks_rhythm,
                },
            };
            continuity.push(item, &facts, slot(time, spacing));
        }
        time += 100 * MS;
    }
    continuity.finish();
    let mut out = String::new();
    let mut segments = Vec::new();
    while let Some(output) = continuity.pop() {
        match output {
            ContinuityOutput::Unit {
                item,
                slot,
                is_corrupted,
                ..
            } => {
                if slot.hole.is_some() {
                    out.push('~');
                }
                if slot.discont {
                    out.push('|');
                } else if slot.segment.is_some() && !segments.is_empty() {
                    out.push('/');
                }
                segments.extend(slot.segment);
                out.push(item);
                if is_corrupted {
                    out.push('*');
                }
            }
            ContinuityOutput::Dropped(_) => out.push('-'),
            ContinuityOutput::Loss(_) => out.push('!'),
        }
    }
    (out, segments, continuity.gaps())
}

fn slot(time: Nanos, spacing: Spacing) -> Slot {
    Slot {
        record: CaptureTime::new(time),
        capture: CaptureTime::new(time),
        time,
        duration: Some(100 * MS),
        before_pause: None,
        spacing,
        segment: None,
        resumes: false,
        hole: None,
        discont: false,
        frame_rate: None,
    }
}

fn run(stream: &str) -> String {
    feed(CONFIG, stream, true).0
}

/// A pause of 300 ms has the time of two pictures that are missing.
#[test]
fn pauses_in_which_whole_groups_fit_are_gaps() {
    // Kept and marked until the next keyframe.
    assert_eq!(run("IpIpIp!ppIp"), "IpIpIp!~|p*p*Ip");
    assert_eq!(run("IpIpIp!IpIp"), "IpIpIp!|IpIp");
    // Groups of other lengths, or of different ones.
    assert_eq!(run("IppIppIp!ppIp"), "IppIppIpppIp");
    assert_eq!(run("IppIpIp!ppIp"), "IppIpIpppIp");
    assert_eq!(run("IpIp!ppIp"), "IpIpppIp");
    // A rhythm that pauses belong to.
    assert_eq!(feed(CONFIG, "IpIpIp!ppIp", false).0, "IpIpIpppIp");
    assert_eq!(run_with(OnLoss::Drop, true, "IpIpIp!ppIp"), "IpIpIp!--|Ip");
}

fn run_with(on_loss: OnLoss, gap_detection: bool, stream: &str) -> String {
    let config = ContinuityConfig {
        on_loss,
        gap_detection,
        ..CONFIG
    };
    feed(config, stream, true).0
}

#[test]
fn messages_have_the_names_of_the_user() {
    let names = TimelineNames {
        gap_tolerance: Some("property gap-tolerance"),
        pause_limit: "property pause-limit",
        on_loss: "property on-loss",
        corrupted: "with the flag CORRUPTED",
        ..TimelineNames::DEFAULT
    };
    let text = |cause, consequence| {
        let (mut texts, mut continuity) = (Vec::new(), Continuity::new(CONFIG));
        continuity.push(
            (),
            &ContinuityFacts::default(),
            slot(Nanos::ZERO, Spacing::Regular),
        );
        continuity.push((), &ContinuityFacts::default(), slot(MS, Spacing::Gap));
        while let Some(output) = continuity.pop() {
            if let ContinuityOutput::Loss(loss) = output {
                let loss = Loss {
                    cause,
                    consequence,
                    ..loss
                };
                texts.push(loss.describe(&names));
            }
        }
        texts.concat()
    };
    let times = "between 1970-01-01T00:00:00.000000Z and 1970-01-01T00:00:00.001000Z";
    assert_eq!(
        text(Cause::LongPause, Consequence::None),
        format!("There are no frames {times}, for longer than the property pause-limit")
    );
    assert_eq!(
        text(Cause::Tolerance, Consequence::Dropped),
        format!(
            "There is a gap {times}, by the declared frame rate and the property \
             gap-tolerance. Access units until the next keyframe refer to missing ones and are \
             dropped (property on-loss)"
        )
    );
    assert_eq!(
        text(Cause::FrameNum(2), Consequence::Corrupted),
        format!(
            "2 reference pictures are missing {times} (frame_num). Access units until the next \
             keyframe refer to missing ones: they are kept, with the flag CORRUPTED (property \
             on-loss)"
        )
    );
}

#[test]
fn a_slow_camera_loses_nothing() {
    assert_eq!(run("Ipp!pp!pIp"), "IpppppIp");
    assert_eq!(run("Ipb!bpb!bpIp"), "IpbbpbbpIp");
}

#[test]
fn a_long_pause_is_left_out() {
    let (out, segments, gaps) = feed(CONFIG, "Ipp~ppIp", true);
    assert_eq!((out.as_str(), gaps), ("Ipp~/ppIp", 0));
    let start = |ms, base| SegmentStart {
        start: ms * MS,
        base: base * MS,
    };
    assert_eq!(segments, [start(0, 0), start(60_200, 300)]);
}

#[test]
fn missing_reference_pictures_after_a_pause_are_a_gap() {
    let (out, segments, gaps) = feed(CONFIG, "Ipx!ppIp", true);
    assert_eq!((out.as_str(), gaps), ("Ip!--|Ip", 1));
    let base: Vec<_> = segments.iter().map(|it| it.base.mseconds()).collect();
    assert_eq!(base, [0, 200]);
}

#[test]
fn missing_reference_pictures_without_a_pause_make_corrupted_ones() {
    assert_eq!(run("IpxppIp"), "Ip!p*p*Ip");
    assert_eq!(run("Ipxpxpp"), "Ip!p*!p*p*");
    assert_eq!(run("Ip.pIp"), "IppIp");
    assert_eq!(run_with(OnLoss::Drop, true, "IpxppIp"), "Ip!--|Ip");
    assert_eq!(run_with(OnLoss::Keep, true, "Ipx!ppIp"), "Ip!~|p*p*Ip");
    assert_eq!(run_with(OnLoss::Auto, false, "Ipx!ppIp"), "Ip!~/p*p*Ip");
}

#[test]
fn a_lost_idr_picture_after_which_numbers_repeat_makes_corrupted_ones() {
    let group = format!("I{}", "p".repeat(17));
    let rest = "p*".repeat(17);
    let without_idr = &group[1..];
    // The stream counts from 0 again where the IDR picture is lost.
    let stream = format!("{group}i{without_idr}{group}");
    assert_eq!(run(&stream), format!("{group}!{rest}{group}"));
    let (out, _, gaps) = feed(CONFIG, &format!("{group}i!{without_idr}{group}"), true);
    let dropped = "-".repeat(17);
    assert_eq!((out, gaps), (format!("{group}!{dropped}|{group}"), 1));
}

#[test]
fn missing_pictures_that_are_no_references_are_no_loss() {
    assert_eq!(run("Ib.pb.pIp"), "IbpbpIp");
    assert_eq!(run("Ib.!pb.pIp"), "IbpbpIp");
}

#[test]
fn before_an_idr_picture_times_decide() {
    assert_eq!(run("Ipp!Ip"), "Ipp!|Ip");
    assert_eq!(feed(CONFIG, "Ipp!Ip", false).0, "IppIp");
    assert_eq!(feed(CONFIG, "Ipp~Ip", false).0, "Ipp!|Ip");
    assert_eq!(run("IpxIp"), "IpIp");
}

#[test]
fn regular_bursts_are_no_gaps() {
    assert_eq!(run("Ip!pp!Ip!pp!Ip"), "IpppIpppIp");
    assert_eq!(run("Ip!ppp!p!Ip!p"), "IpppppIpp");
    assert_eq!(run("Ipp!Ipp!Ipp!Ipp!Ipp"), "Ipp!|Ipp!|IppIppIpp");
    // Another number of pictures, and a loss.
    assert_eq!(run("Ip!ppp!Ip"), "Ipppp!|Ip");
    assert_eq!(run("Ippppx!ppIpp!Ip"), "Ipppp!--|Ipp!|Ip");
}

#[test]
fn a_recovery_point_ends_what_is_wrong_some_frames_later() {
    assert_eq!(run("IpxpRppp"), "Ip!p*R*p*pp");
    assert_eq!(run("Ipx!pRppp"), "Ip!-|R*p*pp");
    assert_eq!(run("IpxpRIp"), "Ip!p*R*Ip");
}

/// Takes pictures a frame apart, as `(frame_num, reference, count)`, of which the first one is an IDR picture and
/// that at `keyframe` a recovery point. Returns the counts of those that are corrupted, rising.
fn corrupted(pictures: &[(u32, bool, i64)], keyframe: usize, recovery_frames: u32) -> Vec<i64> {
    let mut continuity = Continuity::new(CONFIG);
    for (place, &(frame_num, reference, count)) in pictures.iter().enumerate() {
        let idr = place == 0;
        let facts = ContinuityFacts {
            number: Some(FrameNumber {
                frame_num,
                idr,
                reference,
                ..FRAME_NUMBER
            }),
            order: Some(PictureOrder {
                count,
                begins_sequence: idr,
                begins_group: false,
                reordering: Reordering {
                    frames: 2,
                    declared: true,
                },
            }),
            is_keyframe: idr || place == keyframe,
            recovery_frames,
            after_loss: false,
            is_incomplete: false,
        };
        let time = 100 * place as u64 * MS;
        continuity.push(count, &facts, slot(time, Spacing::Regular));
    }
    continuity.finish();
    let outputs = std::iter::from_fn(|| continuity.pop());
    let counts = outputs.filter_map(|output| match output {
        ContinuityOutput::Unit {
            item, is_corrupted, ..
        } => is_corrupted.then_some(item),
        _ => None,
    });
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    counts
}

#[test]
fn a_recovery_ends_in_output_order() {
    // P with two B-frames each that are no references. P6 is lost.
    let group = |number: u32| {
        let count = i64::from(number) * 3;
        [
            (number, true, count),
            (number + 1, false, count - 2),
            (number + 1, false, count - 1),
        ]
    };
    let pictures = [
        vec![(0, true, 0)],
        group(1).to_vec(),
        group(2)[1..].to_vec(),
        [3, 4, 5, 6].map(group).concat(),
    ]
    .concat();
    // P9 begins a refresh of two reference pictures, which is complete with P15.
    assert_eq!(
        corrupted(&pictures, 6, 2),
        [4, 5, 7, 8, 9, 10, 11, 12, 13, 14]
    );
}

#[test]
fn leading_pictures_of_a_keyframe_after_a_loss_are_corrupted() {
    // I0 P3 B1 B2, and I9 with the leading B7 B8 after the loss of P6.
    let pictures = [
        (0, true, 0),
        (1, true, 3),
        (2, false, 1),
        (2, false, 2),
        (3, true, 9),
        (4, false, 7),
        (4, false, 8),
        (4, true, 12),
        (5, false, 10),
    ];
    assert_eq!(corrupted(&pictures, 4, 0), [7, 8]);
}

#[test]
fn gaps_are_counted_while_frames_are_dropped() {
    let (out, _, gaps) = feed(CONFIG, "Ipx!px!p!p~pIp", true);
    assert_eq!((out.as_str(), gaps), ("Ip!----|Ip", 2));
}

#[test]
fn a_reported_loss_is_not_reported_again() {
    let mut continuity = Continuity::new(CONFIG);
    let facts = ContinuityFacts {
        after_loss: true,
        ..Default::default()
    };
    continuity.push(0, &facts, slot(Nanos::ZERO, Spacing::Regular));
    continuity.push(1, &facts, slot(100 * MS, Spacing::Regular));
    let outputs: Vec<_> = std::iter::from_fn(|| continuity.pop()).collect();
    assert!(outputs.iter().all(|output| matches!(
        output,
        ContinuityOutput::Unit {
            is_corrupted: false,
            ..
        }
    )));
    assert_eq!(outputs.len(), 2);
}

#[test]
fn what_refers_to_unreadable_pictures_is_marked_on_request() {
    let corrupted = |marks_faults, after_loss, is_incomplete| {
        let config = ContinuityConfig {
            marks_faults,
            ..CONFIG
        };
        let mut continuity = Continuity::new(config);
        for place in 0..6 {
            let idr = place % 4 == 0;
            let facts = ContinuityFacts {
                number: Some(FrameNumber {
                    frame_num: place % 4,
                    idr,
                    ..FRAME_NUMBER
                }),
                is_keyframe: idr,
                after_loss: after_loss && place == 2,
                is_incomplete: is_incomplete && place == 1,
                ..Default::default()
            };
            let time = 100 * u64::from(place) * MS;
            continuity.push(place, &facts, slot(time, Spacing::Regular));
        }
        continuity.finish();
        let outputs = std::iter::from_fn(|| continuity.pop());
        let places = outputs.filter_map(|output| match output {
            ContinuityOutput::Unit {
                item, is_corrupted, ..
            } => is_corrupted.then_some(item),
            ContinuityOutput::Dropped(_) | ContinuityOutput::Loss(_) => Some(u32::MAX),
        });
        places.collect::<Vec<_>>()
    };
    assert_eq!(corrupted(true, true, false), [2, 3]);
    assert_eq!(corrupted(true, false, true), [2, 3]);
    assert_eq!(corrupted(false, true, true), [0; 0]);
}

#[test]
fn the_rule_of_the_tolerance_needs_no_frame_num() {
    let mut continuity = Continuity::new(CONFIG);
    let key = ContinuityFacts {
        is_keyframe: true,
        ..Default::default()
    };
    continuity.push(0, &key, slot(Nanos::ZERO, Spacing::Regular));
    continuity.push(1, &ContinuityFacts::default(), slot(500 * MS, Spacing::Gap));
    continuity.push(2, &key, slot(600 * MS, Spacing::Regular));
    let outputs: Vec<_> = std::iter::from_fn(|| continuity.pop()).collect();
    assert!(matches!(
        outputs[1],
        ContinuityOutput::Loss(Loss {
            cause: Cause::Tolerance,
            consequence: Consequence::Dropped,
            ..
        })
    ));
    assert_eq!(outputs[2], ContinuityOutput::Dropped(1));
    assert!(matches!(&outputs[3], ContinuityOutput::Unit { item: 2, slot, .. } if slot.discont));
}

#[test]
fn the_frame_before_a_hole_lasts_a_frame() {
    let before_pause = |time, length| Slot {
        duration: Some(length),
        before_pause: Some(100 * MS),
        ..slot(time, Spacing::Regular)
    };
    for (length, idr, expected) in [(1000, true, 100), (1000, false, 1000), (9000, false, 100)] {
        let mut continuity = Continuity::new(CONFIG);
        let number = |frame_num, idr| FrameNumber {
            frame_num,
            idr,
            ..FRAME_NUMBER
        };
        let facts = |frame_num, idr| ContinuityFacts {
            number: Some(number(frame_num, idr)),
            is_keyframe: idr,
            ..Default::default()
        };
        let length = length * MS;
        continuity.push('a', &facts(0, true), before_pause(Nanos::ZERO, length));
        assert_eq!(continuity.pop(), None);
        let spacing = Spacing::Pause {
            length,
            frames: 0,
            breaks_rhythm: true,
        };
        continuity.push('b', &facts(u32::from(!idr), idr), slot(length, spacing));
        continuity.finish();
        let first = continuity.pop();
        assert!(
            matches!(first, Some(ContinuityOutput::Unit { item: 'a', slot, .. })
            if slot.duration == Some(expected * MS))
        );
    }
}
