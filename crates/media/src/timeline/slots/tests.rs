// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Tests of the timeline.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::OnLoss;
use super::super::continuity::{self, Continuity, ContinuityFacts, ContinuityOutput};
use super::super::declared_rate::RateSource;
use super::*;
use crate::codec::h264::FrameNumber;
use crate::codec::h264::testing::FRAME_NUMBER;

const MS: Nanos = Nanos::MSECOND;
/// Some capture time, not a multiple of anything.
const T: CaptureTime = CaptureTime::from_useconds(1_749_804_653_273_752);

fn declared(numerator: i32, denominator: i32) -> Option<DeclaredRate> {
    Some(DeclaredRate {
        rate: FrameRate::new(numerator, denominator).unwrap(),
        source: RateSource::Label,
    })
}

fn rate(fps: i32) -> Option<DeclaredRate> {
    declared(fps, 1)
}

fn prompt() -> Timeline {
    Timeline::new(TimelineConfig {
        is_prompt: true,
        ..Default::default()
    })
}

fn literal(tolerance: Nanos) -> Timeline {
    Timeline::new(TimelineConfig {
        gap_tolerance: Some(tolerance),
        ..Default::default()
    })
}

/// Slots of records at times in ms, which hold so many units.
fn run_records(
    mut timeline: Timeline,
    records: &[(u64, usize)],
    rate: Option<DeclaredRate>,
) -> Vec<Slot> {
    for (time, units) in records {
        timeline.push(T + *time * MS, *units, rate);
    }
    timeline.finish().unwrap();
    std::iter::from_fn(|| timeline.pop()).collect()
}

fn run(records: &[(u64, usize)], rate: Option<DeclaredRate>) -> Vec<Slot> {
    run_records(Timeline::default(), records, rate)
}

/// Records of one unit each, so far apart.
fn apart(distances: &[u64]) -> Vec<(u64, usize)> {
    let mut time = 0;
    let later = distances.iter().map(|distance| {
        time += distance;
        (time, 1)
    });
    std::iter::once((0, 1))
        .chain(later.collect::<Vec<_>>())
        .collect()
}

fn times(slots: &[Slot]) -> Vec<u64> {
    slots.iter().map(|slot| slot.time.mseconds()).collect()
}

fn durations(slots: &[Slot]) -> Vec<u64> {
    let durations = slots.iter().map(|slot| slot.duration.unwrap().mseconds());
    durations.collect()
}

/// Indices and lengths in ms of pauses, and whether they break the rhythm.
fn pauses(slots: &[Slot]) -> Vec<(usize, u64, bool)> {
    let pauses = slots
        .iter()
        .enumerate()
        .filter_map(|(index, slot)| match slot.spacing {
            Spacing::Pause {
                length,
                breaks_rhythm,
                ..
            } => Some((index, length.mseconds(), breaks_rhythm)),
            _ => None,
        });
    pauses.collect()
}

fn gaps(slots: &[Slot]) -> Vec<usize> {
    let gaps = slots.iter().enumerate();
    gaps.filter(|(_, slot)| slot.spacing == Spacing::Gap)
        .map(|(index, _)| index)
        .collect()
}

#[test]
fn a_unit_lasts_until_the_next_record() {
    let slots = run(&apart(&[103, 96, 101, 100]), rate(10));
    assert_eq!(times(&slots), [0, 103, 199, 300, 400]);
    // The last one has the cadence.
    assert_eq!(durations(&slots), [103, 96, 101, 100, 100]);
    assert_eq!(slots[1].capture, T + 103 * MS);
    assert_eq!(slots[1].record, T + 103 * MS);
    assert_eq!(pauses(&slots), []);
    assert!(
        slots
            .iter()
            .all(|slot| slot.frame_rate == FrameRate::new(10, 1))
    );
}

#[test]
fn a_single_unit_lasts_a_frame() {
    assert_eq!(durations(&run(&[(0, 1)], rate(10))), [100]);
    assert_eq!(durations(&run(&[(0, 1)], None)), [40]);
    assert_eq!(durations(&run(&[(0, 1), (30, 1)], None)), [30, 30]);
}

#[test]
fn units_of_a_record_share_its_time() {
    let slots = run(&[(0, 4), (400, 4), (800, 2)], rate(10));
    assert_eq!(
        times(&slots),
        [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]
    );
    assert_eq!(slots[5].capture, T + 500 * MS);
    assert_eq!(slots[5].record, T + 400 * MS);
    let early = run(&[(0, 4), (200, 1)], rate(10));
    assert_eq!(times(&early), [0, 50, 100, 150, 200]);
    assert_eq!(early[0].duration, Some(50 * MS));
    // Without a rate, too, as there is a next record.
    let unknown = run(&[(0, 4), (400, 4), (800, 4)], None);
    assert_eq!(times(&unknown)[..8], [0, 100, 200, 300, 400, 500, 600, 700]);
    assert_eq!(durations(&unknown), [100; 12]);
}

#[test]
fn time_grows_even_within_a_microsecond() {
    let mut timeline = Timeline::default();
    timeline.push(T, 5000, rate(10));
    timeline.push(T + Nanos::USECOND, 1, rate(10));
    timeline.finish().unwrap();
    let slots: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
    assert_eq!(slots.len(), 5001);
    assert!(slots.windows(2).all(|pair| pair[0].time < pair[1].time));
}

#[test]
fn a_camera_that_slows_down_keeps_its_times() {
    for slow in [80, 160, 400] {
        let distances = [[40; 20], [slow; 20]].concat();
        let records = apart(&distances);
        let slots = run(&records, rate(25));
        let expected: Vec<_> = records.iter().map(|(time, _)| *time).collect();
        assert_eq!(times(&slots), expected);
        assert_eq!(durations(&slots)[..40], distances);
        // The new cadence is known after some frames, and none breaks the rhythm.
        let pauses = pauses(&slots);
        assert!(pauses.len() <= 4, "{pauses:?}");
        assert!(pauses.iter().all(|(_, _, breaks)| !breaks));
    }
}

#[test]
fn groups_of_a_camera_that_slows_down() {
    let records = [
        (0, 25),
        (1000, 25),
        (2000, 25),
        (4000, 25),
        (6000, 25),
        (8000, 25),
    ];
    let slots = run(&records, rate(25));
    assert_eq!(times(&slots)[50..54], [2000, 2080, 2160, 2240]);
    assert_eq!(times(&slots)[149], 8000 + 24 * 80);
    assert_eq!(pauses(&slots), []);
    // Four times as slow, and the next record confirms it.
    let records = [
        (0, 25),
        (1000, 25),
        (2000, 25),
        (3000, 25),
        (7000, 25),
        (11_000, 25),
    ];
    let slots = run(&records, rate(25));
    assert_eq!(times(&slots)[75..78], [3000, 3160, 3320]);
    assert_eq!(pauses(&slots), []);
}

#[test]
fn a_hole_changes_no_cadence() {
    // A group is missing after each third one.
    let times_of_records = [0, 1000, 2000, 3000, 5000, 6000, 7000, 9000, 10_000, 11_000];
    for rate in [rate(25), None] {
        let slots = run(&times_of_records.map(|time| (time, 25)), rate);
        assert_eq!(times(&slots)[98..102], [3920, 3960, 5000, 5040]);
        assert_eq!(times(&slots)[173..177], [7920, 7960, 9000, 9040]);
        assert_eq!(pauses(&slots), [(100, 1040, true), (175, 1040, true)]);
    }
}

#[test]
fn a_hole_before_the_last_group_is_one_by_the_declared_rate() {
    let groups = [(0, 25), (1000, 25), (2000, 25), (3000, 25), (5000, 25)];
    let slots = run(&groups, rate(25));
    assert_eq!(times(&slots)[98..102], [3920, 3960, 5000, 5040]);
    assert_eq!(pauses(&slots), [(100, 1040, true)]);
    assert_eq!(slots[124].duration, Some(40 * MS));
    // Without a declared rate, or after fewer groups, the camera may have slowed down.
    for slots in [run(&groups, None), run(&groups[1..], rate(25))] {
        let last = slots.len() - 25;
        let before = times(&slots)[last] - times(&slots)[last - 1];
        assert_eq!(before, 80);
        assert_eq!(pauses(&slots), []);
    }
}

#[test]
fn a_hole_after_a_group_is_no_slow_camera() {
    for hole in [1000, 9000] {
        let times_of_records = [0, 1000, 2000, 3000, 4000, 5000];
        let records = times_of_records.map(|time| match time < 3000 {
            true => (time, 25),
            false => (time + hole, 25),
        });
        let slots = run(&records, rate(25));
        assert_eq!(times(&slots)[74..76], [2960, 3000 + hole]);
        assert_eq!(pauses(&slots), [(75, 40 + hole, true)]);
        assert_eq!(slots[74].duration, Some((40 + hole) * MS));
        assert_eq!(slots[74].before_pause, Some(40 * MS));
    }
}

#[test]
fn a_pause_is_more_than_two_and_a_half_frames() {
    let paused = |length: u64| {
        let slots = run(&apart(&[100, 100, 100, 100, length, 100, 100]), rate(10));
        pauses(&slots)
    };
    assert_eq!(paused(250), []);
    assert_eq!(paused(251), [(5, 251, true)]);
    assert_eq!(paused(60_000), [(5, 60_000, true)]);
}

#[test]
fn the_duration_before_a_pause_can_be_a_frame() {
    let slots = run(&apart(&[100, 100, 100, 5000, 100]), rate(10));
    assert_eq!(durations(&slots), [100, 100, 100, 5000, 100, 100]);
    let before: Vec<_> = slots.iter().map(|slot| slot.before_pause).collect();
    assert_eq!(before, [None, None, None, Some(100 * MS), None, None]);
}

#[test]
fn a_rhythm_that_does_not_return_is_not_broken() {
    let slots = run(&apart(&[100, 100, 100, 300, 300, 300]), rate(10));
    assert!(pauses(&slots).iter().all(|(_, _, breaks)| !breaks));
    // Where it varies, only a long pause breaks it.
    let irregular = [100, 190, 130, 110, 200, 100, 150, 120];
    for (length, expected) in [(400, false), (1200, false), (1400, true)] {
        let distances = [&irregular[..], &[length], &irregular[..]].concat();
        let slots = run(&apart(&distances), rate(10));
        assert_eq!(pauses(&slots), [(9, length, expected)]);
    }
}

#[test]
fn irregular_frames_are_no_pauses() {
    let distances: Vec<_> = [100, 300, 200, 400, 100]
        .into_iter()
        .cycle()
        .take(59)
        .collect();
    let slots = run(&apart(&distances), rate(10));
    assert!(pauses(&slots).iter().all(|(_, _, breaks)| !breaks));
    assert_eq!(durations(&slots)[..59], distances);
}

#[test]
fn a_declared_rate_can_be_contradicted() {
    let contradiction = |mut timeline: Timeline, fps, distance: u64| {
        for frame in 0..10 {
            timeline.push(T + frame * distance * MS, 1, rate(fps));
        }
        timeline.finish().unwrap();
        let contradiction = timeline.take_contradiction();
        assert_eq!(timeline.take_contradiction(), None);
        let slots: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
        let trusted = slots
            .iter()
            .filter(|slot| slot.frame_rate.is_some())
            .count();
        (contradiction.map(|it| it.frame.mseconds()), trusted)
    };
    assert_eq!(contradiction(Timeline::default(), 25, 40), (None, 10));
    assert_eq!(contradiction(Timeline::default(), 25, 47), (None, 10));
    assert_eq!(contradiction(Timeline::default(), 25, 80), (Some(80), 0));
    assert_eq!(contradiction(Timeline::default(), 50, 40), (Some(40), 0));
    // Nothing waits, and the first three frames are declared wrongly.
    assert_eq!(contradiction(prompt(), 25, 80), (Some(80), 3));
    assert_eq!(contradiction(literal(MS), 25, 80), (None, 10));
}

#[test]
fn another_declaration_is_another_cadence() {
    let mut timeline = Timeline::default();
    for frame in 0..10 {
        timeline.push(T + frame * 40 * MS, 1, rate(25));
    }
    for frame in 0..10 {
        timeline.push(T + (400 + frame * 200) * MS, 1, rate(5));
    }
    timeline.finish().unwrap();
    assert_eq!(timeline.take_contradiction(), None);
    let slots: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
    assert_eq!(slots.len(), 20);
    assert_eq!(pauses(&slots), []);
}

#[test]
fn nonsense_does_not_move_frames() {
    for fps in [1, 1000] {
        let slots = run(&apart(&[40; 59]), rate(fps));
        assert_eq!(times(&slots), (0..60).map(|it| it * 40).collect::<Vec<_>>());
        assert_eq!(durations(&slots), [40; 60]);
        let groups: Vec<_> = (0..6).map(|group| (group * 400, 10)).collect();
        let slots = run(&groups, rate(fps));
        assert_eq!(times(&slots), (0..60).map(|it| it * 40).collect::<Vec<_>>());
    }
}

#[test]
fn prompt_slots_wait_for_no_record() {
    let mut timeline = prompt();
    timeline.push(T, 3, rate(10));
    assert_eq!(timeline.slots.len(), 3);
    // The next record begins within the last slot, then within the first one.
    timeline.push(T + 250 * MS, 1, rate(10));
    timeline.push(T + 240 * MS, 1, None);
    let slots: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
    assert_eq!(times(&slots), [0, 100, 200, 250, 250]);
    assert!(slots.is_sorted_by(|a, b| a.time < b.time));
    assert_eq!(slots[2].duration, Some(100 * MS));
    assert_eq!(slots[4].duration, Some(100 * MS));
    assert_eq!(pauses(&slots), []);
}

#[test]
fn prompt_slots_have_the_cadence() {
    let distances = [[40; 10], [80; 10]].concat();
    let slots = run_records(prompt(), &apart(&distances), rate(25));
    assert_eq!(durations(&slots)[..11], [40; 11]);
    assert_eq!(durations(&slots)[16..], [80; 5]);
    assert_eq!(pauses(&slots), []);
    let lost = [100, 100, 100, 100, 400, 100];
    let slots = run_records(prompt(), &apart(&lost), rate(10));
    assert_eq!(pauses(&slots), [(5, 400, true)]);
    // Groups that a slow camera makes: the first ones are divided by the declared rate.
    let groups: Vec<_> = (0..6).map(|group| (group * 2000, 25)).collect();
    let slots = run_records(prompt(), &groups, rate(25));
    assert_eq!(times(&slots)[100..102], [8000, 8080]);
    assert_eq!(pauses(&slots), []);
}

#[test]
fn a_prompt_group_without_a_rate_waits_for_the_next_one() {
    let mut timeline = prompt();
    timeline.push(T, 4, None);
    assert_eq!(timeline.pop(), None);
    timeline.push(T + 400 * MS, 4, None);
    let slots: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
    assert_eq!(times(&slots), [0, 100, 200, 300, 400, 500, 600, 700]);
}

#[test]
fn several_units_need_a_frame_rate_or_another_record() {
    let mut timeline = Timeline::default();
    timeline.push(T, 2, None);
    let error = NoFrameRate {
        record: T,
        units: 2,
    };
    assert_eq!(timeline.finish(), Err(error));
    let mut timeline = Timeline::default();
    timeline.push(T, 1, None);
    timeline.push(T, 0, None);
    assert_eq!(timeline.finish(), Ok(()));
}

#[test]
fn with_a_tolerance_the_declared_rate_is_taken_to_the_letter() {
    let gaps_at = |tolerance, times: &[u64]| {
        let records: Vec<_> = times.iter().map(|time| (*time, 1)).collect();
        gaps(&run_records(literal(tolerance), &records, rate(10)))
    };
    assert!(gaps_at(300 * MS, &[0, 500]).is_empty());
    assert_eq!(gaps_at(300 * MS, &[0, 501]), [1]);
    assert_eq!(gaps_at(Nanos::NSECOND, &[0, 200, 401]), [2]);
    let irregular: Vec<_> = [100, 300, 200, 400, 100]
        .into_iter()
        .cycle()
        .take(59)
        .collect();
    let slots = run_records(literal(Nanos::NSECOND), &apart(&irregular), rate(10));
    assert_eq!(gaps(&slots).len(), 24);
    assert!(durations(&slots).iter().all(|duration| *duration == 100));
    let groups = [(0, 10), (1000, 10), (2500, 10)];
    let slots = run_records(literal(MS), &groups, rate(10));
    assert_eq!(gaps(&slots), [20]);
    assert_eq!(times(&slots)[19..21], [1900, 2500]);
}

#[test]
fn without_a_frame_rate_nothing_is_missing_by_the_letter() {
    let slots = run_records(literal(MS), &apart(&[40, 4960]), None);
    assert_eq!(times(&slots), [0, 40, 5000]);
    assert_eq!(durations(&slots), [40, 4960, 4960]);
    assert!(gaps(&slots).is_empty());
}

#[test]
fn records_without_pictures_are_no_pause() {
    let slots = run(&[(0, 1), (5000, 0), (100, 1), (200, 1), (300, 1)], rate(10));
    assert_eq!(times(&slots), [0, 100, 200, 300]);
    assert_eq!(pauses(&slots), []);
}

#[test]
fn time_counts_from_the_given_origin() {
    let timeline = Timeline::new(TimelineConfig {
        origin: Some(T - 700 * MS),
        ..Default::default()
    });
    let slots = run_records(timeline, &[(0, 1), (100, 1)], rate(10));
    assert_eq!(times(&slots), [700, 800]);
}

#[test]
fn absurd_rates_and_times_do_not_overflow() {
    let slowest = declared(1, i32::MAX);
    for mut timeline in [Timeline::default(), prompt(), literal(MS)] {
        for time in [T, CaptureTime::MAX, CaptureTime::EPOCH, CaptureTime::MAX, T] {
            timeline.push(time, 100_000, slowest);
        }
        timeline.finish().unwrap();
        assert!(timeline.pop().is_some());
    }
}

#[test]
fn ntsc_does_not_drift() {
    let slots = run(&[(0, 30_000 * 36)], declared(30_000, 1001));
    // 36 × 30000 frames are 36 × 1001 seconds, and the last one begins a frame earlier.
    let end = slots.last().unwrap().time + frames(1, FrameRate::new(30_000, 1001).unwrap());
    assert!(end.absdiff(36 * 1001 * Nanos::SECOND) <= Nanos::from_nseconds(2));
}

/// Passes slots of a stream with one IDR picture, from which the pictures of `lost` are missing,
/// through the continuity. Returns how many access units came, were dropped, and losses.
fn follow(slots: Vec<Slot>, lost: &[usize]) -> (Vec<CaptureTime>, usize, usize) {
    let mut continuity = Continuity::new(continuity::ContinuityConfig {
        pause_limit: 5 * Nanos::SECOND,
        on_loss: OnLoss::Auto,
        gap_detection: true,
        is_sparse: false,
        marks_faults: false,
    });
    let numbers = (0u32..).filter(|number| !lost.contains(&(*number as usize)));
    for (slot, frame_num) in slots.into_iter().zip(numbers) {
        let facts = ContinuityFacts {
            number: Some(FrameNumber {
                frame_num: frame_num % 256,
                modulus: 256,
                idr: frame_num == 0,
                ..FRAME_NUMBER
            }),
            is_keyframe: frame_num == 0,
            ..Default::default()
        };
        continuity.push((), &facts, slot);
    }
    continuity.finish();
    let (mut captures, mut dropped, mut losses) = (Vec::new(), 0, 0);
    while let Some(output) = continuity.pop() {
        match output {
            ContinuityOutput::Unit { slot, .. } => captures.push(slot.capture),
            ContinuityOutput::Dropped(()) => dropped += 1,
            ContinuityOutput::Loss(_) => losses += 1,
        }
    }
    (captures, dropped, losses)
}

proptest! {
    /// Whatever the cadence, the layout and the declared rate: every access unit comes once, in
    /// order, the first one of a record at the record's time and the others before the next record,
    /// and without a lost picture there is neither a gap nor a drop.
    #[test]
    fn every_frame_comes_once(
        records in vec((1u64..400_000, 1usize..6), 1..60),
        pauses in vec((0usize..60, 0u64..100_000_000), 0..3),
        fps in proptest::option::of(1i32..200),
        is_prompt: bool,
    ) {
        let mut timeline = Timeline::new(TimelineConfig { is_prompt, ..Default::default() });
        let mut time = T;
        let mut times = Vec::new();
        for (index, (distance, units)) in records.iter().enumerate() {
            timeline.push(time, *units, fps.and_then(rate));
            times.push((time, *units));
            time += Nanos::from_useconds(*distance * *units as u64);
            let pauses = pauses.iter().filter(|(before, _)| *before == index);
            time += pauses.map(|(_, pause)| Nanos::from_useconds(*pause)).sum::<Nanos>();
        }
        let finished = timeline.finish();
        let slots: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
        let expected: usize = times.iter().map(|(_, units)| units).sum();
        prop_assume!(finished.is_ok());
        prop_assert_eq!(slots.len(), expected);
        prop_assert!(slots.is_sorted_by(|a, b| a.time < b.time));
        let mut next = slots.iter();
        for (index, (time, units)) in times.iter().enumerate() {
            let of_record: Vec<_> = next.by_ref().take(*units).collect();
            prop_assert_eq!(of_record[0].capture, *time);
            prop_assert!(of_record.iter().all(|slot| slot.record == *time));
            if let (Some((after, _)), false) = (times.get(index + 1), is_prompt) {
                prop_assert!(of_record.iter().all(|slot| slot.capture < *after));
            }
        }
        let captures: Vec<_> = slots.iter().map(|slot| slot.capture).collect();
        let (found, dropped, losses) = follow(slots, &[]);
        prop_assert_eq!((found, dropped, losses), (captures, 0, 0));
    }

    /// A lost reference picture is reported, and nothing else is dropped before it.
    #[test]
    fn losses_are_reported(
        distances in vec(35u64..45, 20..120),
        lost in 1usize..19,
        count in 1usize..8,
    ) {
        let mut timeline = Timeline::default();
        let mut time = T;
        for (frame, distance) in distances.iter().enumerate() {
            if !(lost..lost + count).contains(&frame) {
                timeline.push(time, 1, rate(25));
            }
            time += *distance * MS;
        }
        timeline.finish().unwrap();
        let slots: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
        let total = slots.len();
        let lost: Vec<_> = (lost..lost + count).collect();
        let (found, dropped, losses) = follow(slots, &lost);
        prop_assert_eq!(found.len() + dropped, total);
        let is_at_end = lost[0] + count >= distances.len();
        prop_assert_eq!(losses, usize::from(!is_at_end));
        prop_assert!(found.len() >= lost[0]);
        prop_assert!(count > 1 || dropped == 0, "one lost picture is no gap");
    }
}
