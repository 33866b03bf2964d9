// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

mod camera;

use self::camera::{Camera, Reorder, Start, Step};
use super::super::modes::{KeyframeMode, SplitMode};
use super::super::picture_format::PictureFormat;
use super::super::policy::Reason;
use super::super::{CutOutput, HeaderKind};
use super::*;
use crate::time::CaptureTime;

const FRAME: Nanos = Nanos::from_mseconds(100);

/// An episode in memory.
#[derive(Debug)]
struct WrittenEpisode {
    begin: EpisodeBegin<PictureFormat>,
    samples: Vec<EpisodeSample<u64>>,
    end: Option<(Episode, Description)>,
}

/// Keeps episodes in memory, and checks the order of calls.
#[derive(Debug, Default)]
struct Memory {
    episodes: Vec<WrittenEpisode>,
}

impl EpisodeWriter for Memory {
    type Payload = u64;
    type Format = PictureFormat;
    type Error = &'static str;

    fn begin(&mut self, begin: EpisodeBegin<PictureFormat>) -> Result<(), &'static str> {
        if self.episodes.last().is_some_and(|last| last.end.is_none()) {
            return Err("two episodes at once");
        }
        if begin.has_first_group || begin.index as usize != self.episodes.len() {
            return Err("not in order");
        }
        self.episodes.push(WrittenEpisode {
            begin,
            samples: Vec::new(),
            end: None,
        });
        Ok(())
    }

    fn sample(&mut self, sample: EpisodeSample<u64>) -> Result<(), &'static str> {
        let open = self.episodes.last_mut().filter(|last| last.end.is_none());
        open.ok_or("no episode")?.samples.push(sample);
        Ok(())
    }

    fn end(&mut self, episode: Episode, description: Description) -> Result<(), &'static str> {
        let open = self.episodes.last_mut().filter(|last| last.end.is_none());
        open.ok_or("no episode")?.end = Some((episode, description));
        Ok(())
    }
}

impl Memory {
    /// Returns payloads and reason of each episode.
    fn summary(&self) -> Vec<(Vec<u64>, Option<Reason>)> {
        let summary = |episode: &WrittenEpisode| {
            let reason = episode.end.as_ref().map(|(end, _)| end.reason);
            (payloads(episode), reason)
        };
        self.episodes.iter().map(summary).collect()
    }
}

fn payloads(episode: &WrittenEpisode) -> Vec<u64> {
    let samples = episode.samples.iter();
    samples.map(|sample| sample.payload).collect()
}

/// Cuts an input, and returns the episodes, the rows and the number of dropped access units.
fn cut(config: &Config, settings: FileSettings, steps: &[Step]) -> (Memory, Vec<FrameRow>, u64) {
    let mut episodes = Episodes::new(config.clone(), settings, Memory::default()).with_rows();
    for step in steps.iter().cloned() {
        let done = match step {
            Step::Segment(segment) => episodes.begin_segment(segment).map(drop),
            Step::Pause => episodes.note_pause(),
            Step::Unit(unit) => episodes.push(unit),
            Step::Undecodable => {
                episodes.drop_undecodable(1);
                Ok(())
            }
        };
        done.expect("calls are in order");
    }
    episodes.finish().expect("calls are in order");
    let rows = episodes.take_rows().collect();
    let dropped = episodes.dropped();
    (episodes.into_writer(), rows, dropped)
}

fn limit(mode: SplitMode, frames: u64) -> Config {
    Config {
        mode,
        duration: Some(frames * FRAME),
        gap_detection: true,
        ..Default::default()
    }
}

fn steps(make: impl FnOnce(&mut Camera)) -> Vec<Step> {
    let mut camera = Camera::default();
    make(&mut camera);
    camera.steps
}

fn range(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn both_modes_write_one_episode_after_the_other() {
    let input = steps(|camera| {
        for _ in 0..4 {
            camera.group(Start::Idr, 10, FRAME, Reorder::Pairs);
        }
    });
    for (mode, ends) in [
        (SplitMode::NextKeyframe, [0, 20, 40].as_slice()),
        (SplitMode::AtMost, &[0, 10, 20, 30, 40]),
    ] {
        let (memory, rows, dropped) = cut(&limit(mode, 15), FileSettings::default(), &input);
        let expected: Vec<_> = ends
            .windows(2)
            .map(|ends| (range(ends[0]..ends[1]), ends[1]))
            .map(|(payloads, end)| {
                let reason = match end {
                    40 => Reason::Eos,
                    _ => Reason::Duration,
                };
                (payloads, Some(reason))
            })
            .collect();
        assert_eq!(memory.summary(), expected, "{mode:?}");
        assert_eq!((rows.len(), dropped), (40, 0));
        for episode in &memory.episodes {
            let config = episode.begin.format.config.as_ref().unwrap();
            assert_eq!(config.size, Some((64, 64)));
            assert_eq!(episode.begin.running_time, episode.samples[0].pts);
            assert_eq!(episode.begin.capture, episode.samples[0].capture);
        }
    }
}

#[test]
fn rows_come_when_the_episode_of_a_frame_is_known() {
    for (mode, expected) in [(SplitMode::NextKeyframe, 15), (SplitMode::AtMost, 10)] {
        let config = limit(mode, 30);
        let writer = Memory::default();
        let mut episodes = Episodes::new(config, FileSettings::default(), writer).with_rows();
        let input = steps(|camera| {
            camera.group(Start::Idr, 10, FRAME, Reorder::None);
            camera.group(Start::Idr, 5, FRAME, Reorder::None);
        });
        for step in input {
            let Step::Unit(unit) = step else {
                panic!("{step:?}");
            };
            episodes.push(unit).unwrap();
        }
        let rows: Vec<_> = episodes.take_rows().collect();
        assert_eq!(rows.len(), expected, "{mode:?}");
        let expected = FrameRow {
            episode: 0,
            number: 3,
            capture: Some(CaptureTime::from_useconds(1_000_000_000_000) + 3 * FRAME),
            pts: 3 * FRAME,
            duration: FRAME,
            is_keyframe: false,
            is_hidden: false,
            is_corrupted: true,
            bytes: 103,
        };
        assert_eq!(rows[3], expected);
        episodes.finish().unwrap();
        assert_eq!(episodes.take_rows().count(), 15 - rows.len());
    }
}

#[test]
fn a_cutter_hands_a_group_over_before_it_is_known_to_begin_an_episode() {
    let config = limit(SplitMode::AtMost, 15);
    let mut cutter = Cutter::<u64, PictureFormat, ()>::new(config, FileSettings::default());
    let mut outputs = Vec::new();
    let input = steps(|camera| {
        for _ in 0..3 {
            camera.group(Start::Idr, 10, FRAME, Reorder::None);
        }
    });
    for step in input {
        let Step::Unit(unit) = step else {
            panic!("{step:?}");
        };
        cutter.push(unit, &mut outputs);
    }
    cutter.pass((), &mut outputs);
    let mut samples = 0;
    let mut begins = Vec::new();
    for output in &outputs {
        match output {
            CutOutput::Begin(begin) => {
                begins.push((samples, begin.running_time, begin.has_first_group));
            }
            CutOutput::Sample(_) => samples += 1,
            CutOutput::End(..) | CutOutput::Notice(_) => {}
        }
    }
    assert_eq!(
        begins,
        [(0, Nanos::ZERO, false), (20, 10 * FRAME, true)],
        "the second episode begins ten samples before"
    );
    assert!(matches!(
        outputs.last(),
        Some(CutOutput::Notice(super::super::CutNotice::Item(())))
    ));
}

#[test]
fn gaps_and_formats_end_episodes() {
    for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
        let input = steps(|camera| {
            camera.group(Start::Idr, 3, FRAME, Reorder::None);
            // A gap before the last frame of a group.
            camera.time += 5 * FRAME;
            camera.unit(FRAME, 0).is_discont = true;
            camera.group(Start::Idr, 3, FRAME, Reorder::None);
            camera.group(Start::OtherFormat, 2, FRAME, Reorder::None);
            camera.steps.push(Step::Undecodable);
            camera.steps.push(Step::Pause);
            camera.group(Start::Idr, 2, FRAME, Reorder::None);
        });
        let (memory, rows, dropped) = cut(&limit(mode, 100), FileSettings::default(), &input);
        let expected = [
            (range(0..3), Some(Reason::Gap)),
            (range(4..7), Some(Reason::Format)),
            (range(7..9), Some(Reason::Gap)),
            (range(9..11), Some(Reason::Eos)),
        ];
        assert_eq!(memory.summary(), expected, "{mode:?}");
        assert_eq!((rows.len(), dropped), (10, 2));
        let counts = memory.episodes.iter().map(|it| it.begin.dropped.count);
        assert_eq!(counts.collect::<Vec<_>>(), [0, 1, 0, 1]);
        let formats: Vec<_> = (memory.episodes.iter())
            .map(|episode| &episode.begin.format.config)
            .collect();
        assert_eq!(formats[0], formats[1]);
        assert_ne!(formats[1], formats[2]);
        assert_eq!(formats[2], formats[3]);
    }
}

#[test]
fn a_refresh_is_shown_before_a_cut_and_hidden_after_it() {
    let input = steps(|camera| {
        camera.group(Start::Idr, 10, FRAME, Reorder::None);
        camera.group(Start::Refresh(4), 10, FRAME, Reorder::None);
    });
    let config = Config {
        keyframes: KeyframeMode::RecoveryPoint,
        ..limit(SplitMode::NextKeyframe, 10)
    };
    let (memory, rows, dropped) = cut(&config, FileSettings::default(), &input);
    let expected = [
        (range(0..14), Some(Reason::Duration)),
        (range(10..20), Some(Reason::Eos)),
    ];
    assert_eq!(memory.summary(), expected);
    assert_eq!((rows.len(), dropped), (24, 0));
    let hidden = rows.iter().filter(|row| row.is_hidden);
    let hidden: Vec<_> = hidden.map(|row| (row.episode, row.number)).collect();
    assert_eq!(hidden, [(1, 0), (1, 1), (1, 2), (1, 3)]);
    // The frames of the refresh come later than those that show them, and what follows comes later, too.
    let second = &memory.episodes[1];
    assert_eq!(second.samples[0].pts, 14 * FRAME);
    assert_eq!(second.samples[4].pts, 18 * FRAME);
    let (episode, description) = second.end.as_ref().unwrap();
    assert_eq!((episode.frames, episode.hidden), (6, 4));
    assert_eq!(episode.capture, second.samples[4].capture);
    assert_eq!(episode.duration, 6 * FRAME);
    assert!(description.hides);
}

#[test]
fn a_refresh_before_a_hole_begins_an_episode() {
    // Only the frame that completes the refresh is at the limit.
    let input = steps(|camera| {
        camera.group(Start::Idr, 2, FRAME, Reorder::None);
        camera.group(Start::Refresh(2), 2, FRAME, Reorder::None);
        camera.time += 20 * FRAME;
        camera.unit(FRAME, 0);
        camera.unit(FRAME, 0);
    });
    let config = Config {
        keyframes: KeyframeMode::RecoveryPoint,
        ..limit(SplitMode::NextKeyframe, 10)
    };
    let (memory, ..) = cut(&config, FileSettings::default(), &input);
    let expected = [
        (range(0..4), Some(Reason::Duration)),
        (range(2..6), Some(Reason::Eos)),
    ];
    assert_eq!(memory.summary(), expected);
}

#[test]
fn a_frame_that_the_episode_before_shows_is_not_shown_again() {
    // The picture that completes the refresh is shown before the one that it follows.
    let input = steps(|camera| {
        camera.group(Start::Idr, 10, FRAME, Reorder::Pairs);
        camera.group(Start::Refresh(2), 10, FRAME, Reorder::Pairs);
    });
    let config = Config {
        keyframes: KeyframeMode::RecoveryPoint,
        ..limit(SplitMode::NextKeyframe, 10)
    };
    let (memory, ..) = cut(&config, FileSettings::default(), &input);
    assert_eq!(memory.episodes.len(), 2);
    let samples = memory.episodes.iter().flat_map(|it| &it.samples);
    let shown = samples.filter(|sample| !sample.is_hidden);
    let mut shown: Vec<_> = shown.map(|sample| sample.payload).collect();
    shown.sort_unstable();
    assert_eq!(shown, range(0..20));
}

#[test]
fn a_refresh_without_an_episode_before_it_shows_all_frames_from_its_end_on() {
    // In output order 0, 2, 1, 4, 3 and so on: the frame 3 is before the one that completes the refresh, 4, in
    // decoding order, and after it in output order.
    let refresh = |camera: &mut Camera| camera.group(Start::Refresh(4), 10, FRAME, Reorder::Pairs);
    let at_begin = steps(refresh);
    let after_gap = steps(|camera| {
        camera.group(Start::Idr, 3, FRAME, Reorder::None);
        camera.time += 5 * FRAME;
        camera.unit(FRAME, 0).is_discont = true;
        refresh(camera);
    });
    for (input, first) in [(at_begin, 0), (after_gap, 4)] {
        for is_decode_time_known in [true, false] {
            let mut input = input.clone();
            for step in &mut input {
                if let Step::Unit(unit) = step
                    && !is_decode_time_known
                {
                    unit.dts = None;
                }
            }
            let config = Config {
                keyframes: KeyframeMode::RecoveryPoint,
                ..limit(SplitMode::NextKeyframe, 100)
            };
            let (memory, ..) = cut(&config, FileSettings::default(), &input);
            let last = memory.episodes.last().expect("there is an episode");
            assert_eq!(payloads(last), range(first..first + 10));
            let shown = last.samples.iter().filter(|sample| !sample.is_hidden);
            let shown: Vec<_> = shown.map(|sample| sample.payload - first).collect();
            assert_eq!(shown, [3, 4, 5, 6, 7, 8, 9]);
        }
    }
}

#[test]
fn a_stream_without_keyframes_has_no_episode() {
    let input = steps(|camera| camera.group(Start::Refresh(4), 10, FRAME, Reorder::None));
    let settings = FileSettings::default();
    let writer = Memory::default();
    let mut episodes = Episodes::new(Config::default(), settings, writer).with_rows();
    for step in input {
        if let Step::Unit(unit) = step {
            episodes.push(unit).unwrap();
        }
    }
    let dropped = episodes.finish().unwrap();
    assert_eq!((dropped.count, dropped.distance), (10, None));
    assert_eq!(episodes.take_rows().count(), 0);
    assert_eq!(episodes.helpful_mode(), Some(KeyframeMode::RecoveryPoint));
    assert!(episodes.writer().episodes.is_empty());
}

#[test]
fn a_segment_may_begin_before_the_end_of_the_one_before() {
    let input = steps(|camera| {
        camera.group(Start::Idr, 1, FRAME, Reorder::None);
        if let Some(Step::Unit(unit)) = camera.steps.last_mut() {
            unit.pts = Some(3 * FRAME);
        }
        camera.segment(Nanos::ZERO, None);
        camera.unit(FRAME, 0);
    });
    let config = limit(SplitMode::NextKeyframe, 10);
    let (memory, ..) = cut(&config, FileSettings::default(), &input);
    let episode = &memory.episodes[0];
    assert_eq!(episode.samples.len(), 2);
    let (end, _) = episode.end.as_ref().expect("an episode that ended");
    assert_eq!(end.duration, FRAME);
}

#[test]
fn frames_before_a_segment_are_hidden_and_delay_the_rest() {
    for mode in [SplitMode::NextKeyframe, SplitMode::AtMost] {
        let input = steps(|camera| {
            camera.segment(4 * FRAME, Some(8 * FRAME));
            camera.group(Start::Idr, 10, FRAME, Reorder::None);
            camera.time = 4 * FRAME;
            camera.segment(Nanos::ZERO, None);
            camera.group(Start::Idr, 10, FRAME, Reorder::None);
        });
        let (memory, rows, _) = cut(&limit(mode, 100), FileSettings::default(), &input);
        assert_eq!(memory.episodes.len(), 1);
        let is_hidden: Vec<_> = rows[..10].iter().map(|row| row.is_hidden).collect();
        let expected: Vec<_> = (0..10).map(|index| !(4..8).contains(&index)).collect();
        assert_eq!(is_hidden, expected);
        // After the second segment is what the first one has shown.
        assert_eq!(rows[10].pts, 8 * FRAME);
        let (episode, _) = memory.episodes[0].end.as_ref().unwrap();
        assert_eq!((episode.frames, episode.hidden), (14, 6));
    }
}

#[test]
fn a_long_group_continues_in_parts_unless_it_may_be_cut_off() {
    for (mode, expected) in [(SplitMode::NextKeyframe, 2), (SplitMode::AtMost, 0)] {
        let mut input = steps(|camera| camera.group(Start::Idr, 12, FRAME, Reorder::None));
        for step in &mut input {
            if let Step::Unit(unit) = step {
                unit.bytes = 1 << 20;
            }
        }
        let (memory, ..) = cut(&limit(mode, 100), FileSettings::default(), &input);
        let parts = (memory.episodes[0].samples.iter())
            .filter(|sample| sample.role == SampleRole::Part)
            .count();
        assert_eq!(parts, expected, "{mode:?}");
    }
}

#[test]
fn a_dts_makes_up_for_pictures_that_are_dropped() {
    // The pictures before the recovery point in output order refer to the group that is missing.
    let input = steps(|camera| {
        camera.group(Start::Refresh(0), 1, FRAME, Reorder::None);
        let Some(Step::Unit(first)) = camera.steps.last_mut() else {
            panic!("no unit");
        };
        first.pts = Some(3 * FRAME);
        for late in [0, 0] {
            camera.unit(FRAME, late);
        }
        camera.unit(FRAME, 1);
        camera.unit(FRAME, 1);
    });
    let config = Config {
        keyframes: KeyframeMode::RecoveryPoint,
        ..limit(SplitMode::NextKeyframe, 100)
    };
    let (memory, _, dropped) = cut(&config, FileSettings::default(), &input);
    let samples = &memory.episodes[0].samples;
    assert_eq!((samples.len(), dropped), (3, 2));
    assert!(samples[0].is_dts_moved && !samples[1].is_dts_moved);
    let times: Vec<_> = samples
        .iter()
        .map(|it| (it.dts / 100, it.pts / 100))
        .collect();
    let frame = FRAME / 100;
    let expected = [(2, 3), (3, 4), (4, 5)].map(|(dts, pts)| (dts * frame, pts * frame));
    assert_eq!(times, expected);
}

mod properties {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::super::CutNotice;
    use super::*;

    #[derive(Debug, Clone)]
    struct GroupSpec {
        start: Start,
        frames: u64,
        frame_ms: u64,
        reorder: Reorder,
        /// Frames that lead into a new segment.
        lead: u64,
        break_before: Option<BreakSpec>,
        /// A long distance within the group.
        is_torn: bool,
        undecodable: bool,
    }

    #[derive(Debug, Clone, Copy)]
    enum BreakSpec {
        Gap,
        Pause,
    }

    fn start() -> impl Strategy<Value = Start> {
        prop_oneof![
            4 => Just(Start::Idr),
            1 => Just(Start::OtherFormat),
            2 => (0u32..4).prop_map(Start::Refresh),
        ]
    }

    fn group() -> impl Strategy<Value = GroupSpec> {
        let breaks = prop_oneof![
            4 => Just(None),
            1 => Just(Some(BreakSpec::Gap)),
            1 => Just(Some(BreakSpec::Pause)),
        ];
        let reorder = prop_oneof![
            Just(Reorder::None),
            Just(Reorder::Pairs),
            Just(Reorder::Pyramid),
        ];
        let shape = (start(), 1u64..12, 10u64..300, reorder);
        let lead = prop_oneof![3 => Just(0u64), 1 => 1u64..5];
        let torn = prop::bool::weighted(0.05);
        let rest = (lead, breaks, torn, prop::bool::weighted(0.1));
        (shape, rest).prop_map(|(shape, rest)| {
            let (start, frames, frame_ms, reorder) = shape;
            let (lead, break_before, is_torn, undecodable) = rest;
            GroupSpec {
                start,
                frames,
                frame_ms,
                reorder,
                lead,
                break_before,
                is_torn,
                undecodable,
            }
        })
    }

    fn input(groups: &[GroupSpec]) -> Vec<Step> {
        let mut camera = Camera::default();
        for spec in groups {
            let frame = Nanos::from_mseconds(spec.frame_ms);
            let is_gap = matches!(spec.break_before, Some(BreakSpec::Gap));
            match spec.break_before {
                Some(BreakSpec::Gap) => camera.time += 20 * frame,
                Some(BreakSpec::Pause) => camera.steps.push(Step::Pause),
                None => {}
            }
            if spec.undecodable {
                camera.steps.push(Step::Undecodable);
            }
            let lead = (spec.lead + spec.reorder.delay()) * frame;
            camera.segment(lead, None);
            let first = camera.steps.len();
            camera.group(spec.start, spec.frames, frame, spec.reorder);
            let mut units = camera.steps[first..]
                .iter_mut()
                .filter_map(|step| match step {
                    Step::Unit(unit) => Some(unit),
                    _ => None,
                });
            if let Some(unit) = units.next() {
                unit.is_discont = is_gap;
            }
            if spec.is_torn {
                // Too far for files whose header comes first.
                let far = Nanos::from_seconds(20 * 3600);
                let far = |time: Option<Nanos>| time.map(|time| time + far);
                for unit in units.skip(1) {
                    (unit.pts, unit.dts) = (far(unit.pts), far(unit.dts));
                }
                camera.time += Nanos::from_seconds(20 * 3600);
            }
            // Running times of the input count shown frames only.
            camera.time -= spec.lead.min(spec.frames) * frame;
        }
        camera.steps
    }

    fn config() -> impl Strategy<Value = Config> {
        let modes = prop_oneof![
            Just((SplitMode::AtMost, KeyframeMode::Idr)),
            Just((SplitMode::NextKeyframe, KeyframeMode::Idr)),
            Just((SplitMode::NextKeyframe, KeyframeMode::RecoveryPoint)),
        ];
        let duration = prop::option::of(100u64..5000);
        let size = prop::option::of(1500u64..5000);
        (modes, duration, size, any::<bool>()).prop_map(|(modes, duration, size, gap_detection)| {
            Config {
                mode: modes.0,
                keyframes: modes.1,
                duration: duration.map(Nanos::from_mseconds),
                size,
                gap_detection,
            }
        })
    }

    fn settings() -> impl Strategy<Value = FileSettings> {
        let header = prop_oneof![
            Just(HeaderKind::Last),
            Just(HeaderKind::First),
            Just(HeaderKind::Fragments),
        ];
        header.prop_map(|header| FileSettings {
            timescale: None,
            header,
        })
    }

    /// Returns the rows and the notices of a cutter whose output no writer puts in order.
    fn rows_of_cutter(
        config: &Config,
        settings: FileSettings,
        steps: &[Step],
    ) -> (Vec<FrameRow>, usize) {
        let mut cutter = Cutter::<u64, PictureFormat, usize>::new(config.clone(), settings);
        let mut outputs = Vec::new();
        for (number, step) in steps.iter().cloned().enumerate() {
            match step {
                Step::Segment(segment) => drop(cutter.begin_segment(segment, &mut outputs)),
                Step::Pause => cutter.note_pause(&mut outputs),
                Step::Undecodable => cutter.drop_undecodable(1),
                Step::Unit(unit) => cutter.push(unit, &mut outputs),
            }
            cutter.pass(number, &mut outputs);
        }
        cutter.finish(&mut outputs);
        let mut index = FrameIndex::new(config.mode);
        let mut rows = Vec::new();
        let mut items = 0;
        for output in &outputs {
            index.follow(output, &mut rows);
            if let CutOutput::Notice(CutNotice::Item(number)) = output {
                assert_eq!(*number, items, "items keep their order");
                items += 1;
            }
        }
        (rows, items)
    }

    /// Returns the access units that can be shown: those within their segment that a decoder has right, if it
    /// gets all that come after one another. No group of the input is torn.
    fn showable(config: &Config, steps: &[Step]) -> BTreeSet<u64> {
        let mut showable = BTreeSet::new();
        let mut shown_from = Nanos::ZERO;
        let mut decodes = false;
        let mut is_after_pause = false;
        // Access units of a refresh before which nothing can be decoded, with its first frame number and length.
        let mut refresh: Option<(Vec<InputUnit<u64>>, u32, u32)> = None;
        for step in steps {
            let unit = match step {
                Step::Segment(segment) => {
                    shown_from = segment.shown_from;
                    refresh = None;
                    continue;
                }
                Step::Pause => {
                    is_after_pause = true;
                    continue;
                }
                Step::Undecodable => continue,
                Step::Unit(unit) => unit,
            };
            let picture = &unit.picture;
            let is_gap = unit.is_discont && config.gap_detection && !is_after_pause;
            is_after_pause = false;
            decodes &= !is_gap;
            let recovery = picture.recovery_point;
            let recovery = recovery.filter(|_| config.keyframes != KeyframeMode::Idr);
            decodes |= picture.idr || recovery == Some(0);
            let number = picture.frame_number.expect("it is set");
            if let Some(frames) = recovery.filter(|_| !decodes) {
                refresh = Some((Vec::new(), number.frame_num, frames));
            }
            if decodes && unit.pts >= Some(shown_from) {
                showable.insert(unit.payload);
            }
            if decodes {
                continue;
            }
            let Some((units, first, frames)) = &mut refresh else {
                continue;
            };
            units.push(unit.clone());
            if number.reference && (number.frame_num + 16 - *first) % 16 >= *frames {
                decodes = true;
                // Pictures are right from this one on in output order, until the group ends with its segment.
                shown_from = unit.pts.max(Some(shown_from)).unwrap_or_default();
                let is_right = |again: &&InputUnit<u64>| again.pts >= Some(shown_from);
                showable.extend(units.iter().filter(is_right).map(|again| again.payload));
                refresh = None;
            }
        }
        showable
    }

    proptest! {
        #[test]
        fn each_frame_that_can_be_shown_is_shown_by_one_episode(
            config in config(),
            settings in settings(),
            mut groups in prop::collection::vec(group(), 1..25),
        ) {
            for group in &mut groups {
                group.is_torn = false;
            }
            let steps = input(&groups);
            let (memory, ..) = cut(&config, settings, &steps);
            let samples = memory.episodes.iter().flat_map(|episode| &episode.samples);
            let shown = samples.filter(|sample| !sample.is_hidden);
            let mut shown: Vec<_> = shown.map(|sample| sample.payload).collect();
            shown.sort_unstable();
            let expected: Vec<_> = showable(&config, &steps).into_iter().collect();
            prop_assert_eq!(shown, expected);
        }

        #[test]
        fn rows_samples_and_episodes_agree(
            config in config(),
            settings in settings(),
            groups in prop::collection::vec(group(), 1..25),
        ) {
            let steps = input(&groups);
            let (memory, rows, dropped) = cut(&config, settings, &steps);

            let mut of_samples = Vec::new();
            let mut written = BTreeSet::new();
            let mut all_shown = BTreeSet::new();
            for (index, episode) in memory.episodes.iter().enumerate() {
                let (end, _) = episode.end.as_ref().expect("each episode ends");
                let samples = &episode.samples;
                prop_assert_eq!(end.index as usize, index);
                prop_assert_eq!(end.samples(), samples.len() as u64);
                let hidden = samples.iter().filter(|sample| sample.is_hidden).count();
                prop_assert_eq!(end.hidden, hidden as u64);
                let corrupted = samples.iter().filter(|sample| sample.is_corrupted).count();
                prop_assert_eq!(end.corrupted, corrupted as u64);
                prop_assert_eq!(samples[0].role, SampleRole::Keyframe);
                prop_assert_eq!(samples[0].pts, episode.begin.running_time);
                for pair in samples.windows(2) {
                    prop_assert!(pair[0].dts < pair[1].dts, "{:?}", pair);
                    prop_assert!(pair[0].payload < pair[1].payload, "{:?}", pair);
                }
                let shown = samples.iter().filter(|sample| !sample.is_hidden);
                for sample in shown.clone() {
                    prop_assert!(all_shown.insert(sample.payload), "shown once: {:?}", sample);
                }
                let first = shown.min_by_key(|sample| sample.pts);
                prop_assert_eq!(end.capture, first.and_then(|sample| sample.capture));
                written.extend(payloads(episode));
                of_samples.extend(samples.iter().zip(0..).map(|(sample, number)| {
                    FrameRow::new(end.index, number, sample)
                }));
            }
            prop_assert_eq!(&rows, &of_samples);

            // Only a refresh is in two episodes.
            let refreshes = config.keyframes == KeyframeMode::RecoveryPoint;
            prop_assert!(refreshes || rows.len() == written.len());
            let units = steps.iter().filter(|step| matches!(step, Step::Unit(_))).count();
            let undecodable = steps.iter().filter(|step| matches!(step, Step::Undecodable)).count();
            prop_assert_eq!(written.len() as u64 + dropped, (units + undecodable) as u64);

            let (of_cutter, items) = rows_of_cutter(&config, settings, &steps);
            prop_assert_eq!(rows, of_cutter);
            prop_assert_eq!(items, steps.len());
        }
    }
}
