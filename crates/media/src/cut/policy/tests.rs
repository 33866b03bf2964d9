// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;

use super::*;

const MS: Nanos = Nanos::MSECOND;
const FRAME: Nanos = Nanos::from_mseconds(100);

/// An episode as tests compare it: begin in ms, duration in ms, frames, reason.
type Summary = (u64, u64, u64, Reason);

fn unit(index: u64) -> Unit {
    Unit {
        entry: index.is_multiple_of(10).then_some(Entry::Idr),
        discont: false,
        new_format: false,
        running_time: index * FRAME,
        decode_time: index * FRAME,
        segment: 0,
        visibility: Visibility::Shown,
        corrupted: false,
        duration: FRAME,
        bytes: 1000,
        capture: None,
    }
}

/// `groups` groups of ten frames, a second each.
fn groups(groups: u64) -> Vec<Unit> {
    (0..groups * 10).map(unit).collect()
}

fn changes(config: Config, units: &[Unit]) -> Vec<Change> {
    let mut policy = Policy::new(config);
    let mut changes = Vec::new();
    for unit in units {
        policy.push(unit, &mut changes);
    }
    policy.finish(&mut changes);
    changes
}

fn run(config: Config, units: &[Unit]) -> Vec<Summary> {
    summarise(&changes(config, units))
}

fn summarise(changes: &[Change]) -> Vec<Summary> {
    let mut begins = VecDeque::new();
    let mut summaries = Vec::new();
    for change in changes {
        match change {
            Change::Begin {
                index,
                running_time,
                ..
            } => {
                assert_eq!(*index as usize, begins.len() + summaries.len());
                begins.push_back((*index, *running_time));
            }
            Change::End(episode) => {
                let (index, begin) = begins.pop_front().expect("no end without a begin");
                assert_eq!(index, episode.index);
                summaries.push((
                    begin.mseconds(),
                    episode.duration.mseconds(),
                    episode.frames,
                    episode.reason,
                ));
            }
            Change::PassEntry(_) => {}
        }
    }
    assert!(begins.is_empty());
    summaries
}

/// A unit of a segment in which nothing is shown before a time.
fn from(index: u64, segment: u64, shown_from: Nanos) -> Unit {
    let unit = unit(index);
    let visibility = match unit.running_time < shown_from {
        true => Visibility::Before,
        false => Visibility::Shown,
    };
    Unit {
        segment,
        visibility,
        ..unit
    }
}

fn episodes(config: Config, units: &[Unit]) -> Vec<Episode> {
    let ends = changes(config, units)
        .into_iter()
        .filter_map(|change| match change {
            Change::End(episode) => Some(episode),
            _ => None,
        });
    ends.collect()
}

#[test]
fn all_of_an_episode_is_shown() {
    let episode = &episodes(Config::default(), &groups(2))[0];
    assert_eq!(episode.shown, [Nanos::ZERO..2000 * MS]);
    assert_eq!(episode.hidden, 0);
}

#[test]
fn what_leads_in_is_not_shown() {
    // In the middle of the fifth frame: it began before.
    let units: Vec<_> = (0..30).map(|index| from(index, 0, 450 * MS)).collect();
    let units: Vec<_> = (units.into_iter())
        .map(|unit| Unit {
            capture: Some(CaptureTime::EPOCH + (unit.running_time + 5 * MS)),
            ..unit
        })
        .collect();
    let config = Config {
        duration: Some(1000 * MS),
        ..Default::default()
    };
    let episodes = episodes(config, &units);
    // At 1 s half a second is shown.
    let [first, second] = &episodes[..] else {
        panic!("{episodes:?}");
    };
    assert_eq!((first.frames, first.hidden), (15, 5));
    assert_eq!(first.duration, 1500 * MS);
    assert_eq!(first.shown, [500 * MS..2000 * MS]);
    assert_eq!(first.capture, Some(CaptureTime::new(505 * MS)));
    assert_eq!((second.frames, second.hidden), (10, 0));
    assert_eq!(second.shown, [2000 * MS..3000 * MS]);
    assert_eq!(second.capture, Some(CaptureTime::new(2005 * MS)));
}

#[test]
fn parts_of_an_episode_with_something_between() {
    let mut units: Vec<_> = (0..10).map(unit).collect();
    units.extend((10..20).map(|index| from(index, 1, 1300 * MS)));
    units.extend((20..30).map(|index| from(index, 2, 2000 * MS)));
    for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
        let config = Config {
            mode,
            ..Default::default()
        };
        let episode = &episodes(config, &units)[0];
        assert_eq!((episode.frames, episode.hidden), (27, 3));
        assert_eq!(episode.duration, 2700 * MS);
        let parts = [Nanos::ZERO..1000 * MS, 1300 * MS..3000 * MS];
        assert_eq!(episode.shown, parts);
    }
    // The third group makes it too long, the second one would not.
    let config = Config {
        mode: SplitMode::AtMost,
        duration: Some(2000 * MS),
        ..Default::default()
    };
    let durations: Vec<_> = episodes(config, &units)
        .iter()
        .map(|episode| episode.duration)
        .collect();
    assert_eq!(durations, [1700 * MS, 1000 * MS]);
}

#[test]
fn what_is_hidden_is_not_reached_into() {
    let mut units: Vec<_> = (0..10).map(unit).collect();
    units[7].duration = 250 * MS;
    for last in &mut units[8..] {
        last.visibility = Visibility::After;
    }
    units.extend((10..20).map(|index| from(index, 1, 1300 * MS)));
    let episode = &episodes(Config::default(), &units)[0];
    let parts = [Nanos::ZERO..800 * MS, 1300 * MS..2000 * MS];
    assert_eq!(episode.shown, parts);
}

#[test]
fn the_last_picture_says_when_an_episode_ends() {
    let mut units = groups(1);
    units[0].duration = 10_000 * MS;
    units[9].duration = 50 * MS;
    let episode = &episodes(Config::default(), &units)[0];
    assert_eq!(episode.shown, [Nanos::ZERO..950 * MS]);
}

#[test]
fn damaged_units_are_counted() {
    let mut units = groups(2);
    units[3].corrupted = true;
    units[14].corrupted = true;
    let config = Config {
        duration: Some(1000 * MS),
        ..Default::default()
    };
    let counts = episodes(config, &units);
    let counts: Vec<_> = counts.iter().map(|episode| episode.corrupted).collect();
    assert_eq!(counts, [1, 1]);
}

#[test]
fn a_file_ends_before_it_is_too_long_to_count() {
    for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
        let mut policy = Policy::new(Config {
            mode,
            ..Default::default()
        });
        policy.set_max_span(3500 * MS);
        let mut changes = Vec::new();
        for unit in groups(7) {
            policy.push(&unit, &mut changes);
        }
        policy.finish(&mut changes);
        let expected = [
            (0, 3000, 30, Reason::Length),
            (3000, 3000, 30, Reason::Length),
            (6000, 1000, 10, Reason::Eos),
        ];
        assert_eq!(summarise(&changes), expected, "{mode:?}");
    }
}

#[test]
fn what_comes_after_the_end_is_not_shown() {
    let mut units: Vec<_> = (0..10).map(unit).collect();
    for last in &mut units[8..] {
        last.visibility = Visibility::After;
    }
    let episode = &episodes(Config::default(), &units)[0];
    assert_eq!((episode.frames, episode.hidden), (8, 2));
    assert_eq!(episode.shown, [Nanos::ZERO..800 * MS]);
}

fn durations(config: Config, units: &[Unit]) -> Vec<u64> {
    run(config, units).iter().map(|episode| episode.1).collect()
}

fn limit(mode: SplitMode, mseconds: u64) -> Config {
    Config {
        mode,
        duration: Some(mseconds * MS),
        gap_detection: true,
        ..Default::default()
    }
}

#[test]
fn no_limit_is_one_episode() {
    assert_eq!(
        run(Config::default(), &groups(6)),
        [(0, 6000, 60, Reason::Eos)]
    );
}

#[test]
fn next_keyframe() {
    let durations = |limit_ms| durations(limit(SplitMode::NextKeyframe, limit_ms), &groups(6));
    assert_eq!(durations(2000), [2000, 2000, 2000]);
    assert_eq!(durations(2500), [3000, 3000]);
    assert_eq!(durations(500), [1000; 6]);
    assert_eq!(durations(60_000), [6000]);
}

#[test]
fn at_most() {
    let durations = |limit_ms| durations(limit(SplitMode::AtMost, limit_ms), &groups(6));
    assert_eq!(durations(2000), [2000, 2000, 2000]);
    assert_eq!(durations(2500), [2000, 2000, 2000]);
    assert_eq!(durations(500), [1000; 6]);
    assert_eq!(durations(5500), [5000, 1000]);
    assert_eq!(durations(60_000), [6000]);
}

#[test]
fn jitter_changes_nothing() {
    for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
        let mut units = groups(6);
        for (index, unit) in units.iter_mut().enumerate().skip(1) {
            match index % 3 {
                0 => unit.running_time += MS,
                1 => unit.running_time = unit.running_time.saturating_sub(MS),
                _ => {}
            }
        }
        let frames: Vec<_> = run(limit(mode, 2000), &units)
            .iter()
            .map(|episode| episode.2)
            .collect();
        assert_eq!(frames, [20, 20, 20], "{mode:?}");
    }
}

#[test]
fn size_by_mode() {
    let group = BYTES_PER_FRAME * 10 + 10_000;
    let config = |mode, groups| Config {
        mode,
        size: Some(BYTES_PER_FILE + group * groups),
        ..Default::default()
    };
    let next = durations(config(SplitMode::NextKeyframe, 2), &groups(6));
    assert_eq!(next, [2000, 2000, 2000]);
    let mut just_more = config(SplitMode::NextKeyframe, 2);
    just_more.size = just_more.size.map(|size| size + 1);
    assert_eq!(durations(just_more.clone(), &groups(6)), [3000, 3000]);
    just_more.mode = SplitMode::AtMost;
    assert_eq!(durations(just_more, &groups(6)), [2000, 2000, 2000]);
    assert_eq!(
        run(config(SplitMode::AtMost, 2), &groups(4))[0].3,
        Reason::Size
    );
}

#[test]
fn whichever_limit_comes_first() {
    let mut config = limit(SplitMode::NextKeyframe, 3000);
    config.size = Some(15_000);
    let reasons = |config: Config| -> Vec<_> {
        let episodes = run(config, &groups(6));
        episodes
            .iter()
            .map(|episode| (episode.1, episode.3))
            .collect()
    };
    assert_eq!(
        reasons(config.clone()),
        [
            (2000, Reason::Size),
            (2000, Reason::Size),
            (2000, Reason::Eos)
        ]
    );
    config.size = Some(100_000);
    assert_eq!(
        reasons(config),
        [(3000, Reason::Duration), (3000, Reason::Eos)]
    );
}

#[test]
fn a_gap_ends_an_episode() {
    let mut units = groups(4);
    units[20].discont = true;
    let config = limit(SplitMode::NextKeyframe, 3000);
    assert_eq!(
        run(config.clone(), &units),
        [(0, 2000, 20, Reason::Gap), (2000, 2000, 20, Reason::Eos)]
    );
    let without = Config {
        gap_detection: false,
        ..config
    };
    assert_eq!(durations(without, &units), [3000, 1000]);
}

#[test]
fn at_most_settles_the_group_before_a_gap() {
    let mut units = groups(5);
    units[30].discont = true;
    let episodes = run(limit(SplitMode::AtMost, 2500), &units);
    assert_eq!(
        episodes,
        [
            (0, 2000, 20, Reason::Duration),
            (2000, 1000, 10, Reason::Gap),
            (3000, 2000, 20, Reason::Eos)
        ]
    );
}

#[test]
fn after_a_gap_an_idr_is_awaited() {
    let mut units = groups(4);
    units[15].discont = true;
    let mut policy = Policy::new(limit(SplitMode::NextKeyframe, 60_000));
    let mut changes = Vec::new();
    let dropped = units
        .iter()
        .filter(|unit| policy.push(unit, &mut changes) == Verdict::Drop)
        .count();
    policy.finish(&mut changes);
    assert_eq!(dropped, 5);
    let [.., Change::End(last)] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!((last.dropped, last.frames), (5, 20));
    assert_eq!(
        summarise(&changes),
        [(0, 1500, 15, Reason::Gap), (2000, 2000, 20, Reason::Eos)]
    );
}

#[test]
fn what_is_too_far_away_ends_an_episode() {
    for (mode, discont) in [
        (SplitMode::NextKeyframe, None),
        (SplitMode::AtMost, Some(17)),
    ] {
        let mut units = groups(4);
        if let Some(later) = discont {
            units[later].discont = true;
        }
        let mut policy = Policy::new(limit(mode, 60_000));
        let mut changes = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            if index == 15 {
                policy.break_off();
            }
            let is_lost = (15..20).contains(&index);
            let verdict = policy.push(unit, &mut changes);
            assert_eq!(verdict == Verdict::Drop, is_lost, "{index}");
        }
        assert_eq!(policy.finish(&mut changes), 0);
        assert_eq!(
            summarise(&changes),
            [(0, 1500, 15, Reason::Length), (2000, 2000, 20, Reason::Eos)]
        );
    }
    let mut policy = Policy::new(Config::default());
    let mut changes = Vec::new();
    for unit in &groups(1)[..5] {
        policy.push(unit, &mut changes);
    }
    policy.break_off();
    policy.push(&unit(6), &mut changes);
    assert_eq!(policy.finish(&mut changes), 1);
    assert_eq!(summarise(&changes), [(0, 500, 5, Reason::Length)]);
}

#[test]
fn a_gap_without_an_idr_after_it_ends_an_episode() {
    let mut units = groups(2);
    units.truncate(19);
    units[15].discont = true;
    assert_eq!(
        run(limit(SplitMode::AtMost, 60_000), &units),
        [(0, 1500, 15, Reason::Gap)]
    );
}

#[test]
fn what_precedes_the_first_idr_is_dropped() {
    let units = &groups(2)[7..];
    let mut policy = Policy::new(Config::default());
    let mut changes = Vec::new();
    for unit in units {
        policy.push(unit, &mut changes);
    }
    assert_eq!(policy.finish(&mut changes), 0);
    assert_eq!(summarise(&changes), [(1000, 1000, 10, Reason::Eos)]);
}

#[test]
fn no_idr_no_episode() {
    let mut policy = Policy::new(Config::default());
    let mut changes = Vec::new();
    for index in 1..8 {
        assert_eq!(policy.push(&unit(index), &mut changes), Verdict::Drop);
    }
    assert_eq!(policy.finish(&mut changes), 7);
    assert!(changes.is_empty());
}

#[test]
fn a_new_format_ends_an_episode() {
    let mut units = groups(2);
    units[10].new_format = true;
    assert_eq!(
        run(limit(SplitMode::AtMost, 60_000), &units),
        [(0, 1000, 10, Reason::Format), (1000, 1000, 10, Reason::Eos)]
    );
}

#[test]
fn cuts_come_in_growing_order() {
    let mut units = groups(30);
    for index in [70, 130, 190] {
        units[index].discont = true;
    }
    for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
        let begins: Vec<_> = run(limit(mode, 2500), &units)
            .iter()
            .map(|episode| episode.0)
            .collect();
        assert!(
            begins.windows(2).all(|pair| pair[0] < pair[1]),
            "{begins:?}"
        );
    }
}

/// Open groups of ten frames, of which two lead the recovery point in output order.
fn open_groups(groups: u64) -> Vec<Unit> {
    let mut units = self::groups(groups);
    for group in 1..units.len() / 10 {
        let [recovery, first, second] = [0, 1, 2].map(|at| group * 10 + at);
        units[recovery].entry = Some(Entry::RecoveryPoint);
        for (unit, shown) in [(recovery, second), (first, recovery), (second, first)] {
            units[unit].running_time = shown as u64 * FRAME;
        }
    }
    units
}

#[test]
fn without_keyframes_one_episode_and_one_word_about_it() {
    let mut policy = Policy::new(limit(SplitMode::NextKeyframe, 1000));
    let mut changes = Vec::new();
    for unit in open_groups(4) {
        assert_eq!(policy.push(&unit, &mut changes), Verdict::Keep);
    }
    policy.finish(&mut changes);
    assert_eq!(summarise(&changes), [(0, 4000, 40, Reason::Eos)]);
    let passed = |change: &&Change| **change == Change::PassEntry(KeyframeMode::RecoveryPoint);
    assert_eq!(changes.iter().filter(passed).count(), 1);

    let unlimited = Config::default();
    let mut policy = Policy::new(unlimited);
    changes.clear();
    for unit in open_groups(4) {
        policy.push(&unit, &mut changes);
    }
    assert_eq!(changes.iter().filter(passed).count(), 0);
}

#[test]
fn an_episode_that_begins_with_a_recovery_point_lacks_what_leads_it() {
    let mut config = limit(SplitMode::NextKeyframe, 2000);
    config.keyframes = KeyframeMode::RecoveryPoint;
    let mut policy = Policy::new(config);
    let mut changes = Vec::new();
    let dropped: Vec<_> = (0..)
        .zip(open_groups(4))
        .filter(|(_, unit)| policy.push(unit, &mut changes) == Verdict::Drop)
        .map(|(index, _)| index)
        .collect();
    policy.finish(&mut changes);
    // Those of the second group are in an episode with the first one.
    assert_eq!(dropped, [21, 22]);
    assert_eq!(
        summarise(&changes),
        [
            (0, 2000, 20, Reason::Duration),
            (2200, 1800, 18, Reason::Eos)
        ]
    );
    let dropped: Vec<_> = (changes.iter())
        .filter_map(|change| match change {
            Change::End(episode) => Some(episode.dropped),
            _ => None,
        })
        .collect();
    assert_eq!(dropped, [0, 2]);
}

#[test]
fn intra_pictures_are_keyframes_in_their_mode() {
    let mut units = groups(3);
    units[10].entry = Some(Entry::Intra);
    units[20].entry = Some(Entry::Intra);
    let mut config = limit(SplitMode::NextKeyframe, 1000);
    assert_eq!(run(config.clone(), &units), [(0, 3000, 30, Reason::Eos)]);
    let passed = changes(config.clone(), &units);
    assert!(passed.contains(&Change::PassEntry(KeyframeMode::Intra)));
    config.keyframes = KeyframeMode::Intra;
    let expected = [
        (0, 1000, 10, Reason::Duration),
        (1000, 1000, 10, Reason::Duration),
        (2000, 1000, 10, Reason::Eos),
    ];
    assert_eq!(run(config, &units), expected);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// A group of pictures: frames, their duration in ms, bytes of each, and a pause in ms before it.
    type Group = (u64, u64, u64, u64);

    fn group() -> impl Strategy<Value = Group> {
        let pause = prop_oneof![4 => Just(0), 1 => 1u64..5000];
        (1u64..12, 20u64..120, 1u64..3000, pause)
    }

    fn config() -> impl Strategy<Value = Config> {
        let mode = prop_oneof![Just(SplitMode::NextKeyframe), Just(SplitMode::AtMost)];
        let duration = prop::option::of((1u64..4000).prop_map(Nanos::from_mseconds));
        let size = prop::option::of(1u64..60_000);
        (mode, duration, size, any::<bool>()).prop_map(|(mode, duration, size, gap_detection)| {
            Config {
                mode,
                duration,
                size,
                gap_detection,
                ..Default::default()
            }
        })
    }

    /// Access units of groups, each of which begins with an IDR picture but the first, of which
    /// `missing` access units are missing.
    fn units(groups: &[Group], missing: u64) -> Vec<Unit> {
        let mut time = Nanos::ZERO;
        let mut units = Vec::new();
        for &(frames, duration, bytes, pause) in groups {
            time += Nanos::from_mseconds(pause);
            for frame in 0..frames {
                units.push(Unit {
                    entry: (frame == 0).then_some(Entry::Idr),
                    discont: frame == 0 && pause > 0,
                    running_time: time,
                    decode_time: time,
                    duration: Nanos::from_mseconds(duration),
                    bytes,
                    ..unit(1)
                });
                time += Nanos::from_mseconds(duration);
            }
        }
        units.split_off((missing as usize).min(units.len()))
    }

    proptest! {
        #[test]
        fn each_frame_is_in_one_episode(
            config in config(),
            groups in prop::collection::vec(group(), 1..30),
            missing in 0u64..4,
        ) {
            let units = units(&groups, missing);
            let mut policy = Policy::new(config);
            let mut changes = Vec::new();
            let mut kept = 0;
            for unit in &units {
                kept += u64::from(policy.push(unit, &mut changes) == Verdict::Keep);
            }
            policy.finish(&mut changes);
            let mut begun = VecDeque::new();
            let mut all = 0;
            let mut end = Nanos::ZERO;
            for change in changes {
                match change {
                    Change::Begin { running_time, index, .. } => begun.push_back((running_time, index)),
                    Change::PassEntry(_) => {}
                    Change::End(episode) => {
                        let (begin, index) = begun.pop_front().expect("it has begun");
                        prop_assert_eq!(index, episode.index);
                        let first = units.iter().find(|unit| unit.running_time == begin);
                        prop_assert_eq!(first.unwrap().entry, Some(Entry::Idr));
                        let last = episode.shown.last().unwrap();
                        prop_assert_eq!(episode.shown[0].start, begin);
                        prop_assert!(end <= begin && begin < last.end);
                        let inside = |unit: &&Unit| {
                            begin <= unit.running_time && unit.running_time < last.end
                        };
                        let count = units.iter().filter(inside).count() as u64;
                        prop_assert_eq!(episode.frames + episode.hidden, count);
                        all += count;
                        end = last.end;
                    }
                }
            }
            prop_assert!(begun.is_empty());
            prop_assert_eq!(all, kept);
            let before_keyframe = units.iter().take_while(|unit| unit.entry.is_none()).count();
            prop_assert_eq!(kept, (units.len() - before_keyframe) as u64);
        }

        #[test]
        fn limits_hold(
            config in config(),
            groups in prop::collection::vec(group(), 1..30),
        ) {
            let units = units(&groups, 0);
            // Durations are compared with a tolerance of half a frame.
            let longest = units.iter().map(|unit| unit.duration).max().unwrap();
            for episode in episodes(config.clone(), &units) {
                let shown = episode.shown[0].start..episode.shown.last().unwrap().end;
                let of_episode = || units.iter().filter(|unit| shown.contains(&unit.running_time));
                let span = shown.end - shown.start;
                let bytes: u64 = of_episode().map(|unit| unit.bytes + BYTES_PER_FRAME).sum();
                let bytes = BYTES_PER_FILE + bytes;
                let last_group = of_episode().rfind(|unit| unit.entry.is_some()).unwrap();
                let has_groups = last_group.running_time > shown.start;
                if config.mode == SplitMode::AtMost && has_groups {
                    let fits = |limit: Nanos| span <= limit + longest;
                    prop_assert!(config.duration.is_none_or(fits), "{span} {:?}", config.duration);
                    prop_assert!(config.size.is_none_or(|limit| bytes <= limit));
                }
                if config.mode == SplitMode::NextKeyframe {
                    let before = last_group.running_time - shown.start;
                    let is_below = |limit: Nanos| before < limit;
                    prop_assert!(!has_groups || config.duration.is_none_or(is_below));
                    if episode.reason == Reason::Duration {
                        let next = units.iter().find(|unit| unit.running_time >= shown.end);
                        let until = next.expect("the episode is cut").running_time;
                        prop_assert!(config.duration.unwrap() <= until - shown.start + longest);
                    }
                    if episode.reason == Reason::Size {
                        prop_assert!(config.size.unwrap() <= bytes);
                    }
                }
            }
        }
    }
}

#[test]
fn lifted_limits_do_not_end_an_episode() {
    for (mode, frames) in [
        (SplitMode::NextKeyframe, [20, 30]),
        // The group that is not complete would exceed the limit.
        (SplitMode::AtMost, [10, 40]),
    ] {
        let mut policy = Policy::new(Config {
            mode,
            duration: Some(1500 * MS),
            ..Default::default()
        });
        let mut changes = Vec::new();
        for (index, unit) in groups(5).iter().enumerate() {
            if index == 21 {
                policy.lift_limits();
            }
            policy.push(unit, &mut changes);
        }
        policy.finish(&mut changes);
        let found: Vec<_> = summarise(&changes).iter().map(|it| it.2).collect();
        assert_eq!(found, frames, "{mode:?}");
    }
}
