// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records of all layouts, damaged ones, gaps and pauses, and the requests of a range.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::codec::h264::testing::{P, SliceSpec, SpsSpec, record, slice};
use crate::random_streams::{Picture, joined_stream, stream};
use crate::stream::config::StreamOptions;
use crate::stream::on_fault::OnFault;
use crate::stream::testing::{
    FRAME, IN_ORDER, Reading, T, at, in_groups, lasting, one_by_one, picture, pictures, rated,
    sets, tag,
};
use crate::timeline::Hole;

fn config() -> StreamConfig {
    config_with(StreamOptions::default())
}

fn config_with(options: StreamOptions) -> StreamConfig {
    StreamConfig {
        options,
        collects_findings: true,
        ..StreamConfig::default()
    }
}

/// Returns a stream of all frames.
fn whole(config: StreamConfig) -> RecordedStream {
    part(config, StreamRange::new(None, None))
}

fn part(config: StreamConfig, range: StreamRange) -> RecordedStream {
    RecordedStream::new(config, range, StreamMemory::default())
}

fn read(config: StreamConfig, records: &[(RecordTag, Bytes)]) -> Reading {
    Reading::new(&mut whole(config), records)
}

/// Returns the times of frames with these numbers, in µs.
fn times(frames: impl IntoIterator<Item = u64>) -> Vec<u64> {
    frames.into_iter().map(|frame| frame * FRAME).collect()
}

#[test]
fn groups_have_the_times_of_their_records() {
    let units = pictures(20, 5);
    let reading = read(config(), &in_groups(&units, 5));
    assert_eq!(reading.error, None);
    let rate = FrameRate::new(25, 1);
    assert_eq!(reading.items[0], StreamItem::FrameRate(rate));
    let StreamItem::Segment(segment) = &reading.items[1] else {
        panic!("{:?}", reading.items[1]);
    };
    assert_eq!((segment.first, segment.shown_from), (Nanos::ZERO, None));
    assert_eq!(reading.items.len(), 2 + units.len());
    assert_eq!(reading.contents(), units);
    assert_eq!(reading.pts(), times(0..20));
    for (index, frame) in (0..).zip(reading.frames()) {
        assert_eq!(frame.capture_time, at(index));
        assert_eq!(frame.record_time, at(index / 5 * 5));
        assert_eq!(frame.duration, Some(lasting(1)));
        assert_eq!(frame.is_keyframe, index % 5 == 0);
        assert_eq!(frame.begins_range, index == 0);
        assert!(!frame.is_hidden && !frame.is_corrupted && !frame.is_discont);
    }
    let counts = StreamCounts {
        access_units: 20,
        ..StreamCounts::default()
    };
    assert_eq!(reading.counts, counts);
    assert!(reading.findings.is_empty());
}

#[test]
fn single_frames_last_until_the_next_record() {
    let units = pictures(10, 5);
    let numbers = [0, 1, 3, 4, 5, 6, 7, 8, 9, 11];
    let reading = read(config(), &one_by_one(&units, numbers));
    assert_eq!(reading.items[0], StreamItem::FrameRate(None));
    assert_eq!(reading.contents(), units);
    assert_eq!(reading.pts(), times(numbers));
    let durations = [1, 2, 1, 1, 1, 1, 1, 1, 2, 1].map(|frames| Some(lasting(frames)));
    let read: Vec<_> = reading.frames().iter().map(|it| it.duration).collect();
    assert_eq!(read, durations);
}

#[test]
fn frames_share_memory_with_their_records() {
    let records = in_groups(&pictures(2, 2), 2);
    let reading = read(config(), &records);
    let first = reading.frames()[0].unit.parts[0].bytes().as_ptr();
    assert_eq!(first, records[0].1.as_ptr());
}

#[test]
fn records_may_end_anywhere() {
    let units = pictures(12, 6);
    let bytes = Bytes::from(units.concat());
    for size in [1, 7, 20, 33, 64, 100] {
        let parts = bytes.chunks(size).map(|part| bytes.slice_ref(part));
        let parts: Vec<_> = (0..)
            .zip(parts)
            .map(|(at, part)| (rated(at, "25"), part))
            .collect();
        let reading = read(config(), &parts);
        assert_eq!(reading.contents(), units, "{size}");
        assert_eq!(reading.counts.access_units, 12, "{size}");
        let pts = reading.pts();
        assert!(
            pts.windows(2).all(|pair| pair[0] < pair[1]),
            "{size}: {pts:?}"
        );
    }
}

#[test]
fn damaged_records_are_left_out_and_counted() {
    let mut records = one_by_one(&pictures(10, 5), (0..5).chain(6..11));
    let broken = record(&[&[0xff, 1, 2, 3]]);
    records.insert(5, (tag(5), broken));
    let reading = read(config(), &records);
    assert_eq!(reading.contents(), pictures(10, 5));
    assert_eq!(reading.counts.damaged, 1);
    assert_eq!(reading.warnings().len(), 1, "{:?}", reading.items);
    let [Finding::Damaged { time, .. }] = &reading.findings[..] else {
        panic!("{:?}", reading.findings);
    };
    assert_eq!(*time, at(5));
}

#[test]
fn empty_records_are_counted_and_have_no_effect() {
    let mut records = one_by_one(&pictures(10, 5), 0..10);
    for place in [9, 4, 3] {
        let (before, _) = &records[place - 1];
        let empty = RecordTag {
            time: before.time + 1,
            ..RecordTag::default()
        };
        records.insert(place, (empty, Bytes::new()));
    }
    let reading = read(config(), &records);
    assert_eq!(reading.contents(), pictures(10, 5));
    assert_eq!(reading.counts.damaged, 3);
    let warnings = reading.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].ends_with("is empty"), "{warnings:?}");
    assert!(warnings[1].starts_with("2 more records"), "{warnings:?}");
    let after = |frame| Finding::Damaged {
        time: at(frame) + Nanos::from_useconds(1),
        fault: Fault::Empty,
    };
    assert_eq!(reading.findings, [2, 3, 8].map(after));
}

#[test]
fn damage_may_end_a_stream_after_the_frames_before_it() {
    let mut records = one_by_one(&pictures(10, 5), 0..10);
    records[9].1 = record(&[&[0xff, 1, 2, 3]]);
    let strict = config_with(StreamOptions {
        on_fault: OnFault::Stop,
        ..StreamOptions::default()
    });
    let mut stream = whole(strict);
    let reading = Reading::new(&mut stream, &records);
    assert_eq!(reading.contents(), pictures(9, 5));
    let Some(StreamError::Undecodable(text)) = reading.error else {
        panic!("{:?}", reading.error);
    };
    assert!(
        text.contains("With OnFault::Skip it would be left out"),
        "{text}"
    );
    assert!(stream.has_ended());
    stream.push(tag(20), vec![pictures(1, 1)[0].clone()]);
    assert_eq!(stream.pop(), Ok(None), "nothing comes after the end");
}

#[test]
fn a_time_that_cannot_be_counted_is_a_fault() {
    let unit = pictures(1, 1)[0].clone();
    let late = RecordTag {
        time: u64::MAX,
        ..RecordTag::default()
    };
    let reading = read(config(), &[(tag(0), unit.clone()), (late, unit.clone())]);
    assert_eq!(reading.contents(), [unit]);
    assert_eq!(reading.counts.damaged, 1);
}

#[test]
fn wrong_labels_are_found_and_have_no_effect() {
    let mut records = one_by_one(&pictures(6, 3), 0..6);
    records[1].0.frame_rate = Some("fast".into());
    records[2].0.frame_rate = Some("slow".into());
    for (frame, label) in [(0, true), (1, false), (3, false), (5, true)] {
        records[frame].0.keyframe = Some(label);
    }
    let mut stream = whole(config());
    let reading = Reading::new(&mut stream, &records);
    assert_eq!(reading.pts(), times(0..6));
    assert_eq!(reading.warnings().len(), 1, "{:?}", reading.items);
    assert!(reading.warnings()[0].contains("\"fast\""));
    let rates = ["fast", "slow"].map(String::from);
    let rates = (1..)
        .zip(rates)
        .map(|(frame, label)| Finding::FrameRateLabel {
            time: at(frame),
            label,
        });
    let keyframes = [(3, false), (5, true)].map(|(frame, label)| Finding::KeyframeLabel {
        time: at(frame),
        label,
    });
    for finding in rates.chain(keyframes) {
        assert!(reading.findings.contains(&finding), "{finding}");
    }
    assert_eq!(reading.findings.len(), 4);
    // The warning is not repeated in the next range.
    let range = StreamRange::new(None, None);
    let mut next = RecordedStream::new(config(), range, stream.memory());
    assert!(Reading::new(&mut next, &records).warnings().is_empty());
}

#[test]
fn after_a_gap_frames_are_dropped_until_the_next_keyframe() {
    let units = pictures(30, 10);
    let kept = (0..14).chain(17..30);
    let contents: Vec<_> = kept.clone().map(|index| units[index].clone()).collect();
    let reading = read(config(), &one_by_one(&contents, kept.map(|it| it as u64)));
    assert_eq!(reading.pts(), times((0..14).chain(20..30)));
    let gaps = reading.items.iter().filter_map(|item| match item {
        StreamItem::Gap(loss) => Some((loss.hole, loss.consequence)),
        _ => None,
    });
    let hole = Hole {
        from: at(13),
        to: at(17),
    };
    assert_eq!(gaps.collect::<Vec<_>>(), [(hole, Consequence::Dropped)]);
    assert_eq!((reading.counts.gaps, reading.counts.dropped), (1, 3));
    assert!(reading.frames()[14].is_discont);
    let segments = segments(&reading);
    assert_eq!(segments.len(), 2);
    assert_eq!(segments[1].first, lasting(20));
}

fn segments(reading: &Reading) -> Vec<crate::stream::Segment> {
    let segments = reading.items.iter().filter_map(|item| match item {
        StreamItem::Segment(segment) => Some(*segment),
        _ => None,
    });
    segments.collect()
}

#[test]
fn running_time_leaves_out_a_long_pause() {
    let units = pictures(20, 10);
    // 40 s after the first group.
    let numbers = (0..10).chain(1010..1020);
    let reading = read(config(), &one_by_one(&units, numbers.clone()));
    assert_eq!(reading.pts(), times(numbers));
    let segments = segments(&reading);
    let starts: Vec<_> = segments
        .iter()
        .map(|it| (it.start.start, it.start.base))
        .collect();
    assert_eq!(
        starts,
        [(Nanos::ZERO, Nanos::ZERO), (lasting(1010), lasting(10))]
    );
    assert_eq!(reading.counts.dropped, 0);
}

#[test]
fn a_pause_without_a_loss_is_an_item() {
    let units = pictures(20, 20);
    let numbers = (0..10).chain(1010..1020);
    let reading = read(config(), &one_by_one(&units, numbers));
    let pauses = reading.items.iter().filter_map(|item| match item {
        StreamItem::Pause(hole) => Some(*hole),
        _ => None,
    });
    let hole = Hole {
        from: at(9),
        to: at(1010),
    };
    assert_eq!(pauses.collect::<Vec<_>>(), [hole]);
    assert_eq!((reading.counts.gaps, reading.counts.dropped), (0, 0));
}

#[test]
fn a_frame_whose_pause_cannot_be_judged_comes_at_the_end() {
    let units = pictures(11, 10);
    let mut stream = whole(config());
    let mut reading = Reading::new(&mut whole(config()), &[]);
    for (tag, content) in one_by_one(&units, (0..10).chain([14])) {
        stream.push(tag, vec![content]);
        reading.drain(&mut stream);
    }
    assert!(reading.frames().len() < 10);
    stream.finish();
    reading.drain(&mut stream);
    assert_eq!(reading.contents(), units);
}

#[test]
fn frames_before_the_first_keyframe_are_counted() {
    let units = pictures(15, 10);
    let [sps, pps] = sets(IN_ORDER);
    let mut records = one_by_one(&units[5..], 5..15);
    records[0].1 = record(&[&sps, &pps, &picture(IN_ORDER, 5, 5)]);
    let reading = read(config(), &records);
    assert_eq!(reading.contents(), units[10..]);
    assert_eq!((reading.counts.dropped, reading.counts.undecodable), (5, 5));
    assert!(reading.warnings()[0].contains("no keyframe precedes them"));
}

#[test]
fn without_parameter_sets_nothing_is_of_use() {
    let records: Vec<_> = (1..4)
        .map(|place| {
            (
                tag(place.into()),
                record(&[&picture(IN_ORDER, place, place)]),
            )
        })
        .collect();
    let mut stream = whole(config());
    let reading = Reading::new(&mut stream, &records);
    assert!(reading.frames().is_empty() && reading.error.is_none());
    assert_eq!(
        stream.verdict(false),
        Ok(None),
        "another range may have them"
    );
    let error = stream.verdict(true).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("No record in the range can be used"),
        "{error}"
    );
    let names = OptionNames {
        lookback: "nothing before the range is read",
        ..OptionNames::default()
    };
    let options = StreamOptions {
        names,
        ..StreamOptions::default()
    };
    let mut stream = whole(config_with(options));
    Reading::new(&mut stream, &records);
    let error = stream.verdict(true).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("(nothing before the range is read)"),
        "{error}"
    );
}

#[test]
fn parameter_sets_are_requested_once() {
    let units = pictures(8, 4);
    let [sps, pps] = sets(IN_ORDER);
    let mut records = one_by_one(&units, 0..8);
    records[0].1 = record(&[&picture(IN_ORDER, 0, 0)]);
    let range = StreamRange {
        searches_sets: true,
        ..StreamRange::new(Some(at(0)), None)
    };
    for is_found in [true, false] {
        let mut stream = part(config(), range);
        let mut reading = Reading::new(&mut stream, &records);
        assert!(reading.items.is_empty());
        let Some(StreamRequest::ParameterSets { before }) = stream.request() else {
            panic!("{:?}", stream.request());
        };
        assert_eq!(before, T);
        let mut sets = ParameterSets::default();
        sets.put(&sps);
        sets.put(&pps);
        stream.supply_parameter_sets(is_found.then_some(sets));
        reading.drain(&mut stream);
        assert!(stream.has_ended() && stream.request().is_none());
        match is_found {
            true => assert_eq!(reading.contents(), units),
            false => assert_eq!(reading.contents(), units[4..]),
        }
    }
}

/// Returns the records without their label `fps`.
fn without_rate<C>(mut records: Vec<(RecordTag, C)>) -> Vec<(RecordTag, C)> {
    for (tag, _) in &mut records {
        tag.frame_rate = None;
    }
    records
}

#[test]
fn the_last_group_has_the_times_of_those_before_it() {
    let units = pictures(15, 5);
    let records = without_rate(in_groups(&units, 5));
    let range = StreamRange {
        searches_groups: true,
        ..StreamRange::new(Some(at(10)), None)
    };
    let mut stream = part(config(), range);
    let mut reading = Reading::new(&mut stream, &records[2..]);
    let Some(StreamRequest::Groups { first }) = stream.request() else {
        panic!("{:?}", stream.request());
    };
    assert_eq!((first.time, first.units), (at(10), 5));
    let mut preceding = stream.preceding_records();
    for (tag, content) in &records[..2] {
        preceding.push(tag.clone(), vec![content.clone()]);
    }
    preceding.end_records();
    let groups: Vec<_> = std::iter::from_fn(|| stream.next_group(&mut preceding)).collect();
    let counts: Vec<_> = groups
        .iter()
        .map(|group| (group.time, group.units))
        .collect();
    assert_eq!(counts, [(at(0), 5), (at(5), 5)]);
    stream.supply_groups(groups);
    reading.drain(&mut stream);
    assert_eq!(reading.contents(), units[10..]);
    assert_eq!(reading.pts(), times(0..5));

    // Without them, and without a frame rate, the times are not known.
    let range = StreamRange::new(Some(at(10)), None);
    let error = Reading::new(&mut part(config(), range), &records[2..]).error;
    let Some(StreamError::NoFrameRate(text)) = error else {
        panic!("{error:?}");
    };
    assert!(text.contains("option frame_rate"), "{text}");
}

#[test]
fn a_stop_may_depend_on_records_beyond_it() {
    let spec = SpsSpec {
        max_num_reorder_frames: Some(1),
        ..IN_ORDER
    };
    let [sps, pps] = sets(spec);
    // Places in output order, in decoding order. Reference pictures all of them.
    let places = [0, 2, 1, 4, 3];
    let records: Vec<_> = (0..)
        .zip(places)
        .map(|(number, place)| {
            let picture = picture(spec, number, place);
            let content = match number {
                0 => record(&[&sps, &pps, &picture]),
                _ => record(&[&picture]),
            };
            (tag(number.into()), content)
        })
        .collect();
    let mut stream = part(config(), StreamRange::new(None, Some(at(2))));
    let mut reading = Reading::new(&mut stream, &[]);
    assert!(reading.items.is_empty() && stream.has_ended());

    let mut stream = part(config(), StreamRange::new(None, Some(at(2))));
    for (index, (tag, content)) in records.iter().enumerate() {
        if index == 2 {
            assert_eq!(stream.records_beyond(), Some(at(2)));
            stream.go_beyond();
            assert_eq!(stream.records_beyond(), None);
        }
        stream.push(tag.clone(), vec![content.clone()]);
        reading.drain(&mut stream);
    }
    stream.finish();
    reading.drain(&mut stream);
    let shown: Vec<_> = reading
        .frames()
        .iter()
        .map(|frame| (frame.pts.useconds(), frame.is_hidden))
        .collect();
    assert_eq!(shown, [(0, false), (2 * FRAME, true), (FRAME, false)]);
    assert!(!stream.takes_records());
}

/// Returns the places in output order of the frames before a stop, which is that of the frame with this number, and how
/// many records beyond the stop are taken. Pictures have `places` in decoding order; a pause of an hour precedes the
/// one with the number `pause`.
fn before_stop(places: &[u8], depth: u32, pause: usize, stop: usize) -> (Vec<u8>, usize) {
    let spec = SpsSpec {
        max_num_reorder_frames: Some(depth),
        ..IN_ORDER
    };
    let [sps, pps] = sets(spec);
    let time = |number: usize| {
        let pause = if number < pause { 0 } else { 3_600_000_000 };
        T + number as u64 * FRAME + pause
    };
    let range = StreamRange::new(None, Some(CaptureTime::from_useconds(time(stop))));
    let mut stream = part(config(), range);
    let mut reading = Reading::new(&mut part(config(), range), &[]);
    let mut taken = 0;
    for (number, place) in places.iter().enumerate() {
        reading.drain(&mut stream);
        if number == stop {
            if stream.records_beyond().is_none() {
                break;
            }
            stream.go_beyond();
        }
        if !stream.takes_records() {
            break;
        }
        taken += usize::from(number >= stop);
        let picture = picture(spec, number as u8, *place);
        let content = match number {
            0 => record(&[&sps, &pps, &picture]),
            _ => record(&[&picture]),
        };
        let tag = RecordTag {
            time: time(number),
            ..RecordTag::default()
        };
        stream.push(tag, vec![content]);
    }
    stream.finish();
    reading.drain(&mut stream);
    let mut shown: Vec<_> = (reading.frames().into_iter())
        .filter(|frame| !frame.is_hidden)
        .map(|frame| {
            let count = frame.unit.order.expect("an order").count;
            let place = (count / 2) as u8;
            let time = CaptureTime::from_useconds(time(place.into()));
            assert!(frame.is_corrupted || frame.capture_time == time, "{place}");
            (frame.capture_time, place)
        })
        .collect();
    shown.sort_unstable();
    (shown.into_iter().map(|(_, place)| place).collect(), taken)
}

#[test]
fn few_records_beyond_a_stop_are_read_however_far_they_are() {
    const IN_ORDER: [u8; 25] = {
        let mut places = [0; 25];
        let mut place = 1;
        while place < 25 {
            places[place] = place as u8;
            place += 1;
        }
        places
    };
    const TRIPLES: [u8; 25] = [
        0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11, 15, 13, 14, 18, 16, 17, 21, 19, 20, 24, 22, 23,
    ];
    for stop in 5..=20 {
        // No pause, one just before the stop, one behind the first record beyond it, and one further on.
        for pause in [25, stop, stop + 1, stop + 3] {
            let expected: Vec<u8> = (0..stop as u8).collect();
            let (shown, taken) = before_stop(&IN_ORDER, 0, pause, stop);
            assert_eq!(shown, expected, "{stop} {pause}");
            assert!(taken <= 1, "{stop} {pause}: {taken}");
            let (shown, taken) = before_stop(&TRIPLES, 1, pause, stop);
            assert_eq!(shown, expected, "{stop} {pause}");
            // Three up to the next picture that is output last, and those that complete this one and its slot.
            assert!(taken <= 6, "{stop} {pause}: {taken}");
        }
    }
    // Nothing is beyond the stop: a picture that is shown before others is not there yet.
    assert_eq!(before_stop(&IN_ORDER, 0, 25, 25).1, 0);
    for length in 5..25 {
        let (shown, taken) = before_stop(&TRIPLES[..length], 1, 25, length);
        assert_eq!((shown.len(), taken), (length, 0));
    }
}

#[test]
fn a_gap_beyond_a_stop_ends_the_range() {
    let spec = SpsSpec {
        max_num_reorder_frames: Some(1),
        ..IN_ORDER
    };
    let [sps, pps] = sets(spec);
    let mut stream = part(config(), StreamRange::new(None, Some(at(10))));
    let mut reading = Reading::new(&mut part(config(), StreamRange::new(None, None)), &[]);
    let mut taken = 0;
    for number in 0..30 {
        if number == 10 {
            assert_eq!(stream.records_beyond(), Some(at(10)));
            stream.go_beyond();
        }
        // Reference pictures are missing after a pause: those that follow cannot be decoded.
        let skipped = if number < 10 { 0 } else { 3 };
        let picture = picture(spec, number + skipped, number + skipped);
        let content = match number {
            0 => record(&[&sps, &pps, &picture]),
            _ => record(&[&picture]),
        };
        if !stream.takes_records() {
            break;
        }
        taken += usize::from(number >= 10);
        stream.push(tag((number + 10 * skipped).into()), vec![content]);
        reading.drain(&mut stream);
    }
    assert!(taken <= 3, "{taken}");
    assert_eq!(reading.pts(), times(0..10));
    assert!(reading.frames().iter().all(|frame| !frame.is_corrupted));
}

#[test]
fn frames_after_a_lost_one_have_their_times_or_are_marked() {
    let spec = SpsSpec {
        max_num_reorder_frames: Some(1),
        ..IN_ORDER
    };
    let [sps, pps] = sets(spec);
    let places = [
        0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11, 15, 13, 14, 18, 16, 17,
    ];
    for lost in [2, 3, 5, 6, 8, 9] {
        let mut records = Vec::new();
        for (number, place) in places.into_iter().enumerate() {
            let header = SliceSpec {
                sps: spec,
                // The two pictures after each of these refer to it.
                frame_num: (number.div_ceil(3) + usize::from(number % 3 != 1 && number > 0)) as u8,
                nal: if number % 3 == 1 || number == 0 {
                    P.nal
                } else {
                    1
                },
                order: 2 * place,
                ..P
            };
            let content = match number {
                0 => record(&[&sps, &pps, &picture(spec, 0, 0)]),
                _ => record(&[&slice(header)]),
            };
            if number != lost {
                records.push((tag(number as u64), content));
            }
        }
        let reading = read(config(), &records);
        let wrong: Vec<_> = (reading.frames().into_iter())
            .map(|frame| {
                let count = frame.unit.order.expect("an order").count as u64;
                (frame.capture_time != at(count / 2), frame.is_corrupted)
            })
            .collect();
        let expected = usize::from(lost % 3 == 2 || lost % 3 == 0);
        assert_eq!(wrong.iter().filter(|it| it.0).count(), expected, "{lost}");
        assert!(wrong.iter().all(|it| it.0 == it.1), "{lost}: {wrong:?}");
        assert_eq!(reading.counts.corrupted, 1);
        let [warning] = reading.warnings()[..] else {
            panic!("{:?}", reading.warnings());
        };
        assert!(warning.contains("by the picture order count"), "{warning}");
    }
}

#[test]
fn records_that_a_condition_leaves_out_are_no_gap() {
    let units = pictures(20, 10);
    let kept: Vec<_> = (0..20).filter(|index| index % 10 != 5).collect();
    let contents: Vec<_> = kept.iter().map(|index| units[*index].clone()).collect();
    let filtered = StreamConfig {
        is_filtered: true,
        ..config()
    };
    let records = one_by_one(&contents, kept.iter().map(|index| *index as u64));
    let gaps = |config| {
        let items = read(config, &records).items;
        items
            .iter()
            .filter(|item| matches!(item, StreamItem::Gap(_)))
            .count()
    };
    assert_eq!((gaps(filtered), gaps(config())), (0, 2));
}

#[test]
fn a_prompt_stream_does_not_wait_for_the_next_record() {
    let records = one_by_one(&pictures(8, 4), 0..8);
    let prompt = StreamConfig {
        is_prompt: true,
        ..config()
    };
    let count = |config| {
        let mut stream = whole(config);
        let mut reading = Reading::new(&mut whole(config), &[]);
        for (tag, content) in &records {
            stream.push(tag.clone(), vec![content.clone()]);
            reading.drain(&mut stream);
        }
        reading.frames().len()
    };
    assert_eq!(count(prompt), 8);
    assert!(count(config()) < 8);
}

#[test]
fn keyframes_are_learnt() {
    let mut stream = whole(config());
    Reading::new(&mut stream, &one_by_one(&pictures(9, 4), 0..9));
    let (known, keyframes) = stream.take_keyframes().unwrap();
    assert_eq!(known, T..T + 8 * FRAME);
    assert_eq!(keyframes, [0, 4, 8].map(|frame| T + frame * FRAME));
}

#[test]
fn an_attachment_declares_the_frame_rate() {
    let records = without_rate(in_groups(&pictures(10, 5), 5));
    let mut stream = whole(config());
    stream.set_attachment(&Ok(Some("25".into())));
    let reading = Reading::new(&mut stream, &records);
    assert_eq!(
        reading.items[0],
        StreamItem::FrameRate(FrameRate::new(25, 1))
    );
    assert_eq!(reading.pts(), times(0..10));
    let mut stream = whole(config());
    stream.set_attachment(&Err("it is no JSON".into()));
    let reading = Reading::new(&mut stream, &records);
    assert!(
        reading.warnings()[0].contains("it is no JSON"),
        "{:?}",
        reading.items
    );
}

/// Returns records of so many pictures each, again and again, with the times that they have at a constant rate.
fn recorded(pictures: &[Picture], sizes: &[usize], frame: u64) -> Vec<(RecordTag, Bytes)> {
    let mut sizes = sizes.iter().cycle();
    let (mut records, mut first) = (Vec::new(), 0);
    while first < pictures.len() {
        let size = sizes.next().copied().unwrap_or(1);
        let units = &pictures[first..pictures.len().min(first + size)];
        let content: Vec<_> = units.iter().map(|unit| unit.bytes.as_slice()).collect();
        let tag = RecordTag {
            time: T + first as u64 * frame,
            frame_rate: Some(format!("1000000/{frame}")),
            ..RecordTag::default()
        };
        records.push((tag, content.concat().into()));
        first += units.len();
    }
    records
}

proptest! {
    /// However many access units a record has: every frame comes once, in decoding order, and the frames have the
    /// times of a constant rate in output order.
    #[test]
    fn frames_do_not_depend_on_the_size_of_records(
        stream in stream(),
        sizes in vec(1usize..9, 1..6),
        frame in 5_000u64..200_000,
        is_prompt: bool,
    ) {
        let pictures = stream.encode();
        let records = recorded(&pictures, &sizes, frame);
        let single = sizes.iter().all(|size| *size == 1);
        let config = StreamConfig { is_prompt: is_prompt && single, ..config() };
        let reading = read(config, &records);
        prop_assert_eq!(&reading.error, &None);
        let expected: Vec<_> = pictures.iter().map(|picture| picture.bytes.clone()).collect();
        prop_assert_eq!(reading.contents(), expected);
        prop_assert_eq!(reading.counts.access_units, pictures.len() as u64);
        prop_assert_eq!(reading.counts.dropped + reading.counts.damaged, 0);
        let frames = reading.frames();
        prop_assert!(frames.windows(2).all(|pair| pair[0].dts < pair[1].dts));
        prop_assert!(frames.iter().all(|frame| frame.dts <= frame.pts));
        let is_right = reading.warnings().is_empty();
        if is_right {
            let mut shown: Vec<_> = frames.iter().zip(&pictures).collect();
            shown.sort_by_key(|(_, picture)| picture.place);
            for (index, (shown, _)) in (0..).zip(shown) {
                prop_assert_eq!(shown.capture_time, CaptureTime::from_useconds(T + index * frame));
                prop_assert_eq!(shown.pts, Nanos::from_useconds(index * frame));
            }
        }
    }

    /// Each encoder's frames have the times of their records in output order, also where one follows another at once
    /// without an IDR picture. Frames that refer to missing ones may be marked, and no others of a known depth unless
    /// `frame_num` happens to continue: they could be of the same encoder then, and preceded by missing ones.
    #[test]
    fn encoders_may_follow_each_other(stream in joined_stream(), frame in 5_000u64..200_000) {
        let pictures = stream.encode();
        let reading = read(config(), &recorded(&pictures, &[1], frame));
        prop_assert_eq!(&reading.error, &None);
        let expected: Vec<_> = pictures.iter().map(|picture| picture.bytes.clone()).collect();
        prop_assert_eq!(reading.contents(), expected);
        let frames = reading.frames();
        let is_too_deep = |text: &&str| text.contains("out of output order");
        if reading.warnings().iter().any(is_too_deep) {
            return Ok(());
        }
        let continued: Vec<_> = (pictures.windows(2))
            .filter(|pair| pair[0].place.0 != pair[1].place.0)
            .filter(|pair| matches!((pair[1].frame_num + 16 - pair[0].frame_num) % 16, 0 | 1 | 15))
            .map(|pair| pair[1].place.0)
            .collect();
        let mut shown: Vec<_> = frames.iter().zip(&pictures).collect();
        shown.sort_by_key(|(_, picture)| picture.place);
        for (index, (frame_read, picture)) in (0..).zip(shown) {
            let time = CaptureTime::from_useconds(T + index * frame);
            prop_assert_eq!(frame_read.capture_time, time, "{:?}", picture);
            let may_be_marked = picture.is_leading
                || continued.contains(&picture.place.0)
                || stream.declared_depth().is_none();
            prop_assert!(may_be_marked || !frame_read.is_corrupted, "{:?}", picture);
        }
    }

    /// Records that end anywhere hold the same frames.
    #[test]
    fn frames_do_not_depend_on_the_ends_of_records(
        stream in stream(),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let pictures = stream.encode();
        let units: Vec<_> = pictures.iter().map(|picture| picture.bytes.clone()).collect();
        let bytes = Bytes::from(units.concat());
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|cut| bytes.slice(cut[0]..cut[1]));
        let records: Vec<_> = (0..).zip(parts)
            .map(|(index, part)| (rated(10 * index, "25"), part))
            .collect();
        let keep = StreamOptions { gap_detection: false, ..StreamOptions::default() };
        let reading = read(config_with(keep), &records);
        prop_assert_eq!(reading.contents(), units);
    }
}

#[test]
fn the_first_record_is_complete_where_it_is_presumed_to_be() {
    let records = in_groups(&pictures(20, 10), 10);
    let options = StreamOptions {
        frame_rate: FrameRate::new(25, 1),
        ..StreamOptions::default()
    };
    let prompt = StreamConfig {
        is_prompt: true,
        ..config_with(options)
    };
    let presumed = StreamConfig {
        presumes_whole_records: true,
        ..prompt
    };
    let count = |config| {
        let mut stream = whole(config);
        let mut reading = Reading::new(&mut whole(config), &[]);
        let (tag, content) = &records[0];
        stream.push(tag.clone(), vec![content.clone()]);
        reading.drain(&mut stream);
        reading.frames().len()
    };
    assert_eq!((count(prompt), count(presumed)), (0, 10));
}
